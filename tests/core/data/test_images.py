"""Reading pictures: every kind becomes RGB, nothing damaged gets through, and files are told apart."""

import contextlib
import io
import os
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile, PngImagePlugin

from vitan.data.images import fingerprint, is_image, open_image
from vitan.errors import ImageError

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
ORIENTATION = 0x0112
#: What a viewer does with the stored (height, width, 3) pixels for each EXIF orientation.
TURNS = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a),
}


def colours(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (height, width, 3)).astype(np.uint8)


def read(path: Path, **options: bool) -> np.ndarray:
    image = open_image(path, **options)
    assert image.mode == "RGB"
    return np.asarray(image)


def refusal(path: Path) -> str:
    with pytest.raises(ImageError) as caught:
        open_image(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 3), (17, 5)])
@pytest.mark.parametrize("suffix", ["png", "bmp", "ppm", "tif"])
def test_lossless_pictures_come_back_as_they_were(tmp_path: Path, suffix: str, height: int, width: int) -> None:
    Image.fromarray(colours(height, width)).save(tmp_path / f"a.{suffix}")
    np.testing.assert_array_equal(read(tmp_path / f"a.{suffix}"), colours(height, width))


def test_a_path_may_be_text(tmp_path: Path) -> None:
    Image.new("RGB", (3, 2), RED).save(tmp_path / "a.png")
    assert open_image(str(tmp_path / "a.png")).size == (3, 2)


@pytest.mark.parametrize("orientation", TURNS)
def test_exif_orientation_is_followed_or_ignored_as_asked(tmp_path: Path, orientation: int) -> None:
    stored = colours(4, 6)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(stored).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read(tmp_path / "a.png"), TURNS[orientation](stored))
    np.testing.assert_array_equal(read(tmp_path / "a.png", orient=False), stored)


@pytest.mark.parametrize("orientation", [1, 6])
def test_exif_orientation_of_a_jpeg(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.new("RGB", (40, 20), RED).save(tmp_path / "a.jpg", exif=exif)
    assert open_image(tmp_path / "a.jpg").size == ((40, 20) if orientation == 1 else (20, 40))
    assert open_image(tmp_path / "a.jpg", orient=False).size == (40, 20)


@pytest.mark.parametrize("suffix", ["jpg", "tif"])
def test_cmyk_becomes_rgb(tmp_path: Path, suffix: str) -> None:
    # Pillow writes CMYK JPEG inverted and with an Adobe marker, as Photoshop does
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / f"a.{suffix}")
    assert np.abs(read(tmp_path / f"a.{suffix}").astype(int) - RED).max() <= 2


def test_sixteen_bit_grey_is_scaled_not_clipped(tmp_path: Path) -> None:
    values = np.array([[0, 255, 256], [257, 32768, 65535]], np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    Image.fromarray(values).save(tmp_path / "a.tif")
    (tmp_path / "a.pgm").write_bytes(b"P5 3 2 65535\n" + values.astype(">u2").tobytes())
    expected = np.repeat(np.array([[0, 0, 1], [1, 128, 255]])[..., None], 3, axis=-1)
    for name in ("a.png", "a.tif", "a.pgm"):
        np.testing.assert_array_equal(read(tmp_path / name), expected, err_msg=name)


def test_sixteen_bit_grey_and_colour_agree(tmp_path: Path) -> None:
    values = np.array([[0, 255, 256], [40000, 32767, 65535]], ">u2")
    (tmp_path / "grey.pgm").write_bytes(b"P5 3 2 65535\n" + values.tobytes())
    (tmp_path / "colour.ppm").write_bytes(b"P6 3 2 65535\n" + values.repeat(3, axis=1).tobytes())
    assert np.abs(read(tmp_path / "grey.pgm").astype(int) - read(tmp_path / "colour.ppm")).max() <= 1


def tiff(bits: int, data: bytes, width: int, height: int) -> bytes:
    """A little-endian grey TIFF in one strip."""
    tags = [(256, width), (257, height), (258, bits), (259, 1), (262, 1), (273, 8), (278, height), (279, len(data))]
    data += b"\0" * (len(data) % 2)
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    head = b"II*\0" + struct.pack("<I", 8 + len(data))
    return head + data + struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0)


def test_twelve_bit_grey_is_scaled(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(tiff(12, bytes([0x00, 0x0F, 0xFF]), 2, 1))  # 0x000 and 0xFFF
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), [[[0] * 3, [255] * 3]])


@pytest.mark.parametrize("values", [[0, 70000], [-1, 5]])
def test_integers_without_a_known_white_are_refused(tmp_path: Path, values: list[int]) -> None:
    Image.fromarray(np.array([values], np.int32)).save(tmp_path / "a.tif")
    assert f"from {values[0]} to {values[1]}" in refusal(tmp_path / "a.tif")


def test_floating_point_is_refused(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0.0, 0.5]], np.float32)).save(tmp_path / "a.tif")
    assert "floating-point" in refusal(tmp_path / "a.tif")


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_parts_show_white(tmp_path: Path, mode: str) -> None:
    picture = Image.new("RGBA", (3, 1))
    for x, alpha in enumerate((0, 128, 255)):
        picture.putpixel((x, 0), (0, 0, 0, alpha))
    picture.convert(mode).save(tmp_path / "a.png")
    assert read(tmp_path / "a.png")[0, :, 0].tolist() == [255, 127, 0]


def test_a_palette_with_a_transparent_colour(tmp_path: Path) -> None:
    picture = Image.new("P", (3, 1))
    picture.putpalette([*RED, *GREEN, *BLUE])
    picture.putdata([0, 1, 2])
    picture.save(tmp_path / "a.png", transparency=1)
    assert [tuple(pixel) for pixel in read(tmp_path / "a.png")[0]] == [RED, WHITE, BLUE]


def test_black_and_white(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 255, 255]], np.uint8)).convert("1").save(tmp_path / "a.png")
    assert read(tmp_path / "a.png")[0, :, 1].tolist() == [0, 255, 255]


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "tif"])
def test_the_first_frame_is_taken(tmp_path: Path, suffix: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, BLUE)]
    options = {"lossless": True} if suffix == "webp" else {}
    frames[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:], **options)
    assert (read(tmp_path / f"a.{suffix}") == RED).all()


def test_the_content_decides_not_the_name(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4), GREEN).save(tmp_path / "a.JPEG", format="PNG")
    assert (read(tmp_path / "a.JPEG") == GREEN).all()


def test_formats_that_make_pillow_start_a_program_are_no_pictures(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.jpg", format="EPS")
    assert "not a picture" in refusal(tmp_path / "a.jpg")


def test_missing(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "a.png")


def test_a_folder_is_no_picture(tmp_path: Path) -> None:
    assert "directory" in refusal(tmp_path)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="the superuser may read everything")
def test_unreadable(tmp_path: Path) -> None:
    Image.new("RGB", (1, 1)).save(tmp_path / "a.png")
    (tmp_path / "a.png").chmod(0)
    assert "Permission denied" in refusal(tmp_path / "a.png")


def test_empty(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    assert "empty" in refusal(tmp_path / "a.png")


@pytest.mark.parametrize("data", [b"\0", b"words, not a picture" * 50, b"\xff\xd8\xff\xe0", b"P5 0 0 255\n"], ids=repr)
def test_garbage(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.jpg").write_bytes(data)
    assert "not a picture" in refusal(tmp_path / "a.jpg")


@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "ppm", "tif", "webp"])
@pytest.mark.parametrize("kept", [0.02, 0.5, 0.9])
def test_a_picture_cut_short(tmp_path: Path, suffix: str, kept: float) -> None:
    whole = tmp_path / f"whole.{suffix}"
    Image.fromarray(colours(64, 64)).save(whole)
    data = whole.read_bytes()
    (tmp_path / f"a.{suffix}").write_bytes(data[: int(len(data) * kept)])
    assert not ImageFile.LOAD_TRUNCATED_IMAGES
    refusal(tmp_path / f"a.{suffix}")


@pytest.mark.filterwarnings("ignore")  # Pillow warns of each damaged tag
def test_any_damage_gives_a_picture_or_an_image_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)  # so that a damaged size costs no memory
    random = np.random.default_rng(1)
    for suffix in ("jpg", "png", "gif", "tif", "webp", "bmp"):
        whole = io.BytesIO()
        Image.fromarray(colours(24, 24)).save(whole, {"jpg": "jpeg", "tif": "tiff"}.get(suffix, suffix))
        for _ in range(60):
            data = bytearray(whole.getvalue())
            for at in random.integers(0, min(len(data), 200), 4):
                data[at] = random.integers(0, 256)
            (tmp_path / "a").write_bytes(data)
            with contextlib.suppress(ImageError):
                assert open_image(tmp_path / "a").mode == "RGB"


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("exif", [b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", b"Exif\0\0nothing", b"Exif\0\0"], ids=repr)
def test_damaged_exif_is_no_reason_to_refuse_a_picture(tmp_path: Path, exif: bytes) -> None:
    Image.new("RGB", (4, 2), RED).save(tmp_path / "a.png", exif=exif)
    Image.new("RGB", (4, 2), RED).save(tmp_path / "a.jpg", exif=exif)
    assert open_image(tmp_path / "a.png").size == open_image(tmp_path / "a.jpg").size == (4, 2)


def test_a_huge_picture_is_refused_with_a_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (30, 30)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 400)  # twice as many are an error
    message = refusal(tmp_path / "a.png")
    assert "too large" in message
    assert "scale the picture down" in message


def test_an_overlong_text_chunk_is_an_image_error(tmp_path: Path) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("a", "x" * (PngImagePlugin.MAX_TEXT_CHUNK + 1), zip=True)
    Image.new("RGB", (1, 1)).save(tmp_path / "a.png", pnginfo=text)
    refusal(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.JPEG", True),
        ("a.b.WebP", True),
        ("a.pgm", True),
        ("a.gif", True),
        ("a.jfif", True),
        ("a.avif", False),
        ("jpg", False),
        ("a.jpg.txt", False),
    ],
)
def test_names_of_pictures(name: str, expected: bool) -> None:
    assert is_image(name) is expected


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Files of which one is read whole, one is read as two ends that meet, and one has an unread middle."""
    (tmp_path / "one" / "sub").mkdir(parents=True)
    for number, (name, size) in enumerate({"a": 10, "sub/b": 128 * 1024, "sub/c": 300_000}.items()):
        (tmp_path / "one" / name).write_bytes(np.random.default_rng(number).bytes(size))
    return [tmp_path / "one" / name for name in ("a", "sub/b", "sub/c")]


def change(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def test_a_copied_folder_keeps_its_fingerprint(files: list[Path], tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "elsewhere" / "two"
    shutil.copytree(one, two)
    for file in files:
        os.utime(two / file.relative_to(one), (0, 0))
    assert fingerprint(files, one) == fingerprint([two / file.relative_to(one) for file in files], two)


@pytest.mark.parametrize(
    ("which", "at"), [(0, 0), (0, -1), (1, 64 * 1024 - 1), (1, 64 * 1024), (2, 0), (2, 64 * 1024 - 1), (2, -64 * 1024)]
)
def test_a_changed_byte_changes_the_fingerprint(files: list[Path], tmp_path: Path, which: int, at: int) -> None:
    before = fingerprint(files, tmp_path)
    change(files[which], at)
    assert fingerprint(files, tmp_path) != before


def test_size_order_name_number_and_annotations_change_the_fingerprint(files: list[Path], tmp_path: Path) -> None:
    found = {
        fingerprint(files, tmp_path),
        fingerprint(files, tmp_path / "one"),
        fingerprint(files[::-1], tmp_path),
        fingerprint(files[:2], tmp_path),
        fingerprint(files, tmp_path, "a\nb"),
        fingerprint([], tmp_path),
    }
    data = files[2].read_bytes()
    files[2].write_bytes(data[:100_000] + data[100_001:])
    found.add(fingerprint(files, tmp_path))
    assert len(found) == 7


def test_a_missing_file_counts_with_its_name(tmp_path: Path) -> None:
    missing = fingerprint([tmp_path / "b.jpg"], tmp_path)
    assert missing == fingerprint([tmp_path / "b.jpg"], tmp_path)
    (tmp_path / "b.jpg").touch()
    assert missing not in (fingerprint([tmp_path / "b.jpg"], tmp_path), fingerprint([tmp_path / "c.jpg"], tmp_path))


def test_the_fingerprint_sees_the_middle_of_a_large_file(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(bytes(400_000))
    times = path.stat().st_mtime_ns
    before = fingerprint([path], tmp_path)
    with path.open("r+b") as file:
        file.seek(200_000)
        file.write(b"x")
    os.utime(path, ns=(times, times))
    assert fingerprint([path], tmp_path) != before


@pytest.mark.parametrize("what", ["pipe", "folder", "device"])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, what: str) -> None:
    path = tmp_path / "a.png"
    if what == "pipe":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")
    assert "cannot be read" in refusal(path)
    assert fingerprint([path], tmp_path)
