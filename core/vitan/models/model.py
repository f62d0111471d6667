"""A model ready to be looked into."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor, nn

from ..anatomy import TIMM, ModelInfo, TapMap, select_blocks
from ..errors import MismatchError, RecordingError
from ..files import offline_since, part_of_file, slug
from ..registry.specs import ModelSpec
from .layout import check_patch, describe, find_blocks, find_layout
from .reading import Images, Reading, numbers_of, pixels_of
from .recorder import OnBlock, Recorder
from .weights import Fitted, Progress, file_sha256, fit, locate, state_sha256


@dataclass(frozen=True, kw_only=True)
class Model:
    """A module with its weights, and what the engine knows of it.

    ``tensors`` is the sha256 of the loaded parameters and buffers, ``digest`` that of the file they came from (the same
    as ``tensors`` where there is no file); ``origin`` says in words where the weights came from, and ``fitted`` which
    part of the file was taken and what was left (None where there is no file).
    """

    spec: ModelSpec
    module: nn.Module
    info: ModelInfo
    taps: TapMap
    tensors: str
    digest: str
    origin: str
    fitted: Fitted | None = None

    def record(
        self, wanted: Mapping[int, Collection[str]], on_block: OnBlock, *, images: Sequence[str] = ()
    ) -> Recorder:
        """A context in which ``forward`` hands the wanted taps to ``on_block``; see ``Recorder``."""
        return Recorder(self.module, self.taps, wanted, on_block, images=images)

    def forward(self, pixels: Tensor) -> Tensor:
        """Run the model on normalised pixels (batch, 3, height, width), on its device and in its dtype."""
        parameter = next(self.module.parameters(), torch.empty(0))
        with torch.inference_mode():
            out = self.module(pixels.to(parameter.device, parameter.dtype))
        return out[0] if isinstance(out, tuple) else out  # type: ignore[no-any-return]

    def read(
        self,
        images: Images,
        *,
        taps: Sequence[str] = ("block",),
        blocks: str | Sequence[int | str] | None = None,
        view: str = "crop",
        batch_size: int = 8,
    ) -> Reading:
        """What the model holds inside while it looks at images: a tensor for each block and tap, on the CPU.

        ``images`` are pictures, files or uint8 arrays, laid out through ``view``, or a tensor of normalised pixels
        (image, 3, height, width). ``blocks`` are numbers or words; those that were loaded unless given. All of it is
        held in memory: a run with an analysis of one's own is for what is larger.

        Raises ``MismatchError`` for taps, blocks and pixels that do not fit, ``ImageError`` for a picture that cannot
        be read, and ``RecordingError`` for what cannot be read faithfully.
        """
        chosen = self.info.blocks if blocks is None else numbers_of(blocks, self.info.depth)
        wanted = dict.fromkeys(chosen, tuple(taps))
        parts: dict[tuple[int, str], list[Tensor]] = {(block, tap): [] for block in chosen for tap in taps}

        def keep(block: int, caught: Mapping[str, Tensor]) -> None:
            for tap, tensor in caught.items():
                parts[block, tap].append(tensor.to("cpu", copy=True))

        pixels, checked = pixels_of(images, self.spec, view), False
        while batch := list(islice(pixels, max(1, batch_size))):
            stacked = torch.stack(batch)  # (image, 3, height, width)
            if not checked:
                self.check_recording(wanted, stacked[:1])
                checked = True
            with self.record(wanted, keep):
                self.forward(stacked)
        if not checked:
            raise MismatchError("there are no images to read")
        return Reading({key: torch.cat(tensors) for key, tensors in parts.items()}, self.info.depth)

    def check_recording(
        self,
        wanted: Mapping[int, Collection[str]],
        pixels: Tensor,
        on_block: OnBlock = lambda *_: None,
        *,
        images: Sequence[str] = (),
    ) -> None:
        """Run with and without recording; ``on_block`` sees what was recorded, ``images`` names the pixels' rows.

        Raises ``RecordingError`` if that changed one bit of the output, if an attention map is not one between the
        tokens or not the one that the module used, or if a block gave a value that is not finite.
        """

        def check(block: int, taps: Mapping[str, Tensor]) -> None:
            self._check_attention(block, taps)
            on_block(block, taps)

        plain = self.forward(pixels)
        try:
            with Recorder(self.module, self.taps, wanted, check, images=images, checking=True):
                recorded = self.forward(pixels)
        except RecordingError as error:
            shown = f" (seen at {images[0]})" if images and images[0] not in str(error) else ""
            raise RecordingError(f"{self.info.name}: {error}{shown}") from error
        if not torch.allclose(recorded, plain, rtol=0, atol=0, equal_nan=True):
            off = float((recorded.float() - plain.float()).abs().max() / plain.float().abs().max().clamp(min=1e-12))
            raise RecordingError(
                f"recording {self.info.name} changed its output by {off:.1e} of its largest value; "
                "the numbers would not be this model's. Please report the architecture."
            )

    def _check_attention(self, block: int, taps: Mapping[str, Tensor]) -> None:
        tokens = len(self.info.layout)
        expected = (self.info.heads, tokens, tokens)
        if "attention" in taps and tuple(taps["attention"].shape[1:]) != expected:
            raise RecordingError(
                f"the attention of block {block} of {self.info.name} has shape {tuple(taps['attention'].shape[1:])}, "
                f"where (head, query, key) = {expected} was expected; it is not attention between the tokens"
            )


def as_built(spec: ModelSpec, blocks: Sequence[str] = ("all",)) -> Model:
    """A model with the values that ``build`` gave it.

    Raises ``MismatchError`` for modules that are no Vision Transformer, for blocks that it does not have, and for a
    patch that is not the module's.
    """
    module = spec.build().eval().requires_grad_(False)
    taps = spec.taps or TIMM
    find_blocks(module, taps)
    depth, heads, dim = describe(module, taps)
    layout = spec.tokens(module) if spec.tokens else find_layout(module, spec.image_size)
    check_patch(spec.patch, spec.image_size, layout)
    info = ModelInfo(
        name=spec.name,
        family=spec.family,
        arch=spec.arch,
        patch=spec.patch,
        image_size=spec.image_size,
        depth=depth,
        heads=heads,
        dim=dim,
        layout=layout,
        blocks=select_blocks(blocks, depth),
        label=spec.label,
        colour=spec.colour,
        marker=spec.marker,
    )
    origin = "as built, from no file"
    return Model(spec=spec, module=module, info=info, taps=taps, tensors="", digest="", origin=origin)


def load_model(
    spec: ModelSpec,
    *,
    weights: Path | None = None,
    blocks: Sequence[str] = ("all",),
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
    progress: Progress | None = None,
) -> Model:
    """Build a model and load its weights strictly, from ``weights`` or from the first of its sources that can be had.

    ``weights`` is a file, or a file, ``::`` and the address of the part of it that is meant.

    Raises ``WeightsError`` for weights that are not there or do not fit, and what ``as_built`` raises.
    """
    if weights is None and spec.weights and offline_since():
        locate(spec)  # what cannot be had is said before anything is built
    model = as_built(spec, blocks)
    if weights is not None:
        model = _with_own_weights(model, weights)
    elif spec.weights:
        located = locate(spec, progress=progress)
        path, fitted = located.path, fit(model.module, spec, located.path, located.key)
        model = replace(model, digest=file_sha256(path), origin=f"{path.name} ({fitted})", fitted=fitted)
    tensors = state_sha256(model.module)
    model.module.to(device=device, dtype=dtype)
    return replace(model, tensors=tensors, digest=model.digest or tensors)


def _with_own_weights(model: Model, named: Path) -> Model:
    """Weights that the user gave, as ``FILE`` or ``FILE::KEY``; the model's name then says which."""
    path, key = part_of_file(named)
    fitted, digest = fit(model.module, model.spec, path, key), file_sha256(path)
    part = f"-{slug(key)}" if key else ""
    info = replace(model.info, name=f"{model.spec.name}@{path.stem}{part}-{digest[:6]}")
    origin = f"{path.name} ({fitted}), given by the user"
    return replace(model, info=info, digest=digest, origin=origin, fitted=fitted)
