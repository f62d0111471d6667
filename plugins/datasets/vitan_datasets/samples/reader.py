"""Reading the photographs that come with vitan."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

from vitan.data.images import fingerprint, open_image
from vitan.data.samples import Dataset, Sample
from vitan.errors import DataError


class Samples(Dataset):
    """The photographs in ``photos/``, in the order of their file names.

    A sample's ``id`` is its file name without the suffix; ``extra`` has its title, author and licence.

    Raises ``DataError`` if the list of the photographs is missing from the installation.
    """

    def __init__(self, options: Any) -> None:
        super().__init__(options)
        self._folder = Path(str(resources.files(__package__) / "photos"))
        self._credits_file = self._folder / "credits.json"
        try:
            credits: list[dict[str, Any]] = json.loads(self._credits_file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(f"{self._credits_file}: cannot be read ({error}); install vitan again") from error
        self._credits = sorted(credits, key=lambda credit: str(credit["file"]))

    def __len__(self) -> int:
        return len(self._credits)

    def __getitem__(self, index: int) -> Sample:
        """See ``Dataset``."""
        credit = self._credits[index]
        return Sample(
            id=Path(credit["file"]).stem,
            image=open_image(self._folder / credit["file"]),
            extra={key: credit[key] for key in ("title", "author", "licence")},
        )

    def fingerprint(self) -> str:
        """See ``Dataset``."""
        photos = [self._folder / credit["file"] for credit in self._credits]
        return fingerprint([*photos, self._credits_file], self._folder)
