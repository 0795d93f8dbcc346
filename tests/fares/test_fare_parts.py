"""Each part of a tariff by itself, in tables that a fare clerk can check. The town's currency is the euro."""

import re
from dataclasses import replace
from datetime import date, timedelta

import pytest

from fares.cases import CLASSES, TUESDAY, Town, Track, charges, ride, shown, tariff_with
from hansa.fares import Around, Counters, HeldPass, Payment, Pricer, open_window
from hansa.fares.wording import LANGUAGES, RULES, en, fr, say, zh
from hansa.kernel import InvalidInput

STREET = Town(
    {"a": 0, "b": 1_500, "c": 4_000, "d": 9_000},
    {"a": "1", "b": "1/2", "c": "2", "d": "3"},
    spots={"a": (50.0, 4.0), "b": (50.0, 4.02), "c": (50.0, 4.05)},
    lines={
        "7": Track((("a", 0), ("b", 1_700), ("c", 2_600))),
        "ring": Track((("a", 1_000), ("b", 1_700), ("c", 2_600)), loop=True),
    },
)


# -- bases ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("measure", "line", "ends", "metres"),
    [
        ("network", "7", "a>c", 4_000),
        ("line", "7", "a>c", 4_300),
        ("line", "7", "c>a", 4_300),
        ("line", "ring", "a>c", 1_000),  # the short way round: 5,300 in all, 4,300 the other way
        ("line", "ring", "a>b", 1_700),
        ("straight", "7", "a>b", 1_429),  # 0.02 degrees at 50 north: 111,195 x 0.02 x cos 50, less a little
    ],
)
def test_metres_by_each_measure(measure: str, line: str, ends: str, metres: int) -> None:
    basis = f'[basis]\nkind = "rate"\nmeasure = "{measure}"\nper_km = "10.00"\n'
    pricer = Pricer(tariff_with(basis=basis), STREET)

    fare = pricer.price_day([ride(pricer.tariff, f"08:00-08:10 metro {ends} line={line}")], Counters())[0]

    assert fare.amount_minor == metres


@pytest.mark.parametrize(
    ("metres", "cents"),
    [
        # 0.80, and 0.20 a km to 10 km, 0.105 beyond; steps of 100 m begun; least 1.00, most 3.50
        ("1m", 100),  # 0.80 + 0.1 x 0.20 = 0.82
        ("1.0km", 100),
        ("1.01km", 102),  # 1.1 km
        ("10.0km", 280),
        ("11.0km", 291),  # 2.905 half up
        ("16.6km", 349),  # 2.80 + 6.6 x 0.105 = 3.493
        ("40.0km", 350),
    ],
)
def test_a_base_and_a_rate_for_each_kilometre(metres: str, cents: int) -> None:
    basis = """[basis]
kind = "rate"
measure = "given"
base = "0.80"
every_m = 100
least = "1.00"
most = "3.50"
rounding = { step = "0.01", mode = "half_up" }
[[basis.rate]]
up_to_m = 10000
per_km = "0.20"
[[basis.rate]]
per_km = "0.105"
"""
    pricer = Pricer(tariff_with(basis=basis), STREET)

    charges(pricer, f"08:00-08:10 metro {metres} = {cents / 100:.2f}")


def test_by_how_many_zones_are_touched() -> None:
    basis = """[basis]
kind = "zone-count"
[[basis.count]]
zones = 1
fare = "1.50"
[[basis.count]]
zones = 2
fare = "2.40"
"""
    pricer = Pricer(tariff_with(basis=basis), STREET)

    charges(
        pricer,
        """
        08:00-08:10 metro a>b = 1.50   # the boundary counts as zone 1
        09:00-09:10 metro b>c = 1.50
        10:00-10:10 metro a>c = 2.40
        11:00-11:10 metro a>d = held   # three zones
        """,
    )


def test_rules_in_order_and_the_basis_last() -> None:
    rules = """
[[fare]]
name = "Night bus"
products = ["bus"]
days = ["tue"]
from = "22:00"
to = "24:00"
kind = "flat"
fare = "4.00"
[[fare]]
name = "Bus"
products = ["bus"]
kind = "lines"
[fare.line]
"7" = "1.20"
"8" = { adult = "1.60" }
[[fare]]
name = "To the harbour"
to_zones = ["3"]
kind = "flat"
fare = "6.00"
[[fare]]
name = "Children from the harbour"
classes = ["child"]
from_stops = ["d"]
kind = "flat"
fare = "0.30"
"""
    charges(
        Pricer(tariff_with(rules), STREET),
        """
        08:00 bus line=7 = 1.20
        08:10 bus line=8 = 1.60
        08:20 bus line=9 = held
        22:10 bus line=9 = 4.00
        09:00-09:10 metro a>d = 6.00
        10:00-10:10 metro d>a = 2.00                # the basis
        11:00-11:10 metro a>d class=child = 3.00    # half of it
        12:00-12:10 metro d>a class=child = 0.30    # a rule that names classes says what they pay
        """,
    )


def test_pairs_by_class_medium_and_hour() -> None:
    basis = '[basis]\nkind = "pairs"\nfile = "fares.csv"\namounts = "major"\n'
    table = """origin,destination,adult/card,adult/cash@peak,adult/cash,child
a,b,1.10,2.50,2.00,0.40
"""
    top = """default_band = "off-peak"
media = ["card", "cash"]
[[band]]
name = "peak"
days = ["tue"]
from = "07:00"
to = "09:00"
"""
    classes = CLASSES.replace("[classes.child]\npercent = 50", "[classes.child]\ncolumn = true")
    end = '[journey]\nmax_minutes = 240\n[incomplete]\nfare = { adult = "10.00", child = "5.00" }\n'
    pricer = Pricer(tariff_with(basis=basis, table=table, top=top, classes=classes, end=end), STREET)

    charges(
        pricer,
        """
        08:00-08:10 metro a>b medium=card = 1.10
        08:20-08:30 metro a>b medium=cash = 2.50
        10:00-10:10 metro b>a medium=cash = 2.00
        11:00-11:10 metro b>a medium=cash class=child = 0.40
        12:00-12:10 metro a>c medium=cash = held
        """,
    )


PAIRS = '[basis]\nkind = "pairs"\nfile = "fares.csv"\namounts = "major"\n'


def test_one_row_serves_both_ways_and_an_equal_one_for_the_way_back_may_stand_there() -> None:
    table = "origin,destination,via,adult\na,b,,1.10\nb,a,,1.10\na,c,,2.00\na,b,d,1.00\nb,a,d,1.00\n"

    charges(
        Pricer(tariff_with(basis=PAIRS, table=table), STREET),
        """
        08:00-08:10 metro a>b = 1.10
        08:20-08:30 metro b>a = 1.10
        08:40-08:50 metro c>a = 2.00
        """,
    )


@pytest.mark.parametrize(
    ("rows", "where", "remedy"),
    [
        ("a,b,,1.10\nb,a,,1.20\n", "line 3, field destination", "Line 2 has another .*symmetric = false"),
        (
            "a,b,,1.10\na,b,d,1.00\nb,a,d,1.10\n",
            "line 4, field via",
            "Line 3 has another .*symmetric = false",
        ),
        ("a,b,,1.10\na,b,,1.10\n", "line 3, field destination", "Leave one row"),
        ("a,a,,1.10\na,a,,1.10\n", "line 3, field destination", "Leave one row"),
    ],
)
def test_two_fares_of_a_pair_are_refused_with_the_remedy(rows: str, where: str, remedy: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        tariff_with(basis=PAIRS, table="origin,destination,via,adult\n" + rows)

    assert [one.where for one in refused.value.problems] == [f"fares.csv {where}"]
    assert re.search(remedy, refused.value.problems[0].remedy)


# -- what cannot be said --------------------------------------------------------------------------------------


def test_rides_of_one_mode_are_joined_over_another_between_only_where_all_join() -> None:
    join = '[[join]]\nname = "One fare"\nwithin_minutes = 60\nproducts = {products}\n'
    rides = "08:00-08:10 bus a>b = 2.00\n08:15-08:25 metro b>c = {train}\n08:30-08:40 bus c>d = {bus}"

    for products, train, bus in (('["bus"]', "2.00", "2.00"), ('["bus", "metro"]', "0.00", "0.00")):
        pricer = Pricer(tariff_with(join.format(products=products)), STREET)
        charges(pricer, rides.format(train=train, bus=bus))


def test_a_discount_for_all_rides_names_all_days() -> None:
    less = '[[discount]]\nname = "Half"\npercent = 50\n'
    every = 'days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun", "holiday"]\n'

    with pytest.raises(InvalidInput, match="Say which rides cost less"):
        tariff_with(less)

    charges(Pricer(tariff_with(less + every), STREET), "08:00-08:10 metro a>b = 1.00")


# -- who ------------------------------------------------------------------------------------------------------


def test_classes_of_the_tariffs_own() -> None:
    classes = """
[classes.adult]
percent = 100
[classes.youth]
percent = 60
[classes.student]
as = "youth"
[classes.child]
as = "youth"
[classes.senior]
percent = 100
[classes.veteran]
percent = 0
"""
    charges(
        Pricer(tariff_with(classes=classes), STREET),
        """
        08:00-08:10 metro a>b class=student = 1.20
        09:00-09:10 metro a>b class=youth = 1.20
        10:00-10:10 metro a>b class=veteran = 0.00
        11:00-11:10 metro a>b class=visitor = held    # the tariff knows no such class
        """,
    )


@pytest.mark.parametrize(
    ("says", "residence", "rider", "payer"),
    [
        # what the tariff says | where the rider lives | of 2.00 the rider pays | and the member
        ('percent = 100, residents = ["lyon"]', "lyon", 0, 200),
        ('percent = 100, residents = ["lyon"]', "paris", 200, 0),
        ('percent = 100, residents = ["lyon"]', "", 200, 0),
        ("percent = 30", "", 140, 60),
        ('amount = "0.75"', "", 125, 75),
        ('amount = "9.00"', "", 0, 200),
    ],
)
def test_another_member_pays_a_part_of_a_concession(
    says: str, residence: str, rider: int, payer: int
) -> None:
    classes = CLASSES.replace(
        "[classes.senior]\npercent = 100",
        f'[classes.senior]\npercent = 100\nsubsidy = {{ payer = "lyon-city", {says} }}',
    )
    pricer = Pricer(tariff_with(classes=classes), STREET)
    journey = ride(pricer.tariff, "08:00-08:10 metro a>b class=senior")

    fare = pricer.price_day([journey], Counters(), Around(residence=residence))[0]

    assert fare.amount_minor == rider
    assert fare.subsidy == (Payment("lyon-city", payer) if payer else None)
    assert fare.whole_minor == 200


def test_a_subsidy_is_of_what_caps_leave_and_caps_count_the_whole_fare() -> None:
    classes = CLASSES.replace(
        "[classes.senior]\npercent = 100",
        '[classes.senior]\npercent = 100\nsubsidy = { payer = "lyon-city", percent = 50 }',
    )
    pricer = Pricer(tariff_with('[[cap]]\nperiod = "day"\namount = "5.00"\n', classes=classes), STREET)
    rides = [ride(pricer.tariff, f"{hour}:00-{hour}:10 metro a>b class=senior") for hour in (10, 11, 12, 13)]

    fares = pricer.price_day(rides, Counters())

    assert [fare.whole_minor for fare in fares] == [200, 200, 100, 0]
    assert [fare.amount_minor for fare in fares] == [100, 100, 50, 0]


# -- when -----------------------------------------------------------------------------------------------------


def test_hours_by_entry_by_exit_and_by_the_first_tap_of_the_trip() -> None:
    def fare_at(tap: str) -> Pricer:
        top = f"""default_band = "off-peak"
[[band]]
name = "peak"
days = ["tue"]
from = "07:00"
to = "09:00"
tap = "{tap}"
"""
        basis = '[basis]\nkind = "flat"\nfare = { peak = "3.00", off-peak = "2.00" }\n'
        transfer = '[[transfer]]\nwindow_from = "exit"\nwindow_minutes = 30\npercent = 50\n'
        return Pricer(tariff_with(transfer, top=top, basis=basis), STREET)

    rides = """
        06:50-07:10 metro a>b = {0}
        08:50-09:10 metro b>c = {1}
        09:20-09:30 metro c>a = {2}    # a transfer, at half the price
        """
    charges(fare_at("entry"), rides.format("2.00", "3.00", "1.00"))
    charges(fare_at("exit"), rides.format("3.00", "2.00", "1.00"))
    charges(fare_at("first"), rides.format("2.00", "3.00", "1.50"))


# -- fees -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("per", "cents"),
    [("leg", [250, 50, 250]), ("trip", [250, 0, 250]), ("day", [250, 0, 200])],
)
def test_a_fee_for_each_leg_trip_or_day(per: str, cents: list[int]) -> None:
    rules = f"""
[[fee]]
name = "Boarding"
per = "{per}"
amount = {{ adult = "0.50", child = "0.20" }}
[[transfer]]
window_from = "exit"
window_minutes = 30
percent = 0
"""
    pricer = Pricer(tariff_with(rules), STREET)
    rides = [
        ride(pricer.tariff, f"{clock} metro a>b") for clock in ("08:00-08:10", "08:30-08:40", "12:00-12:10")
    ]

    assert [fare.amount_minor for fare in pricer.price_day(rides, Counters())] == cents


def test_fees_stand_outside_caps_tiers_and_discounts_unless_they_say_otherwise() -> None:
    rules = """
[[fee]]
name = "Apart"
lines = ["1", "3"]
amount = "0.50"
[[fee]]
name = "Within"
lines = ["2", "3"]
discounts = true
caps = true
tiers = true
amount = "0.40"
[[discount]]
name = "Half"
percent = 50
products = ["metro"]
[[cap]]
period = "day"
amount = "3.50"
"""
    charges(
        Pricer(tariff_with(rules), STREET),
        """
        08:00-08:10 metro a>b line=1 = 1.50    # half of 2.00, and 0.50
        09:00-09:10 metro a>b line=2 = 1.20    # half of 2.40
        10:00-10:10 metro a>b line=3 = 1.70    # half of 2.40 and 0.50; in the cap so far 1.00 + 1.20 + 1.20
        11:00-11:10 metro a>b line=3 = 0.60    # 0.10 to the cap, and 0.50
        """,
    )


# -- transfers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("way", "charged"),
    [
        # bus 2.00, metro 3.00, bus 2.00, within the window
        ("percent = 0", "2.00 0.00 0.00"),
        ("percent = 50", "2.00 1.50 1.00"),
        ('less = "0.80"', "2.00 2.20 1.20"),
        ('less = "9.00"', "2.00 0.00 0.00"),
        ("difference = true", "2.00 1.00 0.00"),
        ('chain_max = "4.50"', "2.00 2.50 0.00"),
        ("percent = 0\ncount_max = 1", "2.00 0.00 2.00"),
        ("percent = 0\nother_product = true", "2.00 0.00 0.00"),
        ('percent = 0\nsame_line = "never"', "2.00 0.00 2.00"),
        ('percent = 0\nsame_line = "not_next"', "2.00 0.00 0.00"),
        ('percent = 0\nafter = { products = ["metro"] }', "2.00 0.00 2.00"),
        ('percent = 0\nat = [["b", "b"]]', "2.00 0.00 2.00"),
    ],
)
def test_what_a_transfer_costs(way: str, charged: str) -> None:
    rules = f"""
[[fare]]
name = "Metro"
products = ["metro"]
kind = "flat"
fare = "3.00"
[[transfer]]
window_from = "last_tap"
window_minutes = 30
{way}
"""
    first, second, third = charged.split()
    charges(
        Pricer(tariff_with(rules), STREET),
        f"""
        08:00-08:10 bus a>b line=1 = {first}
        08:20-08:30 metro b>c line=m = {second}
        08:45-08:55 bus c>a line=1 = {third}
        """,
    )


@pytest.mark.parametrize(
    ("window_from", "charged"),
    [
        ("first_tap", [200, 0, 200]),
        ("last_tap", [200, 0, 0]),
        ("exit", [200, 0, 0]),
    ],
)
def test_where_the_window_is_counted_from(window_from: str, charged: list[int]) -> None:
    rules = f'[[transfer]]\nwindow_from = "{window_from}"\nwindow_minutes = 40\npercent = 0\n'
    pricer = Pricer(tariff_with(rules), STREET)
    rides = [
        ride(pricer.tariff, f"{clock} bus a>b") for clock in ("08:00-08:05", "08:30-08:40", "09:10-09:20")
    ]

    assert [fare.amount_minor for fare in pricer.price_day(rides, Counters())] == charged


def test_a_trip_across_a_border_is_paid_in_each_operators_currency() -> None:
    """Basel and Saint-Louis: each side charges its own leg, and the leg before opens the window."""
    rules = """
[[transfer]]
name = "From over the border"
before = { operators = ["OTHER"] }
window_from = "exit"
window_minutes = 60
percent = 50
"""
    french = tariff_with(rules.replace("OTHER", "basel"))
    swiss = replace(tariff_with(rules.replace("OTHER", "saint-louis")), currency="CHF")
    out = ride(french, "08:00-08:20 tram a>b operator=saint-louis")
    on = replace(ride(french, "08:30-08:50 tram c>d operator=basel"), cti=b"same phone")

    in_france = Pricer(french, STREET).price_day([out], Counters(), Around(others=(on,)))[0]
    in_basel = Pricer(swiss, STREET).price_day([on], Counters(), Around(others=(out,)))[0]
    alone = Pricer(swiss, STREET).price_day([on], Counters())[0]

    assert (in_france.amount_minor, in_france.currency) == (200, "EUR")
    assert (in_basel.amount_minor, in_basel.currency) == (100, "CHF")
    assert alone.amount_minor == 200


# -- joins ----------------------------------------------------------------------------------------------------


def test_rides_joined_by_their_ends_between_named_stations() -> None:
    rules = """
[[join]]
name = "On foot"
within_minutes = 20
at = [["b", "c"]]
priced_by = "ends"
"""
    basis = """[basis]
kind = "distance"
[[basis.band]]
up_to_m = 2000
fare = "1.00"
[[basis.band]]
up_to_m = 6000
fare = "1.80"
[[basis.band]]
up_to_m = 10000
fare = "2.60"
"""
    charges(
        Pricer(tariff_with(rules, basis=basis), STREET),
        """
        08:00-08:10 metro a>b = 1.00
        08:20-08:40 metro c>d = 1.60       # a to d: 9,000 m, 2.60
        10:00-10:10 metro a>b = 1.00
        10:31-10:40 metro c>d = 1.80       # 21 minutes: a fare of its own
        12:00-12:10 metro a>c = 1.80
        12:20-12:30 metro c>d = 1.80       # not between the named stations
        14:00-14:10 metro a>b = 1.00
        14:20-14:30 metro c>a = 0.00       # there and back: nothing is given back either
        """,
    )


def test_joined_rides_are_priced_through_the_zones_where_one_changed() -> None:
    zones = """[basis]
kind = "zones"
order = ["1", "2", "3"]
[[basis.span]]
zones = ["1", "2", "3"]
fare = "1.00"
[[basis.span]]
zones = ["1-2", "2-3"]
fare = "1.50"
[[basis.span]]
zones = ["1-3"]
fare = "2.20"
"""
    for by, second in (("ends", "0.00"), ("zones", "0.70")):
        rules = f'[[join]]\nname = "Change"\nwithin_minutes = 20\npriced_by = "{by}"\n'
        charges(
            Pricer(tariff_with(rules, basis=zones), STREET),
            f"""
            08:00-08:10 metro c>a = 1.50
            08:20-08:30 metro a>d = {second}     # zones 2-1-3 are three; the ends, 2 and 3, are two
            """
            if by == "zones"
            else """
            08:00-08:10 metro c>a = 1.50
            08:20-08:30 metro a>c = 0.00
            """,
        )


# -- tiers, passes, caps --------------------------------------------------------------------------------------


def test_half_price_after_so_many_trips_in_a_week() -> None:
    rules = """
[[tier]]
name = "Reward"
period = "week"
from_rides = 3
percent = 50
[[transfer]]
window_from = "exit"
window_minutes = 20
percent = 80
"""
    pricer = Pricer(tariff_with(rules), STREET)
    clocks = ("08:00-08:10", "08:20-08:30", "10:00-10:10", "12:00-12:10", "14:00-14:10", "14:20-14:30")
    rides = [ride(pricer.tariff, f"{clock} bus a>b") for clock in clocks]

    fares = pricer.price_day(rides, Counters())
    later = pricer.price_day(rides[:2], Counters(counts={"week:tier Reward:rides": 3}))

    assert [fare.amount_minor for fare in fares] == [
        200,
        160,
        200,
        200,
        100,
        80,
    ]  # transfers are the same trip
    assert [fare.amount_minor for fare in later] == [100, 80]
    assert sum(fare.counts.get("week:tier Reward:rides", 0) for fare in fares) == 4


def test_a_ladder_for_some_rides_counts_those_only() -> None:
    rules = """
[[tier]]
name = "Bus month"
period = "month"
from = "4.00"
percent = 50
products = ["bus"]
"""
    charges(
        Pricer(tariff_with(rules), STREET),
        """
        08:00 bus = 2.00
        09:00 metro = 2.00
        10:00 bus = 2.00
        11:00 bus = 1.00
        12:00 metro = 2.00
        """,
    )


PASS = """
[[pass]]
name = "Month 1-2"
zones = ["1", "2"]
extend = true
[[pass]]
name = "Bus half"
products = ["bus"]
percent = 50
[basis]
kind = "zones"
order = ["1", "2", "3"]
[[basis.span]]
zones = ["1", "2", "3"]
fare = "1.00"
[[basis.span]]
zones = ["1-2", "2-3"]
fare = "1.50"
[[basis.span]]
zones = ["1-3"]
fare = "2.20"
"""


def test_a_pass_makes_rides_free_or_cheaper_while_it_lasts() -> None:
    pricer = Pricer(tariff_with(PASS, basis=""), STREET)
    rides = [
        ride(pricer.tariff, one)
        for one in ("08:00-08:10 metro a>c", "09:00-09:10 metro a>d", "10:00-10:10 bus c>d")
    ]

    def with_pass(name: str, from_day: date, until_day: date) -> list[int]:
        held = Around(passes=(HeldPass(name, from_day, until_day),))
        return [fare.amount_minor for fare in pricer.price_day(rides, Counters(), held)]

    assert with_pass("Month 1-2", TUESDAY, TUESDAY) == [0, 100, 100]  # beyond it, zone 3 alone
    assert with_pass("Bus half", TUESDAY, TUESDAY) == [150, 220, 75]
    assert with_pass("Month 1-2", TUESDAY + timedelta(1), TUESDAY + timedelta(9)) == [150, 220, 150]
    assert with_pass("Unknown", TUESDAY, TUESDAY) == [150, 220, 150]


SETS = """
[basis]
kind = "zone-sets"
through = false
[[basis.set]]
zones = ["1"]
fare = "2.00"
[[basis.set]]
zones = ["2"]
fare = "1.60"
[[basis.set]]
zones = ["2", "3"]
fare = "2.10"
[[basis.set]]
zones = ["1", "2", "3"]
fare = "3.50"
"""
COUNTS = """
[basis]
kind = "zone-count"
through = false
[[basis.count]]
zones = 1
fare = "1.50"
[[basis.count]]
zones = 2
fare = "2.40"
"""


@pytest.mark.parametrize(("basis", "alone", "beyond"), [(SETS, 350, 210), (COUNTS, 240, 150)])
def test_a_pass_and_a_cap_for_some_of_the_zones_that_a_ride_touches(
    basis: str, alone: int, beyond: int
) -> None:
    """a in zone 1, d in zone 3: with zone 1 held, only what zone 3 costs is paid."""
    rules = '[[pass]]\nname = "Zone 1"\nzones = ["1"]\nextend = true\n'
    cap = '[[cap]]\nname = "Zone 1"\nperiod = "day"\nzones = ["1"]\nextend = true\namount = "2.00"\n'
    held = Around(passes=(HeldPass("Zone 1", TUESDAY, TUESDAY),))
    pricer = Pricer(tariff_with(rules, basis=basis), STREET)
    rides = [ride(pricer.tariff, f"{hour}:00-{hour}:10 metro a>d", number=hour) for hour in (10, 11, 12)]

    by_pass = pricer.price_day(rides, Counters(), held)
    by_cap = Pricer(tariff_with(cap, basis=basis), STREET).price_day(rides, Counters())

    assert [fare.amount_minor for fare in by_pass] == [beyond] * 3
    assert sum(fare.amount_minor for fare in by_cap) == min(3 * alone, 200 + 3 * beyond)


def test_a_pass_between_some_stops_is_good_for_its_part_of_a_longer_way() -> None:
    basis = """
[basis]
kind = "distance"
[[basis.band]]
up_to_m = 3000
fare = "1.00"
[[basis.band]]
up_to_m = 6000
fare = "1.80"
[[basis.band]]
up_to_m = 10000
fare = "2.60"
"""
    rules = '[[pass]]\nname = "a to c"\nwithin = ["a", "b", "c"]\nextend = {}\n'
    held = Around(passes=(HeldPass("a to c", TUESDAY, TUESDAY),))
    for extend, charged in (("true", [0, 180, 180, 100]), ("false", [0, 260, 180, 100])):
        pricer = Pricer(tariff_with(rules.format(extend), basis=basis), STREET)
        rides = [
            ride(pricer.tariff, one)
            for one in (
                "08:00-08:10 metro a>c",
                "09:00-09:10 metro a>d",  # from c on: 5,000 m
                "10:00-10:10 metro d>c",
                "11:00-11:10 metro d>d",  # neither end
            )
        ]

        fares = pricer.price_day(rides, Counters(), held)

        assert [fare.amount_minor for fare in fares] == charged


def test_a_ticket_of_72_hours_from_its_first_use_over_days() -> None:
    pricer = Pricer(tariff_with('[[pass]]\nname = "72 hours"\n'), STREET)
    first = ride(pricer.tariff, "18:00 bus").started_at
    held = HeldPass("72 hours", TUESDAY, TUESDAY + timedelta(3), first, first + timedelta(hours=72))

    for days, clock, cents in ((0, "17:59", 200), (0, "18:00", 0), (3, "17:59", 0), (3, "18:00", 200)):
        one = ride(pricer.tariff, f"{clock} bus", day=TUESDAY + timedelta(days))
        assert pricer.price_day([one], Counters(), Around(passes=(held,)))[0].amount_minor == cents


@pytest.mark.parametrize(
    ("ridden", "day", "opened"),
    [
        # days ridden | today | first day of the window today lies in
        ([], 5, None),
        ([1], 5, 1),
        ([1], 7, 1),
        ([1], 8, None),
        ([1, 6], 8, None),  # the 6th lies in the window of the 1st
        ([1, 6, 9], 10, 9),
        ([1, 6, 8], 14, 8),
        ([3, 9], 9, 3),
    ],
)
def test_a_rolling_window_begins_with_its_first_ride(ridden: list[int], day: int, opened: int | None) -> None:
    days = {date(2026, 1, one): 1 for one in ridden}

    found = open_window(days, 7, date(2026, 1, day))

    assert found == (None if opened is None else date(2026, 1, opened))


def test_a_cap_over_seven_days_goes_on_from_its_window() -> None:
    pricer = Pricer(tariff_with('[[cap]]\nperiod = "7 days"\nname = "Seven days"\namount = "5.00"\n'), STREET)
    rides = [ride(pricer.tariff, f"{hour}:00-{hour}:10 bus a>b") for hour in (10, 11)]
    key = "7d:cover "

    first = pricer.price_day(rides, Counters())
    counts = {name: sum(fare.counts.get(name, 0) for fare in first) for name in (key, "7d:cover Seven days")}
    second = pricer.price_day(rides, Counters(counts=counts))

    assert counts == {key: 400, "7d:cover Seven days": 0}
    assert [fare.amount_minor for fare in second] == [100, 0]
    assert pricer.tariff.counted == {"7d"}


# -- a missing tap --------------------------------------------------------------------------------------------

HABIT = """
[journey]
max_minutes = 240
[incomplete]
fare = "9.00"
habit = { percent = 80, rides = 5 }
"""


@pytest.mark.parametrize(
    ("habits", "cents"),
    [
        ({}, 900),
        ({"a": {"c": 5}}, 250),
        ({"a": {"c": 4, "d": 1}}, 250),
        ({"a": {"c": 4}}, 900),  # too few
        ({"a": {"c": 3, "d": 2}}, 900),  # no habit
        ({"b": {"c": 9}}, 900),  # from elsewhere
    ],
)
def test_a_missing_exit_is_where_the_rider_nearly_always_goes(
    habits: dict[str, dict[str, int]], cents: int
) -> None:
    basis = """[basis]
kind = "distance"
[[basis.band]]
up_to_m = 2000
fare = "1.00"
[[basis.band]]
up_to_m = 5000
fare = "2.50"
"""
    pricer = Pricer(tariff_with(basis=basis, end=HABIT), STREET)
    no_exit = ride(pricer.tariff, "08:00-08:00 metro a>?")

    fare = pricer.price_day([no_exit], Counters(), Around(habits=habits))[0]

    assert fare.amount_minor == cents
    assert ("habit" in {step.rule for step in fare.steps}) == (cents == 250)


def test_a_habit_gives_way_to_the_exit_that_comes_later() -> None:
    pricer = Pricer(tariff_with(end=HABIT), STREET)
    habits = Around(habits={"a": {"c": 9}})
    known = ride(pricer.tariff, "08:00-08:20 metro a>b")

    guessed = pricer.price_day([replace(known, kind="no_exit", destination=None)], Counters(), habits)[0]
    corrected = pricer.price_day([known], Counters(), habits)[0]

    assert guessed.steps[0].text == (
        "No exit tap; priced as usual to or from C, as 9 of 9 earlier rides at A; a tap that comes later corrects it"
    )
    assert corrected == pricer.price_day([known], Counters())[0]


# -- explaining -----------------------------------------------------------------------------------------------


def test_what_if_says_the_fare_with_its_steps_and_clauses() -> None:
    rules = '[[fee]]\nname = "Harbour"\nstops = ["d"]\namount = "0.50"\n'
    pricer = Pricer(tariff_with(rules), STREET)
    at = ride(pricer.tariff, "08:00-08:10 metro a>d").started_at

    fare = pricer.explain("a", "d", at, "child")

    assert fare.amount_minor == 150
    assert [step.text for step in fare.steps] == [
        "A to D",
        "Flat fare, adult: €2.00",
        "Child pays 50 %: −€1.00",
        "Harbour: €0.50",
    ]
    lines = pricer.tariff.source.toml.splitlines()
    for step, header in zip(fare.steps[1:], ("[basis]", "[classes.child]", "[[fee]]"), strict=True):
        assert lines[int(step.clause.rsplit(" ", 1)[1]) - 1] == header


def test_what_if_there_is_no_fare_says_why() -> None:
    pricer = Pricer(
        tariff_with('[[fare]]\nname = "x"\nproducts = ["bus"]\nkind = "lines"\nline = { "1" = "1.00" }\n'),
        STREET,
    )
    at = ride(pricer.tariff, "08:00-08:10 metro a>d").started_at

    fare = pricer.explain("a", "d", at, "adult", product="bus", line_id="2")

    assert (shown(fare), fare.steps[-1].text) == (
        None,
        "Held for the operator, nothing is charged: the tariff has no fare for line 2",
    )


def test_every_rule_has_words_in_every_language() -> None:
    assert LANGUAGES == ("en", "zh", "fr")
    assert en.WORDS.keys() == zh.WORDS.keys() == fr.WORDS.keys() == RULES
    assert say("unheard-of", 150, "EUR", {}) == "unheard-of: €1.50"
    assert say("fee", 150, "EUR", {"name": "Port"}, "de") == "Port: €1.50"
    assert say("fee", 150, "EUR", {"name": "Port"}, "fr-CH") == "Port : €1.50"
    taken = {"over_m": 12_500, "up_to_m": 16_000, "class": "senior", "band": "peak"}
    assert say("distance", 410, "EUR", taken, "fr") == (
        "Tranche de 12,5 à 16 km, heures de pointe, senior : €4.10"
    )
    assert say("flat", 300, "CNY", {"class": "adult"}, "zh-CN") == "单一票价（成人）：¥3.00"


# -- stops, minutes, the cheapest of several ------------------------------------------------------------------

LOOP = Town(
    dict.fromkeys("abcdefg", 0),
    lines={
        "1": Track((("a", 0), ("b", 1), ("c", 1), ("d", 1), ("e", 1))),
        "2": Track((("c", 0), ("f", 1), ("g", 1))),
        "ring": Track((("a", 1), ("f", 1), ("e", 1), ("g", 1)), loop=True),
    },
)
BY_STOPS = """[basis]
kind = "distance"
measure = "stops"
[[basis.band]]
up_to_stops = 2
fare = "1.00"
[[basis.band]]
up_to_stops = 3
fare = "1.50"
[basis.beyond]
every_stops = 2
add = "0.20"
"""


def test_by_how_many_stops_are_ridden() -> None:
    pricer = Pricer(tariff_with(basis=BY_STOPS), LOOP)

    charges(
        pricer,
        """
        08:00-08:10 metro a>c line=1 = 1.00
        08:20-08:30 metro e>b line=1 = 1.50
        08:40-08:50 metro a>e line=1 = 1.70    # four along the line, though two round the ring
        09:00-09:10 metro a>e = 1.00           # the line is not known: the fewest
        09:20-09:30 metro g>a line=ring = 1.00
        09:40-09:50 metro b>g line=9 = 1.00    # by way of a, on the ring
        10:00-10:10 metro a>z = held
        """,
    )
    fare = pricer.price_day([ride(pricer.tariff, "08:40-08:50 metro a>e line=1")], Counters())[0]
    assert [step.text for step in fare.steps] == ["A to E: 4 stops", "4 to 5 stops, adult: €1.70"]
    assert [step.said("zh") for step in fare.steps] == ["A 至 E：4 站", "4 至 5 站（成人）：€1.70"]


def test_by_minutes_and_joined_rides_by_all_of_them() -> None:
    basis = """[basis]
kind = "distance"
measure = "minutes"
[[basis.band]]
up_to_minutes = 30
fare = "1.20"
[[basis.band]]
up_to_minutes = 90
fare = "1.60"
"""
    rules = '[[join]]\nname = "Ticket by time"\nwithin_minutes = 90\nmax_minutes = 90\n'
    end = '[journey]\nmax_minutes = 240\n[incomplete]\nfare = "highest"\n'

    charges(
        Pricer(tariff_with(rules, basis=basis, end=end), STREET),
        """
        08:00-08:20 metro a>b = 1.20
        08:25-08:29 metro b>c = 0.00      # 29 minutes in all
        08:40-08:55 metro c>d = 0.40      # 55
        10:00-10:31 metro a>b = 1.60
        14:00-14:00 metro a>? = 1.60      # no exit: as long as the fares go
        """,
    )


def test_the_cheapest_of_several_bases() -> None:
    basis = """[basis]
kind = "cheapest"
[[basis.either]]
kind = "distance"
measure = "stops"
[[basis.either.band]]
up_to_stops = 2
fare = "1.90"
[[basis.either]]
kind = "flat"
fare = "2.60"
"""
    charges(
        Pricer(tariff_with(basis=basis), LOOP),
        """
        08:00-08:10 metro a>c line=1 = 1.90
        09:00-09:10 metro a>d line=1 = 2.60
        10:00-10:10 bus line=1 = 2.60
        """,
    )


@pytest.mark.parametrize(
    ("way", "charged"),
    [
        ("percent = [50, 25]", [200, 100, 50, 50]),
        ('fare = "0.30"', [200, 30, 30, 30]),
        ('fare = ["1.20", { adult = "0.50", child = "0.20" }]', [200, 120, 50, 50]),
        ('fare = "9.00"', [200, 200, 200, 200]),
    ],
)
def test_transfers_that_cost_less_each_time_or_a_price_of_their_own(way: str, charged: list[int]) -> None:
    rules = f'[[transfer]]\nwindow_from = "first_tap"\nwindow_minutes = 120\n{way}\n'
    pricer = Pricer(tariff_with(rules), STREET)
    rides = [ride(pricer.tariff, f"08:{minute} bus line={minute}") for minute in ("00", "20", "40", "50")]

    assert [fare.amount_minor for fare in pricer.price_day(rides, Counters())] == charged


def test_a_window_from_the_next_full_hour() -> None:
    rules = '[[transfer]]\nwindow_from = "next_hour"\nwindow_minutes = 120\npercent = 0\n'

    charges(
        Pricer(tariff_with(rules), STREET),
        """
        08:05 bus line=1 = 2.00
        08:20 bus line=2 = 0.00
        11:00 bus line=3 = 0.00      # 09:00 and two hours
        11:01 bus line=4 = 2.00
        """,
    )


def test_only_what_it_costs_more_than_a_partners_ride() -> None:
    rules = """
[[transfer]]
before = { operators = ["express"] }
window_from = "first_tap"
window_minutes = 120
difference = true
"""
    pricer = Pricer(tariff_with(rules), STREET)
    other = ride(pricer.tariff, "08:00-08:30 rail x>y operator=express")
    own = ride(pricer.tariff, "08:40 bus line=1")

    for paid, rest in ((0, 200), (125, 75), (900, 0)):
        around = Around(others=(other,), paid={other.journey_id: paid})
        assert pricer.price_day([own], Counters(), around)[0].amount_minor == rest


# -- caps by what, and what a wallet must hold ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scope", "charged"),
    [
        # bus by red 7-9 in zone 1, tram by blue in zones 1-2, then bus by red to zone 3: 2.00 each, twice
        ("", "2.00 2.00 1.00 0.00 0.00 0.00"),
        ('products = ["bus"]', "2.00 2.00 2.00 1.00 2.00 0.00"),
        ('operators = ["blue"]', "2.00 2.00 2.00 2.00 2.00 2.00"),
        ('operators = ["red"]', "2.00 2.00 2.00 1.00 2.00 0.00"),
        ('zones = ["1", "2"]', "2.00 2.00 2.00 1.00 0.00 2.00"),
        ('lines = ["7"]', "2.00 2.00 2.00 2.00 2.00 2.00"),
        ('classes = ["senior"]', "2.00 2.00 2.00 2.00 2.00 2.00"),
        ('bands = ["early"]', "2.00 2.00 2.00 2.00 2.00 2.00"),
    ],
)
def test_a_cap_by_mode_operator_zones_line_class_or_hour(scope: str, charged: str) -> None:
    top = 'default_band = "day"\n[[band]]\nname = "early"\ndays = ["tue"]\nfrom = "05:00"\nto = "09:30"\n'
    pricer = Pricer(
        tariff_with(f'[[cap]]\nname = "Cap"\nperiod = "day"\n{scope}\namount = "5.00"\n', top=top), STREET
    )
    paid = charged.split()

    charges(
        pricer,
        f"""
        08:00-08:10 bus a>a line=7 operator=red = {paid[0]}
        09:00-09:10 tram a>c line=1 operator=blue = {paid[1]}
        10:00-10:10 bus a>d line=8 operator=red = {paid[2]}
        11:00-11:10 bus a>a line=7 operator=red = {paid[3]}
        12:00-12:10 tram a>c line=1 operator=blue = {paid[4]}
        13:00-13:10 bus a>d line=8 operator=red = {paid[5]}
        """,
    )


def test_what_a_wallet_must_hold_to_enter_by_class() -> None:
    tariff = tariff_with(top='minimum_balance = { adult = "3.00", child = "1.00" }\n')

    assert tariff.minimum_balance is not None
    assert [tariff.minimum_balance.find("", who) for who in ("adult", "child", "senior")] == [300, 100, None]
    assert tariff_with().minimum_balance is None
