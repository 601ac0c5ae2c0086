"""The text file `checkpoint`, in which TensorFlow notes the checkpoints of a directory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from exporter.errors import FormatError, SourceError
from exporter.formats import limits
from exporter.formats.files import RegularFile
from exporter.formats.places import within
from exporter.formats.tf_protos import CheckpointState, parse_text

__all__ = ["StateFile", "read_state_file"]


@dataclass(frozen=True, slots=True)
class StateFile:
    """What the file says; the paths are as written: absolute ones of the machine that trained, or relative to it.

    Attributes:
        path: Of the state file.
        latest: The latest checkpoint: a prefix, or the pattern `P-?????-of-00002` of a sharded V1 checkpoint.
        all: Every checkpoint that was kept, oldest first.
    """

    path: Path
    latest: str
    all: tuple[str, ...]


def read_state_file(path: Path) -> StateFile:
    """Reads a state file; whether the checkpoints in it exist is not looked at.

    Raises:
        MissingError: There is no such file.
        FormatError: It isn't one, or it names no checkpoint.
    """
    file = RegularFile.at(path)
    with within(file.place):
        if file.size > limits.MAX_STATE_BYTES:
            raise FormatError(f"{file.size} bytes, far too many for the state file of a directory")
        try:
            state = parse_text(CheckpointState, file.read_all(limits.MAX_STATE_BYTES), what=file.place)
        except FormatError:
            raise
        except SourceError as error:
            raise FormatError(f"not the state file of a directory: {error.message}") from error
        if not state.model_checkpoint_path:
            raise FormatError("it names no checkpoint in model_checkpoint_path")
    return StateFile(path, state.model_checkpoint_path, tuple(state.all_model_checkpoint_paths))
