"""The files of a C program: what each holds, by name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from exporter._version import __version__
from exporter.targets.c_program import templates
from exporter.targets.c_program.program import Function, Program, program
from exporter.targets.c_program.specialise import Fixed, example_feeds, specialise
from exporter.targets.c_program.weights import HEADER
from exporter.targets.npz_bundle import ModelPlan
from runtime import Probe
from runtime.npy import escape

__all__ = ["c_files", "file_names", "prefix_of"]

_Array = npt.NDArray[Any]
_NOISE = 2048 * 2.0**-23


def prefix_of(name: str) -> str:
    """What all names of a program begin with: the name of the export, as an identifier."""
    text = re.sub(r"[^0-9a-z]+", "_", name.lower()).strip("_") or "net"
    return f"net_{text}" if text[0].isdigit() else text


def file_names(prefix: str) -> list[str]:
    """The names of the files."""
    own = ["{}.h", "{}.c", "{}.bin", "{}_example.bin", "{}_weights.S", "{}_test.c", "{}_main.c"]
    return [*(name.format(prefix) for name in own), "Makefile", "CMakeLists.txt", "README.md"]


def c_files(plan: ModelPlan, prefix: str, probes: Sequence[Probe] = ()) -> dict[str, bytes]:
    """The contents of all files; the same model gives the same bytes.

    Args:
        plan: The model, which is run once, on the first probe or on random inputs, to know all sizes.
        prefix: What all names begin with.
        probes: Runs that it must reproduce.

    Raises:
        UsageError: A size is open.
        UnsupportedError: There are ops without a kernel, or other element types than float32; it names all.
    """
    feeds = _single(plan, probes[0].inputs) if probes else example_feeds(plan)
    fixed = specialise(plan, feeds)
    made = program(fixed, prefix)
    body, checksum = made.weights.content()
    example, limits = _example(fixed, probes)
    words = _Words(fixed, made, prefix, checksum, len(body), limits)
    texts = {
        f"{prefix}.h": words.header(),
        f"{prefix}.c": words.source(),
        f"{prefix}_weights.S": words.filled(templates.WEIGHTS_S),
        f"{prefix}_test.c": words.test(),
        f"{prefix}_main.c": words.main(),
        "Makefile": words.filled(templates.MAKEFILE),
        "CMakeLists.txt": words.filled(templates.CMAKE),
        "README.md": words.readme(),
    }
    found = {name: text.encode() for name, text in texts.items()}
    found |= {f"{prefix}.bin": body, f"{prefix}_example.bin": example}
    return {name: found[name] for name in file_names(prefix)}


def _single(plan: ModelPlan, inputs: Mapping[str, _Array]) -> dict[str, _Array]:
    """The first of a batch, where the size of the batch is open."""
    is_open = {v["name"]: bool(v["shape"]) and not isinstance(v["shape"][0], int) for v in plan.inputs}
    return {name: inputs[name][:1] if is_open[name] else inputs[name] for name in is_open}


def _example(fixed: Fixed, probes: Sequence[Probe]) -> tuple[bytes, dict[str, float]]:
    """A header, inputs and outputs one after another, and how far each output may be off."""
    inputs, outputs = fixed.example
    limits = {name: _NOISE * float(np.max(np.abs(outputs[name]), initial=0)) for name in fixed.outputs}
    if probes:
        recorded = {name: array[: outputs[name].shape[0]] for name, array in probes[0].outputs.items() if array.ndim}
        alike = {name: array for name, array in recorded.items() if array.shape == outputs[name].shape}
        outputs = {**outputs, **alike}
        limits |= {name: probes[0].tolerances[name] for name in alike}
    arrays = [*(inputs[name] for name in fixed.inputs), *(outputs[name] for name in fixed.outputs)]
    head = b"ckpt2onnx C example".ljust(HEADER, b"\0")
    return b"".join([head, *(np.ascontiguousarray(array, "<f4").tobytes() for array in arrays)]), limits


class _Words:
    """Fills the templates."""

    def __init__(
        self, fixed: Fixed, made: Program, prefix: str, checksum: int, bytes_: int, limits: Mapping[str, float]
    ) -> None:
        self._fixed, self._made, self._prefix, self._limits = fixed, made, prefix, limits
        self._checksum, self._bytes = checksum, bytes_

    def filled(self, text: str, **more: str) -> str:
        """A template with the prefix, and more, in its places."""
        for key, value in {"P": self._prefix, "U": self._prefix.upper(), **more}.items():
            text = text.replace(f"@{key}@", value)
        return text

    def _values(self) -> list[tuple[str, str, int]]:
        """(parameter, name, count) of all inputs and outputs."""
        return [
            (f"{kind}{i}", name, prod(self._fixed.shapes[name]))
            for kind, names in (("in", self._fixed.inputs), ("out", self._fixed.outputs))
            for i, name in enumerate(names)
        ]

    def _parameters(self) -> str:
        values = [f"{'const ' if key.startswith('in') else ''}float *{key}" for key, _, _ in self._values()]
        return ", ".join([f"const {self._prefix}_weights *weights", *values, "void *arena"])

    def header(self) -> str:
        """The header: sizes, and what may be called."""
        values = "\n".join(
            f" *   {key}: {_safe(name)} {list(self._fixed.shapes[name])}" for key, name, _ in self._values()
        )
        sizes = "\n".join(f"#define @U@_{key.upper()}_FLOATS {count}" for key, _, count in self._values())
        layers = "\n".join(f" *   {f.name}: {f.macs}, {f.floats * 4}" for f in self._made.functions)
        return self.filled(
            f"""\
/* Written by ckpt2onnx {__version__}. Inputs and outputs, float32, row by row, channels last:
{values}
 * Multiply-adds and bytes of weights of each layer:
{layers}
 */
#ifndef @U@_H
#define @U@_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {{
#endif

/* Working memory, aligned like a float; nothing in it is kept from call to call. */
#define @U@_ARENA_BYTES {self._made.arena * 4}u
#define @U@_WEIGHTS_BYTES {self._bytes}u
#define @U@_CHECKSUM {self._checksum:#010x}u
#define @U@_MACS {sum(f.macs for f in self._made.functions)}ull
{sizes}

typedef struct @P@_weights {{
    const float *data;
}} @P@_weights;

/* Takes the contents of @P@.bin, which stay where they are: 0, 1 for other contents, 2 for those of another export. */
int @P@_load(@P@_weights *weights, const void *content, size_t bytes);

/* The CRC-32 of bytes: of all after the first 64 of @P@.bin it is @U@_CHECKSUM. */
uint32_t @P@_crc32(const void *bytes, size_t count);

void @P@_run({self._parameters()});

#ifdef @U@_TRACE
/* Yours to write, with -D@U@_TRACE: is given the result of each layer as soon as it is there. `name` has a % and two
 * hexadecimal digits for each byte that isn't plain; element [i, j, ...] is y[i * strides[0] + j * strides[1] ...]. */
void @P@_trace(const char *name, const float *y, int rank, const int *sizes, const int *strides);
#endif

#ifdef __cplusplus
}}
#endif

#endif
"""
        )

    def source(self) -> str:
        """The program."""
        functions = self._made.functions
        calls = "\n".join(f"    {f.call}\n    {self._traced(f)}" for f in functions)
        uses_arena = any("a + " in f.call for f in functions)
        uses_weights = any("(w" in f.call for f in functions)
        head = [
            *(["    const float *const w = weights->data;"] if uses_weights else ["    (void)weights;"]),
            *(["    float *const a = (float *)arena;"] if uses_arena else ["    (void)arena;"]),
        ]
        texts = "\n\n".join(f.text for f in functions).replace("@FRAME@", self._prefix)
        frame = [self.filled(templates.FRAME)] if "_frame(" in texts else []
        run = "\n".join([f"void {self._prefix}_run({self._parameters()})", "{", *head, calls, "}"])
        parts = [self.filled(templates.BASICS), *frame, self._made.kernels, texts, ""]
        return "\n".join([*parts, self.filled(templates.LAYER), run, ""])

    def _traced(self, function: Function) -> str:
        """What shows the result of a layer where that is asked for: its name, address, rank, sizes and strides."""
        tensor = function.tensor
        numbers = ", ".join(map(str, (len(tensor.shape), *tensor.shape, *tensor.strides)))
        macro = f"{self._prefix.upper()}_LAYER"
        return f'{macro}("{escape(function.made)}", {tensor.pointer}, {numbers})'

    def _call(self) -> str:
        return f"{self._prefix}_run(&weights, {', '.join(key for key, _, _ in self._values())}, ARENA);"

    def test(self) -> str:
        """The test."""
        values, at = self._values(), 0
        places: dict[str, int] = {}
        for key, _, count in values:
            places[key] = at
            at += count
        buffers = "\n".join(f"static float {key}[{count}];" for key, _, count in values if key.startswith("out"))
        given = [f"example + {places[key]}" if key.startswith("in") else key for key, _, _ in values]
        call = f"{self._prefix}_run(&weights, {', '.join(given)}, memory.arena.bytes);"
        comparisons = "\n".join(
            f'        good &= compare("{_safe(name)}", {key}, example + {places[key]}, {count},'
            f" {float(self._limits[name])!r}f);"
            for key, name, count in values
            if key.startswith("out")
        )
        return self.filled(templates.TEST, BUFFERS=buffers, CALL=call, COMPARISONS=comparisons)

    def main(self) -> str:
        """The tool."""
        values = self._values()
        buffers = "\n".join(f"static float {key}[{count}];" for key, _, count in values)
        described = {
            key: f'{{"{_safe(name)}", "{tuple(self._fixed.shapes[name])}", {count}, {key}}}'
            for key, name, count in values
        }
        return self.filled(
            templates.MAIN,
            BUFFERS=buffers,
            INPUTS=", ".join(text for key, text in described.items() if key.startswith("in")),
            OUTPUTS=", ".join(text for key, text in described.items() if key.startswith("out")),
            CALL=self._call().replace("ARENA", "arena"),
        )

    def readme(self) -> str:
        """The page about it."""
        values = self._values()
        return self.filled(
            templates.README,
            PRODUCER=f"ckpt2onnx {__version__}",
            VALUES="\n".join(
                f"| `{key}` | {_safe(name)} {list(self._fixed.shapes[name])} |" for key, name, _ in values
            ),
            ARENA=str(self._made.arena * 4),
            LIVE=str(self._made.live * 4),
            WEIGHTS=str(self._bytes),
            STORED="float16 and float32" if self._fixed.halves else "float32",
            MACS=str(sum(f.macs for f in self._made.functions)),
            EXAMPLE=self._call().replace("ARENA", "arena"),
            TOOL=" ".join(
                [
                    *(f"{k}.npy" for k, _, _ in values if k[0] == "i"),
                    "-o",
                    *(f"{k}.npy" for k, _, _ in values if k[0] == "o"),
                ]
            ),
            LAYERS="\n".join(f"| {f.name} | {f.macs} | {f.floats * 4} |" for f in self._made.functions),
        )


def _safe(name: str) -> str:
    """A name without what would end a comment, string or table cell."""
    return re.sub(r"[^0-9A-Za-z_./:-]", "_", name).replace("*/", "_")
