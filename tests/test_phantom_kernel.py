"""Reconstruction kernels: transfer function and noise."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from osteoscreen.phantom.fleet import SCANNERS
from osteoscreen.phantom.kernel import (
    EDGE_MM,
    REFERENCE_BLUR_MM,
    Kernel,
    noise_power,
    transfer,
)

FREQUENCY = np.linspace(0, 2, 201, dtype=np.float32)


def test_a_soft_kernel_passes_half_where_its_gaussian_does() -> None:
    # exp(-2 pi^2 s^2 f^2) = 1/2 at f = sqrt(ln 2 / 2) / (pi s): 0.375 per mm for 0.5 mm.
    half = np.array([np.sqrt(np.log(2) / 2) / (np.pi * 0.5)], np.float32)
    assert_allclose(half, 0.3748, atol=1e-4)
    assert_allclose(transfer(half, 0.5, 0.0), 0.5, rtol=1e-5)


def test_an_ideal_kernel_passes_everything() -> None:
    assert_allclose(transfer(FREQUENCY, 0.0, 0.0), 1)


@pytest.mark.parametrize("name", SCANNERS)
def test_no_kernel_changes_a_uniform_region_and_all_vanish(name: str) -> None:
    for kernel in SCANNERS[name].kernels:
        curve = transfer(np.array([0.0, 5.0], np.float32), kernel.blur_mm, kernel.sharpening)
        assert_allclose(curve, [1, 0], atol=1e-4)


def test_the_transfer_function_is_that_of_two_gaussians() -> None:
    """The same by its point spread in space: a Gaussian, plus itself less a wider one."""
    step_mm, blur_mm, sharpening = 0.05, 0.4, 0.7
    x = (np.arange(801) - 400) * step_mm

    def gaussian(width: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        return np.asarray(np.exp(-(x**2) / (2 * width**2)) / (width * np.sqrt(2 * np.pi)))

    wide = np.hypot(blur_mm, EDGE_MM)
    spread = (1 + sharpening) * gaussian(blur_mm) - sharpening * gaussian(wide)
    slow = [(spread * np.cos(2 * np.pi * f * x)).sum() * step_mm for f in FREQUENCY]
    assert_allclose(transfer(FREQUENCY, blur_mm, sharpening), slow, atol=1e-5)


def test_noise_power_is_the_frequency_times_the_squared_transfer() -> None:
    power = noise_power(FREQUENCY, 0.3, 0.5)
    assert_allclose(power, FREQUENCY * transfer(FREQUENCY, 0.3, 0.5) ** 2)
    assert power[0] == 0


def test_noise_of_soft_kernels_falls_with_the_blur_to_the_power_of_three_halves() -> None:
    # The integral of f^2 exp(-a f^2) goes with a^(-3/2), and a with the squared blur.
    for blur_mm in (0.3, 0.6):
        expected = (REFERENCE_BLUR_MM / blur_mm) ** 1.5
        assert_allclose(Kernel("soft", blur_mm, 0.0).noise_gain, expected, rtol=1e-3)


def test_a_sharper_kernel_is_noisier() -> None:
    for scanner in SCANNERS.values():
        gains = [kernel.noise_gain for kernel in scanner.kernels]
        assert (np.diff(gains) > 0).all()
        # Bone kernels are known for several times the noise of soft ones.
        assert 3 < gains[-1] / gains[0] < 15
