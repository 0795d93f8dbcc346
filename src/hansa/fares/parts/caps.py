"""Caps and carnets: the most that rides cost in a period."""

import re
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING

from hansa.fares.parts.basis import Basis
from hansa.fares.parts.condition import Condition, read_condition
from hansa.fares.parts.price import ANY_TIME, FREE, Price
from hansa.fares.parts.zones import ZoneBasis, read_span
from hansa.fares.tables import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

CAPS_MAX = 8
_SCOPE = frozenset({"zones", "products", "days", "from"})


@dataclass(frozen=True)
class Cap:
    """The most that journeys inside these zones (and of these products) cost in a period.

    period: ``day``, ``week`` from Monday, ``month``, so many ``days`` from the first ride of them, or so many ``hours``
        from its first tap: a ticket of 24 hours that is given by itself.
    zones: (first, last) position in the zone order; None covers everything. zone_set: the same for zones without an
        order; where fares tell no zones, those of both ends count. price: by class; a class that is not named has the
        adult's cap. days: of a daily cap, the day types on which it holds; empty is all. extend: a ride that leaves its
        zones pays only the zones beyond.
    """

    period: str
    label: str
    price: Price
    zones: tuple[int, int] | None = None
    products: frozenset[str] = frozenset()
    zone_set: frozenset[str] = frozenset()
    condition: Condition = field(default_factory=Condition)
    days: frozenset[str] = frozenset()
    length: int = 0
    extend: bool = False
    clause: str = ""

    def amount(self, rider_class: str) -> int:
        """The cap for this class of rider."""
        own = self.price.find(ANY_TIME, rider_class)
        adult = self.price.find(ANY_TIME, "adult")
        assert adult is not None, "the reader requires an adult figure"
        return adult if own is None else own

    def covers(self, product: str, zones: tuple[int, int] | None) -> bool:
        """Whether a journey of this product and these zones lies inside the cap."""
        if self.products and product not in self.products:
            return False
        if self.zones is None:
            return True
        return zones is not None and self.zones[0] <= zones[0] and zones[1] <= self.zones[1]

    @property
    def plain(self) -> bool:
        """Whether zones and products say all about the rides it covers."""
        return (
            self.condition.always
            and not self.zone_set
            and not self.extend
            and not self.length
            and not self.hours
        )

    @property
    def hours(self) -> int:
        """The length of its window in hours; 0 where it is not so counted."""
        return hours_of(self.period)


@dataclass(frozen=True)
class Carnet:
    """So many rides for one price, given by itself where that is cheaper: the dearest rides of the period count.

    period: within which its rides must lie: ``day``, ``week`` or ``month``.
    """

    name: str
    rides: int
    price: Price
    period: str = "day"
    condition: Condition = field(default_factory=Condition)
    clause: str = ""

    def amount(self, rider_class: str) -> int:
        """What it costs this class of rider."""
        own = self.price.find(ANY_TIME, rider_class)
        return own if own is not None else self.price.find(ANY_TIME, "adult") or 0


def hours_of(period: str) -> int:
    """24 for ``24 hours``; 0 for any other period."""
    return int(period.removesuffix(" hours")) if period.endswith(" hours") else 0


def read_caps(items: list[Table], basis: Basis) -> tuple[Cap, ...]:
    """The ``[[cap]]`` tables."""
    caps = tuple(_cap(item, basis) for item in items)
    if len({cap.length for cap in caps if cap.length}) > 1:
        items[0].wrong("period", "there are caps over different numbers of days", "Keep one number of days")
    for period in {cap.period for cap in caps}:
        for day_type in _day_types(caps):
            alike = [cap for cap in caps if cap.period == period and (not cap.days or day_type in cap.days)]
            if len(alike) > CAPS_MAX:
                what = f"there are more than {CAPS_MAX} caps of one period"
                items[0].wrong("period", what, "Leave some out")
                return caps
    labels = [(cap.period, cap.label, cap.days) for cap in caps]
    for item, cap, label in zip(items, caps, labels, strict=True):
        if not cap.plain and labels.count(label) > 1:
            item.wrong("name", "two caps have one name", "Give each a name of its own")
    return caps


def _day_types(caps: "Sequence[Cap]") -> list[str]:
    return sorted(frozenset[str]().union(*(cap.days for cap in caps))) or [""]


def _cap(item: Table, basis: Basis) -> Cap:
    period = item.text("period")
    rolling = re.fullmatch(r"([2-9]|[1-9]\d) days", period)
    by_hours = re.fullmatch(r"([1-9]|[1-9]\d|1\d\d) hours", period)
    if period and period not in ("day", "week", "month") and rolling is None and by_hours is None:
        remedy = 'Write one of: day, week, month, days from the first ride: "7 days", or hours: "24 hours"'
        item.wrong("period", f"{period!r} is none of the choices", remedy)
    span, zone_set = _zones(item, basis)
    products = frozenset(item.words("products"))
    days = item.day_types("days", required=False)
    if days and period != "day":
        item.wrong("days", "stands beside a period that is no day", "Leave it out")
    label = {"day": "Daily", "week": "Weekly", "month": "Monthly"}.get(period, period.capitalize()) + " cap"
    if products:
        label += f" {' and '.join(sorted(products))}"
    if span is not None and isinstance(basis, ZoneBasis):
        first, last = basis.order[span[0]], basis.order[span[1]]
        label += f" zone {first}" if first == last else f" zones {first}–{last}"
    elif zone_set:
        label += f" zones {'+'.join(sorted(zone_set))}"
    condition = read_condition(item, leave=_SCOPE)
    currency = item.text("currency", required=False)
    if currency not in ("", item.reading.currency):
        what = f"{currency} is another currency than the tariff's {item.reading.currency}"
        item.wrong("currency", what, "Write the cap in the tariff's currency")
    cap = Cap(
        period=period or "day",
        label=item.text("name", required=False) or label,
        price=item.price("amount", adult_only=True) or FREE,
        zones=span,
        products=products,
        zone_set=zone_set,
        condition=condition,
        days=days,
        length=int(rolling[1]) if rolling else 0,
        extend=item.flag("extend", default=False),
        clause=item.clause,
    )
    if cap.extend and span is None and not zone_set:
        item.wrong("extend", "stands without zones", "Name the zones of the cap, or leave it out")
    item.done()
    return cap


def _zones(item: Table, basis: Basis) -> tuple[tuple[int, int] | None, frozenset[str]]:
    if "zones" not in item:
        item.known("zones")
        return None, frozenset()
    if isinstance(item.raw["zones"], list):
        return None, frozenset(item.texts("zones"))
    label = item.text("zones")
    order = basis.order if isinstance(basis, ZoneBasis) else ()
    span = read_span(label, order)
    if span is None:
        first, _, last = label.partition("-")
        if first in order and last in order:
            item.wrong("zones", f"{label!r} runs backwards", f'Write "{last}-{first}"')
        else:
            remedy = 'Write zones of the basis: "1-3", or a list of zones: ["A", "B"]'
            item.wrong("zones", f"{label!r} is not a span of the zones", remedy)
    return span, frozenset()


def read_carnets(items: list[Table], caps: tuple[Cap, ...]) -> tuple[Carnet, ...]:
    """The ``[[carnet]]`` tables: one for each period, and beside caps only within a day."""
    carnets: list[Carnet] = []
    for item in items:
        carnet = Carnet(
            name=item.text("name"),
            rides=item.whole("rides", 2, 1_000),
            price=item.price("fare", adult_only=True) or FREE,
            period=item.choice("period", ("day", "week", "month"), required=False, default="day"),
            condition=read_condition(item),
            clause=item.clause,
        )
        if any(one.period == carnet.period for one in carnets):
            item.wrong("period", "there are two carnets of one period", "Keep one of them")
        if carnet.period != "day" and any(cap.period == carnet.period for cap in caps):
            item.wrong("period", "there are caps of the same period", "Keep the caps or the carnet")
        carnets.append(carnet)
        item.done()
    return tuple(carnets)


def choices(caps: "Sequence[Cap]") -> tuple[tuple[Cap, ...], ...]:
    """All choices of caps worth making: none of the chosen lies inside another."""
    found: list[tuple[Cap, ...]] = []
    for count in range(len(caps) + 1):
        found.extend(
            choice
            for choice in combinations(caps, count)
            if not any(_inside(one, other) for one in choice for other in choice if one is not other)
        )
    return tuple(found)


def _inside(one: Cap, other: Cap) -> bool:
    """Whether the other covers all that this one does, so that both together are never worth it."""
    if one.extend or not other.condition.covers(one.condition):
        return False
    products = not other.products or bool(one.products and one.products <= other.products)
    if other.zones is None and not other.zone_set:
        return products
    zones = (
        one.zones is not None
        and other.zones is not None
        and other.zones[0] <= one.zones[0]
        and one.zones[1] <= other.zones[1]
    ) or bool(one.zone_set and one.zone_set <= other.zone_set)
    return products and zones
