"""HTTP for the hub: members pay one another and read their feeds; the league keeps liquidity.

The three addresses that payments take by the thousand are also served by a short way in front of the application,
with the same bodies, checks and answers; what stands here describes them.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from hansa import trust
from hansa.hub import alarms, liquidity, lots, notices, payments
from hansa.hub.model import (
    AMOUNT_MAX,
    PACKET_MAX,
    WORDS_MAX,
    Abort,
    AlarmKind,
    Answer,
    Cap,
    CapDiffers,
    CoverNeeded,
    Fulfil,
    Funds,
    FundsDecided,
    FundsDiffer,
    HubBusy,
    Liquidity,
    Model,
    Notice,
    NoticeKind,
    NotReserved,
    NotTheParty,
    Payment,
    PaymentAborted,
    PaymentCommitted,
    PaymentDiffers,
    PaymentExpired,
    Prepare,
    Reason,
    State,
    UnknownFunds,
    UnknownLiquidity,
    UnknownLot,
    UnknownPayment,
    Way,
    WrongFulfilment,
)
from hansa.kernel import (
    HansaError,
    InvalidInput,
    Money,
    Problem,
    UnknownCurrency,
    in_utc,
    mark_text,
    paged,
    read_mark,
)
from hansa.store import Context

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=80, pattern=r"^[^\x00]*$")]
Currency = Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}$")]
Bytes32 = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{43}=?$", description="32 bytes, base64url")]
Packet = Annotated[str, msgspec.Meta(max_length=PACKET_MAX, pattern=r"^[^\x00]*$")]
Words = Annotated[str, msgspec.Meta(max_length=WORDS_MAX, pattern=r"^[^\x00]*$")]
Minor = Annotated[int, msgspec.Meta(ge=0, le=AMOUNT_MAX)]
Percent = Annotated[int, msgspec.Meta(ge=1, le=100)]
Limit = Annotated[int, QueryParameter(ge=1, le=1_000)]
Seen = Annotated[int, QueryParameter(ge=0, le=2**62, description="`seq` of the last notice already seen")]


class Amount(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An amount above zero in minor units."""

    minor: Annotated[int, msgspec.Meta(ge=1, le=AMOUNT_MAX)]
    currency: Currency


class PrepareRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A payment. condition: SHA-256 of what the payee will show. packet: what you and the payee tell each other."""

    payment_id: UUID
    payee_id: Name
    amount: Amount
    condition: Bytes32
    expires_at: datetime
    packet: Packet = ""


class FulfilRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The fulfilment of a payment to you."""

    payment_id: UUID
    fulfilment: Bytes32


class AbortRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A payment to you that you will not have, and why."""

    payment_id: UUID
    words: Words = ""


class PaymentView(msgspec.Struct, frozen=True):
    """A payment and where it stands. reason: why it was aborted, else empty. fulfilment: of a committed one."""

    payment_id: UUID
    payer_id: str
    payee_id: str
    amount: Money
    state: State
    reason: Reason
    words: str
    condition: str
    fulfilment: str | None
    packet: str
    received_at: datetime
    expires_at: datetime
    answered_at: datetime | None
    ended_at: datetime | None


class PaymentPage(msgspec.Struct, frozen=True):
    """Payments, latest first; ``next`` asks for those before them, null at the end."""

    payments: list[PaymentView]
    next: str | None


class LotView(msgspec.Struct, frozen=True):
    """What one member paid another that clears as one item, and the payments that it comes to, in order of booking.

    ``next`` asks for the payments after them, null at the end.
    """

    lot_id: UUID
    payer_id: str
    payee_id: str
    amount: Money
    count: int
    payments: list[PaymentView]
    next: str | None


class AlarmView(msgspec.Struct, frozen=True):
    """An alarm that was raised, or that ended. position: what the member owed and had reserved."""

    member_id: str
    currency: str
    kind: AlarmKind
    raised: bool
    at: datetime
    position: Money
    limit: Money


class NoticeView(msgspec.Struct, frozen=True):
    """One thing you are told. payment: as it stands when you ask, which may be further on."""

    seq: int
    kind: NoticeKind
    at: datetime
    payment: PaymentView | None
    alarm: AlarmView | None


class NoticePage(msgspec.Struct, frozen=True):
    """Notices in order; ``next`` is the last one's ``seq``, to be asked after, or the one you asked after."""

    notices: list[NoticeView]
    next: int


class LiquidityView(msgspec.Struct, frozen=True):
    """A member in a currency, in minor units. position: below zero the member is owed. used_percent: of the limit.

    Of the position, on_positions is what no settlement window has taken yet, in_windows what windows took that are not
    settled; released is what those took that are.
    """

    member_id: str
    currency: str
    model: Model
    cover_minor: int
    cap_minor: int
    limit_minor: int
    position_minor: int
    reserved_minor: int
    headroom_minor: int
    short_minor: int
    used_percent: int
    warn_percent: int
    soft_minor: int | None
    alarms: list[AlarmKind]
    on_positions_minor: int
    in_windows_minor: int
    released_minor: int


class LiquidityList(msgspec.Struct, frozen=True):
    """What stands behind payments, by member and currency."""

    liquidity: list[LiquidityView]


class ExposureView(msgspec.Struct, frozen=True):
    """What a member owes altogether: payments, and what clearing has open; below zero it is owed."""

    member_id: str
    hub: Money
    clearing: Money
    exposure: Money


class Exposures(msgspec.Struct, frozen=True):
    """Exposures by member and currency."""

    exposures: list[ExposureView]


class AlarmList(msgspec.Struct, frozen=True):
    """Alarms, latest first."""

    alarms: list[AlarmView]


class OpenRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A member that is to pay and be paid in a currency."""

    member_id: Name
    currency: Currency


class CapRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A cap. valid_from: null is now. soft_minor: from so much on an alarm is raised and payments go on."""

    cap_id: UUID
    member_id: Name
    currency: Currency
    cap_minor: Minor
    valid_from: datetime | None = None
    warn_percent: Percent = liquidity.WARN_PERCENT
    soft_minor: Minor | None = None


class CapView(msgspec.Struct, frozen=True):
    """A cap. applied_at: since when it counts, null while it is to come."""

    cap_id: UUID
    member_id: str
    cap: Money
    warn_percent: int
    soft_minor: int | None
    valid_from: datetime
    set_by: str
    set_at: datetime
    applied_at: datetime | None


class FundsRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Money that came to the settlement bank (``in``) or is to leave it (``out``). bank_reference: the bank's entry."""

    funds_id: UUID
    member_id: Name
    way: Way
    amount: Amount
    bank_reference: Name


class FundsView(msgspec.Struct, frozen=True):
    """Funds and how far they are: ``proposed``, then ``booked`` or ``refused`` by a second person."""

    funds_id: UUID
    member_id: str
    way: Way
    amount: Money
    bank_reference: str
    state: str
    proposed_by: str
    proposed_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    booked_at: datetime | None


class FundsList(msgspec.Struct, frozen=True):
    """Funds, latest first."""

    funds: list[FundsView]


REFUSES_PREPARE = (
    PaymentDiffers,
    UnknownLiquidity,
    UnknownCurrency,
    InvalidInput,
    trust.MemberMayNot,
    HubBusy,
)
REFUSES_FULFIL = (
    UnknownPayment,
    NotTheParty,
    WrongFulfilment,
    NotReserved,
    PaymentExpired,
    PaymentAborted,
    HubBusy,
)
REFUSES_ABORT = (UnknownPayment, NotTheParty, NotReserved, PaymentCommitted, HubBusy)


@post(
    "/v1/hub/payments",
    sync_to_thread=True,
    status_code=200,
    tags=["Hub"],
    opt={"needs": "hub:pay", "refuses": REFUSES_PREPARE},
)
def prepare_payment(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], data: JSONBody[PrepareRequest]
) -> PaymentView:
    """Pay another member: reserve the amount until the payee fulfils. Sending it again is harmless. Needs `hub:pay`.

    The answer is `RESERVED`, or `ABORTED` with the reason when your headroom does not suffice.
    """
    caller.require("hub:pay")
    return answered(payments.prepare(ctx, [read_prepare(data, payer_of(caller))])[0])


@post(
    "/v1/hub/fulfilments",
    sync_to_thread=True,
    status_code=200,
    tags=["Hub"],
    opt={"needs": "hub:pay", "refuses": REFUSES_FULFIL},
)
def fulfil_payment(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], data: JSONBody[FulfilRequest]
) -> PaymentView:
    """Show the fulfilment of a payment to you, and have the money. Sending it again is harmless. Needs `hub:pay`."""
    caller.require("hub:pay")
    return answered(payments.fulfil(ctx, [read_fulfil(data, payer_of(caller))])[0])


@post(
    "/v1/hub/aborts",
    sync_to_thread=True,
    status_code=200,
    tags=["Hub"],
    opt={"needs": "hub:pay", "refuses": REFUSES_ABORT},
)
def abort_payment(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], data: JSONBody[AbortRequest]
) -> PaymentView:
    """Say no to a payment to you; its payer has the money again. Sending it again is harmless. Needs `hub:pay`."""
    caller.require("hub:pay")
    return answered(payments.abort(ctx, [Abort(data.payment_id, data.words, payer_of(caller))])[0])


@get(
    "/v1/hub/payments",
    sync_to_thread=True,
    tags=["Hub"],
    opt={"needs": "hub:read", "refuses": (InvalidInput,)},
)
def list_payments(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    after: Annotated[str, QueryParameter(max_length=100, description="`next` of the page before")] = "",
    limit: Limit = 100,
) -> PaymentPage:
    """Your payments, latest first; the league's are all. Needs `hub:read`."""
    caller.require("hub:read")
    member = reader(caller)
    with ctx.tx() as tx:
        before = read_mark(after) or (ctx.clock.now(), UUID(int=2**128 - 1))
        found = payments.list_payments(tx, member, before=before, limit=limit + 1)
    page, more = paged(found, limit, lambda one: mark_text(one.received_at, one.payment_id))
    return PaymentPage([payment_view(one) for one in page], more)


@get(
    "/v1/hub/payments/{payment_id:uuid}",
    sync_to_thread=True,
    tags=["Hub"],
    opt={"needs": "hub:read", "refuses": (UnknownPayment,)},
)
def get_payment(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], payment_id: FromPath[UUID]
) -> PaymentView:
    """A payment as it stands. Of another's there is none to see. Needs `hub:read`."""
    caller.require("hub:read")
    member = reader(caller)
    with ctx.tx() as tx:
        found = payments.get_payment(tx, payment_id)
    if member not in (None, found.payer_id, found.payee_id):
        raise UnknownPayment(f"There is no payment {payment_id}.")
    return payment_view(found)


@get(
    "/v1/hub/lots/{lot_id:uuid}",
    sync_to_thread=True,
    tags=["Hub"],
    opt={"needs": "hub:read", "refuses": (UnknownLot, InvalidInput)},
)
def get_lot(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    lot_id: FromPath[UUID],
    after: Annotated[str, QueryParameter(max_length=40, description="`next` of the page before")] = "",
    limit: Limit = 100,
) -> LotView:
    """The payments behind an item of a position between two members: the item's reference is the lot's id.

    Its payments add up to the item. Of others' lots there is none to see. Needs `hub:read`.
    """
    caller.require("hub:read")
    member = reader(caller)
    with ctx.tx() as tx:
        lot = lots.get_lot(tx, lot_id)
        if member not in (None, lot.payer_id, lot.payee_id):
            raise UnknownLot(f"There is no lot {lot_id}.")
        found, following = lots.lot_payments(tx, lot_id, after=after, limit=limit)
    views = [payment_view(one) for one in found]
    amount = Money(lot.amount_minor, lot.currency)
    return LotView(lot.lot_id, lot.payer_id, lot.payee_id, amount, lot.payments, views, following)


@get(
    "/v1/hub/notices",
    sync_to_thread=True,
    tags=["Hub"],
    opt={"needs": "hub:read", "refuses": (InvalidInput,)},
)
def list_notices(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    after: Seen = 0,
    limit: Limit = 100,
    member_id: Annotated[str | None, QueryParameter(max_length=80, pattern=r"^[^\x00]*$")] = None,
) -> NoticePage:
    """Your feed after a number: every payment reserved for you, committed or aborted, and alarms. Needs `hub:read`.

    Numbers have no gap. The league names the member whose feed it reads.
    """
    caller.require("hub:read")
    member = reader(caller) or member_id
    if member is None:
        problem = Problem("member_id", "it is missing", "Name the member whose feed you read")
        raise InvalidInput("A feed is a member's.", problems=(problem,))
    with ctx.tx() as tx:
        found = notices.read_notices(tx, member, after=after, limit=limit)
    return NoticePage([notice_view(one) for one in found], found[-1].seq if found else after)


@get("/v1/hub/liquidity", sync_to_thread=True, tags=["Hub"], opt={"needs": "hub:read"})
def list_liquidity(ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller]) -> LiquidityList:
    """What stands behind your payments, by currency; the league sees every member's. Needs `hub:read`."""
    caller.require("hub:read")
    member = reader(caller)
    with ctx.tx() as tx:
        found = liquidity.list_liquidity(tx, member)
        standing = alarms.by_member(alarms.standing_alarms(tx, member))
    return LiquidityList(
        [
            _liquidity_view(one, [alarm.kind for alarm in standing.get((one.member_id, one.currency), [])])
            for one in found
        ]
    )


@get("/v1/hub/exposures", sync_to_thread=True, tags=["Hub"], opt={"needs": "hub:read"})
def list_exposures(ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller]) -> Exposures:
    """What you owe altogether, payments and rides not cleared; the league sees every member's. Needs `hub:read`."""
    caller.require("hub:read")
    with ctx.tx() as tx:
        found = liquidity.exposure(tx, reader(caller))
    return Exposures(
        [
            ExposureView(
                one.member_id,
                Money(one.hub_minor, one.currency),
                Money(one.clearing_minor, one.currency),
                Money(one.minor, one.currency),
            )
            for one in found
        ]
    )


@get("/v1/hub/alarms", sync_to_thread=True, tags=["Hub"], opt={"needs": "hub:read"})
def list_alarms(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], limit: Limit = 100
) -> AlarmList:
    """Alarms of your liquidity, raised and ended, latest first; the league sees all. Needs `hub:read`."""
    caller.require("hub:read")
    with ctx.tx() as tx:
        found = alarms.list_alarms(tx, reader(caller), limit=limit)
    return AlarmList([_alarm_view(one) for one in found])


@post(
    "/v1/hub/liquidity",
    sync_to_thread=True,
    status_code=200,
    tags=["Hub"],
    opt={"needs": "hub:write", "refuses": (trust.UnknownMember, UnknownCurrency)},
)
def open_liquidity(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], data: JSONBody[OpenRequest]
) -> LiquidityView:
    """Let a member pay and be paid in a currency. Doing it again is harmless. Needs `hub:write`, for the league."""
    caller.require_league("hub:write")
    liquidity.open_liquidity(ctx, [(data.member_id, data.currency)])
    with ctx.tx() as tx:
        return _liquidity_view(liquidity.get_liquidity(tx, data.member_id, data.currency), [])


@post(
    "/v1/hub/caps",
    sync_to_thread=True,
    status_code=200,
    tags=["Hub"],
    opt={"needs": "hub:write", "refuses": (UnknownLiquidity, CapDiffers, InvalidInput)},
)
def set_cap(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], data: JSONBody[CapRequest]
) -> CapView:
    """Set what a member may owe at most, from an instant on. Again is harmless. Needs `hub:write`, for the league."""
    caller.require_league("hub:write")
    found = liquidity.set_cap(
        ctx,
        cap_id=data.cap_id,
        member_id=data.member_id,
        currency=data.currency,
        cap_minor=data.cap_minor,
        by=caller.who,
        valid_from=data.valid_from,
        warn_percent=data.warn_percent,
        soft_minor=data.soft_minor,
    )
    return _cap_view(found)


@post(
    "/v1/hub/funds",
    sync_to_thread=True,
    status_code=200,
    tags=["Hub"],
    opt={
        "needs": "hub:write",
        "refuses": (
            UnknownLiquidity,
            UnknownCurrency,
            FundsDiffer,
            CoverNeeded,
            InvalidInput,
            trust.MemberMayNot,
        ),
    },
)
def propose_funds(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], data: JSONBody[FundsRequest]
) -> FundsView:
    """Propose funds in or out; what is to leave is held at once. Again is harmless. Needs `hub:write`."""
    caller.require_league("hub:write")
    found = liquidity.propose_funds(
        ctx,
        funds_id=data.funds_id,
        member_id=data.member_id,
        currency=data.amount.currency,
        way=data.way,
        amount_minor=data.amount.minor,
        bank_reference=data.bank_reference,
        by=caller.who,
    )
    return _funds_view(found)


@post(
    "/v1/hub/funds/{funds_id:uuid}/confirm",
    sync_to_thread=True,
    status_code=200,
    tags=["Hub"],
    opt={"needs": "hub:write", "refuses": (UnknownFunds, trust.SamePerson, FundsDecided)},
)
def confirm_funds(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], funds_id: FromPath[UUID]
) -> FundsView:
    """Book funds as a second person. Again is harmless. Needs `hub:write`, for the league."""
    caller.require_league("hub:write")
    return _funds_view(liquidity.confirm_funds(ctx, funds_id, by=caller.who))


@post(
    "/v1/hub/funds/{funds_id:uuid}/refuse",
    sync_to_thread=True,
    status_code=200,
    tags=["Hub"],
    opt={"needs": "hub:write", "refuses": (UnknownFunds, FundsDecided)},
)
def refuse_funds(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], funds_id: FromPath[UUID]
) -> FundsView:
    """Let funds be; what was held is cover again. Again is harmless. Needs `hub:write`, for the league."""
    caller.require_league("hub:write")
    return _funds_view(liquidity.refuse_funds(ctx, funds_id, by=caller.who))


@get("/v1/hub/funds", sync_to_thread=True, tags=["Hub"], opt={"needs": "hub:read"})
def list_funds(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], limit: Limit = 100
) -> FundsList:
    """Your funds in and out, latest first; the league sees all. Needs `hub:read`."""
    caller.require("hub:read")
    with ctx.tx() as tx:
        found = liquidity.list_funds(tx, reader(caller), limit=limit)
    return FundsList([_funds_view(one) for one in found])


# --- shared with the short way


def payer_of(caller: trust.Caller) -> str:
    """The member that pays, or that ends a payment to it. Errors: trust.NotAllowed."""
    if caller.kind == "gate" or caller.member_id is None:
        raise trust.NotAllowed("Only a member of the league may do this.")
    return caller.member_id


def reader(caller: trust.Caller) -> str | None:
    """The member that reads; None for the league, which sees all. Errors: trust.NotAllowed."""
    if caller.kind == "league":
        return None
    if caller.kind == "gate" or caller.member_id is None:
        raise trust.NotAllowed("Only a member of the league may do this.")
    return caller.member_id


def read_prepare(data: PrepareRequest, payer_id: str) -> Prepare:
    """The payment that is asked for. Errors: UnknownCurrency; InvalidInput for an instant without an offset."""
    return Prepare(
        data.payment_id,
        payer_id,
        data.payee_id,
        Money(data.amount.minor, data.amount.currency),
        read_bytes(data.condition),
        in_utc(data.expires_at, where="expires_at"),
        data.packet,
    )


def read_fulfil(data: FulfilRequest, payee_id: str) -> Fulfil:
    """The fulfilment that is shown."""
    return Fulfil(data.payment_id, read_bytes(data.fulfilment), payee_id)


def answered(answer: Answer) -> PaymentView:
    """The answer as it travels. Errors: the refusal that it is."""
    if isinstance(answer, HansaError):
        raise answer
    return payment_view(answer)


def read_bytes(text: str) -> bytes:
    """32 bytes from base64url, with or without its filler (RFC 4648 section 5)."""
    return urlsafe_b64decode(text[:43] + "=")


def payment_view(one: Payment) -> PaymentView:
    """A payment as it travels."""
    return PaymentView(
        one.payment_id,
        one.payer_id,
        one.payee_id,
        one.amount,
        one.state,
        one.reason,
        one.words,
        _text(one.condition),
        None if one.fulfilment is None else _text(one.fulfilment),
        one.packet,
        one.received_at,
        one.expires_at,
        one.answered_at,
        one.ended_at,
    )


def notice_view(one: Notice) -> NoticeView:
    """A notice as it travels."""
    return NoticeView(
        one.seq,
        one.kind,
        one.at,
        None if one.payment is None else payment_view(one.payment),
        None if one.alarm is None else _alarm_view(one.alarm),
    )


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def _alarm_view(one: alarms.Alarm) -> AlarmView:
    return AlarmView(
        one.member_id,
        one.currency,
        AlarmKind(one.kind),
        one.raised,
        one.at,
        Money(one.position_minor, one.currency),
        Money(one.limit_minor, one.currency),
    )


def _liquidity_view(one: Liquidity, standing: list[AlarmKind]) -> LiquidityView:
    return LiquidityView(
        one.member_id,
        one.currency,
        one.model,
        one.cover_minor,
        one.cap_minor,
        one.limit_minor,
        one.position_minor,
        one.reserved_minor,
        one.headroom_minor,
        one.short_minor,
        one.used_percent,
        one.warn_percent,
        one.soft_minor,
        standing,
        one.on_positions_minor,
        one.in_windows_minor,
        one.released_minor,
    )


def _cap_view(one: Cap) -> CapView:
    return CapView(
        one.cap_id,
        one.member_id,
        Money(one.cap_minor, one.currency),
        one.warn_percent,
        one.soft_minor,
        one.valid_from,
        one.set_by,
        one.set_at,
        one.applied_at,
    )


def _funds_view(one: Funds) -> FundsView:
    return FundsView(
        one.funds_id,
        one.member_id,
        one.way,
        Money(one.amount_minor, one.currency),
        one.bank_reference,
        str(one.state),
        one.proposed_by,
        one.proposed_at,
        one.decided_by,
        one.decided_at,
        one.booked_at,
    )


ROUTES = [
    prepare_payment,
    fulfil_payment,
    abort_payment,
    list_payments,
    get_payment,
    get_lot,
    list_notices,
    list_liquidity,
    list_exposures,
    list_alarms,
    open_liquidity,
    set_cap,
    propose_funds,
    confirm_funds,
    refuse_funds,
    list_funds,
]
