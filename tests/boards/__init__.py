"""What it takes to run a program on emulated boards with Cortex-M processors."""
