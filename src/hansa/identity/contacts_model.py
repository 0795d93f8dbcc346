"""Contacts: e-mail addresses and telephone numbers that reach a person. Types, how they are read, what is refused."""

import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Literal, NewType
from uuid import UUID

import phonenumbers

from hansa.identity.model import AccountId
from hansa.kernel import HansaError, InvalidInput, Problem
from hansa.store.throttle import Rate

ContactId = NewType("ContactId", UUID)
ContactKind = Literal["email", "phone"]
ContactState = Literal["asked", "verified", "ended"]

CODE_DIGITS = 6
CODE_TRIES = 5
CODE_LASTS = timedelta(minutes=10)
CONTACTS_MAX = 5
"""Contacts of an account that are verified or wait for their code."""

SENDS_OF_ACCOUNT = Rate(5, timedelta(hours=1))
SENDS_TO_ONE = Rate(3, timedelta(minutes=30))
"""How many codes an account may have sent, and how many may go to one address or number, whoever asks for them."""

_LOCAL = re.compile(r"[^\s@<>()\[\],;:\\\"]{1,64}")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Contact:
    """A way to reach the holder of an account. value: as read; None once it cannot be opened any more.

    ended_for: ``recycled`` when somebody else has shown since that it reaches them.
    """

    contact_id: ContactId
    account_id: AccountId
    kind: ContactKind
    value: str | None
    state: ContactState
    asked_at: datetime
    verified_at: datetime | None
    ended_at: datetime | None
    ended_for: str | None


@dataclass(frozen=True, slots=True)
class CodeToSend:
    """A code that must reach the address or number now. It is nowhere else in clear."""

    contact: Contact
    code: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Verified:
    """What a right code did. lost: the accounts whose contact it was until now; tell them by what else reaches them."""

    contact: Contact
    lost: tuple[AccountId, ...] = ()


def read_contact(kind: ContactKind, text: str, *, country: str) -> str:
    """An address or number in its one form: a number in E.164, an address with its domain in small letters.

    country: ISO 3166-1 alpha-2, for a number without its country code. Errors: InvalidInput.
    """
    return _number(text, country) if kind == "phone" else _address(text)


def masked_contact(kind: ContactKind, value: str) -> str:
    """As it is shown where others may look: ``a•••@example.com``, ``+86 ••• 4567``."""
    if kind == "email":
        local, _, domain = value.partition("@")
        return f"{local[:1]}•••@{domain}"
    code = phonenumbers.parse(value).country_code
    return f"+{code} ••• {value[-4:]}"


def written_number(value: str) -> str:
    """A number of E.164 as people write it: ``+44 20 7946 0958``."""
    return phonenumbers.format_number(phonenumbers.parse(value), phonenumbers.PhoneNumberFormat.INTERNATIONAL)


def _number(text: str, country: str) -> str:
    plain = unicodedata.normalize("NFKC", text).strip()
    if len(plain) > 40:
        raise _unfit("value", "it is too long for a number", "Give a number such as +86 138 0013 8000")
    try:
        number = phonenumbers.parse(plain, country or None)
    except phonenumbers.NumberParseException as error:
        remedy = "Write it with its country code, such as +86 138 0013 8000"
        raise _unfit("value", "it is no telephone number", remedy) from error
    if not phonenumbers.is_valid_number(number):
        raise _unfit("value", "no such number is given out", "Look at the digits and the country code again")
    if phonenumbers.number_type(number) == phonenumbers.PhoneNumberType.PREMIUM_RATE or number.extension:
        raise _unfit("value", "it cannot take a message", "Give the number of a mobile telephone")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _address(text: str) -> str:
    address = unicodedata.normalize("NFC", text).strip()
    local, at, domain = address.rpartition("@")
    domain = domain.rstrip(".").lower()
    try:
        ascii_domain = domain.encode("idna").decode()
    except UnicodeError:
        ascii_domain = ""
    labels = ascii_domain.split(".")
    good = (
        at
        and len(address) <= 254
        and _LOCAL.fullmatch(local)
        and not local.startswith(".")
        and not local.endswith(".")
        and ".." not in local
        and local.isprintable()
        and len(labels) >= 2
        and all(_LABEL.fullmatch(label) for label in labels)
        and not labels[-1].isdigit()
    )
    if not good:
        raise _unfit("value", "it is no e-mail address", "Write it as name@example.com")
    return f"{local}@{ascii_domain}"


def found_as(kind: ContactKind, value: str) -> str:
    """The text by which a contact is found: small letters, so that Anna@ and anna@ are one."""
    return value.casefold() if kind == "email" else value


def _unfit(where: str, what: str, remedy: str) -> InvalidInput:
    return InvalidInput("This does not reach anybody.", problems=(Problem(where, what, remedy),))


class UnknownContact(HansaError):
    """You have no such contact."""

    code: ClassVar[str] = "identity.unknown_contact"
    status: ClassVar[int] = 404
    remedy: ClassVar[str] = "Check the id, among the contacts of the person who is signed in."
    user_message: ClassVar[str] = "This contact was not found. It may have been removed."


class TooManyContacts(HansaError):
    """This account has as many contacts as it may have. Remove one first."""

    code: ClassVar[str] = "identity.too_many_contacts"
    status: ClassVar[int] = 409
    user_message: ClassVar[str] = "You have as many contacts as you may have. Remove one first."


class ContactCodeRefused(HansaError):
    """The code is not the one that was sent, or it is too old, or it was tried too often."""

    code: ClassVar[str] = "identity.contact_code_refused"
    status: ClassVar[int] = 422
    remedy: ClassVar[str] = "Type the code that arrived last, or have another one sent."
    next_action: ClassVar[str] = "retry"
    user_message: ClassVar[str] = (
        "This is not the code that was sent, or it is too old. After five tries, have another one sent."
    )
