"""Keras layers to the IR: one function per class, in tables by theme."""
