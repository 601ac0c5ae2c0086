"""A path to a graph and its variables, read on demand: checkpoints, SavedModels, GraphDefs, Keras files."""
