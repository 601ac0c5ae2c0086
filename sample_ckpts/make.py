"""Make the samples again: `python -m sample_ckpts.make [NAME...] [--into FOLDER]`.

Needs the `tensorflow` extra and tf-slim. Without names, all are made.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from sample_ckpts.recipes import autoencoder, gan, handmade, inception, one_neuron
from sample_ckpts.sample import write

__all__ = ["SAMPLES", "main"]

_ROOT = Path(__file__).parent
SAMPLES = {
    sample.name: sample for module in (gan, autoencoder, handmade, inception, one_neuron) for sample in module.SAMPLES
}


def main() -> int:
    """Make the named samples, each in a process of its own, as TensorFlow's switches are global."""
    parser = argparse.ArgumentParser(prog="python -m sample_ckpts.make", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(SAMPLES))
    parser.add_argument("--into", type=Path, default=_ROOT, metavar="FOLDER")
    arguments = parser.parse_args()
    names, into = arguments.names or list(SAMPLES), arguments.into.absolute()
    if unknown := set(names) - SAMPLES.keys():
        parser.error(f"no such sample: {', '.join(sorted(unknown))}; there are {', '.join(SAMPLES)}")
    if len(names) == 1 and os.environ.get("PYTHONHASHSEED") == "0":
        print(write(SAMPLES[names[0]], into))
        return 0
    return max(_make(name, into) for name in names)


def _make(name: str, into: Path) -> int:
    command = [sys.executable, "-m", "sample_ckpts.make", name, "--into", str(into)]
    # TensorFlow writes some lists of a graph in the order of a Python set.
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    return subprocess.run(command, check=False, cwd=_ROOT.parent, env=environment).returncode


if __name__ == "__main__":
    sys.exit(main())
