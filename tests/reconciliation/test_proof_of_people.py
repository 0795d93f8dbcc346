"""The proof of a day in which people paid shops: each item is explained by its payment, and no other is."""

from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest

from hansa import clearing, payments, reconciliation
from hansa.kernel import fact_id
from hansa.store import Context, Tx
from payments.shopping import BANK, asks, made, open_town, pass_time
from reconciliation.test_proof import failing


@pytest.fixture
def shopped(ctx: Context) -> Context:
    """Ann pays the tea house three times, once in two parts; a part of one comes back. The day is closed."""
    open_town(ctx)
    for n in (1, 2):
        made(ctx, asks(20_00, n=n))
    held = made(ctx, asks(30_00, n=3, capture="manual"))
    for n, final in ((1, False), (2, True)):
        payments.capture(
            ctx, held.payment_id, capture_id=fact_id(None, "part", n), by=BANK, minor=10_00, final=final
        )
    payments.refund(ctx, asks(20_00, n=1).payment_id, refund_id=fact_id(None, "back"), by=BANK, minor=5_00)
    day = ctx.clock.now().date()
    pass_time(ctx, days=1, hours=12)
    clearing.close_day(ctx, day)
    return ctx


def prove(ctx: Context) -> reconciliation.Proof:
    return reconciliation.prove_day(ctx, (ctx.clock.now() - timedelta(days=1, hours=12)).date(), by="anna")


def test_payments_and_their_refunds_are_items_that_are_explained(shopped: Context) -> None:
    proof = prove(shopped)

    assert not failing(proof), proof
    (items,) = [step for step in proof.steps if step.name is reconciliation.StepName.ITEMS]
    assert (items.counted, dict(items.sums)) == (5, {"CNY": 55_00})


def a_second_time(tx: Tx) -> None:
    tx.execute(
        "insert into ledger.transfers select (jsonb_populate_record(t, jsonb_build_object('transfer_id', %s::text, "
        "'position', 60000))).* from ledger.transfers t where code = 22 and amount = 2000 limit 1",
        (str(uuid4()),),
    )


def for_nobody(tx: Tx) -> None:
    tx.execute("update ledger.transfers set reference = %s where code = 23", (uuid4(),))


def with_another_amount(tx: Tx) -> None:
    tx.execute("update ledger.transfers set amount = amount + 1 where code = 23")


def of_a_step_that_is_lost(tx: Tx) -> None:
    tx.execute("delete from payments.steps where action = 'refund'")


@pytest.mark.parametrize("tamper", [a_second_time, for_nobody, with_another_amount, of_a_step_that_is_lost])
def test_an_item_that_no_payment_explains_is_found(shopped: Context, tamper: Callable[[Tx], None]) -> None:
    with shopped.tx() as tx:
        tx.execute("set local session_replication_role = replica")
        tamper(tx)
        tx.execute("set local session_replication_role = origin")

    assert "charges" in failing(prove(shopped))
