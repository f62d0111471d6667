"""The store gives back what was put, or nothing."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path
from typing import Any

import pytest
import torch

from vitan.engine.store import Store

CONTENT = {"probe": ["sharpness", "toys", "1"], "images": [0, 2]}
TENSORS = {"rows.0.rows": torch.tensor([[0.5, -1.0], [2.0, 0.0]]), "rows.0.index": torch.tensor([0, 1])}
NOTES = {"images": [[0, "pic-é", 1, "", ""], [1, "pic-b", None, "query", ""]], "skipped": []}


def put(folder: Path) -> tuple[Store, Path]:
    store = Store(folder)
    return store, store.path(store.put(CONTENT, TENSORS, NOTES))


def test_a_unit_comes_back_whole(tmp_path: Path) -> None:
    store, path = put(tmp_path)
    unit = store.get(Store.key(CONTENT))
    assert (unit.content, unit.notes) == (CONTENT, NOTES)
    assert unit.tensors.keys() == TENSORS.keys()
    assert all(torch.equal(unit.tensors[name], tensor) for name, tensor in TENSORS.items())
    assert store.get(Store.key({"images": [0, 3]})) is None
    assert path.exists()


@pytest.mark.parametrize("bit", [0, 2, 5, 7])
def test_a_bit_that_has_flipped_anywhere_is_seen(tmp_path: Path, bit: Any) -> None:
    """Length, names, types, ids, labels, checksum and numbers: no byte of the file may differ."""
    store, path = put(tmp_path)
    whole = path.read_bytes()
    missed = []
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << bit)]) + whole[place + 1 :])
        if store.get(Store.key(CONTENT)) is not None:
            missed.append(place)
    assert missed == []
    path.write_bytes(whole)
    assert store.get(Store.key(CONTENT)) is not None


def _header(data: bytes) -> tuple[dict, bytes]:
    length = struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def _with_header(header: dict, rest: bytes) -> bytes:
    text = json.dumps(header, ensure_ascii=False).encode()
    return struct.pack("<Q", len(text)) + text + rest


@pytest.mark.parametrize("part", ["content", "notes", "sha256"])
@pytest.mark.parametrize("change", ["reworded", "gone"])
def test_a_text_that_was_changed_on_purpose_is_seen(tmp_path: Path, part: Any, change: Any) -> None:
    store, path = put(tmp_path)
    header, rest = _header(path.read_bytes())
    texts = header["__metadata__"]
    if change == "gone":
        del texts[part]
    else:
        texts[part] = texts[part].replace("1", "2")
    path.write_bytes(_with_header(header, rest))
    assert store.get(Store.key(CONTENT)) is None
    assert path.with_suffix(".damaged").exists()


def test_a_file_without_any_text_is_seen(tmp_path: Path) -> None:
    store, path = put(tmp_path)
    header, rest = _header(path.read_bytes())
    del header["__metadata__"]
    path.write_bytes(_with_header(header, rest))
    assert store.get(Store.key(CONTENT)) is None


def test_a_unit_under_the_name_of_another_is_seen(tmp_path: Path) -> None:
    store, path = put(tmp_path)
    other = {**CONTENT, "images": [2, 4]}
    store.path(Store.key(other)).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(path, store.path(Store.key(other)))
    assert store.get(Store.key(other)) is None
    assert store.get(Store.key(CONTENT)) is not None
