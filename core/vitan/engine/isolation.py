"""Whatever a plugin raises becomes one error that says whose it is; everything else of the command goes on."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import PluginError, VitanError, text_of

_CORE = __name__.partition(".")[0]
#: What runs a model's own code from the outside.
_LIBRARIES = ("torch", "timm", "open_clip")
#: What torch says of CUDA, ROCm and MPS, and of the CPU's memory on Linux and Windows.
_OUT_OF_MEMORY = ("out of memory", "not enough memory", "can't allocate memory")


@contextmanager
def blaming(owner: str, doing: str, *, but: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Turn what is raised inside into a ``PluginError``, but for ``VitanError``, too little memory, and ``but``.

    The message names ``owner`` (an analysis and its provider), what it was ``doing``, and the line of the plugin's
    code. The error keeps the traceback as text (``details``), not the frames, which hold tensors.
    """
    try:
        yield
    except (Exception, SystemExit) as error:  # what was written as a script may call sys.exit
        if isinstance(error, (VitanError, *but)) or is_out_of_memory(error):
            raise
        problem = PluginError(f"{owner} failed in {doing}{_place(error)}: {text_of(error)}")
        problem.details = "".join(traceback.format_exception(error))
        raise problem from None


def forget(error: VitanError) -> VitanError:
    """The same error without the frames in which it arose, and what these keep alive: an error may be kept for long.

    ``details`` says as text what the frames were.
    """
    error.details = error.details or "".join(traceback.format_exception(error))
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the memory of a device, or of the machine, was not enough.

    Torch has a type of its own for that on some devices alone, and says it in words on the others.
    """
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(phrase in text_of(error) for phrase in _OUT_OF_MEMORY)


def _place(error: BaseException) -> str:
    """Where the plugin's own code was: its innermost line, even if a library that it called has raised the error."""
    frames = [
        (frame.f_globals.get("__name__", ""), frame, line) for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    outside = [package for name, _, _ in frames if (package := name.partition(".")[0]) != _CORE]
    if not outside:
        return ""
    plugin = next((package for package in outside if package not in _LIBRARIES), outside[0])
    name, frame, line = next(each for each in reversed(frames) if each[0].partition(".")[0] == plugin)
    path = Path(frame.f_code.co_filename)
    depth = name.count(".") + (2 if path.stem == "__init__" else 1)
    return f" ({'/'.join(path.parts[-depth:])}:{line})"
