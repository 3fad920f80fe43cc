"""One volume in, one result out, with a bundle whose outputs can be worked out on paper."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from bundles import LOGIT_PER_GREY, threshold_bundle
from osteoscreen.bundle import Bundle, load_bundle
from osteoscreen.errors import RefusalCode
from osteoscreen.findings import Acquisition, Reservation, ReservationCode, Subject
from osteoscreen.screening.decision import softmax
from osteoscreen.screening.marking import _keep_vertebrae, mark_volume
from osteoscreen.screening.screen import Scanned, Screening, screen_volume
from osteoscreen.screening.slices import choose_slices, holds_bone
from osteoscreen.volume import Volume

SPACING_MM = 1.5


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return threshold_bundle(tmp_path_factory.mktemp("bundle"))


def _volume(hu: np.ndarray, spacing_mm: float = SPACING_MM) -> Volume:
    affine = np.array(
        [[0, 0, spacing_mm, 0], [0, spacing_mm, 0, 0], [5, 0, 0, -20], [0, 0, 0, 1.0]]
    )
    return Volume(hu.astype(np.float32), affine)


def _cylinder(radii_px: list[float], hu: float = 400.0, size: int = 96) -> np.ndarray:
    """One disc of bone a slice, in water."""
    steps = np.arange(size) - size // 2
    distance = np.hypot(steps[:, None], steps[None, :])
    return np.stack([np.where(distance <= radius, hu, 0.0) for radius in radii_px])


def _screen(volume: Volume, bundle: Bundle, **acquisition: object) -> Screening:
    known = Acquisition.model_validate({"kvp": 120.0, "thickness_mm": 5.0} | acquisition)
    indices = tuple(range(volume.hu.shape[0]))
    return screen_volume(volume, Scanned(Subject(), known, (), indices), bundle)


def _codes(screening: Screening) -> set[ReservationCode]:
    return {one.code for one in screening.result.reservations}


def test_marks_land_on_the_bright_pixels(bundle: Bundle) -> None:
    hu = _cylinder([12, 14, 9])
    marks = mark_volume(_volume(hu), bundle)
    assert_array_equal(marks.vertebra, hu > 200)
    assert set(np.unique(marks.labels())) == {0, 1}


@pytest.mark.parametrize("spacing_mm", [0.4, 0.75, 1.0, 2.5])
def test_marks_keep_their_place_at_any_pixel_spacing(bundle: Bundle, spacing_mm: float) -> None:
    hu = _cylinder([20 / spacing_mm], size=int(90 / spacing_mm))
    marks = mark_volume(_volume(hu, spacing_mm), bundle).vertebra[0]
    wanted = hu[0] > 200
    area = marks.sum() * spacing_mm**2
    assert area == pytest.approx(np.pi * 400, rel=0.12)
    assert 2 * (marks & wanted).sum() / (marks.sum() + wanted.sum()) > 0.93


def test_two_bodies_of_one_slice_stay_and_a_speck_does_not() -> None:
    """L5 before S1 of a steep sacrum: once the smaller of the two was lost."""
    body = np.zeros((120, 100), bool)
    body[40:60, 30:70] = True
    body[20:32, 35:65] = True
    body[70:74, 48:52] = True
    vertebra = body.copy()
    _keep_vertebrae(vertebra, body, (1.0, 1.0))
    for mark in (body, vertebra):
        assert mark[40:60, 30:70].all()
        assert mark[20:32, 35:65].all()
        assert not mark[70:74].any()


def test_a_second_body_beyond_reach_is_none() -> None:
    body = np.zeros((120, 100), bool)
    body[70:90, 30:70] = True
    body[20:39, 30:70] = True
    vertebra = body.copy()
    _keep_vertebrae(vertebra, body, (1.0, 1.0))
    assert vertebra[70:90, 30:70].all()
    assert not (vertebra | body)[:40].any()


def test_a_bright_speck_beside_a_body_is_no_body(bundle: Bundle) -> None:
    hu = _cylinder([15])
    hu[0, 5:12, 5:12] = 800
    marks = mark_volume(_volume(hu), bundle)
    for mark in (marks.body, marks.vertebra):
        assert not mark[0, 5:15, 5:15].any()
        assert mark[0, 48, 48]


def test_a_piece_of_the_arch_stays_behind_the_body_and_nowhere_else() -> None:
    """A body at rows 40 to 59, with pieces behind, far behind, and in front of it."""
    body = np.zeros((140, 100), bool)
    body[40:60, 40:60] = True
    vertebra = body.copy()
    vertebra[70:76, 45:55] = True
    vertebra[120:130, 45:55] = True
    vertebra[10:20, 45:55] = True
    _keep_vertebrae(vertebra, body, (1.0, 1.0))
    assert vertebra[70:76, 45:55].all()
    assert not vertebra[120:130].any()
    assert not vertebra[10:20].any()
    assert (body <= vertebra).all()


def test_without_a_body_the_largest_piece_stays() -> None:
    vertebra = np.zeros((60, 60), bool)
    vertebra[10:30, 10:30] = True
    vertebra[10:14, 50:54] = True
    _keep_vertebrae(vertebra, np.zeros_like(vertebra), (3.0, 3.0))
    assert vertebra[10:30, 10:30].all()
    assert not vertebra[:, 50:].any()


def test_a_slice_with_half_the_largest_mark_is_not_classified(bundle: Bundle) -> None:
    volume = _volume(_cylinder([20, 19, 13, 20]))
    assert choose_slices(volume, mark_volume(volume, bundle), bundle) == (0, 1, 3)


def test_the_probabilities_are_those_worked_out_by_hand(bundle: Bundle) -> None:
    screening = _screen(_volume(_cylinder([20, 20, 20], hu=600)), bundle)
    result = screening.result
    assert result.status == "screened"
    # Grey 170 inside the disc, whose diameter fills 0.9 of the roi: mean 170 * pi/4 * 0.81.
    mean = 255 * (600 + 200) / 1200 * np.pi / 4 * 0.9**2
    assert result.probabilities is not None
    expected = softmax(mean * np.array(LOGIT_PER_GREY))
    # The disc is made of pixels: its edge is known to half a pixel in twenty.
    assert_allclose(result.probabilities.as_tuple(), expected, atol=0.02)
    assert result.condition is result.probabilities.condition


def test_each_slice_tells_its_index_place_and_area(bundle: Bundle) -> None:
    result = _screen(_volume(_cylinder([20, 20])), bundle).result
    assert [one.index for one in result.slices] == [0, 1]
    assert [one.position_mm for one in result.slices] == [-20, -15]
    area = (_cylinder([20])[0] > 200).sum() * SPACING_MM**2
    assert_allclose([one.mark_area_mm2 for one in result.slices], area, rtol=0.01)


def test_a_volume_without_bone_is_refused_as_no_lumbar(bundle: Bundle) -> None:
    screening = _screen(_volume(np.zeros((3, 64, 64))), bundle)
    result = screening.result
    assert result.refusal is not None
    assert result.refusal.code is RefusalCode.NO_LUMBAR
    assert result.probabilities is None
    assert result.slices == ()
    assert not screening.marks.vertebra.any()


def test_a_speck_is_no_vertebra(bundle: Bundle) -> None:
    assert _screen(_volume(_cylinder([3])), bundle).result.status == "refused"


def test_a_single_slice_carries_its_reservation(bundle: Bundle) -> None:
    assert ReservationCode.SINGLE_SLICE in _codes(_screen(_volume(_cylinder([20])), bundle))


def test_fewer_than_four_classified_slices_are_few(bundle: Bundle) -> None:
    few = _codes(_screen(_volume(_cylinder([20, 20, 20, 5])), bundle))
    assert ReservationCode.FEW_SLICES in few
    assert ReservationCode.SINGLE_SLICE not in few
    assert ReservationCode.FEW_SLICES not in _codes(_screen(_volume(_cylinder([20] * 4)), bundle))


def test_every_series_says_that_its_levels_are_unknown(bundle: Bundle) -> None:
    assert ReservationCode.LEVELS_UNKNOWN in _codes(_screen(_volume(_cylinder([20] * 4)), bundle))


@pytest.mark.parametrize(
    ("acquisition", "code"),
    [
        ({"kvp": None}, ReservationCode.KVP_UNKNOWN),
        ({"kvp": 100.0}, ReservationCode.KVP_OTHER),
        ({"thickness_mm": 10.0}, ReservationCode.THICKNESS_OTHER),
    ],
)
def test_an_acquisition_unlike_the_training_carries_a_reservation(
    bundle: Bundle, acquisition: dict[str, object], code: ReservationCode
) -> None:
    volume = _volume(_cylinder([20, 20, 20]))
    assert code not in _codes(_screen(volume, bundle))
    assert code in _codes(_screen(volume, bundle, **acquisition))


def test_a_vertebra_at_the_edge_carries_a_reservation(bundle: Bundle) -> None:
    hu = np.roll(_cylinder([20, 20, 20]), 40, axis=2)
    assert ReservationCode.FIELD_OF_VIEW_CUT in _codes(_screen(_volume(hu), bundle))


def test_reservations_from_reading_are_kept(bundle: Bundle) -> None:
    contrast = Reservation(code=ReservationCode.CONTRAST, text="an agent")
    scanned = Scanned(Subject(), Acquisition(kvp=120), (contrast,), (0, 1, 2))
    result = screen_volume(_volume(_cylinder([20, 20, 20])), scanned, bundle).result
    assert contrast in result.reservations


def test_comparable_classes_are_doubtful_and_clear_ones_are_not(bundle: Bundle) -> None:
    # Worked out: a mean grey of 68 gives a top share of 0.97, one of 9 a share of 0.50.
    clear = _screen(_volume(_cylinder([20, 20, 20], hu=300)), bundle)
    thin = np.zeros((3, 96, 96))
    thin[:, 30:60, 30:34] = 210
    doubtful = _screen(_volume(thin), bundle)
    assert ReservationCode.DOUBTFUL not in _codes(clear)
    assert ReservationCode.DOUBTFUL in _codes(doubtful)


def test_synthetic_training_is_said_unless_a_site_trained_its_own(tmp_path: Path) -> None:
    volume = _volume(_cylinder([20, 20, 20]))
    synthetic = _screen(volume, threshold_bundle(tmp_path / "a"))
    own = _screen(volume, threshold_bundle(tmp_path / "b", is_synthetic=False))
    assert ReservationCode.SYNTHETIC_TRAINING in _codes(synthetic)
    assert "synthetic CT" in synthetic.result.notice
    assert ReservationCode.SYNTHETIC_TRAINING not in _codes(own)
    assert "synthetic" not in own.result.notice
    assert own.result.notice.startswith("Research use only. Not a medical device.")


def test_fifty_hu_more_change_the_result(bundle: Bundle) -> None:
    low = _screen(_volume(_cylinder([20] * 3, hu=300)), bundle).result.probabilities
    high = _screen(_volume(_cylinder([20] * 3, hu=350)), bundle).result.probabilities
    assert low is not None
    assert high is not None
    assert high.normal_bone_mass > low.normal_bone_mass + 0.01


def test_the_slice_order_does_not_change_the_probabilities(bundle: Bundle) -> None:
    hu = _cylinder([20, 19, 18, 20], hu=400)
    hu[2] *= 1.5
    up = _screen(_volume(hu), bundle).result.probabilities
    down = _screen(_volume(hu[::-1]), bundle).result.probabilities
    assert up is not None
    assert down is not None
    assert_allclose(up.as_tuple(), down.as_tuple(), atol=1e-9)


def test_water_that_the_bundled_networks_may_mark_is_no_bone() -> None:
    hu = _cylinder([100, 100, 100, 100], hu=0.0, size=256)
    hu[:, np.hypot(*np.ogrid[-128:128, -128:128]) > 100] = -1000
    result = _screen(_volume(hu), load_bundle()).result
    assert result.refusal is not None
    assert result.refusal.code is RefusalCode.NO_LUMBAR


def test_a_mark_holds_bone_when_its_brightest_twentieth_does() -> None:
    mark = np.ones((10, 10), bool)
    hu = np.full((10, 10), 20, np.float32)
    assert not holds_bone(hu, mark)
    hu[0] = 400
    assert holds_bone(hu, mark)
