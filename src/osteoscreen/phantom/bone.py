"""Bone of a synthetic patient: sex, age and DXA T-score to vBMD to Hounsfield units.

The chain is a latent bone status that DXA and CT each see with an error of their own, so that the
class cannot be read off the attenuation alone. The difficulty is set to resemble the paper's
figures, not measured on patients: every figure on this cohort says so. ``difficulty.py`` computes
the best accuracy that the model below leaves possible.

Frozen in November 2026, before a network was trained on it: change nothing here without a new
``GENERATOR_VERSION``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from osteoscreen.errors import SettingsError
from osteoscreen.findings import NORMAL_T, OSTEOPOROSIS_T

T_SCORE_OF_CLASS = ((0.5, 1.0), (-1.75, 0.35), (-3.5, 0.6))
"""Mean and spread of the T-score before truncation: normal, low bone mass, osteoporosis.
A chosen setting: after truncation 0.63, -1.75 and -3.57. The classes of a CT cohort with DXA
(lumbar T-score -0.7 +- 1.5 in 252 patients, Hendrickson 2018, PMC6047377) would have 0.3, -1.7 and
-3.2. Ours lie a little further apart, as in a case series of three equal classes, because only so
do the paper's accuracy and the published correlation of DXA with QCT come close to each other."""
T_SCORE_RANGE = (-6.0, 4.0)

MIDDLE_T = (NORMAL_T + OSTEOPOROSIS_T) / 2
"""Middle of low bone mass, -1.75: the traits below are given there, with a slope a T-score."""

AGE_OF_CLASS = (58.0, 62.0, 66.0)
AGE_SPREAD = 10.0
AGE_RANGE = (22, 92)
"""Years. A chosen setting: with falling bone mass older, as referrals are (62 +- 10 years in the
referral population of PMC8214495, table 2), but too close together to give the class away."""
FEMALE_SHARE_OF_CLASS = (0.56, 0.62, 0.68)
"""With falling bone mass more often female; a chosen setting about the 56 % women of 20,374 CT
examinations (Jang 2019, Radiology 291:360)."""

STATUS_ERROR = 0.3
"""Spread of the true status around the DXA T-score, in T: precision, projection, osteophytes."""
VBMD_AT_MIDDLE = 104.0
VBMD_PER_T = 18.5
VBMD_PER_YEAR = -0.35
VBMD_RESIDUAL = 18.0
"""Trabecular vBMD in mg/cm3 at ``MIDDLE_T`` and 60 years, slope, ageing at an unchanged T-score
(degeneration hides it from DXA) and biological residual. The class means come out on either side
of the ACR limits of 120 and 80 mg/cm3 (ACR-SPR-SSR practice parameter for QCT, 2013; PMC7495321,
table 2). Slope and residual are set: together with ``STATUS_ERROR`` they make the correlation of
DXA with QCT, published as 0.72 (K213760) to 0.79."""

MARROW_FAT_AT_MIDDLE = 0.61
MARROW_FAT_PER_T = -0.025
MARROW_FAT_PER_YEAR = 0.003
MARROW_FAT_RESIDUAL = 0.09
"""Share of fat in the marrow: 56 +- 11, 64 +- 9 and 66 +- 10 % in normal, osteopenic and
osteoporotic women of 70 years, 29 +- 10 % at 28 years (Yeung 2005, J Magn Reson Imaging 22:279,
spectroscopy of the lumbar spine)."""

HU_PER_VBMD = 1.12
HU_OFFSET = 16.0
HU_RESIDUAL = 5.0
"""Trabecular HU at 120 kVp against vBMD at the marrow fat of the middle, and what calibration
leaves: about 1.1 to 1.25 HU a mg/cm3 in general use (a chosen setting in that range)."""
HU_PER_MARROW_FAT = -70.0
"""The fat error of single-energy CT, HU a unit of fat. Single-energy QCT reads 17.6 % below
dual-energy QCT in women of 57 years (Sfeir 2018, PMC5970096): some 25 HU at half fat, 50 a unit;
fat at -103 against red marrow near +40 HU would make 140. A chosen setting between."""

LOG_CORTEX_MM = (0.0, 0.08, 0.22)
LOG_CORTEX_HU = (6.63, 0.037, 0.14)
LOG_COARSENESS = (0.0, -0.08, 0.20)
"""Logarithms at ``MIDDLE_T``, slope a T-score, residual. With loss the cortex thins and the grain
coarsens; sizes as a clinical CT shows them (about 1 mm, 757 HU), chosen beside public CT. Their
slopes are the second lever of the difficulty: what an image tells beyond its attenuation."""
LOG_TRABECULAR_SD = (3.64, 0.42, 0.15)
"""Logarithm of the spread in HU at coarseness 1 (38 HU), slope a unit of log coarseness, residual;
chosen beside public CT."""

HU_GAIN_OF_KVP = {80: 1.24, 100: 1.08, 120: 1.0, 140: 0.95}
"""Attenuation of trabecular bone against 120 kVp. 100 and 140 kVp: a spectral model brought 148.1
to 137.3 HU and 131.3 to 138.3 HU in 16,747 scans (AAPM 2026, paper 1859). 80 kVp goes on at the
same rising rate (a chosen extrapolation)."""

CONTRAST_SHIFT_HU = {"none": 0.0, "arterial": 13.5, "portal_venous": 18.2}
"""What an intravenous agent adds to trabecular bone: 128.8 HU unenhanced, 142.3 arterial, 147.0
portal venous in 99 patients (Pompe 2015, Eur Radiol 25:283). From about 42 s after the injection
on it stays level (Eur Radiol Exp 2022, 6:8), so a late phase has the shift of the portal one."""


@dataclass(frozen=True)
class Bone:
    """Bone of one patient.

    Args:
        condition_index: 0 normal, 1 low bone mass, 2 osteoporosis, by the T-score.
        t_score: DXA T-score of the lumbar spine.
        vbmd_mg_cm3: Trabecular volumetric density.
        marrow_fat: Share of fat in the marrow, 0 to 1; it lowers the attenuation.
        trabecular_hu: Mean trabecular attenuation at 120 kVp without contrast.
        cortex_mm: Thickness of the vertebral cortex.
        cortex_hu: Attenuation of the cortex at 120 kVp.
        coarseness: Grain of the trabeculae against a young adult's; grows with loss.
        trabecular_sd_hu: Spread of the trabecular texture before the scanner blurs it.
    """

    condition_index: int
    t_score: float
    vbmd_mg_cm3: float
    marrow_fat: float
    trabecular_hu: float
    cortex_mm: float
    cortex_hu: float
    coarseness: float
    trabecular_sd_hu: float


def t_score_limits(condition_index: int) -> tuple[float, float]:
    """Return the lowest and highest T-score of a class by the WHO limits.

    Args:
        condition_index: 0 normal, 1 low bone mass, 2 osteoporosis.
    Returns: The limits; those of low bone mass are just inside, since both belong to a neighbour.
    """
    lowest, highest = T_SCORE_RANGE
    return (
        (NORMAL_T, highest),
        (OSTEOPOROSIS_T + 1e-6, NORMAL_T - 1e-6),
        (lowest, OSTEOPOROSIS_T),
    )[condition_index]


def draw_sex_and_age(rng: np.random.Generator, condition_index: int) -> tuple[str, int]:
    """Draw sex and age of a patient of one class.

    Args:
        rng: Source of both draws.
        condition_index: 0 normal, 1 low bone mass, 2 osteoporosis.
    Returns: ``"F"`` or ``"M"``, and whole years between 22 and 92.
    """
    sex = "F" if rng.random() < FEMALE_SHARE_OF_CLASS[condition_index] else "M"
    return sex, int(np.clip(rng.normal(AGE_OF_CLASS[condition_index], AGE_SPREAD), *AGE_RANGE))


def draw_t_score(rng: np.random.Generator, condition_index: int) -> float:
    """Draw a T-score inside the WHO limits of a class.

    Args:
        rng: Source of the draw.
        condition_index: 0 normal, 1 low bone mass, 2 osteoporosis.
    Returns: A T-score between -6 and 4 inside the WHO limits of that class.
    """
    mean, spread = T_SCORE_OF_CLASS[condition_index]
    low, high = t_score_limits(condition_index)
    share_low, share_high = special.ndtr([(low - mean) / spread, (high - mean) / spread])
    drawn = mean + spread * special.ndtri(share_low + (share_high - share_low) * rng.random())
    return float(np.clip(drawn, low, high))


def draw_bone(rng: np.random.Generator, condition_index: int, age: float) -> Bone:
    """Draw the bone of a patient of one class.

    Args:
        rng: Source of every draw.
        condition_index: 0 normal, 1 low bone mass, 2 osteoporosis.
        age: Years.
    Returns: The bone; its class is exact, its attenuation only agrees with it on average.
    """
    t_score = draw_t_score(rng, condition_index)
    (status, vbmd_error, fat_error, hu_error, *trait_errors) = rng.standard_normal(8)
    above = t_score + STATUS_ERROR * status - MIDDLE_T
    years = age - 60
    vbmd = VBMD_AT_MIDDLE + VBMD_PER_T * above + VBMD_PER_YEAR * years + VBMD_RESIDUAL * vbmd_error
    vbmd = max(float(vbmd), 5.0)
    more_fat = MARROW_FAT_PER_T * above + MARROW_FAT_PER_YEAR * years
    more_fat = float(more_fat + MARROW_FAT_RESIDUAL * fat_error)
    more_fat = float(np.clip(more_fat, 0.1 - MARROW_FAT_AT_MIDDLE, 0.95 - MARROW_FAT_AT_MIDDLE))
    hu = HU_OFFSET + HU_PER_VBMD * vbmd + HU_PER_MARROW_FAT * more_fat + HU_RESIDUAL * hu_error
    log_mm, log_hu, log_grain = (
        middle + slope * above + residual * error
        for (middle, slope, residual), error in zip(
            (LOG_CORTEX_MM, LOG_CORTEX_HU, LOG_COARSENESS), trait_errors[:3]
        )
    )
    middle, slope, residual = LOG_TRABECULAR_SD
    return Bone(
        condition_index=condition_index,
        t_score=t_score,
        vbmd_mg_cm3=vbmd,
        marrow_fat=MARROW_FAT_AT_MIDDLE + more_fat,
        trabecular_hu=float(hu),
        cortex_mm=float(np.exp(log_mm)),
        cortex_hu=float(np.exp(log_hu)),
        coarseness=float(np.exp(log_grain)),
        trabecular_sd_hu=float(np.exp(middle + slope * log_grain + residual * trait_errors[3])),
    )


def bone_gain(kvp: float) -> float:
    """Return the attenuation of trabecular bone at a tube voltage against that at 120 kVp.

    Args:
        kvp: Tube voltage, 80 to 140.
    Returns: The factor, linear between the voltages of ``HU_GAIN_OF_KVP``.

    Raises:
        SettingsError: If no factor is known at that voltage.
    """
    known = sorted(HU_GAIN_OF_KVP)
    if not known[0] <= kvp <= known[-1]:
        raise SettingsError(
            f"the tube voltage must lie in {known[0]} to {known[-1]} kVp, got {kvp}"
        )
    return float(np.interp(kvp, known, [HU_GAIN_OF_KVP[one] for one in known]))
