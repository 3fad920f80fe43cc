"""The fleet of simulated scanners: header conventions, kernels and drift.

Conventions are *imitated*, so that a reader meets what it will meet in a hospital; no header
claims a real device, each says SYNTHETIC PHANTOM. What was read in public files stands beside the
value. Resolution figures of the kernels are ours: makers publish names, seldom curves.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from osteoscreen.phantom.kernel import Kernel

MANUFACTURER = "SYNTHETIC PHANTOM"

STORED_RANGE_HU = (-1024.0, 3071.0)
"""Twelve bits from -1024, the classic CT scale; kept also where more bits are stored."""

SOFT_SHARPENING = 0.2
"""Kernels up to this edge enhancement are read as soft: routine abdominal CT uses these."""

DRIFT_SD_HU, SESSION_SD_HU = 4.5, 2.2
"""Spread of water between scanners and between sessions of one scanner: together 5 HU, the value
of the feasibility study. For comparison, vertebral density varies by 4.9 % between scanners and by
4.7 % between sessions (SpineQ, eurradiolexp s41747-024-00483-9)."""

GAIN_SD = 0.005
"""Spread between scanners of the slope of the scale above water."""


@dataclass(frozen=True)
class PrivateTag:
    """One private attribute: group, creator, last byte of the element, VR and value."""

    group: int
    creator: str
    element: int
    vr: str
    value: str


@dataclass(frozen=True)
class Convention:
    """How a maker's scanners write images.

    Args:
        vendor: Whose convention is imitated; empty for none.
        intercept_hu: Rescale intercept.
        is_signed: Whether stored values are signed.
        bits: Bits stored.
        padding_value: Stored value outside the scanned circle, where the header names one.
        is_round: Whether images are padded outside the circle inscribed in them; otherwise only
            outside the scan field.
        image_types: Values of ImageType; no phantom is an original.
        private: Private attributes.
    """

    vendor: str = ""
    intercept_hu: int = -1024
    is_signed: bool = False
    bits: int = 12
    padding_value: int | None = None
    is_round: bool = False
    image_types: tuple[str, ...] = ("DERIVED", "SECONDARY", "AXIAL")
    private: tuple[PrivateTag, ...] = ()

    @property
    def padding_hu(self) -> float:
        """What a reader that ignores padding takes the padding for; -1024 if none is named."""
        if self.padding_value is None:
            return STORED_RANGE_HU[0]
        return float(self.padding_value + self.intercept_hu)


PLAIN = Convention()
"""No maker's: unsigned, 12 bits, intercept -1024."""

PHILIPS = Convention(
    vendor="Philips",
    private=(
        PrivateTag(0x01F1, "ELSCINT1", 0x01, "CS", "SPIRAL"),
        PrivateTag(0x01F1, "ELSCINT1", 0x27, "DS", "0.5"),
        PrivateTag(0x01F1, "ELSCINT1", 0x32, "CS", "RIGHT_ON_LEFT"),
    ),
)
"""Unsigned, 12 bits, no padding value, private group 01F1 of ELSCINT1 (acquisition type, rotation
time, view convention): read in a public series of an Ingenuity CT (dcm_qa_ct, gantry tilt)."""

SIEMENS = Convention(
    vendor="Siemens",
    image_types=("DERIVED", "SECONDARY", "AXIAL", "CT_SOM5 SPI"),
    private=(
        PrivateTag(0x0019, "SIEMENS CT VA0  COAD", 0x52, "DS", "12"),
        PrivateTag(0x0019, "SIEMENS CT VA0  COAD", 0x54, "DS", "0.5"),
    ),
)
"""Unsigned, 12 bits, no padding value, fourth value of ImageType and COAD block (table feed,
rotation time): read in the TotalSegmentator DICOM example (Biograph mCT)."""

_GE_TAGS = (
    PrivateTag(0x0019, "GEMS_ACQU_01", 0x23, "DS", "39.375"),
    PrivateTag(0x0019, "GEMS_ACQU_01", 0x27, "DS", "0.5"),
)
"""Table speed and rotation time."""

GE = Convention("GE", -1024, True, 16, -2000, True, private=_GE_TAGS)
"""Signed, stored padding -2000 which the intercept makes -3024 HU, round images: read in a public
LightSpeed Ultra series (dcmqi) and in pydicom's CT_small."""

GE_EARLY = Convention("GE", 0, True, 16, -2000, True, private=_GE_TAGS)
"""Signed, intercept 0: padding reads -2000 HU. A public HiSpeed series has intercept 0 as well and
pads with -1500 (dcm_qa_ct, gantry tilt)."""

CANON = Convention(
    vendor="Canon",
    intercept_hu=0,
    is_signed=True,
    bits=16,
    padding_value=-2048,
    is_round=True,
    private=(
        PrivateTag(0x7005, "TOSHIBA_MEC_CT3", 0x0A, "DS", "27"),
        PrivateTag(0x7005, "TOSHIBA_MEC_CT3", 0x23, "DS", "0.844"),
    ),
)
"""Signed with negative stored values, as users report (LIDCToolbox issue 9); the padding of -2048
and intercept 0 are our reading of such reports, the tags (table speed, pitch factor) those of
pydicom's private dictionary."""


@dataclass(frozen=True)
class Scanner:
    """One simulated scanner.

    Args:
        name: As the command line names it.
        model: Manufacturer's model name in the header.
        convention: How it writes images.
        kernels: Soft to bone, at least one of them soft.
    """

    name: str
    model: str
    convention: Convention
    kernels: tuple[Kernel, ...]

    @property
    def soft_kernels(self) -> tuple[Kernel, ...]:
        """The kernels of routine abdominal CT."""
        return tuple(one for one in self.kernels if one.sharpening <= SOFT_SHARPENING)


def _kernels(*named: tuple[str, float, float]) -> tuple[Kernel, ...]:
    return tuple(Kernel(*one) for one in named)


_PHILIPS_KERNELS = _kernels(
    ("A", 0.62, 0.0), ("B", 0.50, 0.0), ("C", 0.42, 0.12), ("D", 0.34, 0.45), ("YA", 0.28, 0.75)
)
_BRILLIANCE_KERNELS = _kernels(
    ("A", 0.66, 0.0), ("B", 0.53, 0.0), ("C", 0.45, 0.10), ("D", 0.37, 0.40), ("L", 0.31, 0.80)
)
_SIEMENS_KERNELS = _kernels(
    ("B20f", 0.64, 0.0), ("B30f", 0.50, 0.0), ("B40f", 0.44, 0.06), ("B50f", 0.36, 0.35),
    ("B60f", 0.32, 0.55), ("B70f", 0.26, 0.80),
)  # fmt: skip
_GE_KERNELS = _kernels(
    ("SOFT", 0.56, 0.0), ("STANDARD", 0.48, 0.0), ("DETAIL", 0.40, 0.25), ("BONE", 0.30, 0.80),
    ("EDGE", 0.25, 1.0),
)  # fmt: skip
_CANON_KERNELS = _kernels(
    ("FC03", 0.58, 0.0), ("FC08", 0.48, 0.08), ("FC13", 0.44, 0.15), ("FC30", 0.29, 0.75),
    ("FC81", 0.26, 0.95),
)  # fmt: skip

SCANNERS = {
    one.name: one
    for one in (
        Scanner("ingenuity-ct", "Ingenuity CT", PHILIPS, _PHILIPS_KERNELS),
        Scanner("ingenuity-flex", "Ingenuity Flex", PHILIPS, _PHILIPS_KERNELS),
        Scanner("brilliance-16", "Brilliance16", PHILIPS, _BRILLIANCE_KERNELS),
        Scanner("siemens", "Phantom after Siemens", SIEMENS, _SIEMENS_KERNELS),
        Scanner("ge", "Phantom after GE", GE, _GE_KERNELS),
        Scanner("ge-early", "Phantom after early GE", GE_EARLY, _GE_KERNELS),
        Scanner("canon", "Phantom after Canon", CANON, _CANON_KERNELS),
    )
}
"""By the name that the command line uses."""

PAPER_SCANNERS = ("ingenuity-ct", "ingenuity-flex", "brilliance-16")
"""The three scanners of the paper (section 3.1): the calibrated cohorts come from these."""


@dataclass(frozen=True)
class Drift:
    """How far a scanner's scale is off.

    Args:
        offset_hu: Error of water; air stays where it is.
        gain: Relative error of the scale above water.
    """

    offset_hu: float
    gain: float


def drift_of(name: str, cohort_seed: int) -> Drift:
    """Return the drift of one scanner of a cohort, the same for every patient of the cohort.

    Args:
        name: The scanner's name.
        cohort_seed: Seed of the cohort; not negative.
    Returns: The drift, drawn from both and nothing else.
    """
    rng = np.random.default_rng(np.random.SeedSequence([cohort_seed, zlib.crc32(name.encode())]))
    return Drift(float(DRIFT_SD_HU * rng.standard_normal()), float(GAIN_SD * rng.standard_normal()))
