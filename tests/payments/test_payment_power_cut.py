"""The database's power is cut between any two commits of a batch of payments: each is paid once, and answered alike."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import nullcontext, suppress
from functools import partial
from itertools import product
from pathlib import Path
from typing import TypeVar

import psycopg
import pytest

from hansa import ledger, payments
from hansa.apps.rooms import SQL_FOLDERS
from hansa.kernel import FixedClock
from hansa.payments import NewPayment, paying
from hansa.store import Context, EmbeddedServer, StoreUnavailable, Tx, commit_behind, migrate, open_context
from ledger.engines import wait_until
from payments.shopping import BANK, BEN, KIOSK, NOW, asks, check_books, held, open_town, pass_time, told

SETTINGS = {"shared_buffers": "64MB", "wal_buffers": "1MB", "fsync": "off", "log_min_messages": "panic"}
"""What a killed server wrote stays with the system, so nothing here waits for a disk."""

T = TypeVar("T")
STARTS_IN_S = 120
STEPS = ("received", "posted", "recorded")


# --- ways to go dark


def kill_all(server: EmbeddedServer) -> None:
    """The postmaster and all its processes at once, of which none may say a word."""
    pid = server.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)  # it begins no other process and mourns none
    for one in (*children_of(pid), pid):
        with suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)


def stop_immediately(server: EmbeddedServer) -> None:
    """Every process ends where it stands."""
    stop = [server.programs / "pg_ctl", "stop", "-D", server.data, "-m", "immediate", "-w", "-s"]
    subprocess.run(stop, user=server.data.owner(), cwd="/", check=True)


def kill_one(server: EmbeddedServer) -> None:
    """One process dies by force, upon which the postmaster ends all others and recovers."""
    with psycopg.connect(server.url) as one, psycopg.connect(server.url) as other:
        os.kill(one.info.backend_pid, signal.SIGKILL)
        with pytest.raises(psycopg.OperationalError):
            other.execute("select pg_sleep(60)")  # until the postmaster has noticed


Cut = Callable[[EmbeddedServer], None]
CUTS: tuple[Cut, ...] = (kill_all, stop_immediately, kill_one)


def children_of(pid: int) -> list[int]:
    """The processes whose parent this one is."""
    found: list[int] = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(stat.parent.name))
    return found


def bring_back(server: EmbeddedServer) -> None:
    """Start it again where it does not do so itself, as its owner does (``keep_running``)."""

    def answers() -> bool:
        server.ensure_running()
        with suppress(psycopg.OperationalError):
            psycopg.connect(server.url).close()
            return True
        return False

    wait_until(answers, most_s=STARTS_IN_S)


# --- a town on a server of its own


@pytest.fixture
def server() -> Generator[EmbeddedServer]:
    """A server of this test's own, with all migrations applied."""
    home = Path(tempfile.mkdtemp(prefix="hansa-power-"))
    home.chmod(0o755)  # the server's user passes through
    try:
        with EmbeddedServer(home, settings=SETTINGS) as server:
            migrate(server.url, list(SQL_FOLDERS.values()))
            yield server
    finally:
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def ctx(server: EmbeddedServer) -> Generator[Context]:
    """The town, with 100.00 in each wallet, on the server whose power is cut."""
    with open_context(server.url, clock=FixedClock(NOW), wait_s=STARTS_IN_S) as ctx:
        open_town(ctx)
        yield ctx


def batch(name: str) -> list[NewPayment]:
    """One that is paid, one that is held, one that its payer cannot pay, and one of another payer elsewhere."""
    return [
        asks(1_00, n=(name, 0)),
        asks(50_00, n=(name, 1), capture="manual"),
        asks(500_00, n=(name, 2)),
        asks(2_00, n=(name, 3), payer=BEN, payee_id=KIOSK),
    ]


STATES = ["captured", "authorized", "failed", "captured"]


def in_the_end(do: Callable[[], T]) -> T:
    """What it gives, done again as long as the store is not to be had; an engine notices a cut when it next posts."""
    over = time.monotonic() + STARTS_IN_S
    while True:
        try:
            return do()
        except StoreUnavailable:
            assert time.monotonic() < over, "the ledger should be back by now"
            time.sleep(0.02)


def test_a_batch_whose_database_lost_its_power_is_paid_once_and_answered_alike(
    server: EmbeddedServer, ctx: Context
) -> None:
    done = 0
    for engine in (True, False):
        with ledger.Engine(ctx) if engine else nullcontext():
            for step, cut in product(STEPS, CUTS):
                new = batch(f"{step} {cut.__name__} {engine}")
                went_dark: list[str] = []

                def watch(here: str, plug: tuple[str, Cut, list[str]] = (step, cut, went_dark)) -> None:
                    step, cut, went_dark = plug
                    if here == step and not went_dark:
                        went_dark.append(here)
                        cut(server)
                        bring_back(server)

                with suppress(StoreUnavailable):
                    payments.create(ctx, new, watch=watch)
                assert went_dark
                pass_time(ctx, minutes=1)
                in_the_end(partial(payments.finish_payments, ctx))
                moved = held(ctx, BEN) != (100_00 - done * 2_00, 0)
                done += 1

                answers = in_the_end(partial(payments.create, ctx, new))
                replays = {one.is_replay for one in answers if isinstance(one, payments.Payment)}
                # Before the ledger's word a cut may take the batch back whole: then nothing moved, and it is made now.
                assert replays == {moved} and (moved or step == "received"), (step, answers)
                assert [one.state for one in answers if isinstance(one, payments.Payment)] == STATES
                assert held(ctx) == (100_00 - done * 1_00, 50_00)
                assert held(ctx, BEN) == (100_00 - done * 2_00, 0)
                in_the_end(partial(payments.void, ctx, new[1].payment_id, by=BANK))
    assert Counter(told(ctx)) == Counter(done * [f"payment.{one}" for one in (*STATES, "voided")])
    check_books(ctx)


class _Dies(Exception):
    pass


def test_a_batch_that_the_ledger_may_have_nothing_to_commit_for_waits_for_the_disk_itself(
    committed_ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    ctx, behind = committed_ctx, list[bool]()

    def noted(tx: Tx, *, behind_: list[bool] = behind, behind: bool = True) -> None:
        behind_.append(behind)
        commit_behind(tx, behind=behind)

    def dies(here: str) -> None:
        if here == "posted":
            raise _Dies

    monkeypatch.setattr(paying, "commit_behind", noted)
    open_town(ctx)
    old, offer = asks(1_00, n="old"), asks(3_00, n="offer", payer=None)
    with ledger.Engine(ctx):
        with suppress(_Dies):
            payments.create(ctx, [old], watch=dies)
        assert behind == [True]
        pass_time(ctx, minutes=1)
        answers = payments.create(ctx, [old, offer])  # the first is in the books already
    assert behind == [True]
    assert [one.state for one in answers if isinstance(one, payments.Payment)] == ["captured", "created"]
