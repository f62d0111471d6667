"""The ``cka`` analysis on models: the published code's numbers, registers, gaps, and what models may be compared."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import golden
import golden_vits
from vitan.analysis.probe import Batching
from vitan.anatomy import ModelInfo, TokenLayout
from vitan.data.batch import Batch
from vitan.data.samples import Sample
from vitan.engine.job import validate
from vitan.errors import MismatchError, OptionError
from vitan_analyses.cka.probe import CkaOptions, CkaProbe
from vitan_analyses.hsic import exact as hsic
from vitan_analyses.hsic import minibatch
from watching import watch

GOLDEN = golden.arrays("features_seg.npz")
THEIRS = {"all": "all", "cls": "cls", "spatial": "spat"}
KINDS = [kind for kind, name in THEIRS.items() if f"cka_vit/{name}" in GOLDEN.files]
LAYOUT = TokenLayout(("cls", "register"), (1, 2))


def _info(name: Any, features: Any, layout: Any) -> Any:
    return ModelInfo(
        name=name, family="toy", arch="T", patch=8, image_size=16, depth=len(features), heads=1,
        dim=features.shape[3], layout=layout, blocks=tuple(range(len(features))),
    )  # fmt: skip


def _watched(name: Any, features: Any, batches: Any, layout: Any = LAYOUT, norms: Any = None, **options: Any) -> Any:
    """A probe that has seen these features (block, image, token, channel), image i in the batch that lists it."""
    probe = CkaProbe(CkaOptions(**options), _info(name, features, layout))
    norms = features if norms is None else norms
    for number, index in enumerate(batches):
        batch = Batch(tuple(index), [Sample(id=str(i), image=None) for i in index], (), torch.empty(1), number=number)
        for block in range(len(features)):
            rows = {"block": features[block, index], "norm1": norms[block, index], "norm2": 2 * norms[block, index]}
            watch(probe, block, rows, batch)
    return probe


def _features(seed: Any, blocks: Any = 2, images: Any = 12, tokens: Any = 4, channels: Any = 6) -> Any:
    return torch.randn(blocks, images, tokens, channels, generator=torch.Generator().manual_seed(seed))


ALL = [list(range(12))]
THREE = [list(range(4)), list(range(4, 8)), list(range(8, 12))]


def _whole(x: Any, y: Any) -> Any:
    return hsic.cka(hsic.Centred.of([x.numpy()]), hsic.Centred.of([y.numpy()]))[0, 0]


# ---------------------------------------------------------------------------------------------------------- published


@pytest.fixture(scope="module")
def published() -> Any:
    """Both tiny models, from pixels, in the published protocol and its batches."""
    options = CkaOptions(protocol="paper", batch=int(GOLDEN["vit/batch_size"]))
    probes = []
    for name, make in (("dino", golden_vits.dino), ("clip", golden_vits.clip)):
        model, images = make()
        probes.append(golden_vits.show(CkaProbe(options, golden_vits.info(model, name)), model, images))
    return CkaProbe.compare(probes)


@pytest.mark.golden
@pytest.mark.parametrize("kind", KINDS)
def test_published_norms_of_two_models(published: Any, kind: Any) -> None:
    """All layers; of CLS only those that the published code could compare: the first never changes."""
    found, expected = published.between["dino", "clip"][f"{kind}-norms"], GOLDEN[f"cka_vit/{THEIRS[kind]}_f64"]
    skipped = found.shape[0] - expected.shape[0]
    assert skipped == (1 if kind == "cls" else 0)
    np.testing.assert_allclose(found[skipped:, skipped:], expected, atol=2e-6)
    np.testing.assert_allclose(found[skipped:, skipped:], GOLDEN[f"cka_vit/{THEIRS[kind]}"], atol=2e-5)
    assert np.isnan(found[:skipped]).all()
    assert np.isnan(found[:, :skipped]).all()


@pytest.mark.golden
@pytest.mark.parametrize("kind", [kind for kind in THEIRS if f"cka_last/{THEIRS[kind]}" in GOLDEN.files])
def test_published_last_blocks(published: Any, kind: Any) -> None:
    assert published.arrays[f"last-{kind}"][0, 1] == pytest.approx(float(GOLDEN[f"cka_last/{THEIRS[kind]}"]), abs=2e-5)
    assert published.arrays[f"last-{kind}"].diagonal() == pytest.approx([1, 1], abs=1e-12)


@pytest.mark.golden
@pytest.mark.skipif(not KINDS, reason="not in this set")
def test_cls_before_the_first_block_is_a_named_gap() -> None:
    """The published code aborts here."""
    model, images = golden_vits.dino()
    options = CkaOptions(batch=int(GOLDEN["vit/batch_size"]))  # a set of other images may leave a batch of 8 too few
    probe = golden_vits.show(CkaProbe(options, golden_vits.info(model, "dino")), model, images)
    layers = probe.layers(["norm1", "norm2"], "cls")
    assert [layers.gap(i) for i in range(3)] == ["it is the same for every image", "", ""]
    values = probe.compute().arrays["cls-norms"]
    assert np.isnan(values[0]).all()
    assert np.isfinite(values[1:, 1:]).all()


# ------------------------------------------------------------------------------------------------------------ readings


def test_registers_count_only_among_all_tokens() -> None:
    features = _features(0)
    loud = features.clone()
    loud[:, :, 1] *= 50
    quiet, louder = (_watched("a", f, ALL).compute().arrays for f in (features, loud))
    for name in ("cls", "patches", "spatial-blocks", "spatial-norms", "cls-norms"):
        np.testing.assert_array_equal(quiet[name], louder[name])
    assert abs(quiet["all-blocks"][0, 1] - louder["all-blocks"][0, 1]) > 0.01


def test_the_whole_set_is_compared_image_by_image() -> None:
    features = _features(0)
    arrays = _watched("a", features, THREE).compute().arrays
    assert arrays["cls"][0, 1] == pytest.approx(_whole(features[0, :, 0], features[1, :, 0]), abs=1e-6)
    assert arrays["patches"][0, 1] == pytest.approx(_whole(*features[:, :, 2:].mean(2)), abs=1e-6)


def test_one_batch_of_everything_is_the_whole_set() -> None:
    """Where a single batch holds all images, the minibatch estimator is the exact one."""
    features = _features(1)
    arrays = _watched("a", features, ALL).compute().arrays
    flat = features.flatten(2)
    assert arrays["all-blocks"][0, 1] == pytest.approx(_whole(flat[0], flat[1]), abs=1e-6)
    assert arrays["cls-norms"][0, 2] == pytest.approx(arrays["cls"][0, 1], abs=1e-6)  # norm1 of block 0 and of block 1
    assert np.isnan(arrays["se-all-blocks"]).all()  # one batch says nothing of the spread


def test_neither_order_nor_batch_size_matters_to_the_whole_set() -> None:
    features, shuffled = _features(2), [[7, 2, 9, 0, 1], [11, 3, 4, 10, 8, 6, 5]]
    first, second = (_watched("a", features, batches).compute().arrays for batches in (THREE, shuffled))
    for name in ("cls", "patches"):
        np.testing.assert_array_equal(first[name], second[name])
    assert not np.allclose(first["all-blocks"], second["all-blocks"])


def test_the_paper_protocol_has_no_whole_set() -> None:
    names = _watched("a", _features(0), THREE, protocol="paper").compute().arrays
    assert "patches" not in names
    assert {"all-blocks", "cls-blocks", "spatial-blocks", "all-norms", "cls-norms", "spatial-norms"} <= set(names)


# -------------------------------------------------------------------------------------------------------------- batches


def test_which_batches_are_asked_for() -> None:
    assert CkaProbe.batching(CkaOptions()) == Batching(size=64, seed=0)
    assert CkaProbe.batching(CkaOptions(batch=16, seed=3)) == Batching(size=16, seed=3)
    assert CkaProbe.batching(CkaOptions(protocol="paper")) == Batching(size=8)


def test_fewer_than_four_images_in_a_batch_are_refused() -> None:
    with pytest.raises(OptionError, match=r"--batch \(cka\).*greater than or equal to 4.*3"):
        validate(CkaOptions, {"batch": 3}, "cka")


def test_a_last_batch_of_fewer_than_four_is_left_out_and_said() -> None:
    features = _features(3)
    kept = _watched("a", features, [*THREE[:2], THREE[2][:3]], batch=4).compute()
    without = _watched("a", features, THREE[:2], batch=4).compute()
    np.testing.assert_array_equal(kept.arrays["all-blocks"], without.arrays["all-blocks"])
    said = {record.metric: (record.value, record.at) for record in kept.records if record.block is None}
    assert said == {"minibatches": (2, 4), "images-left-out": (3, 4)}


def test_a_last_batch_of_four_counts_as_its_images() -> None:
    features = _features(4)
    probe = _watched("a", features, [list(range(8)), list(range(8, 12))], batch=8)
    layers = probe.layers(["block"], "all")
    each = minibatch.hsic(layers, layers)
    total = (8 * each[0] + 4 * each[1]) / 12
    expected = total[0, 1] / np.sqrt(total[0, 0] * total[1, 1])
    assert probe.compute().arrays["all-blocks"][0, 1] == pytest.approx(expected, rel=1e-12)


def test_too_few_images_are_refused() -> None:
    with pytest.raises(MismatchError, match="needs at least 4 images, and there are 3"):
        _watched("a", _features(1, images=3), [[0, 1, 2]]).compute()


def test_broken_activations_are_named_gaps() -> None:
    features = _features(5)
    features[0, 2, 3, 1] = np.nan
    result = _watched("a", features, THREE).compute()
    gaps = {(r.token, r.block): r.gap for r in result.records if r.metric == "cka-with-last"}
    assert gaps["all-tokens", 0] == "block 0: it is not finite everywhere"
    assert gaps["mean-patch", 0] == "block 0: it is not finite everywhere"
    assert gaps["cls", 0] == gaps["all-tokens", 1] == ""
    assert np.isnan(result.arrays["all-blocks"][0]).all()
    assert np.isfinite(result.arrays["all-blocks"][1, 1])


# ------------------------------------------------------------------------------------------------------- between models


def test_models_are_compared_by_image() -> None:
    first, second = _features(1), _features(2, blocks=3, channels=5)
    result = CkaProbe.compare([_watched("a", first, THREE), _watched("b", second, THREE)])
    between = result.between["a", "b"]["cls"]
    assert between.shape == (2, 3)
    assert between[1, 2] == pytest.approx(_whole(first[1, :, 0], second[2, :, 0]), abs=1e-6)
    assert result.between["a", "b"]["all-norms"].shape == (4, 6)
    np.testing.assert_allclose(result.arrays["last-cls"], [[1, between[1, 2]], [between[1, 2], 1]])
    shown = {(r.metric, r.token, r.model, r.other, r.error is not None) for r in result.records}
    tokens = {"cls": False, "mean-patch": False, "all-tokens": True, "patch-tokens": True}  # which have an error
    assert shown == {("cka-last", token, "a", "b", error) for token, error in tokens.items()}


def test_a_model_without_cls_leaves_named_gaps() -> None:
    probes = [_watched("a", _features(1), ALL), _watched("b", _features(2), ALL, TokenLayout((), (2, 2)))]
    result = CkaProbe.compare(probes)
    assert np.isnan(result.arrays["last-cls"][0, 1])
    assert {r.gap for r in result.records if r.token == "cls"} == {"b has no CLS"}
    assert np.isfinite(result.arrays["last-patches"]).all()
    assert "cls" not in result.between["a", "b"]


def test_many_models_are_compared_by_their_last_blocks_alone() -> None:
    probes = [_watched(f"m{i}", _features(i), ALL) for i in range(7)]
    few = CkaProbe.compare(probes)
    assert few.arrays["last-all"].shape == (7, 7)
    assert not few.between
    asked = [_watched(f"m{i}", _features(i), ALL, pairs=True) for i in range(7)]
    every = CkaProbe.compare(asked).between
    assert len([pair for pair in every.values() if "all-blocks" in pair]) == 21
    np.testing.assert_allclose(every["m2", "m5"]["all-blocks"][-1, -1], few.arrays["last-all"][2, 5])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batches": [list(range(1, 12))]}, r"b has not seen the same images as a \(11 and 12\)"),
        ({"batches": [[*range(4, 12)], [0, 1, 2, 3]]}, "b has not seen the same images as a in the same order"),
        ({"batch": 16}, "b was run with minibatches of 16 and a with 64"),
        ({"seed": 1}, "b was run with seed of the order 1 and a with 0"),
        ({"protocol": "paper", "batch": 64}, "b was run with protocol paper and a with default"),
    ],
)
def test_models_that_saw_something_else_are_refused(change: Any, message: Any) -> None:
    a = _watched("a", _features(1), ALL)
    b = _watched("b", _features(2), change.pop("batches", ALL), **change)
    with pytest.raises(MismatchError, match=message):
        CkaProbe.compare([a, b])
