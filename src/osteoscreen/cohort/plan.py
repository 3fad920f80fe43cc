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
PAPER_PHASE = 32
"""Where the even spread of test among train patients begins, of 0 to 70: one of the values that
give every scanner a third of the test patients."""

LARGEST_COHORT = 1_000_000
"""Patients that an identifier with six digits can number."""

SHARES = (6, 1, 1, 2)
"""Parts of ten that train, validate, calibrate and test, where none are asked for."""

SEED_RANGE = (0, 2**32 - 1)
"""Seeds that an identifier of 64 letters can hold, and more than anybody needs."""


class Preset(StrEnum):
    """What a cohort is for."""

    COHORT = "cohort"
    """Calibrated patients, slices through the middle of L1 to L4: for BCC-Net."""
    RANDOMISED = "randomised"
    """Wide anatomy and acquisition, slices anywhere from T10 to the pelvis: for MS-Net."""
    ELSEWHERE = "elsewhere"
    """Wide patients where no lumbar vertebra is, slices of the chest and the pelvis: for LevelNet,
    with ``randomised``."""
    PAPER = "paper"
    """As ``cohort``, with the patients, the split and the scanners of the paper."""


SLICES = {Preset.COHORT: 4, Preset.RANDOMISED: 4, Preset.ELSEWHERE: 4, Preset.PAPER: 12}
"""Slices a patient where none are asked for and no series is."""


@dataclass(frozen=True)
class CohortPlan:
    """What to generate.

    Args:
        preset: What the cohort is for.
        cases: Number of patients, 1 to 1,000,000; at most 213 of the paper's.
        seed: Seed of the cohort, 0 to 2**32 - 1.
        slices: Slices a patient, at least 1; ``None`` leaves it to the preset, and must be for a
            series, whose thickness gives their number.
        is_series: A contiguous series from T12 to S1 instead of single slices; not the paper's.
        scanner: One of ``SCANNERS`` for everybody; ``None`` leaves it to the preset.
        thickness_mm: Slice thickness for everybody, 0.4 to 10; ``None`` leaves it to the preset.
        field_of_view_mm: Side of the image for everybody, 120 to 500; ``None`` leaves it to the
            preset.
        age: Years of everybody, 22 to 92; ``None`` leaves it to the bone condition, as the paper
            must.
        shares: Parts of the patients that train, validate, calibrate and test; the paper's split is
            its Table 2.
    Raises: CohortError if a setting is impossible.
    """

    preset: Preset
    cases: int
    seed: int
    slices: int | None = None
    is_series: bool = False
    scanner: str | None = None
    thickness_mm: float | None = None
    field_of_view_mm: float | None = None
    age: int | None = None
    shares: tuple[int, int, int, int] = SHARES

    def __post_init__(self) -> None:
        self._check_numbers()
        if self.is_series and self.slices is not None:
            raise CohortError(
                f"a series has as many slices as its thickness gives, got {self.slices} slices"
            )
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
        if self.preset is Preset.ELSEWHERE and self.is_series:
            raise CohortError("preset elsewhere has single slices, got a series")

    def _check_numbers(self) -> None:
        for name, value in (
            ("number of cases", self.cases),
            ("number of slices", self.slices_each),
        ):
            if value < 1:
                raise CohortError(f"the {name} must be 1 or more, got {value}")
        if self.cases > LARGEST_COHORT:
            raise CohortError(
                f"the number of cases must be {LARGEST_COHORT:,} or less, got {self.cases:,}"
            )
        low, high = SEED_RANGE
        if not low <= self.seed <= high:
            raise CohortError(f"the seed must be {low} to {high}, got {self.seed}")
        if min(self.shares) < 0 or not any(self.shares):
            raise CohortError(f"shares must be 0 or more and not all 0, got {self.shares}")

    def _check_paper(self) -> None:
        if self.cases > PAPER_CASES:
            raise CohortError(
                f"Table 2 of the paper has {PAPER_CASES} patients, got {self.cases} cases"
            )
        if self.scanner is not None:
            raise CohortError(
                f"preset paper images on the paper's three scanners by turns, got {self.scanner}"
            )
        if self.is_series:
            raise CohortError("preset paper has single slices as the paper, got a series")
        if self.shares != SHARES:
            raise CohortError(f"preset paper has the split of its Table 2, got {self.shares}")
        if self.age is not None:
            raise CohortError(f"preset paper has patients of every age, got {self.age} years")

    @property
    def is_calibrated(self) -> bool:
        """Whether the class says something about the bone, as it does not in wide patients."""
        return self.preset in (Preset.COHORT, Preset.PAPER)

    @property
    def slices_each(self) -> int:
        """Slices a patient, where the plan is of slices."""
        return SLICES[self.preset] if self.slices is None else self.slices

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
        own = {
            "preset": self.preset.value,
            "slices": self.slices_each,
            "shares": list(self.shares),
        }
        return {"generator_version": GENERATOR_VERSION, **settings, **own}

    def patient_name(self, number: int) -> str:
        """Return the identifier of a patient, such as SYN-0002-000017.

        Args:
            number: Number of the patient, from 0. The same number at an age that is asked for is
                somebody else, such as SYN-0002-000017-60Y.
        """
        name = f"SYN-{self.seed:04d}-{number:06d}"
        return name if self.age is None else f"{name}-{self.age}Y"


def split_of(preset: Preset, number: int, shares: tuple[int, int, int, int] = SHARES) -> Split:
    """Return the split of a patient; three in a row, one of each class, share it.

    Args:
        preset: ``PAPER`` gives the paper's Table 2 to the first 213 patients, test spread evenly
            among train, so that fewer patients have its proportions, too.
        number: Number of the patient, from 0.
        shares: Parts that train, validate, calibrate and test, of every other preset.
    """
    turn = number // 3
    if preset is Preset.PAPER:
        tested, tested_with_this = (
            (PAPER_TEST * turns + PAPER_PHASE) // (PAPER_TRAIN + PAPER_TEST)
            for turns in (turn, turn + 1)
        )
        return Split.TRAIN if tested == tested_with_this else Split.TEST
    order = [split for split, share in zip(Split, shares, strict=True) for _ in range(share)]
    return order[turn % len(order)]
