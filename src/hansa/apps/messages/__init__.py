"""Messages to people by e-mail and text message: codes, warnings, receipts. What sends them is a ``Messenger``.

The one that comes with Hansa puts each message into a folder as a file, whole or not at all: a spool, from which a
member's gateway takes them, and which a demonstration shows as an inbox. A message is known by its id, so handing it
over twice sends it once.
"""

import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import ClassVar, Literal, Protocol
from uuid import UUID

import msgspec

from hansa.kernel import HansaError

Way = Literal["email", "phone"]

TEXT_MAX = 4_000
SPOOLED_MAX = 10_000
"""Messages that may wait in a folder before it is said to be full: then nobody takes them."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message to one person.

    message_id: the same for the same message. way, to: an e-mail address, or a number of E.164. subject: of an e-mail.
    text: plain, at most 4,000 characters. language: BCP 47. kind: for those who route them, such as ``contact_code``.
    """

    message_id: UUID
    way: Way
    to: str
    subject: str
    text: str
    language: str
    kind: str
    made_at: datetime


class NotSent(HansaError):
    """The message could not be handed over. Nothing was sent; ask for it again."""

    code: ClassVar[str] = "messages.not_sent"
    status: ClassVar[int] = 503
    next_action: ClassVar[str] = "retry"


class Messenger(Protocol):
    """Whoever brings messages to people."""

    def send(self, message: Message) -> None:
        """Hand it over; again with the same id is harmless. Errors: NotSent."""
        ...


class FolderMessenger:
    """Puts messages into a folder, one file each, readable for its owner alone.

    Files are named by time and id, ``20261117T120000000-<id>.json``, so they lie in order. Whoever sends them on
    takes a file away when it has. Our own pages never read them, but for the inbox of a demonstration.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, message: Message) -> None:
        """Errors: NotSent, where the folder is full or cannot be written."""
        assert len(message.text) <= TEXT_MAX, message.kind
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            waiting = [path.name for path in self._folder.glob("*.json")]
            if any(name.endswith(f"-{message.message_id}.json") for name in waiting):
                return
            if len(waiting) >= SPOOLED_MAX:
                raise NotSent(f"{len(waiting):,} messages wait in the folder, and nobody takes them.")
            self._write(message)
        except OSError as error:
            raise NotSent from error

    def _write(self, message: Message) -> None:
        name = f"{message.made_at:%Y%m%dT%H%M%S}{message.made_at.microsecond // 1000:03}-{message.message_id}.json"
        draft = self._folder / f".{name}.{secrets.token_hex(8)}"
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(msgspec.json.encode(message))
        draft.replace(self._folder / name)

    def latest(self, limit: int = 50) -> Sequence[Message]:
        """The messages that lie there, the latest first, for a demonstration's inbox. Damaged files are left out."""
        found: list[Message] = []
        for path in sorted(self._folder.glob("*.json"), reverse=True)[:limit]:
            try:
                found.append(msgspec.json.decode(path.read_bytes(), type=Message))
            except (OSError, msgspec.DecodeError):
                continue
        return found


__all__ = ["FolderMessenger", "Message", "Messenger", "NotSent", "Way"]
