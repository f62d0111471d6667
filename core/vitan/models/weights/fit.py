"""Load a file into a model, exactly or not at all.

A non-strict load is how a wrong checkpoint turns into plausible numbers, so nothing is skipped here: every key of the
module is filled or is expected to be missing, every key of the file is used or is expected to be left over, every shape
is the same, and every number is finite.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn

from ...errors import WeightsFormatError, WeightsMismatchError
from ...registry.specs import CheckpointFormat, ModelSpec, StateDict
from .formats import Checkpoint, read_checkpoint

#: Tried for every model, after its own formats.
OWN_FORMAT = CheckpointFormat(name="own state dict")

_SHOWN = 3

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
    """How a file was understood: the name of the ``CheckpointFormat``, and the kind of file that it was."""

    format: str
    kind: str


@dataclass(frozen=True, kw_only=True)
class _Attempt:
    """What came of reading the file in one format. Empty ``problems`` and no ``reason`` mean that it fits."""

    format: CheckpointFormat
    kind: str = ""
    tensors: StateDict = field(default_factory=dict)  # as converted, or as read if they could not be
    reason: str = ""  # why the format does not apply at all
    agreeing: int = 0
    problems: tuple[str, ...] = ()


def fit(module: nn.Module, spec: ModelSpec, path: Path) -> Fitted:
    """Load ``path`` into ``module`` in the first of ``spec.formats``, or as the module's own state dict, that fits.

    A format fits if the module's keys that the file lacks are exactly ``format.missing``, the file's keys that the
    module lacks are among ``format.unused``, and all shapes agree. Half-precision values are widened to the module's
    float32; keys in ``format.missing`` keep the values that ``spec.build`` gave them.

    Raises ``WeightsFormatError`` if the file cannot be read or holds numbers that are not finite, and
    ``WeightsMismatchError``, which describes the closest format, if none fits.
    """
    read = cache(lambda: read_checkpoint(path))
    attempts = []
    for form in (*spec.formats, OWN_FORMAT):
        attempt = _attempt(module, form, path, read)
        if not attempt.reason and not attempt.problems:
            _load(module, attempt, path)
            return Fitted(format=form.name, kind=attempt.kind)
        attempts.append(attempt)
    if all(attempt.reason for attempt in attempts):
        read()  # a file that no reader understood is reported as such
    raise WeightsMismatchError(_explained(spec, path, attempts, len(module.state_dict())))


def _attempt(module: nn.Module, form: CheckpointFormat, path: Path, read: Callable[[], Checkpoint]) -> _Attempt:
    try:
        if form.read is None:
            checkpoint = read()
            tensors: StateDict = checkpoint.tensors
            kind = checkpoint.kind
        else:
            tensors, kind = form.read(path), f"file of its own ({form.name})"
    except (WeightsFormatError, KeyError, ValueError, OSError) as error:
        return _Attempt(format=form, reason=f"cannot be read so ({error})")
    try:
        converted = form.convert(tensors) if form.convert else tensors
    except KeyError as error:
        return _Attempt(format=form, kind=kind, tensors=tensors, reason=f"has no {error.args[0]!r}")
    except (ValueError, IndexError, RuntimeError) as error:  # a tensor of a shape that cannot be rearranged so
        return _Attempt(format=form, kind=kind, tensors=tensors, reason=f"cannot be converted ({error})")
    agreeing, problems = _compared(converted, module.state_dict(), form)
    return _Attempt(format=form, kind=kind, tensors=converted, agreeing=agreeing, problems=problems)


def _compared(have: StateDict, want: StateDict, form: CheckpointFormat) -> tuple[int, tuple[str, ...]]:
    """How many keys agree in name and shape, and one line for each kind of disagreement."""
    both = have.keys() & want.keys()
    shapes = [_shape_line(key, have[key], want[key]) for key in want if key in both]
    disagreeing = [line for line in shapes if line]
    lacking = [key for key in want if key not in have]
    problems = (
        ("missing from the file", [key for key in lacking if key not in form.missing]),
        ("in the file, though this format should lack them", sorted(form.missing - set(lacking))),
        ("unknown to the model", [key for key in have if key not in want and key not in form.unused]),
        ("of another shape", disagreeing),
    )
    lines = tuple(f"{len(keys)} {what}: {_some(keys)}" for what, keys in problems if keys)
    return len(both) - len(disagreeing), lines


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
        lines.append(f"Does not apply: {'; '.join(others)}.")
    keys = {key for attempt in attempts for key in attempt.tensors}
    looks = next((words for pattern, words in _KNOWN if any(re.match(pattern, key) for key in keys)), "")
    lines.append(f"By its keys, the file is {looks}." if looks else "Its keys are those of no checkpoint known here.")
    lines.append("Give the file that belongs to this model, or the model that belongs to this file.")
    return "\n".join(lines)


def _some(keys: Sequence[str]) -> str:
    return ", ".join(keys[:_SHOWN]) + (", ..." if len(keys) > _SHOWN else "") if keys else "nothing"
