"""What a day is given from around it: sums of earlier days, rides with partners, passes, habits, where a rider lives.

A tariff's ``Look`` says what it looks at. Everything is asked for many days at once, and of a tariff that looks at
nothing nothing is asked. What is found hangs on the books and not on when it is asked for: when the books change,
rating has the days rated again that may have been given it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from fractions import Fraction
from functools import cached_property
from typing import Any, Literal, NamedTuple
from uuid import UUID

from hansa import atlas, identity, payments
from hansa.fares import (
    Around,
    Counters,
    HeldPass,
    Journey,
    JourneyId,
    Pricer,
    Tariff,
    Unpriceable,
    period_end,
    period_start,
)
from hansa.kernel import HansaError, Money
from hansa.rides import looking_back_store as store
from hansa.rides.looking_back_store import CountAsk, CounterAsk, KeptRide
from hansa.rides.store import DayKey
from hansa.store import Tx

HABIT_DAYS = 90
"""How many days before a service day a rider's journeys make a habit."""

KEPT = frozenset(
    {
        "counts",
        "hours",
        "carnet",
        "subsidy",
        "residence",
        "passes",
        "habits",
        "earlier",
        "others",
        "distance_m",
        "medium",
        "operator_id",
        "via",
    }
)
"""What the books can give of ``Tariff.asks``."""


@dataclass(frozen=True)
class Look:
    """What a tariff looks at beyond the rides of its day.

    period: of its plain caps. counted: the periods of its counters, ``week``, ``month``, ``7d``. hours: of the longest
    window of caps by hours; 0 for none. earlier: the rider's rides of the day before may go on. partners: operators
    whose rides open windows. by_paid: it matters what those cost. media: how fares can be paid; what a ride code pays
    as stands first.
    """

    period: Literal["week", "month"] | None
    tiers: bool
    counted: frozenset[str]
    hours: int
    residence: bool
    passes: bool
    habits: bool
    earlier: bool
    partners: frozenset[str]
    by_paid: bool
    media: tuple[str, ...]
    operators: bool
    distance: bool
    both_periods: bool

    @classmethod
    def of(cls, tariff: Tariff) -> "Look":
        """What this tariff looks at."""
        asks = tariff.asks
        partners = frozenset[str]().union(*(rule.before.operators for rule in tariff.transfers))
        return cls(
            period=tariff.period,
            tiers=any(not tier.ladder for tier in tariff.tiers),
            counted=tariff.counted,
            hours=max((int(one.removesuffix(" hours")) for one in tariff.hour_periods), default=0),
            residence="residence" in asks,
            passes="passes" in asks,
            habits="habits" in asks,
            earlier="earlier" in asks,
            partners=partners - {tariff.operator_id},
            by_paid=any(
                (rule.difference or rule.chain_max is not None)
                and rule.before.operators - {tariff.operator_id}
                for rule in tariff.transfers
            ),
            media=tariff.media if "medium" in asks else (),
            operators="operator_id" in asks,
            distance="distance_m" in asks,
            both_periods=tariff.both_periods,
        )

    @cached_property
    def sums(self) -> bool:
        """Whether it looks at plain sums of earlier days."""
        return self.tiers or self.period is not None

    @cached_property
    def rolling_days(self) -> int:
        """The length of its rolling window; 0 where it has none."""
        return max((int(one[:-1]) for one in self.counted if one.endswith("d")), default=0)

    @cached_property
    def prefix(self) -> str:
        """What the counters of its rolling window begin with."""
        return f"{self.rolling_days}d:" if self.rolling_days else ""

    @cached_property
    def counts(self) -> bool:
        """Whether it looks at counters of earlier days."""
        return bool(self.counted) or self.hours > 0

    @cached_property
    def days_back(self) -> int:
        """How many days before a service day a window may have begun that is open on it."""
        by_hours = -(-self.hours // 24) + 1 if self.hours else 0
        return max(0, self.rolling_days - 1, by_hours)

    @cached_property
    def around(self) -> bool:
        """Whether it looks at what is known beside the journeys of its day and sums of earlier ones."""
        return self.residence or self.passes or self.habits or self.earlier or bool(self.partners)

    @cached_property
    def beyond(self) -> bool:
        """Whether it looks at anything beyond the rides of its day."""
        return self.sums or self.counts or self.around

    @cached_property
    def tells(self) -> bool:
        """Whether journeys are told more than their taps tell."""
        return bool(self.media) or self.operators or self.distance


LOOK_AHEAD = timedelta(days=98)
"""Beyond the longest period and window: no tariff looks back farther over sums."""


class Asked(NamedTuple):
    """A key that looks beyond its day, with the journeys of the day.

    n: its place among the keys. before_at: when the service day before began.
    """

    n: int
    key: DayKey
    look: Look
    before_at: datetime
    starts_at: datetime
    ends_at: datetime
    currency: str
    journeys: Sequence[Journey]


def last_day_that_looks(looks: Sequence[tuple[date, Look]], day: date) -> date:
    """The last later day that may build on the sums of a day; the day itself where none does.

    looks: what later versions look at, each with the last day it speaks for.
    """
    last = day
    for until, look in looks:
        ends = [day + timedelta(days=look.days_back)]
        if look.tiers or "month" in look.counted or look.period == "month":
            ends.append(period_end(day, "month"))
        if "week" in look.counted or look.period == "week":
            ends.append(period_end(day, "week"))
        last = max(last, min(until, max(ends)))
    return last


class Windows(NamedTuple):
    """Counters by key, and the first day of the rolling window that is open on a key's day, where one is."""

    counters: dict[int, Counters]
    opened: dict[int, date]


def load_counters(tx: Tx, partition: int, asked: Sequence[Asked]) -> Windows:
    """What earlier days used up, for those keys whose tariff looks back."""
    month: dict[int, int] = {}
    period: dict[int, dict[tuple[str, str], int]] = {}
    opening: dict[int, int] = {}
    sums = [one for one in asked if one.look.sums]
    if sums:
        asks = [_counter_ask(one) for one in sums]
        for n, product, zones, tier, counted in store.load_counters(tx, partition, asks):
            month[n] = month.get(n, 0) + tier
            period.setdefault(n, {})[product, zones] = counted
    openings: dict[int, dict[str, int]] = {}
    opening_asks = [one for one in asked if one.look.sums or one.look.both_periods]
    if opening_asks:
        looks = {one.n: one.look for one in opening_asks}
        for n, name, minor in store.load_opening(tx, [_opening_ask(one) for one in opening_asks]):
            if name == "month":
                month[n] = month.get(n, 0) + minor
            if name == looks[n].period:
                opening[n] = opening.get(n, 0) + minor
            if looks[n].both_periods:
                openings.setdefault(n, {})[name] = minor
    counts: dict[int, dict[str, int]] = {}
    carnets: dict[int, dict[str, tuple[int, ...]]] = {}
    counted = [one for one in asked if one.look.counts]
    opened = _open_windows(tx, partition, [one for one in counted if one.look.rolling_days])
    if counted:
        for n, name, total, rides in store.load_counts(
            tx, partition, [_count_ask(one, opened.get(one.n)) for one in counted]
        ):
            if rides is None:
                counts.setdefault(n, {})[name] = total
            else:
                carnets.setdefault(n, {})[name] = tuple(sorted(rides))
    counters = {
        one.n: Counters(
            month.get(one.n, 0),
            period.get(one.n, {}),
            opening.get(one.n, 0),
            counts.get(one.n, {}),
            carnets.get(one.n, {}),
            openings.get(one.n, {}),
        )
        for one in asked
        if one.look.sums or one.look.counts
    }
    return Windows(counters, opened)


def _counter_ask(one: Asked) -> CounterAsk:
    key, look = one.key, one.look
    return CounterAsk(
        one.n,
        key.account_id,
        key.operator_id,
        period_start(key.service_day, "month") if look.tiers else key.service_day,
        period_start(key.service_day, look.period) if look.period else key.service_day,
        key.service_day,
    )


def _opening_ask(one: Asked) -> tuple[int, UUID, str, date, date]:
    key = one.key
    starts = period_start(key.service_day, "month"), period_start(key.service_day, "week")
    return one.n, key.account_id, key.operator_id, *starts


def _count_ask(one: Asked, opened: date | None) -> CountAsk:
    key, counted = one.key, one.look.counted
    day = key.service_day
    return CountAsk(
        one.n,
        key.account_id,
        key.operator_id,
        day,
        period_start(day, "week") if "week" in counted else day,
        period_start(day, "month") if "month" in counted else day,
        opened or day,
        day - timedelta(days=one.look.days_back) if one.look.hours else day,
        one.look.prefix or "none",
    )


def _open_windows(tx: Tx, partition: int, rolling: Sequence[Asked]) -> dict[int, date]:
    """The rolling windows that are open on these days: begun by an earlier ride and not over."""
    if not rolling:
        return {}
    days = {one.n: (one.key.service_day, one.look.rolling_days) for one in rolling}
    asks = [
        (one.n, one.key.account_id, one.key.operator_id, *days[one.n], one.look.prefix) for one in rolling
    ]
    return {
        n: starts
        for n, starts in store.load_windows(tx, partition, asks).items()
        if days[n][0] < starts + timedelta(days=days[n][1])
    }


# -- what a ride is told --------------------------------------------------------------------------------


def told(journeys: Iterable[Journey], operator_id: str, look: Look, pricer: Pricer) -> list[Journey]:
    """The journeys with what the tariff wants to be told of each: whose line, how paid, how far.

    A ride code pays as the first of the tariff's media. Metres are the shortest over the network, where both ends are
    known.
    """
    if not look.tells:
        return list(journeys)
    network = pricer.places
    lines = network.lines if isinstance(network, atlas.Network) else {}
    told: list[Journey] = []
    for journey in journeys:
        more: dict[str, Any] = {}
        if look.operators:
            line = lines.get(journey.line_id or "")
            more["operator_id"] = operator_id if line is None else line.operator_id
        if look.media and not journey.medium:
            more["medium"] = look.media[0]
        if look.distance and journey.distance_m is None:
            more["distance_m"] = _metres(pricer, journey)
        told.append(replace(journey, **more))
    return told


def _metres(pricer: Pricer, journey: Journey) -> int | None:
    """None where an end is not known or no way leads there."""
    if journey.origin is None or journey.destination is None or journey.kind != "complete":
        return None
    try:
        return pricer.places.distance_m(journey.origin, journey.destination)
    except (HansaError, LookupError):
        return None


# -- around -------------------------------------------------------------------------------------------------


class Rounds(NamedTuple):
    """What is known around each key's day; and of those that cannot be priced for want of it, why."""

    around: dict[int, Around]
    why_not: dict[int, Unpriceable]


def load_around(tx: Tx, partition: int, asked: Sequence[Asked]) -> Rounds:
    """What is known beside the journeys, for those keys whose tariff looks at it."""
    residences = _residences(tx, [one for one in asked if one.look.residence])
    passes = _passes(tx, partition, [one for one in asked if one.look.passes])
    habits = _habits(tx, partition, [one for one in asked if one.look.habits])
    others = _others(tx, partition, [one for one in asked if one.look.partners])
    earlier = _earlier(tx, partition, [one for one in asked if one.look.earlier])
    rates: dict[tuple[date, str, str], Fraction | None] = {}
    around: dict[int, Around] = {}
    why_not: dict[int, Unpriceable] = {}
    for one in asked:
        rides, paid = others.get(one.n, []), dict[JourneyId, int]()
        if one.look.by_paid:
            for ride in rides:
                cost = _in_currency(tx, rates, ride, one)
                if cost is None:
                    facts = {
                        "currency": ride.currency,
                        "other": one.currency,
                        "day": str(one.key.service_day),
                    }
                    why_not[one.n] = Unpriceable("no_rate_of_exchange", facts)
                else:
                    paid[ride.journey.journey_id] = cost
        known = Around(
            others=tuple(ride.journey for ride in rides),
            passes=tuple(passes.get(one.n, ())),
            residence=residences.get(one.n, ""),
            paid=paid,
            habits=habits.get(one.n, {}),
            earlier=tuple(earlier.get(one.n, ())),
        )
        if known != _NOTHING:
            around[one.n] = known
    return Rounds(around, why_not)


_NOTHING = Around()


def _in_currency(
    tx: Tx, rates: dict[tuple[date, str, str], Fraction | None], ride: KeptRide, one: Asked
) -> int | None:
    """What a partner's ride cost in this tariff's currency at the rate of the day; None without a rate."""
    if ride.currency == one.currency:
        return ride.whole_minor
    name = one.key.service_day, ride.currency, one.currency
    if name not in rates:
        try:
            rates[name] = payments.rate(tx, *name)
        except payments.NoRate:
            rates[name] = None
    rate = rates[name]
    return (
        None
        if rate is None
        else payments.quote(Money(ride.whole_minor, ride.currency), one.currency, rate).minor
    )


def _residences(tx: Tx, asked: Sequence[Asked]) -> dict[int, str]:
    if not asked:
        return {}
    accounts = identity.find_accounts(tx, sorted({identity.AccountId(one.key.account_id) for one in asked}))
    return {
        one.n: accounts[identity.AccountId(one.key.account_id)].home_city_id
        for one in asked
        if one.key.account_id in accounts
    }


def _passes(tx: Tx, partition: int, asked: Sequence[Asked]) -> dict[int, list[HeldPass]]:
    if not asked:
        return {}
    asks = [(one.n, one.key.account_id, one.key.operator_id, one.key.service_day) for one in asked]
    return store.load_passes(tx, partition, asks)


def _habits(tx: Tx, partition: int, asked: Sequence[Asked]) -> dict[int, dict[str, dict[str, int]]]:
    """By key and known stop of a journey that lacks a tap: the other ends of the rider's earlier journeys there.

    Both ways count, so that what is taken for one journey does not hang on another of the day.
    """
    asks = {
        (one.n, one.key.account_id, one.key.operator_id, one.key.service_day, stop)
        for one in asked
        for journey in one.journeys
        for stop in (journey.origin or journey.destination,)
        if journey.kind in ("no_exit", "no_entry") and stop is not None
    }
    found: dict[int, dict[str, dict[str, int]]] = {}
    if asks:
        for n, stop, other, times in store.load_habits(tx, partition, sorted(asks), HABIT_DAYS):
            found.setdefault(n, {}).setdefault(stop, {})[other] = times
    return found


def _others(tx: Tx, partition: int, asked: Sequence[Asked]) -> dict[int, list[KeptRide]]:
    asks = [
        (one.n, one.key.account_id, partner, one.key.service_day, one.starts_at, one.ends_at)
        for one in asked
        for partner in sorted(one.look.partners)
    ]
    if not asks:
        return {}
    return {n: sorted(rides, key=_in_time) for n, rides in store.load_rides(tx, partition, asks).items()}


def _earlier(tx: Tx, partition: int, asked: Sequence[Asked]) -> dict[int, list[Journey]]:
    """By key, the holder's own rides of the service day before; who rode along is nobody from one day to the next."""
    if not asked:
        return {}
    asks = [
        (
            one.n,
            one.key.account_id,
            one.key.operator_id,
            one.key.service_day,
            one.before_at,
            one.starts_at,
        )
        for one in asked
    ]
    return {
        n: [ride.journey for ride in sorted(rides, key=_in_time) if not ride.journey.companion]
        for n, rides in store.load_rides(tx, partition, asks).items()
    }


def _in_time(ride: KeptRide) -> tuple[datetime, bytes]:
    return ride.journey.started_at, ride.journey.journey_id.bytes
