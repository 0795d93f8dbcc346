"""A shop scans a payer's code: small sums at once, larger ones with the payer's word, each code once."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar.testing import TestClient

from hansa import merchants, payments, trust
from hansa.apps.web import create_app
from hansa.kernel import FixedClock, InvalidInput, Money, new_id
from hansa.payments.payment_codes import CodeUsed, CodeWrongPurpose
from hansa.store import Context
from merchants import shops
from merchants.shops import SHOP, Town
from payments.test_payment_codes_used import PayingPhone
from web.conftest import seen_from


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
        assert merchants.list_sales(town.ctx, tx, SHOP) == []


def test_above_what_a_code_may_the_payer_must_approve(town: Town, phone: PayingPhone) -> None:
    bought = merchants.pay_by_code(
        town.ctx, new_id(), SHOP, phone.pay_code(), amount_minor=100_01, made_by="person:till"
    )

    assert bought.sale.state == "begun"
    assert bought.payment.state is payments.PaymentState.REQUIRES_APPROVAL
    assert town.balance(phone.account.account_id) == shops.BIG


# -- the same over the interface of payments ----------------------------------------------------------------


class Program:
    """A member's program with a key, at some address."""

    def __init__(self, town: Town, home: Path, member: str = "hangzhou-card") -> None:
        self.ctx = replace(town.ctx, clock=FixedClock(town.ctx.clock.now()))
        self.payee_id = town.shop.payee_id
        with self.ctx.tx() as tx:
            scopes = ["payments:read", "payments:write"]
            key = trust.create_api_key(tx, trust.MemberId(member), scopes, at=self.ctx.clock.now())
        app = seen_from(create_app(self.ctx, home=home, demo=False), "203.0.113.9")
        self.client: TestClient[Any] = TestClient(app, base_url="http://hansa.example")
        self.client.headers["authorization"] = f"Bearer {key}"

    def pay(self, text: str, key: str, minor: int = 7_50, **more: object) -> httpx.Response:
        amount = {"minor": minor, "currency": "CNY"}
        body = {"payee_id": self.payee_id, "amount": amount, "method": "code", "payment_code": text}
        return self.client.post("/v1/payments", json=body | more, headers={"idempotency-key": key})

    def pass_time(self, time: timedelta) -> None:
        assert isinstance(self.ctx.clock, FixedClock)
        self.ctx.clock.at += time


@pytest.fixture
def program(town: Town, tmp_path: Path) -> Iterator[Program]:
    one = Program(town, tmp_path)
    with one.client:
        yield one


def test_a_code_pays_over_the_interface_of_payments_too_and_once(
    town: Town, phone: PayingPhone, program: Program
) -> None:
    text = phone.pay_code()

    first = program.pay(text, "till-1").json()
    program.pass_time(timedelta(minutes=10))  # a repeat comes when the code is old
    again = program.pay(text, "till-1")
    other = program.pay(text, "till-2")
    differs = program.pay(text, "till-1", 8_00)

    assert (first["state"], first["method"], first["channel"]) == ("captured", "code", "code")
    assert again.json() == first and again.headers["idempotency-replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (422, "payments.code_expired")
    assert differs.status_code == 422
    assert town.balance(phone.account.account_id) == Money(92_50, "CNY")
    fresh = phone.pay_code(at=program.ctx.clock.now())
    assert program.pay(fresh, "till-3", 1_00).json()["state"] == "captured"
    assert program.pay(fresh, "till-4", 1_00).json()["code"] == "payments.code_used"
    assert town.balance(phone.account.account_id) == Money(91_50, "CNY")


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"payment_code": ""}, "hansa.invalid_input"),
        ({"method": "wallet"}, "hansa.invalid_input"),
        ({"payer": "0198c0de-0000-7000-8000-000000000009"}, "hansa.invalid_input"),
        ({"payee_id": "nobody"}, "payments.unknown_payee_id"),
        ({"amount": {"minor": 5, "currency": "EUR"}}, "payments.wrong_payee_currency"),
        ({"mandate_id": "0198c0de-0000-7000-8000-000000000009"}, "hansa.invalid_input"),
    ],
)
def test_what_cannot_be_taken_uses_no_code(
    town: Town, phone: PayingPhone, program: Program, changed: dict[str, Any], code: str
) -> None:
    text = phone.pay_code()

    refused = program.pay(text, "till-1", **changed)

    assert refused.json()["code"] == code
    assert program.pay(text, "till-2").json()["state"] == "captured"
    assert town.balance(phone.account.account_id) == Money(92_50, "CNY")


def test_a_code_that_was_used_and_no_more_pays_when_the_shop_asks_again(
    town: Town, phone: PayingPhone
) -> None:
    def killed(_: str) -> None:
        raise KeyboardInterrupt

    text, new = (
        phone.pay_code(),
        payments.NewPayment(
            payment_id=new_id(), payee_id=town.shop.payee_id, amount=Money(7_50, "CNY"), by="test"
        ),
    )
    with pytest.raises(KeyboardInterrupt):
        payments.create_by_code(town.ctx, new, text, watch=killed)
    assert town.balance(phone.account.account_id) == shops.BIG

    answer = payments.create_by_code(town.ctx, new, text)

    assert isinstance(answer, payments.Payment) and answer.state is payments.PaymentState.CAPTURED
    assert town.balance(phone.account.account_id) == Money(92_50, "CNY")
