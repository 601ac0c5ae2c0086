"""The JSON configuration of a Keras model (Keras 2, tf.keras, Keras 3) as records.

It is data: nothing that it names is imported or run. What a layer means is decided where it is lowered, by its name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from exporter.errors import CorruptError, UnsupportedError
from exporter.sources.keras_age import refuse_keras_1
from exporter.sources.keras_calls import read_calls, read_ends
from exporter.sources.keras_custom import WRITTEN_AS
from exporter.sources.keras_model import KerasCall, KerasLayer, KerasModel, TensorRef, flatten
from exporter.sources.keras_parallel import without_towers
from exporter.sources.keras_settings import Settings, expect_list, expect_mapping, expect_text

__all__ = ["read_layer", "read_model"]

_FUNCTIONAL = frozenset({"Functional", "Model"})
_TF_CALLS = frozenset({"TFOpLambda", "SlicingOpLambda"})
_OWN_PACKAGES = frozenset({"keras", "tf_keras", "tensorflow"})
_WRAPPERS = frozenset({"PruneLowMagnitude"})
"""Wrappers of tensorflow_model_optimization that are their inner layer at inference."""


def read_model(document: object, *, version: str | None = None) -> KerasModel:
    """A model from `model.to_json()`, the `model_config` of an .h5 file or the config.json of a .keras archive.

    Args:
        document: The JSON.
        version: The `keras_version` beside it, if there is one; else it is told by the writing.

    Raises:
        CorruptError: Where it contradicts itself or is not what any version of Keras writes.
        UnsupportedError: For a subclassed model, whose computation is Python code and not in the file.
    """
    record = expect_mapping(document, "the model configuration")
    class_name = expect_text(record.get("class_name"), "the model's class_name")
    origin = _origin(record, class_name)
    if not (class_name == "Sequential" or class_name in _FUNCTIONAL) or origin != "keras":
        raise UnsupportedError(
            f"the model is of class {class_name[:80]!r}, whose computation is Python code that the file doesn't hold",
            hint="Only Sequential and functional models can be read from a configuration; save it as a SavedModel, "
            "which holds the graph",
        )
    written = version or record.get("keras_version")
    refuse_keras_1({}, "the model", str(written or ""))
    model = _model(class_name, record.get("config"))
    return without_towers(replace(model, major=_major(model, written)))


def read_layer(record: object, owner: str) -> KerasLayer:
    """A layer that stands alone in a setting of another one, as the `layer` of `Bidirectional`."""
    return _layer(expect_mapping(record, owner), ())


def _model(class_name: str, config: object) -> KerasModel:
    if class_name == "Sequential":
        return _sequential(config)
    settings = expect_mapping(config, "the configuration of a functional model")
    name = str(settings.get("name") or "model")
    if "layers" not in settings or "output_layers" not in settings:
        raise UnsupportedError(
            f"model {name[:80]!r} is subclassed: its configuration has no layers",
            hint="Save it as a SavedModel, which holds the graph",
        )
    records = [expect_mapping(item, f"model {name}: layer") for item in expect_list(settings["layers"], "layers")]
    names = [_name(record) for record in records]
    _refuse_twice(names, name)
    layers = tuple(_layer(record, frozenset(names)) for record in records)
    inputs = read_ends(settings.get("input_layers"), frozenset(names), f"model {name}: input_layers")
    outputs = read_ends(settings["output_layers"], frozenset(names), f"model {name}: output_layers")
    return _settle_calls(KerasModel(name, layers, inputs, outputs))


def _sequential(config: object) -> KerasModel:
    settings: Mapping[str, Any] = config if isinstance(config, Mapping) else {"layers": config}
    name = str(settings.get("name") or "sequential")
    records = [expect_mapping(item, f"model {name}: layer") for item in expect_list(settings.get("layers"), "layers")]
    layers = [_layer(record, ()) for record in records]
    if not layers or not layers[0].is_input:
        layers.insert(0, _implied_input(name, layers[:1], settings.get("build_input_shape")))
    _refuse_twice([layer.name for layer in layers], name)
    chain = [layers[0]]
    for layer in layers[1:]:
        call = KerasCall((TensorRef(chain[-1].name, 0, 0),), {})
        chain.append(replace(layer, calls=(call,)))
    start, end = TensorRef(chain[0].name, 0, 0), TensorRef(chain[-1].name, 0, 0)
    return KerasModel(name, tuple(chain), start, end, is_sequential=True)


def _implied_input(model: str, first: Sequence[KerasLayer], built: object) -> KerasLayer:
    """The input that a Sequential without an `InputLayer` has: from its first layer, or as it was built.

    One without any layers gives what it is given.
    """
    if not first:
        return _input_layer(f"{model}_input", built, None)
    (layer,) = first
    settings = layer.settings
    shape = settings.raw("batch_input_shape") or settings.raw("batch_shape") or built
    if shape is None and layer.model is not None and layer.model.layers[0].is_input:
        inner = layer.model.layers[0].settings
        shape = inner.raw("batch_input_shape") or inner.raw("batch_shape")
    dtype = settings.raw("dtype") if layer.model is None and layer.class_name != "Embedding" else None
    return _input_layer(f"{layer.name}_input", shape, dtype)


def _input_layer(name: str, shape: object, dtype: object) -> KerasLayer:
    values = {"name": name, "batch_shape": shape, "dtype": dtype}
    return KerasLayer(name, "InputLayer", "keras", Settings(f"input {name}", values))


def _layer(record: Mapping[str, Any], names: Iterable[str]) -> KerasLayer:
    class_name = expect_text(record.get("class_name"), "a layer's class_name")
    bare = class_name.rpartition(">")[2]
    if bare in _WRAPPERS:
        class_name, record = bare, {**record, "module": "keras.layers", "registered_name": None}
    name, origin = _name(record), _origin(record, class_name)
    owner = f"layer {name[:80]} ({class_name[:80]})"
    is_model = origin == "keras" and (class_name == "Sequential" or class_name in _FUNCTIONAL)
    config = record.get("config")
    values = {} if config is None or isinstance(config, list | tuple) else expect_mapping(config, f"{owner}: config")
    _refuse_quantised(values, owner)
    if origin == "keras":
        refuse_keras_1(record, owner)
    return KerasLayer(
        name=name,
        class_name=class_name,
        origin=origin,
        settings=Settings(owner, values),
        calls=read_calls(record.get("inbound_nodes", []), frozenset(names), owner),
        model=_model(class_name, config) if is_model else None,
        trainable=values.get("trainable") is not False,
        written_as=written if isinstance(written := record.get(WRITTEN_AS), str) else None,
    )


def _refuse_quantised(values: Mapping[str, Any], owner: str) -> None:
    """UnsupportedError for a layer that Keras 3 has quantised: its weights are other ones, with scales beside them."""
    policy = values.get("dtype")
    config = policy.get("config") if isinstance(policy, Mapping) else None
    mode = config.get("mode") if isinstance(config, Mapping) else None
    if isinstance(policy, str) and "_from_" in policy:
        mode = policy
    if mode is not None:
        raise UnsupportedError(
            f"{owner} is quantised ({str(mode)[:20]}), which is not translated",
            hint="Export the model as it was before model.quantize()",
        )


def _major(model: KerasModel, version: object) -> int:
    """2 or 3, from a version number or from how inputs and dtypes are written."""
    if isinstance(version, str) and version[:1].isdigit():
        return 3 if int(version.split(".")[0]) >= 3 else 2
    settings = [layer.settings for layer in model.layers]
    old = any("batch_input_shape" in each for each in settings)
    new = any("batch_shape" in each or isinstance(each.raw("dtype"), Mapping) for each in settings)
    return 3 if new and not old else 2


def _name(record: Mapping[str, Any]) -> str:
    config = record.get("config")
    name = record.get("name")
    if name is None and isinstance(config, Mapping):
        name = config.get("name")
    if name is None and record.get("class_name") in ("Sequential", "Model", "Functional"):
        name = "model"
    return expect_text(name, "a layer's name")


def _origin(record: Mapping[str, Any], class_name: str) -> str:
    module, registered = record.get("module"), record.get("registered_name")
    package = str(module).split(".", 1)[0] if module is not None else "keras"
    if package not in _OWN_PACKAGES or ">" in class_name or ">" in str(registered or ""):
        return "custom"
    if class_name in _TF_CALLS:
        return "tf"
    if module is None:
        return "ops" if _looks_like_operation(record) else "keras"
    return "ops" if str(module).startswith(("keras.src.ops", "keras.ops")) else "keras"


def _looks_like_operation(record: Mapping[str, Any]) -> bool:
    """Whether it is an operation of Keras 3 in an .h5 file, which has no modules: every layer can be trained or not."""
    config, nodes = record.get("config"), record.get("inbound_nodes")
    called = isinstance(nodes, list | tuple) and any(isinstance(node, Mapping) and "args" in node for node in nodes)
    return called and isinstance(config, Mapping) and not {"trainable", "layers"} & config.keys()


def _refuse_twice(names: list[str], model: str) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise CorruptError(f"model {model!r} has several layers named {', '.join(map(repr, twice[:5]))}")


def _settle_calls(model: KerasModel) -> KerasModel:
    """Numbers the calls of nested models from 0, where Keras counted their construction as one; checks the rest."""
    refs = [
        ref for layer in model.layers for call in layer.calls for ref in flatten([list(call.args), dict(call.kwargs)])
    ]
    refs += flatten([model.inputs, model.outputs])
    highest: dict[str, int] = {}
    for ref in refs:
        if isinstance(ref, TensorRef):
            highest[ref.layer] = max(ref.call, highest.get(ref.layer, 0))
    shift = {}
    for layer in model.layers:
        count = max(len(layer.calls), 1 if layer.is_input else 0)
        top = highest.get(layer.name, 0)
        if top == count and layer.model is not None and count:
            shift[layer.name] = 1
        elif top >= count and layer.name in highest:
            raise CorruptError(f"{layer.settings.owner} is called {count} times, but call {top} is used")
    if not shift:
        return model
    layers = []
    for layer in model.layers:
        calls = []
        for call in layer.calls:
            kwargs = {key: _shifted(value, shift) for key, value in call.kwargs.items()}
            calls.append(KerasCall(tuple(_shifted(arg, shift) for arg in call.args), kwargs))
        layers.append(replace(layer, calls=tuple(calls)))
    inputs, outputs = _shifted(model.inputs, shift), _shifted(model.outputs, shift)
    return KerasModel(model.name, tuple(layers), inputs, outputs)


def _shifted(nest: Any, shift: Mapping[str, int]) -> Any:
    if isinstance(nest, TensorRef):
        return TensorRef(nest.layer, max(nest.call - shift.get(nest.layer, 0), 0), nest.port)
    if isinstance(nest, Mapping):
        return {key: _shifted(value, shift) for key, value in nest.items()}
    if isinstance(nest, list | tuple):
        return [_shifted(item, shift) for item in nest]
    return nest
