"""What a model is judged by: its unfolded form, TensorFlow, Keras, or recorded data."""
