"""A module with its weights, read from inside."""
