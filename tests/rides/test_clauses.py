"""The lines of a tariff that a step follows."""

import pytest

from hansa.fares import TariffSource
from hansa.rides import clause_lines, line_of, table_row
from rides.riding import OPERATORS, tariff_of

TEXT = """\
format = 1

[basis]
kind = "zones"
[[basis.span]]
zones = ["1"]
fare = "2.00"
[[basis.span]]
zones = ["1-2", "2-3"]
fare = "3.00"

[[cap]]
period = "day"
amount = "8.00"

[[cap]]
period = "week"
amount = "40.00"
# the end
"""
TABLES = {"fares.csv": "origin,destination,adult\na,b,100\nb,c,250\n"}
SOURCE = TariffSource(TEXT, TABLES)


@pytest.mark.parametrize(
    ("clause", "zones", "lines"),
    [
        ("cap[0] line 12", "", [12, 13, 14]),
        ("cap[1] line 16", "", [16, 17, 18, 19]),
        ("cap[1]", "", [16, 17, 18, 19]),
        ("basis line 3", "", [3, 4]),
        ("basis line 3", "2-3", [3, 4, 8, 9, 10]),
        ("basis line 3", "1-9", [3, 4]),
        ("basis, fares.csv", "", [3, 4]),
        ("basis line 9999", "", []),
        ("cap[7]", "", []),
        ("nowhere", "", []),
        ("", "", []),
    ],
)
def test_a_clause_opens_to_its_lines(clause: str, zones: str, lines: list[int]) -> None:
    found = clause_lines(SOURCE, clause, zones=zones)

    assert [number for number, _ in found.lines] == lines
    assert all(TEXT.splitlines()[number - 1] == text for number, text in found.lines)


def test_a_row_of_a_table_is_found_in_either_direction() -> None:
    for pair in (("town/b", "town/c"), ("town/c", "town/b"), ("b", "c")):
        row = table_row(SOURCE, "basis, fares.csv", *pair)
        assert (row.file, row.lines) == ("fares.csv", ((1, "origin,destination,adult"), (3, "b,c,250")))
    assert table_row(SOURCE, "basis, fares.csv", "town/a", "town/c").lines == ()
    assert table_row(SOURCE, "cap[0] line 12", "b", "c").lines == ()


def test_a_clause_without_a_line_has_none() -> None:
    assert (line_of("cap[1] line 93"), line_of("basis, fares.csv"), line_of("")) == (93, None, None)


@pytest.mark.parametrize("operator_id", OPERATORS)
def test_the_clauses_of_our_own_tariffs_are_where_they_say(operator_id: str) -> None:
    tariff = tariff_of(operator_id)
    text = tariff.source.toml.splitlines()
    for part in (*tariff.caps, *tariff.tiers, *tariff.discounts, *tariff.overrides, *tariff.transfers):
        found = clause_lines(tariff.source, part.clause)
        assert found.lines and text[found.first - 1].startswith("[")
