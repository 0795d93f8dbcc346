"""Rides one after the other: joined by the farthest, under whose hour, after a transfer, and over the edge of a day."""

from dataclasses import replace
from datetime import date, timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fares.cases import TUESDAY, Town, charges, ride, tariff_with
from fares.test_fare_properties import counts_of
from hansa.fares import Around, Counters, Journey, Pricer
from hansa.kernel import InvalidInput

STREET = Town(
    {"a": 0, "b": 1_500, "c": 4_000, "d": 9_000},
    spots={"a": (50.0, 4.0), "b": (50.0, 4.02), "c": (50.0, 4.05), "d": (50.0, 4.13)},
)
BANDS = """[basis]
kind = "distance"
{measure}
[[basis.band]]
up_to_m = 2000
fare = {{ peak = "2.00", off-peak = "1.00" }}
[[basis.band]]
up_to_m = 5000
fare = {{ peak = "3.60", off-peak = "1.80" }}
[[basis.band]]
up_to_m = 20000
fare = {{ peak = "5.20", off-peak = "2.60" }}
"""
PEAK = """default_band = "off-peak"
[[band]]
name = "peak"
days = ["mon", "tue", "wed", "thu", "fri"]
from = "07:00"
to = "09:00"
"""


def by_bands(rules: str, measure: str = "", **parts: str) -> Pricer:
    tariff = tariff_with(rules, basis=BANDS.format(measure=measure), top=PEAK, **parts)
    return Pricer(tariff, STREET)


# -- by what joined rides are priced ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("by", "second", "third"),
    [
        # a to c, 4,000 m: 1.80 | then c to d: 5,000 m more | then d to a
        ("ends", "0.80", "0.00"),  # a to d 9,000 m; a to a nothing, but nothing is given back
        ("distances", "0.80", "0.00"),  # 9,000 and 18,000 m: the last band both
        ("farthest", "0.80", "0.00"),
    ],
)
def test_there_and_on_and_back(by: str, second: str, third: str) -> None:
    rules = f'[[join]]\nname = "One journey"\nwithin_minutes = 60\npriced_by = "{by}"\n'

    charges(
        by_bands(rules),
        f"""
        12:00-12:10 bus a>c = 1.80
        12:20-12:30 bus c>d = {second}
        12:40-12:50 bus d>a = {third}
        """,
    )


def test_the_farthest_of_any_entry_and_any_exit() -> None:
    """b to c is 2,500 m, c to a 4,000 m, and of all entries and exits c and a lie farthest apart."""
    for by, charged in (("ends", "0.00"), ("distances", "0.80"), ("farthest", "0.00")):
        rules = f'[[join]]\nname = "One journey"\nwithin_minutes = 60\npriced_by = "{by}"\n'
        charges(
            by_bands(rules),
            f"12:00-12:10 bus b>c = 1.80\n12:20-12:30 bus c>a = {charged}",
        )
    rules = '[[join]]\nname = "One journey"\nwithin_minutes = 60\npriced_by = "farthest"\n'
    charges(
        by_bands(rules, 'measure = "straight"'),
        "12:00-12:10 bus b>a = 1.00\n12:20-12:30 bus a>d = 1.60    # 9,291 m from a to d",
    )
    charges(
        by_bands(rules, 'measure = "given"'),
        "12:00-12:10 bus b>a 1.5km = 1.00\n12:20-12:30 bus a>d 9.0km = held",
    )


METRES = "origin,destination,metres\na,b,1999\nb,c,2001\na,c,3900\nc,d,5100\n"


def test_metres_as_the_operator_publishes_them() -> None:
    measure = 'measure = "table"\nfile = "fares.csv"'

    charges(
        by_bands("", measure, table=METRES),
        """
        12:00-12:10 metro a>b = 1.00
        12:20-12:30 metro c>b = 1.80
        12:40-12:50 metro d>c = 2.60
        13:00-13:10 metro a>d = held     # no row
        13:20-13:30 metro a>a = 1.00     # no metres
        """,
    )
    charges(
        by_bands(
            '[[join]]\nname = "x"\nwithin_minutes = 9\npriced_by = "distances"\n', measure, table=METRES
        ),
        "12:00-12:10 metro a>b = 1.00\n12:15-12:20 metro b>c = 0.80",
    )


@pytest.mark.parametrize(
    ("table", "where", "what"),
    [
        ("origin,destination,adult\n", "fares.csv line 1, field origin", "origin, destination, metres"),
        ("origin,destination,metres\na,b\n", "fares.csv line 2, field origin", "no row of two stops"),
        ("origin,destination,metres\na,b,-5\n", "fares.csv line 2, field metres", "'-5' is no number"),
        ("origin,destination,metres\na,b,5\nb,a,6\n", "fares.csv line 3, field destination", "two distances"),
        (
            "origin,destination,metres\na,b,5\nb,a,5\na,b,5\n",
            "fares.csv line 4, field destination",
            "two distances",
        ),
        ('origin,destination,metres\na,"b,5\n', "fares.csv line 2, field origin", "not CSV"),
    ],
)
def test_each_fault_of_a_table_of_metres_is_named(table: str, where: str, what: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        by_bands("", 'measure = "table"\nfile = "fares.csv"', table=table)

    told = refused.value.problems
    assert [one for one in told if one.where == where and what in one.what], [str(one) for one in told]


# -- under whose hour -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hour", "charged"),
    [
        # peak until 09:00. a to b at 08:50: 1,500 m, 2.00; b to d at 09:10: 9,000 m in all, 5.20 or 2.60
        ("first", "2.60"),  # 5.20 less 2.00 is 3.20; but each by itself would be 2.00 and 2.60
        ("last", "0.60"),
        ("dearest", "2.60"),
        ("cheapest", "0.60"),
        ("each", "1.60"),  # 2.60 less the 1.00 that the first 1,500 m cost off-peak
    ],
)
def test_a_joined_ride_of_which_the_hour_changes(hour: str, charged: str) -> None:
    rules = f'[[join]]\nname = "One journey"\nwithin_minutes = 60\npriced_by = "distances"\nhour = "{hour}"\n'
    pricer = by_bands(rules)

    charges(
        pricer,
        f"""
        08:50-09:00 bus a>b = 2.00
        09:10-09:30 bus b>d = {charged}
        """,
    )
    if hour in ("first", "dearest"):
        charges(
            by_bands(rules + "never_more = false\n"),
            "08:50-09:00 bus a>b = 2.00\n09:10-09:30 bus b>d = 3.20     # 5.20 in all, whatever each would cost",
        )
    steps = pricer.price_day(
        [ride(pricer.tariff, "08:50-09:00 bus a>b"), ride(pricer.tariff, "09:10-09:30 bus b>d")], Counters()
    )[1].steps
    said = (
        "those before come to €1.00 at this hour" if hour == "each" else "of which €2.00 is charged already"
    )
    assert said in steps[-1].text
    assert steps[-1].said("zh") != steps[-1].text


@pytest.mark.parametrize(("then", "charged"), [("a>d", "1.60"), ("a>c", "0.80")])
def test_the_hour_of_the_entry_from_which_one_went_farthest(then: str, charged: str) -> None:
    """b to a at 06:50 is 1,500 m, 1.00; then from a at 07:10 on, which is peak: 9,000 or 4,000 m."""
    rules = '[[join]]\nname = "x"\nwithin_minutes = 60\npriced_by = "farthest"\nhour = "farthest"\n'
    peak = {"1.60": "4.20", "0.80": "2.60"}[charged]

    charges(by_bands(rules), f"06:50-07:00 bus b>a = 1.00\n07:10-07:30 bus {then} = {peak}")
    charges(by_bands(rules), f"05:50-06:00 bus b>a = 1.00\n06:10-06:30 bus {then} = {charged}")
    with pytest.raises(InvalidInput, match="problems"):
        tariff_with(rules.replace('priced_by = "farthest"', 'priced_by = "ends"'))


@settings(max_examples=60, deadline=None)
@given(metres=st.lists(st.integers(1, 12_000), min_size=1, max_size=6), starts=st.integers(0, 23 * 60))
def test_when_all_is_one_hour_every_way_to_choose_the_hour_says_the_same(
    metres: list[int], starts: int
) -> None:
    fares: list[list[int]] = []
    for hour in ("first", "last", "dearest", "cheapest", "each"):
        rules = f'[[join]]\nname = "x"\nwithin_minutes = 30\npriced_by = "distances"\nhour = "{hour}"\n'
        pricer = by_bands(rules, 'measure = "given"')
        first = ride(
            pricer.tariff, "00:00-00:05 bus 1m", day=TUESDAY + timedelta(4)
        )  # a Saturday has no peak
        rides = [
            replace(
                ride(pricer.tariff, f"00:00-00:05 bus {one}m", number=number),
                started_at=first.started_at + timedelta(minutes=starts + 30 * number),
                ended_at=first.started_at + timedelta(minutes=starts + 30 * number + 5),
            )
            for number, one in enumerate(metres)
        ]
        fares.append([fare.amount_minor for fare in pricer.price_day(rides, Counters())])

    assert all(one == fares[0] for one in fares)


# -- a transfer to rides that are joined ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("way", "second", "third"),
    [
        # train 4,000 m, then a bus of 1,500 m (1.00) and one of 2,500 m joined to it: 4,000 m, 1.80 in all
        ("percent = 0", "0.00", "0.00"),
        ("percent = 50", "0.50", "0.40"),
        ('less = "0.40"', "0.60", "0.80"),
        ('less = "1.30"', "0.00", "0.50"),  # what the first bus could not use is left for both
        ('fare = "0.70"', "0.70", "0.00"),
        ("difference = true", "0.00", "0.00"),
        ('chain_max = "2.50"', "0.70", "0.00"),
    ],
)
def test_a_transfer_takes_off_from_the_one_fare_that_joined_rides_are(
    way: str, second: str, third: str
) -> None:
    rules = f"""
[[join]]
name = "One bus journey"
products = ["bus"]
same_product = true
within_minutes = 60
priced_by = "distances"
[[transfer]]
name = "Change of mode"
window_from = "exit"
window_minutes = 60
other_product = true
{way}
"""
    charges(
        by_bands(rules),
        f"""
        12:00-12:10 train a>c = 1.80
        12:20-12:30 bus a>b = {second}
        12:40-12:50 bus b>c = {third}
        """,
    )


def test_a_transfer_to_the_same_mode_only() -> None:
    rules = '[[transfer]]\nwindow_from = "exit"\nwindow_minutes = 60\nsame_product = true\npercent = 0\n'

    charges(
        Pricer(tariff_with(rules), STREET),
        """
        12:00-12:10 bus = 2.00
        12:20-12:30 bus = 0.00
        12:40-12:50 tram = 2.00
        13:00-13:10 bus = 2.00
        """,
    )
    with pytest.raises(InvalidInput, match="problems"):
        tariff_with(rules + "other_product = true\n")


# -- over the edge of a service day ----------------------------------------------------------------------------------

NIGHT = """
[[join]]
name = "One journey"
products = ["metro"]
within_minutes = 30
priced_by = "distances"
across_days = true
[[transfer]]
name = "By bus"
before = {{ products = ["bus"] }}
after = {{ products = ["bus"] }}
window_from = "first_tap"
window_minutes = 90
count_max = 3
percent = 0
across_days = {bus}
[[fee]]
name = "Boarding"
per = "trip"
amount = "0.30"
"""


@pytest.mark.parametrize(("bus", "charged"), [("true", [0, 0, 230]), ("false", [230, 0, 0])])
def test_rides_go_on_over_the_edge_of_a_service_day_where_the_rule_says_so(
    bus: str, charged: list[int]
) -> None:
    """The service day begins at 04:00. Rides at 03:30 and 03:50, then 04:10, 04:40 and 05:10."""
    pricer = Pricer(tariff_with(NIGHT.format(bus=bus)), STREET)
    before = tuple(ride(pricer.tariff, f"{clock} bus") for clock in ("03:30", "03:50"))
    today = [ride(pricer.tariff, f"{clock} bus") for clock in ("04:10", "04:40", "05:10")]

    fares = pricer.price_day(today, Counters(), Around(earlier=before))

    assert [fare.amount_minor for fare in fares] == charged
    assert [fare.amount_minor for fare in pricer.price_day(today, Counters())] == [230, 0, 0]


def test_a_ride_that_began_the_day_before_is_joined_to() -> None:
    rules = NIGHT.format(bus="true").replace('amount = "0.30"', 'amount = "0.00"')
    pricer = by_bands(rules)
    night = ride(pricer.tariff, "03:30-03:55 metro a>b")
    morning = ride(pricer.tariff, "04:10-04:30 metro b>d")

    joined = pricer.price_day([morning], Counters(), Around(earlier=(night,)))[0]

    assert joined.amount_minor == 160  # 9,000 m are 2.60, of which 1.00 is priced
    assert pricer.price_day([morning], Counters())[0].amount_minor == 260
    assert pricer.tariff.looks_back == timedelta(minutes=90)
    assert pricer.tariff.asks == {"earlier"}
    assert tariff_with().looks_back == timedelta()


def rides_of_a_night(pricer: Pricer, seed: int) -> list[Journey]:
    """Rides between midnight and the afternoon, with short waits."""
    dice, minutes, rides = Random(seed), 60, list[Journey]()
    for number in range(dice.randint(2, 9)):
        ends = ">".join(dice.sample("abcd", 2))
        lasts = dice.randint(1, 25)
        clock = (
            f"{minutes // 60:02}:{minutes % 60:02}-{(minutes + lasts) // 60:02}:{(minutes + lasts) % 60:02}"
        )
        rides.append(ride(pricer.tariff, f"{clock} {dice.choice(['bus', 'metro'])} {ends}", number=number))
        minutes += lasts + dice.randint(1, 45)
    return rides


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 1_000_000))
def test_two_days_with_an_edge_between_cost_what_one_day_without_it_costs(seed: int) -> None:
    """Every rule holds across days, so where the day is cut changes nothing."""
    rules = NIGHT.format(bus="true")
    cut = by_bands(rules)
    whole = Pricer(replace(cut.tariff, day_starts=cut.tariff.day_starts.replace(hour=0)), STREET)
    rides = rides_of_a_night(cut, seed)
    first = [one for one in rides if cut.tariff.service_day(cut.local(one.started_at)) < TUESDAY]
    rest = rides[len(first) :]

    one_day = whole.price_day(rides, Counters())

    two_days = [
        *cut.price_day(first, Counters()),
        *cut.price_day(rest, Counters(), Around(earlier=tuple(first))),
    ]
    assert [fare.amount_minor for fare in two_days] == [fare.amount_minor for fare in one_day]


# -- tickets of so many hours from the first tap ---------------------------------------------------------------------

HOURS = """
[[cap]]
name = "24-hour ticket"
period = "24 hours"
amount = { adult = "5.00", child = "2.50" }
"""


def test_a_ticket_of_24_hours_from_the_first_tap_is_given_by_itself() -> None:
    pricer = Pricer(tariff_with(HOURS), STREET)
    monday = [
        ride(pricer.tariff, f"{clock} bus", number=hour) for hour, clock in enumerate(("18:00", "19:00"))
    ]
    tuesday = [
        ride(pricer.tariff, f"{clock} bus", day=TUESDAY + timedelta(days=1), number=9 + hour)
        for hour, clock in enumerate(("08:00", "09:00", "17:59", "18:00", "18:30", "19:00"))
    ]

    first = pricer.price_day(monday, Counters())
    second = pricer.price_day(tuesday, Counters(counts=counts_of(first)))

    assert [fare.amount_minor for fare in first] == [200, 200]
    assert [fare.amount_minor for fare in second] == [100, 0, 0, 200, 200, 100]  # a new one from 18:00
    assert second[0].steps[-1].text == "24-hour ticket €5.00 reached: −€1.00"
    assert pricer.tariff.asks == {"hours"}
    assert set(first[0].counts) == {"24h@2026-11-17T17:00:00+00:00:cover "}


def test_a_two_hour_fare_and_a_day_that_costs_no_more_than_two_of_them() -> None:
    """As in Melbourne: any number of rides in two hours cost one fare, and a day two."""
    rules = '[[cap]]\nname = "2 hours"\nperiod = "2 hours"\namount = "2.00"\n[[cap]]\nperiod = "day"\namount = "4.00"\n'

    charges(
        Pricer(tariff_with(rules), STREET),
        """
        08:00 tram = 2.00
        08:30 bus = 0.00
        09:59 tram = 0.00
        10:00 tram = 2.00
        17:00 tram = 0.00
        17:30 tram companion=1 = 2.00
        18:00 tram companion=1 = 0.00
        """,
    )


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 1_000_000), cut=st.integers(0, 8))
def test_a_window_of_hours_cut_into_days_costs_the_same(seed: int, cut: int) -> None:
    rules = HOURS.replace("amount = { adult", 'products = ["bus"]\namount = { adult') + HOURS.replace(
        "24-hour ticket", "All"
    ).replace("5.00", "6.50")
    pricer = Pricer(tariff_with(rules), STREET)
    dice, at = Random(seed), ride(pricer.tariff, "06:00 bus").started_at
    rides: list[Journey] = []
    for number in range(8):
        at += timedelta(minutes=dice.choice([30, 200, 700, 1_440, 2_000]))
        rides.append(
            replace(
                ride(pricer.tariff, f"06:00 {dice.choice(['bus', 'tram'])}", number=number),
                started_at=at,
                ended_at=at,
            )
        )

    whole = pricer.price_day(rides, Counters())

    first = pricer.price_day(rides[:cut], Counters())
    second = pricer.price_day(rides[cut:], Counters(counts=counts_of(first)))
    assert [fare.amount_minor for fare in first + second] == [fare.amount_minor for fare in whole]


def test_weekly_and_monthly_caps_stand_together() -> None:
    rules = '[[cap]]\nperiod = "week"\namount = "3.00"\n[[cap]]\nperiod = "month"\namount = "4.00"\n'
    pricer = Pricer(tariff_with(rules), STREET)
    rides = [ride(pricer.tariff, f"{hour}:00 bus", day=date(2026, 11, 2)) for hour in (10, 11, 12)]
    later = [ride(pricer.tariff, f"{hour}:00 bus", day=date(2026, 11, 9)) for hour in (10, 11)]

    first = pricer.price_day(rides, Counters())
    handed = {key: amount for key, amount in counts_of(first).items() if key.startswith("month:")}
    second = pricer.price_day(later, Counters(counts=handed))

    assert [fare.amount_minor for fare in first] == [200, 100, 0]
    assert [fare.amount_minor for fare in second] == [100, 0]
    assert (pricer.tariff.period, pricer.tariff.counted) == (None, {"week", "month"})


@pytest.mark.parametrize(
    ("week", "month", "charged"),
    [
        (0, 0, [200, 100, 0]),
        (250, 0, [50, 0, 0]),  # to the weekly cap of 3.00
        (0, 350, [50, 0, 0]),  # to the monthly cap of 4.00
        (250, 350, [50, 0, 0]),
        (100, 400, [0, 0, 0]),
        (150, 250, [150, 0, 0]),
    ],
)
def test_what_was_spent_before_the_books_counts_by_its_period(
    week: int, month: int, charged: list[int]
) -> None:
    rules = '[[cap]]\nperiod = "week"\namount = "3.00"\n[[cap]]\nperiod = "month"\namount = "4.00"\n'
    pricer = Pricer(tariff_with(rules), STREET)
    journeys = [ride(pricer.tariff, f"{hour}:00 bus") for hour in (10, 11, 12)]

    fares = pricer.price_day(journeys, Counters(openings={"week": week, "month": month}))

    assert [fare.amount_minor for fare in fares] == charged
