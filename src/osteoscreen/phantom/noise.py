"""Quantum noise: how strong, where it is strongest, and in which direction it runs.

Strength follows the dose; place and direction follow the attenuation of the rays, which are
projected on a coarse grid: deep inside the patient more noise, and along the longest axis lateral
streaks, because those rays are the weakest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from osteoscreen.phantom.field import Array
from osteoscreen.phantom.kernel import Kernel
from osteoscreen.phantom.projection import (
    SCAN_FIELD_MM,
    WATER_PER_MM,
    Projector,
    ScanGrid,
    projector,
)

GRID_PIXELS, GRID_VIEWS = 64, 24
"""Noise varies slowly: 8 mm and 7.5 degrees are enough."""

REFERENCE_NOISE_HU = 12.0
REFERENCE_KVP, REFERENCE_MA, REFERENCE_MM, REFERENCE_HALF_WIDTH_MM = 120, 200, 2.5, 165.0
"""Noise in the depth of a patient of this half width, at these settings, with the reference
kernel: as in routine abdominal CT."""

NOISE_PER_KVP = -1.4
"""Exponent: noise falls a little faster than in proportion to tube voltage at one tube current,
as output rises with a power of about 2.5 and transmission with it (textbook: Bushberg et al.)."""

EFFECTIVE_PER_MM = 0.02
"""Attenuation that one more millimetre of patient width adds to the path."""

MODULATION = 0.5
"""Share of the attenuation between views that angular dose modulation makes up for."""

BOWTIE_MM = 180.0
BOWTIE = 0.5
"""The bowtie filter evens out this share of a round body of this radius."""

MAX_DIRECTION = 0.9
"""Bound of the second harmonic, which must leave every direction some noise."""

MIN_STRENGTH = 0.05
"""Noise in the open air, against the depth of the patient: electronics."""


@dataclass(frozen=True, eq=False)
class NoisePlan:
    """Where and in which direction the noise of one slice runs.

    Args:
        strength: Standard deviation against the deepest place, shape (rows, columns).
        cosine, sine: Second harmonic of the noise power over the direction of frequency.
    """

    strength: Array
    cosine: float
    sine: float


def expected_noise_hu(
    kernel: Kernel,
    *,
    kvp: float,
    tube_current_ma: float,
    thickness_mm: float,
    half_width_mm: float,
) -> float:
    """Return the noise in the depth of the patient: one over the root of the photons.

    Args:
        kernel: Reconstruction kernel.
        kvp: Tube voltage.
        tube_current_ma: Tube current.
        thickness_mm: Slice thickness.
        half_width_mm: Half of the patient's width.
    Returns: Standard deviation in HU.
    """
    photons = tube_current_ma / REFERENCE_MA * thickness_mm / REFERENCE_MM
    wider_mm = half_width_mm - REFERENCE_HALF_WIDTH_MM
    return float(
        REFERENCE_NOISE_HU
        * kernel.noise_gain
        * (kvp / REFERENCE_KVP) ** NOISE_PER_KVP
        * np.exp(EFFECTIVE_PER_MM * wider_mm)
        / np.sqrt(photons)
    )


def plan_noise(per_mm: Array, grid: ScanGrid) -> NoisePlan:
    """Follow the rays through a slice.

    Args:
        per_mm: Linear attenuation on the grid of the scan field, shape (64, 64).
        grid: Where the image lies on that grid.
    Returns: The plan for the image.
    """
    beam = projector(GRID_PIXELS, GRID_VIEWS)
    path = beam.project(per_mm)
    power = np.exp(np.minimum(path + _bowtie(beam), 14.0) - MODULATION * path.max(1, keepdims=True))
    power /= power.mean()
    local = beam.back_project(power)
    local /= local.max()
    middle = np.abs(beam.bin_centres_mm()) < SCAN_FIELD_MM / 5
    of_view = power[:, middle].mean(1)
    of_view /= of_view.mean()
    cosine = 2 * float(np.mean(of_view * np.cos(2 * beam.angles_rad)))
    sine = 2 * float(np.mean(of_view * np.sin(2 * beam.angles_rad)))
    size = np.hypot(cosine, sine)
    shrink = min(1.0, MAX_DIRECTION / size) if size > 0 else 1.0
    strength = np.sqrt(np.maximum(grid.onto_image(local), MIN_STRENGTH**2))
    return NoisePlan(strength, cosine * shrink, sine * shrink)


def _bowtie(beam: Projector) -> Array:
    """Attenuation that the filter adds to each bin: none in the middle, most at the edge."""
    chord = 2 * np.sqrt(np.maximum(BOWTIE_MM**2 - beam.bin_centres_mm() ** 2, 0))
    return np.asarray(BOWTIE * WATER_PER_MM * (2 * BOWTIE_MM - chord), dtype=np.float32)
