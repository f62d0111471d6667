"""Tasks, who does them, and what becomes of those that are lost."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Iterator, Sequence
from inspect import getmembers, isclass
from pathlib import Path
from typing import Any

import pytest
import torch

import vitan
from vitan import errors
from vitan.engine.job import prepare, resolve
from vitan.engine.plan import make_plan
from vitan.engine.progress import Silent
from vitan.engine.spread import ATTEMPTS, spread, tasks_of
from vitan.errors import LostError, UsageError, VitanError
from vitan.registry.executors import Executor
from vitan.registry.names import Provider
from vitan.registry.plugins import Plugins

TOYS = Path(__file__).parents[1] / "cli" / "toys.py"


class Inline(Executor):
    """Does tasks here, in reverse; ``dies`` says how often a worker ends at each shard."""

    dies: Counter[int] = Counter()  # noqa: RUF012  # emptied by the fixture
    raised: list[Exception] = []  # noqa: RUF012  # emptied by the fixture

    def __init__(self, where: str, jobs: int | None, threads: int) -> None:
        self.given = where, jobs, threads

    def run(self, tasks: Sequence[Any]) -> Iterator[tuple[Any, bool]]:
        for task in reversed([pickle.loads(pickle.dumps(task)) for task in tasks]):
            lived = self.dies[task.shard] <= 0
            self.dies[task.shard] -= 1
            try:
                task() if lived else None
            except VitanError as error:
                self.raised.append(error)
            yield task, lived

    def __exit__(self, *_: object) -> None: ...


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plugins:
    monkeypatch.setenv("VITAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Inline, "dies", Counter())
    monkeypatch.setattr(Inline, "raised", [])
    plugins = Plugins()
    plugins.load_file(TOYS)
    plugins.executors.add(Provider("here", "1"), SPEC)
    return plugins


SPEC = vitan.ExecutorSpec(name="inline", summary="here", load=lambda: Inline)


def job_of(plugins: Plugins, **more: Any) -> Any:
    plan = {"analyses": ["mean"], "models": ["toy-A8", "toy-B8"], "dataset": {"name": "dots", "options": {"n": 300}}}
    return prepare(resolve(make_plan({**plan, **more}, "test"), plugins), plugins)


def test_tasks_are_all_shards_of_all_models_and_say_all_that_is_needed(plugins: Plugins, tmp_path: Path) -> None:
    tasks = tasks_of(job_of(plugins), plugins, Path("cache"))
    assert [(task.model, task.sharing, task.shard) for task in tasks] == [(m, 0, s) for m in (0, 1) for s in range(3)]
    assert {task.files for task in tasks} == {(str(TOYS),)}
    assert {task.cache for task in tasks} == {str(tmp_path / "cache")}
    assert {task.threads for task in tasks} == {torch.get_num_threads()}


@pytest.mark.parametrize("dies", [{}, {1: 1}, {0: 2, 2: 1}])
def test_units_are_made_elsewhere_and_merged_here(plugins: Plugins, dies: dict[int, int]) -> None:
    Inline.dies.update(dies)
    how: dict[str, Any] = {"dataset_options": {"n": 300}, "plugins": plugins}
    there = vitan.run("mean", ["toy-A8", "toy-B8"], "dots", executor="inline:somewhere", jobs=3, **how)
    assert all(each.reused for each in there)
    assert Inline.raised == []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VITAN_CACHE", "elsewhere")
        assert there.records == vitan.run("mean", ["toy-A8", "toy-B8"], "dots", **how).records


def test_what_is_lost_again_and_again_is_given_up_and_named(plugins: Plugins, tmp_path: Path) -> None:
    Inline.dies.update({1: 2 * ATTEMPTS})  # of both models
    failed = spread(job_of(plugins), plugins, Inline("", 1, 1), tmp_path / "cache", Silent())
    assert failed.keys() == {"toy-A8", "toy-B8"}
    assert "shard 1 of pass 0 of toy-B8 ended every worker that was at it (3)" in str(failed["toy-B8"])
    assert len(list((tmp_path / "cache").rglob("*.safetensors"))) == 4


def test_a_model_that_is_given_up_takes_no_other_with_it(plugins: Plugins, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Inline.run

    def losing(self: Inline, tasks: Sequence[Any]) -> Iterator[tuple[Any, bool]]:
        doomed = [task for task in tasks if (task.model, task.shard) == (0, 1)]
        yield from ((task, False) for task in doomed)
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
    assert [type(error) for error in Inline.raised] == [errors.WeightsUnavailableError]


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
