"""The converter, on a made-up ONNX file of two blocks in the original's naming."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import timm
import torch
from onnx import helper, numpy_helper

from vitan.errors import WeightsFormatError, WeightsMismatchError
from vitan.models.weights import fit
from vitan.registry.specs import CheckpointFormat, ModelSpec
from vitan_saliency.onnx_weights import convert, read, resize_positions

DIM, DEPTH, SIDE = 8, 2, 4
MATRICES = {
    "attention/attention/query": (DIM, DIM),
    "attention/attention/key": (DIM, DIM),
    "attention/attention/value": (DIM, DIM),
    "attention/output/dense": (DIM, DIM),
    "mlp/fc1": (DIM, 4 * DIM),
    "mlp/fc2": (4 * DIM, DIM),
}
VECTORS = ("norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias", "layer_scale1.lambda1", "layer_scale2.lambda1")


def write_onnx(path: Path) -> dict[str, np.ndarray]:
    """Write the file; returns what it holds, with nameless tensors under their node's path."""
    random = np.random.default_rng(0)
    values: dict[str, np.ndarray] = {}
    tensors, nodes = [], []

    def put(name: str, shape: tuple[int, ...]) -> None:
        values[name] = random.standard_normal(shape).astype(np.float32)
        tensors.append(numpy_helper.from_array(values[name], name))

    def put_nameless(operator: str, path_: str, shape: tuple[int, ...]) -> None:
        values[path_] = random.standard_normal(shape).astype(np.float32)
        name = f"onnx::{operator}_{len(tensors)}"
        tensors.append(numpy_helper.from_array(values[path_], name))
        nodes.append(helper.make_node(operator, ["given", name], [f"{path_}_output"], name=path_))

    put("backbone.embeddings.cls_token", (1, 1, DIM))
    put("backbone.embeddings.patch_embeddings.projection.weight", (DIM, 3, 14, 14))
    put("backbone.embeddings.patch_embeddings.projection.bias", (DIM,))
    put_nameless("Concat", "/backbone/embeddings/Concat_6", (1, 1, DIM))
    put_nameless("Reshape", "/backbone/embeddings/Reshape_1", (1, SIDE * SIDE, DIM))
    for block in range(DEPTH):
        for vector in VECTORS:
            put(f"backbone.encoder.layer.{block}.{vector}", (DIM,))
        for matrix, shape in MATRICES.items():
            put(f"backbone.encoder.layer.{block}.{matrix.replace('/', '.')}.bias", shape[1:])
            put_nameless("MatMul", f"/backbone/encoder/layer.{block}/{matrix}/MatMul", shape)
    put("backbone.layernorm.weight", (DIM,))
    put("backbone.layernorm.bias", (DIM,))
    put("decoder.final_conv.weight", (1, DIM, 1, 1))
    onnx.save(helper.make_model(helper.make_graph(nodes, "made-up", [], [], tensors)), path)
    return values


def build(side: int = SIDE) -> torch.nn.Module:
    return timm.models.vision_transformer.VisionTransformer(
        img_size=14 * side, patch_size=14, embed_dim=DIM, depth=DEPTH, num_heads=2, num_classes=0, init_values=1e-5
    )


@pytest.fixture
def made_up(tmp_path: Path) -> tuple[Path, dict[str, np.ndarray]]:
    path = tmp_path / "made-up.onnx"
    return path, write_onnx(path)


def spec(**changes: object) -> ModelSpec:
    form = CheckpointFormat(name="made-up", read=read, convert=lambda tensors: convert(tensors, SIDE))
    given = {"name": "tiny", "family": "tiny", "arch": "Ti", "patch": 14, "summary": "tiny", "formats": (form,)}
    return ModelSpec(**{**given, "build": build, **changes})  # type: ignore[arg-type]


def test_every_tensor_arrives_where_it_belongs(made_up):
    path, values = made_up
    module = build()
    assert fit(module, spec(), path).format == "made-up"
    state = {key: tensor.numpy() for key, tensor in module.state_dict().items()}
    layer = "/backbone/encoder/layer.1/"
    for part, name in enumerate(("query", "key", "value")):
        rows = slice(part * DIM, (part + 1) * DIM)
        projection = f"attention/attention/{name}"
        weight, bias = state["blocks.1.attn.qkv.weight"][rows], state["blocks.1.attn.qkv.bias"][rows]
        np.testing.assert_array_equal(weight, values[f"{layer}{projection}/MatMul"].T)
        np.testing.assert_array_equal(bias, values[f"backbone.encoder.layer.1.attention.attention.{name}.bias"])
    np.testing.assert_array_equal(state["blocks.1.mlp.fc1.weight"], values[f"{layer}mlp/fc1/MatMul"].T)
    np.testing.assert_array_equal(state["blocks.1.attn.proj.weight"], values[f"{layer}attention/output/dense/MatMul"].T)
    np.testing.assert_array_equal(state["blocks.0.ls2.gamma"], values["backbone.encoder.layer.0.layer_scale2.lambda1"])
    np.testing.assert_array_equal(state["pos_embed"][0, 0], values["/backbone/embeddings/Concat_6"][0, 0])
    np.testing.assert_allclose(state["pos_embed"][:, 1:], values["/backbone/embeddings/Reshape_1"], atol=1e-6)


def test_a_backbone_with_a_gap_is_refused(made_up):
    tensors = read(made_up[0])
    del tensors["backbone.encoder.layer.1.mlp.fc2.MatMul"]
    with pytest.raises(KeyError, match=r"mlp\.fc2\.MatMul"):
        convert(tensors, SIDE)


def test_a_model_of_another_size_is_refused(made_up):
    with pytest.raises(WeightsMismatchError, match="pos_embed"):
        fit(build(side=SIDE + 1), spec(), made_up[0])


def test_a_file_that_is_not_onnx_is_refused(tmp_path):
    path = tmp_path / "photo.onnx"
    path.write_bytes(b"\xff\xd8\xff\xe0 not a protocol buffer")
    with pytest.raises(WeightsFormatError, match="not an ONNX file"):
        read(path)


def test_halving_positions_is_bicubic_without_antialias():
    """One bright position out of eight; halving samples midway between two cells, with the weights of a = -0.75."""
    table = torch.zeros(1, 8, 8, 1)
    table[0, 3, 3, 0] = 1.0
    resized = resize_positions(table.reshape(1, 64, 1), 4).reshape(4, 4)
    near, far = 0.59375, -0.09375  # the cubic kernel at distances 1/2 and 3/2
    weights = torch.tensor([0.0, near, far, 0.0])
    torch.testing.assert_close(resized, weights[:, None] * weights[None, :])
