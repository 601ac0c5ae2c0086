"""The files of a C program: what each holds, by name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from exporter._version import __version__
from exporter.targets.c_program import templates
from exporter.targets.c_program.elements import ELEMENTS, FLOAT, Element
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
        UnsupportedError: There are ops without a kernel, or element types that aren't numbers; it names all.
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
    floats = [name for name in fixed.outputs if outputs[name].dtype.kind == "f"]
    limits = dict.fromkeys(fixed.outputs, 0.0)
    limits |= {name: _NOISE * _largest(outputs[name]) for name in floats}
    if probes:
        whole = all(array.shape == inputs[name].shape for name, array in probes[0].inputs.items())
        recorded = {name: array[: outputs[name].shape[0]] for name, array in probes[0].outputs.items() if array.ndim}
        alike = {
            name: array
            for name, array in recorded.items()
            if array.shape == outputs[name].shape and (whole or _is_near(array, outputs[name]))
        }
        outputs = {**outputs, **alike}
        limits |= {name: probes[0].tolerances[name] for name in alike if name in floats}
    arrays = [*(inputs[name] for name in fixed.inputs), *(outputs[name] for name in fixed.outputs)]
    content = bytearray(b"ckpt2onnx C example".ljust(HEADER, b"\0"))
    for array in arrays:
        content += b"\0" * (-len(content) % array.itemsize)
        content += np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
    return bytes(content), limits


def _is_near(recorded: _Array, computed: _Array) -> bool:
    """Whether one example of a batch is computed by itself as among the others: batch statistics aren't."""
    if computed.dtype.kind != "f":
        return np.array_equal(recorded, computed)
    return np.allclose(computed, recorded, rtol=0, atol=_NOISE * _largest(recorded), equal_nan=True)


def _largest(array: _Array) -> float:
    return float(np.max(np.abs(array), initial=0.0, where=np.isfinite(array)))


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

    def _values(self) -> list[_Value]:
        """All inputs and outputs."""
        return [
            _Value(f"{kind}{i}", name, self._fixed.shapes[name], ELEMENTS[self._fixed.types[name]])
            for kind, names in (("in", self._fixed.inputs), ("out", self._fixed.outputs))
            for i, name in enumerate(names)
        ]

    def _parameters(self) -> str:
        values = [f"{'const ' if v.is_input else ''}{v.element.c} *{v.key}" for v in self._values()]
        return ", ".join([f"const {self._prefix}_weights *weights", *values, "void *arena"])

    def header(self) -> str:
        """The header: sizes, and what may be called."""
        values = "\n".join(f" *   {v.key}: {v.told}" for v in self._values())
        sizes = "\n".join(
            f"#define @U@_{v.key.upper()}_{'FLOATS' if v.element is FLOAT else 'COUNT'} {v.count}"
            for v in self._values()
        )
        aligned = "a float" if self._is_narrow() else "an int64_t"
        layers = "\n".join(f" *   {f.name}: {f.macs}, {f.floats * 4}" for f in self._made.functions)
        return self.filled(
            f"""\
/* Written by ckpt2onnx {__version__}. Inputs and outputs, row by row, channels last, float32 where no type is told:
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

/* Working memory, aligned like {aligned}; nothing in it is kept from call to call. */
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

/* 0; 1 if a number that chooses elements of a tensor is outside it: then the outputs are good for nothing. */
int @P@_run({self._parameters()});

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

    def _is_narrow(self) -> bool:
        """Whether no element takes more room than a float."""
        return all(element.size <= FLOAT.size for element in self._made.elements)

    def source(self) -> str:
        """The program."""
        functions = self._made.functions
        calls = "\n".join("\n".join([f"    {f.call}", *self._traced(f)]) for f in functions if f.call)
        uses_arena = any("a + " in f.call for f in functions)
        uses_weights = any("(w" in f.call for f in functions)
        checked = any(f.call.startswith("bad |=") for f in functions)
        head = [
            *(["    const float *const w = weights->data;"] if uses_weights else ["    (void)weights;"]),
            *(["    float *const a = (float *)arena;"] if uses_arena else ["    (void)arena;"]),
            *(["    int bad = 0;"] if checked else []),
        ]
        texts = "\n\n".join(f.text for f in functions).replace("@FRAME@", self._prefix)
        order = [self.filled(templates.ANY_ORDER)] if "@ANY_ORDER@" in texts else []
        texts = texts.replace("@ANY_ORDER@", f"{self._prefix.upper()}_ANY_ORDER")
        order += [self.filled(templates.EXP)] if f"{self._prefix}_exp(" in texts else []
        frame = [self.filled(templates.FRAME)] if "_frame(" in texts else []
        end = f"    return {'bad' if checked else '0'};"
        run = "\n".join([f"int {self._prefix}_run({self._parameters()})", "{", *head, calls, end, "}"])
        parts = [self.filled(templates.BASICS), *self._types(), *order, *frame, self._made.kernels, texts, ""]
        return "\n".join([*parts, self.filled(templates.LAYER), run, ""])

    def _types(self) -> list[str]:
        """Names of the element types, under which the same memory holds one after the other."""
        if not self._made.elements:
            return []
        names = [f"typedef {element.c} @P@_{element.name} @U@_ALIAS;" for element in self._made.elements]
        return [self.filled("\n".join([templates.ALIAS, *names, ""]))]

    def _traced(self, function: Function) -> list[str]:
        """What shows the result of a layer where that is asked for: its name, address, rank, sizes and strides."""
        macro, lines = f"{self._prefix.upper()}_LAYER", []
        for name, tensor in function.made.items():
            if tensor.element is FLOAT:
                numbers = ", ".join(map(str, (len(tensor.shape), *tensor.shape, *tensor.strides)))
                lines.append(f'    {macro}("{escape(name)}", {tensor.pointer(self._prefix)}, {numbers})')
        return lines

    def _call(self) -> str:
        return f"{self._prefix}_run(&weights, {', '.join(v.key for v in self._values())}, ARENA);"

    def test(self) -> str:
        """The test."""
        values, at = self._values(), 0
        places: dict[str, str] = {}
        for v in values:
            at += -at % v.element.size
            places[v.key] = f"(const {v.element.c} *)(const void *)(example{f' + {at}' if at else ''})"
            at += v.count * v.element.size
        made = [v for v in values if not v.is_input]
        buffers = "\n".join(f"static {v.element.c} {v.key}[{max(v.count, 1)}];" for v in made)
        given = [places[v.key] if v.is_input else v.key for v in values]
        call = f"{self._prefix}_run(&weights, {', '.join(given)}, memory.arena.bytes)"
        comparisons = "\n".join(
            f'        good &= {"compare" if v.element.is_float else "equal"}_{v.element.c}("{_safe(v.name)}", {v.key},'
            f" {places[v.key]}, {v.count}{self._limit(v)});"
            for v in made
        )
        kinds = dict.fromkeys(v.element for v in made)
        functions = [
            (templates.COMPARE if element.is_float else templates.EQUAL).replace("@T@", element.c)
            for element in {element.c: element for element in kinds}.values()
        ]
        return self.filled(
            templates.TEST, FUNCTIONS="\n".join(functions), BUFFERS=buffers, CALL=call, COMPARISONS=comparisons
        )

    def _limit(self, value: _Value) -> str:
        return f", {float(self._limits[value.name])!r}f" if value.element.is_float else ""

    def main(self) -> str:
        """The tool."""
        values = self._values()
        buffers = "\n".join(f"static {v.element.c} {v.key}[{max(v.count, 1)}];" for v in values)
        described = {
            v.key: f'{{"{_safe(v.name)}", "{v.shape}", "{v.descr}", {v.count}, {v.element.size}, {v.key}}}'
            for v in values
        }
        return self.filled(
            templates.MAIN,
            BUFFERS=buffers,
            INPUTS=", ".join(text for key, text in described.items() if key.startswith("in")),
            OUTPUTS=", ".join(text for key, text in described.items() if key.startswith("out")),
            CALL=self._call().replace("ARENA", "memory.floats").rstrip(";"),
        )

    def readme(self) -> str:
        """The page about it."""
        values = self._values()
        return self.filled(
            templates.README,
            PRODUCER=f"ckpt2onnx {__version__}",
            VALUES="\n".join(f"| `{v.key}` | {v.told} |" for v in values),
            ARENA=str(self._made.arena * 4),
            LIVE=str(self._made.live * 4),
            WEIGHTS=str(self._bytes),
            STORED="float16 and float32" if self._fixed.halves else "float32",
            MACS=str(sum(f.macs for f in self._made.functions)),
            EXAMPLE=self._call().replace("ARENA", "arena"),
            TOOL=" ".join(
                [
                    *(f"{v.key}.npy" for v in values if v.is_input),
                    "-o",
                    *(f"{v.key}.npy" for v in values if not v.is_input),
                ]
            ),
            LAYERS="\n".join(f"| {f.name} | {f.macs} | {f.floats * 4} |" for f in self._made.functions),
        )


@dataclass(frozen=True)
class _Value:
    """An input or output: what the parameter is called, its name in the model, its shape and element type."""

    key: str
    name: str
    shape: tuple[int, ...]
    element: Element

    @property
    def is_input(self) -> bool:
        """Whether it is given, not made."""
        return self.key.startswith("in")

    @property
    def count(self) -> int:
        """How many numbers it has."""
        return prod(self.shape)

    @property
    def told(self) -> str:
        """Name, shape, and type where that isn't float32."""
        return f"{_safe(self.name)} {list(self.shape)}" + ("" if self.element is FLOAT else f", {self.element.name}")

    @property
    def descr(self) -> str:
        """What .npy files call the type."""
        return np.dtype(self.element.name).newbyteorder("<").str


def _safe(name: str) -> str:
    """A name without what would end a comment, string or table cell."""
    return re.sub(r"[^0-9A-Za-z_./:-]", "_", name).replace("*/", "_")
