"""What a demonstration day is made from: the numbers that decide every cent of it."""

import tomllib
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from functools import cache
from importlib.resources import files

DEMO_DAY = date(2026, 11, 17)
"""A Tuesday: peak hours, weekday caps. Fixed, so that the same seed gives the same cents for everyone."""


@dataclass(frozen=True, slots=True)
class Spec:
    """riders: 1 to 1,000,000 people. Same spec, same cents."""

    riders: int = 20_000
    seed: int = 1
    day: date = DEMO_DAY


@dataclass(frozen=True, slots=True)
class CityRole:
    """A city's part in the demonstration league."""

    city_id: str
    issuer_id: str
    issuer_name: str
    operator_id: str
    operator_name: str
    product: str
    share: int
    visitors: int
    account: str


@dataclass(frozen=True, slots=True)
class LeagueFacts:
    name: str
    bank_name: str
    cities: tuple[CityRole, ...]
    cny_per_unit: dict[str, Fraction]

    def role(self, city_id: str) -> CityRole:
        return next(role for role in self.cities if role.city_id == city_id)

    def rate(self, base: str, quote: str) -> Fraction:
        """How many units of ``quote`` one unit of ``base`` costs (major units)."""
        return self.cny_per_unit[base] / self.cny_per_unit[quote]


@cache
def league_facts() -> LeagueFacts:
    """The demonstration league as ``league.toml`` states it."""
    raw = tomllib.loads((files("hansa.apps.demo") / "league.toml").read_text(encoding="utf-8"))
    return LeagueFacts(
        name=raw["league"]["name"],
        bank_name=raw["league"]["bank"],
        cities=tuple(
            CityRole(
                city_id=city["id"],
                issuer_id=f"{city['id']}-card",
                issuer_name=city["issuer"],
                operator_id=city["operator_id"],
                operator_name=city["operator"],
                product=city["product"],
                share=city["share"],
                visitors=city["visitors"],
                account=city["account"],
            )
            for city in raw["city"]
        ),
        cny_per_unit={code: Fraction(value) for code, value in raw["cny_per_unit"].items()},
    )
