"""How TensorFlow wrote the golden checkpoints: `python -m tests.golden.make_checkpoints FOLDER`.

The committed files were written by TensorFlow 2.21.0 on 2026-11-21 with this script, on an x86-64 machine. They are
never written again: what is read from them must stay what `values.npz` says.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sample_ckpts.oracle import tf

__all__ = ["write_all"]

_RNG = np.random.default_rng(20)


def _plain() -> dict[str, Any]:
    return {
        "dense/kernel": _RNG.normal(size=(7, 5)).astype(np.float32),
        "dense/bias": _RNG.normal(size=5).astype(np.float32),
        "conv/kernel": _RNG.normal(size=(3, 3, 2, 4)).astype(np.float32),
        "global_step": np.int64(1234567890123),
        "scalar": np.float32(-0.0),
        "empty": np.zeros((0, 4), np.float32),
    }


def _types() -> dict[str, Any]:
    numbers: list[Any] = [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64]
    values: dict[str, Any] = {np.dtype(t).name: np.array([0, 1, np.iinfo(t).max, np.iinfo(t).min], t) for t in numbers}
    floats: list[Any] = [np.float16, np.float32, np.float64]
    for dtype in floats:
        limits = np.finfo(dtype)
        values[np.dtype(dtype).name] = np.array([limits.max, -limits.tiny, limits.eps, np.inf, np.nan], dtype)
    values["bool"] = np.array([[True, False], [False, False]])
    values["complex64"] = np.array([1 + 2j, -3.5j], np.complex64)
    values["complex128"] = np.array([[1e300 - 1j]])
    values["string"] = np.array([[b"", b"a"], [b"\x00\xff" * 70, "é".encode()]], object)
    return values


def _save(folder: Path, values: Mapping[str, Any], *, partitioner: Any = None, **options: Any) -> None:
    """One variable per value; a partitioner cuts those of rank two, which then hold numbers of TensorFlow's."""
    folder.mkdir(parents=True)
    with tf.Graph().as_default():
        tf.set_random_seed(1)
        tensors = {name: _variable(name, np.asarray(value), partitioner) for name, value in values.items()}
        saver = tf.train.Saver(save_relative_paths=True, **options)
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            saver.save(session, str(folder / "model.ckpt"), write_meta_graph=False, write_state=False)
            saved = session.run(tensors)
    readable = {name: value for name, value in saved.items() if np.asarray(value).dtype != object}
    np.savez_compressed(folder / "values.npz", allow_pickle=False, **readable)


def _variable(name: str, value: np.ndarray[Any, Any], partitioner: Any) -> Any:
    if partitioner is not None and value.ndim == 2 and value.size:
        cut = tf.get_variable(name, value.shape, initializer=tf.truncated_normal_initializer(), partitioner=partitioner)
        return cut.as_tensor()
    dtype = tf.string if value.dtype == object else tf.as_dtype(value.dtype)
    return tf.get_variable(name, initializer=tf.constant(value, dtype, value.shape), use_resource=True)


def write_all(folder: Path) -> None:
    """Every golden checkpoint."""
    _save(folder / "v2", _plain())
    _save(folder / "v1", _plain(), write_version=1)
    _save(folder / "types", _types())
    _save(folder / "partitioned", _plain(), partitioner=tf.fixed_size_partitioner(3, 0))
    _save(folder / "partitioned_columns_v1", _plain(), partitioner=tf.fixed_size_partitioner(2, 1), write_version=1)
    _save(folder / "many_keys", {f"layer_{i}/sub_{i % 7}/w": np.array([i, -i], np.float32) for i in range(100)})


if __name__ == "__main__":
    write_all(Path(sys.argv[1]))
