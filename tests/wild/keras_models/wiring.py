"""Joins layers to a graph: each takes a tensor of a rank that it can take, those that Keras refuses are left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.wild.keras_models.layers import KINDS, Kind

__all__ = ["Wiring"]

_MODEL = Kind((0, 2, 3, 4, 5), lambda _: {})
"""What a model inside the model takes."""

_TRIES = 4


class Wiring:
    """The tensors of a graph that is being built.

    Args:
        keras: The version of Keras.
        inputs: Its inputs.
    """

    def __init__(self, keras: Any, inputs: Sequence[Any]) -> None:
        self._keras = keras
        self._inputs = list(inputs)
        self._tensors = list(inputs)
        self._taken = {id(tensor) for tensor in inputs}
        self._reached = {id(tensor): frozenset({place}) for place, tensor in enumerate(inputs)}
        self._last: Any = None
        self._ranks: Sequence[int] = ()

    def add(self, node: Mapping[str, Any]) -> None:
        """Another layer, at the first of the tensors meant for it that Keras can build it on."""
        again = bool(node.get("again")) and self._last is not None
        kind = KINDS.get(node["kind"], _MODEL)
        candidates = self._candidates(node, self._ranks if again else kind.ranks)
        for start in range(min(len(candidates), _TRIES)):
            try:
                layer = self._last if again else self._model(node) if kind is _MODEL else self._layer(node)
                count = 1 if again else node["options"].get("count", kind.count)
                self._put(layer, candidates[start:] + candidates[:start], count, alike=kind.alike)
                return
            except Exception:  # noqa: BLE001 - whatever Keras says of a layer that doesn't go with its input
                continue

    def ends(self, most: int) -> list[Any]:
        """The last tensors that nothing takes."""
        return [tensor for tensor in self._tensors if id(tensor) not in self._taken][-most:]

    def reached(self, tensors: Sequence[Any]) -> list[int]:
        """The places of the inputs that any of the tensors is computed from."""
        return sorted(set().union(*(self._reached[id(tensor)] for tensor in tensors)))

    def _candidates(self, node: Mapping[str, Any], ranks: Sequence[int]) -> list[Any]:
        """Tensors of these ranks, the one that is meant first."""
        if "of" in node:
            return self._inputs[node["of"] :][:1]
        found = [tensor for tensor in reversed(self._tensors) if _rank(tensor) in ranks]
        start = int(node["at"] * len(found))
        return found[start:] + found[:start]

    def _put(self, layer: Any, candidates: list[Any], count: int, *, alike: bool) -> None:
        first = candidates[0]
        taken = [first]
        if count > 1:
            others = [each for each in candidates if not alike or tuple(each.shape) == tuple(first.shape)]
            taken = [others[place % len(others)] for place in range(count)]
        result = layer(*taken)
        if layer is self._last:
            self._ranks = (len(first.shape),)
        results = result if isinstance(result, list | tuple) else [result]
        self._tensors += [each for each in results if 2 <= len(each.shape) <= 5]
        inputs = frozenset().union(*(self._reached[id(each)] for each in taken))
        self._reached |= {id(each): inputs for each in results}
        self._taken |= {id(each) for each in taken}

    def _layer(self, node: Mapping[str, Any]) -> Any:
        """A function that makes a result of tensors."""
        layers, name = self._keras.layers, node["kind"]
        options = {key: _tuples(value) for key, value in node["options"].items() if key not in _OF_THE_CALL}
        if name in _OPERATIONS:
            return lambda *xs: _OPERATIONS[name](self._keras, options, *xs)
        if name == "Bidirectional":
            inner = getattr(layers, options["inner"])(**node["options"]["options"])
            merge = {"merge_mode": options["merge_mode"]} if "merge_mode" in options else {}
            return self._remember(layers.Bidirectional(inner, **merge))
        if name == "TimeDistributed":
            return lambda x: layers.TimeDistributed(_inner(self._keras, options["inner"], x))(x)
        if name == "RNN":
            cells = [getattr(layers, cell)(units) for cell, units in options["cells"]]
            return layers.RNN(cells if len(cells) > 1 else cells[0], **node["options"]["options"])
        if name == "SpectralNormalization":
            inner_of = {2: lambda: layers.Dense(3), 4: lambda: layers.Conv2D(3, 2)}
            return lambda x: layers.SpectralNormalization(inner_of[len(x.shape)]())(x)
        if name == "Permute":
            return lambda x: layers.Permute(tuple(range(len(x.shape) - 1, 0, -1)))(x)
        layer = getattr(layers, name)(**options)
        if name.endswith("Attention"):
            return _attention(name, layer, node["options"])
        if KINDS[name].count > 1:
            return lambda *xs: layer(list(xs))
        return self._remember(layer)

    def _remember(self, layer: Any) -> Any:
        self._last = layer
        return layer

    def _model(self, node: Mapping[str, Any]) -> Any:
        """A model inside the model, of an input like the tensor that it takes."""
        keras = self._keras

        def call(x: Any) -> Any:
            start = keras.Input(tuple(x.shape)[1:], dtype=getattr(x.dtype, "name", x.dtype))
            inside = Wiring(keras, [start])
            for each in node["nodes"]:
                inside.add(each)
            (end,) = inside.ends(1)
            model = self._remember(keras.Model(start, end))
            return model(x)

        if node["options"]["way"] == "functional":
            return call
        chain = [KINDS[each["kind"]] for each in node["nodes"] if each["kind"] in KINDS]
        members = [each for each in node["nodes"] if each["kind"] in KINDS and each["kind"][0].isupper()]
        simple = [each for each, kind in zip(members, chain, strict=False) if kind.count == 1]
        return self._remember(keras.Sequential([self._layer(each) for each in simple]))


_OF_THE_CALL = ("causal", "count", "scores")
"""Options of the layer's call."""


def _rank(tensor: Any) -> int:
    """The rank, 0 for integers."""
    kind = str(getattr(tensor.dtype, "name", tensor.dtype))
    return 0 if kind.startswith("int") else len(tensor.shape)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _attention(name: str, layer: Any, options: Mapping[str, Any]) -> Callable[..., Any]:
    """A call with query, value and perhaps key; causal, with the scores beside, where that is drawn."""
    called = {"use_causal_mask": True} if options.get("causal") else {}
    if options.get("scores"):
        called["return_attention_scores"] = True
    if name in ("Attention", "AdditiveAttention"):
        return lambda *xs: layer(list(xs), **called)
    return lambda *xs: layer(*xs, **called)


def _inner(keras: Any, name: str, x: Any) -> Any:
    """What `TimeDistributed` is put around, fit for the parts of x."""
    layers, rank = keras.layers, len(x.shape)
    if name == "Conv":
        return {3: layers.Dense, 4: lambda n: layers.Conv1D(n, 2), 5: lambda n: layers.Conv2D(n, 2)}[rank](3)
    if name == "Model":
        start = keras.Input(tuple(x.shape)[2:])
        return keras.Model(start, layers.Dense(2)(layers.Dropout(0.5)(start)))
    if name == "Masked":
        return keras.Sequential([keras.Input(tuple(x.shape)[2:]), layers.Masking(), layers.LSTM(3)])
    made = {
        "Dense": lambda: layers.Dense(3),
        "Flatten": layers.Flatten,
        "BatchNorm": layers.BatchNormalization,
        "LSTM": lambda: layers.LSTM(3),
        "Bidirectional": lambda: layers.Bidirectional(layers.GRU(2)),
    }
    return made[name]()


def _arithmetic(keras: Any, options: Mapping[str, Any], x: Any) -> Any:
    by = options["by"]
    ways = {"+": lambda: x + by, "-": lambda: x - by, "*": lambda: x * by, "/": lambda: x / by, "r-": lambda: by - x}
    return ways[options["way"]]() if options["way"] in ways else x**2


def _joined(keras: Any, options: Mapping[str, Any], x: Any, y: Any) -> Any:
    return {"+": lambda: x + y, "-": lambda: x - y, "*": lambda: x * y}[options["way"]]()


def _slice(keras: Any, options: Mapping[str, Any], x: Any) -> Any:
    part = slice(options["start"] if options["step"] > 0 else None, None, options["step"])
    return x[:, part] if options["axis"] == 1 else x[..., part]


def _reduced(keras: Any, options: Mapping[str, Any], x: Any) -> Any:
    if keras.__version__.startswith("3"):
        return getattr(keras.ops, options["way"])(x, axis=options["axis"], keepdims=True)
    import tensorflow as tf

    return getattr(tf, f"reduce_{options['way']}" if options["way"] != "std" else "abs")(
        *[x] if options["way"] == "std" else [x, options["axis"], True]
    )


def _far(keras: Any, options: Mapping[str, Any], x: Any) -> Any:
    """A mask's usual way to switch off: a number so large that it drowns the rest, subtracted after."""
    y = x + options["by"]
    return y - options["by"] if options["by"] < 1e6 and options["by"] > 0 else keras.layers.Softmax()(y)


def _handed_on(keras: Any, options: Mapping[str, Any], x: Any, y: Any) -> Any:
    kind, units = getattr(keras.layers, options["inner"]), options["units"]
    _, *states = kind(units, return_state=True)(x)
    return kind(units, return_sequences=options["return_sequences"])(y, initial_state=states)


def _masked(keras: Any, options: Mapping[str, Any], x: Any) -> Any:
    """A mask that is computed by hand, and given by name."""
    first = x[..., 0]
    mask = keras.ops.not_equal(first, 0) if keras.__version__.startswith("3") else first > 0
    kind = getattr(keras.layers, options["inner"])
    return (kind() if options["inner"].startswith("Global") else kind(3))(x, mask=mask)


def _masked_softmax(keras: Any, options: Mapping[str, Any], x: Any) -> Any:
    return keras.layers.Softmax(**options)(x, x > 0)


_OPERATIONS: Mapping[str, Callable[..., Any]] = {
    "arithmetic": _arithmetic,
    "far": _far,
    "handed_on": _handed_on,
    "joined": _joined,
    "masked": _masked,
    "masked_softmax": _masked_softmax,
    "reduced": _reduced,
    "Slice": _slice,
}
