"""Architectures of the user's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from exporter import zoo
from exporter.errors import FormatError, MissingError, UsageError
from exporter.options import Options
from exporter.zoo.registry import architecture
from exporter.zoo.weights_only import restore
from tests.unit.stores import MemoryStore

_FILE = """
from exporter.zoo.architecture import Architecture, Option
from exporter.zoo.rows import chain

def write(net, choices):
    x = chain(net, net.input, ["a_3x3 4 /2", "b_1x1 8"])
    net.squeeze("logits", net.conv("top", net.mean("pool", x), choices.integer("classes"), 1, activation=None))

mine = Architecture("mine", "my network", "Mine", write, size=16, options=(Option("classes", 2, "classes"),))
other = 3
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "nets.py"
    path.write_text(_FILE)
    return path


def test_a_file_of_the_users_own_is_run(file: Path) -> None:
    """`file.py:name` takes an Architecture from a Python file."""
    shapes: dict[str, tuple[int, ...]] = {"a_3x3": (3, 3, 3, 4), "b_1x1": (1, 1, 4, 8), "top": (1, 1, 8, 2)}
    arrays = {f"Mine/{name}/weights": np.ones(shape, np.float32) for name, shape in shapes.items()}
    arrays |= {f"Mine/{name}/biases": np.ones(shape[-1], np.float32) for name, shape in shapes.items()}
    found = restore(MemoryStore(arrays), Options(arch=f"{file}:mine"))
    assert found.title == "my network"
    assert [node.op_type for node in found.model.graph].count("Conv") == 3


def test_the_documented_file_is_one(tmp_path: Path) -> None:
    """The example in the package's documentation runs as it is, and its option is told by the weights."""
    example = [line[4:] for line in str(zoo.__doc__).splitlines() if line.startswith("    ") or not line]
    (tmp_path / "nets.py").write_text("\n".join(example))
    name = f"{tmp_path / 'nets.py'}:SMALL"
    small = architecture(name)
    weights = list(small.program(small.choices({}, {"classes": "7"})).weights())
    store = MemoryStore({f"SmallNet/{weight.name}": np.ones(weight.shape, np.float32) for weight in weights})
    found = restore(store, Options(arch=name))
    assert [(d.subject, d.choice) for d in found.decisions if d.kind == "value"] == [("classes", "7")]
    assert [norm.epsilon for norm in found.batch_norms] == [1e-5, 1e-5]


def test_what_is_no_architecture_is_refused(file: Path) -> None:
    """A file that isn't there, a name that isn't in it, or something else by that name."""
    with pytest.raises(MissingError, match="no file"):
        architecture(f"{file.parent}/none.py:mine")
    with pytest.raises(MissingError, match="Its architectures: mine"):
        architecture(f"{file}:yours")
    with pytest.raises(FormatError, match="of type int"):
        architecture(f"{file}:other")
    with pytest.raises(UsageError, match=r"file\.py:name"):
        architecture(f"{file}:a b")


def test_a_file_that_fails_says_how(file: Path) -> None:
    """An error in the user's code is the user's to see, in one line."""
    file.write_text("import nothing_of_that_name")
    with pytest.raises(FormatError, match="ModuleNotFoundError: No module named 'nothing_of_that_name'"):
        architecture(f"{file}:mine")


def test_a_network_that_cant_be_written_down_says_how(file: Path) -> None:
    """So is one in the function that writes the layers."""
    file.write_text(_FILE.replace("net.input,", "net.inputs,"))
    store = MemoryStore({"Mine/top/weights": np.ones((1, 1, 8, 2), np.float32)})
    with pytest.raises(FormatError, match="AttributeError: 'Net' object has no attribute 'inputs'"):
        restore(store, Options(arch=f"{file}:mine"))
