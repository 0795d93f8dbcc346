"""A flat basis: every ride costs the same, or the same on a line."""

from collections.abc import Mapping
from dataclasses import dataclass

from hansa.fares.parts.price import FREE, Price
from hansa.fares.parts.ride import Found, Ride, Unpriceable
from hansa.fares.tables import Table


@dataclass(frozen=True, slots=True)
class FlatBasis:
    """Every ride costs the same."""

    price: Price
    clause: str = ""

    def find(self, ride: Ride) -> Found:  # noqa: ARG002  (as every basis)
        """The price."""
        return Found("flat", self.price, clause=self.clause)


@dataclass(frozen=True, slots=True)
class LineBasis:
    """A price for each line."""

    prices: Mapping[str, Price]
    clause: str = ""

    def find(self, ride: Ride) -> Found:
        """The line's price. Errors: Unpriceable for a line that is not named."""
        price = None if ride.line_id is None else self.prices.get(ride.line_id)
        if price is None:
            if not ride.line_id:
                raise Unpriceable("no_line_fare_unknown")
            raise Unpriceable("no_line_fare", {"line": ride.line_id})
        return Found("line", price, {"line": ride.line_id or ""}, clause=self.clause)


def read_flat(table: Table, classes: frozenset[str]) -> FlatBasis:
    """``kind = "flat"``."""
    return FlatBasis(table.price("fare", classes=classes) or FREE, table.clause)


def read_lines(table: Table, classes: frozenset[str]) -> LineBasis:
    """``kind = "lines"``: ``[basis.line]`` has one price for each line."""
    inner = table.table("line")
    prices = {line: inner.price(line, classes=classes) or FREE for line in inner.raw}
    inner.done()
    if inner.present and not prices:
        inner.wrong("", "names no line", 'Write "city/line" = "1.00"')
    return LineBasis(prices, table.clause)
