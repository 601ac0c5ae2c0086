"""What was published of the networks: counts of parameters, names and shapes of variables."""

from __future__ import annotations

from math import prod

import pytest

from exporter.zoo.registry import ARCHITECTURES
from tests.unit.zoo.stores import shapes_of

# Trainable parameters of the same networks with 1000 classes, as other frameworks and the papers' code count them;
# the last column is what a class costs.
_PARAMETERS = {
    "inception_v3": (23_817_352, 2049),
    "inception_resnet_v2": (55_813_192, 1537),
    "resnet_v1_50": (25_557_032, 2049),
    "resnet_v1_101": (44_549_160, 2049),
    "resnet_v1_152": (60_192_808, 2049),
    "mobilenet_v1": (4_231_976, 1025),
    "mobilenet_v2": (3_504_872, 1281),
    "mobilenet_v3_large": (5_483_032, 1281),
    "mobilenet_v3_small": (2_542_856, 1025),
    "vgg_a": (132_863_336, 4097),
    "vgg_16": (138_357_544, 4097),
    "vgg_19": (143_667_240, 4097),
}

# Inception V4 is counted with a gamma for each of its 31,584 normalised channels elsewhere.
_INCEPTION_V4 = 42_679_816 - 31_584

_PUBLISHED: dict[str, dict[str, tuple[int, ...]]] = {
    "inception_v4": {
        "InceptionV4/Conv2d_1a_3x3/weights": (3, 3, 3, 32),
        "InceptionV4/Mixed_3a/Branch_1/Conv2d_0a_3x3/weights": (3, 3, 64, 96),
        "InceptionV4/Mixed_4a/Branch_1/Conv2d_0c_7x1/weights": (7, 1, 64, 64),
        "InceptionV4/Mixed_5e/Branch_2/Conv2d_0c_3x3/weights": (3, 3, 96, 96),
        "InceptionV4/Mixed_6a/Branch_1/Conv2d_1a_3x3/weights": (3, 3, 224, 256),
        "InceptionV4/Mixed_6h/Branch_2/Conv2d_0e_1x7/weights": (1, 7, 224, 256),
        "InceptionV4/Mixed_7a/Branch_1/Conv2d_1a_3x3/weights": (3, 3, 320, 320),
        "InceptionV4/Mixed_7d/Branch_2/Conv2d_0e_3x1/weights": (3, 1, 512, 256),
        "InceptionV4/Mixed_7d/Branch_3/Conv2d_0b_1x1/BatchNorm/moving_variance": (256,),
        "InceptionV4/Logits/Logits/weights": (1536, 1001),
        "InceptionV4/Logits/Logits/biases": (1001,),
    },
    "inception_v2": {
        "InceptionV2/Conv2d_1a_7x7/depthwise_weights": (7, 7, 3, 8),
        "InceptionV2/Conv2d_1a_7x7/pointwise_weights": (1, 1, 24, 64),
        "InceptionV2/Conv2d_1a_7x7/biases": (64,),
    },
    "inception_resnet_v2": {
        "InceptionResnetV2/Repeat/block35_10/Conv2d_1x1/biases": (320,),
        "InceptionResnetV2/Repeat_1/block17_20/Branch_1/Conv2d_0c_7x1/weights": (7, 1, 160, 192),
        "InceptionResnetV2/Repeat_2/block8_9/Branch_0/Conv2d_1x1/BatchNorm/beta": (192,),
        "InceptionResnetV2/Block8/Branch_1/Conv2d_0b_1x3/weights": (1, 3, 192, 224),
        "InceptionResnetV2/Conv2d_7b_1x1/weights": (1, 1, 2080, 1536),
    },
    "mobilenet_v1": {
        "MobilenetV1/Conv2d_0/BatchNorm/gamma": (32,),
        "MobilenetV1/Conv2d_13_depthwise/depthwise_weights": (3, 3, 1024, 1),
        "MobilenetV1/Conv2d_13_pointwise/weights": (1, 1, 1024, 1024),
        "MobilenetV1/Logits/Conv2d_1c_1x1/weights": (1, 1, 1024, 1001),
    },
    "mobilenet_v2": {
        "MobilenetV2/Conv/weights": (3, 3, 3, 32),
        "MobilenetV2/expanded_conv/depthwise/depthwise_weights": (3, 3, 32, 1),
        "MobilenetV2/expanded_conv_1/expand/weights": (1, 1, 16, 96),
        "MobilenetV2/expanded_conv_16/project/BatchNorm/moving_mean": (320,),
        "MobilenetV2/Conv_1/weights": (1, 1, 320, 1280),
    },
    "mobilenet_v3_large": {
        "MobilenetV3/expanded_conv_3/squeeze_excite/Conv/weights": (1, 1, 72, 24),
        "MobilenetV3/expanded_conv_3/squeeze_excite/Conv_1/biases": (72,),
        "MobilenetV3/expanded_conv_14/expand/weights": (1, 1, 160, 960),
        "MobilenetV3/Conv_2/biases": (1280,),
    },
    "cifar10": {
        "conv1/weights": (5, 5, 3, 64),
        "local3/weights": (2304, 384),
        "local4/biases": (192,),
        "softmax_linear/weights": (192, 10),
    },
    "cifarnet": {"CifarNet/fc3/weights": (4096, 384), "CifarNet/logits/weights": (192, 10)},
    "dcgan_generator": {
        "generator/g_h0_lin/Matrix": (100, 8192),
        "generator/g_h0_lin/bias": (8192,),
        "generator/g_bn0/gamma": (512,),
        "generator/g_h1/w": (5, 5, 256, 512),
        "generator/g_h4/biases": (3,),
    },
    "dcgan_discriminator": {
        "discriminator/d_h0_conv/biases": (64,),
        "discriminator/d_h3_conv/w": (5, 5, 256, 512),
        "discriminator/d_bn3/moving_variance": (512,),
        "discriminator/d_h4_lin/Matrix": (8192, 1),
    },
    "slim_dcgan_generator": {
        "Generator/deconv1/weights": (4, 4, 512, 64),
        "Generator/deconv1/BatchNorm/beta": (512,),
        "Generator/deconv4/biases": (64,),
        "Generator/logits/weights": (1, 1, 64, 3),
    },
    "slim_dcgan_discriminator": {
        "Discriminator/conv1/biases": (64,),
        "Discriminator/conv5/BatchNorm/moving_mean": (1024,),
        "Discriminator/Conv/weights": (1, 1, 1024, 1),
    },
    "dense_autoencoder": {"dense/kernel": (784, 128), "batch_normalization_4/gamma": (128,), "dense_5/bias": (784,)},
}


# Height, width and channels of layers, as the published code notes them beside the layers.
_SIZES: dict[str, dict[str, tuple[int, ...]]] = {
    "inception_v1": {"MaxPool_3a_3x3": (28, 28, 192), "Mixed_4f": (14, 14, 832), "Mixed_5c": (7, 7, 1024)},
    "inception_v2": {"Mixed_3c": (28, 28, 320), "Mixed_4e": (14, 14, 576), "Mixed_5c": (7, 7, 1024)},
    "inception_v3": {"MaxPool_5a_3x3": (35, 35, 192), "Mixed_6e": (17, 17, 768), "Mixed_7c": (8, 8, 2048)},
    "inception_v4": {
        "Conv2d_1a_3x3": (149, 149, 32),
        "Conv2d_2a_3x3": (147, 147, 32),
        "Conv2d_2b_3x3": (147, 147, 64),
        "Mixed_3a": (73, 73, 160),
        "Mixed_4a": (71, 71, 192),
        "Mixed_5a": (35, 35, 384),
        "Mixed_5e": (35, 35, 384),
        "Mixed_6a": (17, 17, 1024),
        "Mixed_6h": (17, 17, 1024),
        "Mixed_7a": (8, 8, 1536),
        "Mixed_7d": (8, 8, 1536),
    },
    "inception_resnet_v2": {
        "MaxPool_3a_3x3": (73, 73, 64),
        "MaxPool_5a_3x3": (35, 35, 192),
        "Mixed_5b": (35, 35, 320),
        "Mixed_6a": (17, 17, 1088),
        "Mixed_7a": (8, 8, 2080),
        "Conv2d_7b_1x1": (8, 8, 1536),
    },
    "resnet_v1_50": {"pool1": (56, 56, 64), "block1": (28, 28, 256), "block4": (7, 7, 2048)},
    "mobilenet_v1": {"Conv2d_5_pointwise": (28, 28, 256), "Conv2d_13_pointwise": (7, 7, 1024)},
    "mobilenet_v2": {"expanded_conv_2": (56, 56, 24), "expanded_conv_12": (14, 14, 96), "Conv_1": (7, 7, 1280)},
    "mobilenet_v3_large": {"expanded_conv_5": (28, 28, 40), "Conv_1": (7, 7, 960), "Conv_2": (1, 1, 1280)},
    "mobilenet_v3_small": {"expanded_conv": (56, 56, 16), "expanded_conv_7": (14, 14, 48), "Conv_1": (7, 7, 576)},
    "alexnet_v2": {"conv1": (54, 54, 64), "pool5": (5, 5, 256)},
    "overfeat": {"conv1": (56, 56, 64), "pool5": (6, 6, 1024)},
    "vgg_16": {"pool5": (7, 7, 512), "fc6": (1, 1, 4096)},
    "cifar10": {"pool1": (12, 12, 64), "pool2": (6, 6, 64)},
    "dcgan_generator": {"g_bn0": (4, 4, 512), "g_h4": (64, 64, 3)},
    "dcgan_discriminator": {"d_bn3": (4, 4, 512)},
}


@pytest.mark.parametrize("name", _SIZES)
def test_layers_are_as_large_as_published(name: str) -> None:
    """Strides and padding give the sizes of the published code."""
    architecture = ARCHITECTURES[name]
    endpoints = architecture.program(architecture.choices({})).endpoints
    assert {layer: endpoints[layer].shape for layer in _SIZES[name]} == _SIZES[name]


def _trainable(shapes: dict[str, tuple[int, ...]]) -> int:
    return sum(prod(shape) for key, shape in shapes.items() if "/moving_" not in key)


@pytest.mark.parametrize("name", _PARAMETERS)
def test_parameters_are_as_many_as_published(name: str) -> None:
    """A network has the published number of trainable parameters, classes aside."""
    published, each = _PARAMETERS[name]
    classes = ARCHITECTURES[name].choices({}).integer("classes")
    assert _trainable(shapes_of(name)) == published + (classes - 1000) * each


def test_inception_v4_has_as_many_parameters_as_published() -> None:
    """Without gammas, and with 1001 classes."""
    assert _trainable(shapes_of("inception_v4")) == _INCEPTION_V4 + 1537


@pytest.mark.parametrize("name", _PUBLISHED)
def test_variables_are_called_and_shaped_as_published(name: str) -> None:
    """Names and shapes that published checkpoints and their code are known to have."""
    shapes = shapes_of(name)
    assert {key: shapes.get(key) for key in _PUBLISHED[name]} == _PUBLISHED[name]


def test_published_checkpoints_have_no_gamma_where_slim_makes_none() -> None:
    """Inception has no gammas by default, ResNets and MobileNets have."""
    for name in ARCHITECTURES:
        gammas = any(key.endswith("/gamma") for key in shapes_of(name))
        assert gammas == name.startswith(("resnet", "mobilenet", "dcgan", "dense")), name
