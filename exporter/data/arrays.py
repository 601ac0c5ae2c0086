"""Arrays by name in .npz files, as users give them and get them."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from exporter.errors import FormatError, MissingError, UsageError
from exporter.formats.records import Array

__all__ = ["named", "read_arrays", "read_data", "write_arrays"]


def read_arrays(path: Path) -> dict[str, Array]:
    """The arrays of an .npz by their names in it.

    Raises:
        MissingError: There is no such file.
        FormatError: It is no .npz of plain arrays.
    """
    if not path.is_file():
        raise MissingError(f"there is no file {path}")
    if not zipfile.is_zipfile(path):
        raise FormatError("it is no .npz file", hint="Write one with numpy.savez").within(f"file {path}")
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (ValueError, OSError, EOFError, AttributeError, KeyError, zipfile.BadZipFile) as error:
        raise FormatError(f"it is no .npz of plain arrays: {error}").within(f"file {path}") from None


def read_data(path: Path, inputs: Sequence[str]) -> dict[str, Array]:
    """The arrays of an .npz by their names, or that of an .npy, for a model of one input.

    Raises:
        MissingError: There is no such file.
        FormatError: It is neither.
        UsageError: It is an .npy, and the model has several inputs.
    """
    if not path.is_file():
        raise MissingError(f"there is no file {path}")
    with path.open("rb") as file:
        if file.read(6) != b"\x93NUMPY":
            return read_arrays(path)
    if len(inputs) != 1:
        raise UsageError(
            f"{path} holds one array, and the model has {len(inputs)} inputs", hint="Give an .npz with one for each"
        )
    try:
        return {inputs[0]: np.load(path, allow_pickle=False)}
    except (ValueError, OSError, EOFError) as error:
        raise FormatError(f"it is no .npy of plain numbers: {error}").within(f"file {path}") from None


def named(arrays: Mapping[str, Array], names: Iterable[str], group: str) -> dict[str, Array]:
    """The arrays of these names, as far as they are there; in recordings `x` may be called `input/x` or `output/x`.

    Args:
        arrays: By the names in a file.
        names: Of inputs or outputs of a model.
        group: `input` or `output`.
    """
    keys = {name: name if name in arrays else f"{group}/{name}" for name in names}
    return {name: arrays[key] for name, key in keys.items() if key in arrays}


def write_arrays(arrays: Mapping[str, Array], path: Path) -> None:
    """Writes an .npz; unlike `numpy.savez` with arrays of any names, `file` among them."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
