"""Fares v2 rule by rule: for each clause of the reference a small feed, and figures that can be checked by hand."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from hansa.atlas import (
    FareMedium,
    FaresV2,
    JoinRule,
    LegRule,
    ProductPrice,
    RiderCategory,
    Service,
    Timeframe,
    TransferRule,
)
from hansa.kernel import Money
from hansa.rides.faresv2 import (
    FareBook,
    FareUnknown,
    Leg,
    Rider,
    SeveralCurrencies,
    price,
    price_by_medium,
    told,
)

BERLIN = ZoneInfo("Europe/Berlin")
PRICES = {"p100": 100, "p200": 200, "p300": 300, "ab": 30, "bc": 7, "discount": -40, "free": 0}


def products(prices: Iterable[tuple[str, int]] = tuple(PRICES.items())) -> tuple[ProductPrice, ...]:
    return tuple(
        ProductPrice(row, name, name, None, None, Money(minor, "EUR"))
        for row, (name, minor) in enumerate(prices, 2)
    )


def leg_rules(*rows: tuple[str | None, str | None, str | None, str | None, str]) -> tuple[LegRule, ...]:
    """Rows of (leg group, network, from area, to area, product)."""
    return tuple(
        LegRule(row, group, network, start, end, None, None, product)
        for row, (group, network, start, end, product) in enumerate(rows, 2)
    )


def feed(rules: tuple[LegRule, ...], **more: object) -> FaresV2:
    """A feed with networks red and blue (routes R and B; route X is of none) and areas of stops in, out and both."""
    base = FaresV2(
        tz="Europe/Berlin",
        leg_rules=rules,
        products=products(),
        networks={"R": "red", "B": "blue"},
        stop_areas={
            "in": frozenset({"inner"}),
            "out": frozenset({"outer"}),
            "both": frozenset({"inner", "outer"}),
        },
    )
    return replace(base, **more)


def at(clock: str, day: str = "2026-11-17") -> datetime:
    return datetime.fromisoformat(f"{day} {clock}").replace(tzinfo=BERLIN)


def leg(route: str, start: str = "x", end: str = "x", clock: str = "08:00", minutes: int = 10) -> Leg:
    return Leg(route, start, end, at(clock), at(clock) + timedelta(minutes=minutes))


def cost(fares: FaresV2, *legs: Leg, rider: Rider = Rider()) -> int | None:  # noqa: B008 - a frozen value
    try:
        priced = price(FareBook(fares), legs, rider)
    except FareUnknown:
        return None
    assert sum(step.amount.minor for step in priced.steps) == priced.total.minor
    return priced.total.minor


# -- fare_leg_rules.txt, step 3: empty fields without rule_priority -----------------------------------------

EMPTY = feed(
    leg_rules(
        ("g", "red", None, None, "p100"),
        ("g", "red", "inner", None, "p200"),
        ("g", None, None, None, "p300"),
    )
)
# route, from, to | cents | why
EMPTY_FIELDS = [
    ("R", "x", "x", 100, "no area: the empty from_area_id"),
    ("R", "in", "x", 200, "inner is listed, so the empty from_area_id does not stand for it"),
    ("R", "out", "x", 100, "outer is listed nowhere: the empty field stands for it"),
    ("R", "both", "x", 200, "one of its areas is listed"),
    ("R", "x", "in", 100, "inner is not listed under to_area_id"),
    ("B", "x", "x", 300, "blue is listed nowhere: the empty network_id"),
    ("X", "x", "x", 300, "a route of no network: the empty network_id"),
    ("B", "in", "x", None, "inner is listed, by whatever network: no row"),
]


@pytest.mark.parametrize(("route", "start", "end", "cents", "why"), EMPTY_FIELDS)
def test_an_empty_field_stands_for_what_is_listed_nowhere(
    route: str, start: str, end: str, cents: int | None, why: str
) -> None:
    assert cost(EMPTY, leg(route, start, end)) == cents, why


# -- fare_leg_rules.txt, step 4: rule_priority --------------------------------------------------------------

# route, from | cents | why
PRIORITY = [
    ("R", "x", 100, "both the red row and the row for all match; of equal priority the cheaper counts"),
    ("R", "in", 200, "the row with priority 2 is alone the highest"),
    ("B", "in", 200, "its empty network_id does not matter"),
    ("B", "x", 300, "only the row for all"),
    ("X", "x", 300, "and for a route of no network"),
]


@pytest.mark.parametrize(("route", "start", "cents", "why"), PRIORITY)
def test_with_rule_priority_empty_fields_do_not_matter_and_the_highest_counts(
    route: str, start: str, cents: int, why: str
) -> None:
    rules = leg_rules(
        ("g", "red", None, None, "p100"), ("g", None, "inner", None, "p200"), ("g", None, None, None, "p300")
    )
    fares = feed((rules[0], rules[1]._replace(rule_priority=2), rules[2]), by_priority=True)

    assert cost(fares, leg(route, start)) == cents, why


# -- timeframes.txt -----------------------------------------------------------------------------------------

WORKDAYS = Service(
    (True,) * 5 + (False, False),
    date(2026, 1, 1),
    date(2026, 12, 31),
    removed=frozenset({date(2026, 12, 24)}),
)
FRAMES = (Timeframe(2, "peak", 7 * 3600, 9 * 3600, "wd"), Timeframe(3, "night", 22 * 3600, 86_400, "wd"))
TIMED = feed(
    (
        LegRule(2, "g", None, None, None, "peak", None, "p300"),
        LegRule(3, "g", None, None, None, "night", "night", "p200"),
    ),
    timeframes=FRAMES,
    services={"wd": WORKDAYS},
    time_zones={"london": "Europe/London", "Paddington": "Europe/London", "own": "Asia/Tokyo"},
    stations={"p1": "Paddington", "own": "Paddington"},
)
# departure in Berlin, day, minutes, from | cents | why
TIMES = [
    ("07:00", "2026-11-17", 10, "x", 300, "the start belongs to it"),
    ("08:59:59", "2026-11-17", 60, "x", 300, "only the departure counts for from_timeframe_group_id"),
    ("09:00", "2026-11-17", 10, "x", None, "the end does not"),
    ("08:00", "2026-11-21", 10, "x", None, "a Saturday"),
    ("08:00", "2026-12-24", 10, "x", None, "a day taken out in calendar_dates.txt"),
    ("23:00", "2026-11-17", 59, "x", 200, "both ends within the night"),
    ("23:00", "2026-11-17", 60, "x", None, "at midnight the day is over, and 00:00 is not in the span"),
    ("09:30", "2026-11-17", 10, "london", 300, "08:30 in the stop's own time zone"),
    ("09:30", "2026-11-17", 10, "p1", 300, "and in that of its station"),
    ("09:30", "2026-11-17", 10, "own", 300, "which counts before its own"),
]


@pytest.mark.parametrize(("clock", "day", "minutes", "start", "cents", "why"), TIMES)
def test_timeframes_go_by_the_local_day_and_time_at_the_stop(
    clock: str, day: str, minutes: int, start: str, cents: int | None, why: str
) -> None:
    departs = at(clock, day)
    ride = Leg("R", start, "x", departs, departs + timedelta(minutes=minutes))

    assert cost(TIMED, ride) == cents, why


def test_after_midnight_the_current_day_counts_and_not_the_service_day() -> None:
    """A train of Monday's service that leaves at 25:30 leaves on Tuesday."""
    tuesday = Service(added=frozenset({date(2026, 11, 17)}))
    frames = (Timeframe(2, "early", 0, 3 * 3600, "tue"),)
    fares = feed(
        (LegRule(2, "g", None, None, None, "early", None, "p100"),),
        timeframes=frames,
        services={"tue": tuesday},
    )

    assert cost(fares, leg("R", clock="01:30")) == 100


# -- fare_transfer_rules.txt, fare_transfer_type ------------------------------------------------------------

A, B, C = 100, 200, 300
# type of A to B, type of B to C | cents | the sum, as in the two tables of the reference
TYPES = [
    (0, None, A + 30, "A + AB"),
    (1, None, A + 30 + B, "A + AB + B"),
    (2, None, 30, "AB"),
    (0, 0, A + 30 + 7, "S + BC with S = A + AB"),
    (0, 1, A + 30 + 7 + C, "S + BC + C"),
    (0, 2, A + 30 + 7, "S + BC: only the first transfer drops the leg before it"),
    (1, 0, A + 30 + B + 7, "S + BC with S = A + AB + B"),
    (1, 1, A + 30 + B + 7 + C, "S + BC + C"),
    (1, 2, A + 30 + B + 7, "S + BC"),
    (2, 0, 30 + 7, "S + BC with S = AB"),
    (2, 1, 30 + 7 + C, "S + BC + C"),
    (2, 2, 30 + 7, "S + BC"),
]


@pytest.mark.parametrize(("first", "second", "cents", "why"), TYPES)
def test_a_transfer_is_added_up_by_its_type(first: int, second: int | None, cents: int, why: str) -> None:
    rules = leg_rules(
        ("a", "red", None, None, "p100"), ("b", "blue", None, None, "p200"), ("c", None, None, None, "p300")
    )
    transfers = (
        TransferRule(2, "a", "b", None, None, None, first, "ab"),
        TransferRule(3, "b", "c", None, None, None, second or 0, "bc"),
    )
    legs = [leg("R"), leg("B", clock="08:20"), leg("X", clock="08:40")][: 2 if second is None else 3]

    assert cost(feed(rules, transfer_rules=transfers), *legs) == cents, why


def test_a_leg_that_no_transfer_leads_to_begins_a_new_chain() -> None:
    rules = leg_rules(("a", "red", None, None, "p100"), ("b", "blue", None, None, "p200"))
    transfers = (TransferRule(2, "b", "a", None, None, None, 2, "ab"),)

    assert cost(feed(rules, transfer_rules=transfers), leg("R"), leg("B"), leg("R")) == 100 + 30


# -- transfer_count -----------------------------------------------------------------------------------------

RED = leg_rules(("a", "red", None, None, "p100"))
# counts of the rules with their products | legs | cents | why
COUNTS = [
    ([(1, "free")], 2, 100, "one transfer"),
    ([(1, "free")], 3, 200, "the second transfer is one too many: a new fare"),
    ([(1, "free")], 4, 200, "and with the new fare a new transfer"),
    ([(2, "free")], 4, 200, "two transfers, then a new fare"),
    ([(-1, "free")], 6, 100, "without limit"),
    ([(1, "free"), (2, "ab")], 3, 130, "the first by count 1, the second by count 2"),
    ([(1, "ab"), (-1, "free")], 4, 130, "the least sufficient count first, then no limit"),
    ([(2, "ab"), (2, "free")], 3, 100, "of equal counts the cheaper"),
]


@pytest.mark.parametrize(("counts", "legs", "cents", "why"), COUNTS)
def test_transfers_are_counted_from_the_first_of_a_run(
    counts: list[tuple[int, str]], legs: int, cents: int, why: str
) -> None:
    transfers = tuple(
        TransferRule(row, "a", "a", count, None, None, 0, product)
        for row, (count, product) in enumerate(counts, 2)
    )

    assert cost(feed(RED, transfer_rules=transfers), *([leg("R")] * legs)) == cents, why


# -- duration_limit and duration_limit_type -----------------------------------------------------------------

# type, limit in minutes | departures of legs of 10 minutes | cents | why
LIMITS = [
    (1, 60, ["08:00", "09:00"], 100, "departure to departure, exactly the limit"),
    (1, 59, ["08:00", "09:00"], 200, "a minute too long"),
    (0, 70, ["08:00", "09:00"], 100, "departure to arrival"),
    (0, 69, ["08:00", "09:00"], 200, "a minute too long"),
    (2, 50, ["08:00", "09:00"], 100, "arrival to departure"),
    (2, 49, ["08:00", "09:00"], 200, "a minute too long"),
    (3, 60, ["08:00", "09:00"], 100, "arrival to arrival"),
    (3, 59, ["08:00", "09:00"], 200, "a minute too long"),
    (1, 60, ["08:00", "08:40", "09:10"], 200, "of a run, the time begins with its first leg"),
    (1, 60, ["08:00", "08:40", "09:10", "10:00"], 200, "and anew with the leg that is paid for"),
]


@pytest.mark.parametrize(("kind", "minutes", "clocks", "cents", "why"), LIMITS)
def test_a_limit_of_time_is_taken_between_the_events_it_names(
    kind: int, minutes: int, clocks: list[str], cents: int, why: str
) -> None:
    transfers = (TransferRule(2, "a", "a", -1, minutes * 60, kind, 0, None),)

    assert cost(feed(RED, transfer_rules=transfers), *(leg("R", clock=clock) for clock in clocks)) == cents, (
        why
    )


def test_a_cheaper_transfer_of_shorter_time_is_taken_while_it_holds() -> None:
    transfers = (
        TransferRule(2, "a", "a", -1, 1800, 1, 0, None),
        TransferRule(3, "a", "a", -1, 7200, 1, 0, "ab"),
    )
    fares = feed(RED, transfer_rules=transfers)

    assert cost(fares, leg("R"), leg("R", clock="08:30")) == 100
    assert cost(fares, leg("R"), leg("R", clock="08:31")) == 130
    assert cost(fares, leg("R"), leg("R", clock="10:01")) == 200


# -- empty leg groups ---------------------------------------------------------------------------------------

GROUPS = leg_rules(
    ("a", "red", None, None, "p100"),
    ("b", "blue", None, None, "p200"),
    ("c", "green", None, None, "p300"),
    (None, "grey", None, None, "p100"),
)
NETWORKS = {"R": "red", "B": "blue", "G": "green", "Y": "grey"}
# from group, to group of the rules | routes | cents | why
EMPTY_GROUPS = [
    ([("a", None)], "RB", 100, "the empty to_leg_group_id stands for b"),
    ([("a", None)], "BR", 300, "a transfer does not hold the other way"),
    ([("a", None), ("a", "b")], "RB", 130, "an exact match goes before; its product is 30"),
    (
        [("a", None), ("c", "b")],
        "RB",
        300,
        "b is listed in another rule, so the empty field does not stand for it",
    ),
    ([(None, None)], "RC", None, "no such route"),
    ([(None, "b")], "GB", 300, "the empty from_leg_group_id stands for c"),
    ([(None, None)], "RB", 100, "both empty"),
    ([(None, None)], "YB", 300, "a leg without a group takes part in no transfer"),
    ([(None, None)], "RY", 200, "nor as the leg after"),
]


@pytest.mark.parametrize(("pairs", "routes", "cents", "why"), EMPTY_GROUPS)
def test_an_empty_leg_group_stands_for_the_groups_no_rule_names(
    pairs: list[tuple[str | None, str | None]], routes: str, cents: int | None, why: str
) -> None:
    transfers = tuple(
        TransferRule(
            row, before, after, -1 if before == after else None, None, None, 0, "ab" if row == 3 else None
        )
        for row, (before, after) in enumerate(pairs, 2)
    )
    fares = feed(GROUPS, transfer_rules=transfers, networks=NETWORKS)

    assert cost(fares, *(leg(route) for route in routes)) == cents, why


# -- fare_leg_join_rules.txt --------------------------------------------------------------------------------

JOINED = feed(
    leg_rules(
        ("a", "red", "inner", "outer", "p300"),
        ("a", "red", None, None, "p100"),
        ("b", None, None, None, "p200"),
    ),
    stations={"h1": "H", "h2": "H"},
    by_priority=True,
)
INNER_OUTER = JOINED.leg_rules[0]._replace(rule_priority=1)
# join rules | legs as (route, from, to) | cents | why
JOINS = [
    ([], "R in h1, R h2 out", 200, "two legs of 100 each"),
    ([("red", "red", None, None)], "R in h1, R h2 out", 300, "one leg from inner to outer by one station"),
    ([("red", "red", None, None)], "R in h1, R x out", 200, "the stations differ"),
    ([("red", "red", "H", "x")], "R in h1, R x out", 300, "the rule names them both"),
    ([("red", "red", "h2", "x")], "R in h1, R x out", 200, "another platform"),
    ([("red", "red", None, None)], "R in h1, B h2 out", 300, "of another network: 100 + 200"),
    (
        [("red", "blue", None, None)],
        "R in h1, B h2 out",
        200,
        "joined, of two networks: only an empty network_id",
    ),
    ([(None, None, None, None)], "R in h1, R h2 h1, R h2 out", 300, "three in a row are one"),
    ([("red", "red", None, None)], "R in h1, R h2 h1, B h2 out", 300, "two joined for 100, and 200"),
]


@pytest.mark.parametrize(("rules", "told_legs", "cents", "why"), JOINS)
def test_joined_legs_count_as_one(
    rules: list[tuple[str | None, str | None, str | None, str | None]], told_legs: str, cents: int, why: str
) -> None:
    joins = tuple(JoinRule(row, *fields) for row, fields in enumerate(rules, 2))
    fares = replace(JOINED, leg_rules=(INNER_OUTER, *JOINED.leg_rules[1:]), join_rules=joins)
    legs = [leg(route, start, end) for route, start, end in map(str.split, told_legs.split(", "))]

    assert cost(fares, *legs) == cents, why


def test_joined_legs_of_two_networks_are_of_neither() -> None:
    rules = leg_rules(
        ("a", "red", None, None, "p100"), ("b", "blue", None, None, "p100"), ("c", None, None, None, "p300")
    )
    joins = (JoinRule(2, "red", "blue", None, None),)

    assert cost(feed(rules, join_rules=joins, by_priority=True), leg("R"), leg("B")) == 300
    assert cost(feed(rules, join_rules=joins), leg("R"), leg("B")) is None


# -- fare_products.txt, rider_categories.txt, fare_media.txt ------------------------------------------------

SOLD = feed(
    leg_rules(("a", None, None, None, "single"), ("a", None, None, None, "staff")),
    products=(
        ProductPrice(2, "single", "Single", "adult", "card", Money(240, "EUR")),
        ProductPrice(3, "single", "Single", "adult", "cash", Money(300, "EUR")),
        ProductPrice(4, "single", "Single", "child", "card", Money(120, "EUR")),
        ProductPrice(5, "single", "Single", "guest", None, Money(500, "EUR")),
        ProductPrice(6, "staff", "Staff", "staff", "card", Money(0, "EUR")),
    ),
    media=(FareMedium("card", "Card", 2), FareMedium("cash", "Cash", 0)),
    rider_categories=(
        RiderCategory("adult", "Adult", True), RiderCategory("child", "Child", False),
        RiderCategory("guest", "Guest", False), RiderCategory("staff", "Staff", False),
    ),
)  # fmt: skip
# category | media | cents | why
SALES = [
    (None, None, 240, "the default category, by its cheapest medium"),
    ("adult", {"cash"}, 300, "by cash"),
    ("child", None, 120, "a child"),
    ("child", {"cash"}, None, "no child's ticket for cash"),
    ("guest", {"cash"}, 500, "a price without a medium is for any"),
    ("staff", None, 0, "a product of its own"),
    ("dog", None, None, "no such category"),
]


@pytest.mark.parametrize(("category", "media", "cents", "why"), SALES)
def test_prices_go_by_category_and_medium(
    category: str | None, media: set[str] | None, cents: int | None, why: str
) -> None:
    rider = Rider(category, frozenset(media) if media else None)

    assert cost(SOLD, leg("R"), rider=rider) == cents, why


def test_each_medium_has_its_own_sum() -> None:
    sums = price_by_medium(FareBook(SOLD), [leg("R"), leg("B")])

    assert {medium: priced.total.minor for medium, priced in sums.items()} == {"card": 480, "cash": 600}


def test_a_discount_for_a_transfer_is_taken_off() -> None:
    transfers = (TransferRule(2, "a", "a", -1, None, None, 1, "discount"),)

    assert cost(feed(RED, transfer_rules=transfers), leg("R"), leg("R")) == 100 - 40 + 100


def test_the_dearer_first_ticket_is_chosen_where_the_whole_is_cheaper() -> None:
    """200 with a free change beats 100 and 200 again: the cheapest sum is not the sum of the cheapest."""
    rules = leg_rules(
        ("plain", "red", None, None, "p100"),
        ("change", "red", None, None, "p200"),
        ("bus", "blue", None, None, "p200"),
    )
    transfers = (TransferRule(2, "change", "bus", None, None, None, 0, None),)

    priced = price(FareBook(feed(rules, transfer_rules=transfers)), [leg("R"), leg("B")])

    assert priced.total == Money(200, "EUR")
    assert [step.row for step in priced.steps] == [
        "fare_leg_rules.txt line 3",
        "fare_transfer_rules.txt line 2",
    ]
    assert priced.products == ("p200",)


def test_several_currencies_are_refused_until_one_is_named() -> None:
    rules = leg_rules(("a", None, None, None, "single"))
    sold = tuple(
        ProductPrice(2 + n, "single", "", None, m, Money(minor, c))
        for n, (m, minor, c) in enumerate((("x", 100, "EUR"), ("y", 90, "CHF")))
    )
    fares = feed(rules, products=sold)

    with pytest.raises(SeveralCurrencies) as refused:
        price(FareBook(fares), [leg("R")])
    assert refused.value.problems[0].where == "currency"
    assert price(FareBook(fares), [leg("R")], Rider(currency="CHF")).total == Money(90, "CHF")


def test_a_rule_for_transfers_only_prices_no_first_leg() -> None:
    rules = leg_rules(("a", "red", None, None, "p100"), ("b", "blue", None, None, "free"))
    fares = feed(
        (rules[0], rules[1]._replace(transfer_only=True)),
        transfer_rules=(TransferRule(2, "a", "b", None, None, None, 0, None),),
    )

    assert cost(fares, leg("B")) is None
    assert cost(fares, leg("R"), leg("B")) == 100
    assert cost(fares, leg("R"), leg("B"), leg("B")) is None


def test_the_leg_that_no_rule_prices_is_named() -> None:
    with pytest.raises(FareUnknown) as held:
        price(FareBook(feed(RED)), [leg("R"), leg("R"), leg("B", "in", "out")])

    (problem,) = held.value.problems
    assert problem.where == "legs[2]"
    assert "network blue from in to out" in problem.what


def test_steps_are_told_in_english_and_chinese() -> None:
    rules = leg_rules(("a", "red", None, None, "p100"), ("b", "blue", None, None, "p200"))
    transfers = (TransferRule(5, "a", "b", None, None, None, 2, "ab"),)

    steps = price(FareBook(feed(rules, transfer_rules=transfers)), [leg("R"), leg("B")]).steps

    assert [told(step) for step in steps] == [
        "Leg 1: p100, €1.00. (fare_leg_rules.txt, network_id; fare_leg_rules.txt line 2 of the feed)",
        "The transfer fare takes the place of p100: -€1.00."
        " (fare_transfer_rules.txt, fare_transfer_type 2; fare_products.txt line 2 of the feed)",
        "Change to leg 2: ab, €0.30."
        " (fare_transfer_rules.txt, fare_transfer_type 2; fare_transfer_rules.txt line 5 of the feed)",
    ]
    assert told(steps[0], "zh").startswith("第1段：p100，€1.00。")
