"""Pictures in tar and Parquet files, as the datasets folder and imagenet read them."""

from __future__ import annotations

import io
import json
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from vitan.errors import DataError, ImageError, UsageError
from vitan.testing import check_dataset
from vitan_datasets import folder, imagenet
from vitan_datasets.shards.shards import part_of

(FOLDER,) = folder.vitan_datasets()
(IMAGENET,) = imagenet.vitan_datasets()
FEATURES = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": ["cat", "dog", "owl"]}}


def jpeg(number: int) -> bytes:
    """A small picture of its own."""
    pixels = np.random.default_rng(number).integers(0, 255, (5, 7, 3), dtype=np.uint8)
    packed = io.BytesIO()
    Image.fromarray(pixels).save(packed, "JPEG")
    return packed.getvalue()


def write_tar(path: Path, members: dict[str, bytes], format: int = tarfile.PAX_FORMAT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=format) as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def write_parquet(path: Path, labels: Any, *, features: Any = FEATURES, rows: int = 2, images: Any = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    images = images or [{"bytes": jpeg(number), "path": None} for number in range(len(labels))]
    table = pa.table({"image": images, "label": labels})
    if features:
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, path, row_group_size=rows)
    return path


def load(spec: Any, root: Path, **options: Any) -> Any:
    kind = spec.load()
    return kind(kind.Options(root=root, **options))


def listed(dataset: Any) -> Any:
    return [(s.id, s.label, s.role) for s in (dataset[i] for i in range(len(dataset)))]


def same(image: Image.Image, number: int) -> bool:
    return np.array_equal(np.asarray(image), np.asarray(Image.open(io.BytesIO(jpeg(number)))))


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_tar_gives_the_pictures_that_went_in_with_their_labels(tmp_path: Path, format: int) -> None:
    long = "a" * 90 + "/" + "b" * 40  # longer than a plain header has room for
    write_tar(tmp_path / "b-val.tar", {f"{long}.jpg": jpeg(2), f"{long}.cls": b"0\n"}, format)
    write_tar(
        tmp_path / "a-train.tar",
        {"x.jpg": jpeg(0), "x.seg.png": b"", "x.json": b'{"label": 2}', "y.cls": b"1", "y.JPEG": jpeg(1), "z.txt": b""},
        format,
    )
    dataset = load(FOLDER, tmp_path)
    assert listed(dataset) == [
        ("a-train.tar/x.jpg", 2, "bank"),
        ("a-train.tar/y.JPEG", 1, "bank"),
        (f"b-val.tar/{long}.jpg", 0, "query"),
    ]
    assert [same(dataset[i].image, i) for i in range(3)] == [True] * 3
    assert dataset.classes() == ("0", "1", "2")
    assert dataset.notes() == ()
    check_dataset(FOLDER, root=tmp_path)


def test_a_file_names_the_classes_of_tar_files(tmp_path: Path) -> None:
    write_tar(tmp_path / "a.tar", {"x.jpg": jpeg(0), "x.cls": b"1"})
    before = load(FOLDER, tmp_path).fingerprint()
    (tmp_path / "classnames.txt").write_text("a cat\na dog\n")
    dataset = load(FOLDER, tmp_path)
    assert (dataset.classes(), dataset.notes()) == (("a cat", "a dog"), ())
    assert dataset.fingerprint() != before
    (tmp_path / "classnames.txt").write_text("a cat\n")
    with pytest.raises(DataError, match=r"a\.tar/x\.jpg has the label 1, which is none of the 1 classes"):
        load(FOLDER, tmp_path)


def test_labels_that_are_words_are_numbered_in_the_order_of_their_bytes(tmp_path: Path) -> None:
    write_tar(tmp_path / "a.tar", {"x.jpg": jpeg(0), "x.cls": b"dog", "y.jpg": jpeg(1), "y.cls": b"Cat"})
    assert (load(FOLDER, tmp_path).classes(), load(FOLDER, tmp_path).labels()) == (("Cat", "dog"), [1, 0])


def test_parquet_gives_the_pictures_that_went_in_with_their_labels(tmp_path: Path) -> None:
    write_parquet(tmp_path / "data" / "train-00000-of-00002.parquet", [2, 0, 1, 1, 0], rows=2)
    write_parquet(tmp_path / "data" / "validation-00000-of-00001.parquet", [1, 2], rows=1)
    dataset = load(FOLDER, tmp_path)
    found = listed(dataset)
    assert found[4] == ("data/train-00000-of-00002.parquet/4", 0, "bank")
    assert found[5] == ("data/validation-00000-of-00001.parquet/0", 1, "query")
    assert [label for _, label, _ in found] == [2, 0, 1, 1, 0, 1, 2]
    assert dataset.classes() == ("cat", "dog", "owl")
    assert [same(dataset[i].image, i) for i in (4, 0, 2, 3, 1)] == [True] * 5
    assert {role for _, _, role in listed(load(FOLDER, tmp_path, roles="no"))} == {""}
    assert load(FOLDER, tmp_path, classes="no").classes() == ()
    check_dataset(FOLDER, root=tmp_path)


def test_a_column_of_plain_bytes_and_one_of_words_will_do(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a.parquet", ["b", "a"], features=None, images=[jpeg(0), jpeg(1)])
    dataset = load(FOLDER, tmp_path)
    assert (dataset.classes(), dataset.labels()) == (("a", "b"), [1, 0])
    assert same(dataset[1].image, 1)


def test_imagenet_in_shards_is_the_same_as_in_folders(tmp_path: Path) -> None:
    """A tench (0), a great white shark (2) and a hen (8), by numbers among all, or by their wnids."""
    wnids = {0: "n01440764", 2: "n01484850", 8: "n01514859"}
    order = {"train": [8, 0, 2, 0], "val": [0, 8]}
    for part, labels in order.items():
        for number, label in enumerate(labels):
            file = tmp_path / "folders" / part / wnids[label] / f"{part}-{number}.JPEG"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(jpeg(number))
        members = {f"{part}-{i}.jpg": jpeg(i) for i in range(len(labels))}
        for name, of in (("numbers", str), ("words", lambda label: wnids[label])):
            said = {f"{part}-{i}.cls": of(label).encode() for i, label in enumerate(labels)}
            write_tar(tmp_path / name / f"imagenet-{part}-0000.tar", members | said)
    folders = load(IMAGENET, tmp_path / "folders")
    for name in ("numbers", "words"):
        dataset = load(IMAGENET, tmp_path / name)
        words = [dataset.classes()[label] for label in dataset.labels()]
        assert words == ["hen", "tench", "great white shark", "tench", "tench", "hen"]
        assert dataset.roles() == ["bank"] * 4 + ["query"] * 2
        both = [
            {(Path(s.id).stem, of.classes()[s.label], s.role, s.image.tobytes()) for s in (of[i] for i in range(6))}
            for of in (folders, dataset)
        ]
        assert both[0] == both[1]
        assert [s for s, *_ in listed(load(IMAGENET, tmp_path / name, bank_per_class=1, query_per_class=1))] == [
            *(f"imagenet-train-0000.tar/train-{i}.jpg" for i in (0, 1, 2)),
            *(f"imagenet-val-0000.tar/val-{i}.jpg" for i in (0, 1)),
        ]
        check_dataset(IMAGENET, root=tmp_path / name)
    assert len(load(IMAGENET, tmp_path / "numbers").classes()) == 1000
    assert load(IMAGENET, tmp_path / "words").classes() == folders.classes()


def test_imagenet_refuses_shards_of_something_else(tmp_path: Path) -> None:
    write_tar(tmp_path / "train-0.tar", {"x.jpg": jpeg(0), "x.cls": b"1000"})
    with pytest.raises(DataError, match=r"none of its 1 shards, train-0\.tar for one, has val in its name"):
        load(IMAGENET, tmp_path)
    write_tar(tmp_path / "validation-0.tar", {"x.jpg": jpeg(0), "x.cls": b"1"})
    with pytest.raises(DataError, match=r"train-0\.tar/x\.jpg has the label 1000; those of ImageNet are 0 to 999"):
        load(IMAGENET, tmp_path)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("train-0.tar", "train"),
        ("imagenet1k-validation-07.tar", "val"),
        ("data/test-0.parquet", "test"),
        ("val/train_0.tar", "train"),
        ("training.tar", ""),
        ("shard-1.tar", ""),
        ("a/valid/0.tar", "val"),
    ],
)
def test_the_part_of_a_shard_is_the_last_word_that_says_one(name: str, part: str) -> None:
    assert part_of(name) == part


def test_a_tar_that_is_cut_anywhere_is_refused_by_name(tmp_path: Path) -> None:
    file = write_tar(tmp_path / "a.tar", {f"{i}.jpg": jpeg(i) for i in range(3)})
    whole = file.read_bytes()
    last = whole.rstrip(b"\0")
    end = -(-len(last) // 512) * 512
    for size in (*range(0, end + 1, 256), end + 511):
        file.write_bytes(whole[:size])
        with pytest.raises(DataError, match=r"a\.tar"):
            load(FOLDER, tmp_path)
    file.write_bytes(whole[: end + 512])
    assert len(load(FOLDER, tmp_path)) == 3


def test_a_damaged_header_is_not_taken_for_the_end_of_a_tar(tmp_path: Path) -> None:
    file = write_tar(tmp_path / "a.tar", {"x.jpg": jpeg(0), "y.jpg": jpeg(1)})
    whole = bytearray(file.read_bytes())
    whole[whole.index(b"y.jpg") + 100] ^= 1
    file.write_bytes(whole)
    with pytest.raises(DataError, match=r"a\.tar: this is no whole tar file .*damaged at byte \d+"):
        load(FOLDER, tmp_path)


@pytest.mark.parametrize(
    ("members", "complaint"),
    [
        ({"x.jpg": jpeg(0), "x.png": jpeg(0)}, "are two pictures of one key, x"),
        ({"../x.jpg": jpeg(0)}, "leads out of a folder"),
        ({"x.jpg": jpeg(0), "x.cls": b"1", "y.jpg": jpeg(0), "y.cls": b"one"}, "all are numbers, or words"),
        ({"x.jpg": jpeg(0), "x.cls": b"1", "y.jpg": jpeg(0)}, "or none has one"),
        ({"x.jpg": jpeg(0), "x.cls": b"9" * 4000}, "none of 0 to"),
        ({"x.jpg": jpeg(0), "x.cls": b""}, "a label is a number or a word"),
        ({"x.jpg": jpeg(0), "x.json": b'{"label": true}'}, "a label is a number or a word"),
        ({"x.jpg": jpeg(0), "x.json": b"[" * 100_000}, "tells no label"),
        ({"x.jpg": jpeg(0), "x.json": b"[1]"}, "tells no label"),
        ({"x.txt": b"words"}, "there is no picture in it"),
    ],
)
def test_a_tar_that_makes_no_sense_is_refused_by_name(tmp_path: Path, members: Any, complaint: str) -> None:
    write_tar(tmp_path / "a.tar", members)
    with pytest.raises(DataError, match=complaint) as caught:
        load(FOLDER, tmp_path)
    assert "a.tar" in str(caught.value)


def test_labels_are_asked_for_where_there_are_none(tmp_path: Path) -> None:
    write_tar(tmp_path / "a.tar", {"x.jpg": jpeg(0)})
    assert load(FOLDER, tmp_path).labels() == [None]
    with pytest.raises(DataError, match=r"a\.tar tells no labels"):
        load(FOLDER, tmp_path, classes="yes")
    with pytest.raises(DataError, match=r"a\.tar has none of bank"):
        load(FOLDER, tmp_path, roles="yes")


def test_a_compressed_tar_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w:gz"):
        pass
    with pytest.raises(DataError, match="unpack it if it is compressed"):
        load(FOLDER, tmp_path)


def test_a_shard_that_changes_under_the_reader_is_an_error_of_the_picture(tmp_path: Path) -> None:
    file = write_tar(tmp_path / "a.tar", {"x.jpg": jpeg(0)})
    dataset = load(FOLDER, tmp_path)
    file.write_bytes(b"")
    with pytest.raises(ImageError, match=r"a\.tar/x\.jpg: the shard has become shorter"):
        dataset[0]
    file.unlink()
    with pytest.raises(ImageError, match=r"a\.tar/x\.jpg: cannot be read"):
        dataset[0]


@pytest.mark.parametrize(
    ("columns", "complaint"),
    [
        ({"text": ["a"]}, r"no column holds pictures: text \(string\)"),
        ({"a": [b"1"], "b": [b"2"]}, "several columns may be pictures"),
        ({"image": [b"1"], "label": [0.5]}, "the column label is double"),
        ({"image": [b"1"], "label": [[1]]}, "the column label is list"),
        ({"image": pa.array([], pa.binary())}, "there is no picture in it"),
    ],
)
def test_parquet_with_other_columns_is_refused_by_name(tmp_path: Path, columns: Any, complaint: str) -> None:
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=complaint) as caught:
        load(FOLDER, tmp_path)
    assert "a.parquet" in str(caught.value)


def test_parquet_that_is_damaged_is_refused_by_name(tmp_path: Path) -> None:
    file = write_parquet(tmp_path / "a.parquet", [0, 1])
    whole = file.read_bytes()
    for content in (b"", whole[:100], whole[:-1], b"PAR1" + whole[-8:]):
        file.write_bytes(content)
        with pytest.raises(DataError, match=r"a\.parquet"):
            load(FOLDER, tmp_path)


def test_pictures_of_parquet_that_cannot_be_read_are_errors_of_their_own(tmp_path: Path) -> None:
    """One has no bytes, one is no picture; then the file goes, and who asks again gets the same error."""
    images = [{"bytes": None, "path": "x.jpg"}, {"bytes": b"no", "path": None}, {"bytes": jpeg(2), "path": None}]
    file = write_parquet(tmp_path / "a.parquet", [0, 1, 2], images=images, rows=2)
    dataset = load(FOLDER, tmp_path)
    with pytest.raises(ImageError, match=r"a\.parquet/0: the file has no bytes of this picture"):
        dataset[0]
    with pytest.raises(ImageError, match=r"a\.parquet/1: not a picture"):
        dataset[1]
    file.unlink()
    for _ in range(2):
        with pytest.raises(ImageError, match=r"^[^:]*a\.parquet/2: its group 1 of rows cannot be read"):
            dataset[2]


def test_shards_that_name_their_classes_differently_are_no_dataset(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a.parquet", [0])
    write_parquet(tmp_path / "b.parquet", [0], features={"label": {"_type": "ClassLabel", "names": ["owl"]}})
    with pytest.raises(DataError, match=r"a\.parquet and b\.parquet name their classes differently"):
        load(FOLDER, tmp_path)


def test_the_way_to_pyarrow_is_told_where_it_is_lacking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_parquet(tmp_path / "a.parquet", [0])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "vitan_datasets.shards.parquet", raising=False)
    with pytest.raises(UsageError, match=r"pip install 'vitan\[shards\]'"):
        load(FOLDER, tmp_path)


def test_the_fingerprint_is_of_contents_and_not_of_places(tmp_path: Path) -> None:
    found = set()
    for place, last in (("one", 1), ("other", 1), ("third", 2)):
        write_tar(tmp_path / place / "a.tar", {"x.jpg": jpeg(0), "y.jpg": jpeg(last)})
        found.add(load(FOLDER, tmp_path / place).fingerprint())
    assert len(found) == 2


def test_pictures_beside_shards_are_what_is_read(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(jpeg(0))
    write_tar(tmp_path / "a.tar", {"y.jpg": jpeg(1)})
    dataset = load(FOLDER, tmp_path)
    assert [id_ for id_, *_ in listed(dataset)] == ["x.jpg"]
    assert dataset.notes() == ("1 file of another kind is not read: 1 .tar (a.tar for one)",)
