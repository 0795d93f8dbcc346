"""Which journeys make one trip: a ride with those that are joined to it or are transfers from it."""

from collections.abc import Sequence
from uuid import UUID

from hansa.fares import Fare, Journey

_GOES_ON = frozenset({"join", "transfer", "feed_join", "feed_transfer"})
"""The steps by which a ride goes on with one before it; of a feed's those that do not lie inside one ride."""


def trips_of(
    journeys: Sequence[Journey], fares: Sequence[Fare], others: Sequence[Journey] = ()
) -> list[UUID | None]:
    """For each journey of a day the first journey of the trip it goes on with; None where it begins one.

    others: rides with partner operators, by which a trip may have begun. Riders are told apart by companion.
    """
    if not any(map(_goes_on, fares)):
        return [None] * len(journeys)
    rides = sorted(
        [*((one, place) for place, one in enumerate(journeys)), *((one, -1) for one in others)],
        key=lambda ride: (ride[0].started_at, ride[0].journey_id.bytes),
    )
    trips: list[UUID | None] = [None] * len(journeys)
    open_trips: dict[int, UUID] = {}
    for journey, place in rides:
        goes_on = place >= 0 and _goes_on(fares[place])
        first = open_trips.get(journey.companion) if goes_on else None
        if first is not None:
            trips[place] = first
        else:
            open_trips[journey.companion] = journey.journey_id
    return trips


def _goes_on(fare: Fare) -> bool:
    return any(step.rule in _GOES_ON and "inside" not in step.facts for step in fare.steps)
