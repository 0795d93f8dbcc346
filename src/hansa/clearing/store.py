"""The SQL of clearing."""

from collections.abc import Sequence
from datetime import date, datetime, time

from psycopg.rows import class_row

from hansa.clearing.model import (
    ClearingDay,
    DayStatus,
    DayTotal,
    NetPosition,
    Position,
    PositionAccount,
    PositionLine,
    Settings,
    Watermark,
)
from hansa.clearing.netting import Agreement
from hansa.kernel import Money
from hansa.store import Tx
from hansa.trust import MemberId

SETTINGS = "select tz, cut_off from clearing.settings"

LOCK_SETTINGS = "select tz, cut_off from clearing.settings for no key update"

SET_SETTINGS = "update clearing.settings set tz = %s, cut_off = %s"

ADD_AGREEMENTS = """
insert into clearing.agreements (issuer_id, operator_id, issuer_fee_bp, league_fee_bp, valid_from)
select * from unnest(%s::text[], %s::text[], %s::integer[], %s::integer[], %s::date[])
on conflict do nothing
"""

LIST_AGREEMENTS = """
select issuer_id, operator_id, issuer_fee_bp, league_fee_bp, valid_from
from clearing.agreements
order by issuer_id, operator_id, valid_from
"""

ADD_POSITION_ACCOUNTS = """
insert into clearing.position_accounts (partition, account_id, issuer_id, operator_id, currency)
select * from unnest(%s::smallint[], %s::uuid[], %s::text[], %s::text[], %s::char(3)[])
on conflict do nothing
"""

LIST_POSITION_ACCOUNTS = """
select partition, account_id, issuer_id, operator_id, currency
from clearing.position_accounts
order by issuer_id, operator_id, currency, partition
"""

LATEST_DAY = "select day from clearing.days order by day desc limit 1"

LATEST_BLOCKS = """
select partition, max(up_to_block) from clearing.watermarks group by partition
"""

ADD_DAY = "insert into clearing.days (day, ends_at, decided_at) values (%s, %s, %s)"

ADD_WATERMARKS = """
insert into clearing.watermarks (day, partition, after_block, up_to_block)
select %s, * from unnest(%s::smallint[], %s::bigint[], %s::bigint[])
"""

ADD_POSITIONS = """
insert into clearing.positions
    (day, issuer_id, operator_id, currency, partition, items, gross_minor, issuer_fee_bp, league_fee_bp,
     operator_share_minor, issuer_fee_minor, league_fee_minor, debtor_id, creditor_id)
select %s, * from unnest(
    %s::text[], %s::text[], %s::char(3)[], %s::smallint[], %s::bigint[], %s::bigint[], %s::integer[], %s::integer[],
    %s::bigint[], %s::bigint[], %s::bigint[], %s::text[], %s::text[])
"""

# The nets and their sums in one statement: where a currency does not sum to zero, the check refuses them all.
ADD_NET_POSITIONS = """
with nets as (
    insert into clearing.net_positions (day, currency, member_id, net_minor)
    select %(day)s, * from unnest(%(currencies)s::char(3)[], %(members)s::text[], %(nets)s::bigint[])
    returning currency, net_minor
), summed as (
    select currency, sum(net_minor) as net_sum, coalesce(sum(net_minor) filter (where net_minor > 0), 0) as to_pay
    from nets
    group by currency
), gross as (
    select currency, sum(items) as items, sum(gross_minor) as gross, sum(issuer_fee_minor) as issuer_fees,
        sum(league_fee_minor) as league_fees
    from clearing.positions
    where day = %(day)s
    group by currency
)
insert into clearing.day_totals
    (day, currency, items, gross_minor, issuer_fees_minor, league_fees_minor, net_sum_minor, to_pay_minor)
select %(day)s, currency, coalesce(items, 0), coalesce(gross, 0), coalesce(issuer_fees, 0),
    coalesce(league_fees, 0), net_sum, to_pay
from summed left join gross using (currency)
"""

CLOSE = "insert into clearing.closings (day, closed_at) values (%s, %s) on conflict (day) do nothing"

DAYS = """
select d.day, d.ends_at, d.decided_at, c.closed_at
from clearing.days d
left join clearing.closings c using (day)
where (%(day)s::date is null or d.day = %(day)s::date) and (%(before)s::date is null or d.day < %(before)s::date)
order by d.day desc
limit %(limit)s
"""

WATERMARKS = """
select day, partition, after_block, up_to_block
from clearing.watermarks
where day = any(%s::date[])
order by day, partition
"""

DAY_TOTALS = """
select day, currency, items, gross_minor, issuer_fees_minor, league_fees_minor, to_pay_minor
from clearing.day_totals
where day = any(%s::date[])
order by day, currency
"""

POSITIONS = """
select day, issuer_id, operator_id, currency, sum(gross_minor)::bigint as gross,
    sum(issuer_fee_minor)::bigint as issuer_fee, sum(league_fee_minor)::bigint as league_fee,
    sum(operator_share_minor)::bigint as operator_share, sum(items)::bigint as items, debtor_id, creditor_id
from clearing.positions
where day = %s
group by day, issuer_id, operator_id, currency, debtor_id, creditor_id
order by currency, issuer_id, operator_id
"""

POSITION_LINES = """
select issuer_id, operator_id, currency, partition, items, gross_minor as gross, issuer_fee_bp, league_fee_bp,
    operator_share_minor as operator_share, issuer_fee_minor as issuer_fee, league_fee_minor as league_fee,
    debtor_id, creditor_id
from clearing.positions
where day = %s
order by issuer_id, operator_id, currency, partition
"""

NET_POSITIONS = """
select day, member_id, currency, net_minor as net
from clearing.net_positions
where day = %s
order by currency, member_id
"""


def get_settings(tx: Tx, *, lock: bool = False) -> Settings:
    """When the business day ends. lock: nobody else decides a day until the transaction ends."""
    row = tx.execute(LOCK_SETTINGS if lock else SETTINGS).fetchone()
    assert row is not None, "the migration puts one row there"
    return Settings(row[0], row[1])


def set_settings(tx: Tx, tz: str, cut_off: time) -> None:
    """Change when business days end."""
    tx.execute(SET_SETTINGS, (tz, cut_off))


def add_agreements(tx: Tx, agreements: Sequence[Agreement]) -> None:
    """Keep agreements that are not kept yet."""
    tx.execute(
        ADD_AGREEMENTS,
        (
            [agreement.issuer_id for agreement in agreements],
            [agreement.operator_id for agreement in agreements],
            [agreement.issuer_fee_bp for agreement in agreements],
            [agreement.league_fee_bp for agreement in agreements],
            [agreement.valid_from for agreement in agreements],
        ),
    )


def list_agreements(tx: Tx) -> list[Agreement]:
    """Every agreement, of all days."""
    with tx.cursor(row_factory=class_row(Agreement)) as cursor:
        return cursor.execute(LIST_AGREEMENTS).fetchall()


def add_position_accounts(tx: Tx, accounts: Sequence[PositionAccount]) -> None:
    """Remember which ledger accounts are positions."""
    tx.execute(
        ADD_POSITION_ACCOUNTS,
        (
            [account.partition for account in accounts],
            [account.account_id for account in accounts],
            [account.issuer_id for account in accounts],
            [account.operator_id for account in accounts],
            [account.currency for account in accounts],
        ),
    )


def list_position_accounts(tx: Tx) -> list[PositionAccount]:
    """Every position account of every partition."""
    with tx.cursor(row_factory=class_row(PositionAccount)) as cursor:
        return cursor.execute(LIST_POSITION_ACCOUNTS).fetchall()


def latest_day(tx: Tx) -> date | None:
    """The latest day that is decided."""
    row = tx.execute(LATEST_DAY).fetchone()
    return None if row is None else row[0]


def latest_blocks(tx: Tx) -> dict[int, int]:
    """The last block that any day took, by partition."""
    return dict(tx.execute(LATEST_BLOCKS).fetchall())


def add_day(
    tx: Tx,
    day: date,
    *,
    ends_at: datetime,
    decided_at: datetime,
    watermarks: Sequence[Watermark],
    lines: Sequence[PositionLine],
    nets: dict[tuple[MemberId, str], int],
) -> None:
    """Write down everything that a day is."""
    tx.execute(ADD_DAY, (day, ends_at, decided_at))
    tx.execute(
        ADD_WATERMARKS,
        (
            day,
            [mark.partition for mark in watermarks],
            [mark.after_block for mark in watermarks],
            [mark.up_to_block for mark in watermarks],
        ),
    )
    tx.execute(
        ADD_POSITIONS,
        (
            day,
            [line.issuer_id for line in lines],
            [line.operator_id for line in lines],
            [line.currency for line in lines],
            [line.partition for line in lines],
            [line.items for line in lines],
            [line.gross for line in lines],
            [line.issuer_fee_bp for line in lines],
            [line.league_fee_bp for line in lines],
            [line.operator_share for line in lines],
            [line.issuer_fee for line in lines],
            [line.league_fee for line in lines],
            [line.debtor_id for line in lines],
            [line.creditor_id for line in lines],
        ),
    )
    add_net_positions(tx, day, nets)


def add_net_positions(tx: Tx, day: date, nets: dict[tuple[MemberId, str], int]) -> None:
    """Write down a day's nets; the database adds them up and refuses what is not zero."""
    ordered = sorted(nets.items())
    tx.execute(
        ADD_NET_POSITIONS,
        {
            "day": day,
            "currencies": [currency for (_, currency), _ in ordered],
            "members": [member for (member, _), _ in ordered],
            "nets": [minor for _, minor in ordered],
        },
    )


def close(tx: Tx, day: date, at: datetime) -> None:
    """Close a decided day; a day closed before keeps its instant."""
    tx.execute(CLOSE, (day, at))


def find_day(tx: Tx, day: date) -> ClearingDay | None:
    """A decided or closed day."""
    days = list_days(tx, day=day)
    return days[0] if days else None


def list_days(
    tx: Tx, *, day: date | None = None, before: date | None = None, limit: int = 100
) -> list[ClearingDay]:
    """Days with their totals, latest first."""
    heads = tx.execute(DAYS, {"day": day, "before": before, "limit": limit}).fetchall()
    days: list[date] = [row[0] for row in heads]
    marks: dict[date, list[Watermark]] = {}
    for on, partition, after_block, up_to_block in tx.execute(WATERMARKS, (days,)).fetchall():
        marks.setdefault(on, []).append(Watermark(partition, after_block, up_to_block))
    totals: dict[date, list[DayTotal]] = {}
    for on, unit, items, gross, issuer_fees, league_fees, to_pay in tx.execute(
        DAY_TOTALS, (days,)
    ).fetchall():
        amounts = [Money(minor, unit) for minor in (gross, issuer_fees, league_fees, to_pay)]
        totals.setdefault(on, []).append(DayTotal(unit, items, *amounts))
    return [
        ClearingDay(
            day=on,
            status=DayStatus.CLOSING if closed_at is None else DayStatus.CLOSED,
            ends_at=ends_at,
            decided_at=decided_at,
            closed_at=closed_at,
            watermark=tuple(marks.get(on, ())),
            items=sum(total.items for total in totals.get(on, ())),
            totals=tuple(totals.get(on, ())),
        )
        for on, ends_at, decided_at, closed_at in heads
    ]


def positions(tx: Tx, day: date) -> list[Position]:
    """A day's positions, all partitions together."""
    with tx.cursor(row_factory=class_row(Position)) as cursor:
        return cursor.execute(POSITIONS, (day,)).fetchall()


def position_lines(tx: Tx, day: date) -> list[PositionLine]:
    """A day's positions, partition by partition, in the order in which they are booked."""
    with tx.cursor(row_factory=class_row(PositionLine)) as cursor:
        return cursor.execute(POSITION_LINES, (day,)).fetchall()


def net_positions(tx: Tx, day: date) -> list[NetPosition]:
    """A day's nets, by currency and member."""
    with tx.cursor(row_factory=class_row(NetPosition)) as cursor:
        return cursor.execute(NET_POSITIONS, (day,)).fetchall()
