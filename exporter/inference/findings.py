"""What the stages of inference note down for the report."""

from __future__ import annotations

from dataclasses import dataclass, field

from exporter.report.decisions import Decision, Detail, Kind, Reason, Value

__all__ = ["Findings"]


@dataclass
class Findings:
    """Decisions that change numbers, and warnings, in the order they were made."""

    decisions: list[Decision] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    _of_subject: dict[str, list[Decision]] = field(default_factory=dict, repr=False, compare=False)

    def decide(self, kind: Kind, subject: str, value: Value, code: Reason, **details: Detail) -> None:
        """Notes a decision, once; `details` are what the words of the reason name."""
        decision = Decision(kind, subject, value, code, details)
        same = self._of_subject.setdefault(subject, [])
        if decision not in same:
            same.append(decision)
            self.decisions.append(decision)

    def warn(self, text: str) -> None:
        """Notes a warning, once."""
        if text not in self.warnings:
            self.warnings.append(text)
