"""How the hunt judges, sorts and shrinks, on a family that needs no TensorFlow."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.e2e.recorded import Array, Recorded
from tests.wild import hunt as hunting
from tests.wild.family import Built, Family, IllegalSpecError, Spec, without_one_part
from tests.wild.hunt import hunt, shrink
from tests.wild.judge import RIGHT, compared, judge

_SAMPLE = Path(__file__).parents[2] / "sample_ckpts" / "one_neuron"
_RESULT = "output/batch_normalization/batchnorm/add_1"


def _built(change: Callable[[Array], Array] = lambda value: value) -> Built:
    recorded = Recorded.read(_SAMPLE)
    outputs = {_RESULT: change(recorded.outputs[_RESULT])}
    return Built(_SAMPLE, recorded.inputs, outputs, {"inputs": list(recorded.inputs), "outputs": list(outputs)})


def test_a_model_that_is_right_is_right(tmp_path: Path) -> None:
    """A sample checkpoint, exported with and without names, passes, and `verify` agrees."""
    assert judge(_built(), tmp_path, with_verify=True).kind == RIGHT


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda value: value * np.float32(1.0001), "numbers"),
        (lambda value: np.full_like(value, np.nan), "numbers"),
        (lambda value: value[:1], "numbers"),
        (lambda value: value.astype(np.float64), "numbers"),
    ],
)
def test_a_model_that_is_wrong_is_wrong(change: Callable[[Array], Array], kind: str, tmp_path: Path) -> None:
    """A ten-thousandth of the largest value, NaN, another shape or another type is told."""
    assert judge(_built(change), tmp_path).kind == kind


def test_other_outputs_and_inputs_are_told(tmp_path: Path) -> None:
    """One output too many, one too few, and an input of another name are no right models."""
    right = _built()
    name, value = next(iter(right.expected.items()))
    assert judge(Built(right.source, right.inputs, {}), tmp_path).cause == "stray outputs (unnamed)"
    more = Built(right.source, right.inputs, {name: value, "another": value})
    assert judge(more, tmp_path).cause == "missing outputs (unnamed)"
    renamed = {f"{key}_2": array for key, array in right.inputs.items()}
    assert judge(Built(right.source, renamed, right.expected), tmp_path).kind == "inputs"


def test_what_is_refused_is_sorted_by_its_essence(tmp_path: Path) -> None:
    """Two files that aren't there are one cause: names and numbers don't count."""
    causes = {judge(Built(tmp_path / f"model.ckpt-{i}", {}, {}), tmp_path).cause for i in range(2)}
    assert len(causes) == 1 and causes.pop().startswith("refused (unnamed)")


def test_noise_widens_what_may_be() -> None:
    """Where one rounding moves an output, 16 times that is no error, and 17 times is."""
    built = Built(Path(), {}, {"y": np.ones(3, np.float32)}, noise={"y": 1e-3})
    assert compared({"y": np.full(3, 1.015, np.float32)}, built) is None
    assert compared({"y": np.full(3, 1.017, np.float32)}, built) is not None


def test_one_part_is_left_out_at_a_time() -> None:
    """Each element of each list, however deep; what is no list stays."""
    found = list(without_one_part({"a": [1, {"b": [2, 3]}], "c": 4}))
    assert found == [
        {"a": [{"b": [2, 3]}], "c": 4},
        {"a": [1], "c": 4},
        {"a": [1, {"b": [3]}], "c": 4},
        {"a": [1, {"b": [2]}], "c": 4},
    ]


def _draw(rng: random.Random) -> Spec:
    return {"parts": [rng.randrange(10) for _ in range(6)]}


def _build(spec: Spec, folder: Path) -> Built:
    """Models with a 7 in them can't be opened; without any part there is none."""
    if not spec["parts"]:
        raise IllegalSpecError
    return Built(folder / "not_there", {}, {}) if 7 in spec["parts"] else _built()


_FAMILY = Family("fake", _draw, _build, without_one_part)


def test_a_failing_model_is_shrunk_to_what_fails() -> None:
    """Only the part remains that the failure comes from."""
    cause = hunting.outcome_of(_FAMILY, {"parts": [1, 7, 2]}).cause
    assert shrink(_FAMILY, {"parts": [1, 7, 2, 7]}, cause) == {"parts": [7]}


def test_a_hunt_counts_by_cause_and_repeats_itself() -> None:
    """The same seed finds the same models; each cause has its smallest one in the tally."""
    said: list[str] = []
    first, second = (hunt(_FAMILY, seconds=600, seed=5, most=12, say=said.append) for _ in range(2))
    assert first.causes == second.causes and sum(first.causes.values()) == 12
    (cause,) = set(first.causes) - {RIGHT}
    assert first.found[cause].spec == {"parts": [7]}
    assert cause in first.text() and len(said) == 2
