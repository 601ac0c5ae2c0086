"""Parts of tensors."""

from __future__ import annotations

import numpy as np
import pytest

from exporter.errors import CorruptError, LimitError
from exporter.formats import limits
from exporter.formats.tensor_slice import TensorSlice, apply_spec, check_cover, parse_spec, slice_from_proto
from exporter.formats.tf_protos import TensorSliceProto

ARRAY = np.arange(50).reshape(10, 5)


@pytest.mark.parametrize(
    ("spec", "index"),
    [
        ("", np.s_[:, :]),
        ("10 5 4,3:0,5", np.s_[4:7, 0:5]),
        ("10 5 4,3:-", np.s_[4:7]),
        ("10 5 -:-", np.s_[:, :]),
        ("10 5 -:2,1", np.s_[:, 2:3]),
    ],
)
def test_specs(spec: str, index: tuple[slice, ...]) -> None:
    """As restore operations have them."""
    np.testing.assert_array_equal(apply_spec(spec, ARRAY), ARRAY[index])


def test_parsed_spec() -> None:
    """Full shape and slice, which prints as it was written."""
    parsed = parse_spec("10 5 4,3:-")
    assert parsed is not None
    assert parsed[0] == (10, 5)
    assert str(parsed[1]) == "4,3:-"
    assert parse_spec("") is None


@pytest.mark.parametrize(
    "spec",
    [
        *("10 5", "10 5 ", "10 5 4,3", "10 5 4,3:0,6", "10 5 -4,3:-", "10 5 4,0:-", "10  5 -:-", "x 5 -:-", " "),
        *("10 5 4:-", "10 5 9,2:-", "10 -5 -:-", "10 5 -:-:-", "10 5 ٣,1:-", "99999999999999999999 1,1", "4 5 -:-"),
    ],
)
def test_no_specs(spec: str) -> None:
    """Another rank, out of range, something else, or of another shape."""
    with pytest.raises(CorruptError):
        apply_spec(spec, ARRAY)


def test_protos() -> None:
    """A length that is left out means all; what can't be a slice is refused."""
    proto = TensorSliceProto()
    proto.extent.add(start=4, length=3)
    proto.extent.add()
    assert slice_from_proto(proto) == TensorSlice(((4, 3), (0, -1)))
    for start, length in ((-1, 2), (0, -2), (3, None)):
        wrong = TensorSliceProto()
        wrong.extent.add(start=start, **({} if length is None else {"length": length}))
        with pytest.raises(CorruptError, match="a slice from"):
            slice_from_proto(wrong)
    for _ in range(limits.MAX_RANK):
        proto.extent.add()
    with pytest.raises(LimitError, match="34 dimensions"):
        slice_from_proto(proto)


def test_cover() -> None:
    """A regular grid, an irregular cut, one part, and empty tensors."""
    check_cover((4, 4), [np.s_[a : a + 2, b : b + 2] for a in (0, 2) for b in (0, 2)])
    check_cover((4, 4), [np.s_[0:1, 0:4], np.s_[1:4, 0:1], np.s_[1:4, 1:4]])
    check_cover((4, 4), [np.s_[0:4, 0:4]])
    check_cover((4, 0), [np.s_[0:2, 0:0], np.s_[2:4, 0:0]])
    check_cover((), [()])


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([], "cover 0 of 16"),
        ([np.s_[0:2, 0:4]], "cover 8 of 16"),
        ([np.s_[0:2, 0:4], np.s_[1:3, 0:4]], "overlap"),
        ([np.s_[0:4, 0:4], np.s_[0:4, 0:4]], "overlap"),
        ([np.s_[0:2, 0:2], np.s_[1:3, 1:3], np.s_[2:4, 0:2], np.s_[0:2, 2:4]], "overlap"),
    ],
)
def test_no_cover(parts: list[tuple[slice, ...]], words: str) -> None:
    """Gaps and overlaps, also those that make up for each other."""
    with pytest.raises(CorruptError, match=words):
        check_cover((4, 4), parts)


def test_cover_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of parts and the cells that their cuts make."""
    parts = [np.s_[a : a + 1, b : b + 1] for a in range(4) for b in range(4)]
    monkeypatch.setattr(limits, "MAX_SLICE_CELLS", 15)
    with pytest.raises(LimitError, match="16 cells"):
        check_cover((4, 4), parts)
    monkeypatch.setattr(limits, "MAX_SLICES", 15)
    with pytest.raises(LimitError, match="16 slices"):
        check_cover((4, 4), parts)
