"""Groups of op types that tell what a part of a TensorFlow graph is for."""

from __future__ import annotations

__all__ = [
    "CANDIDATE_SAMPLERS",
    "CROSS_ENTROPIES",
    "DATA_SOURCES",
    "DECODERS",
    "GRADIENT_OPS",
    "LABEL_LOSSES",
    "LAYER_OPS",
    "LOSS_ARITHMETIC",
    "NO_VALUE",
    "PLACEHOLDERS",
    "PYTHON_CALLS",
]

PLACEHOLDERS = frozenset({"Placeholder", "PlaceholderV2", "PlaceholderWithDefault"})

DATA_SOURCES = frozenset(
    {
        "DecodeAndCropJpeg",
        "DecodeBmp",
        "DecodeCSV",
        "DecodeGif",
        "DecodeImage",
        "DecodeJpeg",
        "DecodePng",
        "DecodeRaw",
        "DecodeWav",
        "FixedLengthRecordReader",
        "IteratorGetNext",
        "IteratorGetNextSync",
        "ParseExample",
        "ParseExampleV2",
        "ParseSequenceExample",
        "ParseSingleExample",
        "ParseSingleSequenceExample",
        "PyFunc",
        "PyFuncStateless",
        "EagerPyFunc",
        "QueueDequeue",
        "QueueDequeueMany",
        "QueueDequeueManyV2",
        "QueueDequeueUpTo",
        "QueueDequeueUpToV2",
        "QueueDequeueV2",
        "ReadFile",
        "ReaderRead",
        "ReaderReadUpTo",
        "ReaderReadUpToV2",
        "ReaderReadV2",
        "StagePeek",
        "Unstage",
        "_Arg",
    }
)
"""Ops whose results come from outside of what a graph can compute."""

PYTHON_CALLS = frozenset({"EagerPyFunc", "PyFunc", "PyFuncStateless"})
"""Ops that call back into the Python program that made the graph."""

LAYER_OPS = frozenset(
    {
        "BatchMatMul",
        "BatchMatMulV2",
        "BatchMatMulV3",
        "BiasAdd",
        "BiasAddV1",
        "Conv2D",
        "Conv2DBackpropInput",
        "Conv3D",
        "Conv3DBackpropInputV2",
        "DepthwiseConv2dNative",
        "Dilation2D",
        "Einsum",
        "FusedBatchNorm",
        "FusedBatchNormV2",
        "FusedBatchNormV3",
        "Gather",
        "GatherV2",
        "LSTMBlockCell",
        "MatMul",
        "ResourceGather",
        "SparseTensorDenseMatMul",
    }
)
"""Ops that apply weights to data."""

GRADIENT_OPS = frozenset(
    {
        "AvgPool3DGrad",
        "AvgPoolGrad",
        "BiasAddGrad",
        "BroadcastGradientArgs",
        "Conv2DBackpropFilter",
        "Conv3DBackpropFilterV2",
        "Conv3DBackpropInputV2Grad",
        "CropAndResizeGradBoxes",
        "CropAndResizeGradImage",
        "DepthwiseConv2dNativeBackpropFilter",
        "DepthwiseConv2dNativeBackpropInput",
        "EluGrad",
        "FusedBatchNormGrad",
        "FusedBatchNormGradV2",
        "FusedBatchNormGradV3",
        "InvGrad",
        "LRNGrad",
        "LeakyReluGrad",
        "MaxPool3DGrad",
        "MaxPoolGrad",
        "MaxPoolGradV2",
        "MaxPoolGradWithArgmax",
        "MirrorPadGrad",
        "ReciprocalGrad",
        "Relu6Grad",
        "ReluGrad",
        "ResizeBicubicGrad",
        "ResizeBilinearGrad",
        "ResizeNearestNeighborGrad",
        "RsqrtGrad",
        "SeluGrad",
        "SigmoidGrad",
        "SoftplusGrad",
        "SoftsignGrad",
        "SqrtGrad",
        "StridedSliceGrad",
        "SymbolicGradient",
        "TanhGrad",
    }
)
"""Ops that only backpropagation needs; whatever depends on one is of the gradients."""

DECODERS = {
    "CTCBeamSearchDecoder": "searches for a text",
    "CTCBeamSearchDecoderV2": "searches for a text",
    "Multinomial": "draws at random",
    "NonMaxSuppressionWithOverlaps": "picks boxes",
    "StatelessMultinomial": "draws at random",
}
"""Ops that make something else of a network's results, for which there is no translation, and what they do."""

CANDIDATE_SAMPLERS = frozenset(
    {
        "AllCandidateSampler",
        "FixedUnigramCandidateSampler",
        "LearnedUnigramCandidateSampler",
        "LogUniformCandidateSampler",
        "ThreadUnsafeUnigramCandidateSampler",
        "UniformCandidateSampler",
    }
)
"""Ops that draw classes to tell the labels from; only losses do so."""

CROSS_ENTROPIES = frozenset({"SoftmaxCrossEntropyWithLogits", "SparseSoftmaxCrossEntropyWithLogits"})
"""Losses that layers compute nothing with, whether their labels are labels alone or inputs as well."""

LABEL_LOSSES = CROSS_ENTROPIES | {"CTCLoss", "L2Loss"}

LOSS_ARITHMETIC = frozenset(
    {
        "Abs",
        "Add",
        "AddN",
        "AddV2",
        "ClipByValue",
        "Div",
        "DivNoNan",
        "Equal",
        "Exp",
        "Greater",
        "GreaterEqual",
        "Less",
        "LessEqual",
        "Log",
        "Log1p",
        "LogicalAnd",
        "Maximum",
        "Mean",
        "Minimum",
        "Mul",
        "Neg",
        "Pow",
        "RealDiv",
        "Select",
        "SelectV2",
        "Softplus",
        "Sqrt",
        "Square",
        "SquaredDifference",
        "Sub",
        "Sum",
    }
)
"""Arithmetic that losses are made of."""

NO_VALUE = frozenset(
    {
        "Assert",
        "AudioSummary",
        "AudioSummaryV2",
        "HistogramSummary",
        "ImageSummary",
        "MergeSummary",
        "NoOp",
        "PrintV2",
        "QueueEnqueue",
        "QueueEnqueueMany",
        "QueueEnqueueManyV2",
        "QueueEnqueueV2",
        "SaveV2",
        "ScalarSummary",
        "TensorSummary",
        "TensorSummaryV2",
        "WriteHistogramSummary",
        "WriteImageSummary",
        "WriteScalarSummary",
        "WriteSummary",
    }
)
"""Ops that people look at or that write files; none of them makes a tensor that a model returns."""
