"""Bases by zones: spans of nested zones, sets that may overlap, or how many zones are touched."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from hansa.fares.parts.price import FREE, Price
from hansa.fares.parts.ride import Found, Ride, Unpriceable
from hansa.fares.tables import Table


@dataclass(frozen=True, slots=True)
class ZoneBasis:
    """By the zones a journey touches, from the innermost to the outermost.

    order: zone names from the centre outwards. spans: price by (first, last) position in it; no span is missing.
    clauses: where the tariff says so, by span.
    through: zones of the stops passed on the shortest way count too; otherwise only the two ends do.
    """

    order: tuple[str, ...]
    spans: Mapping[tuple[int, int], Price]
    through: bool = True
    clause: str = ""
    clauses: Mapping[tuple[int, int], str] = field(default_factory=dict[tuple[int, int], str])

    def label(self, span: tuple[int, int]) -> str:
        """Positions in the order as ``"1-3"``, or ``"1"``."""
        first, last = self.order[span[0]], self.order[span[1]]
        return first if first == last else f"{first}-{last}"

    def find(self, ride: Ride) -> Found:
        """The span touched; a boundary stop counts in whichever of its zones makes the journey cheaper."""
        between = ride.zones_between() if self.through else frozenset[str]()
        origin, destination = ride.ends()
        best: tuple[int, int, int] | None = None
        for first in ride.zones_of(origin):
            for last in ride.zones_of(destination):
                if first not in self.order or last not in self.order:
                    continue
                at = [self.order.index(zone) for zone in {first, last, *between} if zone in self.order]
                low, high = min(at), max(at)
                amount = ride.pays(self.spans[low, high])
                if best is None or (amount, high - low) < (best[0], best[2] - best[1]):
                    best = amount, low, high
        if best is None:
            raise _nowhere(ride, origin, destination)
        return self.of_span(best[1:])

    def beyond(self, touched: frozenset[str], held: frozenset[str]) -> list[list[Found]]:
        """What is paid for the zones outside those held: each stretch of them by itself."""
        outside = [place for place, zone in enumerate(self.order) if zone in touched - held]
        stretches: list[tuple[int, int]] = []
        for place in outside:
            if stretches and stretches[-1][1] == place - 1:
                stretches[-1] = stretches[-1][0], place
            else:
                stretches.append((place, place))
        return [[self.of_span(stretch) for stretch in stretches]]

    def of_span(self, span: tuple[int, int]) -> Found:
        """The price of a span by itself."""
        label = self.label(span)
        return Found("zones", self.spans[span], {"zones": label}, label, self.clauses.get(span, self.clause))


@dataclass(frozen=True, slots=True)
class ZoneSet:
    """Zones that one price is good for."""

    name: str
    zones: frozenset[str]
    price: Price
    clause: str = ""


@dataclass(frozen=True, slots=True)
class ZoneSetBasis:
    """By sets of zones that may overlap: the cheapest set that holds all that are touched."""

    sets: tuple[ZoneSet, ...]
    through: bool = True
    clause: str = ""

    def beyond(self, touched: frozenset[str], held: frozenset[str]) -> list[list[Found]]:
        """What may be paid for the zones outside those held: any set that holds them."""
        return [
            [Found("zone_set", one.price, {"zones": one.name}, clause=one.clause)]
            for one in self.sets
            if touched - held <= one.zones
        ]

    def holds(self, touched: frozenset[str]) -> bool:
        """Whether these zones have a fare."""
        return any(touched <= one.zones for one in self.sets)

    def find(self, ride: Ride) -> Found:
        """The cheapest set; of equal ones the smallest, then the first."""
        best: tuple[int, int, ZoneSet, frozenset[str]] | None = None
        for touched in touched_zones(ride, through=self.through):
            for one in self.sets:
                if touched <= one.zones:
                    amount = ride.pays(one.price)
                    if best is None or (amount, len(one.zones)) < best[:2]:
                        best = amount, len(one.zones), one, touched
        if best is None:
            raise _nowhere(ride, *ride.ends(), cause="outside_sets")
        label = "+".join(sorted(best[3]))
        return Found("zone_set", best[2].price, {"zones": best[2].name}, label, best[2].clause)


@dataclass(frozen=True, slots=True)
class ZoneCountBasis:
    """By how many zones are touched. prices: for 1, 2, ... zones; more than are listed have no fare.

    highest_stays: the last price stands for any greater number.
    """

    prices: tuple[Price, ...]
    through: bool = True
    highest_stays: bool = False
    clause: str = ""

    def beyond(self, touched: frozenset[str], held: frozenset[str]) -> list[list[Found]]:
        """What is paid for the zones outside those held: as for so many zones."""
        count = len(touched - held)
        if count > len(self.prices) and not self.highest_stays:
            return []
        price = self.prices[min(count, len(self.prices)) - 1]
        return [[Found("zone_count", price, {"count": count}, clause=self.clause)]]

    def holds(self, touched: frozenset[str]) -> bool:
        """Whether these zones have a fare."""
        return self.highest_stays or len(touched) <= len(self.prices)

    def find(self, ride: Ride) -> Found:
        """The price for the least number of zones that holds the ride."""
        touched = min(
            touched_zones(ride, through=self.through), key=lambda zones: (len(zones), sorted(zones))
        )
        count = len(touched)
        if count > len(self.prices) and not self.highest_stays:
            raise Unpriceable("too_many_zones", {"count": count})
        price = self.prices[min(count, len(self.prices)) - 1]
        return Found("zone_count", price, {"count": count}, "+".join(sorted(touched)), self.clause)


ByZones = ZoneBasis | ZoneSetBasis | ZoneCountBasis
"""Bases that tell what zones cost by themselves."""


def touched_by(
    origin: tuple[str, ...], destination: tuple[str, ...], between: frozenset[str]
) -> list[frozenset[str]]:
    """Every way to count zones, by those of each end and those passed."""
    return [frozenset({first, last, *between}) for first in origin for last in destination]


def touched_zones(ride: Ride, *, through: bool) -> list[frozenset[str]]:
    """Every way to count the zones of a ride: one for each choice at a boundary stop."""
    between = ride.zones_between() if through else frozenset[str]()
    origin, destination = ride.ends()
    ways = touched_by(ride.zones_of(origin), ride.zones_of(destination), between)
    if not ways:
        raise _nowhere(ride, origin, destination)
    return ways


def _nowhere(ride: Ride, origin: str, destination: str, cause: str = "outside_zones") -> Unpriceable:
    return Unpriceable(cause, {"origin": ride.name_of(origin), "destination": ride.name_of(destination)})


def read_zones(table: Table, classes: frozenset[str]) -> ZoneBasis:
    """``kind = "zones"``."""
    order = table.words("order") if "order" in table else ()
    if len(set(order)) != len(order) or not order:
        table.known("order")
        table.wrong("order", "is empty or names a zone twice", 'Write each zone once: ["1", "2", "3"]')
        order = tuple(dict.fromkeys(order)) or ("1",)
    spans: dict[tuple[int, int], Price] = {}
    clauses: dict[tuple[int, int], str] = {}
    for item in table.tables("span"):
        price = item.price("fare", classes=classes) or FREE
        for label in item.texts("zones"):
            span = read_span(label, order)
            if span is None:
                item.wrong(
                    "zones", f"{label!r} is not a span of the zones", 'Write "2", or "2-4" from the centre'
                )
                continue
            if span in spans:
                item.wrong("zones", f"{label!r} has two fares", "Leave it in one place")
            spans[span], clauses[span] = price, item.clause
        item.done()
    for first in range(len(order)):
        for last in range(first, len(order)):
            if (first, last) not in spans:
                label = order[first] if first == last else f"{order[first]}-{order[last]}"
                table.wrong("span", f"zones {label} have no fare", "Add them to a [[basis.span]]")
    return ZoneBasis(order, spans, table.flag("through", default=True), table.clause, clauses)


def read_span(label: str, order: tuple[str, ...]) -> tuple[int, int] | None:
    """``"2-4"`` as positions in the order; None when it is no span, or runs backwards."""
    first, _, last = label.partition("-")
    last = last or first
    if first not in order or last not in order or order.index(first) > order.index(last):
        return None
    return order.index(first), order.index(last)


def read_zone_sets(table: Table, classes: frozenset[str]) -> ZoneSetBasis:
    """``kind = "zone-sets"``."""
    sets: list[ZoneSet] = []
    for item in table.tables("set"):
        zones = frozenset(item.texts("zones"))
        name = item.text("name", required=False) or "+".join(sorted(zones))
        if any(one.zones == zones for one in sets):
            item.wrong("zones", "this set has two fares", "Leave it in one place")
        sets.append(ZoneSet(name, zones, item.price("fare", classes=classes) or FREE, item.clause))
        item.done()
    if not sets:
        table.wrong("set", "there is no set of zones", f"Write at least one [[{table.path}.set]]")
    return ZoneSetBasis(tuple(sets), table.flag("through", default=True), table.clause)


def read_zone_count(table: Table, classes: frozenset[str]) -> ZoneCountBasis:
    """``kind = "zone-count"``: ``[[basis.count]]`` in the order of one zone, two zones, and so on."""
    prices: list[Price] = []
    for place, item in enumerate(table.tables("count"), 1):
        if item.whole("zones", 1, 1_000) != place:
            item.wrong("zones", f"is not {place}", "Count the zones up from 1, without a gap")
        prices.append(item.price("fare", classes=classes) or FREE)
        item.done()
    if not prices:
        table.wrong("count", "there is no number of zones", f"Write at least one [[{table.path}.count]]")
        prices.append(FREE)
    return ZoneCountBasis(
        tuple(prices),
        table.flag("through", default=True),
        table.flag("highest_stays", default=False),
        table.clause,
    )
