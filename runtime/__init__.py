"""Runs ckpt2onnx bundles with NumPy and nothing else.

    import runtime
    net = runtime.load("model.npz")
    y = net(x)                       # one array in, one out; or by name:
    outputs = net.run({"x": x})

Imports only NumPy and the standard library. The file format is specified in FORMAT.md.
"""

from runtime.bundle import Probe
from runtime.document import Value
from runtime.errors import BundleError, InputError, NetError, RunError, UnknownOpError
from runtime.net import Deviation, Net, load

__all__ = [
    "BundleError",
    "Deviation",
    "InputError",
    "Net",
    "NetError",
    "Probe",
    "RunError",
    "UnknownOpError",
    "Value",
    "load",
]
