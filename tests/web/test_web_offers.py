"""What a shop asks for online is paid by whoever comes, once; or by somebody whom an owner lets spend."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from hansa import approval, payments
from hansa.kernel import FixedClock, Money, new_id
from hansa.payments import Payment, PaymentState
from hansa.store import Context
from merchants import shops
from merchants.shops import Town
from scratch import NOON
from web.test_web_merchant import sign_in

Client = TestClient[Any]


@pytest.fixture
def town(ctx: Context, home: Path) -> Town:
    return shops.build(ctx, home)


def offer(town: Town, minor: int = 2_00) -> Payment:
    """What the shop asks for, of nobody yet."""
    (made,) = payments.create(
        town.ctx,
        [
            payments.NewPayment(
                payment_id=new_id(),
                payee_id=town.shop.payee_id,
                amount=Money(minor, "CNY"),
                by="shop",
                description="A <b>box</b>",
                expires_at=town.ctx.clock.now() + timedelta(days=3),
            )
        ],
    )
    assert isinstance(made, Payment)
    return made


def test_an_address_of_a_payment_leads_to_it_and_it_is_paid_once_by_one(client: Client, town: Town) -> None:
    asked = offer(town)
    sign_in(client, town, "Qian Qing")
    page = client.get(f"/wallet/pay?payment={asked.payment_id}", follow_redirects=True)
    assert "¥2.00" in page.text and "A &lt;b&gt;box&lt;/b&gt;" in page.text

    address = f"/wallet/pay/offer/{asked.payment_id}"
    done = [client.post(address, data={}, follow_redirects=True) for _ in range(2)]

    assert all("This is paid." in one.text for one in done)
    assert town.balance(town.buyer.account_id) == Money(98_00, "CNY")
    sign_in(client, town, "Emily Tremblay")
    assert client.get(f"/wallet/pay/offer/{asked.payment_id}").status_code == 404
    assert client.post(f"/wallet/pay/offer/{asked.payment_id}", data={}).status_code == 404


def test_a_delegate_pays_from_an_owners_wallet_within_its_caps_and_nobody_else_does(
    ctx: Context, client: Client, town: Town
) -> None:
    owner, carer = town.buyer.account_id, town.league.riders["Emily Tremblay"].account_id
    assert isinstance(ctx.clock, FixedClock)
    approval.grant_delegation(
        ctx,
        owner,
        approval.NewDelegation(
            delegation_id=new_id(), delegate_id=carer, kind="carer", currency="CNY", payment_minor=3_00,
            day_minor=4_00, month_minor=10_00, ends_at=NOON + timedelta(days=30),
        ),
    )  # fmt: skip
    first, large, third = offer(town), offer(town, 3_01), offer(town, 2_01)
    sign_in(client, town, "Emily Tremblay")
    early = client.post(f"/wallet/pay/offer/{first.payment_id}", data={"owner_id": str(owner)})
    assert early.status_code == 422
    ctx.clock.at += timedelta(days=1, minutes=1)
    sign_in(client, town, "Emily Tremblay")
    assert "The wallet of Qian Qing" in client.get(f"/wallet/pay/offer/{first.payment_id}").text

    paid = client.post(
        f"/wallet/pay/offer/{first.payment_id}", data={"owner_id": str(owner)}, follow_redirects=True
    )
    over = [
        client.post(f"/wallet/pay/offer/{one.payment_id}", data={"owner_id": str(owner)})
        for one in (large, third)
    ]
    sign_in(client, town, "Omar Singh")
    thief = client.post(f"/wallet/pay/offer/{large.payment_id}", data={"owner_id": str(owner)})

    assert "This is paid." in paid.text
    assert [one.status_code for one in over] == [422, 422] and thief.status_code == 422
    assert town.balance(owner) == Money(98_00, "CNY")
    with ctx.tx() as tx:
        for one in (large, third):
            assert payments.get_payment(tx, one.payment_id).state is PaymentState.CREATED
    ctx.clock.at = NOON
