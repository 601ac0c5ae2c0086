"""Reports as people read them, on terminals of any width and in pipes."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from exporter.command_line.render import inspection_lines, report_lines
from exporter.inspection import Inspection
from exporter.report.decisions import Choice, Decision, Reason
from exporter.report.records import BatchNorm, FoldOutcome, Report, TensorSpec

_STATISTICS = Decision("statistics", "bn", ("moving_mean", "moving_variance"), Reason.UPDATED_BY_GRAPH)
_DROPOUT = Decision("dropout", "drop", Choice.IDENTITY, Reason.DROPOUT)
_REASON = "the convolution's output is an output of the model, too, so that its kernel has to stay"


def _report(*decisions: Decision) -> str:
    report = Report("model", "a kind", (), (), (), (), decisions, ("look out",), ("a note",), (), 1.0)
    return "\n".join(report_lines(report, 160))


def _inspection(*decisions: Decision) -> str:
    return "\n".join(inspection_lines(Inspection("model", "a kind", decisions=decisions), 160))


@pytest.mark.parametrize(("render", "title"), [(_report, "decided"), (_inspection, "an export decides")])
def test_statistics_are_no_rows_of_the_decisions(render: Callable[..., str], title: str) -> None:
    """They are in the table of batch norms: a table of the others is there only if there are others."""
    assert title not in render(_STATISTICS)
    shown = render(_STATISTICS, _DROPOUT)
    assert title in shown
    assert "identity" in shown
    assert "moving_mean" not in shown


def test_notes_and_warnings_are_shown() -> None:
    """Each on a line of its own."""
    lines = _report().splitlines()
    assert "  a note" in lines
    assert "warning: look out" in lines


def _norm(number: int) -> BatchNorm:
    """Those of an EfficientNet; every tenth has another epsilon, and one no gamma."""
    name = f"efficientnet/stage_{number % 7}/block_{number}/expand_bn"
    gamma = "1 (scale=False)" if number == 2 else f"stored as {name}/gamma"
    epsilon = 1e-5 if number % 10 == 9 else 1e-3
    beta, mean, variance = (f"stored as {name}/{part}" for part in ("beta", "moving_mean", "moving_variance"))
    return BatchNorm(name, 16 + number, epsilon, gamma, beta, mean, variance)


def _fold(norm: BatchNorm, number: int) -> FoldOutcome:
    into = norm.name.replace("expand_bn", "expand_conv")
    if number == 1:
        return FoldOutcome((norm.name,), norm.name, None, "kept", _REASON)
    return FoldOutcome((norm.name,), norm.name, into, "scale and shift into kernel and bias", None, (), True)


def _large(count: int) -> Report:
    norms = [_norm(number) for number in range(count)]
    folds = [_fold(norm, number) for number, norm in enumerate(norms)]
    folds.append(FoldOutcome((), "rescaling", "stem_conv", "scale into kernel", None, (), True))
    folds.append(FoldOutcome((), "stem_bias", "stem_conv", "shift into bias", None))
    specs = (TensorSpec("images", "float32", ("N", 224, 224, 3), "a placeholder that the outputs need"),)
    return Report("model", "a kind", specs, specs, tuple(norms), tuple(folds), (_DROPOUT,), ("look out",), (), (), 1.0)


@pytest.mark.parametrize("count", [3, 49, 200])
@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_batch_norm_is_a_line(count: int, width: int) -> None:
    """On a terminal: its name whole but for the scope that all have, what is unusual about it, and nothing too wide."""
    lines = report_lines(_large(count), width)
    for norm in _large(count).batch_norms:
        (line,) = [line for line in lines if re.search(rf"^  {norm.name.removeprefix('efficientnet/')}(\s|$)", line)]
        assert (f"epsilon {norm.epsilon:.3g}" in line) == (norm.epsilon != 1e-3)
        assert ("scale=False" in line) == ("scale=False" in norm.gamma)
    assert max(map(len, lines)) <= width
    assert len(lines) < count + 40
    text = " ".join(" ".join(lines).split())
    assert f"{count} batch norms, all in efficientnet/: epsilon 0.001, gamma, beta" in text


@pytest.mark.parametrize("count", [3, 49, 200])
def test_a_row_is_a_line_in_a_pipe(count: int) -> None:
    """Whole: `grep NAME` gives the batch norm with all that is known of it, and reasons to their end."""
    lines = report_lines(_large(count), None)
    for number, norm in enumerate(_large(count).batch_norms):
        (line,) = [line for line in lines if f"  {norm.name} " in line]
        assert str(norm.channels) in line
        assert "moving_mean, moving_variance" in line
        assert line.endswith(_REASON if number == 1 else norm.name.replace("expand_bn", "expand_conv"))
    assert not any(line != line.rstrip() for line in lines)
    assert len(lines) < count + 25


def test_all_is_said_on_request() -> None:
    """With -v on a terminal, too: each parameter of each batch norm; with -q nothing but warnings."""
    report = _large(3)
    (line,) = [line for line in report_lines(report, 200, detail=1) if f"  {report.batch_norms[0].name} " in line]
    assert "moving_mean, moving_variance" in line
    assert report_lines(report, 80, detail=-1) == ["warning: look out"]


@pytest.mark.parametrize("width", [60, None])
def test_folds_into_kernels_that_are_no_batch_norms_are_lines(width: int | None) -> None:
    """They change the matrices that people copy; what goes into a bias alone doesn't."""
    text = "\n".join(report_lines(_large(3), width))
    assert re.search(r"^  rescaling +stem_conv", text, re.MULTILINE)
    assert "stem_bias" not in text


def test_why_one_stays_is_wrapped_between_words() -> None:
    """On a narrow terminal, with every word there."""
    lines = report_lines(_large(3), 60)
    text = " ".join(" ".join(lines).split())
    assert f"not folded: {_REASON}" in text
