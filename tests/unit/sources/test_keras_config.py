"""Configurations as data: both writings of calls, old forms, and what a hostile file may say."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from exporter.errors import CorruptError, ExportError, MissingError, UnsupportedError, UsageError
from exporter.lower.keras.driver import lower_keras
from exporter.sources.keras_config import read_model
from exporter.sources.keras_model import KerasModel, TensorRef
from exporter.sources.keras_weights import KerasWeights

_NO_WEIGHTS = KerasWeights("no file", {})


def _layer(class_name: str, name: str, inbound: Any, **config: Any) -> dict[str, Any]:
    return {"class_name": class_name, "name": name, "config": {"name": name, **config}, "inbound_nodes": inbound}


def _old(*names: str, **kwargs: Any) -> list[Any]:
    return [[[name, 0, 0, kwargs] for name in names]]


def _new(*names: str, **kwargs: Any) -> list[Any]:
    tensors = [{"class_name": "__keras_tensor__", "config": {"keras_history": [name, 0, 0]}} for name in names]
    return [{"args": tensors if len(tensors) == 1 else [tensors], "kwargs": kwargs}]


def _functional(*layers: dict[str, Any], end: str) -> dict[str, Any]:
    first = _layer("InputLayer", "x", [], batch_input_shape=[None, 4], dtype="float32")
    config = {
        "name": "m",
        "layers": [first, *layers],
        "input_layers": [["x", 0, 0]],
        "output_layers": [[end, 0, 0]],
    }
    return {"class_name": "Functional", "config": config}


def _lower(document: Any) -> Any:
    return lower_keras(read_model(document), _NO_WEIGHTS, name="m").model


@pytest.mark.parametrize("write", [_old, _new], ids=["keras2", "keras3"])
def test_both_writings_of_calls(write: Any) -> None:
    """A call with several tensors reads the same in either writing."""
    model = read_model(_functional(_layer("Add", "sum", write("x", "x"), trainable=True), end="sum"))
    (call,) = model.layers[1].calls
    assert call.args == ([TensorRef("x", 0, 0), TensorRef("x", 0, 0)],)


@pytest.mark.parametrize("settings", [{}, {"dtype": None}, {"dtype": "float32"}])
def test_operations_without_modules(settings: dict[str, Any]) -> None:
    """What Keras 3 calls between layers is told from a layer in .h5 files, also if its settings have a type."""
    model = read_model(_functional(_layer("ZerosLike", "z", _new("x"), **settings), end="z"))
    assert model.layers[1].origin == "ops"
    trained = read_model(_functional(_layer("ZerosLike", "z", _new("x"), trainable=True, **settings), end="z"))
    assert trained.layers[1].origin == "keras"


def test_the_version_is_told_by_the_writing() -> None:
    """Without a version number, the way inputs are written decides; a number wins."""
    document = _functional(_layer("ReLU", "r", _old("x")), end="r")
    assert read_model(document).major == 2
    assert read_model(document, version="3.1.0").major == 3
    assert read_model({**document, "keras_version": "2.4.0"}).major == 2


def test_the_first_call_of_an_old_nested_model_is_one() -> None:
    """Keras 2 counts the construction of a nested model as call 0; references are numbered from 0 here."""
    inner = _functional(_layer("ReLU", "r", _old("x")), end="r")
    nested = {**inner, "name": "inner", "inbound_nodes": _old("x")}
    outer = _functional(nested, end="inner")
    outer["config"]["output_layers"] = [["inner", 1, 0]]
    assert read_model(outer).outputs == [TensorRef("inner", 0, 0)]
    assert len(_lower(outer).graph) == 1


def test_sequential_as_a_bare_list() -> None:
    """The oldest Sequentials are a list of layers, the input shape being a setting of the first."""
    layers = [{"class_name": "ReLU", "config": {"name": "r", "batch_input_shape": [None, 3]}}]
    model = _lower({"class_name": "Sequential", "config": layers})
    assert [str(value.name) for value in model.graph.inputs] == ["r_input"]
    assert str(model.graph.outputs[0].shape) == "[N,3]"


def test_sequential_without_a_shape() -> None:
    """A Sequential that was never built has no shape: the error says how to give one, and giving it helps."""
    document = {"class_name": "Sequential", "config": {"name": "s", "layers": [_layer("ReLU", "r", [])]}}
    with pytest.raises(UsageError, match="--input r_input="):
        _lower(document)
    lowered = lower_keras(read_model(document), _NO_WEIGHTS, name="m", input_shapes={"r_input": (None, 7)})
    assert str(lowered.model.graph.outputs[0].shape) == "[N,7]"


def test_everything_without_translation_is_named_at_once() -> None:
    """Lambda, custom and unknown layers, also behind each other and inside wrappers, come in one error."""
    document = _functional(
        _layer("Lambda", "code", _old("x"), function=["4wEAAAA=", None, None]),
        _layer("Custom>Mine", "mine", _old("code")),
        {**_layer("Dense", "evil", _old("mine"), units=2), "module": "os"},
        _layer("TFSMLayer", "saved", _old("evil"), filepath="/etc/passwd"),
        _layer("TimeDistributed", "steps", _old("x"), layer={"class_name": "Lambda", "config": {"name": "l"}}),
        _layer("Activation", "strange", _old("x"), activation="my_function"),
        _layer("Add", "sum", _old("saved", "steps", "strange")),
        end="sum",
    )
    with pytest.raises(UnsupportedError) as caught:
        _lower(document)
    for name in ("code (Lambda)", "mine (Custom>Mine)", "evil (Dense)", "saved (TFSMLayer)", "l (Lambda)", "strange"):
        assert name in str(caught.value)
    assert "sum" not in str(caught.value)


def test_a_vocabulary_file_is_not_opened() -> None:
    """A lookup layer that names a file is refused by its class."""
    document = _functional(_layer("StringLookup", "words", _old("x"), vocabulary="/etc/passwd"), end="words")
    with pytest.raises(UnsupportedError, match="words"):
        _lower(document)


def test_what_a_call_says_is_never_ignored() -> None:
    """An argument that the translation knows nothing of is refused."""
    document = _functional(_layer("ReLU", "r", _old("x", surprise=3)), end="r")
    with pytest.raises(UnsupportedError, match="surprise"):
        _lower(document)


def test_missing_weights_are_all_named() -> None:
    """Every weight that isn't stored is in the one error, with its shape."""
    document = _functional(
        _layer("Dense", "d", _old("x"), units=3), _layer("BatchNormalization", "b", _old("d"), axis=-1), end="b"
    )
    with pytest.raises(MissingError) as caught:
        _lower(document)
    for name in ("d/kernel [4, 3]", "d/bias [3]", "b/gamma [3]", "b/moving_variance [3]"):
        assert name in str(caught.value)


def test_subclassed_models_have_no_layers() -> None:
    """The configuration of a subclassed model is refused with what to do instead."""
    with pytest.raises(UnsupportedError, match="SavedModel"):
        read_model({"class_name": "Functional", "config": {"name": "mine"}})
    with pytest.raises(UnsupportedError, match="SavedModel"):
        read_model({"class_name": "MyModel", "config": {}, "module": "my.package", "registered_name": "MyModel"})


def _broken() -> dict[str, Any]:
    good = _functional(_layer("Dense", "d", _old("x"), units=3), _layer("ReLU", "r", _old("d")), end="r")
    cases: dict[str, Any] = {"nothing": None, "a list": [], "no class": {}, "a number": {"class_name": 3}}

    def edit(name: str, change: Any) -> None:
        document = copy.deepcopy(good)
        change(document["config"])
        cases[name] = document

    edit("layers are text", lambda c: c.update(layers="x"))
    edit("a layer is a number", lambda c: c["layers"].append(3))
    edit("a layer without a name", lambda c: c["layers"][1].update(name=None, config={}))
    edit("a layer twice", lambda c: c["layers"].append(c["layers"][1]))
    edit("config is a text", lambda c: c["layers"][1].update(config="x"))
    edit("units is text", lambda c: c["layers"][1]["config"].update(units="3"))
    edit("units is missing", lambda c: c["layers"][1]["config"].pop("units"))
    edit("use_bias is a number", lambda c: c["layers"][1]["config"].update(use_bias=1.5))
    edit("calls are text", lambda c: c["layers"][1].update(inbound_nodes="abc"))
    edit("a call is a number", lambda c: c["layers"][1].update(inbound_nodes=[3]))
    edit("a negative call", lambda c: c["layers"][1].update(inbound_nodes=[[["x", -1, 0, {}]]]))
    edit("a call of nothing", lambda c: c["layers"][1].update(inbound_nodes=[[["nobody", 0, 0, {}]]]))
    edit("a call that isn't made", lambda c: c["layers"][2].update(inbound_nodes=[[["d", 7, 0, {}]]]))
    edit("a result that isn't there", lambda c: c["layers"][2].update(inbound_nodes=[[["d", 0, 5, {}]]]))
    edit("its own result", lambda c: c["layers"][1].update(inbound_nodes=[[["r", 0, 0, {}]]]))
    edit("an output of nothing", lambda c: c.update(output_layers=[["nobody", 0, 0]]))
    edit("outputs are numbers", lambda c: c.update(output_layers=[1, 2]))
    edit("inputs are missing", lambda c: c.pop("input_layers"))
    edit("the input has no shape", lambda c: c["layers"][0]["config"].update(batch_input_shape="abc"))
    edit("the input has a negative size", lambda c: c["layers"][0]["config"].update(batch_input_shape=[None, -4]))
    edit("the input is of rank 0", lambda c: c["layers"][0]["config"].update(batch_input_shape=[None]))
    edit("the input is text", lambda c: c["layers"][0]["config"].update(dtype="string"))
    edit("dtype is a list", lambda c: c["layers"][1]["config"].update(dtype=[1]))
    edit("an int8 policy", lambda c: c["layers"][1]["config"].update(dtype={"class_name": "Q", "config": {}}))
    return cases


@pytest.mark.parametrize("document", _broken().values(), ids=_broken())
def test_broken_configurations(document: Any) -> None:
    """What no version of Keras writes is refused by one of our errors, never by another exception."""
    with pytest.raises(ExportError):
        _lower(document)


def test_a_long_chain() -> None:
    """Thousands of layers in a row are no deeper than one."""
    layers = [_layer("ReLU", f"r{i}", _old(f"r{i - 1}" if i else "x")) for i in range(3000)]
    model = read_model(_functional(*layers, end="r2999"))
    assert isinstance(model, KerasModel)
    assert len(lower_keras(model, _NO_WEIGHTS, name="m").model.graph) == 3000


def test_a_cycle_is_found() -> None:
    """Layers that need each other's results are refused."""
    document = _functional(_layer("ReLU", "a", _old("b")), _layer("ReLU", "b", _old("a")), end="b")
    with pytest.raises(CorruptError, match="its own result"):
        _lower(document)
