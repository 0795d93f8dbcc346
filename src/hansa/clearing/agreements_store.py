"""The SQL of agreements: what was written, and what was done with it."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

import msgspec
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from hansa.clearing.agreements_text import AgreementText
from hansa.clearing.model import PositionAccount
from hansa.store import Tx


@dataclass(frozen=True, slots=True)
class AgreementFact:
    """What was done with an agreement, by whom, when and why.

    step: proposed, approved, refused, withdrawn; end_proposed, ended, end_refused. last_day: of steps about an end.
    """

    step: str
    by_whom: str
    at: datetime
    why: str
    last_day: date | None = None


@dataclass(frozen=True, slots=True)
class AgreementRow:
    """A text as it was proposed, and as it was read."""

    agreement_id: UUID
    said: AgreementText
    toml: str
    note: str
    made_by: str
    made_at: datetime


# Whoever decides about agreements or windows waits for who came first.
LOCK = "select from clearing.settings for no key update"

ADD = """
insert into clearing.agreement_texts
    (agreement_id, name, issuer, operator, both_ways, currency, products, valid_from, valid_to, toml, body, note,
     made_by, made_at)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
on conflict (agreement_id) do nothing
returning agreement_id
"""

ADD_FACT = """
insert into clearing.agreement_facts (agreement_id, number, step, by_whom, at, why, last_day)
select %(agreement_id)s, coalesce(max(number), 0) + 1, %(step)s, %(by_whom)s, %(at)s, %(why)s, %(last_day)s::date
from clearing.agreement_facts
where agreement_id = %(agreement_id)s
"""

ROWS = """
select agreement_id, body, toml, note, made_by, made_at
from clearing.agreement_texts
where (agreement_id = any(%(ids)s::uuid[]) or %(ids)s::uuid[] is null)
  and (%(at)s::timestamptz is null or (made_at, agreement_id) < (%(at)s::timestamptz, %(id)s::uuid))
order by made_at desc, agreement_id desc
limit %(limit)s
"""

FACTS = """
select agreement_id, step, by_whom, at, why, last_day
from clearing.agreement_facts
where agreement_id = any(%s::uuid[])
order by agreement_id, number
"""

# Approved texts that begin by a day and had not ended before it, each with its last day.
IN_FORCE = """
select t.agreement_id, t.body, least(t.valid_to, e.last_day)
from clearing.agreement_texts t
join clearing.agreement_facts a on a.agreement_id = t.agreement_id and a.step = 'approved'
left join clearing.agreement_facts e on e.agreement_id = t.agreement_id and e.step = 'ended'
left join clearing.agreement_facts w on w.agreement_id = t.agreement_id and w.step = 'withdrawn'
where w.step is null
  and (%(on)s::date is null or (t.valid_from <= %(on)s::date
       and (least(t.valid_to, e.last_day) is null or least(t.valid_to, e.last_day) >= %(on)s::date)))
order by t.valid_from, t.agreement_id
"""

WINDOW_TALLIES = """
select issuer_id, operator_id, currency, partition, code, from_minor, items, minor
from clearing.window_tallies
where window_id = %s
order by currency, issuer_id, operator_id, partition, code, from_minor
"""

POSITIONS_OF = """
select partition, account_id, issuer_id, operator_id, currency
from clearing.position_accounts
where issuer_id = any(%(members)s::text[]) or operator_id = any(%(members)s::text[])
order by issuer_id, operator_id, currency, partition
"""

CURRENCIES_OF = (
    "select distinct operator_id, currency from clearing.position_accounts order by operator_id, currency"
)

LAST_DAY_OF = """
select max(w.business_day)
from clearing.positions p
join clearing.windows w using (window_id)
where p.issuer_id = any(%(members)s::text[]) or p.operator_id = any(%(members)s::text[])
"""

_ALL = 2**31 - 1


def lock(tx: Tx) -> None:
    """Nobody else decides on an agreement or a day until this transaction ends."""
    tx.execute(LOCK)


def add_row(tx: Tx, row: AgreementRow) -> bool:
    """Keep a text. False where one of its id is kept already."""
    said = row.said
    found = tx.execute(
        ADD,
        (
            row.agreement_id,
            said.name,
            said.issuer,
            said.operator,
            said.both_ways,
            said.currency,
            list(said.products),
            said.valid_from,
            said.valid_to,
            row.toml,
            Jsonb(msgspec.to_builtins(said)),
            row.note,
            row.made_by,
            row.made_at,
        ),
    )
    return found.fetchone() is not None


def add_fact(tx: Tx, agreement_id: UUID, fact: AgreementFact) -> None:
    """Add what was done."""
    tx.execute(
        ADD_FACT,
        {
            "agreement_id": agreement_id,
            "step": fact.step,
            "by_whom": fact.by_whom,
            "at": fact.at,
            "why": fact.why,
            "last_day": fact.last_day,
        },
    )


def list_rows(
    tx: Tx,
    ids: Sequence[UUID] | None = None,
    *,
    before: tuple[datetime, UUID] | None = None,
    limit: int = _ALL,
) -> list[AgreementRow]:
    """These texts or all, newest first. before: (made_at, id) of the last one told."""
    at, agreement_id = before or (None, None)
    values = {"ids": None if ids is None else list(ids), "at": at, "id": agreement_id, "limit": limit}
    return [
        AgreementRow(row[0], msgspec.convert(row[1], AgreementText), *row[2:])
        for row in tx.execute(ROWS, values).fetchall()
    ]


def facts_of(tx: Tx, ids: Iterable[UUID]) -> dict[UUID, tuple[AgreementFact, ...]]:
    """What was done with each of these, in order."""
    found: dict[UUID, list[AgreementFact]] = defaultdict(list)
    with tx.cursor(row_factory=class_row(_Fact)) as cursor:
        for row in cursor.execute(FACTS, (list(ids),)):
            found[row.agreement_id].append(
                AgreementFact(row.step, row.by_whom, row.at, row.why, row.last_day)
            )
    return {agreement_id: tuple(facts) for agreement_id, facts in found.items()}


def approved(tx: Tx, on: date | None = None) -> list[tuple[UUID, AgreementText, date | None]]:
    """Approved texts, each with its last day if it has one; those that hold on a day, or all of any time."""
    return [
        (row[0], msgspec.convert(row[1], AgreementText), row[2])
        for row in tx.execute(IN_FORCE, {"on": on}).fetchall()
    ]


def positions_of(tx: Tx, members: Sequence[str]) -> list[PositionAccount]:
    """The position accounts on either side of which one of these members stands."""
    with tx.cursor(row_factory=class_row(PositionAccount)) as cursor:
        return cursor.execute(POSITIONS_OF, {"members": list(members)}).fetchall()


def currencies_of(tx: Tx) -> list[tuple[str, str]]:
    """Operators with the currencies they have positions in."""
    rows: list[tuple[str, str]] = tx.execute(CURRENCIES_OF).fetchall()
    return rows


def last_day_of(tx: Tx, members: Sequence[str]) -> date | None:
    """The latest business day on which a window had an item of one of these members."""
    row = tx.execute(LAST_DAY_OF, {"members": list(members)}).fetchone()
    return None if row is None else row[0]


class TakenRow(NamedTuple):
    """Items of one transfer code and size that a window took on a position of a partition."""

    issuer_id: str
    operator_id: str
    currency: str
    partition: int
    code: int
    from_minor: int
    items: int
    minor: int


def taken(tx: Tx, window_id: str) -> list[TakenRow]:
    """What a window took, by position, partition, transfer code and step of the items' sizes."""
    return [TakenRow(*row) for row in tx.execute(WINDOW_TALLIES, (window_id,)).fetchall()]


@dataclass(frozen=True, slots=True)
class _Fact:
    agreement_id: UUID
    step: str
    by_whom: str
    at: datetime
    why: str
    last_day: date | None
