"""Every fare against the tables that operators publish. Skipped where the tables are not at hand."""

import csv

from hansa import atlas, rides
from hansa.rides import Pricer
from published import published
from rides.riding import local, network_of, pricer_of, tariff_of

COLUMNS = {
    "adult": "OCT_ADT_FARE",
    "student": "OCT_STD_FARE",
    "child": "OCT_CON_CHILD_FARE",
    "senior": "OCT_CON_ELDERLY_FARE",
}


def test_all_octopus_fares_of_hong_kong_are_the_published_ones() -> None:
    path = published("mtr_2024") / "mtr_lines_fares.csv"
    pricer = pricer_of("hong-kong-mtr")
    at = local(pricer.tariff, "12:00")
    compared = 0

    with path.open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            ends = _slug(row["SRC_STATION_NAME"]), _slug(row["DEST_STATION_NAME"])
            for rider_class, column in COLUMNS.items():
                assert rider_class in ("adult", "student", "child", "senior")
                amount = pricer.quote(*ends, at, rider_class).amount
                assert amount == int(row[column].replace(".", "")), (ends, rider_class)
                compared += 1

    assert compared == 9_216 * 4


def test_all_fares_of_utsunomiya_are_those_of_the_feed() -> None:
    folder = published("utsunomiya_lrt")
    city = atlas.read_city_facts(atlas.city_folder("utsunomiya"))
    feed = atlas.read_gtfs(folder, city=city, operator_id="utsunomiya-lightline")
    tariff = rides.tariff_from_fares_v1(feed.fares_v1, operator_id="utsunomiya-lightline")
    network = atlas.network_of(feed.city_file)
    pricer = Pricer(tariff, network)
    at = local(tariff, "12:00")
    by_zone: dict[str, str] = {}
    for stop in network.stops.values():
        for zone in (stop.zone or "").split("/"):
            by_zone.setdefault(zone, stop.stop_id)
    compared = 0

    with (folder / "fare_rules.txt").open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            origin, destination = by_zone.get(row["origin_id"]), by_zone.get(row["destination_id"])
            if origin is None or destination is None or origin == destination:
                continue
            assert pricer.quote(origin, destination, at, "adult").amount == int(row["fare_id"]), row
            compared += 1

    assert compared >= 300


def test_our_own_feed_of_utsunomiya_has_the_same_fares() -> None:
    """By distance order of the one line: the nth stop to the mth costs what the published feed says."""
    folder = published("utsunomiya_lrt")
    pricer = pricer_of("utsunomiya-lightline")
    at = local(tariff_of("utsunomiya-lightline"), "12:00")
    stops = {
        int(stop.zone or "0"): stop.stop_id for stop in network_of("utsunomiya-lightline").stops.values()
    }
    compared: set[tuple[int, int]] = set()

    with (folder / "fare_rules.txt").open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            origin, destination = (
                int(row["origin_id"].split("_")[0]),
                int(row["destination_id"].split("_")[0]),
            )
            if origin == destination:
                continue
            quote = pricer.quote(stops[origin], stops[destination], at, "adult")
            assert quote.amount == int(row["fare_id"]), row
            compared.add((origin, destination))

    assert len(compared) == 19 * 18


def _slug(name: str) -> str:
    return "hong-kong/" + name.lower().replace("'", "").replace(" ", "-")
