"""Plugins that are one Python file: known by what is in them, since a file has neither a distribution nor a version."""

from __future__ import annotations

import hashlib
import importlib.machinery
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

_PREFIX = "vitan_file_plugin_"


def import_file(path: Path) -> tuple[ModuleType, str]:
    """Run a file as a module, and return it with the sha256 of what was run.

    The digest is in the module's name, so that neither another file of the same name nor an older state of the same
    file takes its place. Raises whatever the file raises, ``FileNotFoundError`` and ``ImportError``.
    """
    if not path.is_file():
        raise FileNotFoundError("there is no such file")
    content = path.read_bytes()
    source = hashlib.sha256(content).hexdigest()
    name = f"{_PREFIX}{path.stem}_{source}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or not isinstance(spec.loader, importlib.machinery.SourceFileLoader):
        raise ImportError("it is not a Python file; the name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # so that what it defines can be pickled
    # not by the loader, which may have kept the code of an older file of the same size and time
    exec(spec.loader.source_to_code(content, str(path)), module.__dict__)
    return module, source


def source_of(kind: type) -> str:
    """The sha256 of the plugin file that defines a class; empty for one of an installed package."""
    return kind.__module__.rpartition("_")[2] if kind.__module__.startswith(_PREFIX) else ""
