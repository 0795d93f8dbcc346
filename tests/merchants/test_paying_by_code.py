"""A shop scans a payer's code: small sums at once, larger ones with the payer's word, each code once."""

from pathlib import Path

import pytest

from hansa import merchants, payments
from hansa.kernel import InvalidInput, Money, new_id
from hansa.payments.payment_codes import CodeUsed, CodeWrongPurpose
from hansa.store import Context
from merchants import shops
from merchants.shops import SHOP, Town
from payments.test_payment_codes_used import PayingPhone


@pytest.fixture
def town(ctx: Context, tmp_path: Path) -> Town:
    return shops.build(ctx, tmp_path)


@pytest.fixture
def phone(town: Town) -> PayingPhone:
    return PayingPhone(town.ctx, town.league, "Qian Qing")


def test_a_code_made_without_network_pays_a_small_sum_once(town: Town, phone: PayingPhone) -> None:
    text, form = phone.pay_code(), new_id()

    first, again = (
        merchants.pay_by_code(town.ctx, form, SHOP, text, amount_minor=7_50, made_by="person:till")
        for _ in range(2)
    )

    assert first.sale.state == again.sale.state == "paid"
    assert first.sale.payment_id == again.sale.payment_id
    assert town.balance(phone.account.account_id) == Money(92_50, "CNY")
    with pytest.raises(CodeUsed):
        merchants.pay_by_code(town.ctx, new_id(), SHOP, text, amount_minor=1_00, made_by="person:till")
    with pytest.raises(InvalidInput):
        merchants.pay_by_code(town.ctx, form, SHOP, text, amount_minor=8_00, made_by="person:till")
    assert town.balance(phone.account.account_id) == Money(92_50, "CNY")


def test_a_ride_code_pays_nothing(town: Town, phone: PayingPhone) -> None:
    from hansa import codes
    from hansa.codes.payer import wrap_payer_code

    ride = wrap_payer_code(codes.base45_decode(phone.ride_code().removeprefix(codes.PREFIX)))

    with pytest.raises(CodeWrongPurpose):
        merchants.pay_by_code(town.ctx, new_id(), SHOP, ride, amount_minor=1_00, made_by="person:till")

    assert town.balance(phone.account.account_id) == shops.BIG
    with town.ctx.tx() as tx:
        assert merchants.list_sales(tx, SHOP) == []


def test_above_what_a_code_may_the_payer_must_approve(town: Town, phone: PayingPhone) -> None:
    bought = merchants.pay_by_code(
        town.ctx, new_id(), SHOP, phone.pay_code(), amount_minor=100_01, made_by="person:till"
    )

    assert bought.sale.state == "begun"
    assert bought.payment.state is payments.PaymentState.REQUIRES_APPROVAL
    assert town.balance(phone.account.account_id) == shops.BIG
