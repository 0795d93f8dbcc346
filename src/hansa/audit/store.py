"""SQL of the audit record. Acts, seals and checkpoints are inserted and never changed; the database refuses it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.rows import class_row

from hansa.audit.model import Checkpoint, Head, KeptAct, canonical_json
from hansa.store import Tx

ADD = """
with added as (
    insert into audit.acts (act_id, chain, at, actor, action, subject, reason, details)
    select act_id, chain, at, actor, action, subject, reason, details::jsonb
    from unnest(%(act_ids)s::uuid[], %(chains)s::text[], %(ats)s::timestamptz[], %(actors)s::text[],
                %(actions)s::text[], %(subjects)s::text[], %(reasons)s::text[], %(details)s::text[])
         with ordinality as fresh (act_id, chain, at, actor, action, subject, reason, details, place)
)
insert into audit.waiting (act_id)
select act_id from unnest(%(act_ids)s::uuid[]) with ordinality as fresh (act_id, place) order by place
"""

# Whatever is committed and not sealed, oldest first. What another sealer has under way is passed over.
TAKE_WAITING = """
with next as (
    select seq, act_id from audit.waiting order by seq limit %s for update skip locked
), gone as (
    delete from audit.waiting using next where waiting.seq = next.seq returning waiting.seq, waiting.act_id
)
select act_id, chain, at, actor, action, subject, reason, details
from gone join audit.acts using (act_id)
order by seq
"""

MAKE_HEADS = """
insert into audit.heads (chain, place, hash)
select chain, 0, '\\x0000000000000000000000000000000000000000000000000000000000000000'::bytea
from unnest(%s::text[]) as chain order by chain
on conflict (chain) do nothing
"""

LOCK_HEADS = """
select chain, place, hash from audit.heads where chain = any(%s) order by chain for no key update
"""

ADD_SEALS = """
insert into audit.seals (chain, place, act_id, previous, hash)
select * from unnest(%s::text[], %s::bigint[], %s::uuid[], %s::bytea[], %s::bytea[])
"""

MOVE_HEADS = """
update audit.heads set place = fresh.place, hash = fresh.hash
from unnest(%s::text[], %s::bigint[], %s::bytea[]) as fresh (chain, place, hash)
where heads.chain = fresh.chain
"""

HEADS = "select chain, place, hash from audit.heads where place > 0 order by chain"

WAITING = "select count(*) from audit.waiting"

SEALED = """
select seals.chain, seals.place, seals.act_id, seals.previous, seals.hash,
       acts.chain, acts.at, acts.actor, acts.action, acts.subject, acts.reason, acts.details
from audit.seals left join audit.acts using (act_id)
order by seals.chain, seals.place
"""

NEVER_SEALED = """
select acts.chain, acts.act_id from audit.acts
where not exists (select from audit.seals where seals.act_id = acts.act_id)
  and not exists (select from audit.waiting where waiting.act_id = acts.act_id)
order by acts.at, acts.act_id limit 1
"""

SEARCH = """
select acts.act_id, acts.chain, acts.at, actor, action, subject, reason, details, place, hash
from audit.acts left join audit.seals on seals.act_id = acts.act_id
where (%(chain)s::text is null or acts.chain = %(chain)s)
  and (%(actor)s::text is null or actor = %(actor)s)
  and (%(action)s::text is null or action = %(action)s or action like %(action)s || '.%%')
  and (%(subject)s::text is null or subject = %(subject)s)
  and (%(words)s::text is null
       or position(lower(%(words)s) in lower(concat_ws(' ', actor, action, subject, reason, details::text))) > 0)
  and (%(since)s::timestamptz is null or acts.at >= %(since)s)
  and (%(until)s::timestamptz is null or acts.at < %(until)s)
  and (%(before_at)s::timestamptz is null or (acts.at, acts.act_id) < (%(before_at)s, %(before_id)s::uuid))
order by acts.at desc, acts.act_id desc
limit %(limit)s
"""

FIND = """
select acts.act_id, acts.chain, at, actor, action, subject, reason, details, place, hash
from audit.acts left join audit.seals on seals.act_id = acts.act_id
where acts.act_id = %s
"""

ADD_CHECKPOINT = """
insert into audit.checkpoints (chain, place, signed_at, note) values (%s, %s, %s, %s) on conflict do nothing
"""

CHECKPOINTS = """
select distinct on (chain) chain, place, signed_at, note from audit.checkpoints order by chain, place desc
"""

ALL_CHECKPOINTS = "select chain, place, signed_at, note from audit.checkpoints order by chain, place"


@dataclass(frozen=True, slots=True)
class Seal:
    """A seal as it stands, with its act where that is there."""

    chain: str
    place: int
    act_id: UUID
    previous: bytes
    hash: bytes
    act: KeptAct | None


def add_acts(tx: Tx, acts: Sequence[KeptAct]) -> None:
    """Write acts, and that they wait for a seal."""
    tx.execute(
        ADD,
        {
            "act_ids": [act.act_id for act in acts],
            "chains": [act.chain for act in acts],
            "ats": [act.at for act in acts],
            "actors": [act.actor for act in acts],
            "actions": [act.action for act in acts],
            "subjects": [act.subject for act in acts],
            "reasons": [act.reason for act in acts],
            "details": [canonical_json(act.details) for act in acts],
        },
    )


def take_waiting(tx: Tx, limit: int) -> list[KeptAct]:
    """Acts that wait for a seal, which they do no more if this transaction commits."""
    return tx.cursor(row_factory=class_row(KeptAct)).execute(TAKE_WAITING, (limit,)).fetchall()


def lock_heads(tx: Tx, chains: Sequence[str]) -> list[Head]:
    """The ends of these chains, locked in their order; a chain that is new ends at place 0."""
    tx.execute(MAKE_HEADS, (list(chains),))
    return tx.cursor(row_factory=class_row(Head)).execute(LOCK_HEADS, (list(chains),)).fetchall()


def add_seals(tx: Tx, seals: Sequence[tuple[str, int, UUID, bytes, bytes]], heads: Sequence[Head]) -> None:
    """Add seals (chain, place, act, seal before, seal), and move the chains' ends."""
    tx.execute(ADD_SEALS, [list(column) for column in zip(*seals, strict=True)])
    tx.execute(
        MOVE_HEADS, ([one.chain for one in heads], [one.place for one in heads], [one.hash for one in heads])
    )


def list_heads(tx: Tx) -> list[Head]:
    """Where each chain ends, by name."""
    return tx.cursor(row_factory=class_row(Head)).execute(HEADS).fetchall()


def count_waiting(tx: Tx) -> int:
    """How many acts no seal covers yet."""
    row = tx.execute(WAITING).fetchone()
    assert row is not None
    return row[0]


def read_seals(tx: Tx) -> Iterator[Seal]:
    """All seals with their acts, chain by chain in order, in little memory."""
    with tx.cursor(name="audit_seals") as cursor:
        cursor.itersize = 5_000
        for chain, place, act_id, previous, hash_, own_chain, *rest in cursor.execute(SEALED):
            act = None if own_chain is None else KeptAct(act_id, own_chain, *rest)
            yield Seal(chain, place, act_id, bytes(previous), bytes(hash_), act)


def find_never_sealed(tx: Tx) -> tuple[str, UUID] | None:
    """An act that is neither sealed nor waits for it, with its chain."""
    row = tx.execute(NEVER_SEALED).fetchone()
    return None if row is None else (row[0], row[1])


def search_acts(
    tx: Tx,
    *,
    chain: str | None,
    actor: str | None,
    action: str | None,
    subject: str | None,
    words: str | None,
    since: datetime | None,
    until: datetime | None,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> list[KeptAct]:
    """Acts that fit, newest first; None asks for nothing."""
    before_at, before_id = before or (None, None)
    values = {
        "chain": chain,
        "actor": actor,
        "action": action,
        "subject": subject,
        "words": words,
        "since": since,
        "until": until,
        "before_at": before_at,
        "before_id": before_id,
        "limit": limit,
    }
    return tx.cursor(row_factory=class_row(KeptAct)).execute(SEARCH, values).fetchall()


def find_act(tx: Tx, act_id: UUID) -> KeptAct | None:
    """One act, or None."""
    return tx.cursor(row_factory=class_row(KeptAct)).execute(FIND, (act_id,)).fetchone()


def add_checkpoint(tx: Tx, checkpoint: Checkpoint) -> bool:
    """Keep a signed head; gives whether it is new."""
    values = (checkpoint.chain, checkpoint.place, checkpoint.signed_at, checkpoint.note)
    return tx.execute(ADD_CHECKPOINT, values).rowcount == 1


def newest_checkpoints(tx: Tx) -> list[Checkpoint]:
    """The newest signed head of each chain."""
    return tx.cursor(row_factory=class_row(Checkpoint)).execute(CHECKPOINTS).fetchall()


def all_checkpoints(tx: Tx) -> list[Checkpoint]:
    """Every signed head, by chain and place."""
    return tx.cursor(row_factory=class_row(Checkpoint)).execute(ALL_CHECKPOINTS).fetchall()
