"""The SQL of settlement."""

from collections.abc import Collection, Sequence
from datetime import date, datetime

from psycopg.rows import class_row

from hansa.settlement.model import (
    Break,
    BreakKind,
    Direction,
    FileRecord,
    Gap,
    Instruction,
    Match,
    Reversal,
    Statement,
)
from hansa.store import Tx

ADD_INSTRUCTIONS = """
insert into settlement.instructions
    (end_to_end_id, day, currency, member_id, direction, amount_minor, message_id, name, account,
    counterparty, piece, attempt, replaces, window_id)
select * from unnest(%s::text[], %s::date[], %s::char(3)[], %s::text[], %s::text[], %s::bigint[], %s::text[],
    %s::text[], %s::text[], %s::text[], %s::integer[], %s::integer[], %s::text[], %s::text[])
on conflict do nothing
"""

INSTRUCTIONS_OF_WINDOW = """
select end_to_end_id, day, currency, member_id, direction, amount_minor, message_id, name, account,
    counterparty, piece, attempt, replaces, window_id
from settlement.instructions
where window_id = %s
order by end_to_end_id
"""

INSTRUCTIONS_OF_FILE = """
select end_to_end_id, day, currency, member_id, direction, amount_minor, message_id, name, account,
    counterparty, piece, attempt, replaces, window_id
from settlement.instructions
where message_id = %s
order by end_to_end_id
"""

LOCK_INSTRUCTIONS = """
select end_to_end_id, day, currency, member_id, direction, amount_minor, message_id, name, account,
    counterparty, piece, attempt, replaces, window_id
from settlement.instructions
where end_to_end_id = any(%s::text[])
order by end_to_end_id
for no key update
"""

# What a statement of this instant should say: told before, neither seen in any statement nor missed before. A file
# that goes through the desk is told once it was sent, and expected from its day on unless the bank has rejected it.
OUTSTANDING = """
select i.end_to_end_id, i.day, i.currency, i.member_id, i.direction, i.amount_minor, i.message_id, i.name, i.account,
    i.counterparty, i.piece, i.attempt, i.replaces, i.window_id
from settlement.instructions i
join settlement.files f using (message_id)
where i.currency = %s
    and case when f.execution_day is null then f.created_at <= %s
        else f.execution_day <= %s
            and exists (select from settlement.file_facts t where t.message_id = f.message_id and t.step = 'sent')
            and not exists (select from settlement.file_facts t
                where t.message_id = f.message_id and t.step = 'refused')
            and not exists (select from settlement.payment_facts p
                where p.end_to_end_id = i.end_to_end_id and p.answer = 'rejected') end
    and not exists (select from settlement.matches m where m.end_to_end_id = i.end_to_end_id)
    and not exists (select from settlement.breaks b where b.end_to_end_id = i.end_to_end_id)
order by i.end_to_end_id
"""

ADD_FILE = """
insert into settlement.files
    (message_id, day, currency, created_at, holder, account, control_sum_minor, transactions, digest,
    bank_id, form, part, execution_day, window_id)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
on conflict do nothing
"""

FILES_OF_WINDOW = """
select message_id, day, currency, created_at, holder, account, control_sum_minor, transactions, digest,
    bank_id, form, part, execution_day, window_id
from settlement.files
where window_id = %s
order by currency, part
"""

FILE = """
select message_id, day, currency, created_at, holder, account, control_sum_minor, transactions, digest,
    bank_id, form, part, execution_day, window_id
from settlement.files
where message_id = %s
"""

ADD_STATEMENT = """
insert into settlement.statements
    (statement_id, currency, digest, entries, read_at, account, created_at, opening_minor, closing_minor)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
on conflict do nothing
"""

STATEMENT_DIGEST = "select digest from settlement.statements where statement_id = %s"

MATCHED_AMONG = (
    "select end_to_end_id, booked_day from settlement.matches where end_to_end_id = any(%s::text[])"
)

ADD_MATCHES = """
insert into settlement.matches (end_to_end_id, statement_id, entry, booked_day)
select * from unnest(%s::text[], %s::text[], %s::integer[], %s::date[])
"""

MATCHES_OF_STATEMENT = """
select m.end_to_end_id, m.statement_id, m.entry, m.booked_day
from settlement.matches m
where m.statement_id = %s
order by m.entry
"""

MATCHED_INSTRUCTIONS = """
select i.end_to_end_id, m.booked_day
from settlement.instructions i
join settlement.matches m using (end_to_end_id)
where i.window_id = %s and i.currency = %s
"""

WINDOWS_OF_STATEMENT = """
select distinct i.window_id, i.currency, i.day
from (
    select end_to_end_id from settlement.matches where statement_id = %(statement)s
    union all
    select end_to_end_id from settlement.reversals where statement_id = %(statement)s) m
join settlement.instructions i using (end_to_end_id)
order by i.day, i.window_id, i.currency
"""

# Every window and currency of which some money has moved and of which the books may not say so yet.
UNSETTLED = """
select i.window_id, i.currency
from settlement.instructions i
join settlement.matches m using (end_to_end_id)
left join settlement.reversals r on r.end_to_end_id = i.end_to_end_id and r.break_entry is null
where not exists (select from settlement.settled s where s.window_id = i.window_id and s.currency = i.currency)
    or not exists (select from settlement.posted p
        where p.end_to_end_id = i.end_to_end_id and p.what = 'moved')
    or r.end_to_end_id is not null and not exists (select from settlement.posted p
        where p.end_to_end_id = i.end_to_end_id and p.what = 'came back')
group by i.day, i.window_id, i.currency
order by i.day, i.window_id, i.currency
"""

POSTED = """
select p.end_to_end_id, p.what
from settlement.posted p
join settlement.instructions i using (end_to_end_id)
where i.window_id = %s and i.currency = %s
"""

ADD_POSTED = """
insert into settlement.posted (end_to_end_id, what, posted_at)
select told, what, %s from unnest(%s::text[], %s::text[]) as t (told, what)
on conflict do nothing
"""

ADD_BREAKS = """
insert into settlement.breaks
    (statement_id, entry, kind, end_to_end_id, expected_minor, found_minor, currency, detail, found_at, booked_day)
select * from unnest(%s::text[], %s::integer[], %s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::char(3)[],
    %s::text[], %s::timestamptz[], %s::date[])
"""

BREAKS_OF_STATEMENT = """
select statement_id, entry, kind, end_to_end_id, expected_minor, found_minor, currency, detail, found_at, booked_day
from settlement.breaks
where statement_id = %s
order by entry
"""

# A break over an instruction that has been matched or rejected since explains itself, and so does a wrong entry that
# was undone, and what undid it.
OPEN_BREAKS = """
select b.statement_id, b.entry, b.kind, b.end_to_end_id, b.expected_minor, b.found_minor, b.currency, b.detail,
    b.found_at, b.booked_day
from settlement.breaks b
where (b.statement_id, b.entry) > (%s, %s)
    and (b.kind not in ('missing', 'not_booked')
        or not exists (select from settlement.matches m where m.end_to_end_id = b.end_to_end_id)
        and not exists (select from settlement.payment_facts p
            where p.end_to_end_id = b.end_to_end_id and p.answer = 'rejected'))
    and not exists (select from settlement.reversals r
        where r.break_statement_id = b.statement_id and r.break_entry = b.entry)
    and not exists (select from settlement.reversals r
        where r.statement_id = b.statement_id and r.entry = b.entry)
order by b.statement_id, b.entry
limit %s
"""

# Entries that stand in a statement, are wrong, and that nothing has undone yet; what undoes is among them.
WRONG_ENTRIES = """
select b.statement_id, b.entry, b.kind, b.end_to_end_id, b.expected_minor, b.found_minor, b.currency, b.detail,
    b.found_at, b.booked_day
from settlement.breaks b
where b.end_to_end_id = any(%s::text[]) and b.kind not in ('missing', 'not_booked')
    and not exists (select from settlement.reversals r
        where r.break_statement_id = b.statement_id and r.break_entry = b.entry)
    and not exists (select from settlement.reversals r
        where r.statement_id = b.statement_id and r.entry = b.entry)
order by b.statement_id, b.entry
"""

ADD_REVERSALS = """
insert into settlement.reversals
    (statement_id, entry, end_to_end_id, booked_day, break_statement_id, break_entry)
select * from unnest(%s::text[], %s::integer[], %s::text[], %s::date[], %s::text[], %s::integer[])
"""

RETURNED_AMONG = """
select end_to_end_id, booked_day from settlement.reversals where end_to_end_id = any(%s::text[]) and break_entry is null
"""

RETURNED_DAYS = """
select i.end_to_end_id, r.booked_day
from settlement.instructions i
join settlement.reversals r on r.end_to_end_id = i.end_to_end_id and r.break_entry is null
where i.window_id = %s and i.currency = %s
"""

# Statements of an account in the order in which the bank made them, where the balance does not go on.
GAPS = """
select statement_id, account, currency, before, opening_minor
from (
    select statement_id, account, currency, opening_minor,
        lag(closing_minor) over (partition by account, currency order by created_at, statement_id) before
    from settlement.statements where account is not null) s
where before <> opening_minor
order by account, currency, statement_id
"""

ADD_SETTLED = """
insert into settlement.settled (window_id, currency, settled_at) values (%s, %s, %s)
on conflict do nothing
"""

SETTLED = "select currency from settlement.settled where window_id = %s"


def add_instructions(tx: Tx, instructions: Sequence[Instruction]) -> None:
    """Write down what the bank is to be told; what is written down already stays as it is."""
    tx.execute(
        ADD_INSTRUCTIONS,
        (
            [told.end_to_end_id for told in instructions],
            [told.day for told in instructions],
            [told.currency for told in instructions],
            [told.member_id for told in instructions],
            [told.direction.value for told in instructions],
            [told.amount_minor for told in instructions],
            [told.message_id for told in instructions],
            [told.name for told in instructions],
            [told.account for told in instructions],
            [told.counterparty for told in instructions],
            [told.piece for told in instructions],
            [told.attempt for told in instructions],
            [told.replaces for told in instructions],
            [told.window_id for told in instructions],
        ),
    )


def instructions_of_window(tx: Tx, window_id: str) -> list[Instruction]:
    """What banks were told for a window."""
    return [instruction_of(row) for row in tx.execute(INSTRUCTIONS_OF_WINDOW, (window_id,)).fetchall()]


def instructions_of_file(tx: Tx, message_id: str) -> list[Instruction]:
    """What a file tells the bank."""
    return [instruction_of(row) for row in tx.execute(INSTRUCTIONS_OF_FILE, (message_id,)).fetchall()]


def lock_instructions(tx: Tx, ids: Collection[str]) -> dict[str, Instruction]:
    """The instructions of these ids that exist; nobody else matches them until the transaction ends."""
    rows = tx.execute(LOCK_INSTRUCTIONS, (sorted(set(ids)),)).fetchall()
    return {row[0]: instruction_of(row) for row in rows}


def outstanding(tx: Tx, currency: str, created_at: datetime) -> list[Instruction]:
    """What a statement of that currency and instant should say and no statement has said."""
    values = (currency, created_at, created_at.date())
    return [instruction_of(row) for row in tx.execute(OUTSTANDING, values).fetchall()]


def add_file(tx: Tx, file: FileRecord) -> None:
    """Write down what a file holds; a file written down before stays as it is."""
    tx.execute(
        ADD_FILE,
        (
            file.message_id,
            file.day,
            file.currency,
            file.created_at,
            file.holder,
            file.account,
            file.control_sum_minor,
            file.transactions,
            file.digest,
            file.bank_id,
            file.form,
            file.part,
            file.execution_day,
            file.window_id,
        ),
    )


def files_of_window(tx: Tx, window_id: str) -> list[FileRecord]:
    """The files of a window, by currency."""
    with tx.cursor(row_factory=class_row(FileRecord)) as cursor:
        return cursor.execute(FILES_OF_WINDOW, (window_id,)).fetchall()


def find_file(tx: Tx, message_id: str) -> FileRecord | None:
    """A file by its message id."""
    with tx.cursor(row_factory=class_row(FileRecord)) as cursor:
        return cursor.execute(FILE, (message_id,)).fetchone()


def add_statement(tx: Tx, statement: Statement, digest: bytes, read_at: datetime) -> bool:
    """Remember that a statement is read; whether it is new."""
    row = (
        statement.statement_id,
        statement.currency,
        digest,
        len(statement.entries),
        read_at,
        statement.account,
        statement.created_at,
        statement.opening_minor,
        statement.closing_minor,
    )
    return tx.execute(ADD_STATEMENT, row).rowcount == 1


def statement_digest(tx: Tx, statement_id: str) -> bytes | None:
    """SHA-256 of the statement that was read under this id."""
    row = tx.execute(STATEMENT_DIGEST, (statement_id,)).fetchone()
    return None if row is None else bytes(row[0])


def matched_among(tx: Tx, ids: Collection[str]) -> dict[str, date]:
    """On which day the bank booked each of these payments, if an entry agreed with it."""
    return dict(tx.execute(MATCHED_AMONG, (list(ids),)).fetchall())


def add_matches(tx: Tx, matches: Sequence[Match]) -> None:
    """Keep what agrees."""
    tx.execute(
        ADD_MATCHES,
        (
            [match.end_to_end_id for match in matches],
            [match.statement_id for match in matches],
            [match.entry for match in matches],
            [match.booked_day for match in matches],
        ),
    )


def matches_of_statement(tx: Tx, statement_id: str) -> list[Match]:
    """What agreed in a statement."""
    with tx.cursor(row_factory=class_row(Match)) as cursor:
        return cursor.execute(MATCHES_OF_STATEMENT, (statement_id,)).fetchall()


def booked_days(tx: Tx, window_id: str, currency: str) -> dict[str, date]:
    """On which day the bank booked each instruction of a window and currency that it has booked."""
    return dict(tx.execute(MATCHED_INSTRUCTIONS, (window_id, currency)).fetchall())


def windows_of_statement(tx: Tx, statement_id: str) -> list[tuple[str, str]]:
    """The windows and currencies of what agreed in a statement."""
    return [
        (window_id, currency)
        for window_id, currency, _ in tx.execute(WINDOWS_OF_STATEMENT, {"statement": statement_id}).fetchall()
    ]


def unsettled(tx: Tx) -> list[tuple[str, str]]:
    """Windows and currencies of which some money has moved and which are not settled."""
    return [(window_id, currency) for window_id, currency in tx.execute(UNSETTLED).fetchall()]


def add_breaks(tx: Tx, breaks: Sequence[Break]) -> None:
    """Keep what does not agree."""
    tx.execute(
        ADD_BREAKS,
        (
            [found.statement_id for found in breaks],
            [found.entry for found in breaks],
            [found.kind.value for found in breaks],
            [found.end_to_end_id for found in breaks],
            [found.expected_minor for found in breaks],
            [found.found_minor for found in breaks],
            [found.currency for found in breaks],
            [found.detail for found in breaks],
            [found.found_at for found in breaks],
            [found.booked_day for found in breaks],
        ),
    )


def breaks_of_statement(tx: Tx, statement_id: str) -> list[Break]:
    """What did not agree in a statement."""
    return [_break(row) for row in tx.execute(BREAKS_OF_STATEMENT, (statement_id,)).fetchall()]


def open_breaks(tx: Tx, after: tuple[str, int], limit: int) -> list[Break]:
    """What nobody has explained yet, in order of statement and place."""
    return [_break(row) for row in tx.execute(OPEN_BREAKS, (*after, limit)).fetchall()]


def wrong_entries(tx: Tx, ids: Collection[str]) -> list[Break]:
    """Entries that say something else about these payments, and that nothing has undone yet."""
    return [_break(row) for row in tx.execute(WRONG_ENTRIES, (sorted(set(ids)),)).fetchall()]


def add_reversals(tx: Tx, reversals: Sequence[Reversal]) -> None:
    """Keep what was undone."""
    tx.execute(
        ADD_REVERSALS,
        (
            [one.statement_id for one in reversals],
            [one.entry for one in reversals],
            [one.end_to_end_id for one in reversals],
            [one.booked_day for one in reversals],
            [one.break_statement_id for one in reversals],
            [one.break_entry for one in reversals],
        ),
    )


def returned_among(tx: Tx, ids: Collection[str]) -> dict[str, date]:
    """On which day the money of each of these payments came back, if it did."""
    return dict(tx.execute(RETURNED_AMONG, (list(ids),)).fetchall())


def returned_days(tx: Tx, window_id: str, currency: str) -> dict[str, date]:
    """On which day the money of each payment of a window and currency came back, if it did."""
    return dict(tx.execute(RETURNED_DAYS, (window_id, currency)).fetchall())


def gaps(tx: Tx) -> list[Gap]:
    """Where a statement does not go on from the one before it."""
    with tx.cursor(row_factory=class_row(Gap)) as cursor:
        return cursor.execute(GAPS).fetchall()


def posted(tx: Tx, window_id: str, currency: str) -> set[tuple[str, str]]:
    """What of a window and currency is in the books: payments that ``moved``, and those that ``came back``."""
    return set(tx.execute(POSTED, (window_id, currency)).fetchall())


def add_posted(tx: Tx, what: Collection[tuple[str, str]], at: datetime) -> None:
    """Remember what is in the books."""
    rows = sorted(what)
    tx.execute(ADD_POSTED, (at, [name for name, _ in rows], [kind for _, kind in rows]))


def add_settled(tx: Tx, window_id: str, currency: str, at: datetime) -> None:
    """Remember that a window's money has all moved in a currency."""
    tx.execute(ADD_SETTLED, (window_id, currency, at))


def settled_currencies(tx: Tx, window_id: str) -> set[str]:
    """The currencies in which a window is settled."""
    return {currency for (currency,) in tx.execute(SETTLED, (window_id,)).fetchall()}


InstructionRow = tuple[str, date, str, str, str, int, str, str, str, str, int, int, str | None, str]


def instruction_of(row: InstructionRow) -> Instruction:
    """An instruction from its row."""
    end_to_end_id, day, currency, member_id, direction, minor, message_id, name, account, *_ = row
    counterparty, piece, attempt, replaces, window_id = row[9:]
    return Instruction(
        end_to_end_id,
        day,
        currency,
        member_id,
        Direction(direction),
        minor,
        message_id,
        name,
        account,
        counterparty,
        piece,
        attempt,
        replaces,
        window_id,
    )


_BreakRow = tuple[str, int, str, str, int | None, int | None, str, str, datetime, date | None]


def _break(row: _BreakRow) -> Break:
    statement_id, entry, kind, end_to_end_id, expected, found, currency, detail, found_at, day = row
    return Break(
        statement_id, entry, BreakKind(kind), end_to_end_id, expected, found, currency, detail, found_at, day
    )
