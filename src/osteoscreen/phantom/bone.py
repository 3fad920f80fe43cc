"""Bone of a synthetic patient: sex, age and DXA T-score to vBMD to Hounsfield units.

The chain is a latent bone status that DXA and CT each see with an error of their own, so that the
class cannot be read off the attenuation alone. The difficulty is set, not measured: every figure
on this cohort says so.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from osteoscreen.findings import NORMAL_T, OSTEOPOROSIS_T

T_SCORE_OF_CLASS = ((0.0, 0.75), (-1.75, 0.43), (-3.2, 0.55))
"""Mean and spread of the T-score before truncation: normal, low bone mass, osteoporosis."""
AGE_OF_CLASS = (50.0, 60.0, 68.0)
FEMALE_SHARE_OF_CLASS = (0.50, 0.62, 0.80)
"""Older and more often female with falling bone mass, as in DXA referrals (a chosen setting)."""

STATUS_ERROR = 0.3
"""Spread of the true status around the DXA T-score, in T: precision, projection, osteophytes."""
VBMD_AT_MIDDLE = 104.0
VBMD_PER_STATUS = 26.0
VBMD_RESIDUAL = 17.0
VBMD_PER_YEAR = -0.35
"""Trabecular vBMD in mg/cm3: value at status -1.75, slope a T-score, biological residual and
ageing. The class means come out near 157, 104 and 61 mg/cm3, on either side of the ACR limits of
120 and 80 mg/cm3 (ACR-SPR-SSR practice parameter for QCT, 2013)."""
HU_PER_VBMD = 1.12
HU_OFFSET = 16.0
HU_RESIDUAL = 8.0
"""Trabecular HU at 120 kVp against vBMD: marrow fat and calibration make the residual."""

HU_GAIN_OF_KVP = {80: 1.24, 100: 1.08, 120: 1.0, 140: 0.95}
"""Attenuation of bone against 120 kVp; 100 and 140 kVp agree with 148/141/131 HU in 16,747
scans (AAPM 2026, paper 1859)."""


@dataclass(frozen=True)
class Bone:
    """Bone of one patient.

    Args:
        condition_index: 0 normal, 1 low bone mass, 2 osteoporosis, by the T-score.
        t_score: DXA T-score of the lumbar spine.
        vbmd_mg_cm3: Trabecular volumetric density.
        trabecular_hu: Mean trabecular attenuation at 120 kVp.
        cortex_mm: Thickness of the vertebral cortex.
        cortex_hu: Attenuation of the cortex at 120 kVp.
        coarseness: Grain of the trabeculae against a young adult's; grows with loss.
        trabecular_sd_hu: Spread of the trabecular texture before the scanner blurs it.
    """

    condition_index: int
    t_score: float
    vbmd_mg_cm3: float
    trabecular_hu: float
    cortex_mm: float
    cortex_hu: float
    coarseness: float
    trabecular_sd_hu: float


def draw_t_score(rng: np.random.Generator, condition_index: int) -> float:
    """Draw a T-score inside the WHO limits of a class.

    Args:
        rng: Source of the draw.
        condition_index: 0 normal, 1 low bone mass, 2 osteoporosis.
    Returns: A T-score between -6 and 4 inside the WHO limits of that class.
    """
    mean, spread = T_SCORE_OF_CLASS[condition_index]
    low, high = ((NORMAL_T, 4.0), (OSTEOPOROSIS_T + 1e-6, NORMAL_T - 1e-6), (-6.0, OSTEOPOROSIS_T))[
        condition_index
    ]
    shape = ((low - mean) / spread, (high - mean) / spread)
    drawn = stats.truncnorm.ppf(rng.random(), *shape, loc=mean, scale=spread)
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
    status = t_score + STATUS_ERROR * rng.standard_normal() + 1.75
    vbmd = (
        VBMD_AT_MIDDLE
        + VBMD_PER_STATUS * status
        + VBMD_PER_YEAR * (age - 60)
        + VBMD_RESIDUAL * rng.standard_normal()
    )
    vbmd = max(vbmd, 5.0)
    texture = 1 - 0.12 * status + 0.15 * rng.standard_normal()
    return Bone(
        condition_index=condition_index,
        t_score=t_score,
        vbmd_mg_cm3=vbmd,
        trabecular_hu=HU_PER_VBMD * vbmd + HU_OFFSET + HU_RESIDUAL * rng.standard_normal(),
        cortex_mm=float(np.clip(1.0 + 0.12 * status + 0.2 * rng.standard_normal(), 0.35, 2.2)),
        cortex_hu=float(np.clip(760 + 55 * status + 110 * rng.standard_normal(), 400, 1200)),
        coarseness=float(np.clip(texture, 0.4, 1.8)),
        trabecular_sd_hu=float(
            np.clip(38 + 16 * (texture - 1) + 6 * rng.standard_normal(), 15, 80)
        ),
    )
