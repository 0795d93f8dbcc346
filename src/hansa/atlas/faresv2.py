"""The fares of a GTFS feed in the form of Fares v2: its rows as values, and where its stops and routes belong.

Pure data. ``rides.faresv2`` works out what a journey costs by it. Every row keeps its line in the feed, so that a
fare can be followed back to what the operator published.
Source: GTFS Schedule reference, areas.txt to fare_transfer_rules.txt.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

import msgspec

from hansa.kernel import Money


class LegRule(NamedTuple):
    """A row of fare_leg_rules.txt; None is an empty field.

    rule_priority: 0 where empty. transfer_only: a proposed extension, only for a leg that a transfer leads to.
    """

    row: int
    leg_group_id: str | None
    network_id: str | None
    from_area_id: str | None
    to_area_id: str | None
    from_timeframe_group_id: str | None
    to_timeframe_group_id: str | None
    fare_product_id: str
    rule_priority: int = 0
    transfer_only: bool = False


class JoinRule(NamedTuple):
    """A row of fare_leg_join_rules.txt; None is an empty field."""

    row: int
    from_network_id: str | None
    to_network_id: str | None
    from_stop_id: str | None
    to_stop_id: str | None


class TransferRule(NamedTuple):
    """A row of fare_transfer_rules.txt; None is an empty field.

    transfer_count: -1 is without limit. duration_limit_s: seconds. duration_limit_type: 0 departure to arrival,
    1 departure to departure, 2 arrival to departure, 3 arrival to arrival. fare_transfer_type: 0 A + AB,
    1 A + AB + B, 2 AB.
    """

    row: int
    from_leg_group_id: str | None
    to_leg_group_id: str | None
    transfer_count: int | None
    duration_limit_s: int | None
    duration_limit_type: int | None
    fare_transfer_type: int
    fare_product_id: str | None


class ProductPrice(NamedTuple):
    """A row of fare_products.txt: a product's price for a class of riders on a medium; None is for any.

    price: may be negative, which is a discount.
    """

    row: int
    fare_product_id: str
    name: str
    rider_category_id: str | None
    fare_media_id: str | None
    price: Money


class FareMedium(NamedTuple):
    """A row of fare_media.txt. kind: 0 none, 1 paper ticket, 2 transit card, 3 contactless bank card, 4 mobile app."""

    fare_media_id: str
    name: str
    kind: int


class RiderCategory(NamedTuple):
    """A row of rider_categories.txt."""

    rider_category_id: str
    name: str
    is_default: bool


class Timeframe(NamedTuple):
    """A row of timeframes.txt. start_s, end_s: local wall time in seconds of the day, the end not included."""

    row: int
    timeframe_group_id: str
    start_s: int
    end_s: int
    service_id: str


@dataclass(frozen=True, slots=True)
class Service:
    """The days of a service_id. weekdays: whether it runs on Monday to Sunday from first to last, both included."""

    weekdays: tuple[bool, ...] = (False,) * 7
    first: date | None = None
    last: date | None = None
    added: frozenset[date] = frozenset()
    removed: frozenset[date] = frozenset()

    def holds(self, day: date) -> bool:
        """Whether a day belongs to it. Source: calendar.txt, calendar_dates.txt."""
        if day in self.removed:
            return False
        if day in self.added:
            return True
        if self.first is None or self.last is None:
            return False
        return self.first <= day <= self.last and self.weekdays[day.weekday()]


@dataclass(frozen=True, slots=True)
class FaresV2:
    """All of a feed's Fares v2; false where it has none. Ids are the feed's own.

    by_priority: whether fare_leg_rules.txt has the column rule_priority, which turns the meaning of empty fields.
    networks: network_id by route_id. stop_areas: area_ids by stop_id, as stop_areas.txt has them.
    stations: parent_station by stop_id. time_zones: stop_timezone by stop_id. tz: that of the agency.
    names: what areas and networks are called, by id. services: only those that timeframes refer to.
    """

    tz: str = "UTC"
    by_priority: bool = False
    leg_rules: tuple[LegRule, ...] = ()
    join_rules: tuple[JoinRule, ...] = ()
    transfer_rules: tuple[TransferRule, ...] = ()
    products: tuple[ProductPrice, ...] = ()
    media: tuple[FareMedium, ...] = ()
    rider_categories: tuple[RiderCategory, ...] = ()
    timeframes: tuple[Timeframe, ...] = ()
    services: Mapping[str, Service] = field(default_factory=dict[str, Service])
    networks: Mapping[str, str] = field(default_factory=dict[str, str])
    stop_areas: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    stations: Mapping[str, str] = field(default_factory=dict[str, str])
    time_zones: Mapping[str, str] = field(default_factory=dict[str, str])
    names: Mapping[str, str] = field(default_factory=dict[str, str])

    def __bool__(self) -> bool:
        return bool(self.leg_rules)

    def station_of(self, stop_id: str) -> str:
        """The station of a platform; a stop without one, and a station, is its own."""
        return self.stations.get(stop_id, stop_id)

    def areas_of(self, stop_id: str) -> frozenset[str]:
        """The areas of a stop.

        A platform has those of its own rows, and only without any those of its station (stop_areas.txt, stop_id).
        A station asked for by itself, which the reference does not foresee, has its own, and without any those of
        all its platforms.
        """
        own = self.stop_areas.get(stop_id)
        if own is not None:
            return own
        station = self.stations.get(stop_id)
        if station is not None:
            return self.stop_areas.get(station, frozenset())
        platforms = (
            self.stop_areas.get(stop, frozenset()) for stop, at in self.stations.items() if at == stop_id
        )
        return frozenset[str]().union(*platforms)

    def tz_of(self, stop_id: str) -> str:
        """The time zone of a fare event at a stop: its station's, else its own, else the agency's.

        Source: stops.txt, stop_timezone: a platform takes that of its station instead of its own.
        """
        station = self.stations.get(stop_id)
        if station is not None:
            return self.time_zones.get(station, self.tz)
        return self.time_zones.get(stop_id, self.tz)


def pack_fares(fares: FaresV2) -> bytes:
    """The fares as JSON, the same bytes for the same fares."""
    return msgspec.json.encode(fares, order="deterministic")


def unpack_fares(packed: bytes) -> FaresV2:
    """What ``pack_fares`` packed."""
    return msgspec.json.decode(packed, type=FaresV2)


def group_areas(pairs: Iterable[tuple[str, str]]) -> dict[str, frozenset[str]]:
    """Areas by stop from (stop_id, area_id) pairs."""
    areas: dict[str, set[str]] = {}
    for stop_id, area_id in pairs:
        areas.setdefault(stop_id, set()).add(area_id)
    return {stop_id: frozenset(found) for stop_id, found in areas.items()}
