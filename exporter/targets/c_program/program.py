"""A model as C: where each value is, one function for each layer, and the call of all."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt

from exporter.errors import UnsupportedError
from exporter.targets.c_program.bands import activation_code, bands_code, bands_of, with_bands
from exporter.targets.c_program.call import Call
from exporter.targets.c_program.elements import ELEMENTS, FLOAT, Element
from exporter.targets.c_program.elementwise import is_elementwise
from exporter.targets.c_program.generic import (
    GENERIC,
    PARTS,
    checks,
    generic_code,
    macs_of,
    needs_constants,
    scratch_of,
)
from exporter.targets.c_program.joins import Joins
from exporter.targets.c_program.layers import VIEWS, Layer, frame_of, is_linear, layers_of, window_of
from exporter.targets.c_program.linear import linear_code
from exporter.targets.c_program.specialise import Fixed, Op
from exporter.targets.c_program.tensors import Buffer, Frame, Tensor, place
from exporter.targets.c_program.weights import PANEL, Weights
from exporter.targets.c_program.winograd import is_winograd, scratch_floats
from exporter.targets.c_program.words import KERNELS, RESERVED
from exporter.targets.numpy_program.names import Names

__all__ = ["Function", "Program", "program"]

_Array = npt.NDArray[Any]
_MOST_PIXELS = 9
_MOST_TOLD = 20


@dataclass(frozen=True)
class Function:
    """A layer: its name in C, what to say of it, its multiply-adds and weights, its text, its call, and what it makes.

    Attributes:
        made: Where each value that it makes is, by name.
    """

    name: str
    about: str
    macs: int
    floats: int
    text: str
    call: str
    made: Mapping[str, Tensor]


@dataclass
class Program:
    """All that the files are made of.

    Attributes:
        functions: In the order in which they run.
        kernels: The shared code that they need.
        arena: Floats of working memory; `live` is the largest set of values that exist at the same time.
        weights: What the functions read.
        elements: The element types of values other than float32.
    """

    functions: list[Function] = field(default_factory=list)
    kernels: str = ""
    arena: int = 0
    live: int = 0
    weights: Weights = field(default_factory=Weights)
    elements: list[Element] = field(default_factory=list)


def program(fixed: Fixed, prefix: str) -> Program:
    """The program of a model at fixed sizes.

    Raises:
        UnsupportedError: There are ops without a kernel; it names all.
    """
    layers = with_bands(fixed, _with_frames(fixed, _with_outputs(fixed, layers_of(fixed))))
    _refuse(fixed, layers)
    plans = [_Homes(fixed, layers, joined=joined) for joined in (True, False)]
    sizes = [place(homes.arena()) for homes in plans]
    best = 0 if sizes[0][0] <= sizes[1][0] else 1  # parts that wait for the others in their place may take more room
    homes, made = plans[best], Program()
    made.arena, made.live = sizes[best]
    found = {fixed.types[name] for name in (*fixed.inputs, *(name for each in layers for name in each.outputs))}
    found |= {fixed.types[name] for each in layers for name in each.inputs}
    made.elements = [element for name, element in ELEMENTS.items() if name in found and element is not FLOAT]
    names = Names(
        RESERVED | KERNELS | {f"half_{name}" for name in KERNELS},
        [_key(part) for layer in layers for part in (*layer.parts, layer)],
    )
    used: set[str] = set()
    problems: list[str] = []
    for number, layer in enumerate(layers):
        if number in homes.views:
            continue
        name = f"{prefix}_{names.variable(_key(layer))}"
        try:
            if layer.parts:
                parts = [f"{prefix}_{names.variable(_key(part))}" for part in layer.parts]
                made.functions += _banded(fixed, homes, made.weights, layer, [*parts, name], used, prefix)
            else:
                made.functions.append(_function(fixed, homes, made.weights, layer, name, used, prefix))
        except NotImplementedError:
            problems.append(_form(fixed, layer))
    _raise_for(problems)
    wanted = [
        *(["vectors"] if used else []),
        *(["convolution"] if used & {"convolution", "half", "winograd"} else []),
        *(["tiles"] if used & {"convolution", "winograd"} else []),
        *(["half", "tiles of half"] if "half" in used else []),
        *(name for name in ("winograd", "depthwise", *sorted(set(PARTS.values()))) if name in used),
    ]
    made.kernels = "\n".join(_kernel(name, prefix) for name in wanted)
    return made


def _key(layer: Layer) -> str:
    """What a layer's function is named after: the copy of a value isn't the layer that makes it, nor is
    what calculates several in bands."""
    if layer.op.op in ("Copy", "Bands"):
        return f"{layer.output}/{layer.op.op.lower()}"
    return layer.output


def _kernel(name: str, prefix: str) -> str:
    """The text of a kernel; tiles are there for weights in float32 and for those in float16."""
    half = name == "tiles of half"
    file = f"kernels/{name.removesuffix(' of half')}.c"
    text = resources.files("exporter.targets.c_program").joinpath(file).read_text("utf-8")
    own = {"K": "half_", "W": f"{prefix}_half", "V": "V##_of", "S": f"{prefix}_widened(", "E": ")"}
    plain = {"K": "", "W": "float", "V": "*(const V *)", "S": "", "E": ""}
    given = {**(own if half else plain), "P": prefix, "U": prefix.upper(), "PANEL": PANEL, "MOST": _MOST_PIXELS}
    given |= {"K": f"{prefix}{'_half' if half else ''}", "L": f"{prefix.upper()}{'_HALF' if half else ''}"}
    for key, value in given.items():
        text = text.replace(f"@{key}@", str(value))
    return text


def _with_outputs(fixed: Fixed, layers: list[Layer]) -> list[Layer]:
    """A copy for each output that no layer makes, or that has zeros around it in the arena."""
    framed = {layer.inputs[0] for layer in layers if frame_of(layer, fixed)}
    made = {name for layer in layers for name in layer.outputs} - framed
    copied = [name for name in fixed.outputs if name not in made]
    copies = [Layer(Op("Copy", name, (name,), (name,), {}), (name,), name, names=(name,)) for name in copied]
    return [*layers, *copies]


def _with_frames(fixed: Fixed, layers: list[Layer]) -> list[Layer]:
    """Inputs of the model that need zeros around are copied first."""
    framed = {layer.inputs[0] for layer in layers if frame_of(layer, fixed)} & set(fixed.inputs)
    copies = []
    for name in sorted(framed):
        new = f"{name}/framed"
        shapes, types = dict(fixed.shapes), dict(fixed.types)
        shapes[new], types[new] = shapes[name], types[name]
        object.__setattr__(fixed, "shapes", shapes)
        object.__setattr__(fixed, "types", types)
        copies.append(Layer(Op("Identity", new, (name,), (new,), {}), (name,), new, names=(new,)))
        layers = [
            replace(each, inputs=(new,), op=each.op._replace(inputs=(new, *each.op.inputs[1:])))
            if frame_of(each, fixed) and each.inputs[0] == name
            else each
            for each in layers
        ]
    return [*copies, *layers]


def _refuse(fixed: Fixed, layers: list[Layer]) -> None:
    problems = {
        layer.op.op
        for layer in layers
        if not is_linear(layer.op, fixed) and layer.op.op not in (*GENERIC, "Bands", "Copy")
    }
    names = {*fixed.inputs, *(name for layer in layers for name in layer.outputs)}
    problems |= {f"element type {fixed.types[name]}" for name in names if fixed.types[name] not in ELEMENTS}
    asks = {_form(fixed, layer) for layer in layers if needs_constants(layer.op, fixed)}
    _raise_for([*sorted(problems), *sorted(asks)])


def _form(fixed: Fixed, layer: Layer) -> str:
    """An op that has a kernel, but not for these attributes, types, or inputs that aren't constant."""
    types = sorted({fixed.types[name] for name in layer.inputs})
    return f"{layer.op.op} in this form (node {layer.op.name}, of {', '.join(types)})"


def _raise_for(problems: list[str]) -> None:
    if problems:
        told = ", ".join(problems[:_MOST_TOLD]) + (", ..." if len(problems) > _MOST_TOLD else "")
        raise UnsupportedError(f"a C program can't hold this model: {told}", hint="Use --to numpy or --to pyz")


class _Homes:
    """Where every value is.

    Attributes:
        tensors: By value; an output that is a copy is under its name with a `>`.
        views: The numbers of the layers that do nothing.
        scratch: Working memory of the layers that make these values.
    """

    def __init__(self, fixed: Fixed, layers: list[Layer], *, joined: bool) -> None:
        self._fixed = fixed
        self._last: dict[str, int] = {}
        self._values: dict[int, list[str]] = {}
        self._buffers: list[Buffer] = []
        self.views: set[int] = set()
        self.tensors: dict[str, Tensor] = {}
        self.scratch: dict[str, Buffer] = {}
        self._frames: dict[str, Frame] = {}
        self._joined = Joins(fixed, layers if joined else [], self._frames)
        self._copied = {layer.output for layer in layers if layer.op.op == "Copy"}
        for number, layer in enumerate(layers):
            for name in (*layer.inputs, *([layer.residual] if layer.residual else [])):
                self._last[name] = number
            if frame := frame_of(layer, fixed):
                self._frames[layer.inputs[0]] = self._frames.get(layer.inputs[0], Frame()) | frame
        for i, name in enumerate(fixed.inputs):
            self._keep(name, Tensor.new(fixed.shapes[name], Frame(), f"in{i}", self._element(name)), -1)
        for number, layer in enumerate(layers):
            frame = self._frames.get(layer.output, Frame())
            self._keep(layer.output, self._home(number, layer, frame), number)
            for name in layer.more:
                self._keep(name, self._own(name, self._frames.get(name, Frame())), number)
            if floats := _scratch(layer, fixed):
                self.scratch[layer.output] = Buffer(floats, first=number, last=number)
        for buffer in self._buffers:
            buffer.last = max(self._last.get(name, buffer.first) for name in self._values[id(buffer)])

    def made(self, layer: Layer, name: str) -> Tensor:
        """Where a layer puts a value: a copy isn't where the value is."""
        return self.tensors.get(f"{name}>", self.tensors[name]) if layer.op.op == "Copy" else self.tensors[name]

    def arena(self) -> list[Buffer]:
        """The buffers that share the arena."""
        return [*(buffer for buffer in self._buffers if buffer.base == "a"), *self.scratch.values()]

    def _keep(self, name: str, tensor: Tensor, number: int) -> None:
        if id(tensor.buffer) not in self._values:
            tensor.buffer.first = number
            self._buffers.append(tensor.buffer)
            self._values[id(tensor.buffer)] = []
        self._values[id(tensor.buffer)].append(name)
        self.tensors[name if name not in self.tensors else f"{name}>"] = tensor

    def _home(self, number: int, layer: Layer, frame: Frame) -> Tensor:
        shape = self._fixed.shapes[layer.output]
        if layer.op.op == "Copy" or (layer.output in self._fixed.outputs and layer.output not in self._copied):
            return Tensor.new(shape, Frame(), self._output(layer.output), self._element(layer.output))
        source = self.tensors.get(layer.inputs[0]) if layer.inputs else None
        if layer.op.op in VIEWS and not frame and source is not None and source.is_whole:
            self.views.add(number)
            return source.viewed(shape)
        if (place := self._joined.place(layer)) is not None:
            if layer.op.op == "Concat" and not frame and self._joined.is_there(layer, place, self.tensors):
                self.views.add(number)
            return place
        for name in self._candidates(layer):
            if (taken := self._taken_over(number, layer, name, shape, frame)) is not None:
                return taken
        return self._own(layer.output, frame)

    def _own(self, name: str, frame: Frame) -> Tensor:
        """Memory of its own; for an output of the model the caller's."""
        if name in self._fixed.outputs and name not in self._copied:
            return Tensor.new(self._fixed.shapes[name], Frame(), self._output(name), self._element(name))
        return Tensor.new(self._fixed.shapes[name], frame, element=self._element(name))

    def _output(self, name: str) -> str:
        return f"out{self._fixed.outputs.index(name)}"

    def _element(self, name: str) -> Element:
        return ELEMENTS[self._fixed.types[name]]

    def _candidates(self, layer: Layer) -> tuple[str, ...]:
        """The values whose memory the result may take."""
        if layer.residual is not None:
            return (layer.residual,) if layer.parts or layer.residual not in layer.inputs else ()
        return tuple(name for name in layer.inputs if name in self.tensors) if is_elementwise(layer.op) else ()

    def _taken_over(self, number: int, layer: Layer, name: str, shape: tuple[int, ...], frame: Frame) -> Tensor | None:
        tensor = self.tensors[name]
        free = all(self._last.get(value, -1) <= number for value in self._values[id(tensor.buffer)])
        others = [self.tensors[other].buffer for other in layer.inputs if other != name and other in self.tensors]
        alike = tensor.shape == shape and tensor.frame == frame and (bool(frame) or tensor.is_whole)
        alike = alike and tensor.element is self._element(layer.output)
        apart = tensor.buffer.base == "a" and all(buffer is not tensor.buffer for buffer in others)
        return tensor if free and alike and apart else None


def _scratch(layer: Layer, fixed: Fixed) -> int:
    """Floats of working memory that a layer needs for itself."""
    if layer.parts:
        return bands_of(layer, fixed).floats
    if not is_linear(layer.op, fixed):
        return scratch_of(layer.op, fixed)
    if layer.op.op != "Conv":
        return 0
    win = window_of(layer.op, fixed)
    return scratch_floats(layer.op, win, fixed) if is_winograd(layer.op, win, fixed) else 0


class _Store:
    """Puts arrays among the weights; `reads` says whether there were any."""

    def __init__(self, weights: Weights, prefix: str) -> None:
        self._weights, self._prefix = weights, prefix
        self.reads = False

    def __call__(self, array: _Array, half: bool = False) -> str:
        self.reads = True
        place = self._weights.add(array, half=half)
        where = f"w + {place}" if place else "w"
        kind = "half" if half else array.dtype.name
        return where if kind == "float32" else f"(const {self._prefix}_{kind} *)(const void *)({where})"


def _banded(
    fixed: Fixed, homes: _Homes, weights: Weights, layer: Layer, names: list[str], used: set[str], prefix: str
) -> list[Function]:
    """A function for each part, which takes a number of rows, and the one that calls them; its name is the last."""
    bands, x, y = bands_of(layer, fixed), homes.tensors[layer.inputs[0]], homes.made(layer, layer.output)
    r = homes.tensors[layer.residual] if layer.residual else None
    made: list[Function] = []
    calls: tuple[list[str], list[str], list[str]] = ([], [], [])
    place = 0 if bands.wide is not None else 1
    source = target = x
    x_row = 0
    for part, name in zip(layer.parts, names, strict=False):
        store, before = _Store(weights, prefix), weights.floats
        if part.op.op != "Conv":
            lines, given, macs = activation_code(part, target, prefix), ["float *y"], 0
            calls[place].append(f"{name}({{rows}}, {{y}});")
        else:
            place += bool(made)
            target = (bands.wide, bands.deep, None)[place] or y
            added = r if part.residual else None
            code = linear_code(part, fixed, source, target, added, store, prefix, rows=True)
            used.add(code.kernel)
            lines, macs, source = code.lines, code.macs, target
            given = ["const float *x0", *(["const float *r"] if added else []), "float *y"]
            calls[place].append(f"{name}(w, {{rows}}, {{x}}, {'{r}, ' if added else ''}{{y}});")
            x_row = x_row or x.strides[1] * window_of(part.op, fixed).strides[0]
        head = f"static void {name}({', '.join([*(['const float *w'] if store.reads else []), 'int rows', *given])})"
        about = _about(fixed, part, macs)
        text = "\n".join([f"/* {about}; some rows */", head, "{", *lines, "}"])
        made.append(Function(name, about, macs, weights.floats - before, text, "", {}))
    lines = bands_code(bands, calls, x_row, r.strides[1] if r else 0, y.strides[1])
    lines += _frame_lines(y, "y") if y.frame else []
    given = ["const float *w", "const float *x0", *(["const float *r"] if r else []), "float *y", "float *s"]
    given = given if bands.floats else given[:-1]
    about = f"{bands.band} of {bands.rows} rows at a time: {', '.join(layer.names)}".replace("*/", "* /")
    text = "\n".join([f"/* {about} */", f"static void {names[-1]}({', '.join(given)})", "{", *lines, "}"])
    pointers = [each.pointer(prefix) for each in (x, *([r] if r else []), y)]
    pointers += [f"a + {homes.scratch[layer.output].offset}"] if bands.floats else []
    call = f"{names[-1]}({', '.join(['w', *pointers])});"
    return [*made, Function(names[-1], about, 0, 0, text, call, {layer.output: y})]


def _function(
    fixed: Fixed, homes: _Homes, weights: Weights, layer: Layer, name: str, used: set[str], prefix: str
) -> Function:
    before = weights.floats
    store = _Store(weights, prefix)
    made = {output: homes.made(layer, output) for output in layer.outputs}
    parameters = {f"x{i}": homes.tensors[value] for i, value in enumerate(layer.inputs) if value not in fixed.constants}
    results = dict(zip(("y", *(f"y{i}" for i in range(1, len(made)))), made.values(), strict=True))
    checked = False
    if is_linear(layer.op, fixed):
        residual = homes.tensors[layer.residual] if layer.residual else None
        parameters |= {"r": residual} if residual is not None else {}
        code = linear_code(layer, fixed, parameters["x0"], results["y"], residual, store, prefix)
        lines, macs = code.lines, code.macs
        used.add(code.kernel)
    else:
        lines, macs = _generic(fixed, layer, parameters, results, store, prefix), macs_of(layer.op, fixed)
        checked = checks(layer.op, fixed)
        used |= {PARTS[layer.op.op]} if layer.op.op in PARTS else set()
    for key, tensor in results.items():
        lines += _frame_lines(tensor, key) if tensor.frame else []
    scratch = homes.scratch.get(layer.output)
    body = "\n".join(lines)
    lines = [*(f"    (void){key};" for key in (*parameters, *results) if not re.search(rf"\b{key}\b", body)), *lines]
    given = [*(["const float *w"] if store.reads else [])]
    given += [f"const {_pointed(tensor, prefix)} *{key}" for key, tensor in parameters.items()]
    given += [f"{_pointed(tensor, prefix)} *{key}" for key, tensor in results.items()]
    given += ["float *s"] if scratch is not None else []
    about = _about(fixed, layer, macs)
    head = f"static {'int' if checked else 'void'} {name}({', '.join(given)})"
    text = "\n".join([f"/* {about} */", head, "{", *lines, "}"])
    pointers = [tensor.pointer(prefix) for tensor in (*parameters.values(), *results.values())]
    pointers += [f"a + {scratch.offset}"] if scratch is not None else []
    call = f"{name}({', '.join([*(['w'] if store.reads else []), *pointers])});"
    return Function(name, about, macs, weights.floats - before, text, f"bad |= {call}" if checked else call, made)


def _pointed(tensor: Tensor, prefix: str) -> str:
    return "float" if tensor.element is FLOAT else f"{prefix}_{tensor.element.name}"


def _generic(
    fixed: Fixed,
    layer: Layer,
    parameters: dict[str, Tensor],
    results: dict[str, Tensor],
    store: Callable[[_Array], str],
    prefix: str,
) -> list[str]:
    op = layer.op if layer.op.op != "Copy" else layer.op._replace(op="Identity")
    positions = [i for i, value in enumerate(op.inputs) if value]
    x = {i: (f"x{k}", parameters[f"x{k}"]) for k, i in enumerate(positions) if f"x{k}" in parameters}
    made = {op.outputs.index(name): each for name, each in zip(layer.outputs, results.items(), strict=True)}
    return generic_code(Call(op, fixed, x, results["y"], store, made, prefix))


def _frame_lines(y: Tensor, name: str) -> list[str]:
    """Zeros around each image."""
    n, h, w, c = y.shape if len(y.shape) == 4 else (y.shape[0], 1, *y.shape[1:])
    f = y.frame
    row = (w + f.left + f.right) * c
    image = (h + f.top + f.bottom) * row
    where = f"{name} - {y.offset}" + (f" + i * {image}" if n > 1 else "")
    call = f"frame({where}, {h}, {row}, {f.top * row}, {f.left * c}, {f.right * c}, {f.bottom * row});"
    return [f"    for (int i = 0; i < {n}; i++) @FRAME@_{call}" if n > 1 else f"    @FRAME@_{call}"]


def _about(fixed: Fixed, layer: Layer, macs: int) -> str:
    shapes = ", ".join(str(list(fixed.shapes[name])) for name in layer.inputs if name not in fixed.constants)
    bounds = f", clamped to {layer.low:g} .. {layer.high:g}" if layer.low > -np.inf or layer.high < np.inf else ""
    work = f"; {macs} multiply-adds" if macs else ""
    added = f" + {layer.residual}" if layer.residual else ""
    text = (
        f"{layer.op.op}{added}{bounds}: {shapes} to {list(fixed.shapes[layer.output])}{work}; {', '.join(layer.names)}"
    )
    return text.replace("*/", "* /").replace("\\", "/")
