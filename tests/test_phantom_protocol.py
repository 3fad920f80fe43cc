"""The protocol: what is prescribed holds, what is open is drawn, what is impossible is refused."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from osteoscreen.errors import OsteoscreenError, SettingsError
from osteoscreen.phantom import Scan, draw_scan
from osteoscreen.phantom.fleet import (
    PAPER_SCANNERS,
    SCANNERS,
    SESSION_SD_HU,
    SOFT_SHARPENING,
    Scanner,
    drift_of,
)
from osteoscreen.phantom.protocol import (
    SPINE_CENTRE_MM,
    WIDE_KVP,
    WIDE_THICKNESS_MM,
    Protocol,
    scanner_named,
)


def _drawn(
    seed: int,
    scanner: Scanner | None = None,
    *,
    is_randomised: bool = False,
    half_width_mm: float = 160.0,
    cohort_seed: int = 0,
    protocol: Protocol | None = None,
) -> Scan:
    return draw_scan(
        np.random.default_rng(seed),
        scanner,
        is_randomised=is_randomised,
        trunk_half_width_mm=half_width_mm,
        cohort_seed=cohort_seed,
        protocol=protocol,
    )


@settings(deadline=None)
@given(seed=st.integers(0, 2**32), is_randomised=st.booleans(), half_width_mm=st.floats(100, 260))
def test_a_drawn_scan_is_one_that_a_scanner_could_do(
    seed: int, is_randomised: bool, half_width_mm: float
) -> None:
    scan = _drawn(seed, is_randomised=is_randomised, half_width_mm=half_width_mm)
    assert scan == _drawn(seed, is_randomised=is_randomised, half_width_mm=half_width_mm)
    assert scan.manufacturer == "SYNTHETIC PHANTOM"
    (scanner,) = (one for one in SCANNERS.values() if one.model == scan.model)
    assert scan.kernel in {kernel.name for kernel in scanner.kernels}
    assert scan.convention == scanner.convention
    assert 0.25 < scan.pixel_mm < 1.0
    assert 0 <= scan.sharpening <= 1
    assert 3 <= scan.noise_hu <= 150
    assert 10 <= scan.tube_current_ma <= 800
    # What was drawn could have been prescribed.
    Protocol(
        kvp=scan.kvp,
        tube_current_ma=scan.tube_current_ma,
        thickness_mm=scan.thickness_mm,
        field_of_view_mm=scan.field_of_view_mm,
    )


@settings(deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_cohort_scan_is_routine(seed: int) -> None:
    scan = _drawn(seed)
    assert scan.model in {SCANNERS[name].model for name in PAPER_SCANNERS}
    assert scan.kvp == 120
    assert scan.bone_gain == 1
    assert scan.thickness_mm in (2.5, 3, 5)
    # A half width of 160 mm is a body of 320 mm.
    assert 1.05 * 320 <= scan.field_of_view_mm <= 1.30 * 320
    assert scan.sharpening <= SOFT_SHARPENING
    assert scan.noise_hu <= 40
    assert scan.artefacts is None
    assert not scan.is_round


def test_randomised_scans_cover_every_setting() -> None:
    scans = [_drawn(seed, is_randomised=True) for seed in range(600)]
    assert {scan.kvp for scan in scans} == set(WIDE_KVP)
    assert {scan.thickness_mm for scan in scans} == set(WIDE_THICKNESS_MM)
    assert {scan.model for scan in scans} == {one.model for one in SCANNERS.values()}
    kernels = {kernel.name for one in SCANNERS.values() for kernel in one.kernels}
    assert {scan.kernel for scan in scans} == kernels
    assert {scan.convention.padding_hu for scan in scans} == {-1024, -2000, -2048, -3024}
    small = np.mean([scan.field_of_view_mm < 260 for scan in scans])
    # 40 % of 600 draws: a standard error of 2 %.
    assert_allclose(small, 0.4, atol=0.08)
    assert_allclose(np.mean([scan.artefacts is not None for scan in scans]), 0.3, atol=0.08)


def test_the_weights_of_the_settings_are_whole() -> None:
    assert_allclose(sum(WIDE_KVP.values()), 1)
    assert_allclose(sum(WIDE_THICKNESS_MM.values()), 1)


def test_routine_noise_is_that_of_routine_ct() -> None:
    noise = [_drawn(seed, half_width_mm=165).noise_hu for seed in range(200)]
    assert 7 < np.median(noise) < 14
    assert np.percentile(noise, 95) < 25


def test_noise_grows_with_the_patient_although_the_current_does() -> None:
    for seed in range(5):
        slim, wide = (_drawn(seed, half_width_mm=width) for width in (140, 170))
        assert wide.tube_current_ma > slim.tube_current_ma
        # Whole mA.
        assert_allclose(wide.noise_hu / slim.noise_hu, np.exp(30 / 120), rtol=0.02)


def test_noise_follows_current_and_thickness() -> None:
    def noise(current: int, thickness_mm: float) -> float:
        wanted = Protocol(tube_current_ma=current, thickness_mm=thickness_mm)
        return _drawn(3, protocol=wanted, half_width_mm=180).noise_hu

    assert_allclose(noise(50, 2.5), 2 * noise(200, 2.5))
    assert_allclose(noise(200, 1.25), 2 * noise(200, 5))


def test_a_scanner_has_one_drift_in_a_cohort_and_a_session_adds_little() -> None:
    for scanner in (SCANNERS["ge"], SCANNERS["brilliance-16"]):
        drift = drift_of(scanner.name, 9)
        scans = [_drawn(seed, scanner, cohort_seed=9) for seed in range(400)]
        offsets = np.array([scan.offset_hu for scan in scans])
        assert_allclose(offsets.mean(), drift.offset_hu, atol=4 * SESSION_SD_HU / 20)
        assert_allclose(offsets.std(), SESSION_SD_HU, rtol=0.15)
        assert {scan.gain for scan in scans} == {drift.gain}


def test_over_cohorts_the_drift_is_five_hu() -> None:
    offsets = [_drawn(seed, cohort_seed=seed).offset_hu for seed in range(600)]
    assert_allclose(np.std(offsets), 5, rtol=0.1)
    assert_allclose(np.mean(offsets), 0, atol=0.7)


def test_the_cohort_changes_the_drift_and_nothing_else() -> None:
    one, other = (_drawn(4, cohort_seed=seed) for seed in (1, 2))
    assert one.offset_hu != other.offset_hu
    assert dataclasses.replace(other, offset_hu=one.offset_hu, gain=one.gain) == one


def test_what_is_prescribed_holds_and_the_rest_is_drawn_as_before() -> None:
    scanner = SCANNERS["siemens"]
    wanted = Protocol(
        kvp=100,
        tube_current_ma=77,
        thickness_mm=0.75,
        field_of_view_mm=180.0,
        kernel="B70f",
        matrix=256,
    )
    for is_randomised in (False, True):
        scan = _drawn(5, scanner, is_randomised=is_randomised, protocol=wanted)
        assert (scan.kvp, scan.tube_current_ma, scan.thickness_mm) == (100, 77, 0.75)
        assert (scan.field_of_view_mm, scan.kernel, scan.matrix) == (180, "B70f", 256)
        free = _drawn(5, scanner, is_randomised=is_randomised)
        assert scan.centre_mm == SPINE_CENTRE_MM
        assert scan.isocentre_mm == free.isocentre_mm
        assert scan.offset_hu == free.offset_hu
        assert scan.artefacts == free.artefacts


def test_a_prescribed_field_of_the_whole_trunk_stays_where_it_was_drawn() -> None:
    wide = _drawn(5, protocol=Protocol(field_of_view_mm=400.0))
    assert wide.field_of_view_mm == 400
    assert wide.centre_mm == _drawn(5).centre_mm


def test_a_large_patient_streaks_more_often() -> None:
    def share(half_width_mm: float) -> float:
        scans = [
            _drawn(seed, is_randomised=True, half_width_mm=half_width_mm) for seed in range(200)
        ]
        return float(np.mean([scan.artefacts is not None for scan in scans]))

    assert share(220) > share(150) + 0.2


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"thickness_mm": 0.0}, "slice thickness must be 0.4 to 10 mm, got 0 mm"),
        ({"thickness_mm": 12.0}, "slice thickness must be 0.4 to 10 mm, got 12 mm"),
        ({"thickness_mm": float("nan")}, "slice thickness must be 0.4 to 10 mm, got nan mm"),
        ({"field_of_view_mm": 40.0}, "field of view must be 120 to 500 mm, got 40 mm"),
        ({"field_of_view_mm": 600.0}, "field of view must be 120 to 500 mm, got 600 mm"),
        ({"kvp": 60}, "tube voltage must be 80 to 140 kV, got 60 kV"),
        ({"kvp": 150}, "tube voltage must be 80 to 140 kV, got 150 kV"),
        ({"tube_current_ma": 0}, "tube current must be 10 to 800 mA, got 0 mA"),
        ({"matrix": 500}, "matrix must be one of 256, 320, 512, 768, 1024, got 500"),
    ],
)
def test_impossible_settings_are_refused_before_any_work(
    setting: dict[str, float], message: str
) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        Protocol(**setting)  # type: ignore[arg-type]  # names checked at run time
    assert isinstance(caught.value, OsteoscreenError)
    assert "\n" not in str(caught.value)


def test_a_kernel_of_another_maker_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"kernel of ge must be one of SOFT, .*, got B30f"):
        _drawn(0, SCANNERS["ge"], protocol=Protocol(kernel="B30f"))


def test_a_scanner_is_found_by_its_name_or_refused() -> None:
    assert scanner_named("canon") is SCANNERS["canon"]
    with pytest.raises(SettingsError, match=r"must be one of ingenuity-ct, .*, got mri"):
        scanner_named("mri")
