"""Fourier transforms and complex numbers are what TensorFlow computes, in every engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from exporter.errors import UnsupportedError
from tests.unit.lower.everywhere import check_everywhere
from tests.unit.lower.oracle import Case, lower_case

pytestmark = pytest.mark.tensorflow

_random = np.random.default_rng(4)


def _floats(*shape: int) -> Any:
    return _random.standard_normal(shape).astype(np.float32)


SIGNAL, SHORT, PLANES, VOLUME = _floats(2, 600), _floats(3, 15), _floats(2, 6, 7), _floats(2, 3, 4, 5)


def _parts(tf: Any, z: Any) -> Any:
    return tf.math.real(z), tf.math.imag(z)


def _mfcc(tf: Any, x: Any) -> Any:
    spectrum = tf.abs(tf.signal.stft(x, 128, 64, 128))
    mel = tf.signal.linear_to_mel_weight_matrix(20, 65, 16000, 80.0, 7600.0)
    return tf.signal.mfccs_from_log_mel_spectrograms(tf.math.log(tf.tensordot(spectrum, mel, 1) + 1e-3))


def _quotient(tf: Any, x: Any, y: Any) -> Any:
    return _parts(tf, tf.math.conj(tf.complex(x, y)) / tf.complex(y, x + 3))


def _product(tf: Any, x: Any, y: Any) -> Any:
    return _parts(tf, tf.matmul(tf.complex(x, x * 2), tf.complex(y, y - 1), adjoint_b=True))


def _moved(tf: Any, x: Any) -> Any:
    z = tf.concat([tf.signal.rfft(x), tf.zeros([3, 2], tf.complex64)], 1)
    return tf.abs(tf.transpose(tf.reshape(z[:, ::2], [-1, 1])))


def _filtered(tf: Any, x: Any) -> Any:
    response = tf.constant(np.exp(1j * np.arange(15)), tf.complex64)
    return tf.math.real(tf.signal.ifft(tf.signal.fft(tf.cast(x, tf.complex64)) * response))


CASES = [
    *(
        Case(f"rfft_{length}", lambda tf, x, n=length: _parts(tf, tf.signal.rfft(x, n and [n])), [SHORT], 32)
        for length in (None, 1, 8, 15, 32)
    ),
    Case("rfft_double", lambda tf, x: tf.abs(tf.signal.rfft(x)), [SHORT.astype(np.float64)], 1),
    Case("fft", lambda tf, x: _parts(tf, tf.signal.fft(tf.complex(x, x * x))), [SHORT], 32),
    Case("ifft", lambda tf, x: _parts(tf, tf.signal.ifft(tf.complex(x, x * x))), [SHORT], 32),
    Case("irfft", lambda tf, x: tf.signal.irfft(tf.complex(x, x * x)), [SHORT], 32),
    Case("irfft_odd", lambda tf, x: tf.signal.irfft(tf.complex(x, x * x), [11]), [SHORT], 32),
    Case("rfft2d", lambda tf, x: tf.abs(tf.signal.rfft2d(x)), [PLANES], 32),
    Case("rfft2d_cut", lambda tf, x: tf.abs(tf.signal.rfft2d(x, [4, 9])), [PLANES], 32),
    Case("irfft2d", lambda tf, x: tf.signal.irfft2d(tf.complex(x, -x), [5, 12]), [PLANES], 32),
    Case("fft2d", lambda tf, x: _parts(tf, tf.signal.fft2d(tf.complex(x, -x))), [PLANES], 32),
    Case("rfft3d", lambda tf, x: tf.abs(tf.signal.rfft3d(x)), [VOLUME], 32),
    Case("stft", lambda tf, x: tf.abs(tf.signal.stft(x, 100, 40)), [SIGNAL], 32),
    Case("stft_padded", lambda tf, x: tf.abs(tf.signal.stft(x, 64, 50, 80, pad_end=True)) ** 2, [SIGNAL], 32),
    Case(
        "istft",
        lambda tf, x: tf.signal.inverse_stft(tf.signal.stft(x, 64, 16), 64, 16),
        [SIGNAL],
        64,
        ("static", "batch"),
    ),
    Case("mfcc", _mfcc, [SIGNAL], 64),
    Case("dct", lambda tf, x: tf.signal.dct(x, norm="ortho"), [SHORT], 32),
    Case("idct", lambda tf, x: tf.signal.idct(x), [SHORT], 32),
    Case("angle", lambda tf, x: tf.math.angle(tf.signal.rfft(x)[..., 1:-1]), [SHORT], 256, ("static",)),
    Case("angle_of_level", lambda tf, x: tf.math.angle(tf.signal.rfft(-tf.abs(x))[..., :1]), [SHORT], 4, ("static",)),
    Case("quotient", _quotient, [SHORT[:2], SHORT[1:]], 32, ("static",)),
    Case("product", _product, [SHORT[:2], SHORT[1:]], 32, ("static",)),
    Case("exponential", lambda tf, x: _parts(tf, tf.exp(tf.complex(x, x * 2))), [SHORT], 32, ("static",)),
    Case("moved", _moved, [SHORT], 32, ("static",)),
    Case("filtered", _filtered, [SHORT], 32),
    Case("broadcast", lambda tf, x: _parts(tf, tf.raw_ops.Complex(real=x, imag=1.0)), [SHORT], 0, ("static",)),
]


@pytest.mark.parametrize(
    ("case", "shapes"), [(c, s) for c in CASES for s in c.shapes], ids=lambda v: getattr(v, "name", v)
)
def test_spectra(case: Case, shapes: str) -> None:
    """Whatever is known of the sizes, within float32 noise of TensorFlow's."""
    check_everywhere(case, shapes)


def test_complex_outputs_are_refused() -> None:
    """ONNX's runtimes have no complex tensors; real and imaginary parts can be outputs."""
    with pytest.raises(UnsupportedError, match="complex"):
        lower_case(Case("complex", lambda tf, x: tf.signal.rfft(x), [SHORT]), "static")


def test_a_planted_error_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A matrix of waves whose last row is off by a thousandth fails the same comparison."""
    exact = np.outer
    monkeypatch.setattr(np, "outer", lambda a, b: exact(a, b) + 1e-3 * (a[:, None] == len(a) - 1))
    with pytest.raises(AssertionError, match="rfft"):
        check_everywhere(CASES[0], "static")
