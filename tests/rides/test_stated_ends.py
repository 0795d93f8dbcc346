"""A missing end that is stated: within limits it prices the journey, and a tap that comes later stands above it."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from hansa import rides
from hansa.kernel import FixedClock, HansaError, InvalidInput
from hansa.rides import JourneyRecord, Tap, TariffSource, UnknownJourney, read_source
from hansa.rides.pairing import StatedBy
from hansa.rides.stated import JourneyNotOpen, Stated, StatedTooOften, state_end
from hansa.store import Context
from rides.riding import League, account_of, local, tariff_of

BEIJING = "beijing-subway"
A, B, FAR = "beijing/xizhimen", "beijing/chegongzhuang", "beijing/tiantongyuanbei"
DAY = date(2026, 11, 17)
SHIPPED = "per_month = 3\n"
STATED = "per_month = 2\nspeed_max_kmh = 100\n"
UNSAID = "per_month = 0\n"


def at(clock: str) -> datetime:
    return local(tariff_of(BEIJING), clock, DAY)


@pytest.fixture
def league(ctx: Context) -> League:
    clock = ctx.clock
    assert isinstance(clock, FixedClock)
    clock.at = datetime(2026, 11, 20, tzinfo=UTC)
    league = League(ctx, BEIJING)
    _let_riders_state(league)
    return league


def _let_riders_state(league: League, stated: str = STATED) -> None:
    text = tariff_of(BEIJING).source.toml.replace("valid_from = 2025-01-01", "valid_from = 2026-11-01")
    assert SHIPPED in text
    with league.ctx.tx() as tx:
        rides.import_tariff(tx, read_source(TariffSource(text.replace(SHIPPED, stated), {})))


def entered(league: League, clock: str = "08:00", number: int = 1) -> Tap:
    """A rider who went in at A and never came out."""
    tap = league.tap(BEIJING, A, "entry", at(clock), league.rider(number))
    league.hand_in([tap])
    rides.rate(league.ctx)
    return tap


def state(league: League, tap: Tap, by: StatedBy = "rider", **changes: Any) -> Stated:
    values: dict[str, Any] = {"stop_id": B, "at": at("08:20"), "reason": "the gate stood open"}
    with league.ctx.tx() as tx:
        return state_end(
            tx, tap.tap_id, by=by, caller_id="someone", now=league.ctx.clock.now(), **(values | changes)
        )


def journeys_of(league: League) -> list[JourneyRecord]:
    with league.ctx.tx() as tx:
        return rides.journeys(tx, account_of(1), limit=100)[::-1]


def charges_of(league: League) -> list[int]:
    with league.ctx.tx() as tx:
        found = [one.journey_id for one in journeys_of(league)]
        return [charge.amount.minor for one in found for charge in rides.journey(tx, one).charges]


def test_a_stated_exit_prices_the_journey_and_says_who_said_it(league: League) -> None:
    tap = entered(league)

    statement = state(league, tap)
    again = state(league, tap)
    rides.rate(league.ctx)

    assert again == statement == Stated(tap.tap_id, 1, B, at("08:20"), "rider", "the gate stood open")
    journey = journeys_of(league)[0]
    assert (journey.kind, journey.destination, journey.ended_at) == ("complete", B, at("08:20"))
    assert charges_of(league) == [800, -500]
    assert [note.text for note in journey.notes if note.rule != "pairing.late_tap"] == [
        "No exit tap for the entry at Xizhimen: none came within 4 h",
        "The rider states that the journey ended at Chegongzhuang: the gate stood open",
    ]


def test_a_stated_entry_prices_a_journey_that_has_only_an_exit(league: League) -> None:
    tap = league.tap(BEIJING, B, "exit", at("08:20"), league.rider(1))
    league.hand_in([tap])
    rides.rate(league.ctx)

    state(league, tap, stop_id=A, at=at("08:00"))
    rides.rate(league.ctx)

    journey = journeys_of(league)[0]
    assert (journey.kind, journey.origin, journey.started_at) == ("complete", A, at("08:00"))
    assert charges_of(league) == [800, -500]


def test_the_tap_that_comes_after_all_stands(league: League) -> None:
    tap = entered(league)
    state(league, tap)
    rides.rate(league.ctx)

    league.hand_in([league.tap(BEIJING, FAR, "exit", at("08:50"), tap.cti)])
    rides.rate(league.ctx)

    journey = journeys_of(league)[0]
    assert (journey.kind, journey.destination) == ("complete", FAR)
    assert sum(charges_of(league)) == journey.fare.minor > 300
    assert journey.notes[-1].rule == "pairing.stated_unused"


def test_the_operators_word_replaces_the_riders_and_not_the_other_way(league: League) -> None:
    tap = entered(league)
    state(league, tap)
    state(league, tap, by="operator", stop_id=A, at=at("08:03"))
    rides.rate(league.ctx)

    assert refusal(league, tap) == "rides.journey_not_open"
    assert [one.destination for one in journeys_of(league)] == [A]


def refusal(league: League, tap: Tap, **changes: Any) -> str:
    """The code of the error, after making sure that nothing changed."""
    before = _books(league)
    with pytest.raises(HansaError) as error:
        state(league, tap, **changes)
    rides.rate(league.ctx)
    assert _books(league) == before
    if isinstance(error.value, InvalidInput):
        return error.value.problems[0].where
    assert isinstance(error.value, JourneyNotOpen | StatedTooOften | UnknownJourney)
    return error.value.code


def _books(league: League) -> tuple[object, ...]:
    with league.ctx.tx() as tx:
        stated = tx.execute("select * from rides.stated_ends order by journey_id, revision").fetchall()
        dirty = tx.execute("select * from rides.dirty_days").fetchall()
    return stated, dirty, journeys_of(league), charges_of(league)


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"stop_id": "beijing/nowhere"}, "stop_id"),
        ({"at": at("07:59")}, "at"),
        ({"at": at("12:01")}, "at"),
        ({"at": datetime(2026, 11, 21, tzinfo=UTC)}, "at"),
        ({"stop_id": FAR, "at": at("08:05")}, "at"),
        ({"reason": " "}, "reason"),
        ({"reason": "x" * 301}, "reason"),
        ({"reason": "a\0b"}, "reason"),
    ],
)
def test_what_cannot_have_been_is_refused_by_its_field(
    league: League, changes: dict[str, Any], where: str
) -> None:
    assert refusal(league, entered(league), **changes) == where


def test_an_end_after_the_riders_next_tap_is_refused(league: League) -> None:
    tap = entered(league)
    league.hand_in(league.ride(BEIJING, A, B, at("08:15"), tap.cti, minutes=10))
    rides.rate(league.ctx)

    assert refusal(league, tap) == "at"
    assert state(league, tap, at=at("08:14")).revision == 1


def test_a_journey_with_both_taps_and_one_that_is_not_there_are_refused(league: League) -> None:
    taps = league.ride(BEIJING, A, B, at("08:00"), league.rider(1))
    league.hand_in(taps)
    rides.rate(league.ctx)

    assert refusal(league, taps[0]) == "rides.journey_not_open"
    assert refusal(league, taps[1]) == "rides.unknown_journey"


def test_riders_state_so_many_a_month_and_in_time_and_the_operator_any(league: League) -> None:
    taps = [entered(league, f"{hour:02}:00") for hour in (6, 11, 16)]
    for tap in taps[:2]:
        state(league, tap, at=tap.tapped_at + timedelta(minutes=20))
    rides.rate(league.ctx)

    third = taps[2].tapped_at + timedelta(minutes=20)
    assert refusal(league, taps[2], at=third) == "rides.stated_too_often"
    league.ctx.clock.at = datetime(2026, 12, 2, tzinfo=UTC)  # type: ignore[attr-defined]
    assert refusal(league, taps[2], at=third) == "rides.stated_too_often"  # a new month, but too late
    assert state(league, taps[2], by="operator", at=third).revision == 1


def test_where_the_tariff_leaves_it_to_the_operator_riders_may_not_state(ctx: Context) -> None:
    ctx.clock.at = datetime(2026, 11, 20, tzinfo=UTC)  # type: ignore[attr-defined]
    league = League(ctx, BEIJING)
    _let_riders_state(league, UNSAID)
    tap = entered(league)

    assert refusal(league, tap) == "rides.stated_too_often"
    assert state(league, tap, by="operator").revision == 1


def test_two_stated_at_once_do_not_pass_the_limit(committed_ctx: Context) -> None:
    committed_ctx.clock.at = datetime(2026, 11, 20, tzinfo=UTC)  # type: ignore[attr-defined]
    league = League(committed_ctx, BEIJING)
    _let_riders_state(league)
    taps = [entered(league, f"{hour:02}:00") for hour in (6, 9, 12, 15)]

    def outcome(tap: Tap) -> str:
        try:
            return str(state(league, tap, at=tap.tapped_at + timedelta(minutes=20)).revision)
        except StatedTooOften as error:
            return error.code

    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(outcome, taps))

    assert sorted(outcomes) == ["1", "1", "rides.stated_too_often", "rides.stated_too_often"]
