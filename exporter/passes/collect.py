"""Finds what is affine in a graph and turns each maximal chain of it into one `Site`.

Add, Sub, Mul and Div with a constant, Neg and BatchNormalization are affine maps of their other input, as long as they
keep its shape. A constant is whatever only initializers determine: `gamma * rsqrt(variance + epsilon)` needs no folding
first. It is computed in float64 and not rounded in between.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from exporter.errors import ValueInputError
from exporter.ir.edit import broadcasts_to
from exporter.ir.evaluate import Constants
from exporter.ir.ops import is_op
from exporter.ir.order import is_as_written
from exporter.passes.affine import Affine, Array
from exporter.passes.constant_channels import ConstantChannels
from exporter.passes.naming import Namer
from exporter.passes.rounding import EXACT, Noise, noise_of

__all__ = ["SITE", "Original", "Site", "collect", "is_site", "readers"]

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
        dead: The channels of which it makes constants.
        reason: Why the rest of it stays.
        noise: The rounding errors in half precision that go away with it.
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

    @property
    def source(self) -> str:
        """What its last op came from."""
        return self.node.metadata_props.get("source") or str(self.node.name)

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


def readers(value: ir.Value) -> list[tuple[ir.Node, int]]:
    """The uses of a value that see its numbers, in a fixed order: not those that only ask for its shape."""
    uses = [(node, index) for node, index in value.uses() if node.op_type not in ("Shape", "Size")]
    return sorted(uses, key=lambda use: (str(use[0].name), use[1]))


def is_site(node: ir.Node | None) -> bool:
    """Whether a node is a site."""
    return node is not None and node.op_type == SITE and node.domain == _DOMAIN


def collect(graph: ir.Graph, constants: Constants, namer: Namer, channels: ConstantChannels) -> dict[ir.Node, Site]:
    """Replaces each maximal chain of affine ops by one node, and returns what they are, in the graph's order.

    Args:
        graph: Is changed.
        constants: Its constants.
        namer: Its names.
        channels: Is told of each node; an op with an operand that is constant in all channels is affine, too.
    """
    sites: dict[ir.Node, Site] = {}
    for node in list(graph):
        found = _affine_of(node, constants, channels)
        if found is None:
            channels.note(node)
            continue
        index, affine = found
        x = node.inputs[index]
        assert x is not None
        noise = noise_of(node, index, affine, constants)
        site = _put_site(graph, namer, node, x, affine)
        site.noise = noise
        sites[site.node] = site
        before = x.producer()
        if before is not None and before in sites and len(readers(x)) == 1 and not x.is_graph_output():
            _join(graph, sites, sites.pop(before), site)
        channels.note_site(site.input, site.output, site.affine)
    for site in sites.values():
        site.dead = _dead(site)
    return sites


def _dead(site: Site) -> tuple[int, ...]:
    """The channels of a batch norm whose scale is 0."""
    scale = site.affine.scale
    channels = site.output.shape[-1] if site.output.shape is not None and len(site.output.shape) else 1
    if not site.batch_norms or scale.size not in (1, scale.shape[-1]) or not isinstance(channels, int):
        return ()
    return tuple(int(c) for c in np.flatnonzero(np.broadcast_to(scale.reshape(-1), (channels,)) == 0))


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
    batch_norm = node.metadata_props.get("batch_norm")
    return Site(place, affine, original, () if batch_norm is None else (batch_norm,), _added(original))


def _added(original: Original) -> str | None:
    if original.op_type != "Add":
        return None
    return next((v.name for v in original.inputs if v is not None and v.is_initializer()), None)


def _join(graph: ir.Graph, sites: dict[ir.Node, Site], first: Site, second: Site) -> None:
    second.noise = first.noise.then(first.output.dtype, second.noise, second.affine)
    second.affine = first.affine.then(second.affine)
    ir.convenience.replace_all_uses_with(first.output, first.input)
    second.absorb(first)
    graph.remove(first.node, safe=True)


def _affine_of(node: ir.Node, constants: Constants, channels: ConstantChannels) -> tuple[int, Affine] | None:
    """Which input a node is an affine map of, and the map."""
    if node.domain not in ("", "channels_last") or node.op_type not in _OPS or is_as_written(node):
        return None
    if not node.outputs or node.outputs[0].dtype is None or not node.outputs[0].dtype.is_floating_point():
        return None
    if is_op(node, "BatchNormalization"):
        return _batch_normalization(node, constants)
    if is_op(node, "Neg"):
        return _checked(node, 0, -1.0, 0.0)
    index = _variable_input(node, constants)
    if index is None:
        operand = channels.operand(node)
        return None if operand is None else _arithmetic(node, *operand)
    other = node.inputs[1 - index]
    assert other is not None
    if not broadcasts_to(other, node.inputs[index]):
        return None
    return _arithmetic(node, index, constants.array(other))


_OPS = frozenset({"Add", "BatchNormalization", "Div", "Mul", "Neg", "Sub"})


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


def _variable_input(node: ir.Node, constants: Constants) -> int | None:
    """The index of the input that isn't constant, if that is exactly one."""
    constant = [constants.is_constant(value) for value in node.inputs]
    if len(constant) != 2 or constant[0] == constant[1]:
        return None
    return constant.index(False)
