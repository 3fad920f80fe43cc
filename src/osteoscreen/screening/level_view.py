"""What LevelNet sees of a slice: a coarse square around the marked vertebra, and the marks."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from osteoscreen.box import places_of
from osteoscreen.bundle import LevelSettings
from osteoscreen.screening.grid import (
    AIR_HU,
    GREY_MAX,
    IDENTITY,
    FloatArray,
    Grid,
    Pose,
    coarse,
    cover,
    grey,
    sample,
)

SMALLEST_MARK_MM2 = 150.0
"""A smaller mark does not say where the vertebra is; the view is centred on the image then."""


@dataclass(frozen=True, eq=False)
class CoarseSlice:
    """A slice at the pixel spacing of the view, as far as any view of it can reach.

    Args:
        hu: Shape (rows, columns).
        marks: Share of each pixel that the vertebra and its body cover, 0 to 255; shape
            (2, rows, columns).
        centre_mm: Where the vertebra lies, (row, column) from the image centre.
        spacing_mm: Pixel spacing.
    """

    hu: NDArray[np.int16]
    marks: NDArray[np.uint8]
    centre_mm: tuple[float, float]
    spacing_mm: float


def coarse_slice(
    hu: FloatArray,
    vertebra: NDArray[np.bool_],
    body: NDArray[np.bool_],
    spacing_mm: tuple[float, float],
    settings: LevelSettings,
) -> CoarseSlice:
    """Bring a slice and its marks to the pixel spacing of the view, low-passed.

    Args:
        hu: Shape (rows, columns).
        vertebra: Mark of the whole vertebra, same shape.
        body: Mark of its body, same shape.
        spacing_mm: Pixel spacing (row, column).
        settings: Of the bundle.
    """
    target = settings.spacing_mm
    extent_mm = max(n * mm for n, mm in zip(hu.shape, spacing_mm))
    grid = Grid(int(np.ceil(extent_mm / target)), target)
    image = coarse(hu, spacing_mm, grid)
    shares = [cover(mark, spacing_mm, grid) for mark in (vertebra, body)]
    return CoarseSlice(
        np.clip(np.rint(image), -32768, 32767).astype(np.int16),
        np.rint(GREY_MAX * np.clip(shares, 0, 1)).astype(np.uint8),
        _centre_mm(vertebra, body, spacing_mm),
        target,
    )


def _centre_mm(
    vertebra: NDArray[np.bool_], body: NDArray[np.bool_], spacing_mm: tuple[float, float]
) -> tuple[float, float]:
    for mark in (body, vertebra):
        places = places_of(mark)
        if len(places) * spacing_mm[0] * spacing_mm[1] >= SMALLEST_MARK_MM2:
            middle = map(float, places.mean(axis=0))
            row, column = (
                (at - (length - 1) / 2) * mm
                for at, length, mm in zip(middle, mark.shape, spacing_mm)
            )
            return row, column
    return 0.0, 0.0


def level_view(one: CoarseSlice, settings: LevelSettings, *, pose: Pose = IDENTITY) -> FloatArray:
    """Cut the view around the vertebra.

    Args:
        one: A coarse slice.
        settings: Of the bundle.
        pose: Turn, scale and further shift of the view, in training.
    Returns: Grey of both windows and both marks, 0..255, shape (4, size, size).
    """
    placed = replace(
        pose,
        shift_mm=(one.centre_mm[0] + pose.shift_mm[0], one.centre_mm[1] + pose.shift_mm[1]),
    )
    grid, spacing = Grid(settings.size, settings.spacing_mm), (one.spacing_mm, one.spacing_mm)
    hu = sample(one.hu.astype(np.float32), spacing, grid, pose=placed, outside=AIR_HU)
    marks = [
        sample(mark.astype(np.float32), spacing, grid, pose=placed, outside=0) for mark in one.marks
    ]
    return np.stack([grey(hu, settings.soft_window_hu), grey(hu, settings.bone_window_hu), *marks])
