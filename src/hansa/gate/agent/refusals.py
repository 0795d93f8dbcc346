"""What a gate refused: counts by minute, and what refused codes said, kept for the back office within bounds."""

import logging
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from threading import Lock
from typing import Any

from hansa.gate.agent.link import BatchRefused
from hansa.gate.model import Decision
from hansa.kernel import in_utc

logger = logging.getLogger("hansa.gate")

COUNTS_MAX = 5_000
"""Minutes and reasons that are kept: three hours and more of all reasons, days of the common ones."""

CODES_MAX = 1_000
ROWS_MAX = 1_000
"""Rows of one message."""

_MINUTE = timedelta(minutes=1)

Tell = Callable[[Sequence[Mapping[str, Any]]], None]


class Refusals:
    """Counts and codes not told yet; beyond the bounds the oldest go. In memory only: taps are what must not be lost.

    Threads may share it.
    """

    def __init__(self, gate_id: str) -> None:
        self._gate_id = gate_id
        self._counts: Counter[tuple[datetime, str]] = Counter()
        self._told: dict[tuple[datetime, str], int] = {}
        self._codes: deque[dict[str, Any]] = deque(maxlen=CODES_MAX)
        self._lock = Lock()

    def add(self, decision: Decision, at: datetime) -> None:
        """A code was refused at this instant."""
        minute = at.replace(second=0, microsecond=0)
        with self._lock:
            self._counts[minute, decision.reason] += 1
            while len(self._counts) > COUNTS_MAX:
                oldest = min(self._counts)
                del self._counts[oldest]
                self._told.pop(oldest, None)
            if decision.shown is not None:
                shown = decision.shown
                self._codes.append(
                    {
                        "gate_id": self._gate_id,
                        "at": _rfc3339(at),
                        "reason": decision.reason,
                        "kid": shown.kid.hex(),
                        "cti": shown.cti.hex(),
                        "companion": shown.companion,
                        "counter": shown.counter,
                        "made_at": _rfc3339(shown.made_at),
                    }
                )

    @property
    def waiting(self) -> int:
        """Rows not told yet."""
        with self._lock:
            return len(self._codes) + sum(self._told.get(key) != count for key, count in self._counts.items())

    def tell_counts(self, tell: Tell, now: datetime) -> int:
        """Tell counts that have grown, a minute's whole count each time, so that telling again is harmless; gives how
        many rows. Minutes gone by are let go once they are told. Errors: those of ``tell``, and all is kept."""
        with self._lock:
            due = [
                (key, count) for key, count in sorted(self._counts.items()) if self._told.get(key) != count
            ]
        told = 0
        for start in range(0, len(due), ROWS_MAX):
            part = due[start : start + ROWS_MAX]
            rows = [
                {"gate_id": self._gate_id, "minute": _rfc3339(minute), "reason": reason, "count": count}
                for (minute, reason), count in part
            ]
            _tell(tell, rows)
            told += len(part)
            with self._lock:
                self._told.update(part)
        with self._lock:
            over = [
                key
                for key, count in self._counts.items()
                if key[0] + _MINUTE <= now and self._told.get(key) == count
            ]
            for key in over:
                del self._counts[key], self._told[key]
        return told

    def tell_codes(self, tell: Tell) -> int:
        """Tell what refused codes said; gives how many. Errors: those of ``tell``, and what was not told is kept."""
        told = 0
        while True:
            with self._lock:
                part = [self._codes[place] for place in range(min(ROWS_MAX, len(self._codes)))]
            if not part:
                return told
            _tell(tell, part)
            with self._lock:
                for row in part:
                    if self._codes and self._codes[0] is row:
                        self._codes.popleft()
            told += len(part)


def _tell(tell: Tell, rows: Sequence[Mapping[str, Any]]) -> None:
    """Tell these rows; rows that are not understood are let go, or none would be told after them."""
    try:
        tell(rows)
    except BatchRefused as error:
        logger.warning("The back office does not understand what was refused: %s", error.detail)


def _rfc3339(instant: datetime) -> str:
    return in_utc(instant).isoformat().replace("+00:00", "Z")
