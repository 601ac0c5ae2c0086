"""docs/operators.md says what becomes of every op of TensorFlow."""

from __future__ import annotations

from exporter.lower.tensorflow import TRANSLATED
from tests.docs.operator_states import PAGE, page, state_of, tensorflow_ops


def test_the_page_is_that_of_the_tables() -> None:
    """If it isn't, `python -m tests.docs.operator_states` writes it."""
    assert PAGE.read_text(encoding="utf-8") == page()


def test_every_translated_op_is_one_of_tensorflow() -> None:
    """Names that no TensorFlow has had would be mistakes, but for those that the exporter makes itself."""
    own = {"Condition", "Loop", "LoopState", "LoopResult"}
    assert {op for op in TRANSLATED - set(tensorflow_ops()) if not op.startswith(("_", "TensorList"))} <= own | _GONE


_GONE = {"BatchNorm"}
"""Ops of earlier versions."""


def test_states() -> None:
    """One of each kind."""
    assert state_of("Conv2D") == ("translated", "")
    assert state_of("ResourceApplyAdam")[0] == "set aside"
    assert state_of("StringLength")[0] == "refused"
