"""Metres of all pairs of stops at once are those of each pair by itself."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from atlas.test_networks import line, network
from hansa.atlas import Network, NotConnected, city_folder, network_of, read_city
from hansa.fares.ways import Ways


def one_by_one(town: Network) -> list[list[int]]:
    """Before all are known at once, so each by itself."""
    rows: list[list[int]] = []
    for origin in town.stops:
        fresh = Network(town.city, town.stops, town.lines)
        row: list[int] = []
        for destination in town.stops:
            try:
                row.append(fresh.distance_m(origin, destination))
            except NotConnected:
                row.append(-1)
        rows.append(row)
    return rows


@given(seed=st.integers(0, 1_000_000))
@settings(max_examples=40, deadline=None)
def test_all_at_once_are_those_of_each_pair(seed: int) -> None:
    dice = Random(seed)
    names = [f"s{number}" for number in range(dice.randint(2, 24))]
    lines = [
        line(
            f"l{number}",
            *(
                (stop, dice.randint(0, 900))
                for stop in dice.sample(names, dice.randint(2, min(7, len(names))))
            ),
            loop=dice.random() < 0.3,
            own_fare=dice.random() < 0.2,
        )
        for number in range(dice.randint(1, 6))
    ]
    town = network(*lines)

    assert town.metres().tolist() == one_by_one(town)
    assert town.metres() is town.metres()


def test_what_was_asked_one_by_one_stays_the_same_once_all_are_known() -> None:
    town = network(line("a", *((f"s{number}", 100 + number) for number in range(40))))

    asked = [[town.distance_m(one, other) for other in town.stops] for one in town.stops]

    assert asked == town.metres().tolist()


class OneByOne:
    """A network that tells each distance by itself only."""

    def __init__(self, network: Network) -> None:
        self.stops, self.distance_m, self.zone_of = network.stops, network.distance_m, network.zone_of


def test_zones_on_shortest_ways_are_those_found_one_by_one() -> None:
    london = network_of(read_city(city_folder("london")))
    stops = list(london.stops)
    together, apart = Ways(london), Ways(OneByOne(london))

    for origin in stops[::9]:
        for destination in stops[::7]:
            assert together.zones_between(origin, destination) == apart.zones_between(origin, destination)
