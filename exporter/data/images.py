"""A folder of images as the input of a model: of the size that it takes, in the range that its statistics tell of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir

from exporter.errors import FormatError, MissingError, UsageError
from exporter.formats.records import Array
from exporter.verify.inputs.exercise import InputUse, exercise
from runtime.tools.files import PIXELS

__all__ = ["Images", "image_files", "read_images"]

_SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".webp"})
_MOST = 16
_UNTOLD = "0..1"


@dataclass(frozen=True)
class Images:
    """What a model is fed.

    Attributes:
        feeds: [N, H, W, C], by the name of the input.
        pixels: The range of their pixels, a key of `PIXELS`.
        told: Whether the model tells the range.
        files: Those that were read.
    """

    feeds: dict[str, Array]
    pixels: str
    told: bool
    files: tuple[Path, ...]


def image_files(folder: Path) -> list[Path]:
    """At most 16 images of a folder, spread evenly over their sorted names.

    Raises:
        MissingError: There are none.
    """
    found = sorted(file for file in folder.iterdir() if file.suffix.lower() in _SUFFIXES and file.is_file())
    if not found:
        raise MissingError(
            f"there are no images in {folder}", hint=f"It takes files that end in {', '.join(sorted(_SUFFIXES))}"
        )
    return [found[i] for i in sorted({int(i) for i in np.linspace(0, len(found) - 1, _MOST)})]


def read_images(folder: Path, model: ir.Model) -> Images:
    """The images of a folder for the only input of an unfolded model, resized where that has another size.

    Their pixels are of 0 to 255, 0 to 1, or -1 to 1, whichever is nearest to what its first batch norms remember; a
    model that has none gets 0 to 1, one of integers 0 to 255.

    Raises:
        MissingError: There are none.
        FormatError: One can't be read.
        UsageError: The model takes something else than images, or Pillow isn't installed.
    """
    files, found = image_files(folder), exercise(model, count=1)
    use = found.inputs[0]
    if len(found.inputs) > 1 or len(use.shape) != 4 or use.shape[3] not in (1, 3):
        raise UsageError(
            f"--data {folder}: a folder of images is for a model of one input [N, height, width, 1 or 3]",
            hint="Give the inputs in an .npz",
        )
    own = found.sets[0].feeds[use.name]
    stack = _stack(files, own.shape[1:])
    first = next(value for value in model.graph.inputs if value.name == use.name)
    if first.shape is not None and isinstance(first.shape.dims[0], int):
        stack = np.resize(stack, own.shape)
    whole = own.dtype.kind in "iu"
    pixels = "0..255" if whole else _nearest(stack, use) if found.batch_norms else _UNTOLD
    scale, shift = PIXELS[pixels]
    feeds = {use.name: (stack * np.float32(scale) + np.float32(shift)).astype(own.dtype)}
    return Images(feeds, pixels, whole or bool(found.batch_norms), tuple(files))


def _stack(files: Sequence[Path], shape: tuple[int, ...]) -> Array:
    """[N, H, W, C], pixels of 0 to 255."""
    try:
        pillow: Any = import_module("PIL.Image")
    except ImportError as error:
        raise UsageError(
            f"images are read by Pillow, which can't be imported: {error}",
            hint="Install it with pip install 'ckpt2onnx[images]'",
        ) from None
    height, width, channels = shape
    arrays = []
    for file in files:
        try:
            with pillow.open(file) as opened:
                image = opened.convert("L" if channels == 1 else "RGB")
        except (OSError, ValueError, SyntaxError, pillow.DecompressionBombError) as error:
            raise FormatError(f"it is no image that can be read: {error}").within(f"file {file}") from None
        if image.size != (width, height):
            image = image.resize((width, height), pillow.Resampling.BILINEAR)
        arrays.append(np.asarray(image, np.float32).reshape(shape))
    return np.stack(arrays)


def _nearest(stack: Array, use: InputUse) -> str:
    """The range in which the images are most like what the statistics tell of."""
    offset, spread = float(np.mean(use.offset)), max(float(np.mean(use.spread)), 1e-12)

    def distance(name: str) -> float:
        scale, shift = PIXELS[name]
        own = max(float(stack.std()) * scale, 1e-12)
        return abs(float(stack.mean()) * scale + shift - offset) / spread + abs(float(np.log(own / spread)))

    return min(PIXELS, key=distance)
