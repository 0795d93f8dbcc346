"""The SQL of transfers between people, their links, their arrivals, and the codes by which people are paid."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from psycopg.rows import class_row

from hansa.store import Tx
from hansa.wallets.model import Arrival, NewTransfer, State, Transfer

INSERT = """
insert into wallets.transfers (partition, transfer_id, sender_id, sender_issuer_id, receiver_id, receiver_issuer_id,
    receiver_partition, amount_minor, currency, note, request_id, is_link, state, reason, created_at, expires_at,
    changed_at, quote_id, pays_minor, pays_currency, fee_minor, spender_id)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
on conflict (partition, transfer_id) do nothing
"""

FIND = """
select partition, transfer_id, sender_id, sender_issuer_id, receiver_id, receiver_issuer_id, receiver_partition,
    amount_minor, currency, note, request_id, is_link, state, reason, created_at, expires_at, changed_at,
    quote_id, pays_minor, pays_currency, fee_minor, spender_id
from wallets.transfers where partition = any(%s) and transfer_id = any(%s)
"""

LOCK = FIND + " for no key update"

OF_SENDER = """
select partition, transfer_id, sender_id, sender_issuer_id, receiver_id, receiver_issuer_id, receiver_partition,
    amount_minor, currency, note, request_id, is_link, state, reason, created_at, expires_at, changed_at,
    quote_id, pays_minor, pays_currency, fee_minor, spender_id
from wallets.transfers
where partition = %s and sender_id = %s and (created_at, transfer_id) < (%s, %s)
order by created_at desc, transfer_id desc limit %s
"""

OF_SPENDER = """
select partition, transfer_id, sender_id, sender_issuer_id, receiver_id, receiver_issuer_id, receiver_partition,
    amount_minor, currency, note, request_id, is_link, state, reason, created_at, expires_at, changed_at,
    quote_id, pays_minor, pays_currency, fee_minor, spender_id
from wallets.transfers
where spender_id = %s and (created_at, transfer_id) < (%s, %s)
order by created_at desc, transfer_id desc limit %s
"""

OPEN = """
select partition, transfer_id, sender_id, sender_issuer_id, receiver_id, receiver_issuer_id, receiver_partition,
    amount_minor, currency, note, request_id, is_link, state, reason, created_at, expires_at, changed_at,
    quote_id, pays_minor, pays_currency, fee_minor, spender_id
from wallets.transfers
where partition = any(%s) and state not in ('settled', 'returned', 'failed', 'canceled', 'expired')
    and (state = any(%s) or (state in ('requires_approval', 'held') and expires_at <= %s))
order by changed_at, transfer_id limit %s
"""

# Whoever comes second finds another state, and moves nothing.
MOVE = """
update wallets.transfers set state = %(to)s, reason = %(reason)s, changed_at = %(at)s
where partition = %(partition)s and transfer_id = %(transfer_id)s and state = %(from)s
"""

COUNT_FULL = """
select count(*) from wallets.transfers
where partition = %s and sender_id = %s and created_at > %s and receiver_id = %s and state = 'failed'
    and reason = 'receiver_full'
"""

CLAIM = """
update wallets.transfers
set state = 'claimed', receiver_id = %s, receiver_issuer_id = %s, receiver_partition = %s, changed_at = %s
where partition = %s and transfer_id = %s and state = 'held' and expires_at > %s
"""

ADD_ARRIVAL = """
insert into wallets.arrivals (partition, transfer_id, receiver_id, sender_id, amount_minor, currency, note, created_at,
    arrived_at)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
on conflict (partition, transfer_id) do nothing
"""

ARRIVALS = """
select transfer_id, receiver_id, sender_id, amount_minor, currency, note, created_at, arrived_at
from wallets.arrivals
where partition = %s and receiver_id = %s and (arrived_at, transfer_id) < (%s, %s)
order by arrived_at desc, transfer_id desc limit %s
"""

FIND_ARRIVAL = """
select transfer_id, receiver_id, sender_id, amount_minor, currency, note, created_at, arrived_at
from wallets.arrivals where partition = %s and receiver_id = %s and transfer_id = %s
"""

ARRIVALS_AMONG = """
select transfer_id, receiver_id, sender_id, amount_minor, currency, note, created_at, arrived_at
from wallets.arrivals where partition = %s and receiver_id = %s and transfer_id = any(%s)
"""

RECENT = """
select receiver_id from wallets.transfers
where partition = %s and sender_id = %s and state = 'settled' and receiver_id is not null
group by receiver_id order by max(created_at) desc limit %s
"""

SET_LINK = """
insert into wallets.links (secret_hash, partition, transfer_id) values (%s, %s, %s)
on conflict (transfer_id) do update set secret_hash = excluded.secret_hash
"""

FIND_LINK = "select partition, transfer_id from wallets.links where secret_hash = %s"

HELD_OF = """
select count(*) from wallets.transfers where partition = %s and sender_id = %s and is_link
    and state in ('requires_approval', 'processing', 'held')
"""

ADD_CODE = "insert into wallets.codes (account_id, code, made_at) values (%s, %s, %s) on conflict do nothing"
CODE_OF = "select code from wallets.codes where account_id = %s"
CHANGE_CODE = """
insert into wallets.codes (account_id, code, made_at) values (%s, %s, %s)
on conflict (account_id) do update set code = excluded.code, made_at = excluded.made_at
"""
ACCOUNT_OF_CODE = "select account_id from wallets.codes where code = %s"

Query = LiteralString

END_OF_TIME = ("infinity", UUID(int=2**128 - 1))


def insert(tx: Tx, transfer: Transfer) -> bool:
    """Keep a transfer; whether it is new."""
    values = (
        transfer.partition,
        transfer.transfer_id,
        transfer.sender_id,
        transfer.sender_issuer_id,
        transfer.receiver_id,
        transfer.receiver_issuer_id,
        transfer.receiver_partition,
        transfer.amount_minor,
        transfer.currency,
        transfer.note,
        transfer.request_id,
        transfer.is_link,
        transfer.state,
        transfer.reason,
        transfer.created_at,
        transfer.expires_at,
        transfer.changed_at,
        transfer.quote_id,
        transfer.pays_minor,
        transfer.pays_currency,
        transfer.fee_minor,
        transfer.spender_id,
    )
    return tx.execute(INSERT, values).rowcount == 1


def find(tx: Tx, partitions: Collection[int], transfer_id: UUID) -> Transfer | None:
    """The transfer of this id in one of these partitions."""
    found = _transfers(tx, FIND, (sorted(set(partitions)), [transfer_id]))
    return found[0] if found else None


def find_all(tx: Tx, partitions: Collection[int], transfer_ids: Collection[UUID]) -> dict[UUID, Transfer]:
    """Those of these transfers that are kept."""
    return {
        one.transfer_id: one for one in _transfers(tx, FIND, (sorted(set(partitions)), list(transfer_ids)))
    }


def lock(tx: Tx, partition: int, transfer_id: UUID) -> Transfer | None:
    """The transfer, which nobody else moves until this transaction ends."""
    found = _transfers(tx, LOCK, ([partition], [transfer_id]))
    return found[0] if found else None


def of_sender(
    tx: Tx, partition: int, sender_id: UUID, limit: int, before: tuple[datetime, UUID] | None
) -> list[Transfer]:
    """What a person sent, newest first."""
    at, transfer_id = before or END_OF_TIME
    return _transfers(tx, OF_SENDER, (partition, sender_id, at, transfer_id, limit))


def of_spender(tx: Tx, spender_id: UUID, limit: int, before: tuple[datetime, UUID] | None) -> list[Transfer]:
    """What a person sent from others' wallets, newest first."""
    at, transfer_id = before or END_OF_TIME
    return _transfers(tx, OF_SPENDER, (spender_id, at, transfer_id, limit))


def list_open(
    tx: Tx, partitions: Collection[int], states: Collection[State], at: datetime, limit: int
) -> list[Transfer]:
    """Transfers in these states, and those that wait and whose time is up, oldest first."""
    return _transfers(tx, OPEN, (sorted(set(partitions)), list(states), at, limit))


def move(tx: Tx, transfer: Transfer, to: State, at: datetime, *, reason: str = "") -> bool:
    """Take a transfer from the state in which it was read to another; False where it is in another by now."""
    values = {
        "partition": transfer.partition,
        "transfer_id": transfer.transfer_id,
        "from": transfer.state,
        "to": to,
        "reason": reason or transfer.reason,
        "at": at,
    }
    return tx.execute(MOVE, values).rowcount == 1


def claim(
    tx: Tx, transfer: Transfer, receiver_id: UUID, issuer_id: str, partition: int, at: datetime
) -> bool:
    """Give a held link its receiver; False where it is not held any more."""
    values = (receiver_id, issuer_id, partition, at, transfer.partition, transfer.transfer_id, at)
    return tx.execute(CLAIM, values).rowcount == 1


def add_arrival(tx: Tx, transfer: Transfer, at: datetime) -> None:
    """Keep the other end of a settled transfer, once."""
    tx.execute(
        ADD_ARRIVAL,
        (
            transfer.receiver_partition,
            transfer.transfer_id,
            transfer.receiver_id,
            transfer.sender_id,
            transfer.amount_minor,
            transfer.currency,
            transfer.note,
            transfer.created_at,
            at,
        ),
    )


def arrivals(
    tx: Tx, partition: int, receiver_id: UUID, limit: int, before: tuple[datetime, UUID] | None
) -> list[Arrival]:
    """What came to a person, newest first."""
    at, transfer_id = before or END_OF_TIME
    with tx.cursor(row_factory=class_row(Arrival)) as cursor:
        return cursor.execute(ARRIVALS, (partition, receiver_id, at, transfer_id, limit)).fetchall()


def find_arrival(tx: Tx, partition: int, receiver_id: UUID, transfer_id: UUID) -> Arrival | None:
    """What came to a person by this transfer."""
    with tx.cursor(row_factory=class_row(Arrival)) as cursor:
        return cursor.execute(FIND_ARRIVAL, (partition, receiver_id, transfer_id)).fetchone()


def arrivals_among(
    tx: Tx, partition: int, receiver_id: UUID, transfer_ids: Collection[UUID]
) -> dict[UUID, Arrival]:
    """Those of these transfers that came to a person."""
    with tx.cursor(row_factory=class_row(Arrival)) as cursor:
        rows = cursor.execute(ARRIVALS_AMONG, (partition, receiver_id, list(transfer_ids))).fetchall()
    return {one.transfer_id: one for one in rows}


def recent(tx: Tx, partition: int, sender_id: UUID, limit: int) -> list[UUID]:
    """Whom a person paid, the latest first."""
    return [one for (one,) in tx.execute(RECENT, (partition, sender_id, limit)).fetchall()]


def set_link(tx: Tx, secret_hash: bytes, transfer: Transfer) -> None:
    """Let a secret lead to this transfer; the one before leads nowhere."""
    tx.execute(SET_LINK, (secret_hash, transfer.partition, transfer.transfer_id))


def find_link(tx: Tx, secret_hash: bytes) -> tuple[int, UUID] | None:
    """Where a link leads: partition and transfer."""
    row = tx.execute(FIND_LINK, (secret_hash,)).fetchone()
    return (int(row[0]), UUID(str(row[1]))) if row else None


def count_links(tx: Tx, partition: int, sender_id: UUID) -> int:
    """How many links of a person wait to be claimed."""
    row = tx.execute(HELD_OF, (partition, sender_id)).fetchone()
    assert row is not None, "a count always answers"
    return int(row[0])


def count_full(tx: Tx, partition: int, new: NewTransfer, since: datetime) -> int:
    """How often this sender found this receiver's wallet full since then."""
    values = (partition, new.sender_id, since, new.receiver_id)
    row = tx.execute(COUNT_FULL, values).fetchone()
    assert row is not None, "a count always answers"
    return int(row[0])


def code_of(tx: Tx, account_id: UUID) -> str | None:
    """The code by which this account is paid."""
    row = tx.execute(CODE_OF, (account_id,)).fetchone()
    return str(row[0]) if row else None


def add_code(tx: Tx, account_id: UUID, code: str, at: datetime) -> bool:
    """Keep a code; False where the account has one, or another account has this."""
    return tx.execute(ADD_CODE, (account_id, code, at)).rowcount == 1


def change_code(tx: Tx, account_id: UUID, code: str, at: datetime) -> None:
    """Give an account another code; the one before leads to nobody."""
    tx.execute(CHANGE_CODE, (account_id, code, at))


def account_of_code(tx: Tx, code: str) -> UUID | None:
    """Whose code this is."""
    row = tx.execute(ACCOUNT_OF_CODE, (code,)).fetchone()
    return UUID(str(row[0])) if row else None


def _transfers(tx: Tx, query: Query, values: Sequence[Any]) -> list[Transfer]:
    with tx.cursor(row_factory=class_row(Transfer)) as cursor:
        return [replace(row, state=State(row.state)) for row in cursor.execute(query, values)]
