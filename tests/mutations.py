"""Plants classical bugs of converters, one at a time, and says which of them the fast tests notice.

    python -m tests.mutations [NUMBER...]

Each is planted in a copy of the repository, where `pytest -m fast` runs until the first failure. Exit status 1 if
fewer than 29 of 30 are caught.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

__all__ = ["MUTATIONS", "Mutation", "main", "planted"]

_ROOT = Path(__file__).parents[1]
_PARTS = ("exporter", "runtime", "sample_ckpts", "tests", "setup.cfg", "setup.py", "pyproject.toml")
_SURVIVORS = 1


class Mutation(NamedTuple):
    """One bug: in which file, what stands there once, and what is put instead."""

    bug: str
    file: str
    old: str
    new: str


MUTATIONS = (
    Mutation(
        "SAME padding off by one with a stride",
        "exporter/nn/windows.py",
        "return same_total(size, reach, stride) if",
        "return same_total(size, reach, stride) + 1 if",
    ),
    Mutation(
        "the odd zero of SAME at the beginning",
        "exporter/nn/windows.py",
        "[*[total // 2 for total in known], *[total - total // 2 for total in known]]",
        "[*[total - total // 2 for total in known], *[total // 2 for total in known]]",
    ),
    Mutation(
        "dilation forgotten in the reach of a kernel",
        "exporter/nn/windows.py",
        "(size - 1) * dilation + 1 for",
        "(size - 1) + 1 for",
    ),
    Mutation(
        "epsilon outside the root",
        "exporter/passes/affine/collect.py",
        "gamma / np.sqrt(variance + epsilon)",
        "gamma / (np.sqrt(variance) + epsilon)",
    ),
    Mutation(
        "the mean isn't scaled",
        "exporter/passes/affine/collect.py",
        "beta - mean * scale)",
        "beta - mean)",
    ),
    Mutation(
        "a shift folded into a padded convolution",
        "exporter/passes/affine/linear.py",
        "if affine.has_shift and op.pads:",
        "if False:",
    ),
    Mutation(
        "groups tiled instead of repeated",
        "exporter/passes/affine/linear.py",
        "np.repeat(channels.reshape(group, -1), shape[-1] // group, axis=0).T",
        "np.tile(channels.reshape(group, -1), (shape[-1] // group, 1)).T",
    ),
    Mutation(
        "composition of affine maps in the wrong order",
        "exporter/passes/affine/affine_map.py",
        "after.scale * self.shift + after.shift",
        "self.scale * after.shift + self.shift",
    ),
    Mutation(
        "bounds of Clip for Max exchanged",
        "exporter/passes/clips.py",
        'low, high = (first, outer[2]) if node.op_type == "Min" else (outer[2], first)',
        "low, high = (first, outer[2])",
    ),
    Mutation(
        "a maximum pool over negative values takes zeros",
        "exporter/passes/pads.py",
        "if not meet or not is_not_negative(source):",
        "if not meet:",
    ),
    Mutation(
        "pads at channels folded away",
        "exporter/passes/pads.py",
        "if np.any(widths < 0) or np.any(widths[:, [0, -1]]):",
        "if np.any(widths < 0):",
    ),
    Mutation(
        "pads permuted by the inverse",
        "exporter/passes/permute.py",
        "both[:, list(order)] = np.array(pads).reshape(2, rank)",
        "both[:] = np.array(pads).reshape(2, rank)[:, list(order)]",
    ),
    Mutation(
        "the branches of a turned condition stay",
        "exporter/passes/identities.py",
        "enumerate((opposite.inputs[0], b, a))",
        "enumerate((opposite.inputs[0], a, b))",
    ),
    Mutation(
        "a maximum pool pads with zeros",
        "runtime/kernels/pooling.py",
        'lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min',
        "lowest = 0",
    ),
    Mutation(
        "an average pool counts the padding",
        "runtime/kernels/pooling.py",
        "y /= prod(kernel_shape) if count_include_pad else",
        "y /= prod(kernel_shape) if True else",
    ),
    Mutation(
        "LSTM gates of Keras taken in ONNX's order",
        "exporter/lower/keras/cells.py",
        "order = (0, 3, 1, 2)",
        "order = (0, 1, 2, 3)",
    ),
    Mutation(
        "reset_after forgotten",
        "exporter/lower/keras/cells.py",
        "linear_before_reset=int(after),",
        "linear_before_reset=0,",
    ),
    Mutation(
        "Keras's default epsilon",
        "exporter/lower/keras/batch_normalization.py",
        'ctx.settings.number("epsilon", 1e-3)',
        'ctx.settings.number("epsilon", 1e-5)',
    ),
    Mutation(
        "a training flag set to training",
        "exporter/inference/training/flags.py",
        "        return False, on_true\n",
        "        return True, on_true\n",
    ),
    Mutation(
        "a dropout keeps its mask",
        "exporter/inference/training/dropout.py",
        "        rewriter.redirect(Ref(after[0].name), data)\n",
        "",
    ),
    Mutation(
        "statistics that add up are averages",
        "exporter/inference/batch_norm/moving_averages.py",
        "if variable is None or self._adds_up(node, variable):",
        "if variable is None:",
    ),
    Mutation(
        "a variable that several savers know is bound to the last",
        "exporter/sources/restore.py",
        "place = next((p for p in found if p.key in store), None)",
        "place = next((p for p in reversed(found) if p.key in store), None)",
    ),
    Mutation(
        "checksums of tensors skipped",
        "exporter/formats/tensor_bundle.py",
        "if mask(crc) != entry.crc:",
        "if False:",
    ),
    Mutation(
        "copies of snappy that overlap taken at once",
        "exporter/formats/snappy.py",
        "elif offset >= size:",
        "elif True:",
    ),
    Mutation(
        "integers of 35 bits pass",
        "exporter/formats/varint.py",
        "if (byte == 0 and shift) or value >> bits:",
        "if byte == 0 and shift:",
    ),
    Mutation(
        "strides that became dilations forget their rate",
        "exporter/zoo/strides.py",
        "rate, self._rate = self._rate, self._rate * stride",
        "rate, self._rate = self._rate, self._rate",
    ),
    Mutation(
        "the limit of verify a hundred times as wide",
        "exporter/verify/compare.py",
        "return max(FACTOR * noise, floor) if",
        "return 100 * max(FACTOR * noise, floor) if",
    ),
    Mutation(
        "an identity takes the name of an input",
        "exporter/passes/identities.py",
        "return result.is_graph_output() and (source.producer() is None or source.is_graph_output())",
        "return False",
    ),
    Mutation(
        "a permutation and its inverse exchanged",
        "exporter/passes/transposes.py",
        "return [int(i) for i in np.argsort(perm)]",
        "return [int(i) for i in perm]",
    ),
    Mutation(
        "columns of a looked-up table scaled along the axis before",
        "exporter/passes/affine/linear.py",
        "return array.reshape((*array.shape[:axis], 1, *array.shape[axis + picked :]))",
        "return array.reshape((1, *array.shape[:axis], *array.shape[axis + picked :]))",
    ),
)


def planted(mutation: Mutation, text: str) -> str:
    """Return a file's text with the bug in it.

    Raises:
        ValueError: What the bug replaces doesn't stand there exactly once.
    """
    if text.count(mutation.old) != 1:
        raise ValueError(f"{mutation.file} has {mutation.old!r} {text.count(mutation.old)} times")
    return text.replace(mutation.old, mutation.new)


def _caught(mutation: Mutation) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        for part in _PARTS:
            source, target = _ROOT / part, Path(folder) / part
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            elif source.exists():
                shutil.copy(source, target)
        path = Path(folder) / mutation.file
        path.write_text(planted(mutation, path.read_text(encoding="utf-8")), encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-m", "fast", "-x", "-q", "-p", "no:cacheprovider"]
        return subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode == 1


def main(numbers: list[int]) -> int:
    """Plant the bugs of these numbers, or all, and print what was caught."""
    survivors = 0
    for number, mutation in enumerate(MUTATIONS):
        if numbers and number not in numbers:
            continue
        caught = _caught(mutation)
        survivors += not caught
        print(f"{number:2} {'caught  ' if caught else 'SURVIVES'} {mutation.bug} ({mutation.file})", flush=True)
    return int(survivors > _SURVIVORS)


if __name__ == "__main__":
    sys.exit(main([int(number) for number in sys.argv[1:]]))
