"""Where a tariff says so: the lines of its text, or the row of its table, that a step of a fare follows."""

import csv
import io
import re
from dataclasses import dataclass

from hansa.fares import TariffSource

LINES_MAX = 16
"""Lines of a clause that are shown; what goes on behind them is in the text."""


@dataclass(frozen=True, slots=True)
class Excerpt:
    """The lines of a clause, (number, text), from the text or from a table beside it. file: ``""`` for the text."""

    lines: tuple[tuple[int, str], ...]
    file: str = ""

    @property
    def first(self) -> int:
        """The number of its first line; 0 for nothing."""
        return self.lines[0][0] if self.lines else 0


def line_of(clause: str) -> int | None:
    """The line of the tariff's text that a clause names: 93 of ``cap[1] line 93``."""
    found = re.search(r"\bline (\d+)", clause)
    return int(found[1]) if found else None


def clause_lines(source: TariffSource, clause: str, *, zones: str = "") -> Excerpt:
    """The table of the text that a clause names, down to the next heading; nothing where it cannot be found.

    zones: of a ride, ``1-2``: where the clause's table has parts by zones, the one that names these is given too.
    """
    text = source.toml.splitlines()
    named = clause.partition(" ")[0].rstrip(",")
    start = line_of(clause) or _heading(text, named)
    if not start or not 1 <= start <= len(text):
        return Excerpt(())
    found = [(start, text[start - 1]), *_below(text, start)]
    span = _span(text, start, zones) if zones else 0
    if span and span > found[-1][0]:
        found += [(span, text[span - 1]), *_below(text, span)]
    return Excerpt(tuple(found[:LINES_MAX]))


def table_row(source: TariffSource, clause: str, origin: str, destination: str) -> Excerpt:
    """The heading and the row of the table beside the text that price a pair of stops; nothing where there is none."""
    file = clause.rpartition(", ")[2]
    text = source.tables.get(file)
    if text is None:
        return Excerpt(())
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        cells = next(csv.reader(io.StringIO(line)), [])
        if len(cells) > 1 and {_ends(cells[0], origin), _ends(cells[1], destination)} == {True}:
            return Excerpt(((1, lines[0]), (number, line)), file)
        if len(cells) > 1 and {_ends(cells[0], destination), _ends(cells[1], origin)} == {True}:
            return Excerpt(((1, lines[0]), (number, line)), file)
    return Excerpt(())


def _ends(cell: str, stop_id: str) -> bool:
    return cell == stop_id or stop_id.endswith("/" + cell)


def _heading(text: list[str], path: str) -> int:
    """The line of a table's heading by its path: ``basis``, ``cap[1]``."""
    name, _, place = path.partition("[")
    wanted = int(place.rstrip("]")) if place.rstrip("]").isdigit() else 0
    headings = [n for n, line in enumerate(text, 1) if line.strip() in (f"[{name}]", f"[[{name}]]")]
    return headings[wanted] if wanted < len(headings) else 0


def _below(text: list[str], start: int) -> list[tuple[int, str]]:
    """The lines after a heading that belong to it."""
    found: list[tuple[int, str]] = []
    for number, line in enumerate(text[start:], start + 1):
        if line.lstrip().startswith("[") and not line.startswith(" "):
            break
        found.append((number, line))
    while found and not found[-1][1].strip():
        found.pop()
    return found


def _span(text: list[str], start: int, zones: str) -> int:
    """The heading of the part below that names these zones in its ``zones``."""
    heading = 0
    for number, line in enumerate(text[start:], start + 1):
        bare = line.strip()
        if bare.startswith("[") and not bare.startswith(("[basis", "[[basis", "[fare", "[[fare")):
            return 0
        if bare.startswith("["):
            heading = number
        elif bare.startswith("zones") and f'"{zones}"' in bare:
            return heading
    return 0
