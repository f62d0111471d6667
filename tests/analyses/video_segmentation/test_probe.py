"""The ``video-segmentation`` analysis: from frames to J & F, tables, masks and pictures."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import golden
import vitan_analyses.video_segmentation
import vitan_datasets.davis2017
from toys import outcomes_of, toy_plugins
from videos import moving, write_videos
from vitan.analysis.figures import Animation, Picture, Plot
from vitan.anatomy import ModelInfo, TokenLayout
from vitan.data.batch import Batch, Window
from vitan.data.samples import Sample
from vitan.engine.job import prepare
from vitan.engine.plan import Plan
from vitan.engine.store import Store
from vitan.errors import DataError, RecordingError
from vitan.registry.names import Provider
from vitan.testing import check_probe
from vitan_analyses.video_segmentation.evaluation import Evaluation, evaluate_folder, scores_of
from vitan_analyses.video_segmentation.figures import draw
from vitan_analyses.video_segmentation.files import make_files
from vitan_analyses.video_segmentation.masks import from_png
from vitan_analyses.video_segmentation.probe import VideoSegmentationOptions, VideoSegmentationProbe, sweep_of
from vitan_datasets.davis2017.reader import Davis2017, Davis2017Options

FOLDER = golden.FOLDER / "downstream"
METRICS = golden.arrays("downstream/davis_metrics.npz")
PROPAGATED = golden.arrays("downstream/labelprop.npz")
VIDEOS = sorted(name[len("J_frames_") :] for name in METRICS.files if name.startswith("J_frames_"))
VARIANTS = range(len(PROPAGATED["variants"])) if "variants" in PROPAGATED.files else ()


def dataset(root: Any) -> Any:
    return Davis2017(Davis2017Options(root=root))


# The official evaluator


@pytest.fixture(scope="module")
def official() -> Any:
    return evaluate_folder(FOLDER / "davis_results", dataset(FOLDER / "davis"))


@pytest.mark.golden
@pytest.mark.skipif(not METRICS.files, reason="this set has no videos")
def test_the_official_tables(official: Any) -> None:
    results = FOLDER / "davis_results"
    assert official.global_csv().encode() == (results / "global_results-val.csv").read_bytes()
    assert official.per_sequence_csv().encode() == (results / "per-sequence_results-val.csv").read_bytes()
    np.testing.assert_allclose(list(official.overall.values()), METRICS["global_row"], atol=1e-12)
    assert [one.name for one in official.objects] == METRICS["objects"].tolist()
    for name, column in {"J_M": "j-mean", "J_R": "j-recall", "J_D": "j-decay"}.items():
        both = [(name, column), (name.replace("J", "F"), column.replace("j", "f"))]
        for theirs, ours in both:
            found = [one.measures[ours] for one in official.objects]
            np.testing.assert_allclose(found, METRICS[theirs], atol=1e-12)


@pytest.mark.golden
@pytest.mark.parametrize("video", VIDEOS)
def test_every_frame_of_the_official_evaluator(official: Any, video: Any) -> None:
    values = np.stack([one.values for one in official.objects if one.video == video])  # (object, frame, 2)
    np.testing.assert_allclose(values[..., 0], METRICS[f"J_frames_{video}"], atol=1e-12)
    np.testing.assert_allclose(values[..., 1], METRICS[f"F_frames_{video}"], atol=1e-12)


@pytest.fixture
def tree(tmp_path: Path) -> Any:
    """Annotations, and predictions that are right."""
    root = write_videos(tmp_path / "davis", {"walk": moving(4)})
    (tmp_path / "predicted").mkdir()
    (root / "Annotations/480p/walk").rename(tmp_path / "predicted/walk")
    write_videos(tmp_path / "again", {"walk": moving(4)})
    return tmp_path / "predicted", tmp_path / "again"


def test_perfect_masks(tree: Any) -> None:
    found = evaluate_folder(tree[0], dataset(tree[1]))
    assert found.global_csv().splitlines()[1] == "1.000,1.000,1.000,0.000,1.000,1.000,0.000"
    assert [len(one.values) for one in found.objects] == [2, 2]


def test_the_first_mask_and_the_last_need_not_be_predicted(tree: Any) -> None:
    for frame in ("00000", "00003"):
        (tree[0] / "walk" / f"{frame}.png").unlink()
    assert evaluate_folder(tree[0], dataset(tree[1])).overall["j-and-f-mean"] == 1


def test_a_missing_prediction_is_an_error(tree: Any) -> None:
    (tree[0] / "walk/00002.png").unlink()
    with pytest.raises(DataError, match=r"walk/00002.png: this mask is missing"):
        evaluate_folder(tree[0], dataset(tree[1]))


@pytest.mark.parametrize(
    ("pixels", "said"),
    [
        (np.zeros((35, 48), np.uint8), "48 x 35 pixels, and the annotation of the frame 49 x 35"),
        (np.full((35, 49), 3, np.uint8), "object 3 is predicted, but the video begins with 2"),
        (np.zeros((35, 49, 3), np.uint8), "pixels are RGB"),
    ],
)
def test_predictions_that_do_not_fit(tree: Any, pixels: Any, said: Any) -> None:
    Image.fromarray(pixels).save(tree[0] / "walk/00002.png")
    with pytest.raises(DataError, match=rf"00002.png: .*{said}"):
        evaluate_folder(tree[0], dataset(tree[1]))


# The probe


def info(grid: Any, patch: Any = 8, dim: Any = 24, blocks: Any = (0,)) -> Any:
    return ModelInfo(
        name="made-up-T8",
        family="made-up",
        arch="T",
        patch=patch,
        image_size=224,
        depth=len(blocks),
        heads=1,
        dim=dim,
        layout=TokenLayout(("cls",), grid),
        blocks=blocks,
    )


def show(probe: Any, samples: Any, tokens: Any, at_once: Any = 4) -> Any:
    """The samples of one video with the tokens (frame, row, column, channel) of every block, whole frames."""
    grid = tuple(tokens.shape[1:3])
    patches = torch.cat([torch.full((len(tokens), 1, tokens.shape[-1]), 9.0), tokens.flatten(1, 2)], 1)  # CLS first
    for start in range(0, len(samples), at_once):
        some = range(start, min(start + at_once, len(samples)))
        windows = [Window(row, 0, 0, torch.ones(grid, dtype=torch.bool)) for row in range(len(some))]
        chosen = [samples[i] for i in some]
        batch = Batch(list(some), chosen, (), torch.empty(len(some), 3, 0, 0), windows)
        for block in probe.model.blocks:
            probe.update_block(block, {"block": patches[list(some)]}, batch)
    probe.finish()
    return probe


def sample(video: Any, number: Any, ids: Any) -> Any:
    image = Image.new("RGB", ids.shape[::-1])
    return Sample(id=f"{video}/{number:05}", image=image, group=video, id_mask=lambda: ids)


def tokens_of(masks: Any, grid: Any = (7, 9)) -> Any:
    """One channel for each id, and some noise."""
    random = torch.Generator().manual_seed(0)
    reduced = [np.asarray(Image.fromarray(ids % 255).resize(grid[::-1], Image.Resampling.NEAREST)) for ids in masks]
    ids = torch.from_numpy(np.stack(reduced)).long()
    return torch.nn.functional.one_hot(ids, 4) + 0.1 * torch.rand((*ids.shape, 4), generator=random)


def follow(masks: Any, *, video: Any = "walk", **options: Any) -> Any:
    probe = VideoSegmentationProbe(VideoSegmentationOptions(**options), info((7, 9), 7, 4))
    return show(probe, [sample(video, number, ids) for number, ids in enumerate(masks)], tokens_of(masks))


def values(result: Any, metric: Any, name: Any = "") -> Any:
    return [r.value for r in result.records if r.metric == metric and r.name == name]


@pytest.mark.golden
@pytest.mark.parametrize("at_once", [1, 4])
@pytest.mark.parametrize("variant", VARIANTS)
def test_published_masks_and_scores(variant: Any, at_once: Any) -> None:
    window, top_k, context = (int(value) for value in PROPAGATED["variants"][variant])
    features = torch.from_numpy(PROPAGATED["features"])
    options = VideoSegmentationOptions(window=window, top_k=top_k, context=context, view="squash")
    probe = VideoSegmentationProbe(
        options, info(tuple(features.shape[1:3]), int(PROPAGATED["patch"]), features.shape[3])
    )
    davis = dataset(FOLDER / "davis")
    (folder,) = (FOLDER / "labelprop" / f"v{variant}").iterdir()
    samples = [davis[i] for i, video in enumerate(davis.groups()) if video == folder.name]
    show(probe, samples, features, at_once)
    masks = [from_png(bytes(png.tolist())) for png in probe.masks.rows(0)]
    for mask, expected, path in zip(masks, PROPAGATED[f"final_v{variant}"], sorted(folder.iterdir()), strict=True):
        assert (mask != expected).mean() <= 0.0005
        np.testing.assert_array_equal(np.asarray(Image.open(path)), expected)
    if variant == 0 and folder.name in VIDEOS:
        result = probe.compute()
        for row, name in enumerate(METRICS["objects"].tolist()):
            if name.startswith(folder.name):
                assert values(result, "j-mean", name) == pytest.approx([METRICS["J_M"][row]], abs=1e-3)
                assert values(result, "f-mean", name) == pytest.approx([METRICS["F_M"][row]], abs=1e-3)


def test_objects_are_followed() -> None:
    result = follow(moving(6)).compute()
    assert values(result, "j-mean")[0] > 0.6
    assert {r.name for r in result.records if r.metric == "f-recall"} == {"", "walk_1", "walk_2"}
    assert {(r.of, r.name) for r in result.records if r.of} == {("object", "walk_1"), ("object", "walk_2")}
    assert result.arrays["j"].shape == (1, 6, 2)
    assert result.arrays["frame"].tolist() == [f"walk/{n:05}" for n in range(6)]


def test_an_object_that_vanishes_and_returns() -> None:
    masks = moving(6)
    masks[2:4][masks[2:4] == 2] = 0
    result = follow(masks).compute()
    j = result.arrays["j"][0, :, 1]
    assert j[[1, 4, 5]].min() > 0.5
    assert set(j[[2, 3]]) <= {0.0, 1.0}  # nothing is there: all or nothing


def test_a_video_that_begins_with_nothing() -> None:
    empty = follow(moving(5) * np.uint8(0), video="empty")
    assert {int(from_png(bytes(png.tolist())).max()) for png in empty.masks.rows(0)} == {0}
    with pytest.raises(DataError, match="no video begins with an object"):
        empty.compute()


def test_void_is_no_object() -> None:
    masks = moving(5)
    masks[0, :2], masks[2, :2] = 255, 255
    clean, probe = follow(moving(5)), follow(masks)
    assert from_png(bytes(probe.masks.rows(0)[0].tolist())).max() == 255  # the first mask is given back as it is
    assert [len(rows) for rows in probe.scores.rows(0)] == [2] * 5
    assert values(probe.compute(), "j-mean") == pytest.approx(values(clean.compute(), "j-mean"), abs=0.05)


@pytest.mark.parametrize("ids", [(1, 3), (2, 3)])
def test_ids_that_occur_in_no_frame_are_no_objects(ids: Any) -> None:
    masks = moving(5)
    first, second = (masks == 1), (masks == 2)
    masks[first], masks[second] = ids
    result, plain = follow(masks).compute(), follow(moving(5)).compute()
    assert {record.name for record in result.records if record.metric == "j-recall"} - {""} == {
        f"walk_{number}" for number in ids
    }
    assert values(result, "j-and-f-mean") == pytest.approx(values(plain, "j-and-f-mean"))


def test_an_object_that_comes_later_counts_as_lost() -> None:
    """An id below the largest of the first frame, which only later frames have."""
    masks = moving(5)
    masks[masks == 2] = 3
    masks[2:, :4, :4] = 2
    assert values(follow(masks).compute(), "j-mean", "walk_2") == pytest.approx([1 / 3])  # frame 1 of 1 to 3


def test_ids_that_occur_in_no_frame_count_in_the_published_protocol() -> None:
    masks = moving(5)
    masks[masks == 2] = 3
    result = follow(masks, protocol="paper").compute()
    assert values(result, "j-mean", "walk_2") == values(result, "f-mean", "walk_2") == [1]


def test_frames_may_have_odd_sizes() -> None:
    masks = moving(3, (61, 43))
    assert from_png(bytes(follow(masks).masks.rows(0)[2].tolist())).shape == (43, 61)


@pytest.mark.parametrize("frames", [1, 2])
def test_a_video_without_a_frame_that_counts(frames: Any) -> None:
    """It is kept, and counts for nothing but as left out; where there is no other, that is an error."""
    short = follow(moving(frames))
    with pytest.raises(DataError, match="no video has three frames"):
        short.compute()
    long = follow(moving(5), video="run")
    both = follow(moving(5), video="run")
    for part in ("scores", "masks", "names"):
        later = getattr(short, part).state()
        moved = {key: tensor + 5 if ".index" in key else tensor for key, tensor in later.items()}
        getattr(short, part).load(moved)
    both.merge(short)
    together = both.compute()
    assert values(together, "j-mean") == values(long.compute(), "j-mean")
    assert np.isnan(values(together, "j-mean", "walk_1")).all()
    assert [record.value for record in together.records if record.metric == "objects-left-out"] == [2]


def test_videos_do_not_remember_one_another() -> None:
    once, probe = follow(moving(4)), follow(moving(4, objects=3), video="other")
    masks = moving(4)
    probe = VideoSegmentationProbe(probe.options, probe.model)
    for _ in range(2):
        show(probe, [sample("walk", number, ids) for number, ids in enumerate(masks)], tokens_of(masks))
    first, second = (probe.scores.rows(0)[i::2] for i in range(2))
    for mine, again, expected in zip(first, second, once.scores.rows(0), strict=True):
        assert torch.equal(mine, expected)
        assert torch.equal(again, expected)


def test_a_frame_of_another_shape_is_named() -> None:
    samples = [sample("walk", 0, moving(1)[0]), sample("walk", 1, moving(1)[0])]
    probe = VideoSegmentationProbe(VideoSegmentationOptions(), info((7, 9), 7, 4))
    own = [torch.ones(7, 9, dtype=torch.bool), torch.ones(6, 9, dtype=torch.bool)]
    windows = [Window(row, 0, 0, each) for row, each in enumerate(own)]
    with pytest.raises(DataError, match=r"walk/00001: .* 6 x 9 tokens, and the first one of walk has 7 x 9"):
        probe.update_block(
            0, {"block": torch.rand(2, 64, 4)}, Batch([0, 1], samples, (), torch.empty(2, 3, 0, 0), windows)
        )


def test_a_mask_of_another_size_is_named() -> None:
    wrong = Sample(id="walk/00000", image=Image.new("RGB", (50, 35)), group="walk", id_mask=lambda: moving(1)[0])
    with pytest.raises(DataError, match="walk/00000: the mask has 49 x 35 pixels, and the frame 50 x 35"):
        show(VideoSegmentationProbe(VideoSegmentationOptions(), info((7, 9), 7, 4)), [wrong], tokens_of(moving(1)))


def test_a_frame_without_mask_is_named() -> None:
    bare = Sample(id="walk/00000", image=Image.new("RGB", (49, 35)), group="walk")
    with pytest.raises(DataError, match="'walk/00000' has no mask"):
        show(VideoSegmentationProbe(VideoSegmentationOptions(), info((7, 9), 7, 4)), [bare], tokens_of(moving(1)))


def test_tokens_that_are_not_finite_are_named() -> None:
    masks = moving(2)
    tokens = tokens_of(masks)
    tokens[1, 3, 3, 0] = torch.nan
    probe = VideoSegmentationProbe(VideoSegmentationOptions(), info((7, 9), 7, 4))
    with pytest.raises(RecordingError, match=r"block 0 .* walk/00001"):
        show(probe, [sample("walk", number, ids) for number, ids in enumerate(masks)], tokens)


@pytest.mark.parametrize(
    ("options", "view"),
    [
        ({}, "dense"),
        ({"protocol": "paper"}, "dense-paper"),
        ({"view": "squash"}, "squash"),
        ({"view": "squash", "protocol": "paper"}, "squash"),
    ],
)
def test_the_view_follows_the_options(options: Any, view: Any) -> None:
    assert VideoSegmentationProbe.view_for(VideoSegmentationOptions(**options)) == view


@pytest.mark.parametrize("options", [{"view": "squash", "masks": "all"}, {"masks": "none"}, {"shown": 0, "context": 0}])
def test_it_keeps_the_contract_whatever_the_options(options: Any) -> None:
    (spec,) = vitan_analyses.video_segmentation.vitan_probes()
    check_probe(spec, **options)


# Through the engine


class Silent:
    def begin(self, title: Any, total: Any) -> None: ...
    def advance(self, images: Any, *, reused: bool = False) -> None: ...
    def begin_drawing(self, what: Any) -> None: ...
    def drawn(self, name: Any) -> None: ...
    def end(self) -> None: ...
    def note(self, text: Any) -> None: ...
    def download(self, description: Any, done: Any, total: Any) -> None: ...


def run(tmp_path: Path, root: Any, **options: Any) -> Any:
    plugins = toy_plugins()
    plugins.register(Provider("video", "1.0"), "video", vitan_analyses.video_segmentation)
    plugins.register(Provider("davis", "1.0"), "davis", vitan_datasets.davis2017)
    plan = Plan.model_validate(
        {
            "models": [{"name": "toy-T8"}],
            "dataset": {"name": "davis2017", "options": {"root": str(root)}},
            "analyses": [{"name": "video-segmentation", "options": options}],
        }
    )
    job = prepare(plan, plugins)
    (outcome,) = outcomes_of(job, 0, Store(tmp_path / "store"), Silent())
    return outcome


def test_a_sweep_is_one_pass_and_its_files_are_what_the_evaluator_takes(tmp_path: Path) -> None:
    root = write_videos(tmp_path / "davis", {"walk": moving(4), "run": moving(5, (45, 33), 1), "alone": moving(1)})
    outcome = run(tmp_path, root, masks="all")
    drawings = list(draw([outcome.drawable]))
    files = {file.name: file.content for file in make_files(outcome.drawable)}
    folders = [list(group) for _, group in groupby(sorted(files), lambda name: name.split("/")[0])]
    assert [len(folder) for folder in folders] == [12, 12, 12]  # two tables and ten masks of each of three blocks
    for name, content in files.items():
        path = tmp_path / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    for folder in sorted((tmp_path / "files").iterdir()):
        found = evaluate_folder(folder, dataset(root))
        assert found.global_csv() == (folder / "global_results-val.csv").read_text()
        assert found.per_sequence_csv() == (folder / "per-sequence_results-val.csv").read_text()
    with Image.open(tmp_path / "files/davis_vidseg_blk00/walk/00001.png") as mask:
        assert mask.mode == "P"
    kinds = [type(drawing) for drawing in drawings]
    assert (kinds.count(Plot), kinds.count(Picture), kinds.count(Animation)) == (1, 3, 2)
    assert next(iter(draw([outcome.drawable, outcome.drawable]))).name == "compare-video-segmentation"


def test_only_the_best_block_leaves_masks(tmp_path: Path) -> None:
    outcome = run(tmp_path, write_videos(tmp_path / "davis", {"walk": moving(4)}), shown=0)
    means = values(outcome.result, "j-and-f-mean")
    assert outcome.result.arrays["mask-block"].tolist() == [int(np.argmax(means))]
    drawings = list(draw([outcome.drawable]))
    masks = [file for file in make_files(outcome.drawable) if file.name.endswith(".png")]
    assert len(masks) == 4
    assert not any(isinstance(d, Picture) for d in drawings)


def test_objects_that_are_all_followed_perfectly_leave_room_for_doubt() -> None:
    """Three videos cannot show that no object is ever lost: the interval of 1 is not 1 to 1."""
    perfect = [scores_of(video, np.ones((5, 1, 2)), [1])[0] for video in "abc"]
    sweep = sweep_of({0: Evaluation(tuple(perfect))})
    assert sweep.mean[0] == sweep.high[0] == 1
    assert 0.3 < sweep.low[0] < 0.9
