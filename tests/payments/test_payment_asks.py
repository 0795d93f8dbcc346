"""How often a payee may ask one person to approve: then it is told to wait, and nothing is kept."""

import pytest

from hansa import payments
from hansa.payments import PaymentState
from hansa.store import Context, TooOften
from payments.shopping import ANN, BEN, KIOSK, as_it_stands, asks, made, open_town, pass_time


def test_a_shop_asks_one_person_twenty_times_an_hour_and_no_more(ctx: Context) -> None:
    open_town(ctx)
    batch = [asks(1_00, n=n, payer=ANN, method="wallet") for n in range(22)]

    answers = payments.create(ctx, batch)

    states = [one.state for one in answers if isinstance(one, payments.Payment)]
    assert states == [PaymentState.REQUIRES_APPROVAL] * 20
    assert [type(one) for one in answers[20:]] == [TooOften] * 2
    with pytest.raises(payments.UnknownPayment):
        as_it_stands(ctx, batch[21].payment_id)
    with ctx.tx() as tx:
        assert tx.execute("select count(*) from approval.approvals").fetchone() == (20,)
    again = payments.create(ctx, batch[:20])
    assert [one.state for one in again if isinstance(one, payments.Payment)] == states  # no further asking
    with pytest.raises(TooOften) as refused:
        made(ctx, asks(1_00, n="again", payer=ANN, method="wallet"))
    assert refused.value.retry_after.total_seconds() > 0

    other = made(ctx, asks(1_00, n="other", payer=BEN, method="wallet"))
    elsewhere = made(ctx, asks(1_00, n="elsewhere", payer=ANN, method="wallet", payee_id=KIOSK))
    by_code = made(ctx, asks(1_00, n="code", payer=ANN))
    at_home = made(ctx, asks(1_00, n="home", payer=ANN, method="wallet", session_at=ctx.clock.now()))
    pass_time(ctx, minutes=4)
    later = made(ctx, asks(1_00, n="later", payer=ANN, method="wallet"))

    assert [one.state for one in (other, elsewhere, later)] == [PaymentState.REQUIRES_APPROVAL] * 3
    assert [one.state for one in (by_code, at_home)] == [PaymentState.CAPTURED] * 2
