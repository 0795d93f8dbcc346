"""Sessions: what one is, and what may be refused."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Literal, NewType
from uuid import UUID

from hansa.identity.model import AccountId
from hansa.kernel import HansaError

SessionId = NewType("SessionId", UUID)
Method = Literal["demo", "passkey", "recovery"]
"""How a session began: one click in a demonstration, a passkey, or coming back without one."""

PasskeyId = NewType("PasskeyId", UUID)

SESSION_COOKIE = "hansa_session"
"""The cookie that holds a session's secret; where the browser keeps it securely, after ``HOST_PREFIX``."""
HOST_PREFIX = "__Host-"
"""Only over TLS, only for this host, never from a neighbour (RFC 6265bis section 4.1.3.2)."""


@dataclass(frozen=True, slots=True)
class Session:
    """A person signed in in one browser.

    session_id names it to its owner, and opens nothing. authenticated_at: when the person last proved who they are,
    by whatever method. verified_at: when a passkey last verified them here; None while none has. expires_at: when it
    ends in any case; idle_s: after how many seconds without use. device: what the browser says it is, in words.
    phone_id: the phone that proved its key here. passkey_id: the passkey that was used here last.
    """

    session_id: SessionId
    account_id: AccountId
    method: Method
    started_at: datetime
    authenticated_at: datetime
    verified_at: datetime | None
    last_seen_at: datetime
    expires_at: datetime
    idle_s: int
    shared: bool
    device: str
    phone_id: UUID | None
    passkey_id: PasskeyId | None


class UnknownSession(HansaError):
    """You have no such session; it may have ended."""

    code: ClassVar[str] = "identity.unknown_session"
    status: ClassVar[int] = 404
    remedy: ClassVar[str] = "List your sessions again."


class VerifyAnew(HansaError):
    """A change of how your account is entered needs your passkey just before it."""

    code: ClassVar[str] = "identity.verify_anew"
    status: ClassVar[int] = 403
    next_action: ClassVar[str] = "verify"
    remedy: ClassVar[str] = (
        "Use your passkey at /wallet/verify, then send the same again within five minutes."
    )


def secret_in(cookies: Mapping[str, str], name: str = SESSION_COOKIE, *, secure: bool) -> str:
    """The secret in a browser's cookie of this name; empty when there is none.

    secure: only the cookie that no neighbour of this host can set counts.
    """
    secret = cookies.get(HOST_PREFIX + name, "")
    return secret or ("" if secure else cookies.get(name, ""))
