"""Verifies right exports, with and without folding: none may be called off, weak or without a verdict.

    python -m tests.bench.false_alarms GROUP FOLDER [NAME ...]

GROUP is one of `samples`, `corpus`, `zoo`, `applications`; what has to be made is made in FOLDER and stays there. Every
source is exported with folds and with `--no-fold`, and each export is judged by plain `verify`, on the example stored
in its bundle, and by `verify --against` its source. Printed is what isn't good, with its reasons, and how many are. The
exit status is 1 if anything was off or failed.
"""

from __future__ import annotations

import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import exporter
import runtime
from exporter.errors import ExportError
from exporter.verify.model_files import verify_model
from exporter.verify.verdict import Verdict
from tests.bench.right_exports import GROUPS, Source

__all__ = ["Judged", "judge", "main"]


@dataclass(frozen=True)
class Judged:
    """One verification of a right export.

    Attributes:
        source: What was exported.
        fold: Whether with folds.
        against: Whether by its source, not by the stored example.
        state: The verdict's; "no example" if none is stored, "failed" if an error was raised.
        why: What is to be known of it.
        seconds: Processor time that it took.
    """

    source: str
    fold: bool
    against: bool
    state: str
    why: str
    seconds: float = 0.0

    def __str__(self) -> str:
        how = f"{'' if self.fold else '--no-fold, '}{'--against' if self.against else 'stored'}"
        return f"{self.source} ({how}): {self.state}; {self.why}"


def judge(source: Source, folder: Path) -> Iterator[Judged]:
    """The four verifications of one source."""
    for fold in (True, False):
        path = folder / "right.onnx"
        try:
            report = exporter.export(source.path, path, fold=fold, force=True, **source.options)
        except ExportError as error:
            yield Judged(source.name, fold, True, "failed", f"not exported: {error}")
            continue
        if runtime.load(path.with_suffix(".npz")).probes:
            yield _judged(source, path, fold=fold, against=False)
        else:
            yield Judged(
                source.name, fold, False, "no example", str("" if report.check is None else report.check.left_out)
            )
        yield _judged(source, path, fold=fold, against=True)


def _judged(source: Source, path: Path, *, fold: bool, against: bool) -> Judged:
    before = time.process_time()
    try:
        verdict = verify_model(path, against=source.path if against else None)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is a false alarm
        place = traceback.extract_tb(error.__traceback__)[-1]
        why = f"{type(error).__name__}: {error} ({Path(place.filename).name}:{place.lineno})"
        return Judged(source.name, fold, against, "failed", why)
    return Judged(source.name, fold, against, verdict.state, _why(verdict), time.process_time() - before)


def _why(verdict: Verdict) -> str:
    off = [f"{c.output} in {c.engine}: {c.error:.2g} > {c.limit:.2g}" for c in verdict.checks if not c.ok]
    off += [f"{c.layer} in {c.engine}: {c.error:.2g} > {c.limit:.2g}" for c in verdict.layers if not c.ok]
    share = [] if verdict.share is None else [f"{100 * verdict.share:.4g} % noticed"]
    asleep = [f"{100 * verdict.asleep:.3g} % asleep"] if verdict.asleep else []
    return "; ".join([*off[:3], *verdict.problems, *verdict.doubts, *share, *asleep])


def main(arguments: list[str]) -> int:
    """Prints what isn't good, and the number of each verdict."""
    group, place, *only = arguments
    counts: Counter[tuple[bool, bool, str]] = Counter()
    seconds = 0.0
    kept = Path(place)
    kept.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for source in GROUPS[group](kept, only):
            for one in judge(source, Path(folder)):
                counts[one.fold, one.against, one.state] += 1
                seconds += one.seconds
                if one.state != "good" or only:
                    print(one, flush=True)
    for (fold, against, state), count in sorted(counts.items()):
        how = f"{'with folds' if fold else '--no-fold'}, {'--against' if against else 'stored example'}"
        print(f"{group}, {how}: {count} {state}")
    print(f"{group}: {seconds:.0f} s of processor time in verify")
    return int(any(state in ("off", "failed") for _, _, state in counts))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
