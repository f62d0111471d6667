"""Load a file into a model, exactly or not at all.

A non-strict load is how a wrong checkpoint turns into plausible numbers, so nothing is skipped here: every key of the
module is filled or is expected to be missing, every key of the file is used or is expected to be left over, every shape
is the same, and every number is finite. What training scripts put around and on top of a model is left out by name.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path

import torch
from torch import Tensor, nn

from ...errors import WeightsFormatError, WeightsMismatchError
from ...registry.specs import CheckpointFormat, ModelSpec, StateDict
from .candidates import HEADS, Candidate, candidates, choose, is_under
from .formats import read_checkpoint

#: Tried for every model, after its own formats.
OWN_FORMAT = CheckpointFormat(name="own state dict")

_SHOWN = 3
_LEFT_SHOWN = 12

#: What the keys of well-known checkpoints look like, for the error message only.
_KNOWN = (
    (r"module\.base_encoder\.", "a MoCo-v3 training checkpoint"),
    (r"decoder_embed\.weight", "a MAE checkpoint with its decoder"),
    (r"visual\.(conv1|class_embedding|trunk)", "a CLIP model in OpenAI's or open_clip's naming"),
    (r"vision_model\.", "a CLIP model of the transformers library"),
    (r"rel_pos_bias\.relative_position_bias_table", "a BEiT pre-training checkpoint"),
    (r"blocks\.0\.attn\.relative_position_bias_table", "a fine-tuned BEiT"),
    (r"(opt/target/)?Transformer/encoderblock_0/", "a Vision Transformer of the JAX releases (AugReg .npz)"),
    (r"(vit\.)?encoder\.layer\.0\.attention", "a model of the transformers library"),
    (r"encoder\.layers\.encoder_layer_0\.", "a Vision Transformer of torchvision"),
    (r"(module\.)?(backbone\.)?blocks\.0\.attn\.qkv\.weight", "a Vision Transformer in timm's naming"),
    (r"(module\.)?layer1\.0\.conv1\.weight", "a ResNet"),
)


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """How a file was understood: the name of the ``CheckpointFormat``, and the kind of file that it was.

    ``taken`` is the address of the part that was loaded, as in ``teacher.backbone``, empty for the whole of a plain
    state dict; ``left`` names what the file holds besides; ``remarks`` say why this part, where others fit too.
    """

    format: str
    kind: str
    taken: str = ""
    left: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = [self.format, f"from {self.taken!r}" if self.taken else "", *self.remarks]
        parts.append(f"left out: {', '.join(self.left)}" if self.left else "")
        return "; ".join(part for part in parts if part)


@dataclass(frozen=True, kw_only=True)
class _Attempt:
    """What came of reading a part of the file in one format. Empty ``problems`` and no ``reason`` mean that it fits."""

    format: CheckpointFormat
    kind: str = ""
    candidate: Candidate | None = None  # None for a format that reads the file itself
    tensors: StateDict = field(default_factory=dict)  # as converted, or as read if they could not be
    reason: str = ""  # why the format does not apply at all
    agreeing: int = 0
    heads: tuple[str, ...] = ()  # keys of what was trained on top of the model
    problems: tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        return not self.reason and not self.problems

    @property
    def address(self) -> str:
        return self.candidate.address if self.candidate else ""


def fit(module: nn.Module, spec: ModelSpec, path: Path, key: str = "") -> Fitted:
    """Load the part of ``path`` that fits ``module`` in one of ``spec.formats``, or as the module's own state dict.

    A part fits if the module's keys that it lacks are exactly ``format.missing``, if its keys that the module lacks are
    among ``format.unused`` or belong to a head, and if all shapes agree. Half-precision values are widened to the
    module's float32; keys in ``format.missing`` keep the values that ``spec.build`` gave them. ``key`` names the part,
    as in ``teacher``, or the beginning of its address.

    Raises ``WeightsFormatError`` if the file cannot be read or holds numbers that are not finite, and
    ``WeightsMismatchError``, which describes the closest format, if nothing fits, or which names the parts, if several
    fit, differ, and no rule says which is meant.
    """
    attempts, names = _attempts(module, spec, path, key)
    fitting = [attempt for attempt in attempts if attempt.fits]
    if not fitting:
        raise WeightsMismatchError(_explained(spec, path, attempts, len(module.state_dict())))
    chosen, remarks = choose(path, [(attempt.address, attempt.tensors) for attempt in fitting], module.state_dict())
    attempt = fitting[chosen]
    _load(module, attempt, path)
    return Fitted(
        format=attempt.format.name,
        kind=attempt.kind,
        taken=attempt.address,
        left=_left(attempt, names),
        remarks=remarks,
    )


def _attempts(module: nn.Module, spec: ModelSpec, path: Path, key: str) -> tuple[list[_Attempt], tuple[str, ...]]:
    """Every part in every format, and the names at the top of the file."""
    forms = (*spec.formats, OWN_FORMAT)
    attempts = [_read_so(module, form, path) for form in forms if form.read is not None]
    if any(attempt.fits for attempt in attempts):
        return attempts, ()
    try:
        checkpoint = read_checkpoint(path)
    except WeightsFormatError as error:
        if all(attempt.reason for attempt in attempts):
            raise  # a file that no reader understood is reported as such
        reason = f"cannot be read so ({error})"
        return [*attempts, *(_Attempt(format=form, reason=reason) for form in forms if form.read is None)], ()
    parts = [list(candidates(state, len(module.state_dict()) // 2)) for state in checkpoint.states]
    _check_key(path, key, [candidate.address for part in parts for candidate in part])
    for part in parts:
        for candidate in part:
            if not is_under(candidate.address, key):
                continue
            here = [_attempt(module, form, checkpoint.kind, candidate) for form in forms if form.read is None]
            attempts += here
            if not candidate.prefix and any(attempt.fits and not attempt.heads for attempt in here):
                break  # a state dict that fits as a whole is not taken apart
    return attempts, checkpoint.names


def _check_key(path: Path, key: str, addresses: Sequence[str]) -> None:
    if not any(is_under(address, key) for address in addresses):
        known = ", ".join(sorted({address for address in addresses if address})[:20]) or "none"
        raise WeightsMismatchError(f"{path}: holds no tensors under {key!r}; what can follow '::' here: {known}")


def _left(attempt: _Attempt, names: Sequence[str]) -> tuple[str, ...]:
    """What the file holds beside what was loaded: other parts of the same state dict, and other entries at its top."""
    if attempt.candidate is None:
        return ()
    path, prefix = attempt.candidate.state.path, attempt.candidate.prefix
    keys = (*attempt.candidate.beside, *(prefix + head for head in attempt.heads))
    counts = Counter(_part(key, prefix) for key in keys)
    parts = [f"{part} ({count} tensor{'s' if count > 1 else ''})" for part, count in counts.items()]
    others = [name for name in names if name != path[0]] if path else []
    more = [f"{len(others) - _LEFT_SHOWN} more"] if len(others) > _LEFT_SHOWN else []
    return (*parts, *others[:_LEFT_SHOWN], *more)


def _part(key: str, prefix: str) -> str:
    """The first words of a key, up to the one in which it is not under ``prefix``."""
    words = key.split(".")
    shared = takewhile(lambda pair: pair[0] == pair[1], zip(words, prefix.split("."), strict=False))
    return ".".join(words[: len(list(shared)) + 1])


def _read_so(module: nn.Module, form: CheckpointFormat, path: Path) -> _Attempt:
    """A format that reads the file by itself."""
    assert form.read is not None
    try:
        tensors = form.read(path)
    except (WeightsFormatError, KeyError, ValueError, OSError) as error:
        return _Attempt(format=form, reason=f"cannot be read so ({error})")
    return _converted(module, form, tensors, f"file of its own ({form.name})", None)


def _attempt(module: nn.Module, form: CheckpointFormat, kind: str, candidate: Candidate) -> _Attempt:
    path = candidate.state.path
    where = f" under {'.'.join(path)!r}" if path else ""
    return _converted(module, form, candidate.tensors, f"{kind}{where}", candidate)


def _converted(
    module: nn.Module, form: CheckpointFormat, tensors: StateDict, kind: str, candidate: Candidate | None
) -> _Attempt:
    try:
        converted = form.convert(tensors) if form.convert else tensors
    except KeyError as error:
        reason = f"has no {error.args[0]!r}"
        return _Attempt(format=form, kind=kind, candidate=candidate, tensors=tensors, reason=reason)
    except (ValueError, IndexError, RuntimeError) as error:  # a tensor of a shape that cannot be rearranged so
        reason = f"cannot be converted ({error})"
        return _Attempt(format=form, kind=kind, candidate=candidate, tensors=tensors, reason=reason)
    agreeing, heads, problems = _compared(converted, module.state_dict(), form)
    return _Attempt(
        format=form,
        kind=kind,
        candidate=candidate,
        tensors=converted,
        agreeing=agreeing,
        heads=heads,
        problems=problems,
    )


def _compared(have: StateDict, want: StateDict, form: CheckpointFormat) -> tuple[int, tuple[str, ...], tuple[str, ...]]:
    """How many keys agree in name and shape, the keys of heads, and one line for each kind of disagreement."""
    both = have.keys() & want.keys()
    shapes = [_shape_line(key, have[key], want[key]) for key in want if key in both]
    disagreeing = [line for line in shapes if line]
    lacking = [key for key in want if key not in have]
    over = [key for key in have if key not in want and key not in form.unused]
    heads = tuple(key for key in over if HEADS.fullmatch(key))
    problems = (
        ("missing from the file", [key for key in lacking if key not in form.missing]),
        ("in the file, though this format should lack them", sorted(form.missing - set(lacking))),
        ("unknown to the model", [key for key in over if key not in heads]),
        ("of another shape", disagreeing),
    )
    lines = tuple(f"{len(keys)} {what}: {_some(keys)}" for what, keys in problems if keys)
    return len(both) - len(disagreeing), heads, lines


def _shape_line(key: str, file: Tensor, model: Tensor) -> str:
    """The disagreement of one tensor, with a guess at its cause; empty if there is none."""
    have, want = tuple(file.shape), tuple(model.shape)
    if have == want:
        same_sort = file.is_floating_point() == model.is_floating_point() and not file.is_complex()
        return "" if same_sort else f"{key}: file {file.dtype}, model {model.dtype}"
    cause = ""
    if "pos" in key and len(have) == len(want) and have[-1] == want[-1]:
        cause = ": a checkpoint of another image size?"
    elif len(have) == len(want) == 4 and have[:2] == want[:2]:
        cause = ": a checkpoint of another patch size?"
    elif len(have) == len(want) and have[-1] != want[-1]:
        cause = ": a checkpoint of a model of another width?"
    return f"{key}: file {have}, model {want}{cause}"


def _load(module: nn.Module, attempt: _Attempt, path: Path) -> None:
    form, own = attempt.format, module.state_dict()
    state = {key: value for key, value in attempt.tensors.items() if key in own}
    for key, value in state.items():
        wrong = 0 if not value.is_floating_point() else int((~torch.isfinite(value)).sum())
        if wrong:
            raise WeightsFormatError(
                f"{path}: {wrong} of the {value.numel()} numbers of {key!r} are not finite (NaN or infinite): the file"
                " is damaged, or its training diverged; use another checkpoint"
            )
    result = module.load_state_dict(state, strict=False)
    if set(result.missing_keys) != form.missing or result.unexpected_keys:  # a module with its own loading hooks
        raise WeightsMismatchError(
            f"{path}: the module's own loading left {_some(result.missing_keys)} unfilled and"
            f" {_some(result.unexpected_keys)} unused in format {form.name!r}"
        )


def _explained(spec: ModelSpec, path: Path, attempts: Sequence[_Attempt], n_keys: int) -> str:
    closest = max(attempts, key=lambda attempt: (not attempt.reason, attempt.agreeing, -len(attempt.problems)))
    form = closest.format
    lines = [f"{path} does not fit the model {spec.name!r}; nothing was loaded."]
    lines.append(
        f"Closest format: {form.name!r}, where {closest.agreeing} of {n_keys - len(form.missing)} keys fit."
        if not closest.reason
        else f"Format {form.name!r}: the file {closest.reason}."
    )
    lines += [f"  {problem}" for problem in closest.problems]
    others = [f"{a.format.name!r}: the file {a.reason}" for a in attempts if a.reason and a is not closest]
    if others:
        lines.append(f"Does not apply: {'; '.join(dict.fromkeys(others))}.")
    keys = {key for attempt in attempts for key in attempt.tensors}
    looks = next((words for pattern, words in _KNOWN if any(re.match(pattern, key) for key in keys)), "")
    lines.append(f"By its keys, the file is {looks}." if looks else "Its keys are those of no checkpoint known here.")
    lines.append("Give the file that belongs to this model, or the model that belongs to this file.")
    return "\n".join(lines)


def _some(keys: Sequence[str]) -> str:
    return ", ".join(keys[:_SHOWN]) + (", ..." if len(keys) > _SHOWN else "") if keys else "nothing"
