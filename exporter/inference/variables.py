"""The variables of the inference function: all there, as the graph declares them, and checked when they are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from exporter.errors import CorruptError, MissingError, ValueInputError
from exporter.formats.dtypes import data_type
from exporter.formats.records import Array
from exporter.sources.graph import Graph
from exporter.sources.model import VARIABLE_OPS, SourceModel, Variable

__all__ = ["refuse_lost", "used_variables"]

_SHOWN = 40
_FED = 4


def refuse_lost(graph: Graph, variables: Mapping[str, Variable], source: SourceModel) -> None:
    """MissingError, naming all of them, if there are variables in a graph that the checkpoint has no value for."""
    lost = [node.name for node in graph if node.op in VARIABLE_OPS and node.name not in variables]
    if not lost:
        return
    if source.store is None:  # they can be fed where they are read
        reads = {str(node.inputs[0].node): node.name for node in reversed(list(graph)) if node.op == "ReadVariableOp"}
        more = f" and {len(lost) - _FED} more" if len(lost) > _FED else ""
        inputs = " ".join(f"--input {reads.get(name, name)}" for name in lost[:_FED]) + (" and so on" if more else "")
        raise MissingError(
            f"its graph has {len(lost)} variables without values that the model needs: {', '.join(lost[:_FED])}{more}",
            hint=f"Take them as inputs, {inputs}, or give the checkpoint that they are in",
        ).within(f"file {source.path}")
    keys = sorted({source.missing.get(name, name) for name in lost})
    shown = ", ".join(keys[:_SHOWN]) + (f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else "")
    raise MissingError(
        f"the model needs {len(keys)} tensors that the checkpoint hasn't got: {shown}",
        hint="Save tf.global_variables(), not tf.trainable_variables(), or give the checkpoint that they are in",
    ).within(f"checkpoint {source.path}")


def used_variables(graph: Graph, variables: Mapping[str, Variable]) -> dict[str, Variable]:
    """The variables of a graph by their nodes' names; reading one raises ValueInputError for NaN and infinity.

    Raises:
        CorruptError: One is stored with another type or shape than the graph's.
    """
    used: dict[str, Variable] = {}
    for node in graph:
        if node.op not in VARIABLE_OPS:
            continue
        variable = variables[node.name]
        declared, number = node.attribute("shape"), node.attribute("dtype")
        kind = variable.kind if number is None else data_type(number, reference=True).name
        sizes = variable.shape if declared is None else declared
        fits = len(sizes) == len(variable.shape)
        fits = fits and all(a in (None, b) for a, b in zip(sizes, variable.shape, strict=True))
        if not fits or kind != variable.kind:  # TensorFlow too refuses to restore it
            wanted = ", ".join("?" if size is None else str(size) for size in sizes)
            raise CorruptError(
                f"the checkpoint has {variable.kind} {list(variable.shape)}, and the graph's variable {node.name} is "
                f"{kind} [{wanted}]",
                hint="Give the graph and the weights of one and the same model",
            ).within(f"tensor {variable.key}")
        used[variable.node] = replace(variable, read=_checked(variable))
    return used


def _checked(variable: Variable) -> Callable[[], Array]:
    """The variable's own reader, which refuses NaN and infinity."""

    def read() -> Array:
        array = variable.read()
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            count = int(array.size - np.isfinite(array).sum())
            raise ValueInputError(
                f"{count} of its {array.size} values are NaN or infinite",
                hint="The training diverged; export an earlier checkpoint",
            ).within(f"tensor {variable.key}")
        return array

    return read
