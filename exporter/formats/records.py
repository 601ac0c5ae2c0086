"""The records that every weight format is read into."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["Array", "TensorInfo", "TensorStore"]

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """What a file says of one stored tensor, before a byte of it is read.

    Attributes:
        name: The key it is stored under.
        dtype: The NumPy dtype of what `TensorStore.read` returns (bfloat16 and the small floats from `ml_dtypes`;
            strings as `object`), or None where the stored kind can be listed but not read (variants, resources).
        kind: The stored type in TensorFlow's spelling, as in `float`, `bfloat16`, `string`, `variant`.
        shape: Its full shape; for a partitioned variable that of the whole.
        nbytes: Bytes in the file.
    """

    name: str
    dtype: np.dtype[Any] | None
    kind: str
    shape: tuple[int, ...]
    nbytes: int


class TensorStore(Protocol):
    """Named tensors in a file or a set of files, read on demand; each one checked when read."""

    @property
    def description(self) -> str:
        """What it is, for people: `TensorFlow V2 checkpoint run/model.ckpt-1000 (2 shards)`."""
        ...

    def __contains__(self, name: object) -> bool: ...

    def __iter__(self) -> Iterator[str]:
        """The names, sorted."""
        ...

    def __len__(self) -> int: ...

    def info(self, name: str) -> TensorInfo:
        """What is known of a tensor without reading it; MissingError if there is none of that name."""
        ...

    def read(self, name: str) -> Array:
        """The tensor, freshly allocated, C order, native byte order; a SourceError says what is wrong with it."""
        ...
