"""Entry tickets from their sale to the gate: never oversold, given back by rule, entered as often as they say."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from hansa import codes, identity, merchants, payments, trust
from hansa.gate import DenyList, TicketGate, TicketGateIdentity
from hansa.kernel import FixedClock, InvalidInput, Money, new_id
from hansa.merchants import (
    Entry,
    Product,
    Slot,
    SlotFull,
    TicketBegun,
    TicketNotRefundable,
    TicketNotValid,
    UnknownTicket,
)
from hansa.store import Context
from identity.proving import PhoneKey
from merchants import shops
from merchants.shops import Town
from scratch import NOON

POLICY = identity.own_phone_policy()


@pytest.fixture
def town(ctx: Context, tmp_path: Path) -> Town:
    return shops.build(ctx, tmp_path)


def slots(town: Town, product: Product) -> list[Slot]:
    with town.ctx.tx() as tx:
        return merchants.list_slots(tx, product.product_id, first=NOON, last=NOON + timedelta(days=1))


def buy(town: Town, slot: Slot, *, adults: int = 1, order_id: UUID | None = None) -> UUID:
    """Tickets of the buyer, paid; gives the order."""
    order = merchants.order_tickets(
        town.ctx,
        order_id or new_id(),
        slot.slot_id,
        account_id=town.buyer.account_id,
        wanted={"adult": adults},
        made_by="person:test",
    )
    assert merchants.pay_order(town.ctx, order.order_id, town.asker()).sale.state == "paid"
    return order.order_id


def connect(town: Town, key: PhoneKey) -> UUID:
    """Another phone of the buyer."""
    account_id, now = town.buyer.account_id, town.ctx.clock.now()
    with town.ctx.tx() as tx:
        secret = identity.start_session(tx, account_id, now)
        nonce, _ = identity.give_nonce(tx, account_id, secret, at=now, policy=POLICY)
        proof = identity.Proof(key.point, nonce)
        return identity.enrol_phone(
            tx, account_id, proof, name="A phone", at=now, policy=POLICY
        ).phone.phone_id


def gate(town: Town) -> TicketGate:
    with town.ctx.tx() as tx:
        trust_list = trust.current_trust_list(tx)
        version, denied = trust.current_deny_list(tx)
    return TicketGate(
        TicketGateIdentity("pagoda.north", merchants.place_of(town.shop), frozenset({"hangzhou-card"})),
        trust_list,
        deny_list=DenyList(version, denied),
    )


def test_tickets_are_bought_put_on_the_phone_and_let_in(town: Town) -> None:
    product = shops.pagoda(town, entries=2)
    slot = slots(town, product)[0]
    key = PhoneKey()
    phone_id = connect(town, key)
    order_id = buy(town, slot, adults=2)

    with town.ctx.tx() as tx:
        first, second = merchants.list_tickets(tx, town.buyer.account_id)
        given = merchants.give_token(
            tx, town.league.keys, first.ticket_id, town.buyer.account_id, phone_id, NOON
        )
        again = merchants.give_token(
            tx, town.league.keys, first.ticket_id, town.buyer.account_id, phone_id, NOON
        )
        of_order = {one.ticket_id for one in merchants.tickets_of_order(tx, order_id)}
    assert of_order == {first.ticket_id, second.ticket_id}

    assert given == again and given.entries == 2
    assert (first.state, first.price, first.begins_at) == (
        "valid",
        Money(4_00, "CNY"),
        slot.starts_at - timedelta(minutes=15),
    )
    door, at = gate(town), slot.starts_at
    shown = [
        codes.make_ticket_code(key.private, given.token, made_at=at, counter=counter) for counter in (1, 2, 3)
    ]
    assert [door.decide(text, at).reason for text in shown] == ["ok", "ok", "used_up"]
    assert gate(town).decide(shown[0], NOON).reason == "clock_skew"

    entries = [Entry(tap.tap_id, tap.gate_id, tap.cti, tap.counter, tap.tapped_at) for tap in door.pending()]
    with town.ctx.tx() as tx:
        told = merchants.record_entries(
            tx, town.shop.merchant_id, [*entries, replace(entries[0], cti=bytes(8), tap_id=new_id())]
        )
        assert (told.recorded, told.known_already, told.unknown) == (2, 0, (bytes(8).hex(),))
        assert merchants.record_entries(tx, town.shop.merchant_id, entries).known_already == 2
        assert merchants.get_ticket(tx, first.ticket_id, town.buyer.account_id).used == 2
        assert merchants.over_used(tx, town.shop.merchant_id) == []
        third = replace(entries[0], tap_id=new_id(), gate_id="pagoda.south")
        merchants.record_entries(tx, town.shop.merchant_id, [third])
        assert merchants.over_used(tx, town.shop.merchant_id) == [(first.ticket_id, 2, 3)]
    with pytest.raises(TicketNotRefundable):
        merchants.return_ticket(town.ctx, first.ticket_id, town.buyer.account_id)


def test_tickets_whose_money_went_back_over_the_interface_open_no_gate(town: Town) -> None:
    slot = slots(town, shops.pagoda(town, capacity=2))[0]
    order_id = buy(town, slot, adults=2)
    with town.ctx.tx() as tx:
        payment_id = merchants.get_order(tx, order_id).payment_id
    assert payment_id is not None

    def states() -> list[str]:
        with town.ctx.tx() as tx:
            return [one.state for one in merchants.tickets_of_order(tx, order_id)]

    payments.refund(town.ctx, payment_id, refund_id=new_id(), minor=4_00, by="key:x")
    assert (merchants.finish(town.ctx), states()) == (0, ["valid"] * 2)
    payments.refund(town.ctx, payment_id, refund_id=new_id(), by="key:x")

    assert [merchants.finish(town.ctx), merchants.finish(town.ctx)] == [2, 0]
    assert states() == ["refunded"] * 2
    buy(town, slot, adults=2)  # the places are free


def test_fifty_buyers_never_get_more_places_than_there_are(committed_ctx: Context, tmp_path: Path) -> None:
    town = shops.build(committed_ctx, tmp_path)
    slot = slots(town, shops.pagoda(town, capacity=20))[0]

    def take(number: int) -> int:
        places = 1 + number % 3
        try:
            merchants.order_tickets(
                town.ctx,
                new_id(),
                slot.slot_id,
                account_id=town.buyer.account_id,
                wanted={"adult": places},
                made_by=f"person:{number}",
            )
        except SlotFull:
            return 0
        return places

    with ThreadPoolExecutor(16) as pool:
        taken = sum(pool.map(take, range(50)))

    assert 18 <= taken <= 20
    assert slots(town, shops.pagoda(town, capacity=20))[0].taken == taken
    with town.ctx.tx() as tx:
        (held,) = tx.execute("select count(*) from merchants.tickets where state = 'held'").fetchone() or (0,)
    assert held == taken


def test_places_of_whoever_does_not_pay_are_free_again(town: Town) -> None:
    slot = slots(town, shops.pagoda(town, capacity=3))[0]
    order = merchants.order_tickets(
        town.ctx,
        new_id(),
        slot.slot_id,
        account_id=town.buyer.account_id,
        wanted={"adult": 2, "child": 1},
        made_by="x",
    )
    again = merchants.order_tickets(
        town.ctx,
        order.order_id,
        slot.slot_id,
        account_id=town.buyer.account_id,
        wanted={"adult": 2, "child": 1},
        made_by="x",
    )
    assert again == order and order.amount == Money(10_00, "CNY")
    with pytest.raises(SlotFull):
        buy(town, slot)
    assert isinstance(town.ctx.clock, FixedClock)
    town.ctx.clock.at = NOON + timedelta(minutes=15)

    merchants.finish(town.ctx)

    assert slots(town, shops.pagoda(town, capacity=3))[0].taken == 0
    buy(town, slot)
    with town.ctx.tx() as tx:
        assert [one.state for one in merchants.tickets_of_order(tx, order.order_id)] == ["released"] * 3
        assert len(merchants.list_tickets(tx, town.buyer.account_id)) == 1


def test_a_ticket_is_given_back_by_the_rule_once(town: Town) -> None:
    product = shops.pagoda(town)
    slot = slots(town, product)[0]
    key = PhoneKey()
    phone_id = connect(town, key)
    buy(town, slot)
    with town.ctx.tx() as tx:
        (ticket,) = merchants.list_tickets(tx, town.buyer.account_id)
        given = merchants.give_token(
            tx, town.league.keys, ticket.ticket_id, town.buyer.account_id, phone_id, NOON
        )
    with pytest.raises(UnknownTicket):
        merchants.return_ticket(town.ctx, ticket.ticket_id, town.owner.account_id)
    assert town.balance(town.buyer.account_id) == Money(96_00, "CNY")

    refunds = [merchants.return_ticket(town.ctx, ticket.ticket_id, town.buyer.account_id) for _ in range(2)]

    assert refunds[0] == refunds[1] and refunds[0].state == "done"
    assert town.balance(town.buyer.account_id) == shops.BIG
    assert slots(town, product)[0].taken == 0
    shown = codes.make_ticket_code(key.private, given.token, made_at=slot.starts_at, counter=1)
    assert gate(town).decide(shown, slot.starts_at).reason == "revoked"
    with town.ctx.tx() as tx, pytest.raises(TicketNotValid):
        merchants.give_token(tx, town.league.keys, ticket.ticket_id, town.buyer.account_id, phone_id, NOON)


@pytest.mark.parametrize(("rule", "minutes"), [(3600, 61), (None, 0)])
def test_after_the_rule_nothing_goes_back(town: Town, rule: int | None, minutes: int) -> None:
    product = shops.pagoda(town, refund_before_s=rule)
    buy(town, slots(town, product)[0])
    with town.ctx.tx() as tx:
        (ticket,) = merchants.list_tickets(tx, town.buyer.account_id)
    assert isinstance(town.ctx.clock, FixedClock)
    town.ctx.clock.at = NOON + timedelta(minutes=minutes)

    with pytest.raises(TicketNotRefundable):
        merchants.return_ticket(town.ctx, ticket.ticket_id, town.buyer.account_id)

    assert town.balance(town.buyer.account_id) == Money(96_00, "CNY")
    assert slots(town, product)[0].taken == 1


def test_a_ticket_moves_to_another_phone_before_its_time_and_not_after(town: Town) -> None:
    slot = slots(town, shops.pagoda(town))[0]
    buy(town, slot)
    keys = [PhoneKey(), PhoneKey(), PhoneKey()]
    phones = [connect(town, key) for key in keys]
    account_id = town.buyer.account_id
    with town.ctx.tx() as tx:
        (ticket,) = merchants.list_tickets(tx, account_id)
        first = merchants.give_token(tx, town.league.keys, ticket.ticket_id, account_id, phones[0], NOON)
        second = merchants.give_token(tx, town.league.keys, ticket.ticket_id, account_id, phones[1], NOON)
        with pytest.raises(TicketBegun):
            merchants.give_token(
                tx, town.league.keys, ticket.ticket_id, account_id, phones[2], slot.starts_at
            )
        with pytest.raises(identity.UnknownPhone):
            merchants.give_token(tx, town.league.keys, ticket.ticket_id, account_id, new_id(), NOON)

    door = gate(town)
    old, new = (
        codes.make_ticket_code(key.private, given.token, made_at=slot.starts_at, counter=1)
        for key, given in zip(keys, (first, second), strict=False)
    )
    assert [door.decide(old, slot.starts_at).reason, door.decide(new, slot.starts_at).reason] == [
        "revoked",
        "ok",
    ]


def test_what_cannot_be_bought_is_refused_and_takes_no_place(town: Town) -> None:
    product = shops.pagoda(town)
    slot = slots(town, product)[0]
    for wanted in ({}, {"senior": 1}, {"adult": 0}, {"adult": 21}):
        with pytest.raises(InvalidInput):
            merchants.order_tickets(
                town.ctx,
                new_id(),
                slot.slot_id,
                account_id=town.buyer.account_id,
                wanted=wanted,  # pyright: ignore[reportArgumentType]
                made_by="x",
            )
    with town.ctx.tx() as tx:
        with pytest.raises(merchants.UnknownProduct):
            merchants.end_product(tx, product.product_id, new_id(), by="x", at=NOON)
        merchants.end_product(tx, product.product_id, town.shop.merchant_id, by="x", at=NOON)
    with pytest.raises(merchants.UnknownProduct):
        buy(town, slot)
    assert slots(town, product)[0].taken == 0
