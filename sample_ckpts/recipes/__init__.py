"""One module per situation: how the checkpoint was built and trained."""
