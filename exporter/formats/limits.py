"""Bounds on what a file may ask for; all far above what real models hold, all checked before memory is taken."""

from __future__ import annotations

from typing import Final

__all__ = [
    "FREE_EXPANSION",
    "MAX_CONFIG_BYTES",
    "MAX_CONST_BYTES",
    "MAX_ENTRIES",
    "MAX_EXPANSION",
    "MAX_JSON_DEPTH",
    "MAX_KEY_BYTES",
    "MAX_PROTO_BYTES",
    "MAX_RANK",
    "MAX_SHARDS",
    "MAX_SLICES",
    "MAX_SLICE_CELLS",
    "MAX_SNAPPY_RATIO",
    "MAX_STATE_BYTES",
    "MAX_TEXT_BYTES",
]

MAX_KEY_BYTES: Final = 4096
"""Length of a key of a table, which is a tensor's name and a little more."""

MAX_ENTRIES: Final = 2_000_000
"""Entries of one table."""

MAX_RANK: Final = 32
"""Dimensions of a tensor."""

MAX_SHARDS: Final = 99_999
"""Data files of a checkpoint: the number has five digits in the files' names."""

MAX_SLICES: Final = 100_000
"""Parts of one partitioned variable."""

MAX_SLICE_CELLS: Final = 4_000_000
"""Cells of the grid that all cuts of a partitioned variable make; for a regular partition, its number of parts."""

MAX_SNAPPY_RATIO: Final = 64
"""Uncompressed over compressed bytes; the densest that snappy can say is a little over 21."""

MAX_PROTO_BYTES: Final = 2**31 - 1
"""One protobuf message; protobuf itself has this limit."""

MAX_CONST_BYTES: Final = 2**30
"""One constant of a graph once it is expanded: a stored value may stand for any number of elements."""

MAX_TEXT_BYTES: Final = 16 * 2**20
"""One constant of strings that is expanded: each is an object of its own, and is written by itself."""

FREE_EXPANSION: Final = 128 * 2**20
"""Bytes that all constants of a graph together, or all data of an HDF5 file, may expand to, however few are stored."""

MAX_EXPANSION: Final = 64
"""Bytes more that they may expand to, for each byte of the file."""

MAX_STATE_BYTES: Final = 16 * 2**20
"""The text file `checkpoint`."""

MAX_CONFIG_BYTES: Final = 256 * 2**20
"""A model's configuration as JSON text."""

MAX_JSON_DEPTH: Final = 100
"""Lists and objects inside each other in JSON text."""
