"""The ``clustering`` analysis against hand-computed cases, the published code's numbers, and its own properties."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import golden
import golden_vits
from vitan.anatomy import ModelInfo, TokenLayout
from vitan.data.batch import Batch
from vitan.data.samples import Sample
from vitan.errors import MismatchError, OptionError
from vitan_analyses.clustering.probe import ClusteringOptions, ClusteringProbe
from vitan_analyses.clusters import FLOOR, agreement, contingency, kmeans
from watching import watch

GOLDEN = golden.arrays("features_seg.npz")
CASES = sorted(key.split("/")[1] for key in GOLDEN.files if key.startswith("metrics/") and key.endswith("/true"))
SETS = sorted(key.split("/")[1] for key in GOLDEN.files if key.startswith("clust/") and key.endswith("/feats"))
LAYOUT = TokenLayout(("cls", "register"), (1, 2))
STARTS = {"ninit_auto": 1, "ninit10": 10}


def _triple(found: Any) -> Any:
    return [found.nmi, found.ari, found.purity]


def test_agreement_by_hand() -> None:
    """Classes 0 0 1 1 in clusters 0 0 0 1: purity 3/4; ARI (1 - 1)/(2.5 - 1); NMI from the entropies."""
    found = agreement(np.array([0, 0, 1, 1]), np.array([0, 0, 0, 1]))
    mutual = 0.5 * np.log(0.5 / (0.5 * 0.75)) + 0.25 * np.log(0.25 / (0.5 * 0.75)) + 0.25 * np.log(0.25 / (0.5 * 0.25))
    entropies = np.log(2), -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    assert _triple(found) == pytest.approx([mutual / np.mean(entropies), 0.0, 0.75], abs=1e-12)


def test_a_table_counts_what_occurs() -> None:
    table = contingency(np.array([7, -1, 7, 7]), np.array([3, 3, 9, 9]))
    assert table.tolist() == [[1, 0], [1, 2]]  # classes -1 and 7, clusters 3 and 9


@pytest.mark.parametrize("seed", range(3))
def test_names_of_classes_and_clusters_do_not_matter(seed: Any) -> None:
    rng = np.random.default_rng(seed)
    classes, clusters = rng.integers(0, 5, 60), rng.integers(0, 4, 60)
    renamed = agreement(rng.permutation(5)[classes] - 17, rng.permutation(4)[clusters] * 100)
    assert _triple(renamed) == pytest.approx(_triple(agreement(classes, clusters)), abs=1e-12)


@pytest.mark.golden
@pytest.mark.parametrize("case", CASES)
def test_published_metrics(case: Any) -> None:
    classes, clusters = GOLDEN[f"metrics/{case}/true"], GOLDEN[f"metrics/{case}/pred"]
    expected = GOLDEN[f"metrics/{case}/nmi_ari_pur"]
    assert _triple(agreement(classes, clusters)) == pytest.approx(expected.tolist(), abs=1e-9)


@pytest.mark.golden
@pytest.mark.parametrize("starts", STARTS)
@pytest.mark.parametrize("case", SETS)
def test_published_clusterings(case: Any, starts: Any) -> None:
    features, labels = GOLDEN[f"clust/{case}/feats"], GOLDEN[f"clust/{case}/labels"]
    expected = GOLDEN[f"clust/{case}/{starts}_nmi_ari_pur"].tolist()
    given = agreement(labels, GOLDEN[f"clust/{case}/{starts}_pred"])
    assert _triple(given) == pytest.approx(expected, abs=1e-9)
    found = kmeans(features, int(GOLDEN[f"clust/{case}/k"]), starts=STARTS[starts], seed=0)
    assert _triple(agreement(labels, found)) == pytest.approx(expected, abs=0.02)


@pytest.mark.golden
@pytest.mark.parametrize("name", [n for n in ("dino", "clip") if f"tokens/{n}_cls" in GOLDEN.files])
def test_published_features_and_their_clusters(name: Any) -> None:
    """From pixels to vectors to numbers, through the recorder and the probe, in the published batches."""
    model, images = getattr(golden_vits, name)()
    probe = ClusteringProbe(ClusteringOptions(k=5, starts=1), golden_vits.info(model, name))
    golden_vits.show(probe, model, images, GOLDEN["tokens/labels"])
    arrays = probe.compute().arrays
    for kind, theirs, accumulator in (("cls", "cls", probe.pooled.cls), ("patches", "spat", probe.pooled.patches)):
        ours = np.stack([accumulator.rows(block).numpy() for block in probe.model.blocks])
        np.testing.assert_allclose(ours, GOLDEN[f"tokens/{name}_{theirs}"], atol=2e-5, rtol=1e-5)
        np.testing.assert_allclose(arrays[kind], GOLDEN[f"tokens/{name}_{theirs}_metrics_k5_ninit1"], atol=0.02)


def _probe(layout: Any, depth: Any, dim: Any, **options: Any) -> Any:
    info = ModelInfo(
        name="toy", family="toy", arch="T", patch=8, image_size=32, depth=depth, heads=1, dim=dim, layout=layout,
        blocks=tuple(range(depth)),
    )  # fmt: skip
    return ClusteringProbe(ClusteringOptions(**options), info)


def _batch(index: Any, labels: Any) -> Any:
    samples = [Sample(id=str(i), image=None, label=None if labels[i] is None else int(labels[i])) for i in index]
    return Batch(tuple(index), samples, (), torch.empty(len(samples), 3, 1, 1))


def _watched(features: Any, labels: Any, layout: Any = LAYOUT, **options: Any) -> Any:
    """A probe that has seen these features (image, token, channel) as its only block."""
    probe = _probe(layout, 1, features.shape[2], **options)
    watch(probe, 0, {"block": features}, _batch(range(len(features)), labels))
    return probe


def _blobs(n: Any = 40) -> Any:
    """Two far blobs in CLS, two others in the patches; the register is noise that must not matter."""
    labels = np.arange(n) % 2
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(n, 4, 6, generator=generator)
    features[:, 0] += 20 * torch.from_numpy(labels)[:, None]
    features[:, 1] *= 1000
    features[:, 2:] += 20 * torch.from_numpy(labels)[:, None, None]
    return features, labels


def test_planted_clusters_are_found_and_registers_are_left_out() -> None:
    arrays = _watched(*_blobs()).compute().arrays
    assert arrays["cls"].tolist() == [[1.0, 1.0, 1.0]]
    assert arrays["patches"].tolist() == [[1.0, 1.0, 1.0]]
    nmi, ari, purity = arrays[FLOOR]
    assert nmi < 0.2
    assert abs(ari) < 0.2
    assert 0.5 <= purity < 0.75


def test_a_model_without_cls_has_only_its_patches() -> None:
    features, labels = _blobs()
    result = _watched(features[:, 2:], labels, TokenLayout((), (1, 2))).compute()
    assert set(result.arrays) == {"patches", FLOOR, "label"}
    assert {record.token for record in result.records} == {"mean-patch", ""}


def test_the_order_of_images_and_the_number_of_workers_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels = _blobs()
    expected = _watched(features, labels).compute().arrays
    for order in permutations([slice(0, 10), slice(10, 25), slice(25, 40)]):
        probe = _probe(LAYOUT, 1, 6)
        for part in order:
            watch(probe, 0, {"block": features[part]}, _batch(range(*part.indices(40)), labels))
        arrays = probe.compute().arrays
        assert all(np.array_equal(arrays[name], expected[name]) for name in expected)
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    assert np.array_equal(_watched(features, labels).compute().arrays["cls"], expected["cls"])


_THREADS = """
import numpy as np
from threadpoolctl import threadpool_info
from vitan_analyses import clusters

import sklearn.cluster  # so that its OpenMP is there to be limited

seen = []

def kmeans(features, k, **options):
    seen.extend(pool["num_threads"] for pool in threadpool_info())
    return np.arange(len(features)) % k

clusters.kmeans = kmeans
from test_probe import _blobs, _watched
_watched(*_blobs()).compute()
print(sorted(set(seen)))
"""


def test_k_means_itself_runs_on_one_thread() -> None:
    """The order of its partial sums, and so its last bits, would otherwise depend on the machine."""
    path = os.pathsep.join([*sys.path, str(Path(__file__).parent)])
    env = {**os.environ, "OMP_NUM_THREADS": "4", "OPENBLAS_NUM_THREADS": "4", "PYTHONPATH": path}
    ran = subprocess.run([sys.executable, "-c", _THREADS], env=env, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[1]"


def test_what_is_not_finite_is_a_named_gap() -> None:
    features, labels = _blobs()
    features[3, 0, 0] = float("nan")
    result = _watched(features, labels).compute()
    assert np.isnan(result.arrays["cls"]).all()
    assert np.isfinite(result.arrays["patches"]).all()
    gaps = {(r.metric, r.token) for r in result.records if r.gap == "not clustered: some features are not finite"}
    assert gaps == {("nmi", "cls"), ("ari", "cls"), ("purity", "cls")}


def test_features_that_hardly_differ_are_a_named_gap() -> None:
    features, labels = _blobs()
    features[:, 0] = 3.0  # CLS says the same of every picture
    result = _watched(features, labels).compute()
    assert np.isnan(result.arrays["cls"]).all()
    assert {r.gap for r in result.records if (r.metric, r.token) == ("nmi", "cls")} == {
        "not clustered: only 1 of 40 features differ, too few for 2 clusters"
    }


@pytest.mark.parametrize("options", [{"k": 41}, {}])
def test_too_few_images_say_what_to_change(options: Any) -> None:
    features, labels = _blobs()
    labels = labels if options else np.zeros(40, int)
    said = r"40 images of \d+ class(es)? cannot be put into (41|1) clusters?,.* change --limit or --k"
    with pytest.raises(OptionError, match=said):
        _watched(features, labels, **options).compute()


def test_a_sample_without_a_label_is_named() -> None:
    features, _ = _blobs()
    with pytest.raises(MismatchError, match="sample '0' has no label"):
        _watched(features, [None] * 40)
