"""A missing tap: what a journey costs of which one end is not known."""

from dataclasses import dataclass

from hansa.fares.parts.price import Price
from hansa.fares.tables import Table


@dataclass(frozen=True, slots=True)
class Incomplete:
    """What a journey with a missing tap costs.

    price: a stated amount; None is the highest fare there is from the known stop.
    counts: whether it counts towards tiers and is taken into caps.
    habit_percent, habit_rides: the rider's usual other end is taken where at least this share of at least so many
        earlier rides from the known stop went there; 0 asks for no habit.
    """

    price: Price | None = None
    counts: bool = False
    habit_percent: int = 0
    habit_rides: int = 0
    clause: str = ""


def read_incomplete(table: Table) -> Incomplete:
    """``[incomplete]``."""
    highest = table.raw.get("fare") == "highest"
    table.known("fare")
    habit = table.table("habit", required=False)
    incomplete = Incomplete(
        price=None if highest else table.price("fare"),
        counts=table.flag("counts", default=False),
        habit_percent=habit.whole("percent", 51, 100) if habit.present else 0,
        habit_rides=habit.whole("rides", 2, 1_000) if habit.present else 0,
        clause=table.clause,
    )
    habit.done()
    table.done()
    return incomplete
