"""Riders' refunds: by rule or by the desk, to the wallet, and never more than the ride cost."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from disputes.disputing import (
    CARD,
    DAY,
    NOW,
    OPERATOR,
    OTHER,
    REFEREE,
    RIDER,
    STRANGER,
    SUBWAY,
    A,
    B,
    Killed,
    ask,
    claim,
    do,
    item_of,
    killed_at,
    new,
    open_books,
    pass_days,
    position,
    post,
    ride,
    set_clock,
    wallet,
)
from hansa import clearing, disputes, ledger, payments, rides, trust
from hansa.disputes.model import Case, stands_minor
from hansa.identity import AccountId
from hansa.kernel import HansaError, InvalidInput
from hansa.store import Context
from rides.riding import League, account_of, local, tariff_of


@pytest.fixture
def league(ctx: Context) -> League:
    return open_books(ctx)


def everything(ctx: Context) -> object:
    """The books and all disputes, to compare before and after."""
    with ctx.tx() as tx:
        tables = [
            tx.execute("select * from disputes.cases order by dispute_id").fetchall(),
            tx.execute("select * from disputes.facts order by dispute_id, n").fetchall(),
            tx.execute("select * from disputes.bookings order by dispute_id, revision").fetchall(),
            tx.execute("select * from rides.stated_ends").fetchall(),
        ]
        return tables, ledger.trial_balance(tx)


def test_a_small_refund_is_given_at_once_and_once_a_month(league: League) -> None:
    first, second = ride(league), ride(league, "10:00", exit_at="10:20")
    before, owed = wallet(league.ctx), position(league.ctx)

    given = ask(league.ctx, first, reason="gate_stayed_shut")
    waits = ask(league.ctx, second, reason="gate_stayed_shut", number=2)

    assert [fact.action for fact in given.facts] == ["raise", "grant", "book"]
    assert given.case.state == "closed" and waits.case.state == "asked"
    assert wallet(league.ctx) == before + 300 and position(league.ctx) == owed - 300
    with league.ctx.tx() as tx:
        booked = ledger.postings(
            tx,
            [clearing.position_account("beijing-card", OPERATOR, "CNY")],
            after_block=0,
            to_block=1_000_000,
        )
    last = booked[-1].booked.transfer
    assert (last.code, last.reference, last.amount) == (ledger.TransferCode.REFUND, first, 300)


def test_asking_again_is_harmless_and_another_body_is_refused(league: League) -> None:
    journey = ride(league)

    first = ask(league.ctx, journey, reason="gate_stayed_shut")
    again = ask(league.ctx, journey, reason="gate_stayed_shut")

    assert again == first
    with pytest.raises(disputes.DisputeConflict):
        ask(league.ctx, journey, reason="not_me")
    with pytest.raises(InvalidInput):  # nothing is left of it
        ask(league.ctx, journey, reason="gate_stayed_shut", number=2)


def test_a_missing_tap_is_stated_and_the_journey_rated_again(league: League) -> None:
    journey = ride(league, exit_at=None)
    before = wallet(league.ctx)

    asked = disputes.ask_refund(
        league.ctx,
        RIDER,
        dispute_id=new(1),
        journey_id=journey,
        reason="missing_tap",
        words="the gate stood open",
        stop_id=B,
        at=local(tariff_of(OPERATOR), "08:20", DAY),
    )
    post(league.ctx)

    assert asked.case.state == "corrected" and asked.bookings == ()
    assert wallet(league.ctx) == before + 500


def test_what_cannot_be_stated_goes_to_the_desk(league: League) -> None:
    journey = ride(league, exit_at=None)

    asked = disputes.ask_refund(
        league.ctx,
        RIDER,
        dispute_id=new(1),
        journey_id=journey,
        reason="missing_tap",
        words="I came out",
        stop_id="beijing/nowhere",
        at=local(tariff_of(OPERATOR), "08:20", DAY),
    )

    assert asked.case.state == "asked"
    with league.ctx.tx() as tx:
        assert tx.execute("select count(*) from rides.stated_ends").fetchone() == (0,)


def test_the_desk_gives_a_part_and_the_league_hears_an_appeal(league: League) -> None:
    one, two = ride(league), ride(league, "10:00", exit_at="10:20")
    before = wallet(league.ctx)

    ask(league.ctx, one)
    granted = do(league.ctx, SUBWAY, "grant", amount=100)
    ask(league.ctx, two, number=2)
    refused = do(league.ctx, SUBWAY, "refuse", number=2)
    appealed = do(league.ctx, RIDER, "appeal", number=2)
    upheld = do(league.ctx, REFEREE, "grant", number=2)

    assert granted.case.state == "closed" and wallet(league.ctx) == before + 400
    assert [one.case.state for one in (refused, appealed, upheld)] == ["refused", "appealed", "closed"]


# caller | change | error or field
REFUSED: list[tuple[Any, dict[str, Any], str]] = [
    (STRANGER, {}, "rides.unknown_journey"),
    (OTHER, {}, "rides.unknown_journey"),
    (SUBWAY, {}, "rides.unknown_journey"),
    (RIDER, {"reason": "bored"}, "reason"),
    (RIDER, {"words": "  "}, "words"),
    (RIDER, {"words": "x" * 1_001}, "words"),
    (RIDER, {"amount": 301}, "amount"),
    (RIDER, {"amount": 0}, "amount"),
    (RIDER, {"amount": -1}, "amount"),
]


@pytest.mark.parametrize(("caller", "change", "what"), REFUSED)
def test_what_cannot_be_asked_is_refused_and_changes_nothing(
    league: League, caller: Any, change: dict[str, Any], what: str
) -> None:
    journey = ride(league)
    before = everything(league.ctx)

    with pytest.raises(HansaError) as refused:
        ask(league.ctx, journey, caller=caller, **change)

    assert what in (refused.value.code, *(one.where for one in refused.value.problems))
    assert everything(league.ctx) == before


def test_after_sixty_days_it_is_too_late(league: League) -> None:
    journey = ride(league)
    set_clock(league.ctx, datetime(2027, 1, 16, 12, tzinfo=UTC))
    ask(league.ctx, journey)
    do(league.ctx, RIDER, "withdraw")
    pass_days(league.ctx, 1)

    with pytest.raises(disputes.AskedTooLate):
        ask(league.ctx, journey, number=2)


def test_only_a_side_of_the_dispute_sees_it(league: League) -> None:
    ask(league.ctx, ride(league))
    before = everything(league.ctx)

    gate = trust.Caller("a gate", "gate", member_id=trust.MemberId(OPERATOR))
    for caller in (STRANGER, OTHER, gate):
        with pytest.raises(disputes.UnknownDispute):
            do(league.ctx, caller, "withdraw")
    for caller in (RIDER, CARD):
        with pytest.raises(disputes.NotYourTurn):
            do(league.ctx, caller, "grant")

    assert everything(league.ctx) == before


def test_a_fare_corrected_later_takes_the_place_of_the_refund(league: League) -> None:
    journey = ride(league, exit_at=None)
    before = wallet(league.ctx)
    ask(league.ctx, journey, amount=600)
    do(league.ctx, SUBWAY, "grant", amount=600)
    assert wallet(league.ctx) == before + 600

    league.hand_in(
        [league.tap(OPERATOR, B, "exit", local(tariff_of(OPERATOR), "08:20", DAY), league.rider(1))]
    )
    post(league.ctx)
    assert wallet(league.ctx) == before + 1_100  # for an hour, more than the ride had cost
    set_clock(league.ctx, NOW + timedelta(hours=1))
    disputes.turn(league.ctx)
    disputes.turn(league.ctx)

    assert wallet(league.ctx) == before + 600  # 800 were charged, 200 agreed
    with league.ctx.tx() as tx:
        assert [one.amount_minor for one in disputes.get_dispute(tx, new(1)).bookings] == [600, -500]


@given(granted=st.integers(1, 900), at_most=st.integers(0, 900), charged=st.integers(0, 2_000))
def test_a_refund_stands_within_what_was_granted_and_what_was_charged(
    granted: int, at_most: int, charged: int
) -> None:
    case = _case(at_most)

    stands = stands_minor(case, granted, charged)

    assert 0 <= stands <= min(granted, charged)
    assert charged - stands <= max(at_most, charged - granted)


def _case(at_most: int) -> Case:
    nobody = new(1)
    return Case(
        *(disputes.DisputeId(nobody), disputes.Kind.REFUND, nobody, nobody, 0, nobody, "", "", "CNY", 1, 900),
        *("", "", {}, 1, "", NOW, disputes.State.CLOSED, None, 900, at_most, None),
    )


def test_refunds_and_chargebacks_of_one_ride_stay_within_its_fare(league: League) -> None:
    journey = ride(league)
    claim(league.ctx, item_of(league.ctx, journey), 200)

    with pytest.raises(InvalidInput) as refused:
        ask(league.ctx, journey, number=2, amount=101)
    ask(league.ctx, journey, number=2, amount=100)

    assert refused.value.problems[0].where == "amount"


def test_a_refund_from_abroad_comes_back_at_the_rate_of_the_ride(ctx: Context) -> None:
    league = open_books(ctx, 0)
    clearing.open_positions(ctx, [("hong-kong-card", OPERATOR, "CNY")])
    league.open_money(3, 5_000, issuer="hong-kong-card", currency="HKD")
    with ctx.tx() as tx:
        payments.set_rates(tx, DAY, [("CNY", "HKD", Fraction(1087, 1000))])
        payments.set_rates(tx, NOW.date(), [("CNY", "HKD", Fraction(2))])
    cti = league.rider(3, issuer="hong-kong-card", currency="HKD")
    taps = league.ride(OPERATOR, A, B, local(tariff_of(OPERATOR), "08:00", DAY), cti)
    league.hand_in(taps)
    post(ctx)
    rider = trust.Caller("person:3", "person", account_id=str(account_of(3)))

    ask(ctx, taps[0].tap_id, reason="gate_stayed_shut", caller=rider)

    with ctx.tx() as tx:
        assert [str(one) for one in payments.balance_of(tx, AccountId(account_of(3)))] == ["HK$50.00"]


def test_a_refund_clears_with_the_day_on_which_it_is_booked(league: League) -> None:
    ctx, journey = league.ctx, ride(league)
    given = ask(ctx, journey, amount=299, reason="gate_stayed_shut")
    set_clock(ctx, datetime(2026, 11, 20, 20, tzinfo=UTC))
    day = clearing.close_day(ctx, NOW.date())

    assert given.case.state == "closed"
    assert [(one.items, one.gross.minor) for one in day.totals] == [(2, 1)]


@pytest.mark.parametrize("step", ["kept", "posted", "closed"])
def test_killed_at_any_step_the_worker_ends_it_once(league: League, step: str) -> None:
    journey = ride(league)
    before = wallet(league.ctx)
    ask(league.ctx, journey)
    with pytest.raises(Killed):
        disputes.act(
            league.ctx,
            SUBWAY,
            new(1),
            action_id=new(9),
            action=disputes.Action.GRANT,
            words="Yes.",
            step=killed_at(step),
        )

    disputes.turn(league.ctx)
    disputes.turn(league.ctx)

    assert wallet(league.ctx) == before + 300
    with league.ctx.tx() as tx:
        assert disputes.get_dispute(tx, new(1)).case.state == "closed"


def test_two_clerks_at_once_give_one_answer(committed_ctx: Context) -> None:
    league = open_books(committed_ctx)
    journey = ride(league)
    before = wallet(committed_ctx)
    ask(committed_ctx, journey)

    def answer(number: int) -> str:
        try:
            return do(committed_ctx, SUBWAY, "grant" if number % 2 else "refuse", key=number).case.state
        except disputes.DisputeMoved as moved:
            return moved.code

    with ThreadPoolExecutor(6) as clerks:
        answers = list(clerks.map(answer, range(6)))
    with ThreadPoolExecutor(3) as workers:
        list(workers.map(disputes.turn, [committed_ctx] * 3))

    assert answers.count("disputes.moved") == 5
    with committed_ctx.tx() as tx:
        facts = disputes.get_dispute(tx, new(1)).facts
    assert [fact.n for fact in facts] == list(range(len(facts)))
    assert wallet(committed_ctx) == before + (300 if facts[1].action == "grant" else 0)


def test_two_requests_at_once_for_one_ride_find_room_once(committed_ctx: Context) -> None:
    league = open_books(committed_ctx)
    journey = ride(league)
    before = wallet(committed_ctx)

    def request(number: int) -> str:
        try:
            return ask(committed_ctx, journey, reason="gate_stayed_shut", number=number).case.state
        except HansaError as refused:
            return refused.code

    with ThreadPoolExecutor(4) as riders:
        answers = list(riders.map(request, range(4)))

    assert answers.count("closed") == 1 and answers.count("hansa.invalid_input") == 3
    assert wallet(committed_ctx) == before + 300


def test_silence_for_weeks_with_holidays_does_the_same_whenever_the_worker_comes(league: League) -> None:
    late, early = ride(league), ride(league, "10:00", exit_at="10:20")
    set_clock(league.ctx, datetime(2026, 12, 23, 2, tzinfo=UTC))
    for number, journey in ((1, late), (2, early)):
        ask(league.ctx, journey, number=number)
        do(league.ctx, SUBWAY, "refuse", number=number)
        do(league.ctx, RIDER, "appeal", number=number)

    for _ in range(10):  # Christmas and New Year are no business days
        pass_days(league.ctx, 1)
        disputes.turn(league.ctx)
        with league.ctx.tx() as tx:
            if disputes.get_dispute(tx, new(2)).case.state == "closed":
                break
    with league.ctx.tx() as tx:
        one, two = disputes.get_dispute(tx, new(1)), disputes.get_dispute(tx, new(2))

    assert one.facts[3].at == two.facts[3].at == datetime(2026, 12, 31, 20, tzinfo=UTC)
    assert one.facts[3].action == "grant" and one.case.state == "closed"
    assert rides.JourneyId(late) == one.case.subject_id
