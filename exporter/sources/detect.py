"""What a path is, by its contents, and which reader takes it; what is no model, named, with what to give instead."""

from __future__ import annotations

import re
from difflib import get_close_matches
from pathlib import Path

from exporter.errors import FormatError, MissingError, UsageError
from exporter.formats.sniff import Kind, sniff
from exporter.sources.checkpoint import locate, read_checkpoint, read_frozen
from exporter.sources.model import SourceModel
from exporter.sources.rebind import rebind
from exporter.sources.saved_model import is_saved_model, read_saved_model

__all__ = ["open_source", "source_files"]

_DATA = re.compile(r"\.data-\d{5}-of-\d{5}$")
_PART = re.compile(r"\.(index|meta|data-\d{5}-of-\d{5})$|-\d{5}-of-\d{5}$")

_GRAPHS = frozenset({Kind.GRAPH_DEF, Kind.GRAPH_DEF_TEXT, Kind.META_GRAPH, Kind.META_GRAPH_TEXT})

_ADVICE = {
    Kind.LFS_POINTER: "Fetch the file itself with `git lfs pull`",
    Kind.GZIP: "Unpack it first (tar -xzf), and give what is inside",
    Kind.TAR: "Unpack it first (tar -xf), and give what is inside",
    Kind.ZIP: "Unpack it first, and give what is inside",
    Kind.ONNX: "It is exported already: `ckpt2onnx run` runs it, `ckpt2onnx verify` checks it",
    Kind.BUNDLE: "It is exported already: `ckpt2onnx run` runs it, `ckpt2onnx verify` checks it",
    Kind.ARRAYS: "Arrays alone don't say how they are connected; give the checkpoint that they were taken from. As "
    "inputs of an exported model they go to `ckpt2onnx run`",
    Kind.TFLITE: "It was converted before; give the checkpoint or SavedModel that it was made of",
    Kind.CUT_ZIP: "The download or the save was cut short; get it again",
    Kind.CUT_KERAS: "The download or the save was cut short; get it again",
    Kind.PYTORCH: "Only TensorFlow's and Keras's files are read; export it with torch.onnx.export",
    Kind.PICKLE: "Only TensorFlow's and Keras's files are read; a PyTorch model is exported with torch.onnx.export",
    Kind.SAFETENSORS: "Tensors alone don't say how they are connected; give the TensorFlow or Keras model they are of",
    Kind.IMAGE: "Give the model; images go to `ckpt2onnx run` as arrays in an .npz file",
    Kind.EMPTY: "The download or the save was cut short; get it again",
}


def open_source(path: Path, *, graph_file: Path | None = None) -> SourceModel:
    """The model that a path stands for.

    Args:
        path: A checkpoint's prefix, any one of its files, a directory with a checkpoint, or a graph file.
        graph_file: Where the graph is, if not beside the checkpoint.

    Raises:
        MissingError: There is nothing there.
        FormatError: What is there is no model; the message says what it is.
        UsageError: A graph is given for what has one in it.
    """
    if is_saved_model(path):
        _refuse_graph(path, graph_file)
        return read_saved_model(path)
    located = locate(path)
    if located is not None:
        if graph_file is not None and is_saved_model(graph_file):
            return rebind(read_saved_model(graph_file), read_checkpoint(path, located))
        return read_checkpoint(path, located, graph_file=graph_file)
    lone = _data_without_index(path)
    if lone is not None:
        raise MissingError(
            f"the checkpoint's {lone} is missing: its data alone don't say which tensors are in them",
            hint=f"Put {lone} beside it",
        ).within(f"{'directory' if path.is_dir() else 'file'} {path}")
    if not path.exists():
        raise MissingError(
            f"there is no {path}, and no checkpoint of that prefix ({path.name}.index)", hint=_beside(path)
        )
    if path.is_dir():
        raise FormatError(
            "there is no checkpoint in it: neither a `checkpoint` state file nor any .index file",
            hint="Give a checkpoint's prefix, or the directory that holds one",
        ).within(f"directory {path}")
    kind = sniff(path)
    if kind in _GRAPHS:
        _refuse_graph(path, graph_file)
        return read_frozen(path)
    raise FormatError(f"it is {kind.value}, and nothing to export", hint=_ADVICE.get(kind)).within(f"file {path}")


def _refuse_graph(path: Path, graph_file: Path | None) -> None:
    if graph_file is not None:
        raise UsageError(f"--graph {graph_file}: {path} has its graph in it", hint="Leave out --graph")


def _data_without_index(path: Path) -> str | None:
    """The index that a V2 checkpoint lacks of which there is data: in the directory, of the prefix, or the file."""
    folder = path if path.is_dir() else path.parent
    if not folder.is_dir():
        return None
    prefixes = sorted({_DATA.sub("", file.name) for file in folder.iterdir() if _DATA.search(file.name)})
    mine = prefixes if path.is_dir() else [name for name in prefixes if name == _DATA.sub("", path.name)]
    return f"{mine[0]}.index" if len(mine) == 1 and not (folder / f"{mine[0]}.index").exists() else None


def _beside(path: Path) -> str:
    """What is called like it beside it; else the checkpoints that are in the directory where one was looked for."""
    if not path.parent.is_dir():
        return "Check the path"
    prefixes = {index.name.removesuffix(".index") for index in path.parent.glob("*.index")}
    others = {file.name for file in path.parent.iterdir() if not _PART.search(file.name)}
    near = get_close_matches(path.name, sorted(prefixes | others), n=3, cutoff=0.6)
    if near:
        return f"Did you mean {' or '.join(str(path.parent / name) for name in near)}?"
    if not prefixes:
        return f"In {path.parent} there is no checkpoint at all"
    return f"In {path.parent} there are {', '.join(sorted(prefixes)[:8])}"


def source_files(path: Path) -> list[Path]:
    """The files that belong to a source, none of which may be overwritten."""
    if is_saved_model(path):
        folder = path.parent if path.is_file() else path
        return sorted(file for file in folder.rglob("*") if file.is_file())
    located = locate(path)
    if located is None:
        return [path] if path.is_file() else []
    prefix = located.prefix
    beside = prefix.parent.iterdir() if prefix.parent.is_dir() else iter(())
    return sorted(
        file
        for file in beside
        if file.name == prefix.name or file.name.startswith((f"{prefix.name}.", f"{prefix.name}-"))
    )
