"""Whatever is asked of another's things by their ids, nobody but those whom they concern reads or moves them.

Every route of the interface and every page of wallet and shops whose address holds an id is asked, with ids of things
that exist, by a stranger who is signed in, by another issuer's key with every scope, and by nobody.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args, get_origin
from uuid import UUID

import msgspec
import pytest
from litestar.handlers import HTTPRouteHandler
from litestar.testing import TestClient

from hansa import approval, identity, merchants, payments, trust, wallets
from hansa.apps.bank.people_rails import rails_at
from hansa.apps.personal_means import means_of
from hansa.apps.web.app import _application  # pyright: ignore[reportPrivateUsage]
from hansa.apps.web.interface import every_scope
from hansa.kernel import FixedClock, Money, new_id
from hansa.store import Context
from hansa.wallets import bank_accounts, legs, requests, top_ups, transfers, vouchers, withdrawals
from identity.authenticating import Authenticator
from identity.levels import prove_names
from merchants import shops
from merchants.shops import SHOP, Town
from payments.test_payment_codes_used import PayingPhone
from scratch import NOON

Client = TestClient[Any]
RP = identity.RelyingParty("localhost", "http://localhost")

WALKED = ("/wallet/", "/merchant/", "/v1/")
PUBLIC = (
    "GET /v1/ticket-products/{product_id}/slots",
    "GET /v1/ledger/log/",
    "GET /wallet/tickets/buy/{product_id}",
    "POST /wallet/tickets/buy/{product_id}",
    "GET /wallet/pay/order/{order_id}",
    "POST /wallet/pay/order/{order_id}",
    "GET /wallet/pay/shop/{merchant_id}",
    "POST /wallet/pay/shop/{merchant_id}",
    "POST /wallet/quote/order/",
    "POST /wallet/quote/shop/",
    "POST /v1/qr-orders/{order_id}/pay",
    "POST /v1/me/phones/{phone_id}/tokens",
)
"""What anybody may ask: what is for sale, and to pay it from one's own wallet; and what only a phone's key can ask."""
OTHERS = (
    "/v1/hub/", "/v1/clearing/", "/v1/settlement/", "/v1/reconciliation/", "/v1/reports/", "/v1/risk/", "/v1/cities/",
    "/v1/feeds/", "/v1/devices/", "/v1/disputes/", "/v1/tariff", "/v1/agreements/", "/v1/member", "/v1/account-changes",
    "/v1/window-fees/", "/v1/flow/", "/v1/rates/", "/v1/ledger/", "/v1/stops/", "/v1/sandbox/", "/v1/events/",
    "/v1/journeys/",    "/v1/passes/", "/v1/ride-code/", "/v1/held", "/v1/prices",
    "/wallet/statements/", "/wallet/me/consents/", "/wallet/claim/", "/merchant/join/", "/merchant/applications/",
    "/v1/me/consents/", "/v1/me/automatic-top-ups/", "/wallet/passes/", "/wallet/journeys/", "/wallet/notices/",
)  # fmt: skip
"""Addresses of the league's own business, which their rooms' tests ask; and whose names are no things of a person."""
SCHEMAS = ("payments", "wallets", "merchants", "approval", "identity", "ledger", "trust", "cards", "webhooks")
HARMLESS = {
    "DELETE /v1/bank-accounts/{bank_account_id}": 200,
    "POST /wallet/banks/{bank_account_id}/end": 303,
    "POST /wallet/banks/{bank_account_id}/mandate": 422,
    "POST /v1/approvals/{approval_id}/challenge": 409,
    "POST /wallet/approvals/{approval_id}/options": 409,
    "POST /wallet/approvals/{approval_id}/passkey": 409,
    "POST /wallet/security/passkeys/{passkey_id}/name": 409,
}
"""What is answered to a stranger without a look at the id, so that it tells nothing: one's own list, or that a passkey
is asked for first."""
MOVES_BY_ITSELF = ("identity.sessions", "trust.api_keys")


@dataclass(frozen=True)
class World:
    """Things of a person and of their shop. things: by the name that addresses give them, or by name and place."""

    town: Town
    things: dict[str, str]

    def fill(self, path: str) -> str | None:
        """The address with these things' ids; None where one is not known."""
        found = path
        for name in re.findall(r"{(\w+)}", path):
            thing = next(
                (self.things[key] for key in (f"{path.split('{')[0]}{name}", name) if key in self.things),
                None,
            )
            if thing is None:
                return None
            found = found.replace(f"{{{name}}}", thing)
        return found


@pytest.fixture
def world(ctx: Context, home: Path) -> Iterator[World]:
    rails_at.cache_clear()
    town = shops.build(ctx, home)
    yield World(town, build(ctx, town, home))
    rails_at.cache_clear()
    assert isinstance(ctx.clock, FixedClock)
    ctx.clock.at = NOON


def build(ctx: Context, town: Town, home: Path) -> dict[str, str]:
    """One of each kind of thing, of Gao Lan or of her shop."""
    assert isinstance(ctx.clock, FixedClock)
    me, other, now = town.owner.account_id, town.buyer.account_id, ctx.clock.now()
    rail = next(iter(rails_at(home, demo=True).values()))
    sealer = means_of(home, demo=True).sealer
    prove_names(ctx, sealer, [town.owner])
    bank = bank_accounts.add(ctx, rail, sealer, me, "6222001234567890", "CNY", may_pull=True)
    ctx.clock.at += timedelta(days=1)
    now = ctx.clock.now()
    yuan = Money(1_00, "CNY")
    sale = merchants.pay_order(ctx, town.order(minor=5_00).order_id, town.asker())
    refund = merchants.refund(ctx, new_id(), sale.sale.payment_id, amount=yuan, reason="Cold", by="person:x")
    mine = payments.create(
        ctx,
        [
            payments.NewPayment(
                payment_id=new_id(), payee_id=town.shop.payee_id, amount=yuan, by="x", payer=me
            )
        ],
    )[0]
    assert isinstance(mine, payments.Payment)
    link = transfers.send(
        ctx,
        wallets.NewTransfer(
            transfer_id=new_id(), sender_id=me, receiver_id=None, amount=yuan, session_at=now
        ),
    )
    request = requests.ask(
        ctx, wallets.NewRequest(request_id=new_id(), asker_id=me, payer_id=other, amount=yuan, note="")
    )
    split = requests.split(
        ctx,
        wallets.NewSplit(
            split_id=new_id(),
            owner_id=me,
            title="Tea",
            total=Money(4_00, "CNY"),
            way=wallets.SplitWay.EQUAL,
            among=((me, 1), (other, 1)),
        ),
    )
    out = withdrawals.begin(
        ctx,
        rail,
        wallets.NewWithdrawal(
            withdrawal_id=new_id(), account_id=me, amount=yuan, bank_account_id=bank.bank_account_id
        ),
        session_at=now,
    )
    into = top_ups.begin(
        ctx,
        rail,
        wallets.NewTopUp(
            top_up_id=new_id(), account_id=me, amount=yuan, bank_account_id=bank.bank_account_id
        ),
    )
    batch, _ = vouchers.make(
        ctx,
        wallets.NewBatch(
            batch_id=new_id(),
            issuer_id="hangzhou-card",
            value=yuan,
            count=3,
            expires_at=now + timedelta(days=9),
        ),
        by="x",
    )
    granted = approval.grant_delegation(
        ctx,
        me,
        approval.NewDelegation(
            delegation_id=new_id(), delegate_id=other, kind="carer", currency="CNY", payment_minor=1,
            day_minor=1, month_minor=1, ends_at=now + timedelta(days=9),
        ),
    )  # fmt: skip
    mandate, _ = approval.ask_mandate(
        ctx,
        approval.NewMandate(
            mandate_id=new_id(), account_id=me, payee_key=f"payee:{town.shop.payee_id}", payee_name="Tea",
            member_id="hangzhou-card", currency="CNY", each_minor=1, period="day", period_minor=1,
            ends_at=now + timedelta(days=9),
        ),
    )  # fmt: skip
    quote = payments.make_quote(
        ctx,
        payments.NewQuote(
            quote_id=new_id(),
            account_id=me,
            pays="CNY",
            gets=Money(10, "CAD"),
            payee_key="",
            by=f"person:{me}",
        ),
    )
    product = shops.pagoda(town)
    with ctx.tx() as tx:
        slot = merchants.list_slots(tx, product.product_id, first=now, last=now + timedelta(days=2))[0]
    entry = merchants.order_tickets(
        ctx, new_id(), slot.slot_id, account_id=me, wanted={"child": 1}, made_by=f"person:{me}"
    )
    merchants.pay_order(ctx, entry.order_id, town.asker("Gao Lan"))
    phone = PayingPhone(ctx, town.league)
    with ctx.tx() as tx:
        device = Authenticator()
        options = identity.begin_registration(tx, me, person="x", rp=RP, purpose="add", owner="h", at=now)
        passkey = identity.finish_registration(
            tx, device.create(options), rp=RP, purpose="add", owner="h", name="Phone", at=now
        )
        session = identity.find_session(tx, identity.start_session(tx, me, now), now)
        ticket = merchants.tickets_of_order(tx, entry.order_id)[0]
        endpoint = tx.execute("select gen_random_uuid()").fetchone()
    assert session is not None and endpoint is not None
    order = town.order(2, 3_00)
    return {
        "payment_id": str(mine.payment_id),
        "/v1/merchants/payment_id": str(sale.sale.payment_id),
        "/merchant/payment_id": str(sale.sale.payment_id),
        "/wallet/pay/done/payment_id": str(sale.sale.payment_id),
        "refund_id": str(refund.refund_id),
        "approval_id": str(approval.approval_id_of("mandate", mandate.mandate_id)),
        "transfer_id": str(link.transfer_id),
        "/wallet/papers/transfer_id": str(legs.take_id(link)),
        "/wallet/receipts/transfer_id": str(legs.take_id(link)),
        "request_id": str(request.request_id),
        "split_id": str(split.split_id),
        "withdrawal_id": str(out.withdrawal_id),
        "top_up_id": str(into.top_up_id),
        "bank_account_id": str(bank.bank_account_id),
        "batch_id": str(batch.batch_id),
        "delegation_id": str(granted.delegation_id),
        "mandate_id": str(mandate.mandate_id),
        "pull_id": str(new_id()),
        "quote_id": str(quote.quote_id),
        "merchant_id": str(SHOP),
        "order_id": str(order.order_id),
        "product_id": str(product.product_id),
        "ticket_id": str(ticket.ticket_id),
        "phone_id": str(phone.phone_id),
        "passkey_id": str(passkey.passkey_id),
        "session_id": str(session.session_id),
        "account_id": str(me),
        "owner_id": str(me),
        "payee_id": town.shop.payee_id,
        "contact_id": str(new_id()),
        "guardianship_id": str(new_id()),
        "card_id": str(new_id()),
        "endpoint_id": str(endpoint[0]),
        "key_id": new_id().hex[:16],
        "purpose": "research",
    }


def example(of: Any, name: str, things: dict[str, str]) -> Any:
    """A value of this type that reads well. name: of the field it is for."""
    if get_origin(of) is not None and of.__class__.__name__ == "_AnnotatedAlias":
        of = get_args(of)[0]
    origin, args = get_origin(of), get_args(of)
    if isinstance(of, type) and issubclass(of, msgspec.Struct):
        return {
            field.name: example(field.type, field.name, things)
            for field in msgspec.structs.fields(of)
            if field.required or field.name in ("amount", "reason", "minor")
        }
    if of is UUID:
        return things.get(name, str(new_id()))
    if of is bool:
        return True
    if of is int:
        return 1
    if origin is list:
        return [example(args[0], name, things)]
    if origin is dict:
        return {example(args[0], name, things): example(args[1], name, things)}
    if str(origin) == "typing.Literal":
        return args[0]
    if args:  # one of several
        return example(args[0], name, things)
    if getattr(of, "__name__", "") == "datetime":
        return (NOON + timedelta(days=3)).isoformat()
    return {"currency": "CNY", "nonce": "00" * 16}.get(name, "1")


def routes() -> dict[str, HTTPRouteHandler]:
    """The routes with an id in their address, by method and address."""
    found: dict[str, HTTPRouteHandler] = {}
    for route in _application(None).routes:
        path = re.sub(r"{(\w+):\w+}", r"{\1}", route.path)
        for handler in getattr(route, "route_handlers", ()):
            if not path.startswith(WALKED) or "{" not in path or path.startswith(OTHERS):
                continue
            for method in handler.http_methods - {"OPTIONS", "HEAD"}:
                found[f"{method} {path}"] = handler
    return {name: found[name] for name in sorted(found) if not name.startswith(PUBLIC)}


def state(ctx: Context) -> dict[str, str]:
    """All that is kept, table by table."""
    with ctx.tx() as tx:
        names = [
            f"{schema}.{table}"
            for schema, table in tx.execute(
                "select schemaname, tablename from pg_tables where schemaname = any(%s)", (list(SCHEMAS),)
            ).fetchall()
        ]
        kept: dict[str, str] = {}
        for name in sorted(set(names) - set(MOVES_BY_ITSELF)):
            query = f"select md5(string_agg(t::text, '|' order by t::text)) from {name} t"
            row = tx.execute(query.encode()).fetchone()
            kept[name] = "" if row is None else row[0]
    return kept


def ask(client: Client, name: str, handler: HTTPRouteHandler, world: World, more: dict[str, str]) -> Any:
    method, _, path = name.partition(" ")
    address = world.fill(path)
    assert address is not None, f"{name}: make one of these in this test, or say why not"
    sent: dict[str, Any] = {}
    field = handler.parsed_fn_signature.parameters.get("data")
    if field is not None:
        body = example(field.raw, "", world.things)
        sent = (
            {"json": body}
            if path.startswith("/v1/") or "Json" in repr(field.kwarg_definition)
            else {"data": body}
        )
        if path.endswith(("/token", "/entry/read")):
            sent = {"json": body}
    headers = {"accept": "application/json", "idempotency-key": str(new_id())} | more
    return client.request(method, address, headers=headers, follow_redirects=False, **sent)


@pytest.mark.parametrize("who", ["a stranger", "another's key", "nobody"])
def test_nobody_reads_or_moves_anothers_things(
    ctx: Context, stranger: Client, world: World, who: str
) -> None:
    headers: dict[str, str] = {}
    if who == "a stranger":
        account = world.town.league.riders["Omar Singh"]
        stranger.post("/wallet/sign-in", data={"account_id": str(account.account_id)}, follow_redirects=False)
    elif who == "another's key":
        with ctx.tx() as tx:
            secret = trust.create_api_key(tx, "toronto-card", sorted(every_scope()), at=ctx.clock.now())
        headers["authorization"] = f"Bearer {secret}"
    asked = routes()
    for path in ("/wallet/cards", "/wallet/me"):  # what is kept of the stranger at a first look
        stranger.get(path)
    before = state(ctx)

    wrong: dict[str, str] = {}
    for name, handler in asked.items():
        answer = ask(stranger, name, handler, world, headers)
        to_sign_in = answer.status_code in (302, 303, 307) and answer.headers["location"] == "/wallet/"
        if who == "a stranger" and HARMLESS.get(name) == answer.status_code:
            continue
        if answer.status_code not in (401, 403, 404) and not (to_sign_in and who != "a stranger"):
            wrong[name] = f"{answer.status_code} {answer.headers.get('location', '')} {answer.text[:150]}"

    assert len(asked) > 120
    assert wrong == {}, "\n".join(f"{name}: {text}" for name, text in wrong.items())
    after = state(ctx)
    assert {name for name in after if after[name] != before[name]} == set()


ENDLESS = ("/wallet/notices/stream",)
"""Answers that have no end of their own."""


def test_asking_changes_nothing(ctx: Context, client: Client, world: World) -> None:
    """Every GET of the wallet, the shops and the interface, by whose things they are: only looking is what it does."""
    account_id = str(world.town.owner.account_id)
    client.post("/wallet/sign-in", data={"account_id": account_id}, follow_redirects=False)
    found = {re.sub(r"{(\w+):\w+}", r"{\1}", one.path): one for one in _application(None).routes}
    paths = [
        address
        for path, route in sorted(found.items())
        if path.startswith(WALKED) and path not in ENDLESS and "GET" in getattr(route, "methods", ())
        if (address := world.fill(path)) is not None
    ]

    answered: list[int] = []
    kept: list[dict[str, str]] = []
    for _ in range(2):  # at a first look a card, or a code, is made for whoever has none yet
        answered = [client.get(path, follow_redirects=False).status_code for path in paths]
        kept.append(state(ctx))

    assert len(paths) > 150 and answered.count(200) > 80 and max(answered) < 500
    assert {name for name in kept[1] if kept[1][name] != kept[0][name]} == set()
