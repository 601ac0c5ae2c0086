"""The convolutions of well-known networks: which there are, and what a program does for each.

    python -m tests.bench.conv_shapes > tests/unit/runtime/recorded_choices.json

records what the engine does with the profile of one processor, AMD's Zen 4, which it was tuned on; a test compares. The
record was made on 30 November 2026 by the engine as it was before it had profiles: its lines are [x, kernel, strides,
pads, group, what is done by one thread, and by two].
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import partial
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np

from runtime.engine import Policy, Prepacked, Spec, compile_program
from runtime.engine.epilogue import Step
from runtime.engine.machine import ZEN_4
from runtime.engine.work_items import Shares
from runtime.plan import Graph, Node

__all__ = ["Shape", "done", "recorded", "shapes_of"]


class Shape(NamedTuple):
    """A convolution of one image.

    Attributes:
        x: [1, h, w, C].
        kernel: [kh, kw, C / group, M].
        strides, pads: As in the plan.
        group: 1, or C.
    """

    x: tuple[int, ...]
    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    pads: tuple[int, ...]
    group: int


class _Unfilled(Prepacked):
    """Weights that nobody multiplies with needn't be transformed."""

    def later(self, step: Step) -> None:
        """Forget the step."""


def done(shape: Shape, policy: Policy) -> str:
    """The kernel, and a digest of what is called, with the shapes and strides of the arrays."""
    weights = {"w": np.broadcast_to(np.float32(0), shape.kernel), "b": np.zeros(shape.kernel[-1], np.float32)}
    fields = {"strides": list(shape.strides), "pads": list(shape.pads), "group": shape.group}
    nodes = (Node("Conv", "c", ("x", "w", "b"), ("c",), fields), Node("Relu", "r", ("c",), ("y",)))
    specs = {"x": Spec(shape.x, np.dtype(np.float32))}
    program = compile_program(Graph(("x",), ("y",), nodes), weights, specs, _Unfilled(), policy)
    calls = "\n".join(line for _, step in program.steps for line in _lines(step))
    return f"{program.layers['c'].kernel} {blake2b(calls.encode(), digest_size=6).hexdigest()}"


def _lines(step: Step) -> Iterator[str]:
    if isinstance(step, Shares):
        for number, steps in enumerate(step.lists):
            yield f"share {number}"
            for each in steps:
                yield from _lines(each)
    elif isinstance(step, partial):
        arrays = [*step.args, *step.keywords.values()]
        seen = [f"{a.shape}{_steps(a)}" for a in arrays if isinstance(a, np.ndarray)]
        yield f"{getattr(step.func, '__name__', '')} {' '.join(seen)}"


def _steps(array: np.ndarray[Any, Any]) -> list[int]:
    """The strides that say anything: those of axes of one element depend on NumPy's version."""
    return [stride for size, stride in zip(array.shape, array.strides, strict=True) if size > 1]


def shapes_of(name: str) -> Iterator[Shape]:
    """The convolutions of a network of `tests.bench.nets`, for one image."""
    from tests.bench.nets import build

    model, _ = build(name)
    for node in model.graph:
        if node.op_type == "Conv":
            x, kernel = (_sizes(value) for value in node.inputs[:2])
            fields: dict[str, Sequence[int]] = {key: node.attributes[key].value for key in ("strides", "pads")}
            group: Any = node.attributes["group"].value
            yield Shape((1, *x[1:]), kernel, tuple(fields["strides"]), tuple(fields["pads"]), int(group))


def _sizes(value: Any) -> tuple[int, ...]:
    return tuple(1 if axis == 0 and not isinstance(size, int) else int(size) for axis, size in enumerate(value.shape))


_NETS = ("resnet50", "vgg16", "mobilenet_v2", "inception_v3", "densenet121", "efficientnet_b0")


def main() -> None:
    """Prints the record."""
    shapes = sorted({shape for name in _NETS for shape in shapes_of(name)})
    print("[\n" + ",\n".join(json.dumps([*shape, *recorded(shape)]) for shape in shapes) + "\n]")


def recorded(shape: Shape) -> list[str]:
    """What Zen 4's profile makes of it with one thread and with two."""
    return [done(shape, Policy("standard", threads, profile=ZEN_4)) for threads in (1, 2)]


if __name__ == "__main__":
    main()
