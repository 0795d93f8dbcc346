"""The SQL of reports: balances carried from day to day."""

from collections.abc import Sequence
from datetime import date, datetime

from psycopg.rows import class_row

from hansa.reports.model import Balance
from hansa.store import Tx

LATEST_CARRIED = "select day from reports.carried order by day desc limit 1"

IS_CARRIED = "select from reports.carried where day = %s"

ADD_CARRIED = "insert into reports.carried (day, carried_at) values (%s, %s) on conflict do nothing"

ADD_BALANCES = """
insert into reports.balances (day, member_id, currency, opening_minor, net_minor, paid_minor)
select %s, * from unnest(%s::text[], %s::char(3)[], %s::bigint[], %s::bigint[], %s::bigint[])
"""

BALANCES = """
select day, member_id, currency, opening_minor as opening, net_minor as net, paid_minor as paid
from reports.balances
where day = %(day)s and (%(member)s::text is null or member_id = %(member)s)
order by currency, member_id
"""


def latest_carried(tx: Tx) -> date | None:
    """The day up to which balances are carried."""
    row = tx.execute(LATEST_CARRIED).fetchone()
    return None if row is None else row[0]


def is_carried(tx: Tx, day: date) -> bool:
    """Whether the balances of this day are known."""
    return tx.execute(IS_CARRIED, (day,)).fetchone() is not None


def add_balances(tx: Tx, day: date, balances: Sequence[Balance], at: datetime) -> bool:
    """Keep a day's balances; False where another did so first, which waits for that other's commit."""
    if not tx.execute(ADD_CARRIED, (day, at)).rowcount:
        return False
    tx.execute(
        ADD_BALANCES,
        (
            day,
            [one.member_id for one in balances],
            [one.currency for one in balances],
            [one.opening for one in balances],
            [one.net for one in balances],
            [one.paid for one in balances],
        ),
    )
    return True


def balances(tx: Tx, day: date, member_id: str | None = None) -> list[Balance]:
    """A day's balances, of one member or all."""
    with tx.cursor(row_factory=class_row(Balance)) as cursor:
        return cursor.execute(BALANCES, {"day": day, "member": member_id}).fetchall()
