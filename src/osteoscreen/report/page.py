"""The report as one self-contained HTML page: images inside, no script, nothing to load."""

from __future__ import annotations

import struct
from base64 import b64encode
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from osteoscreen.findings import CONDITIONS, ReservationCode, ScreeningResult
from osteoscreen.report import palette, texts

CHECKSUM_LENGTH = 12
"""Hexadecimal digits of the bundle's SHA-256 on the page: 48 bits name a bundle well enough to be
looked up, and the whole is in ``result.json``."""

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"

DOUBTS = (ReservationCode.DOUBTFUL, ReservationCode.ABSTAINED)
"""Reservations that stand beside the headline; a result has one of them at most."""

SCREEN_SCALE = 0.57
"""CSS pixels to a pixel of a figure: three panels of an overlay fill the column of the page."""


@cache
def environment() -> Environment:
    """Return the templates of all pages; every value is escaped, none may be missing."""
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent, encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@dataclass(frozen=True)
class Picture:
    """A PNG inside the page.

    Args:
        uri: The whole picture as a data URI.
        width: Width on the screen in CSS pixels.
        height: Height on the screen in CSS pixels.
    """

    uri: str
    width: int
    height: int

    @classmethod
    def of(cls, png: bytes) -> Self:
        """Wrap a PNG, whose size stands in its first chunk (PNG specification, 11.2.2)."""
        if not png.startswith(PNG_SIGNATURE) or len(png) < 24:
            raise ValueError("a picture of the page must be a PNG, got another format")
        columns, rows = (
            round(pixels * SCREEN_SCALE) for pixels in struct.unpack(">II", png[16:24])
        )
        return cls(f"data:image/png;base64,{b64encode(png).decode('ascii')}", columns, rows)


def render_html(
    result: ScreeningResult, *, ring_png: bytes | None, overlay_png: bytes | None, title: str
) -> str:
    """Render a result as one HTML page that needs no other file and no connection.

    Every probability, word and code comes from ``result``. A refused result shows no probability,
    even if a ring is given or some of its slices were classified.

    Args:
        result: The screened or refused series.
        ring_png: The ring, from ``draw_ring`` with the same probabilities; left out if ``None``.
        overlay_png: The marked slices, from ``draw_overlay``; left out if ``None``.
        title: Heading of the page; holds no identity.
    Returns: The page as text, to be stored as UTF-8.
    Raises:
        ValueError: If a picture is not a PNG.
    """
    is_screened = result.status == "screened"
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            result=result,
            title=title,
            is_screened=is_screened,
            doubt=next((r.text for r in result.reservations if r.code in DOUBTS), None),
            ring=Picture.of(ring_png) if is_screened and ring_png else None,
            overlay=Picture.of(overlay_png) if overlay_png else None,
            conditions=CONDITIONS,
            checksum_length=CHECKSUM_LENGTH,
            palette=palette,
            texts=texts,
        )
    )
