"""What the command line does, as functions."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Literal

import onnx_ir as ir

from exporter.checked import Checked, fold_checked
from exporter.errors import UsageError
from exporter.frontend import Unfolded, unfold
from exporter.inspection import Inspection, inspect_source
from exporter.options import STORED_AS, TAKEN_BACK, Options
from exporter.report.records import FileUsed, FileWritten, HalfWeights, Report
from exporter.report.specs import tensor_specs
from exporter.rounded import with_half_weights
from exporter.sources.detect import source_files
from exporter.targets.atomic import check_targets, write_files
from exporter.targets.double_precision import note_on_doubles
from exporter.targets.lowest_opset import at_lowest_opset
from exporter.targets.npz_bundle import content_id
from exporter.targets.onnx_file import data_files
from exporter.targets.opsets import DEFAULT_OPSET
from exporter.targets.output_ranks import give_output_ranks
from exporter.targets.outputs import chosen, output_folders, output_paths, output_writers
from exporter.targets.ownership import check_ownership
from exporter.verify.probes import NoExample
from runtime.pair import EXPORT_ID

__all__ = ["export", "inspect"]

_Path = str | PathLike[str]
_Shape = tuple[int | None, ...] | None


def export(
    source: _Path,
    output: _Path | None = None,
    *,
    graph: _Path | None = None,
    inputs: Mapping[str, Iterable[int | None] | None] | Iterable[str] = (),
    outputs: Iterable[str] = (),
    values: Mapping[str, object] | None = None,
    signature: str | None = None,
    ema: bool = False,
    keep_batch_statistics: bool | Iterable[str] = False,
    opset: int | None = None,
    input_layout: Literal["nhwc", "nchw"] = "nhwc",
    fold: bool = True,
    arch: str | None = None,
    include_preprocessing: bool = False,
    dtype: Literal["stored", "float32"] = "stored",
    weights: Literal["stored", "float16"] = "stored",
    custom: Mapping[str, str] | None = None,
    force: bool = False,
    to: Iterable[str] = (),
    embed: bool = False,
    check: bool = True,
) -> Report:
    """Exports a checkpoint as folded ONNX and, beside it, as a bundle for the NumPy runtime; all files or none.

    Args:
        source: A checkpoint's prefix, any one of its files, its directory, or a graph file.
        output: The ONNX file, `NAME.onnx`; the bundle is `NAME.npz` beside it. By default named after the source, in
            the current directory.
        graph: Where the graph is, if not beside the checkpoint.
        inputs: Names of inputs, perhaps with shapes; found if there are none.
        outputs: Names of outputs; found if there are none.
        values: Placeholders that get a fixed value, such as flags; or an architecture's options.
        signature: The signature to export, of a SavedModel that has several.
        ema: Take the averaged weights (ExponentialMovingAverage).
        keep_batch_statistics: True, or the scopes whose batch norms keep the batch's own statistics.
        opset: The ONNX opset, from 13 on; by default 17, or the lowest above it that has all the model needs.
        input_layout: "nchw" makes image inputs channels-first.
        fold: Fold batch norms and constants.
        arch: The architecture of a checkpoint that holds only weights, if they don't tell it by themselves: a built-in
            name, or `path/to/file.py:name`, which runs that file.
        include_preprocessing: Put the architecture's published preprocessing in front of the network.
        dtype: "float32" makes a float16 model a float32 one, which folds without rounding weights to half precision.
        weights: "float16" rounds kernels, matrices and tables to half precision, and stores them so in all outputs but
            the ONNX file, which has the same numbers in float32; they are widened where they are used.
        custom: Classes and functions of a Keras configuration that aren't Keras's own, each with the layer or
            activation that it is at inference: `{"FixedDropout": "Dropout"}`.
        force: Overwrite files that no export has written.
        to: What to write besides: "numpy", a program that a person reads, `NAME.py`; "pyz", the bundle with the runtime
            in one file, `NAME.pyz`; "c", a program in C, in the folder `NAME_c`. Where "onnx" or "npz" is named, the
            other one isn't written.
        embed: Put the weights into the NumPy program.
        check: Run the folded model beside the unfolded one, and take back the folds that turn out wrong.

    Raises:
        ParityError: The result is off without any fold, too.
        ExportError: Its subclasses; nothing has been written then.
    """
    start = time.perf_counter()
    path, graph_path = Path(source), None if graph is None else Path(graph)
    onnx_path = _default_output(path) if output is None else _onnx_path(Path(output))
    wanted = chosen(to, embed=embed, weights=weights)
    protected = source_files(path) + ([graph_path] if graph_path else [])
    folders = output_folders(onnx_path, wanted)
    check_targets(output_paths(onnx_path, wanted), protected, folders)
    if not force:
        check_ownership(output_paths(onnx_path, wanted))
    options = Options(
        inputs=_shapes(inputs),
        outputs=_names(outputs),
        values=_texts(values),
        signature=signature,
        ema=ema,
        keep_batch_statistics=_scopes(keep_batch_statistics),
        arch=arch,
        include_preprocessing=include_preprocessing,
        dtype=dtype,
        fold=fold,
        custom=dict(custom or {}),
        weights=weights,
    )
    again = partial(unfold, path, graph=graph_path, options=options)
    unfolded = again()
    result, half = _rounded(fold_checked(unfolded.model, lambda: again().model, fold=fold, check=check), weights)
    taken_back = {TAKEN_BACK: json.dumps(result.check.taken_back)} if result.check.taken_back else {}
    metadata = {STORED_AS: options.to_json(), **unfolded.metadata, **taken_back}
    ranks = give_output_ranks(result.model, result.probes)
    settings = {"opset": opset or DEFAULT_OPSET, "layout": input_layout}
    metadata[EXPORT_ID] = content_id(result.model, result.probes, metadata | settings)
    standard, raised = at_lowest_opset(result.model, opset, input_layout, metadata)
    writers = output_writers(wanted, onnx_path, result.model, standard, result.probes, metadata, embed=embed)
    superseded = partial(data_files, onnx_path) if "onnx" in wanted else tuple
    write_files(writers, inputs=protected, superseded=superseded, folders=folders)
    return _report((path, graph_path), unfolded, standard, result, half, (*raised, *ranks), writers, start)


def _rounded(result: Checked, weights: str) -> tuple[Checked, HalfWeights | None]:
    """The model with its weights in float16, if they are to be, and what that has changed."""
    if weights != "float16":
        return result, None
    half, probes = with_half_weights(result.model, result.probes)
    return replace(result, probes=probes), half


def _report(
    paths: tuple[Path, Path | None],
    unfolded: Unfolded,
    exported: ir.Model,
    result: Checked,
    half: HalfWeights | None,
    notes: tuple[str, ...],
    written: Iterable[Path],
    start: float,
) -> Report:
    """What an export of a source (perhaps with its graph) that began at that time has to say."""
    path, graph_path = paths
    notes = (*unfolded.notes, *notes, *note_on_doubles(exported))
    if result.no_example is not None:
        notes = (*notes, f"the bundle has no example outputs: {_NO_EXAMPLE[result.no_example]}")
    read = [FileUsed("source", str(file)) for file in source_files(path)]
    if graph_path is not None:
        read.append(FileUsed("graph", str(graph_path)))
    return Report(
        source=str(path),
        kind=unfolded.kind,
        inputs=tensor_specs(exported.graph.inputs, unfolded.reasons),
        outputs=tensor_specs(exported.graph.outputs, unfolded.reasons),
        batch_norms=unfolded.batch_norms,
        folds=result.folds,
        decisions=unfolded.decisions,
        warnings=unfolded.warnings,
        notes=notes,
        files=tuple(FileWritten(str(file), file.stat().st_size) for file in written),
        seconds=time.perf_counter() - start,
        check=result.check,
        read=tuple(read),
        half=half,
    )


_NO_EXAMPLE: dict[NoExample, str] = {
    "too large": "the model is too large to record some at export; verify it with --against",
    "no inputs": "values for its inputs can't be made up; verify it with --data",
    "fails": "it doesn't run on values that are made up for its inputs; verify it with --data",
}


def inspect(
    source: _Path,
    *,
    graph: _Path | None = None,
    inputs: Mapping[str, Iterable[int | None] | None] | Iterable[str] = (),
    outputs: Iterable[str] = (),
    values: Mapping[str, object] | None = None,
    signature: str | None = None,
    arch: str | None = None,
    custom: Mapping[str, str] | None = None,
) -> Inspection:
    """What is in a source: tensors, batch norms, inputs and outputs; and what is missing for an export.

    Raises:
        SourceError: Its subclasses: it can't be opened.
    """
    options = Options(
        inputs=_shapes(inputs),
        outputs=_names(outputs),
        values=_texts(values),
        signature=signature,
        arch=arch,
        custom=dict(custom or {}),
    )
    return inspect_source(Path(source), graph=None if graph is None else Path(graph), options=options)


def _shapes(inputs: Mapping[str, Iterable[int | None] | None] | Iterable[str]) -> dict[str, _Shape]:
    """Inputs with their shapes; None where none is given."""
    named = inputs if isinstance(inputs, Mapping) else dict.fromkeys(_names(inputs))
    return {name: None if shape is None else tuple(shape) for name, shape in named.items()}


def _onnx_path(output: Path) -> Path:
    """The ONNX file's name as given: one that other commands know it by, and that leaves .npz to the bundle."""
    if output.suffix != ".onnx":
        raise UsageError(
            f"the ONNX file's name has to end in .onnx, and {output} doesn't",
            hint="Give -o NAME.onnx; the bundle is written beside it as NAME.npz",
        )
    return output


def _default_output(source: Path) -> Path:
    """`run/model.ckpt-1000.index` is exported to `model.ckpt-1000.onnx`."""
    name = re.sub(r"\.data-\d{5}-of-\d{5}$", "", source.resolve().name)
    for suffix in (".index", ".meta", ".pb", ".pbtxt", ".weights.h5", ".h5", ".hdf5", ".keras"):
        name = name.removesuffix(suffix)
    return Path(f"{name}.onnx")


def _texts(values: Mapping[str, object] | None) -> dict[str, str]:
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in (values or {}).items()}


def _scopes(keep: bool | Iterable[str]) -> tuple[str, ...]:
    if isinstance(keep, bool):
        return ("",) if keep else ()
    return _names(keep)


def _names(given: Iterable[str]) -> tuple[str, ...]:
    """Names; a single string is one of them, not its letters."""
    return (given,) if isinstance(given, str) else tuple(given)
