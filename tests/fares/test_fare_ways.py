"""Readers inside a network prove the way a rider took: conditions, metres, zones and tables of pairs look at it."""

from dataclasses import replace

import pytest

from fares.cases import Town, ride, source_of, tariff_with
from hansa.fares import Counters, Fare, Pricer, Tariff, TariffSource, check_tariff, read_source
from hansa.fares.columnar import columnar_for
from hansa.kernel import InvalidInput

# Zone 1 is in the middle: from a to c one rides through m in zone 1, or round it by r in zone 2.
RING = Town(
    {"a": 0, "m": 2_000, "c": 4_000, "r": 9_000, "far": 12_000},
    {"a": "2", "m": "1", "c": "2", "r": "2", "far": "3"},
)
BANDS = """[basis]
kind = "distance"
[[basis.band]]
up_to_m = 5000
fare = "2.00"
[[basis.band]]
up_to_m = 20000
fare = "4.00"
"""
ZONES = """[basis]
kind = "zones"
order = ["1", "2", "3"]
[[basis.span]]
zones = ["1", "1-2", "1-3"]
fare = "3.00"
[[basis.span]]
zones = ["2", "2-3", "3"]
fare = "1.00"
"""
ROUND = """[[fare]]
name = "Round the centre"
via = ["r"]
kind = "flat"
fare = "1.50"
"""
READERS = '[pairing]\ninterchange_stops = ["m", "r"]\n'
PAIRS = '[basis]\nkind = "pairs"\nfile = "fares.csv"\namounts = "minor"\n'
TABLE = "origin,destination,via,adult\na,c,,500\na,c,r,200\na,m,,100\nm,c,,100\na,c,m,450\n"


def by_pairs(table: str = TABLE, basis: str = PAIRS) -> Tariff:
    return read_source(TariffSource(source_of(READERS, basis=basis).toml, {"fares.csv": table}))


def fare_of(tariff: Tariff, text: str, *via: str) -> Fare:
    journey = replace(ride(tariff, f"08:00-08:40 metro {text}"), via=via)
    return Pricer(tariff, RING).price_day([journey], Counters())[0]


@pytest.mark.parametrize(
    ("rules", "basis", "ends", "via", "cents"),
    [
        (ROUND, BANDS, "a>c", (), 200),
        (ROUND, BANDS, "a>c", ("r",), 150),
        (ROUND, BANDS, "a>c", ("m", "r"), 150),
        (ROUND, BANDS, "a>c", ("m",), 200),
        ("", BANDS, "a>c", ("m",), 200),  # 2 km and 2 km
        ("", BANDS, "a>c", ("r",), 400),  # 9 km and 5 km back
        ("", BANDS, "a>c", ("m", "r"), 400),
        ("", ZONES, "a>m", (), 300),
        ("", ZONES, "c>r", (), 100),
        ("", ZONES, "c>r", ("m",), 300),  # through the centre, although the shortest way is not
        ("", ZONES, "c>r", ("far",), 100),
    ],
)
def test_what_a_ride_costs_by_the_way_that_is_proved(
    rules: str, basis: str, ends: str, via: tuple[str, ...], cents: int
) -> None:
    tariff = tariff_with(rules + READERS, basis=basis)

    assert fare_of(tariff, ends, *via).amount_minor == cents


def test_a_table_of_pairs_may_have_rows_for_a_way() -> None:
    tariff = by_pairs()

    found = [fare_of(tariff, ends, *via) for ends, via in (("a>c", ()), ("c>a", ("r",)), ("a>c", ("m", "r")))]

    assert [one.amount_minor for one in found] == [500, 200, 200]  # of two ways the row that stands first
    assert [one.steps[1].clause.rpartition(", ")[2] for one in found] == [
        "fares.csv line 2",
        "fares.csv line 3",
        "fares.csv line 3",
    ]
    assert fare_of(tariff, "a>m", "r").amount_minor == 100  # no row for that way: the one for everybody
    assert (found[1].steps[0].text, found[1].steps[0].said("zh")) == ("C to A via R", "C 至 A（经 R）")


@pytest.mark.parametrize(
    ("table", "field", "what"),
    [
        ("a,c,,500\na,c,r,1\nc,a,r,2\n", "fares.csv line 4, field via", "two fares by this way"),
        ("a,c,,500\na,c,No Stop,1\n", "fares.csv line 3, field via", "is no stop id"),
        ("a,c,,500\na,c,r,x\n", "fares.csv line 3, field adult", "is no amount"),
    ],
)
def test_a_row_for_a_way_that_is_no_good_is_named(table: str, field: str, what: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        by_pairs("origin,destination,via,adult\n" + table)

    assert [(one.where, what in one.what) for one in refused.value.problems] == [(field, True)]


def test_a_table_of_zones_knows_no_ways() -> None:
    with pytest.raises(InvalidInput) as refused:
        by_pairs("origin,destination,via,adult\n1,2,,5\n1,2,r,6\n", PAIRS + 'by = "zone"\n')

    assert refused.value.problems[0].where == "fares.csv line 1, field via"


def test_stops_of_ways_must_be_there_and_what_a_way_costs_has_no_gap() -> None:
    short = ROUND.replace("flat", "distance").replace(
        'fare = "1.50"', '[[fare.band]]\nup_to_m = 5000\nfare = "1.50"'
    )
    tariffs = (
        tariff_with(ROUND.replace('"r"', '"x"') + READERS, basis=BANDS),
        by_pairs(TABLE + "a,x,r,1\n"),
        tariff_with(short + READERS, basis=BANDS),
    )

    (unknown,), (row,), (gap,) = (check_tariff(one, RING) for one in tariffs)

    assert unknown.what == row.what == "the network has no stop 'x'"
    assert unknown.where.endswith("field fare[0]") and row.where.startswith("fares.csv line 7")
    assert gap.where.endswith("field fare[0]") and "beyond the last distance band" in gap.what


def test_where_ways_matter_the_column_is_not_asked() -> None:
    plain, readers = tariff_with("", basis=BANDS), tariff_with(READERS, basis=BANDS)
    ruled, pairs = tariff_with(ROUND, basis=BANDS), by_pairs()

    assert columnar_for(Pricer(plain, RING)) is not None
    for tariff in (readers, ruled, pairs):
        assert tariff.asks == {"via"}
        assert columnar_for(Pricer(tariff, RING)) is None


def test_joined_rides_keep_their_ways() -> None:
    join = '[[join]]\nname = "One journey"\nwithin_minutes = 30\npriced_by = "distances"\n'
    tariff = tariff_with(join + READERS, basis=BANDS)
    first, second = (
        ride(tariff, text, number=n)
        for n, text in enumerate(("08:00-08:20 metro a>m", "08:25-08:40 metro m>c"))
    )

    plain = Pricer(tariff, RING).price_day([first, second], Counters())
    proved = Pricer(tariff, RING).price_day([first, replace(second, via=("r",))], Counters())

    assert [one.amount_minor for one in plain] == [200, 0]
    assert [one.amount_minor for one in proved] == [200, 200]  # 2 km, then 7 km out and 5 km back
