"""What the roots of datasets may be called below ``VITAN_DATA_DIR``; nothing heavy is imported for it."""

from __future__ import annotations

COCO = ("coco", "COCO", "coco2017", "COCO2017", "mscoco")
DAVIS2017 = ("DAVIS", "davis2017", "DAVIS2017")
IMAGENET = ("imagenet", "ImageNet", "ILSVRC2012", "ILSVRC/Data/CLS-LOC")
IMAGENET50 = tuple(f"{name}/train" for name in IMAGENET)
PARTIMAGENET = ("PartImageNet", "partimagenet", "PartImageNet_OOD", "PartImageNet_Seg")
SPAIR71K = ("SPair-71k", "spair71k", "SPair71k", "spair")


def revisited(name: str) -> tuple[str, ...]:
    """Of ``roxford5k`` and ``rparis6k``."""
    return (name, f"revisited/{name}")
