"""Which architecture stored tensors are, and why not."""

from __future__ import annotations

import pytest

from exporter.zoo.leftovers import is_slot
from exporter.zoo.recognise import fit, ranked
from exporter.zoo.registry import ARCHITECTURES
from tests.unit.zoo.stores import shapes_of

_NUMBER_OF_CLASSES = {
    name: "5" for name, each in ARCHITECTURES.items() if any(o.name == "classes" for o in each.options)
}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_own_weights_are_recognised(name: str) -> None:
    """The weights of an architecture, with another number of classes, fit it best and without differences."""
    options = {"classes": "5"} if name in _NUMBER_OF_CLASSES else {}
    best = ranked(ARCHITECTURES.values(), shapes_of(name, **options))[0]
    assert best.exact
    assert best.architecture.name == name


@pytest.mark.parametrize("name", ["inception_v1", "resnet_v2_50", "mobilenet_v3_small", "cifar10"])
@pytest.mark.parametrize("scope", ["", "tower_0/model"])
def test_any_scope_will_do(name: str, scope: str) -> None:
    """The published scope may be another one, longer, or missing."""
    best = ranked(ARCHITECTURES.values(), shapes_of(name, scope=scope))[0]
    assert best.exact
    assert (best.architecture.name, best.candidate.scope) == (name, scope)


@pytest.mark.parametrize(
    ("name", "multiplier"),
    [
        ("mobilenet_v1", "0.25"),
        ("mobilenet_v2", "0.35"),
        ("mobilenet_v2", "1.4"),
        ("inception_v3", "0.5"),
        ("inception_v2", "0.1"),
    ],
)
def test_multipliers_are_told_by_the_weights(name: str, multiplier: str) -> None:
    """The width of a network is found without being said."""
    best = ranked(ARCHITECTURES.values(), shapes_of(name, multiplier=multiplier))[0]
    assert best.exact
    assert best.candidate.choices.real("multiplier") == float(multiplier)


def test_a_renamed_tensor_is_a_difference() -> None:
    """One name that differs is missing, and is left over under its new name."""
    shapes = shapes_of("resnet_v1_50")
    shapes["resnet_v1_50/block2/unit_1/conv9"] = shapes.pop("resnet_v1_50/block2/unit_1/bottleneck_v1/conv1/weights")
    found = fit(ARCHITECTURES["resnet_v1_50"], shapes)
    assert found is not None
    assert not found.exact
    missing, left = found.differences()
    assert "1 is missing: resnet_v1_50/block2/unit_1/bottleneck_v1/conv1/weights [1, 1, 256, 128]" in missing
    assert "1 that the network doesn't have: resnet_v1_50/block2/unit_1/conv9" in left


def test_another_shape_is_a_difference() -> None:
    """One shape that differs is named with both shapes."""
    shapes = {**shapes_of("vgg_16"), "vgg_16/conv3/conv3_2/weights": (5, 5, 256, 256)}
    best = ranked(ARCHITECTURES.values(), shapes)[0]
    assert best.architecture.name == "vgg_16"
    assert best.differences() == [
        "1 of another shape: vgg_16/conv3/conv3_2/weights [5, 5, 256, 256], not [3, 3, 256, 256]"
    ]


def test_another_number_of_classes_is_a_difference() -> None:
    """Weights and bias of the classifier have to agree, with each other and with what the user says."""
    shapes = {**shapes_of("inception_v1"), "InceptionV1/Logits/Conv2d_0c_1x1/biases": (1000,)}
    found = fit(ARCHITECTURES["inception_v1"], shapes)
    assert found is not None
    assert found.differences() == ["1 of another shape: InceptionV1/Logits/Conv2d_0c_1x1/biases [1000], not [1001]"]
    found = fit(ARCHITECTURES["inception_v1"], shapes_of("inception_v1"), given={"classes": "10"})
    assert found is not None
    assert len(found.mismatched) == 2


def test_the_larger_network_is_not_the_smaller() -> None:
    """What a deeper network has beyond a shallower one keeps it from being taken for that."""
    found = fit(ARCHITECTURES["resnet_v1_50"], shapes_of("resnet_v1_101"))
    assert found is not None
    assert not found.missing
    assert found.differences()[0] == "block3 has 23 unit_N, not 6"


def test_near_misses_count_what_is_numbered() -> None:
    """A network with one unit more than any published one is near the one it is nearest to."""
    shapes = shapes_of("resnet_v1_101")
    extra = {key.replace("unit_23", "unit_24"): shape for key, shape in shapes.items() if "block3/unit_23/" in key}
    best = ranked(ARCHITECTURES.values(), {**shapes, **extra})[0]
    assert best.architecture.name == "resnet_v1_101"
    assert best.differences()[0] == "block3 has 24 unit_N, not 23"


def test_what_training_needs_is_set_aside() -> None:
    """Slots, averages, counters and auxiliary heads are no differences; other variables are listed."""
    shapes = shapes_of("inception_v3")
    layer = "InceptionV3/Conv2d_1a_3x3/weights"
    extra = {
        f"{layer}/RMSProp_1": shapes[layer],
        f"{layer}/ExponentialMovingAverage": shapes[layer],
        "InceptionV3/AuxLogits/Conv2d_2b_1x1/biases": (1001,),
        "global_step": (),
        "beta1_power": (),
        "my_head/weights": (4, 4),
    }
    best = ranked(ARCHITECTURES.values(), {**shapes, **extra})[0]
    assert best.exact
    assert best.outside == ("my_head/weights",)
    assert {reason: len(keys) for reason, keys in best.aside.items()} == {
        "optimizer slots": 1,
        "averaged weights": 1,
        "auxiliary heads": 1,
        "counters and constants of training": 2,
    }


def test_vgg_means_are_set_aside() -> None:
    """The published VGG checkpoints hold the means of the training images."""
    best = ranked(ARCHITECTURES.values(), {**shapes_of("vgg_16"), "vgg_16/mean_rgb": (3,), "global_step": ()})[0]
    assert best.exact


def test_strangers_have_nothing_in_common() -> None:
    """Tensors of no known name fit nothing."""
    assert ranked(ARCHITECTURES.values(), {"a/b": (3, 4), "c": ()}) == []


@pytest.mark.parametrize(
    "key",
    [
        "conv/weights/Adam_1",
        "conv/weights/Adadelta",
        "bn/moving_mean/biased",
        "net/dense/kernel/.OPTIMIZER_SLOT/optimizer/m/.ATTRIBUTES/VARIABLE_VALUE",
        "optimizer/_variables/3/.ATTRIBUTES/VARIABLE_VALUE",
        "optimizer/vars/2",
    ],
)
def test_slots_are_told_from_weights(key: str) -> None:
    """Of TensorFlow 1 and 2 and of Keras, wherever they keep them; the variable beside it isn't one."""
    assert is_slot(key)
    assert not is_slot(f"{key}/kernel".replace("optimizer", "layer").replace(".OPTIMIZER_SLOT", "x"))
