"""Weights-only checkpoints of networks that other code builds, exported by name and by recognition."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

_SMALL = (
    "inception_v2_narrow",
    "inception_v3_narrow",
    "resnet_v1_50_stride_16",
    "resnet_v2_50",
    "mobilenet_v1_quarter",
    "mobilenet_v2_third",
    "mobilenet_v3_small_narrow",
    "cifar10",
    "cifarnet",
    "dcgan_discriminator",
    "dcgan_generator",
    "slim_dcgan_discriminator",
    "slim_dcgan_generator",
)


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize("name", _SMALL)
def test_weights_alone_compute_what_tensorflow_does(name: str, tmp_path: Path) -> None:
    """Both formats, by name and by recognition, in all engines; `tests.e2e.zoo_all` checks the large ones as well.

    In a process of its own: what builds the networks leaves TensorFlow in a state that others don't expect.
    """
    command = [sys.executable, "-m", "tests.e2e.zoo_all", str(tmp_path), name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
