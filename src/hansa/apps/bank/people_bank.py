"""A simulated bank of people: it verifies accounts, collects, pays out, takes and returns transfers, and misbehaves.

It is a ``wallets.BankRail`` that others can run: one SQLite file holds its books, so it may be killed at any time. What
it does with an order shows in the last four digits of the account (docs/wallets.md has the table), or, where a seed is
given, is worked out from seed and order, the same in every run.
"""

import hashlib
import sqlite3
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from threading import RLock
from uuid import UUID

from hansa.kernel import Clock, Money, SystemClock
from hansa.wallets.model import NameMatch
from hansa.wallets.rails import (
    Answer,
    BadBankNumber,
    Entry,
    EntryKind,
    Order,
    OrderKind,
    RailAway,
    Verdict,
    Verified,
)

SCHEMA = """
create table if not exists accounts (token text primary key, ending text not null, shown text not null);
create table if not exists lost (order_id text primary key);
create table if not exists senders (entry_id text primary key, ending text not null);
create table if not exists returns (order_id text primary key, entry_id text not null);
create table if not exists orders (
    order_id text primary key, kind text not null, token text not null, minor integer not null, currency text not null,
    mishap text not null, state text not null, reason text not null, due text not null, back text not null);
create table if not exists entries (
    number integer primary key autoincrement, entry_id text not null, kind text not null, order_id text not null,
    minor integer not null, currency text not null, reference text not null, settled integer not null,
    reason text not null, at text not null);
"""


class PeopleMishap(StrEnum):
    """What the bank does with an order besides what it is told."""

    NONE = "none"
    POOR = "poor"
    CLOSED = "closed"
    SLOW = "slow"
    SILENT = "silent"
    LOST = "lost"
    RETURN = "return"
    REPEAT = "repeat"
    OTHER_NAME = "other_name"
    LATE = "late"


MEANING: Mapping[PeopleMishap, str] = {
    PeopleMishap.NONE: "does as it is told",
    PeopleMishap.POOR: "refuses: too little money (AM04)",
    PeopleMishap.CLOSED: "refuses: the account is closed (AC04)",
    PeopleMishap.SLOW: "takes the order and books it an hour later",
    PeopleMishap.SILENT: "takes the order and gives no answer",
    PeopleMishap.LOST: "loses the order and gives no answer",
    PeopleMishap.RETURN: "books it, and gives it back two days later (MD06)",
    PeopleMishap.REPEAT: "says everything twice",
    PeopleMishap.OTHER_NAME: "knows the account under another name",
    PeopleMishap.LATE: "refuses it, and books it ten minutes later nevertheless",
}

ENDINGS: Mapping[str, PeopleMishap] = {
    f"{number:04}": mishap for number, mishap in enumerate(list(PeopleMishap)[1:], start=1)
}
"""The last four digits of an account, and what the bank does with its orders; all others do as told."""

BOOKED_AFTER = timedelta(seconds=5)
SLOW_AFTER = timedelta(hours=1)
BACK_AFTER = timedelta(days=2)
LATE_AFTER = timedelta(minutes=10)


@dataclass(slots=True)
class PeopleBank:
    """The bank. file: where its books are; None for books that end with the program.

    mishaps: which mishaps befall orders by chance, one in ``out_of`` each, worked out from ``seed``; none unless given.
    away: answers nobody while True.
    """

    rail_id: str = "simbank"
    file: Path | None = None
    clock: Clock = field(default_factory=SystemClock)
    seed: int = 0
    mishaps: tuple[PeopleMishap, ...] = ()
    out_of: int = 3
    away: bool = False
    _lock: RLock = field(default_factory=RLock)
    _books: sqlite3.Connection = field(init=False)

    def __post_init__(self) -> None:
        self._books = sqlite3.connect(
            self.file or ":memory:", isolation_level=None, check_same_thread=False, timeout=10
        )
        self._books.executescript(SCHEMA)

    def close(self) -> None:
        """Let go of the books."""
        self._books.close()

    # --- the rail

    def verify(self, number: str, holder: str) -> Verified:
        """As ``BankRail``. The simulator knows every account, and its holder by the name that is given."""
        self._here()
        if not number[-4:].isdigit():
            raise BadBankNumber
        token = hashlib.sha256(f"{self.rail_id}\0{number}".encode()).hexdigest()[:24]
        country = number[:2] if number[:2].isalpha() else ""
        shown = f"{country} •••• {number[-4:]}".strip()
        with self._whole() as books:
            books.execute("insert or ignore into accounts values (?, ?, ?)", (token, number[-4:], shown))
        other = ENDINGS.get(number[-4:]) is PeopleMishap.OTHER_NAME or not holder.strip()
        return Verified(token, shown, NameMatch.NO_MATCH if other else NameMatch.MATCH)

    def order(self, order: Order) -> Answer:
        """As ``BankRail``."""
        self._here()
        key = str(order.order_id)
        with self._whole() as books:
            known = books.execute("select 1 from orders where order_id = ?", (key,)).fetchone()
            mishap = self._mishap(order)
            lost = known is None and mishap is PeopleMishap.LOST and self._lose_once(key)
            if known is None and not lost:
                self._take(order, mishap)
            answer = self._answer(key)
        if lost or (known is None and mishap is PeopleMishap.SILENT):
            raise RailAway
        return answer

    def ask(self, order_id: UUID) -> Answer:
        """As ``BankRail``."""
        self._here()
        with self._whole():
            self._turn()
            return self._answer(str(order_id))

    def entries(self, after: int, limit: int) -> list[Entry]:
        """As ``BankRail``."""
        self._here()
        with self._whole() as books:
            self._turn()
            rows = books.execute(
                "select number, entry_id, kind, minor, currency, at, order_id, reference, settled, reason"
                " from entries where number > ? order by number limit ?",
                (after, limit),
            ).fetchall()
        return [
            Entry(
                number=int(row[0]),
                entry_id=str(row[1]),
                kind=EntryKind(row[2]),
                amount=Money(int(row[3]), str(row[4])),
                at=datetime.fromisoformat(str(row[5])),
                order_id=UUID(str(row[6])) if row[6] else None,
                reference=str(row[7]),
                settled=bool(row[8]),
                reason=str(row[9]),
            )
            for row in rows
        ]

    # --- from outside

    def arrive(self, reference: str, amount: Money, *, entry_id: str, sender: str = "") -> None:
        """Somebody sends money with this reference; the same entry again is said again, as banks do.

        sender: the number of the account that it came from, whose last four digits say what becomes of a return.
        """
        with self._whole() as books:
            books.execute("insert or ignore into senders values (?, ?)", (entry_id, sender[-4:]))
            self._say(entry_id, EntryKind.ARRIVAL, "", amount.minor, amount.currency, reference=reference)

    def moved(self) -> Mapping[UUID, int]:
        """What each order has moved in the end, minor units: into Hansa above zero, out of it below."""
        with self._whole() as books:
            rows = books.execute(
                "select order_id, kind, minor from orders where state = 'settled'"
            ).fetchall()
        return {
            UUID(order_id): -minor if kind in (OrderKind.PAY_OUT, OrderKind.RETURN) else minor
            for order_id, kind, minor in rows
        }

    # --- inside

    def _here(self) -> None:
        if self.away:
            raise RailAway

    @contextmanager
    def _whole(self) -> Generator[sqlite3.Connection]:
        with self._lock:
            self._books.execute("begin immediate")
            try:
                yield self._books
            except BaseException:
                self._books.execute("rollback")
                raise
            self._books.execute("commit")

    def _mishap(self, order: Order) -> PeopleMishap:
        if order.kind is OrderKind.RETURN:
            asked, key = "select ending from senders where entry_id = ?", order.entry_id
        else:
            asked, key = "select ending from accounts where token = ?", order.token
        row = self._books.execute(asked, (key,)).fetchone()
        told = ENDINGS.get(str(row[0])) if row else None
        if told is not None:
            return told
        if not self.mishaps:
            return PeopleMishap.NONE
        digest = hashlib.sha256(f"{self.seed}\0{order.order_id}".encode()).digest()
        return (
            self.mishaps[digest[1] % len(self.mishaps)] if digest[0] % self.out_of == 0 else PeopleMishap.NONE
        )

    def _lose_once(self, key: str) -> bool:
        """Whether this order is lost now; it is lost once."""
        return self._books.execute("insert or ignore into lost values (?)", (key,)).rowcount == 1

    def _take(self, order: Order, mishap: PeopleMishap) -> None:
        now = self.clock.now()
        state, reason, due, back = "accepted", "", now + BOOKED_AFTER, ""
        if mishap in (PeopleMishap.POOR, PeopleMishap.CLOSED, PeopleMishap.LATE):
            state = "refused"
            reason = {PeopleMishap.POOR: "AM04", PeopleMishap.CLOSED: "AC04"}.get(mishap, "MS03")
            due = now + LATE_AFTER
        elif mishap is PeopleMishap.SLOW:
            due = now + SLOW_AFTER
        elif order.kind is OrderKind.INSTANT:
            state = "settled"
        if mishap is PeopleMishap.RETURN:
            back = (due + BACK_AFTER).isoformat()
        if order.kind is OrderKind.RETURN:
            wrong = self._not_to_return(order)
            if wrong:
                mishap, state, reason = PeopleMishap.NONE, "refused", wrong
            self._books.execute("insert into returns values (?, ?)", (str(order.order_id), order.entry_id))
        self._books.execute(
            "insert into orders values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                str(order.order_id),
                order.kind,
                order.token,
                order.amount.minor,
                order.amount.currency,
                mishap,
                state,
                reason,
                due.isoformat(),
                back,
            ),
        )

    def _not_to_return(self, order: Order) -> str:
        """Why the money of an entry cannot be returned; empty where it can. Source: the codes of camt.029 (ISO 20022):
        no original transaction received, wrong amount, already returned.
        """
        brought = self._books.execute(
            "select minor, currency from entries where entry_id = ? and kind <> 'return' and settled",
            (order.entry_id,),
        ).fetchone()
        if brought is None:
            return "NOOR"
        if brought != (order.amount.minor, order.amount.currency):
            return "AM09"
        gone = self._books.execute(
            "select 1 from returns join orders using (order_id) where entry_id = ? and (state in ('accepted',"
            " 'settled') or (state = 'refused' and mishap = 'late'))",
            (order.entry_id,),
        ).fetchone()
        return "ARDT" if gone else ""

    def _answer(self, key: str) -> Answer:
        row = self._books.execute("select state, reason from orders where order_id = ?", (key,)).fetchone()
        if row is None:
            return Answer(Verdict.UNHEARD)
        verdict = {
            "accepted": Verdict.ACCEPTED,
            "settled": Verdict.SETTLED,
            "returned": Verdict.SETTLED,
            "refused": Verdict.REFUSED,
        }[str(row[0])]
        return Answer(verdict, str(row[1]))

    def _turn(self) -> None:
        """Do what is due by now."""
        now = self.clock.now().isoformat()
        rows = self._books.execute(
            "select order_id, minor, currency, mishap, state from orders where due <= ?"
            " and (state = 'accepted' or (state = 'refused' and mishap = 'late')) order by due, order_id",
            (now,),
        ).fetchall()
        for order_id, minor, currency, mishap, _ in rows:
            self._books.execute(
                "update orders set state = 'settled', reason = '' where order_id = ?", (order_id,)
            )
            for _ in range(2 if mishap == PeopleMishap.REPEAT else 1):
                self._say(f"{order_id}:booked", EntryKind.OUTCOME, order_id, minor, currency)
        rows = self._books.execute(
            "select order_id, minor, currency from orders where state = 'settled' and back <> '' and back <= ?"
            " order by back, order_id",
            (now,),
        ).fetchall()
        for order_id, minor, currency in rows:
            self._books.execute("update orders set state = 'returned' where order_id = ?", (order_id,))
            self._say(f"{order_id}:returned", EntryKind.RETURN, order_id, minor, currency, reason="MD06")

    def _say(
        self,
        entry_id: str,
        kind: EntryKind,
        order_id: str,
        minor: int,
        currency: str,
        *,
        reference: str = "",
        reason: str = "",
    ) -> None:
        self._books.execute(
            "insert into entries (entry_id, kind, order_id, minor, currency, reference, settled, reason, at)"
            " values (?, ?, ?, ?, ?, ?, 1, ?, ?)",
            (entry_id, kind, order_id, minor, currency, reference, reason, self.clock.now().isoformat()),
        )
