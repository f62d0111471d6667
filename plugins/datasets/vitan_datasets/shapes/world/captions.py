"""What a picture shows, in words."""

from __future__ import annotations

from .categories import CATEGORIES
from .scene import Scene, Thing

_BEHIND = {
    "ground": "on a plain",
    "hills": "before hills",
    "stripes": "before a striped wall",
    "checks": "before a chequered wall",
    "dots": "before a dotted wall",
    "waves": "before a wavy pattern",
    "rings": "before rings",
    "plain": "before a plain wall",
}


def captions(scene: Scene) -> tuple[str, ...]:
    """Three sentences: the thing, the thing in its surroundings, and everything in the picture."""
    main = scene.things[scene.main]
    others = [thing for thing in scene.things if thing is not main]
    thing, place = _thing(main), f"{_BEHIND[scene.backdrop.kind]}, {scene.backdrop.colour_name}"
    with_ = f" with {_list([_article(CATEGORIES[other.category].name) for other in others])}" if others else ""
    return (
        f"{_article(CATEGORIES[main.category].name)}".capitalize(),
        f"{_article(thing)} {place}".capitalize(),
        f"{_article(thing)}{with_}".capitalize(),
    )


def _thing(thing: Thing) -> str:
    return f"{thing.look.texture_name} {thing.look.colour_name} {CATEGORIES[thing.category].name}"


def _article(words: str) -> str:
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def _list(words: list[str]) -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]
