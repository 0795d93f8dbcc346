"""Which tax stands on a fee: a table of countries, dated, and what holds across borders. Pure; the table is data."""

import tomllib
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from hansa.kernel import HansaError

OWN = Path(__file__).parent / "taxes.toml"

Category = Literal["S", "AE", "O", "E", "Z"]
"""UNCL5305, as far as fees need it: standard rate, reverse charge, not subject, exempt, zero rate."""


class BadTaxes(HansaError):
    """This is no table of taxes; nothing of it was taken."""

    code: ClassVar[str] = "reports.bad_taxes"
    status: ClassVar[int] = 422


class NoRate(HansaError):
    """The table of taxes has no rate for a seller's country on this day. Add one, with the day it holds from."""

    code: ClassVar[str] = "reports.no_rate"
    status: ClassVar[int] = 409


class Across(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What holds where seller and buyer are in two countries."""

    category: Category
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    reason_code: str = ""


class Rate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What holds in a country from a day on. percent: as text, so that 25.5 is exactly that."""

    country: Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{2}\Z")]
    valid_from: date = msgspec.field(name="from")
    percent: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,2}(\.[0-9]{1,4})?\Z")]
    category: Category = "S"
    union: str = ""
    reason: str = ""
    reason_code: str = ""


class Taxes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole table."""

    abroad: Across
    within_union: Across
    rates: tuple[Rate, ...]


@dataclass(frozen=True, slots=True)
class Tax:
    """What stands on an invoice (BT-118 to BT-121). percent: None where a category has no rate."""

    category: Category
    percent: str | None
    reason: str
    reason_code: str

    @property
    def rate(self) -> Fraction:
        """The part of the net that is tax."""
        return Fraction(self.percent or "0") / 100


def read_taxes(path: Path = OWN) -> Taxes:
    """A table of taxes from its file. Errors: BadTaxes."""
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Taxes)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise BadTaxes(f"{path.name}: {error}") from error


@cache
def own_taxes() -> Taxes:
    """The table that comes with Hansa."""
    return read_taxes()


def tax_between(taxes: Taxes, seller_country: str, buyer_country: str, on: date) -> Tax:
    """The tax on a fee between these two on a day. Errors: NoRate."""
    seller, buyer = _rate(taxes, seller_country, on), _rate(taxes, buyer_country, on)
    if seller is None:
        raise NoRate(f"There is no rate of {seller_country} on {on}.")
    if seller_country != buyer_country:
        joined = seller.union and buyer is not None and buyer.union == seller.union
        across = taxes.within_union if joined else taxes.abroad
        return Tax(
            across.category, None if across.category == "O" else "0", across.reason, across.reason_code
        )
    percent = None if seller.category == "O" else seller.percent
    return Tax(seller.category, percent, seller.reason, seller.reason_code)


def _rate(taxes: Taxes, country: str, on: date) -> Rate | None:
    fitting: list[Any] = [one for one in taxes.rates if one.country == country and one.valid_from <= on]
    return max(fitting, key=lambda one: one.valid_from, default=None)
