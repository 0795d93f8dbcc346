"""Fares v2 against a second reading of the reference, word by word and slow, on small feeds made at random.

The slow reading lists every choice a rider has, leg by leg, and follows each to its end; nothing is left out as
hopeless and nothing is indexed. It shares only the rows themselves with what it checks.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple, TypeVar
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.atlas import (
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
from hansa.rides.faresv2 import FareBook, FareUnknown, Leg, Rider, price

NETWORKS = ("n1", "n2", "n3")
AREAS = ("a1", "a2", "a3")
GROUPS = ("g1", "g2", "g3")
PRODUCTS = ("p1", "p2", "p3", "p4")
MEDIA = ("card", "cash")
CATEGORIES = ("adult", "child")
ROUTES = {"r1": "n1", "r2": "n2", "r3": "n3"}
"""A fourth route, r0, is of no network."""
STATIONS = {"s1a": "S1", "s1b": "S1", "s2a": "S2"}
STOPS = ("s1a", "s1b", "s2a", "s3", "s4")
BERLIN = "Europe/Berlin"
START = datetime(2026, 3, 28, 22, 0, tzinfo=UTC)
"""An evening before the clocks go forward, on a Saturday."""


_T = TypeVar("_T")


class Paid(NamedTuple):
    """What was chosen for one effective leg."""

    rule: LegRule
    minor: int
    transfer: TransferRule | None


def slow(fares: FaresV2, journey: Sequence[Leg], rider: Rider) -> int | None:
    """The least of all lawful sums, or None where there is none."""
    legs = joined(fares, journey)
    return min((total for total in follow(fares, legs, rider, (), 0)), default=None)


def joined(fares: FaresV2, journey: Sequence[Leg]) -> list[list[Leg]]:
    """fare_leg_join_rules.txt: two consecutive legs whose transfer matches all predicates of a record are one."""
    legs = [[journey[0]]]
    for leg in journey[1:]:
        before = legs[-1][-1]
        if any(joins(fares, rule, before, leg) for rule in fares.join_rules):
            legs[-1].append(leg)
        else:
            legs.append([leg])
    return legs


def joins(fares: FaresV2, rule: JoinRule, before: Leg, after: Leg) -> bool:
    if rule.from_network_id is not None and ROUTES.get(before.route_id) != rule.from_network_id:
        return False
    if rule.to_network_id is not None and ROUTES.get(after.route_id) != rule.to_network_id:
        return False
    if rule.from_stop_id is None and rule.to_stop_id is None:
        return STATIONS.get(before.to_stop_id, before.to_stop_id) == STATIONS.get(
            after.from_stop_id, after.from_stop_id
        )
    return rule.from_stop_id in {before.to_stop_id, STATIONS.get(before.to_stop_id)} and rule.to_stop_id in {
        after.from_stop_id,
        STATIONS.get(after.from_stop_id),
    }


def follow(
    fares: FaresV2, legs: Sequence[Sequence[Leg]], rider: Rider, paid: tuple[Paid, ...], total: int
) -> Iterator[int]:
    """All sums that go on from what was paid so far."""
    number = len(paid)
    if number == len(legs):
        yield total
        return
    for rule, minor in choices(fares, legs[number], rider, after_transfer=True):
        for transfer, fare in transfers(fares, legs, rider, paid, rule):
            chosen = Paid(rule, minor, transfer)
            added = fare + (minor if transfer.fare_transfer_type == 1 else 0)
            if transfer.fare_transfer_type == 2 and paid[-1].transfer is None:
                added -= paid[-1].minor  # the first transfer of a chain: AB in place of A
            yield from follow(fares, legs, rider, (*paid, chosen), total + added)
    for rule, minor in choices(fares, legs[number], rider, after_transfer=False):
        if not any(True for _ in transfers(fares, legs, rider, paid, rule)):
            yield from follow(fares, legs, rider, (*paid, Paid(rule, minor, None)), total + minor)


def choices(
    fares: FaresV2, leg: Sequence[Leg], rider: Rider, *, after_transfer: bool
) -> list[tuple[LegRule, int]]:
    """fare_leg_rules.txt, steps 1 to 5, with every price at which the rider may have the product."""
    rules = [
        rule
        for rule in fares.leg_rules
        if (after_transfer or not rule.transfer_only) and matches(fares, rule, leg)
    ]
    if fares.by_priority:
        rules = [rule for rule in rules if rule.rule_priority == max(other.rule_priority for other in rules)]
    return [(rule, minor) for rule in rules for minor in amounts(fares, rule.fare_product_id, rider)]


def matches(fares: FaresV2, rule: LegRule, leg: Sequence[Leg]) -> bool:
    networks = [ROUTES.get(one.route_id) for one in leg]
    if rule.network_id is not None:
        if any(network != rule.network_id for network in networks):
            return False
    elif not fares.by_priority and any(
        network == other.network_id for network in networks if network for other in fares.leg_rules
    ):
        return False
    for area_id, stop_id, listed in (
        (rule.from_area_id, leg[0].from_stop_id, {other.from_area_id for other in fares.leg_rules}),
        (rule.to_area_id, leg[-1].to_stop_id, {other.to_area_id for other in fares.leg_rules}),
    ):
        areas = fares.stop_areas.get(stop_id) or fares.stop_areas.get(STATIONS.get(stop_id, ""), frozenset())
        if area_id is not None:
            if area_id not in areas:
                return False
        elif not fares.by_priority and areas & listed:
            return False
    return holds(fares, rule.from_timeframe_group_id, leg[0].departs_at) and holds(
        fares, rule.to_timeframe_group_id, leg[-1].arrives_at
    )


def holds(fares: FaresV2, group: str | None, at: datetime) -> bool:
    local = at.astimezone(ZoneInfo(BERLIN))
    of_day = (local - local.replace(hour=0, minute=0, second=0)) // timedelta(seconds=1)
    return group is None or any(
        frame.timeframe_group_id == group
        and fares.services[frame.service_id].holds(local.date())
        and frame.start_s <= of_day < frame.end_s
        for frame in fares.timeframes
    )


def amounts(fares: FaresV2, product: str, rider: Rider) -> list[int]:
    return [
        row.price.minor
        for row in fares.products
        if row.fare_product_id == product
        and row.rider_category_id in (None, rider.category or "adult")
        and (rider.media is None or row.fare_media_id is None or row.fare_media_id in rider.media)
    ]


def transfers(
    fares: FaresV2, legs: Sequence[Sequence[Leg]], rider: Rider, paid: tuple[Paid, ...], rule: LegRule
) -> list[tuple[TransferRule, int]]:
    """fare_transfer_rules.txt: the records that match the transfer to the leg after what was paid, with each price."""
    if not paid or paid[-1].rule.leg_group_id is None or rule.leg_group_id is None:
        return []
    before, after = paid[-1].rule.leg_group_id, rule.leg_group_id
    records = [r for r in fares.transfer_rules if (r.from_leg_group_id, r.to_leg_group_id) == (before, after)]
    if not records:
        froms = {r.from_leg_group_id for r in fares.transfer_rules}
        tos = {r.to_leg_group_id for r in fares.transfer_rules}
        records = [
            r
            for r in fares.transfer_rules
            if (r.from_leg_group_id == before or (r.from_leg_group_id is None and before not in froms))
            and (r.to_leg_group_id == after or (r.to_leg_group_id is None and after not in tos))
        ]
    lawful: list[tuple[float, TransferRule, int]] = []
    for record in records:
        count, first = 1, len(paid) - 1
        if record.from_leg_group_id == record.to_leg_group_id:
            while (earlier := paid[first].transfer) is not None and (
                earlier.from_leg_group_id,
                earlier.to_leg_group_id,
            ) == (record.from_leg_group_id, record.to_leg_group_id):
                count, first = count + 1, first - 1
        if record.transfer_count not in (None, -1) and count > record.transfer_count:
            continue
        if record.duration_limit_s is not None:
            start = (
                legs[first][0].departs_at
                if record.duration_limit_type in (0, 1)
                else legs[first][-1].arrives_at
            )
            last = legs[len(paid)]
            end = last[-1].arrives_at if record.duration_limit_type in (0, 3) else last[0].departs_at
            if end - start > timedelta(seconds=record.duration_limit_s):
                continue
        most = float("inf") if record.transfer_count in (None, -1) else float(record.transfer_count)
        fares_of = [0] if record.fare_product_id is None else amounts(fares, record.fare_product_id, rider)
        lawful += [(most, record, fare) for fare in fares_of]
    return [(record, fare) for most, record, fare in lawful if most == min(other for other, *_ in lawful)]


def maybe(values: Sequence[_T], empty: int = 50) -> st.SearchStrategy[_T | None]:
    """One of the values, or an empty field in so many of a hundred."""
    return st.integers(0, 99).flatmap(lambda n: st.none() if n < empty else st.sampled_from(values))


def first_three(row: tuple[str, str | None, str | None, int]) -> tuple[object, ...]:
    return row[:3]


def join_rule(networks: tuple[str | None, str | None], stops: tuple[str | None, str | None]) -> JoinRule:
    return JoinRule(2, *networks, *stops)


@st.composite
def feeds(draw: st.DrawFn) -> FaresV2:
    categories = tuple(RiderCategory(name, name, name == "adult") for name in CATEGORIES)
    prices = draw(
        st.lists(
            st.tuples(st.sampled_from(PRODUCTS), maybe(CATEGORIES), maybe(MEDIA), st.integers(-40, 300)),
            min_size=2,
            max_size=9,
            unique_by=first_three,
        )
    )
    prices += [(product, None, None, draw(st.integers(50, 300))) for product in PRODUCTS[:3]]
    products = tuple(
        ProductPrice(line, product, product, category, medium, Money(minor, "EUR"))
        for line, (product, category, medium, minor) in enumerate(prices, 2)
        if product != "p4" or minor > 0
    )
    frames = (
        Timeframe(2, "night", 20 * 3600, 24 * 3600, "sat"),
        Timeframe(3, "night", 0, 4 * 3600, "sun"),
        Timeframe(4, "late", 23 * 3600 + 1800, 86_400, "sat"),
    )
    services = {
        "sat": Service((False,) * 5 + (True, False), date(2026, 1, 1), date(2026, 12, 31)),
        "sun": Service(added=frozenset({date(2026, 3, 29)})),
    }
    by_priority = draw(st.booleans())
    leg_rules = tuple(
        LegRule(line, *fields)
        for line, fields in enumerate(
            draw(
                st.lists(
                    st.tuples(
                        maybe(GROUPS, 5),
                        maybe(NETWORKS, 40),
                        maybe(AREAS, 80),
                        maybe(AREAS, 80),
                        maybe(("night", "late"), 85),
                        maybe(("night", "late"), 85),
                        st.sampled_from(PRODUCTS),
                        st.integers(0, 2) if by_priority else st.just(0),
                        st.sampled_from((False, False, False, True)),
                    ),
                    min_size=4,
                    max_size=8,
                )
            ),
            2,
        )
    )
    transfer_rules: list[TransferRule] = []
    for line in range(2, 2 + draw(st.integers(2, 8))):
        before, after = draw(maybe(GROUPS, 15)), draw(maybe(GROUPS, 15))
        limit = draw(maybe((600, 1800, 3600, 7200)))
        transfer_rules.append(
            TransferRule(
                line,
                before,
                after,
                draw(st.sampled_from((-1, 1, 2))) if before == after else None,
                limit,
                None if limit is None else draw(st.integers(0, 3)),
                draw(st.integers(0, 2)),
                draw(maybe(PRODUCTS)),
            )
        )
    join_rules = draw(
        st.lists(
            st.builds(
                join_rule,
                st.sampled_from(((None, None), ("n1", "n1"), ("n1", "n2"), ("n2", "n3"))),
                st.sampled_from(((None, None), (None, None), ("S1", "s3"), ("s1a", "S2"), ("S1", "S1"))),
            ),
            max_size=2,
        )
    )
    areas: dict[str, frozenset[str]] = draw(
        st.dictionaries(
            st.sampled_from((*STOPS, "S1", "S2")),
            st.frozensets(st.sampled_from(AREAS), min_size=1, max_size=2),
        )
    )
    return FaresV2(
        tz=BERLIN,
        by_priority=by_priority,
        leg_rules=leg_rules,
        join_rules=tuple(join_rules),
        transfer_rules=tuple(transfer_rules),
        products=products,
        rider_categories=categories,
        timeframes=frames,
        services=services,
        networks=ROUTES,
        stop_areas=areas,
        stations=STATIONS,
    )


@st.composite
def journeys(draw: st.DrawFn) -> list[Leg]:
    legs: list[Leg] = []
    at = START
    for _ in range(draw(st.integers(2, 5))):
        at += timedelta(seconds=draw(st.sampled_from((0, 300, 600, 1500))))
        end = at + timedelta(seconds=draw(st.sampled_from((300, 600, 1800))))
        legs.append(
            Leg(
                draw(st.sampled_from(("r0", "r1", "r2", "r3"))),
                draw(st.sampled_from(STOPS)),
                draw(st.sampled_from(STOPS)),
                at,
                end,
            )
        )
        at = end
    return legs


riders = st.builds(
    Rider,
    category=maybe(CATEGORIES),
    media=st.one_of(st.none(), st.frozensets(st.sampled_from(MEDIA), min_size=1)),
)


@settings(max_examples=120, deadline=None)
@given(feeds(), journeys(), riders)
def test_the_cheapest_lawful_sum_is_that_of_every_choice_followed_to_its_end(
    fares: FaresV2, journey: list[Leg], rider: Rider
) -> None:
    expected = slow(fares, journey, rider)
    book = FareBook(fares)

    if expected is None:
        with pytest.raises(FareUnknown):
            price(book, journey, rider)
        return
    priced = price(book, journey, rider)

    assert priced.total.minor == expected
    assert sum(step.amount.minor for step in priced.steps) == expected


@settings(max_examples=40, deadline=None)
@given(feeds(), journeys(), riders)
def test_the_same_question_has_the_same_answer_whatever_the_order_of_the_rows(
    fares: FaresV2, journey: list[Leg], rider: Rider
) -> None:
    turned = replace(
        fares,
        leg_rules=fares.leg_rules[::-1],
        transfer_rules=fares.transfer_rules[::-1],
        products=fares.products[::-1],
    )

    def asked(of: FaresV2) -> object:
        try:
            return price(FareBook(of), journey, rider)
        except FareUnknown as held:
            return held.problems

    assert asked(turned) == asked(fares)
