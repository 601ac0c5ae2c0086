"""All built-in architectures, by name."""

from __future__ import annotations

from difflib import get_close_matches

from exporter.errors import UsageError
from exporter.zoo.architecture import Architecture
from exporter.zoo.architectures.alexnet import ALEXNET_V2, OVERFEAT
from exporter.zoo.architectures.autoencoder import DENSE_AUTOENCODER
from exporter.zoo.architectures.cifar import CIFAR10, CIFARNET
from exporter.zoo.architectures.dcgan import DCGAN_DISCRIMINATOR, DCGAN_GENERATOR
from exporter.zoo.architectures.inception_resnet_v2 import INCEPTION_RESNET_V2
from exporter.zoo.architectures.inception_v1 import INCEPTION_V1
from exporter.zoo.architectures.inception_v2 import INCEPTION_V2
from exporter.zoo.architectures.inception_v3 import INCEPTION_V3
from exporter.zoo.architectures.inception_v4 import INCEPTION_V4
from exporter.zoo.architectures.mobilenet_v1 import MOBILENET_V1
from exporter.zoo.architectures.mobilenet_v2 import MOBILENET_V2
from exporter.zoo.architectures.mobilenet_v3 import MOBILENETS_V3
from exporter.zoo.architectures.resnet import RESNETS
from exporter.zoo.architectures.slim_dcgan import SLIM_DCGAN_DISCRIMINATOR, SLIM_DCGAN_GENERATOR
from exporter.zoo.architectures.vgg import VGG
from exporter.zoo.user_file import is_file_name, load_architecture

__all__ = ["ARCHITECTURES", "architecture"]

_ALL = (
    INCEPTION_V1,
    INCEPTION_V2,
    INCEPTION_V3,
    INCEPTION_V4,
    INCEPTION_RESNET_V2,
    *RESNETS,
    MOBILENET_V1,
    MOBILENET_V2,
    *MOBILENETS_V3,
    *VGG,
    ALEXNET_V2,
    OVERFEAT,
    CIFAR10,
    CIFARNET,
    DCGAN_GENERATOR,
    DCGAN_DISCRIMINATOR,
    SLIM_DCGAN_GENERATOR,
    SLIM_DCGAN_DISCRIMINATOR,
    DENSE_AUTOENCODER,
)

ARCHITECTURES: dict[str, Architecture] = {each.name: each for each in _ALL}


def architecture(name: str) -> Architecture:
    """A built-in one by its name, or one of the user's own by `file.py:name`.

    Raises:
        UsageError: There is none of that name.
    """
    if is_file_name(name):
        return load_architecture(name)
    if name not in ARCHITECTURES:
        close = get_close_matches(name, ARCHITECTURES, n=3, cutoff=0.4)
        hint = f"Did you mean {', '.join(close)}?" if close else f"There are {', '.join(ARCHITECTURES)}"
        raise UsageError(f"--arch {name}: there is no architecture of that name", hint=hint)
    return ARCHITECTURES[name]
