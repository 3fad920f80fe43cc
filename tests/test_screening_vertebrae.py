"""Bodies parted, vertebrae found and measured: figures worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

from osteoscreen.bundle import PLACES
from osteoscreen.findings import Acquisition, BoneCondition, LeftOut, LevelFinding
from osteoscreen.screening.attenuation import Measured, measure_vertebra, trabecular_region
from osteoscreen.screening.bands import reference_band
from osteoscreen.screening.bodies import part_bodies
from osteoscreen.screening.level_findings import (
    SeenVertebra,
    left_out,
    patient_hu,
    patient_probabilities,
    shifted_conditions,
)
from osteoscreen.screening.level_map import level_map
from osteoscreen.screening.levels import Span
from osteoscreen.screening.reservations import shift_reservations
from osteoscreen.screening.vertebrae import Vertebra, find_vertebrae

STEP_MM = 3.0
SPACING_MM = (STEP_MM, 1.0, 1.0)


def _column(tilt: float = 0.0) -> tuple[NDArray[np.bool_], NDArray[np.int_]]:
    """Three bodies, 9 slices of 27 mm each, parted by discs of 3 slices; the true owner of each.

    A tilt moves the ends of bodies by so many slices from front to back.
    """
    z, y, x = np.indices((36, 48, 56))
    height = z - tilt * (y - 24) / 15
    owner = np.floor(height / 12).astype(int)
    inside = (np.hypot((y - 24) / 15, (x - 28) / 20) <= 1) & (height % 12 < 9)
    return inside & (owner >= 0) & (owner < 3), owner


SPANS = (Span(PLACES.index("L3"), 0, 12), Span(PLACES.index("L2"), 12, 24),
         Span(PLACES.index("L1"), 24, 36))  # fmt: skip
NAMES = ("L3", "L2", "L1")


@pytest.mark.parametrize("tilt", [0.0, 1.0, 2.0])  # up to 22 degrees
def test_bodies_are_parted_along_tilted_discs(tilt: float) -> None:
    body, owner = _column(tilt)
    labels = part_bodies(body, SPANS, SPACING_MM)
    assert_array_equal(labels > 0, body)
    assert (labels[body] == owner[body] + 1).mean() > 0.999


def test_a_border_lies_in_the_disc_beside_a_body_that_is_hardly_marked() -> None:
    body, owner = _column(1.0)
    body &= (owner > 0) | (np.arange(36)[:, None, None] >= 7)  # the upper end of the lowest one
    labels = part_bodies(body, SPANS, SPACING_MM)
    assert (labels[body] == owner[body] + 1).mean() > 0.995


def test_what_is_marked_beyond_the_named_vertebrae_is_left_out() -> None:
    body, _ = _column()
    spans = (Span(PLACES.index("below"), 0, 12), *SPANS[1:])
    labels = part_bodies(body, spans, SPACING_MM)
    assert not labels[:12].any()
    assert set(np.unique(labels)) == {0, 2, 3}


def test_nothing_marked_is_no_body() -> None:
    assert not part_bodies(np.zeros((36, 4, 4), bool), SPANS, SPACING_MM).any()


def test_the_middle_of_each_body_is_chosen() -> None:
    body, _ = _column()
    found = find_vertebrae(part_bodies(body, SPANS, SPACING_MM), NAMES, SPACING_MM)
    assert [one.level for one in found] == list(NAMES)
    assert [one.body for one in found] == [tuple(range(12 * k, 12 * k + 9)) for k in range(3)]
    assert [one.middle for one in found] == [tuple(range(12 * k + 2, 12 * k + 7)) for k in range(3)]
    assert [one.is_cut for one in found] == [True, False, False]


def test_a_crumb_is_no_vertebra() -> None:
    labels = np.zeros((36, 48, 56), np.uint8)
    labels[5, :18, :18] = 1
    assert find_vertebrae(labels, ("L1",), SPACING_MM) == ()


def test_the_region_keeps_away_from_rim_endplates_and_the_back() -> None:
    body = np.zeros((11, 60, 60), bool)
    body[1:10, 10:50, 10:50] = True
    region = trabecular_region(body, SPACING_MM)
    slices, rows, columns = (np.flatnonzero(region.any(axis=axes)) for axes in
                             ((1, 2), (0, 2), (0, 1)))  # fmt: skip
    # 4 mm and more from the side: the fifth pixel; two slices of 3 mm from the ends.
    assert (columns[0], columns[-1]) == (14, 45)
    assert (slices[0], slices[-1]) == (2, 8)
    # the front 70 % of 40 rows
    assert (rows[0], rows[-1]) == (14, 10 + 28 - 1)


def test_an_even_body_measures_what_it_is() -> None:
    body = np.zeros((11, 60, 60), bool)
    body[1:10, 10:50, 10:50] = True
    hu = np.where(body, 130.0, 40.0).astype(np.float32)
    hu[trabecular_region(body, SPACING_MM)] = 120
    found = measure_vertebra(hu, body, SPACING_MM)
    assert found is not None
    assert (found.mean_hu, found.median_hu, found.spread_hu) == (120, 120, 0)
    assert found.dense_share == 0
    assert found.volume_mm3 == trabecular_region(body, SPACING_MM).sum() * 3


def test_too_little_is_not_measured() -> None:
    body = np.zeros((11, 60, 60), bool)
    body[4:6, 10:50, 10:50] = True
    assert measure_vertebra(np.zeros(body.shape, np.float32), body, SPACING_MM) is None


def test_an_arch_goes_to_the_body_that_it_grows_from() -> None:
    bodies = np.zeros((24, 80, 40), np.uint8)
    bodies[0:9, 5:35, 5:35], bodies[12:21, 5:35, 5:35] = 1, 2
    vertebra = bodies > 0
    vertebra[5:8, 35:50, 18:22] = True  # pedicles, as one
    vertebra[17:20, 35:50, 18:22] = True
    vertebra[10:20, 50:70, 18:22] = True  # the upper arch hangs down behind the lower body
    vertebra[0:8, 50:70, 18:22] = True
    labels = level_map(vertebra, bodies)
    assert_array_equal(labels > 0, vertebra)
    assert (labels[10:20, 50:70, 18:22] == 2).all()
    assert (labels[0:8, 50:70, 18:22] == 1).all()


def _seen(
    level: str,
    hu: float | None = 150.0,
    *,
    height: float = 27.0,
    is_cut: bool = False,
    dense: float = 0.0,
    spread: float = 20.0,
    chances: tuple[float, float, float] | None = (0.2, 0.5, 0.3),
) -> SeenVertebra:
    measured = None if hu is None else Measured(hu, hu, spread, 8000, dense)
    where = Vertebra(level, 1, 0, 9, tuple(range(9)), (4,), is_cut)
    told = {} if chances is None else {4: np.array(chances)}
    return SeenVertebra(where, measured, height, 3.0, told)


def _reasons(*seen: SeenVertebra) -> dict[str, LeftOut | None]:
    return {one.vertebra.level: why for one, why in zip(seen, left_out(seen))}


def test_an_intact_spine_counts_from_l1_to_l4() -> None:
    levels = ("S1", "L5", "L4", "L3", "L2", "L1", "T12")
    reasons = _reasons(*(_seen(level) for level in levels))
    assert {level for level, why in reasons.items() if why is None} == {"L1", "L2", "L3", "L4"}
    assert reasons["L5"] is LeftOut.NOT_LUMBAR


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        (_seen("L2", is_cut=True), LeftOut.CUT),
        (_seen("L2", dense=0.04), LeftOut.DENSE),
        (_seen("L2", height=20.0), LeftOut.COLLAPSED),
        (replace(_seen("L2", height=20.0), step_mm=5.0), None),  # 1.4 slices of 5 mm
        (_seen("L2", 205.0), LeftOut.OUTLIER),
        (_seen("L2", 95.0), LeftOut.OUTLIER),
        (_seen("L2", 195.0), None),
        (_seen("L2", spread=41.0), LeftOut.OUTLIER),
        (_seen("L2", spread=40.0), None),
        (_seen("L2", None), None),
    ],
)
def test_an_odd_vertebra_does_not_count(odd: SeenVertebra, reason: LeftOut | None) -> None:
    seen = [_seen("L4"), _seen("L3"), odd, _seen("L1")]
    assert _reasons(*seen) == {"L4": None, "L3": None, "L2": reason, "L1": None}


def test_cut_vertebrae_count_where_none_is_whole() -> None:
    assert _reasons(_seen("L4", is_cut=True), _seen("L3", is_cut=True)) == {"L4": None, "L3": None}


def test_the_patient_is_the_mean_over_vertebrae_that_count() -> None:
    seen = [
        _seen("L3", 100.0, chances=(0.1, 0.2, 0.7)),
        _seen("L2", 140.0, chances=(0.3, 0.4, 0.3)),
        _seen("L1", 900.0, dense=0.5, chances=(1.0, 0.0, 0.0)),
    ]
    reasons = left_out(seen)
    assert patient_hu(seen, reasons) == 120
    found = patient_probabilities(seen, reasons)
    assert found is not None
    assert found.as_tuple() == pytest.approx((0.2, 0.3, 0.5))


def test_where_none_counts_all_of_l1_to_l4_give_probabilities_but_no_attenuation() -> None:
    seen = [_seen("L2", dense=0.5, chances=(0.6, 0.2, 0.2)), _seen("T12", chances=(0.0, 0.0, 1.0))]
    found = patient_probabilities(seen, left_out(seen))
    assert found is not None
    assert found.as_tuple() == pytest.approx((0.6, 0.2, 0.2))
    assert patient_hu(seen, left_out(seen)) is None


def test_shifted_names_count_the_neighbours() -> None:
    normal, worn = (0.8, 0.1, 0.1), (0.1, 0.1, 0.8)
    seen = [
        _seen("L5", chances=normal),
        *(_seen(level, chances=worn) for level in ("L4", "L3")),
        *(_seen(level, chances=normal) for level in ("L2", "L1", "T12")),
    ]
    # up: L2 to L5, two of each; down: T12 to L3, three normal ones.
    found = shifted_conditions(seen, left_out(seen))
    assert found == {"up": BoneCondition.OSTEOPOROSIS, "down": BoneCondition.NORMAL}
    assert shifted_conditions(seen[1:-1], left_out(seen)[1:-1]) == {}


PLAIN = Acquisition(kvp=120, contrast=False)
SURE = 0.8


def _l1(
    hu: float | None, why: LeftOut | None = None, confidence: float | None = 1
) -> tuple[LevelFinding, ...]:
    one = LevelFinding(
        level="L1",
        confidence=confidence,
        slices=(),
        attenuation_hu=hu,
        left_out=why,
        probabilities=None,
    )
    return (one,)


@pytest.mark.parametrize(
    ("hu", "above", "up_to", "suggests"),
    [
        (110.0, None, 110, True),
        (110.1, 110, 160, None),
        (160.0, 110, 160, None),
        (160.1, 160, None, False),
    ],
)
def test_l1_lies_in_its_band(
    hu: float, above: float | None, up_to: float | None, suggests: bool | None
) -> None:
    band, note = reference_band(_l1(hu), PLAIN, SURE)
    assert note is None
    assert band is not None
    assert (band.above_hu, band.up_to_hu, band.suggests_osteoporosis) == (above, up_to, suggests)
    assert "Pickhardt" in band.source
    assert "rules out" not in band.meaning


@pytest.mark.parametrize(
    ("levels", "acquisition", "note"),
    [
        ((), PLAIN, "L1 was not measured"),
        (_l1(None), PLAIN, "L1 was not measured"),
        (_l1(120, LeftOut.DENSE), PLAIN, "does not count"),
        (_l1(120, confidence=0.79), PLAIN, "not sure that L1 is L1"),
        (_l1(120), Acquisition(kvp=None, contrast=False), "kVp unknown"),
        (_l1(120), Acquisition(kvp=100, contrast=False), "not 100"),
        (_l1(120), Acquisition(kvp=120, contrast=None), "contrast agent unknown"),
        (_l1(120), Acquisition(kvp=120, contrast=True), "without contrast agent"),
    ],
)
def test_without_its_acquisition_there_is_no_band(
    levels: tuple[LevelFinding, ...], acquisition: Acquisition, note: str
) -> None:
    band, why = reference_band(levels, acquisition, SURE)
    assert band is None
    assert why is not None
    assert why.startswith("not computed: ")
    assert note in why


def test_names_that_were_given_are_sure() -> None:
    band, _ = reference_band(_l1(120, confidence=None), PLAIN, SURE)
    assert band is not None


def test_without_a_class_nothing_hangs_on_the_names() -> None:
    shifted = {"up": BoneCondition.LOW, "down": BoneCondition.NORMAL}
    assert not [*shift_reservations(None, shifted)]
    assert not [*shift_reservations(BoneCondition.LOW, {"up": BoneCondition.LOW})]
    (told,) = shift_reservations(BoneCondition.LOW, shifted)
    assert told.text.endswith("would be normal bone mass.")
