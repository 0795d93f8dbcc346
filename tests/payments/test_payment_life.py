"""Payments from beginning to end, in the states of their one table."""

from typing import Any
from uuid import UUID

import pytest

from approval.approving import join
from hansa import approval, identity, payments, trust
from hansa.kernel import HansaError, InvalidInput, Money, fact_id, new_id
from hansa.payments import Heard, SimulatedConnector
from hansa.payments.life import BEGINNINGS, TABLE, Action, PaymentState, StateForbids, after
from hansa.store import Context
from payments.shopping import (
    ANN,
    BANK,
    BEN,
    CANADIAN,
    CARD,
    KIOSK,
    as_it_stands,
    asks,
    check_books,
    held,
    made,
    open_town,
    owed,
    pass_time,
    person,
    told,
    words,
)


@pytest.mark.parametrize("action", list(Action))
@pytest.mark.parametrize("state", list(PaymentState))
def test_every_action_in_every_state_is_what_the_table_says_or_refused(
    state: PaymentState, action: Action
) -> None:
    wanted = TABLE[state].get(action)

    if wanted is not None:
        assert after(state, action) is wanted
    else:
        with pytest.raises(StateForbids):
            after(state, action)


def test_what_a_state_does_not_take_is_told_with_what_may_be_done() -> None:
    with pytest.raises(StateForbids) as refused:
        after(PaymentState.CAPTURED, Action.CANCEL)

    assert refused.value.detail == (
        "A payment that is captured does not take `cancel` (the payee calls it off). "
        "Void what is held, or refund what was captured."
    )


@pytest.mark.parametrize("action", Action)
def test_every_action_as_a_first_step(action: Action) -> None:
    if action in BEGINNINGS:
        assert after(None, action) is BEGINNINGS[action]
    else:
        with pytest.raises(StateForbids):
            after(None, action)


# --- paid at once


def test_a_code_pays_at_once_and_the_position_stands_between_two_members(ctx: Context) -> None:
    open_town(ctx)

    one = made(ctx, asks(30_00))

    assert (one.state, one.captured_minor, one.held_minor) == ("captured", 30_00, 0)
    assert held(ctx) == (70_00, 0)
    assert owed(ctx) == {"tea": 30_00, "kiosk": 0, "awaited": 30_00, "position": 30_00}
    assert told(ctx) == ["payment.captured"]
    check_books(ctx)


def test_within_one_member_nothing_is_owed_between_members(ctx: Context) -> None:
    open_town(ctx)

    one = made(ctx, asks(30_00, payee_id=KIOSK))

    assert one.state == "captured"
    assert owed(ctx) == {"tea": 0, "kiosk": 30_00, "awaited": 0, "position": 0}
    check_books(ctx)


def test_the_same_again_is_the_first_answer_and_another_of_its_id_is_refused(ctx: Context) -> None:
    open_town(ctx)
    first = made(ctx, asks(30_00, n=1))
    payments.refund(ctx, first.payment_id, refund_id=new_id(), by=BANK, minor=5_00)

    again, other, both = payments.create(ctx, [asks(30_00, n=1), asks(31_00, n=1), asks(30_00, n=1)])

    assert isinstance(again, payments.Payment) and again.is_replay
    assert again.step == first.step
    assert isinstance(other, payments.PaymentDiffers)
    assert isinstance(both, payments.Payment) and both.is_replay
    assert owed(ctx)["tea"] == 25_00


def test_of_two_for_the_money_of_one_the_other_fails_and_its_limits_are_given_back(ctx: Context) -> None:
    open_town(ctx, money=50_00)

    answers = payments.create(ctx, [asks(30_00, n=1), asks(30_00, n=2)])

    assert [one.state for one in answers if isinstance(one, payments.Payment)] == ["captured", "failed"]
    failed = answers[1]
    assert isinstance(failed, payments.Payment) and failed.step is not None
    assert failed.step.reason == payments.InsufficientFunds.code
    with ctx.tx() as tx:
        assert tx.execute("select count(*) from approval.uses where given_back_at is null").fetchone() == (1,)
    assert told(ctx) == ["payment.captured", "payment.failed"]
    check_books(ctx)


@pytest.mark.parametrize(
    ("new", "error"),
    [
        (asks(0), InvalidInput),
        (asks(10**12 + 1), InvalidInput),
        (asks(1, quote_id=new_id()), InvalidInput),
        (asks(1, method="mandate"), InvalidInput),
        (asks(1, mandate_id=new_id()), InvalidInput),
        (asks(1, method="connector", connector=""), InvalidInput),
        (asks(1, reference="x" * 101), InvalidInput),
        (asks(1, description="\0"), InvalidInput),
        (asks(1, payee_id="nobody"), payments.UnknownPayeeId),
        (asks(1, acquirer_id=CARD), payments.UnknownPayeeId),
        (asks(1, payee_id=CANADIAN), payments.WrongPayeeCurrency),
        (asks(1, payer=person("stranger")), identity.UnknownAccount),
    ],
)
def test_what_cannot_be_taken_is_refused_and_nothing_is_kept(
    ctx: Context, new: payments.NewPayment, error: type[HansaError]
) -> None:
    open_town(ctx)

    refused, paid = payments.create(ctx, [new, asks(1, n="beside it")])

    assert type(refused) is error
    assert isinstance(paid, payments.Payment) and paid.state == "captured"
    with ctx.tx() as tx:
        assert len(payments.list_payments(tx)) == 1
    check_books(ctx)


def test_a_paused_payee_takes_nothing_and_a_suspended_acquirer_neither(ctx: Context) -> None:
    open_town(ctx)
    with ctx.tx() as tx:
        payments.set_payee_status(tx, "tea-house", "paused")

    with pytest.raises(payments.UnknownPayeeId):
        made(ctx, asks(1))
    assert owed(ctx)["tea"] == 0


def test_a_payer_without_a_wallet_in_the_payees_currency_fails_and_is_told_of_quotes(ctx: Context) -> None:
    open_town(ctx)

    one = made(ctx, asks(1, payee_id=CANADIAN, amount=Money(1, "CAD")))

    assert one.step is not None and one.state == "failed"
    assert one.step.reason in (payments.NoWallet.code, approval.UnratedCurrency.code)
    check_books(ctx)


# --- held, captured in parts, given back


def test_money_is_held_then_captured_in_parts_and_the_rest_is_voided(ctx: Context) -> None:
    open_town(ctx)
    one = made(ctx, asks(60_00, capture="manual"))
    assert (one.state, held(ctx)) == ("authorized", (100_00, 60_00))
    with ctx.tx() as tx:
        assert [hold.amount for hold in payments.holds_of(tx, ANN)] == [Money(60_00, "CNY")]

    first = payments.capture(ctx, one.payment_id, capture_id=_id(1), by=BANK, minor=20_00, final=False)
    again = payments.capture(ctx, one.payment_id, capture_id=_id(1), by=BANK, minor=20_00, final=False)
    second = payments.capture(ctx, one.payment_id, capture_id=_id(2), by=BANK, minor=15_00, final=False)

    assert (first.captured_minor, first.held_minor, again.step == first.step) == (20_00, 40_00, True)
    assert (second.captured_minor, second.held_minor) == (35_00, 25_00)
    assert held(ctx) == (65_00, 25_00)
    with pytest.raises(payments.MoreThanHeld):
        payments.capture(ctx, one.payment_id, capture_id=_id(3), by=BANK, minor=25_01)
    check_books(ctx)

    rest = payments.void(ctx, one.payment_id, by=BANK)

    assert (rest.state, rest.held_minor, rest.captured_minor) == ("captured", 0, 35_00)
    assert payments.void(ctx, one.payment_id, by=BANK).step == rest.step
    assert held(ctx) == (65_00, 0)
    assert owed(ctx) == {"tea": 35_00, "kiosk": 0, "awaited": 35_00, "position": 35_00}
    check_books(ctx)


def test_a_final_capture_gives_the_rest_back_at_once(ctx: Context) -> None:
    open_town(ctx)
    one = made(ctx, asks(60_00, capture="manual", payee_id=KIOSK))

    one = payments.capture(ctx, one.payment_id, capture_id=_id(1), by=CARD, minor=10_00)

    assert (one.state, one.captured_minor, one.held_minor, held(ctx)) == ("captured", 10_00, 0, (90_00, 0))
    with pytest.raises(payments.MoreThanHeld):
        payments.capture(ctx, one.payment_id, capture_id=_id(2), by=CARD)
    check_books(ctx)


def test_a_hold_is_voided_or_ends_by_itself(ctx: Context) -> None:
    open_town(ctx)
    one, other = made(ctx, asks(60_00, n=1, capture="manual")), made(ctx, asks(30_00, n=2, capture="manual"))

    assert payments.void(ctx, one.payment_id, by=BANK).state == "voided"
    assert held(ctx) == (100_00, 30_00)
    pass_time(ctx, days=7, minutes=1)
    assert payments.turn(ctx) == 1
    assert payments.turn(ctx) == 0

    assert as_it_stands(ctx, other.payment_id).state == "expired"
    assert held(ctx) == (100_00, 0)
    with pytest.raises(StateForbids):
        payments.capture(ctx, other.payment_id, capture_id=_id(1), by=BANK)
    with ctx.tx() as tx:
        assert tx.execute("select count(*) from approval.uses where given_back_at is null").fetchone() == (0,)
    check_books(ctx)


def test_a_hold_that_the_ledger_let_go_first_is_told_as_expired(ctx: Context) -> None:
    open_town(ctx)
    one = made(ctx, asks(60_00, capture="manual"))
    pass_time(ctx, days=8)

    one = payments.capture(ctx, one.payment_id, capture_id=_id(1), by=BANK)

    assert (one.state, one.captured_minor, held(ctx)) == ("expired", 0, (100_00, 0))
    check_books(ctx)


def test_nothing_is_given_back_into_a_wallet_that_nobody_will_open(ctx: Context) -> None:
    open_town(ctx, money=60_00)
    one = made(ctx, asks(60_00))
    before = payments.refund(ctx, one.payment_id, refund_id=_id(1), by=BANK, minor=20_00)
    with ctx.tx() as tx:
        identity.ask_deletion(tx, _id(9), ANN, ctx.clock.now())
        assert identity.close_account(tx, ANN, at=ctx.clock.now(), erase_at=ctx.clock.now())
    events = told(ctx)

    with pytest.raises(payments.PayerGone):
        payments.refund(ctx, one.payment_id, refund_id=_id(2), by=BANK)

    assert as_it_stands(ctx, one.payment_id).refunded_minor == 20_00
    assert payments.refund(ctx, one.payment_id, refund_id=_id(1), by=BANK, minor=20_00) == before
    assert (held(ctx), told(ctx)) == ((20_00, 0), events)
    check_books(ctx)


def test_refunds_in_parts_never_pass_what_was_captured(ctx: Context) -> None:
    open_town(ctx)
    one = made(ctx, asks(60_00))

    first = payments.refund(ctx, one.payment_id, refund_id=_id(1), by=BANK, minor=20_00, reason="cold tea")
    again = payments.refund(ctx, one.payment_id, refund_id=_id(1), by=BANK, minor=20_00, reason="cold tea")
    with pytest.raises(payments.MoreThanCaptured):
        payments.refund(ctx, one.payment_id, refund_id=_id(2), by=BANK, minor=40_01)
    pass_time(ctx, seconds=1)
    rest = payments.refund(ctx, one.payment_id, refund_id=_id(3), by=BANK)
    with pytest.raises(payments.MoreThanCaptured):
        payments.refund(ctx, one.payment_id, refund_id=_id(4), by=BANK, minor=1)

    assert (first, first.state, rest.amount.minor) == (again, "settled", 40_00)
    assert (held(ctx), owed(ctx)["tea"], owed(ctx)["position"]) == ((100_00, 0), 0, 0)
    assert told(ctx) == ["payment.captured", "refund.settled", "refund.settled"]
    with ctx.tx() as tx:
        found = payments.refunds_of(tx, as_it_stands(ctx, one.payment_id))
        assert [refund.amount.minor for refund in found] == [20_00, 40_00]
        assert payments.list_refunds(tx, payee_id="tea-house") == found[::-1]
    check_books(ctx)


def test_a_wallets_statement_tells_payments_and_refunds_with_what_each_left(ctx: Context) -> None:
    open_town(ctx)
    pass_time(ctx, minutes=1)
    one = made(ctx, asks(30_00, n=1))
    pass_time(ctx, minutes=1)
    other = made(ctx, asks(20_00, n=2, capture="manual"))
    payments.capture(ctx, other.payment_id, capture_id=_id(1), by=BANK, minor=5_00)
    pass_time(ctx, minutes=1)
    payments.refund(ctx, one.payment_id, refund_id=_id(2), by=BANK, minor=10_00)

    with ctx.tx() as tx:
        lines = payments.movements(tx, ANN)
        older = payments.movements(tx, ANN, before=lines[1].mark)

    assert [(line.kind.value, line.amount.minor, line.balance.minor) for line in lines] == [
        ("refund", 10_00, 75_00),
        ("payment", -5_00, 65_00),
        ("payment", -30_00, 70_00),
        ("top_up", 100_00, 100_00),
    ]
    assert older == lines[2:]
    assert lines[0].reference == one.payment_id


@pytest.mark.parametrize("minor", [0, -1])
def test_an_amount_that_is_none_is_refused(ctx: Context, minor: int) -> None:
    open_town(ctx)
    one = made(ctx, asks(60_00))

    with pytest.raises(InvalidInput):
        payments.refund(ctx, one.payment_id, refund_id=_id(1), by=BANK, minor=minor)
    with pytest.raises(InvalidInput):
        payments.capture(ctx, one.payment_id, capture_id=_id(1), by=BANK, minor=minor)
    assert owed(ctx)["tea"] == 60_00


# --- approved by the payer


def test_a_payment_that_policy_wants_approved_is_paid_once_it_is(ctx: Context) -> None:
    open_town(ctx)
    ann = join(ctx, ANN)
    one = made(ctx, asks(30_00, method="wallet"))
    assert (one.state, held(ctx)) == ("requires_approval", (100_00, 0))
    assert payments.advance(ctx, one.payment_id).state == "requires_approval"

    with ctx.tx() as tx:
        (asked,) = approval.list_open(tx, ANN, ctx.clock.now())
    assert asked.subject_id == one.spend_id
    ann.approve(asked)
    payments.advance_spend(ctx, one.spend_id)
    payments.advance_spend(ctx, one.spend_id)

    assert words(ctx, one.payment_id) == ["requires_approval", "processing", "captured"]
    assert (held(ctx), owed(ctx)["tea"]) == ((70_00, 0), 30_00)
    assert told(ctx) == ["payment.requires_approval", "payment.captured"]
    check_books(ctx)


@pytest.mark.parametrize("how", ["refused", "canceled", "expired"])
def test_a_payment_that_is_not_approved_moves_nothing(ctx: Context, how: str) -> None:
    open_town(ctx)
    one = made(ctx, asks(30_00, method="wallet"))
    with ctx.tx() as tx:
        (asked,) = approval.list_open(tx, ANN, ctx.clock.now())

    if how == "refused":
        approval.refuse(ctx, asked.approval_id, ANN)
        payments.advance_spend(ctx, one.spend_id)
    elif how == "canceled":
        payments.cancel(ctx, one.payment_id, by=BANK)
    else:
        pass_time(ctx, hours=2)
        payments.turn(ctx)

    assert as_it_stands(ctx, one.payment_id).state == {"refused": "failed"}.get(how, how)
    with ctx.tx() as tx:
        assert approval.list_open(tx, ANN, ctx.clock.now()) == []
    assert held(ctx) == (100_00, 0)
    check_books(ctx)


# --- offers


def test_whoever_comes_may_pay_an_offer_once(ctx: Context) -> None:
    open_town(ctx)
    now = ctx.clock.now()
    join(ctx, ANN)
    one = made(ctx, asks(1_00, payer=None))
    assert one.state == "created"

    ann = payments.pay(ctx, one.payment_id, ANN, by="ann", session_at=now)
    with pytest.raises(payments.NotThePayer):
        payments.pay(ctx, one.payment_id, BEN, by="ben", session_at=now)

    assert payments.pay(ctx, one.payment_id, ANN, by="ann", session_at=now).step == ann.step
    assert ann.state in ("captured", "requires_approval")
    check_books(ctx)


def test_an_offer_that_a_payer_cannot_pay_waits_for_another_try(ctx: Context) -> None:
    open_town(ctx, money=10_00)
    ann = join(ctx, ANN)
    ben = join(ctx, BEN)
    one = made(ctx, asks(30_00, payer=None))

    payments.pay(ctx, one.payment_id, ANN, by="ann")
    with ctx.tx() as tx:
        ann.approve(approval.list_open(tx, ANN, ctx.clock.now())[0])
    assert payments.advance(ctx, one.payment_id).state == "created"
    payments.top_up(
        ctx, [payments.TopUp(new_id(), BEN, trust.MemberId(CARD), Money(50_00, "CNY"), ctx.clock.now())]
    )
    second = payments.pay(ctx, one.payment_id, BEN, by="ben")
    with ctx.tx() as tx:
        ben.approve(approval.list_open(tx, BEN, ctx.clock.now())[0])
    payments.advance_spend(ctx, second.spend_id)

    done = as_it_stands(ctx, one.payment_id)
    assert (done.state, done.payer is not None and done.payer.attempt) == ("captured", 2)
    assert (held(ctx, ANN), held(ctx, BEN)) == ((10_00, 0), (30_00, 0))
    with ctx.tx() as tx:
        assert [one.account_id for one in payments.payers_of(tx, done)] == [ANN, BEN]
        assert payments.list_payments(tx, payer=BEN) == [done]
        assert payments.list_payments(tx, payee_id="tea-house") == [done]
    check_books(ctx)


def test_an_offer_ends(ctx: Context) -> None:
    open_town(ctx)
    one, other = made(ctx, asks(1, n=1, payer=None)), made(ctx, asks(1, n=2, payer=None))

    payments.cancel(ctx, one.payment_id, by=BANK)
    pass_time(ctx, hours=1)
    with pytest.raises(StateForbids):
        payments.pay(ctx, other.payment_id, ANN, by="ann")
    payments.turn(ctx)

    assert as_it_stands(ctx, one.payment_id).state == "canceled"
    assert as_it_stands(ctx, other.payment_id).state == "expired"
    with pytest.raises(StateForbids):
        payments.pay(ctx, one.payment_id, ANN, by="ann")
    with pytest.raises(payments.UnknownPayment):
        payments.pay(ctx, new_id(), ANN, by="ann")
    assert told(ctx) == ["payment.created", "payment.created", "payment.canceled", "payment.expired"]


# --- from outside


def outside(ctx: Context, *says: Heard) -> tuple[UUID, Any, SimulatedConnector]:
    """A payment by a connector that says these, a way to go on with it, and the connector."""
    open_town(ctx)
    one = made(ctx, asks(30_00, payer=None, method="connector", connector="card"))
    card = SimulatedConnector({one.payment_id: list(says)} if says else {})
    return one.payment_id, lambda: payments.advance(ctx, one.payment_id, connectors={"card": card}), card


def test_a_connector_that_says_yes_pays_once_however_often_it_is_heard(ctx: Context) -> None:
    payment_id, go_on, card = outside(ctx)

    states = [go_on().state for _ in range(3)]

    assert states == ["captured"] * 3
    assert (owed(ctx)["tea"], card.taken, card.given_back) == (30_00, {payment_id: 30_00}, {})
    check_books(ctx)


@pytest.mark.parametrize(
    ("says", "states"),
    [
        ((Heard.PENDING, Heard.SUCCEEDED), ["processing", "captured"]),
        ((Heard.SILENT, Heard.SILENT, Heard.SUCCEEDED), ["unknown", "unknown", "captured"]),
        ((Heard.SILENT, Heard.REFUSED, Heard.REFUSED), ["unknown", "failed", "failed"]),
        ((Heard.REFUSED, Heard.SUCCEEDED, Heard.SUCCEEDED), ["failed", "reversed", "reversed"]),
    ],
)
def test_slow_unclear_and_reordered_answers_come_to_one_end(
    ctx: Context, says: tuple[Heard, ...], states: list[str]
) -> None:
    payment_id, go_on, card = outside(ctx, *says)

    assert [go_on().state for _ in says] == states

    is_paid = states[-1] == "captured"
    assert owed(ctx)["tea"] == (30_00 if is_paid else 0)
    if states[-1] == "reversed":
        assert sum(card.given_back[payment_id].values()) == card.taken[payment_id]
    check_books(ctx)


def test_success_after_a_cancel_goes_back_by_itself_once(ctx: Context) -> None:
    payment_id, go_on, card = outside(ctx, Heard.PENDING, Heard.SUCCEEDED)
    go_on()
    payments.cancel(ctx, payment_id, by=BANK)

    assert [go_on().state for _ in range(3)] == ["reversed"] * 3

    assert (owed(ctx)["tea"], list(card.given_back[payment_id].values())) == (0, [30_00])
    assert words(ctx, payment_id) == ["processing", "canceled", "reversed"]
    check_books(ctx)


def test_what_stays_unclear_for_a_day_is_reversed_by_the_worker(ctx: Context) -> None:
    payment_id, _, card = outside(ctx, Heard.SILENT)
    for _ in range(40):
        payments.turn(ctx, connectors={"card": card})
        pass_time(ctx, hours=1)

    assert words(ctx, payment_id) == ["processing", "unknown", "reversed"]
    assert list(card.given_back[payment_id].values()) == [30_00]
    check_books(ctx)


def test_a_refund_goes_back_to_where_the_money_came_from(ctx: Context) -> None:
    payment_id, go_on, card = outside(ctx)
    go_on()

    waits = payments.refund(ctx, payment_id, refund_id=_id(1), by=BANK, minor=10_00)
    assert waits.state == "pending"  # whoever asked has no connector at hand: the worker has
    pass_time(ctx, minutes=1)
    payments.turn(ctx, connectors={"card": card})

    with ctx.tx() as tx:
        assert payments.get_refund(ctx, tx, _id(1)).state == "settled"
    assert card.given_back[payment_id] == {_id(1): 10_00}
    assert owed(ctx)["tea"] == 20_00
    check_books(ctx)


def _id(n: int) -> UUID:
    return fact_id(None, "test payment life", n)
