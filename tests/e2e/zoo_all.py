"""Checks every network of the zoo that TensorFlow can build; takes minutes, and some GB of memory for VGG.

python -m tests.e2e.zoo_all FOLDER [NAME]...       all, or these
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.e2e.zoo_check import Network, check
from tests.e2e.zoo_keras import KERAS_NETWORKS
from tests.e2e.zoo_slim import SLIM_NETWORKS
from tests.e2e.zoo_written import WRITTEN_NETWORKS

__all__ = ["NETWORKS"]

NETWORKS: dict[str, Network] = {**SLIM_NETWORKS, **KERAS_NETWORKS, **WRITTEN_NETWORKS}


def _main(folder: str, names: list[str]) -> int:
    failed = 0
    for name in names or NETWORKS:
        with tempfile.TemporaryDirectory(dir=folder) as place:
            found = check(name, NETWORKS[name], Path(place))
        failed += bool(found)
        print(name, "; ".join(found) or "agrees", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1], sys.argv[2:]))
