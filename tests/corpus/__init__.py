"""Small TF1 training checkpoints, made by TensorFlow when the tests run, each with its inference outputs."""
