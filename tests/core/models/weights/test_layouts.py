"""Checkpoints as public training scripts write them: each loads, and says what was taken and what was left."""

from __future__ import annotations

import argparse
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from vitan.errors import WeightsMismatchError
from vitan.models.weights import Fitted, fit
from vitan.registry.specs import ModelSpec

Tensors = dict[str, Tensor]
SIZE: dict[str, Any] = {"img_size": 32, "patch_size": 16, "embed_dim": 8, "depth": 4, "num_heads": 2}
ARGS = argparse.Namespace(lr=1e-3, arch="vit_tiny", output=Path("somewhere"))


class Config(dict[str, Any]):
    """A dictionary of a class that nobody knows when it is read, as those of OmegaConf, EasyDict or mmcv."""


def build() -> nn.Module:
    return VisionTransformer(**SIZE, num_classes=0)


def spec() -> ModelSpec:
    return ModelSpec(name="toy-T16", summary="toy", family="toy", arch="T", patch=16, build=build)


def values(seed: int) -> Tensors:
    generator = torch.Generator().manual_seed(seed)
    return {key: torch.randn(value.shape, generator=generator) for key, value in build().state_dict().items()}


def under(prefix: str, tensors: Tensors) -> Tensors:
    return {prefix + key: value for key, value in tensors.items()}


WANT, OTHER = values(0), values(1)
HEAD = {"head.weight": torch.zeros(10, 8), "head.bias": torch.zeros(10)}
DINO_HEAD = {"head.mlp.0.weight": torch.zeros(8, 8), "head.last_layer.weight_v": torch.zeros(16, 8)}
DECODER = {
    "mask_token": torch.zeros(1, 1, 4),
    "decoder_embed.weight": torch.zeros(4, 8),
    "decoder_pred.bias": torch.zeros(10),
}
OPTIMIZER = {"state": {0: {"exp_avg": torch.zeros(3), "step": 3}}, "param_groups": [{"lr": 0.1, "params": [0]}]}


def chunked(tensors: Tensors) -> Tensors:
    """DINOv2 as trained with FSDP: two blocks a chunk, numbered through."""

    def renamed(key: str) -> str:
        root, number, rest = key.split(".", 2) if key.startswith("blocks.") else (key, "", "")
        return f"blocks.{int(number) // 2}.{number}.{rest}" if number else root

    return {renamed(key): value for key, value in tensors.items()}


def lightning(tensors: Tensors) -> dict[str, Any]:
    return {
        "state_dict": tensors,
        "epoch": 1,
        "pytorch-lightning_version": "2.2.0",
        "optimizer_states": [OPTIMIZER],
        "hyper_parameters": Config(lr=0.1),
    }


#: What the script saves, the address of what is taken, and words of what is said of the rest.
LAYOUTS: dict[str, tuple[Any, str, tuple[str, ...]]] = {
    "plain": (WANT, "", ()),
    "with its head": ({**WANT, **HEAD}, "", ("head (2 tensors)",)),
    "DINO": (
        {"student": under("module.", {**under("backbone.", OTHER), **DINO_HEAD}),
         "teacher": {**under("backbone.", WANT), **DINO_HEAD}, "optimizer": OPTIMIZER, "epoch": 5, "args": ARGS},
        "teacher.backbone",
        ("'student.module.backbone' differs", "the teacher is what", "head (2 tensors)", "optimizer", "args"),
    ),
    "iBOT": (
        {"student": under("module.backbone.", OTHER), "teacher": under("module.backbone.", WANT), "fp16_scaler": {}},
        "teacher.module.backbone",
        ("the teacher is what",),
    ),
    "DINO's teacher alone": ({**under("backbone.", WANT), **DINO_HEAD}, "backbone", ("head (2 tensors)",)),
    "DINOv2's teacher": (
        {"teacher": {**under("backbone.", chunked(WANT)), "backbone.mask_token": torch.zeros(1, 8),
                     **under("dino_", DINO_HEAD)}},
        "teacher.backbone",
        ("backbone.mask_token (1 tensor)", "dino_head (2 tensors)"),
    ),
    "DINOv2's whole model": (
        {"model": {**under("student.backbone.", chunked(OTHER)), **under("teacher.backbone.", chunked(WANT))},
         "optimizer": OPTIMIZER, "iteration": 7},
        "model.teacher.backbone",
        ("the teacher is what",),
    ),
    "timm's train.py": (
        {"epoch": 3, "arch": "x", "state_dict": {**OTHER, **HEAD}, "state_dict_ema": {**WANT, **HEAD},
         "optimizer": OPTIMIZER, "args": ARGS, "version": 2, "metric": np.float64(71.2), "amp_scaler": {}},
        "state_dict_ema",
        ("'state_dict' differs", "average of the weights", "head (2 tensors)"),
    ),
    "timm's train.py, equal": (
        {"state_dict": WANT, "state_dict_ema": {key: value.clone() for key, value in WANT.items()}},
        "state_dict_ema",
        ("'state_dict' holds the same values",),
    ),
    "DeiT": (
        {"model": {**WANT, **HEAD}, "optimizer": OPTIMIZER, "epoch": 9, "scaler": {}, "args": ARGS},
        "model",
        ("head (2 tensors)", "optimizer", "scaler"),
    ),
    "DeiT with an average": (
        {"model": {**OTHER, **HEAD}, "model_ema": {**WANT, **HEAD}}, "model_ema", ("average of the weights",),
    ),
    "MAE, pre-trained": ({"model": {**WANT, **DECODER}, "args": ARGS}, "model", ("decoder_embed (1 tensor)",)),
    "linear probing of MoCo": (
        {"state_dict": under("module.", {**WANT, **HEAD}), "best_acc1": np.float64(71.2)},
        "state_dict.module",
        ("module.head (2 tensors)", "best_acc1"),
    ),
    "MoCo-v3": (
        {"epoch": 300, "state_dict": {**under("module.base_encoder.", {**WANT, "head.0.weight": torch.zeros(2, 8)}),
         **under("module.momentum_encoder.", OTHER), "module.predictor.0.weight": torch.zeros(2, 2)}},
        "state_dict.module.base_encoder",
        ("'state_dict.module.momentum_encoder' differs", "module.predictor (1 tensor)"),
    ),
    "torch.compile": (under("_orig_mod.", {**WANT, **HEAD}), "_orig_mod", ("_orig_mod.head (2 tensors)",)),
    "DDP and torch.compile": (under("_orig_mod.module.", WANT), "_orig_mod.module", ()),
    "Lightning": (lightning(under("model.", {**WANT, **HEAD})), "state_dict.model", ("hyper_parameters", "epoch")),
    "solo-learn": (
        lightning({**under("backbone.", WANT), **under("momentum_backbone.", OTHER),
                   "projector.0.weight": torch.zeros(4, 8), "classifier.weight": torch.zeros(4, 8)}),
        "state_dict.backbone",
        ("momentum copy", "projector (1 tensor)", "classifier (1 tensor)"),
    ),
    "BYOL": (
        lightning({**under("online_encoder.net.", WANT), **under("target_encoder.net.", OTHER)}),
        "state_dict.online_encoder.net",
        ("momentum copy",),
    ),
    "I-JEPA": (
        {"encoder": under("module.", OTHER), "target_encoder": under("module.", WANT), "opt": OPTIMIZER},
        "target_encoder.module",
        ("the target encoder is what",),
    ),
    "an average alone": ({"model_ema": {**WANT, **HEAD}}, "model_ema", ()),
    "ema_pytorch": (
        {**under("online_model.", OTHER), **under("ema_model.", WANT), "initted": torch.tensor(True)},
        "ema_model",
        ("average of the weights",),
    ),
    "torchvision's averaging": (
        {"n_averaged": torch.tensor(3), **under("module.", WANT)}, "module", ("n_averaged (1 tensor)",),
    ),
    "open_clip, a timm tower": (
        {"epoch": 1, "state_dict": {**under("module.visual.trunk.", WANT), "module.logit_scale": torch.tensor(1.0)}},
        "state_dict.module.visual.trunk",
        ("module.logit_scale (1 tensor)",),
    ),
    "DeepSpeed": ({"module": WANT, "ds_config": Config(), "optimizer": None}, "module", ("ds_config",)),
    "a dictionary of its own class": (Config(model=Config(WANT), config=Config(a=Config())), "model", ("config",)),
    "half precision beside single": (
        {"model": {key: value.half() for key, value in WANT.items()}, "args": ARGS}, "model", ("args",),
    ),
}  # fmt: skip


def loaded(folder: Path, content: object, key: str = "", **how: Any) -> tuple[nn.Module, Fitted]:
    path = folder / "checkpoint.pth"
    torch.save(content, path, **how)
    module = build()
    return module, fit(module, spec(), path, key)


def assert_holds(module: nn.Module, want: Tensors) -> None:
    for key, value in module.state_dict().items():
        assert torch.equal(value, want[key]), key


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_loads_and_says_what_was_taken(tmp_path: Path, name: str) -> None:
    content, taken, words = LAYOUTS[name]
    module, fitted = loaded(tmp_path, content)
    want = {key: value.half().float() for key, value in WANT.items()} if "half" in name else WANT
    assert_holds(module, want)
    assert fitted.taken == taken
    assert [word for word in words if word not in str(fitted)] == []


@pytest.mark.parametrize("how", [{"_use_new_zipfile_serialization": False}, {"pickle_protocol": 4}])
def test_in_the_older_file_and_another_protocol_too(tmp_path: Path, how: dict[str, Any]) -> None:
    module, fitted = loaded(tmp_path, LAYOUTS["DINO"][0], **how)
    assert fitted.taken == "teacher.backbone"
    assert_holds(module, WANT)


def test_arrays_of_a_bare_pickle(tmp_path: Path) -> None:
    path = tmp_path / "model_final.pkl"
    arrays = OrderedDict((f"backbone.{key}", value.numpy()) for key, value in WANT.items())
    path.write_bytes(pickle.dumps({"model": arrays, "__author__": "someone"}))
    module = build()
    assert fit(module, spec(), path).taken == "model.backbone"
    assert_holds(module, WANT)


def test_a_key_says_which_part(tmp_path: Path) -> None:
    content = LAYOUTS["DINO"][0]
    for key in ("student", "student.module", "student.module.backbone"):
        module, fitted = loaded(tmp_path, content, key)
        assert fitted.taken == "student.module.backbone"
        assert_holds(module, OTHER)
    with pytest.raises(WeightsMismatchError, match=r"no tensors under 'stud'.*student\.module\.backbone.*teacher"):
        loaded(tmp_path, content, "stud")


@pytest.mark.parametrize(
    "content",
    [
        {"model": WANT, "network": OTHER},
        {"a": WANT, "b": WANT, "c": OTHER},
        {**under("left.", WANT), **under("right.", OTHER)},
        {"state_dict_ema": under("student.", WANT), "state_dict": under("teacher.", OTHER)},  # two rules disagree
        {"ema_one": WANT, "ema_two": OTHER},
    ],
    ids=["two names", "two of three", "two prefixes", "two rules", "two averages"],
)
def test_two_that_differ_are_never_guessed_between(tmp_path: Path, content: object) -> None:
    with pytest.raises(WeightsMismatchError, match=r"each fit, and their values differ; say which with --weights .*::"):
        loaded(tmp_path, content)


WITHOUT_NORM = {key: value for key, value in WANT.items() if key != "norm.weight"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({**WANT, **{"blocks.4.norm1.weight": torch.ones(8)}}, r"unknown .*blocks\.4\.norm1"),
        ({**WANT, **{"blocks.0.ls1.gamma": torch.ones(8)}}, r"unknown .*blocks\.0\.ls1"),
        ({**WANT, **{"reg_token": torch.ones(1, 4, 8)}}, r"unknown .*reg_token"),
        ({**WANT, **{"dist_token": torch.ones(1, 1, 8)}}, r"unknown .*dist_token"),
        ({**WANT, **{"norm_pre.weight": torch.ones(8)}}, r"unknown .*norm_pre"),
        (WITHOUT_NORM, r"missing from the file: norm\.weight"),
        ({**WANT, "pos_embed": torch.ones(1, 17, 8)}, r"\(1, 17, 8\).*another image size"),
    ],
    ids=["deeper", "layer scale", "registers", "distilled", "norm before", "no norm", "another size"],
)
@pytest.mark.parametrize("wrapped", [False, True])
def test_another_architecture_is_not_what_is_left_over(
    tmp_path: Path, content: Tensors, words: str, wrapped: bool
) -> None:
    with pytest.raises(WeightsMismatchError, match=words):
        loaded(tmp_path, {"teacher": under("backbone.", content)} if wrapped else content)


def test_what_an_optimiser_keeps_is_no_model(tmp_path: Path) -> None:
    module, fitted = loaded(tmp_path, {"model": WANT, "optimizer": {"exp_avg": OTHER}, "opt_state": OTHER})
    assert fitted.taken == "model"
    assert_holds(module, WANT)
