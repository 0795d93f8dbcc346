"""What can be done about proofs: prove a day, do so daily, look."""

from datetime import date, datetime, timedelta

from hansa import clearing
from hansa.reconciliation import store
from hansa.reconciliation.model import Proof, UnknownProof, Verdict
from hansa.reconciliation.proof import work_out
from hansa.store import Context, Tx

PROGRAM = "hansa"
"""Who proves when nobody asks."""

AGAIN_AFTER = timedelta(days=1)
"""How long after its last proof a day that does not hold yet is proved again."""

GIVEN_UP_AFTER = timedelta(days=60)
"""Days older than this are proved only by who asks."""

LOOK_EVERY = timedelta(minutes=1)
"""How often the worker looks whether a day is to be proved."""

_DAYS = 100


def prove_day(ctx: Context, day: date, *, by: str) -> Proof:
    """Prove a business day as the books stand now, and keep the proof; each time is a fact of its own."""
    with ctx.tx() as tx:
        number = store.lock_day(tx, day) + 1
        proof = work_out(ctx, tx, day, number=number, by=by)
        store.add_proof(tx, proof)
    return proof


def prove_due(ctx: Context, *, limit: int = 1) -> list[Proof]:
    """Prove closed days that have no proof yet, and daily those whose proof does not hold yet; those proofs."""
    now = ctx.clock.now()
    with ctx.tx() as tx:
        closed = {
            one.business_day: one for one in clearing.list_days(tx, limit=_DAYS) if one.closed_at is not None
        }
        kept = {one.day: one for one in store.latest_proofs(tx, None, _DAYS)}
    due = [day for day in sorted(closed) if _is_due(closed[day].ends_at, kept.get(day), now)]
    return [prove_day(ctx, day, by=PROGRAM) for day in due[:limit]]


class Prover:
    """Proves what is due, and looks for it once in a while; what it remembers may be lost."""

    def __init__(self) -> None:
        self._looked_at: datetime | None = None

    def turn(self, ctx: Context) -> int:
        """Prove at most one day; how many it were."""
        now = ctx.clock.now()
        if self._looked_at is not None and timedelta(0) <= now - self._looked_at < LOOK_EVERY:
            return 0
        proved = len(prove_due(ctx))
        self._looked_at = None if proved else now
        return proved


def get_proof(tx: Tx, day: date, number: int | None = None) -> Proof:
    """A day's latest proof, or the one of this number. Errors: UnknownProof."""
    for one in store.list_proofs(tx, day, _DAYS * 100):
        if number is None or one.number == number:
            return one
    raise UnknownProof(f"{day} was not proved{'' if number is None else f' {number} times'}.")


def list_proofs(tx: Tx, *, before: date | None = None, limit: int = 60) -> list[Proof]:
    """The latest proof of each day, latest day first."""
    return store.latest_proofs(tx, before, limit)


def _is_due(ends_at: datetime, proof: Proof | None, now: datetime) -> bool:
    if now - ends_at > GIVEN_UP_AFTER:
        return False
    return proof is None or (proof.verdict is not Verdict.HOLDS and now - proof.made_at >= AGAIN_AFTER)
