"""Worker processes: what they compute, when they end, and what happens when one is lost."""

from __future__ import annotations

import gc
import os
import select
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from runtime.engine import Policy, Prepacked, Program, Spec, compile_program, context, processes
from runtime.plan import Graph, Node

pytestmark = pytest.mark.skipif(not processes.available(), reason="no workers here")

X = np.asarray(np.random.default_rng(0).standard_normal((1, 20, 20, 16)), np.float32)


@pytest.fixture(autouse=True)
def always_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """However small."""
    monkeypatch.setattr(context, "_LEAST", 1e-9)


def made(threads: int) -> Program:
    """Two convolutions and a sum."""
    random = np.random.default_rng(1)
    weights: dict[str, Any] = {
        "w": np.asarray(random.standard_normal((3, 3, 16, 16)), np.float32),
        "v": np.asarray(random.standard_normal((1, 1, 16, 16)), np.float32),
    }
    nodes = (
        Node("Conv", "a", ("x", "w"), ("a",), {"pads": [1, 1, 1, 1]}),
        Node("Conv", "b", ("a", "v"), ("b",)),
        Node("Add", "y", ("b", "x"), ("y",)),
    )
    return compile_program(
        Graph(("x",), ("y",), nodes), weights, {"x": Spec(X.shape, X.dtype)}, Prepacked(), Policy("strict", threads)
    )


@pytest.fixture(params=[2, 3])
def program(request: pytest.FixtureRequest) -> Iterator[Program]:
    yield made(request.param)
    gc.collect()


def workers(program: Program) -> list[int]:
    assert program._process_pool is not None
    return [process for process, _ in program._process_pool._workers]


def alone(program: Program) -> Any:
    """The same steps without workers."""
    kept, program._process_pool = program._process_pool, None
    try:
        return program.run([X])[0]
    finally:
        program._process_pool = kept


def gone(process: int) -> bool:
    """Whether it ended; waits for a little."""
    for _ in range(100):
        try:
            os.kill(process, 0)
            if os.waitpid(process, os.WNOHANG)[0] == process:
                return True
        except (ProcessLookupError, ChildProcessError):
            return True
        time.sleep(0.02)
    return False


def test_workers_change_no_bit(program: Program) -> None:
    """In one run after another; other numbers in between leave nothing behind."""
    expected = alone(program)
    for _ in range(3):
        np.testing.assert_array_equal(program.run([X])[0], expected)
        assert not np.array_equal(program.run([X + 1])[0], expected)
    assert len(workers(program)) == program._threads - 1


def test_steps_are_timed_with_workers(program: Program) -> None:
    """One after the other, as they run; those that helped with it are gone then, and the others are still there."""
    expected = program.run([X])[0]
    processes = workers(program)
    times = program.timed([X])
    assert [node for node, _ in times] == [node for node, _ in program.steps]
    assert all(seconds > 0 for _, seconds in times)
    np.testing.assert_array_equal(program.run([X])[0], expected)
    assert workers(program) == processes
    assert _children() <= {*processes}


def _children() -> set[int]:
    """The processes that this one has started and that still run."""
    return set(map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii").split()))


def test_a_lost_worker_is_replaced(program: Program) -> None:
    """The run in which it is missed gives the same bits, and so does the next, by another."""
    expected = program.run([X])[0]
    before = workers(program)
    os.kill(before[0], signal.SIGKILL)
    for _ in range(3):
        np.testing.assert_array_equal(program.run([X])[0], expected)
    assert workers(program)
    assert not set(before) & set(workers(program))
    assert all(map(gone, before))


def test_a_stuck_worker_is_given_up(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """The parent does it all once it has waited for long enough."""
    expected = program.run([X])[0]
    monkeypatch.setattr(processes, "_STUCK", 0.1)
    stopped = workers(program)
    os.kill(stopped[0], signal.SIGSTOP)
    np.testing.assert_array_equal(program.run([X])[0], expected)
    assert all(map(gone, stopped))


def test_idle_workers_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of their own accord; a later run starts others."""
    monkeypatch.setattr(processes, "_IDLE", 0.05)
    program = made(2)
    expected = program.run([X])[0]
    (process,) = workers(program)
    assert gone(process)
    np.testing.assert_array_equal(program.run([X])[0], expected)
    assert workers(program) != [process]


def test_workers_end_with_their_program() -> None:
    """As soon as nobody refers to it."""
    program = made(3)
    program.run([X])
    processes = workers(program)
    assert len(processes) == 2
    del program
    gc.collect()
    for process in processes:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


def test_workers_end_with_their_parent() -> None:
    """Even one that is killed."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        program = made(2)
        program.run([X])
        os.write(writing, workers(program)[0].to_bytes(8, "little"))
        time.sleep(60)
        os._exit(0)
    process = int.from_bytes(os.read(reading, 8), "little")
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    for _ in range(100):
        if not _alive(process):
            break
        time.sleep(0.05)
    assert not _alive(process)


def _alive(process: int) -> bool:
    """Whether it runs; one that ended and that nobody has asked about doesn't."""
    try:
        return Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_workers_hold_no_files(program: Program) -> None:
    """What the parent closes is closed: whoever reads from it sees the end, though the workers live on."""
    reading, writing = os.pipe()
    program.run([X])
    os.close(writing)
    ready, _, _ = select.select([reading], [], [], 5)
    assert ready
    assert os.read(reading, 1) == b""
    os.close(reading)
    processes = workers(program)
    assert all(map(_alive, processes))
    assert all(len(list(Path(f"/proc/{process}/fd").iterdir())) <= 1 for process in processes)


def test_an_error_is_raised_by_the_parent(program: Program) -> None:
    """Whoever met it first; afterwards nobody waits."""

    def fail() -> None:
        raise ValueError("here")

    for place in (0, 1):
        broken = processes.ProcessPool([*program._calls], program._threads)
        broken._segments[-1][place].append(fail)
        assert not broken.run()
        assert not broken._workers


def test_interrupts_end_the_workers(program: Program) -> None:
    """And reach the caller."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    program.run([X])
    assert program._process_pool is not None
    processes = workers(program)
    program._process_pool._segments[-1][0].append(interrupt)
    with pytest.raises(KeyboardInterrupt):
        program.run([X])
    assert all(map(gone, processes))


@pytest.mark.parametrize(("machine", "wanted"), [("x86_64", True), ("aarch64", False), ("armv7l", False)])
def test_only_machines_that_keep_the_order_of_writes_have_workers(
    machine: str, wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Elsewhere a result could be read before it is written, so threads are used."""
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(machine=machine))
    assert processes.available() is wanted
