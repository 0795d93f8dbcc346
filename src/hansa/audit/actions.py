"""What can be done with the audit record: add to it, seal it, look into it, check it."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from hansa.audit import store
from hansa.audit.model import BEGINNING, Act, Broken, Checked, Checkpoint, Head, KeptAct, digest_of
from hansa.kernel import in_utc, new_id
from hansa.store import Context, Tx

PAGE = 100
"""Acts of one page of the record."""


def record(tx: Tx, act: Act, at: datetime) -> UUID:
    """Keep an act if and only if this transaction commits; gives its id. Errors: none that an honest act has."""
    return record_all(tx, [act], at)[0]


def record_all(tx: Tx, acts: Sequence[Act], at: datetime) -> list[UUID]:
    """Keep several acts of one moment in this order, as ``record`` does."""
    if not acts:
        return []
    at = in_utc(at, where="at")
    kept = [
        KeptAct(new_id(), act.chain, at, act.actor, act.action, act.subject, act.reason, dict(act.details))
        for act in acts
    ]
    store.add_acts(tx, kept)
    return [act.act_id for act in kept]


def seal(ctx: Context, *, limit: int = 2_000) -> int:
    """Chain acts that were committed since the last time; gives how many. It may run beside others and be killed.

    No writer of acts ever waits for another: each only adds rows, and this step alone, one at a time for each chain,
    says in which order they stand.
    """
    with ctx.tx() as tx:
        acts = store.take_waiting(tx, limit)
        if not acts:
            return 0
        ends = {head.chain: head for head in store.lock_heads(tx, sorted({act.chain for act in acts}))}
        seals: list[tuple[str, int, UUID, bytes, bytes]] = []
        for act in acts:
            end = ends[act.chain]
            digest = digest_of(act, end.place + 1, end.hash)
            seals.append((act.chain, end.place + 1, act.act_id, end.hash, digest))
            ends[act.chain] = Head(act.chain, end.place + 1, digest)
        store.add_seals(tx, seals, list(ends.values()))
    return len(acts)


def search(
    tx: Tx,
    *,
    chain: str | None = None,
    actor: str | None = None,
    action: str | None = None,
    subject: str | None = None,
    words: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    before: tuple[datetime, UUID] | None = None,
    limit: int = PAGE,
) -> list[KeptAct]:
    """Acts that fit all that is asked, newest first.

    action: whole (``tariff.approve``) or its noun (``tariff``). words: some text anywhere in the act. since, until:
    from this instant, to before that one. before: go on behind the act with this time and id.
    """
    return store.search_acts(
        tx,
        chain=chain,
        actor=actor,
        action=action,
        subject=subject,
        words=words,
        since=since,
        until=until,
        before=before,
        limit=limit,
    )


def check(tx: Tx, known: Sequence[Head] = ()) -> Checked:
    """Work out every seal anew from the acts; stops at the first that is broken.

    known: heads that somebody kept elsewhere, as of signed checkpoints; each must stand in its chain.
    """
    ends: dict[str, Head] = {}
    asked = {(head.chain, head.place): head.hash for head in known}
    for one in store.read_seals(tx):
        end = ends.get(one.chain, Head(one.chain, 0, BEGINNING))
        what = _fault(one, end)
        if what is None and asked.pop((one.chain, one.place), one.hash) != one.hash:
            what = "it is not the seal that was signed for this place"
        if what is not None:
            return _checked(tx, ends, Broken(one.chain, end.place + 1, one.act_id, what))
        ends[one.chain] = Head(one.chain, one.place, one.hash)
    for head in (*store.list_heads(tx), *known):
        end = ends.get(head.chain, Head(head.chain, 0, BEGINNING))
        if head.place > end.place or (head.place == end.place and head.hash != end.hash):
            what = f"the chain was sealed up to {head.place} and ends before"
            return _checked(tx, ends, Broken(head.chain, end.place + 1, None, what))
    stray = store.find_never_sealed(tx)
    if stray is not None:
        chain, act_id = stray
        place = ends[chain].place + 1 if chain in ends else 1
        return _checked(tx, ends, Broken(chain, place, act_id, "it is in no chain and waits for none"))
    return _checked(tx, ends, None)


def keep_checkpoints(
    tx: Tx, sign: Callable[[Head], str], at: datetime, *, every: timedelta = timedelta(hours=1)
) -> list[Checkpoint]:
    """Have each chain's end signed that has grown since its newest checkpoint, ``every`` at most; gives the new ones.

    sign: the signed note of a head. Keep the notes elsewhere too: whoever rules the database can write all of it anew,
    but not their signatures.
    """
    newest = {one.chain: one for one in store.newest_checkpoints(tx)}
    kept: list[Checkpoint] = []
    for head in store.list_heads(tx):
        last = newest.get(head.chain)
        if last is not None and (last.place >= head.place or at < last.signed_at + every):
            continue
        checkpoint = Checkpoint(head.chain, head.place, at, sign(head))
        if store.add_checkpoint(tx, checkpoint):
            kept.append(checkpoint)
    return kept


def list_checkpoints(tx: Tx) -> list[Checkpoint]:
    """Every signed head, by chain and place."""
    return store.all_checkpoints(tx)


def _fault(one: store.Seal, end: Head) -> str | None:
    if one.place != end.place + 1:
        return f"its seal is gone; the next one is {one.place}"
    if one.act is None:
        return "its act is gone"
    if one.act.chain != one.chain:
        return f"its act says that it is of {one.act.chain}"
    if one.previous != end.hash:
        return "it does not follow the seal before it"
    if digest_of(one.act, one.place, one.previous) != one.hash:
        return "its act is not what was sealed"
    return None


def _checked(tx: Tx, ends: dict[str, Head], broken: Broken | None) -> Checked:
    return Checked(tuple(ends.values()), store.count_waiting(tx), broken)
