"""Feeds as publishers really write them: what the reference allows must not change a fare."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hansa.rides import faresv2
from rides.feed_town import FILES, town_of

AT = datetime(2026, 11, 17, 9, tzinfo=UTC)


def cents(folder: Path, **instead: str) -> list[int | None]:
    """What some legs cost by a feed: rail inside, rail out, the bus at ten, at rush hour, the express, the ferry."""
    book = faresv2.FareBook(town_of(folder, **instead)[1])
    legs = [
        ("M", "s1", "s3", AT),
        ("M", "s1", "s5", AT),
        ("B", "s2", "b2", AT),
        ("B", "s2", "b2", AT - timedelta(hours=2)),
        ("X", "b1", "x1", AT),
        ("F", "s1", "x1", AT),
    ]
    found: list[int | None] = []
    for route, start, end, at in legs:
        try:
            leg = faresv2.Leg(route, start, end, at, at + timedelta(minutes=10))
            found.append(faresv2.price(book, [leg]).total.minor)
        except faresv2.FareUnknown:
            found.append(None)
    return found


PLAIN = [200, 300, 150, 180, 600, None]


def columns(text: str, change: Callable[[list[str]], list[str]]) -> str:
    return "".join(",".join(change(row.split(","))) + "\n" for row in text.splitlines())


RULES = FILES["fare_leg_rules.txt"]
STOPS = FILES["stops.txt"]

# what is unusual | the files that are written so
QUIRKS: list[tuple[str, dict[str, str]]] = [
    ("as it is", {}),
    ("a byte order mark", {"fare_leg_rules": "\ufeff" + RULES, "stops": "\ufeff" + STOPS}),
    ("lines ended as by Windows", {"fare_leg_rules": RULES.replace("\n", "\r\n")}),
    ("no end of the last line", {"fare_products": FILES["fare_products.txt"].rstrip("\n")}),
    ("columns in another order", {"fare_leg_rules": columns(RULES, lambda row: row[::-1])}),
    ("blanks around values", {"areas": "area_id, area_name\n inner , Inner \nouter,Outer\nair,Airport\n"}),
    ("a quoted name with a comma", {"stops": STOPS.replace("s2,Market,", 's2,"Market, old",')}),
    ("a blank line at the end", {"fare_media": FILES["fare_media.txt"] + "\n"}),
    ("a column that nobody knows", {"areas": columns(FILES["areas.txt"], lambda row: [*row, "x"])}),
    ("trips after midnight", {"stop_times": FILES["stop_times.txt"].replace("08:", "25:")}),
    (
        "networks in files of their own",
        {
            "routes": columns(FILES["routes.txt"], lambda row: row[:3]),
            "networks": "network_id,network_name\nrail,Rail\nbus,Bus\nexpress,Express\n",
            "route_networks": "network_id,route_id\nrail,M\nrail,T\nbus,B\nexpress,X\n",
        },
    ),
    (
        "platforms under a station, areas at the station",
        {
            "stops": columns(STOPS, lambda row: [*row, *(["location_type", "parent_station"] if row[0] == "stop_id"
                else ["0", "S1"] if row[0] == "s1" else ["0", ""])]) + "S1,Port,50.00,8.00,1,\n",
            "stop_areas": FILES["stop_areas.txt"].replace("inner,s1", "inner,S1"),
        },
    ),
    (
        "all day as a timeframe without times",
        {
            "timeframes": FILES["timeframes.txt"] + "always,,,daily\n",
            "fare_leg_rules": RULES.replace("rail,rail,,,,far,0", "rail,rail,,,always,far,0"),
        },
    ),
    ("a priority left empty is 0", {"fare_leg_rules": RULES.replace(",far,0", ",far,").replace(",near,0", ",near,")}),
    ("no media at all", {
        "fare_media": "",
        "fare_products": "".join(
            columns(row + "\n", lambda cells: [*cells[:3], *cells[4:]])
            for row in FILES["fare_products.txt"].splitlines() if ",cash," not in row
        ),
    }),
]  # fmt: skip


@pytest.mark.parametrize(("what", "files"), QUIRKS, ids=[what for what, _ in QUIRKS])
def test_how_a_feed_is_written_does_not_change_its_fares(
    tmp_path: Path, what: str, files: dict[str, str]
) -> None:
    assert cents(tmp_path, **files) == PLAIN, what


def test_without_the_column_of_priorities_empty_fields_mean_what_is_not_listed(tmp_path: Path) -> None:
    """Both inner and air are listed, so that no empty field stands for stops that lie there."""
    rules = columns(RULES, lambda row: row[:-1])

    assert cents(tmp_path, fare_leg_rules=rules) == [200, None, None, None, 600, None]
