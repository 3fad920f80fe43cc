"""The exception tree.

OsteoscreenError
├── InputError           an input that cannot be screened; carries a refusal code
│   └── GeometryError    positions, orientation or spacing that cannot be trusted
├── SettingsError        settings of a scan that no scanner could do
├── ManifestError        a cohort manifest with wrong rows
├── LeakageError         the same patients or images on both sides of a split
├── CohortError          a synthetic cohort that cannot be made as asked, or where asked
├── RecipeError          a training recipe that contradicts itself
├── RunError             a training run folder that cannot be used
├── BatchError           an archive that cannot be screened as asked, or where asked
├── ServerError          a server, store or disk that all jobs need and that does not serve
├── BundleError          a model bundle that is incomplete, changed or of another version
└── ResultError          a stored result that cannot be read
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path


class RefusalCode(StrEnum):
    """Why there is no result; each code stands in ``result.json`` and ``summary.csv``."""

    NO_INPUT = "NO_INPUT"
    """The path does not exist, or holds nothing that could be an image."""
    NOT_DICOM = "NOT_DICOM"
    """The file has no DICOM preamble, whatever its name says."""
    UNSUPPORTED_FORMAT = "UNSUPPORTED_FORMAT"
    """A picture or another format that carries no Hounsfield units."""
    UNSAFE_NAME = "UNSAFE_NAME"
    """A link out of a folder; an entry of an archive that is a link or points outside."""
    UNSUPPORTED_SYNTAX = "UNSUPPORTED_SYNTAX"
    """A DICOM transfer syntax that cannot be decoded here."""
    TRUNCATED = "TRUNCATED"
    """The file ends before its pixel data does, or cannot be decoded; a server sent less of a study
    than it has."""
    NOT_CT = "NOT_CT"
    """Another modality than CT."""
    DERIVED = "DERIVED"
    """A localizer, projection, reformat or other image that is no axial CT slice."""
    NOT_CONVENTIONAL = "NOT_CONVENTIONAL"
    """An image computed from several energies: its values are no attenuation at a tube voltage."""
    NO_SPACING = "NO_SPACING"
    """Pixel spacing is missing, not a number, or not positive."""
    NO_GEOMETRY = "NO_GEOMETRY"
    """Position or orientation of a slice is missing."""
    NO_HU = "NO_HU"
    """Rescale slope or intercept is missing: Hounsfield units are unknown."""
    NOT_HU = "NOT_HU"
    """The values are not Hounsfield units."""
    MISSING_SLICES = "MISSING_SLICES"
    """The slice positions have a gap or are not regular."""
    DUPLICATE_SLICES = "DUPLICATE_SLICES"
    """Two slices of one series share a position."""
    MIXED_ORIENTATION = "MIXED_ORIENTATION"
    """Slices of one series point in different directions, or differ in size or spacing."""
    NEED_AXIAL = "NEED_AXIAL"
    """The slices are not axial."""
    GANTRY_TILT = "GANTRY_TILT"
    """The slice stack is sheared: its positions do not run along the slice normal."""
    MIXED_PATIENTS = "MIXED_PATIENTS"
    """Files of one series name different patients."""
    TOO_LARGE = "TOO_LARGE"
    """The image is larger than any CT study that this version reads."""
    OUT_OF_POPULATION = "OUT_OF_POPULATION"
    """The patient is under 18 years old, an animal, or a phantom."""
    NO_LUMBAR = "NO_LUMBAR"
    """No lumbar vertebra was marked."""
    SEVERAL_STUDIES = "SEVERAL_STUDIES"
    """More than one study where one was asked for."""
    MASK_MISMATCH = "MASK_MISMATCH"
    """A mask that was given lies on another grid, or its labels cannot be told."""
    FAILED = "FAILED"
    """An error of the software itself; the log holds the cause."""


class OsteoscreenError(Exception):
    """Any error that osteoscreen raises on purpose."""


class InputError(OsteoscreenError):
    """An input that cannot be screened.

    Args:
        code: Reason, as it stands in the result.
        reason: What was needed and what came, one sentence, lower case, without the source.
        source: Path or address of what the reason is about, where there is one.
    """

    def __init__(self, code: RefusalCode, reason: str, source: Path | str | None = None) -> None:
        super().__init__(f"{source}: {reason}" if source is not None else reason)
        self.code = code
        self.reason = reason
        self.source = source


class GeometryError(InputError):
    """Positions, orientation or spacing that cannot be trusted."""


class SettingsError(OsteoscreenError):
    """Settings of a simulated scan that no scanner could do; found before any work."""


class ManifestError(OsteoscreenError):
    """A cohort manifest with wrong rows; the message lists every one of them."""


class LeakageError(OsteoscreenError):
    """The same patients or images on both sides of a split: figures would be too good."""


class CohortError(OsteoscreenError):
    """A synthetic cohort that cannot be made as asked, or where asked."""


class RecipeError(OsteoscreenError):
    """A training recipe that contradicts itself."""


class RunError(OsteoscreenError):
    """A training run folder that cannot be used."""


class BatchError(OsteoscreenError):
    """An archive that cannot be screened as asked, or where asked; found before any work."""


class ServerError(OsteoscreenError):
    """A server or store of an archive that does not answer, or not as one; a disk that is full."""


class BundleError(OsteoscreenError):
    """A model bundle that is incomplete, changed or of another version."""


class ResultError(OsteoscreenError):
    """A stored result that cannot be read."""
