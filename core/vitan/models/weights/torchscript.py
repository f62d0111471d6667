"""Read the tensors of a TorchScript archive without running anything in it.

``torch.jit.load`` executes the archive's code and is deprecated. An archive is a zip of ``data.pkl`` (the tree of
modules, pickled), ``data/*`` (the raw storages) and ``code/*`` (the classes, as text). The tree is read as any pickle
is here, with strangers for the modules; the text is only searched for the names of the parameters and buffers, because
a module can also hold plain tensors that belong to no state dict.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from torch import Tensor

from ...errors import WeightsFormatError
from ...pickles import Builder, Stranger
from .archive import Archive
from .tensors import STORAGES, TENSORS

_DEEPEST = 100  # nested modules; real models stay below 20, and a tree that contains itself has no end


def read_torchscript(path: Path) -> dict[str, Tensor]:
    """The archive's parameters and buffers, as ``torch.jit.load(path).state_dict()`` would give them, on the CPU.

    Raises ``WeightsFormatError`` for a damaged archive and for anything in it that is not on the short list of
    expected names.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            reader = _Reader(Archive(path, archive))
            return dict(reader.walk(reader.load(), "", 0))
    except WeightsFormatError:
        raise
    except Exception as error:  # a crafted archive can raise anything
        raise WeightsFormatError(f"{path}: this TorchScript archive is damaged ({error}); fetch it again") from error


class _Reader:
    """Reads the tree of modules, and the text of their classes."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self.listed = cache(self._listed)

    def load(self) -> Any:
        """The module at the top."""

        def refuse(name: str) -> None:
            if name.startswith("__torch__."):
                self.listed(name)
            elif name not in STORAGES:
                raise WeightsFormatError(
                    f"{self._archive.path}: this TorchScript archive names {name!r}, which weights do not need, and"
                    " vitan runs no code from a checkpoint. If you trust its origin, load it elsewhere and save only"
                    " the tensors: torch.save(state_dict, 'weights.pth')"
                )

        return self._archive.load(_BUILDERS, refuse)

    def walk(self, module: object, prefix: str, depth: int) -> Iterator[tuple[str, Tensor]]:
        """Parameters, buffers, then submodules, in the order of ``nn.Module.state_dict``."""
        if not isinstance(module, Stranger) or not isinstance(module.state, dict) or depth > _DEEPEST:
            raise WeightsFormatError(
                f"{self._archive.path}: {prefix or 'the top'} of the TorchScript archive is not a module"
            )
        for name in self.listed(module.name):
            value = module.state.get(name)
            if isinstance(value, Tensor):  # an absent bias is None
                yield prefix + name, value
        for name, value in module.state.items():
            if isinstance(value, Stranger):
                yield from self.walk(value, f"{prefix}{name}.", depth + 1)

    def _listed(self, name: str) -> tuple[str, ...]:
        """The parameters and buffers of a class, from its text."""
        module, _, short = name.rpartition(".")
        member = f"code/{module.replace('.', '/')}.py"
        code = self._archive.read(member).decode() if member in self._archive else ""
        body = re.search(rf"^class {re.escape(short)}\(Module\):\n((?:[ \t].*\n|\n)*)", code, re.MULTILINE)
        if body is None:
            raise WeightsFormatError(
                f"{self._archive.path}: the TorchScript archive holds no text of its class {name!r}"
            )
        kinds = (re.search(rf"^\s+__{kind}__ = \[(.*)\]$", body[1], re.MULTILINE) for kind in ("parameters", "buffers"))
        return tuple(name for line in kinds if line for name in re.findall(r'"([^"]*)"', line[1]))


def _first(value: object, *_type: object) -> object:
    return value


_BUILDERS: dict[str, Builder] = {
    **{name: TENSORS[name] for name in ("collections.OrderedDict", "torch._utils._rebuild_tensor_v2")},
    "torch.device": _first,
    "torch.jit._pickle.build_boollist": _first,
    "torch.jit._pickle.build_doublelist": _first,
    "torch.jit._pickle.build_intlist": _first,
    "torch.jit._pickle.build_tensorlist": _first,
    "torch.jit._pickle.restore_type_tag": _first,
}
