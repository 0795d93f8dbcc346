"""The gate of an attraction: decides on entry tickets without network, with the state that any gate keeps."""

from dataclasses import dataclass
from datetime import datetime

from hansa.codes import CHAIN_START, TrustList, tap_link
from hansa.codes.tickets import TicketCode, TicketRefused, verify_ticket_code
from hansa.gate.keeping import TapKeeper
from hansa.gate.model import OK, Denied, Tap
from hansa.gate.state import State
from hansa.kernel import fact_id


@dataclass(frozen=True, slots=True)
class TicketGateIdentity:
    """Which gate this is. place: 8 bytes (`codes.ticket_place`). sellers: issuers whose tickets count here.

    products: 4 bytes each, those that it opens for; None for all of the place.
    """

    gate_id: str
    place: bytes
    sellers: frozenset[str]
    products: frozenset[bytes] | None = None


@dataclass(frozen=True, slots=True)
class TicketDecision:
    """What the gate does with a ticket. reason: ``ok`` or one of `codes.TICKET_REASONS`. tap: there when accepted.

    left: entries that the ticket still has at this gate. ticket: what it says, where it is genuine.
    """

    accepted: bool
    reason: str
    tap: Tap | None
    left: int
    ticket: TicketCode | None = None


class TicketGate(TapKeeper):
    """Verify, refuse what was used, count entries, record the tap, keep it until it is handed in.

    The count of a ticket's entries is this gate's own: gates of one place that must count together share a device, or
    hear each other, or the back office finds the second entry afterwards. Threads may share a gate.
    state: where it survives power loss (`FileState`); None keeps it in memory.
    """

    def __init__(
        self,
        identity: TicketGateIdentity,
        trust_list: TrustList,
        *,
        deny_list: Denied | None = None,
        state: State | None = None,
    ) -> None:
        super().__init__(identity.gate_id, trust_list, deny_list=deny_list, state=state)
        self.identity = identity

    def decide(self, text: str, now: datetime) -> TicketDecision:
        """Open, or say why not. ``now`` is the gate's own clock. Errors: StateFailed, and nothing was recorded."""
        with self._lock:
            try:
                ticket = self._verify(text, now)
                tap, reason = self._accept(ticket, now), OK
            except TicketRefused as refusal:
                ticket, tap, reason = refusal.ticket, None, refusal.reason
            self.tally[reason] += 1
            used = 0 if ticket is None else self._memory.offline_rides.get(_ticket(ticket), 0)
        left = 0 if ticket is None else max(0, ticket.scope.entries - used)
        return TicketDecision(tap is not None, reason, tap, left, ticket)

    def _verify(self, text: str, now: datetime) -> TicketCode:
        ticket = verify_ticket_code(
            text,
            self._trust_list,
            now=now,
            place=self.identity.place,
            sellers=self.identity.sellers,
            products=self.identity.products,
            denied=self._deny_list.__contains__,
        )
        last = self._memory.counters.get(_ticket(ticket))
        if last is not None and ticket.counter <= last[0]:
            raise TicketRefused("replay", ticket)
        if self._memory.offline_rides.get(_ticket(ticket), 0) >= ticket.scope.entries:
            raise TicketRefused("used_up", ticket)
        return ticket

    def _accept(self, ticket: TicketCode, now: datetime) -> Tap:
        memory, gate_id = self._memory, self.identity.gate_id
        sequence = memory.sequence + 1
        assert len(memory.chain) == len(CHAIN_START), "a chain's link is a SHA-256"
        tap_id = fact_id(now, gate_id, sequence)
        chain = tap_link(
            memory.chain,
            tap_id=tap_id,
            gate_id=gate_id,
            sequence=sequence,
            action="entry",
            stop_id=None,
            tapped_at=now,
            cti=ticket.cti,
            counter=ticket.counter,
            kid=ticket.kid,
            made_at=ticket.made_at,
            list_version=self._deny_list.version,
        )
        tap = Tap(
            tap_id,
            gate_id,
            sequence,
            "entry",
            None,
            now,
            ticket.cti,
            ticket.counter,
            ticket.kid,
            ticket.made_at,
            self._deny_list.version,
            chain,
        )
        key = _ticket(ticket)
        entries = key, memory.offline_rides.get(key, 0) + 1
        self._keep(tap, key, ticket.counter, ticket.expires_at, entries)
        return tap


def _ticket(ticket: TicketCode) -> bytes:
    return ticket.kid + ticket.cti
