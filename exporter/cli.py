"""The command line. Exit status: 0 done, 1 parity failed, 2 usage, 3 input, 4 unsupported, 70 a bug, 130 stopped."""

from __future__ import annotations

import errno
import json
import os
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import click

from exporter._version import __version__
from exporter.errors import ExportError, ParityError, UsageError
from exporter.streams import lenient_streams, telling

__all__ = ["main"]

_BUG, _INTERRUPTED = 70, 130
_LONGEST = 2000
"""Characters of a message."""


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
        except OSError as error:
            _fail(ctx, _describe(error), 3)
        except (click.exceptions.Exit, click.ClickException, click.Abort):
            raise
        except Exception as error:  # noqa: BLE001 - the last line of defence: what reaches it is a bug
            text = f"this is a bug of ckpt2onnx: {type(error).__name__}: {error}. Run with --debug for the traceback"
            _fail(ctx, text, _BUG)


def _describe(error: OSError) -> str:
    place = f"file {error.filename}: " if error.filename else ""
    return f"{place}{error.strerror or error}"


def _fail(ctx: click.Context, text: str, status: int) -> None:
    if ctx.params.get("debug"):
        traceback.print_exc()
    shown = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 4]} ..."
    with suppress(OSError):
        click.echo(f"ckpt2onnx: {shown}", err=True)
    ctx.exit(status)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ckpt2onnx")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug: bool) -> None:
    """From any TensorFlow or Keras checkpoint to folded ONNX and a NumPy bundle."""


def _graph_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What every command takes that reads a source."""
    options = [
        click.option("--graph", type=click.Path(path_type=Path), help="The graph, if it is not beside the checkpoint."),
        click.option(
            "--input", "inputs", multiple=True, metavar="NAME[=SHAPE]", help="An input, as x or x=?,224,224,3."
        ),
        click.option("--output", "outputs", multiple=True, metavar="NAME", help="An output, as logits or logits:0."),
        click.option("--set", "values", multiple=True, metavar="NAME=VALUE", help="Fix a flag, a tensor or an option."),
        click.option("--signature", metavar="NAME", help="The signature to export, where there are several."),
        click.option("--ema", is_flag=True, help="Take the averaged weights (ExponentialMovingAverage)."),
        click.option(
            "--keep-batch-statistics",
            "keep",
            multiple=True,
            is_flag=False,
            flag_value="",
            metavar="[SCOPE]",
            help="Let batch norms (in SCOPE) normalise by the batch, as in training.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


_ARCH = click.option(
    "--arch", metavar="NAME", help="For weights alone: the architecture, or one of your own as file.py:name (runs it)."
)


@main.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), metavar="OUT.onnx", help="Where to write.")
@click.option(
    "--to",
    multiple=True,
    type=click.Choice(["onnx", "npz", "numpy", "pyz"]),
    help="Write that, too: a NumPy program (OUT.py), or all in one file (OUT.pyz). onnx, npz: one of the two alone.",
)
@click.option("--embed", is_flag=True, help="Put the weights into the NumPy program.")
@_graph_options
@click.option("--opset", type=int, default=None, help="ONNX opset, 13 to the newest.")
@click.option(
    "--input-layout",
    type=click.Choice(["nhwc", "nchw"]),
    default="nhwc",
    show_default=True,
    help="How the ONNX file takes images: channels last or first.",
)
@_ARCH
@click.option("--include-preprocessing", is_flag=True, help="Put the architecture's preprocessing into the graph.")
@click.option(
    "--dtype",
    type=click.Choice(["stored", "float32"]),
    default="stored",
    show_default=True,
    help="Keep float16 as it is stored, or widen it.",
)
@click.option("--no-fold", is_flag=True, help="Leave batch norms and constants as they are.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def export(
    source: Path,
    out: Path | None,
    to: tuple[str, ...],
    embed: bool,
    graph: Path | None,
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
    values: tuple[str, ...],
    signature: str | None,
    ema: bool,
    keep: tuple[str, ...],
    opset: int | None,
    input_layout: Literal["nhwc", "nchw"],
    arch: str | None,
    include_preprocessing: bool,
    dtype: Literal["stored", "float32"],
    no_fold: bool,
    as_json: bool,
) -> None:
    """Write SOURCE as OUT.onnx and OUT.npz.

    SOURCE is a checkpoint's prefix, any one of its files, a directory with a checkpoint, or a graph file.
    """
    import gc

    from exporter import api

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
        arch=arch,
        include_preprocessing=include_preprocessing,
        dtype=dtype,
        to=to,
        embed=embed,
        **({} if opset is None else {"opset": opset}),
    )
    with telling():
        if as_json:
            _print_json(report.to_json())
            return
        from exporter.render import render_report

        render_report(report, _console())


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


def _print_json(document: Any) -> None:
    is_unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    click.echo(json.dumps(document, indent=2, ensure_ascii=not is_unicode))


@main.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--graph", type=click.Path(path_type=Path), help="The graph, if it is not beside the checkpoint.")
@click.option("--output", "outputs", multiple=True, metavar="NAME", help="An output to look at.")
@_ARCH
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
def inspect(source: Path, graph: Path | None, outputs: tuple[str, ...], arch: str | None, as_json: bool) -> None:
    """Show what is in SOURCE: tensors, batch norms, inputs and outputs, and what an export lacks."""
    from exporter import api

    found = api.inspect(source, graph=graph, outputs=outputs, arch=arch)
    if as_json:
        _print_json(found.to_json())
        return
    from exporter.render import render_inspection

    render_inspection(found, _console())


@main.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--against", type=click.Path(path_type=Path), metavar="SOURCE", help="What it was exported from.")
@click.option("--graph", type=click.Path(path_type=Path), help="The source's graph, if it is not beside it.")
@click.option("--data", type=click.Path(path_type=Path), metavar="X.npz", help="Inputs, and perhaps recorded outputs.")
@click.option("--reference", type=click.Choice(["tensorflow"]), help="Let TensorFlow run SOURCE and be the truth.")
@_ARCH
@click.option("--sites", is_flag=True, help="Check each batch norm's result by itself, too (with --against).")
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON.")
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
    as_json: bool,
) -> None:
    """Check MODEL (.onnx, .npz or both): onnxruntime and the NumPy runtime against the truth.

    The truth is what --data records, else the unfolded model of --against in float64, else the example in the bundle.
    Exit status 1 if an output differs by more than float32 noise.
    """
    from exporter.parity import verify_model

    verdict = verify_model(model, against=against, graph=graph, data=data, reference=reference, arch=arch, sites=sites)
    if as_json:
        _print_json(verdict.to_json())
    else:
        click.echo("\n".join(verdict.lines()))
    context.exit(0 if verdict.ok else ParityError.exit_code)


@main.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("inputs", type=click.Path(path_type=Path), metavar="INPUTS.npz")
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), required=True, metavar="OUTPUTS.npz", help="Where to write."
)
def run(model: Path, inputs: Path, out: Path) -> None:
    """Run MODEL, a bundle (.npz) or an ONNX file, on INPUTS.npz."""
    from exporter.running import run_file

    for name, shape in run_file(model, inputs, out).items():
        click.echo(f"{name} {list(shape)}")


def _console() -> Any:
    from rich.console import Console

    class Ours(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))

    return Ours(width=None if sys.stdout.isatty() else 160)
