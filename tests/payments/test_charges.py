"""Charges: fares taken from wallets, given back, carried on risk, exchanged; each once, whatever happens."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from fractions import Fraction
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hansa import identity, ledger, payments
from hansa.kernel import InvalidInput, Money, fact_id
from hansa.store import Context

AT = datetime(2026, 11, 17, 12, tzinfo=UTC)
DAY = date(2026, 11, 17)
ISSUER = "beijing-card"
RATES = [
    ("CNY", "HKD", Fraction(1087, 1000)),
    ("CNY", "JPY", Fraction(43, 2)),
    ("GBP", "CNY", Fraction(941, 100)),
]


class Killed(Exception):
    """The process was killed here."""


def killed_at(step: str, *, after: int = 1) -> Callable[[str], None]:
    seen = 0

    def watch(name: str) -> None:
        nonlocal seen
        seen += name == step
        if seen == after:
            raise Killed(step)

    return watch


def rider(number: int) -> identity.AccountId:
    return identity.AccountId(fact_id(None, "rider", number))


def payee(currency: str) -> ledger.AccountId:
    return ledger.AccountId(fact_id(None, "payee", currency))


def fare(
    number: int,
    minor: int,
    currency: str = "CNY",
    *,
    of: int = 1,
    wallet: str = "CNY",
    journey: int | None = None,
    rate_day: date = DAY,
) -> payments.Charge:
    return payments.Charge(
        charge_id=fact_id(AT, "charge", number),
        account_id=rider(of),
        issuer_id=ISSUER,
        wallet_currency=wallet,
        amount=Money(minor, currency),
        payee=payee(currency),
        at=AT,
        rate_day=rate_day,
        reference=fact_id(AT, "journey", number if journey is None else journey),
        code=ledger.TransferCode.FARE if minor > 0 else ledger.TransferCode.FARE_CORRECTION,
    )


def open_league(ctx: Context) -> None:
    """One issuer, payees in four currencies, and the day's rates."""
    currencies = ("CNY", "HKD", "JPY", "GBP")
    payments.open_member_accounts(ctx, [ISSUER], currencies)
    ledger.open_accounts(
        ctx,
        [
            ledger.Account(payee(unit), unit, ledger.AccountCode.POSITION, "beijing-card to somebody")
            for unit in currencies
        ],
    )
    with ctx.tx() as tx:
        payments.set_rates(tx, DAY, RATES)


def top_up(ctx: Context, minor: int, *, of: int = 1, currency: str = "CNY", number: int = 0) -> None:
    payments.top_up(
        ctx,
        [payments.TopUp(fact_id(AT, "top-up", of, number), rider(of), ISSUER, Money(minor, currency), AT)],
    )


def held(ctx: Context, of: int = 1) -> list[Money]:
    with ctx.tx() as tx:
        return payments.balance_of(tx, rider(of))


def owed(ctx: Context, of: int = 1) -> list[Money]:
    with ctx.tx() as tx:
        return payments.debts_of(tx, rider(of))


def paid_to(ctx: Context, currency: str = "CNY") -> int:
    with ctx.tx() as tx:
        return ledger.balance(tx, payee(currency)).credit_minor


def on_risk(ctx: Context, currency: str = "CNY") -> int:
    with ctx.tx() as tx:
        return ledger.balance(tx, payments.risk_account(ISSUER, currency)).debit_minor


def everything(ctx: Context) -> object:
    """The books and the rows, to compare before and after."""
    with ctx.tx() as tx:
        return (
            ledger.trial_balance(tx),
            ledger.block_head(tx),
            tx.execute("select * from payments.charges order by charge_id").fetchall(),
            tx.execute("select * from payments.debts order by account_id, currency").fetchall(),
        )


def test_a_fare_leaves_the_wallet_and_reaches_the_payee(ctx: Context) -> None:
    open_league(ctx)
    top_up(ctx, 10_000)

    [charged] = payments.charge(ctx, [fare(1, 400)])

    assert charged.wallet_amount == Money(400, "CNY") and not charged.on_risk
    assert held(ctx) == [Money(9_600, "CNY")]
    assert paid_to(ctx) == 400


# amount is in the payee's currency, taken in the wallet's; the rates are those of the day above.
EXCHANGED = [
    # amount | payee | wallet | taken
    (1_000, "HKD", "CNY", 920),  # 10.00 HKD / 1.087 = 9.1996 CNY
    (150, "JPY", "CNY", 698),  # 150 JPY / 21.5 = 6.9767 CNY
    (280, "GBP", "CNY", 2_635),  # 2.80 GBP * 9.41 = 26.348 CNY
    (400, "CNY", "JPY", 86),  # 4.00 CNY * 21.5 = 86 JPY
    (1, "CNY", "JPY", 1),  # 0.01 CNY = 0.215 JPY, and never less than one yen
    (10, "CNY", "JPY", 2),  # 0.10 CNY = 2.15 JPY
    (100, "CNY", "JPY", 22),  # 1.00 CNY = 21.5 JPY, half to even
    (300, "CNY", "JPY", 64),  # 3.00 CNY = 64.5 JPY, half to even
]


@pytest.mark.parametrize(("amount", "unit", "wallet", "taken"), EXCHANGED)
def test_a_wallet_in_another_currency_pays_at_the_days_rate(
    ctx: Context, amount: int, unit: str, wallet: str, taken: int
) -> None:
    open_league(ctx)
    top_up(ctx, 100_000, currency=wallet)

    [charged] = payments.charge(ctx, [fare(1, amount, unit, wallet=wallet)])

    assert charged.wallet_amount == Money(taken, wallet)
    assert held(ctx) == [Money(100_000 - taken, wallet)]
    assert paid_to(ctx, unit) == amount
    with ctx.tx() as tx:
        assert ledger.balance(tx, payments.exchange_account(ISSUER, wallet)).credit_minor == taken
        assert ledger.balance(tx, payments.exchange_account(ISSUER, unit)).debit_minor == amount


def test_a_wallet_that_holds_too_little_pays_nothing_and_the_rider_owes_the_fare(ctx: Context) -> None:
    open_league(ctx)
    top_up(ctx, 399)

    [charged] = payments.charge(ctx, [fare(1, 400)])

    assert charged.on_risk and charged.wallet_amount == Money(0, "CNY")
    assert (held(ctx), owed(ctx)) == ([Money(399, "CNY")], [Money(400, "CNY")])
    assert (paid_to(ctx), on_risk(ctx)) == (400, 400)


def test_an_exchanged_fare_that_the_wallet_cannot_pay_is_owed_in_the_payees_currency(ctx: Context) -> None:
    open_league(ctx)
    top_up(ctx, 100)

    [charged] = payments.charge(ctx, [fare(1, 1_000, "HKD")])

    assert charged.on_risk
    assert owed(ctx) == [Money(1_000, "HKD")]
    assert (paid_to(ctx, "HKD"), on_risk(ctx, "HKD"), held(ctx)) == (1_000, 1_000, [Money(100, "CNY")])
    with ctx.tx() as tx:
        assert ledger.balance(tx, payments.exchange_account(ISSUER, "CNY")) == ledger.Balance()


def test_an_account_without_a_wallet_rides_on_risk_and_has_a_wallet_then(ctx: Context) -> None:
    open_league(ctx)

    [charged] = payments.charge(ctx, [fare(1, 400)])

    assert charged.on_risk
    assert held(ctx) == [Money(0, "CNY")]


def test_money_for_one_of_two_fares_pays_the_first(ctx: Context) -> None:
    open_league(ctx)
    top_up(ctx, 500)

    first, second = payments.charge(ctx, [fare(1, 400), fare(2, 300)])

    assert (first.on_risk, second.on_risk) == (False, True)


def test_what_is_given_back_returns_to_the_wallet_at_the_rate_of_its_day(ctx: Context) -> None:
    open_league(ctx)
    later = date(2026, 11, 18)
    with ctx.tx() as tx:
        payments.set_rates(tx, later, [("CNY", "HKD", Fraction(2))])
    top_up(ctx, 10_000)
    payments.charge(ctx, [fare(1, 1_000, "HKD")])

    [back] = payments.charge(ctx, [fare(2, -1_000, "HKD", journey=1, rate_day=DAY)])

    assert back.wallet_amount == Money(-920, "CNY") and not back.on_risk
    assert held(ctx) == [Money(10_000, "CNY")]
    assert paid_to(ctx, "HKD") == 0
    with ctx.tx() as tx:
        assert ledger.balance(tx, payments.exchange_account(ISSUER, "CNY")).credit_minor == 0


# What a rider owes is taken off first; only the rest reaches the wallet.
GIVEN_BACK = [
    # owed | given back | owed then | wallet then
    (400, 100, 300, 0),
    (400, 400, 0, 0),
    (400, 650, 0, 250),
    (0, 250, 0, 250),
]


@pytest.mark.parametrize(("debt", "back", "debt_then", "wallet_then"), GIVEN_BACK)
def test_what_is_given_back_lowers_the_debt_first(
    ctx: Context, debt: int, back: int, debt_then: int, wallet_then: int
) -> None:
    open_league(ctx)
    if debt:
        payments.charge(ctx, [fare(1, debt)])

    payments.charge(ctx, [fare(2, -back)])

    assert sum(money.minor for money in owed(ctx)) == debt_then == on_risk(ctx)
    assert held(ctx) == ([Money(wallet_then, "CNY")] if debt < back else [Money(0, "CNY")])


def test_two_gifts_in_one_call_take_a_debt_away_once(ctx: Context) -> None:
    open_league(ctx)
    payments.charge(ctx, [fare(1, 400)])

    payments.charge(ctx, [fare(2, -300), fare(3, -300)])

    assert (owed(ctx), on_risk(ctx), held(ctx)) == ([], 0, [Money(200, "CNY")])


def test_a_charge_sent_twice_is_taken_once(ctx: Context) -> None:
    open_league(ctx)
    top_up(ctx, 1_000)
    batch = [fare(1, 400), fare(2, 1_000, "HKD"), fare(3, 150, "JPY", of=2), fare(4, -50), fare(1, 400)]
    first = payments.charge(ctx, batch)
    before = everything(ctx)

    again = payments.charge(ctx, batch)

    assert again == first
    assert everything(ctx) == before


def test_a_known_charge_with_another_body_is_refused_and_nothing_is_charged(ctx: Context) -> None:
    open_league(ctx)
    top_up(ctx, 1_000)
    payments.charge(ctx, [fare(1, 400)])
    before = everything(ctx)

    with pytest.raises(payments.ChargeDiffers):
        payments.charge(ctx, [fare(2, 100), replace(fare(1, 400), amount=Money(401, "CNY"))])
    with pytest.raises(payments.ChargeDiffers):
        payments.charge(ctx, [fare(3, 100), fare(3, 200)])

    assert everything(ctx) == before


def test_a_charge_without_a_rate_a_payee_or_an_amount_is_refused_and_nothing_is_charged(ctx: Context) -> None:
    open_league(ctx)
    top_up(ctx, 1_000)
    before = everything(ctx)

    with pytest.raises(payments.NoRate):
        payments.charge(ctx, [fare(1, 400), fare(2, 400, "HKD", rate_day=date(2026, 11, 16))])
    with pytest.raises(payments.UnknownPayee):
        payments.charge(ctx, [fare(1, 400), replace(fare(2, 400), payee=ledger.AccountId(UUID(int=5)))])
    with pytest.raises(InvalidInput):
        payments.charge(ctx, [fare(1, 400), fare(2, 0)])

    assert everything(ctx) == before


BATCH = (
    fare(1, 400),
    fare(2, 1_000, "HKD"),
    fare(3, 700),
    fare(4, 280, "GBP", of=2),
    fare(5, -150),
    fare(6, -600, "HKD", journey=2),
)


@pytest.mark.parametrize("step", ["intended", "posted", "recorded"])
def test_a_kill_between_any_two_steps_leaves_the_same_cents(ctx: Context, step: str) -> None:
    open_league(ctx)
    top_up(ctx, 1_500)
    with pytest.raises(Killed):
        payments.charge(ctx, BATCH, step=killed_at(step))

    charged = payments.charge(ctx, BATCH)

    assert [item.on_risk for item in charged] == [False, False, True, True, False, False]
    # Nothing was owed when the batch came, so what it gives back reaches the wallet: 1,500 - 400 - 920 + 150 + 552.
    assert held(ctx) == [Money(882, "CNY")]
    assert (owed(ctx), owed(ctx, of=2)) == ([Money(700, "CNY")], [Money(280, "GBP")])
    assert (paid_to(ctx), paid_to(ctx, "HKD"), paid_to(ctx, "GBP")) == (950, 400, 280)
    assert (on_risk(ctx), on_risk(ctx, "GBP")) == (700, 280)


@pytest.mark.parametrize("step", ["intended", "posted"])
def test_the_sweeper_ends_what_a_kill_left(ctx: Context, step: str) -> None:
    open_league(ctx)
    top_up(ctx, 1_500)
    with pytest.raises(Killed):
        payments.charge(ctx, BATCH, step=killed_at(step))

    assert payments.finish(ctx) == len(BATCH)
    assert payments.finish(ctx) == 0

    assert (paid_to(ctx), paid_to(ctx, "HKD"), paid_to(ctx, "GBP")) == (950, 400, 280)


def test_a_fare_on_risk_stays_there_though_the_rider_tops_up_before_the_outcome_is_recorded(
    ctx: Context,
) -> None:
    open_league(ctx)
    with pytest.raises(Killed):
        payments.charge(ctx, [fare(1, 400), fare(2, 1_000, "HKD")], step=killed_at("posted"))
    top_up(ctx, 10_000)

    charged = payments.charge(ctx, [fare(1, 400), fare(2, 1_000, "HKD")])

    assert [item.on_risk for item in charged] == [True, True]
    assert held(ctx) == [Money(10_000, "CNY")]
    assert (paid_to(ctx), paid_to(ctx, "HKD"), on_risk(ctx), on_risk(ctx, "HKD")) == (400, 1_000, 400, 1_000)


MINORS = st.integers(-1_000, 1_000).filter(bool)
CHARGES = st.lists(
    st.tuples(MINORS, st.sampled_from(["CNY", "HKD", "JPY", "GBP"]), st.integers(1, 3)),
    min_size=1,
    max_size=12,
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=CHARGES, second=CHARGES, brought=st.integers(1, 2_000))
def test_debits_equal_credits_no_wallet_is_below_zero_and_debts_are_what_stands_on_risk(
    ctx: Context, first: Sequence[tuple[int, str, int]], second: Sequence[tuple[int, str, int]], brought: int
) -> None:
    with ctx.tx() as tx, tx.transaction(force_rollback=True):
        open_league(ctx)
        for number in (1, 2, 3):
            top_up(ctx, brought, of=number)
        for batch, part in ((first, 1), (second, 2)):
            payments.charge(
                ctx,
                [
                    replace(fare(i, minor, unit, of=of), charge_id=fact_id(AT, part, i))
                    for i, (minor, unit, of) in enumerate(batch)
                ],
            )

        books = ledger.trial_balance(tx)
        assert books.is_even
        for unit in ("CNY", "HKD", "JPY", "GBP"):
            debts = sum(money.minor for of in (1, 2, 3) for money in owed(ctx, of) if money.currency == unit)
            assert on_risk(ctx, unit) == debts >= 0
            wanted = sum(minor for minor, other, _ in (*first, *second) if other == unit)
            assert paid_to(ctx, unit) == wanted
        assert all(money.minor >= 0 for of in (1, 2, 3) for money in held(ctx, of))
