"""The simulated bank's own books: what it was told, what it has paid, and what it says of it.

One SQLite file holds everything, so that the bank may be killed at any time and goes on where it stopped. The bank
turns when it is told what time it is; nothing happens by itself.
"""

import hashlib
import sqlite3
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from threading import RLock

from hansa.apps.bank.conduct import Conduct, Mishap
from hansa.apps.bank.orders import BadOrder, OrderFile, read_orders
from hansa.kernel import Money
from hansa.settlement import BankCalendar, Direction
from hansa.settlement.camt053 import write_camt053
from hansa.settlement.delivery import receipt_of
from hansa.settlement.iso20022 import PACS_028, PAIN_001, DocumentRefused, form_of, short
from hansa.settlement.life import Answer
from hansa.settlement.model import Entry, Statement
from hansa.settlement.status import (
    BadStatus,
    PaymentStatus,
    StatusReport,
    StatusRequest,
    read_request,
    write_status,
)
from hansa.settlement.xml_reading import Unreadable, read_root

SCHEMA = """
create table if not exists messages (
    message_id text primary key, sha256 text not null, form text not null, received_at text not null,
    refused text not null, body blob not null, receipt blob not null);
create table if not exists payments (
    end_to_end_id text primary key, message_id text not null, block_id text not null, minor integer not null,
    currency text not null, debtor text not null, creditor text not null, due text not null,
    state text not null);
create table if not exists bookings (
    number integer primary key, end_to_end_id text not null, minor integer not null, currency text not null,
    debtor text not null, creditor text not null, day text not null, undoes integer, kind text not null,
    unique (end_to_end_id, kind));
create table if not exists plans (
    end_to_end_id text not null, what text not null, day text not null, primary key (end_to_end_id, what));
create table if not exists answers (
    name text primary key, body blob not null, from_at text not null, times integer not null);
create table if not exists days (account text not null, currency text not null, day text not null,
    closing integer not null, primary key (account, currency, day));
"""

STATEMENT_AFTER = timedelta(minutes=30)
"""How long after the cut-off the day's statements are there."""


class BankDown(Exception):
    """The bank answers nobody, or its answer was lost on the way."""


@dataclass(slots=True)
class Bank:
    """A bank with its accounts.

    account: the number of the account whose statements it sends. file: where its books are; None for books that end
    with the program. opened: the first day of which there are statements.
    """

    account: str
    calendar: BankCalendar
    conduct: Conduct = field(default_factory=Conduct)
    file: Path | None = None
    name: str = "SIMBANK"
    _lock: RLock = field(default_factory=RLock)
    _books: sqlite3.Connection = field(init=False)

    def __post_init__(self) -> None:
        self._books = sqlite3.connect(self.file or ":memory:", isolation_level=None, check_same_thread=False)
        self._books.execute("pragma synchronous = full")
        self._books.executescript(SCHEMA)

    def close(self) -> None:
        """Let go of the books."""
        self._books.close()

    # --- the door

    def receive(self, message_id: str, document: bytes, at: datetime) -> bytes:
        """Take a message, once; gives its receipt, always the same. Errors: BankDown."""
        if self.conduct.is_down(at):
            raise BankDown("the bank is down")
        tries = f"{at:%Y-%m-%dT%H:%M}"
        if self.conduct.happens(self.conduct.lost_files, "file", message_id, tries):
            raise BankDown("the message was lost on the way")
        with self._whole():
            receipt = self._receive(message_id, document, at)
        if self.conduct.happens(self.conduct.lost_receipts, "receipt", message_id, tries):
            raise BankDown("the receipt was lost on the way")
        return receipt

    def answers(self, at: datetime) -> list[tuple[str, bytes]]:
        """What waits to be fetched, by name. Errors: BankDown."""
        if self.conduct.is_down(at):
            raise BankDown("the bank is down")
        with self._whole() as books:
            rows = books.execute(
                "select name, body from answers where times > 0 and from_at <= ?", (at.isoformat(),)
            ).fetchall()
        found = [(str(name), bytes(body)) for name, body in rows]
        return sorted(found, key=lambda one: self.conduct.chance("order", one[0]))

    def fetched(self, name: str) -> None:
        """An answer is kept by who asked; one that comes twice is still there once more."""
        with self._whole() as books:
            books.execute("update answers set times = times - 1 where name = ? and times > 0", (name,))

    # --- the day's work

    def turn(self, now: datetime) -> None:
        """Do what is due by now: answer files, pay what is due, write the statements of days that are over."""
        with self._whole() as books:
            waiting = books.execute(
                "select message_id from messages where refused = '' and form != ? and not exists"
                " (select 1 from answers where name = 'status-' || message_id || '-1.xml')",
                (form_of(PACS_028),),
            ).fetchall()
        for (message_id,) in waiting:
            with self._whole():
                self._answer_file(str(message_id))
        for day in self._days_over(now):
            for end_to_end_id in self._due(day):
                with self._whole():  # a bank that goes down here has paid part of a file, and goes on later
                    self._pay(end_to_end_id, day)
            with self._whole():
                self._carry_out_plans(day)
            for currency in self._currencies():
                with self._whole():
                    self._state(currency, day)
            with self._whole() as books:
                books.execute("insert into days values ('', '', ?, 0)", (day.isoformat(),))

    def balance(self, account: str, currency: str) -> int:
        """What stands on an account, in minor units, since the bank was opened."""
        row = self._books.execute(
            "select coalesce(sum(case when creditor = ? then minor else 0 end)"
            " - sum(case when debtor = ? then minor else 0 end), 0) from bookings where currency = ?",
            (account, account, currency),
        ).fetchone()
        return int(row[0])

    def paid(self) -> Mapping[str, int]:
        """What each payment has moved in the end, in minor units, what was undone taken off."""
        rows = self._books.execute(
            "select end_to_end_id, sum(case when undoes is null then minor else -minor end)"
            " from bookings group by end_to_end_id"
        ).fetchall()
        return {str(name): int(minor) for name, minor in rows if minor}

    def accounts(self) -> list[tuple[str, str]]:
        """Every account and currency in which something was booked."""
        rows = self._books.execute(
            "select debtor, currency from bookings union select creditor, currency from bookings order by 1, 2"
        ).fetchall()
        return [(str(account), str(currency)) for account, currency in rows]

    # --- inside

    @contextmanager
    def _whole(self) -> Generator[sqlite3.Connection]:
        """All of it or nothing."""
        with self._lock:
            self._books.execute("begin immediate")
            try:
                yield self._books
            except BaseException:
                self._books.execute("rollback")
                raise
            self._books.execute("commit")

    def _receive(self, message_id: str, document: bytes, at: datetime) -> bytes:
        digest = hashlib.sha256(document).hexdigest()
        row = self._books.execute(
            "select sha256, receipt from messages where message_id = ?", (message_id,)
        ).fetchone()
        if row is not None:
            if row[0] == digest:
                return bytes(row[1])
            return receipt_of(message_id, document, at, refused="another message has this id")
        form, refused = "", ""
        orders: OrderFile | None = None
        request: StatusRequest | None = None
        try:
            form = form_of(read_root(document, size_max=len(document))[0])
            if form == form_of(PACS_028):
                request = read_request(document)
                named = request.message_id
            else:
                orders = read_orders(document)
                named = orders.message_id
            if named != message_id:
                refused = f"it says that it is {named}"
        except (BadOrder, BadStatus) as error:
            refused = str(error)[:300]
        except (DocumentRefused, Unreadable) as error:
            refused = f"it cannot be read: {error}"[:300]
        receipt = receipt_of(message_id, document, at, refused=refused)
        self._books.execute(
            "insert into messages values (?, ?, ?, ?, ?, ?, ?)",
            (message_id, digest, form, at.isoformat(), refused, document, receipt),
        )
        if orders is not None and not refused:
            self._take_orders(orders, at)
        if request is not None and not refused:
            self._answer_request(request, at)
        return receipt

    def _take_orders(self, file: OrderFile, at: datetime) -> None:
        due = self.calendar.day_for(file.wanted, handed_in_at=at)
        for order in file.orders:
            mishap = self.conduct.mishap(order.end_to_end_id)
            state = (
                {
                    Mishap.REJECT: "rejected",
                    Mishap.LOSE: "lost",
                    Mishap.CONTRADICT: "lost",
                    Mishap.DELAY: "delayed",
                }.get(mishap, "accepted")
                if mishap
                else "accepted"
            )
            self._books.execute(
                "insert into payments values (?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict do nothing",
                (
                    order.end_to_end_id,
                    file.message_id,
                    order.block_id,
                    order.amount.minor,
                    order.amount.currency,
                    order.debtor,
                    order.creditor,
                    due.isoformat(),
                    state,
                ),
            )

    def _answer_file(self, message_id: str) -> None:
        form, received = self._books.execute(
            "select form, received_at from messages where message_id = ?", (message_id,)
        ).fetchone()
        at = datetime.fromisoformat(str(received)).replace(microsecond=0)
        rows = self._books.execute(
            "select end_to_end_id, block_id, state from payments where message_id = ? order by 1",
            (message_id,),
        ).fetchall()
        first: list[PaymentStatus] = []
        second: list[PaymentStatus] = []
        for end_to_end_id, block_id, state in rows:
            mishap = self.conduct.mishap(end_to_end_id)
            block = block_id if form == form_of(PAIN_001) else ""
            if mishap is Mishap.SILENT:
                continue
            code = {"rejected": "RJCT", "delayed": "PDNG"}.get(str(state), "ACSP")
            first.append(_status(end_to_end_id, block, code, "AC04" if code == "RJCT" else ""))
            if mishap is Mishap.CONTRADICT:
                second.append(_status(end_to_end_id, block, "RJCT", "MS03"))
        if first or not rows:
            whole = None if first else _status("", "", "ACTC")
            self._say(f"status-{message_id}-1.xml", message_id, str(form), at, first, whole=whole)
        else:
            self._books.execute(
                "insert into answers values (?, ?, ?, 0)", (f"status-{message_id}-1.xml", b"", at.isoformat())
            )
        if second:
            after = at + timedelta(minutes=20)
            self._say(f"status-{message_id}-2.xml", message_id, str(form), after, second)

    def _answer_request(self, request: StatusRequest, at: datetime) -> None:
        """The truth, found out because somebody asked."""
        said: list[PaymentStatus] = []
        for end_to_end_id in request.end_to_end_ids:
            row = self._books.execute(
                "select block_id, state from payments where end_to_end_id = ? and message_id = ?",
                (end_to_end_id, request.original_message_id),
            ).fetchone()
            if row is None:
                said.append(_status(end_to_end_id, "", "RJCT", "NOOR"))
                continue
            block, state = str(row[0]), str(row[1])
            if state == "lost":
                kept = self.conduct.mishap(end_to_end_id) is Mishap.LOSE or self.conduct.happens(
                    50.0, "truth", end_to_end_id
                )
                state = "accepted" if kept else "rejected"
                due = self.calendar.day_for(self.calendar.local_day(at), handed_in_at=at)
                self._books.execute(
                    "update payments set state = ?, due = max(due, ?) where end_to_end_id = ?",
                    (state, due.isoformat(), end_to_end_id),
                )
            code = {"rejected": "RJCT", "booked": "ACSC", "delayed": "PDNG"}.get(state, "ACSP")
            in_block = block if request.original_form == form_of(PAIN_001) else ""
            said.append(_status(end_to_end_id, in_block, code, "AC04" if code == "RJCT" else ""))
        self._say(
            f"status-{request.message_id}.xml",
            request.original_message_id,
            request.original_form,
            at.replace(microsecond=0) + timedelta(seconds=1),
            said,
        )

    def _say(
        self,
        name: str,
        message_id: str,
        form: str,
        at: datetime,
        parts: list[PaymentStatus],
        *,
        whole: PaymentStatus | None = None,
    ) -> None:
        own_id = short(f"{self.name}-{name.removesuffix('.xml')}", 35)
        report = StatusReport(own_id, at, message_id, form, whole, tuple(parts))
        self._put(name, write_status(report), at)

    def _put(self, name: str, body: bytes, at: datetime) -> None:
        late = timedelta(0)
        if self.conduct.happens(self.conduct.late, "late", name):
            late = timedelta(hours=1 + int(self.conduct.chance("how late", name) * 30))
        times = 2 if self.conduct.happens(self.conduct.repeated, "repeated", name) else 1
        self._books.execute(
            "insert into answers values (?, ?, ?, ?) on conflict do nothing",
            (name, body, (at + late).isoformat(), times),
        )

    def _days_over(self, now: datetime) -> list[date]:
        """Bank days whose statements are due, from the last that has them."""
        row = self._books.execute("select max(day) from days where account = ''").fetchone()
        first = self._books.execute("select min(due) from payments").fetchone()[0]
        if first is None:
            return []
        day = (
            date.fromisoformat(str(row[0])) + timedelta(days=1) if row[0] else date.fromisoformat(str(first))
        )
        days: list[date] = []
        day = self.calendar.next_open(day)
        while self.calendar.closes_at(day) + STATEMENT_AFTER <= now:
            days.append(day)
            day = self.calendar.next_open(day + timedelta(days=1))
        return days

    def _currencies(self) -> list[str]:
        rows = self._books.execute("select distinct currency from payments order by 1").fetchall()
        return [str(currency) for (currency,) in rows]

    def _due(self, day: date) -> list[str]:
        rows = self._books.execute(
            "select end_to_end_id from payments where due <= ? and state in ('accepted', 'delayed')"
            " order by end_to_end_id",
            (day.isoformat(),),
        ).fetchall()
        return [str(name) for (name,) in rows]

    def _pay(self, end_to_end_id: str, day: date) -> None:
        minor, currency, debtor, creditor, due, state = self._books.execute(
            "select minor, currency, debtor, creditor, due, state from payments where end_to_end_id = ?",
            (end_to_end_id,),
        ).fetchone()
        if state == "delayed" and date.fromisoformat(due) == day:
            return
        mishap = self.conduct.mishap(end_to_end_id)
        wrong = minor + 1 if mishap is Mishap.MISSTATE else minor
        self._book(end_to_end_id, wrong, currency, debtor, creditor, day, "paid")
        if mishap is Mishap.DUPLICATE:
            self._book(end_to_end_id, minor, currency, debtor, creditor, day, "again")
        self._books.execute("update payments set state = 'booked' where end_to_end_id = ?", (end_to_end_id,))
        plan = (
            {
                Mishap.DUPLICATE: "undo again",
                Mishap.MISSTATE: "put right",
                Mishap.RETURN: "return",
            }.get(mishap)
            if mishap
            else None
        )
        if plan:
            after = self.calendar.next_open(day + timedelta(days=1))
            self._books.execute(
                "insert into plans values (?, ?, ?) on conflict do nothing",
                (end_to_end_id, plan, after.isoformat()),
            )

    def _carry_out_plans(self, day: date) -> None:
        rows = self._books.execute(
            "select end_to_end_id, what from plans where day <= ? order by 1", (day.isoformat(),)
        ).fetchall()
        for end_to_end_id, what in rows:
            minor, currency, debtor, creditor = self._books.execute(
                "select minor, currency, debtor, creditor from payments where end_to_end_id = ?",
                (end_to_end_id,),
            ).fetchone()
            kind = "again" if what == "undo again" else "paid"
            number, booked = self._books.execute(
                "select number, minor from bookings where end_to_end_id = ? and kind = ?",
                (end_to_end_id, kind),
            ).fetchone()
            self._book(end_to_end_id, booked, currency, creditor, debtor, day, "undone", undoes=number)
            if what == "put right":
                self._book(end_to_end_id, minor, currency, debtor, creditor, day, "right")
            self._books.execute(
                "delete from plans where end_to_end_id = ? and what = ?", (end_to_end_id, what)
            )

    def _book(
        self,
        end_to_end_id: str,
        minor: int,
        currency: str,
        debtor: str,
        creditor: str,
        day: date,
        kind: str,
        *,
        undoes: int | None = None,
    ) -> None:
        self._books.execute(
            "insert into bookings (end_to_end_id, minor, currency, debtor, creditor, day, undoes, kind)"
            " values (?, ?, ?, ?, ?, ?, ?, ?) on conflict do nothing",
            (end_to_end_id, minor, currency, debtor, creditor, day.isoformat(), undoes, kind),
        )

    def _state(self, currency: str, day: date) -> None:
        """The statement of a day, once."""
        known = self._books.execute(
            "select 1 from days where account = ? and currency = ? and day = ?",
            (self.account, currency, day.isoformat()),
        ).fetchone()
        if known:
            return
        rows = self._books.execute(
            "select number, end_to_end_id, minor, debtor, undoes from bookings"
            " where currency = ? and day = ? and (debtor = ? or creditor = ?) order by number",
            (currency, day.isoformat(), self.account, self.account),
        ).fetchall()
        before = self._books.execute(
            "select coalesce((select closing from days where account = ? and currency = ?"
            " order by day desc limit 1), 0)",
            (self.account, currency),
        ).fetchone()
        entries = tuple(
            Entry(
                place,
                str(end_to_end_id),
                Money(int(minor), currency),
                Direction.OUT if debtor == self.account else Direction.IN,
                True,
                day,
                f"{self.name}-{number}",
                reversal=undoes is not None,
            )
            for place, (number, end_to_end_id, minor, debtor, undoes) in enumerate(rows, start=1)
        )
        opening = int(before[0])
        moved = sum(
            one.amount.minor if one.direction is Direction.IN else -one.amount.minor for one in entries
        )
        at = self.calendar.closes_at(day) + STATEMENT_AFTER
        name = f"statement-{day:%Y%m%d}-{currency}.xml"
        statement = Statement(
            short(f"{self.name}-{day:%Y%m%d}-{currency}", 35),
            self.account,
            currency,
            at,
            opening,
            opening + moved,
            entries,
        )
        self._put(name, write_camt053(statement), at)
        self._books.execute(
            "insert into days values (?, ?, ?, ?)", (self.account, currency, day.isoformat(), opening + moved)
        )


def _status(end_to_end_id: str, block_id: str, code: str, reason: str = "") -> PaymentStatus:
    return PaymentStatus(end_to_end_id, block_id, Answer.RECEIVED, code, reason)
