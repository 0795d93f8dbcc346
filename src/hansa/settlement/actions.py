"""What can be done in settlement: write a day's bank files, read the bank's statements, see what does not agree.

Each action decides in one transaction, acts with ids and bytes worked out from what was decided, and records the
outcome; after a kill the same call goes on where it stopped.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time
from pathlib import Path

from hansa import clearing, ledger, payments, trust
from hansa.kernel import Problem, fact_id
from hansa.settlement import store, telling
from hansa.settlement.camt053 import read_camt053
from hansa.settlement.delivery import write_whole
from hansa.settlement.forms import FORMS
from hansa.settlement.model import (
    STATEMENT_BYTES_MAX,
    BadStatement,
    BankFile,
    Break,
    DayNotClosed,
    Direction,
    FileDiffers,
    FileRecord,
    Gap,
    Instruction,
    Match,
    NotByNets,
    Progress,
    Reconciliation,
    Statement,
    StatementDiffers,
    UnknownFile,
    instructions_of,
    match,
    settlement_account,
)
from hansa.settlement.pain001 import control_sum, write_pain001
from hansa.store import Context, Tx
from hansa.trust import MemberId

LEAGUE_BANK = MemberId("league-bank")
"""The member whose account is the league's settlement account."""

MOVED, CAME_BACK = "moved", "came back"
"""What can be in the books of a payment."""

Step = Callable[[str], None]
"""Told the name of each step once it is durable: where an operator watches, and where a test pulls the plug."""


def no_step(_: str) -> None:
    """Nobody watches."""


When = date | str
"""Of what: a business day of the league, or the id of a window of any model."""


def window_of(tx: Tx, when: When) -> clearing.Window:
    """Errors: clearing.UnknownDay, clearing.UnknownWindow."""
    return clearing.get_window(tx, when) if isinstance(when, str) else clearing.get_day(tx, when)


def write_files(ctx: Context, day: When, folder: Path, *, step: Step = no_step) -> list[BankFile]:
    """Write the bank files of a closed day or window, one per currency in which money moves, into ``folder``.

    A file appears whole or not at all, and is the same bytes whenever it is written again. A currency in which the
    members' debts cancel out needs no file and is settled at once. Errors: as ``window_of``; DayNotClosed; NotByNets;
    FileDiffers where the folder holds another file of that name.
    """
    files = _instruct(ctx, day)
    step("instructed")
    folder.mkdir(parents=True, exist_ok=True)
    written: list[BankFile] = []
    for file, document in files:
        path = folder / f"{file.message_id}.xml"
        _write_once(path, document)
        step("written")
        written.append(
            BankFile(
                file.currency,
                path,
                file.message_id,
                file.control_sum_minor,
                file.transactions,
            )
        )
    with ctx.tx() as tx:
        window = window_of(tx, day)
        waiting = {one.currency for one in window.totals} - store.settled_currencies(tx, window.window_id)
    for currency in sorted(waiting - {file.currency for file, _ in files}):
        settle(ctx, window.window_id, currency, step)
    return written


def list_files(tx: Tx, day: When) -> list[FileRecord]:
    """The bank files of a day or window, by currency. Errors: as ``window_of``."""
    return store.files_of_window(tx, window_of(tx, day).window_id)


def file_document(tx: Tx, message_id: str) -> bytes:
    """The bytes of a bank file, whether or not it still lies in its folder. Errors: UnknownFile."""
    file = store.find_file(tx, message_id)
    if file is None:
        raise UnknownFile(f"There is no bank file {message_id!r}.")
    return _document(file, store.instructions_of_file(tx, message_id))


def read_statement(ctx: Context, source: Path | bytes, *, step: Step = no_step) -> Reconciliation:
    """Match a bank statement with what was instructed, and book what the bank has moved.

    An entry agrees in end-to-end id, amount, currency and direction, or it is a break for a person to look at; so is
    what was instructed and is not there. When all money of a day and currency has moved, what members are due
    becomes earned. Reading a statement again changes nothing. Errors: BadStatement, StatementDiffers.
    """
    document = _read(source)
    statement = read_camt053(document)
    matches, breaks = _reconcile(ctx, statement, hashlib.sha256(document).digest())
    step("matched")
    with ctx.tx() as tx:
        touched = store.windows_of_statement(tx, statement.statement_id)
    settled = [one for one in touched if settle(ctx, *one, step)]
    return Reconciliation(
        statement.statement_id, tuple(matches), tuple(breaks), tuple(_by_day(ctx, settled)), tuple(settled)
    )


def finish(ctx: Context) -> list[tuple[date, str]]:
    """End what a kill left between matching and booking; the days and currencies that are settled with it."""
    with ctx.tx() as tx:
        waiting = store.unsettled(tx)
    return _by_day(ctx, [one for one in waiting if settle(ctx, *one, no_step)])


def progress(tx: Tx, day: When) -> dict[str, Progress]:
    """How far the money of a day or window is, by currency. Errors: as ``window_of``."""
    window = window_of(tx, day)
    settled = store.settled_currencies(tx, window.window_id)
    instructed = {file.currency for file in store.files_of_window(tx, window.window_id)}
    return {
        total.currency: Progress.SETTLED
        if total.currency in settled
        else Progress.INSTRUCTED
        if total.currency in instructed
        else Progress.CLEARED
        for total in window.totals
    }


def open_breaks(tx: Tx, *, after: tuple[str, int] = ("", 0), limit: int = 100) -> list[Break]:
    """What does not agree and nobody has explained, in order of statement and place."""
    return store.open_breaks(tx, after, limit)


def gaps(tx: Tx) -> list[Gap]:
    """Statements that do not go on from the one before them: one is missing between the two, or one is wrong."""
    return store.gaps(tx)


# --- out


def _instruct(ctx: Context, day: When) -> list[tuple[FileRecord, bytes]]:
    """Write down what the bank is told for a window, once; the files with their bytes."""
    with ctx.tx() as tx:
        found = window_of(tx, day)
        window_id = found.window_id
        if found.closed_at is None:
            raise DayNotClosed(f"{found.label} is being closed; its files come after.")
        if (found.basis, found.sides) != ("net", "multilateral"):
            raise NotByNets(
                f"{found.label} is {found.basis} and {found.sides}: prepare it at the desk of its bank."
            )
        trust.turn_members(tx, ctx.clock.now())
        members = {member.member_id: member for member in trust.list_members(tx)}
        prepared = {file.currency for file in store.files_of_window(tx, window_id)}
        nets = [
            net for net in clearing.settlement_nets(tx, window_id, lock=True) if net.currency not in prepared
        ]
        own = trust.member_accounts(tx)
        names = {str(member_id): member.name for member_id, member in members.items()}
        for currency in sorted({net.currency for net in nets}):
            accounts = {
                str(member_id): own.get((member_id, currency), member.account)
                for member_id, member in members.items()
            }
            of_currency = [net for net in nets if net.currency == currency]
            store.add_instructions(tx, instructions_of(of_currency, names=names, accounts=accounts))
        holder = members[clearing.LEAGUE].name
        by_file: dict[str, list[Instruction]] = {}
        for told in store.instructions_of_window(tx, window_id):
            if told.currency in prepared:
                continue
            by_file.setdefault(told.message_id, []).append(told)
        for message_id, told in by_file.items():
            file = FileRecord(
                message_id,
                found.business_day,
                told[0].currency,
                found.closed_at,
                holder,
                trust.member_account(tx, LEAGUE_BANK, told[0].currency),
                control_sum(told),
                len(told),
                b"",
                window_id=window_id,
            )
            digest = hashlib.sha256(write_pain001(file, told)).digest()
            store.add_file(tx, replace(file, digest=digest))
            clearing.note_settling(tx, window_id, file.currency, ctx.clock.now())
        return [
            (file, _document(file, store.instructions_of_file(tx, file.message_id)))
            for file in store.files_of_window(tx, window_id)
        ]


def _document(file: FileRecord, instructions: Sequence[Instruction]) -> bytes:
    form = FORMS[file.form]
    document = form.write(file, instructions)
    if hashlib.sha256(document).digest() != file.digest:
        raise FileDiffers(
            f"{file.message_id} cannot be written as it was decided; this Hansa writes it differently."
        )
    problems = form.validate(document)
    assert not problems, problems
    return document


def _write_once(path: Path, document: bytes) -> None:
    """Put a file there whole, surviving a power cut; one that is there already must be the same."""
    if path.exists():
        if path.read_bytes() != document:
            raise FileDiffers(
                f"{path} is there with other content. Move it away, then write the day's files again."
            )
        return
    write_whole(path, document)


# --- in


def _read(source: Path | bytes) -> bytes:
    if isinstance(source, bytes):
        return source
    if source.stat().st_size > STATEMENT_BYTES_MAX:
        raise BadStatement(
            problems=(
                Problem(
                    str(source),
                    f"it is larger than {STATEMENT_BYTES_MAX} bytes",
                    "Ask the bank for it in parts",
                ),
            )
        )
    return source.read_bytes()


def _reconcile(ctx: Context, statement: Statement, digest: bytes) -> tuple[list[Match], list[Break]]:
    """Lay the statement beside the instructions and keep what comes of it; one read before gives what it gave."""
    with ctx.tx() as tx:
        if not store.add_statement(tx, statement, digest, ctx.clock.now()):
            if store.statement_digest(tx, statement.statement_id) != digest:
                raise StatementDiffers(
                    f"Statement {statement.statement_id} was read before with other content."
                )
            return (
                store.matches_of_statement(tx, statement.statement_id),
                store.breaks_of_statement(tx, statement.statement_id),
            )
        ids = {entry.end_to_end_id for entry in statement.entries}
        instructions = store.lock_instructions(tx, ids)
        laid = match(
            statement,
            instructions,
            matched=store.matched_among(tx, ids),
            missing_from=store.outstanding(tx, statement.currency, statement.created_at),
            found_at=ctx.clock.now(),
            wrong=store.wrong_entries(tx, ids),
            returned=store.returned_among(tx, ids),
        )
        store.add_matches(tx, laid.matches)
        store.add_breaks(tx, laid.breaks)
        store.add_reversals(tx, laid.reversals)
        telling.tell_booked(
            tx, laid.matches, [one for one in laid.reversals if one.break_statement_id is None]
        )
        return laid.matches, laid.breaks


def settle(ctx: Context, window_id: str, currency: str, step: Step = no_step) -> bool:
    """Book what banks have moved for a window and currency; whether it is settled with that.

    Once all has moved and the windows before it are settled, what is due becomes earned; then windows after it, whose
    money had moved before, are settled too. Run again, it changes nothing.
    """
    if not _settle_one(ctx, window_id, currency, step):
        return False
    last = window_id
    while True:
        with ctx.tx() as tx:
            following = clearing.next_window(tx, last, currency)
            if following is None or currency in store.settled_currencies(tx, following):
                return True
            if not _has_begun(tx, following, currency):
                return True
        if not _settle_one(ctx, following, currency, step):
            return True
        last = following


def _has_begun(tx: Tx, window_id: str, currency: str) -> bool:
    """Whether banks were told of a window in a currency, or nothing is to move in it."""
    if any(file.currency == currency for file in store.files_of_window(tx, window_id)):
        return True
    return not any(net.net for net in clearing.settlement_nets(tx, window_id) if net.currency == currency)


def _settle_one(ctx: Context, window_id: str, currency: str, step: Step) -> bool:
    with ctx.tx() as tx:
        window = clearing.get_window(tx, window_id)
        assert window.closed_at is not None, "only a closed window is instructed"
        settled = currency in store.settled_currencies(tx, window_id)
        told = [one for one in store.instructions_of_window(tx, window_id) if one.currency == currency]
        booked = store.booked_days(tx, window_id, currency)
        returned = store.returned_days(tx, window_id, currency)
        posted = store.posted(tx, window_id, currency)
        dues = [due for due in clearing.window_dues(tx, window_id) if due.currency == currency]
    moved = {
        (one.end_to_end_id, MOVED): bank_transfer(one, booked[one.end_to_end_id])
        for one in told
        if one.end_to_end_id in booked
    }
    back = {
        (one.end_to_end_id, CAME_BACK): came_back(one, returned[one.end_to_end_id])
        for one in told
        if one.end_to_end_id in returned
    }
    new = {key: transfer for key, transfer in {**moved, **back}.items() if key not in posted}
    if new:
        _open_accounts(ctx, currency, {one.member_id for one in told})
        _post(ctx, list(new.values()))
        step("moved")
        with ctx.tx() as tx:
            store.add_posted(tx, new, ctx.clock.now())
    done = {
        _obligation(one) for one in told if one.end_to_end_id in booked and one.end_to_end_id not in returned
    }
    if settled:
        return True
    if len(done) < len({_obligation(one) for one in told}):
        return False
    with ctx.tx() as tx:
        if clearing.unsettled_before(tx, window_id, currency) is not None:
            return False  # windows of a model settle in order; the one before will look at this one again
    _post(ctx, [earned_transfer(due, window, window.closed_at) for due in dues])
    step("earned")
    with ctx.tx() as tx:
        now = ctx.clock.now()
        store.add_settled(tx, window_id, currency, now)
        clearing.note_settled(tx, window_id, currency, now)
    step("settled")
    return True


def _by_day(ctx: Context, settled: Sequence[tuple[str, str]]) -> list[tuple[date, str]]:
    """The business days of windows."""
    with ctx.tx() as tx:
        return [
            (clearing.get_window(tx, window_id).business_day, currency) for window_id, currency in settled
        ]


def _obligation(told: Instruction) -> tuple[str, str, Direction, int]:
    """What a payment and those instructed in its place settle together."""
    return (told.member_id, told.counterparty, told.direction, told.piece)


def _open_accounts(ctx: Context, currency: str, member_ids: set[str]) -> None:
    account = ledger.Account(
        account_id=settlement_account(currency),
        currency=currency,
        code=ledger.AccountCode.SETTLEMENT,
        holder=LEAGUE_BANK,
        path=ledger.account_path(ledger.AccountCode.SETTLEMENT),
    )
    ledger.open_accounts(ctx, [account])
    payments.open_cash_accounts(ctx, [(member_id, currency) for member_id in sorted(member_ids)])


def _post(ctx: Context, transfers: Sequence[ledger.Transfer]) -> None:
    for start in range(0, len(transfers), ledger.BATCH_MAX):
        results = ledger.post(ctx, transfers[start : start + ledger.BATCH_MAX])
        assert all(result.ok for result in results), [result for result in results if not result.ok]


def bank_transfer(told: Instruction, booked_day: date) -> ledger.Transfer:
    """A payment that the bank has made, in the books."""
    transit, cash = settlement_account(told.currency), payments.cash_account(told.member_id, told.currency)
    paid_in = told.direction is Direction.IN
    at = datetime.combine(booked_day, time(0), UTC)
    return ledger.Transfer(
        transfer_id=ledger.TransferId(fact_id(at, "settled", told.end_to_end_id)),
        debit=transit if paid_in else cash,
        credit=cash if paid_in else transit,
        amount=told.amount_minor,
        currency=told.currency,
        code=ledger.TransferCode.SETTLED_IN if paid_in else ledger.TransferCode.SETTLED_OUT,
        event_at=at,
        reference=clearing.window_reference(told.window_id),
        memo=told.end_to_end_id,
    )


def came_back(told: Instruction, booked_day: date) -> ledger.Transfer:
    """The money of a payment that the bank gave back, in the books: the payment the other way round."""
    there = bank_transfer(told, booked_day)
    return replace(
        there,
        transfer_id=ledger.TransferId(fact_id(there.event_at, "came back", told.end_to_end_id)),
        debit=there.credit,
        credit=there.debit,
    )


def earned_transfer(due: clearing.Due, window: clearing.Window, closed_at: datetime) -> ledger.Transfer:
    """What a member was due becomes earned; where corrections outweighed fares, the other way round."""
    due_account = clearing.due_account(due.member_id, due.currency, due.partition)
    earned = clearing.earned_account(due.member_id, due.currency, due.partition)
    parts = (window.label, due.member_id, due.currency, due.partition)
    return ledger.Transfer(
        transfer_id=ledger.TransferId(fact_id(closed_at, "earned", *parts)),
        debit=due_account if due.minor > 0 else earned,
        credit=earned if due.minor > 0 else due_account,
        amount=abs(due.minor),
        currency=due.currency,
        code=ledger.TransferCode.EARNED,
        event_at=closed_at,
        partition=due.partition,
        reference=clearing.window_reference(window.window_id),
        memo=f"{window.label} {due.member_id}"[:200],
    )
