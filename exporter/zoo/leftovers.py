"""What a checkpoint holds beside the network: what training alone needs, by the names that it has."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["AVERAGED", "is_slot", "purpose", "summary"]

AVERAGED = "ExponentialMovingAverage"
"""What the name of an averaged weight ends with."""

_SLOTS = frozenset(
    f"{slot}{number}"
    for slot in ("Adam", "Adagrad", "AdagradDA", "Adadelta", "AdaMax", "Ftrl", "Momentum", "RMSProp", "SquaredAccum")
    for number in ("", "_1", "_2")
)
_COUNTERS = ("global_step", "beta1_power", "beta2_power", "learning_rate", "local_step", "mean_rgb", "save_counter")
_OPTIMIZERS = ("optimizer/vars/", "optimizer/_variables/", "optimizer_weights/")
"""What the keys of Keras's optimizers begin with."""

_LONGEST = 160


def is_slot(name: str) -> bool:
    """Whether a stored tensor, by its key, is what an optimizer or a debiased average keeps of a variable."""
    last = name.rpartition("/")[2]
    of_keras = name.startswith(_OPTIMIZERS) or "/.OPTIMIZER_SLOT/" in name
    return of_keras or last in _SLOTS or last in ("biased", "local_step")


def purpose(name: str, inside: str | None, aside: Iterable[str]) -> str | None:
    """What a stored tensor is for; None if that can't be told.

    Args:
        name: Its key.
        inside: Its name within the network's scope; None if it is outside.
        aside: Scopes within the network's that only training needs.
    """
    last = name.rpartition("/")[2]
    if last == AVERAGED:
        return "averaged weights"
    if is_slot(name) or last.startswith("_CHECKPOINTABLE"):
        return "optimizer slots"
    if inside is not None and any(inside == scope or inside.startswith(f"{scope}/") for scope in aside):
        return "auxiliary heads"
    if last.startswith(_COUNTERS):
        return "counters and constants of training"
    return None


def summary(names: Iterable[str], most: int = 6) -> str:
    """The first of some names, the longest cut, and how many more there are."""
    listed = [name if len(name) <= _LONGEST else f"{name[: _LONGEST - 3]}..." for name in names]
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more
