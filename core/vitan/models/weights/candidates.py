"""Which parts of a checkpoint may be the model, and which of those that fit is meant.

Training scripts wrap a model in others (``module.``, ``backbone.``, ``teacher.``), and save copies of it side by side.
Any part is tried, and only one that fills the whole model counts. Where several do and their values differ, a rule that
the methods themselves follow decides, or nobody does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ...errors import WeightsMismatchError
from ...registry.specs import StateDict
from .states import State

#: First words of keys beside an encoder that are no part of it: what is trained on top, and thrown away afterwards.
HEADS = re.compile(
    r"(heads?|head_drop|fc|classifier|linear|lm_head|pre_logits|proj_head|projection_head|ibot_head|dino_head"
    r"|projector|predictor|decoder\w*|mask_token|pixel_mean|pixel_std|criterion|loss\w*|prototypes|queue\w*)(\..+)?"
)

_MOST_PREFIXES = 200
_CHUNKED = re.compile(r"^(blocks\.)\d+\.(\d+\.)")  # DINOv2 keeps its blocks in chunks, numbered through


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Of two parts, the one whose address has the word ``first`` is taken; ``second`` is the other's, or any."""

    first: str
    second: str
    why: str


#: What the published methods evaluate.
RULES = (
    Rule(first=r"teacher|teacher_\w+|\w+_teacher", second=r"student|student_\w+|\w+_student",
         why="the teacher is what self-distillation evaluates"),
    Rule(first=r"target_encoder", second=r"encoder|context_encoder", why="the target encoder is what I-JEPA evaluates"),
    Rule(first=r"base_encoder|encoder_q|online_\w+|query_encoder",
         second=r"momentum_encoder|encoder_k|target_\w+|key_encoder",
         why="the trained encoder, not its momentum copy, is what MoCo and BYOL evaluate"),
    Rule(first=r"backbone|encoder", second=r"momentum_backbone|momentum_encoder",
         why="the trained encoder, not its momentum copy, is what solo-learn evaluates"),
    Rule(first=r"(\w+_)?ema(_\w+)?|averaged_model|swa_\w+", second=r"",
         why="the average of the weights over training is what its script evaluates"),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A part of a state dict: the tensors under ``prefix``, without it, and the keys of all others."""

    state: State
    prefix: str
    tensors: dict[str, Tensor]
    beside: tuple[str, ...]

    @property
    def address(self) -> str:
        """Where in the file it is, as in ``teacher.backbone``; empty for the whole of a plain state dict."""
        return ".".join((*self.state.path, self.prefix.rstrip("."))).strip(".")


def candidates(state: State, fewest: int) -> Iterator[Candidate]:
    """The whole state dict first, then what is under each prefix that at least ``fewest`` of its keys have."""
    yield Candidate(state=state, prefix="", tensors=_renumbered(state.tensors), beside=())
    for prefix in _prefixes(state, fewest):
        inside = {key.removeprefix(prefix): value for key, value in state.tensors.items() if key.startswith(prefix)}
        beside = tuple(key for key in state.tensors if not key.startswith(prefix))
        yield Candidate(state=state, prefix=prefix, tensors=_renumbered(inside), beside=beside)


def _prefixes(state: State, fewest: int) -> list[str]:
    counts: dict[str, int] = {}
    for key in state.tensors:
        parts = key.split(".")[:-1]
        for depth in range(1, min(len(parts), 8) + 1):
            if parts[depth - 1].isdigit():  # inside a list of blocks, where no whole model is
                break
            prefix = ".".join(parts[:depth]) + "."
            counts[prefix] = counts.get(prefix, 0) + 1
    return [prefix for prefix, count in counts.items() if count >= fewest][:_MOST_PREFIXES]


def _renumbered(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Blocks that are kept in chunks (``blocks.1.7.norm1``) under their own numbers (``blocks.7.norm1``)."""
    if not any(_CHUNKED.match(key) for key in tensors):
        return tensors
    renamed = {_CHUNKED.sub(r"\1\2", key): value for key, value in tensors.items()}
    return renamed if len(renamed) == len(tensors) else tensors


def is_under(address: str, key: str) -> bool:
    """Whether a part is the one that ``key`` names, or within it."""
    return not key or f"{address}.".startswith(f"{key}.")


def choose(path: Path, fitting: Sequence[tuple[str, StateDict]], want: StateDict) -> tuple[int, tuple[str, ...]]:
    """Which of the parts that fit, by address and tensors, is meant, and remarks on the others.

    Raises ``WeightsMismatchError`` if their values differ and no rule prefers one of them to all others.
    """
    groups: list[list[int]] = []
    for index, (_, tensors) in enumerate(fitting):
        same = next((group for group in groups if _equal(fitting[group[0]][1], tensors, want)), None)
        if same is None:
            groups.append([index])
        else:
            same.append(index)
    addresses = [list(dict.fromkeys(fitting[index][0] for index in group)) for group in groups]
    for group, names in zip(groups, addresses, strict=True):
        reasons = {_shown(other): preferred(names, other) for other in addresses if other is not names}
        if all(reasons.values()):
            best = next((name for name in names if any(preferred([name], [other]) for other in names)), names[0])
            remarks = [f"{other} differs and was not taken: {why}" for other, why in reasons.items()]
            alike = [name for name in names if name and not is_under(name, best) and not is_under(best, name)]
            remarks += [f"{', '.join(map(repr, alike))} holds the same values"] if alike else []
            return next(index for index in group if fitting[index][0] == best), tuple(remarks)
    parts = " and ".join(_shown(names) for names in addresses)
    raise WeightsMismatchError(
        f"{path}: {parts} each fit, and their values differ; say which with --weights"
        f" {path}::{next(name for names in reversed(addresses) for name in names)}"
    )


def _shown(addresses: Sequence[str]) -> str:
    return repr(addresses[0]) if addresses[0] else "the whole"


def _equal(one: StateDict, other: StateDict, want: StateDict) -> bool:
    return all(
        key in one and key in other and torch.equal(one[key].to(value.dtype), other[key].to(value.dtype))
        for key, value in want.items()
        if key in one or key in other
    )


def preferred(one: Sequence[str], other: Sequence[str]) -> str:
    """Why the part with the addresses ``one`` is meant, and not that of ``other``; empty if no rule or both say so."""
    reason = next((rule.why for rule in RULES if _favours(rule, one, other)), "")
    return "" if any(_favours(rule, other, one) for rule in RULES) else reason


def _favours(rule: Rule, one: Sequence[str], other: Sequence[str]) -> bool:
    if not any(_has(address, rule.first) for address in one):
        return False
    if rule.second:
        return any(_has(address, rule.second) for address in other)
    return not any(_has(address, rule.first) for address in other)


def _has(address: str, word: str) -> bool:
    return any(re.fullmatch(word, part) for part in address.lower().split("."))
