"""Transactions: how every room reaches the database."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import ClassVar

import psycopg
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool

from hansa.kernel import Clock, Directory, HansaError, SystemClock

Tx = psycopg.Connection[TupleRow]
"""An open transaction. ``tx.execute(SQL, params)``; ``tx.cursor(row_factory=class_row(T))`` for domain types."""


class StoreUnavailable(HansaError):
    """The database cannot be reached just now. Nothing is half done; send the same request again."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What an action needs from outside: transactions, the time, and which partition serves whom.

    open_tx: gives one transaction that commits at the end, or rolls back on an error.
    """

    open_tx: Callable[[], AbstractContextManager[Tx]]
    clock: Clock = field(default_factory=SystemClock)
    directory: Directory = field(default_factory=Directory)
    url: str = ""
    shut: Callable[[], None] = lambda: None

    @contextmanager
    def tx(self) -> Iterator[Tx]:
        """One transaction: commits at the end of the block, rolls back if the block raises.

        Errors: StoreUnavailable when the server cannot be reached or went away; when that was during the commit
        itself, only asking again by the fact's id tells whether it was kept. StoreFull, StoreBusy: nothing was done.
        """
        with told_to_the_caller(), self.open_tx() as tx:
            yield tx

    def close(self) -> None:
        """Give all connections back. Calling it again does nothing."""
        self.shut()


@contextmanager
def told_to_the_caller() -> Iterator[None]:
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

    connections_max: transactions that can be open at once; one more waits for ``wait_s`` and is then told
        StoreUnavailable.
    A connection is asked whether it still lives before it is handed out (0.05 ms on a socket), so the first
    transaction after the server has come back works.
    """
    pool = ConnectionPool(
        url,
        min_size=1,
        max_size=connections_max,
        timeout=wait_s,
        max_idle=300,
        reconnect_timeout=5,
        check=ConnectionPool.check_connection,
        kwargs={"application_name": "hansa"},
        open=True,
    )
    return Context(
        open_tx=pool.connection,
        clock=clock or SystemClock(),
        directory=directory or Directory(),
        url=url,
        shut=pool.close,
    )
