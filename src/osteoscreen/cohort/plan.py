"""What a synthetic cohort is to hold, checked before any work, and which split a patient is in."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum

from osteoscreen.cohort.manifest import Split
from osteoscreen.errors import CohortError, SettingsError
from osteoscreen.phantom.anatomy import GENERATOR_VERSION
from osteoscreen.phantom.fleet import PAPER_SCANNERS, SCANNERS
from osteoscreen.phantom.person import check_age
from osteoscreen.phantom.protocol import Protocol

PAPER_TRAIN, PAPER_TEST = 50, 21
"""Patients a class in Table 2 of the paper."""
PAPER_CASES = 3 * (PAPER_TRAIN + PAPER_TEST)
"""All patients of Table 2."""


class Preset(StrEnum):
    """What a cohort is for."""

    COHORT = "cohort"
    """Calibrated patients, slices through the middle of L1 to L4: for BCC-Net."""
    RANDOMISED = "randomised"
    """Wide anatomy and acquisition, slices anywhere from T10 to the pelvis: for MS-Net."""
    PAPER = "paper"
    """As ``cohort``, with the patients, the split and the scanners of the paper."""


SLICES = {Preset.COHORT: 4, Preset.RANDOMISED: 4, Preset.PAPER: 12}
"""Slices a patient where none are asked for."""


@dataclass(frozen=True)
class CohortPlan:
    """What to generate.

    Args:
        preset: What the cohort is for.
        cases: Number of patients, at least 1; at most 213 of the paper's.
        seed: Seed of the cohort, not negative.
        slices: Slices a patient, at least 1.
        is_series: A contiguous series from T12 to S1 instead of single slices.
        scanner: One of ``SCANNERS`` for everybody; ``None`` leaves it to the preset.
        thickness_mm: Slice thickness for everybody, 0.4 to 10; ``None`` leaves it to the preset.
        field_of_view_mm: Side of the image for everybody, 100 to 500; ``None`` leaves it to the
            preset.
        age: Years of everybody, 22 to 92; ``None`` leaves it to the bone condition.
    Raises: CohortError if a setting is impossible.
    """

    preset: Preset
    cases: int
    seed: int
    slices: int = 4
    is_series: bool = False
    scanner: str | None = None
    thickness_mm: float | None = None
    field_of_view_mm: float | None = None
    age: int | None = None

    def __post_init__(self) -> None:
        for name, value, low in (
            ("number of cases", self.cases, 1),
            ("seed", self.seed, 0),
            ("number of slices", self.slices, 1),
        ):
            if value < low:
                raise CohortError(f"the {name} must be {low} or more, got {value}")
        try:
            self.protocol()
            if self.age is not None:
                check_age(self.age)
        except SettingsError as error:
            raise CohortError(str(error)) from error
        if self.scanner is not None and self.scanner not in SCANNERS:
            raise CohortError(f"the scanner must be one of {', '.join(SCANNERS)}, got "
                              f"{self.scanner!r}")  # fmt: skip
        if self.preset is Preset.PAPER:
            self._check_paper()

    def _check_paper(self) -> None:
        if self.cases > PAPER_CASES:
            raise CohortError(
                f"Table 2 of the paper has {PAPER_CASES} patients, got {self.cases} cases"
            )
        if self.scanner is not None:
            raise CohortError(
                f"preset paper images on the paper's three scanners by turns, got {self.scanner}"
            )

    def protocol(self) -> Protocol:
        """Return what the plan prescribes to every scan."""
        return Protocol(thickness_mm=self.thickness_mm, field_of_view_mm=self.field_of_view_mm)

    def scanner_of(self, number: int) -> str | None:
        """Return the scanner that a patient must have, if any.

        Args:
            number: Number of the patient, from 0; three in a row, one of each class, share one of
                the paper's scanners, so that the scanner does not tell the class.
        """
        if self.preset is Preset.PAPER:
            return PAPER_SCANNERS[number // 3 % len(PAPER_SCANNERS)]
        return self.scanner

    def makes(self) -> dict[str, object]:
        """What a patient depends on, as JSON holds it; the size of the cohort is not part of it."""
        settings = {name: value for name, value in asdict(self).items() if name != "cases"}
        return {"generator_version": GENERATOR_VERSION, **settings, "preset": self.preset.value}


def patient_name(seed: int, number: int) -> str:
    """Return the identifier of a synthetic patient, such as SYN-0002-000017."""
    return f"SYN-{seed:04d}-{number:06d}"


def split_of(preset: Preset, number: int) -> Split:
    """Return the split of a patient; three in a row, one of each class, share it.

    Args:
        preset: ``PAPER`` gives the paper's Table 2 to the first 213 patients; otherwise 60, 10, 10
            and 20 % of every 30 patients train, validate, calibrate and test.
        number: Number of the patient, from 0.
    """
    turn = number // 3
    if preset is Preset.PAPER:
        return Split.TRAIN if turn < PAPER_TRAIN else Split.TEST
    order = (Split.TRAIN,) * 6 + (Split.VALIDATION, Split.CALIBRATION, Split.TEST, Split.TEST)
    return order[turn % len(order)]
