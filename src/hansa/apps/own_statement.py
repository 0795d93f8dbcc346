"""An owner's statement of a month, read from the ledger: what was booked on each wallet, between two of its blocks.

The opening balance is what the wallet held after the last block before the month began, the closing balance after the
last one before it ended, each as the ledger has it; the lines are all that was booked in between, in that order. So
they add up, and a month that is over never changes. What is only set aside is told apart from what moved.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from hansa import identity, ledger, payments
from hansa.kernel import HansaError, Money
from hansa.ledger import TransferFlag
from hansa.payments import MovementKind
from hansa.store import Context, Tx

PAGE = 4_000
"""Lines read at once."""


class NoSuchMonth(HansaError):
    """There is no statement of this month: it lies ahead, or before the account was opened."""

    code = "statements.no_such_month"
    status = 404
    remedy = "Choose a month from the list of statements."


@dataclass(frozen=True, slots=True)
class OwnLine:
    """One posting on a wallet. minor: gained (+) or lost (-). balance_minor: what the wallet held after it.

    booked_at: when it stood in the books. event_at: when what it is for happened. reference: what it is for.
    """

    transfer_id: UUID
    place: ledger.Place
    booked_at: datetime
    event_at: datetime
    kind: MovementKind
    minor: int
    balance_minor: int
    reference: UUID | None


@dataclass(frozen=True, slots=True)
class HoldLine:
    """Money that was set aside (+), or taken or set free again (-). kind: what for."""

    transfer_id: UUID
    booked_at: datetime
    kind: MovementKind
    minor: int
    reference: UUID | None


@dataclass(frozen=True, slots=True)
class Section:
    """One wallet in a month. opening, closing: what it held. held_before, held_after: what of that was set aside."""

    currency: str
    wallet: ledger.AccountId
    opening: Money
    closing: Money
    held_before: Money
    held_after: Money


@dataclass(frozen=True, slots=True)
class OwnStatement:
    """A month of an account. begins_at, ends_at: by its home city's clock. is_over: nothing is added to it any more.

    after_block, to_block: the lines are those of the blocks after the one, up to the other.
    """

    account: identity.Account
    month: date
    zone: str
    begins_at: datetime
    ends_at: datetime
    is_over: bool
    partition: int
    after_block: int
    to_block: int
    sections: tuple[Section, ...]

    @property
    def name(self) -> str:
        """The month as addresses write it: ``2026-11``."""
        return f"{self.month:%Y-%m}"


def list_months(account: identity.Account, zone: str, now: datetime) -> list[date]:
    """The months of which there are statements, the latest first, each by its first day."""
    first = account.created_at.astimezone(ZoneInfo(zone)).date().replace(day=1)
    month = now.astimezone(ZoneInfo(zone)).date().replace(day=1)
    found: list[date] = []
    while month >= first:
        found.append(month)
        month = (month - timedelta(days=1)).replace(day=1)
    return found


def read_statement(ctx: Context, tx: Tx, account: identity.Account, month: date, zone: str) -> OwnStatement:
    """An account's statement of a month. month: its first day. Errors: NoSuchMonth."""
    now = ctx.clock.now()
    if month not in list_months(account, zone, now):
        raise NoSuchMonth(f"There is no statement of {month:%Y-%m}.")
    begins_at = _midnight(month, zone)
    ends_at = _midnight((month + timedelta(days=32)).replace(day=1), zone)
    partition = ctx.directory.partition_of(account.account_id)
    after = ledger.last_block_before(tx, begins_at, partition=partition)
    to = ledger.last_block_before(tx, ends_at, partition=partition)
    found = payments.balance_of(tx, account.account_id, partition=partition)
    wallets = {one.currency: payments.wallet_id(account.account_id, one.currency) for one in found}
    then = ledger.balances_at_block(tx, wallets.values(), after, partition=partition)
    later = ledger.balances_at_block(tx, wallets.values(), to, partition=partition)
    sections = tuple(
        Section(
            currency,
            wallet,
            Money(then[wallet].credit_minor, currency),
            Money(later[wallet].credit_minor, currency),
            Money(then[wallet].debits_pending, currency),
            Money(later[wallet].debits_pending, currency),
        )
        for currency, wallet in sorted(wallets.items())
    )
    return OwnStatement(
        account, month, zone, begins_at, ends_at, ends_at <= now, partition, after, to, sections
    )


def read_lines(tx: Tx, statement: OwnStatement, section: Section) -> Iterator[list[OwnLine]]:
    """What moved a wallet in the month, in the order of the books, some hundred lines at a time."""
    for entries in _entries(tx, statement, section):
        lines = [
            OwnLine(
                entry.booked.transfer.transfer_id,
                entry.booked.place,
                entry.booked.booked_at,
                entry.booked.transfer.event_at,
                payments.kind_of_posting(entry.booked.transfer.code, is_debit=entry.is_debit),
                entry.credit_minor,
                entry.balance.credit_minor,
                entry.booked.transfer.reference,
            )
            for entry in entries
            if entry.booked.moves_minor
        ]
        if lines:
            yield lines


def read_holds(tx: Tx, statement: OwnStatement, section: Section) -> Iterator[HoldLine]:
    """What was set aside in the month, and what of it ended; they lead from ``held_before`` to ``held_after``."""
    for entries in _entries(tx, statement, section):
        for entry in entries:
            moved, ended = entry.booked.transfer, entry.booked.released
            minor = moved.amount if moved.flags & TransferFlag.PENDING else -(ended or 0)
            if entry.is_debit and minor:
                kind = payments.kind_of_posting(moved.code, is_debit=True)
                yield HoldLine(moved.transfer_id, entry.booked.booked_at, kind, minor, moved.reference)


def _entries(tx: Tx, statement: OwnStatement, section: Section) -> Iterator[list[ledger.Entry]]:
    place: ledger.Place | None = None
    while True:
        entries = ledger.postings(
            tx,
            [section.wallet],
            after_block=statement.after_block,
            to_block=statement.to_block,
            partition=statement.partition,
            after=place,
            limit=PAGE,
        )
        yield entries
        if len(entries) < PAGE:
            return
        place = entries[-1].booked.place


def _midnight(day: date, zone: str) -> datetime:
    return datetime.combine(day, time.min, ZoneInfo(zone)).astimezone(UTC)
