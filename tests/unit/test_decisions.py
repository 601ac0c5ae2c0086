"""Decisions are data, and each has words."""

from __future__ import annotations

import json
import string

import pytest

from exporter.report.decisions import Choice, Decision, Details, Reason, Value

_DETAILS: Details = {
    "architecture": "resnet_v1_50",
    "does": "draws at random",
    "evidence": "random numbers are drawn",
    "expected": "pixels from -1 to 1",
    "keep": 0.5,
    "mean": 0.0,
    "node": "a/node",
    "op": "AssignSub",
    "output": "y",
    "predicate": "p",
    "result": "scores",
    "scope": "resnet",
    "setting": "scale=False",
    "side": True,
    "signature": "serve",
    "tensor": "logits/biases",
    "tensors": 12,
    "variable": "v",
    "variables": ("a/mean", "a/variance"),
}


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_words(reason: Reason) -> None:
    """A sentence that is filled by details of known names, and by nothing else."""
    words = Decision("value", "subject", 1, reason, _DETAILS).reason
    assert words
    assert not set(words) & {"{", "}"}
    assert words == words.strip(string.whitespace + ".")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (True, "true"),
        (3, "3"),
        (0.25, "0.25"),
        (1.0, "1"),
        (("a/mean", "a/variance"), "a/mean and a/variance"),
        ((1, (0.5, False)), "[1, [0.5, false]]"),
        (Choice.LEFT_TO_THE_CALLER, "left to the caller"),
        ("relu_6", "relu_6"),
    ],
)
def test_values_have_words(value: Value, words: str) -> None:
    """Numbers as one writes them after `--set`, names as they are, choices with spaces."""
    assert Decision("value", "subject", value, Reason.SET_BY_USER).choice == words


def test_json_has_data_and_words() -> None:
    """What a program reads is beside what people read."""
    decision = Decision("flag", "training", False, Reason.TRAINING_SIDE, {**_DETAILS, "side": True})
    written = json.loads(json.dumps(decision.to_json()))
    assert written == {
        "kind": "flag",
        "subject": "training",
        "choice": "false",
        "reason": "only when it is true, random numbers are drawn (a/node)",
        "value": False,
        "code": "training_side",
        "details": json.loads(json.dumps(_DETAILS)),
    }


def test_what_is_set_aside_tells_how_to_export_it() -> None:
    """The hint is in the words of every output that can be exported."""
    aside = Decision("output", "aux", Choice.SET_ASIDE, Reason.AUXILIARY_HEAD, {"result": "scores"})
    assert aside.reason.endswith("scores goes much deeper; --output aux exports it")
