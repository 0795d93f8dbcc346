"""A ride as a basis sees it: what it may ask, answered from the journey, the tariff and the network."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

from hansa.fares.model import Journey
from hansa.fares.parts.links import Join
from hansa.fares.parts.metres import MetresTable
from hansa.fares.parts.price import Price, Rate
from hansa.fares.parts.ride import Circumstances, Unpriceable
from hansa.fares.ways import Ways

if TYPE_CHECKING:
    from hansa.fares.pricing import Pricer


class Asked:
    """A ride as a basis sees it."""

    def __init__(
        self,
        pricer: "Pricer",
        journey: Journey,
        join: Join | None = None,
        joined: Sequence[Journey] = (),
        abouts: Sequence[Circumstances] = (),
    ) -> None:
        self.pricer, self.journey = pricer, journey
        self.join, self.joined, self.abouts = join, joined, abouts
        self.origin, self.destination = journey.origin, journey.destination
        self.line_id, self.via = journey.line_id, journey.via
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
            raise Unpriceable("no_stop")
        return self.origin, self.destination

    def distance_m(self, measure: str, table: MetresTable | None = None) -> int:
        ways = self.pricer.ways
        if self.join is not None and self.join.by == "farthest":
            return farthest_apart(ways, self.joined, measure, table)[0]
        if self.join is not None and (self.join.by == "distances" or measure == "given"):
            return sum(ways.measured_m(measure, one, table) for one in self.joined)
        return ways.measured_m(measure, self.journey, table)

    def zones_of(self, stop: str) -> tuple[str, ...]:
        return self.pricer.ways.zones_of(stop)

    def zones_between(self) -> frozenset[str]:
        if self.join is None or self.join.by == "ends":
            return self._zones_through(*self.ends(), self.via)
        found = frozenset[str]()
        for place, one in enumerate(self.joined):
            if one.origin is None or one.destination is None:
                raise Unpriceable("no_stop")
            found |= self._zones_through(one.origin, one.destination, one.via)
            for stop in (
                one.origin if place else None,
                one.destination if one is not self.joined[-1] else None,
            ):
                zones = self.pricer.ways.zones_of(stop) if stop is not None else ()
                found |= frozenset(zones) if len(zones) == 1 else frozenset()
        return found

    def _zones_through(self, origin: str, destination: str, via: Sequence[str]) -> frozenset[str]:
        """Zones passed from stop to stop by a way that is proved; those of a reader's stop too, if it has but one."""
        ways, found = self.pricer.ways, frozenset[str]()
        for one, other in pairwise((origin, *via, destination)):
            found |= ways.zones_between(one, other)
        for stop in via:
            zones = ways.zones_of(stop)
            found |= frozenset(zones) if len(zones) == 1 else frozenset()
        return found

    def pays(self, price: Price) -> int:
        return self.pricer.pays(price, self.about, named=self.named)

    def rate(self, rate: Rate) -> Fraction:
        for column in self.pricer.column(self.about, named=self.named):
            found = rate.find(self.about.band, column, self.about.medium)
            if found is not None:
                return found
        raise Unpriceable("no_rate", {"class": self.about.rider_class})

    def name_of(self, stop: str) -> str:
        return self.pricer.ways.name(stop)


def farthest_apart(
    ways: Ways, journeys: Sequence[Journey], measure: str, table: MetresTable | None = None
) -> tuple[int, int]:
    """Of joined rides, the most metres from any stop of entry to any of exit; and which ride's entry that is.

    Errors: Unpriceable, also where metres come with the rides and so tell nothing of any other pair of stops.
    """
    if measure in ("given", "minutes"):
        raise Unpriceable("no_farthest", {"measure": measure})
    far = [
        (ways.measured_m(measure, replace(one, destination=other.destination), table), place)
        for place, one in enumerate(journeys)
        for other in journeys
    ]
    most = max(metres for metres, _ in far)
    return next(one for one in far if one[0] == most)
