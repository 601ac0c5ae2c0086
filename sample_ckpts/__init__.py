"""Small real training checkpoints, one folder per situation, with the outputs TensorFlow computes from them."""
