"""Which files an export writes, and what writes each.

Programs in NumPy and C have large modules, which are imported when one is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import onnx_ir as ir

from exporter.errors import UnsupportedError, UsageError
from exporter.targets.atomic import Writer
from exporter.targets.npz_bundle import plan_of, write_bundle
from exporter.targets.onnx_file import onnx_writers
from runtime import Probe

__all__ = ["OUTPUTS", "WEIGHTS", "chosen", "output_folders", "output_paths", "output_writers"]

OUTPUTS = ("onnx", "npz", "numpy", "pyz", "c")
"""What may be asked for."""

WEIGHTS = ("stored", "float16")
"""How weights may be stored."""

_SUFFIXES = {"onnx": ".onnx", "npz": ".npz", "numpy": ".py", "pyz": ".pyz"}


def chosen(to: Iterable[str], *, embed: bool = False, weights: str = "stored") -> tuple[str, ...]:
    """The outputs to write, in the order of `OUTPUTS`.

    The ONNX file and the bundle always, unless one of them is named: then of these two only what is named. A NumPy
    program needs the bundle, unless that is embedded.

    Raises:
        UsageError: There is no such output, or no such form of weights; or nothing to embed the weights in.
    """
    asked = [to] if isinstance(to, str) else list(to)
    for name in asked:
        if name not in OUTPUTS:
            raise UsageError(f"there is no output {name}", hint=f"Choose among {', '.join(OUTPUTS)}")
    if weights not in WEIGHTS:
        raise UsageError(f"there are no weights in {weights}", hint=f"Choose among {', '.join(WEIGHTS)}")
    if embed and "numpy" not in asked:
        raise UsageError("weights are embedded in a NumPy program, and none is written", hint="Add --to numpy")
    both = () if {"onnx", "npz"} & {*asked} else ("onnx", "npz")
    needed = ("npz",) if "numpy" in asked and not embed else ()
    return tuple(name for name in OUTPUTS if name in {*both, *needed, *asked})


def output_paths(onnx_path: Path, to: Sequence[str]) -> list[Path]:
    """Where the outputs go: beside the ONNX file, under its name."""
    single = [onnx_path.with_suffix(_SUFFIXES[name]) for name in to if name in _SUFFIXES]
    if "c" not in to:
        return single
    from exporter.targets.c_program.folder import file_names, prefix_of

    (folder,) = output_folders(onnx_path, to)
    return [*single, *(folder / name for name in file_names(prefix_of(onnx_path.stem)))]


def output_folders(onnx_path: Path, to: Sequence[str]) -> list[Path]:
    """The directories that are made for outputs of several files: `NAME_c`."""
    return [onnx_path.with_name(f"{onnx_path.stem}_c")] if "c" in to else []


def output_writers(
    to: Sequence[str],
    onnx_path: Path,
    model: ir.Model,
    standard: ir.Model,
    probes: Sequence[Probe],
    metadata: Mapping[str, Any],
    *,
    embed: bool,
) -> dict[Path, Writer]:
    """What writes each file.

    Args:
        to: The outputs, as `chosen` gave them.
        onnx_path: The name of the ONNX file, written or not.
        model: The folded channels-last model.
        standard: The same as standard ONNX.
        probes, metadata: What is stored beside the weights.
        embed: Put the weights into the NumPy program.
    """
    stored: dict[str, Any] = {"probes": probes, "metadata": metadata}
    programs = [each for each in ("numpy", "c") if each in to]
    made = (value for node in model.graph.all_nodes() for value in (*node.inputs, *node.outputs) if value is not None)
    if programs and any(value.dtype == ir.DataType.STRING for value in (*model.graph.inputs, *made)):
        raise UnsupportedError(
            f"the model has strings, which --to {programs[0]} can't say",
            hint="Leave that out: the ONNX file, the bundle and --to pyz hold strings",
        )
    name = onnx_path.stem
    writers: dict[Path, Writer] = dict(onnx_writers(standard, onnx_path)) if "onnx" in to else {}
    if "npz" in to:
        writers[onnx_path.with_suffix(".npz")] = partial(write_bundle, model, **stored)
    if "numpy" in to:
        from exporter.targets.numpy_program.program import write_program

        writers[onnx_path.with_suffix(".py")] = partial(write_program, model, name=name, embed=embed, **stored)
    if "pyz" in to:
        from exporter.targets.pyz import write_pyz

        writers[onnx_path.with_suffix(".pyz")] = partial(write_pyz, model, **stored)
    if "c" in to:
        from exporter.targets.c_program.folder import c_files, prefix_of

        (folder,) = output_folders(onnx_path, to)
        files = c_files(plan_of(model), prefix_of(name), probes)
        writers |= {folder / file: partial(_write_bytes, content) for file, content in files.items()}
    return writers


def _write_bytes(content: bytes, path: Path) -> None:
    path.write_bytes(content)
