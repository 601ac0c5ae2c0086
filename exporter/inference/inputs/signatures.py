"""Which signature of the source is exported, and under which names its tensors go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from exporter.errors import UsageError
from exporter.inference.graph.inline import CALLS
from exporter.options import Options
from exporter.sources.graph import Graph, Ref
from exporter.sources.model import SourceModel

__all__ = ["Chosen", "choose_signature"]

_DEFAULT = "serving_default"


@dataclass(frozen=True, slots=True)
class Chosen:
    """A signature.

    Attributes:
        name: Its name in the file.
        inputs: By the names that inputs have in the exported model.
        outputs: By the names that outputs have in it.
    """

    name: str
    inputs: Mapping[str, Ref]
    outputs: Mapping[str, Ref]


def choose_signature(source: SourceModel, graph: Graph, options: Options) -> Chosen | None:
    """The signature asked for, else the default, else the only one; None if outputs are named or there is none.

    Tensors go by their own names. Where they are the results of a function (TensorFlow 2), whose tensors have no names
    that mean anything, they go by those of the signature. Outputs that the user names may be a signature's, too.

    Raises:
        UsageError: No signature of that name, or several and none chosen.
    """
    names = [name for name, signature in source.signatures.items() if signature.outputs]
    wanted = options.signature
    if wanted is not None and wanted not in names:
        raise UsageError(f"there is no signature {wanted!r}", hint=f"The signatures are: {', '.join(names) or 'none'}")
    of_outputs = [
        key for key in names if options.outputs and set(options.outputs) <= set(source.signatures[key].outputs)
    ]
    if not names or (options.outputs and (not of_outputs or any(name in graph for name in options.outputs))):
        return None
    if options.outputs and wanted not in of_outputs:
        wanted = _DEFAULT if _DEFAULT in of_outputs else of_outputs[0]
    if wanted is None and len(names) > 1 and _DEFAULT not in names:
        raise UsageError(f"it has {len(names)} signatures: {', '.join(names)}", hint="Choose one with --signature NAME")
    name = wanted or (_DEFAULT if _DEFAULT in names else names[0])
    signature = source.signatures[name]
    inputs = {key: ref for key, ref in signature.inputs.items() if ref.node in graph}
    outputs = {key: ref for key, ref in signature.outputs.items() if ref.node in graph}
    if options.outputs:
        return Chosen(name, inputs, {key: outputs[key] for key in options.outputs if key in outputs})
    if any(graph.nodes[ref.node].op in CALLS for ref in outputs.values()):
        return Chosen(name, inputs, outputs)
    return Chosen(name, _by_tensor(inputs), _by_tensor(outputs))


def _by_tensor(refs: Mapping[str, Ref]) -> dict[str, Ref]:
    return {str(ref): ref for ref in refs.values()}
