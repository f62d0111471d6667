"""Images of any kind as a model sees them, and what it was read to hold inside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image
from torch import Tensor

from ..anatomy import select_blocks
from ..data.images import open_image, to_rgb
from ..data.views import DIVIDED, make_view, to_tensor
from ..errors import ImageError, MismatchError, naming
from ..files import given_path
from ..registry.specs import ModelSpec

#: A picture: opened, as a file, or as uint8 RGB (height, width, 3).
OneImage: TypeAlias = "Image.Image | str | Path | npt.NDArray[np.uint8]"
#: One picture or several; an array may hold several of one size, and a tensor holds normalised pixels.
Images: TypeAlias = "OneImage | Sequence[OneImage] | Tensor"


class Reading(Mapping[tuple[int, str], Tensor]):
    """Tensors by (block, tap), each stacked over the images: (image, ...) as ``vitan.anatomy.TAPS`` describes them.

    Blocks count from 0, and from the end where they are negative: ``seen[-1, "block"]``.
    """

    def __init__(self, tensors: Mapping[tuple[int, str], Tensor], depth: int) -> None:
        self._tensors, self._depth = dict(tensors), depth

    def __getitem__(self, key: tuple[int, str]) -> Tensor:
        """Raises ``KeyError``, which says what was read, for anything else."""
        block, tap = key
        number = block + self._depth if block < 0 else block
        if (number, tap) not in self._tensors:
            raise KeyError(f"{key!r} was not read; there is {', '.join(map(str, self._tensors))}")
        return self._tensors[number, tap]

    def __iter__(self) -> Iterator[tuple[int, str]]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def __repr__(self) -> str:
        lines = [f"  {block}, {tap!r}: {tuple(tensor.shape)}" for (block, tap), tensor in self._tensors.items()]
        return "\n".join([f"Reading({len(self)})", *lines])


def numbers_of(blocks: str | Sequence[int | str], depth: int) -> tuple[int, ...]:
    """Blocks by number (from the end where negative) or by word, as on the command line; ascending.

    Raises ``MismatchError`` for a block that a model of this depth does not have.
    """
    words = [blocks] if isinstance(blocks, str) else [_word(block, depth) for block in blocks]
    return select_blocks(words, depth)


def pixels_of(images: Images, spec: ModelSpec, view: str) -> Iterator[Tensor]:
    """What the model is given for each image: normalised pixels (3, size, size), float32 for pictures.

    A tensor (image, 3, size, size) is taken as it is. Raises ``MismatchError`` for pixels of another shape or type and
    for a view that cuts an image into windows, and ``ImageError`` for a picture that cannot be read.
    """
    size = spec.image_size
    if isinstance(images, Tensor):
        if images.shape[1:] != (3, size, size) or not images.is_floating_point():
            raise MismatchError(
                f"a {images.dtype} tensor of shape {tuple(images.shape)}: {spec.name} takes normalised floating-point "
                f"pixels (image, 3, {size}, {size}); pictures, arrays and files are scaled and normalised for you"
            )
        yield from images
        return
    if view in DIVIDED:
        raise MismatchError(f"the view {view!r} cuts an image into windows; read through crop, squash or letterbox")
    layout = make_view(view, size, spec.patch)
    for index, image in enumerate(_single(images)):
        with naming(str(image) if isinstance(image, (str, Path)) else f"image {index}"):
            seen, _ = layout.place(_picture(image))
        yield to_tensor(seen, spec.mean, spec.std)


def _word(block: int | str, depth: int) -> str:
    if isinstance(block, str):
        return block
    if not -depth <= block < depth:
        raise MismatchError(f"there is no block {block}: the model has blocks 0 to {depth - 1}, or -{depth} to -1")
    return str(block % depth)


def _single(images: Images) -> Sequence[OneImage]:
    if isinstance(images, (str, Path, Image.Image)) or (isinstance(images, np.ndarray) and images.ndim == 3):
        return [images]
    return list(images)


def _picture(image: Any) -> Image.Image:
    if isinstance(image, (str, Path)):
        return open_image(given_path(image))
    if isinstance(image, Image.Image):
        return to_rgb(image)
    if isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3:
        return Image.fromarray(image)
    about = f" of {image.dtype} and shape {image.shape}" if isinstance(image, np.ndarray) else ""
    raise ImageError(
        f"{type(image).__name__}{about} is no picture: give a PIL image, a file, or uint8 RGB (height, width, 3)"
    )
