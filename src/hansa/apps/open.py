"""Open Hansa's data: the server that ``HANSA_DATABASE_URL`` names, or the embedded one in the home folder."""

import os
import signal
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from hansa.apps.rooms import migrate_all
from hansa.kernel import Clock
from hansa.store import Context, DataFolderTaken, EmbeddedServer, StoreUnavailable, host_of, open_context

ENDING = (signal.SIGTERM, signal.SIGHUP)
"""What asks a process to end, besides Ctrl-C: a supervisor, and a terminal that was closed."""


@contextmanager
def opened(home: Path, *, clock: Clock | None = None, join: bool = False) -> Generator[Context]:
    """A Context on an up-to-date database; an embedded server is stopped cleanly at the end.

    home: where the embedded server keeps its data; made when missing.
    join: when another Hansa serves this folder, use its server beside it, and leave it running.
    In the main thread, TERM and HUP end the block as Ctrl-C does, and then the process with 128 and their number.
    Errors: DataFolderTaken when another Hansa serves this folder; DataFolderUnfit; BadDatabaseAddress;
    StoreUnavailable when the server cannot be reached, or is lost on the way.
    """
    url = os.environ.get("HANSA_DATABASE_URL")
    with _ended_by_signals():
        if url:
            with _context_on(url, host_of(url), clock) as ctx:
                yield ctx
            return
        server = EmbeddedServer(home)
        try:
            url = _start(server, join=join)
            with _context_on(url, f"in {home}", clock) as ctx:
                yield ctx
        finally:
            with _undisturbed():
                server.stop()


def _start(server: EmbeddedServer, *, join: bool) -> str:
    try:
        url = server.start()
    except DataFolderTaken:
        if not join:
            raise
        return server.join()
    server.keep_running()
    for note in server.notes:
        print(note, file=sys.stderr)
    return url


@contextmanager
def _context_on(url: str, where: str, clock: Clock | None) -> Generator[Context]:
    with open_context(url, clock=clock) as ctx:
        try:
            migrate_all(url)
            yield ctx
        except StoreUnavailable as error:
            raise StoreUnavailable(
                f"The database {where} was lost on the way. Run the same command again when it is back."
            ) from error


@contextmanager
def _ended_by_signals() -> Generator[None]:
    """Let TERM and HUP unwind the block, so that what it started is stopped.

    Inside they are a KeyboardInterrupt, for which the database driver cancels the statement under way. Only the first
    counts. Who handles or ignores one of them already, as nohup does, keeps it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard: list[int] = []

    def end(number: int, _: FrameType | None) -> None:
        heard.append(number)
        if len(heard) == 1:
            raise KeyboardInterrupt

    ours = [number for number in ENDING if signal.getsignal(number) is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, end)
    try:
        yield
    except BaseException:
        if heard:
            raise SystemExit(128 + heard[0]) from None
        raise
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


@contextmanager
def _undisturbed() -> Generator[None]:
    """Keep Ctrl-C, TERM and HUP waiting until the block, which must be short, is over."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard: list[int] = []
    before = {
        number: signal.signal(number, lambda told, _: heard.append(told))
        for number in (signal.SIGINT, *ENDING)
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if heard:
        signal.raise_signal(heard[0])
