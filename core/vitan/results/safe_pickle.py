"""Read pickles of plain values without running anything in them.

Those that hold annotations or results need no more than dictionaries, lists, strings, numbers, numpy arrays and, now
and then, a tensor; every other name is refused.
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..pickles import PLAIN, Builder, Machine


def load(path: Path) -> Any:
    """What the pickle at ``path`` holds, where that is plain values only.

    These are: None, bool, int, float, complex, str, bytes, list, tuple, dict, set, and numpy arrays and scalars of
    numbers and text; tensors come as arrays. Pickles of Python 2 are read too.

    Raises ``DataError``, naming the file, if it cannot be read, is damaged, or names any other class or function, which
    the message then names as well.
    """

    def refuse(name: str) -> None:
        raise DataError(
            f"{path}: reading this file would call {name}, which plain data do not need, and vitan runs no code from a"
            " pickle. If you trust its origin, load it elsewhere and save only numbers and text"
        )

    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    try:
        return Machine(BytesIO(content), len(content), _BUILDERS, refuse=refuse).load()
    except DataError:
        raise
    except Exception as error:  # a crafted pickle can raise anything
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(f"{path}: this pickle is damaged, or is none ({reason}); get the file again") from error


def _storage(content: Any) -> Any:
    from ..models.weights.archive import read_storage

    return read_storage(content)


def _array_of_tensor(*arguments: Any) -> Any:
    from ..models.weights.tensors import window

    return window(*arguments).numpy().copy()


_BUILDERS: dict[str, Builder] = {
    **PLAIN,
    "torch._utils._rebuild_tensor_v2": _array_of_tensor,
    "torch.storage._load_from_bytes": _storage,
}
