"""Shapes as files state them, checked before anything is allocated for them."""

from __future__ import annotations

import math

from exporter.errors import CorruptError, LimitError
from exporter.formats import limits
from exporter.formats.tf_protos import TensorShapeProto

__all__ = ["check_shape", "shape_from_proto"]

_MOST_BYTES = 2**63
_LARGEST_ITEM = 16


def shape_from_proto(proto: TensorShapeProto) -> tuple[int, ...]:
    """The shape of a stored tensor, which has every dimension known.

    Raises:
        CorruptError: Unknown rank, a negative dimension, or more elements than memory has addresses.
        LimitError: Too many dimensions.
    """
    if proto.unknown_rank:
        raise CorruptError("a stored tensor of unknown rank")
    return check_shape(tuple([dim.size for dim in proto.dim]))


def check_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape itself, if an array of any type can have it; raises as `shape_from_proto` does."""
    if len(shape) > limits.MAX_RANK:
        raise LimitError(f"{len(shape)} dimensions; {limits.MAX_RANK} are allowed")
    if any(size < 0 for size in shape):
        raise CorruptError(f"a negative dimension in shape {list(shape)}")
    if math.prod([size for size in shape if size]) * _LARGEST_ITEM >= _MOST_BYTES:
        raise CorruptError(f"no memory has room for shape {list(shape)}")
    return shape
