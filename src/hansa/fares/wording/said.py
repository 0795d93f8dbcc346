"""What a sentence about a step is made from."""

from collections.abc import Mapping
from typing import NamedTuple

from hansa.kernel import Money

Facts = Mapping[str, str | int]


class Said(NamedTuple):
    """A step's figures. paid: the step's amount in words."""

    facts: Facts
    paid: str
    currency: str

    def money(self, key: str) -> str:
        """A figure that is an amount."""
        return money(int(self.facts[key]), self.currency)


def money(amount: int, currency: str) -> str:
    """An amount with its sign in front: ``"£8.90"``, ``"−£1.20"``."""
    return ("−" if amount < 0 else "") + str(Money(abs(amount), currency))


def kilometres(metres: int) -> str:
    """``"12"`` for 12,000 m, ``"3.5"`` for 3,500 m."""
    whole, rest = divmod(metres, 1000)
    return f"{whole:,}" if rest == 0 else f"{whole:,}.{rest:03d}".rstrip("0")
