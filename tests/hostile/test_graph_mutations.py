"""Damaged graphs: an export that is right for what the graph says now, or an error for people."""

from __future__ import annotations

import random
import shutil
import warnings
from pathlib import Path

import pytest

from exporter.api import export
from exporter.errors import ExportError
from exporter.formats.tf_protos import MetaGraphDef, parse
from tests.hostile.graph_edits import EDITS, damage
from tests.hostile.in_time import in_time

_SAMPLES = Path(__file__).parents[2] / "sample_ckpts"
_MUTANTS = 40
_SECONDS = 30


def _meta(folder: Path) -> Path:
    (found,) = folder.glob("*.meta")
    return found


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("sample", ["autoencoder", "handmade", "handmade_v2", "one_neuron", "gan_gamma", "inception"])
def test_a_damaged_graph_is_an_error_for_people(sample: str, seed: int, tmp_path: Path) -> None:
    """No other exception, no hang, and an error leaves nothing behind; most damage is off the way and does no harm."""
    folder, out = tmp_path / "source", tmp_path / "out"
    shutil.copytree(_SAMPLES / sample, folder)
    good = _meta(folder).read_bytes()
    draw = random.Random(f"{sample} {seed}")
    outputs = ["generator/Tanh"] if sample == "gan_gamma" else []
    ended = {"exported": 0, "refused": 0}
    for _ in range(_MUTANTS):
        message = parse(MetaGraphDef, good, what="the sample's graph")
        what = damage(message.graph_def, draw)
        _meta(folder).write_bytes(message.SerializeToString())
        out.mkdir()
        with in_time(_SECONDS), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            try:
                export(folder, out / "m.onnx", outputs=outputs)
                ended["exported"] += 1
                assert sorted(path.name for path in out.iterdir()) == ["m.npz", "m.onnx"], what
            except ExportError as error:
                ended["refused"] += 1
                assert str(error).strip(), what
                assert not list(out.iterdir()), what
        shutil.rmtree(out)
    assert ended["exported"] > 0
    assert ended["refused"] > 0


def test_every_kind_of_damage_is_done() -> None:
    """Each edit changes the message for some node."""
    good = _meta(_SAMPLES / "handmade").read_bytes()
    for edit in EDITS:
        changed = 0
        for seed in range(5):
            message = parse(MetaGraphDef, good, what="the sample's graph")
            draw = random.Random(seed)
            edit(message.graph_def, draw.choice(message.graph_def.node), draw)
            changed += message.SerializeToString() != good
        assert changed, edit.__name__
