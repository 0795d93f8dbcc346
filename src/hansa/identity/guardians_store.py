"""The SQL of guardians and wards."""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from uuid import UUID

from psycopg.rows import TupleRow

from hansa.identity.guardians_model import Guardianship, GuardianshipId, Right
from hansa.identity.model import AccountId
from hansa.store import Tx

ADD = """
insert into identity.guardianships (guardianship_id, ward_id, invitation, state, rights, asked_at, expires_at)
values (%s, %s, %s, 'asked', %s, %s, %s)
"""

OF = """
select guardianship_id, ward_id, guardian_id, state, rights, asked_at, expires_at, accepted_at, ended_at, ended_for
from identity.guardianships where ward_id = %(account)s or guardian_id = %(account)s
order by state = 'ended', asked_at desc, guardianship_id
limit 100
"""

LOCK = """
select guardianship_id, ward_id, guardian_id, state, rights, asked_at, expires_at, accepted_at, ended_at, ended_for
from identity.guardianships where guardianship_id = %s for no key update
"""

FIND_INVITED = """
select guardianship_id, ward_id, guardian_id, state, rights, asked_at, expires_at, accepted_at, ended_at, ended_for
from identity.guardianships where invitation = %s and state = 'asked' and expires_at > %s
for no key update
"""

ACCEPT = """
update identity.guardianships set state = 'accepted', guardian_id = %s, accepted_at = %s, looked_on = %s
where guardianship_id = %s
"""

END = """
update identity.guardianships set state = 'ended', ended_at = %s, ended_for = %s
where guardianship_id = any(%s) and state <> 'ended'
"""

SET_RIGHTS = "update identity.guardianships set rights = %s where guardianship_id = %s"

LAPSE = """
update identity.guardianships set state = 'ended', ended_at = %(at)s, ended_for = 'lapsed'
where ward_id = %(ward)s and state = 'asked' and expires_at <= %(at)s
"""

GUARDIANS = """
select guardian_id from identity.guardianships where ward_id = %s and state = 'accepted'
order by accepted_at, guardian_id
"""

WARDS = """
select ward_id from identity.guardianships where guardian_id = %s and state = 'accepted' order by accepted_at, ward_id
"""

MAY = """
select 1 from identity.guardianships
where guardian_id = %s and ward_id = %s and state = 'accepted' and %s = any(rights)
"""

GUARDIANS_AMONG = """
select ward_id, guardian_id from identity.guardianships
where ward_id = any(%s) and state = 'accepted' and %s = any(rights) order by ward_id, guardian_id
"""

AGREE_FOR = """
select guardian_id from identity.guardianships where ward_id = %s and state = 'accepted' and 'consent' = any(rights)
"""

TO_LOOK_AT = """
select guardianship_id, ward_id, guardian_id, state, rights, asked_at, expires_at, accepted_at, ended_at, ended_for
from identity.guardianships
where state = 'accepted' and looked_on < %s
order by looked_on, guardianship_id
limit %s
for no key update skip locked
"""

LOOKED = "update identity.guardianships set looked_on = %s where guardianship_id = any(%s)"


def add(
    tx: Tx,
    guardianship_id: UUID,
    ward_id: AccountId,
    invitation: bytes,
    rights: Sequence[Right],
    *,
    at: datetime,
    expires_at: datetime,
) -> None:
    tx.execute(ADD, (guardianship_id, ward_id, invitation, list(rights), at, expires_at))


def of_account(tx: Tx, account_id: AccountId) -> list[Guardianship]:
    return [_row(row) for row in tx.execute(OF, {"account": account_id})]


def lock(tx: Tx, guardianship_id: UUID) -> Guardianship | None:
    row = tx.execute(LOCK, (guardianship_id,)).fetchone()
    return None if row is None else _row(row)


def find_invited(tx: Tx, invitation: bytes, at: datetime) -> Guardianship | None:
    row = tx.execute(FIND_INVITED, (invitation, at)).fetchone()
    return None if row is None else _row(row)


def accept(tx: Tx, guardianship_id: UUID, guardian_id: AccountId, at: datetime) -> None:
    tx.execute(ACCEPT, (guardian_id, at, at.date(), guardianship_id))


def end(tx: Tx, guardianship_ids: Sequence[UUID], why: str, at: datetime) -> None:
    tx.execute(END, (at, why, list(guardianship_ids)))


def set_rights(tx: Tx, guardianship_id: UUID, rights: Sequence[Right]) -> None:
    tx.execute(SET_RIGHTS, (list(rights), guardianship_id))


def lapse(tx: Tx, ward_id: AccountId, at: datetime) -> None:
    """Invitations of this ward whose time is over wait no more."""
    tx.execute(LAPSE, {"ward": ward_id, "at": at})


def guardians(tx: Tx, ward_id: AccountId) -> list[AccountId]:
    return [AccountId(row[0]) for row in tx.execute(GUARDIANS, (ward_id,))]


def wards(tx: Tx, guardian_id: AccountId) -> list[AccountId]:
    return [AccountId(row[0]) for row in tx.execute(WARDS, (guardian_id,))]


def may(tx: Tx, guardian_id: AccountId, ward_id: AccountId, right: Right) -> bool:
    return tx.execute(MAY, (guardian_id, ward_id, right)).fetchone() is not None


def guardians_among(tx: Tx, ward_ids: Collection[AccountId], right: Right) -> list[tuple[UUID, UUID]]:
    return tx.execute(GUARDIANS_AMONG, (list(ward_ids), right)).fetchall()


def agree_for(tx: Tx, ward_id: AccountId) -> set[AccountId]:
    """Who agrees for this account; nobody where it agrees for itself."""
    return {AccountId(row[0]) for row in tx.execute(AGREE_FOR, (ward_id,))}


def to_look_at(tx: Tx, today: date, limit: int) -> list[Guardianship]:
    return [_row(row) for row in tx.execute(TO_LOOK_AT, (today, limit))]


def looked(tx: Tx, guardianship_ids: Sequence[UUID], today: date) -> None:
    tx.execute(LOOKED, (today, list(guardianship_ids)))


def _row(row: TupleRow) -> Guardianship:
    return Guardianship(
        GuardianshipId(row[0]),
        AccountId(row[1]),
        None if row[2] is None else AccountId(row[2]),
        row[3],
        tuple(row[4]),
        *row[5:],
    )
