"""Folds affine maps (batch norms, biases, constant factors) into the linear ops around them.

`collect` finds the maps and their chains; `plan` decides where each goes, by `steps` past other ops (`carriers`,
`branches`); `linear` says what a linear op can take, and `absorb` writes its weights; `cancellation` and `rounding`
keep a fold from costing digits; `fold_affine` is the pass.
"""
