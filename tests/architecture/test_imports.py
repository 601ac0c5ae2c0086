"""Imports go one way."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.architecture.imports import modules, violations

_MODULES = modules(Path(__file__).parents[2])


def test_imports_go_one_way() -> None:
    """No part imports what is above it or beside it, nor a package that it has no business with."""
    assert violations(_MODULES, _MODULES) == []


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("exporter.formats.sniff", "from exporter.sources.graph import Graph"),
        ("exporter.formats.sniff", "from exporter.command_line.cli import main"),
        ("exporter.errors", "import exporter.formats.files"),
        ("exporter.report.records", "from exporter.errors import ExportError"),
        ("exporter.sources.graph", "from exporter.ir.ops import OPSET"),
        ("exporter.ir.ops", "from exporter.sources.graph import Node"),
        ("exporter.inference.pipeline", "from exporter.lower.tensorflow import lower_tensorflow"),
        ("exporter.lower.tf.dense", "from exporter.lower.keras.dense import dense"),
        ("exporter.lower.tf.dense", "from exporter.lower import tensorflow"),
        ("exporter.passes.affine.linear", "from exporter.targets.opsets import DEFAULT_OPSET"),
        ("exporter.targets.npz_bundle", "from exporter.verify.compare import compare"),
        ("exporter.verify.references.truth", "def f():\n    from exporter.frontend import unfold"),
        ("exporter.run_files", "from exporter.verify.model_files import verify_model"),
        ("exporter.api", "from exporter.command_line.cli import main"),
        ("exporter.inspection", "from exporter import api"),
        ("runtime.net", "from exporter.errors import ExportError"),
        ("runtime.net", "import onnx"),
        ("runtime.net", "import ml_dtypes"),
        ("exporter.verify.references.truth", "import tensorflow as tf"),
        ("exporter.sources.keras_v3", "from keras import layers"),
        ("exporter.inference.pipeline", "import onnx_ir as ir"),
        ("exporter.api", "import click"),
        ("exporter.api", "from . import errors"),
        ("exporter.new_idea", "from exporter.errors import ExportError"),
        ("exporter.api", "from tests.corpus.case import Case"),
    ],
)
def test_a_planted_import_is_found(module: str, line: str) -> None:
    """One line against a rule is one violation, which names the module."""
    found = violations({module: line}, _MODULES)
    assert len(found) == 1
    assert found[0].startswith(f"{module} imports ")


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("exporter.formats.sniff", "from exporter.formats.files import RegularFile"),
        ("exporter.formats.sniff", "from exporter import errors"),
        ("exporter.lower.tensorflow", "from exporter.lower.tf.dense import OPS"),
        ("exporter.ir.evaluate", "from runtime.kernels import KERNELS"),
        ("exporter.command_line.cli", "import click\nfrom exporter import api"),
        ("runtime.net", "import os, numpy as np\nfrom runtime.plan import execute"),
    ],
)
def test_what_goes_down_is_allowed(module: str, line: str) -> None:
    """The rules forbid no more than they say."""
    assert violations({module: line}, _MODULES) == []
