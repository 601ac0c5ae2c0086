"""Models of the kinds that people publish, whole: each is exported without options and agrees in every engine."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import exporter
from tests.e2e.test_text_models import decoded, outputs_of, texts
from tests.unit.lower.oracle import tensorflow

pytestmark = pytest.mark.tensorflow

Array = npt.NDArray[Any]
Made = tuple[Callable[..., Any], list[Any], Mapping[str, Array]]
"""A function of tensors by name, its variables, and what it is given."""


class _Weights:
    """Variables of random numbers, in order."""

    def __init__(self, tf: Any, seed: int) -> None:
        self.tf, self.random = tf, np.random.default_rng(seed)
        self.made: list[Any] = []

    def __call__(self, *shape: int) -> Any:
        scale = 1 / math.sqrt(math.prod(shape[:-1]))
        self.made.append(self.tf.Variable((self.random.standard_normal(shape) * scale).astype(np.float32)))
        return self.made[-1]


def ssd(tf: Any) -> Made:
    """Two feature maps with anchors, boxes decoded, the best of each class kept."""
    weights = _Weights(tf, 1)
    stem, deep = weights(3, 3, 3, 8), weights(3, 3, 8, 8)
    heads = [(weights(3, 3, 8, 4), weights(3, 3, 8, 4)) for _ in range(2)]
    centres = np.concatenate(
        [np.stack(np.meshgrid(*[(np.arange(n) + 0.5) / n] * 2), -1).reshape(-1, 2) for n in (8, 4)]
    )
    centres = centres.astype(np.float32)
    sizes = np.concatenate([np.full((64, 2), 0.2, np.float32), np.full((16, 2), 0.4, np.float32)])

    def model(image: Any) -> Any:
        first = tf.nn.relu(tf.nn.conv2d(image / 127.5 - 1.0, stem, 2, "SAME"))
        second = tf.nn.relu(tf.nn.conv2d(first, deep, 2, "SAME"))
        boxes, scores = [], []
        for features, (box, score) in zip((first, second), heads, strict=True):
            boxes.append(tf.reshape(tf.nn.conv2d(features, box, 1, "SAME"), [tf.shape(image)[0], -1, 4]))
            scores.append(tf.reshape(tf.nn.conv2d(features, score, 1, "SAME"), [tf.shape(image)[0], -1, 4]))
        offsets = tf.concat(boxes, 1)
        centre = centres + offsets[..., :2] * 0.1 * sizes
        half = tf.exp(offsets[..., 2:] * 0.2) * sizes / 2
        corners = tf.expand_dims(tf.concat([centre - half, centre + half], -1), 2)
        kept = tf.image.combined_non_max_suppression(corners, tf.sigmoid(tf.concat(scores, 1) * 4), 10, 20, 0.5, 0.55)
        return dict(zip(("boxes", "scores", "classes", "count"), kept, strict=True))

    image = np.random.default_rng(2).uniform(0, 255, (2, 16, 16, 3)).astype(np.float32)
    return model, weights.made, {"image": image}


def crnn(tf: Any) -> Made:
    """Columns of an image read in both directions, and the best path of characters."""
    weights = _Weights(tf, 3)
    kernel, output = weights(3, 3, 1, 8), weights(24, 6)
    cells = [(weights(64, 48), weights(12, 48), weights(48)) for _ in range(2)]

    def read(x: Any, w: Any, r: Any, b: Any) -> Any:
        def step(state: Any, row: Any) -> Any:
            i, c, f, o = tf.split(row + tf.matmul(state[0], r), 4, 1)
            cell = tf.sigmoid(f + 1.0) * state[1] + tf.sigmoid(i) * tf.tanh(c)
            return tf.sigmoid(o) * tf.tanh(cell), cell

        zeros = tf.zeros([tf.shape(x)[1], 12])
        return tf.scan(step, tf.tensordot(x, w, 1) + b, (zeros, zeros))[0]

    def model(image: Any) -> Any:
        features = tf.nn.max_pool2d(tf.nn.relu(tf.nn.conv2d(image, kernel, 1, "SAME")), 2, 2, "SAME")
        columns = tf.reshape(tf.transpose(features, [2, 0, 1, 3]), [12, -1, 64])
        ahead, back = read(columns, *cells[0]), tf.reverse(read(tf.reverse(columns, [0]), *cells[1]), [0])
        logits = tf.tensordot(tf.concat([ahead, back], -1), output * 8.0, 1)
        lengths = tf.fill([tf.shape(image)[0]], 12)
        (path,), score = tf.nn.ctc_greedy_decoder(logits, lengths)
        return {"text": tf.sparse.to_dense(path, default_value=-1), "score": score}

    image = np.random.default_rng(4).uniform(0, 1, (2, 16, 24, 1)).astype(np.float32)
    return model, weights.made, {"image": image}


def deep_speech(tf: Any) -> Made:
    """Windows of frames through dense layers, one BlockLSTM, and the letters of each frame."""
    weights = _Weights(tf, 5)
    dense, output = weights(15, 16), weights(8, 5)
    w, bias = weights(24, 32), weights(32)

    def model(frames: Any) -> Any:
        windows = tf.concat([tf.pad(frames, [[0, 0], [2 - k, k], [0, 0]])[:, 1:-1] for k in range(3)], -1)
        features = tf.transpose(tf.minimum(tf.nn.relu(tf.tensordot(windows, dense, 1)), 20.0), [1, 0, 2])
        zeros, peephole = tf.zeros([tf.shape(frames)[0], 8]), tf.zeros([8])
        steps = tf.cast(tf.shape(features)[0], tf.int64)
        block = tf.raw_ops.BlockLSTM(
            seq_len_max=steps,
            x=features,
            cs_prev=zeros,
            h_prev=zeros,
            w=w,
            b=bias,
            wci=peephole,
            wcf=peephole,
            wco=peephole,
            forget_bias=1.0,
            cell_clip=0.0,
        )
        return {"letters": tf.nn.softmax(tf.tensordot(block.h, output, 1)), "state": block.h[-1]}

    return model, weights.made, {"frames": _normal(6, 2, 9, 5)}


def wide_and_deep(tf: Any) -> Made:
    """Columns of strings through vocabularies, an embedding beside one-hot weights, and a number."""
    weights = _Weights(tf, 7)
    embedding, wide, deep, last = weights(5, 4), weights(4, 1), weights(5, 6), weights(6, 1)

    def table(words: list[str]) -> Any:
        numbers = tf.range(len(words), dtype=tf.int64)
        return tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(words, numbers), len(words))

    jobs, places = table(["clerk", "nurse", "cook", "pilot"]), table(["town", "coast", "hills"])

    def model(job: Any, place: Any, age: Any) -> Any:
        known = tf.nn.embedding_lookup(embedding, jobs.lookup(job))
        hidden = tf.nn.relu(tf.matmul(tf.concat([known, tf.expand_dims(tf.math.log1p(age), 1)], 1), deep))
        logits = tf.matmul(hidden, last) + tf.matmul(tf.one_hot(places.lookup(place), 4), wide)
        both = tf.concat([tf.zeros_like(logits), logits], 1)
        classes = tf.gather(tf.constant(["no", "yes"]), tf.argmax(both, 1))
        return {"probabilities": tf.nn.softmax(both), "classes": classes}

    feeds = {
        "job": texts("nurse", "pilot", "", "cook"),
        "place": texts("coast", "moon", "town", "hills"),
        "age": np.array([20, 31.5, 64, 0], np.float32),
    }
    return model, [*weights.made, jobs, places], feeds


def beam_search(tf: Any) -> Made:
    """The three likeliest sentences, word by word, until all of them have ended."""
    weights = _Weights(tf, 8)
    words, recurrent, output = weights(7, 6), weights(6, 6), weights(6, 7)

    def model(start: Any) -> Any:
        def going(time: Any, tokens: Any, scores: Any, hidden: Any) -> Any:
            del scores, hidden
            return tf.logical_and(time < 8, tf.logical_not(tf.reduce_all(tf.equal(tokens[:, -1], 0))))

        def step(time: Any, tokens: Any, scores: Any, hidden: Any) -> Any:
            after = tf.tanh(tf.matmul(hidden, recurrent * 2.0) + tf.gather(words, tokens[:, -1]))
            chances = tf.nn.log_softmax(tf.matmul(after, output * 3.0))
            best, places = tf.math.top_k(tf.reshape(tf.expand_dims(scores, 1) + chances, [-1]), 3)
            rows = places // 7
            grown = tf.concat([tf.gather(tokens, rows), tf.expand_dims(places % 7, 1)], 1)
            return time + 1, grown, best, tf.gather(after, rows)

        first = (0, tf.ones([3, 1], tf.int32), tf.constant([0.0, -1e9, -1e9]), tf.repeat(start, 3, 0))
        shapes = tuple(tf.TensorShape(shape) for shape in ([], [3, None], [3], [3, 6]))
        _, tokens, scores, _ = tf.while_loop(going, step, first, shape_invariants=shapes)
        return {"tokens": tokens, "scores": scores}

    return model, weights.made, {"start": _normal(9, 1, 6)}


def keyword_spotter(tf: Any) -> Made:
    """A spectrogram in mel bands, their cosines, and one convolution."""
    weights = _Weights(tf, 10)
    kernel, output = weights(3, 3, 1, 4), weights(4, 3)

    def model(sound: Any) -> Any:
        power = tf.abs(tf.signal.stft(sound, 64, 32, fft_length=64))
        mel = tf.tensordot(power, tf.signal.linear_to_mel_weight_matrix(12, 33, 8000, 60.0, 3800.0), 1)
        cosines = tf.signal.mfccs_from_log_mel_spectrograms(tf.math.log(mel + 1e-3))[..., :10]
        features = tf.nn.relu(tf.nn.conv2d(tf.expand_dims(cosines, -1), kernel, 1, "SAME"))
        return {"words": tf.nn.softmax(tf.matmul(tf.reduce_mean(features, [1, 2]), output))}

    return model, weights.made, {"sound": _normal(11, 2, 512)}


def _normal(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


MODELS = (ssd, crnn, deep_speech, wide_and_deep, beam_search, keyword_spotter)


@pytest.mark.parametrize("make", MODELS, ids=lambda make: make.__name__)
def test_public_models(make: Callable[[Any], Made], tmp_path: Path) -> None:
    """All outputs are TensorFlow's, integers and strings exactly, floats up to their rounding."""
    tf = tensorflow()
    model, held, feeds = make(tf)
    module = tf.Module()
    module.held = held
    specs = {
        name: tf.TensorSpec(
            [None, *array.shape[1:]] if name != "start" else array.shape, tf.as_dtype(array.dtype), name
        )
        for name, array in feeds.items()
    }
    module.f = tf.function(model, input_signature=list(specs.values()))
    expected = {name: value.numpy() for name, value in module.f(**feeds).items()}
    tf.saved_model.save(module, str(tmp_path / "model"), signatures=module.f)
    exporter.export(tmp_path / "model", tmp_path / "m.onnx")
    for engine, outputs in outputs_of(tmp_path / "m.onnx", feeds).items():
        assert outputs.keys() == expected.keys(), engine
        for name, value in outputs.items():
            wanted = decoded(expected[name]) if expected[name].dtype.kind in "OS" else expected[name]
            assert (value.shape, value.dtype) == (wanted.shape, wanted.dtype), f"{name} in {engine}"
            if wanted.dtype.kind != "f":
                assert np.array_equal(value, wanted), f"{name} in {engine}: {value} for {wanted}"
            else:
                np.testing.assert_allclose(value, wanted, rtol=1e-4, atol=1e-5, err_msg=f"{name} in {engine}")
