"""The order of the passes."""

from __future__ import annotations

from collections.abc import Callable, Collection

import onnx_ir as ir

from exporter.foreign import on_foreign_data
from exporter.ir import edit
from exporter.passes.affine.far_means import subtract_far_means
from exporter.passes.affine.fold_affine import fold_affine
from exporter.passes.clips import merge_clips
from exporter.passes.concats import join_concats
from exporter.passes.dense import matmul_to_dense
from exporter.passes.duplicates import share_constants, share_results
from exporter.passes.fold_constants import fold_constants
from exporter.passes.hard_sigmoids import merge_hard_sigmoids
from exporter.passes.identities import remove_identities
from exporter.passes.leaky_relus import merge_absolute_leaky_relus, merge_leaky_relus
from exporter.passes.pads import merge_pads
from exporter.passes.recurrent.directions import run_backwards
from exporter.passes.recurrent.layers import find_recurrent_layers
from exporter.passes.reshapes import join_reshapes
from exporter.passes.slices import join_slices
from exporter.passes.transposes import move_transposes
from exporter.report.records import FoldOutcome

__all__ = ["run"]

Pass = Callable[[ir.Model], None]


def _fold_exact_constants(model: ir.Model) -> None:
    fold_constants(model, exact=True)


BEFORE: tuple[Pass, ...] = (
    remove_identities,
    move_transposes,
    _fold_exact_constants,
    matmul_to_dense,
    merge_leaky_relus,
    join_reshapes,
    remove_identities,
)
"""What makes the graph plainer for folding; numbers stay the same, bit for bit."""

AFTER: tuple[Pass, ...] = (
    remove_identities,
    join_reshapes,
    remove_identities,
    join_concats,
    join_slices,
    merge_pads,
    merge_clips,
    share_constants,
    share_results,
    edit.remove_dead,
)
"""What makes it smaller; numbers stay the same."""


@on_foreign_data("folding it")
def run(model: ir.Model, *, fold: bool = True, keep: Collection[str] = ()) -> tuple[FoldOutcome, ...]:
    """Folds and tidies a model in place; says of each affine op what became of it.

    The invariants of the IR are checked after every pass.

    Args:
        model: The model as it was lowered.
        fold: Fold affine ops and constants; without it only what doesn't change the numbers is done, but that means far
            from 0 are subtracted by an op of their own.
        keep: The sources of affine ops that stay as they are.
    """
    _each(model, BEFORE)
    outcomes: tuple[FoldOutcome, ...] = ()
    if fold:
        _each(model, (merge_clips, merge_hard_sigmoids, merge_absolute_leaky_relus, find_recurrent_layers))
        outcomes = fold_affine(model, keep)
        edit.check(model)
        _each(model, (fold_constants, run_backwards))
    else:
        _each(model, (subtract_far_means,))
    _each(model, AFTER)
    return outcomes


def _each(model: ir.Model, passes: tuple[Pass, ...]) -> None:
    for step in passes:
        step(model)
        edit.check(model)
