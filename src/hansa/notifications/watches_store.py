"""The SQL of marks, budgets, and how far the books were read."""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import Any, LiteralString
from uuid import UUID

from hansa.identity import AccountId
from hansa.notifications.watches_model import Budget, LowMark
from hansa.store import Tx

MAKE_READ = "insert into notifications.books_read (partition, block) values (%s, %s) on conflict do nothing"
LOCK_READ = "select block from notifications.books_read where partition = %s for no key update skip locked"
KEEP_READ = "update notifications.books_read set block = %s where partition = %s"
SET_MARK = """
insert into notifications.low_marks (partition, account_id, currency, wallet, low_minor, set_at)
values (%s, %s, %s, %s, %s, %s)
on conflict (partition, account_id, currency) do update set low_minor = excluded.low_minor, set_at = excluded.set_at,
    is_low = low_marks.is_low and low_marks.low_minor <= excluded.low_minor
"""
DROP_MARK = "delete from notifications.low_marks where partition = %s and account_id = %s and currency = %s"
MARK = (
    "select low_minor from notifications.low_marks where partition = %s and account_id = %s and currency = %s"
)
MARKS_ON = """
select partition, account_id, currency, wallet, low_minor, is_low from notifications.low_marks
where partition = %s and wallet = any(%s)
"""
KEEP_LOW = "update notifications.low_marks set is_low = %s where partition = %s and account_id = %s and currency = %s"
SET_BUDGET = """
insert into notifications.budgets (partition, account_id, currency, category, wallet, minor, set_at)
values (%s, %s, %s, %s, %s, %s, %s)
on conflict (partition, account_id, currency, category) do update set minor = excluded.minor, set_at = excluded.set_at,
    told_percent = case when budgets.minor = excluded.minor then budgets.told_percent else 0 end
"""
DROP_BUDGET = """
delete from notifications.budgets where partition = %s and account_id = %s and currency = %s and category = %s
"""
_B: LiteralString = (
    "select partition, account_id, currency, category, wallet, minor, told_month, told_percent"
    " from notifications.budgets "
)
BUDGETS_OF: LiteralString = _B + "where partition = %s and account_id = %s order by currency, category"
BUDGETS_ON: LiteralString = (
    _B + "where partition = %s and wallet = any(%s) order by account_id, currency, category"
)
KEEP_TOLD = """
update notifications.budgets set told_month = %s, told_percent = %s
where partition = %s and account_id = %s and currency = %s and category = %s
"""
WATCHED = """
select wallet from notifications.low_marks where partition = %(partition)s
union select wallet from notifications.budgets where partition = %(partition)s
"""
KNOWN_PEOPLE = """
select p.account_id from unnest(%s::integer[], %s::uuid[]) as w (partition, account_id)
join notifications.people p using (partition, account_id)
"""
FORGET_WATCHES = (
    "delete from notifications.low_marks where partition = %s and account_id = %s",
    "delete from notifications.budgets where partition = %s and account_id = %s",
)


def lock_read(tx: Tx, partition: int, start: int) -> int | None:
    """Up to which block a partition was read; None: another one is at it."""
    tx.execute(MAKE_READ, (partition, start))
    row = tx.execute(LOCK_READ, (partition,)).fetchone()
    return None if row is None else int(row[0])


def keep_read(tx: Tx, partition: int, block: int) -> None:
    """It is read up to here."""
    tx.execute(KEEP_READ, (block, partition))


def set_mark(tx: Tx, one: LowMark, at: datetime) -> None:
    """Keep when a wallet runs low. Who was told already is not told again for a higher mark."""
    tx.execute(SET_MARK, (one.partition, one.account_id, one.currency, one.wallet, one.low_minor, at))


def drop_mark(tx: Tx, partition: int, account_id: UUID, currency: str) -> None:
    """Nobody watches this wallet."""
    tx.execute(DROP_MARK, (partition, account_id, currency))


def mark_of(tx: Tx, partition: int, account_id: UUID, currency: str) -> int | None:
    """When a wallet runs low."""
    row = tx.execute(MARK, (partition, account_id, currency)).fetchone()
    return None if row is None else int(row[0])


def marks_on(tx: Tx, partition: int, wallets: Collection[UUID]) -> list[LowMark]:
    """The marks of these wallets."""
    return [
        LowMark(row[0], AccountId(row[1]), *row[2:])
        for row in tx.execute(MARKS_ON, (partition, list(wallets)))
    ]


def keep_low(tx: Tx, one: LowMark, is_low: bool) -> None:
    """Whether it is below its mark, and its person knows."""
    tx.execute(KEEP_LOW, (is_low, one.partition, one.account_id, one.currency))


def set_budget(tx: Tx, one: Budget, at: datetime) -> None:
    """Keep a plan; another amount is told of anew."""
    tx.execute(
        SET_BUDGET, (one.partition, one.account_id, one.currency, one.category, one.wallet, one.minor, at)
    )


def drop_budget(tx: Tx, partition: int, account_id: UUID, currency: str, category: str) -> None:
    """There is no such plan any more."""
    tx.execute(DROP_BUDGET, (partition, account_id, currency, category))


def budgets_of(tx: Tx, partition: int, account_id: UUID) -> list[Budget]:
    """A person's plans."""
    return [_budget(row) for row in tx.execute(BUDGETS_OF, (partition, account_id))]


def budgets_on(tx: Tx, partition: int, wallets: Collection[UUID]) -> list[Budget]:
    """The plans of these wallets."""
    return [_budget(row) for row in tx.execute(BUDGETS_ON, (partition, list(wallets)))]


def keep_told(tx: Tx, one: Budget, month: date, percent: int) -> None:
    """What its person was told last."""
    tx.execute(KEEP_TOLD, (month, percent, one.partition, one.account_id, one.currency, one.category))


def watched(tx: Tx, partition: int) -> set[UUID]:
    """Wallets with a mark or a plan."""
    return {wallet for (wallet,) in tx.execute(WATCHED, {"partition": partition})}


def known_people(tx: Tx, owners: Sequence[tuple[int, UUID]]) -> set[UUID]:
    """Those of these persons who were told something before."""
    columns = [list(column) for column in zip(*owners, strict=True)] if owners else [[], []]
    return {account_id for (account_id,) in tx.execute(KNOWN_PEOPLE, columns)}


def forget_watches(tx: Tx, partition: int, account_id: UUID) -> None:
    """Delete all that a person had watched."""
    for statement in FORGET_WATCHES:
        tx.execute(statement, (partition, account_id))


def _budget(row: Sequence[Any]) -> Budget:
    return Budget(*row)
