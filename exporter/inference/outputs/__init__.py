"""Which tensors are the results of the inference function."""
