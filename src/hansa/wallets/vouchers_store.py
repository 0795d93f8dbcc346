"""The SQL of vouchers and their batches."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from psycopg.rows import class_row

from hansa.store import Tx
from hansa.wallets.bank_model import Batch, NewBatch, Voucher

INSERT_BATCH = """
insert into wallets.voucher_batches (batch_id, issuer_id, currency, value_minor, count, expires_at, expiry, about,
    made_by, made_at)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
on conflict do nothing
"""

INSERT_VOUCHERS = """
insert into wallets.vouchers (voucher_id, batch_id, serial, code_hash, home, state, changed_at)
select *, 'made', %s from unnest(%s::uuid[], %s::uuid[], %s::integer[], %s::bytea[], %s::smallint[])
"""

_BATCH = """
select b.batch_id, b.issuer_id, b.currency, b.value_minor, b.count, b.expires_at, b.expiry, b.about, b.made_by,
    b.made_at, (select coalesce(jsonb_object_agg(s.state, s.n), '{}') from (
        select state, count(*) as n from wallets.vouchers v
        where v.batch_id = b.batch_id group by state) as s) as states
from wallets.voucher_batches b
"""

FIND_BATCH = _BATCH + "where b.batch_id = %s"
LIST_BATCHES = (
    _BATCH + "where %s::text is null or b.issuer_id = %s order by b.made_at desc, b.batch_id desc limit %s"
)

_VOUCHER = """
select v.voucher_id, v.batch_id, v.serial, v.home, v.state, v.account_id, v.activated_at, v.changed_at, b.issuer_id,
    b.currency, b.value_minor, b.expires_at, b.expiry
from wallets.vouchers v join wallets.voucher_batches b using (batch_id)
"""

FIND_BY_HASH = _VOUCHER + "where v.code_hash = %s"
FIND_VOUCHERS = _VOUCHER + "where v.voucher_id = any(%s) order by v.serial"
BY_SERIAL = _VOUCHER + "where v.batch_id = %s and v.serial between %s and %s order by v.serial"
OPEN_VOUCHERS = (
    _VOUCHER
    + "where v.state in ('activating', 'redeeming', 'expiring') order by v.changed_at, v.voucher_id limit %s"
)
RUN_OUT = (
    _VOUCHER
    + "where v.state in ('made', 'active') and b.expires_at <= %s order by b.expires_at, v.voucher_id limit %s"
)

MOVE = """
update wallets.vouchers set state = %s, changed_at = %s where voucher_id = any(%s) and state = %s returning voucher_id
"""

ACTIVATE = """
update wallets.vouchers set state = 'activating', activated_by = %s, activated_at = %s, changed_at = %s
where batch_id = %s and serial between %s and %s and state = 'made'
"""

REDEEM = """
update wallets.vouchers set state = 'redeeming', account_id = %s, changed_at = %s
where voucher_id = %s and state = 'active'
"""


def insert_batch(tx: Tx, new: NewBatch, made_by: str, at: datetime) -> bool:
    """Keep a batch; whether it is new."""
    values = (
        new.batch_id,
        new.issuer_id,
        new.value.currency,
        new.value.minor,
        new.count,
        new.expires_at,
        new.expiry,
        new.about,
        made_by,
        at,
    )
    return tx.execute(INSERT_BATCH, values).rowcount == 1


def insert_vouchers(
    tx: Tx, batch_id: UUID, rows: Sequence[tuple[UUID, int, bytes, int]], at: datetime
) -> None:
    """Keep a batch's vouchers: id, serial, hash of the code, home partition."""
    tx.execute(
        INSERT_VOUCHERS,
        (
            at,
            [one[0] for one in rows],
            [batch_id for _ in rows],
            [one[1] for one in rows],
            [one[2] for one in rows],
            [one[3] for one in rows],
        ),
    )


def find_batch(tx: Tx, batch_id: UUID) -> Batch | None:
    """The batch of this id."""
    with tx.cursor(row_factory=class_row(Batch)) as cursor:
        return cursor.execute(FIND_BATCH, (batch_id,)).fetchone()


def list_batches(tx: Tx, issuer_id: str | None, limit: int) -> list[Batch]:
    """Batches of an issuer, or of all, the latest first."""
    with tx.cursor(row_factory=class_row(Batch)) as cursor:
        return cursor.execute(LIST_BATCHES, (issuer_id, issuer_id, limit)).fetchall()


def find_by_hash(tx: Tx, code_hash: bytes) -> Voucher | None:
    """The voucher with this code."""
    with tx.cursor(row_factory=class_row(Voucher)) as cursor:
        return cursor.execute(FIND_BY_HASH, (code_hash,)).fetchone()


def find_vouchers(tx: Tx, voucher_ids: Collection[UUID]) -> list[Voucher]:
    """These vouchers, by serial."""
    with tx.cursor(row_factory=class_row(Voucher)) as cursor:
        return cursor.execute(FIND_VOUCHERS, (list(voucher_ids),)).fetchall()


def by_serial(tx: Tx, batch_id: UUID, first: int, last: int) -> list[Voucher]:
    """Vouchers of a batch from one serial to another."""
    with tx.cursor(row_factory=class_row(Voucher)) as cursor:
        return cursor.execute(BY_SERIAL, (batch_id, first, last)).fetchall()


def list_open(tx: Tx, limit: int) -> list[Voucher]:
    """Vouchers that a crash may have left between two states, oldest first."""
    with tx.cursor(row_factory=class_row(Voucher)) as cursor:
        return cursor.execute(OPEN_VOUCHERS, (limit,)).fetchall()


def run_out(tx: Tx, at: datetime, limit: int) -> list[Voucher]:
    """Vouchers whose time is up."""
    with tx.cursor(row_factory=class_row(Voucher)) as cursor:
        return cursor.execute(RUN_OUT, (at, limit)).fetchall()


def move(tx: Tx, voucher_ids: Collection[UUID], was: str, to: str, at: datetime) -> list[UUID]:
    """Take vouchers from one state to another; those that were in it."""
    return [one for (one,) in tx.execute(MOVE, (to, at, list(voucher_ids), was)).fetchall()]


def activate(tx: Tx, batch_id: UUID, first: int, last: int, by: str, at: datetime) -> int:
    """Begin to activate vouchers that are made; how many were."""
    return tx.execute(ACTIVATE, (by, at, at, batch_id, first, last)).rowcount


def redeem(tx: Tx, voucher_id: UUID, account_id: UUID, at: datetime) -> bool:
    """Let this account have an active voucher; False where it is not active any more."""
    return tx.execute(REDEEM, (account_id, at, voucher_id)).rowcount == 1
