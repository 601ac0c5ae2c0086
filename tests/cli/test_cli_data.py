"""`verify --data`: recorded arrays, one array, or a folder of images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.cli.terminal import SAMPLES, Terminal

_SAMPLE = SAMPLES / "inception"


@pytest.fixture
def exported(terminal: Terminal) -> Terminal:
    """A terminal with an exported network of images."""
    assert terminal("export", _SAMPLE, "-o", "m.onnx").status == 0
    return terminal


def _recorded() -> npt.NDArray[Any]:
    with np.load(_SAMPLE / "recorded.npz") as recorded:
        return np.asarray(next(recorded[name] for name in recorded.files if name.startswith("input/")))


def _write_images(folder: Path, count: int) -> None:
    image = pytest.importorskip("PIL.Image", reason="needs Pillow")
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(count):
        pixels = random.integers(0, 256, (50, 60, 3), dtype=np.uint8)
        image.fromarray(pixels).save(folder / f"{number:02}.{'png' if number % 2 else 'jpg'}")


def test_one_array_is_the_input(exported: Terminal) -> None:
    """An .npy, for a model of one input."""
    np.save("x.npy", _recorded())
    ended = exported("verify", "m.onnx", "--against", _SAMPLE, "--data", "x.npy")
    assert (ended.status, ended.err) == (0, "")


def test_a_folder_of_images_is_fed(exported: Terminal) -> None:
    """Resized, in the range that the statistics tell of; the report names the files that were read."""
    _write_images(Path("photos"), 20)
    ended = exported("verify", "m.onnx", "--against", _SAMPLE, "--data", "photos", "--report", "page.json")
    assert (ended.status, ended.err) == (0, "")
    assert "16 images were fed, with pixels of " in ended.out
    assert Path("page.json").read_text(encoding="utf-8").count('"role": "data"') == 2 * 16


@pytest.mark.parametrize("mistake", ["no source", "no images", "no image", "cut array", "gone"])
def test_what_cannot_be_used_is_said(mistake: str, exported: Terminal) -> None:
    """Images without a source, a folder without images, an image that is none, an array that is cut short."""
    folder, status = Path("photos"), 3
    if mistake == "no images":
        folder.mkdir()
    elif mistake == "cut array":
        folder = Path("x.npy")
        np.save(folder, _recorded())
        folder.write_bytes(folder.read_bytes()[:200])
    elif mistake != "gone":
        _write_images(folder, 2)
        (folder / "00.jpg").write_bytes(b"no image")
        status = 2 if mistake == "no source" else 3
    source: list[str | Path] = [] if mistake == "no source" else ["--against", _SAMPLE]
    error = exported.fails("verify", "m.onnx", *source, "--data", folder, status=status)
    assert str(folder) in error


@pytest.mark.parametrize(("scale", "shift", "pixels"), [(1, 0, "0..255"), (1 / 255, 0, "0..1"), (2 / 255, -1, "-1..1")])
def test_the_range_of_pixels_is_told_by_the_statistics(scale: float, shift: float, pixels: str, tmp_path: Path) -> None:
    """Of three networks that differ in nothing but what their first batch norm has seen."""
    import onnx_ir as ir

    from exporter.data.images import read_images
    from exporter.ir.builder import Builder

    _write_images(tmp_path / "photos", 3)
    kernel = np.random.default_rng(1).standard_normal((3, 3, 3, 8)).astype(np.float32)
    b = Builder("m")
    y = b.op("Conv", b.input("x", ir.DataType.FLOAT, ("N", 32, 32, 3)), b.constant(kernel), None)
    mean = (127.5 * scale + shift) * kernel.sum((0, 1, 2))
    variance = (74 * scale) ** 2 * np.square(kernel).sum((0, 1, 2))
    parts = [np.ones(8), np.zeros(8), mean, variance]
    y = b.op("BatchNormalization", y, *(b.constant(part.astype(np.float32)) for part in parts))
    found = read_images(tmp_path / "photos", b.finish({"y": y}))
    assert (found.pixels, found.told) == (pixels, True)
    assert found.feeds["x"].shape == (3, 32, 32, 3)
    assert found.feeds["x"].max() <= 255 * scale + shift + 1e-6
