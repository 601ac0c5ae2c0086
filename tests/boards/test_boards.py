"""Networks of a device's size on emulated boards, with exactly the arena that the header says."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from exporter.targets.c_program.folder import c_files
from exporter.targets.npz_bundle import ModelPlan
from tests.unit.runtime.test_kernels_onnxruntime import f32, i64
from tests.unit.targets.c_builds import needs, written

pytestmark = needs("arm-none-eabi-gcc", "qemu-system-arm")

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Board:
    """A board that QEMU knows, what its processor is to the compiler, and where its memory is."""

    machine: str
    flags: str
    code: int = 0
    ram: int = 0x20000000
    size: str = "4M"


_SINGLE = "-mfloat-abi=hard -mfpu=fpv4-sp-d16"
BOARDS = {
    "M3": Board("mps2-an385", "-mcpu=cortex-m3"),
    "M4F": Board("mps2-an386", f"-mcpu=cortex-m4 {_SINGLE}"),
    "M7": Board("mps2-an500", "-mcpu=cortex-m7 -mfloat-abi=hard -mfpu=fpv5-sp-d16"),
    "M33": Board("mps2-an505", "-mcpu=cortex-m33 -mfloat-abi=hard -mfpu=fpv5-sp-d16", 0x10000000, 0x38000000),
    "M55": Board("mps3-an547", "-mcpu=cortex-m55 -mfloat-abi=hard", size="512K"),
}


def digits() -> ModelPlan:
    """28 x 28 pixels, two convolutions with pools, two dense layers."""
    pads: dict[str, Any] = {"pads": [1, 1, 1, 1]}
    pool = {"kernel_shape": [2, 2], "strides": [2, 2]}
    arrays = {"a": f32(3, 3, 1, 8), "b": f32(3, 3, 8, 16), "s": i64(1, 784), "c": f32(784, 32), "d": f32(32, 10)}
    steps: list[tuple[str, list[str], dict[str, Any]]] = [
        ("Conv", ["x", "a"], pads),
        ("Relu", ["y1"], {}),
        ("MaxPool", ["y2"], pool),
        ("Conv", ["y3", "b"], pads),
        ("Relu", ["y4"], {}),
        ("MaxPool", ["y5"], pool),
        ("Reshape", ["y6", "s"], {}),
        ("Dense", ["y7", "c"], {}),
        ("Relu", ["y8"], {}),
        ("Dense", ["y9", "d"], {}),
        ("Softmax", ["y10"], {"axis": -1}),
    ]
    return _plan([1, 28, 28, 1], arrays, steps)


def keywords() -> ModelPlan:
    """49 x 10 coefficients of speech, a convolution, depthwise and pointwise ones, a mean and a dense layer."""
    arrays: dict[str, Any] = {"a": f32(10, 4, 1, 32), "axes": i64(1, 2), "d": f32(32, 12)}
    steps: list[tuple[str, list[str], dict[str, Any]]] = [
        ("Conv", ["x", "a"], {"auto_pad": "SAME_UPPER", "strides": [2, 2]}),
        ("Relu", ["y1"], {}),
    ]
    for i in range(3):
        arrays |= {f"b{i}": f32(3, 3, 1, 32, seed=i), f"c{i}": f32(1, 1, 32, 32, seed=i, scale=0.2)}
        n = len(steps)
        steps += [
            ("Conv", [f"y{n}", f"b{i}"], {"pads": [1, 1, 1, 1], "group": 32}),
            ("Relu", [f"y{n + 1}"], {}),
            ("Conv", [f"y{n + 2}", f"c{i}"], {}),
            ("Relu", [f"y{n + 3}"], {}),
        ]
    n = len(steps)
    steps += [("ReduceMean", [f"y{n}", "axes"], {"keepdims": 0}), ("Dense", [f"y{n + 1}", "d"], {})]
    return _plan([1, 49, 10, 1], arrays, steps)


def _plan(shape: list[int], arrays: Any, steps: list[tuple[str, list[str], dict[str, Any]]]) -> ModelPlan:
    nodes = [
        {"op": op, "name": f"y{i}", "inputs": inputs, "outputs": [f"y{i}"], "attributes": attributes}
        for i, (op, inputs, attributes) in enumerate(steps, 1)
    ]
    x = {"name": "x", "dtype": "float32", "shape": shape}
    y = {"name": f"y{len(steps)}", "dtype": "float32", "shape": None}
    return ModelPlan([x], [y], nodes, arrays, {})


NETWORKS = {"digits": digits, "keywords": keywords}


def run_on(board: Board, folder: Path) -> subprocess.CompletedProcess[str]:
    """Builds the test of a program for a board and runs it; the exit status is the program's."""
    script = (_HERE / "board.ld").read_text()
    for key, value in (
        ("CODE_LEN", board.size),
        ("RAM_LEN", board.size),
        ("CODE", hex(board.code)),
        ("RAM", hex(board.ram)),
    ):
        script = script.replace(f"@{key}@", value)
    (folder / "board.ld").write_text(script)
    cc = ["arm-none-eabi-gcc", "-std=gnu99", "-mthumb", *board.flags.split()]
    start, program = folder / "start.o", folder / "program.elf"
    subprocess.run([*cc, "-O1", "-c", "-o", str(start), str(_HERE / "start.c")], check=True)
    sources = ["net.c", "net_test.c", "net_weights.S"]
    warnings = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror"]
    link = [
        "--specs=nano.specs",
        "--specs=nosys.specs",
        "-nostartfiles",
        "-T",
        "board.ld",
        "-Wl,--no-warn-rwx-segments",
    ]
    command = [*cc, "-O2", "-ffp-contract=fast", *warnings, *link, "-o", str(program), *sources, str(start), "-lm"]
    subprocess.run(command, check=True, cwd=folder, stderr=subprocess.DEVNULL)
    emulator = ["qemu-system-arm", "-M", board.machine, "-nographic", "-monitor", "none", "-serial", "none"]
    semihosting = ["-semihosting-config", "enable=on,target=native", "-kernel", str(program)]
    return subprocess.run([*emulator, *semihosting], capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("board", BOARDS)
def test_a_board_gives_the_stored_outputs(board: str, network: str, tmp_path: Path) -> None:
    """The stored example comes out, and nothing is written beside the arena."""
    folder = written(c_files(NETWORKS[network](), "net"), tmp_path / "net_c")
    done = run_on(BOARDS[board], folder)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_board_tells_a_planted_error(tmp_path: Path) -> None:
    """A changed sum makes the test on the board fail, too."""
    files = c_files(digits(), "net")
    wrong = files["net.c"].replace(b"/= sum", b"/= sum + 1.0f")
    assert wrong != files["net.c"]
    done = run_on(BOARDS["M4F"], written({**files, "net.c": wrong}, tmp_path / "net_c"))
    assert done.returncode == 1, done.stdout + done.stderr
