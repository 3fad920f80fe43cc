"""The page of an evaluation: tables and figures in sections, self-contained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from osteoscreen.report import palette
from osteoscreen.report.page import Picture, environment


@dataclass(frozen=True)
class Sheet:
    """A table of a page.

    Args:
        title: Above it.
        columns: Headings.
        rows: Words of each cell.
        note: Below it; may be empty.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


@dataclass(frozen=True)
class Plate:
    """A figure of a page.

    Args:
        title: Above it.
        png: The picture.
        note: Below it; may be empty.
    """

    title: str
    png: bytes
    note: str = ""

    @property
    def picture(self) -> Picture:
        """The picture, as the page holds it."""
        return Picture.of(self.png)


@dataclass(frozen=True)
class Section:
    """A part of a page.

    Args:
        title: Of the part.
        parts: Tables and figures, in order.
        note: Words under the title; may be empty.
    """

    title: str
    parts: Sequence[Sheet | Plate]
    note: str = ""


def render_article(
    title: str, notice: str, facts: Sequence[str], sections: Sequence[Section]
) -> str:
    """Render the page of an evaluation, to be stored as UTF-8; it needs no other file.

    Args:
        title: Heading.
        notice: What it must not be used for.
        facts: Lines under the heading: what was evaluated on what.
        sections: Its parts.
    """
    return (
        environment()
        .get_template("article.html.j2")
        .render(title=title, notice=notice, facts=facts, sections=sections, palette=palette)
    )
