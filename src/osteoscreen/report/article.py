"""A page of an evaluation or an archive: tables and figures in sections, self-contained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from osteoscreen.report import palette
from osteoscreen.report.page import Picture, environment


@dataclass(frozen=True)
class Link:
    """A cell that leads to another file.

    Args:
        words: What is read.
        path: Of the file, from the folder of the page.
    """

    words: str
    path: str

    @property
    def address(self) -> str:
        """The path, as a page names it."""
        return quote(self.path)


@dataclass(frozen=True)
class Sheet:
    """A table of a page.

    Args:
        title: Above it.
        columns: Headings.
        rows: Words of each cell; where there is none, the page says so.
        note: Below it; may be empty.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | Link]]
    note: str = ""

    @property
    def are_words(self) -> list[bool]:
        """Whether the cells of each column are words rather than numbers."""
        return [_are_words(cells) for cells in zip(self.columns, *self.rows)]


def _are_words(column: Sequence[str | Link]) -> bool:
    cells = [cell.words if isinstance(cell, Link) else cell for cell in column[1:]]
    told = [cell for cell in cells if cell]
    return bool(told) and 2 * sum(cell[0].isalpha() for cell in told) > len(told)


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
