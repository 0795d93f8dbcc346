"""The six cities that come with Hansa: they read cleanly, and they are what was published of them.

The published figures themselves are not part of Hansa. HANSA_SHARED_DATA names a folder that has them
(docs/cities.md says which); without it the comparisons are skipped.
"""

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from hansa import atlas
from hansa.kernel import Money
from published import published

# city | stops | lines | currency | tz | day starts
CITIES = [
    ("beijing", 405, 25, "CNY", "Asia/Shanghai", "04:00"),
    ("hangzhou", 92, 3, "CNY", "Asia/Shanghai", "04:00"),
    ("hong-kong", 98, 13, "HKD", "Asia/Hong_Kong", "04:00"),
    ("london", 147, 9, "GBP", "Europe/London", "04:30"),
    ("toronto", 71, 6, "CAD", "America/Toronto", "03:00"),
    ("utsunomiya", 19, 1, "JPY", "Asia/Tokyo", "03:00"),
]


def read(city_id: str) -> atlas.CityFile:
    folder = atlas.city_folder(city_id)
    if (folder / "gtfs").is_dir():
        return utsunomiya().city_file
    return atlas.read_city(folder)


def utsunomiya() -> atlas.GtfsFeed:
    facts = atlas.read_city_facts(atlas.city_folder("utsunomiya"))
    return atlas.read_gtfs(atlas.gtfs_zip("utsunomiya"), city=facts, operator_id="utsunomiya-lightline")


def rows_of(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        yield from csv.DictReader(stream)


@pytest.mark.parametrize(("city_id", "stops", "lines", "currency", "tz", "starts"), CITIES)
def test_the_city_reads_cleanly(
    city_id: str, stops: int, lines: int, currency: str, tz: str, starts: str
) -> None:
    file = read(city_id)

    assert (len(file.stops), len(file.lines)) == (stops, lines)
    assert (file.city.currency, file.city.tz, f"{file.city.day_starts:%H:%M}") == (currency, tz, starts)
    assert all(stop.lat is not None for stop in file.stops)


@pytest.mark.parametrize("city_id", [row[0] for row in CITIES])
def test_neighbours_are_no_nearer_than_the_crow_flies(city_id: str) -> None:
    network = atlas.network_of(read(city_id))

    for line in network.lines.values():
        for a, b, metres in line.hops():
            here, there = network.stops[a], network.stops[b]
            assert here.lat is not None and here.lon is not None
            assert there.lat is not None and there.lon is not None
            crow = atlas.great_circle_m((here.lat, here.lon), (there.lat, there.lon))
            # Places are good to a few hundred metres, and a few published figures leave out part of a hop.
            assert metres > 0.55 * crow - 300, (line.line_id, a, b, metres, crow)


@pytest.mark.parametrize("city_id", [row[0] for row in CITIES if row[0] != "toronto"])
def test_every_station_can_be_reached_from_every_other(city_id: str) -> None:
    network = atlas.network_of(read(city_id))
    first = next(iter(network.stops))

    assert all(network.connected(first, stop_id) for stop_id in network.stops)


def test_every_london_stop_has_a_zone_from_one_to_six() -> None:
    zones = {stop.zone for stop in read("london").stops}

    assert zones == {"1", "1/2", "2", "2/3", "3", "3/4", "4", "5", "5/6", "6"}


def test_every_hong_kong_station_has_the_number_of_the_fare_table() -> None:
    codes = {stop.stop_id: stop.code for stop in read("hong-kong").stops}

    assert codes["hong-kong/central"] == "1" and codes["hong-kong/tsim-sha-tsui"] == "3"
    assert len(set(codes.values())) == len(codes) == 98


def test_utsunomiya_runs_from_the_station_to_the_industrial_park() -> None:
    network = atlas.network_of(utsunomiya().city_file)
    ends = ("utsunomiya/utsunomiya-eki-higashiguchi", "utsunomiya/haga-takanezawa-kogyo-danchi")

    # The line is published as 14.6 km long.
    assert 14_500 <= network.distance_m(*ends) <= 14_700
    assert utsunomiya().fares_v1.between("01", "19") == Money(400, "JPY")


def test_utsunomiya_fares_are_the_published_ones_for_every_pair_of_stops() -> None:
    fares = utsunomiya().fares_v1
    prices = {
        row["fare_id"]: int(row["price"])
        for row in rows_of(published("utsunomiya_lrt", "fare_attributes.txt"))
    }
    wanted: dict[tuple[str, str], int] = {}
    for row in rows_of(published("utsunomiya_lrt", "fare_rules.txt")):
        pair = tuple(row[name].split("_")[0].zfill(2) for name in ("origin_id", "destination_id"))
        wanted[pair[0], pair[1]] = prices[row["fare_id"]]

    assert len(wanted) == 19 * 18
    for pair, yen in wanted.items():
        assert fares.between(*pair) == Money(yen, "JPY"), pair


def test_beijing_metres_are_the_published_ones_for_every_hop() -> None:
    raw = json.loads(published("beijing", "beijing_segments.json").read_text(encoding="utf-8"))
    file = read("beijing")
    local = {stop.stop_id: stop.local_name for stop in file.stops}
    ours = {tuple((local[call.stop_id], call.distance_m) for call in line.stops) for line in file.lines}
    theirs = {
        tuple((stop["name"].partition("(")[0], stop["dist_from_prev_m"] or 0) for stop in line["stations"])
        for line in raw["lines"]
    }

    assert len(ours) == 25
    assert ours <= theirs


def test_hong_kong_stations_are_the_published_ones() -> None:
    table = published("mtr_2024", "mtr_lines_fares.csv")
    theirs = {(row["SRC_STATION_ID"], row["SRC_STATION_NAME"]) for row in rows_of(table)}
    ours = {(stop.code, stop.name) for stop in read("hong-kong").stops}

    # The pair table leaves out the two stations that only the Airport Express serves.
    assert ours - theirs == {("47", "Airport"), ("56", "AsiaWorld-Expo")}
    assert theirs <= ours


def test_the_published_feed_of_utsunomiya_reads_too() -> None:
    facts = atlas.read_city_facts(atlas.city_folder("utsunomiya"))

    feed = atlas.read_gtfs(published("utsunomiya_lrt"), city=facts, operator_id="utsunomiya-lightline")

    assert len(feed.city_file.stops) == 34
    assert feed.trips == 365
