"""Amounts of a tariff: prices by hour, class and medium, rates per kilometre, and how figures are rounded."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from hansa.kernel import round_half_even

ANY_TIME = ""
"""The time band of a price that holds at every hour."""

RoundingMode = Literal["half_even", "half_up", "up", "down"]


@dataclass(frozen=True, slots=True)
class Rounding:
    """To which step of the minor unit a worked-out amount is brought, and which way."""

    step: int = 1
    mode: RoundingMode = "half_even"

    def bring(self, amount: Fraction) -> int:
        """The nearest allowed amount."""
        steps = amount / self.step
        match self.mode:
            case "half_even":
                whole = round_half_even(steps)
            case "half_up":
                whole = (steps + Fraction(1, 2)).__floor__()
            case "up":
                whole = steps.__ceil__()
            case "down":
                whole = steps.__floor__()
        return whole * self.step


@dataclass(frozen=True, slots=True)
class Price:
    """An amount in minor units by time band and column. Keys: (band or ANY_TIME, column).

    A column is a rider class, ``adult``, or a class that pays by a medium, ``adult/cash``.
    """

    amounts: Mapping[tuple[str, str], int]

    def find(self, band: str, rider_class: str, medium: str = "") -> int | None:
        """The nearest amount there is: for the medium before any, for this band before any time; else None."""
        amounts = self.amounts
        if medium:
            column = f"{rider_class}/{medium}"
            for key in ((band, column), (ANY_TIME, column)):
                if key in amounts:
                    return amounts[key]
        amount = amounts.get((band, rider_class))
        return amounts.get((ANY_TIME, rider_class)) if amount is None else amount


FREE = Price({(ANY_TIME, "adult"): 0})
"""Nothing, for everybody."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Minor units for each kilometre, by column as in ``Price``; exact, so it may be finer than the minor unit."""

    amounts: Mapping[tuple[str, str], Fraction]

    def find(self, band: str, rider_class: str, medium: str = "") -> Fraction | None:
        """As ``Price.find``."""
        amounts = self.amounts
        columns = (f"{rider_class}/{medium}", rider_class) if medium else (rider_class,)
        for column in columns:
            for key in ((band, column), (ANY_TIME, column)):
                if key in amounts:
                    return amounts[key]
        return None
