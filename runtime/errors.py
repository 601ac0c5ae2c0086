"""What can go wrong when a bundle is loaded and run; the exit status of `python -m runtime` is on the class.

NetError                  anything below
├── BundleError       3   the file isn't a bundle that this version can use
│   └── UnknownOpError 4  it needs an operator, or an attribute, that this version doesn't have
├── InputError        3   the arrays given don't fit the model
└── RunError          3   a node can't work on the shapes and values that reach it
"""

from __future__ import annotations

from typing import ClassVar

__all__ = ["FAILURES", "BundleError", "InputError", "NetError", "RunError", "UnknownOpError"]


class NetError(Exception):
    """Base of everything that a user of this package can do something about."""

    exit_code: ClassVar[int] = 70


class BundleError(NetError):
    """The file isn't a bundle that this version can use: broken, cut off, altered, or of another format."""

    exit_code = 3


class UnknownOpError(BundleError):
    """The bundle needs an operator, or an attribute of one, that this version doesn't have."""

    exit_code = 4


class InputError(NetError):
    """The arrays given don't fit the model: a name, a rank, a fixed size, or a type that would lose digits."""

    exit_code = 3


class RunError(NetError):
    """A node can't work on the shapes and values that reach it."""

    exit_code = 3


FAILURES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    RuntimeError,
    StopIteration,
    TypeError,
    ValueError,
)
"""What NumPy, and arithmetic on what a file says, make of shapes and values that don't go together."""
