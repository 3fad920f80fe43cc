"""What the values of a mask mean: ``body=1;rest=2``, or level by level ``L1.body=1;L1.rest=2``.

Pairs ``NAME=VALUE``, separated by semicolons. A name is a part, alone or after a level and a dot.
A name may stand in several pairs, ``body=1;body=3`` say; a value stands in one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

LARGEST_VALUE = 255
"""Masks are read as one byte a pixel; 0 is the background."""


class Part(StrEnum):
    """What a value of a mask may be."""

    BODY = "body"
    """The vertebral body."""
    REST = "rest"
    """The vertebra without its body."""
    VERTEBRA = "vertebra"
    """The vertebra, body and all."""


PAIR = re.compile(
    r"\s*(?:(?P<level>C[1-7]|T[1-9]|T1[0-3]|L[1-6]|S[1-5])\.)?"
    r"(?P<part>body|rest|vertebra)\s*=\s*(?P<value>[0-9]{1,9})\s*"
)
"""One pair; T13 and L6 occur in transitional spines."""


@dataclass(frozen=True)
class MaskLabel:
    """The meaning of one value of a mask.

    Args:
        value: The value, 1 to 255.
        part: Which part of a vertebra it marks.
        level: Of which vertebra, such as ``"L3"``; ``None`` if the mask does not tell.
    """

    value: int
    part: Part
    level: str | None = None

    def __str__(self) -> str:
        name = self.part.value if self.level is None else f"{self.level}.{self.part}"
        return f"{name}={self.value}"


def parse_mask_labels(text: str) -> tuple[MaskLabel, ...]:
    """Read the meaning of every value.

    Args:
        text: Such as ``body=1;rest=2`` or ``L1.body=1;L1.rest=2;L2.body=3``; may be empty.
    Returns: One label a value, in the order of the text.
    Raises: ValueError if the text is no list of such pairs, or a value is 0, above 255 or twice.
    """
    found = [PAIR.fullmatch(item) for item in text.split(";") if item.strip()]
    labels = tuple(
        MaskLabel(int(one["value"]), Part(one["part"]), one["level"]) for one in found if one
    )
    if len(labels) < len(found):
        raise ValueError(
            f"needs pairs such as body=1;rest=2 with names of {', '.join(Part)}, alone or after "
            f"a level as in L3.body=1, got {text!r}"
        )
    values = [label.value for label in labels]
    if not all(1 <= value <= LARGEST_VALUE for value in values):
        raise ValueError(f"values must be 1 to {LARGEST_VALUE}, 0 is the background, got {text!r}")
    if len(set(values)) < len(values):
        raise ValueError(f"a value can mean one thing only, got {text!r}")
    return labels


def format_mask_labels(labels: Iterable[MaskLabel]) -> str:
    """Write labels as ``parse_mask_labels`` reads them."""
    return ";".join(str(label) for label in labels)
