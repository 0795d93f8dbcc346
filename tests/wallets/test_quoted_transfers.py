"""Money sent by a quote: what was locked leaves and arrives, over every way, through every kill; or all comes back."""

import threading
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction

import pytest

from hansa import approval, payments
from hansa.identity import ProofLevel
from hansa.kernel import FixedClock, InvalidInput, Money, fact_id
from hansa.ledger import AccountCode
from hansa.store import Context
from hansa.wallets import model, transfers
from hansa.wallets.model import NewTransfer, State
from identity.levels import set_level
from scratch import NOON
from wallets.people import ISSUERS, Killed, held, killed_after, open_people, person, spread, sum_of
from wallets.test_transfers import close_wallet, new

GETS = Money(1_980, "JPY")
"""What ¥100.00 less ¥1.00 is at 20 yen for a yuan."""


def abroad(ctx: Context, count: int = 4) -> Context:
    """People in three partitions with ¥1,000.00 each, whose issuers change yuan into yen at no margin, for ¥1.00."""
    ctx = spread(replace(ctx, clock=FixedClock(NOON)))
    open_people(ctx, count, minor=1_000_00)
    with ctx.tx() as tx:
        payments.set_rates(tx, NOON.date(), [("CNY", "JPY", Fraction(20))])
        for issuer in ISSUERS:
            terms = payments.Terms(margin_bp=0, fee_minor=1_00)
            payments.set_terms(tx, issuer, "CNY", "", terms, at=NOON, by="issuer")
    return ctx


def quoted(
    ctx: Context, number: int, sender: int, receiver: int | None, *, named: bool = True
) -> tuple[payments.Quote, NewTransfer]:
    """A quote for ¥100.00 in all, and the transfer that uses it."""
    to = "" if receiver is None or not named else f"account:{person(receiver).account_id}"
    quote = payments.make_quote(
        ctx,
        payments.NewQuote(
            quote_id=fact_id(NOON, "quote", number),
            account_id=person(sender).account_id,
            pays=Money(100_00, "CNY"),
            gets="JPY",
            payee_key=to,
            by="test",
        ),
    )
    assert (quote.gets, quote.fee) == (GETS, Money(1_00, "CNY"))
    return quote, replace(new(number, sender, receiver), amount=GETS, quote_id=quote.quote_id)


def check(ctx: Context, count: int, *, sent: int) -> None:
    """What left wallets is on exchange accounts and fees, what arrived came from them, nothing is on its way."""
    assert sum_of(ctx, AccountCode.TRANSIT) == 0
    assert sum(held(ctx, person(n)) for n in range(count)) == count * 1_000_00 - sent * 100_00
    assert sum(held(ctx, person(n), "JPY") for n in range(count)) == sent * GETS.minor
    assert sum_of(ctx, AccountCode.POSITION) == sum_of(ctx, AccountCode.RECEIVABLE, credit=False)
    assert sum_of(ctx, AccountCode.EARNED) == sent * 1_00
    assert sum_of(ctx, AccountCode.EXCHANGE) == sent * (99_00 - GETS.minor)


@pytest.mark.parametrize("receiver", [1, 2, 3, 4])
def test_what_was_locked_leaves_and_arrives_through_a_kill_at_any_step(
    ctx: Context, allowed: None, receiver: int
) -> None:
    ctx = abroad(ctx, 5)
    for number, steps in enumerate(range(6)):
        _, asked = quoted(ctx, number, 0, receiver)
        try:
            transfers.send(ctx, asked, step=killed_after(steps))
        except Killed:
            transfers.finish(ctx)

        sent = transfers.send(ctx, asked)
        assert (sent.state, sent.amount, sent.pays) == (State.SETTLED, GETS, Money(100_00, "CNY"))
        check(ctx, 5, sent=number + 1)
    home = ctx.directory.partition_of(person(0).account_id)
    with ctx.tx() as tx:
        lines = payments.movements(tx, person(0).account_id, partition=home)
    assert [one.amount.minor for one in lines if one.kind == "sent"] == [-100_00] * 6


@pytest.mark.parametrize("receiver", [1, 2, 3, 4])
@pytest.mark.parametrize("steps", [0, 2, 4, 6])
def test_what_a_closed_wallet_refuses_comes_back_with_its_fee(
    ctx: Context, allowed: None, receiver: int, steps: int
) -> None:
    ctx = abroad(ctx, 5)
    payments.open_member_accounts(ctx, [person(receiver).issuer_id], ["JPY"])
    payments.open_wallets(ctx, [(person(receiver), "JPY")])
    close_wallet(ctx, receiver, "JPY")
    _, asked = quoted(ctx, 1, 0, receiver)

    try:
        transfers.send(ctx, asked, step=killed_after(steps))
    except Killed:
        transfers.finish(ctx)

    assert transfers.send(ctx, asked).state in (State.RETURNED, State.FAILED)
    check(ctx, 5, sent=0)


def test_quotes_that_do_not_fit_are_refused_and_nothing_changes(ctx: Context, allowed: None) -> None:
    ctx = abroad(ctx)
    quote, asked = quoted(ctx, 1, 0, 1)
    _, used = quoted(ctx, 2, 0, 1)
    transfers.send(ctx, used)
    for one, error in (
        (replace(asked, receiver_id=person(2).account_id), payments.QuoteDiffers),
        (replace(asked, amount=Money(1_981, "JPY")), payments.QuoteDiffers),
        (replace(asked, sender_id=person(3).account_id), payments.UnknownQuote),
        (replace(asked, receiver_id=None), InvalidInput),
        (replace(asked, quote_id=None), InvalidInput),  # there is no wallet in yen
        (replace(asked, quote_id=used.quote_id), payments.QuoteUsed),
        (replace(used, note="another"), model.TransferDiffers),
    ):
        with pytest.raises(error):
            transfers.send(ctx, one)
        check(ctx, 4, sent=1)
    with ctx.tx() as tx:
        assert payments.get_quote(ctx, tx, quote.quote_id).used_for is None

    assert isinstance(ctx.clock, FixedClock)
    ctx.clock.at = quote.expires_at
    with pytest.raises(payments.QuoteExpired):
        transfers.send(ctx, asked)
    assert transfers.send(ctx, used).state is State.SETTLED  # what was done by a quote outlives it
    check(ctx, 4, sent=1)


def test_too_little_for_what_a_quote_asks_sends_nothing_and_leaves_the_quote(
    ctx: Context, allowed: None
) -> None:
    ctx = abroad(ctx)
    with ctx.tx() as tx:
        set_level(tx, person(1).account_id, ProofLevel.CONTACT)
    for number in range(9):
        transfers.send(ctx, quoted(ctx, number, 0, 1)[1])
    transfers.send(ctx, replace(new(50, 0, 1), amount=Money(1, "CNY")))
    quote, asked = quoted(ctx, 60, 0, 1)

    with pytest.raises(model.InsufficientFunds):
        transfers.send(ctx, asked)

    with ctx.tx() as tx:
        assert payments.get_quote(ctx, tx, quote.quote_id).used_for is None
    assert held(ctx, person(0)) == 99_99


def test_of_many_transfers_by_one_quote_one_is_sent(committed_ctx: Context, allowed: None) -> None:
    ctx = abroad(committed_ctx)
    quote, asked = quoted(ctx, 1, 0, 1, named=False)
    outcomes: list[object] = []
    start = threading.Barrier(6)

    def race(number: int) -> None:
        start.wait()
        one = replace(
            asked, transfer_id=fact_id(NOON, "race", number), receiver_id=person(1 + number % 3).account_id
        )
        try:
            outcomes.append(transfers.send(ctx, one).state)
        except payments.QuoteUsed:
            outcomes.append("used")

    threads = [threading.Thread(target=race, args=(n,)) for n in range(6)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

    assert sorted(map(str, outcomes)) == sorted([str(State.SETTLED), *["used"] * 5])
    with ctx.tx() as tx:
        assert payments.get_quote(ctx, tx, quote.quote_id).used_for is not None
    check(ctx, 4, sent=1)


def test_both_amounts_rate_and_end_are_shown_before_approval_which_ends_with_the_quote(ctx: Context) -> None:
    ctx = abroad(ctx)
    quote, asked = quoted(ctx, 1, 0, 1)

    waits = transfers.send(ctx, asked)

    assert (waits.state, waits.expires_at) == (State.REQUIRES_APPROVAL, quote.expires_at)
    with ctx.tx() as tx:
        (one,) = approval.list_open(tx, person(0).account_id, NOON)
    shown = approval.read_subject(one.canonical)
    assert (shown.amount, one.expires_at) == (Money(100_00, "CNY"), quote.expires_at)
    assert shown.details == quote.shown
    assert shown.details["They get"] == str(GETS)
    assert isinstance(ctx.clock, FixedClock)
    ctx.clock.at = quote.expires_at + timedelta(seconds=1)
    approval.turn(ctx)
    transfers.finish(ctx)
    assert transfers.send(ctx, asked).state is State.EXPIRED
    check(ctx, 4, sent=0)
