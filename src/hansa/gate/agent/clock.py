"""The gate's clock: goes by the machine's steady clock, is set by the league's, and never goes behind the last tap."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Lock

STEP_FROM_S = 2.0
"""A gate keeps UTC to within two seconds (docs/ride-code/verifying.md): larger offsets are stepped, not slewed."""

SLEW_SHARE = 0.01
"""How much faster or slower than the steady clock we go while we slew: 2 s are made good in 200 s."""

DOUBT_MAX_S = 1.0
"""Half the time of asking, from which on an answer is weighed against it: a stalled network must not move the clock."""

BUILT_AT = datetime(2026, 11, 24, tzinfo=UTC)
"""No gate runs before its program was made. Moved forward with each release."""

_BOOTTIME: int | None = getattr(time, "CLOCK_BOOTTIME", None)


def steady_s() -> float:
    """Seconds that only go forward; also while the machine sleeps, where it can tell."""
    return time.monotonic() if _BOOTTIME is None else time.clock_gettime(_BOOTTIME)


class GateClock:
    """UTC by the steady clock.

    Begins with the machine's own time. Where that lies before ``not_before`` (the build, the last tap, the trust
    list), the clock is unset until the league's has been asked. steady, wall: seconds, to be replaced in tests.
    """

    def __init__(
        self,
        *,
        not_before: datetime = BUILT_AT,
        steady: Callable[[], float] = steady_s,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._steady = steady
        self._lock = Lock()
        self._floor = not_before
        self._start_s = steady()
        self._start = datetime.fromtimestamp(wall(), UTC)
        self._slew_s = 0.0
        self._is_set = self._start >= not_before
        self.offset_s: float | None = None
        """The league's time less ours when it last told us, as far as we could tell; None before."""

    def now(self) -> datetime:
        """The present instant; never before the last tap."""
        with self._lock:
            return max(self._reckoned(), self._floor)

    @property
    def is_set(self) -> bool:
        """Whether this time may be believed; not when it would lie well before the last tap."""
        with self._lock:
            behind = self._floor - self._reckoned()
            return self._is_set and behind < timedelta(seconds=STEP_FROM_S)

    def not_before(self, instant: datetime) -> None:
        """It is at least this late: a tap was made, or a list signed, at this instant."""
        with self._lock:
            self._floor = max(self._floor, instant)

    def ask(self, league_time: Callable[[], datetime]) -> float:
        """Set ourselves by the league's time, taken as said half way through the asking. Gives the offset, seconds.

        An answer that took so long that it may say no more than we know leaves a set clock alone.
        Errors: those of ``league_time``, and nothing changes.
        """
        asked_s = self._steady()
        said = league_time()
        came_s = self._steady()
        with self._lock:
            now_s = self._steady()
            true = said + timedelta(seconds=(came_s - asked_s) / 2 + (now_s - came_s))
            here = self._reckoned_at(now_s)
            offset_s = (true - here).total_seconds()
            doubt_s = (came_s - asked_s) / 2
            if self._is_set and doubt_s > DOUBT_MAX_S and abs(offset_s) <= doubt_s:
                return offset_s
            if not self._is_set or abs(offset_s) >= STEP_FROM_S:
                self._start, self._slew_s = true, 0.0
            else:
                self._start, self._slew_s = here, offset_s
            self._start_s = now_s
            self._is_set = True
            self.offset_s = offset_s
        return offset_s

    def _reckoned(self) -> datetime:
        return self._reckoned_at(self._steady())

    def _reckoned_at(self, at_s: float) -> datetime:
        gone_s = at_s - self._start_s
        most_s = gone_s * SLEW_SHARE
        slewed_s = max(-most_s, min(most_s, self._slew_s))
        return self._start + timedelta(seconds=gone_s + slewed_s)
