"""The Massachusetts Bay Transportation Authority of autumn 2024, with what its published extract leaves out.

Beside the published rows stand the stops by their ids, two calendars, a timeframe that 185 of its rules refer to, and
a trip for each route that the tests ride. Skipped where the published files are not at hand.
"""

import csv
import shutil
from collections.abc import Iterable
from datetime import datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from hansa import atlas
from hansa.rides.faresv2 import Leg
from published import published

BOSTON = ZoneInfo("America/New_York")
CITY = atlas.City("boston", "Boston", "Boston", "US", "America/New_York", "USD", time(3), "By line and zone.")
FREE_DAY = "2024-11-26"

# Stops by what they are called here; those in an area are the first stop that is in this area alone.
AREAS = {
    "blue": "area_bl",
    "blue airport": "area_bl_airport",
    "south station": "area_red_south_station",
    "green b outer": "area_green_b_west_of_kenmore",
    "government center": "area_gl_govt_ctr",
    "ashmont": "area_m_ashmont_mattapan",
    "354 downtown": "area_route_354_downtown",
    "354 outside": "area_route_354_outside_downtown",
    "426 downtown": "area_route_426_downtown",
    "logan": "area_sl_logan_terminal",
    "sl south station": "area_sl_south_station",
    "sl courthouse": "area_sl_courthouse",
    "sl way": "area_sl_silver_line_way",
    "sl airport": "area_sl_airport",
    "chelsea": "area_sl3_north_of_airport",
    "cr 1a": "area_commuter_rail_zone_1a",
    "cr south station": "area_ss_commuter_rail_zone_1a",
    "fairmount": "area_fairmount_line_zone_1a",
    "buzzards": "area_cf_zone_buzzards",
    "hyannis": "area_cf_zone_hyannis",
} | {f"cr {zone}": f"area_commuter_rail_zone_{zone}" for zone in range(1, 11)}
PLAIN = ("somewhere", "elsewhere")
"""Two stops that are in no area."""


def feed_of(folder: Path, rides: Iterable[str] = ()) -> dict[str, str]:
    """The feed as files; gives each stop's id by what it is called here.

    rides: as ``ride`` reads them; each of their routes gets a trip along all stops at which they call it.
    """
    for file in published("mbta_faresv2").glob("*.txt"):
        shutil.copyfile(file, folder / file.name)
    with (folder / "stop_areas.txt").open(newline="", encoding="utf-8") as stream:
        pairs = [(row["stop_id"], row["area_id"]) for row in csv.DictReader(stream)]
    areas: dict[str, set[str]] = {}
    for stop_id, area_id in pairs:
        areas.setdefault(stop_id, set()).add(area_id)
    where = {name: name for name in PLAIN}
    for name, area in AREAS.items():
        where[name] = next(stop_id for stop_id, found in areas.items() if found == {area})
    stops = [*areas, *PLAIN]
    lines = "".join(f"{stop_id},{stop_id},42.36,-71.06\n" for stop_id in stops)
    (folder / "stops.txt").write_text(f"stop_id,stop_name,stop_lat,stop_lon\n{lines}")
    week = "monday,tuesday,wednesday,thursday,friday,saturday,sunday"
    (folder / "calendar.txt").write_text(
        f"service_id,{week},start_date,end_date\nfare_regular,1,1,1,1,1,1,1,20240920,20241214\n"
    )
    free = FREE_DAY.replace("-", "")
    (folder / "calendar_dates.txt").write_text(
        f"service_id,date,exception_type\nfare_regular,{free},2\nfare_free,{free},1\n"
    )
    with (folder / "timeframes.txt").open("a") as stream:
        stream.write("timeframe_systemwide_free,,,fare_free\n")
    calls: dict[str, dict[str, None]] = {}
    calls["Red"] = {"somewhere": None, "elsewhere": None}
    for told in rides:
        for leg in ride(where, told):
            calls.setdefault(leg.route_id, {}).update({leg.from_stop_id: None, leg.to_stop_id: None})
    trips = "".join(f"{route},fare_regular,{route}\n" for route in calls)
    (folder / "trips.txt").write_text(f"route_id,service_id,trip_id\n{trips}")
    times = "".join(
        f"{route},8:{number:02}:00,8:{number:02}:00,{stop},{number}\n"
        for route, along in calls.items()
        for number, stop in enumerate(along)
    )
    (folder / "stop_times.txt").write_text(
        f"trip_id,arrival_time,departure_time,stop_id,stop_sequence\n{times}"
    )
    return where


def ride(where: dict[str, str], told: str, day: str = "2024-11-12") -> list[Leg]:
    """Legs from lines as ``08:00 Red somewhere > south station``; each takes ten minutes."""
    legs: list[Leg] = []
    for one in told.split(" | "):
        clock, route, rest = one.split(" ", 2)
        start, end = rest.split(" > ")
        at = datetime.fromisoformat(f"{day} {clock}").replace(tzinfo=BOSTON)
        legs.append(Leg(route, where[start], where[end], at, at + timedelta(minutes=10)))
    return legs
