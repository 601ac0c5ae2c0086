"""Compiled programs against plain loops in float64, and against the interpreter, over random geometry and graphs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from exporter.verify.compare import error, limit
from runtime.engine import Policy, Prepacked, Spec, Unresolvable, compile_program, context, packed, winograd
from runtime.engine.machine import AVX2, XEON, ZEN_4
from runtime.engine.selection import tiles_for
from runtime.engine.winograd import transforms
from runtime.kernels.window import window
from runtime.plan import Graph, Node
from tests.property.test_kernels import Case, single
from tests.unit.runtime import naive
from tests.unit.runtime.conflicts import conflicts
from tests.unit.runtime.executors import evaluate
from tests.unit.runtime.naive import EPS32, within

FAST = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


THREADS, MACHINE = 1, AVX2


@pytest.fixture(
    scope="module",
    autouse=True,
    params=[
        (1, 128, ZEN_4),
        (3, 128, AVX2),
        (2, 1, XEON._replace(small=400, depth=2, repeated=40, tiles=3, block=200)),
    ],
    ids=["alone", "three", "two"],
)
def sharing(request: pytest.FixtureRequest) -> Iterator[None]:
    """Everything is run by one thread, and shared by several, however small; Winograd by points and by tiles.

    Products are left whole, or cut until they are small, whatever the processor; long sums are made of parts.
    """
    global THREADS, MACHINE
    with pytest.MonkeyPatch.context() as patch:
        THREADS, many, MACHINE = request.param
        patch.setattr(context, "_LEAST", 1e-9)
        patch.setattr(winograd, "_MANY", many)
        patch.setattr(packed, "_LONG", 8)
        yield
    THREADS, MACHINE = 1, AVX2


def compiled(nodes: Sequence[Node], arrays: dict[str, Any], x: Any, outputs: Sequence[str], accuracy: str) -> list[Any]:
    """The outputs of a program, run three times: on x, on rubbish, on x again, which must give the same bits.

    Its threads mustn't touch what another one writes, which no run would show for certain.
    """
    graph = Graph(("x",), tuple(outputs), tuple(nodes))
    policy = Policy(accuracy, THREADS, {}, MACHINE)
    program = compile_program(graph, arrays, {"x": Spec(x.shape, x.dtype)}, Prepacked(), policy)
    assert conflicts(program) == []
    first = program.run([x])
    program.run([np.full_like(x, 1e3)])
    for expected, again in zip(first, program.run([x]), strict=True):
        np.testing.assert_array_equal(again, expected)
    return first


def one(op: str, arrays: dict[str, Any], x: Any, accuracy: str = "strict", **attributes: Any) -> Any:
    node = Node(op, "node", ("x", *arrays), ("y",), attributes)
    return compiled([node], arrays, x, ["y"], accuracy)[0]


@FAST
@given(st.data())
def test_convolution_is_the_loop(data: st.DataObject) -> None:
    """Whatever kernel is chosen: matrix products in blocks, depthwise contractions, Winograd of the strict kind."""
    case = Case(data)
    assume(case.has_output())
    x, b = single(case.x), single(case.random.standard_normal(case.outputs))
    w = single(case.weights(case.inputs // case.group, case.outputs))
    geometry = (case.strides, case.dilations, case.pads, case.group)
    found = one("Conv", {"w": w, "b": b}, x, group=case.group, **case.geometry)
    expected, magnitude = naive.conv(x, w, *geometry) + b, naive.conv(abs(x), abs(w), *geometry) + abs(b)
    assert within(found, expected, np.maximum(magnitude, magnitude.mean()), w[..., 0].size, 2)


@FAST
@given(st.data())
def test_depthwise_is_the_loop(data: st.DataObject) -> None:
    """Also with horizontal strides and several images."""
    case = Case(data, grouped=False)
    assume(case.has_output())
    x, w = single(case.x), single(case.weights(1, case.inputs))
    geometry = (case.strides, case.dilations, case.pads, case.inputs)
    found = one("Conv", {"w": w}, x, group=case.inputs, **case.geometry)
    assert within(found, naive.conv(x, w, *geometry), naive.conv(abs(x), abs(w), *geometry), w[..., 0].size)


@FAST
@given(st.data())
def test_pools_are_the_loop(data: st.DataObject) -> None:
    """MaxPool exactly, AveragePool with padding counted or not, also where a window lies in the padding alone."""
    case = Case(data, grouped=False)
    assume(case.has_output())
    case.pads = [min(p, (k - 1) * d) for p, k, d in zip(case.pads, case.kernel * 2, case.dilations * 2, strict=True)]
    assume(case.has_output())
    geometry = (case.kernel, case.strides, case.dilations, case.pads)
    assume(np.all(naive.pool(np.ones((1, *case.sizes, 1)), *geometry, "mean_all") > 0))
    x = single(case.x)
    found = one("MaxPool", {}, x, kernel_shape=case.kernel, **case.geometry)
    np.testing.assert_array_equal(found, naive.pool(x, *geometry, "max"))
    for include, kind in ((0, "mean"), (1, "mean_all")):
        found = one("AveragePool", {}, x, kernel_shape=case.kernel, count_include_pad=include, **case.geometry)
        magnitude = naive.pool(abs(x), *geometry, kind)
        assert within(found, naive.pool(x, *geometry, kind), magnitude, int(np.prod(case.kernel)))


TAPS = [(3, 3), (1, 3), (3, 1), (5, 5), (1, 7), (7, 1)]


@FAST
@given(
    st.sampled_from(TAPS),
    st.sampled_from(["standard", "strict", "fast"]),
    st.tuples(st.integers(7, 20), st.integers(7, 20)),
    st.tuples(*[st.integers(0, 3)] * 4),
    st.integers(1, 3),
    st.integers(0, 99),
)
def test_winograd_is_the_loop(
    taps: tuple[int, int], accuracy: str, sizes: tuple[int, int], pads: tuple[int, ...], batch: int, seed: int
) -> None:
    """With channels enough that tiles are chosen; each tile size keeps to its own error, and a left-out tap shows."""
    random = np.random.default_rng(seed)
    x, w = single(random.standard_normal((batch, *sizes, 64))), single(random.standard_normal((*taps, 64, 80)))
    tiles = tiles_for(window(sizes, taps, None, None, pads), batch, w.shape, accuracy, MACHINE)
    assume(tiles is not None)
    assert tiles is not None
    found = one("Conv", {"w": w}, x, accuracy, pads=list(pads))
    expected = naive.conv(x, w, [1, 1], [1, 1], pads)
    largest = np.abs(expected).max()
    tolerance = largest * EPS32 * (8 if max(tiles.sizes) == 2 and max(taps) == 3 else 200)
    assert np.abs(found - expected).max() <= tolerance
    w[0, 0, 0] = 0
    assert np.abs(one("Conv", {"w": w}, x, accuracy, pads=list(pads)) - expected).max() > tolerance


@pytest.mark.parametrize("m, r", [(2, 3), (4, 3), (6, 3), (2, 5), (4, 5), (2, 7), (4, 7), (3, 1)])
def test_transforms_make_a_filter(m: int, r: int) -> None:
    """A^T ((G g) * (B^T d)) is the correlation of d and g, in float64 to the last digits."""
    a, g, b = transforms(m, r)
    random = np.random.default_rng(0)
    d, kernel = random.standard_normal(m + r - 1), random.standard_normal(r)
    np.testing.assert_allclose(a @ ((g @ kernel) * (b @ d)), np.correlate(d, kernel), atol=1e-12)


class Growing:
    """A random graph of image operators over x[n, h, w, c], with values used by several nodes in different ways."""

    def __init__(self, data: st.DataObject) -> None:
        self.draw = data.draw
        self.random = np.random.default_rng(data.draw(st.integers(0, 1 << 32)))
        shape = tuple(data.draw(st.integers(low, high)) for low, high in ((1, 3), (4, 9), (4, 9), (1, 6)))
        self.x: Any = single(self.random.standard_normal(shape))
        self.nodes: list[Node] = []
        self.arrays: dict[str, Any] = {}
        self.shapes = {"x": shape}
        for _ in range(data.draw(st.integers(1, 10))):
            self._grow()
        made = [node.outputs[0] for node in self.nodes]
        self.outputs = sorted({made[-1], *data.draw(st.lists(st.sampled_from(["x", *made]), max_size=3))})

    def _weight(self, *shape: int) -> str:
        name = f"w{len(self.arrays)}"
        self.arrays[name] = single(self.random.standard_normal(shape) / np.sqrt(max(1, int(np.prod(shape[:-1])))))
        return name

    def _grow(self) -> None:
        source = self.draw(st.sampled_from(list(self.shapes)))
        shape = self.shapes[source]
        image = len(shape) == 4
        kinds = ["act", "add", "scale", "concat", "dense", "flatten", "swish"]
        kinds += ["conv", "conv", "pool", "depthwise", "mean"] if image else []
        getattr(self, f"_{self.draw(st.sampled_from(kinds))}")(source, shape)

    def _node(self, op: str, inputs: Sequence[str], shape: tuple[int, ...], **attributes: Any) -> str:
        name = f"v{len(self.nodes)}"
        self.nodes.append(Node(op, name, tuple(inputs), (name,), attributes))
        self.shapes[name] = shape
        return name

    def _act(self, x: str, shape: tuple[int, ...]) -> None:
        self._node(self.draw(st.sampled_from(["Relu", "Sigmoid", "Tanh", "LeakyRelu"])), [x], shape)

    def _swish(self, x: str, shape: tuple[int, ...]) -> None:
        gate = self._node("Sigmoid", [x], shape)
        self._node("Mul", self.draw(st.permutations([x, gate])), shape)

    def _add(self, x: str, shape: tuple[int, ...]) -> None:
        same = [name for name, other in self.shapes.items() if other == shape]
        op = self.draw(st.sampled_from(["Add", "Sub", "Mul"]))
        self._node(op, [x, self.draw(st.sampled_from(same))], shape)

    def _scale(self, x: str, shape: tuple[int, ...]) -> None:
        y = self._node("Mul", [x, self._weight(shape[-1])], shape)
        self._node("Add", [y, self._weight(shape[-1])], shape)

    def _concat(self, x: str, shape: tuple[int, ...]) -> None:
        names = [name for name, other in self.shapes.items() if other[:-1] == shape[:-1]]
        chosen = self.draw(st.lists(st.sampled_from(names), min_size=1, max_size=3))
        channels = sum(self.shapes[name][-1] for name in chosen)
        self._node("Concat", chosen, (*shape[:-1], channels), axis=-1)

    def _dense(self, x: str, shape: tuple[int, ...]) -> None:
        filters = self.draw(st.integers(1, 6))
        self._node("Dense", [x, self._weight(shape[-1], filters), self._weight(filters)], (*shape[:-1], filters))

    def _flatten(self, x: str, shape: tuple[int, ...]) -> None:
        flat = (shape[0], int(np.prod(shape[1:])))
        self.arrays[name := f"s{len(self.arrays)}"] = np.array(flat)
        self._node("Reshape", [x, name], flat)

    def _mean(self, x: str, shape: tuple[int, ...]) -> None:
        keep = self.draw(st.integers(0, 1))
        self.arrays["axes"] = np.array([2, 1])
        out = (shape[0], *([1, 1] if keep else []), shape[-1])
        self._node("ReduceMean", [x, "axes"], out, keepdims=keep)

    def _window(self, shape: tuple[int, ...]) -> tuple[list[int], list[int], list[int], tuple[int, ...]]:
        kernel = [self.draw(st.integers(1, min(3, size))) for size in shape[1:3]]
        strides = [self.draw(st.integers(1, 2)) for _ in kernel]
        pads = [self.draw(st.integers(0, k - 1)) for k in kernel * 2]
        return kernel, strides, pads, tuple(naive.out_sizes(shape[1:3], kernel, strides, [1, 1], pads))

    def _conv(self, x: str, shape: tuple[int, ...]) -> None:
        kernel, strides, pads, out = self._window(shape)
        filters = self.draw(st.integers(1, 6))
        inputs = [x, self._weight(*kernel, shape[-1], filters), self._weight(filters)]
        self._node("Conv", inputs, (shape[0], *out, filters), strides=strides, pads=pads)

    def _depthwise(self, x: str, shape: tuple[int, ...]) -> None:
        kernel, strides, pads, out = self._window(shape)
        w = self._weight(*kernel, 1, shape[-1])
        self._node("Conv", [x, w], (shape[0], *out, shape[-1]), strides=strides, pads=pads, group=shape[-1])

    def _pool(self, x: str, shape: tuple[int, ...]) -> None:
        kernel, strides, pads, out = self._window(shape)
        op = self.draw(st.sampled_from(["MaxPool", "AveragePool"]))
        self._node(op, [x], (shape[0], *out, shape[-1]), kernel_shape=kernel, strides=strides, pads=pads)


@settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(st.data())
def test_programs_compute_what_the_interpreter_does(data: st.DataObject) -> None:
    """However values share buffers, halos and concatenations: float32 noise apart, every output is the same."""
    graph = Growing(data)
    expected = evaluate(graph.nodes, {"x": graph.x, **graph.arrays}, graph.outputs)
    found = compiled(graph.nodes, graph.arrays, graph.x, graph.outputs, "strict")
    wide = {
        name: np.asarray(array, np.float64) if array.dtype.kind == "f" else array
        for name, array in graph.arrays.items()
    }
    truth = evaluate(graph.nodes, {"x": graph.x.astype(np.float64), **wide}, graph.outputs)
    for name, y in zip(graph.outputs, found, strict=True):
        noise = np.abs(expected[name] - truth[name]).max() + EPS32 * np.abs(truth[name]).max()
        assert y.dtype == np.float32
        assert np.abs(y - truth[name]).max() <= 8 * noise


@pytest.mark.parametrize(
    "nodes",
    [
        [
            Node("Relu", "relu", ("x",), ("a",)),
            Node("Concat", "inner", ("a",), ("b",), {"axis": -1}),
            Node("Concat", "outer", ("a", "b"), ("y",), {"axis": -1}),
        ],
        [
            Node("Relu", "relu", ("x",), ("a",)),
            Node("Concat", "both", ("x", "a"), ("b",), {"axis": -1}),
            Node("Conv", "depthwise", ("a", "w"), ("y",), {"group": 2, "pads": [0, 1, 1, 0]}),
            Node("Add", "sum", ("b", "b"), ("z",)),
        ],
        [
            Node("Relu", "relu", ("x",), ("a",)),
            Node("Reshape", "reshape", ("a", "shape"), ("b",)),
            Node("Concat", "outer", ("a", "b"), ("y",), {"axis": -1}),
        ],
    ],
)
def test_parts_of_concatenations_can_be_used_otherwise(nodes: list[Node]) -> None:
    """A value that lives in a concatenation may be in a second one, or feed a depthwise convolution."""
    random = np.random.default_rng(0)
    x, w = single(random.standard_normal((1, 4, 4, 2))), single(random.standard_normal((2, 2, 1, 2)))
    arrays = {"w": w, "shape": np.array([1, 4, 4, 2])}
    (expected,) = evaluate(nodes, {"x": x, **arrays}, ["y"]).values()
    np.testing.assert_allclose(compiled(nodes, arrays, x, ["y"], "strict")[0], expected, rtol=1e-6)


@pytest.mark.parametrize("accuracy", ["standard", "strict", "fast"])
def test_programs_work_in_float64(accuracy: str) -> None:
    """The same steps in double precision: 1e-12 of the largest output, Winograd's tiles included."""
    random = np.random.default_rng(0)
    x, w = random.standard_normal((2, 15, 15, 64)), random.standard_normal((3, 3, 64, 80))
    found = one("Conv", {"w": w}, x, accuracy, pads=[1, 1, 1, 1])
    expected = naive.conv(x, w, [1, 1], [1, 1], [1, 1, 1, 1])
    assert found.dtype == np.float64
    assert np.abs(found - expected).max() <= 1e-12 * np.abs(expected).max()


@pytest.mark.parametrize("op", ["Conv", "MaxPool", "AveragePool"])
def test_same_upper_is_resolved_ahead(op: str) -> None:
    """auto_pad SAME_UPPER is what the interpreter makes of it."""
    random = np.random.default_rng(0)
    x, w = single(random.standard_normal((1, 7, 10, 3))), single(random.standard_normal((3, 2, 3, 4)))
    weights = {"w": w} if op == "Conv" else {}
    attributes: dict[str, Any] = {"auto_pad": "SAME_UPPER", "strides": [2, 1]}
    if op != "Conv":
        attributes["kernel_shape"] = [3, 2]
    node = Node(op, "node", ("x", *weights), ("y",), attributes)
    (expected,) = evaluate([node], {"x": x, **weights}, ["y"]).values()
    np.testing.assert_allclose(one(op, weights, x, **attributes), expected, rtol=1e-5, atol=1e-6)


def test_the_model_of_costs_tells_large_from_small() -> None:
    """Winograd for many pixels and channels; direct products for few pixels, strides, dilations and single taps."""
    large, kernel = window((56, 56), (3, 3), None, None, [1, 1, 1, 1]), (3, 3, 64, 64)
    assert tiles_for(large, 1, kernel, "strict", AVX2) is not None
    assert tiles_for(window((2, 2), (3, 3), None, None, [1] * 4), 1, (3, 3, 512, 512), "strict", AVX2) is None
    for strides, dilations in ([2, 2], None), (None, [2, 2]):
        assert tiles_for(window((56, 56), (3, 3), strides, dilations, [1] * 4), 1, kernel, "fast", AVX2) is None
    assert tiles_for(window((56, 56), (1, 1), None, None, None), 1, (1, 1, 64, 64), "fast", AVX2) is None


def test_shapes_that_depend_on_numbers_are_left_to_the_interpreter() -> None:
    """NonZero, and a Reshape to a shape from the input, can't be laid out ahead."""
    x = np.array([[2, 3]], np.int64)
    for nodes in ([Node("NonZero", "n", ("x",), ("y",))], [Node("ConstantOfShape", "c", ("x",), ("y",))]):
        with pytest.raises(Unresolvable):
            compile_program(
                Graph(("x",), ("y",), tuple(nodes)), {}, {"x": Spec(x.shape, x.dtype)}, Prepacked(), Policy("strict")
            )


def test_shape_arithmetic_is_done_ahead() -> None:
    """A Reshape to a shape computed from the input's shape costs no step."""
    nodes = (
        Node("Shape", "s", ("x",), ("s",)),
        Node("Gather", "g", ("s", "zero"), ("n",)),
        Node("Concat", "c", ("n", "rest"), ("t",), {"axis": 0}),
        Node("Reshape", "r", ("x", "t"), ("y",)),
    )
    x = single(np.arange(24).reshape(2, 3, 4))
    arrays = {"zero": np.array([0]), "rest": np.array([-1])}
    graph = Graph(("x",), ("y",), nodes)
    program = compile_program(graph, arrays, {"x": Spec(x.shape, x.dtype)}, Prepacked(), Policy("strict"))
    np.testing.assert_array_equal(program.run([x])[0], x.reshape(2, 12))
    assert len(program.steps) == 0


@pytest.mark.parametrize(
    "taps, channels", [((3, 3), 64), ((3, 3), 128), ((3, 3), 256), ((5, 5), 128), ((1, 3), 256), ((7, 1), 256)]
)
def test_the_standard_accuracy_is_noise_to_verify(taps: tuple[int, int], channels: int) -> None:
    """Even where one layer is all there is; a left-out tap of one channel is not."""
    random = np.random.default_rng(0)
    x = single(np.maximum(random.standard_normal((1, 22, 22, channels)), 0))
    w = single(random.standard_normal((*taps, channels, 128)) / np.sqrt(channels * taps[0] * taps[1]))
    node = Node("Conv", "node", ("x", "w"), ("y",))
    (truth,) = evaluate([node], {"x": x.astype(np.float64), "w": w.astype(np.float64)}, ["y"]).values()
    (plain,) = evaluate([node], {"x": x, "w": w}, ["y"]).values()
    assert error(one("Conv", {"w": w}, x, "standard"), truth) <= limit(error(plain, truth), np.float32)
    w[0, 0, 0] = 0
    assert error(one("Conv", {"w": w}, x, "standard"), truth) > limit(error(plain, truth), np.float32)


@FAST
@given(
    st.lists(st.integers(1, 3), max_size=4),
    st.lists(st.sampled_from(["Add", "Mul", "Sub", "Relu", "Sigmoid", "Tanh"]), min_size=1, max_size=5),
    st.integers(0, 2**32 - 1),
)
def test_sums_and_activations_of_any_rank(shape: list[int], ops: list[str], seed: int) -> None:
    """Of values that are computed, known, and one number per channel: what the interpreter makes of them."""
    random = np.random.default_rng(seed)
    x = single(random.standard_normal(shape))
    arrays: dict[str, Any] = {
        "c": single(random.standard_normal(shape[-1:])),
        "k": single(random.standard_normal(shape)),
    }
    nodes = [Node("Tanh", "other", ("x",), ("z",))]
    last = "x"
    for number, op in enumerate(ops):
        others = [str(random.choice(["x", "z", "c", "k"]))] if op in ("Add", "Mul", "Sub") else []
        names = [last, *others][:: int(random.choice([1, -1]))]
        nodes.append(Node(op, f"{op} {number}", tuple(names), (f"v{number}",)))
        last = f"v{number}"
    (expected,) = evaluate(nodes, {"x": x, **arrays}, [last]).values()
    (found,) = compiled(nodes, arrays, x, [last], "strict")
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("other", "axis"), [((2, 4, 1), -1), ((2, 3), -1), ((2, 3, 4), 3), ((2, 3, 4), -4), ((), 0)])
def test_what_cannot_be_joined_is_not_compiled(other: tuple[int, ...], axis: int) -> None:
    """Other sizes, ranks, or an axis that isn't there; the interpreter says what is wrong."""
    node = Node("Concat", "c", ("x", "z"), ("y",), {"axis": axis})
    graph = Graph(("x", "z"), ("y",), (node,))
    specs = {"x": Spec((2, 3, 4), np.dtype(np.float32)), "z": Spec(other, np.dtype(np.float32))}
    with pytest.raises((ValueError, IndexError)):
        compile_program(graph, {}, specs, Prepacked(), Policy("strict"))
