"""``hansa atlas`` as a person meets it: check, import from a day, versions, and a fare with its steps."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from hansa.apps.atlas_commands import atlas_app
from hansa.kernel import InvalidInput

FEED = {
    "agency.txt": "agency_id,agency_name,agency_url,agency_timezone\nta,Town,https://t.example,Asia/Tokyo\n",
    "stops.txt": "stop_id,stop_name,stop_lat,stop_lon\na,Ah,36.50,139.8\nb,Beh,36.51,139.8\nc,Zeh,36.52,139.8\n",
    "routes.txt": "route_id,route_short_name,route_type\n7,7,1\n8,8,3\n",
    "networks.txt": "network_id\nmetro\nbus\n",
    "route_networks.txt": "network_id,route_id\nmetro,7\nbus,8\n",
    "calendar_dates.txt": "service_id,date,exception_type\nwd,20261117,1\n",
    "trips.txt": "route_id,service_id,trip_id\n7,wd,t1\n",
    "stop_times.txt": (
        "trip_id,arrival_time,departure_time,stop_id,stop_sequence\n"
        "t1,08:00:00,08:00:00,a,1\nt1,08:05:00,08:05:00,b,2\nt1,08:10:00,08:10:00,c,3\n"
    ),
    "fare_products.txt": "fare_product_id,fare_product_name,amount,currency\nm,Metro,200,JPY\nb,Bus,150,JPY\n",
    "fare_leg_rules.txt": "leg_group_id,network_id,fare_product_id\nm,metro,m\nb,bus,b\n",
    "fare_transfer_rules.txt": (
        "from_leg_group_id,to_leg_group_id,duration_limit,duration_limit_type,fare_transfer_type\nm,b,3600,1,0\n"
    ),
}
RIDE = ("7,a,b,2026-11-17T08:00,2026-11-17T08:05", "8,b,c,2026-11-17T08:20,2026-11-17T08:30")


def hansa(*words: str) -> Result:
    return CliRunner().invoke(atlas_app, list(words), env={"COLUMNS": "200"})


def one_line(said: Result) -> str:
    return " ".join(said.stdout.split())


@pytest.fixture
def feed(tmp_path: Path) -> Path:
    folder = tmp_path / "feed"
    folder.mkdir()
    for name, text in FEED.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_check_tells_that_a_feed_is_sound(feed: Path) -> None:
    said = hansa("check", str(feed))

    assert said.exit_code == 0
    assert said.stdout.startswith("feed: No error, 1 warning, 0 notes")
    assert "missing_recommended_file" in said.stdout


def test_check_ends_with_one_where_there_is_an_error(feed: Path) -> None:
    (feed / "fare_leg_rules.txt").write_text("network_id,fare_product_id\nmetro,gone\n")

    said, as_json = hansa("check", str(feed)), hansa("check", str(feed), "--json")

    assert (said.exit_code, as_json.exit_code) == (1, 1)
    assert "foreign_key_violation" in said.stdout
    told = json.loads(as_json.stdout)
    assert told["notices"][0]["sampleNotices"][0]["csvRowNumber"] == 2


def test_a_fare_is_told_with_every_step(feed: Path) -> None:
    legs = [word for leg in RIDE for word in ("--leg", leg)]

    said, chinese = hansa("fare", str(feed), *legs), hansa("fare", str(feed), *legs, "--zh")

    assert said.exit_code == 0
    lines = said.stdout.splitlines()
    assert lines[0].split(maxsplit=1) == [
        "¥200",
        "Leg 1: Metro, ¥200. (fare_leg_rules.txt, network_id; fare_leg_rules.txt line 2 of the feed)",
    ]
    assert lines[1].split(maxsplit=1)[1].startswith("Change to leg 2: nothing to pay.")
    assert lines[-1].split() == ["¥200", "m"]
    assert "换乘至第2段：免费。" in chinese.stdout


def test_a_leg_that_cannot_be_read_is_told_with_its_form(feed: Path) -> None:
    said = hansa("fare", str(feed), "--leg", "7,a,b,soon")

    assert isinstance(said.exception, InvalidInput)
    assert said.exception.problems[0].where == "leg 1"


def test_a_feed_without_fares_v2_says_so(feed: Path) -> None:
    for file in feed.glob("fare_*.txt"):
        file.unlink()

    said = hansa("fare", str(feed), "--leg", RIDE[0])

    assert isinstance(said.exception, InvalidInput)
    assert said.exception.problems[0].where == "fare_leg_rules.txt"


@pytest.mark.slow
def test_a_feed_is_imported_from_a_day_and_its_versions_are_listed(feed: Path, tmp_path: Path) -> None:
    city = Path(__file__).parents[2] / "src/hansa/atlas/cities/utsunomiya/city.toml"
    words = ("import", str(feed), "--city", str(city), "--operator", "utsunomiya-lightline")
    home = ("--home", str(tmp_path / "home"))

    first = hansa(*words, *home)
    (feed / "stops.txt").write_text(FEED["stops.txt"].replace("Beh", "Bee"))
    second = hansa(*words, "--from", "2027-01-01", *home)
    again = hansa(*words, "--from", "2027-01-01", *home)
    listed = hansa("versions", "utsunomiya", *home)

    assert "Imported with its fares: version 1, for ever." in one_line(first)
    assert "version 2, from 2027-01-01." in one_line(second)
    assert "It was there already: version 2, from 2027-01-01." in one_line(again)
    assert [line for line in listed.stdout.splitlines() if "2027-01-01" in line]
