"""Draws the specification of a training script."""

from __future__ import annotations

import random
from typing import Any

from tests.wild.family import Spec

__all__ = ["draw"]

_NORMS = (
    "layers",
    "layers_unfused",
    "layers_renorm",
    "layers_no_scale",
    "slim_collected",
    "slim_in_place",
    "keras",
    "ema_in_cond",
    "ema_beside_cond",
    "pop_assign",
    "moving_average",
    "keep_dims",
)
_DROPOUTS = ("layers", "keep_prob", "rate", "slim", "spatial", "noise")
_ACTIVATIONS = (
    "relu",
    "relu6",
    "elu",
    "tanh",
    "sigmoid",
    "leaky_relu",
    "swish",
    "softplus",
    "prelu",
    "maxout",
    "crelu",
)


def draw(rng: random.Random) -> Spec:
    """A script by a few dozen independent choices."""
    kind = rng.choice(("images", "vectors", "tokens", "series"))
    return {
        "seed": rng.randrange(1_000_000),
        "kind": kind,
        "size": rng.choice((6, 8, 9)),
        "pipeline": rng.choice(("placeholder", "placeholder", "fixed", "queue", "dataset", "dataset_whole", "scaled")),
        "flag": rng.choice(("placeholder", "default_false", "default_true", "constant", "constant")),
        "layers": [_layer(rng, kind) for _ in range(rng.randint(1, 5))],
        "pool": rng.choice(("flatten", "mean", "max")),
        "top": [_dense(rng) for _ in range(rng.randint(0, 2))],
        "head": rng.choice(("softmax", "logits", "sigmoid", "linear", "tanh", "scaled")),
        "loss": rng.choice(("sparse", "one_hot", "by_hand", "squares", "absolute", "sigmoid")),
        "beside": rng.sample(("accuracy", "summaries", "l2", "checks", "print", "ema", "towers"), rng.randint(0, 3)),
        "optimizer": rng.choice(("sgd", "momentum", "adam", "rmsprop", "adagrad")),
        "resource": rng.random() < 0.4,
        "control_flow": rng.choice((1, 1, 2)),
        "save": rng.choice(("v2", "v2", "v1", "sharded", "frozen", "frozen_eval", "saved_model", "saved_model_eval")),
    }


def _layer(rng: random.Random, kind: str) -> dict[str, Any]:
    ops = {
        "images": ("conv", "conv", "depthwise", "separable", "transposed", "pool", "residual", "lrn", "pad", "resize"),
        "vectors": ("dense", "dense", "residual", "gate"),
        "tokens": ("conv", "rnn", "attention", "residual"),
        "series": ("conv", "rnn", "attention", "residual", "pool"),
    }[kind]
    return {
        "op": rng.choice(ops),
        "width": rng.choice((3, 4, 6)),
        "kernel": rng.choice((1, 2, 3)),
        "stride": rng.choice((1, 1, 2)),
        "padding": rng.choice(("same", "valid")),
        "by": rng.choice(("layers", "nn", "slim")),
        "bias": rng.random() < 0.5,
        "after": _after(rng),
    }


def _dense(rng: random.Random) -> dict[str, Any]:
    return {
        "op": "dense",
        "width": rng.choice((3, 5)),
        "bias": rng.random() < 0.7,
        "by": "layers",
        "after": _after(rng),
    }


def _after(rng: random.Random) -> list[str]:
    """Batch norm, activation and dropout behind a layer, in any order."""
    parts = []
    if rng.random() < 0.6:
        parts.append(f"norm:{rng.choice(_NORMS)}")
    if rng.random() < 0.8:
        parts.append(f"act:{rng.choice(_ACTIVATIONS)}")
    if rng.random() < 0.4:
        parts.append(f"drop:{rng.choice(_DROPOUTS)}")
    if rng.random() < 0.2:
        rng.shuffle(parts)
    return parts
