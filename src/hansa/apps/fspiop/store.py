"""The SQL of what these doors keep."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from hansa.store import Tx

INSERT_MEMBER = """
insert into fspiop.members (member_id, opened_at) values (%s, %s) on conflict do nothing
"""
MEMBERS = """
select member_id, number, is_active, opened_at from fspiop.members
where member_id = %(member_id)s or %(member_id)s::text is null order by number
"""
SET_MEMBER = "update fspiop.members set is_active = %s where member_id = %s"

INSERT_ACCOUNT = """
insert into fspiop.accounts (member_id, currency, kind, opened_at) values (%s, %s, %s, %s) on conflict do nothing
"""
ACCOUNTS = """
select account_id, member_id, currency, kind, is_active, opened_at from fspiop.accounts
where member_id = %(member_id)s or %(member_id)s::text is null order by account_id
"""
SET_ACCOUNT = "update fspiop.accounts set is_active = %s where account_id = %s"
MAY_PAY = """
select m.member_id from fspiop.members m join fspiop.accounts a using (member_id)
where m.member_id = any(%s) and a.currency = %s and a.kind = 'POSITION' and m.is_active and a.is_active
"""

SET_ENDPOINT = """
insert into fspiop.endpoints (member_id, kind, value, set_at) values (%s, %s, %s, %s)
on conflict (member_id, kind) do update set value = excluded.value, set_at = excluded.set_at
"""
ENDPOINTS = "select kind, value from fspiop.endpoints where member_id = %s order by kind"

INSERT_KEY = """
insert into fspiop.keys (member_id, key_id, pem, added_at) values (%s, %s, %s, %s)
on conflict (member_id, key_id) do nothing
"""
REVOKE_KEY = (
    "update fspiop.keys set revoked_at = %s where member_id = %s and key_id = %s and revoked_at is null"
)
KEYS = "select pem from fspiop.keys where member_id = %s and revoked_at is null order by added_at desc"

SET_PARTY = """
insert into fspiop.parties (party_type, party_id, sub_id, member_id, currency, registered_at)
values (%s, %s, %s, %s, %s, %s)
on conflict (party_type, party_id, sub_id) do update
set currency = excluded.currency, registered_at = excluded.registered_at, member_id = excluded.member_id
where fspiop.parties.member_id = excluded.member_id
returning member_id
"""
FIND_PARTY = "select member_id from fspiop.parties where party_type = %s and party_id = %s and sub_id = %s"
DELETE_PARTY = """
delete from fspiop.parties where party_type = %s and party_id = %s and sub_id = %s and member_id = %s
"""

KEEP_REQUEST = """
insert into fspiop.requests (kind, request_id, member_id, to_member, digest, body, received_at)
values (%s, %s, %s, %s, %s, %s, %s) on conflict (kind, request_id) do nothing
"""
FIND_REQUEST = """
select member_id, to_member, digest, answer from fspiop.requests where kind = %s and request_id = %s
"""
ANSWER_REQUEST = """
update fspiop.requests set answer = %s, answered_at = %s
where kind = %s and request_id = %s and to_member = %s and answer is null
"""

INSERT_TRANSFER = """
insert into fspiop.transfers (transfer_id, payer_id, payee_id, digest, headers, body, received_at)
values (%s, %s, %s, %s, %s, %s, %s) on conflict (transfer_id) do nothing
"""
FIND_TRANSFERS = """
select transfer_id, payer_id, payee_id, digest, headers, body, received_at, taken_at, refused, ended_headers,
    ended_body, ended_state
from fspiop.transfers where transfer_id = any(%s)
"""
NOT_TAKEN = """
select transfer_id, payer_id, payee_id, digest, headers, body, received_at, taken_at, refused, ended_headers,
    ended_body, ended_state
from fspiop.transfers where taken_at is null and received_at <= %s order by received_at limit 1000
"""
MARK_TAKEN = (
    "update fspiop.transfers set taken_at = %s, refused = %s where transfer_id = %s and taken_at is null"
)
MARK_ENDED = """
update fspiop.transfers set ended_headers = %s, ended_body = %s, ended_state = %s
where transfer_id = %s and ended_state is null
"""

INSERT_CALL = """
insert into fspiop.calls (call_id, member_id, method, path, headers, body, tells, tells_path, next_at, written_at)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
LEASE_CALLS = """
with due as (
    select call_id from fspiop.calls where next_at <= %s order by next_at limit %s
    for no key update skip locked
)
update fspiop.calls c set next_at = %s, attempts = c.attempts + 1 from due where c.call_id = due.call_id
returning c.call_id, c.member_id, c.method, c.path, c.headers, c.body, c.tells, c.tells_path,
    c.attempts, c.written_at
"""
DELETE_CALLS = "delete from fspiop.calls where call_id = any(%s)"
LATER_CALL = "update fspiop.calls set next_at = %s where call_id = %s"
COUNT_CALLS = "select count(*) from fspiop.calls"

INSERT_MODEL = """
insert into fspiop.models (name, currency, granularity, interchange, delay, body, made_at)
values (%s, %s, %s, %s, %s, %s, %s) on conflict do nothing
"""
MODELS = (
    "select name, currency, granularity, interchange, delay, body from fspiop.models order by made_at, name"
)


@dataclass(frozen=True, slots=True)
class MemberRow:
    """A participant. number: its id as Mojaloop's clients know it."""

    member_id: str
    number: int
    is_active: bool
    opened_at: datetime


@dataclass(frozen=True, slots=True)
class AccountRow:
    """One of Mojaloop's ledger accounts."""

    account_id: int
    member_id: str
    currency: str
    kind: str
    is_active: bool
    opened_at: datetime


@dataclass(frozen=True, slots=True)
class TransferRow:
    """A transfer as it was asked for, and as its payee ended it."""

    transfer_id: UUID
    payer_id: str
    payee_id: str
    digest: bytes
    headers: dict[str, str]
    body: bytes
    received_at: datetime
    taken_at: datetime | None
    refused: dict[str, Any] | None
    ended_headers: dict[str, str] | None
    ended_body: bytes | None
    ended_state: str | None


@dataclass(frozen=True, slots=True)
class Call:
    """A call to a member. path: from the member's endpoint on. tells: whom to tell if it is in vain, about
    tells_path."""

    call_id: UUID
    member_id: str
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    tells: str | None
    tells_path: str
    attempts: int
    written_at: datetime


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A settlement model as it was asked for. currency: None for all that have none of their own."""

    name: str
    currency: str | None
    granularity: str
    interchange: str
    delay: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class RequestRow:
    """A request that was forwarded."""

    member_id: str
    to_member: str
    digest: bytes
    answer: bytes | None


def insert_member(tx: Tx, member_id: str, at: datetime) -> bool:
    """Take a participant in; whether it is new."""
    return tx.execute(INSERT_MEMBER, (member_id, at)).rowcount == 1


def list_members(tx: Tx, member_id: str | None = None) -> list[MemberRow]:
    """Participants by number; or the one."""
    with tx.cursor(row_factory=class_row(MemberRow)) as cursor:
        return cursor.execute(MEMBERS, {"member_id": member_id}).fetchall()


def set_member(tx: Tx, member_id: str, *, is_active: bool) -> None:
    """Let a participant speak, or not."""
    tx.execute(SET_MEMBER, (is_active, member_id))


def insert_account(tx: Tx, member_id: str, currency: str, kind: str, at: datetime) -> bool:
    """Open an account; whether it is new."""
    return tx.execute(INSERT_ACCOUNT, (member_id, currency, kind, at)).rowcount == 1


def list_accounts(tx: Tx, member_id: str | None = None) -> list[AccountRow]:
    """Accounts by number; of one participant, or all."""
    with tx.cursor(row_factory=class_row(AccountRow)) as cursor:
        return cursor.execute(ACCOUNTS, {"member_id": member_id}).fetchall()


def set_account(tx: Tx, account_id: int, *, is_active: bool) -> None:
    """Let an account be used, or not."""
    tx.execute(SET_ACCOUNT, (is_active, account_id))


def may_pay(tx: Tx, member_ids: Sequence[str], currency: str) -> set[str]:
    """Those of these that may pay and be paid in a currency through these doors."""
    return {row[0] for row in tx.execute(MAY_PAY, (list(member_ids), currency)).fetchall()}


def set_endpoint(tx: Tx, member_id: str, kind: str, value: str, at: datetime) -> None:
    """Where a participant wants to be called."""
    tx.execute(SET_ENDPOINT, (member_id, kind, value, at))


def endpoints(tx: Tx, member_id: str) -> dict[str, str]:
    """A participant's endpoints, by kind."""
    return {str(row[0]): str(row[1]) for row in tx.execute(ENDPOINTS, (member_id,)).fetchall()}


def insert_key(tx: Tx, member_id: str, key_id: bytes, pem: str, at: datetime) -> None:
    """A key with which a participant signs."""
    tx.execute(INSERT_KEY, (member_id, key_id, pem, at))


def revoke_key(tx: Tx, member_id: str, key_id: bytes, at: datetime) -> bool:
    """The key counts no longer; whether it did."""
    return tx.execute(REVOKE_KEY, (at, member_id, key_id)).rowcount == 1


def list_keys(tx: Tx, member_id: str) -> list[str]:
    """A participant's keys that count, latest first."""
    return [str(row[0]) for row in tx.execute(KEYS, (member_id,)).fetchall()]


def set_party(tx: Tx, party: tuple[str, str, str], member_id: str, currency: str, at: datetime) -> bool:
    """Whose customer this identifier is; whether that holds now: another's customer stays another's."""
    row = tx.execute(SET_PARTY, (*party, member_id, currency, at)).fetchone()
    return row is not None


def find_party(tx: Tx, party: tuple[str, str, str]) -> str | None:
    """Whose customer this identifier is."""
    row = tx.execute(FIND_PARTY, party).fetchone()
    return None if row is None else str(row[0])


def delete_party(tx: Tx, party: tuple[str, str, str], member_id: str) -> bool:
    """The identifier is nobody's customer any more; whether it was this participant's."""
    return tx.execute(DELETE_PARTY, (*party, member_id)).rowcount == 1


def keep_request(
    tx: Tx, kind: str, request_id: str, ends: tuple[str, str], digest: bytes, body: bytes, at: datetime
) -> RequestRow | None:
    """Keep a request that goes from one member to another; gives the one that is kept already under its id."""
    if tx.execute(KEEP_REQUEST, (kind, request_id, *ends, digest, body, at)).rowcount == 1:
        return None
    return find_request(tx, kind, request_id)


def find_request(tx: Tx, kind: str, request_id: str) -> RequestRow | None:
    """A request that was forwarded."""
    with tx.cursor(row_factory=class_row(RequestRow)) as cursor:
        return cursor.execute(FIND_REQUEST, (kind, request_id)).fetchone()


def answer_request(tx: Tx, kind: str, request_id: str, to_member: str, answer: bytes, at: datetime) -> None:
    """Keep the first answer to a request, by whom it went to."""
    tx.execute(ANSWER_REQUEST, (answer, at, kind, request_id, to_member))


def insert_transfer(
    tx: Tx,
    transfer_id: UUID,
    ends: tuple[str, str],
    digest: bytes,
    headers: Mapping[str, str],
    body: bytes,
    at: datetime,
) -> bool:
    """Keep a transfer as it was asked for; whether it is new."""
    values = (transfer_id, *ends, digest, Jsonb(dict(headers)), body, at)
    return tx.execute(INSERT_TRANSFER, values).rowcount == 1


def find_transfers(tx: Tx, transfer_ids: Sequence[UUID]) -> dict[UUID, TransferRow]:
    """Those of these transfers that there are."""
    with tx.cursor(row_factory=class_row(TransferRow)) as cursor:
        rows = cursor.execute(FIND_TRANSFERS, (list(transfer_ids),)).fetchall()
    return {row.transfer_id: row for row in rows}


def list_not_taken(tx: Tx, before: datetime) -> list[TransferRow]:
    """Transfers that were kept by then and that the hub has not answered."""
    with tx.cursor(row_factory=class_row(TransferRow)) as cursor:
        return cursor.execute(NOT_TAKEN, (before,)).fetchall()


def mark_taken(tx: Tx, transfer_id: UUID, refused: dict[str, Any] | None, at: datetime) -> bool:
    """The hub has answered; whether nobody had noted it."""
    kept = None if refused is None else Jsonb(refused)
    return tx.execute(MARK_TAKEN, (at, kept, transfer_id)).rowcount == 1


def mark_ended(tx: Tx, transfer_id: UUID, headers: Mapping[str, str], body: bytes, state: str) -> bool:
    """Keep how the payee ended a transfer, the first time; whether it was."""
    return tx.execute(MARK_ENDED, (Jsonb(dict(headers)), body, state, transfer_id)).rowcount == 1


def insert_call(tx: Tx, call: Call, next_at: datetime) -> None:
    """A call that is to be made."""
    tx.execute(
        INSERT_CALL,
        (
            call.call_id,
            call.member_id,
            call.method,
            call.path,
            Jsonb(call.headers),
            call.body,
            call.tells,
            call.tells_path,
            next_at,
            call.written_at,
        ),
    )


def lease_calls(tx: Tx, now: datetime, until: datetime, limit: int) -> list[Call]:
    """Calls that are due, kept from others until then."""
    with tx.cursor(row_factory=class_row(Call)) as cursor:
        return cursor.execute(LEASE_CALLS, (now, limit, until)).fetchall()


def delete_calls(tx: Tx, call_ids: Sequence[UUID]) -> None:
    """Calls that are made, or given up."""
    tx.execute(DELETE_CALLS, (list(call_ids),))


def later_call(tx: Tx, call_id: UUID, next_at: datetime) -> None:
    """Try a call again at this time."""
    tx.execute(LATER_CALL, (next_at, call_id))


def count_calls(tx: Tx) -> int:
    """Calls that are still to be made."""
    row = tx.execute(COUNT_CALLS).fetchone()
    assert row is not None, "a count is a row"
    return int(row[0])


def insert_model(tx: Tx, row: ModelRow, at: datetime) -> bool:
    """Keep a settlement model; whether it is new."""
    values = (row.name, row.currency, row.granularity, row.interchange, row.delay, Jsonb(row.body), at)
    return tx.execute(INSERT_MODEL, values).rowcount == 1


def list_models(tx: Tx) -> list[ModelRow]:
    """All settlement models, as they were made."""
    with tx.cursor(row_factory=class_row(ModelRow)) as cursor:
        return cursor.execute(MODELS).fetchall()
