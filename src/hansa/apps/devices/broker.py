"""The broker's folder: Mosquitto's settings, its certificate, who may speak on which topic, whom it must refuse."""

import getpass
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, cast

from hansa import trust
from hansa.gate.agent.topics import station_topic
from hansa.kernel import HansaError, InvalidInput, Problem
from hansa.store import Tx

MESSAGE_MAX = 2 * 1024 * 1024
"""Bytes of one message: 1,000 taps have 400 kB; a deny list longer than this is fetched over HTTP."""

_WORD = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
CRL_ANEW = timedelta(days=1)
STARTS_WITHIN_S = 5.0
RENEW_WITHIN = timedelta(days=30)
"""Certificates of the league's own programs are made anew so long before their end."""

CONF = """\
# Written by `hansa device broker`; a change here is lost.
user {user}
pid_file {folder}/mosquitto.pid
log_dest stderr
log_type error
log_type warning
log_type notice
connection_messages false
persistence true
persistence_location {folder}/data/
autosave_interval 60
allow_anonymous false
acl_file {folder}/acl
max_inflight_messages 200
max_queued_messages 20000
max_queued_bytes 536870912
max_packet_size {packet_max}
max_keepalive 120
set_tcp_nodelay true

listener {port} {bind}
protocol mqtt
cafile {folder}/ca.crt
certfile {folder}/server.crt
keyfile {folder}/server.key
crlfile {folder}/devices.crl
require_certificate true
use_identity_as_username true
use_username_as_clientid true
"""

EVERY_DEVICE = """\
# Every device: its own topics and what is for all. %u is the common name of its certificate.
pattern write hansa/up/%u/state
pattern write hansa/up/%u/telemetry
pattern write hansa/up/%u/taps
pattern write hansa/up/%u/refused
pattern read hansa/down/%u/#
pattern read hansa/down/all/#
"""

DESK = """
user {name}
topic read hansa/up/#
topic write hansa/down/#
"""


class NoMosquitto(HansaError):
    """There is no mosquitto on this machine. Install it: sudo apt-get install mosquitto."""

    code: ClassVar[str] = "devices.no_mosquitto"
    status: ClassVar[int] = 503


@dataclass(frozen=True, slots=True)
class Access:
    """Who may speak at the broker. stations: device and stop. revoked: certificates taken back."""

    stations: tuple[tuple[str, str], ...]
    shut_out: tuple[str, ...]
    revoked: tuple[trust.Certificate, ...]

    @staticmethod
    def read(tx: Tx, at: datetime, members: frozenset[str] = frozenset()) -> "Access":
        """As the league knows it now. members: whose boxes come to this broker; none for everybody's."""
        gates = trust.active_device_gates(tx)
        return Access(
            tuple(
                (device_id, stop_id)
                for device_id, _, stop_id, member_id in gates
                if stop_id and (not members or member_id in members)
            ),
            tuple(trust.shut_out_devices(tx)),
            tuple(trust.revoked_certificates(tx, at)),
        )


class BrokerFolder:
    """A folder that Mosquitto runs on. Its private files are readable by their owner only."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._written: tuple[Access, tuple[str, ...]] | None = None
        self._written_at: datetime | None = None
        self._server_ends_at: datetime | None = None

    @property
    def is_made(self) -> bool:
        """Whether there is a broker here."""
        return (self.path / "broker.json").is_file()

    def make(
        self,
        ca: trust.DeviceCa,
        *,
        root_public: bytes,
        host: str,
        port: int,
        names: Sequence[str],
        at: datetime,
        bind: str = "",
        members: Sequence[str] = (),
    ) -> None:
        """Write the settings and a server certificate for these names. host: how devices reach it.

        root_public: the league's root key, which boxes are told when they enrol; the key itself may be offline.
        members: whose boxes come to this broker; none for everybody's.
        Errors: InvalidInput for a name that would not be one word of the settings.
        """
        for name in (host, bind, *names):
            if any(letter.isspace() or letter in "\0#" for letter in name):
                problem = Problem("host", repr(name), "Give a host's name or address")
                raise InvalidInput("The broker cannot have this name.", problems=(problem,))
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self.path / "data").mkdir(mode=0o700, exist_ok=True)
        every_name = [host, *(name for name in names if name != host)]
        self._certify(ca, every_name, at)
        trust.write_private(self.path / "ca.crt", ca.certificate_pem)
        conf = CONF.format(
            user=getpass.getuser(),
            folder=self.path,
            port=port,
            bind=bind,
            packet_max=MESSAGE_MAX + 1024,
        )
        trust.write_private(self.path / "mosquitto.conf", conf)
        told = {
            "host": host,
            "port": port,
            "names": every_name,
            "root": root_public.hex(),
            "members": list(members),
        }
        trust.write_private(self.path / "broker.json", json.dumps(told))

    def address(self) -> trust.Broker:
        """Where devices find it. Errors: trust.NoBroker."""
        told = self._told()
        return trust.Broker(told["host"], told["port"])

    def root_public(self) -> bytes:
        """The league's root key, as boxes are told it. Errors: trust.NoBroker."""
        return bytes.fromhex(self._told()["root"])

    def members(self) -> frozenset[str]:
        """Whose boxes come to this broker; none for everybody's. Errors: trust.NoBroker."""
        return frozenset(self._told()["members"])

    def _told(self) -> dict[str, Any]:
        try:
            told = json.loads((self.path / "broker.json").read_text(encoding="ascii"))
        except (FileNotFoundError, ValueError) as error:
            raise trust.NoBroker from error
        if not isinstance(told, dict) or told.keys() != {"host", "port", "names", "root", "members"}:
            raise trust.NoBroker
        return cast(dict[str, Any], told)

    def desk_files(self, ca: trust.DeviceCa, name: str, at: datetime) -> "ClientFiles":
        """Key and certificate of a desk of this name; made where none is good for long under this authority.

        Errors: InvalidInput for a name that is no word.
        """
        if not _WORD.fullmatch(name):
            problem = Problem("name", repr(name[:40]), "Use small letters, digits and hyphens")
            raise InvalidInput("A desk cannot have this name.", problems=(problem,))
        client = f"{trust.OURS}desk-{name}"
        files = ClientFiles(
            client, self.path / "ca.crt", self.path / f"{client}.crt", self.path / f"{client}.key"
        )
        text = files.certificate.read_text(encoding="ascii") if files.certificate.exists() else ""
        if not text or not ca.gave(text) or trust.certificate_ends_at(text) < at + RENEW_WITHIN:
            key, certificate = ca.client(client, at)
            files.certificate.unlink(missing_ok=True)  # half-way, there is no pair that does not match
            trust.write_private(files.key, key)
            trust.write_private(files.certificate, certificate)
        return files

    def write_access(self, ca: trust.DeviceCa, access: Access, at: datetime) -> frozenset[str] | None:
        """Write who may speak, so that the broker must read it anew; None where there is no news.

        Gives the devices of which a certificate was taken back that the list in the folder did not have yet: one of
        them may still be connected by it.
        """
        desks = tuple(sorted(path.stem for path in self.path.glob(f"{trust.OURS}desk-*.crt")))
        due = self._written_at is None or at - self._written_at >= CRL_ANEW
        if self._written == (access, desks) and not due:
            return None
        before = self._revocation_list()
        trust.write_private(self.path / "acl", acl_text(access, desks))
        trust.write_private(self.path / "devices.crl", ca.revocation_list(access.revoked, at, before=before))
        self._renew_server(ca, at)
        self._written, self._written_at = (access, desks), at
        known: frozenset[bytes] = frozenset() if before is None else before.serials
        return frozenset(one.device_id for one in access.revoked if one.serial not in known)

    def _revocation_list(self) -> trust.RevocationList | None:
        with suppress(FileNotFoundError, InvalidInput):
            return trust.read_revocation_list((self.path / "devices.crl").read_text(encoding="ascii"))
        return None

    def _renew_server(self, ca: trust.DeviceCa, at: datetime) -> None:
        """The broker's own certificate, made anew within its last 30 days; it is read with the rest."""
        if self._server_ends_at is None:
            text = (self.path / "server.crt").read_text(encoding="ascii")
            self._server_ends_at = trust.certificate_ends_at(text)
        if self._server_ends_at < at + RENEW_WITHIN:
            self._certify(ca, self._told()["names"], at)

    def _certify(self, ca: trust.DeviceCa, names: Sequence[str], at: datetime) -> None:
        key, certificate = ca.server(names, at)
        trust.write_private(self.path / "server.key", key)
        trust.write_private(self.path / "server.crt", certificate)
        self._server_ends_at = trust.certificate_ends_at(certificate)

    def command(self) -> list[str]:
        """How the broker is run. Errors: NoMosquitto."""
        return [find_mosquitto(), "-c", str(self.path / "mosquitto.conf")]

    def start(self, log: Path | None = None) -> "subprocess.Popen[bytes]":
        """Run it as a child. Errors: NoMosquitto."""
        with open(log or self.path / "mosquitto.log", "ab") as told:
            return subprocess.Popen(self.command(), stdout=told, stderr=told)

    def reload(self) -> bool:
        """Have a running broker read who may speak (SIGHUP); gives whether one runs here.

        One that is just starting has written its number before it listens to signals, and a signal would end it.
        """
        with suppress(FileNotFoundError, ValueError, ProcessLookupError, PermissionError):
            process = int((self.path / "mosquitto.pid").read_text(encoding="ascii").strip())
            until = time.monotonic() + STARTS_WITHIN_S
            while not _catches_hang_up(process) and time.monotonic() < until:
                time.sleep(0.05)
            os.kill(process, signal.SIGHUP)
            return True
        return False


@dataclass(frozen=True, slots=True)
class ClientFiles:
    """What a client shows the broker. name: the common name."""

    name: str
    ca: Path
    certificate: Path
    key: Path

    def tls(self) -> ssl.SSLContext:
        """TLS as the league's programs speak it to the broker: 1.2 or later, both sides known by certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_verify_locations(self.ca)
        context.load_cert_chain(self.certificate, self.key)
        return context


def acl_text(access: Access, desks: Iterable[str]) -> str:
    """Mosquitto's list of who may speak where. A denial counts before any grant."""
    parts = [EVERY_DEVICE, *(DESK.format(name=name) for name in desks)]
    parts += [
        f"\nuser {device_id}\ntopic readwrite {station_topic(stop_id)}\n"
        for device_id, stop_id in access.stations
    ]
    parts += [f"\nuser {device_id}\ntopic deny #\n" for device_id in access.shut_out]
    return "".join(parts)


def _catches_hang_up(process: int) -> bool:
    """Whether a process has a handler for SIGHUP, where the system tells (proc(5), SigCgt)."""
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return True
    caught = re.search(r"^SigCgt:\s*([0-9a-f]+)$", status, re.MULTILINE)
    return caught is None or bool(int(caught[1], 16) >> (signal.SIGHUP - 1) & 1)


def find_mosquitto() -> str:
    """The path of Mosquitto. Errors: NoMosquitto."""
    found = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise NoMosquitto
    return found


def registrar_of(home: Path, at: datetime) -> trust.Registrar | None:
    """What enrolment needs of the Hansa in this folder; None when it keeps no broker."""
    broker = BrokerFolder(home / "broker")
    if not broker.is_made:
        return None
    keys = trust.KeyFolder(home / "keys")
    return trust.Registrar(
        ca=trust.DeviceCa.in_folder(home / "keys", at),
        root_public=broker.root_public(),
        list_public=keys.lists().public_key().public_bytes_raw(),
        broker=broker.address(),
    )
