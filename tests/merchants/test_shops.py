"""Shops: applied for, opened by their acquirer, paid by order once, refunded, with a day that adds up."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from hansa import ledger, merchants, payments
from hansa.approval import Channel
from hansa.codes import emvco
from hansa.kernel import FixedClock, HansaError, InvalidInput, Money, new_id
from hansa.merchants import (
    MerchantDecided,
    MerchantDiffers,
    MerchantNotOpen,
    OrderBeingPaid,
    OrderDiffers,
    OrderNotOpen,
    OrderOver,
    OrderPaid,
    OwnersOnly,
    RefundTooLarge,
    UnknownMerchant,
    daily,
    paying,
)
from hansa.merchants.model import MerchantId, Refund, Sale
from hansa.payments.payment_codes_shown import find_shown
from hansa.store import Context, StoreUnavailable
from merchants import shops
from merchants.shops import SHOP, Town
from scratch import NOON


@pytest.fixture
def town(ctx: Context, tmp_path: Path) -> Town:
    return shops.build(ctx, tmp_path)


def test_a_person_applies_and_the_acquirer_opens_once(town: Town) -> None:
    other = UUID(int=SHOP.int + 1)
    buyer = town.buyer.account_id
    with town.ctx.tx() as tx:
        applied = merchants.apply(
            tx,
            other,
            account_id=buyer,
            member_id="hangzhou-card",
            name="  Noodles   and more ",
            category="5812",
            address="2 Nanshan Road",
            at=NOON,
        )
        assert (applied.status, applied.name, applied.currency, applied.country) == (
            "applied",
            "Noodles and more",
            "CNY",
            "CN",
        )
        assert merchants.role_of(tx, other, buyer) == "owner"
        with pytest.raises(MerchantNotOpen):
            merchants.make_order(tx, new_id(), other, amount=Money(1, "CNY"), made_by="x", at=NOON)

    opened = merchants.decide(town.ctx, other, yes=True, by="hangzhou-card:anna", at=NOON, fee_bp=45)
    again = merchants.decide(town.ctx, other, yes=True, by="hangzhou-card:anna", at=NOON, fee_bp=45)

    assert opened == again
    assert (opened.status, opened.fee_bp) == ("open", 45)
    with pytest.raises(MerchantDecided):
        merchants.decide(town.ctx, other, yes=False, by="hangzhou-card:anna", at=NOON, reason="no")
    with town.ctx.tx() as tx:
        assert payments.get_payee(tx, str(other)).name == "Noodles and more"


def test_what_a_shop_may_not_be_is_named_and_nothing_is_kept(town: Town) -> None:
    wanted = {"name": "Tea", "category": "5441", "address": "3 Nanshan Road", "member_id": "hangzhou-card"}
    for changed, field in [
        ({"name": "西湖茶庄"}, "name"),
        ({"name": "T" * 26}, "name"),
        ({"category": "1234"}, "category"),
        ({"address": "a"}, "address"),
        ({"member_id": "hangzhou-metro"}, "member_id"),
    ]:
        with town.ctx.tx() as tx, pytest.raises(InvalidInput) as refused:
            merchants.apply(tx, new_id(), account_id=town.buyer.account_id, at=NOON, **(wanted | changed))  # pyright: ignore[reportArgumentType]
        assert [one.where for one in refused.value.problems] == [field]
    with town.ctx.tx() as tx, pytest.raises(MerchantDiffers):
        merchants.apply(tx, SHOP, account_id=town.buyer.account_id, at=NOON, **wanted)  # pyright: ignore[reportArgumentType]
    with town.ctx.tx() as tx:
        assert [one.merchant_id for one in merchants.list_merchants(tx)] == [SHOP]


def test_people_join_by_invitation_once_and_only_owners_invite(town: Town) -> None:
    owner, buyer = town.owner.account_id, town.buyer.account_id
    with town.ctx.tx() as tx:
        secret = merchants.invite(tx, SHOP, by=owner, role="cashier", at=NOON)
        assert merchants.read_invite(tx, secret, NOON)[1] == "cashier"
        merchants.join(tx, secret, buyer, NOON)
        for spoilt in (secret, "never made"):
            with pytest.raises(merchants.InviteRefused):
                merchants.join(tx, spoilt, buyer, NOON)
        with pytest.raises(OwnersOnly):
            merchants.invite(tx, SHOP, by=buyer, role="owner", at=NOON)
        late = merchants.invite(tx, SHOP, by=owner, role="owner", at=NOON)
        with pytest.raises(merchants.InviteRefused):
            merchants.join(tx, late, buyer, NOON + timedelta(hours=24))
        assert [one.role for one in merchants.list_people(tx, SHOP)] == ["owner", "cashier"]
        merchants.end_person(tx, SHOP, buyer, by=owner, at=NOON)
        with pytest.raises(UnknownMerchant):
            merchants.role_of(tx, SHOP, buyer)
        with pytest.raises(InvalidInput):
            merchants.end_person(tx, SHOP, owner, by=owner, at=NOON)


def test_an_order_is_a_code_that_any_reader_reads(town: Town) -> None:
    order = town.order(minor=12_50, tip_kind="percentage", tip_value=1_000, bill_number="B-17", till="T1")
    with town.ctx.tx() as tx:
        text = merchants.code_of_order(tx, order)
        standing = merchants.code_of_shop(tx, town.shop, till="T1")

    code = emvco.read_merchant_code(text, strict=True)
    assert (code.money, code.merchant_name, code.merchant_city) == (
        Money(12_50, "CNY"),
        "West Lake Tea",
        "Hangzhou",
    )
    assert code.tip is not None and (code.tip.kind, code.tip.value) == ("percentage", 10)
    assert (code.additional.bill_number, code.additional.terminal_label) == ("B-17", "T1")
    assert (code.is_dynamic, code.local_name[:2]) == (True, ("zh", "西湖茶庄"))
    shown = find_shown(code)
    assert shown is not None and (shown.kind, shown.id) == ("order", order.order_id)
    counter = emvco.read_merchant_code(standing, strict=True)
    shown = find_shown(counter)
    assert (counter.is_dynamic, counter.money) == (False, None)
    assert shown is not None and (shown.kind, shown.id) == ("merchant", SHOP)


def test_the_same_order_again_is_the_same_and_another_is_refused(town: Town) -> None:
    first = town.order()

    assert town.order() == first
    with pytest.raises(OrderDiffers):
        town.order(minor=6_00)
    for more in (
        {"tip_kind": "fixed", "tip_value": 0},
        {"tip_kind": "percentage", "tip_value": 10_000},
        {"minor": 0},
        {"lasts": timedelta(days=32)},
        {"bill_number": "B" * 26},
    ):
        with pytest.raises(InvalidInput):
            town.order(2, **more)  # pyright: ignore[reportArgumentType]


def test_an_order_is_paid_with_its_tip_and_only_once(town: Town) -> None:
    order = town.order(minor=10_00, tip_kind="prompt")
    before = town.balance(town.buyer.account_id)

    bought = merchants.pay_order(town.ctx, order.order_id, town.asker(), tip_minor=1_00)

    assert (bought.sale.state, bought.sale.total) == ("paid", Money(11_00, "CNY"))
    assert town.balance(town.buyer.account_id) == Money(before.minor - 11_00, "CNY")
    assert town.read_order(order).state == "paid"
    with pytest.raises(OrderPaid):
        merchants.pay_order(town.ctx, order.order_id, town.asker("Gao Lan"))
    with pytest.raises(OrderPaid):
        merchants.pay_order(town.ctx, order.order_id, town.asker())
    with town.ctx.tx() as tx, pytest.raises(OrderNotOpen):
        merchants.cancel_order(tx, order.order_id, NOON)
    assert town.balance(town.buyer.account_id) == Money(before.minor - 11_00, "CNY")


def test_who_cannot_pay_leaves_the_order_to_the_next(town: Town) -> None:
    merchants.pay_order(town.ctx, town.order(1, minor=60_00).order_id, town.asker())
    order = town.order(2, minor=50_00)

    refused = merchants.pay_order(town.ctx, order.order_id, town.asker())

    assert refused.sale.state == "failed"
    assert refused.payment.step is not None
    assert refused.payment.step.reason == payments.InsufficientFunds.code
    assert town.read_order(order).state == "open"
    assert town.balance(town.buyer.account_id) == Money(40_00, "CNY")
    assert merchants.pay_order(town.ctx, order.order_id, town.asker("Gao Lan")).sale.state == "paid"


def test_an_order_that_waits_for_approval_is_its_payers_until_called_off(town: Town) -> None:
    order = town.order(minor=100_01)

    first = merchants.pay_order(town.ctx, order.order_id, town.asker())
    again = merchants.pay_order(town.ctx, order.order_id, town.asker())

    assert (first.sale.state, first.payment.state) == ("begun", payments.PaymentState.REQUIRES_APPROVAL)
    assert again.payment.payment_id == first.payment.payment_id
    with pytest.raises(OrderBeingPaid):
        merchants.pay_order(town.ctx, order.order_id, town.asker("Gao Lan"))
    assert merchants.cancel_sale(town.ctx, first.sale.payment_id, by="person:x").state == "failed"
    assert town.read_order(order).state == "open"
    assert town.balance(town.buyer.account_id) == shops.BIG


def test_orders_end_by_time_and_by_hand(town: Town) -> None:
    first, second = town.order(1), town.order(2)
    with town.ctx.tx() as tx:
        assert merchants.cancel_order(tx, first.order_id, NOON).state == "canceled"
        assert merchants.cancel_order(tx, first.order_id, NOON).state == "canceled"
    with pytest.raises(OrderOver):
        merchants.pay_order(town.ctx, first.order_id, town.asker())
    assert isinstance(town.ctx.clock, FixedClock)
    town.ctx.clock.at = NOON + timedelta(minutes=15)
    with pytest.raises(OrderOver):
        merchants.pay_order(town.ctx, second.order_id, town.asker())

    assert merchants.finish(town.ctx) == 1

    assert town.read_order(second).state == "expired"
    with town.ctx.tx() as tx:
        told = tx.execute(
            "select body ->> 'type', body -> 'data' ->> 'qr_order_id', body -> 'to' ->> %s from store.outbox"
            " where topic = 'webhooks' and body ->> 'type' like 'qr_order.%%' order by xid, seq",
            [town.shop.member_id],
        ).fetchall()
    assert [(kind, UUID(order)) for kind, order, _ in told] == [
        ("qr_order.canceled", first.order_id),
        ("qr_order.expired", second.order_id),
    ]
    assert all(event_id for _, _, event_id in told), "each is told to the shop's acquirer"
    assert town.balance(town.buyer.account_id) == shops.BIG


def test_of_sixteen_who_pay_one_order_one_pays(committed_ctx: Context, tmp_path: Path) -> None:
    town = shops.build(committed_ctx, tmp_path)
    order = town.order(minor=3_00)
    names = ["Gao Lan", "Qian Qing"]

    def pay(number: int) -> str:
        try:
            return merchants.pay_order(town.ctx, order.order_id, town.asker(names[number % 2])).sale.state
        except HansaError as refused:
            return refused.code

    with ThreadPoolExecutor(16) as pool:
        told = list(pool.map(pay, range(16)))

    merchants.finish(town.ctx, patience=timedelta(0))
    held = [town.balance(town.league.riders[name].account_id).minor for name in names]
    assert sum(held) == 2 * shops.BIG.minor - 3_00, told
    assert town.read_order(order).state == "paid"
    with town.ctx.tx() as tx:
        assert [one.state for one in merchants.list_sales(town.ctx, tx, SHOP) if one.state == "paid"] == [
            "paid"
        ]


def test_a_claim_without_a_payment_goes_to_the_next_after_a_while(town: Town) -> None:
    order = town.order()
    from hansa.merchants import qr_orders, sales, store

    with town.ctx.tx() as tx:  # a payer's request died here
        claimed, shop = qr_orders.claim_order(town.ctx, tx, order.order_id, town.buyer.account_id, NOON)
        assert claimed.payment_id is not None
        store.add_sale(
            tx,
            sales._sale(  # pyright: ignore[reportPrivateUsage]
                shop,
                claimed.payment_id,
                town.asker(),
                amount_minor=5_00,
                tip_minor=0,
                channel="order",
                order_id=order.order_id,
                at=NOON,
            ),
        )
    with pytest.raises(OrderBeingPaid):
        merchants.pay_order(town.ctx, order.order_id, town.asker("Gao Lan"))
    assert isinstance(town.ctx.clock, FixedClock)
    town.ctx.clock.at = NOON + timedelta(minutes=2)

    bought = merchants.pay_order(town.ctx, order.order_id, town.asker("Gao Lan"))

    assert bought.sale.state == "paid"


@pytest.mark.parametrize(
    "dies", ["before the payment", "after the payment", "before the refund", "after the refund"]
)
def test_what_dies_half_way_is_ended_once(town: Town, monkeypatch: pytest.MonkeyPatch, dies: str) -> None:
    order = town.order(minor=10_00)
    made, part = dies.split(" the ")
    name = {"payment": "begin", "refund": "give_back"}[part]
    real = getattr(paying, name)

    def dying(*values: object, **more: object) -> object:
        if made == "after":
            real(*values, **more)
        raise StoreUnavailable

    def pay() -> UUID:
        return merchants.pay_order(town.ctx, order.order_id, town.asker()).sale.payment_id

    sold = pay() if part == "refund" else None

    def do() -> object:
        back = Money(4_00, "CNY")
        return (
            pay()
            if sold is None
            else merchants.refund(town.ctx, new_id(), sold, amount=back, reason="Cold", by="person:x")
        )

    monkeypatch.setattr(paying, name, dying)
    with pytest.raises(StoreUnavailable):
        do()
    monkeypatch.setattr(paying, name, real)
    assert isinstance(town.ctx.clock, FixedClock)
    town.ctx.clock.at = NOON + timedelta(minutes=2)

    assert [merchants.finish(town.ctx), merchants.finish(town.ctx)] == [1, 0]

    paid = dies != "before the payment"
    assert town.read_order(order).state == ("paid" if paid else "open")
    left = shops.BIG.minor - (10_00 if paid else 0) + (4_00 if part == "refund" else 0)
    assert town.balance(town.buyer.account_id) == Money(left, "CNY")


def test_refunds_in_parts_never_pass_the_sale_and_go_back_to_the_payer(town: Town) -> None:
    order = town.order(minor=10_00)
    sale = merchants.pay_order(town.ctx, order.order_id, town.asker()).sale
    ids = [new_id() for _ in range(3)]

    def back(refund_id: UUID, minor: int) -> Refund:
        return merchants.refund(
            town.ctx, refund_id, sale.payment_id, amount=Money(minor, "CNY"), reason="Cold tea", by="person:x"
        )

    assert [back(ids[0], 4_00).state, back(ids[0], 4_00).state, back(ids[1], 5_99).state] == ["done"] * 3
    with pytest.raises(RefundTooLarge):
        back(ids[2], 2)
    with pytest.raises(InvalidInput):
        back(ids[2], 0)
    with pytest.raises(merchants.RefundDiffers):
        back(ids[0], 3_00)

    assert town.balance(town.buyer.account_id) == Money(100_00 - 1, "CNY")
    with town.ctx.tx() as tx:
        day = merchants.shop_day(tx, town.shop, NOON.date())
        kept = merchants.get_sale(town.ctx, tx, sale.payment_id)
    assert kept.left == Money(1, "CNY")
    assert (day.sold_minor, day.refunded_minor, day.sales, day.refunds) == (10_00, 9_99, 1, 2)
    assert day.due_minor == 1 - day.fees_minor and day.fees_minor == 0
    rows = merchants.day_csv(day).split("\r\n")
    assert rows[1].split(",")[6] == "10.00"
    assert sorted(row.split(",")[6] for row in rows[2:4]) == ["-4.00", "-5.99"]


def test_money_given_back_over_the_interface_is_in_the_days_sums_and_is_not_given_back_twice(
    town: Town,
) -> None:
    sale = merchants.pay_order(town.ctx, town.order(minor=10_00).order_id, town.asker()).sale
    merchants.refund(
        town.ctx, new_id(), sale.payment_id, amount=Money(1_00, "CNY"), reason="Cold tea", by="person:x"
    )

    payments.refund(town.ctx, sale.payment_id, refund_id=new_id(), minor=6_00, reason="Wrong tea", by="key:y")

    with town.ctx.tx() as tx:
        day = merchants.shop_day(tx, town.shop, NOON.date())
        (listed,) = merchants.list_sales(town.ctx, tx, SHOP)
        known = merchants.get_sale(town.ctx, tx, sale.payment_id)
        back = merchants.list_refunds(town.ctx, tx, known)
    assert known.left == listed.left == Money(3_00, "CNY")
    assert [(one.amount_minor, one.state, one.reason) for one in back] == [
        (1_00, "done", "Cold tea"),
        (6_00, "done", "Wrong tea"),
    ]
    assert (day.sold_minor, day.refunded_minor, day.refunds, day.due_minor) == (10_00, 7_00, 2, 2_98)
    with pytest.raises(RefundTooLarge):
        merchants.refund(
            town.ctx, new_id(), sale.payment_id, amount=Money(3_01, "CNY"), reason="More", by="person:x"
        )
    rest = merchants.refund(
        town.ctx, new_id(), sale.payment_id, amount=Money(3_00, "CNY"), reason="All of it", by="person:x"
    )
    assert rest.state == "done" and town.balance(town.buyer.account_id) == shops.BIG


def test_a_payment_of_the_interface_is_a_sale_of_the_shops_day_capture_by_capture_and_so_is_what_went_back(
    town: Town,
) -> None:
    till = merchants.pay_order(town.ctx, town.order(minor=10_00).order_id, town.asker()).sale
    before = shop_day_of(town)
    ids = [new_id() for _ in range(3)]
    asked = [
        payments.NewPayment(
            payment_id=payment_id, payee_id=town.shop.payee_id, amount=Money(minor, "CNY"), by="key:shop",
            payer=town.buyer.account_id, channel=Channel.ONLINE, capture=capture, reference=f"bill {minor}",
            session_at=town.ctx.clock.now(), credential_at=town.ctx.clock.now() - timedelta(days=90),
        )
        for payment_id, minor, capture in zip(ids, (4_00, 6_00, 9_00), ("automatic", "manual", "manual"), strict=True)
    ]  # fmt: skip
    made = payments.create(town.ctx, asked)
    assert [getattr(one, "state", one) for one in made] == ["captured", "authorized", "authorized"]
    assert shop_day_of(town).sold_minor == 14_00, "what is only held is no sale yet"
    with town.ctx.tx() as tx:
        listed = merchants.list_sales(town.ctx, tx, SHOP)
        first_two = merchants.list_sales(town.ctx, tx, SHOP, limit=2)
        mark = (first_two[-1].begun_at, first_two[-1].payment_id)
        rest = merchants.list_sales(town.ctx, tx, SHOP, before=mark)
    assert {one.payment_id for one in listed} == {till.payment_id, *ids}
    assert [*first_two, *rest] == listed, "pages go through both alike"
    assert {one.payment_id: one.state for one in listed}[ids[1]] == "begun"

    payments.capture(town.ctx, ids[1], capture_id=new_id(), minor=2_50, by="key:shop", final=False)
    payments.capture(town.ctx, ids[1], capture_id=new_id(), minor=1_50, by="key:shop", final=True)
    payments.void(town.ctx, ids[2], by="key:shop")
    refund_id = new_id()
    back = merchants.refund_sale(
        town.ctx, refund_id, ids[0], amount=Money(3_00, "CNY"), reason="Cold tea", by="person:x"
    )
    assert (
        back.state == "done"
        and merchants.refund_sale(
            town.ctx, refund_id, ids[0], amount=Money(3_00, "CNY"), reason="Cold tea", by="person:x"
        )
        == back
    )
    with pytest.raises(RefundTooLarge):
        merchants.refund(town.ctx, new_id(), ids[0], amount=Money(1_01, "CNY"), reason="More", by="person:x")
    with pytest.raises(merchants.RefundDiffers):
        merchants.refund(town.ctx, refund_id, ids[0], amount=Money(1_00, "CNY"), reason="Cold", by="person:x")
    payments.refund(town.ctx, ids[1], refund_id=new_id(), minor=1_00, reason="Wrong tea", by="key:y")

    day = shop_day_of(town)

    assert (day.sales, day.sold_minor) == (before.sales + 3, before.sold_minor + 8_00)
    assert (day.refunds, day.refunded_minor) == (2, 4_00)
    kept = {ids[0]: 1_00, ids[1]: 3_00}
    for payment_id, minor in kept.items():
        lines = [one for one in day.lines if one.payment_id == payment_id]
        assert {one.channel for one in lines} == {"online"}
        assert sum(one.minor for one in lines) == minor
        assert sum(one.fee_minor for one in lines) == daily.fee_of(minor, town.shop.fee_bp)
    with town.ctx.tx() as tx:
        account = payments.merchant_account(town.shop.payee_id, "CNY")
        balance = ledger.balances(tx, [account])[account]
        states = {one.payment_id: one.state for one in merchants.list_sales(town.ctx, tx, SHOP)}
    assert balance.credit_minor == day.sold_minor - day.refunded_minor, "the day is what the books say"
    assert states == {till.payment_id: "paid", ids[0]: "paid", ids[1]: "paid"}


def test_a_sale_is_found_behind_any_number_of_payments_that_came_to_nothing(town: Town) -> None:
    online = new_id()
    (made,) = payments.create(
        town.ctx,
        [
            payments.NewPayment(
                payment_id=online,
                payee_id=town.shop.payee_id,
                amount=Money(1_00, "CNY"),
                by="key:shop",
                payer=town.buyer.account_id,
                session_at=town.ctx.clock.now(),
                credential_at=town.ctx.clock.now() - timedelta(days=90),
            )
        ],
    )
    assert isinstance(made, payments.Payment) and made.captured_minor
    with town.ctx.tx() as tx:
        tx.execute(ABANDONED, {"payment": online, "number": 6_000})
        tx.execute(CALLED_OFF, {"payment": online})
        found = merchants.list_sales(town.ctx, tx, SHOP, limit=3)

    assert [one.payment_id for one in found] == [online]


ABANDONED = """
insert into payments.payments
select r.* from payments.payments p
cross join generate_series(1, %(number)s) n
cross join lateral jsonb_populate_record(null::payments.payments, to_jsonb(p) || jsonb_build_object(
    'payment_id', gen_random_uuid(), 'created_at', p.created_at + n * interval '1 millisecond')) r
where p.payment_id = %(payment)s
"""
CALLED_OFF = """
insert into payments.steps
select r.* from payments.payments p
join payments.steps s on s.payment_id = %(payment)s and s.n = 1
cross join lateral jsonb_populate_record(null::payments.steps, to_jsonb(s) || jsonb_build_object(
    'payment_id', p.payment_id, 'state', 'canceled', 'captured_minor', 0)) r
where p.payment_id <> %(payment)s
"""


def shop_day_of(town: Town) -> merchants.ShopDay:
    with town.ctx.tx() as tx:
        return merchants.shop_day(tx, town.shop, NOON.date())


@settings(max_examples=80, deadline=None)
@given(
    total=some.integers(1, 10**9),
    fee_bp=some.integers(0, 1_000),
    parts=some.lists(some.integers(1, 10**9), max_size=6),
)
def test_fees_given_back_come_to_the_fee_of_what_was_given_back(
    total: int, fee_bp: int, parts: list[int]
) -> None:
    sale = Sale(
        payment_id=UUID(int=1),
        merchant_id=MerchantId(SHOP),
        order_id=None,
        payer=UUID(int=2),
        amount_minor=total,
        tip_minor=0,
        currency="CNY",
        channel="static",
        bill_number="",
        till="",
        made_by="x",
        begun_at=NOON,
        state="paid",
        paid_at=NOON,
        refunded_minor=0,
        fee_bp=fee_bp,
    )
    refunded = given_back = 0
    for part in [*parts, total]:
        part = min(part, total - refunded)
        given_back += daily.fee_back(sale, refunded, part)
        refunded += part

    assert refunded == total
    assert given_back == daily.fee_of(total, fee_bp)
