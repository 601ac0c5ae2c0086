"""The ahead-of-time engine: one program per set of input shapes, all memory laid out before it runs."""

from runtime.engine.compiler import compile_program
from runtime.engine.micro_batches import Pieces
from runtime.engine.prepacked import Prepacked
from runtime.engine.program import Program
from runtime.engine.programs import Programs
from runtime.engine.resolve import Spec, Unresolvable
from runtime.engine.selection import ACCURACIES, Policy

__all__ = [
    "ACCURACIES",
    "Pieces",
    "Policy",
    "Prepacked",
    "Program",
    "Programs",
    "Spec",
    "Unresolvable",
    "compile_program",
]
