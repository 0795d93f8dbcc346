"""What gives much is given by two persons of the side that decides; one alone moves nothing."""

from dataclasses import replace

import msgspec
import pytest

from disputes.disputing import (
    CARD,
    REFEREE,
    SUBWAY,
    claim,
    do,
    item_of,
    new,
    open_books,
    pass_days,
    position,
    ride,
)
from hansa import disputes, trust
from hansa.kernel import fact_id
from hansa.store import Context
from rides.riding import League

STRICT = msgspec.structs.replace(disputes.own_rules(), two_persons_minor={"CNY": 200})


def person(caller: trust.Caller, name: str) -> trust.Caller:
    return replace(caller, key_id=f"{name}'s key", person=name)


def answer(
    ctx: Context,
    caller: trust.Caller,
    action: str,
    *,
    key: int,
    amount: int | None = None,
    words: str = "It is so.",
) -> disputes.Dispute:
    return disputes.act(
        ctx,
        caller,
        new(1),
        action_id=fact_id(None, "answer of two", key),
        action=disputes.Action(action),
        words=words,
        amount_minor=amount,
        rules=STRICT,
    )


@pytest.fixture
def league(ctx: Context) -> League:
    league = open_books(ctx)
    claim(ctx, item_of(ctx, ride(league)))
    return league


def test_the_second_person_does_what_the_first_proposed(league: League) -> None:
    ctx, anna, bo = league.ctx, person(SUBWAY, "anna"), person(SUBWAY, "bo")

    first = answer(ctx, anna, "accept", key=1)
    again = answer(ctx, anna, "accept", key=1)
    alone = answer(ctx, anna, "accept", key=2)

    assert first == again == alone and first.case.state == "raised" and len(first.waiting) == 1
    assert position(ctx) == 300
    with pytest.raises(disputes.DisputeConflict):
        answer(ctx, anna, "accept", key=1, words="Other words.")
    done = answer(ctx, bo, "accept", key=3)
    assert done.case.state == "closed" and done.waiting == () and len(done.proposals) == 1
    assert [fact.caller_id for fact in done.facts if fact.action == "accept"] == [bo.who]
    assert position(ctx) == 0


def test_another_amount_is_a_proposal_of_its_own_and_what_gives_little_needs_one(league: League) -> None:
    ctx = league.ctx
    for caller, action in ((SUBWAY, "represent"), (CARD, "escalate"), (REFEREE, "take")):
        do(ctx, caller, action)
    answer(ctx, person(REFEREE, "anna"), "decide", key=1, amount=300)

    open_still = answer(ctx, person(REFEREE, "bo"), "decide", key=2, amount=250)
    decided = answer(ctx, person(REFEREE, "bo"), "decide", key=3, amount=200)

    assert open_still.case.state == "arbitration" and len(open_still.waiting) == 2
    assert decided.case.state == "closed" and position(ctx) == 100


def test_a_proposal_ends_with_the_next_fact(league: League) -> None:
    ctx = league.ctx
    answer(ctx, person(SUBWAY, "anna"), "accept", key=1)
    answer(ctx, SUBWAY, "represent", key=2)
    answer(ctx, CARD, "escalate", key=3)

    after = answer(ctx, person(SUBWAY, "bo"), "accept", key=4)

    assert after.case.state == "escalated" and [one.caller_id for one in after.waiting] == [
        person(SUBWAY, "bo").who
    ]
    assert position(ctx) == 300


def test_a_proposal_keeps_no_deadline_from_passing(league: League) -> None:
    ctx = league.ctx
    answer(ctx, person(SUBWAY, "anna"), "represent", key=1)
    pass_days(ctx, 60)

    disputes.turn(ctx, rules=STRICT)

    with ctx.tx() as tx:
        assert disputes.get_dispute(tx, new(1)).case.state == "closed"
    assert position(ctx) == 300


def test_the_queue_has_the_nearest_deadline_first_and_finds_by_the_start_of_an_id(league: League) -> None:
    ctx = league.ctx
    second = ride(league, "10:00", exit_at="10:30")
    pass_days(ctx, 3)
    claim(ctx, item_of(ctx, second), number=2)
    do(ctx, SUBWAY, "represent")

    with ctx.tx() as tx:
        queue = disputes.queue(tx, disputes.Wanted(member=CARD.member_id))
        rest = disputes.queue(
            tx, disputes.Wanted(), after=(queue[0].due_at or ctx.clock.now(), queue[0].dispute_id)
        )
        found = disputes.find_disputes(tx, disputes.Wanted(text=str(second)[:13].upper()))
        none = disputes.find_disputes(tx, disputes.Wanted(text="no id"))
        strangers = disputes.queue(tx, disputes.Wanted(member="london-tfl"))
        waiting = disputes.count_waiting(tx, CARD.member_id, soon=queue[0].due_at or ctx.clock.now())

    assert [one.dispute_id for one in queue] == [new(2), new(1)]
    assert [one.dispute_id for one in rest] == [new(1)]
    assert [one.dispute_id for one in found] == [new(2)] and none == strangers == []
    assert [(one.state, one.number, one.soon) for one in waiting] == [("raised", 1, 1), ("represented", 1, 0)]
