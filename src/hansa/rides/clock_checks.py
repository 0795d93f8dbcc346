"""Gates' clocks are checked as taps come in, and the days of taps whose instant turns out otherwise are rated again.

Each tap that came in is held against the gate's taps just before and after it by number. Where instants fall, or a
code disagrees, the blocks of the gate's taps around it are worked out whole (``clocks.correct_clock``), so it does not
matter in which order taps come, and looking again finds nothing new.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from hansa.rides import fresh_taps, rating_store, store, tap_runs_store
from hansa.rides.chains import ADD_MARK, LOCK_MARK, SET_MARK
from hansa.rides.clocks import BLOCK, CODE_OFF, Corrected, GateTap, correct_clock
from hansa.rides.store import DayKey
from hansa.rides.tap_runs import KeptTap
from hansa.rides.tariffs import Tariffs
from hansa.rides.watching import BEGINNING
from hansa.store import Context, Tx

READER = "clocks"

BLOCKS_IN_DOUBT = """
select distinct gate_id, sequence / %s from rides.tap_clocks where gate_id = any(%s)
"""

TAPS_OF_BLOCKS = """
select k.n, t.tap_id, t.sequence, t.tapped_at, t.made_at, t.cti, t.received_at, t.partition, t.account_id,
    t.operator_id
from unnest(%s::text[], %s::bigint[], %s::bigint[]) with ordinality as k (gate_id, low, high, n)
join rides.tap_numbers m on m.gate_id = k.gate_id and m.sequence >= k.low and m.sequence < k.high
join rides.taps t on t.partition = m.partition and t.tap_id = m.tap_id
"""

CLOCKS_OF_BLOCKS = """
select k.n, c.tap_id, c.corrected_at, c.why, c.not_before, c.not_after
from unnest(%s::text[], %s::bigint[]) with ordinality as k (gate_id, block, n)
join rides.tap_clocks c on c.gate_id = k.gate_id and c.sequence >= k.block * %s and c.sequence < (k.block + 1) * %s
"""

KEEP_CLOCKS = """
insert into rides.tap_clocks (partition, tap_id, account_id, operator_id, gate_id, sequence, read_at, corrected_at,
    not_before, not_after, why, found_at)
select *, %s from unnest(%s::smallint[], %s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::bigint[],
    %s::timestamptz[], %s::timestamptz[], %s::timestamptz[], %s::timestamptz[], %s::text[])
    as given (partition, tap_id, account_id, operator_id, gate_id, sequence, read_at, corrected_at, not_before,
        not_after, why)
order by partition, tap_id
on conflict (partition, tap_id) do update set corrected_at = excluded.corrected_at,
    not_before = excluded.not_before, not_after = excluded.not_after, why = excluded.why, found_at = excluded.found_at
"""


@dataclass(frozen=True, slots=True)
class ClockCounts:
    """What one run did: taps looked at, and taps whose instant it corrected anew or otherwise than before."""

    taps: int = 0
    corrected: int = 0


class _Block(NamedTuple):
    gate_id: str
    number: int


class _Owner(NamedTuple):
    """Whose tap it is, and under which key its days are rated."""

    partition: int
    account_id: UUID
    operator_id: str


class _Kept(NamedTuple):
    at: datetime
    why: str
    not_before: datetime | None
    not_after: datetime


def check_clocks(ctx: Context, limit: int = 2_000) -> ClockCounts:
    """Look at up to ``limit`` taps that came in since the last run. Safe to run again, to kill, and beside itself."""
    with ctx.tx() as tx:
        tx.execute(ADD_MARK, (READER, BEGINNING.fact_id))
        mark = tx.execute(LOCK_MARK, (READER,)).fetchone()
        assert mark is not None, "the mark was added"
        new = tap_runs_store.taps_after(tx, mark[0], mark[1], limit)
        if not new:
            return ClockCounts()
        around = _neighbours(tx, new)
        doubted = {
            (one.gate_id, one.sequence // BLOCK)
            for one, (before, after) in zip(new, around, strict=True)
            if _in_doubt(one, before, after)
        }
        known = {(one.gate_id, one.sequence // BLOCK) for one in new}
        gates = sorted({gate_id for gate_id, _ in known})
        for gate_id, number in tx.execute(BLOCKS_IN_DOUBT, (BLOCK, gates)):
            doubted |= known & {(gate_id, number + step) for step in (-2, -1, 0, 1, 2)}
        blocks = {_Block(gate_id, number + step) for gate_id, number in doubted for step in (-1, 0, 1)}
        corrected = _check(tx, sorted(blocks), ctx.clock.now()) if blocks else 0
        tx.execute(SET_MARK, (str(new[-1].xid), new[-1].tap_id, READER))
    return ClockCounts(len(new), corrected)


def _neighbours(tx: Tx, new: Sequence[KeptTap]) -> list[tuple[UUID | None, UUID | None]]:
    """The ids of the taps whose numbers come just before and after each of these."""
    known = {(one.gate_id, one.sequence): one.tap_id for one in new}
    edges = [
        one
        for one in new
        if (one.gate_id, one.sequence - 1) not in known or (one.gate_id, one.sequence + 1) not in known
    ]
    near = tap_runs_store.next_numbers(tx, [one.gate_id for one in edges], [one.sequence for one in edges])
    numbers = {(one.gate_id, one.sequence): pair for one, pair in zip(edges, near, strict=True)}
    asked = sorted(
        {
            (gate_id, number)
            for (gate_id, _), pair in numbers.items()
            for number in pair
            if number is not None and (gate_id, number) not in known
        }
    )
    found = tap_runs_store.taps_by_number(
        tx, [gate_id for gate_id, _ in asked], [number for _, number in asked]
    )
    known |= {(one.gate_id, one.sequence): one.tap_id for one in found}
    around: list[tuple[UUID | None, UUID | None]] = []
    for one in new:
        before, after = numbers.get((one.gate_id, one.sequence), (one.sequence - 1, one.sequence + 1))
        around.append(
            (
                None if before is None else known.get((one.gate_id, before)),
                None if after is None else known.get((one.gate_id, after)),
            )
        )
    return around


def _in_doubt(tap: KeptTap, before: UUID | None, after: UUID | None) -> bool:
    """Whether a tap shows that a clock is wrong. The first 48 bits of a tap's id are its instant in milliseconds."""
    return (
        abs(tap.tapped_at - tap.made_at) > CODE_OFF
        or tap.tapped_at - tap.received_at > CODE_OFF
        or (before is not None and before.int >> 80 > tap.tap_id.int >> 80)
        or (after is not None and after.int >> 80 < tap.tap_id.int >> 80)
    )


def _check(tx: Tx, blocks: Sequence[_Block], now: datetime) -> int:
    """Work these blocks out, each from its own taps and those of its neighbours, and keep what changed."""
    taps: list[list[GateTap]] = [[] for _ in blocks]
    owners: dict[UUID, _Owner] = {}
    gates = [one.gate_id for one in blocks]
    lows = [(one.number - 1) * BLOCK for one in blocks]
    highs = [(one.number + 2) * BLOCK for one in blocks]
    for n, *tap, partition, account_id, operator_id in tx.execute(TAPS_OF_BLOCKS, (gates, lows, highs)):
        taps[n - 1].append(GateTap(*tap))
        owners[tap[0]] = _Owner(partition, account_id, operator_id)
    in_runs: dict[UUID, KeptTap] = {}
    for n, one in tap_runs_store.run_taps_of_ranges(tx, gates, lows, highs):
        taps[n].append(
            GateTap(one.tap_id, one.sequence, one.tapped_at, one.made_at, one.cti, one.received_at)
        )
        owners[one.tap_id] = _Owner(one.partition, one.account_id, one.operator_id)
        in_runs[one.tap_id] = one
    kept: list[dict[UUID, _Kept]] = [{} for _ in blocks]
    numbers = [one.number for one in blocks]
    for n, tap_id, *row in tx.execute(CLOCKS_OF_BLOCKS, (gates, numbers, BLOCK, BLOCK)):
        kept[n - 1][tap_id] = _Kept(*row)
    rows: list[tuple[object, ...]] = []
    moved: list[tuple[_Owner, Iterable[datetime]]] = []
    for block, around, before in zip(blocks, taps, kept, strict=True):
        for one, now_kept in _changes(block, around, before):
            owner = owners[one.tap_id]
            rows.append(
                (
                    *(owner.partition, one.tap_id, owner.account_id, owner.operator_id),
                    *(block.gate_id, one.sequence, one.tapped_at, *now_kept[:1], *now_kept[2:], now_kept.why),
                )
            )
            was = before.get(one.tap_id)
            instants = [one.tapped_at, now_kept.at, *([] if was is None else [was.at])]
            moved.append((owner, instants))
    if rows:
        _give_rows(tx, [in_runs[row[1]] for row in rows if isinstance(row[1], UUID) and row[1] in in_runs])
        tx.execute(KEEP_CLOCKS, (now, *(list(column) for column in zip(*rows, strict=True))))
        _mark(tx, moved, now)
    return len(rows)


def _give_rows(tx: Tx, taps: Sequence[KeptTap]) -> None:
    """Give rows to taps in runs whose clock was wrong: their days are not plain."""
    for partition in sorted({one.partition for one in taps}):
        rating_store.lock_rater(tx, partition)
        numbers = [(one.gate_id, one.sequence) for one in taps if one.partition == partition]
        fresh_taps.give_rows_to(tx, partition, numbers)


def _changes(
    block: _Block, around: Sequence[GateTap], before: Mapping[UUID, _Kept]
) -> Iterable[tuple[GateTap, _Kept]]:
    """The block's taps of which something else is to be kept than is."""
    found: dict[UUID, Corrected] = {one.tap_id: one for one in correct_clock(around)}
    for tap in around:
        if tap.sequence // BLOCK != block.number:
            continue
        one, was = found.get(tap.tap_id), before.get(tap.tap_id)
        if one is not None:
            now_kept = _Kept(one.at, one.why, one.not_before, one.not_after)
        elif was is not None:
            now_kept = _Kept(tap.tapped_at, "right", was.not_before, was.not_after)
        else:
            continue
        if was != now_kept:
            yield tap, now_kept


def _mark(tx: Tx, moved: Iterable[tuple[_Owner, Iterable[datetime]]], now: datetime) -> None:
    """Have the days rated again that these taps lay in and lie in now."""
    tariffs = Tariffs(tx)
    days = {
        DayKey(*owner, tariffs.day_of(owner.operator_id, at))
        for owner, instants in moved
        if tariffs.knows(owner.operator_id)
        for at in instants
    }
    store.mark_days(tx, days, now)
