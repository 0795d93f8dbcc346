"""The SQL of members' life."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from psycopg.types.json import Jsonb

from hansa.kernel import new_id
from hansa.store import Event, Rows, Tx, write_outbox
from hansa.trust.members_model import (
    AccountChange,
    AccountFact,
    Application,
    ApplicationFact,
    ApplicationText,
    MemberFact,
    MemberProfile,
)

MEMBERS_TOPIC = "trust.members"
"""The outbox topic that says what was decided about members: step, and from when it counts."""

LOCK = "select from trust.members where member_id = %s for no key update"

ADD_APPLICATION = """
insert into trust.applications (application_id, member_id, name, toml, body, note, made_by, made_at)
values (%s, %s, %s, %s, %s, %s, %s, %s)
on conflict (application_id) do nothing
returning application_id
"""

ADD_APPLICATION_FACT = """
insert into trust.application_facts (application_id, number, step, by_whom, at, why)
select %(id)s, coalesce(max(number), 0) + 1, %(step)s, %(by)s, %(at)s, %(why)s
from trust.application_facts where application_id = %(id)s
"""

LOCK_APPLICATION = "select from trust.applications where application_id = %s for no key update"

APPLICATIONS = """
select application_id, body, toml, note, made_by, made_at
from trust.applications
where application_id = any(%(ids)s::uuid[]) or %(ids)s::uuid[] is null
order by made_at desc, application_id desc
limit %(limit)s
"""

APPLICATION_FACTS = """
select application_id, step, by_whom, at, why
from trust.application_facts
where application_id = any(%s::uuid[])
order by application_id, number
"""

ADD_PROFILE = """
insert into trust.member_profiles (member_id, application_id, tz, currencies, contact)
values (%s, %s, %s, %s, %s)
"""

PROFILES = """
select member_id, application_id, tz, currencies, contact
from trust.member_profiles
where member_id = any(%s::text[]) or %s::text[] is null
"""

ADD_FACT = """
insert into trust.member_facts (member_id, number, step, from_at, by_whom, at, why, facts)
select %(member)s, coalesce(max(number), 0) + 1, %(step)s, %(from_at)s, %(by)s, %(at)s, %(why)s, %(facts)s
from trust.member_facts where member_id = %(member)s
"""

FACTS = """
select member_id, step, from_at, by_whom, at, why, facts
from trust.member_facts
where member_id = any(%s::text[]) or %s::text[] is null
order by member_id, number
"""

CLEARS_AS = (
    "select member_id, clears_as from trust.members where member_id = any(%s::text[]) or %s::text[] is null"
)

ALL_FACTS = """
select m.member_id, m.clears_as, f.step, f.from_at, f.by_whom, f.at, f.why, f.facts
from trust.members m
left join trust.member_facts f on f.member_id = m.member_id
order by m.member_id, f.number
"""

ACTIVE_KEYS = (
    "select kid from trust.issuer_keys where issuer_id = any(%s::text[]) and status = 'active' order by kid"
)

# Keys that stopped signing since an instant and could sign again.
KEYS_RETIRED_SINCE = """
select k.kid
from trust.issuer_keys k
where k.issuer_id = any(%s::text[]) and k.status = 'retired' and exists (
    select from trust.key_changes c where c.kid = k.kid and c.status = 'retired' and c.changed_at >= %s)
order by k.kid
"""

ADD_CHANGE = """
insert into trust.account_changes (change_id, member_id, currency, account, why, made_by, made_at)
values (%s, %s, %s, %s, %s, %s, %s)
on conflict (change_id) do nothing
returning change_id
"""

ADD_CHANGE_FACT = """
insert into trust.account_facts (change_id, number, step, by_whom, at, why, from_at)
select %(id)s, coalesce(max(number), 0) + 1, %(step)s, %(by)s, %(at)s, %(why)s, %(from_at)s::timestamptz
from trust.account_facts where change_id = %(id)s
"""

CHANGES = """
select change_id, member_id, currency, account, why, made_by, made_at
from trust.account_changes
where (change_id = %(id)s::uuid or %(id)s::uuid is null) and (member_id = %(member)s or %(member)s::text is null)
order by made_at desc, change_id desc
limit %(limit)s
"""

CHANGE_FACTS = """
select change_id, step, by_whom, at, why, from_at
from trust.account_facts
where change_id = any(%s::uuid[])
order by change_id, number
"""

# Changes whose cooling time is over and that nobody stopped, oldest first.
DUE_CHANGES = """
select c.change_id
from trust.account_changes c
join trust.account_facts a on a.change_id = c.change_id and a.step = 'approved' and a.from_at <= %s
where not exists (
    select from trust.account_facts e where e.change_id = c.change_id and e.step in ('stopped', 'in_force'))
order by a.from_at, c.change_id
"""

SET_ACCOUNT = "update trust.members set account = %s where member_id = %s"

SET_CURRENCY_ACCOUNT = """
insert into trust.member_accounts (member_id, currency, account) values (%s, %s, %s)
on conflict (member_id, currency) do update set account = excluded.account
"""

CURRENCY_ACCOUNTS = (
    "select member_id, currency, account from trust.member_accounts order by member_id, currency"
)


def lock(tx: Tx, member_id: str) -> None:
    """Nobody else decides about this member until the transaction ends."""
    tx.execute(LOCK, (member_id,))


def add_application(tx: Tx, one: Application) -> bool:
    """Keep an application. False where one of its id is kept already."""
    said = one.said
    values = (
        one.application_id,
        said.member,
        said.name,
        one.toml,
        Jsonb(msgspec.to_builtins(said)),
        one.note,
        one.made_by,
        one.made_at,
    )
    return tx.execute(ADD_APPLICATION, values).fetchone() is not None


def add_application_fact(tx: Tx, application_id: UUID, fact: ApplicationFact) -> None:
    """Add what was done with it."""
    tx.execute(
        ADD_APPLICATION_FACT,
        {"id": application_id, "step": fact.step, "by": fact.by_whom, "at": fact.at, "why": fact.why},
    )


def lock_application(tx: Tx, application_id: UUID) -> None:
    """Nobody else decides on it until the transaction ends."""
    tx.execute(LOCK_APPLICATION, (application_id,))


def applications(tx: Tx, ids: Sequence[UUID] | None = None, *, limit: int = 500) -> list[Application]:
    """These applications or all, newest first."""
    rows = tx.execute(APPLICATIONS, {"ids": None if ids is None else list(ids), "limit": limit}).fetchall()
    facts: dict[UUID, list[ApplicationFact]] = defaultdict(list)
    for application_id, step, by_whom, at, why in tx.execute(APPLICATION_FACTS, ([row[0] for row in rows],)):
        facts[application_id].append(ApplicationFact(step, by_whom, at, why))
    return [
        Application(
            key, msgspec.convert(body, ApplicationText), toml, note, made_by, made_at, tuple(facts[key])
        )
        for key, body, toml, note, made_by, made_at in rows
    ]


def add_profile(tx: Tx, profile: MemberProfile) -> None:
    """Keep what a member said of itself."""
    values = (
        profile.member_id,
        profile.application_id,
        profile.tz,
        list(profile.currencies),
        Jsonb(dict(profile.contact)),
    )
    tx.execute(ADD_PROFILE, values)


def profiles(tx: Tx, ids: Sequence[str] | None = None) -> dict[str, MemberProfile]:
    """What members said of themselves, by member."""
    wanted = None if ids is None else list(ids)
    return {
        row[0]: MemberProfile(row[0], row[1], row[2], tuple(row[3]), row[4])
        for row in tx.execute(PROFILES, (wanted, wanted)).fetchall()
    }


def add_fact(tx: Tx, member_id: str, fact: MemberFact) -> None:
    """Add what was decided about a member."""
    values = {
        "member": member_id,
        "step": fact.step,
        "from_at": fact.from_at,
        "by": fact.by_whom,
        "at": fact.at,
        "why": fact.why,
        "facts": Jsonb(dict(fact.facts)),
    }
    tx.execute(ADD_FACT, values)
    body = {"member_id": member_id, "step": fact.step, "from_at": fact.from_at.isoformat()}
    write_outbox(tx, MEMBERS_TOPIC, [Event(new_id(), body | {"at": fact.at.isoformat()})])


def facts(tx: Tx, ids: Iterable[str] | None = None) -> dict[str, tuple[MemberFact, ...]]:
    """What was decided about these members or all, in order."""
    wanted = None if ids is None else list(ids)
    found: dict[str, list[MemberFact]] = defaultdict(list)
    for member_id, step, from_at, by_whom, at, why, more in tx.execute(FACTS, (wanted, wanted)):
        found[member_id].append(MemberFact(step, from_at, by_whom, at, why, more))
    return {member_id: tuple(some) for member_id, some in found.items()}


def clears_as(tx: Tx, ids: Sequence[str] | None = None) -> dict[str, str]:
    """As whom these members or all clear."""
    wanted = None if ids is None else list(ids)
    rows: Mapping[str, str] = dict(tx.execute(CLEARS_AS, (wanted, wanted)).fetchall())
    return dict(rows)


def ask_for_all_facts(tx: Tx) -> Rows:
    """Have read what was decided about all members, and as whom they clear; ``all_facts`` has the answer."""
    return tx.execute(ALL_FACTS)


def all_facts(asked: Rows) -> tuple[dict[str, tuple[MemberFact, ...]], dict[str, str]]:
    """What ``facts`` and ``clears_as`` say of all members."""
    found: dict[str, list[MemberFact]] = defaultdict(list)
    known: dict[str, str] = {}
    for member_id, city, step, from_at, by_whom, at, why, more in asked:
        known[member_id] = city
        if step is not None:
            found[member_id].append(MemberFact(step, from_at, by_whom, at, why, more))
    return {member_id: tuple(some) for member_id, some in found.items()}, known


def active_keys(tx: Tx, issuers: Sequence[str]) -> list[bytes]:
    """Ids of the keys with which these issuers sign."""
    return [bytes(row[0]) for row in tx.execute(ACTIVE_KEYS, (list(issuers),)).fetchall()]


def keys_retired_since(tx: Tx, issuers: Sequence[str], at: datetime) -> list[bytes]:
    """Ids of the keys of these issuers that were retired since an instant."""
    return [bytes(row[0]) for row in tx.execute(KEYS_RETIRED_SINCE, (list(issuers), at)).fetchall()]


def add_change(tx: Tx, one: AccountChange) -> bool:
    """Keep a change of a bank account. False where one of its id is kept already."""
    values = (
        one.change_id,
        one.member_id,
        one.currency,
        one.account,
        one.why,
        one.made_by,
        one.made_at,
    )
    return tx.execute(ADD_CHANGE, values).fetchone() is not None


def add_change_fact(tx: Tx, change_id: UUID, fact: AccountFact) -> None:
    """Add what was done with it."""
    values = {
        "id": change_id,
        "step": fact.step,
        "by": fact.by_whom,
        "at": fact.at,
        "why": fact.why,
        "from_at": fact.from_at,
    }
    tx.execute(ADD_CHANGE_FACT, values)


def changes(
    tx: Tx, *, change_id: UUID | None = None, member_id: str | None = None, limit: int = 500
) -> list[AccountChange]:
    """Changes of bank accounts, newest first: one, a member's, or all."""
    rows = tx.execute(CHANGES, {"id": change_id, "member": member_id, "limit": limit}).fetchall()
    done: dict[UUID, list[AccountFact]] = defaultdict(list)
    for key, step, by_whom, at, why, from_at in tx.execute(CHANGE_FACTS, ([row[0] for row in rows],)):
        done[key].append(AccountFact(step, by_whom, at, why, from_at))
    return [
        AccountChange(key, member, currency, account, why, made_by, made_at, tuple(done[key]))
        for key, member, currency, account, why, made_by, made_at in rows
    ]


def due_changes(tx: Tx, at: datetime) -> list[UUID]:
    """Changes whose cooling time is over at an instant, oldest first."""
    rows: list[tuple[Any, ...]] = tx.execute(DUE_CHANGES, (at,)).fetchall()
    return [row[0] for row in rows]


def set_account(tx: Tx, member_id: str, currency: str | None, account: str) -> None:
    """Let an account hold: for a currency, or for all that have none of their own."""
    if currency is None:
        tx.execute(SET_ACCOUNT, (account, member_id))
    else:
        tx.execute(SET_CURRENCY_ACCOUNT, (member_id, currency, account))


def currency_accounts(tx: Tx) -> dict[tuple[str, str], str]:
    """Accounts of members for a currency of their own."""
    return {(row[0], row[1]): row[2] for row in tx.execute(CURRENCY_ACCOUNTS).fetchall()}
