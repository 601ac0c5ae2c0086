"""Constants in graphs: content, lists of values, and what is left out."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from exporter.errors import CorruptError, LimitError, UnsupportedError
from exporter.formats.dtypes import BY_NAME
from exporter.formats.tensor_proto import to_array
from exporter.formats.tf_protos import TensorProto


def proto(kind: str | int, shape: tuple[int, ...], **fields: Any) -> TensorProto:
    """A TensorProto."""
    made = TensorProto(dtype=BY_NAME[kind].number if isinstance(kind, str) else kind, **fields)
    made.tensor_shape.SetInParent()
    for size in shape:
        made.tensor_shape.dim.add(size=size)
    return made


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (proto("float", (2,), tensor_content=np.array([1, 2], np.float32).tobytes()), np.array([1, 2], np.float32)),
        (proto("float", (), float_val=[3]), np.float32(3)),
        (proto("float", (2, 2), float_val=[1, 2]), np.array([[1, 2], [2, 2]], np.float32)),
        (proto("float", (3,)), np.array([0, 0, 0], np.float32)),
        (proto("float", (0, 3)), np.zeros((0, 3), np.float32)),
        (proto("double", (2,), double_val=[1e300]), np.array([1e300, 1e300], np.float64)),
        (proto("int32", (2,), int_val=[-5, 2**31 - 1]), np.array([-5, 2**31 - 1], np.int32)),
        (proto("int8", (2,), int_val=[-128, 127]), np.array([-128, 127], np.int8)),
        (proto("uint16", (1,), int_val=[65535]), np.array([65535], np.uint16)),
        (proto("int64", (1,), int64_val=[-(2**63)]), np.array([-(2**63)], np.int64)),
        (proto("uint64", (1,), uint64_val=[2**64 - 1]), np.array([2**64 - 1], np.uint64)),
        (proto("uint32", (1,), uint32_val=[2**32 - 1]), np.array([2**32 - 1], np.uint32)),
        (proto("bool", (3,), bool_val=[True, False]), np.array([True, False, False])),
        (proto("half", (1,), half_val=[0x3C00]), np.array([1], np.float16)),
        (proto("bfloat16", (2,), half_val=[0x3F80]), np.array([1, 1], ml_dtypes.bfloat16)),
        (proto("complex64", (2,), scomplex_val=[1, 2]), np.array([1 + 2j, 1 + 2j], np.complex64)),
        (proto("complex128", (1,), dcomplex_val=[1, 2]), np.array([1 + 2j], np.complex128)),
        (proto("qint8", (1,), int_val=[-3]), np.array([-3], np.int8)),
        (proto("float8_e5m2", (2,), float8_val=b"\x3c\xbc"), np.array([1, -1], ml_dtypes.float8_e5m2)),
        (proto("int4", (2,), tensor_content=b"\x0e\x07"), np.array([-2, 7], ml_dtypes.int4)),
        (proto("int4", (2,), int_val=[-8, 7]), np.array([-8, 7], ml_dtypes.int4)),
        (proto(101, (1,), float_val=[1]), np.array([1], np.float32)),
    ],
)
def test_values(made: TensorProto, expected: Any) -> None:
    """Content is exact; of a list the last value repeats; nothing at all is zero."""
    array = to_array(made, what="node c")
    expected = np.asarray(expected)
    assert (array.dtype, array.shape) == (expected.dtype, expected.shape)
    assert array.tobytes() == expected.tobytes()


def test_strings() -> None:
    """An object array of bytes, whose last value repeats too."""
    array = to_array(proto("string", (3,), string_val=[b"a", b"\xff"]), what="node c")
    assert array.tolist() == [b"a", b"\xff", b"\xff"]
    assert to_array(proto("string", (2,)), what="node c").tolist() == [b"", b""]
    assert to_array(proto("string", (), string_val=[b"x"]), what="node c")[()] == b"x"


@pytest.mark.parametrize(
    "made",
    [
        proto("float", (2,), tensor_content=b"1234567"),
        proto("float", (2,), tensor_content=b"123456789012"),
        proto("string", (2,), tensor_content=b"ab"),
        proto("float", (2,), float_val=[1, 2, 3]),
        proto("float", (2,), int_val=[1, 2]),
        proto("float", (2,), string_val=[b"a"]),
        proto("float", (-1,), float_val=[1]),
        proto("float", (2**40, 2**40), float_val=[1]),
        proto("float", (2**62,), float_val=[1]),
        proto("int8", (1,), int_val=[300]),
        proto("uint8", (1,), int_val=[-1]),
        proto("int4", (1,), int_val=[8]),
        proto("half", (1,), half_val=[0x10000]),
        proto("half", (1,), half_val=[-1]),
        proto("complex64", (1,), scomplex_val=[1]),
        proto("bool", (2,), tensor_content=b"\x00\x02"),
        proto(0, (1,), float_val=[1]),
        proto(99, (1,), float_val=[1]),
    ],
)
def test_contradictions(made: TensorProto) -> None:
    """Type, shape and values that don't belong together are one class of error, which names the node."""
    with pytest.raises(CorruptError, match=r"^node c: "):
        to_array(made, what="node c")


def test_unknown_rank() -> None:
    """A constant has a shape."""
    made = proto("float", ())
    made.tensor_shape.unknown_rank = True
    with pytest.raises(CorruptError, match="unknown rank"):
        to_array(made, what="node c")


def test_bombs() -> None:
    """Eight bytes that stand for terabytes are refused before memory is taken."""
    with pytest.raises(LimitError, match="node c: 1 values stand for 1099511627776"):
        to_array(proto("float", (2**40,), float_val=[1]), what="node c")
    with pytest.raises(LimitError):
        to_array(proto("float", (2**40,)), what="node c")
    with pytest.raises(LimitError):
        to_array(proto("float", (26,), float_val=[1]), what="node c", limit=100)
    assert to_array(proto("float", (25,), float_val=[1]), what="node c", limit=100).size == 25


@pytest.mark.parametrize("number", [20, 21])
def test_no_arrays(number: int) -> None:
    """Resources and variants."""
    with pytest.raises(UnsupportedError, match="node c"):
        to_array(proto(number, ()), what="node c")
