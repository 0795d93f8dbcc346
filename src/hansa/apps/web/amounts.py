"""Amounts as people write them in a form."""

from decimal import Decimal, InvalidOperation

from hansa.kernel import CURRENCY_EXPONENTS, InvalidInput, Problem, UnknownCurrency

LONGEST = 24
"""Characters of an amount; more is none."""


def read_minor(text: str, currency: str, *, where: str) -> int:
    """Minor units of an amount in major units, ``12.50`` or ``12,50`` or ``1 250``; never rounded.

    where: the field, as the form names it. Errors: UnknownCurrency, InvalidInput.
    """
    places = CURRENCY_EXPONENTS.get(currency)
    if places is None:
        raise UnknownCurrency(f"{currency[:LONGEST]!r} is not an active ISO 4217 currency code.")
    plain = "".join(text.split()).replace(",", ".")
    try:
        exact = Decimal(plain).scaleb(places) if len(plain) <= LONGEST else Decimal("NaN")
    except InvalidOperation:
        exact = Decimal("NaN")
    if not exact.is_finite() or exact != exact.to_integral_value():
        problem = Problem(
            where,
            f"{text[:LONGEST]!r} is no amount in {currency}",
            f"Write it with at most {places} decimals",
        )
        raise InvalidInput("This amount cannot be read.", problems=(problem,))
    return int(exact)
