"""Files of inputs and outputs on the command line: arrays, images, and what a person reads of a result."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from runtime.budget import FREE_BYTES, PER_BYTE
from runtime.document import Value
from runtime.errors import FAILURES, InputError
from runtime.kernels.base import Array
from runtime.npy import escape, unescape

__all__ = ["PIXELS", "read_feeds", "summary", "write_arrays"]

PIXELS = {"0..255": (1.0, 0.0), "0..1": (1 / 255, 0.0), "-1..1": (1 / 127.5, -1.0)}
"""What a pixel of 0 to 255 is multiplied by, and what is added then."""

_IMAGES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".webp")
_ROWS, _LARGEST = 4, 5


def read_feeds(inputs: Sequence[Value], path: str, pixels: str = "0..255") -> dict[str, Array]:
    """Read the arrays for a model's inputs, by name.

    Args:
        inputs: The inputs.
        path: An .npz with an array for each; for a model of one input also an .npy, or an image, which needs Pillow.
        pixels: How an image is given, a key of `PIXELS`.

    Raises:
        InputError: The file isn't there, or is none of these.
    """
    from zipfile import BadZipFile
    from zlib import error as ZlibError  # noqa: N812

    if not Path(path).is_file():
        raise InputError(f"{path}: {'not a regular file' if Path(path).exists() else 'no such file'}")
    if Path(path).suffix.lower() in _IMAGES:
        return _read_image(inputs, path, pixels)
    with Path(path).open("rb") as file:
        if not file.read(6).startswith((b"PK", b"\x93NUMPY")):
            raise InputError(f"{path}: neither an .npz nor an .npy file; numpy.savez writes one")
    try:
        found = np.load(path, allow_pickle=False)
        if isinstance(found, np.ndarray):
            return {inputs[0].name if inputs else "": found}
        with found:
            size = sum(info.file_size for info in found.zip.infolist())
            if size > FREE_BYTES + PER_BYTE * Path(path).stat().st_size:
                raise InputError(f"{path}: its arrays claim to expand to {size} bytes")
            return {unescape(name): np.asarray(found[name]) for name in found.files}
    except (*FAILURES, BadZipFile, EOFError, OSError, ZlibError) as error:
        raise InputError(f"{path}: not a readable .npz or .npy: {error}"[:2000]) from error


def _read_image(inputs: Sequence[Value], path: str, pixels: str) -> dict[str, Array]:
    """Return an image as [1, height, width, channels], resized where the model takes one size alone, which is said."""
    shape = inputs[0].shape if len(inputs) == 1 else None
    if shape is None or len(shape) != 4 or shape[3] not in (1, 3):
        raise InputError(f"{path}: an image is for a model of one input [N, height, width, 1 or 3]; give an .npz")
    try:
        image_module: Any = import_module("PIL.Image")  # by name: the runtime needs NumPy alone
    except ImportError as error:
        raise InputError(f"{path}: images are read by Pillow, which isn't here: pip install pillow") from error
    try:
        with image_module.open(path) as file:
            image = file.convert("L" if shape[3] == 1 else "RGB")
    except (OSError, ValueError, SyntaxError, image_module.DecompressionBombError) as error:
        raise InputError(f"{path}: not a readable image: {error}"[:2000]) from error
    width, height = (want if isinstance(want, int) else own for want, own in zip((shape[2], shape[1]), image.size))
    if (width, height) != image.size:
        print(f"{path}: {image.width} x {image.height} resized to {width} x {height}", file=sys.stderr)
        image = image.resize((width, height), image_module.Resampling.BILINEAR)
    scale, shift = PIXELS[pixels]
    array = np.asarray(image, np.float32).reshape(1, height, width, shape[3]) * np.float32(scale) + np.float32(shift)
    return {inputs[0].name: array.astype(inputs[0].dtype)}


def summary(name: str, array: Array) -> str:
    """Return an output as text: its range, and of rows of numbers the largest with their places."""
    kind = f"{name}: {array.dtype} {list(array.shape)}"
    if not array.size:
        return kind
    if array.size == 1 or array.dtype.kind not in "iuf":
        return f"{kind} {array.reshape(-1)[: _LARGEST * _ROWS].tolist()}"
    lines = [f"{kind}, {np.min(array):.6g} to {np.max(array):.6g}"]
    if 1 < array.ndim <= 2:
        for number, row in enumerate(array[:_ROWS]):
            places = np.argsort(-row.astype(np.float64), kind="stable")[:_LARGEST]
            lines.append(f"  row {number}: " + ", ".join(f"{place}: {row[place]:.6g}" for place in places))
    return "\n".join(lines)


def write_arrays(path: str, arrays: Mapping[str, Array]) -> None:
    """Write an .npz beside the target and move it there, so that the target is whole or untouched."""
    import zipfile

    temporary = Path(f"{path}.{os.getpid()}.part")

    try:
        try:
            with temporary.open("xb") as file, zipfile.ZipFile(file, "w") as archive:
                for name, array in arrays.items():
                    with archive.open(f"{escape(name)}.npy", "w", force_zip64=True) as member:
                        np.lib.format.write_array(member, array, allow_pickle=False)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InputError(f"{path}: can't be written: {error.strerror or error}") from error
