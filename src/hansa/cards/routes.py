"""HTTP for city cards: what is offered, one's own, and an issuer's desk."""

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from litestar import get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, PathParameter, QueryParameter

from hansa import approval, identity, payments, trust
from hansa.cards import actions, by_payment, fees
from hansa.cards.model import (
    COSTS_MAX,
    FACES,
    Card,
    CardDiffers,
    CardHeld,
    CardMoved,
    Fee,
    FeeMoved,
    FeeNotCovered,
    NoDeposit,
    NotCleared,
    NotEligible,
    PaidAtCounter,
    Product,
    ProductDiffers,
    UnknownCard,
    UnknownProduct,
)
from hansa.identity import AccountId, ProofLevel, Sealer
from hansa.kernel import InvalidInput
from hansa.store import Context, Tx

Words = Annotated[str, msgspec.Meta(max_length=300)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=80)]
Minor = Annotated[int, msgspec.Meta(ge=0, le=COSTS_MAX)]
Age = Annotated[int, msgspec.Meta(ge=0, le=150)]
ProductId = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$")]
AskedState = Annotated[
    Literal["applied", "refused", "active", "suspended", "expired", "ended"] | None,
    QueryParameter(name="state"),
]
After = Annotated[str, QueryParameter(max_length=40, description="`next` of the page before")]
CARDS_MAX = 100


class ProductView(msgspec.Struct, frozen=True):
    """A card that is offered. min_level: how well its holder must be known: none, contact, name or document.

    min_age, max_age: whole years, both included. document: what the issuer's desk must see; empty where nothing.
    price_minor, deposit_minor: what it costs and what comes back when it is handed in, minor units of ``currency``.
    """

    product_id: str
    issuer_id: str
    city_id: str
    name: str
    rider_class: str
    face: str
    min_level: str
    min_age: int | None
    max_age: int | None
    document: str
    valid_months: int
    price_minor: int
    deposit_minor: int
    currency: str
    status: str


class ProductList(msgspec.Struct, frozen=True):
    """Cards that are offered, by city and class."""

    card_products: list[ProductView]


class NewProduct(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A card that you offer. face: one of sea, teal, amber, plum, slate."""

    product_id: ProductId
    city_id: Annotated[str, msgspec.Meta(min_length=1, max_length=60)]
    name: Name
    rider_class: Literal["adult", "child", "senior", "student"]
    face: Literal["sea", "teal", "amber", "plum", "slate"] = "sea"
    min_level: Literal["none", "contact", "name", "document"] = "none"
    min_age: Age | None = None
    max_age: Age | None = None
    document: Annotated[str, msgspec.Meta(max_length=80)] = ""
    valid_months: Annotated[int, msgspec.Meta(ge=1, le=240)] = 60
    price_minor: Minor = 0
    deposit_minor: Minor = 0
    currency: Annotated[str, msgspec.Meta(pattern=r"^([A-Z]{3})?$")] = ""


class FeeView(msgspec.Struct, frozen=True):
    """What is paid for a card, minor units. state: due, approving, paying, paid or dropped.

    way: wallet, counter, or payment, which another issuer's card is paid by: payment_id, at /v1/payments. next_action:
    what its holder has to do before it goes on.

    cleared: its holder may have it, so it can be paid. deposit: none, held, returning, returned, keeping or kept.
    """

    currency: str
    price_minor: int
    deposit_minor: int
    state: str
    cleared: bool
    way: str
    deposit: str
    payment_id: UUID | None
    next_action: approval.NextAction | None


class CardView(msgspec.Struct, frozen=True):
    """A card. state: applied, refused, active, suspended, expired or ended. number_end: its last four digits.

    valid_until: the last day it is good. reason: why it stands so, where somebody said why. replaces: the card that was
    lost, whose place it takes. fee: what is paid for it; null for a card that costs nothing.
    """

    card_id: UUID
    account_id: UUID
    product: ProductView
    state: str
    number_end: str | None
    valid_until: date | None
    applied_at: datetime
    changed_at: datetime
    reason: str
    replaces: UUID | None
    fee: FeeView | None


class CardList(msgspec.Struct, frozen=True):
    """Cards, the oldest application first. next: send it as ``after`` for more; null at the end."""

    cards: list[CardView]
    next: UUID | None = None


class Application(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which card you would like. card_id: of your making, so that sending it again is harmless."""

    card_id: UUID
    product_id: ProductId


class Replacement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Another card for one that was lost. new_card_id: of your making, so that sending it again is harmless."""

    new_card_id: UUID


class HandedIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A card that you were given back. deposit_to: its holder's wallet, or over the counter."""

    deposit_to: Literal["wallet", "counter"]


class Reason(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why."""

    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=300)]


class CardPayment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a card is paid. quote_id: from a wallet in another currency, by a quote of yours for exactly its `fee`."""

    quote_id: UUID | None = None


class Offering(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether a card can be had from now on, and why that changes."""

    offered: bool
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=300)]


class CardDecision(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a card is to go, and why. active: grants an application, or puts a suspended card in force again."""

    state: Literal["active", "refused", "suspended", "ended"]
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=300)]


@get("/v1/card-products", sync_to_thread=True, tags=["Cards"], opt={"refuses": (InvalidInput,)})
def list_card_products(
    ctx: NamedDependency[Context], issuer_id: Annotated[str, QueryParameter(max_length=60)] = ""
) -> ProductList:
    """Cards that are offered: of an issuer, or of all."""
    with ctx.tx() as tx:
        return ProductList([_product(one) for one in actions.list_products(tx, issuer_id=issuer_id or None)])


@post(
    "/v1/card-products",
    sync_to_thread=True,
    status_code=200,
    tags=["Cards"],
    opt={"needs": "cards:write", "refuses": (ProductDiffers, InvalidInput)},
)
def offer_card(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], data: JSONBody[NewProduct]
) -> ProductView:
    """Offer a card of yours. Sending it again is harmless."""
    caller.require("cards:write")
    with ctx.tx() as tx:
        issuers = _issuers(tx, caller)
        wanted = Product(
            product_id=data.product_id,
            issuer_id=next(iter(issuers), ""),
            city_id=data.city_id,
            name=data.name,
            rider_class=data.rider_class,
            face=FACES[FACES.index(data.face)],
            min_level=ProofLevel[data.min_level.upper()],
            min_age=data.min_age,
            max_age=data.max_age,
            document=data.document,
            valid_months=data.valid_months,
            price_minor=data.price_minor,
            deposit_minor=data.deposit_minor,
            currency=data.currency,
        )
        return _product(actions.offer(tx, wanted, by=caller.who, at=ctx.clock.now()))


@put(
    "/v1/card-products/{product_id:str}/offered",
    sync_to_thread=True,
    tags=["Cards"],
    opt={"needs": "cards:write", "refuses": (UnknownProduct, InvalidInput)},
)
def set_offered(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    product_id: Annotated[str, PathParameter(max_length=64)],
    data: JSONBody[Offering],
) -> ProductView:
    """Offer a card of yours again, or no more: those that were given stay good. Again changes nothing."""
    caller.require("cards:write")
    with ctx.tx() as tx:
        changed = actions.set_offered(
            tx,
            _issuers(tx, caller),
            product_id,
            offered=data.offered,
            by=caller.who,
            reason=data.reason,
            at=ctx.clock.now(),
        )
        return _product(changed)


@get("/v1/me/cards", sync_to_thread=True, tags=["Cards"], opt={"who": ("session",)})
def list_own_cards(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], sealer: NamedDependency[Sealer]
) -> CardList:
    """Your cards."""
    found = actions.own_cards(ctx, sealer, _person(caller))
    return CardList([_card(one) for one in found])


@post(
    "/v1/me/cards",
    sync_to_thread=True,
    status_code=200,
    tags=["Cards"],
    opt={"who": ("session",), "refuses": (UnknownProduct, CardHeld, CardDiffers, NotEligible)},
)
def apply_for_card(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    sealer: NamedDependency[Sealer],
    data: JSONBody[Application],
) -> CardView:
    """Apply for a card. It is active at once where your proof suffices, else it waits for the issuer's desk."""
    return _card(actions.apply(ctx, sealer, _person(caller), data.card_id, data.product_id))


@post(
    "/v1/me/cards/{card_id:uuid}/renew",
    sync_to_thread=True,
    status_code=200,
    tags=["Cards"],
    opt={"who": ("session",), "refuses": (UnknownCard, CardMoved, NotEligible)},
)
def renew_card(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    sealer: NamedDependency[Sealer],
    card_id: FromPath[UUID],
) -> CardView:
    """Go on with a card that runs out soon."""
    return _card(actions.renew(ctx, sealer, _person(caller), card_id))


@post(
    "/v1/me/cards/{card_id:uuid}/end",
    sync_to_thread=True,
    status_code=200,
    tags=["Cards"],
    opt={"who": ("session",), "refuses": (UnknownCard, FeeMoved, InvalidInput)},
)
def end_card(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    card_id: FromPath[UUID],
    data: JSONBody[Reason],
) -> CardView:
    """Give a card back, or say that it was lost. Again is harmless."""
    return _card(actions.end_own(ctx, _person(caller), card_id, reason=data.reason))


@post(
    "/v1/me/cards/{card_id:uuid}/replacement",
    sync_to_thread=True,
    status_code=200,
    tags=["Cards"],
    opt={"who": ("session",), "refuses": (UnknownCard, CardMoved, CardDiffers)},
)
def replace_card(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    sealer: NamedDependency[Sealer],
    card_id: FromPath[UUID],
    data: JSONBody[Replacement],
) -> CardView:
    """Have another card for one that was lost: the old number is good no more. What your wallet holds stays yours."""
    return _card(actions.replace_lost(ctx, sealer, _person(caller), card_id, data.new_card_id))


@get("/v1/cards", sync_to_thread=True, tags=["Cards"], opt={"needs": "cards:read", "refuses": (UnknownCard,)})
def list_cards(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    asked_state: AskedState = None,
    after: After = "",
) -> CardList:
    """Cards that you issued, or that wait for you, the oldest application first."""
    caller.require("cards:read")
    with ctx.tx() as tx:
        issuers = _issuers(tx, caller)
        mark = None
        if after:
            last = actions.get_card(tx, issuers, _uuid(after))
            mark = (last.applied_at, last.card_id)
        found = actions.list_cards(tx, issuers, state=asked_state, after=mark, limit=CARDS_MAX + 1)
        shown = found[:CARDS_MAX]
        holders = [AccountId(one.account_id) for one in shown]
        identity.saw_all(tx, holders, caller.who, "profile", identity.BY_PROGRAM, ctx.clock.now())
    return CardList([_card(one) for one in shown], shown[-1].card_id if len(found) > CARDS_MAX else None)


@post(
    "/v1/cards/{card_id:uuid}/decision",
    sync_to_thread=True,
    status_code=200,
    tags=["Cards"],
    opt={"needs": "cards:write", "refuses": (UnknownCard, CardMoved, FeeMoved, InvalidInput)},
)
def decide_card(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    sealer: NamedDependency[Sealer],
    card_id: FromPath[UUID],
    data: JSONBody[CardDecision],
) -> CardView:
    """Grant or refuse an application, suspend a card, put it in force again, or end it."""
    caller.require("cards:write")
    with ctx.tx() as tx:
        issuers = _issuers(tx, caller)
    return _card(actions.decide(ctx, sealer, issuers, card_id, data.state, by=caller.who, reason=data.reason))


@post(
    "/v1/cards/{card_id:uuid}/payment",
    sync_to_thread=True,
    status_code=200,
    tags=["Cards"],
    opt={"needs": "cards:write", "refuses": (UnknownCard, FeeMoved, NotCleared)},
)
def take_card_payment(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], card_id: FromPath[UUID]
) -> CardView:
    """You took the money for a card at a counter: it is in force. Again is harmless: a card is paid once."""
    caller.require("cards:write")
    with ctx.tx() as tx:
        issuers = _issuers(tx, caller)
    return _card(fees.take_at_counter(ctx, issuers, card_id, by=caller.who))


@post(
    "/v1/cards/{card_id:uuid}/return",
    sync_to_thread=True,
    status_code=200,
    tags=["Cards"],
    opt={"needs": "cards:write", "refuses": (UnknownCard, NoDeposit, PaidAtCounter)},
)
def take_card_back(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    card_id: FromPath[UUID],
    data: JSONBody[HandedIn],
) -> CardView:
    """You were given a card back: it ends, and its deposit returns. Again is harmless: a deposit returns once."""
    caller.require("cards:write")
    with ctx.tx() as tx:
        issuers = _issuers(tx, caller)
    return _card(fees.hand_in(ctx, issuers, card_id, to=data.deposit_to, by=caller.who))


@post(
    "/v1/me/cards/{card_id:uuid}/pay",
    sync_to_thread=True,
    status_code=200,
    tags=["Cards"],
    opt={
        "who": ("session",),
        "refuses": (
            UnknownCard, FeeMoved, NotCleared, PaidAtCounter, FeeNotCovered, identity.AccountBlocked,
            approval.LimitReached, approval.SpendingFrozen, payments.QuoteExpired, payments.QuoteUsed,
            payments.QuoteDiffers, payments.UnknownQuote,
        ),
    },
)  # fmt: skip
def pay_card(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    card_id: FromPath[UUID],
    data: JSONBody[CardPayment | None] = None,
) -> CardView:
    """Pay a card of yours from your wallet, once however often it is asked. Another issuer's is paid by a payment.

    One in a currency that your wallet has not is paid by a quote (`POST /v1/quotes`, what arrives fixed).
    """
    quote_id = None if data is None else data.quote_id
    return _card(fees.pay(ctx, _person(caller), card_id, session_at=None, quote_id=quote_id))


def _person(caller: trust.Caller) -> AccountId:
    """Errors: trust.NotSignedIn."""
    if caller.account_id is None:
        raise trust.NotSignedIn("Sign in to your wallet first.")
    return AccountId(UUID(caller.account_id))


def _issuers(tx: Tx, caller: trust.Caller) -> list[str]:
    """The issuers this key acts for: its own member, or for the league all."""
    if caller.kind == "league":
        return [one.member_id for one in trust.list_members(tx) if one.role == "issuer"]
    return [caller.member_id] if caller.member_id else []


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise UnknownCard from error


def _product(one: Product) -> ProductView:
    return ProductView(
        one.product_id,
        one.issuer_id,
        one.city_id,
        one.name,
        one.rider_class,
        one.face,
        one.min_level.name.lower(),
        one.min_age,
        one.max_age,
        one.document,
        one.valid_months,
        one.price_minor,
        one.deposit_minor,
        one.currency,
        one.status,
    )


def _card(one: Card) -> CardView:
    return CardView(
        one.card_id,
        one.account_id,
        _product(one.product),
        one.state,
        one.number_end,
        one.valid_until,
        one.applied_at,
        one.changed_at,
        one.reason,
        one.replaces,
        None if one.fee is None else _fee(one.fee),
    )


def _fee(one: Fee) -> FeeView:
    by = by_payment.payment_of(one) if one.way == "payment" and one.state in ("paying", "paid") else None
    waits = None
    if one.state == "approving":
        approval_id = approval.approval_id_of(fees.SUBJECT, fees.spend_of(one))
        waits = approval.NextAction("approve", f"/wallet/approvals/{approval_id}")
    elif by is not None and one.state == "paying":
        waits = approval.NextAction("approve", "/wallet/approvals")
    return FeeView(
        one.currency,
        one.price_minor,
        one.deposit_minor,
        one.state,
        one.cleared,
        one.way,
        one.deposit,
        by,
        waits,
    )


ROUTES = [
    list_card_products,
    offer_card,
    set_offered,
    list_own_cards,
    apply_for_card,
    renew_card,
    end_card,
    replace_card,
    pay_card,
    list_cards,
    decide_card,
    take_card_payment,
    take_card_back,
]
