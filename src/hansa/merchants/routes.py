"""HTTP for merchants: shops, QR orders, payments by a payer's code, entry tickets and their entries.

An acquirer's key acts for its shops, a person for those where they are owner or cashier.
"""

from datetime import date, datetime, timedelta
from typing import Annotated, Literal, get_args
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from hansa import identity, payments, trust
from hansa.codes import RiderClass
from hansa.codes.emvco import PaymentCodeRefused
from hansa.identity import AccountId
from hansa.kernel import InvalidInput, Money, in_utc, mark_text, paged, read_mark, service_day
from hansa.merchants import actions, daily, qr_orders, sales, tickets
from hansa.merchants import model as shops
from hansa.merchants.seats import Slot, SlotFull, UnknownSlot
from hansa.payments import payment_codes
from hansa.store import Context, Tx

Line = Annotated[str, msgspec.Meta(max_length=300)]
Currency = Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}$")]
Minor = Annotated[int, msgspec.Meta(ge=1, le=qr_orders.AMOUNT_MAX)]
CodeText = Annotated[str, msgspec.Meta(min_length=1, max_length=5_000)]
Limit = Annotated[int, QueryParameter(ge=1, le=200)]
CLASSES = len(get_args(RiderClass))
After = Annotated[str, QueryParameter(max_length=100, description="`next` of the page before")]
Count = Annotated[int, msgspec.Meta(ge=1, le=tickets.TICKETS_MAX)]

READS = (shops.UnknownMerchant,)


class OrderAmount(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much, in whole minor units of the shop's currency."""

    minor: Minor
    currency: Currency

    @property
    def money(self) -> Money:
        return Money(self.minor, self.currency)


class NewMerchant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A shop that you would like to open, at an acquirer. name: 1 to 25 Latin letters. category: ISO 18245."""

    member_id: Annotated[str, msgspec.Meta(min_length=1, max_length=60)]
    name: Line
    category: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{4}$")]
    address: Line
    local_name: Line = ""


class Decision(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether a shop is opened. reason: why it is not. fee_bp: what you keep of each sale, in basis points."""

    answer: Literal["open", "refuse"]
    reason: Line = ""
    fee_bp: Annotated[int, msgspec.Meta(ge=0, le=shops.FEE_BP_MAX)] = 60


class MerchantView(msgspec.Struct, frozen=True):
    """A shop. payee_id: under which payments know it. status: applied, open, refused or closed."""

    merchant_id: UUID
    payee_id: str
    member_id: str
    name: str
    local_name: str
    category: str
    city_id: str
    currency: str
    address: str
    fee_bp: int
    status: str
    applied_at: datetime
    reason: str


class MerchantList(msgspec.Struct, frozen=True):
    """Some shops, the newest first; ``next`` asks for those before them."""

    merchants: list[MerchantView]
    next: str | None = None


class NewQrOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a payer is to pay, once.

    tip_kind: ``prompt`` lets the payer name a tip; ``fixed`` adds tip_value minor units, ``percentage`` so many basis
    points. expires_in_s: 900 unless given, at most 31 days.
    """

    merchant_id: UUID
    amount: OrderAmount
    tip_kind: shops.TipKind = "none"
    tip_value: Annotated[int, msgspec.Meta(ge=0, le=qr_orders.AMOUNT_MAX)] = 0
    bill_number: Annotated[str, msgspec.Meta(max_length=shops.BILL_MAX)] = ""
    description: Line = ""
    till: Annotated[str, msgspec.Meta(max_length=shops.BILL_MAX)] = ""
    expires_in_s: Annotated[int, msgspec.Meta(ge=1, le=31 * 86_400)] = 900


class QrOrderView(msgspec.Struct, frozen=True):
    """A QR order. code: the text to draw as a QR code. state: open, claimed by a payer, paid, expired or canceled."""

    qr_order_id: UUID
    merchant_id: UUID
    amount: Money
    tip_kind: str
    tip_value: int
    bill_number: str
    description: str
    till: str
    state: str
    payment_id: UUID | None
    made_at: datetime
    expires_at: datetime
    code: str


class CodePayment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A payer's code, as it was scanned, and what they are to pay."""

    payment_code: CodeText
    amount: OrderAmount
    bill_number: Annotated[str, msgspec.Meta(max_length=shops.BILL_MAX)] = ""
    till: Annotated[str, msgspec.Meta(max_length=shops.BILL_MAX)] = ""


class SaleView(msgspec.Struct, frozen=True):
    """A sale. state: ``begun`` while it is under way or waits for the payer's approval, paid or failed."""

    payment_id: UUID
    merchant_id: UUID
    qr_order_id: UUID | None
    state: str
    amount: Money
    tip_minor: int
    refunded_minor: int
    channel: str
    bill_number: str
    till: str
    begun_at: datetime
    paid_at: datetime | None
    payment_state: str | None = None


class SaleList(msgspec.Struct, frozen=True):
    """Some of a shop's sales that are paid or under way, the newest first; ``next`` asks for those before them."""

    sales: list[SaleView]
    next: str | None = None


class SaleRefund(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much of a sale is given back, and why."""

    minor: Minor
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=shops.REASON_MAX)]


class SaleRefundView(msgspec.Struct, frozen=True):
    """Money of a sale on its way back. state: asked, done or failed."""

    refund_id: UUID
    payment_id: UUID
    minor: int
    state: str
    reason: str
    asked_at: datetime


class ShopDayView(msgspec.Struct, frozen=True):
    """A shop's day by its own clock; sums in minor units. due_on: when the acquirer pays what is due."""

    merchant_id: UUID
    day: date
    currency: str
    sales: int
    refunds: int
    sold_minor: int
    tips_minor: int
    refunded_minor: int
    fees_minor: int
    due_minor: int
    due_on: date


class CodeLook(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A payer's code, as it was scanned."""

    payment_code: CodeText


class CodeView(msgspec.Struct, frozen=True):
    """A code that would pay now. It tells the issuer and until when, and nothing of the payer."""

    issuer_id: str
    made_at: datetime
    expires_at: datetime


class UsedCodeView(msgspec.Struct, frozen=True):
    """One of your codes that paid."""

    payment_id: UUID
    phone_id: UUID
    made_at: datetime
    used_at: datetime


class UsedCodeList(msgspec.Struct, frozen=True):
    """Your codes that paid in the last two days, the newest first."""

    payment_codes: list[UsedCodeView]


class NewProduct(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something to enter. prices: minor units by class. early_s: how long before its slot a ticket is good.

    refund_before_s: how long before its slot it may be given back; null for never.
    """

    name: Line
    prices: Annotated[dict[RiderClass, Minor], msgspec.Meta(max_length=CLASSES)]
    about: Annotated[str, msgspec.Meta(max_length=tickets.ABOUT_MAX)] = ""
    entries: Annotated[int, msgspec.Meta(ge=1, le=255)] = 1
    early_s: Annotated[int, msgspec.Meta(ge=0, le=tickets.SECONDS_MAX)] = 900
    refund_before_s: Annotated[int, msgspec.Meta(ge=0, le=tickets.SECONDS_MAX)] | None = 86_400


class ProductView(msgspec.Struct, frozen=True):
    """Something to enter. place, product: as gates know them, in hex."""

    product_id: UUID
    merchant_id: UUID
    name: str
    about: str
    prices: dict[str, Money]
    entries: int
    early_s: int
    refund_before_s: int | None
    place: str
    product: str


class ProductList(msgspec.Struct, frozen=True):
    """What there is to enter."""

    products: list[ProductView]


class NewSlot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A time with so many places."""

    starts_at: Annotated[datetime, msgspec.Meta(tz=True)]
    ends_at: Annotated[datetime, msgspec.Meta(tz=True)]
    capacity: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]


class NewSlots(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Times to offer; one that begins when another does already stays as it is."""

    slots: Annotated[list[NewSlot], msgspec.Meta(min_length=1, max_length=tickets.SLOTS_MAX)]


class SlotView(msgspec.Struct, frozen=True):
    """A time. left: places that nobody has."""

    slot_id: UUID
    starts_at: datetime
    ends_at: datetime
    capacity: int
    left: int


class SlotList(msgspec.Struct, frozen=True):
    """Times of a product, in order."""

    slots: list[SlotView]


class TicketOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Tickets that you would like: how many of each class. Their places are kept for 15 minutes while you pay."""

    slot_id: UUID
    tickets: Annotated[dict[RiderClass, Count], msgspec.Meta(max_length=CLASSES)]


class TicketView(msgspec.Struct, frozen=True):
    """A ticket of yours. state: valid or refunded. used: entries that its gates have handed in."""

    ticket_id: UUID
    qr_order_id: UUID
    merchant_id: UUID
    name: str
    rider_class: str
    price: Money
    state: str
    begins_at: datetime
    starts_at: datetime
    ends_at: datetime
    entries: int
    used: int


class TicketList(msgspec.Struct, frozen=True):
    """Your tickets, the latest time first."""

    tickets: list[TicketView]


class TicketEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An entry as a gate recorded it. cti: 16 hex digits of the ticket's token."""

    tap_id: UUID
    gate_id: Annotated[str, msgspec.Meta(min_length=1, max_length=120)]
    cti: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{16}$")]
    counter: Annotated[int, msgspec.Meta(ge=0, le=65_535)]
    entered_at: Annotated[datetime, msgspec.Meta(tz=True)]


class TicketEntries(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Entries that a gate hands in; sending them again is harmless."""

    merchant_id: UUID
    entries: Annotated[list[TicketEntry], msgspec.Meta(min_length=1, max_length=1_000)]


class EntriesView(msgspec.Struct, frozen=True):
    """What became of them. unknown: tokens that were never given here."""

    recorded: int
    known_already: int
    unknown: list[str]


# -- shops --------------------------------------------------------------------------------------------------


@post(
    "/v1/merchants",
    sync_to_thread=True,
    status_code=200,
    tags=["Merchants"],
    opt={
        "who": ("session",),
        "idempotent": True,
        "refuses": (InvalidInput, identity.UnknownAccount, shops.MerchantDiffers),
    },
)
def apply_for_merchant(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    asked_id: NamedDependency[UUID],
    data: JSONBody[NewMerchant],
) -> MerchantView:
    """Ask an acquirer to open a shop; you are its owner. It takes payments once its `status` is `open`."""
    with ctx.tx() as tx:
        merchant = actions.apply(
            tx,
            asked_id,
            account_id=person_of(caller),
            member_id=data.member_id,
            name=data.name,
            local_name=data.local_name,
            category=data.category,
            address=data.address,
            at=ctx.clock.now(),
        )
    return _merchant(merchant)


@get(
    "/v1/merchants",
    sync_to_thread=True,
    tags=["Merchants"],
    opt={"needs": "merchants:read", "who": ("key", "session")},
)
def list_merchants(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    status: Annotated[Literal["applied", "open", "refused", "closed"] | None, QueryParameter()] = None,
    after: After = "",
    limit: Limit = 50,
) -> MerchantList:
    """Your shops: those you act for when signed in, those you are the acquirer of by your key."""
    with ctx.tx() as tx:
        if caller.account_id is not None:
            own = actions.list_own(tx, person_of(caller))
            return MerchantList([_merchant(one) for one in own if status in (None, one.status)])
        caller.require("merchants:read")
        found = actions.list_merchants(
            tx,
            member_id=None if caller.kind == "league" else caller.member_id,
            status=status,
            before=read_mark(after),
            limit=limit + 1,
        )
    page, more = paged(found, limit, lambda one: mark_text(one.applied_at, one.merchant_id))
    return MerchantList([_merchant(one) for one in page], more)


@get(
    "/v1/merchants/{merchant_id:uuid}",
    sync_to_thread=True,
    tags=["Merchants"],
    opt={"needs": "merchants:read", "who": ("key", "session"), "refuses": READS},
)
def read_merchant(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], merchant_id: FromPath[UUID]
) -> MerchantView:
    """One of your shops."""
    with ctx.tx() as tx:
        return _merchant(shop_of(tx, caller, merchant_id, "merchants:read"))


@post(
    "/v1/merchants/{merchant_id:uuid}/decision",
    sync_to_thread=True,
    status_code=200,
    tags=["Merchants"],
    opt={
        "needs": "merchants:write",
        "idempotent": True,
        "refuses": (shops.UnknownMerchant, shops.MerchantDecided, InvalidInput, payments.PayeeDiffers),
    },
)
def decide_merchant(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    merchant_id: FromPath[UUID],
    data: JSONBody[Decision],
) -> MerchantView:
    """Open a shop that applied to you, or refuse it with a reason."""
    caller.require("merchants:write")
    with ctx.tx() as tx:
        shop_of(tx, caller, merchant_id, "merchants:write")
    merchant = actions.decide(
        ctx,
        merchant_id,
        yes=data.answer == "open",
        by=caller.who,
        at=ctx.clock.now(),
        reason=data.reason,
        fee_bp=data.fee_bp,
    )
    return _merchant(merchant)


# -- QR orders ----------------------------------------------------------------------------------------------


@post(
    "/v1/qr-orders",
    sync_to_thread=True,
    status_code=200,
    tags=["Merchants"],
    opt={
        "needs": "merchants:write",
        "who": ("key", "session"),
        "idempotent": True,
        "refuses": (
            shops.UnknownMerchant,
            shops.MerchantNotOpen,
            shops.OrderDiffers,
            InvalidInput,
            PaymentCodeRefused,
        ),
    },
)
def make_qr_order(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    asked_id: NamedDependency[UUID],
    data: JSONBody[NewQrOrder],
) -> QrOrderView:
    """Ask to be paid: draw `code` as a QR code. However many scan it, it is paid once."""
    with ctx.tx() as tx:
        shop_of(tx, caller, data.merchant_id, "merchants:write")
        order = qr_orders.make_order(
            tx,
            asked_id,
            data.merchant_id,
            amount=data.amount.money,
            made_by=caller.who,
            at=ctx.clock.now(),
            tip_kind=data.tip_kind,
            tip_value=data.tip_value,
            bill_number=data.bill_number,
            description=data.description,
            till=data.till,
            lasts=timedelta(seconds=data.expires_in_s),
        )
        return order_view(tx, order, ctx)


@get(
    "/v1/qr-orders/{order_id:uuid}",
    sync_to_thread=True,
    tags=["Merchants"],
    opt={
        "needs": "merchants:read",
        "who": ("key", "session"),
        "refuses": (shops.UnknownMerchant, shops.UnknownOrder),
    },
)
def read_qr_order(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], order_id: FromPath[UUID]
) -> QrOrderView:
    """A QR order of your shop, as it stands."""
    _require(caller, "merchants:read")
    with ctx.tx() as tx:
        order = qr_orders.get_order(tx, order_id)
        shop_of(tx, caller, order.merchant_id, "merchants:read")
    if order.payment_id is not None and order.state == "claimed":
        sales.sync_sale(ctx, order.payment_id)
    with ctx.tx() as tx:
        return order_view(tx, qr_orders.get_order(tx, order_id), ctx)


@post(
    "/v1/qr-orders/{order_id:uuid}/cancel",
    sync_to_thread=True,
    status_code=200,
    tags=["Merchants"],
    opt={
        "needs": "merchants:write",
        "who": ("key", "session"),
        "idempotent": True,
        "refuses": (shops.UnknownMerchant, shops.UnknownOrder, shops.OrderNotOpen),
    },
)
def cancel_qr_order(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], order_id: FromPath[UUID]
) -> QrOrderView:
    """Take a QR order back before anybody pays it."""
    _require(caller, "merchants:write")
    with ctx.tx() as tx:
        shop_of(tx, caller, qr_orders.get_order(tx, order_id).merchant_id, "merchants:write")
        return order_view(tx, qr_orders.cancel_order(tx, order_id, ctx.clock.now()), ctx)


# -- payers' codes, sales -----------------------------------------------------------------------------------


@post(
    "/v1/payment-codes/look",
    sync_to_thread=True,
    status_code=200,
    tags=["Merchants"],
    opt={"needs": "merchants:write", "who": ("key", "session"), "refuses": payment_codes.REFUSALS},
)
def look_at_payment_code(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], data: JSONBody[CodeLook]
) -> CodeView:
    """Whether a payer's code would pay now. It is not used up by this."""
    _require(caller, "merchants:write")
    with ctx.tx() as tx:
        code = payment_codes.read_payment_code(tx, data.payment_code, ctx.clock.now())
    return CodeView(code.issuer_id, code.made_at, code.expires_at)


@get("/v1/payment-codes", sync_to_thread=True, tags=["Merchants"], opt={"who": ("session",)})
def list_payment_codes(ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller]) -> UsedCodeList:
    """Your codes that paid lately."""
    account_id = person_of(caller)
    with ctx.tx() as tx:
        used = payment_codes.list_used_codes(tx, account_id, partition=ctx.directory.partition_of(account_id))
    return UsedCodeList(
        [UsedCodeView(one.payment_id, one.phone_id, one.made_at, one.used_at) for one in used]
    )


@post(
    "/v1/merchants/{merchant_id:uuid}/payments",
    sync_to_thread=True,
    status_code=200,
    tags=["Merchants"],
    opt={
        "needs": "merchants:write",
        "who": ("key", "session"),
        "idempotent": True,
        "refuses": (
            shops.UnknownMerchant,
            shops.MerchantNotOpen,
            InvalidInput,
            *payment_codes.REFUSALS,
            payments.PaymentInFlight,
        ),
    },
)
def take_code_payment(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    asked_id: NamedDependency[UUID],
    merchant_id: FromPath[UUID],
    data: JSONBody[CodePayment],
) -> SaleView:
    """Take money by a payer's code, which their phone may have made without network.

    Look at `state`: `paid` has come, `begun` waits for the payer to approve it, `failed` came to nothing. The code is
    used up whatever comes of it.
    """
    with ctx.tx() as tx:
        shop = shop_of(tx, caller, merchant_id, "merchants:write")
    if data.amount.currency != shop.currency:
        raise payments.WrongPayeeCurrency
    bought = sales.pay_by_code(
        ctx,
        asked_id,
        merchant_id,
        data.payment_code,
        amount_minor=data.amount.minor,
        made_by=caller.who,
        bill_number=data.bill_number,
        till=data.till,
    )
    return _sale(bought.sale, payment_state=bought.payment.state.value)


@get(
    "/v1/merchants/{merchant_id:uuid}/sales",
    sync_to_thread=True,
    tags=["Merchants"],
    opt={"needs": "merchants:read", "who": ("key", "session"), "refuses": READS},
)
def list_sales(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    merchant_id: FromPath[UUID],
    after: After = "",
    limit: Limit = 50,
) -> SaleList:
    """What was bought from a shop, the newest first."""
    before = read_mark(after)
    with ctx.tx() as tx:
        shop_of(tx, caller, merchant_id, "merchants:read")
        found = sales.list_sales(ctx, tx, merchant_id, before=before, limit=limit + 1)
    page, more = paged(found, limit, lambda one: mark_text(one.begun_at, one.payment_id))
    return SaleList([_sale(one) for one in page], more)


@post(
    "/v1/merchants/{merchant_id:uuid}/sales/{payment_id:uuid}/refunds",
    sync_to_thread=True,
    status_code=200,
    tags=["Merchants"],
    opt={
        "needs": "merchants:write",
        "who": ("key", "session"),
        "idempotent": True,
        "refuses": (
            shops.UnknownMerchant,
            shops.OwnersOnly,
            shops.UnknownSale,
            shops.RefundTooLarge,
            shops.RefundDiffers,
            InvalidInput,
        ),
    },
)
def refund_sale(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    asked_id: NamedDependency[UUID],
    merchant_id: FromPath[UUID],
    payment_id: FromPath[UUID],
    data: JSONBody[SaleRefund],
) -> SaleRefundView:
    """Give money of a sale back to where it came from; an owner of the shop, or its acquirer."""
    with ctx.tx() as tx:
        shop_of(tx, caller, merchant_id, "merchants:write", owner=True)
        sale = sales.get_sale(ctx, tx, payment_id)
        if sale.merchant_id != merchant_id:
            raise shops.UnknownSale
    back = tickets.refund_sale(
        ctx,
        asked_id,
        payment_id,
        amount=Money(data.minor, sale.currency),
        reason=data.reason,
        by=caller.who,
    )
    return SaleRefundView(
        back.refund_id, back.payment_id, back.amount_minor, back.state, back.reason, back.asked_at
    )


@get(
    "/v1/merchants/{merchant_id:uuid}/day",
    sync_to_thread=True,
    tags=["Merchants"],
    opt={"needs": "merchants:read", "who": ("key", "session"), "refuses": (*READS, shops.OwnersOnly)},
)
def read_day(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    merchant_id: FromPath[UUID],
    day: FromQuery[date | None] = None,
) -> ShopDayView:
    """What a shop's day came to, today unless `day` names another."""
    with ctx.tx() as tx:
        shop = shop_of(tx, caller, merchant_id, "merchants:read", owner=True)
        found = daily.shop_day(tx, shop, day or service_day(ctx.clock.now(), shop.tz))
    return ShopDayView(
        merchant_id,
        found.day,
        shop.currency,
        found.sales,
        found.refunds,
        found.sold_minor,
        found.tips_minor,
        found.refunded_minor,
        found.fees_minor,
        found.due_minor,
        found.due_on,
    )


# -- entry tickets ------------------------------------------------------------------------------------------


@post(
    "/v1/merchants/{merchant_id:uuid}/products",
    sync_to_thread=True,
    status_code=200,
    tags=["Merchants"],
    opt={
        "needs": "merchants:write",
        "who": ("key", "session"),
        "idempotent": True,
        "refuses": (
            shops.UnknownMerchant,
            shops.OwnersOnly,
            shops.MerchantNotOpen,
            tickets.ProductDiffers,
            InvalidInput,
        ),
    },
)
def add_product(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    asked_id: NamedDependency[UUID],
    merchant_id: FromPath[UUID],
    data: JSONBody[NewProduct],
) -> ProductView:
    """Offer something to enter."""
    with ctx.tx() as tx:
        shop = shop_of(tx, caller, merchant_id, "merchants:write", owner=True)
        product = tickets.add_product(
            tx,
            asked_id,
            merchant_id,
            name=data.name,
            prices=data.prices,
            at=ctx.clock.now(),
            about=data.about,
            entries=data.entries,
            early_s=data.early_s,
            refund_before_s=data.refund_before_s,
        )
    return _product(product, shop)


@get("/v1/ticket-products", sync_to_thread=True, tags=["Merchants"])
def list_products(
    ctx: NamedDependency[Context], city: Annotated[str, QueryParameter(min_length=1, max_length=80)]
) -> ProductList:
    """What there is to enter in a city. Anybody may ask."""
    with ctx.tx() as tx:
        found = tickets.list_products(tx, city_id=city)
        return ProductList([_product(one, actions.get_merchant(tx, one.merchant_id)) for one in found])


@post(
    "/v1/ticket-products/{product_id:uuid}/slots",
    sync_to_thread=True,
    status_code=200,
    tags=["Merchants"],
    opt={
        "needs": "merchants:write",
        "who": ("key", "session"),
        "idempotent": True,
        "refuses": (shops.UnknownMerchant, shops.OwnersOnly, tickets.UnknownProduct, InvalidInput),
    },
)
def add_slots(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    product_id: FromPath[UUID],
    data: JSONBody[NewSlots],
) -> SlotList:
    """Offer times of something to enter."""
    _require(caller, "merchants:write")
    with ctx.tx() as tx:
        product = tickets.get_product(tx, product_id)
        shop_of(tx, caller, product.merchant_id, "merchants:write", owner=True)
        made = tickets.add_slots(
            tx,
            product_id,
            [
                (in_utc(one.starts_at, where="starts_at"), in_utc(one.ends_at, where="ends_at"), one.capacity)
                for one in data.slots
            ],
        )
    return SlotList([_slot(one) for one in made])


@post(
    "/v1/ticket-products/{product_id:uuid}/end",
    sync_to_thread=True,
    status_code=200,
    tags=["Merchants"],
    opt={
        "needs": "merchants:write",
        "who": ("key", "session"),
        "refuses": (shops.UnknownMerchant, shops.OwnersOnly, tickets.UnknownProduct),
    },
)
def end_product(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], product_id: FromPath[UUID]
) -> ProductView:
    """Sell something no more: tickets that are sold stay good. Again changes nothing."""
    _require(caller, "merchants:write")
    with ctx.tx() as tx:
        product = tickets.get_product(tx, product_id)
        shop = shop_of(tx, caller, product.merchant_id, "merchants:write", owner=True)
        ended = tickets.end_product(tx, product_id, product.merchant_id, by=caller.who, at=ctx.clock.now())
    return _product(ended, shop)


@get(
    "/v1/ticket-products/{product_id:uuid}/slots",
    sync_to_thread=True,
    tags=["Merchants"],
    opt={"refuses": (tickets.UnknownProduct,)},
)
def list_slots(
    ctx: NamedDependency[Context],
    product_id: FromPath[UUID],
    days: Annotated[int, QueryParameter(ge=1, le=90)] = 14,
) -> SlotList:
    """Times of the days ahead, with the places that are left. Anybody may ask."""
    now = ctx.clock.now()
    with ctx.tx() as tx:
        tickets.get_offered(tx, product_id)
        found = tickets.list_slots(tx, product_id, first=now, last=now + timedelta(days=days))
    return SlotList([_slot(one) for one in found])


@post(
    "/v1/tickets",
    sync_to_thread=True,
    status_code=200,
    tags=["Merchants"],
    opt={
        "who": ("session",),
        "idempotent": True,
        "refuses": (
            SlotFull,
            UnknownSlot,
            tickets.UnknownProduct,
            shops.MerchantNotOpen,
            shops.OrderDiffers,
            InvalidInput,
        ),
    },
)
def order_tickets(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    asked_id: NamedDependency[UUID],
    data: JSONBody[TicketOrder],
) -> QrOrderView:
    """Take places. Whoever pays the QR order in time, as any other, turns them into tickets of yours."""
    order = tickets.order_tickets(
        ctx,
        asked_id,
        data.slot_id,
        account_id=person_of(caller),
        wanted=data.tickets,
        made_by=caller.caller_id,
    )
    with ctx.tx() as tx:
        return order_view(tx, order, ctx)


@get("/v1/tickets", sync_to_thread=True, tags=["Merchants"], opt={"who": ("session",)})
def list_tickets(ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller]) -> TicketList:
    """Your entry tickets."""
    with ctx.tx() as tx:
        return TicketList([_ticket(one) for one in tickets.list_tickets(tx, person_of(caller))])


@post(
    "/v1/tickets/{ticket_id:uuid}/refund",
    sync_to_thread=True,
    status_code=200,
    tags=["Merchants"],
    opt={
        "who": ("session",),
        "idempotent": True,
        "refuses": (tickets.UnknownTicket, tickets.TicketNotRefundable),
    },
)
def return_ticket(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], ticket_id: FromPath[UUID]
) -> TicketView:
    """Give a ticket back by the attraction's rule; its price goes back to where it came from."""
    account_id = person_of(caller)
    tickets.return_ticket(ctx, ticket_id, account_id)
    with ctx.tx() as tx:
        return _ticket(tickets.get_ticket(tx, ticket_id, account_id))


@post(
    "/v1/tickets/entries",
    sync_to_thread=True,
    status_code=200,
    tags=["Merchants"],
    opt={"needs": "merchants:write", "who": ("key", "session"), "refuses": READS},
)
def hand_in_entries(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], data: JSONBody[TicketEntries]
) -> EntriesView:
    """Hand in entries that an attraction's gate recorded. Sending them again is harmless."""
    with ctx.tx() as tx:
        shop_of(tx, caller, data.merchant_id, "merchants:write")
        told = tickets.record_entries(
            tx,
            data.merchant_id,
            [
                tickets.Entry(
                    one.tap_id,
                    one.gate_id,
                    bytes.fromhex(one.cti),
                    one.counter,
                    in_utc(one.entered_at, where="entered_at"),
                )
                for one in data.entries
            ],
        )
    return EntriesView(told.recorded, told.known_already, list(told.unknown))


ROUTES = [
    apply_for_merchant,
    list_merchants,
    read_merchant,
    decide_merchant,
    make_qr_order,
    read_qr_order,
    cancel_qr_order,
    look_at_payment_code,
    list_payment_codes,
    take_code_payment,
    list_sales,
    refund_sale,
    read_day,
    add_product,
    list_products,
    add_slots,
    end_product,
    list_slots,
    order_tickets,
    list_tickets,
    return_ticket,
    hand_in_entries,
]


def person_of(caller: trust.Caller) -> AccountId:
    """Who is signed in. Errors: trust.NotSignedIn."""
    if caller.account_id is None:
        raise trust.NotSignedIn
    return AccountId(UUID(caller.account_id))


def _require(caller: trust.Caller, scope: str) -> None:
    """Go on for a person, or a key with this scope, before anything is looked up. Errors: as `trust.Caller.require`."""
    if caller.account_id is None:
        caller.require(scope)


def shop_of(
    tx: Tx, caller: trust.Caller, merchant_id: UUID, scope: str, *, owner: bool = False
) -> shops.Merchant:
    """A shop that the caller may speak for. Errors: UnknownMerchant, OwnersOnly, trust.NotAllowed."""
    if caller.account_id is not None:
        if owner:
            actions.require_owner(tx, merchant_id, person_of(caller))
        else:
            actions.role_of(tx, merchant_id, person_of(caller))
        return actions.get_merchant(tx, merchant_id)
    _require(caller, scope)
    merchant = actions.get_merchant(tx, merchant_id)
    if caller.kind != "league" and caller.member_id != merchant.member_id:
        raise shops.UnknownMerchant
    return merchant


def _merchant(one: shops.Merchant) -> MerchantView:
    return MerchantView(
        one.merchant_id,
        one.payee_id,
        one.member_id,
        one.name,
        one.local_name,
        one.category,
        one.city_id,
        one.currency,
        one.address,
        one.fee_bp,
        one.status,
        one.applied_at,
        one.reason,
    )


def order_view(tx: Tx, one: shops.QrOrder, ctx: Context) -> QrOrderView:
    """An order as its shop sees it."""
    over = one.state == "open" and ctx.clock.now() >= one.expires_at
    return QrOrderView(
        one.order_id,
        one.merchant_id,
        one.amount,
        one.tip_kind,
        one.tip_value,
        one.bill_number,
        one.description,
        one.till,
        "expired" if over else one.state,
        one.payment_id,
        one.made_at,
        one.expires_at,
        qr_orders.code_of_order(tx, one),
    )


def _sale(one: shops.Sale, *, payment_state: str | None = None) -> SaleView:
    return SaleView(
        one.payment_id,
        one.merchant_id,
        one.order_id,
        one.state,
        one.total,
        one.tip_minor,
        one.refunded_minor,
        one.channel,
        one.bill_number,
        one.till,
        one.begun_at,
        one.paid_at,
        payment_state,
    )


def _product(one: tickets.Product, shop: shops.Merchant) -> ProductView:
    return ProductView(
        one.product_id,
        one.merchant_id,
        one.name,
        one.about,
        {str(rider_class): price for rider_class, price in one.prices.items()},
        one.entries,
        one.early_s,
        one.refund_before_s,
        tickets.place_of(shop).hex(),
        tickets.product_bytes(one.product_id).hex(),
    )


def _slot(one: Slot) -> SlotView:
    return SlotView(one.slot_id, one.starts_at, one.ends_at, one.capacity, one.left)


def _ticket(one: tickets.Ticket) -> TicketView:
    return TicketView(
        one.ticket_id,
        one.order_id,
        one.merchant_id,
        one.name,
        one.rider_class,
        one.price,
        one.state,
        one.begins_at,
        one.starts_at,
        one.ends_at,
        one.entries,
        one.used,
    )
