"""A verb of money breaks off between any two of its commits: nothing is half done, and the same key finishes it.

Each verb is asked once without a fault, and then again and again from the same beginning, with its first, second, third
… transaction lost as it commits, or kept while the answer to that is lost. Sent again with its key it answers, and the
books are the same to the last movement.
"""

from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import product as each_with_each
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from adversary.test_whose_is_it import World, world
from hansa import ledger, merchants, payments, trust, wallets
from hansa.apps.bank.people_rails import rails_at
from hansa.apps.web import advancing, create_app
from hansa.kernel import FixedClock, Money, new_id
from hansa.store import Context, Tx
from hansa.wallets import top_ups, transfers, vouchers, withdrawals
from merchants.shops import SHOP
from web.conftest import home, seen_from

__all__ = ["home", "world"]

FAULTS_MAX = 60


class Lost(Exception):
    """The line to the database broke as this was committed."""


@dataclass
class Line:
    """The way to the database. lost: at which transaction from now on it breaks, counted from 1; 0 for none.

    kept: it breaks once the transaction is committed, so that whoever asked does not hear of it.
    """

    ctx: Context
    lost: int = 0
    kept: bool = False

    @contextmanager
    def open_tx(self) -> Generator[Tx]:
        with self.ctx.open_tx() as tx:
            yield tx
            self.lost -= 1
            if self.lost == 0 and not self.kept:
                raise Lost
        if self.lost == 0 and self.kept:
            raise Lost


@dataclass
class Desk:
    """Somebody who asks for things of the world."""

    ctx: Context
    line: Line
    client: TestClient[Any]
    world: World
    home: Path
    key: str
    mandate: str
    codes: list[str]

    def post(self, path: str, data: dict[str, Any], *, by_key: bool = True) -> Any:
        headers = {"idempotency-key": "the key"} | ({"authorization": f"Bearer {self.key}"} if by_key else {})
        if not by_key:
            headers["sec-fetch-site"] = "same-origin"
        if path.startswith("/wallet/"):
            return self.client.post(path, data=data, headers=headers, follow_redirects=False)
        return self.client.post(path, json=data, headers=headers)

    def things(self) -> dict[str, str]:
        return self.world.things

    def asked(self, **more: Any) -> dict[str, Any]:
        town = self.world.town
        return {
            "payee_id": town.shop.payee_id,
            "amount": {"minor": 3_00, "currency": "CNY"},
            "payer": str(town.buyer.account_id),
            "method": "mandate",
            "mandate_id": self.mandate,
            **more,
        }

    def made(self, **more: Any) -> str:
        """The path of a payment that was made before."""
        answer = self.client.post(
            "/v1/payments?x=1",
            json=self.asked(**more),
            headers={"idempotency-key": str(new_id()), "authorization": f"Bearer {self.key}"},
        )
        assert answer.json()["state"] in ("captured", "authorized"), answer.text
        return f"/v1/payments/{answer.json()['payment_id']}"

    def order(self) -> str:
        """The path of an order of the shop, for the buyer, who is signed in now."""
        account_id = str(self.world.town.buyer.account_id)
        self.client.post("/wallet/sign-in", data={"account_id": account_id}, follow_redirects=False)
        return f"/wallet/pay/order/{self.world.town.order(7, 2_00).order_id}"

    def finish(self) -> None:
        """The worker's turn, half a minute later: what nobody came back for is ended."""
        assert isinstance(self.ctx.clock, FixedClock)
        self.ctx.clock.at += timedelta(seconds=31)
        rail_of = rails_at(self.home, demo=True).get
        advancing.turn(self.ctx)
        payments.turn(self.ctx, connectors={})
        transfers.finish(self.ctx)
        top_ups.finish(self.ctx, rail_of)
        withdrawals.finish(self.ctx, rail_of)
        vouchers.finish(self.ctx)
        merchants.finish(self.ctx, patience=timedelta(0))

    def books(self) -> tuple[Counter[Any], Counter[str]]:
        """Every movement without its id, and what members were told."""
        with self.ctx.tx() as tx:
            moved = tx.execute(
                "select debit_account, credit_account, amount, currency, code, flags from ledger.transfers"
            ).fetchall()
            told = tx.execute("select body ->> 'type' from store.outbox where topic = 'webhooks'").fetchall()
            assert ledger.trial_balance(tx).is_even
        return Counter(moved), Counter(row[0] for row in told)


@pytest.fixture
def desk(ctx: Context, home: Path, world: World) -> Iterator[Desk]:
    now, mandate, line = ctx.clock.now(), new_id(), Line(ctx)
    me, payer = world.town.owner, world.town.buyer
    batch = wallets.NewBatch(
        batch_id=new_id(), issuer_id="hangzhou-card", value=Money(7_00, "CNY"), count=1,
        expires_at=now + timedelta(days=40),
    )  # fmt: skip
    codes = vouchers.make(ctx, batch, by="x")[1]
    vouchers.activate(ctx, batch.batch_id, 1, 1, by="x", issuer_id="hangzhou-card")
    with ctx.tx() as tx:
        scopes = ["payments:read", "payments:write", "merchants:read", "merchants:write"]
        key = trust.create_api_key(tx, "hangzhou-card", scopes, at=now)
        tx.execute(
            "insert into approval.mandates (partition, mandate_id, account_id, payee_key, payee_name, member_id,"
            " reference, currency, each_minor, period, period_minor, asked_at, holds_from, ends_at)"
            " values (0, %s, %s, %s, 'Tea', 'hangzhou-card', '', 'CNY', 50000, 'month', 100000, %s, %s, %s)",
            (
                mandate,
                payer.account_id,
                f"payee:{world.town.shop.payee_id}",
                now,
                now,
                now + timedelta(days=90),
            ),
        )
        known = (me.account_id, f"person:{payer.account_id}", now - timedelta(days=9), new_id())
        tx.execute("insert into approval.payees values (0, %s, %s, %s, %s)", known)
    app = create_app(replace(ctx, open_tx=line.open_tx), home=home, demo=True)
    with TestClient(
        seen_from(app, "203.0.113.9"), base_url="http://hansa.example", raise_server_exceptions=False
    ) as client:
        client.post("/wallet/sign-in", data={"account_id": str(me.account_id)}, follow_redirects=False)
        yield Desk(ctx, line, client, world, home, key, str(mandate), codes)


def money(minor: int) -> dict[str, Any]:
    return {"minor": minor, "currency": "CNY"}


Verb = Callable[[Desk], Callable[[], Any]]


def prepared(make: Callable[[Desk], str], path: str, data: dict[str, Any], *, by_key: bool = True) -> Verb:
    """What is asked of something that is made before."""

    def verb(desk: Desk) -> Callable[[], Any]:
        made = make(desk)
        return lambda: desk.post(f"{made}{path}", data, by_key=by_key)

    return verb


VERBS: dict[str, Verb] = {
    "pay": lambda d: lambda: d.post("/v1/payments?x=1", d.asked()),
    "pay, the short way": lambda d: lambda: d.post("/v1/payments", d.asked()),
    "capture": prepared(lambda d: d.made(capture="manual"), "/capture", {"minor": 1_00}),
    "void": prepared(lambda d: d.made(capture="manual"), "/void", {}),
    "refund": prepared(lambda d: d.made(), "/refunds", {"minor": 1_00}),
    "cancel": lambda d: lambda: d.post(f"/v1/payments/{d.things()['payment_id']}/cancel", {}),
    "send": lambda d: lambda: d.post(
        "/v1/transfers", {"amount": money(2_00), "receiver_id": str(d.world.town.buyer.account_id)}, by_key=False
    ),
    "take back": lambda d: lambda: d.post(f"/v1/transfers/{d.things()['transfer_id']}/cancel", {}, by_key=False),
    "top up": lambda d: lambda: d.post(
        "/v1/me/top-ups",
        {"bank_account_id": d.things()["bank_account_id"], "amount": money(4_00), "way": "instant"},
        by_key=False,
    ),
    "withdraw": lambda d: lambda: d.post(
        "/v1/withdrawals",
        {"bank_account_id": d.things()["bank_account_id"], "amount": money(4_00)},
        by_key=False,
    ),
    "redeem": lambda d: lambda: d.post("/v1/vouchers/redeem", {"code": d.codes[0]}, by_key=False),
    "pay an order": prepared(lambda d: d.order(), "", {"tip": ""}, by_key=False),
    "refund a sale": lambda d: lambda: d.post(
        f"/v1/merchants/{SHOP}/sales/{d.things()['/v1/merchants/payment_id']}/refunds",
        {"minor": 1_00, "reason": "Cold"},
    ),
}  # fmt: skip

PAGES = ("pay an order",)
"""Forms of a page, which have no key: sent again once it is paid, they say so."""


@pytest.mark.parametrize("name", VERBS)
def test_a_verb_that_breaks_off_anywhere_is_finished_by_its_key(
    desk: Desk, shared_connection: Tx, name: str
) -> None:
    ask = VERBS[name](desk)
    done = (303, 422) if name in PAGES else (200,)
    began = desk.ctx.clock.now()

    def from_the_beginning(lost: int, *, kept: bool = False) -> tuple[int, int, Any]:
        """The status of the first try and of the last, and the books then."""
        assert isinstance(desk.ctx.clock, FixedClock)
        desk.ctx.clock.at = began
        shared_connection.execute("savepoint the_beginning")
        desk.line.lost, desk.line.kept = lost, kept
        first = ask()
        is_reached, desk.line.lost = lost > 0 and desk.line.lost <= 0, 0
        last = first
        for _ in range(3):
            if last.status_code in done and last is not first:
                break
            if last.status_code == 409:
                desk.finish()
            last = ask()
        desk.finish()
        books = desk.books()
        shared_connection.execute("rollback to savepoint the_beginning")
        return first.status_code if is_reached else 0, last.status_code, books

    _, status, expected = from_the_beginning(0)
    assert status in done

    broken, is_over = 0, False
    for lost, kept in each_with_each(range(1, FAULTS_MAX), (False, True)):
        first, last, books = from_the_beginning(lost, kept=kept)
        is_over = not first
        if is_over:
            break
        broken += first >= 500
        assert last in done, (lost, kept, first, last)
        more, less = books[0] - expected[0], expected[0] - books[0]
        assert books == expected, (lost, kept, first, more, less, books[1], expected[1])
    assert is_over and broken >= 3, "it broke off everywhere"
