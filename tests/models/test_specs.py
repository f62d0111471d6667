"""The configurations of the published study: names, structure and sources. Modules are built without memory."""

from __future__ import annotations

import gzip
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import nn

from vitan.anatomy import TIMM
from vitan.models.layout import describe, find_layout
from vitan.registry.plugins import installed
from vitan.registry.specs import CheckpointFormat, HubSource, UrlSource

#: name, published id, tokens, depth, heads, channels
TABLE = """
dino-S16     DINO-ViT-S-16-224   197 12  6  384
dino-S8      DINO-ViT-S-8-224    785 12  6  384
dino-B16     DINO-ViT-B-16-224   197 12 12  768
dino-B8      DINO-ViT-B-8-224    785 12 12  768
clip-B32     CLIP-ViT-B-32-224    50 12 12  768
clip-B16     CLIP-ViT-B-16-224   197 12 12  768
clip-L14     CLIP-ViT-L-14-224   257 24 16 1024
clip-L14-336 CLIP-ViT-L-14-336   577 24 16 1024
mae-B16      MAE-ViT-B-16-224    197 12 12  768
mae-L16      MAE-ViT-L-16-224    197 24 16 1024
mae-H14      MAE-ViT-H-14-224    257 32 16 1280
timm-S32     TIMM-ViT-S-32-224    50 12  6  384
timm-S16     TIMM-ViT-S-16-224   197 12  6  384
timm-B32     TIMM-ViT-B-32-224    50 12 12  768
timm-B16     TIMM-ViT-B-16-224   197 12 12  768
timm-B8      TIMM-ViT-B-8-224    785 12 12  768
timm-L16     TIMM-ViT-L-16-224   197 24 16 1024
timm-B32-384 TIMM-ViT-B-32-384   145 12 12  768
timm-B16-384 TIMM-ViT-B-16-384   577 12 12  768
timm-L16-384 TIMM-ViT-L-16-384   577 24 16 1024
timm-L32-384 TIMM-ViT-L-32-384   145 24 16 1024
moco-S16     MOCO-ViT-S-16-224   197 12 12  384
moco-B16     MOCO-ViT-B-16-224   197 12 12  768
beit-B16     BEIT-ViT-B-16-224   197 12 12  768
beit-L16     BEIT-ViT-L-16-224   197 24 16 1024
"""
ROWS = [line.split() for line in TABLE.strip().splitlines()]
NAMES = [row[0] for row in ROWS]
KEY_LISTS = sorted((Path(__file__).parents[1] / "golden" / "models" / "keys").glob("*.json.gz"))


def model(name: Any) -> Any:
    return installed().model(name)


@cache
def outline(name: Any) -> Any:
    with torch.device("meta"):
        return model(name).build()


def urls(name: Any) -> Any:
    return [source.url for source in model(name).weights if isinstance(source, UrlSource)]


def hubs(name: Any) -> Any:
    return [source.repo for source in model(name).weights if isinstance(source, HubSource)]


def test_no_configuration_is_missing() -> None:
    families = {"dino", "clip", "mae", "timm", "moco", "beit"}
    found = {spec.name for _, spec in installed().models if spec.family in families}
    assert {name for name in found if not name.startswith("tiny-")} == set(NAMES)


@pytest.mark.parametrize("row", ROWS, ids=NAMES)
def test_structure(row: Any) -> None:
    name, published, tokens, *shape = row
    spec, module = model(name), outline(name)
    assert model(published) is spec
    layout = find_layout(module, spec.image_size)
    assert layout.prefix == ("cls",)
    assert len(layout) == int(tokens)
    assert layout.grid[0] * spec.patch == spec.image_size
    assert describe(module, TIMM) == tuple(map(int, shape))
    family, _, arch, patch, size = published.split("-")
    assert (spec.family.upper(), spec.arch, spec.patch, spec.image_size) == (family, arch, int(patch), int(size))


@pytest.mark.parametrize("name", NAMES)
def test_every_norm_has_the_eps_of_its_family(name: Any) -> None:
    eps = {norm.eps for norm in outline(name).modules() if isinstance(norm, nn.LayerNorm)}
    assert eps == {1e-5 if name.startswith("clip") else 1e-6}


@pytest.mark.parametrize("name", NAMES)
def test_only_clip_has_quick_gelu(name: Any) -> None:
    activations = {type(block.mlp.act).__name__ for block in outline(name).blocks}
    assert activations == {"QuickGELU" if name.startswith("clip") else "GELU"}
    exact = {block.mlp.act.approximate for block in outline(name).blocks if isinstance(block.mlp.act, nn.GELU)}
    assert exact <= {"none"}


@pytest.mark.parametrize("name", NAMES)
def test_pixels_are_normalised_as_in_training(name: Any) -> None:
    first = {"clip": (0.48145466, 0.26862954), "timm": (0.5, 0.5), "beit": (0.5, 0.5)}
    spec = model(name)
    assert (spec.mean[0], spec.std[0]) == first.get(spec.family, (0.485, 0.229))
    assert spec.image_size == int(model(name).aliases[0].rpartition("-")[2])


def test_moco_s_has_twelve_heads_of_32_channels() -> None:
    attention = outline("moco-S16").blocks[0].attn
    assert (attention.num_heads, attention.head_dim, attention.scale) == (12, 32, 32**-0.5)


def test_beit_shares_one_table_and_keeps_its_final_norm() -> None:
    keys = outline("beit-B16").state_dict().keys()
    assert [key for key in keys if "bias_table" in key] == ["rel_pos_bias.relative_position_bias_table"]
    assert {"norm.weight", "norm.bias"} <= keys


# Where the weights come from


@pytest.mark.parametrize("name", NAMES)
def test_every_source_states_a_licence(name: Any) -> None:
    assert model(name).weights
    assert all(source.licence not in ("", "unknown") for source in model(name).weights)


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("timm")])
def test_supervised_files_are_those_of_timms_own_record(name: Any) -> None:
    architecture = model(name).build.args[0]
    tag = "orig_in21k_ft_in1k" if name == "timm-L32-384" else "augreg_in21k_ft_in1k"
    assert urls(name) == [timm.get_pretrained_cfg(f"{architecture}.{tag}").url]
    assert hubs(name) == [f"timm/{architecture}.{tag}"], "timm's default for some of these is another training, augreg2"


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith(("dino", "mae")) and name != "dino-S8"])
def test_self_supervised_files_are_those_of_timms_own_record(name: Any) -> None:
    full = f"{model(name).build.args[0]}.{model(name).family}"
    assert urls(name) == [timm.get_pretrained_cfg(full).url]
    assert hubs(name) == [f"timm/{full}"]


def test_dino_s8_is_the_run_of_300_epochs_which_no_hub_tag_holds() -> None:
    assert [url.rpartition("/")[2] for url in urls("dino-S8")] == ["dino_deitsmall8_300ep_pretrain.pth"]
    assert hubs("dino-S8") == []


def test_beit_is_never_fine_tuned() -> None:
    for name in ("beit-B16", "beit-L16"):
        assert urls(name)
        assert all(re.search(r"/beit_(base|large)_patch16_224_pt22k\.pth$", url) for url in urls(name))
        assert hubs(name) == []


def test_moco_comes_from_its_training_checkpoint_alone() -> None:
    assert [url.rpartition("/")[2] for url in urls("moco-S16") + urls("moco-B16")] == [
        "vit-s-300ep.pth.tar",
        "vit-b-300ep.pth.tar",
    ]
    assert hubs("moco-S16") == hubs("moco-B16") == []


def test_digests_that_are_known() -> None:
    for name in NAMES:
        source = model(name).weights[0]
        if name.startswith("clip"):
            assert re.fullmatch(r"[0-9a-f]{64}", source.sha256)
            assert source.sha256 in source.url
    digests = {name: model(name).weights[0].md5 for name in NAMES if name.startswith("mae")}
    assert digests == {"mae-B16": "8cad7c", "mae-L16": "b8b06e", "mae-H14": "9bdbb0"}
    assert model("timm-L32-384").weights[0].sha256 == "9b920ba8"


# What is in the files


@pytest.mark.parametrize("path", KEY_LISTS, ids=lambda path: path.name.partition(".")[0])
def test_a_published_file_fills_the_module_exactly(path: Any) -> None:
    listed = json.loads(gzip.decompress(path.read_bytes()))
    spec, module = model(f"{listed['family']}-{listed['arch']}{listed['patch']}"), outline_of(listed)
    assert any(source.url == listed["checkpoint"]["url"] for source in spec.weights if isinstance(source, UrlSource))
    with torch.device("meta"):
        file = {entry["key"]: torch.empty(entry["shape"]) for entry in listed["entries"]}
        form = spec.formats[0] if spec.formats else CheckpointFormat(name="as it is")
        converted = form.convert(file) if form.convert else file
    want = {key: tuple(value.shape) for key, value in module.state_dict().items()}
    used = {key: tuple(value.shape) for key, value in converted.items() if key in want or key not in form.unused}
    assert used == want


def outline_of(listed: Any) -> Any:
    return outline(f"{listed['family']}-{listed['arch']}{listed['patch']}")
