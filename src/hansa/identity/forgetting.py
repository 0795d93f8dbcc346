"""Letting go of what has ended and opens nothing: sessions, challenges of passkeys, numbers for phones to sign."""

from datetime import datetime
from typing import LiteralString

from hansa.store import Tx

FORGET: tuple[LiteralString, ...] = (
    """
    delete from identity.nonces where nonce_hash in (
        select nonce_hash from identity.nonces where expires_at <= %s order by expires_at limit %s
        for update skip locked)
    """,
    """
    delete from identity.challenges where challenge_hash in (
        select challenge_hash from identity.challenges where expires_at <= %s order by expires_at limit %s
        for update skip locked)
    """,
    """
    delete from identity.sessions where secret_hash in (
        select secret_hash from identity.sessions where expires_at <= %s order by expires_at limit %s
        for update skip locked)
    """,
)


def forget_ended(tx: Tx, at: datetime, *, limit: int = 2_000) -> int:
    """Let go of sessions, challenges and numbers to sign whose time is over, at most so many of each; how many."""
    return sum(tx.execute(sql, (at, limit)).rowcount for sql in FORGET)
