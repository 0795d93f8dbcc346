"""Money: whole minor units and a currency. No floats come near it."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from hansa.kernel.errors import HansaError

# ISO 4217 list one: active codes by the number of decimals of their minor unit; two where not named.
_NONE = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_THREE = "BHD IQD JOD KWD LYD OMR TND"
_FOUR = "CLF UYW"
_TWO = (
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF "
    "CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL "
    "HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU "
    "MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR "
    "SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED "
    "VES WST XCD XCG YER ZAR ZMW ZWG"
)
CURRENCY_EXPONENTS: dict[str, int] = {
    code: exponent
    for codes, exponent in ((_NONE, 0), (_TWO, 2), (_THREE, 3), (_FOUR, 4))
    for code in codes.split()
}
"""Decimals of the minor unit by currency code. Source: ISO 4217, list one (active codes)."""

_SIGNS = {"CNY": "¥", "HKD": "HK$", "GBP": "£", "JPY": "¥", "CAD": "CA$", "EUR": "€", "USD": "$"}


class UnknownCurrency(HansaError):
    """This currency code is not an active one of ISO 4217."""

    code: ClassVar[str] = "money.unknown_currency"
    status: ClassVar[int] = 422


class CurrencyMismatch(HansaError):
    """Two amounts of different currencies do not add up; exchange one first."""

    code: ClassVar[str] = "money.currency_mismatch"
    status: ClassVar[int] = 422


@dataclass(frozen=True, slots=True)
class Money:
    """An amount: ``Money(250, "EUR")`` is two euros fifty.

    minor: whole minor units, any sign. currency: an active ISO 4217 code.
    Errors: UnknownCurrency; CurrencyMismatch from arithmetic and comparison across currencies.
    """

    minor: int
    currency: str

    def __post_init__(self) -> None:
        if self.currency not in CURRENCY_EXPONENTS:
            raise UnknownCurrency(f"{self.currency!r} is not an active ISO 4217 currency code.")

    def __add__(self, other: "Money") -> "Money":
        return Money(self.minor + self._same(other), self.currency)

    def __sub__(self, other: "Money") -> "Money":
        return Money(self.minor - self._same(other), self.currency)

    def __neg__(self) -> "Money":
        return Money(-self.minor, self.currency)

    def __lt__(self, other: "Money") -> bool:
        return self.minor < self._same(other)

    def __le__(self, other: "Money") -> bool:
        return self.minor <= self._same(other)

    def __str__(self) -> str:
        sign = _SIGNS.get(self.currency)
        minus = "-" if self.minor < 0 else ""
        digits = self.decimal().lstrip("-")
        whole, _, fraction = digits.partition(".")
        grouped = f"{int(whole):,}" + (f".{fraction}" if fraction else "")
        return f"{minus}{sign}{grouped}" if sign else f"{minus}{grouped} {self.currency}"

    def decimal(self) -> str:
        """The amount in major units, exactly, with all its decimals: ``"2.50"``, ``"-0.05"``, ``"300"``."""
        exponent = CURRENCY_EXPONENTS[self.currency]
        if exponent == 0:
            return str(self.minor)
        digits = str(abs(self.minor)).rjust(exponent + 1, "0")
        return ("-" if self.minor < 0 else "") + f"{digits[:-exponent]}.{digits[-exponent:]}"

    def split(self, weights: Sequence[int]) -> tuple["Money", ...]:
        """Shares by weight that add up to the whole (largest remainder; ties to the earlier share)."""
        return tuple(Money(share, self.currency) for share in split_minor(self.minor, weights))

    def _same(self, other: "Money") -> int:
        if self.currency != other.currency:
            raise CurrencyMismatch(f"{self.currency} and {other.currency} do not add up; exchange one first.")
        return other.minor


def split_minor(minor: int, weights: Sequence[int]) -> tuple[int, ...]:
    """Whole shares of ``minor`` by weight, summing to it exactly.

    Largest remainder; a tie goes to the earlier share. weights: none negative, at least one positive.
    """
    assert weights and min(weights) >= 0 and sum(weights) > 0, "weights: none negative, one positive"
    total = sum(weights)
    sign = -1 if minor < 0 else 1
    quotas = [divmod(abs(minor) * weight, total) for weight in weights]
    left = abs(minor) - sum(share for share, _ in quotas)
    by_remainder = sorted(range(len(weights)), key=lambda i: (-quotas[i][1], i))
    extra = set(by_remainder[:left])
    return tuple(sign * (share + (i in extra)) for i, (share, _) in enumerate(quotas))


def round_half_even(value: Fraction | int) -> int:
    """The nearest whole number; halves go to the even one, so that roundings do not drift."""
    return round(Fraction(value))
