"""Modules that are imported when they are first used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]


def _run(code: str, folder: Path) -> str:
    command = [sys.executable, "-c", code]
    environment = {"PYTHONPATH": str(_ROOT), "PATH": ""}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


_LOADED = "print(any(name.startswith('sympy.') for name in sys.modules))"


def test_an_export_never_loads_symbolic_arithmetic(tmp_path: Path) -> None:
    """The open batch size alone doesn't cost its import."""
    sample = _ROOT / "sample_ckpts" / "inception"
    assert _run(f"import sys, exporter; exporter.export({str(sample)!r}, 'out.onnx'); {_LOADED}", tmp_path) == "False"


@pytest.mark.parametrize(
    ("code", "wanted"),
    [
        ("import onnx_ir; print(onnx_ir.SymbolicDim('n') * 2 + 1)", "2*n + 1"),
        ("import sympy; print(sympy.Integer(6) / 4)", "3/2"),
        ("import sympy.core.numbers; print(sympy.core.numbers.Integer(3))", "3"),
        ("from sympy import Symbol; print(Symbol('x') - Symbol('x'))", "0"),
    ],
)
def test_a_deferred_module_is_itself_when_used(code: str, wanted: str, tmp_path: Path) -> None:
    """In whatever way it is imported after us."""
    assert _run(f"import exporter; {code}", tmp_path) == wanted


def test_symbols_are_calculated_with_in_an_export(tmp_path: Path) -> None:
    """The stand-ins turn to the modules themselves, of which there is one each."""
    code = """
import sys, exporter.ir.dims, onnx_ir as ir, onnx_ir._core
import sympy, sympy.core.numbers
print(exporter.ir.dims.ceil_div(ir.SymbolicDim("n"), 2), isinstance(sympy.Symbol("x"), onnx_ir._core.sympy.Expr))
"""
    assert _run(code, tmp_path) == "floor((n + 1)/2) True"
