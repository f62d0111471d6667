"""Specs of timm's models, made from what timm knows of them."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Iterable
from functools import partial
from itertools import islice
from typing import Any

import timm
import torch
from timm.models import _registry
from torch import Tensor

from vitan.anatomy import TIMM
from vitan.errors import MismatchError, UnknownNameError
from vitan.models.layout import describe, find_layout
from vitan.registry.specs import CheckpointFormat, HubSource, ModelSpec, StateDict, UrlSource, WeightSource
from vitan.registry.spelling import read_name, same_model

from .timm_vit import JAX
from .vit import build_vit

#: timm's modules of plain Vision Transformers: one sequence of tokens, blocks of one attention and one MLP.
FAMILIES = ("vision_transformer", "deit", "beit", "eva", "vision_transformer_hybrid", "vision_transformer_relpos")

#: The tags of what publishers on the hub have put there under their own names.
_TAGS = {"google": "orig", "facebook": "fb"}


def spec(name: str) -> ModelSpec:
    """See ``catalogs.timm_model``."""
    config = _config(name)
    full = f"{config.architecture}.{config.tag}"
    _check_activation(full, config)
    _, rows, columns = config.input_size
    if rows != columns:
        raise MismatchError(f"timm:{full} takes pictures of {rows} x {columns} pixels; vitan makes square ones")
    return ModelSpec(
        name=f"timm:{full}",
        summary=f"timm's {config.architecture}, weights {config.tag}",
        family=config.tag,
        arch=config.architecture,
        patch=patch_size(full, rows),
        image_size=rows,
        mean=_three(config.mean),
        std=_three(config.std),
        build=partial(build_vit, full),
        weights=_sources(config, full),
        formats=_formats(full),
        paper=config.origin_url or "",
    )


def check_family(architecture: str) -> None:
    """Refuse what is no plain Vision Transformer before it is built; raises ``MismatchError``."""
    family = timm.models.model_entrypoint(architecture).__module__.rpartition(".")[2]
    if family not in FAMILIES:
        raise MismatchError(
            f"{architecture} is of timm's {family} family; vitan reads plain Vision Transformers, "
            f"which are timm's {', '.join(FAMILIES)}"
        )


def _check_activation(full: str, config: Any) -> None:
    """Refuse weights that want QuickGELU in an architecture with GELU; timm has it as an architecture beside.

    timm's notes say so, and so does a twin with the same tag. Raises ``MismatchError``.
    """
    twin = full.replace("_clip_", "_clip_quickgelu_")
    if "quickgelu" in full or twin == full:
        return
    noted = any("quickgelu" in note.lower() for note in config.notes or ())
    if noted or timm.is_model_pretrained(twin):
        raise MismatchError(
            f"timm:{full}: these weights were trained with QuickGELU, and {config.architecture} has GELU; "
            f"use timm:{twin}"
        )


def patch_size(architecture: str, image_size: int) -> int:
    """The side of a patch in pixels, once the architecture is seen to be one that vitan can read."""
    module = _outline(architecture, num_classes=0)
    describe(module, TIMM)
    return image_size // find_layout(module, image_size).grid[0]


def without_tables(state: StateDict) -> StateDict:
    """What was learned: timm computes indices of relative positions and rotary tables, which its older files hold."""

    def is_table(key: str) -> bool:
        return "relative_position_index" in key or ("rope" in key and key != "rope.freqs")

    return {key: value for key, value in state.items() if not is_table(key)}


def as_timm_converts(state: StateDict, *, architecture: str) -> StateDict:
    """A publisher's state dict under timm's keys, as timm's own ``checkpoint_filter_fn`` converts it.

    That function also fits a file of another image or patch size to the model, which is refused here.
    Raises ``KeyError`` or ``ValueError`` for a file of another kind.
    """
    module = timm.models.model_entrypoint(architecture.partition(".")[0]).__module__
    convert: Any = getattr(sys.modules[module], "checkpoint_filter_fn", None)
    if convert is None:
        raise KeyError("checkpoint_filter_fn (timm converts no files of this family)")
    how = {"adapt_layer_scale": True} if module.endswith(".deit") else {}
    try:
        converted: StateDict = convert(dict(state), _outline(architecture, num_classes=0), **how)
    except Exception as error:  # timm expects the files that it knows, and checks nothing
        raise ValueError(f"timm cannot convert it: {error!r:.200}") from error
    _check_unscaled(state, converted)
    return converted


def _check_unscaled(before: StateDict, after: StateDict) -> None:
    """Raise ``ValueError`` if positions or patches are not the file's own; timm may add CLS' position to its token.

    (BEiT-3 has two positions more than tokens.)
    """

    def positions(tensor: Tensor) -> int:
        return tensor.numel() // tensor.shape[-1]

    checks = (
        ("pos_embed", ("pos_embed", "positional_embedding", "embed_positions.weight"), positions, 2),
        ("patch_embed.proj.weight", ("patch_embed.proj.weight", "conv1.weight"), torch.numel, 0),
    )
    for key, endings, size, fewer in checks:
        sizes = [size(tensor) for name, tensor in before.items() if name.endswith(endings)]
        if key in after and not any(0 <= known - size(after[key]) <= fewer for known in sizes):
            raise ValueError(f"a file of another image or patch size: {key} is {tuple(after[key].shape)} in timm's")


def _formats(full: str) -> tuple[CheckpointFormat, ...]:
    head = _head(full)
    publisher = CheckpointFormat(
        name="publisher's file, as timm converts it",
        convert=partial(as_timm_converts, architecture=full),
        unused=head,
    )
    return (CheckpointFormat(name="timm's own file", convert=without_tables, unused=head), JAX, publisher)


def _config(name: str) -> Any:
    """timm's record of the weights; raises ``UnknownNameError`` or ``MismatchError``."""
    architecture, _, tag = name.partition(".")
    _check_address(name)
    if now := _renamed(architecture):
        raise MismatchError(f"timm:{name} is a name of older versions; timm calls it timm:{now} now")
    if not timm.is_model(architecture):
        known = [model for family in FAMILIES for model in timm.list_models(module=family)]
        raise _unknown(name, _meant(name) or difflib.get_close_matches(architecture, known, n=3))
    check_family(architecture)
    tags = timm.list_pretrained(f"{architecture}.*")
    if tag and name not in tags:
        raise _unknown(name, difflib.get_close_matches(name, tags, n=3, cutoff=0.0))
    config: Any = timm.get_pretrained_cfg(name)
    if not tags or not config.hf_hub_id:
        raise MismatchError(f"timm has no weights of {name} in its own format, so that vitan cannot load it by name")
    return config


def _meant(name: str) -> list[str]:
    """Models with tags that a name of another spelling may mean, such as ``dinov2-B14``; timm's default tags first."""
    known = [full for family in FAMILIES for full in timm.list_models(module=family, pretrained=True)]
    known.sort(key=_is_default, reverse=True)
    owner = read_name(name).owner
    tags = frozenset({_TAGS.get(owner, owner)} - {""})
    return first_served(spec, same_model(name, known, tags))


def _is_default(full: str) -> bool:
    architecture, _, tag = full.partition(".")
    config: Any = timm.get_pretrained_cfg(architecture)
    return config is not None and config.tag == tag


def first_served(spec: Callable[[str], ModelSpec], names: Iterable[str]) -> list[str]:
    """The first three of these names that a catalog can serve."""

    def is_served(name: str) -> bool:
        try:
            spec(name)
        except MismatchError:
            return False
        return True

    return list(islice(filter(is_served, names), 3))


def _check_address(name: str) -> None:
    """Refuse an address on the hub, such as ``hf-hub:timm/NAME.TAG``, with the name that stands in it."""
    inner = name.rpartition("/")[2]
    known = inner != name and timm.is_model(inner.partition(".")[0])
    if known or ":" in name:
        here = f", here timm:{inner}" if known else "; a file of your own is taken with --weights"
        raise MismatchError(f"timm:{name} is an address, not a name; vitan takes timm:NAME or timm:NAME.TAG{here}")


def _renamed(architecture: str) -> str:
    """timm's present name of a model that it has renamed, or nothing."""
    tables: dict[str, dict[str, str]] = getattr(_registry, "_module_to_deprecated_models", {})
    return next((names[architecture] for names in tables.values() if names.get(architecture)), "")


def _unknown(name: str, close: list[str]) -> UnknownNameError:
    also = " timm.list_pretrained() names those of timm."
    return UnknownNameError("model", f"timm:{name}", [f"timm:{other}" for other in close], also)


def _sources(config: Any, full: str) -> tuple[WeightSource, ...]:
    """timm's own copy, then the publisher's file, whose keys may or may not be timm's."""
    licence = config.license or "unknown"
    repository = config.hf_hub_id
    repository = f"timm/{full}" if repository.endswith("/") else repository
    copy = HubSource(repo=repository, file=config.hf_hub_filename or "model.safetensors", licence=licence)
    if not isinstance(config.url, str) or not config.url:
        return (copy,)
    return (copy, UrlSource(url=config.url, licence=licence, note="the publisher's file"))


def _head(full: str) -> frozenset[str]:
    """The keys of the classifier, which vitan leaves out."""
    return frozenset(_outline(full).state_dict().keys() - _outline(full, num_classes=0).state_dict().keys())


def _outline(architecture: str, **changes: Any) -> torch.nn.Module:
    """The module without memory for its values."""
    with torch.device("meta"):
        module: torch.nn.Module = timm.create_model(architecture, pretrained=False, **changes)
    return module


def _three(values: tuple[float, ...]) -> tuple[float, float, float]:
    red, green, blue = map(float, values)
    return red, green, blue
