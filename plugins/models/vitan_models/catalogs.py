"""Every plain Vision Transformer of timm and of open_clip, by its name there."""

from __future__ import annotations

from collections.abc import Iterator

from vitan import ModelCatalog, ModelSpec, hookimpl


@hookimpl
def vitan_models() -> Iterator[ModelCatalog]:
    """Two catalogs; neither library is imported before a model of it is asked for."""
    yield ModelCatalog(
        name="timm",
        summary="plain Vision Transformers of timm, as NAME or NAME.TAG",
        example="timm:vit_small_patch14_dinov2.lvd142m",
        spec=timm_model,
    )
    yield ModelCatalog(
        name="open_clip",
        summary="image towers of open_clip, as ARCHITECTURE/TAG",
        example="open_clip:ViT-B-32/laion2b_s34b_b79k",
        spec=open_clip_model,
    )


def timm_model(name: str) -> ModelSpec:
    """The timm model of that name; without a tag, the tag that timm takes by default.

    Raises ``UnknownNameError`` for a name or tag that timm does not have, and ``MismatchError`` for an architecture
    that is no plain Vision Transformer and for weights that vitan cannot load.
    """
    from ._timm_catalog import spec

    return spec(name)


def open_clip_model(name: str) -> ModelSpec:
    """The image tower of open_clip's ``ARCHITECTURE/TAG``.

    Raises ``UnknownNameError`` for what open_clip does not have, and ``MismatchError`` for towers that are no plain
    Vision Transformer and for weights that were trained with another activation than the architecture's.
    """
    from ._open_clip_catalog import spec

    return spec(name)
