"""Masks that a user gives with ``--mask``: which program wrote them is told by their labels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from osteoscreen.dicom.marked_slices import lay_on, read_segmentation
from osteoscreen.dicom.series import CTSeries
from osteoscreen.errors import InputError, RefusalCode
from osteoscreen.nifti import LEVEL_NUMBERS, is_nifti, read_labels_on
from osteoscreen.screening.given import GivenMarks
from osteoscreen.volume import Reorientation, Volume

TOTALSEGMENTATOR = {
    26: "S1", 27: "L5", 28: "L4", 29: "L3", 30: "L2", 31: "L1", 32: "T12", 33: "T11", 34: "T10",
}  # fmt: skip
"""Vertebrae in TotalSegmentator's task ``total``, version 2 (its README, class map)."""
VERSE = {number: level for level, number in LEVEL_NUMBERS.items()}
VERSE_VALUES = range(1, 29)
OWN_VALUES = {1, 2}
"""What ``segmentation.nii.gz`` holds: body, and the rest of the vertebra."""


def read_given_marks(
    path: Path, standing: Volume, reorientation: Reorientation, series: CTSeries | None
) -> GivenMarks:
    """Read a mask onto the standing grid of the image that it was drawn on.

    Args:
        path: Volume file with the labels of TotalSegmentator, VerSe or osteoscreen; or a DICOM SEG
            of the series.
        standing: The image, standing.
        reorientation: From the image as stored to the standing one.
        series: The DICOM series; ``None`` for a volume file.
    Raises:
        InputError: MASK_MISMATCH if the grids or the labels do not fit; what the readers raise.
    """
    if is_nifti(path):
        return _of_labels(read_labels_on(path, standing), path)
    if series is None:
        raise InputError(
            RefusalCode.MASK_MISMATCH, "the mask of a volume file must be a volume file", path
        )
    marked = read_segmentation(path)
    labels = reorientation.apply(lay_on(marked, series.headers, path))
    parts = {number: one.part for number, one in marked.meanings.items()}
    vertebra = np.isin(labels, [number for number, part in parts.items() if part is not None])
    body = np.isin(labels, [number for number, part in parts.items() if part == "body"])
    levels: dict[str, NDArray[np.bool_]] = {}
    for number, one in marked.meanings.items():
        if one.level is not None:
            mine = labels == number
            levels[one.level] = levels[one.level] | mine if one.level in levels else mine
    return _checked(GivenMarks(vertebra, body if body.any() else None, levels), path)


def _of_labels(labels: NDArray[np.uint8], path: Path) -> GivenMarks:
    values = {int(value) for value in np.flatnonzero(np.bincount(labels.ravel())) if value}
    if values == OWN_VALUES:
        return _checked(GivenMarks(labels > 0, labels == 1), path)
    if values == {1}:  # one vertebra, or all as one: bodies are not told apart
        return _checked(GivenMarks(labels == 1, None), path)
    scheme = _scheme(values, path)
    levels = {level: labels == value for value, level in scheme.items() if value in values}
    return _checked(GivenMarks(np.isin(labels, list(scheme)), None, levels), path)


def _scheme(values: set[int], path: Path) -> Mapping[int, str]:
    """Tell whose labels these are: a value that only one of the programs writes decides."""
    is_verse = values <= set(VERSE_VALUES) and bool(values & {20, 21, 22, 23, 24})
    is_total = bool(values & {29, 30, 31, 32, 33, 34})
    if is_verse == is_total:
        raise InputError(
            RefusalCode.MASK_MISMATCH,
            "the labels must be TotalSegmentator's (26 S1 to 34 T10), VerSe's (20 L1 to 24 L5), 1 "
            f"body and 2 rest, or 1 vertebra, got {sorted(values)[:12]}",
            path,
        )
    return TOTALSEGMENTATOR if is_total else VERSE


def _checked(given: GivenMarks, path: Path) -> GivenMarks:
    if not given.vertebra.any():
        raise InputError(RefusalCode.MASK_MISMATCH, "the mask must mark a vertebra", path)
    return given
