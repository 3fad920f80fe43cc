"""The spine from the side: a sagittal plane that follows the marked bodies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from osteoscreen.box import places_of
from osteoscreen.screening.marking import Marks
from osteoscreen.screening.vertebrae import Vertebra
from osteoscreen.volume import Volume

SLAB_MM = 4.0
"""Columns that are averaged: noise falls, and the edges of bodies stay."""
SMOOTH_MM = 15.0
"""How stiff the line through the bodies is, as the standard deviation of a Gaussian."""
SHORTEST_MM = 60.0
"""A shorter series shows two vertebrae at most: it gets no overview."""
FRONT_PERCENTILE = 5.0
"""Of the rows of a body's voxels: its front, spared of single voxels."""


@dataclass(frozen=True, eq=False)
class SagittalCut:
    """A curved sagittal plane.

    Args:
        hu: CT in HU, axes (row, column): rows run from the head to the feet, columns to the back.
        labels: Marks on the same grid: 1 vertebral body, 2 rest of the vertebra, 0 neither.
        spacing_mm: Distance between rows and between columns.
        fronts: Row of the middle of each vertebra and column of its front, as they were given.
    """

    hu: NDArray[np.float32]
    labels: NDArray[np.uint8]
    spacing_mm: tuple[float, float]
    fronts: tuple[tuple[float, float], ...]


def cut_sagittal(
    volume: Volume, marks: Marks, vertebrae: tuple[Vertebra, ...], bodies: NDArray[np.uint8] | None
) -> SagittalCut | None:
    """Cut a volume along its spine.

    Args:
        volume: Standing CT in HU, slices rising to the head.
        marks: Its marks; without any the plane is the middle one of the image.
        vertebrae: The named vertebrae.
        bodies: Number of the vertebra that each voxel of a body belongs to.
    Returns: The plane, or ``None`` if the series is too short to show much.
    """
    count = len(volume.hu)
    step, _, across = volume.spacing_mm
    if count * step < SHORTEST_MM:
        return None
    columns = _columns(marks, step)
    half = max(0, round(SLAB_MM / across / 2))
    last = volume.hu.shape[2] - 1
    slabs = [slice(max(0, at - half), min(last, at + half) + 1) for at in columns]
    hu = np.stack([plane[:, one].mean(axis=1) for plane, one in zip(volume.hu, slabs)])
    at = np.arange(count)
    labels = marks.labels((at, slice(None), columns))
    fronts = []
    for one in vertebrae:
        assert bodies is not None
        own = places_of(bodies[one.start : one.stop] == one.number)
        front = float(np.percentile(own[:, 1], FRONT_PERCENTILE))
        fronts.append((count - 1 - float(own[:, 0].mean()) - one.start, front))
    return SagittalCut(hu[::-1], labels[::-1], (step, volume.spacing_mm[1]), tuple(fronts))


def _columns(marks: Marks, step_mm: float) -> NDArray[np.int_]:
    """Column of the spine in each slice: the middle of its mark, smoothed; ends are carried on."""
    mark = marks.body_or_vertebra
    sums = mark.sum(axis=1)  # (slices, columns)
    counts = sums.sum(axis=1)
    known = np.flatnonzero(counts)
    if not known.size:
        return np.full(len(mark), mark.shape[2] // 2)
    means = (sums[known] @ np.arange(mark.shape[2])) / counts[known]
    line = np.interp(np.arange(len(mark)), known, means)
    smooth = ndimage.gaussian_filter1d(line, SMOOTH_MM / step_mm, mode="nearest")
    return np.asarray(np.round(smooth), int)
