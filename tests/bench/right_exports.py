"""Sources whose exports are right: the samples, the corpus, the networks of the zoo and of `keras.applications`."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import sample_ckpts
from exporter.errors import ExportError
from exporter.frontend import unfold
from exporter.options import Options
from sample_ckpts.recording import PREFIX
from tests.bench.applications import SIZES, network
from tests.corpus.build import MODULES, cases, make_all

__all__ = ["GROUPS", "Source", "corpus_source", "sample_sources"]

_MOST_WEIGHTS = 150_000_000
_SMALL = (64, 96)
_LEAST = {"InceptionResNetV2": 75}


@dataclass(frozen=True)
class Source:
    """What is exported, and how.

    Attributes:
        name: What it is called in the table.
        path: The checkpoint or model file.
        options: Further arguments of `exporter.export`.
    """

    name: str
    path: Path
    options: dict[str, Any] = field(default_factory=dict)


def sample_sources() -> Iterator[Source]:
    """The committed samples that have a graph and can be exported, the outputs named where there are several."""
    root = Path(sample_ckpts.__file__).parent
    for path in sorted(root.glob("*/sample.json")):
        facts = json.loads(path.read_text(encoding="utf-8"))
        if facts["refused"] is None and facts["meta"]:
            options = {"outputs": facts["outputs"]} if facts["several"] else {}
            yield Source(path.parent.name, path.parent / facts["checkpoint"], options)


def corpus_source(folder: Path, name: str) -> Source:
    """A case of the corpus, which has been made in a folder."""
    facts = json.loads((folder / name / "case.json").read_text(encoding="utf-8"))
    options: dict[str, Any] = dict(facts["options"])
    if facts["names"]:
        options |= {"inputs": facts["inputs"], "outputs": facts["outputs"]}
    return Source(name, folder / name / PREFIX, options)


def _samples(folder: Path, only: Sequence[str]) -> Iterator[Source]:
    return (source for source in sample_sources() if not only or source.name in only)


def _corpus(folder: Path, only: Sequence[str]) -> Iterator[Source]:
    known = [(module, case) for module in MODULES for case in cases(module) if case.refused is None]
    wanted = [(module, case) for module, case in known if not only or case.name in only]
    make_all(folder, tuple(dict.fromkeys(module for module, _ in wanted)))
    return (corpus_source(folder, case.name) for _, case in wanted)


def _zoo(folder: Path, only: Sequence[str]) -> Iterator[Source]:
    from tests.e2e.zoo_all import NETWORKS
    from tests.e2e.zoo_check import save

    for name, made in NETWORKS.items():
        if only and name not in only:
            continue
        path = save(made, folder / name)
        for size in (*_SMALL, made.shape[0]):
            shape = (size, size, 3) if len(made.shape) == 3 else made.shape
            inputs = {"input": (None, *shape)}
            try:
                unfold(path, options=Options(inputs=inputs, values=made.options))
            except ExportError:  # a network that ends in a window, or a dense layer, of a certain size
                continue
            yield Source(name, path, {"inputs": inputs, "values": made.options})
            break


def _applications(folder: Path, only: Sequence[str]) -> Iterator[Source]:
    import keras

    names = sorted(name for name in dir(keras.applications) if name[0].isupper())
    for name in names:
        if only and name not in only:
            continue
        model = network(name, keras, SIZES.get(name, _LEAST.get(name, 32)))
        if sum(int(np.prod(weight.shape)) for weight in model.weights) <= _MOST_WEIGHTS:
            path = folder / f"{name}.keras"
            model.save(path)
            yield Source(name, path)
            path.unlink()
        del model
        keras.backend.clear_session()
        gc.collect()


GROUPS: dict[str, Callable[[Path, Sequence[str]], Iterator[Source]]] = {
    "samples": _samples,
    "corpus": _corpus,
    "zoo": _zoo,
    "applications": _applications,
}
"""Each makes its sources in a folder, all or those that are named. TensorFlow 1 and Keras 3 exclude each other, so that
`zoo` and `applications` want processes of their own."""
