"""A basis by distance: bands of metres, or a base and a rate for each kilometre."""

from dataclasses import dataclass
from fractions import Fraction

from hansa.fares.parts.metres import MetresTable, read_metres
from hansa.fares.parts.price import ANY_TIME, FREE, Price, Rate, Rounding
from hansa.fares.parts.ride import Facts, Found, Ride, Unpriceable
from hansa.fares.tables import Table

MEASURES = ("network", "line", "straight", "given", "table", "stops", "minutes")
_UNITS = {"stops": "stops", "minutes": "minutes"}
_METRES_MAX = 10_000_000


@dataclass(frozen=True, slots=True)
class DistanceBand:
    """Up to and including this many metres, grace not counted."""

    up_to_m: int
    price: Price
    clause: str = ""


@dataclass(frozen=True, slots=True)
class Beyond:
    """Past what went before, each further stretch begun adds this much, up to and including ``up_to_m``."""

    every_m: int
    add: Price
    up_to_m: int | None = None
    clause: str = ""


@dataclass(frozen=True, slots=True)
class DistanceBasis:
    """By metres from stop to stop.

    measure: ``network`` shortest over the network, ``line`` along the line, ``straight`` as the crow flies, ``given``
        with the leg, ``table`` as the operator publishes them; or not metres at all, but ``stops`` ridden or
        ``minutes`` from tap to tap.
    grace_m: metres given free at each boundary. beyond: without it, or past its end, a longer ride has no fare.
    """

    bands: tuple[DistanceBand, ...]
    grace_m: int = 0
    beyond: tuple[Beyond, ...] = ()
    measure: str = "network"
    clause: str = ""
    table: MetresTable | None = None

    @property
    def unit(self) -> str:
        """``stops``, ``minutes``, or empty for metres."""
        return _UNITS.get(self.measure, "")

    @property
    def beyond_every_m(self) -> int | None:
        """The stretch of the first part beyond the bands."""
        return self.beyond[0].every_m if self.beyond else None

    def find(self, ride: Ride) -> Found:
        """The band the ride's metres fall into. Errors: Unpriceable beyond the last."""
        distance_m = ride.distance_m(self.measure, self.table)
        paid_m = distance_m - self.grace_m
        low = 0
        for band in self.bands:
            if paid_m <= band.up_to_m:
                facts: Facts = {"over_m": low, "up_to_m": band.up_to_m, "unit": self.unit}
                return Found("distance", band.price, facts, clause=band.clause)
            low = band.up_to_m
        amounts = dict(self.bands[-1].price.amounts)
        for part in self.beyond:
            end = paid_m if part.up_to_m is None else min(paid_m, part.up_to_m)
            stretches = -(-(end - low) // part.every_m)
            price = Price(amounts)
            keys = amounts.keys() | part.add.amounts.keys()
            amounts = {key: _of(price, key) + stretches * _of(part.add, key) for key in keys}
            if part.up_to_m is None or paid_m <= part.up_to_m:
                start = low + (stretches - 1) * part.every_m
                facts = {"over_m": start, "up_to_m": start + part.every_m, "unit": self.unit}
                return Found("distance", Price(amounts), facts, clause=part.clause)
            low = part.up_to_m
        raise Unpriceable(f"beyond_{self.unit or 'bands'}", {self.unit or "metres": distance_m})

    @property
    def rises(self) -> bool:
        """Whether a longer ride never costs less and every length has a fare."""
        keys = self.bands[0].price.amounts.keys()
        return (
            bool(self.beyond)
            and self.beyond[-1].up_to_m is None
            and all(
                near.price.amounts.get(key, 0) <= far.price.amounts.get(key, 0)
                for near, far in zip(self.bands, self.bands[1:], strict=False)
                for key in keys
            )
        )


@dataclass(frozen=True, slots=True)
class RatePart:
    """So much for each kilometre of the stretch that ends at ``up_to_m``; None is without end."""

    rate: Rate
    up_to_m: int | None = None
    clause: str = ""


@dataclass(frozen=True, slots=True)
class RateBasis:
    """A base and so much for each kilometre, in stretches; rounded once, at the end.

    every_m: the distance counts in whole steps of this, begun ones too; 1 is exact.
    """

    base: Price
    parts: tuple[RatePart, ...]
    rounding: Rounding
    every_m: int = 1
    least: Price | None = None
    most: Price | None = None
    measure: str = "network"
    clause: str = ""
    table: MetresTable | None = None

    def find(self, ride: Ride) -> Found:
        """Base and rate for this ride's metres. Errors: Unpriceable beyond the last stretch."""
        distance_m = ride.distance_m(self.measure, self.table)
        counted_m = -(-distance_m // self.every_m) * self.every_m
        if self.parts[-1].up_to_m is not None and counted_m > self.parts[-1].up_to_m:
            raise Unpriceable("beyond_rates", {"metres": distance_m})
        amount, low, unit = Fraction(ride.pays(self.base)), 0, _UNITS.get(self.measure, "")
        for part in self.parts:
            end = counted_m if part.up_to_m is None else min(counted_m, part.up_to_m)
            if end > low:
                amount += ride.rate(part.rate) * Fraction(end - low, 1 if unit else 1000)
                low = end
        paid = self.rounding.bring(amount)
        if self.least is not None:
            paid = max(paid, ride.pays(self.least))
        if self.most is not None:
            paid = min(paid, ride.pays(self.most))
        facts: Facts = {"metres": counted_m, "base_minor": ride.pays(self.base), "unit": unit}
        return Found("rate", Price({(ANY_TIME, ""): paid}), facts, clause=self.clause)


def _of(price: Price, key: tuple[str, str]) -> int:
    """A figure of a price, or of the nearest column: the class without the medium, then any time."""
    band, column = key
    rider_class = column.partition("/")[0]
    for nearer in ((band, column), (ANY_TIME, column), (band, rider_class), (ANY_TIME, rider_class)):
        if nearer in price.amounts:
            return price.amounts[nearer]
    return next(
        (price.amounts[near] for near in ((band, "adult"), (ANY_TIME, "adult")) if near in price.amounts), 0
    )


def read_distance(table: Table, classes: frozenset[str]) -> DistanceBasis:
    """``kind = "distance"``."""
    measure = table.choice("measure", MEASURES, required=False, default="network")
    up_to, every = _words_for(measure)
    bands: list[DistanceBand] = []
    for item in table.tables("band"):
        up_to_m = item.whole(up_to, 1, _METRES_MAX)
        if bands and up_to_m <= bands[-1].up_to_m:
            item.wrong(up_to, "is not beyond the band before it", "Put the bands in rising order")
        bands.append(DistanceBand(up_to_m, item.price("fare", classes=classes) or FREE, item.clause))
        item.done()
    if not bands:
        table.wrong("band", "there is no distance band", f"Write at least one [[{table.path}.band]]")
        bands.append(DistanceBand(_METRES_MAX, FREE))
    beyond = _beyond(table, bands[-1].up_to_m, classes, up_to, every)
    grace_m = table.whole("grace_m", 0, 10_000, required=False)
    metres = read_metres(table) if measure == "table" else None
    return DistanceBasis(tuple(bands), grace_m, beyond, measure, table.clause, metres)


def _words_for(measure: str) -> tuple[str, str]:
    """What the ends of bands and the stretches are called, by what is counted."""
    unit = _UNITS.get(measure, "m")
    return f"up_to_{unit}", f"every_{unit}"


def _beyond(table: Table, low: int, classes: frozenset[str], up_to: str, every: str) -> tuple[Beyond, ...]:
    several = isinstance(table.raw.get("beyond"), list)
    items = table.tables("beyond") if several else [table.table("beyond", required=False)]
    found: list[Beyond] = []
    for place, item in enumerate(items):
        if not item.present:
            continue
        every_m = item.whole(every, 1, _METRES_MAX)
        up_to_m = item.whole(up_to, 1, _METRES_MAX) if up_to in item else None
        if up_to_m is not None and up_to_m <= low:
            item.wrong(up_to, "is not beyond what went before", "Put the parts in rising order")
        if up_to_m is None and place < len(items) - 1:
            item.wrong(up_to, "is missing, and another part follows", "Say where this part ends")
        low = up_to_m or low
        found.append(Beyond(every_m, item.price("add", classes=classes) or FREE, up_to_m, item.clause))
        item.done()
    return tuple(found)


def read_rate(table: Table, classes: frozenset[str]) -> RateBasis:
    """``kind = "rate"``."""
    measure = table.choice("measure", MEASURES, required=False, default="network")
    up_to, every = _words_for(measure)
    per = {"stops": "per_stop", "minutes": "per_minute"}.get(measure, "per_km")
    parts: list[RatePart] = []
    if per in table:
        parts.append(RatePart(table.rate(per), None, table.clause))
    items = table.tables("rate")
    for place, item in enumerate(items):
        up_to_m = item.whole(up_to, 1, _METRES_MAX) if up_to in item else None
        before = parts[-1].up_to_m if parts else 0
        if up_to_m is not None and up_to_m <= (before or 0):
            item.wrong(up_to, "is not beyond what went before", "Put the stretches in rising order")
        if up_to_m is None and place < len(items) - 1:
            item.wrong(up_to, "is missing, and another stretch follows", "Say where this stretch ends")
        parts.append(RatePart(item.rate(per), up_to_m, item.clause))
        item.done()
    if len(parts) != max(1, len(items)):
        table.wrong(per, "has no rate, or two ways of saying it", f"Write {per}, or [[{table.path}.rate]]")
        parts = parts or [RatePart(Rate({(ANY_TIME, "adult"): Fraction(0)}))]
    return RateBasis(
        base=table.price("base", required=False, classes=classes) or FREE,
        parts=tuple(parts),
        rounding=table.rounding() or Rounding(1, "half_up"),
        every_m=table.whole(every, 1, 1_000_000, required=False, default=1),
        least=table.price("least", required=False, classes=classes),
        most=table.price("most", required=False, classes=classes),
        measure=measure,
        clause=table.clause,
        table=read_metres(table) if measure == "table" else None,
    )
