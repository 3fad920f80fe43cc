"""The spine: how vertebrae are stacked, and what a plane through them marks."""

from __future__ import annotations

import functools
from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from osteoscreen.phantom.bone import Bone, draw_bone
from osteoscreen.phantom.field import Array, Mask, draw_field
from osteoscreen.phantom.spine import (
    LEVELS,
    SIZE_MM,
    TILT_DEG,
    Plane,
    SpineShape,
    draw_spine,
    paint_spine,
)
from osteoscreen.phantom.vertebra import BoneSurface, Vertebra

UNTOUCHED_HU, DISC_HU = -5000.0, 80.0
SEEDS = range(6)


def _bone() -> Bone:
    return draw_bone(np.random.default_rng(1), 1, 60)


def _spine(seed: int = 0, wear: float = 0.5, scale: float = 1.0) -> tuple[Vertebra, ...]:
    shape = SpineShape(scale, lordosis=1.0, scoliosis_deg=3.0, roll_deg=2.0, wear=wear)
    return draw_spine(np.random.default_rng(seed), _bone(), shape)


@functools.cache
def _surface() -> BoneSurface:
    roughness = draw_field(np.random.default_rng(2), 7.0, (170.0, 90.0, 80.0))
    return BoneSurface(1.0, 800.0, 170.0, roughness, body_wall=1.0)


def _plane(z_mm: float, step_mm: float = 1.0) -> Plane:
    y = np.arange(-75, 100, step_mm, dtype=np.float32)
    x = np.arange(-80, 80, step_mm, dtype=np.float32)
    shell = _surface().roughness.plane(z_mm, y, x)
    return Plane(*np.meshgrid(x, y), z_mm, shell)


def _paint(spine: tuple[Vertebra, ...], z_mm: float) -> tuple[Array, Mask, Mask]:
    """HU over untouched soft tissue, and both masks."""
    plane = _plane(z_mm)
    hu: Array = np.full(plane.x.shape, UNTOUCHED_HU, np.float32)
    body, rest = paint_spine(spine, _surface(), plane, hu, DISC_HU)
    return hu, body, rest


def _at(spine: tuple[Vertebra, ...], level: str) -> Vertebra:
    return spine[LEVELS.index(level)]


def _value(image: Array | Mask, x: float, y: float) -> float:
    return float(image[round(y + 75), round(x + 80)])


def test_the_centre_of_l3_is_the_origin() -> None:
    assert_allclose(_at(_spine(), "L3").centre_mm, 0, atol=1e-12)


def test_vertebrae_follow_each_other_from_the_head_down() -> None:
    for seed in SEEDS:
        spine = _spine(seed)
        assert tuple(vertebra.level for vertebra in spine) == LEVELS
        heights = [vertebra.centre_mm[2] for vertebra in spine]
        assert heights == sorted(heights, reverse=True)


def test_half_bodies_and_a_disc_lie_between_two_centres() -> None:
    for above, below in pairwise(_spine(wear=0.0)):
        down = np.array(above.centre_mm) - np.array(below.centre_mm)
        upper, lower = above.axes[2].astype(float), below.axes[2].astype(float)
        halves = upper * above.height_mm / 2 + lower * below.height_mm / 2
        assert_allclose(down, halves + (upper + lower) * above.disc_mm / 2, atol=1e-4)


def test_axes_are_right_handed_and_orthonormal() -> None:
    for vertebra in _spine(3):
        assert_allclose(vertebra.axes @ vertebra.axes.T, np.eye(3), atol=1e-6)
        assert_allclose(np.linalg.det(vertebra.axes), 1, atol=1e-5)


def test_mean_sizes_and_tilts_are_those_of_the_tables() -> None:
    spines = [_spine(seed, wear=0.0) for seed in range(30)]
    for index, level in enumerate(LEVELS):
        sizes = [
            (spine[index].width_mm, spine[index].depth_mm, spine[index].height_mm)
            for spine in spines
        ]
        # Thirty draws with a spread of 2.5 %.
        assert_allclose(np.mean(sizes, axis=0), SIZE_MM[level][:3], rtol=0.015)
        tilts = [np.degrees(np.arcsin(abs(spine[index].axes[2, 1]))) for spine in spines]
        assert_allclose(np.mean(tilts), abs(TILT_DEG[level]), atol=1.5)


def test_scale_is_a_magnification() -> None:
    small, large = _spine(4, scale=1.0), _spine(4, scale=1.2)
    for one, other in zip(small, large):
        assert_allclose(other.width_mm, 1.2 * one.width_mm)
        assert_allclose(other.centre_mm, 1.2 * np.array(one.centre_mm), atol=1e-6)


def test_the_same_seed_gives_the_same_spine() -> None:
    for one, other in zip(_spine(5), _spine(5)):
        assert one.centre_mm == other.centre_mm
        assert one.arch == other.arch
        assert_array_equal(one.texture[1], other.texture[1])


def test_wear_thins_the_discs_and_grows_spurs() -> None:
    young = [_spine(seed, wear=0.0) for seed in SEEDS]
    worn = [_spine(seed, wear=1.0) for seed in SEEDS]
    assert not any(vertebra.osteophytes for spine in young for vertebra in spine)
    assert any(vertebra.osteophytes for spine in worn for vertebra in spine)
    discs = [np.mean([v.disc_mm for spine in group for v in spine]) for group in (young, worn)]
    # The loss is 0.45 of the disc times a uniform number.
    assert_allclose(discs[1] / discs[0], 1 - 0.45 / 2, atol=0.06)


@pytest.mark.xfail(
    strict=True, reason="the tilts lean the wrong way: the spine is convex to the back"
)
def test_the_lumbar_spine_is_lordotic() -> None:
    for seed in SEEDS:
        spine = _spine(seed)
        # y runs to the back: the middle of a lordosis lies in front of its ends.
        assert _at(spine, "T12").centre_mm[1] > 5
        assert _at(spine, "S1").centre_mm[1] > 10


def test_no_two_bodies_overlap() -> None:
    steps = np.arange(-30, 30, 2.0, dtype=np.float32)
    for above, below in pairwise(_spine(2, wear=1.0)):
        middle = (np.array(above.centre_mm) + below.centre_mm) / 2
        x, y = np.meshgrid(steps + np.float32(middle[0]), steps + np.float32(middle[1]))
        for z in middle[2] + np.arange(-18, 18, 1.5):
            filled = [
                np.isfinite(v.body(v.local(x, y, z), np.zeros_like(x), 800.0))
                for v in (above, below)
            ]
            assert not (filled[0] & filled[1]).any()


def test_body_and_rest_are_disjoint_and_painted() -> None:
    spine = _spine(1)
    for z in np.arange(-100, 160, 13.0):
        hu, body, rest = _paint(spine, z)
        assert body.dtype == rest.dtype == np.bool_
        assert not (body & rest).any()
        assert (hu[body | rest] > UNTOUCHED_HU).all()


def test_the_middle_of_every_vertebra_is_marked_as_a_body_but_for_the_sacrum() -> None:
    spine = _spine(1)
    for vertebra in spine:
        x, y, z = vertebra.centre_mm
        hu, body, rest = _paint(spine, z)
        assert _value(hu, x, y) > 0
        assert _value(body, x, y) == (vertebra.level != "S1")
        assert body.any() or vertebra.level == "S1"
        assert rest.any() or vertebra.level == "S1"


def test_the_sacrum_is_painted_and_never_marked() -> None:
    for seed in SEEDS:
        sacrum = _spine(seed)[-1:]
        for z in sacrum[0].centre_mm[2] + np.arange(-18, 19, 6.0):
            hu, body, rest = _paint(sacrum, z)
            assert not body.any()
            assert not rest.any()
            assert (hu > 100).any()


def test_a_disc_lies_between_two_bodies_and_is_not_marked() -> None:
    spine = _spine(0, wear=0.0)
    for upper, lower in pairwise(("L1", "L2", "L3", "L4")):
        above, below = _at(spine, upper), _at(spine, lower)
        edges = (
            np.array(above.centre_mm) - above.axes[2] * above.height_mm / 2,
            np.array(below.centre_mm) + below.axes[2] * below.height_mm / 2,
        )
        x, y, z = (edges[0] + edges[1]) / 2
        hu, body, _ = _paint(spine, z)
        assert not _value(body, x, y)
        # From the nucleus to the annulus: DISC_HU - 15 to DISC_HU + 10.
        assert DISC_HU - 16 < _value(hu, x, y) < DISC_HU + 11


def test_the_spinal_canal_stays_open() -> None:
    spine = _spine(2)
    for level in ("L1", "L2", "L3", "L4"):
        vertebra = _at(spine, level)
        place = np.array(vertebra.centre_mm) + vertebra.axes[1] * (vertebra.depth_mm / 2 + 8)
        hu, body, rest = _paint(spine, place[2])
        assert _value(hu, place[0], place[1]) == UNTOUCHED_HU
        assert not _value(body | rest, place[0], place[1])


def test_cortex_covers_the_body_and_marrow_fills_it() -> None:
    spine = _spine(0)
    hu, body, rest = _paint(spine, 0.0)
    # No shell where a pedicle joins, so look at the front half.
    front = _plane(0.0).y < 0
    inner = body & np.roll(body, 4, 0) & np.roll(body, -4, 0) & np.roll(body, 4, 1)
    inner &= np.roll(body, -4, 1)
    edge = body & ~(np.roll(body, 1, 0) & np.roll(body, 1, 1) & np.roll(body, -1, 1))
    assert (hu[edge & front] == 800).mean() > 0.8
    assert (hu[inner & front] == 800).mean() < 0.02
    assert set(np.unique(hu[rest])) == {np.float32(170.0), np.float32(800.0)}


def test_a_window_holds_its_box() -> None:
    plane = _plane(0.0)
    window = plane.window((-10.0, 12.0), (3.0, 20.0))
    assert window is not None
    inside = np.zeros(plane.x.shape, bool)
    inside[window] = True
    box = (plane.x > -10) & (plane.x < 12) & (plane.y > 3) & (plane.y < 20)
    assert inside[box].all()
    assert inside.sum() < 2.5 * box.sum()


def test_there_is_no_window_beside_the_plane() -> None:
    assert _plane(0.0).window((200.0, 220.0), (0.0, 10.0)) is None
    assert _plane(0.0).window((0.0, 10.0), (-220.0, -200.0)) is None


def test_a_spine_beside_the_plane_paints_nothing() -> None:
    y, x = np.arange(200, 240, dtype=np.float32), np.arange(200, 240, dtype=np.float32)
    plane = Plane(*np.meshgrid(x, y), 0.0, np.zeros((40, 40), np.float32))
    hu = np.full(plane.x.shape, UNTOUCHED_HU, np.float32)
    body, rest = paint_spine(_spine(), _surface(), plane, hu, DISC_HU)
    assert not body.any()
    assert not rest.any()
    assert (hu == UNTOUCHED_HU).all()
