"""Reading ROxford5k and RParis6k."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from PIL import Image
from pydantic import Field

from vitan.data.images import fingerprint, open_image
from vitan.data.samples import Box, Dataset, Sample
from vitan.errors import DataError, ImageError
from vitan.files import find_root
from vitan.options import Options

from ..roots import revisited
from .files import GroundTruth, read


class RevisitedOptions(Options):
    """Where the dataset is, and what is shown of the queries."""

    root: Path | None = Field(None, description="folder with the ground truth and the pictures in jpg/")
    crop_queries: bool = Field(
        False, description="crop queries to the building, as the benchmark asks for; the published code shows all of it"
    )


class Revisited(Dataset):
    """First the queries (role ``query``), then the pictures that are searched (role ``bank``), in the file's order.

    A query's ``relevant`` holds positions in this dataset under ``easy``, ``hard`` and ``junk``; its ``box`` is where
    the building is, and the whole picture with ``crop_queries``. A sample's ``id`` is its path below the root; pictures
    are not turned by their EXIF orientation.

    Raises ``DataError`` for a missing or damaged ground truth, for one that names what is not there, and, naming the
    first, for missing pictures.
    """

    Options = RevisitedOptions
    name: ClassVar[str]
    source: ClassVar[str]

    def __init__(self, options: RevisitedOptions) -> None:
        super().__init__(options)
        self._root = find_root(options.root, self.name, revisited(self.name))
        self._file = self._ground_truth()
        self._truth: GroundTruth = read(self._file)
        queries = [query.name for query in self._truth.queries]
        self._ids = [f"jpg/{name}.jpg" for name in (*queries, *self._truth.images)]
        missing = [id_ for id_ in self._ids if not (self._root / id_).is_file()]
        if missing:
            raise DataError(
                f"{self._root / missing[0]}: not there, as are {len(missing) - 1} more of {len(self._ids)} pictures; "
                f"get them with {self.source}, and put them into {self._root / 'jpg'}"
            )

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, index: int) -> Sample:
        """See ``Dataset``."""
        index = range(len(self))[index]
        id_ = self._ids[index]
        image = open_image(self._root / id_, orient=False)
        if index >= len(self._truth.queries):
            return Sample(id=id_, image=image, role="bank")
        query = self._truth.queries[index]
        box: Box = query.box
        if self.options.crop_queries:
            image = self._cropped(image, box, id_)
            box = (0.0, 0.0, float(image.width), float(image.height))
        return Sample(id=id_, image=image, role="query", box=box, relevant=self._positions(query.relevant))

    def fingerprint(self) -> str:
        """See ``Dataset``."""
        files = [self._file, *(self._root / id_ for id_ in self._ids)]
        return fingerprint(files, self._root, f"crop_queries={self.options.crop_queries}")

    def which(self) -> str:
        """Whether the queries are cropped."""
        return "cropped" if self.options.crop_queries else ""

    def notes(self) -> Sequence[str]:
        """See ``Dataset``: queries to which nothing is to be found."""
        alone = [query.name for query in self._truth.queries if not (query.relevant["easy"] or query.relevant["hard"])]
        if not alone:
            return ()
        return (
            f"{len(alone)} of {len(self._truth.queries)} queries have neither easy nor hard pictures to find, "
            f"{alone[0]} for one; they count nowhere",
        )

    def roles(self) -> Sequence[str]:
        """See ``Dataset``."""
        return ["query"] * len(self._truth.queries) + ["bank"] * len(self._truth.images)

    def _ground_truth(self) -> Path:
        files = [self._root / f"gnd_{self.name}{end}" for end in (".pkl", ".json")]
        found = next((file for file in files if file.is_file()), None)
        if found is None:
            raise DataError(f"{files[0]}: there is no ground truth (nor {files[1].name}); get it with {self.source}")
        return found

    def _positions(self, relevant: Mapping[str, Sequence[int]]) -> dict[str, list[int]]:
        first = len(self._truth.queries)
        return {kind: [first + place for place in places] for kind, places in relevant.items()}

    def _cropped(self, image: Image.Image, box: Box, id_: str) -> Image.Image:
        left, top, right, bottom = (round(side) for side in box)  # as Pillow's crop rounds
        if left < 0 or top < 0 or right > image.width or bottom > image.height or left >= right or top >= bottom:
            size = f"{image.width} x {image.height}"
            raise ImageError(f"{self._root / id_}: the query's box {box} does not lie in the picture of {size} pixels")
        return image.crop((left, top, right, bottom))


class ROxford5k(Revisited):
    """70 queries of 11 Oxford landmarks in 4,993 photographs."""

    name = "roxford5k"
    source = "the Oxford Buildings dataset (pictures) and the revisited ground truth (gnd_roxford5k.pkl)"


class RParis6k(Revisited):
    """70 queries of 11 Paris landmarks in 6,322 photographs."""

    name = "rparis6k"
    source = "the Paris dataset (pictures) and the revisited ground truth (gnd_rparis6k.pkl)"
