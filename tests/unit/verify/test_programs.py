"""Programs that end well and give nothing that can be compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from exporter.verify.engines import EngineError
from exporter.verify.programs import python_engine

_ENDS = {
    "nothing is written": "",
    "no zip file": "open(sys.argv[3], 'wb').write(b'nothing')",
    "an empty file": "open(sys.argv[3], 'wb').close()",
    "another output": "import numpy; numpy.savez(open(sys.argv[3], 'wb'), other=numpy.zeros(2))",
    "no array": "import zipfile; zipfile.ZipFile(sys.argv[3], 'w').writestr('y.npy', 'nothing')",
    "status 3": "sys.exit(3)",
}


@pytest.mark.parametrize("end", _ENDS.values(), ids=_ENDS)
def test_what_a_program_doesn_t_give_is_said(end: str, tmp_path: Path) -> None:
    """As an error of that engine, which is no verdict."""
    program = tmp_path / "program.py"
    program.write_text(f"import sys\n{end}\n")
    with pytest.raises(EngineError, match=r"program\.py"):
        python_engine(program, ["y"]).run({"x": np.zeros(2, np.float32)})


def test_what_a_program_gives_is_compared(tmp_path: Path) -> None:
    """By the names of the outputs."""
    program = tmp_path / "program.py"
    program.write_text(
        "import sys, numpy\nx = numpy.load(sys.argv[1])['x']\nnumpy.savez(open(sys.argv[3], 'wb'), y=2 * x)\n"
    )
    found = python_engine(program, ["y"]).run({"x": np.arange(3, dtype=np.float32)})
    np.testing.assert_array_equal(found["y"], [0, 2, 4])
