"""From pictures and outlines to the published drivers' own numbers: object features, clusterings, saliency."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest
import torch

from golden_toys import toy_attention, toy_features
from outlined import GOLDEN, Outlined
from vitan.analysis.probe import Probe
from vitan.anatomy import ModelInfo, TokenLayout
from vitan.data.batch import Batch
from vitan.data.views import make_view
from vitan.engine.loader import Loader, Wanted
from vitan.engine.schedule import cut
from vitan_analyses.clusters import agreement, kmeans
from vitan_analyses.saliency.probe import SaliencyOptions, SaliencyProbe
from vitan_analyses.segments.probe import DenseSegmentsProbe, SegmentsOptions, SegmentsProbe

pytestmark = [
    pytest.mark.golden,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

SETS = sorted(key.split("/")[1] for key in GOLDEN.files if key.startswith("pipeline/") and key.endswith("/feats"))
IOUS = sorted({key.split("/")[1] for key in GOLDEN.files if key.startswith("pipeline/") and "_iou/" in key})
SIZE, CHANNELS = 224, 9  # the published input size, and what the golden README says of the toy model
SOURCES = {"cls": "cls", "spc": "patches", "center": "center"}
IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
outlined = cache(Outlined)


def info(name: str, blocks: int, heads: int) -> ModelInfo:
    """The toy model, on the grid of the set's crops."""
    grid = next(GOLDEN[k][:2].tolist() for k in GOLDEN.files if k.startswith(f"{name}/") and "/crop/grid" in k)
    return ModelInfo(
        name="toy", family="toy", arch="T", patch=SIZE // grid[0], image_size=SIZE, depth=blocks, heads=heads,
        dim=CHANNELS, layout=TokenLayout(("cls",), (grid[0], grid[1])), blocks=tuple(range(blocks)),
    )  # fmt: skip


def batches(name: str, probe: Probe, n: int, size: int = 5) -> Iterator[Batch]:
    """The first ``n`` pictures as a pass of the probe has them."""
    view = make_view(probe.view_for(probe.options), SIZE, probe.model.patch)
    loader = Loader(outlined(name), view, IMAGENET["mean"], IMAGENET["std"], probe.model.layout.grid)
    partition = cut(n, size)
    for loaded in loader.batches(
        partition, Wanted(range(partition.n_batches), {probe.preparation(probe.options): None})
    ):
        yield loaded.batch


def segments(key: str, n: int | None = None) -> SegmentsProbe:
    """A probe that has seen the first ``n`` pictures."""
    name, _, view = key.partition("_")
    kind = DenseSegmentsProbe if view == "dense" else SegmentsProbe
    probe = kind(SegmentsOptions(protocol="paper"), info(name, GOLDEN[f"pipeline/{key}/feats"].shape[1], 1))
    for batch in batches(name, probe, n or len(outlined(name))):
        for block in probe.model.blocks:
            probe.update_block(block, {"block": toy_features(batch.pixels, probe.model.patch, block)}, batch)
    return probe


@pytest.mark.parametrize("key", SETS)
def test_published_object_features(key: str) -> None:
    """The published driver stops one picture early, so that its objects are the first of ours."""
    expected, labels = GOLDEN[f"pipeline/{key}/feats"], GOLDEN[f"pipeline/{key}/labels"]
    probe = segments(key)
    found = np.stack([torch.cat(probe.features.rows(block)).numpy() for block in probe.model.blocks], 1)
    assert len(expected) <= len(found)
    assert np.array_equal(torch.cat(probe.labels.rows(0)).numpy()[: len(labels)], labels)
    np.testing.assert_allclose(found[: len(expected)], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("key", [k for k in GOLDEN.files if k.startswith("pipeline/") and k.endswith("_nmi_ari_pur")])
def test_published_clusterings_of_objects(key: str) -> None:
    """With the number of clusters and of starts that the key names, on the published features."""
    folder, _, rule = key.rpartition("/")
    k = int(GOLDEN[f"{folder}/small_k"]) if rule.startswith("small") else int(rule.partition("_")[0][1:])
    starts = 10 if "ninit10" in rule else 1
    for block, expected in enumerate(GOLDEN[key]):
        clusters = kmeans(GOLDEN[f"{folder}/feats"][:, block], k, starts=starts, seed=0)
        found = agreement(GOLDEN[f"{folder}/labels"], clusters)
        assert [found.nmi, found.ari, found.purity] == pytest.approx(expected.tolist(), abs=0.02)


@pytest.mark.parametrize("key", [key for key in SETS if f"pipeline/{key}/k80_ninit10_nmi_ari_pur" in GOLDEN.files])
def test_the_paper_protocol_ends_with_the_published_numbers(key: str) -> None:
    """From pixels to NMI, ARI and purity, on as many pictures as have the published objects."""
    labels = GOLDEN[f"pipeline/{key}/labels"]
    objects = np.cumsum([len(rows) for rows in segments(key).labels.rows(0)])
    result = segments(key, int((objects < len(labels)).sum()) + 1).compute()
    assert np.array_equal(result.arrays["label"], labels)
    assert {record.at for record in result.records if record.metric == "nmi"} == {80}
    np.testing.assert_allclose(result.arrays["objects"], GOLDEN[f"pipeline/{key}/k80_ninit10_nmi_ari_pur"], atol=0.02)


@pytest.mark.parametrize("key", IOUS)
def test_published_saliency(key: str) -> None:
    """IoU of every head and of heads together, and the oracle; only of pictures with an object."""
    name, folder = key.removesuffix("_iou"), f"pipeline/{key}"
    count, blocks, heads = GOLDEN[f"{folder}/cls_att_align_iou"].shape
    probe = SaliencyProbe(SaliencyOptions(protocol="paper"), info(name, blocks, heads))
    for batch in batches(name, probe, len(outlined(name))):
        for block in probe.model.blocks:
            taps = {"attention": toy_attention(batch.pixels, probe.model.patch, block, heads)}
            probe.update_block(block, taps, batch)
    arrays = probe.compute().arrays
    for theirs, ours in SOURCES.items():
        for suffix, published in (("", theirs), ("-merged", f"{theirs}-merge")):
            found, expected = arrays[f"iou-{ours}{suffix}"][:count], GOLDEN[f"{folder}/{published}_att_align_iou"]
            assert (np.abs(found - expected) > 1e-5).mean() < 0.01  # a token at the border of a mask may fall aside
            np.testing.assert_allclose(found, expected, atol=0.03)
        iou = arrays[f"iou-{ours}"][:count]
        np.testing.assert_allclose(iou.max(2).mean(0), GOLDEN[f"{folder}/{theirs}_best_head_block"], atol=1e-3)
        np.testing.assert_allclose(iou.mean((0, 2)), GOLDEN[f"{folder}/{theirs}_mean_head_block"], atol=1e-3)
