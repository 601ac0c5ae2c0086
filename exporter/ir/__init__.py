"""The intermediate representation: an `onnx_ir.Model` of channels-last tensors, and what builds, reads and edits it."""
