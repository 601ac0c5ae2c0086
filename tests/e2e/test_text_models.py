"""Models that take or give strings: SavedModels with tables, exported without options, in every engine."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest

import exporter
import runtime
from exporter.errors import MissingError, UnsupportedError
from tests.unit.lower.oracle import tensorflow

Array = npt.NDArray[Any]
Feeds = Mapping[str, Array]


def texts(*items: object) -> Array:
    """Strings as Python has them."""
    return np.array(items, object)


def outputs_of(path: Path, feeds: Feeds) -> dict[str, dict[str, Array]]:
    """The outputs of an exported model, in each engine."""
    onnx.checker.check_model(onnx.load(path), full_check=True)
    found = {}
    for level in ("ORT_DISABLE_ALL", "ORT_ENABLE_ALL"):
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        found[level] = dict(zip(names, session.run(names, dict(feeds)), strict=True))
    for plain in (False, True):
        found[f"plain={plain}"] = runtime.load(path.with_suffix(".npz"), plain=plain).run(feeds)
    return found


def decoded(array: Array) -> Array:
    """TensorFlow's bytes as `str`."""
    return np.array([item.decode() for item in array.reshape(-1)], object).reshape(array.shape)


def agrees(found: Array, expected: Array) -> bool:
    """The same type and shape; the same strings and integers, floats up to rounding."""
    expected = decoded(expected) if expected.dtype.kind in "OS" else expected
    if found.dtype != expected.dtype or found.shape != expected.shape:
        return False
    if expected.dtype.kind != "f":
        return bool(np.array_equal(found, expected))
    return bool(np.allclose(found, expected, rtol=1e-5, atol=1e-6, equal_nan=True))


def check(model: Path, to: Path, feeds: Feeds) -> None:
    """Exports a SavedModel and compares each output, in each engine, with TensorFlow's."""
    tf = tensorflow()
    signature = tf.saved_model.load(str(model)).signatures["serving_default"]
    expected = {
        key: np.asarray(value.numpy())
        for key, value in signature(**{k: tf.constant(v) for k, v in feeds.items()}).items()
    }
    report = exporter.export(model, to)
    assert {spec.name for spec in report.inputs} == feeds.keys()
    for engine, outputs in outputs_of(to, feeds).items():
        assert outputs.keys() == expected.keys()
        for name, array in outputs.items():
            assert agrees(array, expected[name]), f"{name} in {engine}: {array} for {expected[name]}"


def saved(folder: Path, build: Callable[..., dict[str, Any]], *specs: Any, **tables: Any) -> Path:
    """A SavedModel of a function, with the tables that it uses."""
    tf = tensorflow()
    module = tf.Module()
    for name, table in tables.items():
        setattr(module, name, table)
    module.serve = tf.function(build, input_signature=specs)
    tf.saved_model.save(module, str(folder), signatures=module.serve)
    return folder


def static_table(keys: Any, values: Any, default: Any) -> Any:
    tf = tensorflow()
    return tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, values), default)


def word(shape: list[int | None] | None = None) -> Any:
    tf = tensorflow()
    return tf.TensorSpec([None, 2] if shape is None else shape, tf.string, name="word")


WORDS = texts(["red", "Blue"], ["zz", ""], ["GRÜN", "red"])


def tables_of_all_types(folder: Path) -> Path:
    """One table for each pair of types, one after the other."""
    tf = tensorflow()
    ids = static_table(["red", "blue", "GRÜN", "", "dupe"], tf.constant([4, 5, 2**40, 7, 1], tf.int64), -1)
    small = static_table(["red", "zz"], tf.constant([4, 5], tf.int32), -1)
    names = static_table(tf.constant([4, 7], tf.int64), ["four", "süß"], "?")
    other = static_table(["red", "Blue"], ["rot", "blau"], "-")
    weights = static_table(["red", ""], tf.constant([0.1, -3e38]), 0.5)
    wide = static_table(["red", ""], tf.constant([0.1, 2.5], tf.float64), -0.0)
    flags = static_table(["red", ""], [True, True], False)
    after = static_table(tf.constant([4, 7], tf.int64), tf.constant([1, 2], tf.int64), 9)

    def serve(word: Any) -> dict[str, Any]:
        found = ids.lookup(word)
        return {
            "ids": found,
            "small": small.lookup(word),
            "names": names.lookup(found),
            "other": other.lookup(word),
            "weights": weights.lookup(word),
            "wide": wide.lookup(word),
            "flags": flags.lookup(word),
            "after": after.lookup(found),
            "size": ids.size(),
        }

    tables = {f"t{i}": t for i, t in enumerate((ids, small, names, other, weights, wide, flags, after))}
    return saved(folder, serve, word(), **tables)


def test_tables_of_all_types(tmp_path: Path) -> None:
    """A table gives what TensorFlow's gives, whatever it is from and to, for keys in it and not."""
    model = tables_of_all_types(tmp_path / "model")
    check(model, tmp_path / "model.onnx", {"word": WORDS})


def test_a_changed_vocabulary_is_noticed(tmp_path: Path) -> None:
    """The comparison of strings and numbers fails where a table holds something else."""
    one = saved(
        tmp_path / "one", lambda word: {"y": red.lookup(word)}, word(), t=(red := static_table(["red"], ["a"], ""))
    )
    exporter.export(one, tmp_path / "one.onnx")
    for outputs in outputs_of(tmp_path / "one.onnx", {"word": WORDS}).values():
        assert agrees(outputs["y"], np.array([[b"a", b""], [b"", b""], [b"", b"a"]], object))
        assert not agrees(outputs["y"], np.array([[b"b", b""], [b"", b""], [b"", b"a"]], object))
        assert not agrees(outputs["y"], np.array([b"a", b""], object))


def vocabulary_model(folder: Path, lines: str) -> Path:
    tf = tensorflow()
    file = folder.with_suffix(".txt")
    file.write_bytes(lines.encode())
    whole, number = tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex.LINE_NUMBER
    ids = tf.lookup.StaticVocabularyTable(
        tf.lookup.TextFileInitializer(str(file), tf.string, whole, tf.int64, number), 1
    )
    back = tf.lookup.StaticHashTable(
        tf.lookup.TextFileInitializer(str(file), tf.int64, number, tf.string, whole), "UNK"
    )
    specs = (word(),)
    model = saved(
        folder, lambda word: {"ids": ids.lookup(word), "back": back.lookup(ids.lookup(word))}, *specs, a=ids, b=back
    )
    file.unlink()
    return model


@pytest.mark.parametrize("lines", ["red\nBlue\nGRÜN\n", "red\r\nx y\r\nBlue", "x\ty\nred\n"])
def test_a_vocabulary_in_the_assets(tmp_path: Path, lines: str) -> None:
    """A vocabulary is read from the SavedModel's assets, wherever it once was, with any ends of lines."""
    check(vocabulary_model(tmp_path / "model", lines), tmp_path / "model.onnx", {"word": WORDS})


def test_a_vocabulary_that_is_gone(tmp_path: Path) -> None:
    """A missing vocabulary is an error that says which file belongs where, and putting it there mends it."""
    model = vocabulary_model(tmp_path / "model", "red\n")
    asset = next((model / "assets").iterdir())
    content = asset.read_bytes()
    asset.unlink()
    with pytest.raises(MissingError, match=r"model\.txt"):
        exporter.export(model, tmp_path / "model.onnx")
    asset.write_bytes(content)
    exporter.export(model, tmp_path / "model.onnx")


def test_columns_of_a_text_file(tmp_path: Path) -> None:
    """Keys and values may be fields of a line, numbers among them."""
    tf = tensorflow()
    file = tmp_path / "table.csv"
    file.write_text("0.5|red|7\n-2e3|Blue|8\n")
    init = tf.lookup.TextFileInitializer(str(file), tf.string, 1, tf.int64, 2, delimiter="|")
    ids = tf.lookup.StaticHashTable(init, -1)
    scores = tf.lookup.StaticHashTable(
        tf.lookup.TextFileInitializer(str(file), tf.string, 1, tf.float32, 0, delimiter="|"), 0.25
    )
    model = saved(
        tmp_path / "model",
        lambda word: {"ids": ids.lookup(word), "scores": scores.lookup(word)},
        word(),
        a=ids,
        b=scores,
    )
    check(model, tmp_path / "model.onnx", {"word": WORDS})


def test_a_mutable_table(tmp_path: Path) -> None:
    """What a mutable table held when it was saved is in the checkpoint; an int32 key and rows as values go as well."""
    tf = tensorflow()
    table = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -5)
    table.insert(tf.constant(["red", "Blue"]), tf.constant([3, 4], tf.int64))
    rows = tf.lookup.experimental.MutableHashTable(tf.int64, tf.float32, [0.0, -1.0])
    rows.insert(tf.constant([3, 4], tf.int64), tf.constant([[1.0, 2.0], [3.0, 4.0]]))

    def serve(word: Any) -> dict[str, Any]:
        return {"ids": table.lookup(word), "rows": rows.lookup(table.lookup(word))}

    model = saved(tmp_path / "model", serve, word(), a=table, b=rows)
    check(model, tmp_path / "model.onnx", {"word": WORDS})


def test_what_is_done_with_strings(tmp_path: Path) -> None:
    """Strings change their case, are compared, chosen, moved about, and read as numbers and written from them."""
    tf = tensorflow()

    def serve(word: Any, number: Any) -> dict[str, Any]:
        lower = tf.strings.lower(word)
        count = tf.shape(word, out_type=tf.int64)[0]
        return {
            "lower": lower,
            "upper": tf.strings.upper(word),
            "equal": tf.equal(lower, "red"),
            "different": tf.not_equal("", word),
            "chosen": tf.where(tf.equal(word, ""), "none", word),
            "joined": tf.concat([word, tf.reverse(lower, [1])], axis=1),
            "tiled": tf.tile(word[:, :1], [1, 3]),
            "picked": tf.gather(tf.squeeze(word[:1], 0), [1, 0, 1]),
            "reshaped": tf.expand_dims(tf.reshape(word, [-1]), 1),
            "written": tf.strings.as_string(count),
            "truth": tf.strings.as_string(tf.equal(word, "")),
            "float": tf.strings.to_number(number),
            "double": tf.strings.to_number(number, tf.float64),
            "both": tf.stack([word[:, 0], tf.broadcast_to("x", [count])], 1),
        }

    model = saved(tmp_path / "model", serve, word(), tf.TensorSpec([None, 2], tf.string, name="number"))
    numbers = texts(["1.5", "-2e-3"], ["inf", "0.1"], ["16777217", "-0"])
    check(model, tmp_path / "model.onnx", {"word": WORDS, "number": numbers})
    check(model, tmp_path / "model.onnx", {"word": WORDS[:1], "number": texts(["nan", "1e-40"])})


def test_no_examples(tmp_path: Path) -> None:
    """A batch of no strings is one too."""
    tf = tensorflow()
    table = static_table(["red"], tf.constant([1], tf.int64), 0)
    model = saved(tmp_path / "model", lambda word: {"y": table.lookup(tf.strings.lower(word))}, word([None]), t=table)
    check(model, tmp_path / "model.onnx", {"word": texts()})


@pytest.mark.parametrize(
    ("build", "op"),
    [
        (lambda tf, word: tf.strings.to_hash_bucket_fast(word, 10), "StringToHashBucketFast"),
        (lambda tf, word: tf.strings.length(word), "StringLength"),
        (lambda tf, word: tf.strings.strip(word), "StringStrip"),
        (lambda tf, word: tf.strings.substr(word, 0, 1), "Substr"),
        (lambda tf, word: tf.strings.regex_replace(word, "a", "b"), "StaticRegexReplace"),
        (lambda tf, word: tf.strings.lower(word, encoding="utf-8"), "StringLower"),
        (lambda tf, word: tf.strings.as_string(tf.strings.to_number(word)), "AsString"),
    ],
)
def test_what_onnx_cannot_do_is_refused_by_name(tmp_path: Path, build: Callable[..., Any], op: str) -> None:
    """An op on strings that ONNX hasn't got is named, with the reason, and nothing is written."""
    tf = tensorflow()
    model = saved(tmp_path / "model", lambda word: {"y": build(tf, word)}, word())
    with pytest.raises(UnsupportedError, match=rf"1 {op} \(.*\): .+"):
        exporter.export(model, tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


def test_an_empty_mutable_table_is_refused(tmp_path: Path) -> None:
    """A table in a TF1 graph that only training fills is no empty table."""
    tf = tensorflow()
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        x = tf.compat.v1.placeholder(tf.string, [None], name="x")
        table = tf.raw_ops.MutableHashTableV2(key_dtype=tf.string, value_dtype=tf.int64)
        tf.raw_ops.LookupTableFindV2(table_handle=table, keys=x, default_value=tf.constant(-1, tf.int64), name="y")
        (tmp_path / "graph.pb").write_bytes(session.graph_def.SerializeToString())
    with pytest.raises(UnsupportedError, match="nothing in the file says what the table holds"):
        exporter.export(tmp_path / "graph.pb", tmp_path / "model.onnx")


def test_keras_lookups(tmp_path: Path) -> None:
    """Keras's lookups of strings and integers, given or learned vocabularies, with their embeddings and encodings."""
    tensorflow()
    import keras

    word = keras.Input((2,), dtype="string", name="word")
    age = keras.Input((1,), dtype="int64", name="age")
    learned = keras.layers.StringLookup(mask_token="")
    learned.adapt(np.array(["red", "red", "Blue"]))
    given = keras.layers.StringLookup(vocabulary=["red", "zz"])
    numbers = keras.layers.IntegerLookup(vocabulary=[3, 30])
    back = keras.layers.StringLookup(vocabulary=["red", "Blue"], invert=True)
    embedded = keras.layers.Flatten()(keras.layers.Embedding(6, 3)(learned(word)))
    encoded = keras.layers.Flatten()(keras.layers.Embedding(3, 2)(given(word)))
    joined = keras.layers.Concatenate()(
        [embedded, encoded, keras.layers.Flatten()(keras.layers.Embedding(3, 2)(numbers(age)))]
    )
    model = keras.Model([word, age], {"score": keras.layers.Dense(2)(joined), "back": back(learned(word))})
    model.export(tmp_path / "model", verbose=False)
    feeds = {"word": WORDS, "age": np.array([[3], [30], [7]])}
    check(tmp_path / "model", tmp_path / "model.onnx", feeds)


def test_a_bundle_with_strings_says_so(tmp_path: Path) -> None:
    """A bundle with strings is of version 2 and holds them as UTF-8; what has been damaged is refused."""
    model = tables_of_all_types(tmp_path / "model")
    exporter.export(model, tmp_path / "model.onnx", to=["npz"])
    path = tmp_path / "model.npz"
    with np.load(path) as arrays:
        plan = json.loads(bytes(arrays["__plan__"]))
    assert plan["version"] == 2
    assert {"name": "word", "dtype": "string", "shape": ["N", 2]} in plan["inputs"]
    with pytest.raises(runtime.NetError, match="expected strings"):
        runtime.load(path).run({"word": np.zeros((1, 2))})
    as_bytes = runtime.load(path).run({"word": np.array([[b"red", b"x"]])})
    as_array = runtime.load(path).run({"word": np.array([["red", "x"]])})
    assert all(np.array_equal(as_bytes[name], as_array[name]) for name in as_array)
    assert zipfile.ZipFile(path).testzip() is None


@pytest.mark.parametrize("target", ["numpy", "c"])
def test_programs_have_no_strings(tmp_path: Path, target: str) -> None:
    """A program of a model with strings is refused before anything is written; what the message names is written."""
    table = static_table(["red"], ["rot"], "?")
    model = saved(tmp_path / "model", lambda word: {"y": table.lookup(word)}, word(), t=table)
    with pytest.raises(UnsupportedError, match="strings"):
        exporter.export(model, tmp_path / "model.onnx", to=[target])
    assert not (tmp_path / "model.onnx").exists()
    exporter.export(model, tmp_path / "model.onnx", to=["pyz"])


def test_wide_and_deep(tmp_path: Path) -> None:
    """An estimator-style SavedModel, with a vocabulary as an indicator and as an embedding, exports without options."""
    tf = tensorflow()
    v1, columns = tf.compat.v1, tf.feature_column
    with tf.Graph().as_default(), v1.Session() as session:
        colour = v1.placeholder(tf.string, [None], name="colour")
        age = v1.placeholder(tf.float32, [None, 1], name="age")
        vocabulary = columns.categorical_column_with_vocabulary_list("colour", ["red", "green", "blue"])
        features = [columns.indicator_column(vocabulary), columns.embedding_column(vocabulary, 4)]
        x = v1.feature_column.input_layer({"colour": colour, "age": age}, [*features, columns.numeric_column("age")])
        y = tf.matmul(x, v1.get_variable("kernel", [8, 2]), name="scores")
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        init = v1.tables_initializer(name="fill")
        ends = {"colour": colour, "age": age}, {"scores": y}
        v1.saved_model.simple_save(session, str(tmp_path / "model"), *ends, legacy_init_op=init)
    words = texts("red", "blue", "nowhere", "", "green")
    feeds = {"colour": words, "age": np.arange(5, dtype=np.float32)[:, None]}
    check(tmp_path / "model", tmp_path / "model.onnx", feeds)
