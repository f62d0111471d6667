"""Pictures of all formats and modes, damaged."""

from __future__ import annotations

import io
import os
import struct
import zlib
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fuzzing import expect_named
from spoiling import spoil
from vitan.data.images import open_image
from vitan.errors import ImageError

MODES = ("1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "I;16", "I", "F")
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")


@cache
def honest() -> tuple[bytes, ...]:
    """Noise and a ramp in every mode and format that go together, turned by EXIF, and an animation."""
    noise = np.random.default_rng(0).integers(0, 255, (23, 31, 3), dtype=np.uint8)
    pictures = []
    for mode in MODES:
        image = Image.fromarray(noise)
        image = image.convert("I").convert("I;16") if mode == "I;16" else image.convert(mode)
        for form in FORMATS:
            for more in ({}, {"exif": turned()}, {"compression": "tiff_lzw"}, {"progressive": True}):
                packed = io.BytesIO()
                try:
                    image.save(packed, form, **more)
                except (OSError, KeyError, ValueError, TypeError):
                    continue
                pictures.append(packed.getvalue())
    packed = io.BytesIO()
    frames = [Image.fromarray(noise[:, ::step]) for step in (1, -1)]
    frames[0].save(packed, "GIF", save_all=True, append_images=frames[1:])
    return (*pictures, packed.getvalue())


def turned() -> bytes:
    exif = Image.Exif()
    exif[274] = 6
    return exif.tobytes()


def chunk_of(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


#: A note that unfolds to 80 MB.
BOMB = chunk_of(b"zTXt", b"a\0\0" + zlib.compress(b"\0" * (80 << 20)))


def strange(random: Random) -> bytes:
    """Files that claim a size they do not have, are of another kind, or hold a program for a viewer."""
    wide, high = random.choice([0, 1, 65535, 2**31 - 1]), random.choice([0, 1, 65535, 2**31 - 1])
    head = chunk_of(b"IHDR", struct.pack(">IIBBBBB", wide, high, 8, 2, 0, 0, 0))
    return random.choice(
        [
            b"\x89PNG\r\n\x1a\n" + head + chunk_of(b"IDAT", zlib.compress(b"\0" * 100)) + chunk_of(b"IEND", b""),
            b"\x89PNG\r\n\x1a\n" + head + BOMB + chunk_of(b"IEND", b""),
            f"P6 {wide} {high} 255\n".encode() + b"\0" * 50,
            f"P5 {wide} {high} 65535\n".encode() + b"\0" * 50,
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(touch executed) run\n",
            b"<svg xmlns='http://www.w3.org/2000/svg'/>",
            b"",
            b"\0" * 1000,
            random.randbytes(300),
        ]
    )


def attempt(random: Random, folder: Path) -> None:
    path = folder / f"picture{random.choice(['.png', '.jpg', '.tif', '.gif', ''])}"
    match random.randrange(20):
        case 0:
            os.mkfifo(path)
        case 1:
            path.mkdir()
        case 2:
            path.symlink_to(path)
        case 3 | 4 | 5:
            path.write_bytes(strange(random))
        case 6:
            path.write_bytes(random.choice(honest()))
        case _:
            path.write_bytes(spoil(random, random.choice(honest())))
    try:
        image = open_image(path, orient=random.random() < 0.5)
    except ImageError as error:
        expect_named(error, str(path))
        raise
    assert image.mode == "RGB"
    assert min(image.size) > 0


@pytest.mark.filterwarnings("ignore")  # Pillow has much to say about damaged files
def test_pictures_are_read_or_refused(fuzz: Any) -> None:
    fuzz(attempt, some=25, many=400)
