"""`python -m exporter`, the same as `ckpt2onnx`."""

from exporter.command_line.cli import main

main(prog_name="ckpt2onnx")
