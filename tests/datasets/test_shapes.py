"""The drawn world: what it says of a picture is what the picture shows."""

from __future__ import annotations

import hashlib
import pickle
from collections import Counter
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vitan_datasets.shapes.films import ShapesVideo, ShapesVideoOptions
from vitan_datasets.shapes.pictures import Shapes, ShapesOptions
from vitan_datasets.shapes.world.categories import CATEGORIES, part_labels, parts, points
from vitan_datasets.shapes.world.figure import Figure, Paint, Pose
from vitan_datasets.shapes.world.geometry import Placing, box, disc, smooth
from vitan_datasets.shapes.world.scene import instance
from vitan_datasets.shapes.world.stencil import Stencil


def shapes(**options: Any) -> Any:
    return Shapes(ShapesOptions(**{"per_class": 8, "size": 96, **options}))


@pytest.fixture(scope="module")
def world() -> Any:
    dataset = shapes()
    return dataset, [dataset[i] for i in range(len(dataset))]


@pytest.mark.parametrize("category", range(len(CATEGORIES)), ids=[category.name for category in CATEGORIES])
def test_every_category_has_its_parts_and_points_in_every_pose(category: Any) -> None:
    wanted = set(points(category))
    assert len(wanted) >= 5
    assert len(parts(category)) >= 3
    for number in range(6):
        for pose in (Pose(), Pose(-1, 1), Pose(1, -1), Pose(1, 1)):
            figure = CATEGORIES[category].make(instance(0, category, number), pose)
            assert set(figure.marks) == wanted
            assert {shape.part for shape in figure.shapes} <= set(parts(category))
            outlines = np.concatenate([shape.outline for shape in figure.shapes])
            assert np.abs(outlines).max() < 1.4
            stencil, placing = Stencil(200, 200), Placing.at(100, 100, 70)
            stencil.draw(0, figure, placing, (0, 0, 0))
            assert len(stencil.visible(figure.marks, placing, 0)) >= len(wanted) - 3  # a part may hide another


def test_coverage_of_a_rectangle_is_its_area() -> None:
    figure, plain = Figure(), Paint((0, 0, 0), (0, 0, 0))
    figure.fill("a", box(-1, -1, 1, 1), plain, edge=0)
    figure.fill("b", box(0, -1, 1, 1), plain, edge=0)
    stencil = Stencil(20, 10)
    stencil.draw(0, figure, Placing.at(10, 5, 4), (0, 0, 0))
    covers = stencil.covers()
    expected = np.zeros((10, 20), dtype=bool)
    expected[1:9, 6:14] = True
    assert np.array_equal(covers.mask(0), expected)
    expected[:, :10] = False
    assert np.array_equal(covers.mask(0, "b"), expected)
    assert covers.parts() == [(0, "a"), (0, "b")]
    assert stencil.area(0) == pytest.approx(64, abs=5)  # OpenCV fills the pixels of the edge on both sides
    assert stencil.box(0) == pytest.approx((6, 1, 14, 9), abs=0.25)


def test_coverage_counts_fine_pixels() -> None:
    figure = Figure()
    figure.fill("disc", disc((0, 0), 1), Paint((0, 0, 0), (0, 0, 0)), edge=0)
    stencil = Stencil(60, 60)
    stencil.draw(0, figure, Placing.at(30.3, 29.6, 20), (0, 0, 0))
    ((ink, cover),) = stencil.covers()
    y, x = np.mgrid[ink.window[0].start : ink.window[0].stop, ink.window[1].start : ink.window[1].stop]
    off = np.hypot(x + 0.5 - 30.3, y + 0.5 - 29.6) - 20
    assert (cover[off < -1] == 16).all()
    assert (cover[off > 1] == 0).all()
    assert cover.sum() / 16 == pytest.approx(np.pi * 400, rel=0.02)


def test_a_thing_that_is_covered_shows_no_points() -> None:
    figure, plain = Figure(), Paint((0, 0, 0), (0, 0, 0))
    figure.fill("a", box(-1, -1, 1, 1), plain)
    figure.mark("a", middle=(0, 0), corner=(1, 1))
    stencil, placing = Stencil(40, 40), Placing.at(20, 20, 10)
    stencil.draw(0, figure, placing, (0, 0, 0))
    assert stencil.visible(figure.marks, placing, 0) == {"middle": (20, 20), "corner": (30, 30)}
    stencil.draw(1, figure, Placing.at(20, 20, 5), (0, 0, 0))
    assert set(stencil.visible(figure.marks, placing, 0)) == {"corner"}
    assert stencil.visible(figure.marks, Placing.at(45, 20, 10), 0) == {}  # beyond the picture


def test_placing_and_its_inverse() -> None:
    placing = Placing.at(40, 30, 12, turn=33, mirror=True, squash=0.8, shear=0.1)
    outline = smooth((0.1, 0.2), (0.7, -0.4), (-0.5, 0.9))
    back = placing.inverse().apply(placing.apply(outline))
    assert back == pytest.approx(outline, abs=1e-12)
    assert Placing.at(0, 0, 1, mirror=True).apply(box(0, 0, 1, 2))[:, 0].tolist() == [0, -1, -1, 0]


def test_key_points_lie_on_the_main_thing(world: Any) -> None:
    _, samples = world
    for sample in samples:
        assert len(sample.keypoints) >= 4, sample.id
        main = next(segment for segment in sample.segments if segment.id == sample.extra["main"])
        rows, columns = np.nonzero(main.mask())
        for name, (x, y) in sample.keypoints.items():
            assert np.hypot(columns + 0.5 - x, rows + 0.5 - y).min() <= 2.2, (sample.id, name)


def test_labels_boxes_and_segments_agree(world: Any) -> None:
    dataset, samples = world
    names = dataset.categories()
    for sample in samples:
        main = next(segment for segment in sample.segments if segment.id == sample.extra["main"])
        assert names[main.label] == sample.group == dataset.classes()[sample.label]
        rows, columns = np.nonzero(main.mask())
        assert sample.box == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert {len(sample.segments) for sample in samples} >= {1, 2, 3, 4}


def test_objects_are_what_their_parts_make_together() -> None:
    objects, by_part = shapes(classes=4), shapes(classes=4, masks="parts")
    for i in range(0, len(objects), 3):
        whole, pieces = objects[i], by_part[i]
        assert np.array_equal(whole.image, pieces.image)
        for segment in whole.segments:
            own = [piece for piece in pieces.segments if piece.id.startswith(f"{segment.id}-")]
            union = np.any([piece.mask() for piece in own], axis=0)
            assert not (union & ~segment.mask()).any()
            assert union.sum() > 0.85 * segment.mask().sum()
            total = np.sum([piece.mask() for piece in own], axis=0, dtype=int)
            assert (total > 1).sum() <= 0.1 * union.sum()  # exact halves only
    assert (objects.which(), by_part.which()) == ("", "parts")
    assert set(by_part.categories()) == {label for (category, _), label in part_labels().items() if category < 4}


def test_masks_follow_the_pixels() -> None:
    """The picture without its things differs from the picture where the masks are, and nowhere else."""
    from dataclasses import replace

    from vitan_datasets.shapes.world.painting import draw, paint
    from vitan_datasets.shapes.world.pictures import World, picture

    for category in range(0, len(CATEGORIES), 3):
        scene, stencil = picture(World(0, 14, 128), category, 0)
        empty = replace(scene, things=())
        covers = stencil.covers()
        bare = paint(empty, draw(empty).covers()).astype(int)
        changed = np.abs(paint(scene, covers).astype(int) - bare).max(axis=2) > 0
        masks = np.any([covers.mask(thing) for thing in range(len(scene.things))], axis=0)
        assert changed[masks].mean() > 0.97
        touched = np.zeros_like(masks)
        for ink, cover in covers:
            touched[ink.window] |= cover > 0
        assert not changed[~touched].any()


def test_queries_find_their_instance(world: Any) -> None:
    dataset, samples = world
    roles = Counter(sample.role for sample in samples)
    assert roles == {"bank": 84, "query": 28}
    for sample in samples:
        assert bool(sample.relevant) == (sample.role == "query")
        for level, positions in sample.relevant.items():
            for position in positions:
                other = samples[position]
                assert other.role == "bank"
                assert other.extra["view"] == level
                assert other.extra["instance"] == sample.extra["instance"]
        if sample.relevant:
            assert [len(sample.relevant[level]) for level in ("easy", "hard", "junk")] == [3, 2, 1]
    assert dataset.groups() == tuple(sample.group for sample in samples)


def test_instances_differ_and_views_of_one_agree() -> None:
    looks = {instance(0, category, number) for category in range(14) for number in range(5)}
    assert len(looks) == 70
    assert instance(0, 1, 2) == instance(0, 1, 2) != instance(1, 1, 2)


def test_pairs_are_symmetric_in_what_they_say(world: Any) -> None:
    _, samples = world
    by_id = {sample.id: sample for sample in samples}
    assert all(sample.pairs for sample in samples)
    for sample in samples:
        for pair in sample.pairs:
            target = by_id[pair.target]
            assert target.group == sample.group
            assert len(pair.names) >= 3
            assert pair.source == tuple(sample.keypoints[name] for name in pair.names)
            assert pair.points == tuple(target.keypoints[name] for name in pair.names)
            assert (pair.source_box, pair.target_box) == (sample.box, target.box)
    facts = [pair.facts for sample in samples for pair in sample.pairs]
    for name, top in (("viewpoint_variation", 2), ("scale_variation", 2), ("truncation", 3), ("occlusion", 3)):
        assert {0, 1} < {fact[name] for fact in facts} <= set(range(top + 1)), name


def test_captions_name_what_is_there(world: Any) -> None:
    dataset, samples = world
    for sample in samples:
        short, _, long = sample.extra["captions"]
        assert sample.group in short
        names = {dataset.categories()[segment.label] for segment in sample.segments}
        assert all(name in long for name in names)


def test_another_seed_is_another_world_and_more_pictures_change_none() -> None:
    one, other, more = shapes(), shapes(seed=1), shapes(per_class=12)
    assert np.array_equal(one[9].image, more[13].image)
    assert one[9].id == more[13].id
    assert one[9].image.size != other[9].image.size or not np.array_equal(one[9].image, other[9].image)
    assert len({dataset.fingerprint() for dataset in (one, other, more)}) == 3
    assert one.fingerprint() == shapes().fingerprint()


def test_pictures_are_the_same_everywhere() -> None:
    """Loosely, so that another version of OpenCV may round a corner differently; and exactly in one process."""
    dataset = shapes(size=64)
    colours = [np.asarray(dataset[i].image.resize((2, 1), Image.Resampling.BOX)).ravel().tolist() for i in (0, 37, 90)]
    assert colours == pytest.approx(np.array(PINNED), abs=2)
    copy = pickle.loads(pickle.dumps(dataset))
    for i in (3, 50):
        one, other = (hashlib.sha256(each[i].image.tobytes()).hexdigest() for each in (dataset, copy))
        assert one == other


PINNED = [[206, 197, 159, 207, 204, 164], [242, 234, 220, 210, 205, 195], [210, 218, 209, 210, 221, 212]]


@pytest.mark.parametrize("size", [32, 131])
def test_any_size(size: Any) -> None:
    sample = shapes(size=size, per_class=4, classes=2)[1]
    assert max(sample.image.size) == size


def test_numbers_beyond_the_end() -> None:
    with pytest.raises(IndexError, match="no number 112"):
        shapes()[112]
    with pytest.raises(IndexError, match="no number 96"):
        ShapesVideo(ShapesVideoOptions())[96]


@pytest.fixture(scope="module")
def films() -> Any:
    dataset = ShapesVideo(ShapesVideoOptions(films=4, frames=12, height=91, width=161))
    return dataset, [dataset[i] for i in range(len(dataset))]


def test_frames_of_films(films: Any) -> None:
    dataset, samples = films
    assert dataset.groups() == tuple(sample.group for sample in samples)
    assert [sample.id.rpartition("/")[2] for sample in samples[:13]] == [f"{i % 12:05}" for i in range(13)]
    for sample in samples:
        ids = sample.id_mask()
        assert ids.shape == (91, 161)
        for segment in sample.segments:
            mine = segment.mask()
            assert (ids[mine] == int(segment.id)).mean() > 0.95  # exact halves go to the one in front
        assert set(np.unique(ids)) - {0} <= {int(segment.id) for segment in sample.segments}


def test_things_move_hide_one_another_and_come_back(films: Any) -> None:
    _, samples = films
    areas, masks = {}, {}
    for sample in samples:
        ids = sample.id_mask()
        areas.setdefault(sample.group, []).append(np.bincount(ids.ravel(), minlength=5)[1:])
        masks.setdefault(sample.group, []).append(ids)
    assert len(areas) == 4
    vanished = 0
    for name, counts in areas.items():
        over_time = np.array(counts)  # (frame, object)
        there = over_time[:, over_time.max(axis=0) > 0]
        assert 2 <= there.shape[1] <= 4
        assert (there[0] > 40).all(), f"{name}: something is missing in the first frame"
        for thing in range(there.shape[1]):
            overlaps = [((ids == thing + 1) & (masks[name][0] == thing + 1)).sum() for ids in masks[name]]
            assert min(overlaps) < 0.6 * overlaps[0], f"{name}: thing {thing + 1} never moves"
        vanished += int(((there.min(axis=0) == 0) & (there[-1] > 0)).sum())
    assert vanished >= 1
    first, second = samples[0].image, samples[1].image
    assert (np.asarray(first) != np.asarray(second)).any()
