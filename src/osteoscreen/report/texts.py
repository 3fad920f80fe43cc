"""Every sentence and word that a report says of itself; what a result says comes from the result.

Nothing here may promise the absence of disease: the networks see how bone looks, no more.
"""

from __future__ import annotations

from collections.abc import Mapping

from osteoscreen.findings import (
    CONDITIONS,
    Acquisition,
    Certainty,
    LeftOut,
    LevelFinding,
    Probabilities,
    ScreeningResult,
    Subject,
)

NOT_RECORDED = "not recorded"
ABSENT = "not computed"
NOT_COMPUTED = "not computed in this version"
NOT_LABELLED = "not named"

FINDING = "Bone condition"
CHANCE = "Probability"
CONDITION = "Condition"
EXPLANATION = (
    "The probabilities say how the bone looks to the networks. They are no measurement of bone "
    "density and do not replace DXA or QCT."
)
DOUBTFUL = "doubtful"
NO_STATEMENT = "No statement"
PREDICTION_SET = "Prediction set"
ATTENUATION = "Attenuation"
LEVELS = "Levels"
LEVEL = "Level"
CONFIDENCE = "Confidence"
SPREAD = "SD, HU"
COUNTS = "Counts"
GIVEN = "given"
NOTHING = "\N{EN DASH}"
BAND = "L1 among published limits"
AGREEMENT = "Networks and attenuation"
AGREEMENTS = {
    "agree": "agree",
    "neither": "neither agree nor contradict each other",
    "disagree": "contradict each other",
    None: "not compared",
}
SHIFTED = "Class if names were off by one"
SAME = "the same"
CHOICE = "Chosen because"
LEVELS_CAPTION = (
    "Vertebrae from the head down. Attenuation: mean and standard deviation (SD) of spongy bone "
    "inside the body. The patient's values are the means over the vertebrae that count."
)
LEFT_OUT = {
    LeftOut.NOT_LUMBAR: "no: not L1 to L4",
    LeftOut.CUT: "no: cut off",
    LeftOut.DENSE: "no: dense",
    LeftOut.COLLAPSED: "no: low",
    LeftOut.OUTLIER: "no: unlike the others",
}

REFUSED = "Not screened"
REFUSED_SENTENCE = "There is no result for this series and no probability was computed."
REFUSAL_CODE = "Code"

RESERVATIONS = "Reservations"
NO_RESERVATIONS = "No reservation is recorded."

EVIDENCE = "What the networks saw"
OVERLAY_CAPTION = (
    "Axial CT, the patient's right on the left. Filled: vertebral body. Dashed outline: rest of "
    "the vertebra."
)
OVERLAY_CAPTION_REFUSED = "Axial CT of the series, the patient's right on the left."
OVERLAY_ALT = (
    "Axial CT slices with the marked vertebra: the vertebral body is filled, the rest of the "
    "vertebra is outlined."
)
OVERLAY_ALT_REFUSED = "Axial CT slices of the series that was not screened."

SLICES = "Slices"
SLICES_CAPTION = (
    "Slices that were read, counted from 0 along the stack (DICOM: by position, not by file)."
)
SLICE = "Slice"
POSITION = "Position z, mm"
AREA = "Mark, mm²"

SUBJECT = "Subject"
AGE = "Age"
YEARS = "years"
SEX = "Sex"
SEXES = {"F": "female", "M": "male", "O": "other"}
STUDY_DATE = "Study date"

ACQUISITION = "Acquisition"
KVP = "Tube voltage"
KERNEL = "Kernel"
THICKNESS = "Slice thickness"
CONTRAST = "Contrast agent"
PHASE = "Contrast phase, by name"
CONTRASTS = {True: "recorded", False: "none recorded", None: NOT_RECORDED}
MANUFACTURER = "Manufacturer"
MODEL = "Scanner model"

MADE_WITH = "Made with"
BUNDLE = "Model bundle"
VERSION = "Version"
CHECKSUM = "SHA-256 begins"
SOFTWARE = "Software"
TIMING = "Time"

NO_MARK = "no vertebra marked"
BODY = "vertebral body"
REST = "rest of the vertebra"


def percent(probability: float) -> str:
    """Say a probability as a percentage to one decimal, such as "0.7 %".

    A value that would round to 0 or 100 without being so is said as "<0.1 %" or ">99.9 %".
    """
    if 0 < probability < 0.0005:
        return "<0.1\N{NO-BREAK SPACE}%"
    if 0.9995 <= probability < 1:
        return ">99.9\N{NO-BREAK SPACE}%"
    return f"{100 * probability:.1f}\N{NO-BREAK SPACE}%"


def number(value: float, decimals: int = 0) -> str:
    """Say a number with a true minus sign."""
    text = f"{value:.{decimals}f}"
    return text.replace("-", "\N{MINUS SIGN}") if float(text) else text.removeprefix("-")


def quantity(value: float | None, unit: str) -> str:
    """Say a number with its unit, without trailing zeros; unknown is "not recorded"."""
    if value is None:
        return NOT_RECORDED
    return f"{value:g}\N{NO-BREAK SPACE}{unit}".replace("-", "\N{MINUS SIGN}", 1)


def timing(timing_s: Mapping[str, float]) -> str:
    """Say how long each step took, such as "marking 4.8 s, classification 0.2 s"."""
    steps = [
        f"{step.replace('_', ' ')} {number(seconds, 1)}\N{NO-BREAK SPACE}s"
        for step, seconds in timing_s.items()
    ]
    return ", ".join(steps) or NOT_RECORDED


def date(study_date: str | None) -> str:
    """Say a DICOM date (YYYYMMDD) as YYYY-MM-DD; another form is said as it stands."""
    if study_date is None:
        return NOT_RECORDED
    if len(study_date) == 8 and study_date.isdecimal():
        return f"{study_date[:4]}-{study_date[4:6]}-{study_date[6:]}"
    return study_date


def phase(acquisition: Acquisition) -> str:
    """Say which contrast phase the header names, and its words."""
    return f"{acquisition.phase or NOT_LABELLED} ({acquisition.phase_evidence})"


def subject(who: Subject) -> str:
    """Say what is known of the subject in one line; empty if nothing is."""
    known = [
        quantity(who.age, YEARS) if who.age is not None else None,
        SEXES[who.sex] if who.sex else None,
        f"study of {date(who.study_date)}" if who.study_date else None,
    ]
    return " · ".join(word for word in known if word)


def counts(level: LevelFinding) -> str:
    """Say whether a vertebra counts, or why not."""
    return "yes" if level.left_out is None else LEFT_OUT[level.left_out]


def band(result: ScreeningResult) -> str:
    """Say where the attenuation of L1 lies among the published limits, or why that is not said."""
    found = result.attenuation_band
    if found is None:
        return result.attenuation_note or NOT_COMPUTED
    hu = quantity(round(found.attenuation_hu), "HU")
    return f"{hu}, {found.meaning} ({found.source}; {found.holds_for})"


def shifted(result: ScreeningResult) -> str:
    """Say which class it would be if every name were off by one."""
    if not result.condition_if_shifted or result.probabilities is None:
        return ABSENT
    leading = result.probabilities.condition
    return ", ".join(
        f"{name}: {SAME if condition is leading else condition.label.lower()}"
        for name, condition in result.condition_if_shifted.items()
    )


def headline(probabilities: Probabilities, certainty: Certainty) -> str:
    """Name the most probable condition; a doubtful one carries a question mark."""
    if certainty is Certainty.ABSTAINED:
        return NO_STATEMENT
    return probabilities.condition.label + ("?" if certainty is Certainty.DOUBTFUL else "")


def ring_alt(probabilities: Probabilities, certainty: Certainty) -> str:
    """Say in words what the ring shows."""
    shares = ", ".join(
        f"{condition.label.lower()} {percent(value)}"
        for condition, value in zip(CONDITIONS, probabilities.as_tuple())
    )
    kind = {
        Certainty.CLEAR: "Ring chart",
        Certainty.DOUBTFUL: "Hatched ring chart, doubtful",
        Certainty.ABSTAINED: "Hatched ring chart, no statement",
    }[certainty]
    return f"{kind}: {shares}."
