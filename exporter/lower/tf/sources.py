"""Where values come from, constants and variables, and what passes them on."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from exporter.lower.tf.context import NodeContext, OpFunction, RefusalError
from exporter.lower.tf.dtypes import dtype_of_kind
from exporter.lower.tf.texts import texts

__all__ = ["OPS"]


def constant(ctx: NodeContext) -> ir.Value:
    """`Const`."""
    array = np.asarray(ctx.attribute("value"))
    if array.dtype == object:
        return ctx.builder.constant(texts(array), ctx.node.name)
    if array.dtype.kind not in "fiub" and array.dtype.name != "bfloat16":
        raise RefusalError(f"a constant of element type {array.dtype}")
    return ctx.builder.constant(array, ctx.node.name)


def variable(ctx: NodeContext) -> ir.Value:
    """A variable: a weight that is read when it is needed, under the name of its checkpoint key (or its label)."""
    source = ctx.variable
    assert source is not None
    dtype = dtype_of_kind(source.kind)
    if dtype is None:
        raise RefusalError(f"a variable of element type {source.kind}")
    return ctx.builder.weight(source.title, dtype, source.shape, source.read)


def passed(ctx: NodeContext) -> ir.Value:
    """The first input as it is."""
    return ctx.inputs[0]


def all_passed(ctx: NodeContext) -> tuple[ir.Value, ...]:
    """Every input as it is."""
    return ctx.inputs


OPS: dict[str, OpFunction] = {
    "CheckNumerics": passed,
    "CheckNumericsV2": passed,
    "Const": constant,
    "DebugIdentity": passed,
    "DebugIdentityV2": passed,
    "EnsureShape": passed,
    "GuaranteeConst": passed,
    "Identity": passed,
    "IdentityN": all_passed,
    "PlaceholderWithDefault": passed,
    "PreventGradient": passed,
    "Print": passed,
    "ReadVariableOp": passed,
    "Snapshot": passed,
    "StopGradient": passed,
    "VarHandleOp": variable,
    "Variable": variable,
    "VariableV2": variable,
}
