"""Attention of every kind, masked and not, against Keras 2 and 3."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.unit.lower_keras.oracle import Case, check, parameters

__all__ = ["CASES"]

pytestmark = pytest.mark.tensorflow

_Q, _V = (5, 6), (4, 6)
_WORDS = np.array([[2, 3, 0, 1, 0], [4, 0, 5, 1, 3], [1, 2, 0, 0, 0]], np.int32)
_OTHERS = np.array([[1, 0, 4], [2, 2, 0], [5, 1, 3]], np.int32)


def _self(keras: Any, x: Any, **kwargs: Any) -> Any:
    return keras.layers.MultiHeadAttention(2, 3)(x, x, **kwargs)


def _masked(keras: Any, x: Any, y: Any) -> Any:
    embed = keras.layers.Embedding(6, 4, mask_zero=True)
    return keras.layers.MultiHeadAttention(2, 3)(embed(x), embed(y))


def _masked_dropout(keras: Any, x: Any, y: Any) -> Any:
    embed = keras.layers.Embedding(6, 4, mask_zero=True)
    return keras.layers.MultiHeadAttention(2, 3, dropout=0.1)(embed(x), embed(y))


def _masked_dot(keras: Any, x: Any, y: Any) -> Any:
    embed = keras.layers.Embedding(6, 4, mask_zero=True)
    return keras.layers.Attention()([embed(x), embed(y)])


def _encoder(keras: Any, x: Any) -> Any:
    """A transformer block after masked embeddings."""
    layers = keras.layers
    x = layers.Embedding(6, 4, mask_zero=True)(x)
    y = layers.LayerNormalization()(layers.Add()([x, layers.MultiHeadAttention(2, 2)(x, x)]))
    return layers.GlobalAveragePooling1D()(layers.LayerNormalization()(layers.Add()([y, layers.Dense(4)(y)])))


CASES = [
    Case("self", _self, [_Q]),
    Case("self-unknown", _self, [(None, 6)]),
    Case("self-causal", lambda k, x: _self(k, x, use_causal_mask=True), [_Q]),
    Case("self-causal-unknown", lambda k, x: _self(k, x, use_causal_mask=True), [(None, 6)]),
    Case("scores", lambda k, x: _self(k, x, return_attention_scores=True), [_Q]),
    Case("cross", lambda k, x, y: k.layers.MultiHeadAttention(2, 3, value_dim=4)(x, y), [_Q, _V]),
    Case(
        "named",
        lambda k, x, y: k.layers.MultiHeadAttention(2, 3, use_bias=False)(query=x, value=y, key=y),
        [_Q, _V],
        majors=[3],
    ),
    Case("three", lambda k, x, y, z: k.layers.MultiHeadAttention(2, 3, output_shape=7)(x, y, z), [_Q, _V, (4, 3)]),
    Case("masked", _masked, [(5,), (3,)], feeds=[_WORDS, _OTHERS]),
    Case("masked-dropout", _masked_dropout, [(5,), (3,)], feeds=[_WORDS, _OTHERS]),
    Case("block", _encoder, [(None,)], feeds=[_WORDS]),
    Case("grouped", lambda k, x, y: k.layers.GroupQueryAttention(3, 4, 2)(x, y), [_Q, _V], majors=[3]),
    Case("dot", lambda k, x, y: k.layers.Attention(use_scale=True)([x, y]), [_Q, _V]),
    Case("dot-key", lambda k, x, y: k.layers.Attention()([x, y, y]), [_Q, _V]),
    Case("dot-masked", _masked_dot, [(5,), (3,)], feeds=[_WORDS, _OTHERS]),
    Case("dot-causal", lambda k, x: k.layers.Attention()([x, x], use_causal_mask=True), [_Q]),
    Case("concat", lambda k, x, y: k.layers.Attention(score_mode="concat", use_scale=True)([x, y]), [_Q, _V]),
    Case("additive", lambda k, x, y: k.layers.AdditiveAttention()([x, y]), [_Q, _V]),
    Case("additive-plain", lambda k, x, y: k.layers.AdditiveAttention(use_scale=False)([x, y]), [_Q, _V]),
]


@pytest.mark.parametrize(("case", "major"), parameters(CASES))
def test_same_as_keras(case: Case, major: int) -> None:
    """Attention gives what Keras gives, whatever is masked."""
    check(case, major)
