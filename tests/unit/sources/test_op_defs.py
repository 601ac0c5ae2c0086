"""The built-in table of op definitions, against TensorFlow's own registry.

`python -m tests.unit.sources.test_op_defs` writes the table anew.
"""

from __future__ import annotations

from importlib import resources
from typing import Any

import pytest

HEADER = """\
# TensorFlow's ops, as TensorFlow 2.21 registers them (2026-11-21).
# op | inputs | outputs | attribute:type=default as JSON
# A * marks a list; for outputs the attribute follows that says how long it is. Not every default is written down.
"""

LEFT_OUT = {"container", "shared_name", "use_cudnn_on_gpu", "use_locking", "config", "config_proto", "executor_type"}


def table() -> str:
    """The whole text of `op_defs.txt`."""

    registry = _all_ops()
    return HEADER + "\n".join(sorted(_line(op) for op in registry)) + "\n"


def _all_ops() -> list[Any]:
    import tensorflow as tf  # noqa: F401
    from tensorflow.core.framework import op_def_pb2
    from tensorflow.python.client import pywrap_tf_session

    buffer = pywrap_tf_session.TF_GetAllOpList()
    ops = op_def_pb2.OpList()
    ops.ParseFromString(pywrap_tf_session.TF_GetBuffer(buffer))
    return list(ops.op)


def _line(op: Any) -> str:
    inputs = [f"{arg.name}*" if arg.number_attr or arg.type_list_attr else arg.name for arg in op.input_arg]
    outputs = [_output(arg) for arg in op.output_arg]
    attributes = [_attribute(attribute) for attribute in op.attr]
    return f"{op.name} | {' '.join(inputs)} | {' '.join(outputs)} | {' '.join(attributes)}".rstrip()


def _attribute(attribute: Any) -> str:
    default = None if attribute.name in LEFT_OUT else _default(attribute)
    return f"{attribute.name}:{attribute.type}" + ("" if default is None else f"={default}")


def _output(arg: Any) -> str:
    length = arg.number_attr or arg.type_list_attr
    return f"{arg.name}*{length}" if length else str(arg.name)


def _default(attribute: Any) -> str | None:
    import json

    if not attribute.HasField("default_value"):
        return None
    value, kind = attribute.default_value, attribute.type
    if kind == "string":
        return json.dumps(value.s.decode()) if b" " not in value.s else None
    if kind in ("int", "float", "bool"):
        return json.dumps(getattr(value, kind[0]))
    if kind == "type":
        return json.dumps(value.type)
    if kind in ("list(int)", "list(float)"):
        return json.dumps(list(getattr(value.list, kind[5])), separators=(",", ":"))
    return None


@pytest.mark.tensorflow
def test_table_is_what_tensorflow_registers() -> None:
    """Every default and output name in the table is TensorFlow's own."""
    stored = resources.files("exporter.sources").joinpath("op_defs.txt").read_text()
    assert stored.splitlines()[3:] == table().splitlines()[3:]


if __name__ == "__main__":
    from pathlib import Path

    Path("exporter/sources/op_defs.txt").write_text(table())
