"""The training graph to the inference function, step by step."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from exporter.errors import MissingError, UsageError
from exporter.formats.dtypes import BY_NAME
from exporter.formats.records import Array
from exporter.inference.batch_norm.describe import describe
from exporter.inference.batch_norm.moving_averages import Updates
from exporter.inference.batch_norm.moving_statistics import Checkpoint, use_moving_statistics
from exporter.inference.batch_norm.recognise import recognise
from exporter.inference.control_flow.conditions import (
    CASES,
    IFS,
    Condition,
    find_conditions,
    mark_conditional,
    open_switches,
    take_both,
)
from exporter.inference.control_flow.decoded_loops import cut_decoders_in_loops
from exporter.inference.control_flow.nest_loops import nest_loops
from exporter.inference.control_flow.open_loops import with_open_loops
from exporter.inference.findings import Findings
from exporter.inference.graph.inline import Inliner
from exporter.inference.graph.names import find_tensor, open_calls
from exporter.inference.graph.op_types import PLACEHOLDERS
from exporter.inference.graph.queries import ASSIGN_OPS, MERGES, RANDOM_OPS, STEPWISE, SWITCHES, behind, variable_behind
from exporter.inference.graph.rewriter import Rewriter
from exporter.inference.graph.rounds import rounds
from exporter.inference.inputs.find import Given, cut_input, find_inputs, use_defaults
from exporter.inference.inputs.lookup_tables import bind_tables
from exporter.inference.inputs.set_values import apply_values
from exporter.inference.inputs.signatures import choose_signature
from exporter.inference.model import InferenceModel, Input, Output
from exporter.inference.outputs.choose import find_outputs
from exporter.inference.training.assignments import read_assigned
from exporter.inference.training.dropout import drop_noise
from exporter.inference.training.flags import resolve_flags
from exporter.inference.training.frozen_states import thaw
from exporter.inference.training.numeric_flags import resolve_blends
from exporter.inference.training.stateful import states
from exporter.inference.variables import refuse_lost, used_variables
from exporter.options import Options
from exporter.report.decisions import Choice, Reason
from exporter.report.records import BatchNorm
from exporter.sources.graph import Graph, Node, Ref
from exporter.sources.model import SourceModel, Variable

__all__ = ["Inferred", "to_inference"]

_KERAS_EXPORT = frozenset({"serve", "serving_default"})
"""The signatures of what Keras 3 exports."""

Inferred = tuple[InferenceModel, tuple[BatchNorm, ...], Findings]


def to_inference(source: SourceModel, options: Options) -> Inferred:
    """The inference function that a source stands for, its batch norms, and what was decided on the way.

    Raises:
        UsageError: A name that isn't there, or several outputs to choose from.
        MissingError: Variables or moving statistics that the checkpoint hasn't got.
        UnsupportedError: Randomness that is part of the model.
        ValueInputError: Statistics that can't be meant.
        CorruptError: A variable is stored with another type or shape than the graph's.
    """
    if source.graph is None:
        raise MissingError("it holds weights only: no graph says what is done with them").within(f"file {source.path}")
    return _Inference(source, source.graph, options).run()


class _Inference:
    def __init__(self, source: SourceModel, graph: Graph, options: Options) -> None:
        self.source = source
        self.graph, results = with_open_loops(graph)
        self.options = options
        self.findings = Findings()
        self.rewriter = Rewriter(self.graph)
        for old, new in results.items():
            self.rewriter.redirect(old, new)
        self.variables: dict[str, Variable] = {**source.variables, **thaw(self.rewriter)}
        self.input_names: dict[Ref, str] = {}
        self.signature = choose_signature(source, graph, options)
        self.inliner = Inliner(self.rewriter)
        self.decoded: dict[Ref, str] = {}
        self.openers = (partial(open_calls, self.rewriter, self.inliner), self._open_signature)

    def run(self) -> Inferred:
        rewriter, findings = self.rewriter, self.findings
        given = self._given_inputs()
        apply_values(rewriter, self.options.values, findings, self.openers)
        names = self._outputs(list(given))
        outputs = [ref for _, ref in names]
        inliner = self.inliner
        self._resolve_conditions(inliner, outputs)
        resolve_blends(rewriter, outputs, findings)
        updates = Updates(rewriter, frozenset(node.name for node in rewriter.order(outputs)))
        use_moving_statistics(rewriter, outputs, updates, self._checkpoint(), findings, keep=self.options.keeps)
        self._check_kept()
        ranges = read_assigned(rewriter, outputs, findings)
        drop_noise(rewriter, outputs, findings)
        use_defaults(rewriter, outputs, given, findings)
        self._keep_conditions_on_data(inliner, outputs)
        bind_tables(rewriter, outputs, self.source)
        self._use_averages(updates, outputs)
        parameters = recognise(rewriter, outputs, self._channels)
        self.decoded = cut_decoders_in_loops(rewriter, outputs, given)
        self.input_names |= self.decoded
        inputs = self._named_inputs(find_inputs(rewriter, outputs, given, findings))
        # only what the outputs need, inputs in their final meaning, control inputs gone
        stop = frozenset(entry.ref for entry in inputs)
        cut = {ref.node for ref in stop}
        needed = [node for node in rewriter.order(outputs, stop=stop) if node.name not in cut]
        nodes = [Node(n.name, n.op, rewriter.inputs(n), (), n.attributes) for n in needed]
        nested = nest_loops(nodes, self._assigned(nodes, updates))
        graph = Graph({node.name: node for node in nested}, self.graph.functions)
        refuse_lost(graph, self.variables, self.source)
        batch_norms = describe(rewriter, parameters, self.variables, findings)
        there = {node.name for node in nodes}
        self._warn_of_states(there, inputs, ranges | {variable for _, variable in updates.averaged()})
        model = InferenceModel(
            graph,
            tuple(inputs),
            tuple(Output(name, rewriter.resolve(ref)) for name, ref in names),
            used_variables(graph, self.variables),
            {p.node: record.name for p, record in batch_norms if p.node in there},
        )
        return model, tuple(record for _, record in batch_norms), findings

    def _given_inputs(self) -> dict[Ref, Given]:
        named = self.options.inputs.items()
        given: dict[Ref, Given] = {}
        for name, shape in named:
            ref = find_tensor(self.rewriter, name, what="--input", openers=self.openers)
            declared = self.rewriter.node(ref.node).op in PLACEHOLDERS
            placeholder = self._cut(str(ref), ref)
            given[placeholder] = Given(str(ref), self.rewriter.node(placeholder.node), declared, shape)
        if not given and self.signature is not None:
            for name, ref in self.signature.inputs.items():
                self._cut(name, ref)
        return given

    def _cut(self, name: str, ref: Ref) -> Ref:
        """Makes a tensor an input of that name."""
        placeholder = cut_input(self.rewriter, ref)
        self.input_names[placeholder] = name
        return placeholder

    def _outputs(self, given: list[Ref]) -> list[tuple[str, Ref]]:
        if self.options.outputs and self.signature is None:
            refs = [
                find_tensor(self.rewriter, name, what="--output", openers=self.openers) for name in self.options.outputs
            ]
            for ref in refs:
                self.findings.decide("output", str(ref), Choice.OUTPUT, Reason.NAMED_BY_USER)
            return [(str(ref), ref) for ref in refs]
        if self.signature is not None:
            why = Reason.NAMED_IN_SIGNATURE if self.options.outputs else Reason.OF_SIGNATURE
            for name in self.signature.outputs:
                self.findings.decide("output", name, Choice.OUTPUT, why, signature=self.signature.name)
            return list(self.signature.outputs.items())
        return [(str(ref), ref) for ref in find_outputs(self.rewriter, given, self.findings)]

    def _open_signature(self) -> None:
        """Opens the conditions on the way to the default signature's outputs, for tensors that are named in them."""
        if not self.source.signatures:
            return
        unnamed = choose_signature(self.source, self.graph, replace(self.options, outputs=()))
        if unnamed is not None:
            self._resolve_conditions(self.inliner, list(unnamed.outputs.values()))

    def _named_inputs(self, inputs: list[Input]) -> list[Input]:
        """Inputs under the names that the user or the signature gives them, each with its reason in the report."""
        named = [replace(entry, name=self.input_names.get(entry.ref, entry.name)) for entry in inputs]
        for entry in named:
            op = self.rewriter.node(entry.ref.node).op
            details: dict[str, str] = {}
            if entry.ref in self.decoded:
                code = Reason.DECODED_IN_LOOP
            elif entry.ref in self.input_names and self.signature is not None:
                code, details = Reason.OF_SIGNATURE, {"signature": self.signature.name}
            elif entry.ref in self.input_names:
                code = Reason.NAMED_BY_USER
            elif op in RANDOM_OPS:
                code = Reason.RANDOM_START
            elif op.startswith("Placeholder"):
                code = Reason.PLACEHOLDER
            else:
                code, details = Reason.DATA_SOURCE, {"op": op}
            self.findings.decide("input", entry.name, Choice.INPUT, code, **details)
        return named

    def _check_kept(self) -> None:
        """Every scope of --keep-batch-statistics has to mean something, or the user believes what isn't so."""
        kept = [d.subject for d in self.findings.decisions if d.value is Choice.BATCH_STATISTICS]
        for scope in self.options.keep_batch_statistics:
            alone = replace(self.options, keep_batch_statistics=(scope,))
            if not any(alone.keeps(subject) for subject in kept):
                where = f"in the scope {scope!r}" if scope else "on the way to the outputs"
                raise UsageError(
                    f"--keep-batch-statistics: no batch norm {where} normalises by the batch",
                    hint="Where a flag decides that, set it too: --set NAME=true",
                )

    def _checkpoint(self) -> Checkpoint:
        store = self.source.store
        keys = frozenset(store or ())

        def variable(key: str) -> Ref:
            assert store is not None
            info = store.info(key)
            ref = self.rewriter.add(key, "VariableV2", dtype=BY_NAME[info.kind].number, shape=info.shape)
            self.variables[ref.node] = Variable(ref.node, key, info.kind, info.shape, partial(store.read, key))
            return ref

        def value(name: str) -> Array | None:
            stored = self.variables.get(name)
            return None if stored is None else stored.read()

        return Checkpoint(keys, variable, value, of_keras_export=self.source.signatures.keys() >= _KERAS_EXPORT)

    def _resolve_conditions(self, inliner: Inliner, outputs: list[Ref]) -> None:
        """Resolves what is known or about training; the functions of an `If` on data are opened to look into them."""
        for _ in rounds("opening the conditions on data"):
            resolve_flags(self.rewriter, inliner, outputs, self.findings)
            needed = {node.name for node in self.rewriter.order(outputs)}
            conditions = find_conditions(self.rewriter, outputs)
            calls = [c for c in conditions if c.node.op in IFS | CASES and c.node.name in needed]
            for condition in calls:
                self._keep(inliner, condition)
            if not calls:
                return

    def _keep(self, inliner: Inliner, condition: Condition) -> None:
        name, predicate = condition.node.name, str(condition.predicate)
        self.findings.decide("condition", name, Choice.KEPT, Reason.DATA_CONDITION, predicate=predicate)
        take_both(self.rewriter, inliner, condition)

    def _keep_conditions_on_data(self, inliner: Inliner, outputs: list[Ref]) -> None:
        """Conditions that are left depend on data: one of both sides is selected."""
        mark_conditional(self.rewriter, self.rewriter.order(outputs, controls=True))
        for condition in find_conditions(self.rewriter, outputs):
            if condition.node.op in MERGES:
                self._keep(inliner, condition)
        switches = [node for node in self.rewriter.order(outputs) if node.op in SWITCHES]
        open_switches(self.rewriter, switches)

    def _use_averages(self, updates: Updates, outputs: list[Ref]) -> None:
        """Weights that training averaged over its steps (ExponentialMovingAverage): said, and used if asked for."""
        store, by_graph = self.source.store, updates.shadows()
        shadows: dict[str, Variable] = {}
        for node in self.rewriter.order(outputs):
            variable = self.variables.get(node.name)
            if variable is None or store is None:
                continue
            shadow = self.variables.get(by_graph.get(node.name, ""))
            key = f"{variable.key}/ExponentialMovingAverage"
            if shadow is None and key in store:
                info = store.info(key)
                shadow = Variable(node.name, key, info.kind, info.shape, partial(store.read, key))
            if shadow is not None and shadow.shape == variable.shape:
                shadows[node.name] = shadow
        if not shadows:
            if self.options.ema:
                raise UsageError(
                    "--ema asks for averaged weights, and the checkpoint has none for this model's variables"
                )
            return
        count = f"{len(shadows)} variables"
        if not self.options.ema:
            self.findings.decide("ema", count, Choice.RAW_WEIGHTS, Reason.AVERAGES_TOO)
            return
        for name, shadow in shadows.items():
            self.variables[name] = replace(shadow, node=name)
        self.findings.decide("ema", count, Choice.AVERAGED_WEIGHTS, Reason.AVERAGES_ASKED_FOR)

    def _channels(self, ref: Ref) -> int | None:
        name = variable_behind(self.rewriter, ref)
        if name in self.variables:
            return int(np.prod(self.variables[str(name)].shape, dtype=np.int64))
        node = self.rewriter.node(behind(self.rewriter, ref).node)
        return int(np.size(node.attribute("value"))) if node.op == "Const" else None

    def _warn_of_states(self, needed: set[str], inputs: list[Input], others: set[str]) -> None:
        found = states(self.rewriter, needed, [entry.ref for entry in inputs], others)
        if found:
            titles = ", ".join(self.variables[name].title if name in self.variables else name for name in found)
            self.findings.warn(
                f"{titles}: the model changes them at every call, as a stateful RNN its states; the exported one "
                "begins each call with their saved values"
            )

    def _assigned(self, nodes: list[Node], updates: Updates) -> dict[str, tuple[str, ...]]:
        """For each loop the needed variables that its steps assign to, but for moving statistics."""
        names, statistics = {node.name for node in nodes}, {variable for _, variable in updates.averaged()}
        found: dict[str, tuple[str, ...]] = {}
        for name in dict.fromkeys((*self.graph.nodes, *self.rewriter.added())):
            node = self.rewriter.node(name)
            loop = node.attribute(STEPWISE) if node.op in ASSIGN_OPS else None
            variable = None if loop is None else variable_behind(self.rewriter, node.inputs[0])
            if variable in names and variable not in statistics:
                found[str(loop)] = (*found.get(str(loop), ()), str(variable))
        return found
