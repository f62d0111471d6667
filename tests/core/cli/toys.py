"""A plugin in one file for the tests of the command line: tiny models, a probe and a dataset."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from vitan import DatasetSpec, ModelCatalog, ModelSpec, ProbeSpec, UrlSource, hookimpl

if TYPE_CHECKING:
    from torch import nn

    from vitan.analysis.probe import Probe
    from vitan.data.samples import Dataset


def _vit(depth: int, seed: int) -> nn.Module:
    import torch
    from timm.models.vision_transformer import VisionTransformer

    torch.manual_seed(seed)
    return VisionTransformer(img_size=32, patch_size=8, embed_dim=16, depth=depth, num_heads=2, num_classes=0)


def _broken() -> nn.Module:
    from vitan.errors import WeightsFormatError

    raise WeightsFormatError("these weights are broken on purpose")


def _model(name: str, seed: int = 0, **more: Any) -> ModelSpec:
    about: dict[str, Any] = {
        "summary": "two small blocks",
        "family": "toy",
        "arch": "ViT-Toy",
        "patch": 8,
        "image_size": 32,
        "build": lambda: _vit(2, seed),
    }
    return ModelSpec(name=name, **{**about, **more})


def _mean_probe() -> type[Probe]:
    from typing import Literal

    from pydantic import Field

    from vitan.analysis.accumulators import Sum
    from vitan.analysis.probe import Probe
    from vitan.analysis.records import Record, Result
    from vitan.options import Options, summary

    class MeanOptions(Options):
        mass: float = summary(0.6, gt=0, le=1, description="share of the attention that counts")
        kind: Literal["plain", "squared"] = Field("plain", description="what is averaged")
        only: tuple[int, ...] = Field((), description="keep these heads")
        shout: bool = Field(False, description="say it loudly")
        cap: int | None = Field(None, ge=1, description="at most so many")
        limit: int = Field(3, description="shares its name with an option of the command")

    class Mean(Probe):
        """The mean of what a block puts out.

        Nothing that anyone would publish.
        """

        Options = MeanOptions
        taps = frozenset({"block"})

        def __init__(self, options: Any, model: Any) -> None:
            super().__init__(options, model)
            self.means = Sum()

        def update_block(self, block: int, taps: Any, batch: Any) -> None:
            self.means.add(block, taps["block"].float().mean((1, 2)))

        def compute(self) -> Result:
            def record(metric: str, value: float, block: int | None, **more: Any) -> Record:
                return Record(metric=metric, value=value, block=block, **more)

            records = [record("mean", float(self.means.mean(b)), b, unit="au") for b in range(2) if self.means.count(b)]
            records += [record("mean", 99.0, b, head=0) for b in range(2) if self.means.count(b)]
            records += [record("mass", self.options.mass, None), record("cap", self.options.cap or -1, None)]
            records += [record("heads", sum(self.options.only), None), record("shout", float(self.options.shout), None)]
            return Result(records=tuple(records), headline=("mean", "mass"))

    return Mean


def _other_probe() -> type[Probe]:
    from pydantic import Field

    from vitan.options import Options

    class OtherOptions(Options):
        mass: float = Field(0.5, gt=0, le=1, description="another mass")

    class Other(_mean_probe()):
        """The same again."""

        Options = OtherOptions

        def compute(self) -> Any:
            from vitan.analysis.records import Record, Result

            return Result(records=(Record(metric="other", value=self.options.mass, block=0),), headline=("other",))

    return Other


def _needy_probe() -> type[Probe]:
    class Needy(_mean_probe()):
        """Needs masks."""

        needs = frozenset({"masks"})

    return Needy


def _draw() -> Any:
    def draw(drawables: Any) -> Iterator[Any]:
        import numpy as np

        from vitan.analysis.figures import Picture

        yield Picture(name="overview" if len(drawables) == 1 else "models", pixels=np.zeros((4, 4, 3), np.uint8))

    return draw


def _files() -> Any:
    def make_files(drawable: Any) -> Iterator[Any]:
        from vitan.analysis.figures import File

        yield File(name="official/table.csv", content=drawable.model.name.encode())

    return make_files


def _dots() -> type[Dataset]:
    from PIL import Image
    from pydantic import Field

    from vitan.data.samples import Dataset, Sample
    from vitan.errors import ImageError
    from vitan.options import Options

    class DotsOptions(Options):
        n: int = Field(6, ge=0, le=400, description="how many pictures")
        bad: int = Field(-1, description="the picture that cannot be read")

    class Dots(Dataset):
        Options = DotsOptions

        def __len__(self) -> int:
            return int(self.options.n)

        def __getitem__(self, index: int) -> Sample:
            if index == self.options.bad:
                raise ImageError(f"dot{index}.png: cannot be read")
            return Sample(id=f"dot{index}", image=Image.new("RGB", (40, 40), (index * 5, 0, 90)))

        def fingerprint(self) -> str:
            return f"dots {self.options.n} {self.options.bad}"

    return Dots


def _catalog(name: str) -> ModelSpec:
    from vitan.errors import MismatchError

    if name != "tiny":
        raise MismatchError(f"toys have no {name!r}")
    return _model("toys-tiny", 7)


@hookimpl
def vitan_models() -> Iterator[ModelSpec | ModelCatalog]:
    source = UrlSource(url="https://example.org/toy.pth", size=1_500_000, licence="MIT", sha256="0" * 64)
    yield _model("toy-A8", aliases=("toya",), paper="a paper about toys")
    yield _model("toy-B8", 1)
    yield _model("toy-broken", build=_broken)
    yield _model("toy-W8", weights=(source,))
    yield ModelCatalog(name="toys", summary="a shelf of toys", example="toys:tiny", spec=_catalog)


def _anchors() -> Iterator[tuple[str, float, float, float]]:
    yield "two and two", 4.0, 2.0 + 2.0, 1e-9


@hookimpl
def vitan_probes() -> Iterator[ProbeSpec]:
    yield ProbeSpec(
        name="mean",
        summary="mean of a block",
        load=_mean_probe,
        figures=_draw,
        files=_files,
        anchors=_anchors,
        paper="nobody, 2020",
    )
    yield ProbeSpec(name="other", summary="something else", load=_other_probe)
    yield ProbeSpec(name="needy", summary="needs masks", load=_needy_probe)


@hookimpl
def vitan_datasets() -> Iterator[DatasetSpec]:
    yield DatasetSpec(name="dots", summary="dark dots", load=_dots, files="no files", licence="CC0-1.0")
