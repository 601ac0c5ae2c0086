"""Dangerous Keras files through the command line: whole processes with little memory and little time."""

from __future__ import annotations

import base64
import copy
import json
import marshal
import struct
import sys
import warnings
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tests.cli.terminal import contents
from tests.hostile.keras_files import added_layer, archive, config, full_h5, members, v3_weights, zipped
from tests.hostile.limited import Ended, run_limited

_ROOT = Path(__file__).parents[2]
_DEEP = 100_000
_ADDRESSES = 3 << 30
_SECONDS = 10
_MORE_MEMORY = 64 << 20

Make = Callable[[Path], Path | tuple[Path, Path]]
"""Writes a file into a folder; gives it, and maybe the one for `--graph`."""


def _replaced(write: Callable[[Any, Path], object], *, name: str = "d/kernel") -> Make:
    """A whole model of which one dataset is another thing."""

    def edit(file: Any, folder: Path) -> None:
        group = file["model_weights/d"]
        del group[name]
        write(group, folder)

    return lambda folder: full_h5(folder / "m.h5", edit=edit)


def _external_storage(group: Any, folder: Path) -> None:
    (folder / "secret").write_bytes(bytes(48))
    group.create_dataset("d/kernel", (4, 3), "f4", external=[(str(folder / "secret"), 0, 48)])


def _external_link(group: Any, folder: Path) -> None:
    with h5py.File(folder / "other.h5", "w") as other:
        other["kernel"] = np.ones((4, 3), np.float32)
    group["d/kernel"] = h5py.ExternalLink(str(folder / "other.h5"), "kernel")


def _soft_link(group: Any, folder: Path) -> None:
    group["other"] = np.ones((4, 3), np.float32)
    group["d/kernel"] = h5py.SoftLink("/model_weights/d/other")


def _soft_loop(group: Any, folder: Path) -> None:
    group["d/kernel"] = h5py.SoftLink("/model_weights/d/d/kernel")


def _virtual(group: Any, folder: Path) -> None:
    layout = h5py.VirtualLayout((4, 3), "f4")
    layout[:] = h5py.VirtualSource(str(folder / "other.h5"), "w", (4, 3))
    group.create_virtual_dataset("d/kernel", layout)


def _cycle(group: Any, folder: Path) -> None:
    group["d/kernel"] = group


def _declared(group: Any, folder: Path, **options: Any) -> None:
    group.create_dataset("d/kernel", (2**40, 3), "f4", **options)


def _gzip_bomb(group: Any, folder: Path) -> None:
    made = group.create_dataset("d/kernel", (2**30,), "u1", compression="gzip", chunks=(2**24,))
    made[: 2**26] = 0


def _deep_groups(group: Any, folder: Path) -> None:
    group.create_group("/".join("g" * 500))


def _renamed(group: Any, folder: Path) -> None:
    group["d/kernels"] = np.ones((4, 3), np.float32)


def _objects(group: Any, folder: Path) -> None:
    group.create_dataset("d/kernel", (4, 3), h5py.string_dtype())


def _not_a_number(group: Any, folder: Path) -> None:
    group["d/kernel"] = np.full((4, 3), np.nan, np.float32)


def _layer_twice(folder: Path) -> Path:
    def edit(file: Any, _: Path) -> None:
        file["model_weights"].attrs["layer_names"] = [b"d", b"d"]

    return full_h5(folder / "m.h5", edit=edit)


def _truncated(folder: Path) -> Path:
    path = full_h5(folder / "m.h5")
    path.write_bytes(path.read_bytes()[:-100])
    return path


def _deep_h5(folder: Path) -> Path:
    return full_h5(folder / "m.h5", "[" * _DEEP + "]" * _DEEP)


def _with_layer(suffix: str, **layer: Any) -> Make:
    """A model with a layer that Keras would run or import."""

    def make(folder: Path) -> Path:
        made = added_layer(**layer)
        if suffix == ".keras":
            return archive(folder / "m.keras", made)
        return full_h5(folder / "m.h5", json.dumps(made))

    return make


def _code() -> str:
    """A function that would leave a file behind, as Keras writes one."""
    code = compile("open('executed', 'w')", "<lambda>", "exec")
    return base64.b64encode(marshal.dumps(code)).decode()


def _written(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text)
    return folder / name


def _lambda_as_activation(folder: Path) -> Path:
    made = copy.deepcopy(config())
    function = {"class_name": "__lambda__", "config": {"value": _code()}}
    made["config"]["layers"][1]["config"]["activation"] = function
    return archive(folder / "m.keras", made)


def _bomb(folder: Path, *, member: str) -> Path:
    """A member of a gigabyte of blanks in a megabyte."""
    with zipfile.ZipFile(folder / "m.keras", "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in members():
            if name != member:
                made.writestr(name, data)
        with made.open(member, "w") as stream:
            for _ in range(1024):
                stream.write(b" " * 2**20)
    return folder / "m.keras"


def _members(*more: tuple[str, bytes]) -> Make:
    def make(folder: Path) -> Path:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return zipped(folder / "m.keras", *members(), *more)

    return make


def _patched(at: int, value: bytes) -> Make:
    """An archive whose directory says something else of `config.json`."""

    def make(folder: Path) -> Path:
        path = archive(folder / "m.keras")
        data = bytearray(path.read_bytes())
        entry = data.rindex(b"config.json") - 46
        data[entry + at : entry + at + len(value)] = value
        path.write_bytes(data)
        return path

    return make


def _config_text(text: bytes) -> Make:
    return lambda folder: zipped(folder / "m.keras", ("config.json", text), *members()[1:])


def _no_config(folder: Path) -> Path:
    return zipped(folder / "m.keras", *members()[1:])


def _nested_zip(folder: Path) -> Path:
    inner = archive(folder / "inner.keras").read_bytes()
    return archive(folder / "m.keras", weights=inner)


def _linked_archive(folder: Path) -> Path:
    def edit(file: Any, _: Path) -> None:
        del file["layers/dense/vars/0"]
        file["layers/dense/vars/0"] = h5py.ExternalLink("/etc/passwd", "x")

    return archive(folder / "m.keras", weights=v3_weights(edit))


def _deep_graph(folder: Path) -> tuple[Path, Path]:
    deep = '{"class_name":' * _DEEP + "1" + "}" * _DEEP
    return full_h5(folder / "m.h5"), _written(folder, "deep.json", deep)


def _long_graph(folder: Path) -> tuple[Path, Path]:
    return full_h5(folder / "m.h5"), _written(folder, "long.json", '{"class_name": [' + "0," * 1_000_000 + "0]}")


def _index_outside(folder: Path) -> tuple[Path, Path]:
    index = {"metadata": {"total_size": 60}, "weight_map": {"/layers/dense/vars": "../x.weights.h5"}}
    return _written(folder, "m.weights.json", json.dumps(index)), _written(folder, "m.json", json.dumps(config()))


def _module(place: str, name: str, /, **more: Any) -> dict[str, Any]:
    return {"module": place, "class_name": name, "config": {"name": "evil", **more}, "registered_name": name}


_LAMBDA_2 = {"class_name": "Lambda", "config": {"name": "evil", "function": [_code(), None, None]}}
_LAMBDA_3 = _module("keras.layers", "Lambda", function={"class_name": "__lambda__", "config": {"value": _code()}})

HOSTILE: dict[str, tuple[Make, int, str]] = {
    "h5 external storage": (_replaced(_external_storage), 3, "d/kernel"),
    "h5 external link": (_replaced(_external_link), 3, "d/kernel"),
    "h5 soft link": (_replaced(_soft_link), 3, "d/kernel"),
    "h5 soft link loop": (_replaced(_soft_loop), 3, "d/kernel"),
    "h5 virtual dataset": (_replaced(_virtual), 3, "d/kernel"),
    "h5 cycle of hard links": (_replaced(_cycle), 3, "same object"),
    "h5 shape bomb": (_replaced(_declared), 3, "0 stored"),
    "h5 shape bomb in chunks": (_replaced(partial(_declared, chunks=(2**20, 3))), 3, "claim"),
    "h5 gzip bomb": (_replaced(_gzip_bomb), 3, "expand"),
    "h5 deep groups": (_replaced(_deep_groups), 3, "groups deep"),
    "h5 other names": (_replaced(_renamed), 3, "d/kernel"),
    "h5 texts for numbers": (_replaced(_objects), 4, "d/kernel"),
    "h5 NaN": (_replaced(_not_a_number), 3, "NaN"),
    "h5 layer twice": (_layer_twice, 3, "several times"),
    "h5 truncated": (_truncated, 3, "m.h5"),
    "h5 deep config": (_deep_h5, 3, "nested deeper"),
    "h5 Lambda": (_with_layer(".h5", **_LAMBDA_2), 4, "evil (Lambda)"),
    "h5 Lambda of Keras 3": (_with_layer(".h5", **_LAMBDA_3), 4, "evil (Lambda)"),
    "keras Lambda": (_with_layer(".keras", **_LAMBDA_3), 4, "evil (Lambda)"),
    "keras Lambda as activation": (_lambda_as_activation, 4, "__lambda__"),
    "keras module os": (_with_layer(".keras", **_module("os", "system", command="touch executed")), 4, "evil (system)"),
    "keras registered class": (
        _with_layer(".keras", **{**_module("builtins", "Mine"), "registered_name": "package>Mine"}),
        4,
        "evil (Mine)",
    ),
    "keras TFSMLayer": (_with_layer(".keras", **_module("keras.layers", "TFSMLayer", filepath="/x")), 4, "TFSMLayer"),
    "keras TorchModuleWrapper": (
        _with_layer(".keras", **_module("keras.layers", "TorchModuleWrapper", module=_code())),
        4,
        "TorchModuleWrapper",
    ),
    "keras StringLookup of a file": (
        _with_layer(".keras", **_module("keras.layers", "StringLookup", vocabulary="/etc/passwd")),
        4,
        "StringLookup",
    ),
    "keras bomb in config": (partial(_bomb, member="config.json"), 3, "expand"),
    "keras bomb in weights": (partial(_bomb, member="model.weights.h5"), 3, "expand"),
    "keras member twice": (_members(("config.json", b"{}")), 3, "twice"),
    "keras member outside": (_members(("../evil", b"")), 3, "leads out"),
    "keras absolute member": (_members(("/etc/evil", b"")), 3, "leads out"),
    "keras many members": (_members(*((f"assets/{n}", b"") for n in range(10_001))), 3, "members"),
    "keras encrypted": (_patched(8, b"\1\0"), 3, "encrypted"),
    "keras five gigabytes declared": (_patched(24, struct.pack("<I", 2**32 - 2)), 3, "config.json"),
    "keras no config": (_no_config, 3, "zip archive"),
    "keras deep config": (_config_text(b'{"a":' * _DEEP + b"1" + b"}" * _DEEP), 3, "nested deeper"),
    "keras NaN in config": (_config_text(b'{"a": NaN}'), 3, "NaN"),
    "keras nested zip": (_nested_zip, 3, "HDF5"),
    "keras link in weights": (_linked_archive, 3, "layers/dense/vars/0"),
    "json deep": (_deep_graph, 3, "nested deeper"),
    "json no model": (_long_graph, 3, "class_name"),
    "json index outside": (_index_outside, 3, "x.weights.h5"),
}
"""By name: what makes the files, the exit status, and words of the error."""


def export(source: Path, graph: Path | None, cwd: Path) -> Ended:
    """An export in a process of its own, with an eighth of the addresses it could have and seconds to compute."""
    command = [sys.executable, "-m", "exporter", "export", str(source), "-o", "out.onnx"]
    command += [] if graph is None else ["--graph", str(graph)]
    environment = {"PYTHONPATH": str(_ROOT), "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PATH": "/usr/bin"}
    return run_limited(command, cwd.parent, cwd=cwd, addresses=_ADDRESSES, seconds=_SECONDS, environment=environment)


def _folders(tmp_path: Path) -> tuple[Path, Path]:
    """Where the source lies, and where the command runs."""
    source, work = tmp_path / "source", tmp_path / "work"
    source.mkdir()
    work.mkdir()
    return source, work


@pytest.fixture(scope="module")
def usual_memory(tmp_path_factory: pytest.TempPathFactory) -> int:
    """What an export of the good model holds at its most; that it works means the limits are enough."""
    source, work = _folders(tmp_path_factory.mktemp("good"))
    most = 0
    for path in (full_h5(source / "m.h5"), archive(source / "m.keras")):
        ended = export(path, None, work)
        assert ended.status == 0, ended.err
        most = max(most, ended.memory)
    assert {"out.onnx", "out.npz"} == set(contents(work))
    return most


@pytest.mark.slow
@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_files_fail_closed(case: str, usual_memory: int, tmp_path: Path) -> None:
    """Status 3 or 4 and one paragraph that names the culprit; nothing written, run or blown up."""
    make, status, words = HOSTILE[case]
    source, work = _folders(tmp_path)
    made = make(source)
    path, graph = made if isinstance(made, tuple) else (made, None)
    before = contents(source)
    ended = export(path, graph, work)
    assert (ended.status, ended.out) == (status, ""), ended.err[-2000:]
    assert ended.err.startswith("ckpt2onnx: ")
    assert ended.err.count("\n") == 1
    assert len(ended.err) < 2000
    assert words in ended.err
    assert not contents(work)
    assert contents(source) == before
    size = sum(map(len, before.values()))
    assert ended.memory <= usual_memory + _MORE_MEMORY + 2 * size
