"""The ops on TensorArrays and TensorLists."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import onnx_ir as ir

from exporter.inference.control_flow.conditions import GUARDED
from exporter.ir.builder import Builder
from exporter.ir.dims import UNKNOWN, Dims, to_shape
from exporter.lower.tf.context import NodeContext, RefusalError
from exporter.lower.tf.dtypes import dtype_of_number
from exporter.lower.tf.lists import Operand, TensorList, merged_dims, same_number, tensor_of
from exporter.lower.tf.vectors import as_int64, cast, scalar, vector

__all__ = ["LIST_OPS", "PASSING", "SELECTS", "ListFunction", "list_of", "select"]

PASSING = frozenset({"Identity", "IdentityN", "StopGradient", "Snapshot", "PreventGradient"})
"""Ops that give on lists as they are."""

SELECTS = frozenset({"Select", "SelectV2"})

ListFunction = Callable[[NodeContext, tuple[Operand, ...]], Operand | tuple[Operand, ...]]
"""Lowers a node that takes or gives lists; the context has the tensors among its inputs only."""


def _is_all(ctx: NodeContext, indices: ir.Value, held: TensorList) -> bool:
    """Whether indices are 0, 1, ... to the end of the list."""
    known = ctx.builder.elements(indices)
    if known is not None and known.dtype != object:
        size = ctx.builder.elements(held.size)
        return bool(size is not None and np.array_equal(known, np.arange(known.size)) and np.all(size == known.size))
    node = indices.producer()
    if node is None or node.op_type != "Range":
        return False
    start, limit, delta = node.inputs
    assert start is not None
    assert limit is not None
    assert delta is not None
    fixed = [ctx.builder.elements(value) for value in (start, delta)]
    if fixed[0] is None or fixed[1] is None or np.any(fixed[0] != 0) or np.any(fixed[1] != 1):
        return False
    return same_number(ctx.builder, limit, held.size)


def _list(operand: Operand) -> TensorList:
    if not isinstance(operand, TensorList):
        raise RefusalError("it works on a TensorArray that something else than a TensorArray op has made")
    return operand


def _tensor(operand: Operand) -> ir.Value:
    if isinstance(operand, TensorList):
        raise RefusalError("it puts a TensorArray into another one")
    return operand


def _dtype(ctx: NodeContext, name: str) -> ir.DataType:
    number = ctx.integer(name)
    found = dtype_of_number(number)
    if found is None:
        raise RefusalError(f"a TensorArray of TensorFlow's element type {number}")
    return found


def _shape_attribute(ctx: NodeContext, name: str) -> Dims | None:
    sizes = ctx.node.attribute(name)
    return None if sizes is None else tuple(UNKNOWN if size is None else int(size) for size in sizes)


def _shape_input(ctx: NodeContext, value: Operand) -> Dims | None:
    """The element shape as a tensor: -1 is an unknown size, a scalar an unknown rank."""
    known, dims = ctx.builder.elements(_tensor(value)), ctx.shape(_tensor(value))
    if known is None:
        length = dims[0] if dims else None
        return (UNKNOWN,) * length if isinstance(length, int) else None
    if known.ndim == 0:
        return None
    return tuple(n if isinstance(n, ir.SymbolicDim) else UNKNOWN if n < 0 else int(n) for n in known)


def _opened(ctx: NodeContext, dims: Dims | None) -> Dims | None:
    batch = ctx.memory.batch
    return dims if batch is None else batch.element(ctx.builder, dims)


def _array(ctx: NodeContext, inputs: tuple[Operand, ...]) -> tuple[Operand, ...]:
    """`TensorArrayV3`."""
    size, dtype = scalar(ctx, _tensor(inputs[0])), _dtype(ctx, "dtype")
    grows = ctx.flag("dynamic_size", False)
    made = TensorList(size, dtype, _opened(ctx, _shape_attribute(ctx, "element_shape")), grows=grows)
    return made, made


def _reserve(ctx: NodeContext, inputs: tuple[Operand, ...]) -> Operand:
    """`TensorListReserve`."""
    size = scalar(ctx, _tensor(inputs[1]))
    return TensorList(size, _dtype(ctx, "element_dtype"), _opened(ctx, _shape_input(ctx, inputs[0])))


def _empty(ctx: NodeContext, inputs: tuple[Operand, ...]) -> Operand:
    """`EmptyTensorList`."""
    zero = ctx.const(np.zeros((), np.int32))
    return TensorList(zero, _dtype(ctx, "element_dtype"), _opened(ctx, _shape_input(ctx, inputs[0])), grows=True)


def _from_tensor(ctx: NodeContext, inputs: tuple[Operand, ...]) -> Operand:
    """`TensorListFromTensor`."""
    return _of(ctx, _tensor(inputs[0]))


def _of(ctx: NodeContext, whole: ir.Value) -> TensorList:
    return list_of(ctx.builder, whole)


def list_of(builder: Builder, whole: ir.Value) -> TensorList:
    """The rows of a tensor as a list."""
    dims = builder.shape(whole)
    size = builder.op("Cast", builder.op("Shape", whole, start=0, end=1), to=ir.DataType.INT32.value)
    size = builder.op("Reshape", size, builder.constant(np.zeros(0, np.int64)))
    if whole.dtype is None:
        raise RefusalError("the element type of a TensorArray is not known")
    return TensorList(size, whole.dtype, None if dims is None else dims[1:], whole)


def _get(ctx: NodeContext, held: TensorList, index: ir.Value) -> ir.Value:
    """One element; where nobody wants it, it may be one behind the end."""
    if ctx.node.attribute(GUARDED, False):
        last = ctx.op("Sub", cast(ctx, held.size, ctx.dtype(index)), ctx.const(np.ones((), ctx.numpy_dtype(index))))
        index = ctx.op("Min", index, last)
    return ctx.op("Gather", tensor_of(ctx.builder, held), index, axis=0)


def _set(ctx: NodeContext, held: TensorList, index: ir.Value, item: ir.Value) -> TensorList:
    """Writes one element."""
    element = merged_dims(held.element, ctx.shape(item))
    row = ctx.op("Unsqueeze", item, ctx.int64([0]))
    if held.grows or ctx.flag("resize_if_index_out_of_bounds", False):
        return _grown(ctx, replace(held, element=element), ctx.op("Reshape", as_int64(ctx, index), ctx.int64([1])), row)
    whole = tensor_of(ctx.builder, replace(held, element=element))
    place = ctx.op("Reshape", as_int64(ctx, index), ctx.int64([1, 1]))
    return replace(held, element=element, whole=ctx.op("ScatterND", whole, place, row))


def _scatter(ctx: NodeContext, held: TensorList, indices: ir.Value, value: ir.Value) -> TensorList:
    """Writes several elements."""
    dims = ctx.shape(value)
    element = merged_dims(held.element, None if dims is None else dims[1:])
    if held.grows or _exceeds(ctx, indices, held):
        return _grown(ctx, replace(held, element=element), as_int64(ctx, indices), value)
    if _is_all(ctx, indices, held):
        return replace(held, element=element, whole=value)
    whole = tensor_of(ctx.builder, replace(held, element=element))
    places = ctx.op("Unsqueeze", as_int64(ctx, indices), ctx.int64([1]))
    return replace(held, element=element, whole=ctx.op("ScatterND", whole, places, value))


def _exceeds(ctx: NodeContext, indices: ir.Value, held: TensorList) -> bool:
    """Whether some index is certainly behind the end."""
    known = [ctx.builder.elements(value) for value in (indices, held.size)]
    places, size = (None if x is None or x.dtype == object or not x.size else int(np.max(x)) for x in known)
    return places is not None and size is not None and places >= size


def _grown(ctx: NodeContext, held: TensorList, indices: ir.Value, rows: ir.Value) -> TensorList:
    """Writes elements to a list that gets as long as that takes, with zeros for what is left out."""
    dims = ctx.shape(rows)
    if dims is None:
        raise RefusalError("the rank of the tensors in a TensorArray is not known")
    size = ctx.op("Reshape", as_int64(ctx, held.size), ctx.int64([1]))
    known, places = ctx.builder.elements(size), ctx.builder.elements(indices)
    whole = held.whole
    if whole is None and known is not None and known.dtype != object and not known.any():
        follows = places is not None and places.dtype != object and list(places) == list(range(places.size))
        if follows:
            return replace(list_of(ctx.builder, rows), grows=True)
    if ctx.node.op == "TensorListScatterIntoExistingList":
        raise RefusalError("it writes behind the end of a TensorArray, and not from its start on")
    if whole is None:
        shape = ctx.op("Concat", size, ctx.op("Shape", rows, start=1), axis=0)
        whole = ctx.op("Expand", ctx.const(np.zeros((), held.dtype.numpy())), shape)
    if dims[0] == 1 and same_number(ctx.builder, indices, size):
        return _longer(ctx, held, dims, ctx.op("Concat", whole, rows, axis=0))
    last = ctx.op("ReduceMax", ctx.op("Concat", indices, ctx.int64([-1]), axis=0), ctx.int64([0]), keepdims=1)
    missing = ctx.op("Max", ctx.op("Sub", ctx.op("Add", last, ctx.int64([1])), size), ctx.int64([0]))
    rest = [0] * (len(dims) - 1)
    ends = ctx.op("Concat", ctx.int64([0, *rest]), missing, *([ctx.int64(rest)] if rest else []), axis=0)
    whole = ctx.op("Pad", whole, ends, ctx.const(np.zeros((), held.dtype.numpy())))
    return _longer(ctx, held, dims, ctx.op("ScatterND", whole, ctx.op("Unsqueeze", indices, ctx.int64([1])), rows))


def _longer(ctx: NodeContext, held: TensorList, rows: Dims, whole: ir.Value) -> TensorList:
    """A list that has grown; its elements are as those that were added."""
    element = merged_dims(held.element, rows[1:])
    whole.shape = to_shape((UNKNOWN, *(element or ())))
    return replace(list_of(ctx.builder, whole), element=element, grows=True)


def _gather(ctx: NodeContext, held: TensorList, indices: ir.Value) -> ir.Value:
    """Several elements as one tensor."""
    whole = tensor_of(ctx.builder, held)
    return whole if _is_all(ctx, indices, held) else ctx.op("Gather", whole, indices, axis=0)


def _split(ctx: NodeContext, value: Operand, lengths: Operand) -> TensorList:
    """Parts of a tensor along its first axis, all of one length."""
    whole, known = _tensor(value), ctx.builder.elements(_tensor(lengths))
    if known is None or known.dtype == object or not known.size or np.any(known != known.flat[0]):
        raise RefusalError("it splits a tensor into parts that may be of different sizes")
    sizes = ctx.int64([known.size, int(known.flat[0])])
    return _of(ctx, ctx.op("Reshape", whole, ctx.op("Concat", sizes, ctx.op("Shape", whole, start=1), axis=0)))


def _push(ctx: NodeContext, inputs: tuple[Operand, ...]) -> Operand:
    """`TensorListPushBack`."""
    held, item = _list(inputs[0]), _tensor(inputs[1])
    row = ctx.op("Unsqueeze", item, ctx.int64([0]))
    longer = row if held.whole is None else ctx.op("Concat", held.whole, row, axis=0)
    return replace(list_of(ctx.builder, longer), grows=True)


def _stack(ctx: NodeContext, inputs: tuple[Operand, ...]) -> Operand:
    """`TensorListStack`; it is told the shape too."""
    held = _list(inputs[0])
    return tensor_of(ctx.builder, replace(held, element=merged_dims(held.element, _shape_input(ctx, inputs[1]))))


def _concat(ctx: NodeContext, held: TensorList) -> tuple[Operand, ...]:
    """The elements one after the other along their first axis, and the size of each along that."""
    whole = tensor_of(ctx.builder, held)
    dims = ctx.shape(whole)
    if dims is None or len(dims) < 2 or (not isinstance(dims[1], int) and dims[1].value is None):
        raise RefusalError("it joins tensors that may be of different sizes")
    rest = ctx.op("Shape", whole, start=2)
    joined = ctx.op("Reshape", whole, ctx.op("Concat", ctx.int64([-1]), rest, axis=0))
    each = ctx.op("Shape", whole, start=1, end=2)
    return joined, ctx.op("Expand", each, ctx.op("Shape", whole, start=0, end=1))


def select(ctx: NodeContext, inputs: tuple[Operand, ...]) -> Operand:
    """`SelectV2` of two lists: what a condition on data makes of a write in one of its branches."""
    condition, yes, no = _tensor(inputs[0]), _list(inputs[1]), _list(inputs[2])
    element = merged_dims(yes.element, no.element)
    if not same_number(ctx.builder, yes.size, no.size) or yes.grows or no.grows:
        raise RefusalError("it chooses between TensorArrays of different sizes")
    wholes = [tensor_of(ctx.builder, replace(held, element=element)) for held in (yes, no)]
    return replace(yes, element=element, whole=ctx.op("Where", condition, *wholes))


def _length(ctx: NodeContext, held: TensorList) -> ir.Value:
    return cast(ctx, held.size, ir.DataType.INT32)


def _element_shape(ctx: NodeContext, inputs: tuple[Operand, ...]) -> Operand:
    """`TensorListElementShape`."""
    whole = tensor_of(ctx.builder, _list(inputs[0]))
    return cast(ctx, ctx.op("Shape", whole, start=1), ctx.element_type("shape_type", 3))


def _resize(ctx: NodeContext, inputs: tuple[Operand, ...]) -> Operand:
    """`TensorListResize`, where it changes nothing."""
    held = _list(inputs[0])
    if not same_number(ctx.builder, vector(ctx, _tensor(inputs[1])), held.size):
        raise RefusalError("it changes the size of a TensorArray")
    return held


LIST_OPS: dict[str, ListFunction] = {
    "EmptyTensorList": _empty,
    "TensorArrayConcatV3": lambda ctx, inputs: _concat(ctx, _list(inputs[1])),
    "TensorArrayGatherV3": lambda ctx, inputs: _gather(ctx, _list(inputs[2]), _tensor(inputs[1])),
    "TensorArrayReadV3": lambda ctx, inputs: _get(ctx, _list(inputs[2]), _tensor(inputs[1])),
    "TensorArrayScatterV3": lambda ctx, inputs: _scatter(ctx, _list(inputs[3]), _tensor(inputs[1]), _tensor(inputs[2])),
    "TensorArraySizeV3": lambda ctx, inputs: _length(ctx, _list(inputs[1])),
    "TensorArraySplitV3": lambda ctx, inputs: _split(ctx, inputs[1], inputs[2]),
    "TensorArrayV3": _array,
    "TensorArrayWriteV3": lambda ctx, inputs: _set(ctx, _list(inputs[3]), _tensor(inputs[1]), _tensor(inputs[2])),
    "TensorListConcatV2": lambda ctx, inputs: _concat(ctx, _list(inputs[0])),
    "TensorListElementShape": _element_shape,
    "TensorListFromTensor": _from_tensor,
    "TensorListGather": lambda ctx, inputs: _gather(ctx, _list(inputs[0]), _tensor(inputs[1])),
    "TensorListGetItem": lambda ctx, inputs: _get(ctx, _list(inputs[0]), _tensor(inputs[1])),
    "TensorListLength": lambda ctx, inputs: _length(ctx, _list(inputs[0])),
    "TensorListPushBack": _push,
    "TensorListReserve": _reserve,
    "TensorListResize": _resize,
    "TensorListScatterIntoExistingList": lambda ctx, inputs: _scatter(
        ctx, _list(inputs[0]), _tensor(inputs[2]), _tensor(inputs[1])
    ),
    "TensorListSetItem": lambda ctx, inputs: _set(ctx, _list(inputs[0]), _tensor(inputs[1]), _tensor(inputs[2])),
    "TensorListSplit": lambda ctx, inputs: _split(ctx, inputs[0], inputs[2]),
    "TensorListStack": _stack,
}
"""Every op on lists that has a translation."""
