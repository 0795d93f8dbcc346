"""What journeys cost and why: a day of one account with one operator, priced as a whole.

The day is always worked out from all its journeys in order of time, so it does not matter when or in which order
their taps arrived. Order of rules: basis, class, discount, transfer, cumulative tier, daily caps, longer caps.

Who rides along is a rider of their own for as long as a day lasts: with transfers and daily caps of their own. From
one day to the next a companion's number names nobody, so nothing is carried over: no cumulative tiers, no longer caps.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction
from functools import cached_property
from itertools import combinations

from hansa.fares.model import Counters, Fare, Journey, Places, RiderClass, Step
from hansa.fares.tariff import (
    ANY_TIME,
    Cap,
    DistanceBasis,
    FlatBasis,
    Override,
    PairBasis,
    Price,
    Rounding,
    Tariff,
    ZoneBasis,
)
from hansa.kernel import HansaError


def price_day(journeys: Sequence[Journey], tariff: Tariff, places: Places, counters: Counters) -> list[Fare]:
    """The fares of one account's day with one operator, one for each journey, in the order given.

    journeys: all of the service day, in order of their start. counters: what earlier days of the period used up.
    """
    return Pricer(tariff, places).price_day(journeys, counters)


_NOWHERE_M = 1 << 40
"""Farther than anywhere: a stop that no line leads to."""


class Unpriceable(Exception):
    """The tariff has no answer for this journey; it is held, not guessed."""


@dataclass(frozen=True, slots=True)
class Quote:
    """What a journey costs before the rider's day is looked at.

    free_of_tiers, free_of_caps: the part of ``amount`` that tiers and caps leave alone.
    """

    amount: int
    steps: tuple[Step, ...]
    zones: str = ""
    free_of_tiers: int = 0
    free_of_caps: int = 0


class Pricer:
    """One tariff over one network. It remembers quotes, so keep one while pricing many days."""

    def __init__(self, tariff: Tariff, places: Places) -> None:
        self.tariff = tariff
        self.places = places
        self._quotes: dict[tuple[object, ...], Quote | str] = {}
        self._highest: dict[tuple[object, ...], Quote] = {}
        self._covers = {
            period: _covers([cap for cap in tariff.caps if cap.period == period])
            for period in ("day", "week", "month")
        }
        self._inner: dict[str, list[int]] = {}
        self._timed = bool(tariff.time_bands or tariff.discounts)

    def price_day(self, journeys: Sequence[Journey], counters: Counters) -> list[Fare]:
        """See ``price_day``."""
        days = {0: _Day(self, counters)}
        fares: list[Fare] = []
        for journey in journeys:
            day = days.get(journey.companion)
            if day is None:
                day = days[journey.companion] = _Day(self, Counters(), companion=journey.companion)
            fares.append(day.price(journey))
        return fares

    def quote(self, origin: str, destination: str, at: datetime, rider_class: RiderClass) -> Quote:
        """The single fare from stop to stop for a rider who enters at an instant, before caps and tiers.

        Errors: Unpriceable when the tariff has no fare for it.
        """
        return self._single(
            ("complete", origin, destination, None), at.astimezone(self.tariff.zone_info), rider_class
        )

    # -- one journey ---------------------------------------------------------------------------------------

    def of_journey(self, journey: Journey, local: datetime | None) -> Quote:
        """The fare of a journey by basis, class and discount."""
        if journey.kind in ("no_exit", "no_entry"):
            return self._missing(journey, local)
        key = (journey.kind, journey.origin, journey.destination, journey.line_id)
        return self._single(key, local, journey.rider_class)

    def _single(
        self,
        key: tuple[str, str | None, str | None, str | None],
        local: datetime | None,
        rider_class: RiderClass,
    ) -> Quote:
        band = self._band(local, key[1], key[2])
        memo = (*key, band, rider_class)
        quote = self._quotes.get(memo)
        if quote is None:
            try:
                quote = self._work_out(*key, band, rider_class)
            except Unpriceable as reason:
                quote = str(reason)
            self._quotes[memo] = quote
        if isinstance(quote, str):
            raise Unpriceable(quote)
        return self._discounted(quote, key[1], local) if self.tariff.discounts else quote

    def _band(self, local: datetime | None, origin: str | None, destination: str | None) -> str:
        tariff = self.tariff
        if not tariff.time_bands or local is None:
            return tariff.default_band
        day_type, clock = tariff.day_type(local), local.time()
        for band in tariff.time_bands:
            if day_type in band.days and band.starts <= clock < band.ends:
                if band.unless_into and self._goes_into(band.unless_into, origin, destination):
                    continue
                return band.name
        return tariff.default_band

    def _goes_into(self, zones: frozenset[str], origin: str | None, destination: str | None) -> bool:
        if origin is None or destination is None:
            return False
        return zones.isdisjoint(self._zones_of(origin)) and not zones.isdisjoint(self._zones_of(destination))

    def _work_out(
        self,
        kind: str,
        origin: str | None,
        destination: str | None,
        line_id: str | None,
        band: str,
        rider_class: RiderClass,
    ) -> Quote:
        ride = self._ride_step(origin, destination)
        if kind == "complete" and origin == destination and self.tariff.same_stop is not None:
            amount, steps = self._for_class(self.tariff.same_stop, band, rider_class, "same_stop", {})
            return Quote(amount, (*ride, *steps), self._same_zone(origin))
        override = self._override(origin, destination, line_id)
        if override is not None:
            return self._overridden(override, ride, origin, destination, band, rider_class)
        rule, price, facts, zones = self._basis(origin, destination, band, rider_class)
        amount, steps = self._for_class(price, band, rider_class, rule, facts)
        return Quote(amount, (*ride, *steps), zones)

    def _ride_step(self, origin: str | None, destination: str | None) -> tuple[Step, ...]:
        if origin is None or destination is None:
            return ()
        facts: dict[str, str | int] = {"from": self._name(origin), "to": self._name(destination)}
        if isinstance(self.tariff.basis, DistanceBasis):
            facts["distance_m"] = self._distance_m(origin, destination)
        return (self._step("ride", 0, facts),)

    def _basis(
        self, origin: str | None, destination: str | None, band: str, rider_class: RiderClass
    ) -> tuple[str, Price, dict[str, str | int], str]:
        """Rule, price, its figures, and the zones of the journey."""
        basis = self.tariff.basis
        if isinstance(basis, FlatBasis):
            return "flat", basis.price, {}, ""
        if origin is None or destination is None:
            raise Unpriceable("the tap names no stop, and the fare depends on the stops")
        match basis:
            case DistanceBasis():
                price, facts = self._by_distance(basis, self._distance_m(origin, destination))
                return "distance", price, facts, ""
            case ZoneBasis():
                span = self._cheapest_span(basis, origin, destination, band, rider_class)
                label = self.tariff.zone_label(span)
                return "zones", basis.spans[span], {"zones": label}, label
            case PairBasis():
                ends = self._pair_ends(basis, origin, destination)
                price = basis.find(*ends)
                if price is None:
                    raise Unpriceable(f"the table has no row from {ends[0]} to {ends[1]}")
                return "pair", price, {}, ""

    def _pair_ends(self, basis: PairBasis, origin: str, destination: str) -> tuple[str, str]:
        if not basis.by_zone:
            return origin, destination
        for stop in (origin, destination):
            if not self._zones_of(stop):
                raise Unpriceable(f"{self._name(stop)} is in no fare zone")
        return self.places.zone_of(origin) or "", self.places.zone_of(destination) or ""

    def _by_distance(self, basis: DistanceBasis, distance_m: int) -> tuple[Price, dict[str, str | int]]:
        low = 0
        for step in basis.bands:
            if distance_m <= step.up_to_m + basis.grace_m:
                return step.price, {"over_m": low, "up_to_m": step.up_to_m}
            low = step.up_to_m
        if basis.beyond_every_m is None or basis.beyond_add is None:
            raise Unpriceable(f"{distance_m:,} m is beyond the last distance band")
        stretches = -(-(distance_m - basis.grace_m - low) // basis.beyond_every_m)
        last = basis.bands[-1].price.amounts
        add = basis.beyond_add
        amounts = {
            (band, who): amount + stretches * (add.find(band, who) or 0)
            for (band, who), amount in last.items()
        }
        start = low + (stretches - 1) * basis.beyond_every_m
        return Price(amounts), {"over_m": start, "up_to_m": start + basis.beyond_every_m}

    def _cheapest_span(
        self, basis: ZoneBasis, origin: str, destination: str, band: str, rider_class: RiderClass
    ) -> tuple[int, int]:
        """A boundary stop counts in whichever of its zones makes the journey cheaper."""
        between = self._zones_between(origin, destination) if basis.through else frozenset[str]()
        column = rider_class if self.tariff.classes[rider_class].own_column else "adult"
        best: tuple[int, int, int] | None = None
        for first in self._zones_of(origin):
            for last in self._zones_of(destination):
                at = [basis.order.index(zone) for zone in {first, last, *between} if zone in basis.order]
                if first not in basis.order or last not in basis.order:
                    continue
                low, high = min(at), max(at)
                price = basis.spans[low, high].find(band, column)
                assert price is not None, "the reader requires every column of every span"
                if best is None or (price, high - low) < (best[0], best[2] - best[1]):
                    best = price, low, high
        if best is None:
            raise Unpriceable(
                f"{self._name(origin)} or {self._name(destination)} is in no zone of the tariff"
            )
        return best[1], best[2]

    def _zones_between(self, origin: str, destination: str) -> frozenset[str]:
        """Zones of the stops on a shortest way; boundary stops are left open to either side."""
        whole = self._distance_m(origin, destination)
        ways = zip(
            self._inner_distances(origin), self._inner_distances(destination), self._inner_stops, strict=True
        )
        return frozenset(zone for there, back, (_, zone) in ways if there + back == whole)

    def _inner_distances(self, stop: str) -> list[int]:
        """Metres from a stop to each stop that is in one zone only; kept, since every pair asks for them."""
        distances = self._inner.get(stop)
        if distances is None:
            distances = [self._reach_m(stop, other) for other, _ in self._inner_stops]
            self._inner[stop] = distances
        return distances

    def _reach_m(self, origin: str, destination: str) -> int:
        try:
            return self.places.distance_m(origin, destination)
        except (HansaError, LookupError):
            return _NOWHERE_M

    @cached_property
    def _inner_stops(self) -> tuple[tuple[str, str], ...]:
        stops = ((stop, self.places.zone_of(stop)) for stop in self.places.stops)
        return tuple((stop, zone) for stop, zone in stops if zone and "/" not in zone)

    def _zones_of(self, stop: str) -> tuple[str, ...]:
        if stop not in self.places.stops:
            raise Unpriceable(f"{stop} is not on the network")
        zone = self.places.zone_of(stop)
        return tuple(zone.split("/")) if zone else ()

    def _same_zone(self, stop: str | None) -> str:
        if stop is None or not isinstance(self.tariff.basis, ZoneBasis):
            return ""
        zones = [zone for zone in self._zones_of(stop) if zone in self.tariff.basis.order]
        return min(zones, key=self.tariff.basis.order.index, default="")

    def _override(self, origin: str | None, destination: str | None, line_id: str | None) -> Override | None:
        for override in self.tariff.overrides:
            if line_id in override.lines or origin in override.stops or destination in override.stops:
                return override
        return None

    def _overridden(
        self,
        override: Override,
        ride: tuple[Step, ...],
        origin: str | None,
        destination: str | None,
        band: str,
        rider_class: RiderClass,
    ) -> Quote:
        """The override's own fare and, where it has gateways, the main fare for the rest of the way."""
        own, steps = self._for_class(override.price, band, rider_class, "override", {"name": override.name})
        free_of_tiers = 0 if override.tiers else own
        free_of_caps = 0 if override.caps else own
        rest, zones, rest_steps = 0, "", ()
        inner = destination if origin in override.stops else origin
        if override.gateways and inner is not None and inner not in override.stops | set(override.gateways):
            gateway = min(override.gateways, key=lambda stop: (self._distance_m(stop, inner), stop))
            ends = (inner, gateway) if inner == origin else (gateway, inner)
            rule, price, facts, zones = self._basis(*ends, band, rider_class)
            rest, rest_steps = self._for_class(price, band, rider_class, rule, facts)
            rest_steps = (*self._ride_step(*ends), *rest_steps)
        return Quote(own + rest, (*ride, *steps, *rest_steps), zones, free_of_tiers, free_of_caps)

    def _for_class(
        self, price: Price, band: str, rider_class: RiderClass, rule: str, facts: dict[str, str | int]
    ) -> tuple[int, tuple[Step, ...]]:
        """What this class pays of a price: its own column, or the adult's and then its share."""
        who = self.tariff.classes[rider_class]
        column = rider_class if who.own_column else "adult"
        amount = price.find(band, column)
        if amount is None:
            raise Unpriceable(f"the tariff has no {band or 'any-time'} amount for {column}")
        first = self._step(rule, amount, facts | {"band": band, "class": column})
        if who.flat is not None:
            step = self._step("class_flat", who.flat - amount, {"class": rider_class, "fare_minor": who.flat})
            return who.flat, (first, step)
        if who.percent is None:
            return amount, (first,)
        percent = who.percent.get(band, who.percent.get(ANY_TIME, 100))
        if percent == 100:
            return amount, (first,)
        share = self._share(amount, percent, who.rounding)
        return share, (first, self._step("class", share - amount, {"class": rider_class, "percent": percent}))

    def _discounted(self, quote: Quote, origin: str | None, local: datetime | None) -> Quote:
        if local is None:
            return quote
        for discount in self.tariff.discounts:
            if (
                (not discount.stops or origin in discount.stops)
                and self.tariff.day_type(local) in discount.days
                and discount.starts <= local.time() < discount.ends
            ):
                base = quote.amount - quote.free_of_tiers
                less = self._share(base, discount.percent, None) - base
                step = self._step("discount", less, {"name": discount.name, "percent": discount.percent})
                return Quote(
                    quote.amount + less,
                    (*quote.steps, step),
                    quote.zones,
                    quote.free_of_tiers,
                    quote.free_of_caps,
                )
        return quote

    # -- a missing tap -------------------------------------------------------------------------------------

    def _missing(self, journey: Journey, local: datetime | None) -> Quote:
        tariff, rule = self.tariff, self.tariff.incomplete
        stop = journey.origin or journey.destination
        facts: dict[str, str | int] = {"kind": journey.kind}
        if rule.price is not None:
            band = self._band(local, None, None)
            amount, steps = self._for_class(rule.price, band, journey.rider_class, "incomplete", facts)
            zones = ""
        else:
            if stop is None:
                raise Unpriceable("a tap is missing and the other names no stop")
            highest = self._highest_from(stop, journey, local)
            step = self._step("incomplete", highest.amount, facts | {"stop": self._name(stop)})
            amount, steps, zones = highest.amount, (step,), highest.zones
        if rule.counts:
            if not zones and isinstance(tariff.basis, ZoneBasis):
                zones = tariff.zone_label((0, len(tariff.basis.order) - 1))
            return Quote(amount, steps, zones)
        return Quote(amount, steps, "", amount, amount)

    def _highest_from(self, stop: str, journey: Journey, local: datetime | None) -> Quote:
        key = (stop, journey.kind, self._band(local, None, None), journey.rider_class)
        found = self._highest.get(key)
        if found is None:
            for other in self._far_stops(stop):
                ends = (stop, other) if journey.kind == "no_exit" else (other, stop)
                try:
                    quote = self._single(("complete", *ends, None), local, journey.rider_class)
                except Unpriceable:
                    continue
                if found is None or quote.amount > found.amount:
                    found = quote
            if found is None:
                raise Unpriceable(f"the tariff has no fare from {stop} to anywhere")
            self._highest[key] = found
        return found

    def _far_stops(self, stop: str) -> list[str]:
        """The stops among which the dearest to reach from here is: the farthest, where fares rise with distance."""
        apart = frozenset[str]().union(*(override.stops for override in self.tariff.overrides))
        if stop in apart:
            return list(self.places.stops)
        others = [other for other in self.places.stops if other not in apart]  # no airport traveller by guess
        if not self._rises_with_distance:
            return others
        reach = {other: self._reach_m(stop, other) for other in others}
        return [max((other for other in others if reach[other] < _NOWHERE_M), key=lambda other: reach[other])]

    @cached_property
    def _rises_with_distance(self) -> bool:
        basis = self.tariff.basis
        if not isinstance(basis, DistanceBasis):
            return False
        keys = basis.bands[0].price.amounts.keys()
        return basis.beyond_add is not None and all(
            near.price.amounts.get(key, 0) <= far.price.amounts.get(key, 0)
            for near, far in zip(basis.bands, basis.bands[1:], strict=False)
            for key in keys
        )

    # -- small things --------------------------------------------------------------------------------------

    def _share(self, amount: int, percent: int, rounding: Rounding | None) -> int:
        return (rounding or self.tariff.rounding).bring(Fraction(amount * percent, 100))

    def _distance_m(self, origin: str, destination: str) -> int:
        for stop in (origin, destination):
            if stop not in self.places.stops:
                raise Unpriceable(f"{stop} is not on the network")
        try:
            return self.places.distance_m(origin, destination)
        except (HansaError, LookupError) as error:
            raise Unpriceable(f"no way from {origin} to {destination} over the network") from error

    def _name(self, stop: str) -> str:
        facts = self.places.stops.get(stop)
        return stop if facts is None else facts.name

    def _step(self, rule: str, amount: int, facts: dict[str, str | int]) -> Step:
        return Step(
            rule, amount, self.tariff.currency, {key: value for key, value in facts.items() if value != ""}
        )


# -- the day ---------------------------------------------------------------------------------------------------


class _Day:
    """One rider's day with one operator while it is priced, journey by journey in order of time.

    companion: 0 for the account's holder; a companion's day knows no other day.
    """

    def __init__(self, pricer: Pricer, counters: Counters, *, companion: int = 0) -> None:
        self.pricer = pricer
        self.tariff = pricer.tariff
        self.counters = counters
        self.month_minor = counters.month_minor
        self.window_from: datetime | None = None
        self.transfers = 0
        self._sums: dict[tuple[str, RiderClass], _CapSums] = {}
        self._companion = companion
        self._first_steps: tuple[Step, ...] = ()
        if companion:
            facts: dict[str, str | int] = {"number": companion, "class": self.tariff.companions}
            self._first_steps = (Step("companion", 0, self.tariff.currency, facts),)

    def price(self, journey: Journey) -> Fare:
        """What this journey costs after those before it."""
        tariff = self.tariff
        if self._companion and journey.rider_class != tariff.companions:
            journey = replace(journey, rider_class=tariff.companions)
        local = journey.started_at.astimezone(tariff.zone_info) if self.pricer._timed else None
        try:
            quote = self.pricer.of_journey(journey, local)
        except Unpriceable as reason:
            step = Step("held", 0, tariff.currency, {"why": str(reason)})
            return Fare(journey.journey_id, 0, tariff.currency, (*self._first_steps, step), status="held")
        amount, steps = quote.amount, [*self._first_steps, *quote.steps]
        free_of_tiers, free_of_caps = quote.free_of_tiers, quote.free_of_caps
        if tariff.transfers is not None and journey.kind in ("complete", "boarding"):
            less = self._transfer(journey, amount, steps)
            if less:
                amount += less
                free_of_tiers, free_of_caps = min(free_of_tiers, amount), min(free_of_caps, amount)
        tiered = amount - free_of_tiers
        if tariff.tiers and tiered and not self._companion:
            less = self._tier(tiered, steps)
            amount, tiered = amount + less, tiered + less
            free_of_caps = min(free_of_caps, amount)
        counted = 0
        if tariff.caps:
            capped = amount - free_of_caps
            after_day = self._cap("day", journey, quote.zones, capped, steps)
            counted = after_day
            charged = after_day
            if tariff.period is not None and not self._companion:
                charged = self._cap(tariff.period, journey, quote.zones, after_day, steps)
            amount += charged - capped
            tiered = min(tiered, amount)
        if self._companion:
            counted = tiered = 0
        self.month_minor += tiered
        return Fare(
            journey.journey_id, amount, tariff.currency, tuple(steps), "priced", quote.zones, counted, tiered
        )

    def _transfer(self, journey: Journey, amount: int, steps: list[Step]) -> int:
        """What a transfer takes off (not positive). A ride outside a window pays and opens the next."""
        rule = self.tariff.transfers
        assert rule is not None
        if rule.products and journey.product not in rule.products:
            return 0
        since = None if self.window_from is None else journey.started_at - self.window_from
        if (
            since is None
            or since > rule.window
            or (rule.count_max is not None and self.transfers >= rule.count_max)
        ):
            self.window_from, self.transfers = journey.started_at, 0
            return 0
        self.transfers += 1
        less = self.tariff.rounding.bring(Fraction(amount * rule.percent, 100)) - amount
        facts: dict[str, str | int] = {
            "percent": rule.percent,
            "since_minutes": int(since.total_seconds()) // 60,
            "window_minutes": int(rule.window.total_seconds()) // 60,
        }
        steps.append(Step("transfer", less, self.tariff.currency, facts))
        return less

    def _tier(self, tiered: int, steps: list[Step]) -> int:
        """What the month's cumulative tier takes off (not positive)."""
        reached = [tier for tier in self.tariff.tiers if tier.from_minor <= self.month_minor]
        if not reached or reached[-1].percent == 100:
            return 0
        tier = reached[-1]
        less = self.tariff.rounding.bring(Fraction(tiered * tier.percent, 100)) - tiered
        facts: dict[str, str | int] = {
            "month_minor": self.month_minor,
            "from_minor": tier.from_minor,
            "percent": tier.percent,
        }
        steps.append(Step("tier", less, self.tariff.currency, facts))
        return less

    def _cap(self, period: str, journey: Journey, zones: str, amount: int, steps: list[Step]) -> int:
        """What is left to charge of ``amount`` under the caps of this period."""
        covers = self.pricer._covers[period]
        if len(covers) == 1:
            return amount
        sums = self._sums.get((period, journey.rider_class))
        if sums is None:
            sums = self._sums[period, journey.rider_class] = _CapSums(covers, journey.rider_class)
            if period != "day":
                for (product, spent_zones), minor in self.counters.period_minor.items():
                    sums.add(product, self.tariff.zone_span(spent_zones), minor)
                sums.add_inside_all(self.counters.opening_minor)
        charged, cap = sums.add(journey.product, self.tariff.zone_span(zones), amount)
        if cap is not None:
            facts: dict[str, str | int] = {"label": cap.label, "cap_minor": cap.amount(journey.rider_class)}
            steps.append(Step("cap", charged - amount, self.tariff.currency, facts))
        return charged


class _CapSums:
    """The exact cheapest way to cover what was ridden by caps and single fares, kept up ride by ride.

    A cover is a choice of caps that are paid in full; rides inside one of them cost nothing more, all others their
    own fare. What has to be paid in all is the cheapest cover; a ride is charged what it adds to that, which is
    never negative and never more than its fare.
    """

    __slots__ = ("_covers", "_totals", "_who")

    def __init__(self, covers: "tuple[tuple[Cap, ...], ...]", who: RiderClass) -> None:
        self._covers = covers
        self._who: RiderClass = who
        self._totals = [sum(cap.amount(who) for cap in cover) for cover in covers]

    def add(self, product: str, zones: tuple[int, int] | None, amount: int) -> tuple[int, Cap | None]:
        """What the ride adds to the cheapest total, and the cap that took something off, if one did."""
        before = min(self._totals)
        holding: list[Cap | None] = []
        for index, cover in enumerate(self._covers):
            inside = next((cap for cap in cover if cap.covers(product, zones)), None)
            holding.append(inside)
            if inside is None:
                self._totals[index] += amount
        after = min(self._totals)
        charged = after - before
        if charged == amount:
            return amount, None
        return charged, holding[self._totals.index(after)]

    def add_inside_all(self, amount: int) -> None:
        """Count an amount inside every cap: only the cover without caps grows."""
        for index, cover in enumerate(self._covers):
            if not cover:
                self._totals[index] += amount


def _covers(caps: Sequence[Cap]) -> tuple[tuple[Cap, ...], ...]:
    """All choices of caps worth making: none of the chosen lies inside another."""
    choices: list[tuple[Cap, ...]] = []
    for count in range(len(caps) + 1):
        choices.extend(
            choice
            for choice in combinations(caps, count)
            if not any(_inside(one, other) for one in choice for other in choice if one is not other)
        )
    return tuple(choices)


def _inside(one: Cap, other: Cap) -> bool:
    products = not other.products or (one.products and one.products <= other.products)
    zones = other.zones is None or (
        one.zones is not None and other.zones[0] <= one.zones[0] and one.zones[1] <= other.zones[1]
    )
    return bool(products and zones)
