"""What is to be known of an op of the IR."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from exporter.ir.opset.shape_rules import ShapeRule

__all__ = ["CHANNELS_LAST", "ML", "Op"]

CHANNELS_LAST = "channels_last"

ML = "ai.onnx.ml"
"""ONNX's own domain for tables of text and classes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Op:
    """The facts of one op that passes, layouts, shapes and the verdict ask for.

    What isn't said is taken for the worst: an op that is neither elementwise nor moves its elements stops folds,
    permutations and layouts.

    Attributes:
        name: The op type.
        domain: `channels_last` where the order of axes matters, `ai.onnx.ml`, or "" for standard ONNX.
        elementwise: "one" works on each element of its first input by itself, and takes numbers for all of them
            besides; "several" works on the elements in the same place of inputs that broadcast. In both the axes may
            come in any order.
        axis: It works along the axis that its attribute `axis` names, or else this one, and keeps the axes as they are.
        affine: It is an affine map of an input where the other ones are constant and it keeps the shape.
        moves: Its results are elements of its inputs in other places; before it or behind it is the same.
        exact: Its results are numbers of its inputs, perhaps negated, and constants: nothing is rounded.
        form: Its result is its first input as it is ("same"), with other sizes for the same elements in the same order
            ("reshaped"), or with its axes in another order ("permuted").
        keeps_range: Its results are between the smallest and the largest element of its first input.
        sign: Its results are never negative ("positive"), or aren't if its inputs aren't ("inherited").
        rounding: Its results have an error in proportion to their size, whatever they are made of ("relative"), or may
            be exact numbers such as 0 and 1, whatever they are made of ("settles").
        reduces: It reduces the axes in input 1, all if there is none, and keeps them if `keepdims` is 1.
        weights: It is linear in its inputs 0 and 1: input 1 holds the weights ("second"), or either does ("either").
        window: It looks at its input through windows, which may not fit into it.
        space: Its axes are batch, space, channels; in ONNX the channels come second.
        shape_only: Its result depends on the shape of its input alone.
        random: Each run gives other numbers.
        shape: The shape of its results; None where onnx's inference says it.
    """

    name: str
    domain: str = ""
    elementwise: Literal["one", "several"] | None = None
    axis: int | None = None
    affine: bool = False
    moves: bool = False
    exact: bool = False
    form: Literal["same", "reshaped", "permuted"] | None = None
    keeps_range: bool = False
    sign: Literal["positive", "inherited"] | None = None
    rounding: Literal["relative", "settles"] | None = None
    reduces: bool = False
    weights: Literal["second", "either"] | None = None
    window: bool = False
    space: bool = False
    shape_only: bool = False
    random: bool = False
    shape: ShapeRule | None = None
