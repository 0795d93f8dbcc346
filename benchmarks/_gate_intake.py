"""How many taps a second a Hansa takes in over HTTP, durable when it answers; a part of ``gate.py``.

    python benchmarks/_gate_intake.py [--short]

Starts a PostgreSQL of its own in a temporary folder, fsync on, and a Hansa in a process of its own. A client in another
process on the same machine hands in taps of many gates as an operator's gateway does: so many taps a request, so many
connections, one request at a time on each, all made beforehand. Every tap is of another token and so of another rider's
day, which is the dearest case. Each round has fresh taps; afterwards every one of them is looked for in the books.

``tap_intake``: taps a second. Its baseline is raw binary COPY of the very same taps as rows, 5,000 at a time, one
commit each, into tables of the columns and indexes of ``rides.taps``, ``tap_numbers`` and ``dirty_days`` over one
connection, in turns in the same run: the least that taking in by rows costs. Processor time is told too,
of the Hansa and of the whole database: it says how much of a machine a tap costs, whatever else the machine is doing.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median, quantiles
from typing import Any, LiteralString, cast
from uuid import UUID

import msgspec
import psycopg
import uvloop

from hansa import gate, rides, trust
from hansa.apps.demo.league import League, build_league
from hansa.apps.demo.spec import Spec
from hansa.apps.engines import collect_rarely
from hansa.apps.rooms import migrate_all
from hansa.apps.web import create_app, serve
from hansa.codes import CHAIN_START, tap_link
from hansa.kernel import fact_id
from hansa.store import Context, EmbeddedServer, open_context

AT = datetime(2026, 11, 17, 8, tzinfo=UTC)
SIZE, CONNECTIONS = 1_000, 8
COPY_SIZE = 5_000
CITY = "hangzhou"


def main() -> None:
    words = sys.argv[1:]
    if words[:1] == ["serve"]:
        url, home, port = words[1:4]
        with open_context(url) as ctx:
            collect_rarely()
            serve(create_app(ctx, home=Path(home), demo=False), port=int(port))
    elif words[:1] == ["ask"]:
        port, key, connections, file = words[1:5]
        bodies = Path(file).read_bytes().split(b"\n")
        print(
            json.dumps(uvloop.run(ask(int(port), [request(key, body) for body in bodies], int(connections))))
        )
    else:
        parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
        parser.add_argument("--short", action="store_true", help="fewer taps and rounds: some seconds")
        print(json.dumps({"tap_intake": measured(short=parser.parse_args().short)}))


def measured(*, short: bool) -> dict[str, Any]:
    """The figure with its baseline, in the form of the line of JSON; what is printed says more."""
    count, rounds = (20_000, 3) if short else (100_000, 5)
    with tempfile.TemporaryDirectory(prefix="hansa-bench-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        home = Path(folder) / "home"
        with EmbeddedServer(home) as server:
            migrate_all(server.url)
            with open_context(server.url) as ctx:
                return _measured(ctx, home, count, rounds)


def _measured(ctx: Context, home: Path, count: int, rounds: int) -> dict[str, Any]:
    league = build_league(ctx, trust.KeyFolder(home / "keys"), Spec())
    operator = trust.MemberId(league.facts.role(CITY).operator_id)
    with ctx.tx() as tx:
        key = trust.create_api_key(tx, operator, ["taps:write"], at=AT)
    maker = Gates(league)
    rates: list[float] = []
    baselines: list[float] = []
    p50s: list[float] = []
    p99s: list[float] = []
    costs: list[tuple[float, float]] = []
    copying = CopyOnly(ctx)
    database = int(next(home.rglob("postmaster.pid")).read_text().split("\n", 1)[0])
    with serving(ctx.url, home) as (port, server):
        for number in range(rounds + 1):
            taps = maker.make(ctx, count if number else count // 4)
            before = used_s(server), used_s(database)
            answer = hand_in(port, key, taps, home / "taps.json")
            after = used_s(server), used_s(database)
            copied = copying.take(taps)
            assert kept(ctx, taps) == len(taps), "a tap that was answered for is not in the books"
            if number:  # the first warms both up
                rates.append(answer["taps_per_second"])
                baselines.append(copied)
                p50s.append(answer["p50_ms"])
                p99s.append(answer["p99_ms"])
                costs.append(
                    ((after[0] - before[0]) * 1e6 / len(taps), (after[1] - before[1]) * 1e6 / len(taps))
                )
    value, baseline = median(rates), median(baselines)
    ratio = median(one / other for one, other in zip(rates, baselines, strict=True))
    print(
        f"\ntap_intake: {value:,.0f} taps/s in requests of {SIZE:,} over {CONNECTIONS} connections, a request"
        f" {median(p50s):.0f} ms (p99 {median(p99s):.0f} ms); bare COPY of the rows {baseline:,.0f}, ratio {ratio:.2f}"
    )
    hansa_us, database_us = (median(cost[n] for cost in costs) for n in (0, 1))
    print(f"processor time a tap: {hansa_us:.1f} us in Hansa, {database_us:.1f} us in the database")
    return {
        "value": round(value),
        "unit": "taps/s",
        "baseline": round(baseline),
        "baseline_name": "copy_of_the_same_rows",
        "ratio": round(ratio, 3),
        "processor_us": round(hansa_us + database_us, 1),
    }


def used_s(process: int) -> float:
    """Processor seconds of a process and its children, those that ended among them."""
    seconds = 0.0
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = file.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        if int(file.parent.name) == process:
            seconds += sum(map(int, words[11:15]))
        elif int(words[1]) == process:
            seconds += sum(map(int, words[11:13]))
    return seconds / os.sysconf("SC_CLK_TCK")


class Gates:
    """Gates of one city that make taps, each with its own numbers and chain."""

    def __init__(self, league: League) -> None:
        self._gates = league.gates[CITY]
        self._last: dict[str, tuple[int, bytes]] = {}
        self._issuer = league.facts.role(CITY).issuer_id
        self._riders = 0

    def make(self, ctx: Context, count: int) -> list[gate.Tap]:
        """So many taps in order of time, each of a token of its own that is registered here."""
        tokens = [self._token() for _ in range(count)]
        for first in range(0, count, 10_000):
            with ctx.tx() as tx:
                rides.register_tokens(tx, tokens[first : first + 10_000])
        return [self._tap(token.cti, number) for number, token in enumerate(tokens)]

    def _token(self) -> rides.Token:
        self._riders += 1
        account = fact_id(None, "hansa.benchmark.rider", self._riders)
        cti = fact_id(None, "hansa.benchmark.cti", self._riders).bytes[8:]
        return rides.Token(cti, account, self._issuer, "CNY", "adult", AT + timedelta(days=1))

    def _tap(self, cti: bytes, number: int) -> gate.Tap:
        machine = random.choice(self._gates)
        sequence, chain = self._last.get(machine.gate_id, (0, CHAIN_START))
        at = AT + timedelta(milliseconds=self._riders // 40 + number // 40, microseconds=number % 1_000)
        said: dict[str, Any] = {
            "tap_id": fact_id(at, machine.gate_id, sequence + 1),
            "gate_id": machine.gate_id,
            "sequence": sequence + 1,
            "action": machine.action,
            "stop_id": machine.stop_id,
            "tapped_at": at,
            "cti": cti,
            "counter": sequence + 1,
            "kid": b"kid1",
            "made_at": at - timedelta(seconds=3),
            "list_version": 7,
        }
        chain = tap_link(chain, **said)
        self._last[machine.gate_id] = sequence + 1, chain
        return gate.Tap(**said, chain=chain)


def hand_in(port: int, key: str, taps: list[gate.Tap], file: Path) -> dict[str, float]:
    """Hand them in from another process."""
    batches = (taps[first : first + SIZE] for first in range(0, len(taps), SIZE))
    file.write_bytes(
        b"\n".join(msgspec.json.encode({"taps": [one.json() for one in some]}) for some in batches)
    )
    words = map(str, (port, key, CONNECTIONS, file))
    answer = subprocess.run(
        [sys.executable, __file__, "ask", *words], stdout=subprocess.PIPE, text=True, check=True
    )
    said = json.loads(answer.stdout)
    assert said["recorded"] == len(taps), said
    return {**said, "taps_per_second": len(taps) / said["took_s"]}


def kept(ctx: Context, taps: list[gate.Tap]) -> int:
    """How many of these are in the books, each once, in a run that rating has yet to look at."""
    with ctx.tx() as tx:
        row = tx.execute(
            """
            select count(*) from unnest(%s::uuid[]) as asked (tap_id)
            join rides.every_tap t on t.partition = 0 and t.tap_id = asked.tap_id
            join rides.tap_runs r on r.partition = 0 and r.run_id = t.run_id and r.fresh
            """,
            ([tap.tap_id for tap in taps],),
        ).fetchone()
    assert row is not None
    return int(row[0])


class CopyOnly:
    """The baseline: tables of rows with all their indexes, into which the very taps of the books are copied."""

    def __init__(self, ctx: Context) -> None:
        self._connection = psycopg.connect(ctx.url, autocommit=True)
        self._connection.execute(
            """
            create schema bare;
            create table bare.taps (like rides.taps including all);
            create table bare.tap_numbers (like rides.tap_numbers including all);
            create table bare.dirty_days (like rides.dirty_days including all);
            """
        )

    def take(self, taps: list[gate.Tap]) -> float:
        """Rows of taps a second; what is copied is taken out of the books beforehand."""
        batches = [
            self._bytes([tap.tap_id for tap in taps[n : n + COPY_SIZE]])
            for n in range(0, len(taps), COPY_SIZE)
        ]
        began = time.perf_counter()
        for numbers, rows, days in batches:
            with self._connection.transaction(), self._connection.cursor() as cursor:
                _copy(cursor, "copy bare.tap_numbers from stdin (format binary)", numbers)
                _copy(cursor, "copy bare.taps from stdin (format binary)", rows)
                _copy(cursor, "copy bare.dirty_days from stdin (format binary)", days)
        return len(taps) / (time.perf_counter() - began)

    def _bytes(self, ids: list[UUID]) -> tuple[bytes, bytes, bytes]:
        with self._connection.cursor() as cursor:
            cursor.execute("create temp table if not exists picked (tap_id uuid primary key)")
            cursor.execute("truncate picked")
            cursor.execute("insert into picked select unnest(%s::uuid[])", (ids,))
            cursor.execute("drop table if exists unpacked")
            cursor.execute(
                "create temp table unpacked as select t.* from picked join rides.every_tap t using (tap_id)"
            )
            found: list[bytes] = []
            for statement in (
                "copy (select gate_id, sequence, substring(chain from 1 for 16), partition, tap_id from unpacked)"
                " to stdout (format binary)",
                "copy (select * from unpacked) to stdout (format binary)",
                "copy (select distinct on (account_id, tapped_at::date) partition, account_id, operator_id,"
                " tapped_at::date, received_at, false from unpacked) to stdout (format binary)",
            ):
                with cursor.copy(statement) as copy:
                    found.append(b"".join(bytes(part) for part in copy))
        return found[0], found[1], found[2]


def _copy(cursor: "psycopg.Cursor[Any]", statement: LiteralString, data: bytes) -> None:
    with cursor.copy(statement) as copy:
        copy.write(data)


# -- the two other processes


@contextmanager
def serving(url: str, home: Path) -> Generator[tuple[int, int]]:
    """A Hansa in another process; gives its port and its process id."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, __file__, "serve", url, str(home), str(port)])
    try:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            assert server.poll() is None, "the server ended"
            with socket.socket() as door:
                if door.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield port, server.pid
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()


def request(key: str, body: bytes) -> bytes:
    head = (
        "POST /v1/taps HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer {key}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Gateway(asyncio.Protocol):
    """One connection: sends a batch, waits for its whole answer, sends the next; again a little later when told so."""

    def __init__(self, work: list[bytes], took: list[float], ended: "asyncio.Future[None]") -> None:
        self._work, self._took, self._ended = work, took, ended
        self._came = b""
        self.recorded = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        self._next()

    def _next(self) -> None:
        if self._work:
            self._body = self._work.pop(0)
            self._since = time.perf_counter()
            self._transport.write(self._body)
        else:
            self._ended.set_result(None)
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._came += data
        head, parted, body = self._came.partition(b"\r\n\r\n")
        if not parted:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return
        self._came = b""
        if head.startswith(b"HTTP/1.1 503"):
            asyncio.get_running_loop().call_later(0.05, self._transport.write, self._body)
            return
        self._took.append(time.perf_counter() - self._since)
        answer = json.loads(body)
        if not head.startswith(b"HTTP/1.1 200") or answer["refused"]:
            self._ended.set_exception(RuntimeError(body[:600].decode()))
            self._transport.close()
            return
        self.recorded += answer["recorded"]
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._ended.done():
            self._ended.set_exception(exc or ConnectionError("the server hung up"))


async def ask(port: int, work: list[bytes], connections: int) -> dict[str, float]:
    """How long it took, how many taps were recorded, and how long a request took."""
    loop, took = asyncio.get_running_loop(), list[float]()
    ended = [loop.create_future() for _ in range(connections)]
    gateways: list[Gateway] = []

    def gateway(end: "asyncio.Future[None]") -> Callable[[], Gateway]:
        def make() -> Gateway:
            gateways.append(Gateway(work, took, end))
            return gateways[-1]

        return make

    began = time.perf_counter()
    for end in ended:
        await loop.create_connection(gateway(end), "127.0.0.1", port)
    async with asyncio.timeout(600):
        await asyncio.gather(*ended)
    took_s = time.perf_counter() - began
    cuts = quantiles(took, n=100)
    return {
        "took_s": took_s,
        "recorded": sum(one.recorded for one in gateways),
        "p50_ms": cuts[49] * 1_000,
        "p99_ms": cuts[98] * 1_000,
    }


if __name__ == "__main__":
    main()
