"""The marked slices as a picture for an archive, under the notice and what they say."""

from __future__ import annotations

import textwrap
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from osteoscreen import texts
from osteoscreen.findings import ScreeningResult
from osteoscreen.report.drawing import SCALE, Drawing, Lettering
from osteoscreen.report.palette import INK

MARGIN = 14.0
"""Around picture and words."""
LETTER, LINE = 11.5, 16.0
LETTER_WIDTH = 0.8
"""Width of a letter of the font in units of its height, as wide as capitals."""
LEAST_WIDTH = 500.0
"""A line of words would be too short to read below."""


def captured(result: ScreeningResult, overlay_png: bytes) -> NDArray[np.uint8]:
    """Draw the marked slices under what they were found to say and the notice of the result.

    A picture may be looked at alone: the notice is part of it. It shows no identity.

    Args:
        result: Screened or refused.
        overlay_png: The marked slices, from ``overlay_drawing``.
    Returns: RGB, shape (rows, columns, 3).
    """
    slices = Image.open(BytesIO(overlay_png)).convert("RGB")
    width = max(slices.width / SCALE + 2 * MARGIN, LEAST_WIDTH)
    letters = int((width - 2 * MARGIN) / (LETTER_WIDTH * LETTER))
    lines = [line for one in _words(result) for line in textwrap.wrap(one, letters)]
    top = 2 * MARGIN + len(lines) * LINE
    drawing = Drawing(width, top + slices.height / SCALE + MARGIN)
    for number, words in enumerate(lines):
        place = (MARGIN, MARGIN + (number + 0.5) * LINE)
        drawing.write(place, words, Lettering(LETTER, INK, "left"))
    drawing.paste(slices, (MARGIN, top))
    return np.asarray(drawing.image(), np.uint8)


def _words(result: ScreeningResult) -> list[str]:
    """Choose what the picture says: notice, class and probabilities, or why there are none."""
    words = [texts.banner(result)]
    if result.probabilities is not None and result.certainty is not None:
        headline = texts.headline(result.probabilities, result.certainty)
        shares = texts.shares(result.probabilities)
        words.append(texts.CAPTURED.format(headline=headline, shares=shares))
    if result.refusal is not None:
        words.append(texts.REFUSED_BECAUSE.format(reason=result.refusal.text))
    return words
