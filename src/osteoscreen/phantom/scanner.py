"""The simulated scanner: field of view, slice thickness, kernel, noise and stored values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft, ndimage

from osteoscreen.phantom.bone import HU_GAIN_OF_KVP
from osteoscreen.phantom.field import Array
from osteoscreen.phantom.tissue import AIR_HU

STORED_RANGE_HU = (-1024.0, 3071.0)
"""Twelve stored bits with intercept -1024."""


@dataclass(frozen=True)
class Scan:
    """Settings of one acquisition.

    Args:
        matrix: Rows and columns.
        field_of_view_mm: Side of the square image.
        centre_mm: Patient coordinates (x, y) of the image centre.
        thickness_mm: Slice thickness.
        kvp: Tube voltage, one of 80, 100, 120, 140.
        tube_current_ma: Recorded in the header.
        blur_mm: Standard deviation of the in-plane point spread.
        sharpening: Edge enhancement, 0 (soft kernel) to 1 (bone kernel).
        noise_hu: Standard deviation of the noise in the middle of the patient.
        offset_hu: Drift of the scanner.
        manufacturer, model, kernel: Header values.
        is_round: Whether values outside the reconstruction circle are padded.
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

    @property
    def pixel_mm(self) -> float:
        """Distance between pixel centres."""
        return self.field_of_view_mm / self.matrix

    @property
    def bone_gain(self) -> float:
        """Attenuation of bone against 120 kVp."""
        return HU_GAIN_OF_KVP[self.kvp]

    def axes_mm(self) -> tuple[Array, Array]:
        """Patient coordinates of the pixel centres: y of each row, x of each column."""
        steps = (np.arange(self.matrix, dtype=np.float32) - (self.matrix - 1) / 2) * self.pixel_mm
        y = (steps + self.centre_mm[1]).astype(np.float32)
        x = (steps + self.centre_mm[0]).astype(np.float32)
        return y, x


KERNELS = ("B30f", "B40f", "B60f", "B70f")
"""Soft to bone; the names follow one vendor's convention, the images are synthetic."""

PAPER_MODELS = ("Ingenuity CT", "Ingenuity Flex", "Brilliance16")
"""Scanners of the paper (section 3.1). The header says that the maker is a phantom."""


def draw_scan(
    rng: np.random.Generator, *, is_randomised: bool, trunk_half_width_mm: float, matrix: int = 512
) -> Scan:
    """Draw an acquisition.

    Args:
        rng: Source of every draw.
        is_randomised: Wide settings for training the segmenter, else routine abdominal CT.
        trunk_half_width_mm: Size of the patient: noise grows with it.
        matrix: Rows and columns.
    Returns: The settings; without ``is_randomised`` always 120 kVp and the spine in view.
    """
    if is_randomised and rng.random() < 0.4:
        field_of_view = float(rng.uniform(140, 260))
        centre = (float(rng.normal(0, 15)), float(rng.normal(18, 18)))
    else:
        field_of_view = float(rng.uniform(320, 500) if is_randomised else rng.uniform(330, 430))
        centre = (float(rng.normal(0, 10)), float(rng.normal(-45, 18)))
    sharpening = float(rng.random() ** 2 if is_randomised else 0.25 * rng.random())
    thickness = float(
        rng.choice([0.75, 1, 1.5, 2, 2.5, 3, 5]) if is_randomised else rng.choice([2.5, 3, 5])
    )
    kvp = int(rng.choice([80, 100, 120, 140], p=[0.1, 0.25, 0.5, 0.15]) if is_randomised else 120)
    current = int(rng.integers(80, 400))
    noise = (
        rng.uniform(7, 13)
        * np.sqrt(2.5 / thickness)
        * np.sqrt(200 / current)
        * np.exp((trunk_half_width_mm - 165) / 120)
        * (1 + 1.5 * sharpening)
    )
    blur = float(rng.uniform(0.30, 0.75))
    if is_randomised and rng.random() < 0.3:
        blur = float(rng.uniform(0.75, 1.7))
    return Scan(
        matrix=matrix,
        field_of_view_mm=field_of_view,
        centre_mm=centre,
        thickness_mm=thickness,
        kvp=kvp,
        tube_current_ma=current,
        blur_mm=blur,
        sharpening=sharpening,
        noise_hu=float(np.clip(noise, 3, 120 if is_randomised else 40)),
        offset_hu=float(rng.normal(0, 5)),
        manufacturer="SYNTHETIC PHANTOM",
        model=str(rng.choice(PAPER_MODELS)),
        kernel=KERNELS[min(int(sharpening * 4), 3)],
        is_round=bool(rng.random() < 0.3) if is_randomised else False,
    )


def acquire(scan: Scan, rng: np.random.Generator, hu: Array) -> Array:
    """Turn painted attenuation into what the scanner stores.

    Args:
        scan: Settings.
        rng: Source of the quantum noise of this slice.
        hu: Attenuation averaged over the slice thickness, shape (rows, columns).
    Returns: HU rounded to integers inside the stored range, float32, same shape.
    """
    image = ndimage.gaussian_filter(hu, scan.blur_mm / scan.pixel_mm, mode="nearest")
    if scan.sharpening > 0:
        wide = ndimage.gaussian_filter(image, 1.1 / scan.pixel_mm, mode="nearest")
        image = image + 1.6 * scan.sharpening * (image - wide)
    image = image + scan.offset_hu * (image > -700) + _noise(scan, rng, hu)
    image = np.clip(np.rint(image), *STORED_RANGE_HU)
    if scan.is_round:
        half = (scan.matrix - 1) / 2
        steps = np.arange(scan.matrix) - half
        outside = steps[:, None] ** 2 + steps[None, :] ** 2 > half**2
        image[outside] = STORED_RANGE_HU[0]
    return np.asarray(image, dtype=np.float32)


def _noise(scan: Scan, rng: np.random.Generator, hu: Array) -> Array:
    """Noise with a ramp spectrum, rolled off by the kernel, strongest deep inside the patient."""
    size = scan.matrix
    white = rng.standard_normal((size, size), dtype=np.float32)
    # Cycles per mm; the roll-off lies higher for a sharper kernel.
    frequency = np.hypot(
        fft.fftfreq(size, scan.pixel_mm)[:, None], fft.rfftfreq(size, scan.pixel_mm)[None, :]
    ).astype(np.float32)
    cutoff = np.float32(0.32 + 0.35 * scan.sharpening)
    response = (frequency + 0.01) * np.exp(-((frequency / cutoff) ** 2))
    coloured = fft.irfft2(fft.rfft2(white) * response, s=(size, size))
    coloured /= coloured.std()
    patient = (hu[::8, ::8] > AIR_HU + 300).astype(np.float32)
    deep = ndimage.gaussian_filter(patient, 40 / (8 * scan.pixel_mm), mode="nearest")
    local = ndimage.zoom(deep, size / deep.shape[0], order=1)[:size, :size]
    return np.asarray(coloured * scan.noise_hu * (0.25 + 0.75 * local), dtype=np.float32)
