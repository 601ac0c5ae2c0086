"""A page as one file of HTML that loads nothing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from exporter.pages.charts import axis_svg, plot_svg
from exporter.pages.page import MADE_BY, Cell, Mark, Page, text_of

__all__ = ["html_page"]

_FOLDER = Path(__file__).parent / "templates"


def html_page(page: Page) -> str:
    """The page with its style and script inside."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER, encoding="utf-8"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["cell"] = lambda cell: _breakable(cell) if isinstance(cell, str) else text_of(cell)
    environment.filters["breakable"] = _breakable
    environment.filters["order"] = _order
    environment.tests["mark"] = lambda cell: isinstance(cell, Mark)
    environment.tests["numeric"] = _is_number
    parts: dict[str, Any] = {
        name: Markup((_FOLDER / name).read_text(encoding="utf-8")) for name in ("page.css", "page.js")
    }

    def drawn(chart: Any) -> dict[str, Any]:
        return {"axis": Markup(axis_svg(chart)), "plot": Markup(plot_svg(chart))}

    template = environment.get_template("page.html.jinja")
    return (
        template.render(page=page, made_by=MADE_BY, style=parts["page.css"], script=parts["page.js"], drawn=drawn)
        + "\n"
    )


def _breakable(text: str) -> Markup:
    """Text that may be broken where names have joints, and within what has none after some letters."""
    pieces = re.findall(rf"[^/_.:,=\s]{{1,{_RUN}}}|[/_.:,=\s]+", text)
    joined = Markup()
    for piece in pieces:
        joined += Markup("") + piece + (Markup("<wbr>") if piece[-1] in "/_.:,=" or len(piece) == _RUN else "")
    return joined


_RUN = 24


def _is_number(cell: Cell) -> bool:
    return isinstance(cell, int | float)


def _order(number: float) -> str:
    """What a number is sorted by: all its digits; infinity as JavaScript writes it."""
    return repr(number).replace("inf", "Infinity")
