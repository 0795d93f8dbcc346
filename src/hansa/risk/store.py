"""The SQL of risk."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec
from psycopg.types.json import Jsonb

from hansa.risk.memory import Memory
from hansa.risk.model import Case, CaseId, Evidence, RuleCount, Taken
from hansa.store import Tx

# -- rules --------------------------------------------------------------------------------------------------

LATEST_RULES = "select version, digest, toml from risk.rule_sets order by version desc limit 1"

INSERT_RULES = """
insert into risk.rule_sets (version, digest, toml, taken_at) values (%s, %s, %s, %s) on conflict do nothing
"""

GET_RULES = "select toml from risk.rule_sets where version = %s"


def latest_rules(tx: Tx) -> tuple[int, bytes, str] | None:
    """Version, digest and text of the newest rules."""
    row = tx.execute(LATEST_RULES).fetchone()
    return None if row is None else (row[0], bytes(row[1]), row[2])


def insert_rules(tx: Tx, version: int, digest: bytes, toml: str, at: datetime) -> bool:
    """Keep rules under this version; False when somebody else took it."""
    return tx.execute(INSERT_RULES, (version, digest, toml, at)).rowcount == 1


def rules_of(tx: Tx, version: int) -> str | None:
    """The text of a version of the rules."""
    row = tx.execute(GET_RULES, (version,)).fetchone()
    return None if row is None else row[0]


# -- the watcher --------------------------------------------------------------------------------------------

ADD_WATCHER = "insert into risk.watchers (name, marks) values (%s, '{}') on conflict do nothing"

LOCK_WATCHER = "select marks from risk.watchers where name = %s for no key update"

SAVE_WATCHER = "update risk.watchers set marks = %s where name = %s"

LOAD_MEMORIES = """
select k.account_id, m.facts
from unnest(%s::smallint[], %s::uuid[]) as k (partition, account_id)
join risk.memories m on m.partition = k.partition and m.account_id = k.account_id
"""

SAVE_MEMORIES = """
insert into risk.memories (partition, account_id, facts, newest_at)
select * from unnest(%s::smallint[], %s::uuid[], %s::bytea[], %s::timestamptz[])
    as given (partition, account_id, facts, newest_at)
order by partition, account_id
on conflict (partition, account_id) do update set facts = excluded.facts, newest_at = excluded.newest_at
"""

FORGET_MEMORIES = """
delete from risk.memories m
using (select partition, account_id from risk.memories where newest_at < %s limit %s) old
where m.partition = old.partition and m.account_id = old.account_id and m.newest_at < %s
"""


def lock_watcher(tx: Tx, name: str) -> dict[str, Any]:
    """The watcher's marks, for nobody else until this transaction ends."""
    tx.execute(ADD_WATCHER, (name,))
    row = tx.execute(LOCK_WATCHER, (name,)).fetchone()
    assert row is not None, "it was put there just now"
    return row[0]


def save_watcher(tx: Tx, name: str, marks: Mapping[str, Any]) -> None:
    """How far the watcher has read."""
    tx.execute(SAVE_WATCHER, (Jsonb(dict(marks)), name))


def load_memories(tx: Tx, partitions: Mapping[UUID, int]) -> dict[UUID, Memory]:
    """What is remembered of these accounts. partitions: of each account."""
    rows = tx.execute(LOAD_MEMORIES, (list(partitions.values()), list(partitions)))
    return {row[0]: Memory.decoded(bytes(row[1])) for row in rows}


def save_memories(tx: Tx, partitions: Mapping[UUID, int], memories: Mapping[UUID, Memory]) -> None:
    """Remember this of these accounts from now on."""
    newest = [
        max([*(tap.at for tap in memory.taps[-1:]), *(one.at for one in memory.refused[-1:])])
        for memory in memories.values()
    ]
    columns = (
        [partitions[account_id] for account_id in memories],
        list(memories),
        [memory.encoded() for memory in memories.values()],
        newest,
    )
    tx.execute(SAVE_MEMORIES, columns)


def forget_memories(tx: Tx, *, before: datetime, limit: int) -> int:
    """Forget accounts whose newest fact is older; gives how many."""
    return tx.execute(FORGET_MEMORIES, (before, limit, before)).rowcount


# -- cases --------------------------------------------------------------------------------------------------

# A case that is decided stays as it was decided. Evidence is worked out anew from all that is known, so the later
# one tells at least as much. xmax is 0 only for a row that this statement made.
OPEN_CASES = """
insert into risk.cases (case_id, rule, rules_version, severity, subject, account_id, issuer_id, operators, opened_at,
    first_at, last_at, evidence, status)
select given.case_id, given.rule, given.rules_version, given.severity, given.subject, given.account_id,
    given.issuer_id, string_to_array(given.operators, ' '), given.opened_at, given.first_at, given.last_at,
    given.evidence, 'open'
from unnest(%s::uuid[], %s::text[], %s::integer[], %s::text[], %s::text[], %s::uuid[], %s::text[], %s::text[],
    %s::timestamptz[], %s::timestamptz[], %s::timestamptz[], %s::jsonb[])
    as given (case_id, rule, rules_version, severity, subject, account_id, issuer_id, operators, opened_at, first_at,
        last_at, evidence)
order by given.case_id
on conflict (case_id) do update
    set evidence = excluded.evidence, operators = excluded.operators, first_at = excluded.first_at,
        last_at = excluded.last_at
    where cases.status = 'open'
returning case_id, xmax = 0
"""

COLUMNS = """
select c.case_id, c.rule, c.rules_version, c.severity, c.subject, c.account_id, c.issuer_id, c.operators, c.opened_at,
    c.first_at, c.last_at, c.status, c.evidence, c.decided_at, c.decided_by, c.reason,
    coalesce((select jsonb_agg(jsonb_build_array(a.action, a.taken_at, a.told) order by a.taken_at, a.action)
        from risk.case_actions a where a.case_id = c.case_id), '[]')
from risk.cases c
"""

GET_CASE = COLUMNS + " where c.case_id = %(case_id)s"

LOCK_CASE = "select 1 from risk.cases where case_id = %s for no key update"

LIST_CASES = (
    COLUMNS
    + """
where (%(member)s::text is null or c.issuer_id = %(member)s or %(member)s = any(c.operators))
    and (%(rule)s::text is null or c.rule = %(rule)s)
    and (%(status)s::text is null or c.status = %(status)s)
    and (%(severity)s::text is null or c.severity = %(severity)s)
    and (%(accounts)s::uuid[] is null or c.account_id = any(%(accounts)s))
    and (%(day)s::date is null or (c.last_at at time zone 'UTC')::date = %(day)s)
    and (%(text)s::text is null or starts_with(c.case_id::text, %(text)s) or starts_with(c.subject, %(text)s)
        or starts_with(c.account_id::text, %(text)s))
    and (%(after_at)s::timestamptz is null or (c.last_at, c.case_id) < (%(after_at)s, %(after_id)s::uuid))
order by c.last_at desc, c.case_id desc
limit %(limit)s
"""
)

DECIDE = """
update risk.cases set status = %s, decided_at = %s, decided_by = %s, reason = %s where case_id = %s and status = 'open'
"""

ADD_ACTION = """
insert into risk.case_actions (case_id, action, taken_at, told) values (%s, %s, %s, %s) on conflict do nothing
"""

COUNT_CASES = """
select rule, date_trunc('day', last_at at time zone 'UTC') at time zone 'UTC' as day,
    count(*) filter (where status = 'open'), count(*) filter (where status = 'confirmed'),
    count(*) filter (where status = 'dismissed')
from risk.cases
where (%(member)s::text is null or issuer_id = %(member)s or %(member)s = any(operators))
group by 1, 2
order by 2 desc, 1
limit 500
"""


@dataclass(frozen=True, slots=True)
class Asked:
    """Which cases are looked for; None leaves a thing open. text: the start of a case's, account's or token's id."""

    member: str | None = None
    rule: str | None = None
    status: str | None = None
    severity: str | None = None
    accounts: tuple[UUID, ...] | None = None
    day: date | None = None
    text: str | None = None
    after: tuple[datetime, UUID] | None = None


def open_cases(tx: Tx, cases: Sequence[Case]) -> set[UUID]:
    """Keep these cases, or what is newly known of those that are open; gives those that were opened just now."""
    rows = [
        (
            case.case_id,
            case.rule,
            case.rules_version,
            case.severity,
            case.subject,
            case.account_id,
            case.issuer_id,
            " ".join(case.operators),
            case.opened_at,
            case.first_at,
            case.last_at,
            msgspec.json.encode(case.evidence).decode(),
        )
        for case in cases
    ]
    found = tx.execute(OPEN_CASES, [list(column) for column in zip(*rows, strict=True)])
    return {row[0] for row in found if row[1]}


def find_case(tx: Tx, case_id: UUID, *, lock: bool = False) -> Case | None:
    """The case of this id. lock: nobody else decides it until this transaction ends."""
    if lock:
        tx.execute(LOCK_CASE, (case_id,))
    row = tx.execute(GET_CASE, {"case_id": case_id}).fetchone()
    return None if row is None else _case(row)


def list_cases(tx: Tx, asked: Asked, *, limit: int) -> list[Case]:
    """Cases, newest evidence first."""
    values: dict[str, Any] = {
        "member": asked.member,
        "rule": asked.rule,
        "status": asked.status,
        "severity": asked.severity,
        "accounts": None if asked.accounts is None else list(asked.accounts),
        "day": asked.day,
        "text": asked.text,
        "after_at": asked.after[0] if asked.after else None,
        "after_id": asked.after[1] if asked.after else None,
        "limit": limit,
    }
    return [_case(row) for row in tx.execute(LIST_CASES, values)]


def decide(tx: Tx, case_id: UUID, *, status: str, by: str, reason: str, at: datetime) -> None:
    """Write down the decision."""
    tx.execute(DECIDE, (status, at, by, reason, case_id))


def add_action(tx: Tx, case_id: UUID, taken: Taken) -> bool:
    """Write down what was done; False when it was done before."""
    return tx.execute(ADD_ACTION, (case_id, taken.action, taken.at, Jsonb(dict(taken.told)))).rowcount == 1


def count_cases(tx: Tx, member: str | None) -> list[RuleCount]:
    """Cases by day and rule, newest day first. member: only those that this member may see."""
    return [RuleCount(*row) for row in tx.execute(COUNT_CASES, {"member": member})]


def _case(row: Sequence[Any]) -> Case:
    return Case(
        case_id=CaseId(row[0]),
        rule=row[1],
        rules_version=row[2],
        severity=row[3],
        subject=row[4],
        account_id=row[5],
        issuer_id=row[6],
        operators=tuple(row[7]),
        opened_at=row[8],
        first_at=row[9],
        last_at=row[10],
        status=row[11],
        evidence=msgspec.convert(row[12], Evidence),
        decided_at=row[13],
        decided_by=row[14],
        reason=row[15],
        taken=tuple(Taken(one[0], datetime.fromisoformat(one[1]), one[2]) for one in row[16]),
    )
