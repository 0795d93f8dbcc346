"""Mojaloop's interfaces over the hub: the FSPIOP API of participants, administration and settlement of the hub.

Requests of members flow in; what they ask of each other and what becomes of their transfers flows out as calls to the
addresses they gave. Money moves in the hub alone, and these doors keep what Mojaloop's clients need beside it
(docs/mojaloop.md).
"""

from hansa.apps.fspiop.app import App, running, turn
from hansa.apps.fspiop.outside import Outside, Unreachable
from hansa.apps.fspiop.site import Choices

__all__ = ["App", "Choices", "Outside", "Unreachable", "running", "turn"]
