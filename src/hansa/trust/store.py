"""The SQL of trust."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from hansa.codes import KeyStatus, TrustedKey
from hansa.store import Tx
from hansa.trust.model import ApiKey, Caller, GateRecord, Member, MemberId

INSERT_MEMBERS = """
insert into trust.members (member_id, name, role, city_id, clears_as, account)
select * from unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[])
on conflict do nothing
"""

MEMBER = "select member_id, name, role, city_id, clears_as, account from trust.members where member_id = %s"

MEMBERS = """
select member_id, name, role, city_id, clears_as, account from trust.members
where member_id = any (%s::text[]) or %s::text[] is null
order by member_id
"""

INSERT_GATES = """
insert into trust.gates (gate_id, operator_id, city_id, stop_id, line_id, action, product, cell, facts)
select * from unnest(
    %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::bytea[], %s::jsonb[])
on conflict do nothing
"""

GATES = """
select gate_id, operator_id, city_id, stop_id, line_id, action, product, cell, facts from trust.gates
where (gate_id = any (%(ids)s::text[]) or %(ids)s::text[] is null)
  and (operator_id = %(operator_id)s or %(operator_id)s::text is null)
  and gate_id > %(after)s
order by gate_id
limit %(limit)s
"""

# By its index, gate by gate: as one condition among others it was planned as a search through the array for every gate.
GATES_BY_ID = """
select g.gate_id, g.operator_id, g.city_id, g.stop_id, g.line_id, g.action, g.product, g.cell,
    nullif(g.facts, '{}') as facts
from unnest(%s::text[]) as k (gate_id)
join trust.gates g on g.gate_id = k.gate_id
"""

NEXT_TRUST_LIST_VERSION = "update trust.versions set trust_list = trust_list + 1 returning trust_list"

NEXT_DENY_LIST_VERSION = "update trust.versions set deny_list = deny_list + 1 returning deny_list"

INSERT_KEY = """
insert into trust.issuer_keys (kid, issuer_id, public_key, not_before, not_after, products, status)
values (%s, %s, %s, %s, %s, %s, %s)
on conflict do nothing
returning kid
"""

KEY = """
select kid, issuer_id, public_key, not_before, not_after, products, status from trust.issuer_keys
where kid = %s
"""

SET_KEY_STATUS = "update trust.issuer_keys set status = %s where kid = %s and status <> %s returning kid"

INSERT_KEY_CHANGE = "insert into trust.key_changes (version, kid, status, changed_at) values (%s, %s, %s, %s)"

# One statement, so that the version and the keys are of one moment.
TRUST_LIST = """
select v.trust_list, c.changed_at, v.list_key,
    k.kid, k.issuer_id, k.public_key, k.not_before, k.not_after, k.products, k.status
from trust.versions v
left join trust.key_changes c on c.version = v.trust_list
left join trust.issuer_keys k on true
order by k.kid
"""

INSERT_SIGNED_LIST = """
insert into trust.signed_lists (version, issued_at, expires_at, body) values (%s, %s, %s, %s)
on conflict (version) do update set issued_at = excluded.issued_at, expires_at = excluded.expires_at,
    body = excluded.body
"""

LOCK_VERSIONS = "select from trust.versions for update"

SET_LIST_KEY = """
update trust.versions set list_key = %s where list_key is distinct from %s::bytea returning list_key
"""

SIGNED_DATES = "select version, issued_at, expires_at from trust.signed_lists order by version desc limit 1"

SIGNED_LIST = "select body from trust.signed_lists order by version desc limit 1"

REVOKE = """
insert into trust.revoked_tokens (cti, revoked_at, expires_at, version)
select cti, %s, expires_at, %s from unnest(%s::bytea[], %s::timestamptz[]) as u (cti, expires_at)
on conflict (cti) do nothing
"""

DENY_LIST = """
select v.deny_list, r.cti
from trust.versions v
left join trust.revoked_tokens r
    on r.version > %(since)s and (r.expires_at > %(at)s or %(at)s::timestamptz is null)
order by r.version, r.cti
"""

DENY_LIST_VERSION = "select deny_list from trust.versions"

DENY_UPDATE = """
select v.deny_list, v.list_key, r.cti, r.expires_at
from trust.versions v
left join trust.revoked_tokens r on r.version > %(since)s and r.expires_at > %(at)s
"""

FIND_REVOKED = "select cti, version, revoked_at from trust.revoked_tokens where cti = any(%s)"

INSERT_API_KEY = """
insert into trust.api_keys (key_hash, member_id, gate_id, scopes, created_at, person, version, test)
values (%s, %s, %s, %s, %s, %s, %s, %s)
"""

API_KEY = """
select m.member_id, m.role, k.gate_id, k.scopes, k.person, k.version, k.test
from trust.api_keys k join trust.members m using (member_id)
where k.key_hash = %s and k.revoked_at is null
"""

API_KEYS = """
select key_hash, member_id, gate_id, scopes, person, version, test, created_at, revoked_at
from trust.api_keys where member_id = %s order by created_at desc, key_hash
"""

END_KEY_BY_ID = """
update trust.api_keys set revoked_at = %(at)s
where member_id = %(member_id)s and substr(key_hash, 1, 8) = %(key_id)s and revoked_at is null
returning key_hash
"""

REVOKE_API_KEY = "update trust.api_keys set revoked_at = %s where key_hash = %s and revoked_at is null"

_ALL = 2**31 - 1


def insert_members(tx: Tx, members: Sequence[Member]) -> None:
    """Add those that are not there yet."""
    tx.execute(
        INSERT_MEMBERS,
        (
            [member.member_id for member in members],
            [member.name for member in members],
            [member.role for member in members],
            [member.city_id for member in members],
            [member.clears_as for member in members],
            [member.account for member in members],
        ),
    )


def find_member(tx: Tx, member_id: str) -> Member | None:
    """The member, or None."""
    return tx.cursor(row_factory=class_row(Member)).execute(MEMBER, (member_id,)).fetchone()


def members(tx: Tx, ids: Sequence[str] | None = None) -> list[Member]:
    """These members, or all, by id."""
    wanted = None if ids is None else list(ids)
    return tx.cursor(row_factory=class_row(Member)).execute(MEMBERS, (wanted, wanted)).fetchall()


def insert_gates(tx: Tx, gates: Sequence[GateRecord]) -> None:
    """Add those that are not there yet."""
    tx.execute(
        INSERT_GATES,
        (
            [gate.gate_id for gate in gates],
            [gate.operator_id for gate in gates],
            [gate.city_id for gate in gates],
            [gate.stop_id for gate in gates],
            [gate.line_id for gate in gates],
            [gate.action for gate in gates],
            [gate.product for gate in gates],
            [gate.cell for gate in gates],
            [Jsonb(gate.facts) for gate in gates],
        ),
    )


def gates(
    tx: Tx,
    *,
    ids: Sequence[str] | None = None,
    operator_id: str | None = None,
    after: str = "",
    limit: int = _ALL,
) -> list[GateRecord]:
    """Gates by id: these, or an operator's, or all; after an id, at most so many."""
    return (
        tx.cursor(row_factory=class_row(GateRecord))
        .execute(
            GATES,
            {
                "ids": None if ids is None else list(ids),
                "operator_id": operator_id,
                "after": after,
                "limit": limit,
            },
        )
        .fetchall()
    )


def gates_by_id(tx: Tx, ids: Sequence[str]) -> list[GateRecord]:
    """Those of these gates that there are."""
    return [
        GateRecord(*row[:8], facts=row[8] or {}) for row in tx.execute(GATES_BY_ID, (list(ids),), binary=True)
    ]


def insert_key(tx: Tx, key: TrustedKey) -> bool:
    """Add a key. False when its id or the key itself is there already."""
    row = tx.execute(
        INSERT_KEY,
        (
            key.kid,
            key.issuer_id,
            key.public_key,
            key.not_before,
            key.not_after,
            list(key.products),
            key.status,
        ),
    ).fetchone()
    return row is not None


def find_key(tx: Tx, kid: bytes) -> TrustedKey | None:
    """The key of this id, or None."""
    row = tx.execute(KEY, (kid,)).fetchone()
    return None if row is None else _key(row)


def set_key_status(tx: Tx, kid: bytes, status: KeyStatus) -> bool:
    """Whether the key had another status before."""
    return tx.execute(SET_KEY_STATUS, (status, kid, status)).fetchone() is not None


def record_key_change(tx: Tx, kid: bytes | None, status: str, at: datetime) -> int:
    """The trust list's next version, with what made it. kid: None where it was no issuer's key."""
    version = _number(tx.execute(NEXT_TRUST_LIST_VERSION).fetchone())
    tx.execute(INSERT_KEY_CHANGE, (version, kid, status, at))
    return version


def trust_list_rows(tx: Tx) -> tuple[int, datetime | None, bytes | None, list[TrustedKey]]:
    """The list's version, when it became so, the list key, and the issuers' keys."""
    rows = tx.execute(TRUST_LIST).fetchall()
    return rows[0][0], rows[0][1], rows[0][2], [_key(row[3:]) for row in rows if row[3] is not None]


def lock_versions(tx: Tx) -> None:
    """Nobody else makes a version of a list until this transaction ends."""
    tx.execute(LOCK_VERSIONS)


def set_list_key(tx: Tx, public_key: bytes) -> bool:
    """Whether another one was there before."""
    return tx.execute(SET_LIST_KEY, (public_key, public_key)).fetchone() is not None


def insert_signed_list(
    tx: Tx, *, version: int, issued_at: datetime, expires_at: datetime, body: bytes
) -> None:
    """Keep a signed list; signing a version again replaces its dates."""
    tx.execute(INSERT_SIGNED_LIST, (version, issued_at, expires_at, body))


def find_signed_list(tx: Tx) -> bytes | None:
    """The newest signed list, or None."""
    row = tx.execute(SIGNED_LIST).fetchone()
    return None if row is None else row[0]


def find_signed_dates(tx: Tx) -> tuple[int, datetime, datetime] | None:
    """Version of the newest signed list, when it was issued, and when it ends; or None."""
    row = tx.execute(SIGNED_DATES).fetchone()
    return None if row is None else (row[0], row[1], row[2])


def insert_revoked(tx: Tx, tokens: Iterable[tuple[bytes, datetime]], at: datetime) -> int:
    """Put tokens, each with its end, on the deny list; gives the list's new version."""
    ordered = sorted(tokens)
    version = _number(tx.execute(NEXT_DENY_LIST_VERSION).fetchone())
    tx.execute(REVOKE, (at, version, [cti for cti, _ in ordered], [ends for _, ends in ordered]))
    return version


def deny_list_rows(tx: Tx, *, since: int, at: datetime | None) -> tuple[int, list[bytes]]:
    """The list's version, and the tokens put on it after version ``since`` that are alive at ``at``."""
    rows = tx.execute(DENY_LIST, {"since": since, "at": at}).fetchall()
    return rows[0][0], [row[1] for row in rows if row[1] is not None]


def deny_list_version(tx: Tx) -> int:
    """The list's version."""
    return _number(tx.execute(DENY_LIST_VERSION).fetchone())


def deny_update_rows(
    tx: Tx, *, since: int, at: datetime
) -> tuple[int, bytes | None, list[tuple[bytes, datetime]]]:
    """The list's version, the list key, and the tokens put on it after ``since`` that are alive, each with its end."""
    rows = tx.execute(DENY_UPDATE, {"since": since, "at": at}).fetchall()
    return rows[0][0], rows[0][1], [(row[2], row[3]) for row in rows if row[2] is not None]


def find_revoked(tx: Tx, ctis: Iterable[bytes]) -> dict[bytes, tuple[int, datetime]]:
    """Those of these tokens that were ever revoked: the version of the deny list that first had them, and when."""
    rows = tx.execute(FIND_REVOKED, (list(ctis),))
    return {bytes(row[0]): (row[1], row[2]) for row in rows}


def insert_api_key(
    tx: Tx,
    *,
    key_hash: bytes,
    member_id: str,
    gate_id: str | None,
    scopes: Iterable[str],
    at: datetime,
    person: str,
    version: date,
    test: bool,
) -> None:
    """Keep the hash of an API key."""
    tx.execute(INSERT_API_KEY, (key_hash, member_id, gate_id, sorted(scopes), at, person, version, test))


def find_caller(tx: Tx, key_hash: bytes) -> Caller | None:
    """Whose key this is, or None."""
    row = tx.execute(API_KEY, (key_hash,)).fetchone()
    if row is None:
        return None
    member_id, role, gate_id, scopes, person, version, test = row
    kind = "gate" if gate_id else role if role in ("operator", "league") else "member"
    return Caller(
        gate_id or member_id,
        kind,
        frozenset(scopes),
        MemberId(member_id),
        gate_id=gate_id,
        key_id=key_hash[:8].hex(),
        person=person,
        version=version,
        test=test,
    )


def api_keys(tx: Tx, member_id: str) -> list[ApiKey]:
    """All keys of a member, alive and ended, the newest first."""
    return [
        ApiKey(
            key_id=bytes(key_hash)[:8].hex(),
            member_id=MemberId(member),
            gate_id=gate_id,
            scopes=tuple(scopes),
            person=person,
            version=version,
            test=test,
            created_at=created_at,
            ended_at=ended_at,
        )
        for key_hash, member, gate_id, scopes, person, version, test, created_at, ended_at in tx.execute(
            API_KEYS, (member_id,)
        )
    ]


def end_key(tx: Tx, member_id: str, key_id: bytes, at: datetime) -> bool:
    """Whether a living key of this member was ended."""
    values = {"at": at, "member_id": member_id, "key_id": key_id}
    return tx.execute(END_KEY_BY_ID, values).fetchone() is not None


def revoke_api_key(tx: Tx, key_hash: bytes, at: datetime) -> None:
    """The key is good for nothing any more."""
    tx.execute(REVOKE_API_KEY, (at, key_hash))


def _key(row: Sequence[Any]) -> TrustedKey:
    kid, issuer_id, public_key, not_before, not_after, products, status = row
    return TrustedKey(
        kid=kid,
        issuer_id=issuer_id,
        public_key=public_key,
        not_before=not_before,
        not_after=not_after,
        products=tuple(products),
        status=status,
    )


def _number(row: Sequence[Any] | None) -> int:
    assert row is not None, "trust.versions has its one row"
    return row[0]
