"""vitan: what does this Vision Transformer do, where in its layers, and how does its training matter?"""

from .registry.hooks import hookimpl
from .registry.specs import (
    CheckpointFormat,
    DatasetSpec,
    HubSource,
    Imported,
    ImporterSpec,
    Metric,
    ModelCatalog,
    ModelSpec,
    PackageSource,
    ProbeSpec,
    UrlSource,
)

__version__ = "0.1.0"

__all__ = [
    "CheckpointFormat",
    "DatasetSpec",
    "HubSource",
    "Imported",
    "ImporterSpec",
    "Metric",
    "ModelCatalog",
    "ModelSpec",
    "PackageSource",
    "ProbeSpec",
    "UrlSource",
    "__version__",
    "hookimpl",
]
