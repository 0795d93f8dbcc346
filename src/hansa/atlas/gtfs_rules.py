"""What GTFS demands between fields, rows and files: conditions that the table of fields cannot say.

Each function looks at one table. Codes are those of the canonical validator where it has one for the same thing.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from itertools import pairwise

from hansa.atlas.gtfs_table import Known, Row, money_of
from hansa.atlas.report import Report
from hansa.atlas.tables import shown
from hansa.kernel import CURRENCY_EXPONENTS

WEEK = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_OUT_OF_ORDER = "start_and_end_range_out_of_order"
_EQUAL = "start_and_end_range_equal"
_EMPTY = "missing_required_field"


def check_agencies(rows: Sequence[Row], report: Report, *, tz: str | None) -> None:
    """One time zone for all agencies, the city's where one is given; and ids where there are several."""
    if not rows and not report.errors:
        report.add("empty_file", "ERROR", "agency.txt", "it names no agency", "Name the operator")
    for row in rows:
        own = row.get("agency_timezone")
        if tz is not None and own and own != tz and row.report.ok:
            what, remedy = f"it is {own}, the city's is {tz}", "Mend the feed or city.toml"
            row.wrong("timezone_is_not_the_citys", "agency_timezone", what, remedy)
        elif own != rows[0].get("agency_timezone"):
            what = f"the first agency has {shown(rows[0].get('agency_timezone'))}"
            row.wrong(
                "inconsistent_agency_timezone", "agency_timezone", what, "Give all agencies one time zone"
            )
        if len(rows) > 1 and not row.get("agency_id"):
            row.wrong(
                "missing_required_agency_id", "agency_id", "it is empty", "Give each agency an id of its own"
            )


def check_stop(row: Row) -> None:
    """Source: stops.txt, stop_name, stop_lat, stop_lon, parent_station."""
    kind, parent = row.get("location_type") or "0", row.get("parent_station")
    if kind in ("0", "1", "2"):
        if not row.get("stop_name"):
            row.wrong("missing_stop_name", "stop_name", "it is empty", "Fill it in")
        for name in ("stop_lat", "stop_lon"):
            if not row.get(name):
                row.wrong("stop_without_location", name, "it is empty", "Say where the stop is")
    lat, lon = row.degrees("stop_lat"), row.degrees("stop_lon")
    if lat is not None and lon is not None and abs(lat) < 1 and abs(lon) < 1:
        row.wrong("point_near_origin", "stop_lat", "it lies near 0, 0", "Say where the stop is")
    if kind == "1" and parent:
        remedy = "Leave it empty where location_type is 1"
        row.wrong("station_with_parent_station", "parent_station", "a station has none", remedy)
    if kind in ("2", "3", "4") and not parent:
        remedy = f"Name the station; location_type {kind} needs it"
        row.wrong("location_without_parent_station", "parent_station", "it is empty", remedy)


def check_parents(rows: Mapping[str, Row]) -> None:
    """A platform's parent is a station, a boarding area's a platform. Source: stops.txt, parent_station."""
    for row in rows.values():
        parent = row.get("parent_station")
        if not parent or row.get("location_type") == "1":
            continue
        wanted = "0" if row.get("location_type") == "4" else "1"
        above = rows.get(parent)
        if above is None:
            what = f"stops.txt has no {shown(parent)}"
            row.wrong("foreign_key_violation", "parent_station", what, "Add it, or mend the id")
        elif (above.get("location_type") or "0") != wanted:
            what = f"{shown(parent)} is no {'platform' if wanted == '0' else 'station'}"
            row.wrong("wrong_parent_location_type", "parent_station", what, "Name another")


def check_route(row: Row, known: Known, *, agencies: int, is_mode: bool) -> None:
    """Source: routes.txt. A route without a name is only warned of: no fare hangs on it."""
    if not is_mode and row.number("route_type") is not None:
        remedy = "Write 0 tram, 1 metro, 2 rail, 3 bus or 4 ferry"
        row.wrong("unexpected_enum_value", "route_type", f"{row.get('route_type')} is unknown", remedy)
    if not row.get("route_short_name") and not row.get("route_long_name"):
        code, what = "route_both_short_and_long_name_missing", "it and route_long_name are empty"
        row.wrong(code, "route_short_name", what, "Give the route a name", "WARNING")
    if agencies > 1 and not row.get("agency_id"):
        row.wrong(_EMPTY, "agency_id", "it is empty, and agency.txt names several", "Name the route's agency")
    if row.get("network_id") and not known.columns.keys().isdisjoint(("networks.txt", "route_networks.txt")):
        code, what = (
            "route_networks_specified_in_more_than_one_file",
            "networks.txt or route_networks.txt is there too",
        )
        row.wrong(code, "network_id", what, "Say which network a route is of in one place")


def check_calendar(row: Row) -> None:
    first, last = row.day("start_date"), row.day("end_date")
    if first and last and first > last:
        row.wrong(_OUT_OF_ORDER, "end_date", f"{last} is before {first}", "End on the first day or later")
    if all(row.get(day) == "0" for day in WEEK):
        code, remedy = (
            "service_has_no_active_day_of_the_week",
            "Give it a day, or add days in calendar_dates.txt",
        )
        row.wrong(code, "monday", "it runs on no day of the week", remedy, "WARNING")


def check_price(row: Row, amount: str, currency: str) -> None:
    """An amount exact to the minor unit of its currency, and in Fares v1 not negative. Source: Currency amount."""
    money = row.money(amount, currency)
    known = row.get(currency) in CURRENCY_EXPONENTS
    if known and money is None and money_of(row.get(amount), "CLF") is not None:
        decimals = CURRENCY_EXPONENTS[row.get(currency)]
        remedy = (
            f"Write digits with at most {decimals} decimals"
            if decimals
            else "Write whole units, without decimals"
        )
        what = f"{shown(row.get(amount))} is not an amount of {row.get(currency)}"
        row.wrong("invalid_currency_amount", amount, what, remedy)
    elif money is not None and money.minor < 0 and amount == "price":
        row.wrong("number_out_of_range", amount, f"{row.get(amount)} is out of range", "Write 0 or more")


def check_currency(row: Row, currency: str, expected: str | None, *, refuses: bool) -> None:
    """A feed's currency is its city's: of Fares v1, from which a tariff is made, else it is refused."""
    own = row.get(currency)
    if expected is not None and own in CURRENCY_EXPONENTS and own != expected:
        what = f"it is {shown(own)}, the city's is {expected}"
        severity = "ERROR" if refuses else "WARNING"
        row.wrong("currency_is_not_the_citys", currency, what, "Mend one of them", severity)


def check_timeframes(rows: Iterable[Row]) -> None:
    """Both ends or neither, the start first, and none overlapping another of its group and service."""
    spans: dict[tuple[str, str], list[tuple[int, int, Row]]] = {}
    for row in rows:
        start, end = row.seconds("start_time"), row.seconds("end_time")
        if bool(row.get("start_time")) != bool(row.get("end_time")):
            name = "end_time" if row.get("start_time") else "start_time"
            code = "timeframe_only_start_or_end_time_specified"
            row.wrong(code, name, "only the other end is given", "Give both ends, or neither")
        elif start is not None and end is not None and start >= end:
            code = _EQUAL if start == end else _OUT_OF_ORDER
            row.wrong(code, "end_time", "it is not after start_time", "Split a span over midnight in two")
        else:
            key = (row.get("timeframe_group_id"), row.get("service_id"))
            spans.setdefault(key, []).append((start or 0, 86_400 if end is None else end, row))
    for span in spans.values():
        span.sort(key=lambda one: (one[0], one[1]))
        for (_, end, first), (start, _, row) in pairwise(span):
            if start < end:
                what, remedy = (
                    f"it begins before the span on line {first.line} ends",
                    "Let spans meet, not overlap",
                )
                row.wrong("timeframe_overlap", "start_time", what, remedy)


def check_media(rows: Iterable[Row]) -> None:
    seen: dict[tuple[str, str], int] = {}
    for row in rows:
        name, kind = row.get("fare_media_name"), row.get("fare_media_type")
        if kind in ("2", "4") and not name:
            remedy = "Name the card or app as riders know it"
            row.wrong("missing_recommended_field", "fare_media_name", "it is empty", remedy, "WARNING")
        first = seen.setdefault((name, kind), row.line)
        if name and first != row.line:
            what, remedy = f"line {first} has the same name and type", "Keep one of them"
            row.wrong("duplicate_fare_media", "fare_media_name", what, remedy, "WARNING")


def check_products(rows: Iterable[Row], defaults: frozenset[str]) -> None:
    """Of a product's rider categories one is the default. Source: rider_categories.txt, is_default_fare_category."""
    categories: dict[str, dict[str, Row]] = {}
    for row in rows:
        check_price(row, "amount", "currency")
        if row.get("rider_category_id"):
            of_product = categories.setdefault(row.get("fare_product_id"), {})
            of_product.setdefault(row.get("rider_category_id"), row)
    for of_product in categories.values():
        chosen = [row for category, row in of_product.items() if category in defaults]
        if len(chosen) > 1:
            code, what = (
                "fare_product_with_multiple_default_rider_categories",
                "the product has two default categories",
            )
            chosen[1].wrong(code, "rider_category_id", what, "Keep one default")
        elif len(of_product) > 1 and not chosen:
            row = next(iter(of_product.values()))
            code = "fare_product_without_default_rider_category"
            what, remedy = (
                "none of the product's categories is the default",
                "Mark one in rider_categories.txt",
            )
            row.wrong(code, "rider_category_id", what, remedy, "WARNING")


def check_join_rule(row: Row) -> None:
    """Both of a pair or neither. Source: fare_leg_join_rules.txt."""
    for one, other in (("from_network_id", "to_network_id"), ("from_stop_id", "to_stop_id")):
        for given, missing in ((one, other), (other, one)):
            if row.get(given) and not row.get(missing):
                row.wrong(_EMPTY, missing, f"it is empty, and {given} is not", "Give both, or neither")


def check_transfer_rule(row: Row) -> None:
    """Source: fare_transfer_rules.txt, transfer_count, duration_limit_type."""
    before, after, count = row.get("from_leg_group_id"), row.get("to_leg_group_id"), row.get("transfer_count")
    if before and before == after and not count:
        code, what = (
            "fare_transfer_rule_without_transfer_count",
            "it is empty, and both leg groups are the same",
        )
        row.wrong(code, "transfer_count", what, "Write how many transfers, or -1 for any number")
    if before != after and count:
        code, what = "fare_transfer_rule_with_forbidden_transfer_count", "the two leg groups differ"
        row.wrong(code, "transfer_count", what, "Leave it empty")
    limit, kind = row.get("duration_limit"), row.get("duration_limit_type")
    if limit and not kind:
        code, what = (
            "fare_transfer_rule_duration_limit_without_type",
            "it is empty, and duration_limit is not",
        )
        row.wrong(code, "duration_limit_type", what, "Say between which events the time is taken, 0 to 3")
    if kind and not limit:
        code, what = (
            "fare_transfer_rule_duration_limit_type_without_duration_limit",
            "duration_limit is empty",
        )
        row.wrong(code, "duration_limit_type", what, "Leave it empty, or give a limit")


def check_frequencies(rows: Iterable[Row]) -> None:
    spans: dict[str, list[tuple[int, int, Row]]] = {}
    for row in rows:
        start, end = row.seconds("start_time"), row.seconds("end_time")
        if start is None or end is None:
            continue
        if start >= end:
            code = _EQUAL if start == end else _OUT_OF_ORDER
            row.wrong(code, "end_time", "it is not after start_time", "End later than the start")
        else:
            spans.setdefault(row.get("trip_id"), []).append((start, end, row))
    for span in spans.values():
        span.sort(key=lambda one: (one[0], one[1]))
        for (_, end, first), (start, _, row) in pairwise(span):
            if start < end:
                what, remedy = (
                    f"it begins before the span on line {first.line} ends",
                    "Let spans meet, not overlap",
                )
                row.wrong("overlapping_frequency", "start_time", what, remedy)


def check_feed_info(rows: Iterable[Row], *, today: date | None) -> None:
    for row in rows:
        first, last = row.day("feed_start_date"), row.day("feed_end_date")
        if first and last and first > last:
            row.wrong(
                _OUT_OF_ORDER, "feed_end_date", f"{last} is before {first}", "End on the first day or later"
            )
        if (first is None) != (last is None):
            name = "feed_start_date" if first is None else "feed_end_date"
            row.wrong("missing_feed_info_date", name, "only the other is given", "Give both", "WARNING")
        if not row.get("feed_contact_email") and not row.get("feed_contact_url"):
            code, what = "missing_feed_contact_email_and_url", "nobody is named to write to"
            row.wrong(code, "feed_contact_email", what, "Give an address or a page", "WARNING")
        if today is not None and last is not None and last < today + timedelta(days=7):
            what, remedy = f"the feed ends on {last}", "Ask for the next one"
            row.wrong("feed_expiration_date7_days", "feed_end_date", what, remedy, "WARNING")


def check_translation(row: Row, tables: frozenset[str]) -> None:
    table = row.get("table_name")
    if table and table not in tables:
        what, remedy = f"{shown(table)} is no table of GTFS", "Name one without .txt"
        row.wrong("translation_unknown_table_name", "table_name", what, remedy, "WARNING")
