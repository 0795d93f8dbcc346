"""The SQL of deciding: accounts, counters, uses, payees, limits. The account's row is the lock of all its others."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from psycopg.rows import class_row

from hansa.approval.counting import Counter
from hansa.approval.limits import Limit
from hansa.approval.model import Holder
from hansa.approval.standing import Delegation, Mandate
from hansa.identity import AccountId
from hansa.store import Rows, Tx
from hansa.store.copying import array_text, text_array_text

AccountKey = tuple[int, UUID]
"""Partition and account."""

LOCK_ACCOUNTS = """
with wanted as materialized (
    select * from unnest(%(partitions)s::integer[], %(accounts)s::uuid[]) as w (partition, account_id)
)
select a.partition, a.account_id, a.issuer_id, a.zone, a.frozen_at, a.frozen_by, a.limited, a.co_approved,
    (select max(p.revision) from approval.policies p where p.issuer_id = a.issuer_id)
from approval.accounts a join wanted using (partition, account_id)
where (select count(*) from approval.accounts join wanted using (partition, account_id)) = %(count)s
order by a.partition, a.account_id
for no key update of a
"""
# Where one is missing nothing is locked, so that it can be added first: locks are taken in key order, all at once.

KNOWN_ACCOUNTS = """
select a.partition, a.account_id
from approval.accounts a
join unnest(%s::integer[], %s::uuid[]) as w (partition, account_id) using (partition, account_id)
"""

ADD_ACCOUNTS = """
insert into approval.accounts (partition, account_id, issuer_id, zone)
select * from unnest(%s::integer[], %s::uuid[], %s::text[], %s::text[])
on conflict (partition, account_id) do nothing
"""

COUNTERS = """
select c.partition, c.holder_id, c.currency, c.scope,
    c.hour, c.hour_count, c.hour_minor, c.before_count, c.before_minor,
    c.day, c.day_count, c.day_minor, c.period, c.period_minor, c.year_minor
from approval.counters c
join unnest(%s::integer[], %s::uuid[]) as w (partition, holder_id) using (partition, holder_id)
"""

# All that bears on each spend, in one row for each: one way to the database and back for a batch. Each is looked up by
# its key: a plan that is made while statistics are young would else read whole tables, and be kept.
BEARS = """
select m.mandate_id is not null, m.account_id, m.payee_key, m.payee_name, m.member_id, m.reference, m.currency,
    m.each_minor, m.period, m.period_minor, m.asked_at, m.holds_from, m.ends_at, m.revoked_at, m.revoked_by,
    p.first_at,
    a.hour, a.hour_count, a.hour_minor, a.before_count, a.before_minor,
    a.day, a.day_count, a.day_minor, a.period, a.period_minor, a.year_minor,
    c.hour, c.hour_count, c.hour_minor, c.before_count, c.before_minor,
    c.day, c.day_count, c.day_minor, c.period, c.period_minor, c.year_minor,
    u.spend_id is not null, u.account_id, u.at, u.minor, u.currency, u.payee_key, u.channel, u.category, u.level,
    u.evidence, u.under_id, u.given_back_at, m.paused_until,
    case when m.lead_h > 0 then not exists (select from approval.pulls q
        where q.partition = w.partition and q.payment_id = w.spend_id and q.mandate_id = m.mandate_id
            and q.state = 'announced') else false end
from unnest(%(partitions)s::integer[], %(spends)s::uuid[], %(accounts)s::uuid[], %(payees)s::text[],
    %(currencies)s::text[], %(mandates)s::uuid[])
    with ordinality as w (partition, spend_id, account_id, payee_key, currency, mandate_id, place)
left join lateral (
    select * from approval.mandates m where m.partition = w.partition and m.mandate_id = w.mandate_id limit 1
) m on true
left join lateral (
    select * from approval.payees p
    where p.partition = w.partition and p.account_id = w.account_id and p.payee_key = w.payee_key limit 1
) p on true
left join lateral (
    select * from approval.counters a
    where a.partition = w.partition and a.holder_id = w.account_id and a.currency = w.currency and a.scope = '' limit 1
) a on true
left join lateral (
    select * from approval.counters c
    where c.partition = w.partition and c.holder_id = w.mandate_id and c.currency = w.currency and c.scope = '' limit 1
) c on true
left join lateral (
    select * from approval.uses u where u.partition = w.partition and u.spend_id = w.spend_id limit 1
) u on true
order by w.place
"""

USES = """
select u.partition, u.spend_id, u.account_id, u.at, u.minor, u.currency, u.payee_key, u.channel, u.category, u.level,
    u.evidence, u.under_id, u.given_back_at
from approval.uses u
join unnest(%s::integer[], %s::uuid[]) as w (partition, spend_id) using (partition, spend_id)
"""

LIMITS = """
select l.account_id, l.currency, l.scope, l.span, l.minor, l.next_minor, l.next_at, l.set_at
from approval.limits l
join unnest(%s::integer[], %s::uuid[]) as w (partition, account_id) using (partition, account_id)
"""

MANDATES = """
select m.partition, m.mandate_id, m.account_id, m.payee_key, m.payee_name, m.member_id, m.reference, m.currency,
    m.each_minor, m.period, m.period_minor, m.asked_at, m.holds_from, m.ends_at, m.revoked_at, m.revoked_by, m.notice_h,
    m.lead_h, m.paused_until, m.retry_d
from approval.mandates m
join unnest(%s::integer[], %s::uuid[]) as w (partition, mandate_id) using (partition, mandate_id)
"""

DELEGATIONS = """
select d.partition, d.delegation_id, d.account_id, d.delegate_id, d.kind, d.currency, d.payment_minor, d.day_minor,
    d.month_minor, d.ask_above_minor, d.categories, d.categories_denied, d.payees, d.from_hour, d.to_hour,
    d.granted_at, d.holds_from, d.ends_at, d.revoked_at, d.delegate_frozen, d.given_at, d.asked_by, d.replaces,
    d.replaced_at
from approval.delegations d
join unnest(%s::integer[], %s::uuid[], %s::uuid[]) as w (partition, account_id, delegate_id)
    using (partition, account_id, delegate_id)
where d.revoked_at is null and d.given_at is not null
"""

POLICIES = """
select distinct on (issuer_id) issuer_id, revision from approval.policies
where issuer_id = any(%s) order by issuer_id, revision desc
"""

POLICY = "select body from approval.policies where issuer_id = %s and revision = %s"

WRITE = """
with used as (
    insert into approval.uses (partition, spend_id, account_id, at, minor, currency, payee_key, channel, category,
        level, evidence, under_id)
    select * from unnest(%(partitions)s::integer[], %(spends)s::uuid[], %(accounts)s::uuid[], %(ats)s::timestamptz[],
        %(minors)s::bigint[], %(currencies)s::text[], %(payees)s::text[], %(channels)s::text[], %(categories)s::text[],
        %(levels)s::smallint[], %(evidence)s::uuid[], %(unders)s::uuid[])
), known as (
    insert into approval.payees (partition, account_id, payee_key, first_at, first_spend_id)
    select * from unnest(%(new_partitions)s::integer[], %(new_accounts)s::uuid[], %(new_payees)s::text[],
        %(new_ats)s::timestamptz[], %(new_spends)s::uuid[])
    on conflict (partition, account_id, payee_key) do nothing
)
insert into approval.counters (partition, holder_id, currency, scope, hour, hour_count, hour_minor, before_count,
    before_minor, day, day_count, day_minor, period, period_minor, year_minor)
select * from unnest(%(c_partitions)s::integer[], %(c_holders)s::uuid[], %(c_currencies)s::text[], %(c_scopes)s::text[],
    %(c_hours)s::integer[], %(c_hour_counts)s::integer[], %(c_hour_minors)s::bigint[], %(c_before_counts)s::integer[],
    %(c_before_minors)s::bigint[], %(c_days)s::date[], %(c_day_counts)s::integer[], %(c_day_minors)s::bigint[],
    %(c_periods)s::date[], %(c_period_minors)s::bigint[], %(c_year_minors)s::bigint[])
on conflict (partition, holder_id, currency, scope) do update set
    hour = excluded.hour, hour_count = excluded.hour_count, hour_minor = excluded.hour_minor,
    before_count = excluded.before_count, before_minor = excluded.before_minor,
    day = excluded.day, day_count = excluded.day_count, day_minor = excluded.day_minor,
    period = excluded.period, period_minor = excluded.period_minor, year_minor = excluded.year_minor
"""

GIVE_BACK = """
update approval.uses set given_back_at = %(at)s
where partition = %(partition)s and spend_id = any(%(spends)s::uuid[]) and given_back_at is null
"""

FORGET_PAYEES = """
delete from approval.payees
where partition = %(partition)s and account_id = any(%(accounts)s::uuid[])
    and first_spend_id = any(%(spends)s::uuid[])
"""


class AccountRow(NamedTuple):
    """What deciding needs of an account."""

    partition: int
    account_id: AccountId
    issuer_id: str
    zone: str
    frozen_at: datetime | None
    frozen_by: str | None
    limited: bool
    co_approved: bool
    revision: int | None
    """Of its issuer's own policy; None where it has none."""


class Wanted(NamedTuple):
    """What is known of a spend before all of it is: enough to read what bears on it. currency: in which it is paid."""

    partition: int
    spend_id: UUID
    account_id: AccountId
    payee_key: str
    currency: str
    mandate_id: UUID | None
    by: AccountId | None


class UseRow(NamedTuple):
    """A spend that was allowed."""

    partition: int
    spend_id: UUID
    account_id: AccountId
    at: datetime
    minor: int
    currency: str
    payee_key: str
    channel: str
    category: str
    level: int
    evidence: UUID | None
    under_id: UUID | None
    given_back_at: datetime | None


class Bearing(NamedTuple):
    """What bears on a spend. known_at: since when its payee is known. own, under: use of account and mandate."""

    mandate: Mandate | None
    known_at: datetime | None
    own: Counter | None
    under: Counter | None
    before: UseRow | None


class CounterRow(NamedTuple):
    """A counter as it is to be kept."""

    partition: int
    holder_id: str
    currency: str
    scope: str
    counter: Counter


def _ids(values: Iterable[UUID | None]) -> str:
    """An array as PostgreSQL reads it, of ids; in hex, which is written in a third of the time.

    Written here, arrays cost a third of what the driver takes, which looks into each value for what is to be quoted.
    """
    return "{" + ",".join(["NULL" if one is None else one.hex for one in values]) + "}"


def _days(values: Iterable[object]) -> str:
    """An array of days, or of instants, quoted for their spaces."""
    return "{" + ",".join([f'"{one}"' for one in values]) + "}"


def ask_to_lock(tx: Tx, keys: Sequence[AccountKey]) -> Rows:
    """Have these accounts locked in key order until the transaction ends; none of them while one is missing.

    keys: sorted, each once.
    """
    values = {
        "partitions": array_text([partition for partition, _ in keys]),
        "accounts": _ids([account_id for _, account_id in keys]),
        "count": len(keys),
    }
    return tx.execute(LOCK_ACCOUNTS, values)


def locked_accounts(asked: Rows) -> list[AccountRow]:
    """What ``ask_to_lock`` came to."""
    return [AccountRow(*row) for row in asked.fetchall()]


def lock_accounts(tx: Tx, keys: Sequence[AccountKey]) -> list[AccountRow]:
    """``ask_to_lock``, waiting for its answer."""
    return locked_accounts(ask_to_lock(tx, keys))


def ask_what_bears(tx: Tx, wanted: Sequence[Wanted]) -> Rows:
    """Read all that bears on these spends, under locks that were asked for before; ``bearing`` has the answer."""
    values = {
        "partitions": array_text([one.partition for one in wanted]),
        "spends": _ids([one.spend_id for one in wanted]),
        "accounts": _ids([one.account_id for one in wanted]),
        "payees": text_array_text([one.payee_key for one in wanted]),
        "currencies": text_array_text([one.currency for one in wanted]),
        "mandates": _ids([one.mandate_id for one in wanted]),
    }
    return tx.execute(BEARS, values)


def bearing(asked: Rows, wanted: Sequence[Wanted]) -> list[Bearing]:
    """What ``ask_what_bears`` came to, in the order of the spends."""
    found: list[Bearing] = []
    for one, row in zip(wanted, asked.fetchall(), strict=True):
        mandate = use = None
        if row[0]:
            assert one.mandate_id is not None, "it was looked for by it"
            mandate = Mandate(
                partition=one.partition,
                mandate_id=one.mandate_id,
                account_id=row[1],
                payee_key=row[2],
                payee_name=row[3],
                member_id=row[4],
                reference=row[5],
                currency=row[6],
                each_minor=row[7],
                period=row[8],
                period_minor=row[9],
                asked_at=row[10],
                holds_from=row[11],
                ends_at=row[12],
                revoked_at=row[13],
                revoked_by=row[14],
                paused_until=row[50],
                unannounced=row[51],
            )
        if row[38]:
            use = UseRow(one.partition, one.spend_id, *row[39:50])
        own = None if row[16] is None else Counter(*row[16:27])
        under = None if row[27] is None else Counter(*row[27:38])
        found.append(Bearing(mandate, row[15], own, under, use))
    return found


def known_accounts(tx: Tx, keys: Sequence[AccountKey]) -> set[AccountKey]:
    """Those of these accounts that have a row."""
    rows = tx.execute(
        KNOWN_ACCOUNTS, (array_text([one for one, _ in keys]), _ids([one for _, one in keys]))
    ).fetchall()
    return {(partition, account_id) for partition, account_id in rows}


def add_accounts(tx: Tx, rows: Sequence[tuple[int, UUID, str, str]]) -> None:
    """Rows for accounts that have none: partition, account, issuer, time zone. In key order."""
    ordered = sorted(rows)
    tx.execute(
        ADD_ACCOUNTS,
        (
            [one[0] for one in ordered],
            [one[1] for one in ordered],
            [one[2] for one in ordered],
            [one[3] for one in ordered],
        ),
    )


def fetch_counters(tx: Tx, holders: Collection[AccountKey]) -> dict[Holder, Counter]:
    """All counters of these holders: accounts, mandates, delegations."""
    rows = tx.execute(
        COUNTERS, (array_text([one for one, _ in holders]), _ids([one for _, one in holders]))
    ).fetchall()
    return {Holder(*row[:4]): Counter(*row[4:]) for row in rows}


def fetch_uses(tx: Tx, keys: Collection[tuple[int, UUID]]) -> dict[UUID, UseRow]:
    """Those of these spends that were allowed before."""
    rows = tx.execute(USES, (array_text([one for one, _ in keys]), _ids([one for _, one in keys]))).fetchall()
    return {row[1]: UseRow(*row) for row in rows}


def fetch_limits(tx: Tx, keys: Collection[AccountKey]) -> dict[UUID, list[Limit]]:
    """The limits that the owners of these accounts set."""
    found: dict[UUID, list[Limit]] = {}
    values = (array_text([one for one, _ in keys]), _ids([one for _, one in keys]))
    for account_id, *rest in tx.execute(LIMITS, values).fetchall():
        found.setdefault(account_id, []).append(Limit(*rest))
    return found


def fetch_mandates(tx: Tx, keys: Collection[tuple[int, UUID]]) -> dict[UUID, Mandate]:
    values = (array_text([one for one, _ in keys]), _ids([one for _, one in keys]))
    with tx.cursor(row_factory=class_row(Mandate)) as cursor:
        return {one.mandate_id: one for one in cursor.execute(MANDATES, values)}


def fetch_delegations(tx: Tx, keys: Collection[tuple[int, UUID, UUID]]) -> list[Delegation]:
    """Delegations between these owners and delegates that were not revoked."""
    values = ([one for one, _, _ in keys], [one for _, one, _ in keys], [one for _, _, one in keys])
    with tx.cursor(row_factory=class_row(Delegation)) as cursor:
        return cursor.execute(DELEGATIONS, values).fetchall()


def policy_revisions(tx: Tx, issuer_ids: Collection[str]) -> dict[str, int]:
    """The revision that holds, for those of these issuers that have a policy of their own."""
    return dict(tx.execute(POLICIES, (list(issuer_ids),)).fetchall())


def policy_body(tx: Tx, issuer_id: str, revision: int) -> str:
    row = tx.execute(POLICY, (issuer_id, revision)).fetchone()
    assert row is not None, (issuer_id, revision)
    return str(row[0])


def write(
    tx: Tx,
    uses: Sequence[UseRow],
    payees: Sequence[tuple[int, UUID, str, datetime, UUID]],
    counters: Sequence[CounterRow],
) -> None:
    """Keep new uses and new payees, and counters as they are now, under the accounts' locks."""
    kept = [one.counter for one in counters]
    values = {
        "partitions": array_text([one.partition for one in uses]),
        "spends": _ids([one.spend_id for one in uses]),
        "accounts": _ids([one.account_id for one in uses]),
        "ats": _days([one.at for one in uses]),
        "minors": array_text([one.minor for one in uses]),
        "currencies": text_array_text([one.currency for one in uses]),
        "payees": text_array_text([one.payee_key for one in uses]),
        "channels": text_array_text([one.channel for one in uses]),
        "categories": text_array_text([one.category for one in uses]),
        "levels": array_text([one.level for one in uses]),
        "evidence": _ids([one.evidence for one in uses]),
        "unders": _ids([one.under_id for one in uses]),
        "new_partitions": array_text([one[0] for one in payees]),
        "new_accounts": _ids([one[1] for one in payees]),
        "new_payees": text_array_text([one[2] for one in payees]),
        "new_ats": _days([one[3] for one in payees]),
        "new_spends": _ids([one[4] for one in payees]),
        "c_partitions": array_text([one.partition for one in counters]),
        "c_holders": "{" + ",".join([one.holder_id for one in counters]) + "}",
        "c_currencies": text_array_text([one.currency for one in counters]),
        "c_scopes": text_array_text([one.scope for one in counters]),
        "c_hours": array_text([one.hour for one in kept]),
        "c_hour_counts": array_text([one.hour_count for one in kept]),
        "c_hour_minors": array_text([one.hour_minor for one in kept]),
        "c_before_counts": array_text([one.before_count for one in kept]),
        "c_before_minors": array_text([one.before_minor for one in kept]),
        "c_days": _days([one.day for one in kept]),
        "c_day_counts": array_text([one.day_count for one in kept]),
        "c_day_minors": array_text([one.day_minor for one in kept]),
        "c_periods": _days([one.period for one in kept]),
        "c_period_minors": array_text([one.period_minor for one in kept]),
        "c_year_minors": array_text([one.year_minor for one in kept]),
    }
    tx.execute(WRITE, values)


def write_counters(tx: Tx, counters: Mapping[Holder, Counter]) -> None:
    """Keep counters as they are now, under the accounts' locks."""
    write(
        tx,
        [],
        [],
        [
            CounterRow(one.partition, one.holder_id.hex, one.currency, one.scope, counter)
            for one, counter in counters.items()
        ],
    )


def give_back(
    tx: Tx, partition: int, spend_ids: Collection[UUID], accounts: Collection[UUID], at: datetime
) -> None:
    """Mark uses as given back; payees that these spends made known are so no more."""
    values = {"partition": partition, "spends": list(spend_ids), "accounts": list(accounts), "at": at}
    tx.execute(GIVE_BACK, values)
    tx.execute(FORGET_PAYEES, values)
