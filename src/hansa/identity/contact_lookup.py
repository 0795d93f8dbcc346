"""Whose proved e-mail address or phone number this is."""

from hansa.identity.contacts_model import ContactKind, found_as, read_contact
from hansa.identity.model import AccountId
from hansa.identity.sealing import Sealer
from hansa.kernel import HansaError
from hansa.store import Tx

FIND = """
select c.account_id from identity.contact_directory d join identity.contacts c using (contact_id)
where d.digest = any(%s) and c.state = 'verified'
"""


def account_of_contact(tx: Tx, sealer: Sealer, text: str, *, country: str) -> AccountId | None:
    """The account that proved this address or number, or None; also None for what is neither.

    country: ISO 3166-1 alpha-2, for a number without its country code. Who offers this to people counts their tries.
    """
    kind: ContactKind = "email" if "@" in text else "phone"
    try:
        value = read_contact(kind, text, country=country)
    except HansaError:
        return None
    digests = [one.octets for one in sealer.digests(kind, found_as(kind, value))]
    row = tx.execute(FIND, (digests,)).fetchone()
    return AccountId(row[0]) if row else None
