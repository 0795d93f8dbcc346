"""Fares by the column say what the plain engine says, to the cent and to the word."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import lru_cache
from uuid import UUID

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from hansa.fares import RIDER_CLASSES, Counters, Journey, Pricer, Tariff, TariffSource, read_source
from hansa.fares.columnar import KINDS, Columnar, Earlier, RideColumns, columnar_for
from hansa.rides.looking_back import Look, told
from rides.riding import OPERATORS, TUESDAY, Street, local, network_of, pricer_of, tariff_of

SEEDS = st.integers(0, 1_000_000)


def random_days(
    tariff: Tariff,
    stops: Sequence[str],
    seed: int,
    *,
    riders: int = 30,
    products: Sequence[str] = ("metro", "bus"),
    lines: Sequence[str] = ("1", "2", "3"),
) -> RideColumns:
    """Days of so many riders: up to nine rides, some close together, some without a tap, some on another's class."""
    dice = np.random.default_rng(seed)
    numbers = np.repeat(np.arange(riders), dice.integers(1, 10, riders))
    count = len(numbers)
    lasts = dice.integers(1, 55, count) * 60_000_000
    waits = dice.choice([20, 240, 1_500, 4_000, 9_000], count) * 1_000_000 + dice.integers(
        1, 60_000_000, count
    )
    began = int(local(tariff, "05:10").timestamp()) * 1_000_000 + dice.integers(0, 4, riders) * 3_600_000_000
    started = np.zeros(count, np.int64)
    for place in range(count):
        fresh = not place or numbers[place] != numbers[place - 1]
        before = int(began[numbers[place]]) if fresh else int(started[place - 1] + lasts[place - 1])
        started[place] = before + int(waits[place])
    kinds = dice.choice(4, count, p=[0.6, 0.3, 0.07, 0.03])
    lasts[kinds != 0] = 0
    ends = dice.integers(-1 if seed % 5 == 0 else 0, len(stops), (2, count))
    classes = dice.integers(0, 4, riders)[numbers]
    classes = np.where(dice.random(count) < 0.03, dice.integers(0, 5, count), classes)
    return RideColumns(
        numbers,
        started,
        started + lasts,
        kinds,
        np.where(kinds == 3, -1, ends[0]),
        np.where((kinds == 1) | (kinds == 2), -1, ends[1]),
        dice.integers(-1, len(lines), count),
        dice.integers(0, len(products), count),
        classes,
        stops,
        lines,
        products,
        (*RIDER_CLASSES, "stranger"),
    )


def random_earlier(tariff: Tariff, seed: int, riders: int = 30) -> list[Counters]:
    dice = np.random.default_rng(seed)
    order = tariff.zone_order
    labels = ["", *(f"{one}-{order[-1]}" for one in order[:-1]), *order] if order else [""]
    return [
        Counters(
            month_minor=int(dice.choice([0, 3_000, 9_900, 14_700, 39_800])),
            period_minor={
                (str(dice.choice(["metro", "bus"])), str(dice.choice(labels))): int(dice.integers(0, 3_000))
                for _ in range(int(dice.integers(0, 4)))
            },
            opening_minor=int(dice.choice([0, 0, 1_500])),
        )
        for _ in range(riders)
    ]


@lru_cache(maxsize=8)
def reference(pricer: Pricer) -> Pricer:
    """Another pricer of the same tariff and network."""
    return Pricer(pricer.tariff, pricer.places)


def given_metres(pricer: Pricer, journeys: list[Journey]) -> list[Journey]:
    """The journeys as the books tell them to this tariff."""
    return told(journeys, pricer.tariff.operator_id, Look.of(pricer.tariff), pricer)


def hold_equal(
    pricer: Pricer, columnar: Columnar, rides: RideColumns, earlier: Sequence[Counters] | None
) -> None:
    """Both engines say the same of these days; the plain one shares nothing with the columns."""
    plainly = reference(pricer)
    priced = columnar.price(rides, None if earlier is None else Earlier.of(earlier))

    as_json = [json.loads(steps) for steps in priced.told()]
    for rider in range(int(rides.riders[-1]) + 1):
        at = np.flatnonzero(rides.riders == rider).tolist()
        journeys = given_metres(pricer, [rides.journey(ride, UUID(int=ride + 1)) for ride in at])
        plain = plainly.price_day(journeys, Counters() if earlier is None else earlier[rider])
        assert [priced.fare(ride, UUID(int=ride + 1)) for ride in at] == plain
        assert [as_json[ride] for ride in at] == [
            [[step.rule, step.amount, step.facts] for step in fare.steps] for fare in plain
        ]


@pytest.mark.parametrize("operator_id", OPERATORS)
@settings(max_examples=6, deadline=None, phases=[Phase.generate])
@given(seed=SEEDS)
def test_days_of_every_city_come_out_the_same(operator_id: str, seed: int) -> None:
    tariff, pricer = tariff_of(operator_id), pricer_of(operator_id)
    columnar = columnar_for(pricer)
    assert columnar is not None
    if seed % 2:
        columnar.know_pairs()
    stops = sorted(network_of(operator_id).stops)[:: 1 + seed % 7][:25]

    for more in range(2):
        rides = random_days(tariff, stops, seed + more)
        hold_equal(pricer, columnar, rides, random_earlier(tariff, seed + more) if seed % 3 else None)


HEAD = """format = 1
operator = "town-lines"
city = "town"
name = "Town fares"
currency = "EUR"
valid_from = 2020-01-01
tz = "Europe/Paris"
day_starts = "04:00"
[classes.adult]
percent = 100
[classes.child]
percent = 50
[classes.student]
percent = 75
[classes.senior]
percent = 100
[journey]
max_minutes = 240
[incomplete]
fare = "highest"
counts = true
[basis]
kind = "zones"
order = ["1", "2", "3"]
[[basis.span]]
zones = ["1"]
fare = "2.83"
[[basis.span]]
zones = ["1-2"]
fare = "3.40"
[[basis.span]]
zones = ["1-3"]
fare = "4.10"
[[basis.span]]
zones = ["2", "3"]
fare = "1.97"
[[basis.span]]
zones = ["2-3"]
fare = "2.30"
"""

TRANSFER = '[[transfer]]\nwindow_minutes = 75\nafter = { products = ["bus"] }\n'
DAY_CAPS = """
[[cap]]
period = "day"
zones = "1-2"
extend = true
amount = { adult = "7.00", child = "3.00" }
[[cap]]
period = "day"
products = ["bus"]
amount = "5.10"
[[cap]]
period = "day"
amount = "9.50"
"""
RULES = {
    "first tap, shares": TRANSFER + 'window_from = "first_tap"\npercent = [50, 33, 0]\n',
    "last tap, other product": TRANSFER
    + 'window_from = "last_tap"\nfare = ["1.00", "0.50"]\nother_product = true\n',
    "exit, difference": TRANSFER
    + 'window_from = "exit"\ndifference = true\ncount_max = 2\nname = "Change"\n',
    "next hour, chain": TRANSFER
    + 'window_from = "next_hour"\nchain_max = { adult = "4.00", child = "2.00" }\n',
    "not the next line, less": TRANSFER
    + 'window_from = "first_tap"\nless = "0.70"\nsame_line = "not_next"\n',
    "two rules": TRANSFER
    + 'window_from = "first_tap"\npercent = 20\ncount_max = 1\n'
    + '[[transfer]]\nwindow_minutes = 40\nwindow_from = "exit"\nless = "0.30"\n',
    "caps beyond their zones": DAY_CAPS,
    "transfers under caps of a day and a week": TRANSFER
    + 'window_from = "first_tap"\npercent = 50\n'
    + DAY_CAPS
    + '[[cap]]\nperiod = "week"\nzones = "1-2"\namount = { adult = "30.00", child = "15.00" }\n'
    + '[[cap]]\nperiod = "week"\namount = "38.00"\n',
    "tiers and transfers": TRANSFER
    + 'window_from = "exit"\npercent = 50\n'
    + '[[tier]]\nperiod = "month"\nfrom = "100.00"\npercent = 80\n'
    + '[[tier]]\nperiod = "month"\nfrom = "150.00"\npercent = 45\n'
    + DAY_CAPS,
    "a stop like no other": '[[discount]]\nname = "Market"\npercent = 40\nstops = ["c"]\n' + DAY_CAPS,
    "fees": '[[fee]]\nname = "Station"\nstops = ["c"]\namount = { adult = "1.20", child = "0.60" }\ncaps = true\n'
    + '[[fee]]\nname = "Bus of the day"\nproducts = ["bus"]\nper = "day"\namount = "0.35"\ntiers = true\n'
    + '[[fee]]\nname = "Boarding"\nper = "trip"\namount = "0.50"\n'
    + '[[fee]]\nname = "Cheap"\nfrom_stops = ["a"]\namount = "0.40"\ndiscounts = true\n'
    + TRANSFER
    + 'window_from = "exit"\npercent = 50\n'
    + DAY_CAPS
    + '[[tier]]\nperiod = "month"\nfrom = "100.00"\npercent = 80\n',
    "a fee and nothing else": '[[fee]]\nname = "Night"\namount = "1.00"\n',
    "joins, on days that have none": '[[join]]\nname = "One way"\nwithin_minutes = 20\n'
    + '[[join]]\nname = "Bus"\nwithin_minutes = 40\nproducts = ["bus"]\nnever_more = false\n'
    + TRANSFER
    + 'window_from = "exit"\npercent = 50\n'
    + DAY_CAPS,
    "passes that nobody holds": '[[pass]]\nname = "Week"\nproducts = ["bus"]\nprice = "20.00"\nlasts = "week"\n'
    + DAY_CAPS,
    "dear by exit": '[[discount]]\nname = "Early"\npercent = 50\nfrom = "05:00"\nto = "07:30"\ntap = "exit"\n',
}
TOWN = Street(
    {"a": 0, "b": 900, "c": 2_100, "d": 4_000, "e": 7_000},
    {"a": "1", "b": "1/2", "c": "2", "d": "2/3", "e": "3"},
)


BANDS = """[basis]
kind = "distance"
grace_m = 50
[[basis.band]]
up_to_m = 900
fare = "1.10"
[[basis.band]]
up_to_m = 2000
fare = { adult = "1.73", student = "1.20" }
[[basis.beyond]]
every_m = 700
up_to_m = 3700
add = "0.31"
"""
PAIRS = "origin,destination,adult\n" + "a,b,150\nb,a,150\na,c,210\nb,c,150\nd,a,395\ne,a,395\nd,b,210\n"
SETS = """[basis]
kind = "zone-sets"
[[basis.set]]
name = "Inner"
zones = ["1", "2"]
fare = "2.20"
[[basis.set]]
name = "All"
zones = ["1", "2", "3"]
fare = "3.15"
"""
EXPRESS = """
[[override]]
name = "Express"
stops = ["e"]
gateways = ["c", "d"]
fare = "5.00"
tiers = false
[[override]]
name = "Night boat"
stops = ["b"]
lines = ["3"]
fare = "9.00"
caps = false
"""
BASES = {
    "bands that end": (BANDS, {}),
    "bands without end, an express": (
        BANDS
        + '[[basis.beyond]]\nevery_m = 900\nadd = "0.50"\n'
        + EXPRESS
        + DAY_CAPS.replace('"1-2"', '["1"]'),
        {},
    ),
    "a rate": ('[basis]\nkind = "rate"\nbase = "0.50"\nper_km = "0.333"\nevery_m = 300\n', {}),
    "metres given with the ride": (BANDS.replace("grace_m", 'measure = "given"\ngrace_m'), {}),
    "a table of pairs": ('[basis]\nkind = "pairs"\nfile = "f.csv"\namounts = "minor"\n', {"f.csv": PAIRS}),
    "a table for each way, an express": (
        '[basis]\nkind = "pairs"\nfile = "f.csv"\namounts = "minor"\nsymmetric = false\n' + EXPRESS,
        {"f.csv": PAIRS},
    ),
    "a table of zones": (
        '[basis]\nkind = "pairs"\nfile = "f.csv"\namounts = "minor"\nby = "zone"\n',
        {"f.csv": "origin,destination,adult\n1,2,150\n1/2,2,120\n2,3,150\n1,1,100\n1,3,150\n"},
    ),
    "sets of zones": (SETS, {}),
    "how many zones": (
        '[basis]\nkind = "zone-count"\n[[basis.count]]\nzones = 1\nfare = "1.40"\n'
        + '[[basis.count]]\nzones = 2\nfare = "2.40"\n',
        {},
    ),
    "the cheapest, and a rule with a table of its own": (
        '[basis]\nkind = "cheapest"\n[[basis.either]]\nkind = "distance"\n[[basis.either.band]]\nup_to_m = 1500\n'
        + 'fare = "1.90"\n[[basis.either]]\nkind = "pairs"\nfile = "f.csv"\namounts = "minor"\n'
        + '[[fare]]\nname = "Bus"\nproducts = ["bus"]\nkind = "pairs"\nfile = "g.csv"\namounts = "minor"\n'
        + '[[discount]]\nname = "Markets"\npercent = 40\nstops = ["c", "e"]\n',
        {"f.csv": PAIRS, "g.csv": PAIRS.replace("150", "99").replace("395", "99")},
    ),
}


def _tariff(rules: str, basis: str = "", tables: dict[str, str] | None = None) -> Tariff:
    head = HEAD if not basis else HEAD[: HEAD.index("[basis]")] + basis
    return read_source(TariffSource(head + rules, tables or {}))


@pytest.mark.parametrize("name", BASES)
@settings(max_examples=6, deadline=None, phases=[Phase.generate])
@given(seed=SEEDS)
def test_pairs_of_one_sort_cost_the_same_and_are_told_apart(name: str, seed: int) -> None:
    basis, tables = BASES[name]
    pricer = Pricer(_tariff("", basis, tables), TOWN)
    columnar = columnar_for(pricer)
    assert columnar is not None
    columnar.know_pairs()

    rides = random_days(pricer.tariff, (*TOWN.stops, "nowhere"), seed)

    hold_equal(pricer, columnar, rides, None)


@pytest.mark.parametrize("name", RULES)
@settings(max_examples=8, deadline=None, phases=[Phase.generate])
@given(seed=SEEDS)
def test_rules_come_out_the_same(name: str, seed: int) -> None:
    pricer = Pricer(_tariff(RULES[name]), TOWN)
    columnar = columnar_for(pricer)
    assert columnar is not None
    if seed % 2:
        columnar.know_pairs()

    rides = random_days(pricer.tariff, (*TOWN.stops, "nowhere"), seed)

    hold_equal(pricer, columnar, rides, random_earlier(pricer.tariff, seed))


@settings(max_examples=6, deadline=None, phases=[Phase.generate])
@given(seed=SEEDS)
def test_leaving_where_one_entered_counts_in_a_zone_of_the_stop(seed: int) -> None:
    text = HEAD.replace("max_minutes = 240", 'max_minutes = 240\nsame_stop = "1.00"') + DAY_CAPS
    outside = '[[discount]]\nname = "Outer"\npercent = 70\nto_zones = ["3"]\nfrom_zones = ["2", "3"]\n'
    pricer = Pricer(read_source(TariffSource(text + outside, {})), TOWN)
    columnar = columnar_for(pricer)
    assert columnar is not None
    columnar.know_pairs()
    rides = random_days(pricer.tariff, (*TOWN.stops, "nowhere"), seed)
    stays = np.arange(len(rides)) % 3 == 0

    hold_equal(
        pricer,
        columnar,
        replace(rides, destinations=np.where(stays & (rides.kinds == 0), rides.origins, rides.destinations)),
        None,
    )


BEYOND = {
    "a fee that costs no more than so much": '[[fee]]\nname = "Night"\namount = "1.00"\n'
    + 'most = { period = "week", amount = "3.00" }\n',
    "a join over midnight": '[[join]]\nname = "One"\nwithin_minutes = 30\nacross_days = true\n',
    "a carnet": '[[carnet]]\nname = "Ten"\nrides = 10\nfare = "15.00"\n',
    "a cap of some days": DAY_CAPS.replace("extend = true", 'days = ["sat", "sun"]'),
    "tiers by rides": '[[tier]]\nperiod = "week"\nfrom_rides = 8\npercent = 50\nname = "Reward"\n',
    "a line only once": TRANSFER + 'window_from = "exit"\npercent = 50\nsame_line = "never"\n',
}


@pytest.mark.parametrize("name", BEYOND)
def test_what_the_columns_do_not_know_is_left_to_the_plain_engine(name: str) -> None:
    assert columnar_for(Pricer(_tariff(BEYOND[name]), TOWN)) is None


def test_a_change_of_clocks_within_the_day_is_seen() -> None:
    pricer = pricer_of("london-tfl")
    columnar = columnar_for(pricer)
    assert columnar is not None
    days = random_days(pricer.tariff, sorted(network_of("london-tfl").stops)[:9], 7)
    to_march = (TUESDAY - TUESDAY.replace(month=3, day=29)) // timedelta(microseconds=1)

    moved = RideColumns(
        days.riders,
        days.started_us - to_march,
        days.ended_us - to_march,
        *(days.kinds, days.origins, days.destinations, days.lines, days.products, days.classes),
        *(days.stops, days.line_ids, days.product_names, days.class_names),
    )

    assert KINDS[0] == "complete"
    hold_equal(pricer, columnar, moved, None)
