"""Where a tariff says so: the lines of its text, or the row of its table, that a step of a fare follows."""

import re
from dataclasses import dataclass

from hansa.fares import TariffSource

LINES_MAX = 16
"""Lines of a clause that are shown; what goes on behind them is in the text."""

_ROW = re.compile(r", (.+) line (\d+)$")
"""How a clause names a row: ``basis line 29, fares.csv line 12``."""


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


def clause_lines(source: TariffSource, clause: str) -> Excerpt:
    """The table of the text that a clause names, down to the next heading; nothing where it cannot be found."""
    text = source.toml.splitlines()
    named = clause.partition(" ")[0].rstrip(",")
    start = line_of(clause) or _heading(text, named)
    if not start or not 1 <= start <= len(text):
        return Excerpt(())
    found = [(start, text[start - 1]), *_below(text, start)]
    return Excerpt(tuple(found[:LINES_MAX]))


def table_row(source: TariffSource, clause: str) -> Excerpt:
    """The heading and the row of the table beside the text that a clause names; nothing where it names none."""
    found = _ROW.search(clause)
    text = source.tables.get(found[1]) if found is not None else None
    if found is None or text is None:
        return Excerpt(())
    lines, number = text.split("\n"), int(found[2])
    if not 1 < number <= len(lines):
        return Excerpt(())
    return Excerpt(tuple((one, lines[one - 1].rstrip("\r")) for one in (1, number)), found[1])


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
