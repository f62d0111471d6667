"""Pictures of a drawn world."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

from PIL import Image
from pydantic import Field

from vitan.data.samples import Dataset, Pair, Sample, Segment
from vitan.options import Options

from .world.captions import captions
from .world.categories import CATEGORIES, part_labels
from .world.painting import paint
from .world.pictures import PER_INSTANCE, Known, World, differences, known, picture, view
from .world.scene import PAIRS, Scene, stream
from .world.stencil import Covers

#: Changes when any picture or anything that is said of it does.
VERSION = 1
_PAIRS = 2  # of each picture with others of its category
_COMMON = 3  # points that make a pair worth having


class ShapesOptions(Options):
    """How many pictures, how large, and what their segments are."""

    per_class: int = Field(20, ge=4, description="pictures of each category; one in four is a query")
    classes: int = Field(len(CATEGORIES), ge=2, le=len(CATEGORIES), description="categories, the first of the alphabet")
    size: int = Field(320, ge=32, le=4096, description="longer side of the pictures, in pixels")
    masks: Literal["objects", "parts"] = Field("objects", description="what the segments are")
    seed: int = Field(0, ge=0, description="of the random numbers; another seed is another world")


class Shapes(Dataset):
    """Drawings of fourteen kinds of things, about which everything is known, category by category.

    Each picture shows one main thing, an instance of its category (its colours, textures and proportions), in some
    posture, view and surroundings, with up to three smaller things of other categories behind or before it. ``label``
    and ``group`` are its category, ``box`` is what is visible of it, ``keypoints`` are its visible points.

    Eight pictures in a row show one instance. Two of them are queries, for which the others are ``easy`` to find (much
    the same view), ``hard`` (turned, mirrored, smaller, elsewhere, partly hidden) or ``junk`` (tiny, or half beyond the
    edge). All other pictures of the bank are wrong answers, those of the same category included.

    ``segments`` are all things of a picture from back to front, or with ``masks=parts`` all their parts: the pixels of
    which they cover at least half. ``pairs`` lead to two other pictures of the category. ``extra`` has the name of the
    ``instance``, how it is seen (``view``, ``mirrored``, ``truncated``, ``occluded``), three ``captions``, and which
    segment (``main``, the beginning of its id) is the main thing's.

    A picture depends on the seed, its category, its number there and the size; with another
    number of classes the things around it change.
    """

    Options = ShapesOptions
    options: ShapesOptions

    def __init__(self, options: ShapesOptions) -> None:
        super().__init__(options)
        self._world = World(options.seed, options.classes, options.size)

    def __len__(self) -> int:
        return self.options.per_class * self.options.classes

    def __getitem__(self, index: int) -> Sample:
        """See ``Dataset``."""
        if not 0 <= index < len(self):
            raise IndexError(f"shapes has {len(self)} pictures, and no number {index}")
        category, number = divmod(index, self.options.per_class)
        scene, stencil = picture(self._world, category, number)
        covers, about = stencil.covers(), known(self._world, category, number)
        return Sample(
            id=self._id(index),
            image=Image.fromarray(paint(scene, covers)),
            label=category,
            role=_role(number),
            group=CATEGORIES[category].name,
            box=about.box,
            segments=segments(scene, covers, self.options.masks),
            keypoints=dict(about.points),
            pairs=self._pairs(category, number),
            relevant=self._relevant(category, number) if view(number) == "query" else {},
            extra=self._extra(scene, about, category, number),
        )

    def fingerprint(self) -> str:
        """See ``Dataset``."""
        return f"shapes {VERSION} {self.options.model_dump_json()}"

    def which(self) -> str:
        """``parts`` where the segments are parts, since one and the same analysis may be run on both."""
        return "parts" if self.options.masks == "parts" else ""

    def classes(self) -> Sequence[str]:
        """See ``Dataset``."""
        return tuple(category.name for category in CATEGORIES[: self.options.classes])

    def categories(self) -> Mapping[int, str]:
        """See ``Dataset``."""
        return categories(self.options.classes, self.options.masks)

    def groups(self) -> Sequence[str]:
        """See ``Dataset``."""
        return tuple(name for name in self.classes() for _ in range(self.options.per_class))

    def labels(self) -> Sequence[int]:
        """See ``Dataset``."""
        return [index // self.options.per_class for index in range(len(self))]

    def roles(self) -> Sequence[str]:
        """See ``Dataset``."""
        return [_role(index % self.options.per_class) for index in range(len(self))]

    def _id(self, index: int) -> str:
        category, number = divmod(index, self.options.per_class)
        name = CATEGORIES[category].name
        return f"{name}/{name}-{number:04}"

    def _relevant(self, category: int, number: int) -> dict[str, list[int]]:
        """Where the other pictures of the instance are, by how hard they are to find."""
        start = number - number % PER_INSTANCE
        block = range(start, min(start + PER_INSTANCE, self.options.per_class))
        first = category * self.options.per_class
        return {level: [first + other for other in block if view(other) == level] for level in ("easy", "hard", "junk")}

    def _pairs(self, category: int, number: int) -> tuple[Pair, ...]:
        """To other pictures of the category, drawn by lot, that show enough of the same points."""
        here = known(self._world, category, number)
        lots = stream(PAIRS, self.options.seed, category, number).permutation(self.options.per_class)
        others = [int(other) for other in lots if other != number]
        found: list[Pair] = []
        for other in others:
            there = known(self._world, category, other)
            names = tuple(name for name in here.points if name in there.points)
            if len(names) < _COMMON:
                continue
            source, target = (category * self.options.per_class + each for each in (number, other))
            found.append(
                Pair(
                    id=f"{source * _PAIRS + len(found):06}",
                    target=self._id(target),
                    names=names,
                    source=tuple(here.points[name] for name in names),
                    points=tuple(there.points[name] for name in names),
                    source_box=here.box,
                    target_box=there.box,
                    facts=differences(here, there),
                )
            )
            if len(found) == _PAIRS:
                break
        return tuple(found)

    def _extra(self, scene: Scene, about: Known, category: int, number: int) -> dict[str, Any]:
        return {
            "instance": f"{CATEGORIES[category].name}-{number // PER_INSTANCE}",
            "view": view(number),
            "captions": captions(scene),
            "main": str(scene.main + 1),
            "mirrored": about.mirror,
            "truncated": about.truncated,
            "occluded": about.occluded,
        }

    def layouts(self) -> Mapping[str, Callable[[Path], None]]:
        """See ``Dataset``."""
        from .layouts import coco, imagenet, partimagenet, roxford, spair

        parts = Shapes(self.options.model_copy(update={"masks": "parts"}))
        return {
            "imagenet": partial(imagenet.write_imagenet, self),
            "folder": partial(imagenet.write_folder, self),
            "coco": partial(coco.write_coco, self),
            "partimagenet": partial(partimagenet.write_partimagenet, parts),
            "roxford5k": partial(roxford.write_roxford, self),
            "spair71k": partial(spair.write_spair, self),
        }


def _role(number: int) -> str:
    return "query" if view(number) == "query" else "bank"


def categories(classes: int, masks: str) -> dict[int, str]:
    """Names by the labels of segments, which do not depend on how many categories there are."""
    if masks == "objects":
        return {number: category.name for number, category in enumerate(CATEGORIES[:classes], 1)}
    return {
        label: f"{CATEGORIES[category].name} {part}"
        for (category, part), label in part_labels().items()
        if category < classes
    }


def segments(scene: Scene, covers: Covers, masks: str) -> tuple[Segment, ...]:
    """The things of a scene, or their parts, that cover half of some pixel."""
    keys: list[tuple[int, str | None]] = list(covers.parts())
    if masks == "objects":
        keys = list(dict.fromkeys((thing, None) for thing, _ in keys))
    found = []
    for thing, part in keys:
        if covers.mask(thing, part).any():
            category = scene.things[thing].category
            label = category + 1 if part is None else part_labels()[category, part]
            name = str(thing + 1) if part is None else f"{thing + 1}-{part}"
            found.append(Segment(label=label, decode=partial(covers.mask, thing, part), id=name))
    return tuple(found)
