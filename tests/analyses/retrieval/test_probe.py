"""The ``retrieval`` analysis from activations to records."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest
import torch

import golden
from vitan.anatomy import ModelInfo, TokenLayout
from vitan.data.batch import Batch
from vitan.data.samples import Sample
from vitan.errors import MismatchError
from vitan_analyses.retrieval.metrics import DEPTHS, PROTOCOLS
from vitan_analyses.retrieval.probe import RetrievalOptions, RetrievalProbe
from vitan_analyses.retrieval.sheets import choose, judge
from vitan_datasets.revisited.files import read

GOLDEN = golden.arrays("downstream/retrieval/retrieval.npz")
PUBLISHED = sorted(golden.FOLDER.glob("downstream/retrieval/*/gnd_*.pkl"))
LAYOUT = TokenLayout(("cls",), (1, 1))


def new(dim: Any = 2, depth: Any = 1, layout: Any = LAYOUT, **options: Any) -> Any:
    info = ModelInfo(
        name="toy", family="toy", arch="T", patch=8, image_size=32, depth=depth, heads=1, dim=dim, layout=layout,
        blocks=tuple(range(depth)),
    )  # fmt: skip
    return RetrievalProbe(RetrievalOptions(**options), info)


def show(probe: Any, vectors: Any, samples: Any, index: Any = None) -> Any:
    """Show vectors (image, channel) as CLS, and those of the image before as the patch, in every block."""
    index = tuple(range(len(samples)) if index is None else index)
    vectors = torch.as_tensor(vectors, dtype=torch.float32)
    tokens = torch.stack([vectors, vectors.roll(1, 0)], 1)[list(index)]
    batch = Batch(index, [samples[i] for i in index], (), torch.empty(len(index), 3, 1, 1))
    for block in probe.model.blocks:
        for recording in probe.recordings():
            recording.update_block(block, {"block": tokens}, batch)
    return probe


def query(id_: Any, easy: Any = (), hard: Any = (), junk: Any = (), label: Any = None) -> Any:
    return Sample(id=id_, image=None, role="query", label=label, relevant={"easy": easy, "hard": hard, "junk": junk})


def found(id_: Any, label: Any = None) -> Any:
    return Sample(id=id_, image=None, role="bank", label=label)


def value(result: Any, metric: Any, block: Any = 0, k: Any = None) -> Any:
    (record,) = (r for r in result.records if (r.metric, r.block, r.at) == (metric, block, k))
    return record.value


@pytest.fixture
def circle() -> Any:
    """A query at angle 0 and pictures that turn away from it: easy, wrong, junk, hard, wrong."""
    angles = np.array([0.0, 0.1, 0.2, 0.3, 0.4, 0.5])
    samples = [query("q", easy=[1], hard=[4], junk=[3]), *(found(f"{i}") for i in range(5))]
    return np.stack([np.cos(angles), np.sin(angles)], 1), samples


def test_three_protocols_by_hand(circle: Any) -> None:
    result = show(new(), *circle).compute()
    assert value(result, "map-easy") == pytest.approx(1)
    assert value(result, "map-medium") == pytest.approx((1 + (1 / 2 + 2 / 3) / 2) / 2)  # junk is out: ranks 1 and 3
    assert value(result, "map-hard") == pytest.approx((0 + 1 / 2) / 2)  # easy is out as well: rank 2
    assert [value(result, "mp-medium", k=k) for k in DEPTHS] == pytest.approx([1, 2 / 3, 2 / 3])
    assert result.headline == ("map-easy", "map-medium", "map-hard")
    assert result.arrays["top"][0, 0].tolist() == [1, 2, 3, 4, 5]
    assert result.arrays["kind"][0, 0].tolist() == [1, 0, 3, 2, 0]
    (medium,) = (r for r in result.records if r.metric == "map-medium")
    assert (medium.low, medium.n, medium.token) == (None, 1, "cls")  # one query


def test_shards_in_any_order_give_the_same_bits(circle: Any) -> None:
    vectors, samples = circle
    expected = show(new(depth=2), vectors, samples).compute().arrays
    for order in permutations([range(0, 1), range(1, 4), range(4, 6)]):
        merged = new(depth=2)
        for part in order:
            for mine, theirs in zip(
                merged.recordings(), show(new(depth=2), vectors, samples, part).recordings(), strict=True
            ):
                mine.merge(theirs)
        arrays = merged.compute().arrays
        assert all(np.array_equal(arrays[k], expected[k], equal_nan=expected[k].dtype.kind == "f") for k in expected)


def test_a_query_without_positives_counts_in_no_mean(circle: Any) -> None:
    vectors, samples = circle
    more = [*samples, query("lost", junk=[1])]
    result = show(new(), np.concatenate([vectors, vectors[:1]]), more).compute()
    assert value(result, "map-medium") == pytest.approx((1 + (1 / 2 + 2 / 3) / 2) / 2)
    assert np.isnan(result.arrays["average-precision"][:, 0, 1]).all()
    (medium,) = (r for r in result.records if r.metric == "map-medium")
    assert medium.n == 1


def test_a_protocol_that_finds_nothing_is_a_named_gap(circle: Any) -> None:
    vectors, samples = circle
    result = show(new(), vectors, [query("q", easy=[2]), *samples[1:]]).compute()
    (gap,) = (r for r in result.records if r.metric == "map-hard")
    assert np.isnan(gap.value)
    assert "no query has anything to find" in gap.gap
    assert gap.label == ""


def test_classes_do_where_nothing_is_said_of_relevance(circle: Any) -> None:
    vectors, _ = circle
    samples = [Sample(id="q", image=None, role="query", label=7), *(found(f"{i}", 7 * (i == 2)) for i in range(5))]
    result = show(new(), vectors, samples).compute()
    assert value(result, "map-class") == pytest.approx((0 + 1 / 3) / 2)
    assert result.headline == ("map-class",)
    assert result.arrays["kind"][0, 0].tolist() == [0, 0, 1, 0, 0]


def test_a_query_with_neither_relevance_nor_label_is_refused(circle: Any) -> None:
    vectors, samples = circle
    with pytest.raises(MismatchError, match="image 0 of the dataset is a query without a label or anything relevant"):
        show(new(), vectors, [query("q"), *samples[1:]]).compute()


@pytest.mark.parametrize(("role", "missing"), [("query", "bank"), ("bank", "query")])
def test_without_a_gallery_or_a_query_there_is_nothing_to_do(circle: Any, role: Any, missing: Any) -> None:
    vectors, _ = circle
    samples = [Sample(id=f"{i}", image=None, role=role, label=0) for i in range(6)]
    with pytest.raises(MismatchError, match=f"none of the 6 images has the role '{missing}'"):
        show(new(), vectors, samples).compute()


def test_relevant_pictures_that_were_not_seen_are_counted(circle: Any) -> None:
    vectors, samples = circle
    part = range(3)  # as --limit 3 does: the hard and the junk one are missing
    result = show(new(), vectors, samples, part).compute()
    assert value(result, "retrieval-unseen", block=None) == 2
    assert value(result, "map-medium") == 1


def test_other_vectors_and_their_gaps(circle: Any) -> None:
    vectors, samples = circle
    assert show(new(token="patches"), vectors, samples).compute().arrays["top"][0, 0, 0] == 5
    vectors = vectors.copy()
    vectors[3] = np.inf
    result = show(new(), vectors, samples).compute()
    assert {r.gap[:30] for r in result.records if r.metric == "map-easy"} == {"not computed: some features ar"}


@pytest.mark.golden
@pytest.mark.parametrize("file", PUBLISHED, ids=[file.parent.name for file in PUBLISHED])
def test_published_scores_from_the_pickle_to_the_records(file: Any) -> None:
    truth = read(file)
    first = len(truth.queries)
    samples = [
        query(q.name, *([first + place for place in q.relevant[kind]] for kind in ("easy", "hard", "junk")))
        for q in truth.queries
    ] + [found(name) for name in truth.images]
    vectors = np.concatenate([GOLDEN["query"], GOLDEN["db"]])
    result = show(new(vectors.shape[1]), vectors, samples).compute()
    for i, protocol in enumerate(PROTOCOLS):
        end = protocol[0].upper()
        assert value(result, f"map-{protocol}") == pytest.approx(float(GOLDEN[f"feat_map{end}"]), abs=1e-12)
        np.testing.assert_allclose(
            result.arrays["average-precision"][i, 0], GOLDEN[f"feat_aps{end}"], atol=1e-12, rtol=0
        )
        precisions = [value(result, f"mp-{protocol}", k=k) for k in DEPTHS]
        assert precisions == pytest.approx(GOLDEN[f"feat_mpr{end}"].tolist(), abs=1e-12)


def test_a_sheet_shows_the_best_the_middle_and_the_worst_once() -> None:
    average = np.array([0.5, np.nan, 0.9, 0.1, 0.7, 0.3, 0.2, 0.8])
    assert choose(average) == [("best", 2), ("best", 7), ("median", 4), ("median", 0), ("worst", 6), ("worst", 3)]
    assert choose(average[:3]) == [("best", 2), ("best", 0)]
    assert choose(np.full(3, np.nan)) == []


@pytest.mark.parametrize(
    ("protocol", "verdicts"),
    [
        ("easy", ["wrong", "right", "junk", "junk"]),
        ("medium", ["wrong", "right", "right", "junk"]),
        ("hard", ["wrong", "junk", "right", "junk"]),
        ("class", ["wrong", "right"]),
    ],
)
def test_marks_on_a_sheet_follow_the_protocol(protocol: Any, verdicts: Any) -> None:
    assert [judge(kind, protocol) for kind in range(len(verdicts))] == verdicts
