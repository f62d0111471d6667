"""From the drawn world through files in published layouts, their readers and the analyses, and back to its numbers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from PIL import Image

from toys import outcomes_of
from vitan import ModelSpec, hookimpl
from vitan.engine.job import prepare
from vitan.engine.passes import Pass
from vitan.engine.plan import make_plan
from vitan.engine.store import Store
from vitan.errors import DataError
from vitan.models.model import Model
from vitan.registry.names import Provider
from vitan.registry.plugins import Plugins
from vitan_analyses.regions.token_masks import TokenMasks
from vitan_datasets.shapes.films import ShapesVideo, ShapesVideoOptions
from vitan_datasets.shapes.pictures import Shapes, ShapesOptions

WORLD = {"per_class": 5, "classes": 5, "size": 64}
FILMS = {"films": 2, "frames": 4, "height": 40, "width": 56}
COUNT, DEEP = 25, 12


def _build(depth: Any, seed: Any) -> Any:
    def build() -> Any:
        import torch
        from timm.models.vision_transformer import VisionTransformer

        torch.manual_seed(seed)
        return VisionTransformer(img_size=32, patch_size=8, embed_dim=16, depth=depth, num_heads=2, num_classes=0)

    return build


class Tiny:
    """As a plugin: two small models and a deep one."""

    @hookimpl
    def vitan_models(self) -> Iterator[Any]:
        for name, depth, seed in (("tiny-A8", 2, 0), ("tiny-B8", 2, 1), ("tiny-D8", DEEP, 2)):
            about = {"summary": "tiny", "family": "tiny", "arch": "A", "patch": 8, "image_size": 32}
            yield ModelSpec(name=name, build=_build(depth, seed), **about)


@pytest.fixture(scope="module")
def plugins() -> Any:
    found = Plugins()
    found.load_installed()
    found.register(Provider("tiny", "1.0"), "tiny", Tiny())
    return found


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Each layout, written when it is first asked for."""
    layouts = {
        **Shapes(ShapesOptions(**WORLD)).layouts(),
        **ShapesVideo(ShapesVideoOptions(**FILMS)).layouts(),
    }
    made: dict[str, Path] = {}

    def write(layout: str) -> Path:
        if layout not in made:
            made[layout] = tmp_path_factory.mktemp(layout)
            layouts[layout](made[layout])
        return made[layout]

    return write


@pytest.fixture
def copied(written: Any, tmp_path: Path) -> Any:
    """A copy of a layout, to be broken."""
    return lambda layout: Path(shutil.copytree(written(layout), tmp_path / layout))


@pytest.fixture
def run(plugins: Any, tmp_path: Path) -> Any:
    """Run analyses and return the outcomes by model and analysis."""

    def run(analyses: Any, dataset: Any, options: Any, models: Any = ("tiny-A8",), **settings: Any) -> Any:
        content = {
            "analyses": [{"name": name, "options": each} for name, each in analyses.items()],
            "models": [{"name": name} for name in models],
            "dataset": {"name": dataset, "options": options},
            **settings,
        }
        job = prepare(make_plan(content, "test"), plugins)
        found = {}
        for number, model in enumerate(models):
            for outcome in outcomes_of(job, number, Store(tmp_path / "store"), Mock()):
                found[model, outcome.analysis.spec.name] = outcome
        return found

    return run


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The passes that compute, as (model, view, forwarded windows)."""
    found, passed, forward = [], Pass.run, Model.forward

    def counted(self: Any) -> Any:
        before = len(found)
        result = passed(self)
        windows = found[before:]
        found[before:] = [(self.model.info.name, self.view.name, sum(windows))] if windows else []
        return result

    def forwarded(self: Any, pixels: Any) -> Any:
        found.append(len(pixels))
        return forward(self, pixels)

    monkeypatch.setattr(Pass, "run", counted)
    monkeypatch.setattr(Model, "forward", forwarded)
    monkeypatch.setattr(Model, "check_recording", lambda *_, **__: None)
    return found


def _value(outcome: Any, metric: Any, block: Any) -> Any:
    """Over all heads; of CLS where the metric is of several tokens."""
    records = [r for r in outcome.result.records if (r.metric, r.block, r.head) == (metric, block, None)]
    (found,) = (r.value for r in records if r.token == "cls" or len(records) == 1)
    return found


MASKS = {"saliency": {}, "segments": {}, "attention": {}, "segments-dense": {}}


def test_coco_through_files_costs_one_pass_in_each_view_and_tells_the_same(
    run: Any, written: Any, passes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, real = [], TokenMasks.prepare

    def counted(self: Any, sample: Any, placement: Any, grid: Any, view: Any) -> Any:
        made.append((sample.id, view.name))
        return real(self, sample, placement, grid, view)

    monkeypatch.setattr(TokenMasks, "prepare", counted)
    models = ("tiny-A8", "tiny-B8")
    files = run(MASKS, "coco", {"root": written("coco")}, models)
    assert [(model, view) for model, view, _ in passes] == [(m, v) for m in models for v in ("crop", "dense")]
    assert [windows for _, view, windows in passes if view == "crop"] == [COUNT, COUNT]
    assert len(made) == len(set(made)) == 2 * COUNT  # once for both models, in each view
    again = run(MASKS, "coco", {"root": written("coco")}, models)
    assert len(passes) == 4
    assert all(outcome.reused for outcome in again.values())
    drawn = run(MASKS, "shapes", WORLD, models)
    for model in models:
        for block in (0, 1):
            for analysis, metric, far in (
                ("saliency", "iou-best-head-per-image", 0.02),
                ("attention", "attention-distance", 0.001),
            ):
                mine, theirs = (_value(each[model, analysis], metric, block) for each in (drawn, files))
                assert theirs == pytest.approx(mine, abs=far)


def test_neighbours_of_lossless_pictures_are_the_same(run: Any, written: Any, tmp_path: Path) -> None:
    world = Shapes(ShapesOptions(**WORLD))
    for index in range(COUNT):
        sample = world[index]
        path = tmp_path / "tree" / sample.role / f"{sample.id}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(written("folder") / f"{sample.id}.png", path)
    files = run({"knn": {}}, "folder", {"root": tmp_path / "tree"})["tiny-A8", "knn"]
    drawn = run({"knn": {}}, "shapes", WORLD)["tiny-A8", "knn"]

    def values(outcome: Any) -> Any:
        # which bootstrap draw meets which query depends on the order of the pictures
        return {(r.metric, r.block, r.at): r.value for r in outcome.result.records if r.metric in TOPS}

    assert len(values(drawn)) >= 4
    assert values(files) == pytest.approx(values(drawn), nan_ok=True)


TOPS = ("knn-top1", "knn-top5")
SWEEPS = [
    ("knn", "imagenet", COUNT),
    ("retrieval", "roxford5k", COUNT),
    ("keypoints", "spair71k", COUNT),
    ("saliency", "coco", COUNT),
    ("video-segmentation", "davis2017", None),  # windows
]


@pytest.mark.parametrize(("analysis", "dataset", "images"), SWEEPS)
def test_a_sweep_over_twelve_blocks_is_one_pass(
    run: Any, written: Any, passes: Any, analysis: Any, dataset: Any, images: Any
) -> None:
    outcome = run({analysis: {}}, dataset, {"root": written(dataset)}, ("tiny-D8",))["tiny-D8", analysis]
    assert {record.block for record in outcome.result.records} >= set(range(DEEP))
    ((_, _, windows),) = passes
    assert windows == (images or windows)


def test_all_published_protocols_together(run: Any, written: Any, passes: Any) -> None:
    paper = {"protocol": "paper"}
    analyses = ("saliency", "attention", "attention-maps", "cka", "residual")
    found = run({**dict.fromkeys(analyses, paper), "segments": {**paper, "k": 4}}, "coco", {"root": written("coco")})
    assert len(found) == len(analyses) + 1
    assert all(outcome.result.records or outcome.result.arrays for outcome in found.values())
    assert sum(windows for _, _, windows in passes) <= 2 * COUNT


def test_a_picture_without_outlines_among_others(run: Any, copied: Any) -> None:
    root = copied("coco")
    file = root / "annotations" / "instances_val2017.json"
    content = json.loads(file.read_text())
    content["annotations"] = [each for each in content["annotations"] if each["image_id"] != 2]
    file.write_text(json.dumps(content))
    found = run({"saliency": {}, "segments": {}}, "coco", {"root": root})
    assert 1 not in found["tiny-A8", "segments"].result.arrays["image"]


def test_nothing_outlined_at_all(run: Any, copied: Any) -> None:
    root = copied("coco")
    file = root / "annotations" / "instances_val2017.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "annotations": []}))
    with pytest.raises(DataError, match=r"segments needs masks, but .* has no annotation of any of the"):
        run({"segments": {}}, "coco", {"root": root})


def test_partimagenet_of_few_categories_has_every_folder(run: Any, tmp_path: Path) -> None:
    Shapes(ShapesOptions(**{**WORLD, "classes": 3})).layouts()["partimagenet"](tmp_path / "few")
    found = run({"segments": {}}, "partimagenet", {"root": tmp_path / "few"})
    assert len(found["tiny-A8", "segments"].images) == 15


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("src_kps", [float("nan"), 1.0], "a point is nan, 1"),
        ("trg_bndbox", [3, 3, 3, 3], "a box is 3, 3, 3, 3"),
        ("trg_imname", "nowhere.jpg", "nowhere.jpg: missing"),
    ],
)
def test_pairs_that_cannot_be_measured(run: Any, copied: Any, key: Any, value: Any, said: Any) -> None:
    root = copied("spair71k")
    file = min((root / "PairAnnotation" / "test").iterdir())
    content = json.loads(file.read_text())
    content[key] = [value, *content[key][1:]] if key == "src_kps" else value
    file.write_text(json.dumps(content))
    with pytest.raises(DataError, match=said) as problem:
        run({"keypoints": {}}, "spair71k", {"root": root})
    assert file.name in str(problem.value)


def test_videos_without_a_frame_that_counts(run: Any, copied: Any) -> None:
    root = copied("davis2017")
    video = {"root": root}
    whole = run({"video-segmentation": {}}, "davis2017", video)["tiny-A8", "video-segmentation"]
    assert _counted(whole, "objects-left-out") == 0
    cut = run({"video-segmentation": {}}, "davis2017", video, limit=5)["tiny-A8", "video-segmentation"]
    first = np.asarray(Image.open(min((root / "Annotations" / "480p").glob("film-01*/*.png"))))
    assert _counted(cut, "objects-left-out") == first[first < 255].max()
    assert np.isfinite(_value(_overall(cut), "j-mean", 0))
    with pytest.raises(DataError, match="no video has three frames"):
        run({"video-segmentation": {}}, "davis2017", video, limit=2)


def _counted(outcome: Any, metric: Any) -> Any:
    (found,) = (record.value for record in outcome.result.records if record.metric == metric)
    return found


def _overall(outcome: Any) -> Any:
    records = [record for record in outcome.result.records if not record.of]
    return Mock(result=Mock(records=records))


@pytest.mark.parametrize(
    ("analysis", "dataset"),
    [("saliency", "coco"), ("keypoints", "spair71k"), ("retrieval", "roxford5k"), ("video-segmentation", "davis2017")],
)
def test_folders_that_may_not_be_entered(
    run: Any, written: Any, monkeypatch: pytest.MonkeyPatch, analysis: Any, dataset: Any
) -> None:
    root, real = written(dataset), Path.stat

    def refused(self: Any, *, follow_symlinks: Any = True) -> Any:
        if root in self.parents:
            raise PermissionError(13, "Permission denied", str(self))
        return real(self, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(Path, "stat", refused)
    with pytest.raises(DataError, match=r"cannot be looked at: Permission denied; .* needs to read its root"):
        run({analysis: {}}, dataset, {"root": root})
