"""Tariffs on their way in the demonstration: one that two persons put on the calendar, and one that waits for a second.

Everything hangs on the day that is ridden and on nothing else, so doing it again after a crash finds it done.
"""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from hansa import rides
from hansa.kernel import Money, fact_id
from hansa.store import Context

WRITER, APPROVER = "demo:Ada", "demo:Bo"
SCHEDULED = "hangzhou-metro"
WAITING = "london-tfl"


@dataclass(frozen=True, slots=True)
class NewTariff:
    """What the closing page tells of it: the comparison is over the day that was ridden.

    waiting: the operator whose proposal nobody has approved yet.
    """

    operator_id: str
    first_day: date
    journeys: int
    before: Money
    after: Money
    better: int
    same: int
    worse: int
    waiting: str


def put_on_the_calendar(ctx: Context, day: date) -> NewTariff:
    """Ada writes two tariffs for the next summer, Bo approves one; it is compared with what holds on the day."""
    first_day, now = date(day.year + 1, 7, 1), ctx.clock.now()
    short_dearer = _changed(
        SCHEDULED, first_day, (('fare = "2.00"', 'fare = "2.50"'), ('fare = "6.00"', 'fare = "5.50"'))
    )
    zone_1 = ('fare = { peak = "2.90", off-peak = "2.80" }', 'fare = { peak = "3.10", off-peak = "2.90" }')
    wanted = (
        (SCHEDULED, short_dearer, "Short rides dearer, long ones cheaper"),
        (WAITING, _changed(WAITING, first_day, (zone_1,)), "Zone 1 dearer"),
    )
    with ctx.tx() as tx:
        before = rides.get_tariff(tx, SCHEDULED, day)
        known = {one.proposal_id for one in rides.list_proposals(tx, now)}
        for operator, source, note in wanted:
            proposal_id = _id(operator, day)
            if proposal_id not in known:
                rides.propose_tariff(
                    tx, proposal_id, operator_id=operator, source=source, by=WRITER, at=now, note=note
                )
        told = rides.get_proposal(tx, _id(SCHEDULED, day), now)
        if told.state == "proposed":
            rides.approve_tariff(
                tx, told.proposal_id, by=APPROVER, at=now, why="Agreed with the city council"
            )
    after = rides.read_source(short_dearer)
    with ctx.tx() as tx:
        found = rides.compare_tariffs(tx, before, after, first_day=day, last_day=day, journeys_max=10_000_000)
    return NewTariff(
        SCHEDULED,
        first_day,
        found.journeys,
        Money(found.before_minor, found.currency),
        Money(found.after_minor, found.currency),
        found.better,
        found.same,
        found.worse,
        WAITING,
    )


def _id(operator: str, day: date) -> UUID:
    return fact_id(None, "demo tariff", operator, day.isoformat())


def _changed(operator: str, first_day: date, amounts: tuple[tuple[str, str], ...]) -> rides.TariffSource:
    """The tariff that comes with Hansa, from another day on and with other amounts."""
    source = rides.read_tariff(rides.tariff_folder(operator)).source
    lines = [
        f"valid_from = {first_day}" if line.startswith("valid_from") else line
        for line in source.toml.splitlines()
    ]
    toml = "\n".join(lines) + "\n"
    for old, new in amounts:
        assert old in toml, "the tariff has this amount"
        toml = toml.replace(old, new, 1)
    return rides.TariffSource(toml, source.tables)
