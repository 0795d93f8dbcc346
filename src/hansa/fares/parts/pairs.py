"""A basis by a table of pairs of stops, or of their fare zones."""

import csv
import io
import re
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hansa.fares.parts.price import ANY_TIME, Price
from hansa.fares.parts.ride import Found, Ride, Unpriceable
from hansa.fares.tables import WORD, Table

Columns = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class PairBasis:
    """By a table of pairs.

    rows: the line of each pair's row in the file. prices: the different ones; fares: which of them stands on a line.
    symmetric: one row serves both ways, and may be followed by an equal one for the way back. ways: the lines of rows
    for who is proved to have come through a stop, by (origin, destination, that stop); the other rows are for everybody
    else.
    """

    rows: Mapping[tuple[str, str], int]
    fares: Sequence[int]
    prices: Sequence[Price]
    symmetric: bool = True
    by_zone: bool = False
    clause: str = ""
    ways: Mapping[tuple[str, str, str], int] = field(default_factory=dict[tuple[str, str, str], int])

    def line_of(self, origin: str, destination: str, via: Sequence[str] = ()) -> int | None:
        """The line of the row for this pair, or None; of those for a way that is proved the first in the file."""
        if via and self.ways:
            ends = [(origin, destination), *([(destination, origin)] if self.symmetric else [])]
            keys = [(*pair, stop) for stop in via for pair in ends]
            if lines := [self.ways[key] for key in keys if key in self.ways]:
                return min(lines)
        line = self.rows.get((origin, destination))
        return self.rows.get((destination, origin)) if line is None and self.symmetric else line

    def find(self, ride: Ride) -> Found:
        """The pair's row. Errors: Unpriceable when there is none."""
        origin, destination = ride.ends()
        if self.by_zone:
            for stop in (origin, destination):
                if not ride.zones_of(stop):
                    raise Unpriceable("no_zone", {"stop": ride.name_of(stop)})
            origin, destination = "/".join(ride.zones_of(origin)), "/".join(ride.zones_of(destination))
        line = self.line_of(origin, destination, ride.via)
        if line is None:
            raise Unpriceable("no_row", {"origin": origin, "destination": destination})
        return Found("pair", self.prices[self.fares[line]], clause=f"{self.clause} line {line}")


def read_pairs(table: Table, classes: frozenset[str]) -> PairBasis:
    """``kind = "pairs"``."""
    name = table.text("file")
    minor = table.choice("amounts", ("minor", "major")) == "minor"
    symmetric = table.flag("symmetric", default=True)
    by_zone = "by" in table and table.choice("by", ("stop", "zone")) == "zone"
    prefix = table.text("prefix") if "prefix" in table else ""
    text = table.reading.tables.get(name)
    if text is None:
        table.wrong(
            "file", f"{name!r} is not there", "Put the CSV file beside tariff.toml, named without folders"
        )
        return PairBasis({}, (), (), symmetric, by_zone)
    rows = _PairRows(table, name, minor=minor, symmetric=symmetric, prefix=prefix)
    rows.read(text, classes)
    if by_zone and rows.ways:
        rows.wrong(1, "via", "stands in a table of zones", 'Write by = "stop", or leave the column out')
    prices = [Price(dict(zip(rows.columns, row, strict=False))) for row in rows.fares]
    return PairBasis(
        rows.rows, rows.by_line, prices, symmetric, by_zone, f"{table.clause}, {name}", rows.ways
    )


class _PairRows:
    """A table of pairs while it is read."""

    def __init__(self, table: Table, file: str, *, minor: bool, symmetric: bool, prefix: str) -> None:
        self.reading, self.file = table.reading, file
        self.minor, self.symmetric, self.prefix = minor, symmetric, prefix
        self.columns: Columns = ()
        self.rows: dict[tuple[str, str], int] = {}
        self.ways: dict[tuple[str, str, str], int] = {}
        self._first = 2  # the column in which the amounts begin
        self.by_line = array("I")  # a large table says few stops and few fares again and again
        self.fares: list[tuple[int, ...]] = []
        self._names: dict[str, str] = {}
        self._known: dict[tuple[str, ...], int] = {}

    def wrong(self, line: int, field: str, what: str, remedy: str) -> None:
        self.reading.wrong(f"{self.file} line {line}, field {field}", what, remedy)

    def read(self, text: str, classes: frozenset[str]) -> None:
        before = len(self.reading.problems)
        lines = csv.reader(io.StringIO(text), strict=True)
        try:
            header = next(lines, [])
            if header[:2] != ["origin", "destination"]:
                what = "the first two columns are not origin and destination"
                self.wrong(1, "origin", what, "Begin with that header")
                return
            if header[2:3] == ["via"]:
                self._first = 3
            self.columns = tuple(self._column(name) for name in header[self._first :])
            self._missing_columns(classes)
            for cells in lines:
                if cells:
                    self._row(lines.line_num, header, cells)
        except csv.Error as error:
            self.wrong(lines.line_num, "origin", f"not CSV: {error}", "Close every quote")
        if not self.rows and len(self.reading.problems) == before:
            self.wrong(1, "origin", "there is no row", "Write a row for each pair of stops")

    def _column(self, name: str) -> tuple[str, str]:
        column, _, band = name.partition("@")
        rider_class, _, medium = column.partition("/")
        reading = self.reading
        if (
            rider_class not in reading.classes
            or (band and band not in reading.bands)
            or (medium and medium not in reading.media)
        ):
            remedy = "Name columns adult, child, senior, student, or child@peak"
            if reading.media:
                remedy += f", or adult/{reading.media[0]}"
            self.wrong(1, name, "is no rider class", remedy)
        return band or ANY_TIME, column

    def _missing_columns(self, classes: frozenset[str]) -> None:
        bands, media = self.reading.bands, self.reading.media
        price = Price(dict.fromkeys(self.columns, 0))
        need = self.reading.own if not classes else frozenset({"adult"})
        for name in sorted(need):
            whole = all(
                price.find(band, name) is not None
                or (media and all(price.find(band, name, medium) is not None for medium in media))
                for band in bands or {ANY_TIME}
            )
            if not whole and not (classes and any(column in classes for _, column in self.columns)):
                self.wrong(1, name, "this class pays by its own column and has none", "Add the column")

    def _row(self, line: int, header: list[str], cells: list[str]) -> None:
        if len(cells) != len(header):
            self.wrong(
                line, "origin", f"has {len(cells)} cells, not {len(header)}", "One cell for each column"
            )
            return
        origin, destination = self._name(cells[0]), self._name(cells[1])
        if not (origin and destination):
            self.wrong(line, "origin", "is no stop id", "Write it as the network does: beijing/xizhimen")
            return
        pair, written = (origin, destination), tuple(cells[self._first :])
        fare = self._known.get(written)
        if fare is None:
            before = len(self.reading.problems)
            fare = len(self.fares)
            self.fares.append(self._amounts(line, header, written))
            if len(self.reading.problems) == before:  # what is wrong is told of every row
                self._known[written] = fare
        if self._first == 3 and cells[2]:
            self._way(line, pair, cells[2], fare)
        else:
            back = self.rows.get((destination, origin)) if self.symmetric else None
            self._once(line, "destination", "this pair has two fares", self.rows.get(pair), back, fare)
            self.rows[pair] = line
        self.by_line.extend([0] * (line + 1 - len(self.by_line)))
        self.by_line[line] = fare

    def _way(self, line: int, pair: tuple[str, str], cell: str, fare: int) -> None:
        """A row for who is proved to have come through a stop."""
        via = self._name(cell)
        if not via:
            self.wrong(line, "via", "is no stop id", "Write it as the network does: beijing/xizhimen")
            return
        (origin, destination), what = pair, "this pair has two fares by this way"
        back = self.ways.get((destination, origin, via)) if self.symmetric else None
        self._once(line, "via", what, self.ways.get((origin, destination, via)), back, fare)
        self.ways[origin, destination, via] = line

    def _once(self, line: int, field: str, what: str, same: int | None, back: int | None, fare: int) -> None:
        """A pair stands once; where one row serves both ways, once more the other way with equal amounts.

        same, back: the lines of this pair's row above and of that the other way, where there is one.
        """
        if same is not None:
            self.wrong(line, field, what, "Leave one row")
        elif back is not None and self.fares[self.by_line[back]] != self.fares[fare]:
            remedy = f"Line {back} has another for the way back: write symmetric = false if the ways differ"
            self.wrong(line, field, what, remedy)

    def _name(self, cell: str) -> str:
        """A stop or zone with the prefix; empty where it is none."""
        name = self._names.get(cell)
        if name is None:
            name = self._names[cell] = self.prefix + cell if WORD.fullmatch(cell) else ""
        return name

    def _amounts(self, line: int, header: list[str], written: tuple[str, ...]) -> tuple[int, ...]:
        amounts: list[int] = []
        for column, cell in zip(header[self._first :], written, strict=True):
            amount = self._amount(cell)
            if amount is None:
                remedy = "Write digits only" if self.minor else "Write 12.50"
                self.wrong(line, column, f"{cell!r} is no amount", remedy)
            amounts.append(amount or 0)
        return tuple(amounts)

    def _amount(self, cell: str) -> int | None:
        if self.minor:
            return int(cell) if re.fullmatch(r"\d{1,12}", cell) else None
        return self.reading.minor(cell)
