"""Which tokens of a sequence are what."""

from __future__ import annotations

from dataclasses import dataclass

#: What a token in front of the patches can be.
ROLES = ("cls", "register", "distillation")


@dataclass(frozen=True)
class TokenLayout:
    """The roles of the tokens: first those of ``prefix``, in order, then the patches of ``grid``, row by row.

    ``grid`` is (rows, columns). A model without a CLS token has an empty prefix.

    Raises ``ValueError`` for an unknown role, two CLS tokens or an empty grid.
    """

    prefix: tuple[str, ...]
    grid: tuple[int, int]

    def __post_init__(self) -> None:
        if unknown := set(self.prefix) - set(ROLES):
            raise ValueError(f"unknown token roles {sorted(unknown)}: use {', '.join(ROLES)}")
        if self.prefix.count("cls") > 1:
            raise ValueError("a sequence has at most one CLS token")
        if min(self.grid) < 1:
            raise ValueError(f"the patch grid {self.grid} is empty")

    @property
    def patches(self) -> slice:
        """Where the patch tokens are in the sequence."""
        return slice(len(self.prefix), len(self))

    @property
    def n_patches(self) -> int:
        """How many patch tokens there are."""
        return self.grid[0] * self.grid[1]

    @property
    def cls(self) -> int | None:
        """Index of the CLS token, or None."""
        return self.prefix.index("cls") if "cls" in self.prefix else None

    def __len__(self) -> int:
        """All tokens."""
        return len(self.prefix) + self.n_patches
