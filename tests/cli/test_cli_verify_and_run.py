"""`verify` and `run` on good files, wrong files and wrong arrays."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from exporter.verify.engines import EngineError
from exporter.verify.verdict import Verdict
from tests.cli.terminal import SAMPLES, Terminal

_ONE = SAMPLES / "one_neuron"
_OUTPUT = "output/batch_normalization/batchnorm/add_1"


@pytest.fixture
def exported(terminal: Terminal) -> Terminal:
    """A terminal in whose folder are `model.onnx` and `model.npz`."""
    assert terminal("export", _ONE, "-o", "model.onnx").status == 0
    return terminal


def _change_weights(path: Path) -> None:
    """Moves one weight of an ONNX file by a hundredth of a percent."""
    model = onnx.load(path)
    weight = model.graph.initializer[0]
    array = onnx.numpy_helper.to_array(weight).copy()
    array.flat[0] *= np.float32(1.0001)
    weight.CopyFrom(onnx.numpy_helper.from_array(array, weight.name))
    onnx.save(model, path)


@pytest.mark.parametrize(
    "options", [[], ["--against", str(_ONE)], ["--data", str(_ONE / "recorded.npz")]], ids=["bundle", "source", "data"]
)
@pytest.mark.parametrize("model", ["model.onnx", "model.npz"])
def test_a_good_export_is_verified(exported: Terminal, model: str, options: list[str]) -> None:
    """Status 0 against each kind of truth; the verdict names the engines and what it can't find."""
    ended = exported("verify", model, *options)
    assert (ended.status, ended.err) == (0, "")
    for word in ("onnxruntime", "NumPy runtime", _OUTPUT, "can't find"):
        assert word in ended.out


@pytest.mark.parametrize(
    "options", [[], ["--against", str(_ONE)], ["--data", str(_ONE / "recorded.npz")]], ids=["bundle", "source", "data"]
)
def test_a_changed_weight_is_found(exported: Terminal, options: list[str]) -> None:
    """Status 1 when one weight is off by 0.01 %, by each kind of truth; the file that is right is said to be."""
    _change_weights(Path("model.onnx"))
    ended = exported("verify", "model.onnx", "--json", *options)
    assert ended.status == 1
    verdict = ended.json
    assert verdict["ok"] is False
    assert {check["engine"].startswith("onnxruntime"): check["ok"] for check in verdict["checks"]} == {
        True: False,
        False: True,
    }


def test_the_verdict_as_json(exported: Terminal) -> None:
    """--json prints the verdict and nothing else; its keys are the record's fields."""
    verdict = exported("verify", "model.onnx", "--json").json
    assert set(verdict) == {*Verdict.__dataclass_fields__, "ok", "state", "share"}
    assert verdict["ok"] is True
    assert len(verdict["checks"]) == 3
    assert all(check["error"] <= check["limit"] for check in verdict["checks"])


def test_verify_builds_the_model_that_was_exported(terminal: Terminal) -> None:
    """Outputs, flags and kept statistics that were chosen at export hold for the source when it is the truth."""
    options = ["--output", "hidden1/Relu", "--set", "training=true", "--keep-batch-statistics"]
    assert terminal("export", _ONE, "-o", "model.onnx", *options).status == 0
    for model in ("model.onnx", "model.npz"):
        assert terminal("verify", model, "--against", _ONE).status == 0


@pytest.mark.parametrize("model", ["model.onnx", "model.npz"])
def test_run_gives_the_recorded_numbers(exported: Terminal, model: str) -> None:
    """Status 0; each output is printed with its shape and is in the file by its name."""
    ended = exported("run", model, _ONE / "recorded.npz", "-o", "out.npz")
    assert (ended.status, ended.err) == (0, "")
    assert _OUTPUT in ended.out
    with np.load("out.npz") as found, np.load(_ONE / "recorded.npz") as recorded:
        assert found.files == [_OUTPUT]
        np.testing.assert_allclose(found[_OUTPUT], recorded[f"output/{_OUTPUT}"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("model", ["model.onnx", "model.npz"])
def test_names_that_look_like_recordings(terminal: Terminal, model: str) -> None:
    """An input that is itself called `input/x` is found under that name, and an output may be called `file`."""
    terminal("export", _ONE, "-o", "model.onnx", "--input", "hidden1/Relu")
    x = np.array([[1.0], [2.0]], np.float32)
    _arrays("plain.npz", **{"hidden1/Relu": x})
    _arrays("recording.npz", **{"input/hidden1/Relu": x, "output/other": x})
    found = []
    for arrays in ("plain.npz", "recording.npz"):
        assert terminal("run", model, arrays, "-o", "out.npz").status == 0
        with np.load("out.npz") as outputs:
            found.append(outputs[_OUTPUT])
    np.testing.assert_array_equal(*found)


def _arrays(name: str, **arrays: Any) -> str:
    np.savez(name, **arrays)
    return name


def _missing() -> list[str]:
    return ["run", "model.npz", _arrays("in.npz", x=np.zeros((2, 1), np.float32)), "-o", "out.npz"]


def _missing_onnx() -> list[str]:
    return ["run", "model.onnx", _arrays("in.npz", x=np.zeros((2, 1), np.float32)), "-o", "out.npz"]


def _wrong_shape() -> list[str]:
    return ["run", "model.npz", _arrays("in.npz", Placeholder=np.zeros((2, 3), np.float32)), "-o", "out.npz"]


def _wrong_shape_onnx() -> list[str]:
    return ["run", "model.onnx", _arrays("in.npz", Placeholder=np.zeros((2, 3), np.float32)), "-o", "out.npz"]


def _wrong_type() -> list[str]:
    return ["run", "model.npz", _arrays("in.npz", Placeholder=np.array([["a"]])), "-o", "out.npz"]


def _over_the_model() -> list[str]:
    return ["run", "model.npz", str(_ONE / "recorded.npz"), "-o", "model.npz"]


def _no_truth() -> list[str]:
    shutil.copy("model.onnx", "alone.onnx")
    return ["verify", "alone.onnx"]


def _data_without_input() -> list[str]:
    return ["verify", "model.onnx", "--data", _arrays("in.npz", x=np.zeros(1))]


def _data_without_output() -> list[str]:
    return ["verify", "model.onnx", "--data", _arrays("in.npz", Placeholder=np.zeros((2, 1), np.float32))]


def _graph_alone() -> list[str]:
    return ["verify", "model.onnx", "--graph", str(_ONE / "model.ckpt.meta")]


def _two_truths() -> list[str]:
    return ["verify", "model.onnx", "--data", str(_ONE / "recorded.npz"), "--reference", "tensorflow"]


def _reference_alone() -> list[str]:
    return ["verify", "model.onnx", "--reference", "tensorflow"]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_missing, ["Placeholder", "'x'"]),
        (_missing_onnx, ["Placeholder", "'x'"]),
        (_wrong_shape, ["Placeholder", "[2, 3]"]),
        (_wrong_shape_onnx, ["Placeholder", "3"]),
        (_wrong_type, ["Placeholder", "float32"]),
        (_over_the_model, ["model.npz", "overwrite"]),
        (_no_truth, ["--against", "--data"]),
        (_data_without_input, ["Placeholder", "--data"]),
        (_data_without_output, ["--data", "--against"]),
        (_graph_alone, ["--graph", "--against"]),
        (_two_truths, ["--data", "--reference"]),
        (_reference_alone, ["--reference", "--against"]),
    ],
)
def test_wrong_usage(exported: Terminal, make: Any, words: list[str]) -> None:
    """Status 2: the array, option or name that is wrong."""
    error = exported.fails(*make(), status=2)
    assert all(word in error for word in words), error


def _absent() -> list[str]:
    return ["run", "nothing.npz", "in.npz", "-o", "out.npz"]


def _absent_arrays() -> list[str]:
    return ["run", "model.npz", "nothing.npz", "-o", "out.npz"]


def _text_arrays() -> list[str]:
    Path("in.npz").write_text("x = 1\n")
    return ["run", "model.npz", "in.npz", "-o", "out.npz"]


def _pickled_arrays() -> list[str]:
    return ["run", "model.npz", _arrays("in.npz", Placeholder=np.array([{}])), "-o", "out.npz"]


def _spoiled(name: str, content: bytes, *rest: str) -> list[str]:
    Path(name).write_bytes(content)
    return [*rest]


def _cut_bundle() -> list[str]:
    return _spoiled("model.npz", Path("model.npz").read_bytes()[:-30], "run", "model.npz", "in.npz", "-o", "out.npz")


def _cut_bundle_verified() -> list[str]:
    return _spoiled("model.npz", Path("model.npz").read_bytes()[:-30], "verify", "model.npz")


def _cut_onnx() -> list[str]:
    return _spoiled("model.onnx", Path("model.onnx").read_bytes()[:-30], "run", "model.onnx", "in.npz", "-o", "o.npz")


def _empty_onnx() -> list[str]:
    return _spoiled("model.onnx", b"", "run", "model.onnx", "in.npz", "-o", "out.npz")


def _empty_onnx_verified() -> list[str]:
    return _spoiled("model.onnx", b"", "verify", "model.onnx")


def _junk_onnx_verified() -> list[str]:
    return _spoiled("model.onnx", b"not a model", "verify", "model.onnx", "--against", str(_ONE))


def _junk_onnx_with_data() -> list[str]:
    return _spoiled("model.onnx", b"not a model", "verify", "model.onnx", "--data", str(_ONE / "recorded.npz"))


def _foreign_metadata() -> list[str]:
    model = onnx.load("model.onnx")
    next(entry for entry in model.metadata_props if entry.key == "export_options").value = "{}"
    onnx.save(model, "model.onnx")
    return ["verify", "model.onnx", "--against", str(_ONE)]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_absent, ["nothing.npz"]),
        (_absent_arrays, ["nothing.npz"]),
        (_text_arrays, ["in.npz", "numpy.savez"]),
        (_pickled_arrays, ["in.npz"]),
        (_cut_bundle, ["model.npz"]),
        (_cut_bundle_verified, ["model.npz"]),
        (_cut_onnx, ["model.onnx"]),
        (_empty_onnx, ["model.onnx"]),
        (_empty_onnx_verified, ["model.onnx"]),
        (_junk_onnx_verified, ["model.onnx"]),
        (_junk_onnx_with_data, ["model.onnx"]),
        (_foreign_metadata, ["model.onnx", "export_options"]),
    ],
)
def test_unusable_files(exported: Terminal, make: Any, words: list[str]) -> None:
    """Status 3: the file that can't be used, and what is wrong with it."""
    np.savez("in.npz", Placeholder=np.zeros((2, 1), np.float32))
    error = exported.fails(*make(), status=3)
    assert all(word in error for word in words), error


_AUTOENCODER = SAMPLES / "autoencoder"


@pytest.mark.parametrize("options", [[], ["--no-fold"], ["--input-layout", "nchw"]], ids=["folded", "unfolded", "nchw"])
@pytest.mark.parametrize("sample", ["autoencoder", "inception", "one_neuron"])
def test_each_batch_norm_is_checked_by_itself(terminal: Terminal, sample: str, options: list[str]) -> None:
    """--sites finds the tensor with each batch norm's result in both files, folded or not, in either layout."""
    exported = terminal("export", SAMPLES / sample, "-o", "model.onnx", "--json", *options)
    ended = terminal("verify", "model.onnx", "--against", SAMPLES / sample, "--sites", "--json")
    assert ended.status == 0, ended.err
    sites = ended.json["sites"]
    names = [norm["name"] for norm in exported.json["batch_norms"]]
    assert [site["batch_norm"] for site in sites] == names * 2
    assert all(site["tensor"] is not None and site["error"] <= site["limit"] for site in sites)


def test_sites_show_where_a_difference_begins(terminal: Terminal) -> None:
    """A weight of the third layer is off: the batch norms before it are good, those from there on are not."""
    assert terminal("export", _AUTOENCODER, "-o", "model.onnx").status == 0
    model = onnx.load("model.onnx")
    node = next(node for node in model.graph.node if node.output[0].startswith("dense_2/"))
    weight = next(weight for weight in model.graph.initializer if weight.name == node.input[1])
    array = onnx.numpy_helper.to_array(weight).copy()
    array[:, 0] *= np.float32(1.001)
    weight.CopyFrom(onnx.numpy_helper.from_array(array, weight.name))
    onnx.save(model, "model.onnx")
    ended = terminal("verify", "model.onnx", "--against", _AUTOENCODER, "--sites", "--json")
    assert ended.status == 1
    good = {(site["engine"].split()[0], site["batch_norm"]): site["ok"] for site in ended.json["sites"]}
    assert [ok for (engine, _), ok in good.items() if engine == "NumPy"] == [True] * 5
    assert [ok for (engine, _), ok in good.items() if engine != "NumPy"] == [True, True, False, False, False]
    shown = terminal("verify", "model.onnx", "--against", _AUTOENCODER, "--sites")
    assert "OFF  batch_normalization_2" in shown.out


@pytest.mark.parametrize(
    "options", [[], ["--data", str(_AUTOENCODER / "recorded.npz")]], ids=["nothing", "recorded outputs"]
)
def test_sites_take_the_source(terminal: Terminal, options: list[str]) -> None:
    """Recorded outputs say nothing of what is inside."""
    assert terminal("export", _AUTOENCODER, "-o", "model.onnx").status == 0
    ended = terminal("verify", "model.onnx", "--sites", *options)
    assert ended.status == 2
    assert "Give the source with --against" in ended.err
    both = terminal("verify", "model.onnx", "--against", _AUTOENCODER, "--sites", *options)
    assert (both.status, both.err) == (0, "")


def test_a_file_that_cant_show_its_inside_is_said_not_to_be_checked(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Status 1 with the engine's message, where an engine runs a file but not with further outputs."""

    def refuses(path: Path, **_: Any) -> Any:
        raise EngineError(f"the NumPy runtime can't load {path.name}: no such tensor")

    assert terminal("export", _ONE, "-o", "model.onnx").status == 0
    monkeypatch.setattr("exporter.verify.sites.bundle_engine", refuses)
    ended = terminal("verify", "model.onnx", "--against", _ONE, "--sites")
    assert (ended.status, ended.err) == (1, "")
    assert "not checked: the NumPy runtime can't load model.npz: no such tensor" in ended.out
