"""What an export has found, decided and done: plain records, in the order in which things happened."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from exporter.decisions import Decision

__all__ = ["BatchNorm", "FileWritten", "FoldOutcome", "Report", "SelfCheck", "TensorSpec"]


@dataclass(frozen=True)
class TensorSpec:
    """An input or output of the exported model.

    Attributes:
        name: The TensorFlow name without `:0`.
        dtype: As in `float32`.
        shape: Sizes; a symbolic dimension by its name, `?` where it is unknown; None for an unknown rank.
        reason: Why it is an input or output: `named by the user`, `signature serving_default`, ...
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...] | None
    reason: str = ""


@dataclass(frozen=True)
class BatchNorm:
    """A batch norm: where its parameters came from.

    Attributes:
        name: Its scope or layer.
        channels: How many channels it normalises.
        epsilon: What is added to the variance, inside the root.
        gamma: As in `stored as bn1/gamma`, or `1 (scale=False)`.
        beta: As in `stored as bn1/beta`, or `0 (center=False)`.
        mean: As in `stored as bn1/moving_mean`.
        variance: As in `stored as bn1/moving_variance`.
    """

    name: str
    channels: int
    epsilon: float
    gamma: str
    beta: str
    mean: str
    variance: str


@dataclass(frozen=True)
class FoldOutcome:
    """What became of one affine: a batch norm, a chain of them, or of multiplications and additions by constants.

    Attributes:
        batch_norms: The batch norms that it consists of; empty if it is plain arithmetic.
        source: The TensorFlow node or layer that its last op comes from.
        into: The linear op (or several, with commas) that took it, wholly or in part; None if it stays.
        how: What was done, as "scale and shift into kernel and bias".
        reason: Why it, or the rest of it, stays; None if nothing is left.
        dead: The channels whose scale is exactly 0: behind it they are constants, and could be pruned.
        rescaled: Whether the kernels of `into` are other numbers than the stored ones; else only biases are.
    """

    batch_norms: tuple[str, ...]
    source: str
    into: str | None
    how: str
    reason: str | None
    dead: tuple[int, ...] = ()
    rescaled: bool = False


@dataclass(frozen=True)
class SelfCheck:
    """What an export has found of its own result, run beside the unfolded model.

    Attributes:
        examples: The number of examples it was run on; 0 if it wasn't.
        share: The largest error, as a share of what noise explains.
        taken_back: The nodes and layers whose folds were found to be off, and so were taken back; in the order of the
            graph. All of them if they are too many to be told apart.
        left_out: Why it wasn't run; None if it was.
    """

    examples: int
    share: float = 0.0
    taken_back: tuple[str, ...] = ()
    left_out: Literal["asked for", "no example", "nothing to compare"] | None = None


@dataclass(frozen=True)
class FileWritten:
    """A file that was written."""

    path: str
    bytes: int


@dataclass(frozen=True)
class Report:
    """Everything an export has to say for itself."""

    source: str
    kind: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    batch_norms: tuple[BatchNorm, ...]
    folds: tuple[FoldOutcome, ...]
    decisions: tuple[Decision, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    files: tuple[FileWritten, ...]
    seconds: float
    check: SelfCheck | None = None

    def fold_of(self, batch_norm: str) -> FoldOutcome | None:
        """What became of a batch norm; None if the fold never met it."""
        return next((fold for fold in self.folds if batch_norm in fold.batch_norms), None)

    def to_json(self) -> dict[str, Any]:
        """The same as plain lists and dicts."""
        return asdict(self) | {"decisions": [decision.to_json() for decision in self.decisions]}
