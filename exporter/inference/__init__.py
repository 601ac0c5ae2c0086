"""The training graph to the inference function it stands for."""
