"""What a screening says: the result object behind every output, with its JSON schema.

The classes check themselves when built, so a class, its probabilities and its status can never
disagree. ``result.json`` is ``ScreeningResult.model_dump_json(by_alias=True)``.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from osteoscreen.errors import RefusalCode

SCHEMA: Literal["osteoscreen.result/1"] = "osteoscreen.result/1"

PROBABILITY_TOLERANCE = 1e-6
"""Three float64 probabilities from a softmax sum to 1 within a few units of the last place."""


class BoneCondition(StrEnum):
    """The three classes of the paper (section 2.2), in order of falling bone mass."""

    NORMAL = "normal_bone_mass"
    LOW = "low_bone_mass"
    OSTEOPOROSIS = "osteoporosis"


CONDITIONS = tuple(BoneCondition)
"""The classes in the order of every network output, table and chart."""


OSTEOPOROSIS_T = -2.5
NORMAL_T = -1.0
"""DXA T-scores: osteoporosis at or below -2.5, normal bone mass at or above -1 (WHO technical
report 843, 1994)."""


def condition_of_t_score(t_score: float) -> BoneCondition:
    """Return the class of a DXA T-score by the WHO limits.

    Args:
        t_score: In standard deviations of young adults; -2.5 is osteoporosis, -1 is normal.
    """
    if t_score <= OSTEOPOROSIS_T:
        return BoneCondition.OSTEOPOROSIS
    return BoneCondition.LOW if t_score < NORMAL_T else BoneCondition.NORMAL


class ReservationCode(StrEnum):
    """Reasons for caution that travel with a result."""

    SYNTHETIC_TRAINING = "SYNTHETIC_TRAINING"
    """The networks never saw a real patient."""
    FEW_SLICES = "FEW_SLICES"
    """Fewer slices than the networks were tested with went into the result."""
    SINGLE_SLICE = "SINGLE_SLICE"
    """One slice only, as in the paper: nothing confirms that it is lumbar."""
    CONTRAST = "CONTRAST"
    """A contrast agent is recorded: it raises the attenuation of bone."""
    KVP_UNKNOWN = "KVP_UNKNOWN"
    """The tube voltage is not recorded: attenuation depends on it."""
    KVP_OTHER = "KVP_OTHER"
    """The tube voltage lies outside what the networks were trained on."""
    THICKNESS_OTHER = "THICKNESS_OTHER"
    """The slice thickness lies outside what the networks were trained on."""
    KERNEL = "KERNEL"
    """The kernel sharpens, as those for bone and lung do: attenuation and noise change."""
    LOW_DOSE = "LOW_DOSE"
    """The headers tell of a low-dose or attenuation-correction CT: noise is higher."""
    SATURATED = "SATURATED"
    """Values in a marked vertebra reach the end of the 12-bit scale: metal, most likely."""
    LOSSY = "LOSSY"
    """The image was compressed with loss."""
    FIELD_OF_VIEW_CUT = "FIELD_OF_VIEW_CUT"
    """A marked vertebra touches the edge of the image."""
    GANTRY_TILT = "GANTRY_TILT"
    """The gantry was tilted: the stack was straightened by moving slices by whole pixels."""
    GAP = "GAP"
    """Slices are missing or unequally spaced: only the longest regular part was used."""
    COPIES = "COPIES"
    """Files repeat others byte for byte and were left out."""
    NO_IDENTIFIERS = "NO_IDENTIFIERS"
    """The DICOM identifiers are empty or malformed: the marks are written as NIfTI, not as SEG."""
    LEVELS_UNKNOWN = "LEVELS_UNKNOWN"
    """The vertebrae are marked but not named: nothing confirms that they are lumbar."""
    LEVELS_UNSURE = "LEVELS_UNSURE"
    """The names of the vertebrae may be off by one."""
    LEVELS_MATTER = "LEVELS_MATTER"
    """The class would be another one if all names were off by one."""
    TRANSITIONAL = "TRANSITIONAL"
    """There is a lumbar vertebra more or less than five."""
    LEVEL_LEFT_OUT = "LEVEL_LEFT_OUT"
    """A lumbar vertebra does not count: cut off, dense, collapsed or unlike its neighbours."""
    FEW_LEVELS = "FEW_LEVELS"
    """Fewer than two intact vertebrae of L1 to L4 went into the result."""
    MARKS_GIVEN = "MARKS_GIVEN"
    """The marks come from a file that was given and not from MS-Net."""
    DISAGREEMENT = "DISAGREEMENT"
    """The networks and the attenuation point to different conditions."""
    DOUBTFUL = "DOUBTFUL"
    """No class has a clear majority of the probability."""
    ABSTAINED = "ABSTAINED"
    """No statement is made, although probabilities were computed."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Probabilities(_Frozen):
    """Probabilities of the three classes; they sum to 1."""

    normal_bone_mass: float = Field(ge=0, le=1)
    low_bone_mass: float = Field(ge=0, le=1)
    osteoporosis: float = Field(ge=0, le=1)

    @model_validator(mode="after")
    def _sums_to_one(self) -> Self:
        total = sum(self.as_tuple())
        if abs(total - 1) > PROBABILITY_TOLERANCE:
            raise ValueError(f"probabilities must sum to 1, got {total}")
        return self

    def as_tuple(self) -> tuple[float, float, float]:
        """The three values in the order of ``CONDITIONS``."""
        return self.normal_bone_mass, self.low_bone_mass, self.osteoporosis

    @property
    def condition(self) -> BoneCondition:
        """The class with the highest probability; the worse one of two that are equal."""
        values = self.as_tuple()
        return max(reversed(CONDITIONS), key=lambda condition: values[CONDITIONS.index(condition)])


class Reservation(_Frozen):
    """A coded reason for caution."""

    code: ReservationCode
    text: str = Field(min_length=1)


class Refusal(_Frozen):
    """A coded reason why there is no result."""

    code: RefusalCode
    text: str = Field(min_length=1)


class Certainty(StrEnum):
    """How much a result says."""

    CLEAR = "clear"
    """One class has a clear majority and stands alone in the prediction set."""
    DOUBTFUL = "doubtful"
    """A class leads, and another one is possible."""
    ABSTAINED = "abstained"
    """No statement is made, although probabilities were computed."""


class Abstention(StrEnum):
    """Why no statement is made."""

    ANY_CLASS = "ANY_CLASS"
    """The prediction set holds all three classes."""
    UNLIKE_TRAINING = "UNLIKE_TRAINING"
    """The segmented images are unlike those that the networks were calibrated on."""
    IMAGE_QUALITY = "IMAGE_QUALITY"
    """Slices are too thick, or spongy bone is too noisy, for the networks to have been tried."""
    NO_INTACT_LEVEL = "NO_INTACT_LEVEL"
    """No vertebra of L1 to L4 is whole and intact."""


class SliceFinding(_Frozen):
    """What one classified slice says."""

    index: int = Field(ge=0, description="position in the stack, from 0")
    level: str | None = Field(default=None, description="vertebra whose middle it cuts")
    position_mm: float | None = Field(description="LPS z of the slice centre, in mm")
    mark_area_mm2: float = Field(ge=0, description="area of the vertebra's mark, in mm2")
    probabilities: Probabilities


class LeftOut(StrEnum):
    """Why a vertebra does not count for the patient's values."""

    NOT_LUMBAR = "NOT_LUMBAR"
    """Not one of L1 to L4, which DXA measures and the networks were trained on."""
    CUT = "CUT"
    """The series begins or ends within its body."""
    DENSE = "DENSE"
    """Metal, cement or compact bone fills a part of its body."""
    COLLAPSED = "COLLAPSED"
    """Its body is much lower than those beside it."""
    OUTLIER = "OUTLIER"
    """Its attenuation is unlike that of the others: a lesion, a haemangioma, a fusion."""


class LevelFinding(_Frozen):
    """What one vertebra says."""

    level: str = Field(description="T10 to L5, L6 or S1")
    confidence: float | None = Field(
        ge=0, le=1, description="that the names are not off by one; null: they were given"
    )
    slices: tuple[int, ...] = Field(description="slices through the middle of its body")
    attenuation_hu: float | None = Field(description="mean of the trabecular region, HU")
    attenuation_median_hu: float | None = None
    attenuation_spread_hu: float | None = Field(default=None, description="standard deviation")
    height_mm: float | None = Field(default=None, description="of the body along the series")
    left_out: LeftOut | None = Field(default=None, description="why it does not count")
    probabilities: Probabilities | None


class ReferenceBand(_Frozen):
    """Where the attenuation of L1 lies among published limits."""

    level: str
    attenuation_hu: float
    above_hu: float | None = Field(description="lower limit of the band; null: none")
    up_to_hu: float | None = Field(description="upper limit of the band; null: none")
    limits_hu: tuple[float, ...] = Field(default=(), description="all limits, rising")
    meaning: str
    suggests_osteoporosis: bool | None = Field(
        description="true: points to osteoporosis; false: away from it; null: neither"
    )
    source: str
    holds_for: str = Field(description="acquisition and region that the limits were found with")


class Subject(_Frozen):
    """Who was scanned, without identity; ``None`` where the header does not say."""

    key: str | None = Field(default=None, description="salted hash of the patient's identifier")
    age: int | None = Field(default=None, ge=0, le=150, description="years at the study")
    sex: Literal["F", "M", "O"] | None = None
    study_date: str | None = Field(default=None, description="YYYYMMDD")


class ContrastPhase(StrEnum):
    """When, after a contrast agent was given, a series was acquired."""

    NATIVE = "native"
    ARTERIAL = "arterial"
    VENOUS = "venous"
    """Venous or portal venous."""
    NEPHROGRAPHIC = "nephrographic"
    DELAYED = "delayed"


class Acquisition(_Frozen):
    """How the scan was made; ``None`` where the header does not say."""

    kvp: float | None = Field(default=None, description="tube voltage, kV")
    kernel: str | None = None
    thickness_mm: float | None = Field(default=None, gt=0)
    contrast: bool | None = Field(default=None, description="True if an agent is recorded")
    phase: ContrastPhase | None = Field(
        default=None,
        description="contrast phase as the header or the series' name calls it: a hint",
    )
    phase_evidence: str | None = Field(
        default=None, description="what the header says of the phase"
    )
    manufacturer: str | None = None
    model: str | None = None


class BundleReference(_Frozen):
    """Which model bundle made the result."""

    name: str
    version: str
    sha256: str


class ScreeningResult(_Frozen):
    """One screened or refused series: every chart, word and code comes from here."""

    schema_version: Literal["osteoscreen.result/1"] = Field(default=SCHEMA, alias="schema")
    notice: str = Field(min_length=1)
    status: Literal["screened", "refused"]
    condition: BoneCondition | None = Field(default=None, description="null: no statement")
    certainty: Certainty | None = Field(default=None, description="null where refused")
    abstention: Abstention | None = None
    probabilities: Probabilities | None = None
    prediction_set: tuple[BoneCondition, ...] = ()
    advice: str | None = None
    attenuation_hu: float | None = Field(
        default=None, description="mean over the vertebrae that count, HU"
    )
    attenuation_band: ReferenceBand | None = None
    agreement: Literal["agree", "neither", "disagree"] | None = Field(
        default=None,
        description="whether the class of the networks and the band both point to osteoporosis "
        "(agree), or one to it and the other to normal bone or away from it (disagree); null: the "
        "band points nowhere",
    )
    attenuation_note: str | None = Field(default=None, description="why there is no band")
    condition_if_shifted: dict[Literal["up", "down"], BoneCondition] = Field(
        default_factory=dict,
        description="the class if each vertebra were really the one above or below its name",
    )
    unlike_score: float | None = Field(
        default=None, description="distance from the images that the networks were calibrated on"
    )
    series_choice: str | None = Field(default=None, description="why this series of its study")
    levels: tuple[LevelFinding, ...] = ()
    subject: Subject = Subject()
    slices: tuple[SliceFinding, ...] = ()
    reservations: tuple[Reservation, ...] = ()
    refusal: Refusal | None = None
    acquisition: Acquisition = Acquisition()
    bundle: BundleReference | None = None
    software: str
    timing_s: dict[str, float] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        codes = {one.code for one in self.reservations}
        if self.status == "refused":
            said = self.probabilities, self.condition, self.advice, self.certainty, self.abstention
            if self.refusal is None or any(one is not None for one in said):
                raise ValueError("a refused result needs a refusal and no condition or probability")
            return self
        if None in (self.probabilities, self.advice, self.certainty) or self.refusal is not None:
            raise ValueError("a screened result needs probabilities, advice and no refusal")
        assert self.probabilities is not None
        leading = self.probabilities.condition
        is_abstained = self.certainty is Certainty.ABSTAINED
        if is_abstained != (self.abstention is not None) or (
            is_abstained != (ReservationCode.ABSTAINED in codes)
        ):
            raise ValueError("an abstention needs its reason and its reservation, and only it")
        if self.condition is not (None if is_abstained else leading):
            raise ValueError("the condition must be the one with the highest probability, or none")
        if (self.certainty is Certainty.DOUBTFUL) != (ReservationCode.DOUBTFUL in codes):
            raise ValueError("a doubtful result needs the reservation DOUBTFUL, and only it")
        if self.prediction_set and leading not in self.prediction_set:
            raise ValueError("the prediction set must hold the leading class")
        if self.certainty is Certainty.CLEAR and len(self.prediction_set) > 1:
            raise ValueError("a clear result needs a prediction set of one class")
        return self
