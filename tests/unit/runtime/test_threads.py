"""Threads: what they compute, and that nothing of them is left when a call ends."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import runtime
from runtime.engine import blas, cores, processes, program
from runtime.engine.threads import ThreadPool
from runtime.engine.work_items import HELP, Shares
from tests.unit.runtime.executors import compiled
from tests.unit.runtime.make_bundle import document, members, node, pack

SIZE = 48
RANDOM = np.random.default_rng(0)


def drawn(*shape: int) -> Any:
    return np.asarray(RANDOM.standard_normal(shape) / 8, np.float32)


IMAGES = [drawn(n, SIZE, SIZE, 64) for n in (1, 2, 3)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Winograd, depthwise and 1x1 convolutions, a pool and a dense layer, large enough to be shared."""
    same: dict[str, Any] = {"pads": [1, 1, 1, 1]}
    nodes = [
        {**node("Conv", ["x", "w3", "b"], ["a"], **same), "name": "winograd"},
        {**node("Relu", ["a"], ["c"]), "name": "relu"},
        {**node("Conv", ["c", "wd"], ["d"], **same, group=64), "name": "depthwise"},
        {**node("Add", ["d", "x"], ["e"]), "name": "sum"},
        {**node("MaxPool", ["e"], ["f"], kernel_shape=[3, 3], strides=[2, 2]), "name": "pool"},
        {**node("Conv", ["f", "w1", "b"], ["g"]), "name": "point"},
        {**node("Flatten", ["g"], ["h"], axis=1), "name": "flatten"},
        {**node("Dense", ["h", "w"], ["y"]), "name": "dense"},
    ]
    out = (SIZE - 3) // 2 + 1
    arrays = {
        "w3": drawn(3, 3, 64, 64),
        "wd": drawn(3, 3, 1, 64),
        "w1": drawn(1, 1, 64, 64),
        "b": drawn(64),
        "w": drawn(out * out * 64, 80),
    }
    inputs = [{"name": "x", "dtype": "float32", "shape": ["N", SIZE, SIZE, 64]}]
    outputs = [{"name": "y", "dtype": "float32", "shape": ["N", 80]}]
    path = tmp_path_factory.mktemp("threads") / "model.npz"
    path.write_bytes(pack(members(document(nodes=nodes, inputs=inputs, outputs=outputs), **arrays)))
    return path


def close(found: Any, expected: Any) -> bool:
    return bool(np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max())


def computed(path: Path, x: Any) -> Any:
    return runtime.load(path, threads=2)(x)


@pytest.mark.parametrize("threads", [2, 3])
def test_thread_counts_differ_by_rounding_only(model: Path, threads: int) -> None:
    """And one thread's result is the interpreter's, too; a pixel that changes shows."""
    net, alone = runtime.load(model, threads=threads), runtime.load(model, threads=1)
    plain = runtime.load(model, accuracy="plain")
    for x in IMAGES:
        assert close(net(x), plain(x))
        assert close(alone(x), plain(x))
        assert not close(net(x + (np.arange(x.size) == 5).reshape(x.shape)), plain(x))


@pytest.mark.parametrize("threads", [1, 2])
def test_a_profile_says_what_does_it(model: Path, threads: int) -> None:
    """The kernel of each node, with any number of threads; what is fused into a node has no row of its own."""
    rows = {row.name: row for row in runtime.load(model, threads=threads).profile({"x": IMAGES[0]}, rounds=1)}
    kernels = {name: rows[name].kernel.split()[0] for name in ("winograd", "depthwise", "pool", "dense")}
    assert kernels == {"winograd": "winograd", "depthwise": "einsum", "pool": "slices", "dense": "direct"}
    assert "relu" not in rows


def test_same_bits_in_any_order_of_calls(model: Path) -> None:
    """Whatever ran before, and in how many threads of the caller's."""
    net = runtime.load(model, threads=2)
    expected = [net(x) for x in IMAGES]
    for x, y in zip(IMAGES[::-1], expected[::-1], strict=True):
        np.testing.assert_array_equal(runtime.load(model, threads=2)(x), y)
    with ThreadPoolExecutor(4) as pool:
        for y, found in zip(expected * 3, pool.map(net, IMAGES * 3), strict=True):
            np.testing.assert_array_equal(found, y)


def test_nothing_is_left_behind(model: Path) -> None:
    """No thread after a call; the BLAS has as many as before."""

    def state() -> tuple[object, ...]:
        functions = blas._functions()
        return threading.active_count(), functions and functions[0]()

    before = state()
    for threads in (2, 3):
        runtime.load(model, threads=threads)(IMAGES[0])
        assert state() == before


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_processes_may_be_started(model: Path, method: str) -> None:
    """After a call here, a child of either kind computes the same bits."""
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} here")
    expected = computed(model, IMAGES[0])
    with multiprocessing.get_context(method).Pool(1) as pool:
        np.testing.assert_array_equal(pool.apply_async(computed, (model, IMAGES[0])).get(60), expected)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_in_the_middle_of_a_call_leaves_the_net_usable(model: Path) -> None:
    """The child's locks are free, even those that another thread of the parent held."""
    net = runtime.load(model, threads=2)
    expected = net(IMAGES[0])
    programs = compiled(net)._programs
    with programs._lock, blas.ONE_THREAD._lock, HELP._lock:
        child = os.fork()
        if not child:
            os._exit(0 if np.array_equal(net(IMAGES[0]), expected) else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_what_a_helper_raises_is_raised() -> None:
    """In the caller, whoever ran it, when nobody runs any more; the helpers end all the same."""
    done: list[int] = []
    before = threading.active_count()

    def fail() -> None:
        raise ValueError("here")

    with pytest.raises(ValueError, match="here"), ThreadPool(3) as team:
        team.run(Shares([[lambda: done.append(1)], [fail], [lambda: done.append(2)]]))
    assert 1 in done
    assert threading.active_count() == before


def test_what_the_caller_raises_waits_for_nobody() -> None:
    """Without helpers, what is left of the lists is dropped; with them, they end first."""

    def fail() -> None:
        raise ValueError("here")

    for size in (1, 3):
        with pytest.raises(ValueError, match="here"), ThreadPool(size) as team:
            team.run(Shares([[fail], [partial(time.sleep, 0)], [partial(time.sleep, 0.01)]]))


def test_without_more_threads_the_caller_does_it_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system refuses to start one."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    done: list[int] = []
    with ThreadPool(3) as team:
        team.run(Shares([[partial(done.append, n)] for n in range(3)]))
    assert done == [0, 1, 2]


def test_threads_are_at_least_one(model: Path) -> None:
    """Less is refused; what suits the machine is the default."""
    with pytest.raises(ValueError, match="at least 1"):
        runtime.load(model, threads=0)
    assert compiled(runtime.load(model)).policy.threads == cores.suitable() >= 1


def test_one_call_at_a_time_is_helped(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another at the same time works alone, starts nobody, and computes the same bits."""
    net = runtime.load(model, threads=2)
    expected = net(IMAGES[0])
    assert HELP.take()
    try:
        monkeypatch.setattr(program, "_thread_pool", None)
        monkeypatch.setattr(processes.ProcessPool, "run", None)
        np.testing.assert_array_equal(net(IMAGES[0]), expected)
        assert not HELP.take()
    finally:
        HELP.give()
    with pytest.raises(TypeError):
        net(IMAGES[0])
    assert HELP.take()
    HELP.give()
