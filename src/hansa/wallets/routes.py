"""HTTP for people's money: transfers, requests, splits, bank accounts, top-ups, withdrawals, vouchers.

All of it is asked for with a person's own sign-in, but for vouchers, which issuers make and sell with a key.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, ClassVar, Literal
from uuid import UUID

import msgspec
from litestar import delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, PathParameter, QueryParameter

from hansa import approval, identity, payments, trust
from hansa.identity import AccountId
from hansa.kernel import HansaError, InvalidInput, Money, in_utc, mark_text, paged, read_mark
from hansa.store import Context, TooOften
from hansa.wallets import (
    automatic,
    bank_accounts,
    finding,
    requests,
    top_ups,
    transfers,
    vouchers,
    withdrawals,
)
from hansa.wallets import bank_model as bank
from hansa.wallets import model as people
from hansa.wallets.approving import page_of
from hansa.wallets.rails import BadBankNumber, BankRail, RailAway

Limit = Annotated[int, QueryParameter(ge=1, le=200)]
After = Annotated[str, QueryParameter(max_length=100, description="`next` of the page before")]
Currency = Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}$")]
CurrencyPath = Annotated[str, PathParameter(pattern=r"^[A-Z]{3}$")]
Note = Annotated[str, msgspec.Meta(max_length=people.NOTE_MAX)]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=finding.TEXT_MAX)]

APPROVAL_FORBIDS = (
    approval.SpendingFrozen,
    approval.LimitReached,
    approval.YearCapReached,
    approval.UnratedCurrency,
    approval.SpendDiffers,
    approval.SpendEnded,
)
"""What may forbid a spend, whoever approves it."""

SENDING = (
    InvalidInput,
    people.UnknownReceiver,
    people.CannotReceive,
    people.InsufficientFunds,
    people.TransferDiffers,
    identity.AccountBlocked,
    TooOften,
    payments.UnknownQuote,
    payments.QuoteExpired,
    payments.QuoteUsed,
    payments.QuoteDiffers,
    approval.NotDelegated,
    approval.DelegationExceeded,
    *APPROVAL_FORBIDS,
)


class NoRail(HansaError):
    """No bank is connected here, so money goes neither in nor out by bank."""

    code: ClassVar[str] = "wallets.no_rail"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "Top up at a counter or with a voucher; ask the operator to connect a bank."


@dataclass(frozen=True, slots=True)
class Outside:
    """What these routes need from outside: the way to people's banks, and what finds proved contacts."""

    rails: dict[str, BankRail]
    sealer: identity.Sealer | None

    def rail(self) -> BankRail:
        """The way to people's banks. Errors: NoRail."""
        if not self.rails:
            raise NoRail
        return next(iter(self.rails.values()))


class Amount(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Money in whole minor units."""

    minor: Annotated[int, msgspec.Meta(ge=1, le=people.AMOUNT_MAX)]
    currency: Currency

    @property
    def money(self) -> Money:
        """The same, as money."""
        return Money(self.minor, self.currency)


# --- transfers


class ReceiverView(msgspec.Struct, frozen=True):
    """Who would be paid, as a payer may see them. match: how the name you expect fits; null where you gave none."""

    receiver_id: UUID
    name: str
    match: str | None


class LookUp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whom you mean: a code, an address with one, a proved e-mail address or phone number; and the name you expect."""

    to: Text
    expected_name: Annotated[str, msgspec.Meta(max_length=200)] = ""


class NewTransferBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Money for a person. receiver_id: as looked up; without it the money waits for whoever has the link.

    owner_id: from whose wallet, where its owner lets you spend; your own unless given. quote_id: by which you pay from
    a wallet in another currency; amount is then what arrives, as the quote says.
    """

    amount: Amount
    receiver_id: UUID | None = None
    note: Note = ""
    quote_id: UUID | None = None
    owner_id: UUID | None = None


class TransferView(msgspec.Struct, frozen=True):
    """A transfer. approve_at: the page on which whoever sent it approves it, while it waits for that.

    state: `requires_approval`, `processing`, `held` (a link waits to be claimed), `claimed`, `in_transit`, `returning`,
    `voiding`, `settled`, `returned`, `failed`, `canceled` or `expired`. reason: why, where it did not settle. pays:
    what leaves the wallet; amount: what arrives. sender_id: whose wallet; spender_id: who sent from it, where that was
    not its owner.
    """

    transfer_id: UUID
    receiver_id: UUID | None
    amount: Money
    note: str
    is_link: bool
    state: str
    reason: str
    created_at: datetime
    expires_at: datetime | None
    approve_at: str | None
    pays: Money
    quote_id: UUID | None
    sender_id: UUID
    spender_id: UUID | None


class TransferPage(msgspec.Struct, frozen=True):
    """Some transfers, newest first; ``next`` asks for those before them."""

    transfers: list[TransferView]
    next: str | None


class ArrivalView(msgspec.Struct, frozen=True):
    """Money that came to you from a person."""

    transfer_id: UUID
    sender_id: UUID
    amount: Money
    note: str
    arrived_at: datetime


class ArrivalPage(msgspec.Struct, frozen=True):
    """Some arrivals, newest first; ``next`` asks for those before them."""

    arrivals: list[ArrivalView]
    next: str | None


class Link(msgspec.Struct, frozen=True):
    """The secret of a link, told once; the one before leads nowhere."""

    secret: str


class Claim(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The secret of a link."""

    secret: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


class CodeView(msgspec.Struct, frozen=True):
    """The code by which others pay you."""

    code: str


@post(
    "/v1/receivers",
    sync_to_thread=True,
    status_code=200,
    tags=["Wallets"],
    opt={"who": ("session",), "refuses": (people.UnknownReceiver, InvalidInput, TooOften)},
)
def look_up_receiver(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    outside: NamedDependency[Outside],
    data: JSONBody[LookUp],
) -> ReceiverView:
    """Whom you would pay. You see a masked name, and whether the name that you expect fits."""
    me = person_of(caller)
    found = finding.find_receiver(ctx, me, data.to, sealer=outside.sealer)
    match = finding.check_name(ctx, me, found.account_id, data.expected_name) if data.expected_name else None
    return ReceiverView(found.account_id, found.shown, match.value if match else None)


@get("/v1/me/code", sync_to_thread=True, tags=["Wallets"], opt={"who": ("session",)})
def read_code(ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller]) -> CodeView:
    """The code by which others pay you."""
    return CodeView(people.code_text(finding.code_of(ctx, person_of(caller))))


@post(
    "/v1/transfers",
    sync_to_thread=True,
    status_code=200,
    tags=["Wallets"],
    opt={"who": ("session",), "idempotent": True, "refuses": (identity.UnknownAccount, *SENDING)},
)
def send_transfer(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    asked_id: NamedDependency[UUID],
    data: JSONBody[NewTransferBody],
) -> TransferView:
    """Send money to a person, or hold it for whoever has the link.

    Look at `state`: `settled` has arrived, `requires_approval` waits for you on the page `approve_at`.
    """
    me = person_of(caller)
    owner = me if data.owner_id is None else AccountId(data.owner_id)
    new = people.NewTransfer(
        transfer_id=asked_id,
        sender_id=owner,
        spender_id=None if owner == me else me,
        receiver_id=AccountId(data.receiver_id) if data.receiver_id else None,
        amount=data.amount.money,
        note=data.note,
        quote_id=data.quote_id,
    )
    return transfer_view(transfers.send(ctx, new))


@get(
    "/v1/transfers",
    sync_to_thread=True,
    tags=["Wallets"],
    opt={"who": ("session",), "refuses": (InvalidInput,)},
)
def list_transfers(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    after: After = "",
    limit: Limit = 50,
) -> TransferPage:
    """What you sent to people, newest first."""
    me = person_of(caller)
    with ctx.tx() as tx:
        found = transfers.list_sent(
            tx, me, partition=ctx.directory.partition_of(me), limit=limit + 1, before=read_mark(after)
        )
    return transfer_page(found, limit)


@get(
    "/v1/arrivals",
    sync_to_thread=True,
    tags=["Wallets"],
    opt={"who": ("session",), "refuses": (InvalidInput,)},
)
def list_arrivals(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    after: After = "",
    limit: Limit = 50,
) -> ArrivalPage:
    """What people sent to you, newest first."""
    me = person_of(caller)
    with ctx.tx() as tx:
        found = transfers.list_arrivals(
            tx, me, partition=ctx.directory.partition_of(me), limit=limit + 1, before=read_mark(after)
        )
    page, more = paged(found, limit, lambda one: mark_text(one.arrived_at, one.transfer_id))
    views = [
        ArrivalView(one.transfer_id, one.sender_id, one.amount, one.note, one.arrived_at) for one in page
    ]
    return ArrivalPage(views, more)


@get(
    "/v1/transfers/{transfer_id:uuid}",
    sync_to_thread=True,
    tags=["Wallets"],
    opt={"needs": "payments:read", "who": ("session", "key"), "refuses": (people.UnknownTransfer,)},
)
def read_transfer(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], transfer_id: FromPath[UUID]
) -> TransferView:
    """A transfer that you sent; with a key, one that your people sent or received, as its events name it."""
    if caller.account_id is None:
        caller.require("payments:read")
        with ctx.tx() as tx:
            found = transfers.find_of_issuer(tx, _reader(caller), transfer_id, directory=ctx.directory)
        if found is None:
            raise people.UnknownTransfer
        return transfer_view(found)
    return transfer_view(transfers.get(ctx, person_of(caller), transfer_id))


@post(
    "/v1/transfers/{transfer_id:uuid}/cancel",
    sync_to_thread=True,
    status_code=200,
    tags=["Wallets"],
    opt={
        "who": ("session",),
        "idempotent": True,
        "refuses": (people.UnknownTransfer, people.TransferMoved),
    },
)
def cancel_transfer(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], transfer_id: FromPath[UUID]
) -> TransferView:
    """Take back what waits for its approval, or a link that nobody has claimed."""
    return transfer_view(transfers.cancel(ctx, person_of(caller), transfer_id))


@post(
    "/v1/transfers/{transfer_id:uuid}/link",
    sync_to_thread=True,
    status_code=200,
    tags=["Wallets"],
    opt={"who": ("session",), "refuses": (people.UnknownTransfer, people.TransferMoved)},
)
def renew_link(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], transfer_id: FromPath[UUID]
) -> Link:
    """The secret of a held link. Whatever secret led there before leads nowhere now."""
    return Link(transfers.renew_link(ctx, person_of(caller), transfer_id))


@post(
    "/v1/transfers/claim",
    sync_to_thread=True,
    status_code=200,
    tags=["Wallets"],
    opt={
        "who": ("session",),
        "idempotent": True,
        "refuses": (
            people.UnknownLink,
            people.CannotReceive,
            approval.BalanceCapReached,
            InvalidInput,
            identity.UnknownAccount,
        ),
    },
)
def claim_link(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], data: JSONBody[Claim]
) -> ArrivalView:
    """Take the money that a link holds; the first who claims it has it."""
    done = transfers.claim(ctx, person_of(caller), data.secret)
    return ArrivalView(done.transfer_id, done.sender_id, done.amount, done.note, done.changed_at)


# --- requests and splits


class NewRequestBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Money that you ask of a person. payer_id: as looked up."""

    payer_id: UUID
    amount: Amount
    note: Note = ""


class RequestView(msgspec.Struct, frozen=True):
    """A request. state: `open`, `paying`, `paid`, `declined`, `canceled` or `expired`."""

    request_id: UUID
    asker_id: UUID
    payer_id: UUID
    amount: Money
    note: str
    state: str
    split_id: UUID | None
    transfer_id: UUID | None
    reminders: int
    created_at: datetime
    expires_at: datetime


class RequestPage(msgspec.Struct, frozen=True):
    """Some requests, newest first; ``next`` asks for those before them."""

    requests: list[RequestView]
    next: str | None


class Decline(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """mute: take no more requests of the same person."""

    mute: bool = False


class ShareBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one person bears: 1 each for equal parts, a whole number for shares, minor units for amounts."""

    account_id: UUID
    weight: Annotated[int, msgspec.Meta(ge=0, le=people.AMOUNT_MAX)] = 1


class NewSplitBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A bill among people, yourself among them or not. source_id: the payment or journey that it is of."""

    title: Annotated[str, msgspec.Meta(min_length=1, max_length=people.NOTE_MAX)]
    total: Amount
    among: Annotated[list[ShareBody], msgspec.Meta(min_length=2, max_length=people.SPLIT_AMONG_MAX)]
    way: Literal["equal", "shares", "amounts"] = "equal"
    source_kind: Literal["bill", "payment", "journey"] = "bill"
    source_id: UUID | None = None


class ShareView(msgspec.Struct, frozen=True):
    """What one person bears. state: of the request; null for your own part."""

    account_id: UUID
    amount: Money
    request_id: UUID | None
    state: str | None


class SplitView(msgspec.Struct, frozen=True):
    """A bill among people. state: `open`, `closed` by itself once no part is open, or `canceled`."""

    split_id: UUID
    title: str
    total: Money
    way: str
    state: str
    paid: Money
    asked: Money
    shares: list[ShareView]
    created_at: datetime


class SplitPage(msgspec.Struct, frozen=True):
    """Some splits, newest first; ``next`` asks for those before them."""

    splits: list[SplitView]
    next: str | None


ASKING = (
    InvalidInput,
    people.CannotAsk,
    people.RequestDiffers,
    identity.UnknownAccount,
    TooOften,
)
MOVING = (people.UnknownRequest, people.RequestMoved)


@post(
    "/v1/requests",
    sync_to_thread=True,
    status_code=200,
    tags=["Wallets"],
    opt={"who": ("session",), "idempotent": True, "refuses": ASKING},
)
def ask_request(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    asked_id: NamedDependency[UUID],
    data: JSONBody[NewRequestBody],
) -> RequestView:
    """Ask a person for money."""
    new = people.NewRequest(
        request_id=asked_id,
        asker_id=person_of(caller),
        payer_id=AccountId(data.payer_id),
        amount=data.amount.money,
        note=data.note,
    )
    return request_view(requests.ask(ctx, new))


@get(
    "/v1/requests",
    sync_to_thread=True,
    tags=["Wallets"],
    opt={"who": ("session",), "refuses": (InvalidInput,)},
)
def list_requests(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    side: Annotated[Literal["both", "asked", "received"], QueryParameter()] = "both",
    after: After = "",
    limit: Limit = 50,
) -> RequestPage:
    """Requests that you made or received, newest first."""
    me = person_of(caller)
    with ctx.tx() as tx:
        found = requests.list_requests(tx, me, side=side, limit=limit + 1, before=read_mark(after))
    page, more = paged(found, limit, lambda one: mark_text(one.created_at, one.request_id))
    return RequestPage([request_view(one) for one in page], more)


@get(
    "/v1/requests/{request_id:uuid}",
    sync_to_thread=True,
    tags=["Wallets"],
    opt={"who": ("session",), "refuses": (people.UnknownRequest,)},
)
def read_request(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], request_id: FromPath[UUID]
) -> RequestView:
    """A request that you made or received."""
    with ctx.tx() as tx:
        return request_view(requests.get(tx, person_of(caller), request_id))


@post(
    "/v1/requests/{request_id:uuid}/pay",
    sync_to_thread=True,
    status_code=200,
    tags=["Wallets"],
    opt={"who": ("session",), "idempotent": True, "refuses": (*MOVING, *SENDING)},
)
def pay_request(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], request_id: FromPath[UUID]
) -> TransferView:
    """Pay a request; gives the transfer that does so. Look at its `state`, as of any transfer."""
    return transfer_view(requests.pay(ctx, person_of(caller), request_id))


@post(
    "/v1/requests/{request_id:uuid}/decline",
    sync_to_thread=True,
    status_code=200,
    tags=["Wallets"],
    opt={"who": ("session",), "idempotent": True, "refuses": MOVING},
)
def decline_request(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    request_id: FromPath[UUID],
    data: JSONBody[Decline],
) -> RequestView:
    """Say no to a request."""
    return request_view(requests.decline(ctx, person_of(caller), request_id, mute=data.mute))


@post(
    "/v1/requests/{request_id:uuid}/cancel",
    sync_to_thread=True,
    status_code=200,
    tags=["Wallets"],
    opt={"who": ("session",), "idempotent": True, "refuses": MOVING},
)
def cancel_request(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], request_id: FromPath[UUID]
) -> RequestView:
    """Take your request back."""
    return request_view(requests.cancel(ctx, person_of(caller), request_id))


@post(
    "/v1/requests/{request_id:uuid}/remind",
    sync_to_thread=True,
    status_code=200,
    tags=["Wallets"],
    opt={"who": ("session",), "idempotent": True, "refuses": (*MOVING, people.RemindedEnough)},
)
def remind_request(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], request_id: FromPath[UUID]
) -> RequestView:
    """Remind the payer: three times at most, a day apart."""
    return request_view(requests.remind(ctx, person_of(caller), request_id))


@post(
    "/v1/splits",
    sync_to_thread=True,
    status_code=200,
    tags=["Wallets"],
    opt={"who": ("session",), "idempotent": True, "refuses": (*ASKING, people.SplitDiffers)},
)
def make_split(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    asked_id: NamedDependency[UUID],
    data: JSONBody[NewSplitBody],
) -> SplitView:
    """Split a bill among people: each but you is asked for their part. Parts come to the total, to the minor unit."""
    new = people.NewSplit(
        split_id=asked_id,
        owner_id=person_of(caller),
        title=data.title,
        total=data.total.money,
        way=people.SplitWay(data.way),
        among=tuple((AccountId(one.account_id), one.weight) for one in data.among),
        source_kind=data.source_kind,
        source_id=data.source_id,
    )
    return split_view(requests.split(ctx, new))


@get(
    "/v1/splits", sync_to_thread=True, tags=["Wallets"], opt={"who": ("session",), "refuses": (InvalidInput,)}
)
def list_splits(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    after: After = "",
    limit: Limit = 50,
) -> SplitPage:
    """Bills that you split, newest first."""
    with ctx.tx() as tx:
        found = requests.list_splits(tx, person_of(caller), limit=limit + 1, before=read_mark(after))
    page, more = paged(found, limit, lambda one: mark_text(one.created_at, one.split_id))
    return SplitPage([split_view(one) for one in page], more)


@get(
    "/v1/splits/{split_id:uuid}",
    sync_to_thread=True,
    tags=["Wallets"],
    opt={"who": ("session",), "refuses": (people.UnknownSplit,)},
)
def read_split(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], split_id: FromPath[UUID]
) -> SplitView:
    """A bill that you split, and who has paid."""
    with ctx.tx() as tx:
        return split_view(requests.get_split(tx, person_of(caller), split_id))


@post(
    "/v1/splits/{split_id:uuid}/cancel",
    sync_to_thread=True,
    status_code=200,
    tags=["Wallets"],
    opt={"who": ("session",), "idempotent": True, "refuses": (people.UnknownSplit,)},
)
def cancel_split(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], split_id: FromPath[UUID]
) -> SplitView:
    """Take back what is open of a split; what was paid stays paid."""
    return split_view(requests.cancel_split(ctx, person_of(caller), split_id))


# --- banks


class NewBankAccount(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A bank account in your own name. The number goes to the bank's rail and is not kept."""

    number: Annotated[str, msgspec.Meta(min_length=6, max_length=50)]
    currency: Currency
    may_pull: bool = False


class BankAccountView(msgspec.Struct, frozen=True):
    """A bank account of yours. usable_at: from when it can be paid. may_pull: whether you gave a mandate to collect."""

    bank_account_id: UUID
    shown: str
    currency: str
    may_pull: bool
    usable_at: datetime


class BankAccounts(msgspec.Struct, frozen=True):
    """Your bank accounts, the latest first."""

    bank_accounts: list[BankAccountView]


class NewTopUpBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A top-up from your bank account. way: `debit` under your mandate, or `instant`."""

    bank_account_id: UUID
    amount: Amount
    way: Literal["debit", "instant"] = "debit"


class OwnTopUpView(msgspec.Struct, frozen=True):
    """A top-up of your wallet. state: `processing`, `sent`, `unknown`, `settling`, `aside`, `settled`, `failed`,
    `returned`.

    unknown: the bank gave no answer and is asked again; nothing is lost, and nothing is collected twice. aside: the
    wallet may not hold so much, so it waits, for a week, until it may.
    """

    top_up_id: UUID
    amount: Money
    way: str
    words: str
    state: str
    reason: str
    created_at: datetime


class OwnTopUps(msgspec.Struct, frozen=True):
    """Some top-ups, newest first; ``next`` asks for those before them."""

    top_ups: list[OwnTopUpView]
    next: str | None


class AutomaticBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the wallet can pay less than ``below``, add ``add``; at most so much in 24 hours and in 30 days."""

    bank_account_id: UUID
    below_minor: Annotated[int, msgspec.Meta(ge=1, le=people.AMOUNT_MAX)]
    add_minor: Annotated[int, msgspec.Meta(ge=1, le=people.AMOUNT_MAX)]
    day_max_minor: Annotated[int, msgspec.Meta(ge=1, le=people.AMOUNT_MAX)]
    month_max_minor: Annotated[int, msgspec.Meta(ge=1, le=people.AMOUNT_MAX)]


class AutomaticView(msgspec.Struct, frozen=True):
    """An automatic top-up. state: `on`, `off`, or `stopped` by itself, and why."""

    currency: str
    below: Money
    add: Money
    day_max: Money
    month_max: Money
    bank_account_id: UUID
    state: str
    why: str


class NewWithdrawalBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Money for your own bank account."""

    bank_account_id: UUID
    amount: Amount


class WithdrawalView(msgspec.Struct, frozen=True):
    """A withdrawal. approve_at: the page on which you approve it, while it waits for that."""

    withdrawal_id: UUID
    amount: Money
    bank: str
    state: str
    reason: str
    created_at: datetime
    approve_at: str | None


class Withdrawals(msgspec.Struct, frozen=True):
    """Some withdrawals, newest first; ``next`` asks for those before them."""

    withdrawals: list[WithdrawalView]
    next: str | None


class Redeem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A voucher's code, as it is printed."""

    code: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


OF_BANK = (
    bank.UnknownBankAccount,
    bank.NotYourBankAccount,
    bank.NameNotProved,
    InvalidInput,
    identity.AccountBlocked,
)


@get("/v1/bank-accounts", sync_to_thread=True, tags=["Wallets"], opt={"who": ("session",)})
def list_bank_accounts(ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller]) -> BankAccounts:
    """Your bank accounts."""
    with ctx.tx() as tx:
        return BankAccounts([_bank_account(one) for one in bank_accounts.list_of(tx, person_of(caller))])


@post(
    "/v1/bank-accounts",
    sync_to_thread=True,
    status_code=200,
    tags=["Wallets"],
    opt={
        "who": ("session",),
        "idempotent": True,
        "refuses": (
            BadBankNumber,
            bank.NotYourBankAccount,
            bank.NameNotProved,
            RailAway,
            NoRail,
            TooOften,
            identity.UnknownAccount,
        ),
    },
)
def add_bank_account(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    outside: NamedDependency[Outside],
    sealer: NamedDependency[identity.Sealer],
    data: JSONBody[NewBankAccount],
) -> BankAccountView:
    """Add a bank account in your own name, as you proved it. It can be paid a day later."""
    me = person_of(caller)
    added = bank_accounts.add(
        ctx, outside.rail(), sealer, me, data.number, data.currency, may_pull=data.may_pull
    )
    return _bank_account(added)


@delete(
    "/v1/bank-accounts/{bank_account_id:uuid}",
    sync_to_thread=True,
    status_code=200,
    tags=["Wallets"],
    opt={"who": ("session",), "refuses": (bank.BankAccountInUse,)},
)
def end_bank_account(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], bank_account_id: FromPath[UUID]
) -> BankAccounts:
    """Take a bank account out, with its mandate; automatic top-ups from it stop. Again is harmless."""
    me = person_of(caller)
    with ctx.tx() as tx:
        home = ctx.directory.partition_of(me)
        bank_accounts.end(tx, me, bank_account_id, ctx.clock.now(), partition=home)
        return BankAccounts([_bank_account(one) for one in bank_accounts.list_of(tx, me)])


@post(
    "/v1/me/top-ups",
    sync_to_thread=True,
    status_code=200,
    tags=["Wallets"],
    opt={
        "who": ("session",),
        "idempotent": True,
        "refuses": (*OF_BANK, bank.NoMandate, bank.TopUpDiffers, NoRail, approval.BalanceCapReached),
    },
)
def begin_top_up(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    outside: NamedDependency[Outside],
    asked_id: NamedDependency[UUID],
    data: JSONBody[NewTopUpBody],
) -> OwnTopUpView:
    """Top up from your bank account. The wallet has it once the bank has booked it."""
    new = bank.NewTopUp(
        top_up_id=asked_id,
        account_id=person_of(caller),
        amount=data.amount.money,
        bank_account_id=data.bank_account_id,
        way=bank.Way(data.way),
    )
    return top_up_view(top_ups.begin(ctx, outside.rail(), new))


@get(
    "/v1/me/top-ups",
    sync_to_thread=True,
    tags=["Wallets"],
    opt={"who": ("session",), "refuses": (InvalidInput,)},
)
def list_top_ups(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    after: After = "",
    limit: Limit = 50,
) -> OwnTopUps:
    """Top-ups of your wallet by bank, voucher and counter, newest first."""
    me = person_of(caller)
    with ctx.tx() as tx:
        found = top_ups.list_of(
            tx, me, partition=ctx.directory.partition_of(me), limit=limit + 1, before=read_mark(after)
        )
    return top_up_page(found, limit)


@put(
    "/v1/me/automatic-top-ups/{currency:str}",
    sync_to_thread=True,
    status_code=200,
    tags=["Wallets"],
    opt={"who": ("session",), "refuses": (*OF_BANK, bank.NoMandate)},
)
def set_automatic(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    currency: CurrencyPath,
    data: JSONBody[AutomaticBody],
) -> AutomaticView:
    """Top up by itself in this currency. It stops itself when the bank refuses for good."""
    return _automatic(
        automatic.turn_on(
            ctx,
            person_of(caller),
            below=Money(data.below_minor, currency),
            add=Money(data.add_minor, currency),
            day_max=Money(data.day_max_minor, currency),
            month_max=Money(data.month_max_minor, currency),
            bank_account_id=data.bank_account_id,
        )
    )


@delete(
    "/v1/me/automatic-top-ups/{currency:str}",
    sync_to_thread=True,
    status_code=204,
    tags=["Wallets"],
    opt={"who": ("session",)},
)
def end_automatic(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], currency: CurrencyPath
) -> None:
    """Top up by itself no more in this currency. Again is harmless."""
    automatic.turn_off(ctx, person_of(caller), currency)


@post(
    "/v1/withdrawals",
    sync_to_thread=True,
    status_code=200,
    tags=["Wallets"],
    opt={
        "who": ("session",),
        "idempotent": True,
        "refuses": (
            *OF_BANK,
            bank.BankAccountCooling,
            bank.WithdrawalDiffers,
            people.InsufficientFunds,
            NoRail,
            *APPROVAL_FORBIDS,
        ),
    },
)
def begin_withdrawal(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    outside: NamedDependency[Outside],
    asked_id: NamedDependency[UUID],
    data: JSONBody[NewWithdrawalBody],
) -> WithdrawalView:
    """Withdraw to your own bank account. Look at `state`: `requires_approval` waits for you on `approve_at`."""
    new = bank.NewWithdrawal(
        withdrawal_id=asked_id,
        account_id=person_of(caller),
        amount=data.amount.money,
        bank_account_id=data.bank_account_id,
    )
    return withdrawal_view(withdrawals.begin(ctx, outside.rail(), new))


@get(
    "/v1/withdrawals",
    sync_to_thread=True,
    tags=["Wallets"],
    opt={"who": ("session",), "refuses": (InvalidInput,)},
)
def list_withdrawals(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    after: After = "",
    limit: Limit = 50,
) -> Withdrawals:
    """Your withdrawals, newest first."""
    me = person_of(caller)
    with ctx.tx() as tx:
        found = withdrawals.list_of(
            tx, me, partition=ctx.directory.partition_of(me), limit=limit + 1, before=read_mark(after)
        )
    return withdrawal_page(found, limit)


@get(
    "/v1/withdrawals/{withdrawal_id:uuid}",
    sync_to_thread=True,
    tags=["Wallets"],
    opt={"needs": "payments:read", "who": ("session", "key"), "refuses": (bank.UnknownWithdrawal,)},
)
def read_withdrawal(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], withdrawal_id: FromPath[UUID]
) -> WithdrawalView:
    """A withdrawal of yours; with a key, one of your people's, as its events name it."""
    if caller.account_id is None:
        caller.require("payments:read")
        with ctx.tx() as tx:
            return withdrawal_view(
                withdrawals.get_of_issuer(
                    tx, _reader(caller), withdrawal_id, partitions=ctx.directory.partitions
                )
            )
    me = person_of(caller)
    with ctx.tx() as tx:
        return withdrawal_view(
            withdrawals.get(tx, me, withdrawal_id, partition=ctx.directory.partition_of(me))
        )


@post(
    "/v1/withdrawals/{withdrawal_id:uuid}/cancel",
    sync_to_thread=True,
    status_code=200,
    tags=["Wallets"],
    opt={
        "who": ("session",),
        "idempotent": True,
        "refuses": (bank.UnknownWithdrawal, bank.WithdrawalMoved),
    },
)
def cancel_withdrawal(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], withdrawal_id: FromPath[UUID]
) -> WithdrawalView:
    """Take back a withdrawal that waits for its approval."""
    return withdrawal_view(withdrawals.cancel(ctx, person_of(caller), withdrawal_id))


# --- vouchers


class NewBatchBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Vouchers to make. expiry: what becomes of a sold one that nobody redeems in time: `keep` or `earn`."""

    batch_id: UUID
    value: Amount
    count: Annotated[int, msgspec.Meta(ge=1, le=bank.VOUCHERS_MAX)]
    expires_at: Annotated[datetime, msgspec.Meta(tz=True)]
    expiry: Literal["keep", "earn"] = "keep"
    about: Note = ""


class BatchView(msgspec.Struct, frozen=True):
    """A batch. states: how many of its vouchers are in each state. codes: told once, when it is made."""

    batch_id: UUID
    issuer_id: str
    value: Money
    count: int
    expires_at: datetime
    expiry: str
    about: str
    made_at: datetime
    states: dict[str, int]
    codes: list[str]


class Batches(msgspec.Struct, frozen=True):
    """Batches, the latest first."""

    batches: list[BatchView]


class Serials(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Serial numbers that were sold, from first to last."""

    first: Annotated[int, msgspec.Meta(ge=1, le=bank.VOUCHERS_MAX)]
    last: Annotated[int, msgspec.Meta(ge=1, le=bank.VOUCHERS_MAX)]


@post(
    "/v1/vouchers/redeem",
    sync_to_thread=True,
    status_code=200,
    tags=["Wallets"],
    opt={
        "who": ("session",),
        "idempotent": True,
        "refuses": (bank.VoucherRefused, TooOften, identity.UnknownAccount, approval.BalanceCapReached),
    },
)
def redeem_voucher(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], data: JSONBody[Redeem]
) -> OwnTopUpView:
    """Put a voucher's money into your wallet, once."""
    return top_up_view(vouchers.redeem(ctx, person_of(caller), data.code))


@post(
    "/v1/voucher-batches",
    sync_to_thread=True,
    status_code=200,
    tags=["Wallets"],
    opt={"needs": "vouchers:write", "refuses": (InvalidInput, bank.BatchDiffers)},
)
def make_batch(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], data: JSONBody[NewBatchBody]
) -> BatchView:
    """Make vouchers of your own. Their codes are in this answer and never again; void a batch whose codes are lost."""
    caller.require("vouchers:write")
    new = bank.NewBatch(
        batch_id=data.batch_id,
        issuer_id=_issuer(caller),
        value=data.value.money,
        count=data.count,
        expires_at=in_utc(data.expires_at, where="expires_at"),
        expiry=data.expiry,
        about=data.about,
    )
    batch, codes = vouchers.make(ctx, new, by=caller.who)
    return _batch(batch, codes)


@get("/v1/voucher-batches", sync_to_thread=True, tags=["Wallets"], opt={"needs": "vouchers:write"})
def list_batches(ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller]) -> Batches:
    """Your batches of vouchers, the latest first, at most 50."""
    caller.require("vouchers:write")
    issuer = _issuer(caller)
    with ctx.tx() as tx:
        return Batches([_batch(one) for one in vouchers.list_batches(tx, issuer_id=issuer)])


@post(
    "/v1/voucher-batches/{batch_id:uuid}/activate",
    sync_to_thread=True,
    status_code=200,
    tags=["Wallets"],
    opt={
        "needs": "vouchers:write",
        "idempotent": True,
        "refuses": (bank.UnknownBatch, bank.VoucherMoved, InvalidInput),
    },
)
def activate_vouchers(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    batch_id: FromPath[UUID],
    data: JSONBody[Serials],
) -> BatchView:
    """Vouchers were sold: they count from now on. All of these serial numbers, or none."""
    caller.require("vouchers:write")
    issuer = _issuer(caller)
    vouchers.activate(ctx, batch_id, data.first, data.last, by=caller.who, issuer_id=issuer)
    with ctx.tx() as tx:
        return _batch(vouchers.get_batch(tx, batch_id, issuer_id=issuer))


@post(
    "/v1/voucher-batches/{batch_id:uuid}/void",
    sync_to_thread=True,
    status_code=200,
    tags=["Wallets"],
    opt={"needs": "vouchers:write", "refuses": (bank.UnknownBatch,)},
)
def void_batch(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], batch_id: FromPath[UUID]
) -> BatchView:
    """Void what was not sold of a batch. Again is harmless."""
    caller.require("vouchers:write")
    return _batch(vouchers.void(ctx, batch_id, issuer_id=_issuer(caller)))


# --- inside


def person_of(caller: trust.Caller) -> AccountId:
    """The person who is signed in. Errors: trust.NotSignedIn."""
    if caller.account_id is None:
        raise trust.NotSignedIn("Sign in to your wallet first.")
    return AccountId(UUID(caller.account_id))


def _reader(caller: trust.Caller) -> str | None:
    """Whose people these are; None for the league, which sees all. Errors: trust.NotAllowed."""
    return None if caller.kind == "league" else _issuer(caller)


def _issuer(caller: trust.Caller) -> str:
    """The issuer whose key this is. Errors: trust.NotAllowed."""
    if caller.member_id is None:
        raise trust.NotAllowed("This is an issuer's own: ask with the issuer's key.")
    return caller.member_id


def transfer_view(one: people.Transfer) -> TransferView:
    """A transfer as its sender sees it."""
    waits = one.state is people.State.REQUIRES_APPROVAL
    return TransferView(
        one.transfer_id,
        one.receiver_id,
        one.amount,
        one.note,
        one.is_link,
        one.state.value,
        one.reason,
        one.created_at,
        one.expires_at if one.is_link else None,
        page_of("transfer", one.transfer_id) if waits else None,
        one.pays,
        one.quote_id,
        one.sender_id,
        one.spender_id,
    )


def request_view(one: people.Request) -> RequestView:
    """A request as both its sides see it."""
    return RequestView(
        one.request_id,
        one.asker_id,
        one.payer_id,
        one.amount,
        one.note,
        one.state.value,
        one.split_id,
        one.transfer_id,
        one.reminders,
        one.created_at,
        one.expires_at,
    )


def split_view(one: people.Split) -> SplitView:
    """A split as its owner sees it."""
    return SplitView(
        one.split_id,
        one.title,
        one.total,
        one.way.value,
        one.state.value,
        Money(one.paid_minor, one.currency),
        Money(one.asked_minor, one.currency),
        [
            ShareView(
                share.account_id,
                Money(share.amount_minor, one.currency),
                share.request_id,
                share.state.value if share.state else None,
            )
            for share in one.shares
        ],
        one.created_at,
    )


def _bank_account(one: bank.BankAccount) -> BankAccountView:
    return BankAccountView(one.bank_account_id, one.shown, one.currency, one.may_pull, one.usable_at)


def transfer_page(found: Sequence[people.Transfer], limit: int) -> TransferPage:
    """A page of somebody's transfers. found: as ``paged`` takes them."""
    page, more = paged(found, limit, lambda one: mark_text(one.created_at, one.transfer_id))
    return TransferPage([transfer_view(one) for one in page], more)


def withdrawal_page(found: Sequence[bank.Withdrawal], limit: int) -> Withdrawals:
    """A page of somebody's withdrawals. found: as ``paged`` takes them."""
    page, more = paged(found, limit, lambda one: mark_text(one.created_at, one.withdrawal_id))
    return Withdrawals([withdrawal_view(one) for one in page], more)


def top_up_page(found: Sequence[bank.BankTopUp], limit: int) -> OwnTopUps:
    """A page of somebody's top-ups. found: as ``paged`` takes them."""
    page, more = paged(found, limit, lambda one: mark_text(one.created_at, one.top_up_id))
    return OwnTopUps([top_up_view(one) for one in page], more)


def top_up_view(one: bank.BankTopUp) -> OwnTopUpView:
    """A top-up as its account's owner sees it."""
    return OwnTopUpView(
        one.top_up_id, one.amount, one.way.value, one.words, one.state.value, one.reason, one.created_at
    )


def _automatic(one: bank.Automatic) -> AutomaticView:
    def money(minor: int) -> Money:
        return Money(minor, one.currency)

    return AutomaticView(
        one.currency,
        money(one.below_minor),
        money(one.add_minor),
        money(one.day_max_minor),
        money(one.month_max_minor),
        one.bank_account_id,
        one.state,
        one.why,
    )


def withdrawal_view(one: bank.Withdrawal) -> WithdrawalView:
    """A withdrawal as its account's owner sees it."""
    waits = one.state is bank.WithdrawalState.REQUIRES_APPROVAL
    return WithdrawalView(
        one.withdrawal_id,
        one.amount,
        one.shown,
        one.state.value,
        one.reason,
        one.created_at,
        page_of("withdrawal", one.withdrawal_id) if waits else None,
    )


def _batch(one: bank.Batch, codes: list[str] | None = None) -> BatchView:
    return BatchView(
        one.batch_id,
        one.issuer_id,
        one.value,
        one.count,
        one.expires_at,
        one.expiry,
        one.about,
        one.made_at,
        dict(one.states),
        [people.code_text(code, group=4) for code in codes or []],
    )


ROUTES = [
    look_up_receiver,
    read_code,
    send_transfer,
    list_transfers,
    list_arrivals,
    read_transfer,
    cancel_transfer,
    renew_link,
    claim_link,
    ask_request,
    list_requests,
    read_request,
    pay_request,
    decline_request,
    cancel_request,
    remind_request,
    make_split,
    list_splits,
    read_split,
    cancel_split,
    list_bank_accounts,
    add_bank_account,
    end_bank_account,
    begin_top_up,
    list_top_ups,
    set_automatic,
    end_automatic,
    begin_withdrawal,
    list_withdrawals,
    read_withdrawal,
    cancel_withdrawal,
    redeem_voucher,
    make_batch,
    list_batches,
    activate_vouchers,
    void_batch,
]
