"""Sample checkpoints with something about them changed: other weights, other shards, another graph."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from exporter.formats.records import Array, TensorStore
from exporter.formats.tensor_bundle import open_bundle
from exporter.formats.tf_protos import MetaGraphDef, parse
from tests.cli.terminal import SAMPLES
from tests.hostile.bundle_writer import Bundle

__all__ = ["PREFIX", "copied", "regraphed", "reweighted"]

PREFIX = "model.ckpt"

Change = Callable[[Array], Array]


def copied(sample: str, folder: Path) -> Path:
    """A copy of a sample; its prefix."""
    shutil.copytree(SAMPLES / sample, folder)
    return folder / PREFIX


def reweighted(sample: str, folder: Path, changes: Mapping[str, Change | None], *, shards: int = 1) -> Path:
    """The sample with some tensors changed, or left out (None), spread over several data files; its prefix."""
    store: TensorStore = open_bundle(SAMPLES / sample / PREFIX)
    unknown = set(changes) - set(store)
    assert not unknown, unknown
    bundle = Bundle(shards=shards)
    for number, key in enumerate(store):
        change = changes.get(key, _same)
        if change is not None:
            bundle.add(key, change(store.read(key).copy()), shard=number % shards)
    folder.mkdir()
    shutil.copy(SAMPLES / sample / f"{PREFIX}.meta", folder)
    return bundle.write(folder / PREFIX)


def _same(array: Array) -> Array:
    return array


def regraphed(sample: str, folder: Path, change: Callable[[Any], None]) -> Path:
    """The sample with its meta graph changed; its prefix."""
    prefix = copied(sample, folder)
    path = Path(f"{prefix}.meta")
    meta = parse(MetaGraphDef, path.read_bytes(), what="the sample")
    change(meta)
    path.write_bytes(meta.SerializeToString())
    return prefix
