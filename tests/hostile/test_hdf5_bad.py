"""HDF5 files that would read other files, take all memory, or never end."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from exporter.errors import (
    CorruptError,
    ExportError,
    LimitError,
    SourceError,
    TruncatedError,
    UnsafeError,
    UnsupportedError,
)
from exporter.formats import hdf5_process
from exporter.formats.hdf5 import open_hdf5

Make = Callable[[Any, Path], object]


def external_storage(file: Any, folder: Path) -> None:
    """A dataset whose bytes are those of another file."""
    (folder / "secret").write_bytes(b"secret!!")
    file.create_dataset("w", (2,), "f4", external=[(str(folder / "secret"), 0, 8)])


def external_link(file: Any, folder: Path) -> None:
    """A link into another file."""
    with h5py.File(folder / "other.h5", "w") as other:
        other["w"] = np.ones(2)
    file["w"] = h5py.ExternalLink(str(folder / "other.h5"), "w")


def soft_link(file: Any, folder: Path) -> None:
    """A link by path."""
    file["a"] = np.ones(2)
    file["w"] = h5py.SoftLink("/a")


def soft_loop(file: Any, folder: Path) -> None:
    """A link to itself."""
    file["w"] = h5py.SoftLink("/w")


def virtual(file: Any, folder: Path) -> None:
    """A dataset put together from another file."""
    layout = h5py.VirtualLayout((2,), "f4")
    layout[:] = h5py.VirtualSource(str(folder / "other.h5"), "w", (2,))
    file.create_virtual_dataset("w", layout)


def hard_cycle(file: Any, folder: Path) -> None:
    """A group inside of itself."""
    file["w/inside"] = file.create_group("w")


def two_names(file: Any, folder: Path) -> None:
    """A dataset under two names."""
    file["a"] = np.ones(2)
    file["w"] = file["a"]


def declared(file: Any, folder: Path) -> None:
    """Four TiB that were never written."""
    file.create_dataset("w", (2**40,), "f4")


def declared_chunks(file: Any, folder: Path) -> None:
    """Four TiB in chunks that were never written."""
    file.create_dataset("w", (2**40,), "f4", chunks=(2**20,))


def deflated(file: Any, folder: Path) -> None:
    """Zeros that were a thousand times smaller."""
    file.create_dataset("w", data=np.zeros(2**25, np.uint8), compression="gzip", chunks=(2**24,))
    file.create_dataset("v", (2**28,), "u1", compression="gzip", chunks=(2**24,))
    file["v"][: 2**26] = 0


def deep(file: Any, folder: Path) -> None:
    """Two hundred groups inside each other."""
    file.create_group("/".join("g" * 200))


def text(file: Any, folder: Path) -> None:
    """An attribute that isn't UTF-8."""
    file.create_group("w").attrs["names"] = np.array([b"\xff"], "S1")


def unknown_filter(file: Any, folder: Path) -> None:
    """Compressed by a filter for which HDF5 would load a plug-in."""
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((2,))
    plist.set_filter(h5py.h5z.FILTER_NBIT, 0)
    h5py.h5d.create(file.id, b"w", h5py.h5t.NATIVE_FLOAT, h5py.h5s.create_simple((2,)), plist)


BAD: dict[str, tuple[Make, type[ExportError], str]] = {
    "external storage": (external_storage, UnsafeError, "object w"),
    "external link": (external_link, UnsafeError, "object w"),
    "soft link": (soft_link, UnsafeError, "object w"),
    "soft link loop": (soft_loop, UnsafeError, "object w"),
    "virtual dataset": (virtual, UnsafeError, "object w"),
    "hard link cycle": (hard_cycle, CorruptError, "same object"),
    "two names": (two_names, CorruptError, "same object"),
    "shape bomb": (declared, CorruptError, "0 stored"),
    "shape bomb in chunks": (declared_chunks, LimitError, "0 bytes that claim"),
    "gzip bomb": (deflated, LimitError, "claim to expand"),
    "deep groups": (deep, LimitError, "groups deep"),
    "text": (text, CorruptError, "UTF-8"),
    "filter": (unknown_filter, UnsupportedError, "filters"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_hdf5(case: str, tmp_path: Path) -> None:
    """Refused before anything is read; the error names file and object."""
    make, error, words = BAD[case]
    with h5py.File(tmp_path / "m.h5", "w") as file:
        make(file, tmp_path)
    with pytest.raises(error) as caught:
        open_hdf5(tmp_path / "m.h5")
    assert type(caught.value) is error
    assert "m.h5" in str(caught.value)
    assert words in str(caught.value)


def compound(file: Any) -> None:
    file["w"] = np.zeros(2, [("a", "f4"), ("b", "i4")])


def references(file: Any) -> None:
    file.create_dataset("w", (1,), h5py.ref_dtype)


def ragged(file: Any) -> None:
    file.create_dataset("w", (1,), h5py.vlen_dtype(np.float32))


def texts(file: Any) -> None:
    file["w"] = ["a", "b"]


def null_space(file: Any) -> None:
    file["w"] = h5py.Empty("f4")


def arrays(file: Any) -> None:
    file.create_dataset("w", (1,), np.dtype(("f4", (3,))))


@pytest.mark.parametrize("make", [compound, references, ragged, texts, null_space, arrays])
def test_what_holds_no_numbers_is_listed_but_not_read(make: Callable[[Any], None], tmp_path: Path) -> None:
    """Other datasets beside it still read."""
    with h5py.File(tmp_path / "m.h5", "w") as file:
        make(file)
        file["good"] = np.ones(2)
    read = open_hdf5(tmp_path / "m.h5")
    assert list(read) == ["good", "w"]
    assert read.read("good").tolist() == [1, 1]
    if read.info("w").dtype is None:
        with pytest.raises(UnsupportedError, match=r"m\.h5, dataset w"):
            read.read("w")


def small(path: Path) -> Path:
    """A small file of weights."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"a"]
        file["a/kernel"] = np.ones((2, 2), np.float32)
    return path


def test_truncated(tmp_path: Path) -> None:
    """A file that ends too early is told from one that is damaged."""
    path = small(tmp_path / "m.h5")
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(TruncatedError, match=r"m\.h5"):
        open_hdf5(path)


def test_library_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that computes for too long is stopped, by its limit or by the clock."""
    script = tmp_path / "hdf5_child.py"
    limit = "import resource\nresource.setrlimit(resource.RLIMIT_CPU, (1, 2))\n"
    monkeypatch.setattr(hdf5_process, "_CHILD", script)
    script.write_text(limit + "while True: pass")
    with pytest.raises(LimitError, match=r"m\.h5: the HDF5 library doesn't come to an end"):
        open_hdf5(small(tmp_path / "m.h5"))
    monkeypatch.setattr(hdf5_process, "_CPU_SECONDS", 0.2)
    script.write_text("import time\ntime.sleep(60)")
    with pytest.raises(LimitError, match=r"m\.h5: the HDF5 library doesn't come to an end"):
        open_hdf5(tmp_path / "m.h5")


@pytest.mark.parametrize("code", ["import os\nos.abort()", "raise SystemExit(3)", "print('half an answ')"])
def test_library_that_crashes(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that dies is an error of the file; this process goes on."""
    script = tmp_path / "hdf5_child.py"
    script.write_text(code)
    monkeypatch.setattr(hdf5_process, "_CHILD", script)
    with pytest.raises(CorruptError, match=r"m\.h5: the HDF5 library"):
        open_hdf5(small(tmp_path / "m.h5"))


@pytest.mark.parametrize("count", [25, pytest.param(150, marks=pytest.mark.slow)])
def test_mutations(count: int, tmp_path: Path) -> None:
    """Changed bytes give tensors or one of our errors, never another exception and never a hang.

    Where something is written: most of a small file is room that nothing reads.
    """
    rng = random.Random(7)
    path = small(tmp_path / "m.h5")
    good = path.read_bytes()
    written = [at for at in range(len(good)) if any(good[max(at - 3, 0) : at + 4])]
    for at in rng.sample(written, count):
        data = bytearray(good)
        data[at] ^= rng.randrange(1, 256)
        path.write_bytes(data)
        try:
            read = open_hdf5(path)
            for name in read:
                read.read(name)
        except (SourceError, UnsupportedError) as error:
            assert "m.h5" in str(error)
