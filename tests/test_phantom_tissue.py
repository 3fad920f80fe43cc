"""Attenuation of the tissues by contrast phase."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose

from osteoscreen.phantom.bone import CONTRAST_SHIFT_HU
from osteoscreen.phantom.tissue import ORAL_CONTRAST_HU, Phase, Tissues, draw_tissues


def _mean(phase: Phase, name: str) -> float:
    return float(np.mean([getattr(one, name) for one in _drawn() if one.phase is phase]))


def _drawn() -> list[Tissues]:
    rng = np.random.default_rng(0)
    return [draw_tissues(rng, has_contrast=number % 4 > 0) for number in range(400)]


def test_there_is_no_phase_without_an_agent() -> None:
    tissues = draw_tissues(np.random.default_rng(1), has_contrast=False)
    assert tissues.phase is Phase.NONE
    assert_allclose([tissues.aorta, tissues.portal], tissues.blood)
    assert_allclose(tissues.medulla, tissues.kidney)
    assert_allclose(tissues.marrow_shift_hu, 0)


def test_every_phase_is_drawn() -> None:
    assert {one.phase for one in _drawn()} == set(Phase)


def test_the_aorta_fades_from_phase_to_phase() -> None:
    order = [Phase.ARTERIAL, Phase.PORTAL_VENOUS, Phase.DELAYED, Phase.NONE]
    means = [_mean(phase, "aorta") for phase in order]
    assert means == sorted(means, reverse=True)


def test_liver_and_portal_vein_peak_in_the_portal_venous_phase() -> None:
    for name in ("liver", "portal"):
        peak = _mean(Phase.PORTAL_VENOUS, name)
        assert peak > max(_mean(phase, name) for phase in Phase if phase is not Phase.PORTAL_VENOUS)


def test_the_cortex_is_ahead_of_the_medulla_and_urine_comes_last() -> None:
    assert _mean(Phase.ARTERIAL, "kidney") > _mean(Phase.ARTERIAL, "medulla") + 50
    assert abs(_mean(Phase.DELAYED, "kidney") - _mean(Phase.DELAYED, "medulla")) < 15
    assert _mean(Phase.DELAYED, "urine") > 200 > _mean(Phase.PORTAL_VENOUS, "urine")


def test_an_agent_raises_marrow_as_published() -> None:
    # Pompe 2015; the shift is never negative, which lifts its mean a little.
    shifts = CONTRAST_SHIFT_HU
    assert_allclose(_mean(Phase.ARTERIAL, "marrow_shift_hu"), shifts["arterial"], atol=2)
    assert_allclose(_mean(Phase.PORTAL_VENOUS, "marrow_shift_hu"), shifts["portal_venous"], atol=2)


def test_an_agent_always_parts_the_aorta_from_the_veins() -> None:
    for one in _drawn():
        assert (one.aorta == one.blood) == (one.phase is Phase.NONE)


def test_an_oral_agent_is_diluted_otherwise_in_every_patient() -> None:
    lowest, highest = ORAL_CONTRAST_HU
    drawn = np.array([one.oral_contrast for one in _drawn()])
    assert lowest <= drawn.min() < lowest + 10
    assert highest - 10 < drawn.max() <= highest
    # Three standard errors of the mean of 400 uniform draws.
    assert_allclose(drawn.mean(), (lowest + highest) / 2, atol=3 * 380 / np.sqrt(12 * 400))
