"""The report as one A4 page in PDF; it always fits, and says so where something had to stay out."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from io import BytesIO

from reportlab import rl_config
from reportlab.lib.colors import HexColor
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Paragraph

from osteoscreen import texts
from osteoscreen.report.content import Content, Fact, Figure, Note, Table
from osteoscreen.report.drawing import FONTS, SCALE
from osteoscreen.report.palette import (
    CAUTION,
    CAUTION_EDGE,
    CAUTION_INK,
    INK,
    MUTED,
    REFUSED_INK,
    RULE,
)
from osteoscreen.report.ring import condition_colour

rl_config.useA85 = 0
"""Streams are written as bytes, not as letters: a quarter smaller, and twice as fast. The library
has no other place to say so."""

MARGIN = 32.0
WIDTH, HEIGHT = A4[0] - 2 * MARGIN, A4[1] - 2 * MARGIN
GAP = 12.0
LARGEST = 0.8
"""Points a unit of a picture: its letters are no larger than those of the text."""
RING, CHART = 0.46, 0.52
"""The same of ring and chart: their smallest letters are 5.5 points and more."""
PLAIN, BOLD = "Report", "ReportBold"
SIZES = (7.5, 7.0, 6.5, 6.0, 5.5)
"""Sizes of the small print in points, from the best on; 5.5 is the smallest that can be read."""
PICTURES = (260.0, 190.0, 120.0)
"""Heights of the pictures, from the wanted to the smallest: in the third, with six slices, a
vertebra is some five millimetres wide, and the page of the browser shows more."""
TALLEST = 330.0
CAPTION = 6.0
NAMES = 15.5
"""Width of the names of facts, in sizes of the print."""
CELL_GAP = 6.0
LONGEST, SHORTEST = 400, 160
"""Letters of a value that are set, of findings and of other values; ``result.json`` holds all."""
ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"


def render_pdf(content: Content) -> bytes:
    """Set a report on one page.

    Equal reports are equal files. Where reservations do not fit, the page says how many are left
    out; characters that the font lacks are set as "?".

    Args:
        content: What it says and shows.
    """
    _register_fonts()
    file = BytesIO()
    canvas = Canvas(
        file, A4, invariant=True, pageCompression=1, lang=texts.LANGUAGE, initialFontName=PLAIN
    )
    canvas.setTitle(_printable(content.title))
    canvas.setSubject(_printable(content.notice))
    _Sheet(canvas, _fitted(content)).draw()
    canvas.showPage()
    canvas.save()
    return file.getvalue()


def _register_fonts() -> None:
    for name, is_bold in ((PLAIN, False), (BOLD, True)):
        if name not in pdfmetrics.getRegisteredFontNames():
            pdfmetrics.registerFont(TTFont(name, FONTS[is_bold]))
    pdfmetrics.registerFontFamily(PLAIN, PLAIN, BOLD, PLAIN, BOLD)


def _printable(words: str) -> str:
    """Leave what the font can show, in a line."""
    known = pdfmetrics.getFont(PLAIN).face.charToGlyph
    plain = " ".join(words.replace("\N{NO-BREAK SPACE}", "\0").split()).replace("\0", "\xa0")
    return "".join(letter if ord(letter) in known else "?" for letter in plain)


def _short(words: str, longest: int = LONGEST) -> str:
    return words if len(words) <= longest else words[: longest - 1] + ELLIPSIS


@dataclass(frozen=True)
class _Print:
    """Words set in type: how they look."""

    size: float
    colour: str = INK
    is_bold: bool = False
    is_right: bool = False

    def set(self, words: str, *, tail: str = "") -> Paragraph:
        """Set words as a paragraph; ``tail`` follows in the colour of remarks."""
        style = ParagraphStyle(
            "", fontName=BOLD if self.is_bold else PLAIN, fontSize=self.size,
            leading=1.28 * self.size, textColor=HexColor(self.colour), splitLongWords=1,
            alignment=TA_RIGHT if self.is_right else 0,
        )  # fmt: skip
        said = escape(_printable(words))
        if tail:
            said += f' <font color="{MUTED}">{escape(_printable(tail))}</font>'
        return Paragraph(said, style)


def _height(paragraph: Paragraph, width: float) -> float:
    return float(paragraph.wrap(width, 1e6)[1])


def _column_widths(rows: Sequence[Sequence[str]], size: float, width: float) -> list[float]:
    """Give each column what its longest word (head) or cell needs, and its share of the rest."""
    needed = [
        CELL_GAP + max(pdfmetrics.stringWidth(_printable(part), PLAIN, size) for part in parts)
        for head, *cells in zip(*rows)
        for parts in ([*head.split(), *cells],)
    ]
    return [one * width / sum(needed) for one in needed]


@dataclass(frozen=True)
class _Fitted:
    """Content that fits, the size of its small print, and the height of its pictures."""

    content: Content
    size: float
    pictures: float
    left_out: int = 0


def _fitted(content: Content) -> _Fitted:
    """Find the largest small print that leaves room for the pictures; else leave things out."""
    heights = PICTURES if content.pictures else (0.0,)
    least = heights[-1]
    rooms: dict[float, float] = {}
    for enough in heights:
        for size in SIZES if enough == least else SIZES[:3]:
            if size not in rooms:
                rooms[size] = HEIGHT - _Sheet(None, _Fitted(content, size, 0.0)).draw()
            if rooms[size] >= enough:
                return _Fitted(content, size, min(rooms[size], TALLEST))
    notes = content.reservations

    def fewer(kept: int) -> _Fitted:
        short = replace(content, reservations=notes[:kept])
        fitted = _Fitted(short, SIZES[-1], 0.0, len(notes) - kept)
        room = HEIGHT - _Sheet(None, fitted).draw()
        return replace(fitted, pictures=min(room, TALLEST))

    kept = bisect_left(range(len(notes)), True, key=lambda count: fewer(count).pictures < least) - 1
    fitted = fewer(max(kept, 0))
    return replace(fitted, pictures=max(fitted.pictures, 0.0))


class _Sheet:
    """The page, set from the top down; without a canvas it only measures."""

    def __init__(self, canvas: Canvas | None, fitted: _Fitted) -> None:
        self._canvas = canvas
        self._fitted = fitted
        self._content = fitted.content
        self._size = fitted.size

    def draw(self) -> float:
        """Set the page; return the height that it takes."""
        y = self._notice(0.0)
        y = self._title(y + 7)
        y = self._finding(y + 8) if self._content.is_screened else self._refusal(y + 8)
        y = self._pictures(y + 10)
        y = self._measured(y + 8)
        y = self._reservations(y + 7)
        y = self._groups(y + 7)
        return self._limits(y + 5)

    def _words(self, paragraph: Paragraph, x: float, y: float, width: float) -> float:
        """Set a paragraph with its top at ``y``; return its bottom."""
        height = _height(paragraph, width)
        if self._canvas is not None:
            paragraph.drawOn(self._canvas, MARGIN + x, A4[1] - MARGIN - y - height)
        return y + height

    def _box(self, corner: tuple[float, float], size: tuple[float, float], colour: str) -> None:
        if self._canvas is not None:
            self._canvas.setFillColor(HexColor(colour))
            x, y = MARGIN + corner[0], A4[1] - MARGIN - corner[1] - size[1]
            self._canvas.rect(x, y, *size, stroke=0, fill=1)

    def _image(self, figure: Figure, x: float, y: float, per_unit: float) -> tuple[float, float]:
        """Place a picture; return its width and height."""
        picture = ImageReader(BytesIO(figure.png))
        columns, rows = picture.getSize()
        width, height = (pixels / SCALE * per_unit for pixels in (columns, rows))
        if self._canvas is not None:
            bottom = A4[1] - MARGIN - y - height
            self._canvas.drawImage(picture, MARGIN + x, bottom, width, height)
        return width, height

    def _heading(self, words: str, x: float, y: float, width: float = WIDTH) -> float:
        return self._words(_Print(8, MUTED, is_bold=True).set(words), x, y, width) + 2

    def _notice(self, y: float) -> float:
        words = _Print(7.5, CAUTION_INK).set(_short(self._content.notice))
        height = _height(words, WIDTH - 16) + 8
        self._box((0, y), (WIDTH, height), CAUTION)
        self._box((0, y + height - 0.7), (WIDTH, 0.7), CAUTION_EDGE)
        self._words(words, 8, y + 3.5, WIDTH - 16)
        return y + height

    def _title(self, y: float) -> float:
        half = WIDTH / 2
        title = _Print(12, is_bold=True).set(_short(self._content.title, 80))
        below = self._words(title, 0, y, half)
        if self._content.subject:
            subject = _Print(8.5, MUTED, is_right=True).set(_short(self._content.subject, 120))
            below = max(below, self._words(subject, half, y + 3, half))
        self._box((0, below + 5), (WIDTH, 0.7), RULE)
        return below + 5

    def _finding(self, y: float) -> float:
        content, x, below = self._content, 0.0, y
        if content.ring is not None:
            width, height = self._image(content.ring, 0, y, RING)
            x, below = width + GAP, y + height
        room = WIDTH - x
        y = self._words(_Print(16, is_bold=True).set(content.headline), x, y + 2, room) + 2
        if content.doubt:
            y = self._words(_Print(8, is_bold=True).set(_short(content.doubt)), x, y, room) + 2
        if content.advice != content.doubt:
            y = self._words(_Print(8.5).set(_short(content.advice)), x, y, room) + 3
        for share in content.shares:
            self._words(_Print(8).set(share.label), x, y, 90)
            self._box(
                (x + 95, y + 2.5),
                (150 * share.value, 6),
                condition_colour(share.condition, is_clear=not content.doubt),
            )
            y = self._words(_Print(8, is_right=True).set(share.said), x + 245, y, 45) + 1
        y = self._facts(content.facts, x, y + 3, (NAMES * self._size, room - NAMES * self._size))
        return max(y, below)

    def _refusal(self, y: float) -> float:
        content = self._content
        y = self._words(_Print(16, REFUSED_INK, is_bold=True).set(content.headline), 0, y, WIDTH)
        y = self._words(_Print(9).set(_short(content.doubt or "", 600)), 0, y + 4, WIDTH)
        y = self._words(_Print(9).set(content.advice), 0, y + 2, WIDTH)
        code = _Print(8, MUTED).set(f"{texts.REFUSAL_CODE} {content.code}")
        return self._words(code, 0, y + 2, WIDTH)

    def _facts(
        self, facts: Sequence[Fact], x: float, y: float, widths: tuple[float, float]
    ) -> float:
        """Set names and their values in two columns."""
        for fact in facts:
            name = _Print(self._size, MUTED).set(fact.name)
            value = _Print(self._size).set(_short(fact.value))
            ends = (
                self._words(name, x, y, widths[0] - 4),
                self._words(value, x + widths[0], y, widths[1]),
            )
            y = max(ends) + 0.5
        return y

    def _pictures(self, y: float) -> float:
        """Set the pictures side by side at one scale, their captions below."""
        shown, height = self._content.pictures, self._fitted.pictures
        if not shown:
            return y
        words = " ".join(f"{one.title}: {one.caption}" for one in shown)
        caption = _Print(CAPTION, MUTED).set(words)
        sizes = [[p / SCALE for p in ImageReader(BytesIO(one.png)).getSize()] for one in shown]
        widest = (WIDTH - GAP * (len(shown) - 1)) / sum(width for width, _ in sizes)
        tallest = max(tall for _, tall in sizes)
        per_unit = min(widest, height / tallest, LARGEST)
        x, gap = 0.0, (WIDTH - per_unit * sum(width for width, _ in sizes)) / max(len(shown) - 1, 1)
        for one, (width, _) in zip(shown, sizes):
            self._words(
                _Print(6.5, MUTED, is_bold=True).set(one.title), x, y, width * per_unit + gap
            )
            if height:
                self._image(one, x, y + 12, per_unit)
            x += width * per_unit + gap
        return self._words(caption, 0, y + 14 + tallest * per_unit, WIDTH)

    def _measured(self, y: float) -> float:
        content, x, below = self._content, 0.0, y
        if content.levels is None:
            return y
        if content.attenuation is not None:
            width, height = self._image(content.attenuation, 0, y, CHART)
            caption = _Print(5.5, MUTED).set(_short(content.attenuation.caption))
            below = self._words(caption, 0, y + height + 1, width)
            x = width + GAP
        return max(below, self._table(content.levels, x, y, WIDTH - x))

    def _table(self, table: Table, x: float, y: float, width: float) -> float:
        size = min(self._size, 6.5)
        rows = [[_short(cell, 40) for cell in row] for row in (table.head, *table.rows)]
        widths = _column_widths(rows, size, width)
        for number, row in enumerate(rows):
            look = _Print(size, MUTED if number == 0 else INK)
            at, ends = x, []
            for cell, room in zip(row, widths):
                ends.append(self._words(look.set(cell), at, y, room - CELL_GAP + 1))
                at += room
            y = max(ends) + 1.5
            self._box((x, y), (width, 0.4), RULE)
            y += 1.5
        return y

    def _reservations(self, y: float) -> float:
        """Set the reservations in two columns, of about the same height."""
        y = self._heading(texts.RESERVATIONS, 0, y)
        notes = self._content.reservations
        if not notes and not self._fitted.left_out:
            return self._words(_Print(self._size).set(texts.NO_RESERVATIONS), 0, y, WIDTH)
        width = (WIDTH - GAP) / 2
        set_ = [self._note(one) for one in notes]
        heights = [_height(one, width) + 1 for one in set_]
        first = next(
            (n for n in range(len(set_) + 1) if sum(heights[:n]) >= sum(heights) / 2), len(set_)
        )
        ends = [y]
        for x, column in ((0.0, set_[:first]), (width + GAP, set_[first:])):
            at = y
            for paragraph in column:
                at = self._words(paragraph, x, at, width) + 1
            ends.append(at)
        y = max(ends)
        if self._fitted.left_out:
            more = texts.MORE.format(count=self._fitted.left_out)
            y = self._words(_Print(self._size, is_bold=True).set(more), 0, y, WIDTH)
        return y

    def _note(self, note: Note) -> Paragraph:
        return _Print(self._size).set(note.text, tail=note.code)

    def _groups(self, y: float) -> float:
        """Set each group as a paragraph under its heading, side by side."""
        groups = self._content.groups
        width = (WIDTH - GAP * (len(groups) - 1)) / len(groups)
        ends = []
        for at, group in enumerate(groups):
            x = at * (width + GAP)
            below = self._heading(group.heading, x, y, width)
            facts = [f"{one.name}: {_short(one.value, SHORTEST)}" for one in group.facts]
            said = f" {texts.DOT} ".join(facts)
            ends.append(self._words(_Print(self._size).set(said), x, below, width))
        return max(ends)

    def _limits(self, y: float) -> float:
        y = self._heading(texts.LIMITS, 0, y)
        said = " ".join(texts.LIMITS_SENTENCES)
        return self._words(_Print(self._size, MUTED).set(said), 0, y, WIDTH)
