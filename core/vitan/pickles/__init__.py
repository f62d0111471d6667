"""Pickles: read them without running anything in them."""

from pickle import UnpicklingError

from .machine import MOST_STEPS, Machine
from .plain import PLAIN
from .strangers import Builder, Name, NotPlainError, Stranger, make

__all__ = ["MOST_STEPS", "PLAIN", "Builder", "Machine", "Name", "NotPlainError", "Stranger", "UnpicklingError", "make"]
