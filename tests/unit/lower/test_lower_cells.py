"""Recurrent cells and layers that are one op are TensorFlow's, in every engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.unit.lower.everywhere import check_everywhere
from tests.unit.lower.oracle import Case

pytestmark = pytest.mark.tensorflow

_random = np.random.default_rng(3)


def _floats(*shape: int) -> Any:
    return _random.standard_normal(shape).astype(np.float32)


TIME, BATCH, FEATURES, UNITS = 5, 2, 3, 4
MATRIX, BIAS = _floats(FEATURES + UNITS, 4 * UNITS), _floats(4 * UNITS)
PEEPHOLES = dict(zip(("wci", "wcf", "wco"), _floats(3, UNITS), strict=True))
STATES = [_floats(BATCH, UNITS), _floats(BATCH, UNITS)]
SEQUENCE, STEP = _floats(TIME, BATCH, FEATURES), _floats(BATCH, FEATURES)


def _cell(**options: Any) -> Any:
    return lambda tf, x, c, h: tf.raw_ops.LSTMBlockCell(
        x=x, cs_prev=c, h_prev=h, w=MATRIX, b=BIAS, **PEEPHOLES, **options
    )


def _layer(op: str, steps: int, **options: Any) -> Any:
    """After the last step TensorFlow leaves all but the state and the output as they were in memory."""
    given = {"w": MATRIX, "b": BIAS, **PEEPHOLES, **options}

    def build(tf: Any, x: Any, c: Any, h: Any) -> Any:
        found = getattr(tf.raw_ops, op)(seq_len_max=np.int64(steps), x=x, h_prev=h, cs_prev=c, **given)
        return list(found) if steps == TIME else [found.cs, found.h]

    return build


def _gru(tf: Any, x: Any, h: Any) -> Any:
    weights = {"w_ru": MATRIX[:, : 2 * UNITS], "w_c": MATRIX[:, :UNITS], "b_ru": BIAS[: 2 * UNITS], "b_c": BIAS[:UNITS]}
    return tf.raw_ops.GRUBlockCell(x=x, h_prev=h, **weights)


SHAPES = ("static", "batch")

CASES = [
    Case("lstm_cell", _cell(), [STEP, *STATES], 8, SHAPES),
    Case("lstm_cell_clip", _cell(cell_clip=0.5, forget_bias=0.3), [STEP, *STATES], 8, SHAPES),
    Case("lstm_cell_peephole", _cell(use_peephole=True, cell_clip=-1.0), [STEP, *STATES], 8, SHAPES),
    Case("gru_cell", _gru, [STEP, STATES[0]], 8, SHAPES),
    *(
        Case(f"{op}_{steps}_{peephole}", _layer(op, steps, use_peephole=peephole), [SEQUENCE, *STATES], 16, ("static",))
        for op in ("BlockLSTM", "BlockLSTMV2")
        for steps in (TIME, 3)
        for peephole in (False, True)
    ),
    Case("clipped", _layer("BlockLSTM", TIME, cell_clip=0.4, forget_bias=0.0), [SEQUENCE, *STATES], 16, ("static",)),
]


@pytest.mark.parametrize(
    ("case", "shapes"), [(c, s) for c in CASES for s in c.shapes], ids=lambda value: getattr(value, "name", value)
)
def test_cells(case: Case, shapes: str) -> None:
    """All of their results, at every step."""
    check_everywhere(case, shapes)


@pytest.mark.parametrize("op", ["BlockLSTM", "BlockLSTMV2"])
@pytest.mark.parametrize("shapes", ["static", "none"])
def test_whole_layers_are_lstms(op: str, shapes: str) -> None:
    """Where only outputs and the last state are read, of zero states or given ones, with peepholes."""

    def build(tf: Any, x: Any, c: Any, h: Any) -> Any:
        length = tf.cast(tf.shape(x)[0], tf.int64)
        found = getattr(tf.raw_ops, op)(
            seq_len_max=length, x=x, cs_prev=c, h_prev=h, w=MATRIX, b=BIAS, **PEEPHOLES, use_peephole=True, cell_clip=-1
        )
        return [found.h, found.cs[-1]]

    proto = check_everywhere(Case("layer", build, [SEQUENCE, *STATES], 16, ("static", "none")), shapes)
    assert [node.op_type for node in proto.graph.node].count("LSTM") == 1
    assert "Loop" not in {node.op_type for node in proto.graph.node}
