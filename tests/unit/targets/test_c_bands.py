"""Chains of a C program that are calculated some rows at a time: the same numbers, in less memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exporter.targets.c_program.folder import c_files
from exporter.targets.npz_bundle import ModelPlan
from tests.unit.runtime.test_kernels_onnxruntime import f32
from tests.unit.targets.c_builds import SANITIZED, built, needs, written

pytestmark = needs("cc", "make")

SIZE = 40
WIDE = 64
"""Images of 40 x 40 x 64 are worth it."""

Step = tuple[str, list[str], str, dict[str, Any]]


def model(steps: list[Step], arrays: dict[str, Any], channels: int) -> ModelPlan:
    """From x to y."""
    nodes = [{"op": op, "name": y, "inputs": x, "outputs": [y], "attributes": a} for op, x, y, a in steps]
    inputs = [{"name": "x", "shape": ["N", SIZE, SIZE, channels], "dtype": "float32"}]
    return ModelPlan(inputs, [{"name": "y", "shape": None, "dtype": "float32"}], nodes, arrays, {})


def inverted(
    kernel: int, stride: int, first: int = 1, *, swish: bool = False, squeezed: bool = False, residual: bool = False
) -> ModelPlan:
    """A convolution, a depthwise one and one of single pixels; activations between, the input added at the end."""
    pads = {"pads": [kernel // 2] * 4 if stride == 1 else [0, 0, kernel - 1, kernel - 1]}
    arrays: dict[str, Any] = {
        "a": f32(first, first, 16, WIDE, scale=0.2),
        "b": f32(kernel, kernel, 1, WIDE, scale=0.2),
        "b0": f32(WIDE),
        "c": f32(1, 1, WIDE, 16, scale=0.2),
        "low": np.array(0, np.float32),
        "high": np.array(1, np.float32),
        "axes": np.array([1, 2]),
    }
    act: list[Step] = [("Sigmoid", ["e"], "s", {}), ("Mul", ["s", "e"], "f", {})]
    steps: list[Step] = [
        ("Conv", ["x", "a"], "e", {"pads": [first // 2] * 4}),
        *(act if swish else [("Clip", ["e", "low", "high"], "f", {})]),
        ("Conv", ["f", "b", "b0"], "d", {"group": WIDE, "strides": [stride, stride], **pads}),
        ("HardSwish", ["d"], "g", {}),
    ]
    deep = "g"
    if squeezed:
        steps += [("ReduceMean", ["g", "axes"], "m", {"keepdims": 1}), ("Mul", ["g", "m"], "h", {})]
        deep = "h"
    steps.append(("Conv", [deep, "c"], "p" if residual else "y", {}))
    steps += [("Add", ["p", "x"], "y", {})] if residual else []
    return model(steps, arrays, 16)


CHAINS = {
    "expand, depthwise, project": inverted(3, 1),
    "added to the input": inverted(3, 1, residual=True),
    "added to an input with zeros around": inverted(3, 1, first=3, residual=True),
    "of stride 2": inverted(3, 2),
    "of 5 x 5 after 3 x 3": inverted(5, 1, first=3, swish=True),
    "of 5 x 5 and stride 2": inverted(5, 2, swish=True),
    "squeezed": inverted(3, 1, swish=True, squeezed=True),
}


@pytest.mark.parametrize("vector, name", [*((1, name) for name in CHAINS), (0, "of 5 x 5 after 3 x 3")])
def test_bands_give_what_whole_images_give(vector: int, name: str, tmp_path: Path) -> None:
    """The stored example, which the runtime made, comes out: without warnings, and nothing undefined."""
    files = c_files(CHAINS[name], "net")
    assert b"rows at a time" in files["net.c"]
    done = built(written(files, tmp_path / "net_c"), f"CFLAGS={SANITIZED} -DNET_VECTOR={vector}")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_band_that_lacks_a_row_fails(tmp_path: Path) -> None:
    """What the last band reads of the one before matters."""
    files = c_files(CHAINS["expand, depthwise, project"], "net")
    wrong = files["net.c"].replace(b"if (i > 0) memmove", b"if (i < 0) memmove")
    assert wrong != files["net.c"]
    done = built(written({**files, "net.c": wrong}, tmp_path / "net_c"), "CFLAGS=-O1")
    assert done.returncode != 0


def test_wide_images_take_no_memory() -> None:
    """The arena holds less than one of the two images between the convolutions."""
    text = c_files(CHAINS["added to the input"], "net")["net.h"].decode()
    assert int(text.split("_ARENA_BYTES ")[1].split("u")[0]) < SIZE * SIZE * (16 + WIDE) * 4


def test_the_sum_of_a_convolution_and_its_input_is_not_made_over_the_input(tmp_path: Path) -> None:
    """A convolution that still reads the input can't put its result there."""
    steps: list[Step] = [
        ("Relu", ["x"], "r", {}),
        ("Conv", ["r", "a"], "c", {}),
        ("Add", ["c", "r"], "s", {}),
        ("Sigmoid", ["s"], "y", {}),
    ]
    files = c_files(model(steps, {"a": f32(1, 1, 48, 48, scale=0.2)}, 48), "net")
    done = built(written(files, tmp_path / "net_c"), f"CFLAGS={SANITIZED}")
    assert done.returncode == 0, done.stdout + done.stderr
