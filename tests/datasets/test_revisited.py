"""The datasets ``roxford5k`` and ``rparis6k``."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import golden
from vitan.errors import DataError, ImageError
from vitan.testing import check_dataset
from vitan_datasets import revisited
from vitan_datasets.revisited.files import read

SPECS = {spec.name: spec for spec in revisited.vitan_datasets()}
PUBLISHED = sorted(golden.FOLDER.glob("downstream/retrieval/*/gnd_*.pkl"))


def small(**changes: Any) -> Any:
    """Two queries and three pictures; ``changes`` go into the first entry, or over the lists."""
    entry = {"bbx": [1.2, 2, 20, 14.9], "easy": [0], "hard": [2], "junk": []}
    entry |= {key: value for key, value in changes.items() if key in entry}
    lists = {"imlist": ["a", "b", "c"], "qimlist": ["q", "r"]}
    lists |= {key: value for key, value in changes.items() if key in lists}
    return lists | {"gnd": [entry, {"bbx": [0, 0, 5, 5], "easy": [], "hard": [], "junk": [1]}]}


def write(root: Path, truth: Any = None, name: Any = "roxford5k", end: Any = "pkl") -> Path:
    truth = small() if truth is None else truth
    (root / "jpg").mkdir(parents=True, exist_ok=True)
    for number, picture in enumerate([*truth["imlist"], *truth["qimlist"]]):
        Image.new("RGB", (30, 16), (0, number, 0)).save(root / "jpg" / f"{picture}.jpg")
    file = root / f"gnd_{name}.{end}"
    file.write_bytes(pickle.dumps(truth, protocol=2) if end == "pkl" else json.dumps(truth).encode())
    return root


def load(root: Any, name: Any = "roxford5k", **options: Any) -> Any:
    kind = SPECS[name].load()
    return kind(kind.Options(root=root, **options))


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("end", ["pkl", "json"])
def test_queries_come_first_and_point_behind_themselves(tmp_path: Path, name: Any, end: Any) -> None:
    dataset = load(write(tmp_path, name=name, end=end), name)
    samples = [dataset[i] for i in range(len(dataset))]
    assert [sample.id for sample in samples] == [f"jpg/{n}.jpg" for n in ("q", "r", "a", "b", "c")]
    assert [sample.role for sample in samples] == ["query"] * 2 + ["bank"] * 3
    assert samples[0].relevant == {"easy": [2], "hard": [4], "junk": []}
    assert samples[1].relevant["junk"] == [3]
    assert samples[0].box == (1.2, 2, 20, 14.9)
    assert samples[0].image.size == (30, 16)
    check_dataset(SPECS[name], root=tmp_path)


def test_queries_without_anything_to_find_are_told(tmp_path: Path) -> None:
    (note,) = load(write(tmp_path)).notes()
    assert note == "1 of 2 queries have neither easy nor hard pictures to find, r for one; they count nowhere"
    truth = small()
    truth["gnd"][1]["hard"] = [0]
    assert load(write(tmp_path, truth)).notes() == ()


def test_the_revisited_protocol_crops_its_queries(tmp_path: Path) -> None:
    whole, cropped = load(write(tmp_path)), load(tmp_path, crop_queries=True)
    assert cropped[0].image.size == (19, 13)
    assert cropped[0].box == (0, 0, 19, 13)
    assert cropped[3].image.size == (30, 16)
    assert cropped.fingerprint() != whole.fingerprint()


def test_a_root_is_found_below_the_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "roxford5k")
    monkeypatch.setenv("VITAN_DATA_DIR", str(tmp_path))
    assert len(load(None)) == 5
    with pytest.raises(DataError, match=r"there is no .*rparis6k"):
        load(None, "rparis6k")


@pytest.mark.golden
@pytest.mark.parametrize("file", PUBLISHED, ids=[file.parent.name for file in PUBLISHED])
def test_the_published_pickle_says_what_its_json_says(file: Any) -> None:
    plain = json.loads((file.parents[1] / "gnd.json").read_text())
    truth = read(file)
    assert list(truth.images) == plain["imlist"]
    assert [query.name for query in truth.queries] == plain["qimlist"]
    for query, entry in zip(truth.queries, plain["gnd"], strict=True):
        assert list(query.box) == entry["bbx"]
        assert {kind: list(places) for kind, places in query.relevant.items()} == {
            kind: entry[kind] for kind in ("easy", "hard", "junk")
        }


def test_arrays_in_place_of_lists(tmp_path: Path) -> None:
    truth = small(easy=np.array([0, 1]), hard=np.array([2], np.uint16), bbx=np.array([0, 0, 3.5, 4], np.float32))
    file = write(tmp_path, truth) / "gnd_roxford5k.pkl"
    query = read(file).queries[0]
    assert query.relevant == {"easy": (0, 1), "hard": (2,), "junk": ()}
    assert query.box == (0, 0, 3.5, 4)


class Trap:
    """Pickles as a call that leaves a file behind."""

    def __init__(self, path: Any) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def test_a_pickle_that_carries_code_is_refused_and_not_run(tmp_path: Path) -> None:
    write(tmp_path)
    file, trace = tmp_path / "gnd_roxford5k.pkl", tmp_path / "was-run"
    file.write_bytes(pickle.dumps(small(easy=Trap(trace))))
    with pytest.raises(DataError, match=r"gnd_roxford5k\.pkl: reading this file would call (posix|nt)\.mkdir"):
        load(tmp_path)
    assert not trace.exists()
    pickle.loads(file.read_bytes())  # the trap works
    assert trace.exists()


@pytest.mark.parametrize("end", ["pkl", "json"])
def test_a_ground_truth_that_is_cut_off_is_named(tmp_path: Path, end: Any) -> None:
    file = write(tmp_path, end=end) / f"gnd_roxford5k.{end}"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(DataError, match=rf"gnd_roxford5k\.{end}: .*get the file again"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"easy": [3]}, "easy of query 'q' holds 3, but imlist has 3 images"),
        ({"hard": [-1]}, "hard of query 'q' holds -1"),
        ({"junk": [0.5]}, "junk of query 'q' holds 0.5"),
        ({"junk": ["b"]}, "junk of query 'q' is not a list of numbers"),
        ({"easy": 1}, "easy of query 'q' is not a list of numbers"),
        ({"bbx": [1, 2, 3]}, "the box of query 'q'"),
        ({"bbx": [5, 2, 5, 9]}, "x1 < x2"),
        ({"bbx": [0, 0, float("nan"), 9]}, "the box of query 'q'"),
        ({"bbx": None}, "bbx of query 'q'"),
        ({"qimlist": ["q"]}, "1 queries, but 2 entries"),
        ({"qimlist": ["q", "q"]}, "names 'q' more than once"),
        ({"qimlist": ["q", "a"]}, "'a' is in imlist and in qimlist"),
        ({"imlist": ["a", "../b", "c"]}, "which is not a picture in the folder jpg"),
        ({"imlist": []}, "imlist is not a list of names"),
        ({"imlist": [1]}, "imlist is not a list of names"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, changes: Any, said: Any) -> None:
    file = tmp_path / "gnd_roxford5k.pkl"
    file.write_bytes(pickle.dumps(small(**changes)))
    with pytest.raises(DataError, match=said):
        read(file)


@pytest.mark.parametrize("content", [[], {"imlist": []}, small() | {"gnd": [{"bbx": []}, {}]}, small() | {"gnd": 3}])
def test_another_structure_is_refused(tmp_path: Path, content: Any) -> None:
    file = tmp_path / "gnd_roxford5k.pkl"
    file.write_bytes(pickle.dumps(content))
    with pytest.raises(DataError, match=r"gnd_roxford5k\.pkl: .*get the file again"):
        read(file)


def test_missing_files_are_named_with_where_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gnd_roxford5k\.pkl: there is no ground truth .* get it with the Oxford"):
        load(tmp_path)
    write(tmp_path)
    (tmp_path / "jpg" / "r.jpg").unlink()
    (tmp_path / "jpg" / "b.jpg").unlink()
    with pytest.raises(DataError, match=r"jpg/r\.jpg: not there, as are 1 more of 5 pictures"):
        load(tmp_path)


def test_a_box_outside_its_picture_is_named(tmp_path: Path) -> None:
    dataset = load(write(tmp_path, small(bbx=[0, 0, 40, 10])), crop_queries=True)
    with pytest.raises(ImageError, match=r"jpg/q\.jpg: the query's box .* 30 x 16"):
        dataset[0]
    assert load(tmp_path)[0].box == (0, 0, 40, 10)
