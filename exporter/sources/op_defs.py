"""What ops take and return, which attributes they have, and what those are when the file leaves them out.

The file's own list of op definitions comes first (`meta_info_def.stripped_op_list`), then `op_defs.txt`.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

__all__ = ["OpDef", "OpDefs", "OutputArg"]


@dataclass(frozen=True, slots=True)
class OutputArg:
    """One result of an op; `length` names the attribute that says how many tensors it stands for, "" for one."""

    name: str
    length: str = ""

    def count(self, attributes: Mapping[str, Any]) -> int:
        """How many tensors it stands for in a node with these attributes."""
        if not self.length:
            return 1
        value = attributes.get(self.length, 1)
        return value if isinstance(value, int) else len(value)


@dataclass(frozen=True, slots=True)
class OpDef:
    """An op's definition.

    Attributes:
        outputs: Its results.
        defaults: What attributes are when the file leaves them out.
        types: The types of its attributes, as in `list(int)`.
        fewest: How many inputs it takes at least; without lists among them, exactly.
        has_lists: Whether an input is a list; True for an op that nothing is known of.
    """

    outputs: tuple[OutputArg, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)
    fewest: int = 0
    has_lists: bool = True

    def takes(self, count: int) -> bool:
        """Whether it takes so many inputs."""
        return count >= self.fewest if self.has_lists else count == self.fewest

    def port(self, output: str, index: int, attributes: Mapping[str, Any]) -> int | None:
        """The position among all results of the `index`-th tensor of a named one; None if there is no such name."""
        offset = 0
        for argument in self.outputs:
            if argument.name == output:
                return offset + index
            offset += argument.count(attributes)
        return None


class OpDefs:
    """Definitions by op type.

    Args:
        own: The `OpDef` messages that came with the file.
        decode: Turns an `AttrValue` message into a plain value.
    """

    def __init__(self, own: Iterable[Any], decode: Callable[[Any], Any]) -> None:
        self._own = {op.name: op for op in own}
        self._decode = decode
        self._read: dict[str, OpDef] = {}

    def __getitem__(self, op: str) -> OpDef:
        found = self._read.get(op)
        if found is None:
            found = self._read[op] = self._from_file(op) if op in self._own else _built_in(op)
        return found

    def _from_file(self, op: str) -> OpDef:
        message = self._own[op]
        outputs = tuple(OutputArg(arg.name, arg.number_attr or arg.type_list_attr) for arg in message.output_arg)
        defaults = {
            attribute.name: self._decode(attribute.default_value)
            for attribute in message.attr
            if attribute.HasField("default_value")
        }
        types = {attribute.name: attribute.type for attribute in message.attr}
        lists = [bool(arg.number_attr or arg.type_list_attr) for arg in message.input_arg]
        return OpDef(outputs, defaults, types, lists.count(False), any(lists))


def _built_in(op: str) -> OpDef:
    line = _lines().get(op)
    if line is None:
        return OpDef()
    inputs, outputs, attributes = (part.split() for part in line.split("|"))
    pairs = [item.partition("=") for item in attributes]
    lists = [name.endswith("*") for name in inputs]
    defaults: dict[str, Any] = {}
    for name, equals, text in pairs:
        if equals:  # as attributes are decoded from files: bytes for strings, tuples for lists
            value = json.loads(text)
            value = value.encode() if isinstance(value, str) else tuple(value) if isinstance(value, list) else value
            defaults[name.partition(":")[0]] = value
    return OpDef(
        tuple(OutputArg(*name.split("*")) for name in outputs),
        defaults,
        {name.partition(":")[0]: name.partition(":")[2] for name, _, _ in pairs},
        lists.count(False),
        any(lists),
    )


@functools.cache
def _lines() -> dict[str, str]:
    text = resources.files("exporter.sources").joinpath("op_defs.txt").read_text(encoding="utf-8")
    rows = (line.partition("|") for line in text.splitlines() if not line.startswith("#"))
    return {op.strip(): rest for op, _, rest in rows}
