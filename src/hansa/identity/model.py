"""People and their sign-ins: the types and the pure rules."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Literal, NewType
from uuid import UUID

from hansa.kernel import HansaError

AccountId = NewType("AccountId", UUID)

RiderClass = Literal["adult", "child", "senior", "student"]


@dataclass(frozen=True, slots=True)
class Account:
    """A rider's one account: who issued it, where home is, and which fares apply.

    issuer_id: the member who carries the account's money, ``beijing-card``. language: BCP 47, ``zh-Hans``.
    """

    account_id: AccountId
    name: str
    issuer_id: str
    home_city_id: str
    rider_class: RiderClass
    language: str
    created_at: datetime


class UnknownAccount(HansaError):
    """No such account."""

    code: ClassVar[str] = "identity.unknown_account"
    status: ClassVar[int] = 404


class AccountDiffers(HansaError):
    """An account of this id is open already and says something else."""

    code: ClassVar[str] = "identity.account_differs"
    status: ClassVar[int] = 409


def new_secret() -> str:
    """An opaque session secret: 256 random bits, safe in a cookie."""
    return secrets.token_urlsafe(32)


def hash_secret(secret: str) -> bytes:
    """What we keep of a secret. It is random and long, so one SHA-256 is enough; no salt, no stretching."""
    return hashlib.sha256(secret.encode()).digest()
