"""The dataset ``imagenet``."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from vitan.errors import DataError
from vitan.testing import check_dataset
from vitan_datasets import imagenet
from vitan_datasets import listing as _listing
from vitan_datasets.listing import list_pictures

(SPEC,) = imagenet.vitan_datasets()
WNIDS = ("n01440764", "n02012849", "n03126707")  # tench, and two that ImageNet calls crane
VAL = [f"ILSVRC2012_val_{number:08}.JPEG" for number in range(1, 6)]
TRUTH = [2, 0, 0, 1, 2]


def picture(path: Path, colour: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (6, 4), (colour, 0, 0)).save(path, format="JPEG")


@pytest.fixture
def root(tmp_path: Path) -> Any:
    """Three classes; four pictures each in train, and two in val, each in the folder of its class."""
    for number, wnid in enumerate(WNIDS):
        for i in (2, 10, 1, 3):
            picture(tmp_path / "train" / wnid / f"{wnid}_{i}.JPEG", 10 * number + i)
        for i in range(2):
            picture(tmp_path / "val" / wnid / f"ILSVRC2012_val_{3 * i + number + 1:08}.JPEG")
    return tmp_path


@pytest.fixture
def flat(root: Any) -> Any:
    """The same with five pictures right in val, of the classes in TRUTH."""
    for file in root.glob("val/*/*.JPEG"):
        file.unlink()
    for name in VAL:
        picture(root / "val" / name)
    return root


def load(root: Any, **options: Any) -> Any:
    kind = SPEC.load()
    return kind(kind.Options(root=root, **options))


def listed(dataset: Any) -> Any:
    return [(s.id, s.label, s.role) for s in (dataset[i] for i in range(len(dataset)))]


def test_train_is_the_bank_and_val_the_queries(root: Any) -> None:
    found = listed(load(root))
    assert found[:2] == [
        ("train/n01440764/n01440764_1.JPEG", 0, "bank"),
        ("train/n01440764/n01440764_10.JPEG", 0, "bank"),
    ]
    assert found[12] == ("val/n01440764/ILSVRC2012_val_00000001.JPEG", 0, "query")
    assert [label for _, label, _ in found] == [0] * 4 + [1] * 4 + [2] * 4 + [0, 0, 1, 1, 2, 2]
    assert {role for _, _, role in found[:12]} == {"bank"}
    check_dataset(SPEC, root=root)


def test_some_of_each_class(root: Any) -> None:
    found = listed(load(root, bank_per_class=2, query_per_class=1))
    assert [Path(id_).name for id_, _, _ in found[:2]] == ["n01440764_1.JPEG", "n01440764_10.JPEG"]
    assert [role for _, _, role in found] == ["bank"] * 6 + ["query"] * 3


def test_classes_that_are_not_whole_are_told(root: Any) -> None:
    assert load(root).notes() == load(root, bank_per_class=4, query_per_class=2).notes() == ()
    (root / "train" / "n00000001").mkdir()
    for file in root.glob(f"val/{WNIDS[1]}/*"):
        file.unlink()
    next(root.glob(f"train/{WNIDS[2]}/*")).unlink()
    assert load(root, bank_per_class=4, query_per_class=3).notes() == (
        "train: no pictures of 1 of 4 classes, n00000001 for one",
        f"train: fewer than 4 pictures of 1 of 4 classes, {WNIDS[2]} for one",
        f"val: no pictures of 1 of 3 classes, {WNIDS[1]} for one",
        f"val: fewer than 3 pictures of 2 of 3 classes, {WNIDS[0]} for one",
    )


def test_classes_are_words_that_differ(root: Any) -> None:
    assert load(root).classes() == ["tench", "crane (n02012849)", "crane (n03126707)"]
    picture(root / "train" / "my-own" / "1.JPEG")
    assert load(root).classes() == ["my-own", *WNIDS]


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("LOC_val_solution.csv", "ImageId,PredictionString\n" + "\n".join(
            f"{name[:-5]},{WNIDS[t]} 1 2 3 4 {WNIDS[0]} 5 6 7 8 " for name, t in zip(VAL, TRUTH, strict=True))),
        ("val/val_labels.csv", "filename,label\n" + "\n".join(
            f"{name},{WNIDS[t]}" for name, t in zip(VAL, TRUTH, strict=True))),
        ("val_labels.csv", "\n".join(f'"{name}";"{WNIDS[t]}"' for name, t in zip(VAL, TRUTH, strict=True))),
        ("val.txt", "\n".join(f"{name} {t}" for name, t in zip(VAL, TRUTH, strict=True))),
        ("val.txt", "\ufeff" + "\n".join(f"{name} {t}" for name, t in zip(VAL, TRUTH, strict=True))),
        ("imagenet_2012_validation_synset_labels.txt", "\n".join(WNIDS[t] for t in TRUTH) + "\n"),
        ("ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt", "\n".join(str(3 - t) for t in TRUTH)),
    ],
    ids=["kaggle", "csv in val", "quoted", "txt", "txt of Windows", "synset labels", "devkit"],
)  # fmt: skip
def test_a_flat_validation_folder_with_its_label_file(flat: Any, place: Any, text: Any) -> None:
    file = flat / place
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    if "ground_truth" in place:
        devkit(file.with_name("meta.mat"))
    queries = [(id_, label) for id_, label, role in listed(load(flat)) if role == "query"]
    assert queries == [(f"val/{VAL[i]}", TRUTH[i]) for i in (1, 2, 3, 0, 4)]
    assert [id_ for id_, _ in queries][:1] == [f"val/{VAL[1]}"]
    assert len(load(flat, query_per_class=1)) == 12 + 3


def devkit(file: Any) -> None:
    """Numbers the classes the other way round, and has one more that holds the three."""
    import numpy as np
    from scipy.io import savemat

    kind = [("ILSVRC2012_ID", object), ("WNID", object), ("words", object)]
    rows = [(3 - number, wnid, "a word") for number, wnid in enumerate(WNIDS)] + [(4, "n00000000", "all")]
    savemat(file, {"synsets": np.array(rows, dtype=kind).reshape(-1, 1)})


def test_kaggle_puts_its_label_file_three_folders_up(tmp_path: Path) -> None:
    root = tmp_path / "ILSVRC" / "Data" / "CLS-LOC"
    picture(root / "train" / WNIDS[0] / "a.JPEG")
    picture(root / "val" / VAL[0])
    (tmp_path / "LOC_val_solution.csv").write_text(f"ImageId,PredictionString\n{VAL[0][:-5]},{WNIDS[0]} 1 2 3 4\n")
    assert len(load(root)) == 2


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("val.txt", f"{VAL[0]} 0", rf"val\.txt: {VAL[1]} is not in it"),
        ("val.txt", f"{VAL[0]} 3", "is of class 3, but train has 3, from 0"),
        ("val.txt", f"{VAL[0]} 0\n{VAL[1]} dog", "'dog' is not a wnid"),
        ("val_labels.csv", f"{VAL[0]},n99999999", "is said to be of n99999999, which is no folder of train"),
        ("imagenet_2012_validation_synset_labels.txt", WNIDS[0], "1 lines for 5 pictures"),
        ("ILSVRC2012_validation_ground_truth.txt", "1 2 3", r"meta\.mat: not there"),
    ],
)
def test_a_label_file_that_does_not_fit_is_named(flat: Any, name: Any, text: Any, said: Any) -> None:
    (flat / name).write_text(text)
    with pytest.raises(DataError, match=said):
        load(flat)


def test_a_damaged_devkit_is_named(flat: Any) -> None:
    file = flat / "ILSVRC2012_validation_ground_truth.txt"
    file.write_text("1\n9\n")
    (flat / "meta.mat").write_bytes(b"no matrix")
    with pytest.raises(DataError, match=r"meta\.mat: this is not the devkit's"):
        load(flat)
    devkit(flat / "meta.mat")
    with pytest.raises(DataError, match="'9' is no class of"):
        load(flat)


def test_without_a_label_file_all_that_would_do_are_named(flat: Any) -> None:
    with pytest.raises(DataError, match=r"LOC_val_solution\.csv or val_labels\.csv or val\.txt or imagenet_2012"):
        load(flat)


def test_parts_that_are_missing_or_do_not_fit_are_named(root: Any) -> None:
    picture(root / "val" / "n09999999" / "1.JPEG")
    with pytest.raises(DataError, match=r"val/n09999999: there is no such class in .*train"):
        load(root)
    (root / "val").rename(root / "validation")
    with pytest.raises(DataError, match=r"val: there is no such folder; the root of the dataset imagenet holds train"):
        load(root)
    (root / "val").mkdir()
    with pytest.raises(DataError, match="val: no pictures"):
        load(root)
    (root / "train").rename(root / "training")
    (root / "train" / WNIDS[0]).mkdir(parents=True)
    with pytest.raises(DataError, match=r"train: no folder with pictures; expected is .*/train/n01440764/\*\.JPEG"):
        load(root)


def test_the_fingerprint_follows_names_classes_and_content(flat: Any) -> None:
    (flat / "val.txt").write_text("\n".join(f"{name} {t}" for name, t in zip(VAL, TRUTH, strict=True)))
    before = load(flat).fingerprint()
    assert load(flat).fingerprint() == before
    assert load(flat, bank_per_class=3).fingerprint() != before
    (flat / "val.txt").write_text("\n".join(f"{name} 0" for name in VAL))
    relabelled = load(flat).fingerprint()
    assert relabelled != before
    picture(flat / "train" / WNIDS[1] / f"{WNIDS[1]}_3.JPEG", 200)
    assert load(flat).fingerprint() not in (before, relabelled)


# --- the listing


@pytest.fixture
def remembered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Small trees are remembered too, at once, in a cache of their own; returns how often folders were read."""
    monkeypatch.setenv("VITAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(_listing, "WORTH_KEEPING", 1)
    monkeypatch.setattr(_listing, "_SETTLED", -(10**18))
    read, names = [], _listing._names
    monkeypatch.setattr(_listing, "_names", lambda folder: read.append(folder.name) or names(folder))
    return read


def test_only_folders_that_changed_are_listed_again(tmp_path: Path, remembered: Any) -> None:
    tree = tmp_path / "tree"
    for name in ("a/2.png", "a/1.png", "b/é.JPG", "b/z.png", "b/.hidden.png", "b/notes.txt"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).touch()
    (tree / "a" / "folder.png").mkdir()
    expected = {"a": ["1.png", "2.png"], "b": ["z.png", "é.JPG"]}
    assert list_pictures(tree, ["a", "b"]) == expected
    assert list_pictures(tree, ["a", "b"]) == expected
    assert sorted(remembered) == ["a", "b"]
    (tree / "a" / "3.png").touch()
    os.utime(tree / "a", ns=(1, 1))
    assert list_pictures(tree, ["b", "a"])["a"] == ["1.png", "2.png", "3.png"]
    assert sorted(remembered) == ["a", "a", "b"]


def test_a_damaged_memory_is_none(tmp_path: Path, remembered: Any) -> None:
    tree = tmp_path / "tree" / "a"
    tree.mkdir(parents=True)
    (tree / "1.png").touch()
    list_pictures(tree.parent, ["a"])
    (file,) = (tmp_path / "cache" / "listings").iterdir()
    whole = file.read_bytes()
    with gzip.open(file, "rt") as written:
        other = json.load(written) | {"root": "/elsewhere"}
    for content in (b"", whole[:-9], gzip.compress(b"[]"), gzip.compress(json.dumps(other).encode())):
        file.write_bytes(content)
        assert list_pictures(tree.parent, ["a"]) == {"a": ["1.png"]}
    assert remembered == ["a"] * 5


def test_a_folder_that_just_changed_is_not_remembered(
    tmp_path: Path, remembered: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its time may not tell the next change."""
    monkeypatch.setattr(_listing, "_SETTLED", 10**12)
    tree = tmp_path / "tree" / "a"
    tree.mkdir(parents=True)
    (tree / "1.png").touch()
    for _ in range(2):
        list_pictures(tree.parent, ["a"])
    assert remembered == ["a", "a"]


def test_small_trees_leave_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITAN_CACHE", str(tmp_path / "cache"))
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.png").touch()
    assert list_pictures(tmp_path, ["a"]) == {"a": ["1.png"]}
    assert not (tmp_path / "cache").exists()
