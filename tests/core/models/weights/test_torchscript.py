"""TorchScript archives: the same tensors as torch.jit gives, and nothing in them is run."""

import os
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from vitan.errors import WeightsFormatError
from vitan.models.weights import read_checkpoint, read_torchscript

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.*:FutureWarning", "ignore:.*torch.jit.*:DeprecationWarning")

DTYPES = (
    *(torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64, torch.complex128),
    *(torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
)


class Tiny(nn.Module):
    """Every kind of attribute: parameters, buffers, a plain tensor, None, lists, and nested and repeated modules."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 3)
        self.layers = nn.Sequential(nn.Linear(3, 3, bias=False), nn.BatchNorm1d(3), nn.Linear(3, 3))
        self.tied = nn.Linear(4, 3)
        self.tied.weight = self.first.weight
        self.same = self.first
        self.mask = torch.ones(2, 2)  # as CLIP's attention mask: in the archive, but not in the state dict
        self.sizes = [1, 2, 3]
        self.scales = [0.5, 1.5]
        self.label = "x"
        base = torch.arange(24.0)
        self.register_buffer("transposed", base.view(4, 6).t())
        self.register_buffer("offset", base[5:9])
        self.register_buffer("strided", base[::5])
        self.register_buffer("scalar", torch.tensor(7))
        self.register_buffer("empty", torch.empty(0, 3))
        self.register_buffer("absent", None)
        for dtype in DTYPES:
            self.register_buffer(str(dtype).replace("torch.", "as_"), torch.tensor([0, 1, 1]).to(dtype))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(self.first(x) + self.mask.sum() + self.scales[0] + self.sizes[1])


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "model.pt"
    torch.jit.script(Tiny().eval()).save(str(path))
    return path


def test_equals_the_state_dict_of_jit(archive: Path) -> None:
    want = torch.jit.load(str(archive)).state_dict()
    got = read_torchscript(archive)
    assert list(got) == list(want)
    for key, value in want.items():
        assert got[key].dtype == value.dtype
        assert got[key].stride() == value.stride()
        assert torch.equal(got[key], value)
    assert got["first.weight"].data_ptr() == got["tied.weight"].data_ptr()
    assert "mask" not in got


def test_traced_modules_too(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.jit.trace(Tiny().eval(), torch.ones(1, 4)).save(str(path))
    want = torch.jit.load(str(path)).state_dict()
    got = read_torchscript(path)
    assert list(got) == list(want)
    assert all(torch.equal(got[key], want[key]) for key in want)


def test_is_recognised(archive: Path) -> None:
    assert read_checkpoint(archive).kind == "TorchScript archive"


def rewrite(archive: Path, **replaced: bytes | None) -> Path:
    """A copy of the archive with members replaced (``data_0`` means ``data/0``) or, if None, left out."""
    path = archive.with_name("changed.pt")
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            key = name.partition("/")[2].replace("/", "_").replace(".", "_")
            content = replaced.get(key, old.read(name))
            if content is not None:
                new.writestr(name, content)
    return path


class _Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch executed",)


def test_code_is_named_and_not_run(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(archive.parent)
    path = rewrite(archive, data_pkl=pickle.dumps(_Evil(), protocol=2))
    with pytest.raises(WeightsFormatError, match=rf"'{os.system.__module__}\.system'"):
        read_checkpoint(path)
    assert not (archive.parent / "executed").exists()


@pytest.mark.parametrize(
    "name", ["builtins eval", "torch.jit load", "torch._utils _rebuild_sparse_tensor", "__torch__.no.such Thing"]
)
def test_every_other_name_is_refused(archive: Path, name: str) -> None:
    module, _, function = name.partition(" ")
    path = rewrite(archive, data_pkl=f"\x80\x02c{module}\n{function}\n.".encode("latin-1"))
    with pytest.raises(WeightsFormatError, match=f"{module}.{function}".replace(".", r"\.")):
        read_torchscript(path)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"not a pickle", "damaged"),
        (b"", "damaged"),
        (b"\x80\x02K\x01.", "the top of the TorchScript archive is not a module"),
        (b"\x80\x02ctorch.jit._pickle\nbuild_intlist\n)R.", "damaged"),
        (
            b"\x80\x02(X\x06\x00\x00\x00modulectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x01tQ.",
            "module",
        ),
    ],
)
def test_a_damaged_tree(archive: Path, data: bytes, words: str) -> None:
    with pytest.raises(WeightsFormatError, match=words):
        read_torchscript(rewrite(archive, data_pkl=data))


def test_a_tree_without_end(archive: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        codes = {name: opened.read(name) for name in opened.namelist() if name.endswith(".py")}
    member = next(name for name, code in codes.items() if b"class Tiny(Module):" in code)
    module = member.partition("code/")[2].removesuffix(".py").replace("/", ".")
    loop = f"\x80\x02c{module}\nTiny\n)\x81q\0}}X\4\0\0\0selfh\0sb.".encode("latin-1")  # tiny.self = tiny
    with pytest.raises(WeightsFormatError, match=r"self\.self\..* not a module"):
        read_torchscript(rewrite(archive, data_pkl=loop))


def test_a_storage_of_another_length(archive: Path) -> None:
    with pytest.raises(WeightsFormatError, match=r"data/0 has 3 bytes"):
        read_torchscript(rewrite(archive, data_0=b"abc"))


def test_a_missing_storage(archive: Path) -> None:
    with pytest.raises(WeightsFormatError, match="data/0"):
        read_torchscript(rewrite(archive, data_0=None))


def test_another_byte_order(archive: Path) -> None:
    with pytest.raises(WeightsFormatError, match="byte order"):
        read_torchscript(rewrite(archive, byteorder=b"big"))
