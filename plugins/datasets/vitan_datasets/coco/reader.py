"""Reading COCO."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from vitan.errors import DataError
from vitan.files import find_root
from vitan.options import Options

from ..outlines.annotated import Annotated, Entry, Exif
from ..outlines.annotations import read_instances
from ..roots import COCO


class CocoOptions(Options):
    """Where COCO is and which part of it to take."""

    root: Path | None = Field(None, description="COCO's folder, with annotations and images in it")
    part: str = Field("val2017", pattern=r"^\w[\w.-]*$", description="part of COCO, e.g. val2017 or train2017")
    exif: Exif = Field(
        "auto",
        description="which picture the outlines are of where EXIF turns it (auto: the one whose size the file states; "
        "where both have it, the picture is refused)",
    )


class Coco(Annotated):
    """All pictures of one part of COCO by ascending id, those without annotations included, with all their instances.

    Crowds are among the segments, marked as such. A segment's ``label`` is COCO's category id (1 to 90 with gaps). A
    sample's ``id`` is ``val2017/000000000139.jpg``. Annotations whose first polygon has four numbers or fewer are left
    out, as in the published code, and so are broken ones; see ``Annotated``.

    Raises ``DataError``, naming the first thing that is missing, and for annotations as ``read_instances`` does.
    """

    Options = CocoOptions

    def __init__(self, options: CocoOptions) -> None:
        root = find_root(options.root, "coco", COCO)
        file = _annotations(root, options.part)
        folder = _images(root, options.part)
        instances = read_instances(file)
        pictures = (instances.pictures[id_] for id_ in sorted(instances.pictures))
        entries = [
            Entry(f"{options.part}/{each.name}", folder / each.name, each, instances.outlines.get(each.id, ()), file)
            for each in pictures
        ]
        super().__init__(options, root, entries, [instances], options.exif)

    def which(self) -> str:
        """The part, unless it is the usual one."""
        part: str = self.options.part
        return "" if part == CocoOptions.model_fields["part"].default else part


def _annotations(root: Path, part: str) -> Path:
    file = root / "annotations" / f"instances_{part}.json"
    if not file.is_file():
        others = sorted(each.stem.removeprefix("instances_") for each in file.parent.glob("instances_*.json"))
        there = f"; there are the parts {', '.join(others)} (--part)" if others else ""
        raise DataError(
            f"{file}: this file is missing{there}. It comes with COCO's annotations of training and validation; "
            "'vitan show coco' says what is expected where"
        )
    return file


def _images(root: Path, part: str) -> Path:
    """``images/val2017``, or ``val2017`` as others lay it out."""
    choices = (root / "images" / part, root / part)
    for folder in choices:
        if folder.is_dir():
            return folder
    raise DataError(
        f"{choices[0]}: this folder is missing (as is {choices[1]}). It holds COCO's pictures of {part}; "
        "'vitan show coco' says what is expected where"
    )
