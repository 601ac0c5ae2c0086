"""Bundles made by hand, right and wrong, without the exporter."""

from __future__ import annotations

import io
import json
import warnings
import zipfile
import zlib
from typing import Any

import numpy as np

from runtime.npy import escape, header

Array = Any

WEIGHT = np.arange(12, dtype=np.float32).reshape(4, 3)
BIAS = np.array([0.5, -1.0, 2.0], np.float32)


def document(**changes: Any) -> dict[str, Any]:
    """y = relu(x w + b) with x[N, 4]; `changes` replace keys."""
    plan: dict[str, Any] = {
        "format": "ckpt2onnx bundle",
        "version": 1,
        "producer": "by hand",
        "inputs": [{"name": "x", "dtype": "float32", "shape": ["N", 4]}],
        "outputs": [{"name": "y", "dtype": "float32", "shape": ["N", 3]}],
        "nodes": [node("Dense", ["x", "w", "b"], ["z"]), node("Relu", ["z"], ["y"])],
        "probes": [],
        "metadata": {},
    }
    return {**plan, **changes}


def node(op: str, inputs: list[str], outputs: list[str], **attributes: Any) -> dict[str, Any]:
    """A node called like its operator."""
    return {"op": op, "name": op.lower(), "inputs": inputs, "outputs": outputs, "attributes": attributes}


def npy(array: Array) -> bytes:
    """An array as a member's bytes."""
    return header(array.dtype.name, array.shape) + bytes(array.tobytes())


def entry(array: Array) -> dict[str, Any]:
    """An array's entry in the plan."""
    return {"dtype": array.dtype.name, "shape": list(array.shape), "crc32": zlib.crc32(npy(array))}


def members(plan: dict[str, Any] | bytes | None = None, **arrays: Array) -> dict[str, bytes]:
    """The members of a right bundle, w and b unless told otherwise, the plan last."""
    arrays = arrays or {"w": WEIGHT, "b": BIAS}
    plan = document() if plan is None else plan
    if isinstance(plan, dict):
        plan = {"arrays": {escape(name): entry(array) for name, array in arrays.items()}, **plan}
        plan = json.dumps(plan).encode()
    packed = {f"{escape(name)}.npy": npy(array) for name, array in arrays.items()}
    return {**packed, "__plan__.npy": header("uint8", [len(plan)]) + plan}


def pack(parts: dict[str, bytes] | list[tuple[str, bytes]], compression: int = zipfile.ZIP_STORED) -> bytes:
    """A zip of these members, duplicates allowed."""
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", compression) as archive:
        warnings.simplefilter("ignore")
        for name, content in parts.items() if isinstance(parts, dict) else parts:
            archive.writestr(zipfile.ZipInfo(name), content, compression)
    return file.getvalue()
