"""The ahead-of-time engine: one program per set of input shapes, all memory laid out before it runs."""

from runtime.engine.choice import ACCURACIES, Policy
from runtime.engine.compiler import compile_program
from runtime.engine.forms import Forms
from runtime.engine.pieces import Pieces
from runtime.engine.program import Program
from runtime.engine.programs import Programs
from runtime.engine.resolve import Spec, Unresolvable

__all__ = [
    "ACCURACIES",
    "Forms",
    "Pieces",
    "Policy",
    "Program",
    "Programs",
    "Spec",
    "Unresolvable",
    "compile_program",
]
