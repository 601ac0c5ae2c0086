"""Values that the user gives to placeholders or other tensors: `--set NAME=VALUE`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from exporter.errors import UsageError
from exporter.formats.dtypes import dtype_of
from exporter.inference.findings import Findings
from exporter.inference.graph.names import find_tensor
from exporter.inference.graph.result_types import result_type
from exporter.inference.graph.rewriter import Rewriter
from exporter.report.decisions import Reason, Value

__all__ = ["apply_values"]


def apply_values(
    rewriter: Rewriter, values: Mapping[str, str], findings: Findings, openers: Iterable[Callable[[], None]] = ()
) -> None:
    """Puts a constant in the place of each named tensor; `openers` as in `find_tensor`.

    Raises:
        UsageError: There is no such tensor, or the text is no value of its type.
    """
    for name, text in values.items():
        ref = find_tensor(rewriter, name, what="--set", openers=openers)
        dtype = result_type(rewriter, rewriter.node(ref.node), ref.port)
        array = _parse(name, text, dtype_of(dtype))
        rewriter.redirect(ref, rewriter.constant(f"{ref.node}/set", array, dtype))
        findings.decide("value", str(ref), _nested(array.tolist()), Reason.SET_BY_USER)


def _nested(value: Any) -> Value:
    """A list of lists as tuples of tuples."""
    return tuple(_nested(item) for item in value) if isinstance(value, list) else value


def _parse(name: str, text: str, dtype: np.dtype[np.generic]) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    """`true`, `0.5`, `[1, 2]`: JSON, or Python's spelling of bools."""
    try:
        given = np.array(json.loads(text.lower() if text.lower() in ("true", "false") else text))
        if given.dtype.kind not in "biuf":
            raise ValueError(text)
        with np.errstate(over="ignore", invalid="ignore"):
            array = given.astype(dtype)
        lost = not np.array_equal(array, given) if dtype.kind in "biu" else (np.isinf(array) != np.isinf(given)).any()
        if lost:
            raise ValueError(text)
        return array
    except (ValueError, TypeError, RecursionError):
        raise UsageError(
            f"--set {name}={text}: that is no value of type {dtype}", hint="Write true, 0.5 or [1, 2]"
        ) from None
