"""What tests of the gate agent share: a league that signs lists and takes taps in memory, phones, and time to turn."""

import io
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import RLock, Thread
from typing import Any, cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hansa.codes import (
    CHAIN_START,
    Scope,
    Settings,
    TrustedKey,
    TrustList,
    deny_update,
    make_code,
    make_token,
    sign_deny_update,
    sign_settings,
    sign_trust_list,
    tap_link,
)
from hansa.codes.vectors import example_device, example_issuer
from hansa.gate import Tap, tap_from_json
from hansa.gate.agent.actuators import LineActuator
from hansa.gate.agent.agent import Agent
from hansa.gate.agent.clock import GateClock
from hansa.gate.agent.config import Config, read_config
from hansa.gate.agent.link import HandedIn, LinkDown

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
KID = bytes.fromhex("48524330")
GATE_ID = "hangzhou-metro.xianghu.in"

ROOT = Ed25519PrivateKey.from_private_bytes(b"root".ljust(32, b"-"))
LIST_KEY = Ed25519PrivateKey.from_private_bytes(b"lists".ljust(32, b"-"))

CONFIG = """
[gate]
device_id = "xianghu-in-1"
gate_id = "hangzhou-metro.xianghu.in"
operator_id = "hangzhou-metro"
stop_id = "hangzhou/xianghu"
action = "entry"
product = "metro"
state = "state"

[league]
url = "{url}"
api_key_env = "TEST_GATE_KEY"
roots = ["{root}"]

[health]
port = 0
{more}
"""


class Time:
    """Steady seconds and the wall's, turned by hand."""

    def __init__(self, at: datetime = NOON) -> None:
        self.at = at
        self.start = at

    def steady(self) -> float:
        return (self.at - self.start).total_seconds() + 1_000

    def wall(self) -> float:
        return self.at.timestamp()

    def pass_by(self, **span: float) -> None:
        self.at += timedelta(**span)


class SmallLeague:
    """The league as a gate meets it, in memory. down: why nobody answers, None when somebody does."""

    name = "http"

    def __init__(self, time: "Time | NowTime") -> None:
        self.time = time
        self.down: LinkDown | None = None
        self.trust_version, self.deny_version = 1, 0
        self.denied: list[tuple[int, bytes, datetime]] = []
        self.list_key: Ed25519PrivateKey | None = LIST_KEY
        self.taps: dict[int, Tap] = {}
        self.batches: list[int] = []
        self.refuse: dict[int, tuple[str, str]] = {}
        self.refusals: list[Mapping[str, Any]] = []
        self.codes: list[Mapping[str, Any]] = []
        self.offset = timedelta()
        self.asked = 0

    def deny(self, cti: bytes, ends_at: datetime | None = None) -> None:
        self.deny_version += 1
        self.denied.append((self.deny_version, cti, ends_at or self.time.at + timedelta(hours=20)))

    # -- as a gate fetches and hands in

    def trust_list(self) -> bytes:
        self._answer()
        return signed_trust_list(self.trust_version, self.time.at, list_key=self.list_key)

    def deny_update(self, since: int) -> bytes:
        self._answer()
        assert self.list_key is not None
        tokens = [(cti, ends) for version, cti, ends in self.denied if version > since]
        update = deny_update(self.deny_version, since, self.time.at, tokens)
        return sign_deny_update(update, self.list_key)

    def clock(self) -> datetime:
        self._answer()
        return self.time.at + self.offset

    def hand_in(self, taps: Sequence[Tap]) -> HandedIn:
        self._answer()
        self.batches.append(len(taps))
        refused = tuple(
            (place, *self.refuse[tap.sequence])
            for place, tap in enumerate(taps)
            if tap.sequence in self.refuse
        )
        fresh = [tap for tap in taps if tap.sequence not in self.taps and tap.sequence not in self.refuse]
        for tap in taps:
            if tap.sequence not in self.refuse:
                assert self.taps.setdefault(tap.sequence, tap) == tap, "another tap by this number"
        return HandedIn(len(fresh), len(taps) - len(fresh) - len(refused), refused)

    def tell_refusals(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self._answer()
        self.refusals += rows

    def tell_refused_codes(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self._answer()
        self.codes += rows

    def close(self) -> None:
        pass

    def _answer(self) -> None:
        self.asked += 1
        if self.down is not None:
            raise self.down


class NowTime:
    """The machine's own time, as `Time` tells it."""

    @property
    def at(self) -> datetime:
        return datetime.now(UTC)


class HttpLeague(SmallLeague):
    """The small league at a port of this machine, between ``with`` and its end.

    denies_each_time: one token more stands on the deny list whenever it is asked for.
    """

    def __init__(self, time: Time | NowTime, *, denies_each_time: bool = False) -> None:
        super().__init__(time)
        self._denies_each_time = denies_each_time
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
        self._server.league = self  # type: ignore[attr-defined]
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.lock = RLock()

    def __enter__(self) -> "HttpLeague":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def deny_update(self, since: int) -> bytes:
        if self._denies_each_time:
            self.deny(self.deny_version.to_bytes(8, "big"))
        return super().deny_update(since)


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        league, (path, _, query) = self._league, self.path.partition("?")
        with league.lock:
            if path == "/v1/clock":
                body = json.dumps({"now": league.clock().isoformat()}).encode()
            elif path == "/v1/trust-list":
                body = league.trust_list()
            else:
                assert path == "/v1/deny-list.cose"
                body = league.deny_update(int(query.partition("=")[2]))
        self._answer(body)

    def do_POST(self) -> None:
        league = self._league
        told = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with league.lock:
            if self.path == "/v1/taps":
                receipt = league.hand_in([tap_from_json(tap) for tap in told["taps"]])
                refused = [{"index": at, "code": code, "detail": why} for at, code, why in receipt.refused]
                body = {"recorded": receipt.recorded, "duplicates": receipt.duplicates, "refused": refused}
            elif self.path == "/v1/refusals":
                league.tell_refusals(told["refusals"])
                body = {"taken": len(told["refusals"])}
            else:
                league.tell_refused_codes(told["codes"])
                body = {"recorded": len(told["codes"]), "duplicates": 0}
        self._answer(json.dumps(body).encode())

    @property
    def _league(self) -> HttpLeague:
        return cast(HttpLeague, self.server.league)  # type: ignore[attr-defined]

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def signed_trust_list(
    version: int,
    at: datetime,
    *,
    root: Ed25519PrivateKey = ROOT,
    list_key: Ed25519PrivateKey | None = LIST_KEY,
    life: timedelta = timedelta(days=7),
) -> bytes:
    """A list with the example issuer ``one``."""
    key = TrustedKey(
        kid=KID,
        issuer_id="paris-card",
        public_key=example_issuer("one").public_key().public_bytes_raw(),
        not_before=at - timedelta(days=90),
        not_after=at + timedelta(days=90),
        products=("metro", "bus"),
        status="active",
    )
    public = None if list_key is None else list_key.public_key().public_bytes_raw()
    return sign_trust_list(TrustList(version, at, at + life, (key,), public), root)


def settings(version: int, values: dict[str, Any], *, device_id: str = "xianghu-in-1") -> bytes:
    return sign_settings(Settings(device_id, version, NOON, values), LIST_KEY)


def cti(rider: str) -> bytes:
    return rider.encode().ljust(8, b"-")


def code(
    rider: str, counter: int, at: datetime, *, challenge: int | None = None, offline_cap: int = 8
) -> str:
    """A code of this rider's phone, made now; the token ends 20 hours later, on the hour of its making."""
    device = example_device(rider)
    token = make_token(
        example_issuer("one"),
        kid=KID,
        cti=cti(rider),
        expires_at=at.replace(minute=0, second=0, microsecond=0) + timedelta(hours=20),
        device_key=device.public_key(),
        scope=Scope("adult", ("metro",), (), offline_cap),
    )
    return make_code(device, token, made_at=at, counter=counter, cell=bytes(3), challenge=challenge)


def config_file(folder: Path, *, url: str = "http://127.0.0.1:9", more: str = "", root: str = "") -> Path:
    """A file of settings in this folder."""
    file = folder / "gate.toml"
    root = root or ROOT.public_key().public_bytes_raw().hex()
    file.write_text(CONFIG.format(url=url, root=root, more=more), encoding="utf-8")
    return file


def config(folder: Path, *, more: str = "", root: str = "") -> Config:
    return read_config(config_file(folder, more=more, root=root))


class Bench:
    """An agent on a small league, with all time in hand; ``again`` is a restart after a power cut."""

    def __init__(self, folder: Path, *, more: str = "", root: str = "", at: datetime = NOON) -> None:
        self.config = config(folder, more=more, root=root)
        self.time = Time(at)
        self.league = SmallLeague(self.time)
        self.out = io.StringIO()
        self.agent = self._make()

    def _make(self) -> Agent:
        return Agent(
            self.config,
            LineActuator(self.out),
            self.league,
            links=[self.league],
            clock=GateClock(steady=self.time.steady, wall=self.time.wall),
            steady=self.time.steady,
        )

    def again(self) -> Agent:
        self.agent.close()
        self.agent = self._make()
        return self.agent

    def ready(self) -> "Bench":
        """Lists fetched and the clock set."""
        self.agent.exchange()
        assert self.agent.health().state == "ok", self.agent.health().json()
        return self

    def show(self, rider: str, counter: int, **more: Any) -> str:
        """Show a fresh code; gives the reason."""
        notice = self.agent.show(code(rider, counter, self.time.at, **more))
        assert notice is not None
        return notice.reason

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.getvalue().splitlines()]


def assert_chained(taps: Sequence[Tap]) -> None:
    """These taps are 1, 2, 3 ... and each seals the one before."""
    previous = CHAIN_START
    assert [tap.sequence for tap in taps] == list(range(1, len(taps) + 1))
    for tap in taps:
        assert tap.chain == link(previous, tap), tap.sequence
        previous = tap.chain


def link(previous: bytes, tap: Tap) -> bytes:
    return tap_link(
        previous,
        tap_id=tap.tap_id,
        gate_id=tap.gate_id,
        sequence=tap.sequence,
        action=tap.action,
        stop_id=tap.stop_id,
        tapped_at=tap.tapped_at,
        cti=tap.cti,
        counter=tap.counter,
        kid=tap.kid,
        made_at=tap.made_at,
        list_version=tap.list_version,
        companion=tap.companion,
    )


def wait_for(holds: Any, what: str, most_s: float = 60) -> None:
    until = time.monotonic() + most_s
    while not holds():
        assert time.monotonic() < until, what
        time.sleep(0.01)


def asked(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


class Program:
    """``hansa-gate run`` as a process, with pipes. command: what is run instead of this checkout's."""

    def __init__(self, config: Path, *command: str, environ: Mapping[str, str] | None = None) -> None:
        command = command or (sys.executable, "-m", "hansa.gate.agent.command")
        self.process = subprocess.Popen(
            [*command, "run", "--config", str(config)],
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None and self.process.stdin is not None
        self.url, self.said = "", ""
        for line in self.process.stderr:
            self.said += line
            if "health at" in line:
                self.url = line.split("health at ")[1].strip()
                break

    def wait_ready(self) -> None:
        wait_for(lambda: asked(self.url)[0] == 200, "the gate is in service")

    def show(self, text: str) -> dict[str, Any]:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(f"{text}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())
