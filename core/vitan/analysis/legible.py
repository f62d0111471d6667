"""Names of any script in figures: in an installed font that has their letters, or else as escapes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib import get_data_path
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from matplotlib.text import Text
from matplotlib.ticker import FixedFormatter, Formatter, FuncFormatter

if TYPE_CHECKING:
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

#: Families to look in first, as they are made for one another and have most scripts; and those that have nothing but
#: signs of what kind of letter is missing.
_FIRST, _NEVER = "Noto Sans", "Last Resort"


def make_legible(figure: Figure) -> set[str]:
    """Let all texts of a figure be shown; returns the letters that no font has, which are written as ``\\u5199``."""
    lacking: set[str] = set()
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        families, without = _needs([text.get_text()], text.get_fontfamily())
        if families:
            text.set_fontfamily([*text.get_fontfamily(), *families])
        if without:
            text.set_text(_escaped(text.get_text(), without))
        lacking |= without
    return lacking.union(*(_ticks(axis) for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)))


def _ticks(axis: Axis) -> set[str]:
    """The same for ticks with labels of their own, whose texts are only written when they are drawn."""
    formatter = axis.get_major_formatter()
    if not isinstance(formatter, (FixedFormatter, FuncFormatter)):
        return set()
    own = axis.get_ticklabels()[:1]
    known = own[0].get_fontfamily() if own else []
    families, lacking = _needs(formatter.format_ticks(list(axis.get_majorticklocs())), known)
    if families:
        axis.set_tick_params(labelfontfamily=[*known, *families])
    if lacking:
        axis.set_major_formatter(_Escaping(formatter, lacking))
    return lacking


class _Escaping(Formatter):
    """Labels as another formatter makes them, some letters as escapes."""

    def __init__(self, labels: Formatter, lacking: set[str]) -> None:
        self._labels, self._lacking = labels, lacking

    def __call__(self, x: float, pos: int | None = None) -> str:
        """See ``Formatter``."""
        return _escaped(self._labels(x, pos), self._lacking)


def _needs(texts: Iterable[str], families: Sequence[str]) -> tuple[list[str], set[str]]:
    """The families that texts need besides their own, and the letters that no family has."""
    letters = {letter for text in texts if not (text.isascii() and text.isprintable()) for letter in text} - {"\n"}
    missing = {letter for letter in letters if not any(ord(letter) in _letters_of(_file_of(f)) for f in families)}
    found = {letter: _family_with(letter) for letter in sorted(missing)}
    return [*dict.fromkeys(family for family in found.values() if family)], {k for k, v in found.items() if not v}


@cache
def _family_with(letter: str) -> str:
    """The first family of the system that has a letter; empty where none has."""
    system = (font for font in fontManager.ttflist if not Path(font.fname).is_relative_to(get_data_path()))
    fonts = [font for font in system if not font.name.startswith(_NEVER)]
    ordered = sorted(fonts, key=lambda font: (not font.name.startswith(_FIRST), font.name, font.fname))
    having = (font.name for font in ordered if ord(letter) in _letters_of(font.fname))
    return next(having, "")


@cache
def _file_of(family: str) -> str:
    return findfont(FontProperties(family=[family]))


@cache
def _letters_of(path: str) -> frozenset[int]:
    """What a font can draw; nothing where it holds pictures in place of outlines, as those of emoji do."""
    try:
        font = get_font(path)
        return frozenset(font.get_charmap()) if font.scalable else frozenset()
    except (OSError, RuntimeError):
        return frozenset()


def _escaped(text: str, lacking: set[str]) -> str:
    return "".join(letter.encode("unicode_escape").decode() if letter in lacking else letter for letter in text)
