"""Published limits of the attenuation of L1, and whether they hold for the scan at hand."""

from __future__ import annotations

from osteoscreen import texts
from osteoscreen.findings import Acquisition, LevelFinding, ReferenceBand

LEVEL = "L1"
LIMITS_HU = (110.0, 160.0)
KVP = 120.0
SUGGESTED = (True, None, False)
"""Whether each band points to osteoporosis or away from it, from the lowest up. The upper limit was
found as sensitive for osteoporosis: nothing tells normal bone mass from low."""


def reference_band(
    levels: tuple[LevelFinding, ...], acquisition: Acquisition, least_confidence: float
) -> tuple[ReferenceBand | None, str | None]:
    """Place the attenuation of L1 among the published limits, or say why not.

    Args:
        levels: As found.
        acquisition: How the scan was made.
        least_confidence: Names that are less sure than this may be another vertebra's.
    Returns: The band and no note, or no band and the reason.
    """
    measured = next((one for one in levels if one.level == LEVEL), None)
    if measured is None or measured.attenuation_hu is None:
        return _no_band(texts.BAND_UNMEASURED, level=LEVEL)
    if measured.left_out is not None:
        return _no_band(texts.BAND_LEFT_OUT, level=LEVEL, code=measured.left_out)
    if measured.confidence is not None and measured.confidence < least_confidence:
        return _no_band(texts.BAND_UNSURE, level=LEVEL)
    if acquisition.kvp is None:
        return _no_band(texts.BAND_KVP_UNKNOWN)
    if acquisition.kvp != KVP:
        return _no_band(texts.BAND_KVP_OTHER, kvp=KVP, other=acquisition.kvp)
    if acquisition.contrast is None:
        return _no_band(texts.BAND_CONTRAST_UNKNOWN)
    if acquisition.contrast:
        return _no_band(texts.BAND_CONTRAST)
    hu = measured.attenuation_hu
    at = sum(hu > limit for limit in LIMITS_HU)
    edges = (None, *LIMITS_HU, None)
    low, high = LIMITS_HU
    band = ReferenceBand(
        level=LEVEL,
        attenuation_hu=hu,
        above_hu=edges[at],
        up_to_hu=edges[at + 1],
        limits_hu=LIMITS_HU,
        meaning=texts.BAND_MEANINGS[at].format(low=low, high=high),
        suggests_osteoporosis=SUGGESTED[at],
        source=texts.BAND_SOURCE,
        holds_for=texts.BAND_HOLDS_FOR.format(level=LEVEL, kvp=KVP),
    )
    return band, None


def _no_band(reason: str, **values: object) -> tuple[None, str]:
    return None, texts.NO_BAND.format(reason=reason.format(**values))
