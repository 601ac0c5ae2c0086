"""Writes what an export or a verification has found, in the form that the file's name asks for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from math import isfinite
from os import PathLike
from pathlib import Path
from typing import Any

from exporter.errors import UsageError
from exporter.pages.junit import junit
from exporter.pages.markdown import markdown_page
from exporter.pages.page import MADE_BY, Page
from exporter.pages.provenance import Provenance, provenance_of
from exporter.pages.report_page import report_page
from exporter.pages.verdict_page import verdict_page
from exporter.report.records import FileUsed, Report
from exporter.targets.atomic import check_targets, write_files
from exporter.verify.verdict import Verdict

__all__ = ["check_report_path", "write_report"]

Found = Report | Verdict


def check_report_path(path: Path, read: Iterable[Path] = ()) -> None:
    """Whether a report can be written there, before any work is done.

    Args:
        path: Where to write.
        read: The files that are read, none of which may be overwritten.

    Raises:
        UsageError: Its name asks for no form that there is; its directory isn't there or can't be written to; or there
            is a file that is read, or that isn't a report.
    """
    if path.suffix.lower() not in _FORMS:
        raise UsageError(
            f"the report's name has to end in {', '.join(_FORMS)}, and {path} doesn't",
            hint="Give --report FILE.html for a page to read",
        )
    check_targets([path], read)
    if path.is_file() and path.stat().st_size and MADE_BY.encode() not in path.read_bytes():
        raise UsageError(f"{path} is there, and is no report", hint="Choose another name for the report")


def write_report(found: Found, path: str | PathLike[str]) -> None:
    """Writes a report or a verdict by the suffix of the file: .html, .md, .json, or .xml for JUnit.

    The files that were read and written are hashed as they are now.

    Args:
        found: What `export` or `verify_model` has returned.
        path: Where to write; a report that was there is replaced.

    Raises:
        UsageError: See `check_report_path`.
    """
    target, files = Path(path), found.read
    if isinstance(found, Report):
        files = (*(FileUsed("written", file.path) for file in found.files), *files)
    inputs = [Path(file.path) for file in files]
    check_report_path(target, inputs)
    text = _FORMS[target.suffix.lower()](found, provenance_of(files)).encode("utf-8", "backslashreplace")
    write_files({target: lambda beside: _write(beside, text)}, inputs=inputs)


def _write(path: Path, text: bytes) -> None:
    path.write_bytes(text)


def _page(found: Found, made: Provenance) -> Page:
    return verdict_page(found, made) if isinstance(found, Verdict) else report_page(found, made)


def _html(found: Found, made: Provenance) -> str:
    from exporter.pages.html import html_page  # Jinja2 takes a while

    return html_page(_page(found, made))


def _json(found: Found, made: Provenance) -> str:
    kind = "verification" if isinstance(found, Verdict) else "export"
    document = _plain({"made_by": MADE_BY, "kind": kind, "provenance": made.to_json(), **found.to_json()})
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    """Values with infinity and NaN as text, since JSON has no such numbers."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return str(value) if isinstance(value, float) and not isfinite(value) else value


_FORMS: dict[str, Callable[[Found, Provenance], str]] = {
    ".html": _html,
    ".md": lambda found, made: markdown_page(_page(found, made)),
    ".json": _json,
    ".xml": lambda found, made: junit(found),
}
