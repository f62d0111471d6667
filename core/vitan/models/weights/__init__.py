"""Weights: fetch them, read them safely, and load them exactly."""

from ...digests import file_sha256, state_sha256, tensors_sha256
from .download import Progress
from .fetch import Located, locate
from .fit import Fitted, fit
from .formats import Checkpoint, read_checkpoint
from .torchscript import read_torchscript

__all__ = [
    "Checkpoint",
    "Fitted",
    "Located",
    "Progress",
    "file_sha256",
    "fit",
    "locate",
    "read_checkpoint",
    "read_torchscript",
    "state_sha256",
    "tensors_sha256",
]
