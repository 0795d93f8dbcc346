"""GTFS feeds: what they become, how each fault is named, and that a feed made to harm does none."""

import io
import struct
import warnings
import zipfile
from contextlib import suppress
from datetime import time
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hansa.atlas import City, GtfsFeed, gtfs_zip, network_of, read_gtfs
from hansa.atlas import feed as feed_module
from hansa.kernel import InvalidInput, Money, Problem

CITY = City("town", "Town", "Town", "DE", "Europe/Berlin", "EUR", time(4), "Flat.")

FEED = {
    "agency.txt": "agency_id,agency_name,agency_url,agency_timezone\nta,Town Rail,https://t.example,Europe/Berlin\n",
    "stops.txt": (
        "stop_id,stop_code,stop_name,stop_lat,stop_lon,zone_id,location_type,parent_station\n"
        "a,1,Ah,52.500,13.40,1,0,\n"
        "b,2,Beh,52.510,13.40,1,0,\n"
        "C,,Zeh,52.520,13.40,,1,\n"
        "c1,3,Zeh 1,52.520,13.40,2,0,C\n"
        "c2,4,Zeh 2,52.520,13.40,2,0,C\n"
    ),
    "routes.txt": "route_id,agency_id,route_short_name,route_long_name,route_type,route_color\n7,ta,7,Seven,1,1077b5\n",
    "calendar.txt": (
        "service_id,monday,tuesday,wednesday,thursday,friday,saturday,sunday,start_date,end_date\n"
        "wd,1,1,1,1,1,0,0,20260101,20261231\n"
    ),
    "calendar_dates.txt": "service_id,date,exception_type\nwd,20260501,2\n",
    "trips.txt": (
        "route_id,service_id,trip_id,direction_id,shape_id\n"
        "7,wd,t1,0,\n7,wd,t2,0,\n7,wd,t3,1,\n7,wd,short,0,\n"
    ),
    "stop_times.txt": (
        "trip_id,arrival_time,departure_time,stop_id,stop_sequence\n"
        "t1,08:00:00,08:00:00,a,1\nt1,,,b,2\nt1,08:10:00,08:10:00,c1,3\n"
        "t2,24:50:00,24:50:00,a,10\nt2,24:55:00,24:56:00,b,20\nt2,25:00:00,25:00:00,c1,30\n"
        "t3,9:00:00,9:00:00,c2,1\nt3,9:05:00,9:05:00,b,2\nt3,9:10:00,9:10:00,a,3\n"
        "short,8:00:00,8:00:00,a,1\nshort,8:05:00,8:05:00,b,2\n"
    ),
    "fare_attributes.txt": (
        "fare_id,price,currency_type,payment_method,transfers,transfer_duration\n"
        "near,1.90,EUR,0,,7200\nfar,2.8,EUR,1,0,\n"
    ),
    "fare_rules.txt": "fare_id,route_id,origin_id,destination_id\nnear,,1,1\nfar,7,1,2\nfar,7,2,1\n",
}


def packed(files: dict[str, str | bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def read(files: dict[str, str]) -> GtfsFeed:
    return read_gtfs(packed({**files}), city=CITY, operator_id="town-rail")


def refused(source: bytes | Path) -> tuple[Problem, ...]:
    with pytest.raises(InvalidInput) as error:
        read_gtfs(source, city=CITY, operator_id="town-rail")
    assert all(problem.where and problem.what and problem.remedy for problem in error.value.problems)
    return error.value.problems


def places(source: bytes | Path) -> list[str]:
    return [problem.where for problem in refused(source)]


def test_platforms_become_their_station_and_a_turned_direction_adds_no_line() -> None:
    feed = read(FEED)

    (line,) = feed.city_file.lines
    assert (line.line_id, line.name, line.mode, line.color, line.loop) == (
        "town/7",
        "7",
        "metro",
        "#1077B5",
        False,
    )
    assert [call.stop_id for call in line.stops] == ["town/a", "town/b", "town/C"]
    assert [call.distance_m for call in line.stops] == [0, 1112, 1112]
    assert [(s.stop_id, s.zone, s.code) for s in feed.city_file.stops] == [
        ("town/a", "1", "1"),
        ("town/b", "1", "2"),
        ("town/C", "2", None),
    ]
    assert (feed.trips, feed.services) == (4, 1)
    assert feed.city_file.operators[0].name == "Town Rail"


def test_fares_are_exact_and_found_by_zone() -> None:
    fares = read(FEED).fares_v1

    assert [
        (f.fare_id, f.price, f.paid_on_board, f.transfers, f.transfer_duration_s) for f in fares.attributes
    ] == [
        ("near", Money(190, "EUR"), True, None, 7200),
        ("far", Money(280, "EUR"), False, 0, None),
    ]
    assert fares.rules[1].line_id == "town/7"
    assert [fares.between(*zones) for zones in (("1", "1"), ("1", "2"), ("2", "2"))] == [
        Money(190, "EUR"),
        Money(280, "EUR"),
        None,
    ]


def test_a_feed_without_fares_says_so() -> None:
    feed = read({name: text for name, text in FEED.items() if not name.startswith("fare_")})

    assert not feed.fares_v1


def test_a_folder_a_zip_file_and_its_bytes_read_alike(tmp_path: Path) -> None:
    folder = tmp_path / "feed"
    folder.mkdir()
    for name, text in FEED.items():
        (folder / name).write_text(text)
    (tmp_path / "feed.zip").write_bytes(packed({**FEED}))

    digests = {
        read_gtfs(source, city=CITY, operator_id="town-rail").city_file.digest()
        for source in (folder, tmp_path / "feed.zip", packed({**FEED}))
    }

    assert len(digests) == 1


def test_byte_order_marks_and_windows_line_ends_are_welcome() -> None:
    marked = {name: b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode() for name, text in FEED.items()}

    feed = read_gtfs(packed({**marked}), city=CITY, operator_id="town-rail")

    assert feed.city_file == read(FEED).city_file


def test_a_round_trip_becomes_a_loop() -> None:
    times = FEED["stop_times.txt"].replace("c1", "c2")
    ring = "".join(
        f"t{t},1{t}:0{n}:00,1{t}:0{n}:00,{s},{n}\n"
        for t in (1, 2)
        for n, s in enumerate(["a", "b", "c1", "a"])
    )
    keep = [row for row in times.splitlines() if not row.startswith(("t1", "t2"))]

    (line, *_) = read({**FEED, "stop_times.txt": "\n".join(keep) + "\n" + ring}).city_file.lines

    assert line.loop
    assert [call.stop_id for call in line.stops] == ["town/a", "town/b", "town/C"]
    assert [call.distance_m for call in line.stops] == [2224, 1112, 1112]


def test_metres_follow_the_shape_where_it_fits() -> None:
    bend = "shape_id,shape_pt_lat,shape_pt_lon,shape_pt_sequence\ns,52.5,13.4,1\ns,52.505,13.41,2\ns,52.52,13.40,9\n"
    trips = FEED["trips.txt"].replace("t1,0,", "t1,0,s").replace("t2,0,", "t2,0,s")

    (line,) = read({**FEED, "shapes.txt": bend, "trips.txt": trips}).city_file.lines

    total = sum(call.distance_m for call in line.stops)
    assert 2_224 < total == pytest.approx(876 + 1_799, abs=5)


def test_a_shape_that_lies_elsewhere_is_not_believed() -> None:
    astray = "shape_id,shape_pt_lat,shape_pt_lon,shape_pt_sequence\ns,48,11,1\ns,48.5,11,2\ns,49,11,3\n"
    trips = FEED["trips.txt"].replace("t1,0,", "t1,0,s").replace("t2,0,", "t2,0,s")

    (line,) = read({**FEED, "shapes.txt": astray, "trips.txt": trips}).city_file.lines

    assert [call.distance_m for call in line.stops] == [0, 1112, 1112]


def test_the_order_most_trips_follow_is_the_line() -> None:
    trips = FEED["trips.txt"] + "7,wd,s2,0,\n7,wd,s3,0,\n"
    times = FEED["stop_times.txt"] + "".join(
        f"s{n},8:00:00,8:00:00,a,1\ns{n},8:05:00,8:05:00,b,2\n" for n in (2, 3)
    )

    lines = read({**FEED, "trips.txt": trips, "stop_times.txt": times}).city_file.lines

    assert [[call.stop_id for call in line.stops] for line in lines] == [
        ["town/a", "town/b"],
        ["town/C", "town/b", "town/a"],
    ]
    assert [line.line_id for line in lines] == ["town/7", "town/7.1"]


def test_distances_can_be_asked_of_an_imported_feed() -> None:
    network = network_of(read(FEED).city_file)

    assert network.distance_m("town/C", "town/a") == 2224
    assert network.zone_of("town/C") == "2"


# file | what stands there | what it is changed to | where the problem is said to be
FAULTS = [
    ("agency.txt", "Europe/Berlin", "Europe/Paris", "agency.txt line 2, field agency_timezone"),
    ("agency.txt", "Europe/Berlin", "Mars/Olympus", "agency.txt line 2, field agency_timezone"),
    ("agency.txt", "agency_name", "agency", "agency.txt line 1, field agency_name"),
    ("stops.txt", "52.510", "", "stops.txt line 3, field stop_lat"),
    ("stops.txt", "52.510", "152.5", "stops.txt line 3, field stop_lat"),
    ("stops.txt", "b,2,Beh", "a,2,Beh", "stops.txt line 3, field stop_id"),
    ("stops.txt", "b,2,Beh", "b,2,", "stops.txt line 3, field stop_name"),
    ("stops.txt", "2,0,C\nc2", "2,0,D\nc2", "stops.txt line 5, field parent_station"),
    ("stops.txt", "2,0,C\nc2", "2,0,a\nc2", "stops.txt line 5, field parent_station"),
    ("stops.txt", "1,0,\nb", "1,9,\nb", "stops.txt line 2, field location_type"),
    ("routes.txt", ",1,1077b5", ",77,1077b5", "routes.txt line 2, field route_type"),
    ("routes.txt", ",1,1077b5", ",metro,1077b5", "routes.txt line 2, field route_type"),
    ("routes.txt", "1077b5", "blue", "routes.txt line 2, field route_color"),
    ("routes.txt", "7,ta", "7,tb", "routes.txt line 2, field agency_id"),
    ("calendar.txt", "20261231", "20261331", "calendar.txt line 2, field end_date"),
    ("calendar.txt", "20261231", "20251231", "calendar.txt line 2, field end_date"),
    ("calendar.txt", "wd,1", "wd,2", "calendar.txt line 2, field monday"),
    ("calendar_dates.txt", "20260501,2", "20260501,3", "calendar_dates.txt line 2, field exception_type"),
    ("trips.txt", "7,wd,t2", "8,wd,t2", "trips.txt line 3, field route_id"),
    ("trips.txt", "7,wd,t2", "7,we,t2", "trips.txt line 3, field service_id"),
    ("trips.txt", "7,wd,t2,0,", "7,wd,t2,0,s", "trips.txt line 3, field shape_id"),
    ("trips.txt", "7,wd,t2,0,", "7,wd,t2,2,", "trips.txt line 3, field direction_id"),
    ("trips.txt", "7,wd,t2", "7,wd,t1", "trips.txt line 3, field trip_id"),
    ("stop_times.txt", "t1,,,b", "t9,,,b", "stop_times.txt line 3, field trip_id"),
    ("stop_times.txt", "t1,,,b", "t1,,,z", "stop_times.txt line 3, field stop_id"),
    ("stop_times.txt", "t1,,,b", "t1,,,C", "stop_times.txt line 3, field stop_id"),
    ("stop_times.txt", "b,2\nt1", "b,1\nt1", "stop_times.txt line 3, field stop_sequence"),
    ("stop_times.txt", "b,2\nt1", "b,-2\nt1", "stop_times.txt line 3, field stop_sequence"),
    (
        "stop_times.txt",
        "08:10:00,08:10:00,c1",
        "08:10,08:10:00,c1",
        "stop_times.txt line 4, field arrival_time",
    ),
    (
        "stop_times.txt",
        "08:10:00,08:10:00,c1",
        "08:60:00,08:10:00,c1",
        "stop_times.txt line 4, field arrival_time",
    ),
    (
        "stop_times.txt",
        "08:10:00,08:10:00,c1",
        "08:10:00,08:09:00,c1",
        "stop_times.txt line 4, field departure_time",
    ),
    (
        "stop_times.txt",
        "08:10:00,08:10:00,c1",
        "07:10:00,07:10:00,c1",
        "stop_times.txt line 4, field arrival_time",
    ),
    ("stop_times.txt", "08:10:00,08:10:00,c1", ",,c1", "stop_times.txt line 4, field arrival_time"),
    ("stop_times.txt", "25:00:00,25:00:00", "01:00:00,01:00:00", "stop_times.txt line 7, field arrival_time"),
    ("fare_attributes.txt", "1.90", "1.905", "fare_attributes.txt line 2, field price"),
    ("fare_attributes.txt", "1.90", "1,90", "fare_attributes.txt line 2"),
    ("fare_attributes.txt", "1.90", "-1.90", "fare_attributes.txt line 2, field price"),
    ("fare_attributes.txt", "1.90", "1e3", "fare_attributes.txt line 2, field price"),
    ("fare_attributes.txt", "1.90,EUR", "1.90,JPY", "fare_attributes.txt line 2, field currency_type"),
    ("fare_attributes.txt", "EUR,0,,", "EUR,0,5,", "fare_attributes.txt line 2, field transfers"),
    ("fare_rules.txt", "near,,1,1", "gone,,1,1", "fare_rules.txt line 2, field fare_id"),
    ("fare_rules.txt", "near,,1,1", "near,8,1,1", "fare_rules.txt line 2, field route_id"),
    ("fare_rules.txt", "near,,1,1", "near,,1,9", "fare_rules.txt line 2, field destination_id"),
]


@pytest.mark.parametrize(("name", "old", "new", "where"), FAULTS)
def test_a_fault_is_named_with_its_place(name: str, old: str, new: str, where: str) -> None:
    assert FEED[name].count(old) >= 1
    spoilt = FEED[name].replace(old, new, 1)

    assert where in places(packed({**FEED, name: spoilt}))


def test_faults_of_several_files_are_named_at_once() -> None:
    spoilt = {
        **FEED,
        "stops.txt": FEED["stops.txt"].replace("52.510", "x"),
        "fare_rules.txt": FEED["fare_rules.txt"].replace("near,,1,1", "gone,,1,1"),
    }

    assert places(packed({**spoilt})) == [
        "stops.txt line 3, field stop_lat",
        "fare_rules.txt line 2, field fare_id",
    ]


@pytest.mark.parametrize("name", ["agency.txt", "stops.txt", "routes.txt", "trips.txt", "stop_times.txt"])
def test_a_missing_or_empty_file_is_named(name: str) -> None:
    without = {file: text for file, text in FEED.items() if file != name}

    assert places(packed({**without})) == [name]
    assert name in places(packed({**without, name: ""}))


def test_one_calendar_is_enough_but_none_is_not() -> None:
    dates = {name: text for name, text in FEED.items() if name != "calendar.txt"}
    none = {name: text for name, text in dates.items() if name != "calendar_dates.txt"}

    assert read(dates).services == 1
    assert "calendar.txt" in places(packed({**none}))


def test_a_byte_that_is_not_utf8_is_named_with_its_line() -> None:
    spoilt = {**FEED, "stops.txt": FEED["stops.txt"].encode().replace(b"Beh", b"B\xe9h")}

    assert "stops.txt line 3" in places(packed({**spoilt}))


def test_what_is_no_zip_is_refused(tmp_path: Path) -> None:
    whole = packed({**FEED})
    for content in (b"", b"PK", b"hello", whole[: len(whole) // 2], whole[:-10]):
        path = tmp_path / "feed.zip"
        path.write_bytes(content)
        assert places(path) and places(content)
    assert places(tmp_path / "gone.zip") == [str(tmp_path / "gone.zip")]


def test_a_member_whose_bytes_were_damaged_is_refused() -> None:
    whole = bytearray(packed({**FEED}))
    at = whole.index(b"stop_times.txt") + 40
    whole[at : at + 8] = b"\xff" * 8

    assert places(bytes(whole))


@pytest.mark.parametrize(
    "name", ["../stops.txt", "/etc/stops.txt", "a/../../stops.txt", "..\\stops.txt", "C:stops.txt"]
)
def test_a_member_that_leads_out_of_the_archive_is_refused(name: str) -> None:
    assert any("leads out" in problem.what for problem in refused(packed({**FEED, name: "x"})))


def test_a_feed_packed_with_its_folder_is_told_how_to_pack_it() -> None:
    found = refused(packed({f"feed/{name}": text for name, text in FEED.items()}))

    assert any(problem.remedy == "Pack the files at the root of the zip" for problem in found)


def test_a_member_that_is_there_twice_is_refused() -> None:
    stream = io.BytesIO(packed({**FEED}))
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "a") as archive:
        warnings.simplefilter("ignore")
        archive.writestr("stops.txt", FEED["stops.txt"])

    assert any(problem.what == "the zip holds it twice" for problem in refused(stream.getvalue()))


def test_a_zip_bomb_is_refused_without_unpacking_it() -> None:
    bomb = packed({**FEED, "stops.txt": b"0" * 20_000_000})

    assert len(bomb) < 100_000
    assert any("too many" in problem.what for problem in refused(bomb))


def test_a_member_that_lies_about_its_size_is_refused() -> None:
    bomb = bytearray(packed({**FEED, "stops.txt": b"0" * 20_000_000}))
    size = struct.pack("<I", 20_000_000)
    while size in bomb:
        at = bomb.index(size)
        bomb[at : at + 4] = struct.pack("<I", 500)

    assert places(bytes(bomb))


def test_bounds_hold_for_folders_and_archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in FEED.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(feed_module, "FEED_MAX", 600)

    assert any("too many" in problem.what for problem in refused(tmp_path))
    assert any("too many" in problem.what for problem in refused(packed({**FEED})))

    monkeypatch.setattr(feed_module, "ARCHIVE_MAX", 100)
    assert refused(packed({**FEED}))[0].where == "the zip"


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "feed"
    folder.mkdir()
    for name, text in FEED.items():
        (folder / name).write_text(text)
    (tmp_path / "secret").write_text(FEED["stops.txt"])
    (folder / "stops.txt").unlink()
    (folder / "stops.txt").symlink_to(tmp_path / "secret")

    assert places(folder) == ["stops.txt"]


def test_files_of_the_reader_itself_are_the_same_every_time() -> None:
    assert gtfs_zip("utsunomiya") == gtfs_zip("utsunomiya")


def test_a_city_whose_network_is_no_feed_has_no_zip() -> None:
    with pytest.raises(InvalidInput):
        gtfs_zip("beijing")
    with pytest.raises(InvalidInput):
        gtfs_zip("../beijing")


@settings(max_examples=120)
@given(st.sampled_from(sorted(FEED)), st.integers(0, 2_000), st.binary(max_size=6), st.integers(0, 30))
def test_a_spoilt_feed_is_read_or_refused_and_nothing_else(name: str, at: int, put: bytes, cut: int) -> None:
    content = FEED[name].encode()
    at %= len(content)
    spoilt = {**FEED, name: content[:at] + put + content[at + cut :]}

    with suppress(InvalidInput):
        read_gtfs(packed({**spoilt}), city=CITY, operator_id="town-rail")


@settings(max_examples=150)
@given(st.integers(0, 5_000), st.binary(min_size=1, max_size=4))
@example(at=1_606, put=b"\0")  # a member without a name
def test_a_spoilt_zip_is_read_or_refused_and_nothing_else(at: int, put: bytes) -> None:
    whole = bytearray(packed({**FEED}))
    at %= len(whole)
    whole[at : at + len(put)] = put

    with suppress(InvalidInput):
        read_gtfs(bytes(whole), city=CITY, operator_id="town-rail")
