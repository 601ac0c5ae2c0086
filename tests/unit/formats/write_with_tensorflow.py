"""Run as a script, by `test_against_tensorflow.py`: writes checkpoints with TensorFlow, and reads some with it.

    python write_with_tensorflow.py FOLDER

FOLDER/theirs gets the files, FOLDER/expected/NAME.npz what is in them; the checkpoints in FOLDER/ours, which were
written by the tests themselves, are read by TensorFlow into FOLDER/read. Plain NumPy files can't hold all types: they
hold `name` (bytes), `name.shape` and `name.type`, strings as text in hexadecimal digits.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", TF_USE_LEGACY_KERAS="1", CUDA_VISIBLE_DEVICES="-1")

import numpy as np
import tensorflow as tf
from tensorflow.python.framework import dtypes

tf1 = tf.compat.v1


def dump(path: Path, arrays: dict[str, Any]) -> None:
    """Stores arrays of any type."""
    flat: dict[str, Any] = {}
    for name, array in arrays.items():
        array = np.asarray(array)
        key = name.encode().hex()
        flat[f"{key}.shape"] = np.array(array.shape, np.int64)
        if array.dtype == object:
            flat[f"{key}.strings"] = np.array([value.hex() + "." for value in array.reshape(-1)], str)
        else:
            flat[key] = np.frombuffer(np.ascontiguousarray(array).tobytes(), np.uint8)
            flat[f"{key}.type"] = np.array(array.dtype.name)
    np.savez(path, **flat)


def values(dtype: Any, shape: tuple[int, ...], rng: np.random.Generator) -> Any:
    """An array of a TensorFlow type: every bit pattern of the small types, numbers of all sizes of the others."""
    count = int(np.prod(shape))
    if dtype == tf.string:
        texts = [rng.bytes(int(size)) for size in rng.integers(0, 300, count)]
        array = np.empty(count, object)
        array[:] = texts
        return array.reshape(shape)
    base = dtype.as_numpy_dtype
    if dtype == tf.bool:
        return rng.random(shape) < 0.5
    small = {dtypes.int4: (-8, 8), dtypes.uint4: (0, 16)}.get(dtype)
    if small:
        return rng.integers(*small, shape).astype(base)
    raw = rng.bytes(count * np.dtype(base).itemsize)
    return np.frombuffer(raw, base).reshape(shape)


ALL = [tf.float32, tf.float64, tf.int32, tf.uint8, tf.int16, tf.int8, tf.string, tf.complex64, tf.int64, tf.bool]
ALL += [tf.qint8, tf.quint8, tf.qint32, tf.bfloat16, tf.qint16, tf.quint16, tf.uint16, tf.complex128, tf.half]
ALL += [tf.uint32, tf.uint64, tf.dtypes.experimental.float8_e5m2, tf.dtypes.experimental.float8_e4m3fn]
ALL += [dtypes.int4, dtypes.uint4]
NOT_IN_V1 = {tf.bfloat16, tf.qint16, tf.quint16, tf.uint32, tf.uint64, *ALL[-4:]}
SHAPES: tuple[tuple[int, ...], ...] = ((), (0, 3), (7,), (3, 5), (2, 3, 4, 5), (70, 70))


def tensors(kinds: list[Any]) -> dict[str, tuple[Any, Any]]:
    """Name to (type, array)."""
    rng = np.random.default_rng(3)
    return {
        f"scope/{kind.name}/s{len(shape)}_{int(np.prod(shape))}": (kind, values(kind, shape, rng))
        for kind in kinds
        for shape in SHAPES
    }


def plain(array: Any) -> Any:
    """Quantised NumPy types are structures of one field; their bytes are what counts."""
    array = np.asarray(array)
    return array.view(array.dtype[0]) if array.dtype.fields else array


def save_raw(folder: Path) -> None:
    """V2 and V1 by the plain operations: all types, all shapes, odd names."""
    for version, kinds in (("v2", ALL), ("v1", [kind for kind in ALL if kind not in NOT_IN_V1])):
        made = tensors(kinds)
        made |= {f"é/{version}": (tf.float32, np.ones(2, np.float32)), "a\0b": (tf.int64, np.array([-(2**63)]))}
        with tf.Graph().as_default(), tf1.Session() as session:
            feeds = {tf1.placeholder(kind, array.shape): array for kind, array in made.values()}
            prefix = str(folder / "theirs" / version)
            if version == "v2":
                save = tf.raw_ops.SaveV2(
                    prefix=prefix, tensor_names=list(made), shape_and_slices=[""] * len(made), tensors=list(feeds)
                )
            else:
                save = tf.raw_ops.Save(filename=prefix, tensor_names=list(made), data=list(feeds))
            session.run(save, feeds)
        dump(folder / "expected" / f"{version}.npz", {name: plain(array) for name, (_, array) in made.items()})


def save_with_savers(folder: Path) -> None:
    """Training-style graphs: partitioned variables, several devices, renamed keys; V1 and V2, one file and several."""
    with tf.Graph().as_default():
        shards = tf1.fixed_size_partitioner
        with tf1.device("/cpu:0"):
            whole = tf1.get_variable("a/kernel", (3, 4), initializer=tf1.random_normal_initializer(seed=1))
            parts = tf1.get_variable(
                "a/emb", (10, 5), partitioner=shards(3), initializer=tf1.random_normal_initializer()
            )
        with tf1.device("/cpu:1"):
            columns = tf1.get_variable(
                "b/emb", (4, 100), partitioner=shards(7, axis=1), initializer=tf1.random_normal_initializer()
            )
            step = tf1.get_variable("step", initializer=np.int64(7), use_resource=True)
            texts = tf1.get_variable("texts", initializer=tf.constant([b"a", b"", b"\xff\0"]), dtype=tf.string)
        with tf1.Session() as session:
            session.run(tf1.global_variables_initializer())
            found = {"a/kernel": whole, "a/emb": parts.as_tensor(), "b/emb": columns.as_tensor()}
            found |= {"step": step, "texts": texts}
            dump(folder / "expected" / "saver.npz", session.run(found))
            for version in (1, 2):
                for sharded in (False, True):
                    saver = tf1.train.Saver(write_version=version, sharded=sharded, max_to_keep=99)
                    path = folder / "theirs" / f"saver_{version}_{'shards' if sharded else 'one'}" / "model.ckpt"
                    path.parent.mkdir()
                    saver.save(session, str(path), global_step=7)
            saver = tf1.train.Saver({"renamed/key": whole})
            (folder / "theirs" / "renamed é").mkdir()
            saver.save(session, str(folder / "theirs" / "renamed é" / 'mo"del'))
            tf1.train.export_meta_graph(str(folder / "theirs" / "text.meta"), as_text=True)
            tf1.train.export_meta_graph(str(folder / "theirs" / "binary.meta"))


def save_objects(folder: Path) -> None:
    """TensorFlow 2: an object graph, and a checkpoint that is cut into small shards along all axes."""
    rng = np.random.default_rng(5)
    module = tf.Module()
    module.big = tf.Variable(rng.normal(size=(40, 60)).astype(np.float32))
    module.vector = tf.Variable(rng.normal(size=500).astype(np.float32))
    module.count = tf.Variable(3, dtype=tf.int64)
    suffix = "/.ATTRIBUTES/VARIABLE_VALUE"
    expected = {f"m/{name}{suffix}": getattr(module, name).numpy() for name in ("big", "vector", "count")}
    checkpoint = tf.train.Checkpoint(m=module)
    policy = tf.train.experimental.MaxShardSizePolicy(max_shard_size=1500)
    for name, options in (
        ("objects", tf.train.CheckpointOptions()),
        ("policy", tf.train.CheckpointOptions(experimental_sharding_callback=policy)),
    ):
        checkpoint.write(str(folder / "theirs" / name), options=options)
        dump(folder / "expected" / f"{name}.npz", expected)


def constants(folder: Path) -> None:
    """TensorProtos of every type, packed in each way, with what TensorFlow makes of them."""
    expected, number = {}, 0
    (folder / "theirs" / "protos").mkdir()
    for kind, array in tensors(ALL).values():
        if kind.is_quantized and kind.size > 2:
            continue
        for value in (array, array[..., :1] if array.ndim else array):
            made = tf.make_tensor_proto(value, dtype=kind, shape=array.shape)
            (folder / "theirs" / "protos" / f"{number}.pb").write_bytes(made.SerializeToString())
            expected[str(number)] = plain(tf.make_ndarray(made))
            number += 1
    dump(folder / "expected" / "protos.npz", expected)


def read_ours(folder: Path) -> None:
    """What TensorFlow reads in the checkpoints that our tests' writers made."""
    for index in sorted((folder / "ours").glob("*.index")):
        reader = tf.train.load_checkpoint(str(index.with_suffix("")))
        found = {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
        dump(folder / "read" / f"{index.stem}.npz", {name: as_object(array) for name, array in found.items()})


def as_object(array: Any) -> Any:
    """Strings of rank 0 come as `bytes`."""
    return np.array(array, object) if isinstance(array, bytes) else array


if __name__ == "__main__":
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )
    _folder = Path(sys.argv[1])
    for _name in ("theirs", "expected", "read"):
        (_folder / _name).mkdir()
    save_raw(_folder)
    save_with_savers(_folder)
    save_objects(_folder)
    constants(_folder)
    read_ours(_folder)
