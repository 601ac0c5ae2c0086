"""What an export has found, decided and done: plain records, in the order in which things happened."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from exporter.report.decisions import Decision
from exporter.report.html_table import html_table

__all__ = [
    "BatchNorm",
    "FileUsed",
    "FileWritten",
    "FoldOutcome",
    "HalfWeights",
    "NormStatistics",
    "Report",
    "SelfCheck",
    "TensorSpec",
]


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
class NormStatistics:
    """What the stored values of a batch norm say about training.

    Attributes:
        smallest: The smallest moving variance of a channel.
        median: The median.
        largest: The largest.
        dead: How many channels are constant, since their gamma is 0.
        loud: How many multiply their input by so much that they pass on noise.
        initial: The share of the initial values 0 and 1 that is left in the moving statistics; None if unknown.
        updated: Whether the moving statistics aren't exactly 0 and 1, as initialised.
    """

    smallest: float
    median: float
    largest: float
    dead: int
    loud: int
    initial: float | None
    updated: bool


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
        statistics: What its values say; None if they aren't stored.
    """

    name: str
    channels: int
    epsilon: float
    gamma: str
    beta: str
    mean: str
    variance: str
    statistics: NormStatistics | None = None


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
        smaller: Whether it was run on inputs that are smaller than the model says, as the model is large.
    """

    examples: int
    share: float = 0.0
    taken_back: tuple[str, ...] = ()
    left_out: Literal["asked for", "too large", "no inputs", "fails", "nothing to compare"] | None = None
    smaller: bool = False


@dataclass(frozen=True)
class HalfWeights:
    """What storing weights in float16 has changed.

    Attributes:
        rounded: The weight tensors that are stored so.
        kept: Those that stay in float32, each with the reason.
        errors: For each output how far the examples have moved, relative to its size; for integers the share that
            differs. Empty if there are no examples.
    """

    rounded: tuple[str, ...]
    kept: tuple[tuple[str, str], ...]
    errors: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class FileWritten:
    """A file that was written."""

    path: str
    bytes: int


@dataclass(frozen=True)
class FileUsed:
    """A file that was read.

    Attributes:
        role: `model`, `weights`, `bundle`, `program`, `source`, `graph` or `data`.
        path: Where it is.
    """

    role: str
    path: str


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
    read: tuple[FileUsed, ...] = ()
    half: HalfWeights | None = None

    def fold_of(self, batch_norm: str) -> FoldOutcome | None:
        """What became of a batch norm; None if the fold never met it."""
        return next((fold for fold in self.folds if batch_norm in fold.batch_norms), None)

    def to_json(self) -> dict[str, Any]:
        """The same as plain lists and dicts."""
        return asdict(self) | {"decisions": [decision.to_json() for decision in self.decisions]}

    @property
    def folded(self) -> int:
        """How many batch norms are folded wholly."""
        return sum(1 for n in self.batch_norms if (fold := self.fold_of(n.name)) is not None and fold.reason is None)

    def __repr__(self) -> str:
        norms = f"{self.folded} of {len(self.batch_norms)} batch norms folded" if self.batch_norms else "no batch norms"
        ends = [f"{spec.name} {'?' if spec.shape is None else list(spec.shape)}" for spec in self.inputs]
        out = [f"{spec.name} {'?' if spec.shape is None else list(spec.shape)}" for spec in self.outputs]
        lines = [f"<Report: {self.source}, {self.kind}; {norms}; {len(self.warnings)} warnings"]
        lines.append(f"  {_few(ends)} -> {_few(out)}")
        return "\n".join([*lines, *(f"  wrote {file.path}" for file in self.files)]) + ">"

    def _repr_html_(self) -> str:
        """The batch norms and decisions as tables, for notebooks."""
        rows = []
        for norm in self.batch_norms:
            fold = self.fold_of(norm.name)
            into = "" if fold is None else fold.into or fold.how
            why_not = "the fold never met it" if fold is None else fold.reason or ""
            rows.append((norm.name, norm.channels, f"{norm.epsilon:.3g}", norm.gamma, norm.beta, into, why_not))
        head = ("batch norm", "channels", "epsilon", "gamma", "beta", "folded into", "why not")
        decided = [(d.kind, d.subject, d.choice, d.reason) for d in self.decisions]
        tables = [html_table(repr(self).strip("<>"), head, rows)]
        tables += [html_table("decided", ("what", "which", "choice", "why"), decided)] if decided else []
        return "".join([*tables, *(html_table("warning", (), [(text,)]) for text in self.warnings)])


def _few(texts: list[str]) -> str:
    return ", ".join(texts[:_FEW]) + (f" and {len(texts) - _FEW} more" if len(texts) > _FEW else "")


_FEW = 4
