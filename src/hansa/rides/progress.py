"""How far a rider has come towards the caps of a day and of longer periods."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from hansa.fares import Step, Tariff, period_start
from hansa.fares.tariff import Cap
from hansa.kernel import Money
from hansa.rides import store
from hansa.rides.model import JourneyRecord
from hansa.rides.tariffs import Tariffs
from hansa.store import Tx

LOOKED_AT_MAX = 1_000
"""Journeys of one rider that are looked at; no month has more."""

_LAST = UUID(int=(1 << 128) - 1)


@dataclass(frozen=True, slots=True)
class CapProgress:
    """A cap, and what the rides that lie inside it have come to. spent: never shown above the cap.

    period: ``day``, ``week``, ``month``. label: what the tariff calls it. clause: where the tariff says so.
    """

    period: str
    label: str
    spent: Money
    most: Money
    clause: str

    @property
    def reached(self) -> bool:
        return self.spent == self.most


def cap_progress(tx: Tx, record: JourneyRecord) -> list[CapProgress]:
    """The caps that a journey counts towards, with what was spent inside each up to and including it.

    Caps that hang on more than zones and products are left out: a journey in the books does not tell those of it.
    """
    if record.companion or record.status != "priced":
        return []
    tariffs = Tariffs(tx)
    version = tariffs.version_on(record.operator_id, record.service_day)
    if version is None or version.valid_from != record.tariff_valid_from:
        return []
    tariff = tariffs.read(version)
    if not any(_shown(cap) for cap in tariff.caps):
        return []
    since = min(period_start(record.service_day, "week"), period_start(record.service_day, "month"))
    before: tuple[datetime, UUID] = (record.started_at, _LAST)
    earlier = [
        one
        for one in store.list_journeys(tx, record.account_id, before, LOOKED_AT_MAX)
        if one.operator_id == record.operator_id and one.service_day >= since
    ]
    return progress_of(tariff, record, earlier)


def progress_of(
    tariff: Tariff, record: JourneyRecord, journeys: Iterable[JourneyRecord]
) -> list[CapProgress]:
    """See ``cap_progress``. journeys: of the same rider and operator up to this one, which is among them."""
    counted = [one for one in journeys if one.status == "priced" and not one.companion]
    found: list[CapProgress] = []
    day_type = tariff.service_day_type(record.service_day)
    for cap in tariff.caps:
        if not _shown(cap) or (cap.days and day_type not in cap.days) or not _inside(tariff, cap, record):
            continue
        since = record.service_day
        if cap.period != "day":
            since = period_start(record.service_day, "week" if cap.period == "week" else "month")
        spent = sum(
            _counts(tariff, cap, one)
            for one in counted
            if since <= one.service_day <= record.service_day and _inside(tariff, cap, one)
        )
        most = cap.amount(tariff.people.verified.get(record.rider_class, record.rider_class))
        currency = record.fare.currency
        found.append(
            CapProgress(
                cap.period, cap.label, Money(min(spent, most), currency), Money(most, currency), cap.clause
            )
        )
    return found


def _shown(cap: Cap) -> bool:
    return cap.condition.always and not cap.extend and cap.period in ("day", "week", "month")


def _inside(tariff: Tariff, cap: Cap, record: JourneyRecord) -> bool:
    if cap.products and record.product not in cap.products:
        return False
    if cap.zones is None and not cap.zone_set:
        return True
    names = tariff.zone_names(record.zones)
    if names is None:
        return False
    if cap.zones is not None:
        return names <= frozenset(tariff.zone_order[cap.zones[0] : cap.zones[1] + 1])
    return names <= cap.zone_set


def _counts(tariff: Tariff, cap: Cap, record: JourneyRecord) -> int:
    """What a journey adds to a cap's sum: its fare before caps of that period, without what stands outside caps."""
    by_clause = {one.clause: one for one in tariff.caps}
    apart = {one.clause for one in (*tariff.fees, *tariff.overrides) if not one.caps}
    amount = outside = 0
    for step in record.steps:
        if _ends(step, cap, by_clause):
            break
        amount += step.amount
        outside += step.amount if step.clause in apart else 0
        if step.rule == "incomplete" and not tariff.incomplete.counts:
            outside += step.amount
    return max(0, amount - outside)


def _ends(step: Step, cap: Cap, by_clause: dict[str, Cap]) -> bool:
    """Whether a step comes after what the cap's sum is made of: a cap of its own period, a longer one, a subsidy."""
    if step.rule == "subsidy":
        return True
    if step.rule == "carnet":
        return cap.period == "day"
    if step.rule != "cap":
        return False
    other = by_clause.get(step.clause)
    return cap.period == "day" or other is None or other.period != "day"
