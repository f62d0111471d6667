"""Read a checkpoint of any usual format, recognised by its content and never by its name. No code in it is run."""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ...errors import WeightsFormatError, WeightsUnavailableError
from .torchscript import read_torchscript, refused_global

#: Top-level keys under which training scripts put the state dict.
WRAPPERS = ("model", "state_dict", "module")
_LEGACY_MAGIC = re.compile(rb"\x80[\x02-\x05](?:\x95.{8})?\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19\.", re.DOTALL)
_AGAIN = "fetch it again"
_SCALARS = (bool, int, float, str, type(None))

#: How files look that are often mistaken for a checkpoint, and the way out.
_IMPOSTORS = (
    (rb"version https://git-lfs", "a Git LFS pointer, not the file itself", "run 'git lfs pull' in its repository"),
    (rb"\s*<(?i:!doctype html|html)", "a web page saved under this name", "fetch the file behind the link itself"),
    (rb"\s*<\?xml", "an XML answer of a server, probably an error", "open it as text, and fetch the file again"),
    (rb"\x1f\x8b", "gzip-compressed", "unpack it first (gunzip)"),
    (rb".{257}ustar", "a tar archive", "unpack it first (tar -xf)"),
    (rb"\x89HDF\r\n", "an HDF5 file (Keras, TensorFlow)", "convert it to a PyTorch state dict first"),
    (rb"\x93NUMPY", "a single NumPy array", "a checkpoint is an .npz with one array per key"),
    (rb"\s*[{\[]", "JSON text", "give the file that holds the tensors"),
)


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The tensors of a file by key, on the CPU in the file's own dtypes, and in words what kind of file it was."""

    tensors: dict[str, Tensor]
    kind: str


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a file that ``torch.save`` wrote (new or legacy), a TorchScript archive, an ``.npz`` or safetensors.

    A pickled state dict may be the top level or stand under exactly one of ``model``, ``state_dict``, ``module``.
    Numbers, strings and ``None`` beside its tensors are bookkeeping and are left out; anything else is an error.

    Raises ``WeightsUnavailableError`` if there is no such file, ``WeightsFormatError`` if it is something else, is
    damaged, or could only be read by running code that it brings along.
    """
    if path.is_dir():
        raise WeightsFormatError(f"{path}: this is a folder; give the checkpoint file in it")
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
        return _read_torch(path, zipped=False)
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= path.stat().st_size - 8:
        return _read_safetensors(path)
    raise _not_a_checkpoint(path, head)


def _read_zip(path: Path) -> Checkpoint:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile as error:
        size = path.stat().st_size
        raise WeightsFormatError(
            f"{path}: the file breaks off: it begins as a zip archive, but its end is missing after {size} bytes"
            f" (an interrupted download?); {_AGAIN}"
        ) from error
    if any(name.endswith("/constants.pkl") or "/code/" in name for name in names):
        return _checked(path, read_torchscript(path), "TorchScript archive")
    if any(name.endswith("/data.pkl") for name in names):
        return _read_torch(path, zipped=True)
    if names and all(name.endswith(".npy") for name in names):
        return _read_npz(path)
    shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    raise WeightsFormatError(f"{path}: a zip archive without a checkpoint in it (it holds {shown or 'nothing'})")


def _read_torch(path: Path, *, zipped: bool) -> Checkpoint:
    try:
        # mmap: a checkpoint may hold far more than the model needs (optimizer, momentum encoder, text tower)
        loaded = torch.load(str(path), map_location="cpu", weights_only=True, mmap=zipped)
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL ([\w.]+)", str(error))
        if named:
            raise refused_global(path, named[1].rstrip(".")) from error
        unsupported = re.search(r"WeightsUnpickler error:\s*(.*)", str(error))
        raise WeightsFormatError(
            f"{path}: the pickle in it uses more than plain weights need"
            f" ({unsupported[1] if unsupported else _first_line(error)}), and vitan runs no code from a checkpoint;"
            " save its tensors anew with torch.save(state_dict, 'weights.pth'), in the default pickle protocol"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise WeightsFormatError(f"{path}: this PyTorch file is damaged ({_first_line(error)}); {_AGAIN}") from error
    state, where = _unwrap(path, loaded)
    return _checked(path, state, f"{'' if zipped else 'legacy '}PyTorch state dict{where}")


def _unwrap(path: Path, loaded: object) -> tuple[Mapping[object, object], str]:
    """The state dict in what ``torch.load`` gave, and in words where it was."""
    if not isinstance(loaded, Mapping):
        raise WeightsFormatError(f"{path}: holds a {type(loaded).__name__}; expected a state dict (tensors by name)")
    wrapped = [name for name in WRAPPERS if isinstance(loaded.get(name), Mapping)]
    if len(wrapped) == 1:
        return loaded[wrapped[0]], f" under {wrapped[0]!r}"
    if not wrapped and any(isinstance(value, Tensor) for value in loaded.values()):
        return loaded, ""
    keys = ", ".join(repr(key) for key in list(loaded)[:12])
    problem = f"state dicts under each of {', '.join(map(repr, wrapped))}" if wrapped else "no state dict"
    raise WeightsFormatError(
        f"{path}: holds {problem}; expected tensors at the top level or under exactly one of"
        f" {', '.join(map(repr, WRAPPERS))}. Its top-level keys: {keys or 'none'}. Save the right part alone with"
        " torch.save(part, 'weights.pth')"
    )


def _read_npz(path: Path) -> Checkpoint:
    tensors: dict[str, Tensor] = {}
    try:
        with np.load(path, allow_pickle=False) as arrays:
            for key in arrays.files:
                array = arrays[key]
                tensors[key] = torch.from_numpy(array.astype(array.dtype.newbyteorder("="), copy=False))
    except (ValueError, TypeError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise WeightsFormatError(f"{path}: this .npz cannot be read as plain arrays ({_first_line(error)})") from error
    return _checked(path, tensors, "NumPy .npz")


def _read_safetensors(path: Path) -> Checkpoint:
    try:
        return _checked(path, load_file(path, device="cpu"), "safetensors")
    except (SafetensorError, OSError) as error:
        raise WeightsFormatError(f"{path}: this safetensors file is damaged ({error}); {_AGAIN}") from error


def _checked(path: Path, state: Mapping[object, object] | Mapping[str, Tensor], kind: str) -> Checkpoint:
    """Only dense tensors by name, at least one."""
    tensors: dict[str, Tensor] = {}
    for key, value in state.items():
        if not isinstance(key, str) or not isinstance(value, (Tensor, *_SCALARS)):
            found = f"{type(key).__name__} key {key!r} with a {type(value).__name__}"
            raise WeightsFormatError(f"{path}: a {kind} maps names to tensors, and this one has the {found}")
        if isinstance(value, Tensor):
            if value.layout != torch.strided or value.is_quantized:
                raise WeightsFormatError(f"{path}: {key!r} is sparse or quantized; save it as a dense tensor")
            tensors[key] = value
    if not tensors:
        raise WeightsFormatError(f"{path}: a {kind} without a single tensor")
    return Checkpoint(tensors=tensors, kind=kind)


def _not_a_checkpoint(path: Path, head: bytes) -> WeightsFormatError:
    for pattern, looks, way_out in _IMPOSTORS:
        if re.match(pattern, head, re.DOTALL):
            return WeightsFormatError(f"{path}: this is {looks}, not a checkpoint; {way_out}")
    if head[0] == 0x80 and head[1] in range(2, 6):
        return WeightsFormatError(
            f"{path}: a bare pickle, not written by torch.save, and vitan runs no code from a checkpoint; load it where"
            " you trust it, and save its tensors with torch.save(state_dict, 'weights.pth')"
        )
    return WeightsFormatError(
        f"{path}: not a checkpoint in a known format (PyTorch, TorchScript, .npz, safetensors);"
        f" it begins with the bytes {head[:8].hex(' ')}"
    )


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200] or type(error).__name__
