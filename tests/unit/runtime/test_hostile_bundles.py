"""Every way in which an .npz can lie is refused before it can do harm."""

from __future__ import annotations

import io
import json
import os
import pickle
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import runtime
from runtime.npy import header
from tests.unit.runtime.make_bundle import BIAS, WEIGHT, document, entry, members, node, npy, pack

Parts = dict[str, bytes]
X = np.array([[1.0, -2.0, 0.5, 3.0]], np.float32)
Y = np.maximum(X @ WEIGHT + BIAS, 0)
GOOD = pack(members())


@pytest.fixture
def load(tmp_path: Path) -> Callable[[bytes], runtime.Net]:
    """Loads a bundle from bytes."""

    def from_bytes(content: bytes) -> runtime.Net:
        path = tmp_path / "model.npz"
        path.write_bytes(content)
        return runtime.load(path)

    return from_bytes


Load = Callable[[bytes], runtime.Net]


def test_the_good_one_runs(load: Load) -> None:
    """The bundle that all others are made of is right, and plain NumPy reads it."""
    np.testing.assert_array_equal(load(GOOD)(X), Y)
    with np.load(io.BytesIO(GOOD)) as plain:
        np.testing.assert_array_equal(plain["w"], WEIGHT)


def flip(parts: Parts, name: str, at: int) -> Parts:
    content = bytearray(parts[name])
    content[at] ^= 0x80
    return {**parts, name: bytes(content)}


def raw_npy(descr: object, shape: object, data: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    text = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape!r}, }}".ljust(117).encode() + b"\n"
    return b"\x93NUMPY" + version + len(text).to_bytes(2, "little") + text + data


class Evil:
    """Pickles to code that makes a directory called `pwned`."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("pwned",)


def _object_array() -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, np.array([Evil()], object), allow_pickle=True)
    return file.getvalue()


MEMBERS: dict[str, tuple[Callable[[Parts], Parts], str]] = {
    "flipped weight": (lambda p: flip(p, "w.npy", -1), "damaged"),
    "flipped header": (lambda p: flip(p, "w.npy", 30), "header"),
    "flipped plan": (lambda p: flip(p, "__plan__.npy", -5), "JSON|UTF-8|plan"),
    "trailing bytes": (lambda p: {**p, "w.npy": p["w.npy"] + b"\0" * 20000}, "bytes"),
    "trailing bytes over a flip": (
        lambda p: {**flip(p, "w.npy", -1), "w.npy": flip(p, "w.npy", -1)["w.npy"] + bytes(99)},
        "bytes",
    ),
    "short data": (lambda p: {**p, "w.npy": p["w.npy"][:-4]}, "bytes"),
    "no data": (lambda p: {**p, "w.npy": b""}, "bytes"),
    "missing member": (lambda p: {k: v for k, v in p.items() if k != "w.npy"}, "not in the file"),
    "member too many": (lambda p: {"more.npy": npy(BIAS), **p}, "not in the plan"),
    "path that climbs": (lambda p: {"../../evil.npy": npy(BIAS), **p}, "not in the plan"),
    "member that is no array": (lambda p: {"code.py": b"import os", **p}, "not an array"),
    "no plan": (lambda p: {k: v for k, v in p.items() if k != "__plan__.npy"}, "no member __plan__"),
    "pickled object": (lambda p: {**p, "w.npy": _object_array()}, "bytes"),
    "plain pickle": (lambda p: {**p, "w.npy": pickle.dumps(Evil()).ljust(len(p["w.npy"]), b"\0")}, "header"),
    "structured type": (lambda p: {**p, "w.npy": raw_npy([("a", "<f4")], (4, 3), WEIGHT.tobytes())}, "header"),
    "code in the header": (
        lambda p: {**p, "w.npy": raw_npy("__import__('os').mkdir('pwned')", (4, 3), WEIGHT.tobytes())},
        "header",
    ),
    "huge shape in the header": (lambda p: {**p, "w.npy": raw_npy("<f4", (1 << 40,), WEIGHT.tobytes())}, "header"),
    "negative size in the header": (lambda p: {**p, "w.npy": raw_npy("<f4", (-4, 3), WEIGHT.tobytes())}, "header"),
    "other version": (lambda p: {**p, "w.npy": raw_npy("<f4", (4, 3), WEIGHT.tobytes(), b"\x03\x00")}, "header"),
    "Fortran order": (lambda p: {**p, "w.npy": p["w.npy"].replace(b"False", b"True ")}, "header"),
    "big endian": (lambda p: {**p, "w.npy": p["w.npy"].replace(b"<f4", b">f4")}, "header"),
    "plan that is no byte array": (lambda p: {**p, "__plan__.npy": npy(BIAS)}, "array of bytes"),
    "plan that is no array": (lambda p: {**p, "__plan__.npy": b"{}"}, "array of bytes"),
}


@pytest.mark.parametrize("name", MEMBERS)
def test_altered_members_are_refused(load: Load, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A member that isn't what the plan says is an error that says so; nothing in it runs."""
    monkeypatch.chdir(tmp_path)
    alter, message = MEMBERS[name]
    with pytest.raises(runtime.BundleError, match=message):
        load(pack(alter(members())))
    assert not (tmp_path / "pwned").exists()


def chain(depth: int) -> dict[str, Any]:
    """Ifs in the then-branches of Ifs."""
    empty: dict[str, Any] = {"inputs": [], "outputs": ["b"], "nodes": []}
    graph = empty
    for level in range(depth):
        inner = node("If", ["b"], [f"v{level}"], then_branch={"graph": graph}, else_branch={"graph": empty})
        graph = {"inputs": [], "outputs": [f"v{level}"], "nodes": [inner]}
    return node("If", ["b"], ["y"], then_branch={"graph": graph}, else_branch={"graph": empty})


def arrays(**changes: Any) -> dict[str, Any]:
    return {"arrays": {"w": {**entry(WEIGHT), **changes}, "b": entry(BIAS)}}


PLANS: dict[str, tuple[Any, str]] = {
    "no JSON": (b"{", "JSON"),
    "not UTF-8": (b'{"a": "\xff"}', "JSON"),
    "a list": (b"[]", "expected an object"),
    "deep": (b"[" * 100000, "JSON"),
    "NaN": (b'{"version": NaN}', "NaN"),
    "key twice": (b'{"version": 1, "version": 1}', "twice"),
    "other format": (document(format="numpy"), "format is 'numpy'"),
    "next version": (document(version=4), "version is 4"),
    "float32 that is widened": (document(version=3, **arrays(widened="float32")), "widened to 'float32'"),
    "widened to another type": (document(version=3, **arrays(dtype="float16", widened="float64")), "'float64'"),
    "widened to nonsense": (document(version=3, **arrays(dtype="float16", widened=[1])), "widened"),
    "fewer bytes than it says": (document(version=3, **arrays(dtype="float16", widened="float32")), "bytes"),
    "strings of version 1": (document(inputs=[{"name": "x", "dtype": "string", "shape": []}]), "element type 'string'"),
    "strings of no width": (document(version=2, **arrays(dtype="string")), "width"),
    "strings of width 0": (document(version=2, **arrays(dtype="string", width=0)), "width"),
    "strings of another width": (document(version=2, **arrays(dtype="string", width=5)), "bytes"),
    "numbers as strings": (document(version=2, **arrays(dtype="string", width=4)), "header"),
    "version as text": (document(version="1"), "version is '1'"),
    "no inputs": (document(inputs=None), "inputs"),
    "input twice": (document(inputs=document()["inputs"] * 2), "same name"),
    "bad size": (document(inputs=[{"name": "x", "dtype": "float32", "shape": [-1, 4]}]), "-1"),
    "size that is a bool": (document(inputs=[{"name": "x", "dtype": "float32", "shape": [True, 4]}]), "True"),
    "object input": (document(inputs=[{"name": "x", "dtype": "object", "shape": []}]), "element type 'object'"),
    "huge shape": (document(**arrays(shape=[1 << 40, 1 << 40])), "shape"),
    "large shape": (document(**arrays(shape=[1 << 40, 3])), "bytes"),
    "rank 33": (document(**arrays(shape=[1] * 33)), "shape"),
    "negative shape": (document(**arrays(shape=[-4, -3])), "shape"),
    "object dtype": (document(**arrays(dtype="object")), "element type"),
    "structured dtype": (document(**arrays(dtype=[["a", "<f4"]])), "element type"),
    "other dtype": (document(**arrays(dtype="int32")), "header"),
    "other shape": (document(**arrays(shape=[3, 4])), "header"),
    "other checksum": (document(**arrays(crc32=1)), "damaged"),
    "no checksum": (document(**arrays(crc32=None)), "crc32"),
    "unescaped name": (document(arrays={"../w": entry(WEIGHT)}), "escaped"),
    "unknown operator": (document(nodes=[node("Eval", ["x"], ["y"])]), "'Eval'"),
    "operator that is a method": (document(nodes=[node("__class__", ["x"], ["y"])]), "__class__"),
    "unknown attribute": (document(nodes=[node("Relu", ["x"], ["y"], code="import os")]), "code"),
    "missing attribute": (document(nodes=[node("Concat", ["x"], ["y"])]), "axis"),
    "too many inputs": (document(nodes=[node("Relu", ["x", "w"], ["y"])]), "takes 1"),
    "too few inputs": (document(nodes=[node("Dense", ["x"], ["y"])]), "needs 2"),
    "left-out input": (document(nodes=[node("Dense", ["", "w"], ["y"])]), "needs 2"),
    "undefined value": (document(nodes=[node("Relu", ["q"], ["y"])]), "'q'"),
    "cycle": (document(nodes=[node("Add", ["x", "y"], ["y"])]), "'y'"),
    "value made twice": (document(nodes=[node("Relu", ["x"], ["y"])] * 2), "there already"),
    "weight made again": (document(nodes=[node("Relu", ["x"], ["w"])]), "there already"),
    "output that nothing makes": (document(nodes=[]), "output 'y'"),
    "name that is a number": (document(nodes=[{**node("Relu", ["x"], ["y"]), "name": 1}]), "not a string"),
    "inputs that are a string": (document(nodes=[{**node("Relu", [], ["y"]), "inputs": "x"}]), "expected a list"),
    "attribute that is an object": (document(nodes=[node("Elu", ["x"], ["y"], alpha={"a": 1})]), "attribute"),
    "attribute of a missing array": (document(nodes=[node("Constant", [], ["y"], value={"array": "q"})]), "attribute"),
    "deep graphs": (document(nodes=[chain(40)]), "deep"),
    "probe of a missing array": (document(probes=[{"inputs": {"x": "q"}, "outputs": {}, "tolerances": {}}]), "'q'"),
    "probe without tolerance": (
        document(probes=[{"inputs": {}, "outputs": {"y": "w"}, "tolerances": {}}]),
        "tolerance",
    ),
    "tolerance that is a text": (
        document(probes=[{"inputs": {}, "outputs": {"y": "w"}, "tolerances": {"y": "1"}}]),
        "tolerance",
    ),
}


@pytest.mark.parametrize("name", PLANS)
def test_bad_plans_are_refused(load: Load, name: str) -> None:
    """A plan that contradicts itself or asks for what isn't there is an error that names it."""
    plan, message = PLANS[name]
    with pytest.raises(runtime.BundleError, match=message):
        load(pack(members(plan)))


def test_unknown_operators_have_their_own_error(load: Load) -> None:
    """So that a newer runtime can be suggested; its exit status is 4."""
    with pytest.raises(runtime.UnknownOpError) as caught:
        load(pack(members(document(nodes=[node("Eval", ["x"], ["y"])]))))
    assert caught.value.exit_code == 4


def test_duplicate_members_are_refused(load: Load) -> None:
    """NumPy would silently take the last."""
    parts = [*members().items(), ("w.npy", npy(WEIGHT * 2))]
    with pytest.raises(runtime.BundleError, match="twice"):
        load(pack(parts))


def test_compressed_members_are_refused(load: Load) -> None:
    """A deflate bomb can't expand: nothing compressed is read."""
    bomb = header("uint8", [1 << 24]) + bytes(1 << 24)
    for parts in (members(), {"bomb.npy": bomb, **members()}):
        with pytest.raises(runtime.BundleError, match="compressed"):
            load(pack(parts, zipfile.ZIP_DEFLATED))


def test_local_names_must_agree(load: Load) -> None:
    """The name in a member's own header is the directory's."""
    altered = GOOD.replace(b"w.npy", b"v.npy", 1)
    with pytest.raises(runtime.BundleError, match="another name"):
        load(altered)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """Missing files, directories, pipes and other formats are said to be so, without hanging."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "text").write_text("hello")
    (tmp_path / "empty").touch()
    for name, message in (
        ("none", "no such file"),
        (".", "regular"),
        ("pipe", "regular"),
        ("text", "zip"),
        ("empty", "zip"),
    ):
        with pytest.raises(runtime.BundleError, match=message):
            runtime.load(tmp_path / name)


def test_claims_do_not_allocate(load: Load) -> None:
    """A plan and header that claim 4 GiB in a small file cost next to no memory."""
    shape = [1 << 30]
    huge = header("float32", shape) + b"\0" * 24
    plan = document(arrays={"w": {"dtype": "float32", "shape": shape, "crc32": 0}})
    parts = {**members(plan, w=WEIGHT), "w.npy": huge}
    tracemalloc.start()
    with pytest.raises(runtime.BundleError):
        load(pack(parts))
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


ANY_BYTE = settings(
    max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@ANY_BYTE
@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_any_changed_byte_is_refused_or_harmless(load: Load, at: int, by: int) -> None:
    """Whatever byte changes, the bundle is refused or computes the same; no other error, ever."""
    altered = bytearray(GOOD)
    altered[at] ^= by
    try:
        net = load(bytes(altered))
    except runtime.BundleError:
        return
    np.testing.assert_array_equal(net(X), Y)


@ANY_BYTE
@given(st.integers(0, len(GOOD) - 1))
def test_any_cut_is_refused(load: Load, at: int) -> None:
    """A file that ends early is refused wherever it ends."""
    with pytest.raises(runtime.BundleError):
        load(GOOD[:at])


@ANY_BYTE
@given(st.data())
def test_any_altered_plan_is_refused_or_runs(load: Load, data: st.DataObject) -> None:
    """A plan with parts replaced by anything raises errors of this package alone."""
    plan = json.loads(json.dumps({**document(), "arrays": {"w": entry(WEIGHT), "b": entry(BIAS)}}))
    holder, key = data.draw(st.sampled_from(list(_places(plan))))
    holder[key] = data.draw(JSON)
    try:
        load(pack(members(plan))).run({"x": X})
    except runtime.NetError:
        return


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 5)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", "x", "w", "y", "Conv", "Reshape", "float32"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["op", "array", "graph", "axis"]), inner, max_size=2)
    ),
    max_leaves=4,
)


def _places(value: Any) -> Any:
    """Every (container, key) in a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(items):
        yield value, key
        yield from _places(inner)


@pytest.mark.parametrize("version", [1, 3])
def test_widened_arrays(version: int, load: Load) -> None:
    """Nodes read float16 as float32 where version 3 says so; in version 1 that word means nothing."""
    half = {"w": WEIGHT.astype(np.float16), "b": BIAS}
    entries = {"w": {**entry(half["w"]), "widened": "float32"}, "b": entry(BIAS)}
    net = load(pack(members(document(version=version, arrays=entries), **half)))
    assert net.arrays["w"].dtype == (np.float32 if version == 3 else np.float16)
    np.testing.assert_array_equal(net(X), Y)


@pytest.mark.parametrize("plain", [False, True], ids=["engine", "plain"])
@pytest.mark.parametrize(
    ("op", "x", "expected"),
    [
        ("ReduceMean", np.zeros((0, 4), np.float32), np.full((1, 1), np.nan, np.float32)),
        ("LayerNormalization", np.zeros((2, 0), np.float32), np.zeros((2, 0), np.float32)),
        ("Add", np.full(1, 6e4, np.float16), np.full(1, np.inf, np.float16)),
    ],
)
def test_numbers_that_are_none_are_no_warning(op: str, x: Any, expected: Any, *, plain: bool) -> None:
    """Means over nothing, and sums that half precision can't hold; a warning would be an error here."""
    names = {"ReduceMean": ["x"], "LayerNormalization": ["x", "s"], "Add": ["x", "x"]}[op]
    plan = document(
        inputs=[{"name": "x", "dtype": x.dtype.name, "shape": list(x.shape)}],
        outputs=[{"name": "y", "dtype": x.dtype.name, "shape": None}],
        nodes=[node(op, names, ["y"])],
    )
    found = runtime.load(pack(members(plan, s=np.ones(0, np.float32))), plain=plain)(x)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("shape", [[], [4], [3, 4]])
def test_a_determinant_of_no_square_matrix_is_refused(shape: list[int]) -> None:
    """In the words of this package; NumPy before 1.24 has an exception of its own for it."""
    plan = document(
        inputs=[{"name": "x", "dtype": "float32", "shape": shape}],
        outputs=[{"name": "y", "dtype": "float32", "shape": None}],
        nodes=[node("Det", ["x"], ["y"])],
    )
    with pytest.raises(runtime.RunError, match="no square matrices"):
        runtime.load(pack(members(plan)))(np.zeros(shape, np.float32))
