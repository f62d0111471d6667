"""Whatever a plugin raises becomes one error that says whose it is; everything else of the command goes on."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import PluginError, VitanError

#: Where our own frames are; the last one outside of it is the plugin's, or a library's that it called.
_CORE = str(Path(__file__).parents[1])


@contextmanager
def blaming(owner: str, doing: str) -> Iterator[None]:
    """Turn what is raised inside, unless it is a ``VitanError`` or memory that is not enough, into a ``PluginError``.

    The message names ``owner`` (an analysis and its provider), what it was ``doing``, and the line of the plugin's
    code. The error keeps the traceback as text (``details``), not the frames, which hold tensors.
    """
    try:
        yield
    except VitanError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        problem = PluginError(f"{owner} failed in {doing}{_place(error)}: {type(error).__name__}: {error}")
        problem.details = "".join(traceback.format_exception(error))
        raise problem from None


def forget(error: VitanError) -> VitanError:
    """The same error without the frames in which it arose, and what these keep alive: an error may be kept for long."""
    seen: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in seen:
        seen.append(link)
        link = link.__cause__ or link.__context__
    for each in seen:
        each.__traceback__ = each.__cause__ = each.__context__ = None
    return error


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device's memory was not enough; torch has a type of its own for this on some devices alone."""
    if type(error).__name__ == "OutOfMemoryError" or isinstance(error, MemoryError):
        return True
    said = str(error)
    return isinstance(error, RuntimeError) and ("out of memory" in said or "not enough memory" in said)


def _place(error: BaseException) -> str:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(_CORE)]
    if not frames:
        return ""
    plugin = next((frame for frame in reversed(frames) if "site-packages" not in frame.filename), frames[-1])
    return f" ({Path(plugin.filename).name}, line {plugin.lineno})"
