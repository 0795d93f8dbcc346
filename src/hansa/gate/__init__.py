"""Gate: the program of a device that opens for a ride code, with codes and kernel only.

In flow scanned texts, the trust list and the deny list; out flow decisions and taps, numbered and chained, kept
until the back office acknowledges them. It needs no network and no server parts.
"""

from hansa.gate.gate import Gate
from hansa.gate.model import OK, Action, Decision, DenyList, GateIdentity, Tap, tap_from_json
from hansa.gate.state import FileState, State, StateFailed, WrongGate

__all__ = [
    "OK",
    "Action",
    "Decision",
    "DenyList",
    "FileState",
    "Gate",
    "GateIdentity",
    "State",
    "StateFailed",
    "Tap",
    "WrongGate",
    "tap_from_json",
]
