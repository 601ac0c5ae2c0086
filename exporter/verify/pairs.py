"""Whether the files of an export belong together: the ONNX file, the weights that it keeps beside, and the bundle."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from exporter.errors import ChecksumError, CorruptError
from runtime import BundleError
from runtime.bundle import read_metadata
from runtime.pair import check_pair

if TYPE_CHECKING:
    import onnx

__all__ = ["check_data", "check_together"]

_HASH = re.compile(r"\.([0-9a-f]{32})\.data")
_PIECE = 1 << 24


def check_together(onnx_path: Path | None, npz_path: Path | None) -> None:
    """Refuses an ONNX file and a bundle of different exports; a bundle that can't be read is left to who reads it.

    Raises:
        CorruptError: They carry ids, and these differ.
    """
    if onnx_path is None or npz_path is None:
        return
    try:
        metadata = read_metadata(npz_path)
    except BundleError:
        return
    try:
        check_pair(npz_path, metadata, onnx_path)
    except BundleError as error:
        raise CorruptError(str(error)) from None


def check_data(path: Path, model: onnx.ModelProto) -> None:
    """Whether the files beside an ONNX file that are called after their contents have these.

    Raises:
        ChecksumError: One has others.
    """
    for name in sorted(_locations(model.graph.initializer)):
        found, data = _HASH.search(name), path.with_name(Path(name).name)
        if found is None or not data.is_file():
            continue
        content = hashlib.blake2b(digest_size=16)
        with data.open("rb") as file:
            while piece := file.read(_PIECE):
                content.update(piece)
        if content.hexdigest() != found[1]:
            message = f"its contents have the hash {content.hexdigest()}, which its name says is {found[1]}"
            raise ChecksumError(message, hint="Export again").within(f"file {data}")


def _locations(tensors: Iterable[onnx.TensorProto]) -> set[str]:
    return {entry.value for tensor in tensors for entry in tensor.external_data if entry.key == "location"}
