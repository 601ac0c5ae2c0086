"""The page of a report in a browser, where Debian's chromium and its driver are."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exporter.pages.writing import write_report
from tests.unit.pages.made_up import made_up_report, made_up_verdict

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("chromium") is None or shutil.which("chromedriver") is None,
        reason="needs chromium and chromium-driver (apt-get install chromium chromium-driver)",
    ),
]

_SIZES = ((390, 844), (820, 1180), (1440, 900))
_FEW = 25


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A headless one, which keeps what it logs and what it asks the network for."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium")
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('browser')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    try:
        driver = webdriver.Chrome(options=options, service=service)
    except Exception as error:  # noqa: BLE001 - a browser that doesn't start here says nothing about the page
        pytest.skip(f"chromium doesn't start: {str(error).splitlines()[0]}")
    driver.set_page_load_timeout(300)
    driver.set_script_timeout(300)
    yield driver
    driver.quit()


def _open(browser: Any, path: Path, size: tuple[int, int]) -> None:
    width, height = size
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get_log("browser"), browser.get_log("performance")
    browser.get(path.as_uri())


def _requested(browser: Any) -> list[str]:
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    return [url for url in sent if not url.startswith("data:")]


@pytest.fixture(scope="module", params=[3, 500])
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """A page of few layers, or of many."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_report(made_up_verdict(request.param), path)
    return path, request.param


@pytest.mark.parametrize("size", _SIZES, ids=str)
def test_the_page_fits_and_asks_for_nothing(browser: Any, page: tuple[Path, int], size: tuple[int, int]) -> None:
    """No error on the console, no request but the page, nothing wider than the screen, plots with their marks."""
    path, count = page
    _open(browser, path, size)
    assert browser.get_log("browser") == []
    assert _requested(browser) == [path.as_uri()]
    assert browser.execute_script("return document.documentElement.scrollWidth") <= size[0]
    plots = browser.execute_script(
        "return [...document.querySelectorAll('svg.plot')].map(svg => [svg.getBoundingClientRect().width, "
        "svg.querySelectorAll('circle, rect').length])"
    )
    assert [marks >= count for _, marks in plots] == [True, True, True]
    assert all(size[0] / 2 < width < size[0] for width, _ in plots)


_SORTED = """
const results = [];
for (const table of document.querySelectorAll("table")) {
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    for (const order of ["ascending", "descending"]) {
      head.querySelector("button").click();
      const cells = [...table.tBodies[0].rows].map(row => row.cells[column]);
      const full = cells.filter(cell => !cell.classList.contains("empty"));
      const numbers = full.every(cell => cell.dataset.value !== undefined);
      const values = full.map(cell => numbers ? Number(cell.dataset.value) : cell.textContent);
      const compare = (a, b) => numbers ? a - b : a.localeCompare(b, "en", {numeric: true});
      const right = values.every((v, i) => !i || compare(values[i - 1], v) * (order === "ascending" ? 1 : -1) <= 0);
      results.push([head.textContent, order, head.getAttribute("aria-sort"), right]);
    }
  });
}
return results;
"""


def test_every_table_can_be_sorted(browser: Any, page: tuple[Path, int]) -> None:
    """By each column, up and down: numbers as numbers, empty cells last."""
    _open(browser, page[0], _SIZES[2])
    results = browser.execute_script(_SORTED)
    assert len(results) > 40
    assert [entry for entry in results if entry[1] != entry[2] or not entry[3]] == []


def test_long_tables_are_short_until_asked(browser: Any, tmp_path: Path) -> None:
    """A part of the rows, a button for all of them, a field that finds some; short tables have neither."""
    path = tmp_path / "report.html"
    write_report(made_up_report(60), path)
    _open(browser, path, _SIZES[2])
    shown = "return [...document.querySelector('table[data-name=\"batch norms\"]').tBodies[0].rows]"
    assert len(browser.execute_script(f"{shown}.filter(row => !row.hidden)")) == _FEW
    section = browser.execute_script(f"{shown}[0].closest('section')")
    browser.execute_script("arguments[0].click()", section.find_element("css selector", ".tools button"))
    assert len(browser.execute_script(f"{shown}.filter(row => !row.hidden)")) == 60
    section.find_element("css selector", ".tools input").send_keys("conv_41/")
    assert len(browser.execute_script(f"{shown}.filter(row => !row.hidden)")) == 1
    inputs = browser.execute_script("return document.querySelectorAll('section:first-of-type .tools').length")
    assert inputs == 0
