"""Whatever is written is read or told: no text makes the reader, the check or the pricer fall over."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fares.cases import CITIES, Town, city, ride
from fares.test_fare_properties import random_rides
from hansa.fares import Counters, Pricer, Tariff, TariffSource, check_tariff, read_source
from hansa.kernel import InvalidInput, Problem

NAMES = sorted(folder.name for folder in CITIES.iterdir())
JUNK = (
    "5",
    "0",
    "-1",
    "10000000",
    '"x"',
    '""',
    '"adult"',
    "[]",
    "{}",
    "true",
    "2025-01-01",
    "1.5",
    "[1]",
    '["a", 2]',
    '["1", "2"]',
    '[["a", "b"]]',
    "nan",
    "{ adult = [] }",
    '{ adult = "1.00", child = "0.50" }',
    '"1-"',
    '"0.00"',
    '"12.34"',
    '"08:00"',
    '"24:00"',
    '{ products = ["bus"] }',
)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=30, deadline=None)
@given(
    changes=st.lists(st.tuples(st.integers(0, 400), st.sampled_from(JUNK)), max_size=3),
    dropped=st.sets(st.integers(0, 400), max_size=3),
    doubled=st.sets(st.integers(0, 400), max_size=2),
    seed=st.integers(0, 10_000),
)
def test_whatever_is_written_is_read_or_told(
    name: str, changes: list[tuple[int, str]], dropped: set[int], doubled: set[int], seed: int
) -> None:
    tariff, town, _ = city(name)
    lines = tariff.source.toml.splitlines()
    for at, junk in changes:
        line = lines[at % len(lines)]
        if "=" in line and not line.startswith("#"):
            lines[at % len(lines)] = f"{line.split('=')[0]}= {junk}"
    kept = [
        line
        for place, line in enumerate(lines)
        for _ in range(2 if place in doubled and line.startswith("[[") else 1)
        if place not in dropped
    ]

    try:
        changed = read_source(TariffSource("\n".join(kept), tariff.source.tables))
    except InvalidInput as error:
        told = error.problems
    else:
        _use(changed, town, seed)
        return

    assert told
    assert all(problem.where and problem.what and problem.remedy for problem in told)


def _use(changed: Tariff, town: Town, seed: int) -> None:
    assert all(one.where and one.what and one.remedy for one in check_tariff(changed, town))
    fares = Pricer(changed, town).price_day(random_rides(changed, town, seed), Counters())
    for fare in fares:
        assert fare.amount_minor >= 0
        assert sum(step.amount for step in fare.steps) == fare.amount_minor
        assert all(step.text and step.said("zh") for step in fare.steps)


@settings(max_examples=200, deadline=None)
@given(
    rows=st.text(alphabet="abc,/@\n\r\"' 0123456789.-adultchildorigin", max_size=300),
)
def test_any_table_of_pairs_is_read_or_told(rows: str) -> None:
    tariff, _, _ = city("hong-kong-transfers")

    for table in (rows, "origin,destination,adult,child\n" + rows):
        told: tuple[Problem, ...] = ()
        try:
            read_source(TariffSource(tariff.source.toml, {"fares.csv": table}))
        except InvalidInput as error:
            told = error.problems

        assert all(problem.where and problem.what and problem.remedy for problem in told)


def test_a_ride_across_the_change_of_the_clocks_is_priced() -> None:
    tariff, town, _ = city("london-2023")
    start = ride(tariff, "08:00 bus").started_at
    night = datetime(2023, 10, 29, 0, 30, tzinfo=start.tzinfo)
    fares = [
        Pricer(tariff, town).explain("bank", "two", night + timedelta(minutes=30 * count), "adult")
        for count in range(6)
    ]

    assert {fare.amount_minor for fare in fares} == {340}


def test_an_empty_day_has_no_fares() -> None:
    tariff, _, _ = city("sydney")

    assert Pricer(tariff, Town({})).price_day([], Counters()) == []
