"""The datasets that need nothing but pictures: samples, folder and imagenet50."""

import hashlib
import json
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

import golden
import vitan_datasets
from vitan.data.samples import Dataset
from vitan.errors import DataError, ImageError
from vitan.registry.plugins import Plugins
from vitan_datasets import folder, imagenet50, samples
from vitan_datasets.imagenet50.reader import class_names, pictures
from vitan_datasets.samples import reader as _samples

GOLDEN = golden.FOLDER
WNIDS = list(class_names())


def load(module: Any, **options: object) -> Dataset:
    (spec,) = module.vitan_datasets()
    dataset = spec.load()
    return dataset(dataset.Options(**options))


def test_show_can_look_for_the_files_of_every_dataset_that_has_a_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each names the folders that it may be in; the first is asked for, and what is missing there is named."""
    plugins = Plugins()
    plugins.load_installed()
    brought = {spec.name: spec for _, spec in plugins.datasets if "root" in spec.load().Options.model_fields}
    del brought["folder"]  # it is wherever its user says
    assert {"imagenet", "imagenet50", "coco", "davis2017", "spair71k", "roxford5k", "rparis6k"} <= set(brought)
    for name, spec in brought.items():
        kind = spec.load()
        monkeypatch.delenv("VITAN_DATA_DIR", raising=False)
        with pytest.raises(DataError, match=f"folder that holds {spec.folders[0]}; 'vitan show {name}'"):
            kind(kind.Options())
        for number, below in enumerate(spec.folders):
            root = tmp_path / name / str(number)
            (root / below).mkdir(parents=True)
            monkeypatch.setenv("VITAN_DATA_DIR", str(root))
            with pytest.raises(DataError, match=re.escape(str(root / below))):  # found, and empty
                kind(kind.Options())
        for line in spec.files.splitlines():
            assert line.endswith(":") or all(line.partition("  ")[::2]), line


def make(root: Path, names: Iterable[str]) -> Path:
    """Tiny pictures (or text files) of these names; each picture's colour follows from its place in the list."""
    for number, name in enumerate(names):
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix.lower() in {".png", ".jpeg", ".jpg"}:
            Image.new("RGB", (3, 2), (number, 0, 0)).save(file, format="PNG")
        else:
            file.write_text(name)
    return root


def ids(dataset: Dataset) -> list[str]:
    return [dataset[index].id for index in range(len(dataset))]


def labels(dataset: Dataset) -> list[int | None]:
    return [dataset[index].label for index in range(len(dataset))]


@pytest.fixture
def imagenet(tmp_path: Path) -> Path:
    """Two pictures in each class."""
    return make(tmp_path / "train", [f"{wnid}/{wnid}_{number}.JPEG" for wnid in WNIDS for number in (10, 2)])


@pytest.fixture(params=["samples", "folder", "imagenet50"])
def dataset(request: pytest.FixtureRequest, tmp_path: Path, imagenet: Path) -> Dataset:
    if request.param == "samples":
        return load(samples)
    if request.param == "folder":
        return load(folder, root=make(tmp_path / "own", ["a/1.png", "b/2.png", "b/3.png"]))
    return load(imagenet50, root=imagenet, per_class=1)


# --- all of them


@pytest.mark.parametrize("module", [samples, folder, imagenet50])
def test_specs(module: Any) -> None:
    (spec,) = module.vitan_datasets()
    assert spec.name == module.__name__.rsplit(".")[-1]
    assert issubclass(spec.load(), Dataset)
    assert all(field.description for field in spec.load().Options.model_fields.values())


@pytest.mark.parametrize("module", ["samples", "folder", "imagenet50", "coco", "partimagenet"])
def test_describing_a_dataset_imports_nothing_heavy(module: str) -> None:
    code = f"import sys, vitan_datasets.{module} as m; list(m.vitan_datasets()); print(*sys.modules)"
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert not {"torch", "numpy", "PIL", "pydantic", "timm"} & set(run.stdout.split())


def test_ids_are_unique_and_samples_are_rgb(dataset: Dataset) -> None:
    assert len(set(ids(dataset))) == len(dataset) > 0
    assert all(dataset[index].image.mode == "RGB" for index in range(len(dataset)))
    with pytest.raises(IndexError):
        dataset[len(dataset)]


def test_labels_fit_the_classes(dataset: Dataset) -> None:
    assert len(set(dataset.classes())) == len(dataset.classes())
    found = set(labels(dataset)) - {None}
    assert found == set(range(len(dataset.classes())))


def test_reading_from_many_threads_or_after_pickling_changes_nothing(dataset: Dataset) -> None:
    copy = pickle.loads(pickle.dumps(dataset))
    order = list(range(len(dataset))) * 2
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(copy.__getitem__, order))
    for index, sample in zip(order, together, strict=True):
        alone = dataset[index]
        assert (sample.id, sample.label, sample.extra) == (alone.id, alone.label, alone.extra)
        np.testing.assert_array_equal(np.asarray(sample.image), np.asarray(alone.image))
    assert copy.fingerprint() == dataset.fingerprint()


# --- samples


def test_samples_are_the_photographs_in_order_with_their_credits() -> None:
    photos = Path(vitan_datasets.__file__).parent / "samples" / "photos"
    dataset = load(samples)
    assert ids(dataset) == [file.stem for file in sorted(photos.glob("*.jpg"))]
    credits = {credit["file"]: credit for credit in json.loads((photos / "credits.json").read_text("utf-8"))}
    for index in range(len(dataset)):
        sample = dataset[index]
        credit = credits[f"{sample.id}.jpg"]
        assert sample.image.size == (credit["width"], credit["height"])
        assert sample.extra == {key: credit[key] for key in ("title", "author", "licence")}
        assert all(sample.extra.values())
        assert sample.label is None


def test_the_photographs_are_those_that_were_credited() -> None:
    photos = Path(vitan_datasets.__file__).parent / "samples" / "photos"
    for credit in json.loads((photos / "credits.json").read_text("utf-8")):
        assert hashlib.sha256((photos / credit["file"]).read_bytes()).hexdigest() == credit["sha256"], credit["file"]


def test_photographs_and_credits_decide_the_fingerprint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_samples.resources, "files", lambda _: tmp_path)
    with pytest.raises(DataError, match=r"credits\.json: cannot be read .* install vitan again"):
        load(samples)
    credit = {"file": "a.jpg", "title": "A", "author": "B", "licence": "C"}
    make(tmp_path / "photos", ["a.jpg"])
    found = set()
    for colour, title in [(0, "A"), (9, "A"), (9, "Z")]:
        Image.new("RGB", (3, 2), (colour, 0, 0)).save(tmp_path / "photos" / "a.jpg")
        (tmp_path / "photos" / "credits.json").write_text(json.dumps([credit | {"title": title}]))
        found.add(load(samples).fingerprint())
    assert len(found) == 3


# --- folder


def test_a_folder_is_ordered_by_the_bytes_of_its_paths(tmp_path: Path) -> None:
    names = ["b_2.png", "b_10.png", "Z.png", "a/x.png", "a.png", "é.png", "a/sub/deep.JPG"]
    dataset = load(folder, root=make(tmp_path, names))
    assert ids(dataset) == ["Z.png", "a.png", "a/sub/deep.JPG", "a/x.png", "b_10.png", "b_2.png", "é.png"]
    assert dataset[4].image.getpixel((0, 0)) == (1, 0, 0)
    assert labels(dataset) == [None] * 7
    assert dataset.classes() == ()


def test_hidden_and_other_files_are_left_out(tmp_path: Path) -> None:
    hidden = [".hidden.png", "._a.png", ".git/b.png", "__MACOSX/a.png", "x/__MACOSX/a.png"]
    dataset = load(folder, root=make(tmp_path, ["a.png", "notes.txt", "film.mp4", *hidden]))
    assert ids(dataset) == ["a.png"]


def test_a_picture_is_a_dataset_of_one(tmp_path: Path) -> None:
    make(tmp_path, ["a.png", "b.png"])
    dataset = load(folder, root=tmp_path / "a.png")
    assert (ids(dataset), dataset.which(), dataset.classes()) == (["a.png"], "a.png", ())


@pytest.mark.parametrize(
    ("names", "notes"),
    [
        (["a.png", "b.JFIF", "c.gif", ".hidden.avif"], []),
        (
            ["a.png", "x/c.avif", "d.HEIC", "e.heic", "x/f.png"],
            [
                "3 files look like pictures and are not read: 1 .avif, 2 .heic (d.HEIC for one); save them as JPEG or "
                "PNG"
            ],
        ),
        (["a.png", "b.avif"], ["1 file looks like a picture and is not read: 1 .avif (b.avif for one); save them as"]),
        (
            ["a.png", "film.MP4", "films/b.mp4", "films/b.png", "README", "x.tar.gz"],
            ["4 files of other kinds are not read: 1 .gz, 2 .mp4, 1 without an ending (README for one)"],
        ),
        (["cat/a.png", "dog/", "elk/deep/deeper/"], ["2 folders hold no picture, dog for one"]),
        (["cat/a.png", "cat/b/c/"], ["1 folder holds no picture, cat/b"]),
        (
            ["cat/a.png", "dog/notes.txt"],
            ["1 file of another kind is not read: 1 .txt (dog/notes.txt", "1 folder holds no picture, dog"],
        ),
    ],
)
def test_what_lies_there_and_is_not_read_is_named(tmp_path: Path, names: list[str], notes: list[str]) -> None:
    make(tmp_path, [name for name in names if not name.endswith("/")])
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            (tmp_path / name).mkdir()
    found = load(folder, root=tmp_path).notes()
    assert len(found) == len(notes), found
    for note, start in zip(found, notes, strict=True):
        assert note.startswith(start)


def test_of_a_single_picture_its_neighbours_are_not_told(tmp_path: Path) -> None:
    make(tmp_path, ["a.png", "b.avif", "notes.txt"])
    assert load(folder, root=tmp_path / "a.png").notes() == ()


def test_the_root_itself_may_be_hidden(tmp_path: Path) -> None:
    assert ids(load(folder, root=make(tmp_path / ".cache" / "pictures", ["a.png"]))) == ["a.png"]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["b/1.png", "a/2.png", "a/3.png"], ("a", "b")),
        (["b/1.png", "a-b/2.png", "a/3.png", "a/notes.txt", "empty/notes.txt"], ("a", "a-b", "b")),
        (["a/1.png"], ()),
        (["a/1.png", "b/2.png", "loose.png"], ()),
        (["a/1.png", "b/2.png", "b/deep/3.png"], ()),
        (["1.png", "2.png"], ()),
    ],
    ids=["classes", "no pictures no class", "one", "loose", "deep", "flat"],
)
def test_whether_folders_are_classes_by_themselves(tmp_path: Path, names: list[str], expected: tuple[str]) -> None:
    dataset = load(folder, root=make(tmp_path, names))
    assert dataset.classes() == expected
    by_folder = [expected.index(id_.split("/")[0]) if expected else None for id_ in ids(dataset)]
    assert labels(dataset) == by_folder


def test_folders_are_classes_if_one_says_so(tmp_path: Path) -> None:
    make(tmp_path, ["b/deep/1.png", "a/2.png"])
    dataset = load(folder, root=tmp_path, classes="yes")
    assert (ids(dataset), labels(dataset)) == (["a/2.png", "b/deep/1.png"], [0, 1])
    assert load(folder, root=tmp_path / "b", classes="yes").classes() == ("deep",)
    assert load(folder, root=tmp_path, classes="no").classes() == ()


def test_loose_pictures_do_not_go_with_class_folders(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"1 pictures lie beside the class folders, loose\.png"):
        load(folder, root=make(tmp_path, ["a/1.png", "loose.png"]), classes="yes")


def test_links_are_followed_without_going_round(tmp_path: Path) -> None:
    make(tmp_path, ["elsewhere/x.png", "root/a/1.png"])
    (tmp_path / "root" / "linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "root" / "a" / "up").symlink_to(tmp_path / "root", target_is_directory=True)
    (tmp_path / "root" / "a" / "self").symlink_to(".", target_is_directory=True)
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "root" / "a", target_is_directory=True)
    (tmp_path / "root" / "round").symlink_to("round")
    found = ids(load(folder, root=tmp_path / "root"))
    assert found == ["a/1.png", "linked/back/1.png", "linked/x.png"]


def test_a_link_to_nowhere_is_reported_not_dropped(tmp_path: Path) -> None:
    (tmp_path / "a.png").symlink_to(tmp_path / "gone.png")
    dataset = load(folder, root=tmp_path)
    with pytest.raises(ImageError, match=r"a\.png"):
        dataset[0]
    assert dataset.fingerprint()  # so that the others can be looked at with --on-error skip


@pytest.mark.parametrize(
    ("names", "seen"),
    [([], "no files at all"), (["a/b.txt", "c.avif"], "2 files of other kinds")],
    ids=["empty", "other"],
)
def test_a_folder_without_pictures(tmp_path: Path, names: list[str], seen: str) -> None:
    with pytest.raises(DataError, match=seen) as caught:
        load(folder, root=make(tmp_path, names))
    assert str(tmp_path) in str(caught.value)
    assert ".jpeg" in str(caught.value)


def test_folders_can_be_roles(tmp_path: Path) -> None:
    make(tmp_path, ["gallery/cat/1.png", "query/cat/1.png", "query/dog/2.png", "gallery/elk/3.png"])
    dataset = load(folder, root=tmp_path)
    assert dataset.classes() == ("cat", "dog", "elk")  # two folders of one name are one class
    assert ids(dataset) == ["gallery/cat/1.png", "gallery/elk/3.png", "query/cat/1.png", "query/dog/2.png"]
    assert labels(dataset) == [0, 2, 0, 1]
    assert [dataset[i].role for i in range(4)] == ["bank", "bank", "query", "query"]
    plain = load(folder, root=tmp_path, roles="no", classes="yes")
    assert plain.classes() == ("gallery", "query")
    assert plain[0].role == ""
    assert plain.fingerprint() != dataset.fingerprint()


@pytest.mark.parametrize(
    ("names", "roles", "classes"),
    [
        (["train/1.png", "val/2.png", "test/3.png"], ["query", "bank", "query"], ()),
        (["train/a/1.png", "val/b/2.png"], ["bank", "query"], ("a", "b")),
        (["train/a/1.png", "train/b/2.png"], ["", ""], ()),
        (["train/1.png", "val/2.png", "cat/3.png"], ["", "", ""], ("cat", "train", "val")),
        (["train/1.png", "val/2.png", "3.png"], ["", "", ""], ()),
    ],
    ids=["no classes", "one picture each", "no query", "another folder", "loose"],
)
def test_whether_folders_are_roles_by_themselves(
    tmp_path: Path, names: list[str], roles: list[str], classes: tuple[str]
) -> None:
    dataset = load(folder, root=make(tmp_path, names))
    assert [dataset[i].role for i in range(len(dataset))] == roles
    assert dataset.classes() == classes


def test_pictures_beside_the_roles_do_not_go_with_them(tmp_path: Path) -> None:
    make(tmp_path, ["bank/1.png", "query/2.png", "other/3.png"])
    with pytest.raises(DataError, match=r"1 pictures lie beside the folders bank, gallery, .* other/3\.png for one"):
        load(folder, root=tmp_path, roles="yes")


def test_a_root_that_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"missing: No such file or directory"):
        load(folder, root=tmp_path / "missing")
    make(tmp_path, ["a.txt"])
    with pytest.raises(DataError, match=r"a\.txt: this is a file"):
        load(folder, root=tmp_path / "a.txt")
    with pytest.raises(ValidationError, match="root"):
        load(folder)


def test_the_root_of_imagenet50_is_found(imagenet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"missing: there is no such folder; --root names"):
        load(imagenet50, root=imagenet / "missing")
    monkeypatch.setenv("VITAN_DATA_DIR", str(imagenet.parent))
    with pytest.raises(DataError, match=r"there is no .*/imagenet/train"):
        load(imagenet50)
    (imagenet.parent / "imagenet").mkdir()
    imagenet.rename(imagenet.parent / "imagenet" / "train")
    assert len(load(imagenet50, per_class=2)) == 100


@pytest.mark.skipif(sys.platform != "linux", reason="other systems allow no such name")
def test_a_name_that_is_no_utf8_is_named_in_the_error(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png")).touch()
    with pytest.raises(DataError, match=r"caf\\udce9"):
        load(folder, root=tmp_path)


def test_a_damaged_picture_is_named(tmp_path: Path) -> None:
    make(tmp_path, ["a.png"])
    (tmp_path / "b.png").write_bytes(b"no picture")
    dataset = load(folder, root=tmp_path)
    assert dataset[0].id == "a.png"
    with pytest.raises(ImageError, match=r"b\.png"):
        dataset[1]


def test_the_fingerprint_of_a_folder_follows_pictures_and_labels(tmp_path: Path) -> None:
    names = ["a/1.png", "b/2.png"]
    root = make(tmp_path / "one", names)
    before = load(folder, root=root).fingerprint()
    assert load(folder, root=make(tmp_path / "two", names)).fingerprint() == before
    assert load(folder, root=root, classes="yes").fingerprint() == before
    assert load(folder, root=root, classes="no").fingerprint() != before
    make(root, ["a/notes.txt"])
    assert load(folder, root=root).fingerprint() == before
    Image.new("RGB", (3, 2), (9, 9, 9)).save(root / "b" / "2.png")
    assert load(folder, root=root).fingerprint() != before


# --- imagenet50


def test_there_are_fifty_classes_in_order() -> None:
    assert len(WNIDS) == len(set(class_names().values())) == 50
    assert sorted(WNIDS) == WNIDS


def test_imagenet50_takes_the_first_names_of_each_class(imagenet: Path) -> None:
    dataset = load(imagenet50, root=imagenet, per_class=1)
    assert ids(dataset) == [f"{wnid}/{wnid}_10.JPEG" for wnid in WNIDS]  # "_10" < "_2"
    assert labels(dataset) == list(range(50))
    assert dataset[3].group == WNIDS[3]
    assert dataset.classes()[49] == "banana"
    assert labels(load(imagenet50, root=imagenet, per_class=2)) == [label for label in range(50) for _ in range(2)]


def test_only_pictures_right_in_the_class_folder_count(imagenet: Path) -> None:
    first = WNIDS[0]
    strays = ["AAA.txt", "0.avif", ".a.JPEG", "._n_1.JPEG", "sub/0.JPEG", "0.JPEG/x.txt"]
    make(imagenet, [f"{first}/{name}" for name in strays] + [f"{first}/Z.Png", "n99999999/1.JPEG", "readme.txt"])
    chosen = ids(load(imagenet50, root=imagenet, per_class=2))
    assert chosen[:2] == [f"{first}/Z.Png", f"{first}/{first}_10.JPEG"]  # upper case first
    assert len(chosen) == 100


def test_imagenet_pictures_are_not_turned(imagenet: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (30, 20)).save(imagenet / WNIDS[0] / "0.JPEG", exif=exif)
    assert load(imagenet50, root=imagenet, per_class=1)[0].image.size == (30, 20)


def test_all_missing_classes_are_named(imagenet: Path) -> None:
    for wnid in (WNIDS[4], WNIDS[20]):
        (imagenet / wnid).rename(imagenet / f"x{wnid}")
    with pytest.raises(DataError, match=f"2 of the 50 class folders are missing: {WNIDS[4]}, {WNIDS[20]}") as caught:
        load(imagenet50, root=imagenet, per_class=1)
    assert f"{WNIDS[4]}/*.JPEG" in str(caught.value)


def test_too_few_pictures_are_counted(imagenet: Path) -> None:
    make(imagenet, [f"{wnid}/more.JPEG" for wnid in WNIDS[2:]])
    with pytest.raises(DataError, match=f"per_class=3: {WNIDS[0]} has 2, {WNIDS[1]} has 2; .* ask for 2"):
        load(imagenet50, root=imagenet, per_class=3)


@pytest.mark.parametrize("count", [0, -1])
def test_per_class_is_at_least_one(imagenet: Path, count: int) -> None:
    with pytest.raises(ValidationError, match="per_class"):
        load(imagenet50, root=imagenet, per_class=count)


def test_per_class_is_100_unless_told(imagenet: Path) -> None:
    with pytest.raises(DataError, match="per_class=100"):
        load(imagenet50, root=imagenet)


def golden_trees() -> list:
    files = sorted(GOLDEN.glob("**/imagenet50_tree.json"))
    return [pytest.param(file, limit, id=limit) for file in files for limit in json.loads(file.read_text())["expected"]]


@pytest.mark.golden
@pytest.mark.parametrize(("file", "limit"), golden_trees())
def test_the_choice_is_the_published_one_but_for_strays_and_sub_folders(file: Path, limit: str, tmp_path: Path) -> None:
    golden = json.loads(file.read_text())
    for name in golden["files"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    if golden["expected"][limit] == "FileNotFoundError":
        # there, strays or sub-folders use up what is taken; here, a class must really be short
        fewest = min(len(pictures(tmp_path / wnid)) if (tmp_path / wnid).is_dir() else 0 for wnid in WNIDS)
        if fewest >= int(limit):
            assert len(load(imagenet50, root=tmp_path, per_class=int(limit))) == 50 * int(limit)
        else:
            with pytest.raises(DataError):
                load(imagenet50, root=tmp_path, per_class=int(limit))
        return
    for label, wnid in enumerate(WNIDS):
        published = [path for path, found in golden["expected"][limit] if found == label]
        direct = [path for path in published if path.count("/") == 1]
        chosen = [f"{wnid}/{name}" for name in pictures(tmp_path / wnid)[: int(limit)]]
        names = [name for name in golden["files"] if name.startswith(f"{wnid}/")]
        assert chosen[: len(direct)] == direct
        if all(name.endswith(".JPEG") and name.count("/") == 1 for name in names):
            assert chosen == published
