"""The ``knn`` analysis from activations to records."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import golden
import vitan_analyses.knn
import vitan_datasets.folder
from toys import outcomes_of, toy_plugins
from vitan.analysis.recordings import TOKENS
from vitan.analysis.records import BEST, LEVEL
from vitan.anatomy import ModelInfo, TokenLayout
from vitan.data.batch import Batch
from vitan.data.samples import Sample
from vitan.engine.job import prepare
from vitan.engine.plan import make_plan
from vitan.engine.store import Store
from vitan.errors import MismatchError, OptionError
from vitan.registry.names import Provider
from vitan_analyses.knn.probe import KnnOptions, KnnProbe

GOLDEN = golden.arrays("downstream/knn.npz")
LAYOUT = TokenLayout(("cls", "register"), (1, 2))


def new(layout: Any = LAYOUT, dim: Any = 6, depth: Any = 1, **options: Any) -> Any:
    info = ModelInfo(
        name="toy", family="toy", arch="T", patch=8, image_size=32, depth=depth, heads=1, dim=dim, layout=layout,
        blocks=tuple(range(depth)),
    )  # fmt: skip
    return KnnProbe(KnnOptions(**options), info)


def show(probe: Any, features: Any, labels: Any, roles: Any, index: Any = None) -> Any:
    """Show (image, token, channel) as every block, each a little noisier than the one before."""
    index = tuple(range(len(features)) if index is None else index)
    samples = [Sample(id=str(i), image=None, label=labels[i], role=roles[i]) for i in index]
    batch = Batch(index, samples, (), torch.empty(len(index), 3, 1, 1))
    for block in probe.model.blocks:
        noise = torch.randn(len(labels), *features.shape[1:], generator=torch.Generator().manual_seed(block))
        for recording in probe.recordings():
            recording.update_block(block, {"block": features + block * noise[list(index)]}, batch)
    return probe


def blobs(n: Any = 60) -> Any:
    """Three classes in CLS, the same turned round in the patches; the register is noise. Every third is a query."""
    labels = (np.arange(n) * 7 // 3 % 3).tolist()
    features = torch.randn(n, 4, 6, generator=torch.Generator().manual_seed(0))
    for image, label in enumerate(labels):
        features[image, 0, label] += 20
        features[image, 2:, 5 - label] += 20
    features[:, 1] *= 1000
    return features, labels, ["query" if i % 3 == 0 else "bank" for i in range(n)]


def records(result: Any, metric: Any) -> Any:
    return {(r.block, r.at): r for r in result.records if r.metric == metric and r.n != 0}


def test_without_cls_every_record_says_that_patches_were_compared() -> None:
    features, labels, roles = blobs()
    bare = new(layout=TokenLayout(("register",), (1, 2)), k=(1, 99))
    result = show(bare, features[:, 1:], labels, roles).compute()
    assert {record.token for record in result.records} == {"mean-patch"}


@pytest.mark.parametrize("token", ["cls", "patches"])
def test_planted_classes_are_found(token: Any) -> None:
    result = show(new(k=(1, 20), token=token, depth=3), *blobs()).compute()
    top1 = records(result, "knn-top1")
    assert top1[0, 1].value == top1[0, 20].value == 100
    assert (top1[0, 1].token, top1[0, 1].parameter) == (TOKENS[token], "k")
    assert (top1[0, 1].low, top1[0, 1].n) == (pytest.approx(100 * 20 / (20 + 1.959964**2)), 20)  # Wilson's
    assert result.arrays["class-top1"][0, 0].tolist() == [100, 100, 100]
    assert records(result, "knn-bank")[None, None].value == 40
    assert records(result, "knn-queries")[None, None].token == TOKENS[token]
    labels = [top1[block, 20].label for block in range(3)]
    assert labels[0] == BEST
    assert set(labels[1:]) <= {LEVEL, ""}


def test_shards_in_any_order_give_the_same_bits() -> None:
    features, labels, roles = blobs()
    expected = show(new(k=(5,), depth=2), features, labels, roles).compute().arrays
    for order in permutations([range(0, 10), range(10, 25), range(25, 60)]):
        merged = new(k=(5,), depth=2)
        for part in order:
            shard = show(new(k=(5,), depth=2), features[list(part)], labels, roles, part)
            for mine, theirs in zip(merged.recordings(), shard.recordings(), strict=True):
                mine.merge(theirs)
        arrays = merged.compute().arrays
        assert all(np.array_equal(arrays[name], expected[name]) for name in expected)


@pytest.mark.golden
def test_published_accuracies_through_the_probe() -> None:
    """Training vectors are the bank and test vectors the queries, one token each."""
    if "ks" not in GOLDEN.files:
        pytest.skip("this set has no k-NN")
    vectors = torch.from_numpy(np.concatenate([GOLDEN["train"], GOLDEN["test"]]))[:, None].repeat(1, 2, 1)
    labels = np.concatenate([GOLDEN["train_labels"], GOLDEN["test_labels"]]).tolist()
    roles = ["bank"] * len(GOLDEN["train"]) + ["query"] * len(GOLDEN["test"])
    ks = GOLDEN["ks"].tolist()
    probe = new(TokenLayout(("cls",), (1, 1)), vectors.shape[2], k=ks, temperature=float(GOLDEN["temperature"]))
    result = show(probe, vectors, labels, roles).compute()
    for k, expected in zip(ks, GOLDEN["det_top1_top5"], strict=True):
        found = [records(result, metric)[0, k].value for metric in ("knn-top1", "knn-top5")]
        assert found == pytest.approx(expected.tolist(), abs=1e-9)


def test_the_usual_k_leads() -> None:
    """Short tables show the first."""
    result = show(new(k=(1, 20, 5)), *blobs()).compute()
    assert result.arrays["k"].tolist() == [20, 1, 5]
    assert next(r.at for r in result.records if r.metric == "knn-top1") == 20


def test_a_k_larger_than_the_bank_is_left_out_and_said() -> None:
    result = show(new(k=(20, 41)), *blobs()).compute()
    left = [r for r in result.records if r.gap.startswith("not computed")]
    assert [(r.metric, r.at, r.n) for r in left] == [("knn-top1", 41, 0), ("knn-top5", 41, 0)]
    assert all(np.isnan(r.value) and "only 40 images" in r.gap for r in left)
    assert result.arrays["k"].tolist() == [20]


def test_a_bank_smaller_than_every_k_is_refused() -> None:
    with pytest.raises(OptionError, match=r"the bank has 40 images, fewer than every k .*\(50, 200\); give --k 40 or"):
        show(new(k=(200, 50)), *blobs()).compute()


@pytest.mark.parametrize(("role", "missing"), [("query", "bank"), ("bank", "query")])
def test_without_a_bank_or_a_query_there_is_nothing_to_do(role: Any, missing: Any) -> None:
    features, labels, _ = blobs(9)
    with pytest.raises(MismatchError, match=rf"none of the 9 images has the role '{missing}'"):
        show(new(k=(1,)), features, labels, [role] * 9).compute()


def test_a_sample_without_a_role_is_named_at_once() -> None:
    features, labels, _ = blobs(9)
    with pytest.raises(MismatchError, match="sample '0' has the role ''"):
        show(new(), features, labels, [""] * 9)


def test_one_query_claims_no_best_block() -> None:
    features, labels, _ = blobs(30)
    result = show(new(k=(1,), depth=3), features, labels, ["query"] + ["bank"] * 29).compute()
    top1 = records(result, "knn-top1")
    assert [top1[block, 1].label for block in range(3)] == [BEST, LEVEL, LEVEL]
    assert top1[0, 1].low is None
    assert result.arrays["may-be-best"].all()


def test_a_class_without_a_query_has_no_accuracy() -> None:
    features, labels, _ = blobs(30)
    roles = ["query" if i < 6 and labels[i] != 1 else "bank" for i in range(30)]
    classes = show(new(k=(3,)), features, labels, roles).compute().arrays["class-top1"][0, 0]
    assert classes.tolist() == [100, pytest.approx(np.nan, nan_ok=True), 100]


def test_what_is_not_finite_is_a_named_gap() -> None:
    features, labels, roles = blobs()
    probe = new(k=(3,), depth=2)
    show(probe, features, labels, roles)
    probe.pooled.cls.rows(1)
    broken = new(k=(3,), depth=2)
    broken.roles, broken.labels = probe.roles, probe.labels
    for block in (0, 1):
        rows = probe.pooled.cls.rows(block)
        rows[4] = float("inf") if block else rows[4]
        broken.pooled.cls.add(block, range(60), rows)
        broken.pooled.patches.add(block, range(60), rows)
    result = broken.compute()
    (gap,) = (r for r in result.records if r.metric == "knn-top1" and np.isnan(r.value))
    assert (gap.block, gap.gap) == (1, "not computed: some features are not finite")
    assert result.arrays["knn-top1"][0, 0, 0] == 100


def test_a_model_without_cls_compares_patches_and_says_so() -> None:
    features, labels, roles = blobs()
    result = show(new(TokenLayout((), (1, 2)), k=(3,)), features[:, 2:], labels, roles).compute()
    assert records(result, "knn-bank")[None, None].token == "mean-patch"


def test_options_only_sum_up() -> None:
    assert KnnOptions(k=(1,), temperature=1, token="patches", seed=3).seen() == KnnOptions().seen() == {}
    for wrong in ({"k": ()}, {"k": (0,)}, {"temperature": 0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            KnnOptions(**wrong)


class Counted:
    """A reporter that counts the images that went through the model."""

    def __init__(self) -> None:
        self.images = 0

    def advance(self, images: Any, *, reused: bool = False) -> None:
        self.images += images

    def begin(self, *_: Any) -> None:
        pass

    end = note = download = begin


def test_all_blocks_and_every_k_come_from_one_pass(tmp_path: Path) -> None:
    """From pictures in folders to records, through the engine; another k asks for no further pass."""
    plugins = toy_plugins()
    for name, module in (("knn", vitan_analyses.knn), ("folder", vitan_datasets.folder)):
        plugins.register(Provider("vitan", "0"), name, module)
    for i in range(12):
        path = tmp_path / "own" / ("query" if i < 4 else "bank") / f"class-{i % 2}" / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (32, 32), (255 * (i % 2), 20 * i, 0)).save(path)

    def run(**options: Any) -> Any:
        content = {
            "analyses": [{"name": "knn", "options": options}],
            "models": [{"name": "toy-T8"}],
            "dataset": {"name": "folder", "options": {"root": str(tmp_path / "own")}},
        }
        counted = Counted()
        (outcome,) = outcomes_of(prepare(make_plan(content, "test"), plugins), 0, Store(tmp_path / "store"), counted)
        return outcome, counted.images

    first, images = run(k=[1, 3])
    assert images == 12
    assert {record.block for record in first.result.records if record.metric == "knn-top1"} == {0, 1, 2}
    again, _ = run(k=[5], temperature=1, token="patches")
    assert again.reused
    assert again.result.arrays["k"].tolist() == [5]
