"""The ring of the three probabilities, as Figure 9 of the paper (section 3.5)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from PIL import Image, ImageColor, ImageDraw

from osteoscreen import texts
from osteoscreen.findings import CONDITIONS, BoneCondition, Certainty, Probabilities
from osteoscreen.report.drawing import Drawing, Lettering
from osteoscreen.report.palette import CONDITION_COLOURS, INK, MUTED, PAPER

WIDTH, HEIGHT = 480, 300
RADIUS = 92.0
"""Outer radius: two labels above each other fit over the ring."""
RING_WIDTH = 0.26
"""Of the outer radius; the hole must hold "bone mass?"."""
LEADER_RADIUS = 1.12
"""Where a leader line bends: far enough that the label of a tiny slice at the top does not drag
its line across the ring."""
LABEL_X = 1.24
LABEL_GAP = 0.58
"""Distance between two labels on one side, in outer radii: two lines of text and some air."""
DOUBTFUL_FADE = 0.45
"""Share of white in the colours of a ring that is not clear."""
HATCH_STEP = 7.0


def ring_drawing(probabilities: Probabilities, certainty: Certainty) -> Drawing:
    """Draw the ring: clockwise from the top, in the order of ``CONDITIONS``.

    A ring that is not clear is pale and hatched; its centre asks, or says that nothing is stated.
    """
    drawing = Drawing(WIDTH, HEIGHT, fineness=2)
    spans = wedge_spans(probabilities)
    _add_wedges(drawing, spans, is_clear=certainty is Certainty.CLEAR)
    _add_labels(drawing, probabilities, [_anchor_deg(*span) for span in spans])
    _add_centre(drawing, probabilities, certainty)
    return drawing


def wedge_spans(probabilities: Probabilities) -> list[tuple[float, float]]:
    """Return where each slice begins and ends: degrees, counted against the clock from the right.

    The first slice ends at the top, and each next one where the one before begins.
    """
    spans, end = [], 90.0
    for value in probabilities.as_tuple():
        start = end - 360 * value
        spans.append((start, end))
        end = start
    return spans


def condition_colour(condition: BoneCondition | str, *, is_clear: bool) -> str:
    """Colour of a condition's slice; pale where the result is not clear."""
    parts = ImageColor.getrgb(CONDITION_COLOURS[BoneCondition(condition)])[:3]
    fade = 0.0 if is_clear else DOUBTFUL_FADE
    return "#" + "".join(f"{round(part + (255 - part) * fade):02x}" for part in parts)


def centre_words(probabilities: Probabilities, certainty: Certainty) -> str:
    """Headline of the result in two lines, as the hole of the ring holds it."""
    return "\n".join(texts.headline(probabilities, certainty).split(" ", 1))


def _place(angle_deg: float, radii: float) -> tuple[float, float]:
    """Place on the drawing at some outer radii from the centre; y runs down."""
    angle = math.radians(angle_deg)
    reach = radii * RADIUS
    return WIDTH / 2 + reach * math.cos(angle), HEIGHT / 2 - reach * math.sin(angle)


def _add_wedges(drawing: Drawing, spans: Sequence[tuple[float, float]], *, is_clear: bool) -> None:
    centre = (WIDTH / 2, HEIGHT / 2)
    hole = RADIUS * (1 - RING_WIDTH)
    shown = [(one, span) for one, span in zip(CONDITIONS, spans) if span[1] > span[0]]
    for condition, (start, end) in shown:
        # Pillow counts with the clock, and cuts a full turn short unless it is one.
        turn = (-end, -start) if end - start < 360 else (0.0, 360.0)
        drawing.sector(centre, RADIUS, turn, condition_colour(condition, is_clear=is_clear))
    if not is_clear:
        _hatch(drawing, centre)
    for _, (_, end) in shown if len(shown) > 1 else ():
        drawing.line([centre, _place(end, 1.01)], PAPER, 1.6)
    drawing.disc(centre, hole, PAPER)
    if not is_clear:
        drawing.disc(centre, RADIUS, None, MUTED)
        drawing.disc(centre, hole, None, MUTED)


def _hatch(drawing: Drawing, centre: tuple[float, float]) -> None:
    """Draw slanted lines over the disc; the hole is cut afterwards."""
    side, step = drawing.pixels(2 * RADIUS), drawing.pixels(HATCH_STEP)
    mask = Image.new("L", (side, side), 0)
    pen = ImageDraw.Draw(mask)
    for at in range(-side, side, step):
        pen.line((at, side, at + side, 0), 255, max(1, drawing.pixels(0.8)))
    disc = Image.new("L", (side, side), 0)
    ImageDraw.Draw(disc).ellipse((0, 0, side - 1, side - 1), 255)
    lines = Image.composite(mask, Image.new("L", (side, side), 0), disc)
    ink = Image.new("RGB", (side, side), MUTED)
    drawing.paste(ink, (centre[0] - RADIUS, centre[1] - RADIUS), lines)


def _anchor_deg(start: float, end: float) -> float:
    """Choose where a leader line leaves a slice: sideways if it can, else from its middle."""
    middle = (start + end) / 2
    sideways = [angle for angle in (0.0, -180.0) if start < angle < end]
    return min(sideways, key=lambda angle: abs(angle - middle), default=middle)


def _add_labels(drawing: Drawing, probabilities: Probabilities, anchors: Sequence[float]) -> None:
    """Write percentage and name of each slice outside the ring, without collisions."""
    heights = [LEADER_RADIUS * math.sin(math.radians(angle)) for angle in anchors]
    is_right = [math.cos(math.radians(angle)) >= 0 for angle in anchors]
    for side in (False, True):
        members = [at for at, right in enumerate(is_right) if right is side]
        placed = spread([heights[at] for at in members], LABEL_GAP)
        sign = 1 if side else -1
        x = WIDTH / 2 + sign * LABEL_X * RADIUS
        for at, height in zip(members, placed):
            y = HEIGHT / 2 - height * RADIUS
            bend = _place(anchors[at], LEADER_RADIUS)
            end = (x - sign * 0.06 * RADIUS, y)
            drawing.line([_place(anchors[at], 1), bend, end], MUTED, 0.9)
            share = texts.percent(probabilities.as_tuple()[at])
            where: Literal["left", "right"] = "left" if side else "right"
            drawing.write((x, y - 11), share, Lettering(17, INK, where))
            drawing.write((x, y + 10), texts.LABELS[CONDITIONS[at]], Lettering(12.5, MUTED, where))


def _add_centre(drawing: Drawing, probabilities: Probabilities, certainty: Certainty) -> None:
    is_doubtful = certainty is Certainty.DOUBTFUL
    words = centre_words(probabilities, certainty)
    middle = HEIGHT / 2
    drawing.write((WIDTH / 2, middle - 10 * is_doubtful), words, Lettering(14, is_bold=True))
    if is_doubtful:
        drawing.write((WIDTH / 2, middle + 30), texts.DOUBTFUL, Lettering(13, MUTED))


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """Move heights apart by as little as makes neighbours at least ``gap`` distant.

    Args:
        heights: Wanted heights, in any order.
        gap: Smallest distance; positive.
    Returns: The new heights in the order of the input; groups keep their mean.
    """
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    groups: list[list[int]] = []
    centres: list[float] = []
    for i in order:
        groups.append([i])
        centres.append(heights[i])
        while len(groups) > 1 and (
            centres[-1] - centres[-2] < gap * (len(groups[-1]) + len(groups[-2])) / 2
        ):
            last = groups.pop()
            groups[-1] += last
            centres.pop()
            centres[-1] = sum(heights[k] for k in groups[-1]) / len(groups[-1])
    placed = dict.fromkeys(order, 0.0)
    for group, centre in zip(groups, centres):
        for rank, i in enumerate(group):
            placed[i] = centre + gap * (rank - (len(group) - 1) / 2)
    return [placed[i] for i in range(len(heights))]
