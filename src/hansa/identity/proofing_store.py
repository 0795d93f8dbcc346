"""The SQL of checks of names and documents."""

from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from psycopg.rows import class_row

from hansa.identity.model import AccountId
from hansa.identity.persons_model import PersonId, ProofLevel
from hansa.identity.proofing_model import DocumentKind, ProofingState
from hansa.identity.sealing import Digest
from hansa.store import Tx

ADD = """
insert into identity.proofings (proofing_id, account_id, provider, kind, wanted, question, document_digest,
    document_digest_version, body_digest, state, asked_at, next_ask_at)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, 'asked', %s, %s)
on conflict (proofing_id) do nothing
"""

ONE = """
select proofing_id, account_id, provider, kind, wanted, question, document_digest, document_digest_version,
    body_digest, state, level, tries, asked_at, next_ask_at, answered_at, good_until, ended_for
from identity.proofings where proofing_id = %s
"""

LOCK = """
select proofing_id, account_id, provider, kind, wanted, question, document_digest, document_digest_version,
    body_digest, state, level, tries, asked_at, next_ask_at, answered_at, good_until, ended_for
from identity.proofings where proofing_id = %s for no key update
"""

OF_ACCOUNT = """
select proofing_id, account_id, provider, kind, wanted, question, document_digest, document_digest_version,
    body_digest, state, level, tries, asked_at, next_ask_at, answered_at, good_until, ended_for
from identity.proofings where account_id = %s
order by asked_at desc, proofing_id
limit 100
"""

DUE = """
select proofing_id from identity.proofings
where state = 'asked' and next_ask_at <= %s
order by next_ask_at
limit %s
"""

BEGIN_ASKING = """
update identity.proofings set tries = tries + 1, next_ask_at = %(next)s
where proofing_id = %(id)s and state = 'asked' and (next_ask_at <= %(at)s or tries = 0)
returning tries
"""

ANSWERED = """
update identity.proofings set state = %(state)s, level = %(level)s, evidence = %(evidence)s, answered_at = %(at)s,
    good_until = %(good_until)s, ended_for = %(ended_for)s, next_ask_at = null
where proofing_id = %(id)s and state = 'asked'
"""

END = """
update identity.proofings set state = 'ended', ended_at = %(at)s, ended_for = %(why)s
where account_id = %(account)s and state = 'matched' and level <= %(level)s and proofing_id <> %(but)s
returning proofing_id
"""

END_PAST = """
update identity.proofings set state = 'ended', ended_at = %s, ended_for = 'expired'
where state = 'matched' and good_until < %s
"""

ASKED_SINCE = "select count(*) from identity.proofings where account_id = %s and asked_at > %s"

WAITING = "select proofing_id from identity.proofings where account_id = %s and state = 'asked'"

NEXT_OF_DOCUMENTS = """
select d.digest, p.proofing_id from identity.documents d
join identity.proofings p on p.document_digest = d.digest and p.question is not null
where d.digest_version <> %s
order by d.digest
limit %s
"""

RENEW_DOCUMENT = "update identity.documents set digest = %s, digest_version = %s where digest = %s"
RENEW_PROOFINGS = """
update identity.proofings set document_digest = %s, document_digest_version = %s where document_digest = %s
"""

LEFT_WITHOUT = """
select d.digest from identity.documents d
where d.person_id = %s and not exists (
    select from identity.proofings p join identity.person_accounts a using (account_id)
    where p.document_digest = d.digest and p.state = 'matched' and a.person_id = d.person_id)
"""

FREE_DOCUMENTS = "delete from identity.documents where digest = any(%s)"


class Row(NamedTuple):
    """A check as it is kept; question is sealed."""

    proofing_id: UUID
    account_id: AccountId
    provider: str
    kind: DocumentKind
    wanted: int
    question: bytes | None
    document_digest: bytes
    document_digest_version: int
    body_digest: bytes
    state: ProofingState
    level: int
    tries: int
    asked_at: datetime
    next_ask_at: datetime | None
    answered_at: datetime | None
    good_until: date | None
    ended_for: str | None


def add(
    tx: Tx,
    proofing_id: UUID,
    account_id: AccountId,
    *,
    provider: str,
    kind: DocumentKind,
    wanted: ProofLevel,
    question: bytes,
    document: Digest,
    body: bytes,
    at: datetime,
    next_ask_at: datetime,
) -> bool:
    """Whether it was new."""
    first = (proofing_id, account_id, provider, kind, int(wanted), question)
    second = (document.octets, document.version, body, at, next_ask_at)
    return tx.execute(ADD, (*first, *second)).rowcount == 1


def find(tx: Tx, proofing_id: UUID, *, lock: bool = False) -> Row | None:
    with tx.cursor(row_factory=class_row(Row)) as cursor:
        return cursor.execute(LOCK if lock else ONE, (proofing_id,)).fetchone()


def of_account(tx: Tx, account_id: AccountId) -> list[Row]:
    with tx.cursor(row_factory=class_row(Row)) as cursor:
        return cursor.execute(OF_ACCOUNT, (account_id,)).fetchall()


def due(tx: Tx, at: datetime, limit: int) -> list[UUID]:
    return [row[0] for row in tx.execute(DUE, (at, limit))]


def begin_asking(tx: Tx, proofing_id: UUID, *, at: datetime, next_ask_at: datetime) -> int | None:
    """How often it was asked, this time included; None when another asks just now, or it is answered."""
    row = tx.execute(BEGIN_ASKING, {"id": proofing_id, "at": at, "next": next_ask_at}).fetchone()
    return None if row is None else int(row[0])


def answered(
    tx: Tx,
    proofing_id: UUID,
    state: ProofingState,
    *,
    at: datetime,
    level: ProofLevel = ProofLevel.NONE,
    evidence: bytes | None = None,
    good_until: date | None = None,
    ended_for: str | None = None,
) -> None:
    values = {
        "id": proofing_id,
        "state": state,
        "level": int(level),
        "evidence": evidence,
        "at": at,
        "good_until": good_until,
        "ended_for": ended_for,
    }
    tx.execute(ANSWERED, values)


def end(
    tx: Tx,
    account_id: AccountId,
    why: str,
    *,
    at: datetime,
    up_to: ProofLevel = ProofLevel.DOCUMENT,
    but: UUID | None = None,
) -> int:
    """End this account's proofs up to a level; how many those were."""
    values = {"account": account_id, "why": why, "at": at, "level": int(up_to), "but": but or UUID(int=0)}
    return tx.execute(END, values).rowcount


def end_past(tx: Tx, at: datetime, today: date) -> int:
    return tx.execute(END_PAST, (at, today)).rowcount


def asked_since(tx: Tx, account_id: AccountId, since: datetime) -> int:
    row = tx.execute(ASKED_SINCE, (account_id, since)).fetchone()
    assert row is not None
    return int(row[0])


def is_waiting(tx: Tx, account_id: AccountId) -> bool:
    return tx.execute(WAITING, (account_id,)).fetchone() is not None


def documents_to_renew(tx: Tx, newest: int, limit: int) -> list[tuple[bytes, UUID]]:
    """Documents whose digest is by an older version, each with a check that says what it is a digest of."""
    found = tx.execute(NEXT_OF_DOCUMENTS, (newest, limit)).fetchall()
    return list({bytes(digest): proofing_id for digest, proofing_id in found}.items())


def renew_document(tx: Tx, old: bytes, new: Digest) -> None:
    tx.execute(RENEW_DOCUMENT, (new.octets, new.version, old))
    tx.execute(RENEW_PROOFINGS, (new.octets, new.version, old))


def free_documents(tx: Tx, person_id: PersonId) -> None:
    """Documents of a person that prove none of its accounts any more are nobody's."""
    gone = [bytes(row[0]) for row in tx.execute(LEFT_WITHOUT, (person_id,))]
    if gone:
        tx.execute(FREE_DOCUMENTS, (gone,))
