"""The attention analysis: identities, shards, layouts and hand-made cases."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from vitan.analysis.records import Result
from vitan.anatomy import ModelInfo, TokenLayout
from vitan.data.batch import Batch
from vitan.data.samples import Sample
from vitan.errors import MismatchError, RecordingError
from vitan_analyses.attention import reduce
from vitan_analyses.attention.anchors import measure, shifted
from vitan_analyses.attention.geometry import lengths, uniform_aligned, uniform_distance
from vitan_analyses.attention.patterns import cluster
from vitan_analyses.attention.probe import AttentionProbe
from vitan_analyses.attention.state import AttentionOptions

CLS = TokenLayout(("cls",), (4, 4))
WIDE = TokenLayout(("cls", "register", "register"), (3, 5))
BARE = TokenLayout((), (5, 3))
LAYOUTS = [CLS, WIDE, BARE, TokenLayout(("distillation", "cls"), (1, 6))]
IMAGES, BLOCKS, HEADS = 5, 3, 4


def info(
    layout: TokenLayout, blocks: Sequence[int] = range(BLOCKS), heads: int = HEADS, depth: int = BLOCKS
) -> ModelInfo:
    names = {"name": "made-up", "family": "made-up", "arch": "T", "patch": 8, "image_size": 8 * layout.grid[0]}
    return ModelInfo(**names, depth=BLOCKS, heads=heads, dim=8, layout=layout, blocks=tuple(blocks))


def attention_for(layout: TokenLayout, heads: int = HEADS, seed: int = 0) -> Tensor:
    """(image, block, head, query, key), with a null row where there is a prefix to look at."""
    tokens = len(layout)
    noise = torch.randn(IMAGES, BLOCKS, heads, tokens, tokens, generator=torch.Generator().manual_seed(seed))
    attention = (2 * noise).softmax(-1)
    if layout.prefix:
        attention[1, 1, 0, -1] = 0
        attention[1, 1, 0, -1, 0] = 1
    return attention


def values_for(layout: TokenLayout, heads: int = HEADS) -> Tensor:
    return torch.randn(IMAGES, BLOCKS, heads, len(layout), 2, generator=torch.Generator().manual_seed(1))


def feed(
    probe: AttentionProbe, attention: Tensor, values: Tensor, index: Sequence[int], labels: Sequence[int] | None = None
) -> AttentionProbe:
    samples = [Sample(id=f"s{i}", image=None, label=None if labels is None else labels[i]) for i in index]
    batch = Batch(tuple(index), samples, (), torch.empty(len(index), 3, 0, 0))
    for block in probe.model.blocks:
        probe.update_block(block, {"attention": attention[list(index), block], "v": values[list(index), block]}, batch)
    return probe


def run(layout: TokenLayout, attention: Tensor | None = None, size: int = 2, **options: object) -> Result:
    attention = attention_for(layout) if attention is None else attention
    probe = AttentionProbe(AttentionOptions(**options), info(layout, heads=attention.shape[2]))
    values = values_for(layout, attention.shape[2])
    starts = range(0, IMAGES, size)
    for start in starts:
        feed(probe, attention, values, range(start, min(start + size, IMAGES)), [0, 1, 1, 0, 1])
    return probe.compute()


def one(
    result: Result, metric: str, block: int | None = None, head: int | None = None, name: str = "", token: str = ""
) -> float:
    wanted = (metric, block, head, name)
    values = [r.value for r in result.records if (r.metric, r.block, r.head, r.name) == wanted and token in r.token]
    (value,) = values
    return value


def by_definition(layout: TokenLayout, attention: Tensor) -> dict[str, np.ndarray]:
    """The definitions, written down without any thought of speed."""
    whole = attention.double().numpy()
    queries = whole[..., layout.patches, :]
    spatial = queries[..., layout.patches]
    mass = spatial.sum(-1, keepdims=True)
    only = np.divide(spatial, mass, out=np.zeros_like(spatial), where=mass > 0)
    rows, columns = layout.grid
    cells = np.stack(np.divmod(np.arange(rows * columns), columns), -1)  # (patch, row and column)
    offset = cells[None] - cells[:, None]  # (query, key, row and column)
    aligned = np.zeros((*whole.shape[:3], 2 * rows - 1, 2 * columns - 1))
    for q, k in itertools.product(range(rows * columns), repeat=2):
        aligned[..., rows - 1 + offset[q, k, 0], columns - 1 + offset[q, k, 1]] += only[..., q, k]
    distance = np.hypot(*np.moveaxis(offset, -1, 0)) / (max(rows, columns) - 1)
    logs = np.log(np.where(queries > 0, queries, 1))
    norms = values_for(layout, whole.shape[2]).double().norm(dim=-1).numpy()
    weighted = queries.mean(-2) * norms
    weighted /= weighted.sum(-1, keepdims=True)
    return {
        "attention-distance": (only * distance).sum((-1, -2)) / (rows * columns),
        "position-deviation": spatial.std(-2, ddof=1).mean(-1),
        "head-deviation": spatial.std(2, ddof=1).mean((-1, -2)),
        "attention-on-token-all": whole.mean(-2).mean(0),
        "attention-on-token-patch": queries.mean(-2).mean(0),
        "aligned-attention": aligned.mean(0) / (rows * columns),
        "entropy": -(queries * logs).sum(-1).mean(-1),
        "value-weighted-on-token": weighted.mean(0),
    }


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_follows_the_definitions(layout: TokenLayout) -> None:
    attention = attention_for(layout)
    result = run(layout, attention)
    for name, expected in by_definition(layout, attention).items():
        np.testing.assert_allclose(result.arrays[name], expected, atol=1e-6, rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("layout", [CLS, WIDE])
def test_slabs_smaller_than_an_image_change_nothing_but_rounding(
    layout: TokenLayout, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(layout).arrays
    monkeypatch.setattr(reduce, "CPU_SLAB_BYTES", 1)
    for name, array in run(layout).arrays.items():
        np.testing.assert_allclose(array, whole[name], atol=1e-6, rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_identities(layout: TokenLayout) -> None:
    result = run(layout, per_class=True)
    arrays, n = result.arrays, layout.n_patches
    nulls = arrays["null-rows"].sum(-1)
    assert nulls.sum() == (1 if layout.prefix else 0)
    close = {"atol": 1e-6, "rtol": 1e-5}
    aligned = arrays["aligned-attention"]
    distance = (aligned * lengths(layout.grid)).sum((-2, -1))
    np.testing.assert_allclose(arrays["attention-distance"].mean(0), distance, **close)
    np.testing.assert_allclose(aligned.sum((-2, -1)), 1 - nulls / (IMAGES * n), **close)
    np.testing.assert_allclose(arrays["attention-on-token-patch-only"].sum(-1), 1 - nulls / (IMAGES * n), **close)
    assert not arrays["attention-on-token-patch-only"][..., : layout.patches.start].any()
    for name in ("attention-on-token-all", "attention-on-token-patch", "value-weighted-on-token", "rollout"):
        np.testing.assert_allclose(arrays[name].sum(-1), 1, **close)
    counts = np.array([2, 3]).reshape(2, 1, 1, 1)
    of_classes = (counts * arrays["attention-on-token-per-class"]).sum(0) / IMAGES
    np.testing.assert_allclose(of_classes, arrays["attention-on-token-all"], **close)
    if layout.cls is not None:
        cls_share = arrays["attention-on-token-patch"][..., layout.cls]
        np.testing.assert_allclose(arrays["patch-to-cls"].mean(0), cls_share, **close)
        patch_sums = n * arrays["attention-on-token-patch"]
        rest = len(layout) * arrays["attention-on-token-all"] - patch_sums
        if layout.prefix == ("cls",):
            np.testing.assert_allclose(rest, arrays["attention-on-token-cls"], atol=1e-5)


def test_the_offset_is_the_centroid_of_the_token_map() -> None:
    """Without null rows; so the mean offset cannot tell 'always that patch' from 'always to the left'."""
    arrays = run(BARE).arrays
    column, row = np.arange(15) % 3, np.arange(15) // 3
    pure = arrays["attention-on-token-patch-only"]
    for i, axis in enumerate((column, row)):
        centroid = (pure * (axis - axis.mean())).sum(-1) / 4
        np.testing.assert_allclose(arrays["attention-offset"][..., i], centroid, atol=1e-6)


def test_transposing_and_mirroring_the_grid() -> None:
    layout = TokenLayout((), (4, 4))
    attention = attention_for(layout)
    cells = torch.arange(16).reshape(4, 4)
    plain = run(layout, attention).arrays
    for cellwise, swap, sign in ((cells.T, [1, 0, 2], [1, 1, 1]), (cells.flip(1), [0, 1, 2], [-1, 1, 1])):
        order = cellwise.flatten()
        moved = run(layout, attention[..., order, :][..., order]).arrays
        np.testing.assert_allclose(moved["attention-distance"], plain["attention-distance"], atol=1e-6)
        expected = plain["attention-offset"][..., swap] * sign
        np.testing.assert_allclose(moved["attention-offset"], expected, atol=1e-6)


def test_permuting_images_permutes_only_what_is_per_image() -> None:
    attention = attention_for(BARE)
    order = [3, 0, 4, 1, 2]
    values = values_for(BARE)[:1].expand(IMAGES, -1, -1, -1, -1)
    plain, moved = (AttentionProbe(AttentionOptions(), info(BARE)) for _ in range(2))
    one_run = feed(plain, attention, values, range(IMAGES)).compute()
    other = feed(moved, attention[order], values, range(IMAGES)).compute()
    for name, axes in one_run.axes.items():
        expected = one_run.arrays[name][order] if axes[0] == "image" and name != "image" else one_run.arrays[name]
        np.testing.assert_array_equal(other.arrays[name], expected, err_msg=name)


@pytest.mark.parametrize("layout", [CLS, WIDE, BARE])
def test_shards_merge_to_the_same_bits_in_any_order(layout: TokenLayout) -> None:
    attention, values, labels = attention_for(layout), values_for(layout), [0, 1, 1, 0, 1]
    options = AttentionOptions(per_class=True, patterns=True)

    def probe() -> AttentionProbe:
        return AttentionProbe(options, info(layout))

    whole = feed(probe(), attention, values, range(IMAGES), labels).compute()
    for order in itertools.permutations(([0, 1], [2, 3], [4])):
        merged = probe()
        for part in order:
            shard = probe()
            shard.load(feed(probe(), attention, values, part, labels).state())
            merged.merge(shard)
        result = merged.compute()
        assert result.records == whole.records
        for name, array in whole.arrays.items():
            np.testing.assert_array_equal(result.arrays[name], array, err_msg=name)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_inputs_are_left_as_they_are(dtype: torch.dtype) -> None:
    attention, values = attention_for(CLS).to(dtype), values_for(CLS).to(dtype)
    kept = attention.clone(), values.clone()
    feed(AttentionProbe(AttentionOptions(), info(CLS)), attention, values, range(IMAGES)).compute()
    assert torch.equal(attention, kept[0])
    assert torch.equal(values, kept[1])


def test_many_images_at_once_change_nothing_but_rounding() -> None:
    """As on an accelerator."""
    one_by_one, together = reduce.BlockReducer(WIDE), reduce.BlockReducer(WIDE)
    attention = attention_for(WIDE)[:, 1]
    whole = together._empty(attention)
    together._reduce(attention, whole)
    for name, part in one_by_one(attention)._asdict().items():
        torch.testing.assert_close(getattr(whole, name), part, msg=name)


def test_reused_memory_does_not_leak_into_earlier_results() -> None:
    reducer = reduce.BlockReducer(CLS)
    attention = attention_for(CLS)
    first = reducer(attention[:, 0])
    kept = {name: part.clone() for name, part in first._asdict().items() if name != "head_mean"}
    reducer(attention[:2, 1])
    reducer(attention[:, 2].double())
    for name, part in kept.items():
        assert torch.equal(getattr(first, name), part), name


def test_nearly_equal_rows_and_heads_keep_their_deviation() -> None:
    """One-pass sums of squares in single precision would lose all of it."""
    tokens = len(BARE)
    noise = torch.randn(IMAGES, BLOCKS, HEADS, tokens, tokens, generator=torch.Generator().manual_seed(3)).double()
    attention = (1e-4 * noise).softmax(-1)
    expected = by_definition(BARE, attention.float())
    arrays = run(BARE, attention.float()).arrays
    for name in ("position-deviation", "head-deviation"):
        np.testing.assert_allclose(arrays[name], expected[name], rtol=1e-3, err_msg=name)


def test_one_head_has_no_deviation_over_heads() -> None:
    result = run(CLS, attention_for(CLS, heads=1))
    assert np.isnan(result.arrays["head-deviation"]).all()
    assert math.isnan(one(result, "head-deviation", 0))
    assert np.isfinite(result.arrays["position-deviation"]).all()


def test_a_head_that_looks_at_no_patch() -> None:
    attention = attention_for(CLS)
    attention[:, 0, 0] = 0
    attention[:, 0, 0, :, 0] = 1
    result = run(CLS, attention)
    assert np.isnan(result.arrays["attention-distance-without-null"][:, 0, 0]).all()
    assert np.isfinite(result.arrays["attention-distance-without-null"][:, 0, 1:]).all()
    assert (result.arrays["attention-distance"][:, 0, 0] == 0).all()
    assert (result.arrays["attention-offset"][0, 0] == 0).all()
    assert one(result, "null-rows", 0, 0) == 16 * IMAGES
    assert one(result, "null-images") == IMAGES
    assert one(result, "entropy", 0, 0, token="patch-tokens") == 0
    assert one(result, "head-type-score", 0, 0, name="sink") == 1
    left_out = run(CLS, attention, exclude_null=True)
    assert math.isnan(one(left_out, "attention-distance-without-null", 0, 0))
    counted = left_out.arrays["attention-distance-without-null"][:, 0, 1:].mean()
    assert one(left_out, "attention-distance-without-null", 0) == pytest.approx(counted)


@pytest.mark.parametrize("left", [1e-30, 1e-38, 1e-42])
def test_the_smallest_rest_for_the_patches_is_still_a_row(left: float) -> None:
    """Only exactly nothing makes a null row, as published."""
    attention = attention_for(CLS)
    attention[:, 0, 0] = 0
    attention[:, 0, 0, :, 0] = 1
    attention[:, 0, 0, :, 1:3] = left  # the first two patches
    result = run(CLS, attention)
    assert one(result, "null-rows", 0, 0) == 0
    row, column = np.arange(16) // 4, np.arange(16) % 4
    expected = [(np.hypot(row, column - k) / 3).mean() for k in (0, 1)]
    np.testing.assert_allclose(result.arrays["attention-distance"][:, 0, 0], np.mean(expected), rtol=1e-5)


def test_metrics_of_cls_are_absent_without_one() -> None:
    result = run(BARE)
    named = {*result.arrays, *(record.metric for record in result.records)}
    assert not [name for name in named if name.endswith("-cls")]
    assert not [record for record in result.records if "cls" in (record.token, record.name)]
    assert "patch-to-cls" in run(WIDE).arrays
    masses = [one(run(WIDE), "mass-on-token", 0, name=role) for role in ("cls", "register", "patch")]
    assert sum(masses) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("layout", [CLS, BARE])
def test_rollout_by_definition(layout: TokenLayout) -> None:
    attention = attention_for(layout).double().mean(2)  # (image, block, query, key)
    mixing = (attention + torch.eye(len(layout))) / 2
    rolled = mixing[:, 2] @ mixing[:, 1] @ mixing[:, 0]
    row = rolled[:, layout.cls] if layout.cls is not None else rolled[:, layout.patches].mean(1)
    result = run(layout)
    np.testing.assert_allclose(result.arrays["rollout"][2], row.mean(0), atol=1e-6)
    assert one(result, "rollout-on-patches", 2) == pytest.approx(float(row.mean(0)[layout.patches].sum()), abs=1e-6)


def test_some_blocks_only() -> None:
    attention, values = attention_for(CLS), values_for(CLS)
    probe = AttentionProbe(AttentionOptions(), info(CLS, blocks=(1, 2)))
    result = feed(probe, attention, values, range(IMAGES)).compute()
    whole = run(CLS)
    np.testing.assert_array_equal(result.arrays["entropy"], whole.arrays["entropy"][:, 1:])
    assert one(result, "entropy", 2, 3, token="cls") == one(whole, "entropy", 2, 3, token="cls")
    assert "rollout" not in result.arrays
    (note,) = [r for r in result.records if r.metric.startswith("rollout")]
    assert math.isnan(note.value)
    assert "every block" in note.gap


def test_distances_in_three_units() -> None:
    result = run(WIDE)
    distance = one(result, "attention-distance", 0, 0)
    assert one(result, "attention-distance-relative", 0, 0) == pytest.approx(distance / uniform_distance((3, 5)))
    assert one(result, "attention-distance-pixels", 0, 0) == pytest.approx(distance * 4 * 8)


def test_uniform_distance_by_enumeration() -> None:
    cells = list(itertools.product(range(3), range(5)))
    pairs = [math.dist(a, b) / 4 for a in cells for b in cells]
    assert uniform_distance((3, 5)) == pytest.approx(sum(pairs) / len(pairs))
    assert uniform_aligned((3, 5)).sum() == pytest.approx(1)


def test_one_patch_shift_of_any_grid() -> None:
    assert one(measure(shifted(4), 4), "attention-distance", 0) == pytest.approx(0.25)


def test_a_grid_that_does_not_fit_is_refused() -> None:
    with pytest.raises(MismatchError, match="one patch"):
        AttentionProbe(AttentionOptions(), info(TokenLayout(("cls",), (1, 1))))
    probe = AttentionProbe(AttentionOptions(), info(CLS))
    with pytest.raises(RecordingError, match=r"18, 18.*17 tokens"):
        feed(probe, attention_for(WIDE), values_for(WIDE), [0])


def test_classes_need_labels() -> None:
    options = AttentionOptions(per_class=True)
    assert AttentionProbe.requires(options) == {"label"}
    assert AttentionProbe.requires(AttentionOptions()) == frozenset()
    with pytest.raises(MismatchError, match="'s0' has no label"):
        feed(AttentionProbe(options, info(CLS)), attention_for(CLS), values_for(CLS), [0])


def test_patterns_that_follow_the_label_are_found() -> None:
    labels = np.repeat([4, 7, 9], 6)
    patterns = np.eye(3)[np.repeat([0, 1, 2], 6)] + 0.01 * np.random.default_rng(0).normal(size=(18, 3))
    assert {metric: value for metric, value, _ in cluster(patterns, labels)} == pytest.approx(
        {"pattern-nmi": 1, "pattern-ari": 1, "pattern-purity": 1}
    )
    shuffled = {metric: value for metric, value, _ in cluster(patterns, np.tile([4, 7, 9], 6))}
    assert shuffled["pattern-purity"] == pytest.approx(1 / 3)
    result = run(CLS, patterns=True)
    assert result.arrays["attention-patterns"].shape == (IMAGES, 17)
    assert {r.metric for r in result.records if r.at == 2} == {"pattern-nmi", "pattern-ari", "pattern-purity"}


def test_summary_options_keep_the_stored_state() -> None:
    plain, other = AttentionOptions(), AttentionOptions(protocol="paper", exclude_null=True)
    assert plain.seen() == other.seen() != AttentionOptions(patterns=True).seen()
