"""Running a loaded model: what it takes, what it gives, and what it says of wrong inputs."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import runtime
from runtime.__main__ import main
from tests.unit.runtime.make_bundle import BIAS, WEIGHT, document, entry, members, node, pack

X = np.array([[1.0, -2.0, 0.5, 3.0]], np.float32)
Y = np.maximum(X @ WEIGHT + BIAS, 0)

Load = Callable[..., runtime.Net]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Loads a bundle of this plan and these arrays."""

    def of(plan: dict[str, Any] | None = None, **arrays: Any) -> runtime.Net:
        path = tmp_path / "model.npz"
        path.write_bytes(pack(members(plan, **arrays)))
        return runtime.load(path)

    return of


def test_net_describes_itself(load: Load) -> None:
    """Inputs and outputs have names, types and shapes; metadata is what the exporter noted."""
    net = load(document(metadata={"from": "test"}))
    assert net.inputs == (runtime.Value("x", "float32", ("N", 4)),)
    assert str(net.outputs[0]) == "y: float32 [N, 3]"
    assert net.metadata == {"from": "test"}


@pytest.mark.parametrize("taken", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_net_says_why_it_is_not_pickled(load: Load, taken: Callable[[runtime.Net], object]) -> None:
    """And what to do instead."""
    with pytest.raises(TypeError, match=r"can't be pickled .* runtime\.load"):
        taken(load())


def test_call_and_run_agree(load: Load) -> None:
    """One array in, one out; or names in, names out."""
    net = load()
    np.testing.assert_array_equal(net(X), Y)
    assert list(net.run({"x": X})) == ["y"]


def test_several_outputs_come_in_order(load: Load) -> None:
    """A call gives a tuple, also of weights and inputs that are outputs."""
    outputs = [{"name": name, "dtype": "float32", "shape": None} for name in ("y", "w", "x")]
    y, w, x = load(document(outputs=outputs))(X)
    np.testing.assert_array_equal(y, Y)
    np.testing.assert_array_equal(w, WEIGHT)
    np.testing.assert_array_equal(x, X)


def test_results_belong_to_the_caller(load: Load) -> None:
    """Changing a result changes neither the input nor later results, whatever view of them it was."""
    nodes = [node("Transpose", ["x"], ["a"]), node("Transpose", ["w"], ["c"]), node("Identity", ["x"], ["d"])]
    outputs = [{"name": name, "dtype": "float32", "shape": None} for name in "acdw"]
    net, x = load(document(nodes=nodes, outputs=outputs), w=WEIGHT), X.copy()
    first = net(x)
    kept = [array.copy() for array in first]
    for array in first:
        array[...] = 7
    np.testing.assert_array_equal(x, X)
    for array, before in zip(net(x), kept, strict=True):
        np.testing.assert_array_equal(array, before)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"z": X}, r"no input is called 'z'.*input 'x' is missing.*x: float32 \[N, 4\]"),
    ({}, "input 'x' is missing"),
    ({"x": X, "z": X}, "no input is called 'z'"),
    ({"x": X[0]}, r"rank 1, shape \[4\]; expected x: float32 \[N, 4\]"),
    ({"x": X[:, :3]}, r"shape \[1, 3\]; expected x: float32 \[N, 4\]"),
    ({"x": X.astype(np.float64) + 0.1}, "float64.*change values.*astype"),
    ({"x": np.full((1, 4), 2**24 + 1)}, "int64.*change values"),
    ({"x": np.full((1, 4), 1e300)}, "change values"),
    ({"x": X.astype(complex)}, "complex128, expected float32"),
    ({"x": [["a", "b", "c", "d"]]}, "expected float32"),
]


@pytest.mark.parametrize("feeds, message", WRONG)
def test_wrong_inputs_are_explained(load: Load, feeds: dict[str, Any], message: str) -> None:
    """Name, rank, fixed size, or a type that would lose digits: the error says what was expected."""
    with pytest.raises(runtime.InputError, match=message):
        load().run(feeds)


def test_wrong_number_of_arrays_is_explained(load: Load) -> None:
    """A call lists what the model takes."""
    with pytest.raises(runtime.InputError, match="2 arrays given, expected 1"):
        load()(X, X)


@pytest.mark.parametrize("x", [X.astype(np.float64), X.tolist(), np.array([[1, -2, 3, 4]]), np.array([[True] * 4])])
def test_types_that_lose_nothing_are_converted(load: Load, x: Any) -> None:
    """Numbers that float32 holds exactly are taken in any type."""
    np.testing.assert_array_equal(load()(x), load()(np.asarray(x, np.float32)))


def test_sizes_of_one_name_must_agree(load: Load) -> None:
    """A symbol is one number in a run."""
    inputs = [{"name": name, "dtype": "float32", "shape": ["N", 4]} for name in ("x", "v")]
    net = load(document(inputs=inputs))
    with pytest.raises(runtime.InputError, match="'v' has 2 for N, which is 1 in 'x'"):
        net(X, np.repeat(X, 2, axis=0))


def test_nan_passes_through(load: Load) -> None:
    """NaN in, NaN out, only where it reaches."""
    y = load()(np.array([[np.nan, 0, 0, 0], [1, 1, 1, 1]], np.float32))
    assert np.isnan(y[0]).all()
    assert not np.isnan(y[1]).any()


def test_a_node_that_fails_is_named(load: Load) -> None:
    """Open sizes that don't go together are an error with node and shapes, not a NumPy one."""
    inputs = [{"name": "x", "dtype": "float32", "shape": [None, None]}]
    with pytest.raises(runtime.RunError, match=r"'dense' \(Dense\).*float32\[1, 3\]"):
        load(document(inputs=inputs))(X[:, :3])


def probed(tolerance: float, off: float = 0.0) -> bytes:
    """A bundle with one probe, its stored output off by some amount."""
    y = np.asarray(Y + np.float32(off), np.float32)
    probe = {"inputs": {"x": "px"}, "outputs": {"y": "py"}, "tolerances": {"y": tolerance}}
    arrays = {"w": WEIGHT, "b": BIAS, "px": X, "py": y}
    plan = document(probes=[probe], arrays={name: entry(array) for name, array in arrays.items()})
    return pack(members(plan, **arrays))


@pytest.mark.parametrize("off, good", [(0.0, True), (0.0009, True), (0.002, False), (np.nan, False)])
def test_probes_are_run(tmp_path: Path, off: float, good: bool) -> None:
    """A probe's output may be off by its tolerance and no more."""
    (tmp_path / "m.npz").write_bytes(probed(0.001, off))
    (deviation,) = runtime.load(tmp_path / "m.npz").check()
    assert deviation.good is good


@pytest.mark.parametrize("off, status", [(0.0, 0), (1.0, 1)])
def test_check_has_an_exit_status(tmp_path: Path, off: float, status: int, capsys: pytest.CaptureFixture[str]) -> None:
    """`--check` is 0 if all probes are good, else 1, and says which."""
    (tmp_path / "m.npz").write_bytes(probed(0.001, off))
    assert main([str(tmp_path / "m.npz"), "--check"]) == status
    assert ("OFF" in capsys.readouterr().out) is bool(status)


def test_command_runs_npz_and_npy(tmp_path: Path) -> None:
    """Inputs by name or the only one as .npy; the outputs can be loaded by name."""
    (tmp_path / "m.npz").write_bytes(pack(members()))
    np.savez(tmp_path / "in.npz", x=X)
    np.save(tmp_path / "in.npy", X)
    for inputs in ("in.npz", "in.npy"):
        target = tmp_path / "out.npz"
        assert main([str(tmp_path / "m.npz"), str(tmp_path / inputs), "-o", str(target)]) == 0
        with np.load(target) as found:
            np.testing.assert_array_equal(found["y"], Y)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.npy", "in.npz", "m.npz", "out.npz"]


def test_command_reports_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Unusable files are status 3 with one line and no traceback, and leave nothing behind."""
    (tmp_path / "m.npz").write_bytes(pack(members()))
    (tmp_path / "text").write_text("hello")
    np.savez(tmp_path / "wrong.npz", z=X)
    model, out = str(tmp_path / "m.npz"), str(tmp_path / "out.npz")
    for arguments in ([str(tmp_path / "text"), "--check"], [model, str(tmp_path / "text"), "-o", out]):
        assert main(arguments) == 3
    assert main([model, str(tmp_path / "wrong.npz"), "-o", out]) == 3
    assert main([model, str(tmp_path / "none.npz"), "-o", out]) == 3
    np.savez(tmp_path / "in.npz", x=X)
    assert main([model, str(tmp_path / "in.npz"), "-o", str(tmp_path / "no" / "out.npz")]) == 3
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 5
    assert all(line.startswith("error: ") for line in errors)
    assert not (tmp_path / "out.npz").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["m.npz"],
        ["m.npz", "-o", "o.npz"],
        ["m.npz", "--che"],
        [],
        ["m.npz", "--check", "--profile"],
        ["m.npz", "in.npz", "--check"],
        ["m.npz", "in.npz", "-o", "o.npz", "--profile"],
    ],
)
def test_wrong_usage_is_status_2(arguments: list[str]) -> None:
    """Half a command line, or an abbreviated flag, is refused."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2


@pytest.mark.parametrize("accuracy", ["standard", "strict", "fast", "plain"])
def test_profile_names_the_nodes(tmp_path: Path, accuracy: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A table of the nodes and their kernels, compiled or not, on given inputs or those of the first probe."""
    (tmp_path / "m.npz").write_bytes(probed(0.001))
    np.savez(tmp_path / "in.npz", x=X)
    for inputs in ([], [str(tmp_path / "in.npz")]):
        assert main([str(tmp_path / "m.npz"), *inputs, "--profile", "--accuracy", accuracy]) == 0
        (row,) = (line.split() for line in capsys.readouterr().out.splitlines() if "Dense dense" in line)
        assert ("direct" in row) is (accuracy != "plain")


def test_accuracy_is_one_of_those_there_are(tmp_path: Path) -> None:
    """Anything else is refused."""
    (tmp_path / "m.npz").write_bytes(pack(members()))
    with pytest.raises(ValueError, match="strict"):
        runtime.load(tmp_path / "m.npz", accuracy="exact")


def test_threads_may_share_a_net(load: Load) -> None:
    """Calls from several threads at once give what one gives, for shapes that change from call to call."""
    net = load()
    batches = [np.asarray(np.random.default_rng(n).standard_normal((1 + n % 6, 4)), np.float32) for n in range(60)]
    expected = [net(x) for x in batches]
    with ThreadPoolExecutor(8) as pool:
        for y, truth in zip(pool.map(net, batches * 5), expected * 5, strict=True):
            np.testing.assert_array_equal(y, truth)


def test_order_of_calls_does_not_matter(load: Load) -> None:
    """The same input gives the same bits, whatever ran before."""
    net, other = load(), np.asarray(np.random.default_rng(0).standard_normal((7, 4)), np.float32)
    first = net(other)
    net(X)
    np.testing.assert_array_equal(net(other), first)
    np.testing.assert_array_equal(load()(other), first)


IMPORTS = """
import sys, time
import numpy
before, start = set(sys.modules), time.perf_counter()
import runtime, runtime.__main__
took = time.perf_counter() - start
print("ms", 1000 * took)
new = {name.partition(".")[0] for name in set(sys.modules) - before}
print(*sorted(new - sys.stdlib_module_names - {"numpy", "runtime"}))
"""


def test_imports_only_numpy_and_the_standard_library() -> None:
    """Nothing else is loaded by importing the package."""
    ran = subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=True)
    time, foreign = ran.stdout.splitlines()
    print(time)
    assert foreign == ""
