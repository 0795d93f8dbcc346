"""What two persons decide before the day: fees between two cities, and a second settlement model.

Everything hangs on the day that is ridden and on nothing else, so doing it again after a crash finds it done.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from hansa import clearing
from hansa.kernel import Money, fact_id
from hansa.store import Context, Tx

WRITER, APPROVER = "demo:Ada", "demo:Bo"
ISSUER, OPERATOR = "hangzhou", "beijing"
MODEL = "twice"
WINDOWS = 2

AGREED = """\
name = "Hangzhou and Beijing"
valid_from = {first_day}
issuer = "hangzhou"
operator = "beijing"
both_ways = true

[ride]
issuer = {{ bp = 90 }}
league = {{ bp = 20 }}
interchange = {{ bp = 30, paid_by = "operator" }}
"""

WAITING = """\
name = "London and Hong Kong"
valid_from = {first_day}
issuer = "london"
operator = "hong-kong"
both_ways = true

[ride]
issuer = {{ bp = 110 }}
league = {{ bp = 25 }}

[chargeback]
within_days = 60
"""

TWICE = """\
model_id = "twice"
name = "Fares between Hong Kong and Beijing, twice a day"
tz = "UTC"
takes = [
    { issuer = "hong-kong-card", operator = "beijing-subway" },
    { issuer = "beijing-card", operator = "hong-kong-mtr" },
]
cut_offs = ["33:00", "34:00"]
closes = "person"
"""
"""33:00 is nine o'clock on the morning after: the day's fares are in the books. 34:00 is the league's."""


@dataclass(frozen=True, slots=True)
class Agreed:
    """What the closing page tells. rides: cleared by the agreement; kept: what issuers kept of them, by currency."""

    issuer: str
    operator: str
    rides: int
    kept: dict[str, Money]
    waiting: tuple[str, str]


def agree(ctx: Context, day: date) -> int:
    """Ada writes two agreements and a model, Bo approves one of them and the model; gives how many stand."""
    next_month = date(day.year + day.month // 12, day.month % 12 + 1, 1)
    now = ctx.clock.now()
    with ctx.tx() as tx:
        agreed = _id(AGREED, day)
        clearing.propose_agreement(
            tx, agreed, AGREED.format(first_day=day), by=WRITER, at=now, note="As both councils signed it"
        )
        clearing.approve_agreement(tx, agreed, by=APPROVER, at=now, why="Both signatures are there")
        clearing.propose_agreement(
            tx,
            _id(WAITING, day),
            WAITING.format(first_day=next_month),
            by=WRITER,
            at=now,
            note="London's council has read it",
        )
    with ctx.tx() as tx:
        known = clearing.list_model_versions(tx, MODEL)
    if not known:
        clearing.propose_model(ctx, TWICE, in_force_from=day, by=WRITER, why="Both want their money sooner")
    if not any(one.decision for one in known):
        clearing.decide_model(ctx, MODEL, 1, "approved", by=APPROVER, why="Both banks can do it")
    return 3


def windows_of(day: date) -> list[str]:
    """The ids of the second model's windows of a business day, in order."""
    return [f"{MODEL}-{day:%Y%m%d}-{part}" for part in range(1, WINDOWS + 1)]


def close_until(ctx: Context, window_id: str) -> clearing.Window:
    """Close the model's windows that are due until this one is closed; one that is closed stays as it is."""
    while True:
        with ctx.tx() as tx:
            found = [one for one in clearing.list_windows(tx, model_id=MODEL) if one.window_id == window_id]
        if found and found[0].closed_at is not None:
            return found[0]
        clearing.close_window(ctx, MODEL)


def told_of_agreement(tx: Tx, day: date, windows: list[str]) -> Agreed:
    """What the agreement came to in these windows."""
    agreement = str(_id(AGREED, day))
    rides, kept = 0, Counter[str]()
    for window_id in windows:
        for line in clearing.window_fees(tx, window_id):
            if line.agreement_id == agreement:
                rides += line.items
                kept[line.currency] += line.issuer_fee
    money = {currency: Money(minor, currency) for currency, minor in sorted(kept.items())}
    return Agreed(ISSUER, OPERATOR, rides, money, ("london", "hong-kong"))


def _id(text: str, day: date) -> UUID:
    return fact_id(None, "demo agreement", text, day.isoformat())
