"""Exports that are killed at random instants; what is left after each, and after the next export, is for the caller.

`python -m tests.unit.targets.kill_at_random FOLDER LARGEST_INLINE COUNT SEED` exports to FOLDER/m.onnx, kills, copies
what is there beside FOLDER, exports again to the end, and prints how many hidden units the last whole export and the
killed one have, how many files are in FOLDER then, and the path of the copy.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import time
from functools import partial
from pathlib import Path

from exporter.targets import atomic, npz_bundle, onnx_file
from runtime import Probe
from runtime.pair import EXPORT_ID
from tests.unit.targets.kill_at_line import network, outputs


def _prepared(target: Path, units: int, largest_inline: int) -> partial[None]:
    """The writing alone of such a network, which is what a kill can spoil."""
    model = network(units)
    given, found = outputs(model)
    probe = Probe(given, {"y": found["y"].astype("f4")}, {"y": 1e-4})
    metadata = {EXPORT_ID: npz_bundle.content_id(model, [probe], {})}
    writers: dict[Path, atomic.Writer] = {
        **onnx_file.onnx_writers(onnx_file.onnx_model(model, metadata=metadata), target, largest_inline=largest_inline),
        target.with_suffix(".npz"): partial(npz_bundle.write_bundle, model, probes=[probe], metadata=metadata),
    }
    return partial(atomic.write_files, writers, superseded=partial(onnx_file.data_files, target))


def main(folder: Path, largest_inline: int, count: int, seed: int) -> None:
    """Kills so many exports, each at an instant from its start until a little after its usual end."""
    target, rng, old = folder / "m.onnx", random.Random(seed), 10
    writing = {units: _prepared(target, units, largest_inline) for units in (10, 11)}
    for _ in range(3):
        start = time.monotonic()
        writing[old]()
        usual = time.monotonic() - start
    for number in range(count):
        new, delay = 21 - old, rng.uniform(0, 1.5 * usual)
        child = os.fork()
        if not child:
            writing[new]()
            os._exit(0)
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        copy = folder.parent / f"random_{number}"
        shutil.copytree(folder, copy)
        writing[new]()
        print(old, new, len(list(folder.iterdir())), copy, flush=True)
        old = new


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
