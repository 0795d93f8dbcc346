"""The SQL of persons: data keys, days of birth, who a person is, and which documents are whose."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from psycopg.rows import class_row

from hansa.identity.model import AccountId
from hansa.identity.persons_model import BirthSource, PersonId, ProofLevel
from hansa.identity.sealing import Digest, Wrapped
from hansa.store import Tx

FETCH_KEYS = "select account_id, version, box from identity.data_keys where account_id = any(%s)"

ADD_KEY = """
insert into identity.data_keys (account_id, version, box, made_at, wrapped_at) values (%s, %s, %s, %s, %s)
on conflict (account_id) do nothing
"""

KEYS_TO_WRAP = """
select account_id, version, box from identity.data_keys where version <> %s
order by version, account_id limit %s
for no key update skip locked
"""

WRAP_KEYS = """
update identity.data_keys k set version = w.version, box = w.box, wrapped_at = %s
from unnest(%s::uuid[], %s::integer[], %s::bytea[]) as w (account_id, version, box)
where k.account_id = w.account_id
"""

COUNT_KEYS = "select version, count(*) from identity.data_keys group by version order by version"

DESTROY_KEY = "delete from identity.data_keys where account_id = %s"

LEVELS = """
select a.account_id, greatest(
    (select max(p.level) from identity.proofings p where p.account_id = a.account_id and p.state = 'matched'),
    (select 1 from identity.contacts c where c.account_id = a.account_id and c.state = 'verified' limit 1),
    0)::integer
from unnest(%s::uuid[]) as a (account_id)
"""

PERSON = "select person_id from identity.person_accounts where account_id = %s"

ACCOUNTS_OF = (
    "select account_id from identity.person_accounts where person_id = %s order by joined_at, account_id"
)

ADD_PERSON = "insert into identity.persons (person_id, known_at) values (%s, %s) on conflict do nothing"

JOIN = """
insert into identity.person_accounts (account_id, person_id, joined_at) values (%s, %s, %s)
on conflict (account_id) do update set person_id = excluded.person_id
"""

MERGE = """
with moved as (
    update identity.person_accounts set person_id = %(into)s where person_id = %(gone)s
)
update identity.documents set person_id = %(into)s where person_id = %(gone)s
"""

LEAVE = "delete from identity.person_accounts where account_id = %s returning person_id"

FORGET_PERSON = """
with gone as (
    delete from identity.documents where person_id = %(person)s
)
delete from identity.persons where person_id = %(person)s
"""

FIND_DOCUMENT = "select digest, person_id from identity.documents where digest = any(%s)"

# The upsert locks the document's row: of two who come at once, the second sees whose it has become.
CLAIM_DOCUMENT = """
insert into identity.documents as held (digest, digest_version, person_id, known_at) values (%s, %s, %s, %s)
on conflict (digest) do update set known_at = held.known_at
returning person_id
"""

BIRTH = "select box, source, noted_at from identity.births where account_id = %s"

ADD_BIRTH = """
insert into identity.births (account_id, box, source, noted_at, guardian_needed, looked_on)
values (%s, %s, %s, %s, coalesce(%s, false), %s)
on conflict (account_id) do update
    set box = excluded.box, source = excluded.source, noted_at = excluded.noted_at, looked_on = null
    where excluded.source = 'proof'
"""

BIRTHS_TO_LOOK_AT = """
select account_id from identity.births where looked_on is null or (guardian_needed and looked_on < %s)
order by looked_on nulls first, account_id
limit %s
for no key update skip locked
"""

SET_NEEDS = """
update identity.births b set guardian_needed = n.needed, looked_on = %s
from unnest(%s::uuid[], %s::boolean[]) as n (account_id, needed)
where b.account_id = n.account_id
"""

LACKS_GUARDIAN = """
select 1 from identity.births b where b.account_id = %s and b.guardian_needed and not exists (
    select 1 from identity.guardianships g where g.ward_id = b.account_id and g.state = 'accepted')
"""

CLOSED = "select closed_at from identity.accounts where account_id = %s"


class KeyRow(NamedTuple):
    """A data key as it is kept."""

    account_id: AccountId
    version: int
    box: bytes

    @property
    def wrapped(self) -> Wrapped:
        """As sealing knows it."""
        return Wrapped(self.version, self.box)


class BirthRow(NamedTuple):
    """A day of birth as it is kept."""

    box: bytes
    source: BirthSource
    noted_at: datetime


def fetch_keys(tx: Tx, account_ids: Sequence[UUID]) -> dict[AccountId, Wrapped]:
    with tx.cursor(row_factory=class_row(KeyRow)) as cursor:
        return {row.account_id: row.wrapped for row in cursor.execute(FETCH_KEYS, (list(account_ids),))}


def add_key(tx: Tx, account_id: AccountId, wrapped: Wrapped, at: datetime) -> bool:
    """Whether it was the first; False when another was faster."""
    return tx.execute(ADD_KEY, (account_id, wrapped.version, wrapped.box, at, at)).rowcount == 1


def keys_to_wrap(tx: Tx, newest: int, limit: int) -> list[KeyRow]:
    with tx.cursor(row_factory=class_row(KeyRow)) as cursor:
        return cursor.execute(KEYS_TO_WRAP, (newest, limit)).fetchall()


def wrap_keys(tx: Tx, rows: Sequence[tuple[AccountId, Wrapped]], at: datetime) -> None:
    ids = [account_id for account_id, _ in rows]
    tx.execute(WRAP_KEYS, (at, ids, [one.version for _, one in rows], [one.box for _, one in rows]))


def count_keys(tx: Tx) -> dict[int, int]:
    return {int(version): int(count) for version, count in tx.execute(COUNT_KEYS)}


def destroy_key(tx: Tx, account_id: AccountId) -> bool:
    return tx.execute(DESTROY_KEY, (account_id,)).rowcount == 1


def levels(tx: Tx, account_ids: Sequence[UUID]) -> dict[AccountId, ProofLevel]:
    return {AccountId(one): ProofLevel(level) for one, level in tx.execute(LEVELS, (list(account_ids),))}


def find_person(tx: Tx, account_id: AccountId) -> PersonId | None:
    row = tx.execute(PERSON, (account_id,)).fetchone()
    return None if row is None else PersonId(row[0])


def accounts_of(tx: Tx, person_id: PersonId) -> list[AccountId]:
    return [AccountId(row[0]) for row in tx.execute(ACCOUNTS_OF, (person_id,))]


def add_person(tx: Tx, person_id: PersonId, at: datetime) -> None:
    tx.execute(ADD_PERSON, (person_id, at))


def join(tx: Tx, account_id: AccountId, person_id: PersonId, at: datetime) -> None:
    tx.execute(JOIN, (account_id, person_id, at))


def merge(tx: Tx, gone: PersonId, into: PersonId) -> None:
    """All accounts and documents of one person are another's: both are the same human being."""
    tx.execute(MERGE, {"gone": gone, "into": into})
    tx.execute("delete from identity.persons where person_id = %s", (gone,))


def leave(tx: Tx, account_id: AccountId) -> PersonId | None:
    """This account is no person's any more; whose it was."""
    row = tx.execute(LEAVE, (account_id,)).fetchone()
    return None if row is None else PersonId(row[0])


def forget_person(tx: Tx, person_id: PersonId) -> None:
    """Nobody is known by these documents any more."""
    tx.execute(FORGET_PERSON, {"person": person_id})


def find_document(tx: Tx, digests: Sequence[Digest]) -> tuple[bytes, PersonId] | None:
    row = tx.execute(FIND_DOCUMENT, ([one.octets for one in digests],)).fetchone()
    return None if row is None else (bytes(row[0]), PersonId(row[1]))


def claim_document(tx: Tx, digest: Digest, person_id: PersonId, at: datetime) -> PersonId:
    """Whose the document is: this person's if it was nobody's. Nobody else claims it until the transaction ends."""
    row = tx.execute(CLAIM_DOCUMENT, (digest.octets, digest.version, person_id, at)).fetchone()
    assert row is not None
    return PersonId(row[0])


def find_birth(tx: Tx, account_id: AccountId) -> BirthRow | None:
    with tx.cursor(row_factory=class_row(BirthRow)) as cursor:
        return cursor.execute(BIRTH, (account_id,)).fetchone()


def add_birth(
    tx: Tx,
    account_id: AccountId,
    box: bytes,
    source: BirthSource,
    at: datetime,
    *,
    needs_guardian: bool | None,
) -> bool:
    """Whether it is kept now; False when a day is known and this one is merely stated. needs_guardian: None where
    that is still to be worked out.
    """
    looked_on = None if needs_guardian is None else at.date()
    values = (account_id, box, source, at, needs_guardian, looked_on)
    return tx.execute(ADD_BIRTH, values).rowcount == 1


def births_to_look_at(tx: Tx, today: date, limit: int) -> list[AccountId]:
    return [AccountId(row[0]) for row in tx.execute(BIRTHS_TO_LOOK_AT, (today, limit))]


def set_needs(tx: Tx, needs: Mapping[AccountId, bool], today: date) -> None:
    """Which of these accounts need a guardian as of this day."""
    tx.execute(SET_NEEDS, (today, list(needs), list(needs.values())))


def lacks_guardian(tx: Tx, account_id: AccountId) -> bool:
    """Whether this account needs a guardian, and has none."""
    return tx.execute(LACKS_GUARDIAN, (account_id,)).fetchone() is not None


def closed_at(tx: Tx, account_id: AccountId) -> datetime | None:
    row = tx.execute(CLOSED, (account_id,)).fetchone()
    return None if row is None else row[0]
