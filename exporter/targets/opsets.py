"""Which opsets can be written, and what an opset can't say, by onnx's own schemas."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

import onnx
import onnx_ir as ir

from exporter.errors import UnsupportedError, UsageError
from exporter.ir.ops import ML, ML_OPSET, domain_of

__all__ = ["DEFAULT_OPSET", "OLDEST_OPSET", "check_opset", "ir_version", "newest_opset"]

OLDEST_OPSET = 13
DEFAULT_OPSET = 17


def newest_opset() -> int:
    """The newest opset that the installed onnx knows."""
    return int(onnx.defs.onnx_opset_version())


def ir_version(opset: int) -> int:
    """The oldest version of the file format that may hold this opset. UsageError for one that can't be written."""
    if not OLDEST_OPSET <= opset <= newest_opset():
        raise UsageError(
            f"opset {opset} can't be written, only {OLDEST_OPSET} to {newest_opset()}, "
            f"the newest that the installed onnx {onnx.__version__} knows",
            hint="Choose one of these with --opset",
        )
    return int(onnx.helper.find_min_ir_version_for([onnx.helper.make_opsetid("", opset)]))


def check_opset(nodes: Iterable[ir.Node], opset: int) -> None:
    """UnsupportedError, naming all, if there are ops, attributes or element types that an opset doesn't have."""
    problems: dict[str, list[str]] = {}
    for node in nodes:
        for problem in _problems(node, opset):
            problems.setdefault(problem, []).append(node.name or node.op_type)
    if problems:
        listed = []
        for problem, names in sorted(problems.items()):
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            listed.append(f"{problem} (node {', '.join(names[:3])}{more})")
        which = "another one" if opset < newest_opset() else "an older one"
        raise UnsupportedError(f"opset {opset} has no {'; '.join(listed)}", hint=f"Choose {which} with --opset")


def _problems(node: ir.Node, opset: int) -> Iterator[str]:
    schema = _schema(node.op_type, opset)
    if schema is None:
        yield node.op_type
        return
    for name, attribute in node.attributes.items():
        if name not in schema.attributes:
            yield f"attribute {name} of {node.op_type}"
        elif _YOUNGER_VALUES.get((node.op_type, name, str(attribute.value)), 0) > opset:
            yield f"{name}={attribute.value} of {node.op_type}"
    if len(node.inputs) > schema.max_input:
        yield f"{node.op_type} with {len(node.inputs)} inputs"
    for i, value in enumerate(node.inputs):
        if value is not None and value.dtype is not None and value.dtype not in _types(node.op_type, opset, i):
            yield f"{node.op_type} of {value.dtype.name.lower()}"


@lru_cache(maxsize=1024)
def _schema(op_type: str, opset: int) -> onnx.defs.OpSchema | None:
    try:
        if domain_of(op_type) == ML:
            return onnx.defs.get_schema(op_type, ML_OPSET, ML)
        return onnx.defs.get_schema(op_type, opset)
    except onnx.defs.SchemaError:
        return None


@lru_cache(maxsize=4096)
def _types(op_type: str, opset: int, index: int) -> frozenset[ir.DataType]:
    """The element types that an input may have."""
    schema = _schema(op_type, opset)
    if schema is None or not schema.inputs:
        return frozenset()
    formal = schema.inputs[min(index, len(schema.inputs) - 1)]
    names = {name.removeprefix("tensor(").removesuffix(")").upper() for name in formal.types}
    return frozenset(dtype for dtype in ir.DataType if dtype.name in names)


_YOUNGER_VALUES = {
    ("Pad", "mode", "wrap"): 19,
    ("Resize", "coordinate_transformation_mode", "half_pixel_symmetric"): 19,
    ("ScatterElements", "reduction", "max"): 18,
    ("ScatterElements", "reduction", "min"): 18,
    ("ScatterND", "reduction", "max"): 18,
    ("ScatterND", "reduction", "min"): 18,
}
"""Values that came later than the attribute, which a schema doesn't tell."""
