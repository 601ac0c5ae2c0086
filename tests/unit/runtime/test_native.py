"""Libraries of bundles: what `build` makes runs them, and nothing else does."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import runtime
from runtime.native import build as building
from runtime.native.build import build
from runtime.native.cache import first_unsafe
from runtime.native.executor import Native
from tests.unit.runtime.make_bundle import BIAS, WEIGHT, document, members, pack
from tests.unit.targets.c_builds import needs

X = np.array([[1.0, -2.0, 0.5, 3.0], [0.25, 0.5, -1.0, 2.0], [3.0, 1.0, 0.0, -0.5]], np.float32)
Y = np.maximum(X @ WEIGHT + BIAS, 0)

pytestmark = [
    needs("cc"),
    pytest.mark.skipif(find_spec("onnx_ir") is None, reason="the exporter, which writes the C code, isn't installed"),
]


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle beside an empty cache that is this user's."""
    (tmp_path / "cache").mkdir(mode=0o700)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("CC", raising=False)
    path = tmp_path / "model.npz"
    path.write_bytes(pack(members()))
    return path


@pytest.fixture
def library(model: Path) -> Path:
    """The folder of the bundle's library."""
    return build(model)


def is_native(path: Path, **options: Any) -> bool:
    return isinstance(runtime.load(path, **options).executor, Native)


def test_a_built_bundle_runs_natively(model: Path, library: Path) -> None:
    """One example, several on two threads, and inputs of another type or order give what they should."""
    net = runtime.load(model, threads=2)
    assert isinstance(net.executor, Native)
    assert net.executor.library.batched
    np.testing.assert_allclose(net(X[:1]), Y[:1], rtol=1e-6)
    np.testing.assert_allclose(net(X), Y, rtol=1e-6)
    np.testing.assert_allclose(net(X.astype(np.float64)), Y, rtol=1e-6)
    np.testing.assert_allclose(net(np.asfortranarray(X)), Y, rtol=1e-6)
    assert np.asarray(net(X[:0])).shape == (0, 3)
    with pytest.raises(runtime.InputError):
        net(X[:, :3])


def test_results_are_the_callers_own(model: Path, library: Path) -> None:
    """A later call doesn't change an earlier one's result."""
    net = runtime.load(model)
    first = net(X[:1])
    net(-X[:1])
    np.testing.assert_allclose(first, Y[:1], rtol=1e-6)


@pytest.mark.parametrize("options", [{"native": False}, {"plain": True}, {"accuracy": "strict"}])
def test_it_can_be_switched_off(model: Path, library: Path, options: dict[str, Any]) -> None:
    """By the option, and where other kernels were asked for."""
    assert not is_native(model, **options)


def test_another_model_is_not_run_by_it(model: Path, library: Path) -> None:
    """One weight is another one: the library isn't used, and the numbers are the new model's."""
    model.write_bytes(pack(members(w=WEIGHT * 2, b=BIAS)))
    assert not is_native(model)
    np.testing.assert_array_equal(runtime.load(model)(X), np.maximum(X @ (WEIGHT * 2) + BIAS, 0))


def _file_for_all(folder: Path) -> None:
    (folder / "net.so").chmod(0o777)


def _folder_for_all(folder: Path) -> None:
    folder.chmod(0o777)


def _cache_for_the_group(folder: Path) -> None:
    folder.parent.chmod(0o770)


def _cut_off(folder: Path) -> None:
    content = (folder / "net.so").read_bytes()
    (folder / "net.so").unlink()  # else the code that this process has loaded would be cut off, too
    (folder / "net.so").write_bytes(content[:100])


def _other_weights(folder: Path) -> None:
    (folder / "net.bin").write_bytes(b"\0" * 64)


def _no_facts(folder: Path) -> None:
    (folder / "net.json").write_text("[]", encoding="utf-8")


def _half_gone(folder: Path) -> None:
    (folder / "net.bin").unlink()


_UNFIT = [_file_for_all, _folder_for_all, _cache_for_the_group, _cut_off, _other_weights, _no_facts, _half_gone]


@pytest.mark.parametrize("spoil", _UNFIT)
def test_what_others_may_have_written_is_not_loaded(model: Path, library: Path, spoil: Callable[[Path], None]) -> None:
    """Nor what isn't whole: the bundle runs by NumPy, without a word."""
    spoil(library)
    assert not is_native(model)
    np.testing.assert_array_equal(runtime.load(model)(X), Y)


def test_a_library_beside_the_model_is_not_looked_at(model: Path, library: Path) -> None:
    """What comes with a model doesn't run."""
    folder = model.parent / library.name
    shutil.copytree(library, folder)
    shutil.rmtree(library)
    for file in folder.iterdir():
        shutil.copy(file, model.parent)
    assert not is_native(model)


def test_owners(tmp_path: Path) -> None:
    """A file of another user is unsafe, in whichever folder; one's own under /tmp isn't."""
    (tmp_path / "f").write_bytes(b"")
    (tmp_path / "f").chmod(0o600)
    assert first_unsafe(tmp_path / "f") is None
    if os.getuid() == 0:
        os.chown(tmp_path / "f", 12345, -1)
        assert first_unsafe(tmp_path / "f") == tmp_path / "f"
    assert first_unsafe(tmp_path / "missing") == tmp_path / "missing"


def test_where_groups_may_write_by_default(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lax umask doesn't make the cache unsafe: what is built is used."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(model.parent / "cache" / "more"))
    before = os.umask(0)
    try:
        build(model)
    finally:
        os.umask(before)
    assert is_native(model)


def test_without_a_compiler(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clear sentence, and nothing is left behind."""
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(runtime.InputError, match="there is no C compiler no-such-compiler"):
        build(model)
    assert not any((model.parent / "cache").rglob("*.*"))


def test_without_the_exporter(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The generator of C is part of ckpt2onnx, which the message says."""
    monkeypatch.setattr(building, "_GENERATOR", "exporter_that_isnt_there.program")
    with pytest.raises(runtime.InputError, match="ckpt2onnx, which isn't installed"):
        build(model)


def test_an_operator_without_code(model: Path) -> None:
    """It is named, with the status for what isn't supported."""
    model.write_bytes(pack(members(document(nodes=[{**_loop()}], outputs=[_value("y")]))))
    with pytest.raises(runtime.UnknownOpError, match="Loop"):
        build(model)


def test_integers_and_an_index_outside(model: Path) -> None:
    """Indices are taken as they are; one outside is told of in NumPy's words, as without a library."""
    nodes = [{"op": "Gather", "name": "rows", "inputs": ["w", "x"], "outputs": ["y"], "attributes": {}}]
    ids = {"name": "x", "dtype": "int64", "shape": [2]}
    model.write_bytes(pack(members(document(inputs=[ids], nodes=nodes, outputs=[_value("y")], probes=[]))))
    plain = runtime.load(model)
    build(model)
    net = runtime.load(model)
    assert isinstance(net.executor, Native)
    for given in ([1, 0], [-1, 1]):
        np.testing.assert_array_equal(net(np.array(given)), WEIGHT[given])
    with pytest.raises(runtime.RunError) as told:
        plain(np.array([0, 9]))
    with pytest.raises(runtime.RunError) as again:
        net(np.array([0, 9]))
    assert str(again.value) == str(told.value)


def _value(name: str) -> dict[str, Any]:
    return {"name": name, "dtype": "float32", "shape": ["N", 3]}


def _loop() -> dict[str, Any]:
    body = {"inputs": ["i", "c", "s"], "nodes": [], "outputs": ["c", "s"]}
    inputs = ["", "", "x"]
    return {"op": "Loop", "name": "loop", "inputs": inputs, "outputs": ["y"], "attributes": {"body": {"graph": body}}}


def test_a_library_that_is_off_is_not_kept(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its results are compared with NumPy's before it is put into its place."""
    generate = building._generator()

    def spoiled(path: Path, prefix: str) -> dict[str, bytes]:
        files = generate(path, prefix)
        weights = np.frombuffer(files["net.bin"][64:], np.float32) * np.float32(1.01)
        return {**files, "net.bin": files["net.bin"][:64] + weights.tobytes()}

    monkeypatch.setattr(building, "_generator", lambda: spoiled)
    with pytest.raises(runtime.InputError, match="other numbers"):
        build(model)
    assert not any((model.parent / "cache").rglob("*.so"))
    assert not is_native(model)


def test_build_again_replaces_it(model: Path, library: Path) -> None:
    """The same place, whole again."""
    (library / "net.so").unlink()
    assert build(model) == library
    assert is_native(model)
    assert json.loads((library / "net.json").read_text(encoding="utf-8"))["batched"]
    assert [path.name for path in library.parent.iterdir()] == [library.name]
