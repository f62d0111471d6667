"""A model, an analysis and a dataset small enough for tests of the engine; also a one-file plugin."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import timm
import torch
from PIL import Image
from torch import Tensor, nn

from vitan import DatasetSpec, ModelSpec, ProbeSpec, hookimpl
from vitan.analysis.accumulators import PerImage, Sum
from vitan.analysis.probe import Probe
from vitan.analysis.records import Record, Result
from vitan.anatomy import ModelInfo
from vitan.data.batch import Batch
from vitan.data.samples import Dataset, Sample
from vitan.engine.job import Job
from vitan.engine.progress import Reporter
from vitan.engine.runner import Outcome, run_model
from vitan.engine.store import Store
from vitan.errors import ImageError
from vitan.options import Options as BaseOptions
from vitan.options import summary
from vitan.registry.names import Provider
from vitan.registry.plugins import Plugins


def build_toy() -> nn.Module:
    """Three blocks on 4 x 4 patches, always the same values."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        module = timm.models.vision_transformer.VisionTransformer(
            img_size=32, patch_size=8, embed_dim=24, depth=3, num_heads=3, num_classes=0
        )
        for parameter in module.parameters():
            nn.init.normal_(parameter, std=0.3)
    return module


TOY = ModelSpec(name="toy-T8", summary="a toy", family="toy", arch="T", patch=8, image_size=32, build=build_toy)


class Pictures(Dataset):
    """Noise, the same for everybody; images named in ``broken`` cannot be read."""

    class Options(BaseOptions):
        """How many pictures, and which of them are broken."""

        count: int = 11
        broken: tuple[int, ...] = ()

    def __len__(self) -> int:
        return int(self.options.count)

    def __getitem__(self, index: int) -> Sample:
        if index in self.options.broken:
            raise ImageError(f"picture-{index}: it is broken")
        pixels = np.random.default_rng(index).integers(0, 255, (40, 50, 3), dtype=np.uint8)
        return Sample(id=f"picture-{index}", image=Image.fromarray(pixels), label=index % 2)

    def fingerprint(self) -> str:
        return f"pictures {self.options.broken}"


class Sharpness(Probe):
    """The largest probability of each query, averaged: a number and a row per image."""

    class Options(BaseOptions):
        """One option that is seen and one that only sums up."""

        power: float = 1.0
        scale: float = summary(1.0, description="multiplies the result")

    taps = frozenset({"attention"})
    forwards: ClassVar[list[tuple[int, ...]]] = []

    def __init__(self, options: Any, model: ModelInfo) -> None:
        super().__init__(options, model)
        self.total, self.rows = Sum(), PerImage()

    def update_block(self, block: int, taps: Mapping[str, Tensor], batch: Batch) -> None:
        if block == 0:
            self.forwards.append(tuple(batch.index))
        value = taps["attention"].float().amax(-1).mean((1, 2)) ** self.options.power  # (image,)
        self.total.add(block, value)
        self.rows.add(block, batch.index, value)

    def compute(self) -> Result:
        values = [float(self.total.mean(block)) * self.options.scale for block in self.model.blocks]
        records = [Record(metric="sharpness", value=v, block=b) for b, v in zip(self.model.blocks, values, strict=True)]
        rows = torch.stack([self.rows.rows(block) for block in self.model.blocks], 1).numpy()
        return Result(
            records=tuple(records),
            arrays={"sharpness": rows},
            axes={"sharpness": ("image", "block")},
            headline=("sharpness",),
        )


class Features(Probe):
    """A second analysis that reads other taps of the same pass."""

    taps = frozenset({"block"})

    def __init__(self, options: Any, model: ModelInfo) -> None:
        super().__init__(options, model)
        self.total = Sum()

    def update_block(self, block: int, taps: Mapping[str, Tensor], batch: Batch) -> None:
        self.total.add(block, taps["block"].float().norm(dim=-1).mean(1))

    def compute(self) -> Result:
        records = (Record(metric="norm", value=float(self.total.mean(b)), block=b) for b in self.model.blocks)
        return Result(records=tuple(records))


def build_shallow() -> nn.Module:
    """The same with only its first two blocks."""
    module = build_toy()
    module.blocks = module.blocks[:2]
    return module


SHALLOW = replace(TOY, name="toy-shallow-T8", build=build_shallow)


@hookimpl
def vitan_models() -> Iterable[ModelSpec]:
    yield TOY
    yield SHALLOW


@hookimpl
def vitan_probes() -> Iterable[ProbeSpec]:
    yield ProbeSpec(name="sharpness", summary="how peaked attention is", load=lambda: Sharpness)
    yield ProbeSpec(name="norms", summary="how long tokens are", load=lambda: Features)


@hookimpl
def vitan_datasets() -> Iterable[DatasetSpec]:
    yield DatasetSpec(name="pictures", summary="noise", load=lambda: Pictures, offers=frozenset({"label"}))


def toy_plugins() -> Plugins:
    """A registry of toys alone."""
    import toys

    plugins = Plugins()
    plugins.register(Provider("toys", "1.0"), "toys", toys)
    return plugins


def outcomes_of(job: Job, index: int, store: Store, reporter: Reporter) -> tuple[Outcome, ...]:
    """The outcomes of a model of which every analysis succeeds; raises the error of the first that does not."""
    run = run_model(job, index, store, reporter)
    for failure in run.failures:
        raise failure.error
    return run.outcomes
