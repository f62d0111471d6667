"""Reading DAVIS 2017."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydantic import Field

from vitan.data.images import fingerprint, is_image, open_image
from vitan.data.samples import Dataset, Sample
from vitan.errors import DataError, ImageError
from vitan.files import find_root, open_file, read_text
from vitan.options import Options

from ..roots import DAVIS2017
from ..trees import children, is_inside


class Davis2017Options(Options):
    """Where the videos are, and which of them."""

    root: Path | None = Field(None, description="folder that holds ImageSets, JPEGImages and Annotations")
    year: str = Field("2017", description="edition: the folder of ImageSets")
    videos: str = Field("val", description="list of videos: val or train, or another file of that folder")
    resolution: str = Field("480p", description="480p or Full-Resolution: the folder of JPEGImages and of Annotations")


_THREADS = 4  # that look at the sizes of frames and masks
_ORIENTATION = 274  # tag of EXIF


@dataclass(frozen=True)
class _Frame:
    video: str
    image: Path
    mask: Path


class Davis2017(Dataset):
    """The frames of the listed videos, in order; a video is a ``group``.

    A sample's ``id`` is ``VIDEO/FRAME``; its mask holds the ids as they are in the file, 255 (void) included, and is
    read when asked for. Every frame needs one.

    Raises ``DataError``, naming what is missing, unless every listed video has frames and a mask for each, as large as
    the frame; frames that EXIF turns are refused, since nothing tells which way up the mask is.
    """

    Options = Davis2017Options

    def __init__(self, options: Davis2017Options) -> None:
        super().__init__(options)
        self._root = find_root(options.root, "davis2017", DAVIS2017)
        self._frames = [
            frame for video in _listed(self._root, options) for frame in _frames(self._root, options, video)
        ]
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="vitan-masks") as pool:
            deque(pool.map(_check_sizes, self._frames), maxlen=0)

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, index: int) -> Sample:
        """See ``Dataset``."""
        frame = self._frames[index]
        image = open_image(frame.image, orient=False)
        mask = partial(_read_mask, frame.mask, image.size)
        return Sample(id=f"{frame.video}/{frame.image.stem}", image=image, group=frame.video, id_mask=mask)

    def fingerprint(self) -> str:
        """See ``Dataset``."""
        return fingerprint([path for frame in self._frames for path in (frame.image, frame.mask)], self._root)

    def which(self) -> str:
        """The list of videos, where it is not the usual one."""
        return "" if self.options.videos == "val" else str(self.options.videos)

    def groups(self) -> Sequence[str]:
        """See ``Dataset``."""
        return [frame.video for frame in self._frames]


def _listed(root: Path, options: Davis2017Options) -> list[str]:
    path = root / "ImageSets" / options.year / f"{options.videos}.txt"
    try:
        names = read_text(path).split()
    except OSError as error:
        why = f"the list of videos cannot be read: {error.strerror or error}"
        raise DataError(f"{path}: {why}; 'vitan show davis2017' says which files are expected") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: the list of videos is not UTF-8 text ({error.reason})") from error
    if not names:
        raise DataError(f"{path}: the list names no video")
    if outside := next((name for name in names if not is_inside(name)), None):
        raise DataError(f"{path}: the list names {outside!r}, which leads out of the folders of videos; mend the list")
    if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise DataError(f"{path}: the list names {twice[0]} twice")
    return names


def _frames(root: Path, options: Davis2017Options, video: str) -> list[_Frame]:
    """The frames of a video, in the order of their names, which are the same for pictures and masks."""
    images = _by_stem(root / "JPEGImages" / options.resolution / video)
    masks = _by_stem(root / "Annotations" / options.resolution / video)
    if lacking := sorted(images.keys() - masks.keys()):
        path = root / "Annotations" / options.resolution / video / f"{lacking[0]}.png"
        raise DataError(f"{path}: this mask is missing ({len(lacking)} in all); every frame of {video} needs one")
    if lacking := sorted(masks.keys() - images.keys()):
        path = root / "JPEGImages" / options.resolution / video / f"{lacking[0]}.jpg"
        raise DataError(f"{path}: this frame is missing ({len(lacking)} in all); there is a mask for it")
    return [_Frame(video, images[stem], masks[stem]) for stem in sorted(images)]


def _by_stem(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder; 'vitan show davis2017' says which files are expected")
    found = {path.stem: path for path in children(folder)[1] if is_image(path.name)}
    if not found:
        raise DataError(f"{folder}: there is no picture in this folder")
    return found


def _check_sizes(frame: _Frame) -> None:
    """Look at the headers of a frame and its mask; what cannot be opened is told, or skipped, when it is read."""
    try:
        with open_file(frame.image) as file, Image.open(file) as image:
            size, orientation = image.size, image.getexif().get(_ORIENTATION, 1)
        with open_file(frame.mask) as file, Image.open(file, formats=["PNG"]) as mask:
            masked = mask.size
    except Exception:  # Pillow raises whatever damaged bytes make it stumble over
        return
    if orientation != 1:
        raise DataError(
            f"{frame.image}: EXIF turns the frame (orientation {orientation}), and nothing tells whether its mask is "
            "of the stored frame or of the upright one; save the frame without orientation"
        )
    _fits(frame.mask, masked, size)


def _fits(path: Path, mask: tuple[int, int], frame: tuple[int, int]) -> None:
    if mask != frame:
        (width, height), (wide, high) = mask, frame
        raise ImageError(f"{path}: the mask has {width} x {height} pixels, and its frame {wide} x {high}")


def _read_mask(path: Path, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """The pixels of a mask as they are, indices of its palette: (height, width) of its frame, whose (width, height) is
    ``size``.

    Raises ``ImageError``, naming the file, for a mask of another size or kind, and for one that cannot be read.
    """
    try:
        with open_file(path) as file, Image.open(file, formats=["PNG"]) as image:
            if image.mode not in ("P", "L", "1"):
                raise ImageError(f"{path}: pixels are {image.mode}, not object ids; the mask needs a palette or grey")
            _fits(path, image.size, size)
            return np.array(image, dtype=np.uint8)
    except ImageError:
        raise
    except Exception as error:  # Pillow's decoders raise whatever damaged bytes make them stumble over
        raise ImageError(f"{path}: the mask cannot be read ({error}); restore it") from error
