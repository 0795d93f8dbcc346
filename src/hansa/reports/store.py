"""The SQL of reports: balances carried from window to window."""

from collections.abc import Sequence
from datetime import datetime

from psycopg.rows import class_row

from hansa.clearing import Window
from hansa.reports.model import Balance
from hansa.store import Tx

LATEST_CARRIED = """
select number, window_id from reports.carried where model_id = %s order by number desc limit 1
"""

IS_CARRIED = "select from reports.carried where window_id = %s"

ADD_CARRIED = """
insert into reports.carried (model_id, number, window_id, carried_at) values (%s, %s, %s, %s)
on conflict (model_id, number) do nothing
"""

ADD_BALANCES = """
insert into reports.balances (window_id, member_id, currency, opening_minor, net_minor, paid_minor)
select %s, * from unnest(%s::text[], %s::char(3)[], %s::bigint[], %s::bigint[], %s::bigint[])
"""

BALANCES = """
select window_id, member_id, currency, opening_minor as opening, net_minor as net, paid_minor as paid
from reports.balances
where window_id = %(window)s and (%(member)s::text is null or member_id = %(member)s)
order by currency, member_id
"""


def latest_carried(tx: Tx, model_id: str) -> tuple[int, str] | None:
    """The window of a model up to which balances are carried: its number and id."""
    row = tx.execute(LATEST_CARRIED, (model_id,)).fetchone()
    return None if row is None else (row[0], row[1])


def is_carried(tx: Tx, window_id: str) -> bool:
    """Whether the balances with this window are known."""
    return tx.execute(IS_CARRIED, (window_id,)).fetchone() is not None


def add_balances(tx: Tx, window: Window, balances: Sequence[Balance], at: datetime) -> bool:
    """Keep a window's balances; False where another did so first, for whose commit this waits."""
    values = (window.model_id, window.number, window.window_id, at)
    if not tx.execute(ADD_CARRIED, values).rowcount:
        return False
    tx.execute(
        ADD_BALANCES,
        (
            window.window_id,
            [one.member_id for one in balances],
            [one.currency for one in balances],
            [one.opening for one in balances],
            [one.net for one in balances],
            [one.paid for one in balances],
        ),
    )
    return True


def balances(tx: Tx, window_id: str, member_id: str | None = None) -> list[Balance]:
    """The balances with a window, of one member or all."""
    with tx.cursor(row_factory=class_row(Balance)) as cursor:
        return cursor.execute(BALANCES, {"window": window_id, "member": member_id}).fetchall()
