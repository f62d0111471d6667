"""What the name of a model says, however it is spelled: ``dinov2-B14``, ``facebook/dino-vitb16``, ``ViT-B/16``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_LETTERS = {
    "ti": "tiny",
    "t": "tiny",
    "s": "small",
    "m": "medium",
    "b": "base",
    "l": "large",
    "h": "huge",
    "g": "giant",
}
_SIZES = {*_LETTERS.values(), "gigantic", "so400m", "so150m"}
_SYNONYMS = {"bigg": "gigantic", **_LETTERS}
_LONGEST_FIRST = sorted({*_SIZES, *_SYNONYMS}, key=len, reverse=True)

#: In one word: what comes before a size, the size, and a patch, as in ``vitb16``, ``deitsmall8`` and ``large``.
_WORD = re.compile(rf"(?P<kind>vit|deit)?(?P<size>{'|'.join(_LONGEST_FIRST)})(?P<patch>\d+)?")
_PATCH = re.compile(r"(?:patch|p)(\d+)")
_NUMBER = re.compile(r"(\d+)(?:px)?")
#: Sides of patches are below this number of pixels, those of pictures are not.
_LARGEST_PATCH = 64

#: Words that tell no model from another.
_COMMON = frozenset({"vit"})


@dataclass(frozen=True)
class Spelled:
    """What a name says: words such as ``dinov2``, the size in a word, the patch and the picture in pixels.

    ``owner`` is who stands before a slash, as on the hub.
    """

    words: frozenset[str] = frozenset()
    size: str = ""
    patch: int = 0
    pixels: int = 0
    owner: str = ""

    @property
    def telling(self) -> frozenset[str]:
        """The words that tell it from other models."""
        return self.words - _COMMON


def read_name(name: str) -> Spelled:
    """What a name says; what it does not say is empty or 0."""
    owner, _, rest = name.rpartition(":")[2].lower().rpartition("/")
    said = _read(rest)
    if _read(owner).size or not said.words:  # a slash within, as in ViT-B/16
        return _read(f"{owner}-{rest}")
    return Spelled(said.words, said.size, said.patch, said.pixels, owner)


def _read(text: str) -> Spelled:
    words: list[str] = []
    size, patch, pixels = "", 0, 0
    for word in re.split(r"[\W_]+", text):
        if match := _PATCH.fullmatch(word):
            patch = patch or int(match[1])
        elif match := _NUMBER.fullmatch(word):
            number = int(match[1])
            patch, pixels = (patch or number, pixels) if number < _LARGEST_PATCH else (patch, pixels or number)
        elif not size and (match := _WORD.fullmatch(word)):
            size, patch = _SYNONYMS.get(match["size"], match["size"]), patch or int(match["patch"] or 0)
            words += [match["kind"]] if match["kind"] else []
        elif words and re.fullmatch(r"v\d", word):  # dino-v2
            words[-1] += word[1:]
        elif word:
            words.append(re.sub(r"(?<=.)v(?=\d$)", "", word))  # dinov2 and dino2 are the same
    return Spelled(frozenset(words), size, patch, pixels)


def same_model(name: str, known: Iterable[str], also: frozenset[str] = frozenset()) -> list[str]:
    """Those of ``known`` that ``name`` may be another spelling of, best first.

    Size and patch, where it says them, must be theirs, and as many telling words as possible, at least one; a name
    without such words says at least size and patch. First come those with the words of ``also``, with the most words of
    ``name``, with pictures of its size, and those that say little besides.
    """
    asked = read_name(name)
    if not asked.telling and not (asked.size and asked.patch):
        return []
    said = {
        other: each
        for other, each in ((other, read_name(other)) for other in known)
        if asked.size in ("", each.size) and asked.patch in (0, each.patch)
    }
    shared = {other: len(asked.telling & each.telling) for other, each in said.items()}
    most = max(shared.values(), default=0)
    if asked.telling and not most:
        return []

    def order(other: str) -> tuple[bool, int, bool, int]:
        usual = said[other].pixels in ({asked.pixels} if asked.pixels else {0, 224})
        besides = len(said[other].words - asked.words) if asked.telling else 0
        return not also <= said[other].words, len(asked.words - said[other].words), not usual, besides

    best = sorted((other for other in said if shared[other] == most), key=order)
    of_size = [other for other in best if asked.pixels and said[other].pixels == asked.pixels]
    return of_size or best
