"""A good V2 checkpoint, and edits that make it wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from exporter.formats.ordered_code import encode_slice_key
from exporter.formats.tensor_bundle import TensorBundle, open_bundle
from exporter.formats.tf_protos import BundleEntryProto
from tests.hostile.bundle_writer import Bundle

Edit = Callable[[Bundle], object]

KERNEL = np.arange(6, dtype=np.float32).reshape(2, 3)
TABLE = np.arange(12, dtype=np.int32).reshape(4, 3)
HALVES = (((0, 2), (0, -1)), ((2, 2), (0, -1)))


def good() -> Bundle:
    """A checkpoint of one tensor of each sort."""
    bundle = Bundle()
    bundle.add("kernel", KERNEL)
    bundle.add("labels", np.array([b"cat", b"", b"dog"], object))
    bundle.add_slices("table", TABLE, HALVES)
    return bundle


def read_all(prefix: Path) -> TensorBundle:
    """Opens a checkpoint and reads every tensor."""
    bundle = open_bundle(prefix)
    for name in bundle:
        bundle.read(name)
    return bundle


def part(number: int) -> bytes:
    """The key of a slice of `table`."""
    return encode_slice_key("table", HALVES[number])


def fields(key: bytes, **values: int) -> Edit:
    """Sets fields of the entry of a key."""

    def edit(bundle: Bundle) -> None:
        _set(bundle.entries[key], values)

    return edit


def kernel(**values: int) -> Edit:
    """Sets fields of the entry of `kernel`."""
    return fields(b"kernel", **values)


def header(**values: int) -> Edit:
    """Sets fields of the header."""
    return lambda bundle: _set(bundle.header, values)


def dims(*sizes: int, key: bytes = b"kernel", **values: int) -> Edit:
    """Gives an entry another shape, and sets fields of it."""

    def edit(bundle: Bundle) -> None:
        entry = bundle.entries[key]
        del entry.shape.dim[:]
        for dim in sizes:
            entry.shape.dim.add(size=dim)
        _set(entry, values)

    return edit


def raw(key: bytes, value: bytes) -> Edit:
    """Puts bytes in the place of an entry."""
    return lambda bundle: bundle.raw.update({key: value})


def without_header(bundle: Bundle) -> None:
    """Takes the header out of the index."""
    bundle.without_header = True


def slices(*parts: tuple[tuple[int, int], ...]) -> Edit:
    """Stores `table` in other slices."""

    def edit(bundle: Bundle) -> None:
        for number in (0, 1):
            del bundle.entries[part(number)]
        bundle.add_slices("table", TABLE, parts)

    return edit


def listed(start: int, length: int) -> Edit:
    """Says of the second slice of `table` that it has other rows, in the list and in its key."""

    def edit(bundle: Bundle) -> None:
        extent = bundle.entries[b"table"].slices[1].extent[0]
        extent.start, extent.length = start, length
        bundle.entries[encode_slice_key("table", ((start, length), (0, -1)))] = bundle.entries.pop(part(1))

    return edit


def listed_twice(bundle: Bundle) -> None:
    """Lists the first slice of `table` a second time."""
    whole = bundle.entries[b"table"]
    whole.slices.add().CopyFrom(whole.slices[0])


def flip(at: int) -> Edit:
    """Flips a bit of the data file."""

    def edit(bundle: Bundle) -> None:
        bundle.data[0][at] ^= 16

    return edit


def strings(stored: bytes) -> Edit:
    """Puts other bytes in the place of `labels`."""

    def edit(bundle: Bundle) -> None:
        _set(bundle.entries[b"labels"], {"offset": len(bundle.data[0]), "size": len(stored)})
        bundle.data[0] += stored

    return edit


def shared_range(bundle: Bundle) -> None:
    """A second tensor over the bytes of `kernel`."""
    bundle.entries[b"other"] = BundleEntryProto.FromString(bundle.entries[b"kernel"].SerializeToString())


def aliases(bundle: Bundle) -> None:
    """A thousand tensors over the same bytes."""
    for number in range(1000):
        bundle.raw[b"kernel%d" % number] = bundle.entries[b"kernel"].SerializeToString()


def self_slice(bundle: Bundle) -> None:
    """A slice that lists itself."""
    bundle.entries[part(0)].slices.add().CopyFrom(bundle.entries[b"table"].slices[0])


def orphan(key: bytes) -> Edit:
    """A copy of a slice under another key."""
    return lambda bundle: bundle.raw.update({key: bundle.entries[part(0)].SerializeToString()})


def _set(message: Any, values: dict[str, int]) -> None:
    for name, value in values.items():
        setattr(message, name, value)
