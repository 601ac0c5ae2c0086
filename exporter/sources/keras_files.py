"""A Keras model in whatever files it was saved: .h5, .keras, weights of every kind with a configuration beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from exporter.errors import CorruptError, FormatError, MissingError, UnsupportedError, UsageError
from exporter.formats.hdf5 import Hdf5File, open_hdf5
from exporter.formats.json_text import parse_json
from exporter.formats.keras_zip import open_keras_zip
from exporter.formats.sniff import Kind, sniff
from exporter.formats.tensor_bundle import open_bundle
from exporter.sources.checkpoint import locate
from exporter.sources.keras_config import read_model
from exporter.sources.keras_custom import Custom
from exporter.sources.keras_legacy import map_legacy, refuse_theano
from exporter.sources.keras_model import KerasModel
from exporter.sources.keras_objects import map_objects, object_nodes
from exporter.sources.keras_shards import is_weight_map, open_shards, read_json
from exporter.sources.keras_source import KerasSource
from exporter.sources.keras_v3 import map_v3
from exporter.sources.object_graph import OBJECT_GRAPH, read_object_graph

__all__ = ["open_keras", "read_config_file"]


def open_keras(path: Path, *, graph_file: Path | None = None, custom: Custom | None = None) -> KerasSource:
    """The model at a path: an .h5 or .keras file, an index of sharded weights, or a TensorFlow checkpoint.

    Args:
        path: The file, or the prefix of a checkpoint.
        graph_file: Where the configuration is, if not in it: JSON, .keras or .h5.
        custom: What the names in it are that aren't Keras's.

    Raises:
        MissingError: There is nothing there.
        FormatError: It is nothing that Keras writes.
        UsageError: A configuration is given for an archive, which has one.
        SourceError: Its other subclasses, where a file is broken or unsafe.
    """
    custom = custom or Custom()
    kind = sniff(path) if path.is_file() else None
    if kind is Kind.KERAS_ZIP:
        return _from_zip(path, graph_file, custom)
    if kind is Kind.HDF5:
        return _from_hdf5(path, graph_file, custom)
    if kind is Kind.JSON:
        return _from_index(path, graph_file, custom)
    return _from_checkpoint(path, graph_file, custom)


def read_config_file(path: Path, custom: Custom | None = None) -> KerasModel:
    """The configuration in a JSON, .keras or .h5 file.

    Raises:
        FormatError: It is something else, or an .h5 file of weights alone.
        UnsupportedError: It is a SavedModel, as of a subclassed model, or a subclassed model's configuration.
    """
    custom = custom or Custom()
    kind = sniff(path)
    where = f"file {path}"
    if kind is Kind.JSON:
        return read_model(custom.renamed(read_json(path)))
    if kind is Kind.KERAS_ZIP:
        archive = open_keras_zip(path)
        return read_model(custom.renamed(archive.config), version=_text(archive.metadata.get("keras_version")))
    if kind is Kind.HDF5:
        model = _config_of(open_hdf5(path), where, custom)
        if model is not None:
            return model
        raise FormatError("it holds weights, and no configuration").within(where)
    if (path / "saved_model.pb").exists():
        raise UnsupportedError(
            "it is a SavedModel, and nothing in it says which of its variables is which weight of a Keras file",
            hint="Load the weights and save a SavedModel with them, or save them in TensorFlow's format",
        ).within(where)
    raise FormatError(f"it is {kind.value}, not the configuration of a Keras model").within(where)


def _from_zip(path: Path, graph_file: Path | None, custom: Custom) -> KerasSource:
    if graph_file is not None:
        raise UsageError(f"--graph {graph_file}: {path} has its configuration in it", hint="Leave out --graph")
    archive = open_keras_zip(path)
    version = _text(archive.metadata.get("keras_version"))
    model = read_model(custom.renamed(archive.config), version=version)
    store = archive.weights()
    kind = f"Keras archive (Keras {version or 'of unknown version'})"
    return KerasSource(path, kind, store, model, map_v3(model, store, _names_in(store)))


def _from_hdf5(path: Path, graph_file: Path | None, custom: Custom) -> KerasSource:
    file, where = open_hdf5(path), f"file {path}"
    root = "model_weights" if file.has_group("model_weights") else ""
    version = _text(file.attributes().get("keras_version")) or _text(file.attributes(root).get("keras_version"))
    model = _config_of(file, where, custom) if graph_file is None else read_config_file(graph_file, custom)
    legacy = file.texts(root, "layer_names") is not None
    what = "Keras model" if graph_file is None and model is not None else "Keras weights"
    kind = f"{what} (HDF5, {'Keras ' + version if version else 'v3 layout' if not legacy else 'unknown version'})"
    if model is None:
        return KerasSource(path, f"{kind}, no configuration", file)
    refuse_theano(model, file.attributes().get("backend") or file.attributes(root).get("backend"))
    if not legacy:
        return KerasSource(path, kind, file, model, map_v3(model, file, _names_in(file)))
    return KerasSource(path, kind, file, model, map_legacy(model, _legacy_groups(file, root, where), file))


def _config_of(file: Hdf5File, where: str, custom: Custom) -> KerasModel | None:
    attributes = file.attributes()
    config = attributes.get("model_config")
    if config is None:
        return None
    if not isinstance(config, str):
        raise CorruptError("its attribute 'model_config' isn't a text").within(where)
    document = parse_json(config, what=f"model_config of {where}")
    return read_model(custom.renamed(document), version=_text(attributes.get("keras_version")))


def _legacy_groups(file: Hdf5File, root: str, where: str) -> dict[str, dict[str, str]]:
    """Names of weights and the datasets that hold them, by layer, in the file's order."""
    layers = file.texts(root, "layer_names") or []
    twice = [name for name, count in Counter(layers).items() if count > 1]
    if twice:
        raise CorruptError(f"layer_names has {twice[0]!r} several times").within(where)
    groups: dict[str, dict[str, str]] = {}
    for layer in layers:
        place = f"{root}/{layer}" if root else layer
        names = file.texts(place, "weight_names") or []
        groups[layer] = {name: f"{place}/{name}" for name in names}
    return groups


def _names_in(file: Hdf5File) -> Callable[[str], str | None]:
    def name_of(group: str) -> str | None:
        return _text(file.attributes(group).get("name")) if file.has_group(group) else None

    return name_of


def _from_index(path: Path, graph_file: Path | None, custom: Custom) -> KerasSource:
    document = read_json(path)
    if isinstance(document, Mapping) and "weightsManifest" in document:
        raise FormatError(
            "it is a TensorFlow.js model, which was converted before",
            hint="Give the checkpoint, SavedModel or Keras file that it was made of; a layers-model is one again after "
            "tensorflowjs_converter --input_format tfjs_layers_model --output_format keras",
        ).within(f"file {path}")
    if not is_weight_map(document):
        raise FormatError(
            "it is a configuration without weights",
            hint=f"Give the weights as the source, and this file with --graph {path.name}",
        ).within(f"file {path}")
    store = open_shards(path, document)
    if graph_file is None:
        return KerasSource(path, "sharded Keras weights, no configuration", store)
    model = read_config_file(graph_file, custom)
    return KerasSource(path, "sharded Keras weights", store, model, map_v3(model, store, store.name_of))


def _from_checkpoint(path: Path, graph_file: Path | None, custom: Custom) -> KerasSource:
    located = locate(path)
    if located is None or located.version != 2:
        raise MissingError(f"there is no {path}, and no checkpoint of that prefix ({path.name}.index)")
    store = open_bundle(located.prefix)
    if OBJECT_GRAPH not in store:
        raise FormatError(
            "its variables are stored by name, not by object, so it is no checkpoint of a Keras model",
            hint="Give the .meta or GraphDef that belongs to it with --graph",
        ).within(f"checkpoint {located.prefix}")
    kind = "TensorFlow checkpoint of objects"
    if graph_file is None:
        return KerasSource(path, f"{kind}, no configuration", store, notes=located.notes)
    nodes = object_nodes(read_object_graph(store))
    model = read_config_file(graph_file, custom)
    weights, chosen = map_objects(model, nodes, store)
    return KerasSource(path, kind, store, model, weights, (*located.notes, *chosen))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
