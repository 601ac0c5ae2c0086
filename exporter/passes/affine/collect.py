"""Finds what is affine in a graph and turns each maximal chain of it into one `Site`.

Add, Sub, Mul and Div with a constant, Neg and BatchNormalization are affine maps of their other input, as long as they
keep its shape. A constant is whatever only initializers determine: `gamma * rsqrt(variance + epsilon)` needs no folding
first. It is computed in float64 and not rounded in between.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from exporter.errors import ValueInputError
from exporter.ir.edit import broadcasts_to
from exporter.ir.evaluate import Constants
from exporter.ir.ops import is_op
from exporter.ir.opset import record_of
from exporter.ir.order import is_as_written
from exporter.passes.affine.affine_map import Affine, Array
from exporter.passes.affine.cancellation import FACTOR, FACTOR_ROUNDED, Exactness, Spread, keeps_digits, left_of
from exporter.passes.affine.constant_channels import ConstantChannels
from exporter.passes.affine.rounding import EXACT, Noise, noise_of
from exporter.passes.naming import Namer

__all__ = ["SITE", "Original", "Site", "collect", "is_site", "order_matters", "readers", "source_of"]

SITE = "Affine"
"""The op type of a site's node, in the domain of the passes."""

_DOMAIN = "passes"


@dataclass(frozen=True)
class Original:
    """An op that a site was made of, without being a user of its inputs any more."""

    op_type: str
    domain: str
    inputs: tuple[ir.Value | None, ...]
    attributes: tuple[ir.Attr, ...]


@dataclass(eq=False)
class Site:
    """One affine map in the graph: a node of type `SITE` with one input and one output, and what it came from.

    Attributes:
        node: Its place in the graph.
        affine: The map.
        original: The only op it was made of, if it was one.
        batch_norms: The batch norms in it.
        bias: The name of the first vector that is added in it, if it has one: a bias is called so.
        into: The linear ops that have taken a part of it.
        how: What has been done with it.
        rescaled: Whether a kernel has taken a part of its scale.
        dead: The channels of which it makes constants.
        reason: Why the rest of it stays.
        noise: The rounding errors in half precision that go away with it.
        spread: The statistics of its output, where those of a batch norm tell.
        left: The size of its output, where it isn't that any more.
        scaled_first: Whether its first op multiplies by a number that isn't a power of 2, which rounds what it gets.
        centred: Whether it is the x + c that is left of a shift that cancels most of x.
    """

    node: ir.Node
    affine: Affine
    original: Original | None
    batch_norms: tuple[str, ...]
    bias: str | None = None
    into: list[str] = field(default_factory=list)
    how: list[str] = field(default_factory=list)
    dead: tuple[int, ...] = ()
    reason: str | None = None
    noise: Noise = EXACT
    spread: Spread | None = None
    left: Array | None = None
    scaled_first: bool = False
    centred: bool = False
    rescaled: bool = False

    @property
    def source(self) -> str:
        """What its last op came from."""
        return source_of(self.node)

    @property
    def input(self) -> ir.Value:
        """x."""
        value = self.node.inputs[0]
        assert value is not None
        return value

    @property
    def output(self) -> ir.Value:
        """x * scale + shift."""
        return self.node.outputs[0]

    def absorb(self, other: Site) -> None:
        """Takes over the names of a site that has been composed into this one."""
        self.batch_norms = tuple(dict.fromkeys((*other.batch_norms, *self.batch_norms)))
        self.bias = other.bias or self.bias
        self.into += other.into
        self.how += other.how
        self.dead = tuple(sorted({*other.dead, *self.dead}))
        self.original = None

    def size(self, exactness: Exactness) -> Array:
        """The size of its output, as far as it is known, and 0 where it isn't."""
        if self.left is not None:
            return self.left
        return (
            left_of(self.affine, self.input, exact=exactness.is_exact(self.input))
            if self.spread is None
            else self.spread.size
        )

    def cancels(self, exactness: Exactness) -> str | None:
        """Why its shift can't be added later without losing digits; None if it can."""
        if self.centred:
            return "what it is added to would lose digits without it"
        rounded = self.scaled_first or not exactness.is_exact(self.input)
        shift, left = np.broadcast_arrays(np.abs(self.affine.shift), self.size(exactness))
        if not np.any(shift > (FACTOR_ROUNDED if rounded else FACTOR) * left):
            return None
        if not np.all(left[shift > 0]):
            return "nothing tells how much its shift leaves of an exact number, so that adding it later may cost digits"
        ratio = float(np.max(shift[shift > 0] / left[shift > 0]))
        return f"its shift is {ratio:.3g} times as large as what it leaves, so that adding it later would cost digits"

    def compose(self, after: Affine) -> None:
        """Maps its output."""
        self.affine = self.affine.then(after)
        self.spread = None if self.spread is None else self.spread.then(after)
        self.left = None if self.left is None else self.left * np.abs(after.scale)
        self.original = None


def source_of(node: ir.Node) -> str:
    """The TensorFlow node or layer that a node comes from."""
    return node.metadata_props.get("source") or str(node.name)


def readers(value: ir.Value) -> list[tuple[ir.Node, int]]:
    """The uses of a value that see its numbers, in a fixed order: not those that only ask for its shape."""
    uses = [(node, index) for node, index in value.uses() if node.op_type not in ("Shape", "Size")]
    return sorted(uses, key=lambda use: (str(use[0].name), use[1]))


def is_site(node: ir.Node | None) -> bool:
    """Whether a node is a site."""
    return node is not None and node.op_type == SITE and node.domain == _DOMAIN


def collect(
    graph: ir.Graph,
    constants: Constants,
    namer: Namer,
    channels: ConstantChannels,
    exactness: Exactness,
    keep: Collection[str] = (),
) -> dict[ir.Node, Site]:
    """Replaces each maximal chain of affine ops by one node, and returns what they are, in the graph's order.

    Args:
        graph: Is changed.
        constants: Its constants.
        namer: Its names.
        channels: Is told of each node; an op with an operand that is constant in all channels is affine, too.
        exactness: Is told of each node.
        keep: The sources of ops that stay as they are.
    """
    sites: dict[ir.Node, Site] = {}
    for node in list(graph):
        found = None if source_of(node) in keep else _affine_of(node, constants, channels)
        if found is None:
            channels.note(node)
            exactness.note(node)
            continue
        index, affine = found
        x = node.inputs[index]
        assert x is not None
        noise, spread = noise_of(node, index, affine, constants), None
        if is_op(node, "BatchNormalization"):  # what it makes of an input with its own statistics
            mean, variance = (constants.array(value) for value in node.inputs[3:5] if value is not None)
            spread = Spread.of(mean, np.sqrt(variance), affine.rank).then(affine)
        site = _put_site(graph, namer, node, x, affine)
        site.noise, site.spread = noise, spread
        site.scaled_first = not is_op(node, "BatchNormalization") and not _is_exact_factor(affine.scale)
        sites[site.node] = site
        before = None if (producer := x.producer()) is None else sites.get(producer)
        alone = len(readers(x)) == 1 and not x.is_graph_output()
        joins = before is not None and alone and keeps_digits(before.affine, affine)
        if before is not None and joins and not order_matters(before.affine, site, exactness):
            _join(graph, before, site)
            del sites[before.node]
        exactness.note(site.node)
        channels.note_site(site.input, site.output, site.affine)
    for site in sites.values():
        scale, shape = site.affine.scale, site.output.shape
        size = shape[-1] if shape is not None and len(shape) else 1
        if site.batch_norms and scale.size in (1, scale.shape[-1]) and isinstance(size, int):
            dead = np.broadcast_to(scale.reshape(-1), (size,)) == 0
            site.dead = tuple(int(channel) for channel in np.flatnonzero(dead))
    return sites


def _put_site(graph: ir.Graph, namer: Namer, node: ir.Node, x: ir.Value, affine: Affine) -> Site:
    old = node.outputs[0]
    place = ir.Node(_DOMAIN, SITE, [x], num_outputs=1, name=node.name, metadata_props=dict(node.metadata_props))
    new = place.outputs[0]
    new.shape, new.type = old.shape, old.type
    graph.insert_after(node, place)
    name, old.name = old.name, namer.value(f"{old.name}/unfolded")
    new.name = name
    ir.convenience.replace_all_uses_with(old, new, replace_graph_outputs=True)
    original = Original(node.op_type, node.domain, tuple(node.inputs), tuple(node.attributes.values()))
    graph.remove(node, safe=True)
    namer.release(old.name)
    added = original.inputs if original.op_type == "Add" else ()
    bias = next((value.name for value in added if value is not None and value.is_initializer()), None)
    batch_norm = node.metadata_props.get("batch_norm")
    return Site(place, affine, original, () if batch_norm is None else (batch_norm,), bias)


def order_matters(before: Affine, site: Site, exactness: Exactness) -> bool:
    """Whether a site's shift cancels what a scale before it has rounded: that can't be computed in any other way."""
    if before.has_shift or _is_exact_factor(before.scale) or not site.affine.has_shift:
        return False
    return exactness.is_exact(site.input) and site.cancels(exactness) is not None


def _is_exact_factor(scale: Array) -> bool:
    """Whether multiplying by it doesn't round."""
    return bool(np.all(np.abs(np.frexp(scale)[0]) == 0.5))


def _join(graph: ir.Graph, first: Site, second: Site) -> None:
    second.noise = first.noise.then(first.output.dtype, second.noise, second.affine)
    if second.spread is None and first.spread is not None:
        second.spread = first.spread.then(second.affine)
    second.scaled_first = first.scaled_first or (second.scaled_first and not first.affine.has_shift)
    second.affine = first.affine.then(second.affine)
    ir.convenience.replace_all_uses_with(first.output, first.input)
    second.absorb(first)
    graph.remove(first.node, safe=True)


def _affine_of(node: ir.Node, constants: Constants, channels: ConstantChannels) -> tuple[int, Affine] | None:
    """Which input a node is an affine map of, and the map."""
    if node.domain not in ("", "channels_last") or not record_of(node.op_type).affine or is_as_written(node):
        return None
    if not node.outputs or node.outputs[0].dtype is None or not node.outputs[0].dtype.is_floating_point():
        return None
    if is_op(node, "BatchNormalization"):
        return _batch_normalization(node, constants)
    if is_op(node, "Neg"):
        return _checked(node, 0, -1.0, 0.0)
    constant = [constants.is_constant(value) for value in node.inputs]
    if len(constant) != 2 or constant[0] == constant[1]:
        operand = channels.operand(node)
        return None if operand is None else _arithmetic(node, *operand)
    index = constant.index(False)
    other = node.inputs[1 - index]
    assert other is not None
    if not broadcasts_to(other, node.inputs[index]):
        return None
    return _arithmetic(node, index, constants.array(other))


def _arithmetic(node: ir.Node, index: int, c: Array) -> tuple[int, Affine] | None:
    if node.op_type == "Add":
        return _checked(node, index, 1.0, c)
    if node.op_type == "Mul":
        return _checked(node, index, c, 0.0)
    if node.op_type == "Sub":
        return _checked(node, index, 1.0, -c) if index == 0 else _checked(node, index, -1.0, c)
    if index == 1:
        return None
    with np.errstate(all="ignore"):
        return _checked(node, index, 1.0 / c, 0.0)


def _batch_normalization(node: ir.Node, constants: Constants) -> tuple[int, Affine] | None:
    """scale = gamma / sqrt(variance + epsilon); shift = beta - mean scale."""
    values = node.inputs[1:5]
    if len(values) < 4 or not all(constants.is_constant(v) for v in values):
        return None
    gamma, beta, mean, variance = (constants.array(v) for v in values if v is not None)
    for value, array in zip(values, (gamma, beta, mean, variance), strict=True):
        assert value is not None
        if not np.isfinite(array).all():
            raise _bad(node, f"{value.name} contains NaN or infinity")
    if np.any(variance < 0):
        channel = int(np.argmax(variance < 0))
        raise _bad(node, f"the variance {values[3].name} is {variance[channel]:g} in channel {channel}")  # type: ignore[union-attr]
    epsilon = node.attributes["epsilon"].as_float() if "epsilon" in node.attributes else 1e-5
    with np.errstate(all="ignore"):
        scale = gamma / np.sqrt(variance + epsilon)
        return _checked(node, 0, scale, beta - mean * scale)


def _bad(node: ir.Node, message: str) -> ValueInputError:
    name = node.metadata_props.get("batch_norm") or node.metadata_props.get("source") or node.name
    hint = "The checkpoint is damaged, or was saved after training had diverged"
    return ValueInputError(message, hint=hint, where=(f"batch norm {name}",))


def _checked(node: ir.Node, index: int, scale: npt.ArrayLike, shift: npt.ArrayLike) -> tuple[int, Affine] | None:
    """None where the numbers aren't finite: such an op stays as it is, unless a batch norm consists of them."""
    x = node.inputs[index]
    if x is None or x.shape is None:
        return None
    affine = Affine.of(scale, shift, len(x.shape))
    if affine.is_finite:
        return index, affine
    if "batch_norm" in node.metadata_props:
        raise _bad(node, "gamma / sqrt(variance + epsilon) is not a finite number")
    return None
