"""Charges by several at once: each is carried once, by one."""

from concurrent.futures import ThreadPoolExecutor

from hansa import ledger, payments
from hansa.kernel import Money
from hansa.store import Context
from payments.test_charges import BATCH, fare, held, on_risk, open_league, owed, paid_to, top_up


def test_a_batch_charged_by_four_at_once_is_charged_once(committed_ctx: Context) -> None:
    open_league(committed_ctx)
    top_up(committed_ctx, 1_500)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(payments.charge, [committed_ctx] * 4, [BATCH] * 4))

    assert all(answer == answers[0] for answer in answers)
    assert (paid_to(committed_ctx), paid_to(committed_ctx, "HKD"), paid_to(committed_ctx, "GBP")) == (
        950,
        400,
        280,
    )
    assert on_risk(committed_ctx) == sum(
        money.minor for money in owed(committed_ctx) if money.currency == "CNY"
    )
    with committed_ctx.tx() as tx:
        assert ledger.trial_balance(tx).is_even


def test_gifts_by_four_at_once_take_a_debt_away_once(committed_ctx: Context) -> None:
    open_league(committed_ctx)
    payments.charge(committed_ctx, [fare(1, 1_000)])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(payments.charge, [committed_ctx] * 4, [[fare(n, -400)] for n in range(10, 14)]))

    assert (owed(committed_ctx), on_risk(committed_ctx)) == ([], 0)
    assert held(committed_ctx) == [Money(600, "CNY")]


def test_a_fare_swept_while_it_is_charged_and_the_rider_tops_up_is_paid_once(committed_ctx: Context) -> None:
    open_league(committed_ctx)
    fares = [fare(n, 100 + n, "HKD" if n % 2 else "CNY") for n in range(40)]

    with ThreadPoolExecutor(4) as pool:
        charging = pool.submit(payments.charge, committed_ctx, fares)
        for number in range(10):
            pool.submit(top_up, committed_ctx, 400, number=number).result()
            pool.submit(payments.finish, committed_ctx).result()
        charged = charging.result()

    again = payments.charge(committed_ctx, fares)
    assert again == charged
    taken = sum(one.wallet_amount.minor for one in charged)
    assert held(committed_ctx) == [Money(4_000 - taken, "CNY")]
    for unit in ("CNY", "HKD"):
        assert paid_to(committed_ctx, unit) == sum(
            one.amount.minor for one in fares if one.amount.currency == unit
        )
        debts = sum(money.minor for money in owed(committed_ctx) if money.currency == unit)
        assert on_risk(committed_ctx, unit) == debts
