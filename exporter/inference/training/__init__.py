"""What tells training from inference: flags, dropout, assignments on the forward path."""
