"""Plain text on the terminal."""

from __future__ import annotations

import math
import shutil
import textwrap
from collections.abc import Collection, Sequence

from ..errors import printable


def terminal_width() -> int:
    """Columns to write in; 80 where there is no terminal."""
    return shutil.get_terminal_size((80, 24)).columns


def columns(rows: Sequence[Sequence[str]], *, right: Collection[int] = (), indent: str = "") -> list[str]:
    """Lines in which the cells stand below one another; columns in ``right`` are set to the right."""
    rows = [[printable(cell) for cell in row] for row in rows]
    widths = [max((len(row[i]) for row in rows), default=0) for i in range(max(map(len, rows), default=0))]
    lines = []
    for row in rows:
        cells = [cell.rjust(widths[i]) if i in right else cell.ljust(widths[i]) for i, cell in enumerate(row)]
        lines.append((indent + "  ".join(cells)).rstrip())
    return lines


def shorten(text: str, width: int) -> str:
    """The text, cut with an ellipsis if it is longer than ``width``."""
    return text if len(text) <= width else text[: max(1, width - 1)].rstrip() + "…"


def paragraph(text: str, indent: str = "  ") -> str:
    """Text filled to the width of the terminal, at most 100 columns."""
    width = min(terminal_width(), 100)
    lines = printable(text).split("\n")
    filled = (textwrap.fill(line, width, initial_indent=indent, subsequent_indent=indent) for line in lines)
    return "\n".join(filled)


def number(value: float) -> str:
    """Four significant digits; integers as they are, and no exponent below a million."""
    if float(value).is_integer() or abs(value) >= 1000:
        return f"{value:.0f}" if abs(value) < 1e6 else f"{value:.3e}"
    return f"{value:#.4g}"


def count(n: int, what: str) -> str:
    """``1 file``, ``2 files``."""
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def duration(seconds: float) -> str:
    """A time for people, never 0: ``40 s``, ``3 min``, ``2 h 5 min``."""
    if seconds < 90:
        return f"{math.ceil(seconds)} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def size(n_bytes: float) -> str:
    """A number of bytes for people: decimal units, as disks are sold and downloads are measured."""
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:.0f} {unit}" if n_bytes >= 10 or unit == "B" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.1f} TB"
