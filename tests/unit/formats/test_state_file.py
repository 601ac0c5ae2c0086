"""The state file, as TensorFlow's savers write it and as people edit it."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.errors import FormatError, MissingError
from exporter.formats import limits
from exporter.formats.state_file import read_state_file


@pytest.mark.parametrize(
    ("text", "latest", "kept"),
    [
        (
            'model_checkpoint_path: "m-7"\nall_model_checkpoint_paths: "m-5"\nall_model_checkpoint_paths: "m-7"\n',
            "m-7",
            2,
        ),
        ("model_checkpoint_path:'/old/place/m-7' # moved", "/old/place/m-7", 0),
        ('model_checkpoint_path: "m-" "7"', "m-7", 0),
        (r'model_checkpoint_path: "\141\"\303\251"', 'a"é', 0),
        ('model_checkpoint_path: "é"', "é", 0),
        ('model_checkpoint_path: "m-1"\nmodel_checkpoint_path: "m-2"', "m-2", 0),
        (
            'model_checkpoint_path: "../m"\nlast_preserved_timestamp: 1.5e9\nall_model_checkpoint_timestamps: 1',
            "../m",
            0,
        ),
        ('model_checkpoint_path: "m-?????-of-00002"', "m-?????-of-00002", 0),
        ('model_checkpoint_path: "m"\nnew_field: 3', "m", 0),
    ],
)
def test_state_file(text: str, latest: str, kept: int, tmp_path: Path) -> None:
    """Paths come back as they are written."""
    (tmp_path / "checkpoint").write_text(text, encoding="utf-8")
    state = read_state_file(tmp_path / "checkpoint")
    assert state.latest == latest
    assert len(state.all) == kept
    assert state.path == tmp_path / "checkpoint"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00\x01\x02",
        b"model_checkpoint_path: 'm",
        b"model_checkpoint_path: 7",
        b"all_model_checkpoint_paths: 'm'",
        b"model_checkpoint_path: ''",
        b"model_checkpoint_path: '\xff'",
        b"version https://git-lfs.github.com/spec/v1\n",
        b"{" * 10_000,
    ],
)
def test_no_state_file(data: bytes, tmp_path: Path) -> None:
    """Anything else is named as such."""
    (tmp_path / "checkpoint").write_bytes(data)
    with pytest.raises(FormatError, match=r"file .*checkpoint: "):
        read_state_file(tmp_path / "checkpoint")


def test_far_too_long_or_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The size is looked at before anything is read."""
    with pytest.raises(MissingError, match="no such file"):
        read_state_file(tmp_path / "checkpoint")
    monkeypatch.setattr(limits, "MAX_STATE_BYTES", 10)
    (tmp_path / "checkpoint").write_text("model_checkpoint_path: 'm'")
    with pytest.raises(FormatError, match="26 bytes"):
        read_state_file(tmp_path / "checkpoint")
