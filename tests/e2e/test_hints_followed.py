"""Messages about inputs say what is wrong, and doing what they say gets further."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")

import tensorflow as tf

from exporter.command_line.cli import main

pytestmark = pytest.mark.tensorflow

v1 = tf.compat.v1


def _weights(*shape: int) -> Any:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def _image(channels: int = 1) -> None:
    x = v1.placeholder(tf.float32, [None, 28, 28, channels], name="images")
    y = tf.nn.conv2d(x, _weights(3, 3, channels, 4), 1, "SAME")
    tf.matmul(tf.reshape(y, [-1, 28 * 28 * 4]), _weights(28 * 28 * 4, 10), name="logits")


def _python() -> None:
    x = v1.placeholder(tf.float32, [None, 8], name="x")
    h = v1.py_func(lambda a: a * 2, [x], tf.float32, name="double")
    h.set_shape([None, 8])
    tf.matmul(tf.nn.relu(h), _weights(8, 3), name="logits")


def _variable(*, resource: bool) -> None:
    x = v1.placeholder(tf.float32, [None, 8], name="x")
    tf.matmul(x, v1.get_variable("table", [8, 3], use_resource=resource), name="logits")


_CASES: dict[str, tuple[Callable[[], None], list[str], int, str]] = {
    "a shape of another rank": (_image, ["--input", "images=1,32,32"], 2, "has 3 sizes, and the graph's images has 4"),
    "no batch": (_image, ["--input", "images=28,28,1"], 2, "has 3 sizes, and the graph's images has 4"),
    "Python code": (_python, ["--input", "x", "--output", "logits"], 4, "double (PyFunc), which is Python code"),
    "a live variable": (lambda: _variable(resource=False), [], 3, "1 variables without values"),
    "a live resource variable": (
        lambda: _variable(resource=True),
        ["--output", "logits"],
        3,
        "1 variables without values",
    ),
}


def _run(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(arguments, prog_name="ckpt2onnx")
    text = capsys.readouterr()
    return int(ended.value.code or 0), text.out + text.err


@pytest.mark.parametrize("name", _CASES)
def test_following_the_hint_exports(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the input that the message names, and the outputs as they were."""
    build, arguments, status, words = _CASES[name]
    with tf.Graph().as_default() as graph:
        build()
    source, out = tmp_path / "frozen.pb", str(tmp_path / "model.onnx")
    source.write_bytes(graph.as_graph_def().SerializeToString())
    found, text = _run(["export", str(source), *arguments, "-o", out], capsys)
    assert found == status and words in text
    named = re.findall(r"--input (\S+?)(?=[,.]? |[,.]?$)", text.split(". ", 1)[1])
    kept = arguments[2:] if "--input" in arguments else arguments
    followed = [argument for one in named for argument in ("--input", one)]
    found, text = _run(["export", str(source), *followed, *kept, "-o", out], capsys)
    assert found == 0, text


def test_channels_that_no_kernel_takes_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A multiple of the kernel's channels would be groups, of which the kernel makes no whole number of channels."""
    with tf.Graph().as_default() as graph:
        _image()
    source, out = tmp_path / "frozen.pb", tmp_path / "model.onnx"
    source.write_bytes(graph.as_graph_def().SerializeToString())
    found, text = _run(["export", str(source), "--input", "images=?,28,28,3", "-o", str(out)], capsys)
    assert found == 4 and "its kernel takes 1 channels and makes 4, the input has 3" in text
    assert not out.exists()


def test_too_large_is_said_only_of_what_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A model whose inputs can't be made up says that."""
    with tf.Graph().as_default() as graph:
        x = v1.placeholder(tf.string, [None], name="x")
        tf.cast(tf.equal(x, "yes"), tf.float32, name="y")
    source = tmp_path / "frozen.pb"
    source.write_bytes(graph.as_graph_def().SerializeToString())
    _, text = _run(["export", str(source), "--output", "y", "-o", str(tmp_path / "model.onnx")], capsys)
    assert "can't be made up" in text and "too large" not in text
