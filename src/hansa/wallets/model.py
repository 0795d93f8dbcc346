"""The words of people's money: transfers, links, requests, splits; names as a payer may see them. Pure."""

import hashlib
import secrets
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from hansa import ledger
from hansa.identity import AccountId
from hansa.kernel import HansaError, InvalidInput, Money, Problem, fact_id, fault_of_text

NOTE_MAX = 140
"""Characters of a note."""

AMOUNT_MAX = 1_000_000_000_000
"""Minor units of one transfer at most: a slip of the keyboard ends here."""

APPROVAL_LASTS = timedelta(minutes=15)
"""So long a transfer waits for its approval."""

LINK_LASTS = timedelta(days=7)
"""So long a link may be claimed; then the money comes back by itself."""

REQUEST_LASTS = timedelta(days=30)
"""So long a request may be paid."""

REMINDERS_MAX = 3
REMIND_AFTER = timedelta(hours=24)
"""A payer is reminded at most three times, a day apart."""

OPEN_REQUESTS_MAX = 5
"""Requests that one person may have open with another."""

SPLIT_AMONG_MAX = 50
"""People among whom a bill is split, with its owner."""

SHARES_MAX = 1_000_000
"""What one may bear of a split by shares; by amounts it is an amount."""


class State(StrEnum):
    """How far a transfer is. docs/wallets.md has the table of ways, and a test holds the two against each other."""

    REQUIRES_APPROVAL = "requires_approval"
    PROCESSING = "processing"
    HELD = "held"
    CLAIMED = "claimed"
    IN_TRANSIT = "in_transit"
    RETURNING = "returning"
    VOIDING = "voiding"
    SETTLED = "settled"
    RETURNED = "returned"
    FAILED = "failed"
    CANCELED = "canceled"
    EXPIRED = "expired"


WAYS: Mapping[State, frozenset[State]] = {
    State.REQUIRES_APPROVAL: frozenset((State.PROCESSING, State.FAILED, State.CANCELED, State.EXPIRED)),
    State.PROCESSING: frozenset((State.SETTLED, State.IN_TRANSIT, State.HELD, State.FAILED)),
    State.HELD: frozenset((State.CLAIMED, State.VOIDING)),
    State.CLAIMED: frozenset((State.IN_TRANSIT,)),
    State.IN_TRANSIT: frozenset((State.SETTLED, State.RETURNING)),
    State.RETURNING: frozenset((State.RETURNED,)),
    State.VOIDING: frozenset((State.CANCELED, State.EXPIRED)),
    State.SETTLED: frozenset(),
    State.RETURNED: frozenset(),
    State.FAILED: frozenset(),
    State.CANCELED: frozenset(),
    State.EXPIRED: frozenset(),
}
"""Every way from a state to the next; no other is taken, whoever asks."""

ENDS = frozenset(state for state, ways in WAYS.items() if not ways)
"""States in which nothing happens any more."""

BY_ITSELF = frozenset((State.PROCESSING, State.CLAIMED, State.IN_TRANSIT, State.RETURNING, State.VOIDING))
"""States that go on without anyone asking: what a crash left in one is ended by ``finish``."""


class RequestState(StrEnum):
    """What became of a request."""

    OPEN = "open"
    PAYING = "paying"
    PAID = "paid"
    DECLINED = "declined"
    CANCELED = "canceled"
    EXPIRED = "expired"


class SplitState(StrEnum):
    """What became of a split: closed by itself once nobody's part is open."""

    OPEN = "open"
    CLOSED = "closed"
    CANCELED = "canceled"


class SplitWay(StrEnum):
    """How a bill is split: all alike, by shares (2 of 3), or by amounts that come to the whole."""

    EQUAL = "equal"
    SHARES = "shares"
    AMOUNTS = "amounts"


class NameMatch(StrEnum):
    """How the name a payer expects fits the receiver's own (confirmation of payee)."""

    MATCH = "match"
    CLOSE = "close"
    NO_MATCH = "no_match"


class UnknownReceiver(HansaError):
    """Nobody can be paid under this. Check it with the person, or send them a link instead."""

    code: ClassVar[str] = "wallets.unknown_receiver"
    status: ClassVar[int] = 404


class CannotReceive(HansaError):
    """This person's account takes no money just now. Nothing was sent."""

    code: ClassVar[str] = "wallets.cannot_receive"
    status: ClassVar[int] = 409


class InsufficientFunds(HansaError):
    """The wallet holds too little for this. Top up, or choose a smaller amount."""

    code: ClassVar[str] = "wallets.insufficient_funds"
    status: ClassVar[int] = 402


class UnknownTransfer(HansaError):
    """You have no such transfer."""

    code: ClassVar[str] = "wallets.unknown_transfer"
    status: ClassVar[int] = 404


class TransferDiffers(HansaError):
    """This transfer is known with other content; another transfer needs an id of its own."""

    code: ClassVar[str] = "wallets.transfer_differs"
    status: ClassVar[int] = 409


class TransferMoved(HansaError):
    """The transfer has gone on meanwhile, and this can no longer be done with it. Look at what it is now."""

    code: ClassVar[str] = "wallets.transfer_moved"
    status: ClassVar[int] = 409


class UnknownLink(HansaError):
    """This link leads to no money: it was claimed, taken back, has run out, or was never made."""

    code: ClassVar[str] = "wallets.unknown_link"
    status: ClassVar[int] = 404


class UnknownRequest(HansaError):
    """You have no such request."""

    code: ClassVar[str] = "wallets.unknown_request"
    status: ClassVar[int] = 404


class RequestDiffers(HansaError):
    """This request is known with other content; another request needs an id of its own."""

    code: ClassVar[str] = "wallets.request_differs"
    status: ClassVar[int] = 409


class RequestMoved(HansaError):
    """The request is not open any more: it was paid, declined, taken back, or has run out."""

    code: ClassVar[str] = "wallets.request_moved"
    status: ClassVar[int] = 409


class CannotAsk(HansaError):
    """This person cannot be asked for money by you just now: too many requests are open, or they want none."""

    code: ClassVar[str] = "wallets.cannot_ask"
    status: ClassVar[int] = 409


class RemindedEnough(HansaError):
    """A payer is reminded at most three times, and not twice within a day. Talk to them instead."""

    code: ClassVar[str] = "wallets.reminded_enough"
    status: ClassVar[int] = 409


class UnknownSplit(HansaError):
    """You have no such split."""

    code: ClassVar[str] = "wallets.unknown_split"
    status: ClassVar[int] = 404


class SplitDiffers(HansaError):
    """This split is known with other content; another split needs an id of its own."""

    code: ClassVar[str] = "wallets.split_differs"
    status: ClassVar[int] = 409


@dataclass(frozen=True, slots=True)
class Receiver:
    """Who would be paid. shown: the name as a stranger may see it."""

    account_id: AccountId
    issuer_id: str
    shown: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTransfer:
    """Money that a person sends. receiver_id: None makes a link that the first who has it may claim.

    amount: above zero, in a currency of which the sender has a wallet. note: at most 140 characters, for the receiver.
    request_id: the request that it pays. quote_id: by which the sender pays from a wallet in another currency;
    ``amount`` is then what arrives. spender_id: who sends from the sender's wallet, where that is another's who lets
    them. session_at: when whoever sends last proved who they are; it is no part of what is sent.
    """

    transfer_id: UUID
    sender_id: AccountId
    receiver_id: AccountId | None
    amount: Money
    note: str = ""
    request_id: UUID | None = None
    quote_id: UUID | None = None
    spender_id: AccountId | None = None
    session_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Transfer:
    """A transfer as it is kept, in its sender's ledger partition. reason: a stable word for why it failed.

    pays_minor, pays_currency, fee_minor: of one by a quote, what its sender pays in another currency, and its fee.
    spender_id: who sent it from the sender's wallet, where it was not the sender.
    """

    partition: int
    transfer_id: UUID
    sender_id: UUID
    sender_issuer_id: str
    receiver_id: UUID | None
    receiver_issuer_id: str | None
    receiver_partition: int | None
    amount_minor: int
    currency: str
    note: str
    request_id: UUID | None
    is_link: bool
    state: State
    reason: str
    created_at: datetime
    expires_at: datetime
    changed_at: datetime
    quote_id: UUID | None = None
    pays_minor: int | None = None
    pays_currency: str | None = None
    fee_minor: int | None = None
    spender_id: UUID | None = None

    @property
    def amount(self) -> Money:
        """What arrives; what is sent is the same, unless by a quote."""
        return Money(self.amount_minor, self.currency)

    @property
    def pays(self) -> Money:
        """What leaves the sender's wallet."""
        if self.pays_minor is None or self.pays_currency is None:
            return self.amount
        return Money(self.pays_minor, self.pays_currency)

    @property
    def is_direct(self) -> bool:
        """Whether one chain in one partition carries it, with nothing in transit."""
        return not self.is_link and self.receiver_partition == self.partition

    def is_of(self, new: NewTransfer) -> bool:
        """Whether this is what was kept of that, or of a repeat of it."""
        return (
            self.sender_id == new.sender_id
            and (self.is_link or self.receiver_id == new.receiver_id)
            and self.is_link == (new.receiver_id is None)
            and self.amount == new.amount
            and self.note == new.note
            and self.request_id == new.request_id
            and self.quote_id == new.quote_id
            and self.spender_id == new.spender_id
        )


@dataclass(frozen=True, slots=True)
class Arrival:
    """What came to a person."""

    transfer_id: UUID
    receiver_id: UUID
    sender_id: UUID
    amount_minor: int
    currency: str
    note: str
    created_at: datetime
    arrived_at: datetime

    @property
    def amount(self) -> Money:
        """What arrived."""
        return Money(self.amount_minor, self.currency)


@dataclass(frozen=True, slots=True)
class Request:
    """Money that one person asks of another. transfer_id: of the last try to pay it; attempts: how many there were."""

    request_id: UUID
    asker_id: UUID
    payer_id: UUID
    amount_minor: int
    currency: str
    note: str
    split_id: UUID | None
    state: RequestState
    transfer_id: UUID | None
    attempts: int
    reminders: int
    reminded_at: datetime | None
    created_at: datetime
    expires_at: datetime
    changed_at: datetime

    @property
    def amount(self) -> Money:
        """What is asked."""
        return Money(self.amount_minor, self.currency)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRequest:
    """A request that a person makes."""

    request_id: UUID
    asker_id: AccountId
    payer_id: AccountId
    amount: Money
    note: str = ""


@dataclass(frozen=True, slots=True)
class Share:
    """What one person bears of a split. state: of the request; None for the owner's own share."""

    account_id: UUID
    weight: int
    amount_minor: int
    request_id: UUID | None
    state: RequestState | None = None


@dataclass(frozen=True, slots=True)
class Split:
    """A bill among people. Its shares come to its total."""

    split_id: UUID
    owner_id: UUID
    title: str
    total_minor: int
    currency: str
    way: SplitWay
    source_kind: str
    source_id: UUID | None
    state: SplitState
    created_at: datetime
    changed_at: datetime
    shares: tuple[Share, ...] = ()

    @property
    def total(self) -> Money:
        """The whole bill."""
        return Money(self.total_minor, self.currency)

    @property
    def paid_minor(self) -> int:
        """What others have paid of it."""
        return sum(one.amount_minor for one in self.shares if one.state is RequestState.PAID)

    @property
    def asked_minor(self) -> int:
        """What others were asked for."""
        return sum(one.amount_minor for one in self.shares if one.request_id is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSplit:
    """A bill that its owner paid, or will pay, and splits. among: who bears how much of it.

    weights: for equal ones each 1; for shares whole numbers; for amounts minor units that come to the total.
    The owner may be among them, and bears that part without a request.
    source_kind: ``bill``, ``payment`` or ``journey``; source_id: which of these.
    """

    split_id: UUID
    owner_id: AccountId
    title: str
    total: Money
    way: SplitWay
    among: tuple[tuple[AccountId, int], ...]
    source_kind: str = "bill"
    source_id: UUID | None = None


# --- names


def compare_names(expected: str, actual: str) -> NameMatch:
    """How the name that a payer expects fits the receiver's own, without telling it.

    Case, accents, punctuation and the order of words do not count. Close: a word is missing or shortened to its first
    letter, or one letter of a long word differs. Source: the outcomes of confirmation of payee (match, close match, no
    match).
    """
    wanted, real = _plain_words(expected), _plain_words(actual)
    if not wanted:
        return NameMatch.NO_MATCH
    if sorted(wanted) == sorted(real) or "".join(wanted) == "".join(real):
        return NameMatch.MATCH
    if all(any(_is_near(one, other) for other in real) for one in wanted) and any(
        len(one) > 1 for one in wanted
    ):
        return NameMatch.CLOSE
    return NameMatch.NO_MATCH


def _plain_words(name: str) -> list[str]:
    plain = unicodedata.normalize("NFKD", name).casefold()
    kept = "".join(
        letter if letter.isalnum() else " " for letter in plain if not unicodedata.combining(letter)
    )
    return kept.split()


def _is_near(one: str, other: str) -> bool:
    """The same, a first letter for the word, or one letter added, left out or changed in five or more."""
    if one == other or (min(len(one), len(other)) == 1 and one[0] == other[0]):
        return True
    if min(len(one), len(other)) < 5 or abs(len(one) - len(other)) > 1:
        return False
    short, long = sorted((one, other), key=len)
    start = next((i for i, (a, b) in enumerate(zip(short, long, strict=False)) if a != b), len(short))
    skip = 1 if len(short) == len(long) else 0
    return short[start + skip :] == long[start + 1 :]


# --- codes to be paid by

CODE_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no I, L, O, U, which are read as others."""

_CODE_WORDS = 9
_READ_AS = str.maketrans({"I": "1", "L": "1", "O": "0"})


def new_code(letters: int = _CODE_WORDS) -> str:
    """A fresh code of random letters with a check letter at its end."""
    body = "".join(secrets.choice(CODE_LETTERS) for _ in range(letters))
    return body + check_letter(body)


def check_letter(body: str) -> str:
    """The letter that catches every single wrong letter and every swap of two neighbours that differ by less than 31.

    Source: Luhn mod N (ISO/IEC 7812-1 annex B, made general), over 32 letters.
    """
    total = 0
    for place, letter in enumerate(reversed(body)):
        value = CODE_LETTERS.index(letter) * (2 if place % 2 == 0 else 1)
        total += value // 32 + value % 32
    return CODE_LETTERS[-total % 32]


def read_code(text: str, letters: int = _CODE_WORDS) -> str | None:
    """A code as a person wrote it: any case, spaces and hyphens anywhere; None where it is none or mistyped."""
    plain = "".join(text.upper().replace("-", " ").split()).translate(_READ_AS)
    if len(plain) != letters + 1 or set(plain) - set(CODE_LETTERS):
        return None
    return plain if check_letter(plain[:-1]) == plain[-1] else None


def code_text(code: str, *, group: int = 5) -> str:
    """A code as people read it: ``7K3D9-QX2M1``."""
    return "-".join(code[start : start + group] for start in range(0, len(code), group))


def new_secret() -> str:
    """The secret of a link: 192 random bits."""
    return secrets.token_urlsafe(24)


def hash_secret(secret: str) -> bytes:
    """What is kept of a secret that is long and random."""
    return hashlib.sha256(secret.encode()).digest()


# --- the books


def transit_account(issuer_id: str, currency: str, partition: int = 0) -> ledger.AccountId:
    """Money of an issuer's people on its way; over all partitions zero once all has arrived."""
    return ledger.AccountId(fact_id(None, "transit", issuer_id, currency, partition))


def receivable_account(issuer_id: str, currency: str, partition: int = 0) -> ledger.AccountId:
    """What an issuer gave its people for others' issuers, and awaits from clearing."""
    return ledger.AccountId(fact_id(None, "receivable", issuer_id, currency, partition))


# --- checks of what is handed in


def read_note(text: str, *, where: str = "note") -> str:
    """A note, trimmed. Errors: InvalidInput where it is too long or holds what is no text (``fault_of_text``)."""
    note = " ".join(text.split())
    fault = fault_of_text(note)
    if len(note) > NOTE_MAX or fault:
        what = fault or f"has {len(note)} characters"
        problem = Problem(where, what, f"Write at most {NOTE_MAX} that can be seen, on one line")
        raise InvalidInput("This note does not fit.", problems=(problem,))
    return note


def check_amount(amount: Money, *, where: str = "amount") -> None:
    """Errors: InvalidInput for an amount that is not above zero, or absurd."""
    if not 0 < amount.minor <= AMOUNT_MAX:
        problem = Problem(where, f"is {amount}", "Give an amount above zero")
        raise InvalidInput("This amount cannot be sent.", problems=(problem,))
