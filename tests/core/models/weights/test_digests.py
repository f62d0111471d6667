"""Digests of files, remembered, and of modules."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from vitan import digests
from vitan import files as paths
from vitan.models.weights import file_sha256, state_sha256

ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, appendix B.1


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VITAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(digests, "_SETTLED", 0)
    return tmp_path / "cache"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    return path


def test_known_digest(file: Path) -> None:
    assert file_sha256(file) == ABC
    assert digests.file_digest(file, "md5") == "900150983cd24fb0d6963f7d28e17f72"  # RFC 1321, appendix A.5
    assert file_sha256(file) == ABC


def test_is_remembered_until_the_file_changes(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file_sha256(file)
    with monkeypatch.context() as patch:
        patch.setattr(digests, "_hash", lambda path, algorithm: pytest.fail("read again"))
        assert file_sha256(file) == ABC
        assert file_sha256(Path(os.path.relpath(file))) == ABC
    status = file.stat()
    file.write_bytes(b"abd")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert file_sha256(file) == hashlib.sha256(b"abd").hexdigest()
    file.write_bytes(b"abde")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert file_sha256(file) == hashlib.sha256(b"abde").hexdigest()


def _overwritten(file: Path) -> None:
    file.write_bytes(b"abd")


def _replaced(file: Path) -> None:
    other = file.with_name("other")
    other.write_bytes(b"abd")
    other.replace(file)


@pytest.mark.parametrize("change", [_overwritten, _replaced])
def test_a_file_of_equal_size_and_time_is_another(file: Path, change: Callable[[Path], None]) -> None:
    """As ``cp -p`` and ``rsync -t`` leave it."""
    status = file.stat()
    file_sha256(file)
    change(file)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert file.stat().st_size == status.st_size
    assert file.stat().st_mtime_ns == status.st_mtime_ns
    assert file_sha256(file) == hashlib.sha256(b"abd").hexdigest()


def test_a_file_that_has_just_changed_is_not_remembered(
    file: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another change within the same tick of the clock would leave no trace."""
    monkeypatch.setattr(digests, "_SETTLED", 3_600_000_000_000)
    assert file_sha256(file) == ABC
    assert not (cache / "digests.sqlite").exists()


def test_a_file_that_changes_while_it_is_read_is_not_remembered(
    file: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = digests._hash

    def meanwhile(path: Path, algorithm: digests.Algorithm) -> str:
        digest = real(path, algorithm)
        path.write_bytes(b"abcd")
        return digest

    monkeypatch.setattr(digests, "_hash", meanwhile)
    assert file_sha256(file) == ABC
    assert not (cache / "digests.sqlite").exists()


def test_many_files_at_once_and_what_cannot_be_read(file: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    paths_ = [file, tmp_path / "gone", tmp_path, tmp_path / "pipe", file]
    found = digests.file_digests(paths_)
    assert [found[0], found[4]] == [ABC, ABC]
    assert [type(one).__name__ for one in found[1:4]] == ["FileNotFoundError", "IsADirectoryError", "OSError"]


@pytest.mark.parametrize("content", [b"", b"{}", b"SQLite format 3\0" + b"x" * 5000, b"\xff" * 4096])
def test_a_damaged_store_is_replaced(file: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    cache.mkdir()
    (cache / "digests.sqlite").write_bytes(content)
    assert file_sha256(file) == ABC
    monkeypatch.setattr(digests, "_hash", lambda path, algorithm: pytest.fail("read again"))
    assert file_sha256(file) == ABC
    assert [path.name for path in cache.iterdir()] == ["digests.sqlite"]


def test_a_cache_that_cannot_be_written_does_not_matter(file: Path, cache: Path) -> None:
    cache.write_text("a file where the folder should be")
    assert file_sha256(file) == ABC


def test_state_digest_hangs_on_names_dtypes_shapes_and_values() -> None:
    def of(**tensors: torch.Tensor) -> str:
        module = nn.Module()
        for name, tensor in tensors.items():
            module.register_buffer(name, tensor)
        return state_sha256(module)

    table = torch.arange(6.0).reshape(2, 3)
    by_hand = hashlib.sha256(
        b"a|float32|[2, 3]\n" + table.numpy().astype("<f4").tobytes() + b"b|int64|[]\n" + b"\1" + b"\0" * 7
    )
    assert of(a=table, b=torch.tensor(1)) == of(b=torch.tensor(1), a=table) == by_hand.hexdigest()
    transposed = table.t().contiguous().t()
    changed = table.clone()
    changed[1, 2] += 1
    kinds = [{"a": table}, {"b": table}, {"a": table.reshape(3, 2)}, {"a": changed}, {"a": table.bfloat16()}]
    assert len({of(**kind) for kind in kinds}) == len(kinds)
    assert of(a=transposed) == of(a=table)
    assert of(a=torch.empty(0)) != of()
    # without a stride, as tensors from empty arrays and expanded ones are, although they count as contiguous
    assert of(a=torch.empty(0, dtype=torch.long).as_strided((0,), (0,))) == of(a=torch.empty(0, dtype=torch.long))
    assert of(a=torch.tensor(3).expand(1)) == of(a=torch.tensor([3]))


def test_paths(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (paths.cache_dir(), paths.weights_dir(), paths.states_dir()) == (cache, cache / "weights", cache / "states")
    monkeypatch.setenv("VITAN_CACHE", "~/here")
    assert paths.cache_dir() == Path.home() / "here"
    monkeypatch.delenv("VITAN_CACHE")
    assert "vitan" in paths.cache_dir().parts
