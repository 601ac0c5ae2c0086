"""Decisions as data: what was decided about what, the value, and why by a code. Their words are made here alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum, auto
from typing import Any, Literal, cast

__all__ = ["Choice", "Decision", "Detail", "Details", "Kind", "Reason", "Value"]

Kind = Literal[
    "architecture",
    "batch",
    "beta",
    "condition",
    "dropout",
    "ema",
    "flag",
    "gamma",
    "input",
    "noise",
    "output",
    "preprocessing",
    "statistics",
    "value",
]
"""What a decision is about."""


class Choice(StrEnum):
    """A value that is neither a number nor a name. In words, it is the same with spaces."""

    AS_STORED = auto()
    """The value that the checkpoint has of the variable in the detail `variable`."""
    AVERAGED_WEIGHTS = auto()
    BATCH_STATISTICS = auto()
    """A batch norm keeps the batch's own statistics."""
    IDENTITY = auto()
    IN_THE_GRAPH = auto()
    INPUT = auto()
    ITS_DEFAULT = auto()
    """What the network computes as a placeholder's default."""
    KEPT = auto()
    LEFT_TO_THE_CALLER = auto()
    OUTPUT = auto()
    RAW_WEIGHTS = auto()
    SET_ASIDE = auto()


class Reason(StrEnum):
    """Why something was decided; `_WORDS` has the sentence to each, with the names of its details in braces."""

    # inputs and outputs
    NAMED_BY_USER = auto()
    OF_SIGNATURE = auto()
    NAMED_IN_SIGNATURE = auto()
    FORWARD_END = auto()
    PLACEHOLDER = auto()
    DATA_SOURCE = auto()
    DECODED_IN_LOOP = auto()
    RANDOM_START = auto()
    # outputs that are set aside
    DECODER = auto()
    UNUSED_AFTER_LOOP = auto()
    TRIAL_STEP = auto()
    LOOP_COUNTER = auto()
    BATCH_STATISTICS_END = auto()
    NEVER_TRAINED = auto()
    COMPARED_WITH = auto()
    SHOWN_IMAGE = auto()
    UNUSED_NOISE = auto()
    UNTRAINED_COPY = auto()
    SINGLE_SAMPLE = auto()
    ADVERSARIAL_ONLY = auto()
    ADVERSARIAL_FOR = auto()
    COPY_OF_TRAINED = auto()
    AFTER_SCORES = auto()
    INNER = auto()
    OTHER_INPUTS = auto()
    PIECE = auto()
    LOGITS = auto()
    AUXILIARY_HEAD = auto()
    # training flags, values and conditions
    TRAINING_SIDE = auto()
    BLENDS_STATISTICS = auto()
    KEEP_PROBABILITY = auto()
    UNTRAINED_DEFAULT = auto()
    COMPUTED_DEFAULT = auto()
    NUMBER_DEFAULT = auto()
    UNNAMED_DEFAULT = auto()
    SET_BY_USER = auto()
    ASSIGNED_IN_TRAINING = auto()
    DATA_CONDITION = auto()
    # batch sizes
    BATCHES_DIFFER = auto()
    TAKES_NO_OTHER_BATCH = auto()
    OUTPUT_OF_BATCH = auto()
    # statistics of batch norms
    KEPT_AS_ASKED = auto()
    NEVER_UPDATED = auto()
    RENORMALISATION = auto()
    UPDATED_BY_GRAPH = auto()
    NAMED_LIKE_STATISTICS = auto()
    # noise
    DROPOUT = auto()
    DROPOUT_KEEPING = auto()
    ALPHA_DROPOUT = auto()
    MASK = auto()
    MASK_KEEPING = auto()
    NORMAL_NOISE = auto()
    # weights
    AVERAGES_TOO = auto()
    AVERAGES_ASKED_FOR = auto()
    # architectures
    ARCHITECTURE_NAMED = auto()
    ARCHITECTURE_RECOGNISED = auto()
    OPTION_GIVEN = auto()
    OPTION_TOLD = auto()
    OPTION_PUBLISHED = auto()
    NONE_STORED = auto()
    NONE_STORED_UNUSUAL = auto()
    PUBLISHED_PREPROCESSING = auto()


Value = bool | int | float | str | tuple[Any, ...]
"""A number, a name, several names, a `Choice`, or an array as nested tuples of numbers."""

Detail = bool | int | float | str | tuple[str, ...]

Details = Mapping[str, Detail]


@dataclass(frozen=True)
class Decision:
    """A choice that changes numbers.

    Attributes:
        kind: What it is about.
        subject: The tensor, variable or layer that it is about.
        value: What was chosen: a number, the name of a variable, or a `Choice`.
        code: Why.
        details: What the reason speaks of, by name.
    """

    kind: Kind
    subject: str
    value: Value
    code: Reason
    details: Details = field(default_factory=dict)

    @property
    def shown(self) -> bool:
        """Whether it belongs to the decisions of a report; that something is an input or output is told beside it."""
        return self.value not in (Choice.INPUT, Choice.OUTPUT)

    @property
    def choice(self) -> str:
        """What was chosen, in words."""
        if self.value is Choice.AS_STORED:
            return f"{self.details['variable']} as stored"
        return _value_in_words(self.value)

    @property
    def reason(self) -> str:
        """Why, in words."""
        details = {name: _value_in_words(value) for name, value in self.details.items()}
        words = _WORDS[self.code].format(subject=self.subject, **details)
        if "doubt" in details:
            words = f"{words}; {details['doubt']}"
        can_be_exported = self.value is Choice.SET_ASIDE and self.code is not Reason.DECODER
        return f"{words}; --output {self.subject} exports it" if can_be_exported else words

    def to_json(self) -> dict[str, Any]:
        """The same as plain lists and dicts: the data, and `choice` and `reason` in words."""
        words = {"choice": self.choice, "reason": self.reason}
        data = {"value": self.value, "code": self.code, "details": dict(self.details)}
        return {"kind": self.kind, "subject": self.subject, **words, **data}


def _value_in_words(value: Value) -> str:
    if isinstance(value, Choice):
        return value.replace("_", " ")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, tuple):
        if value and all(isinstance(item, str) for item in value):
            return " and ".join(cast("tuple[str, ...]", value))
        return f"[{', '.join(_value_in_words(item) for item in value)}]"
    return str(value)


_WORDS: Mapping[Reason, str] = {
    Reason.NAMED_BY_USER: "named by the user",
    Reason.OF_SIGNATURE: "signature {signature}",
    Reason.NAMED_IN_SIGNATURE: "named by the user, of signature {signature}",
    Reason.FORWARD_END: "an end of the forward computation",
    Reason.PLACEHOLDER: "a placeholder that the outputs need",
    Reason.DATA_SOURCE: "data that come out of {op}",
    Reason.DECODED_IN_LOOP: "the images that a loop decodes one by one, as a batch",
    Reason.RANDOM_START: "the model starts from random numbers, and from nothing else",
    Reason.DECODER: "it {does}; the outputs are what it starts from",
    Reason.UNUSED_AFTER_LOOP: "nothing uses it after the loop that it comes from",
    Reason.TRIAL_STEP: "a step of a loop, before the loop, which nothing uses",
    Reason.LOOP_COUNTER: "a number that a loop has counted",
    Reason.BATCH_STATISTICS_END: "statistics of the batch, which moving averages are made of",
    Reason.NEVER_TRAINED: "layers that training never reaches make it, and nothing uses it",
    Reason.COMPARED_WITH: "a network that isn't trained compares with it what another one has made",
    Reason.SHOWN_IMAGE: "{result} as bytes to be looked at; another network uses {result} itself",
    Reason.UNUSED_NOISE: "dropout of an inner result, which nothing uses",
    Reason.UNTRAINED_COPY: "training doesn't use it, and its weights are a part of those of {result}",
    Reason.SINGLE_SAMPLE: "one sample of an inner result, which nothing uses",
    Reason.ADVERSARIAL_ONLY: "adversarial training alone uses it, and there is a result beside it",
    Reason.ADVERSARIAL_FOR: "adversarial training alone uses it; {result} is what it trains",
    Reason.COPY_OF_TRAINED: "a copy of trained weights computes it, and only a loss uses it",
    Reason.AFTER_SCORES: "only a loss uses it, which compares it with scores that labels pick",
    Reason.INNER: "a loss reads it on the way to {result}",
    Reason.OTHER_INPUTS: "only a loss uses it, and it depends on other inputs than the results",
    Reason.PIECE: "a piece of {result} that only a loss reads",
    Reason.LOGITS: "the logits of {result}, which the loss starts from",
    Reason.AUXILIARY_HEAD: "an auxiliary head: only a loss uses it, and {result} goes much deeper",
    Reason.TRAINING_SIDE: "only when it is {side}, {evidence} ({node})",
    Reason.BLENDS_STATISTICS: "it blends batch statistics and moving statistics ({node})",
    Reason.KEEP_PROBABILITY: "it says how much dropout keeps or drops; nothing is dropped",
    Reason.UNTRAINED_DEFAULT: "its default; nothing of training hangs on it",
    Reason.COMPUTED_DEFAULT: "what the network computes there; --input {subject} makes it an input",
    Reason.NUMBER_DEFAULT: "its default; --set gives it another value",
    Reason.UNNAMED_DEFAULT: "other inputs are named, and it isn't; --input {subject} makes it one",
    Reason.SET_BY_USER: "given with --set",
    Reason.ASSIGNED_IN_TRAINING: "{op} updates it in training, and gives its new value",
    Reason.DATA_CONDITION: "it depends on {predicate}, which is data",
    Reason.BATCHES_DIFFER: "the graph was written for it, and the inputs are of different batches",
    Reason.TAKES_NO_OTHER_BATCH: "the graph was written for it, and {node} takes no other",
    Reason.OUTPUT_OF_BATCH: (
        "the graph was written for it, and output {output} is of that size whatever the input's is"
    ),
    Reason.KEPT_AS_ASKED: "kept, as asked for",
    Reason.NEVER_UPDATED: "no flag says otherwise, and {variables} were never updated",
    Reason.RENORMALISATION: "batch renormalisation corrects in training only",
    Reason.UPDATED_BY_GRAPH: ("the graph normalises by the batch, and updates these variables from its statistics"),
    Reason.NAMED_LIKE_STATISTICS: (
        "nothing in the graph updates them; they are in the same scope and called like moving statistics"
    ),
    Reason.DROPOUT: "dropout",
    Reason.DROPOUT_KEEPING: "dropout with keep probability {keep}",
    Reason.ALPHA_DROPOUT: "alpha dropout",
    Reason.MASK: "a random mask, without rescaling",
    Reason.MASK_KEEPING: "a random mask with keep probability {keep}, without rescaling",
    Reason.NORMAL_NOISE: "normal noise of mean {mean}, drawn in {node}",
    Reason.AVERAGES_TOO: "there are averaged ones too; --ema exports those",
    Reason.AVERAGES_ASKED_FOR: "asked for with --ema",
    Reason.ARCHITECTURE_NAMED: (
        "asked for with --arch: all {tensors} tensors are there under {scope} with these names and shapes, and no "
        "others"
    ),
    Reason.ARCHITECTURE_RECOGNISED: (
        "recognised, certain: all {tensors} tensors are there under {scope} with these names and shapes, and no others"
    ),
    Reason.OPTION_GIVEN: "given by the user",
    Reason.OPTION_TOLD: "told by the shape of {tensor}",
    Reason.OPTION_PUBLISHED: "the published default",
    Reason.NONE_STORED: "none is stored: {architecture} is trained with {setting}",
    Reason.NONE_STORED_UNUSUAL: "none is stored, though {architecture} usually has them: trained with {setting}",
    Reason.PUBLISHED_PREPROCESSING: "the published weights expect {expected}",
}
