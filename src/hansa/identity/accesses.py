"""Accesses: who read a person's data, which part, when and why, kept for the person to read.

Recorded by whoever shows the data, in the same transaction: what was not recorded was not shown. Reading the same part
for the same reason again within an hour adds to that row, so a program that polls does not bury who looked by hand.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from psycopg.rows import class_row

from hansa import webhooks
from hansa.identity.model import AccountId
from hansa.kernel import Mark
from hansa.store import Tx

Part = Literal[
    "profile", "proof", "contacts", "wallet", "journeys", "disputes", "risk", "phones", "everything"
]
"""Which part of somebody's data."""

WHY_MAX = 500

BY_PROGRAM = "asked for by a program, over the interface"
"""Why, where a member's key reads: a program gives no reason of its own."""

"""A place in the list of readings."""

SAW = """
insert into identity.accesses as held (account_id, hour, reader, part, why, first_at, last_at)
select account_id, date_trunc('hour', %(at)s, 'UTC'), %(reader)s, %(part)s, %(why)s, %(at)s, %(at)s
from unnest(%(accounts)s::uuid[]) as seen (account_id)
where exists (select from identity.accounts a where a.account_id = seen.account_id)
order by account_id
on conflict (account_id, hour, reader, part, why) do update
    set times = held.times + 1, last_at = greatest(held.last_at, excluded.last_at)
returning account_id, times
"""

LIST = """
select reader, part, why, times, first_at, last_at, line_id
from (
    select *, md5(concat_ws(chr(31), hour, reader, part, why))::uuid as line_id
    from identity.accesses where account_id = %(account)s
) as told
where %(at)s::timestamptz is null or (last_at, line_id) < (%(at)s, %(id)s)
order by last_at desc, line_id desc
limit %(limit)s
"""

LAST = """
select reader, part, why, times, first_at, last_at, md5(concat_ws(chr(31), hour, reader, part, why))::uuid as line_id
from identity.accesses
where account_id = %(account)s and reader = %(reader)s and part = any(%(parts)s) and last_at >= %(since)s
order by last_at desc, line_id desc
limit 1
"""


@dataclass(frozen=True, slots=True)
class Access:
    """Somebody read a part of a person's data, so many times within an hour.

    reader: whom the caller is known as: ``hangzhou-card:anna``, ``staff:…``, ``person:<account>``.
    """

    reader: str
    part: Part
    why: str
    times: int
    first_at: datetime
    last_at: datetime
    line_id: UUID

    @property
    def mark(self) -> Mark:
        """Where the lines older than this one begin."""
        return (self.last_at, self.line_id)


def saw(tx: Tx, account_id: AccountId, by: str, what: Part, why: str, at: datetime) -> None:
    """Keep that somebody read a part of this account's holder's data. by: the caller's id. why: 1 to 500 characters.

    The holder's own reading is none and is not kept. An account that is not open here is passed over.
    """
    saw_all(tx, [account_id], by, what, why, at)


def saw_all(tx: Tx, account_ids: Sequence[AccountId], by: str, what: Part, why: str, at: datetime) -> None:
    """The same of many accounts, in one statement."""
    others = sorted({one for one in account_ids if by != f"person:{one}"})
    if not others:
        return
    why = " ".join(why.split())[:WHY_MAX] or "no reason was given"
    values = {"accounts": others, "reader": by[:200], "part": what, "why": why, "at": at}
    for account_id, times in tx.execute(SAW, values).fetchall():
        if times == 1:  # of one reader and part, a person has one notice a day
            _tell(tx, account_id, by[:200], what, at)


PARTS_READ: Mapping[Part, str] = {
    "profile": "your name and account",
    "proof": "the proof of your name",
    "contacts": "how you are reached",
    "wallet": "what your wallet holds and paid",
    "journeys": "your journeys",
    "disputes": "your requests for money back",
    "risk": "a case of risk about your account",
    "phones": "your phones",
    "everything": "all that is kept of you",
}
"""What somebody read, as the end of a sentence."""


def _tell(tx: Tx, account_id: AccountId, reader: str, what: Part, at: datetime) -> None:
    webhooks.tell(
        tx,
        webhooks.ForPerson(
            account_id=account_id,
            kind="data.seen",
            at=at.replace(hour=0, minute=0, second=0, microsecond=0),
            subject="",
            facts={"reader": reader, "part": {"word": PARTS_READ[what]}},
            fact=(reader, what, at.date().isoformat()),
        ),
    )


def last_access(
    tx: Tx, account_id: AccountId, reader: str, parts: Sequence[Part], *, since: datetime
) -> Access | None:
    """When this reader last read one of these parts, and why; None where that was before ``since`` or never."""
    values = {"account": account_id, "reader": reader, "parts": list(parts), "since": since}
    return tx.cursor(row_factory=class_row(Access)).execute(LAST, values).fetchone()


def list_accesses(
    tx: Tx, account_id: AccountId, *, after: Mark | None = None, limit: int = 50
) -> list[Access]:
    """Who read this account's holder's data, the latest first. after: the mark of the last line seen."""
    at, line_id = after or (None, None)
    values = {"account": account_id, "at": at, "id": line_id, "limit": limit}
    return tx.cursor(row_factory=class_row(Access)).execute(LIST, values).fetchall()
