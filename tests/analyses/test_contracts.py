"""The contract suite over everything that is registered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import golden
import spair
from vitan.registry.plugins import installed
from vitan.testing import check_dataset, check_model, check_probe
from vitan_datasets.imagenet50.reader import class_names

MODELS = {spec.name: spec for _, spec in installed().models}
PROBES = {spec.name: spec for _, spec in installed().probes}
TREES = {
    name: lambda _, tree=tree: {"root": golden.OWN / tree}
    for name, tree in (
        ("coco", "features_seg_data/coco"),
        ("partimagenet", "features_seg_data/pin"),
        ("davis2017", "downstream/davis"),
    )
}
DRAWN = {
    "shapes": lambda _: {"per_class": 8, "classes": 4, "size": 96},
    "shapes-video": lambda _: {"films": 2, "frames": 6, "height": 61, "width": 97},
}
DATASETS = {spec.name: spec for _, spec in installed().datasets}


def test_nothing_failed_to_load() -> None:
    assert installed().failures == []
    assert MODELS
    assert PROBES
    assert DATASETS


@pytest.mark.parametrize("name", MODELS)
def test_models_by_structure(name: Any) -> None:
    check_model(MODELS[name], forward=False)


def _by_running(spec: Any) -> Any:
    """Large architectures and fine grids take many seconds each: with ``-m large``."""
    large = spec.arch not in ("T", "S", "B") or spec.image_size // spec.patch > 16
    return pytest.param(spec.name, marks=[pytest.mark.large] if large else [])


@pytest.mark.parametrize("name", [_by_running(spec) for spec in MODELS.values()])
def test_models_by_running(name: Any) -> None:
    check_model(MODELS[name])


@pytest.mark.parametrize("name", PROBES)
def test_anchors_hold(name: str) -> None:
    assert PROBES[name].anchors, f"{name} brings no number that is known by mathematics"
    anchors = list(PROBES[name].anchors())
    assert len(anchors) >= 4
    assert len({what for what, *_ in anchors}) == len(anchors)
    for what, expected, got, tolerance in anchors:
        assert tolerance <= 1e-4, what
        assert got == pytest.approx(expected, abs=tolerance), what


@pytest.mark.parametrize("name", PROBES)
def test_probes(name: Any) -> None:
    options = {"knn": {"k": (1, 5)}}.get(name, {})  # the made-up bank is smaller than the usual k
    check_probe(PROBES[name], **options)


@pytest.mark.parametrize("name", DATASETS)
def test_datasets(name: Any, tmp_path: Path) -> None:
    own = {
        "folder": _folder,
        "imagenet": _imagenet,
        "imagenet50": _imagenet50,
        "roxford5k": lambda root: _revisited(root, "roxford5k"),
        "rparis6k": lambda root: _revisited(root, "rparis6k"),
        "spair71k": _spair71k,
    }
    make = {**own, **TREES, **DRAWN}.get(name, lambda _: {})
    check_dataset(DATASETS[name], **make(tmp_path))


def test_shapes_by_parts() -> None:
    check_dataset(DATASETS["shapes"], per_class=4, classes=2, size=96, masks="parts")


def _picture(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (20, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def _folder(root: Path) -> dict[str, object]:
    for i, name in enumerate(("bank/cat/1.png", "bank/dog/1.jpg", "query/cat/2.JPG")):
        _picture(root / name, i)
    return {"root": root}


def _imagenet50(root: Path) -> dict[str, object]:
    for i, wnid in enumerate(class_names()):
        for n in range(2):
            _picture(root / wnid / f"{wnid}_{n}.JPEG", 2 * i + n)
    return {"root": root, "per_class": 2}


def _spair71k(root: Path) -> dict[str, object]:
    return {"root": spair.write_tree(root)}


def _imagenet(root: Path) -> dict[str, object]:
    for i, name in enumerate(("train/n01440764/1.JPEG", "train/n01443537/2.JPEG", "val/n01440764/3.JPEG")):
        _picture(root / name, i)
    return {"root": root}


def _revisited(root: Path, name: str) -> dict[str, object]:
    for i, picture in enumerate(("a", "b", "q")):
        _picture(root / "jpg" / f"{picture}.jpg", i)
    entry = {"bbx": [0, 0, 9, 9], "easy": [0], "hard": [1], "junk": []}
    (root / f"gnd_{name}.json").write_text(json.dumps({"imlist": ["a", "b"], "qimlist": ["q"], "gnd": [entry]}))
    return {"root": root}
