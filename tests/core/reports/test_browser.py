"""The report in a browser: it opens fast, answers to pointer and keyboard, asks for nothing, and is accessible."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import vitan

from .conftest import Write, values

pytestmark = pytest.mark.browser
#: As Debian and others call it.
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_WIDE, _NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium of the system, without a window."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright, of vitan[dev]")
    path = next((found for name in _NAMES if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip("needs chromium, as 'apt-get install chromium' brings it")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Any, root: Path, write: Write) -> Iterator[Any]:
    """The report of two models, open; whatever it asks for or complains of fails the test."""
    write(values(), headline=["surprise"])
    write([*values("b-B16"), *values("b-B16", metric="many", head=1) * 60], figure="other.png")
    path = vitan.report(root)
    with browser.new_context(viewport=_WIDE, offline=True) as context:
        opened, asked, said = context.new_page(), [], []
        opened.set_default_timeout(5000)
        opened.on("request", lambda request: asked.append(request.url))
        opened.on("console", lambda message: said.append(message.text))
        opened.on("pageerror", lambda error: said.append(str(error)))
        start = time.monotonic()
        opened.goto(path.as_uri())
        opened.wait_for_selector("#explore tbody tr")
        assert time.monotonic() - start < 2
        yield opened
        assert [url for url in asked if not url.startswith("data:")] == [path.as_uri()]
        assert said == []


def column(table: Any, name: str) -> list[str]:
    heads = [text.strip() for text in table.locator("thead th").all_inner_texts()]
    place = next(number for number, text in enumerate(heads) if text.split()[0] == name)
    return [row.locator("th, td").nth(place).inner_text() for row in table.locator("tbody tr").all()]


def test_rows_are_chosen_sought_and_shown_step_by_step(page: Any) -> None:
    told = page.get_by_role("status")
    assert told.inner_text() == "100 of 186 rows shown, of 186 in all"
    page.get_by_role("button", name="Show 100 more").click()
    assert told.inner_text() == "186 of 186 rows shown, of 186 in all"
    assert not page.get_by_role("button", name="Show 100 more").is_visible()
    page.get_by_role("combobox", name="metric", exact=True).select_option(label="surprise")
    page.get_by_role("combobox", name="block", exact=True).select_option(label="1")
    assert told.inner_text() == "2 of 2 rows shown, of 186 in all"
    page.get_by_label("any word").fill("B-b16")
    assert told.inner_text() == "1 of 1 rows shown, of 186 in all"


def test_numbers_sort_as_numbers_by_keyboard(page: Any) -> None:
    page.get_by_role("combobox", name="metric", exact=True).select_option(label="surprise")
    page.get_by_role("combobox", name="model", exact=True).select_option(label="a-B16")
    table = page.locator("#explore table")
    head = table.get_by_role("button", name="value")
    head.focus()
    page.keyboard.press("Enter")
    assert column(table, "value") == ["0.25", "2", "10"]
    page.keyboard.press("Enter")
    assert column(table, "value") == ["10", "2", "0.25"]
    assert table.get_by_role("columnheader", name="value").get_attribute("aria-sort") == "descending"


def test_a_table_of_blocks_sorts(page: Any) -> None:
    table = page.locator("#blocks table").first
    table.get_by_role("button", name="model").click()
    table.get_by_role("button", name="model").click()
    assert column(table, "model") == ["b-B16", "a-B16"]


def test_a_figure_grows_and_closes_by_keyboard(page: Any) -> None:
    page.locator("#figures summary").first.click()
    page.locator("#figures button").first.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    assert dialog.is_visible()
    assert dialog.locator("img").get_attribute("alt") == "a-B16 · stranger · dots: curve"
    page.keyboard.press("Escape")
    assert not dialog.is_visible()


@pytest.mark.parametrize("viewport", [_WIDE, _NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_accessible_and_fits(page: Any, viewport: Any, scheme: Any) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
    page.set_viewport_size(viewport)
    page.emulate_media(color_scheme=scheme)
    for summary in page.locator("summary").all():
        summary.evaluate("summary => summary.parentElement.open = true")
    found = axe.Axe().run(page).response["violations"]
    assert [(each["id"], each["nodes"][0]["html"]) for each in found] == []
    assert page.evaluate("document.documentElement.scrollWidth") == viewport["width"]
