"""Ops on element types that ONNX allows but onnxruntime's processor kernels lack: computed in a wider type.

Every number of the narrow type is one of the wide type, and the ops below only choose among their operands or compare
them, so that the results are the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx_ir as ir

from exporter.targets.call import Call, Target

__all__ = ["widened"]

_T = ir.DataType

_SMALL = {_T.INT16: _T.INT32, _T.UINT16: _T.INT32}

_WIDE: Mapping[str, Mapping[ir.DataType, ir.DataType]] = {
    "ArgMax": _SMALL,
    "ArgMin": _SMALL,
    "Clip": _SMALL,
    "Max": _SMALL,
    "Min": _SMALL,
    "Where": {_T.BOOL: _T.UINT8, _T.INT8: _T.INT32, **_SMALL, _T.UINT32: _T.INT64},
}
"""For each op the types without a kernel, and those to compute in."""


def widened(target: Target, call: Call) -> Sequence[ir.Value] | None:
    """The op in a wider type, between Casts; None where its own has a kernel."""
    types = _WIDE.get(call.op_type)
    data = call.input(1 if call.op_type == "Where" else 0)
    narrow = None if data is None else data.dtype
    if types is None or narrow is None or narrow not in types:
        return None
    wide = types[narrow].value
    inputs = [
        target.step(call, "Cast", value, to=wide) if value is not None and value.dtype == narrow else value
        for value in call.inputs[1:]
    ]
    first = call.input(0)
    if call.op_type != "Where":
        first = target.step(call, "Cast", first, to=wide)
    if call.outputs[0][1] != narrow:
        return target.last(call, call.op_type, first, *inputs, **call.attributes)
    result = target.step(call, call.op_type, first, *inputs, **call.attributes)
    return target.last(call, "Cast", result, to=narrow.value)
