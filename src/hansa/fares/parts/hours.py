"""Time bands: hours with prices of their own."""

from dataclasses import dataclass, field
from datetime import time

from hansa.fares.parts.condition import TAPS, Condition, read_condition
from hansa.fares.parts.price import ANY_TIME
from hansa.fares.tables import Table


@dataclass(frozen=True)
class TimeBand:
    """Hours with a price of their own, by local wall time.

    days: ``mon`` to ``sun``; a holiday is none of them but ``holiday``. unless_into: a journey that begins outside
        these zones and ends in one of them is not in this band. tap: whose time counts: ``entry``, ``exit``, or the
        ``first`` of a trip of joined rides and transfers.
    condition: the band is of these rides only.
    """

    name: str
    days: frozenset[str]
    starts: time
    ends: time
    unless_into: frozenset[str] = frozenset()
    tap: str = "entry"
    condition: Condition = field(default_factory=Condition)
    clause: str = ""

    def hold(self, day_type: str, clock: time) -> bool:
        """Whether a tap at this time is in the band."""
        return day_type in self.days and self.starts <= clock and (clock < self.ends or self.ends == time.max)


_OWN = frozenset({"days", "from", "to", "tap", "bands", "zones", "classes"})
"""What a band says by itself, or what hangs on it."""


def read_bands(top: Table) -> tuple[tuple[TimeBand, ...], str]:
    """The ``[[band]]`` tables and ``default_band``."""
    bands: list[TimeBand] = []
    for item in top.tables("band"):
        name = item.word("name")
        days, starts, ends = item.day_types("days"), item.clock("from"), item.clock("to")
        if starts >= ends:
            item.wrong("to", "is not after from", "Split a band at midnight into two")
        tap = item.choice("tap", TAPS, required=False, default="entry")
        into = frozenset(item.words("unless_into"))
        condition = read_condition(item, leave=_OWN)
        bands.append(TimeBand(name, days, starts, ends, into, tap, condition, item.clause))
        item.done()
    default = top.word("default_band", required=bool(bands))
    top.reading.bands = frozenset({band.name for band in bands} | ({default} if default else set()))
    top.reading.default_band = default or ANY_TIME
    return tuple(bands), default
