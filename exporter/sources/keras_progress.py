"""How long a Keras model was trained, by the counter of its optimizer."""

from __future__ import annotations

import re

from exporter.formats.records import TensorStore

__all__ = ["training_steps"]

_COUNTER = re.compile(
    r"""(^|.*/)(
        optimizer/vars/0                                                  # .keras and .weights.h5
        | optimizer_weights/(.*/)?(iter|iteration|iterations)(:0)?        # .h5 with its optimizer
        | optimizer/(iter|_iterations)/\.ATTRIBUTES/VARIABLE_VALUE        # a checkpoint of objects
    )""",
    re.VERBOSE,
)


def training_steps(store: TensorStore) -> int | None:
    """The largest counter of an optimizer, an integer scalar; None if no optimizer was saved."""
    found = []
    for name in store:
        if _COUNTER.fullmatch(name):
            info = store.info(name)
            if info.shape == () and info.dtype is not None and info.dtype.kind in "iu":
                found.append(int(store.read(name)))
    return max(found, default=None)
