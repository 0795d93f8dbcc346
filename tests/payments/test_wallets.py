"""Wallets: topped up once, listed with what changed them; rates that never change."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa import identity, ledger, payments
from hansa.kernel import CURRENCY_EXPONENTS, InvalidInput, Money, fact_id
from hansa.store import Context

AT = datetime(2026, 11, 17, 12, tzinfo=UTC)
DAY = date(2026, 11, 17)
RIDER = identity.AccountId(fact_id(None, "rider", 1))
PAYEE = ledger.AccountId(fact_id(None, "payee"))


def top_up(number: int, minor: int) -> payments.TopUp:
    return payments.TopUp(fact_id(AT, "top-up", number), RIDER, "beijing-card", Money(minor, "CNY"), AT)


def held(ctx: Context) -> list[Money]:
    with ctx.tx() as tx:
        return payments.balance_of(tx, RIDER)


def test_a_top_up_sent_twice_is_kept_once(ctx: Context) -> None:
    payments.top_up(ctx, [top_up(1, 5_000)])

    payments.top_up(ctx, [top_up(1, 5_000), top_up(2, 300)])

    assert held(ctx) == [Money(5_300, "CNY")]
    with ctx.tx() as tx:
        assert ledger.balance(tx, payments.cash_account("beijing-card", "CNY")).debit_minor == 5_300


@pytest.mark.parametrize("step", ["intended", "posted", "recorded"])
def test_a_top_up_survives_a_kill_between_any_two_steps(ctx: Context, step: str) -> None:
    def killed(name: str) -> None:
        if name == step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        payments.top_up(ctx, [top_up(1, 5_000)], step=killed)

    payments.finish(ctx)
    payments.top_up(ctx, [top_up(1, 5_000)])

    assert held(ctx) == [Money(5_000, "CNY")]


def test_a_known_top_up_with_another_amount_is_refused_and_nothing_changes(ctx: Context) -> None:
    payments.top_up(ctx, [top_up(1, 5_000)])

    with pytest.raises(payments.TopUpDiffers):
        payments.top_up(ctx, [top_up(2, 100), replace(top_up(1, 5_000), amount=Money(6_000, "CNY"))])
    with pytest.raises(InvalidInput):
        payments.top_up(ctx, [top_up(3, 0)])

    assert held(ctx) == [Money(5_000, "CNY")]


def test_the_wallet_page_lists_top_ups_fares_and_corrections_newest_first(ctx: Context) -> None:
    ledger.open_accounts(ctx, [ledger.Account(PAYEE, "CNY", ledger.AccountCode.POSITION, "a to b")])
    payments.top_up(ctx, [top_up(1, 1_000)])
    journey = fact_id(AT, "journey")
    fare = payments.Charge(
        charge_id=fact_id(AT, "charge", 1),
        account_id=RIDER,
        issuer_id="beijing-card",
        wallet_currency="CNY",
        amount=Money(600, "CNY"),
        payee=PAYEE,
        at=AT + timedelta(minutes=1),
        rate_day=DAY,
        reference=journey,
    )
    payments.charge(
        ctx,
        [
            fare,
            replace(fare, charge_id=fact_id(AT, "charge", 2), at=AT + timedelta(minutes=2)),
            replace(
                fare,
                charge_id=fact_id(AT, "charge", 3),
                at=AT + timedelta(minutes=3),
                amount=Money(-200, "CNY"),
            ),
        ],
    )

    with ctx.tx() as tx:
        lines = payments.movements(tx, RIDER)
        newest = payments.movements(tx, RIDER, 1)

    assert [(line.kind, line.amount.minor, line.owed.minor) for line in lines] == [
        ("correction", 200, 0),
        ("fare", 0, 600),
        ("fare", -600, 0),
        ("top_up", 1_000, 0),
    ]
    assert all(line.finished for line in lines)
    assert [line.reference for line in lines[:3]] == [journey] * 3
    assert newest == lines[:1]
    assert held(ctx) == [Money(sum(line.amount.minor for line in lines), "CNY")]


def test_a_rate_is_exact_and_holds_in_both_directions(ctx: Context) -> None:
    with ctx.tx() as tx:
        payments.set_rates(tx, DAY, [("GBP", "CNY", Fraction(941, 100))])

        assert payments.rate(tx, DAY, "GBP", "CNY") == Fraction(941, 100)
        assert payments.rate(tx, DAY, "CNY", "GBP") == Fraction(100, 941)
        assert payments.rate(tx, DAY, "CNY", "CNY") == 1
        with pytest.raises(payments.NoRate):
            payments.rate(tx, DAY, "CNY", "HKD")


def test_a_rate_once_set_never_changes(ctx: Context) -> None:
    with ctx.tx() as tx:
        payments.set_rates(tx, DAY, [("GBP", "CNY", Fraction(941, 100))])

    payments_before = Fraction(941, 100)
    with pytest.raises(payments.RateDiffers), ctx.tx() as tx:
        payments.set_rates(tx, DAY, [("CNY", "HKD", Fraction(2)), ("GBP", "CNY", Fraction(9))])
    with pytest.raises(InvalidInput), ctx.tx() as tx:
        payments.set_rates(tx, DAY, [("CNY", "CNY", Fraction(1))])

    with ctx.tx() as tx:
        payments.set_rates(tx, DAY, [("GBP", "CNY", Fraction(941, 100))])
        assert payments.rate(tx, DAY, "GBP", "CNY") == payments_before
        with pytest.raises(payments.NoRate):
            payments.rate(tx, DAY, "CNY", "HKD")


# amount | currency | to | rate | quoted
QUOTED = [
    (1_000, "CNY", "JPY", Fraction(43, 2), 215),
    (215, "JPY", "CNY", Fraction(2, 43), 1_000),
    (1_000, "KWD", "CNY", Fraction(47, 2), 2_350),  # three decimals to two
    (1, "IDR", "KWD", Fraction(1, 50_000), 1),  # never less than one minor unit
    (-1, "IDR", "KWD", Fraction(1, 50_000), -1),
    (250, "CNY", "CNY", Fraction(1), 250),
    (0, "CNY", "HKD", Fraction(2), 0),
    (5, "CNY", "HKD", Fraction(1, 2), 2),  # half to even
    (7, "CNY", "HKD", Fraction(1, 2), 4),  # half to even
]


@pytest.mark.parametrize(("minor", "base", "unit", "rate", "quoted"), QUOTED)
def test_an_amount_is_quoted_by_the_decimals_of_both_currencies(
    minor: int, base: str, unit: str, rate: Fraction, quoted: int
) -> None:
    assert payments.quote(Money(minor, base), unit, rate) == Money(quoted, unit)


@given(
    minor=st.integers(1, 10**12),
    base=st.sampled_from(sorted(CURRENCY_EXPONENTS)),
    unit=st.sampled_from(sorted(CURRENCY_EXPONENTS)),
    rate=st.fractions(Fraction(1, 10**6), 10**6),
)
def test_giving_back_what_was_taken_at_the_same_rate_gives_back_the_same(
    minor: int, base: str, unit: str, rate: Fraction
) -> None:
    taken = payments.quote(Money(minor, base), unit, rate)

    assert taken.minor >= 1
    assert payments.quote(Money(-minor, base), unit, rate) == -taken


def test_a_top_up_for_a_closed_wallet_is_refused_and_stops_no_other(ctx: Context) -> None:
    other = replace(top_up(3, 700), account_id=identity.AccountId(fact_id(None, "rider", 2)))
    payments.top_up(ctx, [top_up(1, 5_000)])
    closing = ledger.Transfer(
        ledger.TransferId(fact_id(AT, "closing")),
        payments.wallet_id(RIDER, "CNY"),
        payments.cash_account("beijing-card", "CNY"),
        0,
        "CNY",
        ledger.TransferCode.WITHDRAWAL,
        AT,
        flags=ledger.TransferFlag.PENDING | ledger.TransferFlag.CLOSING_DEBIT,
    )
    assert ledger.post(ctx, [closing])[0].ok

    with pytest.raises(payments.WalletClosed):
        payments.top_up(ctx, [top_up(2, 300), other])

    with ctx.tx() as tx:
        tx.execute(
            "update payments.top_ups set state = 'intended' where account_id = %s", (other.account_id,)
        )
        assert payments.balance_of(tx, other.account_id) == [Money(700, "CNY")]
    assert payments.finish(ctx) == 1, "the one that waits is ended; the one that was refused is forgotten"
    assert held(ctx) == [Money(5_000, "CNY")]


def test_a_wallets_lines_always_come_to_what_it_holds(ctx: Context) -> None:
    """A bank takes a top-up back, and money moves that no room knows: each is a line, with what it left."""
    payments.top_up(ctx, [top_up(1, 5_000)])
    returned = payments.Charge(
        charge_id=fact_id(AT, "returned"),
        account_id=RIDER,
        issuer_id="beijing-card",
        wallet_currency="CNY",
        amount=Money(2_000, "CNY"),
        payee=payments.cash_account("beijing-card", "CNY"),
        at=AT + timedelta(minutes=1),
        rate_day=DAY,
        reference=top_up(1, 0).top_up_id,
        code=ledger.TransferCode.TOP_UP,
    )
    payments.charge(ctx, [returned])
    strange = ledger.Transfer(
        ledger.TransferId(fact_id(AT, "strange")),
        payments.cash_account("beijing-card", "CNY"),
        payments.wallet_id(RIDER, "CNY"),
        11,
        "CNY",
        ledger.TransferCode.OPENING,
        AT + timedelta(minutes=2),
    )
    assert ledger.post(ctx, [strange])[0].ok

    with ctx.tx() as tx:
        lines = payments.movements(tx, RIDER)
        older = payments.movements(tx, RIDER, before=lines[0].mark)

    assert [(one.kind.value, one.amount.minor, one.balance.minor) for one in lines] == [
        ("other", 11, 3_011),
        ("top_up_returned", -2_000, 3_000),
        ("top_up", 5_000, 5_000),
    ]
    assert lines[1].reference == top_up(1, 0).top_up_id
    assert older == lines[1:]
