"""What can be done with contacts: name one, have a code sent, type it, remove it.

Whoever shows that a number or an address reaches them has it. When it reached somebody else before, whose telephone
company has given their number out again, that account loses the contact and nothing more: a contact alone signs nobody
in, and what is sent to it from then on is sent to its new holder only as that.
"""

import hmac
import secrets
from datetime import datetime
from uuid import UUID

from hansa.identity import contacts_store as store
from hansa.identity.actions import get_account
from hansa.identity.contacts_model import (
    CODE_DIGITS,
    CODE_LASTS,
    CODE_TRIES,
    CONTACTS_MAX,
    SENDS_OF_ACCOUNT,
    SENDS_TO_ONE,
    CodeToSend,
    Contact,
    ContactCodeRefused,
    ContactId,
    ContactKind,
    TooManyContacts,
    UnknownContact,
    Verified,
    found_as,
    read_contact,
)
from hansa.identity.model import AccountId
from hansa.identity.persons import data_key, find_data_key
from hansa.identity.phone_store import lock_account
from hansa.identity.sealing import Digest, Sealer, open_box, seal
from hansa.kernel import new_id
from hansa.store import Context, Tx
from hansa.store.throttle import refuse_too_often


def ask_contact(
    ctx: Context, sealer: Sealer, account_id: AccountId, kind: ContactKind, text: str, *, country: str
) -> CodeToSend:
    """Name an address or a number; a code to send there. Asking again sends another code, and the one before ends.

    country: of the account's home city, for a number without its country code.
    Errors: InvalidInput; UnknownAccount, AccountClosed; TooManyContacts; store.TooOften. A contact that is verified
    may be verified anew, and stays verified meanwhile.
    """
    value = read_contact(kind, text, country=country)
    with ctx.tx() as tx:
        get_account(tx, account_id)
    digest = sealer.digest(kind, found_as(kind, value))
    refuse_too_often(ctx, f"contact-code/account/{account_id}", SENDS_OF_ACCOUNT)
    refuse_too_often(ctx, f"contact-code/to/{digest.octets.hex()}", SENDS_TO_ONE)
    at = ctx.clock.now()
    code = f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}}"
    with ctx.tx() as tx:
        lock_account(tx, account_id)
        key = data_key(tx, sealer, account_id, at)
        rows = [row for row in store.of_account(tx, account_id) if row.state != "ended"]
        same = {one.octets for one in sealer.digests(kind, found_as(kind, value))}
        row = next((one for one in rows if one.digest in same), None)
        contact_id = ContactId(row.contact_id if row else new_id())
        if row is None:
            if len(rows) >= CONTACTS_MAX:
                raise TooManyContacts
            box = seal(key, value.encode(), owner=account_id, field=_field(contact_id))
            store.add(tx, contact_id, account_id, kind, box, digest, at)
        expires_at = at + CODE_LASTS
        store.put_code(
            tx, contact_id, _coded(sealer, contact_id, code), tries=CODE_TRIES, at=at, expires_at=expires_at
        )
        contact = _own(tx, sealer, account_id, contact_id)
    return CodeToSend(contact, code, expires_at)


def verify_contact(
    ctx: Context, sealer: Sealer, account_id: AccountId, contact_id: UUID, code: str
) -> Verified:
    """Type the code that arrived. Whoever had this contact verified until now has it no more.

    Errors: UnknownContact, also for another account's; ContactCodeRefused. A wrong code costs one of five tries.
    """
    at = ctx.clock.now()
    typed = "".join(letter for letter in code if letter.isdigit())
    with ctx.tx() as tx:  # a try is spent whatever comes after
        row = store.lock(tx, contact_id)
        if row is None or row.account_id != account_id or row.state == "ended":
            raise UnknownContact(f"You have no contact {contact_id}.")
        right = store.try_code(tx, contact_id, at)
    matches = [
        hmac.compare_digest(right or b"", one.octets)
        for one in sealer.digests("contact code", f"{contact_id}/{typed}")
    ]
    if right is None or not any(matches):
        raise ContactCodeRefused
    with ctx.tx() as tx:
        lock_account(tx, account_id)
        row = store.lock(tx, contact_id)
        if row is None or row.state == "ended":
            raise UnknownContact(f"You have no contact {contact_id}.")
        contact = _own(tx, sealer, account_id, contact_id)
        same = [row.digest]
        if contact.value is not None:
            same += [one.octets for one in sealer.digests(row.kind, found_as(row.kind, contact.value))]
        lost = store.verify(tx, row, same, at)
        return Verified(_own(tx, sealer, account_id, contact_id), tuple(lost))


def end_contact(tx: Tx, sealer: Sealer, account_id: AccountId, contact_id: UUID, *, at: datetime) -> Contact:
    """Take a contact away; again is harmless. Errors: UnknownContact, also for another account's."""
    lock_account(tx, account_id)
    row = store.lock(tx, contact_id)
    if row is None or row.account_id != account_id:
        raise UnknownContact(f"You have no contact {contact_id}.")
    store.end(tx, [contact_id], "removed", at)
    return _own(tx, sealer, account_id, contact_id)


def list_contacts(tx: Tx, sealer: Sealer, account_id: AccountId) -> list[Contact]:
    """The contacts of this account, oldest first, those that ended last; at most 100."""
    rows = store.of_account(tx, account_id)
    key = find_data_key(tx, sealer, account_id) if rows else None
    return [_opened(row, key) for row in rows]


def contact_of(tx: Tx, sealer: Sealer, account_id: AccountId) -> dict[ContactKind, Contact]:
    """The verified contact to use of each kind, the latest verified; kinds without one are left out."""
    verified = [one for one in list_contacts(tx, sealer, account_id) if one.state == "verified"]
    verified.sort(key=lambda one: (one.verified_at is not None, one.verified_at))
    return {one.kind: one for one in verified if one.value is not None}


def renew_contact_digests(ctx: Context, sealer: Sealer, *, limit: int = 200) -> int:
    """Find contacts by the newest key: their digests are made anew. How many; zero when all are."""
    with ctx.tx() as tx:
        renewed = 0
        for row in store.to_renew(tx, sealer.newest_lookup, limit):
            contact = _opened(row, find_data_key(tx, sealer, row.account_id))
            if contact.value is not None:
                store.renew(tx, row, sealer.digest(row.kind, found_as(row.kind, contact.value)))
                renewed += 1
    return renewed


def _own(tx: Tx, sealer: Sealer, account_id: AccountId, contact_id: UUID) -> Contact:
    row = store.lock(tx, contact_id)
    assert row is not None and row.account_id == account_id
    return _opened(row, find_data_key(tx, sealer, account_id))


def _opened(row: store.Row, key: bytes | None) -> Contact:
    value = open_box(key, row.box, owner=row.account_id, field=_field(row.contact_id)) if key else None
    return Contact(
        ContactId(row.contact_id),
        row.account_id,
        row.kind,
        value.decode() if value is not None else None,
        row.state,
        row.asked_at,
        row.verified_at,
        row.ended_at,
        row.ended_for,
    )


def _coded(sealer: Sealer, contact_id: UUID, code: str) -> Digest:
    return sealer.digest("contact code", f"{contact_id}/{code}")


def _field(contact_id: UUID) -> str:
    return f"contact/{contact_id}"
