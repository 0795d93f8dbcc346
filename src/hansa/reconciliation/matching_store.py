"""The SQL of members' files: their rows and ours, what belongs together, and what is left."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

import psycopg
from psycopg.rows import class_row

from hansa.reconciliation.profiles import Rule
from hansa.reconciliation.rules import Found, Row
from hansa.store import Tx

Side = Literal["o", "t"]

ADD_PROFILE = """
insert into reconciliation.profiles (member_id, version, profile, set_by, set_at)
select %(member)s, 1 + coalesce(max(version), 0), %(profile)s, %(by)s, %(at)s
from reconciliation.profiles where member_id = %(member)s
returning version
"""

PROFILE = """
select version, profile from reconciliation.profiles where member_id = %s order by version desc limit 1
"""

ADD_FILE = """
insert into reconciliation.files
    (file_id, member_id, first_day, last_day, name, digest, profile_version, theirs, ours, read_by, read_at)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""

FILES = """
select f.file_id, f.member_id, f.first_day, f.last_day, f.name, f.digest, f.theirs, f.ours, f.read_by, f.read_at,
    exists (select from reconciliation.files l where l.member_id = f.member_id and l.first_day = f.first_day
        and l.last_day = f.last_day and l.number > f.number) as superseded
from reconciliation.files f
where (%(file)s::uuid is null or f.file_id = %(file)s)
    and (%(member)s::text is null or f.member_id = %(member)s)
order by f.number desc
limit %(limit)s
"""

COPY_ROWS = """
copy reconciliation.rows (file_id, side, n, ref, minor, currency, at, transfer_id, words) from stdin
"""

DOUBLE_IDS = """
select ref, min(n), max(n), count(*)
from reconciliation.rows
where file_id = %s and side = 't'
group by ref having count(*) > 1
order by min(n) limit %s
"""

# A row is free where it is in no match that stands.
MATCH_BY_ID = """
with free as materialized (
    select r.side, r.n, r.ref, r.minor, r.currency, r.at
    from reconciliation.rows r
    where r.file_id = %(file)s and (cardinality(%(currencies)s::text[]) = 0 or r.currency = any(%(currencies)s))
        and not exists (select from reconciliation.matched m
            where m.file_id = r.file_id and m.side = r.side and m.n = r.n)
), together as materialized (
    select ref, currency, sum(case side when 't' then minor else -minor end)::bigint as difference,
        %(base)s + row_number() over (order by ref, currency) as match_no
    from free
    group by ref, currency
    having count(*) filter (where side = 't') > 0 and count(*) filter (where side = 'o') > 0
        and abs(sum(case side when 't' then minor else -minor end)) <= %(tolerance)s
        and max(at) - min(at) <= make_interval(days => %(days)s)
), added as (
    insert into reconciliation.matches
        (file_id, match_no, rule, difference_minor, why, made_by, made_at)
    select %(file)s, match_no, %(rule)s, difference, '', %(by)s, %(at)s from together
)
insert into reconciliation.matched (file_id, side, n, turn, match_no)
select %(file)s, f.side, f.n, 0, t.match_no from free f join together t using (ref, currency)
"""

FREE = """
select r.n, r.ref, r.minor, r.currency, r.at
from reconciliation.rows r
where r.file_id = %(file)s and r.side = %(side)s and r.n > %(after)s
    and not exists (select from reconciliation.matched m
        left join reconciliation.undone u using (file_id, match_no)
        where m.file_id = r.file_id and m.side = r.side and m.n = r.n and u.match_no is null)
order by r.n
limit %(limit)s
"""

LAST_MATCH = "select coalesce(max(match_no), 0) from reconciliation.matches where file_id = %s"

ADD_MATCHES = """
insert into reconciliation.matches
    (file_id, match_no, rule, difference_minor, why, made_by, seconded_by, made_at)
select %s, match_no, %s, difference, %s, %s, %s, %s
from unnest(%s::bigint[], %s::bigint[]) as given (match_no, difference)
"""

ADD_MATCHED = """
insert into reconciliation.matched (file_id, side, n, turn, match_no)
select %(file)s, side, n,
    (select count(*) from reconciliation.matched m join reconciliation.undone u using (file_id, match_no)
        where m.file_id = %(file)s and m.side = given.side and m.n = given.n),
    match_no
from unnest(%(sides)s::char(1)[], %(ns)s::bigint[], %(matches)s::bigint[]) as given (side, n, match_no)
"""

ROWS_AMONG = """
select n, ref, minor, currency, at from reconciliation.rows where file_id = %s and side = %s and n = any(%s)
order by n
"""

SUMMARY = """
select m.rule, count(*), sum(abs(m.difference_minor))::bigint
from reconciliation.matches m
left join reconciliation.undone u using (file_id, match_no)
where m.file_id = %s and u.match_no is null
group by m.rule
order by min(m.match_no)
"""

LEFT = """
select r.side, r.currency, greatest(0, floor(extract(epoch from %(now)s - r.at) / 86400))::integer as days,
    count(*), sum(r.minor)::bigint
from reconciliation.rows r
where r.file_id = %(file)s
    and not exists (select from reconciliation.matched m
        left join reconciliation.undone u using (file_id, match_no)
        where m.file_id = r.file_id and m.side = r.side and m.n = r.n and u.match_no is null)
group by r.side, r.currency, days
order by r.side, r.currency, days
"""

LIST_MATCHES = """
select m.match_no, m.rule, m.difference_minor, m.why, m.made_by, m.seconded_by, m.made_at,
    array(select n from reconciliation.matched d where d.file_id = m.file_id and d.match_no = m.match_no and side = 'o'
        order by n) as ours,
    array(select n from reconciliation.matched d where d.file_id = m.file_id and d.match_no = m.match_no and side = 't'
        order by n) as theirs,
    u.match_no is not null as undone
from reconciliation.matches m
left join reconciliation.undone u using (file_id, match_no)
where m.file_id = %(file)s and (%(match)s::bigint is null or m.match_no = %(match)s)
    and (not %(apart)s or m.difference_minor <> 0 or m.rule = 'by hand')
order by m.match_no
limit %(limit)s
"""

ADD_UNDONE = """
insert into reconciliation.undone (file_id, match_no, why, made_by, seconded_by, made_at)
values (%s, %s, %s, %s, %s, %s)
on conflict do nothing
"""

ADD_PROPOSAL = """
insert into reconciliation.proposals (proposal_id, file_id, what, ours, theirs, match_no, why, made_by, made_at)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
on conflict do nothing
"""

PROPOSALS = """
select p.proposal_id, p.file_id, p.what, p.ours, p.theirs, p.match_no, p.why, p.made_by, p.made_at,
    coalesce(d.decision, '') as decision, coalesce(d.decided_by, '') as decided_by
from reconciliation.proposals p
left join reconciliation.decisions d using (proposal_id)
where (%(proposal)s::uuid is null or p.proposal_id = %(proposal)s)
    and (%(file)s::uuid is null or p.file_id = %(file)s)
    and (not %(open)s or d.proposal_id is null)
order by p.made_at, p.proposal_id
limit %(limit)s
"""

ADD_DECISION = """
insert into reconciliation.decisions (proposal_id, decision, why, decided_by, decided_at)
values (%s, %s, %s, %s, %s)
on conflict do nothing
"""

LOCK_FILE = "select from reconciliation.files where file_id = %s for no key update"


@dataclass(frozen=True, slots=True)
class MemberFile:
    """A member's file about business days. theirs, ours: rows of either side. superseded: a later one stands for it."""

    file_id: UUID
    member_id: str
    first_day: date
    last_day: date
    name: str
    digest: bytes
    theirs: int
    ours: int
    read_by: str
    read_at: datetime
    superseded: bool


@dataclass(frozen=True, slots=True)
class Match:
    """Rows that belong together. difference_minor: theirs less ours. seconded_by: the second person, by hand."""

    match_no: int
    rule: str
    difference_minor: int
    why: str
    made_by: str
    seconded_by: str
    made_at: datetime
    ours: list[int]
    theirs: list[int]
    undone: bool


@dataclass(frozen=True, slots=True)
class Proposal:
    """What one person wants matched, or undone. decision: empty until a second person decides."""

    proposal_id: UUID
    file_id: UUID
    what: Literal["match", "undo"]
    ours: list[int]
    theirs: list[int]
    match_no: int | None
    why: str
    made_by: str
    made_at: datetime
    decision: str
    decided_by: str


def add_profile(tx: Tx, member_id: str, profile: str, *, by: str, at: datetime) -> int:
    """Keep a profile as a member's newest; its version."""
    row = tx.execute(ADD_PROFILE, {"member": member_id, "profile": profile, "by": by, "at": at}).fetchone()
    assert row is not None, "an insert returns its row"
    return row[0]


def find_profile(tx: Tx, member_id: str) -> tuple[int, str] | None:
    """A member's newest profile: version and text."""
    row = tx.execute(PROFILE, (member_id,)).fetchone()
    return None if row is None else (row[0], row[1])


def add_file(tx: Tx, file: MemberFile, profile_version: int) -> None:
    """Keep a file."""
    tx.execute(
        ADD_FILE,
        (
            file.file_id,
            file.member_id,
            file.first_day,
            file.last_day,
            file.name,
            file.digest,
            profile_version,
            file.theirs,
            file.ours,
            file.read_by,
            file.read_at,
        ),
    )


def list_files(
    tx: Tx, *, file_id: UUID | None = None, member_id: str | None = None, limit: int = 100
) -> list[MemberFile]:
    """Members' files, latest first."""
    with tx.cursor(row_factory=class_row(MemberFile)) as cursor:
        values = {"file": file_id, "member": member_id, "limit": limit}
        return cursor.execute(FILES, values).fetchall()


def copy_rows(
    tx: Tx, rows: Iterable[tuple[UUID, Side, int, str, int, str, datetime, UUID | None, str]]
) -> int:
    """Keep rows of a file; how many."""
    count = 0
    with tx.cursor() as cursor, cursor.copy(COPY_ROWS) as copy:
        for row in rows:
            copy.write_row(row)
            count += 1
    return count


def double_ids(tx: Tx, file_id: UUID, limit: int) -> list[tuple[str, int, int, int]]:
    """Ids that a member's rows have more than once: the id, its first and its last row, and how often."""
    return tx.execute(DOUBLE_IDS, (file_id, limit)).fetchall()


def match_by_id(tx: Tx, file_id: UUID, rule: Rule, *, by: str, at: datetime) -> None:
    """Match what has one id on both sides, added up. Only for files of which nothing is undone."""
    tx.execute(
        MATCH_BY_ID,
        {
            "file": file_id,
            "currencies": list(rule.currencies),
            "base": last_match(tx, file_id),
            "tolerance": rule.tolerance_minor,
            "days": rule.days,
            "rule": rule.name,
            "by": by,
            "at": at,
        },
    )


def free_rows(tx: Tx, file_id: UUID, side: Side, *, after: int = 0, limit: int) -> list[Row]:
    """Rows of a side that are in no match."""
    values = {"file": file_id, "side": side, "after": after, "limit": limit}
    return [Row(*row) for row in tx.execute(FREE, values).fetchall()]


def rows_among(tx: Tx, file_id: UUID, side: Side, ns: Sequence[int]) -> list[Row]:
    """Those of these rows that there are."""
    return [Row(*row) for row in tx.execute(ROWS_AMONG, (file_id, side, list(ns))).fetchall()]


def last_match(tx: Tx, file_id: UUID) -> int:
    """The number of a file's latest match; zero for none."""
    row = tx.execute(LAST_MATCH, (file_id,)).fetchone()
    assert row is not None, "an aggregate returns a row"
    return row[0]


def add_matches(
    tx: Tx,
    file_id: UUID,
    rule: str,
    found: Sequence[Found],
    *,
    why: str,
    by: str,
    seconded_by: str,
    at: datetime,
) -> bool:
    """Keep what belongs together; False where a row of it is in a match that stands, and then none is kept."""
    first = last_match(tx, file_id) + 1
    numbers = list(range(first, first + len(found)))
    rows = [
        (side, n, number)
        for number, one in zip(numbers, found, strict=True)
        for side, keys in (("o", one.ours), ("t", one.theirs))
        for n in keys
    ]
    try:
        with tx.transaction():
            tx.execute(
                ADD_MATCHES,
                (
                    file_id,
                    rule,
                    why,
                    by,
                    seconded_by,
                    at,
                    numbers,
                    [one.difference_minor for one in found],
                ),
            )
            tx.execute(
                ADD_MATCHED,
                {
                    "file": file_id,
                    "sides": [side for side, _, _ in rows],
                    "ns": [n for _, n, _ in rows],
                    "matches": [number for _, _, number in rows],
                },
            )
    except psycopg.errors.UniqueViolation:
        return False
    return True


def summary(tx: Tx, file_id: UUID) -> list[tuple[str, int, int]]:
    """Matches that stand by rule: the rule, how many, and what their differences come to."""
    return tx.execute(SUMMARY, (file_id,)).fetchall()


def left(tx: Tx, file_id: UUID, now: datetime) -> list[tuple[Side, str, int, int, int]]:
    """What is in no match, by side, currency and whole days: how many, and what they come to."""
    return tx.execute(LEFT, {"file": file_id, "now": now}).fetchall()


def list_matches(
    tx: Tx, file_id: UUID, *, match_no: int | None = None, apart: bool = False, limit: int = 100
) -> list[Match]:
    """Matches of a file. apart: only those whose sums differ, and those by hand."""
    with tx.cursor(row_factory=class_row(Match)) as cursor:
        values = {"file": file_id, "match": match_no, "apart": apart, "limit": limit}
        return cursor.execute(LIST_MATCHES, values).fetchall()


def add_undone(
    tx: Tx, file_id: UUID, match_no: int, *, why: str, by: str, seconded_by: str, at: datetime
) -> bool:
    """Undo a match; False where it was undone before."""
    return tx.execute(ADD_UNDONE, (file_id, match_no, why, by, seconded_by, at)).rowcount == 1


def add_proposal(tx: Tx, one: Proposal) -> None:
    """Keep what a person wants; what is kept already stays as it is."""
    values: tuple[Any, ...] = (
        *(one.proposal_id, one.file_id, one.what, one.ours, one.theirs, one.match_no),
        *(one.why, one.made_by, one.made_at),
    )
    tx.execute(ADD_PROPOSAL, values)


def list_proposals(
    tx: Tx,
    *,
    proposal_id: UUID | None = None,
    file_id: UUID | None = None,
    is_open: bool = False,
    limit: int = 100,
) -> list[Proposal]:
    """Proposals, oldest first. is_open: those that nobody has decided on."""
    with tx.cursor(row_factory=class_row(Proposal)) as cursor:
        values = {"proposal": proposal_id, "file": file_id, "open": is_open, "limit": limit}
        return cursor.execute(PROPOSALS, values).fetchall()


def add_decision(tx: Tx, proposal_id: UUID, decision: str, *, why: str, by: str, at: datetime) -> bool:
    """Decide on a proposal; False where somebody has."""
    return tx.execute(ADD_DECISION, (proposal_id, decision, why, by, at)).rowcount == 1


def lock_file(tx: Tx, file_id: UUID) -> None:
    """Nobody else matches rows of this file until the transaction ends."""
    tx.execute(LOCK_FILE, (file_id,))
