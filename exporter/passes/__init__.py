"""Passes over the IR: folding what is affine, computing what is constant, tidying up."""

from __future__ import annotations

from exporter.passes.pipeline import run

__all__ = ["run"]
