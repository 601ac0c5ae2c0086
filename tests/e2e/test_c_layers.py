"""`verify NAME_c --against SOURCE` looks into the program: every layer is compared, and the first one off is named."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import exporter
from exporter.verify.model_files import verify_model
from tests.unit.targets.c_builds import built, needs

_SAMPLE = Path(__file__).parents[2] / "sample_ckpts" / "inception"

pytestmark = needs("cc", "make")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a program, with the bundle beside it."""
    folder = tmp_path_factory.mktemp("layers")
    exporter.export(_SAMPLE, folder / "net.onnx", to=["c"])
    return folder / "net_c"


def test_every_layer_is_compared(program: Path) -> None:
    """Those that the build keeps; all are within noise, in the optimised build."""
    verdict = verify_model(program, against=_SAMPLE)
    assert verdict.ok
    assert {check.engine for check in verdict.layers} == {"net_c, -O3 -march=native"}
    assert len(verdict.layers) >= 5
    assert verdict.share is not None


def test_the_first_layer_off_is_named(program: Path, tmp_path: Path) -> None:
    """Weights of a layer in the middle are others: it is off, those in front of it are good."""
    folder = tmp_path / "net_c"
    shutil.copytree(program, folder)
    shutil.copy(program.parent / "net.npz", tmp_path)
    content = (folder / "net.bin").read_bytes()
    weights = np.frombuffer(content[64:], np.float32).copy()
    weights[len(weights) // 2 :] *= np.float32(1.05)
    (folder / "net.bin").write_bytes(content[:64] + weights.tobytes())
    verdict = verify_model(folder, against=_SAMPLE)
    assert verdict.state == "off"
    assert verdict.first_off is not None
    assert verdict.first_off.behind
    assert any(check.ok for check in verdict.layers)


def test_a_build_that_shows_its_layers(program: Path) -> None:
    """The test prints a line for each where that is asked for, warning-free, and gives the same results."""
    plain = built(program, "CFLAGS=-O1 -Werror")
    shown = built(program, "CFLAGS=-O1 -Werror -DNET_TRACE")
    assert plain.returncode == shown.returncode == 0, shown.stderr
    lines = [line for line in shown.stdout.splitlines() if line.endswith(" ...")]
    assert len(lines) >= 10
    assert [line for line in shown.stdout.splitlines() if line not in lines] == plain.stdout.splitlines()
