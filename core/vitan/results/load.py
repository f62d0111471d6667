"""Findings read back from a results folder: numbers without torch, figures and states only when they are asked for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..analysis.records import Result
from ..errors import StoreError
from .findings import Comparison, Finding
from .folder import pictures_of, read_provenance, read_result

if TYPE_CHECKING:
    from ..engine.runner import Outcome
    from ..registry.plugins import Plugins


def load_finding(folder: Path, plugins: Plugins | None = None) -> Finding:
    """One analysis of one model, from its folder; raises ``StoreError`` for one that is incomplete, naming it."""
    facts = read_provenance(folder)
    try:
        skipped = tuple((image["index"], image["why"]) for image in facts["skipped"])
        return Finding(
            analysis=facts["probe"]["name"],
            model=facts["model"]["name"],
            dataset=facts["dataset"]["name"],
            n=facts["dataset"]["images"] - len(skipped),
            weights=facts["weights"]["sha256"],
            origin=facts["weights"]["origin"],
            skipped=skipped,
            folder=folder,
            pictures=pictures_of(folder),
            load=lambda: _read(folder, tuple(facts["headline"])),
            load_outcome=lambda: _outcome(folder, plugins),
        )
    except (KeyError, TypeError) as error:
        raise StoreError(f"{folder} is incomplete or of an older version ({error!r}); run it again") from error


def load_comparison(folder: Path) -> Comparison:
    """What an analysis found between models, from its folder."""
    result = _read(folder)
    models = dict.fromkeys(name for record in result.records for name in (record.model, record.other))
    dataset = result.records[0].dataset if result.records else folder.parent.name
    return Comparison(
        analysis=folder.name,
        dataset=dataset,
        models=tuple(models),
        result=result,
        folder=folder,
        pictures=pictures_of(folder),
    )


def _read(folder: Path, headline: tuple[str, ...] = ()) -> Result:
    try:
        return read_result(folder, headline)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{folder} is incomplete or of an older version ({error}); run it again") from error


def _outcome(folder: Path, plugins: Plugins | None) -> Outcome:
    from ..engine.store import Store
    from ..files import states_dir
    from ..registry.plugins import installed
    from .read import read_outcome

    return read_outcome(folder, plugins or installed(), Store(states_dir()))
