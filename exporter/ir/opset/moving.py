"""Ops that give the elements of their inputs another place, and those that look at shapes or make tensors of them.

Their inputs and attributes are those of ONNX; DepthToSpace and SpaceToDepth: X [N, H, W, C] and `blocksize`.
"""

from __future__ import annotations

from exporter.ir.opset import shape_rules as shapes
from exporter.ir.opset.record import CHANNELS_LAST, ML, Op

__all__ = ["OPS"]

OPS = (
    Op(name="Concat", moves=True, exact=True, sign="inherited", shape=shapes.concat),
    Op(name="ConstantOfShape", exact=True, shape=shapes.constant_of_shape),
    Op(name="DepthToSpace", domain=CHANNELS_LAST, space=True, moves=True, exact=True, shape=shapes.depth_to_space),
    Op(name="Expand", moves=True, exact=True, keeps_range=True, shape=shapes.expand),
    Op(name="Flatten", moves=True, exact=True, keeps_range=True, form="reshaped"),
    Op(name="Gather", moves=True, exact=True, keeps_range=True),
    Op(
        name="Identity",
        elementwise="one",
        moves=True,
        exact=True,
        keeps_range=True,
        form="same",
        sign="inherited",
    ),
    Op(name="LabelEncoder", domain=ML, shape=shapes.same),
    Op(name="Pad", exact=True, shape=shapes.pad),
    Op(name="Reshape", moves=True, exact=True, keeps_range=True, form="reshaped", shape=shapes.reshape),
    Op(name="Resize", keeps_range=True, shape=shapes.resize),
    Op(name="Shape", shape_only=True, shape=shapes.shape),
    Op(name="Size", shape_only=True),
    Op(name="Slice", moves=True, exact=True, keeps_range=True, shape=shapes.slice_),
    Op(name="SpaceToDepth", domain=CHANNELS_LAST, space=True, moves=True, exact=True, shape=shapes.space_to_depth),
    Op(name="Split", axis=0, moves=True, exact=True, keeps_range=True),
    Op(name="Squeeze", moves=True, exact=True, keeps_range=True, form="reshaped"),
    Op(name="Tile", moves=True, exact=True, keeps_range=True, shape=shapes.tile),
    Op(name="Transpose", moves=True, exact=True, keeps_range=True, form="permuted", sign="inherited"),
    Op(name="TopK", axis=-1),
    Op(name="Unsqueeze", moves=True, exact=True, keeps_range=True, form="reshaped"),
)
