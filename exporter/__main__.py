"""`python -m exporter`, the same as `ckpt2onnx`."""

from exporter.cli import main

main(prog_name="ckpt2onnx")
