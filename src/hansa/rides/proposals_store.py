"""The SQL of tariff proposals: what was written, and what was done with it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import NamedTuple
from uuid import UUID

import numpy as np
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from hansa.fares import Finding, TariffSource
from hansa.rides import tap_runs_store
from hansa.rides.tap_runs import RIDER_DAY
from hansa.store import Tx


@dataclass(frozen=True, slots=True)
class ProposalRow:
    """A proposal without its text. name to day_starts: None where the text cannot be read.

    next_from: the first day of the operator's next version in the books, if there is one.
    """

    proposal_id: UUID
    operator_id: str
    digest: bytes
    name: str | None
    city_id: str | None
    currency: str | None
    valid_from: date | None
    valid_to: date | None
    tz: str | None
    day_starts: time | None
    note: str
    replaces: UUID | None
    made_by: str
    made_at: datetime
    next_from: date | None = None


@dataclass(frozen=True, slots=True)
class ProposalFact:
    """What was done with a proposal, by whom, when and why, and what the checks found then.

    step: checked, proposed, approved, withdrawn, superseded, or cancelled (approved, and taken back before it began).
    network_version: of the network it was held against; None where nothing was checked or there is none.
    """

    step: str
    by_whom: str
    at: datetime
    why: str
    findings: tuple[Finding, ...] = ()
    network_version: int | None = None


class DaysAgain(NamedTuple):
    """What a first day in the past touches: service days with taps, riders' days, taps."""

    days: int
    rider_days: int
    taps: int


_COLUMNS = """
select p.proposal_id, p.operator_id, p.digest, p.name, p.city_id, p.currency, p.valid_from, p.valid_to, p.tz,
    p.day_starts, p.note, p.replaces, p.made_by, p.made_at,
    (select min(t.valid_from) from rides.tariffs t
     where t.operator_id = p.operator_id and t.valid_from > p.valid_from) as next_from
from rides.tariff_proposals p
"""

FIND_PROPOSAL = _COLUMNS + " where p.proposal_id = %s"

# With all of the same first day, in the order of their ids: approving one ends the others.
LOCK_PROPOSAL = """
select 1 from rides.tariff_proposals p
join rides.tariff_proposals wanted on wanted.proposal_id = %s
    and (p.proposal_id = wanted.proposal_id
        or (p.operator_id = wanted.operator_id and p.valid_from = wanted.valid_from))
order by p.proposal_id
for no key update of p
"""

LIST_PROPOSALS = (
    _COLUMNS
    + """
where (%(operator_id)s::text is null or p.operator_id = %(operator_id)s)
    and (%(before_at)s::timestamptz is null or (p.made_at, p.proposal_id) < (%(before_at)s, %(before_id)s::uuid))
order by p.made_at desc, p.proposal_id desc
limit %(limit)s
"""
)

RIVALS = """
select p.proposal_id from rides.tariff_proposals p
where p.operator_id = %s and p.valid_from = %s and p.proposal_id <> %s
    and not exists (select 1 from rides.tariff_proposal_facts f where f.proposal_id = p.proposal_id
        and f.step in ('approved', 'withdrawn', 'superseded'))
order by p.proposal_id
"""

GET_SOURCE = "select toml, tables from rides.tariff_proposals where proposal_id = %s"

ADD_PROPOSAL = """
insert into rides.tariff_proposals (proposal_id, operator_id, digest, toml, tables, name, city_id, currency, valid_from,
    valid_to, tz, day_starts, note, replaces, made_by, made_at)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
on conflict do nothing
"""

ADD_FACT = """
insert into rides.tariff_proposal_facts (proposal_id, step, by_whom, at, why, findings, network_version)
values (%s, %s, %s, %s, %s, %s, %s)
on conflict do nothing
"""

FACTS = """
select proposal_id, step, by_whom, at, why, findings, network_version
from rides.tariff_proposal_facts
where proposal_id = any(%s)
order by proposal_id, at, step <> 'checked', step <> 'proposed', step
"""

# The instants stand beside the days so that the index of taps by time is used. What lies in runs is counted there.
RIDER_DAYS_AGAIN = """
select string_agg(uuid_send(account_id) || int4send(day - date '2000-01-01'), ''::bytea), coalesce(sum(taps), 0)::bigint
from (
    select account_id, ((tapped_at at time zone %(tz)s) - %(day_starts)s::time)::date as day, count(*) as taps
    from rides.taps
    where operator_id = %(operator_id)s and tapped_at >= %(first)s and tapped_at < %(last)s and run_id is null
    group by 1, 2
) days
"""

CANCEL_TARIFF = """
delete from rides.tariffs where operator_id = %s and valid_from = %s and digest = %s
"""


def find_row(tx: Tx, proposal_id: UUID) -> ProposalRow | None:
    """A proposal without its text, or None."""
    return tx.cursor(row_factory=class_row(ProposalRow)).execute(FIND_PROPOSAL, (proposal_id,)).fetchone()


def lock_row(tx: Tx, proposal_id: UUID) -> None:
    """Let nobody else decide about it, nor about others of its first day, until this transaction ends."""
    tx.execute(LOCK_PROPOSAL, (proposal_id,))


def list_rows(
    tx: Tx, operator_id: str | None, *, before: tuple[datetime, UUID] | None, limit: int
) -> list[ProposalRow]:
    """Proposals, newest first, at most ``limit`` of those made before ``before``."""
    values = {
        "operator_id": operator_id,
        "before_at": before and before[0],
        "before_id": before and before[1],
        "limit": limit,
    }
    return tx.cursor(row_factory=class_row(ProposalRow)).execute(LIST_PROPOSALS, values).fetchall()


def rivals(tx: Tx, row: ProposalRow) -> list[UUID]:
    """Proposals that are open and begin on the same day."""
    values = row.operator_id, row.valid_from, row.proposal_id
    return [one for (one,) in tx.execute(RIVALS, values)]


def get_source(tx: Tx, proposal_id: UUID) -> TariffSource:
    """The text of a proposal that is there."""
    row = tx.execute(GET_SOURCE, (proposal_id,)).fetchone()
    assert row is not None, "the proposal was found in this transaction"
    return TariffSource(row[0], row[1])


def add_row(tx: Tx, row: ProposalRow, source: TariffSource) -> bool:
    """Keep a proposal; False when one of this id is there."""
    values = (
        row.proposal_id,
        row.operator_id,
        row.digest,
        source.toml,
        Jsonb(dict(source.tables)),
        row.name,
        row.city_id,
        row.currency,
        row.valid_from,
        row.valid_to,
        row.tz,
        row.day_starts,
        row.note,
        row.replaces,
        row.made_by,
        row.made_at,
    )
    return tx.execute(ADD_PROPOSAL, values).rowcount == 1


def add_fact(tx: Tx, proposal_id: UUID, fact: ProposalFact) -> bool:
    """Keep what was done; False when it was done already, or the proposal has ended otherwise."""
    findings = [[one.severity, one.where, one.what, one.remedy] for one in fact.findings]
    values = (
        proposal_id,
        fact.step,
        fact.by_whom,
        fact.at,
        fact.why,
        Jsonb(findings),
        fact.network_version,
    )
    return tx.execute(ADD_FACT, values).rowcount == 1


def facts_of(tx: Tx, proposal_ids: Sequence[UUID]) -> Mapping[UUID, tuple[ProposalFact, ...]]:
    """What was done with each, in order of time."""
    found: dict[UUID, list[ProposalFact]] = defaultdict(list)
    for proposal_id, step, by_whom, at, why, findings, network_version in tx.execute(
        FACTS, (list(proposal_ids),)
    ):
        found[proposal_id].append(ProposalFact(step, by_whom, at, why, _findings(findings), network_version))
    return {proposal_id: tuple(facts) for proposal_id, facts in found.items()}


def _findings(told: Iterable[Sequence[str]] | None) -> tuple[Finding, ...]:
    return tuple(
        Finding("error" if severity == "error" else "warning", where, what, remedy)
        for severity, where, what, remedy in told or ()
    )


def days_again(
    tx: Tx, operator_id: str, tz: str, day_starts: time, first: datetime, last: datetime
) -> DaysAgain:
    """What lies between two instants of an operator's taps."""
    values = {
        "operator_id": operator_id,
        "tz": tz,
        "day_starts": day_starts,
        "first": first,
        "last": last,
    }
    row = tx.execute(RIDER_DAYS_AGAIN, values, binary=True).fetchone()
    assert row is not None, "an aggregate has a row"
    in_runs, taps = tap_runs_store.rider_days(tx, operator_id, tz, day_starts, (first, last))
    rider_days = np.unique(np.concatenate([np.frombuffer(row[0] or b"", RIDER_DAY), in_runs]))
    return DaysAgain(len(np.unique(rider_days["day"])), len(rider_days), int(row[1]) + taps)


def cancel_tariff(tx: Tx, operator_id: str, valid_from: date, digest: bytes) -> bool:
    """Take a tariff out of the books that has not begun; its text stays in its proposal."""
    return tx.execute(CANCEL_TARIFF, (operator_id, valid_from, digest)).rowcount == 1
