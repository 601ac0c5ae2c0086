"""The command line. Exit status: 0 done, 1 parity failed, 2 usage, 3 input, 4 unsupported, 70 a bug, 130 stopped."""

from __future__ import annotations

import json
import os
import shutil
import sys
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from exporter._version import __version__
from exporter.command_line.report_option import check_report, report_option, write_asked_report
from exporter.command_line.streams import lenient_streams, telling
from exporter.errors import ExportError, ParityError, UsageError

if TYPE_CHECKING:
    from exporter.report.records import Report

__all__ = ["main"]

_BUG, _INTERRUPTED = 70, 130
_LONGEST = 2000
"""Characters of a message."""

_DEFAULT_OPSET = 17
_DEBUG, _DETAIL = "ckpt2onnx.debug", "ckpt2onnx.detail"
"""Entries of the context's `meta`, which all commands share: whether to show tracebacks, and how much is said."""


def _noted(entry: str, meaning: object) -> Callable[[click.Context, click.Parameter, bool], None]:
    def note(ctx: click.Context, _: click.Parameter, given: bool) -> None:
        if given:
            ctx.meta[entry] = meaning

    return note


def _talk(command: Callable[..., Any]) -> Callable[..., Any]:
    """How much is said: for the program and after each of its commands alike."""
    options = [
        (("-v", "--verbose"), _DETAIL, 1, "Say everything: all columns, also of what is as usual."),
        (("-q", "--quiet"), _DETAIL, -1, "Say nothing but warnings and errors."),
        (("--debug",), _DEBUG, True, "Show the traceback of an error."),
    ]
    for names, entry, meaning, text in reversed(options):
        callback = _noted(entry, meaning)
        option = click.option(*names, is_flag=True, expose_value=False, callback=callback, help=text)
        command = option(command)
    return command


class _Commands(click.Group):
    """Turns errors into a paragraph and an exit status."""

    def invoke(self, ctx: click.Context) -> Any:
        lenient_streams()
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            _fail(ctx, "interrupted", _INTERRUPTED)
        except ExportError as error:
            _fail(ctx, str(error), error.exit_code)
        except BrokenPipeError:
            raise
        except OSError as error:
            place = f"file {error.filename}: " if error.filename else ""
            _fail(ctx, f"{place}{error.strerror or error}", 3)
        except (click.exceptions.Exit, click.ClickException, click.Abort):
            raise
        except Exception as error:  # noqa: BLE001 - the last line of defence: what reaches it is a bug
            if isinstance(error, ModuleNotFoundError) and error.name == "onnxruntime":
                _fail(ctx, _NO_ONNXRUNTIME, UsageError.exit_code)
            text = f"this is a bug of ckpt2onnx: {type(error).__name__}: {error}. Run with --debug for the traceback"
            _fail(ctx, text, _BUG)


_NO_ONNXRUNTIME = (
    "onnxruntime isn't installed, which ONNX files are run with: pip install onnxruntime; bundles run without"
)


def _fail(ctx: click.Context, text: str, status: int) -> None:
    if ctx.meta.get(_DEBUG):
        traceback.print_exc()
    shown = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 4]} ..."
    with suppress(OSError):
        click.echo(f"ckpt2onnx: {shown}", err=True)
    ctx.exit(status)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ckpt2onnx")
@_talk
def main() -> None:
    """From any TensorFlow or Keras checkpoint to folded ONNX and a NumPy bundle."""


def _graph_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What every command takes that reads a source."""
    options = [
        click.option(
            "--graph",
            type=click.Path(path_type=Path),
            show_default="the file's own, or the .meta beside it",
            help="The graph, or the configuration of a Keras model.",
        ),
        click.option(
            "--input",
            "inputs",
            multiple=True,
            metavar="NAME[=SHAPE]",
            show_default="what is found, as the graph has it",
            help="An input, as x or x=?,224,224,3.",
        ),
        click.option(
            "--output",
            "outputs",
            multiple=True,
            metavar="NAME",
            show_default="what is found",
            help="An output, as logits or logits:0.",
        ),
        click.option(
            "--set",
            "values",
            multiple=True,
            metavar="NAME=VALUE",
            show_default="as at inference",
            help="Fix a flag, a tensor or an option.",
        ),
        click.option(
            "--signature",
            metavar="NAME",
            show_default="serving_default, or the only one",
            help="The signature to export, where there are several.",
        ),
        click.option(
            "--ema", is_flag=True, show_default="off", help="Take the averaged weights (ExponentialMovingAverage)."
        ),
        click.option(
            "--keep-batch-statistics",
            "keep",
            multiple=True,
            is_flag=False,
            flag_value="",
            metavar="[SCOPE]",
            show_default="none; all, where no SCOPE is given",
            help="Let batch norms (in SCOPE) normalise by the batch, as in training.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def _architectures(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    from exporter.zoo.registry import ARCHITECTURES

    return [name for name in ARCHITECTURES if name.startswith(incomplete)]


_ARCH = click.option(
    "--arch",
    metavar="NAME",
    show_default="told by the names and shapes of the weights",
    shell_complete=_architectures,
    help="For weights alone: the architecture, or one of your own as file.py:name (runs it).",
)
_CUSTOM = click.option(
    "--custom",
    multiple=True,
    metavar="NAME=LAYER",
    show_default="none",
    help="A class or function of a Keras configuration that isn't Keras's, and the layer or activation that it is at "
    "inference: FixedDropout=Dropout.",
)


@main.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    metavar="OUT.onnx",
    show_default="SOURCE's name with .onnx, in this directory",
    help="Where to write; the bundle goes beside it.",
)
@click.option("--force", is_flag=True, show_default="off", help="Overwrite files that no export has written, too.")
@click.option(
    "--to",
    multiple=True,
    type=click.Choice(["onnx", "npz", "numpy", "pyz", "c"]),
    show_default="onnx and npz",
    help="Write that, too: NumPy to read (OUT.py), one file to run (OUT.pyz), C (OUT_c). onnx, npz: one of them alone.",
)
@click.option("--embed", is_flag=True, show_default="off", help="Put the weights into the NumPy program.")
@_graph_options
@_CUSTOM
@click.option("--opset", type=int, default=None, show_default=f"{_DEFAULT_OPSET} or what it needs", help="ONNX opset.")
@click.option(
    "--input-layout",
    type=click.Choice(["nhwc", "nchw"]),
    default="nhwc",
    show_default=True,
    help="How the ONNX file takes images: channels last or first.",
)
@_ARCH
@click.option(
    "--include-preprocessing",
    is_flag=True,
    show_default="off",
    help="Put the architecture's preprocessing into the graph.",
)
@click.option(
    "--dtype",
    type=click.Choice(["stored", "float32"]),
    default="stored",
    show_default=True,
    help="Keep float16 as it is stored, or widen it.",
)
@click.option(
    "--weights",
    type=click.Choice(["stored", "float16"]),
    default="stored",
    show_default=True,
    help="Keep weights as they are, or store them in half the bytes, rounded (bundle and programs).",
)
@click.option("--no-fold", is_flag=True, show_default="off", help="Leave batch norms and constants as they are.")
@click.option("--no-check", is_flag=True, show_default="off", help="Don't run the result beside the unfolded model.")
@report_option
@click.option("--json", "as_json", is_flag=True, show_default="off", help="Print the report as JSON.")
@_talk
@click.pass_context
def export(
    context: click.Context,
    source: Path,
    out: Path | None,
    force: bool,
    to: tuple[str, ...],
    embed: bool,
    graph: Path | None,
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
    values: tuple[str, ...],
    signature: str | None,
    ema: bool,
    keep: tuple[str, ...],
    custom: tuple[str, ...],
    opset: int | None,
    input_layout: Literal["nhwc", "nchw"],
    arch: str | None,
    include_preprocessing: bool,
    dtype: Literal["stored", "float32"],
    weights: Literal["stored", "float16"],
    no_fold: bool,
    no_check: bool,
    as_json: bool,
) -> None:
    """Write SOURCE as OUT.onnx and OUT.npz.

    SOURCE is a checkpoint's prefix, any one of its files, a directory with a checkpoint, or a graph file.
    """
    import gc

    from exporter import api

    check_report(context, source, graph)
    gc.disable()  # the process is short, and collecting in it costs a tenth of its time and frees next to nothing
    report = api.export(
        source,
        out,
        graph=graph,
        inputs=dict(_input(text) for text in inputs),
        outputs=outputs,
        values=dict(_value(text) for text in values),
        signature=signature,
        ema=ema,
        keep_batch_statistics=keep,
        input_layout=input_layout,
        fold=not no_fold,
        check=not no_check,
        arch=arch,
        include_preprocessing=include_preprocessing,
        dtype=dtype,
        weights=weights,
        to=to,
        embed=embed,
        force=force,
        custom=dict(_layer(text) for text in custom),
        **({} if opset is None else {"opset": opset}),
    )
    write_asked_report(context, report)
    with telling():
        _tell(context, report, as_json=as_json)


def _tell(context: click.Context, report: Report, *, as_json: bool) -> None:
    """Prints the report of an export."""
    if as_json:
        _print_json(report.to_json())
        return
    from exporter.command_line.render import report_lines

    _show(report_lines(report, _width(), detail=context.meta.get(_DETAIL, 0)))


def _input(text: str) -> tuple[str, tuple[int | None, ...] | None]:
    """`x` or `x=?,224,224,3`."""
    name, equals, shape = text.partition("=")
    if not equals:
        return name, None
    try:
        sizes = [size.strip() for size in shape.strip("[]").split(",") if size.strip()]
        return name, tuple(None if size in ("?", "None", "-1") else int(size) for size in sizes)
    except ValueError:
        raise UsageError(f"--input {text}: that is no shape", hint="Write --input x=?,224,224,3") from None


def _value(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"--set {text}: there is no value", hint="Write --set NAME=VALUE")
    return name, value


def _layer(text: str) -> tuple[str, str]:
    """`FixedDropout=Dropout`."""
    name, equals, layer = text.partition("=")
    if not equals or not layer:
        raise UsageError(f"--custom {text}: there is no layer", hint="Write --custom NAME=LAYER, as Mine=Dropout")
    return name, layer


def _print_json(document: Any) -> None:
    is_unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    click.echo(json.dumps(document, indent=2, ensure_ascii=not is_unicode))


@main.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.option(
    "--graph",
    type=click.Path(path_type=Path),
    show_default="the file's own, or the .meta beside it",
    help="The graph, or the configuration of a Keras model.",
)
@click.option(
    "--output", "outputs", multiple=True, metavar="NAME", show_default="what is found", help="An output to look at."
)
@_ARCH
@_CUSTOM
@click.option("--json", "as_json", is_flag=True, show_default="off", help="Print what was found as JSON.")
@_talk
@click.pass_context
def inspect(
    context: click.Context,
    source: Path,
    graph: Path | None,
    outputs: tuple[str, ...],
    arch: str | None,
    custom: tuple[str, ...],
    as_json: bool,
) -> None:
    """Show what is in SOURCE: tensors, batch norms, inputs and outputs, and what an export lacks."""
    from exporter import api

    layers = dict(_layer(text) for text in custom)
    found = api.inspect(source, graph=graph, outputs=outputs, arch=arch, custom=layers)
    if as_json:
        _print_json(found.to_json())
        return
    from exporter.command_line.render import inspection_lines

    _show(inspection_lines(found, _width(), detail=context.meta.get(_DETAIL, 0)))


@main.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--against",
    type=click.Path(path_type=Path),
    metavar="SOURCE",
    show_default="none: the example in the bundle",
    help="What it was exported from.",
)
@click.option(
    "--graph",
    type=click.Path(path_type=Path),
    show_default="the file's own, or the .meta beside it",
    help="The source's graph.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="X.npz|X.npy|FOLDER",
    show_default="random inputs that exercise the model",
    help="Inputs, and perhaps recorded outputs; or a folder of images.",
)
@click.option(
    "--reference",
    type=click.Choice(["tensorflow"]),
    show_default="none",
    help="Let TensorFlow run SOURCE and be the truth.",
)
@_ARCH
@click.option(
    "--sites",
    is_flag=True,
    show_default="off",
    help="Check each batch norm's result by itself, too (with --against).",
)
@click.option("--board", metavar="NAME", show_default="none", help="Run OUT_c on it, emulated: M3, M4F, M7, M33, M55.")
@click.option("--budget", type=float, metavar="SECONDS", show_default="none", help="After that, leave out the rest.")
@report_option
@click.option("--json", "as_json", is_flag=True, show_default="off", help="Print the verdict as JSON.")
@_talk
@click.pass_context
def verify(
    context: click.Context,
    model: Path,
    against: Path | None,
    graph: Path | None,
    data: Path | None,
    reference: Literal["tensorflow"] | None,
    arch: str | None,
    sites: bool,
    board: str | None,
    budget: float | None,
    as_json: bool,
) -> None:
    """Check MODEL (.onnx, .npz or both): onnxruntime and the NumPy runtime against the truth.

    Or a program of an export, which is run: OUT.py, OUT.pyz, or the folder OUT_c, compiled with and without sanitizers.

    The truth is what --data records, else the unfolded model of --against in float64, else the example in the bundle.
    Exit status 1 if an output differs by more than float32 noise.
    """
    check_report(context, model, against, graph, data)
    from exporter.command_line.progress import shown_progress
    from exporter.verify.model_files import verify_model

    given = {"against": against, "graph": graph, "data": data}
    with shown_progress(wanted=context.meta.get(_DETAIL, 0) >= 0):
        verdict = verify_model(model, **given, arch=arch, reference=reference, sites=sites, budget=budget, board=board)
    write_asked_report(context, verdict)
    if as_json:
        _print_json(verdict.to_json())
    else:
        _show(verdict.lines() if context.meta.get(_DETAIL, 0) >= 0 else verdict.problems)
    context.exit(0 if verdict.ok else ParityError.exit_code)


@main.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("inputs", type=click.Path(path_type=Path), metavar="INPUTS.npz")
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), required=True, metavar="OUTPUTS.npz", help="Where to write."
)
@_talk
@click.pass_context
def run(context: click.Context, model: Path, inputs: Path, out: Path) -> None:
    """Run MODEL, a bundle (.npz) or an ONNX file, on INPUTS.npz."""
    from exporter.run_files import run_file

    shapes = run_file(model, inputs, out)
    if context.meta.get(_DETAIL, 0) >= 0:
        _show(f"{name} {list(shape)}" for name, shape in shapes.items())


def _width() -> int | None:
    """Of the terminal, or what COLUMNS says; None in a file or a pipe, where lines may be of any length."""
    told = os.environ.get("COLUMNS", "")
    if told.isdigit() and int(told):
        return int(told)
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _show(lines: Iterable[str]) -> None:
    """Lines on standard output, warnings in yellow where there are colours."""
    for line in lines:
        click.echo(click.style(line, fg="yellow") if line.startswith("warning: ") else line)


@main.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what makes SHELL complete commands, options and names: eval "$(ckpt2onnx completion bash)"."""
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(main, {}, "ckpt2onnx", "_CKPT2ONNX_COMPLETE").source())
