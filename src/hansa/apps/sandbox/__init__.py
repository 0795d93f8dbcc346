"""Sandbox: a Hansa to develop against, in which everything is real but the world outside.

In flow a clock that its developer sets, amounts and headers that stand for what may go wrong, and payments; out flow
people who approve by themselves, banks that refuse as asked, hooks that keep what they are sent. It has a database of
its own; its keys are test keys, with which no real money can be meant.
"""

from hansa.apps.sandbox.clock import SandboxClock
from hansa.apps.sandbox.connector import CONNECTOR, FAULTY_AMOUNTS, SandboxConnector
from hansa.apps.sandbox.people import PEOPLE, account_of, act
from hansa.apps.sandbox.seed import CARD, PAYEE, SHOPS, Seeded, is_seeded, seed

__all__ = [
    "CARD",
    "CONNECTOR",
    "FAULTY_AMOUNTS",
    "PAYEE",
    "PEOPLE",
    "SHOPS",
    "SandboxClock",
    "SandboxConnector",
    "Seeded",
    "account_of",
    "act",
    "is_seeded",
    "seed",
]
