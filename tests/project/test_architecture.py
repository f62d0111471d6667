"""The shape of the project: who may import whom, what stays light, and that the packaging names everything."""

from __future__ import annotations

import ast
import configparser
import json
import re
import subprocess
import sys
from collections.abc import Container, Iterator
from fnmatch import fnmatch
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import pytest

from vitan.registry.plugins import HEAVY

ROOT = Path(__file__).parents[2]
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg", encoding="utf-8")
FOLDERS = dict(line.split(" = ") for line in SETUP["options"]["package_dir"].strip().splitlines())
PLUGIN_PACKAGES = sorted(set(FOLDERS) - {"vitan"})
ENTRY_POINTS = [line.split(" = ") for line in SETUP["options.entry_points"]["vitan"].strip().splitlines()]


def sources(package: str) -> list[Path]:
    return sorted((ROOT / FOLDERS[package]).rglob("*.py"))


def module_name(package: str, path: Path) -> str:
    parts = path.relative_to(ROOT / FOLDERS[package]).with_suffix("").parts
    return ".".join([package, *(part for part in parts if part != "__init__")])


def imports_from(package: str, path: Path) -> Iterator[tuple[str, list[str]]]:
    """The absolute name of every module that a file imports, at its top or inside a function, and what it takes."""
    own = module_name(package, path).split(".")
    here = own if path.name == "__init__.py" else own[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, []) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else []
            yield ".".join([*base, *([node.module] if node.module else [])]), [alias.name for alias in node.names]


def imports(package: str, path: Path) -> Iterator[str]:
    return (name for name, _ in imports_from(package, path))


def imported_modules(package: str, path: Path, known: Container[str]) -> Iterator[str]:
    """Which of the known modules a file imports; ``from package import module`` counts for the module alone."""
    for base, names in imports_from(package, path):
        found = [inner if (inner := f"{base}.{name}") in known else base for name in names or [""]]
        yield from (name for name in found if name in known)


def forbidden(package: str, others: list[str]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sources(package)
        for name in imports(package, path)
        if name.split(".")[0] in others
    ]


# Who may import whom


def test_the_core_imports_no_plugin() -> None:
    assert forbidden("vitan", PLUGIN_PACKAGES) == []


@pytest.mark.parametrize("package", PLUGIN_PACKAGES)
def test_plugin_packages_never_import_one_another(package: Any) -> None:
    assert sources(package), "this package has no source at all"
    assert forbidden(package, [other for other in PLUGIN_PACKAGES if other != package]) == []


def test_relative_imports_stay_in_their_package() -> None:
    escaping = [
        f"{path.relative_to(ROOT)} line {node.lineno}"
        for package in FOLDERS
        for path in sources(package)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.level > len(path.relative_to(ROOT / FOLDERS[package]).parts)
    ]
    assert escaping == []


@pytest.mark.parametrize("package", FOLDERS)
def test_modules_do_not_import_in_circles(package: Any) -> None:
    """Not even for types alone."""
    paths = {module_name(package, path): path for path in sources(package)}
    leans_on = {name: set(imported_modules(package, path, paths)) - {name} for name, path in paths.items()}
    TopologicalSorter(leans_on).prepare()  # raises CycleError, which names the circle


def test_no_module_is_named_after_a_library() -> None:
    """``timm.py`` beside other modules would be found in place of timm by whatever runs in that folder."""
    libraries = {"timm", "torch", "open_clip", "clip", "numpy", "PIL", "cv2", "sklearn", "matplotlib", "pydantic"}
    allowed = {"clip"}  # a family of models; nothing here imports a library of that name
    found = [path.stem for package in FOLDERS for path in sources(package) if path.stem in libraries - allowed]
    assert found == []


def test_the_command_line_is_a_client_of_the_library() -> None:
    """No rule of a run lives there: it reaches the engine through ``vitan.api`` alone."""
    reaching = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sources("vitan")
        if "cli" in path.relative_to(ROOT / FOLDERS["vitan"]).parts
        for name in imports("vitan", path)
        if name.startswith("vitan.engine")
    }
    assert reaching == set()


# What stays light


def in_fresh_process(code: str, *folders: Path) -> str:
    path = [*map(str, folders), *(str((ROOT / folder).parent) for folder in FOLDERS.values()), *filter(None, sys.path)]
    start = f"import sys\nsys.path[:0] = {path!r}\n"
    done = subprocess.run([sys.executable, "-c", start + code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_plugin_modules_import_nothing_heavy() -> None:
    modules = [module for _, module in ENTRY_POINTS]
    code = f"""
import importlib, json
found = {{}}
for module in {["vitan", "vitan.registry.plugins", *modules]!r}:
    importlib.import_module(module)
    for name in {[*HEAVY, "numpy"]!r}:
        if name in sys.modules:
            found.setdefault(name, module)
print(json.dumps(found))
"""
    first_importer = json.loads(in_fresh_process(code))
    assert first_importer == {}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder in which a checkout looks installed: its entry points are found, whatever else is installed."""
    info = tmp_path / "vitan-99.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: vitan\nVersion: 99\n")
    lines = [f"{name} = {module}" for name, module in ENTRY_POINTS]
    (info / "entry_points.txt").write_text("\n".join(["[vitan]", *lines, ""]))
    return tmp_path


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["list"], ["list", "--json"]], ids=" ".join)
def test_commands_that_only_look_import_nothing_heavy(site: Any, arguments: Any) -> None:
    code = f"""
import io, json
from vitan.cli import main
real, sys.stdout = sys.stdout, io.StringIO()
try:
    main({arguments!r})
except SystemExit as leaving:
    assert not leaving.code, leaving.code
printed, sys.stdout = sys.stdout.getvalue(), real
print(json.dumps([printed, [name for name in {[*HEAVY, "numpy"]!r} if name in sys.modules]]))
"""
    printed, heavy = json.loads(in_fresh_process(code, site))
    assert printed.strip()
    assert heavy == []


def test_every_plugin_of_our_own_loads(site: Any) -> None:
    code = """
from vitan.registry.plugins import installed
mine = [loaded.where for loaded in installed().loaded if loaded.provider.version == "99"]
print(sorted(mine), [str(failure) for failure in installed().failures if failure.provider.version == "99"])
"""
    modules = sorted(module for _, module in ENTRY_POINTS)
    assert in_fresh_process(code, site).strip() == f"{modules} []"


# What the packaging names


def packages_in_the_tree() -> list[str]:
    return sorted(
        module_name(package, init) for package in FOLDERS for init in sources(package) if init.name == "__init__.py"
    )


def test_the_list_of_packages_is_the_tree() -> None:
    assert sorted(SETUP["options"]["packages"].split()) == packages_in_the_tree()


def test_every_module_with_a_hook_is_an_entry_point() -> None:
    def has_hook(path: Path) -> bool:
        functions = (node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if hasattr(node, "name"))
        marks = [ast.unparse(mark) for node in functions for mark in getattr(node, "decorator_list", ())]
        return any(mark.partition("(")[0].endswith("hookimpl") for mark in marks)

    with_hooks = [
        module_name(package, path) for package in PLUGIN_PACKAGES for path in sources(package) if has_hook(path)
    ]
    assert sorted(module for _, module in ENTRY_POINTS) == sorted(with_hooks)
    names = [name for name, _ in ENTRY_POINTS]
    assert len(set(names)) == len(names), "two entry points of one name"


def test_every_file_that_is_not_python_is_package_data() -> None:
    def is_named(package: str, path: Path) -> bool:
        patterns = SETUP["options.package_data"].get(package, "").split()
        relative = path.relative_to(ROOT / FOLDERS[package]).as_posix()
        return any(fnmatch(relative, pattern) for pattern in patterns)

    left_out = [
        str(path.relative_to(ROOT))
        for package, folder in FOLDERS.items()
        for path in sorted((ROOT / folder).rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".py" and not is_named(package, path)
    ]
    assert left_out == []


@pytest.mark.parametrize("package", FOLDERS)
def test_every_distribution_package_is_typed(package: Any) -> None:
    assert (ROOT / FOLDERS[package] / "py.typed").is_file()


def test_every_library_that_is_imported_is_a_dependency() -> None:
    """By the names under which they are imported, where those differ; some packages import what extras bring."""
    imported_as = {
        "opencv-python": "cv2",
        "pillow": "PIL",
        "scikit-learn": "sklearn",
        "open_clip_torch": "open_clip",
        "PyYAML": "yaml",
    }
    required = [line.partition(">")[0].strip() for line in SETUP["options"]["install_requires"].strip().splitlines()]
    known = (
        {imported_as.get(name, name.replace("-", "_")) for name in required} | set(FOLDERS) | sys.stdlib_module_names
    )
    extras = {
        name: {line.partition(">")[0].strip().replace("-", "_") for line in lines.strip().splitlines()}
        for name, lines in SETUP["options.extras_require"].items()
    }
    brought = {
        "vitan_executors": extras["dask"] | extras["ray"] | {"dask"},  # Dask itself comes with distributed
        "vitan_datasets": extras["shards"],
    }
    missing = {
        f"{path.relative_to(ROOT)} imports {name}"
        for package in FOLDERS
        for path in sources(package)
        for name in imports(package, path)
        if name.split(".")[0] not in known | brought.get(package, set())
    }
    assert missing == set()


def test_every_dependency_is_imported() -> None:
    """The other way round: nothing is installed on a user's machine for nothing."""
    imported_as = {
        "opencv-python": "cv2",
        "pillow": "PIL",
        "scikit-learn": "sklearn",
        "open_clip_torch": "open_clip",
        "PyYAML": "yaml",
    }
    required = [line.partition(">")[0].strip() for line in SETUP["options"]["install_requires"].strip().splitlines()]
    used = {name.split(".")[0] for package in FOLDERS for path in sources(package) for name in imports(package, path)}
    assert [name for name in required if imported_as.get(name, name.replace("-", "_")) not in used] == []


#: Public functions that our own code does not call, and why they are there.
FOR_OTHERS = {
    "evaluate_folder": "the official evaluation of a folder of masks, for whoever has one",
    "boundary_measure": "F of one object, the definition that the fast form for all objects is tested against",
}


def test_no_public_function_or_class_is_dead() -> None:
    """Each is used by other code, named in ``vitan.__all__``, a hook, a command, or listed above with a reason."""
    import vitan

    used: set[str] = set()
    defined: dict[str, Path] = {}
    for package in FOLDERS:
        for path in sources(package):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            for node in tree.body:
                if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
                    defined[node.name] = path
            for inner in ast.walk(tree):
                if isinstance(inner, ast.Name):
                    used.add(inner.id)
                elif isinstance(inner, ast.Attribute):
                    used.add(inner.attr)
                elif isinstance(inner, ast.Constant) and isinstance(inner.value, str) and len(inner.value) < 200:
                    used.update(re.findall(r"\w+", inner.value))
    hooks = {"vitan_models", "vitan_probes", "vitan_datasets", "vitan_importers", "vitan_recipes", "vitan_executors"}
    dead = {name for name in defined if name not in used} - set(vitan.__all__) - hooks - FOR_OTHERS.keys()
    assert dead == set()
