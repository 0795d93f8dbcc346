"""A bank outside that misbehaves by the amount: deterministic, so that a test of yours finds it again."""

import json
import os
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import Any
from uuid import UUID

from hansa.kernel import Money
from hansa.payments import Heard, Said

CONNECTOR = "test-card"
"""The name of the connector that payments of ``method: connector`` may take here."""

REFUSED, LATE, SLOW, SLOW_REFUSED, SILENT = 51, 52, 53, 54, 55

FAULTY_AMOUNTS = {
    REFUSED: "the bank refuses at once: `failed`, `payments.connector_refused`",
    LATE: "no answer (`unknown`) for ten minutes of the sandbox's clock, then paid after all",
    SLOW: "pending for an hour of the sandbox's clock, then paid",
    SLOW_REFUSED: "pending for an hour of the sandbox's clock, then refused",
    SILENT: "no answer ever; after 24 hours the payment is given up and what may have come is given back",
}
"""What the last two digits of an amount's minor units bring; all other amounts are paid at once."""

LATE_FOR, SLOW_FOR = timedelta(minutes=10), timedelta(hours=1)


class SandboxConnector:
    """The bank. file: keeps what it was asked, so that a restart changes nothing. now: the sandbox's time."""

    def __init__(self, file: Path, now: Callable[[], datetime]) -> None:
        self._file, self._now = file, now
        self._lock = Lock()
        self._asked: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}

    def start(self, payment_id: UUID, amount: Money, description: str) -> Said:  # noqa: ARG002 - it shows none
        with self._lock:
            asked = {"minor": amount.minor, "at": self._now().isoformat(), "back": {}}
            if self._asked.setdefault(str(payment_id), asked) is asked:
                self._keep()
            return self._answer(str(payment_id))

    def ask(self, payment_id: UUID) -> Said:
        with self._lock:
            if str(payment_id) not in self._asked:
                return Said(Heard.REFUSED, "Nobody asked for it.")
            return self._answer(str(payment_id))

    def give_back(self, payment_id: UUID, give_back_id: UUID, amount: Money) -> Said:
        with self._lock:
            known = self._asked.setdefault(
                str(payment_id), {"minor": 0, "at": self._now().isoformat(), "back": {}}
            )
            known["back"][str(give_back_id)] = amount.minor
            self._keep()
        return Said(Heard.SUCCEEDED)

    def _answer(self, name: str) -> Said:
        known = self._asked[name]
        waited = self._now() - datetime.fromisoformat(known["at"])
        refused = Said(Heard.REFUSED, "The test card was refused.")
        match known["minor"] % 100:
            case 51:
                return refused
            case 52:
                return Said(Heard.SILENT if waited < LATE_FOR else Heard.SUCCEEDED)
            case 53:
                return Said(Heard.PENDING if waited < SLOW_FOR else Heard.SUCCEEDED)
            case 54:
                return Said(Heard.PENDING) if waited < SLOW_FOR else refused
            case 55:
                return Said(Heard.SILENT)
            case _:
                return Said(Heard.SUCCEEDED)

    def _keep(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        written = self._file.with_suffix(".new")
        written.write_text(json.dumps(self._asked), encoding="utf-8")
        os.replace(written, self._file)
