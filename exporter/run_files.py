"""Runs an exported file: a bundle with the NumPy runtime, an ONNX file with onnxruntime."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path

import runtime
from exporter.data.arrays import named, read_arrays, write_arrays
from exporter.errors import CorruptError, FormatError, MissingError, UnsupportedError, UsageError
from exporter.formats.records import Array
from exporter.targets.atomic import write_files
from exporter.targets.ownership import is_bundle
from exporter.verify.pairs import check_together

__all__ = ["run", "run_file"]


def run(model: str | PathLike[str], inputs: Mapping[str, Array]) -> dict[str, Array]:
    """The outputs of an exported file, by name.

    Args:
        model: The .npz or .onnx file of an export.
        inputs: Arrays by input name.

    Raises:
        MissingError, FormatError, CorruptError: The file can't be used.
        UnsupportedError: It needs an operator that this version hasn't got.
        UsageError: The inputs aren't what the model takes.
    """
    return _open(Path(model)).run(inputs)


def run_file(model: Path, inputs: Path, out: Path) -> dict[str, tuple[int, ...]]:
    """Runs a file on the arrays of an .npz and writes the outputs as another; returns their shapes.

    Of a recording, in which `input/x` belongs to the input `x`, only the inputs are taken.
    """
    if is_bundle(out):
        raise UsageError(f"{out} is a bundle, which outputs never overwrite", hint="Choose another name with -o")
    opened, arrays = _open(model), read_arrays(inputs)
    recorded = any(name not in arrays and f"input/{name}" in arrays for name in opened.inputs)
    outputs = opened.run(named(arrays, opened.inputs, "input") if recorded else arrays)
    write_files({out: partial(write_arrays, outputs)}, inputs=[model, inputs])
    return {name: array.shape for name, array in outputs.items()}


@dataclass(frozen=True)
class _Opened:
    """A file that is ready to run: the names of its inputs, and a function from inputs to outputs."""

    inputs: tuple[str, ...]
    run: Callable[[Mapping[str, Array]], dict[str, Array]]


def _open(path: Path) -> _Opened:
    if not path.is_file():
        raise MissingError(f"there is no file {path}", hint="Give the .onnx or .npz file of an export")
    return _open_onnx(path) if path.suffix == ".onnx" else _open_bundle(path)


def _open_bundle(path: Path) -> _Opened:
    try:
        net = runtime.load(path)
    except runtime.UnknownOpError as error:
        raise UnsupportedError(str(error), hint="A newer version of ckpt2onnx wrote it") from None
    except runtime.NetError as error:
        raise CorruptError(str(error)) from None

    def run(inputs: Mapping[str, Array]) -> dict[str, Array]:
        try:
            return net.run(inputs)
        except runtime.NetError as error:
            raise UsageError(str(error)) from None

    return _Opened(tuple(value.name for value in net.inputs), run)


def _open_onnx(path: Path) -> _Opened:
    beside = path.with_suffix(".npz")
    check_together(path, beside if beside.is_file() else None)
    import onnxruntime as ort
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    # onnxruntime's errors have no base class of their own
    own = [kind for kind in vars(state).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    failures: tuple[type[Exception], ...] = (RuntimeError, ValueError, *own)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    try:
        session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except failures as error:
        raise FormatError(f"onnxruntime can't load it: {_one_line(error)}").within(f"file {path}") from None
    names = [output.name for output in session.get_outputs()]

    def run(inputs: Mapping[str, Array]) -> dict[str, Array]:
        try:
            return dict(zip(names, session.run(names, dict(inputs)), strict=True))
        except failures as error:
            raise UsageError(f"the inputs aren't what the model takes: {_one_line(error)}") from None

    return _Opened(tuple(value.name for value in session.get_inputs()), run)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
