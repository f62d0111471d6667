"""Films of a drawn world."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydantic import Field

from vitan.data.samples import Dataset, Sample
from vitan.options import Options

from .pictures import categories, segments
from .world.categories import CATEGORIES
from .world.films import Film, Studio, film
from .world.painting import draw, paint
from .world.stencil import Covers

#: Changes when any frame or its mask does.
VERSION = 1


class ShapesVideoOptions(Options):
    """How many films, how long and how large."""

    films: int = Field(6, ge=1, description="films")
    frames: int = Field(16, ge=2, description="frames of each film; fewer frames make faster motion, not shorter films")
    height: int = Field(240, ge=32, le=2160, description="in pixels")
    width: int = Field(426, ge=32, le=4096, description="in pixels")
    seed: int = Field(0, ge=0, description="of the random numbers; another seed is another world")


class ShapesVideo(Dataset):
    """Films of two to four drawn things, film by film, frame by frame.

    Things move across each other, turn, grow and shrink, and change their posture: wings beat, doors open, wheels roll.
    All are in the first frame. In every third film, from the second on, one leaves the picture and comes back.

    A frame is a sample; ``group`` is its film. ``id_mask`` has 0 for the background and the things from 1 on, from back
    to front; ``segments`` are those that can be seen, with the category as label and the number in ``id_mask`` as id.
    """

    Options = ShapesVideoOptions
    options: ShapesVideoOptions

    def __init__(self, options: ShapesVideoOptions) -> None:
        super().__init__(options)
        self._studio = Studio(options.seed, options.frames, options.width, options.height)

    def __len__(self) -> int:
        return self.options.films * self.options.frames

    def __getitem__(self, index: int) -> Sample:
        """See ``Dataset``."""
        if not 0 <= index < len(self):
            raise IndexError(f"shapes-video has {len(self)} frames, and no number {index}")
        number, frame = divmod(index, self.options.frames)
        made = self.film(number)
        scene = made.scene(self._studio, frame)
        covers = draw(scene).covers()
        return Sample(
            id=f"{made.name}/{frame:05}",
            image=Image.fromarray(paint(scene, covers)),
            group=made.name,
            segments=segments(scene, covers, "objects"),
            id_mask=partial(id_mask, covers, len(scene.things)),
        )

    def film(self, number: int) -> Film:
        """The film of that number."""
        return film(self._studio, number)

    def fingerprint(self) -> str:
        """See ``Dataset``."""
        return f"shapes-video {VERSION} {self.options.model_dump_json()}"

    def categories(self) -> Mapping[int, str]:
        """See ``Dataset``."""
        return categories(len(CATEGORIES), "objects")

    def groups(self) -> Sequence[str]:
        """See ``Dataset``."""
        return tuple(self.film(number).name for number in range(self.options.films) for _ in range(self.options.frames))

    def layouts(self) -> Mapping[str, Callable[[Path], None]]:
        """See ``Dataset``."""
        from .layouts import davis

        return {"davis2017": partial(davis.write_davis, self)}


def id_mask(covers: Covers, things: int) -> npt.NDArray[np.uint8]:
    """(height, width): the number, from 1, of the thing that covers at least half of a pixel; of two, the front one."""
    mask = np.zeros((covers.height, covers.width), dtype=np.uint8)
    for thing in range(things):
        mask[covers.mask(thing)] = thing + 1
    return mask
