"""How an operator's taps become journeys: what its gates, vehicles and stations need beyond entry and exit."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from hansa.fares.parts.links import Join, Transfer
from hansa.fares.tables import Table

NOTHING = timedelta()
LATE = timedelta(hours=1)
"""A tap that comes this long after it was made is noted as late, where the tariff says nothing else."""


@dataclass(frozen=True, slots=True)
class StatedRules:
    """Which missing ends a rider may state.

    per_month: how many in a calendar month; 0 leaves it to the operator's clerks. within: how long after the journey.
    speed_max_kmh: faster than this over the network from end to end, nobody travels.
    """

    per_month: int = 0
    within: timedelta = timedelta(days=14)
    speed_max_kmh: int = 150


@dataclass(frozen=True, slots=True)
class PairingRules:
    """What makes taps one journey; without a word in the tariff, an exit answers the entry before it and no more.

    journey_max: an exit later than this after its entry does not answer it.
    double: taps of one reader's side within this are one. vehicle_change: boarding the same line again, at another
        reader, within this goes on with the ride. reentry: coming back in where one left within this goes on.
    same_stop_max: who leaves where they entered after more than this has been somewhere: the journey is incomplete.
    tap_off: products that are boarded and left with a tap on the vehicle. interchange: stops where a ``board`` tap of
        no line proves the way through and is no ride.
    walks: (out at, in at, within, clause) of the tariff's joins and transfers, so that they can be told of.
    late: a tap that comes later than this is noted. currency: of the notes, which move no money.
    """

    journey_max: timedelta = timedelta(hours=2)
    double: timedelta = NOTHING
    vehicle_change: timedelta = NOTHING
    reentry: timedelta = NOTHING
    same_stop_max: timedelta | None = None
    tap_off: frozenset[str] = frozenset()
    interchange: frozenset[str] = frozenset()
    walks: tuple[tuple[str, str, timedelta, str], ...] = ()
    late: timedelta = LATE
    stated: StatedRules = StatedRules()
    currency: str = "EUR"
    clause: str = ""
    journey_clause: str = "journey"

    @property
    def plain(self) -> bool:
        """Whether entries and exits are all there is to look at."""
        return not (self.double or self.vehicle_change or self.reentry or self.tap_off or self.interchange)

    @property
    def decides(self) -> tuple[object, ...]:
        """All that journeys hang on; the rest is told with them. Two versions that say the same pair the same."""
        return (
            *(self.journey_max, self.double, self.vehicle_change, self.reentry),
            *(self.same_stop_max, self.tap_off, self.interchange),
        )


PLAIN = PairingRules()
"""Entry and exit, two hours."""


def read_pairing(
    table: Table, journey: Table, journey_max: timedelta, joins: Iterable[Join], transfers: Iterable[Transfer]
) -> PairingRules:
    """``[pairing]`` and, inside it, ``[pairing.stated]``; both may be left out."""
    stated = table.table("stated", required=False)
    most = int(journey_max.total_seconds()) // 60
    rules = PairingRules(
        journey_max=journey_max,
        double=timedelta(seconds=table.whole("double_seconds", 0, 300, required=False)),
        vehicle_change=_minutes(table, "vehicle_change_minutes", most // 2, "half a journey"),
        reentry=_minutes(table, "reentry_minutes", most),
        same_stop_max=_minutes(table, "same_stop_minutes", most) if "same_stop_minutes" in table else None,
        tap_off=frozenset(table.words("tap_off")),
        interchange=frozenset(table.words("interchange_stops")),
        walks=_walks(joins, transfers, journey_max),
        late=timedelta(minutes=table.whole("late_minutes", 1, 1_440, required=False, default=60)),
        stated=_stated(stated),
        currency=table.reading.currency or PLAIN.currency,
        clause=table.clause if table.present else "",
        journey_clause=journey.clause,
    )
    stated.done()
    table.done()
    return rules


def _minutes(table: Table, key: str, most: int, of: str = "a journey may be") -> timedelta:
    """A time that cannot be longer than the longest journey, or than half of it."""
    minutes = table.whole(key, 0, 1_440, required=False)
    if most and minutes > most:
        table.wrong(key, f"is longer than {of}", f"Write at most {most}, or raise max_minutes")
    return timedelta(minutes=minutes)


def _stated(table: Table) -> StatedRules:
    if not table.present:
        return StatedRules()
    return StatedRules(
        per_month=table.whole("per_month", 0, 100),
        within=timedelta(days=table.whole("within_days", 1, 366, required=False, default=14)),
        speed_max_kmh=table.whole("speed_max_kmh", 5, 1_000, required=False, default=150),
    )


def _walks(
    joins: Iterable[Join], transfers: Iterable[Transfer], journey_max: timedelta
) -> tuple[tuple[str, str, timedelta, str], ...]:
    """Every named way on foot, with the longest time that a rule gives it."""
    found: dict[tuple[str, str], tuple[timedelta, str]] = {}
    for at, within, clause in (
        *((one.at, one.within, one.clause) for one in joins),
        *((one.at, one.window, one.clause) for one in transfers),
    ):
        for pair in at:
            longest = min(within, journey_max)
            if pair not in found or found[pair][0] < longest:
                found[pair] = longest, clause
    return tuple((out, into, *found[out, into]) for out, into in sorted(found))
