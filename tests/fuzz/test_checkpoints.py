"""Checkpoints of all formats, as training scripts write them, damaged or with a payload."""

from __future__ import annotations

import argparse
import io
import pickle
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save

from fuzzing import COMMAND, expect_named
from spoiling import spoil, spoil_zip
from toys import build_toy, toy_plugins
from vitan import load_model
from vitan.errors import VitanError

ARGS = argparse.Namespace(lr=1e-3, arch="vit_tiny", output=Path("somewhere"))


class Payload:
    """Runs a command when Python's own unpickling reads it."""

    def __init__(self, call: Callable[..., object], *arguments: object) -> None:
        self.made_by = call, arguments

    def __reduce__(self) -> tuple[object, ...]:
        return self.made_by


def payloads() -> list[object]:
    import builtins
    import os
    import subprocess

    program = f"import os; os.system({COMMAND!r})"
    return [
        Payload(os.system, COMMAND),
        Payload(builtins.exec, program),
        Payload(builtins.eval, f"__import__('os').system({COMMAND!r})"),
        Payload(subprocess.call, COMMAND.split()),
        Payload(getattr, Payload(__import__, "os"), "system"),
        Payload(torch.load, "weights.pth"),
    ]


def weights() -> dict[str, Any]:
    return dict(build_toy().state_dict())


def containers() -> list[object]:
    """What a file may hold: weights, alone or in what scripts put around them."""
    tensors = weights()
    wrapped = {f"module.{key}": value for key, value in tensors.items()}
    teacher = {f"module.backbone.{key}": value for key, value in tensors.items()}
    return [
        tensors,
        {"model": tensors, "optimizer": {"state": {0: {"step": 3}}, "param_groups": [{"lr": 0.1}]}, "epoch": 7},
        {"state_dict": wrapped, "args": ARGS, "best": np.float64(0.7)},
        {"student": wrapped, "teacher": teacher, "args": ARGS, "epoch": 1},
        {"model": {key: value.half() for key, value in tensors.items()}, "rng": torch.get_rng_state()},
        {key: value.numpy() for key, value in tensors.items()},
        list(tensors.items()),
    ]


def saved(value: object, **how: Any) -> bytes:
    packed = io.BytesIO()
    torch.save(value, packed, **how)
    return packed.getvalue()


@cache
def honest() -> tuple[bytes, ...]:
    """Every container in every format that can hold it."""
    tensors = weights()
    arrays, scripted = io.BytesIO(), io.BytesIO()
    np.savez(arrays, **{key: value.numpy() for key, value in tensors.items()})
    torch.jit.save(torch.jit.trace(build_toy().eval(), torch.zeros(1, 3, 32, 32)), scripted)
    files = [save(tensors), arrays.getvalue(), scripted.getvalue()]
    for content in containers():
        files += [saved(content), saved(content, _use_new_zipfile_serialization=False), pickle.dumps(content, 4)]
    return tuple(files)


@cache
def poisoned() -> tuple[bytes, ...]:
    """Honest weights with a payload beside them, in every format of pickles and in an array of objects."""
    files = []
    for payload in payloads():
        for content in (payload, {"model": weights(), "args": payload}, {**weights(), "extra": [payload]}):
            files += [pickle.dumps(content, 2), saved(content), saved(content, _use_new_zipfile_serialization=False)]
        arrays = io.BytesIO()
        np.savez(arrays, objects=np.array([payload], dtype=object), allow_pickle=True)
        files.append(arrays.getvalue())
        files.append(with_member(honest()[2], ".pkl", pickle.dumps(payload, 2)))
    return tuple(files)


def with_member(content: bytes, suffix: str, replacement: bytes) -> bytes:
    """A zip archive in which every member of that suffix has another content."""
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(packed, "w") as target:
        for name in source.namelist():
            target.writestr(name, replacement if name.endswith(suffix) else source.read(name))
    return packed.getvalue()


def attempt(random: Random, folder: Path) -> None:
    path = folder / f"weights{random.choice(['.pth', '.safetensors', '.npz', '.pt', ''])}"
    content = random.choice(poisoned() if random.random() < 0.2 else honest())
    if random.random() < 0.9:
        content = (spoil_zip if content.startswith(b"PK") else spoil)(random, content)
    path.write_bytes(content)
    try:
        model = load_model("toy-T8", weights=path, device="cpu", plugins=toy_plugins())
    except VitanError as error:
        expect_named(error, path.name)
        raise
    assert model.info.depth == 3


@pytest.mark.filterwarnings("ignore")  # torch and numpy have much to say about how these are made
def test_checkpoints_load_or_are_refused(fuzz: Any) -> None:
    fuzz(attempt, some=25, many=500)


def test_the_payloads_are_alive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's own unpickling runs them, so that nothing else is why none has run."""
    monkeypatch.chdir(tmp_path)
    for payload in payloads()[:4]:
        pickle.loads(pickle.dumps(payload))
        (tmp_path / "executed").unlink()
