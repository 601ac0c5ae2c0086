"""A verdict and a report of any size, with names as long as those of real networks."""

from __future__ import annotations

from exporter.report.decisions import Decision, Reason
from exporter.report.records import (
    BatchNorm,
    FileUsed,
    FoldOutcome,
    NormStatistics,
    Report,
    SelfCheck,
    TensorSpec,
)
from exporter.verify.verdict import LayerCheck, OutputCheck, Verdict, WeightPower

__all__ = ["made_up_report", "made_up_verdict"]

ENGINES = ("onnxruntime, as written", "onnxruntime, optimised", "NumPy runtime")


def made_up_report(count: int) -> Report:
    """One with that many batch norms; every seventh isn't folded."""
    names = _names(count)
    folds = (
        FoldOutcome((n,), n, f"{n}/Conv2D" if i % 7 else None, "scale and shift", None if i % 7 else "two consumers")
        for i, n in enumerate(names)
    )
    return Report(
        "run/model.ckpt-1000",
        "TensorFlow 1 checkpoint with graph",
        (TensorSpec("images", "float32", ("N", 224, 224, 3), "found"),),
        (TensorSpec("logits", "float32", ("N", 10), "found"),),
        tuple(_batch_norm(name, i) for i, name in enumerate(names)),
        tuple(folds),
        (Decision("flag", "is_training", False, Reason.BLENDS_STATISTICS, {"node": "<a> & b"}),),
        ("channels of 3 batch norms are switched off",),
        (),
        (),
        0.5,
        SelfCheck(4, 0.25),
    )


def _names(count: int) -> list[str]:
    return [f"MobileNet/expanded_conv_{i}/depthwise_separable_convolution/BatchNorm" for i in range(count)]


def _batch_norm(name: str, i: int) -> BatchNorm:
    statistics = NormStatistics(0.01 * (i + 1), 1.0, 30.0, i % 2, 0, 0.4 if i == 1 else None, i != 2)
    beta, mean, variance = (f"stored as {name}/{part}" for part in ("beta", "moving_mean", "moving_variance"))
    return BatchNorm(name, 64, 1e-3, "1 (scale=False)", beta, mean, variance, statistics)


def made_up_verdict(count: int, *, off: int | None = None) -> Verdict:
    """One on that many layers, good but for those from one on, and of each tenth weight a channel unnoticed."""
    names = _names(count)
    layers = (
        LayerCheck(engine, n, n, i % 7, 1e-6 * (1 + i), 1e-8, 0.0 if off is not None and i >= off else 1.0)
        for engine in ENGINES
        for i, n in enumerate(names)
    )
    checks = (OutputCheck(engine, "logits", float("inf") if off else 1e-6, 1e-7, 2e-5) for engine in ENGINES)
    return Verdict(
        "the unfolded model",
        "mistakes made before folding",
        "measured",
        2,
        tuple(checks),
        layers=tuple(layers),
        power=tuple(WeightPower(f"{n}/weights", 64, (5,) if i % 10 == 9 else (), ()) for i, n in enumerate(names)),
        inputs={"sets": ["mixed"], "sizes": {"N": 16}, "inputs": [_USE], "batch_norms": ["bn"], "mismatch": 0.1},
        origin=made_up_report(count),
        read=(FileUsed("model", "model.onnx"),),
    )


_USE = {
    "name": "images",
    "role": "pixel",
    "shape": (16, 224, 224, 3),
    "below": None,
    "offset": (120.0, 117.5, 90.0),
    "spread": (60.0, 61.0, 59.0),
    "why": "the statistics of the first batch norms",
}
