"""The forms in which a table leaves vitan."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

Format: TypeAlias = Literal["md", "latex", "csv"]
FORMATS: tuple[Format, ...] = get_args(Format)
