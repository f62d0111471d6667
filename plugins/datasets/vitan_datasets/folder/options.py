"""What can be said about a folder of pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from vitan.options import Options

#: What folders right below the root, or shards, can be called to give their pictures a role.
ROLES = {"bank": "bank", "gallery": "bank", "train": "bank", "query": "query", "val": "query", "test": "query"}


class FolderOptions(Options):
    """Where the pictures are and whether their folders are classes."""

    root: Path = Field(description="folder with pictures, or shards of them, at any depth, or a single picture")
    classes: Literal["auto", "yes", "no"] = Field(
        "auto", description="whether the folders right below ROOT are the classes (auto: if all pictures are in such)"
    )
    roles: Literal["auto", "yes", "no"] = Field(
        "auto",
        description="whether the folders right below ROOT are a bank (bank, gallery, train) and queries (query, val, "
        "test), and the classes one level deeper (auto: if there are no others, and both kinds)",
    )
