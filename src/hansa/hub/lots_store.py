"""The SQL of lots: payments on their way into settlement windows, and what windows took of them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from psycopg.rows import class_row, scalar_row

from hansa.hub.model import Lot, Taken
from hansa.store import Bookmark, Tx

ADD_GATHERED = """
insert into hub.gathered (partition, block, at)
select partition, 0, 'epoch' from unnest(%s::smallint[]) as partition
on conflict do nothing
"""

LOCK_GATHERED = "select partition, block from hub.gathered where at < %s order by partition for no key update"

SET_GATHERED = "update hub.gathered set block = %s, at = %s where partition = %s"

# Currencies of which somebody else settles what was paid: a release there came from no window of clearing.
SETTLED_OTHERWISE = """
select distinct r.currency from hub.releases r
left join hub.window_payments w using (window_id, member_id, currency) where w.window_id is null
"""

HAS_LOTS = "select exists (select from hub.lots where currency = %s)"

INSERT = """
with new as (
    insert into hub.lots (lot_id, partition, payer_id, payee_id, currency, after_block, up_to_block, payments,
        amount_minor, gathered_at)
    values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
    returning lot_id
)
insert into hub.open_lots (lot_id) select lot_id from new
"""

_LOT = """
select lot_id, partition, payer_id, payee_id, currency, after_block, up_to_block, payments, amount_minor, gathered_at
from hub.lots
"""

LOT = _LOT + " where lot_id = %s"

OPEN = (
    _LOT + " join hub.open_lots using (lot_id) order by partition, up_to_block, payer_id, payee_id limit %s"
)

CLOSE = "delete from hub.open_lots where lot_id = any(%s) returning lot_id"

# Rows are locked in the order of members, so that two who add to them wait and do not deadlock.
LOCK_ROWS = """
select member_id from hub.liquidity l
join unnest(%s::text[], %s::text[]) as given (member_id, currency) using (member_id, currency)
order by member_id, currency for no key update of l
"""

CARRY = """
update hub.liquidity l set carried_minor = l.carried_minor + g.minor
from unnest(%s::text[], %s::text[], %s::bigint[]) as g (member_id, currency, minor)
where l.member_id = g.member_id and l.currency = g.currency
"""

TAKE = """
with given as (
    select * from unnest(%(members)s::text[], %(currencies)s::text[], %(minors)s::bigint[])
        as g (member_id, currency, minor)
), new as (
    insert into hub.window_payments (window_id, member_id, currency, taken_minor, at)
    select %(window)s, member_id, currency, minor, %(at)s from given
    on conflict do nothing
    returning member_id, currency, taken_minor
)
update hub.liquidity l set taken_minor = l.taken_minor + new.taken_minor
from new where l.member_id = new.member_id and l.currency = new.currency
"""

TAKEN = """
select window_id, member_id, currency, taken_minor from hub.window_payments
where window_id = %(window)s and (currency = %(currency)s or %(currency)s::text is null)
order by currency, member_id
"""

SUMS = """
select payer_id, payee_id, currency, sum(payments)::bigint, sum(amount_minor)::bigint from hub.lots
group by payer_id, payee_id, currency
"""

GATHERED = "select partition, block from hub.gathered"

HEARD = "select xid, seq from hub.windows_heard"

HEAR = "update hub.windows_heard set xid = %(xid)s, seq = %(seq)s where (xid, seq) < (%(xid)s, %(seq)s)"


def lock_gathered(tx: Tx, partitions: Sequence[int], before: datetime) -> dict[int, int]:
    """Up to which block payments are in lots, where that was last looked at before an instant; nobody else gathers."""
    tx.execute(ADD_GATHERED, (sorted(partitions),))
    return dict(tx.execute(LOCK_GATHERED, (before,)).fetchall())


def set_gathered(tx: Tx, partition: int, block: int, at: datetime) -> None:
    """Payments up to this block are in lots."""
    tx.execute(SET_GATHERED, (block, at, partition))


def settled_otherwise(tx: Tx) -> set[str]:
    """Currencies in which releases came from elsewhere than windows of clearing."""
    return set(tx.cursor(row_factory=scalar_row).execute(SETTLED_OTHERWISE).fetchall())


def has_lots(tx: Tx, currency: str) -> bool:
    """Whether payments in a currency clear in windows already."""
    row = tx.execute(HAS_LOTS, (currency,)).fetchone()
    return bool(row and row[0])


def insert(tx: Tx, lots: Sequence[Lot]) -> None:
    """Keep new lots, of which the ledger is to be told."""
    rows = [
        (
            one.lot_id,
            one.partition,
            one.payer_id,
            one.payee_id,
            one.currency,
            one.after_block,
            one.up_to_block,
            one.payments,
            one.amount_minor,
            one.gathered_at,
        )
        for one in lots
    ]
    tx.cursor().executemany(INSERT, rows)


def find(tx: Tx, lot_id: UUID) -> Lot | None:
    """The lot of this id, or None."""
    return tx.cursor(row_factory=class_row(Lot)).execute(LOT, (lot_id,)).fetchone()


def list_open(tx: Tx, limit: int) -> list[Lot]:
    """Lots that are not known to be in the books, the oldest first."""
    return tx.cursor(row_factory=class_row(Lot)).execute(OPEN, (limit,)).fetchall()


def close(tx: Tx, lot_ids: Sequence[UUID]) -> set[UUID]:
    """The books have these lots; gives those of which that is news."""
    return set(tx.cursor(row_factory=scalar_row).execute(CLOSE, (list(lot_ids),)).fetchall())


def carry(tx: Tx, minors: Mapping[tuple[str, str], int]) -> None:
    """Add what was booked on positions of members, by (member, currency)."""
    members, currencies = _lock(tx, minors)
    tx.execute(CARRY, (members, currencies, list(minors.values())))


def take(tx: Tx, window_id: str, minors: Mapping[tuple[str, str], int], at: datetime) -> None:
    """Keep what a window took, by (member, currency); what is kept of it already stays as it is."""
    members, currencies = _lock(tx, minors)
    values = {"members": members, "currencies": currencies, "minors": list(minors.values())}
    tx.execute(TAKE, values | {"window": window_id, "at": at})


def list_taken(tx: Tx, window_id: str, currency: str | None = None) -> list[Taken]:
    """What a window took, by currency and member."""
    values = {"window": window_id, "currency": currency}
    return tx.cursor(row_factory=class_row(Taken)).execute(TAKEN, values).fetchall()


def sums(tx: Tx) -> dict[tuple[str, str, str], tuple[int, int]]:
    """How many payments are in lots, and their sum, by (payer, payee, currency)."""
    return {(row[0], row[1], row[2]): (row[3], row[4]) for row in tx.execute(SUMS)}


def gathered(tx: Tx) -> dict[int, int]:
    """Up to which block payments are in lots, by partition."""
    return dict(tx.execute(GATHERED).fetchall())


def heard(tx: Tx) -> Bookmark:
    """Up to where what becomes of windows was heard of."""
    row = tx.execute(HEARD).fetchone()
    assert row is not None, "the migration puts one row there"
    return Bookmark(*row)


def hear(tx: Tx, bookmark: Bookmark) -> None:
    """What becomes of windows was heard of up to here."""
    tx.execute(HEAR, {"xid": bookmark.xid, "seq": bookmark.seq})


def _lock(tx: Tx, minors: Mapping[tuple[str, str], int]) -> tuple[list[str], list[str]]:
    members, currencies = [member for member, _ in minors], [currency for _, currency in minors]
    tx.execute(LOCK_ROWS, (members, currencies))
    return members, currencies
