"""Fares that operators publish, and facts about them with their sources. Skipped where the tables are not at hand."""

import csv
import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from fractions import Fraction
from typing import Any

import pytest

from fares.cases import HEAD, Said, Spot, Town, charges, city, ride, tariff_with
from hansa.fares import (
    Counters,
    Pricer,
    Tariff,
    TariffSource,
    check_tariff,
    read_source,
    read_tariff,
    tariff_folder,
)
from hansa.fares.parts.distance import DistanceBasis
from published import published

# -- Hong Kong --------------------------------------------------------------------------------------------------

NINE = {
    # column of the published table: rider class, medium
    "OCT_ADT_FARE": ("adult", "octopus"),
    "OCT_STD_FARE": ("student", "octopus"),
    "OCT_JOYYOU_SIXTY_FARE": ("joyyou", "octopus"),
    "OCT_CON_CHILD_FARE": ("child", "octopus"),
    "OCT_CON_ELDERLY_FARE": ("senior", "octopus"),
    "OCT_CON_PWD_FARE": ("disabled", "octopus"),
    "SINGLE_ADT_FARE": ("adult", "ticket"),
    "SINGLE_CON_CHILD_FARE": ("child", "ticket"),
    "SINGLE_CON_ELDERLY_FARE": ("senior", "ticket"),
}
AS_ADULT = ("student", "joyyou", "disabled")
"""Classes for which no single ticket is published; here they have the adult's."""


@dataclass(frozen=True)
class Stations:
    """Places of which only the names matter."""

    stops: dict[str, Spot]

    def distance_m(self, origin: str, destination: str, /) -> int:
        raise LookupError(origin, destination)

    def zone_of(self, stop_id: str, /) -> str | None:
        del stop_id
        return None


def stations(rows: list[dict[str, str]]) -> Stations:
    return Stations({row["SRC_STATION_ID"]: Spot(row["SRC_STATION_NAME"]) for row in rows})


def hong_kong() -> tuple[Tariff, list[dict[str, str]]]:
    """All nine columns as one tariff, and the published rows."""
    path = published("mtr_2024") / "mtr_lines_fares.csv"
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    columns = [f"{who}/{medium}" for who, medium in NINE.values()] + [f"{who}/ticket" for who in AS_ADULT]
    lines = [",".join(["origin", "destination", *columns])]
    for row in rows:
        amounts = [row[name] for name in (*NINE, *["SINGLE_ADT_FARE"] * len(AS_ADULT))]
        lines.append(",".join([row["SRC_STATION_ID"], row["DEST_STATION_ID"], *amounts]))
    classes = "".join(
        f"[classes.{who}]\ncolumn = true\n" for who in dict.fromkeys(who for who, _ in NINE.values())
    )
    own = ", ".join(f'{who} = "99.00"' for who in dict.fromkeys(who for who, _ in NINE.values()))
    toml = "\n".join(
        [
            HEAD.replace("EUR", "HKD").replace("Europe/Paris", "Asia/Hong_Kong"),
            'media = ["octopus", "ticket"]\n',
            classes,
            '[basis]\nkind = "pairs"\nfile = "fares.csv"\namounts = "major"\nsymmetric = false\n',
            f"[journey]\nmax_minutes = 150\n[incomplete]\nfare = {{ {own} }}\n",
        ]
    )
    return read_source(TariffSource(toml, {"fares.csv": "\n".join(lines) + "\n"})), rows


def test_all_82_944_fares_of_hong_kong_are_the_published_ones() -> None:
    """Nine columns, classes and media, for 9,216 ways; and none of the pairs is missing."""
    tariff, rows = hong_kong()
    pricer = Pricer(tariff, stations(rows))
    at = datetime(2024, 6, 4, 4, tzinfo=UTC)
    compared = 0

    for row in rows:
        for column, (who, medium) in NINE.items():
            quote = pricer.quote(row["SRC_STATION_ID"], row["DEST_STATION_ID"], at, who, medium=medium)
            assert quote.amount == int(row[column].replace(".", "")), (row, column)
            compared += 1

    assert compared == 82_944
    assert check_tariff(tariff, pricer.places) == ()


def test_a_row_that_the_published_table_of_hong_kong_loses_is_named() -> None:
    tariff, rows = hong_kong()
    lost = rows[4_711]
    table = [line for n, line in enumerate(tariff.source.tables["fares.csv"].splitlines()) if n != 4_712]
    cut = read_source(TariffSource(tariff.source.toml, {"fares.csv": "\n".join(table) + "\n"}))

    found = check_tariff(cut, stations(rows))

    pair = lost["SRC_STATION_ID"], lost["DEST_STATION_ID"]
    assert [(one.where, one.what) for one in found] == [
        (
            "fares.csv, field origin",
            f"no fare for the stops {pair[0]} to {pair[1]}: the table has no such row",
        )
    ]


# -- facts with their sources -----------------------------------------------------------------------------------


def facts() -> Any:
    return json.loads(published("fare_rules_sourced.json").read_text(encoding="utf-8"))


def bands_of(tariff: Tariff, *, who: str = "adult", rule: str = "") -> list[tuple[int, int]]:
    """(metres up to and with, minor units) of a basis by distance."""
    basis = next((one.basis for one in tariff.fares if one.name == rule), tariff.basis)
    assert isinstance(basis, DistanceBasis)
    return [(band.up_to_m, band.price.find("", who) or 0) for band in basis.bands]


def said_bands(bands: Any, *, scale: int) -> list[tuple[int, int]]:
    return [(round(to * 1_000), amount * scale) for _, to, amount in bands if to is not None]


def at_metres(tariff: Tariff, metres: int, *, day: str = "2026-11-17", clock: str = "10:00-10:30") -> int:
    """What a ride of so many metres costs an adult."""
    town = Town({"a": 0, "b": metres})
    journey = ride(tariff, f"{clock} metro a>b medium=token", day=date.fromisoformat(day))
    return Pricer(tariff, town).price_day([journey], Counters())[0].amount_minor


def test_every_fact_about_beijing() -> None:
    said = facts()["beijing_subway"]
    tariff = read_tariff(tariff_folder("beijing-subway"))

    assert bands_of(tariff) == said_bands(said["bands_km"], scale=100)
    grace = said["grace_m"]
    for (up_to_m, cents), (_, more) in zip(bands_of(tariff), [*bands_of(tariff)[1:], (0, 700)], strict=True):
        assert at_metres(tariff, up_to_m + grace) == cents
        assert at_metres(tariff, up_to_m + grace + 1) == more
    for metres, cents in (
        (52_099, 700),
        (52_100, 800),
        (72_100, 900),
        (132_099, 1_100),
    ):  # 1 more per 20 km, no end
        assert at_metres(tariff, metres) == cents
    assert [(tier.from_minor, tier.percent) for tier in tariff.tiers] == [
        (low * 100, round(share * 100)) for low, _, share in said["monthly_cumulative"][1:]
    ]
    assert tariff.journey_max.total_seconds() == said["max_paid_area_hours"] * 3_600
    airport = tariff.overrides[0]
    assert airport.price.find("", "adult") == said["airport"]["capital"] * 100
    early = tariff.discounts[0]
    assert (early.percent, len(early.condition.stops | early.condition.from_stops)) == (50, 25)


def test_the_month_of_beijing_by_rides_of_five_yuan() -> None:
    """By plain arithmetic of the stated tiers, from the next ride on, until the month ends."""
    said = facts()["beijing_subway"]["monthly_cumulative"]
    tariff = read_tariff(tariff_folder("beijing-subway"))
    pricer = Pricer(tariff, Town({"a": 0, "b": 15_000}))
    journey = ride(tariff, "10:00-10:30 metro a>b")
    paid = expected = 0

    for _ in range(120):
        share = next(Fraction(str(share)) for _, high, share in said if high is None or paid < high * 100)
        fare = pricer.price_day([journey], Counters(month_minor=paid))[0].amount_minor
        assert fare == 500 * share
        paid, expected = paid + fare, expected + int(500 * share)

    assert paid == expected


def test_the_line_to_daxing_by_its_own_bands() -> None:
    bands = facts()["beijing_subway"]["airport"]["daxing_bands_km"]
    rule = '[[fare]]\nname = "Daxing"\nlines = ["daxing"]\nkind = "distance"\n' + "".join(
        f'[[fare.band]]\nup_to_m = {to * 1_000 if to else 10_000_000}\nfare = "{amount}"\n'
        for _, to, amount in bands
    )
    pricer = Pricer(tariff_with(rule), Town({"a": 0, "b": 20_000, "c": 30_000, "d": 41_000}))

    charges(
        pricer,
        """
        08:00-08:20 metro a>b line=daxing = 10.00
        09:00-09:20 metro a>c line=daxing = 25.00
        10:00-10:40 metro a>d line=daxing = 35.00
        11:00-11:20 metro a>b line=4 = 2.00
        """,
    )


def test_every_fact_about_delhi() -> None:
    said = facts()["delhi_metro_2025-08-25"]
    tariff, _, _ = city("delhi")

    for day, bands in (("2026-11-17", said["bands_km"]), ("2026-11-22", said["sunday_national_holiday"])):
        for low, to, rupees in bands:
            assert at_metres(tariff, to * 1_000 if to else 60_000, day=day) == rupees * 100
            assert at_metres(tariff, low * 1_000 + 1, day=day) == rupees * 100
    assert at_metres(tariff, 60_000, day="2026-01-26") == said["sunday_national_holiday"][-1][2] * 100
    card = [(one.name, one.percent, one.condition.media) for one in tariff.discounts]
    assert {one[1:] for one in card} == {(90, frozenset({"card"}))}
    spans = [one.condition.hours for one in tariff.discounts if one.condition.hours is not None]
    hours = {(f"{one.starts:%H:%M}", f"{one.ends:%H:%M}") for one in spans}
    assert hours == {("00:00", "08:00"), ("12:00", "17:00"), ("21:00", "23:59")}


def test_every_fact_about_singapore() -> None:
    said = facts()["singapore_2023_fare_review_adult_trunk_card_cents"]
    tariff, _, _ = city("singapore")

    assert bands_of(tariff) == said_bands(said["bands_km"], scale=1)
    students = bands_of(tariff, who="student")
    for low, to, cents in said["student_bands_km"]:
        inside = [amount for up_to, amount in students if low * 1_000 <= up_to <= (to or 999) * 1_000]
        assert set(inside) == {cents}
    joins = tariff.joins
    assert {join.legs_max for join in joins} == {6}  # five transfers
    assert max(join.within.total_seconds() for join in joins) == 45 * 60
    assert {join.long_max.total_seconds() for join in joins if join.long_max} == {120 * 60}
    assert any(join.same_line == "not_next" for join in joins)


def test_one_entry_to_the_rail_network_in_a_journey() -> None:
    rules = '[[join]]\nname = "One journey"\nwithin_minutes = 45\npriced_by = "distances"\nonce = ["rail"]\n'
    pricer = Pricer(tariff_with(rules), Town({"a": 0, "b": 900}))

    charges(
        pricer,
        """
        08:00-08:10 rail a>b = 2.00
        08:20-08:30 bus line=1 = 0.00
        08:40-08:50 rail a>b = 2.00      # rail again: a new journey
        """,
    )


def test_every_fact_about_london() -> None:
    said = facts()["tfl_2025-03"]
    tariff = read_tariff(tariff_folder("london-tfl"))
    caps = {
        tariff.zone_label(cap.zones): cap.amount("adult")
        for cap in tariff.caps
        if cap.period == "day" and cap.zones and not cap.products
    }

    for zones, pounds in said["daily_cap_gbp"].items():
        assert caps[zones] == round(pounds * 100)
    assert (str(tariff.day_starts)[:5], tariff.period) == (said["day"][:5], "week")
    worked, town, days = city("london-2023")
    day: Said = days[0]
    assert sum(fare.amount_minor for fare in day.fares(Pricer(worked, town))) == 1_250
    assert "12.50" in said["worked_case"]["journey"]


def test_the_rule_of_seoul() -> None:
    """100 won for each 5 km past 10 km up to 50 km, then for each 8 km, begun ones too."""
    assert "+100 KRW per 5 km to 50 km, then +100 per 8 km" in facts()["seoul_integrated"]["rule"]
    tariff, town, _ = city("seoul")
    pricer = Pricer(tariff, town)

    base = pricer.price_day([ride(tariff, "10:00-10:30 subway 10.0km")], Counters())[0].amount_minor
    for metres in range(10_000, 90_000, 500):
        stretches = -(-max(0, min(metres, 50_000) - 10_000) // 5_000) + -(-max(0, metres - 50_000) // 8_000)
        fare = pricer.price_day([ride(tariff, f"10:00-10:30 subway {metres}m")], Counters())[0]
        assert fare.amount_minor == base + 100 * stretches


@pytest.mark.parametrize(
    ("clock", "minutes", "joined"), [("10:00", 30, True), ("10:00", 31, False), ("21:30", 60, True)]
)
def test_the_transfer_of_seoul(clock: str, minutes: int, joined: bool) -> None:
    tariff, town, _ = city("seoul")
    hour, minute = clock.split(":")
    again = int(hour) * 60 + int(minute) + minutes
    first = ride(
        tariff, f"09:00-{clock} bus 3.0km line=7" if hour == "10" else f"21:00-{clock} bus 3.0km line=7"
    )
    then = ride(tariff, f"{again // 60}:{again % 60:02}-{again // 60}:{again % 60 + 5:02} bus 3.0km line=8")

    fares = Pricer(tariff, town).price_day([first, then], Counters())

    assert (fares[1].amount_minor == 0) is joined


def test_nothing_of_the_sourced_facts_is_left_out() -> None:
    """A city that is added there needs a test here."""
    assert facts().keys() == {
        "beijing_subway",
        "delhi_metro_2025-08-25",
        "singapore_2023_fare_review_adult_trunk_card_cents",
        "tfl_2025-03",
        "seoul_integrated",
    }
