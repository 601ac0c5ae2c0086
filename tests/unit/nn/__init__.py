"""The layers that all lowerings share."""
