"""Passes over the IR: folding what is affine, computing what is constant, tidying up; `pipeline` has their order."""
