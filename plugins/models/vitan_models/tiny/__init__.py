"""The zoo that comes with vitan: one tiny ViT, trained in six ways on the drawn world of ``shapes``.

All six began with the same weights, which are those of ``tiny-random``. They were trained by the repository's folder
``zoo``, which also wrote ``cards.json`` beside this file: how each was trained, and what came of it.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitan import ModelCatalog, ModelSpec, hookimpl
from vitan.errors import UnknownNameError
from vitan.registry.specs import FileSource

from ..vit import HALVES, FamilyLook

if TYPE_CHECKING:
    from timm.models.vision_transformer import VisionTransformer

SIZE, PATCH, WIDTH, DEPTH, HEADS = 64, 8, 96, 6, 4
MEAN = STD = HALVES

#: What ``python -m zoo finish`` writes: the cards, and the files that they speak of.
CARDS, WEIGHTS = Path(__file__).with_name("cards.json"), Path(__file__).with_name("weights")


@dataclass(frozen=True)
class _Kind:
    """The family of a model, how figures draw it (as its published models, but called tiny), and how it was trained."""

    family: str
    look: FamilyLook
    training: str
    paper: str = ""


_KINDS = {
    "supervised": _Kind("timm", FamilyLook("FS (tiny)", "#8b2323", "s"), "supervised", "arXiv:2106.10270"),
    "clip": _Kind(
        "clip", FamilyLook("CLIP (tiny)", "#ff4040", "D"), "pictures and captions (CLIP)", "arXiv:2103.00020"
    ),
    "dino": _Kind("dino", FamilyLook("DINO (tiny)", "#196419", "^"), "self-distillation (DINO)", "arXiv:2104.14294"),
    "moco": _Kind("moco", FamilyLook("MoCo (tiny)", "#59cd59", "v"), "contrastive (MoCo-v3)", "arXiv:2104.02057"),
    "mae": _Kind("mae", FamilyLook("MAE (tiny)", "#4040ff", "h"), "masked autoencoder (MAE)", "arXiv:2111.06377"),
    "beit": _Kind("beit", FamilyLook("BEiT (tiny)", "#34ced1", "o"), "masked words (BEiT)", "arXiv:2106.08254"),
    "random": _Kind("random", FamilyLook("Random (tiny)", "#ff40ff", "x"), "untrained: what the others began with"),
}
_WHAT = f"ViT of {DEPTH} blocks, patch {PATCH} at {SIZE} px"


@hookimpl
def vitan_models() -> Iterator[ModelSpec | ModelCatalog]:
    """The untrained twin, whatever has a card, and the same models earlier in their training."""
    yield _spec("tiny-random", "random")
    for name, card in cards().items():
        yield _trained(name, card, "end")
    yield ModelCatalog(
        name="tiny",
        summary="the tiny models after a tenth of their training, as NAME-tenth",
        example="tiny:dino-tenth",
        spec=_earlier,
    )


def cards() -> dict[str, dict[str, Any]]:
    """How each model was trained and what came of it, by name; empty before the first is finished."""
    if not CARDS.exists():
        return {}
    found: dict[str, dict[str, Any]] = json.loads(CARDS.read_text(encoding="utf-8"))["models"]
    return found


def build(**changes: Any) -> VisionTransformer:
    """The architecture, with the weights that all trainings begin with; ``changes`` are arguments of timm's class."""
    import torch
    from timm.models.vision_transformer import VisionTransformer

    from ..random import initialise

    with torch.random.fork_rng(devices=[]):
        model = VisionTransformer(
            img_size=SIZE,
            patch_size=PATCH,
            embed_dim=WIDTH,
            depth=DEPTH,
            num_heads=HEADS,
            num_classes=0,
            **changes,
        )
    initialise(model, narrow=True)
    return model


def _earlier(name: str) -> ModelSpec:
    """``dino-tenth`` and its like. Raises ``UnknownNameError`` for any other name."""
    known = {f"{model}-tenth": (model, card) for model, card in cards().items()}
    if name not in known:
        close = difflib.get_close_matches(name, known, n=2)
        raise UnknownNameError("model", f"tiny:{name}", [f"tiny:{each}" for each in close])
    return _trained(*known[name], "tenth")


def _trained(name: str, card: dict[str, Any], when: str) -> ModelSpec:
    file = card["files"][when]
    source = FileSource(path=WEIGHTS / file["name"], sha256=file["sha256"], size=file["size"], licence="MIT, as vitan")
    if when == "end":
        return _spec(f"tiny-{name}", name, source)
    return _spec(f"tiny:{name}-{when}", name, source, after=f", after {file['step']} of {card['steps']} steps")


def _spec(called: str, name: str, *weights: FileSource, after: str = "") -> ModelSpec:
    kind = _KINDS[name]
    return ModelSpec(
        name=called,
        summary=f"{_WHAT}, {kind.training}{' on drawn pictures' if weights else ''}{after}",
        family=kind.family,
        arch="T",
        patch=PATCH,
        image_size=SIZE,
        mean=MEAN,
        std=STD,
        build=build,
        weights=weights,
        paper=kind.paper,
        label=kind.look.label,
        colour=kind.look.colour,
        marker=kind.look.marker,
        embedded=True,
        home="shapes",
        untrained=name == "random",
    )
