"""A sample in the other files a graph comes in: `python -m tests.corpus.graph_files PREFIX FOLDER OUTPUT`.

Writes into FOLDER: `frozen.pb` and `frozen.pbtxt` (variables as constants, pruned to the output by TensorFlow),
`graph.pb` and `graph.pbtxt` (the whole training graph, without weights), `text/model.ckpt.*` (a checkpoint whose
`.meta` is text).
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from sample_ckpts.oracle import tf

__all__ = ["write"]


def write(prefix: Path, folder: Path, output: str) -> None:
    """Read the checkpoint with TensorFlow and write each kind of file."""
    text = folder / "text"
    text.mkdir(parents=True)
    with tf.Graph().as_default() as graph, tf.Session() as session:
        saver = tf.train.import_meta_graph(f"{prefix}.meta")
        saver.restore(session, str(prefix))
        whole = graph.as_graph_def()
        frozen = tf.graph_util.convert_variables_to_constants(session, whole, [output])
        for name, graph_def in (("frozen", frozen), ("graph", whole)):
            tf.train.write_graph(graph_def, str(folder), f"{name}.pb", as_text=False)
            tf.train.write_graph(graph_def, str(folder), f"{name}.pbtxt", as_text=True)
        tf.train.export_meta_graph(str(text / f"{prefix.name}.meta"), saver_def=saver.saver_def, as_text=True)
    for path in prefix.parent.glob(f"{prefix.name}.*"):
        if path.suffix != ".meta":
            shutil.copy(path, text)


if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
