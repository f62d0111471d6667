"""Specs of open_clip's image towers, made from what open_clip knows of them."""

from __future__ import annotations

import difflib
import logging
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import open_clip
from torch import nn

from vitan.anatomy import OPEN_CLIP, TIMM
from vitan.errors import MismatchError, UnknownNameError
from vitan.registry.specs import CheckpointFormat, HubSource, ModelSpec, StateDict, UrlSource, WeightSource
from vitan.registry.spelling import same_model

from ._timm_catalog import check_family, first_served, patch_size

#: Everything but the image tower, by the first part of its keys.
_OTHER_ROOTS = frozenset(
    {"transformer", "token_embedding", "positional_embedding", "ln_final", "text_projection", "logit_scale"}
    | {"logit_bias", "text", "text_decoder", "input_resolution", "context_length", "vocab_size"}
)
_TRUNK = "visual.trunk."
_WEIGHTS, _SAFE_WEIGHTS = "open_clip_pytorch_model.bin", "open_clip_model.safetensors"


def spec(name: str) -> ModelSpec:
    """See ``catalogs.open_clip_model``."""
    _check_address(name)
    architecture, tag = _parted(name)
    config, weights = _configs(architecture, tag)
    vision = config["vision_cfg"]
    size, trunk = _side(vision["image_size"]), vision.get("timm_model_name", "")
    if trunk:
        check_family(trunk)
        patch = patch_size(trunk, size)
    else:
        _check_plain(architecture, tag, config, weights)
        patch = _side(vision["patch_size"])
    prefix = _TRUNK if trunk else "visual."
    return ModelSpec(
        name=f"open_clip:{architecture}/{tag}",
        summary=f"image tower of open_clip's {architecture}, weights {tag}",
        family=tag,
        arch=architecture,
        patch=patch,
        image_size=size,
        mean=weights["mean"],
        std=weights["std"],
        build=partial(build_tower, architecture),
        weights=_sources(weights),
        formats=(CheckpointFormat(name="open_clip", convert=partial(image_tower, prefix=prefix)),),
        taps=TIMM if trunk else OPEN_CLIP,
    )


def build_tower(architecture: str) -> nn.Module:
    """The image tower without weights; where open_clip wraps a timm model, that model."""
    with _quiet():
        visual = open_clip.create_model(architecture, pretrained=None).visual
    tower: nn.Module = getattr(visual, "trunk", visual)
    return tower


@contextmanager
def _quiet() -> Iterator[None]:
    """Without open_clip's warning that there are no weights: they come from vitan."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def image_tower(state: StateDict, *, prefix: str) -> StateDict:
    """What stands under ``prefix``; the text tower and a projection after a timm model are left out.

    Any other key stays, to be refused. Raises ``KeyError`` for a file without such keys.
    """
    wrapper = "module." if all(key.startswith("module.") for key in state) else ""  # of distributed training
    converted, found = {}, False
    for wrapped, value in state.items():
        key = wrapped.removeprefix(wrapper)
        if key.startswith(prefix):
            found = True
        elif key.partition(".")[0] in _OTHER_ROOTS or (prefix == _TRUNK and key.startswith("visual.head.")):
            continue
        converted[key.removeprefix(prefix)] = value
    if not found:
        raise KeyError(f"{prefix}*")
    return converted


def _check_address(name: str) -> None:
    """Refuse what open_clip would go to the network or to a folder for, with the name that stands in it."""
    kind, colon, address = name.partition(":")
    if colon:
        architecture = posixpath.basename(address)
        tags = open_clip.list_pretrained_tags_by_model(architecture)
        here = f", here open_clip:{architecture}/{tags[0]}" if tags else ""
        raise MismatchError(
            f"open_clip:{name} is an address ({kind}), not a name; vitan takes open_clip:ARCHITECTURE/TAG{here}"
        )


def _parted(name: str) -> tuple[str, str]:
    """Architecture and tag; the architecture may hold slashes, which open_clip reads as dashes."""
    architecture, _, tag = name.rpartition("/")
    if name.replace("/", "-") in open_clip.list_models():
        tags = ", ".join(open_clip.list_pretrained_tags_by_model(name.replace("/", "-"))) or "none"
        raise MismatchError(f"open_clip:{name}: say which weights, as in open_clip:{name}/TAG; there are {tags}")
    return architecture.replace("/", "-"), tag


def _configs(architecture: str, tag: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """open_clip's records of the architecture and of the weights; raises ``UnknownNameError``."""
    config = open_clip.get_model_config(architecture)
    if config is None:
        close = [posixpath.join(other, tag) for other in _close(architecture, open_clip.list_models())]
        raise _unknown(architecture, tag, _meant(posixpath.join(architecture, tag)) or close)
    weights = open_clip.get_pretrained_cfg(architecture, tag)
    if not weights:
        known = open_clip.list_pretrained_tags_by_model(architecture)
        raise _unknown(architecture, tag, [f"{architecture}/{other}" for other in _close(tag, known, cutoff=0.0)])
    if "hf_model_name" in config["text_cfg"]:
        raise MismatchError(
            f"open_clip:{architecture}/{tag} has a text tower of another library, without which open_clip does not "
            "build the image tower; choose an architecture of open_clip's own"
        )
    return config, weights


def _check_plain(architecture: str, tag: str, config: Mapping[str, Any], weights: Mapping[str, Any]) -> None:
    if not isinstance(config["vision_cfg"]["layers"], int):
        raise MismatchError(f"open_clip:{architecture} has a ResNet as image tower; vitan reads Vision Transformers")
    built, trained = (bool(known.get("quick_gelu", False)) for known in (config, weights))
    if built != trained:
        twin = architecture.removesuffix("-quickgelu") if built else f"{architecture}-quickgelu"
        raise MismatchError(
            f"open_clip:{architecture}/{tag}: these weights were trained {'with' if trained else 'without'} QuickGELU, "
            f"and {architecture} has {'QuickGELU' if built else 'GELU'}; use open_clip:{twin}/{tag}"
        )


def _sources(weights: Mapping[str, Any]) -> tuple[WeightSource, ...]:
    """The publisher's address, which often holds the file's sha256, then the hub's safetensors or pickle."""
    sources: list[WeightSource] = []
    url = weights.get("url", "")
    if url:
        sources.append(UrlSource(url=url, sha256=_digest(url)))
    repository, file = posixpath.split(weights.get("hf_hub", ""))
    if repository:
        stem = posixpath.splitext(file)[0]
        safe, plain = (f"{stem}.safetensors", file) if file else (_SAFE_WEIGHTS, _WEIGHTS)
        sources += [HubSource(repo=repository, file=each) for each in dict.fromkeys((safe, plain))]
    return tuple(sources)


def _digest(url: str) -> str:
    """OpenAI puts the sha256 before the file's name, open_clip its beginning at the end of the name."""
    folder, file = posixpath.split(url)
    if "openaipublic" in url:
        return posixpath.basename(folder)
    return posixpath.splitext(file)[0].rpartition("-")[2] if "mlfoundations" in url else ""


def _unknown(architecture: str, tag: str, close: Sequence[str]) -> UnknownNameError:
    also = " open_clip.list_pretrained() names those of open_clip."
    meant = [f"open_clip:{other}" for other in close]
    return UnknownNameError("model", f"open_clip:{posixpath.join(architecture, tag)}", meant, also)


def _meant(name: str) -> list[str]:
    """Towers with their weights that a name of another spelling may mean, such as ``siglip-B16``."""
    known = [f"{architecture}/{tag}" for architecture, tag in open_clip.list_pretrained()]
    return first_served(spec, same_model(name, known))


def _close(name: str, known: Sequence[str], cutoff: float = 0.6) -> list[str]:
    return difflib.get_close_matches(name, known, n=3, cutoff=cutoff)


def _side(size: int | Sequence[int]) -> int:
    if isinstance(size, int):
        return size
    rows, columns = size
    if rows != columns:
        raise MismatchError(f"the image tower takes {rows} x {columns} pixels; vitan makes square pictures")
    return rows
