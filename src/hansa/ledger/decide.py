"""The one place where it is decided what becomes of a transfer. Pure: it knows no database and no clock.

``decide`` takes transfers in order, exactly as if each were handed in alone, and changes the ``Book`` it is given:
the balances, transfers and holds that matter to these transfers. The poster loads a book, decides, and writes
what came out; a writer that keeps its book in memory could go on with the same one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import NamedTuple

from hansa.ledger.model import AMOUNT_MAX, MEMO_MAX, TIMEOUT_MAX_S, Balance, ResultCode, Transfer

# Plain integers, because `&` on an IntFlag costs half a microsecond and a batch asks fifty thousand times.
_LINKED, _PENDING, _POST, _VOID, _EXPIRED = 1, 2, 4, 8, 16
_RESOLVES = _POST | _VOID
_OPEN_FLAGS = _LINKED | _PENDING | _POST | _VOID
_NO_DEBIT_OVERDRAFT, _NO_CREDIT_OVERDRAFT, _CLOSED = 1, 2, 4
_ID_MAX = 2**128 - 1
_CODE_MAX = 2**15 - 1

_OK = ResultCode.OK


class HoldState(IntEnum):
    """What became of a pending transfer."""

    OPEN = 0
    POSTED = 1
    VOIDED = 2
    EXPIRED = 3


@dataclass(slots=True)
class Standing:
    """An account while transfers are decided: its limits and its four running sums."""

    currency: str
    flags: int = 0
    debits_pending: int = 0
    debits_posted: int = 0
    credits_pending: int = 0
    credits_posted: int = 0

    @property
    def balance(self) -> Balance:
        return Balance(self.debits_pending, self.debits_posted, self.credits_pending, self.credits_posted)


@dataclass(slots=True)
class Hold:
    """A pending transfer and what became of it. expires_at: None is never."""

    pending: Transfer
    expires_at: datetime | None
    state: HoldState = HoldState.OPEN


@dataclass(slots=True)
class Book:
    """What the decider must know, by the integer of each id. An absent id is one that does not exist."""

    accounts: dict[int, Standing] = field(default_factory=dict[int, Standing])
    transfers: dict[int, Transfer] = field(default_factory=dict[int, Transfer])
    holds: dict[int, Hold] = field(default_factory=dict[int, Hold])


class Row(NamedTuple):
    """A transfer to be written: its full body, then the debit and the credit account's sums after it."""

    transfer: Transfer
    debit_debits_pending: int
    debit_debits_posted: int
    debit_credits_pending: int
    debit_credits_posted: int
    credit_debits_pending: int
    credit_debits_posted: int
    credit_credits_pending: int
    credit_credits_posted: int


@dataclass(frozen=True, slots=True)
class Decision:
    """codes: one for each transfer, in order. rows: those to be written, in order."""

    codes: list[ResultCode]
    rows: list[Row]


def decide(book: Book, transfers: Sequence[Transfer], *, now: datetime, expiring: bool = False) -> Decision:
    """What becomes of each transfer, and the rows that follow from it.

    book: holds every account, earlier transfer and hold these transfers name, as far as they exist; it is
        brought up to date. now: the booking time, for all of them.
    expiring: the ledger itself is ending holds whose time is up; only then is the EXPIRED flag allowed.
    """
    codes: list[ResultCode] = []
    rows: list[Row] = []
    index, count = 0, len(transfers)
    while index < count:
        transfer = transfers[index]
        flags = int(transfer.flags)
        if flags & _LINKED:
            end = index + 1
            while end < count and int(transfers[end - 1].flags) & _LINKED:
                end += 1
            codes += _chain(book, transfers[index:end], now, rows)
            index = end
        else:
            codes.append(_one(book, transfer, flags, now, rows, expiring))
            index += 1
    return Decision(codes, rows)


def _chain(book: Book, chain: Sequence[Transfer], now: datetime, rows: list[Row]) -> list[ResultCode]:
    """All of a linked chain, or nothing of it.

    A chain that is in the books already, whole and unchanged, gives EXISTS for each member, so that sending it
    again is harmless. Otherwise an EXISTS breaks the chain like any refusal.
    """
    if all(_replayed(book, transfer) for transfer in chain):
        return [ResultCode.EXISTS] * len(chain)
    start = len(rows)
    last = len(chain) - 1
    for position, transfer in enumerate(chain):
        flags = int(transfer.flags)
        if position == last and flags & _LINKED:
            code = ResultCode.LINKED_EVENT_CHAIN_OPEN
        else:
            code = _one(book, transfer, flags, now, rows, False)
        if code is not _OK:
            while len(rows) > start:
                _undo(book, rows.pop().transfer)
            codes = [ResultCode.LINKED_EVENT_FAILED] * len(chain)
            codes[position] = code
            if int(chain[last].flags) & _LINKED:
                codes[last] = ResultCode.LINKED_EVENT_CHAIN_OPEN
            return codes
    return [_OK] * len(chain)


def _replayed(book: Book, transfer: Transfer) -> bool:
    existing = book.transfers.get(transfer.transfer_id.int)
    return existing is not None and _compare(book, existing, transfer) is ResultCode.EXISTS


def _one(
    book: Book, transfer: Transfer, flags: int, now: datetime, rows: list[Row], expiring: bool
) -> ResultCode:
    """Decide one transfer; if it is OK, apply it to the book and append its row."""
    if flags & ~_OPEN_FLAGS and not (expiring and flags == _VOID | _EXPIRED):
        return ResultCode.RESERVED_FLAG
    number = transfer.transfer_id.int
    if number == 0:
        return ResultCode.ID_MUST_NOT_BE_ZERO
    if number == _ID_MAX:
        return ResultCode.ID_MUST_NOT_BE_INT_MAX
    existing = book.transfers.get(number)
    if existing is not None:
        return _compare(book, existing, transfer)
    if transfer.memo and not _is_short_text(transfer.memo):
        return ResultCode.MEMO_MUST_BE_SHORT_TEXT
    if flags & _RESOLVES:
        return _resolve(book, transfer, flags, now, rows)

    debit_number, credit_number = transfer.debit.int, transfer.credit.int
    amount = transfer.amount
    if debit_number == 0:
        return ResultCode.DEBIT_ACCOUNT_ID_MUST_NOT_BE_ZERO
    if credit_number == 0:
        return ResultCode.CREDIT_ACCOUNT_ID_MUST_NOT_BE_ZERO
    if debit_number == credit_number:
        return ResultCode.ACCOUNTS_MUST_BE_DIFFERENT
    if transfer.pending_id is not None:
        return ResultCode.PENDING_ID_MUST_BE_ZERO
    if transfer.timeout_s and not flags & _PENDING:
        return ResultCode.TIMEOUT_RESERVED_FOR_PENDING_TRANSFER
    if not 0 < amount <= AMOUNT_MAX:
        return ResultCode.AMOUNT_MUST_NOT_BE_ZERO if amount == 0 else ResultCode.AMOUNT_OUT_OF_RANGE
    if not 0 < transfer.code <= _CODE_MAX:
        return ResultCode.CODE_MUST_NOT_BE_ZERO

    debit = book.accounts.get(debit_number)
    if debit is None:
        return ResultCode.DEBIT_ACCOUNT_NOT_FOUND
    credit = book.accounts.get(credit_number)
    if credit is None:
        return ResultCode.CREDIT_ACCOUNT_NOT_FOUND
    if debit.currency != credit.currency:
        return ResultCode.ACCOUNTS_MUST_HAVE_THE_SAME_LEDGER
    if transfer.currency != debit.currency:
        return ResultCode.TRANSFER_MUST_HAVE_THE_SAME_LEDGER_AS_ACCOUNTS
    if debit.flags & _CLOSED:
        return ResultCode.DEBIT_ACCOUNT_ALREADY_CLOSED
    if credit.flags & _CLOSED:
        return ResultCode.CREDIT_ACCOUNT_ALREADY_CLOSED

    debits = debit.debits_pending + debit.debits_posted + amount
    credits = credit.credits_pending + credit.credits_posted + amount
    if debits > AMOUNT_MAX:
        return ResultCode.OVERFLOWS_DEBITS
    if credits > AMOUNT_MAX:
        return ResultCode.OVERFLOWS_CREDITS
    if transfer.timeout_s and not _timeout_fits(now, transfer.timeout_s):
        return ResultCode.OVERFLOWS_TIMEOUT
    if debit.flags & _NO_DEBIT_OVERDRAFT and debits > debit.credits_posted:
        return ResultCode.EXCEEDS_CREDITS
    if credit.flags & _NO_CREDIT_OVERDRAFT and credits > credit.debits_posted:
        return ResultCode.EXCEEDS_DEBITS

    if flags & _PENDING:
        debit.debits_pending += amount
        credit.credits_pending += amount
        expires_at = now + timedelta(seconds=transfer.timeout_s) if transfer.timeout_s else None
        book.holds[number] = Hold(transfer, expires_at)
    else:
        debit.debits_posted += amount
        credit.credits_posted += amount
    book.transfers[number] = transfer
    rows.append(_row(transfer, debit, credit))
    return _OK


def _resolve(book: Book, transfer: Transfer, flags: int, now: datetime, rows: list[Row]) -> ResultCode:
    """Post or void a hold: release all of it, and when posting move the amount."""
    if flags & _PENDING or flags & _RESOLVES == _RESOLVES:
        return ResultCode.FLAGS_ARE_MUTUALLY_EXCLUSIVE
    if transfer.pending_id is None or transfer.pending_id.int == 0:
        return ResultCode.PENDING_ID_MUST_NOT_BE_ZERO
    if transfer.pending_id == transfer.transfer_id:
        return ResultCode.PENDING_ID_MUST_BE_DIFFERENT
    if transfer.timeout_s:
        return ResultCode.TIMEOUT_RESERVED_FOR_PENDING_TRANSFER
    if not 0 <= transfer.amount <= AMOUNT_MAX:
        return ResultCode.AMOUNT_OUT_OF_RANGE
    pending_number = transfer.pending_id.int
    if pending_number not in book.transfers:
        return ResultCode.PENDING_TRANSFER_NOT_FOUND
    hold = book.holds.get(pending_number)
    if hold is None:
        return ResultCode.PENDING_TRANSFER_NOT_PENDING
    pending = hold.pending
    if transfer.debit.int not in (0, pending.debit.int):
        return ResultCode.PENDING_TRANSFER_HAS_DIFFERENT_DEBIT_ACCOUNT_ID
    if transfer.credit.int not in (0, pending.credit.int):
        return ResultCode.PENDING_TRANSFER_HAS_DIFFERENT_CREDIT_ACCOUNT_ID
    if transfer.currency not in ("", pending.currency):
        return ResultCode.PENDING_TRANSFER_HAS_DIFFERENT_LEDGER
    if transfer.code not in (0, pending.code):
        return ResultCode.PENDING_TRANSFER_HAS_DIFFERENT_CODE
    amount = transfer.amount or pending.amount
    if amount > pending.amount:
        return ResultCode.EXCEEDS_PENDING_TRANSFER_AMOUNT
    if flags & _VOID and amount != pending.amount:
        return ResultCode.PENDING_TRANSFER_HAS_DIFFERENT_AMOUNT
    if hold.state is not HoldState.OPEN:
        return _ENDED[hold.state]
    if not flags & _EXPIRED and hold.expires_at is not None and hold.expires_at <= now:
        return ResultCode.PENDING_TRANSFER_EXPIRED
    debit, credit = book.accounts[pending.debit.int], book.accounts[pending.credit.int]
    if not flags & _VOID:
        if debit.flags & _CLOSED:
            return ResultCode.DEBIT_ACCOUNT_ALREADY_CLOSED
        if credit.flags & _CLOSED:
            return ResultCode.CREDIT_ACCOUNT_ALREADY_CLOSED

    debit.debits_pending -= pending.amount
    credit.credits_pending -= pending.amount
    if flags & _VOID:
        hold.state = HoldState.EXPIRED if flags & _EXPIRED else HoldState.VOIDED
    else:
        debit.debits_posted += amount
        credit.credits_posted += amount
        hold.state = HoldState.POSTED
    full = replace(
        transfer,
        debit=pending.debit,
        credit=pending.credit,
        amount=amount,
        currency=pending.currency,
        code=pending.code,
    )
    book.transfers[transfer.transfer_id.int] = full
    rows.append(_row(full, debit, credit))
    return _OK


_ENDED = {
    HoldState.POSTED: ResultCode.PENDING_TRANSFER_ALREADY_POSTED,
    HoldState.VOIDED: ResultCode.PENDING_TRANSFER_ALREADY_VOIDED,
    HoldState.EXPIRED: ResultCode.PENDING_TRANSFER_EXPIRED,
}


def _undo(book: Book, transfer: Transfer) -> None:
    """Take the newest applied transfer back out of the book."""
    debit, credit = book.accounts[transfer.debit.int], book.accounts[transfer.credit.int]
    flags = int(transfer.flags)
    del book.transfers[transfer.transfer_id.int]
    if flags & _PENDING:
        debit.debits_pending -= transfer.amount
        credit.credits_pending -= transfer.amount
        del book.holds[transfer.transfer_id.int]
        return
    if not flags & _VOID:
        debit.debits_posted -= transfer.amount
        credit.credits_posted -= transfer.amount
    if transfer.pending_id is not None:
        hold = book.holds[transfer.pending_id.int]
        debit.debits_pending += hold.pending.amount
        credit.credits_pending += hold.pending.amount
        hold.state = HoldState.OPEN


def _compare(book: Book, existing: Transfer, transfer: Transfer) -> ResultCode:
    """EXISTS if this is the same transfer again, else the first field in which it differs."""
    flags = int(transfer.flags)
    if existing.flags != flags:
        return ResultCode.EXISTS_WITH_DIFFERENT_FLAGS
    if existing.pending_id != transfer.pending_id:
        return ResultCode.EXISTS_WITH_DIFFERENT_PENDING_ID
    if existing.timeout_s != transfer.timeout_s:
        return ResultCode.EXISTS_WITH_DIFFERENT_TIMEOUT
    resolves = flags & _RESOLVES
    if existing.debit != transfer.debit and not (resolves and transfer.debit.int == 0):
        return ResultCode.EXISTS_WITH_DIFFERENT_DEBIT_ACCOUNT_ID
    if existing.credit != transfer.credit and not (resolves and transfer.credit.int == 0):
        return ResultCode.EXISTS_WITH_DIFFERENT_CREDIT_ACCOUNT_ID
    if existing.amount != transfer.amount and not (
        resolves and transfer.amount == 0 and _took_all(book, existing)
    ):
        return ResultCode.EXISTS_WITH_DIFFERENT_AMOUNT
    if existing.reference != transfer.reference:
        return ResultCode.EXISTS_WITH_DIFFERENT_REFERENCE
    if existing.event_at != transfer.event_at:
        return ResultCode.EXISTS_WITH_DIFFERENT_EVENT_AT
    if existing.memo != transfer.memo:
        return ResultCode.EXISTS_WITH_DIFFERENT_MEMO
    if existing.currency != transfer.currency and not (resolves and transfer.currency == ""):
        return ResultCode.EXISTS_WITH_DIFFERENT_LEDGER
    if existing.code != transfer.code and not (resolves and transfer.code == 0):
        return ResultCode.EXISTS_WITH_DIFFERENT_CODE
    return ResultCode.EXISTS


def _took_all(book: Book, resolution: Transfer) -> bool:
    assert resolution.pending_id is not None, "a post or void in the books names its hold"
    return book.holds[resolution.pending_id.int].pending.amount == resolution.amount


def _row(transfer: Transfer, debit: Standing, credit: Standing) -> Row:
    return Row(
        transfer,
        debit.debits_pending,
        debit.debits_posted,
        debit.credits_pending,
        debit.credits_posted,
        credit.debits_pending,
        credit.debits_posted,
        credit.credits_pending,
        credit.credits_posted,
    )


def _timeout_fits(now: datetime, timeout_s: int) -> bool:
    if not 0 < timeout_s <= TIMEOUT_MAX_S:
        return False
    # Not past the year 9999, which a datetime cannot say.
    return timedelta(seconds=timeout_s) <= datetime.max.replace(tzinfo=UTC) - now


def _is_short_text(memo: str) -> bool:
    """Text the database can store: at most 200 characters, no NUL, no half of a surrogate pair."""
    return (
        len(memo) <= MEMO_MAX and "\0" not in memo and not any("\ud800" <= sign <= "\udfff" for sign in memo)
    )
