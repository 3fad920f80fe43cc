"""The slices of a cohort with their marks, read one by one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from osteoscreen.cohort.manifest import Case, Manifest
from osteoscreen.dicom.segmentation import MarkedSlices, read_segmentation
from osteoscreen.dicom.series import choose_series, find_series, read_series
from osteoscreen.errors import ManifestError
from osteoscreen.nifti import read_labels, read_nifti
from osteoscreen.volume import Volume, stand

NIFTI_SUFFIXES = (".nii", ".nii.gz")


@dataclass(frozen=True, eq=False)
class LabelledSlice:
    """One axial slice of a case.

    Args:
        case: The row that it comes from.
        index: Position in the case's standing volume.
        hu: Shape (rows, columns).
        body, vertebra: Marks, same shape; the vertebra holds the body.
        spacing_mm: Pixel spacing (row, column).
    """

    case: Case
    index: int
    hu: NDArray[np.float32]
    body: NDArray[np.bool_]
    vertebra: NDArray[np.bool_]
    spacing_mm: tuple[float, float]


def read_slices(manifest: Manifest, cases: tuple[Case, ...]) -> Iterator[LabelledSlice]:
    """Read every slice of the given cases, with marks where the case has a mask.

    Raises:
        InputError: If an image or mask cannot be read.
        ManifestError: If a mask does not fit its image, or its labels are not named.
    """
    for case in cases:
        volume, labels = _read_case(manifest.folder, case)
        values = case.label_values()
        if case.mask and "body" not in values and "vertebra" not in values:
            raise ManifestError(
                f"case_id {case.case_id}: mask_labels must name body or vertebra, "
                f"got {case.mask_labels!r}"
            )
        body = np.isin(labels, [values[name] for name in ("body",) if name in values])
        whole = np.isin(labels, list(values.values()))
        for index in range(volume.hu.shape[0]):
            yield LabelledSlice(
                case, index, volume.hu[index], body[index], whole[index], volume.spacing_mm[1:]
            )


def is_nifti(path: Path) -> bool:
    """Return whether the name is a NIfTI file's."""
    return path.name.lower().endswith(NIFTI_SUFFIXES)


def _read_case(folder: Path, case: Case) -> tuple[Volume, NDArray[np.uint8]]:
    image = folder / case.image
    if is_nifti(image):
        volume = read_nifti(image)
        labels = np.zeros(volume.hu.shape, np.uint8)
        if case.mask:
            labels = read_labels(folder / case.mask)
    else:
        chosen, _ = choose_series(find_series(image).series)
        if chosen is None:
            raise ManifestError(f"case_id {case.case_id}: image {case.image} holds no CT series")
        series = read_series(chosen)
        volume = series.volume
        labels = np.zeros(volume.hu.shape, np.uint8)
        if case.mask:
            uids = [str(header.SOPInstanceUID) for header in series.headers]
            labels = _lay(_read_marks(folder / case.mask), uids, volume.hu.shape)
    if labels.shape != volume.hu.shape:
        raise ManifestError(
            f"case_id {case.case_id}: the mask must have the image's shape {volume.hu.shape}, "
            f"got {labels.shape}"
        )
    standing, reorientation = stand(volume)
    return standing, reorientation.apply(labels).astype(np.uint8)


@lru_cache(maxsize=2)
def _read_marks(path: Path) -> MarkedSlices:
    return read_segmentation(path)


def _lay(marks: MarkedSlices, uids: list[str], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Lay the marks of the wanted images on their slices; the others are of other cases."""
    labels = np.zeros(shape, np.uint8)
    known = {uid: index for index, uid in enumerate(marks.sop_instance_uids)}
    for index, uid in enumerate(uids):
        if uid in known:
            labels[index] = marks.labels[known[uid]]
    return labels
