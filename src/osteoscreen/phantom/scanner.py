"""The simulated scanner: from painted attenuation to what is stored."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import fft

from osteoscreen.errors import SettingsError
from osteoscreen.phantom import artefact, noise
from osteoscreen.phantom.artefact import Artefacts, attenuation_per_mm, beam_error_hu, has_metal
from osteoscreen.phantom.bone import HU_GAIN_OF_KVP, bone_gain
from osteoscreen.phantom.field import Array
from osteoscreen.phantom.fleet import PLAIN, STORED_RANGE_HU, Convention
from osteoscreen.phantom.kernel import noise_power, transfer
from osteoscreen.phantom.projection import SCAN_FIELD_MM, ScanGrid, scan_grid
from osteoscreen.phantom.tissue import AIR_HU

BODY_CENTRE_MM = (0.0, -45.0)
"""Middle (x, y) of the trunk in the patient frame, whose origin is the centre of L3."""

BODY_HU = 20.0
BODY_ASPECT = 0.7
"""What lies outside a small field of view: fat and muscle in an ellipse of this aspect."""

MARGIN_MM = 5.0
"""Every kernel has vanished at this distance: the image is continued so far beyond its edges."""


ALIAS_LIMIT = 1e-3
"""What passes less than this share is not folded back."""


@dataclass(frozen=True)
class Scan:
    """Settings of one acquisition.

    Args:
        matrix: Rows and columns.
        field_of_view_mm: Side of the square image.
        centre_mm: Patient coordinates (x, y) of the image centre.
        thickness_mm: Slice thickness; 0 is an ideal plane.
        kvp: Tube voltage, 80 to 140.
        tube_current_ma: Mean over the turn; recorded in the header.
        blur_mm: Standard deviation of the in-plane point spread.
        sharpening: Edge enhancement, 0 (soft kernel) to 1 (bone kernel).
        noise_hu: Standard deviation of the noise in the depth of the patient.
        offset_hu: Drift of the scanner: error of water; air stays.
        manufacturer, model, kernel: Header values.
        is_round: Whether values outside the circle inscribed in the image are padded.
        gain: Relative error of the scale above water.
        convention: How the maker's headers and pixels are written.
        artefacts: Beam hardening and starved rays; without it only slices with metal have them.
        isocentre_mm: Patient coordinates (x, y) of the middle of the scan field, outside which
            values are padded; without one the field is taken to cover the image.
        half_width_mm: Half of the patient's width: what lies outside a small field of view;
            without one it is air.
    Raises:
        SettingsError: If a setting has no meaning; ``Protocol`` knows what a scanner can do.
    """

    matrix: int
    field_of_view_mm: float
    centre_mm: tuple[float, float]
    thickness_mm: float
    kvp: int
    tube_current_ma: int
    blur_mm: float
    sharpening: float
    noise_hu: float
    offset_hu: float
    manufacturer: str
    model: str
    kernel: str
    is_round: bool
    gain: float = 0.0
    convention: Convention = PLAIN
    artefacts: Artefacts | None = None
    isocentre_mm: tuple[float, float] | None = None
    half_width_mm: float | None = None

    def __post_init__(self) -> None:
        if self.matrix < 2:
            raise SettingsError(f"the matrix must be 2 or more, got {self.matrix}")
        if not self.field_of_view_mm > 0:
            raise SettingsError(f"field of view must be positive, got {self.field_of_view_mm} mm")
        if not self.thickness_mm >= 0:
            raise SettingsError(f"slice thickness must not be negative, got {self.thickness_mm} mm")
        low, high = min(HU_GAIN_OF_KVP), max(HU_GAIN_OF_KVP)
        if not low <= self.kvp <= high:
            raise SettingsError(f"tube voltage must be {low} to {high} kV, got {self.kvp}")

    @property
    def pixel_mm(self) -> float:
        """Distance between pixel centres."""
        return self.field_of_view_mm / self.matrix

    @property
    def bone_gain(self) -> float:
        """Attenuation of bone against 120 kVp; between the known voltages interpolated."""
        return bone_gain(self.kvp)

    @property
    def padding_hu(self) -> float:
        """Value of pixels outside the scanned circle."""
        return self.convention.padding_hu

    def axes_mm(self) -> tuple[Array, Array]:
        """Patient coordinates of the pixel centres: y of each row, x of each column."""
        steps = (np.arange(self.matrix, dtype=np.float32) - (self.matrix - 1) / 2) * self.pixel_mm
        y = (steps + self.centre_mm[1]).astype(np.float32)
        x = (steps + self.centre_mm[0]).astype(np.float32)
        return y, x


def acquire(scan: Scan, rng: np.random.Generator, hu: Array) -> Array:
    """Turn painted attenuation into what the scanner stores.

    Args:
        scan: Settings.
        rng: Source of the quantum noise of this slice.
        hu: Attenuation averaged over the slice thickness, shape (rows, columns).
    Returns: HU rounded to integers inside the stored range, float32, same shape; pixels outside
        the scanned circle hold the maker's padding, which may lie far below.
    """
    image = _reconstruct(scan, rng, hu)
    artefacts = scan.artefacts or (artefact.ORDINARY if has_metal(hu) else None)
    if artefacts is not None:
        grid = _grid(scan, artefact.GRID_PIXELS)
        around = _around(scan, artefact.GRID_PIXELS)
        image += grid.onto_image(beam_error_hu(artefacts, rng, grid.onto_grid(hu, around)))
    # Water is off by the offset, air is not, and what lies above water has an error of its own.
    image += scan.offset_hu * np.maximum(1 - image / AIR_HU, 0) + scan.gain * np.maximum(image, 0)
    image = np.clip(np.rint(image), *STORED_RANGE_HU)
    image[_outside(scan)] = scan.padding_hu
    return np.asarray(image, dtype=np.float32)


def _reconstruct(scan: Scan, rng: np.random.Generator, hu: Array) -> Array:
    """Apply the kernel to the signal and to white noise, in one inverse transform."""
    margin = int(np.ceil(MARGIN_MM / scan.pixel_mm))
    size = fft.next_fast_len(scan.matrix + 2 * margin, real=True)
    sides = (margin, size - scan.matrix - margin)
    filters = _filters(size, scan.pixel_mm, scan.blur_mm, scan.sharpening)
    spectrum = fft.rfft2(np.pad(hu, (sides, sides), mode="edge")) * filters.signal
    if scan.noise_hu > 0:
        grid = _grid(scan, noise.GRID_PIXELS)
        on_grid = grid.onto_grid(hu, _around(scan, noise.GRID_PIXELS))
        plan = noise.plan_noise(attenuation_per_mm(on_grid), grid)
        white = rng.standard_normal((size, size), dtype=np.float32) * np.float32(scan.noise_hu)
        white *= np.pad(plan.strength, (sides, sides), mode="edge")
        power = 1 + np.float32(plan.cosine) * filters.cosine + np.float32(plan.sine) * filters.sine
        spectrum += fft.rfft2(white) * (filters.noise * np.sqrt(power))
    image = fft.irfft2(spectrum, s=(size, size))
    inner = slice(margin, margin + scan.matrix)
    return np.ascontiguousarray(image[inner, inner])


@dataclass(frozen=True, eq=False)
class _Filters:
    """Half spectra of one geometry and kernel, each of shape (size, size // 2 + 1)."""

    signal: Array
    noise: Array
    cosine: Array
    sine: Array


@lru_cache(maxsize=4)
def _filters(size: int, pixel_mm: float, blur_mm: float, sharpening: float) -> _Filters:
    v = fft.fftfreq(size, pixel_mm).astype(np.float32)[:, None]
    u = fft.rfftfreq(size, pixel_mm).astype(np.float32)[None, :]
    signal, power = np.zeros((2, size, size // 2 + 1), np.float32)
    for shift_u, shift_v in _aliases(1 / pixel_mm, blur_mm):
        frequency = np.hypot(u + shift_u, v + shift_v)
        signal += transfer(frequency, blur_mm, sharpening)
        power += noise_power(frequency, blur_mm, sharpening)
    signal /= signal[0, 0]
    power[0, 0] = 0
    amplitude = np.sqrt(power)
    twice = np.full(u.shape, 2.0)  # the half spectrum stands for both halves
    twice[0, 0] = 1
    if size % 2 == 0:
        twice[0, -1] = 1
    amplitude /= np.sqrt((amplitude**2 * twice).sum() / size**2)
    squared = np.maximum(u**2 + v**2, np.float32(1e-12))
    return _Filters(
        signal,
        amplitude.astype(np.float32),
        (u**2 - v**2) / squared,
        2 * u * v / squared,
    )


def _aliases(sampling_per_mm: float, blur_mm: float) -> list[tuple[float, float]]:
    """Shifts of frequency that sampling folds into the image, but those that the blur removes.

    A point spread sampled at the pixels is the sum of the shifted transfer functions; cutting it
    off at the highest frequency of the image would ring at every edge instead.
    """
    limit = np.sqrt(np.log(1 / ALIAS_LIMIT) / 2) / (np.pi * blur_mm) if blur_mm > 0 else np.inf
    steps = (-sampling_per_mm, 0.0, sampling_per_mm)
    # The nearest frequency of each shifted band; u is never negative, v has both signs.
    nearest_u = dict(zip(steps, (sampling_per_mm / 2, 0.0, sampling_per_mm)))
    nearest_v = dict(zip(steps, (sampling_per_mm / 2, 0.0, sampling_per_mm / 2)))
    return [(u, v) for u in steps for v in steps if np.hypot(nearest_u[u], nearest_v[v]) <= limit]


def _isocentre(scan: Scan) -> tuple[float, float]:
    return BODY_CENTRE_MM if scan.isocentre_mm is None else scan.isocentre_mm


def _grid(scan: Scan, pixels: int) -> ScanGrid:
    return scan_grid(*scan.axes_mm(), _isocentre(scan), pixels)


def _around(scan: Scan, pixels: int) -> Array:
    """The patient as an ellipse, on the grid of the scan field."""
    if scan.half_width_mm is None:
        return np.full((pixels, pixels), AIR_HU, np.float32)
    centre = _isocentre(scan)
    steps = (np.arange(pixels) - (pixels - 1) / 2) * SCAN_FIELD_MM / pixels
    x = (steps + centre[0] - BODY_CENTRE_MM[0]) / scan.half_width_mm
    y = (steps + centre[1] - BODY_CENTRE_MM[1]) / (BODY_ASPECT * scan.half_width_mm)
    inside = x[None, :] ** 2 + y[:, None] ** 2 < 1
    return np.where(inside, BODY_HU, AIR_HU).astype(np.float32)


def _outside(scan: Scan) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Pixels outside the scan field, or outside the round image."""
    y, x = scan.axes_mm()
    if scan.is_round:
        middle, radius = scan.centre_mm, (scan.matrix - 1) / 2 * scan.pixel_mm
    elif scan.isocentre_mm is not None:
        middle, radius = scan.isocentre_mm, SCAN_FIELD_MM / 2
    else:
        return np.zeros((scan.matrix, scan.matrix), bool)
    return np.asarray((y[:, None] - middle[1]) ** 2 + (x[None, :] - middle[0]) ** 2 > radius**2)
