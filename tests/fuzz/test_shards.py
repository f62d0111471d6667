"""Shards of pictures, tar and Parquet, damaged."""

from __future__ import annotations

import io
import tarfile
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from fuzzing import expect_named
from spoiling import spoil
from vitan.errors import DataError
from vitan_datasets import folder

(SPEC,) = folder.vitan_datasets()


@cache
def honest() -> dict[str, bytes]:
    """The same pictures, with labels and names beyond ASCII, in both kinds of file."""
    pictures = []
    for number in range(4):
        packed = io.BytesIO()
        Image.new("RGB", (8, 6), (40 * number, 0, 0)).save(packed, "JPEG")
        pictures.append(packed.getvalue())
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for number, picture in enumerate(pictures):
            for name, content in ((f"ü{number}.jpg", picture), (f"ü{number}.json", b'{"label": %d}' % number)):
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    sink = pa.BufferOutputStream()
    table = pa.table({"image": [{"bytes": each, "path": None} for each in pictures], "label": [0, 1, 2, 3]})
    pq.write_table(table, sink, row_group_size=2)
    return {".tar": packed.getvalue(), ".parquet": sink.getvalue().to_pybytes()}


def attempt(random: Random, root: Path) -> None:
    ending, content = random.choice([*honest().items()])
    (root / f"shard{ending}").write_bytes(spoil(random, content))
    try:
        kind = SPEC.load()
        dataset = kind(kind.Options(root=root))
        for index in range(min(len(dataset), 10)):
            assert dataset[index].image.mode == "RGB"
    except DataError as error:
        expect_named(error, f"shard{ending}")
        raise


def test_shards_are_read_or_refused(fuzz: Any) -> None:
    fuzz(attempt, some=25, many=400)
