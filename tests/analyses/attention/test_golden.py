"""The attention analysis against the numbers of the published code."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
import torch

import golden
from vitan.analysis.records import Result
from vitan.anatomy import ModelInfo, TokenLayout
from vitan.data.batch import Batch
from vitan.data.samples import Sample
from vitan_analyses.attention.arrays import mean_offset
from vitan_analyses.attention.probe import AttentionProbe
from vitan_analyses.attention.state import AttentionOptions

pytestmark = pytest.mark.golden

GOLDEN = golden.arrays("attention.npz")
CASES = sorted(key.removesuffix("__attn") for key in GOLDEN.files if key.endswith("__attn"))
SAME = {  # published name: ours
    "avg-att-dist": "attention-distance",
    "avg-att-dist__EXCL_NULL": "attention-distance-without-null",
    "stdev-over-token-pos": "position-deviation",
    "stdev-over-head": "head-deviation",
    "spatial-cls-att__FIXED": "patch-to-cls",
    "avg-att-on-token": "attention-on-token-all",
    "avg-spc-att-on-token": "attention-on-token-patch",
    "avg-spcpure-att-on-token": "attention-on-token-patch-only",
    "avg-cls-att-on-token": "attention-on-token-cls",
    "avg-aligned-att-on-token__FIXED": "aligned-attention",
    "null-tracker": "null-rows",
    "avg-att-on-token-per-class": "attention-on-token-per-class",
    "att-pat-shortcuts__PATTERNS": "attention-patterns",
}
PRESENT = [(case, name) for case in CASES for name in SAME if f"{case}__{name}" in GOLDEN.files]


def attention_of(case: str) -> np.ndarray:
    return GOLDEN[f"{case}__attn"]  # (image, block, head, query, key)


@cache
def measure(case: str, batch_size: int, protocol: str = "default", dtype: torch.dtype = torch.float32) -> Result:
    attention = torch.from_numpy(attention_of(case)).to(dtype)
    images, blocks, heads, tokens, _ = attention.shape
    side = math.isqrt(tokens - 1)
    layout = TokenLayout(("cls",), (side, side))
    names = {"name": "golden", "family": "golden", "arch": "T", "patch": 16, "image_size": 16 * side}
    model = ModelInfo(**names, depth=blocks, heads=heads, dim=8, layout=layout, blocks=tuple(range(blocks)))
    options = AttentionOptions(protocol=protocol, per_class=True, patterns=True)
    probe = AttentionProbe(options, model)
    values = torch.ones(images, heads, tokens, 2)
    starts = range(0, images, batch_size)
    for start in starts:
        index = range(start, min(start + batch_size, images))
        labels = GOLDEN[f"{case}__labels"]
        samples = [Sample(id=str(i), image=None, label=int(labels[i])) for i in index]
        batch = Batch(tuple(index), samples, (), torch.empty(len(index), 3, 0, 0))
        for block in range(blocks):
            taps = {"attention": attention[list(index), block], "v": values[list(index)]}
            probe.update_block(block, taps, batch)
    return probe.compute()


@pytest.mark.parametrize("batch_size", [1, 2, 3])
@pytest.mark.parametrize(("case", "name"), PRESENT)
def test_arrays(case: str, name: str, batch_size: int) -> None:
    ours = measure(case, batch_size).arrays[SAME[name]]
    np.testing.assert_allclose(ours, GOLDEN[f"{case}__{name}"], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(("case", "name"), PRESENT)
def test_double_precision_is_closer(case: str, name: str) -> None:
    ours = measure(case, 2, dtype=torch.float64).arrays[SAME[name]]
    np.testing.assert_allclose(ours, GOLDEN[f"{case}__{name}"], atol=3e-7)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_batch_size_changes_no_bit(case: str, batch_size: int) -> None:
    one, other = measure(case, 1).arrays, measure(case, batch_size).arrays
    assert one.keys() == other.keys()
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name], err_msg=name)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("protocol", ["default", "paper"])
def test_offsets(case: str, protocol: str) -> None:
    ours = measure(case, 2, protocol).arrays["attention-offset"]
    theirs = [GOLDEN[f"{case}__avg-{name}-offset"] for name in ("x", "y", "att")]
    np.testing.assert_allclose(ours, np.stack(theirs, -1), atol=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_normalised_aligned_map(case: str) -> None:
    aligned = measure(case, 1).arrays["aligned-attention"].copy()
    kept = aligned.copy()
    mean_offset(aligned, (1 + aligned.shape[-2] // 2,) * 2)
    np.testing.assert_array_equal(aligned, kept)  # the published code normalises its input in place
    mass = aligned.sum((-2, -1), keepdims=True)
    ours = aligned / np.where(mass == 0, 1, mass)
    theirs = GOLDEN[f"{case}__avg-aligned-att-on-token__AFTER_OFFSET_INPLACE"]
    np.testing.assert_allclose(ours, theirs, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_paper_protocol(case: str) -> None:
    images = len(attention_of(case))
    for name, batch_size in (("REF_ONE_BATCH", images), ("REF_BATCH2", 2)):
        ours = measure(case, batch_size, "paper").arrays["aligned-attention"]
        theirs = GOLDEN[f"{case}__avg-aligned-att-on-token__{name}"]
        np.testing.assert_allclose(ours, theirs, atol=1e-6, rtol=1e-5)
    ours = measure(case, 1, "paper").arrays["patch-to-cls"]
    np.testing.assert_allclose(ours, GOLDEN[f"{case}__spatial-cls-att__REF"], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_all_tokens_are_not_hurt_by_another_metric(case: str) -> None:
    theirs = GOLDEN[f"{case}__avg-att-on-token__AFTER_SPCPURE_BUG"]
    assert np.abs(measure(case, 1).arrays["attention-on-token-all"] - theirs).max() > 1e-4


@pytest.mark.parametrize("case", CASES)
def test_class_deviation_and_null_totals(case: str) -> None:
    result = measure(case, 2)
    theirs = GOLDEN[f"{case}__stdev-over-class"][0]
    np.testing.assert_allclose(result.arrays["class-deviation"], theirs, atol=1e-6, rtol=1e-5)
    totals = {r.metric: r.value for r in result.records if r.metric.startswith("null") and r.block is None}
    assert totals == {"null-rows": GOLDEN[f"{case}__null-count"], "null-images": GOLDEN[f"{case}__null-images"]}


@pytest.mark.parametrize("case", CASES)
def test_half_precision_is_widened(case: str) -> None:
    """Nothing is added up in half precision: results are those of the rounded input in single precision."""
    rounded = measure(case, 2, dtype=torch.float16)
    exact = measure(case, 2, dtype=torch.float32)
    for name in ("attention-distance", "attention-on-token-patch", "aligned-attention", "position-deviation"):
        ours, theirs = rounded.arrays[name], exact.arrays[name]
        np.testing.assert_allclose(ours, theirs, atol=1e-3 * float(np.abs(theirs).max()))
        assert ours.dtype != np.float16
