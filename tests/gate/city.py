"""A real Hansa at a real port for tests of the agent, and a bad network before it."""

import asyncio
import random
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import uvicorn

from hansa import rides, trust
from hansa.apps.web import create_app
from hansa.gate import Tap
from hansa.store import Context
from web import little_league
from web.little_league import WAY_IN, LittleLeague

CUTS = ("pass", "pass", "refuse", "stall", "cut_request", "cut_answer", "swallow_answer")


@dataclass(frozen=True, slots=True)
class City:
    """A Hansa that serves. api_key: of the gate WAY_IN. root: the league's root, hex."""

    ctx: Context
    league: LittleLeague
    url: str
    port: int
    api_key: str
    root: str

    def taps(self) -> list[Tap]:
        """The books' taps of WAY_IN by their numbers, with the columns that its chain was made of."""
        with self.ctx.tx() as tx:
            rows = tx.execute(
                "select tap_id, gate_id, sequence, action, stop_id, tapped_at, cti, counter, kid, made_at,"
                " list_version, chain, companion from rides.every_tap where gate_id = %s order by sequence",
                (WAY_IN,),
            ).fetchall()
        return [Tap(*row) for row in rows]

    def breaks(self) -> int:
        """Places where the back office found the chain broken."""
        with self.ctx.tx() as tx:
            row = tx.execute("select count(*) from rides.chain_breaks where healed_at is null").fetchone()
        assert row is not None
        return row[0]


@contextmanager
def city(ctx: Context, home: Path) -> Generator[City]:
    """Serve this database's Hansa, with the small league in it and its lists signed."""
    keys = trust.KeyFolder(home / "keys")
    league = little_league.build(ctx, keys)
    with ctx.tx() as tx:
        at = ctx.clock.now()
        trust.set_list_key(tx, keys.lists().public_key().public_bytes_raw(), at)
        trust.publish_trust_list(tx, keys.league_root(), at=at)
        operator = trust.get_gate(tx, WAY_IN).operator_id
        api_key = trust.create_api_key(tx, operator, ["taps:write"], at=at, gate_id=WAY_IN)
    app = create_app(ctx, home=home, demo=False)
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", lifespan="off", ws="none")
    )
    thread = threading.Thread(target=server.run, name="city", daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the city does not serve"
        threading.Event().wait(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    root = keys.league_root().public_key().public_bytes_raw().hex()
    try:
        yield City(ctx, league, f"http://127.0.0.1:{port}", port, api_key, root)
    finally:
        server.should_exit = True
        thread.join()


def register(ctx: Context, league: LittleLeague, name: str, ctis: list[bytes], hours: int = 24) -> None:
    """Make tokens with these ids known as this rider's."""
    account = league.riders[name]
    ends_at = ctx.clock.now() + timedelta(hours=hours)
    with ctx.tx() as tx:
        rides.register_tokens(
            tx,
            [
                rides.Token(cti, account.account_id, account.issuer_id, "CNY", account.rider_class, ends_at)
                for cti in ctis
            ],
        )


class BadNetwork:
    """A TCP proxy to a port of this machine that does to each connection what its dice say; ``calm`` passes all.

    swallow_answer: the request arrives whole, and the answer never: what is sent again then is a duplicate.
    """

    def __init__(self, port: int, seed: int) -> None:
        self._to, self._dice = port, random.Random(seed)
        self.calm = False
        self._fates: list[str] = []
        self.done: dict[str, int] = dict.fromkeys(CUTS, 0)
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bad-network", daemon=True)

    def __enter__(self) -> "BadNetwork":
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._connection, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
            with suppress(asyncio.CancelledError):
                self._loop.run_until_complete(task)
        self._loop.close()

    def _next_fate(self) -> str:
        """Each of them in a shuffled order, then anew."""
        if not self._fates:
            self._fates = self._dice.sample(CUTS, len(CUTS))
        return self._fates.pop()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        fate = "pass" if self.calm else self._next_fate()
        self.done[fate] += 1
        with suppress(OSError, asyncio.IncompleteReadError):
            if fate == "refuse":
                writer.transport.abort()
                return
            there, away = await asyncio.open_connection("127.0.0.1", self._to)
            up = self._dice.randrange(1, 2_000) if fate == "cut_request" else None
            down = {"stall": 0, "swallow_answer": 0, "cut_answer": self._dice.randrange(1, 400)}.get(fate)
            if fate == "stall":
                await asyncio.sleep(0.4)
            try:
                ends = [
                    asyncio.ensure_future(_pass_on(reader, away, up)),
                    asyncio.ensure_future(_pass_on(there, writer, down)),
                ]
                # in bad times a connection that is passed on lasts a few requests, then it goes too
                lasts_s = None if self.calm else 0.2
                await asyncio.wait(ends, timeout=lasts_s, return_when=asyncio.FIRST_COMPLETED)
                for end in ends:
                    end.cancel()
            finally:
                away.transport.abort()
                writer.transport.abort()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, most: int | None) -> None:
    """Pass on so many bytes, all for None; with 0, wait for the first and drop it."""
    while data := await reader.read(65_536):
        if most is not None:
            writer.write(data[:most])
            await writer.drain()
            most -= len(data)
            if most <= 0:
                return
        else:
            writer.write(data)
            await writer.drain()
