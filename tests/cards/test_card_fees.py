"""What cards cost: paid once, whatever is killed; deposits that come back; lost cards; notices before the last day."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction
from itertools import count
from typing import Any
from uuid import UUID

import pytest

from approval.approving import join
from cards.test_cards import ISSUER, OTHER, class_of, rider, sealer
from hansa import approval, cards, clearing, identity, ledger, payments, trust
from hansa.apps.personal_data import obstacles
from hansa.cards import by_payment, fees
from hansa.cards.actions import STANDARD
from hansa.identity import AccountId, ProofLevel, Sealer
from hansa.kernel import InvalidInput, Money, fact_id
from hansa.ledger.store import list_accounts
from hansa.store import Context
from notifications.hearing import heard

__all__ = ["sealer"]

CHILD = replace(
    STANDARD[1], product_id="paid", issuer_id=ISSUER, city_id="hangzhou", max_age=None, min_level=ProofLevel.NONE,
    price_minor=5_00, deposit_minor=20_00, currency="CNY",
)  # fmt: skip


class Killed(Exception):
    """The process ended here."""


def dies_at(nth: int) -> Callable[[str], None]:
    steps = count(1)

    def step(_: str) -> None:
        if next(steps) == nth:
            raise Killed

    return step


@pytest.fixture
def ann(ctx: Context, sealer: Sealer) -> AccountId:
    """A rider with ¥100, whose issuer offers a card for ¥5 with a deposit of ¥20."""
    account_id = rider(ctx, 50)
    payments.open_member_accounts(ctx, [ISSUER], ["CNY"])
    cards.own_cards(ctx, sealer, account_id)
    with ctx.tx() as tx:
        account = identity.get_account(tx, account_id)
        cards.offer(tx, CHILD, by="me", at=ctx.clock.now())
    payments.open_wallets(ctx, [(account, "CNY")])
    brought = payments.TopUp(
        fact_id(None, "fee money"), account_id, trust.MemberId(ISSUER), Money(100_00, "CNY"), ctx.clock.now()
    )
    payments.top_up(ctx, [brought])
    return account_id


def applied(ctx: Context, sealer: Sealer, account_id: AccountId, name: str = "fee card") -> cards.Card:
    return cards.apply(ctx, sealer, account_id, fact_id(None, name), "paid")


def books(ctx: Context, account_id: AccountId) -> tuple[int, int, int, int]:
    """What the wallet holds, what the issuer earned and owes for deposits, and its cash."""
    partition = ctx.directory.partition_of(account_id)
    accounts = [
        payments.wallet_id(account_id, "CNY"),
        clearing.earned_account(ISSUER, "CNY", partition),
        cards.deposit_account(ISSUER, "CNY", partition),
        payments.cash_account(ISSUER, "CNY", partition),
    ]
    with ctx.tx() as tx:
        assert ledger.trial_balance(tx).is_even
        open_ones = [one.account_id for one in list_accounts(tx, accounts)]
        held = ledger.balances(tx, open_ones)
    found = [held[one].credit_minor if one in held else 0 for one in accounts]
    return found[0], found[1], found[2], -found[3]


def in_the_way(ctx: Context, account_id: AccountId) -> set[str]:
    """What keeps this account from being deleted."""
    with ctx.tx() as tx:
        account = identity.get_account(tx, account_id)
        return {one.code for one in obstacles(tx, account, partition=0)}


def test_a_card_is_in_force_once_it_is_paid_and_its_deposit_comes_back(
    ctx: Context, sealer: Sealer, ann: AccountId
) -> None:
    card = applied(ctx, sealer, ann)
    with ctx.tx() as tx:
        assert (card.state, cards.number_of(tx, sealer, card), class_of(ctx, ann)) == (
            "applied",
            None,
            "adult",
        )
    with pytest.raises(cards.UnknownCard):
        cards.pay(ctx, rider(ctx, 51), card.card_id, session_at=ctx.clock.now())
    with pytest.raises(cards.NoDeposit):
        cards.hand_in(ctx, [ISSUER], card.card_id, to="wallet", by="desk:ann")

    paid = cards.pay(ctx, ann, card.card_id, session_at=ctx.clock.now())
    again = cards.pay(ctx, ann, card.card_id, session_at=ctx.clock.now())

    assert paid == again and paid.fee is not None and (paid.fee.state, paid.fee.deposit) == ("paid", "held")
    assert (paid.state, class_of(ctx, ann), books(ctx, ann)) == (
        "active",
        "child",
        (75_00, 5_00, 20_00, 100_00),
    )
    with pytest.raises(cards.FeeMoved):
        cards.take_at_counter(ctx, [ISSUER], card.card_id, by="desk:ann")
    with pytest.raises(cards.UnknownCard):
        cards.hand_in(ctx, [OTHER], card.card_id, to="wallet", by="desk:ben")

    assert "deposit" in in_the_way(ctx, ann)
    cards.hand_in(ctx, [ISSUER], card.card_id, to="wallet", by="desk:ann")
    assert "deposit" not in in_the_way(ctx, ann)
    back = cards.hand_in(ctx, [ISSUER], card.card_id, to="counter", by="desk:ann")

    assert back.fee is not None and (back.state, back.fee.deposit, back.fee.deposit_to) == (
        "ended",
        "returned",
        "wallet",
    )
    assert (class_of(ctx, ann), books(ctx, ann)) == ("adult", (95_00, 5_00, 0, 100_00))
    assert sorted(heard(ctx, ann)) == [
        "The deposit of ¥20.00 for your Child card came back.",
        "You may have your Child card. It is in force once ¥25.00 is paid.",
        "Your Child card is good no more.",
        "Your Child card is in force until Fri 17 Nov 2028.",
    ]


def test_at_a_counter_it_is_paid_in_cash_and_what_nobody_fetches_is_the_issuers(
    ctx: Context, sealer: Sealer, ann: AccountId
) -> None:
    card = applied(ctx, sealer, ann)

    for _ in range(2):
        card = cards.take_at_counter(ctx, [ISSUER], card.card_id, by="desk:ann")
    assert (card.state, books(ctx, ann)) == ("active", (100_00, 5_00, 20_00, 125_00))

    cards.end_own(ctx, ann, card.card_id, reason="unwanted")
    ctx.clock.at += fees.DEPOSIT_KEPT - timedelta(days=1)  # type: ignore[attr-defined]
    assert fees.finish(ctx) == 0
    ctx.clock.at += timedelta(days=2)  # type: ignore[attr-defined]
    assert fees.finish(ctx) == 1 and fees.finish(ctx) == 0
    assert books(ctx, ann) == (100_00, 25_00, 0, 125_00)
    with pytest.raises(cards.NoDeposit):
        cards.hand_in(ctx, [ISSUER], card.card_id, to="counter", by="desk:ann")


@pytest.mark.parametrize("nth", [1, 2, 3])
@pytest.mark.parametrize("till", ["wallet", "counter"])
def test_killed_anywhere_it_is_paid_and_given_back_once(
    ctx: Context, sealer: Sealer, ann: AccountId, nth: int, till: cards.Till
) -> None:
    card_id = applied(ctx, sealer, ann).card_id

    def paid(step: payments.Step) -> cards.Card:
        if till == "wallet":
            return cards.pay(ctx, ann, card_id, session_at=ctx.clock.now(), step=step)
        return cards.take_at_counter(ctx, [ISSUER], card_id, by="desk:ann", step=step)

    with pytest.raises(Killed):
        paid(dies_at(nth))
    cards.turn(ctx)
    with ctx.tx() as tx:
        assert cards.get_card(tx, [ISSUER], card_id).state == "active"
    with pytest.raises(Killed):
        cards.hand_in(ctx, [ISSUER], card_id, to=till, by="desk:ann", step=dies_at(nth))
    cards.turn(ctx)

    cash = 100_00 if till == "wallet" else 105_00
    assert books(ctx, ann) == (95_00 if till == "wallet" else 100_00, 5_00, 0, cash)


def test_what_cannot_be_paid_moves_nothing_and_can_be_tried_again(
    ctx: Context, sealer: Sealer, ann: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = applied(ctx, sealer, ann)
    before = books(ctx, ann)
    approval.freeze(ctx, ann, by="owner")
    with pytest.raises(approval.SpendingFrozen):
        cards.pay(ctx, ann, card.card_id, session_at=ctx.clock.now())
    approval.unfreeze(ctx, ann, by="owner")

    # What the wallet held when it was asked is gone when it is booked: another took it between.
    def not_checked(*_: object, **_more: Any) -> None:
        """What is held is not looked at."""

    monkeypatch.setattr(fees, "_check", not_checked)
    spent = ledger.Transfer(
        ledger.TransferId(fact_id(None, "spent")), payments.wallet_id(ann, "CNY"),
        payments.cash_account(ISSUER, "CNY"), 90_00, "CNY", ledger.TransferCode.WITHDRAWAL, ctx.clock.now(),
    )  # fmt: skip
    assert ledger.post(ctx, [spent])[0].ok

    refused = cards.pay(ctx, ann, card.card_id, session_at=ctx.clock.now())

    assert refused.fee is not None and (refused.state, refused.fee.state, refused.fee.attempt) == (
        "applied",
        "due",
        2,
    )
    assert books(ctx, ann) == (before[0] - 90_00, 0, 0, before[3] - 90_00)
    assert ledger.post(ctx, [replace(spent, transfer_id=ledger.TransferId(fact_id(None, "back")),
                                     debit=spent.credit, credit=spent.debit)])[0].ok  # fmt: skip
    assert cards.pay(ctx, ann, card.card_id, session_at=ctx.clock.now()).state == "active"
    monkeypatch.undo()
    with ctx.tx() as tx:
        cards.offer(tx, replace(CHILD, product_id="dear", price_minor=999_00), by="me", at=ctx.clock.now())
        abroad = replace(CHILD, product_id="abroad", issuer_id=OTHER, city_id="toronto", currency="CAD")
        cards.offer(tx, abroad, by="me", at=ctx.clock.now())
        asked = replace(CHILD, product_id="asked", document="A letter")
        cards.offer(tx, asked, by="me", at=ctx.clock.now())
        for wrong in ({"currency": ""}, {"price_minor": -1}, {"deposit_minor": 10**9}):
            with pytest.raises(InvalidInput):
                cards.offer(tx, replace(CHILD, product_id="x", **wrong), by="me", at=ctx.clock.now())  # type: ignore[arg-type]
    held = books(ctx, ann)
    refusals: dict[str, type[Exception]] = {
        "dear": cards.FeeNotCovered,
        "abroad": cards.PaidAtCounter,
        "asked": cards.NotCleared,
    }
    for name, error in refusals.items():
        found = cards.apply(ctx, sealer, ann, fact_id(None, name), name)
        with pytest.raises(error):
            cards.pay(ctx, ann, found.card_id, session_at=ctx.clock.now())
    with pytest.raises(cards.NotCleared):
        cards.take_at_counter(ctx, [ISSUER], fact_id(None, "asked"), by="desk:ann")
    cleared = cards.decide(
        ctx, sealer, [ISSUER], fact_id(None, "asked"), "active", by="desk:ann", reason="saw it"
    )
    assert cleared.state == "applied" and cleared.fee is not None and cleared.fee.cleared
    with pytest.raises(cards.CardMoved):
        cards.decide(ctx, sealer, [ISSUER], cleared.card_id, "active", by="desk:ann", reason="again")
    assert books(ctx, ann) == held
    ctx.clock.at += fees.UNPAID_LASTS + timedelta(days=1)  # type: ignore[attr-defined]
    cards.turn(ctx)
    with ctx.tx() as tx:
        states = Counter(one.state for one in cards.list_own(tx, ann))
    assert states == {"active": 2, "ended": 3} and books(ctx, ann) == held


def test_a_payment_that_needs_approval_waits_for_it_and_one_refused_is_due_again(
    ctx: Context, sealer: Sealer, ann: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = applied(ctx, sealer, ann)
    old = ctx.clock.now() - timedelta(days=2)
    needs = approval.Needs(
        approval.ApprovalLevel.SESSION, (approval.Reason("first", approval.ApprovalLevel.SESSION),)
    )

    def decide(_: object, spends: list[object], __: object) -> list[approval.Verdict]:
        return [needs for _ in spends]

    def state(_: object, ids: list[UUID]) -> dict[UUID, approval.ApprovalState]:
        return {one: next(answers) for one in ids}

    monkeypatch.setattr(approval, "decide", decide)
    answers: Iterator[approval.ApprovalState] = iter(
        [approval.ApprovalState.WAITING, approval.ApprovalState.REFUSED, approval.ApprovalState.GIVEN]
    )
    monkeypatch.setattr(approval, "approval_state", state)
    waiting = cards.pay(ctx, ann, card.card_id, session_at=old)
    assert waiting.fee is not None and waiting.fee.state == "approving" and books(ctx, ann)[0] == 100_00

    cards.go_on(ctx, cards.spend_of(waiting.fee))
    with ctx.tx() as tx:
        due = cards.get_card(tx, [ISSUER], card.card_id)
    assert due.fee is not None and (due.fee.state, due.fee.attempt) == ("due", 2)

    assert cards.pay(ctx, ann, card.card_id, session_at=old).state == "active"
    assert books(ctx, ann) == (75_00, 5_00, 20_00, 100_00)


@pytest.mark.parametrize("nth", [1, 2, 3, 9])
def test_another_issuers_card_is_paid_from_the_wallet_by_one_payment_whatever_is_killed(
    ctx: Context, sealer: Sealer, ann: AccountId, nth: int
) -> None:
    away = replace(CHILD, product_id="away", issuer_id=OTHER, city_id="toronto", rider_class="adult")
    with ctx.tx() as tx:
        cards.offer(tx, away, by="other", at=ctx.clock.now())
        league = trust.MemberId("league")
        trust.add_members(tx, [trust.Member(league, "League", "league", None, league, "league-1")])
    payments.open_member_accounts(ctx, [OTHER], ["CNY"])
    card = cards.apply(ctx, sealer, ann, fact_id(None, "away"), "away")
    before, now = books(ctx, ann)[0], ctx.clock.now()

    with suppress(Killed):
        fees.pay(ctx, ann, card.card_id, session_at=now, step=dies_at(nth))
    cards.turn(ctx)
    paid = approve_payment(ctx, cards.pay(ctx, ann, card.card_id, session_at=now))

    assert paid.fee is not None and (paid.state, paid.fee.way, paid.fee.state) == (
        "active",
        "payment",
        "paid",
    )
    assert cards.turn(ctx) == 0 and cards.pay(ctx, ann, card.card_id, session_at=now) == paid
    partition = ctx.directory.partition_of(ann)
    payee = by_payment.payee_of(OTHER, "CNY")
    with ctx.tx() as tx:
        assert ledger.trial_balance(tx).is_even
        accounts = [
            payments.wallet_id(ann, "CNY"), payments.merchant_account(payee, "CNY", partition),
            clearing.earned_account(OTHER, "CNY", partition), cards.deposit_account(OTHER, "CNY", partition),
        ]  # fmt: skip
        held = ledger.balances(tx, accounts)
        made = payments.list_payments(tx, payee_id=payee)
    assert [held[one].credit_minor for one in accounts] == [before - 25_00, 0, 5_00, 20_00]
    assert [(one.amount.minor, one.reference) for one in made] == [(25_00, str(card.card_id))]


@pytest.mark.parametrize("nth", range(1, 6))
def test_a_card_in_another_currency_is_paid_by_a_quote_once_whatever_is_killed(
    ctx: Context, sealer: Sealer, ann: AccountId, nth: int
) -> None:
    away = replace(
        CHILD, product_id="away", issuer_id=OTHER, city_id="toronto", rider_class="adult", currency="CAD"
    )
    now = ctx.clock.now()
    with ctx.tx() as tx:
        cards.offer(tx, away, by="other", at=now)
        league = trust.MemberId("league")
        trust.add_members(tx, [trust.Member(league, "League", "league", None, league, "league-1")])
        payments.set_rates(tx, now.date(), [("CAD", "CNY", Fraction(3))])
    payments.open_member_accounts(ctx, [OTHER, ISSUER], ["CAD", "CNY"])
    card = cards.apply(ctx, sealer, ann, fact_id(None, "away"), "away")
    before = books(ctx, ann)[0]

    def quoted(name: str, minor: int = 25_00, whose: AccountId = ann) -> payments.Quote:
        new = payments.NewQuote(
            quote_id=fact_id(None, name), account_id=whose, pays="CNY", gets=Money(minor, "CAD"), by="ann",
            payee_key=cards.to_quote(ctx, ann, card.card_id)[2],
        )  # fmt: skip
        return payments.make_quote(ctx, new)

    def pay(quote_id: UUID | None, **more: Any) -> cards.Card:
        return cards.pay(ctx, ann, card.card_id, session_at=now, quote_id=quote_id, **more)

    # Without a quote, with one of another amount, or with none that there is: nothing is paid, and it is due again.
    for quote_id, error in (
        (None, cards.PaidAtCounter),
        (quoted("too little", 24_00).quote_id, payments.QuoteDiffers),
        (fact_id(None, "no quote"), payments.UnknownQuote),
    ):
        with pytest.raises(error):
            pay(quote_id)
        (due,) = [one for one in listed(ctx, card) if one.card_id == card.card_id]
        assert due.fee is not None and (due.fee.state, due.fee.quote_id) == ("due", None)
    assert books(ctx, ann)[0] == before

    quote = quoted("right")
    with suppress(Killed):
        pay(quote.quote_id, step=dies_at(nth))
    cards.turn(ctx)
    paid = approve_payment(ctx, pay(quote.quote_id))

    assert paid.fee is not None and (paid.state, paid.fee.way, paid.fee.state) == (
        "active",
        "payment",
        "paid",
    )
    assert cards.turn(ctx) == 0 and pay(quote.quote_id) == paid
    partition = ctx.directory.partition_of(ann)
    with ctx.tx() as tx:
        assert ledger.trial_balance(tx).is_even
        accounts = [
            payments.wallet_id(ann, "CNY"),
            clearing.earned_account(OTHER, "CAD", partition), cards.deposit_account(OTHER, "CAD", partition),
        ]  # fmt: skip
        held = ledger.balances(tx, accounts)
    assert [held[one].credit_minor for one in accounts] == [before - quote.pays.minor, 5_00, 20_00]


def approve_payment(ctx: Context, card: cards.Card) -> cards.Card:
    """The card, once what its payment waits for is given; as it is where that waits for nothing."""
    assert card.fee is not None
    if card.fee.state != "paying":
        return card
    with ctx.tx() as tx:
        payment = by_payment.find(ctx, tx, card.fee)
        (asked,) = approval.list_open(tx, AccountId(card.account_id), ctx.clock.now())
    assert payment is not None and payment.state.value == "requires_approval"
    assert join(ctx, AccountId(card.account_id)).approve(asked).given
    payments.advance_spend(ctx, payment.spend_id)
    cards.turn(ctx)
    return next(one for one in listed(ctx, card) if one.card_id == card.card_id)


def listed(ctx: Context, card: cards.Card) -> list[cards.Card]:
    with ctx.tx() as tx:
        return cards.list_own(tx, AccountId(card.account_id))


def test_a_lost_card_is_blocked_at_once_and_another_takes_its_place(
    ctx: Context, sealer: Sealer, ann: AccountId
) -> None:
    (adult,) = [one for one in cards.own_cards(ctx, sealer, ann) if one.state == "active"]
    with ctx.tx() as tx:
        number = cards.number_of(tx, sealer, adult) or ""
    new_id = fact_id(None, "replacement")

    new = cards.replace_lost(ctx, sealer, ann, adult.card_id, new_id)
    again = cards.replace_lost(ctx, sealer, ann, adult.card_id, new_id)

    assert new == again and (new.state, new.valid_until, new.replaces) == (
        "active",
        adult.valid_until,
        adult.card_id,
    )
    with ctx.tx() as tx:
        assert cards.find_by_number(tx, sealer, [ISSUER], number).state == "ended"
        assert cards.number_of(tx, sealer, new) not in (None, number)
    with pytest.raises(cards.CardMoved):
        cards.replace_lost(ctx, sealer, ann, adult.card_id, fact_id(None, "third"))
    with pytest.raises(cards.CardDiffers):
        cards.replace_lost(ctx, sealer, ann, new.card_id, new_id)
    assert books(ctx, ann)[0] == 100_00, "the balance is the account's"
    paid = cards.pay(ctx, ann, applied(ctx, sealer, ann).card_id, session_at=ctx.clock.now())
    second = cards.replace_lost(ctx, sealer, ann, paid.card_id, fact_id(None, "second"))
    assert (second.state, class_of(ctx, ann)) == ("applied", "adult"), (
        "it is paid again before it is in force"
    )
    assert cards.pay(ctx, ann, second.card_id, session_at=ctx.clock.now()).state == "active"
    assert (class_of(ctx, ann), books(ctx, ann)) == ("child", (50_00, 10_00, 40_00, 100_00))


def test_the_holder_hears_thirty_and_seven_days_before_and_members_hear_of_cards(
    ctx: Context, sealer: Sealer, ann: AccountId
) -> None:
    card = cards.pay(ctx, ann, applied(ctx, sealer, ann).card_id, session_at=ctx.clock.now())
    assert card.valid_until == date(2028, 11, 17)
    heard(ctx, ann)
    told: list[str] = []
    for before in (31, 30, 29, 8, 5, 4, -1, -2):
        ctx.clock.at += (card.valid_until - timedelta(days=before)) - ctx.clock.now().date()  # type: ignore[attr-defined]
        cards.turn(ctx)
        with ctx.tx() as tx:
            rows: list[tuple[Any]] = tx.execute(
                "select body ->> 'type' from store.outbox where topic = 'webhooks' and body ->> 'type' like 'card.%'"
            ).fetchall()
        told += [f"{before}: {kind}" for (kind,) in rows]
        texts = heard(ctx, ann)

    assert told == ["30: card.expiring", "5: card.expiring", "-1: card.expired"]
    assert texts[-3:] == [
        "Your Child card runs out: its last day is Fri 17 Nov 2028.",
        "Your Child card runs out: its last day is Fri 17 Nov 2028.",
        "Your Child card has run out.",
    ]
    assert class_of(ctx, ann) == "adult"
