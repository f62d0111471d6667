"""Fetch one file over HTTP so that an interrupted transfer continues where it broke off."""

from __future__ import annotations

import http.client
import shutil
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Protocol
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from filelock import FileLock

from ...errors import UnreachableError, WeightsUnavailableError

_CHUNK = 1 << 20
_ATTEMPTS = 3  # how often a broken transfer is taken up again by itself
_TIMEOUT = 15.0  # seconds without a byte, after which a transfer is taken up again


class Progress(Protocol):
    """Called while something is fetched; ``done`` and ``total`` are bytes, ``total`` is None if unknown."""

    def __call__(self, description: str, done: int, total: int | None) -> None:
        """Show how far it is."""


#: Says what is wrong with a file, or nothing if it is the expected one.
Verify = Callable[[Path], str]


def download(url: str, target: Path, *, verify: Verify, progress: Progress | None = None) -> None:
    """Fetch ``url`` into ``target``, which appears only when it is complete and ``verify`` finds nothing wrong.

    What has arrived stands in ``<target>.part``. It is continued only if the server says that the file is still the
    same (``If-Range``), else begun anew. A file that does not verify is removed. Runs at the same time wait for each
    other.

    Raises ``WeightsUnavailableError`` or ``OSError``.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = _Part(url, target.with_name(f"{target.name}.part"))
    with FileLock(f"{part.path}.lock"):
        if target.exists():
            return  # the run that we waited for has fetched it
        _complete(part, target.name, progress)
        problem = verify(part.path)
        if problem:
            part.discard()
            raise WeightsUnavailableError(f"{url}: {problem}; what was downloaded is removed")
        part.path.replace(target)
        part.discard()


def check_reachable(url: str) -> None:
    """Raise ``UnreachableError`` if no server can be reached there; whatever it answers is an answer.

    Other libraries try many times, for half a minute, before they say so.
    """
    try:
        urlopen(Request(url, method="HEAD"), timeout=_TIMEOUT).close()
    except (HTTPError, http.client.HTTPException):
        return
    except OSError as error:
        reason = getattr(error, "reason", error)
        if not isinstance(reason, ssl.SSLError):  # others may know other certificates
            raise UnreachableError(f"{url}: no connection ({reason})") from error


class _BrokenOffError(Exception):
    """The connection ended before the file did."""


class _Part:
    """The file so far, and in a note beside it what it is the beginning of: address and version at the server."""

    def __init__(self, url: str, path: Path) -> None:
        self.url, self.path, self.note = url, path, path.with_name(f"{path.name}.version")

    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def version(self) -> str:
        """The ``ETag`` or ``Last-Modified`` that this part belongs to; empty if it cannot be continued."""
        if not self.size() or not self.note.exists():
            return ""
        url, _, version = self.note.read_text(encoding="utf-8").partition("\n")
        return version if url == self.url else ""

    def begin(self, version: str) -> None:
        self.path.unlink(missing_ok=True)
        self.note.write_text(f"{self.url}\n{version}", encoding="utf-8")

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)


def _complete(part: _Part, name: str, progress: Progress | None) -> None:
    for left in reversed(range(_ATTEMPTS)):
        before = part.size()
        try:
            return _transfer(part, name, progress)
        except _BrokenOffError as error:
            if not left or part.size() <= before:
                raise WeightsUnavailableError(
                    f"{part.url}: {error}; {part.size()} bytes are kept, and the next run continues"
                ) from error
    return None


def _transfer(part: _Part, name: str, progress: Progress | None) -> None:
    """One request, from where the part ends. Raises ``_BrokenOffError`` if the connection does not last."""
    version = part.version()
    response = _open(part, version)
    if response is None:
        part.discard()
        return _transfer(part, name, progress)
    with response:
        if response.headers.get_content_type() == "text/html":
            raise WeightsUnavailableError(f"{part.url}: the server sends a web page instead of the file")
        start, total = _extent(response)
        if start == 0:
            part.begin(_version(response))
        elif start != part.size():
            raise WeightsUnavailableError(f"{part.url}: the server sends bytes from {start}, not from {part.size()}")
        _check_space(part.path, None if total is None else total - start)
        return _append(response, part.path, start, total, name, progress)


def _open(part: _Part, version: str) -> http.client.HTTPResponse | None:
    """The answer to a request for the file, or for its rest if ``version`` says what the part is the beginning of.

    None if the part is not the beginning of what the server has now.
    """
    from ...version import __version__

    headers = {"User-Agent": f"vitan/{__version__}", "Accept-Encoding": "identity"}
    if version:
        headers |= {"Range": f"bytes={part.size()}-", "If-Range": version}
    try:
        response: http.client.HTTPResponse = urlopen(Request(part.url, headers=headers), timeout=_TIMEOUT)
    except HTTPError as error:
        if version and error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return None
        raise WeightsUnavailableError(f"{part.url}: the server answers {error.code} {error.reason}") from error
    except URLError as error:
        raise UnreachableError(f"{part.url}: no connection ({error.reason})") from error
    except (OSError, http.client.HTTPException) as error:
        raise _BrokenOffError(f"the connection broke off ({error or type(error).__name__})") from error
    if version and response.status == http.HTTPStatus.PARTIAL_CONTENT and _version(response) != version:
        response.close()  # a server that does not know If-Range
        return None
    return response


def _append(
    response: http.client.HTTPResponse, path: Path, done: int, total: int | None, name: str, progress: Progress | None
) -> None:
    with path.open("ab") as stream:
        while True:
            if progress is not None:
                progress(name, done, total)
            try:
                chunk = response.read(_CHUNK)
            except (OSError, http.client.HTTPException) as error:
                raise _BrokenOffError(f"the connection broke off ({error})") from error
            if not chunk:
                break
            stream.write(chunk)
            done += len(chunk)
    if total is not None and done != total:
        raise _BrokenOffError(f"the connection ended after {done} of {total} bytes")


def _extent(response: http.client.HTTPResponse) -> tuple[int, int | None]:
    """The position in the file at which the answer starts, and the size of the whole file."""
    if response.status == http.HTTPStatus.PARTIAL_CONTENT:  # Content-Range: bytes 100-199/200
        span, _, whole = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
        start = span.partition("-")[0]
        return int(start) if start.isdigit() else -1, int(whole) if whole.isdigit() else None
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


def _version(response: http.client.HTTPResponse) -> str:
    """What ``If-Range`` accepts: a strong ETag, else the date of the last change."""
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified", "")


def _check_space(path: Path, wanted: int | None) -> None:
    free = shutil.disk_usage(path.parent).free
    if wanted is not None and wanted > free:
        raise WeightsUnavailableError(f"{path.parent}: {wanted} bytes are needed, and {free} are free; make room")
