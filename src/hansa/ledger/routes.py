"""The HTTP face of the books: the league reads and books everything, a member reads the accounts it holds."""

import re
from datetime import date, datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from hansa import trust
from hansa.kernel import InvalidInput, Problem, in_utc
from hansa.ledger import actions
from hansa.ledger.chart import TransferCode
from hansa.ledger.model import (
    Account,
    AccountId,
    Balance,
    Booked,
    Entry,
    Place,
    Transfer,
    TransferFlag,
    TransferId,
    UnknownAccount,
    UnknownTransfer,
)
from hansa.store import Context, Tx

POST_MAX = 1_000
"""Transfers one request may carry; rooms call ``ledger.post`` with up to 8,192."""

Limit = Annotated[int, QueryParameter(ge=1, le=1_000)]
After = Annotated[
    str, QueryParameter(max_length=40, description="`next` of the page before: block and position")
]
Partition = Annotated[int, QueryParameter(ge=0, le=32_767)]
Amount = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]

_FLAGS = {
    "linked": TransferFlag.LINKED,
    "pending": TransferFlag.PENDING,
    "post_pending": TransferFlag.POST_PENDING,
    "void_pending": TransferFlag.VOID_PENDING,
    "expired": TransferFlag.EXPIRED,
}

_REASONS = {int(code): code.name.lower() for code in TransferCode}


class BalanceView(msgspec.Struct, frozen=True):
    """The four running sums of an account, in minor units."""

    debits_pending: int
    debits_posted: int
    credits_pending: int
    credits_posted: int


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
    """A transfer as it stands in the books."""

    transfer_id: UUID
    debit: UUID
    credit: UUID
    amount: int
    currency: str
    code: int
    flags: list[str]
    pending_id: UUID | None
    timeout_s: int
    reference: UUID | None
    memo: str
    event_at: datetime
    booked_at: datetime
    partition: int
    block: int
    position: int


class EntryView(msgspec.Struct, frozen=True):
    """A line of a statement. credit_minor: what it adds to the credit balance; a debit counts below zero."""

    transfer: TransferView
    credit_minor: int
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
    debits_pending: int
    debits_posted: int
    credits_pending: int
    credits_posted: int


class TrialTotalView(msgspec.Struct, frozen=True):
    """All posted debits and all posted credits of a currency; they are equal."""

    currency: str
    debits_posted: int
    credits_posted: int


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

    amount in minor units. flags: any of linked, pending, post_pending, void_pending. A transfer that posts or voids
    a hold may leave out accounts, currency and code, and amount 0 is all of the hold.
    """

    transfer_id: UUID
    event_at: datetime
    amount: Amount
    debit: UUID = UUID(int=0)
    credit: UUID = UUID(int=0)
    currency: Annotated[str, msgspec.Meta(max_length=3)] = ""
    code: Annotated[int, msgspec.Meta(ge=0, le=32_767)] = 0
    flags: Annotated[list[Annotated[str, msgspec.Meta(max_length=20)]], msgspec.Meta(max_length=4)] = []
    pending_id: UUID | None = None
    timeout_s: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] = 0
    reference: UUID | None = None
    memo: Annotated[str, msgspec.Meta(max_length=200)] = ""
    partition: Annotated[int, msgspec.Meta(ge=0, le=32_767)] = 0


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
        _balance(balance),
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
    page = found[:limit]
    return StatementPage(
        [_entry(entry) for entry in page], _place_text(page[-1].booked.place) if len(found) > limit else None
    )


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
        if not any(_is_open_to(caller, actions.get_account(tx, side)) for side in sides):
            raise UnknownTransfer(f"There is no transfer {transfer_id} in the books.")
    return _transfer(booked)


@post(
    "/v1/ledger/transfers",
    sync_to_thread=True,
    status_code=200,
    tags=["Ledger"],
    opt={"needs": "ledger:write", "refuses": (InvalidInput,)},
)
def post_transfers(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], data: JSONBody[NewTransfers]
) -> Results:
    """Book transfers, up to 1,000, as the league. Again is harmless: each is recognised by its id.

    `trust.not_allowed` for everyone but the league: a member's money moves by taps, top-ups and clearing.
    """
    caller.require_league("ledger:write")
    transfers = [_new_transfer(index, new) for index, new in enumerate(data.transfers)]
    return Results(
        [
            ResultView(result.index, result.transfer_id, result.code.value, result.ok)
            for result in actions.post(ctx, transfers)
        ]
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
                row.debits_pending,
                row.debits_posted,
                row.credits_pending,
                row.credits_posted,
            )
            for row in trial.rows
        ],
        [
            TrialTotalView(currency, debits, credits)
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
    page = found[:limit]
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
        page[-1].number if len(found) > limit else None,
    )


def _is_open_to(caller: trust.Caller, account: Account) -> bool:
    """Whether this caller may look into the account: the league, or the member that holds it."""
    if caller.kind == "league":
        return True
    return caller.kind != "gate" and caller.member_id is not None and caller.member_id == account.holder


def _get_open_to(tx: Tx, caller: trust.Caller, account_id: AccountId) -> Account:
    """The account. Errors: UnknownAccount, also where the caller may not know that it exists."""
    account = actions.get_account(tx, account_id)
    if not _is_open_to(caller, account):
        raise UnknownAccount(f"There is no account {account_id}.")
    return account


def _new_transfer(index: int, new: NewTransfer) -> Transfer:
    # A code of 0 is left to the hold that the transfer ends; without one the ledger refuses it by its own result.
    if new.code and new.code not in _REASONS:
        known = ", ".join(f"{code} ({name})" for code, name in _REASONS.items())
        problem = Problem(f"transfers[{index}].code", f"{new.code} says nothing", f"Use one of {known}")
        raise InvalidInput("There is no such reason to move money.", problems=(problem,))
    flags = TransferFlag.NONE
    for flag in new.flags:
        if flag not in _FLAGS:
            raise InvalidInput(
                "There is no such flag.",
                problems=(
                    Problem(
                        f"transfers[{index}].flags",
                        f"{flag!r} is not a flag",
                        f"Use one of {', '.join(_FLAGS)}",
                    ),
                ),
            )
        flags |= _FLAGS[flag]
    return Transfer(
        TransferId(new.transfer_id),
        AccountId(new.debit),
        AccountId(new.credit),
        new.amount,
        new.currency,
        new.code,
        _instant(new.event_at, where=f"transfers[{index}].event_at"),
        partition=new.partition,
        flags=flags,
        pending_id=None if new.pending_id is None else TransferId(new.pending_id),
        timeout_s=new.timeout_s,
        reference=new.reference,
        memo=new.memo,
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


def _balance(balance: Balance) -> BalanceView:
    return BalanceView(
        balance.debits_pending, balance.debits_posted, balance.credits_pending, balance.credits_posted
    )


def _entry(entry: Entry) -> EntryView:
    return EntryView(_transfer(entry.booked), entry.credit_minor, _balance(entry.balance))


def _transfer(booked: Booked) -> TransferView:
    transfer = booked.transfer
    return TransferView(
        transfer.transfer_id,
        transfer.debit,
        transfer.credit,
        transfer.amount,
        transfer.currency,
        int(transfer.code),
        [name for name, flag in _FLAGS.items() if flag in transfer.flags],
        transfer.pending_id,
        transfer.timeout_s,
        transfer.reference,
        transfer.memo,
        transfer.event_at,
        booked.booked_at,
        transfer.partition,
        booked.place.block,
        booked.place.position,
    )


ROUTES = [read_account, read_statement, read_transfer, post_transfers, read_trial_balance, read_blocks]
