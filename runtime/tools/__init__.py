"""What isn't needed to run a bundle: `describe` shows it as formulas, `files` reads inputs and writes outputs."""
