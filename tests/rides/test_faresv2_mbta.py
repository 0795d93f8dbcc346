"""Fares v2 of the Massachusetts Bay Transportation Authority, autumn 2024: fares worked out by hand from its rows.

The published rows are used as they are; ``rides.mbta`` tells what stands beside them. Skipped where the published
files are not at hand.
"""

import csv
import re
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from hansa import atlas, clearing, ledger, rides, trust
from hansa.kernel import InvalidInput, fact_id
from hansa.rides import Tap
from hansa.rides.faresv2 import FareBook, FareUnknown, Rider, price, price_by_medium
from hansa.store import Context
from published import published
from rides.mbta import CITY, FREE_DAY, feed_of, ride
from rides.riding import League


@pytest.fixture(scope="module")
def feed(tmp_path_factory: pytest.TempPathFactory) -> tuple[FareBook, dict[str, str]]:
    folder = tmp_path_factory.mktemp("mbta")
    where = feed_of(folder)
    read = atlas.read_gtfs(folder, city=CITY, operator_id="mbta")
    return FareBook(read.fares_v2), where


def test_all_rows_are_read(feed: tuple[FareBook, dict[str, str]]) -> None:
    fares = feed[0].fares

    assert (len(fares.leg_rules), len(fares.transfer_rules), len(fares.products)) == (677, 37, 96)
    assert not fares.by_priority
    assert sum(rule.transfer_only for rule in fares.leg_rules) == 56


def test_the_extract_as_it_is_published_is_refused() -> None:
    report = atlas.check_gtfs(published("mbta_faresv2"))

    assert not report.ok
    assert report.count("ERROR", "foreign_key_violation") == 185
    assert report.count("ERROR", "missing_required_file") == 3
    with pytest.raises(InvalidInput):
        atlas.read_gtfs(published("mbta_faresv2"), city=CITY, operator_id="mbta")


# journey (clock, route, from > to) | US cents | why, by the rows of the feed
SINGLE = [
    ("08:00 Red somewhere > elsewhere", 240, "quick ticket; cash and free rows are for transfers only"),
    ("08:00 Red south station > elsewhere", 240, "a row of its own for South Station"),
    ("08:00 Blue blue airport > blue", 240, "a row of its own for Airport"),
    ("08:00 Blue blue > elsewhere", 240, "the row of the Blue Line"),
    (
        "08:00 Green-B green b outer > elsewhere",
        240,
        "cash on the surface; the row without an area does not count",
    ),
    ("08:00 Green-D government center > elsewhere", 240, "the row of Government Center"),
    ("08:00 Mattapan elsewhere > ashmont", 240, "cash on the trolley"),
    ("08:00 Mattapan ashmont > elsewhere", 240, "quick ticket at Ashmont"),
    ("08:00 1 somewhere > elsewhere", 170, "cash 1.70 beats the quick ticket's 2.40"),
    ("08:00 1 354 downtown > 354 outside", 170, "a local bus between two areas is a local bus"),
    ("08:00 23 somewhere > elsewhere", 0, "a free route"),
    ("08:00 714 somewhere > elsewhere", 170, "restricted: cash only"),
    ("08:00 354 354 downtown > 354 outside", 425, "an express bus between its two areas"),
    ("08:00 354 354 outside > 354 downtown", 425, "the same the other way"),
    ("08:00 354 354 outside > 354 outside", 170, "an express bus within an area is a local bus"),
    ("08:00 501 somewhere > elsewhere", 425, "an express bus wherever it goes"),
    ("08:00 741 logan > sl south station", 0, "free from the airport terminals"),
    ("08:00 741 sl south station > logan", 240, "quick ticket at South Station; cash is for transfers only"),
    ("08:00 743 sl courthouse > chelsea", 240, "quick ticket to the north of Airport"),
    ("08:00 743 chelsea > sl south station", 240, "cash north of Airport"),
    ("08:00 743 sl way > sl airport", 240, "cash at Silver Line Way"),
    ("08:00 742 somewhere > sl south station", 240, "cash in the Seaport"),
    ("08:00 751 somewhere > elsewhere", 170, "on Washington Street the Silver Line is a local bus"),
    ("08:00 Shuttle-Generic somewhere > elsewhere", 0, "rail replacement is free when ridden alone"),
    ("08:00 CR-Fairmount fairmount > cr south station", 240, "zone 1A to 1A"),
    ("08:00 CR-Fairmount cr south station > fairmount", 240, "and back"),
    ("08:00 CR-Foxboro somewhere > elsewhere", 2000, "event train, there and back"),
    ("08:00 CapeFlyer cr 1a > hyannis", 2200, "Boston to Hyannis"),
    ("08:00 CapeFlyer cr 1a > buzzards", 2000, "Boston to Buzzards Bay"),
    ("08:00 CapeFlyer buzzards > hyannis", 500, "within the Cape"),
    ("08:00 CapeFlyer hyannis > cr 8", 500, "Hyannis to Middleborough"),
    ("08:00 Boat-F1 somewhere > elsewhere", 975, "Hingham and Hull"),
    ("08:00 Boat-F4 somewhere > elsewhere", 370, "Charlestown"),
    ("08:00 Boat-EastBoston somewhere > elsewhere", 240, "East Boston, zone 1A"),
    ("08:00 Boat-Lynn somewhere > elsewhere", 700, "Lynn, zone 2"),
    ("08:00 Boat-F6 somewhere > elsewhere", 650, "Winthrop and Quincy, zone 1"),
]


@pytest.mark.parametrize(("told", "cents", "why"), SINGLE)
def test_a_leg_costs_what_its_rule_says(
    feed: tuple[FareBook, dict[str, str]], told: str, cents: int, why: str
) -> None:
    book, where = feed

    priced = price(book, ride(where, told))

    assert priced.total.minor == cents, why
    assert sum(step.amount.minor for step in priced.steps) == cents


# zones apart, counting both | interzone fare: fare_products.txt, prod_cr_inter_1 to 10
INTERZONE = (275, 325, 350, 425, 475, 525, 575, 625, 675, 725)
# zone | fare to and from zone 1A: prod_cr_zone_1 to 10
TO_BOSTON = (650, 700, 800, 875, 975, 1050, 1100, 1225, 1275, 1325)


def test_all_hundred_interzone_fares_go_by_the_zones_passed(feed: tuple[FareBook, dict[str, str]]) -> None:
    book, where = feed

    for start in range(1, 11):
        for end in range(1, 11):
            legs = ride(where, f"08:00 CR-Worcester cr {start} > cr {end}")
            assert price(book, legs).total.minor == INTERZONE[abs(start - end)], (start, end)


@pytest.mark.parametrize("boston", ["cr 1a", "cr south station", "fairmount"])
def test_fares_to_and_from_boston_go_by_the_zone(feed: tuple[FareBook, dict[str, str]], boston: str) -> None:
    book, where = feed

    for zone, cents in enumerate(TO_BOSTON, 1):
        there = ride(where, f"08:00 CR-Worcester cr {zone} > {boston}")
        back = ride(where, f"08:00 CR-Worcester {boston} > cr {zone}")
        assert (price(book, there).total.minor, price(book, back).total.minor) == (cents, cents), zone


# journey | US cents | why, by the rows of the feed
CHANGES = [
    (
        "08:00 Red somewhere > elsewhere | 08:20 Orange somewhere > elsewhere",
        240,
        "2.40 + 0: within the subway without limit (line 17)",
    ),
    (
        "08:00 Red somewhere > elsewhere | 11:30 Orange somewhere > elsewhere | 15:00 Red somewhere > elsewhere",
        240,
        "2.40 + 0 + 0: transfer_count -1, no duration_limit",
    ),
    (
        "08:00 Red somewhere > elsewhere | 09:59 1 somewhere > elsewhere",
        240,
        "2.40 + 0: subway to bus within two hours of the first departure",
    ),
    (
        "08:00 Red somewhere > elsewhere | 10:00 1 somewhere > elsewhere",
        240,
        "exactly two hours are within two hours",
    ),
    (
        "08:00 Red somewhere > elsewhere | 10:00:01 1 somewhere > elsewhere",
        410,
        "2.40 + 1.70: a second late, and cash on the bus",
    ),
    (
        "08:00 1 somewhere > elsewhere | 08:30 Red somewhere > elsewhere",
        410,
        "1.70 + 2.40: no row leads from the bus to the subway",
    ),
    (
        "08:00 Red somewhere > elsewhere | 08:30 1 somewhere > elsewhere | 09:00 Orange somewhere > elsewhere",
        480,
        "2.40 + 0 + 2.40: the bus leads nowhere",
    ),
    (
        "08:00 Red somewhere > elsewhere | 08:20 Orange somewhere > elsewhere | 08:50 1 somewhere > elsewhere",
        240,
        "2.40 + 0 + 0",
    ),
    (
        "08:00 Green-B green b outer > elsewhere | 08:30 Red somewhere > elsewhere",
        240,
        "cash 2.40 + 0: the cash row for transfers (line 15)",
    ),
    (
        "08:00 Green-B green b outer > elsewhere | 08:30 1 somewhere > elsewhere",
        410,
        "2.40 + 1.70: no row leads from cash to the bus",
    ),
    (
        "08:00 Mattapan ashmont > elsewhere | 09:00 Red somewhere > elsewhere",
        240,
        "2.40 + 0: trolley to subway within two hours",
    ),
    (
        "08:00 Mattapan ashmont > elsewhere | 10:30 Red somewhere > elsewhere",
        480,
        "2.40 + 2.40: too late",
    ),
    (
        "08:00 Mattapan elsewhere > ashmont | 08:30 Red somewhere > elsewhere",
        480,
        "2.40 + 2.40: cash on the trolley has no row to the subway",
    ),
    (
        "08:00 Red somewhere > elsewhere | 09:30 Mattapan ashmont > elsewhere | 10:30 1 somewhere > elsewhere",
        240,
        "2.40 + 0 + 0: two rules between different groups, each with two hours of its own",
    ),
    (
        "08:00 741 logan > sl south station | 08:30 Red south station > elsewhere",
        0,
        "0 + 0: free from the terminals into the Red Line",
    ),
    (
        "08:00 741 logan > sl south station | 08:30 Red south station > elsewhere | 08:50 1 somewhere > elsewhere",
        170,
        "0 + 0 + 1.70: a free ride gives no ticket for the bus",
    ),
    (
        "08:00 741 sl south station > logan | 08:30 Red south station > elsewhere",
        240,
        "2.40 + 0: Silver Line to South Station",
    ),
    (
        "08:00 Red somewhere > south station | 08:20 741 sl south station > logan",
        240,
        "2.40 + 0: Red Line to Silver Line",
    ),
    (
        "08:00 741 sl south station > sl airport | 09:00 Blue blue airport > blue",
        240,
        "2.40 + 0: Silver Line to the Blue Line at Airport within two hours",
    ),
    (
        "08:00 742 somewhere > sl south station | 08:30 Red south station > elsewhere",
        240,
        "cash 2.40 + 0 at South Station",
    ),
    (
        "08:00 Red somewhere > elsewhere | 08:20 Shuttle-Generic somewhere > elsewhere | 08:50 1 somewhere > elsewhere",
        240,
        "2.40 + 0 + 0: the replacement bus carries the ticket on to the bus",
    ),
    (
        "08:00 Shuttle-Generic somewhere > elsewhere | 08:30 Red somewhere > elsewhere",
        240,
        "0 + 2.40: alone, the replacement bus is free and carries nothing",
    ),
    (
        "08:00 CR-Worcester cr 3 > cr south station | 08:50 Red south station > elsewhere",
        1040,
        "8.00 + 2.40: no transfer from the railway",
    ),
    (
        "08:00 Red somewhere > elsewhere | 08:30 354 354 downtown > 354 outside",
        665,
        "2.40 + 4.25: the express bus takes cash only",
    ),
]


@pytest.mark.parametrize(("told", "cents", "why"), CHANGES)
def test_a_chain_costs_what_its_transfers_say(
    feed: tuple[FareBook, dict[str, str]], told: str, cents: int, why: str
) -> None:
    book, where = feed

    priced = price(book, ride(where, told))

    assert priced.total.minor == cents, why
    assert sum(step.amount.minor for step in priced.steps) == cents


def test_media_differ_in_price(feed: tuple[FareBook, dict[str, str]]) -> None:
    book, where = feed
    bus, subway = ride(where, "08:00 1 somewhere > elsewhere"), ride(where, "08:00 Red somewhere > elsewhere")

    on_the_bus = {medium: priced.total.minor for medium, priced in price_by_medium(book, bus).items()}
    in_the_subway = {medium: priced.total.minor for medium, priced in price_by_medium(book, subway).items()}

    assert on_the_bus == {"cash": 170, "charlieticket": 240}
    assert in_the_subway == {"charlieticket": 240}


def test_a_free_day_is_free_on_the_railway_and_unpriced_in_the_subway(
    feed: tuple[FareBook, dict[str, str]],
) -> None:
    book, where = feed

    railway = price(book, ride(where, "08:00 CR-Worcester cr 10 > cr 1a", FREE_DAY))
    with pytest.raises(FareUnknown) as held:
        price(book, ride(where, "08:00 Red somewhere > elsewhere", FREE_DAY))

    assert railway.total.minor == 0
    assert held.value.problems[0].where == "legs[0]"
    assert "rapid_transit" in held.value.problems[0].what


# journey | why no row prices it, as the reference has it
UNPRICED = [
    (
        "08:00 354 354 downtown > 426 downtown",
        "no row has the two downtowns on an express bus, and both are listed, so that no empty field stands for them",
    ),
    (
        "08:00 CR-Foxboro cr south station > elsewhere",
        "the only row is without areas, and the area of South Station is listed in rows of other networks",
    ),
    ("08:00 742 logan > chelsea", "no row leads from the terminals to the north of Airport"),
]


@pytest.mark.parametrize(("told", "why"), UNPRICED)
def test_what_no_row_prices_is_held(feed: tuple[FareBook, dict[str, str]], told: str, why: str) -> None:
    book, where = feed

    with pytest.raises(FareUnknown) as held:
        price(book, ride(where, told))

    assert held.value.problems[0].where == "legs[0]", why


def test_the_steps_name_their_rows(feed: tuple[FareBook, dict[str, str]]) -> None:
    book, where = feed

    priced = price(book, ride(where, "08:00 Red south station > elsewhere | 08:30 1 somewhere > elsewhere"))

    assert [(step.rule, step.amount.minor, step.row.partition(" line ")[0]) for step in priced.steps] == [
        ("leg", 240, "fare_leg_rules.txt"),
        ("transfer", 0, "fare_transfer_rules.txt"),
    ]
    assert priced.products == ("prod_rapid_transit_quick_subway",)
    assert dict(priced.steps[0].details)["from_area_id"] == "area_red_south_station"


def test_columns_outside_the_reference_would_change_nothing(feed: tuple[FareBook, dict[str, str]]) -> None:
    """filter_fare_product_id and its like ask for one product on both legs; each leg group named has no other."""
    fares = feed[0].fares
    products: dict[str | None, set[str]] = {}
    for rule in fares.leg_rules:
        products.setdefault(rule.leg_group_id, set()).add(rule.fare_product_id)

    with (published("mbta_faresv2") / "fare_transfer_rules.txt").open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            for side in ("from_leg_group_id", "to_leg_group_id"):
                assert products[row[side]] == {row["filter_fare_product_id"]}, row


def test_a_rider_without_any_lawful_medium_is_held(feed: tuple[FareBook, dict[str, str]]) -> None:
    book, where = feed

    with pytest.raises(FareUnknown) as held:
        price(book, ride(where, "08:00 Red somewhere > elsewhere"), Rider(media=frozenset({"cash"})))

    assert "medium" in held.value.problems[0].what


# -- in the books -------------------------------------------------------------------------------------------

RIDDEN = [*((told, cents) for told, cents, _ in SINGLE), *((told, cents) for told, cents, _ in CHANGES)]


def test_boston_rides_from_taps_to_the_ledger(ctx: Context, tmp_path: Path) -> None:
    """Each line of the tables above is a rider who taps on and off; each ride costs what its row says, in the ledger.

    A row that says 2.40 + 0 is two rides of these amounts. Beside the tables: three rides without a fare are held.
    """
    ctx.clock.at = datetime(2024, 11, 14, 14, tzinfo=UTC)  # type: ignore[attr-defined]
    told = [*RIDDEN, *((one, None) for one, _ in UNPRICED)]
    where = feed_of(tmp_path, [one for one, _ in told])
    league = League(ctx)
    atlas.import_gtfs(ctx, tmp_path, city=CITY, operator_id="mbta", valid_from=date(2024, 9, 20))
    tariff = rides.tariff_from_fares_v2(
        atlas.read_fares_v2(tmp_path),
        operator_id="mbta",
        city=CITY,
        valid_from=date(2024, 9, 20),
        apart_minutes=300,
    )
    own = trust.MemberId("boston")
    taps: list[Tap] = []
    gates: dict[str, trust.GateRecord] = {}
    for number, (one, _) in enumerate(told):
        cti = fact_id(None, "cti", number, 0).bytes[:8]
        for leg in ride(where, one):
            line = f"boston/{leg.route_id}"
            for action, stop, at in (
                ("entry", leg.from_stop_id, leg.departs_at), ("exit", leg.to_stop_id, leg.arrives_at),
            ):  # fmt: skip
                assert action in ("entry", "exit")
                place = f"boston/{stop}"
                gate_id = league.gates["mbta", f"{line} {place}", action] = f"{line} {place} {action}"
                gates[gate_id] = trust.GateRecord(
                    gate_id, trust.MemberId("mbta"), "boston", place, line, action, "bus"
                )
                tap = league.tap("mbta", f"{line} {place}", action, at.astimezone(UTC), cti)
                taps.append(replace(tap, stop_id=place))
    with ctx.tx() as tx:
        for member_id, role in (("boston", "city"), ("mbta", "operator")):
            assert role in ("city", "operator")
            trust.add_members(
                tx,
                [
                    trust.Member(
                        trust.MemberId(member_id), member_id, role, "boston", own, f"bank-{member_id}"
                    )
                ],
            )
        rides.import_tariff(tx, tariff)
        trust.add_gates(tx, list(gates.values()))
    for number in range(len(told)):
        league.rider(number, currency="USD")
        league.open_money(number, 100_000, currency="USD")

    receipt = league.hand_in(taps)
    rides.rate(ctx)
    rides.post_charges(ctx)

    assert not receipt.refused
    for number, (one, cents) in enumerate(told):
        charged = league.charged(number)
        assert sum(charged) == (cents or 0), one
        with ctx.tx() as tx:
            found = rides.journeys(tx, fact_id(None, "rider of the tests", number))
        assert {journey.status for journey in found} == {"held" if cents is None else "priced"}, one
    for number, (one, _, why) in enumerate(CHANGES, len(SINGLE)):
        amounts = re.findall(r"\d+\.\d\d|\b0\b", why.partition(":")[0])
        if " + " in why:
            assert league.charged(number) == [round(float(amount) * 100) for amount in amounts], one
    with ctx.tx() as tx:
        balance = ledger.balance(tx, clearing.position_account("beijing-card", "mbta", "USD"))
    assert balance.credits_posted - balance.debits_posted == sum(cents for _, cents in RIDDEN)
