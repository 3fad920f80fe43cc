"""Every sentence and word that a report says of itself; what a result says comes from the result.

A second language is a second file like this one.

Nothing here may promise the absence of disease: the networks see how bone looks, no more.
"""

from __future__ import annotations

from collections.abc import Sequence

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

LANGUAGE = "en"

TITLE = "Bone report {name}"
NOT_RECORDED = "not recorded"
ABSENT = "not computed"
NOT_COMPUTED = "not computed in this version"
NOT_LABELLED = "not named"
NOTHING = "\N{EN DASH}"
DOT = "\N{MIDDLE DOT}"
YES = "yes"

FINDING = "Bone condition"
CHANCE = "Probability"
CONDITION = "Condition"
EXPLANATION = (
    "The probabilities say how the bone looks to the networks. They are no measurement of bone "
    "density and do not replace DXA or QCT."
)
DOUBTFUL = "doubtful"
NO_STATEMENT = "No statement"
RING_ALTS = {
    Certainty.CLEAR: "Ring chart",
    Certainty.DOUBTFUL: "Hatched ring chart, doubtful",
    Certainty.ABSTAINED: "Hatched ring chart, no statement",
}
PREDICTION_SET = "Prediction set"
ATTENUATION = "Attenuation"
LEVELS = "Levels"
LEVEL = "Level"
CONFIDENCE = "Name sure"
SPREAD = "SD, HU"
COUNTS = "Counts"
GIVEN = "given"
BAND = "L1 among published limits"
BAND_SAID = "{hu}, {meaning} ({source}; {holds_for})"
AGREEMENT = "Networks and attenuation"
AGREEMENTS = {
    "agree": "agree",
    "neither": "neither agree nor contradict each other",
    "disagree": "contradict each other",
    None: "not compared",
}
SHIFTED = "Class if names were off by one"
SHIFTS = {"up": "up", "down": "down"}
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
ATTENUATION_CAPTION = (
    "Mean (dot) and SD (line) of each vertebra; a hollow dot does not count. Dashed: published "
    "limits, which hold for the level named above them; its band is shaded."
)
ATTENUATION_CAPTION_WITHOUT = (
    "Mean (dot) and SD (line) of each vertebra; a hollow dot does not count. Published limits are "
    "not drawn: {reason}."
)
ATTENUATION_ALT = "Chart of the attenuation of each vertebra: {values}."
AXIS_HU = "Attenuation, HU"
LIMITS_OF = "{level} limits"
HU = "HU"

REFUSED = "Not screened"
REFUSED_SENTENCE = "There is no result for this series and no probability was computed."
REFUSAL_CODE = "Code"

RESERVATIONS = "Reservations"
NO_RESERVATIONS = "No reservation is recorded."
MORE = "{count} more: no room for them on this page; report.html and result.json hold them."

EVIDENCE = "What the networks saw"
SAGITTAL = "Sagittal overview"
OVERLAY = "Axial slices"
LOOKED = "BCC-Net looked at"
SAGITTAL_CAPTION = (
    "Along the spine, the front on the left, with the names given to the vertebrae. Ticks: the "
    "axial slices."
)
SAGITTAL_CAPTION_REFUSED = "The series from the side, the front on the left."
SAGITTAL_ALT = "Sagittal CT along the spine with the marked vertebrae: {names}."
SAGITTAL_ALT_UNNAMED = "Sagittal CT of the series; no vertebra is named."
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
LOOKED_CAPTION = (
    "The patient's most typical slice as BCC-Net saw it, and how the probability of {condition} "
    "changes while a part is covered. It shows what the answer hangs on, not where disease is."
)
LOOKED_ALT = (
    "The segmented vertebra of the most typical slice, plain and with the parts coloured that "
    "raise or lower the probability of {condition}."
)
SUPPORTS = "raises it, up to {points}"
POINT, POINTS = "point", "points"
OPPOSES = "lowers it, up to {points}"
SLICE_TITLE = "{level}slice {index} \N{MIDDLE DOT} z {position} mm"
SLICE_TITLE_UNPLACED = "{level}slice {index}"
LEVEL_OF_SLICE = "{level} \N{MIDDLE DOT} "

SLICES = "Slices"
SLICES_CAPTION = (
    "Slices that were read, counted from 0 along the stack (DICOM: by position, not by file)."
)
SLICES_OPEN = "Show the {count} slices that were classified"
SLICE = "Slice"
POSITION = "Position z, mm"
AREA = "Mark, mm²"

AGE = "age {age}"
YEARS = "years"
SEX = "sex {sex}"
SEXES = {"F": "female", "M": "male", "O": "other", None: NOT_RECORDED}
STUDY_DATE = "study date {date}"

ACQUISITION = "Acquisition"
KVP = "Tube voltage"
KERNEL = "Kernel"
THICKNESS = "Slice thickness"
CONTRAST = "Contrast agent"
PHASE = "Contrast phase, by name"
CONTRASTS = {True: "recorded", False: "none recorded", None: NOT_RECORDED}
MANUFACTURER = "Manufacturer"
MODEL = "Scanner model"
KV = "kV"
MM = "mm"

MADE_WITH = "Made with"
BUNDLE = "Model bundle"
VERSION = "Version"
CHECKSUM = "SHA-256 begins"
SOFTWARE = "Software"

LIMITS = "Limits of the model"
LIMITS_SENTENCES = (
    EXPLANATION,
    "Only the vertebrae marked here were judged. Fractures, tumours and all other findings are "
    "not looked for, and normal bone mass does not mean that there are none.",
    "Attenuation changes with tube voltage, contrast agent, kernel and scanner. How the networks "
    "do on another scanner than those they were trained on is not known.",
)

NO_MARK = "no vertebra marked"
BODY = "vertebral body"
REST = "rest of the vertebra"
RIGHT, LEFT = "R", "L"
ANTERIOR, POSTERIOR = "A", "P"


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


def points(change: float) -> str:
    """Say by how much a probability rises, in percentage points; a fall is none."""
    count = round(100 * max(0.0, change))
    return f"{count}\N{NO-BREAK SPACE}{POINT if count == 1 else POINTS}"


def sentence(words: str) -> str:
    """Begin words with a capital letter."""
    return words[:1].upper() + words[1:]


def quantity(value: float | None, unit: str) -> str:
    """Say a number with its unit, without trailing zeros; unknown is "not recorded"."""
    if value is None:
        return NOT_RECORDED
    return f"{value:g}\N{NO-BREAK SPACE}{unit}".replace("-", "\N{MINUS SIGN}", 1)


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
    """Say who was scanned, without identity, in one line."""
    return f" {DOT} ".join(
        (
            AGE.format(age=quantity(who.age, YEARS)),
            SEX.format(sex=SEXES[who.sex]),
            STUDY_DATE.format(date=date(who.study_date)),
        )
    )


def counts(level: LevelFinding) -> str:
    """Say whether a vertebra counts, or why not."""
    return YES if level.left_out is None else LEFT_OUT[level.left_out]


def band(result: ScreeningResult) -> str:
    """Say where the attenuation of L1 lies among the published limits, or why that is not said."""
    found = result.attenuation_band
    if found is None:
        return result.attenuation_note or NOT_COMPUTED
    return BAND_SAID.format(
        hu=quantity(round(found.attenuation_hu), HU),
        meaning=found.meaning,
        source=found.source,
        holds_for=found.holds_for,
    )


def shifted(result: ScreeningResult) -> str:
    """Say which class it would be if every name were off by one."""
    if not result.condition_if_shifted or result.probabilities is None:
        return ABSENT
    leading = result.probabilities.condition
    return ", ".join(
        f"{SHIFTS[name]}: {SAME if condition is leading else condition.label.lower()}"
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
    return f"{RING_ALTS[certainty]}: {shares}."


def attenuation_alt(levels: Sequence[LevelFinding]) -> str:
    """Say in words what the chart of attenuation shows."""
    values = ", ".join(
        f"{one.level} {quantity(round(one.attenuation_hu), HU)}"
        for one in levels
        if one.attenuation_hu is not None
    )
    return ATTENUATION_ALT.format(values=values)


def slice_title(level: str | None, index: int, position_mm: float | None) -> str:
    """Name an axial slice, such as "L3 \N{MIDDLE DOT} slice 12 \N{MIDDLE DOT} z 340 mm"."""
    named = "" if level is None else LEVEL_OF_SLICE.format(level=level)
    if position_mm is None:
        return SLICE_TITLE_UNPLACED.format(level=named, index=index)
    return SLICE_TITLE.format(level=named, index=index, position=number(position_mm))
