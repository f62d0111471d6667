"""Tasks, who does them, and what becomes of those that are lost."""

from __future__ import annotations

import os
import pickle
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from inspect import getmembers, isclass
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import torch

import vitan
from vitan import errors
from vitan.engine import worker
from vitan.engine.claims import claiming
from vitan.engine.job import prepare, resolve
from vitan.engine.plan import make_plan
from vitan.engine.progress import Silent
from vitan.engine.spread import ATTEMPTS, order_of, spread, tasks_of
from vitan.engine.store import Store
from vitan.engine.worker import Order
from vitan.errors import LostError, StoreError, UsageError, VitanError
from vitan.registry.executors import Executor
from vitan.registry.names import Provider
from vitan.registry.plugins import Plugins

TOYS = Path(__file__).parents[1] / "cli" / "toys.py"


class Inline(Executor):
    """Does tasks here, in reverse; ``dies`` says how often a worker ends at each shard."""

    dies: Counter[int] = Counter()  # noqa: RUF012  # emptied by the fixture
    words: list[vitan.Word] = []  # noqa: RUF012  # emptied by the fixture

    def __init__(self, where: str, jobs: int | None, threads: int) -> None:
        self.given = where, jobs, threads

    def run(self, tasks: Sequence[Any]) -> Iterator[tuple[Any, vitan.Ended]]:
        for task in reversed([pickle.loads(pickle.dumps(task)) for task in tasks]):
            self.dies[task.shards[0]] -= 1
            if self.dies[task.shards[0]] >= 0:
                yield task, RuntimeError("the worker is gone")
                continue
            word = pickle.loads(pickle.dumps(task()))
            self.words.append(word)
            yield task, word

    def __exit__(self, *_: object) -> None: ...


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plugins:
    monkeypatch.setenv("VITAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Inline, "dies", Counter())
    monkeypatch.setattr(Inline, "words", [])
    plugins = Plugins()
    plugins.load_file(TOYS)
    plugins.executors.add(Provider("here", "1"), SPEC)
    return plugins


SPEC = vitan.ExecutorSpec(name="inline", summary="here", load=lambda: Inline)


def job_of(plugins: Plugins, **more: Any) -> Any:
    plan = {"analyses": ["mean"], "models": ["toy-A8", "toy-B8"], "dataset": {"name": "dots", "options": {"n": 300}}}
    return prepare(resolve(make_plan({**plan, **more}, "test"), plugins), plugins)


def order(job: Any, plugins: Plugins) -> Order:
    return order_of(job, plugins, Path("cache/states"))


def test_an_order_says_all_that_is_needed(plugins: Plugins, tmp_path: Path) -> None:
    job = job_of(plugins)
    said = order(job, plugins)
    assert (said.files, said.folder) == ((str(TOYS),), str(tmp_path))
    assert said.cache == str(tmp_path / "cache" / "states")
    assert dict(said.environment)["VITAN_CACHE"] == str(tmp_path / "cache")
    assert (said.threads, said.workers) == (torch.get_num_threads(), job.workers)
    assert said.job(0).plan == job.plan
    assert said.run != order(job, plugins).run, "a worker that outlives a run begins anew"


@pytest.mark.parametrize(
    ("count", "shards"),
    [
        (3, [(0,), (1,), (2,)]),
        (127, [(n,) for n in range(127)]),
        (131, [(n, n + 1) for n in range(0, 130, 2)] + [(130,)]),
        (700, [tuple(range(n, min(n + 8, 700))) for n in range(0, 700, 8)]),
    ],
)
def test_tasks_are_all_shards_of_all_models(
    plugins: Plugins, monkeypatch: pytest.MonkeyPatch, count: int, shards: list[tuple[int, ...]]
) -> None:
    job, cut = job_of(plugins), Mock(**{"shards.return_value": [range(1)] * count})
    monkeypatch.setattr("vitan.engine.spread.partition_of", lambda *_: cut)
    tasks = tasks_of(job, order(job, plugins))
    assert [(t.model, t.sharing, t.shards) for t in tasks] == [(m, 0, each) for m in (0, 1) for each in shards]


def test_the_surroundings_are_those_of_who_asks_and_then_again_ones_own(
    plugins: Plugins, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VITAN_DATA_DIR", "theirs")
    said = order(job_of(plugins), plugins)
    monkeypatch.delenv("VITAN_DATA_DIR")
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path / "mine")
    monkeypatch.setenv("VITAN_CACHE", "mine")
    with said.surroundings():
        assert (Path.cwd(), os.environ["VITAN_DATA_DIR"]) == (tmp_path, "theirs")
        assert os.environ["VITAN_CACHE"] == str(tmp_path / "cache")
    assert (Path.cwd(), os.environ["VITAN_CACHE"]) == (tmp_path / "mine", "mine")
    assert "VITAN_DATA_DIR" not in os.environ


def test_units_are_made_elsewhere_and_merged_here(plugins: Plugins) -> None:
    Inline.dies.update({0: 2, 2: 1})
    how: dict[str, Any] = {"dataset_options": {"n": 300}, "plugins": plugins}
    there = vitan.run("mean", ["toy-A8", "toy-B8"], "dots", executor="inline:somewhere", jobs=3, **how)
    assert all(each.reused for each in there)
    assert {(word.busy, word.error) for word in Inline.words} == {(False, None)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VITAN_CACHE", "elsewhere")
        assert there.records == vitan.run("mean", ["toy-A8", "toy-B8"], "dots", **how).records


def test_what_is_lost_again_and_again_is_given_up_and_named(plugins: Plugins, tmp_path: Path) -> None:
    Inline.dies.update({1: 2 * ATTEMPTS})  # of both models
    failed = spread(job_of(plugins), plugins, Inline("", 1, 1), tmp_path / "cache", Silent())
    assert failed.keys() == {"toy-A8", "toy-B8"}
    said = str(failed["toy-B8"])
    assert "shard 1 of pass 0 of toy-B8 ended every worker that was at it (3)" in said
    assert said.endswith("RuntimeError: the worker is gone")
    assert len(list((tmp_path / "cache").rglob("*.safetensors"))) == 4


def test_what_is_lost_of_a_row_is_done_shard_by_shard(
    plugins: Plugins, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vitan.engine.spread._ROWS", 1)
    asked: list[tuple[int, ...]] = []
    real = Inline.run

    def losing(self: Inline, tasks: Sequence[Any]) -> Iterator[tuple[Any, vitan.Ended]]:
        asked.extend(task.shards for task in tasks)
        doomed = [task for task in tasks if 1 in task.shards]
        yield from ((task, MemoryError()) for task in doomed)
        yield from real(self, [task for task in tasks if task not in doomed])

    monkeypatch.setattr(Inline, "run", losing)
    job = job_of(plugins, models=["toy-A8"])
    failed = spread(job, plugins, Inline("", 1, 1), tmp_path / "cache", Silent())
    assert asked == [(0, 1, 2), (0,), (1,), (2,), (1,), (1,)]
    assert "shard 1 of pass 0" in str(failed["toy-A8"])
    assert len(list((tmp_path / "cache").rglob("*.safetensors"))) == 2


def test_a_model_that_is_given_up_takes_no_other_with_it(plugins: Plugins, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Inline.run

    def losing(self: Inline, tasks: Sequence[Any]) -> Iterator[tuple[Any, vitan.Ended]]:
        doomed = [task for task in tasks if (task.model, task.shards) == (0, (1,))]
        yield from ((task, MemoryError()) for task in doomed)
        yield from real(self, [task for task in tasks if task not in doomed])

    monkeypatch.setattr(Inline, "run", losing)
    models = ["toy-A8", "toy-B8"]
    found = vitan.run("mean", models, "dots", dataset_options={"n": 300}, executor="inline", plugins=plugins)
    assert [each.model for each in found] == ["toy-B8"]
    assert found.failed.keys() == {"toy-A8"}
    assert isinstance(found.failed["toy-A8"], LostError)


def test_what_fails_there_is_told_here(plugins: Plugins) -> None:
    with pytest.raises(errors.WeightsError):
        vitan.run("mean", "toy-W8", "dots", executor="inline", plugins=plugins)
    assert [type(word.error) for word in Inline.words] == [errors.WeightsUnavailableError]


def test_what_only_workers_cannot_do_is_done_here_and_said(plugins: Plugins, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vitan.engine.worker.arrange", lambda *_: [][1])
    told = Mock()
    found = vitan.run("mean", "toy-A8", "dots", executor="inline", plugins=plugins, progress=told)
    assert not any(each.reused for each in found)
    (said,) = [text for (text,), _ in told.note.call_args_list if "workers could not make" in text]
    assert re.search(r"1 parts .* made here.* the worker on .*IndexError", said)


def test_what_others_are_at_is_left_to_them_and_asked_for_again(plugins: Plugins, tmp_path: Path) -> None:
    """A claim on one unit: the others are made meanwhile, and it when it is free."""
    job = job_of(plugins, models=["toy-A8"])
    one, store, ended = Mock(), Store(tmp_path / "cache"), []
    for task in tasks_of(job, order_of(job, plugins, store.folder)):
        word = task()
        ended.append(word)
        assert (word.busy, word.error, len(word.units)) == (False, None, 1)
    held = ended[1].units[0]
    store.path(held).unlink()
    store.path(ended[2].units[0]).unlink()
    with ExitStack() as claims:
        claims.enter_context(claiming(store, [held]))

        class Watching(Inline):
            def run(self, tasks: Sequence[Any]) -> Iterator[tuple[Any, vitan.Ended]]:
                for task, word in super().run(tasks):
                    one(task.shards, word.busy)
                    yield task, word
                claims.close()

        assert spread(job, plugins, Watching("", 1, 1), store.folder, Silent()) == {}
    assert [each.args for each in one.call_args_list] == [((2,), False), ((1,), True), ((0,), False), ((1,), False)]
    assert store.has(held)


def test_workers_that_store_elsewhere_are_noticed(
    plugins: Plugins, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vitan.engine.spread._SEEN", 0.0)

    class Elsewhere(Inline):
        def run(self, tasks: Sequence[Any]) -> Iterator[tuple[Any, vitan.Ended]]:
            yield tasks[0], vitan.Word(units=("ab" * 32,))

    with pytest.raises(StoreError, match="VITAN_CACHE has to be a folder on a disk that all machines see"):
        spread(job_of(plugins), plugins, Elsewhere("", 1, 1), tmp_path / "cache", Silent())


def test_a_worker_keeps_a_model_for_the_next_task_and_nothing_for_the_next_run(
    plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[int] = []
    real = worker.loaded
    monkeypatch.setattr(worker, "loaded", lambda job, index, to: loads.append(index) or real(job, index, to))
    how: dict[str, Any] = {"dataset_options": {"n": 300}, "plugins": plugins, "executor": "inline"}
    vitan.run(["mean", "other"], ["toy-A8", "toy-B8"], "dots", **how)
    assert loads == [1, 0]
    vitan.run(["mean", "other"], "toy-A8", "dots", **how)
    assert loads == [1, 0, 0]


def test_what_a_script_has_cannot_be_sent(plugins: Plugins) -> None:
    plugins.add(replace(plugins.model("toy-A8"), name="scripted-A8"))
    with pytest.raises(UsageError, match="scripted-A8: workers cannot make anew"):
        vitan.run("mean", "scripted-A8", "dots", executor="inline", plugins=plugins)


@pytest.mark.parametrize(("name", "said"), [("dusk", "'dusk'"), ("", "''")])
def test_an_executor_that_there_is_not_is_refused(plugins: Plugins, name: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        vitan.run("mean", "toy-A8", "dots", executor=name, plugins=plugins)


KINDS = [kind for _, kind in getmembers(errors, isclass) if issubclass(kind, VitanError)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_survives_the_way_back(kind: type[VitanError]) -> None:
    made = {
        "UnknownNameError": lambda: errors.UnknownNameError("model", "x", ["y"], "z"),
        "NameConflictError": lambda: errors.NameConflictError("model", "x", ["a", "b"]),
    }
    error = made.get(kind.__name__, lambda: kind("what, and the way out"))()
    error.details = "where"
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is kind
    assert str(back) == str(error)
    assert back.details == "where"
    assert vars(back) == vars(error)
