"""docs/operators.md: what becomes of each of TensorFlow's ops, out of the tables that the exporter itself goes by.

    python -m tests.docs.operator_states

writes it.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import resources
from pathlib import Path

import exporter
from exporter.inference.control_flow.conditions import CASES, IFS
from exporter.inference.control_flow.open_loops import WHILES
from exporter.inference.graph.inline import CALLS
from exporter.inference.graph.op_types import (
    CANDIDATE_SAMPLERS,
    DATA_SOURCES,
    DECODERS,
    GRADIENT_OPS,
    NO_VALUE,
    PLACEHOLDERS,
)
from exporter.inference.graph.queries import ASSIGN_OPS, MERGES, RANDOM_OPS, SWITCHES
from exporter.lower.tensorflow import TRANSLATED
from exporter.lower.tf.text import UNTRANSLATED
from exporter.sources.model import VARIABLE_OPS

__all__ = ["PAGE", "main", "page", "state_of", "tensorflow_ops"]

PAGE = Path(exporter.__file__).parent.parent / "docs" / "operators.md"

_RESOLVED = {
    "the functions of conditions, loops and calls are followed": IFS
    | CASES
    | WHILES
    | CALLS
    | MERGES
    | SWITCHES
    | {"Enter", "Exit", "LoopCond", "NextIteration", "RefEnter", "RefExit", "RefNextIteration"},
    "an input": PLACEHOLDERS | DATA_SOURCES,
    "a weight": VARIABLE_OPS,
}
_ASIDE = {
    "only training needs it": GRADIENT_OPS | CANDIDATE_SAMPLERS,
    "it has no value at inference": NO_VALUE,
    "an assignment: variables have the values of the file": ASSIGN_OPS,
    "noise: dropout and the like become the identity; randomness that is part of the model is refused": RANDOM_OPS,
}
_TRAINING = ("Apply", "ResourceApply", "ResourceSparseApply", "SparseApply")
_REASONS = (
    (("Quantized", "Uniform", "Requantiz", "Quantize"), "integer kernels of TensorFlow's own runtime"),
    (("Xla", "TPU", "Tpu", "_TPU", "Collective", "Nccl", "TensorRT", "TRT", "_XlaRun"), "of an accelerator's runtime"),
    (
        ("String", "Regex", "Unicode", "Static", "AsString", "Substr", "Base64", "EncodeBase64"),
        "text has no translation",
    ),
    (("Lookup", "HashTable", "MutableHashTable", "InitializeTable", "Anonymous"), "tables have no translation"),
    (("Ragged",), "ragged tensors have no translation; export from their values and row lengths on"),
    (
        ("Sparse", "Deserialize", "Serialize"),
        "it is not among the ops on sparse tensors that are translated",
    ),
    (("Encode", "Write", "Save", "Restore", "Merge", "Matching", "Shard"), "files: not part of a model's computation"),
)
_DATA = ("Dataset", "Iterator", "Queue", "Reader", "Barrier", "Stage", "MapClear", "MapSize", "OrderedMap", "Mutex")
_OTHERS = "no translation; export up to the tensor before it with `--output`"


def tensorflow_ops() -> list[str]:
    """Every op that TensorFlow registers, by name."""
    text = resources.files("exporter.sources").joinpath("op_defs.txt").read_text(encoding="utf-8")
    return [line.partition(" |")[0] for line in text.splitlines() if line and not line.startswith("#")]


def state_of(op: str) -> tuple[str, str]:
    """What becomes of an op, and the reason."""
    for reason, ops in _RESOLVED.items():
        if op in ops:
            return "translated", reason
    if op in TRANSLATED:
        return "translated", ""
    for reason, ops in _ASIDE.items():
        if op in ops:
            return "set aside", reason
    return _unsupported(op)


def _unsupported(op: str) -> tuple[str, str]:
    if op.startswith(_TRAINING) or op.endswith("Grad") or "Accumulator" in op:
        return "set aside", "only training needs it"
    if any(word in op for word in _DATA):
        return "set aside", "the pipeline of inputs: what comes out of it is an input"
    if op in UNTRANSLATED:
        return "refused", f"{UNTRANSLATED[op]}; take its result as the input, by `--input`"
    if op in DECODERS:
        return "refused", f"it {DECODERS[op]}; export up to the tensor before it with `--output`"
    for starts, reason in _REASONS:
        if op.startswith(starts):
            return "refused", reason
    return "refused", _OTHERS


def page() -> str:
    """The page."""
    ops = [op for op in tensorflow_ops() if not op.startswith("_") and len(op) > 1]
    states = {op: state_of(op) for op in ops}
    count = {
        kind: sum(state == kind for state, _ in states.values()) for kind in ("translated", "set aside", "refused")
    }
    return "\n".join(
        [
            "# TensorFlow's ops",
            "",
            "What becomes of each op that TensorFlow 2.21 registers; `python -m tests.docs.operator_states` writes it.",
            "A *translated* op is exported, with the attributes that make sense at inference; one that is *set aside*",
            "is no part of the inference function; a *refused* one ends the export with a message that names it.",
            "",
            f"{count['translated']} are translated, {count['set aside']} set aside, {count['refused']} refused.",
            "",
            "## Translated",
            "",
            *_listed(op for op, (state, reason) in states.items() if state == "translated" and not reason),
            *_sections(states, "translated"),
            "## Set aside",
            "",
            *_sections(states, "set aside"),
            "## Refused",
            "",
            *_sections(states, "refused"),
        ]
    )


def _sections(states: dict[str, tuple[str, str]], wanted: str) -> list[str]:
    """The ops of a state by reason."""
    lines: list[str] = []
    for reason in dict.fromkeys(reason for state, reason in states.values() if state == wanted and reason):
        lines += [f"{reason[0].upper()}{reason[1:]}:", ""]
        lines += _listed(op for op, found in states.items() if found == (wanted, reason))
    return lines


def _listed(ops: Iterable[str]) -> list[str]:
    return [", ".join(f"`{op}`" for op in ops), ""]


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
