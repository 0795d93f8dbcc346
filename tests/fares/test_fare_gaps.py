"""No ride of a network without a fare goes unseen: every check against trying out every ride."""

from datetime import date, datetime, time
from itertools import product
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fares.cases import CLASSES, END, Town, Track, tariff_with
from hansa.fares import Finding, Pricer, Tariff, TariffSource, Unpriceable, check_tariff, read_source
from hansa.fares.gaps import find_gaps
from hansa.fares.legs import question

STOPS = "abcde"
CLOSED = END.replace("[incomplete]", 'same_stop = "0.50"\n[incomplete]')


def town_of(dice: Random) -> Town:
    """Up to five stops along a street, with zones of which one may be missing or on a boundary."""
    stops = STOPS[: dice.randint(2, 5)]
    metres = 0
    at_m: dict[str, int] = {}
    for stop in stops:
        at_m[stop] = metres
        metres += dice.choice([400, 900, 2_100, 3_000])
    zones = {
        stop: dice.choice(["1", "2", "3", "1/2", "2/3", "9"] if dice.random() < 0.2 else ["1", "2", "3"])
        for stop in stops
        if dice.random() < 0.95
    }
    spots = {stop: (50.0, 4.0 + metres / 71_000) for stop, metres in at_m.items()}
    halves = stops[: len(stops) // 2 + 1], stops[len(stops) // 2 :]
    whole = [stops] if dice.random() < 0.8 else list(halves[:1])
    lines = {str(n): Track(tuple((stop, 1) for stop in part)) for n, part in enumerate(whole)}
    return Town(at_m, zones, spots, lines)


def basis_of(dice: Random, town: Town, name: str = "basis", kinds: str = "") -> tuple[str, dict[str, str]]:
    """A basis that prices the town, or nearly; and its table."""
    kind = dice.choice(
        kinds.split() or ["distance", "rate", "zones", "sets", "count", "pairs", "rows", "metres"]
    )
    through = f"through = {dice.choice(['true', 'false'])}\n"
    far = dice.choice([1_000, 3_000, 6_000, 9_000])
    stops, file = sorted(town.at_m), f"{name}.csv"
    match kind:
        case "distance":
            measure = dice.choice(["network", "straight", "stops"])
            up_to, end = ("stops", dice.randint(1, 4)) if measure == "stops" else ("m", far)
            beyond = dice.random() < 0.3
            text = f'kind = "distance"\nmeasure = "{measure}"\ngrace_m = {dice.choice([0, 99])}\n'
            text += f'[[{name}.band]]\nup_to_{up_to} = {end}\nfare = "1.00"\n'
            text += f'[{name}.beyond]\nevery_{up_to} = {end}\nadd = "0.20"\n' if beyond else ""
            return text, {}
        case "rate":
            return f'kind = "rate"\n[[{name}.rate]]\nup_to_m = {far}\nper_km = "0.10"\n', {}
        case "zones":
            order = dice.choice([["1", "2", "3"], ["1", "2"], ["1", "2", "3", "9"]])
            spans = ", ".join(
                f'"{one}-{two}"' if one != two else f'"{one}"'
                for n, one in enumerate(order)
                for two in order[n:]
            )
            text = f'kind = "zones"\n{through}order = {order}\n'
            return text + f'[[{name}.span]]\nzones = [{spans}]\nfare = "2.00"\n', {}
        case "sets":
            sets = dice.sample([["1"], ["1", "2"], ["2", "3"], ["1", "2", "3"]], dice.randint(1, 4))
            text = f'kind = "zone-sets"\n{through}'
            return text + "".join(f'[[{name}.set]]\nzones = {one}\nfare = "1.00"\n' for one in sets), {}
        case "count":
            counts = range(1, dice.randint(2, 4))
            text = f'kind = "zone-count"\n{through}'
            return text + "".join(f'[[{name}.count]]\nzones = {one}\nfare = "1.00"\n' for one in counts), {}
        case "metres" | "pairs":
            symmetric = dice.random() < 0.5
            pairs = [(a, b) for a, b in product(stops, repeat=2) if a <= b or not symmetric]
            kept = [pair for pair in pairs if dice.random() < 0.97]
            value = "adult" if kind == "pairs" else "metres"
            rows = f"origin,destination,{value}\n" + "".join(
                f"{a},{b},{dice.randint(1, 900)}\n" for a, b in kept
            )
            text = f'file = "{file}"\nsymmetric = {str(symmetric).lower()}\n'
            if kind == "pairs":
                return f'kind = "pairs"\namounts = "minor"\n{text}', {file: rows}
            text = f'kind = "distance"\nmeasure = "table"\n{text}'
            return text + f'[[{name}.band]]\nup_to_m = 800\nfare = "1.00"\n', {file: rows}
        case _:
            labels = sorted({*town.zones.values()})
            kept = [(a, b) for a, b in product(labels, repeat=2) if a <= b and dice.random() < 0.97]
            rows = "origin,destination,adult\n" + "".join(f"{a},{b},100\n" for a, b in kept)
            return f'kind = "pairs"\nby = "zone"\namounts = "minor"\nfile = "{file}"\n', {file: rows}


RULES = (
    'products = ["bus"]',
    'from_stops = ["a", "b"]',
    'to_zones = ["2"]',
    'classes = ["child"]',
    'days = ["sat", "holiday"]',
    'days = ["mon"]\nfrom = "07:10"\nto = "07:20"',
    'bands = ["peak"]',
    'seasons = ["summer"]',
    'stops = ["c"]\nunless = { products = ["bus"] }',
)
TOP = """default_band = "off-peak"
holidays = [2020-12-25]
[[band]]
name = "peak"
days = ["tue"]
from = "08:00"
to = "08:30"
unless = { from_stops = ["b"] }
[[season]]
name = "summer"
from = "06-15"
until = "09-15"
"""


def tariff_of(dice: Random, town: Town) -> Tariff | None:
    """A random tariff over a town; None where it cannot be read (a table without a row)."""
    basis, tables = basis_of(dice, town)
    rules = ""
    for number in range(dice.randint(0, 2)):
        either = dice.random() < 0.2
        text, more = basis_of(dice, town, "fare", "distance rate zones sets count" if either else "")
        more = {name.replace("fare", f"fare{number}"): rows for name, rows in more.items()}
        text = text.replace("fare.csv", f"fare{number}.csv")
        if either:
            text = text.replace("fare.", "fare.either.").removeprefix("kind")
            text = f'kind = "cheapest"\n[[fare.either]]\nkind{text}[[fare.either]]\nkind{text}'
        rules += f'[[fare]]\nname = "Rule {number}"\n{dice.choice(RULES)}\n{text}'
        tables |= more
    if dice.random() < 0.3:
        rules += '[[override]]\nname = "x"\nstops = ["a"]\nfare = "9.00"\n'
    end = dice.choice([END, CLOSED])
    plain = tariff_with(rules="", top=TOP, classes=CLASSES, end=end).source.toml
    flat = '[basis]\nkind = "flat"\nfare = "2.00"\n'
    if any(rows.count("\n") == 1 for rows in tables.values()):
        return None
    return read_source(TariffSource(plain.replace(flat, f"[basis]\n{basis}\n{rules}"), tables))


DAYS = [date(2020, 1, day) for day in (6, 7, 8, 11)] + [date(2020, 12, 25), date(2020, 7, 8)]
CLOCKS = [time(7, 15), time(8, 10), time(12)]


def unpriceable(tariff: Tariff, town: Town) -> set[tuple[str, str]]:
    """The pairs for which some ride has no fare, by trying every one."""
    pricer = Pricer(tariff, town)
    found: set[tuple[str, str]] = set()
    for origin, destination in product(sorted(town.at_m), repeat=2):
        for day, clock, ridden, who in product(DAYS, CLOCKS, ("", "bus"), ("adult", "child")):
            at = datetime.combine(day, clock, tariff.zone_info)
            try:
                pricer.leg(question(origin, destination, at, who, ridden))
            except Unpriceable:
                found.add((origin, destination))
                break
    return found


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000_000))
@example(seed=157_192)  # a table of metres for both ways, under a rule that asks for one way only
def test_a_gap_is_found_where_some_ride_has_no_fare_and_nowhere_else(seed: int) -> None:
    dice = Random(seed)
    town = town_of(dice)
    tariff = tariff_of(dice, town)
    if tariff is None:
        return

    gaps = list(find_gaps(tariff, town))

    without = unpriceable(tariff, town)
    assert bool(gaps) == bool(without), (without, gaps, tariff.source)
    assert all(gap.what and gap.remedy and (gap.clause or gap.file) for gap in gaps)
    for gap in gaps:  # a pair that is named is one of them
        if " pairs of stops, such as " in gap.what:
            origin, _, rest = gap.what.split(" such as ")[1].partition(" to ")
            assert (origin, rest[0]) in without, (gap, without)


# -- rows and lines that are named ----------------------------------------------------------------------------

STREET = Town(
    {"a": 0, "b": 1_500, "c": 9_000}, {"a": "1", "b": "2", "c": "2"}, lines={"7": Track((("a", 0),))}
)
PAIRS = '[basis]\nkind = "pairs"\nfile = "fares.csv"\namounts = "minor"\n'


def told(rules: str = "", **parts: str) -> list[Finding]:
    return list(check_tariff(tariff_with(rules, **parts), STREET))


def test_every_row_that_a_table_lacks_is_named_with_what_to_add() -> None:
    found = told(basis=PAIRS, table="origin,destination,adult\na,b,100\na,a,0\nb,b,0\n")

    assert [(one.severity, one.where, one.what, one.remedy) for one in found] == [
        (
            "error",
            "fares.csv, field origin",
            f"no fare for the stops {pair.replace(',', ' to ')}: the table has no such row",
            f"Add the row {pair}, or leave the stop out of the network",
        )
        for pair in ("a,c", "b,c", "c,c")
    ]


@pytest.mark.parametrize(
    ("basis", "table", "where", "what"),
    [
        (PAIRS, "a,b,100\na,z,50\n", "fares.csv line 3, field origin", "the network has no stop 'z'"),
        (
            PAIRS + 'by = "zone"\n',
            "1,1,1\n1,2,2\n2,2,3\n4,4,9\n",
            "fares.csv line 5, field origin",
            "the network has no zone '4'",
        ),
        (
            '[basis]\nkind = "lines"\n[basis.line]\n"7" = "1.00"\n"8" = "1.00"\n',
            "",
            "tariff.toml line 21, field basis",
            "the network has no line '8'",
        ),
        (
            '[basis]\nkind = "lines"\n[basis.line]\n"9" = "1.00"\n',
            "",
            "tariff.toml line 23, field basis.line",
            "no fare for line 7",
        ),
        (
            '[basis]\nkind = "zone-sets"\nthrough = false\n[[basis.set]]\nzones = ["1"]\nfare = "1.00"\n',
            "",
            "tariff.toml line 21, field basis.set",
            "no fare for zones 1+2, such as from a to c",
        ),
    ],
)
def test_what_the_network_has_not_and_what_it_has_beyond_the_tariff(
    basis: str, table: str, where: str, what: str
) -> None:
    found = told(basis=basis, table=f"origin,destination,adult\n{table}" if table else "")

    if "no fare for line" in what:  # names are looked at first: gaps are looked for where they are right
        tariff = tariff_with(basis=basis)
        assert [gap.what for gap in find_gaps(tariff, STREET)] == [what]
        return
    assert (found[0].where, found[0].what) == (where, what)


@pytest.mark.parametrize(
    ("basis", "what"),
    [
        (
            '[basis]\nkind = "distance"\n[[basis.band]]\nup_to_m = 2000\nfare = "2.00"\n[[basis.band]]\n'
            'up_to_m = 20000\nfare = "1.90"\n',
            "up to 20,000 costs less than up to 2,000, adult",
        ),
        (
            '[basis]\nkind = "zones"\norder = ["1", "2"]\n[[basis.span]]\nzones = ["1", "2"]\nfare = "2.00"\n'
            '[[basis.span]]\nzones = ["1-2"]\nfare = "1.00"\n',
            "zones 1-2 cost less than zones 2, adult",
        ),
        (
            '[basis]\nkind = "zone-count"\n[[basis.count]]\nzones = 1\nfare = "2.00"\n'
            '[[basis.count]]\nzones = 2\nfare = "1.00"\n',
            "2 zones cost less than 1, adult",
        ),
        (
            '[basis]\nkind = "zone-sets"\n[[basis.set]]\nname = "A"\nzones = ["1"]\nfare = "2.00"\n'
            '[[basis.set]]\nname = "AB"\nzones = ["1", "2"]\nfare = "1.00"\n',
            "set AB costs less than set A, adult",
        ),
        (
            '[basis]\nkind = "zones"\norder = ["1", "2", "3"]\n[[basis.span]]\n'
            'zones = ["1", "2", "3", "1-2", "2-3", "1-3"]\nfare = "2.00"\n',
            "no stop of the network is in zone '3'",
        ),
    ],
)
def test_what_is_odd_is_a_warning_and_the_tariff_is_taken(basis: str, what: str) -> None:
    found = told(basis=basis)

    assert what in [one.what for one in found], found
    assert {one.severity for one in found} == {"warning"}
