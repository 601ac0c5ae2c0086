"""From any TensorFlow or Keras checkpoint to folded ONNX and a NumPy bundle, with parity proved.

    import exporter
    report = exporter.export("run/model.ckpt-1000", "build/model.onnx")

What is here is imported when it is first used, so that `ckpt2onnx run` needs nothing but NumPy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from exporter._deferred import defer_symbols
from exporter._version import __version__

if TYPE_CHECKING:
    from exporter.api import export as export
    from exporter.api import inspect as inspect
    from exporter.errors import ExportError as ExportError
    from exporter.pages.writing import write_report as write_report
    from exporter.report.records import Report as Report
    from exporter.run_files import run as run
    from exporter.verify.model_files import verify_model as verify_model

__all__ = ["ExportError", "Report", "__version__", "export", "inspect", "run", "verify_model", "write_report"]

_HOMES = {
    "ExportError": "exporter.errors",
    "Report": "exporter.report.records",
    "run": "exporter.run_files",
    "verify_model": "exporter.verify.model_files",
    "write_report": "exporter.pages.writing",
}

defer_symbols()


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'exporter' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES.get(name, "exporter.api")), name)
