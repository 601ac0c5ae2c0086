"""Random models with TensorFlow and Keras as the judges: `python -m tests.wild --seconds N --seed S [--kind K]`."""
