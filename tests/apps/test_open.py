"""Hansa's data are opened, joined and shut; whatever ends the process, no database stays behind."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Generator
from pathlib import Path

import psycopg
import pytest

from hansa.apps.open import opened
from hansa.store import DataFolderTaken, DataFolderUnfit, EmbeddedServer, StoreUnavailable

HANSA = [sys.executable, "-c", "from hansa.apps.command import main; main()"]

RUN = """
import sys, time
from pathlib import Path
from hansa.apps.open import opened
with opened(Path(sys.argv[1])) as ctx:
    with ctx.tx() as tx:
        print("open", flush=True)
        if sys.argv[2] == "asking":
            tx.execute("select pg_sleep(60)")
        time.sleep(60)
"""

SERVE = """
import sys
from pathlib import Path
from litestar import Litestar
from hansa.apps.open import opened
from hansa.apps.web.serve import serve
with opened(Path(sys.argv[1])):
    print("open", flush=True)
    serve(Litestar([]), port=int(sys.argv[2]))
print("stopped", flush=True)
"""


@pytest.fixture(autouse=True)
def _embedded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HANSA_DATABASE_URL", raising=False)


@pytest.fixture(autouse=True)
def _hears_a_hang_up() -> Generator[None]:
    """Also where the tests themselves were begun deaf to it, as by nohup: what they begin would be deaf too."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture(scope="module")
def shared_home() -> Generator[Path]:
    """A folder that the server's user can go to."""
    folder = Path(tempfile.mkdtemp(prefix="hansa-open-"))
    folder.chmod(0o755)
    yield folder
    EmbeddedServer(folder).wipe()


@pytest.fixture
def home(shared_home: Path) -> Generator[Path]:
    """A home whose server no test leaves running; the tests of this file share it."""
    yield shared_home
    server = EmbeddedServer(shared_home)
    if server.pid is not None:
        server.start()
        server.stop()


def _begin(program: str, *words: object) -> "subprocess.Popen[str]":
    """A program of its own, once it says that it has opened its data."""
    command = [sys.executable, "-c", program, *map(str, words)]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert running.stdout is not None
    assert running.stdout.readline() == "open\n"
    return running


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("at", ["thinking", "asking"])
def test_a_run_that_is_told_to_end_stops_its_database(home: Path, number: signal.Signals, at: str) -> None:
    run = _begin(RUN, home, at)
    time.sleep(0.3)
    was_running = EmbeddedServer(home).pid

    run.send_signal(number)
    _, said = run.communicate(timeout=120)

    assert was_running is not None
    assert run.returncode == 128 + number
    assert EmbeddedServer(home).pid is None
    assert "Traceback" not in said


def test_a_run_that_is_told_to_end_while_its_database_starts_leaves_none(home: Path) -> None:
    run = subprocess.Popen([sys.executable, "-c", RUN, str(home), "thinking"], stdout=subprocess.DEVNULL)
    server = EmbeddedServer(home)
    while server.pid is None and run.poll() is None:
        time.sleep(0.005)

    run.terminate()
    run.wait(timeout=120)

    assert run.returncode == 128 + signal.SIGTERM
    assert server.pid is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_serving_that_is_told_to_end_finishes_and_stops_its_database(
    home: Path, number: signal.Signals
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    serving = _begin(SERVE, home, port)
    while serving.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/schema") as page:
            assert page.status == 200
            break
        time.sleep(0.05)

    serving.send_signal(number)
    said, _ = serving.communicate(timeout=120)

    assert (serving.returncode, said) == (0, "stopped\n")
    assert EmbeddedServer(home).pid is None


def test_the_signals_do_as_before_when_the_data_are_shut(home: Path) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)]

    with opened(home):
        within = signal.getsignal(signal.SIGHUP)
    after = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)]
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

    assert within is signal.SIG_IGN
    assert after == before


def test_data_open_outside_the_main_thread(home: Path) -> None:
    answers: list[object] = []

    def ask() -> None:
        with opened(home) as ctx, ctx.tx() as tx:
            answers.append(tx.execute("select 1").fetchone())

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()

    assert answers == [(1,)]


def test_a_second_hansa_joins_the_first_only_when_it_asks_to(home: Path) -> None:
    first = _begin(RUN, home, "thinking")
    pid = EmbeddedServer(home).pid

    with pytest.raises(DataFolderTaken), opened(home):
        pass
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        answer = tx.execute("select count(*) from store.migrations").fetchone()
    still = EmbeddedServer(home).pid
    first.terminate()
    first.communicate(timeout=120)

    assert answer is not None
    assert answer[0] > 0
    assert still == pid


def test_who_asks_to_join_and_finds_nobody_starts_and_stops_a_server(home: Path) -> None:
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        assert tx.execute("select 1").fetchone() == (1,)

    assert EmbeddedServer(home).pid is None


@pytest.mark.parametrize("unfit", ["/etc/passwd", "/proc/x"])
def test_a_home_that_cannot_be_is_told_with_a_remedy(unfit: str) -> None:
    with pytest.raises(DataFolderUnfit, match="HANSA_HOME"), opened(Path(unfit)):
        pass


def test_a_database_lost_on_the_way_is_told_with_what_to_do(home: Path) -> None:
    with pytest.raises(StoreUnavailable) as lost, opened(home) as ctx, ctx.tx() as tx:  # noqa: PT012 - lost inside
        with psycopg.connect(ctx.url, autocommit=True) as other:
            other.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where backend_type = 'client backend'"
                " and pid <> pg_backend_pid()"
            )
        tx.execute("select 1")

    assert str(home) in str(lost.value)
    assert "Run the same command again" in str(lost.value)


@pytest.mark.parametrize(
    ("words", "environment", "told"),
    [
        (["serve", "--home", "/etc/passwd"], {}, "store.data_folder_unfit"),
        (["ledger", "verify", "--home", "/proc/x"], {}, "store.data_folder_unfit"),
        (["serve", "--host", "nohost.invalid"], {}, "web.bad_address"),
        (["ledger", "verify"], {"HANSA_DATABASE_URL": "postgresql:/u:s3cret@db/x"}, "store.bad_address"),
        (["ledger", "verify"], {"HANSA_DATABASE_URL": "postgresql://u:s3cret@127.0.0.1:1/x"}, "127.0.0.1:1"),
    ],
)
def test_the_command_line_tells_what_is_wrong_and_no_password(
    words: list[str], environment: dict[str, str], told: str, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = ["--port", str(free.getsockname()[1])] if words[0] == "serve" else []
    run = subprocess.run(
        [*HANSA, *words, *port],
        env=os.environ | {"NO_COLOR": "1"} | environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert run.returncode == 1
    assert told in run.stderr
    assert "Traceback" not in run.stderr
    assert "s3cret" not in run.stderr


def test_a_file_that_is_not_there_is_named_in_one_line(home: Path) -> None:
    words = ["settlement", "statement", "/nope", "--home", str(home)]
    run = subprocess.run([*HANSA, *words], capture_output=True, text=True, timeout=300, check=False)

    assert run.returncode == 1
    assert run.stderr.startswith("/nope: No such file or directory.")
    assert len(run.stderr.splitlines()) == 1
