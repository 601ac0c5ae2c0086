"""The C program of a bundle that is there already, for the runtime's `build`."""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np

from exporter.errors import ExportError
from exporter.targets.c_program.folder import c_files
from exporter.targets.npz_bundle import ModelPlan
from runtime.bundle import PLAN, read
from runtime.errors import UnknownOpError
from runtime.npy import unescape

__all__ = ["c_files_of_bundle"]


def c_files_of_bundle(path: str | os.PathLike[str], prefix: str) -> dict[str, bytes]:
    """The contents of all files, as `c_files` gives them; weights in float16 are widened.

    Args:
        path: The bundle.
        prefix: What all names begin with.

    Raises:
        BundleError: It can't be used.
        UnknownOpError: There is no C code for something in it.
    """
    bundle = read(path)  # it is sound, so that NumPy may read it again
    with np.load(path, allow_pickle=False) as stored:
        plan: dict[str, Any] = json.loads(stored[PLAN].tobytes())
        arrays: dict[str, Any] = {
            unescape(member): stored[member].astype(info.get("widened", stored[member].dtype), copy=False)
            for member, info in plan["arrays"].items()
        }
    types: dict[str, tuple[str | None, tuple[int | str | None, ...] | None]] = {}
    model = ModelPlan(plan["inputs"], plan["outputs"], plan["nodes"], arrays, types)
    try:
        return c_files(model, prefix, bundle.probes)
    except ExportError as error:
        raise UnknownOpError(str(error)) from None
