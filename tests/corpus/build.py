"""Make the corpus: `python -m tests.corpus.build FOLDER [MODULE...]`.

One process per module: TensorFlow's graph-mode switches are global, and a crash takes one module down.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from sample_ckpts.oracle import tf
from sample_ckpts.recording import make, tensor_name
from tests.corpus.case import Case

__all__ = ["MODULES", "cases", "main", "make_all"]

MODULES = (
    "slim_networks",  # the longest, so it comes first
    "batch_norm_layers",
    "batch_norm_slim",
    "batch_norm_keras",
    "batch_norm_handmade",
    "dropout",
    "control_flow",
    "loops",
    "inputs",
    "training",
    "saving",
    "layers",
    "activations",
    "shapes",
    "idioms",
    "judged",
)
_ROOT = Path(__file__).parents[2]


def cases(module: str) -> tuple[Case, ...]:
    """The cases of one module; TensorFlow isn't loaded for it."""
    table: tuple[Case, ...] = import_module(f"tests.corpus.{module}").CASES
    return table


def write(case: Case, folder: Path) -> None:
    """Build, train, save and record one case, and describe it in `case.json`."""
    (tf.disable_control_flow_v2 if case.control_flow == 1 else tf.enable_control_flow_v2)()
    (tf.enable_resource_variables if case.resource else tf.disable_resource_variables)()
    model = make(case.build, folder, steps=case.steps, perturb=True)
    facts: dict[str, Any] = {
        "inputs": [tensor_name(t) for t in model.inputs],
        "outputs": [tensor_name(t) for t in model.outputs],
        "flags": [tensor_name(f.tensor) for f in model.flags],
        "batch_norms": case.batch_norms,
        "kept": case.kept,
        "options": dict(case.options),
        "spare": case.spare,
        "names": case.names,
        "any_batch": case.any_batch,
        "refused": case.refused,
    }
    with np.load(folder / "recorded.npz") as recorded:
        bad = [name for name in recorded.files if not np.isfinite(recorded[name]).all()]
    if bad and case.refused is None:
        raise ValueError(f"{case.name}: not finite: {', '.join(bad)}")
    (folder / "case.json").write_text(json.dumps(facts, indent=1) + "\n")


def make_all(folder: Path, modules: tuple[str, ...] = MODULES) -> None:
    """Make every case that isn't in `folder` yet, two modules at a time.

    Raises:
        RuntimeError: A case could not be made; what happened is on standard error.
    """

    def build(module: str) -> int:
        command = [sys.executable, "-m", "tests.corpus.build", str(folder), module]
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "OMP_NUM_THREADS": "1"}
        return subprocess.run(command, check=False, cwd=_ROOT, env=environment).returncode

    missing = [module for module in modules if any(not (folder / c.name / "case.json").exists() for c in cases(module))]
    with ThreadPoolExecutor(2) as pool:
        failed = [module for module, status in zip(missing, pool.map(build, missing), strict=True) if status]
    if failed:
        raise RuntimeError(f"these modules of the corpus could not be made: {', '.join(failed)}")


def _make_module(folder: Path, module: str) -> int:
    failures = 0
    for case in cases(module):
        if (folder / case.name / "case.json").exists():
            continue
        try:
            write(case, folder / case.name)
        except Exception:  # noqa: BLE001 - one broken case must not hide the others
            failures += 1
            print(f"--- {case.name}", traceback.format_exc(limit=-2)[-2000:], sep="\n", file=sys.stderr)
    return min(failures, 1)


def main(arguments: list[str]) -> int:
    """Make the named modules here, or all of them in processes of their own."""
    folder = Path(arguments[0])
    if len(arguments) > 1:
        return max(_make_module(folder, module) for module in arguments[1:])
    make_all(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
