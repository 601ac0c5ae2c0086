"""Keras's own layers without a translation, and why each has none."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["REFUSED"]

_CODE = "runs Python code that is inside the file, which is never executed"
_ELSEWHERE = "runs a program that is outside of the model file, which is never executed"
_TEXT = "works on texts, which neither ONNX model nor bundle take; feed the numbers that it gives"
_HASH = "hashes what it is given as text; feed the numbers that it gives"
_CELL = "is one step of a recurrent layer, translated only inside of RNN"
_BASE = "is a base class, whose computation is Python code that the file doesn't hold"

REFUSED: Mapping[str, str] = {
    "AbstractRNNCell": _BASE,
    "ContrastLimitedAdaptiveHistogramEqualization": "counts the values of an image; feed the equalised image",
    "DenseFeatures": "has feature columns, Python objects that the file doesn't hold",
    "DynamicEmbedding": "has a table that changes while it is used",
    "DynamicLookup": "has a table that changes while it is used",
    "FlaxLayer": _ELSEWHERE,
    "GRUCell": _CELL,
    "HashedCrossing": _HASH,
    "Hashing": _HASH,
    "JaxLayer": _ELSEWHERE,
    "LSTMCell": _CELL,
    "Lambda": _CODE,
    "Layer": _BASE,
    "MelSpectrogram": "compares each sample with the loudest of the batch; feed the spectrogram",
    "SimpleRNNCell": _CELL,
    "StackedRNNCells": _CELL,
    "StringLookup": _TEXT,
    "TFSMLayer": _ELSEWHERE,
    "TextVectorization": _TEXT,
    "TorchModuleWrapper": _ELSEWHERE,
    "Wrapper": _BASE,
}
"""Why, by class name; the sentence goes on after `layer x (Lambda)`."""
