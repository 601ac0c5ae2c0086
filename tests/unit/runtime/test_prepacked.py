"""Forms of weights: made once, and filled before a program runs."""

from __future__ import annotations

import threading

import pytest

from runtime.engine import Prepacked


def test_a_form_is_made_once() -> None:
    """Whoever asks again gets the same."""
    forms = Prepacked()
    made = [forms.once("a", object), forms.once("b", object), forms.once("a", object)]
    assert made[0] is made[2] is not made[1]


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_steps_that_were_put_off_are_done_once(threads: int) -> None:
    """By however many threads, none of which is left."""
    forms, done = Prepacked(), []
    before = threading.active_count()
    for number in range(20):
        forms.later(lambda number=number: done.append(number))  # type: ignore[misc]
    forms.fill(threads)
    forms.fill(threads)
    assert sorted(done) == list(range(20))
    assert threading.active_count() == before


@pytest.mark.parametrize("threads", [1, 2])
def test_steps_that_failed_are_done_again(threads: int) -> None:
    """No program may run on weights that aren't there."""
    forms, wrong, done = Prepacked(), [True], [0]

    def step() -> None:
        if wrong:
            raise OSError("gone")
        done[0] += 1

    forms.later(step)
    forms.later(lambda: None)
    for _ in range(2):
        with pytest.raises(OSError, match="gone"):
            forms.fill(threads)
    wrong.clear()
    forms.fill(threads)
    assert done == [1]
