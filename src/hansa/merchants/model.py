"""The words of merchants: shops, who acts for them, what they ask to be paid, and what may be refused. Pure."""

import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import ClassVar, Literal, NewType
from uuid import UUID

from hansa.codes.emvco import AdditionalData, Tip, make_merchant_code
from hansa.kernel import CURRENCY_EXPONENTS, HansaError, InvalidInput, Money, Problem
from hansa.payments.payment_codes_shown import account_field

MerchantId = NewType("MerchantId", UUID)

MerchantStatus = Literal["applied", "open", "refused", "closed"]
Role = Literal["owner", "cashier"]
OrderKind = Literal["sale", "tickets"]
OrderState = Literal["open", "claimed", "paid", "expired", "canceled"]
TipKind = Literal["none", "prompt", "fixed", "percentage"]
SaleState = Literal["begun", "paid", "failed"]
Channel = Literal["order", "static", "code", "online"]
"""How a sale came: by a QR order, the counter's code, the payer's code; online: by no till, over the interface."""

NAME_MAX, CITY_MAX = 25, 15
"""Letters of a name and of a city in a code (EMVCo MPM 1.1, table 3.2)."""
TEXT_MAX = 120
BILL_MAX = 25
REASON_MAX = 300
FEE_BP_MAX = 1_000
ORDER_LASTS = timedelta(minutes=15)
ORDER_LASTS_MAX = timedelta(days=31)
INVITE_LASTS = timedelta(hours=24)
CLAIM_LASTS = timedelta(minutes=2)
"""How long a claim stands for which no payment was made: whoever claimed died in between."""

CATEGORIES: dict[str, str] = {
    "5411": "Groceries",
    "5441": "Sweets and tea",
    "5499": "Food shop",
    "5812": "Restaurant",
    "5814": "Snack bar",
    "5912": "Pharmacy",
    "5942": "Books",
    "5947": "Gifts",
    "5999": "Other shop",
    "7011": "Hotel",
    "7230": "Hairdresser",
    "7922": "Theatre",
    "7991": "Attraction",
    "7996": "Amusement park",
    "8062": "Hospital",
    "4121": "Taxi",
}
"""What a shop may be, by merchant category code (ISO 18245); a part of that list, which is what the form offers."""


class UnknownMerchant(HansaError):
    """There is no such shop, or it is not yours to see."""

    code: ClassVar[str] = "merchants.unknown_merchant"
    status: ClassVar[int] = 404


class MerchantDiffers(HansaError):
    """This id stands for another shop already."""

    code: ClassVar[str] = "merchants.differs"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "Give the new shop an id of its own."


class MerchantDecided(HansaError):
    """This shop was decided on already."""

    code: ClassVar[str] = "merchants.decided"
    status: ClassVar[int] = 409


class MerchantNotOpen(HansaError):
    """This shop takes no payments: it is not open yet, or not any more."""

    code: ClassVar[str] = "merchants.not_open"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "Its acquirer opens a shop. Pay another way meanwhile."


class OwnersOnly(HansaError):
    """Only an owner of the shop may do this."""

    code: ClassVar[str] = "merchants.owners_only"
    status: ClassVar[int] = 403
    remedy: ClassVar[str] = "Ask an owner to do it."


class InviteRefused(HansaError):
    """This invitation was used, is too old, or never was."""

    code: ClassVar[str] = "merchants.invite_refused"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "Ask an owner of the shop for a new one."


class UnknownOrder(HansaError):
    """There is no such QR order."""

    code: ClassVar[str] = "merchants.unknown_order"
    status: ClassVar[int] = 404


class OrderDiffers(HansaError):
    """This id stands for another QR order already."""

    code: ClassVar[str] = "merchants.order_differs"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "Give the new order an id of its own."


class OrderPaid(HansaError):
    """This was paid already."""

    code: ClassVar[str] = "merchants.order_paid"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = (
        "Nothing is owed any more. Ask the shop for a new code if it wants something else."
    )


class OrderBeingPaid(HansaError):
    """Somebody else is paying this just now."""

    code: ClassVar[str] = "merchants.order_being_paid"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "Wait a moment: if they do not finish, you can pay it."


class OrderOver(HansaError):
    """This can be paid no more: its time is up, or the shop took it back."""

    code: ClassVar[str] = "merchants.order_over"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "Ask the shop for a new code."


class OrderNotOpen(HansaError):
    """This order cannot be taken back: it is paid, being paid, or over."""

    code: ClassVar[str] = "merchants.order_not_open"
    status: ClassVar[int] = 409


class UnknownSale(HansaError):
    """There is no such sale, or it is not yours to see."""

    code: ClassVar[str] = "merchants.unknown_sale"
    status: ClassVar[int] = 404


class RefundTooLarge(HansaError):
    """This is more than is left of the sale."""

    code: ClassVar[str] = "merchants.refund_too_large"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "Give back what is left, or less."


class RefundDiffers(HansaError):
    """This id stands for another refund already."""

    code: ClassVar[str] = "merchants.refund_differs"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "Give the new refund an id of its own."


@dataclass(frozen=True, slots=True, kw_only=True)
class Merchant:
    """A shop. member_id: its acquirer. name: in Latin letters, for codes. local_name: as its sign says, or empty.

    category: ISO 18245. country: ISO 3166-1 alpha-2. currency: ISO 4217. tz: IANA. fee_bp: what the acquirer keeps, in
    basis points. applied_by: the account of the person who asked. reason: why it was refused or closed.
    """

    merchant_id: MerchantId
    member_id: str
    name: str
    local_name: str
    category: str
    city_id: str
    country: str
    currency: str
    tz: str
    address: str
    fee_bp: int
    status: MerchantStatus
    applied_by: UUID
    applied_at: datetime
    decided_by: str = ""
    decided_at: datetime | None = None
    reason: str = ""

    @property
    def payee_id(self) -> str:
        """Under which name payments know it."""
        return str(self.merchant_id)

    @property
    def shown_name(self) -> str:
        """As its sign says."""
        return self.local_name or self.name


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who acts for a shop."""

    merchant_id: MerchantId
    account_id: UUID
    role: Role
    added_at: datetime


@dataclass(frozen=True, slots=True)
class ActedFor:
    """A shop that an account acts for, as what, and until when it did."""

    merchant_id: MerchantId
    name: str
    role: Role
    added_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class QrOrder:
    """What a shop asks to be paid, once. tip_value: minor units where fixed, basis points where a percentage.

    till: which till asked; empty for none. made_by: ``person:ACCOUNT``, or the member's key. payment_id: which claims
    or has paid it.
    """

    order_id: UUID
    merchant_id: MerchantId
    kind: OrderKind
    amount_minor: int
    currency: str
    tip_kind: TipKind
    tip_value: int
    bill_number: str
    description: str
    till: str
    made_by: str
    made_at: datetime
    expires_at: datetime
    state: OrderState = "open"
    attempts: int = 0
    payment_id: UUID | None = None
    claimed_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def amount(self) -> Money:
        return Money(self.amount_minor, self.currency)

    def body(self) -> tuple[object, ...]:
        """What makes it the same order when it is sent again."""
        return (
            self.merchant_id,
            self.kind,
            self.amount_minor,
            self.currency,
            self.tip_kind,
            self.tip_value,
            self.bill_number,
            self.description,
            self.till,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sale:
    """What was bought from a shop. amount_minor: without the tip. fee_bp: as it was when it was paid.

    payer: whose wallet. spender: who paid from it, where the payer lets them spend; None where the payer did.
    """

    payment_id: UUID
    merchant_id: MerchantId
    order_id: UUID | None
    payer: UUID
    amount_minor: int
    tip_minor: int
    currency: str
    channel: Channel
    bill_number: str
    till: str
    made_by: str
    begun_at: datetime
    state: SaleState
    paid_at: datetime | None
    refunded_minor: int
    fee_bp: int
    spender: UUID | None = None

    @property
    def buyer(self) -> UUID:
        """Who bought: the payer, or whom the payer lets spend."""
        return self.spender or self.payer

    @property
    def total(self) -> Money:
        """What the payer pays: amount and tip."""
        return Money(self.amount_minor + self.tip_minor, self.currency)

    @property
    def left(self) -> Money:
        """What can still be given back."""
        return Money(self.amount_minor + self.tip_minor - self.refunded_minor, self.currency)


@dataclass(frozen=True, slots=True)
class Refund:
    """Money that a shop gives back. state: ``asked`` until the payment room has done it."""

    refund_id: UUID
    payment_id: UUID
    merchant_id: MerchantId
    amount_minor: int
    reason: str
    made_by: str
    asked_at: datetime
    state: Literal["asked", "done", "failed"]
    done_at: datetime | None


def shop_name(text: str, where: str = "name") -> str:
    """A shop's name for codes: printable ASCII, single spaces, 1 to 25 characters. Errors: InvalidInput."""
    name = " ".join(text.split())
    if not name.isascii() or not name.isprintable() or not 1 <= len(name) <= NAME_MAX:
        what = f"it has {len(name)} characters" if name.isascii() else "it has letters that are not Latin"
        remedy = f"Write 1 to {NAME_MAX} Latin letters, digits and signs: codes are read abroad too"
        raise InvalidInput("A shop needs a name for its codes.", problems=(Problem(where, what, remedy),))
    return name


def plain_text(text: str, where: str, most: int, *, least: int = 0) -> str:
    """A line of text: NFC, single spaces, nothing unseen. Errors: InvalidInput."""
    line = " ".join(unicodedata.normalize("NFC", text).split())
    odd = any(unicodedata.category(letter) in ("Cc", "Cs", "Cf", "Co", "Cn") for letter in line)
    if odd or not least <= len(line) <= most:
        what = "it holds a character that cannot be seen" if odd else f"it has {len(line)} characters"
        remedy = f"Write {least} to {most} characters"
        raise InvalidInput("This text does not fit.", problems=(Problem(where, what, remedy),))
    return line


def bill_text(text: str, where: str = "bill_number") -> str:
    """A bill's number, as it may stand in a code: printable ASCII, at most 25; empty for none. Errors: InvalidInput."""
    number = text.strip()
    if not number.isascii() or (number and not number.isprintable()) or len(number) > BILL_MAX:
        problem = Problem(
            where, f"{number[:BILL_MAX]!r} does not fit", f"Write at most {BILL_MAX} Latin letters"
        )
        raise InvalidInput("This is no bill number.", problems=(problem,))
    return number


def tip_of(order: QrOrder) -> Tip | None:
    """The order's tip as a code states it."""
    if order.tip_kind == "none":
        return None
    if order.tip_kind == "prompt":
        return Tip("prompt")
    places = CURRENCY_EXPONENTS[order.currency] if order.tip_kind == "fixed" else 2
    return Tip(order.tip_kind, Decimal(order.tip_value).scaleb(-places).normalize() + Decimal(0))


def tip_minor_of(order: QrOrder, given_minor: int) -> int:
    """The tip that a payer pays: the fixed one, the share rounded half up, or what they named. Errors: InvalidInput."""
    if order.tip_kind == "none":
        wanted = 0
    elif order.tip_kind == "fixed":
        wanted = order.tip_value
    elif order.tip_kind == "percentage":
        wanted = (order.amount_minor * order.tip_value + 5_000) // 10_000
    else:
        if not 0 <= given_minor <= order.amount_minor:
            problem = Problem(
                "tip", "it is not between nothing and the amount", "Give a smaller tip, or none"
            )
            raise InvalidInput("This tip does not fit.", problems=(problem,))
        return given_minor
    if given_minor not in (0, wanted):
        problem = Problem("tip", "it is another than the shop asks", "Pay what the code says")
        raise InvalidInput("This tip does not fit.", problems=(problem,))
    return wanted


def order_text(merchant: Merchant, order: QrOrder, city: str) -> str:
    """The order as a merchant-presented code. city: its name in Latin letters. Errors: PaymentCodeRefused."""
    return make_merchant_code(
        [account_field("order", order.order_id)],
        name=merchant.name,
        city=city[:CITY_MAX],
        country=merchant.country,
        currency=order.currency,
        category=merchant.category,
        amount=order.amount,
        tip=tip_of(order),
        additional=AdditionalData(bill_number=order.bill_number, terminal_label=order.till),
        local=_local(merchant),
    )


def static_text(merchant: Merchant, city: str, *, till: str = "", amount: Money | None = None) -> str:
    """The code that stands on a counter: for any number of payments, of any amount unless one is given."""
    return make_merchant_code(
        [account_field("merchant", merchant.merchant_id)],
        name=merchant.name,
        city=city[:CITY_MAX],
        country=merchant.country,
        currency=merchant.currency,
        category=merchant.category,
        amount=amount,
        dynamic=False,
        additional=AdditionalData(terminal_label=till),
        local=_local(merchant),
    )


def _local(merchant: Merchant) -> tuple[str, str, str]:
    if not merchant.local_name or len(merchant.local_name) > NAME_MAX:
        return ("", "", "")
    chinese = any("CJK" in unicodedata.name(letter, "") for letter in merchant.local_name)
    return ("zh" if chinese else "en", merchant.local_name, "")
