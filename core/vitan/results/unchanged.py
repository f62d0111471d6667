"""Whether the figures of a folder are those that would be drawn now: a digest of all that a drawing depends on."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..analysis.records import Result
from ..analysis.tables import to_csv
from ..engine.runner import Outcome
from .findings import Finding

if TYPE_CHECKING:
    from hashlib import _Hash

_CORE = __name__.partition(".")[0]
#: What draws and writes pictures besides the code of vitan and of plugins.
_LIBRARIES = ("matplotlib", "numpy", "pillow")


def figures_key(findings: Sequence[Finding], outcomes: Sequence[Outcome], result: Result | None = None) -> str:
    """The digest of whatever figures of these are made from; ``result`` is what was found between several.

    It is empty where that cannot be told: whatever a plugin raises here, it raises again, by name, where it draws.
    """
    try:
        facts = {
            "of": [_of_outcome(finding, outcome) for finding, outcome in zip(findings, outcomes, strict=True)],
            "between": None if result is None else _of_result(result),
            "libraries": {name: version(name) for name in _LIBRARIES},
            "look": _look(),
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()
    except Exception:
        return ""


def _of_outcome(finding: Finding, outcome: Outcome) -> dict[str, Any]:
    """One model's part. Pictures of a dataset that was not run just now may have changed since, and are looked at."""
    drawable, analysis = outcome.drawable, outcome.analysis
    dataset = drawable.dataset
    return {
        "model": asdict(drawable.model),
        "result": _of_result(drawable.result),
        "analysis": [analysis.spec.name, analysis.kind.version, analysis.provider, analysis.spec.source],
        "options": analysis.options.model_dump(mode="json"),
        "code": _code_of(analysis.spec.figures, analysis.spec.comparison, analysis.kind, type(dataset)),
        "dataset": [drawable.dataset_name, finding.job.fingerprint if finding.job else dataset.fingerprint()],
        "words": [list(dataset.classes()), sorted(dataset.categories().items())],
        "view": [drawable.view.name, repr(outcome.place)],
    }


def _of_result(result: Result) -> str:
    digest = hashlib.sha256(to_csv(result.records).encode("utf-8", "surrogatepass"))
    digest.update(repr((sorted(result.axes.items()), result.headline)).encode("utf-8", "surrogatepass"))
    _add_arrays(digest, result.arrays)
    for models, arrays in result.between.items():
        digest.update(repr(models).encode("utf-8", "surrogatepass"))
        _add_arrays(digest, arrays)
    return digest.hexdigest()


def _add_arrays(digest: _Hash, arrays: Mapping[str, Any]) -> None:
    for name, array in sorted(arrays.items()):
        whole = np.ascontiguousarray(array)
        digest.update(repr((name, whole.dtype.str, whole.shape)).encode("utf-8", "surrogatepass"))
        digest.update(whole.tobytes())


def _code_of(*parts: object) -> dict[str, str]:
    """The code that these, and vitan itself, are made of: the digest of each package, by its name."""
    modules = {str(getattr(part, "__module__", "")) for part in parts if part is not None} | {_CORE}
    return {module: _code(module.partition(".")[0]) for module in sorted(modules)}


@cache
def _code(package: str) -> str:
    """The digest of all Python files of a package, or of a single module; a version may be that of code at work."""
    module = sys.modules.get(package)
    files = [path for folder in getattr(module, "__path__", ()) for path in Path(folder).rglob("*.py")]
    alone = getattr(module, "__file__", None)
    digest = hashlib.sha256()
    for path in sorted(files) or ([Path(alone)] if alone else []):
        digest.update(str(path).encode("utf-8", "surrogatepass"))
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _look() -> str:
    """What a user or a system gives matplotlib: its settings, and the fonts that there are."""
    from matplotlib import rcParams
    from matplotlib.font_manager import fontManager

    settings = [(name, repr(rcParams[name])) for name in rcParams if "backend" not in name]
    fonts = sorted((font.name, font.fname) for font in fontManager.ttflist)
    return hashlib.sha256(repr((settings, fonts)).encode("utf-8", "surrogatepass")).hexdigest()
