"""Revisited Oxford: ``gnd_roxford5k.pkl`` and ``jpg/<name>.jpg``."""

from __future__ import annotations

import pickle
from pathlib import Path

from vitan.data.samples import Dataset

from .files import save_jpeg


def write_roxford(dataset: Dataset, folder: Path) -> None:
    """The bank and the queries, with what is easy, hard and junk for each in a pickle of protocol 2."""
    bank: dict[int, int] = {}  # from positions in the dataset to those in imlist
    images, queries, asked = [], [], []
    for index in range(len(dataset)):
        sample = dataset[index]
        name = sample.id.rpartition("/")[2].replace("-", "_")
        save_jpeg(sample.image, folder / "jpg" / f"{name}.jpg")
        if sample.role == "query":
            queries.append(name)
            asked.append(sample)
        else:
            bank[index] = len(bank)
            images.append(name)
    truth = [
        {
            "bbx": [float(value) for value in query.box or (0, 0, *query.image.size)],
            **{level: [bank[position] for position in query.relevant[level]] for level in ("easy", "hard", "junk")},
        }
        for query in asked
    ]
    content = {"imlist": images, "qimlist": queries, "gnd": truth}
    (folder / "gnd_roxford5k.pkl").write_bytes(pickle.dumps(content, protocol=2))
