"""What a journey costs before the rider's day is looked at: basis, class, discounts; and which rules it falls under.

Everything here depends on the journey and the tariff alone, so it is worked out once for each kind of journey and
remembered: ``days`` only adds up. Order of rules for one journey: override or the first fare rule that holds or the
basis, share of the class, fees that discounts touch, discounts.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from fractions import Fraction
from itertools import combinations, pairwise

from hansa.fares.asked import Asked, farthest_apart
from hansa.fares.days import Day
from hansa.fares.legs import Ladder, Leg, Quote, question
from hansa.fares.missing_taps import MissingTaps
from hansa.fares.model import Around, Counters, Fare, Journey, Places, Step
from hansa.fares.parts.basis import Basis, CheapestBasis, FareRule
from hansa.fares.parts.caps import Cap, choices
from hansa.fares.parts.classes import ClassRule
from hansa.fares.parts.condition import Condition
from hansa.fares.parts.distance import DistanceBasis, RateBasis
from hansa.fares.parts.extras import Override
from hansa.fares.parts.links import Join
from hansa.fares.parts.price import ANY_TIME, Price, Rounding
from hansa.fares.parts.ride import Circumstances, Facts, Found, Unpriceable
from hansa.fares.parts.zones import ByZones
from hansa.fares.tariff import Tariff
from hansa.fares.ways import Ways

_QUARTER_S = 900
"""Clocks differ from UTC by whole quarters of an hour, and most hours of a tariff begin with one."""

_REMEMBERED = 400_000
"""Journeys of one kind that are remembered before the memory is emptied."""


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


class Pricer:
    """One tariff over one network. It remembers quotes, so keep one while pricing many days."""

    def __init__(self, tariff: Tariff, places: Places) -> None:
        self.tariff = tariff
        self.places = places
        self.ways = Ways(places)
        self.missing = MissingTaps(self)
        self._legs: dict[tuple[object, ...], Leg | Unpriceable] = {}
        self._joined: dict[tuple[object, ...], Leg | Unpriceable] = {}
        self._covers: dict[tuple[str, str], tuple[tuple[Cap, ...], ...]] = {}
        self._caps_minor: dict[tuple[str, str, str], list[int]] = {}
        self._shares: dict[tuple[int, int, Rounding | None], int] = {}
        parts = [part for condition in conditions(tariff) for part in condition.parts]
        hours = [part.hours for part in parts if part.hours is not None]
        self._timed = bool(tariff.time_bands or hours)
        taps = {band.tap for band in tariff.time_bands} | {one.tap for one in hours}
        self._by_minutes = any(
            _counts_minutes(basis) for basis in (tariff.basis, *(r.basis for r in tariff.fares))
        )
        self._by_ride = any(one.any_ride for one in tariff.discounts)
        self._seasonal = bool(tariff.seasons)
        self._by_exit, self.by_first = "exit" in taps, "first" in taps
        edges = {one.starts for one in (*tariff.time_bands, *hours)} | {
            one.ends for one in (*tariff.time_bands, *hours)
        }
        self._edges = sorted(edges - {time(0), time.max})
        self._zone_info = tariff.zone_info
        self._by_quarter = all(edge.minute % 15 == 0 for edge in (*self._edges, tariff.day_starts))
        self._slots: dict[int, tuple[str, int]] = {}
        self.ladders = tuple(
            Ladder.of(tariff, name) for name in dict.fromkeys(one.ladder for one in tariff.tiers)
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
                if around is not None and around.earlier and not journey.companion:
                    day.go_on_from(sorted(around.earlier, key=_by_time))
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
            return self.missing.leg(journey)
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
            journey.via,
            *self.whens(journey, first_at),
        )
        leg = self._legs.get(key)
        if leg is None:
            if len(self._legs) >= _REMEMBERED:
                self._legs.clear()
            try:
                leg = self._work_out(Asked(self, journey), self.times(journey, first_at))
            except Unpriceable as reason:
                leg = reason.again()
            self._legs[key] = leg
        if isinstance(leg, Unpriceable):
            raise leg.again()
        return leg

    def joined(
        self,
        place: int,
        journeys: Sequence[Journey],
        abouts: Sequence[Circumstances],
        under: Journey | None = None,
    ) -> Leg:
        """Journeys priced as one, by the join rule at this place of the tariff.

        abouts: of each by itself. under: the ride whose hour counts, where the rule does not say. Errors: Unpriceable.
        """
        first, last, join = journeys[0], journeys[-1], self.tariff.joins[place]
        by_each = self._by_ride or self._by_minutes or join.hour != "first"
        key = (
            place,
            *(
                (one.origin, one.destination, one.line_id, one.product, one.distance_m, one.via)
                for one in journeys
            ),
            *((self.whens(one, None) for one in journeys) if by_each else ()),
            first.operator_id,
            first.medium,
            first.rider_class,
            *self.whens(replace(first, ended_at=last.ended_at), first.started_at),
            *(self.whens(under, first.started_at) if under is not None else ()),
        )
        leg = self._joined.get(key)
        if leg is None:
            if len(self._joined) >= _REMEMBERED:
                self._joined.clear()
            try:
                leg = self._join(join, journeys, abouts, under)
            except Unpriceable as reason:
                leg = reason.again()
            self._joined[key] = leg
        if isinstance(leg, Unpriceable):
            raise leg.again()
        return leg

    def _join(
        self, join: Join, journeys: Sequence[Journey], abouts: Sequence[Circumstances], under: Journey | None
    ) -> Leg:
        first, last = journeys[0], journeys[-1]
        whole = replace(
            first,
            kind="complete",
            ended_at=last.ended_at,
            destination=last.destination,
            last_tap=last.last_tap,
            via=tuple(stop for one in journeys for stop in one.via),
        )
        best: Leg | None = None
        for ride in [under] if under is not None else self._hours_of(join, whole, journeys):
            leg = self._as_one(join, whole, journeys, abouts, self.times(ride, first.started_at))
            less = best is not None and leg.quote.amount < best.quote.amount
            if best is None or (less if join.hour == "cheapest" else leg.quote.amount > best.quote.amount):
                best = leg
        assert best is not None, "a join has an hour"
        return best

    def _hours_of(self, join: Join, whole: Journey, journeys: Sequence[Journey]) -> Sequence[Journey]:
        """The rides under whose hours joined rides may be priced."""
        last = journeys[-1]
        match join.hour:
            case "last":
                return [last]
            case "dearest" | "cheapest":
                return journeys
            case "farthest":
                about = self.circumstances(whole, self.times(whole, None))
                rules = [rule for rule in self.tariff.fares if rule.name == join.fare] or [
                    rule
                    for rule in self.tariff.fares
                    if not rule.joined and rule.condition.holds(about, places_only=True)
                ]
                basis = rules[0].basis if rules else self.tariff.basis
                if not isinstance(basis, DistanceBasis | RateBasis):
                    return [whole]
                return [journeys[farthest_apart(self.ways, journeys, basis.measure, basis.table)[1]]]
            case _:
                return [whole]

    def _as_one(
        self,
        join: Join,
        whole: Journey,
        journeys: Sequence[Journey],
        abouts: Sequence[Circumstances],
        times: Mapping[str, tuple[str, time]],
    ) -> Leg:
        """Joined rides at these times: by the rule that the join names, else the dearest of those of its rides."""
        if join.fare:
            rule = next(rule for rule in self.tariff.fares if rule.name == join.fare)
            return self._work_out(Asked(self, whole, join, journeys, abouts), times, rule)
        dearest: Leg | None = None
        kinds = {(one.product, one.line_id, one.operator_id): one for one in journeys}
        for product, line_id, operator_id in kinds:
            ride = replace(whole, product=product, line_id=line_id, operator_id=operator_id)
            leg = self._work_out(Asked(self, ride, join, journeys, abouts), times)
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
        if not self._by_quarter:
            return self._work_out_when(at)
        quarter = int(at.timestamp()) // _QUARTER_S
        found = self._slots.get(quarter)
        if found is None:
            if len(self._slots) >= _REMEMBERED:
                self._slots.clear()
            found = self._slots[quarter] = self._work_out_when(at)
        return found

    def _work_out_when(self, at: datetime) -> tuple[str, int]:
        local = at.astimezone(self._zone_info)
        return self.tariff.day_type(local), bisect_right(self._edges, local.time())

    def whens(self, journey: Journey, first_at: datetime | None) -> tuple[object, ...]:
        lasts: tuple[object, ...] = (journey.ended_at - journey.started_at,) if self._by_minutes else ()
        if self._seasonal:
            lasts = (*lasts, self._seasons_at(journey.started_at))
        if not self._timed:
            return lasts
        return (
            *lasts,
            self._when(journey.started_at),
            self._when(journey.ended_at) if self._by_exit else None,
            self._when(first_at or journey.started_at) if self.by_first else None,
        )

    def times(self, journey: Journey, first_at: datetime | None) -> dict[str, tuple[str, time]]:
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

    def changes(self, starts_at: datetime, ends_at: datetime, lasts: timedelta) -> list[datetime] | None:
        """Where between two instants a ride may begin to cost something else, in order; None if that is not known.

        lasts: how long the ride takes. It is not known where the city's clocks are changed in between.
        """
        first, last = self.local(starts_at), self.local(ends_at)
        if type(self) is not Pricer or first.utcoffset() != last.utcoffset():
            return None
        days = [first.date() + timedelta(days=day) for day in range((last.date() - first.date()).days + 2)]
        edges = [
            datetime.combine(day, edge, self._zone_info).astimezone(UTC)
            for day in days
            for edge in (time(0), *self._edges)
        ]
        if self._by_exit:
            edges += [edge - lasts for edge in edges]
        return sorted({edge for edge in edges if starts_at < edge < ends_at}) if self._timed else []

    def _seasons_at(self, at: datetime) -> frozenset[str]:
        return self.tariff.seasons_on(self.tariff.service_day(self.local(at)))

    def band(self, about: Circumstances) -> str:
        """The time band that a ride falls into."""
        for band in self.tariff.time_bands:
            at = about.times.get(band.tap)
            if at is None or not band.hold(*at) or not band.condition.holds(about):
                continue
            into = band.unless_into
            if (
                into
                and about.from_zones
                and into.isdisjoint(about.from_zones)
                and not into.isdisjoint(about.to_zones)
            ):
                continue
            return band.name
        return self.tariff.default_band

    # -- working out ---------------------------------------------------------------------------------------

    def _work_out(
        self, ride: Asked, times: Mapping[str, tuple[str, time]], rule: FareRule | None = None
    ) -> Leg:
        tariff, journey = self.tariff, ride.journey
        about = self.circumstances(journey, times)
        ride.settle(about)
        basis, named, zones_of_rule, override = tariff.basis, False, "", None
        same_stop = journey.kind == "complete" and ride.join is None and journey.origin == journey.destination
        if same_stop and tariff.same_stop is not None and journey.origin is not None:
            amount, steps = self.for_class(
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
        return self.ruled(quote, about, fees, basis if isinstance(basis, ByZones) else None, named=named)

    def ruled(
        self,
        quote: Quote,
        about: Circumstances,
        fees: tuple[tuple[int, int], ...] = (),
        basis: ByZones | None = None,
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
            passes=_bits(one.condition.but_zones.holds(about) for one in tariff.passes),
            tiers=_bits(one.condition.holds(about) for one in tariff.tiers),
            basis=basis,
            named=named,
        )

    def about(self, journey: Journey) -> Leg:
        """What the rules say of a journey that is not priced here: a ride with a partner."""
        about = self.circumstances(journey, self.times(journey, None))
        return self.ruled(Quote(0, ()), about)

    def circumstances(self, journey: Journey, times: Mapping[str, tuple[str, time]]) -> Circumstances:
        from_zones, to_zones = self._zones_at(journey.origin), self._zones_at(journey.destination)
        touched = from_zones | to_zones if from_zones and to_zones else None
        about = Circumstances(
            product=journey.product,
            line_id=journey.line_id,
            operator_id=journey.operator_id,
            origin=journey.origin,
            destination=journey.destination,
            rider_class=self._pays_as(journey.rider_class),
            medium=journey.medium,
            band=self.tariff.default_band,
            from_zones=from_zones,
            to_zones=to_zones,
            zones=touched,
            times=times,
            seasons=self._seasons_at(journey.started_at) if self._seasonal else frozenset(),
            via=frozenset(journey.via),
        )
        return replace(about, band=self.band(about)) if self.tariff.time_bands else about

    def _zones_at(self, stop: str | None) -> frozenset[str]:
        if stop is None or stop not in self.places.stops:
            return frozenset()
        return frozenset(self.ways.zones_of(stop))

    def _pays_as(self, rider_class: str) -> str:
        pays_as = self.tariff.people.verified.get(rider_class)
        if pays_as is None:
            raise Unpriceable("no_class", {"class": rider_class})
        return pays_as

    def _by_basis(
        self, basis: Basis, ride: Asked, about: Circumstances, *, named: bool, name: str = ""
    ) -> Quote:
        steps = self._ride_step(ride, basis)
        found = basis.find(ride)
        facts: Facts = {"name": name, **found.facts}
        amount, more = self.for_class(found.price, about, found.rule, facts, found.clause, named=named)
        return Quote(amount, (*steps, *more), found.zones)

    def found_by(self, basis: Basis, journey: Journey) -> Found:
        """What one basis of the tariff says of a journey. Errors: Unpriceable."""
        ride = Asked(self, journey)
        ride.settle(self.circumstances(journey, self.times(journey, None)))
        return basis.find(ride)

    def _ride_step(self, ride: Asked, basis: Basis) -> tuple[Step, ...]:
        if ride.origin is None or ride.destination is None:
            return ()
        facts: Facts = {"from": self.ways.name(ride.origin), "to": self.ways.name(ride.destination)}
        if ride.via:
            facts["via"] = ", ".join(map(self.ways.name, ride.via))
        if isinstance(basis, DistanceBasis | RateBasis):
            unit = basis.measure if basis.measure in ("stops", "minutes") else "distance_m"
            facts[unit] = ride.distance_m(basis.measure, basis.table)
            if unit == "distance_m" and basis.measure != "network":
                facts["measure"] = basis.measure
        return (self.step("ride", 0, facts),)

    def _same_zone(self, stop: str) -> str:
        order = self.tariff.zone_order
        zones = [zone for zone in self.ways.zones_of(stop) if zone in order]
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

    def _overridden(self, override: Override, ride: Asked, about: Circumstances) -> Quote:
        """The override's own fare and, where it has gateways, the main fare for the rest of the way."""
        steps = self._ride_step(ride, self.tariff.basis)
        own, more = self.for_class(
            override.price, about, "override", {"name": override.name}, override.clause, named=False
        )
        steps = (*steps, *more)
        free_of_tiers = 0 if override.tiers else own
        free_of_caps = 0 if override.caps else own
        origin, destination = ride.origin, ride.destination
        inner = destination if origin in override.stops else origin
        if not override.gateways or inner is None or inner in override.stops | set(override.gateways):
            return Quote(own, steps, "", free_of_tiers, free_of_caps)
        gateway = min(override.gateways, key=lambda stop: (self.ways.network_m(stop, inner), stop))
        ends = (inner, gateway) if inner == origin else (gateway, inner)
        rest_of_way = Asked(self, replace(ride.journey, origin=ends[0], destination=ends[1], via=()))
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
            facts: Facts = {"band": about.band, "class": self.column(about, named=named)[0]}
            raise Unpriceable("no_amount" if about.band else "no_amount_any", facts)
        return worked_out

    def for_class(
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

    def caps_minor(self, period: str, day_type: str, who: str) -> Sequence[int]:
        """What the caps of each choice cost together, for a class of riders."""
        key = (period, day_type, who)
        found = self._caps_minor.get(key)
        if found is None:
            covers = self.covers(period, day_type)
            found = self._caps_minor[key] = [sum(cap.amount(who) for cap in cover) for cover in covers]
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
        """The cap of a choice that takes the leg in, and what is still paid beyond it (None is nothing).

        The zones of caps that may be left are held together: two of them may take in a ride that neither does alone.
        """
        names = self.tariff.zone_names(leg.quote.zones)
        left: list[tuple[Cap, frozenset[str]]] = []
        for cap in cover:
            if cap.products and leg.about.product not in cap.products:
                continue
            if not cap.condition.but_zones.holds(leg.about):
                continue
            inside = self._cap_zones(cap)
            # Where the fare tells no zones: those of both ends.
            touched = leg.about.zones if names is None and cap.zone_set else names
            if inside is None or (touched is not None and touched <= inside):
                return cap, None
            if cap.extend and touched is not None:
                left.append((cap, inside))
        best: tuple[Cap | None, int | None] = (None, None)
        for count in range(1, len(left) + 1):
            for some in combinations(left, count):
                held = frozenset[str]().union(*(zones for _, zones in some))
                if names is not None and names <= held:
                    return some[0][0], None
                rest = self.beyond(leg, held)
                if rest is not None and (best[1] is None or rest < best[1]):
                    best = some[0][0], rest
        return best

    def _cap_zones(self, cap: Cap) -> frozenset[str] | None:
        if cap.zones is not None:
            return frozenset(self.tariff.zone_order[cap.zones[0] : cap.zones[1] + 1])
        return cap.zone_set or None

    def beyond(self, leg: Leg, held: frozenset[str]) -> int | None:
        """What the zones outside those held cost by themselves; None where the ride touches none inside them."""
        touched = self.tariff.zone_names(leg.quote.zones)
        if not touched or leg.basis is None or touched.isdisjoint(held):
            return None
        sums = (
            sum(self.for_class(one.price, leg.about, one.rule, {}, "", named=leg.named)[0] for one in way)
            for way in leg.basis.beyond(touched, held)
        )
        return min(sums, default=None)

    def rest_of_way(self, journey: Journey, held: frozenset[str]) -> int | None:
        """What a ride costs from the best of the stops held to its end outside them; None where neither end is held."""
        origin, destination = journey.origin, journey.destination
        if origin is None or destination is None or (origin in held) == (destination in held):
            return None
        amounts: list[int] = []
        for stop in sorted(held):
            ends = (stop, destination) if origin in held else (origin, stop)
            try:
                amounts.append(
                    self.leg(replace(journey, origin=ends[0], destination=ends[1], via=())).quote.amount
                )
            except Unpriceable:
                continue
        return min(amounts, default=None)

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

    def step(self, rule: str, amount: int, facts: Mapping[str, str | int], clause: str = "") -> Step:
        """A step in the tariff's currency; figures that are empty are left out."""
        said = {key: value for key, value in facts.items() if value != ""}
        if clause:
            said["clause"] = clause
        return Step(rule, amount, self.tariff.currency, said)


def conditions(tariff: Tariff) -> Iterable[Condition]:
    """The conditions of all rules of a tariff."""
    for part in (
        tariff.time_bands,
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


def _bits(flags: Iterable[bool]) -> int:
    return sum(1 << place for place, flag in enumerate(flags) if flag)


def _in_time(ride: tuple[int, Journey]) -> tuple[datetime, bytes]:
    return _by_time(ride[1])


def _by_time(journey: Journey) -> tuple[datetime, bytes]:
    return journey.started_at, journey.journey_id.bytes
