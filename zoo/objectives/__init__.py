"""The six objectives, each in a file that is read in one sitting."""

from __future__ import annotations

from .base import Objective
from .beit import Beit
from .clip import Clip
from .dino import Dino
from .mae import Mae
from .moco import Moco
from .supervised import Supervised

OBJECTIVES: dict[str, type[Objective]] = {
    "supervised": Supervised,
    "clip": Clip,
    "dino": Dino,
    "moco": Moco,
    "mae": Mae,
    "beit": Beit,
}

__all__ = ["OBJECTIVES", "Objective"]
