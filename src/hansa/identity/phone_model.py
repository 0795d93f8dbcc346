"""Phones and standings: the types, the policy, and what may be refused."""

import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Annotated, ClassVar, Literal, NewType
from uuid import UUID

import msgspec

from hansa.identity.model import AccountId
from hansa.kernel import HansaError, InvalidInput, Problem

PhoneId = NewType("PhoneId", UUID)
"""A phone is named by its key, so connecting it twice is connecting it once."""

Level = Literal["clear", "step_up", "blocked"]
PhoneStatus = Literal["active", "lost", "removed"]

NAME_MAX = 60


@dataclass(frozen=True, slots=True)
class Standing:
    """How far an account is trusted: clear; step_up, until the rider proves anew who they are; blocked.

    since: from when; for an account that was never anything but clear, when it was opened. case_id: why, in risk.
    """

    level: Level
    reason: str
    since: datetime
    case_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Phone:
    """A phone that makes codes for an account, by its key.

    public_key: a point of P-256, uncompressed, 65 bytes. ended_at, ended_for: when and why it was lost or removed.
    """

    phone_id: PhoneId
    account_id: AccountId
    public_key: bytes
    name: str
    status: PhoneStatus
    enrolled_at: datetime
    last_seen_at: datetime
    ended_at: datetime | None
    ended_for: str | None


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What connecting a phone did. ended: phones it took the place of. cleared: a step-up was answered by it."""

    phone: Phone
    ended: tuple[Phone, ...] = ()
    cleared: bool = False


class PhonePolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an account may have of phones; phone_policy.toml says what each figure means. Seconds end in ``_s``."""

    version: Annotated[int, msgspec.Meta(ge=1)]
    phones_max: Annotated[int, msgspec.Meta(ge=1, le=100)]
    sign_in_s: Annotated[int, msgspec.Meta(ge=60, le=86_400)]
    nonce_s: Annotated[int, msgspec.Meta(ge=10, le=3_600)]
    nonces_max: Annotated[int, msgspec.Meta(ge=1, le=1_000)]
    clock_s: Annotated[int, msgspec.Meta(ge=5, le=600)]

    @property
    def sign_in(self) -> timedelta:
        """How long after signing in a phone may be connected."""
        return timedelta(seconds=self.sign_in_s)


@cache
def own_phone_policy() -> PhonePolicy:
    """The policy that comes with Hansa."""
    return read_phone_policy((files("hansa.identity") / "phone_policy.toml").read_text(encoding="utf-8"))


def read_phone_policy(toml: str) -> PhonePolicy:
    """The policy from its text. Errors: BadPolicy, which names the field and its bounds."""
    try:
        return msgspec.toml.decode(toml, type=PhonePolicy)
    except msgspec.DecodeError as error:
        problem = Problem("phone_policy.toml", str(error), "Write each figure within its bounds")
        raise BadPolicy(problems=(problem,)) from error


def phone_name(text: str) -> str:
    """A phone's name as it is kept: NFC, single spaces, 1 to 60 characters. Errors: InvalidInput."""
    return thing_name(text, "phone")


def thing_name(text: str, thing: str) -> str:
    """What a person calls a thing of theirs, as it is kept: NFC, single spaces, 1 to 60 characters.

    thing: its noun, for the sentence of a refusal. Errors: InvalidInput.
    """
    name = " ".join(unicodedata.normalize("NFC", text).split())
    odd = any(unicodedata.category(letter) in ("Cc", "Cs", "Cf", "Co", "Cn") for letter in name)
    if odd or not 1 <= len(name) <= NAME_MAX:
        what = "it holds a character that cannot be seen" if odd else f"it has {len(name)} characters"
        problem = Problem("name", what, f"Give the {thing} a name of 1 to {NAME_MAX} characters")
        raise InvalidInput(f"A {thing} needs a name that people can read.", problems=(problem,))
    return name


class BadPolicy(HansaError):
    """This policy cannot be used; each fault is named with its remedy."""

    code: ClassVar[str] = "identity.bad_policy"
    status: ClassVar[int] = 422


class ProofRefused(HansaError):
    """The phone's proof of its key is not good; `problems` names the part."""

    code: ClassVar[str] = "identity.proof_refused"
    status: ClassVar[int] = 422


class NonceRefused(HansaError):
    """The number in the proof was not given to this account, was used already, or is too old. Ask for a new one."""

    code: ClassVar[str] = "identity.nonce_refused"
    status: ClassVar[int] = 409


class UnknownPhone(HansaError):
    """You have no such phone."""

    code: ClassVar[str] = "identity.unknown_phone"
    status: ClassVar[int] = 404


class PhoneEnded(HansaError):
    """This phone was reported lost or removed, and makes no codes any more. Sign in again and connect it anew."""

    code: ClassVar[str] = "identity.phone_ended"
    status: ClassVar[int] = 409


class PhoneKeyTaken(HansaError):
    """This key is or was another phone's. Make a new one."""

    code: ClassVar[str] = "identity.phone_key_taken"
    status: ClassVar[int] = 409


class TooManyPhones(HansaError):
    """This account has as many phones as it may have. Remove one first."""

    code: ClassVar[str] = "identity.too_many_phones"
    status: ClassVar[int] = 409


class SignInAnew(HansaError):
    """Connecting a phone needs a fresh sign-in. Sign out, sign in again, and connect it at once."""

    code: ClassVar[str] = "identity.sign_in_anew"
    status: ClassVar[int] = 409


class AccountBlocked(HansaError):
    """Your issuer has blocked this account. Ask your issuer; nothing on this phone can change it."""

    code: ClassVar[str] = "identity.account_blocked"
    status: ClassVar[int] = 409
