"""Many at once over HTTP against the real application: what comes twice, late or in another order has one effect."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from adversary.serving import Answer, Caller, all_at_once, serving
from hansa import approval, identity, ledger, payments, store, trust
from hansa.apps.web import advancing
from hansa.kernel import FixedClock, HansaError, Money, new_id
from hansa.payments import Heard, Payment, PaymentState, SimulatedConnector
from hansa.store import Context, open_context
from identity.authenticating import Authenticator
from merchants import shops
from merchants.shops import Town
from scratch import NOON, ScratchServer

PIN = "845291"
START = 1_000_00
"""What the payer holds, in fen."""


@dataclass
class City:
    """A town on a socket. shop: a program of its shop's acquirer. payer: a browser of Qian Qing's."""

    town: Town
    shop: Caller
    payer: Caller
    device: Authenticator
    spent: int = 0
    told_before: Counter[str] = field(default_factory=Counter[str])

    @property
    def ctx(self) -> Context:
        return self.town.ctx

    def asks(self, minor: int, key: str, **more: Any) -> dict[str, Any]:
        """What the shop sends for a payment of the payer's; the answer."""
        data = {
            "payee_id": self.town.shop.payee_id,
            "amount": {"minor": minor, "currency": "CNY"},
            "payer": str(self.town.buyer.account_id),
            **more,
        }
        answer = self.shop.send("/v1/payments", data, key)
        assert answer.status == 200, answer.body
        return answer.json()

    def state(self, payment_id: str) -> Payment:
        with self.ctx.tx() as tx:
            return payments.get_payment(tx, UUID(payment_id))

    def told(self) -> Counter[str]:
        """The types of what members were told in this test."""
        return self.told_ever() - self.told_before

    def told_ever(self) -> Counter[str]:
        with self.ctx.tx() as tx:
            rows = tx.execute("select body ->> 'type' from store.outbox where topic = 'webhooks'").fetchall()
        return Counter(row[0] for row in rows)

    def check(self, spent: int) -> None:
        """In this test the payer spent so much and no more, limits say the same, and the books prove themselves."""
        self.spent += spent
        assert self.town.balance(self.town.buyer.account_id) == Money(START - self.spent, "CNY")
        with self.ctx.tx() as tx:
            assert ledger.trial_balance(tx).is_even
            assert ledger.verify(tx) == []
            left = tx.execute(
                "select (select count(*) from payments.intents), (select count(*) from payments.under_way),"
                " (select coalesce(sum(minor), 0) from approval.uses where given_back_at is null)"
            ).fetchone()
        assert left is not None and left[:2] == (0, 0) and int(left[2]) == self.spent, left


@pytest.fixture(scope="module")
def served(scratch_server: ScratchServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    """One city for these tests: what each of them spends is added up."""
    name, home = scratch_server.make_migrated(), tmp_path_factory.mktemp("races")
    ctx = open_context(scratch_server.url_of(name), clock=FixedClock(NOON))
    town = shops.build(ctx, home)
    me, now = town.buyer, ctx.clock.now()
    more = payments.TopUp(
        new_id(), me.account_id, trust.MemberId(me.issuer_id), Money(START - shops.BIG.minor, "CNY"), now
    )
    payments.top_up(ctx, [more])
    pepper = store.read_secret(approval.PEPPER, home / "keys", make=True)
    before = replace(ctx, clock=FixedClock(now - timedelta(days=2)))  # a PIN of today is not enough by itself
    approval.set_pin(before, me.account_id, PIN, pepper)
    with ctx.tx() as tx:
        key = trust.create_api_key(tx, "hangzhou-card", ["payments:read", "payments:write"], at=now)
    with serving(ctx, home) as caller:
        device = Authenticator(origin=f"http://localhost:{caller.port}")
        rp = identity.RelyingParty("localhost", device.origin)
        then = now - timedelta(days=60)
        with ctx.tx() as tx:
            asked = identity.begin_registration(
                tx, me.account_id, person="x", rp=rp, purpose="add", owner="here", at=then
            )
            identity.finish_registration(
                tx, device.create(asked), rp=rp, purpose="add", owner="here", name="Phone", at=then
            )
        browser = caller.signed_in(me.account_id)
        yield City(town, Caller(caller.port, {"authorization": f"Bearer {key}"}), browser, device)
    ctx.close()
    scratch_server.drop(name)


@pytest.fixture
def city(served: City) -> City:
    served.told_before = served.told_ever()
    return served


def known(city: City) -> None:
    """The payer has paid this shop before."""
    with city.ctx.tx() as tx:
        tx.execute(
            "insert into approval.payees values (0, %s, %s, %s, %s)",
            (
                city.town.buyer.account_id,
                f"payee:{city.town.shop.payee_id}",
                city.ctx.clock.now() - timedelta(days=9),
                new_id(),
            ),
        )


def codes(answers: list[Answer]) -> Counter[int]:
    return Counter(one.status for one in answers)


def test_a_payment_is_approved_by_pin_once_however_often_it_is_pressed(city: City) -> None:
    known(city)
    asked = city.asks(120_00, "tea")
    address = asked["next_action"]["url"]
    assert asked["state"] == "requires_approval"

    def worker() -> None:
        advancing.turn(city.ctx)
        payments.turn(city.ctx, connectors={})

    came = all_at_once(
        [lambda: city.payer.press(address, method="pin", pin=PIN)] * 4
        + [lambda: city.payer.get(address), lambda: city.shop.get(f"/v1/payments/{asked['payment_id']}")] * 4
        + [worker] * 3
    )
    pressed, looked = codes(came[:4]), codes(came[4:12])
    late = city.payer.press(address, method="pin", pin=PIN)
    worker()

    assert pressed[303] >= 1 and set(pressed) <= {303, 409}, pressed
    assert looked == {200: 8}
    assert late.status == 409
    assert city.state(asked["payment_id"]).state is PaymentState.CAPTURED
    assert city.told()["payment.captured"] == 1
    city.check(120_00)


def test_a_passkeys_word_and_the_shops_that_cross_come_to_one_end(city: City) -> None:
    spent, ends = 0, Counter[str]()
    for n in range(4):
        asked = city.asks(120_00, f"order {n}")
        address, path = asked["next_action"]["url"], f"/v1/payments/{asked['payment_id']}"
        options = city.payer.press(f"{address}/options")
        signed = city.device.get(options.body.decode())
        give: Callable[[], Answer] = lambda: city.payer.press(f"{address}/passkey", credential=signed)  # noqa: B023, E731
        call_off: Callable[[], Answer] = lambda: city.shop.send(f"{path}/cancel", {}, f"off {n}")  # noqa: B023, E731

        gives, offs = [give] * 4, [call_off] * 2
        came = all_at_once([*gives, *offs] if n % 2 else [*offs, *gives])
        advancing.turn(city.ctx)
        payments.turn(city.ctx, connectors={})
        late = [give(), call_off()]

        end = city.state(asked["payment_id"]).state
        ends[end.value] += 1
        spent += 120_00 if end is PaymentState.CAPTURED else 0
        assert end in (PaymentState.CAPTURED, PaymentState.CANCELED)
        assert max(one.status for one in [*came, *late]) < 500, [one.body for one in came]
        assert late[0].status == 409 and late[1].status == (409 if end is PaymentState.CAPTURED else 200)
        assert len(city.shop.get(path).json()["attempts"]) <= 1
    told = city.told()

    assert (told["payment.captured"], told["payment.canceled"]) == (ends["captured"], ends["canceled"])
    city.check(spent)


def test_a_connectors_word_comes_once_whatever_repeats_it_and_late_success_goes_back(city: City) -> None:
    """A return page and a webhook only say that it is time to ask: here threads say so, while the shop calls it off."""
    data = {"payer": None, "method": "connector", "connector": "card"}
    shop = payments.merchant_account(city.town.shop.payee_id, "CNY")
    with city.ctx.tx() as tx:
        before = ledger.balances(tx, [shop])[shop].credit_minor
    paid = reversed_ = 0
    for n, (says, is_late) in enumerate(
        (
            ([Heard.SUCCEEDED], False),
            ([Heard.PENDING, Heard.SILENT, Heard.SUCCEEDED], False),
            ([Heard.SILENT, Heard.PENDING, Heard.PENDING, Heard.SUCCEEDED], False),
            ([Heard.PENDING, Heard.SUCCEEDED], True),
        )
    ):
        asked = city.asks(50_00, f"card {n}", **data)
        payment_id, path = UUID(asked["payment_id"]), f"/v1/payments/{asked['payment_id']}"
        card = SimulatedConnector({payment_id: list(says)})

        def hear() -> None:
            try:
                payments.advance(city.ctx, payment_id, connectors={"card": card})  # noqa: B023
            except HansaError as error:
                if error.code not in ("payments.in_flight", "payments.state_forbids"):
                    raise

        if is_late:  # the shop called it off while the money was under way
            hear()
            assert city.shop.send(f"{path}/cancel", {}, f"off {n}").status == 200
        came = all_at_once(
            [hear] * 6
            + [lambda: city.shop.send(f"{path}/cancel", {}, f"off {n}")] * 2  # noqa: B023
            + [lambda: city.shop.get(path)] * 4  # noqa: B023
        )
        for _ in range(8):
            assert isinstance(city.ctx.clock, FixedClock)
            city.ctx.clock.at += timedelta(minutes=20)
            payments.turn(city.ctx, connectors={"card": card})
            all_at_once([hear] * 4)

        end = city.state(asked["payment_id"])
        back = sum(card.given_back.get(payment_id, {}).values())
        assert max(one.status for one in came[6:]) < 500
        if end.state is PaymentState.CAPTURED:
            paid += 1
            assert back == 0 and not is_late
        else:
            assert end.state in (PaymentState.REVERSED, PaymentState.CANCELED)
            reversed_ += 1
            assert back == (50_00 if payment_id in card.taken else 0), "what came is given back, once"
    told = city.told()

    assert told["payment.captured"] == paid
    assert told["payment.reversed"] + told["payment.canceled"] >= reversed_
    assert max(told["payment.reversed"], told["payment.canceled"]) <= reversed_
    with city.ctx.tx() as tx:
        assert ledger.balances(tx, [shop])[shop].credit_minor == before + paid * 50_00
    city.check(0)


def test_fifty_threads_with_one_key_are_one_payment_and_one_refund(city: City) -> None:
    now, mandate = city.ctx.clock.now(), new_id()
    with city.ctx.tx() as tx:
        tx.execute(
            "insert into approval.mandates (partition, mandate_id, account_id, payee_key, payee_name, member_id,"
            " reference, currency, each_minor, period, period_minor, asked_at, holds_from, ends_at)"
            " values (0, %s, %s, %s, 'Tea', 'hangzhou-card', '', 'CNY', 50000, 'month', 100000, %s, %s, %s)",
            (
                mandate,
                city.town.buyer.account_id,
                f"payee:{city.town.shop.payee_id}",
                now,
                now - timedelta(days=1),
                now + timedelta(days=90),
            ),
        )
    data = {
        "payee_id": city.town.shop.payee_id,
        "amount": {"minor": 30_00, "currency": "CNY"},
        "payer": str(city.town.buyer.account_id),
        "method": "mandate",
        "mandate_id": str(mandate),
    }
    other = data | {"reference": "another body"}

    def pay(body: dict[str, Any], slowly: bool) -> Callable[[], Answer]:
        """By the short way, or by the route, which an address with a query is for."""
        return lambda: city.shop.send("/v1/payments" + ("?slowly=1" if slowly else ""), body, "one key")

    came = all_at_once(
        [pay(data, bool(n % 2)) for n in range(44)] + [pay(other, bool(n % 2)) for n in range(6)]
    )

    done = [one for one in came if one.status == 200]
    again = pay(data, False)(), pay(other, False)()
    assert done and set(codes(came)) <= {200, 409, 422}, codes(came)
    assert len({one.body for one in done}) == 1
    assert sum("idempotency-replayed" not in one.headers for one in done) == 1
    assert {one.json()["code"] for one in came if one.status == 409} <= {
        "store.key_in_flight",
        "payments.in_flight",
    }
    assert sorted(one.status for one in again) == [200, 422]
    assert next(one.body for one in again if one.status == 200) == done[0].body
    city.check(30_00)

    path = f"/v1/payments/{done[0].json()['payment_id']}/refunds"
    back = all_at_once([lambda: city.shop.send(path, {"minor": 10_00}, "one refund")] * 50)

    done = [one for one in back if one.status == 200]
    assert done and set(codes(back)) <= {200, 409}, codes(back)
    assert len({one.body for one in done}) == 1
    assert sum("idempotency-replayed" not in one.headers for one in done) == 1
    assert len(city.shop.get("/v1/refunds").json()["refunds"]) == 1
    city.spent -= 10_00
    assert city.town.balance(city.town.buyer.account_id) == Money(START - city.spent, "CNY")
    told = city.told()
    assert (told["payment.captured"], told["refund.settled"]) == (1, 1)
