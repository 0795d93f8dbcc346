"""Transactions: how every room reaches the database."""

import select
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import ClassVar
from weakref import WeakKeyDictionary

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool, PoolTimeout

from hansa.kernel import Clock, Directory, HansaError, SystemClock

Tx = psycopg.Connection[TupleRow]
"""An open transaction: ``tx.execute(SQL, params)``, or ``tx.cursor(row_factory=class_row(T))`` for domain types."""

Rows = psycopg.Cursor[TupleRow]
"""An answer that is on its way: in a pipeline, fetching is what waits for it."""

SERVER_VERSION_MIN = 150000
"""PostgreSQL 15, the oldest that we test against."""

BAD_ADDRESS = (
    "HANSA_DATABASE_URL is no address of a database. One looks like postgresql://hansa:password@db.example:5432/hansa;"
    " in a password, %, @, : and / are written %25, %40, %3A and %2F."
)

SESSION = "set timezone to 'UTC'; set jit to off"
"""How each connection begins, whatever the server's own settings. Our statements are short, but over tables that a
server has not yet measured it takes them for long, and would compile each one for up to a second."""


class StoreUnavailable(HansaError):
    """The database cannot be reached just now. Send the same request again, with the same id."""

    code: ClassVar[str] = "store.unavailable"
    status: ClassVar[int] = 503


class StoreBusy(HansaError):
    """Another transaction stood in the way of this one. Nothing was done; send the same request again."""

    code: ClassVar[str] = "store.busy"
    status: ClassVar[int] = 503


class StoreFull(HansaError):
    """The database's disk is full. Nothing was done; make room, then send the same request again."""

    code: ClassVar[str] = "store.full"
    status: ClassVar[int] = 507


class BadDatabaseAddress(HansaError):
    """What stands in HANSA_DATABASE_URL is no address of a database."""

    code: ClassVar[str] = "store.bad_address"
    status: ClassVar[int] = 500


class StoreTooOld(HansaError):
    """This PostgreSQL server is too old."""

    code: ClassVar[str] = "store.too_old"
    status: ClassVar[int] = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What an action needs from outside: transactions, the time, and which partition serves whom.

    open_tx: gives one transaction that commits at the end of its block and rolls back on an error.
    shut: gives all connections back.
    """

    open_tx: Callable[[], AbstractContextManager[Tx]]
    clock: Clock = field(default_factory=SystemClock)
    directory: Directory = field(default_factory=Directory)
    url: str = ""
    shut: Callable[[], None] = lambda: None

    def __enter__(self) -> "Context":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def tx(self) -> Generator[Tx]:
        """One transaction: commits at the end of the block, rolls back if the block raises.

        Errors: StoreUnavailable when the server cannot be reached or went away. If that was during the commit
        itself, only looking for the fact by its id tells whether it was kept; so facts are sent again with the same
        id. StoreFull, StoreBusy: nothing was done.
        """
        with told_to_the_caller(), self.open_tx() as tx:
            yield tx

    def close(self) -> None:
        """Give all connections back. Closing again does nothing."""
        self.shut()


@contextmanager
def told_to_the_caller() -> Generator[None]:
    """Turn what the outside world did to the database into the error that says what to do about it."""
    try:
        yield
    except psycopg.errors.DiskFull as error:
        raise StoreFull from error
    except (
        psycopg.errors.DeadlockDetected,
        psycopg.errors.SerializationFailure,
        psycopg.errors.LockNotAvailable,
        psycopg.errors.QueryCanceled,
    ) as error:
        raise StoreBusy from error
    except psycopg.OperationalError as error:
        raise StoreUnavailable from error


def open_context(
    url: str,
    *,
    clock: Clock | None = None,
    directory: Directory | None = None,
    connections_max: int = 20,
    wait_s: float = 10,
) -> Context:
    """A Context on this database, with a pool of connections of its own.

    connections_max: how many transactions can be open at once. One more, or one while the server restarts, waits
        for ``wait_s`` and is then told StoreUnavailable.
    What waits while the server restarts goes on within a second of its return.
    Errors: BadDatabaseAddress; StoreUnavailable, with the server's words, when it cannot be reached now; StoreTooOld.
    """
    _try(url)
    pool: ConnectionPool[Tx] = ConnectionPool(
        url,
        min_size=1,
        max_size=max(1, connections_max),
        reconnect_timeout=0.5,
        configure=_configure,
        kwargs={"application_name": "hansa"},
        open=True,
    )

    answered: WeakKeyDictionary[Tx, float] = WeakKeyDictionary()

    @contextmanager
    def open_tx() -> Generator[Tx]:
        connection = _living_connection(pool, wait_s, answered)
        try:
            with connection:  # commits or rolls back; a pool's connection stays open
                yield connection
            answered[connection] = time.monotonic()
        finally:
            pool.putconn(connection)

    return Context(
        open_tx=open_tx,
        clock=clock or SystemClock(),
        directory=directory or Directory(),
        url=url,
        shut=pool.close,
    )


def commit_behind(tx: Tx, *, behind: bool = True) -> None:
    """Let this transaction's commit not wait for the disk: for what a later commit of this database makes durable.

    PostgreSQL writes commits to disk in their order: once a later one that waits has returned, this one is there too.
    Until then a power cut may take it back whole, as if it had never been. behind: False takes this back.
    """
    tx.execute(f"set local synchronous_commit to {'off' if behind else 'on'}")


FRESH_S = 0.1
"""For so long after its last commit a connection is taken to live, unless its server has closed it, which is seen
without asking: on a busy server that saves a way to the database and back for most transactions."""


def _living_connection(pool: ConnectionPool[Tx], wait_s: float, answered: Mapping[Tx, float]) -> Tx:
    """A connection that has just answered, be it to a question of ours (0.05 ms on a socket).

    answered: when connections did so last, in seconds of the monotonic clock.
    When one turns out dead, all that were idle are thrown away with it: after a restart of the server they are dead
    too. We ask the pool anew each second, which makes it try to connect at once; the pool's own check would sleep
    1, 2, 4 ... s, once for each dead connection.
    """
    deadline = time.monotonic() + wait_s
    while True:
        left_s = deadline - time.monotonic()
        try:
            connection = pool.getconn(timeout=max(0.01, min(1, left_s)))
        except PoolTimeout:
            if left_s <= 1:
                raise
            continue
        if time.monotonic() - answered.get(connection, -FRESH_S) < FRESH_S and _is_quiet(connection):
            return connection
        try:
            ConnectionPool.check_connection(connection)
        except psycopg.OperationalError:
            pool.putconn(connection)
            pool.drain()
            if left_s <= 0:
                raise
        except BaseException:
            pool.putconn(connection)
            raise
        else:
            return connection


def _is_quiet(connection: Tx) -> bool:
    """Whether nothing has come from the server, be it a word or the end, that nobody asked for."""
    quiet = select.poll()
    quiet.register(connection.fileno(), select.POLLIN)
    return not quiet.poll(0)


def host_of(url: str) -> str:
    """Which machine and port a database's address means, without user and password.

    Errors: BadDatabaseAddress, without any of its words: they could be part of a password.
    """
    try:
        parts = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        raise BadDatabaseAddress(BAD_ADDRESS) from None
    host, port = (str(parts.get(name) or "") for name in ("host", "port"))
    # An @ or a : left bare in a password puts a part of it into the host or the port.
    if "@" in host or (not port.replace(",", "").isdigit() and port):
        raise BadDatabaseAddress(BAD_ADDRESS)
    return ":".join(filter(None, (host or "this machine", port)))


def _try(url: str) -> None:
    host = host_of(url)
    try:
        with psycopg.connect(url, connect_timeout=10) as connection:
            version = connection.info.server_version
    except psycopg.Error as error:
        raise StoreUnavailable(f"The database at {host} cannot be reached: {error}") from error
    if version < SERVER_VERSION_MIN:
        raise StoreTooOld(
            f"The server is PostgreSQL {version // 10000}; Hansa needs {SERVER_VERSION_MIN // 10000}."
        )


def _configure(connection: Tx) -> None:
    connection.execute(SESSION)
    connection.commit()
