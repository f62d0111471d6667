"""The command itself: help, names, plugins, errors."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

TOYS = Path(__file__).with_name("toys.py")
HEAVY = ("torch", "timm", "open_clip", "numpy", "matplotlib", "pydantic", "sklearn", "cv2", "PIL", "rich", "yaml")

CLASHING = """
from vitan import ModelSpec, hookimpl

@hookimpl
def vitan_models():
    yield ModelSpec(name="toy-A8", summary="another", family="toy", arch="A", patch=8, build=list)
"""


def _fresh(*args: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, which says at the end on stderr what it had imported."""
    code = (
        "import atexit, sys\n"
        f"atexit.register(lambda: print('HEAVY', *(m for m in {HEAVY!r} if m in sys.modules), file=sys.stderr))\n"
        "from vitan.cli import main\n"
        "main(sys.argv[1:], prog_name='vitan')\n"
    )
    path = os.pathsep.join(entry for entry in sys.path if entry)
    return subprocess.run(
        [sys.executable, "-c", code, *args],
        env={**os.environ, "PYTHONPATH": path, **(env or {})},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize(
    "args",
    [
        ("--version",),
        ("--help",),
        ("-p", str(TOYS), "list"),
        ("-p", str(TOYS), "list", "--json"),
        ("-p", str(TOYS), "list", "plugins"),
        ("completion", "zsh"),
        ("cache", "--help"),
        ("-p", str(TOYS), "run", "--help"),
        ("-p", str(TOYS), "run", "nothing-like-it"),
    ],
)
def test_light_commands_import_nothing_heavy(args: tuple[str, ...]) -> None:
    ran = _fresh(*args)
    assert ran.stderr.splitlines()[-1].strip() == "HEAVY", ran.stderr


def test_the_plugins_that_come_with_vitan_keep_list_light() -> None:
    """Only says something where vitan is installed with its entry points."""
    ran = _fresh("list", env={"VITAN_DISABLE_PLUGINS": ""})
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr.splitlines()[-1].strip() == "HEAVY", ran.stderr


def test_completion_of_names_is_light_and_knows_the_plugin_files() -> None:
    words = f"vitan -p {TOYS} run me"
    ran = _fresh(env={"_VITAN_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": "4"})
    assert ran.stdout.split() == ["plain,mean"]
    assert ran.stderr.splitlines()[-1].strip() == "HEAVY", ran.stderr


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["run", "--model", "TOY-"], ["toy-A8", "toy-B8", "toy-broken", "toy-W8"]),
        (["run", "mean", "-m", "toys"], ["toys:"]),
        (["run", "mean", "--dataset", "d"], ["dots"]),
        (["show", "o"], ["other"]),
        (["run", "mean", "--batch"], ["--batch-size"]),
    ],
)
def test_completion(words: list[str], expected: list[str]) -> None:
    from click.shell_completion import ShellComplete

    from vitan.cli import main

    completer = ShellComplete(main, {}, "vitan", "_VITAN_COMPLETE")
    items = completer.get_completions(["-p", str(TOYS), *words[:-1]], words[-1])
    assert [item.value for item in items] == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["run", "mean", "--ma"], ["--mass"]),
        (["run", "mean", "--sh"], ["--shard", "--shout"]),
        (["run", "mean", "--no-"], ["--no-shout"]),
        (["run", "mean", "-m", "toy-A8", "--batch-size", "3", "--mean."], ["--mean.limit"]),
        (["run", "mean", "other", "--"], ["--mean.mass", "--other.mass", "--kind"]),
        (["run", "mean", "--mass", "0.5", "--ca"], ["--cap"]),
        (["run", "mean", "--mass", "0.5", "--ma"], []),
        (["run", "mean", "--kind", ""], ["plain", "squared"]),
        (["run", "mean", "--kind", "sq"], ["squared"]),
        (["run", "mean", "--mass", "0.5", "-d", ""], ["dots"]),
        (["run", "mean", "--cap", ""], ["none"]),
        (["run", "mean", "-d", "dots", "--n"], ["--no-shout", "--n"]),
        (["run", "mean", "-d", "nowhere", "--lim"], ["--limit"]),
        (["run", "nothing", "--lim"], ["--limit"]),
        (["run", "--plan", "nowhere.yaml", "--lim"], ["--limit"]),
        (["export", "dots", "--n"], ["--n"]),
    ],
)
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_the_options_of_what_is_named(
    shell: str,
    words: list[str],
    expected: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from click.shell_completion import get_completion_class

    from vitan.cli import main

    line = ["vitan", "-p", str(TOYS), *words]
    monkeypatch.setenv("COMP_WORDS", " ".join(line[:-1] if shell == "fish" else line))
    monkeypatch.setenv("COMP_CWORD", line[-1] if shell == "fish" else str(len(line) - 1))
    kind = get_completion_class(shell)
    assert kind is not None
    found = kind(main, {}, "vitan", "_VITAN_COMPLETE").complete()
    values = {"bash": r"^\w+,(.*)$", "zsh": r"^plain\n(.*)$", "fish": r"^plain[,\n]([^\t\n]*)"}
    said = re.findall(values[shell], found, re.MULTILINE)
    if words[-1] == "--":
        assert set(expected) <= set(said)
    else:
        assert said == expected
    assert capsys.readouterr() == ("", "")


def test_completion_survives_a_bad_plugin_file() -> None:
    from click.shell_completion import ShellComplete

    from vitan.cli import main

    assert ShellComplete(main, {}, "vitan", "X").get_completions(["-p", "nothing.py", "show"], "") == []


def test_completion_scripts(bare: Any) -> None:
    for shell in ("zsh", "fish"):
        assert "_VITAN_COMPLETE" in bare("completion", shell).out
    assert bare("completion", "tcsh").code == 2


def test_alone_it_shows_help(bare: Any) -> None:
    ran = bare()
    assert (ran.code, ran.err) == (0, "")
    assert "Commands:" in ran.out
    assert ran.out == bare("--help").out


def test_version(bare: Any) -> None:
    import vitan

    assert bare("--version").out == f"vitan {vitan.__version__}\n"


def test_python_m_vitan() -> None:
    path = os.pathsep.join(entry for entry in sys.path if entry)
    command = [sys.executable, "-m", "vitan", "nonsense"]
    ran = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 2
    assert "Usage: vitan" in ran.stderr


def test_a_reader_that_stops_reading_is_no_error() -> None:
    path = os.pathsep.join(entry for entry in sys.path if entry)
    command = [sys.executable, "-m", "vitan", "-p", str(TOYS), "list"]
    read, write = os.pipe()
    os.close(read)
    ran = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": path}, stdout=write, stderr=subprocess.PIPE, text=True, timeout=120
    )
    os.close(write)
    assert ran.stderr == ""


def test_list_shows_names_summaries_and_providers(vitan: Any) -> None:
    out = vitan("list").out
    assert "models (5)" in out  # four models and a catalog
    assert "analyses (3)" in out
    assert "datasets (1)" in out
    row = next(line for line in out.splitlines() if "toy-A8" in line)
    assert row.split() == ["toy-A8", "two", "small", "blocks", "toys.py"]
    assert out.index("toy:") < out.index("toy-A8")
    assert "toys:tiny" in out
    only = vitan("list", "datasets").out
    assert "dots" in only
    assert "toy-A8" not in only


def test_list_json(vitan: Any) -> None:
    found = json.loads(vitan("list", "--json").out)
    assert set(found) == {"models", "analyses", "datasets"}
    first = found["models"][0]
    assert first["name"] == "toy-A8"
    assert first["aliases"] == ["toya"]
    assert first["provider"] == {"name": "toys.py", "version": ""}
    assert first["clash"] is False
    assert [each["name"] for each in found["analyses"]] == ["mean", "needy", "other"]
    assert found["datasets"][0]["licence"] == "CC0-1.0"


def test_list_json_of_plugins_has_the_failures(vitan: Any, install: Any) -> None:
    install("extra_broken", "import no_such_module_anywhere\n")
    found = json.loads(vitan("list", "plugins", "--json").out)["plugins"]
    assert [(each["module"].rpartition("/")[2], each["specs"]) for each in found] == [
        ("toys.py", 9),
        ("extra_broken", 0),
    ]
    assert found[1]["provider"] == {"name": "extra", "version": "2.0"}
    assert "no_such_module_anywhere" in found[1]["error"]


def test_a_failed_plugin_is_one_line_and_stops_nothing(vitan: Any, install: Any) -> None:
    install("extra_broken", "raise RuntimeError('two\\nlines')\n")
    install("extra_good", CLASHING)
    ran = vitan("list", "models")
    assert ran.code == 0
    assert ran.err.splitlines() == [
        "warning: plugin extra 2.0 (extra_broken) skipped: RuntimeError: two lines; 'vitan doctor' tells more"
    ]
    assert "another" in ran.out


def test_clashes_are_marked_and_can_be_told_apart(vitan: Any, install: Any) -> None:
    install("extra_good", CLASHING)
    out = vitan("list", "models").out
    assert out.count("clash") == 2
    assert "use extra:toy-A8" in out
    ran = vitan("show", "toy-a8")
    assert ran.code == 2
    assert "extra:toy-a8" in ran.err
    assert "another" in vitan("show", "extra:toy-A8").out


@pytest.mark.parametrize(("text", "why"), [(None, "no such file"), ("x = 1\n", "no hook"), ("1 +", "SyntaxError")])
def test_a_plugin_file_that_cannot_be_used_is_an_error(bare: Any, tmp_path: Path, text: str | None, why: str) -> None:
    file = tmp_path / "mine.py"
    if text is not None:
        file.write_text(text)
    ran = bare("-p", file, "list")
    assert ran.code == 1
    assert ran.err.startswith(f"error: plugin file {file}")
    assert why in ran.err


@pytest.mark.parametrize(("setting", "coloured"), [("", True), ("1", False)])
def test_no_color_keeps_the_terminal_plain(
    vitan: Any, monkeypatch: pytest.MonkeyPatch, setting: str, coloured: bool
) -> None:
    monkeypatch.setenv("NO_COLOR", setting)
    monkeypatch.setattr("click.utils.should_strip_ansi", lambda stream, color: color is False)  # as on a terminal
    assert ("\x1b[31m" in vitan("show", "nothing-of-this-name").err) == coloured


@pytest.mark.parametrize("error", [ZeroDivisionError("by\n\x1b[31mzero"), EOFError("no more"), OSError(5, "worn out")])
@pytest.mark.parametrize("debug", [(), ("--debug",)])
def test_a_bug_is_one_line_and_its_traceback_only_for_debug(
    vitan: Any, monkeypatch: pytest.MonkeyPatch, error: Exception, debug: tuple[str, ...]
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(sys.modules["vitan.cli.commands.show"], "_find", fail)
    ran = vitan("show", "mean", *debug)
    assert ran.code == 1
    *frames, line = ran.err.splitlines()
    assert line.startswith(f"error: vitan has a bug here ({type(error).__name__}: ")
    assert "--debug" in line
    assert ("Traceback" in "".join(frames)) == bool(debug)
    assert bool(frames) == bool(debug)
    assert "\x1b" not in ran.err


def test_show_an_analysis(vitan: Any) -> None:
    out = vitan("show", "MEAN").out
    assert "mean · analysis · toys.py" in out
    assert "The mean of what a block puts out." in out
    assert "Nothing that anyone" not in out
    assert "--mass NUMBER  [default: 0.6; 0 < mass <= 1]" in out
    assert "--kind plain|squared  [default: plain]" in out
    assert "--only INTEGER,…  [default: none]" in out
    assert "nobody, 2020" in out


def test_show_a_model(vitan: Any) -> None:
    out = vitan("show", "toya").out
    assert "toy-A8 · model" in out
    assert "ViT-Toy, patch 8, image size 32" in out
    assert "toya" in out
    assert "a paper about toys" in out
    assert "none: the model is used as it is built" in out
    out = vitan("show", "toy-W8").out
    assert "https://example.org/toy.pth" in out
    assert "1.5 MB, licence MIT, sha256 000" in out
    assert "not yet" in out
    assert "own state dict" in out


def test_show_a_dataset_and_a_catalog(vitan: Any) -> None:
    out = vitan("show", "dots").out
    assert "CC0-1.0" in out
    assert "--n INTEGER  [default: 6; 0 <= n <= 400]" in out
    assert "--model toys:tiny" in vitan("show", "toys").out
    assert "toys-tiny · model · toys.py" in vitan("show", "toys:tiny").out
    ran = vitan("show", "toys:huge")
    assert ran.code == 2
    assert "toys have no 'huge'" in ran.err


def test_show_everything_of_that_name(vitan: Any, install: Any) -> None:
    install(
        "extra_same",
        "from vitan import DatasetSpec, hookimpl\n"
        "def load():\n    from vitan.data.samples import Dataset\n    return Dataset\n"
        "@hookimpl\ndef vitan_datasets():\n    yield DatasetSpec(name='mean', summary='a dataset', load=load)\n",
    )
    out = vitan("show", "mean").out
    assert out.index("mean · analysis · toys.py") < out.index("mean · dataset · extra 2.0")
    assert "options  none" in out


def test_show_json(vitan: Any) -> None:
    (about,) = json.loads(vitan("show", "mean", "--json").out)
    assert about["kind"] == "analysis"
    assert about["options"][0] == {
        "flag": "--mass",
        "type": "NUMBER",
        "required": False,
        "default": 0.6,
        "allowed": "0 < mass <= 1",
        "description": "share of the attention that counts",
        "note": "[default: 0.6; 0 < mass <= 1]",
    }


def test_show_what_does_not_exist(vitan: Any) -> None:
    ran = vitan("show", "meen")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "error: nothing is called 'meen'. Did you mean mean? 'vitan list' shows all names.\n"
