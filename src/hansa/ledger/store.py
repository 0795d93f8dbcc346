"""The ledger's SQL: constants, and the column list they share; the type checker refuses any other text."""
# ruff: noqa: S608

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, LiteralString
from uuid import UUID

from psycopg.rows import class_row

from hansa.ledger.blocks import COLUMNS, COPY_HEADER, COPY_TRAILER, GENESIS_HASH
from hansa.ledger.chart import AccountCode, AccountFlag, TransferCode
from hansa.ledger.decide import Hold, HoldState, Row, Standing
from hansa.ledger.model import (
    Account,
    AccountId,
    Balance,
    Block,
    Booked,
    Entry,
    Head,
    Place,
    Transfer,
    TransferFlag,
    TransferId,
    TrialRow,
)
from hansa.store import Tx

BEFORE_ALL = datetime(2000, 1, 1, tzinfo=UTC)
"""When a partition's last booking was, before its first."""

MAKE_HEADS = """
insert into ledger.heads (partition, number, hash, booked_at)
select partition, 0, %s, %s from unnest(%s::smallint[]) as partition
on conflict do nothing
"""

LOCK_HEAD = (
    "select partition, number, hash, booked_at from ledger.heads where partition = %s for no key update"
)

MOVE_HEAD = """
update ledger.heads set number = %s, hash = %s, booked_at = %s where partition = %s and number = %s
"""

LIST_HEADS = "select partition, number, hash, booked_at from ledger.heads order by partition"

HEAD = "select partition, number, hash, booked_at from ledger.heads where partition = %s"

OPEN_ACCOUNTS = """
insert into ledger.accounts (partition, account_id, currency, code, holder, flags, opened_at)
select partition, account_id, currency, code, holder, flags, coalesce(%s::timestamptz, now())
from unnest(%s::smallint[], %s::uuid[], %s::text[], %s::smallint[], %s::text[], %s::smallint[])
    as given (partition, account_id, currency, code, holder, flags)
order by partition, account_id
on conflict do nothing
"""

ACCOUNTS = """
select account_id, currency, code, holder, flags, partition from ledger.accounts where account_id = any(%s)
"""

CLOSE_ACCOUNTS = """
update ledger.accounts set flags = flags | 4 where partition = %s and account_id = any(%s)
"""

STANDINGS = """
select account_id, currency, flags, debits_pending, debits_posted, credits_pending, credits_posted
from ledger.accounts where partition = %s and account_id = any(%b)
"""

BALANCES = """
select account_id, debits_pending, debits_posted, credits_pending, credits_posted
from ledger.accounts where account_id = any(%s)
"""

EXISTING: LiteralString = (
    "select " + COLUMNS + " from ledger.transfers where partition = %s and transfer_id = any(%b)"
)

HOLDS = (
    "select transfer_id, expires_at, state from ledger.holds where partition = %s and transfer_id = any(%b)"
)

HOLDS_DUE = """
select transfer_id, expires_at from ledger.holds
where partition = %s and state = 0 and expires_at <= %s order by expires_at, transfer_id limit %s
"""

OPEN_HOLDS = """
insert into ledger.holds (partition, transfer_id, expires_at)
select %s, transfer_id, expires_at from unnest(%s::uuid[], %s::timestamptz[]) as given (transfer_id, expires_at)
"""

RESOLVE_HOLDS = """
update ledger.holds h set state = given.state, resolved_by = given.resolved_by
from unnest(%s::uuid[], %s::smallint[], %s::uuid[]) as given (transfer_id, state, resolved_by)
where h.partition = %s and h.transfer_id = given.transfer_id and h.state = 0
"""

COPY_TRANSFERS: LiteralString = "copy ledger.transfers (" + COLUMNS + ") from stdin (format binary)"

INSERT_BLOCK = """
insert into ledger.blocks (partition, number, previous_hash, hash, booked_at, transfers)
values (%s, %s, %s, %s, %s, %s)
"""

# Sets the balances and, in the same statement, adds up what really changed, for the zero-sum check of the block.
SET_BALANCES = """
with changed as (
    update ledger.accounts a
    set debits_pending = given.debits_pending, debits_posted = given.debits_posted,
        credits_pending = given.credits_pending, credits_posted = given.credits_posted
    from unnest(%(ids)b::uuid[], %(dp)b::bigint[], %(d)b::bigint[], %(cp)b::bigint[], %(c)b::bigint[])
            as given (account_id, debits_pending, debits_posted, credits_pending, credits_posted)
        join ledger.accounts old on old.partition = %(partition)s and old.account_id = given.account_id
    where a.partition = %(partition)s and a.account_id = given.account_id
    returning a.currency,
        a.debits_posted - old.debits_posted as debits, a.credits_posted - old.credits_posted as credits
), sums as (
    select currency, sum(debits) as debits, sum(credits) as credits, count(*) as accounts from changed group by currency
), moves as (
    select currency, coalesce(sum(amount) filter (where flags & 10 = 0), 0) as moved
    from ledger.transfers where partition = %(partition)s and block = %(block)s group by currency
), written as (
    insert into ledger.block_totals (partition, number, currency, debits, credits, moved)
    select %(partition)s, %(block)s, currency, coalesce(debits, 0), coalesce(credits, 0), coalesce(moved, 0)
    from sums full join moves using (currency)
)
select coalesce(sum(accounts), 0) from sums
"""

GET_TRANSFER: LiteralString = (
    "select "
    + COLUMNS
    + " from ledger.transfers where transfer_id = %s and partition = any (select partition from ledger.heads)"
)

ENTRIES: LiteralString = (
    "select " + COLUMNS + " from ("
    "(select * from ledger.transfers where partition = %(partition)s and debit_account = %(account)s"
    " and (block, position) > (%(block)s, %(position)s) order by block, position limit %(limit)s)"
    " union all "
    "(select * from ledger.transfers where partition = %(partition)s and credit_account = %(account)s"
    " and (block, position) > (%(block)s, %(position)s) order by block, position limit %(limit)s)"
    ") t order by block, position limit %(limit)s"
)

ENTRIES_NEWEST_FIRST: LiteralString = (
    "select " + COLUMNS + " from ("
    "(select * from ledger.transfers where partition = %(partition)s and debit_account = %(account)s"
    " and (block, position) < (%(block)s, %(position)s) order by block desc, position desc limit %(limit)s)"
    " union all "
    "(select * from ledger.transfers where partition = %(partition)s and credit_account = %(account)s"
    " and (block, position) < (%(block)s, %(position)s) order by block desc, position desc limit %(limit)s)"
    ") t order by block desc, position desc limit %(limit)s"
)

POSTINGS: LiteralString = (
    "select t.account_id, " + COLUMNS + " from ("
    "select a.account_id, debits.* from unnest(%(accounts)s::uuid[]) as a(account_id)"
    " join ledger.transfers debits on debits.partition = %(partition)s and debits.debit_account = a.account_id"
    " and debits.block > %(after)s and debits.block <= %(to)s"
    " union all "
    "select a.account_id, credits.* from unnest(%(accounts)s::uuid[]) as a(account_id)"
    " join ledger.transfers credits on credits.partition = %(partition)s and credits.credit_account = a.account_id"
    " and credits.block > %(after)s and credits.block <= %(to)s"
    ") t where (block, position) > (%(block)s, %(position)s)"
    " order by block, position, t.account_id limit %(limit)s"
)

# The sums of account `a` after its last transfer up to block `cut.number`: one index lookup on each side.
_LAST_SUMS: LiteralString = """
    select debits_pending, debits_posted, credits_pending, credits_posted from (
        (select block, position,
            coalesce(debit_debits_pending, 0) as debits_pending, debit_debits_posted as debits_posted,
            coalesce(debit_credits_pending, 0) as credits_pending, debit_credits_posted as credits_posted
        from ledger.transfers t
        where t.partition = cut.partition and t.debit_account = a.account_id and t.block <= cut.number
        order by block desc, position desc limit 1)
        union all
        (select block, position,
            coalesce(credit_debits_pending, 0), credit_debits_posted,
            coalesce(credit_credits_pending, 0), credit_credits_posted
        from ledger.transfers t
        where t.partition = cut.partition and t.credit_account = a.account_id and t.block <= cut.number
        order by block desc, position desc limit 1)
    ) sides order by block desc, position desc limit 1
"""

BALANCES_AT_BLOCK: LiteralString = (
    "select a.account_id, last.debits_pending, last.debits_posted, last.credits_pending, last.credits_posted"
    " from (select %s::smallint as partition, %s::bigint as number) cut"
    " cross join unnest(%s::uuid[]) as a(account_id) cross join lateral (" + _LAST_SUMS + ") last"
)

BLOCK_AT = """
select number from ledger.blocks where partition = %s and booked_at <= %s order by booked_at desc, number desc limit 1
"""

BLOCK_BEFORE = """
select number from ledger.blocks where partition = %s and booked_at < %s order by booked_at desc, number desc limit 1
"""

TRIAL_NOW = """
select currency, code, count(*) as accounts,
    sum(debits_pending) as debits_pending, sum(debits_posted) as debits_posted,
    sum(credits_pending) as credits_pending, sum(credits_posted) as credits_posted
from ledger.accounts group by currency, code order by currency, code
"""

TRIAL_AT: LiteralString = (
    "select a.currency, a.code, count(*) as accounts,"
    " sum(coalesce(last.debits_pending, 0)), sum(coalesce(last.debits_posted, 0)),"
    " sum(coalesce(last.credits_pending, 0)), sum(coalesce(last.credits_posted, 0))"
    " from (select h.partition, coalesce((select b.number from ledger.blocks b"
    " where b.partition = h.partition and b.booked_at <= %(at)s"
    " order by b.booked_at desc, b.number desc limit 1), 0) as number from ledger.heads h) cut"
    " join ledger.accounts a on a.partition = cut.partition"
    " left join lateral (" + _LAST_SUMS + ") last on true"
    " where a.opened_at <= %(at)s or last.debits_posted is not null"
    " group by a.currency, a.code order by a.currency, a.code"
)

LIST_BLOCKS = """
select partition, number, previous_hash, hash, booked_at, transfers from ledger.blocks
where partition = %s and number > %s order by number limit %s
"""

JOURNAL: LiteralString = (
    "select " + COLUMNS + " from ledger.transfers where partition = %s order by block, position"
)

ALL_BLOCKS = """
select partition, number, previous_hash, hash, booked_at, transfers from ledger.blocks
where partition = %s order by number
"""

# Balances as the journal alone says they must be, against the balances kept beside it.
UNEQUAL_BALANCES = """
with moved as (
    select debit_account as account_id, sum(amount) filter (where flags & 10 = 0) as debits, null::numeric as credits
    from ledger.transfers where partition = %(partition)s group by debit_account
    union all
    select credit_account, null, sum(amount) filter (where flags & 10 = 0)
    from ledger.transfers where partition = %(partition)s group by credit_account
), held as (
    select t.debit_account as account_id, t.amount as debits, 0 as credits
    from ledger.transfers t where t.partition = %(partition)s and t.flags & 2 <> 0 and not exists (
        select from ledger.transfers r where r.partition = t.partition and r.pending_id = t.transfer_id)
    union all
    select t.credit_account, 0, t.amount
    from ledger.transfers t where t.partition = %(partition)s and t.flags & 2 <> 0 and not exists (
        select from ledger.transfers r where r.partition = t.partition and r.pending_id = t.transfer_id)
), posted as (
    select account_id, coalesce(sum(debits), 0) as debits, coalesce(sum(credits), 0) as credits
    from moved group by account_id
), pending as (
    select account_id, sum(debits) as debits, sum(credits) as credits from held group by account_id
)
select a.account_id
from ledger.accounts a left join posted using (account_id) left join pending using (account_id)
where a.partition = %(partition)s and (
    a.debits_posted <> coalesce(posted.debits, 0) or a.credits_posted <> coalesce(posted.credits, 0)
    or a.debits_pending <> coalesce(pending.debits, 0) or a.credits_pending <> coalesce(pending.credits, 0))
order by a.account_id limit 100
"""

UNEVEN_CURRENCIES = """
select currency, sum(debits_posted) as debits, sum(credits_posted) as credits from ledger.accounts
where partition = %s group by currency
having sum(debits_posted) <> sum(credits_posted) or sum(debits_pending) <> sum(credits_pending)
order by currency
"""

UNEQUAL_TOTALS = """
with moves as (
    select block as number, currency, coalesce(sum(amount) filter (where flags & 10 = 0), 0) as moved
    from ledger.transfers where partition = %(partition)s group by block, currency
), kept as (
    select number, currency, debits from ledger.block_totals where partition = %(partition)s
)
select distinct number from moves full join kept using (number, currency)
where moved is distinct from debits order by number limit 100
"""

UNEQUAL_HOLDS = """
with facts as (
    select t.transfer_id, r.transfer_id as resolved_by,
        case when r.transfer_id is null then 0 when r.flags & 16 <> 0 then 3 when r.flags & 8 <> 0 then 2 else 1 end
            as state
    from ledger.transfers t
        left join ledger.transfers r on r.partition = t.partition and r.pending_id = t.transfer_id
    where t.partition = %(partition)s and t.flags & 2 <> 0
), kept as (
    select transfer_id, resolved_by, state from ledger.holds where partition = %(partition)s
)
select transfer_id from facts full join kept using (transfer_id)
where facts.state is distinct from kept.state or facts.resolved_by is distinct from kept.resolved_by
order by transfer_id limit 100
"""


# --- accounts


def make_heads(tx: Tx, partitions: Iterable[int]) -> None:
    tx.execute(MAKE_HEADS, (GENESIS_HASH, BEFORE_ALL, sorted(set(partitions))))


def insert_accounts(tx: Tx, accounts: Sequence[Account], at: datetime | None) -> None:
    tx.execute(
        OPEN_ACCOUNTS,
        (
            at,
            [account.partition for account in accounts],
            [account.account_id for account in accounts],
            [account.currency for account in accounts],
            [int(account.code) for account in accounts],
            [account.holder for account in accounts],
            [int(account.flags) for account in accounts],
        ),
    )


def list_accounts(tx: Tx, account_ids: Iterable[AccountId]) -> list[Account]:
    return [
        Account(AccountId(account_id), currency, AccountCode(code), holder, AccountFlag(flags), partition)
        for account_id, currency, code, holder, flags, partition in tx.execute(ACCOUNTS, (list(account_ids),))
    ]


def close_accounts(tx: Tx, partition: int, account_ids: Sequence[AccountId]) -> None:
    tx.execute(CLOSE_ACCOUNTS, (partition, sorted(account_ids)))


def list_balances(tx: Tx, account_ids: Iterable[AccountId]) -> dict[AccountId, Balance]:
    return {AccountId(row[0]): Balance(*row[1:]) for row in tx.execute(BALANCES, (list(account_ids),))}


# --- what the decider must know


def lock_head(tx: Tx, partition: int) -> Head:
    """Become this partition's one writer until the transaction ends."""
    row = tx.execute(LOCK_HEAD, (partition,)).fetchone()
    if row is None:
        make_heads(tx, [partition])
        row = tx.execute(LOCK_HEAD, (partition,)).fetchone()
        assert row is not None, "the head was just made"
    return Head(*row)


def load_standings(tx: Tx, partition: int, account_ids: Iterable[UUID]) -> dict[int, Standing]:
    cursor = tx.cursor(binary=True).execute(STANDINGS, (partition, list(account_ids)))
    return {row[0].int: Standing(*row[1:]) for row in cursor}


def load_transfers(tx: Tx, partition: int, transfer_ids: Iterable[UUID]) -> dict[int, Transfer]:
    cursor = tx.cursor(binary=True).execute(EXISTING, (partition, list(transfer_ids)))
    return {row[3].int: _transfer(row) for row in cursor}


def load_holds(
    tx: Tx, partition: int, transfers: dict[int, Transfer], ids: Iterable[UUID]
) -> dict[int, Hold]:
    """The holds of these ids, as far as there are; transfers: the pending transfers among others."""
    return {
        transfer_id.int: Hold(transfers[transfer_id.int], expires_at, HoldState(state))
        for transfer_id, expires_at, state in tx.execute(HOLDS, (partition, list(ids)))
    }


def list_due_holds(tx: Tx, partition: int, now: datetime, limit: int) -> list[tuple[TransferId, datetime]]:
    return [
        (TransferId(transfer_id), expires_at)
        for transfer_id, expires_at in tx.execute(HOLDS_DUE, (partition, now, limit))
    ]


# --- what was decided


def insert_holds(tx: Tx, partition: int, holds: Sequence[tuple[TransferId, datetime | None]]) -> None:
    tx.execute(OPEN_HOLDS, (partition, [hold for hold, _ in holds], [expires_at for _, expires_at in holds]))


def resolve_holds(
    tx: Tx, partition: int, resolved: Sequence[tuple[TransferId, HoldState, TransferId]]
) -> None:
    cursor = tx.execute(
        RESOLVE_HOLDS,
        (
            [pending for pending, _, _ in resolved],
            [int(state) for _, state, _ in resolved],
            [by for _, _, by in resolved],
            partition,
        ),
    )
    assert cursor.rowcount == len(resolved), "each resolved hold was open"


def copy_transfers(tx: Tx, rows: bytes) -> None:
    """Append packed rows to the journal by binary COPY: the form in which PostgreSQL takes them in with least work."""
    with tx.cursor().copy(COPY_TRANSFERS) as copy:
        copy.write(COPY_HEADER + rows + COPY_TRAILER)


def insert_block(tx: Tx, block: Block) -> None:
    tx.execute(
        INSERT_BLOCK,
        (block.partition, block.number, block.previous_hash, block.hash, block.booked_at, block.transfers),
    )


def set_balances(tx: Tx, partition: int, block: int, standings: Sequence[tuple[UUID, Standing]]) -> None:
    """Write the balances, in the order given, and the block's totals from what the database itself saw change."""
    row = tx.execute(
        SET_BALANCES,
        {
            "partition": partition,
            "block": block,
            "ids": [account_id for account_id, _ in standings],
            "dp": [standing.debits_pending for _, standing in standings],
            "d": [standing.debits_posted for _, standing in standings],
            "cp": [standing.credits_pending for _, standing in standings],
            "c": [standing.credits_posted for _, standing in standings],
        },
    ).fetchone()
    assert row is not None and row[0] == len(standings), "every touched account is there"


def move_head(tx: Tx, block: Block) -> None:
    cursor = tx.execute(
        MOVE_HEAD, (block.number, block.hash, block.booked_at, block.partition, block.number - 1)
    )
    assert cursor.rowcount == 1, "nobody else wrote a block while this one held the head"


# --- reading


def list_heads(tx: Tx) -> list[Head]:
    return [Head(*row) for row in tx.execute(LIST_HEADS)]


def find_head(tx: Tx, partition: int) -> Head | None:
    row = tx.execute(HEAD, (partition,)).fetchone()
    return None if row is None else Head(*row)


def find_transfer(tx: Tx, transfer_id: TransferId) -> Booked | None:
    row = tx.execute(GET_TRANSFER, (transfer_id,)).fetchone()
    return None if row is None else _booked(row)


def list_entries(tx: Tx, account: Account, *, after: Place, limit: int, newest_first: bool) -> list[Entry]:
    query = ENTRIES_NEWEST_FIRST if newest_first else ENTRIES
    rows = tx.execute(
        query,
        {
            "partition": account.partition,
            "account": account.account_id,
            "block": after.block,
            "position": after.position,
            "limit": limit,
        },
    )
    return [Entry(account.account_id, _booked(row)) for row in rows]


def list_postings(
    tx: Tx,
    account_ids: Sequence[AccountId],
    *,
    partition: int,
    after_block: int,
    to_block: int,
    after: Place,
    limit: int | None,
) -> list[Entry]:
    rows = tx.cursor(binary=True).execute(
        POSTINGS,
        {
            "partition": partition,
            "accounts": list(account_ids),
            "after": after_block,
            "to": to_block,
            "block": after.block,
            "position": after.position,
            "limit": limit,
        },
    )
    return [Entry(AccountId(row[0]), _booked(row[1:])) for row in rows]


def list_balances_at_block(
    tx: Tx, partition: int, block: int, account_ids: Sequence[AccountId]
) -> dict[AccountId, Balance]:
    rows = tx.execute(BALANCES_AT_BLOCK, (partition, block, list(account_ids)))
    return {AccountId(row[0]): Balance(*row[1:]) for row in rows}


def block_at(tx: Tx, partition: int, instant: datetime) -> int:
    row = tx.execute(BLOCK_AT, (partition, instant)).fetchone()
    return 0 if row is None else row[0]


def block_before(tx: Tx, partition: int, instant: datetime) -> int:
    row = tx.execute(BLOCK_BEFORE, (partition, instant)).fetchone()
    return 0 if row is None else row[0]


def list_trial_rows(tx: Tx, at: datetime | None) -> list[TrialRow]:
    rows = tx.execute(TRIAL_NOW) if at is None else tx.execute(TRIAL_AT, {"at": at})
    return [
        TrialRow(currency, AccountCode(code), count, int(dp), int(d), int(cp), int(c))
        for currency, code, count, dp, d, cp, c in rows
    ]


def list_blocks(tx: Tx, partition: int, *, after: int, limit: int) -> list[Block]:
    cursor = tx.cursor(row_factory=class_row(Block))
    return cursor.execute(LIST_BLOCKS, (partition, after, limit)).fetchall()


# --- proof


@dataclass(frozen=True, slots=True)
class JournalRow:
    """A transfer as it stands written, for proof: its block, its position and all that was hashed."""

    block: int
    position: int
    booked_at: datetime
    row: Row


def read_blocks(tx: Tx, partition: int) -> Iterator[Block]:
    """All blocks of a partition in order, streamed."""
    with tx.cursor("ledger_blocks", row_factory=class_row(Block)) as cursor:
        cursor.itersize = 1_000
        yield from cursor.execute(ALL_BLOCKS, (partition,))


def read_journal(tx: Tx, partition: int) -> Iterator[JournalRow]:
    """All transfers of a partition in order, streamed."""
    with tx.cursor("ledger_journal", binary=True) as cursor:
        cursor.itersize = 8_192
        for row in cursor.execute(JOURNAL, (partition,)):
            sums = _sums(row)
            yield JournalRow(row[1], row[2], row[12], Row(_transfer(row), *sums))


def list_unequal_balances(tx: Tx, partition: int) -> list[UUID]:
    return [row[0] for row in tx.execute(UNEQUAL_BALANCES, {"partition": partition})]


def list_uneven_currencies(tx: Tx, partition: int) -> list[tuple[str, Decimal, Decimal]]:
    return [(row[0], row[1], row[2]) for row in tx.execute(UNEVEN_CURRENCIES, (partition,))]


def list_unequal_totals(tx: Tx, partition: int) -> list[int]:
    return [row[0] for row in tx.execute(UNEQUAL_TOTALS, {"partition": partition})]


def list_unequal_holds(tx: Tx, partition: int) -> list[UUID]:
    return [row[0] for row in tx.execute(UNEQUAL_HOLDS, {"partition": partition})]


# --- rows to words

_CODES: dict[int, TransferCode] = {code.value: code for code in TransferCode}
_FLAGS: dict[int, TransferFlag] = {flags: TransferFlag(flags) for flags in range(32)}


def _transfer(row: tuple[Any, ...]) -> Transfer:
    """A transfer of a row of ``COLUMNS``."""
    return Transfer(
        transfer_id=row[3],
        debit=row[4],
        credit=row[5],
        amount=row[6],
        currency=row[7],
        code=_CODES[row[8]] if row[8] in _CODES else row[8],
        event_at=row[11],
        partition=row[0],
        flags=_FLAGS[row[9]],
        pending_id=row[17],
        timeout_s=row[10],
        reference=row[18],
        memo=row[23],
    )


def _sums(row: tuple[Any, ...]) -> tuple[int, int, int, int, int, int, int, int]:
    """The eight sums after a transfer, in the order of ``Row``."""
    dd, dc, cd, cc = row[13:17]
    ddp, dcp, cdp, ccp = (sum_ or 0 for sum_ in row[19:23])
    return ddp, dd, dcp, dc, cdp, cd, ccp, cc


def _booked(row: tuple[Any, ...]) -> Booked:
    sums = _sums(row)
    return Booked(
        _transfer(row),
        Place(row[1], row[2]),
        row[12],
        debit_after=Balance(*sums[:4]),
        credit_after=Balance(*sums[4:]),
    )
