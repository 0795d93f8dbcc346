"""What became of a window: what settlement books in the ledger for it, statements that were read, breaks."""

from datetime import datetime
from typing import NamedTuple

from psycopg.rows import class_row

from hansa import clearing, ledger
from hansa.settlement import actions, store
from hansa.settlement.life import Answer
from hansa.settlement.model import Break
from hansa.store import Tx


def bank_transfers(tx: Tx, window_id: str) -> dict[str, list[ledger.Transfer]]:
    """By end-to-end id, what stands in the books for each payment that a statement has booked, or has given back."""
    found: dict[str, list[ledger.Transfer]] = {}
    told = store.instructions_of_window(tx, window_id)
    for currency in {one.currency for one in told}:
        booked = store.booked_days(tx, window_id, currency)
        returned = store.returned_days(tx, window_id, currency)
        for one in told:
            if one.currency != currency or one.end_to_end_id not in booked:
                continue
            made = [actions.bank_transfer(one, booked[one.end_to_end_id])]
            if one.end_to_end_id in returned:
                made.append(actions.came_back(one, returned[one.end_to_end_id]))
            found[one.end_to_end_id] = made
    return found


def earned_transfers(tx: Tx, window_id: str) -> dict[str, list[ledger.Transfer]]:
    """By currency, what turns what a closed window's members are due into what they have earned.

    Errors: clearing.UnknownWindow.
    """
    window = clearing.get_window(tx, window_id)
    found: dict[str, list[ledger.Transfer]] = {}
    if window.closed_at is not None:
        for due in clearing.window_dues(tx, window_id):
            found.setdefault(due.currency, []).append(actions.earned_transfer(due, window, window.closed_at))
    return found


class ReadStatement(NamedTuple):
    """A bank's statement that has payments of a window. matched: payments of the window that it books."""

    statement_id: str
    currency: str
    read_at: datetime
    matched: int


class Said(NamedTuple):
    """What a message from a bank says of payments of a window, or that we asked. payments: of how many it says so."""

    answer: Answer
    source: str
    by_whom: str
    at: datetime
    payments: int


ANSWERS_OF = """
select f.answer, f.source, f.by_whom, f.at, count(*)
from settlement.instructions i
join settlement.payment_facts f using (end_to_end_id)
where i.window_id = %s
group by f.answer, f.source, f.by_whom, f.at
order by f.at, f.source, f.answer
"""

STATEMENTS_OF = """
select s.statement_id, s.currency, s.read_at, count(*)
from settlement.instructions i
join settlement.matches m using (end_to_end_id)
join settlement.statements s using (statement_id)
where i.window_id = %s
group by s.statement_id, s.currency, s.read_at
order by s.read_at, s.statement_id
"""

BREAKS_OF = """
select b.statement_id, b.entry, b.kind, b.end_to_end_id, b.expected_minor, b.found_minor, b.currency, b.detail,
    b.found_at, b.booked_day
from settlement.breaks b
join settlement.instructions i using (end_to_end_id)
where i.window_id = %s
order by b.found_at, b.statement_id, b.entry
limit %s
"""


def answers_of(tx: Tx, window_id: str) -> list[Said]:
    """What banks said of a window's payments, and when we asked, message by message as they came."""
    rows = tx.execute(ANSWERS_OF, (window_id,)).fetchall()
    return [Said(Answer(answer), source, by, at, count) for answer, source, by, at, count in rows]


def statements_of(tx: Tx, window_id: str) -> list[ReadStatement]:
    """The statements that book payments of a window, in the order in which they were read."""
    return [ReadStatement(*row) for row in tx.execute(STATEMENTS_OF, (window_id,)).fetchall()]


def breaks_of(tx: Tx, window_id: str, *, limit: int = 1_000) -> list[Break]:
    """Breaks that there ever were about payments of a window, open or not, in the order in which they were found."""
    with tx.cursor(row_factory=class_row(Break)) as cursor:
        return cursor.execute(BREAKS_OF, (window_id, limit)).fetchall()
