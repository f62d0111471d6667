"""A dataset of videos in the layout of DAVIS 2017, small and made up."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image


def write_videos(root: Path, videos: Mapping[str, npt.NDArray[np.uint8]]) -> Path:
    """Each video is masks of object ids (frame, height, width); its pictures show them in bright colours."""
    lists = root / "ImageSets" / "2017"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("".join(f"{video}\n" for video in videos))
    for video, masks in videos.items():
        for number, ids in enumerate(masks):
            write_frame(root, video, number, ids)
    return root


def write_frame(root: Path, video: str, number: int, ids: npt.NDArray[np.uint8]) -> None:
    """One frame with its mask."""
    noise = np.random.default_rng(number).integers(0, 30, (*ids.shape, 3), dtype=np.uint8)
    photo = noise + np.stack([ids % 2 * 200, ids // 2 % 2 * 200, 90 * np.ones_like(ids)], -1)
    mask = Image.fromarray(ids)
    mask.putpalette(bytes(range(256)) * 3)
    for kind, image, suffix in (("JPEGImages", Image.fromarray(photo), "jpg"), ("Annotations", mask, "png")):
        path = root / kind / "480p" / video / f"{number:05}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)


def moving(frames: int, size: tuple[int, int] = (49, 35), objects: int = 2) -> npt.NDArray[np.uint8]:
    """Squares that walk to the right, one below the other; ``size`` is (width, height)."""
    wide, high = size
    masks = np.zeros((frames, high, wide), np.uint8)
    step = high // objects
    for frame in range(frames):
        for number in range(objects):
            masks[frame, number * step + 2 : (number + 1) * step - 2, 3 + frame : 3 + frame + step] = number + 1
    return masks
