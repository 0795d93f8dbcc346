"""Transactions of which nothing stays, on a database that is empty or on which something already stands.

Many tests begin with the same small league. To build it takes the database longer than what most of them do with it, so
it is built once for a run, in a database of its own, and each test has it in a transaction that is rolled back.
"""

import threading
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field

import psycopg

from hansa.kernel import FixedClock
from hansa.store import SESSION, Context, Tx
from scratch import NOON, ScratchServer


@dataclass
class Shared:
    """Connections that the tests of a run share, each to a database of its own.

    known: by the name of what stands there; the empty one's is "".
    """

    server: ScratchServer
    closing: ExitStack = field(default_factory=ExitStack)
    known: dict[str, Tx] = field(default_factory=dict[str, Tx])

    def connection(self, name: str, build: Callable[[Context], object] | None = None) -> Tx:
        """The connection to where this stands; the first who asks has it built there, at NOON."""
        if name not in self.known:
            database = self.server.make_migrated()
            self.closing.callback(self.server.drop, database)
            tx = self.closing.enter_context(psycopg.connect(self.server.url_of(database), autocommit=True))
            tx.execute(SESSION)
            if build is not None:
                build(Context(open_tx=tx_of(tx), clock=FixedClock(NOON)))
                tx.execute("analyze")
            self.known[name] = tx
        return self.known[name]


def tx_of(tx: Tx) -> Callable[[], AbstractContextManager[Tx]]:
    """What opens a transaction on this connection, one at a time."""

    @contextmanager
    def open_tx() -> Generator[Tx]:
        with tx.transaction():
            yield tx

    return open_tx


class RolledBack:
    """One transaction around a test; each call is a savepoint in it, one at a time. Nothing stays.

    It begins on the empty database. ``stand_on`` moves it to where something stands, while nothing was written yet.
    stays: it does not move, because the test asks for the connection itself.
    """

    def __init__(self, shared: Shared, *, stays: bool = False) -> None:
        self._shared = shared
        self._stays = stays
        self._one_at_a_time = threading.RLock()
        self._around = ExitStack()
        self._tx = self._begin(shared.connection(""))

    @contextmanager
    def __call__(self) -> Generator[Tx]:
        with self._one_at_a_time, self._tx.transaction():
            yield self._tx

    def stand_on(self, name: str, build: Callable[[Context], object]) -> bool:
        """Move to where this stands, built there if nobody did. False, and nothing done, where rows were written."""
        if self._stays:
            return False
        with self._one_at_a_time:
            written = self._tx.execute("select pg_current_xact_id_if_assigned()").fetchone()
            if written is None or written[0] is not None:
                return False
            self._tx = self._begin(self._shared.connection(name, build))
            return True

    def end(self) -> None:
        """Roll back."""
        self._around.close()

    def _begin(self, tx: Tx) -> Tx:
        self._around.enter_context(tx.transaction(force_rollback=True))
        return tx
