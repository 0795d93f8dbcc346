"""What every gate keeps, whatever it opens for: the lists in use, what was used, and taps until they are handed in."""

from collections import Counter
from datetime import datetime
from itertools import islice
from threading import Lock

from hansa.codes import TrustList, TrustListRefused
from hansa.gate.model import Denied, DenyList, Tap
from hansa.gate.state import Memory, State
from hansa.kernel import InvalidInput, Problem

_FORGET_EVERY = 1024


class TapKeeper:
    """The part of a gate that decides nothing. Threads may share it.

    deny_list: revoked tokens. state: where it survives power loss (`FileState`); None keeps it in memory.
    """

    def __init__(
        self, gate_id: str, trust_list: TrustList, *, deny_list: Denied | None, state: State | None
    ) -> None:
        self.tally: Counter[str] = Counter()
        """Decisions by reason since the gate started, ``ok`` among them."""
        self._trust_list = trust_list
        self._deny_list: Denied = deny_list if deny_list is not None else DenyList(0, frozenset())
        self._state = state
        self._memory = Memory() if state is None else state.load(gate_id)
        self._lock = Lock()

    @property
    def trust_list(self) -> TrustList:
        """The list in use."""
        return self._trust_list

    @property
    def deny_list(self) -> Denied:
        """The list in use."""
        return self._deny_list

    def pending(self, limit: int = 1000) -> list[Tap]:
        """The oldest taps not handed in yet."""
        with self._lock:
            return list(islice(self._memory.pending, limit))

    def acknowledge(self, up_to_sequence: int) -> None:
        """The back office has the taps up to this one. Again is harmless. Errors: InvalidInput, StateFailed."""
        with self._lock:
            if up_to_sequence > self._memory.sequence:
                raise InvalidInput(
                    "Taps that were never made cannot be acknowledged.",
                    problems=(
                        Problem(
                            "up_to_sequence",
                            f"{up_to_sequence} is past the last tap, {self._memory.sequence}",
                            "Name a sequence number that this gate handed in",
                        ),
                    ),
                )
            if self._state is not None:
                self._state.acknowledge(up_to_sequence)
            pending = self._memory.pending
            while pending and pending[0].sequence <= up_to_sequence:
                pending.popleft()

    def use_trust_list(self, trust_list: TrustList) -> None:
        """Use a newer list (`codes.read_trust_list` has checked it). Errors: TrustListRefused for an older one."""
        with self._lock:
            if trust_list.version < self._trust_list.version:
                raise TrustListRefused(
                    f"Trust list {trust_list.version} is older than {self._trust_list.version}, which is in use."
                )
            self._trust_list = trust_list

    def use_deny_list(self, deny_list: Denied) -> bool:
        """Use a newer deny list; an older one that arrives late changes nothing. Gives whether it is used."""
        with self._lock:
            if deny_list.version < self._deny_list.version:
                return False
            self._deny_list = deny_list
            return True

    def _keep(
        self, tap: Tap, used: bytes, counter: int, expires_at: datetime, entries: tuple[bytes, int] | None
    ) -> None:
        """Keep a tap, and what it used up. used: rider or ticket, until expires_at; entries: how many one has now.

        Errors: StateFailed, and nothing was kept.
        """
        memory = self._memory
        if tap.sequence % _FORGET_EVERY == 0:
            self._forget(tap.tapped_at)
        if self._state is not None:
            self._state.record(tap, rider=used, expires_at=expires_at, offline=entries)
        memory.sequence, memory.chain = tap.sequence, tap.chain
        memory.counters[used] = counter, expires_at
        memory.pending.append(tap)
        if entries is not None:
            memory.offline_rides[entries[0]] = entries[1]

    def _forget(self, now: datetime) -> None:
        ended = [one for one, (_, expires_at) in self._memory.counters.items() if expires_at <= now]
        for one in ended:
            del self._memory.counters[one]
            self._memory.offline_rides.pop(one, None)  # a ticket's entries stand under the same name
        if self._state is not None:
            self._state.forget(now)
