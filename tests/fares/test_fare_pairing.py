"""``[pairing]`` of a tariff: what it says is read, and what it cannot say is refused with line, field and remedy."""

from datetime import timedelta

import pytest

from fares.cases import Town, tariff_with
from hansa.fares import PLAIN, PairingRules, StatedRules, check_tariff
from hansa.kernel import InvalidInput

EVERY = """
[pairing]
double_seconds = 60
vehicle_change_minutes = 15
reentry_minutes = 10
same_stop_minutes = 30
tap_off = ["bus", "tram"]
interchange_stops = ["town/centre"]
late_minutes = 90
[pairing.stated]
per_month = 3
within_days = 7
speed_max_kmh = 90
[[join]]
name = "Over the bridge"
within_minutes = 20
at = [["town/a", "town/b"]]
"""


def test_every_word_is_read() -> None:
    rules = tariff_with(EVERY).pairing

    assert rules == PairingRules(
        journey_max=timedelta(minutes=240),
        double=timedelta(seconds=60),
        vehicle_change=timedelta(minutes=15),
        reentry=timedelta(minutes=10),
        same_stop_max=timedelta(minutes=30),
        tap_off=frozenset({"bus", "tram"}),
        interchange=frozenset({"town/centre"}),
        walks=(
            ("town/a", "town/b", timedelta(minutes=20), "join[0] line 39"),
            ("town/b", "town/a", timedelta(minutes=20), "join[0] line 39"),
        ),
        late=timedelta(minutes=90),
        stated=StatedRules(3, timedelta(days=7), 90),
        currency="EUR",
        clause=rules.clause,
        journey_clause=rules.journey_clause,
    )
    assert rules.clause.startswith("pairing line ")
    assert not rules.plain


def test_without_a_word_an_exit_answers_an_entry_and_no_more() -> None:
    rules = tariff_with().pairing

    assert rules.plain
    assert rules.decides[1:] == PLAIN.decides[1:]
    assert rules.journey_max == timedelta(minutes=240)
    assert rules.stated.per_month == 0


@pytest.mark.parametrize(
    ("text", "field", "what"),
    [
        ("double_seconds = 301", "pairing.double_seconds", "is not a whole number in range"),
        ("double_seconds = true", "pairing.double_seconds", "is not a whole number in range"),
        ("reentry_minutes = 241", "pairing.reentry_minutes", "is longer than a journey may be"),
        ("same_stop_minutes = 300", "pairing.same_stop_minutes", "is longer than a journey may be"),
        ("vehicle_change_minutes = 121", "pairing.vehicle_change_minutes", "is longer than half a journey"),
        ('tap_off = "bus"', "pairing.tap_off", "is not a list of texts"),
        ('interchange_stops = ["No Such"]', "pairing.interchange_stops", "'No Such' does not fit"),
        ("late_minutes = 0", "pairing.late_minutes", "is not a whole number in range"),
        ("dubble_seconds = 5", "pairing.dubble_seconds", "is not a field here"),
        ("[pairing.stated]\nper_month = 101", "pairing.stated.per_month", "is not a whole number in range"),
        ("[pairing.stated]\nwithin_days = 7", "pairing.stated.per_month", "is missing"),
        ("[pairing.stated]\nper_month = 1\nspeed = 5", "pairing.stated.speed", "is not a field here"),
    ],
)
def test_what_it_cannot_say_is_refused_by_its_field(text: str, field: str, what: str) -> None:
    with pytest.raises(InvalidInput) as error:
        tariff_with(f"[pairing]\n{text}\n")

    [problem] = error.value.problems
    assert problem.where.endswith(f"field {field}")
    assert "line" in problem.where
    assert problem.what == what
    assert problem.remedy


def test_an_interchange_that_the_network_does_not_have_is_an_error() -> None:
    tariff = tariff_with('[pairing]\ninterchange_stops = ["a", "nowhere"]\n')

    errors = [one for one in check_tariff(tariff, Town({"a": 0, "b": 500})) if one.severity == "error"]

    assert ["nowhere" in one.what and "pairing" in one.where for one in errors] == [True]
