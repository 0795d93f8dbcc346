"""GTFS: a city's network, its timetable's shape and its fares, read from the feed its operator publishes.

Source: GTFS Schedule reference, gtfs.org (files, fields, and which of them must be there).
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from hansa.atlas.cityfile import is_time_zone
from hansa.atlas.feed import feed_files
from hansa.atlas.model import (
    Call,
    City,
    CityFile,
    FareAttribute,
    FareRule,
    FaresV1,
    GtfsFeed,
    Line,
    Mode,
    Operator,
    Stop,
    great_circle_m,
)
from hansa.atlas.shapes import Point, along_shape
from hansa.atlas.tables import Problems, Row, read_table, shown
from hansa.kernel import Money

REQUIRED = ("agency.txt", "stops.txt", "routes.txt", "trips.txt", "stop_times.txt")
OPTIONAL = (
    "calendar.txt",
    "calendar_dates.txt",
    "shapes.txt",
    "fare_attributes.txt",
    "fare_rules.txt",
    "translations.txt",
)

STOP_TIMES_MAX = 5_000_000
_WEEK = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_COLORS = ("#1077B5", "#C43830", "#00979E", "#BF1DA0", "#D3A554", "#009B76", "#99CC02", "#7C3699")
_ROUTE_TYPES = re.compile(r"[0-9]{1,4}")


@dataclass(slots=True)
class _Place:
    """A row of stops.txt."""

    row: Row
    kind: str
    parent: str | None
    lat: float | None
    lon: float | None
    zone: str | None


@dataclass(slots=True)
class _Trip:
    """A row of trips.txt, and its rows of stop_times.txt as (sequence, stop id, line, arrival, departure)."""

    row: Row
    route_id: str
    direction: str
    shape_id: str | None
    calls: list[tuple[int, str, int, int | None, int | None]] = field(default_factory=list)


class _Pattern(NamedTuple):
    """An order in which trips of a route call at stations, and a shape they run on."""

    stops: tuple[str, ...]
    shape_id: str | None


def read_gtfs(source: Path | bytes, *, city: City, operator_id: str) -> GtfsFeed:
    """A GTFS feed as a zip (its path or its bytes) or a folder, read and checked whole.

    city: whose network it is; the feed's time zone and currency must be that city's.
    Stops become ``<city_id>/<stop_id>``; the platforms of a station become one stop. Lines are, for each route and
    direction, the stops that most of its trips call at; a direction that only turns the other round adds nothing.
    Metres are taken along the shape where there is one that fits, else as the crow flies.
    Errors: InvalidInput naming every problem found, each with file, line, field and remedy.
    """
    problems = Problems()
    label = source.name if isinstance(source, Path) else "The GTFS feed"
    files = feed_files(source, (*REQUIRED, *OPTIONAL), problems)
    if not files:
        problems.refuse_if_any(label)
    for name in REQUIRED:
        if name not in files and not any(name in problem.where for problem in problems.found):
            problems.add(name, "the file is missing", f"Put {name} at the root of the feed")
    problems.refuse_if_any(label)

    agencies, operator = _agencies(files["agency.txt"], problems, city, operator_id)
    places = _places(files["stops.txt"], problems)
    routes = _routes(files["routes.txt"], problems, agencies)
    if not places or not routes:
        problems.refuse_if_any(
            label
        )  # a table that could not be read at all: not also every row that names it
    services = _services(files, problems)
    shapes = _shapes(files.get("shapes.txt"), problems)
    trips = _trips(files["trips.txt"], problems, routes, services, shapes)
    _stop_times(files["stop_times.txt"], problems, trips, places)
    english = _translations(files.get("translations.txt"), problems)
    fares = _fares(files, problems, city, routes, places, agencies)
    problems.refuse_if_any(label)

    station = {stop_id: place.parent or stop_id for stop_id, place in places.items()}
    patterns = _patterns(trips, station)
    lines = _lines(patterns, routes, places, shapes, city, operator_id)
    served = {call.stop_id for line in lines for call in line.stops}
    zones = _zones(places, station)
    stops = tuple(
        Stop(
            stop_id=league_id,
            city_id=city.city_id,
            name=english.get(stop_id) or place.row.raw("stop_name"),
            local_name=place.row.raw("stop_name"),
            lat=place.lat,
            lon=place.lon,
            zone=zones.get(stop_id),
            code=place.row.raw("stop_code") or None,
        )
        for stop_id, place in places.items()
        if (league_id := _league_id(city, stop_id)) in served
    )
    if not lines:
        problems.add("stop_times.txt", "no trip calls at two stops or more", "Give the trips their stops")
    problems.refuse_if_any(label)
    return GtfsFeed(CityFile(city, (operator,), stops, tuple(lines)), fares, len(trips), len(services))


def _league_id(city: City, gtfs_id: str) -> str:
    return f"{city.city_id}/{gtfs_id}"


def _identifier(row: Row, name: str, *, default: str = "") -> str | None:
    value = row.raw(name) or default
    if not value:
        row.wrong(name, "it is empty", "Give it an id")
        return None
    if len(value) > 100 or not value.isprintable():
        row.wrong(name, f"{shown(value)} does not serve as an id", "Use at most 100 printable characters")
        return None
    return value


def _agencies(
    content: bytes, problems: Problems, city: City, operator_id: str
) -> tuple[frozenset[str], Operator]:
    name = "agency.txt"
    agencies: dict[str, str] = {}
    for row in read_table(name, content, problems, required=("agency_name", "agency_timezone")):
        tz = row.text("agency_timezone")
        if tz and not is_time_zone(tz):
            row.wrong("agency_timezone", f"{shown(tz)} is no time zone", "Write an IANA name, as Asia/Tokyo")
        elif tz and tz != city.tz:
            row.wrong("agency_timezone", f"it is {tz}, the city's is {city.tz}", "Mend the feed or city.toml")
        agency_id = row.raw("agency_id")
        if agency_id in agencies:
            row.wrong("agency_id", f"{shown(agency_id)} is there twice", "Give each agency an id of its own")
        agencies[agency_id] = row.text("agency_name") or ""
    if not agencies and not problems.found:
        problems.add(name, "it names no agency", "Name the operator")
    label = next(iter(agencies.values()), "")
    return frozenset(agencies), Operator(operator_id, label, label)


def _places(content: bytes, problems: Problems) -> dict[str, _Place]:
    places: dict[str, _Place] = {}
    for row in read_table("stops.txt", content, problems, required=("stop_id", "stop_name")):
        stop_id = _identifier(row, "stop_id")
        kind = row.choice("location_type", ("0", "1", "2", "3", "4"), default="0") or "0"
        lat, lon = row.degrees("stop_lat", most=90), row.degrees("stop_lon", most=180)
        zone = row.optional("zone_id", max_length=40)
        parent = row.optional("parent_station", max_length=100)
        row.optional("stop_code", max_length=40)
        if kind in ("0", "1", "2"):
            row.text("stop_name")
            for name in ("stop_lat", "stop_lon"):
                if not row.raw(name):
                    row.wrong(name, "it is empty", "Say where the stop is")
        if kind == "1" and parent:
            row.wrong("parent_station", "a station has none", "Leave it empty where location_type is 1")
            parent = None
        if kind in ("2", "3", "4") and not parent:
            row.wrong("parent_station", "it is empty", f"Name the station; location_type {kind} needs it")
        if stop_id is None:
            continue
        if stop_id in places:
            row.wrong(
                "stop_id", f"{shown(stop_id)} stands on line {places[stop_id].row.line} too", "List it once"
            )
            continue
        places[stop_id] = _Place(row, kind, parent, lat, lon, zone)
    for place in places.values():
        if place.parent is None:
            continue
        wanted = "0" if place.kind == "4" else "1"
        if place.parent not in places:
            place.row.wrong(
                "parent_station", f"stops.txt has no {shown(place.parent)}", "Add it, or mend the id"
            )
        elif places[place.parent].kind != wanted:
            what = "platform" if wanted == "0" else "station"
            place.row.wrong("parent_station", f"{shown(place.parent)} is no {what}", "Name another")
    return places


def _routes(content: bytes, problems: Problems, agencies: frozenset[str]) -> dict[str, Row]:
    routes: dict[str, Row] = {}
    for row in read_table("routes.txt", content, problems, required=("route_id", "route_type")):
        route_id = _identifier(row, "route_id")
        kind = row.raw("route_type")
        if _mode(kind) is None:
            row.wrong(
                "route_type", f"{shown(kind)} is unknown", "Write 0 tram, 1 metro, 2 rail, 3 bus or 4 ferry"
            )
        row.color("route_color", default="#000000")
        for name in ("route_short_name", "route_long_name"):
            row.optional(name)
        agency = row.raw("agency_id")
        if agency and agency not in agencies:
            row.wrong("agency_id", f"agency.txt has no {shown(agency)}", "Add it, or mend the id")
        if route_id is None:
            continue
        if route_id in routes:
            row.wrong(
                "route_id", f"{shown(route_id)} stands on line {routes[route_id].line} too", "List it once"
            )
        routes[route_id] = row
    return routes


def _mode(route_type: str) -> Mode | None:
    """Source: GTFS routes.txt route_type, and the extended types of Google's list (hundreds)."""
    if not _ROUTE_TYPES.fullmatch(route_type):
        return None
    kind = int(route_type)
    basic: dict[int, Mode] = {
        0: "tram", 1: "metro", 2: "rail", 3: "bus", 4: "ferry", 5: "tram", 6: "tram", 7: "rail", 11: "bus", 12: "rail"
    }  # fmt: skip
    hundreds: dict[int, Mode] = {
        1: "rail",
        2: "bus",
        4: "metro",
        7: "bus",
        8: "bus",
        9: "tram",
        10: "ferry",
        12: "ferry",
    }
    return basic.get(kind) if kind < 100 else hundreds.get(kind // 100)


def _services(files: Mapping[str, bytes], problems: Problems) -> frozenset[str]:
    """The service ids; calendar.txt and calendar_dates.txt, of which one may be missing."""
    services: set[str] = set()
    if "calendar.txt" not in files and "calendar_dates.txt" not in files:
        problems.add("calendar.txt", "it and calendar_dates.txt are missing", "Put one of them into the feed")
    if "calendar.txt" in files:
        columns = ("service_id", *_WEEK, "start_date", "end_date")
        for row in read_table("calendar.txt", files["calendar.txt"], problems, required=columns):
            service_id = _identifier(row, "service_id")
            for name in _WEEK:
                row.choice(name, ("0", "1"))
            first, last = row.day("start_date"), row.day("end_date")
            if first and last and first > last:
                row.wrong("end_date", f"{last} is before {first}", "End on the first day or later")
            if service_id in services:
                row.wrong("service_id", f"{shown(service_id or '')} is there twice", "List each service once")
            services.add(service_id or "")
    if "calendar_dates.txt" in files:
        seen: set[tuple[str, date]] = set()
        columns = ("service_id", "date", "exception_type")
        for row in read_table("calendar_dates.txt", files["calendar_dates.txt"], problems, required=columns):
            service_id, day = _identifier(row, "service_id"), row.day("date")
            row.choice("exception_type", ("1", "2"))
            if service_id and day:
                if (service_id, day) in seen:
                    row.wrong("date", f"{day} is there twice for {shown(service_id)}", "List each day once")
                seen.add((service_id, day))
                services.add(service_id)
    return frozenset(services)


def _shapes(content: bytes | None, problems: Problems) -> dict[str, tuple[Point, ...]]:
    if content is None:
        return {}
    points: dict[str, dict[int, Point]] = {}
    columns = ("shape_id", "shape_pt_lat", "shape_pt_lon", "shape_pt_sequence")
    for row in read_table("shapes.txt", content, problems, required=columns, rows_max=STOP_TIMES_MAX):
        shape_id = _identifier(row, "shape_id")
        lat, lon = row.degrees("shape_pt_lat", most=90), row.degrees("shape_pt_lon", most=180)
        sequence = row.whole("shape_pt_sequence")
        for name, value in (("shape_pt_lat", lat), ("shape_pt_lon", lon)):
            if value is None and not row.raw(name):
                row.wrong(name, "it is empty", "Say where the point is")
        if shape_id is None or lat is None or lon is None or sequence is None:
            continue
        if sequence in points.setdefault(shape_id, {}):
            row.wrong(
                "shape_pt_sequence", f"{sequence} is there twice in {shown(shape_id)}", "Number the points"
            )
        points[shape_id][sequence] = (lat, lon)
    return {shape_id: tuple(at[key] for key in sorted(at)) for shape_id, at in points.items()}


def _trips(
    content: bytes,
    problems: Problems,
    routes: Mapping[str, Row],
    services: frozenset[str],
    shapes: Mapping[str, tuple[Point, ...]],
) -> dict[str, _Trip]:
    trips: dict[str, _Trip] = {}
    for row in read_table("trips.txt", content, problems, required=("route_id", "service_id", "trip_id")):
        trip_id = _identifier(row, "trip_id")
        for name, file, known in (
            ("route_id", "routes.txt", routes),
            ("service_id", "calendar.txt", services),
        ):
            value = row.text(name)
            if value is not None and value not in known:
                row.wrong(name, f"{file} has no {shown(value)}", "Add it there, or mend the id")
        shape_id = row.raw("shape_id") or None
        if shape_id is not None and shape_id not in shapes:
            row.wrong("shape_id", f"shapes.txt has no {shown(shape_id)}", "Add it there, or leave it empty")
        direction = row.choice("direction_id", ("0", "1"), default="0") or "0"
        if trip_id is None:
            continue
        if trip_id in trips:
            row.wrong(
                "trip_id", f"{shown(trip_id)} stands on line {trips[trip_id].row.line} too", "List it once"
            )
            continue
        trips[trip_id] = _Trip(row, row.raw("route_id"), direction, shape_id)
    return trips


def _stop_times(
    content: bytes, problems: Problems, trips: Mapping[str, _Trip], places: Mapping[str, _Place]
) -> None:
    name = "stop_times.txt"
    columns = ("trip_id", "arrival_time", "departure_time", "stop_id", "stop_sequence")
    for row in read_table(name, content, problems, required=columns, rows_max=STOP_TIMES_MAX):
        trip = trips.get(row.raw("trip_id"))
        if trip is None:
            row.wrong(
                "trip_id", f"trips.txt has no {shown(row.raw('trip_id'))}", "Add it there, or mend the id"
            )
        stop_id = row.raw("stop_id")
        place = places.get(stop_id)
        if place is None:
            row.wrong("stop_id", f"stops.txt has no {shown(stop_id)}", "Add it there, or mend the id")
        elif place.kind != "0":
            row.wrong(
                "stop_id", f"{shown(stop_id)} is not a stop or platform", "Name one with location_type 0"
            )
        sequence = row.whole("stop_sequence")
        arrival, departure = row.seconds("arrival_time"), row.seconds("departure_time")
        if arrival is not None and departure is not None and departure < arrival:
            row.wrong("departure_time", "it is before the arrival", "Leave when or after arriving")
        if trip is not None and sequence is not None:
            trip.calls.append((sequence, stop_id, row.line, arrival, departure))
    for trip_id, trip in trips.items():
        trip.calls.sort(key=lambda call: call[0])
        _check_order(name, trip_id, trip, problems)


def _check_order(name: str, trip_id: str, trip: _Trip, problems: Problems) -> None:
    if len(trip.calls) < 2:
        trip.row.wrong(
            "trip_id", f"{shown(trip_id)} has {len(trip.calls)} rows in {name}", "Give it two or more"
        )
        return
    for (before, *_), (sequence, _, line, *_) in pairwise(trip.calls):
        if before == sequence:
            problems.add(
                f"{name} line {line}, field stop_sequence",
                f"{sequence} is there twice in {shown(trip_id)}",
                "Number the calls upwards",
            )
    for end, side in ((0, "first"), (-1, "last")):
        _, _, line, arrival, departure = trip.calls[end]
        if arrival is None and departure is None:
            problems.add(
                f"{name} line {line}, field arrival_time",
                f"the {side} call of {shown(trip_id)} has no time",
                "Give the first and the last call their times",
            )
    latest = 0
    for _, _, line, arrival, departure in trip.calls:
        for field_name, moment in (("arrival_time", arrival), ("departure_time", departure)):
            if moment is not None and moment < latest:
                problems.add(
                    f"{name} line {line}, field {field_name}",
                    "it is before the call ahead of it",
                    "After midnight count on: 25:10:00 is ten past one",
                )
            latest = max(latest, moment or 0)


def _translations(content: bytes | None, problems: Problems) -> dict[str, str]:
    """English names by stop id; where the feed has them."""
    names: dict[str, str] = {}
    if content is not None:
        columns = ("table_name", "field_name", "language", "translation")
        for row in read_table("translations.txt", content, problems, required=columns):
            about = (row.raw("table_name"), row.raw("field_name"), row.raw("language"))
            if about == ("stops", "stop_name", "en") and row.raw("record_id"):
                names[row.raw("record_id")] = row.text("translation") or ""
    return names


def _fares(
    files: Mapping[str, bytes],
    problems: Problems,
    city: City,
    routes: Mapping[str, Row],
    places: Mapping[str, _Place],
    agencies: frozenset[str],
) -> FaresV1:
    attributes: dict[str, FareAttribute] = {}
    columns = ("fare_id", "price", "currency_type", "payment_method", "transfers")
    attributes_file, rules_file = files.get("fare_attributes.txt"), files.get("fare_rules.txt")
    if attributes_file is None:
        if rules_file is not None:
            problems.add("fare_attributes.txt", "the file is missing", "fare_rules.txt needs it")
        return FaresV1()
    for row in read_table("fare_attributes.txt", attributes_file, problems, required=columns):
        fare_id = _identifier(row, "fare_id")
        currency = row.text("currency_type")
        if currency is not None and currency != city.currency:
            row.wrong(
                "currency_type", f"it is {shown(currency)}, the city's is {city.currency}", "Mend one of them"
            )
        price = row.money("price", city.currency)
        method = row.choice("payment_method", ("0", "1"))
        transfers = row.choice("transfers", ("", "0", "1", "2"))
        duration = row.whole("transfer_duration") if row.raw("transfer_duration") else None
        agency = row.raw("agency_id")
        if agency and agency not in agencies:
            row.wrong("agency_id", f"agency.txt has no {shown(agency)}", "Add it, or mend the id")
        if fare_id is not None and fare_id in attributes:
            row.wrong("fare_id", f"{shown(fare_id)} is there twice", "List each fare once")
        if fare_id is not None:
            attributes[fare_id] = FareAttribute(
                fare_id,
                price or Money(0, city.currency),
                method == "0",
                int(transfers) if transfers else None,
                duration,
            )
    rules: list[FareRule] = []
    zones = {place.zone for place in places.values()}
    for row in (
        read_table("fare_rules.txt", rules_file, problems, required=("fare_id",)) if rules_file else ()
    ):
        fare_id, route_id = row.text("fare_id"), row.raw("route_id")
        if fare_id is not None and fare_id not in attributes:
            row.wrong(
                "fare_id", f"fare_attributes.txt has no {shown(fare_id)}", "Add it there, or mend the id"
            )
        if route_id and route_id not in routes:
            row.wrong("route_id", f"routes.txt has no {shown(route_id)}", "Add it there, or mend the id")
        named: list[str | None] = []
        for name in ("origin_id", "destination_id", "contains_id"):
            zone = row.optional(name, max_length=40)
            if zone is not None and zone not in zones:
                row.wrong(name, f"no stop has the zone {shown(zone)}", "Mend it, or give a stop that zone_id")
            named.append(zone)
        line_id = _league_id(city, route_id) if route_id else None
        rules.append(FareRule(fare_id or "", line_id, named[0], named[1], named[2]))
    return FaresV1(tuple(attributes.values()), tuple(rules))


def _zones(places: Mapping[str, _Place], station: Mapping[str, str]) -> dict[str, str]:
    """The zone of each station: its own, or else that of its first platform."""
    zones = {stop_id: place.zone for stop_id, place in places.items() if place.zone is not None}
    for stop_id, place in places.items():
        if place.zone is not None and place.kind == "0":
            zones.setdefault(station[stop_id], place.zone)
    return zones


def _patterns(
    trips: Mapping[str, _Trip], station: Mapping[str, str]
) -> dict[tuple[str, str], list[tuple[_Pattern, int]]]:
    """By route and direction: the orders of stations its trips follow, the most frequent first."""
    counts: dict[tuple[str, str], Counter[_Pattern]] = {}
    for trip in trips.values():
        calls: list[str] = []
        for _, stop_id, *_ in trip.calls:
            if not calls or calls[-1] != station[stop_id]:
                calls.append(station[stop_id])
        if len(calls) > 1:
            pattern = _Pattern(tuple(calls), trip.shape_id)
            counts.setdefault((trip.route_id, trip.direction), Counter())[pattern] += 1
    return {
        key: sorted(counter.items(), key=lambda item: (-item[1], -len(item[0].stops), item[0].stops))
        for key, counter in counts.items()
    }


def _lines(
    patterns: Mapping[tuple[str, str], Sequence[tuple[_Pattern, int]]],
    routes: Mapping[str, Row],
    places: Mapping[str, _Place],
    shapes: Mapping[str, tuple[Point, ...]],
    city: City,
    operator_id: str,
) -> list[Line]:
    lines: list[Line] = []
    for number, (route_id, row) in enumerate(routes.items()):
        kept: list[tuple[str, ...]] = []
        for direction in ("0", "1"):
            ranked = patterns.get((route_id, direction))
            if not ranked:
                continue
            pattern = ranked[0][0]
            if any(_hops(pattern.stops) <= _hops(other) for other in kept):
                continue
            kept.append(pattern.stops)
            suffix = "" if len(kept) == 1 else f".{direction}"
            calls, loop = _calls(pattern, places, shapes, city)
            lines.append(
                Line(
                    line_id=_league_id(city, route_id) + suffix,
                    city_id=city.city_id,
                    operator_id=operator_id,
                    name=row.raw("route_short_name") or row.raw("route_long_name") or route_id,
                    mode=_mode(row.raw("route_type")) or "bus",
                    color=row.color("route_color", default=_COLORS[number % len(_COLORS)]) or _COLORS[0],
                    stops=calls,
                    loop=loop,
                )
            )
    return lines


def _hops(stops: Sequence[str]) -> frozenset[frozenset[str]]:
    return frozenset(frozenset(pair) for pair in pairwise(stops))


def _calls(
    pattern: _Pattern, places: Mapping[str, _Place], shapes: Mapping[str, tuple[Point, ...]], city: City
) -> tuple[tuple[Call, ...], bool]:
    """The calls of a line with their metres, and whether it is a loop."""
    points = [_point(places[stop_id]) for stop_id in pattern.stops]
    metres = _metres(points, shapes.get(pattern.shape_id or ""))
    ids = [_league_id(city, stop_id) for stop_id in pattern.stops]
    if len(ids) > 3 and ids[0] == ids[-1]:
        closing = metres.pop()
        return tuple(Call(stop_id, m) for stop_id, m in zip(ids[:-1], [closing, *metres], strict=True)), True
    return tuple(Call(stop_id, m) for stop_id, m in zip(ids, [0, *metres], strict=True)), False


def _metres(points: Sequence[Point], shape: tuple[Point, ...] | None) -> list[int]:
    """Metres of each hop, at least 1: along the shape where that is plausible, else as the crow flies."""
    straight = [great_circle_m(a, b) for a, b in pairwise(points)]
    if shape is not None and len(shape) > 1:
        reached = along_shape(shape, points)
        along = [round(b - a) for a, b in pairwise(reached)]
        if all(0.9 * crow - 50 <= m <= 3 * crow + 500 for m, crow in zip(along, straight, strict=True)):
            return [max(1, m) for m in along]
    return [max(1, m) for m in straight]


def _point(place: _Place) -> Point:
    return (place.lat or 0.0, place.lon or 0.0)
