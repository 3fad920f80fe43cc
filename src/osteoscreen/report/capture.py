"""The marked slices as a picture for an archive, under the notice and what they say."""

from __future__ import annotations

import textwrap
from io import BytesIO

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imread
from numpy.typing import NDArray

from osteoscreen.findings import CONDITIONS, ScreeningResult
from osteoscreen.report import texts
from osteoscreen.report.lettering import FONT
from osteoscreen.report.palette import INK, PAPER

DPI = 200
MARGIN = 24
"""Pixels around picture and words."""
POINTS = 8.0
LINE_POINTS = 12.0
LETTERS_PER_INCH = 11.5
"""Letters of the font at this size in an inch of line, few enough for capitals."""
LEAST_COLUMNS = 1000
"""Pixels below which a line of words would be too short to read."""


def captured(result: ScreeningResult, overlay_png: bytes) -> NDArray[np.uint8]:
    """Draw the marked slices under what they were found to say and the notice of the result.

    A picture may be looked at alone: the notice is part of it. It shows no identity.

    Args:
        result: Screened or refused.
        overlay_png: The marked slices, from ``draw_overlay``.
    Returns: RGB, shape (rows, columns, 3).
    """
    slices = _pixels(overlay_png)
    columns = max(slices.shape[1] + 2 * MARGIN, LEAST_COLUMNS)
    width = int((columns - 2 * MARGIN) / DPI * LETTERS_PER_INCH)
    lines = [line for one in _words(result) for line in textwrap.wrap(one, width)]
    banner = _write_lines(lines, columns)
    paper = np.full((slices.shape[0] + MARGIN, banner.shape[1], 3), banner[0, 0], np.uint8)
    paper[: slices.shape[0], MARGIN : MARGIN + slices.shape[1]] = slices
    return np.concatenate([banner, paper])


def _words(result: ScreeningResult) -> list[str]:
    """Choose what the picture says: notice, class and probabilities, or why there are none."""
    words = [result.notice]
    if result.probabilities is not None and result.certainty is not None:
        shares = ", ".join(
            f"{condition.label.lower()} {texts.percent(share)}"
            for condition, share in zip(CONDITIONS, result.probabilities.as_tuple())
        )
        headline = texts.headline(result.probabilities, result.certainty)
        words.append(f"{headline} ({shares}). Preliminary, not verified.")
    if result.refusal is not None:
        words.append(f"{texts.REFUSED}: {result.refusal.text}")
    return words


def _write_lines(lines: list[str], columns: int) -> NDArray[np.uint8]:
    """Draw lines of words, the first at the top."""
    line = LINE_POINTS / 72 * DPI
    rows = round(len(lines) * line) + 2 * MARGIN
    figure = Figure(figsize=(columns / DPI, rows / DPI), dpi=DPI, facecolor=PAPER)
    FigureCanvasAgg(figure)
    for number, words in enumerate(lines):
        figure.text(
            MARGIN / columns,
            1 - (MARGIN + number * line) / rows,
            words,
            fontsize=POINTS,
            fontfamily=FONT,
            color=INK,
            va="top",
            parse_math=False,
        )
    picture = BytesIO()
    figure.savefig(picture, format="png", dpi=DPI)
    return _pixels(picture.getvalue())


def _pixels(png: bytes) -> NDArray[np.uint8]:
    """Read an opaque PNG as RGB."""
    picture: NDArray[np.float32] = imread(BytesIO(png), format="png")
    return np.rint(picture[..., :3] * 255).astype(np.uint8)
