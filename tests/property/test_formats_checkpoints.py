"""Checkpoints written by the test's own writer and read back; partitions of any kind."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from exporter.errors import CorruptError
from exporter.formats.checkpoint_v1 import open_v1
from exporter.formats.dtypes import DATA_TYPES, DataType
from exporter.formats.records import Array
from exporter.formats.tensor_bundle import open_bundle
from exporter.formats.tensor_slice import check_cover
from tests.hostile.bundle_writer import Bundle
from tests.hostile.v1_writer import V1File

NUMERIC = [kind for kind in DATA_TYPES.values() if kind.component and not kind.name.startswith("q")]
V1_TYPES = [kind for kind in NUMERIC if kind.number < 20 and kind.name != "bfloat16"]
SHAPES = nps.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)

Extents = tuple[tuple[int, int], ...]


@st.composite
def arrays(draw: st.DrawFn) -> Array:
    """An array of any type that a V2 checkpoint can hold."""
    kind = draw(st.sampled_from(NUMERIC))
    shape = draw(SHAPES)
    assert kind.dtype is not None
    count = int(np.prod(shape))
    raw = np.frombuffer(draw(st.binary(min_size=count * kind.itemsize, max_size=count * kind.itemsize)), np.uint8)
    if kind.name == "bool":
        return (raw > 127).reshape(shape)
    return kind.from_bytes(raw.copy()).reshape(shape)


def v1_arrays(kind: DataType) -> st.SearchStrategy[Array]:
    """Arrays of a type; their not-a-numbers are the plain one, as their bits may change on the way through a list."""
    assert kind.dtype is not None
    return nps.arrays(kind.dtype, SHAPES).map(lambda array: np.nan_to_num(array) if array.dtype.kind in "fc" else array)


@st.composite
def partitions(draw: st.DrawFn) -> tuple[tuple[int, ...], list[Extents]]:
    """A shape, and boxes that fill it: one box, cut in two at random places again and again."""
    shape = draw(nps.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=6))
    boxes: list[Extents] = [tuple((0, size) for size in shape)]
    for _ in range(draw(st.integers(0, 8))):
        box = boxes.pop(draw(st.integers(0, len(boxes) - 1)))
        axis = draw(st.integers(0, len(shape) - 1))
        start, length = box[axis]
        at = draw(st.integers(1, length - 1)) if length > 1 else 0
        pieces = ((start, at), (start + at, length - at)) if at else ((start, length),)
        boxes.extend((*box[:axis], piece, *box[axis + 1 :]) for piece in pieces)
    return shape, draw(st.permutations(boxes))


def same(left: Array, right: Array) -> bool:
    """Bit by bit."""
    return (left.dtype, left.shape, left.tobytes()) == (right.dtype, right.shape, right.tobytes())


@settings(max_examples=50, deadline=None)
@given(
    st.dictionaries(st.text(min_size=1, max_size=8).filter(lambda name: name[0] != "\0"), arrays(), max_size=6),
    st.integers(1, 3),
    st.booleans(),
    st.integers(1, 5),
)
def test_v2_round_trip(tensors: dict[str, Array], shards: int, big_endian: bool, per_block: int) -> None:
    """Any names, types and shapes, over any number of files and blocks, in both byte orders."""
    bundle = Bundle(shards=shards, big_endian=big_endian, per_block=per_block)
    for number, (name, array) in enumerate(tensors.items()):
        bundle.add(name, array, shard=number % shards)
    with tempfile.TemporaryDirectory() as folder:
        read = open_bundle(bundle.write(Path(folder) / "m"))
        assert list(read) == sorted(tensors)
        assert all(same(read.read(name), array) for name, array in tensors.items())


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(st.text(min_size=1, max_size=8), st.sampled_from(V1_TYPES).flatmap(v1_arrays), max_size=4))
def test_v1_round_trip(tensors: dict[str, Array]) -> None:
    """Any names and shapes, every type that TensorFlow could save in V1."""
    file = V1File()
    for name, array in tensors.items():
        file.add(name, array)
    with tempfile.TemporaryDirectory() as folder:
        read = open_v1(file.write(Path(folder) / "m"))
        assert list(read) == sorted(tensors)
        assert all(same(read.read(name), array) for name, array in tensors.items())


@settings(max_examples=60, deadline=None)
@given(partitions(), st.integers(1, 3))
def test_partitions_come_together(partition: tuple[tuple[int, ...], list[Extents]], shards: int) -> None:
    """However a variable was cut, both formats give the whole."""
    shape, parts = partition
    array = np.arange(np.prod(shape), dtype=np.int32).reshape(shape)
    bundle = Bundle(shards=shards)
    bundle.add_slices("w", array, parts)
    file = V1File()
    file.add("w", array, parts)
    with tempfile.TemporaryDirectory() as folder:
        assert same(open_bundle(bundle.write(Path(folder) / "m")).read("w"), array)
        assert same(open_v1(file.write(Path(folder) / "v1")).read("w"), array)


@settings(max_examples=100, deadline=None)
@given(partitions(), st.data())
def test_cover_is_exact(partition: tuple[tuple[int, ...], list[Extents]], data: st.DataObject) -> None:
    """A partition passes; with a box moved, dropped or doubled it passes only if it still covers each element once."""
    shape, parts = partition
    boxes = [tuple(slice(start, start + length) for start, length in part) for part in parts]
    check_cover(shape, boxes)
    number = data.draw(st.integers(0, len(boxes) - 1))
    axis = data.draw(st.integers(0, len(shape) - 1))
    length = boxes[number][axis].stop - boxes[number][axis].start
    start = data.draw(st.integers(0, shape[axis] - length))
    moved = (*boxes[number][:axis], slice(start, start + length), *boxes[number][axis + 1 :])
    for changed in (
        [*boxes[:number], *boxes[number + 1 :]],
        [*boxes, boxes[number]],
        [*boxes[:number], moved, *boxes[number + 1 :]],
    ):
        counts = np.zeros(shape, int)
        for box in changed:
            counts[box] += 1
        try:
            check_cover(shape, changed)
        except CorruptError:
            assert (counts != 1).any()
        else:
            assert (counts == 1).all()
