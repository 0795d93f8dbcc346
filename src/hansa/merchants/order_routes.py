"""HTTP of QR orders beyond making one: list a shop's, pay one as a person; and where customers go back to."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from litestar import Request, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, PathParameter, QueryParameter

from hansa import approval, identity, payments, trust
from hansa.identity import AccountId
from hansa.kernel import InvalidInput, Money, mark_text, paged, read_mark
from hansa.merchants import actions, offers, qr_orders, sales, sites
from hansa.merchants import model as shops
from hansa.merchants.routes import After, QrOrderView, order_view, person_of, shop_of
from hansa.store import Context, Tx

Asking = Request[Any, Any, Any]
Limit = Annotated[int, QueryParameter(ge=1, le=200)]
PayeePath = Annotated[str, PathParameter(max_length=64)]
Origin = Annotated[str, msgspec.Meta(min_length=1, max_length=300)]


class QrOrderList(msgspec.Struct, frozen=True):
    """Some of a shop's orders, the newest first; ``next`` asks for those before them."""

    qr_orders: list[QrOrderView]
    next: str | None = None


class PayOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How an order is paid. tip_minor: where the order lets the payer name a tip.

    owner_id: from whose wallet, where its owner lets you spend; your own unless given. quote_id: by which a wallet in
    another currency pays, exactly the order's amount and tip.
    """

    tip_minor: Annotated[int, msgspec.Meta(ge=0, le=qr_orders.AMOUNT_MAX)] = 0
    owner_id: UUID | None = None
    quote_id: UUID | None = None


class Purchase(msgspec.Struct, frozen=True):
    """What you bought. state: `paid`, `begun` while it waits (for your approval at `approve_at`), or `failed`.

    pays: what leaves the wallet, in its own currency. payer_id: whose wallet. spender_id: who spent from it, where
    that was not its owner. reason: where it failed, the code of why, with a page at /errors.
    """

    payment_id: UUID
    merchant_id: UUID
    qr_order_id: UUID | None
    state: Literal["begun", "paid", "failed"]
    amount: Money
    pays: Money
    tip_minor: int
    payer_id: UUID
    spender_id: UUID | None
    reason: str
    approve_at: str | None


class ReturnOrigins(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sites to which your customers may go back once they paid: ``https://shop.example``, with no path; at most 10."""

    origins: Annotated[list[Origin], msgspec.Meta(max_length=offers.ORIGINS_MAX)]


class ReturnOriginsView(msgspec.Struct, frozen=True):
    """A payee's sites, in order. waiting: those that wait for another owner of the shop, by its terms; else null."""

    payee_id: str
    origins: list[str]
    waiting: "WaitingSites | None" = None


class WaitingSites(msgspec.Struct, frozen=True):
    """Sites that an owner named and another has not agreed to."""

    asked_id: UUID
    origins: list[str]
    asked_by: UUID
    expires_at: datetime


class SitesAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An answer of another owner. agree: false has them not."""

    asked_id: UUID
    agree: bool


class ShopTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A shop's terms. second_owner: another owner agrees to the sites that an owner names."""

    second_owner: bool


@get(
    "/v1/qr-orders",
    sync_to_thread=True,
    tags=["Merchants"],
    opt={"needs": "merchants:read", "who": ("key", "session"), "refuses": (shops.UnknownMerchant,)},
)
def list_qr_orders(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    merchant_id: FromQuery[UUID],
    after: After = "",
    limit: Limit = 50,
) -> QrOrderList:
    """What a shop of yours asked to be paid, the newest first."""
    before = read_mark(after)
    with ctx.tx() as tx:
        shop_of(tx, caller, merchant_id, "merchants:read")
        found = qr_orders.list_orders(tx, merchant_id, before=before, limit=limit + 1)
        page, more = paged(found, limit, lambda one: mark_text(one.made_at, one.order_id))
        return QrOrderList([order_view(tx, one, ctx) for one in page], more)


@post(
    "/v1/qr-orders/{order_id:uuid}/pay",
    sync_to_thread=True,
    status_code=200,
    tags=["Merchants"],
    opt={
        "who": ("session",),
        "idempotent": True,
        "refuses": (
            shops.UnknownOrder,
            shops.MerchantNotOpen,
            shops.OrderPaid,
            shops.OrderBeingPaid,
            shops.OrderOver,
            approval.NotDelegated,
            payments.UnknownQuote,
            payments.QuoteExpired,
            payments.QuoteUsed,
            payments.QuoteDiffers,
            InvalidInput,
        ),
    },
)
def pay_qr_order(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    order_id: FromPath[UUID],
    data: JSONBody[PayOrder],
) -> Purchase:
    """Pay what a code that you scanned asks for, from your wallet or one that its owner lets you spend from.

    Look at `state`. A sign-in over the interface approves nothing by itself: `approve_at` is the page where you do.
    """
    me = person_of(caller)
    owner = me if data.owner_id is None else AccountId(data.owner_id)
    asker = sales.Asker(
        account_id=owner,
        by=caller.who,
        quote_id=data.quote_id,
        spender=None if owner == me else me,
    )
    bought = sales.pay_order(ctx, order_id, asker, tip_minor=data.tip_minor)
    return _purchase(bought)


@get(
    "/v1/payees/{payee_id:str}/return-origins",
    sync_to_thread=True,
    tags=["Merchants"],
    opt={
        "needs": "payments:read",
        "who": ("key", "session"),
        "refuses": (payments.UnknownPayeeId, shops.OwnersOnly),
    },
)
def read_return_origins(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], payee_id: PayeePath
) -> ReturnOriginsView:
    """To which sites customers of your payee may go back from the page on which they paid."""
    with ctx.tx() as tx:
        _check_payee(tx, caller, payee_id, "payments:read")
        return _sites(tx, payee_id, ctx.clock.now())


@put(
    "/v1/payees/{payee_id:str}/return-origins",
    sync_to_thread=True,
    tags=["Merchants"],
    opt={
        "needs": "payments:write",
        "who": ("key", "session"),
        "refuses": (payments.UnknownPayeeId, shops.OwnersOnly, InvalidInput, identity.VerifyAnew),
    },
)
def set_return_origins(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    request: Asking,
    payee_id: PayeePath,
    data: JSONBody[ReturnOrigins],
) -> ReturnOriginsView:
    """Name the sites to which customers of your payee may go back; those that you leave out are no more.

    With a sign-in, within five minutes of proving at /wallet/verify who you are.

    Send a customer to the `url` of `next_action` with `return_to=` and an address on one of them. The page shows a way
    back with `payment_id` added; what became of the payment you read at `/v1/payments/{payment_id}`.
    """
    at = ctx.clock.now()
    with ctx.tx() as tx:
        _check_payee(tx, caller, payee_id, "payments:write")
        if caller.account_id is not None:
            _refuse_stale(tx, request, at)
            sites.name_sites(tx, UUID(payee_id), data.origins, by=person_of(caller), at=at)
        else:
            offers.set_return_origins(tx, payee_id, data.origins, by=caller.who, at=at)
        return _sites(tx, payee_id, at)


@post(
    "/v1/payees/{payee_id:str}/return-origins/answer",
    sync_to_thread=True,
    status_code=200,
    tags=["Merchants"],
    opt={
        "who": ("session",),
        "refuses": (
            payments.UnknownPayeeId,
            shops.OwnersOnly,
            sites.UnknownSitesAsked,
            sites.SecondOwnerNeeded,
            identity.VerifyAnew,
        ),
    },
)
def answer_return_origins(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    request: Asking,
    payee_id: PayeePath,
    data: JSONBody[SitesAnswer],
) -> ReturnOriginsView:
    """Agree to the sites that another owner of your shop named, or have them not; your own you take back.

    Within five minutes of proving at /wallet/verify who you are.
    """
    at = ctx.clock.now()
    me = person_of(caller)
    with ctx.tx() as tx:
        _check_payee(tx, caller, payee_id, "")
        _refuse_stale(tx, request, at)
        sites.answer_sites(tx, UUID(payee_id), data.asked_id, agree=data.agree, by=me, at=at)
        return _sites(tx, payee_id, at)


@put(
    "/v1/merchants/{merchant_id:uuid}/terms",
    sync_to_thread=True,
    tags=["Merchants"],
    opt={"needs": "merchants:write", "refuses": (shops.UnknownMerchant,)},
)
def set_shop_terms(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    merchant_id: FromPath[UUID],
    data: JSONBody[ShopTerms],
) -> ShopTerms:
    """Set the terms of a shop of yours, as its acquirer. Again changes nothing."""
    caller.require("merchants:write")
    with ctx.tx() as tx:
        shop = actions.get_merchant(tx, merchant_id)
        if caller.kind != "league" and caller.member_id != shop.member_id:
            raise shops.UnknownMerchant
        sites.set_terms(tx, merchant_id, second_owner=data.second_owner, by=caller.who, at=ctx.clock.now())
    return data


ROUTES = [
    list_qr_orders, pay_qr_order, read_return_origins, set_return_origins, answer_return_origins, set_shop_terms,
]  # fmt: skip


def _refuse_stale(tx: Tx, request: Asking, at: datetime) -> None:
    """Go on where the person proved just now who they are. Errors: trust.NotSignedIn, identity.VerifyAnew."""
    secret = identity.secret_in(request.cookies, secure=request.url.scheme == "https")
    session = identity.find_session(tx, secret, at)
    if session is None:
        raise trust.NotSignedIn
    has_passkey = bool(identity.list_passkeys(tx, session.account_id))
    identity.refuse_stale(session, at, has_passkey=has_passkey, policy=identity.own_people_policy())


def _sites(tx: Tx, payee_id: str, at: datetime) -> ReturnOriginsView:
    try:
        asked = sites.find_sites_asked(tx, UUID(payee_id), at)
    except ValueError:
        asked = None
    waiting = None
    if asked is not None:
        waiting = WaitingSites(asked.asked_id, asked.origins, asked.asked_by, asked.expires_at)
    return ReturnOriginsView(payee_id, offers.list_return_origins(tx, payee_id), waiting)


def _check_payee(tx: Tx, caller: trust.Caller, payee_id: str, scope: str) -> None:
    """Go on for the payee's acquirer, the league, or an owner of the shop. Errors: UnknownPayeeId, OwnersOnly."""
    unknown = payments.UnknownPayeeId(f"There is no payee {payee_id[:64]!r}.")
    if caller.account_id is not None:
        try:
            actions.require_owner(tx, UUID(payee_id), person_of(caller))
        except (ValueError, shops.UnknownMerchant) as error:
            raise unknown from error
        return
    caller.require(scope)
    found = payments.get_payee(tx, payee_id)
    if caller.kind != "league" and caller.member_id != found.member_id:
        raise unknown


def _purchase(bought: sales.Bought) -> Purchase:
    sale, payment = bought.sale, bought.payment
    waits = payment.state is payments.PaymentState.REQUIRES_APPROVAL
    return Purchase(
        sale.payment_id,
        sale.merchant_id,
        sale.order_id,
        sale.state,
        sale.total,
        payment.paid,
        sale.tip_minor,
        sale.payer,
        sale.spender,
        payment.step.reason if payment.step is not None and sale.state == "failed" else "",
        f"/wallet/approvals/{approval.approval_id_of(payments.SUBJECT, payment.spend_id)}" if waits else None,
    )
