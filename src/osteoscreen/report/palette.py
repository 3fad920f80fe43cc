"""The colours of every figure and page, chosen to survive greyscale print and colour blindness.

The three conditions fall from light to dark with the bone mass, so their order can be read without
hue; blue, amber and plum stay apart for red-green and blue-yellow colour blindness.
"""

from __future__ import annotations

from osteoscreen.findings import BoneCondition

CONDITION_COLOURS = {
    BoneCondition.NORMAL: "#a3cfdd",
    BoneCondition.LOW: "#cf8330",
    BoneCondition.OSTEOPOROSIS: "#6d1f45",
}

LIGHTNESS_MARGIN = 18.0
"""Smallest distance in CIE L* (0 to 100) between two conditions; the eye needs about 5 to part
neighbouring greys, and office laser printers a few times that."""

PAPER = "#ffffff"
DESK = "#eef1f3"
INK = "#17222d"
MUTED = "#4c5a68"
RULE = "#d3dae0"
CAUTION = "#fdf3d7"
CAUTION_INK = "#4d3a05"
CAUTION_EDGE = "#b98a14"
REFUSED = "#f6eef2"
REFUSED_INK = "#5c1a3a"
FOCUS = "#0b5c73"

TEXT_PAIRS = (
    (INK, PAPER),
    (INK, REFUSED),
    (MUTED, PAPER),
    (MUTED, DESK),
    (MUTED, REFUSED),
    (CAUTION_INK, CAUTION),
    (REFUSED_INK, REFUSED),
    (FOCUS, PAPER),
)
"""Every pair of (text, background) on the page; each has a contrast of 4.5 or more (WCAG 1.4.3)."""

BAND = "#dfe6ea"
"""Ground of the band that the attenuation of a vertebra lies in."""

SUPPORT = "#ffb000"
AGAINST = "#3d7dca"
"""Parts of a roi that speak for and against a class: light and filled, dark and striped."""

BODY_MARK = "#ffd24a"
REST_MARK = "#8fdcff"
