"""Verdicts and reports as JUnit XML, as continuous integration shows it: each comparison is a test case."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal
from xml.etree import ElementTree

from exporter.pages.page import MADE_BY
from exporter.report.records import Report
from exporter.verify.verdict import Verdict

__all__ = ["junit"]


@dataclass(frozen=True)
class _Case:
    suite: str
    name: str
    outcome: Literal["passed", "failure", "skipped"] = "passed"
    message: str = ""


def junit(found: Verdict | Report) -> str:
    """Suites for the outputs and the layers of each engine, and for the verdict; or for the folds and the check."""
    cases = list(_of_verdict(found) if isinstance(found, Verdict) else _of_report(found))
    root = ElementTree.Element("testsuites", {"name": MADE_BY, **_counts(cases)})
    for name in dict.fromkeys(case.suite for case in cases):
        own = [case for case in cases if case.suite == name]
        suite = ElementTree.SubElement(root, "testsuite", {"name": _clean(name), **_counts(own)})
        for case in own:
            attributes = {"classname": _clean(name), "name": _clean(case.name)}
            entry = ElementTree.SubElement(suite, "testcase", attributes)
            if case.outcome != "passed":
                ElementTree.SubElement(entry, case.outcome, {"message": _clean(case.message)})
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _counts(cases: Iterable[_Case]) -> dict[str, str]:
    outcomes = [case.outcome for case in cases]
    counted = {"tests": len(outcomes), "failures": outcomes.count("failure"), "skipped": outcomes.count("skipped")}
    return {"errors": "0", **{name: str(count) for name, count in counted.items()}}


_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _clean(text: str) -> str:
    """Without characters that XML can't hold."""
    return _NOT_XML.sub("\ufffd", text)


def _of_verdict(verdict: Verdict) -> Iterator[_Case]:
    for check in verdict.checks:
        yield _compared(f"{check.engine}: outputs", check.output, check.ok, check.error, check.limit)
    for layer in verdict.layers:
        yield _compared(f"{layer.engine}: layers", layer.layer, layer.ok, layer.error, layer.limit)
    for site in verdict.sites:
        suite = f"{site.engine}: batch norms"
        if site.tensor is None:
            yield _Case(suite, site.batch_norm, "skipped", "no tensor holds its result: it is part of what follows")
        else:
            yield _compared(suite, site.batch_norm, site.ok, site.error, site.limit)
    for problem in verdict.problems:
        yield _Case("verdict", "engine", "failure", problem)
    for doubt in verdict.doubts:
        yield _Case("verdict", "evidence", "failure", doubt)
    share = "" if verdict.share is None else f"{verdict.share:.4g} of the channels would have been noticed"
    if verdict.state == "none":
        yield _Case("verdict", "verdict", "failure", f"no verdict: {share or 'nothing could be compared'}")
    elif verdict.state == "off":
        yield _Case("verdict", "verdict", "failure", "something is off")
    else:
        yield _Case("verdict", f"verdict: {verdict.state}")


def _compared(suite: str, name: str, ok: bool, error: float, limit: float) -> _Case:
    return _Case(suite, name) if ok else _Case(suite, name, "failure", f"error {error:.3g}, limit {limit:.3g}")


def _of_report(report: Report) -> Iterator[_Case]:
    for norm in report.batch_norms:
        fold = report.fold_of(norm.name)
        reason = "the fold never met it" if fold is None else fold.reason
        yield _Case("batch norms folded", norm.name, "passed" if reason is None else "skipped", reason or "")
    check = report.check
    if check is None or check.left_out is not None:
        yield _Case("check", "folded beside unfolded", "skipped", "" if check is None else check.left_out or "")
    else:
        yield _Case("check", "folded beside unfolded")
        for source in check.taken_back:
            yield _Case("check", source, "skipped", "its fold was off, and was taken back")
