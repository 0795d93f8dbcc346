"""How the gate is: one word for each thing that can be the matter, as JSON for people and as metrics for Prometheus."""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, ClassVar, cast

from hansa.kernel import HansaError, in_utc

logger = logging.getLogger("hansa.gate")

OUT_OF_ORDER: dict[str, str] = {
    "state_broken": "The file of taps and counters is damaged and kept as it was: see `Replacing a device`.",
    "state_failed": "The last tap could not be written, so nothing was opened: check the disk, its space and its age.",
    "no_trust_list": "No trust list has come yet: check league.url, the network and league.roots.",
    "trust_list_ended": "The trust list has ended: the gate must reach the league once.",
    "no_deny_list": "No deny list has come yet: check league.url and the network.",
    "deny_list_broken": "The file of the deny list could not be read; it was put aside and is fetched anew.",
    "clock_unset": "The clock lies before the last list or tap: the gate must reach the league once.",
    "offline_too_long": "Without network for longer than settings.offline_max_h: the gate must reach the league once.",
}
"""What keeps every code from being judged, and what to do about it."""

ALERTS: dict[str, str] = {
    "offline": "No fresh deny list, or taps waiting, for offline_after_s: riders have their offline caps only.",
    "clock_off": "The clock was off by more than 2 s when the league was last asked: check the machine's time service.",
    "taps_refused": "The back office refused taps; they are kept and offered again each hour: see `Refused taps`.",
    "hand_in_failed": "Taps could not be handed in the last time; they wait. The detail has the answer.",
    "list_refused": "A list that came was not taken: forged, older, or with a gap. The one in use stays.",
    "settings_refused": "Settings that came from afar were not taken. The old ones stay.",
    "actuator_failed": "The door or screen did not do what it was told: check the actuator. The tap is kept.",
    "source_gone": "There is no scanner or camera just now: check its cable and path. It is looked for all the time.",
    "put_aside": "Files were found broken and moved to the folder broken: keep them for whoever looks into it.",
    "storage_low": "Less than 5 % of the disk is free.",
}
"""What is the matter while the gate works on, and what to do about it."""

OFF_FROM_S = 2.0
STORAGE_LOW_PCT = 5


class HealthPortTaken(HansaError):
    """Another program listens where this gate's health is to be asked: change health.port."""

    code: ClassVar[str] = "gate.health_port_taken"
    status: ClassVar[int] = 409


@dataclass(frozen=True, slots=True)
class Health:
    """A gate at one instant. out_of_order, alerts: words with details. Versions are 0, instants None, before the first.

    decisions: by reason since the start; decide_s: all the time they took. aside: refused taps by code.
    """

    gate_id: str
    device_id: str
    firmware: str
    at: datetime
    out_of_order: Mapping[str, str]
    alerts: Mapping[str, str]
    is_online: bool
    uptime_s: int
    decisions: Mapping[str, int]
    decide_s: float
    sequence: int
    last_tap_at: datetime | None
    pending: int
    handed_in: Mapping[str, int]
    aside: Mapping[str, int]
    trust_list: int
    trust_list_ends_at: datetime | None
    deny_list: int
    deny_list_at: datetime | None
    denied: int
    settings: int
    clock_offset_s: float | None
    storage_free_pct: int | None
    memory_bytes: int | None

    @property
    def state(self) -> str:
        """``ok``, ``alert`` (it works, something is the matter) or ``out_of_order``."""
        return "out_of_order" if self.out_of_order else "alert" if self.alerts else "ok"

    def json(self) -> dict[str, Any]:
        """The answer of /healthz."""
        return {
            "state": self.state,
            "gate_id": self.gate_id,
            "device_id": self.device_id,
            "firmware": self.firmware,
            "at": _rfc3339(self.at),
            "out_of_order": dict(self.out_of_order),
            "alerts": dict(self.alerts),
            "online": self.is_online,
            "uptime_s": self.uptime_s,
            "decisions": dict(self.decisions),
            "sequence": self.sequence,
            "last_tap_at": _rfc3339(self.last_tap_at),
            "pending": self.pending,
            "handed_in": dict(self.handed_in),
            "aside": dict(self.aside),
            "trust_list": self.trust_list,
            "trust_list_ends_at": _rfc3339(self.trust_list_ends_at),
            "deny_list": self.deny_list,
            "deny_list_at": _rfc3339(self.deny_list_at),
            "denied": self.denied,
            "settings": self.settings,
            "clock_offset_s": self.clock_offset_s,
            "storage_free_pct": self.storage_free_pct,
            "memory_bytes": self.memory_bytes,
        }

    def telemetry(self) -> dict[str, Any]:
        """What the device says of itself over MQTT."""
        return {
            "clock_offset_ms": None if self.clock_offset_s is None else round(-self.clock_offset_s * 1000),
            "trust_list": self.trust_list,
            "deny_list": self.deny_list,
            "deny_list_at": _rfc3339(self.deny_list_at),
            "settings": self.settings,
            "sequence": self.sequence,
            "last_tap_at": _rfc3339(self.last_tap_at),
            "pending": self.pending,
            "uptime_s": self.uptime_s,
            "tally": dict(self.decisions),
            "storage_free_pct": self.storage_free_pct,
        }

    def metrics(self) -> str:
        """The answer of /metrics. Source: Prometheus text exposition format 0.0.4."""
        who = {"gate_id": self.gate_id, "device_id": self.device_id, "version": self.firmware}
        lines: list[str] = []

        def metric(name: str, kind: str, help_text: str, *samples: tuple[Mapping[str, str], float]) -> None:
            lines.append(f"# HELP {name} {help_text}")
            lines.append(f"# TYPE {name} {kind}")
            lines.extend(f"{name}{_labels(labels)} {value!r}" for labels, value in samples)

        def gauge(name: str, help_text: str, value: float | None) -> None:
            if value is not None:
                metric(name, "gauge", help_text, ({}, value))

        metric("hansa_gate_info", "gauge", "Which gate this is.", (who, 1))
        gauge("hansa_gate_in_service", "1 while codes are judged.", int(not self.out_of_order))
        gauge("hansa_gate_online", "1 while lists are fresh and taps go out.", int(self.is_online))
        gauge("hansa_gate_uptime_seconds", "Since the program started.", self.uptime_s)
        metric(
            "hansa_gate_trouble",
            "gauge",
            "1 for each word that holds.",
            *[
                ({"word": word}, int(word in self.out_of_order or word in self.alerts))
                for word in (*OUT_OF_ORDER, *ALERTS)
            ],
        )
        metric(
            "hansa_gate_decisions_total",
            "counter",
            "Decisions by reason.",
            *[({"reason": reason}, count) for reason, count in sorted(self.decisions.items())],
        )
        metric("hansa_gate_decide_seconds_total", "counter", "Time of all decisions.", ({}, self.decide_s))
        gauge("hansa_gate_sequence", "The last tap's number.", self.sequence)
        gauge("hansa_gate_taps_pending", "Taps not handed in yet.", self.pending)
        metric(
            "hansa_gate_taps_handed_in_total",
            "counter",
            "Taps handed in, by link.",
            *[({"link": link}, count) for link, count in sorted(self.handed_in.items())],
        )
        metric(
            "hansa_gate_taps_aside",
            "gauge",
            "Taps that the back office refused, by code.",
            *[({"code": code}, count) for code, count in sorted(self.aside.items())],
        )
        gauge("hansa_gate_trust_list_version", "Of the trust list in use.", self.trust_list)
        if self.trust_list_ends_at is not None:
            left_s = (self.trust_list_ends_at - self.at).total_seconds()
            gauge("hansa_gate_trust_list_left_seconds", "Until the trust list ends.", left_s)
        gauge("hansa_gate_deny_list_version", "Of the deny list in use.", self.deny_list)
        gauge("hansa_gate_deny_list_tokens", "Tokens on the deny list.", self.denied)
        if self.deny_list_at is not None:
            age_s = (self.at - self.deny_list_at).total_seconds()
            gauge("hansa_gate_deny_list_age_seconds", "Since the league said that it is fresh.", age_s)
        gauge("hansa_gate_settings_version", "Of the settings from afar, 0 for none.", self.settings)
        gauge(
            "hansa_gate_clock_offset_seconds", "The league's time less ours, when asked.", self.clock_offset_s
        )
        gauge(
            "hansa_gate_storage_free_percent", "Of the disk that the folder lies on.", self.storage_free_pct
        )
        gauge("hansa_gate_memory_bytes", "Memory of the program.", self.memory_bytes)
        return "\n".join(lines) + "\n"


class HealthServer:
    """Answers /healthz (200 in service, 503 out of order) and /metrics, between ``start`` and ``close``.

    Errors: HealthPortTaken.
    """

    def __init__(self, host: str, port: int, health: Callable[[], Health]) -> None:
        try:
            self._server = _Server((host, port), _Handler)
        except OSError as error:
            raise HealthPortTaken(f"Health cannot be told at {host}:{port}: {error.strerror}.") from error
        self._server.health = health
        self._thread = Thread(target=self._server.serve_forever, name="hansa-gate-health", daemon=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._server.server_address[1]

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def close(self) -> None:
        """Answer no more."""
        if self._thread.is_alive():
            self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 16
    health: Callable[[], Health]


class _Handler(BaseHTTPRequestHandler):
    timeout = 5
    protocol_version = "HTTP/1.0"

    def do_GET(self) -> None:
        """Answer."""
        try:
            self._tell(cast(_Server, self.server).health)
        except HansaError as error:  # the files are closed: the gate is just ending
            self._answer(503, "text/plain", f"{error.detail}\n")

    def _tell(self, ask: Callable[[], Health]) -> None:
        if self.path == "/healthz":
            health = ask()
            body = json.dumps(health.json(), indent=1, ensure_ascii=False) + "\n"
            self._answer(503 if health.out_of_order else 200, "application/json", body)
        elif self.path == "/metrics":
            self._answer(200, "text/plain; version=0.0.4; charset=utf-8", ask().metrics())
        else:
            self._answer(404, "text/plain", "Ask for /healthz or /metrics.\n")

    def log_message(self, format: str, *args: Any) -> None:
        """Health is asked every few seconds; that is no news."""

    def _answer(self, status: int, kind: str, body: str) -> None:
        data = body.encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.send_header("cache-control", "no-store")
        self.end_headers()
        self.wfile.write(data)


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    said = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{said}}}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _rfc3339(instant: datetime | None) -> str | None:
    return None if instant is None else in_utc(instant).isoformat().replace("+00:00", "Z")
