"""Every text of a result and its report, in the order in which a reader meets it.

Here is all that page, PDF, pictures, ``result.json``, measurement report and FHIR say in words:
advice, statements, reservations, refusals that come with a result, notes, headings, captions. What
hangs on a value is a template for ``str.format`` with named fields; joining and rounding are
language too, and are functions at the end. Elsewhere no such text is written: use
``texts.NAME`` when it is said, not when a module is imported.

A second language is a second file like this one.

What engineers read stays where it arises, in English: errors that end a command or become a row of
``summary.csv``, the command line, evaluations, model cards. So do names that programs look for:
codes and their meanings, labels of segments, descriptions of series (``dicom/``).

Nothing here may promise the absence of disease: the networks see how bone looks, no more. Every
report says ``NEVER_EXCLUDES``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from osteoscreen.findings import (
    CONDITIONS,
    Abstention,
    Acquisition,
    BoneCondition,
    Certainty,
    ContrastPhase,
    LeftOut,
    LevelFinding,
    Probabilities,
    Reservation,
    ReservationCode,
    ScreeningResult,
    Subject,
)

LANGUAGE = "en"

# Title and notice

NOTICE = (
    "Research use only. Not a medical device. The networks were trained on synthetic CT; "
    "no clinical accuracy is known or claimed."
)
OWN_DATA_NOTICE = "Research use only. Not a medical device. The networks were trained by this site."
PRELIMINARY = "Preliminary, not verified."
TITLE, TITLE_UNNAMED = "Bone report {name}", "Bone report"
AGE = "age {age}"
YEARS = "years"
SEX = "sex {sex}"
NOT_RECORDED = "not recorded"
SEXES = {"F": "female", "M": "male", "O": "other", None: NOT_RECORDED}
STUDY_DATE = "study date {date}"

# Words of every part

ABSENT = "not computed"
NOT_LABELLED = "not named"
NOTHING = "\N{EN DASH}"
DOT = "\N{MIDDLE DOT}"
YES = "yes"
HU = "HU"
KV = "kV"
MM = "mm"
SPAN = "{low:g} to {high:g}"
OR = " or "

# The finding, and what to do

LABELS = {
    BoneCondition.NORMAL: "Normal bone mass",
    BoneCondition.LOW: "Low bone mass",
    BoneCondition.OSTEOPOROSIS: "Osteoporosis",
}
IN_SENTENCE = {
    BoneCondition.NORMAL: "normal bone mass",
    BoneCondition.LOW: "low bone mass",
    BoneCondition.OSTEOPOROSIS: "osteoporosis",
}
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
_TREAT = (
    "As the paper advises (section 3.5): whether to treat early is for the radiologist to decide; "
    "bone mineral density is measured regularly."
)
_EXAMINE = "Further examination, such as DXA, is needed to confirm the bone condition."
ADVICE = {
    (BoneCondition.NORMAL, True): (
        "This image alone gives no reason for further examination; it does not exclude "
        "osteoporosis."
    ),
    (BoneCondition.NORMAL, False): (
        "As the paper advises (section 3.5): consider the risk of osteoporosis; suggest more "
        "exercise where fitting."
    ),
    (BoneCondition.LOW, True): _TREAT,
    (BoneCondition.LOW, False): _EXAMINE,
    (BoneCondition.OSTEOPOROSIS, True): _TREAT,
    (BoneCondition.OSTEOPOROSIS, False): _EXAMINE,
}
"""Advice by class and clarity (paper, section 3.5)."""
ABSTENTIONS = {
    Abstention.ANY_CLASS: "all three conditions are possible",
    Abstention.UNLIKE_TRAINING: "the images are unlike those that the networks were calibrated on",
    Abstention.IMAGE_QUALITY: "{faults}",
    Abstention.NO_INTACT_LEVEL: "no vertebra of L1 to L4 is whole and intact",
}
TOO_THICK = "slices are {thickness:g} mm thick, more than {most:g} mm"
TOO_NOISY = "the noise in spongy bone is {noise:.0f} HU, more than {most:g} HU"
NOT_REACHED = "the likeliest does not reach a probability of {probability:.0%}"
STILL_POSSIBLE = "the prediction set also holds {others}"
CONTRADICTED = "the attenuation of L1 contradicts it"
REASONS_BETWEEN, OTHERS_BETWEEN = "; ", " and "
PREDICTION_SET = "Prediction set"
AGREEMENT = "Networks and attenuation"
AGREEMENTS = {
    "agree": "agree",
    "neither": "neither agree nor contradict each other",
    "disagree": "contradict each other",
    None: "not compared",
}
ATTENUATION_SAYS = {True: "points to osteoporosis", False: "points away from osteoporosis"}
SHIFTED = "Class if names were off by one"
SHIFTS = {"up": "up", "down": "down"}
SAME = "the same"

# Attenuation among the published limits

BAND = "L1 among published limits"
BAND_SAID = "{hu}, {meaning} ({source}; {holds_for})"
BAND_MEANINGS = (
    "at most {low:g} HU: more than 90 % specific for osteoporosis by DXA",
    "{low:g} to {high:g} HU: between the specific and the sensitive limit",
    "above {high:g} HU: 90 % of those with osteoporosis by DXA lie at or below {high:g}",
)
BAND_SOURCE = "Pickhardt et al., Ann Intern Med 2013;158:588, 1,867 adults with CT and DXA"
BAND_HOLDS_FOR = (
    "{level}, {kvp:g} kVp, no intravenous contrast, an ellipse drawn in the front of the body; "
    "automated regions read higher than drawn ones, by some 21 HU in one study (PMID 30912719)"
)
NO_BAND = "not computed: {reason}"
BAND_UNNAMED = "the vertebrae are not named"
BAND_UNMEASURED = "{level} was not measured"
BAND_LEFT_OUT = "{level} does not count ({code})"
BAND_UNSURE = "it is not sure that {level} is {level}"
BAND_KVP_UNKNOWN = "kVp unknown"
BAND_KVP_OTHER = "the limits hold for {kvp:g} kVp, not {other:g}"
BAND_CONTRAST_UNKNOWN = "contrast agent unknown"
BAND_CONTRAST = "the limits hold without contrast agent"

# Instead of a finding

REFUSED = "Not screened"
REFUSED_SENTENCE = "There is no result for this series and no probability was computed."
REFUSAL_CODE = "Code"
NOTHING_MARKED = "no vertebra was marked in any slice, or no mark holds bone"
NOT_LUMBAR_SLICE = "the slice shows no lumbar vertebra (probability {probability:.0%})"
NO_LUMBAR = "no lumbar vertebra was found"
NOT_LUMBAR_REGION = (
    "the vertebrae may all lie above or below the lumbar spine (probability {probability:.0%})"
)
NO_SPINE = "the slices do not follow each other as those of a spine do (fit {fit:.2f})"
NOTHING_CLASSIFIED = "no vertebra of L1 to L4 could be classified"

# Reservations

RESERVATIONS = "Reservations"
NO_RESERVATIONS = "No reservation is recorded."
MORE = "{count} more: no room for them on this page; report.html and result.json hold them."
CAUTIONS = {
    ReservationCode.SYNTHETIC_TRAINING: (
        "The networks were trained on synthetic CT and never saw a real patient."
    ),
    ReservationCode.FEW_SLICES: "Slices that could be classified: {count}.",
    ReservationCode.SINGLE_SLICE: (
        "A single slice: nothing confirms that it shows a lumbar vertebra."
    ),
    ReservationCode.CONTRAST: "A contrast agent is recorded; it raises the attenuation of bone.",
    ReservationCode.KVP_UNKNOWN: "Tube voltage is not recorded; attenuation depends on it.",
    ReservationCode.KVP_OTHER: (
        "Tube voltage is {kvp:g} kV; the networks were trained on {trained}."
    ),
    ReservationCode.THICKNESS_OTHER: (
        "Slices are {thickness_mm:g} mm thick; the networks were trained on {trained}."
    ),
    ReservationCode.KERNEL: "The kernel {kernel} sharpens; it changes noise and attenuation.",
    ReservationCode.LOW_DOSE: "A low-dose scan, {sign}: noise blurs marks and attenuation.",
    ReservationCode.SATURATED: (
        "Values in a marked vertebra reach {hu:g} HU, the end of the 12-bit scale."
    ),
    ReservationCode.LOSSY: "The image was compressed with loss{extent}.",
    ReservationCode.FIELD_OF_VIEW_CUT: "A marked vertebra touches the edge of the image.",
    ReservationCode.GANTRY_TILT: (
        "The gantry was tilted by {degrees:.1f} degrees; slices were moved by whole pixels until "
        "the stack stood straight."
    ),
    ReservationCode.GAP: (
        "Slice spacing has {place}: {left_out} of {count} slices beyond it were left out."
    ),
    ReservationCode.COPIES: "Copies of other files that were left out: {count}.",
    ReservationCode.NO_IDENTIFIERS: (
        "The DICOM identifiers are empty or malformed; no DICOM object can refer to these images."
    ),
    ReservationCode.LEVELS_UNKNOWN: (
        "The vertebrae are not named: nothing confirms that they are lumbar."
    ),
    ReservationCode.LEVELS_UNSURE: (
        "The names of the vertebrae may be off by one; they are right with a probability of "
        "{confidence:.0%}."
    ),
    ReservationCode.LEVELS_MATTER: (
        "If every name were off by one, the class would be {conditions}."
    ),
    ReservationCode.TRANSITIONAL: (
        "Four or six lumbar vertebrae were counted; names count from the head down."
    ),
    ReservationCode.LEVEL_LEFT_OUT: "{level} does not count: {reason}.",
    ReservationCode.FEW_LEVELS: "Vertebrae of L1 to L4 that count: {count}; {usual} are usual.",
    ReservationCode.MARKS_GIVEN: (
        "The marks come from a file that was given, and not from MS-Net."
    ),
    ReservationCode.DISAGREEMENT: ("The networks say {networks}, the attenuation of L1 {says}."),
    ReservationCode.DOUBTFUL: ("No class is clear: {reasons}."),
    ReservationCode.ABSTAINED: (
        "No statement: {reason}. Further examination, such as DXA, is needed."
    ),
}
"""What a reservation says; that of an abstention is its advice, too."""
LEFT_OUT_BECAUSE = {
    LeftOut.CUT: "the series cuts it off",
    LeftOut.DENSE: "metal, cement or compact bone fills a part of it",
    LeftOut.COLLAPSED: "it has lost height against its neighbours; look for a fracture",
    LeftOut.OUTLIER: "its attenuation is unlike that of the others",
}
LOW_DOSE_NAME = 'the series is named "{name}"'
LOW_DOSE_INDEX = "the dose index CTDIvol is {mgy:.1f} mGy"
LOSS_RATIO = " {ratio:g} to 1"
LOSS_KNOWN = ": values are off by up to {hu:g} HU"
LOSS_UNKNOWN = "; by how many HU is not recorded"
GAP = "a gap of {mm:.2f} mm between {low:.2f} and {high:.2f} mm"
STEP = "a step of {mm:.2f} mm between {low:.2f} and {high:.2f} mm"

# Pictures

EVIDENCE = "What the networks saw"
OVERLAY = "Axial slices"
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
SLICE_TITLE = "{level}slice {index} \N{MIDDLE DOT} z {position} mm"
SLICE_TITLE_UNPLACED = "{level}slice {index}"
LEVEL_OF_SLICE = "{level} \N{MIDDLE DOT} "
NO_MARK = "no vertebra marked"
BODY = "vertebral body"
REST = "rest of the vertebra"
RIGHT, LEFT = "R", "L"
SAGITTAL = "Sagittal overview"
SAGITTAL_CAPTION = (
    "Along the spine, the front on the left, with the names given to the vertebrae. Ticks: the "
    "axial slices."
)
SAGITTAL_CAPTION_REFUSED = "The series from the side, the front on the left."
SAGITTAL_ALT = "Sagittal CT along the spine with the marked vertebrae: {names}."
SAGITTAL_ALT_UNNAMED = "Sagittal CT of the series; no vertebra is named."
ANTERIOR, POSTERIOR = "A", "P"
LOOKED = "BCC-Net looked at"
LOOKED_CAPTION = (
    "The patient's most typical slice as BCC-Net saw it, and how the probability of {condition} "
    "changes while a part is covered. It shows what the answer hangs on, not where disease is."
)
LOOKED_ALT = (
    "The segmented vertebra of the most typical slice, plain and with the parts coloured that "
    "raise or lower the probability of {condition}."
)
SUPPORTS = "raises it, up to {points}"
OPPOSES = "lowers it, up to {points}"
POINT, POINTS = "point", "points"

# Vertebrae

LEVELS = "Levels"
LEVEL = "Level"
CONFIDENCE = "Name sure"
GIVEN = "given"
ATTENUATION = "Attenuation"
SPREAD = "SD, HU"
COUNTS = "Counts"
LEFT_OUT = {
    LeftOut.NOT_LUMBAR: "no: not L1 to L4",
    LeftOut.CUT: "no: cut off",
    LeftOut.DENSE: "no: dense",
    LeftOut.COLLAPSED: "no: reduced height",
    LeftOut.OUTLIER: "no: unlike the others",
}
LEVELS_CAPTION = (
    "Vertebrae from the head down. Attenuation: mean and standard deviation (SD) of spongy bone "
    "inside the body. The patient's values are the means over the vertebrae that count."
)
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

# Acquisition, and why this series

ACQUISITION = "Acquisition"
KVP = "Tube voltage"
THICKNESS = "Slice thickness"
KERNEL = "Kernel"
CONTRAST = "Contrast agent"
CONTRASTS = {True: "recorded", False: "none, by the header", None: "unknown"}
PHASE = "Contrast phase, by name"
PHASES = {
    ContrastPhase.NATIVE: "native",
    ContrastPhase.ARTERIAL: "arterial",
    ContrastPhase.VENOUS: "venous",
    ContrastPhase.NEPHROGRAPHIC: "nephrographic",
    ContrastPhase.DELAYED: "delayed",
    None: NOT_LABELLED,
}
PHASE_CODED = "the header says {term}"
PHASE_NAMED = "the series description says {words}"
PHASE_TIMED = "the first slice was acquired {seconds:.0f} s after the agent was started"
MANUFACTURER = "Manufacturer"
MODEL = "Scanner model"
CHOICE = "Chosen because"
CHOICE_ONLY = "the only CT: {series}"
CHOICE_BEST = "the best of {count} CT series: {series}"
CHOICE_NEXT = "number {place} of {count} CT series: {series}"
CHOICE_ASKED = "asked for: {series}"
CHOICE_TRIED = "{choice}; tried before and left: {tried}"
CHOICE_OTHER = "another series was chosen: {reason} ({series}; chosen: {chosen})"
SERIES_AXIAL = {True: "axial", False: "not axial"}
SERIES_ORIGINAL = {True: "original", False: "derived"}
SERIES_LENGTH = "{count} slices over {mm:.0f} mm"
SERIES_THICKNESS = "thickness {mm:g} mm"
SERIES_THICKNESS_UNKNOWN = "thickness unknown"
SERIES_KERNEL = {
    "SHARP": "sharp kernel {name}",
    "SOFT": "kernel {name}",
    "UNKNOWN": "kernel unknown",
}
SERIES_CONTRAST = {
    True: "contrast agent recorded",
    False: "no contrast agent, by the header",
    None: "contrast agent unknown",
}
SERIES_PART = "body part {part}"
SERIES_LOST = {
    "is_axial": "it is not axial",
    "is_original": "it is derived",
    "reach": "it covers less",
    "is_trunk": "it names another body region",
    "is_thin": "its slices are too thick, or of unknown thickness",
    "kernel": "its kernel is sharper, or unknown",
    "is_plain": "a contrast agent is recorded",
    "length_mm": "it covers less",
    "slices": "it has fewer slices",
    "key": "both fit alike, and the later identifier was taken",
}
"""Why a series lost, by the question in which the chosen one is better."""

# Made with, limits

MADE_WITH = "Made with"
BUNDLE = "Model bundle"
VERSION = "Version"
CHECKSUM = "SHA-256 begins"
SOFTWARE = "Software"
LIMITS = "Limits of the model"
NEVER_EXCLUDES = "A result never excludes osteoporosis."
LIMITS_SENTENCES = (
    NEVER_EXCLUDES,
    EXPLANATION,
    "Only the vertebrae marked here were judged. Fractures, tumours and all other findings are "
    "not looked for, and normal bone mass does not mean that there are none.",
    "Attenuation changes with tube voltage, contrast agent, kernel and scanner. How the networks "
    "do on another scanner than those they were trained on is not known.",
)

# Slices

SLICES = "Slices"
SLICES_CAPTION = (
    "Slices that were read, counted from 0 along the stack (DICOM: by position, not by file)."
)
SLICES_OPEN = "Show the {count} slices that were classified"
SLICE = "Slice"
POSITION = "Position z, mm"
AREA = "Mark, mm²"

# Picture in the archive, measurement report, FHIR

CAPTURED = "{headline} ({shares})."
REFUSED_BECAUSE = "Not screened: {reason}"
BAND_SAID_DICOM = "{level}, {hu:g} HU: {meaning} ({source}; {holds_for})"
CHOICE_SAID_DICOM = "Series: {choice}"
BAND_SAID_FHIR = "{meaning} ({source})"
FHIR_SUBJECT = "The patient of the imaging study"
FHIR_CATEGORIES = {"RAD": "Radiology", "imaging": "Imaging"}
FHIR_REPORT = "Bone condition on CT"
FHIR_SITE = "Lumbar spine"
FHIR_CONDITION = "Bone condition that CT looks like"
FHIR_SET = "Condition in the prediction set"
FHIR_LOOKS = "Looks like {condition}"
FHIR_LOOKS_DOUBTFUL = "Looks like {condition}, doubtful"
FHIR_CERTAINTY = "Certainty of the statement"
FHIR_CERTAINTIES = {
    Certainty.CLEAR: "Clear",
    Certainty.DOUBTFUL: "Doubtful",
    Certainty.ABSTAINED: "No statement",
}
FHIR_ABSTENTION = "Why no statement is made"
FHIR_ABSTENTIONS = {
    Abstention.ANY_CLASS: "All classes are possible",
    Abstention.UNLIKE_TRAINING: "Unlike the images of training",
    Abstention.IMAGE_QUALITY: "Image quality",
    Abstention.NO_INTACT_LEVEL: "No intact vertebra of L1 to L4",
}
FHIR_PROBABILITY = "Probability of {condition}"
FHIR_MEAN = "Attenuation of spongy bone, mean of the vertebrae"
FHIR_LEVEL = "Attenuation of spongy bone inside the vertebral body, mean"
FHIR_MEDIAN = "Median attenuation"
FHIR_SPREAD = "Standard deviation of the attenuation"
FHIR_HEIGHT = "Height of the body along the series"
FHIR_CONFIDENCE = "Probability that names are not off by one"
FHIR_LEFT_OUT = "does not count: {code}"
FHIR_NOT_MEASURED = "not measured: too little of the body is marked"
FHIR_NO_STATEMENT = "no statement"
FHIR_DEVICE = "Software"
FHIR_SOFTWARE = "software"
FHIR_BUNDLE = "model bundle"

# Rules of the language


def reservation(code: ReservationCode, **values: object) -> Reservation:
    """Make a reservation: ``values`` fill the fields of its text."""
    return Reservation(code=code, text=CAUTIONS[code].format(**values))


def span(low: float, high: float) -> str:
    """Say what lies between two numbers, or the one number that both are."""
    return f"{low:g}" if low == high else SPAN.format(low=low, high=high)


def either(conditions: Iterable[BoneCondition]) -> str:
    """Say which conditions are possible, each once, in the middle of a sentence."""
    return OR.join(sorted({IN_SENTENCE[one] for one in conditions}))


def extent_of_loss(ratio: float | None, error_hu: float | None) -> str:
    """Say how far an image was compressed, and by how much values are off, if it is known."""
    packed = LOSS_RATIO.format(ratio=ratio) if ratio else ""
    return packed + (LOSS_UNKNOWN if error_hu is None else LOSS_KNOWN.format(hu=error_hu))


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
    """Begin words with a capital letter and end them with a full stop."""
    return words[:1].upper() + words[1:] + ("" if words.endswith(".") else ".")


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
    return f"{PHASES[acquisition.phase]} ({acquisition.phase_evidence})"


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
        return result.attenuation_note or ABSENT
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
        f"{SHIFTS[name]}: {SAME if condition is leading else IN_SENTENCE[condition]}"
        for name, condition in result.condition_if_shifted.items()
    )


def banner(result: ScreeningResult) -> str:
    """Say what the product is not, and that nobody has verified the result."""
    return f"{result.notice} {PRELIMINARY}"


def headline(probabilities: Probabilities, certainty: Certainty) -> str:
    """Name the most probable condition; a doubtful one carries a question mark."""
    if certainty is Certainty.ABSTAINED:
        return NO_STATEMENT
    return LABELS[probabilities.condition] + ("?" if certainty is Certainty.DOUBTFUL else "")


def shares(probabilities: Probabilities) -> str:
    """Say the probability of each condition."""
    return ", ".join(
        f"{IN_SENTENCE[condition]} {percent(value)}"
        for condition, value in zip(CONDITIONS, probabilities.as_tuple())
    )


def ring_alt(probabilities: Probabilities, certainty: Certainty) -> str:
    """Say in words what the ring shows."""
    return f"{RING_ALTS[certainty]}: {shares(probabilities)}."


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
