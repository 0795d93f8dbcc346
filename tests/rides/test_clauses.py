"""The lines of a tariff that a step follows."""

import re

import pytest

from hansa.fares import TariffSource, read_source
from hansa.fares.parts.pairs import PairBasis
from hansa.fares.parts.zones import ZoneBasis
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
    ("clause", "lines"),
    [
        ("cap[0] line 12", [12, 13, 14]),
        ("cap[1] line 16", [16, 17, 18, 19]),
        ("cap[1]", [16, 17, 18, 19]),
        ("basis line 3", [3, 4]),
        ("basis.span[1] line 8", [8, 9, 10]),
        ("basis.span[1]", [8, 9, 10]),
        ("basis line 3, fares.csv line 2", [3, 4]),
        ("basis, fares.csv", [3, 4]),
        ("basis line 9999", []),
        ("cap[7]", []),
        ("nowhere", []),
        ("", []),
    ],
)
def test_a_clause_opens_to_its_lines(clause: str, lines: list[int]) -> None:
    found = clause_lines(SOURCE, clause)

    assert [number for number, _ in found.lines] == lines
    assert all(TEXT.splitlines()[number - 1] == text for number, text in found.lines)


def test_a_row_of_a_table_is_the_one_that_the_clause_names() -> None:
    row = table_row(SOURCE, "basis line 3, fares.csv line 3")

    assert (row.file, row.lines) == ("fares.csv", ((1, "origin,destination,adult"), (3, "b,c,250")))
    for nowhere in (
        "basis line 3, fares.csv line 9",
        "basis line 3, fares.csv line 1",
        "basis line 3, other.csv line 2",
    ):
        assert table_row(SOURCE, nowhere).lines == ()
    assert table_row(SOURCE, "basis, fares.csv").lines == table_row(SOURCE, "cap[0] line 12").lines == ()


def test_a_clause_without_a_line_has_none() -> None:
    assert (line_of("basis line 29, fares.csv line 7"), line_of("basis, fares.csv"), line_of("")) == (
        29,
        None,
        None,
    )


@pytest.mark.parametrize("operator_id", OPERATORS)
def test_the_clauses_of_our_own_tariffs_are_where_they_say(operator_id: str) -> None:
    tariff = tariff_of(operator_id)
    text = tariff.source.toml.splitlines()
    for part in (*tariff.caps, *tariff.tiers, *tariff.discounts, *tariff.overrides, *tariff.transfers):
        found = clause_lines(tariff.source, part.clause)
        assert found.lines and text[found.first - 1].startswith("[")


def test_the_basis_says_the_very_span_and_the_very_row() -> None:
    london, hong_kong = tariff_of("london-tfl"), tariff_of("hong-kong-mtr")
    zones, pairs = london.basis, hong_kong.basis
    assert isinstance(zones, ZoneBasis) and isinstance(pairs, PairBasis)
    table = hong_kong.source.tables["fares.csv"].splitlines()

    for span in zones.spans:
        lines = dict(clause_lines(london.source, zones.of_span(span).clause).lines)
        assert any(f'"{zones.label(span)}"' in line for line in lines.values()), span
    for (origin, destination), number in pairs.rows.items():
        ends = ",".join(stop.removeprefix("hong-kong/") for stop in (origin, destination))
        assert table[number - 1].startswith(f"{ends},")
        assert pairs.line_of(destination, origin) == number


def test_a_row_is_found_behind_empty_lines_and_quoted_cells() -> None:
    table = 'origin,destination,adult\r\n\r\n"a",b,100\r\n\r\nb,c,250\r\na,c,100\r\n'
    text = re.sub(
        r"(?ms)^\[basis\].*?(?=^\[(?!\[?basis))",
        '[basis]\nkind = "pairs"\nfile = "fares.csv"\namounts = "minor"\n\n',
        tariff_of("hangzhou-metro").source.toml,
    )
    tariff = read_source(TariffSource(text, {"fares.csv": table}))
    basis = tariff.basis
    assert isinstance(basis, PairBasis)

    assert [basis.line_of(*pair) for pair in ("ab", "bc", "ca")] == [3, 5, 6]
    assert [basis.prices[basis.fares[line]].amounts for line in (3, 5, 6)] == [
        {("", "adult"): minor} for minor in (100, 250, 100)
    ]
    for line, cells in ((3, '"a",b,100'), (6, "a,c,100")):
        assert table_row(tariff.source, f"{basis.clause} line {line}").lines[1] == (line, cells)
