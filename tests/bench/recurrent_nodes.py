"""How many nodes recurrent layers become, here and with tf2onnx, those inside of loops counted.

    TF_USE_LEGACY_KERAS=1 python -m tests.bench.recurrent_nodes

freezes layers of Keras and cells of TensorFlow 1, exports each twice, and prints a table. The exit status is 1 if one
of them has more nodes here.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import onnx

import exporter

__all__ = ["main"]

_STEPS, _WIDTH, _UNITS = 6, 4, 5


def _layers(tf: Any) -> dict[str, Callable[[Any], Any]]:
    """Layers of Keras on [batch, steps, width]."""
    from tf_keras import layers

    found: dict[str, Callable[[Any], Any]] = {}
    for kind in (layers.LSTM, layers.GRU, layers.SimpleRNN):
        for name, options in {"": {}, " of all steps": {"return_sequences": True}}.items():
            found[f"{kind.__name__}{name}"] = kind(_UNITS, **options)
            found[f"Bidirectional {kind.__name__}{name}"] = layers.Bidirectional(kind(_UNITS, **options))
        found[f"{kind.__name__} with a mask"] = tf.keras.Sequential([layers.Masking(), kind(_UNITS)])
    return found


def _cells(tf: Any) -> dict[str, Callable[[Any], Any]]:
    """`dynamic_rnn` of TensorFlow 1's cells on [batch, steps, width]."""
    cells = tf.compat.v1.nn.rnn_cell

    def run(make: Callable[[], Any], x: Any) -> Any:
        return tf.compat.v1.nn.dynamic_rnn(make(), x, dtype=tf.float32)[0]

    made: dict[str, Callable[[], Any]] = {
        "BasicLSTMCell": partial(cells.BasicLSTMCell, _UNITS),
        "LSTMCell": partial(cells.LSTMCell, _UNITS),
        "LSTMCell with peepholes": partial(cells.LSTMCell, _UNITS, use_peepholes=True),
        "GRUCell": partial(cells.GRUCell, _UNITS),
        "two LSTMCells": lambda: cells.MultiRNNCell([cells.LSTMCell(_UNITS), cells.LSTMCell(_UNITS)]),
    }
    return {name: partial(run, make) for name, make in made.items()}


def _frozen(tf: Any, function: Callable[[Any], Any]) -> Any:
    """A graph from x to y, its variables constants."""
    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph, v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, _STEPS, _WIDTH], name="x")
        tf.identity(function(x), name="y")
        session.run(v1.global_variables_initializer())
        return v1.graph_util.convert_variables_to_constants(session, graph.as_graph_def(), ["y"])


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _nodes(attribute.g)


def _ours(frozen: Any) -> int:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.pb"
        path.write_bytes(frozen.SerializeToString())
        exporter.export(path, Path(folder) / "model.onnx")
        return sum(1 for _ in _nodes(onnx.load(Path(folder) / "model.onnx").graph))


def _theirs(frozen: Any) -> int:
    import tf2onnx

    model, _ = tf2onnx.convert.from_graph_def(frozen, input_names=["x:0"], output_names=["y:0"], opset=17)
    return sum(1 for _ in _nodes(model.graph))


def main() -> int:
    """Print the table; 1 if a layer has more nodes than with tf2onnx, else 0."""
    import tensorflow as tf

    print(f"{'layer':40} here  tf2onnx")
    with tf.Graph().as_default():
        kinds = {**_layers(tf), **_cells(tf)}
    more = False
    for name, function in kinds.items():
        frozen = _frozen(tf, function)
        ours, theirs = _ours(frozen), _theirs(frozen)
        more = more or ours > theirs
        print(f"{name:40} {ours:4}  {theirs:7}")
    return int(more)


if __name__ == "__main__":
    sys.exit(main())
