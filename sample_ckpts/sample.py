"""What a sample is, and how its folder comes about."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sample_ckpts.oracle import tf
from sample_ckpts.recording import PREFIX, Build, Model, make, tensor_name

__all__ = ["Sample", "write"]


@dataclass(frozen=True)
class Sample:
    """One folder. The first of the model's inputs and outputs are its natural ones, the others lie inside.

    `several` networks are in the graph: its owner has to say which one is meant.
    `control_flow` is 1 for Switch and Merge, 2 for If. `resource` decides what tf.Variable makes.
    `after` changes the finished folder. `refused` says why no export can be right.
    """

    name: str
    title: str
    build: Build
    several: bool = False
    control_flow: int = 1
    resource: bool = False
    steps: int = 20
    seed: int = 1
    perturb: bool = False
    after: Callable[[Path], None] | None = None
    refused: str | None = None


def write(sample: Sample, root: Path) -> Path:
    """Make the sample's folder under `root`: the checkpoint, `recorded.npz` and `sample.json`."""
    folder = root / sample.name
    _settings(sample)
    model = make(sample.build, folder, seed=sample.seed, steps=sample.steps, perturb=sample.perturb)
    if sample.refused is not None:
        (folder / "recorded.npz").unlink()
    if sample.after is not None:
        sample.after(folder)
    (folder / "sample.json").write_text(json.dumps(_facts(sample, model, folder), indent=2) + "\n")
    return folder


def _settings(sample: Sample) -> None:
    (tf.disable_control_flow_v2 if sample.control_flow == 1 else tf.enable_control_flow_v2)()
    (tf.enable_resource_variables if sample.resource else tf.disable_resource_variables)()


def _facts(sample: Sample, model: Model, folder: Path) -> dict[str, Any]:
    outputs = [tensor_name(t) for t in model.outputs]
    return {
        "title": sample.title,
        "made_by": f"python -m sample_ckpts.make {sample.name}",
        "producer": f"TensorFlow {tf.version.VERSION}",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "checkpoint": PREFIX,
        "meta": (folder / f"{PREFIX}.meta").exists(),
        "several": sample.several,
        "inputs": [tensor_name(t) for t in model.inputs[:1]],
        "outputs": outputs[:1],
        "inside": outputs[1:],
        "flags": {tensor_name(f.tensor): f.inference for f in model.flags},
        "refused": sample.refused,
    }
