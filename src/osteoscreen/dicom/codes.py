"""Every coded concept that a DICOM object of ours or FHIR carries, with its source.

No validator knows whether a code means what its text says: ``docs/codes.md`` is made of this table,
and a test compares it with pydicom's dictionaries of PS3.16 and with every object that is written.
"""

from __future__ import annotations

from pydicom.sr.coding import Code

from osteoscreen.findings import Abstention, BoneCondition, Certainty, LeftOut

PRIVATE = "99OSTEO"
"""Designator of our own scheme; private ones begin with 99 (PS3.16 section 8.2)."""

ANATOMICAL_STRUCTURE = Code("91723000", "SCT", "Anatomical Structure")
VERTEBRA = Code("51282000", "SCT", "Vertebra")
LUMBAR_VERTEBRA = Code("73903008", "SCT", "Lumbar vertebra")
LUMBAR_SPINE = Code("122496007", "SCT", "Lumbar spine")
ARCH_OF_VERTEBRA = Code("40265002", "SCT", "Arch of vertebra")
VERTEBRAL_BODY = Code("3572006", "SCT", "Vertebral body")
ARTIFICIAL_INTELLIGENCE = Code("123110", "DCM", "Artificial Intelligence")

VERTEBRA_OF_LEVEL = {
    "T10": Code("7610001", "SCT", "T10 vertebra"),
    "T11": Code("12989004", "SCT", "T11 vertebra"),
    "T12": Code("23215003", "SCT", "T12 vertebra"),
    "L1": Code("66794005", "SCT", "L1 vertebra"),
    "L2": Code("14293000", "SCT", "L2 vertebra"),
    "L3": Code("36470004", "SCT", "L3 vertebra"),
    "L4": Code("11994002", "SCT", "L4 vertebra"),
    "L5": Code("49668003", "SCT", "L5 vertebra"),
    "L6": LUMBAR_VERTEBRA,
    "S1": Code("65985001", "SCT", "S1 vertebra"),
}
"""The vertebrae that are named; the sixth lumbar one of a transitional spine has no code."""

CT_UNSPECIFIED_BODY_REGION = Code("25045-6", "LN", "CT unspecified body region")
DIAGNOSTIC_IMAGING_REPORT = Code("18748-4", "LN", "Diagnostic Imaging Report")
QUALITATIVE_EVALUATIONS = Code("C0034375", "UMLS", "Qualitative Evaluations")
RECOMMENDATION = Code("121075", "DCM", "Recommendation")
COMMENT = Code("121106", "DCM", "Comment")

ATTENUATION_COEFFICIENT = Code("112031", "DCM", "Attenuation Coefficient")
HOUNSFIELD_UNIT = Code("[hnsf'U]", "UCUM", "Hounsfield unit")
NO_UNITS = Code("1", "UCUM", "no units")
MILLIMETER = Code("mm", "UCUM", "mm")
MEAN = Code("373098007", "SCT", "Mean")
MEDIAN = Code("373099004", "SCT", "Median")
STANDARD_DEVIATION = Code("386136009", "SCT", "Standard Deviation")

TRABECULAR_REGION = Code("TRABECULAR", PRIVATE, "Spongy bone inside the vertebral body")
MEAN_OF_LEVELS = Code("MEAN_OF_LEVELS", PRIVATE, "Mean over the vertebrae that count")
NAME_CONFIDENCE = Code("NAME_CONFIDENCE", PRIVATE, "Probability that names are not off by one")

PATIENT_HU = Code("PATIENT_HU", PRIVATE, "Mean attenuation of the vertebrae that count")
LEVEL_HU = Code("LEVEL_HU", PRIVATE, "Mean attenuation of spongy bone inside a vertebral body")
LEVEL_MEDIAN_HU = Code(
    "LEVEL_MEDIAN_HU", PRIVATE, "Median attenuation of spongy bone inside a vertebral body"
)
LEVEL_SD_HU = Code(
    "LEVEL_SD_HU", PRIVATE, "SD of the attenuation of spongy bone inside a vertebral body"
)
LEVEL_HEIGHT = Code("LEVEL_HEIGHT", PRIVATE, "Height of the vertebral body along the series")
"""Measurements of FHIR, where one code says what the SR says by concept, derivation and method."""

PROBABILITY_OF = {
    one: Code(f"P_{one.name}", PRIVATE, f"Probability of {one.replace('_', ' ')}")
    for one in BoneCondition
}
"""A number a class: DCM 122157 "Probability" alone would not tell of what."""

OUTCOME = Code("OUTCOME", PRIVATE, "Outcome of the screening")
SCREENED = Code("SCREENED", PRIVATE, "Screened")
REFUSED = Code("REFUSED", PRIVATE, "Not screened")
MOST_PROBABLE_CLASS = Code("MOST_PROBABLE", PRIVATE, "Most probable class")
PREDICTION_SET = Code("PREDICTION_SET", PRIVATE, "Class in the prediction set")
CLASS = {
    BoneCondition.NORMAL: Code("NORMAL", PRIVATE, "Looks like normal bone mass"),
    BoneCondition.LOW: Code("LOW", PRIVATE, "Looks like low bone mass"),
    BoneCondition.OSTEOPOROSIS: Code("OSTEOPOROSIS", PRIVATE, "Looks like osteoporosis"),
}
"""What the image looks like. Private, since the code of a disease would enter a record as a
diagnosis, which no image makes."""
CERTAINTY = Code("CERTAINTY", PRIVATE, "Certainty of the statement")
CERTAINTIES = {
    Certainty.CLEAR: Code("CLEAR", PRIVATE, "Clear"),
    Certainty.DOUBTFUL: Code("DOUBTFUL", PRIVATE, "Doubtful"),
    Certainty.ABSTAINED: Code("ABSTAINED", PRIVATE, "No statement"),
}
ABSTENTION = Code("ABSTENTION", PRIVATE, "Why no statement is made")
ABSTENTIONS = {
    Abstention.ANY_CLASS: Code("ANY_CLASS", PRIVATE, "All classes are possible"),
    Abstention.UNLIKE_TRAINING: Code("UNLIKE_TRAINING", PRIVATE, "Unlike the images of training"),
    Abstention.IMAGE_QUALITY: Code("IMAGE_QUALITY", PRIVATE, "Image quality"),
    Abstention.NO_INTACT_LEVEL: Code("NO_INTACT_LEVEL", PRIVATE, "No intact vertebra of L1 to L4"),
}
COUNTS = Code("COUNTS", PRIVATE, "Whether the vertebra counts for the patient")
COUNTED = Code("COUNTED", PRIVATE, "It counts")
LEFT_OUT = {
    LeftOut.NOT_LUMBAR: Code("NOT_LUMBAR", PRIVATE, "Left out: not one of L1 to L4"),
    LeftOut.CUT: Code("CUT", PRIVATE, "Left out: cut off by the series"),
    LeftOut.DENSE: Code("DENSE", PRIVATE, "Left out: dense"),
    LeftOut.COLLAPSED: Code("COLLAPSED", PRIVATE, "Left out: low"),
    LeftOut.OUTLIER: Code("OUTLIER", PRIVATE, "Left out: attenuation unlike the others"),
}
NOTICE = Code("NOTICE", PRIVATE, "Intended use")
REFUSAL = Code("REFUSAL", PRIVATE, "Why there is no result")
RESERVATION = Code("RESERVATION", PRIVATE, "Reservation")
REFERENCE_BAND = Code("REFERENCE_BAND", PRIVATE, "Attenuation among published limits")

_TG_263 = "SNOMED CT, by HL7 CodeX Radiation Therapy (mapping of AAPM TG-263 structure names)"

SOURCES = {
    ANATOMICAL_STRUCTURE: "PS3.16 CID 7150, Segmentation Property Categories",
    VERTEBRA: "PS3.16 CID 7151, Segmentation Property Types",
    LUMBAR_SPINE: "PS3.16 CID 4, Anatomic Region",
    ARCH_OF_VERTEBRA: "PS3.16 CID 6115 and CID 8134",
    ARTIFICIAL_INTELLIGENCE: "PS3.16 CID 7162, Surface Processing Algorithm Families",
    **{
        VERTEBRA_OF_LEVEL[level]: "PS3.16 CID 7603, Vertebra"
        for level in ("T10", "T11", "T12", "L1", "L2", "L3", "L4", "L5")
    },
    VERTEBRAL_BODY: _TG_263,
    LUMBAR_VERTEBRA: _TG_263,
    VERTEBRA_OF_LEVEL["S1"]: f"{_TG_263}; TotalSegmentator's list of structures",
    CT_UNSPECIFIED_BODY_REGION: "PS3.16 CID 100, Quantitative Diagnostic Imaging Procedures",
    DIAGNOSTIC_IMAGING_REPORT: "PS3.16 CID 7000, Diagnostic Imaging Report Document Titles",
    QUALITATIVE_EVALUATIONS: "PS3.16 TID 1500, Measurement Report; UMLS",
    RECOMMENDATION: "PS3.16 annex D, DICOM Controlled Terminology",
    COMMENT: "PS3.16 annex D, DICOM Controlled Terminology",
    ATTENUATION_COEFFICIENT: "PS3.16 CID 218, Quantitative Image Features",
    HOUNSFIELD_UNIT: "PS3.16 CID 301, Measurement Units; UCUM",
    NO_UNITS: "PS3.16 CID 7181; UCUM",
    MILLIMETER: "PS3.16 CID 7460, Linear Measurement Units; UCUM",
    MEAN: "PS3.16 CID 7464, General Region of Interest Measurement Modifiers",
    MEDIAN: "PS3.16 CID 7464",
    STANDARD_DEVIATION: "PS3.16 CID 7464",
}
"""Where each code of a public scheme stands; private ones stand here only."""

UNVERIFIED = frozenset(
    {
        VERTEBRAL_BODY,
        LUMBAR_VERTEBRA,
        VERTEBRA_OF_LEVEL["S1"],
    }
)
"""Codes of SNOMED CT that PS3.16 does not list: taken from the sources named, not looked up in a
SNOMED CT browser."""
