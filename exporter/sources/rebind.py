"""A SavedModel's graph with the weights of another checkpoint of the same model."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import replace

from exporter.formats.records import TensorStore
from exporter.sources.model import SourceModel
from exporter.sources.object_graph import VALUE, labels

__all__ = ["rebind"]


def rebind(saved: SourceModel, weights: SourceModel) -> SourceModel:
    """The model of `saved` with the values of `weights`.

    A variable is found under the key that it has in the SavedModel, with a prefix that is the same for all of them (as
    `model/` for `Checkpoint(model=...)`); failing that, by its full name where only one has it.
    """
    store = weights.store
    assert store is not None
    prefix = _prefix([variable.key for variable in saved.variables.values()], store)
    keys_of: dict[str, list[str]] = {}
    for key, label in labels(store).items():
        keys_of.setdefault(label, []).append(key)
    variables, missing = {}, dict(saved.missing)
    for name, variable in saved.variables.items():
        key = f"{prefix}{variable.key}"
        called_so = keys_of.get(variable.title, ())
        if key not in store and len(called_so) == 1:
            key = called_so[0]
        if key in store:
            info, read = store.info(key), functools.partial(store.read, key)
            variables[name] = replace(variable, key=key, kind=info.kind, shape=info.shape, read=read)
        else:
            missing[name] = variable.title
    kind = f"{weights.kind.removesuffix(', weights only')} with the graph of {saved.path.name}"
    return replace(
        saved, path=weights.path, kind=kind, store=store, variables=variables, missing=missing, notes=weights.notes
    )


def _prefix(keys: Iterable[str], store: TensorStore) -> str:
    """The shortest prefix under which most of the keys are in the checkpoint."""
    wanted = [key for key in keys if key.endswith(VALUE)]
    counts: dict[str, int] = {}
    for stored in store:
        for key in wanted:
            if stored == key or stored.endswith(f"/{key}"):
                prefix = stored[: len(stored) - len(key)]
                counts[prefix] = counts.get(prefix, 0) + 1
    return min(counts, key=lambda prefix: (-counts[prefix], len(prefix), prefix), default="")
