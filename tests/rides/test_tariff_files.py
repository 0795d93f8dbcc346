"""A tariff is read whole or not at all, and every fault is told with file, line, field and remedy."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.fares.tariff import DistanceBasis, PairBasis, ZoneBasis
from hansa.kernel import InvalidInput, Problem
from hansa.rides import RIDER_CLASSES, Pricer, Tariff, TariffSource, read_source, read_tariff, tariff_folder
from rides.riding import charged, fares_of, local, network_of, ride, tariff_of


def refusal(source: TariffSource) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        read_source(source)
    return caught.value


def changed(operator: str, old: str, new: str) -> TariffSource:
    source = tariff_of(operator).source
    assert old in source.toml, old
    return TariffSource(source.toml.replace(old, new, 1), source.tables)


def line_of(source: TariffSource, text: str) -> int:
    return next(number for number, line in enumerate(source.toml.splitlines(), 1) if text in line)


def test_the_parts_of_the_tariffs_that_come_with_hansa() -> None:
    beijing, london, hong_kong = (
        tariff_of("beijing-subway"),
        tariff_of("london-tfl"),
        tariff_of("hong-kong-mtr"),
    )

    assert isinstance(beijing.basis, DistanceBasis)
    assert (beijing.basis.grace_m, beijing.basis.beyond_every_m) == (99, 20_000)
    assert [tier.from_minor for tier in beijing.tiers] == [10_000, 15_000, 40_000]
    assert isinstance(london.basis, ZoneBasis)
    assert len(london.basis.spans) == 21
    assert {cap.period for cap in london.caps} == {"day", "week"}
    assert isinstance(hong_kong.basis, PairBasis)
    assert len(hong_kong.basis.rows) == 98 * 97 // 2


def test_a_tariff_says_which_fares_companions_pay() -> None:
    said = changed("beijing-subway", "format = 1", 'format = 1\ncompanions = "child"')

    assert read_source(said).companions == "child"
    assert tariff_of("beijing-subway").companions == "adult"


@pytest.mark.parametrize(
    ("operator", "old", "new", "where", "what"),
    [
        (
            "beijing-subway",
            "format = 1",
            'format = 1\ncompanions = "dog"',
            "companions",
            "'dog' is no rider class",
        ),
        ("beijing-subway", 'fare = "4.00"', "fare = 4.00", "basis.band[1].fare", "4.0 is no amount"),
        ("beijing-subway", 'fare = "4.00"', 'fare = "4.001"', "basis.band[1].fare", "is no amount"),
        (
            "beijing-subway",
            "up_to_m = 12000",
            "up_to_m = 5000",
            "basis.band[1].up_to_m",
            "not beyond the band",
        ),
        ("beijing-subway", "grace_m = 99", "grace = 99", "basis.grace", "is not a field here"),
        ("beijing-subway", 'currency = "CNY"', 'currency = "XYZ"', "currency", "not an active ISO 4217 code"),
        ("beijing-subway", 'tz = "Asia/Shanghai"', 'tz = "Asia/Nowhere"', "tz", "is not a time zone"),
        ("beijing-subway", 'day_starts = "04:00"', "day_starts = 4", "day_starts", "is not a time of day"),
        ("beijing-subway", "valid_from = 2025-01-01", 'valid_from = "soon"', "valid_from", "is not a day"),
        ("beijing-subway", "format = 1", "format = 2", "format", "not a format this version reads"),
        ("beijing-subway", "max_minutes = 240\n", "", "journey.max_minutes", "is missing"),
        (
            "beijing-subway",
            'from = "150.00"',
            'from = "90.00"',
            "tier[1].from",
            "not more than the tier before",
        ),
        (
            "beijing-subway",
            'days = ["mon", ',
            'days = ["monday", ',
            "discount[0].days",
            "'monday' is no day type",
        ),
        ("beijing-subway", "[classes.senior]\npercent = 100\n", "", "classes.senior", "is missing"),
        (
            "beijing-subway",
            "percent = 0",
            "percent = 101",
            "classes.child.percent",
            "not a whole number in range",
        ),
        ("beijing-subway", '"beijing/terminal-2", ', '"Terminal 2", ', "override[0].stops", "does not fit"),
        ("london-tfl", 'zones = ["2-6"]', 'zones = ["2-7"]', "basis.span[10].zones", "is not a span"),
        ("london-tfl", 'zones = ["2-6"]', 'zones = ["1-6"]', "basis.span[10].zones", "has two fares"),
        ("london-tfl", 'zones = ["2-6"]', 'zones = ["1-6"]', "basis.span", "zones 2-6 have no fare"),
        (
            "london-tfl",
            '{ peak = "3.60", off-peak = "2.40" }',
            '{ peak = "3.60" }',
            "basis.span[10].fare",
            "no off-",
        ),
        ("london-tfl", 'to = "09:30"', 'to = "06:00"', "band[0].to", "is not after from"),
        ("london-tfl", 'period = "week"', 'period = "year"', "cap[5].period", "none of the choices"),
        ("london-tfl", 'zones = "1-5"', 'zones = "0-5"', "cap[3].zones", "is not a span of the zones"),
        ("london-tfl", 'zones = "1-5"', 'zones = "5-1"', "cap[3].zones", "runs backwards"),
        (
            "london-tfl",
            '{ adult = "8.90", child',
            '{ grownup = "8.90", child',
            "cap[0].amount",
            "no peak amount",
        ),
        (
            "london-tfl",
            "percent = { peak = 100, off-peak = 0 }",
            "percent = { peak = 100 }",
            "classes.senior",
            "says",
        ),
        ("toronto-ttc", ', senior = "2.25" }\n\n[tran', " }\n\n[tran", "basis.fare", "no amount for senior"),
        (
            "toronto-ttc",
            "window_minutes = 120",
            "window_minutes = 0",
            "transfers.window_minutes",
            "not a whole",
        ),
        ("hong-kong-mtr", 'file = "fares.csv"', 'file = "../fares.csv"', "basis.file", "is not there"),
    ],
)
def test_each_fault_is_named_with_its_field_and_line(
    operator: str, old: str, new: str, where: str, what: str
) -> None:
    source = changed(operator, old, new)

    problems = refusal(source).problems

    found = [p for p in problems if p.where.endswith(f"field {where}") or f"field {where}." in p.where]
    assert found, [str(p) for p in problems]
    assert any(what in p.what for p in found), [str(p) for p in problems]
    assert all(p.where.startswith("tariff.toml line ") and p.remedy for p in found)


def test_the_line_is_the_line_of_the_field() -> None:
    source = changed("beijing-subway", 'fare = "4.00"', "fare = 4")

    problem = refusal(source).problems[0]

    assert problem.where == f"tariff.toml line {line_of(source, 'fare = 4')}, field basis.band[1].fare"


def test_all_faults_are_told_at_once() -> None:
    source = changed("beijing-subway", 'fare = "4.00"', "fare = 4")
    source = TariffSource(source.toml.replace("percent = 80", "percent = 800"), {})

    assert len(refusal(source).problems) == 2


def test_text_that_is_not_toml_is_told_with_its_line() -> None:
    problem = refusal(TariffSource("format = 1\nname = Beijing\n", {})).problems[0]

    assert problem.where == "tariff.toml line 2"


def test_an_empty_text_names_what_is_missing() -> None:
    problems = refusal(TariffSource("", {})).problems

    fields = {problem.where.split("field ")[-1] for problem in problems}
    assert {"format", "operator", "city", "currency", "valid_from", "tz", "basis", "classes"} <= fields


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "what"),
    [
        ("central,admiralty,490", "central,admiralty,4.90", 2, "adult", "'4.90' is no amount"),
        ("central,admiralty,490", "central,admiralty,", 2, "adult", "'' is no amount"),
        ("central,admiralty,490", "central,admiralty,-490", 2, "adult", "is no amount"),
        ("central,admiralty,490,", "central,admiralty,", 2, "origin", "has 5 cells, not 6"),
        ("central,admiralty,", "Central,admiralty,", 2, "origin", "is no stop id"),
        ("central,tsim-sha-tsui,", "admiralty,central,", 3, "destination", "this pair has two fares"),
        (",senior\n", ",elder\n", 1, "elder", "is no rider class"),
        (",senior\n", ",elder\n", 1, "senior", "pays by its own column and has none"),
        ("origin,", "from,", 1, "origin", "first two columns"),
    ],
)
def test_each_fault_of_a_table_is_named_with_its_line(
    old: str, new: str, line: int, field: str, what: str
) -> None:
    source = tariff_of("hong-kong-mtr").source
    table = source.tables["fares.csv"]
    assert old in table

    problems = refusal(TariffSource(source.toml, {"fares.csv": table.replace(old, new, 1)})).problems

    found = [p for p in problems if p.where == f"fares.csv line {line}, field {field}"]
    assert any(what in p.what for p in found), [str(p) for p in problems][:5]


def test_a_folder_without_a_tariff_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_tariff(tmp_path)

    assert "cannot be opened" in str(caught.value)


def test_a_file_that_is_not_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "tariff.toml").write_bytes(b"\xff\xfe\x00")

    with pytest.raises(InvalidInput) as caught:
        read_tariff(tmp_path)

    assert "is not UTF-8" in str(caught.value)


def test_an_earlier_version_lies_beside_as_a_file_of_its_own(tmp_path: Path) -> None:
    source = tariff_of("hong-kong-mtr").source
    (tmp_path / "fares.csv").write_text(source.tables["fares.csv"], encoding="utf-8")
    (tmp_path / "2020-01-01.toml").write_text(
        source.toml.replace("valid_from = 2024-01-01", "valid_from = 2020-01-01"), encoding="utf-8"
    )

    tariff: Tariff = read_tariff(tmp_path / "2020-01-01.toml")

    assert tariff.valid_from.year == 2020


def test_an_operator_without_a_tariff_is_told_which_there_are() -> None:
    with pytest.raises(InvalidInput) as caught:
        tariff_folder("atlantis-metro")

    assert "toronto-ttc" in str(caught.value)


def test_the_examples_of_the_manual_can_be_read() -> None:
    manual = (Path(__file__).parents[2] / "docs" / "tariffs" / "README.md").read_text(encoding="utf-8")
    blocks = [block.split("```")[0] for block in manual.split("```toml\n")[1:]]
    kinds = {
        kind: next(b for b in blocks if f'kind = "{kind}"' in b)
        for kind in ("flat", "distance", "zones", "pairs")
    }
    top, classes, hours, rules, end = (
        next(block for block in blocks if text in block)
        for text in ("format = 1", "[classes.adult]", "default_band", "[[override]]", "[incomplete]")
    )
    student = '[[basis.span]]\nzones = ["1", "1-2", "1-3", "2-3"]\nfare = "2.00"\n'
    own_column = classes.replace("column = true", "percent = 80")
    table = {"fares.csv": "origin,destination,adult\ncentral,harbour,490\n"}

    for kind, basis in kinds.items():
        zones = student if kind == "zones" else ""
        capped = rules if kind == "zones" else rules.replace('zones = "1-2" ', "")
        tariff = read_source(
            TariffSource("\n".join([top, hours, own_column, basis, zones, capped, end]), table)
        )
        assert tariff.operator_id == "riverside-metro"


JUNK = (
    "5",
    "-1",
    '"x"',
    '""',
    "[]",
    "{}",
    "true",
    "2025-01-01",
    "1.5",
    "[1]",
    '["a", 2]',
    "nan",
    "{ adult = [] }",
    '"1-"',
)


@settings(max_examples=150, deadline=None)
@given(
    operator=st.sampled_from(["beijing-subway", "london-tfl", "toronto-ttc", "hangzhou-metro"]),
    changes=st.lists(st.tuples(st.integers(0, 400), st.sampled_from(JUNK)), min_size=1, max_size=4),
    dropped=st.sets(st.integers(0, 400), max_size=3),
)
def test_whatever_is_written_is_read_or_told(
    operator: str, changes: list[tuple[int, str]], dropped: set[int]
) -> None:
    lines = tariff_of(operator).source.toml.splitlines()
    for at, junk in changes:
        line = lines[at % len(lines)]
        if "=" in line:
            lines[at % len(lines)] = f"{line.split('=')[0]}= {junk}"
    text = "\n".join(line for number, line in enumerate(lines) if number not in dropped)

    problems: tuple[Problem, ...] = ()
    try:
        tariff = read_source(TariffSource(text, {}))
    except InvalidInput as error:
        problems = error.problems
    else:
        stops = sorted(network_of(operator).stops)[:9]
        for rider_class in RIDER_CLASSES:
            at = local(tariff, "08:00")
            taps = [*ride(at, stops[0], stops[8], rider_class=rider_class), *ride(at, stops[3], None)]
            assert min(charged(fares_of(Pricer(tariff, network_of(operator)), taps))) >= 0

    assert all(problem.where and problem.what and problem.remedy for problem in problems)
