"""For each format: how a mutant is made from a seed and a number, and what reads it."""

from __future__ import annotations

import json
import random
import shutil
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import runtime
from exporter.api import export
from exporter.formats.checkpoint_v1 import open_v1
from exporter.formats.snappy import decompress
from exporter.formats.tensor_bundle import open_bundle
from exporter.formats.tf_protos import GraphDef, MetaGraphDef, SavedModel, TrackableObjectGraph, parse
from runtime.npy import header
from tests.fuzz.mutators import mutate_bytes, mutate_json, mutate_message
from tests.hostile import keras_files
from tests.hostile.edits import good
from tests.hostile.graph_edits import damage
from tests.hostile.table_writer import table
from tests.hostile.v1_writer import V1File

__all__ = ["FORMATS", "mutated_v1"]

Case = Callable[[random.Random, Path], None]
"""Makes a mutant in a folder and reads it; what it raises is judged by the caller."""

_SAMPLES = Path(__file__).parents[2] / "sample_ckpts"
_GRAPHS = ("one_neuron", "handmade", "handmade_v2", "autoencoder")


def _read(opened: Any) -> None:
    for name in opened:
        opened.read(name)


def _v2(rng: random.Random, folder: Path) -> None:
    bundle = good()
    values = bundle.values()
    key = rng.choice(sorted(values))
    values[key] = mutate_bytes(rng, values[key])
    if rng.random() < 0.3:
        values[mutate_bytes(rng, key)] = values[rng.choice(sorted(values))]
    prefix = bundle.write(folder / "m")
    Path(f"{prefix}.index").write_bytes(table(sorted(values.items())))
    _read(open_bundle(prefix))


def _sstable(rng: random.Random, folder: Path) -> None:
    prefix = good().write(folder / "m")
    index = Path(f"{prefix}.index")
    index.write_bytes(mutate_bytes(rng, index.read_bytes()))
    _read(open_bundle(prefix))


def mutated_v1(rng: random.Random, folder: Path) -> Path:
    """Write a V1 checkpoint of which one entry's bytes are mutated."""
    file = V1File()
    file.add("w", np.arange(6, dtype=np.float32).reshape(2, 3))
    file.add("b", np.arange(4, dtype=np.int64), [((0, 2),), ((2, 2),)])
    values = file.values()
    key = rng.choice(sorted(values))
    values[key] = mutate_bytes(rng, values[key])
    path = folder / "m.ckpt"
    path.write_bytes(table(sorted(values.items())))
    return path


def _v1(rng: random.Random, folder: Path) -> None:
    _read(open_v1(mutated_v1(rng, folder)))


def _snappy(rng: random.Random, folder: Path) -> None:
    literal = rng.randbytes(40)
    data = bytes([100, 39 << 2]) + literal + bytes([(60 - 4) << 2 & 0xFF | 1, 40, 0xFE, 8, 0])
    decompress(memoryview(mutate_bytes(rng, data)))


def _export(source: Path, folder: Path, **options: Any) -> None:
    export(source, folder / "out.onnx", **options)
    net = runtime.load(folder / "out.npz")
    if net.probes:
        assert all(found.good for found in net.check()), "the bundle doesn't reproduce its own probe"


def _copied(rng: random.Random, folder: Path) -> tuple[Path, Path]:
    source = folder / "source"
    shutil.copytree(_SAMPLES / rng.choice(_GRAPHS), source)
    (meta,) = source.glob("*.meta")
    return source, meta


def _metagraph(rng: random.Random, folder: Path) -> None:
    source, meta = _copied(rng, folder)
    message = parse(MetaGraphDef, meta.read_bytes(), what="seed")
    if rng.random() < 0.5:
        damage(message.graph_def, rng)
    else:
        mutate_message(rng, message.graph_def if rng.random() < 0.8 else message)
    meta.write_bytes(message.SerializeToString())
    _export(source, folder)


def _graph_def(rng: random.Random, folder: Path) -> None:
    seeds = sorted((Path(__file__).parents[1] / "hostile" / "found").glob("*.pb"))
    message = parse(GraphDef, rng.choice(seeds).read_bytes(), what="seed")
    mutate_message(rng, message)
    path = folder / "m.pb"
    path.write_bytes(message.SerializeToString())
    _export(path, folder)


def _saved_model(rng: random.Random, folder: Path) -> None:
    source, meta = _copied(rng, folder)
    graph = parse(MetaGraphDef, meta.read_bytes(), what="seed")
    graph.meta_info_def.tags.append("serve")
    message = SavedModel(meta_graphs=[graph])
    mutate_message(rng, message)
    target = folder / "saved"
    (target / "variables").mkdir(parents=True)
    for file in source.iterdir():
        if ".index" in file.name or ".data" in file.name:
            _, _, suffix = file.name.partition(".ckpt")
            shutil.copy(file, target / "variables" / f"variables{suffix[suffix.index('.') :]}")
    (target / "saved_model.pb").write_bytes(message.SerializeToString())
    _export(target, folder)


def _object_graph(rng: random.Random, folder: Path) -> None:
    graph = TrackableObjectGraph()
    for number in range(4):
        node = graph.nodes.add()
        node.children.add(node_id=(number + 1) % 4, local_name=f"child{number}")
        node.attributes.add(name="VARIABLE_VALUE", full_name="w", checkpoint_key="kernel")
    mutate_message(rng, graph)
    bundle = good()
    bundle.add("_CHECKPOINTABLE_OBJECT_GRAPH", np.array([graph.SerializeToString()], object).reshape(()))
    _export(bundle.write(folder / "m"), folder)


def _keras_config(rng: random.Random, folder: Path) -> None:
    config = mutate_json(rng, keras_files.config())
    if rng.random() < 0.5:
        _export(keras_files.archive(folder / "m.keras", config), folder)
    else:
        _export(keras_files.full_h5(folder / "m.h5", json.dumps(config)), folder)


def _hdf5(rng: random.Random, folder: Path) -> None:
    path = keras_files.full_h5(folder / "m.h5")
    path.write_bytes(mutate_bytes(rng, path.read_bytes()))
    _export(path, folder)


def _keras_zip(rng: random.Random, folder: Path) -> None:
    path = keras_files.archive(folder / "m.keras")
    path.write_bytes(mutate_bytes(rng, path.read_bytes()))
    _export(path, folder)


def _bundle(rng: random.Random) -> bytes:
    """The bytes of a bundle of one of the samples, exported once."""
    import tempfile

    name = rng.choice(("one_neuron", "handmade"))
    if name not in _BUNDLES:
        with tempfile.TemporaryDirectory() as folder:
            export(_SAMPLES / name, Path(folder) / "m.onnx")
            _BUNDLES[name] = (Path(folder) / "m.npz").read_bytes()
    return _BUNDLES[name]


_BUNDLES: dict[str, bytes] = {}


def _run_bundle(path: Path) -> None:
    for plain in (False, True):
        net = runtime.load(path, plain=plain, threads=1)
        net.check()
        sizes = [[d if isinstance(d, int) else 2 for d in value.shape or ()] for value in net.inputs]
        if all(np.prod(shape, dtype=float) < 1e6 for shape in sizes):
            net.run({v.name: np.ones(shape, v.dtype) for v, shape in zip(net.inputs, sizes, strict=True)})


def _plan(rng: random.Random, folder: Path) -> None:
    path = folder / "m.npz"
    path.write_bytes(_bundle(rng))
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    text = members["__plan__.npy"]
    start = 10 + int.from_bytes(text[8:10], "little")
    document = json.loads(text[start:])
    part = document if rng.random() < 0.3 else {"nodes": document["nodes"]}
    mutate_json(rng, part)
    document.update(part)
    changed = json.dumps(document).encode()
    members["__plan__.npy"] = header("uint8", [len(changed)]) + changed
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    _run_bundle(path)


def _arrays(rng: random.Random, folder: Path) -> None:
    path = folder / "m.npz"
    path.write_bytes(mutate_bytes(rng, _bundle(rng)))
    _run_bundle(path)


FORMATS: dict[str, Case] = {
    "arrays": _arrays,
    "graph_def": _graph_def,
    "hdf5": _hdf5,
    "keras_config": _keras_config,
    "keras_zip": _keras_zip,
    "meta_graph": _metagraph,
    "object_graph": _object_graph,
    "plan": _plan,
    "saved_model": _saved_model,
    "snappy": _snappy,
    "sstable": _sstable,
    "v1": _v1,
    "v2": _v2,
}
"""All that is fuzzed, by name."""

warnings.simplefilter("ignore", RuntimeWarning)
