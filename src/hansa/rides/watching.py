"""What others read of rides as it comes in: taps, refused codes and broken chains, in the order of their receipt.

The order is (transaction, id), and a reader stops below the oldest transaction that is still running on the server, so
nothing can appear behind its mark. A reader keeps its own mark, in the transaction that did its work.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol
from uuid import UUID

from psycopg.rows import class_row

from hansa.kernel import InvalidInput, Problem
from hansa.rides import tap_runs_store
from hansa.store import Tx

Fault = Literal["gap", "mismatch", "two_taps"]
"""A tap before it never came; its link does not follow from the tap before; the gate made two under one number."""

WATCH_REFUSED_CODES = """
select r.refused_id, o.account_id, r.operator_id, r.gate_id, r.at, r.reason, r.kid, r.cti, r.companion, r.counter,
    r.made_at, r.received_at, r.xid::text::bigint as xid
from rides.refused_codes r
left join rides.tokens o on o.cti = r.cti
where (r.xid, r.refused_id) > (%(xid)s::text::xid8, %(fact_id)s)
    and r.xid < pg_snapshot_xmin(pg_current_snapshot())
order by r.xid, r.refused_id
limit %(limit)s
"""

WATCH_CHAIN_BREAKS = """
select break_id, gate_id, operator_id, sequence, fault, at, found_at, healed_at, told_xid::text::bigint as xid
from rides.chain_breaks
where (told_xid, break_id) > (%(xid)s::text::xid8, %(fact_id)s)
    and told_xid < pg_snapshot_xmin(pg_current_snapshot())
order by told_xid, break_id
limit %(limit)s
"""

BEGIN_ANEW = """
with taps as (update rides.taps set xid = pg_current_xact_id() returning run_id),
    runs as (update rides.tap_runs set xid = pg_current_xact_id() returning count),
    codes as (update rides.refused_codes set xid = pg_current_xact_id() returning 1),
    breaks as (update rides.chain_breaks set told_xid = pg_current_xact_id() where told_xid is not null returning 1),
    marks as (delete from rides.marks)
select (select count(*) from taps where run_id is null) + (select coalesce(sum(count), 0) from runs)
    + (select count(*) from codes) + (select count(*) from breaks)
"""


@dataclass(frozen=True, slots=True, order=True)
class WatchMark:
    """How far a reader has come: the transaction, and the id of the last fact in it."""

    xid: int
    fact_id: UUID


BEGINNING = WatchMark(0, UUID(int=0))
"""Before the first fact."""


@dataclass(frozen=True, slots=True)
class WatchedTap:
    """An accepted code, and the account that its token stands for. companion: 0 for the holder, 1 to 15 for others."""

    tap_id: UUID
    account_id: UUID
    operator_id: str
    gate_id: str
    sequence: int
    action: str
    stop_id: str | None
    tapped_at: datetime
    kid: bytes
    cti: bytes
    companion: int
    counter: int
    made_at: datetime
    list_version: int
    received_at: datetime
    xid: int

    @property
    def mark(self) -> WatchMark:
        """Where to go on reading after this one."""
        return WatchMark(self.xid, self.tap_id)


@dataclass(frozen=True, slots=True)
class WatchedRefusal:
    """A code with good signatures that a gate refused. account_id: None while no issuer has told of its token."""

    refused_id: UUID
    account_id: UUID | None
    operator_id: str
    gate_id: str
    at: datetime
    reason: str
    kid: bytes
    cti: bytes
    companion: int
    counter: int
    made_at: datetime
    received_at: datetime
    xid: int

    @property
    def mark(self) -> WatchMark:
        """Where to go on reading after this one."""
        return WatchMark(self.xid, self.refused_id)


@dataclass(frozen=True, slots=True)
class WatchedBreak:
    """A place where a gate's chain of taps does not hold. at: when the gate made the tap with this sequence number."""

    break_id: UUID
    gate_id: str
    operator_id: str
    sequence: int
    fault: Fault
    at: datetime
    found_at: datetime
    healed_at: datetime | None
    xid: int

    @property
    def mark(self) -> WatchMark:
        """Where to go on reading after this one."""
        return WatchMark(self.xid, self.break_id)


class _Marked(Protocol):
    @property
    def mark(self) -> WatchMark: ...


def watch_taps(tx: Tx, after: WatchMark | None, limit: int) -> tuple[Sequence[WatchedTap], WatchMark]:
    """The next taps after the mark (None: from the first on), and the mark to go on from. Errors: InvalidInput."""
    _values(after, limit)  # refuses a limit of none
    mark = after or BEGINNING
    found = [
        WatchedTap(
            *(
                one.tap_id,
                one.account_id,
                one.operator_id,
                one.gate_id,
                one.sequence,
                one.action,
                one.stop_id,
            ),
            *(one.tapped_at, one.kid, one.cti, one.companion, one.counter, one.made_at, one.list_version),
            *(one.received_at, one.xid),
        )
        for one in tap_runs_store.taps_after(tx, mark.xid, mark.fact_id, limit)
    ]
    return found, _last(found, after)


def watch_refused_codes(
    tx: Tx, after: WatchMark | None, limit: int
) -> tuple[Sequence[WatchedRefusal], WatchMark]:
    """The next refused codes after the mark, and the mark to go on from. Errors: InvalidInput."""
    cursor = tx.cursor(row_factory=class_row(WatchedRefusal))
    rows = cursor.execute(WATCH_REFUSED_CODES, _values(after, limit)).fetchall()
    return rows, _last(rows, after)


def watch_chain_breaks(
    tx: Tx, after: WatchMark | None, limit: int
) -> tuple[Sequence[WatchedBreak], WatchMark]:
    """The next broken places after the mark, and the mark to go on from. A gap is told of once it had time to fill.

    Errors: InvalidInput.
    """
    cursor = tx.cursor(row_factory=class_row(WatchedBreak))
    rows = cursor.execute(WATCH_CHAIN_BREAKS, _values(after, limit)).fetchall()
    return rows, _last(rows, after)


def begin_watching_anew(tx: Tx) -> int:
    """After loading a dump into another server, whose transaction ids begin anew: make all facts of the present.

    They keep their order by id, and each reader must go back to None. Gives how many facts there are.
    """
    row = tx.execute(BEGIN_ANEW).fetchone()
    assert row is not None, "a count has a row"
    return int(row[0])


def _values(after: WatchMark | None, limit: int) -> dict[str, object]:
    if limit < 1:
        problem = Problem("limit", f"it is {limit}", "Ask for at least one")
        raise InvalidInput("Nothing was asked for.", problems=(problem,))
    mark = after or BEGINNING
    return {"xid": str(mark.xid), "fact_id": mark.fact_id, "limit": limit}


def _last(rows: Sequence[_Marked], after: WatchMark | None) -> WatchMark:
    return rows[-1].mark if rows else after or BEGINNING
