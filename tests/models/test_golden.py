"""The six families against the published code: from a photograph and a checkpoint file to features, maps and branches.

Every ``*.json`` in the folder is one configuration; its checkpoint is rebuilt from the key list that the file names,
and every number in it is compared within the limits of the folder's README. ``VITAN_GOLDEN`` names another set.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from golden import FOLDER as SET
from golden import OWN
from scripts import load_script
from vitan.data.views import make_view, to_tensor
from vitan.models.model import as_built
from vitan.models.weights import fit
from vitan.registry.plugins import installed

FOLDER = SET / "models"
CONFIGS = sorted(path.stem for path in FOLDER.glob("*.json"))

#: The published code's words for the residual taps.
TAPS = {
    "attn_residual": "block_in",
    "attn_normal": "attention_branch",
    "mlp_residual": "mid",
    "mlp_normal": "mlp_branch",
}

pytestmark = pytest.mark.golden


def _tools() -> Any:
    return load_script(OWN / "models" / "build_checkpoint.py")


def _golden(config: Any) -> Any:
    return json.loads((FOLDER / f"{config}.json").read_text(encoding="utf-8"))


def _spec(golden: Any) -> Any:
    """By the published id, which is an alias of ours."""
    size = "" if golden["imsize"] == 224 else f"-{golden['imsize']}"
    spec = installed().model(f"{golden['family']}-{golden['arch']}{golden['patch']}{size}")
    assert installed().model(golden["mod_id"]) is spec
    return spec


def _pixels(golden: Any, spec: Any, photo: Any) -> Any:
    view = make_view("crop", spec.image_size, spec.patch)
    with Image.open(FOLDER / "images" / f"{photo}.png") as image:
        seen, _ = view.place(image.convert("RGB"))
    return to_tensor(seen, spec.mean, spec.std)


@pytest.mark.parametrize("config", CONFIGS)
def test_preprocessing(config: Any) -> None:
    golden = _golden(config)
    spec = _spec(golden)
    made = {photo: _of_pixels(_pixels(golden, spec, photo)) for photo in golden["preprocess"]}
    _assert_close({"preprocess": made}, golden, lambda *_: 1e-6)


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")  # how CLIP's file is rebuilt
def test_model(config: Any, tmp_path: Path) -> None:
    golden = _golden(config)
    _assert_close(_run(golden, tmp_path), golden, _limits(golden))


def _run(golden: Any, folder: Any) -> Any:
    """All that the golden file tells of the model, in the same layout, from a rebuilt checkpoint."""
    spec, tools = _spec(golden), _tools()
    keys = tools.load_keylist(str(FOLDER / "keys" / golden["keylist"]))
    model = as_built(spec)
    path = Path(tools.build(keys, str(folder)))
    fit(model.module, spec, path)
    path.unlink()

    photos = list(golden["features"])
    marked = [golden["blocks"][name] for name in ("first", "middle", "last")]
    wanted = {block: {"block"} for block in range(model.info.depth)}
    wanted |= {block: {"block", "attention", *TAPS.values()} for block in marked}
    blocks = {}

    def on_block(block: Any, taps: Any) -> None:
        parts = {name: _of_block(name, value, block in marked) for name, value in taps.items()}
        blocks[block] = {"shapes": {name: list(value.shape) for name, value in taps.items()}, **parts}
        if block == model.info.depth - 1:
            blocks["cls"] = taps["block"][:, 0].clone()

    with model.record(wanted, on_block):
        out = model.forward(torch.stack([_pixels(golden, spec, photo) for photo in photos]))
    made = {
        "n_blocks": model.info.depth,
        "feat_shape": blocks[0]["shapes"]["block"],
        "attn_shape": blocks[0]["shapes"]["attention"],
        "features": _by_photo(photos, marked, lambda i, b: blocks[b]["block"][i]["full"]),
        "features_norm_by_block": {
            photo: [blocks[b]["block"][i]["norm"] for b in range(model.info.depth)] for i, photo in enumerate(photos)
        },
        "attention": _by_photo(photos, marked, lambda i, b: blocks[b]["attention"][i]),
        "taps": _by_photo(photos, marked, lambda i, b: {tap: blocks[b][name][i] for tap, name in TAPS.items()}),
        "final": {"rows": dict(zip(photos, _of_final(golden, keys, tools, out, blocks["cls"]), strict=True))},
    }
    made["skip_over_branch_norm_ratio_batch_mean"] = _ratios(made["taps"], photos, marked)
    if "pos_embed" in golden:
        table = model.module.pos_embed
        made["pos_embed"] = {"shape": list(table.shape), **_stats(table), **_of_rows(table[0])}
    return made


def _by_photo(photos: Any, blocks: Any, take: Any) -> Any:
    return {photo: {str(block): take(i, block) for block in blocks} for i, photo in enumerate(photos)}


def _of_pixels(pixels: Any) -> Any:
    _, height, width = pixels.shape
    corners = {"tl": (0, 0), "tr": (0, -1), "bl": (-1, 0), "br": (-1, -1), "centre": (height // 2, width // 2)}
    channels = pixels.double().flatten(1)
    return {
        "shape": list(pixels.shape),
        **_stats(pixels),
        "channel_mean": channels.mean(1).tolist(),
        "channel_std": channels.std(1, correction=0).tolist(),
        "corners": {name: pixels[:, row, column].tolist() for name, (row, column) in corners.items()},
    }


def _of_block(name: Any, value: Any, full: Any) -> Any:
    if name == "attention":
        return [_of_attention(maps.double()) for maps in value]
    if name == "block":
        return [{"norm": float(x.double().norm()), "full": _of_features(x) if full else {}} for x in value]
    return [_of_tap(x.double()) for x in value]


def _of_features(x: Any) -> Any:  # (token, channel)
    return {
        "shape": list(x.shape),
        **_stats(x),
        "cls_first16": x[0, :16].tolist(),
        "token5_first16": x[5, :16].tolist(),
        "last_token_first16": x[-1, :16].tolist(),
        "cls_norm": float(x[0].double().norm()),
        "spatial_mean_first16": x[1:].double().mean(0)[:16].tolist(),
    }


def _of_attention(maps: Any) -> Any:  # (head, query, key)
    entropy = torch.special.entr(maps).sum(-1)  # (head, query), in nats
    heads = {
        str(head % len(maps)): {
            "cls_row_first16": maps[head, 0, :16].tolist(),
            "token5_row_first16": maps[head, 5, :16].tolist(),
            "cls_row_argmax": int(maps[head, 0].argmax()),
            "cls_row_max": float(maps[head, 0].max()),
            "entropy_mean": float(entropy[head].mean()),
            "entropy_cls": float(entropy[head, 0]),
            "row_sum_max_dev": float((maps[head].sum(-1) - 1).abs().max()),
        }
        for head in (0, -1)
    }
    return {
        "shape": list(maps.shape),
        "heads": heads,
        "entropy_mean_all_heads": float(entropy.mean()),
        "entropy_mean_per_head": entropy.mean(-1).tolist(),
    }


def _of_tap(x: Any) -> Any:  # (token, channel)
    return {
        "norm": float(x.norm()),
        "cls_norm": float(x[0].norm()),
        "spatial_norm": float(x[1:].norm()),
        "cls_first8": x[0, :8].tolist(),
    }


def _of_final(golden: Any, keys: Any, tools: Any, out: Any, last_cls: Any) -> Any:
    """The end of the published models' forward pass, which is not always the end of ours."""
    if golden["family"] == "beit":  # there, without the checkpoint's final norm
        out = last_cls
    if golden["family"] == "clip":  # there, projected into the joint space
        entry = next(entry for entry in keys["entries"] if entry["key"] == "visual.proj")
        out = out @ torch.from_numpy(tools.make(entry)).float()
    return [{"first16": row[:16].tolist(), "norm": float(row.double().norm())} for row in out]


def _of_rows(table: Any) -> Any:
    return {"row1_first8": table[1, :8].tolist(), "row20_first8": table[20, :8].tolist()}


def _stats(x: Any) -> Any:
    x = x.double()
    return {"mean": x.mean().item(), "std": x.std(correction=0).item(), "min": x.min().item(), "max": x.max().item()}


def _ratios(taps: Any, photos: Any, blocks: Any) -> Any:
    """What the published norm analysis reports: residual over branch, averaged over the photographs."""
    kinds = {"all": "norm", "cls": "cls_norm", "spat": "spatial_norm"}

    def mean(branch: Any, block: Any, kind: Any) -> Any:
        pairs = [(taps[p][str(block)][f"{branch}_residual"], taps[p][str(block)][f"{branch}_normal"]) for p in photos]
        return sum(residual[kind] / normal[kind] for residual, normal in pairs) / len(pairs)

    return {
        branch: {str(block): {name: mean(branch, block, kind) for name, kind in kinds.items()} for block in blocks}
        for branch in ("attn", "mlp")
    }


def _limits(golden: Any) -> Any:
    """The absolute limit of a value, by its path in the file and the value there; nearly all are the README's."""

    def largest(photo: Any, block: Any) -> Any:
        features = golden["features"][photo][block]
        return max(abs(features["min"]), abs(features["max"]))

    def limit(path: Any, expected: Any) -> Any:
        section, *rest, name = (*path, "") if len(path) == 1 else path
        if section in ("n_blocks", "feat_shape", "attn_shape") or name in ("shape", "cls_row_argmax"):
            return 0
        if section == "attention":
            return 3e-5 if "entropy" in name else 2e-5
        if section == "features_norm_by_block":
            return 1e-6 * float(expected.max())
        if section == "taps" and "norm" in name:
            return 3e-6 * float(expected)
        if section == "skip_over_branch_norm_ratio_batch_mean":  # of norms that were taken in single precision
            return 1e-5 * float(expected)
        if section in ("features", "taps"):
            return 5e-6 * largest(rest[0], rest[1])
        if section == "final":
            return 2e-5
        return 1e-6

    return limit


def _assert_close(made: Any, golden: Any, limit: Any) -> None:
    """Compare all that the file tells in the sections of ``made``."""
    expected = {path: value for section in made for path, value in _leaves({section: golden[section]})}
    found = dict(_leaves(made))
    off = [
        f"{'.'.join(path)}: only on one side" for path in sorted(found.keys() ^ expected.keys()) if path[-1] != "what"
    ]
    for path in found.keys() & expected.keys():
        here, there = (torch.tensor(side[path], dtype=torch.float64) for side in (found, expected))
        difference = float((here - there).abs().max()) if here.shape == there.shape else float("inf")
        if not difference <= limit(path, there):
            off.append(f"{'.'.join(path)}: off by {difference:.1e}, allowed {limit(path, there):.1e}")
    assert not off, f"{len(off)} of {len(expected)} numbers differ:\n" + "\n".join(sorted(off)[:20])


def _leaves(tree: Any, path: Any = ()) -> Iterator[Any]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from _leaves(value, (*path, key))
    else:
        yield path, tree
