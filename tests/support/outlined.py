"""The golden pictures with outlines: as few lines as read them, apart from the datasets that do."""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

import golden
from vitan.data.images import open_image
from vitan.data.samples import Dataset, Sample, Segment
from vitan.options import Options

GOLDEN = golden.arrays("features_seg.npz")
DATA = golden.FOLDER / "features_seg_data"


class Outlined(Dataset):
    """``coco`` or ``pin`` in the published order. Annotations that the published code skips unread are left out."""

    def __init__(self, name: str) -> None:
        super().__init__(Options())
        count = len(
            {key.split("/")[1] for key in GOLDEN.files if key.startswith(f"{name}/") and key.endswith("ann_ids")}
        )
        self._pictures = _coco(count) if name == "coco" else _parts(count)

    def __len__(self) -> int:
        return len(self._pictures)

    def __getitem__(self, index: int) -> Sample:
        path, image, coco = self._pictures[index]
        return Sample(
            id=path.name,
            image=open_image(path),
            segments=[
                Segment(
                    label=one["category_id"],
                    decode=partial(_mask, coco, one),
                    id=str(one["id"]),
                    crowd=bool(one["iscrowd"]),
                )
                for one in coco.imgToAnns[image]
                if one["iscrowd"] or len(one["segmentation"][0]) > 4
            ],
        )

    def fingerprint(self) -> str:
        return ""


def _coco(count: int) -> list[tuple[Path, int, Any]]:
    coco = _annotations(next((DATA / "coco" / "annotations").glob("*.json")))
    folder = next((DATA / "coco" / "images").iterdir())
    ids = GOLDEN["coco/ids_in_order"][:count].tolist()
    return [(folder / coco.imgs[one]["file_name"], one, coco) for one in ids]


def _parts(count: int) -> list[tuple[Path, int, Any]]:
    """The sampling that the numbered groups are of has as many pictures as there are groups."""
    names = next(GOLDEN[k] for k in GOLDEN.files if k.startswith("pin/samples_persc") and len(GOLDEN[k]) == count)
    found = {}
    for path in (DATA / "pin").glob("*/*/*.*"):
        coco = _annotations(DATA / "pin" / f"{path.parents[1].name}.json")
        ids = [image["id"] for image in coco.dataset["images"] if image["file_name"] == path.name]
        found |= {path.name: (path, ids[0], coco)} if ids else {}
    return [found[str(name)] for name in names]


@cache
def _annotations(path: Path) -> Any:
    from pycocotools.coco import COCO

    return COCO(path)


def _mask(coco: Any, annotation: dict[str, Any]) -> np.ndarray:
    return coco.annToMask(annotation).astype(bool)
