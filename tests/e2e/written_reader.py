"""A reader of bundles by somebody who has runtime/FORMAT.md and nothing else of the project.

It does what the samples need, in plain NumPy, and believes the file; what it doesn't have is a KeyError.
"""

from __future__ import annotations

import json
import re
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Model"]

Array = npt.NDArray[Any]


def _windows(x: Array, kernel: list[int], fields: Mapping[str, Any], fill: float) -> Array:
    """Return the windows of x [N, H, W, C] as [N, H', W', kh, kw, C]."""
    strides, dilations = fields.get("strides") or [1, 1], fields.get("dilations") or [1, 1]
    pads = fields.get("pads") or [0, 0, 0, 0]
    x = np.pad(x, [(0, 0), (pads[0], pads[2]), (pads[1], pads[3]), (0, 0)], constant_values=fill)
    out = [(n - d * (k - 1) - 1) // s + 1 for n, d, k, s in zip(x.shape[1:3], dilations, kernel, strides, strict=True)]
    rows, columns = (
        (np.arange(o) * s)[:, None] + np.arange(k) * d
        for o, s, k, d in zip(out, strides, kernel, dilations, strict=True)
    )
    return x[:, rows[:, None, :, None], columns[None, :, None, :]]


def _conv(fields: Mapping[str, Any], x: Array, w: Array, b: Array | None = None) -> Array:
    group = fields.get("group", 1)
    patches = _windows(x, list(w.shape[:2]), fields, 0.0)
    parts = zip(np.split(patches, group, -1), np.split(w, group, -1), strict=True)
    y = np.concatenate([np.einsum("nhwijc,ijcm->nhwm", patch, kernel) for patch, kernel in parts], -1)
    return y if b is None else y + b


def _conv_transpose(fields: Mapping[str, Any], x: Array, w: Array, b: Array | None = None) -> Array:
    assert fields.get("group", 1) == 1
    strides, pads = fields.get("strides") or [1, 1], fields.get("pads") or [0, 0, 0, 0]
    extra = fields.get("output_padding") or [0, 0]
    full = [s * (n - 1) + k for s, n, k in zip(strides, x.shape[1:3], w.shape[:2], strict=True)]
    y = np.zeros((len(x), full[0] + extra[0], full[1] + extra[1], w.shape[2]), x.dtype)
    for (i, j), taps in zip(np.ndindex(*w.shape[:2]), w.reshape(-1, *w.shape[2:]), strict=True):
        rows, columns = strides[0] * (x.shape[1] - 1) + 1, strides[1] * (x.shape[2] - 1) + 1
        y[:, i : i + rows : strides[0], j : j + columns : strides[1]] += x @ taps.T
    y = y[:, pads[0] : y.shape[1] - pads[2], pads[1] : y.shape[2] - pads[3]]
    return y if b is None else y + b


def _average_pool(fields: Mapping[str, Any], x: Array) -> Array:
    kernel = fields["kernel_shape"]
    ones = np.ones_like(x) if not fields.get("count_include_pad", 0) else None
    total = _windows(x, kernel, fields, 0.0).sum((3, 4))
    count = np.prod(kernel) if ones is None else _windows(ones, kernel, fields, 0.0).sum((3, 4))
    result: Array = total / count
    return result


def _softmax(fields: Mapping[str, Any], x: Array) -> Array:
    axis = fields.get("axis", -1)
    powers = np.exp(x - x.max(axis, keepdims=True))
    return np.asarray(powers / powers.sum(axis, keepdims=True))


def _reshape(fields: Mapping[str, Any], x: Array, shape: Array) -> Array:
    sizes = [x.shape[i] if n == 0 and not fields.get("allowzero", 0) else int(n) for i, n in enumerate(shape)]
    return x.reshape(sizes)


def _squeeze(fields: Mapping[str, Any], x: Array, axes: Array | None = None) -> Array:
    return x.squeeze() if axes is None else x.squeeze(tuple(int(axis) for axis in axes))


_OPERATORS: dict[str, Callable[..., Array]] = {
    "Add": lambda fields, a, b: a + b,
    "AveragePool": _average_pool,
    "Concat": lambda fields, *parts: np.concatenate(parts, fields["axis"]),
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Dense": lambda fields, x, w, b=None: x @ w if b is None else x @ w + b,
    "LeakyRelu": lambda fields, x: np.where(x >= 0, x, fields.get("alpha", 0.01) * x),
    "MaxPool": lambda fields, x: _windows(x, fields["kernel_shape"], fields, -np.inf).max((3, 4)),
    "Mul": lambda fields, a, b: a * b,
    "Relu": lambda fields, x: np.maximum(x, 0),
    "Reshape": _reshape,
    "Sigmoid": lambda fields, x: 1 / (1 + np.exp(-x)),
    "Softmax": _softmax,
    "Squeeze": _squeeze,
    "Tanh": lambda fields, x: np.tanh(x),
    "Transpose": lambda fields, x: x.transpose(fields.get("perm")),
}


class Model:
    """A bundle that was read as FORMAT.md says.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        with zipfile.ZipFile(path) as archive, np.load(path) as arrays:
            self._plan = json.loads(bytes(arrays["__plan__"]))
            assert self._plan["format"] == "ckpt2onnx bundle" and self._plan["version"] in (1, 3)
            for member, info in self._plan["arrays"].items():
                assert zlib.crc32(archive.read(f"{member}.npy")) == info["crc32"]
            self._arrays = {
                _unescaped(member): arrays[member].astype(info.get("widened", info["dtype"]))
                for member, info in self._plan["arrays"].items()
            }

    @property
    def probes(self) -> list[tuple[dict[str, Array], dict[str, Array], dict[str, float]]]:
        """The stored runs: inputs, outputs, and how far each output may be off."""
        return [
            (
                {name: self._arrays[key] for name, key in probe["inputs"].items()},
                {name: self._arrays[key] for name, key in probe["outputs"].items()},
                probe["tolerances"],
            )
            for probe in self._plan["probes"]
        ]

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Return the outputs by name."""
        values = {**self._arrays, **feeds}
        for node in self._plan["nodes"]:
            inputs = [values[name] if name else None for name in node["inputs"]]
            while inputs and inputs[-1] is None:
                inputs.pop()
            (name,) = node["outputs"]
            values[name] = _OPERATORS[node["op"]](node["attributes"], *inputs)
        return {output["name"]: values[output["name"]] for output in self._plan["outputs"]}


def _unescaped(member: str) -> str:
    """Return an array's name: `%` and two hexadecimal digits stand for a byte of its UTF-8."""
    pieces = re.split(r"%([0-9A-F]{2})", member)
    return b"".join(bytes.fromhex(p) if i % 2 else p.encode() for i, p in enumerate(pieces)).decode()
