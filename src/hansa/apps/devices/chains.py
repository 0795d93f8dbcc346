"""Gates whose taps do not hold together, for the alerts of their devices."""

from datetime import datetime, timedelta

from hansa import rides
from hansa.store import Tx

TOLD_FOR = timedelta(days=1)
"""So long after the last broken place a device has its alert. What broke stays in the books; risk keeps it too."""

AT_ONCE = 1_000


class BrokenGates:
    """Reads on from where it was, so that it may be asked every few seconds."""

    def __init__(self) -> None:
        self._mark: rides.WatchMark | None = None
        self._found_at: dict[str, datetime] = {}

    def at(self, tx: Tx, now: datetime) -> list[str]:
        """The gates of which a broken place was found within a day."""
        while True:
            breaks, self._mark = rides.watch_chain_breaks(tx, self._mark, AT_ONCE)
            for one in breaks:
                if one.healed_at is None:
                    found_at = self._found_at.get(one.gate_id, one.found_at)
                    self._found_at[one.gate_id] = max(found_at, one.found_at)
            if len(breaks) < AT_ONCE:
                break
        self._found_at = {
            gate_id: found_at for gate_id, found_at in self._found_at.items() if found_at > now - TOLD_FOR
        }
        return sorted(self._found_at)
