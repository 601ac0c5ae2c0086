"""Writes a network down: scopes, defaults and layers, as an architecture calls them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from exporter.errors import UsageError
from exporter.zoo.program import Input, Operation, Program, Shape, Tensor, Weight, constant
from exporter.zoo.style import Activation, Norm, Padding, Style
from exporter.zoo.window import Window

__all__ = ["Net"]

_AXES = constant([1, 2], np.int64)


class Net:
    """Records layers in the order in which they are called; a layer's result is an endpoint by the layer's name.

    Args:
        shape: Height, width and channels of the input (or its features alone); None where a size isn't known.
        style: The defaults of layers.
    """

    def __init__(self, shape: Shape, style: Style) -> None:
        self.input = Tensor(shape)
        self._style = style
        self._scopes: tuple[str, ...] = ()
        self._operations: list[Operation] = []
        self._endpoints: dict[str, Tensor] = {}

    def program(self) -> Program:
        """What has been recorded."""
        return Program(self.input, tuple(self._operations), dict(self._endpoints))

    @contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """Layers inside have names that begin with this one."""
        before, self._scopes = self._scopes, (*self._scopes, name)
        try:
            yield
        finally:
            self._scopes = before

    @contextmanager
    def defaults(self, **changes: Any) -> Iterator[None]:
        """Layers inside have these fields of `Style` as defaults."""
        before, self._style = self._style, replace(self._style, **changes)
        try:
            yield
        finally:
            self._style = before

    def endpoint(self, name: str, x: Tensor) -> Tensor:
        """Gives a tensor a name that can be asked for as an output."""
        self._endpoints["/".join((*self._scopes, name))] = x
        return x

    def conv(
        self,
        name: str,
        x: Tensor,
        channels: int,
        kernel: int | Sequence[int],
        *,
        stride: int = 1,
        rate: int = 1,
        **changes: Any,
    ) -> Tensor:
        """Convolution, weights [kh, kw, C, channels]; then batch norm or bias, and activation."""
        style, size = replace(self._style, **changes), _pair(kernel)
        weights = self._weight(f"{name}/{style.kernel}", (*size, x.channels, channels))
        return self._finish(name, self._conv(name, x, weights, size, stride, rate, style, channels, group=1), style)

    def depthwise(
        self, name: str, x: Tensor, kernel: int | Sequence[int], *, multiplier: int = 1, stride: int = 1, rate: int = 1
    ) -> Tensor:
        """Depthwise convolution, depthwise_weights [kh, kw, C, multiplier]; then batch norm or bias, and activation."""
        y = self._depthwise(name, x, _pair(kernel), multiplier, stride, rate)
        return self._finish(name, y, self._style)

    def separable(
        self, name: str, x: Tensor, channels: int, kernel: int | Sequence[int], *, multiplier: int, stride: int = 1
    ) -> Tensor:
        """A depthwise convolution and one of size 1 (pointwise_weights), with nothing between them."""
        between = self._depthwise(name, x, _pair(kernel), multiplier, stride, 1)
        weights = self._weight(f"{name}/pointwise_weights", (1, 1, between.channels, channels))
        y = self._conv(name, between, weights, (1, 1), 1, 1, self._style, channels, group=1)
        return self._finish(name, y, self._style)

    def conv_transpose(
        self, name: str, x: Tensor, channels: int, kernel: int, *, stride: int, **changes: Any
    ) -> Tensor:
        """Transposed convolution, weights [k, k, channels, C]; to `stride` times the size, or whole (padding valid)."""
        style = replace(self._style, **changes)
        weights = self._weight(f"{name}/{style.kernel}", (kernel, kernel, channels, x.channels))
        reach = max(kernel - stride, 0)
        surplus = 0 if style.padding == "valid" else reach
        begin, end = surplus // 2, surplus - surplus // 2
        shape = (*[None if size is None else size * stride + reach - surplus for size in x.shape[:-1]], channels)
        settings: dict[str, Any] = {"pads": [begin, begin, end, end], "output_padding": [max(stride - kernel, 0)] * 2}
        inputs = (x, weights, self._bias(name, style, channels))
        y = self._emit(
            "ConvTranspose", name, inputs, shape, strides=[stride] * 2, dilations=[1, 1], group=1, **settings
        )
        return self._finish(name, y, style)

    def dense(self, name: str, x: Tensor, channels: int, **changes: Any) -> Tensor:
        """x W + b over the last axis, weights [C, channels]; then batch norm, and activation."""
        style = replace(self._style, **changes)
        weights = self._weight(f"{name}/{style.kernel}", (x.channels, channels))
        y = self._emit("Dense", name, (x, weights, self._bias(name, style, channels)), (*x.shape[:-1], channels))
        return self._finish(name, y, style)

    def norm(self, name: str, x: Tensor, norm: Norm, activation: Activation | None = None) -> Tensor:
        """A batch norm of its own, and an activation."""
        return self.endpoint(name, self.activate(name, self._norm(name, x, norm), activation))

    def pool(
        self, name: str, x: Tensor, kernel: int, *, stride: int, padding: Padding | None = None, mean: bool = False
    ) -> Tensor:
        """The largest value of each window, or the mean of what of it is inside the image."""
        window = Window(x.shape[:2], (kernel, kernel), stride, 1, padding or self._style.padding)
        op_type = "AveragePool" if mean else "MaxPool"
        settings = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, **window.pads()}
        return self.endpoint(name, self._emit(op_type, name, (x,), (*window.output(), x.channels), **settings))

    def mean(self, name: str, x: Tensor) -> Tensor:
        """The mean of each channel over the image, which keeps size 1 x 1."""
        return self.endpoint(name, self._emit("ReduceMean", name, (x, _AXES), (1, 1, x.channels), keepdims=1))

    def local_response(self, name: str, x: Tensor, *, radius: int, bias: float, alpha: float, beta: float) -> Tensor:
        """x / (bias + alpha * sum of x^2 over 2 radius + 1 channels)^beta."""
        size = 2 * radius + 1
        y = self._emit("LRN", name, (x,), x.shape, size=size, alpha=alpha * size, beta=beta, bias=bias)
        return self.endpoint(name, y)

    def concat(self, tensors: Sequence[Tensor], name: str = "concat") -> Tensor:
        """The channels of all, one after the other."""
        channels = sum(x.channels for x in tensors)
        return self._emit("Concat", name, tuple(tensors), (*tensors[0].shape[:-1], channels), axis=-1)

    def add(self, x: Tensor, y: Tensor, name: str = "add") -> Tensor:
        """x + y, of one shape."""
        return self._emit("Add", name, (x, y), x.shape)

    def gate(self, x: Tensor, y: Tensor, name: str = "mul") -> Tensor:
        """x * y, where y may have size 1 in height and width."""
        return self._emit("Mul", name, (x, y), x.shape)

    def affine(self, x: Tensor, scale: npt.ArrayLike, shift: npt.ArrayLike = 0.0, name: str = "scale") -> Tensor:
        """x * scale + shift, with one number or one per channel."""
        factor, offset = constant(scale), constant(shift)
        if not (factor == 1).all():
            x = self._emit("Mul", name, (x, factor), x.shape)
        return self._emit("Add", name, (x, offset), x.shape) if offset.any() else x

    def squeeze(self, name: str, x: Tensor) -> Tensor:
        """[N, 1, 1, C] as [N, C].

        Raises:
            UsageError: There is more than one position: the input is larger than what the network classifies.
        """
        if any(size not in (1, None) for size in x.shape[:-1]):
            raise UsageError(
                f"the input is too large: {name} has {x.shape[0]} x {x.shape[1]} positions where one is meant",
                hint="Give a smaller input with --input NAME=?,HEIGHT,WIDTH,CHANNELS",
            )
        return self.endpoint(name, self._emit("Squeeze", name, (x, _AXES), (x.channels,)))

    def flatten(self, name: str, x: Tensor) -> Tensor:
        """[N, H, W, C] as [N, H W C].

        Raises:
            UsageError: A size isn't known, so that the weights behind it can't be.
        """
        sizes = [size for size in x.shape if size is not None]
        if len(sizes) < len(x.shape):
            raise UsageError(
                f"the input has to have a fixed size, because {name} flattens an image",
                hint="Give it with --input NAME=?,HEIGHT,WIDTH,CHANNELS",
            )
        return self.reshape(name, x, (prod(sizes),))

    def reshape(self, name: str, x: Tensor, shape: tuple[int, ...]) -> Tensor:
        """x in another shape, the batch left alone."""
        return self._emit("Reshape", name, (x, constant([-1, *shape], np.int64)), shape)

    def softmax(self, name: str, x: Tensor) -> Tensor:
        """Probabilities over the last axis."""
        return self.endpoint(name, self._emit("Softmax", name, (x,), x.shape, axis=-1))

    def activate(self, name: str, x: Tensor, activation: Activation | None) -> Tensor:
        """An activation by name."""
        if activation is None:
            return x
        if activation == "hard_sigmoid":
            # The squeeze-and-excite gate of MobileNet V3 multiplies by this rounded sixth.
            return self.affine(self._clip(name, self.affine(x, 1, 3, name), 6), 0.16667, name=name)
        if activation == "relu6":
            return self._clip(name, x, 6)
        op_type, settings = _ACTIVATIONS[activation]
        return self._emit(op_type, name, (x,), x.shape, **settings)

    def _clip(self, name: str, x: Tensor, high: float) -> Tensor:
        return self._emit("Clip", name, (x, constant(0.0), constant(high)), x.shape)

    def _depthwise(
        self, name: str, x: Tensor, size: tuple[int, int], multiplier: int, stride: int, rate: int
    ) -> Tensor:
        weights = self._weight(f"{name}/depthwise_weights", (*size, x.channels, multiplier))
        channels = x.channels * multiplier
        grouped = constant([*size, 1, channels], np.int64)
        kernel = self._emit("Reshape", name, (weights, grouped), (size[1], 1, channels))
        return self._conv(name, x, kernel, size, stride, rate, self._style, channels, group=x.channels, bias=False)

    def _conv(
        self,
        name: str,
        x: Tensor,
        kernel: Input,
        size: tuple[int, int],
        stride: int,
        rate: int,
        style: Style,
        channels: int,
        *,
        group: int,
        bias: bool = True,
    ) -> Tensor:
        window = Window(x.shape[:2], size, stride, rate, style.padding)
        settings = {"strides": [stride] * 2, "dilations": [rate] * 2, "group": group, **window.pads()}
        inputs = (x, kernel, self._bias(name, style, channels) if bias else None)
        return self._emit("Conv", name, inputs, (*window.output(), channels), **settings)

    def _finish(self, name: str, y: Tensor, style: Style) -> Tensor:
        if style.norm is not None:
            y = self._norm(f"{name}/{style.norm.scope}", y, style.norm)
        return self.endpoint(name, self.activate(name, y, style.activation))

    def _norm(self, name: str, x: Tensor, norm: Norm) -> Tensor:
        size = (x.channels,)
        gamma = self._weight(f"{name}/gamma", size, part="gamma", absent=1.0, usual=norm.scale)
        beta = self._weight(f"{name}/beta", size, part="beta", absent=0.0, usual=norm.center)
        mean = self._weight(f"{name}/moving_mean", size, part="moving_mean")
        variance = self._weight(f"{name}/moving_variance", size, part="moving_variance")
        inputs = (x, gamma, beta, mean, variance)
        return self._emit("BatchNormalization", name, inputs, x.shape, batch_norm=True, epsilon=norm.epsilon)

    def _bias(self, name: str, style: Style, channels: int) -> Weight | None:
        if style.bias is None or style.norm is not None:
            return None
        return self._weight(f"{name}/{style.bias}", (channels,))

    def _weight(self, name: str, shape: tuple[int, ...], **details: Any) -> Weight:
        return Weight("/".join((*self._scopes, name)), shape, **details)

    def _emit(
        self,
        op_type: str,
        name: str,
        inputs: tuple[Input, ...],
        shape: Shape,
        *,
        batch_norm: bool = False,
        **attributes: Any,
    ) -> Tensor:
        source = "/".join((*self._scopes, name))
        output = Tensor(shape)
        self._operations.append(Operation(op_type, source, inputs, attributes, output, source if batch_norm else None))
        return output


_ACTIVATIONS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "relu": ("Relu", {}),
    "leaky_relu": ("LeakyRelu", {"alpha": 0.2}),
    "hard_swish": ("HardSwish", {}),
    "sigmoid": ("Sigmoid", {}),
    "tanh": ("Tanh", {}),
}


def _pair(kernel: int | Sequence[int]) -> tuple[int, int]:
    height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
    return height, width
