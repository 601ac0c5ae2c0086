"""SavedModels, of TensorFlow 1 (one flat graph) and 2 (a function per signature)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from exporter.errors import MissingError
from exporter.formats import limits
from exporter.formats.files import RegularFile
from exporter.formats.tensor_bundle import open_bundle
from exporter.formats.tf_protos import SavedModel, parse, parse_text
from exporter.sources.checkpoint import bound, read_signatures
from exporter.sources.graph import parse_ref
from exporter.sources.graph_def import read_graph
from exporter.sources.model import SourceModel

__all__ = ["SERVE", "is_saved_model", "read_saved_model"]

_ASSETS = "assets"
_NAMES = ("saved_model.pb", "saved_model.pbtxt")
SERVE = "serve"
"""The tag of the meta graph that is meant for inference."""


def is_saved_model(path: Path) -> bool:
    """Whether it is a directory with a SavedModel, or the file in one."""
    return (path.name in _NAMES and path.is_file()) or any((path / name).is_file() for name in _NAMES)


def read_saved_model(path: Path) -> SourceModel:
    """The SavedModel of a directory, or of the file in it: the meta graph that is tagged `serve`.

    Raises:
        MissingError: It has several meta graphs, and none is for serving; lists their tags.
    """
    folder = path.parent if path.name in _NAMES else path
    file = next(folder / name for name in _NAMES if (folder / name).is_file())
    data = RegularFile.at(file).read_all(limits.MAX_PROTO_BYTES)
    what = f"file {file}"
    message = parse_text(SavedModel, data, what=what) if file.suffix == ".pbtxt" else parse(SavedModel, data, what=what)
    meta, notes = _choose(message, file)
    graph = read_graph(meta.graph_def, op_list=meta.meta_info_def.stripped_op_list.op, collections=meta.collection_def)
    signatures = read_signatures(meta)
    prefix = folder / "variables" / "variables"
    store = open_bundle(prefix) if Path(f"{prefix}.index").is_file() else None
    kind = f"SavedModel, written by TensorFlow {meta.meta_info_def.tensorflow_version or 'of unknown version'}"
    assets = {
        parse_ref(asset.tensor_info.name).node: folder / _ASSETS / Path(asset.filename).name
        for asset in meta.asset_file_def
    }
    if store is None:
        return SourceModel(path, kind, graph, None, signatures=signatures, notes=notes, assets=assets)
    model = bound(path, kind, graph, signatures, meta.saver_def.restore_op_name or None, store, notes)
    return replace(model, assets=assets)


def _choose(message: Any, file: Path) -> tuple[Any, tuple[str, ...]]:
    metas = list(message.meta_graphs)
    serving = [meta for meta in metas if SERVE in meta.meta_info_def.tags]
    tags = ["+".join(meta.meta_info_def.tags) or "no tag" for meta in metas]
    if len(serving) == 1:
        note = f"of {len(metas)} meta graphs ({', '.join(tags)}) the one for serving" if len(metas) > 1 else None
        return serving[0], (note,) if note else ()
    if len(metas) == 1:
        return metas[0], (f"its only meta graph is tagged {tags[0]}, not {SERVE}",)
    raise MissingError(
        f"it has {len(metas)} meta graphs, {len(serving)} of them for serving: {', '.join(tags) or 'none at all'}",
        hint="Save it again with one meta graph tagged `serve`",
    ).within(f"file {file}")
