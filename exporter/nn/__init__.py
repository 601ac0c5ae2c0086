"""Layers of neural networks as IR ops, shared by what lowers TensorFlow graphs, Keras layers and architectures."""
