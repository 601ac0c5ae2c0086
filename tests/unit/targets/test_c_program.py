"""The C program: each kernel gives what the runtime's does, under sanitizers, warning-free, in the arena it says."""

from __future__ import annotations

import re
import subprocess
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from exporter.errors import UnsupportedError, UsageError
from exporter.targets.c_program.folder import c_files, prefix_of
from exporter.targets.c_program.tensors import Buffer, place
from exporter.targets.npz_bundle import ModelPlan
from tests.unit.runtime.test_kernels_onnxruntime import Case, f32, i64
from tests.unit.targets.c_builds import SANITIZED, built, needs, written
from tests.unit.targets.programs import one_node

Array = npt.NDArray[Any]

X = f32(1, 7, 6, 5)
CASES = [
    Case("Conv", [X, f32(3, 2, 5, 19), f32(19)], {"strides": [2, 1], "pads": [1, 0, 2, 1]}),
    Case("Conv", [X, f32(3, 3, 5, 36)], {"auto_pad": "SAME_UPPER", "dilations": [2, 1]}),
    Case("Conv", [X, f32(3, 3, 1, 5), f32(5)], {"strides": [1, 2], "pads": [1, 1, 1, 1], "group": 5}),
    Case("Conv", [f32(1, 9, 8, 37), f32(3, 3, 1, 37), f32(37)], {"pads": [1, 1, 1, 1], "group": 37}),
    Case("Conv", [f32(1, 9, 8, 16), f32(5, 5, 1, 16)], {"pads": [2, 2, 2, 2], "group": 16}),
    Case("Conv", [f32(2, 5, 4, 6), f32(3, 3, 2, 9)], {"pads": [1, 1, 1, 1], "group": 3}),
    Case("Conv", [f32(2, 9, 3), f32(3, 3, 7), f32(7)], {"pads": [1, 1], "strides": [2]}),
    Case("Conv", [f32(1, 25, 26, 48), f32(3, 3, 48, 80, scale=0.05), f32(80)], {"pads": [1, 1, 1, 1]}),
    Case("ConvTranspose", [X, f32(3, 2, 4, 5), f32(4)], {"strides": [2, 2], "pads": [1, 0, 0, 1]}),
    Case("Dense", [f32(1, 3, 4, 10), f32(10, 21), f32(21)]),
    Case("Dense", [f32(1, 100), f32(100, 70)]),
    Case("Gemm", [f32(3, 4), f32(6, 4), f32(6)], {"transB": 1, "alpha": 0.5, "beta": 2.0}),
    Case("MaxPool", [X], {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 2, 1]}),
    Case("MaxPool", [f32(1, 9, 2)], {"kernel_shape": [2], "strides": [2]}),
    Case("AveragePool", [X], {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 2, 1]}),
    Case("AveragePool", [X], {"kernel_shape": [3, 2], "pads": [1, 0, 2, 1], "count_include_pad": 1}),
    Case("ReduceMean", [X, i64(1, 2)], {"keepdims": 0}),
    Case("ReduceMax", [X, i64(-1)], {"keepdims": 1}),
    Case("Softmax", [X], {"axis": 1}),
    Case("LogSoftmax", [f32(3, 9, scale=9)], {"axis": -1}),
    Case("LayerNormalization", [X, f32(5), f32(5)], {"epsilon": 1e-3}),
    Case("BatchNormalization", [X, f32(5), f32(5), f32(5), np.abs(f32(5))]),
    Case("LRN", [X], {"size": 3}),
    Case("Concat", [X, f32(1, 7, 2, 5)], {"axis": 2}),
    Case("Slice", [X, i64(5, -1), i64(-100, -3), i64(1, 2), i64(-2, -1)]),
    Case("Split", [X, i64(3, 4)], {"axis": 1}, outputs=2),
    Case("Transpose", [X], {"perm": [0, 3, 1, 2]}),
    Case("Pad", [X, i64(0, 1, 0, 2, 0, 2, 1, 0), np.array(7, np.float32)]),
    Case("Pad", [X, i64(0, 1, 0, 2, 0, 2, 1, 0)], {"mode": "reflect"}),
    Case("Gather", [X, i64(4, 0, 0)], {"axis": 3}),
    Case("Expand", [f32(7, 1), i64(2, 7, 3)]),
    Case("Tile", [f32(2, 3), i64(2, 2)]),
    Case("DepthToSpace", [f32(1, 3, 2, 8)], {"blocksize": 2}),
    Case("SpaceToDepth", [f32(1, 4, 6, 2)], {"blocksize": 2}),
    Case("Resize", [X, None, None, i64(1, 9, 4, 5)], {"mode": "linear"}),
    Case("Resize", [X, None, np.array([1, 2, 2, 1], np.float32)], {"coordinate_transformation_mode": "asymmetric"}),
    Case("MatMul", [f32(2, 3, 4), f32(4, 5)]),
    Case("Einsum", [f32(2, 3, 4), f32(2, 5, 4)], {"equation": "bij,bkj->bik"}),
    Case("Add", [X, f32(6, 1)]),
    Case("Max", [X, f32(5), np.array(0.1, np.float32)]),
    Case("Gelu", [X]),
    Case("Clip", [X, np.array(-0.5, np.float32), np.array(0.4, np.float32)]),
    Case("HardSigmoid", [X]),
]
STORED = {"Add": (1,), "Max": (1, 2)}


def plan_for(case: Case) -> ModelPlan:
    """All inputs but the first are stored, of products of tensors none."""
    given = case.op in ("Concat", "Einsum", "MatMul")
    constant = STORED.get(case.op, () if given else range(1, len(case.inputs)))
    return one_node(case.op, case.inputs, case.attributes, case.outputs, constant)


@needs("cc", "make")
@pytest.mark.parametrize("vector", [1, 0], ids=["vectors", "plain"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_kernels_give_what_the_runtime_gives(case: Case, vector: int, tmp_path: Path) -> None:
    """The stored example comes out, without warnings, nothing outside the arena, nothing undefined."""
    if not vector and case.op not in ("Conv", "Dense", "Gemm"):
        pytest.skip("it has one kernel")
    folder = written(c_files(plan_for(case), "net"), tmp_path / "net_c")
    done = built(folder, f"CFLAGS={SANITIZED} -DNET_VECTOR={vector}")
    assert done.returncode == 0, done.stdout + done.stderr


def chain() -> ModelPlan:
    """Convolutions with an addition, clamps, an activation and a dense layer."""
    arrays: dict[str, Any] = {
        "a": f32(3, 3, 3, 8),
        "b": f32(1, 1, 8, 8),
        "c": f32(3, 3, 8, 8),
        "d": f32(8, 5),
        "axes": i64(1, 2),
    }
    pads = {"pads": [1, 1, 1, 1]}
    steps: list[tuple[str, list[str], str, dict[str, Any]]] = [
        ("Conv", ["x", "a"], "y1", pads),
        ("Relu", ["y1"], "y2", {}),
        ("Conv", ["y2", "b"], "y3", {}),
        ("Sigmoid", ["y3"], "y4", {}),
        ("Conv", ["y4", "c"], "y5", pads),
        ("Add", ["y2", "y5"], "y6", {}),
        ("Relu", ["y6"], "y7", {}),
        ("ReduceMean", ["y7", "axes"], "y8", {"keepdims": 0}),
        ("Dense", ["y8", "d"], "y", {}),
    ]
    nodes = [{"op": op, "name": y, "inputs": x, "outputs": [y], "attributes": a} for op, x, y, a in steps]
    value = {"dtype": "float32"}
    return ModelPlan(
        [{"name": "x", "shape": ["N", 12, 12, 3], **value}],
        [{"name": "y", "shape": ["N", 5], **value}],
        nodes,
        arrays,
        {},
    )


@needs("cc", "make")
def test_a_planted_error_fails(tmp_path: Path) -> None:
    """A changed weight, other weights, and an arena that is too small each fail the test."""
    files = c_files(chain(), "net")
    assert built(written(files, tmp_path / "good"), "CFLAGS=-O1").returncode == 0
    damaged = bytearray(files["net.bin"])
    damaged[100] ^= 1
    assert built(written({**files, "net.bin": bytes(damaged)}, tmp_path / "damaged"), "CFLAGS=-O1").returncode != 0
    smaller = re.sub(rb"ARENA_BYTES (\d+)u", lambda m: b"ARENA_BYTES %du" % (int(m[1]) - 64), files["net.h"])
    assert built(written({**files, "net.h": smaller}, tmp_path / "small"), "CFLAGS=-O1").returncode != 0
    changed = files["net.c"].replace(b"r + 1.0f) * scale", b"r + 1.5f) * scale")
    assert changed != files["net.c"]
    assert built(written({**files, "net.c": changed}, tmp_path / "changed"), "CFLAGS=-O1").returncode != 0


@needs("cc", "make")
def test_the_tool_reads_and_writes_npy(tmp_path: Path) -> None:
    """What it writes are the example's outputs; another shape is refused with 3, a wrong call with 2."""
    files = c_files(chain(), "net")
    folder = written(files, tmp_path / "net_c")
    assert built(folder, "CFLAGS=-O1", target="net_run").returncode == 0
    stored = np.frombuffer(files["net_example.bin"], "<f4", offset=64)
    np.save(tmp_path / "x.npy", stored[: 12 * 12 * 3].reshape(1, 12, 12, 3))
    tool = str(folder / "net_run")
    subprocess.run([tool, str(tmp_path / "x.npy"), "-o", str(tmp_path / "y.npy")], check=True)
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), stored[-5:].reshape(1, 5), rtol=1e-4)
    np.save(tmp_path / "x.npy", stored[: 12 * 12 * 3].reshape(12, 1, 12, 3))
    call = [tool, str(tmp_path / "x.npy"), "-o", str(tmp_path / "z.npy")]
    assert subprocess.run(call, capture_output=True, check=False).returncode == 3
    assert not (tmp_path / "z.npy").exists()
    assert subprocess.run([tool], capture_output=True, check=False).returncode == 2


@needs("g++", "make")
def test_the_header_is_for_cpp_too(tmp_path: Path) -> None:
    """A C++ compiler takes it."""
    folder = written(c_files(chain(), "net"), tmp_path / "net_c")
    (folder / "use.cpp").write_text('#include "net.h"\nint main() { return NET_ARENA_BYTES == 0; }\n')
    subprocess.run(["g++", "-Wall", "-Wpedantic", "-Werror", "-fsyntax-only", str(folder / "use.cpp")], check=True)


@needs("clang", "make")
def test_clang_takes_it(tmp_path: Path) -> None:
    """Without warnings, optimised."""
    folder = written(c_files(chain(), "net"), tmp_path / "net_c")
    done = built(folder, "CC=clang", "CFLAGS=-O2 -Werror")
    assert done.returncode == 0, done.stdout + done.stderr


_CROSS = {
    "qemu-aarch64": "aarch64-linux-gnu-gcc",
    "qemu-arm": "arm-linux-gnueabihf-gcc",
    "qemu-riscv64": "riscv64-linux-gnu-gcc",
}


@pytest.mark.parametrize("emulator", [pytest.param(e, marks=needs(e, c, "make")) for e, c in _CROSS.items()])
def test_other_processors_give_the_same(emulator: str, tmp_path: Path) -> None:
    """Built by a cross compiler and run on an emulated processor."""
    folder = written(c_files(chain(), "net"), tmp_path / "net_c")
    more = " -mfpu=neon" if emulator == "qemu-arm" else ""
    settings = [f"CC={_CROSS[emulator]}", f"CFLAGS=-O2{more} -Werror", "LDFLAGS=-static", f"RUN={emulator}"]
    done = built(folder, *settings)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_same_model_gives_the_same_bytes() -> None:
    """Neither the time nor the run shows in the files."""
    assert c_files(chain(), "net") == c_files(chain(), "net")


def test_what_has_no_kernel_is_listed_in_one_error() -> None:
    """Two ops without a kernel: one error names both. An open size that isn't the batch's is asked for."""
    plan = chain()
    more: list[dict[str, Any]] = [
        {"op": op, "name": op, "inputs": ["y8"], "outputs": [f"z{op}"], "attributes": {}}
        for op in ("Unique", "NonZero")
    ]
    with pytest.raises(UnsupportedError, match="NonZero, Unique"):
        c_files(plan._replace(nodes=[*plan.nodes, *more]), "net")
    open_size = plan._replace(inputs=[{**plan.inputs[0], "shape": ["N", None, 12, 3]}])
    with pytest.raises(UsageError, match="--input x="):
        c_files(open_size, "net")


def test_names_are_identifiers() -> None:
    """Whatever an export is called, C takes it."""
    assert [prefix_of(name) for name in ("net", "model.ckpt-1000", "9 lives", "é")] == [
        "net",
        "model_ckpt_1000",
        "net_9_lives",
        "net",
    ]


def test_a_chain_takes_no_more_than_its_largest_pair() -> None:
    """Buffers of a chain alternate between the ends of the arena."""
    sizes = [1600, 320, 4800, 640, 2400, 160]
    buffers = [Buffer(size, first=i, last=i + 1) for i, size in enumerate(sizes)]
    arena, live = place(buffers)
    assert arena == live == max(a + b for a, b in pairwise(sizes))
    for a in buffers:
        for b in buffers:
            apart = a.last < b.first or b.last < a.first or a is b
            assert apart or a.offset + a.room <= b.offset or b.offset + b.room <= a.offset


def test_what_the_largest_first_leaves_open_is_filled() -> None:
    """Four buffers that need 112 floats if the largest is placed first, and 96 if another gives way."""
    buffers = [Buffer(size, first=a, last=b) for size, a, b in ((32, 0, 3), (48, 1, 2), (64, 5, 8), (32, 3, 5))]
    assert place(buffers) == (96, 96)
    for a, b in combinations(buffers, 2):
        apart = a.last < b.first or b.last < a.first
        assert apart or a.offset + a.room <= b.offset or b.offset + b.room <= a.offset


def joins() -> ModelPlan:
    """A dense block: what is joined is joined again, read with padding, pooled, added, and given out."""
    pads: dict[str, Any] = {"pads": [1, 1, 1, 1]}
    arrays: dict[str, Any] = {
        "wide": f32(1, 1, 3, 96, scale=0.3),
        "narrow": f32(1, 1, 96, 3, scale=0.1),
        "a": f32(3, 3, 3, 5),
        "b": f32(1, 1, 3, 16),
        "c": f32(3, 3, 21, 8),
        "d": f32(1, 1, 29, 29),
        "e": f32(29, 4),
        "axes": i64(1, 2),
    }
    pool = {"kernel_shape": [2, 2], "strides": [1, 1], "pads": [0, 0, 1, 1]}
    steps: list[tuple[str, list[str], dict[str, Any]]] = [
        ("Conv", ["x", "wide"], {}),
        ("Conv", ["y1", "narrow"], {}),
        ("Conv", ["y2", "a"], pads),
        ("Conv", ["y2", "b"], {}),
        ("Relu", ["y4"], {}),
        ("Concat", ["y3", "y5"], {"axis": 3}),
        ("Tanh", ["y6"], {}),
        ("Conv", ["y7", "c"], pads),
        ("MaxPool", ["y8"], pool),
        ("Concat", ["y6", "y9"], {"axis": -1}),
        ("Conv", ["y10", "d"], {}),
        ("Add", ["y11", "y10"], {}),
        ("Concat", ["y12", "y12", "y6"], {"axis": 3}),
        ("ReduceMean", ["y12", "axes"], {"keepdims": 0}),
        ("Dense", ["y14", "e"], {}),
    ]
    nodes = [
        {"op": op, "name": op, "inputs": inputs, "outputs": [f"y{i}"], "attributes": attributes}
        for i, (op, inputs, attributes) in enumerate(steps, 1)
    ]
    given = [{"name": "x", "dtype": "float32", "shape": [1, 9, 8, 3]}]
    outputs = [{"name": name, "dtype": "float32", "shape": None} for name in ("y13", "y15")]
    return ModelPlan(given, outputs, nodes, arrays, {})


@needs("cc", "make")
@pytest.mark.parametrize("vector", [1, 0], ids=["vectors", "plain"])
def test_what_is_joined_is_made_in_its_place(vector: int, tmp_path: Path) -> None:
    """The concatenations that copy nothing have no function; the results are right, nothing outside the arena."""
    folder = written(c_files(joins(), "net"), tmp_path / "net_c")
    text = (folder / "net.c").read_text(encoding="utf-8")
    functions = re.findall(r"^static void net_(y\d+)\(", text, re.MULTILINE)
    assert "y3" in functions and "y6" not in functions and "y10" not in functions and "y13" in functions
    done = built(folder, f"CFLAGS={SANITIZED} -DNET_VECTOR={vector}")
    assert done.returncode == 0, done.stdout + done.stderr
