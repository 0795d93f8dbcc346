"""The gate: takes a text from its scanner and decides, without network."""

from datetime import datetime
from time import perf_counter_ns

from hansa.codes import (
    CodeRefused,
    TokenCache,
    TrustList,
    VerifiedCode,
    tap_link,
    verify_code,
)
from hansa.gate.keeping import TapKeeper
from hansa.gate.model import OK, Decision, Denied, GateIdentity, Tap, rider_of
from hansa.gate.state import State
from hansa.kernel import InvalidInput, Problem, fact_id


class Gate(TapKeeper):
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
        super().__init__(identity.gate_id, trust_list, deny_list=deny_list, state=state)
        self.identity = identity
        self._tokens = tokens if tokens is not None else TokenCache()

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
        token, entries = _token(code), None
        if self._begins_ride and not online:
            entries = token, memory.offline_rides.get(token, 0) + 1
        self._keep(tap, rider_of(code), code.counter, code.token_expires_at, entries)
        return tap

    def _forget_offline_rides(self) -> None:
        if self._memory.offline_rides:
            if self._state is not None:
                self._state.forget_offline_rides()
            self._memory.offline_rides.clear()


def _token(code: VerifiedCode) -> bytes:
    return code.kid + code.cti
