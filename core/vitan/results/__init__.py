"""The results folder: written, read back, compared, imported."""
