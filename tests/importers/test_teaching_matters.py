"""Results of the published code as records, and the table of best blocks."""

from __future__ import annotations

import json
import pickle
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import golden
from vitan.analysis.records import BEST, LEVEL, Record
from vitan.analysis.tables import to_csv
from vitan.errors import DataError, StoreError
from vitan.results.best import as_published, best_blocks, select
from vitan.results.folder import read_records
from vitan.results.imported import write_imported
from vitan_importers.teaching_matters.reader import block_number, model_name, read_results

COLLECT = golden.FOLDER / "downstream/collect"
TABLES = sorted(COLLECT.glob("*.stdout.txt"))
DAVIS = golden.FOLDER / "downstream/davis_results"
MODEL = "DINO-ViT-B-16-224"


def put(folder: Path, name: str, value: object) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(value))
    return path


def only(folder: Path) -> list[Record]:
    return [record for records in read_results(folder).records.values() for record in records]


# Names


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("DINO-ViT-B-16-224", "dino-B16"),
        ("TIMM-ViT-S-32-224-dense", "timm-S32"),
        ("CLIP-ViT-L-14-336", "clip-L14-336"),
        ("RANDOM-ViT-B-16-224", "random-B16"),
        ("my model-dense", "my_model"),
    ],
)
def test_models_get_our_names(folder: Any, name: Any) -> None:
    assert model_name(folder) == name


@pytest.mark.golden
@pytest.mark.skipif(not COLLECT.is_dir(), reason="not in this set")
def test_models_of_the_published_names_exist() -> None:
    from vitan.registry.plugins import installed

    known = {spec.name for _, spec in installed().models}
    published = json.loads((COLLECT / "inputs.json").read_text())
    assert {model_name(folder) for folder in published} <= known


@pytest.mark.parametrize(
    ("text", "model", "block"),
    [
        ("0", "anything", 0),
        ("11", MODEL, 11),
        *(("first", MODEL, 0), ("q1", MODEL, 2), ("middle", MODEL, 5), ("q3", MODEL, 8), ("last", MODEL, 11)),
        *(("q1", "MAE-ViT-L-16-224", 5), ("q3", "MAE-ViT-L-16-224-dense", 17), ("last", "MAE-ViT-H-14-224", 31)),
        ("-1", MODEL, 11),
        ("all", MODEL, 0),
    ],
)
def test_block_numbers(text: Any, model: Any, block: Any) -> None:
    assert block_number(text, model) == block


# Files


def test_knn(tmp_path: Path) -> None:
    put(tmp_path, f"{MODEL}/imagenet_knn_blk7.pkl", {20: {"top1": 61.5, "top5": np.float64(80.25)}})
    first, second = only(tmp_path)
    assert first == Record(
        metric="knn-top1",
        value=61.5,
        unit="%",
        better="higher",
        block=7,
        token="cls",
        parameter="k",
        at=20.0,
        protocol="paper",
        analysis="knn",
        model="dino-B16",
        dataset="imagenet",
        view="crop",
    )
    assert (second.metric, second.value) == ("knn-top5", 80.25)


def test_retrieval(tmp_path: Path) -> None:
    content = {"mapM": 0.5, "mapH": 0.25, "mprM": np.array([0.9, 0.8]), "apsM": np.zeros(3), "ks": [1, 5]}
    put(tmp_path, f"{MODEL}/roxford5k_retrieval_blk10.pkl", content)
    found = {(r.metric, r.at): r.value for r in only(tmp_path)}
    assert found == {("map-medium", None): 0.5, ("mp-medium", 1): 0.9, ("mp-medium", 5): 0.8, ("map-hard", None): 0.25}
    assert {(r.dataset, r.block, r.unit) for r in only(tmp_path)} == {("roxford5k", 10, "fraction")}


def test_key_points_under_either_spelling(tmp_path: Path) -> None:
    put(tmp_path, f"{MODEL}/spair_kp_blk0.pkl", {"pck@0.1": [0.2, 0.4], "pck@0.0.5": [0.1], "pck@0.0.01": [0.0]})
    put(tmp_path, f"{MODEL}/spair_kp_blk1.pkl", {"pck@0.1": [0.2, 0.4], "pck@0.05": [0.1], "pck@0.01": [0.0]})
    found = only(tmp_path)
    assert {(r.block, r.at): pytest.approx(r.value) for r in found} == {
        (block, k): value for block in (0, 1) for k, value in ((0.1, 30), (0.05, 10), (0.01, 0))
    }
    assert {r.unit for r in found} == {"%"}


@pytest.mark.golden
@pytest.mark.skipif(not DAVIS.is_dir(), reason="not in this set")
def test_davis_tables(tmp_path: Path) -> None:
    folder = tmp_path / f"davis_dense/{MODEL}-dense/davis_vidseg_224_blk3"
    folder.mkdir(parents=True)
    for path in DAVIS.glob("*.csv"):
        (folder / path.name).write_text(path.read_text())
    found = only(tmp_path)
    whole = {r.metric: r for r in found if not r.of}
    heading, values = (DAVIS / "global_results-val.csv").read_text().split()[:2]
    assert [r.value for r in whole.values()] == [float(value) for value in values.split(",")]
    assert list(whole)[:2] == ["j-and-f-mean", "j-mean"]
    assert len(whole) == len(heading.split(","))
    assert whole["j-decay"].better == "lower"
    assert {r.name for r in found if r.of == "object"} == {
        row.split(",")[0] for row in (DAVIS / "per-sequence_results-val.csv").read_text().split()[1:]
    }
    assert {(r.model, r.block, r.dataset, r.view) for r in found} == {("dino-B16", 3, "davis2017", "dense-paper")}


def test_a_result_that_would_run_code_is_refused(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return print, ("ran",)

    put(tmp_path, f"{MODEL}/imagenet_knn_blk7.pkl", {20: Evil()})
    with pytest.raises(DataError, match=r"blk7\.pkl.*print"):
        read_results(tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("imagenet_knn_blk7.pkl", [1, 2]),
        ("imagenet_knn_blk7.pkl", {20: {"top1": 3.0}}),
        ("spair_kp_blk2.pkl", {"pck@0.1": []}),
        ("roxford5k_retrieval_blkbest.pkl", {"mapM": 0.1}),
    ],
)
def test_other_content_is_an_error_that_names_the_file(tmp_path: Path, name: Any, content: Any) -> None:
    put(tmp_path, f"{MODEL}/{name}", content)
    with pytest.raises(DataError, match=name.replace(".", r"\.")):
        read_results(tmp_path)


def test_unknown_files_are_listed_and_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no results"):
        read_results(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        read_results(tmp_path / "nowhere")
    put(tmp_path, f"{MODEL}/imagenet_knn_blk7.pkl", {20: {"top1": 1, "top5": 2}})
    other = put(tmp_path, f"{MODEL}/features.pkl", [])
    assert read_results(tmp_path).unknown == (other,)


def test_a_second_import_replaces_the_first(tmp_path: Path) -> None:
    source, results = tmp_path / "all_results", tmp_path / "results"
    for block in (0, 1):
        path = put(source, f"{MODEL}/imagenet_knn_blk{block}.pkl", {20: {"top1": 1, "top5": 2}})
        (folder,) = write_imported(read_results(source), results)
    path.unlink()
    write_imported(read_results(source), results)
    assert folder == results / "dino-B16/imagenet/knn-published"
    assert {record.block for record in read_records(results)} == {0}
    assert json.loads((folder / "published.json").read_text())["files"] == ["imagenet_knn_blk0.pkl"]


# The best block


def curve(values: list[float], metric: str = "acc", **more: object) -> list[Record]:
    known = {"analysis": "task", "model": "m", "better": "higher", **more}
    return [Record(metric=metric, value=value, block=block, **known) for block, value in enumerate(values)]


def test_the_first_of_the_best_blocks_counts() -> None:
    (best,) = best_blocks(curve([0.1, 0.5, 0.5, float("nan")]))
    assert (best.block, best.value, best.blocks, best.low) == (1, 0.5, 3, None)


def test_a_missing_block_shifts_nothing() -> None:
    (best,) = best_blocks(curve([0.1, 0.2, 0.9])[2:])
    assert best.block == 2


def test_the_least_is_best_where_less_is_better() -> None:
    (best,) = best_blocks(curve([3.0, 1.0, 2.0], better="lower"))
    assert best.block == 1


def test_intervals_and_equals_come_with_the_value() -> None:
    first, second = curve([1.0, 2.0], low=1.5, high=2.5)
    (best,) = best_blocks([replace(first, label=LEVEL), replace(second, label=BEST)])
    assert (best.block, best.low, best.high, best.equals) == (1, 1.5, 2.5, (0, 1))


def test_what_has_no_direction_no_block_or_a_group_is_left_out() -> None:
    records = [
        *curve([1.0], better=""),
        *curve([1.0], of="class", name="cat"),
        *curve([1.0], other="n"),
        Record(metric="acc", value=1.0, analysis="task", model="m", better="higher"),
        *curve([float("nan")], "gap"),
    ]
    assert best_blocks(records) == []


def test_protocols_views_and_k_are_tasks_of_their_own() -> None:
    records = [
        *curve([1.0]),
        *curve([2.0], protocol="paper"),
        *curve([3.0], view="dense"),
        *curve([4.0], parameter="k", at=5.0),
    ]
    assert [best.value for best in best_blocks(records)] == [1, 2, 3, 4]
    assert [best.value for best in select(best_blocks(records), metrics=("none",))] == []


def test_records_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no results"):
        read_records(tmp_path)
    path = tmp_path / "m/d/a/records.csv"
    path.parent.mkdir(parents=True)
    path.write_text("metric,value\nacc,high\n")
    with pytest.raises(StoreError, match=r"records\.csv"):
        read_records(tmp_path)
    path.write_text(to_csv(curve([1.0])))
    assert len(read_records(tmp_path)) == 1


# The published tables

#: The title of each published table: analysis, dataset, metric, k.
TITLES = {
    "top1": ("knn", "imagenet", "knn-top1", 20.0),
    "top5": ("knn", "imagenet", "knn-top5", 20.0),
    "pck@0.1": ("keypoints", "spair71k", "pck", 0.1),
    "pck@0.0.5": ("keypoints", "spair71k", "pck", 0.05),
    "pck@0.0.01": ("keypoints", "spair71k", "pck", 0.01),
    **{
        f"{dataset}_map{letter}": ("retrieval", dataset, f"map-{name}", None)
        for dataset in ("roxford5k", "rparis6k")
        for letter, name in (("M", "medium"), ("H", "hard"))
    },
    **{
        title: ("video-segmentation", "davis2017", metric, None)
        for title, metric in (("jandfmean", "j-and-f-mean"), ("jmean", "j-mean"), ("fmean", "f-mean"))
    },
}
UNTRAINED = {f"random-{size}" for size in ("S16", "S32", "B8", "B16", "B32", "L14", "L16")}
FAMILIES = {
    "FS": "timm",
    "CLIP": "clip",
    "DINO": "dino",
    "MoCo": "moco",
    "MAE": "mae",
    "BEiT": "beit",
    "Random": "random",
}


def write_results(folder: Path) -> None:
    """The files that the published code would have written for the golden inputs."""
    columns = ("J&F-Mean", "J-Mean", "J-Recall", "J-Decay", "F-Mean", "F-Recall", "F-Decay")
    for model, tasks in json.loads((COLLECT / "inputs.json").read_text()).items():
        for block, (top1, top5) in enumerate(tasks.get("knn", ())):
            put(folder, f"{model}/imagenet_knn_blk{block}.pkl", {20: {"top1": top1, "top5": top5}})
        for dataset in ("roxford5k", "rparis6k"):
            for block, (medium, hard) in enumerate(tasks.get(dataset, ())):
                put(folder, f"{model}/{dataset}_retrieval_blk{block}.pkl", {"mapM": medium, "mapH": hard})
        for block, levels in enumerate(tasks.get("spair", ())):
            content = dict(zip(("pck@0.1", "pck@0.0.5", "pck@0.0.01"), levels, strict=True))
            put(folder, f"{model}/spair_kp_blk{block}.pkl", content)
        for block, values in enumerate(tasks.get("davis", ())):
            path = folder / f"davis_dense/{model}-dense/davis_vidseg_224_blk{block}/global_results-val.csv"
            path.parent.mkdir(parents=True)
            path.write_text("\n".join([",".join(columns), ",".join(map(str, values)), ""]))


def published_rows(text: str) -> list[tuple[str, str, int, int, str]]:
    """Title, model, best block from 1, blocks, and score as printed."""
    rows, title = [], ""
    for line in text.splitlines():
        if line in TITLES:
            title = line
        elif match := re.fullmatch(r"(\S+) (\S+?)(?:/dense)?\s+(\d+) \(of (\d+)\)\s+(\S+)", line):
            model = f"{FAMILIES[match[1]]}-{match[2].replace('/', '')}"
            rows.append((title, model, int(match[3]), int(match[4]), match[5]))
    return rows


@pytest.mark.golden
@pytest.mark.parametrize("file", TABLES, ids=lambda path: path.name)
def test_the_published_tables(tmp_path: Path, file: Any) -> None:
    write_results(tmp_path / "all_results")
    write_imported(read_results(tmp_path / "all_results"), tmp_path / "results")
    found = {
        (best.task.analysis, best.task.dataset, best.task.metric, best.task.at, best.model): best
        for best in best_blocks(as_published(read_records(tmp_path / "results"), UNTRAINED))
    }
    rows = published_rows(file.read_text())
    assert rows
    for title, model, block, blocks, score in rows:
        best = found[(*TITLES[title], model)]
        assert (best.block + 1, best.blocks, f"{best.value:.3f}") == (block, blocks, score), (title, model)
