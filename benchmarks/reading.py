"""Reading pictures: how fast, by how many threads, from which files, and whether it goes on during the forward pass.

    python -m benchmarks.reading [--rounds 5] [--images 512] [--batch 8 64 128 256]

Two threads show in wall time alone, so these need a machine with nothing else to do.
"""

from __future__ import annotations

from . import timing  # before torch: it sets the environment

# isort: split

import io
import tarfile
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pyarrow
import pyarrow.parquet
from PIL import Image

import vitan
from vitan.data.samples import Dataset, Sample
from vitan.data.views import make_view
from vitan.engine.loader import Loader, Wanted
from vitan.engine.schedule import cut
from vitan.options import Options

SIZE = (500, 375)  # what ImageNet's pictures have on the average, more or less
GROUP = 100  # rows
BATCHES = 20  # the first has to be read, and the last passed, alone: a twentieth more cannot be avoided
DELAY = 0.01  # seconds


def main() -> None:
    parser = timing.parser(__doc__, 5)
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--batch", type=int, nargs="+", default=[8, 64, 128, 256])
    args = parser.parse_args()
    timing.one_thread()
    with tempfile.TemporaryDirectory() as folder:
        datasets = {kind: write(Path(folder) / kind, args.images) for kind, write in KINDS.items()}
        print(f"{args.images} JPEGs of {SIZE[0]} x {SIZE[1]} pixels, cut to 224, {args.rounds} rounds")
        print("reading alone, one thread: images in a CPU second")
        runs = {kind: partial(read, dataset, 64, 1) for kind, dataset in datasets.items()}
        for kind, seconds in timing.alternate(runs, args.rounds).items():
            timing.row(kind, [args.images / each for each in seconds], "images/s")
        threads(datasets["files"], args.images, args.rounds)
    print(f"{BATCHES} batches, reading and a forward pass of the same length, wall time")
    for batch in args.batch:
        overlap(batch, args.rounds)


def threads(dataset: Dataset, images: int, rounds: int) -> None:
    """One thread against two, in wall time, and in CPU time, of which two should need no more."""
    one, two = (partial(read, dataset, 64, workers) for workers in (1, 2))
    wall = timing.in_turn({"one": partial(elapsed, one), "two": partial(elapsed, two)}, rounds)
    spent = timing.alternate({"one": one, "two": two}, rounds)
    print("reading alone, wall time")
    timing.row("one thread", [images / each for each in wall["one"]], "images/s")
    timing.row("two threads", [images / each for each in wall["two"]], "images/s")
    timing.row("two / one", timing.ratios(wall["one"], wall["two"]), "x")
    timing.row("CPU time of two / of one", timing.ratios(spent["two"], spent["one"]), "x")


def overlap(batch: int, rounds: int) -> None:
    """Reading by two threads beside a forward pass that takes just as long: the hardest pace to keep.

    Both wait instead of computing, as for a network disk and a GPU, so that other work on the machine disturbs little.
    """
    dataset = Waiting(BATCHES * batch)

    def ratio() -> float:
        alone = elapsed(partial(read, dataset, batch, 2))
        return elapsed(partial(read, dataset, batch, 2, alone / len(dataset))) / alone

    (ratios,) = timing.in_turn({"": ratio}, rounds).values()
    timing.row(f"batches of {batch}: both / one of them", ratios, "x")


def read(dataset: Dataset, batch: int, workers: int, pace: float = 0) -> None:
    """Read everything, shard by shard as a pass does, and wait as long as a device would need for each batch."""
    loader = Loader(dataset, make_view("crop", 224, 16), (0.5,) * 3, (0.5,) * 3, (14, 14), workers=workers)
    partition = cut(len(dataset), batch)
    shards = [Wanted(shard, {}) for shard in partition.shards()]
    for wanted, then in zip(shards, [*shards[1:], None], strict=True):
        for loaded in loader.batches(partition, wanted, then):
            assert loaded.batch is not None
            time.sleep(pace * len(loaded.batch.index))
    loader.close()


class Waiting(Dataset):
    """A picture that is there already, after a while."""

    def __init__(self, count: int) -> None:
        super().__init__(Options())
        self._count, self._image = count, Image.new("RGB", (224, 224))

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Sample:
        time.sleep(DELAY)
        return Sample(id=str(index), image=self._image)

    def fingerprint(self) -> str:
        return "black"


def elapsed(run: Callable[[], object]) -> float:
    """Seconds on the clock."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def pictures(count: int) -> list[bytes]:
    """Photographs that come with vitan, over and over."""
    packed = []
    for sample in vitan.load_dataset("samples"):
        file = io.BytesIO()
        sample.image.resize(SIZE, Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
        packed.append(file.getvalue())
    return [packed[number % len(packed)] for number in range(count)]


def files(folder: Path, count: int) -> Dataset:
    folder.mkdir()
    for number, picture in enumerate(pictures(count)):
        (folder / f"{number:06}.jpg").write_bytes(picture)
    return vitan.load_dataset("folder", root=folder)


def tar(folder: Path, count: int) -> Dataset:
    folder.mkdir()
    with tarfile.open(folder / "0.tar", "w") as shard:
        for number, picture in enumerate(pictures(count)):
            info = tarfile.TarInfo(f"{number:06}.jpg")
            info.size = len(picture)
            shard.addfile(info, io.BytesIO(picture))
    return vitan.load_dataset("folder", root=folder)


def parquet(folder: Path, count: int) -> Dataset:
    folder.mkdir()
    table = pyarrow.table({"image": [{"bytes": picture, "path": None} for picture in pictures(count)]})
    pyarrow.parquet.write_table(table, folder / "0.parquet", row_group_size=GROUP)
    return vitan.load_dataset("folder", root=folder)


KINDS = {"files": files, "tar": tar, f"parquet, groups of {GROUP} rows": parquet}

if __name__ == "__main__":
    main()
