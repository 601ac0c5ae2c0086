"""The records of the IR's ops say the same as what stands beside them: kernels, engine and ONNX's schemas."""

from __future__ import annotations

import onnx
import pytest

from exporter.ir.ops import OPSET
from exporter.ir.opset import CHANNELS_LAST, ML, OPS, Op, ops_that, record_of
from exporter.targets.layout.any_layout import ANY_LAYOUT
from exporter.targets.layout.ties import RULES
from runtime.engine.placement import ALIASES
from runtime.engine.resolve import ELEMENTWISE
from runtime.kernels import KERNELS

_WITHOUT_KERNEL = frozenset({"Bernoulli", "Dropout", "InstanceNormalization", "Multinomial", "RandomNormal"})
_WITHOUT_KERNEL |= {"RandomNormalLike", "RandomUniform", "RandomUniformLike", "RegexFullMatch"}
"""They are in ONNX files of others, which `verify` judges, or in what a target makes of an op."""


def _name(record: Op) -> str:
    return f"{record.domain}.{record.name}" if record.domain else record.name


@pytest.mark.parametrize("record", OPS.values(), ids=_name)
def test_an_op_is_known_to_onnx_or_is_ours(record: Op) -> None:
    """A standard op has a schema of our opset, or of a younger one; the private domain has kernels of its own."""
    if record.domain == CHANNELS_LAST:
        assert record.name in KERNELS
    elif record.domain == ML:
        assert onnx.defs.has(record.name, ML)
    else:
        assert onnx.defs.has(record.name)


def test_ops_have_kernels() -> None:
    """What a lowering may write, the runtime can run."""
    assert OPS.keys() - KERNELS.keys() == _WITHOUT_KERNEL


def test_the_engine_agrees_on_what_is_elementwise() -> None:
    """The runtime can't ask the records; it takes the kernels' modules, those along an axis among them."""
    elementwise = ops_that(lambda record: record.elementwise) & KERNELS.keys()
    assert elementwise - {"Cast", "CastLike"} == ELEMENTWISE - {"Hardmax", "LogSoftmax", "Softmax"}


def test_the_engine_agrees_on_what_shares_memory() -> None:
    """The same elements in the same order are the same memory."""
    assert ops_that(lambda record: record.form in ("same", "reshaped")) == ALIASES


def test_what_works_in_any_layout_can_be_written_so() -> None:
    """Each op with ties between its axes has a way to be written in another layout."""
    assert RULES.keys() == ANY_LAYOUT.keys()


@pytest.mark.parametrize("record", OPS.values(), ids=_name)
def test_facts_go_together(record: Op) -> None:
    """Nothing that only moves elements rounds or computes; another form is a way of moving."""
    assert record.exact or not record.moves
    assert record.moves or record.form is None
    assert record.rounding is None or not record.exact
    assert record.elementwise is not None or not record.affine or record.name == "BatchNormalization"


def test_an_unknown_op_is_taken_for_the_worst() -> None:
    """A kernel without a record is neither elementwise nor moves anything, so nothing passes it."""
    record = record_of("Einsten")
    assert record == Op(name="Einsten")
    assert not record.moves and record.elementwise is None and record.shape is None


def test_the_opset_is_that_of_the_kernels() -> None:
    """Reductions take their axes as an input, as since opset 18."""
    assert OPSET == 18
    assert all(onnx.defs.get_schema(name, OPSET).max_input == 2 for name in ops_that(lambda r: r.reduces))
