"""Inputs and outputs of the command line: images, summaries, files with the user's rights."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import runtime
from runtime.__main__ import main
from runtime.document import Value
from runtime.tools.files import PIXELS, read_feeds, summary
from tests.unit.runtime.make_bundle import members, pack
from tests.unit.runtime.test_describe import ARRAYS, PLAN

RGB = (Value("x", "float32", ("N", 2, 2, 3)),)


def _image(path: Path, size: tuple[int, int] = (2, 2), colour: tuple[int, int, int] = (255, 0, 51)) -> Path:
    image = pytest.importorskip("PIL.Image")
    image.new("RGB", size, colour).save(path)
    return path


@pytest.mark.parametrize(
    ("pixels", "expected"), [("0..255", [255, 0, 51]), ("0..1", [1, 0, 0.2]), ("-1..1", [1, -1, -0.6])]
)
def test_an_image_is_an_input(pixels: str, expected: list[float], tmp_path: Path) -> None:
    """Its pixels in the range that was asked for, channels last, one image."""
    given = read_feeds(RGB, str(_image(tmp_path / "a.png")), pixels)["x"]
    assert given.shape == (1, 2, 2, 3)
    assert given.dtype == np.float32
    np.testing.assert_allclose(given, np.broadcast_to(np.array(expected), (1, 2, 2, 3)), atol=1e-6)
    assert set(PIXELS) == {"0..255", "0..1", "-1..1"}


def test_an_image_of_another_size_is_resized_and_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only where the model takes one size alone."""
    path = str(_image(tmp_path / "a.png", (5, 7)))
    assert read_feeds(RGB, path)["x"].shape == (1, 2, 2, 3)
    assert "5 x 7 resized to 2 x 2" in capsys.readouterr().err
    assert read_feeds((Value("x", "float32", ("N", "H", None, 3)),), path)["x"].shape == (1, 7, 5, 3)
    assert capsys.readouterr().err == ""


def test_what_is_no_image_for_the_model_is_refused(tmp_path: Path) -> None:
    """A broken file, and a model that takes no images, each with what to do."""
    (tmp_path / "b.png").write_bytes(b"\x89PNG nothing")
    with pytest.raises(runtime.InputError, match=r"give an \.npz"):
        read_feeds((Value("x", "float32", ("N", 3)),), str(tmp_path / "b.png"))
    pytest.importorskip("PIL.Image")
    with pytest.raises(runtime.InputError, match="not a readable image"):
        read_feeds(RGB, str(tmp_path / "b.png"))


def test_without_a_file_the_outputs_are_summed_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The largest numbers of each row with their places."""
    (tmp_path / "m.npz").write_bytes(pack(members(PLAN, **ARRAYS)))
    np.save(tmp_path / "in.npy", np.ones((2, 4, 4, 2), np.float32))
    assert main([str(tmp_path / "m.npz"), str(tmp_path / "in.npy")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("y: float32 [2, 3], ")
    assert [line.split(":")[0].strip() for line in lines[1:]] == ["row 0", "row 1"]


def test_a_summary_puts_the_largest_first() -> None:
    """Of equal ones the first; single numbers and truth values as they are."""
    assert summary("y", np.array([[1, 5, 5, -2]], np.float32)).splitlines()[1] == "  row 0: 1: 5, 2: 5, 0: 1, 3: -2"
    assert summary("n", np.array([3], np.int64)) == "n: int64 [1] [3]"
    assert summary("b", np.array([True, False])) == "b: bool [2] [True, False]"
    assert summary("e", np.zeros((0, 3), np.float32)) == "e: float32 [0, 3]"


@pytest.mark.skipif(os.name != "posix", reason="rights of POSIX")
def test_an_output_file_has_the_rights_of_any_new_file(tmp_path: Path) -> None:
    """As the user's umask says; nothing else is left."""
    (tmp_path / "m.npz").write_bytes(pack(members(PLAN, **ARRAYS)))
    np.save(tmp_path / "in.npy", np.ones((1, 4, 4, 2), np.float32))
    before = os.umask(0o022)
    try:
        assert main([str(tmp_path / "m.npz"), str(tmp_path / "in.npy"), "-o", str(tmp_path / "out.npz")]) == 0
    finally:
        os.umask(before)
    assert (tmp_path / "out.npz").stat().st_mode & 0o777 == 0o644
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.npy", "m.npz", "out.npz"]
