"""The SQL of liquidity: caps, funds, grants, releases, alarms."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.rows import class_row, scalar_row

from hansa.hub.model import Alarm, Cap, Funds, FundsState, Model
from hansa.store import Tx

MODEL = "select model from hub.currencies where currency = %s"

SET_MODEL = """
insert into hub.currencies (currency, model, set_by, set_at) values (%s, %s, %s, %s)
on conflict (currency) do update set model = excluded.model, set_by = excluded.set_by, set_at = excluded.set_at
where not exists (select from hub.liquidity l where l.currency = excluded.currency)
"""

HAS_LIQUIDITY = "select exists (select from hub.liquidity where currency = %s)"

# Whoever opens liquidity keeps the currency's model from being changed meanwhile, and the other way round.
LOCK_CURRENCY = "select pg_advisory_xact_lock(hashtextextended('hub currency ' || %s, 0))"

OPEN = """
insert into hub.liquidity (member_id, currency, partition, model)
select * from unnest(%s::text[], %s::text[], %s::smallint[], %s::text[])
on conflict do nothing
"""

OPEN_FEEDS = (
    "insert into hub.feeds (member_id) select distinct * from unnest(%s::text[]) on conflict do nothing"
)

ROWS = """
select member_id, currency, partition, model, cap_minor, warn_percent, soft_minor, cover_minor, asking_minor,
    released_minor, granted_minor, carried_minor, taken_minor
from hub.liquidity
where (member_id = %(member_id)s or %(member_id)s::text is null)
  and (currency = %(currency)s or %(currency)s::text is null)
order by member_id, currency
"""

ROWS_OF = """
select l.member_id, l.currency, l.partition, l.model, l.cap_minor, l.warn_percent, l.soft_minor, l.cover_minor,
    l.asking_minor, l.released_minor, l.granted_minor, l.carried_minor, l.taken_minor
from hub.liquidity l
join (select distinct * from unnest(%s::text[], %s::text[])) as asked (member_id, currency) using (member_id, currency)
"""

LOCK = """
select member_id, currency, partition, model, cap_minor, warn_percent, soft_minor, cover_minor, asking_minor,
    released_minor, granted_minor, carried_minor, taken_minor
from hub.liquidity where member_id = %s and currency = %s
for no key update
"""

SHORT = """
select member_id, currency from hub.liquidity
where model = 'deferred' and granted_minor <> least(cap_minor, cover_minor - asking_minor) + released_minor
  and (member_id = any (%(members)s::text[]) or %(members)s::text[] is null)
order by member_id, currency
"""

CHANGE = """
update hub.liquidity set cover_minor = cover_minor + %(cover)s, asking_minor = asking_minor + %(asking)s,
    granted_minor = granted_minor + %(granted)s, released_minor = released_minor + %(released)s
where member_id = %(member_id)s and currency = %(currency)s
"""

INSERT_CAP = """
insert into hub.caps (cap_id, member_id, currency, cap_minor, warn_percent, soft_minor, valid_from, set_by, set_at)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
on conflict (cap_id) do nothing
"""

_CAP = "select cap_id, member_id, currency, cap_minor, warn_percent, soft_minor, valid_from, set_by, set_at, applied_at"

CAP = _CAP + " from hub.caps where cap_id = %s"

CAPS = (
    _CAP
    + " from hub.caps where member_id = %s and currency = %s order by valid_from desc, set_at desc limit %s"
)

DUE_CAPS = (
    _CAP + " from hub.caps where applied_at is null and valid_from <= %s order by valid_from, set_at, cap_id"
)

# A cap that counts from an earlier instant than one that counts already was overtaken before it was applied.
APPLY_CAP = """
with marked as (
    update hub.caps set applied_at = %(now)s where cap_id = %(cap_id)s and applied_at is null returning *
)
update hub.liquidity l set cap_minor = m.cap_minor, warn_percent = m.warn_percent, soft_minor = m.soft_minor
from marked m
where l.member_id = m.member_id and l.currency = m.currency
  and not exists (
      select from hub.caps c where c.member_id = m.member_id and c.currency = m.currency
        and c.applied_at is not null and (c.valid_from, c.set_at, c.cap_id) > (m.valid_from, m.set_at, m.cap_id))
"""

GRANT_UNDER_WAY = """
select grant_id, member_id, currency, delta_minor, at from hub.grants
where member_id = %s and currency = %s and moved_minor is null
"""

GRANTS_UNDER_WAY = "select member_id, currency from hub.grants where moved_minor is null"

INSERT_GRANT = (
    "insert into hub.grants (grant_id, member_id, currency, delta_minor, at) values (%s, %s, %s, %s, %s)"
)

MARK_GRANT = "update hub.grants set moved_minor = %s where grant_id = %s and moved_minor is null"

INSERT_FUNDS = """
insert into hub.funds (funds_id, member_id, currency, way, amount_minor, bank_reference, lowers_minor, proposed_by,
    proposed_at, state)
values (%(funds_id)s, %(member_id)s, %(currency)s, %(way)s, %(amount_minor)s, %(bank_reference)s, %(lowers_minor)s,
    %(proposed_by)s, %(proposed_at)s, %(state)s)
on conflict (funds_id) do nothing
"""

_FUNDS = """
select funds_id, member_id, currency, way, amount_minor, bank_reference, lowers_minor, proposed_by, proposed_at, state,
    decided_by, decided_at, booked_at
from hub.funds
"""

FUNDS = _FUNDS + " where funds_id = %s"

ASKED = _FUNDS + " where member_id = %s and currency = %s and state = 'asked'"

UNFINISHED_FUNDS = _FUNDS + " where state in ('asked', 'booking', 'voiding') order by proposed_at, funds_id"

LIST_FUNDS = (
    _FUNDS
    + """
where (member_id = %(member_id)s or %(member_id)s::text is null)
  and (state not in ('booked', 'refused') or not %(under_way)s)
order by proposed_at desc, funds_id desc limit %(limit)s
"""
)

MOVE_FUNDS = """
update hub.funds set state = %(to)s, decided_by = coalesce(%(by)s, decided_by),
    decided_at = coalesce(%(at)s, decided_at), booked_at = coalesce(%(booked_at)s, booked_at)
where funds_id = %(funds_id)s and state = %(from)s
"""

INSERT_RELEASE = """
insert into hub.releases (window_id, member_id, currency, released_minor, at) values (%s, %s, %s, %s, %s)
on conflict do nothing
"""

RELEASE = "select released_minor from hub.releases where window_id = %s and member_id = %s and currency = %s"

# The last of each kind by the index: facts of years are not walked through each second.
STANDING_ALARMS = """
select a.alarm_id, a.member_id, a.currency, a.kind, a.raised, a.at, a.place, a.position_minor, a.limit_minor
from hub.liquidity l
cross join unnest(array['warning', 'soft', 'hard', 'over', 'exposure']) as k (kind)
cross join lateral (
    select * from hub.alarms f where f.member_id = l.member_id and f.currency = l.currency and f.kind = k.kind
    order by f.place desc limit 1
) a
where l.member_id = any (%(members)s::text[]) or %(members)s::text[] is null
order by a.member_id, a.currency, a.kind
"""

LIST_ALARMS = """
select alarm_id, member_id, currency, kind, raised, at, place, position_minor, limit_minor from hub.alarms
where member_id = %(member_id)s or %(member_id)s::text is null
order by at desc, alarm_id desc limit %(limit)s
"""

INSERT_ALARM = """
insert into hub.alarms (alarm_id, member_id, currency, kind, raised, at, place, position_minor, limit_minor)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
on conflict do nothing
returning alarm_id
"""


@dataclass(frozen=True, slots=True)
class Row:
    """A member in a currency as it stands in the database, in minor units; the ledger knows the rest."""

    member_id: str
    currency: str
    partition: int
    model: Model
    cap_minor: int
    warn_percent: int
    soft_minor: int | None
    cover_minor: int
    asking_minor: int
    released_minor: int
    granted_minor: int
    carried_minor: int
    taken_minor: int

    @property
    def limit_minor(self) -> int:
        """The most it may owe: its cap, and never more than its cover."""
        return min(self.cap_minor, self.cover_minor)

    @property
    def short_minor(self) -> int:
        """What it was granted beyond its limit, because payments had taken it before the limit was lowered."""
        if self.model == "gross":
            return 0
        return max(0, self.granted_minor - self.limit_minor - self.released_minor)

    @property
    def delta_minor(self) -> int:
        """What the ledger should move from limit to headroom now; below zero back. What is asked out is not granted."""
        rises = min(self.cap_minor, self.cover_minor - self.asking_minor) + self.released_minor
        return max(0, rises - self.granted_minor) - self.short_minor


@dataclass(frozen=True, slots=True)
class Grant:
    """What the ledger is to move between limit and headroom."""

    grant_id: UUID
    member_id: str
    currency: str
    delta_minor: int
    at: datetime


def find_model(tx: Tx, currency: str) -> Model:
    """How payments in a currency settle."""
    found = tx.cursor(row_factory=scalar_row).execute(MODEL, (currency,)).fetchone()
    return "gross" if found == "gross" else "deferred"


def lock_currency(tx: Tx, currency: str) -> None:
    """Nobody else opens liquidity in this currency, or sets how it settles, until this transaction ends."""
    tx.execute(LOCK_CURRENCY, (currency,))


def has_liquidity(tx: Tx, currency: str) -> bool:
    """Whether any member pays in it."""
    row = tx.execute(HAS_LIQUIDITY, (currency,)).fetchone()
    return bool(row and row[0])


def set_model(tx: Tx, currency: str, model: Model, by: str, at: datetime) -> None:
    """Set how payments in a currency settle; harmless where a member has liquidity in it."""
    tx.execute(SET_MODEL, (currency, model, by, at))


def open_rows(tx: Tx, rows: Sequence[tuple[str, str, int, Model]]) -> None:
    """Add (member, currency, partition, model) where they are not there, and the members' feeds."""
    members, currencies, partitions, models = (list(column) for column in zip(*rows, strict=True))
    tx.execute(OPEN, (members, currencies, partitions, models))
    tx.execute(OPEN_FEEDS, (members,))


def list_rows(tx: Tx, member_id: str | None = None, currency: str | None = None) -> list[Row]:
    """By member and currency."""
    values = {"member_id": member_id, "currency": currency}
    return tx.cursor(row_factory=class_row(Row)).execute(ROWS, values).fetchall()


def rows_of(tx: Tx, pairs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Row]:
    """Those of these (member, currency) that there are."""
    asked = ([member for member, _ in pairs], [currency for _, currency in pairs])
    found = tx.cursor(row_factory=class_row(Row)).execute(ROWS_OF, asked)
    return {(row.member_id, row.currency): row for row in found}


def lock_row(tx: Tx, member_id: str, currency: str) -> Row | None:
    """The row, which nobody else changes until this transaction ends; or None."""
    return tx.cursor(row_factory=class_row(Row)).execute(LOCK, (member_id, currency)).fetchone()


def list_unequal(tx: Tx, members: Sequence[str] | None = None) -> list[tuple[str, str]]:
    """Where the headroom that was granted is not what cap, cover and releases say; of these members, or of all."""
    return tx.execute(SHORT, {"members": None if members is None else list(members)}).fetchall()


def change(
    tx: Tx,
    member_id: str,
    currency: str,
    *,
    cover: int = 0,
    asking: int = 0,
    granted: int = 0,
    released: int = 0,
) -> None:
    """Add these to a row's figures."""
    values = {
        "member_id": member_id,
        "currency": currency,
        "cover": cover,
        "asking": asking,
        "granted": granted,
        "released": released,
    }
    tx.execute(CHANGE, values)


def insert_cap(tx: Tx, cap: Cap) -> None:
    """Keep a cap, unless its id is known."""
    tx.execute(
        INSERT_CAP,
        (
            cap.cap_id,
            cap.member_id,
            cap.currency,
            cap.cap_minor,
            cap.warn_percent,
            cap.soft_minor,
            cap.valid_from,
            cap.set_by,
            cap.set_at,
        ),
    )


def find_cap(tx: Tx, cap_id: UUID) -> Cap | None:
    """The cap of this id, or None."""
    return tx.cursor(row_factory=class_row(Cap)).execute(CAP, (cap_id,)).fetchone()


def list_caps(tx: Tx, member_id: str, currency: str, limit: int) -> list[Cap]:
    """A member's caps in a currency, the latest to begin first."""
    return tx.cursor(row_factory=class_row(Cap)).execute(CAPS, (member_id, currency, limit)).fetchall()


def due_caps(tx: Tx, now: datetime) -> list[Cap]:
    """Caps that are to count by now and do not yet, in the order of their beginnings."""
    return tx.cursor(row_factory=class_row(Cap)).execute(DUE_CAPS, (now,)).fetchall()


def apply_cap(tx: Tx, cap_id: UUID, now: datetime) -> None:
    """Let a cap count; once."""
    tx.execute(APPLY_CAP, {"cap_id": cap_id, "now": now})


def find_grant_under_way(tx: Tx, member_id: str, currency: str) -> Grant | None:
    """What the ledger is being asked to move, or None."""
    cursor = tx.cursor(row_factory=class_row(Grant))
    return cursor.execute(GRANT_UNDER_WAY, (member_id, currency)).fetchone()


def list_grants_under_way(tx: Tx) -> list[tuple[str, str]]:
    """(member, currency) of all grants under way."""
    return tx.execute(GRANTS_UNDER_WAY).fetchall()


def insert_grant(tx: Tx, grant: Grant) -> None:
    """Keep what the ledger is to be asked."""
    values = (grant.grant_id, grant.member_id, grant.currency, grant.delta_minor, grant.at)
    tx.execute(INSERT_GRANT, values)


def mark_grant(tx: Tx, grant_id: UUID, moved_minor: int) -> bool:
    """Keep what the ledger moved; False if that was known."""
    return tx.execute(MARK_GRANT, (moved_minor, grant_id)).rowcount == 1


def insert_funds(tx: Tx, funds: Funds) -> None:
    """Keep funds, unless their id is known."""
    values = {
        "funds_id": funds.funds_id,
        "member_id": funds.member_id,
        "currency": funds.currency,
        "way": funds.way,
        "amount_minor": funds.amount_minor,
        "bank_reference": funds.bank_reference,
        "lowers_minor": funds.lowers_minor,
        "proposed_by": funds.proposed_by,
        "proposed_at": funds.proposed_at,
        "state": funds.state,
    }
    tx.execute(INSERT_FUNDS, values)


def find_funds(tx: Tx, funds_id: UUID) -> Funds | None:
    """The funds of this id, or None."""
    return tx.cursor(row_factory=class_row(Funds)).execute(FUNDS, (funds_id,)).fetchone()


def find_asked(tx: Tx, member_id: str, currency: str) -> Funds | None:
    """Funds on their way out of which the ledger has not spoken, or None."""
    return tx.cursor(row_factory=class_row(Funds)).execute(ASKED, (member_id, currency)).fetchone()


def list_unfinished_funds(tx: Tx) -> list[Funds]:
    """Funds of which the ledger is being told."""
    return tx.cursor(row_factory=class_row(Funds)).execute(UNFINISHED_FUNDS).fetchall()


def list_funds(tx: Tx, member_id: str | None, *, under_way: bool, limit: int) -> list[Funds]:
    """Funds, latest first. under_way: only those that are not decided."""
    values = {"member_id": member_id, "under_way": under_way, "limit": limit}
    return tx.cursor(row_factory=class_row(Funds)).execute(LIST_FUNDS, values).fetchall()


def move_funds(
    tx: Tx,
    funds_id: UUID,
    *,
    from_: FundsState,
    to: FundsState,
    by: str | None = None,
    at: datetime | None = None,
    booked_at: datetime | None = None,
) -> bool:
    """Let funds go on from one state to another; False if they were not there."""
    values = {"funds_id": funds_id, "from": from_, "to": to, "by": by, "at": at, "booked_at": booked_at}
    return tx.execute(MOVE_FUNDS, values).rowcount == 1


def insert_release(
    tx: Tx, window_id: str, member_id: str, currency: str, minor: int, at: datetime
) -> int | None:
    """Keep a release; None if it is new, else what was released before."""
    if tx.execute(INSERT_RELEASE, (window_id, member_id, currency, minor, at)).rowcount:
        return None
    row = tx.execute(RELEASE, (window_id, member_id, currency)).fetchone()
    assert row is not None, "a release stays"
    return row[0]


def standing_alarms(tx: Tx, members: Sequence[str] | None = None) -> list[Alarm]:
    """The last alarm of each kind, whether raised or ended; of these members, or of all."""
    values = {"members": None if members is None else list(members)}
    return tx.cursor(row_factory=class_row(Alarm)).execute(STANDING_ALARMS, values).fetchall()


def list_alarms(tx: Tx, member_id: str | None, limit: int) -> list[Alarm]:
    """What was raised and what ended, latest first."""
    values = {"member_id": member_id, "limit": limit}
    return tx.cursor(row_factory=class_row(Alarm)).execute(LIST_ALARMS, values).fetchall()


def insert_alarm(tx: Tx, alarm: Alarm) -> bool:
    """Keep an alarm; False if another one of its place is there."""
    row = tx.execute(
        INSERT_ALARM,
        (
            alarm.alarm_id,
            alarm.member_id,
            alarm.currency,
            alarm.kind,
            alarm.raised,
            alarm.at,
            alarm.place,
            alarm.position_minor,
            alarm.limit_minor,
        ),
    ).fetchone()
    return row is not None
