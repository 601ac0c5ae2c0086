"""Programs of single nodes, without a file: the plan is written by hand."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from exporter.targets.npz_bundle import ModelPlan
from exporter.targets.numpy_program.program import program
from runtime.npy import escape

__all__ = ["evaluated", "namespace", "one_node", "source"]

Array = npt.NDArray[Any]


def one_node(
    op: str, inputs: Sequence[Array | None], attributes: Mapping[str, Any], outputs: int, constant: Sequence[int] = ()
) -> ModelPlan:
    """A plan of one node; the inputs with the numbers in `constant` are stored."""
    names = ["" if x is None else f"x{i}" for i, x in enumerate(inputs)]
    given = {f"x{i}": x for i, x in enumerate(inputs) if x is not None}
    arrays: dict[str, Array | ir.TensorProtocol] = {f"x{i}": given[f"x{i}"] for i in constant if f"x{i}" in given}
    encoded: dict[str, Any] = {}
    for key, value in attributes.items():
        if isinstance(value, np.ndarray):
            arrays[key] = value
        encoded[key] = {"array": key} if isinstance(value, np.ndarray) else value
    results = [f"y{i}" for i in range(outputs)]
    node = {"op": op, "name": "node", "inputs": names, "outputs": results, "attributes": encoded}
    return ModelPlan(
        [{"name": n, "dtype": x.dtype.name, "shape": list(x.shape)} for n, x in given.items() if n not in arrays],
        [{"name": name, "dtype": "float32", "shape": None} for name in results],
        [node],
        arrays,
        {name: (x.dtype.name, x.shape) for name, x in given.items()},
    )


def source(plan: ModelPlan) -> str:
    """The program with its weights inside."""
    file = io.BytesIO()
    arrays = {name: x if isinstance(x, np.ndarray) else x.numpy() for name, x in plan.arrays.items()}
    np.savez(file, allow_pickle=False, **{escape(name): array for name, array in arrays.items()})
    return program(plan, name="net", data=file.getvalue())


def namespace(text: str) -> dict[str, Any]:
    """What a program defines."""
    found: dict[str, Any] = {"__name__": "net"}
    exec(compile(text, "net.py", "exec"), found)
    return found


def evaluated(plan: ModelPlan, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
    """The results of a program for those of the inputs that it takes."""
    taken = [x for i, x in enumerate(inputs) if x is not None and f"x{i}" not in plan.arrays]
    result = namespace(source(plan))["run"](*taken)
    return result if isinstance(result, tuple) else (result,)
