"""vitan as a library: run analyses, read results back, look inside a model. The command line is its first client.

    >>> import vitan
    >>> found = vitan.run("attention", models=["dino-B16", "mae-B16"], dataset="samples", limit=16)
    >>> found["attention", "dino-B16"].arrays["attention-distance"].shape  # (image, block, head)
    >>> found.frame(metric="entropy")
    >>> vitan.load_results("results", analysis="cka")

What is heavy is imported when it is needed; reading results back needs no torch.
"""

from __future__ import annotations

from .looking import (
    best_blocks,
    compare,
    list_analyses,
    list_datasets,
    list_models,
    load_dataset,
    load_model,
    load_results,
    report,
    stored_states,
)
from .plans import check, dataset_named, explain, make_plan, read_plan
from .running import default_dataset, make_share, run, run_plan, verify_device

__all__ = [
    "best_blocks",
    "check",
    "compare",
    "dataset_named",
    "default_dataset",
    "explain",
    "list_analyses",
    "list_datasets",
    "list_models",
    "load_dataset",
    "load_model",
    "load_results",
    "make_plan",
    "make_share",
    "read_plan",
    "report",
    "run",
    "run_plan",
    "stored_states",
    "verify_device",
]
