"""The object graph of a TensorFlow 2 checkpoint, which anyone may have written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from exporter.errors import CorruptError
from exporter.formats.records import Array
from exporter.formats.tensor_bundle import open_bundle
from exporter.sources.keras_files import open_keras
from exporter.sources.object_graph import OBJECT_GRAPH, labels
from tests.hostile.bundle_writer import Bundle
from tests.hostile.keras_files import config

_NUMBER = np.array(2**40, np.int64)
_TWO = np.array([b"", b""], object)


def _checkpoint(folder: Path, stored: Array) -> Path:
    bundle = Bundle()
    bundle.add(OBJECT_GRAPH, stored)
    return bundle.write(folder / "ckpt")


@pytest.mark.parametrize("stored", [_NUMBER, _TWO], ids=["a number", "two texts"])
def test_what_is_no_text_is_refused(stored: Array, tmp_path: Path) -> None:
    """An error that names the tensor, by both readers of it; a number isn't taken for a length."""
    prefix = _checkpoint(tmp_path, stored)
    (tmp_path / "model.json").write_text(json.dumps(config()))
    with pytest.raises(CorruptError, match=f"tensor {OBJECT_GRAPH}: it is no scalar string"):
        labels(open_bundle(prefix))
    with pytest.raises(CorruptError, match=f"tensor {OBJECT_GRAPH}: it is no scalar string"):
        open_keras(prefix, graph_file=tmp_path / "model.json")


def test_an_empty_one_names_nothing(tmp_path: Path) -> None:
    """No text at all is a graph without objects."""
    assert labels(open_bundle(_checkpoint(tmp_path, np.array(b"", object)))) == {}
