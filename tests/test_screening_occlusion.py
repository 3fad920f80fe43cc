"""Occlusion: worked by hand on a bundle whose answer is the mean grey of the roi."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from bundles import LOGIT_PER_GREY, threshold_bundle
from osteoscreen.bundle import Bundle
from osteoscreen.findings import (
    Certainty,
    LeftOut,
    LevelFinding,
    Probabilities,
    ScreeningResult,
    SliceFinding,
)
from osteoscreen.screening.decision import softmax
from osteoscreen.screening.marking import Marks
from osteoscreen.screening.occlusion import CELLS, occlude, probability_fall, typical_slice
from osteoscreen.volume import Volume


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return threshold_bundle(tmp_path_factory.mktemp("bundle"))


def _roi() -> np.ndarray:
    """A marked square of grey 100 with a bright corner; 0 outside."""
    roi = np.zeros((64, 64), np.float32)
    roi[16:48, 16:48] = 100
    roi[16:24, 16:24] = 220
    return roi


def test_the_fall_is_what_the_mean_grey_loses(bundle: Bundle) -> None:
    roi = _roi()
    fall = probability_fall(roi, 0, bundle)
    assert fall.shape == (CELLS, CELLS)
    cover = roi[roi > 0].mean()

    def chance(image: np.ndarray) -> float:
        logits = np.array([[image.mean() * one for one in LOGIT_PER_GREY]])
        return float(softmax(logits, bundle.settings.classifier.temperature)[0, 0])

    # A cell has 6.4 pixels: cover (2, 2) lies over rows and columns 9.6 to 22.4, rounded.
    covered = roi.copy()
    window = covered[10:22, 10:22]
    window[window > 0] = cover
    assert_allclose(fall[2, 2], chance(roi) - chance(covered), atol=1e-6)
    # Cover (3, 3), rows and columns 16 to 29, hides all of the bright corner.
    assert np.nanargmax(fall) == 3 * CELLS + 3


def test_covers_beside_the_mark_are_not_tried(bundle: Bundle) -> None:
    fall = probability_fall(_roi(), 0, bundle)
    assert np.isnan(fall[0]).all()
    assert np.isnan(fall[:, -1]).all()
    assert np.isfinite(fall[4, 4])
    assert np.isnan(probability_fall(np.zeros((64, 64), np.float32), 0, bundle)).all()


def test_an_even_vertebra_has_nothing_to_lose(bundle: Bundle) -> None:
    roi = np.zeros((64, 64), np.float32)
    roi[16:48, 16:48] = 100
    assert_allclose(np.nan_to_num(probability_fall(roi, 0, bundle)), 0, atol=1e-6)


def _shares(normal: float) -> Probabilities:
    return Probabilities(normal_bone_mass=normal, low_bone_mass=0.9 - normal, osteoporosis=0.1)


def _result(levels: tuple[LevelFinding, ...] = ()) -> ScreeningResult:
    found = _shares(0.7)
    slices = tuple(
        SliceFinding(
            index=at, level=name, position_mm=0, mark_area_mm2=900, probabilities=_shares(normal)
        )
        for at, (name, normal) in enumerate((("T12", 0.7), ("L1", 0.8), ("L1", 0.65), ("L2", 0.3)))
    )
    return ScreeningResult(
        status="screened", condition=found.condition, certainty=Certainty.CLEAR,
        probabilities=found, advice="none", slices=slices, levels=levels, software="test",
        notice="Made up.",
    )  # fmt: skip


def test_the_typical_slice_is_nearest_to_the_patient_among_those_that_count() -> None:
    levels = tuple(
        LevelFinding(
            level=name, confidence=1, slices=(), attenuation_hu=None, left_out=reason,
            probabilities=None,
        )
        for name, reason in (("T12", LeftOut.NOT_LUMBAR), ("L1", None), ("L2", None))
    )  # fmt: skip
    assert typical_slice(_result(levels)) == 2
    assert typical_slice(_result()) == 0


def test_the_occlusion_tells_its_slice_and_class(bundle: Bundle) -> None:
    hu = np.full((5, 64, 64), 40, np.float32)
    mark = np.zeros(hu.shape, bool)
    mark[1:, 20:40, 20:44] = True
    hu[mark] = 400
    affine = np.array([[0, 0, 1.0, 0], [0, 1.0, 0, 0], [3.0, 0, 0, 0], [0, 0, 0, 1]])
    result = _result()
    found = occlude(Volume(hu, affine), Marks(mark, mark), (1, 2, 3, 4), result, bundle)
    assert found.finding is result.slices[0]
    assert found.condition is result.condition
    assert found.roi.shape == (64, 64)
    assert np.isfinite(found.fall).any()
