"""Attractions' gates in this process: the gate library with a state of its own for each shop.

A door's phone shows the page; what decides is the same program that an attraction would run on a box without network.
"""

from dataclasses import dataclass
from threading import Lock
from uuid import UUID

from hansa import codes, merchants, trust
from hansa.apps.web.site import Site
from hansa.codes.tickets import TICKET_REASONS, TicketCode
from hansa.gate import DenyList, FileState, TicketGate, TicketGateIdentity

_gates: dict[tuple[str, UUID], TicketGate] = {}
_lock = Lock()


@dataclass(frozen=True, slots=True)
class EntryDecision:
    """What the gate did. words: of the refusal, for whoever stands before it; empty where it opened."""

    accepted: bool
    reason: str
    words: str
    left: int
    ticket: TicketCode | None


def decide_entry(site: Site, shop: merchants.Merchant, text: str) -> EntryDecision:
    """Show a ticket to a shop's gate, and hand its entries in. Errors: gate.StateFailed, and nothing was recorded."""
    now = site.ctx.clock.now()
    with site.ctx.tx() as tx:
        trust_list = trust.current_trust_list(tx, at=now)
        version, denied = trust.current_deny_list(tx, at=now)
    gate = _gate(site, shop, trust_list)
    gate.use_trust_list(trust_list)
    gate.use_deny_list(DenyList(version, denied, now))
    decision = gate.decide(text, now)
    _hand_in(site, shop, gate)
    words = "" if decision.accepted else TICKET_REASONS[decision.reason]
    return EntryDecision(decision.accepted, decision.reason, words, decision.left, decision.ticket)


def _hand_in(site: Site, shop: merchants.Merchant, gate: TicketGate) -> None:
    taps = gate.pending()
    if not taps:
        return
    with site.ctx.tx() as tx:
        merchants.record_entries(
            tx,
            shop.merchant_id,
            [merchants.Entry(one.tap_id, one.gate_id, one.cti, one.counter, one.tapped_at) for one in taps],
        )
    gate.acknowledge(taps[-1].sequence)


def _gate(site: Site, shop: merchants.Merchant, trust_list: codes.TrustList) -> TicketGate:
    key = str(site.home), shop.merchant_id
    with _lock:
        gate = _gates.get(key)
        if gate is None:
            folder = site.home / "ticket-gates"
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            identity = TicketGateIdentity(
                f"shop.{shop.merchant_id}", merchants.place_of(shop), frozenset({shop.member_id})
            )
            state = FileState(folder / f"{shop.merchant_id}.sqlite")
            gate = _gates[key] = TicketGate(identity, trust_list, state=state)
    return gate
