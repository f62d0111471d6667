"""What is made of annotations before a pass, once for all models."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from torch import Tensor

    from .samples import Sample
    from .views import Placement, View


class Preparation(ABC):
    """What is made of a sample's annotation once for a dataset, a view and a patch grid, whichever model asks.

    Subclasses are frozen dataclasses; their fields, ``name`` and ``version`` say what is made, and the store keeps it.
    """

    name: ClassVar[str]
    version: ClassVar[str] = "1"

    @abstractmethod
    def prepare(self, sample: Sample, placement: Placement, grid: tuple[int, int], view: View) -> Mapping[str, Tensor]:
        """Tensors by name. ``grid`` is the (rows, columns) of the picture's whole patch grid in this view.

        Raises ``ImageError`` for a sample whose annotation cannot be used.
        """
