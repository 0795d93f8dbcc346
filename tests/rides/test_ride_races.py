"""Many at once, and killed in between: on committed data, with real connections."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from datetime import UTC, date, datetime, timedelta
from random import Random
from threading import Event

import psycopg
import pytest

from hansa import rides
from hansa.rides import rating
from hansa.store import Context
from rides.riding import League, local, tariff_of

BEIJING = "beijing-subway"
STOPS = ("beijing/xizhimen", "beijing/chegongzhuang", "beijing/fuchengmen", "beijing/fuxingmen")
DAY = date(2026, 11, 17)


@pytest.fixture
def league(committed_ctx: Context) -> League:
    committed_ctx.clock.at = datetime(2026, 11, 17, 14, tzinfo=UTC)  # type: ignore[attr-defined]
    return League(committed_ctx, BEIJING)


def rides_of(league: League, riders: int, each: int = 4) -> list[rides.Tap]:
    """The same rides for every rider."""
    taps: list[rides.Tap] = []
    for number in range(riders):
        cti, dice = league.rider(number), Random(7)
        for hour in range(each):
            origin, destination = dice.sample(STOPS, 2)
            at = local(tariff_of(BEIJING), f"{8 + hour}:{number % 50:02d}")
            taps += league.ride(BEIJING, origin, destination, at, cti, minutes=20)
    return taps


def test_one_batch_handed_in_by_many_at_once_is_kept_once(league: League) -> None:
    taps = rides_of(league, 20)

    with ThreadPoolExecutor(6) as pool:
        receipts = list(pool.map(league.hand_in, [taps] * 6))

    assert sum(one.recorded for one in receipts) == len(taps) == league.books("taps")
    assert sum(one.duplicates for one in receipts) == 5 * len(taps)


def test_taps_and_raters_at_once_come_to_the_same_fares(league: League) -> None:
    """Small pieces in any order from four gateways, two raters beside them."""
    taps = rides_of(league, 12)
    Random(1).shuffle(taps)
    pieces = [taps[start : start + 5] for start in range(0, len(taps), 5)]
    over = Event()

    def rate_on() -> None:
        while not over.is_set():
            rides.rate(league.ctx)

    with ThreadPoolExecutor(6) as pool:
        raters = [pool.submit(rate_on) for _ in range(2)]
        for _ in pool.map(league.hand_in, pieces):
            pass
        over.set()
        for rater in raters:
            rater.result()
    rides.rate(league.ctx)

    assert [league.charged(number) for number in range(12)] == [league.charged(0)] * 12
    assert sum(league.charged(0)) == 1_200
    assert league.books("dirty_days") == 0


def test_a_tap_that_is_still_being_written_is_not_overlooked(league: League) -> None:
    """Its day was already waiting to be rated; the rater waits for the tap instead of rating without it."""
    entry, leave = league.ride(BEIJING, *STOPS[:2], local(tariff_of(BEIJING), "12:00"), league.rider(1))
    league.hand_in([entry])
    with league.ctx.tx() as tx:
        tx.execute("insert into rides.raters values (0)")
    holding, may_end = Event(), Event()

    def slow_gateway() -> None:
        """As record_taps does it, but slower to commit."""
        with psycopg.connect(league.ctx.url) as connection, connection.transaction():
            slow = Context(open_tx=lambda: nullcontext(connection), clock=league.ctx.clock)
            rides.record_taps(slow, None, [leave])
            holding.set()
            may_end.wait(60)

    with ThreadPoolExecutor(2) as pool:
        gateway = pool.submit(slow_gateway)
        assert holding.wait(60)
        rater = pool.submit(rides.rate, league.ctx)
        may_end.set()
        gateway.result()
        rater.result()
    rides.rate(league.ctx)

    assert league.charged(1) == [300]


class Killed(Exception):
    """The process was killed here."""


@pytest.mark.parametrize("step", ["add_journeys", "add_charges", "add_subsidies", "mark_later_days"])
def test_a_rater_killed_in_mid_chunk_leaves_nothing_half_done(
    league: League, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    league.hand_in(rides_of(league, 3))

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(rating.rating_store, step, die)
        with pytest.raises(Killed):
            rides.rate(league.ctx)
    after_the_kill = (league.books("journeys"), league.books("charges"), league.books("dirty_days"))
    rides.rate(league.ctx)

    assert after_the_kill == (0, 0, 3)
    assert (league.books("journeys"), league.books("charges")) == (12, 12)


def test_rating_goes_through_a_long_backlog_day_by_day(league: League) -> None:
    """Days of one account build on each other, however many wait."""
    cti = league.rider(1)
    taps: list[rides.Tap] = []
    for number in range(40):
        at = local(tariff_of(BEIJING), "12:00", DAY - timedelta(days=number))
        for hour in range(3):
            taps += league.ride(BEIJING, *STOPS[:2], at + timedelta(hours=hour), cti, minutes=20)
    Random(2).shuffle(taps)
    league.hand_in(taps)

    counts = rides.rate(league.ctx)

    assert counts.charges == 120  # each journey once: no day was rated before the days it builds on
    november = league.charged(1)[-51:]
    # 33 full fares reach 99 yuan, the 34th passes 100; from then on 20 % off, and half price past 150.
    assert november[:34] == [300] * 34
    assert november[34:] == [240] * 17
