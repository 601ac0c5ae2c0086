"""Strings: case, joins, matches, numbers from and to them. TensorFlow's are bytes, ONNX's UTF-8."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from exporter.lower.tf.context import NodeContext, OpFunction, RefusalError
from exporter.lower.tf.vectors import FAR

__all__ = ["OPS", "UNTRANSLATED", "is_text", "same_text"]

_NUMBERS = frozenset({ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.INT32, ir.DataType.INT64})
_WHOLE = _NUMBERS - {ir.DataType.FLOAT, ir.DataType.DOUBLE} | {
    ir.DataType.INT8,
    ir.DataType.INT16,
    ir.DataType.UINT8,
    ir.DataType.UINT16,
}


def is_text(value: ir.Value) -> bool:
    """Whether a tensor is of strings."""
    return value.dtype == ir.DataType.STRING


def same_text(ctx: NodeContext) -> ir.Value:
    """Where two tensors of strings are equal, by a table of one entry where one of them is a known string."""
    for text, other in (ctx.inputs, ctx.inputs[::-1]):
        known = text.const_value
        if known is not None and known.size == 1 and len(known.shape) <= (len(other.shape) if other.shape else 0):
            key = known.numpy().reshape(-1)[0]
            key = key.decode("utf-8") if isinstance(key, bytes) else str(key)
            found = ctx.op("LabelEncoder", other, keys_strings=[key], values_int64s=[1], default_int64=0)
            return ctx.op("Cast", found, to=ir.DataType.BOOL.value)
    return _same_number(ctx)


def _same_number(ctx: NodeContext) -> ir.Value:
    """Where two tensors of strings are equal: where they have the same number among all different ones."""
    shapes = [ctx.op("Shape", text) for text in ctx.inputs]
    rows = [ctx.op("Reshape", text, ctx.int64([-1])) for text in ctx.inputs]
    _, _, numbers, _ = ctx.builder.op_n("Unique", 4, ctx.op("Concat", *rows, axis=0), sorted=0)
    count = ctx.op("Shape", rows[0])
    parts = (
        ctx.op("Slice", numbers, ctx.int64([0]), count, ctx.int64([0])),
        ctx.op("Slice", numbers, count, ctx.int64([FAR]), ctx.int64([0])),
    )
    return ctx.op("Equal", *(ctx.op("Reshape", part, shape) for part, shape in zip(parts, shapes, strict=True)))


def _cased(action: str) -> OpFunction:
    def lower(ctx: NodeContext) -> ir.Value:
        """ASCII letters in the other case; a row more, since ONNX's op takes a vector that isn't empty."""
        if ctx.text("encoding", "") != "":
            raise RefusalError(
                f"encoding {ctx.text('encoding')!r}: letters beyond ASCII depend on the machine's locale"
            )
        x = ctx.inputs[0]
        flat = ctx.op("Reshape", x, ctx.int64([-1]))
        more = ctx.op("Concat", flat, ctx.const(np.array([""], object)), axis=0)
        cased = ctx.op("StringNormalizer", more, case_change_action=action, is_case_sensitive=1, locale="C")
        less = ctx.op("Slice", cased, ctx.int64([0]), ctx.int64([-1]), ctx.int64([0]))
        return ctx.op("Reshape", less, ctx.op("Shape", x))

    return lower


def as_string(ctx: NodeContext) -> ir.Value:
    """`AsString` of integers and truth values; how many digits of a float are written differs between runtimes."""
    plain = ctx.integer("width", -1) == -1 and ctx.text("fill", "") == ""
    x = ctx.inputs[0]
    if not plain:
        raise RefusalError("numbers filled up to a width")
    if x.dtype == ir.DataType.BOOL:
        return ctx.op("Where", x, ctx.const(np.array("true", object)), ctx.const(np.array("false", object)))
    if x.dtype not in _WHOLE:
        raise RefusalError("it writes floats, whose digits differ between runtimes")
    return ctx.op("Cast", x, to=ir.DataType.STRING.value)


def to_number(ctx: NodeContext) -> ir.Value:
    """`StringToNumber`."""
    wanted = ctx.element_type("out_type", 1)
    if wanted not in _NUMBERS:
        raise RefusalError(f"numbers of type {wanted.name.lower()}")
    return ctx.op("Cast", ctx.inputs[0], to=wanted.value)


def join(ctx: NodeContext) -> ir.Value:
    """`StringJoin`: elementwise, scalars broadcast; the separator is between two."""
    if not all(map(is_text, ctx.inputs)):
        raise RefusalError("it joins something else than strings")
    separator = ctx.text("separator", "")
    joined = ctx.inputs[0]
    for value in ctx.inputs[1:]:
        if separator:
            joined = ctx.op("StringConcat", joined, ctx.const(np.array(separator, object)))
        joined = ctx.op("StringConcat", joined, value)
    return joined


def full_match(ctx: NodeContext) -> ir.Value:
    """`StaticRegexFullMatch`, and `RegexFullMatch` of a known pattern: both sides use RE2."""
    if len(ctx.inputs) == 1:
        pattern = ctx.text("pattern")
    else:
        known = ctx.inputs[1].const_value
        if known is None or known.size != 1 or known.dtype != ir.DataType.STRING:
            raise RefusalError("the pattern depends on the model's inputs")
        pattern = known.numpy().reshape(-1)[0].decode("utf-8")
    return ctx.op("RegexFullMatch", ctx.inputs[0], pattern=pattern)


def bucket(ctx: NodeContext) -> ir.Value:
    """A hash of the string modulo the number of buckets, which is 0 where there is one."""
    if ctx.integer("num_buckets") != 1:
        raise RefusalError("ONNX has no such hash of strings; take the buckets' numbers as the input, by --input")
    shape = ctx.op("Shape", ctx.inputs[0])
    return ctx.op("ConstantOfShape", shape, value=np.zeros(1, np.int64))


OPS: dict[str, OpFunction] = {
    "AsString": as_string,
    "RegexFullMatch": full_match,
    "StaticRegexFullMatch": full_match,
    "StringJoin": join,
    "StringLower": _cased("LOWER"),
    "StringToHashBucket": bucket,
    "StringToHashBucketFast": bucket,
    "StringToHashBucketStrong": bucket,
    "StringToNumber": to_number,
    "StringUpper": _cased("UPPER"),
}

UNTRANSLATED = {
    "RegexReplace": "ONNX can't replace in strings",
    "StaticRegexReplace": "ONNX can't replace in strings",
    "StringLength": "ONNX can't tell the length of a string",
    "StringSplit": "ONNX splits strings into tensors without the places that TensorFlow gives",
    "StringSplitV2": "ONNX splits strings into tensors without the places that TensorFlow gives",
    "StringStrip": "ONNX can't strip strings",
    "Substr": "ONNX has no parts of strings",
}
"""What has no translation, and why."""
