"""Providers of proofs: the link to one over HTTP, and a simulated one that others can run.

A question flows out, an answer flows in; what they look like is in ``wire`` and docs/privacy.md.
"""

from hansa.apps.proofing.conduct import Conduct, SimulatedProvider, conduct_of
from hansa.apps.proofing.link import HttpProvider, NoProvider
from hansa.apps.proofing.simulator import ProofingDoor

__all__ = ["Conduct", "HttpProvider", "NoProvider", "ProofingDoor", "SimulatedProvider", "conduct_of"]
