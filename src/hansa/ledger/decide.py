"""The one place where it is decided what becomes of a transfer. Pure: it knows no database and no clock.

``decide`` takes transfers in order, exactly as if each were handed in alone, and changes the ``Book`` it is given:
the balances, transfers and holds that matter to these transfers. A writer fills the book with what a batch names,
decides, and writes what came out; it may keep the book for the next batch.

A transfer is a plain tuple here (``Body``), its ids are 16 bytes and its instants are microseconds: a batch of
8,192 asks several hundred thousand questions, and an attribute of an object costs more than the question.

Source: the order of the questions is that of TigerBeetle's ``create_transfers`` (docs/ledger.md, decision 12).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TypeAlias

from hansa.ledger.model import AMOUNT_MAX, ResultCode

Body: TypeAlias = tuple[bytes, bytes, bytes, int, bytes, bytes, int, int, int, bytes, int, int, str]
"""A transfer: transfer_id, debit, credit, amount, pending_id, reference, event_at (microseconds since 1970 UTC), tag,
timeout_s, currency, code, flags, memo. An id of zeros stands for none. Every number fits its field's range."""

ZERO = bytes(16)
ID_MAX = b"\xff" * 16
INSTANT_MIN_US, INSTANT_MAX_US = -62_135_596_800_000_000, 253_402_300_799_999_999
"""The first microsecond of the year 1, and the last of the year 9999: what can be read back."""

LINKED, PENDING, POST, VOID = 1, 2, 4, 8
BALANCING_DEBIT, BALANCING_CREDIT, CLOSING_DEBIT, CLOSING_CREDIT, EXPIRED = 16, 32, 64, 128, 512
RESOLVES = POST | VOID
BALANCING = BALANCING_DEBIT | BALANCING_CREDIT
CLOSING = CLOSING_DEBIT | CLOSING_CREDIT
_OPEN_FLAGS = LINKED | PENDING | RESOLVES | BALANCING | CLOSING
_NO_DEBIT_OVERDRAFT, _NO_CREDIT_OVERDRAFT, _CLOSED = 1, 2, 4

_CREATED = ResultCode.CREATED


class HoldState(IntEnum):
    """What became of a pending transfer."""

    OPEN = 0
    POSTED = 1
    VOIDED = 2
    EXPIRED = 3


class Standing:
    """An account while transfers are decided: its currency, its flags and its four running sums."""

    __slots__ = ("credits_pending", "credits_posted", "currency", "debits_pending", "debits_posted", "flags")

    def __init__(
        self,
        currency: bytes,
        flags: int = 0,
        debits_pending: int = 0,
        debits_posted: int = 0,
        credits_pending: int = 0,
        credits_posted: int = 0,
    ) -> None:
        self.currency = currency
        self.flags = flags
        self.debits_pending = debits_pending
        self.debits_posted = debits_posted
        self.credits_pending = credits_pending
        self.credits_posted = credits_posted

    @property
    def sums(self) -> tuple[int, int, int, int]:
        return self.debits_pending, self.debits_posted, self.credits_pending, self.credits_posted


@dataclass(slots=True)
class Hold:
    """A pending transfer and what became of it. expires_us: None is never."""

    pending: Body
    expires_us: int | None
    state: HoldState = HoldState.OPEN


@dataclass(slots=True)
class Book:
    """What the decider must know, by id. An absent id is one that does not exist."""

    accounts: dict[bytes, Standing] = field(default_factory=dict[bytes, Standing])
    transfers: dict[bytes, Body] = field(default_factory=dict[bytes, Body])
    holds: dict[bytes, Hold] = field(default_factory=dict[bytes, Hold])


@dataclass(slots=True)
class Decision:
    """What came of a batch.

    codes: one for each transfer, in order. rows: the bodies to be written, in order, as they truly came out (a
    balancing transfer with what it moved, a resolution with what its hold said). released: for each row the amount
    of the hold that it ended, None where it ended none. sums: for each row eight sums after it, one after another:
    debit account's debits_pending, debits_posted, credits_pending, credits_posted, then the credit account's.
    as_given: every transfer was booked just as it was handed in.
    """

    codes: list[ResultCode]
    rows: list[Body]
    released: list[int | None]
    sums: list[int]
    as_given: bool


@dataclass(slots=True)
class _Run:
    """One call of ``decide``: its time, and what it writes."""

    book: Book
    now_us: int
    expiring: bool
    rows: list[Body] = field(default_factory=list[Body])
    released: list[int | None] = field(default_factory=list["int | None"])
    sums: list[int] = field(default_factory=list[int])
    altered: bool = False


def decide(
    book: Book,
    bodies: Sequence[Body],
    *,
    now_us: int,
    refused: Mapping[int, ResultCode] | None = None,
    expiring: bool = False,
) -> Decision:
    """What becomes of each transfer, and the rows that follow from it.

    book: holds every account, earlier transfer and hold these transfers name, as far as they exist; it is
        brought up to date. now_us: the booking time, for all of them, in microseconds since 1970 UTC.
    refused: transfers that could not be told in a ``Body``, by index, with the code that says why.
    expiring: the ledger itself is ending holds whose time is up; only then is the EXPIRED flag allowed.
    """
    run = _Run(book, now_us, expiring)
    codes: list[ResultCode] = []
    rows, sums, transfers = run.rows, run.sums, book.transfers
    find = book.accounts.get
    refused = refused or {}
    chain: list[Body] = []
    for body in bodies:
        transfer_id, debit_id, credit_id, amount, pending_id, _, _, _, timeout_s, currency, code, flags, _ = (
            body
        )
        # The common case, a plain transfer between two open accounts that both allow it, is asked together; at any
        # doubt `_one` asks the same questions one by one, in the order that says which refusal is told.
        if (
            not (flags or timeout_s or chain or refused)
            and pending_id == ZERO
            and transfer_id not in transfers
        ):
            debit, credit = find(debit_id), find(credit_id)
            if (
                debit is not None
                and credit is not None
                and debit is not credit
                and debit.currency == currency == credit.currency
                and code
                and not (debit.flags | credit.flags) & _CLOSED
                and transfer_id != ZERO
                and transfer_id != ID_MAX
            ):
                debits = debit.debits_posted + amount
                credits = credit.credits_posted + amount
                debits_pending, credits_pending = debit.debits_pending, credit.credits_pending
                if (
                    debits_pending + debits <= AMOUNT_MAX
                    and credits_pending + credits <= AMOUNT_MAX
                    and not (debit.flags & 1 and debits_pending + debits > debit.credits_posted)
                    and not (credit.flags & 2 and credits_pending + credits > credit.debits_posted)
                ):
                    debit.debits_posted = debits
                    credit.credits_posted = credits
                    transfers[transfer_id] = body
                    rows.append(body)
                    sums += (
                        debits_pending,
                        debits,
                        debit.credits_pending,
                        debit.credits_posted,
                        credit.debits_pending,
                        credit.debits_posted,
                        credits_pending,
                        credits,
                    )
                    codes.append(_CREATED)
                    continue
        if chain or flags & LINKED:
            chain.append(body)
            if not flags & LINKED:
                codes += _chain(run, chain, _within(refused, len(codes), len(chain)))
                chain = []
        else:
            codes.append(refused.get(len(codes)) or _one(run, body))
    if chain:
        codes += _chain(run, chain, _within(refused, len(codes), len(chain)))
    released = run.released
    released += [None] * (len(rows) - len(released))
    as_given = not run.altered and len(rows) == len(bodies)
    return Decision(codes, rows, released, sums, as_given)


def _within(refused: Mapping[int, ResultCode], start: int, count: int) -> dict[int, ResultCode]:
    """Those of the refused that are in a chain, by their place in it."""
    return {index - start: code for index, code in refused.items() if start <= index < start + count}


def _chain(run: _Run, chain: Sequence[Body], refused: Mapping[int, ResultCode]) -> list[ResultCode]:
    """All of a linked chain, or nothing of it.

    A chain that is in the books already, whole and unchanged, gives EXISTS for each member, so that sending it
    again is harmless. Otherwise an EXISTS breaks the chain like any refusal.
    """
    last = len(chain) - 1
    is_open = bool(chain[last][11] & LINKED)
    if not refused and not is_open and all(_replayed(run.book, body) for body in chain):
        return [ResultCode.EXISTS] * len(chain)
    before = _Before(run)
    for position, body in enumerate(chain):
        if position == last and is_open:
            code = ResultCode.LINKED_EVENT_CHAIN_OPEN
        elif position in refused:
            code = refused[position]
        else:
            before.remember(body)
            code = _one(run, body)
        if code is not _CREATED:
            before.restore()
            codes = [ResultCode.LINKED_EVENT_FAILED] * len(chain)
            codes[position] = code
            if is_open:
                codes[last] = ResultCode.LINKED_EVENT_CHAIN_OPEN
            return codes
    return [_CREATED] * len(chain)


def _replayed(book: Book, body: Body) -> bool:
    existing = book.transfers.get(body[0])
    return existing is not None and _compare(book, existing, body) is ResultCode.EXISTS


class _Before:
    """What a chain found, so that nothing of it stays when one of its members is refused."""

    def __init__(self, run: _Run) -> None:
        self._run = run
        self._rows = len(run.rows)
        self._standings: dict[bytes, tuple[int, int, int, int, int]] = {}
        self._holds: dict[bytes, HoldState] = {}

    def remember(self, body: Body) -> None:
        """Note how things stand that this member may change; the first note counts."""
        book = self._run.book
        hold = book.holds.get(body[4])
        sides = body if hold is None else hold.pending
        if hold is not None:
            self._holds.setdefault(body[4], hold.state)
        for account_id in (sides[1], sides[2]):
            standing = book.accounts.get(account_id)
            if standing is not None:
                self._standings.setdefault(account_id, (standing.flags, *standing.sums))

    def restore(self) -> None:
        """Take all that was booked since out of the book and out of what is written."""
        run, book = self._run, self._run.book
        for row in run.rows[self._rows :]:
            del book.transfers[row[0]]
            book.holds.pop(row[0], None)
        del run.rows[self._rows :], run.released[self._rows :], run.sums[self._rows * 8 :]
        for pending_id, state in self._holds.items():
            if pending_id in book.holds:
                book.holds[pending_id].state = state
        for account_id, (flags, *sums) in self._standings.items():
            standing = book.accounts[account_id]
            standing.flags = flags
            (
                standing.debits_pending,
                standing.debits_posted,
                standing.credits_pending,
                standing.credits_posted,
            ) = sums


def _one(run: _Run, body: Body) -> ResultCode:
    """Decide one transfer; if it is CREATED, apply it to the book and write its row."""
    book = run.book
    transfer_id, debit_id, credit_id, amount, pending_id, _, _, _, timeout_s, currency, code, flags, _ = body
    if flags & ~_OPEN_FLAGS and not (run.expiring and flags == VOID | EXPIRED):
        return ResultCode.RESERVED_FLAG
    if transfer_id == ZERO:
        return ResultCode.ID_MUST_NOT_BE_ZERO
    if transfer_id == ID_MAX:
        return ResultCode.ID_MUST_NOT_BE_INT_MAX
    existing = book.transfers.get(transfer_id)
    if existing is not None:
        return _compare(book, existing, body)
    if flags & RESOLVES:
        return _resolve(run, body)

    if debit_id == ZERO:
        return ResultCode.DEBIT_ACCOUNT_ID_MUST_NOT_BE_ZERO
    if debit_id == ID_MAX:
        return ResultCode.DEBIT_ACCOUNT_ID_MUST_NOT_BE_INT_MAX
    if credit_id == ZERO:
        return ResultCode.CREDIT_ACCOUNT_ID_MUST_NOT_BE_ZERO
    if credit_id == ID_MAX:
        return ResultCode.CREDIT_ACCOUNT_ID_MUST_NOT_BE_INT_MAX
    if debit_id == credit_id:
        return ResultCode.ACCOUNTS_MUST_BE_DIFFERENT
    if pending_id != ZERO:
        return ResultCode.PENDING_ID_MUST_BE_ZERO
    if not flags & PENDING:
        if timeout_s:
            return ResultCode.TIMEOUT_RESERVED_FOR_PENDING_TRANSFER
        if flags & CLOSING:
            return ResultCode.CLOSING_TRANSFER_MUST_BE_PENDING
    if not currency:
        return ResultCode.LEDGER_MUST_NOT_BE_ZERO
    if not code:
        return ResultCode.CODE_MUST_NOT_BE_ZERO

    debit = book.accounts.get(debit_id)
    if debit is None:
        return ResultCode.DEBIT_ACCOUNT_NOT_FOUND
    credit = book.accounts.get(credit_id)
    if credit is None:
        return ResultCode.CREDIT_ACCOUNT_NOT_FOUND
    if debit.currency != credit.currency:
        return ResultCode.ACCOUNTS_MUST_HAVE_THE_SAME_LEDGER
    if currency != debit.currency:
        return ResultCode.TRANSFER_MUST_HAVE_THE_SAME_LEDGER_AS_ACCOUNTS
    if debit.flags & _CLOSED:
        return ResultCode.DEBIT_ACCOUNT_ALREADY_CLOSED
    if credit.flags & _CLOSED:
        return ResultCode.CREDIT_ACCOUNT_ALREADY_CLOSED

    if flags & BALANCING:
        amount = _balanced(flags, amount, debit, credit)
    refusal = _beyond_a_limit(flags, amount, timeout_s, run.now_us, debit, credit)
    if refusal is not None:
        return refusal

    if amount != body[3]:
        body = (*body[:3], amount, *body[4:])
        run.altered = True
    if flags & PENDING:
        debit.debits_pending += amount
        credit.credits_pending += amount
        expires_us = run.now_us + timeout_s * 1_000_000 if timeout_s else None
        book.holds[transfer_id] = Hold(body, expires_us)
        if flags & CLOSING_DEBIT:
            debit.flags |= _CLOSED
        if flags & CLOSING_CREDIT:
            credit.flags |= _CLOSED
    else:
        debit.debits_posted += amount
        credit.credits_posted += amount
    _write(run, body, debit, credit, None)
    return _CREATED


def _balanced(flags: int, amount: int, debit: Standing, credit: Standing) -> int:
    """As much of the amount as the accounts have: never more, down to nothing."""
    if flags & BALANCING_DEBIT:
        amount = min(amount, max(0, debit.credits_posted - debit.debits_posted - debit.debits_pending))
    if flags & BALANCING_CREDIT:
        amount = min(amount, max(0, credit.debits_posted - credit.credits_posted - credit.credits_pending))
    return amount


def _beyond_a_limit(
    flags: int, amount: int, timeout_s: int, now_us: int, debit: Standing, credit: Standing
) -> ResultCode | None:
    """The first sum that would grow too large, or the first limit of an account that would be broken."""
    if flags & PENDING:
        if debit.debits_pending + amount > AMOUNT_MAX:
            return ResultCode.OVERFLOWS_DEBITS_PENDING
        if credit.credits_pending + amount > AMOUNT_MAX:
            return ResultCode.OVERFLOWS_CREDITS_PENDING
    if debit.debits_posted + amount > AMOUNT_MAX:
        return ResultCode.OVERFLOWS_DEBITS_POSTED
    if credit.credits_posted + amount > AMOUNT_MAX:
        return ResultCode.OVERFLOWS_CREDITS_POSTED
    debits = debit.debits_pending + debit.debits_posted + amount
    credits = credit.credits_pending + credit.credits_posted + amount
    if debits > AMOUNT_MAX:
        return ResultCode.OVERFLOWS_DEBITS
    if credits > AMOUNT_MAX:
        return ResultCode.OVERFLOWS_CREDITS
    if now_us + timeout_s * 1_000_000 > INSTANT_MAX_US:
        return ResultCode.OVERFLOWS_TIMEOUT
    if debit.flags & _NO_DEBIT_OVERDRAFT and debits > debit.credits_posted:
        return ResultCode.EXCEEDS_CREDITS
    if credit.flags & _NO_CREDIT_OVERDRAFT and credits > credit.debits_posted:
        return ResultCode.EXCEEDS_DEBITS
    return None


def _resolve(run: _Run, body: Body) -> ResultCode:
    """Post or void a hold: release all of it, and when posting move the amount."""
    book = run.book
    (
        transfer_id,
        debit_id,
        credit_id,
        amount,
        pending_id,
        reference,
        event_us,
        tag,
        timeout_s,
        currency,
        code,
        flags,
        memo,
    ) = body
    if flags & RESOLVES == RESOLVES or flags & (PENDING | BALANCING | CLOSING):
        return ResultCode.FLAGS_ARE_MUTUALLY_EXCLUSIVE
    if pending_id == ZERO:
        return ResultCode.PENDING_ID_MUST_NOT_BE_ZERO
    if pending_id == ID_MAX:
        return ResultCode.PENDING_ID_MUST_NOT_BE_INT_MAX
    if pending_id == transfer_id:
        return ResultCode.PENDING_ID_MUST_BE_DIFFERENT
    if timeout_s:
        return ResultCode.TIMEOUT_RESERVED_FOR_PENDING_TRANSFER
    if pending_id not in book.transfers:
        return ResultCode.PENDING_TRANSFER_NOT_FOUND
    hold = book.holds.get(pending_id)
    if hold is None:
        return ResultCode.PENDING_TRANSFER_NOT_PENDING
    pending = hold.pending
    held, hold_flags = pending[3], pending[11]
    if debit_id not in (ZERO, pending[1]):
        return ResultCode.PENDING_TRANSFER_HAS_DIFFERENT_DEBIT_ACCOUNT_ID
    if credit_id not in (ZERO, pending[2]):
        return ResultCode.PENDING_TRANSFER_HAS_DIFFERENT_CREDIT_ACCOUNT_ID
    if currency not in (b"", pending[9]):
        return ResultCode.PENDING_TRANSFER_HAS_DIFFERENT_LEDGER
    if code not in (0, pending[10]):
        return ResultCode.PENDING_TRANSFER_HAS_DIFFERENT_CODE
    if amount == (0 if flags & VOID else AMOUNT_MAX):
        amount = held
    if amount > held:
        return ResultCode.EXCEEDS_PENDING_TRANSFER_AMOUNT
    if flags & VOID and amount != held:
        return ResultCode.PENDING_TRANSFER_HAS_DIFFERENT_AMOUNT
    if hold.state is not HoldState.OPEN:
        return _ENDED[hold.state]
    if not flags & EXPIRED and hold.expires_us is not None and hold.expires_us <= run.now_us:
        return ResultCode.PENDING_TRANSFER_EXPIRED
    debit, credit = book.accounts[pending[1]], book.accounts[pending[2]]
    if not flags & VOID:
        if debit.flags & _CLOSED:
            return ResultCode.DEBIT_ACCOUNT_ALREADY_CLOSED
        if credit.flags & _CLOSED:
            return ResultCode.CREDIT_ACCOUNT_ALREADY_CLOSED

    debit.debits_pending -= held
    credit.credits_pending -= held
    if flags & VOID:
        hold.state = HoldState.EXPIRED if flags & EXPIRED else HoldState.VOIDED
        if hold_flags & CLOSING_DEBIT:
            debit.flags &= ~_CLOSED
        if hold_flags & CLOSING_CREDIT:
            credit.flags &= ~_CLOSED
    else:
        debit.debits_posted += amount
        credit.credits_posted += amount
        hold.state = HoldState.POSTED
    run.altered = True
    full: Body = (
        transfer_id,
        pending[1],
        pending[2],
        amount,
        pending_id,
        reference if reference != ZERO else pending[5],
        event_us,
        tag or pending[7],
        0,
        pending[9],
        pending[10],
        flags,
        memo or pending[12],
    )
    _write(run, full, debit, credit, held)
    return _CREATED


_ENDED = {
    HoldState.POSTED: ResultCode.PENDING_TRANSFER_ALREADY_POSTED,
    HoldState.VOIDED: ResultCode.PENDING_TRANSFER_ALREADY_VOIDED,
    HoldState.EXPIRED: ResultCode.PENDING_TRANSFER_EXPIRED,
}


def _write(run: _Run, body: Body, debit: Standing, credit: Standing, released: int | None) -> None:
    run.book.transfers[body[0]] = body
    if released is not None:
        run.released += [None] * (len(run.rows) - len(run.released))
        run.released.append(released)
    run.rows.append(body)
    run.sums += (
        debit.debits_pending,
        debit.debits_posted,
        debit.credits_pending,
        debit.credits_posted,
        credit.debits_pending,
        credit.debits_posted,
        credit.credits_pending,
        credit.credits_posted,
    )


def _compare(book: Book, existing: Body, body: Body) -> ResultCode:
    """EXISTS if this is the same transfer again, else the first field in which it differs.

    What a resolution leaves out it took from its hold, and is the same again if the hold's is what stands there.
    """
    flags = body[11]
    if existing[11] != flags:
        return ResultCode.EXISTS_WITH_DIFFERENT_FLAGS
    if existing[4] != body[4]:
        return ResultCode.EXISTS_WITH_DIFFERENT_PENDING_ID
    if existing[8] != body[8]:
        return ResultCode.EXISTS_WITH_DIFFERENT_TIMEOUT
    filled = book.holds[body[4]].pending if flags & RESOLVES else None
    if existing[1] != body[1] and not (filled and body[1] == ZERO):
        return ResultCode.EXISTS_WITH_DIFFERENT_DEBIT_ACCOUNT_ID
    if existing[2] != body[2] and not (filled and body[2] == ZERO):
        return ResultCode.EXISTS_WITH_DIFFERENT_CREDIT_ACCOUNT_ID
    if not _same_amount(existing[3], body[3], flags, filled):
        return ResultCode.EXISTS_WITH_DIFFERENT_AMOUNT
    if existing[5] != (filled[5] if filled and body[5] == ZERO else body[5]):
        return ResultCode.EXISTS_WITH_DIFFERENT_REFERENCE
    if existing[6] != body[6]:
        return ResultCode.EXISTS_WITH_DIFFERENT_EVENT_AT
    if existing[7] != (filled[7] if filled and not body[7] else body[7]):
        return ResultCode.EXISTS_WITH_DIFFERENT_TAG
    if existing[12] != (filled[12] if filled and not body[12] else body[12]):
        return ResultCode.EXISTS_WITH_DIFFERENT_MEMO
    if existing[9] != body[9] and not (filled and not body[9]):
        return ResultCode.EXISTS_WITH_DIFFERENT_LEDGER
    if existing[10] != body[10] and not (filled and not body[10]):
        return ResultCode.EXISTS_WITH_DIFFERENT_CODE
    return ResultCode.EXISTS


def _same_amount(moved: int, asked: int, flags: int, hold: Body | None) -> bool:
    if hold is not None and asked == (0 if flags & VOID else AMOUNT_MAX):
        return moved == hold[3]
    return asked >= moved if flags & BALANCING else asked == moved
