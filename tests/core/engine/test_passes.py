"""What several recordings of one pass share: the forward, its order, its windows, and what was made of annotations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from toys import TOY, outcomes_of
from vitan import DatasetSpec, ProbeSpec
from vitan.analysis.accumulators import PerImage
from vitan.analysis.probe import Batching, Probe, Recording
from vitan.analysis.records import Record, Result
from vitan.data.preparation import Preparation
from vitan.engine.job import Analysis, prepare
from vitan.engine.plan import make_plan
from vitan.engine.schedule import Sharing, arrange
from vitan.engine.store import Store
from vitan.errors import MismatchError, StoreError
from vitan.options import Options
from vitan.registry.names import Provider
from vitan.registry.plugins import Plugins
from vitan.testing.made_up import MadeUp


@dataclass(frozen=True)
class Area(Preparation):
    """How large each segment is."""

    name = "area"
    power: int = 1

    def prepare(self, sample: Any, placement: Any, grid: Any, view: Any) -> Any:
        CALLS.append(sample.id)
        return {"area": torch.tensor([float(s.mask().sum()) ** self.power for s in sample.segments])}


CALLS: list[str] = []


class Kept(Recording):
    """The first patch of every picture, and the order in which pictures came."""

    name = "test/kept"
    taps = frozenset({"block"})

    def __init__(self, options: Any, model: Any) -> None:
        super().__init__(options, model)
        self.first = PerImage()
        self.seen: list[tuple[int, ...]] = []

    def update_block(self, block: Any, taps: Any, batch: Any) -> None:
        first = [next(i for i, w in enumerate(batch.windows) if w.image == row) for row in range(len(batch))]
        self.first.add(block, batch.index, taps["block"][first][:, self.model.layout.patches.start])
        if block == 0:
            PASSES.append(tuple(batch.index))

    def bytes_per_image(self) -> Any:
        return 4 * self.model.dim * len(self.model.blocks)


PASSES: list[tuple[int, ...]] = []


class First(Probe):
    """Shares what it keeps, and has no taps of its own."""

    uses: ClassVar[dict] = {"kept": Kept}

    def compute(self) -> Any:
        rows = self.kept.first.rows(0).numpy()
        records = (Record(metric="first", value=float(rows.mean())),)
        return Result(records=records, arrays={"first": rows}, axes={"first": ("image", "channel")})


class Second(First):
    """The same again."""


class Shuffled(First):
    """Wants its own batches."""

    @classmethod
    def batching(cls, options: Any) -> Any:
        return Batching(size=4, seed=1)


class Areas(Probe):
    """Looks at segments, through windows."""

    taps = frozenset({"block"})

    def __init__(self, options: Any, model: Any) -> None:
        super().__init__(options, model)
        self.area = PerImage()

    @classmethod
    def preparation(cls, options: Any) -> Any:
        return Area()

    def update_block(self, block: Any, taps: Any, batch: Any) -> None:
        areas = [made["area"] for made in batch.prepared[Area()]]
        self.area.add(block, batch.index, torch.stack(areas))

    def compute(self) -> Any:
        rows = self.area.rows(0).numpy()
        return Result(
            records=(Record(metric="area", value=float(rows.mean())),), arrays={"a": rows}, axes={"a": ("i", "s")}
        )


class Stitched(Probe):
    """Keeps the size of the stitched grid, and how many windows there were."""

    taps = frozenset({"block"})
    view = "dense"

    def __init__(self, options: Any, model: Any) -> None:
        super().__init__(options, model)
        self.size = PerImage()

    def update_block(self, block: Any, taps: Any, batch: Any) -> None:
        whole = batch.stitch(taps["block"][:, self.model.layout.patches])
        assert all(bool(grid.isfinite().all()) for grid in whole)
        count = len(batch.windows) // len(batch)
        self.size.add(block, batch.index, torch.tensor([[*grid.shape, count] for grid in whole]))

    def compute(self) -> Any:
        rows = self.size.rows(0).numpy()
        return Result(records=(Record(metric="size", value=0.0),), arrays={"size": rows}, axes={"size": ("i", "s")})


class Grouped(First):
    """Sees group by group, and counts them."""

    uses: ClassVar[dict] = {}
    taps = frozenset({"block"})

    def __init__(self, options: Any, model: Any) -> None:
        super().__init__(options, model)
        self.ends, self.scratch = PerImage(), []

    @classmethod
    def batching(cls, options: Any) -> Any:
        return Batching(grouped=True)

    def update_block(self, block: Any, taps: Any, batch: Any) -> None:
        if block == 0:
            self.scratch += batch.index

    def finish(self) -> None:
        self.ends.add(0, [self.scratch[0]], torch.tensor([len(self.scratch)]))
        self.scratch = []

    def compute(self) -> Any:
        rows = self.ends.rows(0).numpy()
        return Result(records=(Record(metric="n", value=1.0),), arrays={"ends": rows}, axes={"ends": ("group",)})


class Pictures(MadeUp):
    def __init__(self, options: Any) -> None:
        super().__init__(32)


class Ungrouped(Pictures):
    def groups(self) -> Any:
        return ()


PROBES = {
    "first": First, "second": Second, "shuffled": Shuffled, "areas": Areas, "stitched": Stitched, "grouped": Grouped
}  # fmt: skip
OFFERS = frozenset({"label", "masks"})


@pytest.fixture(autouse=True)
def _fresh() -> None:
    PASSES.clear()
    CALLS.clear()


def plugins() -> Plugins:
    from vitan.registry.hooks import hookimpl

    @hookimpl
    def vitan_models() -> Iterator[Any]:
        yield TOY

    @hookimpl
    def vitan_probes() -> Iterator[Any]:
        for name, kind in PROBES.items():
            yield ProbeSpec(name=name, summary=name, load=lambda kind=kind: kind)

    @hookimpl
    def vitan_datasets() -> Iterator[Any]:
        yield DatasetSpec(name="made-up", summary="noise", load=lambda: Pictures, offers=OFFERS)
        yield DatasetSpec(name="loose", summary="noise", load=lambda: Ungrouped, offers=OFFERS)

    found = Plugins()
    hooks = SimpleNamespace(vitan_models=vitan_models, vitan_probes=vitan_probes, vitan_datasets=vitan_datasets)
    found.register(Provider("toys", "1.0"), "toys", hooks)
    return found


class Notes:
    def __init__(self) -> None:
        self.notes = []

    def begin(self, title: Any, total: Any) -> None:
        pass

    def advance(self, images: Any, *, reused: bool = False) -> None:
        pass

    def begin_drawing(self, what: Any) -> None:
        pass

    def drawn(self, name: Any) -> None:
        pass

    def end(self) -> None:
        pass

    def note(self, text: Any) -> None:
        self.notes.append(text)

    def download(self, what: Any, done: Any, total: Any) -> None:
        pass


def run(folder: Any, *names: Any, dataset: Any = "made-up", reporter: Any = None, **changes: Any) -> Any:
    content = {
        "analyses": [{"name": name} for name in names],
        "models": [{"name": "toy-T8"}],
        "dataset": {"name": dataset},
        "batch_size": 2,
        **changes,
    }
    job = prepare(make_plan(content, "test"), plugins())
    return outcomes_of(job, 0, Store(folder), reporter or Notes())


def test_what_is_shared_is_seen_and_stored_once(tmp_path: Path) -> None:
    first, second = run(tmp_path, "first", "second")
    assert PASSES == [(0, 1), (2, 3), (4, 5), (6, 7), (8,)]
    assert len(list(tmp_path.glob("??/*"))) == 1
    assert np.array_equal(first.result.arrays["first"], second.result.arrays["first"])
    again = run(tmp_path, "second")
    assert len(PASSES) == 5
    assert again[0].reused


def test_those_that_do_not_mind_join_a_shuffled_pass(tmp_path: Path) -> None:
    plain, shuffled = run(tmp_path, "first", "shuffled")
    assert len(PASSES) == 3
    assert sorted(i for batch in PASSES for i in batch) == list(range(9))
    assert PASSES[0] != (0, 1, 2, 3)
    alone = run(tmp_path / "alone", "first")[0]
    for outcome in (plain, shuffled):
        assert outcome.result.arrays["first"] == pytest.approx(alone.result.arrays["first"], rel=1e-4, abs=1e-5)


def _analysis(name: Any) -> Any:
    return Analysis(ProbeSpec(name=name, summary=name, load=lambda: PROBES[name]), "toys", PROBES[name], Options())


def test_passes_are_as_few_as_views_and_batches_allow() -> None:
    found = arrange([_analysis(name) for name in ("first", "stitched", "shuffled", "grouped", "second")], 8)
    names = [(each.view, each.batching, [a.spec.name for a in each.analyses]) for each in found]
    assert names == [
        ("crop", Batching(4, 1), ["first", "shuffled", "second"]),
        ("crop", Batching(8, grouped=True), ["grouped"]),
        ("dense", Batching(2), ["stitched"]),
    ]
    assert all(isinstance(each, Sharing) for each in found)


def test_annotations_are_prepared_once_for_all_models(tmp_path: Path) -> None:
    (outcome,) = run(tmp_path, "areas")
    assert sorted(CALLS) == [f"picture-{i}" for i in range(9)]
    expected = [[float(s.mask().sum()) for s in Pictures(None)[i].segments] for i in range(9)]
    assert outcome.result.arrays["a"].tolist() == expected
    CALLS.clear()
    again = run(tmp_path, "areas", blocks=["first"])[0]  # another state, the same annotations
    assert CALLS == []
    assert again.result.arrays["a"].tolist() == expected


def test_windows_are_stitched_to_whole_grids(tmp_path: Path) -> None:
    (outcome,) = run(tmp_path, "stitched")
    # 48 x 32 pictures are scaled to 96 x 64, which is 8 x 12 patches in 2 x 3 windows
    assert outcome.result.arrays["size"].tolist() == [[8, 12, 24, 6]] * 9
    assert outcome.result.records[0].view == "dense"


def test_each_group_is_a_shard(tmp_path: Path) -> None:
    (outcome,) = run(tmp_path, "grouped")
    assert outcome.result.arrays["ends"].tolist() == [2, 4, 3]
    assert len(list(tmp_path.glob("??/*"))) == 3
    limited = run(tmp_path, "grouped", limit=4)[0]
    assert limited.result.arrays["ends"].tolist() == [2, 2]


def test_a_dataset_without_groups_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MismatchError, match="grouped goes group by group, and dataset loose has no groups"):
        run(tmp_path, "grouped", dataset="loose")


def test_what_does_not_fit_the_disk_is_said_before_the_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=1000))
    with pytest.raises(StoreError, match=r"room for 0\.0 GB; set VITAN_CACHE"):
        run(tmp_path / "states", "first")
    assert PASSES == []
    assert not (tmp_path / "states").exists()


def test_much_is_announced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vitan.engine.passes._MUCH", 100)
    reporter = Notes()
    run(tmp_path, "first", reporter=reporter)
    assert reporter.notes == [f"will store about 0.0 GB in {tmp_path}"]
    run(tmp_path, "second", reporter=reporter)  # is there already
    assert len(reporter.notes) == 1


# Stored state is found by declared names, not by where a class lives


def test_a_class_that_moves_finds_its_state_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path, "first", "areas")
    PASSES.clear()
    CALLS.clear()
    for kind in (Kept, Area, First, Areas):
        monkeypatch.setattr(kind, "__module__", "another.room")
    monkeypatch.setattr(First, "uses", {"kept": type("Renamed", (Kept,), {})})
    assert all(outcome.reused for outcome in run(tmp_path, "first", "areas"))
    assert (PASSES, CALLS) == ([], [])


def test_another_version_is_another_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path, "first")
    monkeypatch.setattr(Kept, "version", "2")
    assert not run(tmp_path, "first")[0].reused


@pytest.mark.parametrize(("name", "said"), [("", "declares no name"), ("test/kept", "two recordings are called")])
def test_what_is_shared_needs_a_name_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: Any, said: Any
) -> None:
    other = type("Other", (Kept,), {"name": name})
    monkeypatch.setattr(Second, "uses", {"other": other})
    with pytest.raises(MismatchError, match=said):
        run(tmp_path, "first", "second")
    assert PASSES == []


def test_an_analysis_is_asked_for_once(tmp_path: Path) -> None:
    with pytest.raises(MismatchError, match="analysis first is asked for twice"):
        run(tmp_path, "first", "second", "first")
