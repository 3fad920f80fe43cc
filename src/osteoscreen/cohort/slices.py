"""The slices of a cohort with their marks, read one by one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from osteoscreen.cohort.manifest import Case, Manifest
from osteoscreen.cohort.mask_labels import MaskLabel, Part
from osteoscreen.dicom.choice import choose_series
from osteoscreen.dicom.discovery import find_series
from osteoscreen.dicom.frame import slice_name
from osteoscreen.dicom.marked_slices import MarkedSlices, read_segmentation
from osteoscreen.dicom.series import CTSeries, read_series
from osteoscreen.dicom.structure_set import is_structure_set, read_structure_set
from osteoscreen.errors import GeometryError, ManifestError
from osteoscreen.nifti import is_nifti, read_labels_on, read_nifti
from osteoscreen.volume import Volume, stand


@dataclass(frozen=True, eq=False)
class LabelledSlice:
    """One axial slice of a case.

    Args:
        case: The row that it comes from.
        index: Position in the case's standing volume.
        hu: Shape (rows, columns).
        body, vertebra: Marks, same shape; the vertebra holds the body.
        spacing_mm: Pixel spacing (row, column).
        levels: Mark of each vertebra seen here that the mask tells by name, such as ``"L3"``;
            same shape, disjoint.
        series: Identifier of the series that it comes from; of a volume file its path.
    """

    case: Case
    index: int
    hu: NDArray[np.float32]
    body: NDArray[np.bool_]
    vertebra: NDArray[np.bool_]
    spacing_mm: tuple[float, float]
    levels: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    series: str = ""


def read_slices(manifest: Manifest, cases: tuple[Case, ...]) -> Iterator[LabelledSlice]:
    """Read every slice of the given cases, with marks where the case has a mask.

    Args:
        manifest: What the paths of the cases are relative to.
        cases: Rows of it.
    Returns: The slices case by case, rising to the head; without a mask both marks are empty.
    Raises:
        InputError: If an image or mask cannot be read.
        ManifestError: If a mask does not fit its image, or an image holds no CT series.
    """
    for case in cases:
        volume, labels, series = _read_case(manifest.folder, case)
        named = case.labels()
        bodies = [one.value for one in named if one.part is Part.BODY]
        values = [one.value for one in named]
        for index, marks in enumerate(labels):
            yield LabelledSlice(
                case=case,
                index=index,
                hu=volume.hu[index],
                body=np.isin(marks, bodies),
                vertebra=np.isin(marks, values),
                spacing_mm=volume.spacing_mm[1:],
                levels=_levels(marks, named),
                series=series,
            )


def _levels(marks: NDArray[np.uint8], named: tuple[MaskLabel, ...]) -> dict[str, NDArray[np.bool_]]:
    """Mark each vertebra that a slice shows and its mask names."""
    seen = set(np.flatnonzero(np.bincount(marks.ravel())).tolist())
    values: dict[str, list[int]] = {}
    for one in named:
        if one.level is not None and one.value in seen:
            values.setdefault(one.level, []).append(one.value)
    return {level: np.isin(marks, chosen) for level, chosen in values.items()}


def _read_case(folder: Path, case: Case) -> tuple[Volume, NDArray[np.uint8], str]:
    """Read one case as a standing volume, with its labels (0 without a mask) and its series."""
    image = folder / case.image
    mask = folder / case.mask if case.mask else None
    if is_nifti(image):
        volume, labels, name = read_nifti(image), None, str(image.resolve())
    else:
        series = _read_series(image, case.case_id)
        volume, name = series.volume, str(series.headers[0].get("SeriesInstanceUID") or "")
        labels = _series_labels(series, mask, case.case_id)
    standing, reorientation = stand(volume)
    if labels is not None:
        return standing, reorientation.apply(labels).astype(np.uint8), name
    if mask is None:
        return standing, np.zeros(standing.hu.shape, np.uint8), name
    return standing, _lay_volume(mask, standing, case.case_id), name


def _lay_volume(mask: Path, standing: Volume, case_id: str) -> NDArray[np.uint8]:
    """Read a mask from a volume file and turn it onto the standing grid of its image."""
    if not is_nifti(mask):
        raise ManifestError(
            f"case_id {case_id}: the mask of a volume file must be a volume file, got {mask.name}"
        )
    try:
        return read_labels_on(mask, standing)
    except GeometryError as error:
        raise ManifestError(f"case_id {case_id}: {error.reason}") from None


def _read_series(image: Path, case_id: str) -> CTSeries:
    chosen = choose_series(find_series(image).series).chosen
    if chosen is None:
        raise ManifestError(f"case_id {case_id}: image {image} holds no CT series")
    return read_series(chosen)


def _series_labels(series: CTSeries, mask: Path | None, case_id: str) -> NDArray[np.uint8] | None:
    """Read a mask that was drawn on the images of a series; ``None`` for one that was not."""
    if mask is None or is_nifti(mask):
        return None
    if is_structure_set(mask):
        return read_structure_set(mask, series)
    names = [slice_name(header) for header in series.headers]
    return _lay(_read_marks(mask), names, series.volume.hu.shape, case_id)


@lru_cache(maxsize=2)
def _read_marks(path: Path) -> MarkedSlices:
    """Read the marks of a patient once for all its slices."""
    return read_segmentation(path)


def _lay(
    marks: MarkedSlices, names: list[str], shape: tuple[int, ...], case_id: str
) -> NDArray[np.uint8]:
    """Lay the marks of the wanted images on their slices; the others are of other cases.

    A single slice may have no mark, between two vertebrae say; a whole series has some.
    """
    if marks.labels.shape[1:] != shape[1:]:
        raise ManifestError(
            f"case_id {case_id}: the mask must have the image's shape {shape[1:]}, "
            f"got {marks.labels.shape[1:]}"
        )
    known = {name: index for index, name in enumerate(marks.sources)}
    if "" in known or (len(names) > 1 and known.keys().isdisjoint(names)):
        raise ManifestError(
            f"case_id {case_id}: every frame of the mask must name its CT image, and some of them "
            "images of this case"
        )
    labels = np.zeros(shape, np.uint8)
    for index, name in enumerate(names):
        if name in known:
            labels[index] = marks.labels[known[name]]
    return labels
