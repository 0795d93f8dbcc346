"""Members' disputes: answered in turn, decided by the league, booked as new items within the item."""

from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from disputes.disputing import (
    CARD,
    DAY,
    ISSUER,
    OPERATOR,
    OTHER,
    REFEREE,
    RIDER,
    SUBWAY,
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
)
from hansa import clearing, disputes, ledger, rides
from hansa.kernel import HansaError, InvalidInput
from hansa.store import Context
from rides.riding import League, local, tariff_of


@pytest.fixture
def league(ctx: Context) -> League:
    return open_books(ctx)


def earned(ctx: Context) -> int:
    with ctx.tx() as tx:
        return ledger.balance(tx, clearing.earned_account(ISSUER, "CNY")).credit_minor


def test_an_accepted_claim_is_a_new_item_and_the_old_one_stands(league: League) -> None:
    ctx, journey = league.ctx, ride(league)
    item = item_of(ctx, journey)
    with ctx.tx() as tx:
        before = ledger.get_transfer(tx, ledger.TransferId(item))

    claim(ctx, item, 200)
    closed = do(ctx, SUBWAY, "accept")

    assert closed.case.state == "closed" and (position(ctx), earned(ctx)) == (100, 200)
    with ctx.tx() as tx:
        assert ledger.get_transfer(tx, ledger.TransferId(item)).transfer == before.transfer
        booked = ledger.get_transfer(tx, ledger.TransferId(closed.bookings[0].booking_id)).transfer
    assert (booked.code, booked.reference) == (ledger.TransferCode.CHARGEBACK, journey)
    assert booked.memo == f"dispute {new(1)}"


@pytest.mark.parametrize("step", ["kept", "posted", "closed"])
def test_killed_at_any_step_of_an_acceptance_the_worker_books_it_once(league: League, step: str) -> None:
    ctx = league.ctx
    claim(ctx, item_of(ctx, ride(league)), 200)
    with pytest.raises(Killed):
        disputes.act(
            ctx,
            SUBWAY,
            new(1),
            action_id=new(9),
            action=disputes.Action.ACCEPT,
            words="So it was.",
            step=killed_at(step),
        )

    disputes.turn(ctx)
    disputes.turn(ctx)

    with ctx.tx() as tx:
        found = disputes.get_dispute(tx, new(1))
    assert (found.case.state, len(found.bookings)) == ("closed", 1)
    assert (position(ctx), earned(ctx)) == (100, 200)


def test_a_dispute_goes_through_arbitration_to_a_part(league: League) -> None:
    ctx = league.ctx
    claim(ctx, item_of(ctx, ride(league)))

    for caller, action in ((SUBWAY, "represent"), (CARD, "escalate"), (REFEREE, "take")):
        do(ctx, caller, action)
    decided = do(ctx, REFEREE, "decide", amount=120)
    again = do(ctx, REFEREE, "decide", amount=120)

    assert again == decided and decided.case.holds_minor == 120
    assert [fact.action for fact in decided.facts] == [
        "raise",
        "represent",
        "escalate",
        "take",
        "decide",
        "book",
    ]
    assert (position(ctx), earned(ctx)) == (180, 120)


def test_a_claim_that_is_lost_moves_nothing_and_leaves_room(league: League) -> None:
    ctx = league.ctx
    item = item_of(ctx, ride(league))
    claim(ctx, item)
    for caller, action in ((SUBWAY, "represent"), (CARD, "escalate"), (REFEREE, "take")):
        do(ctx, caller, action)
    lost = do(ctx, REFEREE, "decide", amount=0)

    claim(ctx, item, number=2)

    assert lost.case.state == "closed" and lost.bookings == () and earned(ctx) == 0


# days of silence in each state, and what comes of it
SILENCE = [([], "accept", 300), (["represent"], "withdraw", 0), (["represent", "escalate"], "take", 0)]


@pytest.mark.parametrize(("done", "by_itself", "given_back"), SILENCE)
def test_silence_has_the_outcome_that_the_rules_give_it(
    league: League, done: list[str], by_itself: str, given_back: int
) -> None:
    ctx = league.ctx
    claim(ctx, item_of(ctx, ride(league)))
    for action in done:
        do(ctx, SUBWAY if action == "represent" else CARD, action)

    pass_days(ctx, 60)
    while disputes.turn(ctx):
        pass_days(ctx, 0)

    with ctx.tx() as tx:
        found = disputes.get_dispute(tx, new(1))
    assert found.facts[1 + len(done)].action == by_itself
    assert found.facts[1 + len(done)].side == "hansa"
    assert found.case.state == "closed" and earned(ctx) == given_back


def test_an_answer_after_the_deadline_comes_too_late_even_where_no_worker_ran(league: League) -> None:
    ctx = league.ctx
    claim(ctx, item_of(ctx, ride(league)))
    pass_days(ctx, 30)

    with pytest.raises(disputes.DisputeMoved):
        do(ctx, SUBWAY, "represent")
    disputes.turn(ctx)

    assert earned(ctx) == 300


# change | field or code
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"amount_minor": 301}, "amount"),
    ({"amount_minor": 0}, "amount"),
    ({"reason": "given_back_wrongly"}, "reason"),
    ({"reason": "token_denied"}, "evidence"),
    ({"words": ""}, "words"),
    ({"item_id": new(77)}, "disputes.unknown_item"),
    ({"other_id": "london-tfl"}, "disputes.unknown_item"),
]


@pytest.mark.parametrize(("change", "what"), REFUSED)
def test_what_cannot_be_claimed_is_refused_and_nothing_is_kept(
    league: League, change: dict[str, Any], what: str
) -> None:
    ctx = league.ctx
    wanted: dict[str, Any] = {
        "dispute_id": new(1),
        "item_id": item_of(ctx, ride(league)),
        "other_id": OPERATOR,
        "amount_minor": 300,
        "reason": "no_evidence",
        "words": "Show the taps.",
        "evidence": {},
    }

    for caller in (CARD,) if what != "disputes.unknown_item" else (CARD, SUBWAY, OTHER):
        with pytest.raises(HansaError) as refused:
            disputes.raise_dispute(ctx, caller, **wanted | change)
        assert what in (refused.value.code, *(one.where for one in refused.value.problems))

    with ctx.tx() as tx:
        assert disputes.list_disputes(tx) == [] and position(ctx) == 300


def test_a_refund_is_no_item_to_be_disputed_and_a_fact_never_changes(league: League) -> None:
    ctx = league.ctx
    refund = ask(ctx, ride(league), reason="gate_stayed_shut", number=5)
    with ctx.tx() as tx:
        given = ledger.postings(
            tx, [clearing.position_account(ISSUER, OPERATOR, "CNY")], after_block=0, to_block=1_000_000
        )[-1]

    with pytest.raises(disputes.UnknownItem):
        disputes.raise_dispute(
            ctx,
            SUBWAY,
            dispute_id=new(1),
            item_id=given.booked.transfer.transfer_id,
            other_id=ISSUER,
            amount_minor=1,
            reason="given_back_wrongly",
            words="No.",
            evidence={"journey": "x"},
        )
    with pytest.raises(psycopg.errors.RestrictViolation), ctx.tx() as tx:
        tx.execute("update disputes.facts set words = '' where dispute_id = %s", (refund.case.dispute_id,))


ACTORS = (CARD, SUBWAY, REFEREE, RIDER)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    moves=st.lists(
        st.tuples(
            st.sampled_from(range(4)),
            st.sampled_from(["claim", "ask", "wait", *(one.value for one in disputes.Action)]),
            st.integers(1, 4),
            st.integers(0, 310),
        ),
        max_size=25,
    )
)
def test_whatever_is_done_in_whatever_order_the_money_stays_within_the_ride(
    ctx: Context, moves: list[tuple[int, str, int, int]]
) -> None:
    with pytest.raises(_Undo), ctx.tx():
        _try(ctx, moves)


def _try(ctx: Context, moves: list[tuple[int, str, int, int]]) -> None:
    league = open_books(ctx)
    journey = ride(league)
    item = item_of(ctx, journey)
    for who, action, number, amount in moves * 2:  # every one twice, which changes nothing or is refused
        try:
            if action == "claim":
                claim(ctx, item, amount, number=number)
            elif action == "ask":
                ask(ctx, journey, amount=amount, number=number + 10)
            elif action == "wait":
                pass_days(ctx, amount // 40)
                disputes.turn(ctx)
            else:
                which = number if who < 2 else number + 10 * (amount % 2)
                do(ctx, ACTORS[who], action, number=which, amount=None if amount % 3 else amount)
        except HansaError:
            pass
        assert 0 <= position(ctx) <= 300 and earned(ctx) <= 300
    pass_days(ctx, 400)
    for _ in range(6):
        disputes.turn(ctx)
    with ctx.tx() as tx:
        kept = disputes.list_disputes(tx)
        moved = sum(
            one.amount_minor for case in kept for one in disputes.get_dispute(tx, case.dispute_id).bookings
        )
    assert all(case.state in disputes.FINAL for case in kept)
    assert position(ctx) == 300 - moved >= 0
    raise _Undo


class _Undo(Exception):
    """Takes back what one example did."""


def test_two_parts_of_an_item_stay_within_it(league: League) -> None:
    ctx = league.ctx
    item = item_of(ctx, ride(league))
    claim(ctx, item, 200)

    with pytest.raises(InvalidInput):
        claim(ctx, item, 101, number=2)
    claim(ctx, item, 100, number=3)

    with ctx.tx() as tx:
        assert len(disputes.list_disputes(tx, member=ISSUER)) == 2


def test_an_operator_disputes_what_was_given_back_wrongly(league: League) -> None:
    ctx, journey = league.ctx, ride(league, exit_at=None)
    exit_tap = league.tap(OPERATOR, B, "exit", local(tariff_of(OPERATOR), "08:20", DAY), league.rider(1))
    league.hand_in([exit_tap])
    post(ctx)
    with ctx.tx() as tx:
        correction = rides.journey(tx, rides.JourneyId(journey)).charges[1]

    disputes.raise_dispute(
        ctx,
        SUBWAY,
        dispute_id=new(1),
        item_id=correction.transfer_ids[-1],
        other_id=ISSUER,
        amount_minor=500,
        reason="given_back_wrongly",
        words="The gate never moved.",
        evidence={"journey": str(journey)},
    )
    assert position(ctx) == 300
    do(ctx, CARD, "accept")

    assert (position(ctx), earned(ctx)) == (800, -500)
