"""CLIP's tower from a made-up ONNX file of two blocks, its matrices stored as integers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import timm
import torch
from onnx import helper, numpy_helper

from vitan_saliency.clip_int8 import convert
from vitan_saliency.onnx_weights import read

DIM, DEPTH, SIDE = 8, 2, 4
LINEAR = {
    **{f"self_attn.{name}_proj": (DIM, DIM) for name in ("q", "k", "v", "out")},
    "mlp.fc1": (DIM, 4 * DIM),
    "mlp.fc2": (4 * DIM, DIM),
}


def write_onnx(path: Path) -> dict[str, np.ndarray]:
    """Write the file; returns the values that it stands for, matrices as (input, output)."""
    random = np.random.default_rng(0)
    values: dict[str, np.ndarray] = {}
    tensors, nodes = [], []

    def put(name: str, array: np.ndarray) -> None:
        tensors.append(numpy_helper.from_array(array, name))

    def put_floats(name: str, *shape: int) -> None:
        values[name] = random.standard_normal(shape).astype(np.float32)
        put(f"vision_model.{name}", values[name])

    def put_integers(name: str, rows: int, columns: int) -> None:
        stored, zero = (random.integers(-128, 128, shape).astype(np.int8) for shape in ((rows, columns), columns))
        scale = random.uniform(0.01, 0.1, columns).astype(np.float32)
        values[name] = (stored.astype(np.float32) - zero) * scale
        base, node = f"onnx::MatMul_{len(tensors)}", f"/vision_model/{name.replace('.', '/')}/MatMul"
        for suffix, array in (("quantized", stored), ("zero_point", zero), ("scale", scale)):
            put(f"{base}_{suffix}", array)
        given = ["x", f"{base}_quantized", "x_zero", f"{base}_zero_point"]
        nodes.append(helper.make_node("MatMulInteger", given, [f"{node}_out"], name=f"{node}_quant"))
        nodes.append(helper.make_node("Mul", ["x_scale", f"{base}_scale"], [f"{node}_scaled"], name=f"{node}_mul"))

    put_floats("embeddings.class_embedding", DIM)
    put_floats("embeddings.patch_embedding.weight", DIM, 3, 16, 16)
    put_floats("embeddings.position_embedding.weight", 1 + SIDE * SIDE, DIM)
    norms = [f"encoder.layers.{block}.layer_norm{number}" for block in range(DEPTH) for number in (1, 2)]
    for norm in ("pre_layrnorm", "post_layernorm", *norms):
        put_floats(f"{norm}.weight", DIM)
        put_floats(f"{norm}.bias", DIM)
    for block in range(DEPTH):
        for name, (rows, columns) in LINEAR.items():
            put_floats(f"encoder.layers.{block}.{name}.bias", columns)
            put_integers(f"encoder.layers.{block}.{name}", rows, columns)
    onnx.save(helper.make_model(helper.make_graph(nodes, "made-up", [], [], tensors)), path)
    return values


def test_every_tensor_arrives_where_it_belongs(tmp_path):
    values = write_onnx(tmp_path / "made-up.onnx")
    module = timm.models.vision_transformer.VisionTransformer(
        img_size=16 * SIDE, embed_dim=DIM, depth=DEPTH, num_heads=2, num_classes=0, pre_norm=True
    )
    module.load_state_dict(convert(read(tmp_path / "made-up.onnx")))
    state = {key: tensor.numpy() for key, tensor in module.state_dict().items()}
    layer = "encoder.layers.1."
    for part, name in enumerate("qkv"):
        rows = slice(part * DIM, (part + 1) * DIM)
        projection = f"{layer}self_attn.{name}_proj"
        np.testing.assert_allclose(state["blocks.1.attn.qkv.weight"][rows], values[projection].T, rtol=1e-6)
        np.testing.assert_array_equal(state["blocks.1.attn.qkv.bias"][rows], values[f"{projection}.bias"])
    np.testing.assert_allclose(state["blocks.1.attn.proj.weight"], values[f"{layer}self_attn.out_proj"].T, rtol=1e-6)
    np.testing.assert_allclose(state["blocks.1.mlp.fc2.weight"], values[f"{layer}mlp.fc2"].T, rtol=1e-6)
    np.testing.assert_array_equal(state["blocks.1.norm2.bias"], values[f"{layer}layer_norm2.bias"])
    np.testing.assert_array_equal(state["norm_pre.weight"], values["pre_layrnorm.weight"])
    np.testing.assert_array_equal(state["pos_embed"][0], values["embeddings.position_embedding.weight"])
    assert torch.isfinite(module.forward_features(torch.zeros(1, 3, 16 * SIDE, 16 * SIDE))).all()
