"""The whole file: what it is, the functions it uses, the weights, `run`, and a command line."""

from __future__ import annotations

import base64
import builtins
import io
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

import onnx_ir as ir

from exporter._version import __version__
from exporter.ir.half import HalfTensor
from exporter.targets.npz_bundle import ModelPlan, plan_of, shape_of, write_bundle
from exporter.targets.numpy_program.body import Body, sizes_text
from exporter.targets.numpy_program.command_line import COMMAND_LINE
from exporter.targets.numpy_program.library import Excerpt, excerpt, reserved
from exporter.targets.numpy_program.names import Names
from exporter.targets.numpy_program.operators import Used
from exporter.targets.numpy_program.text import WIDTH, literal
from runtime import Probe
from runtime.npy import escape
from runtime.pair import EXPORT_ID

__all__ = ["program", "write_program"]

_RESERVED = (*dir(builtins), "np", "run", "check", "main", "given", "opened", "stored", "base64", "io", "_")


def write_program(
    model: ir.Model,
    path: str | Path,
    *,
    name: str,
    probes: Sequence[Probe] = (),
    metadata: Mapping[str, Any] | None = None,
    embed: bool = False,
) -> None:
    """Writes a model as a Python file that needs NumPy alone; the same model gives the same bytes.

    Args:
        model: A channels-last model, folded or not.
        path: The file, overwritten if it is there.
        name: The file's name in the end, without `.py`: the weights are in `NAME.npz` beside it.
        probes: Runs that it can be checked with.
        metadata: What is noted in the bundle, where that is embedded.
        embed: Put the bundle into the file itself.

    Raises:
        UnsupportedError: As for `write_bundle`.
        OSError: The file can't be written.
    """
    data = None
    if embed:
        file = io.BytesIO()
        write_bundle(model, file, probes=probes, metadata=metadata)
        data = file.getvalue()
    export = str((metadata or {}).get(EXPORT_ID, ""))
    text = program(plan_of(model), name=name, probes=probes, data=data, export=export)
    Path(path).write_text(text, encoding="utf-8", newline="\n")


def program(
    plan: ModelPlan, *, name: str, probes: Sequence[Probe] = (), data: bytes | None = None, export: str = ""
) -> str:
    """The text of the program.

    Args:
        plan, name, probes: As for `write_program`.
        data: The bundle, if it has to be inside.
        export: The id that a bundle beside it has to have.
    """
    used = Used()
    names = Names({*_RESERVED, *reserved()}, [*plan.arrays, *plan.types])
    inputs = [value["name"] for value in plan.inputs]
    parameters = [names.variable(value) for value in inputs]
    body = Body(plan, names, used)
    lines = list(body.lines(plan.nodes, "    "))
    results = [body.text(value["name"]).code for value in plan.outputs]
    kind = "np.ndarray" if len(results) == 1 else f"tuple[{', '.join(['np.ndarray'] * len(results))}]"
    signature = [f"def run({', '.join(f'{name}: np.ndarray' for name in parameters)}) -> {kind}:"]
    if len(signature[0]) > WIDTH:
        signature = ["def run(", *(f"    {name}: np.ndarray," for name in parameters), f") -> {kind}:"]
    functions = excerpt(used.functions, used.activations)
    return "\n".join(
        [
            *_head(plan, name, data is not None),
            *_imports(functions, embedded=data is not None),
            "",
            *_facts(plan, probes),
            *(["", *([""] if functions.text.startswith("def") else []), functions.text] if functions.text else []),
            "",
            "",
            *_weights(body.weights, plan, data, export),
            "",
            "",
            '@np.errstate(all="ignore")',
            *signature,
            *_wrapped(f'"""{_listed(plan.outputs)} from {_listed(plan.inputs)}."""', "    "),
            *(f"    {parameter} = given({i}, {parameter})" for i, parameter in enumerate(parameters)),
            *lines,
            f"    return {', '.join(f'np.asarray({result})' for result in results)}",
            "",
            "",
            COMMAND_LINE,
        ]
    )


def _head(plan: ModelPlan, name: str, embedded: bool) -> list[str]:
    where = "in this file" if embedded else f"in {name}.npz beside this file"
    return [
        *_wrapped(f'"""{name} in NumPy: {_listed(plan.inputs)} to {_listed(plan.outputs)}.'),
        "",
        *_wrapped(f"Written by ckpt2onnx {__version__}; the weights are {where}. Channels are last."),
        "",
        f"    python {name}.py INPUTS.npz -o OUTPUTS.npz    arrays by name",
        f"    python {name}.py --check                      the examples stored with the weights",
        *([f"    import {name}; {name}.run(x)"] if name.isidentifier() else []),
        '"""',
        "",
        "from __future__ import annotations",
        "",
    ]


def _wrapped(text: str, indent: str = "") -> list[str]:
    """The lines of a paragraph."""
    return wrap(
        text,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _listed(values: Iterable[Mapping[str, Any]]) -> str:
    """`x [N, 28, 28, 1]` of each, without what would end the docstring."""
    text = ", ".join(f"{value['name']} {sizes_text(value['shape'])}".strip() for value in values)
    return text.replace("\\", "/").replace('"', "'")


def _imports(functions: Excerpt, *, embedded: bool) -> list[str]:
    """The standard library's before NumPy's, each module once."""
    by_module: dict[str, set[str]] = defaultdict(set)
    for module, name in functions.imports:
        by_module[module].add(name)
    lines = {module: f"from {module} import {', '.join(sorted(names))}" for module, names in by_module.items()}
    standard = [lines[module] for module in sorted(lines) if not module.startswith("numpy")]
    standard = [*(["import base64", "import io"] if embedded else []), *standard]
    numpy = [lines[module] for module in sorted(lines) if module.startswith("numpy")]
    return [*standard, *([""] if standard else []), "import numpy as np", *numpy]


def _facts(plan: ModelPlan, probes: Sequence[Probe]) -> list[str]:
    lines = ["INPUTS: dict[str, tuple[str, tuple[int | None, ...] | None]] = {"]
    for value in plan.inputs:
        sizes = value["shape"]
        if sizes is not None:
            sizes = tuple(size if isinstance(size, int) else None for size in sizes)
        lines.append(f"    {literal(value['name'])}: ({literal(value['dtype'])}, {literal(sizes)}),")
    lines += [
        "}",
        "OUTPUTS = [",
        *(f"    {literal(value['name'])}," for value in plan.outputs),
        "]",
        "EXAMPLES: list[tuple[dict[str, str], dict[str, tuple[str, float]]]] = [",
        *(line for number, probe in enumerate(probes) for line in _example(number, probe)),
        "]",
    ]
    return lines if probes else [*lines[:-2], lines[-2] + "]"]


def _example(number: int, probe: Probe) -> list[str]:
    """The members that hold an example, and how far each output may be off."""
    folder = f"__probe__/{number}"
    limits = []
    for name in probe.outputs:
        member, limit = literal(escape(f"{folder}/outputs/{name}")), f"{probe.tolerances[name]!r}"
        line = f"            {literal(name)}: ({member}, {limit}),"
        parts = [f"{literal(name)}: (", f"    {member},", f"    {limit},", "),"]
        limits += [line] if len(line) <= WIDTH else [f"            {part}" for part in parts]
    return [
        "    (",
        "        {",
        *(f"            {literal(name)}: {literal(escape(f'{folder}/inputs/{name}'))}," for name in probe.inputs),
        "        },",
        "        {",
        *limits,
        "        },",
        "    ),",
    ]


def _weights(weights: Mapping[str, str], plan: ModelPlan, data: bytes | None, export: str) -> list[str]:
    """`opened` gives the bundle; each weight is read into a variable of its own."""
    source, embedded = '__file__.removesuffix(".py") + ".npz"', []
    if data is not None:
        source, text = "io.BytesIO(base64.b85decode(DATA))", base64.b85encode(data).decode("ascii")
        embedded = ["DATA = (", *(f'    "{text[i : i + 100]}"' for i in range(0, len(text), 100)), ")", ""]
    lines = [
        *embedded,
        *_OPENED.format(source=source, check=_CHECK.format(export) if export and data is None else "").splitlines(),
        "",
        "",
        "with opened() as stored:",
    ]
    for array, variable in weights.items():
        shape = sizes_text(shape_of(plan.arrays[array]))
        widened = ".astype(np.float32)" if isinstance(plan.arrays[array], HalfTensor) else ""
        line = f"    {variable} = stored[{literal(escape(array))}]{widened}"
        if len(line) + len(shape) + 4 <= WIDTH:
            lines += [f"{line}  # {shape}"]
        elif len(line) <= WIDTH:
            lines += [f"    # {shape}", line]
        else:
            lines += [
                f"    # {shape}",
                f"    {variable} = stored[",
                f"        {literal(escape(array))}",
                f"    ]{widened}",
            ]
    return lines if weights else lines[:-3]


_CHECK = """\
        if b"{}" not in arrays["__plan__"].tobytes():
            raise ValueError(f"{{source}} is of another export than this program")
"""
_OPENED = '''\
def opened() -> np.lib.npyio.NpzFile:
    """The arrays of the model."""
    try:
        source = {source}
        arrays: np.lib.npyio.NpzFile = np.load(source, allow_pickle=False)
{check}        return arrays
    except (OSError, ValueError) as error:
        if __name__ != "__main__":
            raise
        print(f"error: the weights can't be read: {{error}}")
        raise SystemExit(3) from None
'''
