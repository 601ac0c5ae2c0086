"""Verifies exported files: against their source, recorded data, or the examples that were stored at export."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Literal

import onnx
import onnx_ir as ir
from google.protobuf.message import DecodeError

from exporter.data.arrays import named, read_data
from exporter.data.images import Images, image_files, read_images
from exporter.errors import CorruptError, FormatError, MissingError, UsageError
from exporter.foreign import on_foreign_data
from exporter.formats.records import Array
from exporter.frontend import Unfolded, unfold
from exporter.options import STORED_AS, TAKEN_BACK, Options
from exporter.passes.affine.fold_affine import affine_sources
from exporter.passes.pipeline import run as run_passes
from exporter.passes.round_weights import round_weights
from exporter.report.records import FileUsed, Report
from exporter.report.specs import tensor_specs
from exporter.sources.detect import source_files
from exporter.targets.onnx_file import data_files
from exporter.verify.allowance import Allowance, stage
from exporter.verify.boards import BOARDS, verify_on
from exporter.verify.engines import Engine, EngineError
from exporter.verify.example_power import example_power, unmoved
from exporter.verify.files import verify_files
from exporter.verify.inputs.exercise import exercise
from exporter.verify.layerwise import verify_layers
from exporter.verify.onnx_head import onnx_head
from exporter.verify.pairs import check_data, check_together
from exporter.verify.programs import c_engine, python_engine
from exporter.verify.references.tensorflow_session import reference_of
from exporter.verify.references.truth import Computed, Recorded, UnfoldedModel, recorded_in_bundle
from exporter.verify.references.unfolded_model import Reference
from exporter.verify.sites import check_sites, locate, truths
from exporter.verify.verdict import Verdict
from exporter.zoo.user_file import is_file_name

__all__ = ["verify_model"]


@on_foreign_data("verifying it")
def verify_model(
    model: str | PathLike[str],
    *,
    against: str | PathLike[str] | None = None,
    graph: str | PathLike[str] | None = None,
    data: str | PathLike[str] | None = None,
    reference: Literal["tensorflow"] | None = None,
    arch: str | None = None,
    sites: bool = False,
    budget: float | None = None,
    board: str | None = None,
) -> Verdict:
    """Runs exported files and compares their outputs with a truth.

    Args:
        model: The ONNX file or the bundle; the other one is checked too if it is beside it. Or a program of the same
            export, which is run: `NAME.py`, `NAME.pyz`, or the folder `NAME_c`, which is compiled.
        against: The source it was exported from: the unfolded model in float64 is the truth.
        graph: The source's graph, if it isn't beside it.
        reference: "tensorflow" lets TensorFlow run the source (`against`) and be the truth.
        data: An .npz with inputs, and perhaps recorded outputs, which are the truth then; for a model of one input also
            an .npy, or a folder of images.
        arch: The architecture that it was exported with, if that is in a file of the user's own.
        sites: Also compare the result of each batch norm by itself, which says where a difference begins; `against` it
            takes, and is the truth.
        budget: Seconds that it may take, more or less: when they are over, what is less telling is left out, and said.
        board: Run the stored example of a C program on this emulated board instead, one of `exporter.verify.boards`.

    Raises:
        ExportError: Its subclasses; a verdict that says no isn't an error.
    """
    path = Path(model)
    source, graph_path, data_path = (None if given is None else Path(given) for given in (against, graph, data))
    if board is not None:
        if board not in BOARDS:
            raise UsageError(f"there is no board {board}", hint=f"Choose among {', '.join(BOARDS)}")
        if source or data_path or reference or sites or not path.is_dir():
            raise UsageError(
                "--board runs the example stored in the folder of a C program, and nothing else",
                hint=f"As in ckpt2onnx verify build/net_c --board {board}",
            )
        return verify_on(board, path)
    verdict = _verify(path, source, graph_path, data_path, reference, arch, Allowance(budget), sites=sites)
    return replace(verdict, read=tuple(_read(path, source, graph_path, data_path)))


def _verify(
    model: Path,
    against: Path | None,
    graph: Path | None,
    data: Path | None,
    reference: Literal["tensorflow"] | None,
    arch: str | None,
    allowance: Allowance,
    *,
    sites: bool,
) -> Verdict:
    stage("reading the files")
    makers = _programs(model)
    onnx_path, npz_path = _pair(model) if makers is None else _beside(model)
    if graph is not None and against is None:
        raise UsageError("--graph belongs to a source, and none is given", hint="Give it with --against")
    if onnx_path is not None:
        check_data(onnx_path, _onnx_model(onnx_path))
    check_together(onnx_path, npz_path)
    if sites and against is None:
        raise UsageError("--sites compares with the unfolded model", hint="Give the source with --against")
    if sites or reference is not None:
        _refuse_rounded(_stored(onnx_path, npz_path), "--sites" if sites else "--reference")
    folder = data if data is not None and data.is_dir() else None
    if folder is not None and (against is None or makers is not None):
        raise UsageError(f"--data {folder}: images have no outputs", hint="Give the source, too, with --against")
    arrays = None if data is None or folder is not None else read_data(data, _names(onnx_path, npz_path)[0])
    recorded = None if arrays is None else _recorded(arrays, onnx_path, npz_path)
    if recorded is not None and reference is not None:
        raise UsageError(
            "--data has recorded outputs, and --reference asks for TensorFlow's: two truths",
            hint="Leave out --reference, or the outputs in --data",
        )
    if reference is not None and against is None:
        raise UsageError("--reference needs the source", hint="Give it with --against")
    engines = () if makers is None else makers(*_names(onnx_path, npz_path))
    files = (onnx_path, npz_path) if makers is None else (None, None)
    sites = sites and makers is None
    if recorded is not None and not sites:
        return _with_power(verify_files(*files, recorded, makers=engines), npz_path, recorded.references, allowance)
    if against is None and arrays is not None:
        raise UsageError(
            "--data has inputs alone, and nothing to compare the outputs with",
            hint="Add the recorded outputs to it, or give the source with --against",
        )
    if against is None:
        if npz_path is None:
            raise UsageError("there is nothing to compare with", hint="Give the source with --against, or --data")
        stored = recorded_in_bundle(npz_path)
        return _with_power(verify_files(*files, stored, makers=engines), npz_path, stored.references, allowance)
    inputs = recorded.references[0].inputs if recorded is not None else arrays
    options = _with_architecture(_stored(onnx_path, npz_path), arch)
    judge = None if reference is None else reference_of(against, graph, options)
    unfolded = unfold(against, graph=graph, options=options)
    truth = UnfoldedModel(unfolded.model) if judge is None else judge(unfolded)
    images = None if folder is None else read_images(folder, unfolded.model)
    given, origin = inputs if images is None else images.feeds, _origin(against, unfolded)
    verdict = _against(onnx_path, npz_path, truth, origin, given, options, allowance, sites=sites, makers=engines)
    return verdict if images is None else replace(verdict, remarks=(*verdict.remarks, _told(images)))


def _with_power(
    verdict: Verdict, npz_path: Path | None, references: Sequence[Reference], allowance: Allowance
) -> Verdict:
    """A verdict on outputs that are good, with what else would have been noticed; the bundle tells."""
    if npz_path is None or verdict.state != "good":
        return verdict
    if not allowance.allows("what would have been noticed"):
        return replace(verdict, left_out=tuple(allowance.left_out))
    stage("finding out what would have been noticed")
    hint = "give the source with --against"
    doubts = [
        f"output {output} doesn't depend on input {name}, as far as these examples tell; {hint}"
        for output, name in unmoved(npz_path, references, verdict)
    ]
    power = example_power(npz_path, references, verdict)
    return replace(verdict, power=power, doubts=(*verdict.doubts, *doubts))


def _told(images: Images) -> str:
    told = "" if images.told else ", a range that the model doesn't tell; others can be given as an .npz"
    return f"{len(images.files)} images were fed, with pixels of {images.pixels}{told}"


def _against(
    onnx_path: Path | None,
    npz_path: Path | None,
    truth: UnfoldedModel | Computed,
    origin: Report,
    inputs: Mapping[str, Array] | None,
    options: Options,
    allowance: Allowance,
    *,
    sites: bool,
    makers: Sequence[Callable[[], Engine]] = (),
) -> Verdict:
    """Compares with a source, layer by layer, and perhaps batch norm by batch norm; with makers only what they make."""
    model, taken_back = truth.model, _taken_back(onnx_path, npz_path)
    fold = options.fold and not (taken_back and taken_back >= {*affine_sources(model)})
    files = (None, None) if makers else (onnx_path, npz_path)
    if options.weights == "float16":
        rounded = _rounded(model, taken_back, fold=fold)
        return replace(verify_files(*files, rounded, inputs, makers=makers), origin=origin)
    known = None
    if sites:
        known = truths(model, exercise(model, count=1).sets[0].feeds if inputs is None else inputs)
    verdict = verify_layers(
        *files, truth, inputs, fold=fold, kept=taken_back, origin=origin, makers=makers, allowance=allowance
    )
    if known is None or verdict.problems:
        return verdict
    try:  # the model has gone through the passes by now
        return replace(verdict, sites=check_sites(onnx_path, npz_path, known, locate(model, known)))
    except EngineError as failure:
        return replace(verdict, problems=(str(failure),))


def _origin(source: Path, unfolded: Unfolded) -> Report:
    """What there is to say of a source."""
    graph = unfolded.model.graph
    return Report(
        str(source),
        unfolded.kind,
        tensor_specs(graph.inputs, unfolded.reasons),
        tensor_specs(graph.outputs, unfolded.reasons),
        unfolded.batch_norms,
        (),
        unfolded.decisions,
        unfolded.warnings,
        unfolded.notes,
        (),
        0.0,
    )


def _read(model: Path, against: Path | None, graph: Path | None, data: Path | None) -> Iterator[FileUsed]:
    """The files of a verification, that of its subject first."""
    onnx_path, npz_path = (model, None) if (programs := _programs(model)) else _pair(model)
    if programs is not None:
        files = sorted(file for file in model.rglob("*") if file.is_file()) if model.is_dir() else [model]
        yield from (FileUsed("program", str(file)) for file in files)
    elif onnx_path is not None:
        yield FileUsed("model", str(onnx_path))
        yield from (FileUsed("weights", str(file)) for file in sorted(data_files(onnx_path)) if file.is_file())
    if npz_path is not None:
        yield FileUsed("bundle", str(npz_path))
    if against is not None:
        yield from (FileUsed("source", str(file)) for file in source_files(against))
    if graph is not None:
        yield FileUsed("graph", str(graph))
    if data is not None:
        yield from (FileUsed("data", str(file)) for file in (image_files(data) if data.is_dir() else [data]))


_Makers = Callable[[list[str], list[str]], list[Callable[[], Engine]]]


def _programs(path: Path) -> _Makers | None:
    """What makes the engines of a standalone program, from the names of its inputs and outputs; None if it is none."""
    if path.suffix in (".py", ".pyz") and path.is_file():
        return lambda inputs, outputs: [partial(python_engine, path, outputs)]
    if path.is_dir() and path.name.endswith("_c"):
        return lambda inputs, outputs: [
            partial(c_engine, path, inputs, outputs, flags=flags, name=f"{path.name}, {flags.removesuffix(' -DTRACE')}")
            for flags in _FLAGS
        ]
    return None


_FLAGS = ("-O3 -march=native -DTRACE", "-O0 -fsanitize=address,undefined -fno-sanitize-recover=all")


def _beside(program: Path) -> tuple[Path | None, Path | None]:
    """The ONNX file and the bundle of the same export, whichever there are; they name the inputs and outputs."""
    stem = program.with_name(program.name.removesuffix("_c")) if program.is_dir() else program.with_suffix("")
    onnx_path, npz_path = (stem.with_name(f"{stem.name}{suffix}") for suffix in (".onnx", ".npz"))
    if not onnx_path.is_file() and not npz_path.is_file():
        raise MissingError(
            f"there is neither {onnx_path.name} nor {npz_path.name} beside {program}",
            hint="Keep them together: they name the inputs and outputs",
        )
    return (onnx_path if onnx_path.is_file() else None), (npz_path if npz_path.is_file() else None)


def _pair(model: Path) -> tuple[Path | None, Path | None]:
    """The ONNX file and the bundle, whichever there are of the two."""
    if not model.is_file():
        raise MissingError(f"there is no file {model}", hint="Give the .onnx or .npz file of an export")
    if model.suffix == ".npz":
        beside = model.with_suffix(".onnx")
        return (beside if beside.is_file() else None), model
    beside = model.with_suffix(".npz")
    return model, (beside if beside.is_file() else None)


def _refuse_rounded(stored: Options, option: str) -> None:
    """UsageError for what compares with numbers of before the weights were rounded."""
    if stored.weights == "float16":
        raise UsageError(
            f"its weights were rounded to float16, and {option} compares with the numbers before",
            hint="Verify an export without --weights float16, or this one with --against alone",
        )


def _rounded(model: ir.Model, taken_back: Set[str], *, fold: bool) -> UnfoldedModel:
    """The folded model with the weights that an export with --weights float16 has rounded."""
    all_kept = bool(taken_back) and taken_back >= {*affine_sources(model)}
    run_passes(model, fold=fold and not all_kept, keep=frozenset(taken_back))
    round_weights(model)
    return UnfoldedModel(
        model,
        "the folded model with weights rounded to float16, computed in float64",
        "mistakes made before rounding, in reading the source, translating its ops, or folding; nor does it say what "
        "rounding itself has changed, which the report of the export does",
    )


def _with_architecture(options: Options, arch: str | None) -> Options:
    """The architecture of the export; one that is a user's code is run only if the user says so again."""
    if arch is None and options.arch is not None and is_file_name(options.arch):
        raise UsageError(
            f"it was exported with --arch {options.arch}, which is code, and is not run because a model file names it",
            hint=f"If you trust it, add --arch {options.arch}",
        )
    return options if arch is None else replace(options, arch=arch)


def _stored(onnx_path: Path | None, npz_path: Path | None) -> Options:
    """What was chosen at export, out of the metadata; the defaults if the files say nothing about it."""
    text = _metadata(onnx_path, npz_path, STORED_AS)
    if text is None:
        return Options()
    try:
        return Options.from_json(text)
    except CorruptError as error:
        error.hint = "Export it again, or verify it with --data"
        raise error.within(f"file {onnx_path or npz_path}") from None


def _taken_back(onnx_path: Path | None, npz_path: Path | None) -> frozenset[str]:
    """The sources of the folds that the export found to be off, out of the metadata."""
    text = _metadata(onnx_path, npz_path, TAKEN_BACK)
    try:
        names = [] if text is None else json.loads(text)
    except (ValueError, RecursionError):
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise CorruptError(f"its metadata {TAKEN_BACK!r} isn't a list of names").within(f"file {onnx_path or npz_path}")
    return frozenset(names)


def _metadata(onnx_path: Path | None, npz_path: Path | None, key: str) -> str | None:
    if onnx_path is not None:
        return next((entry.value for entry in _onnx_model(onnx_path).metadata_props if entry.key == key), None)
    import runtime

    return None if npz_path is None else runtime.load(npz_path, calibrate=False).metadata.get(key)


def _onnx_model(path: Path) -> onnx.ModelProto:
    """The file without the weights that are beside it."""
    try:
        model = onnx_head(path)
    except DecodeError:
        raise FormatError("it is no ONNX model, or it is cut short").within(f"file {path}") from None
    if not model.graph.output:
        raise FormatError("it is an ONNX model without outputs").within(f"file {path}")
    return model


def _recorded(arrays: Mapping[str, Array], onnx_path: Path | None, npz_path: Path | None) -> Recorded | None:
    """Inputs and outputs by name, if there are outputs among the arrays."""
    inputs, outputs = _names(onnx_path, npz_path)
    given, found = named(arrays, inputs, "input"), named(arrays, outputs, "output")
    if len(given) < len(inputs):
        lost = ", ".join(name for name in inputs if name not in given)
        raise UsageError(f"--data has no array for the input {lost}", hint=f"It has {', '.join(arrays)}")
    return Recorded([Reference(given, found)]) if found else None


def _names(onnx_path: Path | None, npz_path: Path | None) -> tuple[list[str], list[str]]:
    if npz_path is not None:
        import runtime

        net = runtime.load(npz_path, calibrate=False)
        return [value.name for value in net.inputs], [value.name for value in net.outputs]
    assert onnx_path is not None
    graph = _onnx_model(onnx_path).graph
    return [value.name for value in graph.input], [value.name for value in graph.output]
