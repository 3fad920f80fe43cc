"""The spine: how vertebrae are stacked, curved, worn and broken."""

from __future__ import annotations

import dataclasses
from itertools import pairwise, product

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from osteoscreen.phantom.anatomy import CROOKED_DEG, LORDOSIS_LIMITS, STEEPEST_DEG
from osteoscreen.phantom.bone import Bone, draw_bone, draw_sex_and_age
from osteoscreen.phantom.field import Array
from osteoscreen.phantom.spine import (
    COMPRESSED_DENSER,
    FRACTURE_LEAST_HU,
    FRACTURE_LOGIT,
    FRACTURE_LOGIT_PER_HU,
    FRACTURE_MIDDLE_HU,
    LUMBAR_SIZE_MM,
    LUMBAR_TILT_DEG,
    SACRAL_TILT_DEG,
    THORACIC_SIZE_MM,
    THORACIC_TILT_DEG,
    Spine,
    SpineShape,
    draw_spine,
)
from osteoscreen.phantom.spine_painter import REACH_MM
from osteoscreen.phantom.vertebra import Vertebra

SEEDS = range(8)
SHAPE = SpineShape(scale=1.0, lordosis=1.0, scoliosis_deg=3.0, wear=0.5)
BONE = dataclasses.replace(draw_bone(np.random.default_rng(1), 1, 60), trabecular_hu=250.0)
"""Bone so dense that it hardly ever breaks."""
FRAIL = dataclasses.replace(BONE, trabecular_hu=60.0)
"""Bone that breaks as often as any does."""


def _spine(seed: int = 0, bone: Bone = BONE, /, **shape: float) -> Spine:
    changed = dataclasses.replace(SHAPE, **shape)  # type: ignore[arg-type]  # one kind a field
    return draw_spine(np.random.default_rng(seed), bone, changed)


def _tilt_deg(vertebra: Vertebra) -> float:
    """How far the upper end leans to the front."""
    axis = vertebra.frame.axes[2]
    return float(np.degrees(np.arctan2(-axis[1], axis[2])))


def _depth(vertebra: Vertebra, points: Array) -> Array:
    """Depth of points (x, y, z) below the surface of a body."""
    u, v, w = (
        vertebra.frame.axes.astype(float) @ (points - np.array(vertebra.centre_mm)).T
    ).astype(np.float32)
    return np.asarray(np.minimum.reduce(vertebra.depths((u, v, w))[1:]))


def test_the_centre_of_l3_is_the_origin() -> None:
    assert_allclose(_spine().vertebra("L3").centre_mm, 0, atol=1e-12)


@pytest.mark.parametrize("count", [4, 5, 6])
def test_vertebrae_follow_each_other_from_the_head_down(count: int) -> None:
    lumbar = tuple(f"L{number}" for number in range(1, count + 1))
    for seed in SEEDS:
        spine = _spine(seed, lumbar_count=count)
        assert tuple(one.level for one in spine.vertebrae) == ("T10", "T11", "T12", *lumbar)
        assert tuple(one.level for one in spine.sacrum.bodies) == ("S1", "S2", "S3")
        heights = [one.centre_mm[2] for one in spine.bodies]
        assert heights == sorted(heights, reverse=True)


def test_they_do_so_at_the_strongest_lordosis_and_the_most_uneven_tilts() -> None:
    """Once a sacral body lay above its upper neighbour, and the column could not be drawn."""
    for seed in range(300):
        spine = _spine(
            seed, lordosis=LORDOSIS_LIMITS[1], uneven_deg=CROOKED_DEG, scoliosis_deg=20.0
        )
        heights = [one.centre_mm[2] for one in spine.bodies]
        assert (np.diff(heights) < 0).all()


def test_a_steep_sacrum_takes_the_last_lumbar_vertebra_half_way() -> None:
    for count in (4, 5, 6):
        usual, steep = (_spine(3, lumbar_count=count, sacral_deg=deg) for deg in (0.0, 12.0))
        for before, after in zip(usual.bodies, steep.bodies, strict=True):
            turned = np.degrees(
                np.arcsin(after.frame.axes[2, 1]) - np.arcsin(before.frame.axes[2, 1])
            )
            wanted = {"S": 12.0, "L": 6.0 if after.level == f"L{count}" else 0.0, "T": 0.0}
            # Side tilt and turn are small: the tilts add up to a few hundredths of a degree.
            assert_allclose(abs(turned), wanted[after.level[0]], atol=0.1)


def test_a_steep_sacrum_still_descends() -> None:
    for seed in range(200):
        lordosis = LORDOSIS_LIMITS[seed % 2]
        room = STEEPEST_DEG - SACRAL_TILT_DEG["S3"] * lordosis
        spine = _spine(seed, lordosis=lordosis, uneven_deg=CROOKED_DEG, sacral_deg=min(room, 30.0))
        assert (np.diff([one.centre_mm[2] for one in spine.bodies]) < 0).all()


def test_there_is_no_vertebra_of_an_unknown_name() -> None:
    with pytest.raises(KeyError, match="L5"):
        _spine(lumbar_count=4).vertebra("L5")
    assert _spine(lumbar_count=6).vertebra("L6").level == "L6"


@pytest.mark.parametrize("count", [4, 5, 6])
def test_the_first_and_the_last_lumbar_vertebra_are_those_of_the_table(count: int) -> None:
    spines = [_spine(seed, lumbar_count=count, wear=0.0) for seed in range(40)]
    for level, expected in (
        ("T11", THORACIC_SIZE_MM["T11"]),
        ("L1", LUMBAR_SIZE_MM[0]),
        (f"L{count}", LUMBAR_SIZE_MM[-1]),
    ):
        drawn = [spine.vertebra(level) for spine in spines]
        sizes = [(one.width_mm, one.depth_mm, one.height_mm, one.disc_mm) for one in drawn]
        # Forty draws with a spread of 2.5 %.
        assert_allclose(np.mean(sizes, axis=0), expected, rtol=0.013)


@pytest.mark.parametrize("lordosis", [0.6, 1.0, 1.4])
def test_tilts_are_those_of_the_tables_times_the_lordosis(lordosis: float) -> None:
    spines = [_spine(seed, lordosis=lordosis, scoliosis_deg=0.0) for seed in range(30)]
    typical = THORACIC_TILT_DEG | SACRAL_TILT_DEG
    typical |= {f"L{i + 1}": tilt for i, tilt in enumerate(LUMBAR_TILT_DEG)}
    for level, tilt in typical.items():
        found = np.mean([_tilt_deg(spine.vertebra(level)) for spine in spines])
        # Thirty draws with a spread of 1.5 degrees.
        assert_allclose(found, tilt * lordosis, atol=1.1)


def test_the_lumbar_spine_is_lordotic() -> None:
    for seed in SEEDS:
        spine = _spine(seed)
        # y runs to the back: the middle of a lordosis lies in front of its ends.
        behind = {one.level: one.centre_mm[1] for one in spine.bodies}
        assert min(behind, key=lambda level: behind[level]) in {"L2", "L3", "L4"}
        foremost = min(behind["L3"], behind["L4"])
        assert behind["T10"] > foremost + 10
        assert behind["S2"] > foremost + 30


def test_more_lordosis_brings_the_middle_forward() -> None:
    for seed in SEEDS:
        flat, curved = _spine(seed, lordosis=0.6), _spine(seed, lordosis=1.4)
        for level in ("T10", "S2"):
            assert curved.vertebra(level).centre_mm[1] > flat.vertebra(level).centre_mm[1] + 5


def test_scoliosis_moves_the_spine_aside_and_lordosis_does_not() -> None:
    def aside(**shape: float) -> float:
        spines = [_spine(seed, **shape) for seed in SEEDS]
        return float(np.mean([np.ptp([one.centre_mm[0] for one in s.bodies]) for s in spines]))

    assert aside(scoliosis_deg=15.0) > 3 * aside(scoliosis_deg=0.0)
    assert_allclose(aside(lordosis=0.6), aside(lordosis=1.4), rtol=0.35)


def test_half_bodies_and_a_disc_lie_between_two_centres() -> None:
    for above, below in pairwise(_spine().bodies):
        down = np.array(above.centre_mm) - np.array(below.centre_mm)
        upper, lower = (one.frame.axes[2].astype(float) for one in (above, below))
        halves = upper * above.height_mm / 2 + lower * below.height_mm / 2
        assert_allclose(down, halves + (upper + lower) * above.disc_mm / 2, atol=1e-4)


def test_axes_are_right_handed_and_orthonormal() -> None:
    for vertebra in _spine(3, scoliosis_deg=15.0).bodies:
        axes = vertebra.frame.axes
        assert_allclose(axes @ axes.T, np.eye(3), atol=1e-6)
        assert_allclose(np.linalg.det(axes), 1, atol=1e-5)


@pytest.mark.parametrize("count", [4, 5, 6])
def test_no_point_lies_deep_in_two_bodies(count: int) -> None:
    steps = np.arange(-30, 31, 2.0)
    points = np.array(list(product(steps, steps, np.arange(-20, 21, 2.0))))
    for seed in SEEDS:
        for above, below in pairwise(_spine(seed, lumbar_count=count, wear=1.0).bodies):
            at = points + (np.array(above.centre_mm) + np.array(below.centre_mm)) / 2
            both = np.minimum(_depth(above, at), _depth(below, at))
            # Worn discs and the fused sacrum may touch: less than the pixel of a CT.
            assert both.max() < 0.7


def test_the_column_passes_through_every_body() -> None:
    spine = _spine(4, scoliosis_deg=10.0)
    for one in spine.bodies:
        assert_allclose(spine.column.at(one.centre_mm[2]), one.centre_mm[:2], atol=1e-6)


def test_scale_is_a_magnification_of_the_bodies() -> None:
    small, large = _spine(4), _spine(4, scale=1.2)
    for one, other in zip(small.bodies, large.bodies):
        assert_allclose(other.width_mm, 1.2 * one.width_mm)
        assert_allclose(other.centre_mm, 1.2 * np.array(one.centre_mm), atol=1e-6)


def test_the_same_numbers_give_the_same_spine() -> None:
    for one, other in zip(_spine(5).bodies, _spine(5).bodies):
        assert one.centre_mm == other.centre_mm
        assert one.arch == other.arch
        assert one.upper == other.upper
        assert_array_equal(one.texture[1], other.texture[1])


def test_bridging_adds_broad_spurs_that_grow_over_the_disc() -> None:
    plain, bridged = (_spine(4, bridging=much) for much in (0.0, 1.0))
    assert not any(spur.lip_mm for one in plain.bodies for spur in one.osteophytes)
    lips = [(spur.lip_mm, one.disc_mm) for one in bridged.vertebrae for spur in one.osteophytes]
    grown = [lip / disc for lip, disc in lips if lip]
    # Eight vertebrae with five each on average.
    assert len(grown) > 20
    assert 0.2 <= min(grown) < max(grown) <= 0.8
    # Nothing else of the spine moves.
    for one, other in zip(plain.bodies, bridged.bodies):
        assert one.centre_mm == other.centre_mm
        assert one.arch == other.arch


def test_wear_thins_the_discs_and_grows_spurs_and_sclerosis() -> None:
    young = [_spine(seed, wear=0.0) for seed in SEEDS]
    worn = [_spine(seed, wear=1.0) for seed in SEEDS]
    assert not any(one.osteophytes for spine in young for one in spine.bodies)
    assert any(one.osteophytes for spine in worn for one in spine.bodies)
    vertebrae = [[one for spine in group for one in spine.vertebrae] for group in (young, worn)]
    discs = [np.mean([one.disc_mm for one in group]) for group in vertebrae]
    dense = [np.mean([one.upper.sclerosis_hu for one in group]) for group in vertebrae]
    # The loss is 0.55 of the disc times a uniform number.
    assert_allclose(discs[1] / discs[0], 1 - 0.55 / 2, atol=0.06)
    assert dense[1] > dense[0] + 15


def test_no_arch_reaches_beyond_what_the_painter_looks_at() -> None:
    for seed in SEEDS:
        spine = _spine(seed, scale=1.2, lordosis=1.5, scoliosis_deg=15.0)
        for one in spine.vertebrae:
            boxes = np.array([part.bounds() for part in one.arch])
            low, high = one.frame.limits(boxes)
            assert low[:, 2].min() > one.centre_mm[2] - REACH_MM
            assert high[:, 2].max() < one.centre_mm[2] + REACH_MM


def test_fractures_follow_their_log_odds() -> None:
    shares = []
    for hu in (170.0, 114.0, 60.0, 0.0):
        bone = dataclasses.replace(BONE, trabecular_hu=hu)
        spines = [_spine(seed, bone) for seed in range(60)]
        broken = [one.height_loss > 0 for spine in spines for one in spine.vertebrae]
        shares.append(np.mean(broken))
        assert all(one.height_loss == 0 for spine in spines for one in spine.sacrum.bodies)
    # 1 / (1 + exp(5.6 + 0.033 (HU - 170))), within three standard errors of 480 vertebrae.
    assert shares[0] < 0.015
    assert_allclose(shares[1], 0.0229, atol=0.021)
    assert_allclose(shares[2], 0.1224, atol=0.045)
    assert shares[3] == shares[2]


def test_fractures_are_as_frequent_in_each_class_as_they_are_said_to_be() -> None:
    rng = np.random.default_rng(0)
    for index, expected in enumerate((0.013, 0.067, 0.212)):
        ages = [draw_sex_and_age(rng, index)[1] for _ in range(1500)]
        hu = np.array([draw_bone(rng, index, age).trabecular_hu for age in ages])
        logit = FRACTURE_LOGIT + FRACTURE_LOGIT_PER_HU * (
            np.maximum(hu, FRACTURE_LEAST_HU) - FRACTURE_MIDDLE_HU
        )
        found = 1 - (1 + np.exp(logit)) ** -4.0
        # Three standard errors of a mean over 1500 patients.
        assert_allclose(found.mean(), expected, atol=3 * found.std() / np.sqrt(1500) + 0.001)


def test_fractures_do_not_depend_on_the_class() -> None:
    """What a fracture tells, the attenuation has told: else it would leak the T-score."""
    other = dataclasses.replace(FRAIL, t_score=3.0, condition_index=0, vbmd_mg_cm3=200.0)
    for seed in range(25):
        pairs = zip(_spine(seed, FRAIL).vertebrae, _spine(seed, other).vertebrae)
        assert all(one.height_loss == two.height_loss for one, two in pairs)


def test_a_broken_body_is_lower_and_denser() -> None:
    found = [one for seed in range(25) for one in _spine(seed, FRAIL).vertebrae]
    broken = [one for one in found if one.height_loss > 0]
    assert len(broken) > 15
    for one in broken:
        assert 0.2 <= one.height_loss <= 0.45
        # The front or the middle lost most of it, less the noise of 0.3 mm and the normal dip.
        front = one.upper.front_mm + one.lower.front_mm
        dip = one.upper.concavity_mm + one.lower.concavity_mm
        assert max(front, dip) > 0.6 * one.height_loss * one.height_mm - 1.5
    hu = np.array([one.trabecular_hu for one in broken])
    expected = [60.0 * (1 + COMPRESSED_DENSER * one.height_loss) for one in broken]
    # Vertebrae of one patient differ by 5 HU, which crushing spreads to 6 at most.
    assert_allclose(hu, expected, atol=4 * 6)
    assert_allclose(np.mean(hu - expected), 0, atol=3 * 6 / np.sqrt(len(broken)))


def test_the_front_wall_of_a_wedge_is_as_low_as_its_loss() -> None:
    """Measured where the endplates meet the wall, in the mid-sagittal plane."""
    found = [one for seed in range(40) for one in _spine(seed, FRAIL).vertebrae]
    for one in found:
        low = np.array([[0.0, -one.depth_mm / 2, 0.0], [0.0, one.depth_mm / 2, 0.0]])
        local = tuple(np.array(axis, np.float32) for axis in low.T)
        _, _, upper, lower = one.depths((local[0], local[1], local[2]))
        front, back = (upper + lower) / one.height_mm
        lost = one.upper.front_mm + one.lower.front_mm
        # The wall is uneven and the notch dents the back: the dip of the middle shows a little.
        dip = one.upper.concavity_mm + one.lower.concavity_mm
        assert_allclose(front, 1 - lost / one.height_mm, atol=0.2 * dip / one.height_mm)
        assert back > 0.85


def test_the_spread_of_the_grain_is_the_one_asked_for() -> None:
    bone = dataclasses.replace(BONE, trabecular_sd_hu=40.0, trabecular_hu=100.0)
    rng = np.random.default_rng(0)
    spreads = []
    for seed in range(3):
        for one in _spine(seed, bone).vertebrae:
            u, v, w = (rng.uniform(-1, 1, (3, 4000)) * np.array([[18], [12], [11]])).astype(
                np.float32
            )
            spreads.append(one.grain((u, v, w)).std())
    # Patches of 7 + 3 HU beside the grain; a body holds some hundred coarse cells.
    assert_allclose(np.sqrt(np.square(spreads).mean()), np.hypot(40, 10), rtol=0.05)
