"""Announced payments under mandates: told in time, taken once when due, skipped, paused; others are refused."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from hansa import approval, notifications, payments
from hansa.apps import pulling
from hansa.kernel import HansaError, InvalidInput, Money, fact_id
from hansa.payments import Payment
from hansa.store import Context
from notifications.hearing import hear_here
from payments.shopping import ANN, BANK, TEA, as_it_stands, held, open_town, pass_time

MANDATE = fact_id(None, "pulling mandate")


def agreed(ctx: Context, *, notice_h: int = 48) -> None:
    """Ann lets the tea house take ¥30 at a time, ¥50 a month, with two days' notice."""
    open_town(ctx)
    approval.ask_mandate(
        ctx,
        approval.NewMandate(
            mandate_id=MANDATE, account_id=ANN, payee_key=f"payee:{TEA}", payee_name="Tea house", member_id=BANK,
            currency="CNY", each_minor=30_00, period="month", period_minor=50_00, notice_h=notice_h,
            ends_at=ctx.clock.now() + timedelta(days=300), reference="Tea each month",
        ),
    )  # fmt: skip
    with ctx.tx() as tx:
        tx.execute("update approval.mandates set holds_from = asked_at")


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
