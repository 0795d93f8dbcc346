"""Proof of a real name: the question to a provider of proofs, its answers, and what may be refused."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from types import MappingProxyType
from typing import Annotated, ClassVar, Literal, NewType, Protocol
from uuid import UUID

import msgspec

from hansa.identity.documents import read_passport, read_resident_number
from hansa.identity.model import AccountId
from hansa.identity.persons_model import ProofLevel
from hansa.kernel import HansaError, InvalidInput, Problem

ProofingId = NewType("ProofingId", UUID)
"""One check of a name and a document. Whoever asks makes it, so asking twice is asking once."""

DocumentKind = Literal["resident", "passport", "other"]
ProofingState = Literal["asked", "matched", "not_matched", "refused", "lapsed", "ended"]

SAID_MAX = 16_384
"""Bytes that are kept of what a provider said."""

AGAIN_AFTER = (
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=15),
    timedelta(hours=1),
    timedelta(hours=4),
    timedelta(hours=12),
)
"""When a provider that did not answer is asked again; the last counts for all that follow."""

_COUNTRY = re.compile(r"[A-Z]{2}")
_NUMBER = re.compile(r"[A-Z0-9][A-Z0-9/.-]{2,39}")


class Presented(msgspec.Struct, frozen=True):
    """A document as somebody presented it, read and checked as far as one can without its issuer.

    country: ISO 3166-1 alpha-2, or a passport's three letters. number: upper case, no spaces. words: what kind of
    document, where it is neither a resident identity card nor a passport. expires: until when it is valid, where said.
    """

    kind: DocumentKind
    country: str
    number: str
    words: str = ""
    born: date | None = None
    expires: date | None = None

    @property
    def key(self) -> str:
        """The one text by which this document is found, however it was written."""
        kind = self.kind if self.kind != "other" else f"other:{self.words.casefold()}"
        return f"{self.country}/{kind}/{self.number}"

    @property
    def wanted(self) -> ProofLevel:
        """What may be proved with it: the document itself only where its validity is told too."""
        return ProofLevel.NAME if self.expires is None else ProofLevel.DOCUMENT


class Question(msgspec.Struct, frozen=True):
    """What a provider is asked: do this name and this document belong together?

    reference: the same for the same question, however often it is asked; a provider answers it once.
    """

    reference: UUID
    name: str
    document: Presented
    wanted: int


@dataclass(frozen=True, slots=True)
class Match:
    """They do. level: NAME, or DOCUMENT where the document itself was found valid. said: the answer, to be kept."""

    level: ProofLevel
    said: bytes


@dataclass(frozen=True, slots=True)
class NoMatch:
    """They do not. said: the answer, to be kept."""

    said: bytes


@dataclass(frozen=True, slots=True)
class Unavailable:
    """Nothing is known: no answer, or one that makes no sense. Ask again. why: for our log."""

    why: str


Answer = Match | NoMatch | Unavailable


class ProofProvider(Protocol):
    """Whoever can say whether a name and a document belong together: a register of residents, a bank, an agency."""

    @property
    def name(self) -> str:
        """By which name its proofs are kept: small letters, digits and hyphens."""
        ...

    def check(self, question: Question) -> Answer:
        """The answer. Asking again with the same reference is harmless. Errors: none; a fault is Unavailable."""
        ...


@dataclass(frozen=True, slots=True)
class Proofing:
    """One check as its person sees it. name, number: as presented, None once their key is destroyed.

    level: what it proved; NONE unless it matched. next_ask_at: when the provider is asked again, while it has not
    answered. ended_for: replaced, expired, superseded, released, deleted; of a refusal, why.
    """

    proofing_id: ProofingId
    account_id: AccountId
    provider: str
    kind: DocumentKind
    state: ProofingState
    level: ProofLevel
    asked_at: datetime
    answered_at: datetime | None
    next_ask_at: datetime | None
    good_until: date | None
    ended_for: str | None
    name: str | None
    number: str | None


class DocumentForm(msgspec.Struct, frozen=True):
    """A document as a form or a program gives it.

    number: of a resident identity card or another document. zone: the two lines of a passport's machine-readable zone.
    words, country: of another document. born, expires: ISO 8601 days, where the document shows them.
    """

    kind: DocumentKind
    number: Annotated[str, msgspec.Meta(max_length=60)] = ""
    zone: Annotated[str, msgspec.Meta(max_length=200)] = ""
    country: Annotated[str, msgspec.Meta(max_length=3)] = ""
    words: Annotated[str, msgspec.Meta(max_length=60)] = ""
    born: Annotated[str, msgspec.Meta(max_length=10)] = ""
    expires: Annotated[str, msgspec.Meta(max_length=10)] = ""


def read_document(form: DocumentForm, *, today: date) -> Presented:
    """The document, checked as far as one can alone. Errors: InvalidInput naming the field and what to do."""
    if form.kind == "resident":
        resident = read_resident_number(form.number, today=today)
        expires = _day(form.expires, "expires")
        presented = Presented("resident", "CN", resident.number, born=resident.born, expires=expires)
    elif form.kind == "passport":
        passport = read_passport(form.zone, today=today)
        presented = Presented(
            "passport", passport.issuer, passport.number, born=passport.born, expires=passport.expires
        )
    else:
        presented = _other(form)
    if presented.expires is not None and presented.expires < today:
        raise _unfit("expires", f"the document ended on {presented.expires}", "Present one that is valid")
    if presented.born is not None and not today.year - 150 <= presented.born.year <= today.year:
        raise _unfit("born", f"it is {presented.born}", "Give the day of birth as in the document")
    return presented


def _other(form: DocumentForm) -> Presented:
    number = re.sub(r"\s", "", unicodedata.normalize("NFKC", form.number)).upper()
    country = form.country.strip().upper()
    words = " ".join(unicodedata.normalize("NFC", form.words).split())
    if not _COUNTRY.fullmatch(country):
        raise _unfit("country", "it is no country", "Give two letters of ISO 3166-1, such as GB")
    if not _NUMBER.fullmatch(number):
        raise _unfit("number", "it is no document's number", "Give 3 to 40 letters and digits, as printed")
    if not 2 <= len(words) <= 60 or not words.isprintable():
        raise _unfit("words", "it names no document", "Say which document it is, such as driving licence")
    born, expires = _day(form.born, "born"), _day(form.expires, "expires")
    return Presented("other", country, number, words, born, expires)


def _day(text: str, where: str) -> date | None:
    if not text.strip():
        return None
    try:
        return date.fromisoformat(text.strip())
    except ValueError as error:
        raise _unfit(where, "it is no day", "Write it as 2031-11-17") from error


def again_after(tries: int) -> timedelta:
    """How long to wait before the next asking, after so many. tries: 1 or more."""
    return AGAIN_AFTER[min(tries, len(AGAIN_AFTER)) - 1]


def _unfit(where: str, what: str, remedy: str) -> InvalidInput:
    return InvalidInput("The document cannot be taken.", problems=(Problem(where, what, remedy),))


REFUSED_FOR: Mapping[str, str] = MappingProxyType(
    {
        "document_taken": "This document proves another account at your issuer already. If that account is yours,"
        " sign in to it, or delete it there and prove this one again. If it is not, prove this account with the"
        " document and its day of expiry, or ask your issuer.",
    }
)
"""Why a match was not taken, by ``ended_for``, with what to do."""


class ProofingDiffers(HansaError):
    """A check of this id was asked for already, with another name or document."""

    code: ClassVar[str] = "identity.proofing_differs"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "Make a new id for another name or document."
    user_message: ClassVar[str] = (
        "This check was sent before with another name or document. Please begin again."
    )


class ProofingWaits(HansaError):
    """A check of this account waits for the provider's answer. It is asked again by itself, without you."""

    code: ClassVar[str] = "identity.proofing_waits"
    status: ClassVar[int] = 409
    next_action: ClassVar[str] = "retry"
    user_message: ClassVar[str] = "A check of yours waits for its answer. It is asked again by itself."


class TooManyChecks(HansaError):
    """This account had as many names and documents checked today as it may. Try again tomorrow, or ask your issuer."""

    code: ClassVar[str] = "identity.too_many_checks"
    status: ClassVar[int] = 429
    next_action: ClassVar[str] = "retry"
    user_message: ClassVar[str] = (
        "You had as many checks today as you may. Try again tomorrow, or ask your issuer."
    )


class UnknownProofing(HansaError):
    """You asked for no such check."""

    code: ClassVar[str] = "identity.unknown_proofing"
    status: ClassVar[int] = 404
    remedy: ClassVar[str] = "Check the id, among the checks of the person who is signed in."
    user_message: ClassVar[str] = "This check was not found."
