"""What can be done about guardians: invite one, accept, end it; and at majority it ends by itself.

A ward invites with a code, told in person: nobody is asked to guard whom they do not know, and nobody learns by it who
has an account. A guardian accepts under a name that was proved.
"""

import hashlib
from collections.abc import Collection
from datetime import date, datetime
from uuid import UUID

from hansa.identity import guardians_store as store
from hansa.identity.actions import get_account
from hansa.identity.guardians_model import (
    ALWAYS,
    GUARDIAN_LEVEL,
    GUARDIANS_MAX,
    INVITATION_LASTS,
    INVITATIONS_MAX,
    CannotBeGuardian,
    Guardianship,
    GuardianshipId,
    Invitation,
    InvitationRefused,
    LastGuardian,
    NotAMinor,
    Right,
    TooManyGuardians,
    UnknownGuardianship,
    new_invitation,
    plain_code,
)
from hansa.identity.model import AccountId
from hansa.identity.persons import find_birth, person_of, proof_level
from hansa.identity.persons_model import is_minor, needs_guardian
from hansa.identity.phone_store import lock_account
from hansa.identity.sealing import Sealer
from hansa.kernel import new_id
from hansa.store import Tx


def invite_guardian(
    tx: Tx, sealer: Sealer, ward_id: AccountId, *, country: str, sees_journeys: bool, at: datetime
) -> Invitation:
    """A code to give to whoever shall be the guardian, good for three days.

    country: of the ward's home city. sees_journeys: whether the guardian may see where the ward rides.
    Errors: UnknownAccount; NotAMinor; TooManyGuardians.
    """
    get_account(tx, ward_id)
    lock_account(tx, ward_id)
    birth = find_birth(tx, sealer, ward_id)
    if birth is None or not is_minor(birth.born, country, at.date()):
        raise NotAMinor
    store.lapse(tx, ward_id, at)
    mine = [one for one in store.of_account(tx, ward_id) if one.ward_id == ward_id]
    asked = sum(one.state == "asked" for one in mine)
    accepted = sum(one.state == "accepted" for one in mine)
    if asked >= INVITATIONS_MAX or accepted >= GUARDIANS_MAX:
        raise TooManyGuardians
    code = new_invitation()
    rights: list[Right] = [*ALWAYS, *(("see_journeys",) if sees_journeys else ())]
    if needs_guardian(birth.born, country, at.date()):
        rights.append("consent")
    guardianship_id = GuardianshipId(new_id())
    store.add(tx, guardianship_id, ward_id, _hash(code), rights, at=at, expires_at=at + INVITATION_LASTS)
    return Invitation(_get(tx, guardianship_id), code)


def find_invitation(tx: Tx, code: str, at: datetime) -> Guardianship:
    """The guardianship that a code offers, to look at before accepting it. Errors: InvitationRefused."""
    found = store.find_invited(tx, _hash(code), at)
    if found is None:
        raise InvitationRefused
    return found


def accept_guardian(
    tx: Tx, sealer: Sealer, guardian_id: AccountId, code: str, *, country: str, at: datetime
) -> Guardianship:
    """Be the guardian of whoever gave this code. country: of the guardian's home city.

    Errors: InvitationRefused; CannotBeGuardian for oneself, a minor, or a name that is not proved; TooManyGuardians.
    """
    found = find_invitation(tx, code, at)
    birth = find_birth(tx, sealer, guardian_id)
    person = person_of(tx, guardian_id)
    unfit = (
        found.ward_id == guardian_id
        or proof_level(tx, guardian_id) < GUARDIAN_LEVEL
        or (birth is not None and is_minor(birth.born, country, at.date()))
        or (person is not None and person == person_of(tx, found.ward_id))
    )
    if unfit:
        raise CannotBeGuardian
    lock_account(tx, found.ward_id)
    guardians = store.guardians(tx, found.ward_id)
    if guardian_id in guardians:
        store.end(tx, [found.guardianship_id], "withdrawn", at)
        return next(
            one
            for one in store.of_account(tx, guardian_id)
            if one.ward_id == found.ward_id and one.state == "accepted"
        )
    if len(guardians) >= GUARDIANS_MAX:
        raise TooManyGuardians
    store.accept(tx, found.guardianship_id, guardian_id, at)
    return _get(tx, found.guardianship_id)


def end_guardianship(
    tx: Tx, sealer: Sealer, account_id: AccountId, guardianship_id: UUID, *, country: str, at: datetime
) -> Guardianship:
    """Take an invitation back, or end a guardianship, as the ward or as the guardian. Again is harmless.

    country: of the ward's home city.
    Errors: UnknownGuardianship, also for others'; LastGuardian where the ward's age wants one.
    """
    found = store.lock(tx, guardianship_id)
    if found is None or account_id not in (found.ward_id, found.guardian_id):
        raise UnknownGuardianship(f"You have no guardian or ward {guardianship_id}.")
    if found.state == "ended":
        return found
    if found.state == "asked":
        store.end(tx, [guardianship_id], "withdrawn", at)
        return _get(tx, guardianship_id)
    lock_account(tx, found.ward_id)
    birth = find_birth(tx, sealer, found.ward_id)
    last = len(store.guardians(tx, found.ward_id)) == 1
    if last and needs_guardian(birth.born if birth else None, country, at.date()):
        raise LastGuardian
    store.end(tx, [guardianship_id], "by_ward" if account_id == found.ward_id else "by_guardian", at)
    return _get(tx, guardianship_id)


def let_see_journeys(tx: Tx, ward_id: AccountId, guardianship_id: UUID, *, sees: bool) -> Guardianship:
    """As the ward, let a guardian see where one rides, or no more. Errors: UnknownGuardianship."""
    found = store.lock(tx, guardianship_id)
    if found is None or found.ward_id != ward_id or found.state == "ended":
        raise UnknownGuardianship(f"You have no guardian {guardianship_id}.")
    rights: list[Right] = [one for one in found.rights if one != "see_journeys"]
    store.set_rights(tx, guardianship_id, [*rights, "see_journeys"] if sees else rights)
    return _get(tx, guardianship_id)


def list_guardianships(tx: Tx, account_id: AccountId) -> list[Guardianship]:
    """Where this account is ward or guardian: those that hold or wait, then those that ended; at most 100."""
    return store.of_account(tx, account_id)


def guardian_of(tx: Tx, account_id: AccountId) -> list[AccountId]:
    """The accounts that answer for this one now; none for most."""
    return store.guardians(tx, account_id)


def guardians_among(
    tx: Tx, account_ids: Collection[AccountId], right: Right
) -> list[tuple[AccountId, AccountId]]:
    """Of these accounts those that have guardians with a right, each with one: (ward, guardian)."""
    found = store.guardians_among(tx, account_ids, right) if account_ids else []
    return [(AccountId(ward), AccountId(guardian)) for ward, guardian in found]


def wards_of(tx: Tx, account_id: AccountId) -> list[AccountId]:
    """The accounts that this one answers for now."""
    return store.wards(tx, account_id)


def guardian_may(tx: Tx, guardian_id: AccountId, ward_id: AccountId, right: Right) -> bool:
    """Whether one account may do that for the other, now."""
    return store.may(tx, guardian_id, ward_id, right)


def lacks_guardian(tx: Tx, sealer: Sealer, account_id: AccountId, *, country: str, day: date) -> bool:
    """Whether this account may agree to nothing until a guardian accepts it. country: of its home city."""
    birth = find_birth(tx, sealer, account_id)
    return needs_guardian(birth.born if birth else None, country, day) and not guardian_of(tx, account_id)


def wards_to_look_at(tx: Tx, today: date, *, limit: int = 200) -> list[Guardianship]:
    """Guardianships that nobody has looked at today, for ``end_at_majority``; others do not get the same ones."""
    return store.to_look_at(tx, today, limit)


def end_at_majority(
    tx: Tx, sealer: Sealer, found: Collection[Guardianship], countries: dict[AccountId, str], *, at: datetime
) -> list[Guardianship]:
    """End those whose ward has come of age by this instant's day; the ended ones.

    A ward who reached the age of digital consent agrees for themselves from that day on.

    countries: of each ward's home city. A day of birth that cannot be read any more ends nothing.
    """
    grown: list[Guardianship] = []
    for one in found:
        birth = find_birth(tx, sealer, one.ward_id)
        if birth is not None and not is_minor(birth.born, countries[one.ward_id], at.date()):
            grown.append(one)
        elif birth is not None and not needs_guardian(birth.born, countries[one.ward_id], at.date()):
            store.set_rights(tx, one.guardianship_id, [right for right in one.rights if right != "consent"])
    store.end(tx, [one.guardianship_id for one in grown], "majority", at)
    store.looked(tx, [one.guardianship_id for one in found], at.date())
    return [_get(tx, one.guardianship_id) for one in grown]


def _get(tx: Tx, guardianship_id: UUID) -> Guardianship:
    found = store.lock(tx, guardianship_id)
    assert found is not None
    return found


def _hash(code: str) -> bytes:
    return hashlib.sha256(plain_code(code).encode()).digest()
