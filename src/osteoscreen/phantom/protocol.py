"""The scan protocol: what a user prescribes, and settings drawn for everything left open."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from osteoscreen.errors import SettingsError
from osteoscreen.phantom.artefact import Artefacts
from osteoscreen.phantom.fleet import (
    MANUFACTURER,
    PAPER_SCANNERS,
    SCANNERS,
    SESSION_SD_HU,
    Scanner,
    drift_of,
)
from osteoscreen.phantom.kernel import Kernel
from osteoscreen.phantom.noise import EFFECTIVE_PER_MM, REFERENCE_HALF_WIDTH_MM, expected_noise_hu
from osteoscreen.phantom.scanner import BODY_CENTRE_MM, Scan

KVP_RANGE = (80, 140)
THICKNESS_RANGE_MM = (0.4, 10.0)
"""From the thinnest detector row to the thickest slice of routine use."""

FIELD_OF_VIEW_RANGE_MM = (120.0, 500.0)
"""A vertebra with its processes is up to 99 mm wide and 88 mm deep, lies up to 10 mm beside the
middle of the field, and is not to be cut; the scan field ends at 500 mm."""

NARROW_VIEW_MM = 260.0
SPINE_CENTRE_MM = (0.0, 18.0)
"""Fields up to this size are laid on the spine: between body and spinous process of L3."""

CURRENT_RANGE_MA = (10, 800)
MATRICES = (256, 320, 512, 768, 1024)

ROUTINE_KVP = 120
ROUTINE_THICKNESS_MM = (2.5, 3.0, 5.0)
WIDE_KVP = {80: 0.10, 90: 0.03, 100: 0.22, 110: 0.05, 120: 0.45, 130: 0.05, 140: 0.10}
WIDE_THICKNESS_MM = {
    0.6: 0.06, 0.75: 0.06, 1.0: 0.15, 1.25: 0.10, 1.5: 0.10, 2.0: 0.12, 2.5: 0.12, 3.0: 0.12,
    5.0: 0.12, 7.5: 0.02, 10.0: 0.03,
}  # fmt: skip
"""Settings with their weights: the common ones often, the rare ones seen."""

SPINE_VIEW_SHARE = 0.4
"""Randomised scans with a small, off-centre field around the spine: the study's weak point."""

WIDE_VIEW_MM = (300.0, 500.0)
VIEW_OF_WIDTH = (1.05, 1.30)
"""Fields of view that hold the trunk, and their size against its width as routine scans have it."""

LOW_DOSE_SHARE = 0.2
ARTEFACT_SHARE, WIDE_PATIENT_ARTEFACT_SHARE, WIDE_PATIENT_MM = 0.3, 0.7, 190.0
SMOOTHED_SHARE = 0.2
"""Scans that somebody resampled or denoised: softer than any kernel."""

CURRENT_PER_MM = EFFECTIVE_PER_MM * 7 / 6
"""Automatic exposure control: tube current follows the patient so far that noise grows by a factor
e in 120 mm of half width, the value of the feasibility study."""

ROUTINE_NOISE_HU, WIDE_NOISE_HU = (3.0, 40.0), (3.0, 150.0)


@dataclass(frozen=True)
class Protocol:
    """Settings that the user prescribes; what is left None is drawn.

    Args:
        kvp: Tube voltage, 80 to 140.
        tube_current_ma: Mean over the turn, 10 to 800.
        thickness_mm: Slice thickness, 0.4 to 10.
        field_of_view_mm: Side of the image, 120 to 500; a narrow one is laid on the spine.
        kernel: Name of one of the scanner's kernels.
        matrix: Rows and columns.
    Raises:
        SettingsError: If no scanner could do this.
    """

    kvp: int | None = None
    tube_current_ma: int | None = None
    thickness_mm: float | None = None
    field_of_view_mm: float | None = None
    kernel: str | None = None
    matrix: int = 512

    def __post_init__(self) -> None:
        _check("tube voltage", self.kvp, KVP_RANGE, "kV")
        _check("tube current", self.tube_current_ma, CURRENT_RANGE_MA, "mA")
        _check("slice thickness", self.thickness_mm, THICKNESS_RANGE_MM, "mm")
        _check("field of view", self.field_of_view_mm, FIELD_OF_VIEW_RANGE_MM, "mm")
        if self.matrix not in MATRICES:
            sizes = ", ".join(map(str, MATRICES))
            raise SettingsError(f"the matrix must be one of {sizes}, got {self.matrix}")


def scanner_named(name: str) -> Scanner:
    """Return a scanner of the fleet.

    Raises: SettingsError if there is none of that name.
    """
    if name not in SCANNERS:
        raise SettingsError(f"the scanner must be one of {', '.join(SCANNERS)}, got {name}")
    return SCANNERS[name]


def draw_scan(
    rng: np.random.Generator,
    scanner: Scanner | None = None,
    *,
    is_randomised: bool,
    trunk_half_width_mm: float,
    cohort_seed: int = 0,
    protocol: Protocol | None = None,
) -> Scan:
    """Draw an acquisition.

    Args:
        rng: Source of every draw but the scanner's drift.
        scanner: Which one; by default one of the paper's three, randomised one of the fleet.
        is_randomised: Wide settings for training the segmenter, else routine abdominal CT.
        trunk_half_width_mm: Size of the patient: noise and tube current grow with it.
        cohort_seed: Seed of the cohort, which the scanner's drift belongs to.
        protocol: What is prescribed, by default nothing; the other draws stay as they are.
    Returns: The settings; without ``is_randomised`` 120 kVp, a soft kernel and the spine in view.
    Raises:
        SettingsError: If the scanner has no kernel of the prescribed name.
    """
    wanted = protocol or Protocol()
    name = str(rng.choice(list(SCANNERS) if is_randomised else PAPER_SCANNERS))
    used = scanner or SCANNERS[name]
    view_mm, centre = _draw_view(rng, is_randomised, trunk_half_width_mm)
    if wanted.field_of_view_mm is not None:
        view_mm = wanted.field_of_view_mm
        centre = SPINE_CENTRE_MM if view_mm < NARROW_VIEW_MM else centre
    kernel = _draw_kernel(rng, used, is_randomised, wanted.kernel)
    # Drawn even where prescribed: the draws that follow stay the same.
    drawn_mm, drawn_kvp = _draw_thickness(rng, is_randomised), _draw_kvp(rng, is_randomised)
    drawn_ma = _draw_current(rng, is_randomised, trunk_half_width_mm)
    thickness, kvp = wanted.thickness_mm or drawn_mm, wanted.kvp or drawn_kvp
    current = wanted.tube_current_ma or drawn_ma
    expected = expected_noise_hu(
        kernel,
        kvp=kvp,
        tube_current_ma=current,
        thickness_mm=thickness,
        half_width_mm=trunk_half_width_mm,
    )
    noise = expected * np.exp(0.15 * rng.standard_normal())
    drift = drift_of(used.name, cohort_seed)
    return Scan(
        matrix=wanted.matrix,
        field_of_view_mm=view_mm,
        centre_mm=centre,
        thickness_mm=thickness,
        kvp=kvp,
        tube_current_ma=current,
        blur_mm=kernel.blur_mm,
        sharpening=kernel.sharpening,
        noise_hu=float(np.clip(noise, *(WIDE_NOISE_HU if is_randomised else ROUTINE_NOISE_HU))),
        offset_hu=drift.offset_hu + SESSION_SD_HU * float(rng.standard_normal()),
        manufacturer=MANUFACTURER,
        model=used.model,
        kernel=kernel.name,
        is_round=used.convention.is_round,
        gain=drift.gain,
        convention=used.convention,
        artefacts=_draw_artefacts(rng, trunk_half_width_mm) if is_randomised else None,
        isocentre_mm=_scattered(rng, BODY_CENTRE_MM, (8, 12)),
        half_width_mm=trunk_half_width_mm,
    )


def _check(name: str, value: float | None, limits: tuple[float, float], unit: str) -> None:
    if value is not None and not limits[0] <= value <= limits[1]:
        raise SettingsError(
            f"{name} must be {limits[0]:g} to {limits[1]:g} {unit}, got {value:g} {unit}"
        )


def _draw_view(
    rng: np.random.Generator, is_randomised: bool, half_width_mm: float
) -> tuple[float, tuple[float, float]]:
    """Field of view and its centre: the whole trunk, or a small one around the spine."""
    if is_randomised and rng.random() < SPINE_VIEW_SHARE:
        size_mm = float(rng.uniform(140, NARROW_VIEW_MM))
        return size_mm, _scattered(rng, SPINE_CENTRE_MM, (15, 18))
    size_mm = float(
        rng.uniform(NARROW_VIEW_MM if is_randomised else WIDE_VIEW_MM[0], WIDE_VIEW_MM[1])
    )
    if not is_randomised:
        share = (size_mm - WIDE_VIEW_MM[0]) / (WIDE_VIEW_MM[1] - WIDE_VIEW_MM[0])
        fitted = 2 * half_width_mm * (VIEW_OF_WIDTH[0] + share * np.ptp(VIEW_OF_WIDTH))
        size_mm = float(np.clip(fitted, *WIDE_VIEW_MM))
    return size_mm, _scattered(rng, BODY_CENTRE_MM, (10, 18))


def _scattered(
    rng: np.random.Generator, centre_mm: tuple[float, float], spread_mm: tuple[float, float]
) -> tuple[float, float]:
    """A place (x, y) around another."""
    return (
        centre_mm[0] + float(rng.normal(0, spread_mm[0])),
        centre_mm[1] + float(rng.normal(0, spread_mm[1])),
    )


def _draw_kernel(
    rng: np.random.Generator, scanner: Scanner, is_randomised: bool, name: str | None
) -> Kernel:
    """One of the scanner's kernels; its point spread varies a little with focus and place."""
    choice = scanner.kernels if is_randomised else scanner.soft_kernels
    drawn = choice[int(rng.integers(len(choice)))]
    spread = float(rng.uniform(0.92, 1.08))
    smoothed_mm = float(rng.uniform(0.8, 1.7)) if rng.random() < SMOOTHED_SHARE else 0.0
    if name is not None:
        named = {one.name: one for one in scanner.kernels}
        if name not in named:
            raise SettingsError(
                f"the kernel of {scanner.name} must be one of {', '.join(named)}, got {name}"
            )
        drawn = named[name]
    blur_mm = drawn.blur_mm * spread
    if is_randomised and name is None and drawn.sharpening == 0:
        blur_mm = max(blur_mm, smoothed_mm)
    return Kernel(drawn.name, blur_mm, drawn.sharpening)


def _draw_thickness(rng: np.random.Generator, is_randomised: bool) -> float:
    if is_randomised:
        return float(rng.choice(list(WIDE_THICKNESS_MM), p=list(WIDE_THICKNESS_MM.values())))
    return float(rng.choice(ROUTINE_THICKNESS_MM))


def _draw_kvp(rng: np.random.Generator, is_randomised: bool) -> int:
    if is_randomised:
        return int(rng.choice(list(WIDE_KVP), p=list(WIDE_KVP.values())))
    return ROUTINE_KVP


def _draw_current(rng: np.random.Generator, is_randomised: bool, half_width_mm: float) -> int:
    """Tube current under automatic exposure control."""
    wanted = float(rng.uniform(100, 400))
    if is_randomised and rng.random() < LOW_DOSE_SHARE:
        wanted *= float(rng.uniform(0.1, 0.4))
    wanted *= np.exp(CURRENT_PER_MM * (half_width_mm - REFERENCE_HALF_WIDTH_MM))
    return int(np.clip(wanted, *CURRENT_RANGE_MA))


def _draw_artefacts(rng: np.random.Generator, half_width_mm: float) -> Artefacts | None:
    share = WIDE_PATIENT_ARTEFACT_SHARE if half_width_mm > WIDE_PATIENT_MM else ARTEFACT_SHARE
    is_drawn = rng.random() < share
    artefacts = Artefacts(
        hardening=float(rng.uniform(0.3, 1.5)),
        leakage=float(10 ** rng.uniform(-6, -4.3)),
        photons=float(10 ** rng.uniform(4.3, 5.6)),
    )
    return artefacts if is_drawn else None
