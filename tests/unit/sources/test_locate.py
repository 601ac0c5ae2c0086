"""Whatever of a checkpoint is pointed at, the same checkpoint is found; and nothing is mistaken for one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from exporter.errors import FormatError, MissingError, SourceError, UsageError
from exporter.formats.tf_protos import SavedModel
from exporter.sources.checkpoint import locate
from exporter.sources.detect import open_source, source_files
from exporter.sources.keras_files import open_keras
from tests.hostile.bundle_writer import Bundle
from tests.hostile.keras_files import archive
from tests.hostile.v1_writer import V1File
from tests.unit.sources.messages import meta_graph, node


def _bundle(prefix: Path, *, shards: int = 1) -> Path:
    """A V2 checkpoint with a .meta."""
    prefix.parent.mkdir(parents=True, exist_ok=True)
    bundle = Bundle(shards=shards)
    for shard in range(shards):
        bundle.add(f"w{shard}", np.zeros(2, np.float32), shard=shard)
    variable = node("w0", "VariableV2", dtype=1, shape=(2,))
    Path(f"{prefix}.meta").write_bytes(meta_graph(variable).SerializeToString())
    return bundle.write(prefix)


def _v1(path: Path) -> Path:
    file = V1File()
    file.add("w", np.zeros(2, np.float32))
    path.parent.mkdir(parents=True, exist_ok=True)
    file.write(path)
    return path


_NAMES = ["model.ckpt-1000", "model", "a b", "model[1]", "mo*del?", "größe", "model.index.ckpt", "x-00001-of-00002"]


@pytest.mark.parametrize("name", _NAMES)
@pytest.mark.parametrize("part", ["", ".index", ".meta", ".data-00000-of-00002", ".data-00001-of-00002"])
def test_every_file_of_a_checkpoint(tmp_path: Path, name: str, part: str) -> None:
    """The prefix and each file lead to the prefix, whatever characters are in the name."""
    prefix = _bundle(tmp_path / name, shards=2)
    located = locate(Path(f"{prefix}{part}"))
    assert located is not None
    assert (located.prefix, located.version) == (prefix, 2)


@pytest.mark.parametrize("name", _NAMES)
def test_files_of_one_version_1(tmp_path: Path, name: str) -> None:
    """A V1 checkpoint is one file of any name, or shards of it."""
    path = _v1(tmp_path / "one" / name)
    located = locate(path)
    assert located is not None
    assert (located.prefix, located.version) == (path, 1)
    prefix = tmp_path / "two" / "plain"
    for shard in range(2):
        _v1(Path(f"{prefix}-{shard:05d}-of-00002"))
    for given in (prefix, Path(f"{prefix}-00001-of-00002")):
        located = locate(given)
        assert located is not None
        assert located.version == 1


def _state(folder: Path, text: str) -> Path:
    (folder / "checkpoint").write_text(text)
    return folder


@pytest.mark.parametrize(
    "written",
    ["model.ckpt-2", "{folder}/model.ckpt-2", "/gone/with/the/machine/model.ckpt-2", "../run/model.ckpt-2"],
)
def test_the_state_file(tmp_path: Path, written: str) -> None:
    """Relative, absolute, absolute on another machine: the checkpoint that it names, not another one beside it."""
    folder = tmp_path / "run"
    for step in (1, 2, 3):
        _bundle(folder / f"model.ckpt-{step}")
    _state(folder, f'model_checkpoint_path: "{written.format(folder=folder)}"\n')
    for given in (folder, folder / "checkpoint"):
        located = locate(given)
        assert located is not None
        assert located.prefix.resolve() == folder / "model.ckpt-2"
        assert any("checkpoint names" in note for note in located.notes)
        assert any("is gone" in note for note in located.notes) == written.startswith("/gone")


def test_a_moved_checkpoint_wins_where_it_is_told(tmp_path: Path) -> None:
    """An absolute path that still exists is followed, though a file of that name is beside the state file."""
    there, here = _bundle(tmp_path / "there" / "m"), _bundle(tmp_path / "here" / "m")
    _state(here.parent, f'model_checkpoint_path: "{there}"\n')
    located = locate(here.parent)
    assert located is not None
    assert located.prefix == there


def test_a_state_file_of_what_is_gone(tmp_path: Path) -> None:
    """The error names the state file and the checkpoint."""
    _bundle(tmp_path / "other")
    _state(tmp_path, 'model_checkpoint_path: "model.ckpt-9"\n')
    with pytest.raises(MissingError, match=r"checkpoint: it names the checkpoint 'model\.ckpt-9'"):
        locate(tmp_path)


@pytest.mark.parametrize("text", ["", "hello", "model_checkpoint_path: 3", 'all_model_checkpoint_paths: "m"'])
def test_a_state_file_that_is_none(tmp_path: Path, text: str) -> None:
    """Text that isn't one is an error with the file's name."""
    with pytest.raises(FormatError, match="checkpoint"):
        locate(_state(tmp_path, text))


def test_directories_without_a_state_file(tmp_path: Path) -> None:
    """One checkpoint is taken, and that is noted; several are listed; none is none."""
    assert locate(tmp_path) is None
    _bundle(tmp_path / "m-1")
    located = locate(tmp_path)
    assert located is not None
    assert located.prefix == tmp_path / "m-1"
    assert located.notes
    _bundle(tmp_path / "m-2")
    with pytest.raises(MissingError, match=r"2 checkpoints \(m-1, m-2\)"):
        locate(tmp_path)


def test_both_versions_side_by_side(tmp_path: Path) -> None:
    """The newer format is taken, as TensorFlow does."""
    _bundle(tmp_path / "m")
    _v1(tmp_path / "m")
    located = locate(tmp_path / "m")
    assert located is not None
    assert located.version == 2


def _absent(folder: Path) -> Path:
    _bundle(folder / "model.ckpt-1")
    return folder / "model.ckpt-2"


def _in_no_folder(folder: Path) -> Path:
    return folder / "no" / "where"


def _empty_folder(folder: Path) -> Path:
    return folder


def _zip(folder: Path) -> Path:
    np.savez(folder / "a.npz", x=np.zeros(1))
    return folder / "a.npz"


def _empty_file(folder: Path) -> Path:
    (folder / "graph.pb").write_bytes(b"")
    return folder / "graph.pb"


def _data_alone(folder: Path) -> Path:
    prefix = _bundle(folder / "m")
    Path(f"{prefix}.index").unlink()
    return Path(f"{prefix}.data-00000-of-00001")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_absent, r"model\.ckpt-2\.index.*Did you mean .*model\.ckpt-1"),
        (_in_no_folder, "Check the path"),
        (_empty_folder, "no checkpoint in it"),
        (_zip, "NumPy arrays"),
        (_empty_file, "empty file"),
        (_data_alone, "index is missing"),
    ],
)
def test_what_is_no_source(tmp_path: Path, make: Callable[[Path], Path], words: str) -> None:
    """The error says what there is, and what to give instead."""
    with pytest.raises(SourceError, match=words):
        open_source(make(tmp_path))


def test_files_to_be_spared(tmp_path: Path) -> None:
    """The files of a checkpoint are known, its neighbours with longer names are not among them."""
    prefix = _bundle(tmp_path / "m", shards=2)
    _bundle(tmp_path / "model")
    (tmp_path / "m.onnx").write_bytes(b"")
    names = {path.name for path in source_files(prefix)}
    assert names >= {"m.index", "m.meta", "m.data-00000-of-00002", "m.data-00001-of-00002"}
    assert not any(name.startswith("model") for name in names)


def test_open_finds_the_graph(tmp_path: Path) -> None:
    """With a .meta beside it there is a graph; without it, weights only; `--graph` wins over both."""
    prefix = _bundle(tmp_path / "m")
    opened = open_source(prefix)
    assert opened.kind == "TF1 checkpoint (V2) with m.meta"
    assert opened.graph is not None
    assert "w0" in opened.graph
    other = tmp_path / "other.meta"
    other.write_bytes(meta_graph(node("x", "Placeholder", dtype=1)).SerializeToString())
    chosen = open_source(prefix, graph_file=other).graph
    assert chosen is not None
    assert "w0" not in chosen
    Path(f"{prefix}.meta").unlink()
    assert open_source(prefix).graph is None


@pytest.mark.parametrize("name", ["saved_model.pb", "frozen.pb", "model.keras"])
def test_a_graph_for_what_has_one_is_refused(tmp_path: Path, name: str) -> None:
    """--graph isn't left out silently where the source has its graph, or configuration, in it."""
    path, graph = tmp_path / name, tmp_path / "other.json"
    graph.write_text("{}")
    if name == "model.keras":
        archive(path)
    else:
        message = meta_graph(node("x", "Placeholder", dtype=1))
        saved = SavedModel(saved_model_schema_version=1, meta_graphs=[message])
        path.write_bytes((saved if name == "saved_model.pb" else message.graph_def).SerializeToString())
    opener = open_keras if name == "model.keras" else open_source
    assert opener(path)
    with pytest.raises(UsageError, match=f"{name} has its .* in it.* Leave out --graph"):
        opener(path, graph_file=graph)
