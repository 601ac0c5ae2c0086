"""Classes that a configuration calls by names of its own, as the known layers that a person says they are.

Only the JSON changes, before it is read: nothing that it names is imported or run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from exporter.errors import UsageError

__all__ = ["WRITTEN_AS", "Custom", "custom_names"]

WRITTEN_AS = "written_as"
"""Entry of a renamed record: the class as the file has it, which newer files of weights name their groups after."""

_ACTIVATIONS = frozenset({"activation", "recurrent_activation"})


@dataclass(frozen=True)
class Custom:
    """What a person says of names that aren't Keras's.

    Attributes:
        names: Names of classes or functions, without their package, and what they are: `FixedDropout` is `Dropout`.
        activations: The known functions; a class that is one becomes an `Activation` of it.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    activations: frozenset[str] = frozenset()

    def renamed(self, document: Any) -> Any:
        """A configuration with each of these classes replaced by a layer, and each function by an activation.

        Raises:
            UsageError: A name isn't in it.
        """
        if not self.names:
            return document
        found = custom_names(document)
        for name in self.names:
            if name not in found:
                hint = f"In it are {', '.join(sorted(found)[:30])}"
                raise UsageError(f"--custom {name}: nothing in the configuration is called so", hint=hint)
        return self._renamed(document)

    def _renamed(self, value: Any) -> Any:
        if isinstance(value, list | tuple):
            return [self._renamed(item) for item in value]
        if not isinstance(value, Mapping):
            return value
        renamed = {
            key: self.names.get(_bare(item), item)
            if key in _ACTIVATIONS and isinstance(item, str)
            else self._renamed(item)
            for key, item in value.items()
        }
        name = _bare(value.get("class_name"))
        if name == "function" and isinstance(value.get("config"), str):
            known = self.names.get(_bare(value["config"]))
            return renamed if known is None else {"class_name": "function", "config": known, "module": "builtins"}
        if name not in self.names or "config" not in value:
            return renamed
        known, config = self.names[name], renamed["config"]
        if known in self.activations:
            config = {**(config if isinstance(config, Mapping) else {}), "activation": known}
            known = "Activation"
        layer = {"class_name": known, "config": config, "module": "keras.layers", "registered_name": None}
        return {**renamed, **layer, WRITTEN_AS: name}


def custom_names(document: Any) -> frozenset[str]:
    """The names of all classes and functions in a configuration, without their packages."""
    if isinstance(document, list | tuple):
        return frozenset().union(*(custom_names(item) for item in document))
    if not isinstance(document, Mapping):
        return frozenset()
    texts = [document.get("class_name"), *(document.get(key) for key in _ACTIVATIONS)]
    if document.get("class_name") == "function":
        texts.append(document.get("config"))
    here = frozenset(_bare(text) for text in texts if isinstance(text, str))
    return here.union(*(custom_names(value) for value in document.values()))


def _bare(name: Any) -> str:
    """A name without the package that it is registered in: `efficientnet>FixedDropout`."""
    return name.rpartition(">")[2] if isinstance(name, str) else ""
