"""GTFS: a city's network, its timetable's shape and its fares, read from the feed its operator publishes.

Source: GTFS Schedule reference, gtfs.org (files, fields, and which of them must be there).
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise
from pathlib import Path

from hansa.atlas import gtfs_rules
from hansa.atlas.faresv2 import (
    FareMedium,
    FaresV2,
    JoinRule,
    LegRule,
    ProductPrice,
    RiderCategory,
    Service,
    Timeframe,
    TransferRule,
    group_areas,
)
from hansa.atlas.feed import Feed
from hansa.atlas.gtfs_spec import FILES
from hansa.atlas.gtfs_table import Known, Row, open_table, read_rows
from hansa.atlas.gtfs_times import Pattern, StopTable, TripTable, read_times
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
from hansa.atlas.report import Report
from hansa.atlas.shapes import Point, along_shape, thinned_shape
from hansa.atlas.tables import shown
from hansa.kernel import Money

_COLORS = ("#1077B5", "#C43830", "#00979E", "#BF1DA0", "#D3A554", "#009B76", "#99CC02", "#7C3699")
_PLAIN = (
    "pathways.txt", "location_groups.txt", "location_group_stops.txt", "booking_rules.txt", "transfers.txt",
    "attributions.txt",
)  # fmt: skip
_BASIC: dict[int, Mode] = {
    0: "tram", 1: "metro", 2: "rail", 3: "bus", 4: "ferry", 5: "tram", 6: "tram", 7: "rail", 11: "bus", 12: "rail",
}  # fmt: skip
_HUNDREDS: dict[int, Mode] = {
    1: "rail", 2: "bus", 3: "rail", 4: "metro", 5: "metro", 6: "metro", 7: "bus", 8: "bus", 9: "tram", 10: "ferry",
    12: "ferry", 13: "tram", 14: "rail", 15: "bus",
}  # fmt: skip


def read_gtfs(source: Path | bytes, *, city: City, operator_id: str) -> GtfsFeed:
    """A GTFS feed as a zip (its path or its bytes) or a folder, read and checked whole.

    city: whose network it is; the feed's time zone, and the currency of its Fares v1, must be that city's.
    Stops become ``<city_id>/<stop_id>``; the platforms of a station become one stop. Lines are, for each route and
    direction, the stops that most of its trips call at; a direction that only turns the other round adds nothing.
    Metres are taken along the shape where there is one that fits, else as the crow flies.
    Fares v2 keep the feed's own ids of stops and routes.
    Errors: InvalidInput naming every error found, each with file, line, field and remedy.
    """
    with Feed(source, report := Report(_label(source))) as feed:
        reading = _Reading(feed, report, city)
        reading.read()
        report.refuse_if_bad()
        built = _build(reading, city, operator_id)
    report.refuse_if_bad()
    return built


def read_fares_v2(source: Path | bytes) -> FaresV2:
    """The Fares v2 of a feed, for trying them without a city.

    Errors: InvalidInput naming every error found in the feed, or that it has no fare_leg_rules.txt.
    """
    with Feed(source, report := Report(_label(source))) as feed:
        reading = _Reading(feed, report, None)
        reading.read()
    if not reading.fares_v2 and report.ok:
        what, remedy = "the feed has no Fares v2", "Name a feed with fare_leg_rules.txt"
        report.add("missing_required_file", "ERROR", "fare_leg_rules.txt", what, remedy)
    report.refuse_if_bad()
    return reading.fares_v2


def check_gtfs(source: Path | bytes, *, city: City | None = None, today: date | None = None) -> Report:
    """Everything that is wrong with a feed, without importing it; a feed that cannot be opened is a report too.

    city: whose network it is to be, where that is known. today: the day from which an old feed is warned of.
    """
    with Feed(source, report := Report(_label(source))) as feed:
        _Reading(feed, report, city, today).read()
    return report


def look_at_gtfs(
    source: Path | bytes,
    *,
    city: City,
    operator_id: str,
    today: date | None = None,
    unpacked_max: int | None = None,
) -> tuple[Report, GtfsFeed | None]:
    """What ``check_gtfs`` finds, and what ``read_gtfs`` gives where that is no error.

    unpacked_max: bytes of all files of the feed together.
    """
    with Feed(source, report := Report(_label(source)), unpacked_max=unpacked_max) as feed:
        reading = _Reading(feed, report, city, today)
        reading.read()
        built = _build(reading, city, operator_id) if report.ok else None
    return report, built if report.ok else None


def _label(source: Path | bytes) -> str:
    return source.name if isinstance(source, Path) else "The GTFS feed"


@dataclass(slots=True)
class _Reading:
    """A feed as it is read, file by file, in an order in which what is referred to comes first."""

    feed: Feed
    report: Report
    city: City | None
    today: date | None = None
    known: Known = field(default_factory=Known)
    agencies: list[Row] = field(default_factory=list[Row])
    stops: dict[str, Row] = field(default_factory=dict[str, Row])
    networks: dict[str, str] = field(default_factory=dict[str, str])
    routes: dict[str, Row] = field(default_factory=dict[str, Row])
    services: dict[str, Service] = field(default_factory=dict[str, Service])
    trips: TripTable = field(default_factory=TripTable)
    shapes: dict[str, int] = field(default_factory=dict[str, int])
    patterns: Mapping[Pattern, int] = field(default_factory=dict[Pattern, int])
    fares_v1: FaresV1 = field(default_factory=FaresV1)
    fares_v2: FaresV2 = field(default_factory=FaresV2)
    english: dict[str, str] = field(default_factory=dict[str, str])

    def read(self) -> None:
        """Everything, with what is wrong noted in the report."""
        if not self.feed.names and not self.report.ok:
            return
        for name in sorted(self.feed.names):
            if name not in FILES and name != "locations.geojson":
                self.report.add("unknown_file", "INFO", name, "no such file is known", "It is passed over")
        for file in FILES.values():
            self._must_be_there(file.name, required=file.presence == "required")
        self._places()
        self._fares_v2()
        self._fares_v1()
        self._timetable()
        self._rest()

    def rows(self, name: str) -> Iterator[Row]:
        """A file's rows, checked; none where the feed does not have it."""
        if name in self.feed.names:
            yield from read_rows(self.feed, name, self.report, self.known)

    def _must_be_there(self, name: str, *, required: bool) -> None:
        if name in self.feed.names:
            return
        if required or any(name in notice.file for notice in self.report.errors):
            self.known.broken.add(name)
        if required and not any(name in notice.file for notice in self.report.errors):
            self.report.add(
                "missing_required_file", "ERROR", name, "the file is missing", f"Put {name} into the feed"
            )
        elif FILES[name].presence == "recommended":
            what, remedy = "the file is missing", f"Put {name} into the feed"
            self.report.add("missing_recommended_file", "WARNING", name, what, remedy)

    def _places(self) -> None:
        self.agencies = list(self.rows("agency.txt"))
        if "agency.txt" not in self.known.broken:
            gtfs_rules.check_agencies(self.agencies, self.report, tz=self.city.tz if self.city else None)
        for _ in self.rows("levels.txt"):
            pass
        for row in self.rows("stops.txt"):
            gtfs_rules.check_stop(row)
            if row.get("stop_id"):
                self.stops[row.get("stop_id")] = row
        gtfs_rules.check_parents(self.stops)
        self._calendar()
        self.networks = {row.get("network_id"): row.get("network_name") for row in self.rows("networks.txt")}

    def _calendar(self) -> None:
        if {"calendar.txt", "calendar_dates.txt"}.isdisjoint(self.feed.names):
            code, what = "missing_calendar_and_calendar_date_files", "it and calendar_dates.txt are missing"
            self.report.add(code, "ERROR", "calendar.txt", what, "Put one of them into the feed")
            self.known.broken.add("calendar.txt")
        for row in self.rows("calendar.txt"):
            gtfs_rules.check_calendar(row)
            week = tuple(row.get(day) == "1" for day in gtfs_rules.WEEK)
            self.services[row.get("service_id")] = Service(week, row.day("start_date"), row.day("end_date"))
        changes: dict[str, tuple[set[date], set[date]]] = {}
        for row in self.rows("calendar_dates.txt"):
            day = row.day("date")
            added, removed = changes.setdefault(row.get("service_id"), (set(), set()))
            if day is not None:
                (added if row.get("exception_type") == "1" else removed).add(day)
        for service_id, (added, removed) in changes.items():
            own = self.services.get(service_id, Service())
            self.services[service_id] = Service(
                own.weekdays, own.first, own.last, frozenset(added), frozenset(removed)
            )

    def _read_routes(self) -> dict[str, str]:
        """The routes, and the network of each that is in one."""
        for name in ("networks.txt", "route_networks.txt"):
            if name in self.feed.names:
                self.known.columns.setdefault(name, ())
        of_route: dict[str, str] = {}
        for row in self.rows("routes.txt"):
            is_mode = _mode(row.number("route_type")) is not None
            gtfs_rules.check_route(row, self.known, agencies=len(self.agencies), is_mode=is_mode)
            if row.get("route_id"):
                self.routes[row.get("route_id")] = row
            if row.get("network_id"):
                of_route[row.get("route_id")] = row.get("network_id")
        for row in self.rows("route_networks.txt"):
            of_route[row.get("route_id")] = row.get("network_id")
        return of_route

    def _fares_v2(self) -> None:
        of_route = self._read_routes()
        names = {key: name for key, name in self.networks.items() if name}
        for row in self.rows("areas.txt"):
            if row.get("area_name"):
                names[row.get("area_id")] = row.get("area_name")
        areas = group_areas((row.get("stop_id"), row.get("area_id")) for row in self.rows("stop_areas.txt"))
        categories = tuple(
            RiderCategory(
                row.get("rider_category_id"),
                row.get("rider_category_name"),
                row.get("is_default_fare_category") == "1",
            )
            for row in self.rows("rider_categories.txt")
        )
        media_rows = list(self.rows("fare_media.txt"))
        gtfs_rules.check_media(media_rows)
        products = list(self.rows("fare_products.txt"))
        gtfs_rules.check_products(
            products, frozenset(c.rider_category_id for c in categories if c.is_default)
        )
        for row in products:
            gtfs_rules.check_currency(
                row, "currency", self.city.currency if self.city else None, refuses=False
            )
        timeframes = list(self.rows("timeframes.txt"))
        gtfs_rules.check_timeframes(timeframes)
        leg_rules = tuple(map(_leg_rule, self.rows("fare_leg_rules.txt")))
        joins: list[JoinRule] = []
        for row in self.rows("fare_leg_join_rules.txt"):
            gtfs_rules.check_join_rule(row)
            names_of = ("from_network_id", "to_network_id", "from_stop_id", "to_stop_id")
            joins.append(JoinRule(row.line, *(row.find(name) for name in names_of)))
        transfers: list[TransferRule] = []
        for row in self.rows("fare_transfer_rules.txt"):
            gtfs_rules.check_transfer_rule(row)
            transfers.append(_transfer_rule(row))
        self.fares_v2 = FaresV2(
            tz=self.agencies[0].get("agency_timezone") if self.agencies else "UTC",
            by_priority=self.known.has("fare_leg_rules.txt", "rule_priority"),
            leg_rules=leg_rules,
            join_rules=tuple(joins),
            transfer_rules=tuple(transfers),
            products=tuple(price for row in products if (price := _product(row)) is not None),
            media=tuple(
                FareMedium(
                    row.get("fare_media_id"), row.get("fare_media_name"), row.number("fare_media_type") or 0
                )
                for row in media_rows
            ),
            rider_categories=categories,
            timeframes=tuple(map(_timeframe, timeframes)),
            services={key: self.services[key] for key in sorted(self._services_of(timeframes))},
            networks=of_route,
            stop_areas=areas,
            stations={
                stop_id: row.get("parent_station")
                for stop_id, row in self.stops.items()
                if row.get("parent_station") and (row.get("location_type") or "0") == "0"
            },
            time_zones={
                stop_id: row.get("stop_timezone")
                for stop_id, row in self.stops.items()
                if row.get("stop_timezone")
            },
            names=names,
        )

    def _services_of(self, rows: Sequence[Row]) -> set[str]:
        return {row.get("service_id") for row in rows} & self.services.keys()

    def _fares_v1(self) -> None:
        if "fare_rules.txt" in self.feed.names and "fare_attributes.txt" not in self.feed.names:
            code, what = "missing_required_file", "the file is missing"
            self.report.add(code, "ERROR", "fare_attributes.txt", what, "fare_rules.txt needs it")
            return
        expected = self.city.currency if self.city else None
        attributes: list[FareAttribute] = []
        for row in self.rows("fare_attributes.txt"):
            gtfs_rules.check_price(row, "price", "currency_type")
            gtfs_rules.check_currency(row, "currency_type", expected, refuses=True)
            price = row.money("price", "currency_type") or Money(0, "EUR")
            transfers, duration = row.number("transfers"), row.number("transfer_duration")
            on_board = row.get("payment_method") == "0"
            attributes.append(FareAttribute(row.get("fare_id"), price, on_board, transfers, duration))
        rules: list[FareRule] = []
        for row in self.rows("fare_rules.txt"):
            line_id = (
                _league_id(self.city, row.get("route_id")) if self.city and row.get("route_id") else None
            )
            zones = (row.find(name) for name in ("origin_id", "destination_id", "contains_id"))
            rules.append(FareRule(row.get("fare_id"), line_id, *zones))
        lines = tuple(_league_id(self.city, route_id) for route_id in self.routes) if self.city else ()
        self.fares_v1 = FaresV1(tuple(attributes), tuple(rules), lines)

    def _timetable(self) -> None:
        self._shapes()
        numbers = {route_id: number for number, route_id in enumerate(self.routes)}
        shape_numbers = {shape_id: number for number, shape_id in enumerate(self.shapes)}
        used: set[str] = set()
        for row in self.rows("trips.txt"):
            shape_id = row.get("shape_id")
            used.add(shape_id)
            self.trips.add(
                row.get("trip_id"),
                route=numbers.get(row.get("route_id"), -1),
                direction=1 if row.get("direction_id") == "1" else 0,
                shape=shape_numbers.get(shape_id, -1),
                line=row.line,
            )
        for shape_id in self.shapes:
            if shape_id not in used and "trips.txt" not in self.known.broken:
                what, remedy = f"no trip runs on {shown(shape_id)}", "Take it out"
                self.report.add(
                    "unused_shape", "WARNING", "shapes.txt", what, remedy, name="shape_id", value=shape_id
                )
        if {"trips.txt", "stops.txt"}.isdisjoint(self.known.broken) and "stop_times.txt" in self.feed.names:
            self._stop_times()
        gtfs_rules.check_frequencies(self.rows("frequencies.txt"))

    def _stop_times(self) -> None:
        opened = open_table(self.feed, "stop_times.txt", self.report)
        if opened is None:
            return
        table = StopTable()
        for number, stop_id in enumerate(self.stops):
            table.ids[stop_id] = number
        for stop_id, row in self.stops.items():
            kind, parent = row.get("location_type") or "0", row.get("parent_station")
            table.station.append(table.ids.get(parent, table.ids[stop_id]) if parent else table.ids[stop_id])
            table.callable.append(kind == "0")
            table.name.append(stop_id)
        self.patterns, called = read_times(*opened, self.report, self.trips, table)
        for number, (stop_id, row) in enumerate(self.stops.items()):
            if number not in called and table.callable[number]:
                what, remedy = f"no trip calls at {shown(stop_id)}", "Take it out, or give it calls"
                row.wrong("stop_without_stop_time", "stop_id", what, remedy, "WARNING")

    def _shapes(self) -> None:
        """Checks every point, and keeps of each shape only its highest sequence so far."""
        last = self.shapes
        counts: Counter[str] = Counter()
        if "shapes.txt" not in self.feed.names:
            return
        for shape_id, sequence, _, _, line in self._points(self.report):
            if last.get(shape_id) == sequence:
                _twice(self.report, line, shape_id, sequence)
            last[shape_id] = max(sequence, last.get(shape_id, -1))
            counts[shape_id] += 1
            self.known.of("shapes.shape_id").add(shape_id)
        for shape_id, count in counts.items():
            if count == 1:
                what, remedy = f"{shown(shape_id)} has one point", "Draw it, or take it out"
                self.report.add(
                    "single_shape_point",
                    "WARNING",
                    "shapes.txt",
                    what,
                    remedy,
                    name="shape_id",
                    value=shape_id,
                )

    def _points(self, report: Report) -> Iterator[tuple[str, int, float, float, int]]:
        """(shape_id, sequence, lat, lon, line) of every point that fits; what does not is noted in the report."""
        opened = open_table(self.feed, "shapes.txt", report)
        if opened is None:
            self.known.broken.add("shapes.txt")
            return
        header, records = opened
        at = {column: place for place, column in enumerate(header)}
        names = ("shape_id", "shape_pt_sequence", "shape_pt_lat", "shape_pt_lon")
        places = [at[name] for name in names]
        count = 0
        for line, cells in records:
            count += 1
            shape_id, sequence, lat, lon = (cells[place] for place in places)
            point = _point_of(lat, lon)
            if (
                shape_id
                and point is not None
                and sequence.isascii()
                and sequence.isdigit()
                and len(sequence) < 11
            ):
                yield shape_id, int(sequence), *point, line
            else:
                _bad_point(Row("shapes.txt", line, cells, at, report), names)
        report.rows["shapes.txt"] = count

    def points_of(self, shape_ids: frozenset[str]) -> dict[str, tuple[Point, ...]]:
        """The points of some shapes in order; a point of the same number twice is noted."""
        found: dict[str, dict[int, Point]] = {}
        if shape_ids:
            for shape_id, sequence, lat, lon, line in self._points(Report(self.report.label)):
                if shape_id in shape_ids:
                    if sequence in found.setdefault(shape_id, {}):
                        _twice(self.report, line, shape_id, sequence)
                    found[shape_id][sequence] = (lat, lon)
        return {shape_id: tuple(points[key] for key in sorted(points)) for shape_id, points in found.items()}

    def _rest(self) -> None:
        for name in _PLAIN:
            for _ in self.rows(name):
                pass
        tables = frozenset(name.removesuffix(".txt") for name in FILES)
        for row in self.rows("translations.txt"):
            gtfs_rules.check_translation(row, tables)
            about = (row.get("table_name"), row.get("field_name"), row.get("language"))
            if about == ("stops", "stop_name", "en") and row.get("record_id"):
                self.english[row.get("record_id")] = row.get("translation")
        gtfs_rules.check_feed_info(self.rows("feed_info.txt"), today=self.today)
        if self.today is not None and self.services:
            ends = [service.last for service in self.services.values() if service.last]
            ends += [day for service in self.services.values() for day in service.added]
            if ends and max(ends) < self.today:
                what, remedy = f"its last day of service is {max(ends)}", "Ask for the next feed"
                self.report.add("expired_calendar", "WARNING", "calendar.txt", what, remedy)


def _leg_rule(row: Row) -> LegRule:
    names = (
        "leg_group_id", "network_id", "from_area_id", "to_area_id", "from_timeframe_group_id", "to_timeframe_group_id",
    )  # fmt: skip
    return LegRule(
        row.line,
        *(row.find(name) for name in names),
        fare_product_id=row.get("fare_product_id"),
        rule_priority=row.number("rule_priority") or 0,
        transfer_only=row.get("transfer_only") == "1",
    )


def _transfer_rule(row: Row) -> TransferRule:
    return TransferRule(
        row.line,
        row.find("from_leg_group_id"),
        row.find("to_leg_group_id"),
        row.number("transfer_count"),
        row.number("duration_limit"),
        row.number("duration_limit_type"),
        row.number("fare_transfer_type") or 0,
        row.find("fare_product_id"),
    )


def _product(row: Row) -> ProductPrice | None:
    price = row.money("amount", "currency")
    if price is None:
        return None
    category, medium = row.find("rider_category_id"), row.find("fare_media_id")
    name = row.get("fare_product_name")
    return ProductPrice(row.line, row.get("fare_product_id"), name, category, medium, price)


def _timeframe(row: Row) -> Timeframe:
    start, end = row.seconds("start_time"), row.seconds("end_time")
    group = row.get("timeframe_group_id")
    return Timeframe(row.line, group, start or 0, 86_400 if end is None else end, row.get("service_id"))


def _point_of(lat: str, lon: str) -> Point | None:
    try:
        point = float(lat), float(lon)
    except ValueError:
        return None
    return point if -90 <= point[0] <= 90 and -180 <= point[1] <= 180 else None


def _bad_point(row: Row, names: Sequence[str]) -> None:
    for name in names:
        if not row.get(name):
            row.wrong("missing_required_field", name, "it is empty", "Say where the point is")
    for name, most in (("shape_pt_lat", 90), ("shape_pt_lon", 180)):
        degrees = row.degrees(name)
        if row.get(name) and (degrees is None or abs(degrees) > most):
            what, remedy = (
                f"{shown(row.get(name))} is not degrees",
                f"Write decimal degrees from -{most} to {most}",
            )
            row.wrong("number_out_of_range", name, what, remedy)
    if row.get("shape_pt_sequence") and (row.number("shape_pt_sequence") or -1) < 0:
        what = f"{shown(row.get('shape_pt_sequence'))} is not a whole number"
        row.wrong("invalid_integer", "shape_pt_sequence", what, "Write a whole number from 0")


def _twice(report: Report, line: int, shape_id: str, sequence: int) -> None:
    what = f"{sequence} is there twice in {shown(shape_id)}"
    report.add(
        "duplicate_key", "ERROR", "shapes.txt", what, "Number the points", row=line, name="shape_pt_sequence"
    )


def _mode(route_type: int | None) -> Mode | None:
    """Source: GTFS routes.txt route_type, and the extended types of Google's list (hundreds)."""
    if route_type is None:
        return None
    return _BASIC.get(route_type) if route_type < 100 else _HUNDREDS.get(route_type // 100)


def _league_id(city: City, gtfs_id: str) -> str:
    return f"{city.city_id}/{gtfs_id}"


# -- a network out of it ------------------------------------------------------------------------------------


def _build(reading: _Reading, city: City, operator_id: str) -> GtfsFeed:
    lines = _lines(reading, city, operator_id)
    served = {call.stop_id for line in lines for call in line.stops}
    zones = _zones(reading.stops)
    stops = tuple(
        Stop(
            stop_id=league_id,
            city_id=city.city_id,
            name=reading.english.get(stop_id) or row.get("stop_name"),
            local_name=row.get("stop_name"),
            lat=row.degrees("stop_lat"),
            lon=row.degrees("stop_lon"),
            zone=zones.get(stop_id),
            code=row.find("stop_code"),
        )
        for stop_id, row in reading.stops.items()
        if (league_id := _league_id(city, stop_id)) in served
    )
    if not lines:
        what, remedy = "no trip calls at two stops or more", "Give the trips their stops"
        reading.report.add("unusable_trip", "ERROR", "stop_times.txt", what, remedy)
    label = reading.agencies[0].get("agency_name") if reading.agencies else ""
    operator = Operator(operator_id, label, label)
    return GtfsFeed(
        CityFile(city, (operator,), stops, tuple(lines)),
        reading.fares_v1,
        len(reading.trips.ids),
        len(reading.services),
        reading.fares_v2,
        reading.report,
    )


def _zones(stops: Mapping[str, Row]) -> dict[str, str]:
    """The zone of each station: its own, or else that of its first platform."""
    zones = {stop_id: row.get("zone_id") for stop_id, row in stops.items() if row.get("zone_id")}
    for row in stops.values():
        if row.get("zone_id") and (row.get("location_type") or "0") == "0" and row.get("parent_station"):
            zones.setdefault(row.get("parent_station"), row.get("zone_id"))
    return zones


def _lines(reading: _Reading, city: City, operator_id: str) -> list[Line]:
    stop_ids = list(reading.stops)
    shape_ids = list(reading.shapes)
    ranked: dict[tuple[int, int], list[tuple[int, tuple[str, ...], str | None]]] = {}
    for pattern, count in reading.patterns.items():
        calls = tuple(stop_ids[number] for number in pattern.stations)
        shape = shape_ids[pattern.shape] if pattern.shape >= 0 else None
        ranked.setdefault((pattern.route, pattern.direction), []).append((count, calls, shape))
    kept: list[tuple[str, int, str, tuple[str, ...], str | None]] = []
    for number, route_id in enumerate(reading.routes):
        known: list[tuple[str, ...]] = []
        for direction in (0, 1):
            found = ranked.get((number, direction))
            if not found:
                continue
            _, calls, shape = min(found, key=lambda one: (-one[0], -len(one[1]), one[1]))
            if any(_hops(calls) <= _hops(other) for other in known):
                continue
            known.append(calls)
            suffix = "" if len(known) == 1 else f".{direction}"
            kept.append((route_id, number, suffix, calls, shape))
    shapes = reading.points_of(frozenset(shape for *_, shape in kept if shape is not None))
    return [
        _line(reading, city, operator_id, route_id, number, suffix, calls, shapes.get(shape or ""))
        for route_id, number, suffix, calls, shape in kept
    ]


def _line(
    reading: _Reading,
    city: City,
    operator_id: str,
    route_id: str,
    number: int,
    suffix: str,
    stations: tuple[str, ...],
    shape: tuple[Point, ...] | None,
) -> Line:
    row = reading.routes[route_id]
    calls, loop = _calls(stations, [_place(reading.stops[stop_id]) for stop_id in stations], shape, city)
    color = row.get("route_color").lstrip("#").upper()
    return Line(
        line_id=_league_id(city, route_id) + suffix,
        city_id=city.city_id,
        operator_id=operator_id,
        name=row.get("route_short_name") or row.get("route_long_name") or route_id,
        mode=_mode(row.number("route_type")) or "bus",
        color=f"#{color}" if color else _COLORS[number % len(_COLORS)],
        stops=calls,
        loop=loop,
        shape=thinned_shape(shape) if shape is not None else (),
    )


def _hops(stops: Sequence[str]) -> frozenset[frozenset[str]]:
    return frozenset(frozenset(pair) for pair in pairwise(stops))


def _calls(
    stations: tuple[str, ...], points: Sequence[Point], shape: tuple[Point, ...] | None, city: City
) -> tuple[tuple[Call, ...], bool]:
    """The calls of a line with their metres, and whether it is a loop."""
    metres = _metres(points, shape)
    ids = [_league_id(city, stop_id) for stop_id in stations]
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


def _place(row: Row) -> Point:
    return (row.degrees("stop_lat") or 0.0, row.degrees("stop_lon") or 0.0)
