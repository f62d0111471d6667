"""Full disks and runs that are told to end: a message, nothing half-written, and what was computed is kept."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

RUN = ("run", "mean", "-m", "toy-A8", "-d", "dots")
FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
TOYS = Path(__file__).with_name("toys.py")

#: Everything that writes below a results folder: the name of the file, and the function that meets the full disk.
WRITES = [
    ("results/toy-A8/dots/mean", "vitan.results.write.write_result"),
    ("results/toy-A8/dots/mean", "vitan.results.write._images"),
    ("results/toy-A8/dots/mean", "vitan.results.folder.np.savez_compressed"),
    ("results/records.csv", "vitan.results.folder.write_text"),
    ("results/toy-A8/dots/mean/overview.png", "vitan.results.drawing.write_pixels"),
]


def _full(*_: Any, **__: Any) -> None:
    raise FULL


@pytest.mark.parametrize(("named", "function"), WRITES)
def test_every_write_names_the_file_and_the_way_out(
    vitan: Any, monkeypatch: pytest.MonkeyPatch, named: str, function: str
) -> None:
    monkeypatch.setattr(function, _full)
    ran = vitan(*RUN)
    assert ran.code == 1
    assert f"{named}: cannot be written (No space left on device)" in ran.err
    assert "write elsewhere (-o FOLDER)" in ran.err
    assert "Traceback" not in ran.err
    assert list(Path("results").rglob(".*")) == []


def test_what_was_computed_is_kept_when_the_disk_is_full(vitan: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("vitan.results.write.write_result", _full)
        assert vitan(*RUN).code == 1
    again = vitan(*RUN)
    assert again.code == 0
    assert "reused stored state" in again.err


def test_a_comparison_that_does_not_fit_is_named_and_takes_nothing_with_it(
    vitan: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vitan.results import write

    real = write.replacing_folder

    def full_between(path: Path) -> Any:
        if "comparison" in path.parts:
            raise FULL
        return real(path)

    monkeypatch.setattr(write, "replacing_folder", full_between)
    ran = vitan(*RUN, "-m", "toy-B8")
    assert ran.code == 1
    assert "results/comparison/dots/mean: cannot be written (No space left on device)" in ran.err
    assert {path.name for path in Path("results").glob("toy-*")} == {"toy-A8", "toy-B8"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("args", [("list",), ("--help",), ("show", "mean"), ("list", "--json")], ids=" ".join)
def test_output_that_cannot_be_written_is_one_line(args: tuple[str, ...]) -> None:
    path = os.pathsep.join(entry for entry in sys.path if entry)
    command = [sys.executable, "-m", "vitan", "-p", str(TOYS), *args]
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(
            command, env={**os.environ, "PYTHONPATH": path}, stdout=full, stderr=subprocess.PIPE, text=True, timeout=120
        )
    assert ran.returncode == 1
    assert ran.stderr == "error: the output cannot be written: No space left on device\n"


def test_being_told_to_end_is_an_interruption(vitan: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGTERM in the middle of writing: code 130, a line, no half-written folder, and the handler is put back."""
    before = signal.getsignal(signal.SIGTERM)

    def told_to_end(*_: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr("vitan.results.write._images", told_to_end)
    ran = vitan(*RUN)
    assert ran.code == 130
    assert ran.err.splitlines()[-1] == "interrupted; finished parts are kept, run the same command to go on"
    assert [path for path in Path("results").rglob("*") if path.is_file()] == []
    assert signal.getsignal(signal.SIGTERM) is before
