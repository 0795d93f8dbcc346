"""The SQL of bank accounts, top-ups, withdrawals, automatic ones, and of what banks say by themselves."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from psycopg.rows import class_row

from hansa.store import Tx
from hansa.wallets.bank_model import (
    Automatic,
    BankAccount,
    BankTopUp,
    TopUpState,
    Way,
    Withdrawal,
    WithdrawalState,
)
from hansa.wallets.rails import Entry

ADD_BANK_ACCOUNT = """
insert into wallets.bank_accounts (bank_account_id, account_id, rail_id, token, currency, shown, may_pull, mandate_id,
    added_at, usable_at, person_id)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
on conflict do nothing
"""

RENEW_BANK_ACCOUNT = """
update wallets.bank_accounts set person_id = %s, may_pull = %s, mandate_id = %s, usable_at = %s
where bank_account_id = %s and ended_at is null
"""

_BANK_ACCOUNT = """
select bank_account_id, account_id, rail_id, token, currency, shown, may_pull, mandate_id, added_at, usable_at,
    ended_at, person_id
from wallets.bank_accounts
"""

FIND_BANK_ACCOUNT = _BANK_ACCOUNT + "where bank_account_id = %s and account_id = %s"
LOCK_BANK_ACCOUNT = FIND_BANK_ACCOUNT + " for no key update"
BANK_ACCOUNT_OF_TOKEN = (
    _BANK_ACCOUNT + "where account_id = %s and rail_id = %s and token = %s and ended_at is null"
)
LIST_BANK_ACCOUNTS = (
    _BANK_ACCOUNT + "where account_id = %s and ended_at is null order by added_at desc, bank_account_id"
)
END_BANK_ACCOUNT = """
update wallets.bank_accounts set ended_at = %s where bank_account_id = %s and account_id = %s and ended_at is null
"""
END_BANK_ACCOUNTS = """
with ended as (
    update wallets.bank_accounts set ended_at = %(at)s where account_id = %(account_id)s and ended_at is null
)
update wallets.automatic set state = 'stopped', why = 'bank_account_ended', changed_at = %(at)s
where account_id = %(account_id)s and state = 'on'
"""
WITHDRAWALS_TO = """
select withdrawal_id from wallets.withdrawals
where partition = %s and account_id = %s and bank_account_id = %s
    and state not in ('settled', 'failed', 'returning', 'returned', 'collecting', 'canceled', 'expired')
order by created_at limit 1
"""
SET_MANDATE = """
update wallets.bank_accounts set may_pull = %s, mandate_id = %s
where bank_account_id = %s and account_id = %s and ended_at is null
"""

ADD_REFERENCE = """
insert into wallets.payment_references (account_id, currency, reference, made_at) values (%s, %s, %s, %s)
on conflict do nothing
"""
REFERENCE_OF = "select reference from wallets.payment_references where account_id = %s and currency = %s"
ACCOUNT_OF_REFERENCE = "select account_id, currency from wallets.payment_references where reference = %s"

_TOP_UP = """
select partition, top_up_id, account_id, issuer_id, amount_minor, currency, way, bank_account_id, rail_id, token, words,
    is_automatic, state, reason, tries, created_at, changed_at, next_at
from wallets.top_ups
"""

INSERT_TOP_UP = """
insert into wallets.top_ups (partition, top_up_id, account_id, issuer_id, amount_minor, currency, way, bank_account_id,
    rail_id, token, words, is_automatic, state, reason, tries, created_at, changed_at, next_at)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
on conflict (partition, top_up_id) do nothing
"""

FIND_TOP_UP = _TOP_UP + "where partition = any(%s) and top_up_id = %s"
LIST_TOP_UPS = (
    _TOP_UP
    + """where partition = %s and account_id = %s and (created_at, top_up_id) < (%s, %s)
order by created_at desc, top_up_id desc limit %s"""
)
OPEN_TOP_UPS = (
    _TOP_UP
    + """where partition = any(%s) and state not in ('settled', 'failed', 'returned') and next_at <= %s
order by next_at, top_up_id limit %s"""
)

MOVE_TOP_UP = """
update wallets.top_ups set state = %s, reason = %s, tries = %s, next_at = %s, changed_at = %s
where partition = %s and top_up_id = %s and state = %s
"""

_WITHDRAWAL = """
select partition, withdrawal_id, account_id, issuer_id, amount_minor, currency, bank_account_id, rail_id, token, shown,
    state, reason, tries, created_at, expires_at, changed_at, next_at
from wallets.withdrawals
"""

INSERT_WITHDRAWAL = """
insert into wallets.withdrawals (partition, withdrawal_id, account_id, issuer_id, amount_minor, currency,
    bank_account_id, rail_id, token, shown, state, reason, tries, created_at, expires_at, changed_at, next_at)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
on conflict (partition, withdrawal_id) do nothing
"""

FIND_WITHDRAWAL = _WITHDRAWAL + "where partition = any(%s) and withdrawal_id = %s"
LIST_WITHDRAWALS = (
    _WITHDRAWAL
    + """where partition = %s and account_id = %s and (created_at, withdrawal_id) < (%s, %s)
order by created_at desc, withdrawal_id desc limit %s"""
)
OPEN_WITHDRAWALS = (
    _WITHDRAWAL
    + """where partition = any(%s) and state not in ('settled', 'failed', 'returned', 'canceled', 'expired')
    and (next_at <= %s or (state = 'requires_approval' and expires_at <= %s))
order by next_at, withdrawal_id limit %s"""
)

MOVE_WITHDRAWAL = """
update wallets.withdrawals set state = %s, reason = %s, tries = %s, next_at = %s, changed_at = %s
where partition = %s and withdrawal_id = %s and state = %s
"""

SEEN = "insert into wallets.rails (rail_id, seen) values (%s, 0) on conflict do nothing"
LOCK_SEEN = "select seen from wallets.rails where rail_id = %s for no key update skip locked"
SET_SEEN = "update wallets.rails set seen = %s where rail_id = %s"

ADD_ENTRY = """
insert into wallets.entries (rail_id, entry_id, kind, order_id, reference, amount_minor, currency, reason, at, outcome)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
on conflict (rail_id, entry_id) do nothing
"""

IS_HEARD = "select 1 from wallets.entries where rail_id = %s and entry_id = %s"

MARK_STRAY = "update wallets.entries set outcome = 'stray' where rail_id = %s and entry_id = %s"

# Last: what its bank said when it was told to return it, the last time, empty where it never was; and whether money is
# there: it arrived, or was not returned, or came back of a withdrawal that was paid, and is in no wallet.
_STRAY = """
select e.rail_id, e.entry_id, e.kind, e.order_id, e.reference, e.amount_minor, e.currency, e.reason, e.at,
    coalesce(told.reason, ''),
    e.kind = 'arrival' or told.reason is not null or (e.kind = 'return' and exists (
        select from wallets.withdrawals w where w.withdrawal_id = e.order_id and w.state = 'settled'))
from wallets.entries e
left join lateral (select r.reason from wallets.returns r where (r.rail_id, r.entry_id) = (e.rail_id, e.entry_id)
    order by r.created_at desc limit 1) told on true
"""
STRAYS = _STRAY + "where e.outcome = 'stray' order by e.at, e.entry_id limit %s"
LOCK_STRAY = (
    _STRAY + "where e.rail_id = %s and e.entry_id = %s and e.outcome = 'stray' for no key update of e"
)
DECIDE_STRAY = (
    "update wallets.entries set outcome = %s where rail_id = %s and entry_id = %s and outcome = 'stray'"
)

SET_OUTCOME = "update wallets.entries set outcome = %s where rail_id = %s and entry_id = %s"
LOCK_OUTCOME = "select outcome from wallets.entries where rail_id = %s and entry_id = %s for no key update"
SET_TOP_UP = "update wallets.entries set top_up_id = %s where rail_id = %s and entry_id = %s"
LOCK_ENTRY_OF = """
select entry_id from wallets.entries where rail_id = %s and top_up_id = %s order by at, entry_id limit 1
for no key update
"""

_AUTOMATIC = """
select partition, account_id, currency, below_minor, add_minor, day_max_minor, month_max_minor, bank_account_id, state,
    why, refusals, runs, looked_at, changed_at
from wallets.automatic
"""

SET_AUTOMATIC = """
insert into wallets.automatic (partition, account_id, currency, below_minor, add_minor, day_max_minor, month_max_minor,
    bank_account_id, state, looked_at, changed_at)
values (%s, %s, %s, %s, %s, %s, %s, %s, 'on', %s, %s)
on conflict (partition, account_id, currency) do update set below_minor = excluded.below_minor,
    add_minor = excluded.add_minor, day_max_minor = excluded.day_max_minor, month_max_minor = excluded.month_max_minor,
    bank_account_id = excluded.bank_account_id, state = 'on', why = '', refusals = 0, changed_at = excluded.changed_at
"""

FIND_AUTOMATIC = _AUTOMATIC + "where partition = %s and account_id = %s and currency = %s"
LIST_AUTOMATIC = _AUTOMATIC + "where partition = %s and account_id = %s order by currency"
DUE_AUTOMATIC = (
    _AUTOMATIC
    + "where partition = any(%s) and state = 'on' and looked_at <= %s order by looked_at limit %s"
    + " for no key update skip locked"
)
LOOKED = """
update wallets.automatic a set looked_at = %s
from unnest(%s::smallint[], %s::uuid[], %s::char(3)[]) as w (partition, account_id, currency)
where (a.partition, a.account_id, a.currency) = (w.partition, w.account_id, w.currency)
"""
RAN = """
update wallets.automatic set runs = runs + 1
where partition = %s and account_id = %s and currency = %s and state = 'on' and runs = %s
"""
END_AUTOMATIC = """
update wallets.automatic set state = %s, why = %s, changed_at = %s
where partition = %s and account_id = %s and currency = %s and state = 'on'
"""
STOP_FOR_BANK_ACCOUNT = """
update wallets.automatic set state = 'stopped', why = 'bank_account_ended', changed_at = %s
where account_id = %s and bank_account_id = %s and state = 'on'
"""
REFUSALS = """
update wallets.automatic set refusals = case when %s then 0 else refusals + 1 end
where partition = %s and account_id = %s and currency = %s
returning refusals
"""
# What automatic top-ups came to since two instants, and how many are under way.
AUTOMATIC_SUMS = """
select coalesce(sum(amount_minor) filter (where created_at > %(day)s), 0)::bigint,
    coalesce(sum(amount_minor), 0)::bigint,
    count(*) filter (where state in ('processing', 'sent', 'unknown', 'settling'))
from wallets.top_ups
where partition = %(partition)s and account_id = %(account_id)s and currency = %(currency)s and is_automatic
    and state <> 'failed' and created_at > %(month)s
"""

END_OF_TIME = ("infinity", UUID(int=2**128 - 1))


# --- bank accounts and references


def add_bank_account(tx: Tx, one: BankAccount) -> bool:
    """Keep a bank account; False where the person has it already."""
    values = (
        one.bank_account_id,
        one.account_id,
        one.rail_id,
        one.token,
        one.currency,
        one.shown,
        one.may_pull,
        one.mandate_id,
        one.added_at,
        one.usable_at,
        one.person_id,
    )
    return tx.execute(ADD_BANK_ACCOUNT, values).rowcount == 1


def renew_bank_account(tx: Tx, one: BankAccount) -> None:
    """Write down whose a bank account is, from when it may be paid, and whether it may be pulled, anew."""
    tx.execute(
        RENEW_BANK_ACCOUNT, (one.person_id, one.may_pull, one.mandate_id, one.usable_at, one.bank_account_id)
    )


def find_bank_account(
    tx: Tx, account_id: UUID, bank_account_id: UUID, *, lock: bool = False
) -> BankAccount | None:
    """A person's bank account, ended or not. lock: nobody else ends it, or withdraws to it, until this transaction
    does.
    """
    query = LOCK_BANK_ACCOUNT if lock else FIND_BANK_ACCOUNT
    with tx.cursor(row_factory=class_row(BankAccount)) as cursor:
        return cursor.execute(query, (bank_account_id, account_id)).fetchone()


def bank_account_of_token(tx: Tx, account_id: UUID, rail_id: str, token: str) -> BankAccount | None:
    """The bank account of a person that the rail names so."""
    with tx.cursor(row_factory=class_row(BankAccount)) as cursor:
        return cursor.execute(BANK_ACCOUNT_OF_TOKEN, (account_id, rail_id, token)).fetchone()


def list_bank_accounts(tx: Tx, account_id: UUID) -> list[BankAccount]:
    """A person's bank accounts, the latest first."""
    with tx.cursor(row_factory=class_row(BankAccount)) as cursor:
        return cursor.execute(LIST_BANK_ACCOUNTS, (account_id,)).fetchall()


def end_bank_account(tx: Tx, account_id: UUID, bank_account_id: UUID, at: datetime) -> bool:
    """Take a bank account out; what tops up from it by itself stops. False where it is out already."""
    ended = tx.execute(END_BANK_ACCOUNT, (at, bank_account_id, account_id)).rowcount == 1
    tx.execute(STOP_FOR_BANK_ACCOUNT, (at, account_id, bank_account_id))
    return ended


def end_bank_accounts(tx: Tx, account_id: UUID, at: datetime) -> None:
    """Take all bank accounts of a person out; what tops up by itself stops."""
    tx.execute(END_BANK_ACCOUNTS, {"at": at, "account_id": account_id})


def find_withdrawal_to(tx: Tx, partition: int, account_id: UUID, bank_account_id: UUID) -> UUID | None:
    """A withdrawal to this bank account that is under way, the oldest."""
    row = tx.execute(WITHDRAWALS_TO, (partition, account_id, bank_account_id)).fetchone()
    return None if row is None else UUID(str(row[0]))


def set_mandate(tx: Tx, account_id: UUID, bank_account_id: UUID, *, may_pull: bool, mandate_id: str) -> None:
    """Give or take back the mandate to collect from a bank account."""
    tx.execute(SET_MANDATE, (may_pull, mandate_id, bank_account_id, account_id))


def add_reference(tx: Tx, account_id: UUID, currency: str, reference: str, at: datetime) -> None:
    """Keep a payment reference, unless the account has one."""
    tx.execute(ADD_REFERENCE, (account_id, currency, reference, at))


def reference_of(tx: Tx, account_id: UUID, currency: str) -> str | None:
    """The payment reference of an account in a currency."""
    row = tx.execute(REFERENCE_OF, (account_id, currency)).fetchone()
    return str(row[0]) if row else None


def account_of_reference(tx: Tx, reference: str) -> tuple[UUID, str] | None:
    """Whose reference this is: account and currency."""
    row = tx.execute(ACCOUNT_OF_REFERENCE, (reference,)).fetchone()
    return (UUID(str(row[0])), str(row[1])) if row else None


# --- top-ups


def insert_top_up(tx: Tx, one: BankTopUp) -> bool:
    """Keep a top-up; whether it is new."""
    values = (
        one.partition,
        one.top_up_id,
        one.account_id,
        one.issuer_id,
        one.amount_minor,
        one.currency,
        one.way,
        one.bank_account_id,
        one.rail_id,
        one.token,
        one.words,
        one.is_automatic,
        one.state,
        one.reason,
        one.tries,
        one.created_at,
        one.changed_at,
        one.next_at,
    )
    return tx.execute(INSERT_TOP_UP, values).rowcount == 1


def find_top_up(tx: Tx, partitions: Collection[int], top_up_id: UUID) -> BankTopUp | None:
    """The top-up of this id in one of these partitions."""
    return next(iter(_top_ups(tx, FIND_TOP_UP, (sorted(set(partitions)), top_up_id))), None)


def list_top_ups(
    tx: Tx, partition: int, account_id: UUID, limit: int, before: tuple[datetime, UUID] | None
) -> list[BankTopUp]:
    """A person's top-ups, newest first."""
    at, top_up_id = before or END_OF_TIME
    return _top_ups(tx, LIST_TOP_UPS, (partition, account_id, at, top_up_id, limit))


def open_top_ups(tx: Tx, partitions: Collection[int], at: datetime, limit: int) -> list[BankTopUp]:
    """Top-ups that are to be looked at by then."""
    return _top_ups(tx, OPEN_TOP_UPS, (sorted(set(partitions)), at, limit))


def move_top_up(
    tx: Tx,
    one: BankTopUp,
    to: TopUpState,
    at: datetime,
    *,
    reason: str = "",
    tries: int = 0,
    next_at: datetime | None = None,
) -> bool:
    """Take a top-up from the state in which it was read to another; False where it is in another by now."""
    values = (
        to,
        reason or one.reason,
        tries,
        next_at or at,
        at,
        one.partition,
        one.top_up_id,
        one.state,
    )
    return tx.execute(MOVE_TOP_UP, values).rowcount == 1


# --- withdrawals


def insert_withdrawal(tx: Tx, one: Withdrawal) -> bool:
    """Keep a withdrawal; whether it is new."""
    values = (
        one.partition,
        one.withdrawal_id,
        one.account_id,
        one.issuer_id,
        one.amount_minor,
        one.currency,
        one.bank_account_id,
        one.rail_id,
        one.token,
        one.shown,
        one.state,
        one.reason,
        one.tries,
        one.created_at,
        one.expires_at,
        one.changed_at,
        one.next_at,
    )
    return tx.execute(INSERT_WITHDRAWAL, values).rowcount == 1


def find_withdrawal(tx: Tx, partitions: Collection[int], withdrawal_id: UUID) -> Withdrawal | None:
    """The withdrawal of this id in one of these partitions."""
    return next(iter(_withdrawals(tx, FIND_WITHDRAWAL, (sorted(set(partitions)), withdrawal_id))), None)


def list_withdrawals(
    tx: Tx, partition: int, account_id: UUID, limit: int, before: tuple[datetime, UUID] | None
) -> list[Withdrawal]:
    """A person's withdrawals, newest first."""
    at, withdrawal_id = before or END_OF_TIME
    return _withdrawals(tx, LIST_WITHDRAWALS, (partition, account_id, at, withdrawal_id, limit))


def open_withdrawals(tx: Tx, partitions: Collection[int], at: datetime, limit: int) -> list[Withdrawal]:
    """Withdrawals that are to be looked at by then."""
    return _withdrawals(tx, OPEN_WITHDRAWALS, (sorted(set(partitions)), at, at, limit))


def move_withdrawal(
    tx: Tx,
    one: Withdrawal,
    to: WithdrawalState,
    at: datetime,
    *,
    reason: str = "",
    tries: int = 0,
    next_at: datetime | None = None,
) -> bool:
    """Take a withdrawal from the state in which it was read to another; False where it is in another by now."""
    values = (
        to,
        reason or one.reason,
        tries,
        next_at or at,
        at,
        one.partition,
        one.withdrawal_id,
        one.state,
    )
    return tx.execute(MOVE_WITHDRAWAL, values).rowcount == 1


# --- what banks say


def lock_seen(tx: Tx, rail_id: str) -> int | None:
    """How far a rail was read; None where somebody else reads it just now."""
    tx.execute(SEEN, (rail_id,))
    row = tx.execute(LOCK_SEEN, (rail_id,)).fetchone()
    return int(row[0]) if row else None


def set_seen(tx: Tx, rail_id: str, seen: int) -> None:
    """Remember how far a rail was read."""
    tx.execute(SET_SEEN, (seen, rail_id))


def is_heard(tx: Tx, rail_id: str, entry_id: str) -> bool:
    """Whether an entry came before."""
    return tx.execute(IS_HEARD, (rail_id, entry_id)).fetchone() is not None


def add_entry(tx: Tx, rail_id: str, entry: Entry, outcome: str) -> bool:
    """Keep an entry; False where it came before."""
    values = (
        rail_id,
        entry.entry_id,
        entry.kind,
        entry.order_id,
        entry.reference,
        entry.amount.minor,
        entry.amount.currency,
        entry.reason,
        entry.at,
        outcome,
    )
    return tx.execute(ADD_ENTRY, values).rowcount == 1


def mark_stray(tx: Tx, rail_id: str, entry_id: str) -> None:
    """An entry belongs to nothing that we know; it waits for the issuer's desk."""
    tx.execute(MARK_STRAY, (rail_id, entry_id))


def list_strays(tx: Tx, limit: int) -> list[tuple[Any, ...]]:
    """Entries that belong to nothing, oldest first: rail, id, kind, order, reference, minor, currency, reason, at, why
    its bank did not return it, where it was told to, and whether money is there.
    """
    return tx.execute(STRAYS, (limit,)).fetchall()


def lock_stray(tx: Tx, rail_id: str, entry_id: str) -> tuple[Any, ...] | None:
    """An entry that belongs to nothing, for this transaction alone; None where there is none, or none any more."""
    return tx.execute(LOCK_STRAY, (rail_id, entry_id)).fetchone()


def decide_stray(tx: Tx, rail_id: str, entry_id: str, outcome: str) -> None:
    """It waits no more. outcome: assigned, given_back or closed."""
    tx.execute(DECIDE_STRAY, (outcome, rail_id, entry_id))


def set_outcome(tx: Tx, rail_id: str, entry_id: str, outcome: str) -> None:
    """What becomes of an entry whose money goes back. outcome: returning or given_back."""
    tx.execute(SET_OUTCOME, (outcome, rail_id, entry_id))


def lock_outcome(tx: Tx, rail_id: str, entry_id: str) -> str:
    """What became of an entry, which nobody changes until this transaction is over; empty where there is none."""
    row = tx.execute(LOCK_OUTCOME, (rail_id, entry_id)).fetchone()
    return str(row[0]) if row else ""


def set_entry_of(tx: Tx, rail_id: str, entry_id: str, top_up_id: UUID) -> None:
    """Keep which top-up an entry became."""
    tx.execute(SET_TOP_UP, (top_up_id, rail_id, entry_id))


def lock_entry_of(tx: Tx, rail_id: str, top_up_id: UUID) -> str | None:
    """The entry that brought a top-up's money, for this transaction alone; None where its bank named none."""
    row = tx.execute(LOCK_ENTRY_OF, (rail_id, top_up_id)).fetchone()
    return str(row[0]) if row else None


# --- automatic top-ups


def set_automatic(tx: Tx, one: Automatic) -> None:
    """Turn an automatic top-up on, or change it."""
    tx.execute(
        SET_AUTOMATIC,
        (
            one.partition,
            one.account_id,
            one.currency,
            one.below_minor,
            one.add_minor,
            one.day_max_minor,
            one.month_max_minor,
            one.bank_account_id,
            one.looked_at,
            one.changed_at,
        ),
    )


def find_automatic(tx: Tx, partition: int, account_id: UUID, currency: str) -> Automatic | None:
    """A person's automatic top-up in a currency."""
    with tx.cursor(row_factory=class_row(Automatic)) as cursor:
        return cursor.execute(FIND_AUTOMATIC, (partition, account_id, currency)).fetchone()


def list_automatic(tx: Tx, partition: int, account_id: UUID) -> list[Automatic]:
    """A person's automatic top-ups."""
    with tx.cursor(row_factory=class_row(Automatic)) as cursor:
        return cursor.execute(LIST_AUTOMATIC, (partition, account_id)).fetchall()


def due_automatic(
    tx: Tx, partitions: Collection[int], looked_before: datetime, limit: int
) -> list[Automatic]:
    """Automatic top-ups that nobody looked at since then, and that nobody else looks at just now; locked."""
    with tx.cursor(row_factory=class_row(Automatic)) as cursor:
        return cursor.execute(DUE_AUTOMATIC, (sorted(set(partitions)), looked_before, limit)).fetchall()


def looked(tx: Tx, rules: Sequence[Automatic], at: datetime) -> None:
    """Remember that these were looked at."""
    tx.execute(
        LOOKED,
        (
            at,
            [one.partition for one in rules],
            [one.account_id for one in rules],
            [one.currency for one in rules],
        ),
    )


def ran(tx: Tx, one: Automatic) -> bool:
    """Count a run; False where it ran meanwhile, or is not on any more."""
    return tx.execute(RAN, (one.partition, one.account_id, one.currency, one.runs)).rowcount == 1


def end_automatic(
    tx: Tx, partition: int, account_id: UUID, currency: str, state: str, why: str, at: datetime
) -> bool:
    """Turn an automatic top-up off, or stop it; False where it is not on."""
    values = (state, why, at, partition, account_id, currency)
    return tx.execute(END_AUTOMATIC, values).rowcount == 1


def count_refusal(tx: Tx, partition: int, account_id: UUID, currency: str, *, settled: bool) -> int:
    """Count a refusal, or begin anew after a success; how many there are in a row."""
    row = tx.execute(REFUSALS, (settled, partition, account_id, currency)).fetchone()
    return int(row[0]) if row else 0


def automatic_sums(
    tx: Tx, one: Automatic, *, day_from: datetime, month_from: datetime
) -> tuple[int, int, int]:
    """What was added since two instants, in minor units, and how many are under way."""
    values = {
        "partition": one.partition,
        "account_id": one.account_id,
        "currency": one.currency,
        "day": day_from,
        "month": month_from,
    }
    row = tx.execute(AUTOMATIC_SUMS, values).fetchone()
    assert row is not None, "a sum always answers"
    return int(row[0]), int(row[1]), int(row[2])


def _top_ups(tx: Tx, query: LiteralString, values: Any) -> list[BankTopUp]:
    with tx.cursor(row_factory=class_row(BankTopUp)) as cursor:
        return [
            replace(row, way=Way(row.way), state=TopUpState(row.state))
            for row in cursor.execute(query, values)
        ]


def _withdrawals(tx: Tx, query: LiteralString, values: Any) -> list[Withdrawal]:
    with tx.cursor(row_factory=class_row(Withdrawal)) as cursor:
        return [replace(row, state=WithdrawalState(row.state)) for row in cursor.execute(query, values)]
