"""Outcomes read back from an output folder and the stored state, with no model, no weights and no forward pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..analysis.figures import Drawable
from ..analysis.probe import Probe, Recording
from ..anatomy import ModelInfo, TokenLayout
from ..data.samples import Dataset, Sample
from ..data.views import make_view
from ..engine.job import Analysis, analysis_of, open_dataset
from ..engine.loader import Skipped
from ..engine.plan import Plan, read_plan
from ..engine.runner import Outcome
from ..engine.store import Store
from ..errors import DataError, MismatchError, StoreError, VitanError
from ..options import Options
from ..registry.plugins import Plugins
from .folder import PLAN, read_provenance, read_result


def read_outcome(folder: Path, plugins: Plugins, store: Store) -> Outcome:
    """One analysis of one model, from what was written to ``folder``.

    Raises ``StoreError`` for a folder that an older version wrote or that is incomplete, naming the file, and for state
    that is no longer stored where the analysis needs it to compare models.
    """
    try:
        facts = read_provenance(folder)
        model = _model(facts["model"], plugins)
        units, place = facts["state"]["units"], facts["state"]["place"]
        result = read_result(folder, facts["headline"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{folder} is incomplete or of an older version ({error}); run it again") from error
    plan = read_plan(folder / PLAN)
    analysis = analysis_of(plan.analyses[0], plugins)
    patch = model.image_size // model.layout.grid[0]
    return Outcome(
        analysis=analysis,
        part=plan.models[0],
        weights=facts["weights"]["sha256"],
        origin=facts["weights"]["origin"],
        probe=_probe(analysis, model, units, store, folder) if analysis.compares else None,
        drawable=Drawable(
            model=model,
            options=analysis.options,
            result=result,
            dataset=_dataset(plan, plugins),
            dataset_name=facts["dataset"]["name"],
            view=make_view(place["view"], model.image_size, patch),
        ),
        images=(),
        skipped=tuple(Skipped(each["index"], each["why"]) for each in facts["skipped"]),
        reused=True,
        units=units,
        place=place,
    )


def check_alike(outcomes: Sequence[Outcome]) -> None:
    """Raise ``MismatchError``, naming all that differs, unless the models saw the same and were asked the same."""
    first = outcomes[0]
    for other in outcomes[1:]:
        mine, theirs = _facts(first), _facts(other)
        differing = [
            f"{name} ({mine.get(name)} and {theirs.get(name)})"
            for name in dict.fromkeys([*mine, *theirs])
            if mine.get(name) != theirs.get(name)
        ]
        if differing:
            raise MismatchError(
                f"{first.model.name} and {other.model.name} cannot be compared in {first.analysis.spec.name}: they "
                f"differ in {', '.join(differing)}; run one of them again like the other"
            )


_WORDS = {
    "fingerprint": "images",
    "images": "number of images",
    "size": "batch size",
    "seed": "order (seed)",
    "grouped": "order",
}


def _facts(outcome: Outcome) -> dict[str, Any]:
    """Whatever must agree, in the words of the user."""
    place = {_WORDS.get(name, name): value for name, value in outcome.place.items()}
    place["images left out"] = [skipped.index for skipped in outcome.skipped]
    return {**place, **outcome.analysis.options.model_dump(mode="json")}


def _model(facts: Mapping[str, Any], plugins: Plugins) -> ModelInfo:
    """What is known of the model; what older versions did not write is asked of its plugin, if that is installed."""
    layout, name = facts["layout"], str(facts["name"]).partition("@")[0]
    looks: dict[str, Any] = {}
    if "label" not in facts and plugins.models.providers(name):
        spec = plugins.models.get(name)
        looks = {"label": spec.label, "colour": spec.colour, "marker": spec.marker}
    return ModelInfo(
        **{
            **looks,
            **facts,
            "layout": TokenLayout(tuple(layout["prefix"]), (layout["grid"][0], layout["grid"][1])),
            "blocks": tuple(facts["blocks"]),
        }
    )


def _probe(
    analysis: Analysis, model: ModelInfo, units: Mapping[str, Sequence[str]], store: Store, folder: Path
) -> Probe:
    probe = analysis.kind(analysis.options, model)
    for name, keys in units.items():
        target: Recording = getattr(probe, name) if name else probe
        for number, key in enumerate(keys):
            unit = store.get(key)
            if unit is None:
                raise StoreError(
                    f"the state behind {folder} is no longer stored in {store.folder}; run it again, or set "
                    "VITAN_CACHE to where it is"
                )
            shard = type(target)(target.options, model) if number else target
            shard.load(unit.tensors)
            if number:
                target.merge(shard)
    return probe


class _Absent(Dataset):
    """Stands for a dataset that is not on this machine; only figures that show its pictures miss it."""

    Options = Options

    def __init__(self, why: VitanError) -> None:
        super().__init__(Options())
        self._why = why

    def __len__(self) -> int:
        return 0

    def __getitem__(self, index: int) -> Sample:
        raise DataError(f"a picture of the dataset is needed here: {self._why}")

    def fingerprint(self) -> str:
        return ""


def _dataset(plan: Plan, plugins: Plugins) -> Dataset:
    try:
        return open_dataset(plugins.datasets.get(plan.dataset.name), plan.dataset)
    except VitanError as error:
        return _Absent(error)
