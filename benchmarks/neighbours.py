"""What k-NN classification costs: against its straightforward published form, and against the search of faiss.

    python -m benchmarks.neighbours [--rounds 5] [--bank 50000] [--queries 1000]

faiss is left out where it is not installed (``pip install faiss-cpu``); vitan itself does not use it.
"""

from __future__ import annotations

from . import timing  # before torch: it sets the environment

# isort: split

import importlib.util
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch.nn import functional as F

from vitan_analyses.arrays import Floats, Integers, unit
from vitan_analyses.knn.search import ROWS, Nearest
from vitan_analyses.knn.vote import Verdict, verdicts

from .made_up import DIM

CLASSES, TEMPERATURE = 1000, 0.07  # ImageNet
KS = (10, 20, 100, 200)
CHUNK = 500  # what the published rule makes of ImageNet's 50,000 queries
ONE = 20


def main() -> None:
    parser = timing.parser(__doc__, 5)
    parser.add_argument("--bank", type=int, default=50_000)
    parser.add_argument("--queries", type=int, default=1000)
    args = parser.parse_args()
    timing.one_thread()
    bank, voters = made_up(args.bank, 0)
    queries, truth = made_up(args.queries, 1)
    print(f"torch {torch.__version__}, numpy {np.__version__}, one thread; raw features to accuracies")
    print(f"{args.queries} queries, bank of {args.bank}, {DIM} channels, {CLASSES} classes, {args.rounds} rounds")

    def ours(ks: Sequence[int]) -> list[Verdict]:
        similarities, places = search(queries, bank, max(ks))
        return verdicts(similarities, voters[places], truth, ks, TEMPERATURE)

    runs: dict[str, Callable[[], object]] = {
        "published form, four k": lambda: published(queries, bank, voters, truth, KS),
        "these, four k": lambda: ours(KS),
        f"these, k = {ONE}": lambda: ours([ONE]),
        f"these, only the search, k = {ONE}": lambda: search(queries, bank, ONE),
    }
    check_accuracies(published(queries, bank, voters, truth, KS), ours(KS))
    if importlib.util.find_spec("faiss"):
        runs[f"faiss, flat search, k = {ONE}"] = lambda: by_faiss(queries, bank, ONE)
        check_neighbours(by_faiss(queries, bank, ONE), search(queries, bank, ONE)[1])
    else:
        print("  (faiss is not installed, so it is left out)")
    seconds = timing.alternate(runs, args.rounds)
    timing.rows(seconds, "CPU s")
    straight, four, one, search_alone, *faiss = seconds.values()
    timing.row("published / these, four k", timing.ratios(straight, four), "x")
    timing.row("four k / one k, these", timing.ratios(four, one), "x")
    if faiss:
        timing.row("these / faiss, only the search", timing.ratios(search_alone, faiss[0]), "x")
        timing.row("these with votes / faiss without", timing.ratios(one, faiss[0]), "x")


def made_up(count: int, seed: int) -> tuple[Floats, Integers]:
    """Features around a centre for each class, in order of the classes as ImageNet's are."""
    centres = np.random.default_rng(7).standard_normal((CLASSES, DIM), np.float32)
    labels = np.sort(np.random.default_rng(seed).integers(0, CLASSES, count))
    noise = np.random.default_rng(seed + 100).standard_normal((count, DIM), np.float32)
    return 0.25 * centres[labels] + noise, labels


def search(queries: Floats, bank: Floats, k: int) -> tuple[Floats, Integers]:
    nearest = Nearest(unit(queries), k)
    for run in np.split(bank, range(ROWS, len(bank), ROWS)):
        nearest.see(unit(run))
    return nearest.found()


def published(
    queries: Floats, bank: Floats, voters: Integers, truth: Integers, ks: Sequence[int]
) -> dict[int, tuple[float, float]]:
    """The straightforward form: for every k, chunks of queries against the whole bank, and votes as one-hot vectors."""
    train, test = (F.normalize(torch.from_numpy(rows)) for rows in (bank, queries))
    transposed, classes, labels = train.T, torch.from_numpy(voters), torch.from_numpy(truth)
    found = {}
    for k in ks:
        top1 = top5 = 0
        for start in range(0, len(test), CHUNK):
            part, right = test[start : start + CHUNK], labels[start : start + CHUNK]
            similarities, places = (part @ transposed).topk(k, largest=True, sorted=True)
            neighbours = classes.view(1, -1).expand(len(part), -1).gather(1, places)
            one_hot = torch.zeros(len(part) * k, CLASSES).scatter_(1, neighbours.view(-1, 1), 1)
            weights = (similarities / TEMPERATURE).exp()
            votes = (one_hot.view(len(part), k, CLASSES) * weights.unsqueeze(2)).sum(1)
            correct = votes.sort(1, True).indices == right.view(-1, 1)
            top1 += int(correct[:, :1].sum())
            top5 += int(correct[:, : min(5, k)].sum())
        found[k] = (100 * top1 / len(test), 100 * top5 / len(test))
    return found


def by_faiss(queries: Floats, bank: Floats, k: int) -> Integers:
    import faiss

    faiss.omp_set_num_threads(1)
    index = faiss.IndexFlatIP(DIM)
    index.add(unit(bank))
    places: Integers = index.search(unit(queries), k)[1]
    return places


def check_accuracies(expected: Mapping[int, tuple[float, float]], ours: Sequence[Verdict]) -> None:
    """Top-1 agrees to the query; top-5 of the published form counts some classes without a vote."""
    for verdict in ours:
        top1, top5 = (100 * float(hits.mean()) for hits in (verdict.top1, verdict.top5))
        said = f"k = {verdict.k}: top-1 {top1:.1f} %, top-5 {top5:.1f} %"
        if abs(top1 - expected[verdict.k][0]) > 0.11 or not -1 <= top5 - expected[verdict.k][1] <= 0.11:
            raise AssertionError(f"{said}; the published form finds {expected[verdict.k]}")
        print(f"  {said}, agrees")


def check_neighbours(theirs: Integers, ours: Integers) -> None:
    """All but a few whose similarities differ by rounding alone."""
    same = float((theirs == ours).mean())
    if same < 0.999:
        raise AssertionError(f"only {same:.2%} of the neighbours are those of faiss")


if __name__ == "__main__":
    main()
