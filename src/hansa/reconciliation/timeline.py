"""What became of a business day, in order: from its first tap to its settled money, and what came late."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from hansa import clearing, settlement
from hansa.kernel import Money
from hansa.reconciliation import store
from hansa.reconciliation.model import Verdict
from hansa.rides.explaining import day_span
from hansa.settlement.moved import answers_of, breaks_of, statements_of
from hansa.store import Tx

Lane = Literal["rides", "clearing", "files", "bank", "proof"]
"""Where something happened; a day's proofs are an event each."""

LANES: tuple[Lane, ...] = ("rides", "clearing", "files", "bank", "proof")

PROOFS_MAX = 100

STEP_WORDS = {
    settlement.Step.PREPARED: "prepared",
    settlement.Step.APPROVED: "approved",
    settlement.Step.RELEASED: "released",
    settlement.Step.SENT: "sent",
    settlement.Step.ACKNOWLEDGED: "acknowledged by the bank",
    settlement.Step.REFUSED: "refused by the bank",
}

ANSWER_WORDS = {
    settlement.Answer.RECEIVED: "the bank has {payments}",
    settlement.Answer.PENDING: "{payments} wait at the bank",
    settlement.Answer.ACCEPTED: "the bank accepts {payments}",
    settlement.Answer.REJECTED: "the bank rejects {payments}",
    settlement.Answer.ASKED: "asked after {payments}",
}


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. ref: a window, a file or a statement. by: who did it. wrong: whether it is a trouble."""

    at: datetime
    lane: Lane
    words: str
    ref: str = ""
    by: str = ""
    wrong: bool = False


def timeline(tx: Tx, day: date) -> list[Event]:
    """A day's events in order; nothing of a day of which nothing is decided but its rides."""
    windows = clearing.windows_of_day(tx, day)
    ends_at = clearing.get_settings(tx).ends_at(day)
    found = list(_rides(tx, day, ends_at))
    for window in windows:
        found += _clearing(window)
        found += _files(tx, window.window_id)
        found += _bank(tx, window.window_id)
    for proof in store.list_proofs(tx, day, PROOFS_MAX):
        failed = proof.verdict is Verdict.FAILS
        words = f"proof {proof.number} {proof.verdict.value}"
        found.append(Event(proof.made_at, "proof", words, str(day), proof.made_by, failed))
    return sorted(found, key=lambda one: (one.at, LANES.index(one.lane)))


def _rides(tx: Tx, day: date, ends_at: datetime) -> Iterator[Event]:
    span = day_span(tx, day, late_after=ends_at)
    if span.first_at is not None and span.last_at is not None:
        yield Event(span.first_at, "rides", f"first tap of {span.journeys:,} journeys")
        yield Event(span.last_at, "rides", "last tap")
    if span.late and span.last_rated_at is not None:
        yield Event(
            span.last_rated_at, "rides", f"the last of {span.late:,} journeys priced after the cut-off"
        )


def _clearing(window: clearing.Window) -> Iterator[Event]:
    label = window.window_id
    items = "1 item" if window.items == 1 else f"{window.items:,} items"
    yield Event(window.ends_at, "clearing", "cut-off", label)
    yield Event(window.decided_at, "clearing", f"decided, {items}", label)
    if window.closed_at is not None:
        yield Event(window.closed_at, "clearing", "closed", label)
    for total in window.totals:
        if total.settled_at is not None:
            yield Event(total.settled_at, "clearing", f"{total.currency} settled, {total.to_pay}", label)


def _files(tx: Tx, window_id: str) -> Iterator[Event]:
    for file in settlement.list_files(tx, window_id):
        total = Money(file.control_sum_minor, file.currency)
        facts = settlement.desk.view_file(tx, file.message_id).facts
        if not facts:
            yield Event(file.created_at, "files", f"prepared, {total}", file.message_id)
        for fact in facts:
            words = STEP_WORDS[fact.step]
            if fact.step is settlement.Step.PREPARED:
                words += f", {file.transactions} payments, {total}"
            wrong = fact.step is settlement.Step.REFUSED
            yield Event(fact.at, "files", words, file.message_id, fact.by_whom, wrong)


def _bank(tx: Tx, window_id: str) -> Iterator[Event]:
    for said in answers_of(tx, window_id):
        words = ANSWER_WORDS[said.answer].format(payments=f"{said.payments:,} payments")
        wrong = said.answer in (settlement.Answer.REJECTED, settlement.Answer.ASKED)
        yield Event(said.at, "bank", words, said.source, said.by_whom, wrong)
    for one in statements_of(tx, window_id):
        words = f"statement read, {one.matched} payments booked in {one.currency}"
        yield Event(one.read_at, "bank", words, one.statement_id)
    for one in breaks_of(tx, window_id):
        yield Event(one.found_at, "bank", f"break: {one.kind.value}", one.end_to_end_id, "", True)
