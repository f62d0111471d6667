"""timm's and open_clip's models by their names there; nothing is fetched."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import open_clip
import pytest
import timm
import torch

from vitan.anatomy import OPEN_CLIP, TIMM
from vitan.errors import MismatchError, UnknownNameError, WeightsMismatchError
from vitan.models.model import as_built
from vitan.models.weights import fit
from vitan.registry.plugins import installed
from vitan.registry.specs import HubSource, UrlSource
from vitan.testing import check_model
from vitan_models import _open_clip_catalog as open_clips
from vitan_models import _timm_catalog as timms


def model(name: Any) -> Any:
    return installed().model(name)


# timm


def test_a_timm_model_is_described_by_timms_own_record() -> None:
    spec = model("timm:vit_base_patch16_siglip_224.webli")
    assert spec.name == "timm:vit_base_patch16_siglip_224.webli"
    assert (spec.patch, spec.image_size, spec.mean, spec.std) == (16, 224, (0.5,) * 3, (0.5,) * 3)
    (source,) = spec.weights
    assert isinstance(source, HubSource)
    assert (source.repo, source.file) == ("timm/vit_base_patch16_siglip_224.webli", "model.safetensors")
    assert source.licence == "apache-2.0"


def test_without_a_tag_it_is_timms_default_and_the_name_says_which() -> None:
    assert model("timm:vit_small_patch8_224").name == "timm:vit_small_patch8_224.dino"
    spec = model("timm:vit_small_patch14_dinov2")
    assert (spec.name, spec.image_size, spec.patch) == ("timm:vit_small_patch14_dinov2.lvd142m", 518, 14)


def test_the_publishers_file_is_a_second_source() -> None:
    hub, url = model("timm:vit_tiny_patch16_224.augreg_in21k_ft_in1k").weights
    assert isinstance(hub, HubSource)
    assert isinstance(url, UrlSource)
    assert url.url.endswith(
        "Ti_16-i21k-300ep-lr_0.001-aug_none-wd_0.03-do_0.0-sd_0.0--imagenet2012-steps_20k-lr_0.03-res_224.npz"
    )


@pytest.mark.parametrize("name", ["test_vit.r160_in1k", "test_vit2.r160_in1k", "test_vit3.r160_in1k"])
def test_small_models_keep_the_contract_and_load_timms_files(name: Any, tmp_path: Path) -> None:
    spec = model(f"timm:{name}")
    check_model(spec, forward=False)
    source, path = timm.create_model(name, pretrained=False).eval(), tmp_path / "timm.pth"
    torch.save(source.state_dict(), path)
    check_model(spec, weights=path)
    loaded = as_built(spec)
    assert fit(loaded.module, spec, path).format == "timm's own file"
    pixels = torch.randn(1, 3, spec.image_size, spec.image_size, generator=torch.Generator().manual_seed(0))
    assert torch.equal(loaded.module.forward_features(pixels), source.forward_features(pixels))


@pytest.mark.parametrize(
    ("name", "unused"),
    [
        ("deit_tiny_distilled_patch16_224", {"head.weight", "head.bias", "head_dist.weight", "head_dist.bias"}),
        ("vit_base_patch16_224.dino", set()),
    ],
)
def test_only_the_classifier_is_left_out(name: Any, unused: Any) -> None:
    assert model(f"timm:{name}").formats[0].unused == unused


def test_tables_that_timm_computes_are_left_out() -> None:
    kept = {"cls_token", "rope.freqs", "blocks.0.attn.relative_position_bias_table"}
    dropped = {"blocks.0.attn.relative_position_index", "rope.periods", "blocks.0.attn.rope.freqs_cos"}
    assert timms.without_tables(dict.fromkeys(kept | dropped, torch.zeros(1))).keys() == kept


def published_file(name: Any, tensors: Any) -> Any:
    """timm's tensors of a DINOv2 or DeiT-III model as its publisher names and arranges them."""
    file = dict(tensors)
    if "dinov2" in name:
        dim = file["cls_token"].shape[-1]
        file["mask_token"] = torch.zeros(1, dim)
        if "reg_token" in file:
            file["register_tokens"] = file.pop("reg_token")
            first = torch.full((1, 1, dim), 0.25, device=file["pos_embed"].device)
            file["cls_token"] = file["cls_token"] - first
            file["pos_embed"] = torch.cat([first, file["pos_embed"]], 1)
        if "giant" in name:
            names = {"mlp.fc1": "mlp.w12", "mlp.fc2": "mlp.w3"}
            file = {re.sub(r"mlp\.fc[12]", lambda match: names[match[0]], key): value for key, value in file.items()}
        return file
    return {"model": {re.sub(r"ls([12])\.gamma", r"gamma_\1", key): value for key, value in file.items()}}


CONVERTED = [name for name in timm.list_pretrained() if re.match(r"vit_.*dinov2\.|deit3_", name)]


@pytest.mark.parametrize("name", CONVERTED)
def test_the_file_that_is_listed_as_the_publishers_is_converted(name: Any) -> None:
    """Names and shapes alone, without memory for the values."""
    want = timms._outline(name).state_dict()
    file = published_file(name, want)
    converted = timms.as_timm_converts(file.get("model", file), architecture=name)
    assert {key: value.shape for key, value in converted.items()} == {key: value.shape for key, value in want.items()}


def test_the_publishers_values_arrive(tmp_path: Path) -> None:
    for name in ("vit_small_patch14_reg4_dinov2.lvd142m", "deit3_small_patch16_224.fb_in1k"):
        spec, path = model(f"timm:{name}"), tmp_path / f"{name}.pth"
        source = spec.build()
        for parameter in source.parameters():
            torch.nn.init.constant_(parameter, 0.5)
        torch.save(published_file(name, source.state_dict()), path)
        target = spec.build()
        assert fit(target, spec, path).format == "publisher's file, as timm converts it"
        assert all(torch.equal(value, source.state_dict()[key]) for key, value in target.state_dict().items())


def test_a_publishers_file_of_another_size_is_not_fitted_to_the_model(tmp_path: Path) -> None:
    """timm itself would resample its positions."""
    small, large = (f"deit3_small_patch16_{size}.fb_in1k" for size in (224, 384))
    path, spec = tmp_path / "small.pth", model(f"timm:{large}")
    torch.save(published_file(small, model(f"timm:{small}").build().state_dict()), path)
    with pytest.raises(WeightsMismatchError, match=r"pos_embed: file \(1, 196, 384\).*another image size"):
        fit(spec.build(), spec, path)


@pytest.mark.parametrize("name", ["swin_tiny_patch4_window7_224", "convnext_atto", "resnet18", "cait_xxs24_224"])
def test_other_families_are_refused_before_they_are_built(name: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timm, "create_model", None)
    with pytest.raises(MismatchError, match=rf"{name} is of timm's \w+ family; vitan reads plain Vision Transformers"):
        model(f"timm:{name}")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("vit_base_patch16_sapiens2", "takes pictures of 1024 x 768 pixels"),
        ("vit_giant_patch16_gap_224.in22k_ijepa", "no weights of .* in its own format"),
        ("vit_base_patch16_xp_224", "no weights of"),
    ],
)
def test_what_cannot_be_served_is_refused(name: Any, why: Any) -> None:
    if not timm.is_model(name):
        pytest.skip(f"this timm has no {name}")
    with pytest.raises(MismatchError, match=why):
        model(f"timm:{name}")


@pytest.mark.parametrize(
    ("name", "close"),
    [
        ("vit_basee_patch16_224", "timm:vit_base_patch16_224"),
        ("vit_base_patch16_224.dinoo", "timm:vit_base_patch16_224.dino"),
        ("vit_tiny_patch16_224.mae", "timm:vit_tiny_patch16_224.augreg_in21k"),
    ],
)
def test_an_unknown_name_or_tag_brings_close_ones(name: Any, close: Any) -> None:
    with pytest.raises(UnknownNameError) as caught:
        model(f"timm:{name}")
    assert close in caught.value.close


QUICK = [
    name
    for name in timm.list_pretrained("*_clip_*")
    if "quickgelu" not in name and timm.is_model_pretrained(name.replace("_clip_", "_clip_quickgelu_"))
]


@pytest.mark.parametrize("name", QUICK)
def test_weights_that_want_quickgelu_are_refused_in_an_architecture_with_gelu(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timm, "create_model", None)
    twin = name.replace("_clip_", "_clip_quickgelu_")
    with pytest.raises(MismatchError, match=rf"trained with QuickGELU, and .* has GELU; use timm:{twin}$"):
        model(f"timm:{name}")


def test_there_are_such_weights_and_their_twins_are_served() -> None:
    assert len(QUICK) >= 9
    noted = {name for name in timm.list_pretrained() if "QuickGELU" in str(timm.get_pretrained_cfg(name).notes)}
    assert noted
    assert {name for name in noted if "quickgelu" not in name} <= set(QUICK)
    spec = model("timm:vit_base_patch16_clip_quickgelu_224.openai")
    assert spec.weights[0] == HubSource(
        repo="timm/vit_base_patch16_clip_224.openai", file="model.safetensors", licence=spec.weights[0].licence
    )
    assert model("timm:vit_base_patch16_clip_224.laion2b").name == "timm:vit_base_patch16_clip_224.laion2b"


@pytest.mark.parametrize(
    ("name", "now"),
    [
        ("vit_small_patch16_224_dino", "vit_small_patch16_224.dino"),
        ("vit_base_patch16_224_in21k", "vit_base_patch16_224.augreg_in21k"),
        ("deit3_base_patch16_224_in21ft1k", "deit3_base_patch16_224.fb_in22k_ft_in1k"),
        ("vit_base_resnet50_384", "vit_base_r50_s16_384.orig_in21k_ft_in1k"),
    ],
)
def test_names_of_older_versions_bring_todays(name: str, now: str) -> None:
    with pytest.raises(MismatchError, match=rf"timm calls it timm:{now} now$"):
        model(f"timm:{name}")


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("timm:hf-hub:timm/vit_base_patch16_224.dino", "here timm:vit_base_patch16_224.dino"),
        ("timm:timm/vit_base_patch16_224.dino", "here timm:vit_base_patch16_224.dino"),
        ("timm:local-dir:/home/me/vit", "a file of your own is taken with --weights"),
        ("open_clip:hf-hub:timm/ViT-B-16-SigLIP", "here open_clip:ViT-B-16-SigLIP/webli"),
        ("open_clip:hf-hub:me/nothing", "vitan takes open_clip:ARCHITECTURE/TAG$"),
        ("open_clip:local-dir:/home/me/clip", "vitan takes open_clip:ARCHITECTURE/TAG$"),
    ],
)
def test_an_address_is_no_name_and_nothing_is_asked_for_it(
    name: str, instead: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_clip, "get_model_config", None)
    monkeypatch.setattr(timm, "get_pretrained_cfg", None)
    with pytest.raises(MismatchError, match=rf"is an address.*, not a name; .*{instead}"):
        model(name)


@pytest.mark.parametrize(
    ("name", "close"),
    [
        ("vit_base_patch16_224", "timm:vit_base_patch16_224"),
        ("vit_small_patch14_dinov2.lvd142m", "timm:vit_small_patch14_dinov2.lvd142m"),
        ("ViT-B-32/laion2b_s34b_b79k", "open_clip:ViT-B-32/laion2b_s34b_b79k"),
    ],
)
def test_a_librarys_name_without_the_library(name: str, close: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        model(name)
    assert caught.value.close == (close,)


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("dino_b16", "dino-B16"),
        ("DINO/B16", "dino-B16"),
        ("dino-ViT-B-16", "dino-B16"),
        ("dino_vits8", "dino-S8"),
        ("facebook/dino-vitb16", "dino-B16"),
        ("clip-L14@336", "clip-L14-336"),
        ("openai/clip-vit-large-patch14-336", "clip-L14-336"),
        ("openai/clip-vit-base-patch16", "clip-B16"),
        ("facebook/vit-mae-base", "mae-B16"),
        ("mae_vit_base_patch16", "mae-B16"),
        ("microsoft/beit-base-patch16-224", "beit-B16"),
        ("hf-hub:timm/vit_base_patch16_224.dino", "dino-B16"),
        ("mocov3-B16", "moco-B16"),
        ("dinov2-B14", "timm:vit_base_patch14_dinov2.lvd142m"),
        ("dino-v2-S14", "timm:vit_small_patch14_dinov2.lvd142m"),
        ("dinov2_vitl14", "timm:vit_large_patch14_dinov2.lvd142m"),
        ("facebook/dinov2-base", "timm:vit_base_patch14_dinov2.lvd142m"),
        ("deit-B16", "timm:deit_base_patch16_224.fb_in1k"),
        ("facebook/deit-base-patch16-224", "timm:deit_base_patch16_224.fb_in1k"),
        ("beitv2-B16", "timm:beitv2_base_patch16_224.in1k_ft_in1k"),
        ("siglip-B16", "open_clip:ViT-B-16-SigLIP/webli"),
        ("google/siglip-base-patch16-224", "open_clip:ViT-B-16-SigLIP/webli"),
        ("laion/CLIP-ViT-B-32-laion2B-s34B-b79K", "open_clip:ViT-B-32/laion2b_s34b_b79k"),
        ("timm:dinov2-B14", "timm:vit_base_patch14_dinov2.lvd142m"),
        ("open_clip:siglip-B16", "open_clip:ViT-B-16-SigLIP/webli"),
        ("timm:google/vit-base-patch16-224", "timm:vit_base_patch16_224.orig_in21k"),
        ("timm:vit-B16", "timm:vit_base_patch16_224.augreg2_in21k_ft_in1k"),
    ],
)
def test_another_spelling_brings_the_models_that_it_may_mean(name: str, first: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        model(name)
    assert caught.value.close[0] == first
    for each in caught.value.close:
        assert model(each).name == each


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("vit_base_patch16_clip_224.openai", "use timm:vit_base_patch16_clip_quickgelu_224.openai"),
        ("vit_base_patch16_224_in21k", "timm calls it timm:vit_base_patch16_224.augreg_in21k now"),
        ("timm/vit_small_patch14_dinov2.lvd142m", "here timm:vit_small_patch14_dinov2.lvd142m"),
        ("swin_tiny_patch4_window7_224", "vitan reads plain Vision Transformers"),
        ("ViT-B/16", "say which weights, as in open_clip:ViT-B/16/TAG; there are openai"),
    ],
)
def test_what_a_library_cannot_serve_is_refused_with_the_reason_without_its_name_too(name: str, instead: str) -> None:
    with pytest.raises(MismatchError, match=instead):
        model(name)


# open_clip


def test_an_open_clip_tower_is_described_by_open_clips_own_record() -> None:
    spec = model("open_clip:ViT-B-32-quickgelu/openai")
    assert (spec.name, spec.patch, spec.image_size) == ("open_clip:ViT-B-32-quickgelu/openai", 32, 224)
    assert (spec.taps, spec.mean[0]) == (OPEN_CLIP, 0.48145466)
    url, safe, plain = spec.weights
    assert url == UrlSource(url=model("clip-B32").weights[0].url, sha256=model("clip-B32").weights[0].sha256)
    repository = "timm/vit_base_patch32_clip_224.openai"
    assert safe == HubSource(repo=repository, file="open_clip_model.safetensors")
    assert plain == HubSource(repo=repository, file="open_clip_pytorch_model.bin")


def test_a_tower_is_built_without_a_warning_of_missing_weights(
    towers: Any, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    open_clips.build_tower("vitan-test-plain")
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")


def test_a_name_with_a_slash_is_the_same() -> None:
    assert model("open_clip:ViT-B/32/laion2b_s34b_b79k").name == "open_clip:ViT-B-32/laion2b_s34b_b79k"


def test_the_digest_in_open_clips_own_addresses_is_known() -> None:
    source = model("open_clip:ViT-B-32-quickgelu/laion400m_e31").weights[0]
    assert source.url.endswith("vit_b_32-quickgelu-laion400m_e31-d867053b.pt")
    assert source.sha256 == "d867053b"


def test_a_tower_that_is_a_timm_model_is_that_model() -> None:
    spec = model("open_clip:ViT-B-16-SigLIP/webli")
    assert (spec.taps, spec.patch, spec.mean) == (TIMM, 16, (0.5,) * 3)


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("ViT-B-32/openai", "with QuickGELU, and ViT-B-32 has GELU; use open_clip:ViT-B-32-quickgelu/openai"),
        ("ViT-B-32-quickgelu/laion2b_s34b_b79k", "without QuickGELU, .* use open_clip:ViT-B-32/laion2b_s34b_b79k"),
    ],
)
def test_another_activation_than_that_of_the_training_is_refused(
    name: Any, instead: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = open_clip.get_pretrained_cfg("ViT-B-32", "laion2b_s34b_b79k")
    if name.startswith("ViT-B-32-quickgelu"):
        monkeypatch.setattr(open_clip, "get_pretrained_cfg", lambda *_: known)
    with pytest.raises(MismatchError, match=instead):
        model(f"open_clip:{name}")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("RN50/openai", "has a ResNet as image tower"),
        ("convnext_base/laion400m_s13b_b51k", "convnext_base is of timm's convnext family"),
        ("xlm-roberta-base-ViT-B-32/laion5b_s13b_b90k", "has a text tower of another library"),
        ("ViT-B-32", "say which weights, as in open_clip:ViT-B-32/TAG; there are openai, "),
    ],
)
def test_towers_that_cannot_be_served_are_refused_before_they_are_built(
    name: Any, why: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_clip, "create_model", None)
    with pytest.raises(MismatchError, match=why):
        model(f"open_clip:{name}")


@pytest.mark.parametrize(
    ("name", "close"),
    [
        ("ViT-B-33/openai", "open_clip:ViT-B-32/openai"),
        ("ViT-B-32/laion2b_s34b_b79", "open_clip:ViT-B-32/laion2b_s34b_b79k"),
    ],
)
def test_an_unknown_architecture_or_tag_brings_close_ones(name: Any, close: Any) -> None:
    with pytest.raises(UnknownNameError) as caught:
        model(f"open_clip:{name}")
    assert close in caught.value.close


TEXT = {"context_length": 7, "vocab_size": 11, "width": 16, "heads": 2, "layers": 1}
TOWERS = {
    "vitan-test-plain": {
        "embed_dim": 8,
        "quick_gelu": True,
        "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "head_width": 16, "patch_size": 8},
        "text_cfg": TEXT,
    },
    "vitan-test-trunk": {
        "embed_dim": 8,
        "vision_cfg": {"image_size": 160, "timm_model_name": "test_vit", "timm_pool": "token", "timm_proj": "linear"},
        "text_cfg": TEXT,
        "custom_text": True,
    },
}


@pytest.fixture
def towers(tmp_path: Path) -> None:
    """Architectures of open_clip that are small enough to run."""
    for name, config in TOWERS.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(config))
    open_clip.add_model_config(tmp_path)


@pytest.mark.parametrize("wrapper", ["", "module."])
@pytest.mark.parametrize("name", TOWERS)
def test_a_tower_runs_as_in_open_clip(
    name: Any, wrapper: Any, towers: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    known = {"hf_hub": "somebody/model/", "mean": (0.5,) * 3, "std": (0.5,) * 3, **TOWERS[name]}
    monkeypatch.setattr(open_clip, "get_pretrained_cfg", lambda *_: known)
    spec = model(f"open_clip:{name}/somebody")
    whole = open_clip.create_model(name, pretrained=None).eval()
    path = tmp_path / "whole.pt"
    torch.save({"state_dict": {wrapper + key: value for key, value in whole.state_dict().items()}}, path)
    check_model(spec, weights=path)
    loaded = as_built(spec)
    fit(loaded.module, spec, path)
    pixels = torch.randn(1, 3, spec.image_size, spec.image_size, generator=torch.Generator().manual_seed(0))
    made, head = loaded.module(pixels), getattr(whole.visual, "head", torch.nn.Identity())
    torch.testing.assert_close(head(made), whole.encode_image(pixels))


def test_a_file_with_something_more_is_not_swallowed() -> None:
    state = {"visual.conv1.weight": torch.zeros(1), "text.x": torch.zeros(1), "surprise": torch.zeros(1)}
    assert open_clips.image_tower(state, prefix="visual.").keys() == {"conv1.weight", "surprise"}
    with pytest.raises(KeyError, match=r"visual\.trunk\."):
        open_clips.image_tower(state, prefix="visual.trunk.")
