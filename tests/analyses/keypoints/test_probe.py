"""The ``keypoints`` analysis: what is to be found, how predictions are scored, and the probe around it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

import golden
import spair
import vitan_analyses.keypoints
import vitan_datasets.spair71k
from toys import outcomes_of, toy_plugins
from vitan.analysis.records import Result
from vitan.anatomy import ModelInfo, TokenLayout
from vitan.data.batch import Batch
from vitan.data.samples import Pair, Sample
from vitan.engine.job import prepare, validate
from vitan.engine.plan import make_plan
from vitan.engine.store import Store
from vitan.errors import MismatchError, OptionError
from vitan.registry.names import Provider
from vitan_analyses.keypoints.points import COLUMNS, collect, mirrored
from vitan_analyses.keypoints.probe import KeypointsOptions, KeypointsProbe
from vitan_analyses.keypoints.scores import confused, correct, distances, means
from vitan_analyses.keypoints.summary import summarise

SETS = [path.relative_to(golden.FOLDER).as_posix() for path in sorted(golden.FOLDER.glob("downstream/kp_*_*.npz"))]
SIDE, PATCH = 32, 8


def value(result: Result, metric: str, **of: object) -> float:
    """The only record of a metric with these properties."""
    wanted = {"name": "", "block": 0, **of}
    (found,) = [
        r.value for r in result.records if r.metric == metric and all(getattr(r, k) == v for k, v in wanted.items())
    ]
    return found


# What there is to find


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("left-eye", "right-eye"),
        ("4-5 right", "4-5 left"),
        ("ear_left", "ear_right"),
        ("brightness", "brightness"),
        ("left front of the right door", "right front of the left door"),
        ("8", "8"),
    ],
)
def test_mirrored_names(name: Any, other: Any) -> None:
    assert mirrored(name) == other
    assert mirrored(other) == name


def made(
    name: str, points: dict[str, tuple[float, float]], targets: dict[str, dict[str, tuple[float, float]]]
) -> Sample:
    """A picture of 64 × 32 pixels with a pair for each target, of the points that both have."""
    pairs = []
    for target, there in targets.items():
        both = [key for key in points if key in there]
        pairs.append(
            Pair(
                id=f"{name}-{target}",
                target=target,
                names=tuple(both),
                source=tuple(points[key] for key in both),
                points=tuple(there[key] for key in both),
                source_box=(0, 0, 64, 32),
                target_box=(4, 2, 44, 32),
                facts={"viewpoint_variation": 2, "remark": "none"},
            )
        )
    return Sample(id=name, image=Image.new("RGB", (64, 32)), group="cat", keypoints=points, pairs=pairs)


A = {"left": (10.0, 4.0), "right": (30.0, 4.0), "nose": (20.0, 20.0)}
B = {"left": (62.0, 30.0), "nose": (1.0, 1.0)}


def test_the_table_of_points_by_hand() -> None:
    """Half size, with 8 rows above: (x, y) becomes (x / 2, y / 2 + 8)."""
    samples = [made("b", B, {"a": A}), made("a", A, {"b": B, "elsewhere": B})]
    points = collect(samples, [7, 9], SIDE)
    assert points.counts == [2, 2]
    assert points.left_out == [0, 1]
    assert points.source.tolist() == [0, 0, 1, 1]
    assert points.target.tolist() == [1, 1, 0, 0]
    first, _, third, _ = (dict(zip(COLUMNS, row, strict=True)) for row in points.table.tolist())
    assert (first["x"], first["y"], first["source_x"], first["source_y"]) == (5, 10, 31, 23)
    assert (first["mirrored_x"], first["mirrored_y"]) == (15, 10)  # where the right one is in a
    assert np.isnan(third["mirrored_x"])  # b has no right one
    assert (first["threshold"], first["target"], first["pair"]) == (20, 9, 0)
    assert (first["viewpoint_variation"], first["truncation"]) == (2, -1)


# Scores


def test_correct_is_strictly_below() -> None:
    errors, thresholds = np.array([[0.0, 4.999, 5.0, np.nan]]), np.array([50.0, 50.0, 50.0, 50.0])
    assert correct(errors, thresholds, 0.1)[0, :3].tolist() == [1, 1, 0]
    assert np.isnan(correct(errors, thresholds, 0.1)[0, 3])


def test_distances_and_confusion_by_hand() -> None:
    found = np.array([[[3.0, 4.0], [9.0, 0.0], [np.nan, np.nan]]])
    errors = distances(found, np.array([[0.0, 0.0], [0.0, 0.0], [1.0, 1.0]]))
    assert errors[0, :2].tolist() == [5, 9]
    swapped = confused(errors, distances(found, np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 0.0]])))
    assert swapped[0, :2].tolist() == [0, 1]  # as far from both counts as no confusion
    assert np.isnan(swapped[0, 2])


def test_means_of_groups() -> None:
    assert means(np.array([[1.0, 2.0, 6.0]]), np.array([0, 1, 1])).tolist() == [[1, 4]]


@pytest.mark.golden
@pytest.mark.parametrize("name", SETS)
def test_scores_are_those_published(name: Any) -> None:
    """The published predictions, and those of the row-major rule, scored in every way."""
    data = golden.arrays(name)
    categories = [str(category) for category in data["categories"]]
    counts = [data[f"{category}_n_per_pair"] for category in categories]
    pair = np.concatenate([np.repeat(np.arange(len(count)), count) for count in counts])
    points = np.concatenate([data[f"{category}_gt_xy"] for category in categories])
    thresholds = [np.repeat(data[f"{c}_thresholds"][1::2], n) for c, n in zip(categories, counts, strict=True)]
    table = np.full((len(points), len(COLUMNS)), -1.0)
    table[:, :2] = points
    table[:, COLUMNS.index("threshold")] = np.concatenate(thresholds)
    table[:, COLUMNS.index("pair")] = pair
    named = [c for c, count in zip(categories, counts, strict=True) for _ in range(count.sum())]
    found = np.stack(
        [np.concatenate([data[f"{c}_{kind}"] for c in categories]) for kind in ("pred_xy", "pred64_xy")]
    ).astype(np.float64)
    alphas = tuple(data["alphas"].tolist())
    result = summarise(
        found=found,
        table=table,
        image=np.unique(named, return_inverse=True)[1],
        category=named,
        left_out=0,
        blocks=(0, 1),
        options=SimpleNamespace(alpha=alphas, protocol="paper"),
    )
    for i, alpha in enumerate(alphas):
        for category in categories:
            for block, kind in enumerate(("pck", "pck64")):
                expected = data[f"{category}_{kind}"][i]
                assert value(result, "pck", at=alpha, block=block, name=category) == pytest.approx(
                    100 * expected, abs=1e-5
                )
        mean = data["ref_mean_over_categories"][i]
        assert value(result, "pck", at=alpha) == pytest.approx(100 * mean, abs=1e-5)
        for metric, key in (("pck-point", "per_point_all"), ("pck-image", "per_image_all")):
            assert value(result, metric, at=alpha, block=1) == pytest.approx(100 * data[key][i], abs=1e-10)


# The probe


def info(blocks: tuple[int, ...] = (0, 1), **changes: object) -> ModelInfo:
    known = {
        "name": "made-up",
        "family": "made-up",
        "arch": "T",
        "patch": PATCH,
        "image_size": SIDE,
        "depth": 2,
        "heads": 1,
        "dim": 6,
        "layout": TokenLayout(("cls",), (4, 4)),
        "blocks": blocks,
    }
    return ModelInfo(**{**known, **changes})


def tokens(image: int, block: int) -> torch.Tensor:
    return torch.randn(17, 6, generator=torch.Generator().manual_seed(10 * image + block))


def run(samples: list[Sample], each: int = 2, start: int = 0, **options: object) -> KeypointsProbe:
    """A probe that has seen one category of these samples, from that position of the dataset on."""
    probe = KeypointsProbe(KeypointsOptions(**options), info())
    for first in range(0, len(samples), each):
        part = samples[first : first + each]
        batch = Batch(range(start + first, start + first + len(part)), part, (), torch.empty(len(part), 3, 0, 0), ())
        for block in (0, 1):
            shown = torch.stack([tokens(start + first + i, block) for i in range(len(part))])
            probe.update_block(block, {"block": shown}, batch)
    probe.finish()
    return probe


def three() -> list[Sample]:
    return [made("a", A, {"b": B, "c": A}), made("b", B, {"a": A}), made("c", A, {})]


def test_each_pair_finds_what_it_finds_by_itself() -> None:
    """Against enlarged features, pair by pair; picture c has no pairs of its own."""
    samples, result = three(), run(three()).compute()
    places, row = {sample.id: i for i, sample in enumerate(samples)}, 0
    for i, sample in enumerate(samples):
        for pair in sample.pairs:
            for (x, y), goal in zip(pair.source, pair.points, strict=True):
                for block in (0, 1):
                    maps = [
                        F.interpolate(
                            F.normalize(tokens(n, block)[1:], dim=1).T.reshape(1, 6, 4, 4),
                            size=(SIDE, SIDE),
                            mode="bilinear",
                        )[0]
                        for n in (i, places[pair.target])
                    ]
                    pixel = (round(y / 2 + 8), round(x / 2))
                    score = (maps[0][:, pixel[0], pixel[1]] @ maps[1].flatten(1)).reshape(SIDE, SIDE)
                    tied = (score >= score.max() - 1e-6 * score.max().abs()).nonzero()[0]
                    assert result.arrays["found"][block, row].tolist() == tied.flip(0).tolist()
                assert result.arrays["point"][row].tolist() == [goal[0] / 2, goal[1] / 2 + 8]
                row += 1
    assert row == len(result.arrays["image"])
    assert value(result, "pairs", block=None) == 3


def test_batches_and_shards_change_nothing() -> None:
    whole = run(three()).compute()
    single = run(three(), each=1)
    other = run([made("x", A, {"y": A}), made("y", A, {})], start=3)
    for a, b in zip(whole.records, single.compute().records, strict=True):
        assert a == b or np.isnan([a.value, b.value]).all()
    merged = run([made("x", A, {"y": A}), made("y", A, {})], start=3)
    merged.merge(run(three()))
    single.merge(other)
    assert np.array_equal(merged.compute().arrays["found"], single.compute().arrays["found"])
    assert value(merged.compute(), "pairs", block=None) == 4


def test_rounding_is_an_option() -> None:
    """x = 10.75 of the square: pixel 11, or 10 as published."""
    points = {"nose": (21.5, 8.0)}
    samples = [made("a", points, {"b": B}), made("b", {"nose": (1.0, 1.0)}, {})]
    found = {name: run(samples, protocol=name).compute().arrays["source"] for name in ("default", "paper")}
    assert found["default"].tolist() == found["paper"].tolist() == [[10.75, 12.0]]


def test_points_on_the_border_are_found_in_themselves() -> None:
    """Every corner of a picture, in a picture with the same features; no two tokens are alike."""
    corners = {str(i): point for i, point in enumerate([(0.0, 0.0), (64.0, 0.0), (0.0, 32.0), (64.0, 32.0)])}
    probe = KeypointsProbe(KeypointsOptions(), info((0,)))
    samples = [made("a", corners, {"b": corners}), made("b", corners, {})]
    shown = torch.cat([torch.zeros(1, 16), torch.eye(16)])[None].expand(2, -1, -1)
    probe.update_block(0, {"block": shown}, Batch((0, 1), samples, (), torch.empty(2, 3, 0, 0), ()))
    probe.finish()
    result = probe.compute()
    assert result.arrays["found"].shape == (1, 4, 2)
    assert (result.arrays["error"] <= 8).all()  # maxima cling to the centres of tokens
    assert result.arrays["error"][0, 0] < 8


def test_pairs_beyond_the_images_looked_at_are_counted() -> None:
    result = run([made("a", A, {"b": B, "far": A}), made("b", B, {})]).compute()
    assert value(result, "pairs", block=None) == 1
    assert value(result, "pairs-left-out", block=None) == 1


def test_nothing_but_pairs_beyond_is_an_error() -> None:
    with pytest.raises(MismatchError, match="form a pair"):
        run([made("a", A, {"far": A})]).compute()


def test_an_input_of_broken_patches_is_an_error() -> None:
    with pytest.raises(MismatchError, match="36 pixels"):
        KeypointsProbe(KeypointsOptions(), info(image_size=36))


def test_alpha_must_be_positive() -> None:
    with pytest.raises(OptionError, match="alpha"):
        validate(KeypointsOptions, {"alpha": (0.1, 0.0)}, "keypoints")


def test_features_that_are_not_finite_give_no_number() -> None:
    probe, samples = KeypointsProbe(KeypointsOptions(), info()), three()
    for block in (0, 1):
        shown = torch.stack([tokens(i, block) for i in range(3)]) + (float("nan") if block else 0.0)
        probe.update_block(block, {"block": shown}, Batch((0, 1, 2), samples, (), torch.empty(3, 3, 0, 0), ()))
    probe.finish()
    result = probe.compute()
    assert 0 <= value(result, "pck", at=0.1) <= 100
    assert np.isnan(value(result, "pck", at=0.1, block=1))


@pytest.mark.golden
@pytest.mark.parametrize("name", SETS)
def test_from_files_to_scores_as_published(name: Any) -> None:
    """The golden tree read by the dataset, the golden features seen by the probe, pair by pair."""
    data = golden.arrays(name)
    side, patch = int(data["imsize"]), int(data["patch"])
    kind = vitan_datasets.spair71k._load()
    dataset = kind(kind.Options(root=golden.FOLDER / "downstream/spair"))
    samples = {sample.id: sample for sample in (dataset[i] for i in range(len(dataset)))}
    layout, options = TokenLayout(("cls",), (side // patch, side // patch)), KeypointsOptions(protocol="paper")
    whole: KeypointsProbe | None = None
    for number, category in enumerate(map(str, data["categories"])):
        shown = torch.from_numpy(data[f"{category}_features"])  # (pair and side, token, channel)
        pairs = sorted((p.id, s.id, p) for s in samples.values() if s.group == category for p in s.pairs)
        for i, (_, source, pair) in enumerate(pairs):
            probe = KeypointsProbe(
                options, info((0,), image_size=side, patch=patch, layout=layout, dim=shown.shape[-1])
            )
            two = [replace(samples[source], pairs=(pair,)), replace(samples[pair.target], pairs=())]
            start = 1000 * number + 2 * i
            batch = Batch((start, start + 1), two, (), torch.empty(2, 3, 0, 0), ())
            probe.update_block(0, {"block": shown[2 * i : 2 * i + 2]}, batch)
            probe.finish()
            if whole is None:
                whole = probe
            else:
                whole.merge(probe)
    assert whole is not None
    result = whole.compute()
    for i, alpha in enumerate(data["alphas"].tolist()):
        for category in map(str, data["categories"]):
            expected = 100 * data[f"{category}_pck64"][i]
            assert value(result, "pck", at=alpha, name=category) == pytest.approx(expected, abs=1e-9)
        assert value(result, "pck-image", at=alpha) == pytest.approx(100 * data["per_image_all"][i], abs=1e-9)
        assert value(result, "pck-point", at=alpha) == pytest.approx(100 * data["per_point_all"][i], abs=1e-9)


# A run


class Silent:
    images = 0

    def advance(self, images: Any, *, reused: bool = False) -> None:
        self.images += images

    def __getattr__(self, name: Any) -> Any:
        return lambda *_: None


def plugins() -> Any:
    found = toy_plugins()
    for module in (vitan_analyses.keypoints, vitan_datasets.spair71k):
        found.register(Provider("own", "1"), module.__name__, module)
    return found


def outcome(root: Any, store: Any, **dataset: Any) -> Any:
    content = {
        "analyses": [{"name": "keypoints"}],
        "models": [{"name": "toy-T8"}],
        "dataset": {"name": "spair71k", "options": {"root": str(root), **dataset}},
        "batch_size": 2,
    }
    reporter = Silent()
    (found,) = outcomes_of(prepare(make_plan(content, "test"), plugins()), 0, Store(store), reporter)
    return found, reporter


@pytest.mark.golden
@pytest.mark.parametrize("pairs", ["all", "published"])
def test_all_blocks_take_one_pass_over_each_picture(tmp_path: Path, pairs: Any) -> None:
    root = golden.FOLDER / "downstream/spair"
    if not root.is_dir():
        pytest.skip("not in this set")
    found, reporter = outcome(root, tmp_path, pairs=pairs)
    seen = {name for path in (root / "PairAnnotation/test").iterdir() for name in path.name.split("-")[1:]}
    assert reporter.images == len(found.images) <= len(seen)
    assert sorted({r.block for r in found.result.records if r.metric == "pck"}) == [0, 1, 2]
    counts = {r.metric: r.value for r in found.result.records if r.block is None}
    categories = len(found.result.arrays["categories"])
    assert counts["pairs"] == (
        20 * categories if pairs == "published" else len(list((root / "PairAnnotation/test").iterdir()))
    )
    again, reporter = outcome(root, tmp_path, pairs=pairs)
    assert again.reused
    assert reporter.images in (0, len(again.images))


def test_the_stored_state_is_small(tmp_path: Path) -> None:
    """No features are stored, only points."""
    outcome(spair.write_tree(tmp_path / "spair"), tmp_path / "store")
    sizes = [path.stat().st_size for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert sizes
    assert sum(sizes) < 60_000
