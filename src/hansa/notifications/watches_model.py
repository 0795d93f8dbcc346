"""The words of what is watched: marks of wallets, budgets, and how much of one was passed. Pure."""

from dataclasses import dataclass
from datetime import date
from typing import Literal
from uuid import UUID

from hansa.identity import AccountId

ALL = "all"
"""The budget of everything that is spent."""

AMOUNT_MAX = 10**12
Percent = Literal[0, 80, 100]


@dataclass(frozen=True, slots=True)
class LowMark:
    """When a wallet runs low, minor units. is_low: its person was told, and it still is."""

    partition: int
    account_id: AccountId
    currency: str
    wallet: UUID
    low_minor: int
    is_low: bool


@dataclass(frozen=True, slots=True)
class Budget:
    """What a person plans to spend in a month on a category, minor units; ``told_percent`` is of ``told_month``."""

    partition: int
    account_id: AccountId
    currency: str
    category: str
    wallet: UUID
    minor: int
    told_month: date | None
    told_percent: int


def reached(spent_minor: int, minor: int) -> Percent:
    """How much of a budget was passed: 100 when all of it is spent, 80 from four fifths on, else 0. Exact."""
    if spent_minor >= minor:
        return 100
    return 80 if spent_minor * 100 >= minor * 80 else 0
