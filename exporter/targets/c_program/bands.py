"""Chains in bands of rows: a wide image between a convolution and a depthwise one, and the one between that and the
convolution of single pixels behind it, never exist as a whole; a few rows of each stay in the cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from exporter.targets.c_program.elementwise import activation
from exporter.targets.c_program.layers import Layer, is_depthwise, is_linear, window_of
from exporter.targets.c_program.loops import collapsed, index, nest
from exporter.targets.c_program.specialise import Fixed, Op
from exporter.targets.c_program.tensors import Frame, Tensor
from exporter.targets.c_program.winograd import is_winograd

__all__ = ["Bands", "activation_code", "bands_code", "bands_of", "with_bands"]

_LEAST_FLOATS = 50_000
"""Of an image that is worth not to be made as a whole."""

_BAND_FLOATS = 100_000
"""What the rows of a band take, all images together: they are to stay in a cache of 512 KB, beside weights."""

_ALIGNMENT = 16


def with_bands(fixed: Fixed, layers: Sequence[Layer]) -> list[Layer]:
    """The layers with those that are calculated together made one, which runs where the last of them did."""
    chains = _Chains(fixed, layers)
    made: dict[int, Layer] = {}
    taken: set[int] = set()
    for number in range(len(layers)):
        numbers = chains.begun(number) if number not in taken else []
        chain = _joined([layers[i] for i in numbers]) if len(numbers) > 1 else None
        if chain is not None and (bands := bands_of(chain, fixed)).band < bands.rows:
            taken.update(numbers)
            made[numbers[-1]] = chain
    return [made.get(i, layer) for i, layer in enumerate(layers) if i in made or i not in taken]


def _joined(parts: list[Layer]) -> Layer:
    first, last = parts[0], parts[-1]
    op = Op("Bands", last.op.name, first.inputs, last.op.outputs, {})
    names = tuple(name for part in parts for name in part.names)
    return Layer(op, first.inputs, last.output, last.residual, names=names, parts=tuple(parts))


class _Chains:
    """What can be done in the same bands."""

    def __init__(self, fixed: Fixed, layers: Sequence[Layer]) -> None:
        self._fixed, self._layers = fixed, layers
        self._readers: dict[str, list[int]] = {}
        for number, layer in enumerate(layers):
            for name in {*layer.inputs, *([layer.residual] if layer.residual else [])}:
                self._readers.setdefault(name, []).append(number)

    def begun(self, number: int) -> list[int]:
        """The layers from one on, if there is a depthwise one among them: perhaps a convolution before it, perhaps one
        of single pixels behind it, and what is done with each number of the first two."""
        layer = self._layers[number]
        if not self._is_image(layer):
            return []
        numbers = self._with_activation(number)
        if not is_depthwise(layer.op, self._fixed):
            after = self._next(numbers[-1])
            if after is None or layer.residual or not self._is_chained(after):
                return []
            numbers += self._with_activation(after)
        after = self._next(numbers[-1])
        if after is not None and self._is_last(after, layer, len(numbers)):
            numbers.append(after)
        return numbers

    def _with_activation(self, number: int) -> list[int]:
        after = self._next(number)
        return [number] if after is None or not _is_activation(self._layers[after]) else [number, after]

    def _next(self, number: int) -> int | None:
        """The only reader of a large image that is nothing but that layer's input."""
        name = self._layers[number].output
        numbers = self._readers.get(name, [])
        if len(numbers) != 1 or name in self._fixed.outputs or prod(self._fixed.shapes[name]) < _LEAST_FLOATS:
            return None
        after = self._layers[numbers[0]]
        return numbers[0] if after.residual != name and set(after.inputs) == {name} else None

    def _is_chained(self, number: int) -> bool:
        layer = self._layers[number]
        if not self._is_image(layer) or not is_depthwise(layer.op, self._fixed):
            return False
        rows, step, reach = _rows(self._fixed, layer)
        return rows > 1 and reach >= step

    def _is_last(self, number: int, first: Layer, count: int) -> bool:
        """Whether it is of single pixels; the result may take the place of the input where this is read in time."""
        layer = self._layers[number]
        if not self._is_image(layer) or is_depthwise(layer.op, self._fixed) or not self._is_pixelwise(layer):
            return False
        return layer.residual not in first.inputs or (count > 1 and self._is_pixelwise(first))

    def _is_pixelwise(self, layer: Layer) -> bool:
        """Whether each pixel of the result depends on the one in its place alone."""
        win = window_of(layer.op, self._fixed)
        return set(win.kernel) == set(win.strides) == {1} and not any(map(any, win.pads))

    def _is_image(self, layer: Layer) -> bool:
        """Whether it is a convolution of one image, by a kernel that can do some of its rows."""
        if layer.op.op != "Conv" or not is_linear(layer.op, self._fixed):
            return False
        shape, win = self._fixed.shapes[layer.output], window_of(layer.op, self._fixed)
        return len(shape) == 4 and shape[0] == 1 and not is_winograd(layer.op, win, self._fixed)


def _is_activation(layer: Layer) -> bool:
    """Whether it is a function of each number by itself."""
    try:
        return len(layer.outputs) == 1 and bool(activation(layer.op.op, layer.op.attributes))
    except NotImplementedError:
        return False


def _rows(fixed: Fixed, layer: Layer) -> tuple[int, int, int]:
    """Of a convolution: the rows that it makes, the step from one to the next, and how many it reads for one."""
    win = window_of(layer.op, fixed)
    return win.out[0], win.strides[0], (win.kernel[0] - 1) * win.dilations[0] + 1


@dataclass(frozen=True)
class Bands:
    """How a chain is done.

    Attributes:
        rows: Of the depthwise result, and so of the chain's; `band` of them are made at a time.
        wide: The image before the depthwise convolution, in the memory of a band: its strides are those of a whole one.
        deep: The one after it; None where that is the result.
        step: From one row of the result to the next in the wide image, `reach` rows of which one depends on.
        held: Rows of the wide image that exist at a time.
    """

    rows: int
    band: int
    wide: Tensor | None
    deep: Tensor | None
    step: int
    reach: int
    held: int

    @property
    def second(self) -> int:
        """Where the rows of the deep image begin."""
        return -(-self.held * self.wide.strides[1] // _ALIGNMENT) * _ALIGNMENT if self.wide is not None else 0

    @property
    def floats(self) -> int:
        """The memory of both images."""
        return self.second + (self.band * self.deep.strides[1] if self.deep is not None else 0)


def bands_of(layer: Layer, fixed: Fixed) -> Bands:
    """How the parts of a layer are done together."""
    depth = next(part for part in layer.parts if part.op.op == "Conv" and is_depthwise(part.op, fixed))
    rows, step, reach = _rows(fixed, depth)
    win = window_of(depth.op, fixed)
    wide = deep = None
    if depth is not layer.parts[0]:
        frame = Frame(*(win.pads[axis][side] for side in (0, 1) for axis in (0, 1)))
        wide = Tensor.new(fixed.shapes[depth.inputs[0]], frame)
    if layer.parts[-1].op.op == "Conv" and depth is not layer.parts[-1]:
        deep = Tensor.new(fixed.shapes[depth.output], Frame())
    own, other = (each.strides[1] if each is not None else 0 for each in (wide, deep))
    result = prod(fixed.shapes[depth.output][2:])
    band = max(1, min(rows, (_BAND_FLOATS - max(reach - step, 0) * own) // (step * own + (other or result))))
    band = -(-rows // -(-rows // band))
    held = (band - 1) * step + reach
    return Bands(rows, band, wide, deep, step, reach, held)


def bands_code(bands: Bands, calls: Sequence[Sequence[str]], x_row: int, r_row: int, y_row: int) -> list[str]:
    """The loop over the bands.

    Args:
        bands: How it is done.
        calls: The functions, for `str.format`, of the parts before the wide image, before the deep one, and after it.
        x_row: Floats of the input from one row of what is made of it to the next.
        r_row, y_row: Floats from one row of the residual, and of the result, to the next.
    """
    wide, lines, inner = bands.wide, list[str](), list[str]()
    source = f"x0 + i * {x_row}"
    result = f"y + i * {y_row}"
    target = "deep" if bands.deep is not None else result
    if wide is not None:
        (_, height, *_), (_, row, *_) = wide.shape, wide.strides
        left = wide.offset - wide.frame.top * row
        source = f"s + {wide.offset}"
        done = bands.band * bands.step
        kept = bands.held - done
        lines = ["int next = 0; /* row of the wide image */", f"memset(s, 0, {bands.held * row} * sizeof(float));"]
        first = f"i * {bands.step} - {wide.frame.top}" if wide.frame.top else f"i * {bands.step}"
        inner = [
            f"const int first = {first}, need = first + (rows - 1) * {bands.step} + {bands.reach};",
            f"const int end = need < {height} ? need : {height};",
            *(
                [f"if (i > 0) memmove(s, s + {bands.band * bands.step * row}, {kept * row} * sizeof(float));"]
                * (kept > 0)
            ),
            f"float *const to = s + {left} + (next - first) * {row};"
            if left
            else f"float *const to = s + (next - first) * {row};",
            "if (end > next) {",
            *("    " + call.format(rows="end - next", x=f"x0 + next * {x_row}", y="to") for call in calls[0]),
            "    next = end;",
            "}",
            f"if (need > next) memset(s + (next - first) * {row}, 0, (size_t)(need - next) * {row} * sizeof(float));",
        ]
    if bands.deep is not None:
        lines.append(f"float *const deep = s + {bands.second};" if bands.second else "float *const deep = s;")
    return [
        *("    " + line for line in lines),
        f"    for (int i = 0; i < {bands.rows}; i += {bands.band}) {{",
        f"        const int rows = {bands.rows} - i < {bands.band} ? {bands.rows} - i : {bands.band};",
        *("        " + line for line in inner),
        *("        " + call.format(rows="rows", x=source, y=target) for call in calls[1]),
        *("        " + call.format(rows="rows", x="deep", y=result, r=f"r + i * {r_row}") for call in calls[2]),
        "    }",
    ]


def activation_code(part: Layer, y: Tensor, prefix: str) -> list[str]:
    """The function of each number of some rows, in their place."""
    sizes, (steps,) = collapsed(y.shape[2:], y.strides[2:])
    value = f"y[{index(steps)}]"
    expression = activation(part.op.op, part.op.attributes).replace("@EXP@", f"{prefix}_exp")
    body = [f"const float v = {value};", f"{value} = {expression.format(x='v')};"]
    loop = nest(sizes, body, 2)
    loop.insert(len(sizes) - 1, "        @ANY_ORDER@")
    return [f"    for (int i = 0; i < rows; i++, y += {y.strides[1]}) {{", *loop, "    }"]
