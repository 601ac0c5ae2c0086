"""A Keras model to the IR: layer by layer, in the order of its calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import onnx_ir as ir

from exporter.errors import CorruptError, UnsupportedError
from exporter.ir.builder import Builder
from exporter.ir.known import ShapeError
from exporter.lower.keras.arguments import refuse_unused
from exporter.lower.keras.context import Findings, LayerContext, Tensor
from exporter.lower.keras.dtypes import FLOATS, is_mixed, variable_dtype
from exporter.lower.keras.inputs import input_shape, make_input
from exporter.lower.keras.ops import Ops
from exporter.lower.keras.order import call_order, calls_by_depth
from exporter.lower.keras.refusals import REFUSED
from exporter.lower.keras.table import LAYERS, keeps_mask
from exporter.lower.keras.weights import WeightTable
from exporter.report.diagnosis import diagnose, with_statistics
from exporter.report.records import BatchNorm
from exporter.sources.keras_model import KerasLayer, KerasModel, TensorRef, flatten
from exporter.sources.keras_weights import KerasWeights

__all__ = ["LoweredKeras", "lower_keras"]


@dataclass(frozen=True)
class LoweredKeras:
    """What a Keras model has become.

    Attributes:
        model: The unfolded IR model.
        batch_norms: What each batch norm has, in the order of the model.
        warnings: What a person should know: statistics that were never updated, half precision that was widened.
    """

    model: ir.Model
    batch_norms: tuple[BatchNorm, ...]
    warnings: tuple[str, ...]


def lower_keras(
    model: KerasModel,
    weights: KerasWeights,
    *,
    name: str,
    input_shapes: Mapping[str, Sequence[int | None]] | None = None,
    steps: int | None = None,
) -> LoweredKeras:
    """The inference function of a Keras model as channels-last IR.

    Args:
        model: The configuration.
        weights: Its weights by path.
        name: The graph's name.
        input_shapes: Shapes of inputs by name, batch included, in place of the configuration's.
        steps: How many steps it was trained for, if that is known.

    Raises:
        UnsupportedError: For layers and settings without translation, all in one.
        MissingError: For weights that aren't stored, all in one.
        CorruptError: Where configuration and weights, or two layers, contradict each other.
        ValueInputError: For NaN, infinity or a negative variance.
    """
    builder = Builder(name)
    lowering = _Lowering(builder, weights, model.major)
    shapes = input_shapes or {}
    layers = {layer.name: layer for layer in model.layers}
    refs = [ref for ref in flatten(model.inputs) if isinstance(ref, TensorRef)]
    inputs = [Tensor(make_input(builder, layers[ref.layer], input_shape(layers[ref.layer], shapes))) for ref in refs]
    outputs = lowering.model(model, (), inputs)
    lowering.raise_refusals()
    lowering.weights.raise_missing()
    finished = builder.finish(_named_outputs(model, outputs))
    findings = lowering.findings
    norms = list(findings.norms.values())
    warnings = (*findings.warnings, *diagnose(norms, steps))
    return LoweredKeras(finished, with_statistics(findings.batch_norms.values(), norms, steps), warnings)


def _named_outputs(model: KerasModel, outputs: Any) -> dict[str, ir.Value]:
    """Outputs by the names of the layers they come from; further ones of a layer get _1, _2, ..."""
    named: dict[str, ir.Value] = {}
    for ref, tensor in zip(flatten(model.outputs), flatten(outputs), strict=True):
        name, count = ref.layer, 0
        while name in named:
            count += 1
            name = f"{ref.layer}_{count}"
        named[name] = tensor.value
    return named


_NONSENSE = (TypeError, ValueError, LookupError, ArithmeticError)
"""What comes of values of the wrong kind, which a configuration may hold anywhere: an axis that is text, a stride 0."""


class _Refused:
    """Stands for the results of a call that has no translation."""


class _Lowering:
    """Goes through a model and the models in it; collects what has no translation."""

    def __init__(self, builder: Builder, weights: KerasWeights, major: int) -> None:
        self.ops = Ops(builder)
        self.weights = WeightTable(builder, weights)
        self.findings = Findings()
        self._major = major
        self._refusals: dict[str, None] = {}
        self._has_custom = False

    def model(self, model: KerasModel, path: tuple[str, ...], inputs: Sequence[Tensor]) -> Any:
        """The outputs of a model, in its own nest."""
        refs = [ref for ref in flatten(model.inputs) if isinstance(ref, TensorRef)]
        if len(refs) != len(inputs):
            raise CorruptError(f"model {model.name} is called with {len(inputs)} tensors, it takes {len(refs)}")
        known: dict[tuple[str, int], tuple[Any, ...]] = {
            (ref.layer, 0): (tensor,) for ref, tensor in zip(refs, inputs, strict=True)
        }
        for layer, index in calls_by_depth(model) if self._takes_masks(model) else call_order(model):
            if (layer.name, index) not in known:
                known[layer.name, index] = self._call(layer, index, path, known)
        return _substitute(model.outputs, known)

    def _takes_masks(self, model: KerasModel) -> bool:
        """Whether a layer takes masks away from its inputs, so that Keras's own order counts."""
        return self._major >= 3 and any(
            layer.class_name == "MultiHeadAttention" or (layer.model is not None and self._takes_masks(layer.model))
            for layer in model.layers
        )

    def raise_refusals(self) -> None:
        """UnsupportedError that names everything without translation."""
        if self._refusals:
            custom = "If a class of your own is a known layer at inference, say so with --custom NAME=LAYER. "
            raise UnsupportedError(
                f"{len(self._refusals)} parts of the model have no translation: {'; '.join(self._refusals)}",
                hint=(custom if self._has_custom else "")
                + "Cut the model before them, or save it as a SavedModel, which holds the graph of most layers",
            )

    def _call(
        self, layer: KerasLayer, index: int, path: tuple[str, ...], known: Mapping[tuple[str, int], tuple[Any, ...]]
    ) -> tuple[Any, ...]:
        if layer.is_input:
            raise CorruptError(f"{layer.settings.owner} is used, but it is not among the model's inputs")
        call = layer.calls[index]
        args = tuple(_substitute(arg, known) for arg in call.args)
        kwargs = {key: _substitute(value, known) for key, value in call.kwargs.items()}
        if layer.model is None and _key(layer) not in LAYERS:
            self._refusals[f"{layer.settings.owner}{_why(layer)}"] = None
            self._has_custom |= layer.class_name not in REFUSED
            return (_Refused(),)
        if any(isinstance(leaf, _Refused) for leaf in flatten([list(args), kwargs])):
            return (_Refused(),)
        try:
            return self._lower(layer, (*path, layer.name), args, kwargs)
        except UnsupportedError as error:
            self._refusals[str(error)] = None
            return (_Refused(),)

    def _lower(
        self, layer: KerasLayer, path: tuple[str, ...], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> tuple[Tensor, ...]:
        name = "/".join(path)
        with self.ops.builder.source(name):
            if layer.model is not None:
                outputs = self.model(layer.model, path, _masked(_arguments(layer.model, args, kwargs), kwargs))
                results = tuple(flatten(outputs))
            else:
                results = self._layer(layer, path, args, kwargs)
        return results

    def _layer(
        self, layer: KerasLayer, path: tuple[str, ...], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> tuple[Tensor, ...]:
        if _key(layer) not in LAYERS:
            raise UnsupportedError(f"{layer.settings.owner}{_why(layer)}")
        if layer.origin == "keras":
            if is_mixed(layer.settings):
                self.findings.warn("the model computes in half precision with float32 weights: float32 is exported")
            dtype = variable_dtype(layer.settings)
            args = [self._autocast(arg, dtype) for arg in args]
            kwargs = {key: self._autocast(value, dtype) for key, value in kwargs.items()}
        ctx = LayerContext(
            self.ops, layer, path, tuple(args), kwargs, self.weights, self.findings, self._major, self._inside
        )
        try:
            result = LAYERS[_key(layer)](ctx)
        except ShapeError as error:
            raise CorruptError(f"{layer.settings.owner} doesn't go with its input: {error}") from error
        except _NONSENSE as error:
            text = f"{layer.settings.owner}: its settings or the arguments of its call can't be meant: {error}"
            raise CorruptError(text) from error
        refuse_unused(ctx)
        results = result if isinstance(result, tuple) else (result,)
        self._name(results, "/".join(path))
        keeps = layer.origin == "keras" and keeps_mask(layer.class_name, self._major)
        mask = ctx.mask if keeps else None
        return tuple(each if isinstance(each, Tensor) else Tensor(each, mask) for each in results)

    def _inside(self, layer: KerasLayer, path: tuple[str, ...], args: Sequence[Any]) -> tuple[Tensor, ...]:
        return self._lower(layer, path, args, {})

    def _autocast(self, nest: Any, dtype: ir.DataType) -> Any:
        """Float tensors in the type that a layer computes in."""
        if isinstance(nest, Tensor):
            differs = {nest.value.dtype, dtype} <= FLOATS and nest.value.dtype != dtype
            return Tensor(self.ops.cast(nest.value, dtype), nest.mask) if differs else nest
        if isinstance(nest, Mapping):
            return {key: self._autocast(value, dtype) for key, value in nest.items()}
        if isinstance(nest, list | tuple):
            return [self._autocast(item, dtype) for item in nest]
        return nest

    def _name(self, results: Sequence[Any], name: str) -> None:
        """The layer's name on what it gives, if that is made by it."""
        for result in results:
            value = result.value if isinstance(result, Tensor) else result
            node = value.producer()
            if node is not None and node.metadata_props.get("source") == name:
                self.ops.builder.rename(value, name)


def _key(layer: KerasLayer) -> str:
    return layer.class_name if layer.origin == "keras" else f"{layer.origin}:{layer.class_name}"


def _why(layer: KerasLayer) -> str:
    if layer.origin == "custom":
        return " is not one of Keras's own"
    return f" {REFUSED[layer.class_name]}" if layer.class_name in REFUSED else " is not translated"


def _arguments(model: KerasModel, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Tensor]:
    """The tensors that a nested model is called with, in the order of its inputs."""
    given = args[0] if args else kwargs.get("inputs")
    if isinstance(given, Mapping) and not isinstance(model.inputs, Mapping):
        names = [ref.layer for ref in flatten(model.inputs)]
        if set(names) == set(given):
            return [given[name] for name in names]
    return [leaf for leaf in flatten(given) if isinstance(leaf, Tensor)]


def _masked(tensors: list[Tensor], kwargs: Mapping[str, Any]) -> list[Tensor]:
    """The tensors with the masks that a model's call names; Keras hangs them on the tensors themselves."""
    for tensor, mask in zip(tensors, flatten(kwargs.get("mask")), strict=False):
        if isinstance(mask, Tensor):
            tensor.mask = mask.value
    return tensors


def _substitute(nest: Any, known: Mapping[tuple[str, int], tuple[Any, ...]]) -> Any:
    """Tensors in place of references."""
    if isinstance(nest, TensorRef):
        results = known[nest.layer, nest.call]
        if any(isinstance(result, _Refused) for result in results):
            return results[0]
        if nest.port >= len(results):
            raise CorruptError(f"result {nest.port} of layer {nest.layer!r} is used, it has {len(results)}")
        return results[nest.port]
    if isinstance(nest, Mapping):
        return {key: _substitute(value, known) for key, value in nest.items()}
    if isinstance(nest, list | tuple):
        return [_substitute(item, known) for item in nest]
    if isinstance(nest, slice):
        return slice(*(_substitute(part, known) for part in (nest.start, nest.stop, nest.step)))
    return nest
