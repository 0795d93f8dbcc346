"""Open Hansa's data: the server that ``HANSA_DATABASE_URL`` names, or the embedded one in the home folder."""

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from hansa.apps.rooms import migrate_all
from hansa.kernel import Clock
from hansa.store import Context, EmbeddedServer, open_context


@contextmanager
def opened(home: Path, *, clock: Clock | None = None) -> Generator[Context]:
    """A Context on an up-to-date database; an embedded server is stopped cleanly at the end.

    home: where the embedded server keeps its data; made when missing.
    Errors: DataFolderTaken when another Hansa serves this folder; StoreUnavailable when the server cannot be reached.
    """
    url = os.environ.get("HANSA_DATABASE_URL")
    server: EmbeddedServer | None = None
    if not url:
        home.mkdir(parents=True, exist_ok=True)
        server = EmbeddedServer(home)
        url = server.start()
        server.keep_running()
        for note in server.notes:
            print(note, file=sys.stderr)
    try:
        migrate_all(url)
        ctx = open_context(url, clock=clock)
        try:
            yield ctx
        finally:
            ctx.close()
    finally:
        if server is not None:
            server.stop()
