"""Which weights each Keras layer has, in the order it makes them, and of which parts a composite one consists.

`weight_tree` turns a layer into a tree: its own weights; its parts by attribute (the cell of an LSTM, both directions
of a `Bidirectional`); and a container, a list of layers (those of a model). Every way of saving weights walks over it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from exporter.sources.keras_config import read_layer
from exporter.sources.keras_model import KerasLayer, KerasModel
from exporter.sources.keras_settings import Settings

__all__ = ["Part", "Slot", "WeightTree", "model_tree", "weight_tree"]


@dataclass(frozen=True, slots=True)
class Slot:
    """A weight that a layer has.

    Attributes:
        name: As the layer calls it: `kernel`, `moving_mean`.
        trainable: Whether it is, while its layer is.
        aliases: What other versions call it.
    """

    name: str
    trainable: bool = True
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """A layer inside a layer, under one of the names that versions of Keras give the attribute."""

    attributes: tuple[str, ...]
    tree: WeightTree


@dataclass(frozen=True)
class WeightTree:
    """The weights of a layer and of what is inside it.

    Attributes:
        name: The layer's name.
        class_name: Its class.
        trainable: Whether it is trainable.
        own: Its own weights, trainable ones first.
        parts: The layers it has under an attribute.
        container: The attribute of its list of layers, as `layers` of a model; "" where it has none.
        members: The layers in that list.
        repeated: How many weights of its parts Keras 3 stores once more, before its own.
        stored_as: The class that files number its weights by, where it isn't `class_name`.
        is_layer: False for an operation between layers, which Keras 3 counts among a model's operations.
    """

    name: str
    class_name: str
    trainable: bool = True
    own: tuple[Slot, ...] = ()
    parts: tuple[Part, ...] = ()
    container: str = ""
    members: tuple[WeightTree, ...] = ()
    repeated: int = 0
    is_layer: bool = True
    stored_as: str | None = None

    def slots(self) -> Iterator[tuple[tuple[str, ...], tuple[str, ...], Slot]]:
        """Every weight: its path (members' names, parts' attributes, its own name), and the members among that."""
        for slot in self.own:
            yield (slot.name,), (), slot
        for part in self.parts:
            for path, members, slot in part.tree.slots():
                yield (part.attributes[0], *path), members, slot
        for member in self.members:
            for path, members, slot in member.slots():
                yield (member.name, *path), (member.name, *members), slot


def model_tree(model: KerasModel) -> WeightTree:
    """The weights of a model."""
    return WeightTree(
        name=model.name,
        class_name="Sequential" if model.is_sequential else "Functional",
        container="layers",
        members=tuple(weight_tree(layer) for layer in model.layers),
    )


def weight_tree(layer: KerasLayer) -> WeightTree:
    """The weights of a layer; none for a class that isn't known."""
    if layer.model is not None:
        inner = model_tree(layer.model)
        return replace(inner, name=layer.name, class_name=layer.class_name, trainable=layer.trainable)
    if layer.origin == "ops":
        return WeightTree(layer.name, layer.class_name, is_layer=False)
    known = layer.origin == "keras"
    own = OWN[layer.class_name](layer.settings) if known and layer.class_name in OWN else ()
    parts = PARTS[layer.class_name](layer.settings) if known and layer.class_name in PARTS else ()
    setting, container = _LISTS.get(layer.class_name, ("", "")) if known else ("", "")
    records = layer.settings.raw(setting) if setting else None
    listed = records if isinstance(records, list | tuple) else ()
    members = tuple(weight_tree(read_layer(record, layer.settings.owner)) for record in listed)
    ordered = (*(slot for slot in own if slot.trainable), *(slot for slot in own if not slot.trainable))
    repeated = 1 if known and layer.class_name == "SpectralNormalization" else 0
    return WeightTree(
        layer.name,
        layer.class_name,
        layer.trainable,
        ordered,
        parts,
        container if members else "",
        members,
        repeated,
        stored_as=layer.written_as,
    )


def _kernel_and_bias(settings: Settings) -> tuple[Slot, ...]:
    return (Slot("kernel", aliases=("depthwise_kernel",)), *_if(settings, "use_bias", "bias"))


def _separable(settings: Settings) -> tuple[Slot, ...]:
    return (Slot("depthwise_kernel"), Slot("pointwise_kernel"), *_if(settings, "use_bias", "bias"))


def _einsum_dense(settings: Settings) -> tuple[Slot, ...]:
    return (Slot("kernel"), Slot("bias")) if settings.raw("bias_axes") else (Slot("kernel"),)


def _if(settings: Settings, key: str, name: str, default: bool = True) -> tuple[Slot, ...]:
    return (Slot(name),) if settings.flag(key, default) else ()


def _gamma_and_beta(settings: Settings) -> tuple[Slot, ...]:
    return (*_if(settings, "scale", "gamma"), *_if(settings, "center", "beta"))


def _layer_norm(settings: Settings) -> tuple[Slot, ...]:
    if settings.flag("rms_scaling", False):
        return (Slot("gamma"),)
    return _gamma_and_beta(settings)


def _batch_norm(settings: Settings) -> tuple[Slot, ...]:
    names = ["moving_mean", "moving_variance"]
    if settings.flag("renorm", False):
        names += ["moving_stddev", "renorm_mean", "renorm_stddev"]
    return (*_gamma_and_beta(settings), *(Slot(name, trainable=False) for name in names))


def _normalization(settings: Settings) -> tuple[Slot, ...]:
    if settings.raw("mean") is not None:
        return ()
    return tuple(Slot(name, trainable=False) for name in ("mean", "variance", "count"))


def _attention(settings: Settings) -> tuple[Slot, ...]:
    by_parts = (Slot("concat_score_weight"),) if settings.text("score_mode", "dot") == "concat" else ()
    return (*_if(settings, "use_scale", "scale", default=False), *by_parts)


def _cell(settings: Settings) -> tuple[Slot, ...]:
    return (Slot("kernel"), Slot("recurrent_kernel"), *_if(settings, "use_bias", "bias"))


def _reversible_embedding(settings: Settings) -> tuple[Slot, ...]:
    tied = settings.flag("tie_weights", True)
    return (Slot("embeddings"),) if tied else (Slot("embeddings"), Slot("reverse_embeddings"))


def _waves(settings: Settings) -> tuple[Slot, ...]:
    mode = settings.text("mode", "log")
    return tuple(Slot(f"{part}_kernel") for part, other in (("real", "imag"), ("imag", "real")) if mode != other)


def _always(*names: str) -> Callable[[Settings], tuple[Slot, ...]]:
    slots = tuple(Slot(name) for name in names)
    return lambda settings: slots


def _own_cell(class_name: str) -> Callable[[Settings], tuple[Part, ...]]:
    def parts(settings: Settings) -> tuple[Part, ...]:
        trainable = settings.raw("trainable") is not False
        return (Part(("cell",), WeightTree("cell", class_name, trainable, _cell(settings))),)

    return parts


def _given_cell(settings: Settings) -> tuple[Part, ...]:
    return (Part(("cell",), weight_tree(read_layer(settings.inner("cell"), settings.owner))),)


_LISTS: Mapping[str, tuple[str, str]] = {
    "Pipeline": ("layers", "layers"),
    "StackedRNNCells": ("cells", "cells"),
}
"""The setting of each class that is a list of layers, and the attribute that stores them."""


def _wrapped(settings: Settings) -> tuple[Part, ...]:
    return (Part(("layer",), weight_tree(read_layer(settings.inner("layer"), settings.owner))),)


def _both_ways(settings: Settings) -> tuple[Part, ...]:
    forward = read_layer(settings.inner("layer"), settings.owner)
    given = settings.raw("backward_layer")
    backward = forward if given is None else read_layer(given, settings.owner)
    return (
        Part(("forward_layer",), weight_tree(forward)),
        Part(("backward_layer",), weight_tree(backward)),
    )


def _projections(settings: Settings) -> tuple[Part, ...]:
    biased = settings.flag("use_bias", True)
    own = (Slot("kernel"), Slot("bias")) if biased else (Slot("kernel"),)
    trainable = settings.raw("trainable") is not False
    names = {"query": "query", "key": "key", "value": "value", "output": "attention_output"}
    return tuple(
        Part((f"{name}_dense", f"_{name}_dense"), WeightTree(label, "EinsumDense", trainable, own))
        for name, label in names.items()
    )


OWN: Mapping[str, Callable[[Settings], tuple[Slot, ...]]] = {
    "AdditiveAttention": lambda settings: _if(settings, "use_scale", "scale"),
    "Attention": _attention,
    "BatchNormalization": _batch_norm,
    "BatchNormalizationV1": _batch_norm,
    "BatchNormalizationV2": _batch_norm,
    "Conv1D": _kernel_and_bias,
    "Conv1DTranspose": _kernel_and_bias,
    "Conv2D": _kernel_and_bias,
    "Conv2DTranspose": _kernel_and_bias,
    "Conv3D": _kernel_and_bias,
    "Conv3DTranspose": _kernel_and_bias,
    "CuDNNGRU": _always("kernel", "recurrent_kernel", "bias"),
    "CuDNNLSTM": _always("kernel", "recurrent_kernel", "bias"),
    "Dense": _kernel_and_bias,
    "DepthwiseConv1D": _kernel_and_bias,
    "DepthwiseConv2D": _kernel_and_bias,
    "EinsumDense": _einsum_dense,
    "Embedding": _always("embeddings"),
    "GRUCell": _cell,
    "GroupNormalization": _gamma_and_beta,
    "LSTMCell": _cell,
    "LayerNormalization": _layer_norm,
    "LayerScale": _always("gamma"),
    "LocallyConnected1D": _kernel_and_bias,
    "LocallyConnected2D": _kernel_and_bias,
    "Normalization": _normalization,
    "PReLU": _always("alpha"),
    "RMSNormalization": _always("scale"),
    "ReversibleEmbedding": _reversible_embedding,
    "STFTSpectrogram": _waves,
    "SeparableConv1D": _separable,
    "SeparableConv2D": _separable,
    "SimpleRNNCell": _cell,
    "SpectralNormalization": lambda settings: (Slot("vector_u", trainable=False),),
    "SyncBatchNormalization": _batch_norm,
}
"""The weights that a layer of each class makes itself, in its order."""

PARTS: Mapping[str, Callable[[Settings], tuple[Part, ...]]] = {
    "Bidirectional": _both_ways,
    "ConvLSTM1D": _own_cell("ConvLSTM1DCell"),
    "ConvLSTM2D": _own_cell("ConvLSTM2DCell"),
    "ConvLSTM3D": _own_cell("ConvLSTM3DCell"),
    "GRU": _own_cell("GRUCell"),
    "GroupQueryAttention": _projections,
    "GroupedQueryAttention": _projections,
    "LSTM": _own_cell("LSTMCell"),
    "MultiHeadAttention": _projections,
    "PruneLowMagnitude": _wrapped,
    "RNN": _given_cell,
    "SimpleRNN": _own_cell("SimpleRNNCell"),
    "SpectralNormalization": _wrapped,
    "TimeDistributed": _wrapped,
}
"""The parts of a composite layer of each class, in the order in which their weights are listed."""
