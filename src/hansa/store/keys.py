"""Idempotency keys: a request sent again gets the first answer, and its work is done once.

A key is claimed before the work and settled after it, in two transactions, since the ledger between them is a commit
of its own. Whoever claims has a lease: if a crash leaves the key claimed, the next one who asks after the lease does
the work again, which is harmless because every id it makes is worked out from the key (``made_from``).
Source: draft-ietf-httpapi-idempotency-key-header-07, sections 2.5 to 2.7.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar
from uuid import UUID

from hansa.kernel import HansaError, fact_id, new_id
from hansa.store.context import Tx

KEPT = timedelta(days=30)
"""How long an answer is kept. A key that is older is a new one."""

LEASE = timedelta(seconds=30)
"""How long whoever claimed a key has it alone; more than any request takes."""

KEY_MAX = 255
"""Characters of a key."""

# A row that nobody is at any more, or that is forgotten, becomes the asker's; any other row is left as it is, and
# locked until this transaction ends, so that the next statement sees what its writer committed.
CLAIM = """
insert into store.keys as k (partition, scope, key, digest, owner, claimed_at, lease_until)
select %(partition)s, a.scope, a.key, a.digest, %(owner)s, %(at)s, %(at)s + %(lease)s
from unnest(%(scopes)s::text[], %(keys)s::text[], %(digests)b::bytea[]) as a (scope, key, digest)
order by a.scope, a.key
on conflict (partition, scope, key) do update
set digest = excluded.digest, owner = excluded.owner, claimed_at = excluded.claimed_at,
    lease_until = excluded.lease_until, answered_at = null, status = null, media_type = null, answer = null
where k.claimed_at <= %(at)s - %(kept)s
   or (k.answered_at is null and k.lease_until <= %(at)s and k.digest = excluded.digest)
returning k.scope, k.key
"""

FIND = """
select k.scope, k.key, k.digest, k.status, k.media_type, k.answer
from store.keys k
join unnest(%(scopes)s::text[], %(keys)s::text[]) as a (scope, key) using (scope, key)
where k.partition = %(partition)s
"""

SETTLE = """
update store.keys k
set answered_at = %(at)s, status = a.status, media_type = a.media_type, answer = a.answer
from unnest(%(scopes)s::text[], %(keys)s::text[], %(statuses)s::smallint[], %(types)s::text[], %(answers)b::bytea[])
    as a (scope, key, status, media_type, answer)
where k.partition = %(partition)s and k.scope = a.scope and k.key = a.key and k.answered_at is null
"""

RELEASE = """
delete from store.keys k using unnest(%(scopes)s::text[], %(keys)s::text[]) as a (scope, key)
where k.partition = %(partition)s and k.scope = a.scope and k.key = a.key and k.answered_at is null
  and k.owner = %(owner)s
"""

LET_GO = """
update store.keys k set lease_until = %(at)s
from unnest(%(scopes)s::text[], %(keys)s::text[]) as a (scope, key)
where k.partition = %(partition)s and k.scope = a.scope and k.key = a.key and k.answered_at is null
  and k.owner = %(owner)s
"""

FORGET = """
delete from store.keys where (partition, scope, key) in (
    select partition, scope, key from store.keys where claimed_at < %s order by claimed_at limit %s
)
"""


class KeyMissing(HansaError):
    """This request needs the header Idempotency-Key: 1 to 255 visible characters, new for each new request."""

    code: ClassVar[str] = "store.key_missing"
    status: ClassVar[int] = 400
    remedy: ClassVar[str] = (
        "Make a random key, such as a UUID, for each thing you want done, keep it with that thing, and send it as the"
        " header Idempotency-Key. When you send the same request again, send the same key."
    )


class KeyInFlight(HansaError):
    """A request with this idempotency key is under way. Send the same again a little later for its answer."""

    code: ClassVar[str] = "store.key_in_flight"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = (
        "Wait a second and send the same request with the same key. You get the answer of the first one; nothing is"
        " done twice."
    )


class KeyReused(HansaError):
    """This idempotency key was used for another request. Make a new key for a new request."""

    code: ClassVar[str] = "store.key_reused"
    status: ClassVar[int] = 422
    remedy: ClassVar[str] = (
        "If this is a new request, make a new key for it. If it is meant to be the old one, send the old body, byte for"
        " byte."
    )


@dataclass(frozen=True, slots=True)
class Claim:
    """What is asked. scope: who asks, and of which address. digest: of the body, as ``request_digest`` makes it."""

    scope: str
    key: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class New:
    """Nobody did this: do it, and ``settle``. owner: whose claim it is, for ``release``."""

    owner: UUID


@dataclass(frozen=True, slots=True)
class InFlight:
    """Somebody is at it."""


@dataclass(frozen=True, slots=True)
class Differs:
    """The key was used for something else."""


@dataclass(frozen=True, slots=True)
class Replay:
    """The first answer: an HTTP status, the media type and the bytes of the body."""

    status: int
    media_type: str
    body: bytes


Claimed = New | InFlight | Differs | Replay


def claim(
    tx: Tx, claims: Sequence[Claim], at: datetime, *, lease: timedelta = LEASE, partition: int = 0
) -> list[Claimed]:
    """Claim these keys; what is to be done about each, in order. It counts once this transaction commits.

    Of two claims of one key in one call the first is New and the second InFlight, or Differs. A claim whose lease is
    over is New for whoever asks the same again.
    """
    if not claims:
        return []
    firsts: dict[tuple[str, str], Claim] = {}
    for one in claims:
        firsts.setdefault((one.scope, one.key), one)
    to_give = set(firsts)
    owner = new_id()
    values = {
        "partition": partition,
        "owner": owner,
        "at": at,
        "lease": lease,
        "kept": KEPT,
        "scopes": [one.scope for one in firsts.values()],
        "keys": [one.key for one in firsts.values()],
        "digests": [one.digest for one in firsts.values()],
    }
    taken = set(tx.execute(CLAIM, values).fetchall())
    rows = tx.execute(FIND, values).fetchall() if len(taken) < len(firsts) else []
    kept = {(scope, key): row for scope, key, *row in rows}
    answers: list[Claimed] = []
    for one in claims:
        name = one.scope, one.key
        if name in taken and name in to_give:
            to_give.remove(name)
            answers.append(New(owner))
        elif name in taken:
            answers.append(InFlight() if firsts[name].digest == one.digest else Differs())
        else:
            # Gone since the first statement: its owner gave it back, and the asker comes again.
            answers.append(_kept(one, *kept[name]) if name in kept else InFlight())
    return answers


def settle(
    tx: Tx, answers: Sequence[tuple[Claim, Replay]], at: datetime, *, partition: int = 0
) -> list[Replay]:
    """Keep the answers of what was claimed; gives the answers that count, in order: the first that were kept."""
    if not answers:
        return []
    values = {
        "partition": partition,
        "at": at,
        "scopes": [one.scope for one, _ in answers],
        "keys": [one.key for one, _ in answers],
        "statuses": [answer.status for _, answer in answers],
        "types": [answer.media_type for _, answer in answers],
        "answers": [answer.body for _, answer in answers],
    }
    if tx.execute(SETTLE, values).rowcount == len(answers):
        return [answer for _, answer in answers]
    kept = {(scope, key): _kept_answer(*row) for scope, key, *row in tx.execute(FIND, values)}
    return [kept.get((one.scope, one.key)) or answer for one, answer in answers]


def release(tx: Tx, claims: Sequence[Claim], owner: UUID, *, partition: int = 0) -> None:
    """Give keys back: nothing was done under them, so they may be used again, for something else too."""
    values = {
        "partition": partition,
        "owner": owner,
        "scopes": [one.scope for one in claims],
        "keys": [one.key for one in claims],
    }
    tx.execute(RELEASE, values)


def let_go(tx: Tx, claims: Sequence[Claim], owner: UUID, at: datetime, *, partition: int = 0) -> None:
    """Be at these no more, without an answer: whoever asks the same again does the work at once."""
    values = {
        "partition": partition,
        "owner": owner,
        "at": at,
        "scopes": [one.scope for one in claims],
        "keys": [one.key for one in claims],
    }
    tx.execute(LET_GO, values)


def forget_keys(tx: Tx, at: datetime, *, limit: int = 10_000) -> int:
    """Delete keys older than ``KEPT``; gives how many. Call again while it gives some."""
    return tx.execute(FORGET, (at - KEPT, limit)).rowcount


def check_key(key: str) -> str:
    """The key of a request, as it was sent. Errors: KeyMissing where it is none."""
    if not 0 < len(key) <= KEY_MAX or not key.isascii() or not key.isprintable() or not key.strip():
        raise KeyMissing
    return key


def made_from(scope: str, key: str, *what: object) -> UUID:
    """The id of what is made under a key: the same each time, for ever. what: where one request makes several."""
    return fact_id(None, "idempotency key", scope, key, *what)


def _kept(
    claim: Claim, digest: bytes, status: int | None, media_type: str | None, answer: bytes | None
) -> Claimed:
    if bytes(digest) != claim.digest:
        return Differs()
    return _kept_answer(digest, status, media_type, answer) or InFlight()


def _kept_answer(_: bytes, status: int | None, media_type: str | None, answer: bytes | None) -> Replay | None:
    if status is None or media_type is None or answer is None:
        return None
    return Replay(status, media_type, bytes(answer))
