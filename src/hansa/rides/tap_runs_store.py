"""The SQL of runs of taps: how each reader finds its taps in them, by number, by receipt and by account."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime, time
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
import numpy.typing as npt
from psycopg import Rollback
from psycopg.rows import class_row

from hansa.kernel import service_day
from hansa.rides.bulk_store import DueDays
from hansa.rides.model import Tap
from hansa.rides.tap_runs import (
    FENCED,
    RECORD,
    RIDER_DAY,
    SIZE,
    KeptTap,
    Lying,
    Place,
    kept_taps,
    place_id_of,
    records_of,
)
from hansa.store import Tx
from hansa.store.copying import (
    HEADER,
    POSTGRES_EPOCH_US,
    TRAILER,
    head_of,
    heads,
    instant_of,
    postgres_day,
    rows_of,
    texts,
    us_of,
    uuid_array_text,
)

# -- what runs point to -------------------------------------------------------------------------------------

GET_PLACES = """
select place_id, gate_id, operator_id, action, stop_id, line_id, product from rides.tap_places where place_id = any(%s)
"""

ADD_PLACES = """
insert into rides.tap_places (place_id, gate_id, operator_id, action, stop_id, line_id, product)
select *
from unnest(%s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[])
    as given (place_id, gate_id, operator_id, action, stop_id, line_id, product)
order by place_id
on conflict do nothing
"""

GET_PAYERS = """
select payer_id, rider_class, issuer_id, wallet_currency from rides.tap_payers where payer_id = any(%s)
"""

# Told by a digest of all that a payer is. Another payer of the same digest is not kept, and its taps become rows.
ADD_PAYERS = """
insert into rides.tap_payers (payer_id, rider_class, issuer_id, wallet_currency)
select hashtextextended(rider_class || e'\\x1f' || issuer_id || e'\\x1f' || wallet_currency, 0) as payer_id,
    rider_class, issuer_id, wallet_currency
from (
    select distinct rider_class, issuer_id, wallet_currency from rides.tokens where cti = any(%s)
) as payers
order by payer_id
on conflict do nothing
"""

Payer = tuple[str, str, str]
"""(class, issuer, wallet currency)."""


class Clash(Exception):
    """Two places or payers of one id: whoever comes second is kept in rows."""


def places_of(tx: Tx, ids: Iterable[int]) -> dict[int, Place]:
    """These places, by id."""
    wanted = list(set(ids))
    if not wanted:
        return {}
    return {row[0]: Place(*row[1:]) for row in tx.execute(GET_PLACES, (wanted,), binary=True)}


def keep_places(tx: Tx, places: Sequence[Place]) -> list[int]:
    """Keep these places and give the id of each. Errors: Clash."""
    ids = [place_id_of(place) for place in places]
    wanted = dict(zip(ids, places, strict=True))
    there = places_of(tx, ids)
    new = {key: place for key, place in wanted.items() if key not in there}
    if new:
        columns = [
            list(column) for column in zip(*((key, *place) for key, place in new.items()), strict=True)
        ]
        if tx.execute(ADD_PLACES, columns).rowcount < len(new):
            there |= places_of(tx, new)
    if any(there.get(key, place) != place for key, place in zip(ids, places, strict=True)):
        raise Clash
    return ids


def payers_of(tx: Tx, ids: Iterable[int]) -> dict[int, Payer]:
    """These payers, by id."""
    return {row[0]: (row[1], row[2], row[3]) for row in tx.execute(GET_PAYERS, (list(set(ids)),))}


def keep_payers(tx: Tx, ctis: Sequence[bytes]) -> None:
    """Keep the payers of these tokens, those whose id is not another's."""
    tx.execute(ADD_PAYERS, (list(ctis),))


# -- numbers ------------------------------------------------------------------------------------------------

HEADS = """
select k.gate_id, s.last_sequence
from unnest(%s::text[]) as k (gate_id)
cross join lateral (
    select last_sequence from rides.tap_spans s where s.gate_id = k.gate_id order by s.after desc limit 1
) as s
"""

COPY_SPANS = """
copy rides.tap_spans (after, first_sequence, last_sequence, run_id, gate_id, places) from stdin (format binary)
"""

COPY_RUNS = """
copy rides.tap_runs (partition, run_id, received_at, first_at, last_at, count, fresh, body) from stdin (format binary)
"""

# Spans of numbers that are rows: of each gate those above its head. Whoever finds another's span in the way waits.
CLAIM_SPANS = """
insert into rides.tap_spans (gate_id, after, first_sequence, last_sequence)
select * from unnest(%s::text[], %s::bigint[], %s::bigint[], %s::bigint[])
    as given (gate_id, after, first_sequence, last_sequence)
order by gate_id
on conflict do nothing
"""

# The span around each number says where its tap lies; of the body only the record is read.
BY_NUMBER = """
select asked.n, r.partition, r.run_id, r.received_at, r.xid::text::bigint,
    substring(r.body from spot.number * 142 + 1 for 142)
from unnest(%s::text[], %s::bigint[]) with ordinality as asked (gate_id, sequence, n)
cross join lateral (
    select * from rides.tap_spans s
    where s.gate_id = asked.gate_id and s.after < asked.sequence
    order by s.after desc
    limit 1
) as s
cross join lateral (
    select substring(s.places from ((asked.sequence - s.first_sequence) * 6 + 1)::integer for 6) as six
    where s.first_sequence <= asked.sequence and asked.sequence <= s.last_sequence and s.run_id is not null
    offset 0
) as told
cross join lateral (
    select rides.whole_number(substring(told.six from 1 for 2))::smallint as partition,
        rides.whole_number(substring(told.six from 3 for 4))::integer as number
) as spot
join rides.tap_runs r on r.partition = spot.partition and r.run_id = s.run_id
"""

ROWS_BY_NUMBER = """
select t.partition, t.tap_id, t.account_id, t.operator_id, t.gate_id, t.sequence, t.action, t.stop_id, t.line_id,
    t.product, t.tapped_at, t.cti, t.counter, t.kid, t.made_at, t.list_version, t.chain, t.companion, t.received_at,
    t.xid::text::bigint as xid, n.digest
from unnest(%s::text[], %s::bigint[]) as asked (gate_id, sequence)
join rides.tap_numbers n on n.gate_id = asked.gate_id and n.sequence = asked.sequence
join rides.taps t on t.partition = n.partition and t.tap_id = n.tap_id
"""

# The nearest number before and after each that is taken.
NEXT_NUMBERS = """
select k.n,
    greatest(
        (select sequence from rides.tap_numbers n
            where n.gate_id = k.gate_id and n.sequence < k.sequence order by sequence desc limit 1),
        (select least(last_sequence, k.sequence - 1) from rides.tap_spans s
            where s.gate_id = k.gate_id and s.first_sequence < k.sequence and s.after < k.sequence
                and s.run_id is not null
            order by s.after desc limit 1)
    ),
    least(
        (select sequence from rides.tap_numbers n
            where n.gate_id = k.gate_id and n.sequence > k.sequence order by sequence limit 1),
        (select greatest(k.sequence + 1, own.first_sequence) from (
            select first_sequence, last_sequence, run_id from rides.tap_spans s
            where s.gate_id = k.gate_id and s.after < k.sequence order by s.after desc limit 1
        ) as own where own.last_sequence > k.sequence and own.run_id is not null),
        (select first_sequence from rides.tap_spans s
            where s.gate_id = k.gate_id and s.after >= k.sequence and s.run_id is not null order by s.after limit 1)
    )
from unnest(%s::text[], %s::bigint[]) with ordinality as k (gate_id, sequence, n)
"""

# Numbers of runs within ranges of a gate's.
RANGES = """
select k.n, s.gate_id, greatest(s.first_sequence, k.low), least(s.last_sequence, k.high - 1)
from unnest(%s::text[], %s::bigint[], %s::bigint[]) with ordinality as k (gate_id, low, high, n)
join rides.tap_spans s on s.gate_id = k.gate_id and s.after < k.high and s.last_sequence >= k.low
    and s.after >= coalesce((
        select max(o.after) from rides.tap_spans o where o.gate_id = k.gate_id and o.after < k.low
    ), s.after)
    and s.run_id is not null
"""

LAST_NUMBER = """
select greatest(
    (select max(sequence) from rides.tap_numbers where gate_id = %(gate_id)s),
    (select last_sequence from rides.tap_spans where gate_id = %(gate_id)s and run_id is not null
        order by after desc limit 1)
)
"""

_SPAN, _SPAN_LENGTHS = head_of([("after", ">i8"), ("first", ">i8"), ("last", ">i8"), ("run_id", "V16")], 2)
_RUN, _RUN_LENGTHS = head_of(
    [
        ("partition", ">i2"),
        ("run_id", "V16"),
        ("received_at", ">i8"),
        ("first_at", ">i8"),
        ("last_at", ">i8"),
        ("count", ">i4"),
        ("fresh", "?"),
    ],
    1,
)


def heads_of(tx: Tx, gate_ids: Sequence[str]) -> dict[str, int]:
    """The last number of each gate's last span; a gate without any is left out."""
    return dict(tx.execute(HEADS, (list(gate_ids),)).fetchall())


def add_spans(
    tx: Tx,
    gate_ids: Sequence[str],
    *,
    after: npt.NDArray[np.int64],
    first: npt.NDArray[np.int64],
    last: npt.NDArray[np.int64],
    run_id: UUID,
    spots: bytes,
) -> None:
    """Take these spans of numbers, in order of gate and number. spots: where each number's tap lies, ``SPOT``.

    Errors: UniqueViolation when another took numbers of one of these gates meanwhile.
    """
    rows = heads(_SPAN, _SPAN_LENGTHS, len(gate_ids))
    rows["after"], rows["first"], rows["last"] = after, first, last
    rows["run_id"] = np.frombuffer(run_id.bytes, "V16")[0]
    names = {gate_id: (len(name := gate_id.encode())).to_bytes(4, "big") + name for gate_id in set(gate_ids)}
    lengths = ((last - first + 1) * 6).tolist()
    pieces: list[bytes] = []
    at = 0
    for length in lengths:
        pieces.append(length.to_bytes(4, "big") + spots[at : at + length])
        at += length
    copy_in(tx, COPY_SPANS, rows_of(rows, [names[gate_id] for gate_id in gate_ids], pieces))


def add_run(tx: Tx, partition: int, run_id: UUID, received_us: int, records: npt.NDArray[Any]) -> None:
    """Keep a run, fresh. received_us: since 2000."""
    row = heads(_RUN, _RUN_LENGTHS, 1)
    row["partition"], row["run_id"] = partition, np.frombuffer(run_id.bytes, "V16")[0]
    tapped = records["tapped_at"]
    row["received_at"], row["first_at"], row["last_at"] = received_us, int(tapped.min()), int(tapped.max())
    row["count"], row["fresh"] = len(records), True
    size = (SIZE * len(records)).to_bytes(4, "big")
    with tx.cursor() as cursor, cursor.copy(COPY_RUNS) as copy:
        copy.write(HEADER + row.tobytes() + size)
        copy.write(records.tobytes())
        copy.write(TRAILER)


def copy_in(tx: Tx, statement: Any, rows: bytes) -> None:
    """Write rows that are ready. Errors: UniqueViolation."""
    with tx.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(rows)


def claim_spans(tx: Tx, spans: Sequence[tuple[str, int, int, int]]) -> bool:
    """Take numbers of gates above their heads for taps that are rows; False when another was there first.

    spans: gate, its head, first and last number. Where it is False, some may be taken: roll back.
    """
    columns = [list(column) for column in zip(*spans, strict=True)]
    return tx.execute(CLAIM_SPANS, columns).rowcount == len(spans)


def claim_numbers(tx: Tx, numbers: Iterable[tuple[str, int]]) -> None:
    """See that no run takes these numbers from now on; what a run took before is there to be found.

    What lies above a gate's head is claimed by a span of rows. Below the head runs take nothing.
    """
    ranges: dict[str, list[int]] = {}
    for gate_id, sequence in numbers:
        ranges.setdefault(gate_id, []).append(sequence)
    while True:
        known = heads_of(tx, list(ranges))
        spans: list[tuple[str, int, int, int]] = []
        for gate_id, sequences in sorted(ranges.items()):
            head = known.get(gate_id, 0)
            above = [one for one in sequences if one > head]
            if above:
                spans.append((gate_id, head, min(above), max(above)))
        if not spans:
            return
        with tx.transaction():
            if claim_spans(tx, spans):
                return
            raise Rollback  # all of them are let go, so that nobody waits for one while another waits for them


def find_run_digests(tx: Tx, numbers: Sequence[tuple[str, int]]) -> dict[tuple[str, int], bytes]:
    """The digests of those of these (gate, sequence) whose taps lie in runs."""
    found = run_taps_by_number(tx, [gate_id for gate_id, _ in numbers], [number for _, number in numbers])
    return {(tap.gate_id, tap.sequence): tap.digest for tap in found if tap.digest is not None}


def run_records_by_number(tx: Tx, gate_ids: Sequence[str], sequences: Sequence[int]) -> list[Lying]:
    """The taps under these numbers that lie in runs, as records."""
    return [
        Lying(row[1], row[2], row[3], row[4], row[5])
        for row in tx.execute(BY_NUMBER, (list(gate_ids), list(sequences)), binary=True)
    ]


def run_taps_by_number(tx: Tx, gate_ids: Sequence[str], sequences: Sequence[int]) -> list[KeptTap]:
    """The taps under these numbers that lie in runs."""
    return _taps(tx, run_records_by_number(tx, gate_ids, sequences))


def taps_by_number(tx: Tx, gate_ids: Sequence[str], sequences: Sequence[int]) -> list[KeptTap]:
    """The taps under these numbers, in no order."""
    if not gate_ids:
        return []
    asked = list(gate_ids), list(sequences)
    rows = tx.cursor(row_factory=class_row(KeptTap)).execute(ROWS_BY_NUMBER, asked, binary=True).fetchall()
    return [*rows, *run_taps_by_number(tx, gate_ids, sequences)]


def next_numbers(
    tx: Tx, gate_ids: Sequence[str], sequences: Sequence[int]
) -> list[tuple[int | None, int | None]]:
    """The nearest taken numbers before and after each of these."""
    found: list[tuple[int | None, int | None]] = [(None, None)] * len(gate_ids)
    for n, before, after in tx.execute(NEXT_NUMBERS, (list(gate_ids), list(sequences))):
        found[n - 1] = before, after
    return found


def run_taps_of_ranges(
    tx: Tx, gate_ids: Sequence[str], lows: Sequence[int], highs: Sequence[int]
) -> list[tuple[int, KeptTap]]:
    """The taps in runs with numbers from low up to below high, each with the place of its range, from 0."""
    found: list[tuple[int, KeptTap]] = []
    wanted: dict[tuple[str, int], list[int]] = {}
    for n, gate_id, first, last in tx.execute(RANGES, (list(gate_ids), list(lows), list(highs))):
        for sequence in range(first, last + 1):
            wanted.setdefault((gate_id, sequence), []).append(n - 1)
    if wanted:
        keys = list(wanted)
        for tap in run_taps_by_number(tx, [gate_id for gate_id, _ in keys], [number for _, number in keys]):
            found += [(n, tap) for n in wanted[tap.gate_id, tap.sequence]]
    return found


def last_tap(tx: Tx, gate_id: str) -> KeptTap | None:
    """The tap with a gate's greatest number."""
    row = tx.execute(LAST_NUMBER, {"gate_id": gate_id}).fetchone()
    assert row is not None, "a select without a table has a row"
    if row[0] is None:
        return None
    found = taps_by_number(tx, [gate_id], [row[0]])
    return found[0] if found else None


def _taps(tx: Tx, found: Sequence[Lying]) -> list[KeptTap]:
    ids = np.frombuffer(b"".join([part.records for part in found]), RECORD)["place"]
    return kept_taps(found, places_of(tx, ids.tolist()))


# -- in the order of receipt --------------------------------------------------------------------------------

RUNS_AFTER = """
select xid::text::bigint, sum(count)::bigint, count(*)
from (
    select xid, count from rides.tap_runs
    where xid >= %(xid)s::text::xid8 and xid < %(end)s::text::xid8
    order by xid
    limit %(runs)s
) as next
group by xid
order by xid
"""

RUNS_BETWEEN = """
select partition, run_id, received_at, xid::text::bigint, body
from rides.tap_runs
where xid >= %(xid)s::text::xid8 and xid <= %(last)s::text::xid8
"""

ROWS_AFTER = """
select t.partition, t.tap_id, t.account_id, t.operator_id, t.gate_id, t.sequence, t.action, t.stop_id, t.line_id,
    t.product, t.tapped_at, t.cti, t.counter, t.kid, t.made_at, t.list_version, t.chain, t.companion, t.received_at,
    t.xid::text::bigint as xid
from rides.taps t
where (t.xid, t.tap_id) > (%(xid)s::text::xid8, %(fact_id)s) and t.xid < %(end)s::text::xid8 and t.run_id is null
order by t.xid, t.tap_id
limit %(limit)s
"""

RUNS_AT_ONCE = 1_000


def taps_after(tx: Tx, xid: int, fact_id: UUID, limit: int) -> list[KeptTap]:
    """The next taps after (transaction, id), in that order, below the oldest transaction that is still running."""
    row = tx.execute("select pg_snapshot_xmin(pg_current_snapshot())::text").fetchone()
    assert row is not None, "a snapshot has a start"
    values: dict[str, Any] = {"xid": str(xid), "fact_id": fact_id, "limit": limit, "end": row[0]}
    rows = tx.cursor(row_factory=class_row(KeptTap)).execute(ROWS_AFTER, values, binary=True).fetchall()
    counted = tx.execute(RUNS_AFTER, values | {"runs": RUNS_AT_ONCE}).fetchall()
    if sum(runs for _, _, runs in counted) == RUNS_AT_ONCE and len(counted) > 1:
        counted.pop()  # not all of its runs may have been counted
        rows = [one for one in rows if one.xid <= counted[-1][0]]
    if not counted:
        return rows
    last, ahead = counted[0][0], 0
    for own, taps, _ in counted:
        last = own
        ahead += int(taps) if own > xid else 0
        if ahead >= limit:
            rows = [one for one in rows if one.xid <= last]
            break
    found: list[KeptTap] = []
    parts = [Lying(*row) for row in tx.execute(RUNS_BETWEEN, values | {"last": str(last)}, binary=True)]
    if xid in {part.xid for part in parts} and xid:
        parts = [_behind(part, fact_id) if part.xid == xid else part for part in parts]
    found = _taps(tx, _first(parts, limit))
    return sorted([*rows, *found], key=lambda one: (one.xid, one.tap_id))[:limit]


def _behind(part: Lying, fact_id: UUID) -> Lying:
    """Those of the records whose taps come after an id."""
    records = records_of(part.records)
    ids = np.ascontiguousarray(records["tap_id"]).view("S16")
    return part._replace(records=records[ids > fact_id.bytes].tobytes())


def _first(parts: Sequence[Lying], limit: int) -> list[Lying]:
    """Of each transaction's records only the first ``limit`` by id: no more can be asked for."""
    found: list[Lying] = []
    for part in parts:
        records = records_of(part.records)
        if len(records) > limit:
            ids = np.ascontiguousarray(records["tap_id"]).view("S16")
            records = records[np.argsort(ids, kind="stable")[:limit]]
        found.append(part._replace(records=records.tobytes()))
    return found


# -- days ---------------------------------------------------------------------------------------------------

FRESH_PARTITIONS = "select distinct partition from rides.tap_runs where fresh and received_at <= %s"

TAKE_RUNS = """
with taken as (
    select partition, run_id
    from (
        select partition, run_id, sum(count) over (order by run_id) - count as before
        from rides.tap_runs
        where partition = %(partition)s and fresh and received_at <= %(now)s
    ) as waiting
    where before < %(most)s
)
update rides.tap_runs r set fresh = false
from taken
where r.partition = taken.partition and r.run_id = taken.run_id
returning r.run_id, r.received_at, r.xid::text::bigint, r.body
"""

ADD_RATED = """
insert into rides.rated_taps (partition, operator_id, service_day, piece_id, first_account, last_account, first_at,
    runs, body)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
"""

PIECES_OF = """
select distinct f.runs, f.body
from unnest(%s::uuid[], %s::text[], %s::date[], %s::date[])
    as k (account_id, operator_id, first_day, last_day)
join rides.rated_taps f on f.partition = %s and f.operator_id = k.operator_id
    and f.service_day between k.first_day and k.last_day
    and k.account_id between f.first_account and f.last_account
"""

RECORDS = """
select r.partition, r.run_id, r.received_at, r.xid::text::bigint,
    substring(r.body from k.number * 142 + 1 for 142)
from unnest(%s::uuid[], %s::integer[]) as k (run_id, number)
join rides.tap_runs r on r.partition = %s and r.run_id = k.run_id
"""

RATED_DAYS = """
select partition, service_day, first_at, body
from rides.rated_taps
where operator_id = %(operator_id)s and service_day >= %(first_day)s
    and (%(last_day)s::date is null or service_day <= %(last_day)s)
order by partition, service_day, piece_id
"""

RUNS_OF_TIME = """
select body
from rides.tap_runs
where last_at >= %s and first_at < %s
"""

# Accounts of which more is known than the fresh taps of one day: other days that wait, taps that are rows, journeys of
# the day or a later one, and a ride of the day before that came near.
FIND_MORE = """
select string_agg(int4send((k.n - 1)::integer), ''::bytea)
from unnest(%(accounts)s::uuid[]) with ordinality as k (account_id, n)
where exists (
        select from rides.dirty_days d
        where d.partition = %(partition)s and d.account_id = k.account_id and d.operator_id = %(operator_id)s
    )
    or exists (
        select from rides.taps t
        where t.partition = %(partition)s and t.account_id = k.account_id and t.operator_id = %(operator_id)s
            and t.tapped_at >= %(starts_at)s and t.tapped_at < %(ends_at)s
    )
    or exists (
        select from rides.journeys j
        where j.partition = %(partition)s and j.account_id = k.account_id and j.operator_id = %(operator_id)s
            and j.service_day >= %(service_day)s::date - 1
            and (j.service_day >= %(service_day)s or j.ended_at >= %(starts_at)s)
    )
"""

ANY_RATED = "select exists (select from rides.rated_taps where partition = %s)"


class FreshRun(NamedTuple):
    """A run that rating looks at for the first time."""

    run_id: UUID
    received_at: datetime
    xid: int
    body: bytes


class RatedDay(NamedTuple):
    """Accounts with days that were rated from runs, 16 bytes each, once for each tap."""

    partition: int
    service_day: date
    first_at: datetime
    accounts: npt.NDArray[Any]


def fresh_partitions(tx: Tx, now: datetime) -> list[int]:
    """Partitions with runs that rating has not looked at."""
    return [row[0] for row in tx.execute(FRESH_PARTITIONS, (now,))]


def take_runs(tx: Tx, partition: int, now: datetime, most: int) -> list[FreshRun]:
    """Fresh runs in the order in which they came, at least one, else about ``most`` taps; they are fresh no more."""
    values = {"partition": partition, "now": now, "most": most}
    found = [FreshRun(*row) for row in tx.execute(TAKE_RUNS, values, binary=True)]
    return sorted(found, key=lambda run: run.run_id)


def find_more(tx: Tx, partition: int, days: DueDays, span: tuple[datetime, datetime]) -> npt.NDArray[Any]:
    """Places of those accounts of which more is known around a day than its fresh taps.

    span: the day, with the longest journey before and after.
    """
    values = {
        "accounts": uuid_array_text(days.accounts),
        "partition": partition,
        "operator_id": days.operator_id,
        "service_day": days.service_day,
        "starts_at": span[0],
        "ends_at": span[1],
    }
    row = tx.execute(FIND_MORE, values, binary=True).fetchone()
    return np.frombuffer(row[0] if row is not None and row[0] is not None else b"", ">i4")


def add_rated(
    tx: Tx,
    partition: int,
    operator_id: str,
    service_day: date,
    piece_id: UUID,
    first_at: datetime,
    runs: Sequence[UUID],
    fenced: npt.NDArray[Any],
) -> None:
    """Keep where taps of a rated day lie. fenced: ``FENCED``, in order of account."""
    ends = (UUID(bytes=fenced["account"][place].tobytes()) for place in (0, -1))
    tx.execute(
        ADD_RATED,
        (partition, operator_id, service_day, piece_id, *ends, first_at, list(runs), fenced.tobytes()),
        binary=True,
    )


def rated_records(tx: Tx, partition: int, keys: Iterable[tuple[UUID, str, date, date]]) -> list[Lying]:
    """The taps of accounts with operators, of days rated from runs. keys: account, operator, first and last day."""
    asked = list(keys)
    row = tx.execute(ANY_RATED, (partition,)).fetchone()
    if not asked or row is None or not row[0]:
        return []
    columns = [list(column) for column in zip(*asked, strict=True)]
    wanted = np.unique(np.frombuffer(b"".join([key[0].bytes for key in asked]), "S16"))
    spots: set[tuple[UUID, int]] = set()
    for runs, body in tx.execute(PIECES_OF, (*columns, partition), binary=True):
        fenced = np.frombuffer(body, FENCED)
        accounts = np.ascontiguousarray(fenced["account"]).view("S16")
        at = np.minimum(np.searchsorted(wanted, accounts), len(wanted) - 1)
        for one in fenced[wanted[at] == accounts]:
            spots.add((runs[int(one["run"])], int(one["number"])))
    if not spots:
        return []
    values = [run_id for run_id, _ in spots], [number for _, number in spots], partition
    return [Lying(*row) for row in tx.execute(RECORDS, values, binary=True)]


def taps_of_rated(
    tx: Tx, partition: int, key: tuple[UUID, str, date, date], ids: Collection[UUID]
) -> list[Tap]:
    """Taps by id of an account's days rated from runs. key: as in ``rated_records``."""
    return [
        Tap(
            *(one.tap_id, one.gate_id, one.sequence, one.action, one.stop_id, one.tapped_at, one.cti),
            *(one.counter, one.kid, one.made_at, one.list_version, one.chain, one.companion),
        )
        for one in _taps(tx, rated_records(tx, partition, [key]))
        if one.tap_id in ids
    ]


def rated_days(tx: Tx, operator_id: str, first_day: date, last_day: date | None) -> Iterable[RatedDay]:
    """An operator's days that were rated from runs, piece by piece."""
    values = {"operator_id": operator_id, "first_day": first_day, "last_day": last_day}
    for partition, day, first_at, body in tx.execute(RATED_DAYS, values, binary=True):
        yield RatedDay(partition, day, first_at, np.frombuffer(body, FENCED)["account"])


def count_of_runs(
    tx: Tx, spans: Mapping[str, tuple[datetime, datetime]], slot_s: int
) -> dict[str, list[tuple[Place, int, int]]]:
    """How many taps in runs each operator had within its span, by place and slot: (place, slot, count).

    Slots are so many seconds long, counted from the start of the span.
    """
    first, last = min(span[0] for span in spans.values()), max(span[1] for span in spans.values())
    counted: dict[tuple[int, int], int] = {}
    places: dict[int, Place] = {}
    with tx.cursor(binary=True) as cursor:
        for (body,) in cursor.stream(RUNS_OF_TIME, (first, last)):
            records = records_of(body)
            minutes = records["tapped_at"].astype(np.int64) // 1_000_000
            keys, counts = np.unique(
                np.stack([records["place"].astype(np.int64), minutes], axis=1), axis=0, return_counts=True
            )
            for (key, second), count in zip(keys.tolist(), counts.tolist(), strict=True):
                counted[key, second] = counted.get((key, second), 0) + count
    places = places_of(tx, {key for key, _ in counted})
    found: dict[str, list[tuple[Place, int, int]]] = {operator_id: [] for operator_id in spans}
    for (key, second), count in counted.items():
        place = places[key]
        if place.operator_id not in spans:
            continue
        starts_s, ends_s = ((us_of(at) - POSTGRES_EPOCH_US) // 1_000_000 for at in spans[place.operator_id])
        if starts_s <= second < ends_s:
            found[place.operator_id].append((place, (second - starts_s) // slot_s, count))
    return found


def rider_days(
    tx: Tx, operator_id: str, tz: str, day_starts: time, span: tuple[datetime, datetime]
) -> tuple[npt.NDArray[Any], int]:
    """The service days of accounts with taps in runs, ``RIDER_DAY`` each once, of an operator; and how many taps."""
    found: list[npt.NDArray[Any]] = [np.empty(0, RIDER_DAY)]
    own: dict[int, bool] = {}
    days: dict[int, int] = {}
    taps = 0
    bodies = [row[0] for row in tx.execute(RUNS_OF_TIME, span, binary=True)]
    for body in bodies:
        records = records_of(body)
        ids, places = np.unique(records["place"].astype(np.int64), return_inverse=True)
        new = [one for one in ids.tolist() if one not in own]
        own |= {key: place.operator_id == operator_id for key, place in places_of(tx, new).items()}
        tapped = records["tapped_at"].astype(np.int64)
        low, high = (us_of(at) - POSTGRES_EPOCH_US for at in span)
        mine = np.array([own[one] for one in ids.tolist()])[places] & (tapped >= low) & (tapped < high)
        minutes, of = np.unique(tapped[mine] // 60_000_000, return_inverse=True)
        for minute in minutes.tolist():
            if minute not in days:
                at = instant_of(minute * 60_000_000 + POSTGRES_EPOCH_US)
                days[minute] = postgres_day(service_day(at, tz, day_starts))
        rows = np.empty(int(mine.sum()), RIDER_DAY)
        halves = np.ascontiguousarray(records["account"][mine]).view(">u8").reshape(-1, 2)
        rows["high"], rows["low"] = halves[:, 0], halves[:, 1]
        rows["day"] = np.array([days[one] for one in minutes.tolist()], np.int64)[of]
        taps += len(rows)
        found.append(np.unique(rows))
    return np.unique(np.concatenate(found)), taps


# -- taps that become rows ----------------------------------------------------------------------------------

THERE = "select tap_id from rides.taps where partition = %s and tap_id = any(%s::uuid[])"

COPY_OUT = """
copy rides.taps (partition, tap_id, account_id, sequence, tapped_at, cti, counter, kid, made_at, list_version, chain,
    companion, received_at, run_id, xid, operator_id, gate_id, action, stop_id, line_id, product)
from stdin (format binary)
"""

_ROW, _ROW_LENGTHS = head_of(
    [
        ("partition", ">i2"),
        ("tap_id", "V16"),
        ("account", "V16"),
        ("sequence", ">i8"),
        ("tapped_at", ">i8"),
        ("cti", ">u8"),
        ("counter", ">i4"),
        ("kid", "V4"),
        ("made_at", ">i8"),
        ("list_version", ">i4"),
        ("chain", "V32"),
        ("companion", ">i2"),
        ("received_at", ">i8"),
        ("run_id", "V16"),
        ("xid", ">u8"),
    ],
    6,
)


class OwnRows(NamedTuple):
    """Records that are to become rows, with what stands beside them. received_at: microseconds since 2000."""

    records: npt.NDArray[Any]
    received_at: npt.NDArray[np.int64]
    run_ids: npt.NDArray[Any]
    xids: npt.NDArray[np.int64]


def copy_out(tx: Tx, partition: int, rows: OwnRows, places: Mapping[int, Place]) -> None:
    """Give these taps rows, those that have none. Whoever calls is the partition's one rater."""
    records = rows.records
    if not len(records):
        return
    ids = np.ascontiguousarray(records["tap_id"])
    there = {
        row[0].bytes for row in tx.execute(THERE, (partition, uuid_array_text(ids.tobytes())), binary=True)
    }
    if there:
        new = np.array([one not in there for one in ids.tolist()], np.bool_)
        rows = OwnRows(records[new], rows.received_at[new], rows.run_ids[new], rows.xids[new])
        records = rows.records
    made = heads(_ROW, _ROW_LENGTHS, len(records))
    made["partition"] = partition
    for name in (
        *("tap_id", "account", "sequence", "tapped_at", "cti", "counter", "kid", "made_at", "list_version"),
        *("chain", "companion"),
    ):
        made[name] = records[name]
    made["received_at"], made["run_id"], made["xid"] = rows.received_at, rows.run_ids, rows.xids
    tails = {key: texts(place.operator_id, place.gate_id, *place[2:]) for key, place in places.items()}
    copy_in(tx, COPY_OUT, rows_of(made, [tails[key] for key in records["place"].tolist()]))


def own_rows(found: Sequence[Lying]) -> OwnRows:
    """Records of several runs as rows."""
    counts = [len(part.records) // SIZE for part in found]
    received = [us_of(part.received_at) - POSTGRES_EPOCH_US for part in found]
    return OwnRows(
        np.frombuffer(b"".join([part.records for part in found]), RECORD),
        np.repeat(np.array(received, np.int64), counts),
        np.repeat(np.frombuffer(b"".join([part.run_id.bytes for part in found]), "V16"), counts),
        np.repeat(np.array([part.xid for part in found], np.int64), counts),
    )
