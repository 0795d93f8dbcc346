"""Announced payments under mandates: told in time, taken once when due, skipped, paused; others are refused."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from hansa import approval, ledger, notifications, payments
from hansa.apps import pulling
from hansa.kernel import HansaError, InvalidInput, Money, fact_id, new_id
from hansa.payments import Payment
from hansa.store import Context
from notifications.hearing import hear_here
from payments.shopping import ANN, BANK, BEN, TEA, as_it_stands, held, open_town, pass_time

MANDATE = fact_id(None, "pulling mandate")


def agreed(ctx: Context, *, notice_h: int = 48, retry_d: Sequence[int] = ()) -> None:
    """Ann lets the tea house take ¥30 at a time, ¥50 a month, with two days' notice."""
    open_town(ctx)
    approval.ask_mandate(
        ctx,
        approval.NewMandate(
            mandate_id=MANDATE, account_id=ANN, payee_key=f"payee:{TEA}", payee_name="Tea house", member_id=BANK,
            currency="CNY", each_minor=30_00, period="month", period_minor=50_00, notice_h=notice_h,
            ends_at=ctx.clock.now() + timedelta(days=300), reference="Tea each month", retry_d=retry_d,
        ),
    )  # fmt: skip
    with ctx.tx() as tx:
        tx.execute("update approval.mandates set holds_from = asked_at")


def empty(ctx: Context) -> None:
    """All that Ann has goes to Ben."""
    move(ctx, payments.wallet_id(ANN, "CNY"), payments.wallet_id(BEN, "CNY"), held(ctx)[0])


def fill(ctx: Context) -> None:
    """Ben gives Ann ¥60."""
    move(ctx, payments.wallet_id(BEN, "CNY"), payments.wallet_id(ANN, "CNY"), 60_00)


def move(ctx: Context, debit: ledger.AccountId, credit: ledger.AccountId, minor: int) -> None:
    (done,) = ledger.post(
        ctx,
        [
            ledger.Transfer(
                ledger.TransferId(new_id()), debit, credit, minor, "CNY", ledger.TransferCode.SEND,
                event_at=ctx.clock.now(),
            )
        ],
    )  # fmt: skip
    assert done.code is ledger.ResultCode.CREATED


def facts(ctx: Context) -> list[dict[str, Any]]:
    """What members were told, in order."""
    with ctx.tx() as tx:
        rows = tx.execute(
            "select body from store.outbox where topic = 'webhooks' order by xid, seq"
        ).fetchall()
    return [body for (body,) in rows]


def announce(ctx: Context, number: int, minor: int = 20_00, *, days: float = 2, **more: Any) -> UUID:
    pull_id = fact_id(None, "pulling", number)
    at = ctx.clock.now() + timedelta(days=days)
    said: dict[str, Any] = {
        "pull_id": pull_id,
        "mandate_id": MANDATE,
        "amount": Money(minor, "CNY"),
        "due_at": at,
        "reference": "nov",
    }
    approval.announce_pull(ctx, approval.NewPull(**said | more), member=BANK)
    return pull_id


def state(ctx: Context, pull_id: UUID) -> tuple[str, str]:
    with ctx.tx() as tx:
        pull = approval.find_pull(tx, MANDATE, pull_id)
    assert pull is not None
    return pull.state, pull.reason


def test_it_is_told_in_time_and_taken_once_when_it_is_due_also_after_a_crash(ctx: Context) -> None:
    agreed(ctx)
    pull_id = announce(ctx, 1, days=20)
    assert announce(ctx, 1, days=20) == pull_id
    hear_here(ctx)
    assert pulling.turn(ctx) == 0
    pass_time(ctx, days=18)
    assert pulling.turn(ctx) == 1 and pulling.turn(ctx) == 0, "it is told once more, and taken not yet"
    hear_here(ctx)
    with ctx.tx() as tx:
        kinds = [one.kind for one in notifications.list_notices(tx, ANN, partition=0)]
    assert "mandate.due" in kinds

    pass_time(ctx, days=2)
    with ctx.tx() as tx:
        ((pull, mandate),) = approval.due_pulls(tx, ctx.clock.now())
    assert mandate.payee_key == f"payee:{TEA}"
    # Made, and killed before it was kept what became of it.
    (first,) = payments.create(
        ctx,
        [
            payments.NewPayment(
                payment_id=pull.pull_id, payee_id=TEA, amount=pull.amount, by=f"mandate:{MANDATE}", payer=ANN,
                method="mandate", mandate_id=MANDATE, reference="nov", description="Tea each month",
            )
        ],
    )  # fmt: skip
    assert isinstance(first, Payment) and held(ctx) == (80_00, 0)

    assert pulling.turn(ctx) == 1 and pulling.turn(ctx) == 0

    assert state(ctx, pull_id) == ("taken", "") and held(ctx) == (80_00, 0)
    with pytest.raises(approval.PullEnded):
        approval.skip_pull(ctx, MANDATE, pull_id, payer=ANN)


def test_what_was_not_announced_or_was_skipped_or_is_paused_is_not_taken(ctx: Context) -> None:
    agreed(ctx)
    (direct,) = payments.create(
        ctx,
        [
            payments.NewPayment(
                payment_id=fact_id(None, "pulling", "direct"), payee_id=TEA, amount=Money(5_00, "CNY"), by=BANK,
                payer=ANN, method="mandate", mandate_id=MANDATE,
            )
        ],
    )  # fmt: skip
    assert isinstance(direct, Payment) and direct.step is not None
    assert direct.step.reason == "approval.mandate_unannounced"
    skipped, called_off, late = announce(ctx, 1), announce(ctx, 2), announce(ctx, 3)
    assert approval.skip_pull(ctx, MANDATE, skipped, payer=ANN).state == "skipped"
    assert approval.skip_pull(ctx, MANDATE, skipped, payer=ANN).state == "skipped"
    assert approval.call_off_pull(ctx, MANDATE, called_off, member=BANK).state == "called_off"
    paused = approval.pause_mandate(ctx, MANDATE, payer=ANN)
    assert paused.paused_until is not None and paused.paused_until > ctx.clock.now()
    pass_time(ctx, days=2)

    pulling.turn(ctx)

    assert state(ctx, late) == ("failed", "approval.mandate_paused")
    assert held(ctx) == (100_00, 0) and pulling.turn(ctx) == 0
    assert as_it_stands(ctx, late).state == "failed"
    with ctx.tx() as tx, pytest.raises(payments.UnknownPayment):
        payments.get_payment(tx, skipped)
    approval.resume_mandate(ctx, MANDATE, payer=ANN)
    good = announce(ctx, 4)
    pass_time(ctx, days=2)
    assert pulling.turn(ctx) == 1 and state(ctx, good) == ("taken", "") and held(ctx) == (80_00, 0)


def test_the_payer_sets_the_lead_and_the_payee_keeps_to_it(ctx: Context) -> None:
    agreed(ctx, notice_h=0)
    with pytest.raises(InvalidInput):
        approval.set_lead(ctx, MANDATE, 721, payer=ANN)
    announce(ctx, 1, days=0)
    assert approval.set_lead(ctx, MANDATE, 72, payer=ANN).lead_h == 72

    refused: tuple[tuple[dict[str, Any], type[HansaError]], ...] = (
        ({"days": 2.9}, InvalidInput),
        ({"days": 91}, InvalidInput),
        ({"minor": 30_01, "days": 4}, approval.MandateExceeded),
        ({"days": 4, "reference": "x" * 101}, InvalidInput),
        ({"days": 4, "mandate_id": fact_id(None, "x")}, approval.UnknownMandate),
    )
    for wrong, error in refused:
        with pytest.raises(error):
            announce(ctx, 9, **wrong)
    with ctx.tx() as tx:
        assert len(approval.list_pulls(tx, MANDATE)) == 1
    announce(ctx, 2, days=3)


def test_one_that_lacked_money_is_tried_again_by_its_plan_and_never_once_taken_back(ctx: Context) -> None:
    agreed(ctx, retry_d=[1, 3])
    spent = announce(ctx, 1, 30_00)
    empty(ctx)
    pass_time(ctx, days=2)
    assert pulling.turn(ctx) == 1 and pulling.turn(ctx) == 0, "it lacks money, and waits for the next day"
    with ctx.tx() as tx:
        waits = approval.find_pull(tx, MANDATE, spent)
    assert waits is not None and (waits.state, waits.tries, waits.reason) == (
        "announced", 1, "payments.insufficient_funds",
    )  # fmt: skip
    assert waits.payment_id != spent and waits.next_at >= waits.due_at + timedelta(days=1)
    assert as_it_stands(ctx, spent).state in ("failed", "canceled"), (
        "the first try is over, and nobody can pay it"
    )
    hear_here(ctx)
    with ctx.tx() as tx:
        kinds = [one.kind for one in notifications.list_notices(tx, ANN, partition=0)]
    assert "mandate.retried" in kinds

    # Money came, and the second try takes it, once, by a payment of its own.
    fill(ctx)
    pass_time(ctx, days=1)
    before = held(ctx)[0]
    assert pulling.turn(ctx) == 1 and pulling.turn(ctx) == 0
    assert state(ctx, spent)[0] == "taken" and held(ctx)[0] == before - 30_00
    assert as_it_stands(ctx, waits.payment_id).state in ("captured", "settled")
    # Tried as often as the plan says and no more, each told to the payee.
    poor = announce(ctx, 2, 15_00)
    empty(ctx)
    for days in (2, 1, 3, 9):
        pass_time(ctx, days=days)
        pulling.turn(ctx)
    assert state(ctx, poor) == ("failed", "payments.insufficient_funds")
    # Skipped between two tries; and taken back with the mandate.
    skipped, back = announce(ctx, 3, 2_00), announce(ctx, 4, 2_00)
    pass_time(ctx, days=2)
    assert pulling.turn(ctx) == 2
    assert approval.skip_pull(ctx, MANDATE, skipped, payer=ANN).state == "skipped"
    approval.revoke_mandate(ctx, MANDATE, payer=ANN)
    fill(ctx)
    before = held(ctx)
    pass_time(ctx, days=9)
    assert pulling.turn(ctx) == 0 and held(ctx) == before
    assert state(ctx, back) == ("called_off", "approval.mandate_ended")
    told = [
        (body["type"].rpartition(".")[2], body["data"]["pull_id"])
        for body in facts(ctx)
        if body["type"].startswith("mandate.pull")
    ]
    assert [kind for kind, one in told if one == str(poor)] == ["retrying", "retrying", "failed"]
    assert [kind for kind, one in told if one == str(back)] == ["retrying"]
