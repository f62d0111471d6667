"""Loading a file into a model: exactly, or not at all."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from vitan.errors import WeightsFormatError, WeightsMismatchError
from vitan.models.weights import Fitted, fit
from vitan.registry.specs import CheckpointFormat, ModelSpec, StateDict

KEYS = Path(__file__).parents[3] / "golden" / "models" / "keys"


class Toy(nn.Module):
    """A table, a layer and a buffer, named as in a Vision Transformer."""

    def __init__(self, tokens: int = 5) -> None:
        super().__init__()
        self.pos_embed = nn.Parameter(torch.zeros(1, tokens, 4))
        self.proj = nn.Linear(4, 3)
        self.register_buffer("index", torch.zeros(2, dtype=torch.int64))


def spec(*formats: CheckpointFormat) -> ModelSpec:
    return ModelSpec(name="toy-S16", summary="toy", family="toy", arch="S", patch=16, build=Toy, formats=formats)


def state() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(3)
    shapes = {"pos_embed": (1, 5, 4), "proj.weight": (3, 4), "proj.bias": (3,)}
    tensors = {key: torch.randn(shape, generator=generator) for key, shape in shapes.items()}
    return {**tensors, "index": torch.tensor([4, 2])}


def saved(folder: Path, tensors: object) -> Path:
    path = folder / "toy.pth"
    torch.save(tensors, path)
    return path


def assert_holds(module: nn.Module, want: StateDict) -> None:
    for key, value in module.state_dict().items():
        assert torch.equal(value, want[key]), key


def test_own_state_dict_needs_no_format(tmp_path: Path) -> None:
    module = Toy()
    assert fit(module, spec(), saved(tmp_path, state())) == Fitted(format="own state dict", kind="PyTorch state dict")
    assert_holds(module, state())


def test_half_precision_is_widened(tmp_path: Path) -> None:
    half = {key: value.half() if value.is_floating_point() else value for key, value in state().items()}
    module = Toy()
    fit(module, spec(), saved(tmp_path, half))
    assert module.proj.weight.dtype == torch.float32
    assert torch.equal(module.proj.weight, half["proj.weight"].float())


def prefixed(tensors: StateDict) -> StateDict:
    if "visual.pos_embed" not in tensors:
        raise KeyError("visual.pos_embed")
    return {key.removeprefix("visual."): value for key, value in tensors.items() if key.startswith("visual.")}


def test_first_format_that_fits_wins(tmp_path: Path) -> None:
    file = {f"visual.{key}": value for key, value in state().items()} | {"text": torch.ones(1)}
    never = CheckpointFormat(name="never", missing=frozenset({"proj.bias"}))
    first, second = (CheckpointFormat(name=name, convert=prefixed) for name in ("first", "second"))
    module = Toy()
    assert fit(module, spec(never, first, second), saved(tmp_path, {"model": file})) == Fitted(
        format="first", kind="PyTorch state dict under 'model'", taken="model"
    )
    assert_holds(module, state())


def test_missing_and_unused_are_exact(tmp_path: Path) -> None:
    form = CheckpointFormat(name="toy", missing=frozenset({"index"}), unused=frozenset({"text", "mask_token"}))
    file = state() | {"text": torch.ones(7)}
    del file["index"]
    module = Toy()
    module.index += 9
    assert fit(module, spec(form), saved(tmp_path, file)).format == "toy"
    assert torch.equal(module.index, torch.tensor([9, 9]))  # as built
    with pytest.raises(WeightsMismatchError, match=r"1 in the file, though this format should lack them: index"):
        fit(module, spec(form), saved(tmp_path, file | {"index": torch.tensor([1, 2])}))
    del file["proj.bias"]
    with pytest.raises(WeightsMismatchError, match=r"1 missing from the file: proj\.bias"):
        fit(module, spec(form), saved(tmp_path, file))


def test_nothing_is_loaded_if_it_does_not_fit(tmp_path: Path) -> None:
    module = Toy()
    before = {key: value.clone() for key, value in module.state_dict().items()}
    file = state()
    file["proj.extra"] = torch.ones(1)
    with pytest.raises(WeightsMismatchError):
        fit(module, spec(), saved(tmp_path, file))
    assert_holds(module, before)


def test_the_message_describes_the_closest_format(tmp_path: Path) -> None:
    file = state() | {f"extra.{n}": torch.ones(1) for n in range(5)}
    del file["proj.bias"]
    other = CheckpointFormat(name="clip", convert=prefixed)
    path = saved(tmp_path, file)
    with pytest.raises(WeightsMismatchError) as caught:
        fit(Toy(tokens=10), spec(other), path)
    message = str(caught.value)
    assert message.startswith(f"{path} does not fit the model 'toy-S16'")
    assert "'own state dict', where 2 of 4 keys fit" in message
    assert "1 missing from the file: proj.bias\n" in message
    assert "5 unknown to the model: extra.0, extra.1, extra.2, ...\n" in message
    assert "pos_embed: file (1, 5, 4), model (1, 10, 4): a checkpoint of another image size?" in message
    assert "'clip': the file has no 'visual.pos_embed'" in message


@pytest.mark.parametrize(
    ("file", "model", "cause"),
    [((8, 3, 4, 4), (8, 3, 2, 2), "another patch size"), ((8, 6), (8, 4), "another width"), ((8,), (4, 2), "")],
)
def test_guesses_the_cause_of_another_shape(tmp_path: Path, file: tuple[int], model: tuple[int], cause: str) -> None:
    module = nn.Module()
    module.register_buffer("weight", torch.zeros(model))
    with pytest.raises(WeightsMismatchError) as caught:
        fit(module, spec(), saved(tmp_path, {"weight": torch.zeros(file)}))
    line = next(line for line in str(caught.value).splitlines() if "weight: file" in line)
    assert f"file {file}, model {model}" in line
    assert line.endswith(f": a checkpoint of {'a model of ' if 'width' in cause else ''}{cause}?" if cause else ")")


def test_integers_are_no_weights(tmp_path: Path) -> None:
    with pytest.raises(WeightsMismatchError, match=r"proj\.bias: file torch\.int64, model torch\.float32"):
        fit(Toy(), spec(), saved(tmp_path, state() | {"proj.bias": torch.tensor([1, 2, 3])}))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_must_be_finite(tmp_path: Path, value: float) -> None:
    file = state()
    file["proj.weight"][1, 2] = value
    module = Toy()
    before = {key: tensor.clone() for key, tensor in module.state_dict().items()}
    with pytest.raises(WeightsFormatError, match=r"1 of the 12 numbers of 'proj\.weight' are not finite"):
        fit(module, spec(), saved(tmp_path, file))
    assert_holds(module, before)


def test_a_format_with_its_own_reader(tmp_path: Path) -> None:
    path = tmp_path / "toy.weights"
    path.write_text(json.dumps({key: value.tolist() for key, value in state().items()}))

    def read(path: Path) -> StateDict:
        return {key: torch.tensor(value) for key, value in json.loads(path.read_text()).items()}

    module = Toy()
    assert fit(module, spec(CheckpointFormat(name="json", read=read)), path).format == "json"
    assert_holds(module, state())
    with pytest.raises(WeightsFormatError, match="JSON text"):
        fit(module, spec(), path)
    with pytest.raises(WeightsMismatchError, match=r"'json', where 3 of 4 keys fit[\s\S]*JSON text"):
        fit(Toy(tokens=10), spec(CheckpointFormat(name="json", read=read)), path)


def broken(error: Exception) -> Callable[[StateDict], StateDict]:
    def convert(tensors: StateDict) -> StateDict:
        raise error

    return convert


@pytest.mark.parametrize("error", [KeyError("cls"), ValueError("shape"), RuntimeError("shape"), IndexError("dim")])
def test_a_conversion_that_fails_is_a_format_that_does_not_fit(tmp_path: Path, error: Exception) -> None:
    form = CheckpointFormat(name="broken", convert=broken(error))
    assert fit(Toy(), spec(form), saved(tmp_path, state())).format == "own state dict"
    with pytest.raises(WeightsMismatchError, match=f"'broken': the file .*{error.args[0]}"):
        fit(Toy(tokens=10), spec(form), saved(tmp_path, state()))


def test_a_bug_in_a_conversion_is_not_hidden(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        fit(Toy(), spec(CheckpointFormat(name="bug", convert=broken(TypeError("bug")))), saved(tmp_path, state()))


def test_a_module_that_loads_in_its_own_way_is_watched(tmp_path: Path) -> None:
    class Forgetful(Toy):
        def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *rest: object) -> None:
            state_dict.pop(f"{prefix}pos_embed")
            super()._load_from_state_dict(state_dict, prefix, *rest)  # type: ignore[arg-type]

    with pytest.raises(WeightsMismatchError, match="left pos_embed unfilled"):
        fit(Forgetful(), spec(), saved(tmp_path, state()))


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("beit-B-16-224", "a BEiT pre-training checkpoint"),
        ("clip-B-32-224", "a CLIP model in OpenAI's or open_clip's naming"),
        ("dino-S-16-224", "a Vision Transformer in timm's naming"),
        ("mae-B-16-224", "a Vision Transformer in timm's naming"),
        ("moco-S-16-224", "a MoCo-v3 training checkpoint"),
        ("timm-B-16-224", "a Vision Transformer of the JAX releases"),
    ],
)
def test_recognises_other_published_checkpoints(tmp_path: Path, config: str, words: str) -> None:
    listed = json.loads(gzip.decompress((KEYS / f"{config}.json.gz").read_bytes()))
    path = tmp_path / "file.npz"
    with path.open("wb") as stream:
        np.savez(stream, **{entry["key"]: np.zeros(1, np.float32) for entry in listed["entries"]})
    with pytest.raises(WeightsMismatchError, match=f"By its keys, the file is {words}"):
        fit(Toy(), spec(), path)
