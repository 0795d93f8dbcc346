"""Reports of feeds: each fault by its code, severity, file, line, field and value; told as text, JSON and page."""

import io
import json
import zipfile
from collections.abc import Mapping
from datetime import date, time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa import atlas
from hansa.atlas import Report, check_gtfs, gtfs_times
from hansa.kernel import InvalidInput, Money

CITY = atlas.City("town", "Town", "Town", "DE", "Europe/Berlin", "EUR", time(4), "Flat.")

FEED = {
    "agency.txt": "agency_id,agency_name,agency_url,agency_timezone\nta,Town,https://t.example,Europe/Berlin\n",
    "feed_info.txt": (
        "feed_publisher_name,feed_publisher_url,feed_lang,feed_start_date,feed_end_date,feed_version,"
        "feed_contact_email\nTown,https://t.example,de,20260101,20261231,1,desk@t.example\n"
    ),
    "stops.txt": (
        "stop_id,stop_name,stop_lat,stop_lon,zone_id,location_type,parent_station,stop_timezone\n"
        "a,Ah,52.50,13.4,1,,,\nb,Beh,52.51,13.4,1,0,,\nC,Zeh,52.52,13.4,,1,,Europe/Paris\nc1,Zeh 1,52.52,13.4,2,,C,\n"
    ),
    "routes.txt": "route_id,agency_id,route_short_name,route_type\n7,ta,7,1\n8,ta,8,3\n",
    "networks.txt": "network_id,network_name\nmetro,Metro\nbus,Bus\n",
    "route_networks.txt": "network_id,route_id\nmetro,7\nbus,8\n",
    "calendar.txt": (
        "service_id,monday,tuesday,wednesday,thursday,friday,saturday,sunday,start_date,end_date\n"
        "wd,1,1,1,1,1,0,0,20260101,20261231\n"
    ),
    "calendar_dates.txt": "service_id,date,exception_type\nwd,20260501,2\nfair,20260502,1\n",
    "trips.txt": "route_id,service_id,trip_id,direction_id\n7,wd,t1,0\n8,wd,t2,0\n",
    "stop_times.txt": (
        "trip_id,arrival_time,departure_time,stop_id,stop_sequence\n"
        "t1,08:00:00,08:00:00,a,1\nt1,,,b,2\nt1,08:10:00,08:10:00,c1,3\n"
        "t2,24:50:00,24:50:00,a,1\nt2,25:00:00,25:00:00,b,2\n"
    ),
    "areas.txt": "area_id,area_name\ninner,Inner town\nouter,\n",
    "stop_areas.txt": "area_id,stop_id\ninner,a\nouter,C\n",
    "rider_categories.txt": (
        "rider_category_id,rider_category_name,is_default_fare_category\nadult,Adult,1\nchild,Child,0\n"
    ),
    "fare_media.txt": "fare_media_id,fare_media_name,fare_media_type\ncard,Town card,2\ncash,Cash,0\n",
    "fare_products.txt": (
        "fare_product_id,fare_product_name,rider_category_id,fare_media_id,amount,currency\n"
        "single,Single,adult,card,2.40,EUR\nsingle,Single,child,card,1.20,EUR\nsingle,Single,adult,cash,2.80,EUR\n"
        "change,Change,,,-0.40,EUR\n"
    ),
    "timeframes.txt": (
        "timeframe_group_id,start_time,end_time,service_id\n"
        "peak,07:00:00,09:00:00,wd\npeak,16:00:00,24:00:00,wd\nfair,,,fair\n"
    ),
    "fare_leg_rules.txt": (
        "leg_group_id,network_id,from_area_id,to_area_id,from_timeframe_group_id,to_timeframe_group_id,"
        "fare_product_id,rule_priority\n"
        "m,metro,,,,,single,\nb,bus,inner,outer,peak,,single,2\n"
    ),
    "fare_leg_join_rules.txt": "from_network_id,to_network_id,from_stop_id,to_stop_id\nmetro,metro,C,C\n",
    "fare_transfer_rules.txt": (
        "from_leg_group_id,to_leg_group_id,transfer_count,duration_limit,duration_limit_type,fare_transfer_type,"
        "fare_product_id\nm,b,,3600,1,1,change\nm,m,-1,,,0,\n"
    ),
}  # fmt: skip


def packed(files: Mapping[str, str | bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def report_of(**changes: tuple[str, str]) -> Report:
    """The report of the feed with some files changed: file__txt=(old, new)."""
    files = {**FEED}
    for key, (old, new) in changes.items():
        name = f"{key}.txt"
        assert files[name].count(old) >= 1, (name, old)
        files[name] = files[name].replace(old, new, 1)
    return check_gtfs(packed(files), city=CITY)


def test_a_sound_feed_has_no_error_and_no_warning() -> None:
    report = report_of()

    assert report.ok
    assert report.groups == ()
    assert report.rows["stop_times.txt"] == 5
    assert report.verdict == "No error, 0 warnings, 0 notes: it may be imported."


# file | what stands there | what it is changed to | severity, code | file if another, line, field
FAULTS = [
    ("agency", "https://t.example,Eu", "t.example,Eu", "WARNING invalid_url", "2 agency_url"),
    ("stops", "Europe/Paris", "Paris", "ERROR invalid_timezone", "4 stop_timezone"),
    ("stops", "52.50,13.4", "0.1,0.1", "ERROR point_near_origin", "2 stop_lat"),
    ("stops", "c1,Zeh 1", "c1, Zeh 1", "WARNING leading_or_trailing_whitespaces", "5"),
    ("stops", "1,0,,\n", "1,0,,\n\n", "", ""),
    ("stops", "b,Beh", "b\0,Beh", "ERROR invalid_character", "3"),
    ("routes", "8,ta,8,3", "8,ta,,3", "WARNING route_both_short_and_long_name_missing", "3 route_short_name"),
    ("routes", "route_type\n7,ta,7,1\n8,ta,8,3", "route_type,network_id\n7,ta,7,1,metro\n8,ta,8,3,",
     "ERROR route_networks_specified_in_more_than_one_file", "2 network_id"),
    ("route_networks", "bus,8", "bus,7", "ERROR duplicate_key", "3 route_id"),
    ("route_networks", "bus,8", "tram,8", "ERROR foreign_key_violation", "3 network_id"),
    ("calendar", "1,1,1,1,1,0,0", "0,0,0,0,0,0,0", "WARNING service_has_no_active_day_of_the_week", "2 monday"),
    ("calendar", "20261231", "20251231", "ERROR start_and_end_range_out_of_order", "2 end_date"),
    ("trips", "8,wd,t2,0", "8,wd,t2,0\n8,wd,t3,0", "WARNING unused_trip", "4 trip_id"),
    ("stop_times", "t2,25:00:00,25:00:00,b,2\n", "", "WARNING unusable_trip", "trips 3 trip_id"),
    ("stop_times", "t1,,,b,2", "t1,07:00:00,07:00:00,b,2",
     "ERROR stop_time_with_arrival_before_previous_departure_time", "3 arrival_time"),
    ("stop_times", "t1,,,b,2", "t1,08:01:00,,b,2",
     "WARNING stop_time_with_only_arrival_or_departure_time", "3 departure_time"),
    ("stop_times", "b,2\nt1", "b,1\nt1", "ERROR duplicate_key", "3 stop_sequence"),
    ("areas", "outer,", "inner,", "ERROR duplicate_key", "3 area_id"),
    ("stop_areas", "inner,a", "middle,a", "ERROR foreign_key_violation", "2 area_id"),
    ("rider_categories", "Child,0", "Child,1",
     "ERROR fare_product_with_multiple_default_rider_categories", "fare_products 3 rider_category_id"),
    ("rider_categories", "Adult,1", "Adult,",
     "WARNING fare_product_without_default_rider_category", "fare_products 2 rider_category_id"),
    ("rider_categories", "adult,Adult,1", "adult,,1", "ERROR missing_required_field", "2 rider_category_name"),
    ("fare_media", "Town card,2", ",2", "WARNING missing_recommended_field", "2 fare_media_name"),
    ("fare_media", "Cash,0", "Town card,2", "WARNING duplicate_fare_media", "3 fare_media_name"),
    ("fare_media", "Cash,0", "Cash,7", "ERROR unexpected_enum_value", "3 fare_media_type"),
    ("fare_products", "2.40,EUR", "2.405,EUR", "ERROR invalid_currency_amount", "2 amount"),
    ("fare_products", "2.40,EUR", "2.40,EUX", "ERROR invalid_currency", "2 currency"),
    ("fare_products", "2.40,EUR", "2.40,USD", "WARNING currency_is_not_the_citys", "2 currency"),
    ("fare_products", "adult,cash", "adult,card", "ERROR duplicate_key", "4 fare_media_id"),
    ("timeframes", "07:00:00,09:00:00", "07:00:00,",
     "ERROR timeframe_only_start_or_end_time_specified", "2 end_time"),
    ("timeframes", "16:00:00,24:00:00", "08:59:59,24:00:00", "ERROR timeframe_overlap", "3 start_time"),
    ("timeframes", "16:00:00,24:00:00", "09:00:00,24:00:00", "", ""),
    ("timeframes", "24:00:00", "25:00:00",
     "ERROR timeframe_start_or_end_time_greater_than_twenty_four_hours", "3 end_time"),
    ("timeframes", "07:00:00,09:00:00", "09:00:00,07:00:00", "ERROR start_and_end_range_out_of_order", "2 end_time"),
    ("timeframes", "fair,,,fair", "fair,,,feast", "ERROR foreign_key_violation", "4 service_id"),
    ("fare_leg_rules", "m,metro", "m,tram", "ERROR foreign_key_violation", "2 network_id"),
    ("fare_leg_rules", "peak,,single,2", "peak,,double,2", "ERROR foreign_key_violation", "3 fare_product_id"),
    ("fare_leg_rules", "single,2", "single,-2", "ERROR invalid_integer", "3 rule_priority"),
    ("fare_leg_rules", "b,bus,inner,outer,peak,,single,2", "n,metro,,,,,single,2",
     "ERROR duplicate_key", "3 fare_product_id"),
    ("fare_leg_rules", "rule_priority\n", "transfer_only\n", "ERROR unexpected_enum_value", "3 transfer_only"),
    ("fare_leg_join_rules", "metro,metro", "metro,", "ERROR missing_required_field", "2 to_network_id"),
    ("fare_leg_join_rules", "C,C", "C,", "ERROR missing_required_field", "2 to_stop_id"),
    ("fare_transfer_rules", "m,b,,3600", "m,b,2,3600",
     "ERROR fare_transfer_rule_with_forbidden_transfer_count", "2 transfer_count"),
    ("fare_transfer_rules", "m,m,-1", "m,m,", "ERROR fare_transfer_rule_without_transfer_count", "3 transfer_count"),
    ("fare_transfer_rules", "m,m,-1", "m,m,0", "ERROR fare_transfer_rule_invalid_transfer_count", "3 transfer_count"),
    ("fare_transfer_rules", "3600,1", "3600,",
     "ERROR fare_transfer_rule_duration_limit_without_type", "2 duration_limit_type"),
    ("fare_transfer_rules", "3600,1", ",1",
     "ERROR fare_transfer_rule_duration_limit_type_without_duration_limit", "2 duration_limit_type"),
    ("fare_transfer_rules", "3600,1", "0,1", "ERROR number_out_of_range", "2 duration_limit"),
    ("fare_transfer_rules", "m,b", "m,z", "ERROR foreign_key_violation", "2 to_leg_group_id"),
    ("feed_info", "20260101,20261231", "20260101,20251231",
     "ERROR start_and_end_range_out_of_order", "2 feed_end_date"),
    ("feed_info", "desk@t.example", "", "WARNING missing_feed_contact_email_and_url", "2 feed_contact_email"),
    ("feed_info", "de,2", "german!,2", "WARNING invalid_language_code", "2 feed_lang"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "old", "new", "told", "where"), FAULTS)
def test_a_fault_has_its_code_severity_and_place(
    file: str, old: str, new: str, told: str, where: str
) -> None:
    report = report_of(**{file: (old, new)})

    words = where.split()
    other = words.pop(0) if words and not words[0].isdigit() else file
    place = f"{other}.txt line {words[0]}" if words else ""
    place += f", field {words[1]}" if len(words) > 1 else ""
    found = [
        (f"{group.severity} {group.code}", notice.where)
        for group in report.groups
        for notice in group.notices
        if not (told.startswith("ERROR") and group.severity == "INFO")
    ]
    assert (told, place) in found if told else not found, found
    assert report.ok == (not told.startswith("ERROR"))
    assert all(notice.message and notice.remedy for group in report.groups for notice in group.notices)


@pytest.mark.parametrize(
    "name", sorted(name for name in FEED if name.startswith(("fare_", "timeframes", "areas")))
)
def test_a_missing_fare_file_is_found_by_those_that_refer_to_it(name: str) -> None:
    without = {file: text for file, text in FEED.items() if file != name}

    report = check_gtfs(packed(without), city=CITY)

    refers = name not in ("fare_leg_join_rules.txt", "fare_transfer_rules.txt")
    assert (report.count("ERROR", "foreign_key_violation") > 0) == refers


def test_a_sound_feed_gives_its_fares() -> None:
    fares = atlas.read_gtfs(packed(FEED), city=CITY, operator_id="town").fares_v2

    assert fares and fares.by_priority
    assert fares.networks == {"7": "metro", "8": "bus"}
    assert [fares.areas_of(stop) for stop in ("a", "b", "c1", "C")] == [
        {"inner"},
        set(),
        {"outer"},
        {"outer"},
    ]
    assert [fares.tz_of(stop) for stop in ("a", "c1", "C")] == [
        "Europe/Berlin",
        "Europe/Paris",
        "Europe/Paris",
    ]
    assert fares.leg_rules[1] == atlas.LegRule(3, "b", "bus", "inner", "outer", "peak", None, "single", 2)
    assert fares.transfer_rules[0] == atlas.TransferRule(2, "m", "b", None, 3600, 1, 1, "change")
    assert fares.products[3].price == Money(-40, "EUR")
    assert fares.services["fair"].holds(date(2026, 5, 2))
    assert not fares.services["wd"].holds(date(2026, 5, 1))
    assert [(frame.start_s, frame.end_s) for frame in fares.timeframes] == [
        (25_200, 32_400),
        (57_600, 86_400),
        (0, 86_400),
    ]


def test_a_platform_with_areas_of_its_own_has_not_those_of_its_station() -> None:
    files = {**FEED, "stop_areas.txt": FEED["stop_areas.txt"] + "inner,c1\n"}

    fares = atlas.read_gtfs(packed(files), city=CITY, operator_id="town").fares_v2

    assert (fares.areas_of("c1"), fares.areas_of("C")) == ({"inner"}, {"outer"})


def test_unknown_files_and_columns_are_noted_and_passed_over() -> None:
    files = {
        **FEED,
        "extra.txt": "x\n1\n",
        "areas.txt": "area_id,area_name,colour\ninner,I,red\nouter,O,blue\n",
    }

    report = check_gtfs(packed(files))

    assert report.ok
    assert [(group.severity, group.code, group.total) for group in report.groups] == [
        ("INFO", "unknown_column", 1),
        ("INFO", "unknown_file", 1),
    ]


def test_an_old_feed_is_warned_of_by_the_day_that_is_asked_for() -> None:
    soon = check_gtfs(packed(FEED), today=date(2026, 12, 28))
    late = check_gtfs(packed(FEED), today=date(2027, 1, 1))

    assert [group.code for group in soon.groups] == ["feed_expiration_date7_days"]
    assert [group.code for group in late.groups] == ["expired_calendar", "feed_expiration_date7_days"]
    assert soon.ok and late.ok


def test_the_text_is_a_table_with_every_notice() -> None:
    text = report_of(areas=("outer,", "inner,"), timeframes=("24:00:00", "25:00:00")).as_text()

    lines = text.splitlines()
    assert lines[0] == "The GTFS feed: 4 errors, 0 warnings: refused; nothing is priced by it."
    assert "ERROR  duplicate_key  (1)" in lines
    row = next(line for line in lines if line.startswith("  areas.txt"))
    assert row.split(maxsplit=4)[:4] == ["areas.txt", "3", "area_id", "inner"]
    assert "stands on line 2 too" in row and row.endswith("List it once")


def test_the_json_has_the_form_of_the_canonical_report() -> None:
    told = json.loads(report_of(areas=("outer,", "inner,")).as_json())

    (notice, *_) = told["notices"]
    assert (notice["code"], notice["severity"], notice["totalNotices"]) == ("duplicate_key", "ERROR", 1)
    assert notice["sampleNotices"] == [
        {
            "filename": "areas.txt",
            "csvRowNumber": 3,
            "fieldName": "area_id",
            "fieldValue": "inner",
            "message": "'inner' stands on line 2 too",
            "remedy": "List it once",
        }
    ]
    assert told["summary"]["counts"]["ERROR"] == 3


def test_the_page_value_has_what_a_page_shows() -> None:
    page = report_of(fare_media=("Cash,0", "Town card,2")).page()

    assert page.title == "The GTFS feed"
    assert dict(page.counts) == {"ERROR": 0, "WARNING": 1, "INFO": 0}
    assert dict(page.files)["fare_media.txt"] == 2
    assert page.groups[0].notices[0].value == "Town card"


def test_notices_are_counted_beyond_those_that_are_kept() -> None:
    lines = "".join(f"x{n},inner\n" for n in range(3_000))
    files = {**FEED, "stop_areas.txt": f"stop_id,area_id\n{lines}"}

    report = check_gtfs(packed(files))
    with pytest.raises(InvalidInput) as refused:
        atlas.read_gtfs(packed(files), city=CITY, operator_id="town")

    (group,) = report.groups
    assert (group.total, len(group.notices), len(report.errors)) == (3_000, 50, 1_000)
    assert refused.value.problems[-1].what == "2000 more problems are not listed"


def test_a_value_made_to_disturb_a_terminal_is_shown_harmlessly() -> None:
    report = report_of(areas=("Inner town", "In\x1b[2Jner"))

    (notice,) = report.groups[0].notices
    assert notice.code == "invalid_character"
    assert "\x1b" not in report.as_text()


def test_a_feed_that_is_not_there_is_a_report_too(tmp_path: Path) -> None:
    report = check_gtfs(tmp_path / "gone.zip")

    assert not report.ok
    assert report.groups[0].code == "missing_feed"


def test_a_feed_with_nothing_in_it_is_missing_its_files(tmp_path: Path) -> None:
    for source in (tmp_path, packed({}), packed({"readme.md": "Hello"})):
        report = check_gtfs(source)

        missing = [notice.file for notice in report.errors if notice.code == "missing_required_file"]
        assert missing == ["agency.txt", "stops.txt", "routes.txt", "trips.txt", "stop_times.txt"]


def test_stop_times_laid_aside_give_the_same_network(monkeypatch: pytest.MonkeyPatch) -> None:
    trips = "".join(f"{7 + n % 2},wd,x{n},{n % 2}\n" for n in range(300))
    rows = [
        f"x{n},{8 + k}:00:00,{8 + k}:00:00,{stop},{k}\n"
        for n in range(300)
        for k, stop in enumerate("ab" if n % 3 else ("a", "b", "c1"))
    ]
    rows.sort(key=lambda row: hash(row) % 7)  # trips need not stand together, nor their calls in order
    files = {
        **FEED,
        "trips.txt": FEED["trips.txt"] + trips,
        "stop_times.txt": FEED["stop_times.txt"] + "".join(rows),
    }
    whole = atlas.read_gtfs(packed(files), city=CITY, operator_id="town")

    monkeypatch.setattr(gtfs_times, "ROWS_KEPT_MAX", 50)
    parted = atlas.read_gtfs(packed(files), city=CITY, operator_id="town")

    assert parted.city_file == whole.city_file
    assert parted.trips == 302


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(FEED)), st.integers(0, 2_000), st.binary(max_size=6), st.integers(0, 30))
def test_a_spoilt_feed_is_reported_and_what_is_accepted_has_no_broken_reference(
    name: str, at: int, put: bytes, cut: int
) -> None:
    content = FEED[name].encode()
    at %= len(content)
    files: dict[str, str | bytes] = {**FEED, name: content[:at] + put + content[at + cut :]}

    report = check_gtfs(packed(files), city=CITY)

    assert json.loads(report.as_json()) and report.as_text() and report.page()
    if not report.ok:
        with pytest.raises(InvalidInput):
            atlas.read_gtfs(packed(files), city=CITY, operator_id="town")
        return
    fares = atlas.read_gtfs(packed(files), city=CITY, operator_id="town").fares_v2
    products = {price.fare_product_id for price in fares.products}
    groups = {rule.leg_group_id for rule in fares.leg_rules} | {None}
    assert all(rule.fare_product_id in products for rule in fares.leg_rules)
    assert all(rule.fare_product_id in {None, *products} for rule in fares.transfer_rules)
    assert all({r.from_leg_group_id, r.to_leg_group_id} <= groups for r in fares.transfer_rules)
    assert all(frame.service_id in fares.services for frame in fares.timeframes)


@pytest.mark.parametrize("kept", [1, 1_000])
def test_faults_of_order_are_found_in_whichever_part_they_lie(
    kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gtfs_times, "ROWS_KEPT_MAX", kept)

    report = report_of(stop_times=("t2,25:00:00,25:00:00", "t2,23:00:00,23:00:00"))

    assert [notice.where for notice in report.errors] == [
        "stop_times.txt line 6, field arrival_time",
        "stop_times.txt line 6, field departure_time",
    ]
