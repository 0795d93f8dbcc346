"""Taps of gates whose clocks were wrong are priced as if they had been right, in whatever order they come."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import count
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hansa import rides
from hansa.kernel import FixedClock, fact_id
from hansa.rides import JourneyRecord, Tap
from hansa.rides.clock_checks import ClockCounts, check_clocks
from hansa.store import Context
from rides.riding import League, account_of, local, tariff_of

BEIJING = "beijing-subway"
NEAR = ("beijing/xizhimen", "beijing/chegongzhuang")
DAY = date(2026, 11, 17)
NUMBERS = count(100, 100)


def at(clock: str, day: date = DAY) -> datetime:
    return local(tariff_of(BEIJING), clock, day)


@pytest.fixture
def league(committed_ctx: Context) -> League:
    clock = committed_ctx.clock
    assert isinstance(clock, FixedClock)
    clock.at = datetime(2026, 11, 30, tzinfo=UTC)
    return League(committed_ctx, BEIJING)


def as_read(tap: Tap, off: timedelta) -> Tap:
    """The tap as its gate made it while its clock was off by so much; the phone's code told the right minute."""
    tapped_at = tap.tapped_at + off
    return replace(tap, tapped_at=tapped_at, tap_id=fact_id(tapped_at, tap.gate_id, tap.sequence))


def work(league: League) -> None:
    """Until nothing waits."""
    while check_clocks(league.ctx).taps or rides.rate(league.ctx).days:
        pass


def journeys_of(league: League, number: int) -> list[JourneyRecord]:
    with league.ctx.tx() as tx:
        return rides.journeys(tx, account_of(number), limit=100)[::-1]


def shown(league: League, number: int) -> list[tuple[str, str | None, str | None, datetime, date, int]]:
    return [
        (one.kind, one.origin, one.destination, one.started_at, one.service_day, one.fare.minor)
        for one in journeys_of(league, number)
    ]


def charged(league: League, number: int) -> int:
    """All charges of a rider, withdrawn journeys too."""
    with league.ctx.tx() as tx:
        row = tx.execute(
            "select coalesce(sum(amount_minor), 0) from rides.charges where account_id = %s",
            (account_of(number),),
        ).fetchone()
    assert row is not None
    return int(row[0])


def three_riders(league: League, first: int, off: timedelta, day: date = DAY) -> list[Tap]:
    """Rides of three riders a minute apart; the gate where they leave has its clock off."""
    taps: list[Tap] = []
    for number in range(first, first + 3):
        start = at("08:00", day) + timedelta(minutes=number - first)
        entry, leave = league.ride(BEIJING, *NEAR, start, league.rider(number), minutes=20)
        taps += [entry, as_read(leave, off)]
    return taps


def test_a_gate_three_hours_ahead_does_not_cost_its_riders_an_exit(league: League) -> None:
    taps = three_riders(league, 1, timedelta(hours=5))
    league.hand_in(taps)
    rides.rate(league.ctx)
    before = shown(league, 1)

    counts = check_clocks(league.ctx)
    rides.rate(league.ctx)

    assert [one[0] for one in before] == ["no_exit", "no_entry"]
    assert counts == ClockCounts(taps=6, corrected=3)
    assert shown(league, 1) == [("complete", *NEAR, at("08:00"), DAY, 300)]
    assert charged(league, 1) == 300
    journey = journeys_of(league, 1)[0]
    found = [note for note in journey.notes if note.rule == "pairing.clock_corrected"]
    assert [(note.facts["by_seconds"], note.facts["why"]) for note in found] == [(-5 * 3600, "code")]
    with league.ctx.tx() as tx:
        kept = rides.journey(tx, journey.journey_id).taps
    assert [tap.tapped_at for tap in kept] == [taps[0].tapped_at, taps[1].tapped_at]
    assert check_clocks(league.ctx) == ClockCounts()


def test_a_gate_a_day_behind_puts_its_riders_on_the_right_day_once_it_is_found_out(league: League) -> None:
    taps = [
        as_read(tap, -timedelta(days=1) * (tap.action == "entry"))
        for tap in three_riders(league, 1, timedelta())
    ]
    league.hand_in(taps)
    rides.rate(league.ctx)
    before = [(one[0], one[4]) for one in shown(league, 2)]

    work(league)

    assert before == [("no_exit", DAY - timedelta(days=1)), ("no_entry", DAY)]
    assert shown(league, 2) == [("complete", *NEAR, at("08:01"), DAY, 300)]
    assert charged(league, 2) == 300


def test_taps_that_come_later_show_that_a_clock_was_right_and_the_day_goes_back(league: League) -> None:
    """Two phones far from the gate's clock and from each other's prove nothing; a third seems to; then more do not."""
    cti = [league.rider(number) for number in range(1, 12)]
    made = [
        league.tap(BEIJING, NEAR[0], "entry", at("09:00") + timedelta(minutes=n), cti[n]) for n in range(11)
    ]
    slow = timedelta(hours=-20)
    wrong_phones = [replace(tap, made_at=tap.made_at + slow) for tap in made[:3]]
    league.hand_in(wrong_phones)
    work(league)
    moved = shown(league, 2)

    league.hand_in([replace(tap, sequence=tap.sequence) for tap in made[3:]])
    more = league.tap(BEIJING, NEAR[0], "entry", at("08:00"), cti[10])
    earlier = replace(more, sequence=0, tap_id=fact_id(more.tapped_at, more.gate_id, 0))
    league.hand_in([earlier])
    work(league)

    assert [one[4] for one in moved] == [DAY - timedelta(days=1)]
    assert [(one[3], one[4]) for one in shown(league, 2)] == [(at("09:01"), DAY)]
    assert charged(league, 2) == shown(league, 2)[0][5]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 1_000_000))
def test_any_order_with_work_between_gives_the_day_that_right_clocks_would_have_given(
    league: League, seed: int
) -> None:
    dice = Random(seed)
    first = next(NUMBERS)
    day = date(2026, 1, 1) + timedelta(days=first // 20)
    taps = three_riders(league, first, timedelta(minutes=dice.choice((-1, 1)) * dice.randint(30, 3_000)), day)

    _hand_in_pieces(league, dice, taps)

    for number in range(first, first + 3):
        begun = at("08:00", day) + timedelta(minutes=number - first)
        assert shown(league, number) == [("complete", *NEAR, begun, day, 300)]
        assert charged(league, number) == 300


def _hand_in_pieces(league: League, dice: Random, taps: Sequence[Tap]) -> None:
    waiting = list(taps)
    dice.shuffle(waiting)
    while waiting:
        size = dice.randint(1, 3)
        league.hand_in(waiting[:size])
        waiting = waiting[size:]
        if dice.random() < 0.5:
            rides.rate(league.ctx)
        if dice.random() < 0.5:
            check_clocks(league.ctx)
    work(league)
