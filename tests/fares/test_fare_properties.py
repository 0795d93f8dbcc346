"""What is true of every day under every tariff, and exact answers against trying everything out."""

from dataclasses import replace
from datetime import timedelta
from itertools import combinations
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fares.cases import CITIES, Town, city, ride, tariff_with
from hansa.fares import Around, Counters, Fare, Journey, Pricer, Tariff
from hansa.fares.tariff import Cap, Carnet, Condition, Price

NAMES = sorted(folder.name for folder in CITIES.iterdir())
SEEDS = st.integers(0, 1_000_000)


def random_rides(tariff: Tariff, town: Town, seed: int, most: int = 9) -> list[Journey]:
    """Rides that fit the tariff's words: its products, lines, media and classes, some of them following closely."""
    dice = Random(seed)
    rules = [rule.condition for rule in tariff.fares]
    products = [*sorted(frozenset[str]().union(*(one.products for one in rules))), "metro", "rail"]
    lines = [*sorted(frozenset[str]().union(*(one.lines for one in rules))), "1", "10", "11"]
    stops = sorted(town.stops)
    rider_class = dice.choice(["adult", "child", "senior", "student"])
    minutes, rides = 300 + dice.randint(0, 120), list[Journey]()
    for number in range(dice.randint(1, most)):
        ends = dice.sample(stops, 2) if len(stops) > 1 else ["", ""]
        words = f"line={dice.choice(lines)} medium={dice.choice([*tariff.media, 'x'])}"
        words += f" operator={dice.choice(['gvb', 'hermes', 'tokyo-metro'])} {dice.randint(1, 18_000)}m"
        lasts = dice.randint(2, 50)
        clock = (
            f"{minutes // 60:02}:{minutes % 60:02}-{(minutes + lasts) // 60:02}:{(minutes + lasts) % 60:02}"
        )
        text = f"{clock} {dice.choice(products)} {ends[0]}>{ends[1]} {words}"
        rides.append(ride(tariff, text, rider_class=rider_class, number=number))
        minutes += lasts + dice.choice([1, 4, 14, 29, 44, 70])
    return rides


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=20, deadline=None)
@given(seed=SEEDS)
def test_steps_and_payments_sum_and_the_order_given_does_not_matter(name: str, seed: int) -> None:
    tariff, town, _ = city(name)
    pricer = Pricer(tariff, town)
    rides = random_rides(tariff, town, seed)
    shuffled = rides.copy()
    Random(seed).shuffle(shuffled)

    fares = pricer.price_day(rides, Counters())

    for fare in fares:
        assert fare.amount_minor >= 0
        assert sum(step.amount for step in fare.steps) == fare.amount_minor
        assert sum(part.amount_minor for part in fare.payments) == fare.whole_minor
        assert all(step.text and step.said("zh") for step in fare.steps)
    again = {fare.journey_id: fare for fare in pricer.price_day(shuffled, Counters())}
    assert [again[fare.journey_id] for fare in fares] == fares


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=20, deadline=None)
@given(seed=SEEDS)
def test_a_day_never_costs_more_than_each_ride_by_itself(name: str, seed: int) -> None:
    tariff, town, _ = city(name)
    pricer = Pricer(tariff, town)
    rides = random_rides(tariff, town, seed)

    day = pricer.price_day(rides, Counters())

    alone = [pricer.price_day([one], Counters())[0] for one in rides]
    for one, single in zip(day, alone, strict=True):
        assert single.status == "priced" or one.status == "held"
    assert sum(fare.amount_minor for fare in day) <= sum(fare.amount_minor for fare in alone)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=20, deadline=None)
@given(seed=SEEDS)
def test_a_fresh_pricer_and_one_that_remembers_say_the_same(name: str, seed: int) -> None:
    tariff, town, _ = city(name)
    old = Pricer(tariff, town)
    for before in range(3):
        old.price_day(random_rides(tariff, town, seed + before + 1), Counters())
    rides = random_rides(tariff, town, seed)

    assert old.price_day(rides, Counters()) == Pricer(tariff, town).price_day(rides, Counters())


# -- the cheapest cover ---------------------------------------------------------------------------------------

ZONES = """
[basis]
kind = "zones"
order = ["1", "2", "3", "4"]
[[basis.span]]
zones = ["1"]
fare = "2.80"
[[basis.span]]
zones = ["1-2"]
fare = "3.40"
[[basis.span]]
zones = ["1-3"]
fare = "4.10"
[[basis.span]]
zones = ["1-4"]
fare = "5.60"
[[basis.span]]
zones = ["2", "3", "4"]
fare = "1.90"
[[basis.span]]
zones = ["2-3", "3-4"]
fare = "2.30"
[[basis.span]]
zones = ["2-4"]
fare = "2.90"
"""
STREET = Town({zone: 1_000 * int(zone) for zone in "1234"}, {zone: zone for zone in "1234"})
SPANS = st.tuples(st.integers(0, 3), st.integers(0, 3)).map(lambda ends: (min(ends), max(ends)))
CAPS = st.lists(
    st.tuples(SPANS, st.integers(200, 1_200), st.booleans(), st.booleans(), st.booleans()), max_size=4
)


@settings(max_examples=150, deadline=None)
@given(caps=CAPS, carnet=st.none() | st.tuples(st.integers(2, 3), st.integers(200, 1_500)), seed=SEEDS)
def test_caps_extensions_and_carnets_find_the_cheapest_cover_of_all(
    caps: list[tuple[tuple[int, int], int, bool, bool, bool]], carnet: tuple[int, int] | None, seed: int
) -> None:
    """Against every choice of caps, every number of carnets, and every choice of the rides they take in."""
    bus, only = frozenset({"bus"}), Condition(products=frozenset({"metro"}))
    tariff = replace(
        tariff_with(basis=ZONES),
        caps=tuple(
            Cap(
                "day",
                f"Cap {number}",
                Price({("", "adult"): amount}),
                span if by_zone else None,
                products=bus if of_bus else frozenset(),
                extend=extend and by_zone,
            )
            for number, (span, amount, extend, of_bus, by_zone) in enumerate(caps)
        ),
        carnets=(Carnet("Carnet", carnet[0], Price({("", "adult"): carnet[1]}), condition=only),)
        if carnet
        else (),
    )
    pricer = Pricer(tariff, STREET)
    dice = Random(seed)
    rides = [
        ride(
            tariff,
            f"{8 + number}:00-{8 + number}:20 {dice.choice(['bus', 'metro'])} {'>'.join(dice.sample('1234', 2))}",
            number=number,
        )
        for number in range(dice.randint(1, 5))
    ]

    fares = pricer.price_day(rides, Counters())

    best = min(
        sum(cap.amount("adult") for cap in chosen)
        + _carnets(carnet, rides, [_cost(one, chosen) for one in rides])
        for count in range(len(tariff.caps) + 1)
        for chosen in combinations(tariff.caps, count)
    )
    assert sum(fare.amount_minor for fare in fares) == best


FARES = {
    "1": 280, "12": 340, "123": 410, "1234": 560, "2": 190, "3": 190, "4": 190, "23": 230, "34": 230, "234": 290
}  # fmt: skip


def _cost(journey: Journey, chosen: tuple[Cap, ...]) -> int:
    """What a ride still costs beside these caps, worked out from the table of spans alone."""
    ends = sorted((journey.origin or "", journey.destination or ""))
    touched = "1234"["1234".index(ends[0]) : "1234".index(ends[1]) + 1]
    left: list[str] = []
    for cap in chosen:
        if cap.products and journey.product not in cap.products:
            continue
        inside = "1234" if cap.zones is None else "1234"[cap.zones[0] : cap.zones[1] + 1]
        if set(touched) <= set(inside):
            return 0
        if cap.extend and set(touched) & set(inside):
            left.append(inside)
    return min(
        sum(FARES[part] for part in "".join(z if z not in held else " " for z in touched).split())
        for count in range(len(left) + 1)
        for held in map("".join, combinations(left, count))
    )


def _carnets(carnet: tuple[int, int] | None, rides: list[Journey], costs: list[int]) -> int:
    if carnet is None:
        return sum(costs)
    size, price = carnet
    best = sum(costs)
    eligible = [place for place, one in enumerate(rides) if one.product == "metro"]
    for count in range(len(eligible) + 1):
        for taken in combinations(eligible, count):
            books = -(-count // size)
            rest = sum(cost for place, cost in enumerate(costs) if place not in taken)
            best = min(best, books * price + rest)
    return best


TWO_CAPS = """
[[cap]]
name = "Inner"
period = "day"
zones = "1-2"
extend = true
amount = "6.00"
[[cap]]
name = "Outer"
period = "day"
zones = "3-4"
extend = true
amount = "3.00"
"""


def test_two_caps_that_may_be_left_take_in_together_what_neither_does_alone() -> None:
    tariff = tariff_with(TWO_CAPS, basis=ZONES)
    rides = [ride(tariff, f"{8 + hour}:00-{8 + hour}:20 metro 1>4", number=hour) for hour in range(4)]

    fares = Pricer(tariff, STREET).price_day(rides, Counters())

    assert [fare.amount_minor for fare in fares] == [560, 340, 0, 0]  # 9.00 is what both caps cost


# -- joined rides ---------------------------------------------------------------------------------------------

JOINED = """
[[join]]
name = "One journey"
within_minutes = 45
priced_by = "distances"
"""
BY_METRES = """
[basis]
kind = "distance"
measure = "given"
[[basis.band]]
up_to_m = 3000
fare = "1.00"
[[basis.band]]
up_to_m = 9000
fare = "1.70"
[basis.beyond]
every_m = 1000
add = "0.07"
"""


@settings(max_examples=100, deadline=None)
@given(metres=st.lists(st.integers(1, 12_000), min_size=1, max_size=7))
def test_joined_rides_cost_what_one_ride_of_their_length_costs(metres: list[int]) -> None:
    tariff = tariff_with(JOINED, basis=BY_METRES)
    pricer = Pricer(tariff, Town({}))
    start = ride(tariff, "08:00-08:10 bus 1m").started_at
    rides = [
        replace(
            ride(tariff, f"08:00-08:10 bus {one}m", number=number),
            started_at=start + timedelta(minutes=40 * number),
            ended_at=start + timedelta(minutes=40 * number + 20),
        )
        for number, one in enumerate(metres)
    ]

    joined = pricer.price_day(rides, Counters())

    whole = pricer.price_day([ride(tariff, f"08:00-08:10 bus {sum(metres)}m")], Counters())[0].amount_minor
    singles = sum(pricer.price_day([one], Counters())[0].amount_minor for one in rides)
    assert sum(fare.amount_minor for fare in joined) == min(whole, singles)


# -- counters carried over days --------------------------------------------------------------------------------

LONG = """
[[cap]]
name = "Seven days"
period = "7 days"
bands = ["peak"]
amount = "9.00"
[[cap]]
name = "Week by bus"
period = "week"
media = ["card"]
products = ["bus"]
amount = "6.00"
[[tier]]
period = "week"
name = "Frequent"
from_rides = 4
percent = 50
[[fee]]
name = "Station"
products = ["metro"]
amount = "0.60"
most = { period = "week", amount = "1.50" }
"""
HOURS = """default_band = "off-peak"
media = ["card"]
[[band]]
name = "peak"
days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
from = "07:00"
to = "09:30"
"""


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS, cut=st.integers(0, 12))
def test_a_period_in_two_days_costs_what_it_costs_in_one(seed: int, cut: int) -> None:
    """What a day hands on is all that the next needs: caps, tiers and fee maxima go on as if it were one day."""
    tariff = tariff_with(LONG, top=HOURS)
    pricer = Pricer(tariff, Town({"a": 0, "b": 900}))
    dice = Random(seed)
    rides = [
        ride(
            tariff,
            f"{7 + number}:10-{7 + number}:20 {dice.choice(['bus', 'metro'])} a>b medium={dice.choice(['card', 'x'])}",
            number=number,
        )
        for number in range(12)
    ]

    whole = pricer.price_day(rides, Counters())

    first = pricer.price_day(rides[:cut], Counters())
    second = pricer.price_day(rides[cut:], Counters(counts=counts_of(first)))
    assert [fare.amount_minor for fare in first + second] == [fare.amount_minor for fare in whole]


def counts_of(fares: list[Fare]) -> dict[str, int]:
    """What earlier fares hand on."""
    sums: dict[str, int] = {}
    for fare in fares:
        for key, amount in fare.counts.items():
            sums[key] = sums.get(key, 0) + amount
    return sums


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS, cut=st.integers(0, 7))
def test_a_carnet_goes_on_from_day_to_day(seed: int, cut: int) -> None:
    rules = '[[carnet]]\nname = "Ten"\nrides = 3\nperiod = "month"\nfare = "4.20"\n'
    tariff = tariff_with(rules, basis=BY_METRES)
    pricer = Pricer(tariff, Town({}))
    dice = Random(seed)
    rides = [
        ride(tariff, f"{8 + number}:10-{8 + number}:20 bus {dice.randint(1, 12_000)}m", number=number)
        for number in range(7)
    ]

    whole = pricer.price_day(rides, Counters())

    first = pricer.price_day(rides[:cut], Counters())
    taken = tuple(fare.counts.get("month:carnet Ten", 0) for fare in first)
    second = pricer.price_day(rides[cut:], Counters(carnet={"month:carnet Ten": taken}))
    assert [fare.amount_minor for fare in first + second] == [fare.amount_minor for fare in whole]


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS)
def test_rides_with_partners_are_not_charged_and_change_nothing_without_a_rule_for_them(seed: int) -> None:
    tariff, town, _ = city("delhi")
    pricer = Pricer(tariff, town)
    rides = random_rides(tariff, town, seed)
    others = tuple(replace(one, operator_id="partner") for one in random_rides(tariff, town, seed + 1))

    assert pricer.price_day(rides, Counters(), Around(others=others)) == pricer.price_day(rides, Counters())
