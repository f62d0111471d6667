"""Imported results on the disk: beside vitan's own, and never in their place."""

from __future__ import annotations

import json
from pathlib import Path

from ..analysis.tables import to_csv
from ..files import replacing_folder
from ..registry.specs import Imported
from .folder import RECORDS, place

#: What the folders of imported analyses end in, so that they never replace what vitan has computed.
SUFFIX = "-published"


def write_imported(found: Imported, folder: Path) -> list[Path]:
    """Write the records below ``folder`` as MODEL/DATASET/ANALYSIS-published, and return these folders.

    Folders of an earlier import are replaced as a whole.
    """
    by_place: dict[Path, list[Path]] = {}
    for path, records in found.records.items():
        first = records[0]
        target = place(folder, first.model, first.dataset, f"{first.analysis}{SUFFIX}")
        by_place.setdefault(target, []).append(path)
    for target, paths in by_place.items():
        with replacing_folder(target) as new:
            rows = [record for path in paths for record in found.records[path]]
            rows.sort(key=lambda record: -1 if record.block is None else record.block)
            (new / RECORDS).write_text(to_csv(rows), encoding="utf-8")
            sources = {"files": [path.name if path.suffix == ".pkl" else "/".join(path.parts[-2:]) for path in paths]}
            (new / "published.json").write_text(json.dumps(sources, indent=1) + "\n", encoding="utf-8")
    return list(by_place)
