"""Published limits of the attenuation of L1, and whether they hold for the scan at hand."""

from __future__ import annotations

from osteoscreen.findings import Acquisition, BoneCondition, LevelFinding, ReferenceBand

LEVEL = "L1"
LIMITS_HU = (110.0, 160.0)
KVP = 120.0
SOURCE = "Pickhardt et al., Ann Intern Med 2013;158:588, 1,867 adults with CT and DXA"
HOLDS_FOR = "L1, 120 kVp, no intravenous contrast, an ellipse drawn in the front of the body"
OTHER_REGION = (
    "automated regions read higher than drawn ones, by some 21 HU in one study (PMID 30912719)"
)
MEANINGS: tuple[tuple[str, BoneCondition | None], ...] = (
    ("at most 110 HU: more than 90 % specific for osteoporosis by DXA", BoneCondition.OSTEOPOROSIS),
    ("110 to 160 HU: between the specific and the sensitive limit", None),
    (
        "above 160 HU: 90 % of those with osteoporosis by DXA lie at or below 160",
        BoneCondition.NORMAL,
    ),
)


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
        return None, f"not computed: {LEVEL} was not measured"
    if measured.left_out is not None:
        return None, f"not computed: {LEVEL} does not count ({measured.left_out})"
    if measured.confidence is not None and measured.confidence < least_confidence:
        return None, f"not computed: it is not sure that {LEVEL} is {LEVEL}"
    if acquisition.kvp is None:
        return None, "not computed: kVp unknown"
    if acquisition.kvp != KVP:
        return None, f"not computed: the limits hold for {KVP:g} kVp, not {acquisition.kvp:g}"
    if acquisition.contrast is None:
        return None, "not computed: contrast agent unknown"
    if acquisition.contrast:
        return None, "not computed: the limits hold without contrast agent"
    hu = measured.attenuation_hu
    at = sum(hu > limit for limit in LIMITS_HU)
    edges = (None, *LIMITS_HU, None)
    meaning, suggests = MEANINGS[at]
    band = ReferenceBand(
        level=LEVEL,
        attenuation_hu=hu,
        above_hu=edges[at],
        up_to_hu=edges[at + 1],
        limits_hu=LIMITS_HU,
        meaning=meaning,
        suggests=suggests,
        source=SOURCE,
        holds_for=f"{HOLDS_FOR}; {OTHER_REGION}",
    )
    return band, None
