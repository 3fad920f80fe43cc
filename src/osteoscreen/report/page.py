"""The report as one self-contained HTML page: images inside, no script, nothing to load."""

from __future__ import annotations

import struct
from base64 import b64encode
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from osteoscreen import texts
from osteoscreen.report import palette
from osteoscreen.report.content import Content
from osteoscreen.report.drawing import SCALE

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


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
        columns, rows = (round(pixels / SCALE) for pixels in struct.unpack(">II", png[16:24]))
        return cls(f"data:image/png;base64,{b64encode(png).decode('ascii')}", columns, rows)


def render_html(content: Content) -> str:
    """Render a report as one HTML page that needs no other file and no connection.

    Args:
        content: What it says and shows.
    Returns: The page as text, to be stored as UTF-8.
    Raises:
        ValueError: If a picture is not a PNG.
    """
    template = environment().get_template("report.html.j2")
    return template.render(content=content, picture=Picture.of, palette=palette, texts=texts)
