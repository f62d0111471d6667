"""Reading any tree of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vitan.data.samples import Dataset, Sample

from .files import find_files
from .loose import Loose
from .options import FolderOptions
from .sharded import Sharded


class Folder(Dataset):
    """All pictures below ``root``, ordered by the bytes of their paths; hidden files and folders are left out.

    A sample's ``id`` is its path below ``root``; its label, if folders are classes, the index of its folder among the
    sorted folders that hold pictures. With ``classes="auto"`` folders are classes if there are at least two and every
    picture lies directly in one. Symbolic links are followed, except back into a folder above.

    Folders of ``ROLES`` say which pictures are in the bank and which are queries. Everything above then holds one level
    deeper, and folders of one name, such as ``query/cat`` and ``gallery/cat``, are one class.

    Where there are shards and no pictures, it is those in the shards (see ``Shards``), with the labels that are there;
    the last word of ``ROLES`` in a shard's path is the role of its pictures.

    A ``root`` that is a single picture is a dataset of one.

    Raises ``DataError`` if ``root`` is neither, holds no picture, or, with ``classes="yes"`` or ``roles="yes"``, has
    some beside the folders of classes or roles, or shards that do not tell.
    """

    Options = FolderOptions

    def __init__(self, options: FolderOptions) -> None:
        super().__init__(options)
        found = find_files(options.root)
        self._notes = found.notes
        self._pictures = (Sharded if found.sharded else Loose)(found.root, found.names, options)

    def __len__(self) -> int:
        return len(self._pictures.ids)

    def __getitem__(self, index: int) -> Sample:
        """See ``Dataset``."""
        index = range(len(self))[index]
        of = self._pictures
        return Sample(id=of.ids[index], image=of.open(index), label=of.labels[index], role=of.roles[index])

    def fingerprint(self) -> str:
        """See ``Dataset``."""
        return self._pictures.fingerprint()

    def which(self) -> str:
        """The name of the folder, or of the single picture."""
        return Path(self.options.root).resolve().name

    def notes(self) -> Sequence[str]:
        """See ``Dataset``: files that are not read, by their kind, and folders without pictures."""
        return self._notes

    def classes(self) -> Sequence[str]:
        """See ``Dataset``."""
        return self._pictures.classes

    def labels(self) -> Sequence[int | None]:
        """See ``Dataset``."""
        return self._pictures.labels

    def roles(self) -> Sequence[str]:
        """See ``Dataset``."""
        return self._pictures.roles
