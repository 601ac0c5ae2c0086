"""Runs the nodes of a plan on an example, and notes which depend on its inputs; loops are run step by step."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from exporter.errors import UnsupportedError
from exporter.targets.npz_bundle import ModelPlan
from runtime.kernels import KERNELS

__all__ = ["Step", "Trace"]

_Array = npt.NDArray[Any]
_Node = Mapping[str, Any]
_Names = MutableMapping[str, str]

_MOST_STEPS = 5000
"""How many operations a program may have because of its loops."""


class Step(NamedTuple):
    """An operation that depends on the input."""

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]


class Trace:
    """What was computed so far.

    Attributes:
        scope: The values, by name.
        constants: Those that don't depend on the input.
        steps: The operations that give the others.
        shapes, types: Of all values, also of those that were forgotten.
    """

    def __init__(self, plan: ModelPlan, feeds: Mapping[str, _Array]) -> None:
        self._plan = plan
        self.constants: dict[str, _Array] = {
            name: held if isinstance(held, np.ndarray) else held.numpy() for name, held in plan.arrays.items()
        }
        self.scope: dict[str, _Array] = {**self.constants, **feeds}
        self.steps: list[Step] = []
        self.shapes = {name: array.shape for name, array in self.scope.items()}
        self.types = {name: array.dtype.name for name, array in self.scope.items()}
        self._depth = 0

    def run(self, node: _Node, names: _Names, suffix: str = "") -> None:
        """One node; `names` says what the values that it reads are called here, and learns what it gives.

        Raises:
            UnsupportedError: It is a loop whose length depends on the input, or has too many steps; or a condition
                whose sides give tensors of different shapes.
        """
        inputs = tuple(names.get(name, name) for name in node["inputs"])
        outputs = tuple(f"{name}{suffix}" for name in node["outputs"])
        names.update(zip(node["outputs"], outputs, strict=True))
        if node["op"] == "Loop":
            self._loop(node, inputs, outputs, names)
        elif node["op"] == "If":
            self._if(node, inputs, outputs, names)
        elif node["op"] == "Scan":
            raise UnsupportedError("a C program can't hold this model: Scan", hint="Use --to numpy or --to pyz")
        else:
            attributes = {key: self._decoded(value) for key, value in node["attributes"].items()}
            self._step(Step(node["op"], node["name"] + suffix, inputs, outputs, attributes))

    def _step(self, step: Step) -> None:
        given = [self.scope[name] if name else None for name in step.inputs]
        results = dict(zip(step.outputs, KERNELS[step.op](given, step.attributes), strict=False))
        for name, array in results.items():
            self._note(name, array)
        if step.op in ("Shape", "Size") or all(name in self.constants for name in step.inputs if name):
            self.constants.update(results)
            return
        self.steps.append(step)
        if self._depth:
            _check_steps(len(self.steps))

    def _decoded(self, value: Any) -> Any:
        if isinstance(value, dict) and "array" in value:
            held = self._plan.arrays[value["array"]]
            return held if isinstance(held, np.ndarray) else held.numpy()
        return float(value["float"]) if isinstance(value, dict) and "float" in value else value

    def _held(self, name: str, array: _Array) -> str:
        self.constants[name] = array
        self._note(name, array)
        return name

    def _note(self, name: str, array: _Array) -> None:
        self.scope[name], self.shapes[name], self.types[name] = array, array.shape, array.dtype.name

    def forget(self, name: str) -> None:
        """Lets go of a value that nobody reads any more."""
        if name not in self.constants:
            self.scope.pop(name, None)

    def _body(self, graph: Mapping[str, Any], given: Sequence[str], names: _Names, suffix: str) -> list[str]:
        """The outputs of a subgraph for these inputs."""
        own: dict[str, str] = {**names, **dict(zip(graph["inputs"], given, strict=True))}
        self._depth += 1
        for node in graph["nodes"]:
            self.run(node, own, suffix)
        self._depth -= 1
        return [own.get(name, name) for name in graph["outputs"]]

    def _loop(self, node: _Node, inputs: Sequence[str], outputs: Sequence[str], names: _Names) -> None:
        """Step by step, as many as there are; what is stacked is joined in the end."""
        count, condition, *state = inputs
        graph, place = node["attributes"]["body"]["graph"], outputs[0]
        if count and count not in self.constants:
            self._refuse_loop(node)
        limit = int(self.constants[count].reshape(-1)[0]) if count else None
        scans: list[list[str]] = []
        number = 0
        while (limit is None or number < limit) and self._goes_on(node, condition):
            _check_steps(number)
            suffix = f"@{number}" + (place[place.index("@") :] if "@" in place else "")
            step = self._held(f"{place}/step{suffix}", np.array(number, np.int64))
            going = self._held(f"{place}/going", np.array(True))
            condition, *results = self._body(graph, [step, going, *state], names, suffix)
            state = results[: len(state)]
            scans.append(results[len(state) :])
            number += 1
        for value, output in zip(state, outputs, strict=False):
            self._step(Step("Identity", node["name"], (value,), (output,), {}))
        for i, output in enumerate(outputs[len(state) :]):
            self._stack(node, [values[i] for values in scans], output)

    def _goes_on(self, node: _Node, condition: str) -> bool:
        if condition and condition not in self.constants:
            self._refuse_loop(node)
        return not condition or bool(self.constants[condition].reshape(-1)[0])

    def _refuse_loop(self, node: _Node) -> None:
        raise UnsupportedError(
            f"a C program can't hold this model: the number of steps of the loop {node['name']} depends on the input",
            hint="Use --to numpy or --to pyz",
        )

    def _stack(self, node: _Node, values: Sequence[str], output: str) -> None:
        if not values:
            self._held(output, np.zeros(0, np.float32))
            return
        axes = self._held(f"{output}/axes", np.array([0]))
        rows = [f"{output}/{number}" for number in range(len(values))]
        for value, row in zip(values, rows, strict=True):
            self._step(Step("Unsqueeze", node["name"], (value, axes), (row,), {}))
        self._step(Step("Concat", node["name"], tuple(rows), (output,), {"axis": 0}))

    def _if(self, node: _Node, inputs: Sequence[str], outputs: Sequence[str], names: _Names) -> None:
        """One side where that is known; else both, and what one of them gives."""
        (condition,) = inputs
        sides = [node["attributes"][key]["graph"] for key in ("then_branch", "else_branch")]
        suffix = outputs[0][outputs[0].index("@") :] if "@" in outputs[0] else ""
        if condition in self.constants:
            side = sides[0 if self.constants[condition].reshape(-1)[0] else 1]
            for value, output in zip(self._body(side, [], names, suffix), outputs, strict=True):
                self._step(Step("Identity", node["name"], (value,), (output,), {}))
            return
        results = [self._body(side, [], names, suffix) for side in sides]
        scalar = f"{outputs[0]}/condition"
        axes = self._held(f"{outputs[0]}/axes", np.arange(self.scope[condition].ndim))
        self._step(Step("Squeeze", node["name"], (condition, axes), (scalar,), {}))
        for a, b, output in zip(*results, outputs, strict=True):
            if self.scope[a].shape != self.scope[b].shape or self.scope[a].dtype != self.scope[b].dtype:
                raise UnsupportedError(
                    f"a C program can't hold this model: the sides of the condition {node['name']} give tensors of "
                    f"different shapes, {list(self.scope[a].shape)} and {list(self.scope[b].shape)}",
                    hint="Use --to numpy or --to pyz",
                )
            self._step(Step("Where", node["name"], (scalar, a, b), (output,), {}))


def _check_steps(count: int) -> None:
    if count > _MOST_STEPS:
        raise UnsupportedError(
            f"a C program can't hold this model: it has a Loop that would be more than {_MOST_STEPS} operations",
            hint="Use --to numpy or --to pyz",
        )
