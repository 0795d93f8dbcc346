"""Who rides along on another's token: journeys of their own, the holder's account, and every fare explained."""

from datetime import UTC, date, datetime, timedelta
from itertools import count
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hansa import rides
from hansa.rides import Counters, Fare, Journey, OpeningSpend, Pricer, Touch, pair_taps, read_source
from hansa.store import Context
from rides.riding import (
    League,
    account_of,
    charged,
    fares_of,
    journeys_of,
    local,
    network_of,
    pricer_of,
    random_day,
    ride,
    tariff_of,
    touch,
)
from rides.test_tariff_files import changed

BEIJING, LONDON, TORONTO = "beijing-subway", "london-tfl", "toronto-ttc"
A, B = "beijing/xizhimen", "beijing/chegongzhuang"
EIGHT = datetime(2026, 11, 17, 8, tzinfo=UTC)
TWO_HOURS = timedelta(hours=2)
EXAMPLES = count(1)


def at(minutes: int) -> datetime:
    return EIGHT + timedelta(minutes=minutes)


def group_day(seed: int, stops: list[str], starts_at: datetime, rides_max: int = 6) -> list[Touch]:
    """A day of a holder and two companions, each with gaps of their own."""
    taps: list[Touch] = []
    for companion in range(3):
        taps += [
            touch(one.tapped_at, one.action, one.stop_id, cti=one.cti, companion=companion)
            for one in random_day(seed * 3 + companion, stops, starts_at, rides_max)
        ]
    return taps


# -- pairing


def test_a_group_through_the_same_gates_makes_one_journey_each() -> None:
    taps = [
        touch(at(minute), action, stop, companion=companion, sequence=companion)
        for companion in (0, 1, 2)
        for minute, action, stop in ((0, "entry", "a"), (20, "exit", "b"))
    ]

    journeys = pair_taps(taps, journey_max=TWO_HOURS)

    assert [(one.kind, one.origin, one.destination) for one in journeys] == [("complete", "a", "b")] * 3
    assert sorted(one.companion for one in journeys) == [0, 1, 2]


def test_a_companion_who_leaves_elsewhere_ends_only_their_own_journey() -> None:
    taps = [
        touch(at(0), "entry", "a"),
        touch(at(1), "entry", "a", companion=1),
        touch(at(10), "exit", "b", companion=1),
        touch(at(20), "exit", "c"),
    ]

    journeys = pair_taps(taps, journey_max=TWO_HOURS)

    assert [(one.companion, one.destination) for one in journeys] == [(0, "c"), (1, "b")]


def test_what_is_left_over_is_paired_across_tokens_by_number_only() -> None:
    taps = [
        touch(at(0), "entry", "a", cti=b"token 01", companion=1),
        touch(at(20), "exit", "b", cti=b"token 02", companion=2),
        touch(at(30), "exit", "c", cti=b"token 02", companion=1),
    ]

    journeys = pair_taps(taps, journey_max=TWO_HOURS)

    assert [(one.companion, one.kind, one.destination) for one in journeys] == [
        (1, "complete", "c"),
        (2, "no_entry", "b"),
    ]


@given(seed=st.integers(0, 10_000))
def test_each_rider_of_a_group_rides_as_if_alone(seed: int) -> None:
    taps = group_day(seed, ["a", "b", "c", "d"], EIGHT)
    Random(seed).shuffle(taps)

    together = pair_taps(taps, journey_max=TWO_HOURS)

    alone: list[Journey] = []
    for companion in range(3):
        alone += pair_taps([one for one in taps if one.companion == companion], journey_max=TWO_HOURS)
    assert together == sorted(alone, key=lambda one: (one.started_at, one.journey_id.bytes))


# -- fares


def test_a_companion_pays_the_adult_fare_whatever_the_holder_pays() -> None:
    pricer = pricer_of(BEIJING)
    holder = ride(EIGHT, A, B, rider_class="student")
    companion = [
        touch(one.tapped_at, one.action, one.stop_id, companion=1, sequence=2) for one in ride(EIGHT, A, B)
    ]

    fares = fares_of(pricer, holder + companion)

    by_companion = dict(
        zip((one.companion for one in journeys_of(pricer, holder + companion)), fares, strict=True)
    )
    assert by_companion[1].amount_minor == 300
    assert [step.text for step in by_companion[1].steps] == [
        "Companion 1 rides along, at the adult fare",
        "Xizhimen to Chegongzhuang: 910 m over the network",
        "Up to 6 km, adult: ¥3.00",
    ]
    assert by_companion[0] == fares_of(pricer, holder)[0]


def test_a_tariff_may_let_companions_pay_another_fare() -> None:
    tariff = read_source(changed(LONDON, "format = 1", 'format = 1\ncompanions = "child"'))
    stops = sorted(network_of(LONDON).stops)[:2]
    taps = [
        touch(one.tapped_at, one.action, one.stop_id, companion=2)
        for one in ride(local(tariff, "12:00"), *stops)
    ]
    child = ride(local(tariff, "12:00"), *stops, rider_class="child")
    pricer = Pricer(tariff, network_of(LONDON))

    (companion,) = fares_of(pricer, taps)

    assert companion.amount_minor == fares_of(pricer, child)[0].amount_minor > 0
    assert companion.steps[0].text == "Companion 2 rides along, at the child fare"


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1_000_000), month=st.integers(0, 50_000), opening=st.integers(0, 10_000))
@pytest.mark.parametrize("operator", [BEIJING, LONDON, TORONTO])
def test_each_rider_of_a_group_pays_as_if_alone(operator: str, seed: int, month: int, opening: int) -> None:
    """The holder as ever; a companion their own day with its caps and transfers, and nothing of other days."""
    pricer, tariff = pricer_of(operator), tariff_of(operator)
    stops = sorted(network_of(operator).stops)[:40]
    taps = group_day(seed, stops, local(tariff, "05:00"))
    Random(seed).shuffle(taps)
    counters = Counters(month_minor=month, opening_minor=opening)
    journeys = journeys_of(pricer, taps)

    fares = pricer.price_day(journeys, counters)

    together: dict[int, list[Fare]] = {0: [], 1: [], 2: []}
    for journey, fare in zip(journeys, fares, strict=True):
        assert fare.journey_id == journey.journey_id
        assert sum(step.amount for step in fare.steps) == fare.amount_minor >= 0
        together[journey.companion].append(fare)
    assert together[0] == fares_of(pricer, [one for one in taps if one.companion == 0], counters)
    for companion in (1, 2):
        assert all((one.counted_minor, one.tier_minor) == (0, 0) for one in together[companion])
        alone = fares_of(pricer, [one for one in taps if one.companion == companion])
        assert charged(together[companion]) == charged(alone)
        assert all(one.steps[0].rule == "companion" for one in together[companion])


def test_a_companion_has_a_daily_cap_of_their_own_and_counts_for_no_week() -> None:
    pricer = pricer_of(LONDON)
    tariff = pricer.tariff
    near = [stop for stop in sorted(network_of(LONDON).stops) if network_of(LONDON).zone_of(stop) == "1"][:2]
    taps = [
        touch(one.tapped_at, one.action, one.stop_id, companion=companion)
        for companion in (0, 1)
        for hour in range(6, 20)
        for one in ride(local(tariff, f"{hour}:00"), *near, minutes=15)
    ]
    cap = next(one for one in tariff.caps if one.period == "day" and one.zones == (0, 1))

    fares = pricer.price_day(journeys_of(pricer, taps), Counters(opening_minor=1_000_000))

    paid = {0: 0, 1: 0}
    for journey, fare in zip(journeys_of(pricer, taps), fares, strict=True):
        paid[journey.companion] += fare.amount_minor
    assert paid == {0: 0, 1: cap.amount("adult")}


# -- in the books


@pytest.fixture
def league(ctx: Context) -> League:
    ctx.clock.at = datetime(2026, 11, 30, tzinfo=UTC)  # type: ignore[attr-defined]
    return League(ctx, BEIJING)


def test_a_group_is_charged_to_the_holders_account(league: League) -> None:
    cti = league.rider(1, rider_class="senior")
    taps = [
        tap for companion in (0, 1, 2) for tap in league.ride(BEIJING, A, B, EIGHT, cti, companion=companion)
    ]

    assert league.hand_in(taps).recorded == 6
    rides.rate(league.ctx)

    with league.ctx.tx() as tx:
        found = rides.journeys(tx, account_of(1))
        details = [rides.journey(tx, one.journey_id) for one in found]
    assert sorted((one.companion, one.rider_class, one.fare.minor) for one in found)[1:] == [
        (1, "adult", 300),
        (2, "adult", 300),
    ]
    for detail in details:
        assert [tap.companion for tap in detail.taps] == [detail.journey.companion] * 2
        assert detail.journey.companion == 0 or detail.journey.steps[0].facts == {
            "number": detail.journey.companion,
            "class": "adult",
        }


def test_a_tap_that_names_another_companion_is_a_contradiction(league: League) -> None:
    cti = league.rider(1)
    tap = league.tap(BEIJING, A, "entry", EIGHT, cti, companion=1)
    league.sequences.clear()
    other = league.tap(BEIJING, A, "entry", EIGHT, cti, companion=2)

    assert league.hand_in([tap]).recorded == 1
    receipt = league.hand_in([other])

    assert [one.code for one in receipt.refused] == ["rides.tap_conflict"]
    assert league.books("taps") == 1


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 1_000_000), operator=st.sampled_from([BEIJING, LONDON]))
def test_a_groups_taps_in_any_order_come_to_the_same_cents(ctx: Context, seed: int, operator: str) -> None:
    """Two days of a holder near a tier or cap and two companions: at once, and in pieces with ratings between."""
    dice, number = Random(seed), 2 * next(EXAMPLES)
    ctx.clock.at = datetime(2026, 12, 10, tzinfo=UTC)  # type: ignore[attr-defined]
    league = League(ctx, operator)
    league.first_sequence = 1_000 * number
    stops = dice.sample(sorted(network_of(operator).stops), 6)
    at_once, in_pieces = (_two_days(league, operator, seed, stops, number + one) for one in (0, 1))

    assert league.hand_in(at_once).refused == ()
    rides.rate(ctx)
    dice.shuffle(in_pieces)
    while in_pieces:
        some = dice.randint(1, len(in_pieces))
        assert league.hand_in(in_pieces[:some]).recorded == some
        in_pieces = in_pieces[some:]
        rides.rate(ctx)

    assert _paid(league, number + 1) == _paid(league, number)


def _two_days(league: League, operator: str, seed: int, stops: list[str], number: int) -> list[rides.Tap]:
    dice, cti, tariff = Random(seed), league.rider(number), tariff_of(operator)
    spent = (
        OpeningSpend(account_of(number), BEIJING, "month", date(2026, 12, 1), 13_000)
        if operator == BEIJING
        else OpeningSpend(account_of(number), LONDON, "week", date(2026, 11, 30), 3_500)
    )
    with league.ctx.tx() as tx:
        rides.set_opening_spend(tx, [spent])
    taps: list[rides.Tap] = []
    for day in (date(2026, 12, 1), date(2026, 12, 2)):
        for companion in range(3):
            clock = local(tariff, dice.choice(("05:30", "22:30")), day)
            for second in range(dice.randint(0, 4)):  # no two rides of one rider have a tap at one instant
                clock += timedelta(minutes=dice.randint(5, 200))
                origin, destination = dice.sample(stops, 2)
                pair = league.ride(
                    operator,
                    origin,
                    destination,
                    clock + timedelta(seconds=second),
                    cti,
                    minutes=dice.randint(3, 100),
                    companion=companion,
                )
                taps += pair if dice.random() < 0.85 else [dice.choice(pair)]
    return taps


def _paid(league: League, number: int) -> list[tuple[int, datetime, int]]:
    with league.ctx.tx() as tx:
        found = rides.journeys(tx, account_of(number), limit=1000)
    return sorted((one.companion, one.started_at, one.fare.minor) for one in found)
