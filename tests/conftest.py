"""What holds for all tests, and which of them are fast."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# TensorFlow leaves oneDNN off on some processors; without it its kernels for CPUs refuse dilated transposed
# convolutions, grouped ones that are fused, and pools with channels first, so that it couldn't judge ours.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

# What a test finds shouldn't depend on how busy the machine was when a user first loaded a model.
os.environ["CKPT2ONNX_CALIBRATE"] = "0"

_HERE = Path(__file__).parent

_FAST = tuple(
    _HERE / part
    for part in (
        "golden",
        "unit/formats",
        "unit/inference",
        "unit/ir",
        "unit/lower",
        "unit/nn",
        "unit/ops",
        "unit/passes",
        "unit/sources",
        "unit/verify",
        "unit/zoo",
    )
)
"""What `pytest -m fast` runs, but for what is slow or needs TensorFlow: under a minute on two cores."""

_LONGER = frozenset(
    {"test_a_deep_graph_is_no_problem", "test_a_long_chain", "test_a_long_way_is_no_problem", "test_nonsense"}
)
"""Tests there that take some seconds each, for what seldom changes."""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out what `-m fast` doesn't run before it is imported, TensorFlow's users among it."""
    if config.getoption("markexpr") != "fast":
        return None
    inside = any(collection_path.is_relative_to(part) or part.is_relative_to(collection_path) for part in _FAST)
    return None if inside or not collection_path.is_relative_to(_HERE) else True


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the fast ones."""
    for item in items:
        away = {"slow", "tensorflow"} & {mark.name for mark in item.iter_markers()}
        longer = getattr(item, "originalname", item.name) in _LONGER
        if not away and not longer and any(item.path.is_relative_to(part) for part in _FAST):
            item.add_marker(pytest.mark.fast)
