"""From files to pictures: reading, turning every kind of picture into 8-bit RGB, and telling files apart."""

from __future__ import annotations

import os
from collections.abc import Sequence
from hashlib import blake2b
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from ..digests import file_digests
from ..errors import ImageError
from ..files import open_file

#: What the name of a picture ends in, in any case.
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".jfif", ".png", ".gif", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
#: Endings of pictures that are not read; a dataset says which of them it has passed over.
UNREAD_SUFFIXES = (
    *(".avif", ".avifs", ".heic", ".heif", ".hif", ".jxl", ".jp2", ".j2k", ".jpe", ".jpx", ".svg", ".psd", ".tga"),
    *(".exr", ".hdr", ".ico", ".pbm", ".pnm", ".apng", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raw", ".npy"),
)

# Found by content, as ImageNet has a PNG called .JPEG. A closed list, because for some formats Pillow starts a program.
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_BITS_PER_SAMPLE, _ORIENTATION = 258, 274  # tags of TIFF and EXIF
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def is_image(name: str) -> bool:
    """Whether a file name ends like a picture's."""
    return name.lower().endswith(IMAGE_SUFFIXES)


def is_unread_image(name: str) -> bool:
    """Whether a file name ends like that of a picture in a format that is not read."""
    return name.lower().endswith(UNREAD_SUFFIXES)


def open_image(path: str | Path, *, orient: bool = True) -> Image.Image:
    """Read a picture as 8-bit RGB, whatever it was stored as.

    With ``orient`` the picture is turned upright as its EXIF orientation says. The ImageNet readers leave it as stored,
    because the published preprocessing never turns pictures (Pillow itself turns TIFF files in either case).

    Colours: transparent parts show white; CMYK goes through Pillow's plain conversion; 16-bit grey (``I;16``, and
    ``I`` with values up to 65535) keeps its upper eight bits, as Pillow does with 16-bit colour, so black and white
    stay what they are. Of an animation the first frame is taken. Floating-point and wider integer pictures are
    refused: nothing in them says which value is white.

    Raises ``ImageError``, naming the file, if it is missing, unreadable, no picture, damaged, too large or refused.
    """
    image, orientation = open_stored(path)
    return upright(image, orientation) if orient else image


def read_image(content: bytes, *, orient: bool = True) -> Image.Image:
    """A picture from the bytes of its file, as ``open_image`` has it; ``ImageError`` names nothing."""
    image, orientation = _decode(BytesIO(content))
    return upright(image, orientation) if orient else image


def open_stored(path: str | Path) -> tuple[Image.Image, int]:
    """The picture as it is stored, in 8-bit RGB as ``open_image`` has it, and its EXIF orientation, 1 (upright) to 8.

    A picture that Pillow has turned itself, as it does with TIFF files, has orientation 1. Raises ``ImageError``.
    """
    try:
        with open_file(Path(path)) as file:
            return _decode(file)
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from error
    except OSError as error:
        raise ImageError(f"{path}: cannot be read: {error.strerror or error}") from error


def upright(image: Image.Image, orientation: int) -> Image.Image:
    """The stored picture turned as its EXIF orientation (1 to 8) says."""
    turn = _TURNS.get(orientation)
    return image if turn is None else image.transpose(turn)


def _decode(file: BinaryIO) -> tuple[Image.Image, int]:
    if not file.read(1):
        raise ImageError("the file is empty; restore it or remove it")
    file.seek(0)
    try:
        with Image.open(file, formats=_FORMATS) as image:
            image.load()
            return to_rgb(image), _orientation(image)
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError(f"not a picture in {', '.join(_FORMATS)}, or its beginning is damaged") from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"too large to be opened safely ({error}); scale the picture down first") from error
    except Exception as error:  # Pillow's decoders raise whatever damaged bytes make them stumble over
        raise ImageError(f"the picture is damaged or cut short ({error}); restore it or remove it") from error


def _orientation(image: Image.Image) -> int:
    try:
        orientation = int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # damaged notes about a picture are no reason to refuse it
        return 1
    return orientation if orientation in _TURNS else 1


def to_rgb(image: Image.Image) -> Image.Image:
    """A picture of any mode as 8-bit RGB, what is transparent on white; raises ``ImageError`` where that is unclear."""
    if min(image.size) < 1:
        raise ImageError(f"the picture has no pixels ({image.width} x {image.height})")
    if image.mode == "F":
        raise ImageError("floating-point pixels have no fixed white; save the picture with 8 or 16 bits")
    if image.mode == "I" or image.mode.startswith("I;16"):
        image = _eight_bits(image)
    if image.has_transparency_data:
        seen = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", seen.size, "white"), seen)
    return image.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    # Pillow widens everything between 8 and 16 bits but the 12 bits of TIFF
    bits = 12 if getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE) == (12,) else 16
    values = np.asarray(image)  # (height, width), 16 or 32 bits
    low, high = int(values.min()), int(values.max())
    if low < 0 or high >= 2**bits:
        message = f"values from {low} to {high} do not fit {bits}-bit grey, so white is unknown"
        raise ImageError(f"{message}; save the picture with 8 or 16 bits")
    return Image.fromarray((values >> (bits - 8)).astype(np.uint8))


def fingerprint(paths: Sequence[Path], root: Path, annotations: str = "") -> str:
    """A digest of files below ``root``, in their order, and of what else is known of them (``annotations``).

    A file counts with its path relative to ``root`` and its whole content, so a copy of the folder on another machine
    has the same digest, and times and permissions play no part. Contents are read once and remembered (see
    ``file_digests``). A file that cannot be read counts with its path alone: reading it as a picture is where that is
    an error, or skipped.
    """
    digest = blake2b(digest_size=16)
    parts = [annotations.encode()]
    for path, content in zip(paths, file_digests(paths), strict=True):
        name = os.fsencode(path.relative_to(root).as_posix())
        parts.append(name if isinstance(content, OSError) else bytes.fromhex(content) + name)
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))  # so that no two lists of parts run together alike
        digest.update(part)
    return digest.hexdigest()
