"""What holds for all tests."""

from __future__ import annotations

import os

# TensorFlow leaves oneDNN off on some processors; without it its kernels for CPUs refuse dilated transposed
# convolutions, grouped ones that are fused, and pools with channels first, so that it couldn't judge ours.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
