"""C programs on emulated boards with Cortex-M processors: the program's own test, in exactly the arena that it says."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from exporter.errors import MissingError
from exporter.verify.engines import EngineError
from exporter.verify.verdict import OutputCheck, Verdict

__all__ = ["BOARDS", "Board", "run_on", "verify_on"]


@dataclass(frozen=True)
class Board:
    """A board that QEMU knows, what its processor is to the compiler, and where its memory is.

    Attributes:
        machine: QEMU's name for it.
        flags: The compiler's for the processor.
        code, ram: Where code and data are.
        size: How much room there is for each.
    """

    machine: str
    flags: str
    code: int = 0
    ram: int = 0x20000000
    size: str = "4M"


_SINGLE = "-mfloat-abi=hard -mfpu=fpv4-sp-d16"
BOARDS = {
    "M3": Board("mps2-an385", "-mcpu=cortex-m3"),
    "M4F": Board("mps2-an386", f"-mcpu=cortex-m4 {_SINGLE}"),
    "M7": Board("mps2-an500", "-mcpu=cortex-m7 -mfloat-abi=hard -mfpu=fpv5-sp-d16"),
    "M33": Board("mps2-an505", "-mcpu=cortex-m33 -mfloat-abi=hard -mfpu=fpv5-sp-d16", 0x10000000, 0x38000000),
    "M55": Board("mps3-an547", "-mcpu=cortex-m55 -mfloat-abi=hard", size="512K"),
}
"""By the processor."""

_COMPILER, _EMULATOR = "arm-none-eabi-gcc", "qemu-system-arm"
_LONGEST = 600
"""Seconds that a test may take, emulated."""


def run_on(board: Board, folder: Path, extra: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """Builds the test of a program for a board, in its folder, and runs it; the exit status is the program's.

    Args:
        board: The board.
        folder: The program's files.
        extra: More for the compiler.

    Raises:
        EngineError: It can't be built.
    """
    files = resources.files("exporter.verify").joinpath("board")
    script = files.joinpath("board.ld").read_text("utf-8")
    lengths = {"CODE_LEN": board.size, "RAM_LEN": board.size}
    for key, value in {**lengths, "CODE": hex(board.code), "RAM": hex(board.ram)}.items():
        script = script.replace(f"@{key}@", value)
    (folder / "board.ld").write_text(script, encoding="utf-8")
    (folder / "board_start.c").write_bytes(files.joinpath("start.c").read_bytes())
    prefix = next(path.stem.removesuffix("_test") for path in sorted(folder.glob("*_test.c")))
    cc = [_COMPILER, "-std=gnu99", "-mthumb", *board.flags.split()]
    _built([*cc, "-O1", "-c", "-o", "board_start.o", "board_start.c"], folder)
    link = ["--specs=nano.specs", "--specs=nosys.specs", "-u", "_printf_float", "-nostartfiles", "-T", "board.ld"]
    sources = [f"{prefix}.c", f"{prefix}_test.c", f"{prefix}_weights.S", "board_start.o"]
    options = ["-O2", "-ffp-contract=fast", *extra, *link, "-Wl,--no-warn-rwx-segments"]
    _built([*cc, *options, "-o", "board.elf", *sources, "-lm"], folder)
    emulator = [_EMULATOR, "-M", board.machine, "-nographic", "-monitor", "none", "-serial", "none"]
    semihosting = ["-semihosting-config", "enable=on,target=native", "-kernel", "board.elf"]
    return subprocess.run(
        [*emulator, *semihosting], cwd=folder, capture_output=True, text=True, check=False, timeout=_LONGEST
    )


def _built(command: Sequence[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if "error" in line or "overflowed" in line]
        raise EngineError(f"it can't be built for the board: {(errors or ['no message'])[0][:300]}")


def verify_on(name: str, folder: Path) -> Verdict:
    """Runs the stored example of a program on an emulated board, and says how far each output is off.

    Args:
        name: One of `BOARDS`.
        folder: The program, which stays as it is.

    Raises:
        MissingError: The compiler or the emulator isn't installed, or the folder has no test.
    """
    for tool, package in ((_COMPILER, "gcc-arm-none-eabi and libnewlib-arm-none-eabi"), (_EMULATOR, "qemu-system-arm")):
        if shutil.which(tool) is None:
            raise MissingError(f"there is no {tool}, which --board needs", hint=f"Install it: on Debian {package}")
    if not any(folder.glob("*_test.c")):
        raise MissingError(f"there is no C program with a test in {folder}", hint="Give the folder of export --to c")
    engine = f"{folder.name} on {name}, emulated ({BOARDS[name].machine})"
    checks: tuple[OutputCheck, ...] = ()
    problems: tuple[str, ...] = ()
    with tempfile.TemporaryDirectory() as place:
        own = Path(place) / "program"
        shutil.copytree(folder, own)
        try:
            done = run_on(BOARDS[name], own)
            checks, problems = _judged(engine, done.stdout + done.stderr, done.returncode)  # QEMU chooses where
        except EngineError as failure:
            problems = (f"{engine}: {failure}",)
        except subprocess.TimeoutExpired:
            problems = (f"{engine}: it takes more than {_LONGEST} s",)
    return Verdict(
        "the example stored in the program at export",
        "mistakes made before folding, nor ones that its one example doesn't touch",
        "that of the unfolded model in its own float type against float64",
        1,
        checks,
        problems,
    )


_LINE = re.compile(r"^(.*): (good|OFF), (\S+) of (\S+) allowed$", re.MULTILINE)


def _judged(engine: str, text: str, status: int) -> tuple[tuple[OutputCheck, ...], tuple[str, ...]]:
    """What the program's test has printed: for each output the largest difference, in the worse of two runs."""
    worst: dict[str, OutputCheck] = {}
    for output, word, found, allowed in _LINE.findall(text):
        error = float(found) if word == "good" else max(float(found), float("inf"))
        check = OutputCheck(engine, output, error, 0.0, float(allowed))
        worst[output] = max(worst.get(output, check), check, key=lambda one: one.error)
    checks = tuple(worst.values())
    told = text.strip().splitlines()[-1:] or ["it says nothing"]
    spoiled = status != 0 and all(check.ok for check in checks)
    return checks, ((f"{engine}: its test ends with status {status}: {told[0]}",) if spoiled or not checks else ())
