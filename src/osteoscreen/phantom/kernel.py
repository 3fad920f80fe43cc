"""Reconstruction kernels, soft to bone: transfer function, noise spectrum and strength of noise.

A kernel multiplies the ramp of filtered back-projection, so one curve, its modulation transfer
function (MTF), decides both: detail is passed by MTF, and the noise of the image has the power
spectrum f MTF(f)^2 (Riederer, Pelc and Chesler 1978, Phys. Med. Biol. 23, 446).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from osteoscreen.phantom.field import Array

EDGE_MM = 0.8
"""Width of the edge that a bone kernel enhances."""

REFERENCE_BLUR_MM = 0.5
"""The kernel that the reference noise is stated for: a soft body kernel, MTF 0.5 at 0.37 per mm."""

FREQUENCY_LIMIT_PER_MM = 5.0
"""Integrals over the spectrum end here; every kernel has vanished."""


@dataclass(frozen=True)
class Kernel:
    """One reconstruction kernel.

    Args:
        name: As the header names it.
        blur_mm: Standard deviation of the in-plane point spread before edge enhancement; 0 is
            an ideal scanner.
        sharpening: Edge enhancement, 0 (soft) to 1 (sharpest bone kernel).
    """

    name: str
    blur_mm: float
    sharpening: float

    @property
    def noise_gain(self) -> float:
        """Noise against the reference kernel at the same dose: root of the integral of the NPS."""
        return float(np.sqrt(_power(self.blur_mm, self.sharpening) / _power(REFERENCE_BLUR_MM, 0)))


def transfer(frequency_per_mm: Array, blur_mm: float, sharpening: float) -> Array:
    """Return the modulation transfer function: a Gaussian roll-off with an enhanced edge.

    Args:
        frequency_per_mm: Spatial frequency in cycles per mm, any shape.
        blur_mm: Standard deviation of the point spread before edge enhancement.
        sharpening: Edge enhancement, 0 to 1.
    Returns: Gain of each frequency, 1 at frequency 0, same shape.
    """
    squared = np.float32(-2 * np.pi**2) * frequency_per_mm**2
    soft = np.exp(squared * np.float32(blur_mm**2))
    if sharpening == 0:
        return np.asarray(soft, dtype=np.float32)
    lifted = 1 + np.float32(sharpening) * (1 - np.exp(squared * np.float32(EDGE_MM**2)))
    return np.asarray(soft * lifted, dtype=np.float32)


def noise_power(frequency_per_mm: Array, blur_mm: float, sharpening: float) -> Array:
    """Return the noise power spectrum of filtered back-projection, f MTF(f)^2, unnormalised."""
    return frequency_per_mm * transfer(frequency_per_mm, blur_mm, sharpening) ** 2


def _power(blur_mm: float, sharpening: float) -> float:
    """Integral of the noise power over the plane of frequencies, without 2 pi."""
    frequency = np.linspace(0, FREQUENCY_LIMIT_PER_MM, 2001, dtype=np.float32)
    power = noise_power(frequency, max(blur_mm, 0.1), sharpening)
    return float(np.trapezoid(power * frequency, frequency))
