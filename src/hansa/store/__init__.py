"""Store: the one door to PostgreSQL.

A database's address flows in, be it of a server that someone keeps or of the one that Hansa starts by itself;
transactions flow out. Around them stand what every room needs of a database: migrations, the outbox, remembered
answers, and coming back whole after a crash. No room's tables are here.
"""

from hansa.store.answers import IdempotencyConflict, forget_answers, idempotent, remember, request_digest
from hansa.store.context import (
    BadDatabaseAddress,
    Context,
    StoreBusy,
    StoreFull,
    StoreTooOld,
    StoreUnavailable,
    Tx,
    host_of,
    open_context,
    told_to_the_caller,
)
from hansa.store.embedded import EmbeddedServer
from hansa.store.errors import DataFolderTaken, DataFolderUnfit, ServerFailed
from hansa.store.migrations import MigrationRefused, migrate
from hansa.store.outbox import (
    START,
    Bookmark,
    Event,
    WrittenEvent,
    begin_outbox_anew,
    forget_outbox,
    read_outbox,
    write_outbox,
)
from hansa.store.secrets import Secret, SecretMissing, SecretUnfit, list_secrets, read_secret, rotate_secret
from hansa.store.throttle import (
    Rate,
    Taking,
    Throttled,
    TooOften,
    forget_throttles,
    refuse_too_often,
    throttle,
    throttle_all,
)

__all__ = [
    "START",
    "BadDatabaseAddress",
    "Bookmark",
    "Context",
    "DataFolderTaken",
    "DataFolderUnfit",
    "EmbeddedServer",
    "Event",
    "IdempotencyConflict",
    "MigrationRefused",
    "Rate",
    "Secret",
    "SecretMissing",
    "SecretUnfit",
    "ServerFailed",
    "StoreBusy",
    "StoreFull",
    "StoreTooOld",
    "StoreUnavailable",
    "Taking",
    "Throttled",
    "TooOften",
    "Tx",
    "WrittenEvent",
    "begin_outbox_anew",
    "forget_answers",
    "forget_outbox",
    "forget_throttles",
    "host_of",
    "idempotent",
    "list_secrets",
    "migrate",
    "open_context",
    "read_outbox",
    "read_secret",
    "refuse_too_often",
    "remember",
    "request_digest",
    "rotate_secret",
    "throttle",
    "throttle_all",
    "told_to_the_caller",
    "write_outbox",
]
