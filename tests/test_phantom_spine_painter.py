"""Painting a spine: what is marked, what is apart, and what shines."""

from __future__ import annotations

import dataclasses
import functools
from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from osteoscreen.phantom.bone import draw_bone
from osteoscreen.phantom.capsule import union_depth
from osteoscreen.phantom.field import Array, draw_field
from osteoscreen.phantom.generator import SPINE_BOX_MM
from osteoscreen.phantom.implant import draw_cement, draw_screws
from osteoscreen.phantom.plane import Plane
from osteoscreen.phantom.spine import Spine, SpineShape, draw_spine
from osteoscreen.phantom.spine_painter import JOINT_GAP_MM, Marks, paint_spine
from osteoscreen.phantom.surface import BoneSurface
from osteoscreen.phantom.tissue import draw_tissues
from osteoscreen.phantom.vertebra import Vertebra

UNTOUCHED_HU = -5000.0
SURFACE = BoneSurface(
    1.0, 800.0, 170.0, draw_field(np.random.default_rng(2), 7.0, (170.0, 90.0, 80.0)), 0.5
)
TISSUES = draw_tissues(np.random.default_rng(3), has_contrast=False)


@functools.cache
def _spine(seed: int = 0, lumbar_count: int = 5, scale: float = 1.0) -> Spine:
    bone = dataclasses.replace(draw_bone(np.random.default_rng(1), 0, 50), t_score=3.0)
    shape = SpineShape(scale, 1.0, 3.0, wear=0.2, lumbar_count=lumbar_count)
    return draw_spine(np.random.default_rng(seed), bone, shape)


def _plane(z_mm: float, step_mm: float = 1.0, *, rough: bool = False, half: float = 90.0) -> Plane:
    y = np.arange(-75, 130, step_mm, dtype=np.float32)
    x = np.arange(-half, half, step_mm, dtype=np.float32)
    grid = np.meshgrid(x, y)
    noise = SURFACE.roughness.plane(z_mm, y, x) if rough else np.zeros_like(grid[0])
    return Plane(grid[0], grid[1], z_mm, noise, step_mm)


def _paint(spine: Spine, plane: Plane) -> tuple[Array, Marks]:
    hu: Array = np.full(plane.x.shape, UNTOUCHED_HU, np.float32)
    return hu, paint_spine(spine, SURFACE, TISSUES, plane, hu)


def _nearest(plane: Plane, x: float, y: float) -> tuple[int, int]:
    row, column = np.unravel_index(np.hypot(plane.x - x, plane.y - y).argmin(), plane.x.shape)
    return int(row), int(column)


def _place(vertebra: Vertebra, u: float, v: float, w: float) -> Array:
    return np.asarray(np.array([u, v, w]) @ vertebra.frame.axes + np.array(vertebra.centre_mm))


@pytest.mark.parametrize("lumbar_count", [4, 5, 6])
def test_the_middle_of_every_body_is_marked_as_that_body(lumbar_count: int) -> None:
    spine = _spine(1, lumbar_count)
    for index, vertebra in enumerate(spine.vertebrae):
        x, y, z = _place(vertebra, 0, 0, 5)
        plane = _plane(z)
        hu, mark = _paint(spine, plane)
        assert mark[_nearest(plane, x, y)] == 2 * index + 1
        assert hu[_nearest(plane, x, y)] > 0
        # The rest of that vertebra is in the same plane.
        assert (mark == 2 * index + 2).any()


@pytest.mark.parametrize("index", [0, 3, 5, 7])
def test_marks_of_a_vertebra_come_from_that_vertebra(index: int) -> None:
    """Without its own arch the rest has no mark, and all other marks stay, but in the joints."""
    spine = _spine()
    bare = dataclasses.replace(spine.vertebrae[index], arch=())
    others = (*spine.vertebrae[:index], bare, *spine.vertebrae[index + 1 :])
    without = dataclasses.replace(spine, vertebrae=others)
    for lift in (-20, 0, 20):
        plane = _plane(spine.vertebrae[index].centre_mm[2] + lift)
        mark, less = _paint(spine, plane)[1], _paint(without, plane)[1]
        assert not (less == 2 * index + 2).any()
        kept = (mark > 0) & (mark != 2 * index + 2)
        assert_array_equal(mark[kept], less[kept])


def test_a_body_lies_where_its_depth_says() -> None:
    spine = _spine(2)
    for index in (2, 5):
        vertebra = spine.vertebrae[index]
        plane = _plane(vertebra.centre_mm[2] + 4)
        _, mark = _paint(spine, plane)
        inside = np.minimum.reduce(vertebra.depths(vertebra.frame.local(plane))[1:]) > 0
        assert_array_equal(mark == 2 * index + 1, inside)


def test_a_pixel_on_the_axis_of_a_body_is_marked() -> None:
    """The direction to the wall is undefined there, and once the pixel was left out."""
    spine = _spine()
    vertebra = spine.vertebra("L3")
    plane = _plane(0.0)
    assert_allclose(vertebra.centre_mm, 0, atol=1e-9)
    assert _paint(spine, plane)[1][_nearest(plane, 0, 0)] % 2 == 1


def test_the_sacrum_and_the_rest_of_the_pelvis_are_painted_and_never_marked() -> None:
    for seed in range(3):
        spine = _spine(seed)
        alone = dataclasses.replace(spine, vertebrae=())
        for body in spine.sacrum.bodies:
            plane = _plane(body.centre_mm[2])
            hu, mark = _paint(alone, plane)
            assert not mark.any()
            assert hu[_nearest(plane, *body.centre_mm[:2])] > 0
        low = spine.sacrum.bodies[1].centre_mm[2]
        assert not _paint(spine, _plane(low))[1].any()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_joints_keep_neighbouring_arches_apart(seed: int) -> None:
    spine = _spine(seed)
    step, found = 0.5, 0
    for index in range(2, 7):
        z = (spine.vertebrae[index].centre_mm[2] + spine.vertebrae[index + 1].centre_mm[2]) / 2
        for lift in (-6, 0, 6):
            mark = _paint(spine, _plane(z + lift, step, half=45.0))[1]
            upper = np.argwhere(mark == 2 * index + 2)
            lower = np.argwhere(mark == 2 * index + 4)
            if not len(upper) or not len(lower):
                continue
            least = min(np.square(lower - place).sum(axis=1).min() for place in upper)
            # The gap is exact where two flat faces meet, and pixels have a size.
            assert np.sqrt(least) * step > JOINT_GAP_MM - 1.5 * step
            found += 1
    assert found > 3


def test_without_a_joint_the_arches_would_overlap() -> None:
    """The gap has something to keep apart: raw depths do overlap somewhere."""
    overlaps = 0
    for seed in range(3):
        for above, below in pairwise(_spine(seed).vertebrae[2:]):
            plane = _plane((above.centre_mm[2] + below.centre_mm[2]) / 2)
            depths = [union_depth(one.arch, one.frame, plane) for one in (above, below)]
            if depths[0] is not None and depths[1] is not None:
                overlaps += int((np.minimum(depths[0], depths[1]) > 0).sum())
    assert overlaps > 0


@pytest.mark.parametrize("level", ["T12", "L2", "L4", "L5"])
def test_the_canal_is_open_at_pedicle_level(level: str) -> None:
    for seed in range(3):
        spine = _spine(seed)
        vertebra = spine.vertebra(level)
        place = _place(vertebra, 0, vertebra.depth_mm / 2 + 8.5, 0.2 * vertebra.height_mm)
        plane = _plane(float(place[2]))
        hu, mark = _paint(spine, plane)
        around = np.hypot(plane.x - place[0], plane.y - place[1]) < 4
        assert not mark[around].any()
        # The sac and its nerve roots.
        assert (np.abs(hu[around] - TISSUES.thecal_sac - 9) < 10).all()


def test_the_canal_bends_without_a_step_between_two_bodies() -> None:
    """Once it jumped where another body became the nearest: hundreds of pixels at once."""
    soft = BoneSurface(0.0, 0.0, 0.0, SURFACE.roughness, 0.0)
    for seed in range(2):
        spine = _spine(seed)
        bare = tuple(dataclasses.replace(one, arch=()) for one in spine.vertebrae)
        spine = dataclasses.replace(spine, vertebrae=bare)
        for above, below in pairwise(spine.vertebrae):
            z = (above.centre_mm[2] + below.centre_mm[2]) / 2
            images = []
            for step in (-0.01, 0.01):
                plane = _plane(z + step)
                hu = np.zeros(plane.x.shape, np.float32)
                paint_spine(spine, soft, TISSUES, plane, hu)
                images.append(hu)
            assert (np.abs(images[0] - images[1]) > 10).sum() < 25


def test_there_is_no_canal_below_the_sacrum() -> None:
    """It once went on behind S3, outside the bone."""
    spine = _spine()
    plane = _plane(spine.sacrum.bodies[-1].centre_mm[2])
    hu, _ = _paint(spine, plane)
    assert not (np.abs(hu - TISSUES.thecal_sac) < 0.5).any()


def test_a_disc_lies_between_two_bodies_and_is_not_marked() -> None:
    spine = _spine()
    for above, below in pairwise(spine.vertebrae[3:]):
        edges = (
            _place(above, 0, 0, -above.height_mm / 2), _place(below, 0, 0, below.height_mm / 2)
        )  # fmt: skip
        x, y, z = (edges[0] + edges[1]) / 2
        plane = _plane(float(z))
        hu, mark = _paint(spine, plane)
        at = _nearest(plane, x, y)
        assert mark[at] == 0
        # From the nucleus to the annulus: 15 HU less to 10 HU more.
        assert -16 < hu[at] - TISSUES.disc < 11


@pytest.mark.parametrize("kind", ["screws", "cement"])
def test_implants_shine_and_leave_the_marks(kind: str) -> None:
    spine = _spine()
    rng = np.random.default_rng(0)
    implants = (
        draw_screws(rng, spine.vertebrae[4:6])
        if kind == "screws"
        else (draw_cement(rng, spine.vertebrae[4]),)
    )
    held = dataclasses.replace(spine, implants=implants)
    brightest = 0.0
    for lift in (-6, 0, 4, 6):
        plane = _plane(spine.vertebrae[4].centre_mm[2] + lift)
        before, mark = _paint(spine, plane)
        after, marked = _paint(held, plane)
        assert_array_equal(mark, marked)
        changed = before != after
        assert (after[changed] >= before[changed]).all() or kind == "cement"
        brightest = max(brightest, float(after.max()))
    assert_allclose(brightest, implants[0].hu, rtol=1e-3)


def test_painting_in_a_part_of_the_plane_is_painting_the_part() -> None:
    spine = _spine(1)
    plane = _plane(12.0, rough=True)
    window = (slice(40, 150), slice(30, 140))
    part = plane.part(window)
    whole, marks = _paint(spine, plane)
    hu, mark = _paint(spine, part)
    assert_array_equal(mark, marks[window])
    assert_allclose(hu, whole[window], atol=1e-3)


@pytest.mark.parametrize("seed", range(4))
def test_no_mark_lies_outside_the_box_that_is_looked_at(seed: int) -> None:
    spine = _spine(seed, scale=1.2)
    (left, right), (front, back) = SPINE_BOX_MM
    for z in np.arange(-120, 190, 15.0):
        plane = _plane(float(z), step_mm=2.0)
        x, y = spine.column.at(float(z))
        beyond = (plane.x < x + left) | (plane.x > x + right)
        beyond |= (plane.y < y + front) | (plane.y > y + back)
        assert not _paint(spine, plane)[1][beyond].any()


def test_a_spine_beside_the_plane_paints_nothing() -> None:
    y = x = np.arange(200, 240, dtype=np.float32)
    grid = np.meshgrid(x, y)
    plane = Plane(grid[0], grid[1], 0.0, np.zeros((40, 40), np.float32), 1.0)
    hu, mark = _paint(_spine(), plane)
    assert not mark.any()
    assert (hu == UNTOUCHED_HU).all()


def test_the_mean_of_a_plane_does_not_depend_on_the_pixel() -> None:
    """Compared with pixels of a quarter of the size, averaged four by four."""
    spine = _spine()
    for lift in (0.0, -8.0):
        z = spine.vertebra("L2").centre_mm[2] + lift
        means = []
        for step in (1.0, 0.25):
            edge = step / 2
            x = np.arange(-70 + edge, 70, step, dtype=np.float32)
            y = np.arange(-40 + edge, 100, step, dtype=np.float32)
            grid = np.meshgrid(x, y)
            plane = Plane(grid[0], grid[1], z, np.zeros_like(grid[0]), step)
            hu: Array = np.zeros(plane.x.shape, np.float32)
            paint_spine(spine, SURFACE, TISSUES, plane, hu)
            means.append(hu.mean())
        # Two per cent of the mean of a plane with some 10 % of bone.
        assert_allclose(means[0], means[1], rtol=0.02)
