"""vitan: what does this Vision Transformer do, where in its layers, and how does its training matter?

Everything public is here, and imported when it is first used: what runs and reads (``run``, ``load_results`` ...), and
what authors of plugins write with (``Probe``, ``ModelSpec`` ...).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .version import __version__ as __version__

if TYPE_CHECKING:
    from .analysis.accumulators import PerImage as PerImage
    from .analysis.accumulators import Ragged as Ragged
    from .analysis.accumulators import Sum as Sum
    from .analysis.figures import Animation as Animation
    from .analysis.figures import Drawable as Drawable
    from .analysis.figures import File as File
    from .analysis.figures import Picture as Picture
    from .analysis.figures import Plot as Plot
    from .analysis.probe import Batching as Batching
    from .analysis.probe import Probe as Probe
    from .analysis.probe import Recording as Recording
    from .analysis.recordings import Labels as Labels
    from .analysis.recordings import Pooled as Pooled
    from .analysis.recordings import Roles as Roles
    from .analysis.records import Record as Record
    from .analysis.records import Result as Result
    from .anatomy import ModelInfo as ModelInfo
    from .anatomy import TapMap as TapMap
    from .anatomy import TokenLayout as TokenLayout
    from .api import best_blocks as best_blocks
    from .api import check as check
    from .api import compare as compare
    from .api import list_analyses as list_analyses
    from .api import list_datasets as list_datasets
    from .api import list_models as list_models
    from .api import load_dataset as load_dataset
    from .api import load_model as load_model
    from .api import load_results as load_results
    from .api import make_share as make_share
    from .api import report as report
    from .api import run as run
    from .api import run_plan as run_plan
    from .data.batch import Batch as Batch
    from .data.preparation import Preparation as Preparation
    from .data.samples import Dataset as Dataset
    from .data.samples import Sample as Sample
    from .engine.plan import Plan as Plan
    from .errors import VitanError as VitanError
    from .options import Options as Options
    from .options import summary as summary
    from .registry.executors import Ended as Ended
    from .registry.executors import Executor as Executor
    from .registry.executors import Task as Task
    from .registry.executors import Word as Word
    from .registry.hooks import hookimpl as hookimpl
    from .registry.specs import CheckpointFormat as CheckpointFormat
    from .registry.specs import DatasetSpec as DatasetSpec
    from .registry.specs import ExecutorSpec as ExecutorSpec
    from .registry.specs import FileSource as FileSource
    from .registry.specs import HubSource as HubSource
    from .registry.specs import Imported as Imported
    from .registry.specs import ImporterSpec as ImporterSpec
    from .registry.specs import Metric as Metric
    from .registry.specs import ModelCatalog as ModelCatalog
    from .registry.specs import ModelSpec as ModelSpec
    from .registry.specs import PackageSource as PackageSource
    from .registry.specs import ProbeSpec as ProbeSpec
    from .registry.specs import RecipeSpec as RecipeSpec
    from .registry.specs import UrlSource as UrlSource
    from .results.results import Results as Results

#: Where each public name lives.
_HOMES = {
    "api": (
        *("best_blocks", "check", "compare", "list_analyses", "list_datasets", "list_models"),
        *("load_dataset", "load_model", "load_results", "make_share", "report", "run", "run_plan"),
    ),
    "analysis.accumulators": ("PerImage", "Ragged", "Sum"),
    "analysis.figures": ("Animation", "Drawable", "File", "Picture", "Plot"),
    "analysis.probe": ("Batching", "Probe", "Recording"),
    "analysis.recordings": ("Labels", "Pooled", "Roles"),
    "analysis.records": ("Record", "Result"),
    "anatomy": ("ModelInfo", "TapMap", "TokenLayout"),
    "data.batch": ("Batch",),
    "data.preparation": ("Preparation",),
    "data.samples": ("Dataset", "Sample"),
    "engine.plan": ("Plan",),
    "errors": ("VitanError",),
    "options": ("Options", "summary"),
    "registry.executors": ("Ended", "Executor", "Task", "Word"),
    "registry.hooks": ("hookimpl",),
    "registry.specs": (
        *(
            "CheckpointFormat",
            "DatasetSpec",
            "ExecutorSpec",
            "FileSource",
            "HubSource",
            "Imported",
            "ImporterSpec",
            "Metric",
        ),
        *("ModelCatalog", "ModelSpec", "PackageSource", "ProbeSpec", "RecipeSpec", "UrlSource"),
    ),
    "results.results": ("Results",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted([*_HOME_OF, "__version__"])  # the names above, in order


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'vitan' has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME_OF[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
