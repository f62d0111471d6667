"""Drawings as a notebook shows them, and as files."""

from __future__ import annotations

import re
from base64 import b64decode
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont
from PIL import Image, ImageOps

from vitan.analysis import legible
from vitan.analysis.encoding import write_plot
from vitan.analysis.figures import Animation, Drawings, Picture, Plot
from vitan.results.drawing import save

PIXELS = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)


def _plot() -> Plot:
    figure = Figure(figsize=(2, 1))
    figure.subplots().plot([0, 1])
    return Plot(name="a line", figure=figure)


def test_a_picture_keeps_its_pixels_in_a_notebook() -> None:
    shown = Image.open(BytesIO(Picture(name="p", pixels=PIXELS)._repr_png_()))
    assert np.array_equal(np.asarray(shown), PIXELS)


def test_what_a_notebook_shows_is_what_is_saved(tmp_path: Path) -> None:
    plot, picture = _plot(), Picture(name="p", pixels=PIXELS)
    film = Animation(name="f", frames=[PIXELS, 255 - PIXELS])
    png, same, gif = save([plot, picture, film], tmp_path)
    assert png.read_bytes() == plot._repr_png_()
    assert same.read_bytes() == picture._repr_png_()
    (encoded,) = re.findall(r"data:image/gif;base64,([^\"]+)\"", film._repr_html_())
    assert b64decode(encoded) == gif.read_bytes()
    assert Image.open(gif).n_frames == 2
    assert (tmp_path / "a_line.svg").is_file()


def test_the_same_figure_gives_the_same_bytes() -> None:
    written = []
    for _ in range(2):
        figure = Figure(figsize=(2, 1))
        figure.subplots().imshow(PIXELS, clip_path=None)
        figure.axes[0].plot([0, 3], [0, 3], marker="o")
        write_plot(figure, png := BytesIO(), svg := BytesIO())
        written.append((png.getvalue(), svg.getvalue()))
    assert written[0] == written[1]


def _labelled(title: str) -> Figure:
    figure = Figure(figsize=(3, 2), dpi=160, layout="constrained", facecolor="white")
    axes = figure.subplots()
    figure.colorbar(axes.imshow(PIXELS[..., 0]), ax=axes)
    axes.set_title(title)
    return figure


@pytest.mark.parametrize("title", ["short", "so long a title that it lies beyond both edges of the page"])
def test_a_figure_is_written_as_matplotlib_writes_it(title: str) -> None:
    """Of a page with all that is on it, and of one with a text that leaves it."""
    write_plot(_labelled(title), written := BytesIO())
    _labelled(title).savefig(expected := BytesIO(), format="png", dpi=160, bbox_inches="tight", pad_inches=0.1)
    ours, theirs = (Image.open(png).convert("L") for png in (written, expected))
    assert np.abs(np.subtract(ours.size, theirs.size)).max() <= 1
    inked = [ImageOps.invert(image).getbbox() for image in (ours, theirs)]
    assert np.abs(np.subtract(*inked)).max() <= 1  # the same margins, and no text is cut off


@pytest.mark.parametrize(("asked", "written"), [(None, 160), (110, 110), (200, 200)])
def test_a_figure_has_the_dots_that_it_asks_for(asked: int | None, written: int) -> None:
    figure = Figure(figsize=(3, 2)) if asked is None else Figure(figsize=(3, 2), dpi=asked)
    write_plot(figure, png := BytesIO())
    assert Image.open(png).info["dpi"] == pytest.approx((written, written), abs=0.1)


def test_a_figure_is_drawn_once_for_each_format(monkeypatch: pytest.MonkeyPatch) -> None:
    draws: list[Figure] = []
    draw = Figure.draw
    monkeypatch.setattr(Figure, "draw", lambda figure, renderer: (draws.append(figure), draw(figure, renderer)))
    write_plot(_labelled("short"), BytesIO(), BytesIO())
    assert len(draws) == 2


NAMES = ["写真", "фото", "🐶", "صورة", "한국어", "हिन्दी", "👨\u200d👩\u200d👧", "bell\x07", "not-utf8-\udc80", "plain"]


def _named(name: str) -> Figure:
    """A name in every place where figures have one."""
    figure = Figure(figsize=(3, 2), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], label=name)
    axes.legend()
    axes.set_title(name)
    axes.set_xticks([0, 1], [name, "other"])
    axes.set_ylabel(name)
    return figure


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_name_in_any_script_is_drawn_without_a_word_of_matplotlib(name: str) -> None:
    lacking = write_plot(_named(name), png := BytesIO(), svg := BytesIO())
    assert lacking <= set(name)
    escaped = "".join(letter.encode("unicode_escape").decode() if letter in lacking else letter for letter in name)
    write_plot(_named(escaped), same := BytesIO(), vectors := BytesIO())
    assert (png.getvalue(), svg.getvalue()) == (same.getvalue(), vectors.getvalue())


def test_letters_come_from_another_font_of_the_system_if_one_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that of the fonts with matplotlib, which are no system's, those for mathematics are installed."""
    letter = min(legible._letters_of(findfont("STIXGeneral")) - legible._letters_of(findfont("DejaVu Sans")))
    monkeypatch.setattr(legible, "get_data_path", lambda: "/nowhere")
    monkeypatch.setattr(legible, "_family_with", legible._family_with.__wrapped__)
    figure = _named(chr(letter))
    assert write_plot(figure, BytesIO()) == set()
    (axes,) = figure.axes
    for text in (axes.title, axes.yaxis.label, axes.get_xticklabels()[0]):
        (first, second) = text.get_fontfamily()
        assert (first, text.get_text()) == ("sans-serif", chr(letter))
        assert letter in legible._letters_of(findfont(FontProperties(family=[second])))


def test_several_are_shown_by_name() -> None:
    page = Drawings([_plot(), Picture(name="<p>", pixels=PIXELS)])._repr_html_()
    assert page.count("data:image/png;base64,") == 2
    assert "&lt;p&gt;" in page
