"""A TF1 checkpoint, whichever of its files or folders the user names, with the graph that belongs to it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exporter.errors import FormatError, MissingError
from exporter.formats import limits
from exporter.formats.checkpoint_v1 import open_v1
from exporter.formats.files import RegularFile
from exporter.formats.prefix import prefix_of
from exporter.formats.records import TensorStore
from exporter.formats.sniff import Kind, sniff
from exporter.formats.state_file import read_state_file
from exporter.formats.tensor_bundle import open_bundle
from exporter.formats.tf_protos import GraphDef, MetaGraphDef, parse, parse_text
from exporter.sources.graph import Graph, Ref, parse_ref
from exporter.sources.graph_def import read_graph
from exporter.sources.model import Signature, SourceModel
from exporter.sources.object_graph import OBJECT_GRAPH, labels
from exporter.sources.restore import bind_variables

__all__ = ["Located", "bound", "locate", "read_checkpoint", "read_frozen", "read_graph_file", "read_signatures"]

_PART = re.compile(r"\.(index|meta|data-\d{5}-of-\d{5})$|-\d{5}-of-\d{5}$")


@dataclass(frozen=True, slots=True)
class Located:
    """The files of a checkpoint.

    Attributes:
        prefix: What TensorFlow calls the checkpoint: `run/model.ckpt-1000`.
        version: 1 or 2.
        notes: How the prefix was found, where that took more than appending a suffix.
    """

    prefix: Path
    version: int
    notes: tuple[str, ...] = ()


def locate(path: Path) -> Located | None:
    """The checkpoint that `path` belongs to: its prefix, any of its files, or a directory with a `checkpoint` file.

    None if it is none of these.
    """
    if path.is_dir():
        return _from_state(path / "checkpoint") or _only_one(path)
    if path.name == "checkpoint" and path.is_file():
        return _from_state(path)
    # a prefix that is empty, as of `run/.index`, is the directory and a slash
    for prefix in (path, prefix_of(_PART.sub("", str(path)))):
        version = _version(prefix)
        if version is not None:
            return Located(prefix, version)
    return None


def _version(prefix: Path) -> int | None:
    """2 if there is an index file; both formats side by side: the newer one, as TensorFlow does."""
    if Path(f"{prefix}.index").is_file():
        return 2
    if prefix.is_file() and sniff(prefix) is Kind.V1_CHECKPOINT:
        return 1
    shards = sorted(prefix.parent.glob(f"{_literal(prefix.name)}-?????-of-?????")) if prefix.parent.is_dir() else []
    return 1 if shards and ".data-" not in shards[0].name and sniff(shards[0]) is Kind.V1_CHECKPOINT else None


def _literal(name: str) -> str:
    """The name as a glob pattern that matches nothing else."""
    return re.sub(r"([*?\[])", r"[\1]", name)


def _from_state(state: Path) -> Located | None:
    if not state.is_file():
        return None
    written = re.sub(r"-\?{5}-of-\d{5}$", "", read_state_file(state).latest)
    asked = prefix_of(written if Path(written).is_absolute() else f"{state.parent}/{written}")
    beside = prefix_of(f"{state.parent}/{asked.name}")
    for prefix in (asked, beside):
        version = _version(prefix)
        if version is not None:
            moved = f"; {asked} is gone, {beside} is beside the state file" if prefix != asked else ""
            return Located(prefix, version, (f"{state} names {written}{moved}",))
    raise MissingError(
        f"it names the checkpoint {written!r}, and there is no {written}.index or V1 file there nor beside it",
        hint="Put the checkpoint's files next to it, or give the prefix of another one",
    ).within(f"file {state}")


def _only_one(folder: Path) -> Located | None:
    """Without a state file: the checkpoint, if the directory has just one."""
    prefixes = sorted({prefix_of(str(index).removesuffix(".index")) for index in folder.glob("*.index")})
    if not prefixes:
        return None
    if len(prefixes) > 1:
        names = ", ".join(prefix.name for prefix in prefixes[:10])
        raise MissingError(
            f"it has {len(prefixes)} checkpoints ({names}) and no state file that says which is meant",
            hint=f"Give one of them, as {prefixes[-1]}",
        ).within(f"directory {folder}")
    return Located(prefixes[0], 2, (f"{folder} has one checkpoint, {prefixes[0].name}",))


def read_checkpoint(path: Path, located: Located, *, graph_file: Path | None = None) -> SourceModel:
    """The checkpoint with its graph: `graph_file`, or the `.meta` beside it; without either, weights only."""
    prefix = located.prefix
    if located.version == 2:
        store: TensorStore = open_bundle(prefix)
    else:
        shards = sorted(prefix.parent.glob(f"{_literal(prefix.name)}-?????-of-?????"))
        store = open_v1(prefix if prefix.is_file() or not shards else shards[0])
    meta = Path(f"{prefix}.meta")
    if graph_file is None and meta.is_file():
        graph_file = meta
    kind = f"{'TF2 object-based' if OBJECT_GRAPH in store else 'TF1'} checkpoint (V{located.version})"
    if graph_file is None:
        return SourceModel(path, f"{kind}, weights only", None, store, notes=located.notes)
    graph, signatures, restore_op = read_graph_file(graph_file)
    return bound(path, f"{kind} with {graph_file.name}", graph, signatures, restore_op, store, located.notes)


def bound(
    path: Path,
    kind: str,
    graph: Graph,
    signatures: dict[str, Signature],
    restore_op: str | None,
    store: TensorStore,
    notes: tuple[str, ...],
) -> SourceModel:
    """A graph with its variables, each bound to its value in the checkpoint; a note on those bound by name alone."""
    bindings = bind_variables(graph, store, restore_op=restore_op, names=labels(store))
    by_name = [name for name in bindings.by_name if name in bindings.variables]
    if by_name:
        notes += (f"{len(by_name)} variables are set by no restore op and were found by their names",)
    return SourceModel(path, kind, graph, store, bindings.variables, bindings.missing, signatures, notes)


def read_frozen(path: Path) -> SourceModel:
    """A GraphDef (or MetaGraphDef) file on its own: everything it needs has to be in its constants."""
    graph, signatures, _ = read_graph_file(path)
    return SourceModel(path, "GraphDef", graph, None, signatures=signatures)


def read_graph_file(path: Path) -> tuple[Graph, dict[str, Signature], str | None]:
    """The graph of a `.meta`, `.pb` or their text forms, its signatures, and the saver's restore op if it has one."""
    if not path.is_file():
        raise MissingError("there is no such file").within(f"file {path}")
    kind = sniff(path)
    data = RegularFile.at(path).read_all(limits.MAX_PROTO_BYTES)
    what = f"file {path}"
    if kind is Kind.META_GRAPH:
        return _from_meta(parse(MetaGraphDef, data, what=what))
    if kind is Kind.GRAPH_DEF:
        return read_graph(parse(GraphDef, data, what=what)), {}, None
    if kind is Kind.META_GRAPH_TEXT:
        return _from_meta(parse_text(MetaGraphDef, data, what=what))
    if kind is Kind.GRAPH_DEF_TEXT:
        return read_graph(parse_text(GraphDef, data, what=what)), {}, None
    raise FormatError(
        "it is neither a GraphDef nor a MetaGraphDef", hint="A graph is in a .meta, .pb or .pbtxt file"
    ).within(what)


def _from_meta(meta: Any) -> tuple[Graph, dict[str, Signature], str | None]:
    graph = read_graph(meta.graph_def, op_list=meta.meta_info_def.stripped_op_list.op, collections=meta.collection_def)
    return graph, read_signatures(meta), meta.saver_def.restore_op_name or None


def read_signatures(meta: Any) -> dict[str, Signature]:
    """The signatures of a MetaGraphDef; tensors that are not plain (sparse, composite) are left out."""
    return {
        name: Signature(_refs(signature.inputs), _refs(signature.outputs))
        for name, signature in sorted(meta.signature_def.items())
    }


def _refs(infos: Any) -> dict[str, Ref]:
    return {name: parse_ref(info.name) for name, info in sorted(infos.items()) if info.name}
