"""Paper: A4 pages with tables, drawn straight on the canvas; the same values give the same bytes.

A statement may have a thousand lines and a league hundreds of statements, so nothing is laid out twice. Chinese is set
in the Song face that PDF readers bring along (a CID font), so no font file is needed; Latin in Helvetica.
"""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

MARGIN = 48.0
LINE = 14.0
FOOT = 56.0
SEA, QUIET, RULE, BAND = (0.04, 0.18, 0.27), (0.29, 0.38, 0.45), (0.82, 0.87, 0.9), (0.95, 0.97, 0.98)

_SONG = "STSong-Light"
_RUNS = re.compile(
    r"[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef\u3000-\u303f]+|[^\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef\u3000-\u303f]+"
)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table. width: a share of the page. right: whether its cells stand at the right, as figures do."""

    words: str
    width: float
    right: bool = False


class Paper:
    """A document being drawn from top to bottom; a new page begins where one is full."""

    def __init__(self, title: str, running_head: str, foot: str, page_words: str) -> None:
        from reportlab.lib.pagesizes import A4
        from reportlab.pdfgen.canvas import Canvas

        _register_song()
        self._made = io.BytesIO()
        self._canvas: Any = Canvas(self._made, pagesize=A4, invariant=1, pageCompression=1)
        self._canvas.setTitle(title)
        self._canvas.setAuthor("Hansa")
        self._width, self._height = A4
        self._head, self._foot, self._page_words = running_head, foot, page_words
        self._page = 0
        self._y = 0.0
        self._colour: tuple[float, float, float] | None = None
        self._hand: tuple[str, float] | None = None
        self._begin_page()

    @property
    def room(self) -> float:
        """Points between the margins."""
        return self._width - 2 * MARGIN

    def heading(self, words: str, size: float = 18) -> None:
        """A heading; it stays with at least some lines of what follows."""
        self._need(size + 3 * LINE)
        self._y -= size * 0.9
        self._text(MARGIN, words, size, bold=True, colour=SEA)
        self._y -= size * 0.55

    def text(self, words: str, size: float = 9.5) -> None:
        """A line of words, broken where it is too long."""
        for line in self._broken(words, size, self.room):
            self._need(LINE)
            self._y -= LINE * 0.85
            self._text(MARGIN, line, size, colour=QUIET)
            self._y -= LINE * 0.15

    def space(self, points: float = 8) -> None:
        """Leave some room."""
        self._y -= points

    def facts(self, facts: Sequence[tuple[str, str]], *, columns: int = 2) -> None:
        """What something is, beside its names, in columns."""
        width = self.room / columns
        for start in range(0, len(facts), columns):
            row = facts[start : start + columns]
            broken = [self._broken(value, 9.5, width - 108) for _, value in row]
            lines = max(map(len, broken))
            self._need(lines * LINE)
            for line in range(lines):
                self._y -= LINE * 0.85
                for place, (name, _) in enumerate(row):
                    x = MARGIN + place * width
                    if line == 0:
                        self._text(x, name, 8.5, colour=QUIET)
                    if line < len(broken[place]):
                        self._text(x + 96, broken[place][line], 9.5)
                self._y -= LINE * 0.15

    def table(
        self,
        columns: Sequence[Column],
        rows: Sequence[Sequence[str]],
        *,
        foot: Sequence[str] | None = None,
    ) -> None:
        """A table with its head on each page; long words are cut with an ellipsis. foot: its last line, in bold."""
        edges = [MARGIN]
        for column in columns:
            edges.append(edges[-1] + column.width * self.room / sum(one.width for one in columns))
        self._table_head(columns, edges)
        for number, row in enumerate(rows):
            if self._y - LINE < FOOT:
                self._begin_page()
                self._table_head(columns, edges)
            if number % 2:
                self._fill(BAND)
                self._canvas.rect(MARGIN, self._y - LINE, self.room, LINE, stroke=0, fill=1)
            self._row(columns, edges, row)
        if foot is not None:
            self._need(LINE)
            self._rule(self._y)
            self._row(columns, edges, foot, bold=True)
        self._y -= 8

    def squares(self, rows: Sequence[Sequence[bool]], side: float) -> None:
        """A picture of dark and light squares, such as a QR code, ``side`` points wide, at the left margin."""
        self._need(side)
        one = side / max(1, len(rows))
        self._fill((0.0, 0.0, 0.0))
        for y, row in enumerate(rows):
            for x, dark in enumerate(row):
                if dark:
                    self._canvas.rect(MARGIN + x * one, self._y - (y + 1) * one, one, one, stroke=0, fill=1)
        self._y -= side

    def finish(self) -> bytes:
        """The document."""
        self._end_page()
        self._canvas.save()
        return self._made.getvalue()

    # --- drawing

    def _table_head(self, columns: Sequence[Column], edges: Sequence[float]) -> None:
        self._need(2 * LINE)
        self._row(columns, edges, [column.words for column in columns], bold=True, size=8, colour=QUIET)
        self._rule(self._y)

    def _row(
        self,
        columns: Sequence[Column],
        edges: Sequence[float],
        cells: Sequence[str],
        *,
        bold: bool = False,
        size: float = 8.5,
        colour: tuple[float, float, float] = (0.05, 0.15, 0.21),
    ) -> None:
        self._y -= LINE * 0.72
        for place, (column, cell) in enumerate(zip(columns, cells, strict=True)):
            words = _cut(cell, size, round(edges[place + 1] - edges[place] - 8, 3), bold)
            if column.right:
                self._text(edges[place + 1] - 4 - width_of(words, size, bold), words, size, bold, colour)
            else:
                self._text(edges[place] + 4, words, size, bold, colour)
        self._y -= LINE * 0.28

    def _text(
        self,
        x: float,
        words: str,
        size: float,
        bold: bool = False,
        colour: tuple[float, float, float] = (0.05, 0.15, 0.21),
    ) -> None:
        self._fill(colour)
        for run in _RUNS.findall(_plain(words)):
            hand = _font(run, bold), size
            if hand != self._hand:
                self._canvas.setFont(*hand)
                self._hand = hand
            self._canvas.drawString(x, self._y, run)
            x += width_of(run, size, bold)

    def _fill(self, colour: tuple[float, float, float]) -> None:
        """Say a colour only where it changes: a page of figures says it once and not two hundred times."""
        if colour != self._colour:
            self._canvas.setFillColorRGB(*colour)
            self._colour = colour

    def _broken(self, words: str, size: float, width: float) -> list[str]:
        lines, line = [], ""
        for part in re.findall(r"\S+\s*|\s+", words) or [""]:
            pieces = [part] if width_of(line + part, size) <= width or not _is_wide(part) else list(part)
            for piece in pieces:
                if line and width_of((line + piece).rstrip(), size) > width:
                    lines.append(line.rstrip())
                    line = ""
                line += piece
        return [*lines, line.rstrip()]

    def _rule(self, y: float) -> None:
        self._canvas.setStrokeColorRGB(*RULE)
        self._canvas.setLineWidth(0.7)
        self._canvas.line(MARGIN, y, MARGIN + self.room, y)

    def _need(self, points: float) -> None:
        if self._y - points < FOOT:
            self._begin_page()

    def _begin_page(self) -> None:
        if self._page:
            self._end_page()
        self._page += 1
        self._y = self._height - 34
        self._colour, self._hand = None, None
        self._fill(SEA)
        self._canvas.rect(0, self._height - 8, self._width, 8, stroke=0, fill=1)
        self._text(MARGIN, self._head, 8.5, colour=QUIET)
        self._y = self._height - 62

    def _end_page(self) -> None:
        self._y = 30
        self._rule(42)
        self._text(MARGIN, self._foot, 7.5, colour=QUIET)
        words = f"{self._page_words} {self._page}"
        self._text(self._width - MARGIN - width_of(words, 7.5), words, 7.5, colour=QUIET)
        self._canvas.showPage()


@lru_cache(maxsize=20_000)
def width_of(words: str, size: float, bold: bool = False) -> float:
    """Points that words take. A wide character is as wide as it is high."""
    from reportlab.pdfbase.pdfmetrics import stringWidth

    return sum(
        len(run) * size if _is_wide(run) else stringWidth(run, _font(run, bold), size)
        for run in _RUNS.findall(_plain(words))
    )


@lru_cache(maxsize=20_000)
def _cut(words: str, size: float, width: float, bold: bool) -> str:
    if width_of(words, size, bold) <= width:
        return words
    while words and width_of(words + "...", size, bold) > width:
        words = words[:-1]
    return words + "..."


def _font(run: str, bold: bool) -> str:
    if _is_wide(run):
        return _SONG
    return "Helvetica-Bold" if bold else "Helvetica"


def _is_wide(run: str) -> bool:
    return bool(run) and (run[0] >= "\u2e80")


def _plain(words: str) -> str:
    """Words in characters that the faces have; what neither has is a question mark."""
    if words.isascii():
        return words
    words = words.replace("\u2212", "-").replace("\u2192", ">").replace("\u202f", " ")
    return "".join(
        one if one >= "\u2e80" else one.encode("cp1252", "replace").decode("cp1252") for one in words
    )


@cache
def _register_song() -> None:
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont

    pdfmetrics.registerFont(UnicodeCIDFont(_SONG))
