"""Enrolling: how a box gets its certificate, its keys and its first settings, with a code that is good once.

The box makes its own key, which never leaves it. Key and certificate stand in one file, so that a renewal changes both
at once or neither. Source: PKCS#10 (RFC 2986); the league's answer is described at POST /v1/devices/enrol.
"""

import json
import os
import secrets
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any, ClassVar, cast
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from hansa.gate.agent.config import read_config
from hansa.kernel import HansaError

CONFIG, DEVICE, BROKER_CA, API_KEY, STATE = "gate.toml", "device.pem", "broker-ca.pem", "api-key", "state"
RENEW_WITHIN = timedelta(days=60)
ANSWER_MAX = 1_000_000
TIMEOUT_S = 30


class EnrolFailed(HansaError):
    """The box could not enrol, or could not renew its certificate. What it has stays as it was."""

    code: ClassVar[str] = "gate.enrol_failed"
    status: ClassVar[int] = 503


@dataclass(frozen=True, slots=True)
class Box:
    """A box that has enrolled. config: its file of settings. root: the league's root key, hex."""

    device_id: str
    gate_id: str
    config: Path
    root: str
    ends_at: datetime


def enrol(
    url: str,
    code: str,
    folder: Path,
    *,
    root: str | None = None,
    ca_file: Path | None = None,
    again: bool = False,
) -> Box:
    """Enrol this box with the league at ``url`` and write what ``hansa gate run`` needs into the folder.

    root: the league's root key, hex, as it was told on another way; another answer is refused. ca_file: who signed the
    league's certificate, where no public authority did. again: enrol anew; the earlier file of settings is kept beside.
    Errors: EnrolFailed, with nothing written.
    """
    config = folder / CONFIG
    if config.exists() and not again:
        raise EnrolFailed(f"{config} is there already. To enrol this box anew, say --again.")
    key = make_key()
    told = _post(url, "/v1/devices/enrol", {"code": code, "csr": request_by(key)}, ca_file)
    try:
        text = _config_text(told, url, ca_file)
        certificate = _own(told["certificate"], key, told["device_id"])
        box = Box(
            told["device_id"], told["gate"]["gate_id"], config, told["root"], certificate.not_valid_after_utc
        )
        files = {
            DEVICE: device_file(key, told["certificate"]),
            BROKER_CA: str(told["ca"]),
            API_KEY: f"{told['api_key']}\n",
        }
    except (KeyError, TypeError, ValueError) as error:
        raise EnrolFailed(f"The league's answer cannot be read ({error}). Ask for a new code.") from error
    if root is not None and root.lower() != box.root:
        raise EnrolFailed(f"This is not the league that was meant: its root key is {box.root}.")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if config.exists():
        write_whole(folder / f"{CONFIG}.before", config.read_text(encoding="utf-8"))
    for name, content in files.items():
        write_whole(folder / name, content)
    write_whole(config, text)
    return box


def renew(config: Path, *, at: datetime | None = None, always: bool = False) -> datetime | None:
    """Get the box's next certificate when the present one ends within 60 days; gives its end, None when it is early.

    config: the file of settings that `enrol` wrote. A broken connection leaves the present certificate good.
    Errors: EnrolFailed, gate.agent.config.ConfigRefused.
    """
    read, now = read_config(config), at or datetime.now(UTC)
    path = config.parent / DEVICE
    try:
        text = path.read_bytes()
        present, key = x509.load_pem_x509_certificate(text), load_pem_private_key(text, password=None)
    except (OSError, ValueError) as error:
        raise EnrolFailed(f"{path} cannot be read ({error}). Enrol this box anew.") from error
    if not always and now < present.not_valid_after_utc - RENEW_WITHIN:
        return None
    next_key = make_key()
    csr, at_s = request_by(next_key), int(now.timestamp())
    words = b"hansa device renewal\n" + f"{read.device_id}\n{at_s}\n".encode() + csr.encode()
    signature = cast(ec.EllipticCurvePrivateKey, key).sign(words, ec.ECDSA(SHA256()))
    body = {
        "certificate": present.public_bytes(Encoding.PEM).decode(),
        "csr": csr,
        "at": at_s,
        "signature": signature.hex(),
    }
    told = _post(read.league_url, "/v1/devices/renew", body, read.ca_file)
    try:
        certificate = _own(told["certificate"], next_key, read.device_id)
    except (KeyError, TypeError, ValueError) as error:
        raise EnrolFailed(f"The league's answer cannot be read ({error}).") from error
    write_whole(path, device_file(next_key, told["certificate"]))
    return certificate.not_valid_after_utc


def make_key() -> ec.EllipticCurvePrivateKey:
    """A box's own key."""
    return ec.generate_private_key(ec.SECP256R1())


def device_file(key: ec.EllipticCurvePrivateKey, certificate: str) -> str:
    """Key and certificate in one text, PEM."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode() + certificate


def request_by(key: ec.EllipticCurvePrivateKey) -> str:
    """A certificate request, PEM, signed by the key it names. The league chooses the name."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "device")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, SHA256())
    return request.public_bytes(Encoding.PEM).decode()


def write_whole(path: Path, text: str) -> None:
    """Write a file that only its owner may read: after a power cut there is the old one or the new one."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _own(text: str, key: ec.EllipticCurvePrivateKey, device_id: str) -> x509.Certificate:
    """The certificate, if it is for our key and our name. Errors: ValueError."""
    certificate = x509.load_pem_x509_certificate(text.encode())
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if certificate.public_key() != key.public_key() or [name.value for name in names] != [device_id]:
        raise ValueError("the certificate is for another box")
    return certificate


def _config_text(told: Mapping[str, Any], url: str, ca_file: Path | None) -> str:
    """The file of settings. Errors: KeyError, TypeError, ValueError for an answer that is no answer."""
    gate, broker = told["gate"], told["broker"]
    if len(bytes.fromhex(told["root"])) != 32:
        raise ValueError("the root is no key")
    sections: dict[str, dict[str, Any]] = {
        "gate": {
            "device_id": told["device_id"],
            "gate_id": gate["gate_id"],
            "operator_id": gate["operator_id"],
            "stop_id": gate["stop_id"],
            "line_id": gate.get("line_id"),
            "action": gate["action"],
            "product": gate["product"],
            "cell": gate["cell"],
            "state": STATE,
        },
        "league": {
            "url": url.rstrip("/"),
            "roots": [told["root"]],
            "api_key_file": API_KEY,
            "ca_file": None if ca_file is None else str(ca_file.absolute()),
        },
        "mqtt": {
            "host": broker["host"],
            "port": broker["port"],
            "ca_file": BROKER_CA,
            "certificate_file": DEVICE,
            "key_file": DEVICE,
        },
        "source": {"kind": "lines"},
        "actuator": {"kind": "lines"},
    }
    lines = ["# Written by `hansa gate enrol`. What may stand here: docs/operating/gates.md."]
    for section, values in sections.items():
        lines += ["", f"[{section}]"]
        lines += [f"{name} = {_toml(value)}" for name, value in values.items() if value is not None]
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    """A text, a number or a list of texts as TOML: a basic string is a JSON string with its letters as they are."""
    if isinstance(value, str | int | list):
        return json.dumps(value, ensure_ascii=False)
    raise TypeError(f"{value!r} is neither text nor number")


def _post(url: str, path: str, body: Mapping[str, Any], ca_file: Path | None) -> dict[str, Any]:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise EnrolFailed(f"{url!r} is no address; begin it with https://")
    if parts.scheme == "https":
        context = ssl.create_default_context(cafile=ca_file)
        connection: HTTPConnection = HTTPSConnection(
            parts.hostname, parts.port, timeout=TIMEOUT_S, context=context
        )
    else:
        connection = HTTPConnection(parts.hostname, parts.port, timeout=TIMEOUT_S)
    headers = {"content-type": "application/json"}
    try:
        connection.request(
            "POST", parts.path.rstrip("/") + path, body=json.dumps(body).encode(), headers=headers
        )
        answer = connection.getresponse()
        told = json.loads(answer.read(ANSWER_MAX))
    except (OSError, HTTPException, ValueError) as error:
        raise EnrolFailed(f"{parts.hostname} does not answer as a league does: {error}") from error
    finally:
        connection.close()
    if not isinstance(told, dict):
        raise EnrolFailed(f"{parts.hostname} does not answer as a league does.")
    fields = cast(dict[str, Any], told)
    if answer.status != 200:
        raise EnrolFailed(f"{fields.get('code', answer.status)}: {fields.get('detail', '')}"[:500])
    return fields
