"""All pages: commands parse, options are there, links lead somewhere, and what is made from the code is up to date."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from PIL import Image

import vitan
from scripts import load_script
from vitan.cli import main
from vitan.cli.plugin_options import fields_of
from vitan.registry.plugins import Plugins

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "examples").rglob("*.md")])
ANALYSES = sorted((DOCS / "analyses").glob("*.md"))
#: A line of a listing that is a command, whatever is set for it alone; comments follow two spaces or more.
_LINE = re.compile(r"^ {4}(?:[A-Z_]+=\S+ +)*(vitan .*?)(?: {2,}.*| +# .*)?$", re.MULTILINE)
_INLINE = re.compile(r"`(vitan [^`]+)`")
_STAND_IN = re.compile(r"\b[A-Z]{4,}\b")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)|<img[^>]* src=\"([^\"]+)\"")


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def commands(page: Path) -> Iterator[str]:
    """Every command line on a page, ``&&`` taken apart; in a sentence, NAME stands for something else."""
    text = page.read_text(encoding="utf-8")
    spoken = [" ".join(found.split()) for found in _INLINE.findall(text)]
    for shown in [*_LINE.findall(text), *(line for line in spoken if not _STAND_IN.search(line))]:
        yield from (part.strip() for part in shown.split("&&"))


def parse(words: list[str]) -> None:
    """Take a command line as the command would, without running it; raises a ``ClickException`` where it is wrong."""
    command: click.Command = main
    ctx = main.make_context("vitan", words)
    while isinstance(command, click.Group) and (rest := [*_command_of(ctx), *ctx.args]):
        name, inner, rest = command.resolve_command(ctx, rest)
        assert inner is not None
        command, ctx = inner, inner.make_context(name, rest, parent=ctx)


def _command_of(ctx: click.Context) -> list[str]:
    """What click keeps apart in a group; it made this private in 8.2."""
    kept: list[str] = vars(ctx).get("_protected_args", vars(ctx).get("protected_args"))
    return kept


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place that has the folders, plans and plugins that pages speak of."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for folder in ("photos", "pictures", "datasets"):
        (tmp_path / folder).mkdir()
    plan = {"analyses": [{"name": "attention"}], "models": [{"name": "dino-B16"}], "dataset": {"name": "samples"}}
    (tmp_path / "results/…").mkdir(parents=True)
    for place in ("plan.yaml", "results/…/plan.yaml"):
        (tmp_path / place).write_text(yaml.safe_dump(plan))
    listing = re.search(r"```python\n# jigsaw.py\n(.*?)```", (DOCS / "plugins.md").read_text("utf-8"), re.DOTALL)
    assert listing
    (tmp_path / "jigsaw.py").write_text(listing[1])
    return tmp_path


SHOWN = sorted({(name_of(page), line) for page in PAGES for line in commands(page)})


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(("page", "line"), SHOWN, ids=lambda text: text.replace("/", "_"))
def test_every_command_that_a_page_shows_can_be_typed(page: Any, line: Any) -> None:
    words = shlex.split(line, comments=True)[1:]
    try:
        parse(words)
    except click.MissingParameter:
        assert len(words) == 1, f"{page}: {line}"  # the command is only called by its name
    except click.exceptions.Exit:
        assert "--help" in words
    except click.ClickException as error:
        pytest.fail(f"{page}: {line}: {error.format_message()}")


def test_commands_are_found_on_the_pages() -> None:
    assert len(SHOWN) > 60
    assert ("README.md", "vitan table") in SHOWN
    assert ("docs/plugins.md", "vitan -p jigsaw.py run attention -m jigsaw-Ti16") in SHOWN


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("line", ["vitan rum attention", "vitan run attention --mas 0.6", "vitan list modles"])
def test_a_wrong_command_would_be_noticed(line: Any) -> None:
    with pytest.raises(click.ClickException):
        parse(line.split()[1:])


# Links


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Any) -> None:
    for groups in _LINK.findall(page.read_text(encoding="utf-8")):
        target, _, anchor = "".join(groups).partition("#")
        if "://" in target:
            continue
        place = page.parent / target if target else page
        assert place.exists(), f"{name_of(page)} links to {target}"
        assert not anchor or anchor in anchors(place), f"{name_of(page)} links to {target}#{anchor}"


def test_every_file_that_the_architecture_names_is_there() -> None:
    places = re.findall(r"`((?:core|plugins|tests|docs)/[\w./-]+|setup\.cfg)`", (DOCS / "architecture.md").read_text())
    assert len(places) > 20
    assert [place for place in places if not (ROOT / place).exists()] == []


# The site


def test_the_site_leads_to_every_page() -> None:
    def pages(items: list[object]) -> Iterator[str]:
        for item in items:
            for value in item.values() if isinstance(item, dict) else [item]:
                yield from pages(value) if isinstance(value, list) else [str(value)]

    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    known = [page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")]
    assert sorted(pages(yaml.safe_load(text)["nav"])) == sorted(known)


@pytest.mark.skipif(version("click") < "8.5", reason="the page is written with a click that lays out usage otherwise")
def test_the_reference_of_the_command_line_is_written_from_the_commands() -> None:
    shown = (DOCS / "cli.md").read_text(encoding="utf-8")
    assert shown == load_script(DOCS / "write_cli.py").page(), "run 'make docs/cli.md'"


# A page for every analysis


@pytest.fixture(scope="module")
def plugins() -> Plugins:
    plugins = Plugins()
    plugins.load_installed()
    return plugins


def test_every_analysis_of_ours_has_a_page(plugins: Any) -> None:
    ours = {spec.name for provider, spec in plugins.probes if provider.name == "vitan"}
    assert {page.stem for page in ANALYSES} == ours - {"segments-dense"}  # which is on the page of segments


@pytest.mark.parametrize("page", ANALYSES, ids=lambda page: page.stem)
def test_a_page_says_what_people_ask(page: Any) -> None:
    text = page.read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings == ["How to read it", "Traps", "Options that matter", "Definition and source"]
    assert f"vitan run {page.stem}" in text


@pytest.mark.parametrize("page", ANALYSES, ids=lambda page: page.stem)
def test_a_page_shows_a_figure_that_is_small(page: Any) -> None:
    figure = DOCS / "images" / "analyses" / f"{page.stem}.png"
    assert f"](../images/analyses/{page.stem}.png)" in page.read_text(encoding="utf-8")
    assert figure.stat().st_size < 150_000
    with Image.open(figure) as image:
        assert image.width >= 600


@pytest.mark.parametrize("page", ANALYSES, ids=lambda page: page.stem)
def test_the_options_in_a_page_s_table_are_the_analysis_s(page: Any, plugins: Any) -> None:
    cells = re.findall(r"^\| (`--[^|]+) \|", page.read_text(encoding="utf-8"), re.MULTILINE)
    shown = {flag for cell in cells for flag in re.findall(r"`(--[\w-]+)", cell)}
    assert shown
    assert shown <= {field.flag for field in fields_of(plugins.probes.get(page.stem).load().Options)}


def test_pictures_in_the_docs_are_used() -> None:
    kept = (DOCS / "images").rglob("*.png")
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert [path.name for path in kept if path.relative_to(DOCS).as_posix() not in text] == []


def test_the_citation_is_what_the_package_is() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == vitan.__version__
    assert citation["license"] == "MIT"
