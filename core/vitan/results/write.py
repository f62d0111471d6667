"""The output folder: per model, dataset and analysis the plan, the records, the arrays, the figures and the provenance.

results/records.csv                                all records of the folder
results/MODEL/DATASET/ANALYSIS/plan.yaml           what was asked for; ``vitan run --plan`` takes it
results/MODEL/DATASET/ANALYSIS/records.csv
results/MODEL/DATASET/ANALYSIS/arrays.npz          with the names of the axes in arrays.json
results/MODEL/DATASET/ANALYSIS/images.csv          which image each position of the arrays' image axes is
results/MODEL/DATASET/ANALYSIS/provenance.json
results/MODEL/DATASET/ANALYSIS/*.png, *.svg, *.gif, and files in other formats that an analysis writes
results/comparison/DATASET/ANALYSIS/*.png, *.svg   where several models were run together
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..analysis.figures import Animation, Drawing, File, Picture, Plot
from ..analysis.records import SCHEMA, Result
from ..analysis.tables import from_csv, to_csv
from ..engine.job import Job
from ..engine.plan import AnalysisPlan, Plan
from ..engine.runner import Outcome, filled
from ..files import replacing_folder, slug, write_text
from .provenance import provenance

_DPI = 160  # or more, where a figure asks for it
_MARGIN = 0.1  # inches around a figure
_NAMED = 200_000  # so many images are listed by name


@dataclass(frozen=True)
class Written:
    """A finished folder and the pictures in it."""

    folder: Path
    figures: tuple[Path, ...]


def write_outcome(outcome: Outcome, job: Job, folder: Path, *, figures: bool = True) -> Written:
    """Write one analysis of one model below ``folder``; an older one of the same name is replaced as a whole."""
    target = folder / slug(outcome.model.name) / slug(job.dataset_name) / outcome.analysis.spec.name
    with replacing_folder(target) as new:
        (new / "plan.yaml").write_text(_own_plan(outcome, job).to_yaml(), encoding="utf-8")
        _write_result(outcome.result, new)
        if len(outcome.images) <= _NAMED:
            (new / "images.csv").write_text(_images(outcome, job), encoding="utf-8")
        (new / "provenance.json").write_text(json.dumps(_provenance(outcome, job), indent=1) + "\n", encoding="utf-8")
        draw = outcome.analysis.spec.figures
        names = _save(draw()([outcome.drawable]), new) if figures and draw else ()
    return Written(target, tuple(target / name for name in names))


def write_comparisons(outcomes: Sequence[Outcome], folder: Path, *, figures: bool = True) -> tuple[Path, ...]:
    """Write what each analysis finds between the models that it was run on together; nothing for a single model.

    Returns the pictures.
    """
    written: list[Path] = []
    by_analysis: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        by_analysis.setdefault(outcome.analysis.spec.name, []).append(outcome)
    for name, group in by_analysis.items():
        result = _compare(group) if len(group) > 1 else None
        drawings = _draw_comparison(group, result) if figures and len(group) > 1 else ()
        if result is None and not drawings:
            continue
        target = folder / "comparison" / slug(group[0].drawable.dataset_name) / name
        with replacing_folder(target) as new:
            if result is not None:
                _write_result(result, new)
            names = _save(drawings, new)
        written += [target / file for file in names]
    return tuple(written)


def _images(outcome: Outcome, job: Job) -> str:
    """A line for each image that was seen, with the name of its class."""
    out, classes = io.StringIO(), job.dataset.classes()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("index", "id", "label", "class", "role", "group"))
    for image in outcome.images:
        known = image.label is not None and image.label < len(classes)
        name = classes[image.label] if known and image.label is not None else ""
        label = "" if image.label is None else image.label
        writer.writerow((image.index, image.id, label, name, image.role, image.group))
    return out.getvalue()


def _compare(group: Sequence[Outcome]) -> Result | None:
    first, probes = group[0], [outcome.probe for outcome in group if outcome.probe is not None]
    result = first.analysis.kind.compare(probes) if probes else None
    if result is None:
        return None
    weights = {outcome.model.name: outcome.weights for outcome in group}
    common = {"dataset": first.drawable.dataset_name, "view": first.drawable.view.name}
    common["fingerprint"] = first.result.records[0].fingerprint
    records = filled(result.records, first.analysis, n=first.n, **common)
    return replace(result, records=tuple(replace(record, weights=weights[record.model]) for record in records))


def _draw_comparison(group: Sequence[Outcome], result: Result | None) -> list[Drawing]:
    drawables, spec = [outcome.drawable for outcome in group], group[0].analysis.spec
    if result is not None and spec.comparison:
        return list(spec.comparison()(drawables, result))
    return list(spec.figures()(drawables)) if spec.figures and spec.comparison is None else []


def _write_result(result: Result, folder: Path) -> None:
    (folder / "records.csv").write_text(to_csv(result.records), encoding="utf-8")
    arrays: dict[str, Any] = dict(result.arrays)
    axes: dict[str, dict[str, Any]] = {
        name: {"shape": list(array.shape), "axes": list(result.axes.get(name, ()))} for name, array in arrays.items()
    }
    for number, (models, pair) in enumerate(result.between.items()):
        for name, array in pair.items():
            key, shape = f"{name}.{number}", {"shape": list(array.shape), "axes": list(result.axes.get(name, ()))}
            arrays[key], axes[key] = array, {**shape, "name": name, "between": list(models)}
    np.savez_compressed(folder / "arrays.npz", **arrays)
    (folder / "arrays.json").write_text(json.dumps(axes, indent=1) + "\n", encoding="utf-8")


def write_root(folder: Path) -> Path:
    """Gather all records below ``folder`` into ``records.csv`` at its root; tables of older versions are upgraded."""
    paths = sorted(folder.glob("*/*/*/records.csv"))
    records = [record for path in paths for record in from_csv(path.read_text(encoding="utf-8"))]
    write_text(folder / "records.csv", to_csv(records))
    return folder / "records.csv"


def _save(drawings: Iterable[Drawing], folder: Path) -> tuple[str, ...]:
    """Save everything; returns the names of the pictures."""
    names: list[str] = []
    for drawing in drawings:
        if isinstance(drawing, File):
            _save_file(drawing, folder)
        else:
            names.append(_save_one(drawing, folder / slug(drawing.name)).name)
    return tuple(names)


def _save_file(drawing: File, folder: Path) -> None:
    path = folder.joinpath(*(slug(part) for part in drawing.name.split("/")))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(drawing.content)


def _save_one(drawing: Plot | Picture | Animation, stem: Path) -> Path:
    """Save and return the picture to show; names may hold dots, so suffixes are appended, not replaced."""
    png, svg, gif = (stem.with_name(f"{stem.name}.{suffix}") for suffix in ("png", "svg", "gif"))
    if isinstance(drawing, Plot):
        figure = drawing.figure
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # laid out once for both files: laying out takes longer than drawing
        box = figure.get_tightbbox().padded(_MARGIN)
        figure.savefig(png, dpi=max(_DPI, figure.dpi), bbox_inches=box, metadata={"Software": None})
        figure.savefig(svg, bbox_inches=box, metadata={"Date": None})
        return png
    if isinstance(drawing, Picture):
        Image.fromarray(drawing.pixels).save(png, optimize=True)
        return png
    return _save_animation(drawing, gif)


def _save_animation(drawing: Animation, path: Path) -> Path:
    # One palette for all frames, and no dither: what stands still must not flicker, and then takes no space.
    palette, plain = Image.fromarray(np.concatenate(drawing.frames)).quantize(), Image.Dither.NONE
    first, *rest = (Image.fromarray(frame).quantize(palette=palette, dither=plain) for frame in drawing.frames)
    milliseconds = round(1000 * drawing.seconds_per_frame)
    first.save(path, save_all=True, append_images=rest, duration=milliseconds, loop=0)
    return path


def _own_plan(outcome: Outcome, job: Job) -> Plan:
    """The part of the plan that made this outcome, with all options written out and paths that hold in any folder."""
    analysis = AnalysisPlan(name=outcome.analysis.spec.name, options=outcome.analysis.options.model_dump(mode="json"))
    part, dataset = outcome.part, job.plan.dataset
    if part.weights is not None:
        part = part.model_copy(update={"weights": part.weights.expanduser().absolute()})
    paths = {name: value for name, value in vars(job.dataset.options).items() if isinstance(value, Path)}
    whole = {name: str(path.expanduser().absolute()) for name, path in paths.items()}
    dataset = dataset.model_copy(update={"options": {**dataset.options, **whole}})
    return job.plan.model_copy(update={"analyses": (analysis,), "models": (part,), "dataset": dataset})


def _provenance(outcome: Outcome, job: Job) -> dict[str, object]:
    model = outcome.model
    return {
        "model": asdict(model),
        "weights": {"sha256": outcome.weights, "origin": outcome.origin},
        "probe": {"name": outcome.analysis.spec.name, "version": outcome.analysis.kind.version},
        "provider": outcome.analysis.provider,
        "plan_sha256": _own_plan(outcome, job).digest(),
        "dataset": {"name": job.dataset_name, "fingerprint": job.fingerprint, "images": job.n},
        "skipped": [{"index": skipped.index, "why": skipped.why} for skipped in outcome.skipped],
        "headline": list(outcome.result.headline),
        "state": {**asdict(outcome.seen), "reused": outcome.reused},
        "schema": SCHEMA,
        **provenance(job.plan.device),
    }
