"""Exports and verifies what `reference_kinds` has saved: `python -m tests.e2e.reference_verdicts FOLDER`.

Prints a line of JSON for each kind: the state of the verdict on the export, with the batch norms by themselves where
there are any; the truth; the states after a weight of the ONNX file has been changed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import onnx

import exporter
from tests.e2e.reference_kinds import KINDS

__all__ = ["main"]


def main(folder: Path) -> None:
    """All kinds."""
    for name, graph in KINDS.items():
        print(json.dumps({"kind": name, **_tried(folder, name, graph)}), flush=True)


def _tried(folder: Path, name: str, graph: str | None) -> dict[str, Any]:
    source, out = folder / name, folder / "out.onnx"
    given = None if graph is None else folder / graph
    exporter.export(source, out, graph=given, force=True)
    options: dict[str, Any] = {"against": source, "graph": given, "reference": "tensorflow"}
    right = exporter.verify_model(out, sites=True, **options)
    model = onnx.load(out)
    weight = max(model.graph.initializer, key=lambda tensor: onnx.numpy_helper.to_array(tensor).size)
    changed = onnx.numpy_helper.to_array(weight) * 1.001
    weight.CopyFrom(onnx.numpy_helper.from_array(changed.astype("float32"), weight.name))
    onnx.save(model, out)
    wrong = exporter.verify_model(out, **options)
    sites = [site.ok for site in right.sites]
    return {"state": right.state, "truth": right.truth, "share": right.share, "sites": sites, "wrong": wrong.state}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
