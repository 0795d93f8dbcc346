"""How messages reach a bank and come from it: a shared folder, or HTTP. Both sign, both give receipts.

A bank takes a message once by its id: the same bytes again are harmless, so whenever it is not known whether a message
arrived it is handed over again, the same. Over both ways a receipt is a small JSON text with the message's id and the
SHA-256 of what was received, signed by the bank.
"""

import hashlib
import http.client
import json
import os
import re
import urllib.parse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import ClassVar, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from hansa.kernel import Clock, HansaError, SystemClock
from hansa.settlement.signing import BadSignature, sign_request, verify_answer, verify_file

ANSWER_BYTES_MAX = 33 * 1024 * 1024

TO_BANK, RECEIPTS, FROM_BANK, TAKEN = "to-bank", "receipts", "from-bank", "taken"
"""The folders of a file drop."""

FILE_SIGNATURE = "Hansa-File-Signature"
"""The header that carries a message's detached signature, for the bank to keep with the message."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,79}")


class NoAnswer(HansaError):
    """The bank has given no receipt. Whether it has the message is not known; hand it over again, the same."""

    code: ClassVar[str] = "settlement.no_answer"
    status: ClassVar[int] = 503


class TurnedAway(HansaError):
    """The bank has said at the door that it does not take this message."""

    code: ClassVar[str] = "settlement.turned_away"
    status: ClassVar[int] = 409


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message from the bank that lies there. name: what to call it when it is taken away."""

    name: str
    document: bytes
    signature: bytes


class Link(Protocol):
    """A way to a bank and back."""

    def hand_over(self, message_id: str, document: bytes, signature: bytes) -> bytes:
        """Hand over a message; gives the bank's receipt. Errors: NoAnswer, TurnedAway."""
        ...

    def arrived(self) -> Sequence[Arrived]:
        """What the bank has put there and nobody has taken away. Errors: NoAnswer."""
        ...

    def take_away(self, name: str) -> None:
        """Say that a message is kept, so that the bank need not offer it again. Errors: NoAnswer."""
        ...


def receipt_of(message_id: str, document: bytes, at: datetime, *, refused: str = "") -> bytes:
    """A receipt as a bank writes it. refused: why the message is not taken; empty if it is."""
    told = {
        "message_id": message_id,
        "sha256": hashlib.sha256(document).hexdigest(),
        "received_at": at.isoformat(),
    }
    return json.dumps({**told, "refused": refused} if refused else told).encode() + b"\n"


def read_receipt(receipt: bytes, message_id: str, document: bytes) -> None:
    """That a receipt is for these bytes. Errors: NoAnswer when it is for something else, TurnedAway."""
    try:
        told = json.loads(receipt)
    except ValueError as error:
        raise NoAnswer("The bank's receipt cannot be read.") from error
    if not isinstance(told, dict):
        raise NoAnswer("The bank's receipt cannot be read.")
    if told.get("message_id") != message_id or told.get("sha256") != hashlib.sha256(document).hexdigest():
        raise NoAnswer("The bank's receipt is for something else.")
    if told.get("refused"):
        raise TurnedAway(str(told["refused"])[:300])


def write_whole(path: Path, content: bytes) -> None:
    """Put a file there whole or not at all, surviving a power cut."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    with unfinished.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class FolderLink:
    """A file drop: a folder that both sides reach.

    ``to-bank/ID.xml`` with ``ID.xml.sig`` goes out, ``receipts/ID.json`` with its signature comes back;
    ``from-bank/NAME.xml`` with ``NAME.xml.sig`` comes in and is moved to ``taken`` once it is kept. A signature is
    always there before what it signs.
    """

    def __init__(self, folder: Path, bank: Ed25519PublicKey) -> None:
        self._folder, self._bank = folder, bank

    def hand_over(self, message_id: str, document: bytes, signature: bytes) -> bytes:
        """Errors: NoAnswer, TurnedAway."""
        try:
            to_bank = self._folder / TO_BANK
            to_bank.mkdir(parents=True, exist_ok=True)
            place = to_bank / f"{message_id}.xml"
            receipt = self._folder / RECEIPTS / f"{message_id}.json"
            if not place.exists() and not receipt.exists():
                write_whole(to_bank / f"{message_id}.xml.sig", signature)
                write_whole(place, document)
            if not receipt.exists():
                raise NoAnswer(f"{message_id} lies in the folder, and there is no receipt for it yet.")
            told = receipt.read_bytes()
            verify_file(self._bank, told, receipt.with_name(f"{receipt.name}.sig").read_bytes())
        except OSError as error:
            raise NoAnswer(f"The folder cannot be used: {error.strerror}.") from error
        except BadSignature as error:
            raise NoAnswer("The receipt is not signed by the bank.") from error
        read_receipt(told, message_id, document)
        return told

    def arrived(self) -> list[Arrived]:
        """Errors: NoAnswer."""
        try:
            return list(self._lying())
        except OSError as error:
            raise NoAnswer(f"The folder cannot be used: {error.strerror}.") from error

    def _lying(self) -> Iterator[Arrived]:
        folder = self._folder / FROM_BANK
        if not folder.is_dir():
            return
        for path in sorted(folder.glob("*.xml")):
            signature = path.with_name(f"{path.name}.sig")
            if path.stat().st_size <= ANSWER_BYTES_MAX and not path.name.startswith("."):
                yield Arrived(
                    path.name, path.read_bytes(), signature.read_bytes() if signature.exists() else b""
                )

    def take_away(self, name: str) -> None:
        """Errors: NoAnswer."""
        assert _NAME.fullmatch(name), name
        try:
            taken = self._folder / TAKEN
            taken.mkdir(parents=True, exist_ok=True)
            for file in (name, f"{name}.sig"):
                place = self._folder / FROM_BANK / file
                if place.exists():
                    place.replace(taken / file)
        except OSError as error:
            raise NoAnswer(f"The folder cannot be used: {error.strerror}.") from error


class HttpLink:
    """The bank's address: PUT a message under its id, GET what waits, DELETE what is kept.

    Requests are signed by RFC 9421, and so are the bank's answers. An answer without a good signature, or none within
    the time, leaves it open whether the bank has the message.
    """

    def __init__(
        self,
        url: str,
        bank: Ed25519PublicKey,
        *,
        key: Ed25519PrivateKey,
        key_id: str = "league",
        timeout_s: float = 20.0,
        clock: Clock | None = None,
    ) -> None:
        self._url, self._bank, self._key, self._key_id = url, bank, key, key_id
        self._timeout_s, self._clock = timeout_s, clock or SystemClock()

    def hand_over(self, message_id: str, document: bytes, signature: bytes) -> bytes:
        """Errors: NoAnswer, TurnedAway."""
        status, body = self._ask(
            "PUT", f"/messages/{urllib.parse.quote(message_id, safe='')}", document, signature
        )
        if status not in (200, 201, 409, 422):
            raise NoAnswer(f"The bank answers with HTTP {status}.")
        read_receipt(body, message_id, document)
        return body

    def arrived(self) -> list[Arrived]:
        """Errors: NoAnswer."""
        status, body = self._ask("GET", "/answers", b"")
        if status != 200:
            raise NoAnswer(f"The bank answers with HTTP {status}.")
        try:
            names = [str(name) for name in json.loads(body)["answers"]]
        except (ValueError, KeyError, TypeError) as error:
            raise NoAnswer("The bank's list of answers cannot be read.") from error
        found: list[Arrived] = []
        for name in names[:1_000]:
            if not _NAME.fullmatch(name):
                raise NoAnswer(f"The bank names an answer {name[:80]!r}.")
            status, document = self._ask("GET", f"/answers/{name}", b"")
            if status == 200:
                code, signature = self._ask("GET", f"/answers/{name}.sig", b"")
                found.append(Arrived(name, document, signature if code == 200 else b""))
        return found

    def take_away(self, name: str) -> None:
        """Errors: NoAnswer."""
        assert _NAME.fullmatch(name), name
        status, _ = self._ask("DELETE", f"/answers/{name}", b"")
        if status not in (200, 404):
            raise NoAnswer(f"The bank answers with HTTP {status}.")

    def _ask(self, method: str, path: str, body: bytes, signature: bytes = b"") -> tuple[int, bytes]:
        target = self._url + path
        now = self._clock.now()
        headers = sign_request(self._key, self._key_id, method=method, target=target, body=body, at=now)
        parts = urllib.parse.urlsplit(target)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=self._timeout_s)
        try:
            if signature:
                headers[FILE_SIGNATURE] = signature.decode().strip()
            connection.request(
                method, parts.path, body=body or None, headers={"Content-Type": "application/xml", **headers}
            )
            answer = connection.getresponse()
            content = answer.read(ANSWER_BYTES_MAX + 1)
        except (OSError, http.client.HTTPException) as error:
            raise NoAnswer(
                f"The bank cannot be reached, or did not answer in time: {type(error).__name__}."
            ) from error
        finally:
            connection.close()
        if len(content) > ANSWER_BYTES_MAX:
            raise NoAnswer("The bank's answer is too long.")
        try:
            verify_answer(
                self._bank,
                {name.lower(): value for name, value in answer.getheaders()},
                status=answer.status,
                body=content,
                request={"method": method, "target": target},
                now=self._clock.now(),
            )
        except BadSignature as error:
            raise NoAnswer(f"The bank's answer is not signed as it should be: {error.detail}") from error
        return answer.status, content
