"""What the similarity analysis reads, records and draws, within and between models."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from vitan.analysis.figures import Drawable
from vitan.anatomy import ModelInfo, TokenLayout
from vitan.data.batch import Batch
from vitan.data.samples import Sample
from vitan.data.views import Crop
from vitan.engine.job import validate
from vitan.errors import MismatchError, OptionError
from vitan.testing.made_up import MadeUp
from vitan_analyses.arrays import sampled
from vitan_analyses.similarity import null
from vitan_analyses.similarity.comparison import draw_comparison
from vitan_analyses.similarity.figures import draw
from vitan_analyses.similarity.measures import MEASURES
from vitan_analyses.similarity.probe import SimilarityOptions, SimilarityProbe
from watching import watch

LAYOUT = TokenLayout(("cls", "register"), (1, 2))
N = 24


def _watched(name: Any, features: Any, index: Any = range(N), layout: Any = LAYOUT, **given: Any) -> Any:
    """A probe that has seen these features (block, image, token, channel)."""
    info = ModelInfo(
        name=name, family="toy", arch="T", patch=8, image_size=16, depth=len(features), heads=1,
        dim=features.shape[3], layout=layout, blocks=tuple(range(len(features))),
    )  # fmt: skip
    probe = SimilarityProbe(SimilarityOptions(**{"measures": tuple(MEASURES), **given}), info)
    samples = [Sample(id=str(i), image=None) for i in index]
    for block, seen in enumerate(features):
        watch(probe, block, {"block": seen}, Batch(tuple(index), samples, (), torch.empty(1)))
    return probe


def _features(seed: Any, blocks: Any = 2, images: Any = N, channels: Any = 5) -> Any:
    """Every image has something of its own that all models see."""
    random = torch.Generator().manual_seed(seed)
    common = torch.zeros(images, 1, channels)
    common[..., :3] = torch.randn(images, 1, 3, generator=torch.Generator().manual_seed(99))
    return common + 0.4 * torch.randn(blocks, images, 4, channels, generator=random) + 1


def _drawable(probe: Any, result: Any) -> Any:
    return Drawable(
        model=probe.model,
        options=probe.options,
        result=result,
        dataset=MadeUp(16),
        dataset_name="made-up",
        view=Crop(16),
    )


def test_many_images_are_looked_at_in_part_and_records_say_so() -> None:
    ours, theirs = (_watched(name, _features(seed), sample=13, seed=4) for name, seed in (("a", 0), ("b", 1)))
    places = sampled(N, 13, 4)
    result, between = ours.compute(), SimilarityProbe.compare([ours, theirs])
    assert result.arrays["image"].tolist() == places.tolist()
    assert {record.n for record in (*result.records, *between.records)} == {13}
    mine, others = (_features(seed)[:, places, 0].numpy() for seed in (0, 1))
    for name, measure in MEASURES.items():
        if name != "pwcca":  # which so few images do not suffice for
            assert result.arrays[f"{name}-cls"][0, 1] == pytest.approx(measure(mine[0], mine[1], 3), abs=1e-9)
            assert between.arrays[f"{name}-last-cls"][0, 1] == pytest.approx(measure(mine[1], others[1], 3), abs=1e-9)
    assert {record.n for record in _watched("a", _features(0)).compute().records} == {None}


def test_every_block_against_every_block() -> None:
    features = _features(0, blocks=3)
    result = _watched("a", features).compute()
    cls, patches = features[:, :, 0].numpy(), features[:, :, 2:].mean(2).numpy()
    for name, measure in MEASURES.items():
        for kind, layers in (("cls", cls), ("patches", patches)):
            expected = [[measure(x, y, N // 4) for x in layers] for y in layers]
            np.testing.assert_allclose(result.arrays[f"{name}-{kind}"], expected, atol=1e-9)
    records = {(r.metric, r.token, r.block): r for r in result.records}
    assert records["rsa-with-last", "cls", 1].value == result.arrays["rsa-cls"][1, 2]
    assert records["mutual-knn-with-last", "mean-patch", 0].at == N // 4
    assert records["rsa-with-last", "cls", 1].at is None
    assert all(not r.better and not r.gap for r in result.records)  # alike is neither good nor bad
    assert result.headline == tuple(f"{name}-with-last" for name in MEASURES)


def test_between_models_with_a_null() -> None:
    a, b = _features(1), _features(2, blocks=3, channels=4)
    result = SimilarityProbe.compare([_watched("a", a, permutations=19, seed=3), _watched("b", b)])
    x, y = a[1, :, 0].numpy(), b[2, :, 0].numpy()
    for name, measure in MEASURES.items():
        value = measure(x, y, N // 4)
        assert result.arrays[f"{name}-last-cls"][0, 1] == pytest.approx(value, abs=1e-9)
        assert result.arrays[f"{name}-last-cls"][1, 0] == result.arrays[f"{name}-last-cls"][0, 1]
        shuffled = np.array([measure(x, y[order], N // 4) for order in null.orders(19, N, 3)])
        p = result.arrays[f"{name}-last-cls-p"]
        assert p[0, 1] == pytest.approx((1 + (shuffled >= value - 1e-9).sum()) / 20)
        assert np.isnan(p[0, 0])
        score = result.arrays[f"{name}-last-cls-calibrated"]
        assert score[0, 1] == pytest.approx(max(0, (value - shuffled.max()) / (1 - shuffled.max())), abs=1e-9)
        assert score[1, 1] == 1
        assert result.between["a", "b"][f"{name}-patches"].shape == (2, 3)
        assert result.between["a", "b"][f"{name}-cls"][1, 2] == pytest.approx(value, abs=1e-9)
    found = {(r.metric, r.name, r.token, r.model, r.other): r for r in result.records}
    assert found["p-value", "cka-last", "cls", "a", "b"].value == 0.05
    assert len(found) == len(result.records) == len(MEASURES) * 2 * 3


def test_options_choose_what_is_computed() -> None:
    chosen = {"measures": ("rsa", "mutual-knn", "rsa"), "k": 3, "block_maps": 1}
    a, b = (_watched(name, _features(seed), **chosen) for seed, name in enumerate("ab"))
    result = a.compute()
    assert set(result.arrays) == {"rsa-cls", "rsa-patches", "mutual-knn-cls", "mutual-knn-patches", "image"}
    assert {r.at for r in result.records} == {None, 3}
    between = SimilarityProbe.compare([a, b])
    assert set(between.arrays) == {f"{m}-last-{k}" for m in ("rsa", "mutual-knn") for k in ("cls", "patches")} | {
        "model"
    }
    assert SimilarityOptions(measures=("rsa",), permutations=50).seen() == {}


def test_what_has_no_value_is_named_and_left_out_of_the_pictures() -> None:
    features = _features(3)
    features[0, :, 0] = 1.5
    broken = _watched("a", features)
    result = broken.compute()
    gaps = {(r.metric, r.token, r.block): r.gap for r in result.records}
    assert gaps["procrustes-with-last", "cls", 0] == "a block is the same for every image"
    assert gaps["procrustes-with-last", "cls", 1] == gaps["procrustes-with-last", "mean-patch", 0] == ""
    assert np.isnan(result.arrays["rsa-cls"][0]).all()
    wide = _watched("b", _features(4, channels=20))
    between = SimilarityProbe.compare([wide, _watched("c", _features(5, channels=20))])
    reason = "20 and 20 directions need more than 40 images, and there are 24"
    assert {r.gap for r in between.records if (r.metric, r.token) == ("pwcca-last", "cls")} == {reason}
    pages = {p.name: p.figure for p in draw_comparison([_drawable(wide, wide.compute())] * 2, between)}
    said = [text.get_text() for text in pages["compare-similarity-last-cls"].texts]
    assert any(f"PWCCA left out: {reason}" in text and "24 pictures" in text for text in said)
    titles = [axes.get_title(loc="left") for axes in pages["compare-similarity-last-cls"].axes]
    assert "CKA" in titles
    assert "PWCCA" not in titles


def test_a_model_without_cls_leaves_named_gaps() -> None:
    a, b = _watched("a", _features(1)), _watched("b", _features(2), layout=TokenLayout((), (2, 2)))
    result = SimilarityProbe.compare([a, b])
    assert {r.gap for r in result.records if r.token == "cls"} == {"a model has no cls"}
    assert np.isfinite(result.arrays["cka-last-patches"]).all()
    assert [plot.name for plot in draw([_drawable(b, b.compute())])] == ["similarity"]
    drawables = [_drawable(probe, probe.compute()) for probe in (a, b)]
    assert "compare-similarity-patches" in [plot.name for plot in draw_comparison(drawables, result)]


def test_bad_options_are_refused() -> None:
    with pytest.raises(OptionError, match="18 permutations are too few for p-values"):
        validate(SimilarityOptions, {"permutations": 18}, "similarity")
    with pytest.raises(OptionError, match="--measures"):
        validate(SimilarityOptions, {"measures": ["ckaa"]}, "similarity")
    with pytest.raises(OptionError, match=r"--k is 23, and with 24 images every image .* choose at most 22"):
        _watched("a", _features(0), k=23).compute()
    _watched("a", _features(0), k=22, measures=("cknna",)).compute()


def test_other_images_and_too_few_are_refused() -> None:
    a, b = _watched("a", _features(1)), _watched("b", _features(2), range(1, N + 1))
    with pytest.raises(MismatchError, match="b has not seen the same images as a"):
        SimilarityProbe.compare([a, b])
    with pytest.raises(MismatchError, match="needs at least 4 images, and there are 3"):
        _watched("a", _features(1, images=3), range(3)).compute()
