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
        region: Coded part of it that the segment covers; ``None`` for all.
    """

    label: str
    kind: Code
    region: Code | None = None


SEGMENTS = (
    Segment("Vertebral body", VERTEBRAL_BODY),
    Segment("Vertebra, other parts", VERTEBRA),
)
"""What marks without levels hold, segments 1 and 2."""


def body_segment(level: str) -> Segment:
    """Name the body of a vertebra, such as ``"L3"``; a level without a code is a vertebra."""
    return Segment(f"{level} body", VERTEBRA_OF_LEVEL.get(level, VERTEBRA), VERTEBRAL_BODY)


def rest_segment(level: str) -> Segment:
    """Name a vertebra without its body: pedicles, laminae and processes."""
    kind = VERTEBRA_OF_LEVEL.get(level, VERTEBRA)
    return Segment(f"{level} posterior elements", kind, ARCH_OF_VERTEBRA)


def number_segments(
    marks: NDArray[np.uint8], named: NDArray[np.uint8], names: Sequence[str]
) -> tuple[NDArray[np.uint8], tuple[Segment, ...]]:
    """Number bodies and other parts of named vertebrae as segments, those that are there.

    Args:
        marks: 1 body, 2 other parts; axes (slice, row, column).
        named: k + 1 for the vertebra ``names[k]``, 0 for none; same shape.
        names: Levels.
    Returns: Segment numbers, same shape, and the segments; marks without a name are the first two.
    """
    kinds = [(0, part) for part in (1, 2)]
    kinds += [(number, part) for number in range(len(names), 0, -1) for part in (1, 2)]
    labels, segments = np.zeros_like(marks), []
    for number, part in kinds:
        mine = (marks == part) & (named == number)
        if not mine.any():
            continue
        if number == 0:
            segments.append(SEGMENTS[part - 1])
        else:
            name = names[number - 1]
            segments.append(body_segment(name) if part == 1 else rest_segment(name))
        labels[mine] = len(segments)
    return labels, tuple(segments)


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
    """Read the codes of one segment."""
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
    elif kind in LEVEL_OF_CODE or kind == VERTEBRA.value:
        part = "whole"
    levels = [LEVEL_OF_CODE[code] for code in (kind, *sorted(regions)) if code in LEVEL_OF_CODE]
    return Meaning(text(item, "SegmentLabel") or "", levels[0] if levels else None, part)
