"""The tensors of an ONNX file, and those of the saliency model in the keys of timm's ``vit_small_patch14_dinov2``.

This module stays light (torch and onnx are imported when a file is read), so the plugin may import it at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vitan.errors import WeightsFormatError

if TYPE_CHECKING:
    from torch import Tensor

    from vitan.registry.specs import StateDict

_STEM = {
    "cls_token": "embeddings.cls_token",
    "patch_embed.proj.weight": "embeddings.patch_embeddings.projection.weight",
    "patch_embed.proj.bias": "embeddings.patch_embeddings.projection.bias",
    "norm.weight": "layernorm.weight",
    "norm.bias": "layernorm.bias",
}
_VECTORS = {
    "norm1.weight": "norm1.weight",
    "norm1.bias": "norm1.bias",
    "attn.proj.bias": "attention.output.dense.bias",
    "ls1.gamma": "layer_scale1.lambda1",
    "norm2.weight": "norm2.weight",
    "norm2.bias": "norm2.bias",
    "mlp.fc1.bias": "mlp.fc1.bias",
    "mlp.fc2.bias": "mlp.fc2.bias",
    "ls2.gamma": "layer_scale2.lambda1",
}
_MATRICES = {
    "attn.proj.weight": "attention.output.dense.MatMul",
    "mlp.fc1.weight": "mlp.fc1.MatMul",
    "mlp.fc2.weight": "mlp.fc2.MatMul",
}
#: How the parts of a matrix of integers are called after it: (q - zero) * scale, column by column.
_INTEGERS, _ZERO, _SCALE = "_quantized", "_zero_point", "_scale"


def read(path: Path) -> dict[str, Tensor]:
    """All tensors of an ONNX file.

    An exporter that folds constants leaves tensors without a name of their own (``onnx::MatMul_1966``); such a tensor
    goes by the name of the node that uses it, in dots (``backbone.encoder.layer.0.mlp.fc1.MatMul``). A matrix that is
    stored as integers, with a scale and a zero point, comes back as the floats that it stands for.

    Raises ``WeightsFormatError`` for a file that is not ONNX.
    """
    import onnx
    import torch
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        graph = onnx.load(path, load_external_data=False).graph
    except DecodeError as error:
        raise WeightsFormatError(f"{path}: not an ONNX file ({error})") from error
    users = {name: node.name.strip("/").replace("/", ".") for node in graph.node for name in node.input}
    stored = {tensor.name: torch.from_numpy(onnx.numpy_helper.to_array(tensor).copy()) for tensor in graph.initializer}
    tensors = {}
    for name, tensor in stored.items():
        base = name.removesuffix(_INTEGERS)
        if base != name and base + _SCALE in stored:
            steps = tensor.float() - stored[base + _ZERO].float()
            tensors[users[name].removesuffix("_quant")] = steps * stored[base + _SCALE]
        elif not name.endswith((_SCALE, _ZERO)):
            tensors[users.get(name, name) if name.startswith("onnx::") else name] = tensor
    return tensors


def convert(tensors: StateDict, side: int = 16) -> StateDict:
    """The backbone in timm's keys, for a grid of ``side`` x ``side`` patches; the saliency decoder is left out.

    Raises ``KeyError`` if a tensor of the backbone is not there.
    """
    import torch

    part = {key.removeprefix("backbone."): value for key, value in tensors.items() if key.startswith("backbone.")}
    state = {ours: part[theirs] for ours, theirs in _STEM.items()}
    of_patches = resize_positions(part["embeddings.Reshape_1"], side)
    state["pos_embed"] = torch.cat([part["embeddings.Concat_6"], of_patches], dim=1)  # (1, 1 + side * side, channel)
    depth = sum(key.endswith("layer_scale1.lambda1") for key in part)
    for block in range(depth):
        here, there = f"blocks.{block}.", f"encoder.layer.{block}."
        for ours, theirs in _VECTORS.items():
            state[here + ours] = part[there + theirs]
        for ours, theirs in _MATRICES.items():
            state[here + ours] = part[there + theirs].T.contiguous()  # ONNX multiplies from the right
        projections = [f"{there}attention.attention.{name}." for name in ("query", "key", "value")]
        state[here + "attn.qkv.weight"] = torch.cat([part[name + "MatMul"].T for name in projections])
        state[here + "attn.qkv.bias"] = torch.cat([part[name + "bias"] for name in projections])
    return state


def resize_positions(table: Tensor, side: int) -> Tensor:
    """A square table of patch positions (1, n * n, channel) for another grid: (1, side * side, channel).

    Plain bicubic (a = -0.75, half-pixel centres, no antialias), which is what the published graph does at every call.
    On photographs this agrees with that graph to 3e-5. An antialiased resize, as timm's own is, would give another
    model: it moves the final tokens by about 1.
    """
    from torch.nn import functional as F

    n = int(table.shape[1] ** 0.5)
    grid = table.reshape(1, n, n, -1).permute(0, 3, 1, 2)  # (1, channel, row, column)
    resized = F.interpolate(grid, size=(side, side), mode="bicubic", align_corners=False, antialias=False)
    return resized.permute(0, 2, 3, 1).reshape(1, side * side, -1)
