"""Metres between stops as an operator publishes them, where fares go by those and not by what the network measures."""

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass

from hansa.fares.parts.ride import Unpriceable
from hansa.fares.tables import WORD, Table

_METRES_MAX = 10_000_000


@dataclass(frozen=True, slots=True)
class MetresTable:
    """Metres by pair of stops. symmetric: one row serves both ways. file: where they stand."""

    rows: Mapping[tuple[str, str], int]
    symmetric: bool = True
    file: str = ""

    def metres(self, origin: str, destination: str) -> int:
        """Metres of a pair; a stop is no metres from itself. Errors: Unpriceable when there is no row."""
        found = self.rows.get((origin, destination))
        if found is None and self.symmetric:
            found = self.rows.get((destination, origin))
        if found is None and origin == destination:
            return 0
        if found is None:
            raise Unpriceable("no_metres_row", {"origin": origin, "destination": destination})
        return found


def read_metres(table: Table) -> MetresTable:
    """``file``, ``prefix`` and ``symmetric`` beside ``measure = "table"``: a CSV of origin,destination,metres."""
    name = table.text("file")
    prefix = table.text("prefix") if "prefix" in table else ""
    symmetric = table.flag("symmetric", default=True)
    text = table.reading.tables.get(name)
    rows: dict[tuple[str, str], int] = {}
    if text is None:
        what = f"{name!r} is not there"
        table.wrong("file", what, "Put the CSV file beside tariff.toml, named without folders")
        return MetresTable(rows, symmetric, name)

    def wrong(line: int, field: str, what: str, remedy: str) -> None:
        table.reading.wrong(f"{name} line {line}, field {field}", what, remedy)

    lines = csv.reader(io.StringIO(text), strict=True)
    try:
        if next(lines, []) != ["origin", "destination", "metres"]:
            wrong(1, "origin", "the columns are not origin, destination, metres", "Begin with that header")
            return MetresTable(rows, symmetric, name)
        for cells in lines:
            if not cells:
                continue
            line = lines.line_num
            if len(cells) != 3 or not (WORD.fullmatch(cells[0]) and WORD.fullmatch(cells[1])):
                wrong(line, "origin", "is no row of two stops and metres", "Write city/one,city/two,1500")
                continue
            if not re.fullmatch(r"\d{1,8}", cells[2], re.ASCII) or int(cells[2]) > _METRES_MAX:
                wrong(line, "metres", f"{cells[2]!r} is no number of metres", f"Write 0 to {_METRES_MAX}")
                continue
            pair = prefix + cells[0], prefix + cells[1]
            back = rows.get((prefix + cells[1], prefix + cells[0])) if symmetric else None
            if pair in rows:
                wrong(line, "destination", "this pair has two distances", "Leave one row")
            elif back is not None and back != int(cells[2]):
                remedy = f"It is {back} the other way: write symmetric = false if the ways differ"
                wrong(line, "destination", "this pair has two distances", remedy)
            rows[pair] = int(cells[2])
    except csv.Error as error:
        wrong(lines.line_num, "origin", f"not CSV: {error}", "Close every quote")
    return MetresTable(rows, symmetric, name)
