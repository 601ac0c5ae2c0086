"""Exports that are killed at each line that the writer executes: what is left after each is for the caller to judge.

`python -m tests.unit.targets.kill_at_line FOLDER LARGEST_INLINE MODULES STEP` exports to FOLDER/m.onnx, over and over,
each time another model, and with a SIGKILL some lines later. After each kill it copies what is there beside FOLDER, and
prints the path of the copy and how many hidden units the models of this and the last whole export have.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import onnx_ir as ir

from exporter.targets import atomic, npz_bundle, onnx_file, onnx_wire
from exporter.verify.references.unfolded_model import reference_run
from runtime import Probe
from runtime.pair import EXPORT_ID
from tests.unit.targets.networks import Array, Net, feeds

_MODULES = {"atomic": [atomic], "all": [atomic, npz_bundle, onnx_file, onnx_wire]}


def network(units: int) -> ir.Model:
    """A network with a hidden layer of so many units."""
    net = Net()
    return net.finish(y=net.dense(net.op("Relu", net.dense(net.input("x", "N", 30), units)), 5))


def outputs(model: ir.Model) -> tuple[dict[str, Array], Mapping[str, Array]]:
    """Inputs, and what the model makes of them."""
    given = feeds(model)
    return given, reference_run(model, given).outputs


def export(target: Path, units: int, largest_inline: int) -> None:
    """Writes such a network as `exporter.export` does."""
    model = network(units)
    given, found = outputs(model)
    probe = Probe(given, {"y": found["y"].astype("f4")}, {"y": 1e-4})
    metadata = {EXPORT_ID: npz_bundle.content_id(model, [probe], {})}
    standard = onnx_file.onnx_model(model, metadata=metadata)
    writers: dict[Path, atomic.Writer] = {
        **onnx_file.onnx_writers(standard, target, largest_inline=largest_inline),
        target.with_suffix(".npz"): partial(npz_bundle.write_bundle, model, probes=[probe], metadata=metadata),
    }
    atomic.write_files(writers, superseded=partial(onnx_file.data_files, target))


def _kill_at(number: int, files: set[str | None]) -> None:
    """Ends this process at so many traced lines from now, in whatever thread."""
    left = [number]

    def line(frame: FrameType, event: str, _: Any) -> Any:
        if event == "line":
            left[0] -= 1
            if left[0] <= 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return line

    def call(frame: FrameType, event: str, _: Any) -> Any:
        return line if frame.f_code.co_filename in files else None

    threading.settrace(call)
    sys.settrace(call)


def main(folder: Path, largest_inline: int, modules: str, step: int) -> None:
    """Kills at line `step`, `2 * step`, ... until an export comes to its end."""
    files = {module.__file__ for module in _MODULES[modules]}
    number, old = step, 10
    export(folder / "m.onnx", old, largest_inline)
    while True:
        child, new = os.fork(), 21 - old
        if not child:
            _kill_at(number, files)
            export(folder / "m.onnx", new, largest_inline)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            return
        copy = folder.parent / f"after_{number}"
        shutil.copytree(folder, copy)
        print(old, new, copy, flush=True)
        number, old = number + step, 21 - old
        export(folder / "m.onnx", old, largest_inline)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
