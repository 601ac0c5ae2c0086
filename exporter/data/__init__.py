"""Data that users bring: arrays by name, and folders of images."""
