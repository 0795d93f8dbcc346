"""Store: the one door to PostgreSQL.

A database address flows in, whether of a server that someone keeps or of the one that Hansa starts by itself;
transactions flow out. A function that takes ``tx`` joins its caller's transaction; one that takes ``ctx`` opens its
own. Migrations and crash recovery live here, and no room's tables do.
"""

from hansa.store.context import (
    Context,
    StoreBusy,
    StoreFull,
    StoreUnavailable,
    Tx,
    open_context,
)
from hansa.store.embedded import EmbeddedServer
from hansa.store.errors import DataFolderTaken, DataFolderUnfit, ServerFailed
from hansa.store.migrations import MigrationRefused, migrate

__all__ = [
    "Context",
    "DataFolderTaken",
    "DataFolderUnfit",
    "EmbeddedServer",
    "MigrationRefused",
    "ServerFailed",
    "StoreBusy",
    "StoreFull",
    "StoreUnavailable",
    "Tx",
    "migrate",
    "open_context",
]
