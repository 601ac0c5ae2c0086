"""Front ends: a model of TensorFlow's or Keras's ops, lowered to the IR."""
