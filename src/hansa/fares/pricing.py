"""What a journey costs before the rider's day is looked at: basis, class, discounts; and which rules it falls under.

Everything here depends on the journey and the tariff alone, so it is worked out once for each kind of journey and
remembered: ``days`` only adds up. Order of rules for one journey: override or the first fare rule that holds or the
basis, share of the class, fees that discounts touch, discounts.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from math import asin, cos, radians, sin, sqrt
from uuid import UUID

from hansa.fares.days import Day
from hansa.fares.model import (
    Around,
    Counters,
    Fare,
    HasLines,
    Journey,
    JourneyId,
    LineFacts,
    Located,
    Places,
    Step,
)
from hansa.fares.parts.basis import Basis, CheapestBasis, FareRule
from hansa.fares.parts.caps import Cap, choices
from hansa.fares.parts.classes import ClassRule
from hansa.fares.parts.condition import Condition
from hansa.fares.parts.distance import DistanceBasis, RateBasis
from hansa.fares.parts.extras import Override
from hansa.fares.parts.links import Join
from hansa.fares.parts.price import ANY_TIME, Price, Rate, Rounding
from hansa.fares.parts.reductions import Tier
from hansa.fares.parts.ride import Circumstances, Facts, Unpriceable
from hansa.fares.parts.zones import ZoneBasis
from hansa.fares.tariff import Tariff
from hansa.kernel import HansaError

_NOWHERE_M = 1 << 40
"""Farther than anywhere: a stop that no line leads to."""

_REMEMBERED = 400_000
"""Journeys of one kind that are remembered before the memory is emptied."""

_EARTH_RADIUS_M = 6_371_008.8
"""Mean radius. Source: IUGG, GRS 80."""


def price_day(
    journeys: Sequence[Journey],
    tariff: Tariff,
    places: Places,
    counters: Counters,
    around: Around | None = None,
) -> list[Fare]:
    """The fares of one account's day with one operator, one for each journey, in the order given.

    journeys: all of the service day, in any order. counters: what earlier days of the period used up.
    around: what else is known: rides with partners, passes, residence, habits.
    """
    return Pricer(tariff, places).price_day(journeys, counters, around)


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


@dataclass(slots=True)
class Leg:
    """A journey with all that the tariff says of it, whatever the rest of the day.

    fees: (place in the tariff, amount) of the fees that are added. before, after, joins, passes, tiers: bits of the
    rules of each list that speak of it; joins_at: those whose hours are left aside. basis: prices spans of zones.
    """

    quote: Quote
    about: Circumstances
    pays_as: str
    fees: tuple[tuple[int, int], ...] = ()
    before: int = 0
    after: int = 0
    joins: int = 0
    joins_at: int = 0
    passes: int = 0
    tiers: int = 0
    basis: ZoneBasis | None = None
    named: bool = False
    covered: dict[tuple[str, str], tuple[tuple[Cap | None, int | None], ...]] = field(
        default_factory=dict[tuple[str, str], tuple[tuple[Cap | None, int | None], ...]]
    )


@dataclass(frozen=True, slots=True)
class _Ladder:
    """The tiers of one name. place: of its first in the tariff, by which a leg tells whether it counts."""

    name: str
    by_rides: bool
    place: int
    tiers: tuple[Tier, ...]

    @classmethod
    def of(cls, tariff: Tariff, name: str) -> "_Ladder":
        tiers = tuple(one for one in tariff.tiers if one.ladder == name)
        return cls(name, tiers[0].by == "rides", tariff.tiers.index(tiers[0]), tiers)


class Pricer:
    """One tariff over one network. It remembers quotes, so keep one while pricing many days."""

    def __init__(self, tariff: Tariff, places: Places) -> None:
        self.tariff = tariff
        self.places = places
        self._legs: dict[tuple[object, ...], Leg | str] = {}
        self._joined: dict[tuple[object, ...], Leg | str] = {}
        self._highest: dict[tuple[object, ...], Leg | str] = {}
        self._covers: dict[tuple[str, str], tuple[tuple[Cap, ...], ...]] = {}
        self._inner: dict[str, list[int]] = {}
        self._shares: dict[tuple[int, int, Rounding | None], int] = {}
        hours = [condition.hours for condition in _conditions(tariff) if condition.hours is not None]
        self._timed = bool(tariff.time_bands or hours)
        taps = {band.tap for band in tariff.time_bands} | {one.tap for one in hours}
        self._by_minutes = any(
            _counts_minutes(basis) for basis in (tariff.basis, *(r.basis for r in tariff.fares))
        )
        self._by_ride = any(one.any_ride for one in tariff.discounts)
        self._by_exit, self.by_first = "exit" in taps, "first" in taps
        edges = {one.starts for one in (*tariff.time_bands, *hours)} | {
            one.ends for one in (*tariff.time_bands, *hours)
        }
        self._edges = sorted(edges - {time(0), time.max})
        self._zone_info = tariff.zone_info
        self.ladders = tuple(
            _Ladder.of(tariff, name) for name in dict.fromkeys(one.ladder for one in tariff.tiers)
        )
        self.linked = bool(tariff.joins or tariff.transfers or any(fee.per != "leg" for fee in tariff.fees))
        self.subsidised = any(rule.subsidy is not None for rule in tariff.classes.values())
        self.summed = bool(tariff.tiers or tariff.caps or tariff.carnets or self.subsidised)
        self.alone = not (self.linked or self.summed or tariff.fees or tariff.passes)

    def price_day(
        self, journeys: Sequence[Journey], counters: Counters, around: Around | None = None
    ) -> list[Fare]:
        """See ``price_day``."""
        others = around.others if around is not None else ()
        rides: Iterable[tuple[int, Journey]] = enumerate(journeys)
        if others or any(one.started_at >= after.started_at for one, after in pairwise(journeys)):
            rides = sorted([*rides, *((-1, one) for one in others)], key=_in_time)
        days: dict[int, Day] = {}
        fares: list[Fare | None] = [None] * len(journeys)
        for place, journey in rides:
            day = days.get(journey.companion)
            if day is None:
                own = counters if not journey.companion else Counters()
                day = days[journey.companion] = Day(self, own, around, companion=journey.companion)
            if place < 0:
                day.see(journey)
            else:
                fares[place] = day.price(journey)
        return [fare for fare in fares if fare is not None]

    def quote(
        self,
        origin: str,
        destination: str,
        at: datetime,
        rider_class: str,
        *,
        product: str = "",
        line_id: str | None = None,
        medium: str = "",
        distance_m: int | None = None,
    ) -> Quote:
        """The single fare from stop to stop for a rider who enters at an instant, before fees, caps and tiers.

        Errors: Unpriceable when the tariff has no fare for it.
        """
        return self.leg(
            question(origin, destination, at, rider_class, product, line_id, medium, distance_m)
        ).quote

    def explain(
        self,
        origin: str,
        destination: str,
        at: datetime,
        rider_class: str,
        *,
        product: str = "",
        line_id: str | None = None,
        medium: str = "",
        distance_m: int | None = None,
        ended_at: datetime | None = None,
        counters: Counters | None = None,
        around: Around | None = None,
    ) -> Fare:
        """What if: the fare, with its steps, of a ride that is the first of its day. Held where there is none."""
        journey = question(origin, destination, at, rider_class, product, line_id, medium, distance_m)
        journey = replace(journey, ended_at=ended_at or at)
        return self.price_day([journey], counters or Counters(), around)[0]

    # -- one journey ---------------------------------------------------------------------------------------

    def leg(self, journey: Journey, first_at: datetime | None = None) -> Leg:
        """The journey by itself. first_at: the first tap of its trip, if that is not its own.

        Errors: Unpriceable.
        """
        if journey.kind in ("no_exit", "no_entry"):
            return self._missing(journey)
        key = (
            journey.kind,
            journey.origin,
            journey.destination,
            journey.line_id,
            journey.product,
            journey.operator_id,
            journey.medium,
            journey.rider_class,
            journey.distance_m,
            *self._whens(journey, first_at),
        )
        leg = self._legs.get(key)
        if leg is None:
            if len(self._legs) >= _REMEMBERED:
                self._legs.clear()
            try:
                leg = self._work_out(_Ride(self, journey), self._times(journey, first_at))
            except Unpriceable as reason:
                leg = str(reason)
            self._legs[key] = leg
        if isinstance(leg, str):
            raise Unpriceable(leg)
        return leg

    def joined(self, place: int, journeys: Sequence[Journey], abouts: Sequence[Circumstances]) -> Leg:
        """Journeys priced as one, by the join rule at this place of the tariff.

        abouts: of each by itself. Errors: Unpriceable.
        """
        first, last = journeys[0], journeys[-1]
        key = (
            place,
            *((one.origin, one.destination, one.line_id, one.product, one.distance_m) for one in journeys),
            *((self._whens(one, None) for one in journeys) if self._by_ride or self._by_minutes else ()),
            first.operator_id,
            first.medium,
            first.rider_class,
            *self._whens(replace(first, ended_at=last.ended_at), first.started_at),
        )
        leg = self._joined.get(key)
        if leg is None:
            if len(self._joined) >= _REMEMBERED:
                self._joined.clear()
            try:
                leg = self._join(self.tariff.joins[place], journeys, abouts)
            except Unpriceable as reason:
                leg = str(reason)
            self._joined[key] = leg
        if isinstance(leg, str):
            raise Unpriceable(leg)
        return leg

    def _join(self, join: Join, journeys: Sequence[Journey], abouts: Sequence[Circumstances]) -> Leg:
        first, last = journeys[0], journeys[-1]
        whole = replace(
            first,
            kind="complete",
            ended_at=last.ended_at,
            destination=last.destination,
            last_tap=last.last_tap,
        )
        times = self._times(whole, first.started_at)
        if join.fare:
            rule = next(rule for rule in self.tariff.fares if rule.name == join.fare)
            return self._work_out(_Ride(self, whole, join, journeys, abouts), times, rule)
        dearest: Leg | None = None
        kinds = {(one.product, one.line_id, one.operator_id): one for one in journeys}
        for product, line_id, operator_id in kinds:
            ride = replace(whole, product=product, line_id=line_id, operator_id=operator_id)
            leg = self._work_out(_Ride(self, ride, join, journeys, abouts), times)
            if dearest is None or leg.quote.amount > dearest.quote.amount:
                dearest = leg
        assert dearest is not None, "a join has journeys"
        return dearest

    # -- time ----------------------------------------------------------------------------------------------

    def local(self, at: datetime) -> datetime:
        """An instant by the city's clocks."""
        return at.astimezone(self._zone_info)

    def _when(self, at: datetime) -> tuple[str, int]:
        """Day type, and between which of the tariff's times of day an instant lies."""
        local = at.astimezone(self._zone_info)
        return self.tariff.day_type(local), bisect_right(self._edges, local.time())

    def _whens(self, journey: Journey, first_at: datetime | None) -> tuple[object, ...]:
        lasts = (journey.ended_at - journey.started_at,) if self._by_minutes else ()
        if not self._timed:
            return lasts
        return (
            *lasts,
            self._when(journey.started_at),
            self._when(journey.ended_at) if self._by_exit else None,
            self._when(first_at or journey.started_at) if self.by_first else None,
        )

    def _times(self, journey: Journey, first_at: datetime | None) -> dict[str, tuple[str, time]]:
        if not self._timed:
            return {}
        taps = {"entry": journey.started_at, "first": first_at or journey.started_at}
        if journey.kind == "complete":
            taps["exit"] = journey.ended_at
        times: dict[str, tuple[str, time]] = {}
        for tap, at in taps.items():
            day_type, slot = self._when(at)
            times[tap] = day_type, self._edges[slot - 1] if slot else time(0)
        return times

    def _band(
        self,
        product: str,
        times: Mapping[str, tuple[str, time]],
        from_zones: frozenset[str],
        to_zones: frozenset[str],
    ) -> str:
        for band in self.tariff.time_bands:
            at = times.get(band.tap)
            if at is None or not band.hold(*at) or (band.products and product not in band.products):
                continue
            into = band.unless_into
            if into and from_zones and into.isdisjoint(from_zones) and not into.isdisjoint(to_zones):
                continue
            return band.name
        return self.tariff.default_band

    # -- working out ---------------------------------------------------------------------------------------

    def _work_out(
        self, ride: "_Ride", times: Mapping[str, tuple[str, time]], rule: FareRule | None = None
    ) -> Leg:
        tariff, journey = self.tariff, ride.journey
        about = self._about(journey, times)
        ride.settle(about)
        basis, named, zones_of_rule, override = tariff.basis, False, "", None
        same_stop = journey.kind == "complete" and ride.join is None and journey.origin == journey.destination
        if same_stop and tariff.same_stop is not None and journey.origin is not None:
            amount, steps = self._for_class(
                tariff.same_stop, about, "same_stop", {}, "journey.same_stop", named=False
            )
            steps = (*self._ride_step(ride, basis), *steps)
            quote = Quote(amount, steps, self._same_zone(journey.origin))
        else:
            override = self._override(journey)
            if override is not None and rule is None:
                quote = self._overridden(override, ride, about)
            else:
                rule = rule or next(
                    (r for r in tariff.fares if not r.joined and r.condition.holds(about)), None
                )
                if rule is not None:
                    basis, named, zones_of_rule = rule.basis, bool(rule.condition.classes), rule.zones
                    ride.named = named
                quote = self._by_basis(basis, ride, about, named=named, name=rule.name if rule else "")
                if zones_of_rule and not quote.zones:
                    quote = replace(quote, zones=zones_of_rule)
        if zones := tariff.zone_names(quote.zones):
            about = replace(about, zones=zones)
        apart = quote.free_of_tiers if override is not None else 0
        quote, fees = self._with_fees(quote, about)
        quote = self._discounted(quote, about, apart, ride.abouts)
        return self._leg(quote, about, fees, basis if isinstance(basis, ZoneBasis) else None, named=named)

    def _leg(
        self,
        quote: Quote,
        about: Circumstances,
        fees: tuple[tuple[int, int], ...] = (),
        basis: ZoneBasis | None = None,
        *,
        named: bool = False,
    ) -> Leg:
        tariff = self.tariff
        joins_at = _bits(join.condition.holds(about, places_only=True) for join in tariff.joins)
        return Leg(
            quote,
            about,
            self._pays_as(about.rider_class),
            fees,
            before=_bits(one.before.holds(about) for one in tariff.transfers),
            after=_bits(one.after.holds(about) for one in tariff.transfers),
            joins=_bits(one.condition.holds(about) for one in tariff.joins),
            joins_at=joins_at,
            passes=_bits(_holds_but_zones(one.condition, about) for one in tariff.passes),
            tiers=_bits(one.condition.holds(about) for one in tariff.tiers),
            basis=basis,
            named=named,
        )

    def about(self, journey: Journey) -> Leg:
        """What the rules say of a journey that is not priced here: a ride with a partner."""
        about = self._about(journey, self._times(journey, None))
        return self._leg(Quote(0, ()), about)

    def _about(self, journey: Journey, times: Mapping[str, tuple[str, time]]) -> Circumstances:
        from_zones, to_zones = self._zones_at(journey.origin), self._zones_at(journey.destination)
        touched = from_zones | to_zones if from_zones and to_zones else None
        return Circumstances(
            product=journey.product,
            line_id=journey.line_id,
            operator_id=journey.operator_id,
            origin=journey.origin,
            destination=journey.destination,
            rider_class=self._pays_as(journey.rider_class),
            medium=journey.medium,
            band=self._band(journey.product, times, from_zones, to_zones),
            from_zones=from_zones,
            to_zones=to_zones,
            zones=touched,
            times=times,
        )

    def _zones_at(self, stop: str | None) -> frozenset[str]:
        if stop is None or stop not in self.places.stops:
            return frozenset()
        return frozenset(self.zones_of(stop))

    def _pays_as(self, rider_class: str) -> str:
        pays_as = self.tariff.people.verified.get(rider_class)
        if pays_as is None:
            raise Unpriceable(f"the tariff knows no class {rider_class}")
        return pays_as

    def _by_basis(
        self, basis: Basis, ride: "_Ride", about: Circumstances, *, named: bool, name: str = ""
    ) -> Quote:
        steps = self._ride_step(ride, basis)
        found = basis.find(ride)
        facts: Facts = {"name": name, **found.facts}
        amount, more = self._for_class(found.price, about, found.rule, facts, found.clause, named=named)
        return Quote(amount, (*steps, *more), found.zones)

    def _ride_step(self, ride: "_Ride", basis: Basis) -> tuple[Step, ...]:
        if ride.origin is None or ride.destination is None:
            return ()
        facts: Facts = {"from": self.name(ride.origin), "to": self.name(ride.destination)}
        if isinstance(basis, DistanceBasis | RateBasis):
            unit = basis.measure if basis.measure in ("stops", "minutes") else "distance_m"
            facts[unit] = ride.distance_m(basis.measure)
            if unit == "distance_m" and basis.measure != "network":
                facts["measure"] = basis.measure
        return (self.step("ride", 0, facts),)

    def _same_zone(self, stop: str) -> str:
        order = self.tariff.zone_order
        zones = [zone for zone in self.zones_of(stop) if zone in order]
        return min(zones, key=order.index, default="")

    def _override(self, journey: Journey) -> Override | None:
        for override in self.tariff.overrides:
            if (
                journey.line_id in override.lines
                or journey.origin in override.stops
                or journey.destination in override.stops
            ):
                return override
        return None

    def _overridden(self, override: Override, ride: "_Ride", about: Circumstances) -> Quote:
        """The override's own fare and, where it has gateways, the main fare for the rest of the way."""
        steps = self._ride_step(ride, self.tariff.basis)
        own, more = self._for_class(
            override.price, about, "override", {"name": override.name}, override.clause, named=False
        )
        steps = (*steps, *more)
        free_of_tiers = 0 if override.tiers else own
        free_of_caps = 0 if override.caps else own
        origin, destination = ride.origin, ride.destination
        inner = destination if origin in override.stops else origin
        if not override.gateways or inner is None or inner in override.stops | set(override.gateways):
            return Quote(own, steps, "", free_of_tiers, free_of_caps)
        gateway = min(override.gateways, key=lambda stop: (self.network_m(stop, inner), stop))
        ends = (inner, gateway) if inner == origin else (gateway, inner)
        rest_of_way = _Ride(self, replace(ride.journey, origin=ends[0], destination=ends[1]))
        rest_of_way.settle(about)
        rest = self._by_basis(self.tariff.basis, rest_of_way, about, named=False)
        return Quote(own + rest.amount, (*steps, *rest.steps), rest.zones, free_of_tiers, free_of_caps)

    def column(self, about: Circumstances, *, named: bool) -> tuple[str, ...]:
        """The columns of a price that this rider may pay by, nearest first."""
        if named:
            return (about.rider_class, "adult")
        own = self.tariff.classes[about.rider_class].own_column
        return (about.rider_class,) if own else ("adult",)

    def pays(self, price: Price, about: Circumstances, *, named: bool) -> int:
        """What a price says for this rider, before any share. Errors: Unpriceable."""
        for column in self.column(about, named=named):
            amount = price.find(about.band, column, about.medium)
            if amount is not None:
                return amount
        worked_out = price.amounts.get((ANY_TIME, ""))
        if worked_out is None:
            hours, who = about.band or "any-time", self.column(about, named=named)[0]
            raise Unpriceable(f"the tariff has no {hours} amount for {who}")
        return worked_out

    def _for_class(
        self,
        price: Price,
        about: Circumstances,
        rule: str,
        facts: Mapping[str, str | int],
        clause: str,
        *,
        named: bool,
    ) -> tuple[int, tuple[Step, ...]]:
        """What this class pays of a price: its own column, or the adult's and then its share."""
        amount = self.pays(price, about, named=named)
        rider_class = about.rider_class
        column = self.column(about, named=named)[0]
        first = self.step(rule, amount, {**facts, "band": about.band, "class": column}, clause)
        if named:
            return amount, (first,)
        who = self.tariff.classes[rider_class]
        return self._share_of_class(amount, first, who, about)

    def _share_of_class(
        self, amount: int, first: Step, who: ClassRule, about: Circumstances
    ) -> tuple[int, tuple[Step, ...]]:
        rider_class = about.rider_class
        if who.flat is not None:
            facts: Facts = {"class": rider_class, "fare_minor": who.flat}
            return who.flat, (first, self.step("class_flat", who.flat - amount, facts, who.clause))
        if who.percent is None:
            return amount, (first,)
        percent = who.percent.get(about.band, who.percent.get(ANY_TIME, 100))
        if percent == 100:
            return amount, (first,)
        share = self.share(amount, percent, who.rounding)
        facts = {"class": rider_class, "percent": percent}
        return share, (first, self.step("class", share - amount, facts, who.clause))

    def _with_fees(self, quote: Quote, about: Circumstances) -> tuple[Quote, tuple[tuple[int, int], ...]]:
        """The quote with those fees that discounts touch, and the fees that are added later."""
        fees: list[tuple[int, int]] = []
        for place, fee in enumerate(self.tariff.fees):
            if not fee.condition.holds(about):
                continue
            amount = self.of_class(fee.price, about.rider_class)
            if not fee.discounts:
                fees.append((place, amount))
                continue
            step = self.step("fee", amount, {"name": fee.name}, fee.clause)
            quote = Quote(
                quote.amount + amount,
                (*quote.steps, step),
                quote.zones,
                quote.free_of_tiers + (0 if fee.tiers else amount),
                quote.free_of_caps + (0 if fee.caps else amount),
            )
        return quote, tuple(fees)

    def _discounted(
        self, quote: Quote, about: Circumstances, apart: int, joined: Sequence[Circumstances]
    ) -> Quote:
        """apart: the part of the quote that stands outside discounts. joined: the rides of a joined one."""
        whole, taken = quote.amount - apart, False
        for discount in self.tariff.discounts:
            rides = joined if joined and discount.any_ride else (about,)
            if (taken and not discount.adds) or not any(discount.condition.holds(one) for one in rides):
                continue
            base = quote.amount - apart
            if discount.less is not None:
                less = -min(base, self.of_class(discount.less, about.rider_class))
                facts: Facts = {"name": discount.name}
            else:
                of = whole if discount.of_whole else base
                less = max(self.share(of, discount.percent, None) - of, -base)
                facts = {"name": discount.name, "percent": discount.percent}
            taken = taken or not discount.adds
            amount = quote.amount + less
            quote = Quote(
                amount,
                (*quote.steps, self.step("discount", less, facts, discount.clause)),
                quote.zones,
                min(quote.free_of_tiers, amount),
                min(quote.free_of_caps, amount),
            )
        return quote

    # -- a missing tap -------------------------------------------------------------------------------------

    def by_habit(
        self, journey: Journey, habits: Mapping[str, Mapping[str, int]]
    ) -> tuple[Journey, Step] | None:
        """The journey with the rider's usual other end, and the step that says so; None where there is no habit."""
        rule, known = self.tariff.incomplete, journey.origin or journey.destination
        ends = habits.get(known or "") or {}
        rides = sum(ends.values())
        if not rule.habit_percent or known is None or rides < rule.habit_rides:
            return None
        usual = max(ends, key=lambda stop: (ends[stop], stop))
        if ends[usual] * 100 < rule.habit_percent * rides:
            return None
        origin, destination = (known, usual) if journey.kind == "no_exit" else (usual, known)
        facts: Facts = {
            "kind": journey.kind,
            "stop": self.name(known),
            "usual": self.name(usual),
            "times": ends[usual],
            "of": rides,
        }
        whole = replace(journey, kind="complete", origin=origin, destination=destination)
        return whole, self.step("habit", 0, facts, rule.clause)

    def _missing(self, journey: Journey) -> Leg:
        tariff, rule = self.tariff, self.tariff.incomplete
        stop = journey.origin or journey.destination
        facts: Facts = {"kind": journey.kind}
        key = (
            stop,
            journey.kind,
            journey.product,
            journey.line_id,
            journey.operator_id,
            journey.medium,
            journey.rider_class,
            *self._whens(journey, None),
        )
        known = self._highest.get(key)
        if isinstance(known, Leg):
            return known
        if isinstance(known, str):
            raise Unpriceable(known)
        about = self._about(journey, self._times(journey, None))
        try:
            if rule.price is not None:
                about = replace(about, band=self._band(about.product, about.times, frozenset(), frozenset()))
                amount, steps = self._for_class(
                    rule.price, about, "incomplete", facts, rule.clause, named=False
                )
                zones = ""
            else:
                highest = self._highest_from(stop, journey)
                where = {"stop": self.name(stop)} if stop is not None else {}
                step = self.step("incomplete", highest.amount, {**facts, **where}, rule.clause)
                amount, steps, zones = highest.amount, (step,), highest.zones
        except Unpriceable as reason:
            self._highest[key] = str(reason)
            raise
        if rule.counts:
            if not zones and tariff.zone_order:
                zones = tariff.zone_label((0, len(tariff.zone_order) - 1))
            about = replace(about, zones=tariff.zone_names(zones))
            quote = Quote(amount, steps, zones)
        else:
            quote = Quote(amount, steps, "", amount, amount)
        leg = self._highest[key] = self._leg(quote, about)
        return leg

    def _highest_from(self, stop: str | None, journey: Journey) -> Quote:
        best: Quote | None = None
        for ride in self._far_rides(stop, journey):
            try:
                quote = self.leg(ride).quote
            except Unpriceable:
                continue
            if best is None or quote.amount > best.amount:
                best = quote
        if best is None:
            if stop is None:
                raise Unpriceable("a tap is missing and the other names no stop")
            raise Unpriceable(f"the tariff has no fare from {stop} to anywhere")
        return best

    def _far_rides(self, stop: str | None, journey: Journey) -> Iterable[Journey]:
        """The rides among which the dearest from here is."""
        ends = (*(rule.basis for rule in self.tariff.fares if not rule.joined), self.tariff.basis)
        for basis in ends:  # metres that only a device can tell: as far as the fares go
            if isinstance(basis, DistanceBasis) and basis.measure == "given" and not basis.beyond:
                yield replace(journey, kind="complete", distance_m=basis.bands[-1].up_to_m)
            if isinstance(basis, DistanceBasis) and basis.measure == "minutes" and not basis.beyond:
                lasts = timedelta(minutes=basis.bands[-1].up_to_m)
                yield replace(journey, kind="complete", ended_at=journey.started_at + lasts)
        if stop is None:
            return
        for other in self._far_stops(stop):
            origin, destination = (stop, other) if journey.kind == "no_exit" else (other, stop)
            yield replace(journey, kind="complete", origin=origin, destination=destination)

    def _far_stops(self, stop: str) -> list[str]:
        """The stops among which the dearest to reach from here is: the farthest, where fares rise with distance."""
        apart = frozenset[str]().union(*(override.stops for override in self.tariff.overrides))
        if stop in apart:
            return list(self.places.stops)
        others = [other for other in self.places.stops if other not in apart]  # no airport traveller by guess
        if not self._rises_with_distance:
            return others
        reach = {other: self._reach_m(stop, other) for other in others}
        near = [other for other in others if reach[other] < _NOWHERE_M]
        return [max(near, key=lambda other: reach[other])] if near else []

    @cached_property
    def _rises_with_distance(self) -> bool:
        basis = self.tariff.basis
        return (
            isinstance(basis, DistanceBasis)
            and basis.measure == "network"
            and not self.tariff.fares
            and basis.rises
        )

    # -- caps ----------------------------------------------------------------------------------------------

    def covers(self, period: str, day_type: str) -> tuple[tuple[Cap, ...], ...]:
        """The choices of caps of a period, on a day of this type."""
        key = (period, day_type)
        found = self._covers.get(key)
        if found is None:
            caps = [cap for cap in self.tariff.caps if cap.period == period]
            found = choices([cap for cap in caps if not cap.days or day_type in cap.days])
            self._covers[key] = found
        return found

    def covered(self, leg: Leg, period: str, day_type: str) -> tuple[tuple[Cap | None, int | None], ...]:
        """For each choice of caps: the cap that takes the leg in, and what is still paid (None is nothing)."""
        key = (period, day_type)
        found = leg.covered.get(key)
        if found is None:
            found = tuple(self._held_by(leg, cover) for cover in self.covers(period, day_type))
            leg.covered[key] = found
        return found

    def _held_by(self, leg: Leg, cover: Sequence[Cap]) -> tuple[Cap | None, int | None]:
        best: tuple[Cap | None, int | None] = (None, None)
        for cap in cover:
            if cap.products and leg.about.product not in cap.products:
                continue
            if not _holds_but_zones(cap.condition, leg.about):
                continue
            names = self.tariff.zone_names(leg.quote.zones)
            inside = self._cap_zones(cap)
            if inside is None or (names is not None and names <= inside):
                return cap, None
            if cap.extend and names is not None and cap.zones is not None:
                rest = self.beyond(leg, cap.zones)
                if rest is not None and (best[1] is None or rest < best[1]):
                    best = cap, rest
        return best

    def _cap_zones(self, cap: Cap) -> frozenset[str] | None:
        if cap.zones is not None:
            return frozenset(self.tariff.zone_order[cap.zones[0] : cap.zones[1] + 1])
        return cap.zone_set or None

    def beyond(self, leg: Leg, held: tuple[int, int]) -> int | None:
        """What the zones outside a span cost by themselves; None where the ride touches none inside it."""
        touched = self.tariff.zone_span(leg.quote.zones)
        if touched is None or leg.basis is None or leg.basis.order != self.tariff.zone_order:
            return None
        if touched[1] < held[0] or touched[0] > held[1]:
            return None
        rest = 0
        for low, high in ((touched[0], held[0] - 1), (held[1] + 1, touched[1])):
            if low <= high:
                price = leg.basis.of_span((low, high)).price
                rest += self._for_class(price, leg.about, "zones", {}, "", named=leg.named)[0]
        return rest

    # -- places --------------------------------------------------------------------------------------------

    def measured_m(self, measure: str, journey: Journey) -> int:
        """Metres of one journey. Errors: Unpriceable."""
        if measure == "minutes":
            if journey.kind != "complete":
                raise Unpriceable("the fare goes by minutes, and only one tap is known")
            return -int((journey.started_at - journey.ended_at).total_seconds() // 60)
        if measure == "given":
            if journey.distance_m is None:
                raise Unpriceable("the fare goes by metres that are given with the ride, and none are")
            return journey.distance_m
        if journey.origin is None or journey.destination is None:
            raise Unpriceable("the tap names no stop, and the fare depends on the stops")
        if measure == "straight":
            return self._straight_m(journey.origin, journey.destination)
        if measure == "stops":
            return self._stops_between(journey.line_id, journey.origin, journey.destination)
        if measure == "line":
            return self._along_m(journey.line_id, journey.origin, journey.destination)
        return self.network_m(journey.origin, journey.destination)

    def network_m(self, origin: str, destination: str) -> int:
        """Shortest metres over the network. Errors: Unpriceable."""
        for stop in (origin, destination):
            if stop not in self.places.stops:
                raise Unpriceable(f"{stop} is not on the network")
        try:
            return self.places.distance_m(origin, destination)
        except (HansaError, LookupError) as error:
            raise Unpriceable(f"no way from {origin} to {destination} over the network") from error

    def _along_m(self, line_id: str | None, origin: str, destination: str) -> int:
        lines = self.places.lines if isinstance(self.places, HasLines) else {}
        line = lines.get(line_id or "")
        if line is None:
            raise Unpriceable(f"line {line_id or 'unknown'} is not on the network")
        at: dict[str, int] = {}
        metres = 0
        for place, (stop, step_m) in enumerate(line.stops):
            metres += step_m if place else 0
            at.setdefault(stop, metres)
        if origin not in at or destination not in at:
            raise Unpriceable(f"line {line_id} does not call at {origin} and {destination}")
        along = abs(at[origin] - at[destination])
        return min(along, metres + line.stops[0][1] - along) if line.loop else along

    def _stops_between(self, line_id: str | None, origin: str, destination: str) -> int:
        """Stops ridden, the last one counted: along the line if it calls at both, else the fewest over the network."""
        lines = self.places.lines if isinstance(self.places, HasLines) else {}
        line = lines.get(line_id or "")
        near = self._hops if line is None else _neighbours((line,))
        if line is not None and not {origin, destination} <= near.keys():
            near = self._hops
        seen, here = {origin}, [origin]
        for count in range(len(near) + 1):
            if destination in here:
                return count
            reached = set[str]().union(*(near.get(one, set[str]()) for one in here))
            here = sorted(reached - seen)
            seen.update(here)
        raise Unpriceable(f"no line leads from {origin} to {destination}")

    @cached_property
    def _hops(self) -> dict[str, set[str]]:
        lines = self.places.lines if isinstance(self.places, HasLines) else {}
        return _neighbours(lines.values())

    def _straight_m(self, origin: str, destination: str) -> int:
        """Over a sphere. Source: haversine formula."""
        points: list[tuple[float, float]] = []
        for stop in (origin, destination):
            facts = self.places.stops.get(stop)
            if not isinstance(facts, Located) or facts.lat is None or facts.lon is None:
                raise Unpriceable(f"it is not known where {stop} lies")
            points.append((radians(facts.lat), radians(facts.lon)))
        (lat_a, lon_a), (lat_b, lon_b) = points
        half = sin((lat_b - lat_a) / 2) ** 2 + cos(lat_a) * cos(lat_b) * sin((lon_b - lon_a) / 2) ** 2
        return round(2 * _EARTH_RADIUS_M * asin(sqrt(min(1.0, half))))

    def zones_of(self, stop: str) -> tuple[str, ...]:
        """The zones of a stop; several on a boundary. Errors: Unpriceable."""
        if stop not in self.places.stops:
            raise Unpriceable(f"{stop} is not on the network")
        zone = self.places.zone_of(stop)
        return tuple(zone.split("/")) if zone else ()

    def zones_between(self, origin: str, destination: str) -> frozenset[str]:
        """Zones of the stops on a shortest way; boundary stops are left open to either side."""
        whole = self.network_m(origin, destination)
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

    # -- small things --------------------------------------------------------------------------------------

    def share(self, amount: int, percent: int, rounding: Rounding | None = None) -> int:
        """So many percent of an amount, as the tariff rounds."""
        key = (amount, percent, rounding)
        share = self._shares.get(key)
        if share is None:
            if len(self._shares) >= _REMEMBERED:
                self._shares.clear()
            share = (rounding or self.tariff.rounding).bring(Fraction(amount * percent, 100))
            self._shares[key] = share
        return share

    def of_class(self, price: Price, rider_class: str) -> int:
        """An amount by class; a class that is not named has the adult's."""
        own = price.find(ANY_TIME, rider_class)
        return own if own is not None else price.find(ANY_TIME, "adult") or 0

    def name(self, stop: str) -> str:
        """What a stop is called."""
        facts = self.places.stops.get(stop)
        return stop if facts is None else facts.name

    def step(self, rule: str, amount: int, facts: Mapping[str, str | int], clause: str = "") -> Step:
        """A step in the tariff's currency; figures that are empty are left out."""
        said = {key: value for key, value in facts.items() if value != ""}
        if clause:
            said["clause"] = clause
        return Step(rule, amount, self.tariff.currency, said)


class _Ride:
    """A ride as a basis sees it."""

    def __init__(
        self,
        pricer: Pricer,
        journey: Journey,
        join: Join | None = None,
        joined: Sequence[Journey] = (),
        abouts: Sequence[Circumstances] = (),
    ) -> None:
        self.pricer, self.journey = pricer, journey
        self.join, self.joined, self.abouts = join, joined, abouts
        self.origin, self.destination = journey.origin, journey.destination
        self.line_id = journey.line_id
        self.named = False
        self._about: Circumstances | None = None

    def settle(self, about: Circumstances) -> None:
        """Who rides, and when."""
        self._about = about

    @property
    def about(self) -> Circumstances:
        assert self._about is not None, "settled before it is priced"
        return self._about

    def ends(self) -> tuple[str, str]:
        if self.origin is None or self.destination is None:
            raise Unpriceable("the tap names no stop, and the fare depends on the stops")
        return self.origin, self.destination

    def distance_m(self, measure: str) -> int:
        if self.join is not None and (self.join.by == "distances" or measure == "given"):
            return sum(self.pricer.measured_m(measure, one) for one in self.joined)
        return self.pricer.measured_m(measure, self.journey)

    def zones_of(self, stop: str) -> tuple[str, ...]:
        return self.pricer.zones_of(stop)

    def zones_between(self) -> frozenset[str]:
        if self.join is None or self.join.by == "ends":
            return self.pricer.zones_between(*self.ends())
        found = frozenset[str]()
        for place, one in enumerate(self.joined):
            if one.origin is None or one.destination is None:
                raise Unpriceable("the tap names no stop, and the fare depends on the stops")
            found |= self.pricer.zones_between(one.origin, one.destination)
            for stop in (
                one.origin if place else None,
                one.destination if one is not self.joined[-1] else None,
            ):
                zones = self.pricer.zones_of(stop) if stop is not None else ()
                found |= frozenset(zones) if len(zones) == 1 else frozenset()
        return found

    def pays(self, price: Price) -> int:
        return self.pricer.pays(price, self.about, named=self.named)

    def rate(self, rate: Rate) -> Fraction:
        for column in self.pricer.column(self.about, named=self.named):
            found = rate.find(self.about.band, column, self.about.medium)
            if found is not None:
                return found
        raise Unpriceable(f"the tariff has no rate for {self.about.rider_class}")

    def name_of(self, stop: str) -> str:
        return self.pricer.name(stop)


def question(
    origin: str,
    destination: str,
    at: datetime,
    rider_class: str,
    product: str = "",
    line_id: str | None = None,
    medium: str = "",
    distance_m: int | None = None,
) -> Journey:
    """A journey nobody has made, to ask what it would cost."""
    nobody = UUID(int=0)
    return Journey(
        journey_id=JourneyId(nobody),
        kind="complete",
        product=product,
        rider_class=rider_class,
        cti=b"",
        started_at=at,
        ended_at=at,
        origin=origin,
        destination=destination,
        line_id=line_id,
        first_tap=nobody,
        last_tap=nobody,
        medium=medium,
        distance_m=distance_m,
    )


def _conditions(tariff: Tariff) -> Iterable[Condition]:
    for part in (
        tariff.fares,
        tariff.fees,
        tariff.joins,
        tariff.discounts,
        tariff.passes,
        tariff.tiers,
        tariff.caps,
        tariff.carnets,
    ):
        for one in part:
            yield one.condition
    for transfer in tariff.transfers:
        yield transfer.before
        yield transfer.after


def _counts_minutes(basis: Basis) -> bool:
    if isinstance(basis, CheapestBasis):
        return any(_counts_minutes(one) for one in basis.choices)
    return isinstance(basis, DistanceBasis | RateBasis) and basis.measure == "minutes"


def _holds_but_zones(condition: Condition, about: Circumstances) -> bool:
    return condition.always or (
        replace(condition, zones=frozenset()) if condition.zones else condition
    ).holds(about)


def _neighbours(lines: Iterable[LineFacts]) -> dict[str, set[str]]:
    """The stops next to each stop."""
    near: dict[str, set[str]] = {}
    for line in lines:
        stops = [stop for stop, _ in line.stops]
        for one, other in (*pairwise(stops), *([(stops[-1], stops[0])] if line.loop else [])):
            near.setdefault(one, set()).add(other)
            near.setdefault(other, set()).add(one)
    return near


def _bits(flags: Iterable[bool]) -> int:
    return sum(1 << place for place, flag in enumerate(flags) if flag)


def _in_time(ride: tuple[int, Journey]) -> tuple[datetime, bytes]:
    return ride[1].started_at, ride[1].journey_id.bytes
