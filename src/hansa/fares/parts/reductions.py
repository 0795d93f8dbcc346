"""What is taken off: discounts, tiers that grow with use, passes that the rider holds."""

import re
from calendar import monthrange
from dataclasses import dataclass, field
from datetime import date, timedelta

from hansa.fares.parts.condition import Condition, read_condition
from hansa.fares.parts.price import ANY_TIME, Price
from hansa.fares.tables import Table


@dataclass(frozen=True)
class Discount:
    """A share or an amount off for some rides. Of those that hold, the first counts, and all that add to it.

    percent: what is still paid. less: an amount off instead, at most all. adds: it counts beside others. of_whole: the
    share is of the fare before any discount. any_ride: among joined rides it holds when it holds for one of them.
    """

    name: str
    percent: int
    condition: Condition
    less: Price | None = None
    adds: bool = False
    of_whole: bool = False
    any_ride: bool = False
    clause: str = ""


def read_discount(item: Table) -> Discount:
    """One ``[[discount]]``."""
    if ("percent" in item) == ("less" in item):
        item.wrong("percent", "is missing, or stands beside less", "Write one of percent, less")
    condition = read_condition(item)
    if condition.always:
        item.wrong("days", "is missing, and no other condition stands", "Say which rides cost less")
    discount = Discount(
        name=item.text("name"),
        percent=item.whole("percent", 0, 99) if "percent" in item else 100,
        condition=condition,
        less=item.price("less", adult_only=True) if "less" in item else None,
        adds=item.flag("adds", default=False),
        of_whole=item.flag("of_whole", default=False),
        any_ride=item.flag("any_ride", default=False),
        clause=item.clause,
    )
    item.done()
    return discount


@dataclass(frozen=True)
class Tier:
    """Once this much is paid (or so many trips are made) in the period, later rides cost this share.

    from_minor: minor units, or trips where ``by`` is ``rides``. Tiers of one name are one ladder.
    """

    from_minor: int
    percent: int
    period: str = "month"
    by: str = "money"
    name: str = ""
    condition: Condition = field(default_factory=Condition)
    clause: str = ""

    @property
    def ladder(self) -> str:
        """The name its count is kept under; the empty name is the month's money, all rides."""
        plain = self.period == "month" and self.by == "money" and not self.name
        return "" if plain else f"{self.period}:tier {self.name}:{self.by}"


def read_tiers(items: list[Table]) -> tuple[Tier, ...]:
    """The ``[[tier]]`` tables, each ladder in rising order."""
    tiers: list[Tier] = []
    for item in items:
        by_rides = "from_rides" in item
        tier = Tier(
            from_minor=item.whole("from_rides", 1, 100_000) if by_rides else item.amount("from"),
            percent=item.whole("percent", 0, 100),
            period=item.choice("period", ("week", "month")),
            by="rides" if by_rides else "money",
            name=item.text("name", required=False),
            condition=read_condition(item, leave=frozenset({"from", "days"})),
            clause=item.clause,
        )
        before = next((one for one in reversed(tiers) if one.ladder == tier.ladder), None)
        if before is not None and tier.from_minor <= before.from_minor:
            key = "from_rides" if by_rides else "from"
            item.wrong(key, "is not more than the tier before it", "Put the tiers in rising order")
        if before is not None and tier.condition != before.condition:
            item.wrong("name", "two tiers of one name speak of different rides", "Give each ladder a name")
        if not tier.condition.always and not tier.name:
            item.wrong("name", "is missing, and the tier holds for some rides only", "Give the ladder a name")
        tiers.append(tier)
        item.done()
    return tuple(tiers)


@dataclass(frozen=True)
class Pass:
    """A product the rider may hold, by which some rides cost less.

    percent: what is still paid. within: both ends of the ride lie among these stops. extend: a ride that leaves its
    zones pays only the zones beyond, one that leaves its stops only the way from the best of them. price: what it is
    sold for, by class; None where it is sold elsewhere. lasts: ``day``, ``week``, ``month`` or ``10 days``, from the
    service day that its buyer names.
    """

    name: str
    percent: int = 0
    condition: Condition = field(default_factory=Condition)
    extend: bool = False
    within: frozenset[str] = frozenset()
    clause: str = ""
    price: Price | None = None
    lasts: str = ""

    def amount(self, rider_class: str) -> int | None:
        """What it costs this class of rider; a class that is not named pays the adult's. None where it is not sold."""
        if self.price is None:
            return None
        own = self.price.find(ANY_TIME, rider_class)
        return own if own is not None else self.price.find(ANY_TIME, "adult")

    def last_day(self, first: date) -> date:
        """The last service day of one that begins on a day; of a month the eve of the same date in the next.

        31 January to 27 or 28 February, since the month after has no 31st.
        """
        if self.lasts == "month":
            year, month = first.year + first.month // 12, first.month % 12 + 1
            return date(year, month, min(first.day, monthrange(year, month)[1])) - timedelta(days=1)
        days = {"day": 1, "week": 7}.get(self.lasts) or int(self.lasts.removesuffix(" days") or 1)
        return first + timedelta(days=days - 1)


_LASTS = re.compile(r"day|week|month|[2-9] days|[1-9]\d{1,2} days")


def read_pass(item: Table) -> Pass:
    """One ``[[pass]]``."""
    found = Pass(
        name=item.text("name"),
        percent=item.whole("percent", 0, 99, required=False),
        condition=read_condition(item),
        extend=item.flag("extend", default=False),
        within=frozenset(item.words("within")),
        clause=item.clause,
        price=item.price("price", required=False, adult_only=True),
        lasts=item.text("lasts", required=False),
    )
    if found.lasts and not _LASTS.fullmatch(found.lasts):
        item.wrong("lasts", f"{found.lasts!r} is none of the choices", 'Write day, week, month, or "10 days"')
    if (found.price is None) != (not found.lasts):
        item.wrong("price", "stands without lasts, or lasts without it", "Write both, or neither")
    if found.extend and not (found.within or found.condition.zones):
        item.wrong("extend", "stands without zones or stops", "Name the zones or the stops it is good for")
    item.done()
    return found
