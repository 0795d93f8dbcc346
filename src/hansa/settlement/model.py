"""Bank files, instructions, statements, breaks: the words, and the matching of a statement. Pure."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import ClassVar

from hansa import ledger
from hansa.clearing import NetPosition, day_window, stamp_of
from hansa.kernel import HansaError, Money, fact_id
from hansa.settlement.iso20022 import TEXT, short

STATEMENT_BYTES_MAX = 32 * 1024 * 1024
"""The largest statement that is read: about 40,000 entries."""


class BadStatement(HansaError):
    """This is not a bank statement we can read; nothing of it was taken."""

    code: ClassVar[str] = "settlement.bad_statement"
    status: ClassVar[int] = 422


class StatementDiffers(HansaError):
    """A statement of this id was read before, with other content. Ask the bank which one holds."""

    code: ClassVar[str] = "settlement.statement_differs"
    status: ClassVar[int] = 409


class FileDiffers(HansaError):
    """A bank file is not what was written down for its day. It was left as it is; nothing was sent."""

    code: ClassVar[str] = "settlement.file_differs"
    status: ClassVar[int] = 409


class UnknownFile(HansaError):
    """There is no bank file of this message id."""

    code: ClassVar[str] = "settlement.unknown_file"
    status: ClassVar[int] = 404


class DayNotClosed(HansaError):
    """This day is still being closed; bank files come after."""

    code: ClassVar[str] = "settlement.day_not_closed"
    status: ClassVar[int] = 409


class NotByNets(HansaError):
    """This window does not settle by each member's net; its files are prepared at the desk, by the bank's profile."""

    code: ClassVar[str] = "settlement.not_by_nets"
    status: ClassVar[int] = 409


class Direction(StrEnum):
    """Seen from the league's settlement account: a member pays in, or is paid out."""

    IN = "in"
    OUT = "out"


class Progress(StrEnum):
    """How far a day's money is, in one currency."""

    CLEARED = "cleared"
    INSTRUCTED = "instructed"
    SETTLED = "settled"


class BreakKind(StrEnum):
    """How statement and instructions disagree."""

    UNKNOWN = "unknown"
    AMOUNT = "amount"
    CURRENCY = "currency"
    DIRECTION = "direction"
    DUPLICATE = "duplicate"
    NOT_BOOKED = "not_booked"
    MISSING = "missing"
    REVERSAL = "reversal"


@dataclass(frozen=True, slots=True)
class Instruction:
    """One payment the bank is told to make. name, account: of the member, when it was instructed.

    counterparty: with whom the member settles; empty where it settles its net with all. piece: from 0, where the
    bank takes the amount only in several payments. attempt: 0 for the first payment, then one more for each that was
    instructed anew; replaces: the payment in whose place this one stands. window_id: what it settles; of the business
    day where none is given.
    """

    end_to_end_id: str
    day: date
    currency: str
    member_id: str
    direction: Direction
    amount_minor: int
    message_id: str
    name: str
    account: str
    counterparty: str = ""
    piece: int = 0
    attempt: int = 0
    replaces: str | None = None
    window_id: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "window_id", self.window_id or day_window(self.day))

    @property
    def amount(self) -> Money:
        return Money(self.amount_minor, self.currency)


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A bank file as it was decided. holder, account: of the settlement account. digest: SHA-256 of its bytes.

    form: its message definition. part: which file of its window and currency, from 0. execution_day: when the bank is
    to move the money; None where no bank's profile said it. window_id: of the business day where none is given.
    """

    message_id: str
    day: date
    currency: str
    created_at: datetime
    holder: str
    account: str
    control_sum_minor: int
    transactions: int
    digest: bytes
    bank_id: str = "league-bank"
    form: str = "pain.001.001.09"
    part: int = 0
    execution_day: date | None = None
    window_id: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "window_id", self.window_id or day_window(self.day))


@dataclass(frozen=True, slots=True)
class BankFile:
    """A pain.001 that lies ready for the bank. control_sum: of all its payments, in minor units."""

    currency: str
    path: Path
    message_id: str
    control_sum: int
    transactions: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a bank statement. Its place counts from one.

    reversal: it undoes an earlier line, so it moves money the other way; a payment that came back is one too.
    """

    place: int
    end_to_end_id: str
    amount: Money
    direction: Direction
    booked: bool
    booked_day: date
    bank_reference: str
    reversal: bool = False


@dataclass(frozen=True, slots=True)
class Statement:
    """A bank statement of the league's settlement account in one currency."""

    statement_id: str
    account: str
    currency: str
    created_at: datetime
    opening_minor: int
    closing_minor: int
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Notice:
    """What a bank announces between statements. It adds up to no balance, so nothing is booked by it."""

    message_id: str
    account: str
    created_at: datetime
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Break:
    """A disagreement that a person has to look at. entry: place in the statement; below zero if not in it.

    booked_day: of the entry; None for what no statement has.
    """

    statement_id: str
    entry: int
    kind: BreakKind
    end_to_end_id: str
    expected_minor: int | None
    found_minor: int | None
    currency: str
    detail: str
    found_at: datetime
    booked_day: date | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """A statement that does not go on from the one before it: one between them is missing, or one is wrong.

    before: the closing balance of the one before, in minor units.
    """

    statement_id: str
    account: str
    currency: str
    before: int
    opening_minor: int


@dataclass(frozen=True, slots=True)
class Match:
    """An entry that says what an instruction said."""

    end_to_end_id: str
    statement_id: str
    entry: int
    booked_day: date


@dataclass(frozen=True, slots=True)
class Reversal:
    """An entry that undoes an earlier one: of the break it names, or else of the payment, which has come back."""

    statement_id: str
    entry: int
    end_to_end_id: str
    booked_day: date
    break_statement_id: str | None = None
    break_entry: int | None = None


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What reading a statement came to.

    settled: business days and currencies whose money has all moved with it; windows: of which windows.
    """

    statement_id: str
    matched: tuple[Match, ...]
    breaks: tuple[Break, ...]
    settled: tuple[tuple[date, str], ...]
    windows: tuple[tuple[str, str], ...] = ()


def settlement_account(currency: str) -> ledger.AccountId:
    """The league's money in transit at its bank."""
    return ledger.AccountId(fact_id(None, "settlement", currency))


def message_id(window_id: str, currency: str, part: int = 0) -> str:
    """The id of a bank file of a window in a currency; at most 35 characters."""
    return short(f"HANSA-{stamp_of(window_id)}-{currency}" + (f"-F{part:03d}" if part else ""), 35)


def end_to_end_id(window_id: str, currency: str, member_id: str, *more: str) -> str:
    """The id that a payment keeps from our file to the bank's statement; at most 35 characters.

    more: what else makes it this payment, where a member has several in a window and currency.
    """
    name = "-".join((*more, member_id))
    if more:
        name += (
            f"-{fact_id(None, *more, member_id).hex[-6:]}"  # names hold hyphens: two must not run together
        )
    if not TEXT.fullmatch(name):
        name = fact_id(None, name).hex
    return short(f"HANSA-{stamp_of(window_id)}-{currency}-{name}", 35)


def instructions_of(
    nets: Iterable[NetPosition], *, names: Mapping[str, str], accounts: Mapping[str, str]
) -> list[Instruction]:
    """The payments that settle a window's nets: each net debtor pays in, each net creditor is paid out."""
    return [
        Instruction(
            end_to_end_id=end_to_end_id(net.window_id, net.currency, net.member_id),
            day=net.day,
            currency=net.currency,
            member_id=net.member_id,
            direction=Direction.IN if net.net < 0 else Direction.OUT,
            amount_minor=abs(net.net),
            message_id=message_id(net.window_id, net.currency),
            name=names[net.member_id],
            account=accounts[net.member_id],
            window_id=net.window_id,
        )
        for net in nets
        if net.net
    ]


@dataclass(frozen=True, slots=True)
class Laid:
    """A statement laid beside what was instructed."""

    matches: list[Match]
    breaks: list[Break]
    reversals: list[Reversal]


def match(
    statement: Statement,
    instructions: Mapping[str, Instruction],
    *,
    matched: Collection[str],
    missing_from: Iterable[Instruction],
    found_at: datetime,
    wrong: Iterable[Break] = (),
    returned: Collection[str] = (),
) -> Laid:
    """Lay a statement beside what was instructed: what agrees in id, amount, currency and direction, and what not.

    instructions: those the statement names, by end-to-end id. matched: ids that an entry agreed with before.
    missing_from: what should be in it, had the bank carried everything out; what it names wrongly is not missing.
    wrong: earlier entries about these ids that nothing has undone, and entries that undid what had not come yet.
    returned: ids whose money has come back before.
    """
    done = set(matched)
    laid = Laid([], [], [])
    undoing = [one for one in wrong if one.kind is BreakKind.REVERSAL]
    mistaken = [one for one in wrong if one.kind is not BreakKind.REVERSAL]
    for entry in statement.entries:
        told = instructions.get(entry.end_to_end_id)
        if entry.reversal:
            undoing.append(_break(statement, entry, told, BreakKind.REVERSAL, _UNDOES, found_at))
            continue
        verdict = _verdict(entry, told, done)
        if verdict is None:
            done.add(entry.end_to_end_id)
            laid.matches.append(
                Match(entry.end_to_end_id, statement.statement_id, entry.place, entry.booked_day)
            )
        else:
            found = _break(statement, entry, told, *verdict, found_at)
            laid.breaks.append(found)
            if entry.booked:
                mistaken.append(found)
    _undo(laid, statement, undoing, mistaken, instructions, booked=done, returned=set(returned))
    named = {entry.end_to_end_id for entry in statement.entries}
    lost = [told for told in missing_from if told.end_to_end_id not in done | named]
    for place, told in enumerate(sorted(lost, key=lambda told: told.end_to_end_id), start=1):
        laid.breaks.append(
            Break(
                statement_id=statement.statement_id,
                entry=-place,
                kind=BreakKind.MISSING,
                end_to_end_id=told.end_to_end_id,
                expected_minor=told.amount_minor,
                found_minor=None,
                currency=told.currency,
                detail=f"{told.amount} of {told.member_id} was instructed and is not in the statement",
                found_at=found_at,
            )
        )
    return laid


_UNDOES = "it undoes an entry that no statement has had"


def _break(
    statement: Statement,
    entry: Entry,
    told: Instruction | None,
    kind: BreakKind,
    detail: str,
    found_at: datetime,
) -> Break:
    return Break(
        statement_id=statement.statement_id,
        entry=entry.place,
        kind=kind,
        end_to_end_id=entry.end_to_end_id,
        expected_minor=None if told is None else told.amount_minor,
        found_minor=entry.amount.minor,
        currency=entry.amount.currency,
        detail=detail,
        found_at=found_at,
        booked_day=entry.booked_day,
    )


def _undo(
    laid: Laid,
    statement: Statement,
    undoing: Iterable[Break],
    mistaken: list[Break],
    instructions: Mapping[str, Instruction],
    *,
    booked: Collection[str],
    returned: set[str],
) -> None:
    """Pair what undoes with what it undoes: first an entry that was wrong, and only then a payment that was right."""
    for undo in undoing:
        is_new = undo.statement_id == statement.statement_id
        day = undo.booked_day
        assert day is not None, "what undoes is an entry"
        what = (undo.end_to_end_id, undo.found_minor, undo.currency)
        told = instructions.get(undo.end_to_end_id)
        put_right = next(
            (one for one in mistaken if (one.end_to_end_id, one.found_minor, one.currency) == what), None
        )
        if put_right is not None:
            mistaken.remove(put_right)
            place = (put_right.statement_id, put_right.entry)
            laid.reversals.append(Reversal(undo.statement_id, undo.entry, undo.end_to_end_id, day, *place))
        elif (
            told is not None
            and told.end_to_end_id in booked
            and told.end_to_end_id not in returned
            and (told.amount_minor, told.currency) == what[1:]
        ):
            returned.add(told.end_to_end_id)
            laid.reversals.append(Reversal(undo.statement_id, undo.entry, undo.end_to_end_id, day))
        elif is_new:
            laid.breaks.append(undo)


def _verdict(entry: Entry, told: Instruction | None, done: Collection[str]) -> tuple[BreakKind, str] | None:
    """Why an entry is not what was instructed; None if it is."""
    if told is None:
        return BreakKind.UNKNOWN, f"nobody instructed {entry.amount} under {entry.end_to_end_id or 'no id'}"
    if entry.amount.currency != told.currency:
        return BreakKind.CURRENCY, f"instructed in {told.currency}, booked in {entry.amount.currency}"
    if entry.direction is not told.direction:
        return BreakKind.DIRECTION, f"instructed to move {told.direction}, booked as {entry.direction}"
    if entry.amount.minor != told.amount_minor:
        return BreakKind.AMOUNT, f"instructed {told.amount}, booked {entry.amount}"
    if not entry.booked:
        return BreakKind.NOT_BOOKED, f"{entry.amount} is announced and not booked"
    if entry.end_to_end_id in done:
        return BreakKind.DUPLICATE, f"{entry.amount} was booked before"
    return None
