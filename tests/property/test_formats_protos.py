"""TensorProto: whatever it says, an array of that shape or an error of ours."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.errors import CorruptError, LimitError, SourceError, UnsupportedError
from exporter.formats.dtypes import DATA_TYPES
from exporter.formats.tensor_proto import to_array
from exporter.formats.tensor_values import value_list
from exporter.formats.tf_protos import GraphDef, TensorProto, parse, parse_text

SHAPES = st.lists(st.integers(-1, 4), max_size=3)


@st.composite
def protos(draw: st.DrawFn) -> TensorProto:
    """A TensorProto with some of its fields set to something."""
    made = TensorProto(dtype=draw(st.integers(0, 35)), tensor_content=draw(st.binary(max_size=16)))
    for size in draw(SHAPES):
        made.tensor_shape.dim.add(size=size)
    small = st.lists(st.integers(0, 70000), max_size=4)
    made.int_val.extend(draw(small))
    made.half_val.extend(draw(small))
    made.float_val.extend(draw(st.lists(st.floats(width=32), max_size=4)))
    made.string_val.extend(draw(st.lists(st.binary(max_size=3), max_size=4)))
    made.scomplex_val.extend(draw(st.lists(st.floats(width=32), max_size=4)))
    return made


@settings(deadline=None)
@given(protos())
def test_anything(made: TensorProto) -> None:
    """An array of the shape and type that it states, or an error of ours."""
    try:
        array = to_array(made, what="x")
    except (CorruptError, LimitError, UnsupportedError):
        return
    assert array.shape == tuple(dim.size for dim in made.tensor_shape.dim)
    assert array.dtype == DATA_TYPES[made.dtype].dtype


@settings(deadline=None)
@given(st.sampled_from([1, 2, 3, 9, 6]), st.lists(st.integers(-100, 100), max_size=6), st.integers(0, 8))
def test_last_value_repeats(number: int, values: list[int], count: int) -> None:
    """Fewer values than elements: the last one; none: zero; more: an error."""
    made = TensorProto(dtype=number)
    made.tensor_shape.dim.add(size=count)
    getattr(made, value_list(DATA_TYPES[number]).name).extend(values)
    try:
        array = to_array(made, what="x")
    except CorruptError:
        assert len(values) > count
        return
    filled = (values + [values[-1] if values else 0] * count)[:count]
    np.testing.assert_array_equal(array, np.array(filled))


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes(data: bytes) -> None:
    """Bytes and texts that aren't messages give errors of ours."""
    for read in (parse, parse_text):
        try:
            read(GraphDef, data, what="x")
        except SourceError as error:
            assert str(error).startswith("x: ")


@settings(deadline=None)
@given(st.text(alphabet='node{}<>:"\\ \n0xattrkeyvalue[]', max_size=60))
def test_any_text(text: str) -> None:
    """Texts that look like messages, too."""
    try:
        parse_text(GraphDef, text, what="x")
    except SourceError as error:
        assert str(error).startswith("x: ")
