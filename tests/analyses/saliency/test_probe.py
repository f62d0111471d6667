"""The ``saliency`` analysis on attention made by hand, and its pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from PIL import Image

from vitan.analysis.figures import Drawable, Plot
from vitan.anatomy import ModelInfo, TokenLayout
from vitan.data.batch import Batch
from vitan.data.samples import Dataset, Sample, Segment
from vitan.data.views import make_view
from vitan.errors import MismatchError
from vitan.options import Options
from vitan.registry.plugins import installed
from vitan.testing import check_probe
from vitan_analyses.regions.token_masks import TokenMasks
from vitan_analyses.saliency.figures import draw
from vitan_analyses.saliency.probe import SaliencyOptions, SaliencyProbe

GRID, HEADS = (4, 4), 3
LAYOUT = TokenLayout(("cls",), GRID)
SPEC = next(spec for _, spec in installed().probes if spec.name == "saliency")


def probe_of(layout: TokenLayout = LAYOUT, name: str = "toy-T8", **options: object) -> SaliencyProbe:
    model = ModelInfo(
        name=name, family="toy", arch="T", patch=8, image_size=32, depth=2, heads=HEADS, dim=8, layout=layout,
        blocks=(0, 1),
    )  # fmt: skip
    return SaliencyProbe(SaliencyOptions(**options), model)


def batch_of(unions: Sequence[np.ndarray], probe: SaliencyProbe, first: int = 0) -> Batch:
    index = range(first, first + len(unions))
    found = [{"union": torch.from_numpy(union)} for union in unions]
    samples = [Sample(id=str(i), image=None) for i in index]
    return Batch(
        index, samples, (), torch.empty(len(unions), 3, 0, 0), prepared={probe.preparation(probe.options): found}
    )


def looking_at(*cells: Sequence[int]) -> torch.Tensor:
    """Attention (head, query, key) of which every query of head h looks at the patches ``cells[h]`` alone, evenly."""
    attention = torch.zeros(len(cells), len(LAYOUT), len(LAYOUT))
    for head, patches in enumerate(cells):
        attention[head, :, [1 + patch for patch in patches]] = 1 / len(patches)
    return attention


def union_of(*patches: int) -> np.ndarray:
    union = np.zeros(GRID[0] * GRID[1], bool)
    union[list(patches)] = True
    return union.reshape(GRID)


def watched(*batches: tuple[Sequence[np.ndarray], torch.Tensor], **options: object) -> SaliencyProbe:
    probe = probe_of(**options)
    first = 0
    for unions, attention in batches:
        batch = batch_of(unions, probe, first)
        first += len(unions)
        for block in probe.model.blocks:
            probe.update_block(block, {"attention": attention}, batch)
    return probe


def values(probe: SaliencyProbe, metric: str) -> dict[tuple[int | None, int | None], float]:
    """Of CLS, or of no token at all."""
    records = probe.compute().records
    return {(r.block, r.head): r.value for r in records if r.metric == metric and r.token in ("", "cls")}


def test_heads_oracle_and_fixed_head_by_hand() -> None:
    """Two objects of two patches; head 0 finds the first, head 1 the second, head 2 half of each and as much else."""
    heads = looking_at((0, 1), (14, 15), (0, 15))
    probe = watched(([union_of(0, 1), union_of(14, 15)], heads.expand(2, -1, -1, -1)), mass=1.0)
    assert values(probe, "iou")[0, 0] == pytest.approx(0.5)  # 1 in one picture, 0 in the other
    assert values(probe, "iou")[0, 2] == pytest.approx(1 / 3)
    assert values(probe, "iou")[0, None] == pytest.approx((0.5 + 0.5 + 1 / 3) / 3)
    assert values(probe, "iou-best-head-per-image")[1, None] == 1
    assert values(probe, "iou-best-fixed-head")[1, None] == pytest.approx(0.5)
    labels = {r.label for r in probe.compute().records if r.metric == "iou-best-fixed-head" and r.token == "cls"}
    assert labels == {"head 0"}
    assert values(probe, "iou-merged")[0, None] == pytest.approx(0.5)  # four patches, two of them right
    assert values(probe, "heads") == {(None, None): HEADS}


def test_random_masks_are_much_worse_than_heads_that_find_the_object() -> None:
    heads = looking_at((0, 1), (14, 15), (0, 15))
    probe = watched(([union_of(0, 1)] * 50, heads.expand(50, -1, -1, -1)))
    mean, best = (values(probe, f"iou-random{what}")[0, None] for what in ("", "-best-head"))
    assert mean == pytest.approx(np.mean([0, 0, 0, 1 / 3] * 4) * 0.5, abs=0.1)
    assert mean < best < 0.4
    assert values(probe, "iou-best-head-per-image")[0, None] == 1


def test_pictures_without_objects_are_left_out_and_counted() -> None:
    heads = looking_at((0, 1), (0, 1), (0, 1))
    nothing = np.zeros(GRID, bool)
    probe = watched(([nothing, union_of(0, 1)], heads.expand(2, -1, -1, -1)), ([nothing], heads[None]), mass=1.0)
    result = probe.compute()
    assert result.arrays["image"].tolist() == [1]
    assert values(probe, "pictures") == {(None, None): 1}
    assert values(probe, "pictures-without-objects") == {(None, None): 2}
    assert values(probe, "iou")[0, None] == 1
    with pytest.raises(MismatchError, match="in none of 1 pictures"):
        watched(([nothing], heads[None])).compute()


def test_the_first_pictures_keep_their_maps() -> None:
    heads = looking_at((0, 1), (14, 15), (0, 15)).expand(2, -1, -1, -1)
    arrays = watched(([union_of(0, 1)] * 2, heads), examples=1).compute().arrays
    assert arrays["example"].tolist() == [0]
    assert arrays["example-maps"].shape == (1, 2, 3, HEADS, 16)
    assert np.array_equal(arrays["example-maps"][0, 0, 0, 0], [0.5, 0.5] + [0] * 14)
    assert np.flatnonzero(arrays["example-union"][0]).tolist() == [0, 1]
    assert "example" not in watched(([union_of(0, 1)] * 2, heads), examples=0).compute().arrays


def test_halves_give_the_same_masks() -> None:
    attention = torch.rand(2, HEADS, 17, 17, generator=torch.Generator().manual_seed(0)).softmax(-1)
    unions = [union_of(0, 1, 4), union_of(9)]
    whole, half = (watched((unions, attention.to(t))).compute().arrays for t in (torch.float32, torch.float16))
    assert np.abs(whole["iou-cls"] - half["iou-cls"]).mean() < 0.05


def test_the_contract_holds_with_the_published_masks() -> None:
    check_probe(SPEC, draw=False, protocol="paper", mass=0.3)


class Pictures(Dataset):
    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> Sample:
        mask = np.zeros((32, 48), bool)
        mask[8:24, 16:32] = True
        pixels = np.random.default_rng(index).integers(0, 255, (32, 48, 3), dtype=np.uint8)
        return Sample(id=f"p{index}.png", image=Image.fromarray(pixels), segments=[Segment(label=1, decode=mask.copy)])

    def fingerprint(self) -> str:
        return "pictures"


def drawable(probe: SaliencyProbe) -> Drawable:
    return Drawable(
        model=probe.model, options=probe.options, result=probe.compute(), dataset=Pictures(Options()),
        dataset_name="pictures", view=make_view("crop", 32, 8),
    )  # fmt: skip


def test_pictures_of_one_model_and_of_a_family() -> None:
    heads = looking_at((0, 1), (5, 6), (0, 15)).expand(2, -1, -1, -1)
    one, other = (drawable(watched(([union_of(5, 6)] * 2, heads), examples=2, mass=m)) for m in (0.6, 1.0))
    found = {plot.name: plot.figure for plot in draw([one]) if isinstance(plot, Plot)}
    assert set(found) == {"saliency", "000-p0-saliency", "001-p1-saliency"}
    titles = [axes.get_title(loc="left") for axes in found["000-p0-saliency"].axes]
    assert titles[:2] == ["CLS", "block 0, head 1: 1.00"]
    assert {plot.name for plot in draw([one, other])} == {"compare-saliency", "compare-saliency-families"}


def test_unions_come_from_the_outlines() -> None:
    """From outlines, through the preparation of the probe, to the patches of the crop."""
    sample = Pictures(Options())[0]
    view = make_view("crop", 32, 8)
    found = TokenMasks().prepare(sample, view.place(sample.image)[1], GRID, view)
    assert found["union"].nonzero().tolist() == [[r, c] for r in (1, 2) for c in (1, 2)]
