"""What layer by layer CKA of two models costs, and how exact it is.

    python -m benchmarks.cka [--rounds 7] [--images 8]

The published defaults: 24 LayerNorm outputs of each of two ViT-B/16, 8 images at a time. Beside the analysis stand the
straightforward form, pair by pair as in the published code, and the package pytorch-cka, if it is installed
(``pip install pytorch-cka``; it is no dependency). All of them are given the features, so that no forward pass counts.
"""

from __future__ import annotations

from . import timing  # before torch: it sets the environment

# isort: split

import argparse
import importlib.metadata
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from vitan.data.batch import Batch
from vitan_analyses.cka.probe import CkaOptions, CkaProbe
from vitan_analyses.cka.sides import NORMS, TAPS
from vitan_analyses.hsic import minibatch

from .made_up import DEPTH, DIM, vit_b

SIDE = 14  # ViT-B/16 at 224 pixels
LAYERS = DEPTH * len(TAPS[NORMS])
BATCHES = 3
OFFSET = 3.0
OURS = {"vitan": "default", "vitan, protocol paper": "paper"}
TOKENS = {"all tokens": slice(None), "CLS": slice(0, 1), "patch tokens": slice(1, None)}
PAIRWISE, THEIRS = "pair by pair", "pytorch-cka"


def main() -> None:
    parser = timing.parser(__doc__, 7)
    parser.add_argument("--images", type=int, default=8, help="images in a minibatch")
    args = parser.parse_args()
    timing.one_thread()
    version = theirs_installed()
    print(f"torch {torch.__version__}, pytorch-cka {version or 'not installed: left out'}, one thread")
    features = [[made_up(args.images, seed) for seed in range(start, start + LAYERS)] for start in (0, LAYERS)]
    runs: dict[str, Callable[[], Tensor]] = {
        name: lambda protocol=protocol: ours(*features, protocol) for name, protocol in OURS.items()
    }
    runs |= {f"{PAIRWISE}, {name}": lambda cut=cut: pair_by_pair(*features, cut) for name, cut in TOKENS.items()}
    if version:
        runs[THEIRS] = lambda: theirs(*features)
    costs(runs, args)
    errors(runs, features)


def costs(runs: Mapping[str, Callable[[], object]], args: argparse.Namespace) -> None:
    """One pass of ours gives all three kinds of tokens; each of the others is a run of its own."""
    seconds = timing.alternate(runs, args.rounds)
    print(f"\n{LAYERS} x {LAYERS} layers, 197 tokens, {DIM} wide, {args.images} images a batch, {args.rounds} rounds")
    timing.rows(seconds, "CPU ms per batch", 1000 / BATCHES)
    each = [seconds[f"{PAIRWISE}, {name}"] for name in TOKENS]
    three = [sum(times) for times in zip(*each, strict=True)]
    for name in OURS:
        timing.row(f"pair by pair, all three / {name}", timing.ratios(three, seconds[name]), "x")
        timing.row(f"pair by pair, all tokens alone / {name}", timing.ratios(each[0], seconds[name]), "x")
        if THEIRS in seconds:
            timing.row(f"{name} / pytorch-cka, all tokens alone", timing.ratios(seconds[name], seconds[THEIRS]), "x")


def errors(runs: Mapping[str, Callable[[], Tensor]], features: Sequence[Sequence[Tensor]]) -> None:
    """The largest error of any pair of layers against float64."""
    plain, scaled = exact(*features), exact(*features, scaled=True)
    print(f"\nLargest error, features with an offset of {OFFSET:g}, against float64")
    for name in (*OURS, f"{PAIRWISE}, all tokens", *([THEIRS] if THEIRS in runs else [])):
        run, expected = runs[name], plain if name == THEIRS or OURS.get(name) == "default" else scaled
        print(f"  {name:60}{float((run().double() - expected).abs().max()):>9.1e}")


def ours(first: Sequence[Tensor], second: Sequence[Tensor], protocol: str) -> Tensor:
    """All of it: keep what is kept of every batch, and put the two models together."""
    sides = []
    for features in (first, second):
        probe = new_probe(len(features[0]), protocol)
        for number in range(BATCHES):
            start = number * len(features[0])
            batch = Batch(tuple(range(start, start + len(features[0]))), (), (), torch.empty(0), number=number)
            for block in range(DEPTH):
                probe.keep(block, dict(zip(TAPS[NORMS], features[2 * block : 2 * block + 2], strict=True)), batch)
        sides.append([probe.layers(TAPS[NORMS], kind) for kind in probe.kinds])
    found = [minibatch.cka(*pair).cka for pair in zip(*sides, strict=True)]
    return torch.from_numpy(found[0])


def pair_by_pair(first: Sequence[Tensor], second: Sequence[Tensor], tokens: slice) -> Tensor:
    """The straightforward form: a Gram matrix and two HSICs for every two layers, all in float32."""
    sums = torch.zeros(len(first), len(second), 3)
    for _ in range(BATCHES):
        for i, x in enumerate(first):
            k = scaled_gram(x[:, tokens])
            sums[i, :, 0] += one_hsic(k, k)
            for j, y in enumerate(second):
                l = scaled_gram(y[:, tokens])  # noqa: E741
                sums[i, j, 1] += one_hsic(k, l)
                sums[i, j, 2] += one_hsic(l, l)
    return sums[..., 1] / (sums[..., 0] * sums[..., 2]).sqrt()


def scaled_gram(features: Tensor) -> Tensor:
    flat = features.flatten(1)
    gram = flat @ flat.T
    gram = gram - gram.min()
    gram = gram / gram.max()
    return gram.fill_diagonal_(0)


def one_hsic(k: Tensor, l: Tensor) -> float:  # noqa: E741
    """The unbiased estimator term by term, as it is written in the paper."""
    n = len(k)
    one = torch.ones(n, 1, dtype=k.dtype)
    result = torch.trace(k @ l).item()
    result += (one.t() @ k @ one @ one.t() @ l @ one).item() / ((n - 1) * (n - 2))
    result -= (one.t() @ k @ l @ one).item() * 2 / (n - 2)
    return result / (n * (n - 3))


class Replay(nn.Module):
    """A model whose layers give back features that were made before."""

    def __init__(self, features: Sequence[Tensor]) -> None:
        super().__init__()
        self.features = features
        self.layers = nn.ModuleList(nn.Identity() for _ in features)

    def forward(self, _: Tensor) -> None:
        for layer, features in zip(self.layers, self.features, strict=True):
            layer(features)


def theirs_installed() -> str:
    """The version of pytorch-cka, or nothing."""
    try:
        return importlib.metadata.version("pytorch-cka")
    except importlib.metadata.PackageNotFoundError:
        return ""


def theirs(first: Sequence[Tensor], second: Sequence[Tensor]) -> Tensor:
    from cka import compute_cka

    names = [f"layers.{i}" for i in range(len(first))]
    n = len(first[0])
    loader = DataLoader(torch.empty(n * BATCHES, 1), batch_size=n)
    (found,) = compute_cka(
        Replay(first), Replay(second), loader, layers=names, model2_layers=names, device="cpu", progress=False
    )
    return found


def exact(first: Sequence[Tensor], second: Sequence[Tensor], *, scaled: bool = False) -> Tensor:
    """The same closed form in float64; the one batch is repeated, which changes nothing."""
    sides = [[_float64(x, scaled) for x in features] for features in (first, second)]
    cross = torch.tensor([[one_hsic(k, l) for l in sides[1]] for k in sides[0]])  # noqa: E741
    own = [torch.tensor([one_hsic(k, k) for k in grams]) for grams in sides]
    return cross / torch.outer(*own).sqrt()


def _float64(features: Tensor, scaled: bool) -> Tensor:
    flat = features.double().flatten(1)
    if scaled:
        return scaled_gram(flat)
    flat = flat - flat.mean(0)
    return (flat @ flat.T).fill_diagonal_(0)


def made_up(images: int, seed: int) -> Tensor:
    """Features (image, token, channel) around an offset, which have something in common with every other layer's."""
    shape = (images, 1 + SIDE**2, DIM)
    common, own = (torch.randn(shape, generator=torch.Generator().manual_seed(s)) for s in (10_000, seed))
    return common.mul_(0.7).add_(own).add_(OFFSET)


def new_probe(images: int, protocol: str) -> CkaProbe:
    return CkaProbe(CkaOptions(protocol=protocol, batch=images), vit_b(SIDE))


if __name__ == "__main__":
    main()
