"""How much a compressed file may grow: more is a bomb, refused before it fills memory or disk."""

from __future__ import annotations

MAX_RATIO = 100.0
"""Inflated against packed; CT shrinks two- to fourfold (the development set 1.4 to 2.5), an empty
image a few hundredfold, but no study is made of empty images."""

RATIO_FROM_BYTES = 64 * 2**20
"""Below this a file may be as dense as it likes."""


def is_bomb(inflated_bytes: int, packed_bytes: int) -> bool:
    """Return whether a file grows more than 100-fold, and to more than 64 MiB.

    Args:
        inflated_bytes: What it inflates to, by its own claim or by count.
        packed_bytes: Its size.
    """
    return inflated_bytes > max(RATIO_FROM_BYTES, MAX_RATIO * packed_bytes)
