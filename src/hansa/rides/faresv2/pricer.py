"""A tariff whose fares stand in the city's feed: days priced by Fares v2, the tariff's own caps and passes on top."""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from datetime import datetime

from hansa import atlas, fares
from hansa.rides.faresv2.book import FareBook
from hansa.rides.faresv2.chain import Added, Chain
from hansa.rides.faresv2.model import Rider
from hansa.rides.faresv2.ridden import Rides

_Key = tuple[fares.JourneyId, datetime]


def pricer_of(
    tariff: fares.Tariff, network: atlas.Network, feed: Callable[[], atlas.FaresV2 | None]
) -> fares.Pricer:
    """The pricer of a tariff over a network. feed: gives the Fares v2 that came with it; asked where needed."""
    if not isinstance(tariff.basis, fares.FeedBasis):
        return fares.Pricer(tariff, network)
    return FeedPricer(tariff, network, feed() or atlas.FaresV2())


class FeedPricer(fares.Pricer):
    """One tariff with the basis ``gtfs-v2`` over one network and its feed's fares; keep one while pricing many days.

    Rides of one rider make a journey as long as each begins less than ``apart_minutes`` after the end of the one
    before, on one service day. A ride with a missing tap, and one without a fare, ends it.
    """

    def __init__(self, tariff: fares.Tariff, network: atlas.Network, feed: atlas.FaresV2) -> None:
        super().__init__(tariff, network)
        assert isinstance(tariff.basis, fares.FeedBasis), "it prices by the feed"
        self.basis = tariff.basis
        self.book = FareBook(feed)
        self.rides = Rides(self.book, network, self.basis)
        self._day: Mapping[_Key, Added | fares.Unpriceable] = {}

    def price_day(
        self, journeys: Sequence[fares.Journey], counters: fares.Counters, around: fares.Around | None = None
    ) -> list[fares.Fare]:
        """See ``fares.price_day``."""
        own = copy(self)  # days may be priced side by side
        own._day = self._chained(journeys)
        return super(FeedPricer, own).price_day(journeys, counters, around)

    def leg(self, journey: fares.Journey, first_at: datetime | None = None) -> fares.Leg:
        """The journey with those before it on the day that is priced, else by itself. Errors: Unpriceable."""
        if journey.kind in ("no_exit", "no_entry") or self._stays(journey):
            return super().leg(journey, first_at)
        added = self._day.get((journey.journey_id, journey.started_at)) or self._alone(journey)
        if isinstance(added, fares.Unpriceable):
            raise added.again()
        about = self.circumstances(journey, self.times(journey, first_at))
        quote, fees = self._with_fees(fares.Quote(added.amount, added.steps), about)
        return self.ruled(quote, about, fees)

    def whens(self, journey: fares.Journey, first_at: datetime | None) -> tuple[object, ...]:
        """What the tariff and the feed can tell of a journey's instants."""
        ends = ((journey.started_at, journey.origin), (journey.ended_at, journey.destination))
        return *super().whens(journey, first_at), *(self.rides.when(at, stop) for at, stop in ends)

    # -- the day ------------------------------------------------------------------------------------------------

    def _chained(self, journeys: Sequence[fares.Journey]) -> dict[_Key, Added | fares.Unpriceable]:
        """What each ride of a day adds, or why it is held."""
        found: dict[_Key, Added | fares.Unpriceable] = {}
        chains: dict[int, tuple[Chain, list[_Key]]] = {}
        for journey in sorted(journeys, key=lambda one: (one.started_at, one.journey_id.bytes)):
            before = chains.pop(journey.companion, None)
            if journey.kind in ("no_exit", "no_entry") or self._stays(journey):
                continue
            key = journey.journey_id, journey.started_at
            try:
                rider = self._rider(journey)
                if before is None or not before[0].goes_on(rider, journey.started_at):
                    before = self._chain(rider), []
                chain, keys = before
                self._ride(chain, journey)
            except fares.Unpriceable as reason:
                found[key] = reason.again()
                continue
            keys.append(key)
            found.update(zip(keys, chain.added, strict=True))
            chains[journey.companion] = before
        return found

    def _alone(self, journey: fares.Journey) -> Added:
        chain = self._chain(self._rider(journey))
        self._ride(chain, journey)
        return chain.added[0]

    def _chain(self, rider: Rider) -> Chain:
        return Chain(self.book, rider, self.tariff.currency, self.basis.apart)

    def _ride(self, chain: Chain, journey: fares.Journey) -> None:
        if not self.book.fares:
            raise fares.Unpriceable("no_feed_fares")
        ridden = self.rides.legs(journey, chain.rider)
        notes: list[fares.Step] = []
        if journey.origin is not None and journey.destination is not None:
            ends = {"from": self.ways.name(journey.origin), "to": self.ways.name(journey.destination)}
            notes.append(self.step("ride", 0, ends))
        if ridden.dearest:
            notes.append(self.step("feed_exit", 0, {"line": journey.line_id or ""}, self.basis.clause))
        chain.ride(ridden.legs, journey.ended_at, notes)

    def _stays(self, journey: fares.Journey) -> bool:
        """Whether the rider left where they entered, and the tariff has a price for it."""
        return (
            journey.kind == "complete"
            and journey.origin == journey.destination
            and self.tariff.same_stop is not None
        )

    def _rider(self, journey: fares.Journey) -> Rider:
        """Who pays, and with what. Errors: Unpriceable for a class that the tariff does not know."""
        known = self.tariff.companions if journey.companion else journey.rider_class
        pays_as = self.tariff.people.verified.get(known)
        if pays_as is None:
            raise fares.Unpriceable("no_class", {"class": known})
        media = self.basis.by_medium.get(journey.medium, self.basis.media)
        return Rider(self.basis.categories.get(pays_as), media or None, self.tariff.currency)
