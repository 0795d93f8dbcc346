"""Guardians: who answers for a minor, and what they may do. Types, and what is refused."""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import ClassVar, Literal, NewType
from uuid import UUID

from hansa.identity.model import AccountId
from hansa.identity.persons_model import ProofLevel
from hansa.kernel import HansaError

GuardianshipId = NewType("GuardianshipId", UUID)

Right = Literal["see_money", "see_journeys", "approve", "limit", "freeze", "consent"]
GuardianshipState = Literal["asked", "accepted", "ended"]

RIGHTS: Mapping[Right, str] = MappingProxyType(
    {
        "see_money": "see what the ward holds and pays",
        "see_journeys": "see where the ward rides",
        "approve": "agree to large payments",
        "limit": "set limits for the ward, and alone raise them",
        "freeze": "stop all payments at once",
        "consent": "agree to how the ward's data are used",
    }
)
"""What a guardian may do, in words that ward and guardian read alike."""

ALWAYS: tuple[Right, ...] = ("see_money", "approve", "limit", "freeze")
"""What every guardian may do. Whether they see journeys, the ward says: where one goes is not what one spends.

Whether they agree for the ward, the ward's age says: below the age of digital consent, and no longer.
"""

GUARDIAN_LEVEL = ProofLevel.NAME
"""How well it must be known who a guardian is."""

GUARDIANS_MAX = 4
INVITATIONS_MAX = 5
INVITATION_LASTS = timedelta(days=3)

_LETTERS = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Letters and digits that nobody takes for one another."""
CODE_LETTERS = 10


@dataclass(frozen=True, slots=True)
class Guardianship:
    """Who answers for whom. guardian_id: None until somebody accepts.

    ended_for: withdrawn or lapsed before it was accepted; by_ward, by_guardian, by_issuer, majority, deleted after.
    """

    guardianship_id: GuardianshipId
    ward_id: AccountId
    guardian_id: AccountId | None
    state: GuardianshipState
    rights: tuple[Right, ...]
    asked_at: datetime
    expires_at: datetime
    accepted_at: datetime | None
    ended_at: datetime | None
    ended_for: str | None


@dataclass(frozen=True, slots=True)
class Invitation:
    """What a ward gives to whoever shall be the guardian. code: said or shown once; we keep its hash."""

    guardianship: Guardianship
    code: str


def new_invitation() -> str:
    """A code to be read out: ten letters in two halves, 49 bits: ``K7QW2-9RMTX``."""
    text = "".join(secrets.choice(_LETTERS) for _ in range(CODE_LETTERS))
    return f"{text[:5]}-{text[5:]}"


def plain_code(text: str) -> str:
    """A code as it is kept, however it was typed: capital letters and digits alone."""
    return re.sub(r"[^0-9A-Z]", "", text.upper())[: CODE_LETTERS + 1]


class UnknownGuardianship(HansaError):
    """You have no such guardian or ward."""

    code: ClassVar[str] = "identity.unknown_guardianship"
    status: ClassVar[int] = 404
    remedy: ClassVar[str] = "Check the id, among the guardians and wards of the person who is signed in."
    user_message: ClassVar[str] = "This guardian or ward was not found."


class InvitationRefused(HansaError):
    """No invitation of this code waits: it was mistyped, taken back, accepted already, or is older than three days."""

    code: ClassVar[str] = "identity.invitation_refused"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "Let the ward invite again, and type the new code within three days."
    next_action: ClassVar[str] = "read_again"
    user_message: ClassVar[str] = (
        "No invitation with this code waits. It may have been mistyped, taken back, used, or be too old."
    )


class TooManyGuardians(HansaError):
    """This account has as many guardians or open invitations as it may have. End one first."""

    code: ClassVar[str] = "identity.too_many_guardians"
    status: ClassVar[int] = 409
    user_message: ClassVar[str] = "There are as many guardians or invitations as there may be. End one first."


class NotAMinor(HansaError):
    """Whoever is of age, or has not said when they were born, has no guardian. State the day of birth first."""

    code: ClassVar[str] = "identity.not_a_minor"
    status: ClassVar[int] = 409
    next_action: ClassVar[str] = "fix_request"
    user_message: ClassVar[str] = (
        "Only somebody who is not of age has a guardian. State your day of birth first."
    )


class CannotBeGuardian(HansaError):
    """A guardian is of age, proved their own name, and is somebody else than the ward. Prove your name first."""

    code: ClassVar[str] = "identity.cannot_be_guardian"
    status: ClassVar[int] = 409
    next_action: ClassVar[str] = "prove_name"
    user_message: ClassVar[str] = (
        "A guardian is of age, has proved their own name, and is somebody else than the ward."
    )


class LastGuardian(HansaError):
    """At this age an account needs a guardian, and this is its last. Have another accept first, or ask the issuer."""

    code: ClassVar[str] = "identity.last_guardian"
    status: ClassVar[int] = 409
    next_action: ClassVar[str] = "invite_guardian"
    user_message: ClassVar[str] = (
        "At this age an account needs a guardian, and this is its last. Have another accept first."
    )
