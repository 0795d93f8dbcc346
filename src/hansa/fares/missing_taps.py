"""A journey of which one tap is missing: where the rider usually goes, a stated price, or the highest there is."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from hansa.fares.legs import Leg, Quote
from hansa.fares.model import Journey, Step
from hansa.fares.parts.distance import DistanceBasis
from hansa.fares.parts.ride import Facts, Unpriceable
from hansa.fares.ways import NOWHERE_M

if TYPE_CHECKING:
    from hansa.fares.pricing import Pricer


Alike = Callable[[str, Sequence[str], bool], Sequence[str]]
"""Of stops that rides from a stop (to it, where the flag is not set) may lead to, one of each that cost the same."""


class MissingTaps:
    """Journeys with a missing tap under one tariff. It remembers what it worked out.

    alike: where it is known which rides cost the same, the dearest is looked for among one of each.
    """

    def __init__(self, pricer: "Pricer") -> None:
        self.pricer, self.tariff = pricer, pricer.tariff
        self.alike: Alike | None = None
        self._highest: dict[tuple[object, ...], Leg | Unpriceable] = {}

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
            "stop": self.pricer.ways.name(known),
            "usual": self.pricer.ways.name(usual),
            "times": ends[usual],
            "of": rides,
        }
        whole = replace(journey, kind="complete", origin=origin, destination=destination)
        return whole, self.pricer.step("habit", 0, facts, rule.clause)

    def leg(self, journey: Journey) -> Leg:
        """What a journey with a missing tap costs, and the rules it falls under. Errors: Unpriceable."""
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
            journey.via,
            *self.pricer.whens(journey, None),
        )
        known = self._highest.get(key)
        if isinstance(known, Leg):
            return known
        if isinstance(known, Unpriceable):
            raise known.again()
        about = self.pricer.circumstances(journey, self.pricer.times(journey, None))
        try:
            if rule.price is not None:
                about = replace(
                    about, band=self.pricer.band(replace(about, from_zones=frozenset(), to_zones=frozenset()))
                )
                amount, steps = self.pricer.for_class(
                    rule.price, about, "incomplete", facts, rule.clause, named=False
                )
                zones = ""
            else:
                highest = self._highest_from(stop, journey)
                where = {"stop": self.pricer.ways.name(stop)} if stop is not None else {}
                step = self.pricer.step("incomplete", highest.amount, {**facts, **where}, rule.clause)
                amount, steps, zones = highest.amount, (step,), highest.zones
        except Unpriceable as reason:
            self._highest[key] = reason.again()
            raise
        if rule.counts:
            if not zones and tariff.zone_order:
                zones = tariff.zone_label((0, len(tariff.zone_order) - 1))
            about = replace(about, zones=tariff.zone_names(zones))
            quote = Quote(amount, steps, zones)
        else:
            quote = Quote(amount, steps, "", amount, amount)
        leg = self._highest[key] = self.pricer.ruled(quote, about)
        return leg

    def _highest_from(self, stop: str | None, journey: Journey) -> Quote:
        best: Quote | None = None
        for ride in self._far_rides(stop, journey):
            try:
                quote = self.pricer.leg(ride).quote
            except Unpriceable:
                continue
            if best is None or quote.amount > best.amount:
                best = quote
        if best is None:
            if stop is None:
                raise Unpriceable("nothing_known")
            raise Unpriceable("no_fare_from", {"stop": stop})
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
        others: Sequence[str] = self._far_stops(stop)
        if self.alike is not None and not journey.via:
            others = self.alike(stop, others, journey.kind == "no_exit")
        for other in others:
            origin, destination = (stop, other) if journey.kind == "no_exit" else (other, stop)
            yield replace(journey, kind="complete", origin=origin, destination=destination)

    def _far_stops(self, stop: str) -> list[str]:
        """The stops among which the dearest to reach from here is: the farthest, where fares rise with distance."""
        apart = frozenset[str]().union(*(override.stops for override in self.tariff.overrides))
        if stop in apart:
            return list(self.pricer.places.stops)
        others = [
            other for other in self.pricer.places.stops if other not in apart
        ]  # no airport traveller by guess
        if not self._rises_with_distance:
            return others
        reach = {other: self.pricer.ways.reach_m(stop, other) for other in others}
        near = [other for other in others if reach[other] < NOWHERE_M]
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
