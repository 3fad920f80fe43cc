"""One segment of a DICOM Segmentation: a vertebra or a part of it, in codes (PS3.3 C.8.20.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from osteoscreen.dicom.codes import (
    ARCH_OF_VERTEBRA,
    LUMBAR_VERTEBRA,
    VERTEBRA,
    VERTEBRA_OF_LEVEL,
    VERTEBRAL_BODY,
)
from osteoscreen.dicom.header import text


@dataclass(frozen=True)
class Segment:
    """What one number of the marks stands for.

    Args:
        label: Name for people.
        kind: Coded property type.
        region: Coded anatomy that it is a part of: a body has its vertebra, so that who filters by
            type counts no vertebra twice; ``None`` for a whole vertebra.
        level: The vertebra that it is of, such as ``"L3"``; ``None`` if it has no name.
    """

    label: str
    kind: Code
    region: Code | None = None
    level: str | None = None


SEGMENTS = (
    Segment("Vertebral body", VERTEBRAL_BODY),
    Segment("Vertebra, other parts", VERTEBRA),
)
"""What marks without levels hold that do not overlap, segments 1 and 2."""


def whole_segment(level: str | None) -> Segment:
    """Name a vertebra, such as ``"L3"``, body and all; a level without a code is a vertebra."""
    if level is None:
        return Segment("Vertebra", VERTEBRA)
    return Segment(f"{level} vertebra", VERTEBRA_OF_LEVEL.get(level, VERTEBRA), level=level)


def body_segment(level: str | None) -> Segment:
    """Name the body of a vertebra."""
    if level is None:
        return SEGMENTS[0]
    vertebra = VERTEBRA_OF_LEVEL.get(level, VERTEBRA)
    return Segment(f"{level} body", VERTEBRAL_BODY, vertebra, level)


def rest_segment(level: str) -> Segment:
    """Name a vertebra without its body: pedicles, laminae and processes."""
    vertebra = VERTEBRA_OF_LEVEL.get(level, VERTEBRA)
    return Segment(f"{level} posterior elements", ARCH_OF_VERTEBRA, vertebra, level)


@dataclass(frozen=True, eq=False)
class NumberedSegments:
    """Segments and where they lie.

    Args:
        labels: Segment number of each pixel, 0 for none; axes (slice, row, column).
        segments: What the numbers 1, 2 and so on stand for.
        within: Numbers of segments that lie within others, of ``labels``; same shape. ``None``
            where no segment overlaps another.
    """

    labels: NDArray[np.uint8]
    segments: tuple[Segment, ...] = SEGMENTS
    within: NDArray[np.uint8] | None = None


def number_vertebrae(
    marks: NDArray[np.uint8], named: NDArray[np.uint8], names: Sequence[str]
) -> NumberedSegments:
    """Number vertebrae as segments, from the head down, and after them their bodies.

    Args:
        marks: 1 body, 2 other parts; axes (slice, row, column).
        named: k + 1 for the vertebra ``names[k]``, 0 for none; same shape.
        names: Levels, rising.
    Returns: A segment for each vertebra and for each body that is there; marks without a name are
        one vertebra, the last.
    """
    segments: list[Segment] = []
    labels, within = np.zeros(marks.shape, np.uint8), np.zeros(marks.shape, np.uint8)
    for grid, name, mine in (
        (labels, whole_segment, marks != 0),
        (within, body_segment, marks == 1),
    ):
        vertebra = named[mine]
        seen = set(np.flatnonzero(np.bincount(vertebra)).tolist())
        numbers = np.zeros(256, np.uint8)
        for number in [*range(len(names), 0, -1), 0]:
            if number in seen:
                segments.append(name(names[number - 1] if number else None))
                numbers[number] = len(segments)
        grid[mine] = numbers[vertebra]
    return NumberedSegments(labels, tuple(segments), within)


@dataclass(frozen=True)
class Meaning:
    """What a segment is, as far as its codes tell.

    Args:
        label: Name for people.
        level: Its vertebra, such as ``"L3"``; ``None`` if none is named.
        part: ``"body"``, ``"rest"`` or ``"whole"``; ``None`` if it is no vertebra.
    """

    label: str
    level: str | None
    part: Literal["body", "rest", "whole"] | None


LEVEL_OF_CODE = {code.value: level for level, code in VERTEBRA_OF_LEVEL.items() if level != "L6"}


def read_meaning(item: Dataset) -> Meaning:
    """Read the codes of one segment; a part may stand as type or as region, its vertebra too."""
    kind = item.SegmentedPropertyTypeCodeSequence[0].CodeValue
    regions = {
        region.CodeValue
        for keyword in ("AnatomicRegionSequence", "SegmentedPropertyTypeModifierCodeSequence")
        for region in item.get(keyword, [])
    }
    part: Literal["body", "rest", "whole"] | None = None
    if VERTEBRAL_BODY.value in {kind, *regions}:
        part = "body"
    elif (
        ARCH_OF_VERTEBRA.value in {kind, *regions} or item.get("SegmentLabel") == SEGMENTS[1].label
    ):
        part = "rest"
    elif kind in {*LEVEL_OF_CODE, VERTEBRA.value, LUMBAR_VERTEBRA.value}:
        part = "whole"
    levels = [LEVEL_OF_CODE[code] for code in (kind, *sorted(regions)) if code in LEVEL_OF_CODE]
    return Meaning(text(item, "SegmentLabel") or "", levels[0] if levels else None, part)
