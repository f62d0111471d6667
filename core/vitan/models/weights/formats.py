"""Read a checkpoint of any usual format, recognised by its content and never by its name. No code in it is run."""

from __future__ import annotations

import mmap
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ...errors import WeightsFormatError, WeightsUnavailableError
from ...pickles import Machine
from .archive import Archive, read_legacy
from .states import State, as_mapping, find_states, not_dense
from .tensors import TENSORS
from .torchscript import read_torchscript

_LEGACY_MAGIC = re.compile(rb"\x80[\x02-\x05](?:\x95.{8})?\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19\.", re.DOTALL)
_AGAIN = "fetch it again"
_MOST_UNFOLDED = 20  # times the size of a compressed archive; weights become half as large at best
_ROOM = 256 << 20  # bytes that any archive may unfold to

#: How files look that are often mistaken for a checkpoint, and the way out.
_IMPOSTORS = (
    (rb"version https://git-lfs", "a Git LFS pointer, not the file itself", "run 'git lfs pull' in its repository"),
    (rb"\s*<(?i:!doctype html|html)", "a web page saved under this name", "fetch the file behind the link itself"),
    (rb"\s*<\?xml", "an XML answer of a server, probably an error", "open it as text, and fetch the file again"),
    (rb"\x1f\x8b", "gzip-compressed", "unpack it first (gunzip)"),
    (rb"BZh|\xfd7zXZ|\x28\xb5\x2f\xfd|7z\xbc\xaf|Rar!", "compressed (bzip2, xz, zstd, 7z or rar)", "unpack it first"),
    (rb".{257}ustar", "a tar archive", "unpack it first (tar -xf)"),
    (rb"\x89HDF\r\n", "an HDF5 file (Keras, TensorFlow)", "convert it to a PyTorch state dict first"),
    (rb"\x93NUMPY", "a single NumPy array", "a checkpoint is an .npz with one array per key"),
    (rb"GGUF|ggml|lmgg", "a GGUF file (llama.cpp)", "give the PyTorch or safetensors file that it was made from"),
    (rb".{4}TFL3", "a TensorFlow Lite model", "give the file that it was converted from"),
    (
        rb"\x08[\x01-\x14](\x12.{1,40})?[\x1a\x22\x2a\x3a\x42]|\x08[\x01-\x14]\x12",
        "an ONNX model or another protocol buffer",
        "give the PyTorch or safetensors file that it was exported from",
    ),
    (rb"\x89PNG|\xff\xd8\xff|GIF8|RIFF|%PDF", "a picture or document", "give the file that holds the tensors"),
    (rb"\s*[{\[]", "JSON text", "give the file that holds the tensors"),
)


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The state dicts of a file, in words what kind of file it was, and the names of all that stands at its top."""

    states: tuple[State, ...]
    kind: str
    names: tuple[str, ...] = ()


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a file that ``torch.save`` or ``pickle`` wrote, a TorchScript archive, an ``.npz`` or safetensors.

    Raises ``WeightsUnavailableError`` if there is no such file, ``WeightsFormatError`` if it is something else, is
    damaged, or holds no state dict.
    """
    if path.is_dir():
        raise WeightsFormatError(f"{path}: this is a folder; give the checkpoint file in it")
    if path.exists() and not path.is_file():
        raise WeightsFormatError(f"{path}: this is no regular file but a pipe or a device; give the checkpoint file")
    try:
        with path.open("rb") as stream:
            head = stream.read(512)
    except FileNotFoundError as error:
        raise WeightsUnavailableError(f"{path}: there is no such file") from error
    except OSError as error:
        raise WeightsFormatError(f"{path}: the file cannot be read ({error.strerror})") from error
    if not head:
        raise WeightsFormatError(f"{path}: the file is empty (0 bytes); {_AGAIN}")
    if head.startswith(b"PK\x03\x04"):
        return _read_zip(path)
    if _LEGACY_MAGIC.match(head):
        return _read_pickle(path, "legacy PyTorch")
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= path.stat().st_size - 8:
        return _read_safetensors(path)
    if head[0] == 0x80 and head[1:2] in (b"\2", b"\3", b"\4", b"\5"):
        return _read_pickle(path, "bare pickle")
    raise _not_a_checkpoint(path, head)


def _read_zip(path: Path) -> Checkpoint:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        size = path.stat().st_size
        raise WeightsFormatError(
            f"{path}: the file breaks off: it begins as a zip archive, but its end is missing or damaged after {size}"
            f" bytes (an interrupted download?); {_AGAIN}"
        ) from error
    names = [entry.filename for entry in entries]
    if any(name.endswith("/constants.pkl") or "/code/" in name for name in names):
        return _of_one(path, read_torchscript(path), "TorchScript archive")
    if any(name.endswith("/data.pkl") for name in names):
        return _read_pickle(path, "PyTorch")
    if names and all(name.endswith(".npy") for name in names):
        unfolded = sum(entry.file_size for entry in entries)
        if unfolded > max(_ROOM, _MOST_UNFOLDED * path.stat().st_size):
            raise WeightsFormatError(f"{path}: unfolds to {unfolded} bytes, which no weights do; it is not read")
        return _read_npz(path)
    keras = "; it is a Keras model: convert it to a PyTorch state dict first" if "model.weights.h5" in names else ""
    shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    raise WeightsFormatError(f"{path}: a zip archive without a checkpoint in it (it holds {shown or 'nothing'}){keras}")


def _read_pickle(path: Path, kind: str) -> Checkpoint:
    try:
        content = _pickled(path, kind)
    except WeightsFormatError:
        raise
    except Exception as error:  # a crafted pickle can raise anything
        raise WeightsFormatError(f"{path}: this {kind} file is damaged ({_first_line(error)}); {_AGAIN}") from error
    names = tuple(as_mapping(content))
    states = tuple(find_states(content))
    if not states:
        raise WeightsFormatError(f"{path}: a {kind} file that holds {_described(content)}")
    return Checkpoint(states=states, kind=f"{kind} state dict", names=names)


def _pickled(path: Path, kind: str) -> Any:
    if kind == "PyTorch":
        with zipfile.ZipFile(path) as archive:
            return Archive(path, archive).load()
    with path.open("rb") as file:
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)  # tensors keep it, so that it is not closed here
    return read_legacy(content) if kind.startswith("legacy") else Machine(content, len(content), TENSORS).load()


def _described(content: Any) -> str:
    """What a pickle without a state dict holds instead, and what to do."""
    key = not_dense(content)
    if key:
        return f"no dense tensor: {key!r} is sparse or quantized; save it as a dense tensor"
    if not isinstance(content, dict):
        return f"a {type(content).__name__}; expected a state dict (tensors by name)"
    keys = ", ".join(f"{key!r:.60}" for key in list(content)[:12])
    return (
        f"no state dict, that is, no tensors under names."
        f" Its top-level keys: {keys or 'none'}. Save the weights with torch.save(model.state_dict(), 'weights.pth')"
    )


def _read_npz(path: Path) -> Checkpoint:
    tensors: dict[str, Tensor] = {}
    try:
        with np.load(path, allow_pickle=False) as arrays:
            for key in arrays.files:
                array = arrays[key]
                tensors[key] = torch.from_numpy(array.astype(array.dtype.newbyteorder("="), copy=False))
    except Exception as error:  # a crafted archive can raise anything
        raise WeightsFormatError(f"{path}: this .npz cannot be read as plain arrays ({_first_line(error)})") from error
    return _of_one(path, tensors, "NumPy .npz")


def _read_safetensors(path: Path) -> Checkpoint:
    try:
        return _of_one(path, load_file(path, device="cpu"), "safetensors")
    except WeightsFormatError:
        raise
    except (SafetensorError, OSError, ValueError, RuntimeError, KeyError) as error:
        raise WeightsFormatError(f"{path}: this safetensors file is damaged ({error}); {_AGAIN}") from error


def _of_one(path: Path, tensors: Mapping[str, Tensor], kind: str) -> Checkpoint:
    """A file that is one state dict."""
    if not tensors:
        raise WeightsFormatError(f"{path}: a {kind} without a single tensor")
    return Checkpoint(states=(State(tensors=dict(tensors)),), kind=kind, names=tuple(tensors))


def _not_a_checkpoint(path: Path, head: bytes) -> WeightsFormatError:
    for pattern, looks, way_out in _IMPOSTORS:
        if re.match(pattern, head, re.DOTALL):
            return WeightsFormatError(f"{path}: this is {looks}, not a checkpoint; {way_out}")
    return WeightsFormatError(
        f"{path}: not a checkpoint in a known format (PyTorch, TorchScript, .npz, safetensors);"
        f" it begins with the bytes {head[:8].hex(' ')}"
    )


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200] or type(error).__name__
