"""Tariffs that are not sound are told with file, line, field and remedy, before they can price anything."""

from dataclasses import replace
from datetime import date

import pytest

from fares.cases import CITIES, CLASSES, END, Town, city, source_of, tariff_with
from hansa.fares import (
    Finding,
    check_dates,
    check_tariff,
    read_source,
    read_tariff,
    refuse_unsound,
    tariff_folder,
)
from hansa.kernel import InvalidInput

STREET = Town({"a": 0, "b": 1_500, "c": 9_000}, {"a": "1", "b": "2"})


def found(rules: str, **parts: str) -> list[Finding]:
    return list(check_tariff(tariff_with(rules, **parts), STREET))


@pytest.mark.parametrize("name", sorted(folder.name for folder in CITIES.iterdir()))
def test_the_cities_of_the_tests_are_sound(name: str) -> None:
    tariff, _, _ = city(name)

    assert check_tariff(tariff) == ()


BUS = 'products = ["bus"]\n'
FLAT_RULE = 'kind = "flat"\nfare = "1.00"\n'


@pytest.mark.parametrize(
    ("rules", "field", "what"),
    [
        (
            f'[[fare]]\nname = "all"\n{FLAT_RULE}[[fare]]\nname = "bus"\nproducts = ["bus"]\n{FLAT_RULE}',
            "fare[1]",
            "never prices a ride: fare[0] line 26 takes every ride of it",
        ),
        (
            f'[[fare]]\nname = "x"\n{BUS}{FLAT_RULE}[[fare]]\nname = "y"\n{BUS}{FLAT_RULE}',
            "fare[1]",
            "speaks of the same rides",
        ),
        (f'[[fare]]\nname = "x"\njoined = true\n{FLAT_RULE}', "fare[0].joined", "no join names this rule"),
        (
            '[[discount]]\nname = "x"\nproducts = ["bus", "tram"]\npercent = 90\n'
            '[[discount]]\nname = "y"\nproducts = ["bus"]\npercent = 50\n',
            "discount[1]",
            "this discount never counts",
        ),
        (
            '[[override]]\nname = "x"\nstops = ["a"]\nfare = "9.00"\n'
            '[[override]]\nname = "y"\nstops = ["a", "b"]\nfare = "8.00"\n',
            "override[1].stops",
            "a has a fare in 'x' too",
        ),
        (
            '[[transfer]]\nwindow_from = "exit"\nwindow_minutes = 60\npercent = 0\n'
            '[[transfer]]\nwindow_from = "exit"\nwindow_minutes = 30\npercent = 50\nafter = { products = ["bus"] }\n',
            "transfer[1]",
            "this transfer is never given",
        ),
        (
            '[[cap]]\nperiod = "day"\namount = "6.00"\n[[cap]]\nperiod = "day"\nproducts = ["bus"]\namount = "6.00"\n',
            "cap[1].amount",
            "costs adult no less than Daily cap, which covers more",
        ),
        ('[[cap]]\nperiod = "day"\namount = "1.50"\n', "cap[0].amount", "less than the cheapest single fare"),
        ('[[fee]]\nname = "x"\nstops = ["nowhere"]\namount = "1.00"\n', "fee[0]", "no stop 'nowhere'"),
        (f'[[fare]]\nname = "x"\nto_zones = ["7"]\n{FLAT_RULE}', "fare[0]", "no zone '7'"),
        (
            '[[join]]\nname = "x"\nwithin_minutes = 9\nat = [["a", "z"]]\n',
            "join[0]",
            "the network has no stop 'z'",
        ),
    ],
)
def test_rules_that_contradict_each_other_or_the_network(rules: str, field: str, what: str) -> None:
    told = found(rules)

    assert [one for one in told if one.where.endswith(f"field {field}") and what in one.what], told
    assert all(one.where.startswith("tariff.toml line ") and one.remedy for one in told)
    with pytest.raises(InvalidInput) as refused:
        refuse_unsound(tariff_with(rules), STREET)
    assert len(refused.value.problems) == len(told)


def test_rides_without_a_fare_are_found() -> None:
    basis = '[basis]\nkind = "distance"\n[[basis.band]]\nup_to_m = 8000\nfare = "2.00"\n'

    told = found("", basis=basis)

    assert [one.what for one in told] == [
        "no fare for 2 pairs of stops, such as a to c: 9,000 m is beyond the last distance band"
    ]
    assert told[0].where == "tariff.toml line 21, field basis"


def test_pairs_without_a_row_are_found() -> None:
    basis = '[basis]\nkind = "pairs"\nfile = "fares.csv"\namounts = "minor"\n'
    table = "origin,destination,adult\na,b,100\na,a,0\nb,b,0\nc,c,0\nb,c,120\n"

    told = found("", basis=basis, table=table)

    assert [one.what for one in told] == [
        "no fare for the stops a to c: the table has no such row",
    ]
    assert (told[0].where, told[0].remedy[:15]) == ("fares.csv, field origin", "Add the row a,c")


def test_bands_that_hold_at_the_same_time() -> None:
    top = 'default_band = "day"\n' + "".join(
        f'[[band]]\nname = "{name}"\ndays = ["mon"]\nfrom = "{starts}"\nto = "{ends}"\n'
        for name, starts, ends in (("peak", "07:00", "09:00"), ("rush", "08:30", "10:00"))
    )

    told = found("", top=top)

    assert told[0].what == "rush and peak both hold on mon"


def test_versions_must_not_speak_for_the_same_days() -> None:
    first = tariff_with()
    second = replace(first, valid_from=date(2021, 1, 1))

    assert check_dates([first, second]) == ()
    assert check_dates([second, first, replace(first, operator_id="other")]) == ()
    assert "two tariffs from 2020-01-01" in check_dates([first, first])[0].what
    overlap = check_dates([replace(first, valid_to=date(2021, 1, 1)), second])[0]
    assert (overlap.severity, overlap.what) == (
        "error",
        "ends on 2021-01-01, and the next begins on 2021-01-01",
    )
    assert check_dates([replace(first, valid_to=date(2020, 12, 31)), second]) == ()
    assert check_dates([replace(first, valid_to=date(2020, 12, 30)), second])[0].severity == "warning"


PLAIN = '[transfers]\nwindow_from = "first_tap"\nwindow_minutes = 20\n'
EXIT = '[[transfer]]\nwindow_from = "exit"\nwindow_minutes = 20\npercent = 0\n'
CARNET = '[[carnet]]\nname = "x"\nrides = 4\nfare = "5.00"\n'
WEEK = '[[cap]]\nperiod = "week"\namount = "9.00"\n'


@pytest.mark.parametrize(
    ("rules", "field", "what"),
    [
        (
            '[[cap]]\nperiod = "day"\namount = "6.00"\ncurrency = "USD"\n',
            "cap[0].currency",
            "another currency",
        ),
        ('[[cap]]\nperiod = "year"\namount = "6.00"\n', "cap[0].period", "none of the choices"),
        (
            '[[cap]]\nperiod = "week"\ndays = ["sun"]\namount = "6.00"\n',
            "cap[0].days",
            "a period that is no day",
        ),
        (
            '[[cap]]\nperiod = "day"\nextend = true\namount = "6.00"\n',
            "cap[0].extend",
            "without zones",
        ),
        (
            '[[cap]]\nperiod = "day"\nclasses = ["vip"]\namount = "6.00"\n',
            "cap[0].classes",
            "is no rider class",
        ),
        ('[[fee]]\nname = "x"\n', "fee[0].amount", "is missing"),
        ('[[fee]]\nname = "x"\namount = "1.00"\nper = "ride"\n', "fee[0].per", "none of the choices"),
        (
            '[[fee]]\nname = "x"\namount = "1.00"\nper = "day"\ndiscounts = true\n',
            "fee[0].discounts",
            "each leg",
        ),
        ('[[fare]]\nname = "x"\nkind = "magic"\n', "fare[0].kind", "none of the choices"),
        ('[[fare]]\nname = "x"\nkind = "flat"\nfare = 2\n', "fare[0].fare", "no amount of this currency"),
        (
            f'[[fare]]\nname = "x"\n{FLAT_RULE}bands = ["peak"]\n',
            "fare[0].bands",
            "no time band of this tariff",
        ),
        (f'[[fare]]\nname = "x"\n{FLAT_RULE}media = ["cash"]\n', "fare[0].media", "no medium of this tariff"),
        (f'[[fare]]\nname = "x"\n{FLAT_RULE}colour = "red"\n', "fare[0].colour", "is not a field here"),
        (
            f'[[fare]]\nname = "x"\n{FLAT_RULE}days = ["mon"]\nfrom = "09:00"\nto = "08:00"\n',
            "fare[0].to",
            "after from",
        ),
        ('[[fare]]\nname = "x"\nkind = "lines"\n[fare.line]\n', "fare[0].line", "names no line"),
        ('[[fare]]\nname = "x"\nkind = "rate"\n', "fare[0].per_km", "no rate"),
        ('[[fare]]\nname = "x"\nkind = "rate"\nper_km = 0.2\n', "fare[0].per_km", "is no amount"),
        ('[[fare]]\nname = "x"\nkind = "zone-sets"\n', "fare[0].set", "no set of zones"),
        (
            '[[fare]]\nname = "x"\nkind = "zone-count"\n[[fare.count]]\nzones = 2\nfare = "1.00"\n',
            "fare[0].count[0].zones",
            "is not 1",
        ),
        (
            '[[fare]]\nname = "x"\nkind = "pairs"\nfile = "x.csv"\namounts = "minor"\n',
            "fare[0].file",
            "is not there",
        ),
        (
            '[[join]]\nname = "x"\nwithin_minutes = 20\nfare = "y"\n',
            "join[0].fare",
            "is no [[fare]] of this tariff",
        ),
        ('[[join]]\nname = "x"\nwithin_minutes = 20\nat = ["a", "b"]\n', "join[0].at", "is no pair of stops"),
        ('[[transfer]]\nwindow_from = "exit"\nwindow_minutes = 20\n', "transfer[0]", "in no way or several"),
        (
            '[[transfer]]\nwindow_from = "boat"\nwindow_minutes = 20\npercent = 0\n',
            "transfer[0].window_from",
            "none of",
        ),
        (
            PLAIN + EXIT,
            "transfers",
            "stands beside",
        ),
        ('[[discount]]\nname = "x"\npercent = 50\n', "discount[0].days", "no other condition"),
        ('[[discount]]\nname = "x"\nproducts = ["bus"]\n', "discount[0].percent", "beside less"),
        (
            '[[tier]]\nperiod = "month"\nfrom = "5.00"\npercent = 50\nproducts = ["bus"]\n',
            "tier[0].name",
            "is missing",
        ),
        (
            '[[carnet]]\nname = "x"\nrides = 1\nfare = "5.00"\n',
            "carnet[0].rides",
            "not a whole number in range",
        ),
        (
            '[[carnet]]\nname = "x"\nrides = 4\nfare = "5.00"\n[[carnet]]\nname = "y"\nrides = 5\nfare = "5.00"\n',
            "carnet[1].period",
            "two carnets",
        ),
        (
            f'{CARNET}period = "week"\n{WEEK}',
            "carnet[0].period",
            "caps of the same period",
        ),
    ],
)
def test_each_fault_of_a_new_word_is_named_with_its_line_and_field(rules: str, field: str, what: str) -> None:
    source = source_of(rules)

    with pytest.raises(InvalidInput) as refused:
        read_source(source)

    told = [one for one in refused.value.problems if one.where.endswith(f"field {field}")]
    assert told and what in told[0].what, [str(one) for one in refused.value.problems]
    assert all(one.where.startswith("tariff.toml line ") and one.remedy for one in told)
    line = int(told[0].where.split(" line ")[1].split(",")[0])
    written = source.toml.splitlines()[line - 1]
    last = field.rsplit(".", 1)[-1].split("[")[0]
    assert last in written or written.startswith("["), (written, field)


@pytest.mark.parametrize(
    ("classes", "field", "what"),
    [
        (
            '[classes.adult]\nas = "child"\n[classes.child]\npercent = 50\n',
            "classes.adult",
            "pays as another class",
        ),
        (
            '[classes.adult]\npercent = 100\n[classes.child]\nas = "kid"\n',
            "classes.child.as",
            "is no class here",
        ),
        (
            '[classes.adult]\npercent = 100\n[classes."Big Kid"]\npercent = 5\n',
            "classes.Big Kid",
            "no name for a class",
        ),
        (
            '[classes.adult]\npercent = 100\n[classes.child]\npercent = 50\nsubsidy = { payer = "x" }\n',
            "classes.child.subsidy",
            "in no way or two",
        ),
    ],
)
def test_each_fault_of_a_class_is_named(classes: str, field: str, what: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        tariff_with(classes=classes)

    assert any(one.where.endswith(f"field {field}") and what in one.what for one in refused.value.problems), [
        str(one) for one in refused.value.problems
    ]


def test_a_habit_needs_a_share_and_a_number() -> None:
    with pytest.raises(InvalidInput) as refused:
        tariff_with(end=END + "habit = { percent = 20 }\n")

    assert {one.where.rsplit(" ", 1)[1] for one in refused.value.problems} == {
        "incomplete.habit.percent",
        "incomplete.habit.rides",
    }


@pytest.mark.parametrize(
    ("name", "asks"),
    [
        ("sydney", {"counts", "distance_m"}),
        ("singapore", {"distance_m"}),
        ("netherlands", {"distance_m", "operator_id"}),
        ("tokyo", {"medium", "operator_id", "others"}),
        ("delhi", {"medium"}),
        ("berlin", set[str]()),
        ("london-2023", set[str]()),
    ],
)
def test_a_tariff_says_what_it_must_be_given(name: str, asks: set[str]) -> None:
    tariff, _, _ = city(name)

    assert tariff.asks == asks


def test_a_tariff_says_what_it_must_be_told_of_the_rider() -> None:
    rules = '[[pass]]\nname = "x"\n[[carnet]]\nname = "y"\nrides = 9\nperiod = "month"\nfare = "9.00"\n'
    classes = CLASSES + 'subsidy = { payer = "lyon", residents = ["lyon"], percent = 50 }\n'
    habit = END + "habit = { percent = 80, rides = 5 }\n"

    tariff = tariff_with(rules, classes=classes, end=habit)

    assert tariff.asks == {"passes", "carnet", "counts", "subsidy", "residence", "habits"}


def test_the_tariffs_that_come_with_hansa_ask_for_nothing_more_but_the_one_that_sells_passes() -> None:
    names = ("beijing-subway", "hong-kong-mtr", "london-tfl", "toronto-ttc")

    assert {read_tariff(tariff_folder(name)).asks for name in names} == {frozenset[str]()}
    assert read_tariff(tariff_folder("hangzhou-metro")).asks == {"passes"}
