"""Graphs and networks with the results of TensorFlow and Keras, kept in files: one .npz for each module of tests.

A file has an entry `index`, JSON: who made it and when, and of each case its test and what isn't an array. Arrays are
kept once, under a digest of what is in them; GraphDefs and configurations are arrays of bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from exporter.inference.model import Input
from exporter.sources.graph import Ref
from tests.unit.lower.oracle import Judged as JudgedGraph
from tests.unit.lower_keras.oracle import Judged as JudgedNetwork

__all__ = ["FOLDER", "Recording", "read"]

FOLDER = Path(__file__).parent / "ops"

Array = npt.NDArray[Any]


@dataclass
class Recording:
    """The cases of one module of tests.

    Attributes:
        producer: Versions of TensorFlow and Keras.
        date: When, as YYYY-MM-DD.
        cases: By test: what is known of it, with digests for arrays.
        arrays: By digest.
    """

    producer: str
    date: str
    cases: dict[str, dict[str, Any]] = field(default_factory=dict)
    arrays: dict[str, Array] = field(default_factory=dict)

    def add(self, test: str, judged: JudgedGraph | JudgedNetwork) -> None:
        """Keep what a test was judged by."""
        if isinstance(judged, JudgedGraph):
            case = {
                "graph": self._bytes(judged.graph),
                "inputs": [[i.name, i.dtype, i.shape] for i in judged.inputs],
                "outputs": judged.outputs,
                "units": judged.units,
                "feeds": self._all(judged.feeds),
                "expected": self._all(judged.expected),
            }
        else:
            case = {
                "config": self._bytes(judged.config.encode()),
                "groups": judged.groups,
                "weights": self._all(judged.weights),
                "feeds": [self._keep(array) for array in judged.feeds],
                "expected": [self._keep(array) for array in judged.expected],
            }
        self.cases[test] = case

    def judged(self, test: str) -> JudgedGraph | JudgedNetwork:
        """Return what a test was judged by."""
        case = self.cases[test]
        if "graph" in case:
            return JudgedGraph(
                graph=self.arrays[case["graph"]].tobytes(),
                inputs=tuple(
                    Input(name, Ref(name), dtype, None if shape is None else tuple(shape))
                    for name, dtype, shape in case["inputs"]
                ),
                outputs=tuple(case["outputs"]),
                feeds={name: self.arrays[key] for name, key in case["feeds"].items()},
                expected={name: self.arrays[key] for name, key in case["expected"].items()},
                units=case["units"],
            )
        return JudgedNetwork(
            config=self.arrays[case["config"]].tobytes().decode(),
            weights={name: self.arrays[key] for name, key in case["weights"].items()},
            groups=case["groups"],
            feeds=[self.arrays[key] for key in case["feeds"]],
            expected=[self.arrays[key] for key in case["expected"]],
        )

    def write(self, path: Path) -> None:
        """Write one file."""
        index = {"producer": self.producer, "date": self.date, "cases": self.cases}
        text = np.frombuffer(json.dumps(index).encode(), np.uint8)
        np.savez_compressed(path, index=text, **self.arrays)  # type: ignore[arg-type]

    def _all(self, arrays: Mapping[str, Array]) -> dict[str, str]:
        return {name: self._keep(array) for name, array in arrays.items()}

    def _bytes(self, data: bytes) -> str:
        return self._keep(np.frombuffer(data, np.uint8))

    def _keep(self, array: Array) -> str:
        array = np.asarray(array)
        if array.dtype.hasobject:
            raise TypeError("strings aren't recorded")
        digest = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode() + array.tobytes()).hexdigest()[:16]
        self.arrays[digest] = array
        return digest


def read(path: Path) -> Recording:
    """Read one file."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files if name != "index"}
        index = json.loads(file["index"].tobytes())
    return Recording(index["producer"], index["date"], index["cases"], arrays)
