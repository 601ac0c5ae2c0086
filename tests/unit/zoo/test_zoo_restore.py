"""Models made of weights alone: what is decided, reported and refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from exporter.errors import FormatError, MissingError, UsageError, ValueInputError
from exporter.formats.records import Array
from exporter.ir.evaluate import evaluate
from exporter.options import Options
from exporter.passes.pipeline import run
from exporter.zoo.weights_only import Restored, restore
from tests.unit.stores import MemoryStore
from tests.unit.zoo.stores import weights_of

_SMALL: Any = {"inputs": {"x": (1, 64, 64, 3)}}


@pytest.fixture(scope="module")
def mobilenet() -> dict[str, Array]:
    return weights_of("mobilenet_v1", multiplier="0.25", classes="5")


def _restore(arrays: dict[str, Array], **options: Any) -> Restored:
    return restore(MemoryStore(arrays), Options(**{**_SMALL, **options}))


def _decided(found: Restored, kind: str) -> dict[str, str]:
    return {decision.subject: decision.choice for decision in found.decisions if decision.kind == kind}


def _run(found: Restored, image: Array) -> Array:
    (result,) = evaluate(found.model, {"x": image}).values()
    return np.asarray(result)


def test_options_are_told_by_the_weights(mobilenet: dict[str, Array]) -> None:
    """Classes and multiplier are decisions, with the tensor that tells them."""
    found = _restore(mobilenet)
    assert _decided(found, "architecture") == {"MobilenetV1": "mobilenet_v1"}
    assert _decided(found, "value") == {"classes": "5", "multiplier": "0.25", "output_stride": "32"}
    assert [value.name for value in found.model.graph.outputs] == ["predictions"]
    assert len(found.batch_norms) == 27
    assert found.batch_norms[0].gamma == "stored as MobilenetV1/Conv2d_0/BatchNorm/gamma"


def test_no_gamma_anywhere_is_1_and_said(mobilenet: dict[str, Array]) -> None:
    """A network trained with scale=False has no gamma in any batch norm."""
    found = _restore({key: array for key, array in mobilenet.items() if not key.endswith("gamma")})
    assert _decided(found, "gamma") == {"27 batch norms": "1"}
    assert "wrong if they weren't saved" in found.warnings[-1]
    assert {norm.gamma for norm in found.batch_norms} == {"1 (scale=False)"}


def test_a_single_gamma_that_is_missing_is_an_error(mobilenet: dict[str, Array]) -> None:
    """Where the others are stored, one that isn't is missing, and not 1."""
    key = "MobilenetV1/Conv2d_3_pointwise/BatchNorm/gamma"
    arrays = {name: array for name, array in mobilenet.items() if name != key}
    with pytest.raises(MissingError, match=key):
        _restore(arrays, arch="mobilenet_v1")


def test_all_missing_tensors_are_in_one_error(mobilenet: dict[str, Array]) -> None:
    """Weights without statistics lack each of them, named in one go."""
    arrays = {key: array for key, array in mobilenet.items() if "moving_" not in key}
    with pytest.raises(MissingError, match="54 are missing: MobilenetV1/Conv2d_0/BatchNorm/moving_mean"):
        _restore(arrays, arch="mobilenet_v1")


def test_another_architecture_is_refused_with_the_differences(mobilenet: dict[str, Array]) -> None:
    """The wrong --arch ends with what doesn't fit, and status 3."""
    message = "none of its 137 tensors is called as those of vgg_16. They fit --arch mobilenet_v1"
    with pytest.raises(MissingError, match=message) as caught:
        _restore(mobilenet, arch="vgg_16")
    assert caught.value.exit_code == 3
    arrays = {**mobilenet, "MobilenetV1/Conv2d_0/weights": np.zeros((3, 3, 1, 8), np.float32)}
    with pytest.raises(FormatError, match=r"1 of another shape: .*\[3, 3, 1, 8\], not \[3, 3, 3, 8\]"):
        _restore(arrays, arch="mobilenet_v1")


def test_an_unknown_architecture_is_a_usage_error(mobilenet: dict[str, Array]) -> None:
    """With a hint at names that are alike."""
    with pytest.raises(UsageError, match=r"Did you mean mobilenet_v1"):
        _restore(mobilenet, arch="mobilenet_1")


def test_another_number_of_classes_is_refused(mobilenet: dict[str, Array]) -> None:
    """The user's number has to be that of the weights."""
    with pytest.raises(FormatError, match=r"Conv2d_1c_1x1/weights \[1, 1, 256, 5\], not \[1, 1, 256, 10\]"):
        _restore(mobilenet, arch="mobilenet_v1", values={"classes": "10"})


def test_options_that_there_arent_are_refused(mobilenet: dict[str, Array]) -> None:
    """--set knows the architecture's options and their types."""
    with pytest.raises(UsageError, match=r"no such option.*classes"):
        _restore(mobilenet, values={"clases": "5"})
    with pytest.raises(UsageError, match="no int"):
        _restore(mobilenet, values={"classes": "five"})


def test_layers_can_be_outputs(mobilenet: dict[str, Array]) -> None:
    """By their names, with the scope or without; what they don't need may be missing."""
    arrays = {key: array for key, array in mobilenet.items() if "Logits" not in key}
    with pytest.raises(MissingError, match="--output global_pool"):
        _restore(arrays, arch="mobilenet_v1")
    found = _restore(arrays, outputs=("global_pool", "MobilenetV1/Conv2d_5_pointwise:0"))
    shapes = {value.name: list(value.shape or ()) for value in found.model.graph.outputs}
    assert shapes == {"global_pool": [1, 1, 1, 256], "MobilenetV1/Conv2d_5_pointwise": [1, 8, 8, 64]}
    with pytest.raises(UsageError, match="Did you mean Conv2d_5_pointwise"):
        _restore(mobilenet, outputs=("Conv2d_5_pointwize",))


def test_averaged_weights_are_taken_if_asked_for(mobilenet: dict[str, Array]) -> None:
    """Raw weights are exported unless --ema says otherwise, and the report says that there are others."""
    key = "MobilenetV1/Conv2d_0/weights"
    arrays = {**mobilenet, f"{key}/ExponentialMovingAverage": mobilenet[key] * 2}
    image = np.ones((1, 64, 64, 3), np.float32)
    raw, averaged = _restore(arrays), _restore(arrays, ema=True)
    assert _decided(raw, "ema") == {"1 variables": "raw weights"}
    assert _decided(averaged, "ema") == {"1 variables": "averaged weights"}
    doubled = _restore({**mobilenet, key: mobilenet[key] * 2})
    assert np.array_equal(_run(averaged, image), _run(doubled, image))
    assert not np.array_equal(_run(averaged, image), _run(raw, image))
    with pytest.raises(UsageError, match="--ema"):
        _restore(mobilenet, ema=True)


def test_preprocessing_is_in_the_report_and_on_request_in_the_graph(mobilenet: dict[str, Array]) -> None:
    """A model that includes it gives for pixels what the other gives for prepared images."""
    plain = _restore(mobilenet, outputs=["Conv2d_0"])
    included = _restore(mobilenet, outputs=["Conv2d_0"], include_preprocessing=True)
    assert _decided(plain, "preprocessing") == {"x": "left to the caller"}
    assert '"scale": [0.00784313725490196], "shift": [-1.0], "size": [64, 64]' in plain.metadata["preprocessing"]
    pixels = np.random.default_rng(1).integers(0, 256, (1, 64, 64, 3)).astype(np.float32)
    assert np.allclose(_run(included, pixels), _run(plain, np.asarray(pixels / 127.5 - 1, np.float32)), atol=1e-5)
    assert not np.allclose(_run(plain, pixels), _run(included, pixels), rtol=1e-2)


def test_preprocessing_is_folded_where_that_is_exact() -> None:
    """The first convolution of Inception V3 pads nothing, so it takes both the scale and the shift."""
    arrays = weights_of("inception_v3", multiplier="0.1")
    options = {"inputs": {"x": (1, 75, 75, 3)}, "outputs": ("Conv2d_2a_3x3",)}
    plain, included = _restore(arrays, **options), _restore(arrays, **options, include_preprocessing=True)
    run(included.model, fold=True)
    assert [node.op_type for node in included.model.graph] == ["Conv", "Relu", "Conv", "Relu"]
    pixels = np.random.default_rng(2).integers(0, 256, (1, 75, 75, 3)).astype(np.float32)
    wanted = _run(plain, np.asarray(pixels / 127.5 - 1, np.float32))
    assert np.allclose(_run(included, pixels), wanted, rtol=1e-4, atol=1e-4 * wanted.std())
    assert not np.allclose(_run(included, pixels + 1), wanted, rtol=1e-4, atol=1e-4 * wanted.std())


def test_preprocessing_that_there_isnt_is_refused() -> None:
    """The tutorial's network whitens each image by itself, which is no constant."""
    with pytest.raises(UsageError, match="--include-preprocessing"):
        restore(MemoryStore(weights_of("cifar10")), Options(include_preprocessing=True))


def test_negative_variance_and_nan_are_refused(mobilenet: dict[str, Array]) -> None:
    """Numbers that can't be meant are named."""
    key = "MobilenetV1/Conv2d_0/BatchNorm/moving_variance"
    with pytest.raises(ValueInputError, match=f"{key} is negative"):
        _restore({**mobilenet, key: -mobilenet[key]})
    with pytest.raises(ValueInputError, match=f"{key} holds NaN"):
        _restore({**mobilenet, key: mobilenet[key] * np.nan})


def test_weights_of_another_type_are_refused(mobilenet: dict[str, Array]) -> None:
    """Integers are no weights; half precision is."""
    key = "MobilenetV1/Conv2d_0/BatchNorm/moving_variance"
    with pytest.raises(FormatError, match=f"tensor {key} is of type"):
        _restore({**mobilenet, key: mobilenet[key].astype(np.int32)})
    half = {name: array.astype(np.float16) for name, array in mobilenet.items()}
    image = np.ones((1, 64, 64, 3), np.float32)
    single = {name: array.astype(np.float32) for name, array in half.items()}
    assert np.array_equal(_run(_restore(half), image), _run(_restore(single), image))


def test_averages_of_another_shape_are_not_taken(mobilenet: dict[str, Array]) -> None:
    """A tensor that is only called like an average isn't one."""
    key = "MobilenetV1/Conv2d_0/weights/ExponentialMovingAverage"
    with pytest.raises(UsageError, match="--ema"):
        _restore({**mobilenet, key: np.zeros(3, np.float32)}, ema=True)


def test_statistics_as_initialised_are_warned_of(mobilenet: dict[str, Array]) -> None:
    """Mean 0 and variance 1 everywhere were never updated."""
    scope = "MobilenetV1/Conv2d_0/BatchNorm"
    arrays = {**mobilenet, f"{scope}/moving_mean": np.zeros(8, np.float32)}
    arrays[f"{scope}/moving_variance"] = np.ones(8, np.float32)
    assert f"({scope})" in _restore(arrays).warnings[0]


def test_inputs_too_small_or_too_many_are_refused(mobilenet: dict[str, Array]) -> None:
    """One input, of a size that the network can take, with its channels known."""
    with pytest.raises(UsageError, match="one input"):
        _restore(mobilenet, inputs={"a": None, "b": None})
    with pytest.raises(UsageError, match="channels"):
        _restore(mobilenet, inputs={"a": (1, 64, 64, None)})
    with pytest.raises(UsageError, match="too small"):
        restore(MemoryStore(weights_of("inception_v3", multiplier="0.1")), Options({"x": (1, 30, 30, 3)}))


def test_unknown_sizes_stay_unknown(mobilenet: dict[str, Array]) -> None:
    """A network that takes any size is exported for any."""
    found = _restore(mobilenet, inputs={"x": (None, None, None, 3)})
    dims = [str(dim) for dim in found.model.graph.inputs[0].shape or ()]
    assert dims[0] == "N"
    assert dims[3] == "3"
    image = np.random.default_rng(3).normal(size=(1, 64, 64, 3)).astype(np.float32)
    assert np.array_equal(_run(found, image), _run(_restore(mobilenet), image))


def test_several_networks_in_one_checkpoint_are_a_choice() -> None:
    """Both halves of a DCGAN are found, and one has to be asked for."""
    arrays = weights_of("dcgan_generator") | weights_of("dcgan_discriminator")
    with pytest.raises(UsageError, match="dcgan_generator, dcgan_discriminator"):
        restore(MemoryStore(arrays), Options())
    found = restore(MemoryStore(arrays), Options(arch="dcgan_generator"))
    assert [list(value.shape or ())[1:] for value in found.model.graph.outputs] == [[64, 64, 3]]
    assert "22 tensors outside generator are not used" in found.notes[-1]


def test_generic_names_have_to_be_asked_for() -> None:
    """Layers called dense_1 tell no activations, so recognition alone doesn't export them."""
    store = MemoryStore(weights_of("dense_autoencoder"))
    with pytest.raises(UsageError, match="--arch dense_autoencoder"):
        restore(store, Options())
    found = restore(store, Options(arch="dense_autoencoder", values={"activation": "tanh"}))
    assert {node.op_type for node in found.model.graph} >= {"Dense", "BatchNormalization", "Tanh", "Sigmoid"}
    with pytest.raises(UsageError, match="no such activation"):
        restore(store, Options(arch="dense_autoencoder", values={"activation": "relo"}))


def test_what_no_architecture_has_is_named_with_the_nearest(mobilenet: dict[str, Array]) -> None:
    """The error of a checkpoint without graph says which network it is nearest to, and what is different."""
    arrays = {**mobilenet, "MobilenetV1/Conv2d_14/weights": np.zeros((1, 1, 2, 2), np.float32)}
    with pytest.raises(
        MissingError, match=r"nearest architecture is mobilenet_v1 \(137 of its 137 .*Conv2d_14/weights"
    ):
        _restore(arrays)
    with pytest.raises(MissingError, match=r"it holds the weights alone \(1 tensors\)") as caught:
        restore(MemoryStore({"a": np.zeros(3, np.float32)}), Options())
    assert "nearest" not in str(caught.value)


def test_what_the_statistics_tell(mobilenet: dict[str, Array]) -> None:
    """Never updated, few steps, a tiny variance, a dead gamma: each a warning that names the batch norm."""
    layer = "MobilenetV1/Conv2d_0/BatchNorm"
    mean, variance, gamma = (mobilenet[f"{layer}/{part}"] for part in ("moving_mean", "moving_variance", "gamma"))
    first = np.arange(variance.size) == 0
    planted: dict[str, tuple[dict[str, Array], str]] = {
        "never": ({"moving_mean": 0 * mean, "moving_variance": 0 * variance + 1}, "1 of 27 batch norms are exactly 0"),
        "tiny": ({"moving_variance": np.where(first, 0, variance), "gamma": gamma + 100}, "amplify their input"),
        "dead": ({"gamma": np.where(first, 0, gamma).astype(np.float32)}, f"{layer}: 1 of {gamma.size}"),
    }
    assert _restore(mobilenet).warnings == ()
    for changed, sentence in planted.values():
        arrays = {f"{layer}/{part}": array.astype(np.float32) for part, array in changed.items()}
        (said,) = _restore(mobilenet | arrays).warnings
        assert sentence in said
        assert layer in said
    wide = {key: array + 1 for key, array in mobilenet.items() if key.endswith("moving_variance")}
    (said,) = _restore(mobilenet | wide | {"global_step": np.array(9, np.int64)}).warnings
    assert "after only 9 steps the moving statistics of 27 batch norms may still carry 38.7 % or more" in said
