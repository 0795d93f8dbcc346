"""The gate: takes a text from its scanner and decides, without network."""

from collections import Counter
from datetime import datetime
from itertools import islice
from threading import Lock
from time import perf_counter_ns

from hansa.codes import (
    CodeRefused,
    TokenCache,
    TrustList,
    TrustListRefused,
    VerifiedCode,
    tap_link,
    verify_code,
)
from hansa.gate.model import OK, Decision, Denied, DenyList, GateIdentity, Tap, rider_of
from hansa.gate.state import Memory, State
from hansa.kernel import InvalidInput, Problem, fact_id

_FORGET_EVERY = 1024


class Gate:
    """One gate's program: verify, refuse what was used, record the tap, keep it until it is handed in.

    deny_list: revoked tokens. state: where it survives power loss (`FileState`); None keeps it in memory.
    tokens: verified tokens, to be shared by the gates of one device. Threads may share a gate.
    """

    def __init__(
        self,
        identity: GateIdentity,
        trust_list: TrustList,
        *,
        deny_list: Denied | None = None,
        state: State | None = None,
        tokens: TokenCache | None = None,
    ) -> None:
        self.identity = identity
        self.tally: Counter[str] = Counter()
        """Decisions by reason since the gate started, ``ok`` among them."""
        self._trust_list = trust_list
        self._deny_list: Denied = deny_list if deny_list is not None else DenyList(0, frozenset())
        self._state = state
        self._tokens = tokens if tokens is not None else TokenCache()
        self._memory = Memory() if state is None else state.load(identity.gate_id)
        self._lock = Lock()

    @property
    def trust_list(self) -> TrustList:
        """The list in use."""
        return self._trust_list

    @property
    def deny_list(self) -> Denied:
        """The list in use."""
        return self._deny_list

    def decide(
        self, text: str, now: datetime, *, challenge: int | None = None, online: bool = True
    ) -> Decision:
        """Open, or say why not. ``now`` is the gate's own clock.

        challenge: the digits on the gate's screen, None when it shows none. online: whether the deny list and the
        taps have been exchanged lately; if not, a token rides as often as its issuer answers for, and no more.
        Errors: StateFailed, and nothing was recorded.
        """
        started = perf_counter_ns()
        with self._lock:
            if online:
                self._forget_offline_rides()
            try:
                shown = self._verify(text, now, challenge, online=online)
                tap, reason = self._accept(shown, now, online=online), OK
            except CodeRefused as refusal:
                shown, tap, reason = refusal.shown, None, refusal.reason
            self.tally[reason] += 1
        return Decision(tap is not None, reason, tap, perf_counter_ns() - started, shown)

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

    def hear(self, rider: bytes, counter: int, expires_at: datetime) -> None:
        """A neighbour gate of this station let this rider in: a code with this counter, or a lower one, was used.

        rider: as `rider_of` gives it. expires_at: when the rider's token ends. Again, or late, is harmless. Only
        gates that share a station may be heard: elsewhere it would turn a rider away who has done nothing.
        Errors: InvalidInput for what cannot be a rider or a counter; StateFailed, and nothing changed.
        """
        if len(rider) not in (12, 13) or not 0 <= counter < 2**32:
            raise InvalidInput(
                "This cannot be heard.",
                problems=(
                    Problem(
                        "rider" if len(rider) not in (12, 13) else "counter",
                        f"{len(rider)} bytes" if len(rider) not in (12, 13) else str(counter),
                        "Tell kid and cti, and a companion's number, and the counter of the code, below 2^32",
                    ),
                ),
            )
        with self._lock:
            last = self._memory.counters.get(rider)
            if last is not None and last[0] >= counter:
                return
            if self._state is not None:
                self._state.hear(rider, counter, expires_at)
            self._memory.counters[rider] = counter, expires_at

    def _verify(self, text: str, now: datetime, challenge: int | None, *, online: bool) -> VerifiedCode:
        code = verify_code(
            text,
            self._trust_list,
            now=now,
            product=self.identity.product,
            denied=self._deny_list.__contains__,
            challenge=challenge,
            place=self.identity.cell,
            tokens=self._tokens,
        )
        last = self._memory.counters.get(rider_of(code))
        if last is not None and code.counter <= last[0]:
            raise CodeRefused("replay", code)
        rides = self._memory.offline_rides.get(_token(code), 0)
        if not online and self._begins_ride and rides >= code.scope.offline_cap:
            raise CodeRefused("offline_cap", code)
        return code

    @property
    def _begins_ride(self) -> bool:
        return self.identity.action != "exit"

    def _accept(self, code: VerifiedCode, now: datetime, *, online: bool) -> Tap:
        identity, memory = self.identity, self._memory
        sequence = memory.sequence + 1
        tap_id = fact_id(now, identity.gate_id, sequence)
        chain = tap_link(
            memory.chain,
            tap_id=tap_id,
            gate_id=identity.gate_id,
            sequence=sequence,
            action=identity.action,
            stop_id=identity.stop_id,
            tapped_at=now,
            cti=code.cti,
            counter=code.counter,
            kid=code.kid,
            made_at=code.made_at,
            list_version=self._deny_list.version,
            companion=code.companion,
        )
        tap = Tap(
            tap_id=tap_id,
            gate_id=identity.gate_id,
            sequence=sequence,
            action=identity.action,
            stop_id=identity.stop_id,
            tapped_at=now,
            cti=code.cti,
            counter=code.counter,
            kid=code.kid,
            made_at=code.made_at,
            list_version=self._deny_list.version,
            chain=chain,
            companion=code.companion,
        )
        if sequence % _FORGET_EVERY == 0:
            self._forget(now)
        rider, token = rider_of(code), _token(code)
        offline = None
        if self._begins_ride and not online:
            offline = token, memory.offline_rides.get(token, 0) + 1
        if self._state is not None:
            self._state.record(tap, rider=rider, expires_at=code.token_expires_at, offline=offline)
        memory.sequence, memory.chain = sequence, chain
        memory.counters[rider] = code.counter, code.token_expires_at
        memory.pending.append(tap)
        if offline is not None:
            memory.offline_rides[token] = offline[1]
        return tap

    def _forget(self, now: datetime) -> None:
        ended = [rider for rider, (_, expires_at) in self._memory.counters.items() if expires_at <= now]
        for rider in ended:
            del self._memory.counters[rider]
        if self._state is not None:
            self._state.forget(now)

    def _forget_offline_rides(self) -> None:
        if self._memory.offline_rides:
            if self._state is not None:
                self._state.forget_offline_rides()
            self._memory.offline_rides.clear()


def _token(code: VerifiedCode) -> bytes:
    return code.kid + code.cti
