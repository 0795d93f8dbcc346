"""Rides as the books know them, by their taps, as legs of the feed."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from hansa import atlas, fares
from hansa.kernel import HansaError
from hansa.rides.faresv2.book import EffectiveLeg, FareBook
from hansa.rides.faresv2.model import Leg, Rider

_Worth = frozenset[tuple[str | None, int]]
"""What a leg may be paid by: leg groups and amounts, as its own ride and after a transfer."""


class Ridden(NamedTuple):
    """A ride's legs. dearest: that where it ended is not known, and the dearest end was taken."""

    legs: tuple[Leg, ...]
    dearest: bool = False


class Rides:
    """Turns rides over one network into legs of its feed, and remembers what boardings are worth."""

    def __init__(self, book: FareBook, network: atlas.Network, basis: fares.FeedBasis) -> None:
        self.book, self.network, self.basis = book, network, basis
        self._prefix = f"{network.city.city_id}/"
        self._ends: dict[tuple[object, ...], tuple[tuple[str, str], bool] | fares.Unpriceable] = {}

    def legs(self, journey: fares.Journey, rider: Rider) -> Ridden:
        """The legs of a ride of which both ends, or the boarding and its line, are known.

        With a line, one leg. Without one, the lines of the shortest way between the gates; those of one network that
        follow each other are one leg, since nobody sees a change behind the gates. Instants at changes are shared out
        by metres. Errors: fares.Unpriceable.
        """
        if journey.kind == "boarding" and journey.destination is None:
            return self._boarding(journey, rider)
        if journey.origin is None or journey.destination is None:
            raise fares.Unpriceable("no_stop")
        if journey.line_id is not None:
            route = self._route(journey.line_id)
            return Ridden((self._leg(journey, route, journey.origin, journey.destination),))
        return Ridden(tuple(self._through_gates(journey, journey.origin, journey.destination)))

    def _leg(self, journey: fares.Journey, route: str, origin: str, destination: str) -> Leg:
        return Leg(route, self._stop(origin), self._stop(destination), journey.started_at, journey.ended_at)

    def _stop(self, stop_id: str) -> str:
        if stop_id not in self.network.stops:
            raise fares.Unpriceable("off_network", {"stop": stop_id})
        return stop_id.removeprefix(self._prefix)

    def _route(self, line_id: str) -> str:
        """The feed's route of a line; a second direction with stops of its own is a line with ``.1`` behind."""
        if line_id not in self.network.lines:
            raise fares.Unpriceable("line_off_network", {"line": line_id})
        plain, dot, direction = line_id.rpartition(".")
        second = bool(dot) and direction in ("0", "1") and plain in self.network.lines
        return (plain if second else line_id).removeprefix(self._prefix)

    def _through_gates(self, journey: fares.Journey, origin: str, destination: str) -> Iterable[Leg]:
        try:
            way = atlas.stretches(self.network, origin, destination, journey.product)
        except HansaError as error:
            raise fares.Unpriceable(error.detail) from error
        if not way:
            lines = self.network.lines_at(origin)
            if not lines:
                raise fares.Unpriceable("no_line_at", {"stop": origin})
            yield self._leg(journey, self._route(lines[0].line_id), origin, destination)
            return
        whole, passed, at = sum(part.distance_m for part in way) or 1, 0, journey.started_at
        merged: list[tuple[str, str, str, int]] = []
        for part in way:
            route = self._route(part.line_id)
            if merged and self._network(merged[-1][0]) == self._network(route):
                first = merged.pop()
                merged.append((first[0], first[1], part.destination, first[3] + part.distance_m))
            else:
                merged.append((route, part.origin, part.destination, part.distance_m))
        for number, (route, start, end, metres) in enumerate(merged, 1):
            passed += metres
            until = journey.ended_at
            if number < len(merged):
                until = journey.started_at + (journey.ended_at - journey.started_at) * passed / whole
            yield Leg(route, self._stop(start), self._stop(end), at, until)
            at = until

    def _network(self, route_id: str) -> str | None:
        return self.book.fares.networks.get(route_id)

    # -- boardings ------------------------------------------------------------------------------------------

    def _boarding(self, journey: fares.Journey, rider: Rider) -> Ridden:
        """A leg to wherever on the line, if it costs and leads to the same wherever that is. Errors: Unpriceable."""
        if journey.line_id is None:
            raise fares.Unpriceable("no_line")
        route = self._route(journey.line_id)
        key = (journey.line_id, journey.origin, rider, self.when(journey.started_at, journey.origin))
        found = self._ends.get(key)
        if found is None:
            try:
                found = self._find_ends(journey, route, rider)
            except fares.Unpriceable as reason:
                found = reason.again()
            self._ends[key] = found
        if isinstance(found, fares.Unpriceable):
            raise found.again()
        (origin, destination), dearest = found
        return Ridden((self._leg(journey, route, origin, destination),), dearest)

    def _find_ends(self, journey: fares.Journey, route: str, rider: Rider) -> tuple[tuple[str, str], bool]:
        assert journey.line_id is not None, "a boarding has a line here"
        calls = [call.stop_id for call in self.network.lines[journey.line_id].stops]
        starts = self._alike([journey.origin] if journey.origin is not None else calls)
        worth: dict[_Worth, tuple[str, str]] = {}
        for start in starts:
            for end in self._alike([call for call in calls if call != start] or calls):
                one = self._worth(self._leg(journey, route, start, end), rider)
                if one:
                    worth.setdefault(one, (start, end))
        if not worth:
            raise fares.Unpriceable("feed_no_fare", {"line": journey.line_id or ""})
        if len(worth) == 1:
            return next(iter(worth.values())), False
        if self.basis.exit_unknown != "dearest":
            raise fares.Unpriceable("feed_both_ends" if journey.origin is None else "feed_end")
        dearest = max(worth, key=lambda one: min(amount for _, amount in one))
        return worth[dearest], True

    def _alike(self, stops: Sequence[str]) -> list[str]:
        """Of stops that fares cannot tell apart, the first."""
        feed = self.book.fares
        seen: dict[tuple[object, ...], str] = {}
        for stop in stops:
            own = self._stop(stop)
            seen.setdefault((feed.areas_of(own), feed.tz_of(own)), stop)
        return list(seen.values())

    def _worth(self, leg: Leg, rider: Rider) -> _Worth:
        alone = EffectiveLeg(0, 0, (leg,))
        return frozenset(
            (option.rule.leg_group_id, option.money.minor)
            for transferred in (False, True)
            for option in self.book.options(alone, rider, transferred=transferred)
        )

    # -- time -----------------------------------------------------------------------------------------------

    def when(self, at: datetime, stop_id: str | None) -> tuple[object, ...]:
        """What timeframes can tell of an instant at a stop: the date, and between which of their times it lies."""
        if not self.book.edges_s:
            return ()
        tz = self.book.fares.tz_of((stop_id or "").removeprefix(self._prefix))
        local = at.astimezone(ZoneInfo(tz))
        second = local.hour * 3600 + local.minute * 60 + local.second
        return local.date(), sum(edge <= second for edge in self.book.edges_s)
