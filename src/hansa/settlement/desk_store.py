"""The SQL of the desk: profiles, what was done with files, what banks said, and every message."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from psycopg.rows import class_row

from hansa.settlement.life import Answer, Step
from hansa.settlement.model import FileRecord, Instruction
from hansa.settlement.store import InstructionRow, instruction_of
from hansa.store import Tx

ADD_PROFILE = """
insert into settlement.banks (bank_id, version, profile, set_by, set_at)
select %(bank)s, coalesce(max(version), 0) + 1, %(profile)s, %(by)s, %(at)s
from settlement.banks where bank_id = %(bank)s
returning version
"""

LOCK_PROFILES = "lock table settlement.banks in share row exclusive mode"

PROFILES = """
select distinct on (bank_id) bank_id, version, profile, set_by, set_at
from settlement.banks
order by bank_id, version desc
"""

LOCK_FILE = "select 1 from settlement.files where message_id = %s for no key update"

ADD_STEP = """
insert into settlement.file_facts (message_id, step, by_whom, at, why) values (%s, %s, %s, %s, %s)
on conflict do nothing
"""

STEPS = """
select message_id, step, by_whom, at, why
from settlement.file_facts
where message_id = any(%s::text[])
order by at, step, by_whom
"""

ADD_SAID = """
insert into settlement.payment_facts (end_to_end_id, answer, source, said_at, by_whom, at, code, why)
values (%s, %s, %s, %s, %s, %s, %s, %s)
on conflict do nothing
"""

SAID = """
select end_to_end_id, answer, source, said_at, by_whom, at, code, why
from settlement.payment_facts
where end_to_end_id = any(%s::text[])
order by at, said_at, source
"""

FILES_TO_SEND = """
select f.message_id, f.day, f.currency, f.created_at, f.holder, f.account, f.control_sum_minor, f.transactions,
    f.digest, f.bank_id, f.form, f.part, f.execution_day, f.window_id
from settlement.files f
join settlement.file_facts t on t.message_id = f.message_id and t.step = 'released'
where f.bank_id = %s
    and not exists (select from settlement.file_facts d
        where d.message_id = f.message_id and d.step in ('acknowledged', 'refused'))
order by f.day, f.created_at, f.window_id, f.currency, f.part
limit %s
"""

REQUESTS_TO_SEND = """
select message_id, digest, form, about, body, signature, at, taken, why
from settlement.messages m
where bank_id = %s and direction = 'out' and form = %s
    and not exists (select from settlement.receipts r where r.bank_id = m.bank_id and r.message_id = m.message_id)
order by at, message_id
limit %s
"""

ADD_MESSAGE = """
insert into settlement.messages
    (bank_id, direction, message_id, digest, form, about, body, signature, at, taken, why)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
on conflict do nothing
"""

MESSAGES = """
select message_id, digest, form, about, body, signature, at, taken, why
from settlement.messages
where bank_id = %s and direction = %s and message_id = %s
order by taken desc, at
"""

UNTAKEN = """
select message_id, digest, form, about, body, signature, at, taken, why
from settlement.messages
where direction = 'in' and not taken and (%s = '' or bank_id = %s)
order by at, message_id
limit %s
"""

ADD_RECEIPT = """
insert into settlement.receipts (bank_id, message_id, body, at) values (%s, %s, %s, %s)
on conflict do nothing
"""

# Payments that went through the desk and whose end no statement has shown.
OPEN = """
select i.end_to_end_id, i.day, i.currency, i.member_id, i.direction, i.amount_minor, i.message_id, i.name, i.account,
    i.counterparty, i.piece, i.attempt, i.replaces, i.window_id
from settlement.instructions i
join settlement.files f using (message_id)
where f.bank_id = %s and f.execution_day is not null
    and exists (select from settlement.file_facts t where t.message_id = f.message_id and t.step = 'sent')
    and not exists (select from settlement.matches m where m.end_to_end_id = i.end_to_end_id)
order by i.end_to_end_id
"""

PAYMENTS = """
select i.end_to_end_id, i.day, i.currency, i.member_id, i.direction, i.amount_minor, i.message_id, i.name, i.account,
    i.counterparty, i.piece, i.attempt, i.replaces, i.window_id
from settlement.instructions i
where (%(day)s::date is null or i.day = %(day)s) and (%(currency)s = '' or i.currency = %(currency)s)
    and (%(window)s = '' or i.window_id = %(window)s) and i.end_to_end_id > %(after)s
order by i.end_to_end_id
limit %(limit)s
"""

PAYMENTS_BY_ID = """
select i.end_to_end_id, i.day, i.currency, i.member_id, i.direction, i.amount_minor, i.message_id, i.name, i.account,
    i.counterparty, i.piece, i.attempt, i.replaces, i.window_id
from settlement.instructions i
where i.end_to_end_id = any(%s::text[])
order by i.end_to_end_id
"""

REPLACED_AMONG = """
select replaces, end_to_end_id from settlement.instructions where replaces = any(%s::text[])
"""

NEXT_PART = "select coalesce(max(part), -1) + 1 from settlement.files where window_id = %s and currency = %s"

LOCK_WINDOW = "select pg_advisory_xact_lock(hashtextextended('settlement ' || %s || ' ' || %s, 0))"


@dataclass(frozen=True, slots=True)
class ProfileRow:
    """A bank's profile as it was set. profile: its TOML."""

    bank_id: str
    version: int
    profile: str
    set_by: str
    set_at: datetime


@dataclass(frozen=True, slots=True)
class FileFact:
    """What somebody did with a file, when and why."""

    message_id: str
    step: Step
    by_whom: str
    at: datetime
    why: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "step", Step(self.step))


@dataclass(frozen=True, slots=True)
class PaymentFact:
    """What the bank said of a payment at ``said_at``, and when we heard; or that we asked. source: the message."""

    end_to_end_id: str
    answer: Answer
    source: str
    said_at: datetime
    by_whom: str
    at: datetime
    code: str
    why: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "answer", Answer(self.answer))


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it went or came, byte for byte. about: what it speaks of."""

    message_id: str
    digest: bytes
    form: str
    about: str
    body: bytes
    signature: bytes
    at: datetime
    taken: bool
    why: str


def add_profile(tx: Tx, bank_id: str, profile: str, *, by: str, at: datetime) -> int:
    """Keep a profile as the newest of its bank; its version."""
    row = tx.execute(ADD_PROFILE, {"bank": bank_id, "profile": profile, "by": by, "at": at}).fetchone()
    assert row is not None, "an insert returns its row"
    return row[0]


def lock_profiles(tx: Tx) -> None:
    """Nobody else sets a profile until the transaction ends."""
    tx.execute(LOCK_PROFILES)


def profiles(tx: Tx) -> list[ProfileRow]:
    """The profile of each bank that holds."""
    with tx.cursor(row_factory=class_row(ProfileRow)) as cursor:
        return cursor.execute(PROFILES).fetchall()


def lock_file(tx: Tx, message_id: str) -> None:
    """Nobody else does anything with this file until the transaction ends."""
    tx.execute(LOCK_FILE, (message_id,))


def lock_window(tx: Tx, window_id: str, currency: str) -> None:
    """Nobody else makes files of this window and currency until the transaction ends."""
    tx.execute(LOCK_WINDOW, (window_id, currency))


def add_step(tx: Tx, fact: FileFact) -> bool:
    """Keep what was done; whether it is new."""
    values = (fact.message_id, fact.step.value, fact.by_whom, fact.at, fact.why)
    return tx.execute(ADD_STEP, values).rowcount == 1


def steps(tx: Tx, message_ids: Sequence[str]) -> dict[str, list[FileFact]]:
    """What was done with each of these files."""
    found: dict[str, list[FileFact]] = {message_id: [] for message_id in message_ids}
    with tx.cursor(row_factory=class_row(FileFact)) as cursor:
        for fact in cursor.execute(STEPS, (list(found),)).fetchall():
            found[fact.message_id].append(fact)
    return found


def add_said(tx: Tx, facts: Sequence[PaymentFact]) -> int:
    """Keep what was said; how much of it is new."""
    new = 0
    for fact in facts:
        new += tx.execute(
            ADD_SAID,
            (
                fact.end_to_end_id,
                fact.answer.value,
                fact.source,
                fact.said_at,
                fact.by_whom,
                fact.at,
                fact.code,
                fact.why,
            ),
        ).rowcount
    return new


def said(tx: Tx, ids: Sequence[str]) -> dict[str, list[PaymentFact]]:
    """What was said of each of these payments."""
    found: dict[str, list[PaymentFact]] = {end_to_end_id: [] for end_to_end_id in ids}
    with tx.cursor(row_factory=class_row(PaymentFact)) as cursor:
        for fact in cursor.execute(SAID, (list(found),)).fetchall():
            found[fact.end_to_end_id].append(fact)
    return found


def files_to_send(tx: Tx, bank_id: str, limit: int) -> list[FileRecord]:
    """Files of a bank that are released and of which it has said nothing at the door."""
    with tx.cursor(row_factory=class_row(FileRecord)) as cursor:
        return cursor.execute(FILES_TO_SEND, (bank_id, limit)).fetchall()


def requests_to_send(tx: Tx, bank_id: str, form: str, limit: int) -> list[Message]:
    """Questions to a bank for which it has given no receipt."""
    with tx.cursor(row_factory=class_row(Message)) as cursor:
        return cursor.execute(REQUESTS_TO_SEND, (bank_id, form, limit)).fetchall()


def add_message(tx: Tx, bank_id: str, direction: str, message: Message) -> bool:
    """Keep a message; whether it is new, byte for byte."""
    values = (
        bank_id,
        direction,
        message.message_id,
        message.digest,
        message.form,
        message.about,
        message.body,
        message.signature,
        message.at,
        message.taken,
        message.why,
    )
    return tx.execute(ADD_MESSAGE, values).rowcount == 1


def messages(tx: Tx, bank_id: str, direction: str, message_id: str) -> list[Message]:
    """All messages of this id, the one that was taken first."""
    with tx.cursor(row_factory=class_row(Message)) as cursor:
        return cursor.execute(MESSAGES, (bank_id, direction, message_id)).fetchall()


def untaken(tx: Tx, bank_id: str, limit: int) -> list[Message]:
    """Messages from banks of which nothing was taken. bank_id: one bank, or empty for all."""
    with tx.cursor(row_factory=class_row(Message)) as cursor:
        return cursor.execute(UNTAKEN, (bank_id, bank_id, limit)).fetchall()


def add_receipt(tx: Tx, bank_id: str, message_id: str, body: bytes, at: datetime) -> None:
    """Keep the bank's receipt."""
    tx.execute(ADD_RECEIPT, (bank_id, message_id, body, at))


def open_payments(tx: Tx, bank_id: str) -> list[Instruction]:
    """Payments that were sent to a bank and that no statement has booked."""
    rows: list[InstructionRow] = tx.execute(OPEN, (bank_id,)).fetchall()
    return [instruction_of(row) for row in rows]


def list_payments(
    tx: Tx, *, day: date | None, currency: str, after: str, limit: int, window_id: str = ""
) -> list[Instruction]:
    """Payments in order of their ids."""
    values = {"day": day, "window": window_id, "currency": currency, "after": after, "limit": limit}
    rows: list[InstructionRow] = tx.execute(PAYMENTS, values).fetchall()
    return [instruction_of(row) for row in rows]


def payments_by_id(tx: Tx, ids: Sequence[str]) -> list[Instruction]:
    """Those of these payments that there are."""
    rows: list[InstructionRow] = tx.execute(PAYMENTS_BY_ID, (list(ids),)).fetchall()
    return [instruction_of(row) for row in rows]


def replaced_among(tx: Tx, ids: Sequence[str]) -> dict[str, str]:
    """By which payment each of these was replaced, if it was."""
    return dict(tx.execute(REPLACED_AMONG, (list(ids),)).fetchall())


def next_part(tx: Tx, window_id: str, currency: str) -> int:
    """The number of the next file of a window and currency."""
    row = tx.execute(NEXT_PART, (window_id, currency)).fetchone()
    assert row is not None, "an aggregate returns a row"
    return row[0]
