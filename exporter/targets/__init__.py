"""What a model of the IR is written as: an ONNX file, a bundle for the NumPy runtime; both files whole or neither."""
