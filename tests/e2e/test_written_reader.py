"""FORMAT.md is enough to write a reader from: one that was runs the samples."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

import exporter
from tests.e2e import written_reader
from tests.e2e.written_reader import Model

_ROOT = Path(__file__).parents[2]
_OPTIONS: dict[str, dict[str, object]] = {
    "autoencoder": {},
    "gan_gamma": {"outputs": ["generator/Tanh"]},
    "gan_no_gamma": {"outputs": ["generator/Tanh"]},
    "handmade": {},
    "inception": {},
    "one_neuron": {},
}


@pytest.mark.parametrize("sample", _OPTIONS)
def test_it_computes_what_is_stored(sample: str, tmp_path: Path) -> None:
    """Each probe of each sample, within the tolerance that the bundle states; a planted error isn't."""
    exporter.export(_ROOT / "sample_ckpts" / sample, tmp_path / "m.onnx", **_OPTIONS[sample])  # type: ignore[arg-type]
    model = Model(tmp_path / "m.npz")
    assert model.probes
    for inputs, outputs, tolerances in model.probes:
        found = model.run(inputs)
        for name, expected in outputs.items():
            limit = max(tolerances[name], 2e-6 * float(np.abs(expected).max()))
            assert np.abs(found[name] - expected).max() <= limit
            assert np.abs(found[name] * (1 + 1e-3) + 1e-3 - expected).max() > limit


def test_it_is_short_and_uses_nothing_of_the_project() -> None:
    """At most 150 lines, which import neither the runtime nor the exporter."""
    text = Path(written_reader.__file__).read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    names = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(text))
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [each.name for each in node.names])
    }
    assert not names & {"runtime", "exporter", "tests"}
