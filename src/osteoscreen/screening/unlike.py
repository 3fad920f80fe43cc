"""How far a patient lies from those that a bundle was calibrated on.

The score is the Mahalanobis distance of four numbers: the three logits of BCC-Net, and the
trabecular HU inside MS-Net's own marks, each the mean over the slices. It grows where the network
is driven beyond what it has seen, and where network and attenuation do not go together as they did
in the calibration patients.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from osteoscreen.bundle import TypicalSettings

TYPICAL_SHARE = 0.995
"""Share of the calibration patients that must count as typical."""


def patient_features(logits: NDArray[np.float64], hu: NDArray[np.float64]) -> NDArray[np.float64]:
    """Join what the slices of one patient say.

    Args:
        logits: Before the temperature, shape (slices, 3).
        hu: Trabecular attenuation, shape (slices,); nan where it could not be measured.
    Returns: Shape (4,); nan in the last place where no slice was measured.
    """
    known = hu[np.isfinite(hu)]
    return np.append(logits.mean(axis=0), known.mean() if len(known) else np.nan)


def unlike_score(features: NDArray[np.float64], settings: TypicalSettings) -> float | None:
    """Return the distance of a patient from the calibration patients.

    Args:
        features: As ``patient_features`` gives them.
        settings: Of the bundle.
    Returns: Standard deviations, 0 or more; ``None`` where a feature is unknown.
    """
    if not np.isfinite(features).all():
        return None
    apart = features - np.array(settings.mean)
    return float(np.sqrt(apart @ np.array(settings.precision) @ apart))


def fit_typical(features: NDArray[np.float64]) -> TypicalSettings | None:
    """Describe the calibration patients.

    Args:
        features: Shape (patients, 4); patients with an unknown feature do not count.
    Returns: Mean, precision and the limit that all but one in two hundred keep; ``None`` where too
        few patients are known to tell.
    """
    known = features[np.isfinite(features).all(axis=1)]
    if len(known) <= 2 * features.shape[1]:
        return None
    covariance = np.cov(known.T)
    if np.linalg.matrix_rank(covariance) < len(covariance):
        return None
    mean, precision = known.mean(axis=0), np.linalg.inv(covariance)
    apart = known - mean
    scores = np.sqrt(np.einsum("pi,ij,pj->p", apart, precision, apart))
    return TypicalSettings(
        mean=tuple(mean.tolist()),
        precision=tuple(tuple(row) for row in precision.tolist()),
        limit=float(np.quantile(scores, TYPICAL_SHARE, method="higher")),
    )
