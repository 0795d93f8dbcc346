"""For which rides a rule is: seasons, named days, rides left out, hours that hang on the place, the day of a night."""

from datetime import date

import pytest

from fares.cases import Town, charges, days_of, ride, shown, tariff_with
from hansa.fares import Counters, Pricer, check_tariff
from hansa.fares.parts.seasons import Season
from hansa.kernel import InvalidInput

STREET = Town({"a": 0, "b": 1_500, "c": 4_000, "d": 9_000}, {"a": "1", "b": "1/2", "c": "2", "d": "3"})
SEASONS = """
[[season]]
name = "summer"
from = "06-15"
until = "09-15"
[[season]]
name = "winter"
from = "11-01"
until = "03-31"
[[season]]
name = "fair"
dates = [2026-11-20, 2026-11-21]
"""


@pytest.mark.parametrize(
    ("day", "names"),
    [
        ("2026-06-14", set[str]()),
        ("2026-06-15", {"summer"}),
        ("2026-09-15", {"summer"}),
        ("2026-09-16", set[str]()),
        ("2026-10-31", set[str]()),
        ("2026-11-01", {"winter"}),
        ("2026-11-20", {"winter", "fair"}),
        ("2027-01-01", {"winter"}),  # over the new year
        ("2028-02-29", {"winter"}),
        ("2027-03-31", {"winter"}),
        ("2027-04-01", set[str]()),
    ],
)
def test_seasons_are_parts_of_every_year_and_named_days(day: str, names: set[str]) -> None:
    assert tariff_with(SEASONS).seasons_on(date.fromisoformat(day)) == names


def test_a_rule_for_a_season_and_one_for_named_days() -> None:
    rules = """
[[fare]]
name = "Fair"
seasons = ["fair"]
products = ["tram"]
kind = "flat"
fare = "0.50"
[[discount]]
name = "Winter"
seasons = ["winter"]
percent = 80
[[cap]]
name = "Summer day"
period = "day"
seasons = ["summer"]
amount = "5.00"
"""
    pricer = Pricer(tariff_with(SEASONS + rules), STREET)

    for table in (
        "day 2026-11-20 adult\n09:00 tram = 0.40\n10:00 bus = 1.60",
        "day 2026-11-20 adult\n02:30 tram = 1.60   # the service day before is no day of the fair",
        "day 2026-04-02 adult\n" + "09:00 tram = 2.00\n10:00 bus = 2.00\n11:00 bus = 2.00\n12:00 bus = 2.00",
        "day 2026-07-02 adult\n" + "09:00 tram = 2.00\n10:00 bus = 2.00\n11:00 bus = 1.00\n12:00 bus = 0.00",
    ):
        charges(pricer, table)


@pytest.mark.parametrize(
    ("season", "field", "what"),
    [
        ('name = "x"\n', "season[0].from", "no dates stand"),
        ('name = "x"\nfrom = "06-15"\n', "season[0].until", "is missing"),
        ('name = "x"\nfrom = "15-06"\nuntil = "09-01"\n', "season[0].from", "is not a day of the year"),
        ('name = "x"\ndates = ["2026-01-01"]\n', "season[0].dates", "is not a list of days"),
        (
            'name = "x"\ndates = [2026-01-01]\n[[discount]]\nname = "y"\npercent = 9\nseasons = ["z"]\n',
            "discount[0].seasons",
            "'z' is no season of this tariff",
        ),
        (
            'name = "x"\ndates = [2026-01-01]\n[[discount]]\nname = "y"\npercent = 9\nunless = {}\n',
            "discount[0].unless",
            "leaves out every ride",
        ),
    ],
)
def test_each_fault_of_a_season_is_named(season: str, field: str, what: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        tariff_with(f"[[season]]\n{season}")

    told = [one for one in refused.value.problems if one.where.endswith(f"field {field}")]
    assert told and what in told[0].what, [str(one) for one in refused.value.problems]


def test_rides_that_a_rule_leaves_out() -> None:
    rules = """
[[discount]]
name = "Off-peak"
percent = 50
unless = { products = ["ferry"] }
[[fee]]
name = "Station"
stops = ["c", "d"]
amount = "1.00"
unless = { from_stops = ["c", "d"], to_stops = ["c", "d"] }
"""
    charges(
        Pricer(tariff_with(rules), STREET),
        """
        08:00-08:10 metro a>b = 1.00
        09:00-09:10 ferry a>b = 2.00
        10:00-10:10 metro a>c = 2.00
        11:00-11:10 metro d>a = 2.00
        12:00-12:10 metro c>d = 1.00    # from one of the two stations to the other
        """,
    )


def test_a_rule_beside_one_that_leaves_rides_out_is_not_hidden() -> None:
    rule = 'products = ["bus"]\nkind = "flat"\nfare = "1.00"\n'
    hidden = f'[[fare]]\nname = "x"\n{rule}[[fare]]\nname = "y"\n{rule}'
    beside = hidden.replace('name = "x"', 'name = "x"\nunless = { lines = ["7"] }')

    assert [one.where for one in check_tariff(tariff_with(hidden)) if "never prices" in one.what]
    assert check_tariff(tariff_with(beside)) == ()


def test_hours_that_begin_earlier_at_some_stops() -> None:
    """Peak hours of outer stations are longer: the first band that fits counts."""
    top = """default_band = "off-peak"
[[band]]
name = "peak"
days = ["tue"]
from = "06:00"
to = "10:00"
from_stops = ["d"]
unless = { products = ["bus"] }
[[band]]
name = "peak"
days = ["tue"]
from = "06:30"
to = "10:00"
"""
    basis = '[basis]\nkind = "flat"\nfare = { peak = "3.00", off-peak = "2.00" }\n'
    pricer = Pricer(tariff_with(top=top, basis=basis), STREET)

    charges(
        pricer,
        """
        06:10-06:20 metro d>a = 3.00
        06:15-06:25 metro a>d = 2.00
        06:20-06:25 bus d>a = 2.00
        06:40-06:50 metro a>d = 3.00
        """,
    )


@pytest.mark.parametrize(("by", "charged"), [("calendar", [200, 100]), ("service", [100, 200])])
def test_a_night_is_of_the_day_before_where_the_tariff_says_so(by: str, charged: list[int]) -> None:
    """Day types by the calendar, or by the service day: 02:00 on a Saturday is Friday night."""
    rules = '[[discount]]\nname = "Friday"\npercent = 50\ndays = ["fri"]\n'
    pricer = Pricer(tariff_with(rules, top=f'day_types_by = "{by}"\n'), STREET)
    night = ride(pricer.tariff, "02:00 bus", day=date(2026, 11, 21))
    before = ride(pricer.tariff, "02:00 bus", day=date(2026, 11, 20))

    fares = [pricer.price_day([one], Counters())[0] for one in (night, before)]

    assert [shown(fare) for fare in fares] == charged


def test_a_season_holds_on_its_days() -> None:
    assert Season("x", (2, 1), (1, 31)).holds(date(2026, 1, 31))
    assert not Season("x").holds(date(2026, 1, 31))
    assert days_of(tariff_with(), "day 2026-01-01 adult")[1][0].day == date(2026, 1, 1)
