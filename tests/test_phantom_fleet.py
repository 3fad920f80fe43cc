"""The fleet: conventions, kernels and drift."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from osteoscreen.phantom.fleet import (
    DRIFT_SD_HU,
    GAIN_SD,
    MANUFACTURER,
    PAPER_SCANNERS,
    SCANNERS,
    SESSION_SD_HU,
    SOFT_SHARPENING,
    STORED_RANGE_HU,
    drift_of,
)
from osteoscreen.phantom.kernel import transfer


def test_the_papers_scanners_are_there() -> None:
    models = tuple(SCANNERS[name].model for name in PAPER_SCANNERS)
    assert models == ("Ingenuity CT", "Ingenuity Flex", "Brilliance16")
    assert set(PAPER_SCANNERS) < set(SCANNERS)
    assert {SCANNERS[name].convention.vendor for name in PAPER_SCANNERS} == {"Philips"}


def test_no_header_passes_for_a_real_device() -> None:
    assert MANUFACTURER == "SYNTHETIC PHANTOM"
    for name, scanner in SCANNERS.items():
        assert scanner.name == name
        assert scanner.convention.image_types[:2] == ("DERIVED", "SECONDARY")
        if name not in PAPER_SCANNERS:
            assert scanner.model.startswith("Phantom after ")


@pytest.mark.parametrize(
    ("name", "padding_hu"),
    [("ge", -3024), ("ge-early", -2000), ("canon", -2048), ("siemens", -1024)],
)
def test_padding_reads_as_each_makers_value(name: str, padding_hu: int) -> None:
    assert SCANNERS[name].convention.padding_hu == padding_hu


@pytest.mark.parametrize("name", SCANNERS)
def test_every_stored_value_fits_its_pixels(name: str) -> None:
    convention = SCANNERS[name].convention
    low = -(2 ** (convention.bits - 1)) if convention.is_signed else 0
    high = low + 2**convention.bits - 1
    for hu in (*STORED_RANGE_HU, convention.padding_hu):
        assert low <= hu - convention.intercept_hu <= high


@pytest.mark.parametrize("name", SCANNERS)
def test_kernels_go_from_soft_to_bone(name: str) -> None:
    scanner = SCANNERS[name]
    # Detail of 1 mm is what tells soft from bone.
    passed = [
        float(transfer(np.array([0.5], np.float32), one.blur_mm, one.sharpening)[0])
        for one in scanner.kernels
    ]
    assert (np.diff(passed) > 0).all()
    assert len(scanner.soft_kernels) >= 2
    assert scanner.kernels[-1].sharpening > SOFT_SHARPENING
    assert len({one.name for one in scanner.kernels}) == len(scanner.kernels)


def test_a_scanner_drifts_alike_for_all_patients_of_a_cohort_and_unlike_others() -> None:
    assert drift_of("ge", 3) == drift_of("ge", 3)
    offsets = {drift_of(name, seed).offset_hu for name in SCANNERS for seed in range(3)}
    assert len(offsets) == 3 * len(SCANNERS)


def test_drift_has_its_spread() -> None:
    drifts = [drift_of(name, seed) for name in SCANNERS for seed in range(300)]
    # 2,100 draws: a standard error of 1.5 % of the spread.
    assert_allclose(np.std([one.offset_hu for one in drifts]), DRIFT_SD_HU, rtol=0.06)
    assert_allclose(np.std([one.gain for one in drifts]), GAIN_SD, rtol=0.06)
    assert_allclose(np.mean([one.offset_hu for one in drifts]), 0, atol=0.4)


def test_drift_of_scanner_and_session_together_is_five_hu() -> None:
    assert_allclose(np.hypot(DRIFT_SD_HU, SESSION_SD_HU), 5, rtol=0.01)
