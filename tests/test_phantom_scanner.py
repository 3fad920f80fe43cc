"""The simulated scanner: point spread, kernel, noise, drift and stored values."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import ndimage, special

from osteoscreen.errors import SettingsError
from osteoscreen.phantom import draw_patient, draw_scan, render_slice
from osteoscreen.phantom.artefact import Artefacts
from osteoscreen.phantom.bone import HU_GAIN_OF_KVP
from osteoscreen.phantom.field import Array
from osteoscreen.phantom.fleet import SCANNERS, STORED_RANGE_HU
from osteoscreen.phantom.kernel import noise_power, transfer
from osteoscreen.phantom.scanner import Scan, acquire

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
    kernel="B",
    is_round=False,
)
"""A scanner that only rounds."""

KERNELS = [(0.5, 0.0), (0.44, 0.15), (0.3, 0.8)]
"""Soft, medium and bone."""


def _scan(**changes: object) -> Scan:
    changed: Scan = dataclasses.replace(IDEAL, **changes)  # type: ignore[arg-type]  # names checked at run time
    return changed


def _image(scan: Scan, hu: Array, seed: int = 0) -> Array:
    return acquire(scan, np.random.default_rng(seed), hu)


def _uniform(value: float, matrix: int = 128) -> Array:
    return np.full((matrix, matrix), value, np.float32)


def _edge(low: float = 0.0, high: float = 1000.0) -> Array:
    """A step between the two middle columns."""
    hu = _uniform(low)
    hu[:, 64:] = high
    return hu


def test_an_ideal_scanner_stores_what_was_painted() -> None:
    hu = np.random.default_rng(0).uniform(-1000, 2000, (128, 128)).astype(np.float32)
    # Rounding, and the single precision of the transform there and back.
    assert_allclose(_image(IDEAL, hu), hu, atol=0.51)


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


@pytest.mark.parametrize(("blur_mm", "sharpening"), KERNELS)
def test_the_transfer_measured_at_an_edge_is_the_kernels(blur_mm: float, sharpening: float) -> None:
    scan = _scan(blur_mm=blur_mm, sharpening=sharpening, field_of_view_mm=32.0)
    spread = np.diff(_image(scan, _edge(0, 2000))[64]) / 2000  # a step's difference is an impulse
    frequency = np.fft.rfftfreq(127, scan.pixel_mm).astype(np.float32)
    # Rounding to whole HU leaves up to half a percent in the sum.
    assert_allclose(
        np.abs(np.fft.rfft(spread)), transfer(frequency, blur_mm, sharpening), atol=0.01
    )


@pytest.mark.parametrize("pixel_mm", [0.3, 1.0])
def test_a_kernel_without_enhancement_is_a_sampled_gaussian(pixel_mm: float) -> None:
    scan = _scan(blur_mm=0.45, field_of_view_mm=128 * pixel_mm)
    hu = np.random.default_rng(3).uniform(0, 200, (128, 128)).astype(np.float32)
    slow = ndimage.gaussian_filter(hu, 0.45 / pixel_mm, mode="nearest", truncate=8)
    assert_allclose(_image(scan, hu), slow, atol=0.6)


def test_the_image_goes_on_beyond_its_edge() -> None:
    ramp = np.tile(np.linspace(-500, 500, 128, dtype=np.float32), (128, 1))
    image = _image(_scan(blur_mm=1.0), ramp)
    # Nothing of the other side comes in; the end of a slope is flattened by a few HU.
    assert_allclose(image, ramp, atol=8)


def test_blur_softens_an_edge_and_sharpening_restores_it() -> None:
    scans = (_scan(blur_mm=1.0), _scan(blur_mm=0.7), _scan(blur_mm=0.7, sharpening=1.0))
    slopes = [np.diff(_image(scan, _edge())[64]).max() for scan in scans]
    assert slopes[0] < 0.9 * slopes[1] < 0.9 * 0.9 * slopes[2]


def test_a_sharp_kernel_overshoots_and_a_soft_one_does_not() -> None:
    soft, sharp = (_image(_scan(blur_mm=0.6, sharpening=s), _edge())[64] for s in (0.0, 0.8))
    assert soft.max() == 1000
    assert sharp.max() > 1030
    assert sharp.min() < -30


def test_no_kernel_changes_a_uniform_region() -> None:
    for sharpening in (0.0, 0.5, 1.0):
        assert_array_equal(_image(_scan(blur_mm=0.7, sharpening=sharpening), _uniform(40)), 40)


@pytest.mark.parametrize("noise_hu", [8.0, 60.0])
@pytest.mark.parametrize(("blur_mm", "sharpening"), KERNELS)
def test_noise_in_the_depth_of_the_patient_has_the_set_spread(
    noise_hu: float, blur_mm: float, sharpening: float
) -> None:
    scan = _scan(noise_hu=noise_hu, blur_mm=blur_mm, sharpening=sharpening)
    images = [_image(scan, _uniform(40), seed)[44:84, 44:84] for seed in range(8)]
    # 12,800 correlated pixels, and a few percent less noise a few cm off the middle.
    assert_allclose(np.std(images), noise_hu, rtol=0.07)
    assert_allclose(np.mean(images), 40, atol=0.02 * noise_hu)


@pytest.mark.parametrize(("blur_mm", "sharpening"), KERNELS)
def test_the_noise_spectrum_is_the_ramp_times_the_squared_transfer(
    blur_mm: float, sharpening: float
) -> None:
    scan = _scan(
        noise_hu=30.0, blur_mm=blur_mm, sharpening=sharpening, matrix=256, field_of_view_mm=120.0
    )
    power = np.zeros((256, 256))
    for seed in range(6):
        power += np.abs(np.fft.fft2(_image(scan, _uniform(40, 256), seed) - 40)) ** 2
    axis = np.fft.fftfreq(256, scan.pixel_mm)
    frequency = np.hypot(axis[:, None], axis[None, :])
    edges = np.arange(0.05, 1.0, 0.05)
    ring = np.digitize(frequency, edges)
    rings = np.arange(1, len(edges))
    measured = ndimage.mean(power, ring, rings)
    expected = ndimage.mean(
        noise_power(frequency.astype(np.float32), blur_mm, sharpening), ring, rings
    )
    measured, expected = measured / measured.sum(), expected / expected.sum()
    # Noise that is weaker off the middle smears the spectrum by a few percent of its peak.
    assert_allclose(measured, expected, atol=0.05 * expected.max())


def test_noise_is_weak_far_outside_the_patient() -> None:
    scan = _scan(noise_hu=20.0, field_of_view_mm=500.0, half_width_mm=170.0)
    y, x = scan.axes_mm()
    inside = (x[None, :] / 170) ** 2 + (y[:, None] / 120) ** 2 < 1
    hu = np.where(inside, 40, -850).astype(np.float32)  # not quite air: nothing is clipped
    noise = _image(scan, hu) - hu
    assert_allclose(noise[56:72, 56:72].std(), 20, rtol=0.15)
    assert noise[:20, :20].std() < 0.5 * 20


def test_a_wide_patient_has_lateral_streaks() -> None:
    scan = _scan(noise_hu=20.0, matrix=200, field_of_view_mm=500.0, blur_mm=0.5)
    y, x = scan.axes_mm()
    inside = (x[None, :] / 230) ** 2 + (y[:, None] / 130) ** 2 < 1
    hu = np.where(inside, 40, -850).astype(np.float32)
    noise = np.stack([_image(scan, hu, seed) - hu for seed in range(4)])[:, 80:120, 60:140]
    along = (noise[:, :, 1:] * noise[:, :, :-1]).mean()
    across = (noise[:, 1:] * noise[:, :-1]).mean()
    assert along > across + 0.1 * noise.var()


def test_a_small_field_has_the_noise_of_the_patient_around_it() -> None:
    """Streaks come from what the rays crossed, whether it is in the image or not."""
    scan = _scan(noise_hu=20.0, centre_mm=(0.0, -45.0), blur_mm=0.5)
    wide = dataclasses.replace(scan, half_width_mm=230.0)

    def excess(one: Scan) -> float:
        noise = np.stack([_image(one, _uniform(40), seed) - 40 for seed in range(4)])
        along = (noise[:, :, 1:] * noise[:, :, :-1]).mean()
        return float((along - (noise[:, 1:] * noise[:, :-1]).mean()) / noise.var())

    assert abs(excess(scan)) < 0.05
    assert excess(wide) > 0.1


def test_noise_depends_on_the_seed_alone() -> None:
    scan = _scan(noise_hu=20.0)
    assert_array_equal(_image(scan, _uniform(40), 3), _image(scan, _uniform(40), 3))
    assert not np.array_equal(_image(scan, _uniform(40), 3), _image(scan, _uniform(40), 4))


def test_drift_moves_tissue_and_not_air() -> None:
    image = _image(_scan(offset_hu=7.0), _edge(-1000, 60))
    assert_array_equal(image[:, :64], -1000)
    assert_array_equal(image[:, 64:], 67)
    assert_array_equal(_image(_scan(offset_hu=7.0), _uniform(0)), 7)


def test_the_error_of_the_slope_moves_bone_and_not_water() -> None:
    image = _image(_scan(gain=0.02), _edge(0, 500))
    assert_array_equal(image[:, :64], 0)
    assert_array_equal(image[:, 64:], 510)
    assert_array_equal(_image(_scan(gain=0.02), _uniform(-100)), -100)


@pytest.mark.parametrize("name", ["siemens", "ge", "ge-early", "canon"])
def test_a_round_image_is_padded_outside_its_circle(name: str) -> None:
    convention = SCANNERS[name].convention
    image = _image(_scan(is_round=True, convention=convention, noise_hu=5.0), _uniform(40))
    padding = convention.padding_hu
    assert image[0, 0] == image[-1, -1] == image[0, -1] == image[-1, 0] == padding
    # The circle covers pi / 4 of the square, to within its outermost pixels.
    assert_allclose((image == padding).mean(), 1 - np.pi / 4, atol=0.02)
    assert image[image != padding].min() > 0


def test_an_off_centre_image_is_padded_outside_the_scan_field() -> None:
    scan = _scan(field_of_view_mm=400.0, centre_mm=(100.0, 0.0), isocentre_mm=(0.0, 0.0))
    image = _image(scan, _uniform(40))
    y, x = scan.axes_mm()
    outside = np.hypot(x[None, :], y[:, None]) > 250
    assert_array_equal(image == -1024, outside)
    assert 0.05 < outside.mean() < 0.3


def test_artefacts_come_with_metal_or_where_they_are_asked_for() -> None:
    scan = _scan(field_of_view_mm=400.0)
    y, x = scan.axes_mm()
    body = np.where(np.hypot(x[None, :], y[:, None]) < 160, 40, -1000).astype(np.float32)
    assert_array_equal(_image(scan, body), body)
    assert np.abs(_image(dataclasses.replace(scan, artefacts=Artefacts()), body) - body).max() > 3
    metal = body.copy()
    metal[62:66, 50:54] = 8000
    assert np.abs(_image(scan, metal)[62:66, 58:64] - 40).max() > 10


@pytest.mark.parametrize("case", [0, 1, 5])
def test_a_calibrated_scan_reads_the_vertebra_without_bias(case: int) -> None:
    """Kernel, noise and padding leave the mean of a vertebral body where it was painted."""
    patient = draw_patient(17, case)
    drawn = draw_scan(
        np.random.default_rng(case),
        is_randomised=False,
        trunk_half_width_mm=patient.trunk.half_width_mm,
    )
    scan = dataclasses.replace(
        drawn, matrix=256, field_of_view_mm=200.0, centre_mm=(0.0, 0.0), offset_hu=0.0, gain=0.0
    )
    height = patient.spine.vertebra("L3").centre_mm[2]
    still = dataclasses.replace(scan, blur_mm=0.0, sharpening=0.0, noise_hu=0.0)
    truth = render_slice(patient, still, height, np.random.default_rng(0))
    seen = render_slice(patient, scan, height, np.random.default_rng(0))
    core = ndimage.binary_erosion(truth.body, iterations=8)
    assert core.sum() > 400
    assert abs(float(seen.hu[core].mean() - truth.hu[core].mean())) < 3


def test_bone_is_brighter_at_low_voltage_and_between_known_voltages_in_between() -> None:
    for kvp, gain in HU_GAIN_OF_KVP.items():
        assert_allclose(_scan(kvp=kvp).bone_gain, gain)
    assert_allclose(_scan(kvp=110).bone_gain, 1.04)
    gains = [_scan(kvp=kvp).bone_gain for kvp in range(80, 141, 5)]
    assert (np.diff(gains) < 0).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"matrix": 1}, "matrix must be 2 or more, got 1"),
        ({"field_of_view_mm": 0.0}, "field of view must be positive, got 0.0 mm"),
        ({"field_of_view_mm": float("nan")}, "field of view must be positive, got nan mm"),
        ({"thickness_mm": -1.0}, "thickness must not be negative, got -1.0 mm"),
        ({"kvp": 150}, "tube voltage must be 80 to 140 kV, got 150"),
    ],
)
def test_settings_without_meaning_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        _scan(**changes)
