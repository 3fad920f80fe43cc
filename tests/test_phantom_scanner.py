"""The simulated scanner: point spread, kernel, noise and stored values."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special

from osteoscreen.phantom.field import Array
from osteoscreen.phantom.scanner import (
    KERNELS,
    PAPER_MODELS,
    STORED_RANGE_HU,
    Scan,
    acquire,
    draw_scan,
)

IDEAL = Scan(
    matrix=128,
    field_of_view_mm=128.0,
    centre_mm=(0.0, 0.0),
    thickness_mm=3.0,
    kvp=120,
    tube_current_ma=200,
    blur_mm=0.0,
    sharpening=0.0,
    noise_hu=0.0,
    offset_hu=0.0,
    manufacturer="SYNTHETIC PHANTOM",
    model="Ingenuity CT",
    kernel="B30f",
    is_round=False,
)
"""A scanner that only rounds."""


def _scan(**changes: object) -> Scan:
    return dataclasses.replace(IDEAL, **changes)  # type: ignore[arg-type]  # names checked at run time


def _image(scan: Scan, hu: Array, seed: int = 0) -> Array:
    return acquire(scan, np.random.default_rng(seed), hu)


def _uniform(value: float, matrix: int = 128) -> Array:
    return np.full((matrix, matrix), value, np.float32)


def _edge(low: float = 0.0, high: float = 1000.0) -> Array:
    """A step between the two middle columns."""
    hu = _uniform(low)
    hu[:, 64:] = high
    return hu


def _drawn(seed: int, *, is_randomised: bool, half_width_mm: float = 160.0) -> Scan:
    return draw_scan(
        np.random.default_rng(seed),
        is_randomised=is_randomised,
        trunk_half_width_mm=half_width_mm,
    )


def test_an_ideal_scanner_stores_what_was_painted() -> None:
    hu = np.random.default_rng(0).uniform(-1000, 2000, (128, 128)).astype(np.float32)
    assert_allclose(_image(IDEAL, hu), hu, atol=0.5)


@pytest.mark.parametrize("sharpening", [0.0, 1.0])
def test_stored_values_are_whole_and_fit_twelve_bits(sharpening: float) -> None:
    hu = np.random.default_rng(1).uniform(-4000, 9000, (128, 128)).astype(np.float32)
    image = _image(_scan(sharpening=sharpening, noise_hu=80.0), hu)
    assert image.dtype == np.float32
    assert_array_equal(image, np.rint(image))
    assert image.min() == STORED_RANGE_HU[0] == -1024
    assert image.max() == STORED_RANGE_HU[1] == 3071
    assert STORED_RANGE_HU[1] - STORED_RANGE_HU[0] + 1 == 2**12


def test_pixel_centres_are_a_pixel_apart_around_the_centre() -> None:
    scan = _scan(matrix=100, field_of_view_mm=250.0, centre_mm=(10.0, -40.0))
    y, x = scan.axes_mm()
    assert scan.pixel_mm == 2.5
    assert_allclose(np.diff(x), 2.5)
    assert_allclose(np.diff(y), 2.5)
    assert_allclose((x.mean(), y.mean()), (10, -40), atol=1e-4)
    assert_allclose(x[-1] - x[0] + scan.pixel_mm, scan.field_of_view_mm)


@pytest.mark.parametrize(("blur_mm", "pixel_mm"), [(2.0, 1.0), (1.5, 0.5)])
def test_an_edge_is_blurred_to_the_error_function(blur_mm: float, pixel_mm: float) -> None:
    scan = _scan(blur_mm=blur_mm, field_of_view_mm=128 * pixel_mm)
    profile = _image(scan, _edge())[64]
    # The step lies half a pixel before column 64.
    distance = (np.arange(128) - 63.5) * pixel_mm
    expected = 500 * (1 + special.erf(distance / (blur_mm * np.sqrt(2))))
    # The step is sampled, not integrated: 1 % of its height, and half a HU of rounding.
    assert_allclose(profile, expected, atol=10)


def test_blur_softens_an_edge_and_sharpening_restores_it() -> None:
    scans = (_scan(blur_mm=1.0), _scan(blur_mm=0.7), _scan(blur_mm=0.7, sharpening=1.0))
    slopes = [np.diff(_image(scan, _edge())[64]).max() for scan in scans]
    assert slopes[0] < 0.9 * slopes[1] < 0.9 * 0.9 * slopes[2]


def test_a_sharp_kernel_overshoots_and_a_soft_one_does_not() -> None:
    soft, sharp = (_image(_scan(blur_mm=0.6, sharpening=s), _edge())[64] for s in (0.0, 0.8))
    assert soft.max() == 1000
    assert sharp.max() > 1050
    assert sharp.min() < -50


def test_no_kernel_changes_a_uniform_region() -> None:
    for sharpening in (0.0, 0.5, 1.0):
        assert_array_equal(_image(_scan(blur_mm=0.7, sharpening=sharpening), _uniform(40)), 40)


@pytest.mark.parametrize("noise_hu", [8.0, 20.0, 60.0])
@pytest.mark.parametrize("sharpening", [0.0, 0.6])
def test_noise_inside_the_patient_has_the_set_spread(noise_hu: float, sharpening: float) -> None:
    image = _image(_scan(noise_hu=noise_hu, sharpening=sharpening), _uniform(40))
    assert_allclose(image.std(), noise_hu, rtol=0.01)
    assert_allclose(image.mean(), 40, atol=0.2)


def test_noise_is_weak_far_outside_the_patient() -> None:
    scan = _scan(noise_hu=20.0, field_of_view_mm=640.0)
    # Not quite air, so that no noise falls below the stored range.
    hu = _edge(-800, 40)
    image = _image(scan, hu) - hu
    # A quarter of the full strength is left far from the patient.
    assert_allclose(image[:, 110:].std(), 20, rtol=0.1)
    assert image[:, :20].std() < 0.4 * 20


def test_noise_has_a_ramp_spectrum() -> None:
    scan = _scan(noise_hu=30.0, matrix=256, field_of_view_mm=200.0)
    power = np.zeros((256, 256))
    for seed in range(4):
        power += np.abs(np.fft.fft2(_image(scan, _uniform(40, 256), seed) - 40)) ** 2
    axis = np.fft.fftfreq(256, scan.pixel_mm)
    frequency = np.hypot(axis[:, None], axis[None, :])
    bands = [(0.005, 0.03), (0.03, 0.06), (0.06, 0.1), (0.15, 0.25), (0.55, 0.64)]
    amplitude = np.array(
        [np.sqrt(power[(low < frequency) & (frequency < high)].mean()) for low, high in bands]
    )
    assert (np.diff(amplitude[:4]) > 0).all()
    assert amplitude[4] < 0.3 * amplitude[3]
    # Below the roll-off the amplitude rises in proportion to the frequency.
    assert_allclose(amplitude[2] / amplitude[1], 0.08 / 0.045, rtol=0.2)


def test_a_sharp_kernel_lets_higher_frequencies_through() -> None:
    def share_of_differences(sharpening: float) -> float:
        image = _image(_scan(noise_hu=30.0, sharpening=sharpening), _uniform(40))
        return float(np.diff(image, axis=1).std() / image.std())

    assert share_of_differences(1.0) > 1.15 * share_of_differences(0.0)


def test_noise_depends_on_the_seed_alone() -> None:
    scan = _scan(noise_hu=20.0)
    assert_array_equal(_image(scan, _uniform(40), 3), _image(scan, _uniform(40), 3))
    assert not np.array_equal(_image(scan, _uniform(40), 3), _image(scan, _uniform(40), 4))


def test_drift_moves_tissue_and_not_air() -> None:
    image = _image(_scan(offset_hu=7.0), _edge(-1000, 60))
    assert_array_equal(image[:, :64], -1000)
    assert_array_equal(image[:, 64:], 67)


def test_a_round_image_is_padded_outside_its_circle() -> None:
    image = _image(_scan(is_round=True), _uniform(40))
    assert image[0, 0] == image[-1, -1] == image[0, -1] == image[-1, 0] == -1024
    padded = float((image == -1024).mean())
    # The circle covers pi / 4 of the square, to within its outermost pixels.
    assert_allclose(padded, 1 - np.pi / 4, atol=0.02)
    assert image[64, 64] == image[64, 1] == 40


@settings(deadline=None)
@given(seed=st.integers(0, 2**32), is_randomised=st.booleans())
def test_a_drawn_scan_is_one_that_a_scanner_could_do(seed: int, is_randomised: bool) -> None:
    scan = _drawn(seed, is_randomised=is_randomised)
    assert scan == _drawn(seed, is_randomised=is_randomised)
    assert scan.manufacturer == "SYNTHETIC PHANTOM"
    assert scan.model in PAPER_MODELS
    assert scan.kernel in KERNELS
    assert 0.25 < scan.pixel_mm < 1.0
    assert 0 <= scan.sharpening <= 1
    assert 3 <= scan.noise_hu <= 120
    assert scan.bone_gain > 0


@settings(deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_cohort_scan_is_routine(seed: int) -> None:
    scan = _drawn(seed, is_randomised=False)
    assert scan.kvp == 120
    assert scan.bone_gain == 1
    assert scan.thickness_mm in (2.5, 3, 5)
    assert 330 <= scan.field_of_view_mm <= 430
    assert scan.sharpening <= 0.25
    assert not scan.is_round


def test_randomised_scans_cover_every_setting() -> None:
    scans = [_drawn(seed, is_randomised=True) for seed in range(300)]
    assert {scan.kvp for scan in scans} == {80, 100, 120, 140}
    assert {scan.thickness_mm for scan in scans} == {0.75, 1, 1.5, 2, 2.5, 3, 5}
    assert {scan.kernel for scan in scans} == set(KERNELS)
    assert {scan.is_round for scan in scans} == {True, False}
    small = np.mean([scan.field_of_view_mm < 260 for scan in scans])
    # 40 % of 300 draws: a standard error of 3 %.
    assert_allclose(small, 0.4, atol=0.1)


def test_noise_grows_with_the_patient() -> None:
    for seed in range(5):
        slim = _drawn(seed, is_randomised=True, half_width_mm=130)
        wide = _drawn(seed, is_randomised=True, half_width_mm=150)
        if slim.noise_hu > 3 and wide.noise_hu < 120:
            assert_allclose(wide.noise_hu / slim.noise_hu, np.exp(20 / 120))
        assert dataclasses.replace(wide, noise_hu=slim.noise_hu) == slim
