"""The HTTP face of the books: the league reads and books everything, a member reads the accounts it holds."""

import re
from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, ClassVar
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from hansa import trust
from hansa.kernel import HansaError, InvalidInput, Problem, in_utc, paged
from hansa.ledger import actions
from hansa.ledger.batch import Batch, is_short_text, microseconds, parted
from hansa.ledger.chart import TransferCode
from hansa.ledger.decide import ZERO, Body
from hansa.ledger.model import (
    AMOUNT_MAX,
    BATCH_MAX,
    CODE_MAX,
    MEMO_MAX,
    TAG_MAX,
    TIMEOUT_MAX_S,
    Account,
    AccountId,
    Balance,
    Booked,
    Entry,
    Place,
    ResultCode,
    TransferFlag,
    TransferId,
    UnknownAccount,
    UnknownTransfer,
)
from hansa.store import Context, Tx

POST_MAX = BATCH_MAX
"""Transfers one request may carry."""

BATCH_TYPE, RESULTS_TYPE = "application/vnd.hansa.transfers", "application/vnd.hansa.results"
"""Media types of the binary form: what is sent, and what is answered to it (``ledger.batch``)."""

EXACT_MAX = 2**53 - 1
"""The largest whole number that every JSON reader takes in exactly (RFC 8259 section 6)."""

Limit = Annotated[int, QueryParameter(ge=1, le=1_000)]
After = Annotated[
    str, QueryParameter(max_length=40, description="`next` of the page before: block and position")
]
PARTITION_MAX = 32_767
Partition = Annotated[int, QueryParameter(ge=0, le=PARTITION_MAX)]
Amount = (
    Annotated[int, msgspec.Meta(ge=0, extra_json_schema={"maximum": AMOUNT_MAX})]
    | Annotated[str, msgspec.Meta(pattern="^[0-9]{1,39}$", max_length=39)]
)
"""Minor units as they are sent: a JSON integer or a string of digits, 0 to 2**128 - 1."""

Sum = int | str
"""Minor units as they are told: a JSON integer up to 2**53 - 1, beyond that a string of digits."""

_FLAGS = {flag.name.lower(): flag.value for flag in TransferFlag if flag.name}
_REASONS = {int(code): code.name.lower() for code in TransferCode}
_ZERO = UUID(int=0)


class LedgerBusy(HansaError):
    """Too many transfers wait to be booked. Nothing was done; send the same request again in a second."""

    code: ClassVar[str] = "ledger.busy"
    status: ClassVar[int] = 503


class BalanceView(msgspec.Struct, frozen=True):
    """The four running sums of an account, in minor units: integers up to 2**53 - 1, beyond that strings of digits."""

    debits_pending: Sum
    debits_posted: Sum
    credits_pending: Sum
    credits_posted: Sum


class AccountView(msgspec.Struct, frozen=True):
    """An account and its balance now, or at the instant asked for."""

    account_id: UUID
    currency: str
    code: int
    holder: str
    flags: int
    partition: int
    balance: BalanceView


class TransferView(msgspec.Struct, frozen=True):
    """A transfer as it stands in the books. amount: an integer up to 2**53 - 1, beyond that a string of digits."""

    transfer_id: UUID
    debit: UUID
    credit: UUID
    amount: Sum
    currency: str
    code: int
    flags: list[str]
    pending_id: UUID | None
    timeout_s: int
    reference: UUID | None
    tag: int
    memo: str
    event_at: datetime
    booked_at: datetime
    partition: int
    block: int
    position: int


class EntryView(msgspec.Struct, frozen=True):
    """A line of a statement. credit_minor: what it adds to the credit balance; a debit counts below zero."""

    transfer: TransferView
    credit_minor: Sum
    balance: BalanceView


class StatementPage(msgspec.Struct, frozen=True):
    """Some lines, oldest first; ``next`` asks for those after them, null at the end."""

    entries: list[EntryView]
    next: str | None


class TrialRowView(msgspec.Struct, frozen=True):
    """All accounts of one kind and currency, added up."""

    currency: str
    code: int
    name: str
    accounts: int
    debits_pending: Sum
    debits_posted: Sum
    credits_pending: Sum
    credits_posted: Sum


class TrialTotalView(msgspec.Struct, frozen=True):
    """All posted debits and all posted credits of a currency; they are equal."""

    currency: str
    debits_posted: Sum
    credits_posted: Sum


class TrialBalanceView(msgspec.Struct, frozen=True):
    """Every account by currency and kind. at: the instant it speaks of, null for now."""

    at: datetime | None
    is_even: bool
    rows: list[TrialRowView]
    totals: list[TrialTotalView]


class BlockView(msgspec.Struct, frozen=True):
    """One commit; its hash (hex) covers the hash before it and all its transfers."""

    partition: int
    number: int
    previous_hash: str
    hash: str
    booked_at: datetime
    transfers: int


class BlockPage(msgspec.Struct, frozen=True):
    """Some blocks in order; ``next`` asks for those after them, null at the end."""

    blocks: list[BlockView]
    next: int | None


class NewTransfer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A transfer to be booked. The caller makes its id, so that sending it again is harmless.

    amount: minor units, 0 to 2**128 - 1, as an integer or as a string of digits; a string is exact in every language.
    flags: any of linked, pending, post_pending, void_pending, balancing_debit, balancing_credit, closing_debit,
    closing_credit. A balancing transfer moves at most its amount, and no more than the account has. A closing one is
    pending and closes the account until it is voided. A transfer that posts or voids a hold may leave out accounts,
    currency, code, reference, tag and memo; all of the hold is 2**128 - 1 when posting and 0 when voiding.
    timeout_s: of a pending transfer; 0 is never. tag: a number of the caller's own; 0 is none.
    """

    transfer_id: UUID
    event_at: datetime
    amount: Amount
    debit: UUID = _ZERO
    credit: UUID = _ZERO
    currency: Annotated[str, msgspec.Meta(max_length=3)] = ""
    code: Annotated[int, msgspec.Meta(ge=0, le=CODE_MAX)] = 0
    flags: Annotated[list[Annotated[str, msgspec.Meta(max_length=20)]], msgspec.Meta(max_length=8)] = []
    pending_id: UUID | None = None
    timeout_s: Annotated[int, msgspec.Meta(ge=0, le=TIMEOUT_MAX_S)] = 0
    reference: UUID | None = None
    memo: Annotated[str, msgspec.Meta(max_length=MEMO_MAX)] = ""
    partition: Annotated[int, msgspec.Meta(ge=0, le=PARTITION_MAX)] = 0
    tag: Annotated[int, msgspec.Meta(ge=0, le=TAG_MAX)] = 0


class NewTransfers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Transfers to be booked, in order, as if each were sent alone."""

    transfers: Annotated[list[NewTransfer], msgspec.Meta(min_length=1, max_length=POST_MAX)]


class ResultView(msgspec.Struct, frozen=True):
    """What became of the transfer at ``index``. ok: it is in the books, now or already before."""

    index: int
    transfer_id: UUID
    code: str
    ok: bool


class Results(msgspec.Struct, frozen=True):
    """One result for each transfer, in the order sent."""

    results: list[ResultView]


@get(
    "/v1/ledger/accounts/{account_id:uuid}",
    sync_to_thread=True,
    tags=["Ledger"],
    opt={"needs": "ledger:read", "refuses": (UnknownAccount, InvalidInput)},
)
def read_account(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    account_id: FromPath[UUID],
    at: FromQuery[datetime | None] = None,
) -> AccountView:
    """An account with its balance: now, or at the instant ``at``. A member reads the accounts it holds.

    `ledger.unknown_account` for everyone else's too.
    """
    caller.require("ledger:read")
    wanted = AccountId(account_id)
    with ctx.tx() as tx:
        account = _get_open_to(tx, caller, wanted)
        balance = (
            actions.balance(tx, wanted)
            if at is None
            else actions.balance_at(tx, wanted, _instant(at, where="at"))
        )
    return AccountView(
        account.account_id,
        account.currency,
        int(account.code),
        account.holder,
        int(account.flags),
        account.partition,
        balance_view(balance),
    )


@get(
    "/v1/ledger/accounts/{account_id:uuid}/statement",
    sync_to_thread=True,
    tags=["Ledger"],
    opt={"needs": "ledger:read", "refuses": (UnknownAccount, InvalidInput)},
)
def read_statement(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    account_id: FromPath[UUID],
    after: After = "",
    limit: Limit = 100,
) -> StatementPage:
    """An account's lines, oldest first, with the balance after each. A member reads the accounts it holds."""
    caller.require("ledger:read")
    with ctx.tx() as tx:
        _get_open_to(tx, caller, AccountId(account_id))
        found = actions.statement(tx, AccountId(account_id), after=_place(after), limit=limit + 1)
    page, more = paged(found, limit, lambda one: _place_text(one.booked.place))
    return StatementPage([_entry(one) for one in page], more)


@get(
    "/v1/ledger/transfers/{transfer_id:uuid}",
    sync_to_thread=True,
    tags=["Ledger"],
    opt={"needs": "ledger:read", "refuses": (UnknownTransfer,)},
)
def read_transfer(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], transfer_id: FromPath[UUID]
) -> TransferView:
    """A transfer as it stands in the books. A member reads those of the accounts it holds.

    `ledger.unknown_transfer` for everyone else's too.
    """
    caller.require("ledger:read")
    with ctx.tx() as tx:
        booked = actions.get_transfer(tx, TransferId(transfer_id))
        sides = (booked.transfer.debit, booked.transfer.credit)
        if not any(is_open_to(caller, actions.get_account(tx, side)) for side in sides):
            raise UnknownTransfer(f"There is no transfer {transfer_id} in the books.")
    return transfer_view(booked)


@post(
    "/v1/ledger/transfers",
    sync_to_thread=True,
    status_code=200,
    tags=["Ledger"],
    opt={"needs": "ledger:write", "refuses": (InvalidInput, LedgerBusy)},
)
def post_transfers(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], data: JSONBody[NewTransfers]
) -> Results:
    """Book transfers, up to 8,192, as the league. Again is harmless: each is recognised by its id.

    `trust.not_allowed` for everyone but the league: a member's money moves by taps, top-ups and clearing.

    A key that was ended may go on for at most 5 seconds here.

    Many transfers travel faster as bytes: `application/vnd.hansa.transfers`, answered with
    `application/vnd.hansa.results`; docs/api.md describes both.
    """
    caller.require_league("ledger:write")
    shares = parted(new_batch(data.transfers), [new.partition for new in data.transfers])
    return results_of(
        data.transfers,
        gathered(
            len(data.transfers),
            [
                (indexes, actions.post_batch(ctx, batch, partition=partition))
                for partition, (indexes, batch) in shares.items()
            ],
        ),
    )


@get(
    "/v1/ledger/trial-balance",
    sync_to_thread=True,
    tags=["Ledger"],
    opt={"needs": "ledger:read", "refuses": (InvalidInput,)},
)
def read_trial_balance(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], day: FromQuery[date | None] = None
) -> TrialBalanceView:
    """Every account added up by currency and kind, for the league: now, or at the end of a day (UTC)."""
    caller.require_league("ledger:read")
    if day is not None:
        _check_year(day.year, where="day")
    with ctx.tx() as tx:
        trial = actions.trial_balance(tx, day=day)
    return TrialBalanceView(
        trial.at,
        trial.is_even,
        [
            TrialRowView(
                row.currency,
                int(row.code),
                row.code.name.lower(),
                row.accounts,
                _told(row.debits_pending),
                _told(row.debits_posted),
                _told(row.credits_pending),
                _told(row.credits_posted),
            )
            for row in trial.rows
        ],
        [
            TrialTotalView(currency, _told(debits), _told(credits))
            for currency, (debits, credits) in sorted(trial.totals.items())
        ],
    )


@get("/v1/ledger/blocks", sync_to_thread=True, tags=["Ledger"], opt={"needs": "ledger:read"})
def read_blocks(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    partition: Partition = 0,
    after: Annotated[int, QueryParameter(ge=0, le=2**63 - 1)] = 0,
    limit: Limit = 100,
) -> BlockPage:
    """The chain of blocks of a partition, after a number."""
    caller.require("ledger:read")
    with ctx.tx() as tx:
        found = actions.list_blocks(tx, partition, after=after, limit=limit + 1)
    page, more = paged(found, limit, lambda one: one.number)
    return BlockPage(
        [
            BlockView(
                block.partition,
                block.number,
                block.previous_hash.hex(),
                block.hash.hex(),
                block.booked_at,
                block.transfers,
            )
            for block in page
        ],
        more,
    )


def is_open_to(caller: trust.Caller, account: Account) -> bool:
    """Whether this caller may look into the account: the league, or the member that holds it."""
    if caller.kind == "league":
        return True
    return caller.kind != "gate" and caller.member_id is not None and caller.member_id == account.holder


def _get_open_to(tx: Tx, caller: trust.Caller, account_id: AccountId) -> Account:
    """The account. Errors: UnknownAccount, also where the caller may not know that it exists."""
    account = actions.get_account(tx, account_id)
    if not is_open_to(caller, account):
        raise UnknownAccount(f"There is no account {account_id}.")
    return account


def new_batch(transfers: Sequence[NewTransfer]) -> Batch:
    """The transfers as the decider takes them. Errors: InvalidInput, with the field and the remedy."""
    refused: dict[int, ResultCode] = {}
    bodies = [_body(index, new, refused) for index, new in enumerate(transfers)]
    return Batch(bodies, None, refused)


def _body(index: int, new: NewTransfer, refused: dict[int, ResultCode]) -> Body:
    # A code of 0 is left to the hold that the transfer ends; without one the ledger refuses it by its own result.
    if new.code and new.code not in _REASONS:
        known = ", ".join(f"{code} ({name})" for code, name in _REASONS.items())
        problem = Problem(f"transfers[{index}].code", f"{new.code} says nothing", f"Use one of {known}")
        raise InvalidInput("There is no such reason to move money.", problems=(problem,))
    flags = _flags(index, new.flags) if new.flags else 0
    amount = new.amount if isinstance(new.amount, int) else int(new.amount)
    if amount > AMOUNT_MAX:
        problem = Problem(f"transfers[{index}].amount", "it is over 2**128 - 1", "Send a smaller one")
        raise InvalidInput("There is not so much money.", problems=(problem,))
    event_us = microseconds(_instant(new.event_at, where=f"transfers[{index}].event_at"))
    currency = new.currency.encode() if new.currency.isascii() and new.currency.isprintable() else b"?"
    misfit = None
    if len(currency) not in (0, 3):
        misfit = ResultCode.CURRENCY_MUST_BE_A_CODE
    elif new.memo and not is_short_text(new.memo):
        misfit = ResultCode.MEMO_MUST_BE_SHORT_TEXT
    pending_id, reference = new.pending_id, new.reference
    ids = (new.transfer_id.bytes, new.debit.bytes, new.credit.bytes)
    if misfit is not None:
        refused[index] = misfit
        return (*ids, 0, ZERO, ZERO, 0, 0, 0, b"", 0, flags & TransferFlag.LINKED.value, "")
    return (
        *ids,
        amount,
        ZERO if pending_id is None else pending_id.bytes,
        ZERO if reference is None else reference.bytes,
        event_us,
        new.tag,
        new.timeout_s,
        currency,
        new.code,
        flags,
        new.memo,
    )


def _flags(index: int, names: Sequence[str]) -> int:
    flags = 0
    for name in names:
        if name not in _FLAGS:
            problem = Problem(
                f"transfers[{index}].flags", f"{name!r} is not a flag", f"Use one of {', '.join(_FLAGS)}"
            )
            raise InvalidInput("There is no such flag.", problems=(problem,))
        flags |= _FLAGS[name]
    return flags


def gathered(
    count: int, decided: Sequence[tuple[Sequence[int], Sequence[ResultCode]]]
) -> Sequence[ResultCode]:
    """The codes of all transfers in order, from those of each partition's share."""
    if len(decided) == 1 and len(decided[0][0]) == count:
        return decided[0][1]
    codes = [ResultCode.LINKED_EVENT_CROSSES_PARTITIONS] * count
    for indexes, share in decided:
        for index, code in zip(indexes, share, strict=True):
            codes[index] = code
    return codes


def results_of(transfers: Sequence[NewTransfer], codes: Sequence[ResultCode]) -> Results:
    """What the caller is told."""
    created, exists = ResultCode.CREATED, ResultCode.EXISTS
    return Results(
        [
            ResultView(index, new.transfer_id, code.value, code is created or code is exists)
            for index, (new, code) in enumerate(zip(transfers, codes, strict=True))
        ]
    )


def _instant(instant: datetime, *, where: str) -> datetime:
    _check_year(instant.year, where=where)
    return in_utc(instant, where=where)


def _check_year(year: int, *, where: str) -> None:
    if not 2000 <= year < 2200:
        raise InvalidInput(
            "These books know the years 2000 to 2199.",
            problems=(Problem(where, f"the year is {year}", "Give a year from 2000 to 2199"),),
        )


def _place(text: str) -> Place | None:
    if not text:
        return None
    if not re.fullmatch(r"[0-9]{1,18}-[0-9]{1,9}", text):
        raise InvalidInput(
            "That is not a place in a statement.",
            problems=(
                Problem("after", "it is not a block and a position", "Send `next` of the page before"),
            ),
        )
    block, _, position = text.partition("-")
    return Place(int(block), int(position))


def _place_text(place: Place) -> str:
    return f"{place.block}-{place.position}"


def balance_view(balance: Balance) -> BalanceView:
    """The balance as it is told."""
    return BalanceView(
        _told(balance.debits_pending),
        _told(balance.debits_posted),
        _told(balance.credits_pending),
        _told(balance.credits_posted),
    )


def _told(minor: int) -> Sum:
    return minor if -EXACT_MAX <= minor <= EXACT_MAX else str(minor)


def _entry(entry: Entry) -> EntryView:
    return EntryView(transfer_view(entry.booked), _told(entry.credit_minor), balance_view(entry.balance))


def transfer_view(booked: Booked) -> TransferView:
    """The transfer as it is told."""
    transfer = booked.transfer
    return TransferView(
        transfer.transfer_id,
        transfer.debit,
        transfer.credit,
        _told(transfer.amount),
        transfer.currency,
        int(transfer.code),
        [name for name, flag in _FLAGS.items() if flag & transfer.flags],
        transfer.pending_id,
        transfer.timeout_s,
        transfer.reference,
        transfer.tag,
        transfer.memo,
        transfer.event_at,
        booked.booked_at,
        transfer.partition,
        booked.place.block,
        booked.place.position,
    )


ROUTES = [read_account, read_statement, read_transfer, post_transfers, read_trial_balance, read_blocks]
