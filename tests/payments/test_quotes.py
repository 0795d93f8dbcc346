"""Quotes: locked amounts, used once; payments by them, their refunds and their shares; the example of the page."""

import threading
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from approval.approving import join
from hansa import approval, clearing, identity, ledger, payments
from hansa.identity import AccountId
from hansa.kernel import HansaError, InvalidInput, Money, fact_id, round_half_even
from hansa.payments import NewQuote, Quote, Terms
from hansa.payments.quotes_model import work_out
from hansa.store import Context
from payments.shopping import (
    ANN,
    BANK,
    BEN,
    CANADIAN,
    CARD,
    NOW,
    POLICY,
    as_it_stands,
    asks,
    held,
    made,
    open_town,
    pass_time,
    words,
)

FEE_ID = clearing.earned_account(CARD, "CNY")
MAPLE = payments.payee_key(CANADIAN)
DAY_RATE = Fraction(1, 5)
"""Canadian dollars for one yuan."""
WAITS = f"""{POLICY}
[[rows]]
name = "large"
channels = ["online"]
band = "large"
needs = "passkey_delay"
because = "amount"
"""


def open_abroad(ctx: Context, *, fee_minor: int = 50, margin_bp: int = 100) -> None:
    """The town, whose card house changes yuan into Canadian dollars for five minutes at 1 % and ¥0.50."""
    open_town(ctx)
    clearing.open_positions(ctx, [(CARD, BANK, "CAD")])
    with ctx.tx() as tx:
        payments.set_rates(tx, NOW.date(), [("CNY", "CAD", DAY_RATE)])
        terms = Terms(margin_bp=margin_bp, fee_minor=fee_minor, lasts=timedelta(minutes=5))
        payments.set_terms(tx, CARD, "CNY", "CAD", terms, at=NOW, by="issuer")


def asked(
    n: object = 0,
    *,
    pays: Money | str = "CNY",
    gets: Money | str = Money(9_90, "CAD"),  # noqa: B008 - it never changes
    payer: AccountId = ANN,
    payee_key: str = MAPLE,
) -> NewQuote:
    """A quote as Ann asks for it: what the maple shop is to get."""
    return NewQuote(
        quote_id=fact_id(NOW, "a quote", n),
        account_id=payer,
        pays=pays,
        gets=gets,
        payee_key=payee_key,
        by="test",
    )


def pays_by(quote: Quote, *, n: object = 0, minor: int = 9_90, **more: Any) -> payments.NewPayment:
    """A payment to the maple shop by this quote, once its payer approves it."""
    told: dict[str, Any] = {
        "payee_id": CANADIAN,
        "amount": Money(minor, "CAD"),
        "method": "wallet",
        "quote_id": quote.quote_id,
    }
    return asks(minor, n=n, **(told | more))


def approve(ctx: Context, payment: payments.Payment) -> payments.Payment:
    """The payer gives the approval that a payment waits for."""
    person = join(ctx, ANN)
    with ctx.tx() as tx:
        found = [
            one for one in approval.list_open(tx, ANN, ctx.clock.now()) if one.subject_id == payment.spend_id
        ]
    if not found:
        raise approval.ApprovalExpired
    person.approve(found[0])
    return payments.advance(ctx, payment.payment_id)


def balances(ctx: Context) -> dict[str, int]:
    """What stands where, in minor units; what is owed and earned as it is above zero."""
    places = {
        "wallet": payments.wallet_id(ANN, "CNY"),
        "changed in": payments.exchange_account(CARD, "CNY"),
        "changed out": payments.exchange_account(CARD, "CAD"),
        "fees": FEE_ID,
        "position": payments.position_account(CARD, BANK, "CAD"),
        "awaited": payments.receivable_account(BANK, "CAD"),
        "maple": payments.merchant_account(CANADIAN, "CAD"),
    }
    with ctx.tx() as tx:
        assert ledger.trial_balance(tx).is_even
        found = ledger.balances(tx, places.values())
    return {name: found[one].credit_minor for name, one in places.items() if found[one].credit_minor}


# --- the figures


# pays | gets | margin | fee | what is paid | what arrives | favours
FIGURES = [
    (Money(100_00, "CNY"), "CAD", 0, 0, 100_00, 20_00, "nobody"),
    (Money(100_00, "CNY"), "CAD", 100, 0, 100_00, 19_80, "nobody"),
    (Money(100_50, "CNY"), "CAD", 100, 50, 100_50, 19_80, "nobody"),
    (Money(33, "CNY"), "CAD", 0, 0, 33, 7, "payer"),  # 6.6
    (Money(31, "CNY"), "CAD", 0, 0, 31, 6, "issuer"),  # 6.2
    ("CNY", Money(19_80, "CAD"), 100, 50, 100_50, 19_80, "nobody"),
    ("CNY", Money(7, "CAD"), 100, 0, 35, 7, "payer"),  # 35.35…
    ("CNY", Money(20_00, "CAD"), 100, 0, 101_01, 20_00, "payer"),  # 10101.01…
    ("CNY", Money(8, "CAD"), 80, 0, 40, 8, "payer"),  # 40.32…
    ("CNY", Money(1_01, "CAD"), 100, 0, 5_10, 1_01, "payer"),  # 510.10…
    ("CNY", Money(98, "CAD"), 100, 0, 4_95, 98, "issuer"),  # 494.94…
]


@pytest.mark.parametrize(("pays", "gets", "margin_bp", "fee_minor", "paid", "arrives", "favours"), FIGURES)
def test_amounts_are_rounded_once_half_to_even_and_who_gains_is_told(
    pays: Money | str,
    gets: Money | str,
    margin_bp: int,
    fee_minor: int,
    paid: int,
    arrives: int,
    favours: str,
) -> None:
    terms = Terms(margin_bp=margin_bp, fee_minor=fee_minor)

    quote = work_out(asked(pays=pays, gets=gets), terms, DAY_RATE, issuer_id=CARD, partition=0, at=NOW)

    assert (quote.pays.minor, quote.gets.minor, quote.rounding.favours) == (paid, arrives, favours)
    assert quote.fee == Money(fee_minor, "CNY")
    rounded = quote.gets.minor if quote.rounding.of == "gets" else quote.changed.minor
    assert rounded == max(1, round_half_even(quote.rounding.exact))
    assert abs(rounded - quote.rounding.exact) <= Fraction(1, 2)


AMOUNTS = st.integers(1, 10**7)


@given(
    pays=AMOUNTS,
    gets=AMOUNTS,
    fee=st.integers(0, 500),
    parts=st.lists(st.integers(1, 10**6), max_size=12),
)
@settings(max_examples=300, deadline=None)
def test_shares_of_parts_come_to_the_whole_however_it_is_parted(
    pays: int, gets: int, fee: int, parts: list[int]
) -> None:
    base = work_out(
        asked(pays=Money(100_00, "CNY"), gets="JPY"),
        Terms(),
        Fraction(20),
        issuer_id=CARD,
        partition=0,
        at=NOW,
    )
    quote = replace(base, pays=Money(pays + fee, "CNY"), fee=Money(fee, "CNY"), gets=Money(gets, "JPY"))
    so_far, taken, fees = 0, 0, 0

    for part in (*parts, gets):
        minor = min(part, gets - so_far)
        share = quote.share(so_far, minor)
        assert share.pays_minor >= 0 and share.fee_minor >= 0
        # In proportion: never more than one minor unit from what this part is worth.
        assert abs(share.pays_minor - Fraction(quote.pays.minor * minor, gets)) <= 1
        so_far, taken, fees = so_far + minor, taken + share.pays_minor, fees + share.fee_minor

    assert (so_far, taken, fees) == (gets, quote.pays.minor, quote.fee.minor)


# --- the example of docs/cross-border.md


def test_the_example_of_the_page_is_what_the_ledger_has(ctx: Context) -> None:
    open_abroad(ctx)

    quote = payments.make_quote(ctx, asked())
    assert (quote.pays, quote.fee, quote.gets) == (
        Money(50_50, "CNY"),
        Money(50, "CNY"),
        Money(9_90, "CAD"),
    )
    assert (quote.rate, quote.margin) == (Fraction(99, 500), Money(50, "CNY"))
    payment = made(ctx, pays_by(quote))
    assert payment.state is payments.PaymentState.REQUIRES_APPROVAL
    with ctx.tx() as tx:
        (waits,) = approval.list_open(tx, ANN, ctx.clock.now())
    shown = approval.read_subject(waits.canonical)
    assert shown.amount == Money(50_50, "CNY")
    assert shown.details == {
        "They get": "CA$9.90",
        "Fee": "¥0.50",
        "Rate": "1 CNY = 0.198 CAD",
        "Rate of the day": "1 CNY = 0.2 CAD",
        "Margin": "1.00 % (¥0.50)",
        "Good until": "2026-11-20 02:05:00 UTC",
    }
    paid = approve(ctx, payment)

    assert paid.state is payments.PaymentState.CAPTURED
    assert balances(ctx) == {
        "wallet": 49_50,
        "changed in": 50_00,
        "changed out": -9_90,
        "fees": 50,
        "position": 9_90,
        "awaited": -9_90,
        "maple": 9_90,
    }

    payments.refund(ctx, paid.payment_id, refund_id=fact_id(NOW, "a third"), by=BANK, minor=3_30)
    assert balances(ctx)["wallet"] == 49_50 + 16_83
    with ctx.tx() as tx:  # the world goes on; refunds do not
        tomorrow = NOW.date() + timedelta(days=1)
        payments.set_rates(tx, tomorrow, [("CNY", "CAD", Fraction(1, 9))])
    pass_time(ctx, days=1)
    payments.refund(ctx, paid.payment_id, refund_id=fact_id(NOW, "the rest"), by=BANK)
    assert balances(ctx) == {"wallet": 100_00}


def test_what_is_held_is_taken_in_parts_and_given_back_to_the_cent(ctx: Context) -> None:
    open_abroad(ctx, fee_minor=7, margin_bp=33)
    quote = payments.make_quote(ctx, asked(gets=Money(10_01, "CAD")))
    payment = approve(ctx, made(ctx, pays_by(quote, minor=10_01, capture="manual")))
    assert payment.state is payments.PaymentState.AUTHORIZED
    assert held(ctx) == (100_00, quote.pays.minor)
    with ctx.tx() as tx:
        assert [one.amount for one in payments.holds_of(tx, ANN)] == [quote.pays]

    for n, minor in enumerate((3_33, 1, 3_33)):
        payments.capture(
            ctx, payment.payment_id, capture_id=fact_id(NOW, "part", n), by=BANK, minor=minor, final=False
        )
        now = as_it_stands(ctx, payment.payment_id)
        taken = quote.share(0, now.captured_minor).pays_minor
        assert held(ctx) == (100_00 - taken, quote.pays.minor - taken)
        with ctx.tx() as tx:
            assert [one.amount.minor for one in payments.holds_of(tx, ANN)] == [quote.pays.minor - taken]
    payments.void(ctx, payment.payment_id, by=BANK)
    taken = quote.share(0, 6_67)
    assert held(ctx) == (100_00 - taken.pays_minor, 0)
    assert balances(ctx)["fees"] == taken.fee_minor
    for n in range(3):
        payments.refund(ctx, payment.payment_id, refund_id=fact_id(NOW, "back", n), by=BANK, minor=2_00)
    payments.refund(ctx, payment.payment_id, refund_id=fact_id(NOW, "last"), by=BANK)

    assert balances(ctx) == {"wallet": 100_00}


@given(parts=st.lists(st.integers(1, 4_00), min_size=1, max_size=6))
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_refunds_in_any_parts_come_to_what_was_paid(ctx: Context, parts: list[int]) -> None:
    with ctx.tx() as tx, tx.transaction(force_rollback=True):
        _refund_in_parts(ctx, parts)


def _refund_in_parts(ctx: Context, parts: list[int]) -> None:
    open_abroad(ctx, fee_minor=13, margin_bp=77)
    quote = payments.make_quote(ctx, asked(gets=Money(7_77, "CAD")))
    payment = approve(ctx, made(ctx, pays_by(quote, minor=7_77)))
    left = 7_77

    for n, part in enumerate(parts):
        minor = min(part, left)
        if minor:
            payments.refund(ctx, payment.payment_id, refund_id=fact_id(NOW, "part", n), by=BANK, minor=minor)
            left -= minor
        assert balances(ctx)["wallet"] == 100_00 - quote.pays.minor + quote.share(0, 7_77 - left).pays_minor
    if left:
        payments.refund(ctx, payment.payment_id, refund_id=fact_id(NOW, "last"), by=BANK)

    assert balances(ctx) == {"wallet": 100_00}


# --- refusals


def test_quotes_that_do_not_fit_are_refused_by_name_and_change_nothing(ctx: Context) -> None:
    open_abroad(ctx)
    used = payments.make_quote(ctx, asked("used"))
    approve(ctx, made(ctx, pays_by(used, n="first")))
    quote = payments.make_quote(ctx, asked("open"))
    others = payments.make_quote(ctx, asked("others", payer=BEN))
    ann = payments.make_quote(ctx, asked("for a person", payee_key=f"account:{BEN}"))
    before = balances(ctx)
    cases: list[tuple[Quote, dict[str, object], type[HansaError]]] = [
        (used, {}, payments.QuoteUsed),
        (others, {}, payments.UnknownQuote),
        (replace(quote, quote_id=fact_id(NOW, "none")), {}, payments.UnknownQuote),
        (quote, {"minor": 9_91}, payments.QuoteDiffers),
        (ann, {}, payments.QuoteDiffers),
        (quote, {"method": "code", "evidence": "a code"}, InvalidInput),
        (quote, {"payer": None}, InvalidInput),
    ]

    for n, (one, more, error) in enumerate(cases):
        with pytest.raises(error):
            made(ctx, pays_by(one, n=n, **more))  # type: ignore[arg-type]
        with ctx.tx() as tx, pytest.raises(payments.UnknownPayment):
            payments.get_payment(tx, fact_id(None, "shopping payment", n))
    pass_time(ctx, minutes=5)
    with pytest.raises(payments.QuoteExpired):
        made(ctx, pays_by(quote, n="late"))
    assert balances(ctx) == before
    with ctx.tx() as tx:
        assert payments.get_quote(ctx, tx, quote.quote_id).used_for is None

    for new, error in (
        (asked("a", gets=Money(1, "JPY")), payments.NoRate),
        (asked("b", pays="CAD", gets=Money(1, "CNY")), payments.WrongCurrency),
        (asked("c", gets=Money(1, "CNY")), InvalidInput),
        (asked("d", gets="CAD"), InvalidInput),
        (asked("e", pays=Money(1, "CNY")), InvalidInput),
        (asked("f", pays=Money(50, "CNY"), gets="CAD"), InvalidInput),  # nothing is left after the fee
        (asked("g", pays=Money(-5, "CNY"), gets="CAD"), InvalidInput),
        (asked("h", payer=AccountId(fact_id(None, "nobody"))), identity.UnknownAccount),
    ):
        with pytest.raises(error):
            payments.make_quote(ctx, new)
        with ctx.tx() as tx:
            assert payments.find_quote(ctx, tx, new.quote_id) is None


def test_an_approval_that_comes_after_the_quote_moves_nothing(ctx: Context) -> None:
    open_abroad(ctx)
    quote = payments.make_quote(ctx, asked())
    payment = made(ctx, pays_by(quote))
    assert payment.expires_at == quote.expires_at

    pass_time(ctx, minutes=5)
    with pytest.raises(HansaError):
        approve(ctx, payment)
    payments.turn(ctx)

    assert words(ctx, payment.payment_id) == ["requires_approval", "expired"]
    assert balances(ctx) == {"wallet": 100_00}


def test_what_would_wait_a_day_is_refused_before_anybody_is_asked_and_an_offer_keeps_its_quote(
    ctx: Context,
) -> None:
    open_abroad(ctx)
    with ctx.tx() as tx:
        approval.set_policy(tx, CARD, WAITS, by="test", at=NOW)
    much = Money(150_00, "CAD")
    offer = made(ctx, asks(150_00, payer=None, payee_id=CANADIAN, amount=much))
    quote, other = (payments.make_quote(ctx, asked(n, gets=much)) for n in range(2))

    failed = made(ctx, pays_by(quote, n="much", minor=150_00))
    with pytest.raises(approval.WaitsTooLong):
        payments.pay(ctx, offer.payment_id, ANN, by="ann", quote_id=other.quote_id)

    assert failed.step is not None
    assert (failed.state, failed.step.reason) == ("failed", "approval.waits_too_long")
    assert words(ctx, offer.payment_id) == ["created"]
    with ctx.tx() as tx:
        assert payments.get_quote(ctx, tx, other.quote_id).used_for is None
        assert approval.list_open(tx, ANN, ctx.clock.now()) == []
    assert balances(ctx) == {"wallet": 100_00}


def test_an_offer_is_paid_by_a_quote_and_waits_for_another_payer_once_it_ended(ctx: Context) -> None:
    open_abroad(ctx)
    offer = made(ctx, asks(9_90, payer=None, payee_id=CANADIAN, amount=Money(9_90, "CAD")))
    quote, later = (payments.make_quote(ctx, asked(n)) for n in range(2))
    others = payments.make_quote(ctx, asked("ben", payer=BEN))
    with pytest.raises(payments.UnknownQuote):
        payments.pay(ctx, offer.payment_id, ANN, by="ann", quote_id=others.quote_id)
    assert words(ctx, offer.payment_id) == ["created"]

    payments.pay(ctx, offer.payment_id, ANN, by="ann", quote_id=quote.quote_id)
    pass_time(ctx, minutes=5)
    approval.turn(ctx)  # the approval ends with the quote; the worker tells so
    payments.advance(ctx, offer.payment_id)
    assert words(ctx, offer.payment_id)[-1] == "created"
    with pytest.raises(payments.QuoteExpired):
        payments.pay(ctx, offer.payment_id, ANN, by="ann", quote_id=later.quote_id)
    again = payments.make_quote(ctx, asked("again"))
    paid = approve(ctx, payments.pay(ctx, offer.payment_id, ANN, by="ann", quote_id=again.quote_id))

    assert paid.state is payments.PaymentState.CAPTURED
    assert balances(ctx)["wallet"] == 49_50
    payments.refund(ctx, paid.payment_id, refund_id=fact_id(NOW, "all"), by=BANK)
    assert balances(ctx) == {"wallet": 100_00}


def test_of_many_who_want_one_quote_one_has_it(committed_ctx: Context) -> None:
    ctx = committed_ctx
    open_abroad(ctx)
    quote = payments.make_quote(ctx, asked())
    answers: list[payments.Answer] = []
    start = threading.Barrier(8)

    names = range(16)

    def race(n: int) -> None:
        start.wait()
        answers.extend(payments.create(ctx, [pays_by(quote, n=n), pays_by(quote, n=n + 8)]))

    threads = [threading.Thread(target=race, args=(n,)) for n in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

    kept = [one for one in answers if isinstance(one, payments.Payment)]
    assert len(kept) == 1 and len(answers) == 16
    assert all(isinstance(one, payments.QuoteUsed) for one in answers if one not in kept)
    with ctx.tx() as tx:
        assert payments.get_quote(ctx, tx, quote.quote_id).used_for == kept[0].payment_id
        found: list[UUID] = [one.payment_id for one in payments.list_payments(tx)]
    assert found == [kept[0].payment_id]
    first = next(n for n in names if pays_by(quote, n=n).payment_id == kept[0].payment_id)
    assert made(ctx, pays_by(quote, n=first)).is_replay


def test_issuers_see_what_they_hold_and_their_terms_hold_from_then_on(ctx: Context) -> None:
    open_abroad(ctx)
    quote = payments.make_quote(ctx, asked())
    assert payments.make_quote(ctx, asked()) == quote
    approve(ctx, made(ctx, pays_by(quote)))
    pass_time(ctx, seconds=1)

    with ctx.tx() as tx:
        payments.set_terms(tx, CARD, "CNY", "", Terms(margin_bp=0), at=ctx.clock.now(), by="issuer")
        found = payments.open_exchange(tx, CARD, "CNY", at=NOW)
        assert [(one.currency, one.minor) for one in found if one.minor] == [("CAD", -9_90), ("CNY", 50_00)]
        assert sum(one.worth.minor for one in found if one.worth) == 50  # the margin
        assert [(one[0], one[1]) for one in payments.list_terms(tx, CARD)] == [("CNY", ""), ("CNY", "CAD")]
        with pytest.raises(InvalidInput):
            payments.set_terms(
                tx, CARD, "CNY", "CAD", Terms(lasts=timedelta(seconds=59)), at=ctx.clock.now(), by="issuer"
            )
    assert (
        payments.make_quote(ctx, asked("new")).margin_bp == 100
    )  # what is said of two currencies goes first
    pass_time(ctx, days=2)
    assert payments.forget_quotes(ctx) == 1
    with ctx.tx() as tx:
        assert payments.find_quote(ctx, tx, quote.quote_id) is not None
