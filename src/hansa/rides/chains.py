"""Whether each gate's taps hold together: none missing, none altered, none twice.

Every tap is sealed into its gate's chain (`codes.tap_link`), so it is enough to look at neighbours: a tap's link must
follow from the one before it. Each tap that came in is looked at with the tap before it and the tap after it, so the
order in which taps come does not matter, and looking again finds nothing new.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from hansa.codes import CHAIN_START, tap_link
from hansa.kernel import fact_id
from hansa.rides import tap_runs_store
from hansa.rides.model import TapLike
from hansa.rides.tap_runs import KeptTap
from hansa.rides.watching import BEGINNING, Fault, WatchMark
from hansa.store import Context, Tx

GAP_FILLS = timedelta(minutes=15)
"""How long a missing tap may take after the one behind it came, before others are told: batches overtake each other."""

READER = "chains"

ADD_MARK = "insert into rides.marks (reader, xid, fact_id) values (%s, '0'::xid8, %s) on conflict do nothing"

LOCK_MARK = "select xid::text::bigint, fact_id from rides.marks where reader = %s for no key update"

SET_MARK = "update rides.marks set xid = %s::text::xid8, fact_id = %s where reader = %s"

WAITING_BY_NUMBER = """
select w.gate_id, w.sequence
from unnest(%s::text[], %s::bigint[]) as asked (gate_id, sequence)
join rides.waiting_taps w on w.gate_id = asked.gate_id and w.sequence = asked.sequence and w.refused is null
"""

INSERT_BREAKS = """
insert into rides.chain_breaks (break_id, gate_id, operator_id, sequence, fault, at, found_at, told_xid)
select break_id, gate_id, operator_id, sequence, fault, at, %s,
    case when fault <> 'gap' then pg_current_xact_id() end
from unnest(%s::uuid[], %s::text[], %s::text[], %s::bigint[], %s::text[], %s::timestamptz[])
    as given (break_id, gate_id, operator_id, sequence, fault, at)
order by break_id
on conflict do nothing
returning break_id
"""

HEAL_GAPS = """
update rides.chain_breaks b set healed_at = %s
from unnest(%s::text[], %s::bigint[]) as filled (gate_id, sequence)
where b.gate_id = filled.gate_id and b.sequence = filled.sequence + 1 and b.fault = 'gap' and b.healed_at is null
"""

TELL_GAPS = """
update rides.chain_breaks set told_xid = pg_current_xact_id()
where fault = 'gap' and told_xid is null and healed_at is null and found_at <= %s
"""


@dataclass(frozen=True, slots=True)
class ChainCounts:
    """What one run did: taps looked at, places found broken, gaps that were filled, gaps that others are told of."""

    taps: int = 0
    broken: int = 0
    healed: int = 0
    told: int = 0


class _Break(NamedTuple):
    gate_id: str
    operator_id: str
    sequence: int
    fault: Fault
    at: datetime


def check_chains(ctx: Context, limit: int = 2_000) -> ChainCounts:
    """Look at up to ``limit`` taps that came in since the last run, and at gaps that had time to fill.

    A gap is kept at once, healed when its tap comes, and told of after ``GAP_FILLS``. Of a gate whose links do not
    follow, one place an hour of its own time is kept: one is enough to look at the gate, and a device that makes no
    chain at all would leave one for every tap. Safe to run again, to kill, and beside itself.
    """
    now = ctx.clock.now()
    with ctx.tx() as tx:
        mark = _lock_mark(tx)
        new = tap_runs_store.taps_after(tx, mark.xid, mark.fact_id, limit)
        told = tx.execute(TELL_GAPS, (now - GAP_FILLS,)).rowcount
        if not new:
            return ChainCounts(told=told)
        broken = len(_insert(tx, _faults(tx, new), now))
        healed = tx.execute(
            HEAL_GAPS, (now, [one.gate_id for one in new], [one.sequence for one in new])
        ).rowcount
        tx.execute(SET_MARK, (str(new[-1].xid), new[-1].tap_id, READER))
    return ChainCounts(len(new), broken, healed, told)


def note_two_taps(tx: Tx, taps: Iterable[tuple[TapLike, str]], now: datetime) -> None:
    """Keep that gates made another tap under a number that is taken. taps: the later ones, and their operators."""
    breaks = [
        _Break(tap.gate_id, operator, tap.sequence, "two_taps", tap.tapped_at) for tap, operator in taps
    ]
    if breaks:
        _insert(tx, breaks, now)


def _lock_mark(tx: Tx) -> WatchMark:
    tx.execute(ADD_MARK, (READER, BEGINNING.fact_id))
    row = tx.execute(LOCK_MARK, (READER,)).fetchone()
    assert row is not None, "the mark was added"
    return WatchMark(row[0], row[1])


def _faults(tx: Tx, new: Sequence[KeptTap]) -> list[_Break]:
    """What is wrong between these taps and their neighbours."""
    known = {(one.gate_id, one.sequence): one for one in new}
    near = {(one.gate_id, one.sequence + step) for one in new for step in (-1, 1)} - known.keys()
    asked = [gate_id for gate_id, _ in near], [sequence for _, sequence in near]
    after: list[KeptTap] = []
    for one in tap_runs_store.taps_by_number(tx, *asked):
        if (one.gate_id, one.sequence - 1) in known:
            after.append(one)
        known.setdefault((one.gate_id, one.sequence), one)
    waiting: set[tuple[Any, ...]] = set(tx.execute(WAITING_BY_NUMBER, asked).fetchall())
    breaks: list[_Break] = []
    for one in (*new, *after):
        if one.sequence == 1:
            before = CHAIN_START
        else:
            number = one.gate_id, one.sequence - 1
            if number not in known:
                if number not in waiting:
                    breaks.append(_Break(one.gate_id, one.operator_id, one.sequence, "gap", one.tapped_at))
                continue
            before = known[number].chain
        if not _follows(before, one):
            breaks.append(_Break(one.gate_id, one.operator_id, one.sequence, "mismatch", one.tapped_at))
    return breaks


def _follows(before: bytes, tap: KeptTap) -> bool:
    """Whether a tap's link follows from the one before. The books name a gate's stop also where its tap did not."""
    return any(
        tap.chain
        == tap_link(
            before,
            tap_id=tap.tap_id,
            gate_id=tap.gate_id,
            sequence=tap.sequence,
            action=tap.action,
            stop_id=stop_id,
            tapped_at=tap.tapped_at,
            cti=tap.cti,
            counter=tap.counter,
            kid=tap.kid,
            made_at=tap.made_at,
            list_version=tap.list_version,
            companion=tap.companion,
        )
        for stop_id in dict.fromkeys((tap.stop_id, None))
    )


def _insert(tx: Tx, breaks: Iterable[_Break], now: datetime) -> list[UUID]:
    """Keep what is broken, and give what is new."""
    found: dict[UUID, _Break] = {}
    for one in breaks:
        place = one.at.strftime("%Y-%m-%dT%H") if one.fault == "mismatch" else one.sequence
        found.setdefault(fact_id(None, "rides.chain_break", one.gate_id, one.fault, place), one)
    if not found:
        return []
    rows = [(key, *one) for key, one in found.items()]
    columns = [list(column) for column in zip(*rows, strict=True)]
    return [row[0] for row in tx.execute(INSERT_BREAKS, (now, *columns))]
