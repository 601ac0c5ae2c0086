"""Trains a script a few steps, saves it as drawn, and records what TensorFlow computes at inference."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from sample_ckpts.oracle import tf
from sample_ckpts.recording import PREFIX, Model, make, tensor_name
from tests.e2e.recorded import Recorded
from tests.wild.family import Built, IllegalSpecError, Spec
from tests.wild.tf1.scripts import write

__all__ = ["build"]


def build(spec: Spec, folder: Path) -> Built:
    """Builds, trains and saves; what TensorFlow itself refuses is no script."""
    (tf.disable_control_flow_v2 if spec["control_flow"] == 1 else tf.enable_control_flow_v2)()
    (tf.enable_resource_variables if spec["resource"] else tf.disable_resource_variables)()
    script = partial(write, spec)
    savers: dict[str, dict[str, Any]] = {"v1": {"write_version": 1}, "sharded": {"sharded": True}}
    saving = savers.get(spec["save"])

    def written(training: bool) -> Model:
        model = script(training)
        return model if saving is None else _with_saver(model, saving)

    try:
        model = make(written, folder, seed=spec["seed"] % 1000 + 1, steps=2)
    except (ValueError, TypeError, tf.errors.OpError) as error:
        raise IllegalSpecError from error
    recorded = Recorded.read(folder)
    names = {"inputs": list(recorded.inputs), "outputs": list(recorded.outputs)}
    source = folder / PREFIX
    spare = frozenset[str]()
    if spec["save"].startswith(("frozen", "saved_model")):
        source, recorded, names = _converted(spec, folder, model, recorded)
    return Built(source, recorded.inputs, recorded.outputs, names, recorded.noise, spare=spare)


def _with_saver(model: Model, options: dict[str, Any]) -> Model:
    return replace(model, saver=tf.train.Saver(**options))


def _converted(spec: Spec, folder: Path, model: Model, recorded: Recorded) -> tuple[Path, Recorded, dict[str, Any]]:
    """The checkpoint as a frozen graph or a SavedModel, of the graph for training or of that for inference.

    Freezing a graph that has no flag and trains would leave its moving statistics behind.
    """
    training = not spec["save"].endswith("_eval") and (spec["flag"] != "constant" or "frozen" not in spec["save"])
    with tf.Graph().as_default(), tf.Session() as session:
        again = write(spec, training)
        tf.train.Saver().restore(session, str(folder / PREFIX))
        ends = [tensor_name(tensor) for tensor in (*again.inputs, *again.outputs)]
        found = (
            dict(zip(ends[:1], recorded.inputs.values(), strict=True)),
            dict(zip(ends[1:], recorded.outputs.values(), strict=True)),
            dict(zip(ends[1:], recorded.noise.values(), strict=True)),
        )
        if spec["save"].startswith("frozen"):
            names = [again.outputs[0].op.name]
            frozen = tf.graph_util.convert_variables_to_constants(session, session.graph_def, names)
            path = folder / "frozen.pb"
            path.write_bytes(frozen.SerializeToString())
        else:
            path = folder / "saved_model"
            tf.saved_model.simple_save(session, str(path), {"given": again.inputs[0]}, {"wanted": again.outputs[0]})
    given = {} if spec["save"].startswith("saved_model") else {"inputs": ends[:1], "outputs": ends[1:]}
    return path, Recorded(*found, {}), given
