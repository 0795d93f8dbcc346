"""Maps of networks: zones that overlap, lines along their shapes, and as many marks as can be told apart."""

import io
import zipfile
from datetime import time
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa import atlas
from hansa.atlas.maps import HUBS_DRAWN, PATCHES_MAX
from hansa.atlas.shapes import thinned
from hansa.store import Context
from rides.feed_town import CITY, FILES, OPERATOR

CITY_OF_MANY = atlas.City("many", "Many", "Many", "DE", "Europe/Berlin", "EUR", time(3), "Made up.")


def many(stops: int, lines: int) -> atlas.Network:
    """A made-up network of so many stops, zones in rings, every seventh stop on a boundary."""
    dice = Random(7)
    made: dict[str, atlas.Stop] = {}
    for number in range(stops):
        lat, lon = 50 + dice.gauss(0, 0.1), 8 + dice.gauss(0, 0.15)
        ring = int(((lat - 50) ** 2 + (lon - 8) ** 2) ** 0.5 * 20) + 1
        zone = f"{ring}/{ring + 1}" if number % 7 == 0 else str(ring)
        made[f"many/{number}"] = atlas.Stop(f"many/{number}", "many", f"Stop {number}", "", lat, lon, zone)
    ids = list(made)
    found = [
        atlas.Line(
            f"many/l{number}", "many", "op", f"{number}", "bus", "#1077B5",
            tuple(atlas.Call(stop, 500 if place else 0) for place, stop in enumerate(dice.sample(ids, 25))), False,
        )
        for number in range(lines)
    ]  # fmt: skip
    return atlas.network_of(atlas.CityFile(CITY_OF_MANY, (), tuple(made.values()), tuple(found)))


def test_a_stop_on_a_boundary_lies_in_both_zones() -> None:
    network = atlas.network_of(atlas.read_city(atlas.city_folder("london")))

    zones = atlas.zones_of(network)

    assert list(zones) == ["1", "2", "3", "4", "5", "6"]
    assert "2/3" in {stop.zone for stop in network.stops.values()}
    assert zones["2"] & zones["3"] == {key for key, stop in network.stops.items() if stop.zone == "2/3"}


def test_areas_of_fares_v2_are_zones_where_stops_have_none() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, text in FILES.items():
            archive.writestr(name, text)
    read = atlas.read_gtfs(stream.getvalue(), city=CITY, operator_id=OPERATOR)

    zones = atlas.zones_of(atlas.network_of(read.city_file), read.fares_v2)

    assert {name: len(stops) for name, stops in zones.items()} == {"Airport": 1, "Inner": 3, "Outer": 4}


def test_five_thousand_stops_are_a_map_of_bounded_size() -> None:
    network = many(5_000, 200)

    drawn = atlas.network_map(network, 960, 620, zones=atlas.zones_of(network))

    assert (drawn.shown, drawn.of) == (5_000, 5_000)
    assert len(drawn.stops) <= HUBS_DRAWN
    assert drawn.dots.count("M") > 3_000
    assert all(0 < len(zone.patches) <= PATCHES_MAX for zone in drawn.zones)
    assert len({(zone.color, zone.hatch) for zone in drawn.zones}) == len(drawn.zones)


def test_nearer_by_fewer_stops_are_there_and_the_one_asked_for_is_in_the_middle() -> None:
    network = many(600, 30)
    asked = next(iter(network.lines.values())).stops[0].stop_id

    drawn = atlas.network_map(network, 960, 620, around=asked, zoom=8)

    middle = next(stop for stop in drawn.stops if stop.stop_id == asked)
    assert (middle.x, middle.y, middle.label) == (480, 310, network.stops[asked].name)
    assert 0 < drawn.shown < 600


@pytest.mark.parametrize("lines", [0, 1])
def test_a_network_without_places_is_an_empty_sheet(lines: int) -> None:
    stops = tuple(atlas.Stop(f"many/{n}", "many", f"{n}", "", None, None, "A") for n in range(2))
    calls = tuple(atlas.Call(stop.stop_id, 1) for stop in stops)
    line = atlas.Line("many/l", "many", "op", "l", "bus", "#1077B5", calls, loop=False)
    network = atlas.network_of(atlas.CityFile(CITY_OF_MANY, (), stops, (line,) * lines))

    drawn = atlas.network_map(network, 960, 620, zones=atlas.zones_of(network))

    assert (drawn.shown, drawn.lines, drawn.stops, drawn.dots) == (0, (), (), "")


SHAPES = "shape_id,shape_pt_lat,shape_pt_lon,shape_pt_sequence\n" + "".join(
    f"curve,{50 + 0.0004 * n},{8 + 0.004 * (n % 25 == 12)},{n}\n" for n in range(101)
)


def test_a_line_is_drawn_along_its_shape_and_comes_back_from_the_books(ctx: Context) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, text in FILES.items():
            if name == "trips.txt":
                text = text.replace("trip_id\nM,daily,m", "trip_id,shape_id\nM,daily,m,curve")
                text = (
                    "\n".join(row if row.count(",") == 3 else row + "," for row in text.split("\n") if row)
                    + "\n"
                )
            archive.writestr(name, text)
        archive.writestr("shapes.txt", SHAPES)
    read = atlas.read_gtfs(stream.getvalue(), city=CITY, operator_id=OPERATOR)

    with ctx.tx() as tx:
        first = atlas.import_city(tx, read.city_file)
        again = atlas.import_city(tx, read.city_file)
        kept = atlas.get_network(tx, "town").lines["town/M"]
    drawn = atlas.network_map(atlas.network_of(read.city_file), 960, 620)

    assert (first.changed, again.changed) == (True, False)
    assert kept == next(line for line in read.city_file.lines if line.line_id == "town/M")
    assert len(kept.shape) == 14  # both ends, and before, at and after each of four bends
    assert next(line for line in drawn.lines if line.line_id == "town/M").path.count("L") == 13


POINTS = st.lists(st.tuples(st.floats(-100, 100), st.floats(-100, 100)), min_size=2, max_size=30)


@given(points=POINTS, apart=st.floats(0.1, 20))
@settings(max_examples=60, deadline=None)
def test_a_thinned_line_strays_no_farther_than_it_may(
    points: list[tuple[float, float]], apart: float
) -> None:
    kept = thinned(points, apart)

    assert (kept[0], kept[-1]) == (points[0], points[-1])
    rest = iter(points)
    assert all(point in rest for point in kept)
    for x, y in points:
        assert min(_away(x, y, *a, *b) for a, b in pairwise(kept)) <= apart + 1e-6


def _away(x: float, y: float, ax: float, ay: float, bx: float, by: float) -> float:
    long = (bx - ax) ** 2 + (by - ay) ** 2
    share = min(1.0, max(0.0, ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / long)) if long else 0.0
    return ((ax + share * (bx - ax) - x) ** 2 + (ay + share * (by - ay) - y) ** 2) ** 0.5
