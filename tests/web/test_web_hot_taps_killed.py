"""kill -9 while taps are handed in: every tap that was answered for is in the books, and none is there twice."""

import json
import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from hansa import trust
from hansa.apps.open import opened
from hansa.apps.web import create_app, serve
from hansa.kernel import FixedClock
from ledger.engines import run_python
from rides.riding import League
from rides.taken_in import days_of
from scratch import NOON
from web.test_web_hot_taps import BEIJING, EIGHT, A, B, body, written

SIZE, BATCHES, SENDERS = 40, 120, 4
SERVER = "from web.test_web_hot_taps_killed import keep_serving; keep_serving(*sys.argv[1:])"


def keep_serving(home: str, port: str) -> None:
    """What the process that is killed runs."""
    with opened(Path(home), clock=FixedClock(NOON)) as ctx:
        serve(create_app(ctx, home=Path(home), demo=False), port=int(port))


@pytest.fixture
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="hansa-kill-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        yield Path(folder) / "home"


@contextmanager
def serving(home: Path) -> Generator[tuple[int, int]]:
    """A Hansa in a process of its own: its port, and its process id. It is gone at the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = run_python(SERVER, str(home), str(port))
    try:
        until = time.monotonic() + 120
        while time.monotonic() < until:
            assert process.poll() is None, "the server ended"
            with socket.socket() as door:
                if door.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.02)
        yield port, process.pid
    finally:
        process.terminate()
        process.communicate(timeout=120)


class Senders:
    """Gateways that hand batches in until all are answered for or the server is gone."""

    def __init__(self, port: int, key: str, batches: list[bytes]) -> None:
        self.answered: dict[int, Any] = {}
        self._port, self._key = port, key
        self._left = list(enumerate(batches))
        self._threads = [threading.Thread(target=self._send) for _ in range(SENDERS)]
        for thread in self._threads:
            thread.start()

    def wait(self) -> None:
        for thread in self._threads:
            thread.join()

    def _send(self) -> None:
        with suppress(OSError, HTTPException, IndexError, ValueError):
            connection = HTTPConnection("127.0.0.1", self._port, timeout=60)
            while True:
                number, batch = self._left.pop()
                headers = {"authorization": f"Bearer {self._key}", "content-type": "application/json"}
                connection.request("POST", "/v1/taps", batch, headers)
                answer = connection.getresponse()
                said = json.loads(answer.read())
                if answer.status == 503:
                    self._left.insert(0, (number, batch))
                    time.sleep(0.05)
                    continue
                assert answer.status == 200, said
                self.answered[number] = said


def victims(home: Path, process: int, whom: str) -> list[int]:
    """Whom a kill is for; looked up beforehand, since those that hand in do not wait for it."""
    databases = home.rglob("postmaster.pid") if whom == "both" else ()
    return [*(int(file.read_text().split("\n", 1)[0]) for file in databases), process]


@pytest.mark.slow
@pytest.mark.parametrize(("whom", "answers"), [("both", 1), ("process", 25), ("both", 70)])
def test_a_killed_hansa_has_every_tap_it_answered_for_and_none_twice(
    home: Path, whom: str, answers: int
) -> None:
    with opened(home, clock=FixedClock(NOON)) as ctx:
        league = League(ctx, BEIJING)
        riders = [league.rider(number) for number in range(50)]
        taps = [
            tap
            for number in range(SIZE * BATCHES // 2)
            for tap in league.ride(BEIJING, A, B, EIGHT - timedelta(seconds=number), riders[number % 50])
        ]
        with ctx.tx() as tx:
            key = trust.create_api_key(tx, trust.MemberId(BEIJING), ["taps:write"], at=NOON)
    ids = [[tap.tap_id for tap in taps[n : n + SIZE]] for n in range(0, len(taps), SIZE)]
    batches = [body([written(tap) for tap in taps[n : n + SIZE]]) for n in range(0, len(taps), SIZE)]

    with serving(home) as (port, process):
        dying = victims(home, process, whom)
        senders = Senders(port, key, batches)
        while len(senders.answered) < answers:
            time.sleep(0.001)
        for pid in dying:
            os.kill(pid, signal.SIGKILL)
        senders.wait()
    answered = [tap_id for number in senders.answered for tap_id in ids[number]]
    with opened(home, clock=FixedClock(NOON)) as ctx, ctx.tx() as tx:
        there = tx.execute(
            "select tap_id from rides.every_tap where tap_id = any(%s)", (answered,)
        ).fetchall()
    with serving(home) as (port, _):
        again = Senders(port, key, batches)
        again.wait()

    assert len(senders.answered) < BATCHES, "the kill came too late"
    assert {row[0] for row in there} == set[UUID](answered)
    assert len(again.answered) == BATCHES
    assert all(said["refused"] == [] for said in again.answered.values())
    assert sum(said["recorded"] + said["duplicates"] for said in again.answered.values()) == len(taps)
    for number in senders.answered:
        assert again.answered[number]["duplicates"] == SIZE
    with opened(home, clock=FixedClock(NOON)) as ctx, ctx.tx() as tx:
        kept = tx.execute(
            "select count(*), count(distinct tap_id), count(distinct (gate_id, sequence)) from rides.every_tap"
        ).fetchone()
        waiting = len(days_of(ctx, tx))
    assert kept == (len(taps), len(taps), len(taps))
    assert waiting == 50
