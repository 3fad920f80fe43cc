"""A sheet to draw on, kept as PNG: fast to make, the same on every machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from io import BytesIO
from typing import Literal

from PIL import Image, ImageDraw, ImageFont

from osteoscreen.report.palette import INK, PAPER

SCALE = 2
"""Pixels to a unit of a drawing; a unit is a CSS pixel on the page, and half a point on paper."""

FONTS = {False: "Vera.ttf", True: "VeraBd.ttf"}
"""Plain and bold: the fonts that reportlab carries, so that figures and PDF look alike."""

Place = tuple[float, float]


@dataclass(frozen=True)
class Lettering:
    """How words look.

    Args:
        size: Height of the font, in units of the drawing (matplotlib: in points).
        colour: Hexadecimal or named colour.
        side: Which end of the words is at the given place.
        is_bold: Whether the words are heavy.
        has_halo: Whether a dark rim sets the words off from a picture.
    """

    size: float
    colour: str = INK
    side: Literal["left", "center", "right"] = "center"
    is_bold: bool = False
    has_halo: bool = False


@dataclass(frozen=True)
class Said:
    """Words on a drawing and the box around them: left, top, right, bottom."""

    words: str
    box: tuple[float, float, float, float]


class Drawing:
    """A white sheet; x runs to the right and y down, from the top left corner.

    Args:
        width, height: Size in units.
        fineness: How many times larger it is drawn than kept: 2 smooths the edges of shapes.
    """

    def __init__(self, width: float, height: float, *, fineness: int = 1) -> None:
        self.width, self.height = width, height
        self.said: list[Said] = []
        self._fineness = fineness
        self._scale = SCALE * fineness
        size = (round(width * self._scale), round(height * self._scale))
        self._image = Image.new("RGB", size, PAPER)
        self._pen = ImageDraw.Draw(self._image)

    def write(self, place: Place, words: str, lettering: Lettering) -> None:
        """Write words, vertically centred at a place."""
        words = words.replace("\N{NO-BREAK SPACE}", " ")
        font = _font(round(lettering.size * self._scale), is_bold=lettering.is_bold)
        at = (place[0] * self._scale, place[1] * self._scale)
        anchor = {"left": "lm", "center": "mm", "right": "rm"}[lettering.side]
        spacing = 0.15 * lettering.size * self._scale
        left, top, right, bottom = self._pen.multiline_textbbox(
            at, words, font, anchor, spacing, "center"
        )
        scale = self._scale
        self.said.append(Said(words, (left / scale, top / scale, right / scale, bottom / scale)))
        self._pen.multiline_text(
            at,
            words,
            lettering.colour,
            font,
            anchor,
            spacing,
            "center",
            stroke_width=round(1.2 * self._scale) if lettering.has_halo else 0,
            stroke_fill="black" if lettering.has_halo else None,
        )

    def line(self, places: Sequence[Place], colour: str, width: float = 1) -> None:
        """Draw a line through places."""
        points = [(x * self._scale, y * self._scale) for x, y in places]
        self._pen.line(points, colour, max(1, round(width * self._scale)), "curve")

    def dashes(self, start: Place, stop: Place, colour: str, *, width: float = 1) -> None:
        """Draw a dashed line: four units drawn, three left out."""
        (x0, y0), (x1, y1) = start, stop
        length = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5
        for at in range(0, int(length), 7):
            from_, to = at / length, min(at + 4, length) / length
            ends = [(x0 + (x1 - x0) * t, y0 + (y1 - y0) * t) for t in (from_, to)]
            self.line(ends, colour, width)

    def box(self, corner: Place, size: Place, colour: str | None, edge: str | None = None) -> None:
        """Draw a rectangle, filled or with an edge."""
        if size[0] <= 0 or size[1] <= 0:
            return
        left, top = (value * self._scale for value in corner)
        right, bottom = left + size[0] * self._scale, top + size[1] * self._scale
        ends = (left, top, max(left, right - 1), max(top, bottom - 1))
        self._pen.rectangle(ends, colour, edge, self._scale)

    def disc(
        self, centre: Place, radius: float, colour: str | None, edge: str | None = None
    ) -> None:
        """Draw a disc, filled or with an edge."""
        x, y = (value * self._scale for value in centre)
        r = radius * self._scale
        self._pen.ellipse((x - r, y - r, x + r, y + r), colour, edge, round(1.5 * self._scale))

    def sector(self, centre: Place, radius: float, span_deg: Place, colour: str) -> None:
        """Fill a sector; degrees run clockwise from the right."""
        x, y = (value * self._scale for value in centre)
        r = radius * self._scale
        self._pen.pieslice((x - r, y - r, x + r, y + r), *span_deg, fill=colour)

    def pixels(self, length: float) -> int:
        """Pixels that a length is drawn with."""
        return round(length * self._scale)

    def paste(self, picture: Image.Image, corner: Place, mask: Image.Image | None = None) -> None:
        """Put a picture with its own pixels at a corner."""
        self._image.paste(
            picture, (round(corner[0] * self._scale), round(corner[1] * self._scale)), mask
        )

    def image(self) -> Image.Image:
        """Return the drawing as it is kept."""
        return self._image.reduce(self._fineness) if self._fineness > 1 else self._image

    def png(self) -> bytes:
        """Return the drawing as PNG; equal drawings are equal files."""
        file = BytesIO()
        self.image().save(file, "PNG", compress_level=4, dpi=(192, 192))
        return file.getvalue()


@cache
def _font(size: int, *, is_bold: bool) -> ImageFont.FreeTypeFont:
    with resources.as_file(resources.files("reportlab") / "fonts" / FONTS[is_bold]) as path:
        return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)
