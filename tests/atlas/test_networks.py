"""Distances over a network: the shortest way, loops both ways round, lines with a fare of their own."""

from datetime import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.atlas import (
    Call,
    City,
    CityFile,
    Line,
    Network,
    NotConnected,
    Operator,
    Stop,
    UnknownStop,
    city_folder,
    great_circle_m,
    network_of,
    read_city,
)

TOWN = City("town", "Town", "Town", "DE", "Europe/Berlin", "EUR", time(4), "Flat.")


def line(name: str, *calls: tuple[str, int], loop: bool = False, own_fare: bool = False) -> Line:
    stops = tuple(Call(f"town/{stop}", metres) for stop, metres in calls)
    return Line(f"town/{name}", "town", "town-rail", name, "metro", "#112233", stops, loop, own_fare)


def network(*lines: Line, zones: dict[str, str] | None = None) -> Network:
    ids = sorted({call.stop_id for each in lines for call in each.stops})
    stops = tuple(
        Stop(stop_id, "town", stop_id, stop_id, None, None, (zones or {}).get(stop_id)) for stop_id in ids
    )
    return network_of(CityFile(TOWN, (Operator("town-rail", "Rail", "Rail"),), stops, lines))


@pytest.fixture(scope="module")
def beijing() -> Network:
    return network_of(read_city(city_folder("beijing")))


# Sums of the metres between neighbouring stations that Beijing publishes, along the way named.
BEIJING = [
    # from, to, metres, along
    ("tiananmenxi", "tiananmendong", 925, "Line 1"),
    ("pingguoyuan", "sihuidong", 30_409, "Line 1, 22 hops"),
    (
        "xizhimen",
        "dongzhimen",
        1899 + 1766 + 1237 + 792 + 2228,
        "Line 2 by the north, across its closing hop",
    ),
    ("xizhimen", "fuxingmen", 910 + 960 + 1833, "Line 2 the other way round"),
    ("jishuitan", "chegongzhuang", 1899 + 910, "Line 2 across the place where its list begins"),
    ("shoujingmao", "niwa", 1717 + 954, "Line 10 across the place where its list begins"),
    ("huangcunhuochezhan", "tiangongyuan", 2035 + 2918 + 1811, "Line 4 with Daxing"),
    ("terminal-2", "terminal-3", 7243, "Capital Airport Express"),
]


@pytest.mark.parametrize(("origin", "destination", "metres", "along"), BEIJING)
def test_beijing_metres_are_the_published_ones(
    beijing: Network, origin: str, destination: str, metres: int, along: str
) -> None:
    assert beijing.distance_m(f"beijing/{origin}", f"beijing/{destination}") == metres, along


def test_the_airport_line_is_no_short_cut_for_those_who_ride_the_common_network(beijing: Network) -> None:
    express = next(line for line in beijing.lines.values() if line.own_fare)

    between = beijing.way("beijing/dongzhimen", "beijing/sanyuanqiao")
    to_the_airport = beijing.way("beijing/xidan", "beijing/terminal-3")

    assert ("beijing/sanyuanqiao", "beijing/dongzhimen", 3022) in express.hops()
    assert between == (between.distance_m, ()) and between.distance_m > 3022
    assert [line_id for line_id, _ in to_the_airport.own_fare] == ["beijing/capital-airport-express"]
    assert to_the_airport.common_m > 0


def test_a_loop_is_ridden_the_shorter_way_round() -> None:
    ring = network(line("ring", ("a", 400), ("b", 100), ("c", 200), ("d", 300), loop=True))

    assert ring.distance_m("town/a", "town/c") == 300
    assert ring.distance_m("town/a", "town/d") == 400
    assert ring.distance_m("town/b", "town/d") == 500


def test_an_interchange_joins_lines_and_costs_no_metres() -> None:
    cross = network(line("1", ("a", 0), ("x", 500), ("b", 500)), line("2", ("c", 0), ("x", 700)))

    assert cross.distance_m("town/a", "town/c") == 1200
    assert [line.name for line in cross.lines_at("town/x")] == ["1", "2"]


def test_of_two_lines_between_the_same_stops_the_shorter_counts() -> None:
    double = network(line("slow", ("a", 0), ("b", 900)), line("fast", ("a", 0), ("b", 700)))

    assert double.distance_m("town/a", "town/b") == 700


def test_a_stop_is_no_distance_from_itself() -> None:
    pair = network(line("1", ("a", 0), ("b", 500)), zones={"town/a": "2/3"})

    assert pair.distance_m("town/a", "town/a") == 0
    assert (pair.zone_of("town/a"), pair.zone_of("town/b")) == ("2/3", None)


def test_an_unknown_stop_is_named() -> None:
    pair = network(line("1", ("a", 0), ("b", 500)))

    for ask in (lambda: pair.distance_m("town/a", "town/z"), lambda: pair.zone_of("town/z")):
        with pytest.raises(UnknownStop, match="'town/z'") as refused:
            ask()
        assert refused.value.code == "atlas.unknown_stop"


def test_stops_that_nothing_joins_are_not_given_a_distance() -> None:
    apart = network(line("1", ("a", 0), ("b", 500)), line("2", ("c", 0), ("d", 500)))

    assert not apart.connected("town/a", "town/c")
    with pytest.raises(NotConnected) as refused:
        apart.distance_m("town/a", "town/c")
    assert refused.value.code == "atlas.not_connected"


NAMES = [f"s{number}" for number in range(7)]
LINES = st.lists(
    st.tuples(
        st.lists(st.sampled_from(NAMES), min_size=3, max_size=6, unique=True),
        st.lists(st.integers(1, 5000), min_size=6, max_size=6),
        st.booleans(),
    ),
    min_size=1,
    max_size=4,
)


@given(LINES)
def test_distances_are_those_of_every_pair_worked_out_the_slow_way(
    drawn: list[tuple[list[str], list[int], bool]],
) -> None:
    lines: list[Line] = []
    for number, (stops, metres, loop) in enumerate(drawn):
        calls = list(zip(stops, metres, strict=False))
        lines.append(line(str(number), *(calls if loop else [(stops[0], 0), *calls[1:]]), loop=loop))
    town = network(*lines)
    ids = list(town.stops)
    far = 10**9
    slow = {(a, b): 0 if a == b else far for a in ids for b in ids}
    for each in lines:
        for a, b, metres in each.hops():
            slow[a, b] = slow[b, a] = min(slow[a, b], metres)
    for via in ids:
        for a in ids:
            for b in ids:
                slow[a, b] = min(slow[a, b], slow[a, via] + slow[via, b])

    for (a, b), metres in slow.items():
        assert town.connected(a, b) == (metres < far)
        if metres < far:
            assert town.distance_m(a, b) == metres == town.way(a, b).distance_m


@pytest.mark.parametrize(
    ("a", "b", "metres"),
    [
        ((0.0, 0.0), (0.0, 1.0), 111_195),
        ((0.0, 0.0), (1.0, 0.0), 111_195),
        ((60.0, 10.0), (60.0, 11.0), 55_597),
        ((39.9, 116.4), (39.9, 116.4), 0),
        ((0.0, 0.0), (0.0, 180.0), 20_015_115),
    ],
)
def test_great_circle_metres(a: tuple[float, float], b: tuple[float, float], metres: int) -> None:
    assert abs(great_circle_m(a, b) - metres) <= 1


def test_a_line_gives_its_hops_once_each(beijing: Network) -> None:
    ring = beijing.lines["beijing/line-2"]

    hops = list(ring.hops())

    assert len(hops) == len(ring.stops) == 18
    assert sum(metres for *_, metres in hops) == 23_000
    assert all(left[1] == right[0] for left, right in pairwise(hops)) and hops[-1][1] == hops[0][0]
