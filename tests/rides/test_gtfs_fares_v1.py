"""Fares v1 of a feed as a tariff: a table of pairs where one can say it all, and a refusal where not."""

from datetime import date, time

import pytest

from hansa.atlas import City, FareAttribute, FareRule, FaresV1
from hansa.kernel import InvalidInput, Money
from hansa.rides import tariff_from_fares_v1

CITY = City("town", "Town", "Town", "DE", "Europe/Berlin", "EUR", time(4), "Flat.")
NEAR, FAR = (
    FareAttribute("near", Money(190, "EUR"), True, None, None),
    FareAttribute("far", Money(280, "EUR"), True, 0, None),
)
LINES = ("town/1", "town/2")


def rule(
    fare: str, line: str | None, origin: str | None, destination: str | None, contains: str | None = None
) -> FareRule:
    return FareRule(fare, line, origin, destination, contains)


def table_of(
    *rules: FareRule, attributes: tuple[FareAttribute, ...] = (NEAR, FAR), lines: tuple[str, ...] = LINES
) -> list[str]:
    fares = FaresV1(attributes, rules, lines)
    tariff = tariff_from_fares_v1(fares, operator_id="town-rail", city=CITY, valid_from=date(2027, 1, 1))
    assert tariff.valid_from == date(2027, 1, 1)
    return tariff.source.tables["fares.csv"].splitlines()[1:]


def test_rules_by_zone_make_a_table() -> None:
    assert table_of(
        rule("near", None, "a", "a"), rule("far", None, "a", "b"), rule("far", None, "b", None)
    ) == [
        "a,a,190",
        "a,b,280",
        "b,a,280",
        "b,b,280",
    ]


def test_of_several_fares_the_cheapest_counts() -> None:
    assert table_of(rule("far", None, "a", "a"), rule("near", None, None, "a")) == ["a,a,190"]


def test_a_fare_without_rules_holds_everywhere() -> None:
    assert table_of(rule("far", None, "a", "b")) == ["a,a,190", "a,b,190", "b,a,190", "b,b,190"]


def test_lines_that_cost_the_same_share_a_table() -> None:
    rules = [rule(fare, line, "a", end) for line in LINES for fare, end in (("near", "a"), ("far", "b"))]

    assert table_of(*rules) == ["a,a,190", "a,b,280"]


# rules | where the problem is said to be
REFUSED = [
    ([rule("near", "town/1", "a", "a"), rule("far", "town/2", "a", "a")], "fare_rules.txt, field route_id"),
    ([rule("near", "town/1", "a", "a"), rule("far", "town/1", "a", "a")], "fare_rules.txt, field route_id"),
    ([rule("near", None, "a", "a"), rule("far", None, None, None, "b")], "fare_rules.txt, field contains_id"),
]


@pytest.mark.parametrize(("rules", "where"), REFUSED)
def test_what_a_table_cannot_say_is_refused(rules: list[FareRule], where: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        table_of(*rules)

    assert [problem.where for problem in refused.value.problems] == [where]


def test_fares_of_a_line_are_told_apart() -> None:
    fares = FaresV1((NEAR, FAR), (rule("near", "town/1", "a", "a"), rule("far", "town/2", "a", "a")), LINES)

    prices = [fares.between("a", "a", line) for line in (*LINES, None)]

    assert prices == [Money(190, "EUR"), Money(280, "EUR"), Money(190, "EUR")]
