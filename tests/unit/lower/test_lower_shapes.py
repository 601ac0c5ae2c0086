"""What moves, cuts, joins and counts elements is lowered to what TensorFlow computes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.unit.lower.oracle import Case, check

pytestmark = pytest.mark.tensorflow

_random = np.random.default_rng(3)


def _floats(*shape: int) -> Any:
    return _random.standard_normal(shape).astype(np.float32)


X = _floats(2, 6, 5, 4)
M = _floats(4, 6)
V = _floats(7)
I = np.array([[2, 0, 1], [1, 1, 2]], np.int32)  # noqa: E741


def _move(name: str, build: Any, *feeds: Any, **options: Any) -> Case:
    return Case(name, build, feeds, units=0, **options)


def _shape_arithmetic(tf: Any, x: Any) -> Any:
    """Keras's Reshape and Flatten, tf.layers.flatten, and a reshape that swaps axes by their sizes."""
    shape = tf.shape(x)
    return (
        tf.reshape(x, [shape[0], shape[1], -1]),
        tf.reshape(x, [-1, shape[1] * shape[2] * shape[3]]),
        tf.reshape(x, tf.stack([shape[0], tf.reduce_prod(shape[1:])])),
        tf.reshape(tf.reshape(x, [shape[0] * shape[1], 5, 4]), shape),
    )


SHAPES = [
    _move("reshape", lambda tf, x: tf.reshape(x, [-1, 20]), X),
    _move("shape_arithmetic", _shape_arithmetic, X),
    _move("shape", lambda tf, x: (tf.shape(x), tf.shape(x, out_type=tf.int64)), X),
    _move("shape_n", lambda tf, x, y: tf.shape_n([x, y]), X, M),
    _move("size_rank", lambda tf, x: (tf.size(x), tf.rank(x), tf.raw_ops.Size(input=x, out_type=tf.int64)), X),
    _move("transpose", lambda tf, x: tf.transpose(x, [0, 3, 1, 2]), X),
    _move("transpose_default", lambda tf, x: tf.transpose(x), X),
    _move("squeeze", lambda tf, x: tf.squeeze(tf.expand_dims(tf.expand_dims(x, 1), -1), [1, -1]), X),
    _move("squeeze_all", lambda tf, x: tf.squeeze(x), X[:, :1, :, :1], shapes=("static", "batch")),
    _move("expand_dims", lambda tf, x: (tf.expand_dims(x, 0), tf.expand_dims(x, -2)), X),
    _move("tile", lambda tf, x: tf.tile(x, [1, 2, 3, 1]), X),
    _move("tile_by_shape", lambda tf, x, y: tf.tile(x, [tf.shape(y)[0], 1]), M, V),
    _move("fill", lambda tf, x: tf.fill(tf.shape(x), 2.5), X),
    _move("fill_value", lambda tf, x, v: tf.fill(tf.shape(x), v[0]), X, V),
    _move("zeros_ones", lambda tf, x: (tf.zeros_like(x), tf.ones_like(x), tf.zeros_like(tf.shape(x))), X),
    _move("zeros_like_raw", lambda tf, x: (tf.raw_ops.ZerosLike(x=x), tf.raw_ops.OnesLike(x=x)), X),
    _move("broadcast_to", lambda tf, x: tf.broadcast_to(x, [3, 4, 6]), M, shapes=("static",)),
    _move("range", lambda tf, x: (tf.range(tf.shape(x)[1]), tf.range(5, 1, -2), tf.range(0.0, 1.0, 0.25)), X),
    Case("linspace", lambda tf, x: x[0] + tf.linspace(-1.0, 2.0, 7), [V], units=2),
    _move("invert_permutation", lambda tf, x: tf.transpose(x, tf.math.invert_permutation([2, 0, 3, 1])), X),
]

JOINS = [
    _move("concat", lambda tf, x, y: tf.concat([x, y, x], -1), X, X[..., :2]),
    _move("concat_old", lambda tf, x, y: tf.raw_ops.Concat(concat_dim=1, values=[x, y]), M, M),
    _move("concat_one", lambda tf, x: tf.raw_ops.ConcatV2(values=[x, x], axis=0), X),
    _move("pack", lambda tf, x, y: (tf.stack([x, y]), tf.stack([x, y], 1), tf.stack([x, y], -1)), M, M * 2),
    _move("unpack", lambda tf, x: (*tf.unstack(x, axis=1, num=5), *tf.unstack(x, axis=-1)), X[:, :5]),
    _move("unpack_one", lambda tf, x: tf.unstack(x, num=1, axis=0), M[:1], shapes=("static",)),
    _move("split", lambda tf, x: tf.split(x, 3, 1), X),
    _move("split_one", lambda tf, x: tf.split(x, 1, 1), X),
    _move("split_sizes", lambda tf, x: tf.split(x, [1, 3, 2], 1), X),
    _move("split_rest", lambda tf, x: tf.split(x, [1, -1, 2], 1), X),
    _move("meshgrid", lambda tf, x, y: tf.meshgrid(x, y), V, V[:3]),
]

SLICES = [
    _move("slice", lambda tf, x: tf.slice(x, [0, 1, 2, 0], [-1, 3, 2, -1]), X),
    _move("slice_rest", lambda tf, x: tf.slice(x, [1, 2, 0, 3], [-1, -1, -1, 1]), X),
    _move("slice_by_shape", lambda tf, x: tf.slice(x, [0, 0], [tf.shape(x)[0], 3]), M),
    _move("slice_by_data", lambda tf, x, i: tf.slice(x, [0, i[0, 0]], [i[1, 0], -i[1, 0]]), M, I),
    _move("index", lambda tf, x: (x[1], x[:, -1], x[..., 2], x[0, 1, 2, 3], x[-1, ..., -1]), X),
    _move("ranges", lambda tf, x: (x[:, 1:4], x[:, -3:-1, ::2], x[..., 1:], x[:1]), X),
    _move("backwards", lambda tf, x: (x[::-1], x[:, ::-2], x[:, 4:1:-1], x[:, -2:0:-2], x[:, 1::-1]), X),
    _move("new_axes", lambda tf, x: (x[:, None], x[..., None], x[None, :, 1, ..., None, 0], x[:, None, ..., 1:2]), X),
    _move("empty_ellipsis", lambda tf, x: x[1, 0, ..., 2, 3], X),
    _move("by_shape", lambda tf, x: (x[: tf.shape(x)[0] - 1], x[:, tf.shape(x)[1] // 2 :]), X),
    _move("by_data", lambda tf, x, i: (x[:, i[0, 0] :], x[i[0, 2]], x[:, : i[0, 0]], x[i[0, 2] - 2]), M, I),
    _move("of_vector", lambda tf, x: (x[2], x[-1], x[1:3], x[tf.shape(x)[0] - 1]), V),
    _move("outside", lambda tf, x: (x[:, 2:100], x[:, -100:2]), X),
    _move("reverse", lambda tf, x: (tf.reverse(x, [1, -1]), tf.reverse(x, [0])), X),
]

GATHERS = [
    _move("gather", lambda tf, x, i: tf.gather(x, i), X[:1].repeat(3, 0), I),
    _move("gather_axis", lambda tf, x, i: (tf.gather(x, i, axis=2), tf.gather(x, i, axis=-1)), X, I),
    _move("gather_scalar", lambda tf, x: tf.gather(x, 1, axis=1), X),
    _move("gather_batch", lambda tf, x, i: tf.gather(x, i, batch_dims=1, axis=1), X, I),
    _move("gather_batch_later", lambda tf, x, i: tf.gather(x, i, batch_dims=1, axis=3), X, I),
    _move("gather_batch_middle", lambda tf, x, i: tf.gather(x, i, batch_dims=1, axis=2), X, I),
    _move("gather_batch_2", lambda tf, x, i: tf.gather(x, i, batch_dims=2, axis=2), X[:, :3], I),
    _move("gather_raw", lambda tf, x, i: tf.raw_ops.Gather(params=x, indices=i), M, I),
    _move("gather_nd", lambda tf, x, i: tf.gather_nd(x, i), _floats(3, 4, 3, 2), I),
    _move("one_hot", lambda tf, i: (tf.one_hot(i, 3), tf.one_hot(i, 4, 5.0, -1.0, axis=0)), I),
    _move("one_hot_middle", lambda tf, i: tf.one_hot(i, 3, axis=1, dtype=tf.int32), I),
    _move("one_hot_outside", lambda tf, i: tf.one_hot(i - 2, 2), I),
    Case("scatter_nd", lambda tf, i, u: tf.scatter_nd(i[..., None], u, [5]), [I, M[:2, :3]], units=4),
    Case("scatter_rows", lambda tf, u: tf.scatter_nd([[1], [3], [1], [0]], u, [5, 6]), [M], units=4),
    _move("scatter_update", lambda tf, x, u: tf.tensor_scatter_nd_update(x, [[1], [0]], u), M, M[2:] * 2),
    Case("scatter_add", lambda tf, x, u: tf.tensor_scatter_nd_add(x, [[1], [1]], u), [M, M[2:] * 2], units=4),
    Case("scatter_sub", lambda tf, x, u: tf.tensor_scatter_nd_sub(x, [[1], [1]], u), [M, M[2:] * 2], units=4),
    _move("scatter_max", lambda tf, x, u: tf.tensor_scatter_nd_max(x, [[1], [1]], u), M, M[2:] * 2),
    _move("scatter_min", lambda tf, x, u: tf.tensor_scatter_nd_min(x, [[1], [1]], u), M, M[2:] * 2),
    _move("where", lambda tf, x: tf.where(x > 0), M),
    _move("band_part", lambda tf, x: (tf.linalg.band_part(x, 1, 2), tf.linalg.band_part(x, -1, 0)), M),
    _move("band_part_lower", lambda tf, x: (tf.linalg.band_part(x, 0, -1), tf.linalg.band_part(x, -1, -1)), M),
    _move("reverse_sequence", lambda tf, x: tf.reverse_sequence(x, [3, 5], seq_axis=1, batch_axis=0), X),
]

PADS = [
    _move("pad", lambda tf, x: tf.pad(x, [[0, 0], [1, 2], [3, 0], [0, 0]]), X),
    _move("pad_value", lambda tf, x: tf.pad(x, [[0, 0], [1, 2]], constant_values=1.5), M),
    _move("pad_by_data", lambda tf, x, i: tf.pad(x, tf.stack([[0, i[0, 0]], [1, i[1, 1]]])), M, I),
    _move("pad_by_shape", lambda tf, x: tf.pad(x, [[0, 0], [0, 9 - tf.shape(x)[1]]]), M),
    _move("reflect", lambda tf, x: tf.pad(x, [[0, 0], [3, 2], [1, 0], [0, 0]], "REFLECT"), X),
    _move("symmetric", lambda tf, x: tf.pad(x, [[0, 0], [3, 2], [1, 0], [0, 4]], "SYMMETRIC"), X),
]

PASSED = [
    _move("identity", lambda tf, x: (tf.identity(x), tf.stop_gradient(x), tf.identity_n([x, x])[1]), X),
    _move("check_numerics", lambda tf, x: tf.debugging.check_numerics(x, "x"), X),
    _move("ensure_shape", lambda tf, x: tf.ensure_shape(x, [None, 6, 5, 4]), X),
    _move("with_default", lambda tf, x: x + tf.compat.v1.placeholder_with_default(2.0, []), X),
]


@pytest.mark.parametrize("knowledge", ["static", "batch", "none"])
@pytest.mark.parametrize("case", [*SHAPES, *JOINS, *SLICES, *GATHERS, *PADS, *PASSED], ids=lambda case: case.name)
def test_elements_are_moved(case: Case, knowledge: str) -> None:
    """Each element arrives where TensorFlow puts it, whatever is known of the input's sizes."""
    if knowledge in case.shapes:
        check(case, knowledge)


@pytest.mark.parametrize("knowledge", ["static", "batch", "none"])
def test_shape_arithmetic_disappears(knowledge: str) -> None:
    """Reshapes by sizes of the input itself leave nothing but reshapes."""
    model = check(SHAPES[1], knowledge)
    if knowledge == "none":
        return
    assert {node.op_type for node in model.graph} == {"Reshape"}
