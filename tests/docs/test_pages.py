"""What the documents say is so: commands and code run, every option is in them, every link leads somewhere."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import pytest

from exporter import errors
from exporter.command_line.cli import main
from tests.docs.pages import PAGES, README, ROOT, blocks, commands, links

_COMMANDS = [words for page in PAGES for words in commands(page)]
_ALL = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
_USAGE = (ROOT / "docs" / "command_line.md").read_text(encoding="utf-8")


def _here(words: list[str]) -> list[str] | None:
    """The command in the environment that the tests run in; None for one that makes or fills an environment."""
    program, rest = words[0].removeprefix(".venv/bin/"), words[1:]
    if program == "pip" or rest[:2] == ["-m", "venv"]:
        return None
    if program == "ckpt2onnx":
        return [sys.executable, "-m", "exporter", *rest]
    if program == "make":
        return [*words, "CFLAGS=-O1"] if shutil.which("make") and shutil.which("cc") else None
    assert program == "python", words
    if rest[:2] == ["-m", "pytest"]:
        rest += ["--collect-only", "-p", "no:cacheprovider", str(ROOT / "tests" / "architecture")]
    return [sys.executable, *rest]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that looks like the repository to the commands, in which all of them have been run."""
    folder = tmp_path_factory.mktemp("readme")
    for name in ("sample_ckpts", "setup.cfg", "tests"):
        (folder / name).symlink_to(ROOT / name)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    for words in _COMMANDS:
        command = _here(words)
        if command is None:
            continue
        ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, f"{shlex.join(words)}\n{ended.stdout}{ended.stderr}"
    return folder


def test_the_commands_run(folder: Path) -> None:
    """Every command block runs from the top to the bottom, each command with status 0, and leaves what it says."""
    assert {path.suffix for path in folder.iterdir()} >= {".onnx", ".npz"}
    programs = [words[0] for words in _COMMANDS]
    assert programs.count(".venv/bin/pip") == 3
    assert {".venv/bin/ckpt2onnx", ".venv/bin/python", "python"} <= set(programs)


def test_the_code_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python block runs as it is, with an array for the model's input as `x`."""
    monkeypatch.chdir(folder)
    with np.load(folder / "sample_ckpts" / "autoencoder" / "recorded.npz") as recorded:
        names: dict[str, object] = {"x": recorded["input/input"]}
        expected = recorded["output/dense_5/Sigmoid"]
    (code,) = blocks(README, "python")
    exec(code, names)
    assert np.allclose(np.asarray(names["y"]), expected, atol=1e-5)
    assert getattr(names["verdict"], "ok", False) is True


def _options() -> Iterator[tuple[str, click.Option]]:
    for name, command in main.commands.items():
        yield from ((name, option) for option in command.params if isinstance(option, click.Option))
    yield from (("ckpt2onnx", option) for option in main.params if isinstance(option, click.Option))


_OPTIONS = list(_options())


@pytest.mark.parametrize(("command", "option"), _OPTIONS, ids=[f"{c} {o.opts[-1]}" for c, o in _OPTIONS])
def test_every_option_is_documented(command: str, option: click.Option) -> None:
    """It has a help text, and the page of the command line mentions it."""
    assert option.help
    assert any(re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", _USAGE) for name in option.opts), option.opts


@pytest.mark.parametrize("command", sorted(main.commands))
def test_every_command_is_documented(command: str) -> None:
    """It has a help text, and that page shows how it is called, with each of its own options."""
    assert main.commands[command].help
    start = re.search(rf"^ckpt2onnx {command} .*(?:\n .*)*", _USAGE, re.MULTILINE)
    assert start is not None
    for _, option in (pair for pair in _OPTIONS if pair[0] == command):
        assert any(name in start[0] for name in option.opts), option.opts


def test_nothing_is_documented_that_isnt_there() -> None:
    """Each option that the page mentions for our commands exists."""
    known = {name for _, option in _OPTIONS for name in option.opts}
    usage = "\n".join(re.findall(r"^ckpt2onnx \w+ .*(?:\n .*)*", _USAGE, re.MULTILINE))
    assert set(re.findall(r"--[a-z][a-z-]*", usage)) <= known


def test_exit_statuses() -> None:
    """The statuses on the page are those of the errors."""
    (sentence,) = re.findall(r"^Exit status: .*$", _USAGE, re.MULTILINE)
    found = {int(status) for status in re.findall(r"(\d+) [a-z]", sentence)}
    classes = (errors.UsageError, errors.SourceError, errors.UnsupportedError, errors.ParityError)
    assert found == {0, 70, *(each.exit_code for each in classes)}


def test_names_of_files_and_modules() -> None:
    """Each path and module that a document names is there."""
    for path in re.findall(r"`((?:runtime|tests|sample_ckpts|\.ci)/[\w/.]*)`", _ALL):
        assert (ROOT / path).exists(), path
    for module in re.findall(r"python -m ((?:tests|sample_ckpts)\.[\w.]+)", _ALL):
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), module


def test_ci_runs_what_the_readme_says() -> None:
    """The README's test command is the one that CI runs."""
    (command,) = (words for words in _COMMANDS if words[1:3] == ["-m", "pytest"])
    assert shlex.join(command[1:]) in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


@pytest.mark.parametrize("block", blocks(README, "console"))
def test_the_example_looks_like_the_real_thing(block: str, folder: Path) -> None:
    """The headings and columns of the example are those of an export."""
    command = [sys.executable, "-m", "exporter", "export", "sample_ckpts/inception", "-o", "example.onnx"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "160"}
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    real = {" ".join(line.split()) for line in ended.stdout.splitlines()}
    example = [" ".join(line.split()) for line in block.splitlines()]
    headings = [line for line in example if line in ("inputs and outputs", "decided") or " batch norms, all" in line]
    columns = [line for line in example if line.startswith(("name type", "batch norm channels", "what which"))]
    ends = [line for line in example if line.startswith(("input ", "output "))]
    assert len(headings) == len(columns) == 3
    assert ends
    assert set(headings + columns + ends) <= real


_LINKS = [(page, target) for page in PAGES for target in links(page)]


@pytest.mark.parametrize(("page", "target"), _LINKS, ids=[f"{page.name} {target}" for page, target in _LINKS])
def test_every_link_leads_somewhere(page: Path, target: str) -> None:
    """Each link names a file that is there, and a heading of it."""
    name, _, heading = target.partition("#")
    linked = page.parent / name if name else page
    assert linked.exists()
    if heading:
        titles = re.findall(r"^#+ (.+)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
        assert heading in {re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-") for title in titles}


def test_the_readme_links_to_every_page() -> None:
    """A newcomer finds each page of docs/ from the README."""
    linked = {(README.parent / target).resolve() for target in links(README)}
    assert {page for page in PAGES if page.parent.name == "docs"} <= linked


def test_the_readme_is_short() -> None:
    """It is read in a few minutes; tables of measurements are in docs/."""
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 130
