"""Gate: the program of a device that opens for a ride code, with codes and kernel only.

In flow scanned texts, the trust list and the deny list; out flow decisions and taps, numbered and chained, kept
until the back office acknowledges them. It needs no network and no server parts.
"""

from hansa.gate.gate import Gate
from hansa.gate.model import (
    OK,
    Action,
    Decision,
    Denied,
    DenyList,
    GateIdentity,
    Tap,
    rider_of,
    tap_from_json,
)
from hansa.gate.state import FileState, State, StateFailed, WrongGate
from hansa.gate.tickets import TicketDecision, TicketGate, TicketGateIdentity

__all__ = [
    "OK",
    "Action",
    "Decision",
    "Denied",
    "DenyList",
    "FileState",
    "Gate",
    "GateIdentity",
    "State",
    "StateFailed",
    "Tap",
    "TicketDecision",
    "TicketGate",
    "TicketGateIdentity",
    "WrongGate",
    "rider_of",
    "tap_from_json",
]
