"""Amounts as people write them in a form."""

import re
from decimal import Decimal

from hansa.kernel import CURRENCY_EXPONENTS, InvalidInput, Problem, UnknownCurrency

LONGEST = 24
"""Characters of an amount; more is none."""

_WRITTEN = re.compile(r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)$", re.ASCII)
"""Digits with at most one point. No exponents: ``1e999999`` is eight characters and a million digits."""


def read_minor(text: str, currency: str, *, where: str) -> int:
    """Minor units of an amount in major units, ``12.50`` or ``12,50`` or ``1 250``; never rounded.

    where: the field, as the form names it. Errors: UnknownCurrency, InvalidInput.
    """
    places = CURRENCY_EXPONENTS.get(currency)
    if places is None:
        raise UnknownCurrency(f"{currency[:LONGEST]!r} is not an active ISO 4217 currency code.")
    plain = "".join(text.split()).replace(",", ".")
    if len(plain) > LONGEST or not _WRITTEN.match(plain) or (exact := Decimal(plain).scaleb(places)) % 1:
        problem = Problem(
            where,
            f"{text[:LONGEST]!r} is no amount of {currency}",
            f"Write it with at most {places} decimals",
        )
        raise InvalidInput("This amount cannot be read.", problems=(problem,))
    return int(exact)
