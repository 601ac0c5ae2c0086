"""What the statistics tell, from real TensorFlow graphs and Keras files, in `inspect` and in an export's report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import exporter

tf = pytest.importorskip("tensorflow")

pytestmark = [pytest.mark.tensorflow, pytest.mark.filterwarnings("ignore")]

_CHANNELS = 4


def _said(checkpoint: Path, tmp_path: Path, **options: Any) -> list[str]:
    """The warnings, which `inspect` and `export` have in common."""
    inspected = exporter.inspect(checkpoint, **options)
    report = exporter.export(checkpoint, tmp_path / "out.onnx", **options)
    assert set(inspected.warnings) == set(report.warnings)
    return list(report.warnings)


def _layer(x: Any, training: Any, momentum: float) -> Any:
    v1 = tf.compat.v1
    convolved = tf.nn.conv2d(x, v1.get_variable("kernel", (1, 1, 3, _CHANNELS)), 1, "VALID")
    with v1.variable_scope("bn"):
        names = ("gamma", "beta", "moving_mean", "moving_variance")
        starts = [v1.ones_initializer if n in ("gamma", "moving_variance") else v1.zeros_initializer for n in names]
        gamma, beta, mean, variance = (
            v1.get_variable(n, (_CHANNELS,), initializer=start(), trainable=n in ("gamma", "beta"))
            for n, start in zip(names, starts, strict=True)
        )
    y, batch_mean, batch_variance = v1.cond(
        training,
        lambda: v1.nn.fused_batch_norm(convolved, gamma, beta, epsilon=1e-3, is_training=True),
        lambda: v1.nn.fused_batch_norm(convolved, gamma, beta, mean, variance, epsilon=1e-3, is_training=False),
    )
    for moving, batch in ((mean, batch_mean), (variance, batch_variance)):
        update = tf.compat.v1.assign_sub(moving, (moving - batch) * (1 - momentum))
        v1.add_to_collection(v1.GraphKeys.UPDATE_OPS, update)
    return tf.reduce_mean(y, [1, 2], name="features")


def _train(folder: Path, *, steps: int, momentum: float = 0.9, change: Callable[[Any], None] | None = None) -> Path:
    """A TF1 training graph, its updates run that many times, and its checkpoint."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        v1.set_random_seed(1)
        x = v1.placeholder("float32", (None, 5, 5, 3), "x")
        features = _layer(x, v1.placeholder_with_default(True, (), "training"), momentum)
        tf.identity(tf.matmul(features, v1.get_variable("w", (_CHANNELS, 2))), "y")
        count = v1.train.get_or_create_global_step()
        updates = [*v1.get_collection(v1.GraphKeys.UPDATE_OPS), v1.assign_add(count, 1)]
        session.run(v1.global_variables_initializer())
        random = np.random.default_rng(0)
        for _ in range(steps):
            session.run(updates, {x: random.normal(1, 2, (8, 5, 5, 3))})
        if change is not None:
            change(session)
        return Path(v1.train.Saver().save(session, str(folder / "model.ckpt")))


def _set(name: str, values: list[float]) -> Callable[[Any], None]:
    def change(session: Any) -> None:
        (variable,) = (v for v in tf.compat.v1.global_variables() if v.op.name == name)
        variable.load(values, session)

    return change


def test_updates_that_never_ran(tmp_path: Path) -> None:
    """Mean 0 and variance 1 everywhere."""
    (said,) = _said(_train(tmp_path, steps=0), tmp_path)
    assert "the statistics of 1 of 1 batch norms are exactly 0 and 1" in said
    assert "(bn)" in said


@pytest.mark.parametrize(("steps", "share"), [(7, "47.8 %"), (30, "4.24 %"), (60, None)])
def test_the_share_of_the_initial_values(steps: int, share: str | None, tmp_path: Path) -> None:
    """0.9^steps, from the decay constant and the step counter of the graph; below one per cent nothing is said."""
    said = _said(_train(tmp_path, steps=steps), tmp_path)
    if share is None:
        assert said == []
    else:
        assert f"after {steps} steps" in said[0]
        assert share in said[0]


def test_the_decay_is_that_of_the_graph(tmp_path: Path) -> None:
    """0.5^4 is 6 %, where 0.9^4 would be 66 %."""
    (said,) = _said(_train(tmp_path, steps=4, momentum=0.5), tmp_path)
    assert "6.25 %" in said


@pytest.mark.parametrize(("gamma", "loud"), [(1.0, False), (40.0, True)])
def test_a_channel_that_amplifies(gamma: float, loud: bool, tmp_path: Path) -> None:
    """A variance of 0 under epsilon 1e-3 multiplies by 32, times gamma: only above 1000 it is said."""

    def change(session: Any) -> None:
        _set("bn/moving_variance", [0.0, 1.1, 0.9, 1.2])(session)
        _set("bn/gamma", [gamma, 1.0, 1.0, 1.0])(session)

    said = _said(_train(tmp_path, steps=60, change=change), tmp_path)
    assert [("amplify their input by more than 1000" in s, "bn: 1 of 4" in s) for s in said] == [(True, True)] * loud


def test_a_dead_gamma(tmp_path: Path) -> None:
    """Exactly 0 in two channels: the sentence counts them, and the fold lists them."""
    checkpoint = _train(tmp_path, steps=60, change=_set("bn/gamma", [0.0, 1.0, 0.0, 0.5]))
    (said,) = _said(checkpoint, tmp_path)
    assert "gamma is 0 there" in said
    assert "bn: 2 of 4" in said
    fold = exporter.export(checkpoint, tmp_path / "again.onnx").fold_of("bn")
    assert fold is not None
    assert fold.dead == (0, 2)


def _keras(which: str) -> Any:
    return pytest.importorskip("keras" if which == "keras 3" else "tf_keras")


def _fitted(keras: Any, steps: int) -> Any:
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.layers.Input((5,)),
            keras.layers.Dense(4, name="dense"),
            keras.layers.BatchNormalization(momentum=0.8, name="norm"),
            keras.layers.Dense(1, name="head"),
        ]
    )
    model.compile("adam", "mse")
    if steps:
        x = np.random.default_rng(0).normal(1, 2, (8 * steps, 5)).astype(np.float32)
        model.fit(x, x[:, :1], batch_size=8, epochs=1, verbose=0)
    return model


@pytest.mark.parametrize("suffix", [".keras", ".h5", ".weights.h5"])
@pytest.mark.parametrize("which", ["keras 3", "keras 2"])
def test_keras_files(which: str, suffix: str, tmp_path: Path) -> None:
    """The optimizer's counter and the layer's momentum: 0.8^3 is half; a model that never ran says so instead."""
    keras = _keras(which)
    for steps, sentence in ((3, "51.2 %"), (0, "exactly 0 and 1"), (40, None)):
        model = _fitted(keras, steps)
        file = tmp_path / f"model{steps}{suffix}"
        (model.save_weights if "weights" in suffix else model.save)(file)
        (tmp_path / "model.json").write_text(model.to_json())
        said = _said(file, tmp_path, **({"graph": tmp_path / "model.json"} if "weights" in suffix else {}))
        assert [sentence in s for s in said if sentence] == [True] * (sentence is not None)
        assert bool(said) == (sentence is not None)


@pytest.mark.parametrize("which", ["keras 3", "keras 2"])
def test_keras_checkpoints_of_objects(which: str, tmp_path: Path) -> None:
    """`tf.train.Checkpoint` of a model and its optimizer, with the configuration beside it."""
    model = _fitted(_keras(which), 3)
    prefix = tf.train.Checkpoint(model=model, optimizer=model.optimizer).save(str(tmp_path / "model"))
    (tmp_path / "model.json").write_text(model.to_json())
    (said,) = _said(Path(prefix), tmp_path, graph=tmp_path / "model.json")
    assert "51.2 %" in said
