"""A plan with all sizes fixed: run once on an example, which tells every shape and what doesn't depend on the input."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from exporter.errors import UsageError
from exporter.ir.half import HalfTensor
from exporter.targets.c_program.tracing import Step, Trace
from exporter.targets.npz_bundle import ModelPlan

__all__ = ["Fixed", "Op", "example_feeds", "specialise"]

_Array = npt.NDArray[Any]


Op = Step
"""A node that depends on the input, with its attributes decoded."""


@dataclass(frozen=True)
class Fixed:
    """A model at fixed sizes.

    Attributes:
        inputs, outputs: Their names, in order.
        ops: In the order in which they run.
        shapes: Of every value that an op reads or makes.
        types: The element type of each.
        constants: The values that don't depend on the input.
        example: An input and the output that belongs to it, by name.
        halves: The constants that are float16 numbers, where weights were rounded to these.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    ops: tuple[Op, ...]
    shapes: Mapping[str, tuple[int, ...]]
    types: Mapping[str, str]
    constants: Mapping[str, _Array]
    example: tuple[Mapping[str, _Array], Mapping[str, _Array]]
    halves: frozenset[str] = frozenset()


def example_feeds(plan: ModelPlan) -> dict[str, _Array]:
    """Random inputs, of batch size 1 where the size of the batch is open.

    Raises:
        UsageError: Another size is open.
    """
    feeds: dict[str, _Array] = {}
    random = np.random.default_rng(0)
    for value in plan.inputs:
        sizes = [1 if axis == 0 and not isinstance(n, int) else n for axis, n in enumerate(value["shape"] or [None])]
        if any(not isinstance(size, int) for size in sizes):
            raise UsageError(
                f"a C program needs all sizes, and those of the input {value['name']} are {value['shape']}",
                hint=f"Give them, as in --input {value['name']}=1,32,32,3",
            )
        feeds[value["name"]] = random.uniform(-1, 1, sizes).astype(value["dtype"])
    return feeds


def specialise(plan: ModelPlan, feeds: Mapping[str, _Array]) -> Fixed:
    """Runs the plan on an example; what is calculated from constants and shapes alone becomes constant itself.

    Loops become their steps, one after another.

    Raises:
        UnsupportedError: There is a loop whose number of steps depends on the input.
    """
    trace, names = Trace(plan, feeds), dict[str, str]()
    outputs = tuple(value["name"] for value in plan.outputs)
    inner = any(node["op"] in ("If", "Loop") for node in plan.nodes)
    reads = Counter([*outputs, *(name for node in plan.nodes for name in node["inputs"])])
    for node in plan.nodes:
        trace.run(node, names)
        reads.subtract(node["inputs"])
        for name in node["inputs"]:
            if reads[name] <= 0 and not inner:
                trace.forget(name)
    constants, shapes, types = trace.constants, trace.shapes, trace.types
    found = {name: trace.scope[name] for name in outputs}
    inputs = tuple(value["name"] for value in plan.inputs)
    ops = [op for step in trace.steps for op in _plainer(step, constants, shapes, types)]
    halves = _halves(ops, constants) if any(isinstance(held, HalfTensor) for held in plan.arrays.values()) else ()
    return Fixed(inputs, outputs, tuple(ops), shapes, types, constants, (dict(feeds), found), frozenset(halves))


def _halves(ops: Sequence[Op], constants: Mapping[str, _Array]) -> Iterator[str]:
    """The constants of more than one axis that lose nothing in float16, transposed and scaled ones included."""
    for name in dict.fromkeys(name for op in ops for name in op.inputs if name in constants):
        array = constants[name]
        if array.dtype == np.float32 and array.ndim > 1:
            with np.errstate(over="ignore"):
                if np.array_equal(array.astype(np.float16).astype(np.float32), array):
                    yield name


def _plainer(
    op: Op, constants: dict[str, _Array], shapes: dict[str, tuple[int, ...]], types: dict[str, str]
) -> list[Op]:
    """A Split as slices, a Gemm with constant weights as a dense layer, a Clip to bounds that aren't constant as Max
    and Min; anything else as it is."""

    def held(name: str, array: _Array) -> str:
        constants[name], shapes[name], types[name] = array, array.shape, array.dtype.name
        return name

    if op.op == "Clip" and any(name and name not in constants for name in op.inputs[1:]):
        return _bounded(op, shapes, types)

    if op.op == "Split":
        axis, at, slices = int(op.attributes.get("axis", 0)), 0, []
        for output in op.outputs:
            end = at + shapes[output][axis]
            bounds = [held(f"{output}/{key}", np.array([n])) for key, n in (("from", at), ("to", end), ("axis", axis))]
            slices.append(Op("Slice", op.name, (op.inputs[0], *bounds), (output,), {}))
            at = end
        return slices
    constant = op.op == "Gemm" and all(name in constants for name in op.inputs[1:] if name)
    constant = constant and types[op.inputs[0]] == "float32"
    if constant and not op.attributes.get("transA") and len(op.inputs) > 1:
        w = constants[op.inputs[1]] * np.float32(op.attributes.get("alpha", 1.0))
        weights = held(f"{op.name}/kernel", w.T if op.attributes.get("transB") else w)
        if len(op.inputs) < 3 or not op.inputs[2]:
            return [Op("Dense", op.name, (op.inputs[0], weights), op.outputs, {})]
        c = constants[op.inputs[2]] * np.float32(op.attributes.get("beta", 1.0))
        if c.size == 1 or c.shape[-1] == c.size:
            bias = held(f"{op.name}/bias", np.broadcast_to(c.reshape(-1), shapes[op.outputs[0]][-1:]).copy())
            return [Op("Dense", op.name, (op.inputs[0], weights, bias), op.outputs, {})]
    return [op]


def _bounded(op: Op, shapes: dict[str, tuple[int, ...]], types: dict[str, str]) -> list[Op]:
    bounds = [(kind, name) for kind, name in zip(("Max", "Min"), op.inputs[1:], strict=False) if name]
    made, value = [], op.inputs[0]
    for number, (kind, name) in enumerate(bounds):
        output = op.outputs[0] if number == len(bounds) - 1 else f"{op.outputs[0]}/{kind}"
        shapes[output], types[output] = shapes[op.outputs[0]], types[op.outputs[0]]
        made.append(Op(kind, op.name, (value, name), (output,), {}))
        value = output
    return made
