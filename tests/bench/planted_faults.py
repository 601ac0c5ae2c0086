"""Plants faults in exported models and counts which of them verification notices.

`python -m tests.bench.planted_faults SOURCE...`: the faults are planted in what is exported of each source, and judged
against the source as it is. A SOURCE with a `case.json` beside it, as cases of the corpus have, is exported as that
says. Of faults in single channels the share that is noticed is printed beside the one that the verdicts state:

| fault | what is done |
|---|---|
| `zeroed` | one channel of a kernel is set to 0 |
| `channel` | one channel of a kernel is multiplied by 1.02 |
| `scaled` | a weight tensor is multiplied by 1.02 |
| `swapped` | two channels of a kernel change places |
| `bias` | an added vector is dropped |
| `epsilon` | that of a batch norm is doubled |
| `gamma` | that of a batch norm is forgotten |
| `relu` | an activation is dropped |
| `padding` | a padding is shifted by one |
| `colours` | the first convolution takes BGR for RGB |
| `turned` | height and width of a kernel change places, or rows and columns of a square matrix |
| `axis` | a softmax is taken along the batch |
| `slope` | that of a leaky or exponential activation is doubled |
| `gates` | two gates of a recurrent layer change places |
| `order` | the first two inputs of a concatenation change places |

A fault that changes no output of any of many inputs, by more than float noise, isn't one, and doesn't count.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir

from exporter.errors import ExportError
from exporter.frontend import unfold
from exporter.ir.edit import constant_array, remove_dead, replace
from exporter.ir.evaluate import evaluate
from exporter.options import STORED_AS, Options
from exporter.passes.pipeline import run as run_passes
from exporter.targets.atomic import write_files
from exporter.targets.npz_bundle import write_bundle
from exporter.targets.onnx_file import onnx_model, onnx_writers
from exporter.verify.inputs.exercise import exercise
from exporter.verify.model_files import verify_model
from exporter.verify.probes import probes
from exporter.verify.references.unfolded_model import reference_run
from exporter.verify.verdict import WeightPower

__all__ = ["FAULTS", "RARER_FAULTS", "Outcome", "main", "options_of", "plant", "report", "try_faults"]

FAULTS = ("zeroed", "channel", "scaled", "swapped", "bias", "epsilon", "gamma", "relu", "padding")
RARER_FAULTS = ("colours", "turned", "axis", "slope", "gates", "order")
_IN_KERNELS = frozenset({"zeroed", "channel", "scaled", "swapped", "colours", "turned", "gamma", "gates"})
_LINEAR = frozenset({"Conv", "ConvTranspose", "Dense", "MatMul", "Gemm"})
_SETS, _EACH = 5, 2


@dataclass(frozen=True)
class Outcome:
    """One planted fault.

    Attributes:
        fault: Its kind.
        where: The weight or node.
        changes: Whether it changes an output on some input.
        against: Whether `verify --against` noticed it.
        stored: Whether `verify` on the stored probes did.
        stated: Of a single channel, whether the verdict on the right model says that it would be noticed; None if it
            says nothing of it, or that it only sees zeros.
        stated_stored: The same of the verdict on the stored probes.
    """

    fault: str
    where: str
    changes: bool
    against: bool
    stored: bool
    stated: bool | None = None
    stated_stored: bool | None = None


def plant(model: ir.Model, fault: str, random: np.random.RandomState) -> str | None:
    """Changes an unfolded model; where, or None if there is nothing to plant it in."""
    places = list(_places(model, fault))
    if not places:
        return None
    node, value = places[random.randint(len(places))]
    if value is not None:
        array = constant_array(value)
        assert array is not None
        changed = _changed(np.array(array), fault, random)
        value.const_value = ir.tensor(changed.astype(array.dtype), name=value.name)
        return str(value.name)
    if fault in ("relu", "bias"):
        kept = next(v for v in node.inputs if v is not None and constant_array(v) is None)
        replace(model.graph, node.outputs[0], kept)
        remove_dead(model)
    elif fault == "epsilon":
        node.attributes["epsilon"] = ir.AttrFloat32(
            "epsilon", 2 * float(node.attributes.get_float("epsilon", 1e-5) or 0)
        )
    elif fault == "padding":
        pads = list(node.attributes.get_ints("pads") or ())
        half = len(pads) // 2
        if "auto_pad" in node.attributes:
            del node.attributes["auto_pad"]
        pads[0], pads[half] = pads[0] + 1, pads[half] - 1
        node.attributes["pads"] = ir.AttrInt64s("pads", pads)
    elif fault == "axis":
        node.attributes["axis"] = ir.AttrInt64("axis", 0)
    elif fault == "slope":
        alpha = node.attributes.get_float("alpha", _SLOPES[node.op_type])
        node.attributes["alpha"] = ir.AttrFloat32("alpha", 2 * float(alpha or 0))
    elif fault == "order":
        first, second = node.inputs[:2]
        node.replace_input_with(0, second)
        node.replace_input_with(1, first)
    return str(node.name)


_SLOPES = {"LeakyRelu": 0.01, "Elu": 1.0}
_RECURRENT = frozenset({"GRU", "LSTM"})


def _places(model: ir.Model, fault: str) -> Iterator[tuple[ir.Node, ir.Value | None]]:
    for node in model.graph:
        kernel = node.inputs[1] if len(node.inputs) > 1 else None
        array = constant_array(kernel)
        if fault in _IN_KERNELS:
            if array is not None and _is_kernel_for(node, array, fault):
                yield node, kernel
        elif _is_place(node, fault):
            yield node, None


def _is_kernel_for(node: ir.Node, array: np.ndarray[Any, Any], fault: str) -> bool:
    if fault == "gamma":
        return node.op_type == "BatchNormalization" and bool(np.any(array != 1))
    if fault == "gates":
        return node.op_type in _RECURRENT
    if node.op_type not in _LINEAR or array.ndim < 2:
        return False
    if fault == "colours":
        x = node.inputs[0]
        return node.op_type == "Conv" and array.shape[-2] == 3 and x is not None and _is_image(x)
    if fault == "turned":
        return bool(array.shape[0] == array.shape[1] > 1)
    return bool(array.shape[-1] > 1)


def _is_image(value: ir.Value) -> bool:
    """Whether a value is an input, perhaps padded and rescaled."""
    node = value.producer()
    while node is not None and node.op_type in {"Pad", "Mul", "Sub", "Add", "Div", "Cast", "BatchNormalization"}:
        value = next(v for v in node.inputs if v is not None and constant_array(v) is None)
        node = value.producer()
    return node is None and value.is_graph_input()


def _is_place(node: ir.Node, fault: str) -> bool:
    if fault == "bias":
        computed = any(value is not None and constant_array(value) is None for value in node.inputs)
        return node.op_type == "Add" and computed and any(_is_bias(value) for value in node.inputs)
    if fault == "epsilon":
        return node.op_type == "BatchNormalization"
    if fault == "relu":
        return node.op_type in {"Relu", "Clip", "LeakyRelu", "Elu"}
    if fault == "axis":
        return node.op_type == "Softmax"
    if fault == "slope":
        return str(node.op_type) in _SLOPES
    if fault == "order":
        return node.op_type == "Concat" and _are_alike(node.inputs[:2])
    return node.op_type == "Conv" and (node.attributes.get_ints("pads") or [0])[-1] > 0


def _are_alike(values: Sequence[ir.Value | None]) -> bool:
    shapes = [None if value is None else value.shape for value in values]
    return len(shapes) == 2 and shapes[0] is not None and shapes[0] == shapes[1]


def _is_bias(value: ir.Value | None) -> bool:
    array = constant_array(value)
    return array is not None and array.ndim == 1 and array.size > 1 and bool(np.any(array != 0))


def _changed(array: np.ndarray[Any, Any], fault: str, random: np.random.RandomState) -> np.ndarray[Any, Any]:
    if fault == "gamma":
        return np.ones_like(array)
    if fault == "scaled":
        return np.asarray(array * array.dtype.type(1.02))
    if fault == "colours":
        return np.ascontiguousarray(array[..., ::-1, :])
    if fault == "turned":
        return np.ascontiguousarray(np.swapaxes(array, 0, 1))
    if fault == "gates":
        units = array.shape[1] // 4 if array.shape[1] % 4 == 0 else array.shape[1] // 3
        return np.ascontiguousarray(np.roll(array, units, axis=1))
    alive = np.flatnonzero(np.any(array.reshape(-1, array.shape[-1]) != 0, axis=0))
    if fault in ("zeroed", "channel"):
        factor = array.dtype.type(0 if fault == "zeroed" else 1.02)
        array[..., alive[random.randint(alive.size)] if alive.size else 0] *= factor
        return array
    first, second = random.permutation(array.shape[-1])[:2]
    array[..., [first, second]] = array[..., [second, first]]
    return array


def try_faults(
    source: Path,
    folder: Path,
    *,
    each: int = 2,
    seed: int = 0,
    options: Options | None = None,
    faults: Iterable[str] = FAULTS,
) -> list[Outcome]:
    """Plants faults of these kinds in one source's export, so many of each, one at a time, and verifies."""
    random, options = np.random.RandomState(seed), options or Options()
    right = unfold(source, options=options).model
    recorded = probes(right)
    inputs = [one.feeds for one in exercise(right, count=_SETS, seed=17).sets]
    references = [reference_run(right, feeds) for feeds in inputs]
    path = folder / "planted.onnx"
    _write(unfold(source, options=options).model, path, recorded, options)
    stated = {one.weight: one for one in verify_model(path, against=source).power}
    by_examples = {one.weight: one for one in verify_model(path).power} if recorded else {}
    found = []
    for fault in faults:
        for _ in range(each):
            model = unfold(source, options=options).model
            before = {str(v.name): constant_array(v) for v in model.graph.initializers.values()}
            where = plant(model, fault, random)
            if where is None:
                break
            channel = _channel(model, where, before) if fault in ("zeroed", "channel") else None
            try:
                changes = any(
                    one.worst(array).ratio > 1
                    for reference in references
                    for name, array in evaluate(model, reference.inputs, dtype=np.float64).items()
                    if (one := reference.yardsticks.get(name)) is not None
                )
            except (ValueError, IndexError):
                continue
            _write(model, path, recorded, options)
            against, stored = not verify_model(path, against=source), not verify_model(path) if recorded else False
            told = [_told(power.get(where), channel) for power in (stated, by_examples)]
            found.append(Outcome(fault, where, changes, against, stored, *told))
    return found


def _told(power: WeightPower | None, channel: int | None) -> bool | None:
    """Whether a verdict says that a fault in a channel would be noticed; None if it was not among those tried."""
    if power is None or channel is None or channel in power.asleep:
        return None
    return None if (power.of or 0) > power.channels + len(power.asleep) else channel not in power.missed


def _channel(model: ir.Model, where: str, before: dict[str, Any]) -> int | None:
    now = constant_array(model.graph.initializers.get(where))
    if now is None or before[where] is None:
        return None
    off = np.flatnonzero(np.any((now != before[where]).reshape(-1, now.shape[-1]), axis=0))
    return int(off[0]) if off.size else None


def _write(model: ir.Model, path: Path, recorded: Any, options: Options) -> None:
    metadata = {STORED_AS: options.to_json()}
    run_passes(model, fold=options.fold)
    standard = onnx_model(model, metadata=metadata)
    bundle = path.with_suffix(".npz")
    for old in path.parent.glob("planted*"):
        old.unlink()
    writers = {**onnx_writers(standard, path)}
    write_files(writers, inputs=[])
    write_bundle(model, bundle, probes=recorded, metadata=metadata)


def options_of(source: Path) -> Options:
    """What a case of the corpus is exported with."""
    facts = source.parent / "case.json"
    if not facts.is_file():
        return Options()
    case = json.loads(facts.read_text(encoding="utf-8"))
    given: dict[str, Any] = case["options"]
    given["values"] = {
        name: value if isinstance(value, str) else json.dumps(value) for name, value in given.get("values", {}).items()
    }
    if case["names"]:
        given |= {"inputs": dict.fromkeys(case["inputs"]), "outputs": tuple(case["outputs"])}
    return Options(**given)


def main(sources: list[str]) -> None:
    """Prints what was noticed, for each kind of fault, and what wasn't."""
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory() as folder:
        for number, source in enumerate(sources):
            try:
                every = (*FAULTS, *RARER_FAULTS)
                own = options_of(Path(source))
                new = try_faults(Path(source), Path(folder), each=_EACH, seed=number, options=own, faults=every)
            except ExportError as error:
                print(source, error)
                continue
            outcomes += new
            for one in new:
                if one.changes and not (one.against and one.stored):
                    print(source, one, flush=True)
    report(outcomes)


def report(outcomes: list[Outcome]) -> None:
    """A line for each kind, and for all; then the share of single channels that was noticed, and that was stated."""
    for fault in (*FAULTS, *RARER_FAULTS, "all"):
        real = [one for one in outcomes if fault in ("all", one.fault) and one.changes]
        against, stored = sum(one.against for one in real), sum(one.stored for one in real)
        count = max(len(real), 1)
        print(
            f"{fault}: {len(real)} change an output; {against} ({against / count:.1%}) noticed with --against, "
            f"{stored} ({stored / count:.1%}) by stored examples"
        )
    for how, pairs in (
        ("with --against", [(one.against, one.stated) for one in outcomes]),
        ("by stored examples", [(one.stored, one.stated_stored) for one in outcomes]),
    ):
        told = [(noticed, stated) for noticed, stated in pairs if stated is not None]
        noticed = sum(noticed for noticed, _ in told) / max(len(told), 1)
        stated = sum(bool(stated) for _, stated in told) / max(len(told), 1)
        print(f"of {len(told)} faults in channels {noticed:.1%} noticed {how}; the verdicts say {stated:.1%}")


if __name__ == "__main__":
    main(sys.argv[1:])
