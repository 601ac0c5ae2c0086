"""From channels-last tensors to ONNX's channels-first, with a Transpose only where it can't be helped."""
