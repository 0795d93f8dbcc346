"""Days of riders in cities, as tables: each city's rules and figures stand in its folder under ``cities``."""

import pytest

from fares.cases import CITIES, Said, city, shown
from hansa.fares import Pricer

NAMES = sorted(folder.name for folder in CITIES.iterdir())
DAYS = [(name, number) for name in NAMES for number in range(len(city(name)[2]))]


@pytest.mark.parametrize(("name", "number"), DAYS)
def test_each_day_costs_what_its_table_says(name: str, number: int) -> None:
    tariff, town, days = city(name)
    day: Said = days[number]

    fares = day.fares(Pricer(tariff, town))

    told = "\n".join(step.text for fare in fares for step in fare.steps)
    assert [shown(fare) for fare in fares] == day.charges, told


@pytest.mark.parametrize("name", NAMES)
def test_steps_sum_to_the_fare_name_their_clause_and_read_in_every_language(name: str) -> None:
    tariff, town, days = city(name)
    pricer = Pricer(tariff, town)

    for fare in (fare for day in days for fare in day.fares(pricer)):
        assert sum(step.amount for step in fare.steps) == fare.amount_minor
        for step in fare.steps:
            assert step.text
            assert step.said("zh") != step.text
            if step.rule not in ("ride", "held", "companion"):
                assert step.clause, step
