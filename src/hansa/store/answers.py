"""Answers to requests that carry an idempotency key: asking again gives the first answer, and does nothing."""

import hashlib
import json
from datetime import datetime
from typing import Any, ClassVar

from hansa.kernel import HansaError
from hansa.store.context import Tx

CLAIM = """
insert into store.answers (partition, scope, key, request_digest) values (%s, %s, %s, %s)
on conflict (partition, scope, key) do nothing
"""

FIND = "select request_digest, answer from store.answers where partition = %s and scope = %s and key = %s"

REMEMBER = """
update store.answers set answer = %s::json
where partition = %s and scope = %s and key = %s and answer is null
"""

FORGET = "delete from store.answers where asked_at < %s"


class IdempotencyConflict(HansaError):
    """This idempotency key was used for another request. Make a new key for a new request."""

    code: ClassVar[str] = "store.idempotency_conflict"
    status: ClassVar[int] = 409


def request_digest(*parts: str | bytes) -> bytes:
    """What makes a request this one: its method, path and body, say. Each part is length-prefixed, then hashed."""
    digest = hashlib.sha256()
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        digest.update(len(raw).to_bytes(8, "big"))
        digest.update(raw)
    return digest.digest()


def idempotent(
    tx: Tx, key: str, request_digest: bytes, *, scope: str = "", partition: int = 0
) -> dict[str, Any] | None:
    """The first answer to this request, or None: then do the work and ``remember`` its answer, all in this tx.

    scope: whose key it is, so that two callers may use the same one. The same request sent twice at once waits here
    until the first is done; if that one rolls back, the second does the work.
    Errors: IdempotencyConflict when the key was used for another request.
    """
    if tx.execute(CLAIM, (partition, scope, key, request_digest)).rowcount:
        return None
    row = tx.execute(FIND, (partition, scope, key)).fetchone()
    assert row is not None, "a claimed key stays until it is forgotten, days later"
    first_digest, answer = row
    if bytes(first_digest) != request_digest:
        raise IdempotencyConflict
    assert answer is not None, "idempotent() without remember() in the same transaction"
    return answer


def remember(tx: Tx, key: str, answer: dict[str, Any], *, scope: str = "", partition: int = 0) -> None:
    """Keep the answer to the request that ``idempotent`` let through in this transaction."""
    kept = tx.execute(REMEMBER, (json.dumps(answer), partition, scope, key)).rowcount
    assert kept == 1, "remember() goes with an idempotent() that gave None"


def forget_answers(tx: Tx, *, asked_before: datetime) -> int:
    """Delete answers that nobody will ask for again; gives how many."""
    return tx.execute(FORGET, (asked_before,)).rowcount
