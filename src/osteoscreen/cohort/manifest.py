"""The manifest of a cohort: a CSV with a row a case.

Columns: case_id, patient_id, image, mask, mask_labels, condition, split; optional t_score,
vbmd_mg_cm3, age, sex, scanner, level. Paths are relative to the manifest.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from io import StringIO
from pathlib import Path
from typing import Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from osteoscreen.cohort.mask_labels import MaskLabel, Part, parse_mask_labels
from osteoscreen.cohort.record import write_record
from osteoscreen.errors import ManifestError
from osteoscreen.findings import BoneCondition, condition_of_t_score


class Split(StrEnum):
    """What a case may be used for."""

    TRAIN = "train"
    VALIDATION = "validation"
    CALIBRATION = "calibration"
    TEST = "test"


class Case(BaseModel):
    """One row of a manifest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    case_id: str = Field(min_length=1)
    patient_id: str = Field(min_length=1)
    image: str = Field(min_length=1, description="DICOM folder or file, or a volume file")
    mask: str = Field(default="", description="DICOM SEG or volume file; empty for none")
    mask_labels: str = Field(default="", validate_default=True, description="such as body=1;rest=2")
    condition: BoneCondition | None = None
    split: Split
    t_score: float | None = Field(default=None, ge=-10, le=10)
    vbmd_mg_cm3: float | None = None
    age: int | None = Field(default=None, ge=0, le=150)
    sex: Literal["F", "M", "O"] | None = None
    scanner: str | None = None
    level: str | None = None

    @field_validator("*", mode="before")
    @classmethod
    def _empty_is_absent(cls, value: object, info: object) -> object:
        name = getattr(info, "field_name", "")
        return None if value == "" and name not in ("mask", "mask_labels") else value

    @field_validator("mask_labels")
    @classmethod
    def _names_the_values(cls, text: str, info: ValidationInfo) -> str:
        labels = parse_mask_labels(text)
        if info.data.get("mask") and all(label.part is Part.REST for label in labels):
            raise ValueError(f"a mask needs a value named body or vertebra, got {text!r}")
        return text

    @model_validator(mode="after")
    def _condition_agrees_with_t_score(self) -> Self:
        if self.t_score is None:
            return self
        implied = condition_of_t_score(self.t_score)
        if self.condition is None:
            # Frozen for everyone else; a copy would be dropped when Case(...) is called.
            object.__setattr__(self, "condition", implied)
            return self
        if self.condition is not implied:
            raise ValueError(
                f"condition {self.condition.value} disagrees with t_score {self.t_score:g}, "
                f"which means {implied.value}"
            )
        return self

    def labels(self) -> tuple[MaskLabel, ...]:
        """What the values of the mask mean."""
        return parse_mask_labels(self.mask_labels)


@dataclass(frozen=True)
class Manifest:
    """A checked manifest.

    Args:
        folder: What the paths are relative to.
        cases: The rows, in file order.
        sha256: Hash of the file's bytes.
    """

    folder: Path
    cases: tuple[Case, ...]
    sha256: str

    def of(self, *splits: Split) -> tuple[Case, ...]:
        """Return the cases of the given splits."""
        return tuple(case for case in self.cases if case.split in splits)


Check = Callable[[Path, Mapping[int, Case]], list[str]]
"""Returns further errors of the good rows, given the folder and the rows by number."""


def read_manifest(path: Path, *, checks: Sequence[Check] = ()) -> Manifest:
    """Read and check a manifest.

    Args:
        path: A CSV file in UTF-8, with or without a byte order mark.
        checks: What must hold besides, such as ``class_errors``.
    Returns: The manifest; a condition that is not given follows from the T-score.
    Raises:
        ManifestError: With every wrong row and column at once: unknown columns, bad values, paths
            that do not exist, a case twice, a patient in two splits.
    """
    if not path.is_file():
        raise ManifestError(f"{path}: a manifest must be a CSV file, it does not exist")
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = list(csv.DictReader(stream, restkey="beyond the last column"))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ManifestError(f"{path}: a manifest must be a CSV file in UTF-8, {error}") from None
    errors: list[str] = []
    cases: dict[int, Case] = {}
    for number, row in enumerate(rows, start=2):
        try:
            cases[number] = Case.model_validate(row)
        except ValidationError as error:
            errors += [
                f"row {number}, column {'.'.join(map(str, item['loc'])) or 'condition'}: "
                f"{item['msg']}"
                for item in error.errors()
            ]
    errors += _across(cases, path.parent)
    for check in checks:
        errors += check(path.parent, cases)
    if not rows:
        errors.append("the manifest has no rows")
    if errors:
        raise ManifestError(f"{path}: " + "; ".join(errors))
    return Manifest(
        path.parent, tuple(cases.values()), hashlib.sha256(path.read_bytes()).hexdigest()
    )


def _across(cases: dict[int, Case], folder: Path) -> list[str]:
    """Errors that no single row shows."""
    errors = []
    first_row: dict[str, int] = {}
    first_split: dict[str, tuple[int, Split]] = {}
    first_told: dict[tuple[str, str], tuple[int, object]] = {}
    for number, case in cases.items():
        first = first_row.setdefault(case.case_id, number)
        if first != number:
            errors.append(
                f"row {number}, column case_id: {case.case_id} stands in row {first} already"
            )
        first, split = first_split.setdefault(case.patient_id, (number, case.split))
        if split is not case.split:
            errors.append(
                f"row {number}, column split: patient_id {case.patient_id} is in {case.split} "
                f"here and in {split} in row {first}, which makes two splits of one patient"
            )
        for name in ("condition", "sex"):
            told = getattr(case, name)
            if told is None:
                continue
            first, before = first_told.setdefault((case.patient_id, name), (number, told))
            if told != before:
                errors.append(
                    f"row {number}, column {name}: patient_id {case.patient_id} has {told} here "
                    f"and {before} in row {first}, and a patient has one"
                )
        errors += [
            f"row {number}, column {name}: {value} does not exist"
            for name, value in (("image", case.image), ("mask", case.mask))
            if value and not (folder / value).exists()
        ]
    return errors


def class_errors(
    _folder: Path,
    cases: Mapping[int, Case],
    *,
    splits: Sequence[Split] = (Split.TRAIN, Split.VALIDATION),
) -> list[str]:
    """Return the classes that splits lack: a classifier needs every class to be trained, or tested.

    Args:
        cases: By row of the manifest.
        splits: Which must have them.
    """
    seen = {(case.split, case.condition) for case in cases.values()}
    return [
        f"column condition: a classifier needs every class, {split} has no case of {condition}"
        for split in splits
        for condition in BoneCondition
        if (split, condition) not in seen
    ]


def write_manifest(cases: Iterable[Case], path: Path) -> None:
    """Write cases as CSV, all columns; whoever reads meets the old file or the new one.

    Args:
        cases: One row each, in this order.
        path: File to write; its paths are relative to its folder.
    """
    stream = StringIO(newline="")
    writer = csv.DictWriter(stream, list(Case.model_fields))
    writer.writeheader()
    for case in cases:
        row = case.model_dump(mode="json")
        writer.writerow({key: "" if value is None else value for key, value in row.items()})
    write_record(path, stream.getvalue())
