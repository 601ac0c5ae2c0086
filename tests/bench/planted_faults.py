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

A fault that changes no output of any of many inputs, by more than float noise, isn't one, and doesn't count.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterable, Iterator
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

__all__ = ["FAULTS", "Outcome", "main", "options_of", "plant", "report", "try_faults"]

FAULTS = ("zeroed", "channel", "scaled", "swapped", "bias", "epsilon", "gamma", "relu", "padding")
_LINEAR = frozenset({"Conv", "ConvTranspose", "Dense", "MatMul", "Gemm"})
_SETS = 5


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
    """

    fault: str
    where: str
    changes: bool
    against: bool
    stored: bool
    stated: bool | None = None


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
    return str(node.name)


def _places(model: ir.Model, fault: str) -> Iterator[tuple[ir.Node, ir.Value | None]]:
    for node in model.graph:
        kernel = node.inputs[1] if len(node.inputs) > 1 else None
        array = constant_array(kernel)
        if fault in ("zeroed", "channel", "scaled", "swapped"):
            if node.op_type in _LINEAR and array is not None and array.ndim > 1 and array.shape[-1] > 1:
                yield node, kernel
        elif fault == "gamma":
            if node.op_type == "BatchNormalization" and array is not None and np.any(array != 1):
                yield node, kernel
        elif _is_place(node, fault):
            yield node, None


def _is_place(node: ir.Node, fault: str) -> bool:
    if fault == "bias":
        computed = any(value is not None and constant_array(value) is None for value in node.inputs)
        return node.op_type == "Add" and computed and any(_is_bias(value) for value in node.inputs)
    if fault == "epsilon":
        return node.op_type == "BatchNormalization"
    if fault == "relu":
        return node.op_type in {"Relu", "Clip", "LeakyRelu", "Elu"}
    return node.op_type == "Conv" and (node.attributes.get_ints("pads") or [0])[-1] > 0


def _is_bias(value: ir.Value | None) -> bool:
    array = constant_array(value)
    return array is not None and array.ndim == 1 and array.size > 1 and bool(np.any(array != 0))


def _changed(array: np.ndarray[Any, Any], fault: str, random: np.random.RandomState) -> np.ndarray[Any, Any]:
    if fault == "gamma":
        return np.ones_like(array)
    if fault == "scaled":
        return np.asarray(array * array.dtype.type(1.02))
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
            told = None if channel is None or where not in stated else _told(stated[where], channel)
            found.append(Outcome(fault, where, changes, against, stored, told))
    return found


def _told(power: WeightPower, channel: int) -> bool | None:
    return None if channel in power.asleep else channel not in power.missed


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
                new = try_faults(Path(source), Path(folder), each=1, seed=number, options=options_of(Path(source)))
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
    for fault in (*FAULTS, "all"):
        real = [one for one in outcomes if fault in ("all", one.fault) and one.changes]
        against, stored = sum(one.against for one in real), sum(one.stored for one in real)
        count = max(len(real), 1)
        print(
            f"{fault}: {len(real)} change an output; {against} ({against / count:.1%}) noticed with --against, "
            f"{stored} ({stored / count:.1%}) by stored examples"
        )
    told = [one for one in outcomes if one.stated is not None]
    noticed = sum(one.against for one in told) / max(len(told), 1)
    stated = sum(bool(one.stated) for one in told) / max(len(told), 1)
    print(f"of {len(told)} faults in channels {noticed:.1%} noticed with --against; the verdicts say {stated:.1%}")


if __name__ == "__main__":
    main(sys.argv[1:])
