"""Who is at which unit: runs of one plan, on one machine or several that see one store, share the work.

A claim is a file beside the unit that names who makes it, and is touched while they do. It saves work and decides
nothing: units are the same whoever makes them, and appear whole, so that two who make the same one do no harm.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

from .store import Store

#: Seconds between signs of life, and after how many without one a claim is nobody's.
BEAT, LOST = 15.0, 90.0


@contextmanager
def claiming(store: Store, keys: Iterable[str]) -> Iterator[frozenset[str]]:
    """The units, of these, that nobody else is at; they are claimed until the end.

    A store that takes no claims (a full disk, or one that cannot be written) gives all: whoever makes them will say so.
    """
    mine = {key: path for key in keys if _claim(path := _place(store, key))}
    over = Event()
    beating = Thread(target=_beat, args=(tuple(mine.values()), over), name="vitan-claims", daemon=True)
    beating.start()
    try:
        yield frozenset(mine)
    finally:
        over.set()
        beating.join()
        for path in mine.values():
            with suppress(OSError):
                path.unlink()


def _place(store: Store, key: str) -> Path:
    """Where a claim is; by its name, what a killed run leaves is cleared away with everything else that it leaves."""
    return store.path(key).with_name(f".{key}-in_hands.json")


def _claim(path: Path) -> bool:
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        if path.exists() and _is_lost(path):
            path.unlink(missing_ok=True)
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        return False
    except OSError:
        return True
    with os.fdopen(handle, "w", encoding="utf-8") as file, suppress(OSError):
        json.dump({"host": socket.gethostname(), "process": os.getpid()}, file)
    return True


def _is_lost(path: Path) -> bool:
    """Whether whoever claimed it is gone: a process of this machine that has ended, or one that gives no sign."""
    with suppress(OSError, ValueError, LookupError, TypeError):  # gone by now, or just being written
        owner = json.loads(path.read_text(encoding="utf-8"))
        if owner["host"] == socket.gethostname() and not _is_running(int(owner["process"])):
            return True
    try:
        return time.time() - path.stat().st_mtime > LOST
    except OSError:
        return False


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _beat(paths: tuple[Path, ...], over: Event) -> None:
    while not over.wait(BEAT):
        for path in paths:
            with suppress(OSError):
                os.utime(path)
