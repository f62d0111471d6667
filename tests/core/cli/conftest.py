from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

import pytest

TOYS = Path(__file__).with_name("toys.py")
#: Whatever else is installed here must not show up in these tests.
INSTALLED = sorted({d.name for d in distributions() for point in d.entry_points if point.group == "vitan"})


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


Vitan = Callable[..., Ran]


@pytest.fixture(autouse=True)
def _isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache, a working folder and a terminal of the test's own, and none of the plugins that are installed."""
    monkeypatch.setenv("VITAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("VITAN_DISABLE_PLUGINS", ",".join(INSTALLED))
    monkeypatch.setenv("VITAN_OFFLINE", "1")
    monkeypatch.setenv("COLUMNS", "80")
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)


@pytest.fixture
def bare(capsys: pytest.CaptureFixture[str]) -> Vitan:
    """The command in this process, without any plugin."""
    from vitan.cli import main

    def run(*args: object) -> Ran:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main([str(arg) for arg in args], prog_name="vitan")
        said = capsys.readouterr()
        return Ran(int(left.value.code or 0), said.out, said.err)

    return run


@pytest.fixture
def vitan(bare: Vitan) -> Vitan:
    """The command with the toys."""
    return lambda *args: bare("-p", TOYS, *args)


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Install a module of that text as a plugin of a distribution ``extra`` 2.0."""

    def make(module: str, text: str) -> None:
        site = tmp_path / "site"
        info = site / "extra-2.0.dist-info"
        info.mkdir(parents=True, exist_ok=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: extra\nVersion: 2.0\n")
        (site / f"{module}.py").write_text(text)
        with (info / "entry_points.txt").open("a") as file:
            file.write("" if file.tell() else "[vitan]\n")
            file.write(f"{module} = {module}\n")
        monkeypatch.delitem(sys.modules, module, raising=False)
        monkeypatch.syspath_prepend(str(site))

    return make
