"""What the ledger's benchmark is made of: towns full of accounts, batches of bytes, and a ledger to compare with."""

import gc
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from struct import pack
from typing import Any, LiteralString
from uuid import UUID

import numpy as np
import numpy.typing as npt
import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg.pq import ExecStatus

from hansa import ledger
from hansa.apps.rooms import SQL_FOLDERS
from hansa.ledger import Account, AccountCode, AccountFlag, AccountId, ResultCode, TransferCode
from hansa.ledger.batch import MAGIC, RECORD
from hansa.ledger.rows import COLUMNS
from hansa.store import Context, migrate, open_context

Ids = npt.NDArray[np.void]

WALLETS = 10_000
OPERATORS = 200
BATCH = ledger.BATCH_MAX
IN_FLIGHT = 8
PURSE = 100_000_000
START_US = 1_794_888_000_000_000
"""17 November 2026, 4 o'clock UTC, in microseconds."""

_MOST = 2**64 - 1


@dataclass
class Town:
    """The accounts money moves between, in a database of their own, and the engine that keeps them. size: wallets."""

    ctx: Context
    bank: Ids
    wallets: Ids
    operators: Ids
    engine: ledger.Engine
    size: int

    def count(self) -> int:
        with self.ctx.tx() as tx:
            return one(tx.execute("select coalesce(sum(transfers), 0) from ledger.blocks"))


def one(cursor: psycopg.Cursor[Any]) -> Any:
    row = cursor.fetchone()
    assert row is not None
    return row[0]


def make_database(url: str, name: str, folders: Sequence[Path]) -> str:
    """A database of its own on this server; gives its address."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    made = make_conninfo(url, dbname=name)
    migrate(made, folders)
    return made


@contextmanager
def a_town(
    url: str, name: str, *, wallets: int = WALLETS, funded: bool = True, rooms: Sequence[str] = ("ledger",)
) -> Generator[Town]:
    """A town in a database of its own: wallets that must not be overdrawn, operators, and a bank.

    funded: every wallet is given more than it will spend. At the end the books are verified.
    """
    ctx = open_context(make_database(url, name, [SQL_FOLDERS[room] for room in rooms]))
    try:
        bank, operators, riders = _open_accounts(ctx, wallets)
        with ctx.tx() as tx:
            tx.execute("analyze")
        town = Town(ctx, bank, riders, operators, an_engine(ctx, wallets), wallets)
        town.engine.start()
        try:
            if funded:
                book(town, [*_transfers(bank, riders, PURSE, TransferCode.TOP_UP)])
            yield town
        finally:
            town.engine.stop()
        with ctx.tx() as tx:
            findings = ledger.verify(tx)
            assert findings == [], findings[:3]
            assert ledger.trial_balance(tx).is_even, "debits equal credits"
    finally:
        ctx.close()


def an_engine(ctx: Context, wallets: int) -> ledger.Engine:
    """An engine with all accounts in memory."""
    accounts_max = max(1_000_000, wallets + OPERATORS + 1)
    return ledger.Engine(ctx, pace=ledger.Pace(accounts_max=accounts_max), preload=True)


def _open_accounts(ctx: Context, wallets: int) -> tuple[Ids, Ids, Ids]:
    """Bank, operators and wallets; the wallets by COPY straight into the table, since there may be millions."""
    rng = np.random.default_rng(1)
    bank, operators, riders = (np.sort(_random_ids(rng, count)) for count in (1, OPERATORS, wallets))
    accounts = [Account(_account_id(bank[0]), "CNY", AccountCode.CASH, "bank")]
    accounts += [
        Account(_account_id(number), "CNY", AccountCode.POSITION, "operator") for number in operators
    ]
    ledger.open_accounts(ctx, accounts)
    columns = [
        ("partition", ">i2", 0),
        ("account_id", "V16", None),
        ("currency", "S3", b"CNY"),
        ("code", ">i2", AccountCode.WALLET.value),
        ("holder", "S5", b"rider"),
        ("flags", ">i2", AccountFlag.DEBITS_MUST_NOT_EXCEED_CREDITS.value),
        ("opened_at", ">i8", 0),
    ]
    fields = [("columns", ">i2")]
    fields += [field for name, kind, _ in columns for field in ((f"{name}_size", ">i4"), (name, kind))]
    names = ", ".join(name for name, _, _ in columns)
    copy_in: Any = f"copy ledger.accounts ({names}) from stdin (format binary)"
    with ctx.tx() as tx, tx.cursor().copy(copy_in) as copy:
        copy.write(b"PGCOPY\n\xff\r\n\0" + bytes(8))
        for first in range(0, wallets, 100_000):
            chosen = riders[first : first + 100_000]
            rows = np.zeros(len(chosen), fields)
            rows["columns"] = len(columns)
            for name, kind, value in columns:
                rows[f"{name}_size"] = np.dtype(kind).itemsize
                rows[name] = chosen if value is None else value
            copy.write(rows.tobytes())
        copy.write(b"\xff\xff")
    return bank, operators, riders


def _random_ids(rng: np.random.Generator, count: int) -> Ids:
    digits = np.frombuffer(rng.bytes(16 * count), np.uint8).reshape(count, 16).copy()
    digits[:, 6] = digits[:, 6] & 0x0F | 0x80
    digits[:, 8] = digits[:, 8] & 0x3F | 0x80
    order = np.lexsort(tuple(digits[:, column] for column in range(7, -1, -1)))
    return np.ascontiguousarray(digits[order]).view("V16").reshape(count)


def _account_id(number: np.void) -> AccountId:
    return AccountId(UUID(bytes=number.tobytes()))


# --- batches of bytes


class Till:
    """Makes batches. Ids are UUIDv7 as their senders would make them: a hundred a millisecond, the rest random."""

    def __init__(self) -> None:
        self._rng = np.random.default_rng(2)
        self._made = time.time_ns() // 1_000_000 * 100

    def choose(self, ids: Ids, count: int) -> Ids:
        return ids[self._rng.integers(0, len(ids), count)]

    def records(self, debit: Ids, credit: Ids, amount: int | None = None, code: int = 2) -> Any:
        """One transfer for each debit account. amount: of each; 100 to 899 if None."""
        count = len(debit)
        records = np.zeros(count, RECORD)
        records["transfer_id"] = self._ids(count)
        records["debit"] = debit
        records["credit"] = credit
        records["amount_low"] = self._rng.integers(100, 900, count) if amount is None else amount
        records["reference"] = np.frombuffer(self._rng.bytes(16 * count), "V16")
        records["event_us"] = START_US + self._rng.integers(0, 60_000_000_000, count)
        records["currency"] = b"CNY"
        records["code"] = code
        return records

    def fares(self, town: Town, batches: int, payees: Ids | None = None) -> list[bytes]:
        """Riders who pay operators, in full batches."""
        payees = town.operators if payees is None else payees
        return [
            wire(self.records(self.choose(town.wallets, BATCH), self.choose(payees, BATCH)))
            for _ in range(batches)
        ]

    def holds_and_postings(self, town: Town, batches: int) -> list[bytes]:
        """Batches of holds, each followed by a batch that posts them: some whole, some in part."""
        found: list[bytes] = []
        for _ in range(max(1, batches // 2)):
            holds = self.records(
                self.choose(town.wallets, BATCH), self.choose(town.operators, BATCH), 700, 12
            )
            holds["flags"] = ledger.TransferFlag.PENDING.value
            holds["timeout_s"] = 86_400
            postings = np.zeros(BATCH, RECORD)
            postings["transfer_id"] = self._ids(BATCH)
            postings["pending_id"] = holds["transfer_id"]
            postings["event_us"] = holds["event_us"]
            postings["flags"] = ledger.TransferFlag.POST_PENDING.value
            whole = self._rng.random(BATCH) < 0.5
            postings["amount_high"] = np.where(whole, np.uint64(_MOST), np.uint64(0))
            postings["amount_low"] = np.where(whole, np.uint64(_MOST), np.uint64(450))
            found += [wire(holds), wire(postings)]
        return found

    def in_and_out(self, town: Town, batches: int, earlier: list[Ids]) -> list[bytes]:
        """By turns: money put on any wallets, and spent from the wallets that got some in the round before.

        earlier: which those were; it is brought up to date.
        """
        found, paid_in = list[bytes](), list[Ids]()
        for number in range(batches):
            if number % 2 and earlier:
                found.append(wire(self.records(earlier.pop(), self.choose(town.operators, BATCH), 500)))
            else:
                paid_in.append(self.choose(town.wallets, BATCH))
                found.append(wire(self.records(self.choose(town.bank, BATCH), paid_in[-1], 50_000, 1)))
        earlier[:] = paid_in
        return found

    def _ids(self, count: int) -> Ids:
        digits = np.frombuffer(self._rng.bytes(16 * count), np.uint8).reshape(count, 16).copy()
        made = (self._made + np.arange(count)) // 100
        self._made += count
        digits[:, :6] = made.astype(">u8").view(np.uint8).reshape(count, 8)[:, 2:]
        digits[:, 6] = digits[:, 6] & 0x0F | 0x70
        digits[:, 8] = digits[:, 8] & 0x3F | 0x80
        return digits.view("V16").reshape(count)


def _transfers(debit: Ids, credit: Ids, amount: int, code: TransferCode) -> Generator[bytes]:
    till = Till()
    for first in range(0, len(credit), BATCH):
        chosen = credit[first : first + BATCH]
        yield wire(till.records(till.choose(debit, len(chosen)), chosen, amount, code.value))


def wire(records: Any) -> bytes:
    return pack(">4sI", MAGIC, len(records)) + records.tobytes()


@dataclass(frozen=True)
class Booked:
    """How long it took, all in all. left: transfers not settled when the last was durable; fold_s: to settle them."""

    transfers: int
    seconds: float
    left: int
    fold_s: float

    @property
    def per_second(self) -> float:
        return self.transfers / self.seconds


def book(town: Town, wires: Sequence[bytes]) -> Booked:
    """Book all of these, from the first byte read to the last transfer durable and settled; none may be refused."""
    gc.collect()
    engine, places = town.engine, threading.Semaphore(IN_FLIGHT)
    wrong: list[object] = []

    def done(answer: list[ResultCode] | BaseException) -> None:
        if isinstance(answer, BaseException):
            wrong.append(answer)
        elif answer.count(ResultCode.CREATED) < len(answer):
            wrong.append({code for code in answer if code is not ResultCode.CREATED})
        places.release()

    began = time.perf_counter()
    for data in wires:
        places.acquire()
        engine.submit(ledger.read_batch(data, count_max=BATCH), done)
    for _ in range(IN_FLIGHT):
        places.acquire()
    durable, left = time.perf_counter(), engine.figures.unfolded
    engine.settle()
    ended = time.perf_counter()
    assert not wrong, wrong[:1]
    transfers = sum((len(data) - 8) // RECORD.itemsize for data in wires)
    return Booked(transfers, ended - began, left, ended - durable)


# --- raw COPY of the same rows


class CopyOnly:
    """A table of the journal's columns and indexes, filled by COPY alone: what PostgreSQL itself can take."""

    MAKE = (
        "create schema copy_only",
        "create table copy_only.transfers (like ledger.transfers including all)",
    )
    READ: LiteralString = (
        "copy (select "
        + COLUMNS
        + " from ledger.transfers where partition = 0 and block = {} and position >= {} and position < {})"
        " to stdout (format binary)"
    )
    WRITE: LiteralString = "copy copy_only.transfers (" + COLUMNS + ") from stdin (format binary)"

    def __init__(self, town: Town) -> None:
        self._town = town
        self._connection = psycopg.connect(town.ctx.url, autocommit=True)
        for statement in self.MAKE:
            self._connection.execute(statement)

    def close(self) -> None:
        self._connection.close()

    def last_block(self) -> int:
        with self._town.ctx.tx() as tx:
            return ledger.block_head(tx)[0]

    def read(self, after: int) -> list[bytes]:
        """The rows of the blocks after this one, as COPY takes them, 8,192 at a time."""
        with self._town.ctx.tx() as tx:
            blocks = ledger.list_blocks(tx, 0, after=after, limit=100_000)
        found: list[bytes] = []
        for block in blocks:
            for first in range(0, block.transfers, BATCH):
                rows = sql.SQL(self.READ).format(block.number, first, first + BATCH)
                with self._connection.cursor().copy(rows) as copy:
                    found.append(b"".join(bytes(part) for part in copy))
        return found

    def write(self, blocks: Sequence[bytes]) -> float:
        """Seconds to write them, one commit for each part."""
        gc.collect()
        began = time.perf_counter()
        for rows in blocks:
            with self._connection.transaction(), self._connection.cursor().copy(self.WRITE) as copy:
                copy.write(rows)
        return time.perf_counter() - began


# --- a ledger as one would write it first


class PlainLedger:
    """One transaction for each transfer: a function that locks two rows, looks at the limit, inserts and updates."""

    MAKE = """
create schema plain_ledger;
create table plain_ledger.accounts (
    account_id uuid primary key,
    no_overdraft boolean not null,
    debits bigint not null default 0,
    credits bigint not null default 0
) with (fillfactor = 70);
create table plain_ledger.transfers (
    transfer_id uuid primary key,
    debit uuid not null,
    credit uuid not null,
    amount bigint not null,
    booked_at timestamptz not null default now()
);
create index by_debit on plain_ledger.transfers (debit, booked_at);
create index by_credit on plain_ledger.transfers (credit, booked_at);
create function plain_ledger.post(id uuid, debit_id uuid, credit_id uuid, moved bigint) returns boolean
language plpgsql as $$
declare account plain_ledger.accounts; is_covered boolean := false; accounts integer := 0;
begin
    for account in select * from plain_ledger.accounts where account_id in (debit_id, credit_id)
        order by account_id for no key update
    loop
        accounts := accounts + 1;
        if account.account_id = debit_id then
            is_covered := not account.no_overdraft or account.debits + moved <= account.credits;
        end if;
    end loop;
    if accounts < 2 or not is_covered then return false; end if;
    insert into plain_ledger.transfers (transfer_id, debit, credit, amount) values (id, debit_id, credit_id, moved)
        on conflict do nothing;
    if not found then return true; end if;
    update plain_ledger.accounts set debits = debits + moved where account_id = debit_id;
    update plain_ledger.accounts set credits = credits + moved where account_id = credit_id;
    return true;
end $$;
insert into plain_ledger.accounts select account_id, flags & 1 = 1, debits_posted, credits_posted from ledger.accounts;
analyze plain_ledger.accounts;
"""
    POST = b"select plain_ledger.post($1, $2, $3, $4)"

    def __init__(self, town: Town) -> None:
        self._till = Till()
        self._town = town
        self._connections = [psycopg.connect(town.ctx.url, autocommit=True) for _ in range(8)]
        self._connections[0].execute(self.MAKE)
        for connection in self._connections:
            connection.pgconn.prepare(b"post", self.POST, [2950, 2950, 2950, 20])

    def close(self) -> None:
        for connection in self._connections:
            connection.close()

    def per_second(self, connections: int, count: int) -> float:
        """Transfers booked a second, each in its own transaction, over so many connections at once."""
        share = count // connections
        work = [self._calls(share) for _ in range(connections)]
        gc.collect()
        began = time.perf_counter()
        with ThreadPoolExecutor(connections) as pool:
            booked = sum(pool.map(_call_all, self._connections[:connections], work))
        took = time.perf_counter() - began
        assert booked == share * connections, "every one of them is covered"
        return booked / took

    def bytes_per_transfer(self) -> float:
        with self._town.ctx.tx() as tx:
            return float(
                one(
                    tx.execute(
                        "select pg_total_relation_size('plain_ledger.transfers')::float8 / count(*)"
                        " from plain_ledger.transfers"
                    )
                )
            )

    def _calls(self, count: int) -> list[list[bytes]]:
        town, till = self._town, self._till
        records = till.records(till.choose(town.wallets, count), till.choose(town.operators, count))
        columns = [records[name].tolist() for name in ("transfer_id", "debit", "credit")]
        columns.append([pack(">q", amount) for amount in records["amount_low"].tolist()])
        return [list(call) for call in zip(*columns, strict=True)]


def _call_all(connection: psycopg.Connection[Any], calls: Sequence[list[bytes]]) -> int:
    """How many of these were booked. Straight through libpq: what the client costs is not the plain ledger's fault."""
    pgconn, formats, booked = connection.pgconn, [1, 1, 1, 1], 0
    for call in calls:
        result = pgconn.exec_prepared(b"post", call, formats, 1)
        assert result.status == ExecStatus.TUPLES_OK, result.error_message
        booked += result.get_value(0, 0) == b"\1"
    return booked


# --- where the time goes


def resident_bytes() -> int:
    """Memory of this process that is in use now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def sampled(seconds: float = 0.001) -> Generator[Callable[[], str]]:
    """Looks at all threads every so often; what it gives tells where they were, busiest first."""
    seen: Counter[tuple[str, str]] = Counter()
    looks, ending = 0, threading.Event()

    def look() -> None:
        nonlocal looks
        while not ending.wait(seconds):
            looks += 1
            names = {thread.ident: thread.name for thread in threading.enumerate()}
            for ident, frame in sys._current_frames().items():
                if ident == threading.get_ident():
                    continue
                code = frame.f_code
                place = f"{Path(code.co_filename).name}:{frame.f_lineno} {code.co_name}"
                seen[names.get(ident, "?"), place] += 1

    def told() -> str:
        return "\n".join(
            f"{count / max(1, looks):6.1%}  {thread:<18} {place}"
            for (thread, place), count in seen.most_common(40)
        )

    looker = threading.Thread(target=look, daemon=True)
    looker.start()
    try:
        yield told
    finally:
        ending.set()
        looker.join()
