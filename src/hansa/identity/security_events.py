"""What happened to how an account is entered, kept for its person to read: passkeys, sign-ins, coming back."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from psycopg.rows import class_row

from hansa import webhooks
from hansa.identity.model import AccountId
from hansa.kernel import new_id
from hansa.store import Tx

SecurityKind = Literal[
    "joined",
    "signed_in",
    "passkey_added",
    "passkey_renamed",
    "passkey_removed",
    "passkey_copied",
    "session_ended",
    "sessions_ended",
    "codes_made",
    "recovery_asked",
    "recovery_approved",
    "recovery_canceled",
    "recovered",
]

ADD_EVENT = """
insert into identity.security_events (event_id, account_id, kind, about, device, at) values (%s, %s, %s, %s, %s, %s)
"""

SEEN_BEFORE = """
select exists (
    select from identity.security_events
    where account_id = %s and device = %s and kind in ('joined', 'signed_in', 'recovered') and at > %s and at <= %s)
"""

EVENTS = """
select event_id, account_id, kind, about, device, at from identity.security_events
where account_id = %s order by at desc, event_id desc limit %s
"""

KNOWN_FOR = timedelta(days=180)
"""So long a browser counts as seen before."""


@dataclass(frozen=True, slots=True)
class SecurityEvent:
    """One thing that happened. about: what it happened to, as its person named it. device: where, in words."""

    event_id: UUID
    account_id: AccountId
    kind: SecurityKind
    about: str
    device: str
    at: datetime


def add_security_event(
    tx: Tx, account_id: AccountId, kind: SecurityKind, *, at: datetime, about: str = "", device: str = ""
) -> None:
    """Keep what happened, and tell its person; a sign-in only where its browser was not seen before.

    about: at most 100 characters.
    """
    event_id = new_id()
    is_news = kind != "joined" and not (kind == "signed_in" and _seen_before(tx, account_id, device, at))
    tx.execute(ADD_EVENT, (event_id, account_id, kind, about, device, at))
    if is_news:
        webhooks.tell(
            tx,
            webhooks.ForPerson(
                account_id=account_id,
                kind=f"security.{kind}",
                at=at,
                subject="",
                facts={"about": about, "device": device},
                fact=(event_id,),
            ),
        )


def _seen_before(tx: Tx, account_id: AccountId, device: str, at: datetime) -> bool:
    row = tx.execute(SEEN_BEFORE, (account_id, device, at - KNOWN_FOR, at)).fetchone()
    return row is not None and bool(row[0])


def list_security_events(tx: Tx, account_id: AccountId, *, limit: int = 20) -> list[SecurityEvent]:
    """What happened to this account, the latest first."""
    return tx.cursor(row_factory=class_row(SecurityEvent)).execute(EVENTS, (account_id, limit)).fetchall()
