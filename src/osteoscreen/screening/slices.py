"""Which slices are classified, what BCC-Net sees of them, and what it says."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from osteoscreen.box import box_of
from osteoscreen.bundle import Bundle, ClassifierSettings
from osteoscreen.cores import on_all_cores
from osteoscreen.screening.marking import Marks
from osteoscreen.screening.roi import RoiSettings, cut_roi
from osteoscreen.volume import Volume

BONE_SHARE, BONE_HU = 0.05, 150.0
"""The brightest twentieth of a vertebra is cortex and arch, above 150 HU even in osteoporosis;
unenhanced soft tissue and water stay below 100 HU."""


def choose_slices(volume: Volume, marks: Marks, bundle: Bundle) -> tuple[int, ...]:
    """Choose the slices through the middle of vertebral bodies, where levels have no names.

    A slice is chosen when its mark reaches a share of the largest one in the series: slices
    through a disc or an endplate show less. A mark without bone in it is never chosen.
    """
    points = bundle.settings.operating_points
    areas = body_areas_mm2(volume, marks)
    enough = areas >= max(points.smallest_mark_mm2, points.area_share * areas.max(initial=0))
    has_roi = classified_mark(marks, bundle.settings.classifier).any(axis=(1, 2))
    candidates = [int(index) for index in np.flatnonzero(enough & has_roi)]
    return tuple(i for i in candidates if holds_bone(volume.hu[i], marks.vertebra[i]))


def holds_bone(hu: NDArray[np.float32], vertebra: NDArray[np.bool_]) -> bool:
    """Whether the mark of a slice holds compact bone; water that was marked does not."""
    box = box_of(vertebra)
    if box is None:
        return False
    values = hu[box][vertebra[box]]
    return bool(np.count_nonzero(values >= BONE_HU) >= BONE_SHARE * len(values))


def mark_areas_mm2(volume: Volume, mark: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Area of a mark in each slice, mm2, shape (slices,)."""
    counts = np.array([np.count_nonzero(plane) for plane in mark], np.float64)
    return np.asarray(counts * float(np.prod(volume.spacing_mm[1:])))


def cut_rois(
    volume: Volume, marks: Marks, chosen: tuple[int, ...], settings: ClassifierSettings
) -> NDArray[np.float32]:
    """Cut the rois that BCC-Net sees of the chosen slices.

    Args:
        volume: Standing CT in HU.
        marks: Its marks.
        chosen: Slices, at least one, each with a mark.
        settings: What the classifier sees.
    Returns: Grey 0..255, shape (slices, size, size).
    """
    mark = classified_mark(marks, settings)
    roi_settings = RoiSettings(settings.size, settings.window_hu)
    spacing = volume.spacing_mm[1:]

    def cut(index: int) -> NDArray[np.float32]:
        return cut_roi(volume.hu[index], mark[index], spacing, roi_settings, fill=settings.fill)

    return np.stack(list(on_all_cores(cut, chosen)))


def body_areas_mm2(volume: Volume, marks: Marks) -> NDArray[np.float64]:
    """Area of the bodies in each slice, mm2; of the whole vertebrae where bodies are not marked."""
    return mark_areas_mm2(volume, marks.body_or_vertebra)


def roi_logits(
    volume: Volume, marks: Marks, chosen: tuple[int, ...], bundle: Bundle
) -> NDArray[np.float64]:
    """Run BCC-Net on the rois of the chosen slices.

    Args:
        volume: Standing CT in HU.
        marks: Its marks.
        chosen: Slices, at least one, each with a mark.
        bundle: Model bundle.
    Returns: Logits before the temperature, shape (slices, 3).
    """
    rois = cut_rois(volume, marks, chosen, bundle.settings.classifier)
    return bundle.logits(rois).astype(np.float64)


def classified_mark(marks: Marks, settings: ClassifierSettings) -> NDArray[np.bool_]:
    """Return the mark that BCC-Net's rois are cut by."""
    return marks.body if settings.mark == "body" else marks.vertebra
